/* SPDX-License-Identifier: BSD-3-Clause */
/* Traps on the way from an identifier to its endpoints, as resolvers go it. */
#include <string.h>

#include "cli/lint.h"
#include "lib/buf.h"
#include "module/core/endpoint.h"
#include "module/core/naptr.h"

enum { HOPS_MAX = 8, HTTPS = 443, NAPTR_STEPS = 64 };

/* What reports are about: the record that leads somewhere. */
struct referrer {
    int line;
    struct kbv_slice name;
};

void lint_follow(const struct lint *l, struct kbv_slice name, struct lint_end *end)
{
    end->name = name;
    for (end->hops = 0; end->hops <= HOPS_MAX; end->hops++) {
        struct zone_range cname;

        end->place = zone_find(l->zone, end->name, end->buf, &end->found);
        if (end->place != ZONE_NODE && end->place != ZONE_WILDCARD)
            return;
        cname = zone_rrset(l->zone, end->found, KBV_TYPE_CNAME);
        if (cname.n == 0)
            return;
        end->name = l->zone->r[cname.first].rdata;
    }
}

/* What the zone says of records of a type at a name, aliases followed. */
enum presence {
    MISSING,
    THERE,
    UNKNOWN, /* another zone tells */
};

static enum presence presence_of(const struct lint *l, struct kbv_slice name, uint16_t type,
                                 struct zone_range *rrset)
{
    struct lint_end end;

    lint_follow(l, name, &end);
    rrset->n = 0;
    if (end.place == ZONE_ELSEWHERE)
        return UNKNOWN;
    if (end.place == ZONE_NOWHERE || end.hops > HOPS_MAX)
        return MISSING;
    *rrset = zone_rrset(l->zone, end.found, type);
    if (rrset->n != 0)
        return THERE;
    /* What has no origin may be a piece of a zone. */
    return l->zone->origin_len == 0 ? UNKNOWN : MISSING;
}

/* ---- endpoints ---- */

static enum presence tlsa_at(const struct lint *l, uint16_t port, struct kbv_slice host,
                             struct zone_range *rrset)
{
    uint8_t owner[KBV_NAME_MAX];
    size_t len;

    rrset->n = 0;
    if (kbv_name_tlsa_owner(port, host.p, host.len, owner, &len) != KBV_OK)
        return MISSING;
    return presence_of(l, (struct kbv_slice){owner, len}, KBV_TYPE_TLSA, rrset);
}

/* RFC 7671 section 7: at the alias' end, and only if there is nothing at the original. */
static void check_endpoint(const struct lint *l, const struct referrer *from, struct kbv_slice host,
                           struct kbv_slice end, uint16_t port)
{
    char text[KBV_NAME_TEXT_MAX], referrer[KBV_NAME_TEXT_MAX];
    uint8_t owner[KBV_NAME_MAX];
    struct zone_range tlsa;
    enum presence presence = tlsa_at(l, port, end, &tlsa);
    size_t len;

    if (presence == MISSING && end.p != host.p)
        presence = tlsa_at(l, port, host, &tlsa);
    if (presence != MISSING)
        return;
    kbv_name_to_text(host.p, host.len, text);
    kbv_name_to_text(from->name.p, from->name.len, referrer);
    if (kbv_name_tlsa_owner(port, end.p, end.len, owner, &len) != KBV_OK)
        lint_report(l, TRAP_NO_TLSA, from->line, end, "the owner of TLSA is too long a name");
    else
        lint_report(l, TRAP_NO_TLSA, from->line, (struct kbv_slice){owner, len},
                    "%s port %u, to which %s leads", text, port, referrer);
}

static bool has_address(const struct lint *l, struct kbv_slice name)
{
    return zone_rrset(l->zone, name, KBV_TYPE_A).n != 0 ||
           zone_rrset(l->zone, name, KBV_TYPE_AAAA).n != 0;
}

/* A target of NAPTR or SRV: there, with an address, and no alias. False: nothing more to say. */
static bool check_host(const struct lint *l, const struct referrer *from, struct kbv_slice host,
                       struct lint_end *end)
{
    char text[KBV_NAME_TEXT_MAX];

