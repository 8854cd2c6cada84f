/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Chains and records through the judge. Usage 3: what is BOUND, OpenSSL's engine accepts at the
 * same security level, and can use the key, without exception; what OpenSSL alone accepts is of a
 * known class. Usage 2: what is BOUND has its dates, a name and a signature that hold by
 * themselves.
 *
 * Octet 0: usage (2 bits), role (1), material (2: chain, certificate, key), security level (2 and
 * 3 are 2 and 3); 1: selector and matching type; then the record's data behind its length in 16
 * bits, and the chain as the option has it.
 */
#include "tests/fuzz/chain_classes.h"

#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "lib/buf.h"
#include "module/core/judge.h"
#include "module/core/match.h"
#include "tests/fuzz/require.h"

enum { NOW = 1800000000 };

unsigned long fuzz_chain_seen[CHAIN_CLASSES];

struct trial {
    struct kbv_association a;
    struct kbv_slice end_entity, spki; /* spki: NULL if the walk cannot tell */
    enum kbv_material material;
    unsigned level;
    bool client;
    enum kbv_err read;
    struct kbv_verdict v;
    int depth;
};

/* ---- OpenSSL's word on usage 3 ---- */

/* A certificate as OpenSSL reads it, with nothing behind it. */
static X509 *read_certificate(struct kbv_slice der)
{
    const uint8_t *p = der.p;
    X509 *x = d2i_X509(NULL, &p, (long)der.len);

    ERR_clear_error();
    if (x != NULL && p != der.p + der.len) {
        X509_free(x);
        x = NULL;
    }
    return x;
}

static bool engine_accepts(const struct trial *t)
{
    static SSL_CTX *ssl_ctx;
    X509 *x = read_certificate(t->end_entity);
    bool accepts = false;
    X509_STORE *store;
    X509_STORE_CTX *ctx;
    SSL *ssl;

    if (x == NULL)
        return false;
    if (ssl_ctx == NULL) {
        ssl_ctx = SSL_CTX_new(TLS_method());
        REQUIRE(SSL_CTX_dane_enable(ssl_ctx) == 1);
    }
    ssl = SSL_new(ssl_ctx);
    store = X509_STORE_new();
    ctx = X509_STORE_CTX_new();
    REQUIRE(ssl != NULL && store != NULL && ctx != NULL);
    REQUIRE(SSL_dane_enable(ssl, "js.op-a.example") == 1);
    SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    if (t->a.data.len != 0 &&
        SSL_dane_tlsa_add(ssl, 3, t->a.selector, t->a.mtype, t->a.data.p, t->a.data.len) == 1) {
        REQUIRE(X509_STORE_CTX_init(ctx, store, x, NULL));
        X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(ctx), SSL_get0_param(ssl));
        X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(ctx), (int)t->level);
        X509_STORE_CTX_set0_dane(ctx, SSL_get0_dane(ssl));
        accepts = X509_verify_cert(ctx) == 1;
    }
    SSL_free(ssl);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    X509_free(x);
    ERR_clear_error();
    return accepts;
}

/* OpenSSL 3.0 has no engine for bare keys: the same by its parts. */
static bool bare_key_accepted(const struct trial *t)
{
    static const int least_bits[] = {0, 80, 112, 128, 192, 256};
    const uint8_t *p = t->spki.p;
    EVP_PKEY *key = t->spki.p != NULL ? d2i_PUBKEY(NULL, &p, (long)t->spki.len) : NULL;
    struct kbv_slice data = t->spki;
    uint8_t digest[64];
    bool accepted;

    accepted = key != NULL && p == t->spki.p + t->spki.len && t->a.selector == 1 &&
               EVP_PKEY_get_security_bits(key) >= least_bits[t->level];
    EVP_PKEY_free(key);
    ERR_clear_error();
    if (!accepted)
        return false;
    if (t->a.mtype == 1)
        data = (struct kbv_slice){SHA256(t->spki.p, t->spki.len, digest), 32};
    if (t->a.mtype == 2)
        data = (struct kbv_slice){SHA512(t->spki.p, t->spki.len, digest), 64};
    return data.len == t->a.data.len && memcmp(data.p, t->a.data.p, data.len) == 0;
}

