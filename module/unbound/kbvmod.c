/* SPDX-License-Identifier: BSD-3-Clause */
/* Events in, module state out. */
#include "config.h"

#include <openssl/rand.h>
#include <string.h>

#include "services/cache/dns.h"
#include "services/mesh.h"
#include "services/modstack.h"
#include "sldns/rrdef.h"
#include "util/config_file.h"
#include "util/data/msgreply.h"
#include "util/log.h"
#include "util/module.h"
#include "util/net_help.h"
#include "util/netevent.h"
#include "util/regional.h"

#include "kbv_unbound.h"
#include "kbvmod.h"

/* How long a verdict that missed its deadline stays [s]. */
#define KEEP_LATE_S 1

/* How many environments have the module: testbound and libunbound may set up more than one. */
static atomic_int running;
static atomic_uint running_rrtype; /* of the one that started last */

int kbv_running(void)
{
    return atomic_load_explicit(&running, memory_order_relaxed) > 0;
}

uint16_t kbv_running_rrtype(void)
{
    return (uint16_t)atomic_load_explicit(&running_rrtype, memory_order_relaxed);
}

struct kbv_module *kbv_module_of(struct module_env *env)
{
    int id = env->mesh ? modstack_find(&env->mesh->mods, "kbv") : -1;
    return id < 0 ? NULL : env->modinfo[id];
}

void kbv_policy_for(const struct kbv_module *m, const uint8_t *name, size_t len,
                    struct kbv_policy *p)
{
    *p = (struct kbv_policy){
        .max_ttl = m->opts->max_ttl,
        .max_negative_ttl = m->opts->max_negative_ttl,
        .bogus_ttl = m->bogus_ttl,
        .pkix = m->opts->bundle != NULL,
        .security_level = m->opts->security_level,
        .dane = m->dane,
        .cache = m->cache,
        .chains = m->chains,
    };
    for (size_t i = 0; i < m->opts->n_require_secure; i++) {
        const struct kbv_name *s = &m->opts->require_secure[i];
        if (kbv_name_below(name, len, s->wire, s->len))
            p->require_secure = true;
    }
}

/* Unbound drops a reply that is older than discard-timeout, so a verdict must be ready before: what
 * did not arrive by then counts as a time-out. Those who wait for a join give up after 5 s. */
static int deadline_ms(const struct config_file *cfg)
{
    static const int longest_ms = 4500;
    int ms = cfg->discard_timeout / 10 * 9;

    return ms > 0 && ms < longest_ms ? ms : longest_ms;
}

static void delete_module(struct kbv_module *m)
{
    kbv_cache_delete(m->cache);
    kbv_ratelimit_delete(m->chains);
    kbv_ratelimit_delete(m->nonces);
    kbv_ratelimit_delete(m->signatures);
    kbv_ratelimit_delete(m->unproven);
    kbv_dane_delete(m->dane);
    kbv_statistics_delete(m->statistics);
    kbv_options_delete(m->opts);
    free(m);
}

static struct kbv_ratelimit *create_limit(uint32_t per_second)
{
    uint8_t secret[KBV_RATELIMIT_SECRET_LEN];

    return RAND_bytes(secret, sizeof(secret)) == 1 ? kbv_ratelimit_create(per_second, secret)
                                                   : NULL;
}

/* The table, and the limits on chains and signatures. They are new at each start and reload: what
 * was found with other zones, trust anchors or CA certificates, or signed with another key, is
 * gone. */
static bool create_tables(struct kbv_module *m)
{
    const size_t kept =
        kbv_judge_kept_len > kbv_sign_kept_len ? kbv_judge_kept_len : kbv_sign_kept_len;
    uint8_t secret[KBV_CACHE_SECRET_LEN];

    if (RAND_bytes(secret, sizeof(secret)) != 1) {
        log_err("kbv: no random octets from OpenSSL");
        return false;
    }
    m->chains = create_limit(m->opts->chain_ratelimit);
    m->nonces = create_limit(m->opts->chain_ratelimit);
    m->signatures = create_limit(m->opts->chain_ratelimit * KBV_SIGNATURES);
    m->unproven = create_limit(m->opts->chain_ratelimit * KBV_SIGNATURES);
    if (m->opts->cache_size != 0)
        m->cache = kbv_cache_create(m->opts->cache_size, kept, secret);
    if (!m->chains || !m->nonces || !m->signatures || !m->unproven ||
        (m->opts->cache_size != 0 && !m->cache)) {
        log_err("kbv: out of memory for kbv-cache-size");
        return false;
    }
    return true;
}

