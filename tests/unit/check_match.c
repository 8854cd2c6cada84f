/* SPDX-License-Identifier: BSD-3-Clause */
/* Strict DER, and what a digest decides about a TLSA record. */
#include "module/core/match.h"

#include <check.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "tests/unit/certificate.h"

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

/* ---- certificates put together ---- */

static const struct {
    const char *what;
    struct certificate certificate;
    int good;
} certificates[] = {
    {"the smallest", {NULL}, 1},
    {"v2", {.version = "a0 03 02 01 01"}, 1},
    {"v3", {.version = "a0 03 02 01 02"}, 1},
    {"negative serial", {.serial = "02 01 ff"}, 1},
    {"serial with a needed zero octet", {.serial = "02 02 00 80"}, 1},
    {"algorithm with NULL", {.algorithm = "30 05 06 01 2a 05 00"}, 1},
    {"algorithm with an OID", {.algorithm = "30 08 06 01 2a 06 03 2a 81 00"}, 1},
    {"algorithm with a SEQUENCE", {.algorithm = "30 05 06 01 2a 30 00"}, 1},
    {"unused bits in the signature", {.signature = "03 02 04 f0"}, 1},
    {"the most unused bits", {.signature = "03 02 07 80"}, 1},
    {"extensions", {.rest = "a3 02 30 00"}, 1},
    {"unique identifiers and extensions", {.rest = "81 01 00 82 02 01 fe a3 02 30 00"}, 1},

    {"v1 spelt out, which is the default", {.version = "a0 03 02 01 00"}, 0},
    {"v4", {.version = "a0 03 02 01 03"}, 0},
    {"version of two octets", {.version = "a0 04 02 02 00 02"}, 0},
    {"empty version", {.version = "a0 00"}, 0},
    {"version and more", {.version = "a0 05 02 01 02 05 00"}, 0},
    {"version without its tag", {.version = "02 01 02"}, 0},
    {"no serial", {.serial = ""}, 0},
    {"empty serial", {.serial = "02 00"}, 0},
    {"serial with a leading zero", {.serial = "02 02 00 01"}, 0},
    {"serial with leading ones", {.serial = "02 02 ff 80"}, 0},
    {"serial of another type", {.serial = "0a 01 01"}, 0},
    {"algorithm without OID", {.algorithm = "30 00"}, 0},
    {"algorithm with an empty OID", {.algorithm = "30 02 06 00"}, 0},
    {"algorithm with a cut OID", {.algorithm = "30 04 06 02 2a 86"}, 0},
    {"algorithm with a padded OID", {.algorithm = "30 05 06 03 2a 80 01"}, 0},
    {"algorithm with an OID padded at once", {.algorithm = "30 04 06 02 80 2a"}, 0},
    {"algorithm with an OID in two pieces", {.algorithm = "30 05 26 03 06 01 2a"}, 0},
    {"algorithm with a NULL that is not empty", {.algorithm = "30 06 06 01 2a 05 01 00"}, 0},
    {"algorithm with an INTEGER", {.algorithm = "30 06 06 01 2a 02 01 00"}, 0},
    {"algorithm with a string in pieces", {.algorithm = "30 05 06 01 2a 3a 00"}, 0},
    {"algorithm with an empty OID as parameter", {.algorithm = "30 05 06 01 2a 06 00"}, 0},
    {"algorithm with two parameters", {.algorithm = "30 07 06 01 2a 05 00 05 00"}, 0},
    {"issuer is a SET", {.issuer = "31 00"}, 0},
    {"no validity", {.validity = ""}, 0},
    {"subject in indefinite length", {.subject = "30 80 00 00"}, 0},
    {"key is no SEQUENCE", {.spki = "31 09 30 03 06 01 2a 03 02 00 04"}, 0},
    {"key without algorithm", {.spki = "30 04 03 02 00 04"}, 0},
    {"key without key", {.spki = "30 05 30 03 06 01 2a"}, 0},
    {"key in an OCTET STRING", {.spki = "30 09 30 03 06 01 2a 04 02 00 04"}, 0},
    {"key with empty BIT STRING", {.spki = "30 07 30 03 06 01 2a 03 00"}, 0},
    {"key with 8 unused bits", {.spki = "30 09 30 03 06 01 2a 03 02 08 00"}, 0},
    {"key with unused bits of nothing", {.spki = "30 08 30 03 06 01 2a 03 01 01"}, 0},
    {"key whose unused bit is set", {.spki = "30 09 30 03 06 01 2a 03 02 01 01"}, 0},
    {"key and more", {.spki = "30 0b 30 03 06 01 2a 03 02 00 04 05 00"}, 0},
    {"key in BER length", {.spki = "30 81 09 30 03 06 01 2a 03 02 00 04"}, 0},
    {"key's algorithm longer than the key", {.spki = "30 09 30 08 06 01 2a 03 02 00 04"}, 0},
    {"key's algorithm in indefinite length", {.spki = "30 0b 30 80 06 01 2a 00 00 03 02 00 04"}, 0},
    {"extensions before identifiers", {.rest = "a3 02 30 00 81 01 00"}, 0},
    {"identifiers in wrong order", {.rest = "82 01 00 81 01 00"}, 0},
    {"identifier without unused bits", {.rest = "81 00"}, 0},
    {"extensions twice", {.rest = "a3 02 30 00 a3 02 30 00"}, 0},
    {"extensions are no SEQUENCE", {.rest = "a3 02 31 00"}, 0},
    {"empty extensions", {.rest = "a3 00"}, 0},
    {"extensions and more", {.rest = "a3 04 30 00 05 00"}, 0},
    {"an unknown tag at the end", {.rest = "a4 00"}, 0},
    {"a tag of two octets at the end", {.rest = "bf 1f 00"}, 0},
    {"a stray octet at the end", {.rest = "00"}, 0},
    {"no outer algorithm", {.outer_algorithm = ""}, 0},
    {"no signature", {.signature = ""}, 0},
    {"signature in an OCTET STRING", {.signature = "04 01 00"}, 0},
    {"empty signature", {.signature = "03 00"}, 0},
    {"something after the signature", {.outer_rest = "05 00"}, 0},
};

