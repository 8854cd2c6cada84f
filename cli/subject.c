/* SPDX-License-Identifier: BSD-3-Clause */
/* See subject.h. */
#include "cli/subject.h"

#include <string.h>

bool read_service(const char *text, uint8_t out[KBV_NAME_MAX], size_t *len)
{
    if (kbv_name_from_text(text, true, out, len) != KBV_OK || *len == 1)
        return false;
    for (const uint8_t *label = out; *label; label += 1 + *label)
        if (label[1] != '_')
            return false;
    --*len; /* without the root label: a name follows */
    return true;
}

bool name_identifier(const struct command *c, const struct kbv_id *id,
                     const struct subject_form *form, uint8_t out[KBV_NAME_MAX], size_t *len)
{
    uint8_t suffix[KBV_NAME_MAX], name[2 * KBV_NAME_MAX];
    size_t suffix_len, service_len = 0, name_len;

    if (kbv_name_from_text(form->suffix, true, suffix, &suffix_len) != KBV_OK) {
        usage_error(c, "%s: no domain name", form->suffix);
        return false;
    }
    if (form->service && !read_service(form->service, name, &service_len)) {
        usage_error(c, "%s: a service is a label that begins with _", form->service);
        return false;
    }
    if (form->flat && id->kind == KBV_ID_JOINEUI) {
        usage_error(c, "a JoinEUI has one label a digit, never --flat");
        return false;
    }
    if (kbv_id_to_name(id, !form->flat && id->kind != KBV_ID_NETID, suffix, suffix_len,
                       name + service_len, &name_len) != KBV_OK ||
        service_len + name_len > KBV_NAME_MAX) {
        usage_error(c, "the name would be longer than 255 octets");
        return false;
    }
    *len = service_len + name_len;
    memcpy(out, name, *len);
    return true;
}

/* The kind that stands before the colon. A name has no colon in front of a value. */
static enum kbv_id_kind kind_of(const char *text, const char **value)
{
    const char *colon = strchr(text, ':');
    char kind[16] = "";

    if (!colon || (size_t)(colon - text) >= sizeof(kind))
        return KBV_ID_NONE;
    memcpy(kind, text, (size_t)(colon - text));
    *value = colon + 1;
    return kbv_id_kind_from_name(kind);
}

bool read_subject(const struct command *c, const char *text, const struct subject_form *form,
                  struct subject *out)
{
    const char *value;
    struct kbv_id id = {.kind = kind_of(text, &value)};

    out->identifier = (struct kbv_id){.kind = KBV_ID_NONE};
    if (id.kind == KBV_ID_NONE) {
        if (form->suffix || form->service || form->flat) {
            usage_error(c, "%s: --suffix, --service and --flat are for identifiers", text);
            return false;
        }
        if (kbv_name_from_text(text, true, out->name, &out->len) == KBV_OK)
            return true;
        usage_error(c, "%s: no domain name, nor joineui:, netid: or deveui: and hex digits", text);
        return false;
    }
    if (kbv_id_parse(id.kind, value, &id) != KBV_OK) {
        usage_error(c, "%s: expected %d hex digits, with - or : between octets or not", text,
                    id.kind == KBV_ID_NETID ? 6 : 16);
        return false;
    }
    if (!form->suffix) {
        usage_error(c, "%s: --suffix says below which zone such identifiers are", text);
        return false;
    }
    if (!name_identifier(c, &id, form, out->name, &out->len))
        return false;
    if (!form->service)
        out->identifier = id;
    return true;
}

bool subject_spells(const struct subject *s, const struct kbv_id *id, size_t *at, bool *nibble)
{
    struct kbv_id read;

    for (size_t i = 0; s->name[i] != 0; i += 1U + s->name[i])
        for (int form = 0; form < 2; form++)
            if (kbv_id_from_name(id->kind, form, s->name, s->len, s->name + i, s->len - i, &read) ==
                    KBV_OK &&
                read.len == id->len && memcmp(read.value, id->value, id->len) == 0) {
                *at = i;
                *nibble = form;
                return true;
            }
    return false;
}

bool subject_is_spelled_in(const struct subject *s, const struct kbv_verdict *v)
{
    size_t at;
    bool nibble;

    return v->has_identifier &&
           kbv_name_equal(v->identifier_name.p, v->identifier_name.len, s->name, s->len) &&
           subject_spells(s, &v->identifier, &at, &nibble);
}
