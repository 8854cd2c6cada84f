/* SPDX-License-Identifier: BSD-3-Clause */
/* See offline.h. */
#include "cli/offline.h"

void offline_judge(const struct offline *q, const struct kbv_policy *policy, int64_t now,
                   uint8_t *associations, uint8_t *names, struct kbv_verdict *base)
{
    struct kbv_slice host = q->owner;
    const struct kbv_rrset tlsa = {
        .owner = q->owner,
        .type = KBV_TYPE_TLSA,
        .security = KBV_SEC_SECURE,
        .added = now,
        .ttl_end = now + OFFLINE_TTL_S,
        .rr = q->records,
        .n_rr = q->n_records,
    };
    struct kbv_evidence e = {
        .finding = KBV_FOUND_TLSA,
        .security = KBV_SEC_SECURE,
        .ede = KBV_EDE_NONE,
        .owner = q->owner,
        .tlsa = &tlsa,
        .life_end = now + OFFLINE_TTL_S,
    };

    kbv_name_is_server_owner(q->owner.p, q->owner.len, &host.p, &host.len);
    e.reference_names[e.n_reference_names++] = host;
    for (size_t i = 0; i < q->n_names; i++)
        e.reference_names[e.n_reference_names++] = q->names[i];
    kbv_judge_base(&e, policy, now, associations, KBV_ASSOCIATIONS_MAX, names, base);
}
