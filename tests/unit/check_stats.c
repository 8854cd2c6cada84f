/* SPDX-License-Identifier: BSD-3-Clause */
/* The counters: each thing is counted as itself, once, whoever counts; spans are Unbound's. */
#include "module/core/stats.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t total(const uint64_t *counters, size_t n)
{
    uint64_t all = 0;

    for (size_t i = 0; i < n; i++)
        all += counters[i];
    return all;
}

START_TEST(each_status_is_counted_as_itself)
{
    struct kbv_stats *s = kbv_stats_create(1);
    struct kbv_stats_sum sum;

    for (unsigned code = 0; code < KBV_STATS_STATUSES; code++)
        for (unsigned n = 0; n < code; n++)
            kbv_stats_verdict(kbv_stats_part(s, 0), (enum kbv_status)code);
    kbv_stats_read(s, &sum);
    for (unsigned code = 0; code < KBV_STATS_STATUSES; code++)
        ck_assert_uint_eq(sum.verdicts[code], kbv_status_name(code) != NULL ? code : 0);
    ck_assert_uint_eq(total(sum.figures, KBV_STATS_FIGURES), 0);
    ck_assert_uint_eq(total(sum.times, KBV_STATS_TIMES), 0);
    kbv_stats_delete(s);
}
END_TEST

START_TEST(what_is_no_status_counts_nothing)
{
    struct kbv_stats *s = kbv_stats_create(1);
    struct kbv_stats_sum sum;

    kbv_stats_verdict(kbv_stats_part(s, 0), KBV_STATUS_NONE);
    kbv_stats_verdict(kbv_stats_part(s, 0), (enum kbv_status)7);
    kbv_stats_verdict(kbv_stats_part(s, 0), (enum kbv_status)KBV_STATS_STATUSES);
    kbv_stats_verdict(kbv_stats_part(s, 0), (enum kbv_status)255);
    kbv_stats_read(s, &sum);
    ck_assert_uint_eq(total(sum.verdicts, KBV_STATS_STATUSES), 0);
    ck_assert_uint_eq(total(sum.figures, KBV_STATS_FIGURES), 0);
    kbv_stats_delete(s);
}
END_TEST

START_TEST(each_figure_is_counted_as_itself)
{
    struct kbv_stats *s = kbv_stats_create(1);
    struct kbv_stats_sum sum;

    for (int i = 0; i < KBV_STATS_FIGURES; i++)
        for (int n = 0; n <= i; n++)
            kbv_stats_count(kbv_stats_part(s, 0), (enum kbv_figure)i);
    kbv_stats_read(s, &sum);
    for (int i = 0; i < KBV_STATS_FIGURES; i++)
        ck_assert_uint_eq(sum.figures[i], (unsigned)i + 1);
    ck_assert_uint_eq(total(sum.verdicts, KBV_STATS_STATUSES), 0);
    kbv_stats_delete(s);
}
END_TEST

START_TEST(figures_have_names_of_their_own)
{
    for (int i = 0; i < KBV_STATS_FIGURES; i++) {
        ck_assert_uint_gt(strlen(kbv_stats_name((enum kbv_figure)i)), 0);
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(kbv_stats_name((enum kbv_figure)i),
                             kbv_stats_name((enum kbv_figure)j));
    }
}
END_TEST

/* docs/man/kbv.conf.5 says of each what it means. */
START_TEST(the_manual_has_every_figure)
{
    static char text[65536];
    const char *srcdir = getenv("srcdir");
    char path[1024], first[64], further[64];
    size_t n;
    FILE *f;

    snprintf(path, sizeof(path), "%s/docs/man/kbv.conf.5", srcdir != NULL ? srcdir : ".");
    f = fopen(path, "r");
    ck_assert_msg(f != NULL, "cannot open %s", path);
    n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    ck_assert_uint_lt(n, sizeof(text) - 1);
    text[n] = '\0';
    for (int i = 0; i < KBV_STATS_FIGURES; i++) {
        const char *name = kbv_stats_name((enum kbv_figure)i);

        snprintf(first, sizeof(first), "\n.It Sy kbv.%s", name);
        snprintf(further, sizeof(further), " , kbv.%s\n", name);
        ck_assert_msg(strstr(text, first) != NULL || strstr(text, further) != NULL, "%s is missing",
                      name);
    }
}
END_TEST

/* Without a gap, from nothing on; a second is a second. */
START_TEST(spans_follow_one_another)
{
    int64_t begins, ends, last = 0;

    for (size_t i = 0; i < KBV_STATS_TIMES; i++) {
        kbv_stats_span(i, &begins, &ends);
        ck_assert_int_eq(begins, last);
        ck_assert_int_gt(ends, begins);
        last = ends;
    }
    kbv_stats_span(19, &begins, &ends);
    ck_assert_int_eq(ends, 524288);
    kbv_stats_span(20, &begins, &ends);
    ck_assert_int_eq(ends, 1000000);
    ck_assert_int_eq(last, INT64_C(524288) * 1000000);
}
END_TEST

static const struct {
    int64_t us;
    size_t span;
} times[] = {
    {INT64_MIN, 0},  {-1, 0},       {0, 0},        {1, 1},
    {2, 2},          {3, 2},        {4, 3},        {524287, 19},
    {524288, 20},    {999999, 20},  {1000000, 21}, {1048576, 21},
    {1999999, 21},   {2000000, 22}, {4499999, 23}, {INT64_C(524288) * 1000000, 39},
    {INT64_MAX, 39},
};

