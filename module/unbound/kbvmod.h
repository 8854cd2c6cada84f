/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The module inside Unbound. A query comes in at kbv_operate(); if it is ours,
 * sub-queries gather the evidence, the core judges it, reply.c makes the
 * answer. option.c serves each client's EDNS option on the answer's way out.
 */
#ifndef KBV_UNBOUND_KBVMOD_H
#define KBV_UNBOUND_KBVMOD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "../core/judge.h"
#include "../core/lookup.h"
#include "../core/options.h"
#include "../core/question.h"
#include "../core/stats.h"

struct comm_reply;
struct comm_timer;
struct config_file;
struct dns_msg;
struct edns_data;
struct kbv_statistics;
struct mesh_state;
struct module_env;
struct module_qstate;
struct regional;
struct reply_info;
struct ub_packed_rrset_key;

/* Of the running daemon; shared by all threads, read-only but for the atomics. */
struct kbv_module {
    struct kbv_options *opts;
    struct kbv_dane *dane;
    struct kbv_cache *cache;      /* NULL: kbv-cache-size is 0 */
    struct kbv_ratelimit *chains; /* kbv-chain-ratelimit: of verifications */
    struct kbv_ratelimit *nonces; /* kbv-chain-ratelimit: of signatures over nonces */
    /* KBV_SIGNATURES times kbv-chain-ratelimit: of all others, for clients whose addresses are
     * known to be theirs, and for those of mere datagrams */
    struct kbv_ratelimit *signatures, *unproven;
    uint32_t bogus_ttl;  /* val-bogus-ttl [s], copied: fast_reload swaps the configuration */
    int deadline_ms;     /* a verdict in progress waits for records no longer */
    atomic_uint pending; /* verdicts in progress */
    atomic_uint flushes; /* how often verdicts were to be forgotten */
    struct kbv_statistics *statistics;
};

/* Signatures over no nonce that a client may cause for each chain that it may have verified. As
 * many as kbv-max-pending by default: what a client may ask about at once shall not be refused. */
#define KBV_SIGNATURES 10

enum kbv_phase {
    KBV_PHASE_LOOKUP, /* waiting for the records that discovery asks for */
    KBV_PHASE_BASE,   /* a _kbv name waiting for the verdicts of the name itself */
};

/* Of one query of ours, in its region. Queries that are not ours have none. */
struct kbv_qstate {
    enum kbv_phase phase;
    struct kbv_question q;
    unsigned flushes; /* kbv_module.flushes when it began */
    struct kbv_lookup *lookup;
    struct kbv_waiting *waiting;            /* sub-queries under way, newest first */
    const struct ub_packed_rrset_key *base; /* with KBV_PHASE_BASE: the verdicts, NULL none */
    bool counted;                           /* in kbv_module.pending */
    struct comm_timer *deadline;            /* NULL until something is waited for */
    bool late;                              /* it is over */
    time_t began;                           /* [s] by the clock of then */
};

/* kbvmod.c */
struct kbv_module *kbv_module_of(struct module_env *env);
/* The type of verdicts where kbv_running(), for code that has no environment at hand. */
uint16_t kbv_running_rrtype(void);
void kbv_policy_for(const struct kbv_module *m, const uint8_t *name, size_t len,
                    struct kbv_policy *p);

/* config.c */
/* Is it one of the n of the list? */
bool kbv_config_listed(const char *const list[], size_t n, const char *key);
#define KBV_LISTED(list, key) kbv_config_listed(list, sizeof(list) / sizeof((list)[0]), key)

/* subquery.c */
/* Memory of a region, zeroed. */
struct kbv_mem kbv_region_mem(struct regional *region);
/* Starts every sub-query that the lookup wants now. */
void kbv_subquery_start(struct module_qstate *qstate, struct kbv_qstate *k);
/* Gives up what is under way and what the lookup would still ask: none of it arrived. */
void kbv_subquery_abandon(struct module_qstate *qstate, struct kbv_qstate *k);
/* Starts the one for the verdicts of k->q.name; false: not possible. */
bool kbv_subquery_start_base(struct module_qstate *qstate, struct kbv_qstate *k);
/* Brings the answer of a finished sub-query home. */
void kbv_subquery_finished(struct module_qstate *sub, struct module_qstate *super,
                           struct kbv_qstate *k);
/* What rep says at now, as the core sees it, in region. absolute: its TTLs are points in time, as
 * in the cache. copy: octets too, else they stay rep's. False: no memory. */
bool kbv_answer_view(struct module_env *env, struct reply_info *rep, int rcode, int64_t now,
                     bool absolute, struct regional *region, bool copy, struct kbv_answer *out);

/* budget.c */
/* Gives a query, and all that will be asked for its sake, a budget. False: no memory. */
bool kbv_budget_start(struct module_qstate *qstate);
/* Whether there was too little in it for something that was to be asked. */
bool kbv_budget_is_spent(const struct module_qstate *qstate);

/* reply.c */
#define KBV_KEEP_NOT  0          /* [s] an answer that the message cache does not get */
#define KBV_KEEP_LIFE UINT32_MAX /* for as long as the verdicts live */
/* Verdicts into qstate->return_msg, as RRs or TXT, and into the message cache for keep seconds at
 * most. False: no memory. */
bool kbv_reply_verdicts(struct module_qstate *qstate, const struct kbv_qstate *k,
                        const struct kbv_verdict *v, size_t n, uint32_t keep);
