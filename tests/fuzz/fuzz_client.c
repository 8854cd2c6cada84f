/* SPDX-License-Identifier: BSD-3-Clause */
/* What a client's settings are read from. The first octet of the input chooses: r a resolv.conf,
 * a an address of a resolver, p a pin. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/resolver.h"
#include "tests/fuzz/require.h"

static const char *as_text(const uint8_t *data, size_t len)
{
    static char text[5000];

    if (len >= sizeof(text))
        len = sizeof(text) - 1;
    memcpy(text, data, len);
    text[len] = '\0';
    return text;
}

static void check_resolver(const struct kbv_resolver *r)
{
    const char *at = strrchr(r->text, '@');

    REQUIRE(memchr(r->text, '\0', sizeof(r->text)) != NULL && at != NULL);
    REQUIRE(r->address.sa.sa_family == AF_INET || r->address.sa.sa_family == AF_INET6);
    REQUIRE(r->address_len != 0 && r->address_len <= sizeof(r->address));
    REQUIRE(atoi(at + 1) == ntohs(r->address.sa.sa_family == AF_INET ? r->address.in.sin_port
                                                                     : r->address.in6.sin6_port));
}

/* Whatever it says, nobody in it is trusted, and libc's bounds are kept. */
static void check_resolv_conf(const uint8_t *data, size_t len)
{
    struct kbv_client *c = kbv_client_create();
    int fd = memfd_create("resolv.conf", MFD_CLOEXEC);
    char path[64];

    REQUIRE(c != NULL && fd >= 0 && write(fd, data, len) == (ssize_t)len);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    REQUIRE(kbv_client_read_resolv_conf(c, path) == KBV_OK);
    close(fd);
    REQUIRE(c->n_resolvers >= 1 && c->n_resolvers <= 3);
    for (size_t i = 0; i < c->n_resolvers; i++) {
        check_resolver(&c->resolvers[i]);
        REQUIRE(!c->resolvers[i].trusted && !c->resolvers[i].tls);
        REQUIRE(c->resolvers[i].tcp == c->resolvers[0].tcp);
    }
    REQUIRE(c->try_timeout_ms >= 1000 && c->try_timeout_ms <= 30000);
    REQUIRE(c->attempts >= 1 && c->attempts <= 5);
    kbv_client_delete(c);
}

static void check_address(const char *text)
{
    struct kbv_client *c = kbv_client_create();
    char again[KBV_RESOLVER_TEXT_MAX];

    REQUIRE(c != NULL);
    if (kbv_client_add_resolver(c, text, 0, NULL) == KBV_OK) {
        check_resolver(&c->resolvers[0]);
        REQUIRE(!c->resolvers[0].trusted);
        memcpy(again, c->resolvers[0].text, sizeof(again));
        REQUIRE(kbv_client_add_resolver(c, again, 0, NULL) == KBV_OK);
        REQUIRE(strcmp(c->resolvers[1].text, again) == 0);
        REQUIRE((kbv_client_add_resolver(c, text, KBV_RESOLVER_TRUST_LOOPBACK, NULL) == KBV_OK) ==
                c->resolvers[0].loopback);
    } else {
        REQUIRE(c->n_resolvers == 0);
    }
    kbv_client_delete(c);
}

static void check_pin(const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t pin[32];

    memset(pin, 0x55, sizeof(pin));
    if (kbv_pin_from_text(text, pin) != KBV_OK) {
        for (size_t i = 0; i < sizeof(pin); i++)
            REQUIRE(pin[i] == 0x55);
        return;
    }
    REQUIRE(strlen(text) == 44 && text[43] == '=');
    for (size_t bit = 0; bit < 43 * 6; bit++) {
        const char *digit = strchr(digits, text[bit / 6]);
        unsigned in_text, in_pin;

        REQUIRE(digit != NULL);
        in_text = (unsigned)(digit - digits) >> (5 - bit % 6) & 1;
        in_pin = bit < 256 ? pin[bit / 8] >> (7 - bit % 8) & 1 : 0;
        REQUIRE(in_text == in_pin);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0)
        return 0;
    switch (data[0]) {
    case 'r':
        check_resolv_conf(data + 1, len - 1);
        break;
    case 'a':
        check_address(as_text(data + 1, len - 1));
        break;
    case 'p':
        check_pin(as_text(data + 1, len - 1));
        break;
    }
    return 0;
}
