/* SPDX-License-Identifier: BSD-3-Clause */
/* Traps in names: identifiers written otherwise than resolvers ask for them, and wildcards. */
#include <string.h>

#include "cli/lint.h"

enum {
    EUI_DIGITS = 16,
    BLOCK_DIGITS = 4,
    NETID_DIGITS = 6,
    OUI_LEN = 3,
    EUI_LEN = 8,
    LABEL_TEXT_MAX = 64
};

static bool is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool is_alphanumeric(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
}

static bool is_service(struct kbv_slice name)
{
    return name.len > 1 && name.p[1] == '_';
}

static bool is_wildcard(struct kbv_slice name)
{
    return name.len > 2 && name.p[0] == 1 && name.p[1] == '*';
}

/* How many labels of one character name begins with, none of them of the suffix; *hex: all are
 * hexadecimal digits. */
static size_t count_digits(struct kbv_slice name, size_t suffix_len, bool *hex)
{
    size_t n = 0;

    for (*hex = true; name.len > suffix_len && name.p[0] == 1; name = zone_parent(name), n++) {
        if (!is_alphanumeric(name.p[1]))
            break;
        *hex = *hex && is_hex(name.p[1]);
    }
    return n;
}

/* ---- what a name is ---- */

static enum lint_kind kind_without_zone(struct lint_place *place)
{
    bool hex;

    place->digits = count_digits(place->name, 1, &hex);
    if (place->digits == EUI_DIGITS && !place->wildcard)
        return hex ? LINT_IDENTIFIER : LINT_MALFORMED;
    /* A host may well be called a.b.example. */
    return place->digits >= BLOCK_DIGITS && place->digits < EUI_DIGITS && hex ? LINT_BLOCK
                                                                              : LINT_ORDINARY;
}

static enum lint_kind kind_in_zone(struct lint_place *place)
{
    const struct kbv_zone *zone = place->zone;
    const bool nibble = zone->form == KBV_FORM_NIBBLE;
    struct kbv_slice name = place->name;
    struct kbv_id id;
    bool hex;

    place->digits = count_digits(name, zone->suffix_len, &hex);
    for (size_t i = 0; i < place->digits; i++)
        name = zone_parent(name);
    if (place->name.len == zone->suffix_len)
        return place->wildcard ? LINT_BLOCK : LINT_ORDINARY;
    if (kbv_id_from_name(zone->kind, nibble, place->name.p, place->name.len, zone->suffix,
                         zone->suffix_len, &id) == KBV_OK)
        return place->wildcard ? LINT_MALFORMED : LINT_IDENTIFIER;
    if (nibble && hex && place->digits < EUI_DIGITS && name.len == zone->suffix_len)
        return LINT_BLOCK;
    return LINT_MALFORMED;
}

struct lint_place lint_place(const struct lint *l, struct kbv_slice name)
{
    struct lint_place place = {.zone = kbv_options_zone(l->identifiers, name.p, name.len)};
    const size_t suffix_len = place.zone != NULL ? place.zone->suffix_len : 1;

    for (; name.len > suffix_len && is_service(name); name = zone_parent(name))
        place.service = true;
    place.wildcard = name.len > suffix_len && is_wildcard(name);
    place.name = place.wildcard ? zone_parent(name) : name;
    place.kind = place.zone != NULL ? kind_in_zone(&place) : kind_without_zone(&place);
    return place;
}

/* ---- identifiers that are none ---- */

/* What a label that ought to hold all digits has instead. */
static bool label_has_stranger(struct kbv_slice name, size_t digits)
{
    bool strange = false;

    if (name.p[0] != digits)
        return false;
    for (size_t i = 1; i <= digits; i++) {
        if (!is_alphanumeric(name.p[i]))
            return false;
        strange = strange || !is_hex(name.p[i]);
    }
    return strange;
}

/* A label that people take for the identifier: all digits in one, or with marks between. */
static bool label_is_identifier(struct kbv_slice name, enum kbv_id_kind kind)
{
    char text[LABEL_TEXT_MAX];
    struct kbv_id id;

    memcpy(text, name.p + 1, name.p[0]);
    text[name.p[0]] = '\0';
    return strlen(text) == name.p[0] && kbv_id_parse(kind, text, &id) == KBV_OK;
}

