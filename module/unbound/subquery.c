/* SPDX-License-Identifier: BSD-3-Clause */
/* Sub-queries: out to the validator, and home with what it says of their security. */
#include "config.h"

#include "services/cache/dns.h"
#include "services/cache/rrset.h"
#include "services/mesh.h"
#include "sldns/rrdef.h"
#include "util/config_file.h"
#include "util/data/msgparse.h"
#include "util/data/msgreply.h"
#include "util/data/packed_rrset.h"
#include "util/log.h"
#include "util/module.h"
#include "util/net_help.h"
#include "util/regional.h"

#include "../core/tlsa.h"
#include "compat.h"
#include "kbvmod.h"

/* One sub-query under way. */
struct kbv_waiting {
    struct kbv_waiting *next;
    struct kbv_subquery ask;
    bool home;
};

static void *region_alloc(void *arg, size_t len)
{
    return regional_alloc_zero(arg, len);
}

struct kbv_mem kbv_region_mem(struct regional *region)
{
    return (struct kbv_mem){region_alloc, region};
}

/* Attaches (name, type) to qstate; false: it cannot be had. */
static bool attach(struct module_qstate *qstate, uint8_t *name, size_t len, uint16_t type)
{
    struct query_info qi = {
        .qname = name, .qname_len = len, .qtype = type, .qclass = LDNS_RR_CLASS_IN};
    struct module_qstate *sub = NULL;

    if (qstate->env->detect_cycle(qstate, &qi, BIT_RD, 0, 0)) {
        verbose(VERB_ALGO, "kbv: sub-query would wait for itself");
        return false;
    }
    if (!kbv_attach_sub(qstate, &qi, &sub)) {
        log_err("kbv: out of memory for a sub-query");
        return false;
    }
    if (sub) {
        /* A prefetch must not refresh the verdict from the old records. */
        if (qstate->blacklist)
            sock_list_merge(&sub->blacklist, sub->region, qstate->blacklist);
        sub->prefetch_leeway = qstate->prefetch_leeway;
    }
    return true;
}

/* A zeroed answer is one that did not arrive. */
static const struct kbv_answer none = {.ede = KBV_EDE_NONE};

void kbv_subquery_start(struct module_qstate *qstate, struct kbv_qstate *k)
{
    int64_t now = (int64_t)*qstate->env->now;
    struct kbv_subquery ask;

    while (kbv_lookup_next(k->lookup, &ask)) {
        struct kbv_waiting *w = regional_alloc_zero(qstate->region, sizeof(*w));
        if (w) {
            w->ask = ask;
            if (attach(qstate, w->ask.name, w->ask.name_len, w->ask.type)) {
                w->next = k->waiting;
                k->waiting = w;
                continue;
            }
        }
        kbv_lookup_answer(k->lookup, ask.id, &none, now);
    }
}

void kbv_subquery_abandon(struct module_qstate *qstate, struct kbv_qstate *k)
{
    int64_t now = (int64_t)*qstate->env->now;
    struct kbv_subquery ask;

    for (struct kbv_waiting *w = k->waiting; w; w = w->next) {
        if (!w->home)
            kbv_lookup_answer(k->lookup, w->ask.id, &none, now);
        w->home = true;
    }
    while (kbv_lookup_next(k->lookup, &ask))
        kbv_lookup_answer(k->lookup, ask.id, &none, now);
}

bool kbv_subquery_start_base(struct module_qstate *qstate, struct kbv_qstate *k)
{
    struct kbv_module *m = kbv_module_of(qstate->env);
    return m && attach(qstate, k->q.name, k->q.name_len, m->opts->rrtype);
}

static enum kbv_security security_of(enum sec_status s)
{
    switch (s) {
    case sec_status_secure:
        return KBV_SEC_SECURE;
    case sec_status_insecure:
        return KBV_SEC_INSECURE;
    case sec_status_indeterminate:
        return KBV_SEC_INDETERMINATE;
    case sec_status_unchecked:
        return KBV_SEC_UNCHECKED;
    case sec_status_bogus:
    case sec_status_secure_sentinel_fail:
        break;
    }
    return KBV_SEC_BOGUS;
}