START_TEST(a_time_is_in_the_span_that_has_it)
{
    struct kbv_stats *s = kbv_stats_create(1);
    struct kbv_stats_sum sum;

    kbv_stats_time(kbv_stats_part(s, 0), times[_i].us);
    kbv_stats_read(s, &sum);
    ck_assert_uint_eq(sum.times[times[_i].span], 1);
    ck_assert_uint_eq(total(sum.times, KBV_STATS_TIMES), 1);
    ck_assert_uint_eq(total(sum.verdicts, KBV_STATS_STATUSES), 0);
    kbv_stats_delete(s);
}
END_TEST

START_TEST(parts_add_up)
{
    struct kbv_stats *s = kbv_stats_create(3);
    struct kbv_stats_sum sum;

    ck_assert_ptr_eq(kbv_stats_part(s, 4), kbv_stats_part(s, 1));
    ck_assert_ptr_ne(kbv_stats_part(s, 0), kbv_stats_part(s, 1));
    for (size_t i = 0; i < 7; i++) {
        kbv_stats_verdict(kbv_stats_part(s, i), KBV_STATUS_BOUND);
        kbv_stats_count(kbv_stats_part(s, i), KBV_STATS_LIMIT_UDP);
        kbv_stats_time(kbv_stats_part(s, i), 100);
    }
    kbv_stats_read(s, &sum);
    ck_assert_uint_eq(sum.verdicts[KBV_STATUS_BOUND], 7);
    ck_assert_uint_eq(sum.figures[KBV_STATS_LIMIT_UDP], 7);
    ck_assert_uint_eq(sum.times[7], 7);
    kbv_stats_delete(s);
}
END_TEST

/* A reset keeps how things stand. */
START_TEST(a_sum_since_another_one)
{
    struct kbv_stats *s = kbv_stats_create(1);
    struct kbv_stats_sum base, sum;

    kbv_stats_verdict(kbv_stats_part(s, 0), KBV_STATUS_BOUND);
    kbv_stats_count(kbv_stats_part(s, 0), KBV_STATS_LIMIT_SIZE);
    kbv_stats_count(kbv_stats_part(s, 0), KBV_STATS_PENDING);
    kbv_stats_time(kbv_stats_part(s, 0), 1);
    kbv_stats_read(s, &base);
    kbv_stats_verdict(kbv_stats_part(s, 0), KBV_STATUS_BOGUS);
    kbv_stats_count(kbv_stats_part(s, 0), KBV_STATS_PENDING);
    kbv_stats_read(s, &sum);
    kbv_stats_since(&sum, &base);
    ck_assert_uint_eq(total(sum.verdicts, KBV_STATS_STATUSES), 1);
    ck_assert_uint_eq(sum.verdicts[KBV_STATUS_BOGUS], 1);
    ck_assert_uint_eq(sum.figures[KBV_STATS_PENDING], 2);
    ck_assert_uint_eq(total(sum.figures, KBV_STATS_FIGURES), 2);
    ck_assert_uint_eq(total(sum.times, KBV_STATS_TIMES), 0);
    kbv_stats_delete(s);
}
END_TEST

START_TEST(no_part_or_too_many_are_none)
{
    ck_assert_ptr_null(kbv_stats_create(0));
    ck_assert_ptr_null(kbv_stats_create(SIZE_MAX));
    ck_assert_ptr_null(kbv_stats_create(SIZE_MAX / 512));
    kbv_stats_delete(NULL);
}
END_TEST

enum { THREADS = 8, PARTS = 3, TIMES = 20000 };

struct counting {
    pthread_t thread;
    struct kbv_stats_part *part;
};

static void *count_all_the_time(void *arg)
{
    struct counting *c = arg;

    for (int i = 0; i < TIMES; i++) {
        kbv_stats_verdict(c->part, KBV_STATUS_BOUND);
        kbv_stats_time(c->part, i);
    }
    return NULL;
}

/* More threads than parts: nothing is lost, and a sum that is taken meanwhile is never too much. */
START_TEST(threads_lose_nothing)
{
    struct kbv_stats *s = kbv_stats_create(PARTS);
    struct counting threads[THREADS];
    struct kbv_stats_sum sum;
    uint64_t before = 0;

    for (size_t i = 0; i < THREADS; i++) {
        threads[i].part = kbv_stats_part(s, i);
        ck_assert_int_eq(pthread_create(&threads[i].thread, NULL, count_all_the_time, &threads[i]),
                         0);
    }
    for (int i = 0; i < 100; i++) {
        kbv_stats_read(s, &sum);
        ck_assert_uint_ge(sum.verdicts[KBV_STATUS_BOUND], before);
        before = sum.verdicts[KBV_STATUS_BOUND];
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i].thread, NULL);
    kbv_stats_read(s, &sum);
    ck_assert_uint_eq(sum.verdicts[KBV_STATUS_BOUND], THREADS * TIMES);
    ck_assert_uint_eq(total(sum.times, KBV_STATS_TIMES), THREADS * TIMES);
    kbv_stats_delete(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stats");
    TCase *tc = tcase_create("stats");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, each_status_is_counted_as_itself);
    tcase_add_test(tc, what_is_no_status_counts_nothing);
    tcase_add_test(tc, each_figure_is_counted_as_itself);
    tcase_add_test(tc, figures_have_names_of_their_own);
    tcase_add_test(tc, the_manual_has_every_figure);
    tcase_add_test(tc, spans_follow_one_another);
    tcase_add_loop_test(tc, a_time_is_in_the_span_that_has_it, 0,
                        (int)(sizeof(times) / sizeof(times[0])));
    tcase_add_test(tc, parts_add_up);
    tcase_add_test(tc, a_sum_since_another_one);
    tcase_add_test(tc, no_part_or_too_many_are_none);
    tcase_add_test(tc, threads_lose_nothing);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