static void report_malformed(const struct lint *l, const struct lint_place *place, int line)
{
    const struct kbv_zone *zone = place->zone;
    struct kbv_slice rest = place->name;
    const size_t digits = zone != NULL && zone->kind == KBV_ID_NETID ? NETID_DIGITS : EUI_DIGITS;
    bool all;

    for (size_t i = 0; i < place->digits; i++)
        rest = zone_parent(rest);
    all = place->digits != 0 && (zone == NULL || rest.len == zone->suffix_len);
    if (zone != NULL && zone->kind == KBV_ID_NETID && all && place->digits > 1)
        lint_report(l, TRAP_NETID_DOTTED, line, place->name, "%zu labels", place->digits);
    else if (place->wildcard)
        lint_report(l, TRAP_NOT_IDENTIFIER, line, place->name, "a wildcard below an identifier");
    else if (all && place->digits == EUI_DIGITS && (zone == NULL || zone->form == KBV_FORM_NIBBLE))
        lint_report(l, TRAP_DIGIT, line, place->name, "a label beyond 0 to f");
    else if (zone->form == KBV_FORM_FLAT && label_has_stranger(place->name, digits))
        lint_report(l, TRAP_DIGIT, line, place->name, "a character beyond 0 to f");
    else if (all && place->digits == EUI_DIGITS)
        lint_report(l, TRAP_FORM, line, place->name, "one label a digit, where one holds all");
    else if (zone_parent(place->name).len == zone->suffix_len &&
             label_is_identifier(place->name, zone->kind))
        lint_report(l, TRAP_FORM, line, place->name, "one label for all digits, or marks in it");
    else if (place->digits != 0 || zone_rrset(l->zone, place->name, KBV_TYPE_NAPTR).n != 0 ||
             zone_rrset(l->zone, place->name, KBV_TYPE_TLSA).n != 0)
        lint_report(l, TRAP_NOT_IDENTIFIER, line, place->name, "%s", "");
    /* Else a host of the zone's own, such as its name server. */
}

/* Types that say something of the name itself, not of what is below it. */
static bool has_data(const struct lint *l, struct zone_range all)
{
    static const uint16_t types[] = {KBV_TYPE_A,   KBV_TYPE_AAAA,  KBV_TYPE_CNAME,
                                     KBV_TYPE_SRV, KBV_TYPE_NAPTR, KBV_TYPE_TLSA};

    for (size_t i = 0; i < all.n; i++)
        for (size_t j = 0; j < sizeof(types) / sizeof(types[0]); j++)
            if (l->zone->r[all.first + i].type == types[j])
                return true;
    return false;
}

/* ---- the other way round ---- */

/* An EUI-64 of a company begins with its OUI: never a group address, never Xerox' zeros, which
 * rather are the zeros that a JoinEUI ends with. */
static bool is_usual(const uint8_t eui[EUI_LEN])
{
    static const uint8_t zeros[OUI_LEN];

    return (eui[0] & 1) == 0 && memcmp(eui, zeros, OUI_LEN) != 0;
}

/* The block that IEEE sells in small parts: many JoinEUIs are from it. */
static bool is_common(const uint8_t eui[EUI_LEN])
{
    return memcmp(eui, "\x70\xb3\xd5", OUI_LEN) == 0;
}

static void check_order(const struct lint *l, const struct lint_place *place, int line)
{
    struct kbv_slice suffix = place->name;
    struct kbv_id id, other;

    for (size_t i = 0; i < place->digits; i++)
        suffix = zone_parent(suffix);
    if (place->zone != NULL)
        suffix = (struct kbv_slice){place->zone->suffix, place->zone->suffix_len};
    if (kbv_id_from_name(place->zone != NULL ? place->zone->kind : KBV_ID_JOINEUI,
                         place->zone == NULL || place->zone->form == KBV_FORM_NIBBLE, place->name.p,
                         place->name.len, suffix.p, suffix.len, &id) != KBV_OK ||
        id.len != EUI_LEN)
        return;
    other = id;
    for (int digits = 0; digits < 2; digits++) {
        char is[17], would_be[17];

        for (size_t i = 0; i < EUI_LEN; i++) {
            uint8_t octet = id.value[EUI_LEN - 1 - i];

            other.value[i] = digits ? (uint8_t)(octet << 4 | octet >> 4) : octet;
        }
        if ((is_usual(id.value) || !is_usual(other.value)) &&
            (is_common(id.value) || !is_common(other.value)))
            continue;
        kbv_id_text(&id, is);
        kbv_id_text(&other, would_be);
        lint_report(l, TRAP_ORDER, line, place->name, "%s, reversed %s", is, would_be);
        return;
    }
}

