/* SPDX-License-Identifier: BSD-3-Clause */
/* See zonefile.h. */
#include "cli/zonefile.h"

#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_TTL_S = 3600, FIRST_ROOM = 64 };

/* ---- reading ---- */

static bool has_capital(const uint8_t *name, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (name[i] >= 'A' && name[i] <= 'Z')
            return true;
    return false;
}

/* The fields of RDATA one after the other; names in them are uncompressed. False: no memory, or
 * more than RDATA can hold. */
static bool copy_rdata(const ldns_rr *rr, struct kbv_slice *out)
{
    size_t len = 0, n = ldns_rr_rd_count(rr);
    uint8_t *octets;

    for (size_t i = 0; i < n; i++)
        len += ldns_rdf_size(ldns_rr_rdf(rr, i));
    octets = len <= UINT16_MAX ? malloc(len + 1) : NULL;
    if (octets == NULL)
        return false;
    *out = (struct kbv_slice){octets, len};
    for (size_t i = 0; i < n; i++) {
        const ldns_rdf *field = ldns_rr_rdf(rr, i);

        memcpy(octets, ldns_rdf_data(field), ldns_rdf_size(field));
        octets += ldns_rdf_size(field);
    }
    return true;
}

static bool make_room(struct zone *zone, size_t *room)
{
    size_t wanted = *room != 0 ? 2 * *room : FIRST_ROOM;
    struct zone_record *r;

    if (zone->n < *room)
        return true;
    r = realloc(zone->r, wanted * sizeof(*r));
    if (r == NULL)
        return false;
    zone->r = r;
    *room = wanted;
    return true;
}

static bool add_record(struct zone *zone, size_t *room, const ldns_rr *rr, int line)
{
    const ldns_rdf *name = ldns_rr_owner(rr);
    const size_t len = name != NULL ? ldns_rdf_size(name) : 0;
    struct zone_record *r;
    uint8_t *owner;

    if (len == 0 || kbv_name_len(ldns_rdf_data(name), len) != len || !make_room(zone, room))
        return false;
    owner = malloc(len);
    if (owner == NULL)
        return false;
    kbv_name_lower(owner, ldns_rdf_data(name), len);
    r = &zone->r[zone->n];
    *r = (struct zone_record){
        .owner = {owner, len},
        .type = (uint16_t)ldns_rr_get_type(rr),
        .ttl = ldns_rr_ttl(rr),
        .line = line,
        .upper = has_capital(ldns_rdf_data(name), len),
    };
    if (!copy_rdata(rr, &r->rdata)) {
        free(owner);
        return false;
    }
    zone->n++;
    if (r->type == KBV_TYPE_CNAME)
        kbv_name_lower((uint8_t *)r->rdata.p, r->rdata.p, r->rdata.len);
    zone->is_signed = zone->is_signed || r->type == ZONE_TYPE_RRSIG;
    if (r->type == KBV_TYPE_SOA && zone->origin_len == 0) {
        memcpy(zone->origin, owner, len);
        zone->origin_len = len;
    }
    return true;
}

static int compare_records(const void *left, const void *right)
{
    const struct zone_record *a = left, *b = right;
    int order = kbv_name_compare(a->owner.p, b->owner.p);

    if (order == 0)
        order = (a->type > b->type) - (a->type < b->type);
    return order != 0 ? order : (a->line > b->line) - (a->line < b->line);
}

/* What ldns says of a line that holds no record and is in order. */
static bool is_directive(ldns_status s)
{
    return s == LDNS_STATUS_SYNTAX_EMPTY || s == LDNS_STATUS_SYNTAX_TTL ||
           s == LDNS_STATUS_SYNTAX_ORIGIN;
}

/* ldns' state while it reads: what $ORIGIN, $TTL and the line before said. */
struct reading {
    FILE *in; /* over text */
    struct kbv_slice text;
    ldns_rdf *origin, *previous;
    uint32_t ttl;
    size_t at; /* octets of text whose lines were counted */
    int line;  /* lines in them */
    size_t room;
};

/* Counts the lines up to where ldns stands (its own count leaves some out), and those that hold
 * nothing after it. */
static int next_line(struct reading *s)
{
    const long position = ftell(s->in);
    const size_t end = position < 0 ? s->text.len : (size_t)position;
    size_t ahead;

    for (; s->at < end && s->at < s->text.len; s->at++)
        s->line += s->text.p[s->at] == '\n';
    for (ahead = s->at; ahead < s->text.len; ahead++) {
        while (ahead < s->text.len && strchr(" \t\r", s->text.p[ahead]) != NULL)
            ahead++;
        if (ahead < s->text.len && s->text.p[ahead] == ';')
            while (ahead < s->text.len && s->text.p[ahead] != '\n')
                ahead++;
        if (ahead == s->text.len || s->text.p[ahead] != '\n')
            break;
        s->line++;
        s->at = ahead + 1;
    }
    return s->line + 1;
}

static bool read_records(struct reading *s, struct zone *zone, int *line, const char **why)
{
    while (!feof(s->in)) {
        ldns_rr *rr = NULL;
        ldns_status status;
        bool added = true;

        *line = next_line(s);
        status = ldns_rr_new_frm_fp_l(&rr, s->in, &s->ttl, &s->origin, &s->previous, NULL);
        if (status == LDNS_STATUS_OK)
            added = add_record(zone, &s->room, rr, *line);
        ldns_rr_free(rr);
        if (!added) {
            *line = 0;
            return false;
        }
        if (status == LDNS_STATUS_OK || is_directive(status))
            continue;
        *why =
            status == LDNS_STATUS_SYNTAX_INCLUDE || status == LDNS_STATUS_SYNTAX_INCLUDE_ERR_NOTIMPL
                ? "$INCLUDE is not followed: give one file, as named-compilezone makes it"
                : ldns_get_errorstr_by_id(status);
        return false;
    }
    return true;
}