START_TEST(certificates_have_one_shape)
{
    uint8_t der[CERTIFICATE_MAX], spki_der[64];
    size_t len = certificate_make(&certificates[_i].certificate, der);
    size_t spki_len = octets_from_hex(CERTIFICATE_SPKI, spki_der, sizeof(spki_der));
    struct kbv_slice spki = {NULL, 7};
    enum kbv_err err = kbv_der_certificate_spki((struct kbv_slice){der, len}, &spki);
    const char *part = certificates[_i].certificate.spki;

    ck_assert_msg((err == KBV_OK) == (certificates[_i].good == 1), "%s", certificates[_i].what);
    if (err != KBV_OK) {
        ck_assert_int_eq(err, KBV_ERR_FORMAT);
        ck_assert(spki.p == NULL && spki.len == 7);
        if (part == NULL)
            return;
        /* A key that is bad in a certificate is bad alone. */
        spki_len = octets_from_hex(part, spki_der, sizeof(spki_der));
        ck_assert_msg(kbv_der_spki_check((struct kbv_slice){spki_der, spki_len}) == KBV_ERR_FORMAT,
                      "%s", certificates[_i].what);
        return;
    }
    ck_assert(spki.p > der && spki.p + spki.len <= der + len);
    ck_assert_uint_eq(spki.len, spki_len);
    ck_assert_mem_eq(spki.p, spki_der, spki_len);
}
END_TEST

static const char *const outer_lengths[] = {
    "30 81 23",       /* long form for a short length */
    "30 82 00 23",    /* and with a leading zero */
    "30 83 000023",   /* and more of them */
    "30 84 00000023", /* and more of them */
    "30 80",          /* indefinite */
    "30 22",          /* one octet short */
    "30 24",          /* one octet long */
    "30 ff",          /* reserved, X.690 section 8.1.3.5 */
    "30 88 ffffffffffffffff",
    "10 23",    /* primitive */
    "3f 10 23", /* the same tag in several octets */
};

START_TEST(lengths_have_one_spelling)
{
    uint8_t good[CERTIFICATE_MAX], der[CERTIFICATE_MAX];
    size_t good_len = certificate_make(&(struct certificate){NULL}, good);
    size_t header = octets_from_hex(outer_lengths[_i], der, sizeof(der));
    struct kbv_slice spki;

    ck_assert_uint_eq(good_len, 2 + 0x23);
    memcpy(der + header, good + 2, good_len - 2);
    ck_assert_msg(kbv_der_certificate_spki((struct kbv_slice){der, header + good_len - 2}, &spki) ==
                      KBV_ERR_FORMAT,
                  "%s", outer_lengths[_i]);
}
END_TEST

