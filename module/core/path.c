/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The states of a path through discovery: one handler each. Where a step is not secure, stale,
 * unanswered or beyond a limit the path ends there; only a secure denial ever leads to another
 * step.
 */
#include "module/core/path.h"

#include <stdio.h>
#include <string.h>

#define TOO_MANY_NAPTRS "more than 8 NAPTR records to follow"
#define TOO_MANY_ASKS   "more than 24 sub-queries"
#define TOO_LONG        "a host name is too long for a TLSA owner"

static struct kbv_slice path_name(const struct kbv_path *p)
{
    return (struct kbv_slice){p->name, p->name_len};
}

static void await(struct kbv_path *p, const struct kbv_sub *one, const struct kbv_sub *other)
{
    p->await[0] = one;
    p->await[1] = other;
}

/* The path now rests on this step too. */
static void take(struct kbv_path *p, const struct kbv_step *step, unsigned hops)
{
    p->hops += hops;
    p->flags |= kbv_step_flags(step, hops);
    if (step->life_end < p->life_end)
        p->life_end = step->life_end;
    if (step->signed_until < p->signed_until)
        p->signed_until = step->signed_until;
}

static bool too_far(const struct kbv_path *p)
{
    return p->hops > KBV_MAX_HOPS;
}

/* ---- ends ---- */

/* Ends a path whose evidence has its finding and reason. */
static enum kbv_path_state end(struct kbv_path *p)
{
    await(p, NULL, NULL);
    p->evidence.flags = p->flags;
    p->evidence.life_end = p->life_end;
    p->evidence.signed_until = p->signed_until;
    p->evidence.order = p->rank.order;
    p->evidence.preference = p->rank.preference;
    return KBV_PATH_ENDED;
}

static enum kbv_path_state end_with(struct kbv_path *p, enum kbv_finding finding,
                                    const char *before, const char *after)
{
    p->evidence.finding = finding;
    kbv_evidence_reason(&p->evidence, before, path_name(p), after);
    return end(p);
}

static enum kbv_path_state end_too_far(struct kbv_path *p)
{
    return end_with(p, KBV_FOUND_LIMIT, "", ": more than 8 aliases and NAPTR hops on the way");
}

/* Ends a path at the answer to its NAPTR or SRV question. */
static enum kbv_path_state end_at(struct kbv_path *p, const struct kbv_sub *event)
{
    const struct kbv_step *step = &event->reading.all;
    bool srv = event->type == KBV_TYPE_SRV;

    if (step->outcome >= KBV_OUTCOME_DENIED && too_far(p))
        return end_too_far(p);
    if (step->outcome == KBV_OUTCOME_DENIED)
        return end_with(p, KBV_FOUND_DENIAL, srv ? "no SRV at " : "no NAPTR at ", "");
    kbv_evidence_step(&p->evidence, step, srv ? "SRV at " : "NAPTR at ", path_name(p));
    return end(p);
}

/* ---- LITERAL ---- */

static enum kbv_path_state on_literal(struct kbv_lookup *l, struct kbv_path *p,
                                      const struct kbv_sub *event)
{
    if (!kbv_evidence_literal(&p->evidence, &l->mem, l->q, &event->reading))
        kbv_lookup_fail(l, "out of memory");
    return KBV_PATH_ENDED;
}

/* ---- NAPTR ---- */

/* Keeps an endpoint of path p, for when all branches have ended. */
static void endpoint_found(struct kbv_lookup *l, const struct kbv_path *p, struct kbv_endpoint *e)
{
    uint8_t owner[KBV_NAME_MAX];
    size_t owner_len;

    if (kbv_name_tlsa_owner(e->port, e->host, e->host_len, owner, &owner_len) != KBV_OK) {
        kbv_lookup_limit(l, TOO_LONG);
        return;
    }
    e->from = p;
    e->via = p->name;
    kbv_endpoints_add(&l->endpoints, e);
}

