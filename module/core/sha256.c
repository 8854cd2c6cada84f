/* SPDX-License-Identifier: BSD-3-Clause */
/* See sha256.h. */

/* OpenSSL 3 would have us use EVP, which fetches and allocates for each digest: that could fail,
 * and it costs more than hashing a key does. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "module/core/sha256.h"

#include <openssl/sha.h>

void kbv_sha256(const struct kbv_slice *parts, size_t n, uint8_t out[KBV_DIGEST_LEN])
{
    SHA256_CTX ctx;

    SHA256_Init(&ctx);
    for (size_t i = 0; i < n; i++) {
        if (parts[i].len != 0)
            SHA256_Update(&ctx, parts[i].p, parts[i].len);
    }
    SHA256_Final(out, &ctx);
}

void kbv_sha512(struct kbv_slice s, uint8_t out[64])
{
    SHA512_CTX ctx;

    SHA512_Init(&ctx);
    if (s.len != 0)
        SHA512_Update(&ctx, s.p, s.len);
    SHA512_Final(out, &ctx);
}
