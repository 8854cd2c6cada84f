/* SPDX-License-Identifier: BSD-3-Clause */
/* Certificates and keys, with OpenSSL as the oracle: where both take a certificate, both find the
 * same key in it, no key is held for stronger than OpenSSL holds it, and what the library makes of
 * it as a peer's is the same key. */
#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>

#include <kbv/client.h>

#include "lib/digest.h"
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

/* The digests are those of the octets that are shown, which are the input's own. */
static void check_peer(const struct kbv_peer *peer, const uint8_t *data, size_t len)
{
    uint8_t digest[KBV_DIGEST_LEN];

    REQUIRE(peer->spki.p >= data && peer->spki.len <= len - (size_t)(peer->spki.p - data));
    kbv_digest_sha256(peer->spki, digest);
    REQUIRE(peer->has_spki_sha256 && peer->has_spki_sha512);
    REQUIRE(memcmp(peer->spki_sha256, digest, sizeof(digest)) == 0);
    REQUIRE(peer->has_cert_sha256 == (peer->cert.p != NULL));
    REQUIRE(peer->cert.p == NULL || (peer->cert.p == data && peer->cert.len == len));
}

static void check_as_peer(const uint8_t *data, size_t len, const struct kbv_slice *spki)
{
    struct kbv_peer peer;

    if (kbv_peer_from_spki(&peer, data, len) == KBV_OK)
        check_peer(&peer, data, len);
    if (kbv_peer_from_certificate(&peer, data, len) != KBV_OK)
        return;
    check_peer(&peer, data, len);
    if (spki != NULL)
        REQUIRE(peer.spki.len == spki->len && memcmp(peer.spki.p, spki->p, spki->len) == 0);
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
    if (kbv_der_certificate_spki(der, &spki) != KBV_OK) {
        check_as_peer(data, len, NULL);
        return 0;
    }
    check_as_peer(data, len, &spki);
    REQUIRE(!is_spki);
    REQUIRE(spki.p > data && spki.len < len && (size_t)(spki.p - data) < len - spki.len);
    REQUIRE(kbv_der_spki_check(spki) == KBV_OK);
    compare_with_openssl(data, len, spki);
    compare_strength(spki);
    return 0;
}