/* A key of that many octets, its length spelt in these. 0x80 is no length, although so many octets
 * follow. */
static const struct {
    const char *lengths; /* of the BIT STRING */
    size_t octets;
    int good;
} key_lengths[] = {
    {"7f", 0x7F, 1},         {"81 80", 0x80, 1},        {"81 ff", 0xFF, 1},   {"82 0100", 0x100, 1},
    {"80", 0x80, 0},         {"81 7f", 0x7F, 0},        {"82 0080", 0x80, 0}, {"82 00ff", 0xFF, 0},
    {"83 000100", 0x100, 0}, {"84 00000100", 0x100, 0},
};

START_TEST(a_length_is_spelt_as_short_as_can_be)
{
    uint8_t der[512] = {0x30, 0x82};
    size_t n = 4;

    n += octets_from_hex(CERTIFICATE_ALGORITHM "03", der + n, 16);
    n += octets_from_hex(key_lengths[_i].lengths, der + n, 16);
    n += key_lengths[_i].octets; /* zeros, the number of unused bits first */
    der[2] = (uint8_t)((n - 4) >> 8);
    der[3] = (uint8_t)(n - 4);
    if (n - 4 < 256) {
        memmove(der + 2, der + 3, n - 3);
        der[1] = 0x81;
        n--;
    }
    ck_assert_msg((kbv_der_spki_check((struct kbv_slice){der, n}) == KBV_OK) ==
                      (key_lengths[_i].good == 1),
                  "%s", key_lengths[_i].lengths);
}
END_TEST

/* ---- certificates as OpenSSL makes them ---- */

static EVP_PKEY *make_key(const char *type)
{
    EVP_PKEY *key = strcmp(type, "EC") == 0    ? EVP_EC_gen("P-256")
                    : strcmp(type, "RSA") == 0 ? EVP_RSA_gen(2048)
                                               : EVP_PKEY_Q_keygen(NULL, NULL, type);

    ck_assert_ptr_nonnull(key);
    return key;
}

/* A self-signed certificate; the caller frees it with OPENSSL_free(). */
static uint8_t *make_certificate(EVP_PKEY *key, int extensions, int *len)
{
    X509 *x = X509_new();
    X509_NAME *name = X509_get_subject_name(x);
    uint8_t *der = NULL;

    ASN1_INTEGER_set(X509_get_serialNumber(x), 200);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"js.example", -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_set_pubkey(x, key);
    if (extensions) {
        X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:js.example");

        X509_set_version(x, 2);
        X509_add_ext(x, e, -1);
        X509_EXTENSION_free(e);
    }
    ck_assert_int_gt(X509_sign(x, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256()), 0);
    *len = i2d_X509(x, &der);
    ck_assert_int_gt(*len, 0);
    X509_free(x);
    return der;
}

static const char *const key_types[] = {"EC", "RSA", "ED25519"};

START_TEST(openssl_finds_the_same_key)
{
    EVP_PKEY *key = make_key(key_types[_i / 2]);
    uint8_t *spki_der = NULL, *der;
    int len, spki_len = i2d_PUBKEY(key, &spki_der);
    struct kbv_slice spki;

    der = make_certificate(key, _i % 2, &len);
    ck_assert_int_eq(kbv_der_certificate_spki((struct kbv_slice){der, (size_t)len}, &spki), KBV_OK);
    ck_assert_uint_eq(spki.len, (size_t)spki_len);
    ck_assert_mem_eq(spki.p, spki_der, spki.len);
    ck_assert_int_eq(kbv_der_spki_check(spki), KBV_OK);
    ck_assert_int_eq(kbv_der_spki_check((struct kbv_slice){der, (size_t)len}), KBV_ERR_FORMAT);
    OPENSSL_free(spki_der);
    OPENSSL_free(der);
    EVP_PKEY_free(key);
}
END_TEST

