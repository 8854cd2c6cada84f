/* SPDX-License-Identifier: BSD-3-Clause */
/* Verdicts into Unbound's answers and its message cache. */
#include "config.h"

#include <string.h>

#include "services/cache/dns.h"
#include "services/cache/rrset.h"
#include "services/mesh.h"
#include "sldns/rrdef.h"
#include "sldns/sbuffer.h"
#include "util/config_file.h"
#include "util/data/msgencode.h"
#include "util/data/msgparse.h"
#include "util/data/msgreply.h"
#include "util/data/packed_rrset.h"
#include "util/log.h"
#include "util/module.h"
#include "util/net_help.h"
#include "util/regional.h"
#include "util/storage/slabhash.h"

#include "compat.h"
#include "kbvmod.h"

/* The octets of one answer's RDATA, each with its length before it, as packed RRsets have it. */
struct rdatas {
    uint8_t *rr[KBV_VERDICTS_MAX];
    size_t len[KBV_VERDICTS_MAX];
    size_t n, total;
};

static bool is_failure(enum kbv_status s)
{
    return s >= KBV_STATUS_TEMPFAIL;
}

/* Seconds until T of v. Statuses that have no lifetime give 0. */
static uint32_t life_of(const struct kbv_verdict *v, uint32_t now)
{
    int32_t left = (int32_t)(v->not_after - now);
    return left > 0 ? (uint32_t)left : 0;
}

enum kbv_err kbv_reply_encode(const struct kbv_module *m, struct kbv_verdict *v, bool wanted,
                              bool kept, const struct kbv_sign_leave *leave, int64_t now,
                              uint8_t *out, size_t cap, size_t *len)
{
    if (!wanted || !m->opts->signer)
        v->auth = 0;
    else if (v->auth == 0)
        return kbv_sign_verdict(m->opts->signer, kept ? m->cache : NULL, leave, now, v, out, cap,
                                len);
    return kbv_verdict_encode(v, out, cap, len);
}

/* Where RRs of one answer go. */
struct answer {
    const struct kbv_module *m;
    struct regional *region;
    bool txt;
    bool passing; /* the message cache does not get it */
    bool sign;
    struct kbv_sign_leave leave;
    int64_t now;
};

/* Appends v if it leaves room for the others still to come, at least without their associations. An
 * RR that is there already is not repeated (RFC 2181 section 5). *v has then the times of the RR.
 */
static enum kbv_err append(const struct answer *a, struct rdatas *r, struct kbv_verdict *v,
                           size_t others)
{
    /* Signed once: what the message cache keeps with its signature needs no other table. */
    const bool again = a->passing || v->flags & KBV_FLAG_KEYED;
    uint8_t rr[2 + KBV_RDATA_MAX];
    size_t len;
    enum kbv_err err;

    err = a->txt ? kbv_verdict_txt(v, rr + 2, KBV_RDATA_MAX, &len)
                 : kbv_reply_encode(a->m, v, a->sign, again, &a->leave, a->now, rr + 2,
                                    KBV_RDATA_MAX, &len);
    if (err)
        return err;
    if (r->total + len + others * KBV_BARE_MAX > KBV_VERDICT_MAX)
        return KBV_ERR_LIMIT;
    sldns_write_uint16(rr, (uint16_t)len);
    for (size_t i = 0; i < r->n; i++)
        if (r->len[i] == 2 + len && memcmp(r->rr[i], rr, r->len[i]) == 0)
            return KBV_OK;
    r->rr[r->n] = regional_alloc_init(a->region, rr, 2 + len);
    if (!r->rr[r->n])
        return KBV_ERR_NOMEM;
    r->len[r->n++] = 2 + len;
    r->total += len;
    return KBV_OK;
}

