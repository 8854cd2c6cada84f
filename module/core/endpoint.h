/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Of many records the first few, in order: what decides which NAPTR records are followed and which
 * endpoints are looked at, however large the RRsets and in whatever order they arrive. Storage is
 * bounded and the caller's; nothing is allocated.
 */
#ifndef KBV_CORE_ENDPOINT_H
#define KBV_CORE_ENDPOINT_H

#include "lookup.h"
#include "naptr.h"

#define KBV_MAX_NAPTRS 8 /* of one RRset that are followed */

/* Where a path stands among the others: order and preference of the NAPTR record at the name asked,
 * then those of the records that NAPTR recursion went through, big-endian. */
struct kbv_rank {
    uint16_t order, preference;
    uint8_t deeper[4 * KBV_MAX_HOPS];
};

/* The rank of a NAPTR record found after depth recursions (at most KBV_MAX_HOPS) on the path of
 * rank base. */
struct kbv_rank kbv_rank_below(const struct kbv_rank *base, unsigned depth, uint16_t order,
                               uint16_t preference);
/* By order, then preference: <0, 0, >0. */
int kbv_rank_compare(const struct kbv_rank *a, const struct kbv_rank *b);

struct kbv_endpoint {
    struct kbv_rank rank;
    uint16_t priority, weight, port;
    uint8_t host[KBV_NAME_MAX]; /* lower case */
    size_t host_len;
    const uint8_t *via; /* name asked of the RRset that gave it; settles what is left of order */
    const void *from;   /* whatever the caller keeps with it */
};

/* The first endpoints of all that were added, without repetitions, in endpoint order: order,
 * preference, priority, weight descending, deeper NAPTR order, port, host. Of a repeated host and
 * port the first in that order counts. Zeroed: empty. */
struct kbv_endpoints {
    struct kbv_endpoint e[KBV_MAX_ENDPOINTS];
    size_t n;
    bool more; /* there were others */
};

void kbv_endpoints_add(struct kbv_endpoints *list, const struct kbv_endpoint *new);

/* The usable NAPTR records of an RRset that come first by order, then preference. */
struct kbv_naptrs {
    struct kbv_naptr r[KBV_MAX_NAPTRS];
    size_t n;
    bool more;  /* there were other usable ones */
    bool plain; /* there was plain HTTP (LWN) */
};

void kbv_naptrs_read(const struct kbv_rrset *rrset, struct kbv_naptrs *out);

#endif
