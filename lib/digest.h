/* SPDX-License-Identifier: BSD-3-Clause */
/* SHA-256 and SHA-512 (FIPS 180-4) of octets in one piece. Neither allocates nor fails. */
#ifndef KBV_LIB_DIGEST_H
#define KBV_LIB_DIGEST_H

#include <kbv/verdict.h>

void kbv_digest_sha256(struct kbv_slice s, uint8_t out[KBV_DIGEST_LEN]);
void kbv_digest_sha512(struct kbv_slice s, uint8_t out[KBV_SHA512_LEN]);

#endif
