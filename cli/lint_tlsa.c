/* SPDX-License-Identifier: BSD-3-Clause */
/* Traps in TLSA records and in signatures. */
#include <stdlib.h>
#include <string.h>

#include "cli/lint.h"
#include "lib/buf.h"
#include "module/core/match.h"
#include "module/core/sha256.h"
#include "module/core/tlsa.h"

enum {
    FIXED = 3, /* usage, selector, matching type: RFC 6698 section 2.1 */
    SHA256_LEN = 32,
    SHA512_LEN = 64,
    LABELS_PUBLIC_CA = 10, /* Let's Encrypt refuses more */
    UDP_MAX = 1232,        /* what passes unfragmented, DNS flag day 2020 */
    HEADER = 12,
    QUESTION = 4,  /* beside the name */
    RR_FIXED = 12, /* a pointer for the name, and what stands before RDATA */
};

struct kbv_rrset lint_core_rrset(const struct lint *l, struct zone_range range,
                                 struct kbv_slice **rr)
{
    *rr = range.n != 0 ? malloc(range.n * sizeof(**rr)) : NULL;
    for (size_t i = 0; *rr != NULL && i < range.n; i++)
        (*rr)[i] = l->zone->r[range.first + i].rdata;
    return (struct kbv_rrset){
        .type = KBV_TYPE_TLSA,
        .security = KBV_SEC_SECURE,
        .rr = *rr,
        .n_rr = *rr != NULL ? range.n : 0,
    };
}

/* ---- one record ---- */

/* A digest of no octets at all, which hashing an empty file gives. */
static bool is_of_nothing(uint8_t mtype, struct kbv_slice data)
{
    static const struct kbv_slice nothing = {(const uint8_t *)"", 0};
    uint8_t digest[SHA512_LEN];

    if (mtype == 0)
        return data.len == 0;
    if (mtype == 1)
        kbv_sha256(&nothing, 1, digest);
    else
        kbv_sha512(nothing, digest);
    return memcmp(data.p, digest, data.len) == 0;
}

/* Selector and matching type are known; RFC 6698 section 4.1. */
static void check_data(const struct lint *l, const struct zone_record *r, const char *numbers)
{
    const struct kbv_slice data = {r->rdata.p + FIXED, r->rdata.len - FIXED};
    const uint8_t selector = r->rdata.p[1], mtype = r->rdata.p[2];
    struct kbv_slice spki;

    if (mtype != 0 && data.len != (mtype == 1 ? SHA256_LEN : SHA512_LEN))
        lint_report(l, TRAP_TLSA_LENGTH, r->line, r->owner, "%s with %zu octets", numbers,
                    data.len);
    else if (is_of_nothing(mtype, data))
        lint_report(l, TRAP_TLSA_NOTHING, r->line, r->owner, "%s", numbers);
    else if (mtype == 0 && (selector == 0 ? kbv_der_certificate_spki(data, &spki)
                                          : kbv_der_spki_check(data)) != KBV_OK)
        lint_report(l, TRAP_TLSA_DER, r->line, r->owner, "%s", numbers);
}

static void check_record(const struct lint *l, const struct zone_record *r)
{
    const uint8_t *p = r->rdata.p;
    char numbers[16];

    if (r->rdata.len < FIXED) {
        lint_report(l, TRAP_TLSA_LENGTH, r->line, r->owner, "%zu octets in all", r->rdata.len);
        return;
    }
    snprintf(numbers, sizeof(numbers), "%u %u %u", p[0], p[1], p[2]);
    if (p[0] > 3 || p[1] > 1 || p[2] > 2)
        lint_report(l, TRAP_TLSA_NUMBERS, r->line, r->owner, "%s", numbers);
    else
        check_data(l, r, numbers);
    if (p[0] < 2)
        lint_report(l, TRAP_TLSA_PKIX, r->line, r->owner, "%s", numbers);
}

/* ---- all records of a name ---- */

/* RFC 7671 section 9. Which key a digest is of cannot be seen; how many there are can. */
static void check_agility(const struct lint *l, struct zone_range rrset)
{
    const struct zone_record *first = &l->zone->r[rrset.first];
    size_t n[4][2][3] = {{{0}}};

    for (size_t i = 0; i < rrset.n; i++) {
        const struct kbv_slice d = first[i].rdata;

        if (d.len >= FIXED && d.p[0] < 4 && d.p[1] < 2 &&
            ((d.p[2] == 1 && d.len == FIXED + SHA256_LEN) ||
             (d.p[2] == 2 && d.len == FIXED + SHA512_LEN)))
            n[d.p[0]][d.p[1]][d.p[2]]++;
    }
    for (unsigned u = 0; u < 4; u++)
        for (unsigned s = 0; s < 2; s++)
            if (n[u][s][2] != 0 && n[u][s][1] > n[u][s][2])
                lint_report(l, TRAP_TLSA_AGILITY, first->line, first->owner,
                            "%zu of %u %u 1, %zu of %u %u 2", n[u][s][1], u, s, n[u][s][2], u, s);
}

