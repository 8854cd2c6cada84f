/* SPDX-License-Identifier: BSD-3-Clause */
/* Certificates in use by the records of the zone, before and during a roll-over (RFC 7671 section
 * 8), judged with the resolver's code. */
#include <stdlib.h>
#include <string.h>

#include "cli/lint.h"
#include "cli/offline.h"

enum { FIXED = 3, ROLL_OVER_TTLS = 2, SECURITY_LEVEL = 2 };

struct owner {
    const struct lint *l;
    struct kbv_slice name;
    const struct zone_record *records;
    size_t n;
    struct kbv_slice *chosen; /* room for n */
    const struct kbv_policy *policy;
};

/* Usage, selector and matching type that two records share; all of them with anything. */
static bool has_parameters(struct kbv_slice rdata, const uint8_t *parameters)
{
    return parameters == NULL || (rdata.len >= FIXED && memcmp(rdata.p, parameters, FIXED) == 0);
}

/* What a resolver says of a certificate if only the records with these parameters, or only record
 * (not NULL), were there. reason may be NULL. */
static enum kbv_status judge(struct owner *o, const struct lint_certificate *c,
                             const uint8_t *parameters, const struct zone_record *record,
                             char reason[KBV_REASON_MAX + 1])
{
    static uint8_t associations[KBV_ASSOCIATIONS_MAX];
    static uint8_t names[KBV_REFERENCE_NAMES_MAX * KBV_NAME_MAX];
    struct offline q = {.owner = o->name, .records = o->chosen};
    struct kbv_presented presented;
    struct kbv_verdict v;

    for (size_t i = 0; i < o->n; i++)
        if ((record == NULL || record == &o->records[i]) &&
            has_parameters(o->records[i].rdata, parameters))
            o->chosen[q.n_records++] = o->records[i].rdata;
    if (kbv_presented_read(KBV_MATERIAL_CHAIN, c->chain, &presented) != KBV_OK)
        return KBV_STATUS_BAD_INPUT;
    offline_judge(&q, o->policy, o->l->now, associations, names, &v);
    kbv_judge_keyed(&v, &presented, o->policy, o->l->now, &v);
    if (reason != NULL)
        snprintf(reason, KBV_REASON_MAX + 1, "%.*s", (int)v.reason.len,
                 v.reason.len != 0 ? (const char *)v.reason.p : "");
    kbv_presented_clear(&presented);
    return v.status;
}

/* Each set of parameters must speak for each certificate: a verifier may know or prefer one alone.
 */
static void check_parameters(struct owner *o, const struct lint_certificate *c)
{
    for (size_t i = 0; i < o->n; i++) {
        const struct kbv_slice d = o->records[i].rdata;
        enum kbv_status status;
        bool seen = d.len < FIXED;

        for (size_t j = 0; j < i && !seen; j++)
            seen = has_parameters(o->records[j].rdata, d.p);
        if (seen)
            continue;
        status = judge(o, c, d.p, NULL, NULL);
        if (status == KBV_STATUS_NOT_BOUND || status == KBV_STATUS_UNDECIDED)
            lint_report(o->l, TRAP_CERT_PARAMETERS, o->records[i].line, o->name,
                        "%s matches no %u %u %u", c->path, d.p[0], d.p[1], d.p[2]);
    }
}

static void check_certificate(struct owner *o, const struct lint_certificate *c)
{
    char reason[KBV_REASON_MAX + 1];
    enum kbv_status status = judge(o, c, NULL, NULL, reason);

    if (status == KBV_STATUS_BOUND)
        check_parameters(o, c);
    else
        lint_report(o->l, TRAP_CERT_UNBOUND, o->records[0].line, o->name, "%s: %s%s%s", c->path,
                    kbv_status_name(status), reason[0] != '\0' ? ", " : "", reason);
}

/* Records that no certificate in use needs. */
static void check_left_over(struct owner *o)
{
    for (size_t i = 0; i < o->n; i++) {
        const struct kbv_slice d = o->records[i].rdata;
        bool needed = d.len < FIXED;

        for (size_t j = 0; j < o->l->n_certificates && !needed; j++) {
            enum kbv_status status = judge(o, &o->l->certificates[j], NULL, &o->records[i], NULL);

            needed = status != KBV_STATUS_NOT_BOUND;
        }
        if (!needed)
            lint_report(o->l, TRAP_CERT_LEFT_OVER, o->records[i].line, o->name, "%u %u %u", d.p[0],
                        d.p[1], d.p[2]);
    }
}

/* A successor's record stands two TTLs before its certificate is used: then caches hold it. */
static void check_end(const struct owner *o)
{
    const struct lint *l = o->l;
    const int64_t soon = l->now + (int64_t)ROLL_OVER_TTLS * o->records[0].ttl;

    for (size_t i = 0; i < l->n_certificates; i++)
        if (l->certificates[i].not_after >= soon)
            return;
    for (size_t i = 0; i < l->n_certificates; i++)
        lint_report(l, TRAP_CERT_ENDS, o->records[0].line, o->name, "%s", l->certificates[i].path);
}

static void check_owner(struct owner *o)
{
    const struct lint *l = o->l;
    struct lint_end end;
    struct zone_range tlsa = {0, 0};

    lint_follow(l, o->name, &end);
    if (end.place == ZONE_NODE || end.place == ZONE_WILDCARD)
        tlsa = zone_rrset(l->zone, end.found, KBV_TYPE_TLSA);
    o->n = tlsa.n;
    o->chosen = tlsa.n != 0 ? malloc(tlsa.n * sizeof(*o->chosen)) : NULL;
    if (o->chosen == NULL) {
        lint_report(l, TRAP_NO_TLSA, 0, o->name, "no TLSA record in this zone");
        return;
    }
    o->records = &l->zone->r[tlsa.first];
    for (size_t i = 0; i < l->n_certificates; i++)
        check_certificate(o, &l->certificates[i]);
    check_left_over(o);
    check_end(o);
    free(o->chosen);
}

void lint_certificates(const struct lint *l)
{
    struct kbv_dane *dane = l->n_owners != 0 ? kbv_dane_create(NULL) : NULL;
    const struct kbv_policy policy = {
        .max_ttl = OFFLINE_TTL_S,
        .max_negative_ttl = OFFLINE_TTL_S,
        .security_level = SECURITY_LEVEL,
        .dane = dane,
    };

    for (size_t i = 0; i < l->n_owners; i++) {
        struct owner o = {.l = l, .name = l->owners[i], .policy = &policy};

        check_owner(&o);
    }
    kbv_dane_delete(dane);
}
