/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counters of what the module did: verdicts by status, limits that were hit, how long verdicts
 * took.
 *
 * Every thread counts in a part of its own, so that no two write to one line of the processor's
 * cache; no lock, and no order between counters. Whoever reads adds the parts up. A counter never
 * goes back: statistics that start anew are the difference to an earlier sum.
 */
#ifndef KBV_CORE_STATS_H
#define KBV_CORE_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kbv/verdict.h>

/* One table of figures, in the order in which they are printed; verdicts go before them:
 * X(enum suffix, name behind "kbv.", whether it counts: else it is how things stand now, which no
 * reset changes). Those that other parts of the module keep, a table or a limit, are put into the
 * sum by whoever prints it. kbv.conf(5) says what each one means. */
#define KBV_STATS_TABLE(X)                                                                         \
    X(CACHE_HITS, "cache.hits", true)                                                              \
    X(CACHE_MISSES, "cache.misses", true)                                                          \
    X(CACHE_ENTRIES, "cache.entries", false)                                                       \
    X(CACHE_BYTES, "cache.bytes", false)                                                           \
    X(PENDING, "pending", false)                                                                   \
    X(CHAIN_VERIFIED, "chain.verified", true)                                                      \
    X(CHAIN_RATELIMITED, "chain.ratelimited", true)                                                \
    X(SIGNATURES, "signatures", true)                                                              \
    X(SIGNATURES_RATELIMITED, "signatures.ratelimited", true)                                      \
    X(LIMIT_PENDING, "limit.pending", true)                                                        \
    X(LIMIT_DEADLINE, "limit.deadline", true)                                                      \
    X(LIMIT_DISCOVERY, "limit.discovery", true)                                                    \
    X(LIMIT_PATHS, "limit.paths", true)                                                            \
    X(LIMIT_SIZE, "limit.size", true)                                                              \
    X(LIMIT_UDP, "limit.udp", true)

enum kbv_figure {
#define KBV_STATS_ENUM(id, name, counts) KBV_STATS_##id,
    KBV_STATS_TABLE(KBV_STATS_ENUM)
#undef KBV_STATS_ENUM
        KBV_STATS_FIGURES
};

#define KBV_STATS_STATUSES (KBV_STATUS_LIMIT + 1) /* by their codes, of which some are none */
#define KBV_STATS_TIMES    40                     /* spans, as many as Unbound's histograms have */

/* What the parts add up to. */
struct kbv_stats_sum {
    uint64_t verdicts[KBV_STATS_STATUSES];
    uint64_t figures[KBV_STATS_FIGURES];
    uint64_t times[KBV_STATS_TIMES];
};

struct kbv_stats;
struct kbv_stats_part;

/* n: threads that count at the same time, at least 1; with fewer parts than threads some share one,
 * which is slower and nothing else. NULL: no memory. Free with kbv_stats_delete(), which accepts
 * NULL. */
struct kbv_stats *kbv_stats_create(size_t n);
void kbv_stats_delete(struct kbv_stats *s);

/* Part i modulo n, good for as long as s is. */
struct kbv_stats_part *kbv_stats_part(struct kbv_stats *s, size_t i);

/* One more. A code that is no status, and NONE, are not counted. */
void kbv_stats_verdict(struct kbv_stats_part *p, enum kbv_status status);
void kbv_stats_count(struct kbv_stats_part *p, enum kbv_figure figure);
/* One more that took so long [us]; less than nothing, by clocks that were set, counts as nothing.
 */
void kbv_stats_time(struct kbv_stats_part *p, int64_t us);

/* Adds all parts up into *sum. */
void kbv_stats_read(const struct kbv_stats *s, struct kbv_stats_sum *sum);
/* Takes out of *sum what *base has, but for figures that do not count. */
void kbv_stats_since(struct kbv_stats_sum *sum, const struct kbv_stats_sum *base);

/* "cache.hits" and so on. */
const char *kbv_stats_name(enum kbv_figure figure);
/* Where span i begins and ends, which is not in it any more [us]: Unbound's, which double, begin
 * with 1 us, and go on from a whole second. The last one has no end but in its name. */
void kbv_stats_span(size_t i, int64_t *begins, int64_t *ends);

#endif
