/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See lookup.h. A lookup follows paths. Each path is in one state, which awaits answers; the
 * state's handler (path.c) takes an answer and says the next state; the driver here assigns it.
 *
 * For an identifier the first path starts at its name and splits into one for each NAPTR record
 * followed: the branches. When all have ended, what they found is put into order, and each of the
 * first endpoints becomes a path of its own. Branches that ended on the way are evidence too.
 */
#include "module/core/lookup.h"

#include <stdio.h>
#include <string.h>

#include "module/core/path.h"

#define TOO_MANY_ENDPOINTS "more than 8 endpoints"

/* ---- asks and paths ---- */

void kbv_lookup_fail(struct kbv_lookup *l, const char *reason)
{
    l->failed = true;
    kbv_evidence_start(&l->evidence[0], l->q, KBV_FOUND_FAILURE);
    snprintf(l->evidence[0].reason, sizeof(l->evidence[0].reason), "%s", reason);
    l->n_evidence = 1;
}

void kbv_lookup_limit(struct kbv_lookup *l, const char *reason)
{
    /* Of several reasons the same one, in whatever order they come. */
    if (!l->limit || strcmp(reason, l->limit) < 0)
        l->limit = reason;
}

static void *allocate(struct kbv_lookup *l, size_t len)
{
    void *p = l->mem.alloc(l->mem.arg, len);

    if (!p)
        kbv_lookup_fail(l, "out of memory");
    return p;
}

const struct kbv_sub *kbv_lookup_ask(struct kbv_lookup *l, const uint8_t *name, size_t len,
                                     uint16_t type)
{
    struct kbv_sub *a;

    for (size_t i = 0; i < l->n_asks; i++) {
        a = l->asks[i];
        if (a->type == type && kbv_name_equal(a->name, a->name_len, name, len))
            return a;
    }
    if (l->n_asks == KBV_LOOKUP_ASKS) {
        kbv_lookup_fail(l, "internal error: sub-queries beyond their bound");
        return NULL;
    }
    a = allocate(l, sizeof(*a));
    if (!a)
        return NULL;
    kbv_name_lower(a->name, name, len);
    a->name_len = len;
    a->type = type;
    l->asks[l->n_asks++] = a;
    return a;
}

struct kbv_path *kbv_path_new(struct kbv_lookup *l, const struct kbv_path *parent,
                              enum kbv_path_state state, const uint8_t *name, size_t len)
{
    struct kbv_path *p;

    if (l->n_paths == KBV_LOOKUP_PATHS) {
        kbv_lookup_fail(l, "internal error: paths beyond their bound");
        return NULL;
    }
    p = allocate(l, sizeof(*p));
    if (!p)
        return NULL;
    p->state = state;
    p->life_end = p->signed_until = INT64_MAX;
    if (parent) {
        p->parent = parent;
        p->rank = parent->rank;
        p->depth = parent->depth;
        p->hops = parent->hops;
        p->naptr_hops = parent->naptr_hops;
        p->flags = parent->flags;
        p->life_end = parent->life_end;
        p->signed_until = parent->signed_until;
        p->service = parent->service;
    }
    kbv_name_lower(p->name, name, len);
    p->name_len = len;
    kbv_evidence_start(&p->evidence, l->q, KBV_FOUND_NOTHING);
    l->paths[l->n_paths++] = p;
    return p;
}

void kbv_path_trace(const struct kbv_lookup *l, const struct kbv_path *p, const char *from,
                    enum kbv_path_state to)
{
    const struct kbv_evidence *e = &p->evidence;
    char text[KBV_NAME_TEXT_MAX];

    if (!l->trace)
        return;
    if (e->has_endpoint)
        kbv_name_to_text(e->owner.p, e->owner.len, text);
    else
        kbv_name_to_text(p->name, p->name_len, text);
    l->trace(l->trace_arg, text, from, kbv_path_table[to].name);
}

/* ---- which paths give evidence ---- */

static int end_compare(const struct kbv_path *a, const struct kbv_path *b)
{
    int c = kbv_rank_compare(&a->rank, &b->rank);

    if (c == 0)
        c = memcmp(a->rank.deeper, b->rank.deeper, sizeof(a->rank.deeper));
    return c ? c : strcmp(a->evidence.reason, b->evidence.reason);
}

