/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One answer, read as a step of discovery: where its aliases lead, what stands there, and how much
 * of that is proven. It judges no verdict: it says what the step is worth.
 */
#ifndef KBV_CORE_ANSWER_H
#define KBV_CORE_ANSWER_H

#include "rrset.h"

#define KBV_MAX_HOPS 8 /* aliases and NAPTR recursion on one path */

enum kbv_outcome {
    KBV_OUTCOME_FAILED = 0, /* no answer, or none that makes sense */
    KBV_OUTCOME_LIMIT,      /* an alias loop, or more than KBV_MAX_HOPS aliases */
    KBV_OUTCOME_UNPROVEN,   /* something used is not secure: security tells the worst */
    KBV_OUTCOME_STALE,      /* secure once, but expired */
    KBV_OUTCOME_DENIED,     /* secure: there is no such RRset */
    KBV_OUTCOME_RECORDS,    /* secure: here it is */
};

struct kbv_step {
    enum kbv_outcome outcome;
    enum kbv_security security; /* with UNPROVEN: not SECURE */
    uint16_t ede;               /* with UNPROVEN and bogus: the finer code, else KBV_EDE_NONE */
    bool wildcard;              /* a record used was synthesised from a wildcard */
    int64_t life_end;           /* with DENIED, RECORDS: when the first thing used ends */
    int64_t signed_until;       /* likewise, when the first signature does */
    const char *what;           /* otherwise: static text for people, "insecure" */
};

struct kbv_reading {
    struct kbv_step all;     /* the aliases and what they lead to */
    struct kbv_step aliases; /* the aliases alone; RECORDS if nothing is against them, or none */
    unsigned hops;           /* aliases met; a DNAME with its CNAME is one */
    bool nxdomain;
    struct kbv_slice end;          /* the name they lead to, any case; points into the answer */
    const struct kbv_rrset *rrset; /* what stands there; NULL: nothing of the type asked */
};

/* Reads the answer a to (name, type) at now [s]. Allocates nothing; *out points into a's octets and
 * into name. out->all counts only if the message, every alias and the RRset (for a denial: every
 * SOA, NSEC and NSEC3 RRset) are secure and unexpired; out->aliases leaves the RRset and its
 * absence out, and without aliases is RECORDS for every answer that arrived and is not bogus. */
void kbv_answer_read(const struct kbv_answer *a, struct kbv_slice name, uint16_t type, int64_t now,
                     struct kbv_reading *out);

/* How bad a step is: 0 the worst (bogus). To choose which of two failures is reported. */
unsigned kbv_step_rank(const struct kbv_step *step);

#endif
