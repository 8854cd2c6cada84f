/* SPDX-License-Identifier: BSD-3-Clause */
/* See question.h. */
#include "module/core/question.h"

#include <string.h>

#include "module/core/rrset.h"
#include <kbv/request.h>

enum { KBV_LABEL_OCTETS = 5 };

/* The label that stands between a name and what is asked about it, whatever the case (RFC 4343);
 * there are KBV_LABEL_OCTETS at label. Looked for in every query, and every TLSA owner has other
 * labels that begin with "_" and are as long. */
static bool is_kbv_label(const uint8_t *label)
{
    const uint8_t fold = 'a' ^ 'A';

    return label[0] == KBV_LABEL_OCTETS - 1 && label[1] == '_' && (label[2] | fold) == 'k' &&
           (label[3] | fold) == 'b' && (label[4] | fold) == 'v';
}

/* The first _kbv label in a well-formed name; NULL if there is none. *before: labels before it. */
static const uint8_t *find_kbv_label(const uint8_t *name, size_t *before)
{
    *before = 0;
    for (const uint8_t *label = name; label[0] != 0; label += label[0] + 1) {
        if (is_kbv_label(label))
            return label;
        ++*before;
    }
    return NULL;
}

bool kbv_name_under_kbv(const uint8_t *name, size_t len)
{
    size_t at = 0;
    bool found = false;

    /* In one pass with the check that it is a name: every query comes by here. */
    while (at < len && name[at] != 0) {
        if (name[at] > 63)
            return false;
        found |= at + KBV_LABEL_OCTETS <= len && is_kbv_label(name + at);
        at += name[at] + 1u;
    }
    return found && at < len;
}

static void refuse(struct kbv_question *q, enum kbv_status status, const char *reason)
{
    q->refusal = status;
    q->reason = reason;
}

static void set_name(struct kbv_question *q, const uint8_t *name, size_t len)
{
    kbv_name_lower(q->name, name, len);
    q->name_len = len;
}

/* A name that cannot be read is asked as the root: a verdict needs an owner. */
static bool set_readable_name(struct kbv_question *q, const uint8_t *name, size_t len)
{
    if (len != 0 && kbv_name_len(name, len) == len) {
        set_name(q, name, len);
        return true;
    }
    set_name(q, (const uint8_t *)"", 1);
    refuse(q, KBV_STATUS_BAD_INPUT, "malformed name");
    return false;
}

static void read_literal(const struct kbv_options *o, struct kbv_question *q)
{
    if (!o->literal)
        refuse(q, KBV_STATUS_REFUSED, "literal owners are not served here");
}

/* True if a label in front of the suffix begins with "_". */
static bool has_service_label(const uint8_t *name, size_t len, size_t suffix_len)
{
    for (const uint8_t *label = name; label < name + len - suffix_len; label += label[0] + 1) {
        if (label[1] == '_')
            return true;
    }
    return false;
}

/* An identifier of a zone, or a literal owner. */
static void read_name(const struct kbv_options *o, struct kbv_question *q)
{
    const struct kbv_zone *zone = kbv_options_zone(o, q->name, q->name_len);

    if (zone == NULL) {
        read_literal(o, q);
    } else if (kbv_id_from_name(zone->kind, zone->form == KBV_FORM_NIBBLE, q->name, q->name_len,
                                zone->suffix, zone->suffix_len, &q->id) == KBV_OK) {
        q->zone = zone;
    } else if (has_service_label(q->name, q->name_len, zone->suffix_len)) {
        read_literal(o, q);
    } else {
        refuse(q, KBV_STATUS_BAD_INPUT, "no identifier of this zone");
    }
}

static bool read_digest_label(const uint8_t *label, struct kbv_subject *subject)
{
    struct kbv_subject read;
    char kind;

    if (kbv_digest_label_decode(label + 1, label[0], &kind, read.digest) != KBV_OK ||
        kbv_digest_of_nothing(read.digest))
        return false;
    read.kind = kind == 's' ? KBV_SUBJECT_SPKI : KBV_SUBJECT_CERT;
    *subject = read;
    return true;
}

/* [s<52>.|c<52>.]_kbv.NAME: label is the _kbv label, before the number of labels in front of it. */
static void read_under_kbv(const struct kbv_options *o, const uint8_t *qname, size_t qname_len,
                           const uint8_t *label, size_t before, struct kbv_question *q)
{
    const uint8_t *rest = label + label[0] + 1;
    size_t rest_len = qname_len - (size_t)(rest - qname);

    if (kbv_name_under_kbv(rest, rest_len)) {
        refuse(q, KBV_STATUS_BAD_INPUT, "more than one _kbv label");
        return;
    }
    set_name(q, rest, rest_len);
    if (before > 1)
        refuse(q, KBV_STATUS_BAD_INPUT, "more than a digest label before _kbv");
    else if (before == 1 && !read_digest_label(qname, &q->subject))
        refuse(q, KBV_STATUS_BAD_INPUT, "malformed digest label");
    else
        read_name(o, q);
}

static enum kbv_question_form form_under_kbv(const struct kbv_options *o, uint16_t qtype)
{
    if (qtype == o->rrtype)
        return KBV_FORM_RR;
    return qtype == KBV_TYPE_TXT && o->txt ? KBV_FORM_TXT : KBV_FORM_NODATA;
}

void kbv_question_read(const struct kbv_options *o, const uint8_t *qname, size_t qname_len,
                       uint16_t qtype, struct kbv_question *q)
{
    const uint8_t *label;
    size_t before;

    *q = (struct kbv_question){.form = qtype == o->rrtype ? KBV_FORM_RR : KBV_FORM_NOT_OURS};
    if (!set_readable_name(q, qname, qname_len))
        return;
    label = find_kbv_label(qname, &before);
    if (label != NULL) {
        q->under_kbv = true;
        q->form = form_under_kbv(o, qtype);
        if (q->form != KBV_FORM_NODATA)
            read_under_kbv(o, qname, qname_len, label, before, q);
    } else if (q->form == KBV_FORM_RR) {
        read_name(o, q);
    }
}

void kbv_question_literal(const struct kbv_options *o, const uint8_t *qname, size_t qname_len,
                          struct kbv_question *q)
{
    *q = (struct kbv_question){.form = KBV_FORM_NOT_OURS};
    if (!set_readable_name(q, qname, qname_len))
        return;
    q->under_kbv = kbv_name_under_kbv(q->name, q->name_len);
    if (q->under_kbv)
        refuse(q, KBV_STATUS_BAD_INPUT, "material on a _kbv name");
    else
        read_literal(o, q);
}
