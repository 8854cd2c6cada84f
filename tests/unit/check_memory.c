/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The judgement of keys and chains without memory: each allocation in turn, ours and OpenSSL's,
 * fails alone, or fails and all after it. What comes of it is the verdict that it would have been,
 * or a failure (32-35); never another one, least of all BOUND. Leaks and worse are for the
 * sanitizers. Without an argument every seventh allocation; with one, every allocation.
 */
#include <check.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/pki.h"
#include "tests/unit/starve.h"

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

/* The libraries of the test itself allocate too. */
static void switch_on(bool on)
{
    starve_pause(!on);
}

/* From one allocation that fails to the next; odd, for allocations come in pairs. */
static unsigned long stride = 7;

/* ---- what is judged ---- */

enum { LEAF, LEAF_B, LEAF_WEAK, INTER, CA, B, N_CERTIFICATES };

static X509 *made[N_CERTIFICATES];
static struct kbv_dane *with_store;

static void make_certificates(void)
{
    EVP_PKEY *leaf = pki_key("P-256", 1), *inter = pki_key("P-256", 2), *ca = pki_key("P-256", 3),
             *b = pki_key("P-256", 4);

    made[CA] = pki_make(&(struct pki_spec){.subject = "CA", .key = ca, .ca = true});
    made[B] = pki_make(&(struct pki_spec){.subject = "B", .key = b, .ca = true});
    made[INTER] = pki_make(&(struct pki_spec){
        .subject = "Inter", .key = inter, .issuer = made[CA], .signer = ca, .ca = true});
    made[LEAF] = pki_make(&(struct pki_spec){.key = leaf,
                                             .issuer = made[INTER],
                                             .signer = inter,
                                             .san = "DNS:js.example",
                                             .eku = "serverAuth"});
    made[LEAF_B] = pki_make(
        &(struct pki_spec){.key = leaf, .issuer = made[B], .signer = b, .san = "DNS:ns.example"});
    made[LEAF_WEAK] = pki_make(&(struct pki_spec){
        .key = pki_key("RSA-1024", 1), .issuer = made[CA], .signer = ca, .san = "DNS:js.example"});
    with_store = pki_dane(&made[CA], 1);
}

static const struct {
    struct {
        int usage, selector, mtype, of;
    } records[3];
    int n_records;
    int chain[3], n_chain;
    enum kbv_material material;
    enum kbv_status status;
} cases[] = {
    {{{3, 1, 1, LEAF}}, 1, {LEAF}, 1, KBV_MATERIAL_SPKI, KBV_STATUS_BOUND},
    {{{3, 0, 2, LEAF}}, 1, {LEAF}, 1, KBV_MATERIAL_CERT, KBV_STATUS_BOUND},
    {{{3, 1, 1, LEAF_WEAK}}, 1, {LEAF_WEAK}, 1, KBV_MATERIAL_CERT, KBV_STATUS_DOWNGRADE},
    {{{3, 1, 1, B}}, 1, {LEAF}, 1, KBV_MATERIAL_CERT, KBV_STATUS_NOT_BOUND},
    {{{2, 0, 1, CA}}, 1, {LEAF, INTER, CA}, 3, KBV_MATERIAL_CHAIN, KBV_STATUS_BOUND},
    {{{2, 1, 0, CA}}, 1, {LEAF, INTER}, 2, KBV_MATERIAL_CHAIN, KBV_STATUS_BOUND},
    {{{2, 0, 0, CA}}, 1, {LEAF_WEAK}, 1, KBV_MATERIAL_CHAIN, KBV_STATUS_DOWNGRADE},
    {{{2, 0, 1, B}}, 1, {LEAF_B, B}, 2, KBV_MATERIAL_CHAIN, KBV_STATUS_NOT_BOUND},
    {{{2, 1, 0, B}}, 1, {LEAF, INTER}, 2, KBV_MATERIAL_CHAIN, KBV_STATUS_NOT_BOUND},
    {{{2, 1, 0, B}}, 1, {LEAF_B}, 1, KBV_MATERIAL_CERT, KBV_STATUS_UNDECIDED},
    {{{1, 1, 1, LEAF}}, 1, {LEAF, INTER}, 2, KBV_MATERIAL_CHAIN, KBV_STATUS_BOUND},
    {{{0, 0, 1, B}, {3, 1, 1, B}, {2, 0, 1, CA}},
     3,
     {LEAF, INTER, CA},
     3,
     KBV_MATERIAL_CHAIN,
     KBV_STATUS_BOUND},
};

