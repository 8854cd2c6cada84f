/* SPDX-License-Identifier: BSD-3-Clause */
/* RDATA of the RRSIGs over one RRset, and how long the RRset holds by them: read once more here, in
 * other words. Input: type16, TTL16, now32, the owner, then len16 RDATA of each signature. */
#include "module/core/rrset.h"

#include <string.h>

#include "lib/buf.h"
#include "tests/fuzz/require.h"

#define MAX_SIGNATURES 20

/* The owner's labels, but for a leading "*" (RFC 4034 section 3.1.3). */
static unsigned labels_of(struct kbv_slice name)
{
    unsigned n = 0;

    for (const uint8_t *p = name.p; *p != 0; p += 1 + *p)
        n += p != name.p || p[0] != 1 || p[1] != '*';
    return n;
}

/* Is there a signature of this name's or a name's above, over this type, that counts labels right
 * and holds at now (RFC 4035 section 5.3.1)? Then the seconds that are left; else 0. */
static uint32_t seconds_left(const struct kbv_rrset *set, struct kbv_slice s, uint32_t now)
{
    struct kbv_reader r = kbv_reader_on(s.p, s.len);
    const uint16_t covered = kbv_reader_u16(&r);
    const unsigned labels = kbv_reader_u16(&r) & 0xFF;
    uint32_t expiration, inception;
    size_t signer_len;

    kbv_reader_u32(&r);
    expiration = kbv_reader_u32(&r);
    inception = kbv_reader_u32(&r);
    kbv_reader_u16(&r);
    if (r.failed || (signer_len = kbv_name_len(r.p, r.left)) == 0 || r.left == signer_len)
        return 0;
    if (covered != set->type || labels > labels_of(set->owner) ||
        !kbv_name_below(set->owner.p, set->owner.len, r.p, signer_len))
        return 0;
    if ((int32_t)(now - inception) < 0 || (int32_t)(expiration - now) <= 0)
        return 0;
    return expiration - now;
}

/* kbv_rrset_signatures() and kbv_rrset_life() agree with what the octets say. */
static void check(const struct kbv_rrset *set, int64_t now)
{
    struct kbv_signatures found;
    uint32_t first = set->n_sig != 0 ? seconds_left(set, set->sig[0], (uint32_t)now) : 0;
    uint32_t least = UINT32_MAX;
    int64_t end;

    kbv_rrset_signatures(set, now, &found);
    REQUIRE(found.any_valid == (first != 0));
    if (first == 0) {
        REQUIRE(!kbv_rrset_life(set, &found, now, &end));
        return;
    }
    for (size_t i = 0; i < set->n_sig; i++) {
        uint32_t left = seconds_left(set, set->sig[i], (uint32_t)now);

        if (left != 0 && left < least)
            least = left;
        REQUIRE(left == 0 || found.lowest_alg <= set->sig[i].p[2]);
    }
    REQUIRE(found.expires == now + least);
    if (kbv_rrset_life(set, &found, now, &end))
        REQUIRE(end > now && end <= set->ttl_end && end <= found.expires &&
                (end <= set->added + found.original_ttl || end == set->added + 1));
    else
        REQUIRE(set->ttl_end <= now || set->added + (int64_t)found.original_ttl <= now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct kbv_reader in = kbv_reader_on(data, len);
    struct kbv_slice sig[MAX_SIGNATURES];
    struct kbv_rrset set = {.sig = sig, .type = kbv_reader_u16(&in)};
    const uint16_t ttl = kbv_reader_u16(&in);
    const int64_t now = (int64_t)kbv_reader_u32(&in) + (INT64_C(1) << 32) * (ttl & 1);

    set.owner = kbv_reader_octets(&in, kbv_name_len(in.p, in.left));
    if (in.failed || set.owner.len == 0)
        return 0;
    set.added = now - (ttl >> 12);
    set.ttl_end = set.added + ttl;
    while (in.left != 0 && set.n_sig < MAX_SIGNATURES) {
        sig[set.n_sig] = kbv_reader_octets(&in, kbv_reader_u16(&in));
        if (in.failed)
            break;
        set.n_sig++;
    }
    check(&set, now);
    return 0;
}
