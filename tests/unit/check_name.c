/* SPDX-License-Identifier: BSD-3-Clause */
/* Names, identifiers, owners of TLSA records, digest labels. */
#include <kbv/name.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/octets.h"

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

#define L63     "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"
#define L61     "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghi"
#define NAME255 L63 "." L63 "." L63 "." L61 "."
#define SUFFIX  "joineuis.lora-alliance.org."
#define NIBBLES "0.0.0.0.0.0.0.d.e.7.5.d.3.b.0.7."

/* Text and wire */

static const struct {
    const char *text;
    const char *wire; /* hex, NULL if the text is refused */
    const char *back; /* how it is written, NULL: as text */
} texts[] = {
    {".", "00", NULL},
    {"a.", "01 61 00", NULL},
    {"a", "01 61 00", "a."},
    {"a.b.", "01 61 01 62 00", NULL},
    {"A.b", "01 41 01 62 00", "A.b."},
    {"_8003._tcp.js.", "05 5f 38 30 30 33 04 5f 74 63 70 02 6a 73 00", NULL},
    {"a\\.b.c.", "03 61 2e 62 01 63 00", NULL},
    {"a\\\\.", "02 61 5c 00", NULL},
    {"a\\000\\255.", "03 61 00 ff 00", NULL},
    {"\\097.", "01 61 00", "a."},
    {"\\a.", "01 61 00", "a."},
    {"\\(\\)\\;\\@\\$\\\".", "06 28 29 3b 40 24 22 00", NULL},
    {"(@.", "02 28 40 00", "\\(\\@."},
    {"a\\ b.", "03 61 20 62 00", "a\\032b."},
    {"a\\.", "02 61 2e 00", "a\\.."},
    {"", NULL, NULL},
    {"..", NULL, NULL},
    {".a", NULL, NULL},
    {"a..", NULL, NULL},
    {"a..b", NULL, NULL},
    {"a b.", NULL, NULL},
    {"a\tb.", NULL, NULL},
    {"a\x7f.", NULL, NULL},
    {"m\xc3\xbcller.", NULL, NULL},
    {"a\\", NULL, NULL},
    {"a\\2", NULL, NULL},
    {"a\\25", NULL, NULL},
    {"a\\25x", NULL, NULL},
    {"a\\256", NULL, NULL},
    {"a\\999", NULL, NULL},
    {L63 "a.", NULL, NULL},
};

START_TEST(text_to_wire_and_back)
{
    uint8_t wire[KBV_NAME_MAX] = {7}, expected[KBV_NAME_MAX];
    char text[KBV_NAME_TEXT_MAX];
    size_t len = 99;
    enum kbv_err err = kbv_name_from_text(texts[_i].text, false, wire, &len);

    if (!texts[_i].wire) {
        ck_assert_int_eq(err, KBV_ERR_FORMAT);
        ck_assert_uint_eq(len, 99);
        ck_assert_uint_eq(wire[0], 7);
        return;
    }
    ck_assert_int_eq(err, KBV_OK);
    ck_assert_uint_eq(len, octets_from_hex(texts[_i].wire, expected, sizeof(expected)));
    ck_assert_mem_eq(wire, expected, len);
    kbv_name_to_text(wire, len, text);
    ck_assert_str_eq(text, texts[_i].back ? texts[_i].back : texts[_i].text);
}
END_TEST

START_TEST(text_of_255_octets_and_no_more)
{
    uint8_t wire[KBV_NAME_MAX];
    char text[KBV_NAME_TEXT_MAX];
    size_t len;

    ck_assert_int_eq(kbv_name_from_text(NAME255, false, wire, &len), KBV_OK);
    ck_assert_uint_eq(len, KBV_NAME_MAX);
    kbv_name_to_text(wire, len, text);
    ck_assert_str_eq(text, NAME255);
    ck_assert_int_eq(kbv_name_from_text("a." NAME255, false, wire, &len), KBV_ERR_FORMAT);
    ck_assert_int_eq(kbv_name_from_text(L63 "." L63 "." L63 "." L61 "a", false, wire, &len),
                     KBV_ERR_FORMAT);
}
END_TEST

