/* SPDX-License-Identifier: BSD-3-Clause */
/* See judge.h. */
#include "module/core/judge.h"

#include <string.h>

#include "lib/buf.h"
#include "lib/text.h"
#include "module/core/match.h"
#include "module/core/sha256.h"
#include "module/core/tlsa.h"
#include <kbv/request.h>

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

/* By material, usage, selector, matching type: a verdict owns no text, so each is a constant. */
static const char *const undecided[][4][2][3] = {
    [KBV_MATERIAL_SPKI_SHA256] = UNDECIDED_USAGES("SHA-256(SPKI)"),
    [KBV_MATERIAL_CERT_SHA256] = UNDECIDED_USAGES("SHA-256(certificate)"),
    [KBV_MATERIAL_SPKI] = UNDECIDED_USAGES("the key alone"),
    [KBV_MATERIAL_CERT] = UNDECIDED_USAGES("the certificate alone"),
    [KBV_MATERIAL_CHAIN] = UNDECIDED_USAGES("the chain"),
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

enum { USAGE_DANE_TA = 2, USAGE_DANE_EE = 3 };
enum { MTYPE_FULL = 0, MTYPE_SHA256 = 1, MTYPE_SHA512 = 2 };

/* Paths that one question may make OpenSSL look for, over all its endpoints: a digest names one of
 * at most eight certificates, but records that hold keys or certificates could be many. */
enum { PATHS_MAX = 32 };

/* What they may cost together, by kbv_dane_result.effort: some 10 ms of CPU. */
enum { EFFORT_MAX = 128 };

/* What one path in a client's share is worth: ordinary ones cost less, so that they count as one,
 * and whoever asks for dearest ones gets fewer. */
enum { EFFORT_OF_SHARE = 32 };

/* What the records say of what was presented. */
struct keyed_finding {
    enum kbv_status status;
    struct kbv_match match;
    const char *reason;
    bool path;         /* a certificate path was accepted: its dates were checked */
    int64_t not_after; /* with path: the earliest of it */
    int depth;
};

/* All that the records of one name are held against. */
struct keyed_question {
    const struct kbv_verdict *base;
    struct kbv_presented *presented;
    const struct kbv_policy *policy;
    struct kbv_dane_question dane;
    bool strong[4][2]; /* usage and selector have a SHA-512 record */
    uint8_t associations_digest[KBV_DIGEST_LEN];
    bool has_associations_digest;
};

/* What the table keeps of one record, as kbv_dane_verify() said it. */
struct kept {
    enum kbv_dane_finding finding;
    struct kbv_dane_result r;
};
const size_t kbv_judge_kept_len = sizeof(struct kept);

/* Of two records' findings the greater counts. Any match will do (RFC 7671 section 8); a negative
 * answer needs every record decided. */
static unsigned weight(enum kbv_status status)
{
    switch (status) {
    case KBV_STATUS_BOUND:
        return 5;
    case KBV_STATUS_DOWNGRADE:
        return 4;
    case KBV_STATUS_UNDECIDED:
        return 2;
    case KBV_STATUS_NOT_BOUND:
        return 1;
    default: /* an error path */
        return 3;
    }
}

/* The name tells the role: a server's owner has port and protocol, everything else is a client. */
static enum kbv_role role_of(const struct kbv_verdict *base)
{
    if (base->has_identifier)
        return base->has_endpoint ? KBV_ROLE_SERVER : KBV_ROLE_CLIENT;
    return kbv_name_is_server_owner(base->owner.p, base->owner.len, NULL, NULL) ? KBV_ROLE_SERVER
                                                                                : KBV_ROLE_CLIENT;
}

static struct keyed_finding keyed_failure(enum kbv_status status, const char *reason)
{
    return (struct keyed_finding){
        .status = status, .match = KBV_MATCH_NONE, .reason = reason, .depth = -1};
}

/* A key that a record names, but that nobody could use or should: the status that BOUND becomes. A
 * key below the level, or of an algorithm without a level, is not even shown to OpenSSL. */
static enum kbv_status key_objection(const struct keyed_question *q, const char **reason)
{
    struct kbv_presented *presented = q->presented;
    enum kbv_key_use use;
    unsigned level;

    if (presented->spki.p == NULL) /* of a key known by its digest only the asker can tell */
        return KBV_STATUS_BOUND;
    level = kbv_der_spki_level(presented->spki);
    *reason = "the key is below kbv-security-level";
    if (level < q->policy->security_level)
        return KBV_STATUS_DOWNGRADE;
    *reason = "out of memory";
    if (kbv_dane_key_use(presented, &use) != KBV_OK)
        return KBV_STATUS_TEMPFAIL;
    *reason = "malformed certificate";
    if (use == KBV_KEY_MALFORMED)
        return KBV_STATUS_BAD_INPUT;
    *reason = level == 0 ? "OpenSSL cannot use the key, or does not know its algorithm"
                         : "malformed key"; /* a point beside its curve */
    if (use != KBV_KEY_USABLE)
        return level == 0 ? KBV_STATUS_DOWNGRADE : KBV_STATUS_BAD_INPUT;
    *reason = "";
    return KBV_STATUS_BOUND;
}

/* A record matches; what is bound must be a key, and strong enough. */
static struct keyed_finding keyed_match(const struct keyed_question *q,
                                        const struct kbv_association *a, int depth)
{
    const char *reason = "";
    enum kbv_status status = key_objection(q, &reason);

    if (status != KBV_STATUS_BOUND && status != KBV_STATUS_DOWNGRADE)
        return keyed_failure(status, reason);
    return (struct keyed_finding){
        .status = status,
        .match = {a->usage, a->selector, a->mtype},
        .reason = reason,
        .depth = depth,
    };
}

static struct keyed_finding keyed_undecided(const struct keyed_question *q,
                                            const struct kbv_association *a)
{
    return keyed_failure(KBV_STATUS_UNDECIDED,
                         undecided[q->presented->material][a->usage][a->selector][a->mtype]);
}

/* Everything that kbv_dane_verify() reads, but the time; and the owner and the whole RRset beside
 * it, so that what was found for one name is never found for another. */
static void path_key(struct keyed_question *q, const struct kbv_association *a,
                     uint8_t key[KBV_CACHE_KEY_LEN])
{
    const struct kbv_presented *presented = q->presented;
    const uint8_t numbers[] = {(uint8_t)presented->material,
                               (uint8_t)q->dane.role,
                               (uint8_t)q->dane.level,
                               a->usage,
                               a->selector,
                               a->mtype};
    const struct kbv_slice parts[] = {
        {numbers, sizeof(numbers)},
        q->base->owner,
        q->dane.reference_names,
        {q->associations_digest, sizeof(q->associations_digest)},
        a->data,
        {presented->subject.digest, sizeof(presented->subject.digest)},
        {kbv_presented_digest_all(q->presented), KBV_DIGEST_LEN},
        {kbv_dane_store_id(q->policy->dane), KBV_DANE_STORE_ID_LEN},
    };

    if (!q->has_associations_digest)
        kbv_sha256(&q->base->associations, 1, q->associations_digest);
    q->has_associations_digest = true;
    kbv_cache_key(q->policy->cache, parts, sizeof(parts) / sizeof(parts[0]), key);
}

/* Until when an outcome may be kept: as long as it holds, and as a verdict that rests on it could
 * live. */
static int64_t keep_until(const struct keyed_question *q, const struct kept *outcome)
{
    const int64_t now = q->dane.now;
    const enum kbv_status status = outcome->finding == KBV_DANE_YES    ? KBV_STATUS_BOUND
                                   : outcome->finding == KBV_DANE_WEAK ? KBV_STATUS_DOWNGRADE
                                                                       : KBV_STATUS_NOT_BOUND;
    int64_t until = now + kbv_judge_cap(status, q->policy);

    if (now + (int32_t)(q->base->not_after - (uint32_t)now) < until)
        until = now + (int32_t)(q->base->not_after - (uint32_t)now);
    return outcome->r.holds_until < until ? outcome->r.holds_until : until;
}

/* True if the client may have one more path looked for, or, before the first one, its certificates
 * parsed: that is half as dear, and counts as the first. */
static bool is_granted(struct keyed_question *q)
{
    struct kbv_presented *presented = q->presented;

    if (presented->granted == 0 && !presented->refused) {
        if (q->policy->chains == NULL ||
            kbv_ratelimit_take(q->policy->chains, &presented->client, q->dane.now))
            presented->granted = 1;
        else
            presented->refused = true;
    }
    return !presented->refused;
}

/* Lets OpenSSL look at a record. False: it was not asked, and *failure says why. */
static bool verify_path(struct keyed_question *q, const struct kbv_association *a,
                        struct kept *outcome, struct keyed_finding *failure)
{
    struct kbv_presented *presented = q->presented;
    enum kbv_key_use use;

    *failure = keyed_failure(KBV_STATUS_LIMIT, "too many records that need a certificate path");
    if (presented->verifications >= PATHS_MAX)
        return false;
    *failure = keyed_failure(KBV_STATUS_REFUSED, "too many chain verifications");
    if (!is_granted(q))
        return false;
    if (presented->parsed == NULL) {
        enum kbv_err err = kbv_dane_chain_read(presented, &presented->parsed);

        *failure = err == KBV_ERR_NOMEM
                       ? keyed_failure(KBV_STATUS_TEMPFAIL, "out of memory")
                       : keyed_failure(KBV_STATUS_BAD_INPUT, "malformed certificate");
        if (err != KBV_OK)
            return false;
    }
    /* No path to such a key can be verified: OpenSSL would end with an error of its own. */
    *failure = keyed_failure(KBV_STATUS_TEMPFAIL, "out of memory");
    if (kbv_dane_key_use(presented, &use) != KBV_OK)
        return false;
    *failure = keyed_failure(KBV_STATUS_UNDECIDED, "OpenSSL does not know the key's algorithm");
    if (use != KBV_KEY_USABLE)
        return false;
    /* The last refusal, which is looked at twice, may have taken more than there was. */
    q->dane.effort = presented->effort < EFFORT_MAX ? EFFORT_MAX - presented->effort : 0;
    outcome->finding =
        kbv_dane_verify(q->policy->dane, presented->parsed, a, &q->dane, &outcome->r);
    presented->effort += outcome->r.effort;
    if (outcome->r.searched) {
        presented->verifications++;
        presented->granted--;
    }
    if (q->policy->chains != NULL)
        kbv_ratelimit_charge(q->policy->chains, &presented->client,
                             outcome->r.effort / EFFORT_OF_SHARE, q->dane.now);
    *failure = keyed_failure(KBV_STATUS_LIMIT, outcome->r.reason);
    return outcome->finding != KBV_DANE_TOO_DEAR;
}

/* Usages 0 to 2 and certificates. */
static struct keyed_finding judge_path(struct keyed_question *q, const struct kbv_association *a)
{
    struct kbv_cache *cache = q->policy->cache;
    uint8_t key[KBV_CACHE_KEY_LEN];
    struct keyed_finding found;
    struct kept outcome;

    if (q->policy->dane == NULL)
        return keyed_failure(KBV_STATUS_TEMPFAIL, "chains cannot be judged here");
    if (cache != NULL)
        path_key(q, a, key);
    if (cache == NULL || !kbv_cache_get(cache, key, q->dane.now, &outcome, sizeof(outcome))) {
        memset(&outcome, 0, sizeof(outcome));
        if (!verify_path(q, a, &outcome, &found))
            return found;
        if (cache != NULL && outcome.finding != KBV_DANE_FAILURE)
            kbv_cache_put(cache, key, q->dane.now, keep_until(q, &outcome), &outcome,
                          sizeof(outcome));
    }
    switch (outcome.finding) {
    case KBV_DANE_YES:
    case KBV_DANE_WEAK:
        q->presented->key_use = KBV_KEY_USABLE; /* no path was looked for to another one */
        found = keyed_match(q, a, outcome.r.depth);
        if (outcome.finding == KBV_DANE_WEAK) {
            found.status = KBV_STATUS_DOWNGRADE;
            found.reason = outcome.r.reason;
        }
        found.path = true;
        found.not_after = outcome.r.not_after;
        return found;
    case KBV_DANE_NO:
        return keyed_failure(KBV_STATUS_NOT_BOUND, outcome.r.reason);
    case KBV_DANE_TOO_DEAR:
    case KBV_DANE_FAILURE:
        break;
    }
    return keyed_failure(KBV_STATUS_TEMPFAIL, outcome.r.reason);
}

/* One record. */
static struct keyed_finding judge_record(struct keyed_question *q, const struct kbv_association *a)
{
    static const char none[] = "no usable TLSA record matches";
    const enum kbv_material material = q->presented->material;
    struct keyed_finding found;

    switch (kbv_match(q->presented, a)) {
    case KBV_MATCH_YES:
        return keyed_match(q, a, 0);
    case KBV_MATCH_NO:
        return keyed_failure(KBV_STATUS_NOT_BOUND, none);
    case KBV_MATCH_UNDECIDED:
        break;
    }
    if (a->usage != USAGE_DANE_EE && material == KBV_MATERIAL_CHAIN)
        return judge_path(q, a);
    /* The anchor of such a record may have signed the end entity itself; if not, a chain might. */
    if (a->usage == USAGE_DANE_TA && a->mtype == MTYPE_FULL && material == KBV_MATERIAL_CERT) {
        found = judge_path(q, a);
        if (found.status != KBV_STATUS_NOT_BOUND)
            return found;
    }
    return keyed_undecided(q, a);
}

/* RFC 7671 section 9: beside SHA-512 a SHA-256 record of the same usage and selector does not
 * count, if what was presented allows both digests. Full data always counts. */
static bool is_outdone(const struct keyed_question *q, const struct kbv_association *a)
{
    return q->presented->material >= KBV_MATERIAL_SPKI && a->mtype == MTYPE_SHA256 &&
           q->strong[a->usage][a->selector];
}

/* No other record changes this: it matches, or the next one would fail in the same way. One that is
 * too dear says nothing of the next. */
static bool is_final(enum kbv_status status)
{
    return status == KBV_STATUS_BOUND || status == KBV_STATUS_BAD_INPUT ||
           status == KBV_STATUS_REFUSED;
}

/* The records of usage 3, or those of the others, in their order; *found is what counts so far. */
static void judge_records(struct keyed_question *q, struct kbv_slice associations, bool end_entity,
                          struct keyed_finding *found)
{
    struct kbv_association a;
    size_t pos = 0;

    while (!is_final(found->status) && kbv_association_next(associations, &pos, &a)) {
        struct keyed_finding next;

        if ((a.usage == USAGE_DANE_EE) != end_entity || is_outdone(q, &a))
            continue;
        next = judge_record(q, &a);
        if (found->reason == NULL || weight(next.status) > weight(found->status))
            *found = next;
    }
}

/* Usage 3 before others: it needs no path. */
static struct keyed_finding judge_published(const struct kbv_verdict *base,
                                            struct kbv_presented *presented,
                                            const struct kbv_policy *p, int64_t now)
{
    struct keyed_question q = {
        .base = base,
        .presented = presented,
        .policy = p,
        .dane = {.reference_names = base->reference_names,
                 .role = role_of(base),
                 .level = p->security_level,
                 .now = now},
    };
    struct keyed_finding found = keyed_failure(KBV_STATUS_NOT_BOUND, NULL);
    struct kbv_association a;
    size_t pos = 0;

    while (kbv_association_next(base->associations, &pos, &a)) {
        if (a.usage > USAGE_DANE_EE || a.selector > 1 || a.mtype > MTYPE_SHA512)
            return keyed_failure(KBV_STATUS_TEMPFAIL, "malformed associations");
        q.strong[a.usage][a.selector] |= a.mtype == MTYPE_SHA512;
    }
    if (base->associations.len == 0 || pos != base->associations.len)
        return keyed_failure(KBV_STATUS_TEMPFAIL, "malformed associations");
    judge_records(&q, base->associations, true, &found);
    if (found.status != KBV_STATUS_DOWNGRADE) /* its key is too weak for every record */
        judge_records(&q, base->associations, false, &found);
    return found;
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

static bool is_key(const struct kbv_presented *presented)
{
    const struct kbv_subject *subject = &presented->subject;

    return presented->material != KBV_MATERIAL_NONE &&
           (subject->kind == KBV_SUBJECT_SPKI || subject->kind == KBV_SUBJECT_CERT) &&
           !kbv_digest_of_nothing(subject->digest);
}

void kbv_judge_keyed(const struct kbv_verdict *base, struct kbv_presented *presented,
                     const struct kbv_policy *p, int64_t now, struct kbv_verdict *v)
{
    const bool expired = is_later((uint32_t)now, base->not_after);
    struct keyed_finding found = {.status = base->status, .match = KBV_MATCH_NONE, .depth = -1};
    int64_t life; /* reason NULL: the base verdict's */

    if (!is_key(presented))
        found = keyed_failure(KBV_STATUS_BAD_INPUT, "no key was presented");
    else if (!is_base(base))
        found = keyed_failure(KBV_STATUS_TEMPFAIL, "no verdict to derive this one from");
    else if (expired && base->status < KBV_STATUS_TEMPFAIL)
        found = keyed_failure(KBV_STATUS_STALE, "the verdict for this name has expired");
    else if (base->status == KBV_STATUS_PUBLISHED)
        found = judge_published(base, presented, p, now);
    presented->depth = found.depth;
    if (v != base)
        *v = *base;
    v->flags &= KBV_FLAG_ALIASED | KBV_FLAG_WILDCARD;
    v->subject = (struct kbv_subject){.kind = KBV_SUBJECT_NONE};
    if (found.status != KBV_STATUS_BAD_INPUT) { /* malformed input is no key */
        v->flags |= KBV_FLAG_KEYED;
        v->subject = presented->subject;
    }
    if (found.path)
        v->flags |= KBV_FLAG_DATES;
    v->match = found.match;
    v->nonce = v->associations = v->reference_names = v->extensions = v->signature =
        v->signed_octets = (struct kbv_slice){NULL, 0};
    v->auth = 0;
    if (found.status != v->status)
        v->ede = kbv_status_ede(found.status);
    v->status = found.status;
    if (found.reason != NULL)
        v->reason = to_reason(found.reason);
    life = kbv_judge_cap(found.status, p);
    if (found.path && found.not_after - now < life)
        life = found.not_after - now;
    v->issued = (uint32_t)now;
    if (expired || is_later(v->not_after, (uint32_t)(now + life)))
        v->not_after = (uint32_t)(now + life);
}
