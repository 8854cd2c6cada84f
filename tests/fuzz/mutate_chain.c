/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The differential run: usage 3 by the judge and by OpenSSL's engine (fuzz_chain), over many
 * mutations of certificates and of the records for them. mutate_chain [COUNT]: 20000 unless given.
 * The same count gives the same run, but for the keys, which are made anew. Prints how often both
 * agreed, and where OpenSSL alone accepts, why. What is BOUND and OpenSSL refuses ends the program.
 */
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>

#include "module/core/presented.h"
#include "tests/fuzz/chain_classes.h"
#include "tests/fuzz/require.h"

enum { CERTIFICATE_MAX = 2048, INPUT_MAX = 2 * CERTIFICATE_MAX + 16 };

static uint32_t state = 20261122;

static uint32_t below(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % n;
}

/* Keys of every kind that has a level here, and of some that have none: a curve without a name, one
 * spelt out (CVE-2022-0778 was in reading such), an algorithm that signs nothing. */
static const struct {
    const char *algorithm, *group;
    bool spelt_out, signs_no_digest;
    unsigned bits;
} kinds[] = {
    {.algorithm = "EC", .group = "P-256"},
    {.algorithm = "EC", .group = "P-521"},
    {.algorithm = "EC", .group = "secp256k1"},
    {.algorithm = "EC", .group = "brainpoolP320r1"},
    {.algorithm = "EC", .group = "P-256", .spelt_out = true},
    {.algorithm = "RSA", .bits = 1024},
    {.algorithm = "RSA", .bits = 2048},
    {.algorithm = "RSA-PSS", .bits = 1024},
    {.algorithm = "ED25519", .signs_no_digest = true},
    {.algorithm = "ED448", .signs_no_digest = true},
    {.algorithm = "X25519"},
};
enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static EVP_PKEY *make_key(int kind)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, kinds[kind].algorithm, NULL);
    size_t bits = kinds[kind].bits;
    OSSL_PARAM params[3], *p = params;
    EVP_PKEY *key = NULL;

    if (kinds[kind].group != NULL)
        *p++ = OSSL_PARAM_construct_utf8_string("group", (char *)(uintptr_t)kinds[kind].group, 0);
    if (kinds[kind].spelt_out)
        *p++ = OSSL_PARAM_construct_utf8_string("encoding", (char *)(uintptr_t) "explicit", 0);
    if (bits != 0)
        *p++ = OSSL_PARAM_construct_size_t("bits", &bits);
    *p = OSSL_PARAM_construct_end();
    REQUIRE(ctx != NULL && EVP_PKEY_keygen_init(ctx) == 1 &&
            EVP_PKEY_CTX_set_params(ctx, params) == 1 && EVP_PKEY_generate(ctx, &key) == 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

/* A certificate; its length. A key that cannot sign has another one's signature: nobody looks. */
static size_t make(int kind, uint8_t out[CERTIFICATE_MAX])
{
    EVP_PKEY *key = make_key(kind);
    EVP_PKEY *signer = EVP_PKEY_is_a(key, "X25519") ? make_key(0) : key;
    X509 *x = X509_new();
    uint8_t *p = out;
    int len;

    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 300);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    REQUIRE(X509_sign(x, signer, kinds[kind].signs_no_digest ? NULL : EVP_sha256()) > 0);
    REQUIRE(i2d_X509(x, NULL) <= CERTIFICATE_MAX);
    len = i2d_X509(x, &p);
    X509_free(x);
    if (signer != key)
        EVP_PKEY_free(signer);
    EVP_PKEY_free(key);
    return (size_t)len;
}

