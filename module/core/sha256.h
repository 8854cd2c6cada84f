/* SPDX-License-Identifier: BSD-3-Clause */
/* SHA-256 and SHA-512 (FIPS 180-4). */
#ifndef KBV_CORE_SHA256_H
#define KBV_CORE_SHA256_H

#include <kbv/verdict.h>

/* The digest of n parts, one after the other. Neither allocates nor fails. */
void kbv_sha256(const struct kbv_slice *parts, size_t n, uint8_t out[KBV_DIGEST_LEN]);

/* SHA-512 of s. Never fails. */
void kbv_sha512(struct kbv_slice s, uint8_t out[64]);

#endif
