/* SPDX-License-Identifier: BSD-3-Clause */
/* See judge.h. */
#include "module/core/judge.h"

#include <string.h>

#include "lib/buf.h"
#include "lib/request.h"
#include "lib/text.h"
#include "module/core/match.h"
#include "module/core/tlsa.h"

/* ---- lifetimes ---- */

uint32_t kbv_judge_cap(enum kbv_status status, const struct kbv_policy *p)
{
    const uint32_t unproven = 60, failure = 5;

    switch (status) {
    case KBV_STATUS_BOUND:
    case KBV_STATUS_PUBLISHED:
        return p->max_ttl;
    case KBV_STATUS_NOT_BOUND:
    case KBV_STATUS_NO_BINDING:
    case KBV_STATUS_UNUSABLE:
    case KBV_STATUS_UNDECIDED:
        return p->max_negative_ttl;
    case KBV_STATUS_INSECURE:
    case KBV_STATUS_INDETERMINATE:
    case KBV_STATUS_DOWNGRADE:
        return unproven;
    case KBV_STATUS_BOGUS:
        return p->bogus_ttl < unproven ? p->bogus_ttl : unproven;
    case KBV_STATUS_STALE:
    case KBV_STATUS_TEMPFAIL:
    case KBV_STATUS_LIMIT:
        return failure;
    case KBV_STATUS_NONE:
    case KBV_STATUS_REFUSED:
    case KBV_STATUS_BAD_INPUT:
        return 0;
    }
    return 0;
}

/* What was found, be it that nothing is there: its life is that of the records it rests on. */
static bool is_finding(enum kbv_status status)
{
    return status < KBV_STATUS_INSECURE;
}

/* a is later than b, in the verdict's own time (serial arithmetic as in RFC 4034 section 3.1.5). */
static bool is_later(uint32_t a, uint32_t b)
{
    return a != b && a - b < UINT32_C(0x80000000);
}

/* ---- text ---- */

/* As much of a text as REASON may hold. A bad octet must not cost the verdict: the rest is left
 * out. */
static struct kbv_slice to_reason(const char *text)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t len = strnlen(text, KBV_REASON_MAX), used = 0, n;

    while (used < len && (n = kbv_utf8_len(p + used, len - used)) != 0)
        used += n;
    return used != 0 ? (struct kbv_slice){p, used} : (struct kbv_slice){NULL, 0};
}

#define UNDECIDED(what, u, s, m, need) what " does not decide " u " " s " " m ": " need " is needed"
#define UNDECIDED_MTYPES(what, u, s, need)                                                         \
    {                                                                                              \
        UNDECIDED(what, u, s, "0", need), UNDECIDED(what, u, s, "1", need),                        \
            UNDECIDED(what, u, s, "2", need)                                                       \
    }
#define UNDECIDED_SELECTORS(what, u, need0, need1)                                                 \
    {                                                                                              \
        UNDECIDED_MTYPES(what, u, "0", need0), UNDECIDED_MTYPES(what, u, "1", need1)               \
    }
#define UNDECIDED_USAGES(what)                                                                     \
    {                                                                                              \
        UNDECIDED_SELECTORS(what, "0", "the chain", "the chain"),                                  \
            UNDECIDED_SELECTORS(what, "1", "the chain", "the chain"),                              \
            UNDECIDED_SELECTORS(what, "2", "the chain", "the chain"),                              \
            UNDECIDED_SELECTORS(what, "3", "the certificate", "the key")                           \
    }

/* By subject kind, usage, selector, matching type: a verdict owns no text, so each is a constant.
 */
static const char *const undecided[][4][2][3] = {
    [KBV_SUBJECT_SPKI] = UNDECIDED_USAGES("SHA-256(SPKI)"),
    [KBV_SUBJECT_CERT] = UNDECIDED_USAGES("SHA-256(certificate)"),
};

/* ---- the unkeyed verdict ---- */

static bool is_name(struct kbv_slice name)
{
    return name.p != NULL && kbv_name_is_canonical(name.p, name.len);
}

