/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The discovery machine: from a question to the evidence, by asking for
 * records. It knows nothing of Unbound: the caller takes asks from it, brings
 * an answer for each, and reads the evidence when none is left.
 *
 *   struct kbv_lookup *l = kbv_lookup_create(&mem, &question);
 *   while (!kbv_lookup_done(l)) {
 *       while (kbv_lookup_next(l, &ask)) start_query(ask);
 *       ... for each finished query, in any order:
 *       kbv_lookup_answer(l, ask.id, &answer, now);
 *   }
 *   evidence = kbv_lookup_evidence(l, &n);
 *
 * Memory comes from mem alone and lives as long as the caller's region; what an
 * answer points to must live as long. Asks are unique by name and type: the
 * same (name, type) is asked once and serves every path that needs it. However
 * a zone is made, a lookup asks at most 52 times, and a verdict rests on at most
 * KBV_MAX_ASKS of them.
 */
#ifndef KBV_CORE_LOOKUP_H
#define KBV_CORE_LOOKUP_H

#include "answer.h"
#include "judge.h"
#include "question.h"

#define KBV_MAX_ENDPOINTS 8
#define KBV_MAX_ASKS      24 /* sub-queries one verdict rests on */

/* Zeroed memory of len octets, aligned for any type, or NULL. */
struct kbv_mem {
    void *(*alloc)(void *arg, size_t len);
    void *arg;
};

/* One sub-query: class IN, RD set, CD clear. */
struct kbv_subquery {
    unsigned id;
    uint8_t name[KBV_NAME_MAX]; /* lower case */
    size_t name_len;
    uint16_t type;
};

struct kbv_lookup;

/* Starts a lookup for q, which must have no refusal and must outlive it. NULL: no memory. */
struct kbv_lookup *kbv_lookup_create(const struct kbv_mem *mem, const struct kbv_question *q);

/* Takes the next sub-query to start; false if none is waiting to be started now. */
bool kbv_lookup_next(struct kbv_lookup *l, struct kbv_subquery *ask);

/* Brings the answer to ask id at time now [s]. An id that was not taken or was answered already
 * fails the whole lookup closed (TEMPFAIL). */
void kbv_lookup_answer(struct kbv_lookup *l, unsigned id, const struct kbv_answer *a, int64_t now);

/* True if the evidence is complete. Sub-queries may then still be outstanding that can no longer
 * change it: they may be abandoned; their late answers are accepted and ignored. */
bool kbv_lookup_done(const struct kbv_lookup *l);

/* How many asks were taken and not answered. */
size_t kbv_lookup_outstanding(const struct kbv_lookup *l);

/* The evidence, one an endpoint in endpoint order (at most KBV_MAX_ENDPOINTS, then one LIMIT if
 * there were more), or one where discovery ended earlier. *n >= 1 always: before the end, or when
 * memory ran out, it is one FAILURE. */
const struct kbv_evidence *kbv_lookup_evidence(struct kbv_lookup *l, size_t *n);

/* The TLSA step alone: the evidence for literal owner q->name out of the answer to (q->name, TLSA).
 * Used by the machine and for the EDNS option on a TLSA query. */
void kbv_lookup_literal(const struct kbv_mem *mem, const struct kbv_question *q,
                        const struct kbv_answer *a, int64_t now, struct kbv_evidence *e);

/* A transition, for the log: state names are static text. NULL switches it off. */
typedef void kbv_lookup_trace_fn(void *arg, const char *what, const char *old_state,
                                 const char *new_state);
void kbv_lookup_trace(struct kbv_lookup *l, kbv_lookup_trace_fn *fn, void *arg);

#endif