/* The judgement of a case; *n (may be NULL): how many allocations it asked for. */
static enum kbv_status judge(int i, unsigned long fails_at, bool all_after, unsigned long *n)
{
    struct pki_trial t = {
        .material = cases[i].material, .dane = with_store, .pkix = true, .around = switch_on};

    for (int j = 0; j < cases[i].n_records; j++)
        pki_trial_add(&t, (uint8_t)cases[i].records[j].usage, (uint8_t)cases[i].records[j].selector,
                      (uint8_t)cases[i].records[j].mtype, made[cases[i].records[j].of]);
    for (int j = 0; j < cases[i].n_chain; j++)
        pki_trial_send(&t, made[cases[i].chain[j]]);
    starve_begin(fails_at, all_after);
    starve_pause(true); /* until the judgement itself begins */
    pki_trial_judge(&t);
    fails_at = starve_end();
    if (n != NULL)
        *n = fails_at;
    pki_trial_clear(&t);
    ERR_clear_error();
    return t.v.status;
}

START_TEST(an_allocation_that_fails_changes_no_verdict)
{
    unsigned long n, tried = 0, same = 0;

    ck_assert_int_eq(judge(_i, 0, false, NULL), cases[_i].status);
    /* What OpenSSL keeps it has by now. */
    ck_assert_int_eq(judge(_i, 0, false, &n), cases[_i].status);
    for (int all_after = 0; all_after < 2; all_after++) {
        for (unsigned long k = 1; k <= n; k += stride) {
            enum kbv_status status = judge(_i, k, all_after, NULL);

            tried++;
            same += status == cases[_i].status;
            ck_assert_msg(status == cases[_i].status || status >= KBV_STATUS_TEMPFAIL,
                          "case %d, allocation %lu of %lu%s: %s, not %s", _i, k, n,
                          all_after ? " and all after it" : "", kbv_status_name(status),
                          kbv_status_name(cases[_i].status));
        }
    }
    printf("# case %d: %lu allocations, %lu failures of them: %lu times %s all the same\n", _i, n,
           tried, same, kbv_status_name(cases[_i].status));
}
END_TEST

/* A verifier is whole, or there is none. */
START_TEST(a_verifier_is_made_whole_or_not_at_all)
{
    unsigned long n = 0;

    for (unsigned long k = 1; n == 0; k += stride) {
        struct kbv_dane *d;

        starve_begin(k, _i == 1);
        d = kbv_dane_create(NULL);
        if (starve_end() < k)
            n = k;
        ck_assert(d != NULL || n == 0);
        kbv_dane_delete(d);
        ERR_clear_error();
    }
    ck_assert_uint_gt(n, 10);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("memory");
    TCase *tcase = tcase_create("memory");
    SRunner *runner;
    int failed;

    (void)argv;
    if (argc > 1)
        stride = 1;
    if (!starve_init())
        return EXIT_FAILURE;
    runner = srunner_create(suite);
    suite_add_tcase(suite, tcase);
    tcase_set_timeout(tcase, 600);
    tcase_add_unchecked_fixture(tcase, make_certificates, NULL);
    tcase_add_loop_test(tcase, an_allocation_that_fails_changes_no_verdict, 0, ROWS(cases));
    tcase_add_loop_test(tcase, a_verifier_is_made_whole_or_not_at_all, 0, 2);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
