/* SPDX-License-Identifier: BSD-3-Clause */
/* The table: entries hold in their time only, keys are compared whole, memory is bounded. */
#include "module/core/cache.h"

#include <check.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define NOW  INT64_C(1800000000)
#define SIZE (256 * 1024)

static const uint8_t secret[KBV_CACHE_SECRET_LEN] = "one";

struct key {
    uint8_t octets[KBV_CACHE_KEY_LEN];
};

/* Keys as they come: all over the table. */
static struct key key_number(const struct kbv_cache *c, uint64_t n)
{
    const struct kbv_slice part = {(const uint8_t *)&n, sizeof(n)};
    struct key key;

    kbv_cache_key(c, &part, 1, key.octets);
    return key;
}

/* Keys that fall into one place of the table, and differ in their last octets alone. */
static struct key colliding_key(uint32_t n)
{
    struct key key = {{0}};

    memcpy(key.octets + KBV_CACHE_KEY_LEN - sizeof(n), &n, sizeof(n));
    return key;
}

static bool get(struct kbv_cache *c, struct key key, int64_t now, uint64_t *value)
{
    return kbv_cache_get(c, key.octets, now, value, sizeof(*value));
}

static void put(struct kbv_cache *c, struct key key, int64_t until, uint64_t value)
{
    kbv_cache_put(c, key.octets, NOW, until, &value, sizeof(value));
}

static struct kbv_cache *c;
static uint64_t v;

static void setup(void)
{
    c = kbv_cache_create(SIZE, sizeof(v), secret);
    ck_assert_ptr_nonnull(c);
}

static void teardown(void)
{
    kbv_cache_delete(c);
}

/* ---- time ---- */

START_TEST(an_entry_holds_from_its_first_second_to_before_its_last)
{
    put(c, key_number(c, 1), NOW + 10, 7);
    ck_assert(!get(c, key_number(c, 1), NOW - 1, &v));
    ck_assert(get(c, key_number(c, 1), NOW, &v) && v == 7);
    ck_assert(get(c, key_number(c, 1), NOW + 9, &v) && v == 7);
    ck_assert(!get(c, key_number(c, 1), NOW + 10, &v));
    ck_assert(!get(c, key_number(c, 1), INT64_MAX, &v));
}
END_TEST

START_TEST(what_does_not_hold_now_is_not_kept)
{
    static const int64_t ends[] = {NOW, NOW - 1, 0, INT64_MIN};

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        put(c, key_number(c, i), ends[i], 7);
        ck_assert(!get(c, key_number(c, i), NOW, &v));
    }
    ck_assert_uint_eq(kbv_cache_counts(c).entries, 0);
}
END_TEST

START_TEST(a_newer_value_replaces_the_older_one)
{
    put(c, key_number(c, 1), NOW + 10, 7);
    put(c, key_number(c, 1), NOW + 5, 8);
    ck_assert(get(c, key_number(c, 1), NOW, &v) && v == 8);
    ck_assert(!get(c, key_number(c, 1), NOW + 5, &v));
    ck_assert_uint_eq(kbv_cache_counts(c).entries, 1);
}
END_TEST

/* ---- keys ---- */

START_TEST(keys_that_share_a_place_are_not_mistaken)
{
    for (uint32_t i = 0; i < 1000; i++) {
        put(c, colliding_key(i), NOW + 10, i);
        for (uint32_t j = 0; j <= i; j++)
            if (get(c, colliding_key(j), NOW, &v))
                ck_assert_uint_eq(v, j);
        ck_assert(get(c, colliding_key(i), NOW, &v) && v == i);
    }
    ck_assert_uint_eq(kbv_cache_counts(c).entries, 8);
}
END_TEST

START_TEST(every_octet_of_a_key_counts)
{
    struct key key = key_number(c, 1);

    put(c, key, NOW + 10, 7);
    for (size_t i = 0; i < 8 * sizeof(key); i++) {
        struct key other = key;

        other.octets[i / 8] ^= (uint8_t)(1u << i % 8);
        ck_assert(!get(c, other, NOW, &v));
    }
}
END_TEST

static struct key key_of(const struct kbv_cache *cache, const char *const *texts, size_t n)
{
    struct kbv_slice parts[KBV_CACHE_PARTS_MAX];
    struct key key;

