/* SPDX-License-Identifier: BSD-3-Clause */
/* See steps.h. */
#include "cli/steps.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

/* ---- memory, as the machine wants it: freed all at once ---- */

struct block {
    struct block *next;
    max_align_t octets[];
};

static void *block_alloc(void *arg, size_t len)
{
    struct steps *s = arg;
    struct block *b = calloc(1, sizeof(*b) + len);

    if (b == NULL)
        return NULL;
    b->next = s->memory;
    s->memory = b;
    return b->octets;
}

static void *zeroed(struct steps *s, size_t n, size_t size)
{
    return block_alloc(s, n * size > 0 ? n * size : 1);
}

/* ---- asking ---- */

/* The option of RFC 8914: info code and text. */
static void read_ede(ldns_pkt *pkt, char *out, size_t cap, uint16_t *code)
{
    ldns_edns_option_list *list = ldns_pkt_edns_get_option_list(pkt);

    *code = KBV_EDE_NONE;
    out[0] = '\0';
    for (size_t i = 0; list != NULL && i < ldns_edns_option_list_get_count(list); i++) {
        const ldns_edns_option *o = ldns_edns_option_list_get_option(list, i);
        const size_t len = ldns_edns_get_size(o);
        const uint8_t *data = ldns_edns_get_data(o);
        int n;

        if (ldns_edns_get_code(o) != LDNS_EDNS_EDE || len < 2)
            continue;
        *code = (uint16_t)(data[0] << 8 | data[1]);
        n = snprintf(out, cap, "EDE %u", *code);
        for (size_t j = 2; j < len && (size_t)n + 2 < cap; j++) {
            if (j == 2)
                n += snprintf(out + n, cap - (size_t)n, " ");
            out[n++] = data[j] >= ' ' && data[j] < 0x7f ? (char)data[j] : '?';
            out[n] = '\0';
        }
        return;
    }
}

static ldns_pkt *send_one(ldns_resolver *r, const struct kbv_subquery *ask, bool unchecked)
{
    ldns_rdf *name = ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, ask->name_len, ask->name);
    ldns_pkt *pkt = NULL;

    if (name == NULL)
        return NULL;
    ldns_resolver_set_dnssec_cd(r, unchecked);
    if (ldns_resolver_send(&pkt, r, name, (ldns_rr_type)ask->type, LDNS_RR_CLASS_IN,
                           (uint16_t)(LDNS_RD | (unchecked ? LDNS_CD : 0))) != LDNS_STATUS_OK) {
        ldns_pkt_free(pkt);
        pkt = NULL;
    }
    ldns_rdf_deep_free(name);
    return pkt;
}

/* What a validating resolver says of an answer: secure is AD, bogus a SERVFAIL whose reason is
 * DNSSEC (RFC 8914 sections 4.6 to 4.13) or which goes away without validation. */
static void ask_step(ldns_resolver *r, struct step *step, uint16_t *ede)
{
    ldns_pkt_rcode rcode;

    *ede = KBV_EDE_NONE;
    step->pkt = send_one(r, &step->ask, false);
    step->security = KBV_SEC_UNCHECKED;
    if (step->pkt == NULL)
        return;
    read_ede(step->pkt, step->ede, sizeof(step->ede), ede);
    rcode = ldns_pkt_get_rcode(step->pkt);
    step->arrived = rcode == LDNS_RCODE_NOERROR || rcode == LDNS_RCODE_NXDOMAIN;
    if (step->arrived) {
        step->security = ldns_pkt_ad(step->pkt) ? KBV_SEC_SECURE : KBV_SEC_INSECURE;
        return;
    }
    if (rcode != LDNS_RCODE_SERVFAIL)
        return;
    step->unsafe = send_one(r, &step->ask, true);
    if ((*ede >= 5 && *ede <= 12) ||
        (step->unsafe != NULL && ldns_pkt_get_rcode(step->unsafe) != LDNS_RCODE_SERVFAIL))
        step->security = KBV_SEC_BOGUS;
}

/* ---- from ldns' packets to the machine's views ---- */

static struct kbv_slice rdata_of(struct steps *s, const ldns_rr *rr)
{
    ldns_buffer *b = ldns_buffer_new(LDNS_MAX_PACKETLEN);
    struct kbv_slice out = {NULL, 0};
    uint8_t *p;

    if (b != NULL && ldns_rr_rdata2buffer_wire(b, rr) == LDNS_STATUS_OK &&
        (p = zeroed(s, ldns_buffer_position(b), 1)) != NULL) {
        memcpy(p, ldns_buffer_begin(b), ldns_buffer_position(b));
        out = (struct kbv_slice){p, ldns_buffer_position(b)};
    }
    ldns_buffer_free(b);
    return out;
}

static bool is_of(const ldns_rr *rr, const ldns_rr *first)
{
    return ldns_rr_get_type(rr) == ldns_rr_get_type(first) &&
           ldns_dname_compare(ldns_rr_owner(rr), ldns_rr_owner(first)) == 0;
}