/* A host without a port of its own: the zone's, in order. */
static void host_found(struct kbv_lookup *l, const struct kbv_path *p, const struct kbv_rank *rank,
                       const uint8_t *host, size_t len)
{
    const struct kbv_zone *zone = l->q->zone;

    for (size_t i = 0; i < zone->n_ports; i++) {
        struct kbv_endpoint e = {
            .rank = *rank, .priority = (uint16_t)i, .port = zone->ports[i], .host_len = len};
        memcpy(e.host, host, len);
        endpoint_found(l, p, &e);
    }
}

/* True if the path asked for name before. */
static bool is_loop(const struct kbv_path *p, const uint8_t *name, size_t len)
{
    for (; p; p = p->parent)
        if (kbv_name_equal(p->name, p->name_len, name, len))
            return true;
    return false;
}

/* The service's domain: the SRV owner without its two leading labels (RFC 7673 section 4). */
static struct kbv_slice service_domain(struct kbv_slice owner)
{
    for (int i = 0; i < 2 && owner.len > 1; i++) {
        size_t label = 1u + owner.p[0];
        owner.p += label;
        owner.len -= label;
    }
    return owner.len > 1 ? owner : (struct kbv_slice){NULL, 0};
}

/* A NAPTR record that asks for another lookup: a branch of p, NULL if there can be none. */
static struct kbv_path *branch(struct kbv_lookup *l, const struct kbv_path *p,
                               const struct kbv_rank *rank, enum kbv_path_state state,
                               const struct kbv_naptr *r)
{
    struct kbv_path *child;

    if (l->n_branches == KBV_LOOKUP_BRANCHES) {
        kbv_lookup_limit(l, TOO_MANY_ASKS);
        return NULL;
    }
    child = kbv_path_new(l, p, state, r->name, r->name_len);
    if (!child)
        return NULL;
    l->n_branches++;
    child->rank = *rank;
    kbv_path_trace(l, child, "-", state);
    return child;
}

static void branch_srv(struct kbv_lookup *l, const struct kbv_path *p, const struct kbv_rank *rank,
                       const struct kbv_naptr *r)
{
    struct kbv_path *child = branch(l, p, rank, KBV_PATH_SRV, r);

    if (!child)
        return;
    child->service = service_domain(path_name(child));
    await(child, kbv_lookup_ask(l, child->name, child->name_len, KBV_TYPE_SRV), NULL);
}

static void branch_naptr(struct kbv_lookup *l, const struct kbv_path *p,
                         const struct kbv_rank *rank, const struct kbv_naptr *r)
{
    bool loop = is_loop(p, r->name, r->name_len);
    bool far = p->hops + 1 > KBV_MAX_HOPS;
    struct kbv_path *child = branch(l, p, rank, loop || far ? KBV_PATH_ENDED : KBV_PATH_NAPTR, r);

    if (!child)
        return;
    child->depth++;
    child->hops++;
    if (loop)
        end_with(child, KBV_FOUND_LIMIT, "NAPTR loop at ", "");
    else if (far)
        end_too_far(child);
    else
        await(child, kbv_lookup_ask(l, child->name, child->name_len, KBV_TYPE_NAPTR), NULL);
}

static void follow(struct kbv_lookup *l, const struct kbv_path *p, const struct kbv_naptr *r)
{
    struct kbv_rank rank = kbv_rank_below(&p->rank, p->depth, r->order, r->preference);
    struct kbv_endpoint e = {.rank = rank, .port = r->port, .host_len = r->name_len};

    switch (r->use) {
    case KBV_NAPTR_SRV:
        branch_srv(l, p, &rank, r);
        return;
    case KBV_NAPTR_NEXT:
        branch_naptr(l, p, &rank, r);
        return;
    case KBV_NAPTR_HOST:
        host_found(l, p, &rank, r->name, r->name_len);
        return;
    case KBV_NAPTR_URI:
        memcpy(e.host, r->name, r->name_len);
        endpoint_found(l, p, &e);
        return;
    case KBV_NAPTR_DROP:
    case KBV_NAPTR_PLAIN:
        return;
    }
}

