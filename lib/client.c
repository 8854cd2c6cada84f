/* SPDX-License-Identifier: BSD-3-Clause */
/* A client's settings: resolvers, keys, code points, times. */
#include <kbv/client.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/resolver.h"
#include "lib/transport.h"

enum {
    PORT_DNS = 53,
    PORT_TLS = 853, /* RFC 7858 section 3.1 */
    /* Just beyond the 1900 ms after which Unbound drops a late reply. */
    TRY_TIMEOUT_MS = 2000,
    ATTEMPTS = 2,
    TIMEOUT_MS_MAX = 600000,
    /* Of resolv.conf(5). */
    CONF_RESOLVERS_MAX = 3,
    CONF_TIMEOUT_S_MAX = 30,
    CONF_ATTEMPTS_MAX = 5,
};

struct kbv_client *kbv_client_create(void)
{
    struct kbv_client *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->rrtype = KBV_RRTYPE_DEFAULT;
    c->option = KBV_EDNS_OPTION_DEFAULT;
    c->timeout_ms = KBV_CLIENT_TIMEOUT_MS;
    c->try_timeout_ms = TRY_TIMEOUT_MS;
    c->attempts = ATTEMPTS;
    return c;
}

void kbv_client_delete(struct kbv_client *c)
{
    if (!c)
        return;
    kbv_transport_tls_delete(c);
    free(c);
}

/* Addresses */

/* Decimal digits and nothing else, up to max; false for 0 too. */
static bool read_number(const char *text, unsigned max, unsigned *number)
{
    unsigned n = 0;

    for (; *text >= '0' && *text <= '9'; text++) {
        unsigned digit = (unsigned)(*text - '0');

        if (digit > max || n > (max - digit) / 10)
            return false;
        n = 10 * n + digit;
    }
    if (*text != '\0' || n == 0)
        return false;
    *number = n;
    return true;
}

static bool read_ipv4(const char *text, unsigned port, struct kbv_resolver *r)
{
    struct sockaddr_in *in = &r->address.in;

    if (inet_pton(AF_INET, text, &in->sin_addr) != 1)
        return false;
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)port);
    r->address_len = sizeof(*in);
    r->loopback = ntohl(in->sin_addr.s_addr) >> 24 == 127; /* RFC 1122 section 3.2.1.3 */
    return true;
}

/* Cuts the scope off text: an interface's name or number (RFC 4007 section 11); 0 if there is none.
 */
static bool read_scope(char *text, unsigned *scope)
{
    char *percent = strchr(text, '%');

    *scope = 0;
    if (!percent)
        return true;
    *percent = '\0';
    *scope = if_nametoindex(percent + 1);
    return *scope != 0 || read_number(percent + 1, INT32_MAX, scope);
}

static bool read_ipv6(char *text, unsigned port, struct kbv_resolver *r)
{
    struct sockaddr_in6 *in6 = &r->address.in6;
    unsigned scope;

    if (!read_scope(text, &scope) || inet_pton(AF_INET6, text, &in6->sin6_addr) != 1)
        return false;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons((uint16_t)port);
    in6->sin6_scope_id = scope;
    r->address_len = sizeof(*in6);
    r->loopback = IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
    return true;
}

/* "ADDR" or "ADDR@PORT", as in unbound.conf. */
static bool read_address(const char *text, unsigned default_port, struct kbv_resolver *r)
{
    char address[KBV_RESOLVER_TEXT_MAX - sizeof("@65535")];
    const char *at = strchr(text, '@');
    size_t len = at ? (size_t)(at - text) : strlen(text);
    unsigned port = default_port;

    if (len >= sizeof(address) || (at && !read_number(at + 1, 65535, &port)))
        return false;
    memcpy(address, text, len);
    address[len] = '\0';
    snprintf(r->text, sizeof(r->text), "%s@%u", address, port);
    return read_ipv4(address, port, r) || read_ipv6(address, port, r);
}

enum kbv_err kbv_client_add_resolver(struct kbv_client *c, const char *address, unsigned flags,
                                     const uint8_t *tls_pin)
{
    struct kbv_resolver r = {0};
    enum kbv_err err;

    if (flags & ~(unsigned)(KBV_RESOLVER_TCP | KBV_RESOLVER_TRUST_LOOPBACK) ||
        !read_address(address, tls_pin ? PORT_TLS : PORT_DNS, &r))
        return KBV_ERR_FORMAT;
    if (flags & KBV_RESOLVER_TRUST_LOOPBACK && !r.loopback)
        return KBV_ERR_FORMAT;
    if (c->n_resolvers == KBV_RESOLVERS_MAX)
        return KBV_ERR_LIMIT;
    r.tcp = flags & KBV_RESOLVER_TCP;
    r.trusted = flags & KBV_RESOLVER_TRUST_LOOPBACK;
    if (tls_pin) {
        if ((err = kbv_transport_tls_create(c)) != KBV_OK)
            return err;
        r.tls = r.trusted = true;
        memcpy(r.pin, tls_pin, sizeof(r.pin));
    }
    c->resolvers[c->n_resolvers++] = r;
    return KBV_OK;
}

/* resolv.conf(5) */

struct resolv_conf {
    char nameservers[CONF_RESOLVERS_MAX][KBV_RESOLVER_TEXT_MAX];
    size_t n_nameservers;
    unsigned timeout_s, attempts; /* 0: not said */
    bool use_vc;
};