/* v as one that says no more than that: what does not fit the answer, or may not be signed. */
static struct kbv_verdict instead_of(const struct kbv_verdict *v, enum kbv_status status,
                                     const struct kbv_policy *p, const char *reason)
{
    struct kbv_verdict l = *v;

    l.status = status;
    l.ede = kbv_status_ede(status);
    l.match = KBV_MATCH_NONE;
    l.auth = 0;
    l.not_after = l.issued + kbv_judge_cap(status, p);
    l.associations = l.reference_names = l.found_at = (struct kbv_slice){NULL, 0};
    l.reason = (struct kbv_slice){(const uint8_t *)reason, strlen(reason)};
    return l;
}

/* One piece of memory, laid out as packed_rrset.h says: the cache copies it as such. */
static struct packed_rrset_data *make_data(struct regional *region, const struct rdatas *r,
                                           time_t ttl)
{
    size_t size = sizeof(struct packed_rrset_data) +
                  r->n * (sizeof(size_t) + sizeof(uint8_t *) + sizeof(time_t));
    struct packed_rrset_data *d;

    for (size_t i = 0; i < r->n; i++)
        size += r->len[i];
    d = regional_alloc_zero(region, size);
    if (!d)
        return NULL;
    d->ttl = ttl;
    d->count = r->n;
    d->rr_len = (size_t *)(d + 1);
    memcpy(d->rr_len, r->len, r->n * sizeof(*r->len));
    packed_rrset_ptr_fixup(d);
    for (size_t i = 0; i < r->n; i++) {
        memcpy(d->rr_data[i], r->rr[i], r->len[i]);
        d->rr_ttl[i] = ttl;
    }
    /* Insecure, so that AD stays 0; of the highest trust, so that nothing takes its place. */
    d->security = sec_status_insecure;
    d->trust = rrset_trust_ultimate;
    return d;
}

static struct ub_packed_rrset_key *make_rrset(struct module_qstate *qstate, uint16_t type,
                                              const struct rdatas *r, time_t ttl)
{
    struct regional *region = qstate->region;
    struct ub_packed_rrset_key *key = regional_alloc_zero(region, sizeof(*key));

    if (!key)
        return NULL;
    key->entry.key = key;
    key->entry.data = make_data(region, r, ttl);
    key->rk.dname = regional_alloc_init(region, qstate->qinfo.qname, qstate->qinfo.qname_len);
    if (!key->entry.data || !key->rk.dname)
        return NULL;
    key->rk.dname_len = qstate->qinfo.qname_len;
    key->rk.flags = KBV_RRSET_FLAG;
    key->rk.type = htons(type);
    key->rk.rrset_class = htons(LDNS_RR_CLASS_IN);
    key->entry.hash = rrset_key_hash(&key->rk);
    return key;
}

/* return_msg with n RRsets to be filled in; TTLs relative. */
static bool make_msg(struct module_qstate *qstate, size_t n, time_t ttl)
{
    struct dns_msg *msg = regional_alloc_zero(qstate->region, sizeof(*msg));

    if (!msg)
        return false;
    msg->qinfo = qstate->qinfo;
    /* serve-expired must make it again rather than serve it: it ends with its TTL. */
    msg->rep =
        construct_reply_info_base(qstate->region, BIT_QR | BIT_RA, 1, ttl, PREFETCH_TTL_CALC(ttl),
                                  ttl, 0, n, 0, 0, n, sec_status_insecure, LDNS_EDE_NONE);
    if (!msg->rep)
        return false;
    qstate->return_msg = msg;
    return true;
}

bool kbv_reply_nodata(struct module_qstate *qstate)
{
    return make_msg(qstate, 0, 0);
}

const struct ub_packed_rrset_key *kbv_reply_rrset(const struct reply_info *rep, uint16_t type)
{
    for (size_t i = 0; i < rep->an_numrrsets; i++)
        if (ntohs(rep->rrsets[i]->rk.type) == type && (rep->rrsets[i]->rk.flags & KBV_RRSET_FLAG))
            return rep->rrsets[i];
    return NULL;
}

size_t kbv_reply_decode(const struct ub_packed_rrset_key *rrset, struct kbv_verdict *v, size_t max)
{
    const struct packed_rrset_data *d = rrset->entry.data;
    size_t n = 0;

    if (d->count > max)
        return 0;
    for (; n < d->count; n++)
        if (d->rr_len[n] < 2 ||
            kbv_verdict_decode(&v[n], d->rr_data[n] + 2, d->rr_len[n] - 2) != KBV_OK)
            return 0;
    return n;
}