/* ---- wildcards ---- */

/* True if all sixteen digits stand before a name: then nothing is left for a wildcard. */
static bool is_full(const struct lint *l, struct kbv_slice name)
{
    uint8_t buf[KBV_NAME_MAX];

    if (name.len + 2 > KBV_NAME_MAX)
        return true;
    buf[0] = 1;
    memcpy(buf + 2, name.p, name.len);
    for (size_t i = 0; i < 16; i++) {
        buf[1] = (uint8_t) "0123456789abcdef"[i];
        if (!zone_exists(l->zone, (struct kbv_slice){buf, name.len + 2}))
            return false;
    }
    return true;
}

/* True if a wildcard right above name had something to say for name or below it, and name is in
 * its way. */
static bool hides(const struct lint *l, struct kbv_slice name, struct zone_range wildcard)
{
    const struct lint_place place = lint_place(l, name);
    const bool block = place.kind == LINT_BLOCK && !place.wildcard && !place.service;
    const struct zone_range own = zone_name(l->zone, name);
    uint8_t buf[KBV_NAME_MAX];
    struct kbv_slice below = zone_wildcard_of(name, buf);

    if (zone_rrset(l->zone, name, ZONE_TYPE_NS).n != 0 ||
        zone_rrset(l->zone, name, KBV_TYPE_DNAME).n != 0)
        return false;
    if (is_service(name))
        return own.n == 0 &&
               zone_rrset(l->zone, l->zone->r[wildcard.first].owner, KBV_TYPE_TLSA).n != 0;
    if (block)
        return (below.p == NULL || zone_name(l->zone, below).n == 0) && !is_full(l, name);
    return own.n == 0;
}

/* The names that exist because of this one: each is looked at once, with the first name at or below
 * it. */
static void check_hidden(const struct lint *l, struct zone_range all)
{
    const struct zone_record *first = &l->zone->r[all.first];

    for (struct kbv_slice name = first->owner; name.len > 1; name = zone_parent(name)) {
        const struct kbv_slice parent = zone_parent(name);
        char because[KBV_NAME_TEXT_MAX], of[KBV_NAME_TEXT_MAX];
        uint8_t buf[KBV_NAME_MAX];
        struct kbv_slice wildcard = zone_wildcard_of(parent, buf);
        struct zone_range range;

        if (name.len <= l->zone->origin_len)
            return;
        if (all.first != 0 && kbv_name_below(l->zone->r[all.first - 1].owner.p,
                                             l->zone->r[all.first - 1].owner.len, name.p, name.len))
            return; /* looked at with the name before, as all above it */
        if (is_wildcard(name) || wildcard.p == NULL)
            continue;
        range = zone_name(l->zone, wildcard);
        if (range.n == 0 || !has_data(l, range) || !hides(l, name, range))
            continue;
        kbv_name_to_text(first->owner.p, first->owner.len, because);
        kbv_name_to_text(wildcard.p, wildcard.len, of);
        lint_report(l, TRAP_HIDDEN, first->line, name, "%s, because %s exists", of, because);
    }
}

void lint_name(const struct lint *l, struct zone_range all)
{
    const struct zone_record *first = &l->zone->r[all.first];
    const struct lint_place place = lint_place(l, first->owner);
    const bool alone = !place.service || zone_name(l->zone, place.name).n == 0;

    if (l->zone->origin_len != 0 &&
        !kbv_name_below(first->owner.p, first->owner.len, l->zone->origin, l->zone->origin_len)) {
        lint_report(l, TRAP_OUTSIDE, first->line, first->owner, "%s", "");
        return;
    }
    for (size_t i = 0; place.zone != NULL && i < all.n; i++) {
        if (l->zone->r[all.first + i].upper) {
            lint_report(l, TRAP_CAPITALS, l->zone->r[all.first + i].line, first->owner, "%s", "");
            break;
        }
    }
    if (place.kind == LINT_MALFORMED && alone)
        report_malformed(l, &place, first->line);
    else if (place.kind == LINT_BLOCK && place.zone != NULL && !place.wildcard && alone &&
             (place.service || has_data(l, all)))
        lint_report(l, TRAP_NOT_IDENTIFIER, first->line, place.name, "%zu digits", place.digits);
    else if (place.kind == LINT_IDENTIFIER && alone)
        check_order(l, &place, first->line);
    check_hidden(l, all);
}