/* Every beginning of a certificate, in storage of its own for the sanitizer; and one octet more. */
START_TEST(a_certificate_is_whole_and_alone)
{
    EVP_PKEY *key = make_key("EC");
    int len;
    uint8_t *der = make_certificate(key, 1, &len);
    struct kbv_slice spki;

    for (size_t cut = 0; cut < (size_t)len; cut++) {
        uint8_t *part = malloc(cut + 1);

        memcpy(part, der, cut);
        part = realloc(part, cut != 0 ? cut : 1);
        ck_assert_msg(kbv_der_certificate_spki((struct kbv_slice){part, cut}, &spki) ==
                          KBV_ERR_FORMAT,
                      "%zu of %d octets", cut, len);
        free(part);
    }
    der = OPENSSL_realloc(der, (size_t)len + 1);
    der[len] = 0;
    ck_assert_int_eq(kbv_der_certificate_spki((struct kbv_slice){der, (size_t)len + 1}, &spki),
                     KBV_ERR_FORMAT);
    OPENSSL_free(der);
    EVP_PKEY_free(key);
}
END_TEST

/* ---- what a digest decides ---- */

enum { Y = KBV_MATCH_YES, N = KBV_MATCH_NO, U = KBV_MATCH_UNDECIDED };

/* The same key as the record's or another one, known by its SPKI's or its certificate's digest. */
static const struct {
    uint8_t usage, selector, mtype;
    int spki_same, spki_other, cert_same, cert_other;
} decisions[] = {
    {0, 0, 0, U, U, U, U}, {0, 0, 1, U, U, U, U},   {0, 0, 2, U, U, U, U}, {0, 1, 0, U, U, U, U},
    {0, 1, 1, U, U, U, U}, {0, 1, 2, U, U, U, U},   {1, 0, 0, U, N, U, N}, {1, 0, 1, U, U, U, N},
    {1, 0, 2, U, U, U, U}, {1, 1, 0, U, N, U, U},   {1, 1, 1, U, N, U, U}, {1, 1, 2, U, U, U, U},
    {2, 0, 0, U, U, U, U}, {2, 0, 1, U, U, U, U},   {2, 0, 2, U, U, U, U}, {2, 1, 0, U, U, U, U},
    {2, 1, 1, U, U, U, U}, {2, 1, 2, U, U, U, U},   {3, 0, 0, U, N, Y, N}, {3, 0, 1, U, U, Y, N},
    {3, 0, 2, U, U, U, U}, {3, 1, 0, Y, N, U, U},   {3, 1, 1, Y, N, U, U}, {3, 1, 2, U, U, U, U},
    {4, 1, 1, U, U, U, U}, {255, 1, 1, U, U, U, U}, {3, 2, 1, U, U, U, U}, {3, 1, 3, U, U, U, U},
};

/* A certificate, its key, and the data of a record for it. */
struct key {
    uint8_t der[CERTIFICATE_MAX];
    struct kbv_slice cert, spki;
    uint8_t digest[64];
};

static void key_make(struct key *k, const char *spki)
{
    k->cert =
        (struct kbv_slice){k->der, certificate_make(&(struct certificate){.spki = spki}, k->der)};
    ck_assert_int_eq(kbv_der_certificate_spki(k->cert, &k->spki), KBV_OK);
}

static struct kbv_slice key_data(struct key *k, uint8_t selector, uint8_t mtype)
{
    struct kbv_slice whole = selector == 0 ? k->cert : k->spki;

    if (mtype == 0)
        return whole;
    if (mtype == 2) {
        SHA512(whole.p, whole.len, k->digest);
        return (struct kbv_slice){k->digest, 64};
    }
    SHA256(whole.p, whole.len, k->digest);
    return (struct kbv_slice){k->digest, 32};
}

static struct kbv_subject key_subject(const struct key *k, enum kbv_subject_kind kind)
{
    struct kbv_subject subject = {.kind = kind};
    struct kbv_slice whole = kind == KBV_SUBJECT_CERT ? k->cert : k->spki;

    SHA256(whole.p, whole.len, subject.digest);
    return subject;
}

static void check_decision(const struct key *presented, enum kbv_subject_kind kind,
                           const struct kbv_association *a, int expected)
{
    struct kbv_subject subject = key_subject(presented, kind);

    ck_assert_msg((int)kbv_match_digest(&subject, a) == expected, "%u %u %u against kind %d",
                  a->usage, a->selector, a->mtype, (int)kind);
}