/* The unexpired message of (name, type) out of the cache; exactly that one. */
static struct dns_msg *cached_msg(struct module_qstate *qstate, uint8_t *name, size_t len,
                                  uint16_t type, bool skip_if_refreshing)
{
    struct module_env *env = qstate->env;
    struct msgreply_entry *e;
    struct dns_msg *msg;
    time_t now = *env->now;

    if (skip_if_refreshing && (qstate->blacklist || qstate->no_cache_lookup))
        return NULL;
    e = msg_cache_lookup(env, name, len, type, LDNS_RR_CLASS_IN, 0, now, 0);
    if (!e)
        return NULL;
    msg = tomsg(env, &e->key, e->entry.data, qstate->region, now, 0, env->scratch);
    lock_rw_unlock(&e->entry.lock);
    return msg;
}

bool kbv_reply_cached(struct module_qstate *qstate)
{
    struct dns_msg *msg =
        cached_msg(qstate, qstate->qinfo.qname, qstate->qinfo.qname_len, qstate->qinfo.qtype, true);
    if (!msg || !kbv_reply_rrset(msg->rep, qstate->qinfo.qtype))
        return false;
    qstate->return_msg = msg;
    return true;
}

static void expire_message(struct reply_info *rep)
{
    /* As unbound-control's flush commands do it: expired, and not to be served as such either. */
    rep->ttl = rep->prefetch_ttl = rep->serve_expired_ttl = 0;
}

/* What a walk through the caches does, and to what. */
struct sweep {
    bool others;   /* to all that is kept; else to what was made here */
    bool distrust; /* it is to be validated again; else it expires */
    const struct kbv_options *opts;
    const uint8_t *name; /* of what was made here what is about this one; NULL: all */
    size_t len;
    time_t now;
    size_t answers; /* unexpired ones that it was done to */
};

/* An answer made here, which is one about the name: as it stands, or behind a _kbv label. */
static bool is_about(const struct sweep *s, uint8_t *qname, size_t len, uint16_t qtype)
{
    struct kbv_question q;

    if (qtype != s->opts->rrtype && !kbv_name_under_kbv(qname, len))
        return false;
    if (s->name == NULL)
        return true;
    kbv_question_read(s->opts, qname, len, qtype, &q);
    return kbv_name_equal(q.name, q.name_len, s->name, s->len);
}

static void sweep_message(struct lruhash_entry *e, void *arg)
{
    struct sweep *s = arg;
    const struct msgreply_entry *key = e->key;
    struct reply_info *rep = e->data;

    if (!s->others && !is_about(s, key->key.qname, key->key.qname_len, key->key.qtype))
        return;
    if (s->distrust) {
        rep->security = sec_status_unchecked;
        return;
    }
    if (rep->ttl >= s->now)
        s->answers++;
    expire_message(rep);
}

static void sweep_rrset(struct lruhash_entry *e, void *arg)
{
    const struct sweep *s = arg;
    const struct ub_packed_rrset_key *key = e->key;
    struct packed_rrset_data *d = e->data;

    if (!s->others && ((key->rk.flags & KBV_RRSET_FLAG) == 0 ||
                       !is_about(s, key->rk.dname, key->rk.dname_len, ntohs(key->rk.type))))
        return;
    if (s->distrust)
        d->security = sec_status_unchecked;
    else
        d->ttl = 0;
}

static void sweep_caches(struct module_env *env, struct sweep *s)
{
    if (env->msg_cache)
        slabhash_traverse(env->msg_cache, 1, sweep_message, s);
    if (env->rrset_cache)
        slabhash_traverse(&env->rrset_cache->table, 1, sweep_rrset, s);
}

void kbv_reply_expire_all(struct module_env *env, struct kbv_module *m)
{
    struct sweep s = {.others = true, .opts = m->opts};

    /* First: see store(). */
    atomic_fetch_add(&m->flushes, 1);
    sweep_caches(env, &s);
}