static void read_option(const char *option, struct resolv_conf *conf)
{
    unsigned n;

    if (strncmp(option, "timeout:", 8) == 0 && read_number(option + 8, 1000000, &n))
        conf->timeout_s = n < CONF_TIMEOUT_S_MAX ? n : CONF_TIMEOUT_S_MAX;
    else if (strncmp(option, "attempts:", 9) == 0 && read_number(option + 9, 1000000, &n))
        conf->attempts = n < CONF_ATTEMPTS_MAX ? n : CONF_ATTEMPTS_MAX;
    else if (strcmp(option, "use-vc") == 0)
        conf->use_vc = true;
}

/* As libc does: what it does not know or cannot read it passes over. */
static void read_nameserver(const char *address, struct resolv_conf *conf)
{
    struct kbv_resolver r = {0};
    char *text = conf->nameservers[conf->n_nameservers % CONF_RESOLVERS_MAX];

    if (conf->n_nameservers == CONF_RESOLVERS_MAX || strchr(address, '@') ||
        !read_address(address, PORT_DNS, &r))
        return;
    snprintf(text, KBV_RESOLVER_TEXT_MAX, "%s", address);
    conf->n_nameservers++;
}

static void read_conf_line(char *line, struct resolv_conf *conf)
{
    static const char blank[] = " \t\r\n";
    char *rest = NULL;
    char *word = strtok_r(line, blank, &rest);

    if (!word || strchr("#;", *line)) /* a comment begins the line */
        return;
    if (strcmp(word, "nameserver") == 0) {
        if ((word = strtok_r(NULL, blank, &rest)) != NULL)
            read_nameserver(word, conf);
    } else if (strcmp(word, "options") == 0) {
        while ((word = strtok_r(NULL, blank, &rest)) != NULL)
            read_option(word, conf);
    }
}

/* Lines that are longer than any we want are cut. */
static bool read_conf(const char *path, struct resolv_conf *conf)
{
    FILE *f = fopen(path, "re");
    char line[512];
    bool inside = false; /* of a line that was cut */
    int err;

    if (!f)
        return false;
    while (fgets(line, sizeof(line), f)) {
        bool ends = strchr(line, '\n') != NULL;

        if (!inside)
            read_conf_line(line, conf);
        inside = !ends;
    }
    err = ferror(f) ? errno : 0;
    fclose(f);
    errno = err;
    return err == 0;
}

enum kbv_err kbv_client_read_resolv_conf(struct kbv_client *c, const char *path)
{
    struct resolv_conf conf = {0};
    size_t before = c->n_resolvers;

    if (!read_conf(path ? path : "/etc/resolv.conf", &conf))
        return KBV_ERR_SYSTEM;
    if (conf.n_nameservers == 0)
        read_nameserver("127.0.0.1", &conf);
    for (size_t i = 0; i < conf.n_nameservers; i++) {
        unsigned flags = conf.use_vc ? KBV_RESOLVER_TCP : 0;
        enum kbv_err err = kbv_client_add_resolver(c, conf.nameservers[i], flags, NULL);

        if (err != KBV_OK) {
            c->n_resolvers = before;
            return err;
        }
    }
    if (conf.timeout_s)
        c->try_timeout_ms = (int)conf.timeout_s * 1000;
    if (conf.attempts)
        c->attempts = conf.attempts;
    return KBV_OK;
}

/* The rest */

enum kbv_err kbv_client_add_verdict_key(struct kbv_client *c,
                                        const uint8_t key[KBV_VERDICT_KEY_LEN])
{
    static const uint8_t zeros[KBV_VERDICT_KEY_LEN];

    /* A point of small order, under which a signature can be made up; and a key that was forgotten.
     */
    if (memcmp(key, zeros, sizeof(zeros)) == 0)
        return KBV_ERR_FORMAT;
    if (c->n_keys == KBV_VERDICT_KEYS_MAX)
        return KBV_ERR_LIMIT;
    memcpy(c->keys[c->n_keys++].octets, key, sizeof(zeros));
    return KBV_OK;
}

enum kbv_err kbv_client_set_rrtype(struct kbv_client *c, uint16_t rrtype)
{
    if (rrtype == 0)
        return KBV_ERR_FORMAT;
    c->rrtype = rrtype;
    return KBV_OK;
}

enum kbv_err kbv_client_set_option(struct kbv_client *c, uint16_t option)
{
    if (option == 0)
        return KBV_ERR_FORMAT;
    c->option = option;
    return KBV_OK;
}

enum kbv_err kbv_client_set_timeout_ms(struct kbv_client *c, int timeout_ms)
{
    if (timeout_ms < 1 || timeout_ms > TIMEOUT_MS_MAX)
        return KBV_ERR_FORMAT;
    c->timeout_ms = timeout_ms;
    return KBV_OK;
}

enum kbv_err kbv_pin_from_text(const char *text, uint8_t pin[32])
{
    enum { TEXT_LEN = 44 };
    unsigned char decoded[33], again[TEXT_LEN + 1];

    if (strlen(text) != TEXT_LEN ||
        EVP_DecodeBlock(decoded, (const unsigned char *)text, TEXT_LEN) != sizeof(decoded))
        return KBV_ERR_FORMAT;
    /* It is lenient: with blanks, and with bits that do not count. */
    EVP_EncodeBlock(again, decoded, 32);
    if (memcmp(again, text, TEXT_LEN) != 0)
        return KBV_ERR_FORMAT;
    memcpy(pin, decoded, 32);
    return KBV_OK;
}
