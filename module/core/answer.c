/* SPDX-License-Identifier: BSD-3-Clause */
/* See answer.h. */
#include "module/core/answer.h"

#define NXDOMAIN 3

/* What the records used so far say together. */
struct tally {
    enum kbv_security security; /* the worst */
    bool stale, wildcard;
    int64_t life_end, signed_until;
};

#define TALLY(sec)                                                                                 \
    {                                                                                              \
        .security = (sec), .life_end = INT64_MAX, .signed_until = INT64_MAX                        \
    }

/* Why the aliases could not be followed; what NULL: they could. */
struct fault {
    enum kbv_outcome outcome;
    const char *what;
};

#define NO_FAULT ((struct fault){KBV_OUTCOME_RECORDS, NULL})

/* Bogus is worse than unknown, unknown worse than provably unsigned. */
static unsigned security_rank(enum kbv_security security)
{
    switch (security) {
    case KBV_SEC_SECURE:
        return 3;
    case KBV_SEC_INSECURE:
        return 2;
    case KBV_SEC_INDETERMINATE:
    case KBV_SEC_UNCHECKED:
        return 1;
    case KBV_SEC_BOGUS:
        break;
    }
    return 0;
}

static const char *security_text(enum kbv_security security)
{
    switch (security) {
    case KBV_SEC_SECURE:
        return "secure";
    case KBV_SEC_INSECURE:
        return "insecure";
    case KBV_SEC_INDETERMINATE:
        return "indeterminate";
    case KBV_SEC_UNCHECKED:
        return "not validated";
    case KBV_SEC_BOGUS:
        break;
    }
    return "bogus";
}

unsigned kbv_step_rank(const struct kbv_step *step)
{
    switch (step->outcome) {
    case KBV_OUTCOME_UNPROVEN:
        return security_rank(step->security);
    case KBV_OUTCOME_STALE:
        return 3;
    case KBV_OUTCOME_LIMIT:
        return 4;
    case KBV_OUTCOME_FAILED:
        return 5;
    case KBV_OUTCOME_DENIED:
        return 6;
    case KBV_OUTCOME_RECORDS:
        break;
    }
    return 7;
}

static enum kbv_security worse(enum kbv_security a, enum kbv_security b)
{
    return security_rank(b) < security_rank(a) ? b : a;
}

/* Counts an RRset that was used; true if it came from a wildcard. */
static bool tally_rrset(struct tally *t, const struct kbv_rrset *rrset, int64_t now)
{
    struct kbv_signatures sigs;
    int64_t end;

    kbv_rrset_signatures(rrset, now, &sigs);
    t->security = worse(t->security, rrset->security);
    if (rrset->security != KBV_SEC_SECURE)
        return sigs.wildcard; /* nothing else that its signatures say counts */
    if (!kbv_rrset_life_by(rrset, &sigs, now, &end))
        t->stale = true;
    else if (end < t->life_end)
        t->life_end = end;
    if (sigs.expires < t->signed_until)
        t->signed_until = sigs.expires;
    return sigs.wildcard;
}

/* The same for one that gave data: only there the wildcard matters. */
static void tally_data(struct tally *t, const struct kbv_rrset *rrset, int64_t now)
{
    t->wildcard |= tally_rrset(t, rrset, now);
}

/* Counts the proofs of the authority section, with soa the SOA RRset too; how many there were. */
static size_t tally_authority(struct tally *t, const struct kbv_answer *a, bool soa, int64_t now)
{
    size_t n = 0;

    for (size_t i = 0; i < a->n_authority; i++) {
        const struct kbv_rrset *s = &a->authority[i];
        if (s->type == KBV_TYPE_NSEC || s->type == KBV_TYPE_NSEC3 ||
            (soa && s->type == KBV_TYPE_SOA)) {
            tally_rrset(t, s, now);
            n++;
        }
    }
    return n;
}

static struct kbv_step step_of(const struct tally *t, enum kbv_outcome good, uint16_t ede)
{
    struct kbv_step step = {
        .outcome = good,
        .security = t->security,
        .ede = KBV_EDE_NONE,
        .wildcard = t->wildcard,
        .life_end = t->life_end,
        .signed_until = t->signed_until,
    };