bool zone_read(struct kbv_slice text, struct kbv_slice origin, struct zone *zone, int *line,
               const char **why)
{
    struct reading s = {.ttl = DEFAULT_TTL_S, .text = text};
    bool ok;

    *zone = (struct zone){.r = NULL};
    *line = 0;
    *why = "no memory";
    if (text.len == 0)
        return true;
    if (origin.p != NULL) {
        memcpy(zone->origin, origin.p, origin.len);
        zone->origin_len = origin.len;
        s.origin = ldns_dname_new_frm_data((uint16_t)origin.len, origin.p);
        if (s.origin == NULL)
            return false;
    }
    s.in = fmemopen((void *)text.p, text.len, "r");
    ok = s.in != NULL && read_records(&s, zone, line, why);
    if (s.in != NULL)
        fclose(s.in);
    ldns_rdf_deep_free(s.origin);
    ldns_rdf_deep_free(s.previous);
    if (ok && zone->n != 0)
        qsort(zone->r, zone->n, sizeof(zone->r[0]), compare_records);
    return ok;
}

void zone_free(struct zone *zone)
{
    for (size_t i = 0; i < zone->n; i++) {
        free((void *)zone->r[i].owner.p);
        free((void *)zone->r[i].rdata.p);
    }
    free(zone->r);
    *zone = (struct zone){.r = NULL};
}

/* ---- looking ---- */

/* The first record whose owner and type are not before these. */
static size_t lower_bound(const struct zone *zone, struct kbv_slice name, uint16_t type)
{
    size_t low = 0, high = zone->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = kbv_name_compare(zone->r[middle].owner.p, name.p);

        if (order < 0 || (order == 0 && zone->r[middle].type < type))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_owner(const struct zone *zone, size_t i, struct kbv_slice name)
{
    return i < zone->n && zone->r[i].owner.len == name.len &&
           memcmp(zone->r[i].owner.p, name.p, name.len) == 0;
}

struct zone_range zone_rrset_at(const struct zone *zone, size_t first)
{
    struct zone_range range = {first, 0};

    while (is_owner(zone, first + range.n, zone->r[first].owner) &&
           zone->r[first + range.n].type == zone->r[first].type)
        range.n++;
    return range;
}

struct zone_range zone_rrset(const struct zone *zone, struct kbv_slice name, uint16_t type)
{
    size_t first = lower_bound(zone, name, type);

    if (first == zone->n || !is_owner(zone, first, name) || zone->r[first].type != type)
        return (struct zone_range){first, 0};
    return zone_rrset_at(zone, first);
}

struct zone_range zone_name(const struct zone *zone, struct kbv_slice name)
{
    struct zone_range range = {lower_bound(zone, name, 0), 0};

    while (range.first + range.n < zone->n && is_owner(zone, range.first + range.n, name))
        range.n++;
    return range;
}

bool zone_exists(const struct zone *zone, struct kbv_slice name)
{
    /* In canonical order a name stands right before those below it. */
    size_t i = lower_bound(zone, name, 0);

    return i < zone->n &&
           kbv_name_below(zone->r[i].owner.p, zone->r[i].owner.len, name.p, name.len);
}

struct kbv_slice zone_parent(struct kbv_slice name)
{
    if (name.len <= 1)
        return (struct kbv_slice){NULL, 0};
    return (struct kbv_slice){name.p + 1 + name.p[0], name.len - 1 - name.p[0]};
}

struct kbv_slice zone_wildcard_of(struct kbv_slice name, uint8_t buf[KBV_NAME_MAX])
{
    if (name.len + 2 > KBV_NAME_MAX)
        return (struct kbv_slice){NULL, 0};
    memmove(buf + 2, name.p, name.len);
    memcpy(buf, "\001*", 2);
    return (struct kbv_slice){buf, name.len + 2};
}

/* True if another zone, or an alias for all that is below, begins at name or above it. */
static bool is_cut(const struct zone *zone, struct kbv_slice name, bool itself)
{
    for (; name.p != NULL && name.len > zone->origin_len; name = zone_parent(name), itself = true) {
        if (zone_rrset(zone, name, ZONE_TYPE_NS).n != 0)
            return true;
        if (itself && zone_rrset(zone, name, KBV_TYPE_DNAME).n != 0)
            return true;
    }
    return name.p != NULL && itself && zone_rrset(zone, name, KBV_TYPE_DNAME).n != 0;
}

enum zone_place zone_find(const struct zone *zone, struct kbv_slice name, uint8_t buf[KBV_NAME_MAX],
                          struct kbv_slice *found)
{
    struct kbv_slice closest = name;

    *found = name;
    if (zone->origin_len == 0)
        return zone_exists(zone, name) ? ZONE_NODE : ZONE_ELSEWHERE;
    if (!kbv_name_below(name.p, name.len, zone->origin, zone->origin_len) ||
        is_cut(zone, name, false))
        return ZONE_ELSEWHERE;
    if (zone_exists(zone, name))
        return ZONE_NODE;
    /* RFC 4592 section 3.3.1: the wildcard at the closest encloser, and no other. */
    while (closest.len > zone->origin_len && !zone_exists(zone, closest))
        closest = zone_parent(closest);
    *found = zone_wildcard_of(closest, buf);
    if (found->p != NULL && zone_name(zone, *found).n != 0)
        return ZONE_WILDCARD;
    *found = name;
    return ZONE_NOWHERE;
}
