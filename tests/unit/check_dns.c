/* SPDX-License-Identifier: BSD-3-Clause */
/* DNS messages: what is written, and that no part of a reply is a reply. */
#include "lib/dns.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/octets.h"

enum { CODE = KBV_EDNS_OPTION_DEFAULT };

static struct octets_name name;
static struct kbv_dns_question question;

static void setup(void)
{
    name = octets_from_name("_443._TCP.js.example.");
    question = (struct kbv_dns_question){0xABCD, KBV_RRTYPE_DEFAULT, {name.wire, name.len}};
}

static size_t octets(const char *hex, uint8_t *out, size_t cap)
{
    return octets_from_hex(hex, out, cap);
}

#define QUESTION "045f343433 045f544350 026a73 076578616d706c65 00 ff14 0001"

static const struct {
    const char *name, *option; /* NULL: none */
    const char *expected;
} written[] = {
    {"without option", NULL,
     "abcd 0100 0001 0000 0000 0001" QUESTION " 00 0029 04d0 00000000 0000"},
    {"with option", "1100",
     "abcd 0100 0001 0000 0000 0001" QUESTION " 00 0029 04d0 00000000 0006 fe4c 0002 1100"},
};

START_TEST(queries_are_written)
{
    uint8_t expected[128], option[8], *out;
    size_t len = octets(written[_i].expected, expected, sizeof(expected)), out_len = 0;
    struct kbv_slice o = {NULL, 0};

    if (written[_i].option)
        o = (struct kbv_slice){option, octets(written[_i].option, option, sizeof(option))};
    for (size_t cap = 0; cap <= len; cap++) {
        out = malloc(cap ? cap : 1);
        ck_assert_int_eq(kbv_dns_query_write(&question, CODE, o, out, cap, &out_len),
                         cap < len ? KBV_ERR_SPACE : KBV_OK);
        if (cap == len)
            ck_assert_mem_eq(out, expected, len);
        free(out);
    }
    ck_assert_uint_eq(out_len, len);
}
END_TEST

/* Two RRs of the name, one with its own owner compressed in another way; in authority a longer
 * name; an option, an EDE, and another RR behind. */
static const char reply_hex[] =
    "abcd 8183 0001 0003 0001 0002" QUESTION "c00c ff14 0001 0000003c 0002 1201"
    "045f343433 045f746370 c016 ff14 0001 0000003c 0003 120102"
    "c011 ff14 0001 0000003c 0001 12"
    "0161 c011 0002 0001 00000001 0002 c00c"
    "00 0029 04d0 01000000 000f fe4c 0001 12 000f 0006 c000 74657874"
    "c016 0001 0001 00000001 0004 7f000001";

START_TEST(replies_are_read)
{
    uint8_t message[512];
    size_t len = octets(reply_hex, message, sizeof(message));
    struct kbv_dns_reply r;

    ck_assert_int_eq(kbv_dns_reply_read(&question, CODE, message, len, &r), KBV_DNS_REPLY);
    ck_assert_uint_eq(r.rcode, 0x13);
    ck_assert(!r.truncated);
    ck_assert_uint_eq(r.n, 2);
    ck_assert_uint_eq(r.rdata[0].len, 2);
    ck_assert_uint_eq(r.rdata[1].len, 3);
    ck_assert_mem_eq(r.rdata[1].p, "\x12\x01\x02", 3);
    ck_assert_uint_eq(r.option.len, 1);
    ck_assert_uint_eq(r.ede, 0xC000);
    ck_assert_mem_eq(r.ede_text.p, "text", r.ede_text.len);
    ck_assert_uint_eq(r.ede_text.len, 4);
    /* Of another code there is none. */
    ck_assert_int_eq(kbv_dns_reply_read(&question, CODE + 1, message, len, &r), KBV_DNS_REPLY);
    ck_assert_ptr_null(r.option.p);
}
END_TEST

START_TEST(no_part_of_a_reply_is_a_reply)
{
    uint8_t message[512];
    size_t whole = octets(reply_hex, message, sizeof(message));
    size_t question_end = KBV_DNS_HEADER_LEN + name.len + 4;

    for (size_t len = 0; len < whole; len++) {
        struct kbv_dns_reply r = {.n = 99};
        uint8_t *cut = malloc(len ? len : 1);

        memcpy(cut, message, len);
        ck_assert_int_eq(kbv_dns_reply_read(&question, CODE, cut, len, &r),
                         len < question_end ? KBV_DNS_OTHER : KBV_DNS_MALFORMED);
        ck_assert_uint_eq(r.n, 99);
        free(cut);
    }
}
END_TEST