static bool is_signature_of(const ldns_rr *rr, const ldns_rr *first)
{
    return ldns_rr_get_type(rr) == LDNS_RR_TYPE_RRSIG && ldns_rr_rrsig_typecovered(rr) != NULL &&
           ldns_rdf2rr_type(ldns_rr_rrsig_typecovered(rr)) == ldns_rr_get_type(first) &&
           ldns_dname_compare(ldns_rr_owner(rr), ldns_rr_owner(first)) == 0;
}

/* The RRset that the record at index first begins. False: no memory. */
static bool read_rrset(struct steps *s, const ldns_rr_list *list, size_t first,
                       enum kbv_security security, int64_t now, struct kbv_rrset *out)
{
    const size_t n = ldns_rr_list_rr_count(list);
    const ldns_rr *head = ldns_rr_list_rr(list, first);
    struct kbv_slice *rr = zeroed(s, n, sizeof(*rr)), *sig = zeroed(s, n, sizeof(*sig));
    uint8_t *owner = zeroed(s, ldns_rdf_size(ldns_rr_owner(head)), 1);

    if (rr == NULL || sig == NULL || owner == NULL)
        return false;
    memcpy(owner, ldns_rdf_data(ldns_rr_owner(head)), ldns_rdf_size(ldns_rr_owner(head)));
    *out = (struct kbv_rrset){
        .owner = {owner, ldns_rdf_size(ldns_rr_owner(head))},
        .type = (uint16_t)ldns_rr_get_type(head),
        .security = security,
        .added = now,
        .ttl_end = now + ldns_rr_ttl(head),
        .rr = rr,
        .sig = sig,
    };
    for (size_t i = 0; i < n; i++) {
        const ldns_rr *one = ldns_rr_list_rr(list, i);
        struct kbv_slice rdata;

        if (!is_of(one, head) && !is_signature_of(one, head))
            continue;
        rdata = rdata_of(s, one);
        if (rdata.p == NULL)
            return false;
        if (is_of(one, head))
            rr[out->n_rr++] = rdata;
        else
            sig[out->n_sig++] = rdata;
    }
    return true;
}

static bool is_first_of_its_rrset(const ldns_rr_list *list, size_t i)
{
    const ldns_rr *rr = ldns_rr_list_rr(list, i);

    if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_RRSIG)
        return false;
    for (size_t j = 0; j < i; j++)
        if (is_of(ldns_rr_list_rr(list, j), rr))
            return false;
    return true;
}

/* The RRsets of a section. False: no memory. */
static bool read_section(struct steps *s, const ldns_rr_list *list, enum kbv_security security,
                         int64_t now, const struct kbv_rrset **out, size_t *n_out)
{
    const size_t n = ldns_rr_list_rr_count(list);
    struct kbv_rrset *sets = zeroed(s, n, sizeof(*sets));
    size_t used = 0;

    if (sets == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        const ldns_rr_type type = ldns_rr_get_type(ldns_rr_list_rr(list, i));

        if (!is_first_of_its_rrset(list, i) || type == LDNS_RR_TYPE_NS || type == LDNS_RR_TYPE_DS)
            continue;
        if (!read_rrset(s, list, i, security, now, &sets[used++]))
            return false;
    }
    *out = sets;
    *n_out = used;
    return true;
}

/* TTL and end of signatures of what a step rests on. */
static void read_times(struct step *step, const struct kbv_answer *a, int64_t now)
{
    const struct kbv_rrset *sets[] = {a->answer, a->authority};
    const size_t counts[] = {a->n_answer, a->n_authority};
    bool first = true;

    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < counts[i]; j++) {
            const struct kbv_rrset *set = &sets[i][j];
            const uint32_t ttl = (uint32_t)(set->ttl_end - set->added);
            struct kbv_signatures sigs;

            if (first || ttl < step->ttl)
                step->ttl = ttl;
            first = false;
            kbv_rrset_signatures(set, now, &sigs);
            if (sigs.any_valid && (step->signed_until == 0 || sigs.expires < step->signed_until))
                step->signed_until = sigs.expires;
        }
}

static bool read_answer(struct steps *s, struct step *step, uint16_t ede, int64_t now,
                        struct kbv_answer *a)
{
    *a = (struct kbv_answer){.ede = ede, .security = step->security};
    if (step->security == KBV_SEC_BOGUS) {
        a->arrived = true; /* the machine reads of it that it is bogus, and nothing more */
        return true;
    }
    if (!step->arrived)
        return true;
    a->arrived = true;
    a->rcode = (uint8_t)ldns_pkt_get_rcode(step->pkt);
    if (!read_section(s, ldns_pkt_answer(step->pkt), step->security, now, &a->answer,
                      &a->n_answer) ||
        !read_section(s, ldns_pkt_authority(step->pkt), step->security, now, &a->authority,
                      &a->n_authority))
        return false;
    read_times(step, a, now);
    return true;
}

/* ---- which step led to which ---- */

