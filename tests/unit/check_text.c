/* SPDX-License-Identifier: BSD-3-Clause */
/* A verdict as TXT, and the texts it is made of. */
#include "lib/text.h"

#include "tests/unit/vectors.h"

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

static struct vectors vectors;

static void setup(void)
{
    vectors_read(&vectors, "verdicts.txt");
}

static void teardown(void)
{
    vectors_free(&vectors);
}

static const struct {
    uint32_t t;
    const char *text;
} times[] = {
    {0, "1970-01-01T00:00:00Z"},          {68169599, "1972-02-28T23:59:59Z"},
    {68169600, "1972-02-29T00:00:00Z"},   {951782400, "2000-02-29T00:00:00Z"},
    {1795323600, "2026-11-22T05:00:00Z"}, {2147483648, "2038-01-19T03:14:08Z"},
    {4107542399, "2100-02-28T23:59:59Z"}, {4107542400, "2100-03-01T00:00:00Z"},
    {4294967295, "2106-02-07T06:28:15Z"},
};

START_TEST(time_in_utc)
{
    char text[KBV_TIME_TEXT_LEN];

    kbv_time_text(times[_i].t, text);
    ck_assert_str_eq(text, times[_i].text);
}
END_TEST

static const struct {
    const char *reason, *text;
} reasons[] = {
    {"no TLSA", "no TLSA"},
    {"", ""},
    {"Zeit\xc3\xbc \xf0\x9f\x98\xb4", "Zeit\xc3\xbc \xf0\x9f\x98\xb4"},
    {"two\nlines\r", "two?lines?"},
    {"\x1b[31mred\x07\x7f", "?[31mred??"},
    {"\xc2\x9b"
     "31m",
     "?31m"}, /* CSI as one C1 character */
    {"\xc2\xa0", "\xc2\xa0"},
    {"\xff\xc3", "??"},
    /* the directions of Unicode, each end of each range, and its neighbours */
    {"a\xd8\x9c"
     "b",
     "a?b"},
    {"\xe2\x80\x8e|\xe2\x80\x8f", "?|?"},
    {"\xe2\x80\xaa|\xe2\x80\xac|\xe2\x80\xae", "?|?|?"},
    {"\xe2\x81\xa6|\xe2\x81\xa9", "?|?"},
    {"\xe2\x80\x8d|\xe2\x80\x90|\xe2\x80\xa9|\xe2\x80\xaf",
     "\xe2\x80\x8d|\xe2\x80\x90|\xe2\x80\xa9|\xe2\x80\xaf"},
    {"\xe2\x81\xa5|\xe2\x81\xaa|\xd8\x9b|\xd8\x9d", "\xe2\x81\xa5|\xe2\x81\xaa|\xd8\x9b|\xd8\x9d"},
    {"\xe3\x80\x8e|\xe2\x90\xae", "\xe3\x80\x8e|\xe2\x90\xae"},
};

START_TEST(reason_on_one_line)
{
    char text[KBV_REASON_MAX + 1];

    kbv_reason_text(
        (struct kbv_slice){(const uint8_t *)reasons[_i].reason, strlen(reasons[_i].reason)}, text);
    ck_assert_str_eq(text, reasons[_i].text);
}
END_TEST

START_TEST(reason_is_cut_at_its_limit)
{
    char *text = malloc(KBV_REASON_MAX + 1);
    uint8_t reason[KBV_REASON_MAX + 1];

    ck_assert_ptr_nonnull(text);
    memset(reason, 'x', sizeof(reason));
    kbv_reason_text((struct kbv_slice){reason, sizeof(reason)}, text);
    ck_assert_uint_eq(strlen(text), KBV_REASON_MAX);
    free(text);
}
END_TEST

START_TEST(hex_and_host)
{
    char hex[7], host[KBV_NAME_TEXT_MAX];
    struct octets_name name = octets_from_name("js.example."), root = octets_from_name(".");

    kbv_hex_text((const uint8_t *)"\x00\x9f\xa0", 3, hex);
    ck_assert_str_eq(hex, "009fa0");
    kbv_host_text((struct kbv_slice){name.wire, name.len}, host);
    ck_assert_str_eq(host, "js.example");
    kbv_host_text((struct kbv_slice){root.wire, root.len}, host);
    ck_assert_str_eq(host, ".");
}
END_TEST

/* The character-strings of RDATA, a line each. */
static void lines_of(const uint8_t *rdata, size_t len, char *out)
{
    for (size_t at = 0; at < len; at += 1u + rdata[at]) {
        ck_assert_uint_le(at + 1 + rdata[at], len);
        memcpy(out, rdata + at + 1, rdata[at]);
        out += rdata[at];
        *out++ = '\n';
    }
    *out = '\0';
}

#define TIMES   "issued=2026-11-22T05:00:00Z\n"
#define JS1_PIN "pin=3/1/1/fa76f2b9d332717d0a587e757dd4a2221e33d17a5863dc7dc06c44c0c24a8a8b\n"

static const struct {
    const char *vector, *lines;
} txts[] = {
    {"published-joineui",
     "v=kbv1\n"
     "status=PUBLISHED\n"
     "owner=_8003._tcp.js1.op-a.example.\n"
     "endpoint=js1.op-a.example:8003\n" JS1_PIN TIMES "not-after=2026-11-22T06:00:00Z\n"},
    {"bound", "v=kbv1\n"
              "status=BOUND\n"
              "owner=_8003._tcp.js1.op-a.example.\n"
              "match=3/1/1\n" TIMES "not-after=2026-11-22T06:00:00Z\n"},
    {"undecided", "v=kbv1\n"
                  "status=UNDECIDED\n"
                  "owner=_8003._tcp.js1.op-a.example.\n" TIMES "not-after=2026-11-22T05:05:00Z\n"
                  "reason=SHA-256(SPKI) does not decide 2 0 1\n"},
    {"root-owner", "v=kbv1\nstatus=NO_BINDING\nowner=.\n" TIMES "not-after=2026-11-22T05:05:00Z\n"},
};

