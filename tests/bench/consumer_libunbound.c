/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Without a verdict: libunbound looks the TLSA records up and validates them, through a resolver or
 * from the root down, and OpenSSL's DANE engine judges the chain.
 */
#include <openssl/ssl.h>
#include <stdlib.h>
#include <unbound.h>

#include "tests/bench/consumer.h"

enum { TYPE_TLSA = 52, CLASS_IN = 1 };

struct way {
    struct ub_ctx *resolver;
    SSL_CTX *tls;
};

void *consumer_open(const struct consumer_setting *s)
{
    struct way *w = calloc(1, sizeof(*w));

    consumer_need(w != NULL, "out of memory");
    w->resolver = ub_ctx_create();
    consumer_need(w->resolver != NULL, "no libunbound");
    consumer_need(ub_ctx_add_ta_file(w->resolver, s->anchor) == 0, "no trust anchor");
    consumer_need(s->server ? ub_ctx_set_fwd(w->resolver, s->server) == 0
                            : ub_ctx_set_option(w->resolver, "root-hints:", s->hints) == 0,
                  "nobody to ask");
    w->tls = SSL_CTX_new(TLS_method());
    consumer_need(w->tls && SSL_CTX_dane_enable(w->tls) > 0, "no DANE");
    return w;
}

/* RFC 6698 section 4.1: each record by itself; one that cannot be used is as if it were not there.
 */
static bool add_records(SSL *ssl, const struct ub_result *answer)
{
    unsigned usable = 0;

    for (int i = 0; answer->data[i]; i++) {
        const uint8_t *rdata = (const uint8_t *)answer->data[i];
        size_t len = (size_t)answer->len[i];
        int added =
            len < 4 ? 0 : SSL_dane_tlsa_add(ssl, rdata[0], rdata[1], rdata[2], rdata + 3, len - 3);

        if (added < 0)
            return false;
        usable += added > 0;
    }
    return usable > 0; /* without one OpenSSL would judge as if there were no DANE */
}

static X509 *parse(const struct consumer_cert *cert)
{
    const uint8_t *p = cert->der;

    return d2i_X509(NULL, &p, (long)cert->len);
}

static bool verify(SSL_CTX *tls, SSL *ssl, X509 *leaf, STACK_OF(X509) * chain)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    bool good = false;

    if (ctx && X509_STORE_CTX_init(ctx, SSL_CTX_get_cert_store(tls), leaf, chain) &&
        X509_STORE_CTX_set_default(ctx, "ssl_server") &&
        X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(ctx), SSL_get0_param(ssl))) {
        X509_STORE_CTX_set0_dane(ctx, SSL_get0_dane(ssl));
        X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(ctx), 2);
        good = X509_verify_cert(ctx) > 0;
    }
    X509_STORE_CTX_free(ctx);
    return good;
}

static bool judge(struct way *w, const struct consumer_setting *s, const struct ub_result *answer)
{
    SSL *ssl = SSL_new(w->tls);
    STACK_OF(X509) *chain = sk_X509_new_null();
    bool good = ssl && chain;

    for (size_t i = 0; good && i < s->n; i++) {
        X509 *x = parse(&s->chain[i]);

        good = x && sk_X509_push(chain, x) > 0;
        if (!good)
            X509_free(x);
    }
    if (good && SSL_dane_enable(ssl, s->host) > 0) {
        SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS); /* RFC 7671 section 5.1 */
        good = add_records(ssl, answer) && verify(w->tls, ssl, sk_X509_value(chain, 0), chain);
    } else {
        good = false;
    }
    sk_X509_pop_free(chain, X509_free);
    SSL_free(ssl);
    return good;
}

bool consumer_check(void *way, const struct consumer_setting *s)
{
    struct way *w = way;
    struct ub_result *answer;
    bool good;

    if (ub_resolve(w->resolver, s->owner, TYPE_TLSA, CLASS_IN, &answer) != 0)
        return false;
    good = answer->secure && answer->havedata && judge(w, s, answer);
    ub_resolve_free(answer);
    return good;
}

void consumer_close(void *way)
{
    struct way *w = way;

    ub_ctx_delete(w->resolver);
    SSL_CTX_free(w->tls);
    free(w);
}
