/* SPDX-License-Identifier: BSD-3-Clause */
/* Which question a DNS query asks. */
#include "module/core/question.h"

#include <check.h>
#include <stdlib.h>

#include "module/core/rrset.h"
#include "tests/unit/octets.h"

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

#define RR  65300
#define TXT KBV_TYPE_TXT

/* 32 octets of 0xAA, of 0xFF, and SHA-256("") as digest labels. */
#define AA      "lalalalalalalalalalalalalalalalalalalalalalalalalal0"
#define AA_BITS "lalalalalalalalalalalalalalalalalalalalalalalalalal1" /* an unused bit is set */
#define FF      "VVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVG"
#define NOTHING "seoc8gkovge196nruj49irtp4gjqsgf4cidp6j54imchmu2in1ag"

#define JOINEUIS "joineuis.lora-alliance.org."
#define JOINEUI  "0.0.0.0.0.0.0.d.e.7.5.d.3.b.0.7." JOINEUIS

struct row {
    const char *name;
    uint16_t type;
    enum kbv_question_form form;
    enum kbv_status refusal;
    const char *owner; /* q->name as text; NULL: as asked, in lower case */
    enum kbv_id_kind id;
    enum kbv_subject_kind subject;
};

static struct kbv_options *make_options(const char *const extra[][2], int n)
{
    static const char *const zones[] = {JOINEUIS " joineui", "netids.lora-alliance.org. netid",
                                        "dev.example. deveui form=flat", "example. joineui",
                                        "_eui.net. joineui"};
    struct kbv_options *o = kbv_options_create();
    char err[200];

    ck_assert_ptr_nonnull(o);
    for (int i = 0; i < ROWS(zones); i++)
        ck_assert_msg(kbv_options_set(o, "kbv-zone", zones[i], err, sizeof(err)) == KBV_OK, "%s",
                      err);
    for (int i = 0; i < n; i++)
        ck_assert_msg(kbv_options_set(o, extra[i][0], extra[i][1], err, sizeof(err)) == KBV_OK,
                      "%s", err);
    ck_assert_int_eq(kbv_options_finish(o, err, sizeof(err)), KBV_OK);
    return o;
}

static void check_row(const struct kbv_options *o, const struct row *row)
{
    struct octets_name name = octets_from_name(row->name);
    struct octets_name owner = octets_from_name(row->owner != NULL ? row->owner : row->name);
    struct kbv_question q;

    kbv_name_lower(owner.wire, owner.wire, owner.len);
    memset(&q, 0xA5, sizeof(q));
    kbv_question_read(o, name.wire, name.len, row->type, &q);
    ck_assert_msg(q.form == row->form, "%s: form %d", row->name, (int)q.form);
    ck_assert_msg(q.refusal == row->refusal, "%s: refusal %d", row->name, (int)q.refusal);
    ck_assert_msg((q.reason != NULL) == (row->refusal != 0), "%s: reason", row->name);
    ck_assert_msg(q.id.kind == row->id, "%s: identifier %d", row->name, (int)q.id.kind);
    ck_assert_msg((q.zone != NULL) == (row->id != KBV_ID_NONE), "%s: zone", row->name);
    if (q.zone != NULL)
        ck_assert_int_eq(q.zone->kind, q.id.kind);
    ck_assert_msg(q.subject.kind == row->subject, "%s: subject %d", row->name, (int)q.subject.kind);
    ck_assert_msg(q.under_kbv == kbv_name_under_kbv(name.wire, name.len), "%s: _kbv", row->name);
    ck_assert_msg(q.name_len == owner.len && memcmp(q.name, owner.wire, owner.len) == 0, "%s: name",
                  row->name);
}

static void check_rows(const struct row *rows, const char *const extra[][2], int n_extra, int i)
{
    struct kbv_options *o = make_options(extra, n_extra);

    check_row(o, &rows[i]);
    kbv_options_delete(o);
}