/* An RRset of a message. Of an insecure message the validator labels no more than it looked at. */
static enum kbv_security security_in(enum sec_status rrset, enum sec_status message)
{
    if (rrset == sec_status_unchecked &&
        (message == sec_status_insecure || message == sec_status_indeterminate))
        return security_of(message);
    return security_of(rrset);
}

/* When the TTL of a copied RRset began to run: copies lose it, so ask the
 * cache. now if it is not there: then it is fresh, or its TTL was never
 * lengthened beyond what the copy says. Never called with cache locks held. */
static int64_t added_of(struct module_env *env, struct ub_packed_rrset_key *key, int64_t now)
{
    struct ub_packed_rrset_key *c =
        rrset_cache_lookup(env->rrset_cache, key->rk.dname, key->rk.dname_len, ntohs(key->rk.type),
                           ntohs(key->rk.rrset_class), key->rk.flags, (time_t)now, 0);
    int64_t added = now;

    if (c) {
        const struct packed_rrset_data *d = c->entry.data;
        if (d->ttl_add > 0 && d->ttl_add < now)
            added = d->ttl_add;
        lock_rw_unlock(&c->entry.lock);
    }
    return added;
}

/* RDATA without its two length octets. */
static struct kbv_slice rdata_slice(const struct packed_rrset_data *d, size_t i)
{
    if (d->rr_len[i] < 2)
        return (struct kbv_slice){d->rr_data[i], 0};
    return (struct kbv_slice){d->rr_data[i] + 2, d->rr_len[i] - 2};
}

/* What is looked at of an RRset, and so kept: of addresses, that there is one; of TLSA records,
 * that there are too many; of signatures, the first that verified and some others. */
enum { SIGNATURES_MAX = 16 };

static size_t records_needed(uint16_t type, size_t count)
{
    size_t most = count;

    if (type == LDNS_RR_TYPE_A || type == LDNS_RR_TYPE_AAAA)
        most = 1;
    else if (type == LDNS_RR_TYPE_TLSA)
        most = KBV_TLSA_MAX + 1;
    return count < most ? count : most;
}

/* Moves the octets of s into region; an empty one stays where it is. */
static bool keep(struct regional *region, struct kbv_slice *s)
{
    if (s->len != 0)
        s->p = regional_alloc_init(region, s->p, s->len);
    return s->p != NULL;
}

static bool rrset_view(struct module_env *env, struct ub_packed_rrset_key *key,
                       enum sec_status message, int64_t now, bool absolute, struct regional *region,
                       bool copy, struct kbv_rrset *out)
{
    const struct packed_rrset_data *d = key->entry.data;
    uint16_t type = ntohs(key->rk.type);
    size_t n_rr = records_needed(type, d->count);
    size_t n_sig = d->rrsig_count < SIGNATURES_MAX ? d->rrsig_count : SIGNATURES_MAX;
    struct kbv_slice *rr = regional_alloc(region, (n_rr + n_sig) * sizeof(*rr) + 1);

    if (!rr)
        return false;
    for (size_t i = 0; i < n_rr + n_sig; i++)
        rr[i] = rdata_slice(d, i < n_rr ? i : d->count + i - n_rr);
    *out = (struct kbv_rrset){
        .owner = {key->rk.dname, key->rk.dname_len},
        .type = type,
        .security = security_in(d->security, message),
        .rr = rr,
        .n_rr = n_rr,
        .sig = rr + n_rr,
        .n_sig = n_sig,
    };
    if (copy && !keep(region, &out->owner))
        return false;
    for (size_t i = 0; copy && i < n_rr + n_sig; i++)
        if (!keep(region, &rr[i]))
            return false;
    if (absolute) {
        out->added = d->ttl_add;
        out->ttl_end = d->ttl;
    } else {
        /* cache-min-ttl lengthens TTLs, and may have done so before it was changed. */
        out->added = added_of(env, key, now);
        /* serve-original-ttl gives copies their full TTL: it ran since then. */
        out->ttl_end = (SERVE_ORIGINAL_TTL ? out->added : now) + d->ttl;
    }
    /* TTL 0 serves the answer that it came with, and Unbound serves a record through the second in
     * which its TTL ends: that second is its own. */
    if (out->ttl_end == now) {
        out->ttl_end++;
        out->added++;
    }
    return true;
}

