/* SPDX-License-Identifier: BSD-3-Clause */
/* DNS messages: what is written, and that no part of a reply is a reply. */
#include "lib/dns.h"

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
        enum kbv_dns_result found;
        size_t at = bit / 8;

        message[at] ^= (uint8_t)(1 << bit % 8);
        found = kbv_dns_reply_read(&question, CODE, message, len, &r);
        message[at] ^= (uint8_t)(1 << bit % 8);
        if (at == 2 || at == 3 || (at >= 6 && at < 12)) /* flags, and counts of RRs */
            continue;
        ck_assert_msg(found == KBV_DNS_OTHER, "bit %zu of octet %zu", bit % 8, at);
    }
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
    tcase_add_loop_test(c, txt_is_character_strings, 0, sizeof(txts) / sizeof(*txts));
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
