/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What other verifiers of DANE got wrong, and what CVEs taught: a test each, by name. The table of
 * docs/dane.md says whose mistake it was, and which other tests know more of them.
 */
#include <check.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/pki.h"

/* Rows say what is not zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

enum {
    BOUND = KBV_STATUS_BOUND,
    NOT_BOUND = KBV_STATUS_NOT_BOUND,
    UNUSABLE = KBV_STATUS_UNUSABLE,
    DOWNGRADE = KBV_STATUS_DOWNGRADE,
};

/* ---- who is there ---- */

static EVP_PKEY *leaf_key, *ca_key, *evil_key, *evil_ca_key;
static X509 *ca, *leaf, *evil_ca, *evil_leaf, *fake_ca, *fake_leaf;
static struct kbv_dane *with_store; /* of ca alone */

/* The victim's name and key id, another key. */
static X509 *make_impostor(void)
{
    X509 *x = pki_make(&(struct pki_spec){.subject = "CA", .key = evil_ca_key, .ca = true});
    int at = X509_get_ext_by_NID(ca, NID_subject_key_identifier, -1);

    ck_assert_int_ge(at, 0);
    ck_assert(X509_add_ext(x, X509_get_ext(ca, at), -1));
    ck_assert_int_gt(X509_sign(x, evil_ca_key, EVP_sha256()), 0);
    return x;
}

static void make_certificates(void)
{
    leaf_key = pki_key("P-256", 1);
    ca_key = pki_key("P-256", 2);
    evil_key = pki_key("P-256", 3);
    evil_ca_key = pki_key("P-256", 4);
    ca = pki_make(&(struct pki_spec){.subject = "CA", .key = ca_key, .ca = true, .key_ids = true});
    leaf = pki_make(&(struct pki_spec){
        .key = leaf_key, .issuer = ca, .signer = ca_key, .san = "DNS:js.example", .key_ids = true});
    evil_ca = pki_make(&(struct pki_spec){.subject = "Evil", .key = evil_ca_key, .ca = true});
    evil_leaf = pki_make(&(struct pki_spec){
        .key = evil_key, .issuer = evil_ca, .signer = evil_ca_key, .san = "DNS:js.example"});
    fake_ca = make_impostor();
    fake_leaf = pki_make(&(struct pki_spec){.key = evil_key,
                                            .issuer = fake_ca,
                                            .signer = evil_ca_key,
                                            .san = "DNS:js.example",
                                            .key_ids = true});
    with_store = pki_dane(&ca, 1);
}

#define CHAIN(...) ((X509 *[]){__VA_ARGS__, NULL})

static void send_all(struct pki_trial *t, X509 *const *chain)
{
    for (; *chain != NULL; chain++)
        pki_trial_send(t, *chain);
}

/* One record of usage 2 for of, in each form; the status is expected of all. */
static void expect_of_anchor(X509 *of, X509 *const *chain, int expected)
{
    for (uint8_t selector = 0; selector <= 1; selector++) {
        for (uint8_t mtype = 0; mtype <= 2; mtype++) {
            struct pki_trial t = {.dane = NULL};

            pki_trial_add(&t, 2, selector, mtype, of);
            send_all(&t, chain);
            pki_trial_judge(&t);
            ck_assert_msg((int)t.v.status == expected, "2 %u %u: %s (%s)", selector, mtype,
                          kbv_status_name(t.v.status), t.reason);
            pki_trial_clear(&t);
        }
    }
}

/* ---- anchors ---- */

/* GnuTLS libdane, Stalwart: the victim's CA is public, anybody can send it. */
START_TEST(an_anchor_in_the_list_that_signed_nothing_is_no_anchor)
{
    expect_of_anchor(ca, CHAIN(evil_leaf, evil_ca, ca), NOT_BOUND);
    expect_of_anchor(ca, CHAIN(evil_leaf, ca, evil_ca), NOT_BOUND);
    expect_of_anchor(ca, CHAIN(evil_leaf, ca), NOT_BOUND);
    expect_of_anchor(ca, CHAIN(evil_leaf, evil_ca, leaf, ca), NOT_BOUND);
    expect_of_anchor(ca, CHAIN(leaf, evil_ca, ca), BOUND);
}
END_TEST