START_TEST(longest_text_fits)
{
    uint8_t wire[KBV_NAME_MAX];
    char *text = malloc(KBV_NAME_TEXT_MAX);

    ck_assert_ptr_nonnull(text);
    memset(wire, 1, sizeof(wire)); /* 127 labels "\001" … */
    wire[254] = 0;
    kbv_name_to_text(wire, sizeof(wire), text);
    ck_assert_uint_eq(strlen(text), 127 * 5);
    for (size_t at = 0; at < 254; at += 64) /* … and labels as long as they can be */
        wire[at] = at + 64 < 254 ? 63 : (uint8_t)(253 - at);
    kbv_name_to_text(wire, sizeof(wire), text);
    ck_assert_uint_eq(strlen(text), 250 * 4 + 4);
    free(text);
}
END_TEST

START_TEST(text_of_no_name_is_empty)
{
    char text[KBV_NAME_TEXT_MAX] = "x";

    kbv_name_to_text((const uint8_t *)"\1a", 2, text);
    ck_assert_str_eq(text, "");
    kbv_name_to_text((const uint8_t *)"\1a\0\1", 4, text);
    ck_assert_str_eq(text, "");
}
END_TEST

static const struct {
    const char *hex;
    size_t max, len; /* len 0: no name */
    size_t labels;
} wires[] = {
    {"00", 1, 1, 0},
    {"01 61 00", 3, 3, 1},
    {"01 61 00 ff ff", 5, 3, 1},
    {"01 41 01 42 00", 5, 5, 2},
    {"", 0, 0, 0},
    {"01", 1, 0, 0},
    {"01 61", 2, 0, 0},
    {"01 61 00", 2, 0, 0},
    {"02 61 00", 3, 0, 0},
    {"40 61 00", 3, 0, 0},
    {"80 61 00", 3, 0, 0},
    {"c0 0c", 2, 0, 0},
    {"01 61 c0 00", 4, 0, 0},
};

START_TEST(wire_name_ends_at_its_root)
{
    uint8_t octets[16];

    octets_from_hex(wires[_i].hex, octets, sizeof(octets));
    ck_assert_uint_eq(kbv_name_len(octets, wires[_i].max), wires[_i].len);
    if (wires[_i].len)
        ck_assert_uint_eq(kbv_name_labels(octets), wires[_i].labels);
}
END_TEST

START_TEST(wire_name_has_at_most_255_octets)
{
    uint8_t octets[300];
    struct octets_name name = octets_from_name(NAME255);

    memcpy(octets, name.wire, name.len);
    ck_assert_uint_eq(kbv_name_len(octets, sizeof(octets)), 255);
    octets[192] = 62; /* one octet more in the last label */
    octets[255] = 0;
    ck_assert_uint_eq(kbv_name_len(octets, sizeof(octets)), 0);
}
END_TEST

START_TEST(canonical_means_one_name_in_lower_case)
{
    struct octets_name lower = octets_from_name("a[@{`.0-9_.");
    struct octets_name upper = octets_from_name("a.bZ.");

    ck_assert(kbv_name_is_canonical(lower.wire, lower.len));
    ck_assert(!kbv_name_is_canonical(upper.wire, upper.len));
    ck_assert(!kbv_name_is_canonical(lower.wire, lower.len - 1));
    ck_assert(!kbv_name_is_canonical(lower.wire, lower.len + 1));
    ck_assert(!kbv_name_is_canonical(lower.wire, 0));
    kbv_name_lower(upper.wire, upper.wire, upper.len);
    ck_assert(kbv_name_is_canonical(upper.wire, upper.len));
}
END_TEST

/* Names are read eight octets at a time: no octet may be taken for its neighbour. */
START_TEST(one_letter_is_seen_wherever_it_stands)
{
    static const uint8_t fills[] = {0x00, '@', '[', 'z', 0x7F, 0x80, 0xFF};
    uint8_t name[1 + 20 + 1], folded[sizeof(name)];

    for (size_t at = 1; at < sizeof(name) - 1; at++) {
        for (unsigned octet = 0; octet < 256; octet++) {
            const bool upper = octet >= 'A' && octet <= 'Z';

            memset(name, fills[(at + octet) % sizeof(fills)], sizeof(name));
            name[0] = sizeof(name) - 2;
            name[at] = (uint8_t)octet;
            name[sizeof(name) - 1] = 0;
            ck_assert_uint_eq(kbv_name_canonical_len(name, sizeof(name)), upper ? 0 : sizeof(name));
            kbv_name_lower(folded, name, sizeof(name));
            ck_assert(kbv_name_equal(folded, sizeof(name), name, sizeof(name)));
            name[at] = (uint8_t)(upper ? octet + 32 : octet);
            ck_assert_mem_eq(folded, name, sizeof(name));
        }
    }
}
END_TEST

