/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The steps of discovery, walked from outside: the module's own machine asks, a resolver answers
 * plain DNS questions, and what it says of each answer's security is believed. No DNSSEC validation
 * happens here: it explains, it decides nothing.
 */
#ifndef KBV_CLI_STEPS_H
#define KBV_CLI_STEPS_H

#include <ldns/ldns.h>

#include "module/core/lookup.h"

enum { STEPS_MAX = 64 }; /* more than a lookup can ask for */

struct step {
    struct kbv_subquery ask;
    int parent;       /* index of the step whose records led here, -1: the question itself */
    ldns_pkt *pkt;    /* owned; NULL: no answer */
    ldns_pkt *unsafe; /* owned; after SERVFAIL: what the resolver has without validation, or NULL */
    enum kbv_security security;
    bool arrived;         /* NOERROR or NXDOMAIN came */
    char ede[160];        /* the resolver's own explanation (RFC 8914), "" if none */
    uint32_t ttl;         /* [s], the least of the answer's RRsets */
    int64_t signed_until; /* [s] since the epoch, the earliest of RRSIGs; 0: none */
};

struct steps {
    struct step step[STEPS_MAX];
    size_t n;
    const struct kbv_evidence *evidence; /* what the machine made of them */
    size_t n_evidence;
    /* Inside. */
    struct kbv_lookup *lookup;
    void *memory; /* all that the machine allocated */
};

/* Walks the steps for q, which must outlive *s, asking r. False: no memory. steps_clear() in
 * either case. */
bool steps_walk(struct steps *s, ldns_resolver *r, const struct kbv_question *q, int64_t now);
void steps_clear(struct steps *s);

/* "secure", "insecure", "bogus", "unknown". */
const char *step_security(const struct step *step);

/* The records of the step that count, as zone file lines without their newlines: those of the
 * answer but for RRSIGs. i from 0; NULL behind the last one. Freed by the caller. */
char *step_record(const struct step *step, size_t i);

/* "NOERROR", "NXDOMAIN", "no answer", … */
const char *step_rcode(const struct step *step);

#endif
