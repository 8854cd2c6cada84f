/* SPDX-License-Identifier: BSD-3-Clause */
/* See match.h. */
#include "module/core/match.h"

#include <string.h>

#include "lib/buf.h"
#include "module/core/sha256.h"
#include <kbv/request.h>

/* RFC 6698 sections 7.2 to 7.4. */
enum { USAGE_PKIX_EE = 1, USAGE_DANE_EE = 3 };
enum { SELECTOR_CERT = 0, SELECTOR_SPKI = 1 };
enum { MTYPE_FULL = 0, MTYPE_SHA256 = 1 };

/* ---- strict DER ---- */

/* Identifier octets (X.690 section 8.1.2) of what a certificate is made of down to its key. */
enum {
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_SEQUENCE = 0x30,
    DER_VERSION = 0xA0,
    DER_ISSUER_ID = 0x81,
    DER_SUBJECT_ID = 0x82,
    DER_EXTENSIONS = 0xA3,
};

/* Takes the next element off in: its identifier octet and a reader of its content. Definite lengths
 * in the fewest octets alone (X.690 section 10.1); no identifier of several octets, X.509 has none.
 */
static struct kbv_reader der_any(struct kbv_reader *in, uint8_t *tag)
{
    size_t len, octets;

    *tag = kbv_reader_u8(in);
    len = kbv_reader_u8(in);
    if (len >= 0x80) {
        octets = len - 0x80;
        len = 0;
        for (size_t i = 0; i < octets && i < 2; i++)
            len = len << 8 | kbv_reader_u8(in);
        /* Two are enough for what fits a DNS message or a request; none is the indefinite form. */
        if (octets > 2 || len < 0x80 || len >> 8 * (octets - 1) == 0)
            kbv_reader_fail(in);
    }
    if ((*tag & 0x1F) == 0x1F)
        kbv_reader_fail(in);
    return kbv_reader_block(in, len);
}

/* The same for an element that must be there. */
static struct kbv_reader der_take(struct kbv_reader *in, uint8_t tag)
{
    uint8_t found;
    struct kbv_reader content = der_any(in, &found);

    if (found != tag) {
        kbv_reader_fail(in);
        kbv_reader_fail(&content);
    }
    return content;
}

static bool der_next_is(const struct kbv_reader *in, uint8_t tag)
{
    return in->left != 0 && in->p[0] == tag;
}

/* An element's content is read: all of it, and without a mistake, or in fails too. */
static void der_end(struct kbv_reader *in, const struct kbv_reader *content)
{
    if (!kbv_reader_done(content))
        kbv_reader_fail(in);
}

/* X.690 section 8.3.2: the fewest octets. */
static struct kbv_slice der_integer(struct kbv_reader *in)
{
    struct kbv_reader content = der_take(in, DER_INTEGER);
    struct kbv_slice s = kbv_reader_rest(&content);

    if (s.len == 0 ||
        (s.len > 1 && ((s.p[0] == 0x00 && s.p[1] < 0x80) || (s.p[0] == 0xFF && s.p[1] >= 0x80))))
        kbv_reader_fail(in);
    return s;
}

/* X.690 sections 8.6.2 and 11.2: the number of unused bits, which are zero, and the bits. */
static void der_bit_string(struct kbv_reader *in, uint8_t tag)
{
    struct kbv_reader content = der_take(in, tag);
    uint8_t unused = kbv_reader_u8(&content);
    struct kbv_slice bits = kbv_reader_rest(&content);
    uint8_t last = bits.len != 0 ? bits.p[bits.len - 1] : 0xFF;

    if (unused > 7 || (last & ((1U << unused) - 1)) != 0)
        kbv_reader_fail(in);
    der_end(in, &content);
}

/* X.690 section 8.19.2: numbers of base 128, the last octet of each marked, in the fewest octets.
 */