static bool is_identifier(const struct kbv_id *id)
{
    return kbv_id_kind_name(id->kind) != NULL && id->len == (id->kind == KBV_ID_NETID ? 3 : 8);
}

/* What no verdict can be made of is the caller's mistake, and must not become an answer. */
static bool is_sound(const struct kbv_evidence *e)
{
    if (!is_name(e->owner) || e->n_reference_names > KBV_REFERENCE_NAMES_MAX)
        return false;
    if (e->identifier_name.p != NULL &&
        (!is_name(e->identifier_name) || !is_identifier(&e->identifier)))
        return false;
    if (e->has_endpoint && (!is_name(e->target) || e->identifier_name.p == NULL))
        return false;
    if (e->found_at.p != NULL && !is_name(e->found_at))
        return false;
    for (size_t i = 0; i < e->n_reference_names; i++) {
        if (!is_name(e->reference_names[i]))
            return false;
    }
    return true;
}

/* Whose verdict this is: everything of it that does not depend on the finding. */
static void describe(const struct kbv_evidence *e, struct kbv_verdict *v)
{
    v->owner = e->owner;
    v->flags = e->flags & (KBV_FLAG_ALIASED | KBV_FLAG_WILDCARD);
    v->has_identifier = e->identifier_name.p != NULL;
    if (v->has_identifier) {
        v->identifier = e->identifier;
        v->identifier_name = e->identifier_name;
    }
    v->has_endpoint = e->has_endpoint;
    if (v->has_endpoint) {
        v->order = e->order;
        v->preference = e->preference;
        v->priority = e->priority;
        v->weight = e->weight;
        v->port = e->port;
        v->target = e->target;
    }
}

/* RFC 4035 section 4.3, and what Unbound adds. */
static enum kbv_status unproven_status(enum kbv_security security, bool require_secure)
{
    switch (security) {
    case KBV_SEC_BOGUS:
        return KBV_STATUS_BOGUS;
    case KBV_SEC_INSECURE:
        return require_secure ? KBV_STATUS_DOWNGRADE : KBV_STATUS_INSECURE;
    case KBV_SEC_UNCHECKED:
    case KBV_SEC_INDETERMINATE:
    case KBV_SEC_SECURE: /* and yet unproven: whoever says so does not know */
        return KBV_STATUS_INDETERMINATE;
    }
    return KBV_STATUS_INDETERMINATE;
}

/* REFERENCE_NAMES: each name once. */
static struct kbv_slice write_names(const struct kbv_evidence *e, uint8_t *out)
{
    struct kbv_writer w = kbv_writer_on(out, KBV_REFERENCE_NAMES_MAX * KBV_NAME_MAX);

    for (size_t i = 0; i < e->n_reference_names; i++) {
        const struct kbv_slice *name = &e->reference_names[i];
        size_t j = 0;

        while (j < i && !kbv_name_equal(name->p, name->len, e->reference_names[j].p,
                                        e->reference_names[j].len))
            j++;
        if (j == i)
            kbv_writer_octets(&w, name->p, name->len);
    }
    return (struct kbv_slice){out, w.len};
}

/* A TLSA RRset is at hand. Fills in what the verdict says of it. */
static enum kbv_status judge_tlsa(const struct kbv_evidence *e, const struct kbv_policy *p,
                                  int64_t now, uint8_t *associations, size_t cap,
                                  struct kbv_verdict *v, const char **reason)
{
    struct kbv_signatures sigs;
    size_t len;