START_TEST(a_fake_ca_of_the_same_name_and_key_id_is_no_anchor)
{
    expect_of_anchor(ca, CHAIN(fake_leaf, fake_ca, ca), NOT_BOUND);
    expect_of_anchor(ca, CHAIN(fake_leaf, ca, fake_ca), NOT_BOUND);
    expect_of_anchor(ca, CHAIN(fake_leaf, ca), NOT_BOUND);
    expect_of_anchor(ca, CHAIN(fake_leaf, fake_ca), NOT_BOUND);
    expect_of_anchor(ca, CHAIN(leaf, ca, fake_ca), BOUND);
    expect_of_anchor(fake_ca, CHAIN(fake_leaf, fake_ca), BOUND);
}
END_TEST

/* MiniDNS. */
START_TEST(an_end_entity_is_not_its_own_anchor)
{
    X509 *self = pki_make(&(struct pki_spec){
        .subject = "self", .key = leaf_key, .san = "DNS:js.example", .ca = true});

    expect_of_anchor(leaf, CHAIN(leaf, ca), NOT_BOUND);
    expect_of_anchor(leaf, CHAIN(leaf), NOT_BOUND);
    expect_of_anchor(self, CHAIN(self), NOT_BOUND);
    expect_of_anchor(self, CHAIN(self, self), NOT_BOUND);
    X509_free(self);
}
END_TEST

/* mox looked no higher than depth 1. */
START_TEST(an_anchor_may_stand_at_any_depth)
{
    X509 *path[KBV_CHAIN_MAX + 1] = {NULL};

    for (int i = KBV_CHAIN_MAX - 1; i >= 0; i--) {
        const bool top = i == KBV_CHAIN_MAX - 1;
        char name[16];

        snprintf(name, sizeof(name), "CA %d", i);
        path[i] = pki_make(&(struct pki_spec){
            .subject = i == 0 ? NULL : name,
            .key = pki_key("P-256", 20U + (unsigned)i),
            .issuer = top ? NULL : path[i + 1],
            .signer = top ? NULL : pki_key("P-256", 21U + (unsigned)i),
            .san = i == 0 ? "DNS:js.example" : NULL,
            .ca = i != 0,
        });
    }
    for (int i = 1; i < KBV_CHAIN_MAX; i++)
        expect_of_anchor(path[i], path, BOUND);
    expect_of_anchor(path[0], path, NOT_BOUND);
    for (int i = 0; i < KBV_CHAIN_MAX; i++)
        X509_free(path[i]);
}
END_TEST

/* Exim 2311. */
START_TEST(a_private_anchor_needs_no_public_ca)
{
    for (int pkix = 0; pkix < 2; pkix++) {
        struct pki_trial t = {.dane = pkix ? with_store : NULL, .pkix = pkix != 0};

        pki_trial_add(&t, 2, 0, 1, evil_ca);
        send_all(&t, CHAIN(evil_leaf, evil_ca));
        ck_assert_int_eq(pki_trial_judge(&t), BOUND);
        pki_trial_clear(&t);
    }
}
END_TEST

/* libdane left the checks of PKIX out. */
START_TEST(usages_0_and_1_need_a_path_to_the_store)
{
    static const struct {
        uint8_t usage, selector;
    } records[] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}};

    for (int i = 0; i < 8; i++) {
        const bool evil = i & 1;
        const uint8_t usage = records[i / 2].usage;
        struct pki_trial t = {.dane = with_store, .pkix = true};

        pki_trial_add(&t, usage, records[i / 2].selector, 1,
                      usage == 1 ? (evil ? evil_leaf : leaf) : (evil ? evil_ca : ca));
        send_all(&t, evil ? CHAIN(evil_leaf, evil_ca, ca) : CHAIN(leaf, ca));
        ck_assert_int_eq((int)pki_trial_judge(&t), evil ? NOT_BOUND : BOUND);
        pki_trial_clear(&t);
    }
}
END_TEST