static enum kbv_path_state split(struct kbv_lookup *l, struct kbv_path *p,
                                 const struct kbv_rrset *rrset)
{
    struct kbv_naptrs naptrs;

    kbv_naptrs_read(rrset, &naptrs);
    if (naptrs.n == 0)
        return end_with(p, KBV_FOUND_DENIAL,
                        naptrs.plain ? "only plain HTTP (LWN) in NAPTR at "
                                     : "no usable service in NAPTR at ",
                        "");
    if (naptrs.more)
        kbv_lookup_limit(l, TOO_MANY_NAPTRS);
    for (size_t i = 0; i < naptrs.n && !l->failed; i++)
        follow(l, p, &naptrs.r[i]);
    return KBV_PATH_SPLIT;
}

static enum kbv_path_state on_naptr(struct kbv_lookup *l, struct kbv_path *p,
                                    const struct kbv_sub *event)
{
    const struct kbv_reading *r = &event->reading;
    bool first = p->parent == NULL;

    take(p, &r->all, r->hops);
    if (r->all.outcome == KBV_OUTCOME_RECORDS && !too_far(p))
        return split(l, p, r->rrset);
    if (r->all.outcome != KBV_OUTCOME_DENIED || !first)
        return end_at(p, event);
    if (r->nxdomain)
        return end_with(p, KBV_FOUND_DENIAL, "", ": name not registered");
    /* The aliases on the way are the host's: they are counted there. */
    p->naptr_hops = p->hops;
    p->hops = 0;
    await(p, p->a, p->aaaa);
    return KBV_PATH_FALLBACK;
}

/* ---- FALLBACK ---- */

/* Address answers tell of aliases and of denial alone: one that did not come, or is bogus, tells
 * neither. */
static bool tells_nothing(const struct kbv_reading *r)
{
    return r->hops == 0 && r->aliases.outcome != KBV_OUTCOME_RECORDS;
}

static bool shows_host(const struct kbv_sub *a)
{
    return a->answered && !tells_nothing(&a->reading) && (a->reading.rrset || a->reading.hops);
}

static enum kbv_path_state on_fallback(struct kbv_lookup *l, struct kbv_path *p,
                                       const struct kbv_sub *event)
{
    const struct kbv_step *a = &p->a->reading.all, *aaaa = &p->aaaa->reading.all;

    (void)event;
    if (shows_host(p->a) || shows_host(p->aaaa)) {
        await(p, NULL, NULL);
        host_found(l, p, &p->rank, p->name, p->name_len);
        return KBV_PATH_SPLIT;
    }
    if (!p->a->answered || !p->aaaa->answered)
        return KBV_PATH_FALLBACK;
    if (a->outcome == KBV_OUTCOME_DENIED && aaaa->outcome == KBV_OUTCOME_DENIED) {
        take(p, a, 0);
        take(p, aaaa, 0);
        return end_with(p, KBV_FOUND_DENIAL, "neither NAPTR nor address at ", "");
    }
    /* Only both denials together prove that there is no host. */
    kbv_evidence_step(&p->evidence, kbv_step_rank(aaaa) < kbv_step_rank(a) ? aaaa : a,
                      "address of ", path_name(p));
    return end(p);
}

/* ---- SRV ---- */

