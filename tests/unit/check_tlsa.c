/* SPDX-License-Identifier: BSD-3-Clause */
/* TLSA RRsets: usable or not, sorted, limited, digested. */
#include "module/core/tlsa.h"

#include <check.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/certificate.h"

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

#define D32 "0123456789abcdef0123456789abcdef 0123456789abcdef0123456789abcdef"
#define D64 D32 D32
#define CERT                                                                                       \
    "30 23 30 19 02 01 01 " CERTIFICATE_ALGORITHM                                                  \
    " 30 00 30 00 30 00 " CERTIFICATE_SPKI CERTIFICATE_ALGORITHM " 03 01 00"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

#define MAX_RECORDS 300

/* An RRset of records in hex, and the storage they live in. */
struct fixture {
    struct kbv_rrset rrset;
    struct kbv_slice rr[MAX_RECORDS];
    uint8_t octets[MAX_RECORDS * 256];
    size_t used;
    uint8_t out[KBV_ASSOCIATIONS_MAX + 1];
    size_t len;
};

static void fixture_init(struct fixture *f)
{
    f->rrset = (struct kbv_rrset){.type = KBV_TYPE_TLSA, .security = KBV_SEC_SECURE, .rr = f->rr};
    f->used = 0;
    f->len = 0;
}

static void fixture_add(struct fixture *f, const char *hex)
{
    size_t n = octets_from_hex(hex, f->octets + f->used, sizeof(f->octets) - f->used);

    ck_assert_uint_lt(f->rrset.n_rr, MAX_RECORDS);
    f->rr[f->rrset.n_rr++] = (struct kbv_slice){f->octets + f->used, n};
    f->used += n;
}

/* Record i of many: 3 1 1 with i in its first octets. */
static void fixture_add_numbered(struct fixture *f, unsigned i)
{
    char hex[80];

    snprintf(hex, sizeof(hex), "030101 %04x%060d", i & 0xFFFF, 0);
    fixture_add(f, hex);
}

/* A full SPKI record (usage 3, selector 1) whose data has len octets. */
static void fixture_add_spki(struct fixture *f, size_t len, uint8_t last)
{
    uint8_t *p = f->octets + f->used;
    size_t inner = len - 4, bits = inner - 5 - 4;

    ck_assert(len > 300 && f->used + 3 + len <= sizeof(f->octets));
    memset(p, 0, 3 + len);
    memcpy(p,
           (uint8_t[]){3, 1, 0, 0x30, 0x82, (uint8_t)(inner >> 8), (uint8_t)inner, 0x30, 3, 6, 1,
                       0x2A, 0x03, 0x82, (uint8_t)(bits >> 8), (uint8_t)bits},
           16);
    p[3 + len - 1] = last;
    f->rr[f->rrset.n_rr++] = (struct kbv_slice){p, 3 + len};
    f->used += 3 + len;
}

static enum kbv_err fixture_associations(struct fixture *f, bool pkix)
{
    return kbv_tlsa_associations(&f->rrset, pkix, f->out, sizeof(f->out), &f->len);
}

/* ---- one record ---- */

static const struct {
    const char *what;
    const char *rdata;
    int usable, usable_with_pkix;
} records[] = {
    {"3 1 1", "030101" D32, 1, 1},
    {"3 0 1", "030001" D32, 1, 1},
    {"3 1 2", "030102" D64, 1, 1},
    {"3 0 2", "030002" D64, 1, 1},
    {"2 0 1", "020001" D32, 1, 1},
    {"2 1 2", "020102" D64, 1, 1},
    {"3 0 0", "030000" CERT, 1, 1},
    {"3 1 0", "030100" CERTIFICATE_SPKI, 1, 1},
    {"2 0 0", "020000" CERT, 1, 1},
    {"2 1 0", "020100" CERTIFICATE_SPKI, 1, 1},
    {"the hash of nothing has the form of a hash", "030101" EMPTY, 1, 1},
    {"0 0 1 needs a CA store", "000001" D32, 0, 1},
    {"1 1 1 needs a CA store", "010101" D32, 0, 1},
    {"1 0 0 needs a CA store", "010000" CERT, 0, 1},

    {"no octet at all", "", 0, 0},
    {"one octet", "03", 0, 0},
    {"two octets", "0301", 0, 0},
    {"no data, SHA-256", "030101", 0, 0},
    {"no data, in full", "030100", 0, 0},
    {"usage 4", "040101" D32, 0, 0},
    {"usage 255", "ff0101" D32, 0, 0},
    {"selector 2", "030201" D32, 0, 0},
    {"selector 255", "03ff01" D32, 0, 0},
    {"matching type 3", "030103" D32, 0, 0},
    {"matching type 255", "0301ff" D32, 0, 0},
    {"SHA-256 of 31 octets",
     "030101 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd", 0, 0},
    {"SHA-256 of 33 octets", "030101" D32 "00", 0, 0},
    {"SHA-256 of SHA-512's length", "030101" D64, 0, 0},
    {"SHA-512 of SHA-256's length", "030102" D32, 0, 0},
    {"SHA-512 of 65 octets", "030102" D64 "00", 0, 0},
    {"SHA-1 as it was once meant", "030101 0123456789abcdef0123456789abcdef01234567", 0, 0},
    {"certificate and an octet", "030000" CERT "00", 0, 0},
    {"a key in place of a certificate", "030000" CERTIFICATE_SPKI, 0, 0},
    {"a certificate in place of a key", "030100" CERT, 0, 0},
    {"key and an octet", "030100" CERTIFICATE_SPKI "00", 0, 0},
    {"key in BER", "030100 30 81 09 30 03 06 01 2a 03 02 00 04", 0, 0},
    {"a digest in place of a key", "030100" D32, 0, 0},
    {"a PEM armour", "030000 2d2d2d2d2d424547494e", 0, 0},
};