static void der_oid(struct kbv_reader *in)
{
    struct kbv_reader content = der_take(in, DER_OID);
    bool begins = true; /* a number does */

    if (content.left == 0)
        kbv_reader_fail(in);
    while (content.left != 0) {
        uint8_t c = kbv_reader_u8(&content);

        if (begins && c == 0x80)
            kbv_reader_fail(in);
        begins = c < 0x80;
    }
    if (!begins)
        kbv_reader_fail(in);
}

/* AlgorithmIdentifier, RFC 5280 section 4.1.1.2: an OID and perhaps a parameter, which is NULL, an
 * OID or a SEQUENCE (RFC 3279, 4055, 5480, 9215). A constructed string, say, would be BER, which
 * OpenSSL reads and writes again in other octets. */
static void der_algorithm(struct kbv_reader *in)
{
    struct kbv_reader content = der_take(in, DER_SEQUENCE);
    struct kbv_reader parameter;

    der_oid(&content);
    if (der_next_is(&content, DER_NULL)) {
        parameter = der_take(&content, DER_NULL);
        der_end(&content, &parameter);
    } else if (der_next_is(&content, DER_OID)) {
        der_oid(&content);
    } else if (content.left != 0) {
        der_take(&content, DER_SEQUENCE);
    }
    der_end(in, &content);
}

/* RFC 5280 section 4.1.2.1: [0] INTEGER; v1 is the default and so is left out (X.690 section 11.5).
 */
static void der_version(struct kbv_reader *in)
{
    struct kbv_reader content;
    struct kbv_slice version;

    if (!der_next_is(in, DER_VERSION))
        return;
    content = der_take(in, DER_VERSION);
    version = der_integer(&content);
    if (version.len != 1 || version.p[0] < 1 || version.p[0] > 2)
        kbv_reader_fail(in);
    der_end(in, &content);
}

/* What may stand behind the key, RFC 5280 sections 4.1.2.8 and 4.1.2.9. */
static void der_identifiers_and_extensions(struct kbv_reader *in)
{
    struct kbv_reader content;

    if (der_next_is(in, DER_ISSUER_ID))
        der_bit_string(in, DER_ISSUER_ID);
    if (der_next_is(in, DER_SUBJECT_ID))
        der_bit_string(in, DER_SUBJECT_ID);
    if (der_next_is(in, DER_EXTENSIONS)) {
        content = der_take(in, DER_EXTENSIONS);
        der_take(&content, DER_SEQUENCE);
        der_end(in, &content);
    }
}

/* SubjectPublicKeyInfo, RFC 5280 section 4.1.2.7, header included. */
static struct kbv_slice der_spki(struct kbv_reader *in)
{
    const uint8_t *start = in->p;
    struct kbv_reader content = der_take(in, DER_SEQUENCE);

    der_algorithm(&content);
    der_bit_string(&content, DER_BIT_STRING);
    der_end(in, &content);
    return (struct kbv_slice){start, (size_t)(in->p - start)};
}

/* TBSCertificate, RFC 5280 section 4.1; its key. */
static struct kbv_slice der_tbs(struct kbv_reader *in)
{
    struct kbv_reader content = der_take(in, DER_SEQUENCE);
    struct kbv_slice spki;

    der_version(&content);
    der_integer(&content); /* serial number */
    der_algorithm(&content);
    der_take(&content, DER_SEQUENCE); /* issuer */
    der_take(&content, DER_SEQUENCE); /* validity */
    der_take(&content, DER_SEQUENCE); /* subject */
    spki = der_spki(&content);
    der_identifiers_and_extensions(&content);
    der_end(in, &content);
    return spki;
}

enum kbv_err kbv_der_certificate_spki(struct kbv_slice der, struct kbv_slice *spki)
{
    struct kbv_reader in = kbv_reader_on(der.p, der.len);
    struct kbv_reader content = der_take(&in, DER_SEQUENCE);
    struct kbv_slice found = der_tbs(&content);

    der_algorithm(&content);
    der_bit_string(&content, DER_BIT_STRING); /* signature */
    der_end(&in, &content);
    if (!kbv_reader_done(&in))
        return KBV_ERR_FORMAT;
    *spki = found;
    return KBV_OK;
}

