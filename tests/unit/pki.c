/* SPDX-License-Identifier: BSD-3-Clause */
/* See pki.h. */
#include "tests/unit/pki.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

EVP_PKEY *pki_key(const char *type, unsigned number)
{
    static struct {
        char type[16];
        unsigned number;
        EVP_PKEY *key;
    } keys[64];
    size_t i = 0;

    while (i < 64 && keys[i].key != NULL &&
           (strcmp(keys[i].type, type) != 0 || keys[i].number != number))
        i++;
    ck_assert_uint_lt(i, 64);
    if (keys[i].key == NULL) {
        snprintf(keys[i].type, sizeof(keys[i].type), "%s", type);
        keys[i].number = number;
        keys[i].key = strncmp(type, "RSA-", 4) == 0 ? EVP_RSA_gen((unsigned)atoi(type + 4))
                      : strncmp(type, "ED", 2) == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, type)
                                                    : EVP_EC_gen(type);
        ck_assert_ptr_nonnull(keys[i].key);
    }
    return keys[i].key;
}

static void add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *e;

    if (value == NULL)
        return;
    X509V3_set_ctx(&ctx, issuer != NULL ? issuer : x, x, NULL, NULL, 0);
    e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ck_assert_msg(e != NULL && X509_add_ext(x, e, -1), "bad extension in a test: %s", value);
    X509_EXTENSION_free(e);
}

static void set_time(ASN1_TIME *t, int64_t time)
{
    ck_assert_ptr_nonnull(ASN1_TIME_set(t, (time_t)time));
}

X509 *pki_make(const struct pki_spec *spec)
{
    static long serial;
    const bool no_dates = spec->from == 0 && spec->to == 0;
    X509 *x = X509_new();
    X509_NAME *name;

    ck_assert_ptr_nonnull(x);
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
    set_time(X509_getm_notBefore(x), PKI_NOW + (no_dates ? -PKI_DAY : spec->from));
    set_time(X509_getm_notAfter(x), PKI_NOW + (no_dates ? 10 * PKI_DAY : spec->to));
    name = X509_get_subject_name(x);
    if (spec->subject != NULL)
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)spec->subject, -1, -1,
                                   0);
    X509_set_issuer_name(x, spec->issuer != NULL ? X509_get_subject_name(spec->issuer) : name);
    X509_set_pubkey(x, spec->key);
    if (spec->ca)
        add_extension(x, NULL, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(x, NULL, NID_subject_alt_name, spec->san);
    add_extension(x, NULL, NID_ext_key_usage, spec->eku);
    add_extension(x, NULL, NID_name_constraints, spec->constraints);
    if (spec->key_ids) {
        add_extension(x, NULL, NID_subject_key_identifier, "hash");
        add_extension(x, spec->issuer, NID_authority_key_identifier, "keyid");
    }
    ck_assert_int_gt(
        X509_sign(x, spec->signer != NULL ? spec->signer : spec->key,
                  EVP_PKEY_is_a(spec->signer != NULL ? spec->signer : spec->key, "ED25519") ? NULL
                  : spec->md != NULL ? spec->md
                                     : EVP_sha256()),
        0);
    return x;
}

struct pki_octets pki_der(X509 *x)
{
    struct pki_octets o = {NULL, 0};
    int len = i2d_X509(x, &o.p);

    ck_assert_int_gt(len, 0);
    o.len = (size_t)len;
    return o;
}

void pki_octets_free(struct pki_octets *o)
{
    OPENSSL_free(o->p);
    *o = (struct pki_octets){NULL, 0};
}

void pki_trial_add_octets(struct pki_trial *t, uint8_t usage, uint8_t selector, uint8_t mtype,
                          const uint8_t *data, size_t len)
{
    struct pki_octets *o = &t->records[t->n_records++];

    ck_assert_uint_le(t->n_records, PKI_RECORDS_MAX);
    o->p = OPENSSL_malloc(3 + len);
    o->len = 3 + len;
    o->p[0] = usage;
    o->p[1] = selector;
    o->p[2] = mtype;
    memcpy(o->p + 3, data, len);
}

