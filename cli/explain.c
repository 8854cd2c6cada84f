/* SPDX-License-Identifier: BSD-3-Clause */
/* A verdict for people: each octet and what it says. */
#include <stdarg.h>
#include <string.h>

#include "cli/cli.h"
#include "lib/text.h"

enum { OCTETS_A_LINE = 16 };

struct page {
    FILE *out;
    const uint8_t *octets;
    size_t at; /* octets explained */
};

/* The next n octets and what they say, on as many lines as they need. */
__attribute__((format(printf, 3, 4))) static void row(struct page *p, size_t n, const char *format,
                                                      ...)
{
    char hex[3 * OCTETS_A_LINE + 1];
    va_list args;
    size_t done = 0;

    do {
        size_t len = n - done < OCTETS_A_LINE ? n - done : OCTETS_A_LINE;

        for (size_t i = 0; i < len; i++)
            snprintf(hex + 3 * i, 4, "%02x ", p->octets[p->at + done + i]);
        hex[len ? 3 * len - 1 : 0] = '\0';
        fprintf(p->out, "%5zu  %-*s", p->at + done, done ? 0 : 3 * OCTETS_A_LINE + 1, hex);
        if (done == 0) {
            va_start(args, format);
            vfprintf(p->out, format, args);
            va_end(args);
        }
        fputc('\n', p->out);
        done += len;
    } while (done < n);
    p->at += n;
}

static void name_row(struct page *p, const char *what, struct kbv_slice name)
{
    char text[KBV_NAME_TEXT_MAX];

    kbv_name_to_text(name.p, name.len, text);
    row(p, name.len, "%s%s", what, text);
}

static void flags_row(struct page *p, uint8_t set)
{
    char text[N_FLAGS * 16] = "";

    for (size_t i = 0; i < N_FLAGS; i++)
        if (set & flag_names[i].flag) {
            strcat(text, " ");
            strcat(text, flag_names[i].name);
        }
    row(p, 1, "flags:%s", set ? text : " none");
}

static void head_rows(struct page *p, const struct kbv_verdict *v)
{
    static const char *const subjects[] = {"none", "SHA-256 of a SubjectPublicKeyInfo",
                                           "SHA-256 of a certificate"};
    bool matched = v->match.usage != KBV_MATCH_NONE.usage;
    char time[KBV_TIME_TEXT_LEN];

    row(p, 1, "version 1, verdict");
    row(p, 1, "status %u %s: %s", v->status, kbv_status_name(v->status),
        kbv_status_text(v->status));
    flags_row(p, v->flags);
    row(p, 1, "subject: %s", subjects[v->subject.kind]);
    if (matched)
        row(p, 3, "matched a record %u %u %u", v->match.usage, v->match.selector, v->match.mtype);
    else
        row(p, 3, "matched no record");
    if (v->alg)
        row(p, 1, "lowest DNSSEC algorithm over the TLSA RRset: %u", v->alg);
    else
        row(p, 1, "no DNSSEC algorithm");
    kbv_time_text(v->issued, time);
    row(p, 4, "issued %s", time);
    kbv_time_text(v->not_after, time);
    row(p, 4, "void from %s on, %lu s later", time,
        (unsigned long)(uint32_t)(v->not_after - v->issued));
    row(p, sizeof(v->subject.digest), "subject digest");
    row(p, sizeof(v->rrset_hash), "hash of the TLSA RRset");
    if (v->ede == KBV_EDE_NONE)
        row(p, 2, "no EDE");
    else
        row(p, 2, "EDE info code %u", v->ede);
    name_row(p, "owner ", v->owner);
}

static void identifier_rows(struct page *p, const struct kbv_verdict *v)
{
    char text[17];

    kbv_id_text(&v->identifier, text);
    row(p, 4, "IDENTIFIER");
    row(p, 1, "  %s", kbv_id_kind_name(v->identifier.kind));
    row(p, v->identifier.len, "  %s", text);
    name_row(p, "  name asked ", v->identifier_name);
}

static void endpoint_rows(struct page *p, const struct kbv_verdict *v)
{
    row(p, 4, "ENDPOINT");
    row(p, 2, "  order %u", v->order);
    row(p, 2, "  preference %u", v->preference);
    row(p, 2, "  priority %u", v->priority);
    row(p, 2, "  weight %u", v->weight);
    row(p, 2, "  port %u", v->port);
    name_row(p, "  target ", v->target);
}

static void associations_rows(struct page *p, struct kbv_slice associations)
{
    struct kbv_association a;

    row(p, 4, "ASSOCIATIONS");
    for (size_t pos = 0; kbv_association_next(associations, &pos, &a);) {
        row(p, 5, "  %u %u %u, %zu octets", a.usage, a.selector, a.mtype, a.data.len);
        row(p, a.data.len, "    data");
    }
}

static void names_rows(struct page *p, struct kbv_slice names)
{
    struct kbv_slice name;

    row(p, 4, "REFERENCE_NAMES");
    for (size_t pos = 0; kbv_reference_name_next(names, &pos, &name);)
        name_row(p, "  ", name);
}

static void tlv_rows(struct page *p, const struct kbv_verdict *v)
{
    char reason[KBV_REASON_MAX + 1];

    if (v->nonce.p) {
        row(p, 4, "NONCE");
        row(p, v->nonce.len, "  as in the request");
    }
    if (v->has_identifier)
        identifier_rows(p, v);
    if (v->has_endpoint)
        endpoint_rows(p, v);
    if (v->associations.p)
        associations_rows(p, v->associations);
    if (v->found_at.p) {
        row(p, 4, "FOUND_AT");
        name_row(p, "  ", v->found_at);
    }
    if (v->reference_names.p)
        names_rows(p, v->reference_names);
    if (v->reason.p) {
        kbv_reason_text(v->reason, reason);
        row(p, 4, "REASON");
        if (v->reason.len)
            row(p, v->reason.len, "  %s", reason);
    }
    if (v->extensions.p)
        row(p, v->extensions.len, "unknown, not critical");
}

void explain_verdict(FILE *out, const struct kbv_verdict *v, const uint8_t *octets)
{
    struct page p = {.out = out, .octets = octets};

    head_rows(&p, v);
    row(&p, 2, "%u octets of TLVs", octets[p.at] << 8 | octets[p.at + 1]);
    tlv_rows(&p, v);
    if (v->auth == 0) {
        row(&p, 1, "not signed");
        return;
    }
    row(&p, 1, "signed with Ed25519");
    row(&p, sizeof(v->key_id), "  key id");
    row(&p, v->signature.len, "  signature, not verified here");
}