static bool is_usable_key(const struct trial *t)
{
    X509 *x = t->material == KBV_MATERIAL_SPKI ? NULL : read_certificate(t->end_entity);
    const uint8_t *p = t->spki.p;
    EVP_PKEY *key = x != NULL           ? X509_get_pubkey(x)
                    : t->spki.p != NULL ? d2i_PUBKEY(NULL, &p, (long)t->spki.len)
                                        : NULL;

    EVP_PKEY_free(key);
    X509_free(x);
    ERR_clear_error();
    return key != NULL;
}

/* Would OpenSSL write the certificate as it came, if it did not remember what it read? */
static bool is_written_again(struct kbv_slice der)
{
    X509 *x = read_certificate(der);
    uint8_t *again = NULL;
    bool same;
    int len;

    REQUIRE(x != NULL);
    i2d_re_X509_tbs(x, NULL); /* forgets */
    len = i2d_X509(x, &again);
    same = len > 0 && (size_t)len == der.len && memcmp(again, der.p, der.len) == 0;
    OPENSSL_free(again);
    X509_free(x);
    ERR_clear_error();
    return same;
}

static enum chain_class classify_difference(const struct trial *t)
{
    if (t->v.status == KBV_STATUS_BAD_INPUT) {
        if (!is_written_again(t->end_entity))
            return CHAIN_BER;
        return t->spki.p == NULL ? CHAIN_WALK : CHAIN_BEHIND;
    }
    REQUIRE(t->v.status == KBV_STATUS_DOWNGRADE);
    REQUIRE(is_usable_key(t) && t->level > 0 && kbv_der_spki_level(t->spki) == 0);
    return CHAIN_NO_NAME;
}

static void check_end_entity(const struct trial *t)
{
    const bool bound = t->v.status == KBV_STATUS_BOUND;
    const bool accepts =
        t->material == KBV_MATERIAL_SPKI ? bare_key_accepted(t) : engine_accepts(t);

    if (bound) {
        REQUIRE(accepts);
        REQUIRE(is_usable_key(t));
        REQUIRE(t->depth == 0 && (t->v.flags & KBV_FLAG_DATES) == 0);
    }
    fuzz_chain_seen[bound == accepts ? bound ? CHAIN_BOTH_ACCEPT : CHAIN_BOTH_REFUSE
                                     : classify_difference(t)]++;
}

/* ---- usage 2, by its parts ---- */

static bool verifies_with(X509 *x, EVP_PKEY *key)
{
    bool verifies = key != NULL && X509_verify(x, key) == 1;

    ERR_clear_error();
    return verifies;
}

/* A key of another certificate that was sent, or of the record, made the end entity's signature. */
static bool is_signed_by_another(X509 *x, const struct kbv_presented *p,
                                 const struct kbv_association *a)
{
    const uint8_t *der = a->data.p;
    EVP_PKEY *key;
    X509 *other;
    bool found;

    if (a->mtype == 0) {
        other = a->selector == 0 ? d2i_X509(NULL, &der, (long)a->data.len) : NULL;
        key = a->selector == 0 ? X509_get_pubkey(other) : d2i_PUBKEY(NULL, &der, (long)a->data.len);
        found = verifies_with(x, key);
        EVP_PKEY_free(key);
        X509_free(other);
        if (found)
            return true;
    }
    for (size_t i = 1; i < p->n_chain; i++) {
        other = read_certificate(p->chain[i]);
        found = other != NULL && verifies_with(x, X509_get0_pubkey(other));
        X509_free(other);
        if (found)
            return true;
    }
    return false;
}

