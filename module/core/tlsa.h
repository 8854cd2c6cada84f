/* SPDX-License-Identifier: BSD-3-Clause */
/* TLSA RRsets (RFC 6698, 7671): usable or not, sorted, digested. */
#ifndef KBV_CORE_TLSA_H
#define KBV_CORE_TLSA_H

#include "rrset.h"

#define KBV_TLSA_MAX 64 /* records of one RRset */

/* Writes ASSOCIATIONS: every usable record of rrset in sorted order (RDATA as unsigned octet
 * strings), duplicates once. *len 0: no usable record. pkix: usages 0 and 1 can be decided (a CA
 * store is configured), else they are unusable (RFC 7671 section 5.3). KBV_ERR_LIMIT: more than
 * KBV_TLSA_MAX records, or usable ones beyond KBV_ASSOCIATIONS_MAX octets of RDATA or cap.
 * Usability per record: RFC 6698 section 4.1, RFC 7671 section 10.3: known usage, selector and
 * matching type, digest of the right length, full data that is strict DER. */
enum kbv_err kbv_tlsa_associations(const struct kbv_rrset *rrset, bool pkix, uint8_t *out,
                                   size_t cap, size_t *len);

/* First 16 octets of SHA-256 over len16 RDATA of each record, sorted. KBV_ERR_LIMIT beyond
 * KBV_TLSA_MAX records. */
enum kbv_err kbv_tlsa_hash(const struct kbv_rrset *rrset, uint8_t out[KBV_RRSET_HASH_LEN]);

#endif