    if (e->tlsa == NULL || e->tlsa->type != KBV_TYPE_TLSA || e->tlsa->n_rr == 0) {
        *reason = "no TLSA RRset where one was found";
        return KBV_STATUS_TEMPFAIL;
    }
    if (e->tlsa->security != KBV_SEC_SECURE) {
        *reason = "the TLSA RRset is not secure";
        return unproven_status(e->tlsa->security, p->require_secure);
    }
    kbv_rrset_signatures(e->tlsa, now, &sigs);
    v->alg = sigs.lowest_alg;
    kbv_tlsa_hash(e->tlsa, v->rrset_hash); /* beyond the limit: zeros */
    if (e->found_at.p != NULL &&
        !kbv_name_equal(e->found_at.p, e->found_at.len, e->owner.p, e->owner.len))
        v->found_at = e->found_at;
    if (kbv_tlsa_associations(e->tlsa, p->pkix, associations, cap, &len) != KBV_OK) {
        *reason = "more than 64 TLSA records or 8192 octets of them";
        return KBV_STATUS_LIMIT;
    }
    if (len == 0) {
        *reason = "no usable TLSA record";
        return KBV_STATUS_UNUSABLE;
    }
    v->associations = (struct kbv_slice){associations, len};
    return KBV_STATUS_PUBLISHED;
}

static enum kbv_status judge_finding(const struct kbv_evidence *e, const struct kbv_policy *p,
                                     int64_t now, uint8_t *associations, size_t cap,
                                     struct kbv_verdict *v, const char **reason)
{
    switch (e->finding) {
    case KBV_FOUND_TLSA:
        return judge_tlsa(e, p, now, associations, cap, v, reason);
    case KBV_FOUND_DENIAL:
        return KBV_STATUS_NO_BINDING;
    case KBV_FOUND_UNPROVEN:
        return unproven_status(e->security, p->require_secure);
    case KBV_FOUND_STALE:
        return KBV_STATUS_STALE;
    case KBV_FOUND_LIMIT:
        return KBV_STATUS_LIMIT;
    case KBV_FOUND_REFUSAL:
        if (e->refusal == KBV_STATUS_REFUSED || e->refusal == KBV_STATUS_BAD_INPUT)
            return e->refusal;
        break;
    case KBV_FOUND_NOTHING:
    case KBV_FOUND_FAILURE:
        break;
    }
    return KBV_STATUS_TEMPFAIL;
}

/* 0 is "other" (RFC 8914 section 4.1): no finer than what the status says. */
static bool is_finer_ede(uint16_t ede)
{
    return ede != KBV_EDE_NONE && ede != 0;
}

/* What ended while the rest was still on its way was in its time when it came, in answer to this
 * very question: like TTL 0 it serves once. What is signed no longer does not. */
static int64_t evidence_end(const struct kbv_evidence *e, int64_t now)
{
    return e->life_end <= now && e->signed_until > now ? now + 1 : e->life_end;
}

void kbv_judge_base(const struct kbv_evidence *e, const struct kbv_policy *p, int64_t now,
                    uint8_t *associations, size_t cap,
                    uint8_t names[KBV_REFERENCE_NAMES_MAX * KBV_NAME_MAX], struct kbv_verdict *v)
{
    struct kbv_verdict judged = {
        .status = KBV_STATUS_TEMPFAIL,
        .match = KBV_MATCH_NONE,
        .owner = {(const uint8_t *)"", 1}, /* the root: every verdict has an owner */
        .issued = (uint32_t)now,
    };
    const char *reason = "contradictory evidence";
    const int64_t end = evidence_end(e, now);
    int64_t life;

    if (is_sound(e)) {
        describe(e, &judged);
        reason = e->reason;
        judged.status = judge_finding(e, p, now, associations, cap, &judged, &reason);
        if (is_finding(judged.status) && end <= now) {
            judged.status = KBV_STATUS_STALE;
            reason = "what was found has expired";
        }
    }
    judged.reason = to_reason(reason);
    judged.ede = kbv_status_ede(judged.status);
    if (judged.status == KBV_STATUS_BOGUS && is_finer_ede(e->ede))
        judged.ede = e->ede;
    if (judged.status == KBV_STATUS_PUBLISHED)
        judged.reference_names = write_names(e, names);
    else
        judged.associations = (struct kbv_slice){NULL, 0};
    life = kbv_judge_cap(judged.status, p);
    if (is_finding(judged.status) && end - now < life)
        life = end - now;
    judged.not_after = (uint32_t)(now + life);
    *v = judged;
}

/* ---- the keyed verdict ---- */

