/* SPDX-License-Identifier: BSD-3-Clause */
/* What the signatures over an RRset say, and how long it holds. */
#include "module/core/rrset.h"

#include <check.h>
#include <stdlib.h>

#include "tests/unit/octets.h"

#define NOW INT64_C(1800000000)
#define DAY 86400

/* One RRSIG; times relative to now. Zeroed fields get what a good one has. */
struct sig {
    const char *signer; /* "example." */
    uint16_t covered;   /* TLSA */
    uint8_t alg;        /* 13 */
    uint8_t labels;     /* 3 */
    int no_labels;      /* labels field 0 */
    uint32_t ttl;       /* 3600 */
    int ttl_zero;
    int64_t inception, expiration; /* a day ago, in a day */
    int inception_now;
    size_t cut; /* octets missing at the end; the signature has 4 */
};

static size_t put(uint8_t *out, uint64_t value, size_t octets)
{
    for (size_t i = 0; i < octets; i++)
        out[i] = (uint8_t)(value >> (8 * (octets - 1 - i)));
    return octets;
}

static size_t sig_rdata(const struct sig *s, int64_t now, uint8_t *out)
{
    struct octets_name signer = octets_from_name(s->signer ? s->signer : "example.");
    size_t n = 0;

    n += put(out + n, s->covered ? s->covered : KBV_TYPE_TLSA, 2);
    n += put(out + n, s->alg ? s->alg : 13, 1);
    n += put(out + n, s->no_labels ? 0 : s->labels ? s->labels : 3, 1);
    n += put(out + n, s->ttl_zero ? 0 : s->ttl ? s->ttl : 3600, 4);
    n += put(out + n, (uint32_t)(now + (s->expiration ? s->expiration : DAY)), 4);
    n += put(out + n,
             (uint32_t)(now + (s->inception       ? s->inception
                               : s->inception_now ? 0
                                                  : -DAY)),
             4);
    n += put(out + n, 4711, 2);
    memcpy(out + n, signer.wire, signer.len);
    n += signer.len;
    n += put(out + n, 0xABCDEF01, 4);
    ck_assert_uint_lt(s->cut, n);
    return n - s->cut;
}

/* An RRset with its signatures, and the storage they live in. */
struct fixture {
    struct kbv_rrset rrset;
    struct octets_name owner;
    uint8_t octets[4][512];
    struct kbv_slice sig[4];
};

static void fixture_make(struct fixture *f, const char *owner, const struct sig *sigs, size_t n,
                         int64_t now)
{
    f->owner = octets_from_name(owner);
    for (size_t i = 0; i < n; i++)
        f->sig[i] = (struct kbv_slice){f->octets[i], sig_rdata(&sigs[i], now, f->octets[i])};
    f->rrset = (struct kbv_rrset){
        .owner = {f->owner.wire, f->owner.len},
        .type = KBV_TYPE_TLSA,
        .security = KBV_SEC_SECURE,
        .added = now - 10,
        .ttl_end = now + 3590,
        .sig = f->sig,
        .n_sig = n,
    };
}

/* ---- one signature, valid or passed over ---- */

static const struct {
    const char *what;
    struct sig sig;
    int valid;
    const char *owner; /* "_443._tcp.example." */
} validity[] = {
    {"an ordinary one", {.alg = 8}, 1, NULL},
    {"inception is now", {.inception_now = 1}, 1, NULL},
    {"expires in a second", {.expiration = 1}, 1, NULL},
    {"owner and signer in different case", {.signer = "EXAMPLE."}, 1, "_443._TCP.Example."},
    {"signed by the root", {.signer = "."}, 1, NULL},
    {"inception in a second", {.inception = 1}, 0, NULL},
    {"expired a second ago", {.expiration = -1}, 0, NULL},
    {"expired before it began", {.inception = 10, .expiration = -10}, 0, NULL},
    {"began half the circle ago", {.inception = -INT64_C(0x80000000)}, 0, NULL},
    {"expires half the circle ahead", {.expiration = INT64_C(0x80000000)}, 0, NULL},
    {"covers another type", {.covered = KBV_TYPE_SRV}, 0, NULL},
    {"more labels than the owner", {.labels = 4}, 0, NULL},
    {"signer beside the owner", {.signer = "other."}, 0, NULL},
    {"signer below the owner", {.signer = "x._443._tcp.example."}, 0, NULL},
    {"no signature", {.cut = 4}, 0, NULL},
    {"signer without its root label", {.cut = 5}, 0, NULL},
    {"no signer", {.cut = 13}, 0, NULL},
    {"cut in the fixed part", {.cut = 14}, 0, NULL},
    {"one octet", {.cut = 30}, 0, NULL},
};