static int kbv_init(struct module_env *env, int id)
{
    struct kbv_module *m = calloc(1, sizeof(*m));
    if (!m) {
        log_err("kbv: out of memory");
        return 0;
    }
    m->opts = kbv_config_read(env->cfg, 0);
    if (!m->opts) {
        free(m);
        return 0;
    }
    m->dane = kbv_dane_create(m->opts->bundle);
    if (!m->dane) {
        log_err("kbv: OpenSSL could not set up DANE");
        delete_module(m);
        return 0;
    }
    m->statistics = kbv_statistics_create(env->cfg);
    if (!m->statistics) {
        log_err("kbv: out of memory");
        delete_module(m);
        return 0;
    }
    if (!create_tables(m)) {
        delete_module(m);
        return 0;
    }
    m->bogus_ttl = env->cfg->bogus_ttl < 0 ? 0 : (uint32_t)env->cfg->bogus_ttl;
    m->deadline_ms = deadline_ms(env->cfg);
    atomic_init(&m->pending, 0);
    atomic_init(&m->flushes, 0);
    env->modinfo[id] = m;
    if (!kbv_option_register(env, id)) {
        log_err("kbv: could not register the reply callbacks");
        delete_module(m);
        env->modinfo[id] = NULL;
        return 0;
    }
    /* The caches may be older than this configuration (reload_keep_cache): other zones, records of
     * the network under what is our type now, and what was validated with other trust anchors. */
    if (kbv_trust_start(env))
        kbv_reply_forget_verdicts(env, m);
    else
        kbv_reply_forget_all(env, m);
    atomic_store(&running_rrtype, m->opts->rrtype);
    atomic_fetch_add(&running, 1);
    return 1;
}

static void kbv_deinit(struct module_env *env, int id)
{
    struct kbv_module *m = env->modinfo[id];
    if (!m)
        return;
    kbv_trust_end(env);
    atomic_fetch_sub(&running, 1);
    kbv_option_unregister(env, id);
    delete_module(m);
    env->modinfo[id] = NULL;
}

void kbv_deadline_cb(void *arg)
{
    struct module_qstate *qstate = arg;
    struct kbv_qstate *k = qstate->minfo[qstate->curmod];
    const struct kbv_module *m = kbv_module_of(qstate->env);

    verbose(VERB_ALGO, "kbv: a verdict is late, not waiting any longer");
    if (m)
        kbv_count(m, KBV_STATS_LIMIT_DEADLINE);
    k->late = true;
    mesh_run(qstate->env->mesh, qstate->mesh_info, module_event_pass, NULL);
}

/* Without a timer Unbound's own limits end the wait. */
static void set_deadline(struct module_qstate *qstate, const struct kbv_module *m,
                         struct kbv_qstate *k)
{
    struct timeval tv = {m->deadline_ms / 1000, m->deadline_ms % 1000 * 1000};

    if (k->deadline)
        return;
    k->deadline = comm_timer_create(qstate->env->worker_base, kbv_deadline_cb, qstate);
    if (k->deadline)
        comm_timer_set(k->deadline, &tv);
    else
        log_err("kbv: out of memory for a timer");
}

/* Ends the query: the answer is in return_msg, or there was no memory for one. */
static void finish(struct module_qstate *qstate, int id, bool ok)
{
    if (!ok) {
        qstate->return_rcode = LDNS_RCODE_SERVFAIL;
        qstate->return_msg = NULL;
        qstate->ext_state[id] = module_error;
        return;
    }
    qstate->return_rcode = LDNS_RCODE_NOERROR;
    qstate->ext_state[id] = module_finished;
}

static struct kbv_slice name_slice(const struct kbv_question *q)
{
    return (struct kbv_slice){q->name, q->name_len};
}