/* ---- with the options as they are by default ---- */

static const struct row usual[] = {
    /* Others' questions. */
    {"js.example.net.", 1, KBV_FORM_NOT_OURS, 0, NULL, 0, 0},
    {"js.example.net.", TXT, KBV_FORM_NOT_OURS, 0, NULL, 0, 0},
    {"_443._tcp.js.example.net.", KBV_TYPE_TLSA, KBV_FORM_NOT_OURS, 0, NULL, 0, 0},
    {JOINEUI, TXT, KBV_FORM_NOT_OURS, 0, NULL, 0, 0},
    {JOINEUI, 255, KBV_FORM_NOT_OURS, 0, NULL, 0, 0},
    {"_kbvx.js.example.net.", TXT, KBV_FORM_NOT_OURS, 0, NULL, 0, 0},
    {"akbv.js.example.net.", TXT, KBV_FORM_NOT_OURS, 0, NULL, 0, 0},
    {"_tbv.js.example.net.", TXT, KBV_FORM_NOT_OURS, 0, NULL, 0, 0},
    {"_kcv.js.example.net.", TXT, KBV_FORM_NOT_OURS, 0, NULL, 0, 0},
    {"_kbw.js.example.net.", TXT, KBV_FORM_NOT_OURS, 0, NULL, 0, 0},
    {"x_kbv.js.example.net.", 1, KBV_FORM_NOT_OURS, 0, NULL, 0, 0},

    /* Identifiers. */
    {JOINEUI, RR, KBV_FORM_RR, 0, NULL, KBV_ID_JOINEUI, 0},
    {"0.0.0.0.0.0.0.D.E.7.5.D.3.B.0.7.JoinEUIs.LoRa-Alliance.org.", RR, KBV_FORM_RR, 0, NULL,
     KBV_ID_JOINEUI, 0},
    {"00050a.netids.lora-alliance.org.", RR, KBV_FORM_RR, 0, NULL, KBV_ID_NETID, 0},
    {"0004a30b001a2b3c.dev.example.", RR, KBV_FORM_RR, 0, NULL, KBV_ID_DEVEUI, 0},
    {"0.0.0.0.0.0.0.d.e.7.5.d.3.b.0.7.example.", RR, KBV_FORM_RR, 0, NULL, KBV_ID_JOINEUI, 0},

    /* Below a suffix, and no identifier. */
    {JOINEUIS, RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, NULL, 0, 0},
    {"x." JOINEUIS, RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, NULL, 0, 0},
    {"0." JOINEUI, RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, NULL, 0, 0},
    {"0.0.0.0.0.0.d.e.7.5.d.3.b.0.7." JOINEUIS, RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, NULL, 0, 0},
    {"g.0.0.0.0.0.0.d.e.7.5.d.3.b.0.7." JOINEUIS, RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, NULL, 0,
     0},
    {"70b3d57ed0000000." JOINEUIS, RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, NULL, 0, 0},
    {"a.0.5.0.0.0.netids.lora-alliance.org.", RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, NULL, 0, 0},
    {"www.00050a.netids.lora-alliance.org.", RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, NULL, 0, 0},
    {"c.3.b.2.a.1.0.0.b.0.3.a.4.0.0.0.dev.example.", RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, NULL, 0,
     0},
    {"dev.example.", RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, NULL, 0, 0},
    {"js.example.", RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, NULL, 0, 0},
    {"js._eui.net.", RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, NULL, 0, 0}, /* "_" of the suffix */

    /* Literal owners. */
    {"_8003._tcp.js.op.net.", RR, KBV_FORM_RR, 0, NULL, 0, 0},
    {"_NS-Client.ns.op.net.", RR, KBV_FORM_RR, 0, NULL, 0, 0},
    {"js.op.net.", RR, KBV_FORM_RR, 0, NULL, 0, 0},
    {".", RR, KBV_FORM_RR, 0, NULL, 0, 0},
    {"lora-alliance.org.", RR, KBV_FORM_RR, 0, NULL, 0, 0},
    {"xjoineuis.lora-alliance.org.", RR, KBV_FORM_RR, 0, NULL, 0, 0},
    {"_ns-client.00050a.netids.lora-alliance.org.", RR, KBV_FORM_RR, 0, NULL, 0, 0},
    {"_443._tcp." JOINEUI, RR, KBV_FORM_RR, 0, NULL, 0, 0},
    {"x._y.js.example.", RR, KBV_FORM_RR, 0, NULL, 0, 0},
    {"js._example.", RR, KBV_FORM_RR, 0, NULL, 0, 0},

    /* Without a digest below _kbv. */
    {"_kbv.js.op.net.", TXT, KBV_FORM_TXT, 0, "js.op.net.", 0, 0},
    {"_kbv.js.op.net.", RR, KBV_FORM_RR, 0, "js.op.net.", 0, 0},
    {"_KBV." JOINEUI, TXT, KBV_FORM_TXT, 0, JOINEUI, KBV_ID_JOINEUI, 0},
    {"_kbv." JOINEUIS, TXT, KBV_FORM_TXT, KBV_STATUS_BAD_INPUT, JOINEUIS, 0, 0},
    {"_kbv.", TXT, KBV_FORM_TXT, 0, ".", 0, 0},

    /* With a digest. */
    {"s" AA "._kbv.js.op.net.", RR, KBV_FORM_RR, 0, "js.op.net.", 0, KBV_SUBJECT_SPKI},
    {"c" AA "._kbv.js.op.net.", RR, KBV_FORM_RR, 0, "js.op.net.", 0, KBV_SUBJECT_CERT},
    {"s" AA "._kbv.js.op.net.", TXT, KBV_FORM_TXT, 0, "js.op.net.", 0, KBV_SUBJECT_SPKI},
    {"S" FF "._Kbv.JS.op.net.", RR, KBV_FORM_RR, 0, "js.op.net.", 0, KBV_SUBJECT_SPKI},
    {"C" FF "._kbv." JOINEUI, RR, KBV_FORM_RR, 0, JOINEUI, KBV_ID_JOINEUI, KBV_SUBJECT_CERT},
    {"s" AA "._kbv.x." JOINEUIS, RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, "x." JOINEUIS, 0,
     KBV_SUBJECT_SPKI},

    /* With what is no digest. */
    {"x" AA "._kbv.js.op.net.", RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, "js.op.net.", 0, 0},
    {AA "._kbv.js.op.net.", RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, "js.op.net.", 0, 0},
    {"s" AA "0._kbv.js.op.net.", RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, "js.op.net.", 0, 0},
    {"s._kbv.js.op.net.", TXT, KBV_FORM_TXT, KBV_STATUS_BAD_INPUT, "js.op.net.", 0, 0},
    {"s" AA_BITS "._kbv.js.op.net.", RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, "js.op.net.", 0, 0},
    {"s" NOTHING "._kbv.js.op.net.", RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, "js.op.net.", 0, 0},
    {"c" NOTHING "._kbv.js.op.net.", TXT, KBV_FORM_TXT, KBV_STATUS_BAD_INPUT, "js.op.net.", 0, 0},
    {"\\000._kbv.js.op.net.", RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, "js.op.net.", 0, 0},
    {"_443._kbv.js.op.net.", RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, "js.op.net.", 0, 0},
    {"x.s" AA "._kbv.js.op.net.", RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, "js.op.net.", 0, 0},
    {"s" AA ".s" AA "._kbv.js.op.net.", RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, "js.op.net.", 0, 0},
    {"_443._tcp.s" AA "._kbv.js.op.net.", RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, "js.op.net.", 0,
     0},
    {"_kbv._kbv.js.op.net.", RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, NULL, 0, 0},
    {"s" AA "._kbv.c" AA "._KBV.js.op.net.", RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, NULL, 0, 0},
    {"_kbv.js.op.net._kbv.", TXT, KBV_FORM_TXT, KBV_STATUS_BAD_INPUT, NULL, 0, 0},

    /* Other types below _kbv. */
    {"_kbv.js.op.net.", 1, KBV_FORM_NODATA, 0, NULL, 0, 0},
    {"_kbv.js.op.net.", 255, KBV_FORM_NODATA, 0, NULL, 0, 0},
    {"s" AA "._kbv.js.op.net.", KBV_TYPE_TLSA, KBV_FORM_NODATA, 0, NULL, 0, 0},
    {"_443._tcp._kBv.js.op.net.", KBV_TYPE_TLSA, KBV_FORM_NODATA, 0, NULL, 0, 0},
    {"_kbv._kbv.", KBV_TYPE_CNAME, KBV_FORM_NODATA, 0, NULL, 0, 0},
};