static bool end_same(const struct kbv_path *a, const struct kbv_path *b)
{
    return a->evidence.finding == b->evidence.finding &&
           a->evidence.security == b->evidence.security &&
           strcmp(a->evidence.reason, b->evidence.reason) == 0;
}

/* The paths that ended with a denial, or those that ended otherwise, in order; their number. */
static size_t ends_sorted(const struct kbv_lookup *l, bool denied,
                          struct kbv_path *out[KBV_LOOKUP_PATHS])
{
    size_t n = 0;

    for (size_t i = 0; i < l->n_paths; i++) {
        struct kbv_path *p = l->paths[i];
        size_t at;

        if (p->state != KBV_PATH_ENDED || (p->evidence.finding == KBV_FOUND_DENIAL) != denied)
            continue;
        for (at = n++; at > 0 && end_compare(p, out[at - 1]) < 0; at--)
            out[at] = out[at - 1];
        out[at] = p;
    }
    return n;
}

/* Keeps the first of identical ones; how many are left. */
static size_t ends_unique(struct kbv_path *ends[KBV_LOOKUP_PATHS], size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        size_t j = 0;
        while (j < kept && !end_same(ends[i], ends[j]))
            j++;
        if (j == kept)
            ends[kept++] = ends[i];
    }
    return kept;
}

/* Nothing but denials: the first speaks for all, and holds as long as all do. */
static void plan_denial(struct kbv_lookup *l)
{
    struct kbv_path *ends[KBV_LOOKUP_PATHS];
    size_t n = ends_sorted(l, true, ends);

    if (n == 0) {
        kbv_lookup_fail(l, "internal error: every path was lost");
        return;
    }
    for (size_t i = 1; i < n; i++) {
        const struct kbv_evidence *e = &ends[i]->evidence;
        if (e->life_end < ends[0]->evidence.life_end)
            ends[0]->evidence.life_end = e->life_end;
        if (e->signed_until < ends[0]->evidence.signed_until)
            ends[0]->evidence.signed_until = e->signed_until;
    }
    l->plan[l->n_plan++] = ends[0];
}

/* All branches have ended: the first endpoints and ends, in order. A denied branch says nothing
 * beside others. */
static void plan(struct kbv_lookup *l)
{
    struct kbv_path *ends[KBV_LOOKUP_PATHS];
    size_t n_ends = ends_unique(ends, ends_sorted(l, false, ends)), i = 0, j = 0;
    const struct kbv_endpoints *list = &l->endpoints;

    l->planned = true;
    while (l->n_plan < KBV_MAX_ENDPOINTS && (i < n_ends || j < list->n)) {
        bool end =
            j == list->n || (i < n_ends && kbv_rank_compare(&ends[i]->rank, &list->e[j].rank) < 0);
        struct kbv_path *p = end ? ends[i++] : kbv_path_endpoint(l, &list->e[j++]);

        if (l->failed)
            return;
        l->plan[l->n_plan++] = p;
    }
    if (i < n_ends || j < list->n || list->more)
        kbv_lookup_limit(l, TOO_MANY_ENDPOINTS);
    if (l->n_plan == 0 && !l->limit)
        plan_denial(l);
}

static void finish(struct kbv_lookup *l)
{
    l->n_evidence = 0;
    for (size_t i = 0; i < l->n_plan; i++)
        l->evidence[l->n_evidence++] = l->plan[i]->evidence;
    if (l->limit) {
        struct kbv_evidence *e = &l->evidence[l->n_evidence++];
        kbv_evidence_start(e, l->q, KBV_FOUND_LIMIT);
        snprintf(e->reason, sizeof(e->reason), "%s", l->limit);
    }
    l->done = true;
}

/* ---- the driver ---- */

/* The next answer that the path awaits and that is there; it is awaited no longer. */
static const struct kbv_sub *next_event(struct kbv_path *p)
{
    for (size_t i = 0; i < 2; i++) {
        const struct kbv_sub *a = p->await[i];
        if (a && a->answered) {
            p->await[i] = NULL;
            return a;
        }
    }
    return NULL;
}