enum kbv_err kbv_der_spki_check(struct kbv_slice der)
{
    struct kbv_reader in = kbv_reader_on(der.p, der.len);

    der_spki(&in);
    return kbv_reader_done(&in) ? KBV_OK : KBV_ERR_FORMAT;
}

/* ---- strength ---- */

/* An OBJECT IDENTIFIER's content; it may hold zeros. */
struct oid {
    const char *octets;
    size_t len;
};
#define OID(octets)                                                                                \
    {                                                                                              \
        octets, sizeof(octets) - 1                                                                 \
    }

static const struct oid rsa_encryption = OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01");
static const struct oid rsassa_pss = OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a");
static const struct oid ec_public_key = OID("\x2a\x86\x48\xce\x3d\x02\x01");
static const struct oid ed25519 = OID("\x2b\x65\x70");
static const struct oid ed448 = OID("\x2b\x65\x71");

static const struct curve {
    struct oid curve; /* RFC 5480 section 2.1.1.1, RFC 5639 section 4.1 */
    size_t octets;    /* of a coordinate */
    unsigned level, effort;
} curves[] = {
    {OID("\x2a\x86\x48\xce\x3d\x03\x01\x01"), 24, 1, 3},      /* P-192 */
    {OID("\x2b\x81\x04\x00\x21"), 28, 2, 3},                  /* P-224 */
    {OID("\x2a\x86\x48\xce\x3d\x03\x01\x07"), 32, 3, 1},      /* P-256 */
    {OID("\x2b\x81\x04\x00\x0a"), 32, 3, 4},                  /* secp256k1 */
    {OID("\x2b\x24\x03\x03\x02\x08\x01\x01\x07"), 32, 3, 4},  /* brainpoolP256r1 */
    {OID("\x2b\x81\x04\x00\x22"), 48, 4, 8},                  /* P-384 */
    {OID("\x2b\x24\x03\x03\x02\x08\x01\x01\x0b"), 48, 4, 8},  /* brainpoolP384r1 */
    {OID("\x2b\x24\x03\x03\x02\x08\x01\x01\x0d"), 64, 5, 13}, /* brainpoolP512r1 */
    {OID("\x2b\x81\x04\x00\x23"), 66, 5, 7},                  /* P-521 */
};

static bool is_oid(const struct kbv_reader *r, const struct oid *oid)
{
    return !r->failed && r->left == oid->len && memcmp(r->p, oid->octets, r->left) == 0;
}

/* Of an INTEGER's content; 0 if it is negative. */
static size_t bits_of(struct kbv_slice integer)
{
    size_t bits;

    if (integer.len == 0 || integer.p[0] >= 0x80)
        return 0;
    if (integer.p[0] == 0) { /* the sign */
        integer.p++;
        integer.len--;
    }
    bits = 8 * integer.len;
    for (unsigned top = 0x80; integer.len != 0 && top > integer.p[0]; top >>= 1)
        bits--;
    return bits;
}

/* Bits of modulus and public exponent (RFC 8017 appendix A.1.1); 0 if malformed. */
static void rsa_sizes(struct kbv_slice key, size_t *n_bits, size_t *e_bits)
{
    struct kbv_reader in = kbv_reader_on(key.p, key.len);
    struct kbv_reader content = der_take(&in, DER_SEQUENCE);
    struct kbv_slice n = der_integer(&content), e = der_integer(&content);

    der_end(&in, &content);
    *n_bits = kbv_reader_done(&in) ? bits_of(n) : 0;
    *e_bits = kbv_reader_done(&in) ? bits_of(e) : 0;
}

/* SP 800-57 part 1 section 5.6.1.1, table 2. */
static unsigned rsa_level(struct kbv_slice key)
{
    static const unsigned least_bits[] = {1024, 2048, 3072, 7680, 15360};
    unsigned level = 0;
    size_t n_bits, e_bits;

    rsa_sizes(key, &n_bits, &e_bits);
    while (level < 5 && n_bits >= least_bits[level])
        level++;
    return level;
}

