/* SPDX-License-Identifier: BSD-3-Clause */
/* A TLSA RRset: what comes out is sorted, every usable record and no other, within its limits, and
 * does not depend on the order of the records. The input is an octet for the policy, then length16
 * RDATA of each record.
 */
#include "module/core/tlsa.h"

#include <string.h>

#include "lib/buf.h"
#include "module/core/match.h"
#include "tests/fuzz/require.h"

#define MAX_RECORDS 80

struct result {
    enum kbv_err err, hash_err;
    uint8_t associations[KBV_ASSOCIATIONS_MAX], hash[KBV_RRSET_HASH_LEN];
    size_t len;
};

static void run(const struct kbv_rrset *rrset, bool pkix, struct result *r)
{
    memset(r, 0, sizeof(*r));
    r->err = kbv_tlsa_associations(rrset, pkix, r->associations, sizeof(r->associations), &r->len);
    r->hash_err = kbv_tlsa_hash(rrset, r->hash);
}

/* Is the association one of the records? */
static bool is_record(const struct kbv_rrset *rrset, const struct kbv_association *a)
{
    const uint8_t head[] = {a->usage, a->selector, a->mtype};

    for (size_t i = 0; i < rrset->n_rr; i++) {
        const struct kbv_slice *rr = &rrset->rr[i];

        if (rr->len == 3 + a->data.len && memcmp(rr->p, head, 3) == 0 &&
            memcmp(rr->p + 3, a->data.p, a->data.len) == 0)
            return true;
    }
    return false;
}

/* RFC 6698 section 4.1, once more and in other words. */
static bool is_usable(const struct kbv_slice *rr, bool pkix)
{
    struct kbv_slice data, spki;

    if (rr->len < 3 || rr->p[0] < (pkix ? 0 : 2) || rr->p[0] > 3)
        return false;
    data = (struct kbv_slice){rr->p + 3, rr->len - 3};
    switch (rr->p[1] << 8 | rr->p[2]) {
    case 0x0000:
        return kbv_der_certificate_spki(data, &spki) == KBV_OK;
    case 0x0100:
        return kbv_der_spki_check(data) == KBV_OK;
    case 0x0001:
    case 0x0101:
        return rr->len == 35;
    case 0x0002:
    case 0x0102:
        return rr->len == 67;
    default:
        return false;
    }
}

static bool is_repeated(const struct kbv_rrset *rrset, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (rrset->rr[j].len == rrset->rr[i].len &&
            memcmp(rrset->rr[j].p, rrset->rr[i].p, rrset->rr[i].len) == 0)
            return true;
    return false;
}

/* Usable records, each once, and how long they are as encoded. */
static size_t count_usable(const struct kbv_rrset *rrset, bool pkix, size_t *octets)
{
    size_t n = 0;

    *octets = 0;
    for (size_t i = 0; i < rrset->n_rr; i++) {
        if (!is_usable(&rrset->rr[i], pkix) || is_repeated(rrset, i))
            continue;
        *octets += rrset->rr[i].len + 2;
        n++;
    }
    return n;
}

static int compare(const struct kbv_association *a, const struct kbv_association *b)
{
    const uint8_t head_a[] = {a->usage, a->selector, a->mtype};
    const uint8_t head_b[] = {b->usage, b->selector, b->mtype};
    size_t shorter = a->data.len < b->data.len ? a->data.len : b->data.len;
    int diff = memcmp(head_a, head_b, 3);

    if (diff == 0)
        diff = memcmp(a->data.p, b->data.p, shorter);
    return diff != 0 ? diff : (a->data.len > b->data.len) - (a->data.len < b->data.len);
}

static void check_associations(const struct kbv_rrset *rrset, const struct result *r, bool pkix)
{
    const struct kbv_slice all = {r->associations, r->len};
    struct kbv_association a, last = {0};
    size_t pos = 0, n = 0, octets;

    while (kbv_association_next(all, &pos, &a)) {
        REQUIRE(a.usage <= 3 && (pkix || a.usage >= 2) && a.selector <= 1 && a.mtype <= 2);
        REQUIRE(is_record(rrset, &a));
        REQUIRE(n == 0 || compare(&last, &a) < 0);
        last = a;
        n++;
    }
    REQUIRE(pos == r->len && n <= KBV_TLSA_MAX);
    REQUIRE(n == count_usable(rrset, pkix, &octets) && octets == r->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct result forward, backward;
    struct kbv_reader in = kbv_reader_on(data, len);
    struct kbv_slice rr[MAX_RECORDS], reversed[MAX_RECORDS];
    struct kbv_rrset rrset = {.type = KBV_TYPE_TLSA, .rr = rr};
    bool pkix = kbv_reader_u8(&in) & 1;
    size_t octets;

    while (in.left != 0 && rrset.n_rr < MAX_RECORDS) {
        rr[rrset.n_rr] = kbv_reader_octets(&in, kbv_reader_u16(&in));
        if (!in.failed)
            rrset.n_rr++;
    }
    run(&rrset, pkix, &forward);
    REQUIRE(rrset.n_rr <= KBV_TLSA_MAX || forward.err == KBV_ERR_LIMIT);
    if (forward.err == KBV_OK) {
        check_associations(&rrset, &forward, pkix);
    } else {
        REQUIRE(forward.err == KBV_ERR_LIMIT);
        count_usable(&rrset, pkix, &octets);
        REQUIRE(rrset.n_rr > KBV_TLSA_MAX || octets > KBV_ASSOCIATIONS_MAX);
    }
    for (size_t i = 0; i < rrset.n_rr; i++)
        reversed[i] = rr[rrset.n_rr - 1 - i];
    rrset.rr = reversed;
    run(&rrset, pkix, &backward);
    REQUIRE(forward.err == backward.err && forward.hash_err == backward.hash_err);
    REQUIRE(memcmp(forward.hash, backward.hash, sizeof(forward.hash)) == 0);
    REQUIRE(forward.len == backward.len);
    if (forward.err == KBV_OK)
        REQUIRE(memcmp(forward.associations, backward.associations, forward.len) == 0);
    return 0;
}