START_TEST(a_signature_is_valid_or_passed_over)
{
    struct fixture f;
    struct kbv_signatures out;
    int64_t end;

    fixture_make(&f, validity[_i].owner ? validity[_i].owner : "_443._tcp.example.",
                 &validity[_i].sig, 1, NOW);
    kbv_rrset_signatures(&f.rrset, NOW, &out);
    ck_assert_msg(out.any_valid == (validity[_i].valid == 1), "%s", validity[_i].what);
    ck_assert_msg(kbv_rrset_life(&f.rrset, NOW, &end) == out.any_valid, "%s", validity[_i].what);
    if (!out.any_valid)
        ck_assert_uint_eq(out.lowest_alg, 0);
}
END_TEST

START_TEST(expiration_is_exclusive)
{
    struct fixture f;
    struct kbv_signatures out;

    fixture_make(&f, "_443._tcp.example.", &(struct sig){.expiration = 50}, 1, NOW);
    kbv_rrset_signatures(&f.rrset, NOW + 49, &out);
    ck_assert(out.any_valid);
    kbv_rrset_signatures(&f.rrset, NOW + 50, &out);
    ck_assert(!out.any_valid);
}
END_TEST

START_TEST(the_valid_ones_are_summed_up)
{
    const struct sig sigs[] = {
        {.alg = 15, .ttl = 600, .expiration = 5000},
        {.alg = 13, .ttl = 7200, .expiration = 400},
        {.alg = 5, .ttl = 1, .expiration = -1},                 /* expired: says nothing */
        {.alg = 3, .ttl = 1, .expiration = 10, .inception = 5}, /* not yet: likewise */
    };
    static const int orders[][4] = {{0, 1, 2, 3}, {1, 3, 2, 0}}; /* a valid one first */
    struct sig ordered[4];
    struct fixture f;
    struct kbv_signatures out;

    for (int i = 0; i < 4; i++)
        ordered[i] = sigs[orders[_i][i]];
    fixture_make(&f, "_443._tcp.example.", ordered, 4, NOW);
    kbv_rrset_signatures(&f.rrset, NOW, &out);
    ck_assert(out.any_valid);
    ck_assert_int_eq(out.expires, NOW + 400);
    ck_assert_uint_eq(out.original_ttl, 600);
    ck_assert_uint_eq(out.lowest_alg, 13);
    ck_assert(!out.wildcard);
}
END_TEST

static const struct {
    const char *what;
    struct sig first;
} unproven[] = {
    {"it expired", {.alg = 13, .ttl = 600, .expiration = -1}},
    {"it is not valid yet", {.alg = 13, .ttl = 600, .expiration = 400, .inception = 5}},
};

START_TEST(another_signature_lends_no_dates_to_the_one_that_verified)
{
    const struct sig sigs[] = {unproven[_i].first, {.alg = 15, .ttl = 600, .expiration = 5000}};
    struct fixture f;
    struct kbv_signatures out;
    int64_t end;

    fixture_make(&f, "_443._tcp.example.", sigs, 2, NOW);
    kbv_rrset_signatures(&f.rrset, NOW, &out);
    ck_assert_msg(!out.any_valid && out.lowest_alg == 0, "%s", unproven[_i].what);
    ck_assert(!kbv_rrset_life(&f.rrset, NOW, &end));
}
END_TEST

START_TEST(time_goes_on_where_32_bits_end)
{
    const int64_t now = INT64_C(0x100000000) - 100;
    struct fixture f;
    struct kbv_signatures out;

    fixture_make(&f, "_443._tcp.example.", &(struct sig){.expiration = 200}, 1, now);
    kbv_rrset_signatures(&f.rrset, now, &out);
    ck_assert(out.any_valid);
    ck_assert_int_eq(out.expires, now + 200);
    kbv_rrset_signatures(&f.rrset, now + 150, &out);
    ck_assert_int_eq(out.expires, now + 200);
    kbv_rrset_signatures(&f.rrset, now + 200, &out);
    ck_assert(!out.any_valid);
}
END_TEST

/* ---- wildcards ---- */

static const struct {
    const char *owner;
    uint8_t labels;
    int wildcard;
} wildcards[] = {
    {"_443._tcp.example.", 3, 0}, {"_443._tcp.example.", 2, 1},
    {"_443._tcp.example.", 1, 1}, {"*.example.", 1, 0}, /* the wildcard itself, asked for by name */
    {"a.*.example.", 3, 0},       {"a.*.example.", 1, 1},
};