void pki_trial_add_digest(struct pki_trial *t, uint8_t usage, uint8_t selector, uint8_t mtype,
                          struct kbv_slice whole)
{
    uint8_t digest[64];

    if (mtype == 0)
        pki_trial_add_octets(t, usage, selector, mtype, whole.p, whole.len);
    else if (mtype == 1)
        pki_trial_add_octets(t, usage, selector, mtype, SHA256(whole.p, whole.len, digest), 32);
    else
        pki_trial_add_octets(t, usage, selector, mtype, SHA512(whole.p, whole.len, digest), 64);
}

void pki_trial_add(struct pki_trial *t, uint8_t usage, uint8_t selector, uint8_t mtype, X509 *x)
{
    struct pki_octets whole = {NULL, 0};

    if (selector == 0)
        whole = pki_der(x);
    else
        whole.len = (size_t)i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &whole.p);
    pki_trial_add_digest(t, usage, selector, mtype, (struct kbv_slice){whole.p, whole.len});
    pki_octets_free(&whole);
}

void pki_trial_send(struct pki_trial *t, X509 *x)
{
    ck_assert_uint_lt(t->n_chain, KBV_CHAIN_MAX);
    t->chain[t->n_chain++] = pki_der(x);
}

/* Evidence of a secure TLSA RRset with those records, good for an hour. */
static void judge_base(struct pki_trial *t, const struct kbv_policy *policy, int64_t now)
{
    struct kbv_slice rr[PKI_RECORDS_MAX];
    struct kbv_rrset tlsa = {
        .type = KBV_TYPE_TLSA,
        .security = KBV_SEC_SECURE,
        .added = now,
        .ttl_end = now + 3600,
        .rr = rr,
        .n_rr = t->n_records,
    };
    struct kbv_evidence e = {
        .finding = KBV_FOUND_TLSA,
        .security = KBV_SEC_SECURE,
        .ede = KBV_EDE_NONE,
        .tlsa = &tlsa,
        .life_end = now + 3600,
    };
    struct kbv_slice host;

    t->owner_wire = octets_from_name(t->owner != NULL ? t->owner : "_443._tcp.js.example.");
    e.owner = tlsa.owner = (struct kbv_slice){t->owner_wire.wire, t->owner_wire.len};
    for (size_t i = 0; i < t->n_records; i++)
        rr[i] = (struct kbv_slice){t->records[i].p, t->records[i].len};
    for (size_t i = 0; i < 3 && t->names[i] != NULL; i++) {
        t->name_wires[i] = octets_from_name(t->names[i]);
        e.reference_names[e.n_reference_names++] =
            (struct kbv_slice){t->name_wires[i].wire, t->name_wires[i].len};
    }
    if (e.n_reference_names == 0) {
        if (!kbv_name_is_server_owner(e.owner.p, e.owner.len, &host.p, &host.len))
            host = e.owner;
        e.reference_names[e.n_reference_names++] = host;
    }
    kbv_judge_base(&e, policy, now, t->associations, sizeof(t->associations), t->name_octets,
                   &t->base);
}

/* What the peer sent, as the option has it; its length. */
static size_t write_material(const struct pki_trial *t, enum kbv_material material, uint8_t *out)
{
    uint8_t *p = out;

    for (size_t i = 0; i < (material == KBV_MATERIAL_CHAIN ? t->n_chain : 1); i++) {
        if (material == KBV_MATERIAL_CHAIN) {
            *p++ = (uint8_t)(t->chain[i].len >> 8);
            *p++ = (uint8_t)t->chain[i].len;
        }
        memcpy(p, t->chain[i].p, t->chain[i].len);
        p += t->chain[i].len;
    }
    return (size_t)(p - out);
}

static void check_encodes(const struct kbv_verdict *v)
{
    static uint8_t octets[KBV_VERDICT_MAX];
    struct kbv_verdict back;
    size_t len;

    ck_assert_int_eq(kbv_verdict_encode(v, octets, sizeof(octets), &len), KBV_OK);
    ck_assert_int_eq(kbv_verdict_decode(&back, octets, len), KBV_OK);
}

