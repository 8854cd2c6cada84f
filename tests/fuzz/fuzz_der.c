/* SPDX-License-Identifier: BSD-3-Clause */
/* Certificates and keys, with OpenSSL as the oracle: where both take a certificate, both find the
 * same key in it. */
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct kbv_slice der = {data, len};
    struct kbv_slice spki;
    bool is_spki = kbv_der_spki_check(der) == KBV_OK;

    if (kbv_der_certificate_spki(der, &spki) != KBV_OK)
        return 0;
    REQUIRE(!is_spki);
    REQUIRE(spki.p > data && spki.len < len && (size_t)(spki.p - data) < len - spki.len);
    REQUIRE(kbv_der_spki_check(spki) == KBV_OK);
    compare_with_openssl(data, len, spki);
    return 0;
}