static void check_size(const struct lint *l, struct zone_range rrset)
{
    const struct zone_record *first = &l->zone->r[rrset.first];
    size_t octets = HEADER + first->owner.len + QUESTION;

    for (size_t i = 0; i < rrset.n; i++)
        octets += RR_FIXED + first[i].rdata.len;
    if (octets > UDP_MAX)
        lint_report(l, TRAP_TLSA_LARGE, first->line, first->owner, "%zu octets without signature",
                    octets);
}

/* What a resolver makes of them all, with the resolver's code. */
static void check_usable(const struct lint *l, struct zone_range rrset)
{
    const struct zone_record *first = &l->zone->r[rrset.first];
    static uint8_t out[KBV_ASSOCIATIONS_MAX];
    struct kbv_slice *rr;
    struct kbv_rrset core = lint_core_rrset(l, rrset, &rr);
    size_t len;

    if (rr == NULL)
        return;
    if (kbv_tlsa_associations(&core, true, out, sizeof(out), &len) != KBV_OK)
        lint_report(l, TRAP_TLSA_LIMIT, first->line, first->owner, "%zu records", rrset.n);
    else if (len == 0)
        lint_report(l, TRAP_TLSA_UNUSABLE, first->line, first->owner, "%s", "");
    free(rr);
}

/* ---- the owner ---- */

static bool is_protocol(const uint8_t *label)
{
    return (label[0] == 4 &&
            (memcmp(label + 1, "_tcp", 4) == 0 || memcmp(label + 1, "_udp", 4) == 0)) ||
           (label[0] == 5 && memcmp(label + 1, "_sctp", 5) == 0);
}

static bool is_number(const uint8_t *digits, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (digits[i] < '0' || digits[i] > '9')
            return false;
    return n != 0;
}

/* 1 to 65535 as programs write it. */
static bool is_port(const uint8_t *label)
{
    unsigned long port = 0;

    if (label[0] > 6 || label[2] == '0')
        return false;
    for (size_t i = 2; i <= label[0]; i++)
        port = port * 10 + (unsigned long)(label[i] - '0');
    return port <= UINT16_MAX;
}

static bool has_service_label(struct kbv_slice name)
{
    for (; name.len > 1; name = zone_parent(name))
        if (name.p[1] == '_')
            return true;
    return false;
}

static bool is_identity(const struct lint_place *place)
{
    return place->zone != NULL && place->zone->lookup == KBV_LOOKUP_IDENTITY &&
           (place->kind == LINT_IDENTIFIER || place->wildcard);
}

static void check_owner(const struct lint *l, const struct zone_record *r)
{
    const struct lint_place place = lint_place(l, r->owner);
    const uint8_t *label = r->owner.p;
    const bool wildcard = label[0] == 1 && label[1] == '*';
    const char *what = NULL;

    if (kbv_name_is_server_owner(r->owner.p, r->owner.len, NULL, NULL))
        what = is_port(label) ? NULL : "the port is none";
    else if (is_protocol(label))
        what = "port and protocol are the wrong way round, or no port";
    else if (is_number(label + 1, label[0]) && has_service_label(zone_parent(r->owner)))
        what = "a port without _";
    else if (label[0] > 1 && label[1] == '_' && is_number(label + 2, label[0] - 1u))
        what = "a port without protocol";
    else if (!has_service_label(r->owner) && !is_identity(&place) && !wildcard)
        what = "no label begins with _";
    if (what != NULL)
        lint_report(l, TRAP_TLSA_OWNER, r->line, r->owner, "%s", what);
    /* Under _device and the like it is an identity for many, which is what it says. */
    if (wildcard && !is_identity(&place) &&
        (is_protocol(label + 2) || !(label[2] > 1 && label[3] == '_')))
        lint_report(l, TRAP_WILDCARD_TLSA, r->line, r->owner, "%s", "");
}

/* Usages 0 to 2 need a certificate for the name: RFC 7671 section 5, and for clients
 * draft-ietf-dance-client-auth. */
static void check_reference_name(const struct lint *l, struct zone_range rrset)
{
    const struct zone_record *first = &l->zone->r[rrset.first];
    struct kbv_slice name = first->owner;
    bool pkix = false, anchor = false;
    size_t labels;

    for (size_t i = 0; i < rrset.n; i++) {
        const struct kbv_slice d = first[i].rdata;

        pkix = pkix || (d.len >= FIXED && d.p[0] < 2);
        anchor = anchor || (d.len >= FIXED && d.p[0] == 2);
    }
    kbv_name_is_server_owner(first->owner.p, first->owner.len, &name.p, &name.len);
    labels = kbv_name_labels(name.p);
    if (labels <= LABELS_PUBLIC_CA && !has_service_label(name))
        return;
    if (pkix)
        lint_report(l, TRAP_PKIX_NAME, first->line, first->owner, "%zu labels%s", labels,
                    has_service_label(name) ? ", one with _" : "");
    if (anchor)
        lint_report(l, TRAP_ANCHOR_NAME, first->line, first->owner, "%zu labels%s", labels,
                    has_service_label(name) ? ", one with _" : "");
}

