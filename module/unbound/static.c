/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the iterator and the validator of a patched Unbound ask the module. All of it says no, or
 * does nothing, while kbv is not in the running stack: Unbound then does what it always did.
 */
#include "config.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "services/mesh.h"
#include "services/modstack.h"
#include "sldns/sbuffer.h"
#include "util/data/msgreply.h"
#include "util/data/packed_rrset.h"
#include "util/module.h"
#include "util/storage/slabhash.h"
#include "validator/val_kcache.h"

#include "kbv_unbound.h"
#include "kbvmod.h"

int kbv_no_minimise(struct module_env *env, uint8_t *qname, size_t len)
{
    const struct kbv_module *m = kbv_module_of(env);

    return m != NULL && !m->opts->qname_minimisation &&
           kbv_options_zone(m->opts, qname, len) != NULL;
}

int kbv_refuse_upstream(struct module_env *env, struct query_info *qinfo)
{
    const struct kbv_module *m = kbv_module_of(env);

    return m != NULL &&
           (qinfo->qtype == m->opts->rrtype || kbv_name_under_kbv(qinfo->qname, qinfo->qname_len));
}

int kbv_refuse_answer(struct module_env *env, struct reply_info *rep)
{
    if (kbv_module_of(env) == NULL)
        return 0;
    for (size_t i = 0; i < rep->an_numrrsets; i++)
        if (kbv_name_under_kbv(rep->rrsets[i]->rk.dname, rep->rrsets[i]->rk.dname_len))
            return 1;
    return 0;
}

int kbv_option_fixed(struct module_env *env, const char *option)
{
    /* What kbv_config_check() looks at: with other values verdicts would be served that are not
     * true, or no longer. */
    static const char *const fixed[] = {
        "val-permissive-mode:", "val-override-date:", "serve-expired:", "serve-expired-ttl:",
        "serve-expired-ttl-reset:"};
    static const char *const with_cachedb[] = {"cache-min-ttl:", "serve-original-ttl:"};

    if (kbv_module_of(env) == NULL)
        return 0;
    if (KBV_LISTED(fixed, option))
        return 1;
    return modstack_find(&env->mesh->mods, "cachedb") >= 0 && KBV_LISTED(with_cachedb, option);
}

static void reverse(uint8_t *begin, uint8_t *end)
{
    while (begin < end) {
        uint8_t octet = *begin;
        *begin++ = *--end;
        *end = octet;
    }
}

/* Signature index goes to the front, those before it one to the back. The RRset stays packed: its
 * octets lie one after the other in the order of their pointers. */
static void to_front(struct packed_rrset_data *d, size_t index)
{
    size_t first = d->count, moved = d->count + index, len = d->rr_len[moved];
    uint8_t *begin = d->rr_data[first], *middle = d->rr_data[moved];
    time_t ttl = d->rr_ttl[moved];

    reverse(begin, middle);
    reverse(middle, middle + len);
    reverse(begin, middle + len);
    for (size_t i = moved; i > first; i--) {
        d->rr_len[i] = d->rr_len[i - 1];
        d->rr_ttl[i] = d->rr_ttl[i - 1];
    }
    d->rr_len[first] = len;
    d->rr_ttl[first] = ttl;
    for (size_t i = first; i < moved; i++)
        d->rr_data[i + 1] = d->rr_data[i] + d->rr_len[i];
}

/* By its dates, without any skew (RFC 4034 section 3.1.5); rr begins with its length. */
static bool in_time(const uint8_t *rr, size_t len, uint32_t now)
{
    enum { EXPIRATION = 2 + 8, INCEPTION = 2 + 12 };

    return len >= INCEPTION + 4 && (int32_t)(now - sldns_read_uint32(rr + INCEPTION)) >= 0 &&
           (int32_t)(sldns_read_uint32(rr + EXPIRATION) - now) > 0;
}

void kbv_signatures_in_time_first(struct module_env *env, struct ub_packed_rrset_key *rrset)
{
    struct packed_rrset_data *d = rrset->entry.data;
    size_t good = 0;

    if (d->rrsig_count < 2 || kbv_module_of(env) == NULL)
        return;
    /* Each goes before those that are not in time; their own order turns round, which means
     * nothing. */
    for (size_t i = 0; i < d->rrsig_count; i++) {
        size_t at = d->count + i;
        if (!in_time(d->rr_data[at], d->rr_len[at], (uint32_t)*env->now))
            continue;
        if (i > good)
            to_front(d, i);
        good++;
    }
}

void kbv_signature_verified(struct module_env *env, struct ub_packed_rrset_key *rrset, size_t index)
{
    struct packed_rrset_data *d = rrset->entry.data;

    if (index > 0 && index < d->rrsig_count && kbv_module_of(env) != NULL)
        to_front(d, index);
}

/* [s] Threads read the clock on their own; on a busy machine one of them may be that far behind. */
#define CLOCK_BACK_S 10

void kbv_clock_check(struct module_env *env)
{
    /* Of the process, as caches may outlive the module. */
    static _Atomic int64_t latest;
    struct kbv_module *m = kbv_module_of(env);
    int64_t now, known;

    if (m == NULL)
        return;
    now = (int64_t)*env->now;
    known = atomic_load_explicit(&latest, memory_order_relaxed);
    if (now > known)
        atomic_store_explicit(&latest, now, memory_order_relaxed);
    if (now >= known - CLOCK_BACK_S || !atomic_compare_exchange_strong(&latest, &known, now))
        return;
    log_warn("kbv: the clock went back by %" PRId64 " s: nothing in the caches counts",
             known - now);
    if (env->key_cache != NULL)
        slabhash_clear(env->key_cache->slab);
    kbv_reply_expire_all(env, m);
    if (m->cache)
        kbv_cache_flush(m->cache);
}