static bool is_denial_type(uint16_t type)
{
    return type == LDNS_RR_TYPE_SOA || type == LDNS_RR_TYPE_NSEC || type == LDNS_RR_TYPE_NSEC3;
}

bool kbv_answer_view(struct module_env *env, struct reply_info *rep, int rcode, int64_t now,
                     bool absolute, struct regional *region, bool copy, struct kbv_answer *out)
{
    struct kbv_answer a = {.ede = KBV_EDE_NONE};
    struct kbv_rrset *sets;
    size_t n = 0;

    if (!rep) {
        a.rcode = (uint8_t)rcode;
        *out = a;
        return true;
    }
    a.arrived = true;
    a.rcode = (uint8_t)(rcode ? rcode : FLAGS_GET_RCODE(rep->flags));
    a.security = security_of(rep->security);
    if (a.security == KBV_SEC_BOGUS) {
        /* What the validator refused is evidence of nothing but that. */
        a.rcode = 0;
        if (rep->reason_bogus != LDNS_EDE_NONE)
            a.ede = (uint16_t)rep->reason_bogus;
    }
    sets = regional_alloc(region, rep->rrset_count * sizeof(*sets) + 1);
    if (!sets)
        return false;
    for (size_t i = 0; i < rep->an_numrrsets; i++, n++)
        if (!rrset_view(env, rep->rrsets[i], rep->security, now, absolute, region, copy, &sets[n]))
            return false;
    a.answer = sets;
    a.n_answer = n;
    a.authority = sets + n;
    for (size_t i = rep->an_numrrsets; i < rep->an_numrrsets + rep->ns_numrrsets; i++) {
        if (!is_denial_type(ntohs(rep->rrsets[i]->rk.type)))
            continue;
        if (!rrset_view(env, rep->rrsets[i], rep->security, now, absolute, region, copy, &sets[n]))
            return false;
        n++;
    }
    a.n_authority = n - a.n_answer;
    *out = a;
    return true;
}

/* What the sub-query brought, in the super's region. */
static void bring_home(struct module_qstate *sub, struct module_qstate *super, struct kbv_answer *a)
{
    struct reply_info *rep = sub->return_msg ? sub->return_msg->rep : NULL;

    *a = none;
    if (sub->return_rcode != LDNS_RCODE_NOERROR && (!rep || rep->security != sec_status_bogus))
        return;
    if (!kbv_answer_view(super->env, rep, 0, (int64_t)*super->env->now, false, super->region, true,
                         a)) {
        *a = none;
        return;
    }
    /* A policy zone wrote this answer: the operator's word, not the zone's. */
    if (a->arrived && sub->rpz_applied)
        a->security = KBV_SEC_INDETERMINATE;
}

void kbv_subquery_finished(struct module_qstate *sub, struct module_qstate *super,
                           struct kbv_qstate *k)
{
    const struct query_info *qi = &sub->qinfo;

    if (k->phase == KBV_PHASE_BASE) {
        const struct ub_packed_rrset_key *base =
            sub->return_rcode == LDNS_RCODE_NOERROR && sub->return_msg
                ? kbv_reply_rrset(sub->return_msg->rep, qi->qtype)
                : NULL;
        k->base =
            base ? packed_rrset_copy_region((struct ub_packed_rrset_key *)base, super->region, 0)
                 : NULL;
        return;
    }
    for (struct kbv_waiting *w = k->waiting; w; w = w->next) {
        struct kbv_answer a;
        if (w->home || w->ask.type != qi->qtype ||
            !kbv_name_equal(w->ask.name, w->ask.name_len, qi->qname, qi->qname_len))
            continue;
        w->home = true;
        bring_home(sub, super, &a);
        kbv_lookup_answer(k->lookup, w->ask.id, &a, (int64_t)*super->env->now);
        return;
    }
}