START_TEST(a_digest_decides_what_it_can)
{
    struct key same, other;
    struct kbv_association a = {
        .usage = decisions[_i].usage,
        .selector = decisions[_i].selector,
        .mtype = decisions[_i].mtype,
    };

    key_make(&same, NULL);
    key_make(&other, "30 09 30 03 06 01 2a 03 02 00 05");
    a.data = key_data(&same, a.selector, a.mtype);
    check_decision(&same, KBV_SUBJECT_SPKI, &a, decisions[_i].spki_same);
    check_decision(&other, KBV_SUBJECT_SPKI, &a, decisions[_i].spki_other);
    check_decision(&same, KBV_SUBJECT_CERT, &a, decisions[_i].cert_same);
    check_decision(&other, KBV_SUBJECT_CERT, &a, decisions[_i].cert_other);
    check_decision(&same, KBV_SUBJECT_NONE, &a, KBV_MATCH_UNDECIDED);
}
END_TEST

START_TEST(every_bit_of_a_digest_counts)
{
    struct kbv_subject subject = {.kind = KBV_SUBJECT_SPKI};
    uint8_t data[32];
    struct kbv_association a = {3, 1, 1, {data, 32}};

    for (int bit = 0; bit < 256; bit++) {
        memset(data, 0x5A, sizeof(data));
        memcpy(subject.digest, data, sizeof(data));
        ck_assert_int_eq(kbv_match_digest(&subject, &a), KBV_MATCH_YES);
        data[bit / 8] ^= (uint8_t)(1 << (bit % 8));
        ck_assert_int_eq(kbv_match_digest(&subject, &a), KBV_MATCH_NO);
    }
}
END_TEST

/* Somebody published SHA-256("") and somebody presents it (seen in the field). */
START_TEST(the_digest_of_nothing_matches_nothing)
{
    struct kbv_subject subject = {.kind = (enum kbv_subject_kind)_i};
    uint8_t data[32];
    struct kbv_association a = {3, _i == KBV_SUBJECT_SPKI, 1, {data, 32}};

    SHA256((const uint8_t *)"", 0, data);
    memcpy(subject.digest, data, sizeof(data));
    ck_assert_int_eq(kbv_match_digest(&subject, &a), KBV_MATCH_NO);
    a.usage = 1;
    ck_assert_int_eq(kbv_match_digest(&subject, &a), KBV_MATCH_NO);
}
END_TEST

START_TEST(a_malformed_record_decides_nothing)
{
    struct key k;
    struct kbv_subject subject;
    struct kbv_association a = {3, 1, 1, {NULL, 0}};

    key_make(&k, NULL);
    subject = key_subject(&k, KBV_SUBJECT_SPKI);
    a.data = key_data(&k, 1, 1);
    a.data.len = 31; /* the first 31 octets are those of the key's digest */
    ck_assert_int_eq(kbv_match_digest(&subject, &a), KBV_MATCH_UNDECIDED);
    a.data.len = 0;
    ck_assert_int_eq(kbv_match_digest(&subject, &a), KBV_MATCH_UNDECIDED);
    a = (struct kbv_association){3, 0, 0, {k.cert.p, k.cert.len - 1}};
    ck_assert_int_eq(kbv_match_digest(&subject, &a), KBV_MATCH_UNDECIDED);
}
END_TEST

/* ---- what keys and certificates decide ---- */

static const struct {
    uint8_t usage, selector, mtype;
    int key_same, key_other, cert_same, cert_other;
} material_decisions[] = {
    {0, 0, 0, U, U, U, U}, {0, 0, 1, U, U, U, U}, {0, 1, 1, U, U, U, U}, {0, 1, 2, U, U, U, U},
    {1, 0, 0, U, N, U, N}, {1, 0, 1, U, U, U, N}, {1, 0, 2, U, U, U, N}, {1, 1, 0, U, N, U, N},
    {1, 1, 1, U, N, U, N}, {1, 1, 2, U, N, U, N}, {2, 0, 0, U, U, U, U}, {2, 0, 1, U, U, U, U},
    {2, 1, 0, U, U, U, U}, {2, 1, 2, U, U, U, U}, {3, 0, 0, U, N, Y, N}, {3, 0, 1, U, U, Y, N},
    {3, 0, 2, U, U, Y, N}, {3, 1, 0, Y, N, Y, N}, {3, 1, 1, Y, N, Y, N}, {3, 1, 2, Y, N, Y, N},
    {4, 1, 1, U, U, U, U}, {3, 2, 1, U, U, U, U}, {3, 1, 3, U, U, U, U}, {3, 0, 3, U, U, U, U},
};