/* Every association against the subject: any match will do (RFC 7671 section 8); a negative answer
 * needs every one of them decided. */
static enum kbv_status match_all(struct kbv_slice associations, const struct kbv_subject *subject,
                                 struct kbv_match *match, const char **reason)
{
    enum kbv_status status = KBV_STATUS_NOT_BOUND;
    struct kbv_association a;
    size_t pos = 0;

    *reason = "no usable TLSA record matches";
    while (kbv_association_next(associations, &pos, &a)) {
        enum kbv_match_result result = kbv_match_digest(subject, &a);

        if (result == KBV_MATCH_YES && status != KBV_STATUS_BOUND) {
            status = KBV_STATUS_BOUND;
            *match = (struct kbv_match){a.usage, a.selector, a.mtype};
            *reason = "";
        } else if (result == KBV_MATCH_UNDECIDED && status == KBV_STATUS_NOT_BOUND) {
            status = KBV_STATUS_UNDECIDED;
            *reason = undecided[subject->kind][a.usage][a.selector][a.mtype];
        }
    }
    if (associations.len == 0 || pos != associations.len) {
        *match = KBV_MATCH_NONE;
        *reason = "malformed associations";
        return KBV_STATUS_TEMPFAIL;
    }
    return status;
}

/* A verdict that others can be derived from: unkeyed, and with associations if they are needed. */
static bool is_base(const struct kbv_verdict *base)
{
    if (base->flags & KBV_FLAG_KEYED || base->subject.kind != KBV_SUBJECT_NONE)
        return false;
    switch (base->status) {
    case KBV_STATUS_NONE:
    case KBV_STATUS_BOUND:
    case KBV_STATUS_NOT_BOUND:
    case KBV_STATUS_UNDECIDED:
        return false;
    default:
        return kbv_status_name(base->status) != NULL;
    }
}

static bool is_key(const struct kbv_subject *subject)
{
    return (subject->kind == KBV_SUBJECT_SPKI || subject->kind == KBV_SUBJECT_CERT) &&
           !kbv_digest_of_nothing(subject->digest);
}

void kbv_judge_keyed(const struct kbv_verdict *base, const struct kbv_subject *subject,
                     const struct kbv_policy *p, int64_t now, struct kbv_verdict *v)
{
    const bool expired = is_later((uint32_t)now, base->not_after);
    enum kbv_status status = base->status;
    struct kbv_match match = KBV_MATCH_NONE;
    const char *reason = NULL; /* NULL: the base verdict's */

    if (!is_key(subject)) {
        status = KBV_STATUS_BAD_INPUT;
        reason = "no key was presented";
    } else if (!is_base(base)) {
        status = KBV_STATUS_TEMPFAIL;
        reason = "no verdict to derive this one from";
    } else if (expired && status < KBV_STATUS_TEMPFAIL) {
        status = KBV_STATUS_STALE;
        reason = "the verdict for this name has expired";
    } else if (status == KBV_STATUS_PUBLISHED) {
        status = match_all(base->associations, subject, &match, &reason);
    }
    if (v != base)
        *v = *base;
    v->flags &= KBV_FLAG_ALIASED | KBV_FLAG_WILDCARD;
    v->subject = (struct kbv_subject){.kind = KBV_SUBJECT_NONE};
    if (status != KBV_STATUS_BAD_INPUT) { /* malformed input is no key */
        v->flags |= KBV_FLAG_KEYED;
        v->subject = *subject;
    }
    v->match = match;
    v->nonce = v->associations = v->reference_names = v->extensions = v->signature =
        v->signed_octets = (struct kbv_slice){NULL, 0};
    v->auth = 0;
    if (status != v->status)
        v->ede = kbv_status_ede(status);
    v->status = status;
    if (reason != NULL)
        v->reason = to_reason(reason);
    v->issued = (uint32_t)now;
    if (expired || is_later(v->not_after, (uint32_t)now + kbv_judge_cap(status, p)))
        v->not_after = (uint32_t)now + kbv_judge_cap(status, p);
}
