/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Evidence to verdict. Nothing here looks anything up, and nothing elsewhere
 * decides. kbv_judge_keyed() is the one function of the project that can
 * produce BOUND.
 */
#ifndef KBV_CORE_JUDGE_H
#define KBV_CORE_JUDGE_H

#include "cache.h"
#include "dane.h"
#include "presented.h"
#include "ratelimit.h"
#include "rrset.h"

enum kbv_finding {
    KBV_FOUND_NOTHING = 0, /* zeroed evidence: judged TEMPFAIL */
    KBV_FOUND_TLSA,        /* a secure TLSA RRset, every hop before it secure */
    KBV_FOUND_DENIAL,      /* a secure denial (or a secure "no TLS service") ended the path */
    KBV_FOUND_UNPROVEN,    /* a hop is not secure: security and ede tell how */
    KBV_FOUND_STALE,       /* a hop has only expired data or signatures */
    KBV_FOUND_FAILURE,     /* a hop did not answer */
    KBV_FOUND_LIMIT,       /* a cap was reached */
    KBV_FOUND_REFUSAL,     /* no lookup was made: refusal has REFUSED or BAD_INPUT */
};

#define KBV_REFERENCE_NAMES_MAX 3

/* What discovery found on one path: to one endpoint, or to where it ended. All
 * memory belongs to whoever gathered it and outlives the judgement. */
struct kbv_evidence {
    enum kbv_finding finding;
    enum kbv_security security; /* with UNPROVEN: not SECURE */
    enum kbv_status refusal;    /* with REFUSAL */
    uint16_t ede;               /* with UNPROVEN and bogus: the finer code, else KBV_EDE_NONE */
    uint8_t flags;              /* KBV_FLAG_ALIASED, KBV_FLAG_WILDCARD */
    struct kbv_slice owner;     /* lower case */
    struct kbv_slice identifier_name; /* p NULL for a literal owner */
    struct kbv_id identifier;
    bool has_endpoint;
    uint16_t order, preference, priority, weight, port;
    struct kbv_slice target;
    struct kbv_slice found_at; /* p NULL if it is the owner */
    struct kbv_slice reference_names[KBV_REFERENCE_NAMES_MAX];
    size_t n_reference_names;
    const struct kbv_rrset *tlsa; /* with TLSA */
    int64_t life_end; /* with TLSA and DENIAL: earliest end of what was used, [s] since the epoch */
    int64_t signed_until;            /* likewise: earliest end of a signature */
    char reason[KBV_REASON_MAX + 1]; /* UTF-8, for a log line; may be empty */
};

/* What the operator allows. Times in seconds. */
struct kbv_policy {
    uint32_t max_ttl, max_negative_ttl;
    uint32_t bogus_ttl;           /* Unbound's val-bogus-ttl */
    bool require_secure;          /* the name asked is below a kbv-require-secure suffix */
    bool pkix;                    /* a CA store is configured */
    unsigned security_level;      /* OpenSSL's, 0 to 5 */
    const struct kbv_dane *dane;  /* for usages 0 to 2; NULL: chains cannot be judged */
    struct kbv_cache *cache;      /* of kbv_judge_kept_len octets a value; NULL: none */
    struct kbv_ratelimit *chains; /* on the verification of chains; NULL: none */
};

/* Octets of what the judge keeps in policy's cache. */
extern const size_t kbv_judge_kept_len;

/* The unkeyed verdict for one path, issued at now. *v points into e, into associations (caller's
 * storage, cap octets, KBV_ASSOCIATIONS_MAX suffices) and into names (caller's storage for
 * REFERENCE_NAMES). Never fails: what cannot be judged is a verdict of 32-35, contradictory
 * evidence TEMPFAIL, and whatever comes out can be encoded. */
void kbv_judge_base(const struct kbv_evidence *e, const struct kbv_policy *p, int64_t now,
                    uint8_t *associations, size_t cap,
                    uint8_t names[KBV_REFERENCE_NAMES_MAX * KBV_NAME_MAX], struct kbv_verdict *v);

/* The verdict for what was presented, derived from the unkeyed verdict base of the same name,
 * issued at now: BOUND, NOT_BOUND, UNDECIDED or DOWNGRADE from PUBLISHED; else base's status,
 * repeated. T = min(base T, now + cap, the earliest notAfter of the path that usages 0 to 2
 * accepted). A base past its T is STALE, unless it is one of 32-35, which do not age. BAD_INPUT has
 * neither the keyed flag nor a subject; it is also what comes of a subject that is no key (kind
 * NONE, the digest of nothing) and of a certificate or key that only OpenSSL found malformed, when
 * a record matched or a path was looked for. LIMIT: more paths would have to be looked for than one
 * question may ask; REFUSED: than the client may in a second. A base that is keyed, or PUBLISHED
 * without associations, is the caller's mistake: TEMPFAIL. *v shares base's octets and may be base.
 * Never fails; allocates only where OpenSSL sees a key or certificate, and what it keeps of them is
 * in *presented, whose depth it sets. */
void kbv_judge_keyed(const struct kbv_verdict *base, struct kbv_presented *presented,
                     const struct kbv_policy *p, int64_t now, struct kbv_verdict *v);

/* The cap of a status' lifetime [s]. */
uint32_t kbv_judge_cap(enum kbv_status status, const struct kbv_policy *p);

#endif
