/* SPDX-License-Identifier: BSD-3-Clause */
/* A client's settings, as its queries read them. */
#ifndef KBV_LIB_RESOLVER_H
#define KBV_LIB_RESOLVER_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <kbv/client.h>

struct kbv_resolver {
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } address;
    socklen_t address_len;
    char text[KBV_RESOLVER_TEXT_MAX]; /* "ADDR@PORT" */
    bool tcp;                         /* never UDP */
    bool loopback;
    bool trusted; /* its channel is, whoever writes to it */
    bool tls;     /* under the pin, and never without */
    uint8_t pin[KBV_PIN_LEN];
};

struct kbv_client {
    struct kbv_resolver resolvers[KBV_RESOLVERS_MAX];
    size_t n_resolvers;
    struct kbv_verdict_key keys[KBV_VERDICT_KEYS_MAX];
    size_t n_keys;
    uint16_t rrtype, option;
    int timeout_ms;     /* of a question */
    int try_timeout_ms; /* of one try */
    unsigned attempts;  /* rounds through the resolvers */
    SSL_CTX *tls;       /* NULL: no resolver has a pin */
    BIO_METHOD *tls_socket;
};

#endif
