/* SPDX-License-Identifier: BSD-3-Clause */
/* Names, identifiers and digest labels, as text and on the wire. The first octet of the input
 * chooses the parser: t text, i identifier, w wire, d digest label. */
#include <kbv/name.h>

#include <string.h>

#include "tests/fuzz/require.h"

/* The input as a string, up to its first NUL. */
static const char *as_text(const uint8_t *data, size_t len)
{
    static char text[5000];

    if (len >= sizeof(text))
        len = sizeof(text) - 1;
    memcpy(text, data, len);
    text[len] = '\0';
    return text;
}

static void check_text(const uint8_t *data, size_t len)
{
    uint8_t wire[KBV_NAME_MAX], back[KBV_NAME_MAX];
    char text[KBV_NAME_TEXT_MAX];
    size_t wire_len, back_len;

    if (kbv_name_from_text(as_text(data, len), true, wire, &wire_len) != KBV_OK)
        return;
    REQUIRE(kbv_name_is_canonical(wire, wire_len));
    kbv_name_to_text(wire, wire_len, text);
    REQUIRE(kbv_name_from_text(text, false, back, &back_len) == KBV_OK);
    REQUIRE(back_len == wire_len && memcmp(back, wire, wire_len) == 0);
}

static void check_identifier(const uint8_t *data, size_t len)
{
    static const uint8_t suffix[] = "\7example"; /* its NUL is the root */

    for (enum kbv_id_kind kind = KBV_ID_JOINEUI; kind <= KBV_ID_DEVEUI; kind++) {
        bool nibble = kind != KBV_ID_NETID;
        uint8_t name[KBV_NAME_MAX];
        struct kbv_id id, back;
        char text[17];
        size_t name_len;

        if (kbv_id_parse(kind, as_text(data, len), &id) != KBV_OK)
            continue;
        REQUIRE(id.kind == kind && id.len == (kind == KBV_ID_NETID ? 3 : 8));
        kbv_id_text(&id, text);
        REQUIRE(kbv_id_parse(kind, text, &back) == KBV_OK);
        REQUIRE(memcmp(back.value, id.value, id.len) == 0);
        REQUIRE(kbv_id_to_name(&id, nibble, suffix, sizeof(suffix), name, &name_len) == KBV_OK);
        REQUIRE(kbv_name_is_canonical(name, name_len));
        REQUIRE(kbv_id_from_name(kind, nibble, name, name_len, suffix, sizeof(suffix), &back) ==
                KBV_OK);
        REQUIRE(memcmp(back.value, id.value, id.len) == 0);
    }
}

/* Octets as one name, then another. */
static void check_wire(const uint8_t *data, size_t len)
{
    size_t a_len = kbv_name_len(data, len), b_len = kbv_name_len(data + a_len, len - a_len);
    const uint8_t *a = data, *b = data + a_len, *host;
    uint8_t wire[KBV_NAME_MAX], name[KBV_NAME_MAX];
    char text[KBV_NAME_TEXT_MAX];
    size_t wire_len, host_len, name_len;
    struct kbv_id id;

    if (a_len == 0)
        return;
    REQUIRE(a_len <= len && a_len <= KBV_NAME_MAX && kbv_name_labels(a) <= 127);
    kbv_name_to_text(a, a_len, text);
    REQUIRE(strlen(text) < KBV_NAME_TEXT_MAX);
    REQUIRE(kbv_name_from_text(text, false, wire, &wire_len) == KBV_OK);
    REQUIRE(wire_len == a_len && memcmp(wire, a, a_len) == 0);
    if (kbv_name_is_server_owner(a, a_len, &host, &host_len))
        REQUIRE(host + host_len == a + a_len && kbv_name_len(host, host_len) == host_len);
    if (kbv_name_tlsa_owner(443, a, a_len, wire, &wire_len) == KBV_OK)
        REQUIRE(kbv_name_is_server_owner(wire, wire_len, &host, &host_len) && host_len == a_len);
    if (b_len == 0)
        return;
    REQUIRE(kbv_name_below(a, a_len, a, a_len) && kbv_name_below(a, a_len, (uint8_t[]){0}, 1));
    REQUIRE((kbv_name_compare(a, b) == 0) == kbv_name_equal(a, a_len, b, b_len));
    REQUIRE((kbv_name_compare(a, b) < 0) == (kbv_name_compare(b, a) > 0));
    if (kbv_name_below(a, a_len, b, b_len)) /* what is below sorts behind */
        REQUIRE(kbv_name_compare(a, b) >= 0 && a_len >= b_len);
    for (int form = 0; form < 6; form++) {
        enum kbv_id_kind kind = 1 + form % 3;
        if (kbv_id_from_name(kind, form < 3, a, a_len, b, b_len, &id) != KBV_OK)
            continue;
        REQUIRE(kbv_id_to_name(&id, form < 3, b, b_len, name, &name_len) == KBV_OK);
        REQUIRE(kbv_name_equal(name, name_len, a, a_len));
    }
}

static void check_digest_label(const uint8_t *data, size_t len)
{
    uint8_t digest[32], label[53], lower[53];
    char kind;

    if (kbv_digest_label_decode(data, len, &kind, digest) != KBV_OK)
        return;
    REQUIRE(len == 53 && (kind == 's' || kind == 'c'));
    kbv_digest_label_encode(kind, digest, label);
    kbv_name_lower(lower, data, len);
    REQUIRE(memcmp(label, lower, sizeof(label)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0)
        return 0;
    switch (data[0]) {
    case 't':
        check_text(data + 1, len - 1);
        break;
    case 'i':
        check_identifier(data + 1, len - 1);
        break;
    case 'w':
        check_wire(data + 1, len - 1);
        break;
    case 'd':
        check_digest_label(data + 1, len - 1);
        break;
    }
    return 0;
}