static void check_material(const struct key *presented, enum kbv_material kind,
                           const struct kbv_association *a, int expected)
{
    struct kbv_presented p;
    uint8_t chain[2 + CERTIFICATE_MAX] = {(uint8_t)(presented->cert.len >> 8),
                                          (uint8_t)presented->cert.len};
    struct kbv_slice material = kind == KBV_MATERIAL_SPKI ? presented->spki : presented->cert;

    if (kind == KBV_MATERIAL_CHAIN) {
        memcpy(chain + 2, presented->cert.p, presented->cert.len);
        material = (struct kbv_slice){chain, 2 + presented->cert.len};
    }
    ck_assert_int_eq(kbv_presented_read(kind, material, &p), KBV_OK);
    for (int again = 0; again < 2; again++)
        ck_assert_msg((int)kbv_match(&p, a) == expected, "%u %u %u against material %d", a->usage,
                      a->selector, a->mtype, (int)kind);
    kbv_presented_clear(&p);
}

START_TEST(a_key_or_certificate_decides_what_it_can)
{
    struct key same, other;
    struct kbv_association a = {
        .usage = material_decisions[_i].usage,
        .selector = material_decisions[_i].selector,
        .mtype = material_decisions[_i].mtype,
    };

    key_make(&same, NULL);
    key_make(&other, "30 09 30 03 06 01 2a 03 02 00 05");
    a.data = key_data(&same, a.selector, a.mtype);
    check_material(&same, KBV_MATERIAL_SPKI, &a, material_decisions[_i].key_same);
    check_material(&other, KBV_MATERIAL_SPKI, &a, material_decisions[_i].key_other);
    check_material(&same, KBV_MATERIAL_CERT, &a, material_decisions[_i].cert_same);
    check_material(&other, KBV_MATERIAL_CERT, &a, material_decisions[_i].cert_other);
    check_material(&same, KBV_MATERIAL_CHAIN, &a, material_decisions[_i].cert_same);
    check_material(&other, KBV_MATERIAL_CHAIN, &a, material_decisions[_i].cert_other);
}
END_TEST

/* Same length, same beginning, or a part of it: not the same. */
START_TEST(only_all_of_a_record_matches)
{
    struct key k;
    struct kbv_presented p;
    struct kbv_association a = {3, 1, 0, {NULL, 0}};
    uint8_t data[512];

    key_make(&k, NULL);
    ck_assert_int_eq(kbv_presented_read(KBV_MATERIAL_CERT, k.cert, &p), KBV_OK);
    for (uint8_t mtype = 0; mtype < 3; mtype++) {
        for (uint8_t selector = 0; selector < 2; selector++) {
            struct kbv_slice whole = key_data(&k, selector, mtype);

            a = (struct kbv_association){3, selector, mtype, {data, whole.len}};
            memcpy(data, whole.p, whole.len);
            data[whole.len] = 0;
            ck_assert_int_eq(kbv_match(&p, &a), KBV_MATCH_YES);
            a.data.len--;
            ck_assert_int_eq(kbv_match(&p, &a), KBV_MATCH_NO);
            a.data.len += 2;
            ck_assert_int_eq(kbv_match(&p, &a), KBV_MATCH_NO);
            a.data.len = 0;
            ck_assert_int_eq(kbv_match(&p, &a), KBV_MATCH_NO);
            a.data.len = whole.len;
            data[whole.len - 1] ^= 1;
            ck_assert_int_eq(kbv_match(&p, &a), KBV_MATCH_NO);
        }
    }
}
END_TEST

/* ---- reading what is presented ---- */

#define SMALLEST "%" /* stands for the smallest certificate, with its length before it in a chain  \
                      */