/* A verdict that no discovery led to: a refusal, or a cap. */
static void answer_without_lookup(struct module_qstate *qstate, const struct kbv_module *m, int id,
                                  const struct kbv_qstate *k, enum kbv_finding finding,
                                  const char *reason)
{
    struct kbv_evidence e = {
        .finding = finding,
        .refusal = k->q.refusal,
        .ede = KBV_EDE_NONE,
        .owner = name_slice(&k->q),
    };
    struct kbv_verdict v;
    struct kbv_policy p;

    if (k->q.zone && k->q.id.kind != KBV_ID_NONE) {
        e.identifier = k->q.id;
        e.identifier_name = e.owner;
    }
    if (reason)
        snprintf(e.reason, sizeof(e.reason), "%s", reason);
    kbv_policy_for(m, k->q.name, k->q.name_len, &p);
    kbv_judge_base(&e, &p, (int64_t)*qstate->env->now, NULL, 0, NULL, &v);
    if (k->q.subject.kind != KBV_SUBJECT_NONE) { /* it says whose key it was asked about */
        struct kbv_presented presented = kbv_presented_digest(&k->q.subject);
        struct kbv_verdict base = v;
        kbv_judge_keyed(&base, &presented, &p, (int64_t)*qstate->env->now, &v);
    }
    finish(qstate, id, kbv_reply_verdicts(qstate, k, &v, 1, KBV_KEEP_NOT));
}

/* How long the answer may be kept, T apart [s].
 *
 * What was late goes on arriving: who asks again may have it. Just long enough that a dead
 * authority does not cost everyone who asks a wait of their own.
 *
 * Names that do not exist are free to ask for (a JoinEUI is chosen by whoever transmits), and must
 * not push others' answers out of the cache. */
static uint32_t keep_for(struct module_qstate *qstate, const struct kbv_qstate *k,
                         const struct kbv_verdict *v, size_t n)
{
    if (k->late)
        return KEEP_LATE_S;
    if (n == 1 && v[0].status == KBV_STATUS_NO_BINDING && !kbv_reply_denial_kept(qstate, &k->q))
        return KBV_KEEP_NOT;
    return KBV_KEEP_LIFE;
}

/* What a path found; what did not come because the verdict had asked enough is a limit. NULL: no
 * memory. The verdict will point into it. */
static const struct kbv_evidence *found_by(struct module_qstate *qstate,
                                           const struct kbv_evidence *e)
{
    struct kbv_evidence *found;

    if (e->finding != KBV_FOUND_FAILURE || !kbv_budget_is_spent(qstate))
        return e;
    found = regional_alloc_init(qstate->region, e, sizeof(*e));
    if (!found)
        return NULL;
    found->finding = KBV_FOUND_LIMIT;
    snprintf(found->reason, sizeof(found->reason), "too many questions upstream");
    return found;
}

/* The evidence is complete: judge every path. */
static void conclude_lookup(struct module_qstate *qstate, const struct kbv_module *m, int id,
                            struct kbv_qstate *k)
{
    struct kbv_verdict v[KBV_VERDICTS_MAX];
    struct kbv_policy p;
    size_t n;
    const struct kbv_evidence *e = kbv_lookup_evidence(k->lookup, &n);
    bool ok = true;

    qstate->env->detach_subs(qstate);
    if (*qstate->env->now < k->began) { /* the TTLs were counted by a clock that was wrong */
        finish(qstate, id, false);
        return;
    }
    kbv_policy_for(m, k->q.name, k->q.name_len, &p);
    if (n > KBV_VERDICTS_MAX)
        n = KBV_VERDICTS_MAX;
    for (size_t i = 0; i < n; i++) {
        uint8_t *assoc = regional_alloc(qstate->region, KBV_ASSOCIATIONS_MAX);
        uint8_t *names = regional_alloc(qstate->region, KBV_REFERENCE_NAMES_MAX * KBV_NAME_MAX);
        const struct kbv_evidence *found = found_by(qstate, &e[i]);
        if (!assoc || !names || !found) {
            ok = false;
            break;
        }
        kbv_judge_base(found, &p, (int64_t)*qstate->env->now, assoc, KBV_ASSOCIATIONS_MAX, names,
                       &v[i]);
        if (v[i].status == KBV_STATUS_LIMIT)
            kbv_count(m, KBV_STATS_LIMIT_DISCOVERY);
    }
    finish(qstate, id, ok && kbv_reply_verdicts(qstate, k, v, n, keep_for(qstate, k, v, n)));
}