void kbv_reply_forget_verdicts(struct module_env *env, const struct kbv_module *m)
{
    struct sweep s = {.opts = m->opts};

    sweep_caches(env, &s);
}

void kbv_reply_forget_all(struct module_env *env, const struct kbv_module *m)
{
    struct sweep s = {.others = true, .distrust = true, .opts = m->opts};

    kbv_reply_forget_verdicts(env, m);
    sweep_caches(env, &s);
}

size_t kbv_reply_forget(struct module_env *env, struct kbv_module *m, const uint8_t *name,
                        size_t len)
{
    struct sweep s = {.opts = m->opts, .name = name, .len = len, .now = *env->now};

    /* First: see store(). */
    atomic_fetch_add(&m->flushes, 1);
    sweep_caches(env, &s);
    return s.answers;
}

const struct ub_packed_rrset_key *kbv_reply_cached_base(struct module_qstate *qstate,
                                                        const struct kbv_question *q,
                                                        uint16_t rrtype)
{
    struct dns_msg *msg = cached_msg(qstate, (uint8_t *)q->name, q->name_len, rrtype, true);
    return msg ? kbv_reply_rrset(msg->rep, rrtype) : NULL;
}

bool kbv_reply_denial_kept(struct module_qstate *qstate, const struct kbv_question *q)
{
    bool service = q->zone && q->zone->lookup == KBV_LOOKUP_SERVICE;
    struct msgreply_entry *e = msg_cache_lookup(qstate->env, (uint8_t *)q->name, q->name_len,
                                                service ? KBV_TYPE_NAPTR : LDNS_RR_TYPE_TLSA,
                                                LDNS_RR_CLASS_IN, 0, *qstate->env->now, 0);

    if (!e)
        return false;
    lock_rw_unlock(&e->entry.lock);
    return true;
}

/* A failure must not take the place of what is still good: then the good one is the answer. */
static bool keep_cached(struct module_qstate *qstate, const struct kbv_verdict *v, size_t n,
                        uint16_t rrtype)
{
    struct kbv_verdict old[KBV_VERDICTS_MAX];
    const struct ub_packed_rrset_key *rrset;
    struct dns_msg *msg;
    size_t n_old;
    bool fails = false;

    for (size_t i = 0; i < n; i++)
        fails |= is_failure(v[i].status);
    if (!fails)
        return false;
    msg = cached_msg(qstate, qstate->qinfo.qname, qstate->qinfo.qname_len, rrtype, false);
    rrset = msg ? kbv_reply_rrset(msg->rep, rrtype) : NULL;
    n_old = rrset ? kbv_reply_decode(rrset, old, KBV_VERDICTS_MAX) : 0;
    for (size_t i = 0; i < n_old; i++)
        if (is_failure(old[i].status))
            return false;
    if (n_old == 0)
        return false;
    verbose(VERB_ALGO, "kbv: a refresh failed; the verdicts at hand stay");
    qstate->return_msg = msg;
    return true;
}

/* The lifetime of verdicts is in them; the cache counts down what is left. What began before
 * verdicts were to be forgotten rests on what was known then, and is not kept: if that happens
 * while it is being stored, either we see it here, or it comes by when the answer is in the cache.
 */
static void store(struct module_qstate *qstate, const struct kbv_module *m,
                  const struct kbv_qstate *k, time_t ttl)
{
    const struct query_info *qi = &qstate->qinfo;

    if (qstate->no_cache_store || ttl == 0 || atomic_load(&m->flushes) != k->flushes)
        return;
    if (!kbv_dns_cache_store(qstate->env, &qstate->qinfo, qstate->return_msg->rep,
                             qstate->prefetch_leeway, qstate->query_flags, qstate->qstarttime))
        log_err("kbv: out of memory for the cache");
    if (atomic_load(&m->flushes) != k->flushes)
        msg_cache_remove(qstate->env, qi->qname, qi->qname_len, qi->qtype, qi->qclass,
                         qstate->query_flags);
}

