/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Chains and records through the verifier of usages 0 to 2 and the matcher of usage 3, which
 * OpenSSL's engine must not contradict. Octet 0: usage and role; 1: selector and matching type;
 * then the record's data behind its length in 16 bits, and the chain as the option has it.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

#include "lib/buf.h"
#include "module/core/dane.h"
#include "module/core/match.h"
#include "tests/fuzz/require.h"

enum { NOW = 1800000000 };

static const uint8_t names[] = "\2js\4op-a\7example\0\12_ns-client\2ns\4op-a\7example";

/* What OpenSSL says of one record of usage 3; -1: it would not take certificate or record. */
static int openssl_matches(const struct kbv_presented *p, const struct kbv_association *a)
{
    static SSL_CTX *ssl_ctx;
    const uint8_t *der = p->chain[0].p;
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509 *x = d2i_X509(NULL, &der, (long)p->chain[0].len);
    int result = -1;
    SSL *ssl;

    if (ssl_ctx == NULL) {
        ssl_ctx = SSL_CTX_new(TLS_method());
        REQUIRE(SSL_CTX_dane_enable(ssl_ctx) == 1);
    }
    ssl = SSL_new(ssl_ctx);
    REQUIRE(ssl != NULL && store != NULL && ctx != NULL);
    REQUIRE(SSL_dane_enable(ssl, "js.op-a.example") == 1);
    SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    if (x != NULL && der == p->chain[0].p + p->chain[0].len && a->data.len != 0 &&
        SSL_dane_tlsa_add(ssl, 3, a->selector, a->mtype, a->data.p, a->data.len) == 1) {
        REQUIRE(X509_STORE_CTX_init(ctx, store, x, NULL));
        X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(ctx), SSL_get0_param(ssl));
        X509_STORE_CTX_set0_dane(ctx, SSL_get0_dane(ssl));
        result = X509_verify_cert(ctx) == 1;
    }
    SSL_free(ssl);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    X509_free(x);
    ERR_clear_error();
    return result;
}

static bool is_usable_key(struct kbv_slice spki)
{
    const uint8_t *der = spki.p;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &der, (long)spki.len);

    EVP_PKEY_free(key);
    ERR_clear_error();
    return key != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct kbv_dane *dane;
    struct kbv_reader in = kbv_reader_on(data, len);
    const uint8_t first = kbv_reader_u8(&in), second = kbv_reader_u8(&in);
    struct kbv_association a = {first & 3, second & 1, (uint8_t)((second >> 1) % 3), {NULL, 0}};
    const struct kbv_dane_question q = {
        .reference_names = {names, sizeof(names)},
        .role = first & 4 ? KBV_ROLE_CLIENT : KBV_ROLE_SERVER,
        .level = first >> 5 & 3,
        .effort = 128,
        .now = NOW,
    };
    struct kbv_dane_chain *chain;
    struct kbv_dane_result r;
    struct kbv_presented p;
    enum kbv_dane_finding finding;

    if (dane == NULL)
        dane = kbv_dane_create(NULL);
    REQUIRE(dane != NULL);
    a.data = kbv_reader_octets(&in, kbv_reader_u16(&in));
    if (in.failed ||
        kbv_presented_read(KBV_MATERIAL_CHAIN, (struct kbv_slice){in.p, in.left}, &p) != KBV_OK)
        return 0;
    if (a.usage == 3) {
        /* A key that nobody can use, such as a point beside its curve, OpenSSL refuses whatever the
         * record; nobody can prove to have it either. */
        if (kbv_match(&p, &a) != KBV_MATCH_YES)
            REQUIRE(openssl_matches(&p, &a) != 1);
        else if (is_usable_key(p.spki))
            REQUIRE(openssl_matches(&p, &a) != 0);
        return 0;
    }
    if (kbv_dane_chain_read(&p, &chain) != KBV_OK)
        return 0;
    finding = kbv_dane_verify(dane, chain, &a, &q, &r);
    REQUIRE((finding == KBV_DANE_YES) == (r.reason == NULL));
    REQUIRE((finding == KBV_DANE_YES || finding == KBV_DANE_WEAK) == (r.depth >= 0));
    if (r.depth >= 0) {
        REQUIRE(a.usage == 2 && r.depth >= 1 && r.not_after > NOW); /* without a store */
        REQUIRE(r.searched);
    } else {
        REQUIRE(strlen(r.reason) <= 120);
    }
    kbv_dane_chain_delete(chain);
    REQUIRE(ERR_peek_error() == 0);
    return 0;
}