enum kbv_status pki_trial_judge(struct pki_trial *t)
{
    static struct kbv_dane *without_store;
    static uint8_t material[65536], spki_hash[KBV_DIGEST_LEN];
    const enum kbv_material kind =
        t->material != KBV_MATERIAL_NONE ? t->material : KBV_MATERIAL_CHAIN;
    const int64_t now = PKI_NOW + t->later;
    struct kbv_policy policy = {
        .max_ttl = 3600,
        .max_negative_ttl = 300,
        .bogus_ttl = 60,
        .pkix = t->pkix,
        .security_level = t->level == 0  ? 2
                          : t->level < 0 ? 0
                                         : (unsigned)t->level,
    };
    struct kbv_presented presented;
    struct kbv_slice octets = {material, 0}, spki;

    if (without_store == NULL)
        without_store = kbv_dane_create(NULL);
    policy.dane = t->dane != NULL ? t->dane : without_store;
    policy.cache = t->cache;
    policy.chains = t->chains;
    ck_assert_ptr_nonnull(policy.dane);
    judge_base(t, &policy, now);
    if (kind >= KBV_MATERIAL_CERT) {
        octets.len = write_material(t, kind, material);
    } else if (kind == KBV_MATERIAL_CERT_SHA256) {
        octets = (struct kbv_slice){SHA256(t->chain[0].p, t->chain[0].len, spki_hash), 32};
    } else {
        ck_assert_int_eq(
            kbv_der_certificate_spki((struct kbv_slice){t->chain[0].p, t->chain[0].len}, &spki),
            KBV_OK);
        octets = spki;
        if (kind == KBV_MATERIAL_SPKI_SHA256)
            octets = (struct kbv_slice){SHA256(spki.p, spki.len, spki_hash), 32};
    }
    t->read = kbv_presented_read(kind, octets, &presented);
    t->depth = -1;
    t->verifications = 0;
    t->reason[0] = '\0';
    if (t->read != KBV_OK)
        return t->v.status = KBV_STATUS_BAD_INPUT;
    presented.client = t->client;
    if (t->around != NULL)
        t->around(true);
    kbv_judge_keyed(&t->base, &presented, &policy, now, &t->v);
    if (t->around != NULL)
        t->around(false);
    t->depth = presented.depth;
    t->verifications = presented.verifications;
    kbv_presented_clear(&presented);
    check_encodes(&t->v);
    ck_assert_int_ne(t->v.status, KBV_STATUS_PUBLISHED);
    ck_assert(t->v.associations.p == NULL && t->v.reference_names.p == NULL);
    ck_assert_uint_le(t->v.reason.len, KBV_REASON_MAX);
    if (t->v.reason.p != NULL)
        memcpy(t->reason, t->v.reason.p, t->v.reason.len);
    t->reason[t->v.reason.len] = '\0';
    return t->v.status;
}

void pki_trial_clear(struct pki_trial *t)
{
    for (size_t i = 0; i < t->n_records; i++)
        pki_octets_free(&t->records[i]);
    for (size_t i = 0; i < t->n_chain; i++)
        pki_octets_free(&t->chain[i]);
    t->n_records = t->n_chain = 0;
}

struct kbv_dane *pki_dane(X509 *const *anchors, size_t n)
{
    char path[] = "/tmp/kbv-pki-XXXXXX", err[256] = "";
    int fd = mkstemp(path);
    FILE *f;
    struct kbv_bundle *bundle;
    struct kbv_dane *d;

    ck_assert_int_ge(fd, 0);
    f = fdopen(fd, "w");
    for (size_t i = 0; i < n; i++)
        ck_assert(PEM_write_X509(f, anchors[i]));
    fclose(f);
    bundle = kbv_bundle_load(path, err, sizeof(err));
    unlink(path);
    ck_assert_msg(bundle != NULL, "%s", err);
    d = kbv_dane_create(bundle);
    kbv_bundle_delete(bundle);
    ck_assert_ptr_nonnull(d);
    return d;
}