/* The verdicts of the name itself are there, or will not come: derive. */
static void conclude_base(struct module_qstate *qstate, const struct kbv_module *m, int id,
                          struct kbv_qstate *k)
{
    struct kbv_verdict base[KBV_VERDICTS_MAX], v[KBV_VERDICTS_MAX];
    struct kbv_presented presented = kbv_presented_digest(&k->q.subject);
    struct kbv_policy p;
    size_t n = k->base ? kbv_reply_decode(k->base, base, KBV_VERDICTS_MAX) : 0;
    bool bound = false;

    if (n == 0) {
        answer_without_lookup(qstate, m, id, k, KBV_FOUND_FAILURE, "no verdict for the name");
        return;
    }
    kbv_policy_for(m, k->q.name, k->q.name_len, &p);
    for (size_t i = 0; i < n; i++) {
        if (k->q.subject.kind == KBV_SUBJECT_NONE) {
            v[i] = base[i];
            continue;
        }
        kbv_judge_keyed(&base[i], &presented, &p, (int64_t)*qstate->env->now, &v[i]);
        bound |= v[i].status == KBV_STATUS_BOUND;
    }
    /* Any digest may be asked for: one that is bound to nothing must not push others out of
     * the cache. Unkeyed TXT depends on the name alone and is made again from its RRs. */
    finish(qstate, id, kbv_reply_verdicts(qstate, k, v, n, bound ? KBV_KEEP_LIFE : KBV_KEEP_NOT));
}

/* Goes on after something arrived, or at the start. */
static void advance(struct module_qstate *qstate, const struct kbv_module *m, int id,
                    struct kbv_qstate *k)
{
    if (k->phase == KBV_PHASE_BASE) {
        conclude_base(qstate, m, id, k);
        return;
    }
    if (k->late)
        kbv_subquery_abandon(qstate, k);
    else
        kbv_subquery_start(qstate, k);
    if (kbv_lookup_done(k->lookup)) {
        conclude_lookup(qstate, m, id, k);
        return;
    }
    if (kbv_lookup_outstanding(k->lookup) == 0) {
        /* Waiting for nothing would be for ever. */
        qstate->env->detach_subs(qstate);
        answer_without_lookup(qstate, m, id, k, KBV_FOUND_FAILURE, "discovery stopped");
        return;
    }
    set_deadline(qstate, m, k);
    qstate->ext_state[id] = module_wait_subquery;
}

/* Whether this thread has as many queries in progress as verdicts may have. Those that a verdict no
 * longer waits for are in no other limit: an authority that answers for NAPTR, and is silent about
 * the addresses asked for beside it, leaves two behind with each JoinEUI, until they time out. */
static bool is_full(const struct module_qstate *qstate, const struct kbv_module *m)
{
    static const size_t per_verdict = 8; /* its own, three beside each other, and what those need */
    const size_t others = (size_t)qstate->env->cfg->num_queries_per_thread;

    return qstate->env->mesh->all.count > m->opts->max_pending * per_verdict + others;
}

static void start_lookup(struct module_qstate *qstate, struct kbv_module *m, int id,
                         struct kbv_qstate *k)
{
    struct kbv_mem mem = kbv_region_mem(qstate->region);

    if (kbv_reply_cached(qstate)) {
        finish(qstate, id, true);
        return;
    }
    if (atomic_fetch_add(&m->pending, 1) >= m->opts->max_pending || is_full(qstate, m)) {
        atomic_fetch_sub(&m->pending, 1);
        kbv_count(m, KBV_STATS_LIMIT_PENDING);
        answer_without_lookup(qstate, m, id, k, KBV_FOUND_LIMIT, "too many verdicts in progress");
        return;
    }
    k->counted = true;
    k->lookup = kbv_lookup_create(&mem, &k->q);
    if (!k->lookup || !kbv_budget_start(qstate)) {
        finish(qstate, id, false);
        return;
    }
    k->phase = KBV_PHASE_LOOKUP;
    advance(qstate, m, id, k);
}

