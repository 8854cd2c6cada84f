/* SPDX-License-Identifier: BSD-3-Clause */
/* See stats.h. */
#include "module/core/stats.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 64 }; /* octets that a processor's caches hand to one another */

enum { SPANS_BELOW_SECOND = 20 };
#define SECOND_US INT64_C(1000000)

typedef atomic_uint_fast64_t counter;

struct kbv_stats_part {
    counter verdicts[KBV_STATS_STATUSES];
    counter figures[KBV_STATS_FIGURES];
    counter times[KBV_STATS_TIMES];
    uint8_t apart[LINE]; /* from the next one, wherever the first one begins */
};

struct kbv_stats {
    size_t n;
    struct kbv_stats_part parts[];
};

struct kbv_stats *kbv_stats_create(size_t n)
{
    struct kbv_stats *s;

    if (n == 0 || n > (SIZE_MAX - sizeof(*s)) / sizeof(s->parts[0]))
        return NULL;
    s = calloc(1, sizeof(*s) + n * sizeof(s->parts[0]));
    if (s != NULL)
        s->n = n;
    return s;
}

void kbv_stats_delete(struct kbv_stats *s)
{
    free(s);
}

struct kbv_stats_part *kbv_stats_part(struct kbv_stats *s, size_t i)
{
    return &s->parts[i % s->n];
}

static void one_more(counter *c)
{
    atomic_fetch_add_explicit(c, 1, memory_order_relaxed);
}

void kbv_stats_verdict(struct kbv_stats_part *p, enum kbv_status status)
{
    if (status != KBV_STATUS_NONE && kbv_status_name(status) != NULL)
        one_more(&p->verdicts[status]);
}

void kbv_stats_count(struct kbv_stats_part *p, enum kbv_figure figure)
{
    one_more(&p->figures[figure]);
}

void kbv_stats_span(size_t i, int64_t *begins, int64_t *ends)
{
    /* Unbound's way: what would be 2^20 us is a second. */
    *ends = i < SPANS_BELOW_SECOND ? INT64_C(1) << i : SECOND_US << (i - SPANS_BELOW_SECOND);
    if (i == 0)
        *begins = 0;
    else
        *begins = i - 1 < SPANS_BELOW_SECOND ? INT64_C(1) << (i - 1)
                                             : SECOND_US << (i - 1 - SPANS_BELOW_SECOND);
}

void kbv_stats_time(struct kbv_stats_part *p, int64_t us)
{
    int64_t begins, ends;
    size_t i = 0;

    for (; i + 1 < KBV_STATS_TIMES; i++) {
        kbv_stats_span(i, &begins, &ends);
        if (us < ends)
            break;
    }
    one_more(&p->times[i]);
}

static void add(uint64_t *sums, const counter *counters, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sums[i] += atomic_load_explicit(&counters[i], memory_order_relaxed);
}

void kbv_stats_read(const struct kbv_stats *s, struct kbv_stats_sum *sum)
{
    memset(sum, 0, sizeof(*sum));
    for (size_t i = 0; i < s->n; i++) {
        add(sum->verdicts, s->parts[i].verdicts, KBV_STATS_STATUSES);
        add(sum->figures, s->parts[i].figures, KBV_STATS_FIGURES);
        add(sum->times, s->parts[i].times, KBV_STATS_TIMES);
    }
}

static bool counts(size_t figure)
{
#define KBV_STATS_COUNTS(id, name, it_counts) [KBV_STATS_##id] = (it_counts),
    static const bool table[KBV_STATS_FIGURES] = {KBV_STATS_TABLE(KBV_STATS_COUNTS)};
#undef KBV_STATS_COUNTS
    return table[figure];
}

void kbv_stats_since(struct kbv_stats_sum *sum, const struct kbv_stats_sum *base)
{
    for (size_t i = 0; i < KBV_STATS_STATUSES; i++)
        sum->verdicts[i] -= base->verdicts[i];
    for (size_t i = 0; i < KBV_STATS_FIGURES; i++)
        if (counts(i))
            sum->figures[i] -= base->figures[i];
    for (size_t i = 0; i < KBV_STATS_TIMES; i++)
        sum->times[i] -= base->times[i];
}

const char *kbv_stats_name(enum kbv_figure figure)
{
#define KBV_STATS_NAME(id, name, it_counts) [KBV_STATS_##id] = (name),
    static const char *const table[KBV_STATS_FIGURES] = {KBV_STATS_TABLE(KBV_STATS_NAME)};
#undef KBV_STATS_NAME
    return table[figure];
}