/* shuque/dane #3. */
START_TEST(usage_3_knows_no_dates)
{
    static const int64_t from[] = {-20 * PKI_DAY, 10 * PKI_DAY};

    for (int i = 0; i < 2; i++) {
        X509 *x = pki_make(&(struct pki_spec){
            .subject = "x", .key = leaf_key, .from = from[i], .to = from[i] + PKI_DAY});
        struct pki_trial t = {.dane = NULL};

        pki_trial_add(&t, 3, 0, 1, x);
        pki_trial_send(&t, x);
        ck_assert_int_eq(pki_trial_judge(&t), BOUND);
        ck_assert_uint_eq(t.v.not_after - t.v.issued, 3600);
        pki_trial_clear(&t);
        X509_free(x);
    }
}
END_TEST

/* ---- records ---- */

/* ldns: what cannot be read sinks the rest. */
START_TEST(a_malformed_record_is_left_out_alone)
{
    for (int good = 0; good < 2; good++) {
        struct pki_trial t = {.dane = NULL};

        for (uint8_t usage = 0; usage < 5; usage++)
            for (uint8_t selector = 0; selector < 3; selector++)
                for (uint8_t mtype = 0; mtype < 4; mtype++)
                    pki_trial_add_octets(&t, usage, selector, mtype, (const uint8_t *)"\0\1", 2);
        if (good)
            pki_trial_add(&t, 2, 0, 1, ca);
        send_all(&t, CHAIN(leaf, ca));
        ck_assert_int_eq((int)pki_trial_judge(&t), good ? BOUND : UNUSABLE);
        pki_trial_clear(&t);
    }
}
END_TEST

/* libdane took it for a mismatch. */
START_TEST(a_digest_of_the_wrong_length_is_unusable_and_no_mismatch)
{
    static const size_t lengths[] = {0, 1, 20, 31, 33, 48, 63, 65, 128};
    static const uint8_t octets[128];

    for (uint8_t usage = 2; usage <= 3; usage++) {
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            struct pki_trial t = {.dane = NULL};

            pki_trial_add_octets(&t, usage, 1, 1, octets, lengths[i]);
            pki_trial_add_octets(&t, usage, 1, 2, octets, lengths[i]);
            pki_trial_add_octets(&t, usage, 0, 1, octets, 64);
            pki_trial_add_octets(&t, usage, 0, 2, octets, 32);
            send_all(&t, CHAIN(leaf, ca));
            ck_assert_int_eq((int)pki_trial_judge(&t), UNUSABLE);
            pki_trial_clear(&t);
        }
    }
}
END_TEST

/* CVE-2013-4466, CVE-2013-4487: libdane wrote behind its array of four; a later one stopped at a
 * hundred and said nothing. The match may stand anywhere. */
START_TEST(every_record_of_many_is_read)
{
    static const size_t counts[] = {1, 2, 3, 4, 5, 16, 63, 64};
    const size_t n = counts[_i % 8];
    const uint8_t usage = _i < 8 ? 2 : 3;

    for (size_t match = 0; match <= n; match++) { /* n: nowhere */
        struct pki_trial t = {.dane = NULL};
        uint8_t other[32] = {0};

        for (size_t i = 0; i < n; i++) {
            other[0] = (uint8_t)(4 * i); /* so that the match is somewhere in their order */
            if (i == match)
                pki_trial_add(&t, usage, 0, 1, usage == 2 ? ca : leaf);
            else
                pki_trial_add_octets(&t, usage, 0, 1, other, sizeof(other));
        }
        send_all(&t, CHAIN(leaf, ca));
        ck_assert_int_eq((int)pki_trial_judge(&t), match < n ? BOUND : NOT_BOUND);
        pki_trial_clear(&t);
    }
}
END_TEST

/* ---- what one verification leaves to the next (for the sanitizers, too) ---- */

