/* SPDX-License-Identifier: BSD-3-Clause */
/* One presented key against one TLSA association. */
#ifndef KBV_CORE_MATCH_H
#define KBV_CORE_MATCH_H

#include <kbv/verdict.h>

#include "module/core/presented.h"

enum kbv_match_result {
    KBV_MATCH_NO,        /* decided: this record does not match */
    KBV_MATCH_YES,       /* decided: it does */
    KBV_MATCH_UNDECIDED, /* what was presented cannot tell */
};

/* What a digest decides: SHA-256(SPKI) 3 1 1 and 3 1 0, and negatively 3 0 0 and PKIX-EE(1) records
 * of the same kinds; SHA-256(certificate) 3 0 1 and 3 0 0, and negatively 1 0 x likewise. The rest
 * is UNDECIDED. Digests are compared in constant time. */
enum kbv_match_result kbv_match_digest(const struct kbv_subject *subject,
                                       const struct kbv_association *a);

/* What a record says of the end entity presented, without its chain. Usage 3: all of it with a
 * certificate; every 3 1 x, and 3 0 0 negatively, with a key; else as kbv_match_digest().
 * PKIX-EE(1): negatively likewise. Usages 0 and 2: UNDECIDED. */
enum kbv_match_result kbv_match(struct kbv_presented *presented, const struct kbv_association *a);

/* Strict DER (X.690 section 10): der is exactly one Certificate; *spki is its SubjectPublicKeyInfo,
 * a part of der. */
enum kbv_err kbv_der_certificate_spki(struct kbv_slice der, struct kbv_slice *spki);
/* Strict DER: der is exactly one SubjectPublicKeyInfo. */
enum kbv_err kbv_der_spki_check(struct kbv_slice der);

/* The highest of OpenSSL's security levels (SSL_CTX_set_security_level(3): 1 to 5 are 80, 112, 128,
 * 192 and 256 bits) that the key of a SubjectPublicKeyInfo is good for. 0: weaker, of an algorithm
 * or curve that has no name here, or malformed. */
unsigned kbv_der_spki_level(struct kbv_slice spki);

/* What verifying one signature with that key takes, in tenths of a millisecond of a slow core,
 * rounded up; KBV_EFFORT_UNKNOWN: of an algorithm or curve without a name here, malformed, or RSA
 * of more than 8192 bits or with an exponent of more than 32, which can take what their maker
 * likes. */
#define KBV_EFFORT_UNKNOWN 1000000u
unsigned kbv_der_spki_effort(struct kbv_slice spki);

#endif
