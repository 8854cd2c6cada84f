/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records and answers as the core sees them: views of octets that somebody
 * else owns (in the resolver: the query's region), with the security that the
 * validator gave them. The core never believes a record that is not secure.
 */
#ifndef KBV_CORE_RRSET_H
#define KBV_CORE_RRSET_H

#include <kbv/verdict.h>

enum kbv_rrtype {
    KBV_TYPE_A = 1,
    KBV_TYPE_CNAME = 5,
    KBV_TYPE_SOA = 6,
    KBV_TYPE_TXT = 16,
    KBV_TYPE_AAAA = 28,
    KBV_TYPE_SRV = 33,
    KBV_TYPE_NAPTR = 35,
    KBV_TYPE_DNAME = 39,
    KBV_TYPE_NSEC = 47,
    KBV_TYPE_NSEC3 = 50,
    KBV_TYPE_TLSA = 52,
};

/* RFC 4035 section 4.3. UNCHECKED: nobody validated (CD, no validator). */
enum kbv_security {
    KBV_SEC_UNCHECKED = 0,
    KBV_SEC_BOGUS,
    KBV_SEC_INDETERMINATE,
    KBV_SEC_INSECURE,
    KBV_SEC_SECURE,
};

/* One RRset. Times in seconds since the epoch. */
struct kbv_rrset {
    struct kbv_slice owner; /* wire name, any case */
    uint16_t type;
    enum kbv_security security;
    int64_t added;              /* when its TTL began to run */
    int64_t ttl_end;            /* when its TTL ends */
    const struct kbv_slice *rr; /* RDATA without length octets, names in it uncompressed */
    size_t n_rr;
    const struct kbv_slice *sig; /* RDATA of the RRSIGs over it (RFC 4034 section 3.1), the one
                                    that verified first */
    size_t n_sig;
};

/* One answer of the resolver to (qname, qtype). */
struct kbv_answer {
    bool arrived;               /* false: time-out, SERVFAIL or the like without a bogus verdict */
    uint8_t rcode;              /* 0 NOERROR, 3 NXDOMAIN; every other one counts as not arrived */
    enum kbv_security security; /* of the message */
    uint16_t ede;               /* Unbound's finer EDE code when bogus, else KBV_EDE_NONE */
    const struct kbv_rrset *answer; /* the answer section */
    size_t n_answer;
    const struct kbv_rrset *authority; /* SOA, NSEC and NSEC3 RRsets of the authority section */
    size_t n_authority;
};

/* What the signatures over one RRset say at a time. */
struct kbv_signatures {
    bool any_valid;        /* one with inception <= now < expiration (serial arithmetic, RFC 4034
                              section 3.1.5) */
    int64_t expires;       /* earliest expiration of the valid ones */
    uint32_t original_ttl; /* smallest original TTL of the valid ones [s] */
    uint8_t lowest_alg;    /* of the valid ones; 0 if none */
    bool wildcard; /* labels field smaller than the owner's labels (RFC 4035 section 5.3.4) */
};

/* Reads the RRSIGs over rrset. The first is the one that verified (the validator puts it there): if
 * it is malformed, covers another type or is not in time none is valid. Of the others such ones are
 * passed over; nobody vouches for them, and they can only shorten the life and lower the rest. */
void kbv_rrset_signatures(const struct kbv_rrset *rrset, int64_t now, struct kbv_signatures *out);

/* The end of what rrset supports: min of ttl_end, added + original TTL (at least one second),
 * and the earliest expiration. False (STALE): no RRSIG is valid at now, or ttl_end <= now. A
 * synthesised CNAME has no signature and counts by its DNAME: call this for the DNAME. */
bool kbv_rrset_life(const struct kbv_rrset *rrset, int64_t now, int64_t *end);

/* The same with the signatures that kbv_rrset_signatures() found. */
bool kbv_rrset_life_by(const struct kbv_rrset *rrset, const struct kbv_signatures *sigs,
                       int64_t now, int64_t *end);

#endif
