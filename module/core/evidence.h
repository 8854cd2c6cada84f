/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing down what discovery found: the discovery machine's pen. */
#ifndef KBV_CORE_EVIDENCE_H
#define KBV_CORE_EVIDENCE_H

#include "lookup.h"

/* The name asked. */
struct kbv_slice kbv_question_name(const struct kbv_question *q);

/* A lower-case copy of name in mem; p NULL: no memory. */
struct kbv_slice kbv_mem_name(const struct kbv_mem *mem, struct kbv_slice name);

/* Evidence about the name asked itself, with finding and nothing else yet. *e points into q. */
void kbv_evidence_start(struct kbv_evidence *e, const struct kbv_question *q,
                        enum kbv_finding finding);

/* Sets the reason to before, name's text and after; in a line that is too long the name is cut. */
void kbv_evidence_reason(struct kbv_evidence *e, const char *before, struct kbv_slice name,
                         const char *after);

/* Sets finding and reason from a step about name that gave no records; before: "TLSA at ". */
void kbv_evidence_step(struct kbv_evidence *e, const struct kbv_step *step, const char *before,
                       struct kbv_slice name);

/* Sets finding and reason to those of the answer to (name, TLSA): its RRset, or why there is
 * none. */
void kbv_evidence_tlsa(struct kbv_evidence *e, const struct kbv_reading *r, struct kbv_slice name);

/* Adds a reference name that is not there yet; p NULL: none. *e points to the name. */
void kbv_evidence_reference(struct kbv_evidence *e, struct kbv_slice name);

/* Sets FOUND_AT where end, the RRset's owner, is not the evidence's. False: no memory. */
bool kbv_evidence_found_at(struct kbv_evidence *e, const struct kbv_mem *mem, struct kbv_slice end);

/* The evidence for the literal owner (or identity) of q from the answer to (name asked, TLSA).
 * False: no memory, and *e says so. */
bool kbv_evidence_literal(struct kbv_evidence *e, const struct kbv_mem *mem,
                          const struct kbv_question *q, const struct kbv_reading *r);

/* ALIASED and WILDCARD as a step with so many aliases sets them. */
uint8_t kbv_step_flags(const struct kbv_step *step, unsigned hops);

#endif
