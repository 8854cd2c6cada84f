/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What kbv/tls.h calls a check, as tls.c builds it: first the expectation, later the peer. One
 * check judges one peer:
 *
 *     no peer ── taken ──> BEGIN ── strong key? pins? ──> DIGEST ── UNDECIDED ──> WHOLE
 *                            │                              │ ^                     │
 *                            │                              v └─ the next identity ─┤
 *                            └──────────────────────────> ENDED <───────────────────┘
 *
 * A question with the digest of the key is short and goes over UDP, and decides most records that
 * are published for LoRaWAN (3 1 1). Only where it cannot, the whole chain is presented.
 */
#ifndef KBV_LIB_TLS_CHECK_H
#define KBV_LIB_TLS_CHECK_H

#include <kbv/tls.h>

/* A check without a peer; see kbv_tls_expect() for errors. later: KBV_TLS_LATER makes sense. */
struct kbv_tls_check *kbv_tls_check_new(const struct kbv_client *c,
                                        const struct kbv_tls_expected *e, bool later,
                                        enum kbv_err *err);

/* The peer: its certificate and what came with it, or its raw key. A failure is a refusal. */
void kbv_tls_check_take_cert(struct kbv_tls_check *k, X509 *cert, const STACK_OF(X509) * chain);
void kbv_tls_check_take_key(struct kbv_tls_check *k, EVP_PKEY *key);

/* Ends it. Whatever came of it, the peer is refused, for that reason. */
void kbv_tls_check_refuse(struct kbv_tls_check *k, const char *reason);

enum kbv_tls_who kbv_tls_check_who(const struct kbv_tls_check *k);
/* True if a peer was taken: to be judged, being judged, or judged. */
bool kbv_tls_check_has_peer(const struct kbv_tls_check *k);
bool kbv_tls_check_ended(const struct kbv_tls_check *k);
/* True if it was accepted, and this is the certificate or key that was judged. */
bool kbv_tls_check_accepted_cert(const struct kbv_tls_check *k, const X509 *cert);
bool kbv_tls_check_accepted_key(const struct kbv_tls_check *k, const EVP_PKEY *key);


#endif