/* Appends the RRs of n verdicts, and lowers *ttl to what they live. */
static enum kbv_err append_all(const struct answer *a, const struct kbv_policy *p,
                               const struct kbv_verdict *v, size_t n, struct rdatas *r,
                               uint32_t *ttl)
{
    for (size_t i = 0; i < n && r->n < KBV_VERDICTS_MAX; i++) {
        struct kbv_verdict rr = v[i];
        enum kbv_err err = append(a, r, &rr, n - i - 1);
        if (err == KBV_ERR_LIMIT || err == KBV_ERR_SPACE || err == KBV_ERR_FORMAT) {
            kbv_count(a->m, KBV_STATS_LIMIT_SIZE);
            rr = instead_of(&v[i], KBV_STATUS_LIMIT, p, "the answer would be too large");
            err = append(a, r, &rr, 0);
        }
        if (err)
            return err;
        if (life_of(&rr, (uint32_t)a->now) < *ttl)
            *ttl = life_of(&rr, (uint32_t)a->now);
    }
    return KBV_OK;
}

/* The same of verdicts that may not be signed: each is refused, for what is not signed is nothing
 * to go by; those that say so anyway say it without. */
static enum kbv_err append_refused(struct answer *a, const struct kbv_policy *p, const char *reason,
                                   const struct kbv_verdict *v, size_t n, struct rdatas *r)
{
    struct kbv_verdict refused[KBV_VERDICTS_MAX];
    uint32_t ttl = 0; /* never kept */

    a->sign = false;
    r->n = r->total = 0;
    for (size_t i = 0; i < n && i < KBV_VERDICTS_MAX; i++)
        refused[i] =
            is_failure(v[i].status) ? v[i] : instead_of(&v[i], KBV_STATUS_REFUSED, p, reason);
    return append_all(a, p, refused, n < KBV_VERDICTS_MAX ? n : KBV_VERDICTS_MAX, r, &ttl);
}

bool kbv_reply_verdicts(struct module_qstate *qstate, const struct kbv_qstate *k,
                        const struct kbv_verdict *v, size_t n, uint32_t keep)
{
    const struct kbv_module *m = kbv_module_of(qstate->env);
    const struct mesh_state *mesh = qstate->mesh_info;
    const bool passing = keep == KBV_KEEP_NOT;
    uint32_t ttl = UINT32_MAX;
    struct kbv_waiting_clients waiting = {m, mesh, !passing, (int64_t)*qstate->env->now, NULL};
    struct answer a = {
        .m = m,
        .region = qstate->region,
        .txt = k->q.form == KBV_FORM_TXT,
        .passing = passing,
        .sign = !passing || mesh->reply_list || mesh->cb_list, /* else nobody sees it */
        .leave = {kbv_waiting_may_sign, &waiting},
        .now = (int64_t)*qstate->env->now,
    };
    struct rdatas r = {.n = 0};
    struct kbv_policy p;
    enum kbv_err err;

    if (!m)
        return false;
    kbv_policy_for(m, k->q.name, k->q.name_len, &p);
    if (!passing && !a.txt && keep_cached(qstate, v, n, m->opts->rrtype))
        return true;
    err = append_all(&a, &p, v, n, &r, &ttl);
    if (err == KBV_ERR_UNSUPPORTED) {
        err = append_refused(&a, &p, waiting.refusal, v, n, &r);
        ttl = 0;
    }
    if (err) /* unsigned where there is a key would be none either */
        return false;
    if (!passing && ttl > keep)
        ttl = keep;
    if (r.n == 0 || !make_msg(qstate, 1, (time_t)ttl))
        return false;
    qstate->return_msg->rep->rrsets[0] =
        make_rrset(qstate, a.txt ? LDNS_RR_TYPE_TXT : m->opts->rrtype, &r, (time_t)ttl);
    if (!qstate->return_msg->rep->rrsets[0])
        return false;
    if (!passing)
        store(qstate, m, k, (time_t)ttl);
    return true;
}