static const struct {
    const char *what;
    enum kbv_material kind;
    const char *material; /* hex */
    int good;
} presentations[] = {
    {"a certificate", KBV_MATERIAL_CERT, SMALLEST, 1},
    {"a chain of one", KBV_MATERIAL_CHAIN, SMALLEST, 1},
    {"a chain of eight", KBV_MATERIAL_CHAIN,
     SMALLEST SMALLEST SMALLEST SMALLEST SMALLEST SMALLEST SMALLEST SMALLEST, 1},
    {"a key", KBV_MATERIAL_SPKI, CERTIFICATE_SPKI, 1},

    {"nothing", KBV_MATERIAL_NONE, "", 0},
    {"no kind", (enum kbv_material)6, SMALLEST, 0},
    {"an empty key", KBV_MATERIAL_SPKI, "", 0},
    {"a certificate for a key", KBV_MATERIAL_SPKI, SMALLEST, 0},
    {"a key and more", KBV_MATERIAL_SPKI, CERTIFICATE_SPKI "00", 0},
    {"an empty certificate", KBV_MATERIAL_CERT, "", 0},
    {"a key for a certificate", KBV_MATERIAL_CERT, CERTIFICATE_SPKI, 0},
    {"two certificates for one", KBV_MATERIAL_CERT, SMALLEST SMALLEST, 0},
    {"a certificate and more", KBV_MATERIAL_CERT, SMALLEST "00", 0},
    {"an empty chain", KBV_MATERIAL_CHAIN, "", 0},
    {"a chain of nine", KBV_MATERIAL_CHAIN,
     SMALLEST SMALLEST SMALLEST SMALLEST SMALLEST SMALLEST SMALLEST SMALLEST SMALLEST, 0},
    {"an empty end entity", KBV_MATERIAL_CHAIN, "0000" SMALLEST, 0},
    {"an empty anchor", KBV_MATERIAL_CHAIN, SMALLEST "0000", 0},
    {"a key behind the end entity", KBV_MATERIAL_CHAIN, SMALLEST "000b" CERTIFICATE_SPKI, 0},
    {"a chain that ends early", KBV_MATERIAL_CHAIN, SMALLEST "0001", 0},
    {"half a length", KBV_MATERIAL_CHAIN, SMALLEST "00", 0},
    {"a short digest", KBV_MATERIAL_CERT_SHA256, "aaaa", 0},
    {"the digest of nothing", KBV_MATERIAL_SPKI_SHA256,
     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 0},
};

START_TEST(what_is_presented_is_strict_der)
{
    uint8_t octets[1024];
    size_t n = 0;
    struct kbv_presented p = {.material = (enum kbv_material)77};
    struct key k;

    key_make(&k, NULL);
    for (const char *hex = presentations[_i].material; *hex != '\0';) {
        char part[128];
        size_t len = strcspn(hex, SMALLEST);

        if (len == 0) {
            if (presentations[_i].kind == KBV_MATERIAL_CHAIN) {
                octets[n++] = 0;
                octets[n++] = (uint8_t)k.cert.len;
            }
            memcpy(octets + n, k.cert.p, k.cert.len);
            n += k.cert.len;
            hex++;
            continue;
        }
        snprintf(part, sizeof(part), "%.*s", (int)len, hex);
        n += octets_from_hex(part, octets + n, sizeof(octets) - n);
        hex += len;
    }
    ck_assert_msg((kbv_presented_read(presentations[_i].kind, (struct kbv_slice){octets, n}, &p) ==
                   KBV_OK) == (presentations[_i].good == 1),
                  "%s", presentations[_i].what);
    if (!presentations[_i].good)
        ck_assert_int_eq(p.material, 77);
}
END_TEST

/* ---- strength ---- */

static const struct {
    const char *type;
    unsigned bits; /* of RSA, or the level of others */
    unsigned level;
} strengths[] = {
    {"RSA", 512, 0},           {"RSA", 1023, 0},          {"RSA", 1024, 1},
    {"RSA", 2047, 1},          {"RSA", 2048, 2},          {"RSA", 3072, 3},
    {"P-256", 0, 3},           {"P-384", 0, 4},           {"P-521", 0, 5},
    {"P-224", 0, 2},           {"P-192", 0, 1},           {"secp256k1", 0, 3},
    {"brainpoolP256r1", 0, 3}, {"brainpoolP384r1", 0, 4}, {"brainpoolP512r1", 0, 5},
    {"ED25519", 0, 3},         {"ED448", 0, 4},           {"X25519", 0, 0}, /* signs nothing */
    {"secp160r1", 0, 0},
};

static EVP_PKEY *strength_key(const char *type, unsigned bits)
{
    if (strcmp(type, "RSA") == 0)
        return EVP_RSA_gen(bits);
    if (strncmp(type, "ED", 2) == 0 || type[0] == 'X')
        return EVP_PKEY_Q_keygen(NULL, NULL, type);
    return EVP_EC_gen(type);
}