/* With TC nothing behind the question is looked at (RFC 2181 section 9). */
START_TEST(truncated_replies_say_so)
{
    uint8_t message[512];
    size_t whole = octets(reply_hex, message, sizeof(message));
    struct kbv_dns_reply r;

    message[2] |= 0x02;
    for (size_t len = KBV_DNS_HEADER_LEN + name.len + 4; len <= whole; len++) {
        ck_assert_int_eq(kbv_dns_reply_read(&question, CODE, message, len, &r), KBV_DNS_REPLY);
        ck_assert(r.truncated && r.n == 0 && !r.option.p);
    }
}
END_TEST

START_TEST(every_flipped_bit_of_the_question_makes_it_anothers)
{
    uint8_t message[512];
    size_t len = octets(reply_hex, message, sizeof(message));
    struct kbv_dns_reply r;

    for (size_t bit = 0; bit < 8 * (KBV_DNS_HEADER_LEN + name.len + 4); bit++) {
        enum kbv_dns_result found, expected = KBV_DNS_OTHER;
        size_t at = bit / 8;

        message[at] ^= (uint8_t)(1 << bit % 8);
        found = kbv_dns_reply_read(&question, CODE, message, len, &r);
        message[at] ^= (uint8_t)(1 << bit % 8);
        if (at == 2 || at == 3 || (at >= 6 && at < 12)) /* flags, and counts of RRs */
            continue;
        if (bit % 8 == 5 && at < KBV_DNS_HEADER_LEN + name.len && isalpha(message[at]))
            expected = KBV_DNS_OTHER_CASE;
        ck_assert_msg(found == expected, "bit %zu of octet %zu", bit % 8, at);
    }
}
END_TEST

/* The fuzzer's seeds, each the reply to the question that it repeats: their names say what they
 * are. */
static enum kbv_dns_result read_file(const char *folder, const char *file, struct kbv_dns_reply *r)
{
    static uint8_t message[65535];
    struct kbv_dns_question q;
    char path[4096];
    size_t len;
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", folder, file);
    f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "cannot read %s", path);
    len = fread(message, 1, sizeof(message), f);
    fclose(f);
    q.id = (uint16_t)(message[0] << 8 | message[1]);
    q.name = (struct kbv_slice){message + KBV_DNS_HEADER_LEN,
                                kbv_name_len(message + KBV_DNS_HEADER_LEN, KBV_NAME_MAX)};
    q.type = KBV_RRTYPE_DEFAULT;
    return kbv_dns_reply_read(&q, CODE, message, len, r);
}

START_TEST(malformed_messages_are_refused)
{
    const char *srcdir = getenv("srcdir");
    char folder[2048];
    struct dirent **files;
    int n, malformed = 0;

    snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/reply", srcdir ? srcdir : ".");
    n = scandir(folder, &files, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        const char *file = files[i]->d_name;
        enum kbv_dns_result expected = KBV_DNS_REPLY, found;
        struct kbv_dns_reply r = {0};

        if (strncmp(file, "malformed-", 10) == 0)
            expected = KBV_DNS_MALFORMED;
        else if (strcmp(file, "echo") == 0 || strncmp(file, "other-", 6) == 0)
            expected = KBV_DNS_OTHER;
        malformed += expected == KBV_DNS_MALFORMED;
        if (file[0] != '.') {
            found = read_file(folder, file, &r);
            ck_assert_msg(found == expected, "%s: %d", file, found);
        }
        free(files[i]);
    }
    ck_assert_int_gt(malformed, 20);
    free(files);
}
END_TEST

START_TEST(ten_records_are_counted_and_nine_kept)
{
    const char *srcdir = getenv("srcdir");
    struct kbv_dns_reply r = {0};
    char folder[2048];

    snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/reply", srcdir ? srcdir : ".");
    ck_assert_int_eq(read_file(folder, "ten-RRs", &r), KBV_DNS_REPLY);
    ck_assert_uint_eq(r.n, 10);
    ck_assert_uint_eq(r.option.len, 0);
    ck_assert_ptr_nonnull(r.option.p);
}
END_TEST

