/* SPDX-License-Identifier: BSD-3-Clause */
/* The peer's key, its certificate, and all their digests. */
#include <kbv/client.h>

/* OpenSSL 3 would have us use EVP, which allocates for each digest and can fail. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <string.h>

#include "lib/digest.h"

enum { CERTIFICATE_MAX = 16384 }; /* octets, as many as a whole chain in a request */

void kbv_digest_sha256(struct kbv_slice s, uint8_t out[KBV_DIGEST_LEN])
{
    SHA256_CTX ctx;

    SHA256_Init(&ctx);
    SHA256_Update(&ctx, s.p, s.len);
    SHA256_Final(out, &ctx);
}

void kbv_digest_sha512(struct kbv_slice s, uint8_t out[KBV_SHA512_LEN])
{
    SHA512_CTX ctx;

    SHA512_Init(&ctx);
    SHA512_Update(&ctx, s.p, s.len);
    SHA512_Final(out, &ctx);
}

static void set_spki(struct kbv_peer *peer, struct kbv_slice spki)
{
    peer->spki = spki;
    kbv_digest_sha256(spki, peer->spki_sha256);
    kbv_digest_sha512(spki, peer->spki_sha512);
    peer->has_spki_sha256 = peer->has_spki_sha512 = true;
}

static void set_cert(struct kbv_peer *peer, struct kbv_slice cert)
{
    peer->cert = cert;
    kbv_digest_sha256(cert, peer->cert_sha256);
    kbv_digest_sha512(cert, peer->cert_sha512);
    peer->has_cert_sha256 = peer->has_cert_sha512 = true;
}

/* True if der is what OpenSSL writes again: d2i takes BER too, and octets behind (X.690 section
 * 10). */
static bool writes_again(int (*i2d)(const void *, unsigned char **), const void *object,
                         struct kbv_slice der)
{
    unsigned char *again = NULL;
    int len = i2d(object, &again);
    bool same = len >= 0 && (size_t)len == der.len && memcmp(again, der.p, der.len) == 0;

    OPENSSL_free(again);
    return same;
}

static int i2d_key(const void *key, unsigned char **out)
{
    return i2d_X509_PUBKEY((X509_PUBKEY *)key, out); /* not const before OpenSSL 3 */
}

static int i2d_cert(const void *cert, unsigned char **out)
{
    return i2d_X509((X509 *)cert, out);
}

/* Where in der the key is: a digest must be of the octets that the peer sent. */
static struct kbv_slice find_key(const X509 *cert, struct kbv_slice der)
{
    unsigned char *key = NULL;
    int len = i2d_key(X509_get_X509_PUBKEY(cert), &key);
    struct kbv_slice found = {NULL, 0};

    for (size_t at = 0; len > 0 && at + (size_t)len <= der.len && !found.p; at++)
        if (memcmp(der.p + at, key, (size_t)len) == 0)
            found = (struct kbv_slice){der.p + at, (size_t)len};
    OPENSSL_free(key);
    return found;
}

enum kbv_err kbv_peer_from_certificate(struct kbv_peer *peer, const uint8_t *der, size_t len)
{
    struct kbv_slice all = {der, len}, key = {NULL, 0};
    struct kbv_peer read = {0};
    const unsigned char *p = der;
    X509 *cert;

    if (!der || len == 0 || len > CERTIFICATE_MAX)
        return KBV_ERR_FORMAT;
    ERR_set_mark(); /* a peer's nonsense is no error of the program's */
    cert = d2i_X509(NULL, &p, (long)len);
    if (cert && writes_again(i2d_cert, cert, all))
        key = find_key(cert, all);
    X509_free(cert);
    ERR_pop_to_mark();
    if (!key.p)
        return KBV_ERR_FORMAT;
    set_cert(&read, all);
    set_spki(&read, key);
    *peer = read;
    return KBV_OK;
}

enum kbv_err kbv_peer_from_spki(struct kbv_peer *peer, const uint8_t *der, size_t len)
{
    struct kbv_slice all = {der, len};
    struct kbv_peer read = {0};
    const unsigned char *p = der;
    X509_PUBKEY *key;
    bool sound;

    if (!der || len == 0 || len > CERTIFICATE_MAX)
        return KBV_ERR_FORMAT;
    ERR_set_mark();
    key = d2i_X509_PUBKEY(NULL, &p, (long)len);
    sound = key && writes_again(i2d_key, key, all);
    X509_PUBKEY_free(key);
    ERR_pop_to_mark();
    if (!sound)
        return KBV_ERR_FORMAT;
    set_spki(&read, all);
    *peer = read;
    return KBV_OK;
}