static void check_anchor(const struct trial *t, const struct kbv_presented *p)
{
    X509 *x;
    time_t now = NOW;

    if (t->v.status != KBV_STATUS_BOUND)
        return;
    REQUIRE(t->a.usage == 2 && t->depth >= 1 && (t->v.flags & KBV_FLAG_DATES) != 0);
    REQUIRE(t->v.not_after > NOW);
    x = read_certificate(t->end_entity);
    REQUIRE(x != NULL);
    REQUIRE(X509_cmp_time(X509_get0_notBefore(x), &now) < 0);
    REQUIRE(X509_cmp_time(X509_get0_notAfter(x), &now) > 0);
    REQUIRE(X509_check_host(x, t->client ? "_ns-client.ns.op-a.example" : "js.op-a.example", 0,
                            X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1);
    REQUIRE(is_signed_by_another(x, p, &t->a));
    X509_free(x);
}

/* ---- the trial ---- */

static const uint8_t server[] = "\4_443\4_tcp\2js\4op-a\7example";
static const uint8_t client[] = "\12_ns-client\2ns\4op-a\7example";

/* A secure RRset of one record, and what follows from it. */
static void judge(struct trial *t, struct kbv_presented *p, const struct kbv_dane *dane)
{
    static uint8_t associations[KBV_ASSOCIATIONS_MAX], rdata[3 + UINT16_MAX],
        names[KBV_REFERENCE_NAMES_MAX * KBV_NAME_MAX];
    const struct kbv_policy policy = {
        .max_ttl = 3600, .max_negative_ttl = 300, .security_level = t->level, .dane = dane};
    struct kbv_slice rr = {rdata, 3 + t->a.data.len};
    struct kbv_rrset tlsa = {.type = KBV_TYPE_TLSA,
                             .security = KBV_SEC_SECURE,
                             .ttl_end = NOW + 3600,
                             .rr = &rr,
                             .n_rr = 1};
    struct kbv_evidence e = {.finding = KBV_FOUND_TLSA,
                             .security = KBV_SEC_SECURE,
                             .ede = KBV_EDE_NONE,
                             .tlsa = &tlsa,
                             .life_end = NOW + 3600,
                             .n_reference_names = 1};
    struct kbv_verdict base;

    rdata[0] = t->a.usage;
    rdata[1] = t->a.selector;
    rdata[2] = t->a.mtype;
    if (t->a.data.len != 0)
        memcpy(rdata + 3, t->a.data.p, t->a.data.len);
    e.owner = t->client ? (struct kbv_slice){client, sizeof(client)}
                        : (struct kbv_slice){server, sizeof(server)};
    e.reference_names[0] =
        t->client ? e.owner : (struct kbv_slice){server + 10, sizeof(server) - 10};
    tlsa.owner = e.owner;
    kbv_judge_base(&e, &policy, NOW, associations, sizeof(associations), names, &base);
    kbv_judge_keyed(&base, p, &policy, NOW, &t->v);
    t->depth = p->depth;
    REQUIRE(t->v.reason.len <= KBV_REASON_MAX);
    REQUIRE((t->v.status == KBV_STATUS_BOUND || t->v.status == KBV_STATUS_DOWNGRADE) ==
            (t->depth >= 0));
    REQUIRE(t->depth >= 0 || t->v.match.usage == 255);
}

/* The material's octets; in is where the chain begins. */
static struct kbv_slice material_of(struct trial *t, struct kbv_reader in)
{
    struct kbv_slice chain = {in.p, in.left};

    t->end_entity = kbv_reader_octets(&in, kbv_reader_u16(&in));
    if (in.failed || kbv_der_certificate_spki(t->end_entity, &t->spki) != KBV_OK)
        t->spki = (struct kbv_slice){NULL, 0};
    switch (t->material) {
    case KBV_MATERIAL_CERT:
        return t->end_entity;
    case KBV_MATERIAL_SPKI:
        return t->spki;
    default:
        return chain;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const enum kbv_material materials[] = {KBV_MATERIAL_CHAIN, KBV_MATERIAL_CERT,
                                                  KBV_MATERIAL_SPKI, KBV_MATERIAL_CHAIN};
    static struct kbv_dane *dane;
    struct kbv_reader in = kbv_reader_on(data, len);
    const uint8_t first = kbv_reader_u8(&in), second = kbv_reader_u8(&in);
    struct trial t = {
        .a = {first & 3, second & 1, (uint8_t)((second >> 1) % 3), {NULL, 0}},
        .material = materials[first >> 3 & 3],
        .level = first >> 5 & 3,
        .client = first & 4,
    };
    struct kbv_presented p = {.n_chain = 0};
    struct kbv_slice material;

    if (dane == NULL)
        dane = kbv_dane_create(NULL);
    REQUIRE(dane != NULL);
    t.a.data = kbv_reader_octets(&in, kbv_reader_u16(&in));
    material = material_of(&t, in);
    if (in.failed || t.end_entity.p == NULL || t.end_entity.len == 0)
        return 0;
    t.read = material.p != NULL ? kbv_presented_read(t.material, material, &p) : KBV_ERR_FORMAT;
    t.v.status = KBV_STATUS_BAD_INPUT;
    if (t.read == KBV_OK)
        judge(&t, &p, dane);
    REQUIRE(ERR_peek_error() == 0);
    if (t.a.usage == 3)
        check_end_entity(&t);
    else
        check_anchor(&t, &p);
    kbv_presented_clear(&p);
    return 0;
}
