/* SPDX-License-Identifier: BSD-3-Clause */
/* Certificates and keys, with OpenSSL as the oracle: where both take a certificate, both find the
 * same key in it, and no key is held for stronger than OpenSSL holds it. */
#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>

#include "module/core/match.h"
#include "tests/fuzz/require.h"

static void compare_with_openssl(const uint8_t *data, size_t len, struct kbv_slice spki)
{
    const uint8_t *p = data;
    X509 *x = d2i_X509(NULL, &p, (long)len);
    uint8_t *der = NULL;
    int der_len;

    if (x == NULL)
        return;
    if (p == data + len) {
        der_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
        REQUIRE(der_len > 0 && (size_t)der_len == spki.len);
        REQUIRE(memcmp(der, spki.p, spki.len) == 0);
        OPENSSL_free(der);
    }
    X509_free(x);
}

/* SP 800-57 part 1, table 2, as OpenSSL's security levels have it. */
static unsigned level_of_bits(int bits)
{
    static const int least[] = {80, 112, 128, 192, 256};
    unsigned level = 0;

    while (level < 5 && bits >= least[level])
        level++;
    return level;
}

static void compare_strength(struct kbv_slice spki)
{
    const unsigned level = kbv_der_spki_level(spki);
    const uint8_t *p = spki.p;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)spki.len);

    REQUIRE(level <= 5);
    if (key != NULL)
        REQUIRE(level <= level_of_bits(EVP_PKEY_get_security_bits(key)));
    EVP_PKEY_free(key);
    ERR_clear_error();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct kbv_slice der = {data, len};
    struct kbv_slice spki;
    bool is_spki = kbv_der_spki_check(der) == KBV_OK;

    if (is_spki)
        compare_strength(der);
    else
        REQUIRE(kbv_der_spki_level(der) == 0);
    if (kbv_der_certificate_spki(der, &spki) != KBV_OK)
        return 0;
    REQUIRE(!is_spki);
    REQUIRE(spki.p > data && spki.len < len && (size_t)(spki.p - data) < len - spki.len);
    REQUIRE(kbv_der_spki_check(spki) == KBV_OK);
    compare_with_openssl(data, len, spki);
    compare_strength(spki);
    return 0;
}
