/* SPDX-License-Identifier: BSD-3-Clause */
/* Which question a DNS query asks of this module, if any. */
#ifndef KBV_CORE_QUESTION_H
#define KBV_CORE_QUESTION_H

#include "options.h"
#include <kbv/verdict.h>

enum kbv_question_form {
    KBV_FORM_NOT_OURS = 0, /* the resolver's own affair */
    KBV_FORM_RR,           /* verdicts as RRs of the configured type */
    KBV_FORM_TXT,          /* verdicts as TXT */
    KBV_FORM_NODATA,       /* a _kbv name with another type */
};

struct kbv_question {
    enum kbv_question_form form;
    bool under_kbv;             /* a _kbv label was in the name */
    enum kbv_status refusal;    /* 0, or BAD_INPUT or REFUSED: no discovery, this is the verdict */
    const char *reason;         /* with refusal: static text */
    struct kbv_subject subject; /* kind not NONE for s… and c… names */
    uint8_t name[KBV_NAME_MAX]; /* lower case, without _kbv labels */
    size_t name_len;
    const struct kbv_zone *zone; /* of an identifier (the options own it); NULL: literal owner */
    struct kbv_id id;            /* kind NONE for a literal owner */
};

/* Reads qname (wire, any case) and qtype. Never fails: what is malformed is a refusal in *q. name
 * is the whole name asked with form NODATA and where _kbv labels cannot be told apart, the root
 * where qname is no name. A refusal of the name keeps the subject, one of the digest label has
 * none. */
void kbv_question_read(const struct kbv_options *o, const uint8_t *qname, size_t qname_len,
                       uint16_t qtype, struct kbv_question *q);

/* The same for the EDNS option on a TLSA query: the name is a literal owner always, and form, which
 * is about the answer, is NOT_OURS: the answer is the resolver's. */
void kbv_question_literal(const struct kbv_options *o, const uint8_t *qname, size_t qname_len,
                          struct kbv_question *q);

/* True if the name at the start of name, at most len octets, is well-formed and has a _kbv label in
 * any case. */
bool kbv_name_under_kbv(const uint8_t *name, size_t len);

#endif
