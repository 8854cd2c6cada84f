/* SPDX-License-Identifier: BSD-3-Clause */
/* See rrset.h. */
#include "module/core/rrset.h"

#include "lib/buf.h"

/* RFC 4034 section 3.1, without what only a validator needs. */
struct rrsig {
    uint16_t covered;
    uint8_t alg, labels;
    uint32_t original_ttl, expiration, inception;
    struct kbv_slice signer;
};

static bool read_rrsig(struct kbv_slice rdata, struct rrsig *sig)
{
    struct kbv_reader r = kbv_reader_on(rdata.p, rdata.len);

    sig->covered = kbv_reader_u16(&r);
    sig->alg = kbv_reader_u8(&r);
    sig->labels = kbv_reader_u8(&r);
    sig->original_ttl = kbv_reader_u32(&r);
    sig->expiration = kbv_reader_u32(&r);
    sig->inception = kbv_reader_u32(&r);
    kbv_reader_u16(&r); /* key tag */
    sig->signer = kbv_reader_octets(&r, kbv_name_len(r.p, r.left));
    return sig->signer.len != 0 && r.left != 0; /* what is left is the signature */
}

/* The labels that an RRSIG over an owner published as such counts: neither the root label nor a
 * leading "*" (RFC 4034 section 3.1.3). */
static size_t signed_labels(struct kbv_slice owner)
{
    return kbv_name_labels(owner.p) - (kbv_name_first_label_is(owner.p, "*") ? 1 : 0);
}

/* inception <= now < expiration in serial arithmetic (RFC 4034 section 3.1.5); exactly half the
 * circle away is neither before nor after. */
static bool in_time(const struct rrsig *sig, uint32_t now)
{
    const uint32_t half = UINT32_C(0x80000000);
    uint32_t left = sig->expiration - now;

    return now - sig->inception < half && left > 0 && left < half;
}

/* Well-formed, over this RRset, and in time. RFC 4035 section 5.3.1: no more labels than the owner
 * has, and a signer at or above it. */
static bool is_good(const struct kbv_rrset *rrset, size_t i, size_t labels, uint32_t now,
                    struct rrsig *sig)
{
    return read_rrsig(rrset->sig[i], sig) && sig->covered == rrset->type && sig->labels <= labels &&
           kbv_name_below(rrset->owner.p, rrset->owner.len, sig->signer.p, sig->signer.len) &&
           in_time(sig, now);
}

void kbv_rrset_signatures(const struct kbv_rrset *rrset, int64_t now, struct kbv_signatures *out)
{
    const uint32_t now32 = (uint32_t)now;
    size_t labels;

    *out = (struct kbv_signatures){.any_valid = false};
    if (rrset->owner.p == NULL || kbv_name_len(rrset->owner.p, rrset->owner.len) == 0)
        return;
    labels = signed_labels(rrset->owner);
    for (size_t i = 0; i < rrset->n_sig; i++) {
        struct rrsig sig;
        int64_t expires;

        if (!is_good(rrset, i, labels, now32, &sig)) {
            if (i == 0)
                return; /* the one that verified; the dates of others are anybody's word */
            continue;
        }
        expires = now + (int64_t)(sig.expiration - now32);
        if (!out->any_valid || expires < out->expires)
            out->expires = expires;
        if (!out->any_valid || sig.original_ttl < out->original_ttl)
            out->original_ttl = sig.original_ttl;
        if (!out->any_valid || sig.alg < out->lowest_alg)
            out->lowest_alg = sig.alg;
        /* RFC 4035 section 5.3.4: fewer labels than the owner has: expanded from a wildcard. */
        if (sig.labels < labels)
            out->wildcard = true;
        out->any_valid = true;
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

bool kbv_rrset_life(const struct kbv_rrset *rrset, int64_t now, int64_t *end)
{
    struct kbv_signatures sigs;

    kbv_rrset_signatures(rrset, now, &sigs);
    return kbv_rrset_life_by(rrset, &sigs, now, end);
}

bool kbv_rrset_life_by(const struct kbv_rrset *rrset, const struct kbv_signatures *sigs,
                       int64_t now, int64_t *end)
{
    int64_t life_end;

    if (!sigs->any_valid)
        return false;
    /* RFC 4035 section 5.3.3; a zone that says TTL 0 still gets the second of its answer. */
    life_end = rrset->added + (sigs->original_ttl != 0 ? (int64_t)sigs->original_ttl : 1);
    life_end = earlier(life_end, rrset->ttl_end);
    life_end = earlier(life_end, sigs->expires);
    if (life_end <= now)
        return false;
    *end = life_end;
    return true;
}