START_TEST(questions_are_told_apart)
{
    check_rows(usual, NULL, 0, _i);
}
END_TEST

/* ---- with other options ---- */

static const struct row without_literals[] = {
    {JOINEUI, RR, KBV_FORM_RR, 0, NULL, KBV_ID_JOINEUI, 0},
    {"_kbv." JOINEUI, TXT, KBV_FORM_TXT, 0, JOINEUI, KBV_ID_JOINEUI, 0},
    {"x." JOINEUIS, RR, KBV_FORM_RR, KBV_STATUS_BAD_INPUT, NULL, 0, 0},
    {"_443._tcp.js.op.net.", RR, KBV_FORM_RR, KBV_STATUS_REFUSED, NULL, 0, 0},
    {"_ns-client.00050a.netids.lora-alliance.org.", RR, KBV_FORM_RR, KBV_STATUS_REFUSED, NULL, 0,
     0},
    {"s" AA "._kbv.js.op.net.", RR, KBV_FORM_RR, KBV_STATUS_REFUSED, "js.op.net.", 0,
     KBV_SUBJECT_SPKI},
};

START_TEST(literal_owners_can_be_switched_off)
{
    static const char *const extra[][2] = {{"kbv-literal", "no"}};

    check_rows(without_literals, extra, 1, _i);
}
END_TEST

