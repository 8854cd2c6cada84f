/* SPDX-License-Identifier: BSD-3-Clause */
/* The resolver's judgement without the DNS: records are given, and taken for secure. */
#ifndef KBV_CLI_OFFLINE_H
#define KBV_CLI_OFFLINE_H

#include "module/core/judge.h"

enum { OFFLINE_TTL_S = 3600 };

/* Records at an owner, as discovery would have found them. */
struct offline {
    struct kbv_slice owner;                              /* lower case */
    struct kbv_slice names[KBV_REFERENCE_NAMES_MAX - 1]; /* further reference names */
    size_t n_names;
    const struct kbv_slice *records; /* RDATA */
    size_t n_records;
};

/* The unkeyed verdict on them. It points into q, associations (KBV_ASSOCIATIONS_MAX octets) and
 * names (KBV_REFERENCE_NAMES_MAX * KBV_NAME_MAX octets). */
void offline_judge(const struct offline *q, const struct kbv_policy *policy, int64_t now,
                   uint8_t *associations, uint8_t *names, struct kbv_verdict *base);

#endif
