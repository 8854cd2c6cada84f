/* SPDX-License-Identifier: BSD-3-Clause */
/* The limit: nobody gets more than is due, and nobody takes another one's share. */
#include "module/core/ratelimit.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define NOW INT64_C(1800000000)

static const uint8_t secret[KBV_RATELIMIT_SECRET_LEN] = "the same in each run";

static struct kbv_asker client_number(unsigned n)
{
    uint8_t address[16] = {
        0x20,      0x01, 0x0d, 0xb8, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
        (uint8_t)n};

    return kbv_asker_at(address, sizeof(address));
}

/* How often it says yes in a row, at most max times. */
static unsigned take(struct kbv_ratelimit *r, struct kbv_asker client, int64_t now, unsigned max)
{
    unsigned n = 0;

    while (n < max && kbv_ratelimit_take(r, &client, now))
        n++;
    return n;
}

START_TEST(a_client_gets_so_many_in_a_second)
{
    struct kbv_ratelimit *r = kbv_ratelimit_create(7, secret);
    struct kbv_ratelimit_counts counts;

    for (int64_t now = NOW; now < NOW + 3; now++)
        ck_assert_uint_eq(take(r, client_number(1), now, 100), 7);
    counts = kbv_ratelimit_counts(r);
    ck_assert_uint_eq(counts.taken, 21);
    ck_assert_uint_eq(counts.refused, 3);
    kbv_ratelimit_delete(r);
}
END_TEST

START_TEST(all_together_get_ten_times_as_many)
{
    struct kbv_ratelimit *r = kbv_ratelimit_create(5, secret);
    unsigned n = 0;

    for (unsigned i = 0; i < 30; i++)
        n += take(r, client_number(i), NOW, 100);
    ck_assert_uint_eq(n, 50);
    ck_assert_uint_eq(take(r, client_number(99), NOW, 1), 0);
    ck_assert_uint_eq(take(r, client_number(99), NOW + 1, 100), 5);
    kbv_ratelimit_delete(r);
}
END_TEST

START_TEST(one_client_at_its_limit_leaves_the_others_theirs)
{
    for (unsigned i = 0; i < 1000; i++) {
        struct kbv_ratelimit *r = kbv_ratelimit_create(5, secret);

        take(r, client_number(0), NOW + i, 100);
        ck_assert_uint_eq(take(r, client_number(1 + i), NOW + i, 100), 5);
        kbv_ratelimit_delete(r);
    }
}
END_TEST

/* As many as the limit for all lets take: eight full shares of others, a thousand times. */
START_TEST(shares_of_others_hardly_ever_refuse)
{
    struct kbv_ratelimit *r = kbv_ratelimit_create(3, secret);
    unsigned refused = 0;

    for (unsigned i = 0; i < 1000; i++) {
        for (unsigned other = 0; other < 8; other++)
            take(r, client_number(1000 * i + other), NOW + i, 100);
        refused += take(r, client_number(7), NOW + 1000 + i, 3) < 3;
    }
    ck_assert_uint_eq(refused, 0);
    kbv_ratelimit_delete(r);
}
END_TEST

/* With a thousand times as many clients as counters there are collisions: they must not give. */
START_TEST(collisions_give_nobody_more)
{
    struct kbv_ratelimit *r = kbv_ratelimit_create(100000, secret);

    for (unsigned i = 0; i < 200000; i++) {
        struct kbv_asker client = client_number(i);

        ck_assert(kbv_ratelimit_take(r, &client, NOW));
    }
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_le(take(r, client_number(i), NOW, 200000), 100000 - 1);
    kbv_ratelimit_delete(r);
}
END_TEST

START_TEST(what_was_dear_counts_as_more)
{
    struct kbv_ratelimit *r = kbv_ratelimit_create(10, secret);
    const struct kbv_asker client = client_number(1);

    ck_assert_uint_eq(take(r, client, NOW, 4), 4);
    kbv_ratelimit_charge(r, &client, 3, NOW);
    ck_assert_uint_eq(take(r, client, NOW, 100), 3);
    ck_assert_uint_eq(take(r, client_number(2), NOW, 100), 10);
    ck_assert_uint_eq(take(r, client, NOW + 1, 100), 10);
    ck_assert_uint_eq(kbv_ratelimit_counts(r).taken, 27);
    kbv_ratelimit_delete(r);
}
END_TEST

/* However dear: others keep theirs, of which there are ten. */
START_TEST(nobody_is_charged_more_than_a_share_at_a_time)
{
    struct kbv_ratelimit *r = kbv_ratelimit_create(10, secret);
    const struct kbv_asker client = client_number(1);
    unsigned left = 0;

    ck_assert_uint_eq(take(r, client, NOW, 100), 10);
    kbv_ratelimit_charge(r, &client, UINT32_MAX, NOW);
    ck_assert_uint_eq(take(r, client, NOW, 100), 0);
    for (unsigned i = 2; i < 20; i++)
        left += take(r, client_number(i), NOW, 100);
    ck_assert_uint_eq(left, 80);
    for (unsigned i = 0; i < 100; i++)
        kbv_ratelimit_charge(r, &client, UINT32_MAX, NOW + 1);
    ck_assert_uint_eq(take(r, client, NOW + 1, 100), 0);
    ck_assert_uint_eq(take(r, client, NOW + 2, 100), 10);
    kbv_ratelimit_delete(r);
}
END_TEST