START_TEST(only_ascii_letters_are_folded)
{
    uint8_t octets[256], folded[256];

    for (unsigned i = 0; i < 256; i++)
        octets[i] = (uint8_t)i;
    kbv_name_lower(folded, octets, sizeof(octets));
    for (unsigned i = 0; i < 256; i++)
        ck_assert_uint_eq(folded[i], i >= 'A' && i <= 'Z' ? i + 32 : i);
}
END_TEST

/* Comparing */

static const struct {
    const char *name, *zone;
    bool below;
} below[] = {
    {"a.example.", "example.", true},
    {"A.EXAMPLE.", "example.", true},
    {"example.", "example.", true},
    {"a.b.c.example.", "c.EXAMPLE.", true},
    {"example.", ".", true},
    {".", ".", true},
    {".", "example.", false},
    {"example.", "a.example.", false},
    {"aexample.", "example.", false},
    {"a.example.", "b.example.", false},
    {"a\\007example.", "example.", false}, /* the octets are there, but inside a label */
    {"example.a.", "example.", false},
};

START_TEST(below_goes_by_labels)
{
    struct octets_name name = octets_from_name(below[_i].name);
    struct octets_name zone = octets_from_name(below[_i].zone);

    ck_assert_int_eq(kbv_name_below(name.wire, name.len, zone.wire, zone.len), below[_i].below);
}
END_TEST

START_TEST(equal_whatever_the_case)
{
    struct octets_name a = octets_from_name("A.Example."), b = octets_from_name("a.eXample.");
    struct octets_name c = octets_from_name("b.example."), d = octets_from_name("a.example.x.");

    ck_assert(kbv_name_equal(a.wire, a.len, b.wire, b.len));
    ck_assert(!kbv_name_equal(a.wire, a.len, c.wire, c.len));
    ck_assert(!kbv_name_equal(a.wire, a.len, d.wire, d.len));
}
END_TEST

/* The order that RFC 4034 section 6.1 gives as an example, and the ends of it. */
static const char *const ordered[] = {
    ".",
    "example.",
    "a.example.",
    "yljkjljk.a.example.",
    "Z.a.example.",
    "zABC.a.EXAMPLE.",
    "z.example.",
    "\\001.z.example.",
    "*.z.example.",
    "\\200.z.example.",
    "examplf.",
};

START_TEST(canonical_order_is_that_of_rfc_4034)
{
    for (int j = 0; j < ROWS(ordered); j++) {
        struct octets_name a = octets_from_name(ordered[_i]), b = octets_from_name(ordered[j]);
        int diff = kbv_name_compare(a.wire, b.wire);

        ck_assert_int_eq((diff > 0) - (diff < 0), (_i > j) - (_i < j));
    }
}
END_TEST

START_TEST(canonical_order_ignores_case)
{
    struct octets_name a = octets_from_name("Js.Example."), b = octets_from_name("jS.eXample.");

    ck_assert_int_eq(kbv_name_compare(a.wire, b.wire), 0);
}
END_TEST

START_TEST(canonical_order_of_the_most_labels)
{
    uint8_t a[KBV_NAME_MAX], b[KBV_NAME_MAX];

    memset(a, 1, sizeof(a));
    a[254] = 0;
    memcpy(b, a, sizeof(b));
    b[1] = 2; /* the leftmost of 127 labels */
    ck_assert_int_lt(kbv_name_compare(a, b), 0);
    ck_assert_int_eq(kbv_name_compare(a, a), 0);
}
END_TEST

START_TEST(first_label_is_compared_whole)
{
    struct octets_name name = octets_from_name("_KBV.example.");

    ck_assert(kbv_name_first_label_is(name.wire, "_kbv"));
    ck_assert(!kbv_name_first_label_is(name.wire, "_kb"));
    ck_assert(!kbv_name_first_label_is(name.wire, "_kbvx"));
    ck_assert(!kbv_name_first_label_is(name.wire, ""));
}
END_TEST

/* Identifiers */

