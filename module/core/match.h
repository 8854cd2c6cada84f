/* SPDX-License-Identifier: BSD-3-Clause */
/* One presented key against one TLSA association. */
#ifndef KBV_CORE_MATCH_H
#define KBV_CORE_MATCH_H

#include <kbv/verdict.h>

enum kbv_match_result {
    KBV_MATCH_NO,        /* decided: this record does not match */
    KBV_MATCH_YES,       /* decided: it does (usage 3 only) */
    KBV_MATCH_UNDECIDED, /* what was presented cannot tell */
};

/* What a digest decides: SHA-256(SPKI) 3 1 1 and 3 1 0, and negatively 3 0 0 and PKIX-EE(1) records
 * of the same kinds; SHA-256(certificate) 3 0 1 and 3 0 0, and negatively 1 0 x likewise. The rest
 * is UNDECIDED. Digests are compared in constant time. */
enum kbv_match_result kbv_match_digest(const struct kbv_subject *subject,
                                       const struct kbv_association *a);

/* Strict DER (X.690 section 10): der is exactly one Certificate; *spki is its SubjectPublicKeyInfo,
 * a part of der. */
enum kbv_err kbv_der_certificate_spki(struct kbv_slice der, struct kbv_slice *spki);
/* Strict DER: der is exactly one SubjectPublicKeyInfo. */
enum kbv_err kbv_der_spki_check(struct kbv_slice der);

#endif
