/* SPDX-License-Identifier: BSD-3-Clause */
/* Names and types that clients ask for. The input is the type, then the name. */
#include "module/core/question.h"

#include <string.h>

#include "module/core/rrset.h"
#include "tests/fuzz/require.h"
#include <kbv/request.h>

static struct kbv_options *make_options(void)
{
    static const char *const zones[] = {
        "joineuis.lora-alliance.org joineui",
        "netids.lora-alliance.org netid",
        "dev.example deveui form=flat",
        "example deveui",
    };
    struct kbv_options *o = kbv_options_create();
    char err[200];

    REQUIRE(o != NULL);
    for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++)
        REQUIRE(kbv_options_set(o, "kbv-zone", zones[i], err, sizeof(err)) == KBV_OK);
    REQUIRE(kbv_options_finish(o, err, sizeof(err)) == KBV_OK);
    return o;
}

static void check_identifier(const struct kbv_question *q)
{
    uint8_t name[KBV_NAME_MAX];
    size_t len;

    REQUIRE((q->zone != NULL) == (q->id.kind != KBV_ID_NONE));
    if (q->zone == NULL)
        return;
    REQUIRE(q->refusal == 0 && q->zone->kind == q->id.kind);
    REQUIRE(kbv_id_to_name(&q->id, q->zone->form == KBV_FORM_NIBBLE, q->zone->suffix,
                           q->zone->suffix_len, name, &len) == KBV_OK);
    REQUIRE(len == q->name_len && memcmp(name, q->name, len) == 0);
}

static void check_question(const struct kbv_question *q, uint16_t type, bool is_name, bool kbv)
{
    REQUIRE(kbv_name_is_canonical(q->name, q->name_len));
    REQUIRE(q->refusal == 0 || q->refusal == KBV_STATUS_REFUSED ||
            q->refusal == KBV_STATUS_BAD_INPUT);
    REQUIRE((q->refusal != 0) == (q->reason != NULL));
    REQUIRE(is_name || q->refusal == KBV_STATUS_BAD_INPUT);
    REQUIRE(q->under_kbv == kbv);
    /* What is asked upstream never has a label of ours. */
    REQUIRE(q->refusal != 0 || q->form == KBV_FORM_NODATA ||
            !kbv_name_under_kbv(q->name, q->name_len));
    REQUIRE(q->subject.kind == KBV_SUBJECT_NONE ||
            (kbv && !kbv_digest_of_nothing(q->subject.digest)));
    switch (q->form) {
    case KBV_FORM_NOT_OURS:
        REQUIRE(!kbv && type != KBV_RRTYPE_DEFAULT);
        break;
    case KBV_FORM_RR:
        REQUIRE(type == KBV_RRTYPE_DEFAULT);
        break;
    case KBV_FORM_TXT:
        REQUIRE(kbv && type == KBV_TYPE_TXT);
        break;
    case KBV_FORM_NODATA:
        REQUIRE(kbv && type != KBV_RRTYPE_DEFAULT && type != KBV_TYPE_TXT);
        break;
    }
    check_identifier(q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct kbv_options *o;
    struct kbv_question q, folded;
    uint8_t lower[KBV_NAME_MAX];
    bool is_name, kbv;
    uint16_t type;

    if (o == NULL)
        o = make_options();
    if (len < 2)
        return 0;
    type = (uint16_t)(data[0] << 8 | data[1]);
    data += 2;
    len -= 2;
    is_name = len != 0 && kbv_name_len(data, len) == len;
    kbv = is_name && kbv_name_under_kbv(data, len);
    kbv_question_read(o, data, len, type, &q);
    check_question(&q, type, is_name, kbv);
    if (is_name) { /* the case of letters means nothing */
        kbv_name_lower(lower, data, len);
        kbv_question_read(o, lower, len, type, &folded);
        REQUIRE(folded.form == q.form && folded.refusal == q.refusal && folded.zone == q.zone);
        REQUIRE(folded.subject.kind == q.subject.kind && folded.id.kind == q.id.kind);
        REQUIRE(folded.name_len == q.name_len && memcmp(folded.name, q.name, q.name_len) == 0);
    }
    kbv_question_literal(o, data, len, &q);
    REQUIRE(kbv_name_is_canonical(q.name, q.name_len) && q.zone == NULL);
    REQUIRE((q.refusal == 0) == (is_name && !kbv));
    return 0;
}