static const struct row without_txt[] = {
    {"_kbv.js.op.net.", TXT, KBV_FORM_NODATA, 0, NULL, 0, 0},
    {"s" AA "._kbv.js.op.net.", TXT, KBV_FORM_NODATA, 0, NULL, 0, 0},
    {"s" AA "._kbv.js.op.net.", RR, KBV_FORM_RR, 0, "js.op.net.", 0, KBV_SUBJECT_SPKI},
};

START_TEST(text_can_be_switched_off)
{
    static const char *const extra[][2] = {{"kbv-txt", "no"}};

    check_rows(without_txt, extra, 1, _i);
}
END_TEST

static const struct row other_type[] = {
    {"js.op.net.", 65301, KBV_FORM_RR, 0, NULL, 0, 0},
    {"js.op.net.", 65300, KBV_FORM_NOT_OURS, 0, NULL, 0, 0},
    {"_kbv.js.op.net.", 65300, KBV_FORM_NODATA, 0, NULL, 0, 0},
};

START_TEST(the_type_is_the_configured_one)
{
    static const char *const extra[][2] = {{"kbv-rrtype", "65301"}};

    check_rows(other_type, extra, 1, _i);
}
END_TEST

/* ---- the option on a TLSA query ---- */

static const struct {
    const char *name;
    int literals;
    enum kbv_status refusal;
} tlsa_queries[] = {
    {"_443._TCP.js.op.net.", 1, 0},
    {JOINEUI, 1, 0}, /* a literal owner there, whatever the zone */
    {JOINEUIS, 1, 0},
    {"x.netids.lora-alliance.org.", 1, 0},
    {"_443._tcp.js.op.net.", 0, KBV_STATUS_REFUSED},
    {JOINEUI, 0, KBV_STATUS_REFUSED},
    {"_kbv.js.op.net.", 1, KBV_STATUS_BAD_INPUT},
    {"s" AA "._KBV.js.op.net.", 1, KBV_STATUS_BAD_INPUT},
    {"_443._tcp._kbv.js.op.net.", 0, KBV_STATUS_BAD_INPUT},
};

