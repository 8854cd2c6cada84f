/* SPDX-License-Identifier: BSD-3-Clause */
/* The request form of the EDNS option. */
#include <kbv/request.h>

#include <openssl/sha.h>

#include "tests/unit/vectors.h"

static struct vectors vectors;

static void setup(void)
{
    vectors_read(&vectors, "requests.txt");
}

static void teardown(void)
{
    vectors_free(&vectors);
}

START_TEST(vectors_are_accepted_or_refused)
{
    for (size_t i = 0; i < vectors.n; i++) {
        const struct vector *v = &vectors.v[i];
        struct kbv_request r = {.flags = 99};
        uint8_t again[20000];
        size_t len;
        enum kbv_err err = kbv_request_decode(&r, v->octets, v->len);

        ck_assert_msg(err == (v->accept ? KBV_OK : KBV_ERR_FORMAT), "%s: %d", v->name, err);
        if (!v->accept) {
            ck_assert_msg(r.flags == 99, "%s: set in spite of an error", v->name);
            continue;
        }
        ck_assert_msg(kbv_request_encode(&r, again, sizeof(again), &len) == KBV_OK, "%s", v->name);
        ck_assert_msg(len == v->len && memcmp(again, v->octets, len) == 0, "%s", v->name);
    }
}
END_TEST

/* The octet after i to be tried: all at both ends, every 61st in the long middle of a chain. */
static size_t after(size_t i, size_t len)
{
    return i < 150 || i + 211 > len ? i + 1 : i + 61;
}

START_TEST(every_truncation_is_refused)
{
    for (size_t i = 0; i < vectors.n; i++) {
        const struct vector *v = &vectors.v[i];

        for (size_t len = 0; v->accept && len < v->len; len = after(len, v->len)) {
            struct kbv_request r;
            uint8_t *cut = malloc(len ? len : 1);

            ck_assert_ptr_nonnull(cut);
            memcpy(cut, v->octets, len);
            ck_assert_msg(kbv_request_decode(&r, cut, len) == KBV_ERR_FORMAT, "%s, %zu octets",
                          v->name, len);
            free(cut);
        }
    }
}
END_TEST

START_TEST(every_flipped_bit_is_refused_or_kept)
{
    for (size_t i = 0; i < vectors.n; i++) {
        const struct vector *v = &vectors.v[i];

        for (size_t bit = 0; v->accept && bit < 8 * v->len;
             bit = bit % 8 < 7 ? bit + 1 : 8 * after(bit / 8, v->len)) {
            struct kbv_request r;
            uint8_t again[20000];
            size_t len;

            v->octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
            if (kbv_request_decode(&r, v->octets, v->len) == KBV_OK) {
                ck_assert_int_eq(kbv_request_encode(&r, again, sizeof(again), &len), KBV_OK);
                ck_assert_msg(len == v->len && memcmp(again, v->octets, len) == 0,
                              "%s, bit %zu of octet %zu", v->name, bit % 8, bit / 8);
            }
            v->octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}
END_TEST

START_TEST(fields_are_read)
{
    const struct vector *v = vectors_find(&vectors, "spki-sha256-nonce-8");
    struct kbv_request r;

    ck_assert_int_eq(kbv_request_decode(&r, v->octets, v->len), KBV_OK);
    ck_assert_uint_eq(r.flags, 0);
    ck_assert_int_eq(r.kind, KBV_MATERIAL_SPKI_SHA256);
    ck_assert_uint_eq(r.nonce.len, 8);
    ck_assert_ptr_eq(r.nonce.p, v->octets + 4);
    ck_assert_uint_eq(r.material.len, 32);
    ck_assert_ptr_eq(r.material.p, v->octets + 14);

    v = vectors_find(&vectors, "none");
    ck_assert_int_eq(kbv_request_decode(&r, v->octets, v->len), KBV_OK);
    ck_assert_ptr_null(r.nonce.p);
    ck_assert_ptr_null(r.material.p);

    v = vectors_find(&vectors, "none-sign-nonce");
    ck_assert_int_eq(kbv_request_decode(&r, v->octets, v->len), KBV_OK);
    ck_assert_uint_eq(r.flags, KBV_REQUEST_SIGN);
}
END_TEST

static const uint8_t octets[64];

static const struct kbv_request unsound[] = {
    {.flags = 2},
    {.kind = 6},
    {.kind = (enum kbv_material)0x101},
    {.nonce = {octets, 7}},
    {.nonce = {octets, 17}},
    {.nonce = {NULL, 8}},
    {.material = {octets, 1}},
    {.kind = KBV_MATERIAL_SPKI_SHA256},
    {.kind = KBV_MATERIAL_SPKI_SHA256, .material = {NULL, 32}},
    {.kind = KBV_MATERIAL_SPKI_SHA256, .material = {octets, 31}},
    {.kind = KBV_MATERIAL_CERT_SHA256, .material = {octets, 33}},
    {.kind = KBV_MATERIAL_SPKI, .material = {octets, 0}},
    {.kind = KBV_MATERIAL_CHAIN, .material = {octets, 2}},
};

START_TEST(encoder_refuses_what_the_decoder_would)
{
    uint8_t out[128];
    size_t len = 99;

    ck_assert_int_eq(kbv_request_encode(&unsound[_i], out, sizeof(out), &len), KBV_ERR_FORMAT);
    ck_assert_uint_eq(len, 99);
}
END_TEST

START_TEST(encoder_stays_within_its_storage)
{
    struct kbv_request r = {.kind = KBV_MATERIAL_SPKI_SHA256, .material = {octets, 32}};
    size_t len = 99;

    for (size_t cap = 0; cap <= 38; cap++) {
        uint8_t *out = malloc(cap ? cap : 1);

        ck_assert_ptr_nonnull(out);
        ck_assert_int_eq(kbv_request_encode(&r, out, cap, &len), cap < 38 ? KBV_ERR_SPACE : KBV_OK);
        ck_assert_uint_eq(len, cap < 38 ? 99 : 38);
        free(out);
    }
}
END_TEST

START_TEST(digest_of_nothing_is_known)
{
    uint8_t digest[32];

    SHA256((const uint8_t *)"", 0, digest);
    ck_assert(kbv_digest_of_nothing(digest));
    digest[31] ^= 1;
    ck_assert(!kbv_digest_of_nothing(digest));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("request");
    TCase *c = tcase_create("request");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, c);
    tcase_set_timeout(c, 60);
    tcase_add_unchecked_fixture(c, setup, teardown);
    tcase_add_test(c, vectors_are_accepted_or_refused);
    tcase_add_test(c, every_truncation_is_refused);
    tcase_add_test(c, every_flipped_bit_is_refused_or_kept);
    tcase_add_test(c, fields_are_read);
    tcase_add_loop_test(c, encoder_refuses_what_the_decoder_would, 0,
                        sizeof(unsound) / sizeof(*unsound));
    tcase_add_test(c, encoder_stays_within_its_storage);
    tcase_add_test(c, digest_of_nothing_is_known);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
