/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside of the discovery machine: what lookup.c (asks, paths, the driver) and path.c (the states'
 * handlers) share. Nobody else includes this.
 */
#ifndef KBV_CORE_PATH_H
#define KBV_CORE_PATH_H

#include "endpoint.h"
#include "evidence.h"

/* The number of paths bounds the number of sub-queries: no verdict rests on more than
 * KBV_MAX_ASKS, those of discovery and its endpoint's own. */
#define KBV_FIRST_ASKS    3 /* NAPTR, A and AAAA at the name asked */
#define KBV_ENDPOINT_ASKS 4 /* A and AAAA of the host, TLSA at its name and at the expanded one */
#define KBV_LOOKUP_BRANCHES                                                                        \
    (KBV_MAX_ASKS - KBV_FIRST_ASKS - KBV_ENDPOINT_ASKS) /* each asks once                          \
                                                         */
#define KBV_LOOKUP_PATHS (1 + KBV_LOOKUP_BRANCHES + KBV_MAX_ENDPOINTS)
#define KBV_LOOKUP_ASKS                                                                            \
    (KBV_FIRST_ASKS + KBV_LOOKUP_BRANCHES + KBV_MAX_ENDPOINTS * KBV_ENDPOINT_ASKS)

_Static_assert(KBV_LOOKUP_ASKS == 52, "lookup.h tells how many sub-queries a lookup can ask");

enum kbv_path_state {
    KBV_PATH_LITERAL,  /* TLSA at the name asked */
    KBV_PATH_NAPTR,    /* NAPTR at the name asked, or at a replacement */
    KBV_PATH_FALLBACK, /* no NAPTR: is there a host at the name itself? */
    KBV_PATH_SRV,      /* SRV at a replacement */
    KBV_PATH_HOST,     /* is the endpoint's host an alias? */
    KBV_PATH_EXPANDED, /* TLSA at the alias' end */
    KBV_PATH_ORIGINAL, /* TLSA at the host as it was given */
    KBV_PATH_SPLIT,    /* an end: others go on from here */
    KBV_PATH_ENDED,    /* an end: evidence */
    KBV_PATH_STATES,
};

struct kbv_sub {
    uint8_t name[KBV_NAME_MAX]; /* lower case */
    size_t name_len;
    uint16_t type;
    bool answered;
    struct kbv_reading reading; /* valid if answered */
};

struct kbv_path {
    enum kbv_path_state state;
    const struct kbv_path *parent;  /* the one it split from; NULL for the first */
    const struct kbv_sub *await[2]; /* what the state awaits; NULL: nothing, or it came */
    uint8_t name[KBV_NAME_MAX];     /* the name asked; an endpoint's host */
    size_t name_len;
    struct kbv_rank rank;
    unsigned depth; /* NAPTR recursions so far */
    /* What it rests on so far, its parents' included. */
    unsigned hops;
    unsigned naptr_hops; /* fallback: the same aliases, met in the NAPTR answer */
    uint8_t flags;
    int64_t life_end, signed_until;
    struct kbv_slice service;       /* SRV: the service's domain; p NULL: none */
    const struct kbv_sub *a, *aaaa; /* the first path and endpoints */
    const struct kbv_sub *tlsa;     /* endpoints */
    struct kbv_slice expanded;      /* the host's alias' end; p NULL: none, or denied there */
    struct kbv_evidence evidence;   /* endpoints: owner and endpoint; valid once ended */
};

struct kbv_lookup {
    struct kbv_mem mem;
    const struct kbv_question *q;
    kbv_lookup_trace_fn *trace;
    void *trace_arg;
    bool failed, done;
    struct kbv_sub *asks[KBV_LOOKUP_ASKS];
    size_t n_asks, n_taken, n_answered;
    struct kbv_path *paths[KBV_LOOKUP_PATHS];
    size_t n_paths, n_branches;
    struct kbv_endpoints endpoints; /* what the branches found so far */
    const char *limit;              /* why not every path was followed; NULL: all were */
    bool planned;                   /* which paths give evidence is settled: plan, in order */
    struct kbv_path *plan[KBV_MAX_ENDPOINTS];
    size_t n_plan;
    struct kbv_evidence evidence[KBV_MAX_ENDPOINTS + 1];
    size_t n_evidence;
};

/* lookup.c */

/* The whole lookup ends as one failure, whatever was found before. */
void kbv_lookup_fail(struct kbv_lookup *l, const char *reason);
/* Not every path can be followed: there will be a LIMIT. reason: static text. */
void kbv_lookup_limit(struct kbv_lookup *l, const char *reason);
/* The ask for (name, type), new or shared; NULL: the lookup failed. */
const struct kbv_sub *kbv_lookup_ask(struct kbv_lookup *l, const uint8_t *name, size_t len,
                                     uint16_t type);
/* A path that goes on from parent (NULL: the first) and awaits nothing yet; NULL: the lookup
 * failed. */
struct kbv_path *kbv_path_new(struct kbv_lookup *l, const struct kbv_path *parent,
                              enum kbv_path_state state, const uint8_t *name, size_t len);
/* Tells whoever traces of a transition. from: a state's name, or "-" for a new path. */
void kbv_path_trace(const struct kbv_lookup *l, const struct kbv_path *p, const char *from,
                    enum kbv_path_state to);

/* path.c */

/* Takes an answer that the path awaited and says the next state; the same one: it needs another. */
typedef enum kbv_path_state kbv_path_handler(struct kbv_lookup *l, struct kbv_path *p,
                                             const struct kbv_sub *event);

struct kbv_path_row {
    const char *name;
    kbv_path_handler *handler; /* NULL: an end */
};
extern const struct kbv_path_row kbv_path_table[KBV_PATH_STATES];

/* The path of an endpoint that was chosen, asking all that it can ask for at once; NULL: the lookup
 * failed. */
struct kbv_path *kbv_path_endpoint(struct kbv_lookup *l, const struct kbv_endpoint *from);

#endif