/* A square of the modulus for each bit of the exponent. */
static unsigned rsa_effort(struct kbv_slice key)
{
    size_t n_bits, e_bits, n;

    rsa_sizes(key, &n_bits, &e_bits);
    if (n_bits == 0 || n_bits > 8192 || e_bits == 0 || e_bits > 32)
        return KBV_EFFORT_UNKNOWN;
    n = (n_bits + 2047) / 2048;
    return (unsigned)(n * n) * (e_bits > 17 ? 2 : 1);
}

/* Named curves alone: one spelt out may be any, the one that makes forging easy too. */
static const struct curve *ec_curve(struct kbv_reader *algorithm, struct kbv_slice point)
{
    struct kbv_reader curve = der_take(algorithm, DER_OID);

    for (size_t i = 0; point.len != 0 && i < sizeof(curves) / sizeof(curves[0]); i++) {
        bool compressed = point.p[0] == 2 || point.p[0] == 3;

        if (!is_oid(&curve, &curves[i].curve))
            continue;
        if (!compressed && point.p[0] != 4) /* SEC 1 section 2.3.3 */
            return NULL;
        return point.len == 1 + (compressed ? 1 : 2) * curves[i].octets ? &curves[i] : NULL;
    }
    return NULL;
}

/* What is known of a key's algorithm. */
struct strength {
    unsigned level, effort;
};

static struct strength strength_of(struct kbv_slice spki)
{
    const struct strength unknown = {0, KBV_EFFORT_UNKNOWN};
    struct kbv_reader in = kbv_reader_on(spki.p, spki.len);
    struct kbv_reader content, algorithm, oid, bits;
    const struct curve *curve;
    struct kbv_slice key;

    if (kbv_der_spki_check(spki) != KBV_OK)
        return unknown;
    content = der_take(&in, DER_SEQUENCE);
    algorithm = der_take(&content, DER_SEQUENCE);
    oid = der_take(&algorithm, DER_OID);
    bits = der_take(&content, DER_BIT_STRING);
    if (kbv_reader_u8(&bits) != 0) /* each of these keys is whole octets */
        return unknown;
    key = kbv_reader_rest(&bits);
    if (is_oid(&oid, &rsa_encryption) || is_oid(&oid, &rsassa_pss))
        return (struct strength){rsa_level(key), rsa_effort(key)};
    if (is_oid(&oid, &ec_public_key)) {
        curve = ec_curve(&algorithm, key);
        return curve != NULL ? (struct strength){curve->level, curve->effort} : unknown;
    }
    if (is_oid(&oid, &ed25519) && key.len == 32) /* RFC 8410 */
        return (struct strength){3, 2};
    if (is_oid(&oid, &ed448) && key.len == 57)
        return (struct strength){4, 4};
    return unknown;
}

unsigned kbv_der_spki_level(struct kbv_slice spki)
{
    return strength_of(spki).level;
}

unsigned kbv_der_spki_effort(struct kbv_slice spki)
{
    return strength_of(spki).effort;
}

/* ---- digests ---- */

/* In constant time. CRYPTO_memcmp() goes octet by octet, which costs as much as the rest of a
 * match. */
static bool digest_equal(const uint8_t a[KBV_DIGEST_LEN], const uint8_t b[KBV_DIGEST_LEN])
{
    uint64_t differ = 0, x, y;

    for (size_t i = 0; i < KBV_DIGEST_LEN; i += sizeof(x)) {
        memcpy(&x, a + i, sizeof(x));
        memcpy(&y, b + i, sizeof(y));
        differ |= x ^ y;
    }
    return differ == 0;
}

/* The SHA-256 that a record gives of what its selector names; false: it gives another digest. */
static bool record_digest(const struct kbv_association *a, uint8_t out[KBV_DIGEST_LEN])
{
    if (a->mtype == MTYPE_FULL) {
        kbv_sha256(&a->data, 1, out);
        return true;
    }
    if (a->mtype != MTYPE_SHA256 || a->data.len != KBV_DIGEST_LEN)
        return false;
    memcpy(out, a->data.p, KBV_DIGEST_LEN);
    return true;
}

