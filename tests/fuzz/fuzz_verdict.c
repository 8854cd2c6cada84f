/* SPDX-License-Identifier: BSD-3-Clause */
/* Verdicts: what decodes encodes to the same octets, and can be shown. */
#include <kbv/verdict.h>

#include <string.h>

#include "tests/fuzz/require.h"

static void check_walks(const struct kbv_verdict *v)
{
    struct kbv_association a;
    struct kbv_slice name;
    size_t pos = 0, octets = 0;

    while (kbv_association_next(v->associations, &pos, &a)) {
        REQUIRE(a.usage <= 3 && a.selector <= 1 && a.mtype <= 2 && a.data.len > 0);
        octets += 5 + a.data.len;
    }
    REQUIRE(octets == v->associations.len && octets <= KBV_ASSOCIATIONS_MAX);
    pos = octets = 0;
    while (kbv_reference_name_next(v->reference_names, &pos, &name)) {
        REQUIRE(kbv_name_is_canonical(name.p, name.len));
        octets += name.len;
    }
    REQUIRE(octets == v->reference_names.len);
}

static void check_sound(const struct kbv_verdict *v)
{
    bool keyed = v->flags & KBV_FLAG_KEYED;

    REQUIRE(v->status != KBV_STATUS_NONE && kbv_status_name(v->status) != NULL);
    REQUIRE((v->flags & KBV_FLAG_CRITICAL) == 0);
    REQUIRE(v->status != KBV_STATUS_BOUND || (keyed && v->match.usage <= 3));
    REQUIRE(v->status != KBV_STATUS_PUBLISHED || !keyed);
    REQUIRE(keyed == (v->subject.kind != KBV_SUBJECT_NONE));
    REQUIRE(kbv_name_is_canonical(v->owner.p, v->owner.len));
    REQUIRE(v->reason.len <= KBV_REASON_MAX);
    REQUIRE(kbv_verdict_select(v, 1, keyed) == 0 && kbv_verdict_order(v, v) == 0);
}

/* Beside another one of its RRset, which differs in the endpoint's least: one is chosen, the same
 * in either order, and they have an order. */
static void check_beside_another(const struct kbv_verdict *v)
{
    const bool keyed = v->flags & KBV_FLAG_KEYED;
    struct kbv_verdict pair[2] = {*v, *v}, turned[2];
    size_t chosen;

    pair[1].port ^= 1;
    turned[0] = pair[1];
    turned[1] = pair[0];
    REQUIRE((kbv_verdict_order(&pair[0], &pair[1]) < 0) ==
            (kbv_verdict_order(&pair[1], &pair[0]) > 0));
    REQUIRE((kbv_verdict_order(&pair[0], &pair[1]) == 0) == !v->has_endpoint);
    chosen = kbv_verdict_select(pair, 2, keyed);
    REQUIRE(chosen < 2);
    if (v->has_endpoint)
        REQUIRE(kbv_verdict_select(turned, 2, keyed) == 1 - chosen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static uint8_t again[70000], txt[70000];
    struct kbv_verdict v;
    size_t again_len, txt_len;

    memset(&v, 0x55, sizeof(v));
    if (kbv_verdict_decode(&v, data, len) != KBV_OK) {
        for (size_t i = 0; i < sizeof(v); i++)
            REQUIRE(((const uint8_t *)&v)[i] == 0x55);
        return 0;
    }
    check_sound(&v);
    check_walks(&v);
    check_beside_another(&v);
    REQUIRE(kbv_verdict_peek_status(data, len) == v.status);
    REQUIRE(kbv_verdict_encode(&v, again, sizeof(again), &again_len) == KBV_OK);
    REQUIRE(again_len == len && memcmp(again, data, len) == 0);
    REQUIRE(kbv_verdict_encode(&v, again, len - 1, &again_len) == KBV_ERR_SPACE);
    REQUIRE(kbv_verdict_txt(&v, txt, sizeof(txt), &txt_len) == KBV_OK);
    for (size_t at = 0; at < txt_len; at += 1u + txt[at])
        REQUIRE(at + 1 + txt[at] <= txt_len);
    return 0;
}