START_TEST(zero_is_no_limit)
{
    struct kbv_ratelimit *r = kbv_ratelimit_create(0, secret);

    ck_assert_uint_eq(take(r, client_number(1), NOW, 5000), 5000);
    ck_assert_uint_eq(kbv_ratelimit_counts(r).taken, 5000);
    kbv_ratelimit_delete(r);
    kbv_ratelimit_delete(NULL);
}
END_TEST

/* Threads do not see the second turn at the same moment. */
START_TEST(a_clock_that_lags_gives_nothing_twice)
{
    struct kbv_ratelimit *r = kbv_ratelimit_create(4, secret);
    unsigned n = take(r, client_number(1), NOW, 2);

    for (int i = 0; i < 10; i++)
        n += take(r, client_number(1), NOW + 1, 1) + take(r, client_number(1), NOW, 1);
    ck_assert_uint_eq(n, 2 + 4);
    kbv_ratelimit_delete(r);
}
END_TEST

START_TEST(a_clock_that_was_put_back_locks_nobody_out)
{
    struct kbv_ratelimit *r = kbv_ratelimit_create(4, secret);

    ck_assert_uint_eq(take(r, client_number(1), NOW, 100), 4);
    ck_assert_uint_eq(take(r, client_number(1), NOW - 3600, 100), 4);
    ck_assert_uint_eq(take(r, client_number(1), NOW - 3600, 100), 0);
    kbv_ratelimit_delete(r);
}
END_TEST

/* ---- who is who ---- */

static const struct {
    const char *what;
    uint8_t a[16], b[16];
    size_t a_len, b_len;
    bool same;
} pairs[] = {
    {"IPv4", {192, 0, 2, 1}, {192, 0, 2, 1}, 4, 4, true},
    {"IPv4, other", {192, 0, 2, 1}, {192, 0, 2, 2}, 4, 4, false},
    {"IPv4-mapped",
     {192, 0, 2, 1},
     {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1},
     4,
     16,
     true},
    {"IPv4-mapped, other",
     {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1},
     {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 2},
     16,
     16,
     false},
    {"a /64", {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1}, {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 9}, 16, 16, true},
    {"another /64",
     {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1},
     {0x20, 1, 0xd, 0xb8, 0, 0, 0, 2},
     16,
     16,
     false},
    {"an IPv4 address is no network", {0x20, 1, 0xd, 0xb8}, {0x20, 1, 0xd, 0xb8}, 4, 16, false},
    {"unknown is one", {1, 2}, {3, 4}, 0, 7, true},
    {"unknown is not 0.0.0.0", {0}, {0}, 0, 4, false},
    {"unknown is not ::", {0}, {0}, 0, 16, false},
};

START_TEST(clients_are_told_apart_by_what_they_cannot_choose)
{
    struct kbv_asker a = kbv_asker_at(pairs[_i].a, pairs[_i].a_len);
    struct kbv_asker b = kbv_asker_at(pairs[_i].b, pairs[_i].b_len);

    ck_assert_msg((memcmp(&a, &b, sizeof(a)) == 0) == pairs[_i].same, "%s", pairs[_i].what);
}
END_TEST

/* ---- threads ---- */

enum { THREADS = 8, TRIES = 20000, SHARE = 300 };

struct worker {
    struct kbv_ratelimit *r;
    atomic_uint *taken; /* by second */
    pthread_t thread;
};

static void *try_all_the_time(void *arg)
{
    struct worker *w = arg;
    struct kbv_asker client = client_number(1);

    for (unsigned i = 0; i < TRIES; i++) {
        unsigned second = i / (TRIES / 4);

        if (kbv_ratelimit_take(w->r, &client, NOW + second))
            atomic_fetch_add(&w->taken[0], 1);
    }
    return NULL;
}

START_TEST(threads_share_one_limit)
{
    struct kbv_ratelimit *r = kbv_ratelimit_create(SHARE, secret);
    struct worker workers[THREADS];
    atomic_uint taken = 0;

    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.r = r, .taken = &taken};
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, try_all_the_time, &workers[i]),
                         0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    ck_assert_uint_le(taken, 4 * SHARE);
    ck_assert_uint_ge(taken, SHARE);
    ck_assert_uint_eq(kbv_ratelimit_counts(r).taken, taken);
    ck_assert_uint_eq(kbv_ratelimit_counts(r).refused, THREADS * TRIES - taken);
    kbv_ratelimit_delete(r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ratelimit");
    TCase *tc = tcase_create("ratelimit");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, a_client_gets_so_many_in_a_second);
    tcase_add_test(tc, all_together_get_ten_times_as_many);
    tcase_add_test(tc, one_client_at_its_limit_leaves_the_others_theirs);
    tcase_add_test(tc, shares_of_others_hardly_ever_refuse);
    tcase_add_test(tc, collisions_give_nobody_more);
    tcase_add_test(tc, what_was_dear_counts_as_more);
    tcase_add_test(tc, nobody_is_charged_more_than_a_share_at_a_time);
    tcase_add_test(tc, zero_is_no_limit);
    tcase_add_test(tc, a_clock_that_lags_gives_nothing_twice);
    tcase_add_test(tc, a_clock_that_was_put_back_locks_nobody_out);
    tcase_add_loop_test(tc, clients_are_told_apart_by_what_they_cannot_choose, 0,
                        (int)(sizeof(pairs) / sizeof(pairs[0])));
    tcase_add_test(tc, threads_share_one_limit);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
