/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The differential run: usage 3 by the own matcher and by OpenSSL's engine (fuzz_chain), over many
 * mutations of certificates and of the records for them. mutate_chain [COUNT]: 20000 unless given.
 * The same count gives the same run.
 */
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>

#include "module/core/presented.h"
#include "module/core/sha256.h"
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

/* A self-signed certificate; its length. */
static size_t make(const char *type, uint8_t out[CERTIFICATE_MAX])
{
    EVP_PKEY *key = strcmp(type, "RSA") == 0  ? EVP_RSA_gen(2048)
                    : strcmp(type, "EC") == 0 ? EVP_EC_gen("P-256")
                                              : EVP_PKEY_Q_keygen(NULL, NULL, type);
    X509 *x = X509_new();
    uint8_t *p = out;
    int len;

    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 300);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    REQUIRE(X509_sign(x, key, strcmp(type, "ED25519") == 0 ? NULL : EVP_sha256()) > 0);
    REQUIRE(i2d_X509(x, NULL) <= CERTIFICATE_MAX);
    len = i2d_X509(x, &p);
    X509_free(x);
    EVP_PKEY_free(key);
    return (size_t)len;
}

/* A few octets changed, cut out or put in; the new length. */
static size_t mutate(uint8_t *octets, size_t len)
{
    for (uint32_t n = below(4); n > 0; n--) {
        /* Most of what is decided is decided in the first octets. */
        size_t at = below(3) ? below(len < 90 ? (uint32_t)len : 90) : below((uint32_t)len);

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

int main(int argc, char **argv)
{
    static const char *const types[] = {"EC", "RSA", "ED25519"};
    uint8_t seeds[3][CERTIFICATE_MAX], certificate[CERTIFICATE_MAX], input[INPUT_MAX];
    const long count = argc > 1 ? atol(argv[1]) : 20000;
    size_t lens[3];

    for (int i = 0; i < 3; i++)
        lens[i] = make(types[i], seeds[i]);
    for (long i = 0; i < count; i++) {
        const uint32_t seed = below(3);
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
        input[0] = 3;
        input[1] = (uint8_t)(selector | mtype << 1);
        input[2] = (uint8_t)(data_len >> 8);
        input[3] = (uint8_t)data_len;
        input[4 + data_len] = (uint8_t)(len >> 8);
        input[5 + data_len] = (uint8_t)len;
        memcpy(input + 6 + data_len, certificate, len);
        LLVMFuzzerTestOneInput(input, 6 + data_len + len);
    }
    printf("ok 1 - %ld mutations of certificates and records\n1..1\n", count);
    return 0;
}