static void start_base(struct module_qstate *qstate, const struct kbv_module *m, int id,
                       struct kbv_qstate *k)
{
    k->phase = KBV_PHASE_BASE;
    k->base = kbv_reply_cached_base(qstate, &k->q, m->opts->rrtype);
    if (!k->base && kbv_subquery_start_base(qstate, k)) {
        qstate->ext_state[id] = module_wait_subquery;
        return;
    }
    conclude_base(qstate, m, id, k);
}

/* A query that nobody looked at yet. */
static void start(struct module_qstate *qstate, struct kbv_module *m, int id)
{
    struct query_info *qi = &qstate->qinfo;
    struct kbv_qstate *k;

    if (qi->qclass != LDNS_RR_CLASS_IN || qstate->is_priming || qstate->is_valrec ||
        (qi->qtype != m->opts->rrtype && !kbv_name_under_kbv(qi->qname, qi->qname_len))) {
        qstate->ext_state[id] = module_wait_module;
        return;
    }
    k = regional_alloc_zero(qstate->region, sizeof(*k));
    if (!k) {
        finish(qstate, id, false);
        return;
    }
    qstate->minfo[id] = k;
    k->flushes = atomic_load(&m->flushes);
    k->began = *qstate->env->now;
    kbv_question_read(m->opts, qi->qname, qi->qname_len, qi->qtype, &k->q);
    if (k->q.form == KBV_FORM_NODATA)
        finish(qstate, id, kbv_reply_nodata(qstate));
    else if (k->q.form == KBV_FORM_NOT_OURS)
        qstate->ext_state[id] = module_wait_module;
    else if (k->q.refusal)
        answer_without_lookup(qstate, m, id, k, KBV_FOUND_REFUSAL, k->q.reason);
    else if (k->q.under_kbv)
        start_base(qstate, m, id, k);
    else
        start_lookup(qstate, m, id, k);
}

static void kbv_operate(struct module_qstate *qstate, enum module_ev event, int id,
                        struct outbound_entry *outbound)
{
    struct kbv_module *m = qstate->env->modinfo[id];
    struct kbv_qstate *k = qstate->minfo[id];
    (void)outbound;

    switch (event) {
    case module_event_new:
        start(qstate, m, id);
        return;
    case module_event_pass:
        if (k)
            advance(qstate, m, id, k);
        else
            start(qstate, m, id);
        return;
    case module_event_moddone:
        qstate->ext_state[id] = module_finished;
        return;
    default:
        log_err("kbv: unexpected event %d", (int)event);
        qstate->return_rcode = LDNS_RCODE_SERVFAIL;
        qstate->return_msg = NULL;
        qstate->ext_state[id] = module_error;
        return;
    }
}

static void kbv_inform_super(struct module_qstate *qstate, int id, struct module_qstate *super)
{
    struct kbv_qstate *k = super->minfo[id];
    const struct kbv_qstate *base = qstate->minfo[id];

    if (!k)
        return;
    if (base) /* it may have begun before a flush, and this one after: it rests on what base knew */
        k->flushes = base->flushes;
    kbv_subquery_finished(qstate, super, k);
}

static void kbv_clear(struct module_qstate *qstate, int id)
{
    struct kbv_qstate *k = qstate->minfo[id];
    if (!k)
        return;
    if (k->counted) {
        struct kbv_module *m = qstate->env->modinfo[id];
        atomic_fetch_sub(&m->pending, 1);
    }
    comm_timer_delete(k->deadline);
    qstate->minfo[id] = NULL;
}

static size_t kbv_get_mem(struct module_env *env, int id)
{
    struct kbv_module *m = env->modinfo[id];
    if (!m)
        return 0;
    return sizeof(*m) + sizeof(*m->opts) + m->opts->n_zones * sizeof(*m->opts->zones) +
           (m->cache ? kbv_cache_counts(m->cache).bytes : 0);
}

/* Unbound calls through these pointers only; its white-list takes them from here. */
static struct module_func_block kbv_block = {
    .name = "kbv",
    .init = kbv_init,
    .deinit = kbv_deinit,
    .operate = kbv_operate,
    .inform_super = kbv_inform_super,
    .clear = kbv_clear,
    .get_mem = kbv_get_mem,
};

struct module_func_block *kbv_get_funcblock(void)
{
    return &kbv_block;
}