static const struct {
    enum kbv_id_kind kind;
    const char *text;
    const char *value; /* NULL if refused */
} ids[] = {
    {KBV_ID_JOINEUI, "70B3D57ED0000000", "70B3D57ED0000000"},
    {KBV_ID_JOINEUI, "70b3d57ed0000000", "70B3D57ED0000000"},
    {KBV_ID_JOINEUI, "0x70b3D57eD0000000", "70B3D57ED0000000"},
    {KBV_ID_JOINEUI, "0X70b3D57eD0000000", "70B3D57ED0000000"},
    {KBV_ID_JOINEUI, "70-B3-D5-7E-D0-00-00-00", "70B3D57ED0000000"},
    {KBV_ID_JOINEUI, "70:b3:d5:7e:d0:00:00:00", "70B3D57ED0000000"},
    {KBV_ID_JOINEUI, "70B3-D57E-D000-0000", "70B3D57ED0000000"},
    {KBV_ID_DEVEUI, "0004A30B001A2B3C", "0004A30B001A2B3C"},
    {KBV_ID_NETID, "00050A", "00050A"},
    {KBV_ID_NETID, "0x00-05-0a", "00050A"},
    {KBV_ID_JOINEUI, "", NULL},
    {KBV_ID_JOINEUI, "0x", NULL},
    {KBV_ID_JOINEUI, "70B3D57ED000000", NULL},
    {KBV_ID_JOINEUI, "70B3D57ED00000000", NULL},
    {KBV_ID_JOINEUI, "70B3D57ED000000000", NULL},
    {KBV_ID_JOINEUI, "70B3D57ED000000G", NULL},
    {KBV_ID_JOINEUI, " 70B3D57ED0000000", NULL},
    {KBV_ID_JOINEUI, "70B3D57ED0000000 ", NULL},
    {KBV_ID_JOINEUI, "70 B3 D5 7E D0 00 00 00", NULL},
    {KBV_ID_JOINEUI, "70.B3.D5.7E.D0.00.00.00", NULL},
    {KBV_ID_JOINEUI, "7-0B3D57ED0000000", NULL},
    {KBV_ID_JOINEUI, "70--B3D57ED0000000", NULL},
    {KBV_ID_JOINEUI, "-70B3D57ED0000000", NULL},
    {KBV_ID_JOINEUI, "70B3D57ED0000000-", NULL},
    {KBV_ID_JOINEUI, "0x-70B3D57ED0000000", NULL},
    {KBV_ID_JOINEUI, "0x0x70B3D57ED0000000", NULL},
    {KBV_ID_JOINEUI, "00050A", NULL},
    {KBV_ID_NETID, "50A", NULL},
    {KBV_ID_NETID, "000050A", NULL},
    {KBV_ID_NETID, "70B3D57ED0000000", NULL},
};

START_TEST(identifier_as_people_write_it)
{
    struct kbv_id id = {.len = 99};
    char text[17];
    enum kbv_err err = kbv_id_parse(ids[_i].kind, ids[_i].text, &id);

    if (!ids[_i].value) {
        ck_assert_int_eq(err, KBV_ERR_FORMAT);
        ck_assert_uint_eq(id.len, 99);
        return;
    }
    ck_assert_int_eq(err, KBV_OK);
    ck_assert_int_eq(id.kind, ids[_i].kind);
    kbv_id_text(&id, text);
    ck_assert_str_eq(text, ids[_i].value);
}
END_TEST

START_TEST(kinds_have_names)
{
    struct kbv_id id;

    for (enum kbv_id_kind kind = KBV_ID_JOINEUI; kind <= KBV_ID_DEVEUI; kind++)
        ck_assert_int_eq(kbv_id_kind_from_name(kbv_id_kind_name(kind)), kind);
    ck_assert_str_eq(kbv_id_kind_name(KBV_ID_NETID), "netid");
    ck_assert_ptr_null(kbv_id_kind_name(KBV_ID_NONE));
    ck_assert_ptr_null(kbv_id_kind_name(4));
    ck_assert_int_eq(kbv_id_kind_from_name("JoinEUI"), KBV_ID_NONE);
    ck_assert_int_eq(kbv_id_kind_from_name(""), KBV_ID_NONE);
    ck_assert_int_eq(kbv_id_parse(KBV_ID_NONE, "00", &id), KBV_ERR_UNSUPPORTED);
    ck_assert_int_eq(kbv_id_parse(4, "00", &id), KBV_ERR_UNSUPPORTED);
}
END_TEST