START_TEST(a_record_is_usable_or_as_if_not_there)
{
    for (int pkix = 0; pkix < 2; pkix++) {
        struct fixture f;
        int usable = pkix ? records[_i].usable_with_pkix : records[_i].usable;

        fixture_init(&f);
        fixture_add(&f, records[_i].rdata);
        ck_assert_int_eq(fixture_associations(&f, pkix), KBV_OK);
        ck_assert_msg((f.len != 0) == usable, "%s, pkix %d", records[_i].what, pkix);
        if (usable) { /* usage, selector, mtype, len16, data as published */
            size_t data_len = f.rr[0].len - 3;

            ck_assert_uint_eq(f.len, 5 + data_len);
            ck_assert_mem_eq(f.out, f.rr[0].p, 3);
            ck_assert_uint_eq(f.out[3] * 256U + f.out[4], data_len);
            ck_assert_mem_eq(f.out + 5, f.rr[0].p + 3, data_len);
        }
    }
}
END_TEST

/* ldns once let one malformed record sink the rest. */
START_TEST(a_bad_record_takes_no_other_with_it)
{
    struct fixture f;

    fixture_init(&f);
    for (int i = ROWS(records) - 1; i >= 0; i--)
        fixture_add(&f, records[i].rdata);
    ck_assert_int_eq(fixture_associations(&f, false), KBV_OK);
    for (size_t pos = 0, i = 0; pos < f.len; i++) {
        ck_assert_uint_le(f.out[pos], 3);
        pos += 5 + f.out[pos + 3] * 256U + f.out[pos + 4];
        ck_assert(pos <= f.len && i < 11);
    }
}
END_TEST

/* ---- order ---- */

START_TEST(records_are_sorted_and_stand_once)
{
    const char *sorted[] = {"020001" D32, "030001" D32, "030101" D32, "030101" EMPTY, "030102" D64};
    const int orders[][7] = {{0, 1, 2, 3, 4, 2, 0}, {4, 3, 2, 1, 0, 0, 4}, {3, 3, 3, 0, 4, 2, 1}};
    struct fixture f, reference;

    fixture_init(&reference);
    for (size_t i = 0; i < 5; i++)
        fixture_add(&reference, sorted[i]);
    ck_assert_int_eq(fixture_associations(&reference, false), KBV_OK);
    ck_assert_mem_eq(reference.out, "\x02\x00\x01\x00\x20", 5);
    fixture_init(&f);
    for (size_t i = 0; i < 7; i++)
        fixture_add(&f, sorted[orders[_i][i]]);
    ck_assert_int_eq(fixture_associations(&f, false), KBV_OK);
    ck_assert_uint_eq(f.len, reference.len);
    ck_assert_mem_eq(f.out, reference.out, f.len);
}
END_TEST

/* ---- limits ---- */

static const struct {
    unsigned n;
    enum kbv_err err;
} counts[] = {{1, KBV_OK},          {4, KBV_OK},          {5, KBV_OK},
              {63, KBV_OK},         {64, KBV_OK},         {65, KBV_ERR_LIMIT},
              {100, KBV_ERR_LIMIT}, {101, KBV_ERR_LIMIT}, {300, KBV_ERR_LIMIT}};

START_TEST(sixty_four_records_and_no_more)
{
    struct fixture f;
    uint8_t hash[KBV_RRSET_HASH_LEN];

    fixture_init(&f);
    for (unsigned i = 0; i < counts[_i].n; i++)
        fixture_add_numbered(&f, counts[_i].n - i);
    ck_assert_int_eq(fixture_associations(&f, false), counts[_i].err);
    ck_assert_int_eq(kbv_tlsa_hash(&f.rrset, hash), counts[_i].err);
    ck_assert_uint_eq(f.len, counts[_i].err == KBV_OK ? counts[_i].n * 37 : 0);
}
END_TEST