/* What a record says of a key known by the SHA-256 of its SPKI alone. */
static enum kbv_match_result match_spki(const uint8_t digest[KBV_DIGEST_LEN],
                                        const struct kbv_association *a)
{
    uint8_t expected[KBV_DIGEST_LEN];
    struct kbv_slice spki;

    if (a->selector == SELECTOR_SPKI) {
        if (!record_digest(a, expected))
            return KBV_MATCH_UNDECIDED;
        return digest_equal(digest, expected) ? KBV_MATCH_YES : KBV_MATCH_NO;
    }
    /* A whole certificate holds a key: another key is another certificate, but the same key may
     * well be in another certificate. */
    if (a->mtype != MTYPE_FULL || kbv_der_certificate_spki(a->data, &spki) != KBV_OK)
        return KBV_MATCH_UNDECIDED;
    kbv_sha256(&spki, 1, expected);
    return digest_equal(digest, expected) ? KBV_MATCH_UNDECIDED : KBV_MATCH_NO;
}

/* What a record says of a certificate known by its SHA-256 alone. */
static enum kbv_match_result match_cert(const uint8_t digest[KBV_DIGEST_LEN],
                                        const struct kbv_association *a)
{
    uint8_t expected[KBV_DIGEST_LEN];

    if (a->selector != SELECTOR_CERT || !record_digest(a, expected))
        return KBV_MATCH_UNDECIDED;
    return digest_equal(digest, expected) ? KBV_MATCH_YES : KBV_MATCH_NO;
}

enum kbv_match_result kbv_match_digest(const struct kbv_subject *subject,
                                       const struct kbv_association *a)
{
    enum kbv_match_result result;

    /* A trust anchor's digest says nothing of an end entity's key (RFC 7671 sections 5.2, 5.4). */
    if ((a->usage != USAGE_DANE_EE && a->usage != USAGE_PKIX_EE) || a->selector > SELECTOR_SPKI)
        return KBV_MATCH_UNDECIDED;
    switch (subject->kind) {
    case KBV_SUBJECT_SPKI:
        result = match_spki(subject->digest, a);
        break;
    case KBV_SUBJECT_CERT:
        result = match_cert(subject->digest, a);
        break;
    default:
        return KBV_MATCH_UNDECIDED;
    }
    if (result != KBV_MATCH_YES)
        return result;
    if (kbv_digest_of_nothing(subject->digest))
        return KBV_MATCH_NO; /* no key hashes to it, whoever publishes it */
    /* RFC 7671 section 5.1: a match is all that usage 3 asks for; usage 1 asks for a chain too. */
    return a->usage == USAGE_DANE_EE ? KBV_MATCH_YES : KBV_MATCH_UNDECIDED;
}

/* ---- keys and certificates ---- */

enum kbv_match_result kbv_match(struct kbv_presented *presented, const struct kbv_association *a)
{
    struct kbv_slice data, spki;

    if (presented->spki.p == NULL)
        return kbv_match_digest(&presented->subject, a);
    if ((a->usage != USAGE_DANE_EE && a->usage != USAGE_PKIX_EE) || a->selector > SELECTOR_SPKI)
        return KBV_MATCH_UNDECIDED;
    data = kbv_presented_association(presented, a->selector, a->mtype);
    if (data.p != NULL) {
        if (data.len != a->data.len || memcmp(data.p, a->data.p, data.len) != 0)
            return KBV_MATCH_NO;
        /* RFC 7671 section 5.1: a match is all that usage 3 asks for. */
        return a->usage == USAGE_DANE_EE ? KBV_MATCH_YES : KBV_MATCH_UNDECIDED;
    }
    /* A key against a certificate: another key is another certificate. */
    if (a->mtype == MTYPE_FULL && kbv_der_certificate_spki(a->data, &spki) == KBV_OK &&
        (spki.len != presented->spki.len || memcmp(spki.p, presented->spki.p, spki.len) != 0))
        return KBV_MATCH_NO;
    return KBV_MATCH_UNDECIDED;
}