/* RFC 7671 section 7: the alias' end is asked first, and any records there end the search. */
static void check_shadow(const struct lint *l, const struct zone_record *r)
{
    uint8_t owner[KBV_NAME_MAX];
    struct kbv_slice host;
    struct lint_end end;
    size_t prefix;
    char text[KBV_NAME_TEXT_MAX];

    if (!kbv_name_is_server_owner(r->owner.p, r->owner.len, &host.p, &host.len))
        return;
    lint_follow(l, host, &end);
    prefix = r->owner.len - host.len;
    if (end.hops == 0 || end.place == ZONE_ELSEWHERE || prefix + end.name.len > KBV_NAME_MAX)
        return;
    memcpy(owner, r->owner.p, prefix);
    memcpy(owner + prefix, end.name.p, end.name.len);
    kbv_name_to_text(end.name.p, end.name.len, text);
    if (zone_rrset(l->zone, (struct kbv_slice){owner, prefix + end.name.len}, KBV_TYPE_TLSA).n != 0)
        lint_report(l, TRAP_TLSA_SHADOWED, r->line, r->owner, "%s", text);
}

void lint_tlsa(const struct lint *l, struct zone_range rrset)
{
    const struct zone_record *first = &l->zone->r[rrset.first];

    if (first->type != KBV_TYPE_TLSA)
        return;
    check_owner(l, first);
    for (size_t i = 0; i < rrset.n; i++)
        check_record(l, &first[i]);
    check_usable(l, rrset);
    check_agility(l, rrset);
    check_size(l, rrset);
    check_reference_name(l, rrset);
    check_shadow(l, first);
    if (first->ttl > l->max_ttl)
        lint_report(l, TRAP_TLSA_TTL, first->line, first->owner, "%u s", first->ttl);
}

/* ---- signatures ---- */

/* The dates of an RRSIG (RFC 4034 section 3.1), by serial arithmetic (section 3.1.5) from now. */
struct dates {
    int32_t begins, ends; /* [s] from now */
};

static bool read_dates(struct kbv_slice rdata, uint16_t covered, uint32_t now, struct dates *out)
{
    struct kbv_reader r = kbv_reader_on(rdata.p, rdata.len);
    uint32_t ends, begins;

    if (kbv_reader_u16(&r) != covered)
        return false;
    (void)kbv_reader_u16(&r); /* algorithm, labels */
    (void)kbv_reader_u32(&r); /* original TTL */
    ends = kbv_reader_u32(&r);
    begins = kbv_reader_u32(&r);
    *out = (struct dates){(int32_t)(begins - now), (int32_t)(ends - now)};
    return !r.failed;
}

static bool counts_for_verdicts(uint16_t type)
{
    static const uint16_t types[] = {KBV_TYPE_A,     KBV_TYPE_AAAA, KBV_TYPE_CNAME,
                                     KBV_TYPE_DNAME, KBV_TYPE_SOA,  ZONE_TYPE_DNSKEY,
                                     KBV_TYPE_NAPTR, KBV_TYPE_SRV,  KBV_TYPE_TLSA};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (types[i] == type)
            return true;
    return false;
}

void lint_signatures(const struct lint *l, struct zone_range rrset)
{
    const struct zone_record *first = &l->zone->r[rrset.first];
    struct zone_range sigs = zone_rrset(l->zone, first->owner, ZONE_TYPE_RRSIG);
    struct dates d, valid = {0, 0}, other = {0, 0};
    bool any = false, any_valid = false;

    if (!l->zone->is_signed || !counts_for_verdicts(first->type))
        return;
    for (size_t i = 0; i < sigs.n; i++) {
        if (!read_dates(l->zone->r[sigs.first + i].rdata, first->type, (uint32_t)l->now, &d))
            continue;
        any = true;
        if (d.begins > 0 || d.ends <= 0)
            other = d;
        else if (!any_valid || d.ends < valid.ends)
            valid = d;
        any_valid = any_valid || (d.begins <= 0 && d.ends > 0);
    }
    if (!any)
        lint_report(l, TRAP_RRSIG_MISSING, first->line, first->owner, "type %u", first->type);
    else if (!any_valid && other.ends <= 0)
        lint_report(l, TRAP_RRSIG_EXPIRED, first->line, first->owner, "type %u, since %lld s",
                    first->type, -(long long)other.ends);
    else if (!any_valid)
        lint_report(l, TRAP_RRSIG_FUTURE, first->line, first->owner, "type %u, in %d s",
                    first->type, other.begins);
    else if ((uint32_t)valid.ends < first->ttl)
        lint_report(l, TRAP_RRSIG_TTL, first->line, first->owner, "type %u, %d s left, TTL %u s",
                    first->type, valid.ends, first->ttl);
}
