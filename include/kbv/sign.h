/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signatures of verdicts: Ed25519 (RFC 8032) over "lorawan-kbv-v1" 0x00 and the verdict's octets up
 * to and with the key id (docs/verdict-format.md section 6). Needs OpenSSL's libcrypto.
 *
 * Threads: no globals, every function is reentrant. I/O: none.
 */
#ifndef KBV_SIGN_H
#define KBV_SIGN_H

#include <kbv/verdict.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What stands in front of a verdict's octets when they are signed, with its NUL. */
#define KBV_SIGN_CONTEXT    "lorawan-kbv-v1"
#define KBV_VERDICT_KEY_LEN 32 /* octets of an Ed25519 public key, RFC 8032 section 5.1.5 */
#define KBV_KEY_ID_LEN      4

/* A key that the operator pinned: verdicts that it signs are the resolver's word. */
struct kbv_verdict_key {
    uint8_t octets[KBV_VERDICT_KEY_LEN];
};

/* One table: X(enum suffix, one sentence). Only VALID is one to believe. */
#define KBV_SIGNATURE_TABLE(X)                                                                     \
    X(NOT_CHECKED, "the signature was not checked")                                                \
    X(VALID, "signed under a pinned key")                                                          \
    X(ABSENT, "not signed")                                                                        \
    X(UNKNOWN_KEY, "signed under a key that is not pinned")                                        \
    X(WRONG, "the signature is wrong")                                                             \
    X(FAILED, "the signature could not be checked")

enum kbv_signature {
#define KBV_SIGNATURE_ENUM(name, text) KBV_SIGNATURE_##name,
    KBV_SIGNATURE_TABLE(KBV_SIGNATURE_ENUM)
#undef KBV_SIGNATURE_ENUM
};

/* The sentence of the table, without a full stop; never NULL. */
const char *kbv_signature_text(enum kbv_signature signature);

/* Key id: the first 4 octets of SHA-256 of the public key. It helps to find a key and proves
 * nothing. */
void kbv_key_id(const uint8_t key[KBV_VERDICT_KEY_LEN], uint8_t id[KBV_KEY_ID_LEN]);

/* Verifies v, as decoded and with its octets still in place, under the n pinned keys whose id is
 * v's. Without keys every signature is of an unknown key. FAILED: no memory, or a libcrypto without
 * Ed25519. */
enum kbv_signature kbv_verdict_verify(const struct kbv_verdict *v,
                                      const struct kbv_verdict_key *keys, size_t n);

#ifdef __cplusplus
}
#endif
#endif