START_TEST(a_tlsa_query_asks_for_a_literal_owner)
{
    const char *const extra[][2] = {{"kbv-literal", tlsa_queries[_i].literals ? "yes" : "no"}};
    struct kbv_options *o = make_options(extra, 1);
    struct octets_name name = octets_from_name(tlsa_queries[_i].name);
    struct kbv_question q;

    memset(&q, 0xA5, sizeof(q));
    kbv_question_literal(o, name.wire, name.len, &q);
    ck_assert_msg(q.refusal == tlsa_queries[_i].refusal, "%s", tlsa_queries[_i].name);
    ck_assert((q.reason != NULL) == (q.refusal != 0));
    ck_assert(q.zone == NULL && q.id.kind == KBV_ID_NONE && q.subject.kind == KBV_SUBJECT_NONE);
    kbv_name_lower(name.wire, name.wire, name.len);
    ck_assert_uint_eq(q.name_len, name.len);
    ck_assert_mem_eq(q.name, name.wire, name.len);
    kbv_options_delete(o);
}
END_TEST

/* ---- octets ---- */

START_TEST(the_digest_is_read_to_the_bit)
{
    struct kbv_options *o = make_options(NULL, 0);
    struct octets_name name = octets_from_name("c" AA "._kbv.js.op.net.");
    uint8_t expected[KBV_DIGEST_LEN];
    struct kbv_question q;

    memset(expected, 0xAA, sizeof(expected));
    kbv_question_read(o, name.wire, name.len, RR, &q);
    ck_assert_int_eq(q.subject.kind, KBV_SUBJECT_CERT);
    ck_assert_mem_eq(q.subject.digest, expected, sizeof(expected));
    kbv_options_delete(o);
}
END_TEST

static const char *const no_names[] = {
    "",           /* nothing */
    "01",         /* a label cut short */
    "0161",       /* no root label */
    "045f6b6276", /* nor behind _kbv */
    "0161 00 00", /* octets behind the root label */
    "c00c",       /* compressed */
    "40 61 00",   /* a reserved label type */
};

START_TEST(what_is_no_name_is_refused)
{
    struct kbv_options *o = make_options(NULL, 0);
    uint8_t octets[16];
    size_t len = octets_from_hex(no_names[_i], octets, sizeof(octets));
    struct kbv_question q;

    kbv_question_read(o, octets, len, RR, &q);
    ck_assert_int_eq(q.refusal, KBV_STATUS_BAD_INPUT);
    ck_assert(q.name_len == 1 && q.name[0] == 0);
    kbv_question_literal(o, octets, len, &q);
    ck_assert_int_eq(q.refusal, KBV_STATUS_BAD_INPUT);
    ck_assert(!kbv_name_under_kbv(octets, len));
    kbv_options_delete(o);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("question");
    TCase *tcase = tcase_create("question");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, questions_are_told_apart, 0, ROWS(usual));
    tcase_add_loop_test(tcase, literal_owners_can_be_switched_off, 0, ROWS(without_literals));
    tcase_add_loop_test(tcase, text_can_be_switched_off, 0, ROWS(without_txt));
    tcase_add_loop_test(tcase, the_type_is_the_configured_one, 0, ROWS(other_type));
    tcase_add_loop_test(tcase, a_tlsa_query_asks_for_a_literal_owner, 0, ROWS(tlsa_queries));
    tcase_add_test(tcase, the_digest_is_read_to_the_bit);
    tcase_add_loop_test(tcase, what_is_no_name_is_refused, 0, ROWS(no_names));
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