    kbv_name_to_text(host.p, host.len, text);
    lint_follow(l, host, end);
    if (end->hops != 0)
        lint_report(l, TRAP_TARGET_ALIAS, from->line, from->name, "%s", text);
    if (end->hops > HOPS_MAX) {
        lint_report(l, TRAP_ALIAS_LOOP, from->line, host, "%s", "");
        return false;
    }
    if (end->place == ZONE_ELSEWHERE)
        return false;
    if (end->place == ZONE_NOWHERE || !has_address(l, end->found)) {
        if (l->zone->origin_len != 0)
            lint_report(l, TRAP_TARGET_MISSING, from->line, from->name, "%s has no address", text);
        return false;
    }
    return true;
}

static void check_target(const struct lint *l, const struct referrer *from, struct kbv_slice host,
                         const uint16_t *ports, size_t n_ports)
{
    struct lint_end end;

    if (!check_host(l, from, host, &end))
        return;
    for (size_t i = 0; i < n_ports; i++)
        check_endpoint(l, from, host, end.hops != 0 ? end.name : host, ports[i]);
}

/* The ports of an endpoint whose record names none. */
static const uint16_t *ports_of(const struct lint_place *place, size_t *n)
{
    static const uint16_t https = HTTPS;

    if (place->zone == NULL || place->zone->n_ports == 0) {
        *n = 1;
        return &https;
    }
    *n = place->zone->n_ports;
    return place->zone->ports;
}

/* ---- SRV ---- */

static void check_srv(const struct lint *l, struct zone_range rrset)
{
    for (size_t i = 0; i < rrset.n; i++) {
        const struct zone_record *r = &l->zone->r[rrset.first + i];
        const struct referrer from = {r->line, r->owner};
        struct kbv_srv srv;

        if (kbv_srv_read(r->rdata, &srv) != KBV_OK)
            lint_report(l, TRAP_SRV_PORT, r->line, r->owner, "%s", "");
        else if (srv.target_len == 1)
            lint_report(l, TRAP_SRV_NONE, r->line, r->owner, "%s", "");
        else
            check_target(l, &from, (struct kbv_slice){srv.target, srv.target_len}, &srv.port, 1);
    }
}

/* SRV records of other protocols need no TLSA records. */
static bool is_lorawan_service(struct kbv_slice name)
{
    return name.p[0] >= 3 && memcmp(name.p + 1, "_lw", 3) == 0;
}

/* ---- NAPTR ---- */

static bool begins_with(struct kbv_slice s, const char *lower, size_t n)
{
    if (s.len < n)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((s.p[i] | 0x20) != (uint8_t)lower[i])
            return false;
    return true;
}

static bool is_word(struct kbv_slice s, const char *lower)
{
    return s.len == strlen(lower) && begins_with(s, lower, s.len);
}

struct naptr_texts {
    struct kbv_slice flags, services, regexp;
};

static struct naptr_texts read_texts(struct kbv_slice rdata)
{
    struct kbv_reader r = kbv_reader_on(rdata.p, rdata.len);
    struct naptr_texts t;

    (void)kbv_reader_u32(&r); /* order and preference */
    t.flags = kbv_reader_octets(&r, kbv_reader_u8(&r));
    t.services = kbv_reader_octets(&r, kbv_reader_u8(&r));
    t.regexp = kbv_reader_octets(&r, kbv_reader_u8(&r));
    return t;
}

/* A text from the zone, fit for one line. */
static void quote(struct kbv_slice s, char out[64])
{
    size_t n = s.len < 60 ? s.len : 60;

    out[0] = '"';
    for (size_t i = 0; i < n; i++)
        out[1 + i] = s.p[i] >= ' ' && s.p[i] <= '~' ? (char)s.p[i] : '?';
    memcpy(out + 1 + n, "\"", 2);
}

/* Why kbv_naptr_read() makes nothing of a record. */
static void report_dropped(const struct lint *l, const struct zone_record *r)
{
    const struct naptr_texts t = read_texts(r->rdata);
    char text[64];

    if (!is_word(t.services, "lwns")) {
        quote(t.services, text);
        lint_report(l, TRAP_NAPTR_SERVICE, r->line, r->owner, "%s", text);
    } else if (is_word(t.flags, "u")) {
        quote(t.regexp, text);
        lint_report(l, TRAP_NAPTR_REGEXP, r->line, r->owner, "%s", text);
    } else if (t.flags.len == 0 || is_word(t.flags, "s") || is_word(t.flags, "a") ||
               is_word(t.flags, "p")) {
        quote(t.regexp, text);
        lint_report(l, TRAP_NAPTR_REPLACEMENT, r->line, r->owner, "regexp %s", text);
    } else {
        quote(t.flags, text);
        lint_report(l, TRAP_NAPTR_FLAG, r->line, r->owner, "flag %s", text);
    }
}

