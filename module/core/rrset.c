/* SPDX-License-Identifier: BSD-3-Clause */
/* See rrset.h. */
#include "module/core/rrset.h"

/* RRSIG RDATA, RFC 4034 section 3.1: type covered 2, algorithm 1, labels 1, original TTL 4,
 * expiration 4, inception 4, key tag 2, then the signer's name and the signature. */
#define RRSIG_FIXED 18

struct rrsig {
    uint16_t covered;
    uint8_t alg, labels;
    uint32_t original_ttl, expiration, inception;
    struct kbv_slice signer;
};

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool read_rrsig(struct kbv_slice rdata, struct rrsig *sig)
{
    const uint8_t *p = rdata.p;
    size_t signer_len;

    if (rdata.len <= RRSIG_FIXED)
        return false;
    signer_len = kbv_name_len(p + RRSIG_FIXED, rdata.len - RRSIG_FIXED);
    if (signer_len == 0 || rdata.len - RRSIG_FIXED == signer_len)
        return false; /* no signer, or no signature */
    *sig = (struct rrsig){
        .covered = (uint16_t)(p[0] << 8 | p[1]),
        .alg = p[2],
        .labels = p[3],
        .original_ttl = read_u32(p + 4),
        .expiration = read_u32(p + 8),
        .inception = read_u32(p + 12),
        .signer = {p + RRSIG_FIXED, signer_len},
    };
    return true;
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

        if (!read_rrsig(rrset->sig[i], &sig) || sig.covered != rrset->type)
            continue;
        /* RFC 4035 section 5.3.1: no more labels than the owner has, and a signer at or above it.
         */
        if (sig.labels > labels ||
            !kbv_name_below(rrset->owner.p, rrset->owner.len, sig.signer.p, sig.signer.len))
            continue;
        if (!in_time(&sig, now32))
            continue;
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
    int64_t life_end;

    kbv_rrset_signatures(rrset, now, &sigs);
    if (!sigs.any_valid)
        return false;
    /* RFC 4035 section 5.3.3; a zone that says TTL 0 still gets the second of its answer. */
    life_end = rrset->added + (sigs.original_ttl != 0 ? (int64_t)sigs.original_ttl : 1);
    life_end = earlier(life_end, rrset->ttl_end);
    life_end = earlier(life_end, sigs.expires);
    if (life_end <= now)
        return false;
    *end = life_end;
    return true;
}
