/* SPDX-License-Identifier: BSD-3-Clause */
/* See resolver.h. */
#include "cli/resolver.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "cli/material.h"

/* A key in PEM, public or private: what keygen writes serves as a pin on the resolver's host. */
static bool read_ed25519(const uint8_t *text, size_t len, uint8_t key[KBV_VERDICT_KEY_LEN])
{
    EVP_PKEY *pkey = read_pem_key(text, len);
    size_t key_len = KBV_VERDICT_KEY_LEN;
    bool ok = pkey != NULL && EVP_PKEY_base_id(pkey) == EVP_PKEY_ED25519 &&
              EVP_PKEY_get_raw_public_key(pkey, key, &key_len) == 1 &&
              key_len == KBV_VERDICT_KEY_LEN;

    EVP_PKEY_free(pkey);
    return ok;
}

/* A file with nothing but a pin and white space around it. */
static bool read_text_key(const uint8_t *octets, size_t len, uint8_t key[KBV_VERDICT_KEY_LEN])
{
    char text[64];

    while (len > 0 && strchr(" \t\r\n", octets[len - 1]) != NULL && octets[len - 1] != '\0')
        len--;
    if (len >= sizeof(text) || memchr(octets, '\0', len) != NULL)
        return false;
    memcpy(text, octets, len);
    text[len] = '\0';
    return kbv_pin_from_text(text, key) == KBV_OK;
}

static int read_key(const struct command *c, const char *arg, uint8_t key[KBV_VERDICT_KEY_LEN])
{
    uint8_t *octets;
    size_t len;
    bool ok;

    if (kbv_pin_from_text(arg, key) == KBV_OK)
        return 0;
    octets = read_file(arg, &len);
    if (octets == NULL) {
        complain(c, "--pin %s: neither 32 octets in base64 nor a file: %s", arg, strerror(errno));
        return EXIT_USAGE;
    }
    ok = read_text_key(octets, len, key) || read_ed25519(octets, len, key);
    OPENSSL_cleanse(octets, len); /* it may be a private key */
    free(octets);
    if (!ok)
        complain(c, "--pin %s: the file holds no Ed25519 key", arg);
    return ok ? 0 : EXIT_USAGE;
}

static int read_code_point(const struct command *c, const char *key, const char *arg,
                           unsigned long *out)
{
    return parse_number(arg, 1, 65535, out)
               ? 0
               : usage_error(c, "--%s %s: a number of 1 to 65535", key, arg);
}

int read_resolver_option(const struct command *c, struct resolver_choice *r, int option,
                         const char *arg)
{
    unsigned long number;

    switch (option) {
    case RESOLVER_SERVER:
        if (r->n_servers == KBV_RESOLVERS_MAX)
            return usage_error(c, "--server: at most %d", KBV_RESOLVERS_MAX);
        r->servers[r->n_servers++] = arg;
        return 0;
    case RESOLVER_TLS_PIN:
        if (r->has_tls_pin)
            return usage_error(c, "--tls-pin: once");
        if (kbv_pin_from_text(arg, r->tls_pin) != KBV_OK)
            return usage_error(c, "--tls-pin %s: expected 32 octets in base64", arg);
        r->has_tls_pin = true;
        return 0;
    case RESOLVER_PIN:
        if (r->n_keys == KBV_VERDICT_KEYS_MAX)
            return usage_error(c, "--pin: at most %d", KBV_VERDICT_KEYS_MAX);
        return read_key(c, arg, r->keys[r->n_keys++].octets);
    case RESOLVER_TIMEOUT:
        if (!parse_number(arg, 1, 600000, &number))
            return usage_error(c, "--timeout %s: milliseconds, 1 to 600000", arg);
        r->timeout_ms = (int)number;
        return 0;
    case RESOLVER_RRTYPE:
        return read_code_point(c, "rrtype", arg, &r->rrtype);
    case RESOLVER_EDNS_OPTION:
        return read_code_point(c, "edns-option", arg, &r->option);
    default:
        return usage_error(c, "see --help");
    }
}

static bool is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 ||
           strncmp(address, "::1@", 4) == 0;
}

static bool add_servers(const struct command *c, const struct resolver_choice *r,
                        struct kbv_client *client)
{
    for (size_t i = 0; i < r->n_servers; i++) {
        const char *address = r->servers[i];
        enum kbv_err err = kbv_client_add_resolver(
            client, address, is_loopback(address) ? KBV_RESOLVER_TRUST_LOOPBACK : 0,
            r->has_tls_pin ? r->tls_pin : NULL);

        if (err == KBV_ERR_FORMAT)
            usage_error(c, "--server %s: expected an address, or ADDR@PORT", address);
        else if (err != KBV_OK)
            complain(c, "--server %s: %s", address, kbv_err_text(err));
        if (err != KBV_OK)
            return false;
    }
    return true;
}

static bool add_resolv_conf(const struct command *c, const struct resolver_choice *r,
                            struct kbv_client *client)
{
    enum kbv_err err;

    if (r->has_tls_pin) { /* the key of which of them? */
        usage_error(c, "--tls-pin needs --server");
        return false;
    }
    err = kbv_client_read_resolv_conf(client, NULL);
    if (err != KBV_OK)
        complain(c, "/etc/resolv.conf: %s",
                 err == KBV_ERR_SYSTEM ? strerror(errno) : kbv_err_text(err));
    return err == KBV_OK;
}

struct kbv_client *make_client(const struct command *c, const struct resolver_choice *r)
{
    struct kbv_client *client = kbv_client_create();
    bool ok = client != NULL;

    if (!ok)
        complain(c, "%s", kbv_err_text(KBV_ERR_NOMEM));
    if (ok)
        ok = r->n_servers > 0 ? add_servers(c, r, client) : add_resolv_conf(c, r, client);
    for (size_t i = 0; ok && i < r->n_keys; i++) {
        ok = kbv_client_add_verdict_key(client, r->keys[i].octets) == KBV_OK;
        if (!ok)
            usage_error(c, "--pin: a key of zeros");
    }
    if (ok && r->timeout_ms != 0)
        ok = kbv_client_set_timeout_ms(client, r->timeout_ms) == KBV_OK;
    if (ok && r->rrtype != 0)
        ok = kbv_client_set_rrtype(client, (uint16_t)r->rrtype) == KBV_OK;
    if (ok && r->option != 0)
        ok = kbv_client_set_option(client, (uint16_t)r->option) == KBV_OK;
    if (ok)
        return client;
    kbv_client_delete(client);
    return NULL;
}