static enum kbv_path_state on_srv(struct kbv_lookup *l, struct kbv_path *p,
                                  const struct kbv_sub *event)
{
    const struct kbv_reading *r = &event->reading;
    bool refused = false, usable = false;

    take(p, &r->all, r->hops);
    if (r->all.outcome != KBV_OUTCOME_RECORDS || too_far(p))
        return end_at(p, event);
    for (size_t i = 0; i < r->rrset->n_rr; i++) {
        struct kbv_srv srv;
        struct kbv_endpoint e;

        if (kbv_srv_read(r->rrset->rr[i], &srv) != KBV_OK)
            continue;
        if (srv.target_len == 1) { /* RFC 2782: decidedly not available */
            refused = true;
            continue;
        }
        usable = true;
        e = (struct kbv_endpoint){
            .rank = p->rank,
            .priority = srv.priority,
            .weight = srv.weight,
            .port = srv.port,
            .host_len = srv.target_len,
        };
        memcpy(e.host, srv.target, srv.target_len);
        endpoint_found(l, p, &e);
    }
    if (usable)
        return KBV_PATH_SPLIT;
    return end_with(p, KBV_FOUND_DENIAL,
                    refused ? "service not available, SRV target is . at " : "no usable SRV at ",
                    "");
}

/* ---- HOST ---- */

struct kbv_path *kbv_path_endpoint(struct kbv_lookup *l, const struct kbv_endpoint *from)
{
    uint8_t owner[KBV_NAME_MAX];
    size_t owner_len;
    struct kbv_path *p = kbv_path_new(l, from->from, KBV_PATH_HOST, from->host, from->host_len);
    struct kbv_evidence *e;

    if (!p)
        return NULL;
    if (kbv_name_tlsa_owner(from->port, p->name, p->name_len, owner, &owner_len) != KBV_OK) {
        kbv_lookup_fail(l, "internal error: an endpoint without a TLSA owner");
        return NULL;
    }
    p->rank = from->rank;
    e = &p->evidence;
    e->owner = kbv_mem_name(&l->mem, (struct kbv_slice){owner, owner_len});
    if (!e->owner.p) {
        kbv_lookup_fail(l, "out of memory");
        return NULL;
    }
    e->has_endpoint = true;
    e->priority = from->priority;
    e->weight = from->weight;
    e->port = from->port;
    e->target = path_name(p);
    p->tlsa = kbv_lookup_ask(l, owner, owner_len, KBV_TYPE_TLSA);
    p->a = l->failed ? NULL : kbv_lookup_ask(l, p->name, p->name_len, KBV_TYPE_A);
    p->aaaa = l->failed ? NULL : kbv_lookup_ask(l, p->name, p->name_len, KBV_TYPE_AAAA);
    await(p, p->a, p->aaaa);
    kbv_path_trace(l, p, "-", p->state);
    return p;
}

/* The address answer that tells whether the host is an alias; NULL: more is needed. If one that
 * tells nothing stands beside one that does, that one counts; if one shows an alias and the other
 * none, the alias does. */
static const struct kbv_reading *host_answer(const struct kbv_path *p)
{
    const struct kbv_reading *a = &p->a->reading, *aaaa = &p->aaaa->reading;

    if (p->a->answered && !tells_nothing(a) && a->hops)
        return a;
    if (!p->a->answered || !p->aaaa->answered)
        return NULL;
    if (tells_nothing(a) && tells_nothing(aaaa))
        return kbv_step_rank(&aaaa->all) < kbv_step_rank(&a->all) ? aaaa : a;
    if (tells_nothing(a) || (!tells_nothing(aaaa) && aaaa->hops))
        return aaaa;
    return a;
}

static void count_naptr_hops(struct kbv_path *p)
{
    if (p->hops < p->naptr_hops)
        p->hops = p->naptr_hops;
}

