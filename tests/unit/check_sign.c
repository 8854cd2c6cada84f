/* SPDX-License-Identifier: BSD-3-Clause */
/* Signatures of verdicts, on the golden vectors and on keys made here. */
#include <kbv/sign.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "tests/unit/vectors.h"

/* RFC 8032 section 7.1, TEST 1: the key of the vectors. */
static const struct kbv_verdict_key test_1 = {{0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7,
                                               0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
                                               0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25,
                                               0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a}};
static const struct kbv_verdict_key other = {{1, 2, 3}};

static struct vectors vectors;

static void setup(void)
{
    vectors_read(&vectors, "verdicts.txt");
}

static void teardown(void)
{
    vectors_free(&vectors);
}

static enum kbv_signature verify_octets(const uint8_t *octets, size_t len,
                                        const struct kbv_verdict_key *keys, size_t n)
{
    struct kbv_verdict v;

    ck_assert_int_eq(kbv_verdict_decode(&v, octets, len), KBV_OK);
    return kbv_verdict_verify(&v, keys, n);
}

static const char *const signed_vectors[] = {"published-signed", "bound-nonce-signed"};

START_TEST(signed_vectors_verify_under_their_key)
{
    const struct vector *v = vectors_find(&vectors, signed_vectors[_i]);
    const struct kbv_verdict_key keys[] = {other, test_1, other};

    ck_assert_int_eq(verify_octets(v->octets, v->len, &test_1, 1), KBV_SIGNATURE_VALID);
    ck_assert_int_eq(verify_octets(v->octets, v->len, keys, 3), KBV_SIGNATURE_VALID);
    ck_assert_int_eq(verify_octets(v->octets, v->len, &other, 1), KBV_SIGNATURE_UNKNOWN_KEY);
    ck_assert_int_eq(verify_octets(v->octets, v->len, NULL, 0), KBV_SIGNATURE_UNKNOWN_KEY);
}
END_TEST

START_TEST(every_flipped_bit_breaks_the_signature)
{
    const struct vector *vector = vectors_find(&vectors, signed_vectors[_i]);

    for (size_t bit = 0; bit < 8 * vector->len; bit++) {
        struct kbv_verdict v;

        vector->octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (kbv_verdict_decode(&v, vector->octets, vector->len) == KBV_OK)
            ck_assert_msg(kbv_verdict_verify(&v, &test_1, 1) != KBV_SIGNATURE_VALID,
                          "bit %zu of octet %zu", bit % 8, bit / 8);
        vector->octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}
END_TEST

START_TEST(unsigned_vectors_have_no_signature)
{
    for (size_t i = 0; i < vectors.n; i++) {
        struct kbv_verdict v;

        if (vectors.v[i].accept &&
            kbv_verdict_decode(&v, vectors.v[i].octets, vectors.v[i].len) == KBV_OK && v.auth == 0)
            ck_assert_msg(kbv_verdict_verify(&v, &test_1, 1) == KBV_SIGNATURE_ABSENT, "%s",
                          vectors.v[i].name);
    }
}
END_TEST

/* A verdict's octets before the signature, signed with a context before them. */
static size_t sign(const uint8_t *octets, size_t len, const char *context, size_t context_len,
                   const uint8_t secret[32], uint8_t *out)
{
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, 32);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t message[1024];
    size_t signature_len = 64;

    memcpy(message, context, context_len);
    memcpy(message + context_len, octets, len);
    memcpy(out, octets, len);
    ck_assert_int_eq(EVP_DigestSignInit(ctx, NULL, NULL, NULL, key), 1);
    ck_assert_int_eq(EVP_DigestSign(ctx, out + len, &signature_len, message, context_len + len), 1);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return len + signature_len;
}

static struct kbv_verdict_key public_of(const uint8_t secret[32])
{
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, 32);
    struct kbv_verdict_key public;
    size_t len = sizeof(public.octets);

    ck_assert_int_eq(EVP_PKEY_get_raw_public_key(key, public.octets, &len), 1);
    EVP_PKEY_free(key);
    return public;
}

START_TEST(what_is_signed_is_context_and_verdict)
{
    static const uint8_t secret[32] = {9}, another[32] = {8};
    const struct kbv_verdict_key key = public_of(secret);
    const struct vector *v = vectors_find(&vectors, "published-signed");
    uint8_t unsigned_octets[512], out[600];
    size_t len = v->len - 64;

    memcpy(unsigned_octets, v->octets, len);
    kbv_key_id(key.octets, unsigned_octets + len - 4);
    len = sign(unsigned_octets, v->len - 64, "lorawan-kbv-v1", 15, secret, out);
    ck_assert_int_eq(verify_octets(out, len, &key, 1), KBV_SIGNATURE_VALID);
    len = sign(unsigned_octets, v->len - 64, "lorawan-kbv-v1", 14, secret, out);
    ck_assert_int_eq(verify_octets(out, len, &key, 1), KBV_SIGNATURE_WRONG);
    len = sign(unsigned_octets, v->len - 64, "lorawan-kbv-v2", 15, secret, out);
    ck_assert_int_eq(verify_octets(out, len, &key, 1), KBV_SIGNATURE_WRONG);
    len = sign(unsigned_octets, v->len - 64, "", 0, secret, out);
    ck_assert_int_eq(verify_octets(out, len, &key, 1), KBV_SIGNATURE_WRONG);
    /* The key id names a key and does not make one. */
    len = sign(unsigned_octets, v->len - 64, "lorawan-kbv-v1", 15, another, out);
    ck_assert_int_eq(verify_octets(out, len, &key, 1), KBV_SIGNATURE_WRONG);
}
END_TEST

START_TEST(a_verdict_that_was_not_decoded_has_no_signature)
{
    struct kbv_verdict v = {0};

    ck_assert_int_eq(kbv_verdict_verify(&v, &test_1, 1), KBV_SIGNATURE_ABSENT);
    v.auth = 1;
    ck_assert_int_eq(kbv_verdict_verify(&v, &test_1, 1), KBV_SIGNATURE_ABSENT);
    ck_assert_int_eq(KBV_SIGNATURE_NOT_CHECKED, 0);
}
END_TEST

START_TEST(key_id_is_the_beginning_of_the_digest)
{
    uint8_t digest[32], id[KBV_KEY_ID_LEN];

    SHA256(test_1.octets, 32, digest);
    kbv_key_id(test_1.octets, id);
    ck_assert_mem_eq(id, digest, sizeof(id));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sign");
    TCase *c = tcase_create("sign");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, c);
    tcase_set_timeout(c, 120);
    tcase_add_unchecked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, signed_vectors_verify_under_their_key, 0, 2);
    tcase_add_loop_test(c, every_flipped_bit_breaks_the_signature, 0, 2);
    tcase_add_test(c, unsigned_vectors_have_no_signature);
    tcase_add_test(c, what_is_signed_is_context_and_verdict);
    tcase_add_test(c, a_verdict_that_was_not_decoded_has_no_signature);
    tcase_add_test(c, key_id_is_the_beginning_of_the_digest);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