/* True if a name in the record's data is name. */
static bool leads_to(const ldns_rr *rr, const ldns_rdf *name)
{
    for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
        const ldns_rdf *field = ldns_rr_rdf(rr, i);

        if (ldns_rdf_get_type(field) == LDNS_RDF_TYPE_DNAME && ldns_dname_compare(field, name) == 0)
            return true;
    }
    return false;
}

static bool step_leads_to(const struct step *step, const ldns_rdf *name)
{
    const ldns_rr_list *answer = step->arrived ? ldns_pkt_answer(step->pkt) : NULL;

    for (size_t i = 0; answer != NULL && i < ldns_rr_list_rr_count(answer); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(answer, i);

        if (ldns_rr_get_type(rr) != LDNS_RR_TYPE_RRSIG && leads_to(rr, name))
            return true;
    }
    return false;
}

/* The step whose records hold the name that is asked for here, or its host behind port and
 * protocol. What nothing leads to (a host out of a regular expression, the name itself) hangs on
 * the first step. */
static int parent_of(const struct steps *s, const struct step *step)
{
    const uint8_t *host = step->ask.name;
    size_t len = step->ask.name_len;
    ldns_rdf *name;
    int parent = s->n > 0 ? 0 : -1;

    if (step->ask.type == KBV_TYPE_TLSA)
        (void)kbv_name_is_server_owner(step->ask.name, step->ask.name_len, &host, &len);
    if (s->n > 0 && kbv_name_equal(step->ask.name, step->ask.name_len, s->step[0].ask.name,
                                   s->step[0].ask.name_len))
        return -1;
    name = ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, len, host);
    for (size_t i = 0; name != NULL && i < s->n; i++)
        if (step_leads_to(&s->step[i], name)) {
            parent = (int)i;
            break;
        }
    ldns_rdf_deep_free(name);
    return parent;
}

/* ---- the walk ---- */

static bool walk_one(struct steps *s, ldns_resolver *r, const struct kbv_subquery *ask, int64_t now)
{
    struct step *step = &s->step[s->n];
    struct kbv_answer answer;
    uint16_t ede;

    *step = (struct step){.ask = *ask};
    step->parent = parent_of(s, step);
    s->n++;
    ask_step(r, step, &ede);
    if (!read_answer(s, step, ede, now, &answer))
        return false;
    kbv_lookup_answer(s->lookup, ask->id, &answer, now);
    return true;
}

bool steps_walk(struct steps *s, ldns_resolver *r, const struct kbv_question *q, int64_t now)
{
    const struct kbv_mem mem = {block_alloc, s};
    struct kbv_subquery ask;

    *s = (struct steps){.n = 0};
    s->lookup = kbv_lookup_create(&mem, q);
    if (s->lookup == NULL)
        return false;
    while (!kbv_lookup_done(s->lookup) && s->n < STEPS_MAX && kbv_lookup_next(s->lookup, &ask))
        if (!walk_one(s, r, &ask, now))
            return false;
    s->evidence = kbv_lookup_evidence(s->lookup, &s->n_evidence);
    return true;
}

void steps_clear(struct steps *s)
{
    struct block *b = s->memory, *next;

    for (size_t i = 0; i < s->n; i++) {
        ldns_pkt_free(s->step[i].pkt);
        ldns_pkt_free(s->step[i].unsafe);
    }
    for (; b != NULL; b = next) {
        next = b->next;
        free(b);
    }
    *s = (struct steps){.n = 0};
}

/* ---- as text ---- */

const char *step_security(const struct step *step)
{
    switch (step->security) {
    case KBV_SEC_SECURE:
        return "secure";
    case KBV_SEC_INSECURE:
        return "insecure";
    case KBV_SEC_BOGUS:
        return "bogus";
    case KBV_SEC_UNCHECKED:
    case KBV_SEC_INDETERMINATE:
        break;
    }
    return "unknown";
}

char *step_record(const struct step *step, size_t i)
{
    const ldns_pkt *pkt = step->arrived ? step->pkt : step->unsafe;
    const ldns_rr_list *answer = pkt != NULL ? ldns_pkt_answer(pkt) : NULL;

    for (size_t j = 0; answer != NULL && j < ldns_rr_list_rr_count(answer); j++) {
        const ldns_rr *rr = ldns_rr_list_rr(answer, j);
        char *text;

        if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_RRSIG || i-- > 0)
            continue;
        text = ldns_rr2str(rr);
        if (text != NULL) {
            text[strcspn(text, "\n")] = '\0';
            for (char *p = text; *p != '\0'; p++)
                if (*p == '\t')
                    *p = ' ';
        }
        return text;
    }
    return NULL;
}

const char *step_rcode(const struct step *step)
{
    const ldns_lookup_table *row;

    if (step->pkt == NULL)
        return "no answer";
    row = ldns_lookup_by_id(ldns_rcodes, (int)ldns_pkt_get_rcode(step->pkt));
    return row != NULL ? row->name : "unknown RCODE";
}
