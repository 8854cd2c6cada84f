/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * So many of something dear in a second for one client, and ten times as many for all of them
 * together.
 *
 * Memory is fixed. A client is counted in two of many counters, which a secret and the second
 * choose, and is refused when both are full. A counter holds at least what its clients took, so
 * nobody gets more than is due. What others left in both counters of a client can refuse it: they
 * would have to fill both, and as all together take no more than ten shares a second, at most ten
 * of the 4096 counters in either row can be full. That is less than one second in 160 000, in
 * another second other counters are shared, and nobody can choose whose.
 *
 * Any thread may call. The lock inside is a leaf: nothing is called or allocated while it is held.
 */
#ifndef KBV_CORE_RATELIMIT_H
#define KBV_CORE_RATELIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KBV_RATELIMIT_ALL        10 /* times what one client may, for all */
#define KBV_RATELIMIT_SECRET_LEN 32

/* Who is counted: an IPv4 address, or the network of an IPv6 address. Zeros: unknown; those whose
 * address is not known are one client. */
struct kbv_asker {
    uint8_t octets[9];
};

/* The client at an address of 4 or 16 octets. IPv6: its /64, which is what one host may choose from
 * (RFC 4291 section 2.5.4); IPv4-mapped (section 2.5.5.2) counts as IPv4. Any other length:
 * unknown. */
struct kbv_asker kbv_asker_at(const uint8_t *address, size_t len);

struct kbv_ratelimit;

/* per_second: for one client; 0: no limit, everything is counted only. secret: random octets that
 * no client knows. NULL: no memory. Free with kbv_ratelimit_delete(), which accepts NULL. */
struct kbv_ratelimit *kbv_ratelimit_create(uint32_t per_second,
                                           const uint8_t secret[KBV_RATELIMIT_SECRET_LEN]);
void kbv_ratelimit_delete(struct kbv_ratelimit *r);

/* True, and one is taken: the client may at now [s]. Threads whose clocks are a few seconds apart
 * share the latest one's second; a clock that was put back by more starts afresh. */
bool kbv_ratelimit_take(struct kbv_ratelimit *r, const struct kbv_asker *client, int64_t now);

/* What a client took was as dear as more others: these count in its share and in that of all, past
 * their ends too, but no more than one share at a time. kbv_ratelimit_counts() has them not. */
void kbv_ratelimit_charge(struct kbv_ratelimit *r, const struct kbv_asker *client, uint32_t more,
                          int64_t now);

/* How often it said yes and no since it was made. */
struct kbv_ratelimit_counts {
    uint64_t taken, refused;
};
struct kbv_ratelimit_counts kbv_ratelimit_counts(const struct kbv_ratelimit *r);

#endif
