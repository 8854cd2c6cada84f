/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counters out. Each thread counts in a part of its own (core/stats.h), which it takes when it
 * first counts for a module. Statistics start anew as Unbound's do, by remembering what there was.
 */
#include "config.h"

#include <ctype.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "util/config_file.h"
#include "util/module.h"

#include "kbv_unbound.h"
#include "kbvmod.h"

enum { THREADS_MAX = 1024, US_OF_SECOND = 1000000 };

struct kbv_statistics {
    struct kbv_stats *counters;
    unsigned long number;       /* of all that there were in this process, from 1 on */
    atomic_size_t threads;      /* that have taken a part */
    pthread_mutex_t lock;       /* a leaf */
    struct kbv_stats_sum start; /* under the lock: what there was when statistics began */
};

static atomic_ulong created;

/* The part of the thread that asks, and whose it is of: after a reload there are new ones. */
static _Thread_local struct {
    unsigned long number;
    struct kbv_stats_part *part;
} mine;

struct kbv_statistics *kbv_statistics_create(const struct config_file *cfg)
{
    size_t threads = cfg->num_threads < 1             ? 1
                     : cfg->num_threads > THREADS_MAX ? THREADS_MAX
                                                      : (size_t)cfg->num_threads;
    struct kbv_statistics *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->counters = kbv_stats_create(threads);
    if (!s->counters || pthread_mutex_init(&s->lock, NULL) != 0) {
        kbv_stats_delete(s->counters);
        free(s);
        return NULL;
    }
    s->number = atomic_fetch_add(&created, 1) + 1;
    atomic_init(&s->threads, 0);
    return s;
}

void kbv_statistics_delete(struct kbv_statistics *s)
{
    if (!s)
        return;
    pthread_mutex_destroy(&s->lock);
    kbv_stats_delete(s->counters);
    free(s);
}

static struct kbv_stats_part *my_part(const struct kbv_module *m)
{
    struct kbv_statistics *s = m->statistics;

    if (mine.number != s->number) {
        mine.part = kbv_stats_part(s->counters, atomic_fetch_add(&s->threads, 1));
        mine.number = s->number;
    }
    return mine.part;
}

void kbv_count(const struct kbv_module *m, enum kbv_figure figure)
{
    kbv_stats_count(my_part(m), figure);
}

void kbv_count_verdict(const struct kbv_module *m, enum kbv_status status)
{
    kbv_stats_verdict(my_part(m), status);
}

void kbv_count_time(const struct kbv_module *m, const struct timeval *from,
                    const struct timeval *to)
{
    kbv_stats_time(my_part(m), ((int64_t)to->tv_sec - (int64_t)from->tv_sec) * US_OF_SECOND +
                                   ((int64_t)to->tv_usec - (int64_t)from->tv_usec));
}

/* All that there was since the module began, and how things stand. */
static void read_all(const struct kbv_module *m, struct kbv_stats_sum *sum)
{
    const struct kbv_ratelimit_counts chains = kbv_ratelimit_counts(m->chains);
    struct kbv_cache_counts cache = {0, 0, 0, 0};

    kbv_stats_read(m->statistics->counters, sum);
    if (m->cache)
        cache = kbv_cache_counts(m->cache);
    sum->figures[KBV_STATS_CACHE_HITS] = cache.hits;
    sum->figures[KBV_STATS_CACHE_MISSES] = cache.misses;
    sum->figures[KBV_STATS_CACHE_ENTRIES] = cache.entries;
    sum->figures[KBV_STATS_CACHE_BYTES] = cache.bytes;
    sum->figures[KBV_STATS_PENDING] = atomic_load(&m->pending);
    sum->figures[KBV_STATS_CHAIN_VERIFIED] = chains.taken;
    sum->figures[KBV_STATS_CHAIN_RATELIMITED] = chains.refused;
    if (m->opts->signer)
        sum->figures[KBV_STATS_SIGNATURES] = kbv_sign_counts(m->opts->signer).made;
    sum->figures[KBV_STATS_SIGNATURES_RATELIMITED] = kbv_ratelimit_counts(m->nonces).refused +
                                                     kbv_ratelimit_counts(m->signatures).refused +
                                                     kbv_ratelimit_counts(m->unproven).refused;
}

/* What there was since statistics began; with reset they begin now. */
static void read_since(const struct kbv_module *m, bool reset, struct kbv_stats_sum *sum)
{
    struct kbv_statistics *s = m->statistics;
    struct kbv_stats_sum all;

    pthread_mutex_lock(&s->lock);
    read_all(m, &all);
    *sum = all;
    kbv_stats_since(sum, &s->start);
    if (reset)
        s->start = all;
    pthread_mutex_unlock(&s->lock);
}

static bool print_verdict(unsigned code, uint64_t count, kbv_say_func_type *say, void *to)
{
    const char *name = code == KBV_STATUS_NONE ? NULL : kbv_status_name(code);
    char line[96], lower[32];
    size_t i = 0;

    if (!name)
        return true;
    for (; name[i] != 0 && i < sizeof(lower) - 1; i++)
        lower[i] = (char)tolower((unsigned char)name[i]);
    lower[i] = 0;
    snprintf(line, sizeof(line), "kbv.verdict.%s=%" PRIu64 "\n", lower, count);
    return say(to, line);
}

static bool print_figure(enum kbv_figure figure, uint64_t value, kbv_say_func_type *say, void *to)
{
    char line[96];

    snprintf(line, sizeof(line), "kbv.%s=%" PRIu64 "\n", kbv_stats_name(figure), value);
    return say(to, line);
}

/* As Unbound prints those of its own histogram. */
static bool print_span(size_t span, uint64_t count, kbv_say_func_type *say, void *to)
{
    int64_t from, until;
    char line[128];

    kbv_stats_span(span, &from, &until);
    snprintf(line, sizeof(line), "kbv.histogram.%6.6d.%6.6d.to.%6.6d.%6.6d=%" PRIu64 "\n",
             (int)(from / US_OF_SECOND), (int)(from % US_OF_SECOND), (int)(until / US_OF_SECOND),
             (int)(until % US_OF_SECOND), count);
    return say(to, line);
}

void kbv_stats_print(struct module_env *env, int reset, kbv_say_func_type *say, void *to)
{
    const struct kbv_module *m = kbv_module_of(env);
    struct kbv_stats_sum sum;

    if (!m)
        return;
    read_since(m, reset && !env->cfg->stat_cumulative, &sum);
    for (unsigned code = 0; code < KBV_STATS_STATUSES; code++)
        if (!print_verdict(code, sum.verdicts[code], say, to))
            return;
    for (int i = 0; i < KBV_STATS_FIGURES; i++)
        if (!print_figure((enum kbv_figure)i, sum.figures[i], say, to))
            return;
    for (size_t i = 0; i < KBV_STATS_TIMES; i++)
        if (!print_span(i, sum.times[i], say, to))
            return;
}

void kbv_stats_clear(struct module_env *env)
{
    const struct kbv_module *m = kbv_module_of(env);
    struct kbv_stats_sum sum;

    if (m)
        read_since(m, true, &sum);
}