    if (t->security != KBV_SEC_SECURE) {
        step.outcome = KBV_OUTCOME_UNPROVEN;
        step.what = security_text(t->security);
        if (t->security == KBV_SEC_BOGUS)
            step.ede = ede;
    } else if (t->stale) {
        step.outcome = KBV_OUTCOME_STALE;
        step.what = "expired";
    }
    return step;
}

/* A fault in records that are not secure proves nothing but that. */
static struct kbv_step step_of_fault(const struct tally *t, struct fault f, uint16_t ede)
{
    struct kbv_step step = step_of(t, f.outcome, ede);

    if (step.outcome == KBV_OUTCOME_UNPROVEN)
        return step;
    step.outcome = f.outcome;
    step.what = f.what;
    return step;
}

static bool same(struct kbv_slice a, struct kbv_slice b)
{
    return kbv_name_equal(a.p, a.len, b.p, b.len);
}

static const struct kbv_rrset *find(const struct kbv_answer *a, struct kbv_slice name,
                                    uint16_t type)
{
    for (size_t i = 0; i < a->n_answer; i++)
        if (a->answer[i].type == type && same(a->answer[i].owner, name))
            return &a->answer[i];
    return NULL;
}

/* The DNAME above name, the nearest one; it redirects what is below its owner, not the owner
 * itself (RFC 6672 section 2.3). */
static const struct kbv_rrset *find_dname(const struct kbv_answer *a, struct kbv_slice name)
{
    const struct kbv_rrset *best = NULL;

    for (size_t i = 0; i < a->n_answer; i++) {
        const struct kbv_rrset *s = &a->answer[i];
        if (s->type == KBV_TYPE_DNAME && s->owner.len < name.len &&
            kbv_name_below(name.p, name.len, s->owner.p, s->owner.len) &&
            (!best || s->owner.len > best->owner.len))
            best = s;
    }
    return best;
}

/* The one name that a CNAME or DNAME RRset holds (RFC 2181 section 10.1). */
static bool target_of(const struct kbv_rrset *s, struct kbv_slice *target)
{
    if (s->n_rr != 1 || s->rr[0].len == 0 || kbv_name_len(s->rr[0].p, s->rr[0].len) != s->rr[0].len)
        return false;
    *target = s->rr[0];
    return true;
}

/* Whether the CNAME's target is what the DNAME makes of name (RFC 6672 section 2.2). */
static bool synthesised(const struct kbv_rrset *dname, struct kbv_slice name,
                        struct kbv_slice cname_target)
{
    size_t front = name.len - dname->owner.len;
    struct kbv_slice target;

    return target_of(dname, &target) && cname_target.len == front + target.len &&
           kbv_name_equal(cname_target.p, front, name.p, front) &&
           kbv_name_equal(cname_target.p + front, target.len, target.p, target.len);
}

/* Follows the one alias at name, if any; *next is where it leads, p NULL if there is none. */
static struct fault follow_one(const struct kbv_answer *a, struct kbv_slice name, int64_t now,
                               struct tally *t, struct kbv_slice *next)
{
    const struct kbv_rrset *cname = find(a, name, KBV_TYPE_CNAME);
    const struct kbv_rrset *dname = find_dname(a, name);

    *next = (struct kbv_slice){NULL, 0};
    if (!cname && !dname)
        return NO_FAULT;
    if (dname)
        tally_data(t, dname, now);
    if (!cname)
        return (struct fault){KBV_OUTCOME_FAILED, "DNAME without its CNAME"};
    if (!dname)
        tally_data(t, cname, now);
    else /* it has no signature: its life is the DNAME's */
        t->security = worse(t->security, cname->security);
    if (!target_of(cname, next))
        return (struct fault){KBV_OUTCOME_FAILED, "malformed alias"};
    if (dname && !synthesised(dname, name, *next))
        return (struct fault){KBV_OUTCOME_FAILED, "CNAME that contradicts its DNAME"};
    return NO_FAULT;
}