/* A few octets changed, cut out or put in; the new length. */
static size_t mutate(uint8_t *octets, size_t len)
{
    for (uint32_t n = below(4); n > 0; n--) {
        /* Most of what is decided is decided in the first octets; the key is behind them. */
        size_t at = below(2) ? below(len < 90 ? (uint32_t)len : 90) : below((uint32_t)len);

        switch (below(5)) {
        case 0:
            octets[at] ^= (uint8_t)(1U << below(8));
            break;
        case 1:
            octets[at] = (uint8_t)below(256);
            break;
        case 2:
            octets[at] = (uint8_t)(octets[at] + below(3) - 1);
            break;
        case 3:
            if (len > 2)
                memmove(octets + at, octets + at + 1, --len - at);
            break;
        default:
            if (len < CERTIFICATE_MAX) {
                memmove(octets + at + 1, octets + at, len++ - at);
                octets[at] = (uint8_t)below(256);
            }
            break;
        }
    }
    return len;
}

/* The record's data for a certificate, if it can be told; else for nothing. */
static size_t record(const uint8_t *certificate, size_t len, uint8_t selector, uint8_t mtype,
                     uint8_t out[CERTIFICATE_MAX])
{
    struct kbv_presented p;
    struct kbv_slice data;

    if (kbv_presented_read(KBV_MATERIAL_CERT, (struct kbv_slice){certificate, len}, &p) != KBV_OK)
        return 0;
    data = kbv_presented_association(&p, selector, mtype);
    memcpy(out, data.p, data.len);
    kbv_presented_clear(&p);
    return data.len;
}

static void say(long count)
{
    static const char *const classes[CHAIN_CLASSES] = {
        [CHAIN_BOTH_ACCEPT] = "both accept",
        [CHAIN_BOTH_REFUSE] = "both refuse",
        [CHAIN_BER] = "OpenSSL alone: no DER, it would write it otherwise (BAD_INPUT)",
        [CHAIN_WALK] = "OpenSSL alone: no DER, it would write it so too (BAD_INPUT)",
        [CHAIN_BEHIND] = "OpenSSL alone: another certificate is malformed (BAD_INPUT)",
        [CHAIN_NO_NAME] = "OpenSSL alone: algorithm or curve without a name (DOWNGRADE)",
    };

    for (int i = 0; i < CHAIN_CLASSES; i++)
        printf("# %8lu %s\n", fuzz_chain_seen[i], classes[i]);
    printf("ok 1 - %ld mutations of certificates and records\n1..1\n", count);
}

int main(int argc, char **argv)
{
    static uint8_t seeds[N_KINDS][CERTIFICATE_MAX];
    uint8_t certificate[CERTIFICATE_MAX], input[INPUT_MAX];
    const long count = argc > 1 ? atol(argv[1]) : 20000;
    size_t lens[N_KINDS];

    for (int i = 0; i < N_KINDS; i++)
        lens[i] = make(i, seeds[i]);
    for (long i = 0; i < count; i++) {
        const uint32_t seed = below(N_KINDS);
        const uint8_t selector = (uint8_t)below(2), mtype = (uint8_t)below(3);
        size_t len = lens[seed], data_len;

        memcpy(certificate, seeds[seed], len);
        len = mutate(certificate, len);
        /* Of the mutant, or where that is none or now and then, of the certificate it was. */
        data_len = below(4) ? record(certificate, len, selector, mtype, input + 4) : 0;
        if (data_len == 0)
            data_len = record(seeds[seed], lens[seed], selector, mtype, input + 4);
        if (below(4) == 0)
            data_len = mutate(input + 4, data_len);
        input[0] = (uint8_t)(3 | below(3) << 3 | below(4) << 5); /* material, level */
        input[1] = (uint8_t)(selector | mtype << 1);
        input[2] = (uint8_t)(data_len >> 8);
        input[3] = (uint8_t)data_len;
        input[4 + data_len] = (uint8_t)(len >> 8);
        input[5 + data_len] = (uint8_t)len;
        memcpy(input + 6 + data_len, certificate, len);
        LLVMFuzzerTestOneInput(input, 6 + data_len + len);
    }
    say(count);
    return 0;
}