/* Postfix: certificates of the records stayed behind. */
START_TEST(no_anchor_of_one_question_is_left_for_the_next)
{
    for (int turn = 0; turn < 6; turn++) {
        struct pki_trial t = {.dane = with_store, .pkix = true};
        const bool with_evil = turn % 2 == 0;

        pki_trial_add(&t, 2, 0, 0, with_evil ? evil_ca : ca);
        pki_trial_add(&t, 2, 0, 0, with_evil ? fake_ca : leaf);
        pki_trial_add(&t, 0, 0, 0, ca);
        send_all(&t, CHAIN(evil_leaf));
        ck_assert_int_eq((int)pki_trial_judge(&t), with_evil ? BOUND : NOT_BOUND);
        pki_trial_clear(&t);
    }
}
END_TEST

/* OpenSSL 3.2.0: `3 0 0` and `1 0 0` were freed twice. */
START_TEST(a_certificate_in_a_record_is_freed_once)
{
    for (int turn = 0; turn < 8; turn++) {
        struct pki_trial t = {.dane = with_store, .pkix = true};
        const uint8_t usage = turn % 2 == 0 ? 3 : 1;

        pki_trial_add(&t, usage, 0, 0, turn < 4 ? leaf : evil_leaf);
        pki_trial_add(&t, usage, 0, 0, ca);
        send_all(&t, CHAIN(leaf, ca));
        ck_assert_int_eq((int)pki_trial_judge(&t), turn < 4 ? BOUND : NOT_BOUND);
        pki_trial_clear(&t);
    }
}
END_TEST

/* CVE-2026-28387: a match of usage 1 and then one of usage 2, twice. */
START_TEST(cve_2026_28387_a_match_of_usage_1_beside_one_of_usage_2)
{
    for (int turn = 0; turn < 2 * 36; turn++) {
        struct pki_trial t = {.dane = with_store, .pkix = true};
        const int form = turn / 2;

        pki_trial_add(&t, 1, (uint8_t)(form % 2), (uint8_t)(form / 2 % 3), leaf);
        pki_trial_add(&t, 2, (uint8_t)(form / 6 % 2), (uint8_t)(form / 12), ca);
        send_all(&t, CHAIN(leaf, ca));
        ck_assert_int_eq(pki_trial_judge(&t), BOUND);
        ck_assert_uint_eq(t.v.match.usage, 1);
        pki_trial_clear(&t);
    }
}
END_TEST

/* ---- certificates ---- */

/* CVE-2022-3602, CVE-2022-3786: a mail address in a CA's constraints, spelt in punycode, was
 * written beyond its buffer once it was held against a mailbox in UTF-8. */
START_TEST(cve_2022_3602_punycode_in_name_constraints)
{
    static char constraints[5][2048];

    snprintf(constraints[0], sizeof(constraints[0]), "permitted;email:js.example");
    /* More code points than there is room for; */
    memset(constraints[1], 'a', 900);
    memcpy(constraints[1], "permitted;email:xn--", 20);
    /* the limit itself: 512 of four octets and one more; */
    memset(constraints[2], 'b', 20 + 513);
    memcpy(constraints[2], "permitted;email:xn--", 20);
    memcpy(constraints[2] + 20 + 512, "-abc", 4);
    /* dots alone; */
    memset(constraints[3], '.', 700);
    memcpy(constraints[3], "permitted;email:xn--a.", 22);
    /* and no punycode at all. */
    snprintf(constraints[4], sizeof(constraints[4]), "permitted;email:xn--99999999999-.js.example");

    for (int i = 0; i < 5; i++) {
        struct pki_trial t = {.dane = NULL};
        X509 *narrow = pki_make(&(struct pki_spec){.subject = "Narrow",
                                                   .key = evil_ca_key,
                                                   .issuer = ca,
                                                   .signer = ca_key,
                                                   .ca = true,
                                                   .constraints = constraints[i]});
        X509 *x = pki_make(&(struct pki_spec){
            .key = leaf_key,
            .issuer = narrow,
            .signer = evil_ca_key,
            .san = "DNS:js.example,otherName:1.3.6.1.5.5.7.8.9;UTF8:x@js.example"});

        pki_trial_add(&t, 2, 0, 1, ca);
        send_all(&t, CHAIN(x, narrow, ca));
        pki_trial_judge(&t);
        /* Of some OpenSSL says no more than that it could not. */
        ck_assert_msg(i == 0
                          ? t.v.status == KBV_STATUS_BOUND
                          : t.v.status == KBV_STATUS_NOT_BOUND || t.v.status == KBV_STATUS_TEMPFAIL,
                      "%d: %s (%s)", i, kbv_status_name(t.v.status), t.reason);
        pki_trial_clear(&t);
        X509_free(narrow);
        X509_free(x);
    }
}
END_TEST