static const struct {
    enum kbv_id_kind kind;
    const char *value;
    bool nibble;
    const char *suffix;
    const char *name; /* NULL if there is none */
    enum kbv_err err;
} id_names[] = {
    {KBV_ID_JOINEUI, "70B3D57ED0000000", true, SUFFIX, NIBBLES SUFFIX, KBV_OK},
    {KBV_ID_JOINEUI, "70B3D57ED0000000", true, "LoRa.Example.", NIBBLES "lora.example.", KBV_OK},
    {KBV_ID_JOINEUI, "0123456789ABCDEF", true, ".", "f.e.d.c.b.a.9.8.7.6.5.4.3.2.1.0.", KBV_OK},
    {KBV_ID_NETID, "00050A", false, "netids.example.", "00050a.netids.example.", KBV_OK},
    {KBV_ID_DEVEUI, "0004A30B001A2B3C", true, "d.example.",
     "c.3.b.2.a.1.0.0.b.0.3.a.4.0.0.0.d.example.", KBV_OK},
    {KBV_ID_DEVEUI, "0004A30B001A2B3C", false, "d.example.", "0004a30b001a2b3c.d.example.", KBV_OK},
    {KBV_ID_JOINEUI, "70B3D57ED0000000", false, SUFFIX, NULL, KBV_ERR_UNSUPPORTED},
    {KBV_ID_NETID, "00050A", true, SUFFIX, NULL, KBV_ERR_UNSUPPORTED},
    {KBV_ID_JOINEUI, "70B3D57ED0000000", true, NAME255, NULL, KBV_ERR_LIMIT},
    {KBV_ID_NETID, "00050A", false, NAME255, NULL, KBV_ERR_LIMIT},
};

START_TEST(identifier_to_name_and_back)
{
    struct octets_name suffix = octets_from_name(id_names[_i].suffix);
    uint8_t wire[KBV_NAME_MAX];
    char text[KBV_NAME_TEXT_MAX];
    struct kbv_id id, back;
    size_t len;

    ck_assert_int_eq(kbv_id_parse(id_names[_i].kind, id_names[_i].value, &id), KBV_OK);
    ck_assert_int_eq(kbv_id_to_name(&id, id_names[_i].nibble, suffix.wire, suffix.len, wire, &len),
                     id_names[_i].err);
    if (!id_names[_i].name)
        return;
    kbv_name_to_text(wire, len, text);
    ck_assert_str_eq(text, id_names[_i].name);
    ck_assert_int_eq(
        kbv_id_from_name(id.kind, id_names[_i].nibble, wire, len, suffix.wire, suffix.len, &back),
        KBV_OK);
    ck_assert_int_eq(back.kind, id.kind);
    ck_assert_uint_eq(back.len, id.len);
    ck_assert_mem_eq(back.value, id.value, id.len);
}
END_TEST

START_TEST(longest_suffix_of_an_identifier)
{
    /* 32 octets of nibbles and 223 of suffix are 255. */
    struct octets_name suffix =
        octets_from_name(L63 "." L63 "." L63 ".abcdefghijklmnopqrstuvwxyzabc");
    struct octets_name longer =
        octets_from_name(L63 "." L63 "." L63 ".abcdefghijklmnopqrstuvwxyzabcd");
    uint8_t wire[KBV_NAME_MAX];
    struct kbv_id id;
    size_t len;

    ck_assert_uint_eq(suffix.len, 223);
    ck_assert_int_eq(kbv_id_parse(KBV_ID_JOINEUI, "70B3D57ED0000000", &id), KBV_OK);
    ck_assert_int_eq(kbv_id_to_name(&id, true, suffix.wire, suffix.len, wire, &len), KBV_OK);
    ck_assert_uint_eq(len, KBV_NAME_MAX);
    ck_assert_int_eq(kbv_id_to_name(&id, true, longer.wire, longer.len, wire, &len), KBV_ERR_LIMIT);
}
END_TEST