/* Moves the path as far as the answers allow; true: it is at its end. */
static bool advance(struct kbv_lookup *l, struct kbv_path *p)
{
    const struct kbv_sub *event;

    while (!l->failed && (event = next_event(p))) {
        const struct kbv_path_row *row = &kbv_path_table[p->state];
        enum kbv_path_state next;

        if (!row->handler) {
            kbv_lookup_fail(l, "internal error: an answer after the end of its path");
            break;
        }
        next = row->handler(l, p, event);
        if (next != p->state)
            kbv_path_trace(l, p, row->name, next);
        p->state = next;
    }
    if (!kbv_path_table[p->state].handler)
        return true;
    if (!l->failed && !p->await[0] && !p->await[1])
        kbv_lookup_fail(l, "internal error: a path awaits nothing");
    return false;
}

/* Moves all paths, those that appear on the way included; true: all are at their end. */
static bool advance_all(struct kbv_lookup *l)
{
    bool ended = true;

    for (size_t i = 0; i < l->n_paths && !l->failed; i++)
        ended &= advance(l, l->paths[i]);
    return ended && !l->failed;
}

static void run(struct kbv_lookup *l)
{
    if (!advance_all(l))
        return;
    if (!l->planned) {
        plan(l);
        if (l->failed || !advance_all(l))
            return;
    }
    finish(l);
}

static void start(struct kbv_lookup *l)
{
    const struct kbv_question *q = l->q;
    bool service = q->zone && q->zone->lookup == KBV_LOOKUP_SERVICE;
    struct kbv_path *p =
        kbv_path_new(l, NULL, service ? KBV_PATH_NAPTR : KBV_PATH_LITERAL, q->name, q->name_len);

    if (!p)
        return;
    p->await[0] = kbv_lookup_ask(l, q->name, q->name_len, service ? KBV_TYPE_NAPTR : KBV_TYPE_TLSA);
    if (l->failed)
        return;
    if (!service) {
        l->plan[l->n_plan++] = p;
        l->planned = true;
        return;
    }
    p->a = kbv_lookup_ask(l, q->name, q->name_len, KBV_TYPE_A);
    if (!l->failed)
        p->aaaa = kbv_lookup_ask(l, q->name, q->name_len, KBV_TYPE_AAAA);
}

/* ---- what the caller sees ---- */

struct kbv_lookup *kbv_lookup_create(const struct kbv_mem *mem, const struct kbv_question *q)
{
    struct kbv_lookup *l = mem->alloc(mem->arg, sizeof(*l));

    if (!l)
        return NULL;
    l->mem = *mem;
    l->q = q;
    /* Until the end this is what an impatient caller gets. */
    kbv_evidence_start(&l->evidence[0], q, KBV_FOUND_FAILURE);
    snprintf(l->evidence[0].reason, sizeof(l->evidence[0].reason), "discovery has not ended");
    l->n_evidence = 1;
    if (q->refusal != KBV_STATUS_NONE)
        kbv_lookup_fail(l, "internal error: discovery for a question that is refused");
    else
        start(l);
    return l;
}

bool kbv_lookup_next(struct kbv_lookup *l, struct kbv_subquery *out)
{
    const struct kbv_sub *a;

    if (kbv_lookup_done(l) || l->n_taken == l->n_asks)
        return false;
    a = l->asks[l->n_taken];
    out->id = (unsigned)l->n_taken;
    memcpy(out->name, a->name, a->name_len);
    out->name_len = a->name_len;
    out->type = a->type;
    l->n_taken++;
    return true;
}

void kbv_lookup_answer(struct kbv_lookup *l, unsigned id, const struct kbv_answer *answer,
                       int64_t now)
{
    struct kbv_sub *a;

    if (id >= l->n_taken || l->asks[id]->answered) {
        kbv_lookup_fail(l, "internal error: an answer that was not awaited");
        return;
    }
    a = l->asks[id];
    kbv_answer_read(answer, (struct kbv_slice){a->name, a->name_len}, a->type, now, &a->reading);
    a->answered = true;
    l->n_answered++;
    if (!kbv_lookup_done(l))
        run(l);
}

bool kbv_lookup_done(const struct kbv_lookup *l)
{
    return l->done || l->failed;
}

size_t kbv_lookup_outstanding(const struct kbv_lookup *l)
{
    return l->n_taken - l->n_answered;
}

const struct kbv_evidence *kbv_lookup_evidence(struct kbv_lookup *l, size_t *n)
{
    *n = l->n_evidence;
    return l->evidence;
}

void kbv_lookup_trace(struct kbv_lookup *l, kbv_lookup_trace_fn *fn, void *arg)
{
    l->trace = fn;
    l->trace_arg = arg;
}