/* CVE-2024-6119: a name that is none of the kinds expected was read as one, and OpenSSL crashed. */
START_TEST(cve_2024_6119_an_other_name_is_no_name)
{
    static const char *const sans[] = {
        "otherName:1.3.6.1.5.5.7.8.9;UTF8:js.example",
        "otherName:1.3.6.1.5.5.7.8.9;UTF8:x@js.example,DNS:js.example",
        "otherName:1.3.6.1.5.5.7.8.7;IA5STRING:js.example",
        "otherName:1.2.3.4;INTEGER:1",
        "otherName:1.2.3.4;BOOLEAN:TRUE,DNS:js.example",
        "otherName:1.2.3.4;NULL,email:x@js.example,URI:https://js.example/",
    };

    for (size_t i = 0; i < sizeof(sans) / sizeof(sans[0]); i++) {
        struct pki_trial t = {.dane = NULL};
        X509 *x = pki_make(
            &(struct pki_spec){.key = leaf_key, .issuer = ca, .signer = ca_key, .san = sans[i]});

        pki_trial_add(&t, 2, 0, 1, ca);
        send_all(&t, CHAIN(x, ca));
        ck_assert_int_eq((int)pki_trial_judge(&t),
                         strstr(sans[i], "DNS:") != NULL ? BOUND : NOT_BOUND);
        pki_trial_clear(&t);
        X509_free(x);
    }
}
END_TEST

/* Parameters of a curve modulo 697 = 17 * 41, which is no prime, and a point of it that is
 * compressed: to OpenSSL 3.0.1 a square root without end. ECParameters of RFC 3279 section 2.3.5.
 */
static const uint8_t endless_curve[] = {
    0x30, 0x25, 0x02, 0x01, 0x01,                                     /* version 1 */
    0x30, 0x0D, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x01, 0x01, /* prime-field */
    0x02, 0x02, 0x02, 0xB9,                                           /* 697 */
    0x30, 0x08, 0x04, 0x02, 0x00, 0x01, 0x04, 0x02, 0x02, 0xB8,       /* x^3 + x + 696 */
    0x04, 0x03, 0x02, 0x00, 0x00,                                     /* x = 0 */
    0x02, 0x02, 0x02, 0xB9,                                           /* order */
};

static X509 *with_endless_curve(struct pki_spec *spec)
{
    X509 *x = pki_make(spec);
    ASN1_STRING *parameters = ASN1_STRING_new();
    uint8_t *point = OPENSSL_memdup("\x02\x00\x00", 3);

    ck_assert(ASN1_STRING_set(parameters, endless_curve, sizeof(endless_curve)));
    ck_assert(X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(x), OBJ_nid2obj(NID_X9_62_id_ecPublicKey),
                                     V_ASN1_SEQUENCE, parameters, point, 3));
    ck_assert_int_gt(X509_sign(x, spec->signer, EVP_sha256()), 0);
    ERR_clear_error();
    return x;
}