/* An empty NOERROR answer. */
bool kbv_reply_nodata(struct module_qstate *qstate);
/* The cached answer to the query itself into qstate->return_msg; false if there is none that is
 * unexpired. */
bool kbv_reply_cached(struct module_qstate *qstate);
/* The cached verdicts of name, in qstate's region, or NULL. */
const struct ub_packed_rrset_key *kbv_reply_cached_base(struct module_qstate *qstate,
                                                        const struct kbv_question *q,
                                                        uint16_t rrtype);
/* Does Unbound keep the answer that denies q's name? Not if it made it of the NSEC records around
 * the name: there are as many of those as somebody cares to ask for. */
bool kbv_reply_denial_kept(struct module_qstate *qstate, const struct kbv_question *q);
/* Takes every answer of the kind that is made here out of the message cache, whoever made it. */
void kbv_reply_forget_verdicts(struct module_env *env, const struct kbv_module *m);
/* Besides, marks all others, and all RRsets, as not validated: they are when somebody asks for
 * them. */
void kbv_reply_forget_all(struct module_env *env, const struct kbv_module *m);
/* Takes the verdicts of name, a wire name of len octets, in all their forms, or with NULL all
 * verdicts, out of the caches, and sees to it that those in progress are not kept. How many answers
 * there were. */
size_t kbv_reply_forget(struct module_env *env, struct kbv_module *m, const uint8_t *name,
                        size_t len);
/* Expires all answers and records, those of others too; verdicts in progress are not kept. */
void kbv_reply_expire_all(struct module_env *env, struct kbv_module *m);
/* The RRset of that type in the answer section if it was made here, or NULL. */
const struct ub_packed_rrset_key *kbv_reply_rrset(const struct reply_info *rep, uint16_t type);
/* Decodes the RRs of rrset into v (room for max); how many. Malformed ones are passed over: none is
 * ours then. */
size_t kbv_reply_decode(const struct ub_packed_rrset_key *rrset, struct kbv_verdict *v, size_t max);
/* A verdict's octets, with a signature if there is a key and wanted says so; *v has then the times
 * that they have. Octets that were signed before and are whole are not signed again. kept: the same
 * signature may serve again. leave: is asked before one is made; if it says no,
 * KBV_ERR_UNSUPPORTED. */
enum kbv_err kbv_reply_encode(const struct kbv_module *m, struct kbv_verdict *v, bool wanted,
                              bool kept, const struct kbv_sign_leave *leave, int64_t now,
                              uint8_t *out, size_t cap, size_t *len);

/* rates.c */
/* One client of a reply. */
struct kbv_source {
    struct kbv_asker asker;
    bool udp;
    bool datagram; /* over UDP, and not from a loopback address */
    bool proven;   /* the address is its own */
};
/* A far one over UDP where repinfo, or its connection, is NULL. */
struct kbv_source kbv_source_of(const struct comm_reply *repinfo, const struct edns_data *edns);
/* True, and it is counted: a signature over no nonce may be made for the client at now [s]. */
bool kbv_source_may_sign(const struct kbv_module *m, const struct kbv_source *s, int64_t now);
/* Why it may not; static text. */
const char *kbv_source_refusal(const struct kbv_source *s);

/* Those who wait for an answer, for kbv_waiting_may_sign(). */
struct kbv_waiting_clients {
    const struct kbv_module *m;
    const struct mesh_state *mesh;
    bool kept; /* by the message cache: one signature for everybody, counted and not refused */
    int64_t now;
    const char *refusal; /* set, to static text, if it may not be made for any of them */
};
/* kbv_sign_leave.ask: whether one of them may have a signature made. */
bool kbv_waiting_may_sign(void *arg);

/* The reason at which libkbv repeats its question over TCP. */
#define KBV_USE_TCP "use TCP"

/* stats.c */
/* Counters for so many threads as cfg says; NULL: no memory. Free with kbv_statistics_delete(),
 * which accepts NULL. */
struct kbv_statistics *kbv_statistics_create(const struct config_file *cfg);
void kbv_statistics_delete(struct kbv_statistics *s);
/* One more; any thread may call, and never waits. */
void kbv_count(const struct kbv_module *m, enum kbv_figure figure);
void kbv_count_verdict(const struct kbv_module *m, enum kbv_status status);
void kbv_count_time(const struct kbv_module *m, const struct timeval *from,
                    const struct timeval *to);

/* trust.c; where modules are started and ended */
/* True if validated data rests on the same as when kbv_trust_end() was called. */
bool kbv_trust_start(struct module_env *env);
void kbv_trust_end(struct module_env *env);
/* A stack without the module runs now: nobody looks at what it puts into the caches. */
void kbv_trust_unknown(void);

/* option.c */
/* Registers and removes the reply callbacks. */
bool kbv_option_register(struct module_env *env, int id);
void kbv_option_unregister(struct module_env *env, int id);

/* Octets that any verdict fits into, and one without associations and reference names. */
#define KBV_RDATA_MAX    KBV_SIGN_VERDICT_MAX
#define KBV_BARE_MAX     1152
#define KBV_VERDICTS_MAX (KBV_MAX_ENDPOINTS + 1)

/* Set in the cache key of every RRset made here and in no other: a record of our type that a zone
 * publishes and an ANY answer brings, secure or not, is another entry and never taken for ours. */
#define KBV_RRSET_FLAG 0x10000000u

#endif