/* A message with one RR, whose owner is what is written at its end, behind pointers. */
static enum kbv_dns_result read_owner(const char *labels, unsigned pointers,
                                      struct kbv_dns_reply *r)
{
    uint8_t message[1024];
    size_t len = octets("abcd 8180 0001 0001 0000 0000" QUESTION, message, sizeof(message)), at;

    /* RDATA first: it holds the labels and a row of pointers, each to the one before. */
    message[7] = 2;
    len += octets("00 0010 0001 00000000 0000", message + len, 32);
    at = len;
    len += octets(labels, message + len, 512);
    for (unsigned i = 0; i < pointers; i++) {
        size_t target = i == 0 ? at : len - 2;

        message[len++] = (uint8_t)(0xC0 | target >> 8);
        message[len++] = (uint8_t)target;
    }
    message[at - 2] = (uint8_t)((len - at) >> 8);
    message[at - 1] = (uint8_t)(len - at);
    message[len] = (uint8_t)(0xC0 | (len - 2) >> 8);
    message[len + 1] = (uint8_t)(len - 2);
    len += 2;
    len += octets("ff14 0001 00000000 0000", message + len, 32);
    return kbv_dns_reply_read(&question, CODE, message, len, r);
}

START_TEST(compression_has_bounds)
{
    struct kbv_dns_reply r;
    char longest[512] = "";

    /* One more pointer is in the owner itself. */
    ck_assert_int_eq(read_owner("045f343433 045f746370 026a73 076578616d706c65 00", 126, &r),
                     KBV_DNS_REPLY);
    ck_assert_uint_eq(r.n, 1);
    ck_assert_int_eq(read_owner("045f343433 045f746370 026a73 076578616d706c65 00", 127, &r),
                     KBV_DNS_MALFORMED);
    for (int i = 0; i < 63; i++)
        strcat(longest, "61");
    memmove(longest + 2, longest, strlen(longest) + 1);
    memcpy(longest, "3f", 2);
    strcat(longest, "00");
    ck_assert_int_eq(read_owner(longest, 1, &r), KBV_DNS_REPLY);
    memcpy(longest, "40", 2);
    ck_assert_int_eq(read_owner(longest, 1, &r), KBV_DNS_MALFORMED);
}
END_TEST

/* A pointer to a label that ends with the message: there is no root label behind it. */
START_TEST(a_name_does_not_end_with_the_message)
{
    static const char cut[] =
        "abcd 8180 0001 0002 0000 0000" QUESTION "00 0010 0001 00000000 0001 0c"
        "c031 ff14 0001 00000000 0000";
    uint8_t message[128];
    size_t len = octets(cut, message, sizeof(message));
    struct kbv_dns_reply r;

    ck_assert_uint_eq(message[0x31], 12);
    ck_assert_uint_eq(len, 0x31 + 13);
    ck_assert_int_eq(kbv_dns_reply_read(&question, CODE, message, len, &r), KBV_DNS_MALFORMED);
}
END_TEST

static const struct {
    const char *hex;
    bool sound;
} txts[] = {{"", false},     {"00", true},           {"0161", true},       {"016100", true},
            {"0261", false}, {"01610362 63", false}, {"016102 62", false}, {"ff", false}};

START_TEST(txt_is_character_strings)
{
    uint8_t buf[16];
    size_t len = octets(txts[_i].hex, buf, sizeof(buf));

    ck_assert_int_eq(kbv_dns_txt_is_sound((struct kbv_slice){buf, len}), txts[_i].sound);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dns");
    TCase *c = tcase_create("dns");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, c);
    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_loop_test(c, queries_are_written, 0, 2);
    tcase_add_test(c, replies_are_read);
    tcase_add_test(c, no_part_of_a_reply_is_a_reply);
    tcase_add_test(c, truncated_replies_say_so);
    tcase_add_test(c, every_flipped_bit_of_the_question_makes_it_anothers);
    tcase_add_test(c, malformed_messages_are_refused);
    tcase_add_test(c, ten_records_are_counted_and_nine_kept);
    tcase_add_test(c, compression_has_bounds);
    tcase_add_test(c, a_name_does_not_end_with_the_message);
    tcase_add_loop_test(c, txt_is_character_strings, 0, sizeof(txts) / sizeof(*txts));
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