    for (size_t i = 0; i < n; i++)
        parts[i] = (struct kbv_slice){(const uint8_t *)texts[i], strlen(texts[i])};
    kbv_cache_key(cache, parts, n, key.octets);
    return key;
}

START_TEST(parts_do_not_run_into_each_other)
{
    static const char *const lists[][3] = {
        {"a", "b", ""}, {"ab", "", ""}, {"", "ab", ""},
        {"", "", "ab"}, {"a", "", "b"}, {"b", "a", ""},
    };
    struct key keys[6];

    for (int i = 0; i < 6; i++) {
        keys[i] = key_of(c, lists[i], 3);
        for (int j = 0; j < i; j++)
            ck_assert_mem_ne(&keys[i], &keys[j], sizeof(keys[i]));
    }
    keys[0] = key_of(c, lists[1], 1);
    ck_assert_mem_ne(&keys[0], &keys[1], sizeof(keys[0]));
}
END_TEST

START_TEST(places_cannot_be_foretold)
{
    static const uint8_t other_secret[KBV_CACHE_SECRET_LEN] = "two";
    struct kbv_cache *other = kbv_cache_create(SIZE, sizeof(v), other_secret);
    struct key a = key_number(c, 1), b = key_number(other, 1);

    ck_assert_mem_ne(&a, &b, 8);
    kbv_cache_delete(other);
}
END_TEST

/* ---- room ---- */

START_TEST(what_is_in_use_outlives_a_flood)
{
    enum { USED = 100, FLOOD = 200000 };
    struct mallinfo2 before = mallinfo2();
    size_t full;

    for (uint64_t i = 0; i < USED; i++)
        put(c, key_number(c, i), NOW + 1000, i);
    for (uint64_t i = 0; i < FLOOD; i++) {
        put(c, key_number(c, USED + i), NOW + 1000, i);
        ck_assert(i >= 1000 || get(c, key_number(c, i % USED), NOW, &v)); /* room enough so far */
        if (i % 10 == 0 && get(c, key_number(c, i / 10 % USED), NOW, &v))
            ck_assert_uint_eq(v, i / 10 % USED);
    }
    for (uint64_t i = 0; i < USED; i++)
        ck_assert_msg(get(c, key_number(c, i), NOW, &v), "%d is gone", (int)i);
    full = kbv_cache_counts(c).bytes;
    ck_assert_uint_le(full, SIZE);
    ck_assert_uint_ge(full, SIZE - 10000);
    ck_assert_uint_eq(mallinfo2().uordblks, before.uordblks);
}
END_TEST

START_TEST(past_use_wears_off)
{
    bool there = false;

    for (uint32_t i = 0; i < 8; i++) {
        put(c, colliding_key(i), NOW + 1000, i);
        for (int used = 0; used < 100; used++)
            ck_assert(get(c, colliding_key(i), NOW, &v));
    }
    for (uint32_t i = 8; i < 40; i++) {
        put(c, colliding_key(i), NOW + 1000, i);
        ck_assert(get(c, colliding_key(i), NOW, &v)); /* the new one has a place at once */
        ck_assert(get(c, colliding_key(i), NOW, &v));
    }
    for (uint32_t i = 0; i < 8; i++)
        there |= get(c, colliding_key(i), NOW, &v);
    ck_assert(!there);
}
END_TEST

START_TEST(outlived_entries_give_their_places)
{
    for (uint32_t i = 0; i < 8; i++) {
        put(c, colliding_key(i), i == 3 ? NOW + 1 : NOW + 1000, i);
        ck_assert(get(c, colliding_key(i), NOW, &v));
    }
    kbv_cache_put(c, colliding_key(8).octets, NOW + 1, NOW + 1000, &v, sizeof(v));
    for (uint32_t i = 0; i <= 8; i++)
        ck_assert(get(c, colliding_key(i), NOW + 1, &v) == (i != 3));
    ck_assert_uint_eq(kbv_cache_counts(c).entries, 8);
}
END_TEST

START_TEST(all_that_is_taken_is_within_the_size)
{
    static const size_t sizes[] = {KBV_CACHE_LEAST, 65536, 100001, SIZE};
    static const size_t lengths[] = {0, 1, 40, KBV_CACHE_VALUE_MAX};

    for (size_t i = 0; i < 16; i++) {
        size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
        struct kbv_cache *t = kbv_cache_create(sizes[i % 4], lengths[i / 4], secret);

        ck_assert_ptr_nonnull(t);
        /* and what malloc adds */
        ck_assert_uint_le(mallinfo2().uordblks + mallinfo2().hblkhd - before, sizes[i % 4] + 8192);
        kbv_cache_delete(t);
    }
}
END_TEST

