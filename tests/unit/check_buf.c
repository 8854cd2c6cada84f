/* SPDX-License-Identifier: BSD-3-Clause */
/* Bounded reading and writing: nothing beyond the end, and errors stick. */
#include "lib/buf.h"

#include <stdlib.h>

#include "tests/unit/octets.h"

START_TEST(reader_reads_big_endian)
{
    static const uint8_t octets[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    struct kbv_reader r = kbv_reader_on(octets, sizeof(octets));
    uint8_t two[2];

    ck_assert_uint_eq(kbv_reader_u8(&r), 0x01);
    ck_assert_uint_eq(kbv_reader_u16(&r), 0x0203);
    ck_assert_uint_eq(kbv_reader_u32(&r), 0x04050607);
    ck_assert(!kbv_reader_done(&r));
    kbv_reader_copy(&r, two, 2);
    ck_assert_mem_eq(two, octets + 7, 2);
    ck_assert(kbv_reader_done(&r));
}
END_TEST

/* Each way to read one octet more than there is. */
static void read_u8(struct kbv_reader *r)
{
    ck_assert_uint_eq(kbv_reader_u8(r), 0);
}

static void read_u16(struct kbv_reader *r)
{
    ck_assert_uint_eq(kbv_reader_u16(r), 0);
}

static void read_u32(struct kbv_reader *r)
{
    kbv_reader_u32(r);
}

static void read_octets(struct kbv_reader *r)
{
    ck_assert_ptr_null(kbv_reader_octets(r, 3).p);
}

static void read_copy(struct kbv_reader *r)
{
    uint8_t out[3] = {7, 7, 7};

    kbv_reader_copy(r, out, 3);
    ck_assert_mem_eq(out, "\7\7\7", 3);
}

static void read_block(struct kbv_reader *r)
{
    struct kbv_reader block = kbv_reader_block(r, SIZE_MAX);

    ck_assert(block.failed);
    ck_assert_uint_eq(kbv_reader_u8(&block), 0);
}

static void read_name(struct kbv_reader *r)
{
    ck_assert_ptr_null(kbv_reader_name(r).p);
}

static const struct {
    void (*read)(struct kbv_reader *r);
    size_t octets; /* how many there are */
} too_far[] = {
    {read_u8, 0},     {read_u16, 0},  {read_u16, 1},  {read_u32, 0},
    {read_u32, 3},    {read_copy, 0}, {read_copy, 2}, {read_block, 2},
    {read_octets, 2}, {read_name, 0}, {read_name, 2},
};

START_TEST(reading_too_far_fails_for_good)
{
    size_t n = too_far[_i].octets;
    uint8_t *octets = malloc(n ? n : 1);
    struct kbv_reader r;

    ck_assert_ptr_nonnull(octets);
    memset(octets, 1, n); /* as a name: one label "\001" without end */
    r = kbv_reader_on(octets, n);
    too_far[_i].read(&r);
    ck_assert(r.failed);
    ck_assert(!kbv_reader_done(&r));
    /* It stays so, and yields zeros. */
    ck_assert_uint_eq(kbv_reader_u8(&r), 0);
    ck_assert_ptr_null(kbv_reader_octets(&r, 0).p);
    ck_assert(!kbv_reader_done(&r));
    free(octets);
}
END_TEST

START_TEST(block_is_bounded_and_moves_its_reader_on)
{
    static const uint8_t octets[] = {1, 2, 3};
    struct kbv_reader r = kbv_reader_on(octets, sizeof(octets));
    struct kbv_reader block = kbv_reader_block(&r, 2);

    ck_assert_uint_eq(kbv_reader_u16(&block), 0x0102);
    kbv_reader_u8(&block);
    ck_assert(block.failed);
    ck_assert(!r.failed);
    ck_assert_uint_eq(kbv_reader_u8(&r), 3);
    ck_assert(kbv_reader_done(&r));
}
END_TEST

START_TEST(empty_block_is_there)
{
    static const uint8_t octets[] = {1};
    struct kbv_reader r = kbv_reader_on(octets, sizeof(octets));
    struct kbv_reader block = kbv_reader_block(&r, 0);

    ck_assert(kbv_reader_done(&block));
    ck_assert_ptr_nonnull(kbv_reader_rest(&block).p);
}
END_TEST

static const struct {
    const char *hex;
    size_t len; /* of the name, 0 if it is refused */
} names[] = {
    {"00", 1},       {"01 61 00", 3}, {"01 61 00 ff", 3}, {"02 5b 40 00", 4}, /* '[' and '@' stand
                                                                                 beside the letters
                                                                               */
    {"01 ff 00", 3}, {"01 41 00", 0}, {"01 5a 00", 0},    {"01 61", 0},       {"c0 00", 0},
    {"40 61 00", 0},
};

START_TEST(reader_takes_canonical_names_only)
{
    uint8_t octets[16];
    size_t n = octets_from_hex(names[_i].hex, octets, sizeof(octets));
    struct kbv_reader r = kbv_reader_on(octets, n);
    struct kbv_slice name = kbv_reader_name(&r);

    ck_assert_uint_eq(name.len, names[_i].len);
    ck_assert_int_eq(r.failed, names[_i].len == 0);
}
END_TEST

START_TEST(writer_writes_big_endian)
{
    uint8_t out[10];
    struct kbv_writer w = kbv_writer_on(out, sizeof(out));
    size_t begun;

    kbv_writer_u8(&w, 1);
    kbv_writer_u16(&w, 0x0203);
    begun = kbv_writer_begin16(&w);
    kbv_writer_u32(&w, 0x04050607);
    kbv_writer_end16(&w, begun);
    kbv_writer_octets(&w, (const uint8_t *)"\x08", 1);
    kbv_writer_octets(&w, NULL, 0);
    ck_assert(!w.failed);
    ck_assert_uint_eq(w.len, sizeof(out));
    ck_assert_mem_eq(out, "\1\2\3\0\4\4\5\6\7\10", sizeof(out));
}
END_TEST

START_TEST(writing_beyond_the_end_fails_for_good)
{
    uint8_t *out = malloc(3);
    struct kbv_writer w = kbv_writer_on(out, 3);

    ck_assert_ptr_nonnull(out);
    kbv_writer_u16(&w, 0x0102);
    kbv_writer_octets(&w, (const uint8_t *)"xx", 2);
    ck_assert(w.failed);
    kbv_writer_u8(&w, 3); /* there would be room for it */
    ck_assert_uint_eq(w.len, 2);
    free(out);
}
END_TEST

START_TEST(block_of_more_than_16_bits_fails)
{
    static uint8_t out[0x10010], src[0x10000];
    struct kbv_writer w = kbv_writer_on(out, sizeof(out));
    size_t begun = kbv_writer_begin16(&w);

    kbv_writer_octets(&w, src, 0xFFFF);
    kbv_writer_end16(&w, begun);
    ck_assert(!w.failed);
    ck_assert_mem_eq(out, "\xff\xff", 2);
    kbv_writer_u8(&w, 0);
    kbv_writer_end16(&w, begun);
    ck_assert(w.failed);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("buf");
    TCase *c = tcase_create("buf");
    SRunner *r = srunner_create(s);
    int failed;

    suite_add_tcase(s, c);
    tcase_add_test(c, reader_reads_big_endian);
    tcase_add_loop_test(c, reading_too_far_fails_for_good, 0, sizeof(too_far) / sizeof(*too_far));
    tcase_add_test(c, block_is_bounded_and_moves_its_reader_on);
    tcase_add_test(c, empty_block_is_there);
    tcase_add_loop_test(c, reader_takes_canonical_names_only, 0, sizeof(names) / sizeof(*names));
    tcase_add_test(c, writer_writes_big_endian);
    tcase_add_test(c, writing_beyond_the_end_fails_for_good);
    tcase_add_test(c, block_of_more_than_16_bits_fails);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