/* Follows the aliases from out->end to their end, or to what was asked for on the way. */
static struct fault follow(const struct kbv_answer *a, uint16_t type, int64_t now, struct tally *t,
                           struct kbv_reading *out)
{
    struct kbv_slice seen[KBV_MAX_HOPS + 1];

    for (;;) {
        struct kbv_slice next;
        struct fault fault;

        out->rrset = find(a, out->end, type);
        if (out->rrset)
            return NO_FAULT;
        fault = follow_one(a, out->end, now, t, &next);
        if (!fault.what && !next.p)
            return NO_FAULT;
        seen[out->hops++] = out->end;
        if (fault.what)
            return fault;
        for (unsigned i = 0; i < out->hops; i++)
            if (same(seen[i], next))
                return (struct fault){KBV_OUTCOME_LIMIT, "alias loop"};
        if (out->hops > KBV_MAX_HOPS)
            return (struct fault){KBV_OUTCOME_LIMIT, "more than 8 aliases"};
        out->end = next;
    }
}

/* What of the answer section the aliases did not lead to: then a link is missing. */
static bool has_loose_links(const struct kbv_answer *a, uint16_t type, unsigned hops)
{
    size_t cnames = 0;

    for (size_t i = 0; i < a->n_answer; i++) {
        if (a->answer[i].type == type)
            return true;
        cnames += a->answer[i].type == KBV_TYPE_CNAME;
    }
    return cnames != hops;
}

static struct fault check_end(const struct kbv_answer *a, uint16_t type,
                              const struct kbv_reading *r)
{
    if (r->rrset && r->nxdomain)
        return (struct fault){KBV_OUTCOME_FAILED, "records of a name that does not exist"};
    if (r->rrset && r->rrset->n_rr == 0)
        return (struct fault){KBV_OUTCOME_FAILED, "empty RRset"};
    if (!r->rrset && has_loose_links(a, type, r->hops))
        return (struct fault){KBV_OUTCOME_FAILED, "broken alias chain"};
    return NO_FAULT;
}

/* Both steps the same: there is nothing in the answer to tell them apart. */
static void read_nothing(struct kbv_reading *out, struct kbv_step step)
{
    out->all = out->aliases = step;
    out->rrset = NULL;
}

void kbv_answer_read(const struct kbv_answer *a, struct kbv_slice name, uint16_t type, int64_t now,
                     struct kbv_reading *out)
{
    struct tally t = TALLY(a->security), aliases;
    const struct tally nothing = TALLY(KBV_SEC_SECURE);
    struct fault fault;

    *out = (struct kbv_reading){.end = name};
    /* Bogus data arrive with NOERROR: only the security tells. */
    if (a->arrived && a->security == KBV_SEC_BOGUS) {
        read_nothing(out, step_of(&t, KBV_OUTCOME_FAILED, a->ede));
        return;
    }
    if (!a->arrived || (a->rcode != 0 && a->rcode != NXDOMAIN)) {
        read_nothing(out, step_of_fault(&nothing, (struct fault){KBV_OUTCOME_FAILED, "no answer"},
                                        KBV_EDE_NONE));
        return;
    }
    out->nxdomain = a->rcode == NXDOMAIN;
    fault = follow(a, type, now, &t, out);
    if (!fault.what)
        fault = check_end(a, type, out);
    if (fault.what) {
        read_nothing(out, step_of_fault(&t, fault, a->ede));
        return;
    }
    aliases = out->hops ? t : nothing;
    if (aliases.wildcard) /* as below: nothing tells its proofs from those of a denial */
        tally_authority(&aliases, a, false, now);
    out->aliases = step_of(&aliases, KBV_OUTCOME_RECORDS, a->ede);
    if (out->rrset) {
        tally_data(&t, out->rrset, now);
        /* RFC 4035 section 5.3.4: that nothing nearer exists is part of the proof. */
        if (t.wildcard)
            tally_authority(&t, a, false, now);
        out->all = step_of(&t, KBV_OUTCOME_RECORDS, a->ede);
        return;
    }
    /* A denial that came without its proof cannot be kept: it holds for this answer alone. */
    if (tally_authority(&t, a, true, now) == 0)
        t.life_end = now + 1;
    out->all = step_of(&t, KBV_OUTCOME_DENIED, a->ede);
}