static const struct {
    enum kbv_id_kind kind;
    bool nibble;
    const char *name;
} no_id[] = {
    {KBV_ID_JOINEUI, true, SUFFIX},
    {KBV_ID_JOINEUI, true, "."},
    {KBV_ID_JOINEUI, true, "0.0.0.0.0.0.d.e.7.5.d.3.b.0.7." SUFFIX},
    {KBV_ID_JOINEUI, true, "0." NIBBLES SUFFIX},
    {KBV_ID_JOINEUI, true, "_tcp." NIBBLES SUFFIX},
    {KBV_ID_JOINEUI, true, NIBBLES "lora-alliance.org."},
    {KBV_ID_JOINEUI, true, NIBBLES "x" SUFFIX},
    {KBV_ID_JOINEUI, true, "g.0.0.0.0.0.0.d.e.7.5.d.3.b.0.7." SUFFIX},
    {KBV_ID_JOINEUI, true, "*.0.0.0.0.0.0.d.e.7.5.d.3.b.0.7." SUFFIX},
    {KBV_ID_JOINEUI, true, "00.0.0.0.0.0.d.e.7.5.d.3.b.0.7." SUFFIX},
    {KBV_ID_JOINEUI, true, "000.0.0.0.0.0.d.e.7.5.d.3.b.0.7." SUFFIX}, /* as long as a right one */
    {KBV_ID_JOINEUI, true, "70b3d57ed0000000." SUFFIX},
    {KBV_ID_JOINEUI, false, "70b3d57ed0000000." SUFFIX},
    {KBV_ID_NETID, false, "a.0.5.0.0.0." SUFFIX},
    {KBV_ID_NETID, true, "a.0.5.0.0.0." SUFFIX},
    {KBV_ID_NETID, false, "00050g." SUFFIX},
    {KBV_ID_NETID, false, "0050a." SUFFIX},
    {KBV_ID_NETID, false, "000050a." SUFFIX},
    {KBV_ID_NETID, false, "000.50a." SUFFIX},
    {KBV_ID_NETID, false, "00.00.0." SUFFIX},
    {KBV_ID_NETID, false, "00050a00050a." SUFFIX},
    {KBV_ID_DEVEUI, false, "0004a30b001a2b3." SUFFIX},
    {KBV_ID_NONE, true, NIBBLES SUFFIX},
};

START_TEST(name_that_is_no_identifier)
{
    struct octets_name name = octets_from_name(no_id[_i].name);
    struct octets_name suffix = octets_from_name(SUFFIX);
    struct kbv_id id = {.len = 99};

    ck_assert_int_eq(kbv_id_from_name(no_id[_i].kind, no_id[_i].nibble, name.wire, name.len,
                                      suffix.wire, suffix.len, &id),
                     KBV_ERR_FORMAT);
    ck_assert_uint_eq(id.len, 99);
}
END_TEST

START_TEST(digits_across_labels_are_no_identifier)
{
    /* "00", then a label of 48 octets whose length octet is the digit 0: read without regard to
     * labels it would be 000500, right below the suffix. */
    struct octets_name suffix = octets_from_name("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqr.");
    uint8_t name[KBV_NAME_MAX];
    struct kbv_id id;

    memcpy(name, "\002000500", 7);
    memcpy(name + 7, suffix.wire, suffix.len);
    ck_assert_uint_eq(kbv_name_len(name, 7 + suffix.len), 7 + suffix.len);
    ck_assert_int_eq(
        kbv_id_from_name(KBV_ID_NETID, false, name, 7 + suffix.len, suffix.wire, suffix.len, &id),
        KBV_ERR_FORMAT);
}
END_TEST

START_TEST(identifier_name_in_any_case)
{
    struct octets_name name =
        octets_from_name("0.0.0.0.0.0.0.D.E.7.5.D.3.B.0.7.JoinEUIs.LoRa-Alliance.ORG.");
    struct octets_name suffix = octets_from_name(SUFFIX);
    struct kbv_id id;
    char text[17];

    ck_assert_int_eq(
        kbv_id_from_name(KBV_ID_JOINEUI, true, name.wire, name.len, suffix.wire, suffix.len, &id),
        KBV_OK);
    kbv_id_text(&id, text);
    ck_assert_str_eq(text, "70B3D57ED0000000");
}
END_TEST

/* Owners of TLSA records */

static const struct {
    uint16_t port;
    const char *host, *owner;
} owners[] = {
    {443, "js.example.", "_443._tcp.js.example."},
    {8003, "JS.Example.", "_8003._tcp.js.example."},
    {1, ".", "_1._tcp."},
    {65535, "js.", "_65535._tcp.js."},
    {100, "js.", "_100._tcp.js."},
};

START_TEST(owner_of_a_server)
{
    struct octets_name host = octets_from_name(owners[_i].host);
    uint8_t wire[KBV_NAME_MAX];
    char text[KBV_NAME_TEXT_MAX];
    const uint8_t *rest;
    size_t len, rest_len;

    ck_assert_int_eq(kbv_name_tlsa_owner(owners[_i].port, host.wire, host.len, wire, &len), KBV_OK);
    kbv_name_to_text(wire, len, text);
    ck_assert_str_eq(text, owners[_i].owner);
    ck_assert(kbv_name_is_server_owner(wire, len, &rest, &rest_len));
    ck_assert(kbv_name_equal(rest, rest_len, host.wire, host.len));
}
END_TEST