START_TEST(a_key_has_the_level_of_its_algorithm_and_size)
{
    EVP_PKEY *key = strength_key(strengths[_i].type, strengths[_i].bits);
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(key, &der);

    ck_assert_int_gt(len, 0);
    ck_assert_msg(kbv_der_spki_level((struct kbv_slice){der, (size_t)len}) == strengths[_i].level,
                  "%s %u", strengths[_i].type, strengths[_i].bits);
    /* Cut, it is no key; nor is it with an octet less inside. */
    ck_assert_uint_eq(kbv_der_spki_level((struct kbv_slice){der, (size_t)len - 1}), 0);
    OPENSSL_free(der);
    EVP_PKEY_free(key);
}
END_TEST

/* A curve by its parameters: CVE-2020-0601, CVE-2022-0778. */
START_TEST(a_curve_without_a_name_has_no_level)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    uint8_t *der = NULL;
    int len;

    ck_assert(EVP_PKEY_set_utf8_string_param(key, "encoding", "explicit"));
    len = i2d_PUBKEY(key, &der);
    ck_assert_int_gt(len, 150);
    ck_assert_uint_eq(kbv_der_spki_level((struct kbv_slice){der, (size_t)len}), 0);
    OPENSSL_free(der);
    EVP_PKEY_free(key);
}
END_TEST

static const char *const levelless[] = {
    CERTIFICATE_SPKI,
    "30 0a 30 05 06 03 2b 65 70 03 01 00",                            /* Ed25519 without a key */
    "30 0b 30 05 06 03 2b 65 70 03 02 00 01",                         /* of one octet */
    "30 13 30 0d 06 09 2a 86 48 86 f7 0d 01 01 01 05 00 03 02 00 30", /* RSA, no key */
    "30 18 30 0d 06 09 2a 86 48 86 f7 0d 01 01 01 05 00 03 07 00 30 04 02 00 02 00",
    "30 1a 30 0d 06 09 2a 86 48 86 f7 0d 01 01 01 05 00 03 09 00 30 06 02 01 00 02 01 03",
    "30 1a 30 0d 06 09 2a 86 48 86 f7 0d 01 01 01 05 00 03 09 00 30 06 02 01 ff 02 01 03",
    "30 19 30 13 06 07 2a 86 48 ce 3d 02 01 06 08 2a 86 48 ce 3d 03 01 07 03 02 00 04",
    "30 18 30 13 06 07 2a 86 48 ce 3d 02 01 06 08 2a 86 48 ce 3d 03 01 07 03 01 00",
    "30 0f 30 09 06 07 2a 86 48 ce 3d 02 01 03 02 00 04", /* no curve */
    "",
};

START_TEST(what_is_no_key_has_no_level)
{
    uint8_t der[128];
    size_t len = octets_from_hex(levelless[_i], der, sizeof(der));

    ck_assert_uint_eq(kbv_der_spki_level((struct kbv_slice){der, len}), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("match");
    TCase *tcase = tcase_create("match");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tcase);
    tcase_set_timeout(tcase, 60); /* RSA keys under a sanitizer */
    tcase_add_loop_test(tcase, certificates_have_one_shape, 0, ROWS(certificates));
    tcase_add_loop_test(tcase, lengths_have_one_spelling, 0, ROWS(outer_lengths));
    tcase_add_loop_test(tcase, a_length_is_spelt_as_short_as_can_be, 0, ROWS(key_lengths));
    tcase_add_loop_test(tcase, openssl_finds_the_same_key, 0, 2 * ROWS(key_types));
    tcase_add_test(tcase, a_certificate_is_whole_and_alone);
    tcase_add_loop_test(tcase, a_digest_decides_what_it_can, 0, ROWS(decisions));
    tcase_add_test(tcase, every_bit_of_a_digest_counts);
    tcase_add_loop_test(tcase, the_digest_of_nothing_matches_nothing, KBV_SUBJECT_SPKI,
                        KBV_SUBJECT_CERT + 1);
    tcase_add_test(tcase, a_malformed_record_decides_nothing);
    tcase_add_loop_test(tcase, a_key_or_certificate_decides_what_it_can, 0,
                        ROWS(material_decisions));
    tcase_add_test(tcase, only_all_of_a_record_matches);
    tcase_add_loop_test(tcase, what_is_presented_is_strict_der, 0, ROWS(presentations));
    tcase_add_loop_test(tcase, a_key_has_the_level_of_its_algorithm_and_size, 0, ROWS(strengths));
    tcase_add_test(tcase, a_curve_without_a_name_has_no_level);
    tcase_add_loop_test(tcase, what_is_no_key_has_no_level, 0, ROWS(levelless));
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
