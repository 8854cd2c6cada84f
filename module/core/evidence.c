/* SPDX-License-Identifier: BSD-3-Clause */
/* See evidence.h. */
#include "module/core/evidence.h"

#include <stdio.h>
#include <string.h>

struct kbv_slice kbv_question_name(const struct kbv_question *q)
{
    return (struct kbv_slice){q->name, q->name_len};
}

struct kbv_slice kbv_mem_name(const struct kbv_mem *mem, struct kbv_slice name)
{
    uint8_t *p = mem->alloc(mem->arg, name.len);

    if (!p)
        return (struct kbv_slice){NULL, 0};
    kbv_name_lower(p, name.p, name.len);
    return (struct kbv_slice){p, name.len};
}

void kbv_evidence_start(struct kbv_evidence *e, const struct kbv_question *q,
                        enum kbv_finding finding)
{
    *e = (struct kbv_evidence){
        .finding = finding,
        .ede = KBV_EDE_NONE,
        .owner = kbv_question_name(q),
    };
    if (q->zone) {
        e->identifier_name = kbv_question_name(q);
        e->identifier = q->id;
    }
}

void kbv_evidence_reason(struct kbv_evidence *e, const char *before, struct kbv_slice name,
                         const char *after)
{
    static const char dots[] = "...";
    char text[KBV_NAME_TEXT_MAX];
    size_t rest = strlen(before) + strlen(after) + strlen(dots);
    size_t room = rest < KBV_REASON_MAX ? KBV_REASON_MAX - rest : 0;
    bool fits;

    kbv_name_to_text(name.p, name.len, text);
    fits = strlen(text) <= room + strlen(dots);
    snprintf(e->reason, sizeof(e->reason), "%s%.*s%s%s", before,
             (int)(fits ? room + strlen(dots) : room), text, fits ? "" : dots, after);
}

void kbv_evidence_step(struct kbv_evidence *e, const struct kbv_step *step, const char *before,
                       struct kbv_slice name)
{
    char after[64];

    snprintf(after, sizeof(after), ": %s", step->what ? step->what : "denied");
    kbv_evidence_reason(e, before, name, after);
    switch (step->outcome) {
    case KBV_OUTCOME_UNPROVEN:
        e->finding = KBV_FOUND_UNPROVEN;
        e->security = step->security;
        e->ede = step->ede;
        return;
    case KBV_OUTCOME_STALE:
        e->finding = KBV_FOUND_STALE;
        return;
    case KBV_OUTCOME_LIMIT:
        e->finding = KBV_FOUND_LIMIT;
        return;
    case KBV_OUTCOME_DENIED:
        e->finding = KBV_FOUND_DENIAL;
        return;
    case KBV_OUTCOME_RECORDS: /* never: such a step does not end its path without records */
    case KBV_OUTCOME_FAILED:
        break;
    }
    e->finding = KBV_FOUND_FAILURE;
}

void kbv_evidence_tlsa(struct kbv_evidence *e, const struct kbv_reading *r, struct kbv_slice name)
{
    if (r->all.outcome == KBV_OUTCOME_RECORDS) {
        e->finding = KBV_FOUND_TLSA;
        e->tlsa = r->rrset;
    } else if (r->all.outcome == KBV_OUTCOME_DENIED) {
        e->finding = KBV_FOUND_DENIAL;
        kbv_evidence_reason(e, "no TLSA at ", name, "");
    } else {
        kbv_evidence_step(e, &r->all, "TLSA at ", name);
    }
}

void kbv_evidence_reference(struct kbv_evidence *e, struct kbv_slice name)
{
    if (!name.p)
        return;
    for (size_t i = 0; i < e->n_reference_names; i++) {
        struct kbv_slice old = e->reference_names[i];
        if (kbv_name_equal(old.p, old.len, name.p, name.len))
            return;
    }
    if (e->n_reference_names < KBV_REFERENCE_NAMES_MAX)
        e->reference_names[e->n_reference_names++] = name;
}

bool kbv_evidence_found_at(struct kbv_evidence *e, const struct kbv_mem *mem, struct kbv_slice end)
{
    if (kbv_name_equal(e->owner.p, e->owner.len, end.p, end.len))
        return true;
    e->found_at = kbv_mem_name(mem, end);
    return e->found_at.p != NULL;
}

uint8_t kbv_step_flags(const struct kbv_step *step, unsigned hops)
{
    return (uint8_t)((hops ? KBV_FLAG_ALIASED : 0) | (step->wildcard ? KBV_FLAG_WILDCARD : 0));
}

/* A server's owner stands below its host. A client's name is the complete owner, and so is an
 * identity's (draft-ietf-dance-client-auth). */
static struct kbv_slice literal_reference(const struct kbv_question *q)
{
    struct kbv_slice host;

    if (!q->zone && kbv_name_is_server_owner(q->name, q->name_len, &host.p, &host.len))
        return host;
    return kbv_question_name(q);
}

bool kbv_evidence_literal(struct kbv_evidence *e, const struct kbv_mem *mem,
                          const struct kbv_question *q, const struct kbv_reading *r)
{
    kbv_evidence_start(e, q, KBV_FOUND_NOTHING);
    e->flags = kbv_step_flags(&r->all, r->hops);
    e->life_end = r->all.life_end;
    e->signed_until = r->all.signed_until;
    kbv_evidence_tlsa(e, r, e->owner);
    if (e->finding != KBV_FOUND_TLSA)
        return true;
    kbv_evidence_reference(e, literal_reference(q));
    if (kbv_evidence_found_at(e, mem, r->end))
        return true;
    kbv_evidence_start(e, q, KBV_FOUND_FAILURE);
    snprintf(e->reason, sizeof(e->reason), "out of memory");
    return false;
}

void kbv_lookup_literal(const struct kbv_mem *mem, const struct kbv_question *q,
                        const struct kbv_answer *a, int64_t now, struct kbv_evidence *e)
{
    struct kbv_reading r;

    kbv_answer_read(a, kbv_question_name(q), KBV_TYPE_TLSA, now, &r);
    kbv_evidence_literal(e, mem, q, &r);
}