/* CVE-2022-0778. What has no end is ended by the time-out of this test. */
START_TEST(cve_2022_0778_explicit_curve_parameters)
{
    struct pki_spec spec = {
        .key = leaf_key, .issuer = ca, .signer = ca_key, .san = "DNS:js.example"};
    X509 *x = with_endless_curve(&spec), *x_ca, *below;

    spec = (struct pki_spec){
        .subject = "Endless", .key = evil_ca_key, .issuer = ca, .signer = ca_key, .ca = true};
    x_ca = with_endless_curve(&spec);
    spec = (struct pki_spec){
        .key = leaf_key, .issuer = x_ca, .signer = evil_ca_key, .san = "DNS:js.example"};
    below = pki_make(&spec);
    for (int level = -1; level <= 2; level += 3) {
        static const enum kbv_material materials[] = {KBV_MATERIAL_SPKI, KBV_MATERIAL_CERT,
                                                      KBV_MATERIAL_CHAIN};
        struct pki_trial path = {.level = level}, above = {.level = level};

        for (int i = 0; i < 3; i++) { /* the key matches */
            struct pki_trial t = {.level = level, .material = materials[i]};

            pki_trial_add(&t, 3, 1, 1, x);
            send_all(&t, CHAIN(x));
            ck_assert_int_eq((int)pki_trial_judge(&t), DOWNGRADE);
            pki_trial_clear(&t);
        }
        pki_trial_add(&path, 2, 0, 1, ca); /* a path leads to it */
        send_all(&path, CHAIN(x, ca));
        ck_assert_int_ne((int)pki_trial_judge(&path), BOUND);
        pki_trial_clear(&path);
        pki_trial_add(&above, 2, 0, 1, x_ca); /* it is to verify a signature */
        send_all(&above, CHAIN(below, x_ca, ca));
        ck_assert_int_eq((int)pki_trial_judge(&above), NOT_BOUND);
        pki_trial_clear(&above);
    }
    X509_free(x);
    X509_free(x_ca);
    X509_free(below);
    ERR_clear_error();
}
END_TEST

/* CVE-2024-12797: a raw public key that matched nothing went through, as nobody asked. */
START_TEST(cve_2024_12797_a_raw_key_that_differs_is_not_bound)
{
    for (uint8_t mtype = 0; mtype <= 2; mtype++) {
        for (int evil = 0; evil < 2; evil++) {
            struct pki_trial t = {.material = KBV_MATERIAL_SPKI};

            pki_trial_add(&t, 3, 1, mtype, leaf);
            pki_trial_send(&t, evil ? evil_leaf : leaf);
            ck_assert_int_eq((int)pki_trial_judge(&t), evil ? NOT_BOUND : BOUND);
            pki_trial_clear(&t);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mistakes");
    TCase *tcase = tcase_create("mistakes");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tcase);
    tcase_set_timeout(tcase, 60);
    tcase_add_unchecked_fixture(tcase, make_certificates, NULL);
    tcase_add_test(tcase, an_anchor_in_the_list_that_signed_nothing_is_no_anchor);
    tcase_add_test(tcase, a_fake_ca_of_the_same_name_and_key_id_is_no_anchor);
    tcase_add_test(tcase, an_end_entity_is_not_its_own_anchor);
    tcase_add_test(tcase, an_anchor_may_stand_at_any_depth);
    tcase_add_test(tcase, a_private_anchor_needs_no_public_ca);
    tcase_add_test(tcase, usages_0_and_1_need_a_path_to_the_store);
    tcase_add_test(tcase, usage_3_knows_no_dates);
    tcase_add_test(tcase, a_malformed_record_is_left_out_alone);
    tcase_add_test(tcase, a_digest_of_the_wrong_length_is_unusable_and_no_mismatch);
    tcase_add_loop_test(tcase, every_record_of_many_is_read, 0, 16);
    tcase_add_test(tcase, no_anchor_of_one_question_is_left_for_the_next);
    tcase_add_test(tcase, a_certificate_in_a_record_is_freed_once);
    tcase_add_test(tcase, cve_2026_28387_a_match_of_usage_1_beside_one_of_usage_2);
    tcase_add_test(tcase, cve_2022_3602_punycode_in_name_constraints);
    tcase_add_test(tcase, cve_2024_6119_an_other_name_is_no_name);
    tcase_add_test(tcase, cve_2022_0778_explicit_curve_parameters);
    tcase_add_test(tcase, cve_2024_12797_a_raw_key_that_differs_is_not_bound);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