START_TEST(txt_has_its_items_in_order)
{
    const struct vector *vector = vectors_find(&vectors, txts[_i].vector);
    static uint8_t rdata[4096];
    static char lines[4096];
    struct kbv_verdict v;
    size_t len;

    ck_assert_int_eq(kbv_verdict_decode(&v, vector->octets, vector->len), KBV_OK);
    ck_assert_int_eq(kbv_verdict_txt(&v, rdata, sizeof(rdata), &len), KBV_OK);
    lines_of(rdata, len, lines);
    ck_assert_str_eq(lines, txts[_i].lines);
}
END_TEST

START_TEST(txt_repeats_pins_and_digests_full_data)
{
    const struct vector *vector = vectors_find(&vectors, "published-every-usage");
    static uint8_t rdata[4096];
    static char lines[4096];
    struct kbv_verdict v;
    size_t len;
    int pins = 0;

    ck_assert_int_eq(kbv_verdict_decode(&v, vector->octets, vector->len), KBV_OK);
    ck_assert_int_eq(kbv_verdict_txt(&v, rdata, sizeof(rdata), &len), KBV_OK);
    lines_of(rdata, len, lines);
    for (const char *at = lines; (at = strstr(at, "\npin=")) != NULL; at++)
        pins++;
    ck_assert_int_eq(pins, 5);
    /* 2 1 0 with the data 3003020100, by sha256sum. */
    ck_assert_ptr_nonnull(strstr(
        lines, "\npin=2/1/1/b560833d6f787af46113b96aad4dd5b5d1ae00dccc69cf30cc92bed651c56617\n"));
    ck_assert_ptr_nonnull(strstr(lines, "\npin=1/1/2/"));
    ck_assert_ptr_null(strstr(lines, "\npin=2/1/0/"));
}
END_TEST

START_TEST(txt_leaves_out_what_is_too_long)
{
    static uint8_t rdata[4096];
    static char lines[4096];
    struct octets_name name = octets_from_name("a.b.");
    struct kbv_verdict v = {.status = KBV_STATUS_LIMIT, .match = KBV_MATCH_NONE};
    size_t len;

    /* Labels of 63 unprintable octets: 4 characters each as text. */
    name.wire[0] = 63;
    memset(name.wire + 1, 1, 63);
    name.wire[64] = 0;
    name.len = 65;
    v.owner = v.target = (struct kbv_slice){name.wire, name.len};
    v.has_endpoint = true;
    ck_assert_int_eq(kbv_verdict_txt(&v, rdata, sizeof(rdata), &len), KBV_OK);
    lines_of(rdata, len, lines);
    ck_assert_str_eq(lines, "v=kbv1\nstatus=LIMIT\nissued=1970-01-01T00:00:00Z\n"
                            "not-after=1970-01-01T00:00:00Z\n");
}
END_TEST

START_TEST(txt_stays_within_its_storage)
{
    const struct vector *vector = vectors_find(&vectors, "published-joineui");
    static uint8_t whole[4096];
    struct kbv_verdict v;
    size_t len, seen = 99;

    ck_assert_int_eq(kbv_verdict_decode(&v, vector->octets, vector->len), KBV_OK);
    ck_assert_int_eq(kbv_verdict_txt(&v, whole, sizeof(whole), &len), KBV_OK);
    for (size_t cap = 0; cap < len; cap++) {
        uint8_t *out = malloc(cap ? cap : 1);

        ck_assert_ptr_nonnull(out);
        ck_assert_int_eq(kbv_verdict_txt(&v, out, cap, &seen), KBV_ERR_SPACE);
        ck_assert_uint_eq(seen, 99);
        free(out);
    }
}
END_TEST

START_TEST(txt_of_no_verdict_is_refused)
{
    struct kbv_verdict v = {.status = 7};
    uint8_t rdata[512];
    size_t len;

    v.owner = (struct kbv_slice){(const uint8_t *)"", 1};
    ck_assert_int_eq(kbv_verdict_txt(&v, rdata, sizeof(rdata), &len), KBV_ERR_FORMAT);
    v.status = KBV_STATUS_BOGUS;
    v.owner.p = NULL;
    ck_assert_int_eq(kbv_verdict_txt(&v, rdata, sizeof(rdata), &len), KBV_ERR_FORMAT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("text");
    TCase *c = tcase_create("text");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, c);
    tcase_add_unchecked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, time_in_utc, 0, ROWS(times));
    tcase_add_loop_test(c, reason_on_one_line, 0, ROWS(reasons));
    tcase_add_test(c, reason_is_cut_at_its_limit);
    tcase_add_test(c, hex_and_host);
    tcase_add_loop_test(c, txt_has_its_items_in_order, 0, ROWS(txts));
    tcase_add_test(c, txt_repeats_pins_and_digests_full_data);
    tcase_add_test(c, txt_leaves_out_what_is_too_long);
    tcase_add_test(c, txt_stays_within_its_storage);
    tcase_add_test(c, txt_of_no_verdict_is_refused);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
