/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small DNS to test discovery in: records written as lines, answered as a validating resolver
 * would, with signatures to read and with harm done to them; and a driver that plays the resolver
 * to a lookup in a chosen order of arrival. Whatever is wrong with a test ends the program.
 */
#ifndef KBV_TESTS_UNIT_WORLD_H
#define KBV_TESTS_UNIT_WORLD_H

#include "module/core/lookup.h"

#define WORLD_NOW INT64_C(1800000000)

/* What is done to an RRset, or to the denial of it. */
enum world_harm {
    WORLD_INSECURE,
    WORLD_BOGUS, /* with EDE 7 */
    WORLD_INDETERMINATE,
    WORLD_UNCHECKED,
    WORLD_LOST,     /* no answer that needs it arrives */
    WORLD_SERVFAIL, /* it arrives as such */
    WORLD_OLD_TTL,  /* served though expired */
    WORLD_OLD_SIG,  /* every signature has expired */
    WORLD_HARMS,
};

struct world;

/*
 * Records, one a line: OWNER TYPE [ttl=N] [sig=N] RDATA…, with TTL 3600 and signatures that hold
 * for 86400 s where nothing else is said. Types: A, AAAA, TXT (no RDATA), CNAME, DNAME, NAPTR
 * (order preference flags service regexp replacement, "-" for an empty string), SRV, TLSA (hex).
 * Lines that begin with "HARM name type what" do harm. A leading "*" label is a wildcard. Denials
 * have an SOA and an NSEC with TTL 300; "BARE name" denies at and below name without either,
 * "NONSEC name" with the SOA alone.
 */
struct world *world_new(const char *lines);
void world_free(struct world *w);
void world_harm(struct world *w, const char *name, uint16_t type, enum world_harm harm);
uint16_t world_type(const char *text);

/* The resolver's answer; lives as long as w. */
struct kbv_answer world_answer(struct world *w, struct kbv_slice name, uint16_t type);

/* Allocates from w. From allocation number fail on (from 0; SIZE_MAX: never) it returns NULL. */
struct kbv_mem world_mem(struct world *w, size_t fail);

enum world_kind { WORLD_SERVICE, WORLD_IDENTITY, WORLD_LITERAL };

/* A question about name; SERVICE and IDENTITY are a JoinEUI's, with the ports given (443). */
struct world_question {
    struct kbv_question q;
    struct kbv_zone zone;
};
void world_question(struct world_question *out, enum world_kind kind, const char *name,
                    const uint16_t *ports, size_t n_ports);

/* How a lookup went. */
struct world_run {
    struct kbv_lookup *lookup; /* NULL: no memory for it */
    char evidence[8192];       /* one line each, see world.c */
    char asks[4096]; /* "NAPTR id. A id. AAAA id. | SRV …": what was asked in which round */
    size_t n_asks;
};

/* Plays the resolver until the lookup is done, and beyond it: what was asked is answered. seed 0:
 * all that was asked is answered in turn, in rounds; else in some order. */
void world_run(struct world *w, const struct world_question *q, unsigned seed, size_t fail,
               struct world_run *run);

/* One line about e, without a line end; appended to out. */
void world_show(const struct kbv_evidence *e, char *out, size_t cap);

#endif
