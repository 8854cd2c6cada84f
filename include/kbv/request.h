/* SPDX-License-Identifier: BSD-3-Clause */
/* The request form of the EDNS option: what a client presents and wants. */
#ifndef KBV_REQUEST_H
#define KBV_REQUEST_H

#include <kbv/verdict.h>

#ifdef __cplusplus
extern "C" {
#endif

enum kbv_material {
    KBV_MATERIAL_NONE = 0,
    KBV_MATERIAL_SPKI_SHA256 = 1,
    KBV_MATERIAL_CERT_SHA256 = 2,
    KBV_MATERIAL_SPKI = 3, /* SubjectPublicKeyInfo DER, 1-2048 octets */
    KBV_MATERIAL_CERT = 4, /* end-entity certificate DER, 1-4096 octets */
    KBV_MATERIAL_CHAIN =
        5, /* each len16 DER, end entity first, 1-8 certificates, <= 16384 octets */
};

enum { KBV_REQUEST_SIGN = 0x01 }; /* flags: a signature is wanted */

struct kbv_request {
    uint8_t flags;
    enum kbv_material kind;
    struct kbv_slice nonce;    /* p NULL if none; else 8-16 octets */
    struct kbv_slice material; /* p NULL if none */
};

/* Decodes the option's data, exactly len octets; slices point into it.
 * KBV_ERR_FORMAT for everything else: another version or kind octet, flags
 * beyond 0x01, nonce length, material length for its kind, a chain whose
 * pieces do not add up, trailing octets, the digest of nothing (e3b0c442…). */
enum kbv_err kbv_request_decode(struct kbv_request *r, const uint8_t *data, size_t len);

/* The reverse; refuses what decode would refuse. */
enum kbv_err kbv_request_encode(const struct kbv_request *r, uint8_t *out, size_t cap, size_t *len);

/* True for SHA-256 of the empty string: no key has that digest. */
bool kbv_digest_of_nothing(const uint8_t digest[KBV_DIGEST_LEN]);

#ifdef __cplusplus
}
#endif
#endif
