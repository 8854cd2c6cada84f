/* SPDX-License-Identifier: BSD-3-Clause */
/* A verdict as JSON. */
#include "cli/json.h"

#include "lib/text.h"

/* Text of n octets in hexadecimal; null if there are none. */
static json_t *hex(const uint8_t *p, size_t n)
{
    char text[2 * KBV_ASSOCIATIONS_MAX + 1];

    if (!p)
        return json_null();
    kbv_hex_text(p, n, text);
    return json_string(text);
}

/* The same, null if all are zero. */
static json_t *hex_unless_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return hex(p, n);
    return json_null();
}

static json_t *name(struct kbv_slice wire)
{
    char text[KBV_NAME_TEXT_MAX];

    if (!wire.p)
        return json_null();
    kbv_name_to_text(wire.p, wire.len, text);
    return json_string(text);
}

static json_t *host(struct kbv_slice wire)
{
    char text[KBV_NAME_TEXT_MAX];

    kbv_host_text(wire, text);
    return json_string(text);
}

static json_t *number_unless(unsigned number, unsigned none)
{
    return number == none ? json_null() : json_integer(number);
}

static json_t *time_of(uint32_t t)
{
    char text[KBV_TIME_TEXT_LEN];

    kbv_time_text(t, text);
    return json_string(text);
}

static json_t *flags(uint8_t set)
{
    json_t *list = json_array();

    for (size_t i = 0; i < N_FLAGS; i++)
        if (set & flag_names[i].flag &&
            json_array_append_new(list, json_string(flag_names[i].name)) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *subject_kind(enum kbv_subject_kind kind)
{
    if (kind == KBV_SUBJECT_NONE)
        return json_null();
    return json_string(kind == KBV_SUBJECT_SPKI ? "spki" : "cert");
}

static json_t *endpoint(const struct kbv_verdict *v)
{
    if (!v->has_endpoint)
        return json_null();
    return json_pack("{s:o, s:i, s:i, s:i, s:i, s:i}", "host", host(v->target), "port", v->port,
                     "order", v->order, "preference", v->preference, "priority", v->priority,
                     "weight", v->weight);
}

static json_t *identifier(const struct kbv_verdict *v)
{
    char value[17];

    if (!v->has_identifier)
        return json_null();
    kbv_id_text(&v->identifier, value);
    return json_pack("{s:s, s:s, s:o}", "kind", kbv_id_kind_name(v->identifier.kind), "value",
                     value, "name", name(v->identifier_name));
}

static json_t *associations(struct kbv_slice all)
{
    struct kbv_association a;
    json_t *list;

    if (!all.p)
        return json_null();
    list = json_array();
    for (size_t pos = 0; kbv_association_next(all, &pos, &a);) {
        json_t *row = json_pack("{s:i, s:i, s:i, s:o}", "usage", a.usage, "selector", a.selector,
                                "mtype", a.mtype, "data", hex(a.data.p, a.data.len));
        if (json_array_append_new(list, row) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *reference_names(struct kbv_slice all)
{
    struct kbv_slice one;
    json_t *list;

    if (!all.p)
        return json_null();
    list = json_array();
    for (size_t pos = 0; kbv_reference_name_next(all, &pos, &one);)
        if (json_array_append_new(list, name(one)) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *reason(struct kbv_slice text)
{
    return text.p ? json_stringn((const char *)text.p, text.len) : json_null();
}

static json_t *signature(const struct kbv_verdict *v, enum kbv_signature found)
{
    if (v->auth == 0)
        return json_null();
    /* No key was given to verify it with: neither true nor false. */
    return json_pack("{s:o, s:o}", "key_id", hex(v->key_id, sizeof(v->key_id)), "verified",
                     found == KBV_SIGNATURE_NOT_CHECKED
                         ? json_null()
                         : json_boolean(found == KBV_SIGNATURE_VALID));
}

json_t *verdict_object(const struct kbv_verdict *v, enum kbv_signature found)
{
    const struct {
        const char *key;
        json_t *value;
    } members[] = {
        {"status", json_string(kbv_status_name(v->status))},
        {"code", json_integer(v->status)},
        {"owner", name(v->owner)},
        {"usage", number_unless(v->match.usage, KBV_MATCH_NONE.usage)},
        {"selector", number_unless(v->match.selector, KBV_MATCH_NONE.selector)},
        {"mtype", number_unless(v->match.mtype, KBV_MATCH_NONE.mtype)},
        {"subject", hex(v->subject.kind ? v->subject.digest : NULL, sizeof(v->subject.digest))},
        {"issued", time_of(v->issued)},
        {"not_after", time_of(v->not_after)},
        {"flags", flags(v->flags)},
        {"endpoint", endpoint(v)},
        {"identifier", identifier(v)},
        {"associations", associations(v->associations)},
        {"ede", number_unless(v->ede, KBV_EDE_NONE)},
        {"reason", reason(v->reason)},
        {"signed", signature(v, found)},
        {"subject_kind", subject_kind(v->subject.kind)},
        {"algorithm", number_unless(v->alg, 0)},
        {"rrset_hash", hex_unless_zero(v->rrset_hash, sizeof(v->rrset_hash))},
        {"nonce", hex(v->nonce.p, v->nonce.len)},
        {"found_at", name(v->found_at)},
        {"reference_names", reference_names(v->reference_names)},
    };
    json_t *object = json_object();
    bool ok = object != NULL;

    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        ok &= json_object_set_new(object, members[i].key, members[i].value) == 0;
    if (ok)
        return object;
    json_decref(object);
    return NULL;
}

/* Prints and frees; members stay in order since Jansson 2.8. In ASCII: a REASON may hold C1
 * controls, which JSON lets pass and terminals obey. */
static bool print_object(FILE *out, json_t *object)
{
    char *line = object ? json_dumps(object, JSON_ENSURE_ASCII) : NULL;

    if (line)
        fprintf(out, "%s\n", line);
    free(line);
    json_decref(object);
    return line != NULL;
}

bool print_json(FILE *out, const struct kbv_verdict *v)
{
    return print_object(out, verdict_object(v, KBV_SIGNATURE_NOT_CHECKED));
}

bool print_json_signed(FILE *out, const struct kbv_verdict *v, enum kbv_signature found)
{
    return print_object(out, verdict_object(v, found));
}

bool print_json_depth(FILE *out, const struct kbv_verdict *v, int depth)
{
    json_t *object = verdict_object(v, KBV_SIGNATURE_NOT_CHECKED);

    if (object &&
        json_object_set_new(object, "depth", depth < 0 ? json_null() : json_integer(depth)) != 0) {
        json_decref(object);
        object = NULL;
    }
    return print_object(out, object);
}
