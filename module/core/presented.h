/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a peer presented in its handshake, as the asker passes it on: a digest, a key, a certificate
 * or the whole chain. Views of octets that somebody else owns; strict DER (X.690 section 10).
 */
#ifndef KBV_CORE_PRESENTED_H
#define KBV_CORE_PRESENTED_H

#include <kbv/request.h>

#include "module/core/ratelimit.h"

#define KBV_CHAIN_MAX 8 /* certificates; kbv_request_decode() takes no more */

struct kbv_dane_chain;

/* What OpenSSL makes of the end entity's key. */
enum kbv_key_use {
    KBV_KEY_NOT_TRIED = 0,
    KBV_KEY_USABLE,
    KBV_KEY_UNUSABLE,  /* it cannot load it */
    KBV_KEY_MALFORMED, /* it cannot read the certificate that holds it */
};

/* Materials by what is at hand: 1 and 2 the subject, 3 the key too, 4 the certificate too, 5 the
 * chain too. For one question and one thread. */
struct kbv_presented {
    enum kbv_material material;
    struct kbv_subject subject; /* docs/verdict-format.md: of 4 and 5 the certificate's digest */
    struct kbv_slice spki;      /* SubjectPublicKeyInfo of the end entity; p NULL with 1 and 2 */
    struct kbv_slice chain[KBV_CHAIN_MAX]; /* certificates as sent, end entity first */
    size_t n_chain;                        /* 0 with 1 to 3, 1 with 4 */

    struct kbv_asker client; /* who asks, for limits; zeros: unknown. Set by the caller */

    /* The judge's own: what it made of the above and need not make again. */
    uint8_t digests[2][2][64]; /* by selector and matching type - 1 */
    bool has_digest[2][2];
    enum kbv_key_use key_use;
    struct kbv_dane_chain *parsed;      /* NULL: not yet */
    uint8_t all_digest[KBV_DIGEST_LEN]; /* of all certificates */
    bool has_all_digest;
    unsigned verifications; /* of chains: paths looked for */
    unsigned granted;       /* verifications that the limit allowed and that were not made yet */
    bool refused;           /* the limit allowed no more */
    unsigned effort;        /* spent on them, see dane.h */
    int depth; /* of the certificate that the last judgement matched, -1 none; one beyond the
                  chain for a key that only the record holds */
};

/* A key known by a digest alone: material 1 or 2. */
struct kbv_presented kbv_presented_digest(const struct kbv_subject *subject);

/* Reads material as kbv_request_decode() accepts it; *p points into it. KBV_ERR_FORMAT: not what
 * kind says, a certificate that is not strict DER, more than 8 of them, the digest of nothing, or
 * no material at all. Free with kbv_presented_clear() after the last judgement. */
enum kbv_err kbv_presented_read(enum kbv_material kind, struct kbv_slice material,
                                struct kbv_presented *p);

/* The same as a digest alone, without a look at the DER: for an answer that says whose key it does
 * not judge. KBV_ERR_FORMAT: the end entity cannot be told apart. */
enum kbv_err kbv_presented_subject(enum kbv_material kind, struct kbv_slice material,
                                   struct kbv_presented *p);

/* Frees what the judge keeps in *p. */
void kbv_presented_clear(struct kbv_presented *p);

/* SHA-256 over all certificates and their lengths. */
const uint8_t *kbv_presented_digest_all(struct kbv_presented *p);

/* The octets that selector and matching type (RFC 6698 sections 2.1.2 and 2.1.3) make of the end
 * entity; p NULL where what was presented does not tell, or the numbers are unknown. */
struct kbv_slice kbv_presented_association(struct kbv_presented *p, uint8_t selector,
                                           uint8_t mtype);

#endif