START_TEST(other_sizes_are_refused)
{
    ck_assert_ptr_null(kbv_cache_create(0, 8, secret));
    ck_assert_ptr_null(kbv_cache_create(KBV_CACHE_LEAST - 1, 8, secret));
    ck_assert_ptr_null(kbv_cache_create(SIZE, KBV_CACHE_VALUE_MAX + 1, secret));
    ck_assert_ptr_null(kbv_cache_create((size_t)KBV_CACHE_MOST + 1, 8, secret));
    kbv_cache_delete(NULL);
}
END_TEST

START_TEST(a_flush_forgets_everything)
{
    for (uint64_t i = 0; i < 500; i++)
        put(c, key_number(c, i), NOW + 1000, i);
    ck_assert_uint_gt(kbv_cache_counts(c).entries, 400);
    kbv_cache_flush(c);
    ck_assert_uint_eq(kbv_cache_counts(c).entries, 0);
    for (uint64_t i = 0; i < 500; i++)
        ck_assert(!get(c, key_number(c, i), NOW, &v));
    put(c, key_number(c, 1), NOW + 1000, 7);
    ck_assert(get(c, key_number(c, 1), NOW, &v) && v == 7);
    ck_assert_uint_eq(kbv_cache_counts(c).hits, 1);
    ck_assert_uint_eq(kbv_cache_counts(c).misses, 500);
}
END_TEST

/* ---- threads ---- */

enum { THREADS = 8, KEYS = 4000, ROUNDS = 8000 };

static void *use(void *arg)
{
    unsigned x = 1 + (unsigned)(uintptr_t)arg;
    uint64_t value;

    for (unsigned i = 0; i < ROUNDS; i++) {
        x = x * 1103515245 + 12345;
        uint64_t n = x >> 8 & 1 ? x >> 9 & 15 : x >> 9;
        struct key key = n < 16 ? colliding_key((uint32_t)n) : key_number(c, n % KEYS);

        n = n < 16 ? n : n % KEYS;
        if (!kbv_cache_get(c, key.octets, NOW, &value, sizeof(value)))
            kbv_cache_put(c, key.octets, NOW, NOW + 100, &n, sizeof(n));
        else if (value != n)
            return (void *)"another key's value";
        if (i % 2000 == 1999)
            kbv_cache_flush(c);
    }
    return NULL;
}

START_TEST(threads_get_what_belongs_to_the_key)
{
    pthread_t threads[THREADS];
    void *complaint;

    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use, (void *)i), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &complaint);
        ck_assert_msg(complaint == NULL, "%s", (const char *)complaint);
    }
    ck_assert_uint_eq(kbv_cache_counts(c).hits + kbv_cache_counts(c).misses, THREADS * ROUNDS);
    ck_assert_uint_le(kbv_cache_counts(c).bytes, SIZE);
    kbv_cache_flush(c);
    ck_assert_uint_eq(kbv_cache_counts(c).entries, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache");
    TCase *tc = tcase_create("cache");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 300);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, an_entry_holds_from_its_first_second_to_before_its_last);
    tcase_add_test(tc, what_does_not_hold_now_is_not_kept);
    tcase_add_test(tc, a_newer_value_replaces_the_older_one);
    tcase_add_test(tc, keys_that_share_a_place_are_not_mistaken);
    tcase_add_test(tc, every_octet_of_a_key_counts);
    tcase_add_test(tc, parts_do_not_run_into_each_other);
    tcase_add_test(tc, places_cannot_be_foretold);
    tcase_add_test(tc, what_is_in_use_outlives_a_flood);
    tcase_add_test(tc, past_use_wears_off);
    tcase_add_test(tc, outlived_entries_give_their_places);
    tcase_add_test(tc, all_that_is_taken_is_within_the_size);
    tcase_add_test(tc, other_sizes_are_refused);
    tcase_add_test(tc, a_flush_forgets_everything);
    tcase_add_test(tc, threads_get_what_belongs_to_the_key);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