/* A secure alias: TLSA at the fully expanded name comes first (RFC 7671 section 7). */
static enum kbv_path_state expand(struct kbv_lookup *l, struct kbv_path *p,
                                  const struct kbv_reading *r)
{
    uint8_t owner[KBV_NAME_MAX];
    size_t owner_len;

    take(p, &r->aliases, r->hops);
    count_naptr_hops(p);
    if (too_far(p))
        return end_too_far(p);
    if (kbv_name_tlsa_owner(p->evidence.port, r->end.p, r->end.len, owner, &owner_len) != KBV_OK)
        return end_with(p, KBV_FOUND_LIMIT, "alias of ", ": too long for a TLSA owner");
    p->expanded = kbv_mem_name(&l->mem, r->end);
    if (!p->expanded.p)
        kbv_lookup_fail(l, "out of memory");
    else
        await(p, kbv_lookup_ask(l, owner, owner_len, KBV_TYPE_TLSA), NULL);
    return KBV_PATH_EXPANDED;
}

static enum kbv_path_state on_host(struct kbv_lookup *l, struct kbv_path *p,
                                   const struct kbv_sub *event)
{
    const struct kbv_reading *r = host_answer(p);

    (void)event;
    if (!r)
        return KBV_PATH_HOST;
    if (r->aliases.outcome != KBV_OUTCOME_RECORDS) {
        p->flags |= kbv_step_flags(&r->aliases, r->hops);
        kbv_evidence_step(&p->evidence, &r->aliases, r->hops ? "alias at " : "address of ",
                          path_name(p));
        return end(p);
    }
    if (r->hops)
        return expand(l, p, r);
    count_naptr_hops(p);
    await(p, p->tlsa, NULL);
    return KBV_PATH_ORIGINAL;
}

/* ---- EXPANDED and ORIGINAL ---- */

/* The path ends at a TLSA answer. */
static enum kbv_path_state end_tlsa(struct kbv_lookup *l, struct kbv_path *p,
                                    const struct kbv_sub *event)
{
    const struct kbv_reading *r = &event->reading;
    struct kbv_evidence *e = &p->evidence;

    if (r->all.outcome >= KBV_OUTCOME_DENIED && too_far(p))
        return end_too_far(p);
    kbv_evidence_tlsa(e, r, (struct kbv_slice){event->name, event->name_len});
    if (e->finding == KBV_FOUND_TLSA) {
        /* RFC 7671 section 7, RFC 7673 section 4.1. */
        kbv_evidence_reference(e, p->expanded);
        kbv_evidence_reference(e, path_name(p));
        kbv_evidence_reference(e, p->service);
        if (!kbv_evidence_found_at(e, &l->mem, r->end))
            kbv_lookup_fail(l, "out of memory");
    }
    return end(p);
}

static enum kbv_path_state on_expanded(struct kbv_lookup *l, struct kbv_path *p,
                                       const struct kbv_sub *event)
{
    const struct kbv_reading *r = &event->reading;

    take(p, &r->all, r->hops);
    if (r->all.outcome != KBV_OUTCOME_DENIED)
        return end_tlsa(l, p, event);
    p->expanded = (struct kbv_slice){NULL, 0};
    await(p, p->tlsa, NULL);
    return KBV_PATH_ORIGINAL;
}

static enum kbv_path_state on_original(struct kbv_lookup *l, struct kbv_path *p,
                                       const struct kbv_sub *event)
{
    take(p, &event->reading.all, event->reading.hops);
    return end_tlsa(l, p, event);
}

const struct kbv_path_row kbv_path_table[KBV_PATH_STATES] = {
    [KBV_PATH_LITERAL] = {"LITERAL", on_literal},
    [KBV_PATH_NAPTR] = {"NAPTR", on_naptr},
    [KBV_PATH_FALLBACK] = {"FALLBACK", on_fallback},
    [KBV_PATH_SRV] = {"SRV", on_srv},
    [KBV_PATH_HOST] = {"HOST", on_host},
    [KBV_PATH_EXPANDED] = {"EXPANDED", on_expanded},
    [KBV_PATH_ORIGINAL] = {"ORIGINAL", on_original},
    [KBV_PATH_SPLIT] = {"SPLIT", NULL},
    [KBV_PATH_ENDED] = {"ENDED", NULL},
};