/* True if more than eight hops can be made from name over NAPTR records without a terminal flag.
 * steps bounds the work. */
static bool leads_far(const struct lint *l, struct kbv_slice name, unsigned depth, unsigned *steps)
{
    struct zone_range rrset;

    if (depth > HOPS_MAX)
        return true;
    if (presence_of(l, name, KBV_TYPE_NAPTR, &rrset) != THERE)
        return false;
    for (size_t i = 0; i < rrset.n; i++) {
        struct kbv_naptr naptr;

        kbv_naptr_read(l->zone->r[rrset.first + i].rdata, &naptr);
        if (naptr.use != KBV_NAPTR_NEXT || *steps == 0)
            continue;
        --*steps;
        if (leads_far(l, (struct kbv_slice){naptr.name, naptr.name_len}, depth + 1, steps))
            return true;
    }
    return false;
}

/* The name a record leads to has records of that type. */
static bool check_next(const struct lint *l, const struct referrer *from, struct kbv_slice name,
                       uint16_t type, struct zone_range *rrset)
{
    const enum presence presence = presence_of(l, name, type, rrset);
    char text[KBV_NAME_TEXT_MAX];

    kbv_name_to_text(name.p, name.len, text);
    if (presence == MISSING)
        lint_report(l, TRAP_TARGET_MISSING, from->line, from->name, "%s has no %s", text,
                    type == KBV_TYPE_SRV ? "SRV" : "NAPTR");
    else if (presence == THERE &&
             !kbv_name_equal(name.p, name.len, l->zone->r[rrset->first].owner.p,
                             l->zone->r[rrset->first].owner.len) &&
             zone_rrset(l->zone, name, KBV_TYPE_CNAME).n != 0)
        lint_report(l, TRAP_TARGET_ALIAS, from->line, from->name, "%s", text);
    return presence == THERE;
}

static void check_use(const struct lint *l, const struct lint_place *place,
                      const struct zone_record *r, const struct kbv_naptr *naptr)
{
    const struct referrer from = {r->line, r->owner};
    const struct kbv_slice name = {naptr->name, naptr->name_len};
    struct zone_range next;
    const uint16_t *ports;
    unsigned steps = NAPTR_STEPS;
    size_t n_ports;

    switch (naptr->use) {
    case KBV_NAPTR_SRV:
        if (check_next(l, &from, name, KBV_TYPE_SRV, &next) && !is_lorawan_service(name))
            check_srv(l, next);
        return;
    case KBV_NAPTR_HOST:
        ports = ports_of(place, &n_ports);
        check_target(l, &from, name, ports, n_ports);
        return;
    case KBV_NAPTR_URI:
        check_target(l, &from, name, &naptr->port, 1);
        return;
    case KBV_NAPTR_NEXT:
        if (check_next(l, &from, name, KBV_TYPE_NAPTR, &next) && leads_far(l, name, 1, &steps))
            lint_report(l, TRAP_NAPTR_LOOP, r->line, r->owner, "%s", "");
        return;
    case KBV_NAPTR_DROP:
        report_dropped(l, r);
        return;
    case KBV_NAPTR_PLAIN:
        return;
    }
}

/* Records of other applications are none of ours: those with a service of LoRaWAN, or at an
 * identifier's name. */
static bool is_lorawan(const struct lint *l, const struct lint_place *place,
                       struct zone_range rrset)
{
    if (place->kind == LINT_IDENTIFIER || (place->kind == LINT_BLOCK && place->wildcard))
        return true;
    for (size_t i = 0; i < rrset.n; i++)
        if (begins_with(read_texts(l->zone->r[rrset.first + i].rdata).services, "lw", 2))
            return true;
    return false;
}

static void check_naptr(const struct lint *l, const struct lint_place *place,
                        struct zone_range rrset)
{
    const struct zone_record *first = &l->zone->r[rrset.first];
    size_t usable = 0;
    bool plain = false;