START_TEST(unusable_records_count_too)
{
    struct fixture f;

    fixture_init(&f);
    fixture_add(&f, "030101" D32);
    for (unsigned i = 0; i < 64; i++) {
        char hex[8];

        snprintf(hex, sizeof(hex), "ff%02x", i);
        fixture_add(&f, hex);
    }
    ck_assert_int_eq(fixture_associations(&f, false), KBV_ERR_LIMIT);
}
END_TEST

static const struct {
    size_t first, second; /* octets of data of two records, 5 more each */
    size_t cap;
    enum kbv_err err;
} sizes[] = {
    {4000, 4182, KBV_ASSOCIATIONS_MAX, KBV_OK},
    {4000, 4182, KBV_ASSOCIATIONS_MAX + 1, KBV_OK},
    {4000, 4183, KBV_ASSOCIATIONS_MAX, KBV_ERR_LIMIT},
    {4000, 4183, KBV_ASSOCIATIONS_MAX + 1, KBV_ERR_LIMIT}, /* more room is no more right */
    {400, 8000, KBV_ASSOCIATIONS_MAX, KBV_ERR_LIMIT},
    {400, 400, 810, KBV_OK},
    {400, 400, 809, KBV_ERR_LIMIT},
    {400, 400, 0, KBV_ERR_LIMIT},
};

START_TEST(usable_octets_are_limited)
{
    struct fixture f;

    fixture_init(&f);
    fixture_add_spki(&f, sizes[_i].first, 1);
    fixture_add_spki(&f, sizes[_i].second, 2);
    ck_assert_int_eq(kbv_tlsa_associations(&f.rrset, false, f.out, sizes[_i].cap, &f.len),
                     sizes[_i].err);
    ck_assert_uint_eq(f.len, sizes[_i].err == KBV_OK ? sizes[_i].first + sizes[_i].second + 10 : 0);
}
END_TEST

START_TEST(unusable_octets_are_not)
{
    struct fixture f;

    fixture_init(&f);
    fixture_add_spki(&f, 9000, 1);
    f.octets[1] = 7; /* an unknown selector */
    fixture_add(&f, "030101" D32);
    ck_assert_int_eq(fixture_associations(&f, false), KBV_OK);
    ck_assert_uint_eq(f.len, 37);
}
END_TEST

/* ---- the RRset's digest ---- */

START_TEST(the_hash_is_over_sorted_lengths_and_records)
{
    const char *input = "0000 0002 0301 0023 030101" D32 "0023 030101" EMPTY;
    uint8_t octets[128], digest[32], hash[KBV_RRSET_HASH_LEN];
    struct fixture f;

    SHA256(octets, octets_from_hex(input, octets, sizeof(octets)), digest);
    fixture_init(&f);
    fixture_add(&f, "030101" EMPTY);
    fixture_add(&f, "0301"); /* malformed records count as well */
    fixture_add(&f, "030101" D32);
    fixture_add(&f, "");
    fixture_add(&f, "030101" EMPTY);
    ck_assert_int_eq(kbv_tlsa_hash(&f.rrset, hash), KBV_OK);
    ck_assert_mem_eq(hash, digest, KBV_RRSET_HASH_LEN);
}
END_TEST

START_TEST(a_record_beyond_any_message_is_refused)
{
    struct fixture f;
    uint8_t hash[KBV_RRSET_HASH_LEN];

    fixture_init(&f);
    fixture_add(&f, "030101" D32);
    f.rr[0].len = 65536;
    ck_assert_int_eq(fixture_associations(&f, false), KBV_ERR_LIMIT);
    ck_assert_int_eq(kbv_tlsa_hash(&f.rrset, hash), KBV_ERR_LIMIT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tlsa");
    TCase *tcase = tcase_create("tlsa");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, a_record_is_usable_or_as_if_not_there, 0, ROWS(records));
    tcase_add_test(tcase, a_bad_record_takes_no_other_with_it);
    tcase_add_loop_test(tcase, records_are_sorted_and_stand_once, 0, 3);
    tcase_add_loop_test(tcase, sixty_four_records_and_no_more, 0, ROWS(counts));
    tcase_add_test(tcase, unusable_records_count_too);
    tcase_add_loop_test(tcase, usable_octets_are_limited, 0, ROWS(sizes));
    tcase_add_test(tcase, unusable_octets_are_not);
    tcase_add_test(tcase, the_hash_is_over_sorted_lengths_and_records);
    tcase_add_test(tcase, a_record_beyond_any_message_is_refused);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