START_TEST(fewer_labels_mean_a_wildcard)
{
    struct fixture f;
    struct kbv_signatures out;

    fixture_make(&f, wildcards[_i].owner, &(struct sig){.labels = wildcards[_i].labels}, 1, NOW);
    kbv_rrset_signatures(&f.rrset, NOW, &out);
    ck_assert(out.any_valid);
    ck_assert_msg(out.wildcard == (wildcards[_i].wildcard == 1), "%s with %u labels",
                  wildcards[_i].owner, wildcards[_i].labels);
}
END_TEST

START_TEST(a_wildcard_below_the_root_has_no_labels)
{
    struct fixture f;
    struct kbv_signatures out;

    fixture_make(&f, "a.", &(struct sig){.no_labels = 1, .signer = "."}, 1, NOW);
    kbv_rrset_signatures(&f.rrset, NOW, &out);
    ck_assert(out.any_valid && out.wildcard);
}
END_TEST

/* ---- life ---- */

static const struct {
    const char *what;
    int64_t added, ttl_end; /* relative to now */
    struct sig sig;
    int64_t end; /* relative to now; 0: stale */
} lives[] = {
    {"the TTL ends first", 0, 300, {.ttl = 3600}, 300},
    {"the original TTL ends first", -100, 9000, {.ttl = 3600}, 3500},
    {"the signature ends first", 0, 3600, {.ttl = 3600, .expiration = 20}, 20},
    {"an original TTL of 0 counts as a second", 0, 60, {.ttl_zero = 1}, 1},
    {"a second later that one is over", -1, 60, {.ttl_zero = 1}, 0},
    {"the TTL ends now", -300, 0, {.ttl = 3600}, 0},
    {"the TTL ended", -300, -1, {.ttl = 3600}, 0},
    {"a long TTL on a signature with a shorter original TTL", -3600, 9000, {.ttl = 3600}, 0},
    {"expired signature, long TTL", 0, 9000, {.ttl = 3600, .expiration = -1}, 0},
};

START_TEST(life_is_the_earliest_end)
{
    struct fixture f;
    int64_t end = 12345;

    fixture_make(&f, "_443._tcp.example.", &lives[_i].sig, 1, NOW);
    f.rrset.added = NOW + lives[_i].added;
    f.rrset.ttl_end = NOW + lives[_i].ttl_end;
    ck_assert_msg(kbv_rrset_life(&f.rrset, NOW, &end) == (lives[_i].end != 0), "%s",
                  lives[_i].what);
    ck_assert_msg(end == (lives[_i].end != 0 ? NOW + lives[_i].end : 12345), "%s: %lld",
                  lives[_i].what, (long long)(end - NOW));
}
END_TEST

START_TEST(no_signature_is_stale)
{
    struct fixture f;
    int64_t end = 12345;

    fixture_make(&f, "_443._tcp.example.", NULL, 0, NOW);
    ck_assert(!kbv_rrset_life(&f.rrset, NOW, &end));
    ck_assert_int_eq(end, 12345);
}
END_TEST

START_TEST(an_owner_that_is_no_name_has_no_signatures)
{
    static const uint8_t compressed[] = {0xC0, 0x0C};
    struct fixture f;
    struct kbv_signatures out;

    fixture_make(&f, "_443._tcp.example.", &(struct sig){.alg = 13}, 1, NOW);
    f.rrset.owner = (struct kbv_slice){compressed, sizeof(compressed)};
    kbv_rrset_signatures(&f.rrset, NOW, &out);
    ck_assert(!out.any_valid);
    f.rrset.owner = (struct kbv_slice){NULL, 0};
    kbv_rrset_signatures(&f.rrset, NOW, &out);
    ck_assert(!out.any_valid);
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

int main(void)
{
    Suite *suite = suite_create("rrset");
    TCase *tcase = tcase_create("rrset");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, a_signature_is_valid_or_passed_over, 0, ROWS(validity));
    tcase_add_test(tcase, expiration_is_exclusive);
    tcase_add_loop_test(tcase, the_valid_ones_are_summed_up, 0, 2);
    tcase_add_loop_test(tcase, another_signature_lends_no_dates_to_the_one_that_verified, 0,
                        ROWS(unproven));
    tcase_add_test(tcase, time_goes_on_where_32_bits_end);
    tcase_add_loop_test(tcase, fewer_labels_mean_a_wildcard, 0, ROWS(wildcards));
    tcase_add_test(tcase, a_wildcard_below_the_root_has_no_labels);
    tcase_add_loop_test(tcase, life_is_the_earliest_end, 0, ROWS(lives));
    tcase_add_test(tcase, no_signature_is_stale);
    tcase_add_test(tcase, an_owner_that_is_no_name_has_no_signatures);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