    if (!is_lorawan(l, place, rrset))
        return;
    for (size_t i = 0; i < rrset.n; i++) {
        struct kbv_naptr naptr;

        kbv_naptr_read(first[i].rdata, &naptr);
        check_use(l, place, &first[i], &naptr);
        plain = plain || naptr.use == KBV_NAPTR_PLAIN;
        usable += naptr.use != KBV_NAPTR_PLAIN && naptr.use != KBV_NAPTR_DROP;
    }
    if (usable == 0)
        lint_report(l, plain ? TRAP_NAPTR_PLAIN : TRAP_NAPTR_UNUSABLE, first->line, first->owner,
                    "%s", "");
    if (usable > KBV_MAX_NAPTRS)
        lint_report(l, TRAP_NAPTR_MANY, first->line, first->owner, "%zu records", usable);
}

/* ---- the ChirpStack way: the identifier's name is the host ---- */

static bool has_usage_3(const struct lint *l, struct zone_range tlsa)
{
    for (size_t i = 0; i < tlsa.n; i++) {
        const struct kbv_slice rdata = l->zone->r[tlsa.first + i].rdata;

        if (rdata.len != 0 && rdata.p[0] == 3)
            return true;
    }
    return false;
}

/* An alias or an address at an identifier, or at a wildcard for identifiers. */
static void check_bare_host(const struct lint *l, const struct lint_place *place,
                            struct zone_range rrset)
{
    const struct zone_record *r = &l->zone->r[rrset.first];
    const struct referrer from = {r->line, r->owner};
    struct zone_range naptr, tlsa;
    struct lint_end end;
    const uint16_t *ports;
    size_t n_ports;

    if (place->service || (place->zone != NULL && place->zone->lookup == KBV_LOOKUP_IDENTITY) ||
        !(place->kind == LINT_IDENTIFIER || (place->kind == LINT_BLOCK && place->wildcard)))
        return;
    if (r->type == KBV_TYPE_CNAME && place->wildcard)
        lint_report(l, TRAP_WILDCARD_CNAME, r->line, r->owner, "%s", "");
    lint_follow(l, r->owner, &end);
    if (end.hops > HOPS_MAX) {
        lint_report(l, TRAP_ALIAS_LOOP, r->line, r->owner, "%s", "");
        return;
    }
    /* NAPTR, here or at the alias' end, goes before; of another zone this one does not tell. */
    if (presence_of(l, r->owner, KBV_TYPE_NAPTR, &naptr) != MISSING)
        return;
    if (end.hops != 0 && !has_address(l, end.found)) {
        lint_report(l, TRAP_TARGET_MISSING, r->line, r->owner, "the alias' end has no address");
        return;
    }
    if (end.hops == 0 && place->wildcard) {
        /* A wildcard answers for what is below its names too: it must hold the TLSA records. */
        if (zone_rrset(l->zone, r->owner, KBV_TYPE_TLSA).n == 0)
            lint_report(l, TRAP_NO_TLSA, r->line, r->owner, "addresses without TLSA");
        return;
    }
    ports = ports_of(place, &n_ports);
    for (size_t i = 0; i < n_ports; i++) {
        check_endpoint(l, &from, r->owner, end.hops != 0 ? end.name : r->owner, ports[i]);
        if (end.hops != 0 && tlsa_at(l, ports[i], end.name, &tlsa) == THERE &&
            !has_usage_3(l, tlsa))
            lint_report(l, TRAP_ALIAS_SNI, r->line, r->owner, "port %u", ports[i]);
    }
}

void lint_discovery(const struct lint *l, struct zone_range rrset)
{
    const struct zone_record *r = &l->zone->r[rrset.first];
    const struct lint_place place = lint_place(l, r->owner);

    switch (r->type) {
    case KBV_TYPE_NAPTR:
        check_naptr(l, &place, rrset);
        return;
    case KBV_TYPE_SRV:
        if (is_lorawan_service(r->owner))
            check_srv(l, rrset);
        return;
    case KBV_TYPE_AAAA:
        if (zone_rrset(l->zone, r->owner, KBV_TYPE_A).n != 0)
            return; /* looked at with A */
        check_bare_host(l, &place, rrset);
        return;
    case KBV_TYPE_A:
    case KBV_TYPE_CNAME:
        check_bare_host(l, &place, rrset);
        return;
    default:
        return;
    }
}