START_TEST(owner_of_more_than_255_octets)
{
    struct octets_name fits =
        octets_from_name(L63 "." L63 "." L63 "."
                             "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxy");
    struct octets_name beyond =
        octets_from_name(L63 "." L63 "." L63 "."
                             "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
    uint8_t wire[KBV_NAME_MAX];
    size_t len = 99;

    ck_assert_int_eq(kbv_name_tlsa_owner(443, fits.wire, fits.len, wire, &len), KBV_OK);
    ck_assert_uint_eq(len, 255);
    ck_assert_int_eq(kbv_name_tlsa_owner(443, beyond.wire, beyond.len, wire, &len), KBV_ERR_LIMIT);
    ck_assert_int_eq(kbv_name_tlsa_owner(8003, fits.wire, fits.len, wire, &len), KBV_ERR_LIMIT);
    ck_assert_int_eq(kbv_name_tlsa_owner(443, fits.wire, fits.len - 1, wire, &len), KBV_ERR_FORMAT);
    ck_assert_uint_eq(len, 255);
}
END_TEST

static const struct {
    const char *name;
    bool server;
} roles[] = {
    {"_8003._tcp.js.example.", true},
    {"_443._UDP.js.example.", true},
    {"_1._sctp.js.", true},
    {"_65535._tcp.", true},
    {"_0._tcp.js.", true},
    {"_0443._tcp.js.", true},
    {"_65536._tcp.js.", true},
    {"_99999._tcp.js.", true},
    {"_100000._tcp.js.", true},
    {"_._tcp.js.", false},
    {"_44a._tcp.js.", false},
    {"443._tcp.js.", false},
    {"_443.tcp.js.", false},
    {"_443._dccp.js.", false},
    {"_443._tcpx.js.", false},
    {"_443.js.example.", false},
    {"_443.", false},
    {"_tcp.js.", false},
    {"_ns-client.ns.example.", false},
    {"x._443._tcp.js.", false},
    {"*._tcp.js.", false},
    {".", false},
};

START_TEST(role_follows_from_the_owner)
{
    struct octets_name name = octets_from_name(roles[_i].name);

    ck_assert_int_eq(kbv_name_is_server_owner(name.wire, name.len, NULL, NULL), roles[_i].server);
    ck_assert(!kbv_name_is_server_owner(name.wire, name.len - 1, NULL, NULL));
}
END_TEST

/* Digest labels. Made with Python's base64.b32hexencode(). */

#define LABEL  "00ikkrskn7f06a2deabrpo865d87b6lvsg4iskrojn1ee31haptg"
#define DIGEST "00254a6f94b9de03284d7297bce1062b50759abfe4092e53789dc2e70c31567b"

START_TEST(digest_label_and_back)
{
    uint8_t expected[32], digest[32], label[53];
    char kind = 0;

    octets_from_hex(DIGEST, expected, sizeof(expected));
    ck_assert_int_eq(kbv_digest_label_decode((const uint8_t *)"s" LABEL, 53, &kind, digest),
                     KBV_OK);
    ck_assert_int_eq(kind, 's');
    ck_assert_mem_eq(digest, expected, 32);
    kbv_digest_label_encode('c', digest, label);
    ck_assert_mem_eq(label, "c" LABEL, 53);
    /* In any case. */
    for (size_t i = 0; i < 53; i++)
        label[i] = label[i] >= 'a' && label[i] <= 'z' ? label[i] - 32 : label[i];
    memset(digest, 0, sizeof(digest));
    ck_assert_int_eq(kbv_digest_label_decode(label, 53, &kind, digest), KBV_OK);
    ck_assert_int_eq(kind, 'c');
    ck_assert_mem_eq(digest, expected, 32);
}
END_TEST

START_TEST(digest_label_of_every_bit)
{
    uint8_t digest[32], back[32], label[53];
    char kind;

    for (unsigned bit = 0; bit < 256; bit++) {
        memset(digest, bit & 1 ? 0xFF : 0, sizeof(digest));
        digest[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
        kbv_digest_label_encode('s', digest, label);
        ck_assert_int_eq(kbv_digest_label_decode(label, 53, &kind, back), KBV_OK);
        ck_assert_mem_eq(back, digest, 32);
    }
}
END_TEST

static const char *const bad_labels[] = {
    "",
    "s",
    LABEL,
    "s" LABEL "0",
    "s0" LABEL,
    "x" LABEL,
    "swoikkrskn7f06a2deabrpo865d87b6lvsg4iskrojn1ee31haptg", /* w is no digit of base32hex */
    "s=0ikkrskn7f06a2deabrpo865d87b6lvsg4iskrojn1ee31haptg",
    "s-0ikkrskn7f06a2deabrpo865d87b6lvsg4iskrojn1ee31haptg",
    "s 0ikkrskn7f06a2deabrpo865d87b6lvsg4iskrojn1ee31haptg",
    /* The unused bits, one after the other, and all. */
    "s00ikkrskn7f06a2deabrpo865d87b6lvsg4iskrojn1ee31hapth",
    "s00ikkrskn7f06a2deabrpo865d87b6lvsg4iskrojn1ee31hapti",
    "s00ikkrskn7f06a2deabrpo865d87b6lvsg4iskrojn1ee31haptk",
    "s00ikkrskn7f06a2deabrpo865d87b6lvsg4iskrojn1ee31hapto",
    "s00ikkrskn7f06a2deabrpo865d87b6lvsg4iskrojn1ee31haptv",
};

START_TEST(digest_label_malformed)
{
    const char *label = bad_labels[_i];
    uint8_t digest[32] = {7};
    char kind = 0;

    ck_assert_int_eq(kbv_digest_label_decode((const uint8_t *)label, strlen(label), &kind, digest),
                     KBV_ERR_FORMAT);
    ck_assert_int_eq(kind, 0);
    ck_assert_uint_eq(digest[0], 7);
}
END_TEST

START_TEST(errors_have_texts)
{
    for (int err = KBV_OK; err <= KBV_ERR_UNSUPPORTED + 1; err++) {
        ck_assert_ptr_nonnull(kbv_err_text(err));
        for (int other = KBV_OK; other < err; other++)
            ck_assert_str_ne(kbv_err_text(err), kbv_err_text(other));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("name");
    TCase *c = tcase_create("name");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, c);
    tcase_add_loop_test(c, text_to_wire_and_back, 0, ROWS(texts));
    tcase_add_test(c, text_of_255_octets_and_no_more);
    tcase_add_test(c, longest_text_fits);
    tcase_add_test(c, text_of_no_name_is_empty);
    tcase_add_loop_test(c, wire_name_ends_at_its_root, 0, ROWS(wires));
    tcase_add_test(c, wire_name_has_at_most_255_octets);
    tcase_add_test(c, canonical_means_one_name_in_lower_case);
    tcase_add_test(c, one_letter_is_seen_wherever_it_stands);
    tcase_add_test(c, only_ascii_letters_are_folded);
    tcase_add_loop_test(c, below_goes_by_labels, 0, ROWS(below));
    tcase_add_test(c, equal_whatever_the_case);
    tcase_add_loop_test(c, canonical_order_is_that_of_rfc_4034, 0, ROWS(ordered));
    tcase_add_test(c, canonical_order_ignores_case);
    tcase_add_test(c, canonical_order_of_the_most_labels);
    tcase_add_test(c, first_label_is_compared_whole);
    tcase_add_loop_test(c, identifier_as_people_write_it, 0, ROWS(ids));
    tcase_add_test(c, kinds_have_names);
    tcase_add_loop_test(c, identifier_to_name_and_back, 0, ROWS(id_names));
    tcase_add_test(c, longest_suffix_of_an_identifier);
    tcase_add_loop_test(c, name_that_is_no_identifier, 0, ROWS(no_id));
    tcase_add_test(c, digits_across_labels_are_no_identifier);
    tcase_add_test(c, identifier_name_in_any_case);
    tcase_add_loop_test(c, owner_of_a_server, 0, ROWS(owners));
    tcase_add_test(c, owner_of_more_than_255_octets);
    tcase_add_loop_test(c, role_follows_from_the_owner, 0, ROWS(roles));
    tcase_add_test(c, digest_label_and_back);
    tcase_add_test(c, digest_label_of_every_bit);
    tcase_add_loop_test(c, digest_label_malformed, 0, ROWS(bad_labels));
    tcase_add_test(c, errors_have_texts);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
