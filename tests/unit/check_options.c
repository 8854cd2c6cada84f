/* SPDX-License-Identifier: BSD-3-Clause */
/* The option table: what is accepted, what is refused and why, and which zone a name is in. */
#include "module/core/options.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/octets.h"

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

static struct kbv_options *o;
static char err[512];

static void setup(void)
{
    o = kbv_options_create();
    ck_assert_ptr_nonnull(o);
    err[0] = '\0';
}

static void teardown(void)
{
    kbv_options_delete(o);
}

static enum kbv_err set(const char *key, const char *value)
{
    return kbv_options_set(o, key, value, err, sizeof(err));
}

static void set_ok(const char *key, const char *value)
{
    enum kbv_err result = set(key, value);

    ck_assert_msg(result == KBV_OK, "%s: %s: %s", key, value, err);
}

START_TEST(defaults_are_those_of_the_manual)
{
    ck_assert_uint_eq(o->n_zones, 0);
    ck_assert_uint_eq(o->n_require_secure, 0);
    ck_assert(o->literal);
    ck_assert(o->txt);
    ck_assert(!o->qname_minimisation);
    ck_assert_uint_eq(o->rrtype, 65300);
    ck_assert_uint_eq(o->edns_option, 65100);
    ck_assert_uint_eq(o->max_ttl, 3600);
    ck_assert_uint_eq(o->max_negative_ttl, 300);
    ck_assert_uint_eq(o->max_pending, 1000);
    ck_assert_uint_eq(o->security_level, 2);
    ck_assert_ptr_null(o->bundle);
    ck_assert_ptr_null(o->signer);
    ck_assert_int_eq(o->sign, KBV_SIGN_ASKED);
    ck_assert_uint_eq(o->chain_ratelimit, 100);
    ck_assert_uint_eq(o->cache_size, 16 * 1024 * 1024);
    ck_assert_int_eq(kbv_options_finish(o, err, sizeof(err)), KBV_OK);
}
END_TEST

START_TEST(every_row_has_a_name_a_text_and_a_default_that_it_accepts)
{
    const struct kbv_option *row;
    size_t n = 0;

    for (; (row = kbv_option_row(n)) != NULL; n++) {
        ck_assert_int_eq(strncmp(row->name, "kbv-", 4), 0);
        ck_assert_uint_gt(strlen(row->text), 10);
        ck_assert_msg((row->initial == NULL) == (row->repeatable || kbv_option_is_file(row)), "%s",
                      row->name);
        if (row->initial != NULL)
            set_ok(row->name, row->initial);
    }
    ck_assert_uint_eq(n, 16);
    ck_assert_ptr_null(kbv_option_row(SIZE_MAX));
}
END_TEST

START_TEST(a_value_changes_its_own_field_and_no_other)
{
    struct kbv_options before = *o;

    set_ok("kbv-literal", "no");
    before.literal = false;
    set_ok("kbv-txt", "no");
    before.txt = false;
    set_ok("kbv-qname-minimisation", "yes");
    before.qname_minimisation = true;
    set_ok("kbv-rrtype", "65280");
    before.rrtype = 65280;
    set_ok("kbv-edns-option", "65534");
    before.edns_option = 65534;
    set_ok("kbv-max-ttl", "604800");
    before.max_ttl = 604800;
    set_ok("kbv-max-negative-ttl", "1");
    before.max_negative_ttl = 1;
    set_ok("kbv-max-pending", "1000000");
    before.max_pending = 1000000;
    set_ok("kbv-security-level", "5");
    before.security_level = 5;
    set_ok("kbv-chain-ratelimit", "0");
    before.chain_ratelimit = 0;
    set_ok("kbv-cache-size", "64k");
    before.cache_size = 65536;
    set_ok("kbv-sign", "always");
    before.sign = KBV_SIGN_ALWAYS;
    ck_assert_mem_eq(o, &before, sizeof(before));
}
END_TEST

START_TEST(the_last_line_counts)
{
    set_ok("kbv-max-ttl", "10");
    set_ok("kbv-max-ttl", "20");
    ck_assert_uint_eq(o->max_ttl, 20);
}
END_TEST

static const struct {
    const char *value;
    size_t bytes;
} sizes[] = {
    {"0", 0},        {"0m", 0},           {"65536", 65536}, {"64k", 65536},   {"64K", 65536},
    {"1m", 1048576}, {"1024m", 1u << 30}, {"1g", 1u << 30}, {"1G", 1u << 30}, {"16M", 16u << 20u},
};

START_TEST(sizes_take_k_m_and_g)
{
    set_ok("kbv-cache-size", sizes[_i].value);
    ck_assert_uint_eq(o->cache_size, sizes[_i].bytes);
}
END_TEST

/* What is refused, and a piece of the sentence that says why. */
static const struct {
    const char *key, *value, *why;
} refused[] = {
    {"kbv-literal", "", "yes or no"},
    {"kbv-literal", "true", "yes or no"},
    {"kbv-literal", "Yes", "yes or no"},
    {"kbv-literal", "no ", "yes or no"},
    {"kbv-txt", "1", "yes or no"},
    {"kbv-qname-minimisation", "on", "yes or no"},

    {"kbv-rrtype", "", "from 65280 to 65534"},
    {"kbv-rrtype", "52", "from 65280 to 65534"}, /* TLSA */
    {"kbv-rrtype", "65279", "from 65280 to 65534"},
    {"kbv-rrtype", "65535", "from 65280 to 65534"},  /* reserved, RFC 6895 section 3.1 */
    {"kbv-rrtype", "130836", "from 65280 to 65534"}, /* 65300 + 65536 */
    {"kbv-rrtype", "TYPE65300", "from 65280 to 65534"},
    {"kbv-rrtype", "+65300", "from 65280 to 65534"},
    {"kbv-rrtype", " 65300", "from 65280 to 65534"},
    {"kbv-rrtype", "65300 ", "from 65280 to 65534"},
    {"kbv-rrtype", "065300", "from 65280 to 65534"},
    {"kbv-rrtype", "0xff14", "from 65280 to 65534"},
    {"kbv-edns-option", "65000", "from 65001 to 65534"},
    {"kbv-edns-option", "65535", "from 65001 to 65534"},
    {"kbv-edns-option", "8", "from 65001 to 65534"},

    {"kbv-max-ttl", "0", "seconds from 1 to 604800"},
    {"kbv-max-ttl", "604801", "seconds from 1 to 604800"},
    {"kbv-max-ttl", "-1", "seconds from 1 to 604800"},
    {"kbv-max-ttl", "1h", "seconds from 1 to 604800"},
    {"kbv-max-ttl", "1.5", "seconds from 1 to 604800"},
    {"kbv-max-ttl", "18446744073709551617", "seconds from 1 to 604800"}, /* 2^64 + 1 */
    {"kbv-max-negative-ttl", "0", "seconds from 1 to 604800"},
    {"kbv-max-pending", "0", "verdicts from 1 to 1000000"},
    {"kbv-max-pending", "1000001", "verdicts from 1 to 1000000"},

    {"kbv-cache-size", "", "octets from 64k to 1024m"},
    {"kbv-cache-size", "1", "octets from 64k to 1024m, or 0"},
    {"kbv-chain-ratelimit", "-1", "verifications from 0 to 1000000"},
    {"kbv-chain-ratelimit", "1000001", "verifications from 0 to 1000000"},
    {"kbv-chain-ratelimit", "", "verifications from 0 to 1000000"},
    {"kbv-cache-size", "m", "octets from 64k to 1024m"},
    {"kbv-cache-size", "63k", "octets from 64k to 1024m"},
    {"kbv-cache-size", "65535", "octets from 64k to 1024m"},
    {"kbv-cache-size", "1025m", "octets from 64k to 1024m"},
    {"kbv-cache-size", "2g", "octets from 64k to 1024m"},
    {"kbv-cache-size", "16mb", "octets from 64k to 1024m"},
    {"kbv-cache-size", "16 m", "octets from 64k to 1024m"},
    {"kbv-cache-size", "1t", "octets from 64k to 1024m"},
    {"kbv-cache-size", "17179869184g", "octets from 64k to 1024m"}, /* 2^34 * 2^30 = 2^64 */

    {"kbv-security-level", "6", "from 0 to 5"},
    {"kbv-security-level", "-1", "from 0 to 5"},
    {"kbv-ca-bundle", "", "cannot be read"},
    {"kbv-ca-bundle", "/nonexistent/ca.pem", "cannot be read"},
    {"kbv-ca-bundle", "/dev/null", "no certificate in the file"},

    {"kbv-signing-key", "", "cannot be read"},
    {"kbv-signing-key", "/nonexistent/kbv.pem", "No such file"},
    {"kbv-signing-key", "/dev/null", "no regular file"},
    {"kbv-signing-key", "/", "directory"},
    {"kbv-sign", "", "asked or always"},
    {"kbv-sign", "Always", "asked or always"},
    {"kbv-sign", "always ", "asked or always"},
    {"kbv-sign", "never", "asked or always"},
    {"kbv-sign", "yes", "asked or always"},

    {"kbv-require-secure", "", "no domain name"},
    {"kbv-require-secure", "a..b", "no domain name"},
    {"kbv-require-secure", "_kbv.example", "_kbv"},

    {"kbv-zone", "", "suffix and a kind"},
    {"kbv-zone", " \t ", "suffix and a kind"},
    {"kbv-zone", "example", "suffix and a kind"},
    {"kbv-zone", "a..example joineui", "\"a..example\" is no domain name"},
    {"kbv-zone", ". joineui", "root"},
    {"kbv-zone", "_kbv.example joineui", "_kbv"},
    {"kbv-zone", "a._KBV.example joineui", "_kbv"},
    {"kbv-zone", "example joinEUI", "unknown kind \"joinEUI\": expected joineui, netid or deveui"},
    {"kbv-zone", "joineui example", "unknown kind \"example\""},
    {"kbv-zone", "example joineui nibble", "unknown attribute \"nibble\""},
    {"kbv-zone", "example joineui colour=red", "unknown attribute \"colour=red\""},
    {"kbv-zone", "example joineui ports=443", "unknown attribute \"ports=443\""},
    {"kbv-zone", "example joineui Form=nibble", "unknown attribute \"Form=nibble\""},
    {"kbv-zone", "example joineui form=flat", "joineui has form=nibble only"},
    {"kbv-zone", "example netid form=nibble", "netid has form=flat only"},
    {"kbv-zone", "example deveui form=", "form=nibble or form=flat"},
    {"kbv-zone", "example deveui form=flatter", "form=nibble or form=flat"},
    {"kbv-zone", "example deveui form=flat form=flat", "form= stands twice"},
    {"kbv-zone", "example deveui lookup=serv", "lookup=service or lookup=identity"},
    {"kbv-zone", "example deveui lookup=service lookup=identity", "lookup= stands twice"},
    {"kbv-zone", "example joineui port=", "from 1 to 65535"},
    {"kbv-zone", "example joineui port=0", "from 1 to 65535"},
    {"kbv-zone", "example joineui port=65536", "from 1 to 65535"},
    {"kbv-zone", "example joineui port=443,", "from 1 to 65535"},
    {"kbv-zone", "example joineui port=,443", "from 1 to 65535"},
    {"kbv-zone", "example joineui port=443,,444", "from 1 to 65535"},
    {"kbv-zone", "example joineui port=https", "from 1 to 65535"},
    {"kbv-zone", "example joineui port=443-445", "from 1 to 65535"},
    {"kbv-zone", "example joineui port=443, 444", "from 1 to 65535"},
    {"kbv-zone", "example joineui port=1,2,1", "port 1 stands twice"},
    {"kbv-zone", "example joineui port=1,2,3,4,5,6,7,8,9", "at most 8 ports"},
    {"kbv-zone", "example joineui port=1 port=2", "port= stands twice"},
    {"kbv-zone", "example deveui port=443", "port= has no meaning with lookup=identity"},
    {"kbv-zone", "example joineui lookup=identity port=443",
     "port= has no meaning with lookup=identity"},
};

START_TEST(a_bad_value_changes_nothing_and_says_what_is_right)
{
    struct kbv_options before;

    set_ok("kbv-zone", "before.example joineui");
    set_ok("kbv-require-secure", "before.example");
    before = *o;
    ck_assert_int_eq(set(refused[_i].key, refused[_i].value), KBV_ERR_FORMAT);
    ck_assert_msg(strstr(err, refused[_i].why) != NULL, "\"%s\" does not say \"%s\"", err,
                  refused[_i].why);
    ck_assert_mem_eq(o, &before, sizeof(before));
}
END_TEST

static const char *const unknown[] = {
    "", "kbv", "kbv-zones", "kbv-zone:", "KBV-ZONE", "kbv-max-t", "kbv-max-ttl ", "max-ttl"};

START_TEST(an_unknown_key_is_told_every_key)
{
    const struct kbv_option *row;

    ck_assert_int_eq(set(unknown[_i], "yes"), KBV_ERR_UNSUPPORTED);
    for (size_t i = 0; (row = kbv_option_row(i)) != NULL; i++)
        ck_assert_msg(strstr(err, row->name) != NULL, "\"%s\" lacks %s", err, row->name);
}
END_TEST

START_TEST(messages_stay_in_their_buffer)
{
    char small[8] = "1234567";

    ck_assert_int_eq(kbv_options_set(o, "no-such-key", "x", small, 4), KBV_ERR_UNSUPPORTED);
    ck_assert_str_eq(small, "unk");
    ck_assert_str_eq(small + 4, "567");
    ck_assert_int_eq(kbv_options_set(o, "kbv-txt", "x", small, 4), KBV_ERR_FORMAT);
    ck_assert_str_eq(small, "exp");
    ck_assert_str_eq(small + 4, "567");
}
END_TEST

static const struct {
    const char *value, *suffix;
    enum kbv_id_kind kind;
    enum kbv_id_form form;
    enum kbv_id_lookup lookup;
    uint16_t ports[KBV_OPTIONS_MAX_PORTS + 1]; /* 0 ends it */
} zones[] = {
    {"joineuis.lora-alliance.org joineui",
     "joineuis.lora-alliance.org",
     KBV_ID_JOINEUI,
     KBV_FORM_NIBBLE,
     KBV_LOOKUP_SERVICE,
     {443}},
    {"  NETIDS.Lora-Alliance.ORG.\tnetid ",
     "netids.lora-alliance.org",
     KBV_ID_NETID,
     KBV_FORM_FLAT,
     KBV_LOOKUP_SERVICE,
     {443}},
    {"deveui.iot-roam.net deveui",
     "deveui.iot-roam.net",
     KBV_ID_DEVEUI,
     KBV_FORM_NIBBLE,
     KBV_LOOKUP_IDENTITY,
     {0}},
    {"_device.org.example deveui form=flat",
     "_device.org.example",
     KBV_ID_DEVEUI,
     KBV_FORM_FLAT,
     KBV_LOOKUP_IDENTITY,
     {0}},
    {"a.example deveui lookup=service",
     "a.example",
     KBV_ID_DEVEUI,
     KBV_FORM_NIBBLE,
     KBV_LOOKUP_SERVICE,
     {443}},
    {"a.example netid lookup=identity",
     "a.example",
     KBV_ID_NETID,
     KBV_FORM_FLAT,
     KBV_LOOKUP_IDENTITY,
     {0}},
    {"a.example joineui port=8003 form=nibble lookup=service",
     "a.example",
     KBV_ID_JOINEUI,
     KBV_FORM_NIBBLE,
     KBV_LOOKUP_SERVICE,
     {8003}},
    {"a.example joineui port=65535,1,8003,4,5,6,7,8",
     "a.example",
     KBV_ID_JOINEUI,
     KBV_FORM_NIBBLE,
     KBV_LOOKUP_SERVICE,
     {65535, 1, 8003, 4, 5, 6, 7, 8}},
};

START_TEST(a_zone_means_what_its_line_says)
{
    struct octets_name suffix = octets_from_name(zones[_i].suffix);
    const struct kbv_zone *z;
    size_t n = 0;

    set_ok("kbv-zone", zones[_i].value);
    ck_assert_uint_eq(o->n_zones, 1);
    z = &o->zones[0];
    ck_assert_uint_eq(z->suffix_len, suffix.len);
    ck_assert_mem_eq(z->suffix, suffix.wire, suffix.len);
    ck_assert_int_eq(z->kind, zones[_i].kind);
    ck_assert_int_eq(z->form, zones[_i].form);
    ck_assert_int_eq(z->lookup, zones[_i].lookup);
    for (; zones[_i].ports[n] != 0; n++)
        ck_assert_uint_eq(z->ports[n], zones[_i].ports[n]);
    ck_assert_uint_eq(z->n_ports, n);
}
END_TEST

/* What is said of a zone can be given back, and says the same. */
START_TEST(the_text_of_a_zone_means_that_zone)
{
    char text[KBV_ZONE_TEXT_MAX], again[KBV_ZONE_TEXT_MAX];
    struct kbv_options *other = kbv_options_create();
    const struct kbv_zone *a, *b;

    set_ok("kbv-zone", zones[_i].value);
    a = &o->zones[0];
    kbv_zone_text(a, text);
    ck_assert_int_eq(kbv_options_set(other, "kbv-zone", text, err, sizeof(err)), KBV_OK);
    b = &other->zones[0];
    ck_assert(kbv_name_equal(a->suffix, a->suffix_len, b->suffix, b->suffix_len));
    ck_assert(a->kind == b->kind && a->form == b->form && a->lookup == b->lookup);
    ck_assert_uint_eq(a->n_ports, b->n_ports);
    ck_assert_mem_eq(a->ports, b->ports, sizeof(a->ports));
    kbv_zone_text(b, again);
    ck_assert_str_eq(text, again);
    kbv_options_delete(other);
}
END_TEST

/* The longest there can be: octets that each take four to write, and all ports. */
START_TEST(the_text_of_a_zone_has_room)
{
    char value[2048] = "", text[KBV_ZONE_TEXT_MAX];

    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 63; j++)
            strcat(value, "\\007");
        strcat(value, ".");
    }
    for (int j = 0; j < 28; j++)
        strcat(value, "\\007");
    strcat(value, ". joineui port=65535,65534,65533,65532,65531,65530,65529,65528");
    set_ok("kbv-zone", value);
    kbv_zone_text(&o->zones[0], text);
    ck_assert_ptr_nonnull(strstr(text, " joineui form=nibble lookup=service port=65535,"));
    ck_assert_str_eq(text + strlen(text) - 6, ",65528");
}
END_TEST

START_TEST(a_suffix_stands_once_in_any_case)
{
    set_ok("kbv-zone", "a.example joineui");
    set_ok("kbv-zone", "b.a.example netid");
    ck_assert_int_eq(set("kbv-zone", "A.Example. netid"), KBV_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(err, "same suffix"));
    ck_assert_uint_eq(o->n_zones, 2);
}
END_TEST

/* Labels of 63 octets, then one of `last`: a name of len octets in all. */
static void long_zone(char *line, size_t len, const char *rest)
{
    size_t left = len - 1;
    char *p = line;

    while (left > 0) {
        size_t label = left > 64 ? 63 : left - 1;

        memset(p, 'a', label);
        p += label;
        *p++ = '.';
        left -= label + 1;
    }
    strcpy(p, rest);
}

static const struct {
    const char *rest;
    size_t longest; /* octets of a suffix below which an identifier of the kind still fits */
} rooms[] = {
    {" joineui", 255 - 32},
    {" deveui", 255 - 32},
    {" netid", 255 - 7},
    {" deveui form=flat", 255 - 17},
};

START_TEST(a_suffix_leaves_room_for_an_identifier)
{
    char line[512];

    long_zone(line, rooms[_i].longest, rooms[_i].rest);
    set_ok("kbv-zone", line);
    long_zone(line, rooms[_i].longest + 1, rooms[_i].rest);
    ck_assert_int_eq(set("kbv-zone", line), KBV_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(err, "too long"));
}
END_TEST

START_TEST(require_secure_takes_many_and_the_root)
{
    struct octets_name second = octets_from_name("b.example");

    set_ok("kbv-require-secure", ".");
    set_ok("kbv-require-secure", "B.Example");
    ck_assert_uint_eq(o->n_require_secure, 2);
    ck_assert_uint_eq(o->require_secure[0].len, 1);
    ck_assert_uint_eq(o->require_secure[1].len, second.len);
    ck_assert_mem_eq(o->require_secure[1].wire, second.wire, second.len);
}
END_TEST

static const struct {
    const char *name, *suffix; /* suffix: of the zone found, NULL for none */
} lookups[] = {
    {"a.example", "a.example"},
    {"0.a.example", "a.example"},
    {"0.A.EXAMPLE", "a.example"},
    {"b.a.example", "b.a.example"},
    {"0.B.a.example", "b.a.example"},
    {"0.c.b.a.example", "c.b.a.example"},
    {"0.other", "other"},
    {"example", NULL},
    {"ba.example", NULL},
    {"a.example.org", NULL},
    {".", NULL},
};

START_TEST(the_longest_suffix_wins)
{
    struct octets_name name = octets_from_name(lookups[_i].name);
    const struct kbv_zone *z;

    set_ok("kbv-zone", "b.a.example netid");
    set_ok("kbv-zone", "a.example joineui");
    set_ok("kbv-zone", "other deveui");
    set_ok("kbv-zone", "c.b.a.example deveui");
    ck_assert_int_eq(kbv_options_finish(o, err, sizeof(err)), KBV_OK);
    z = kbv_options_zone(o, name.wire, name.len);
    if (lookups[_i].suffix == NULL) {
        ck_assert_ptr_null(z);
    } else {
        struct octets_name suffix = octets_from_name(lookups[_i].suffix);

        ck_assert_ptr_nonnull(z);
        ck_assert_uint_eq(z->suffix_len, suffix.len);
        ck_assert_mem_eq(z->suffix, suffix.wire, suffix.len);
    }
}
END_TEST

START_TEST(nothing_to_answer_is_an_error)
{
    set_ok("kbv-literal", "no");
    ck_assert_int_eq(kbv_options_finish(o, err, sizeof(err)), KBV_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(err, "kbv-literal: no"));
    set_ok("kbv-zone", "a.example joineui");
    ck_assert_int_eq(kbv_options_finish(o, err, sizeof(err)), KBV_OK);
}
END_TEST

/* A test key: its file is for its owner alone. */
static void write_key(const char *path)
{
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    fputs("-----BEGIN PRIVATE KEY-----\n"
          "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
          "-----END PRIVATE KEY-----\n",
          f);
    fclose(f);
    ck_assert_int_eq(chmod(path, 0600), 0);
}

START_TEST(to_sign_always_takes_a_key)
{
    char path[] = "/tmp/check_options.XXXXXX";

    set_ok("kbv-sign", "always");
    ck_assert_int_eq(kbv_options_finish(o, err, sizeof(err)), KBV_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(err, "add a kbv-signing-key"));
    close(mkstemp(path));
    write_key(path);
    set_ok("kbv-signing-key", path);
    set_ok("kbv-signing-key", path); /* the last line counts, and nothing is lost */
    ck_assert_ptr_nonnull(o->signer);
    ck_assert_int_eq(set("kbv-signing-key", "/nonexistent"), KBV_ERR_FORMAT);
    ck_assert_ptr_nonnull(o->signer);
    ck_assert_int_eq(kbv_options_finish(o, err, sizeof(err)), KBV_OK);
    o->ids.uid++;
    o->ids.gid++;
    if (geteuid() == 0)
        ck_assert_int_eq(chown(path, 4711, 0), 0);
    ck_assert_int_eq(set("kbv-signing-key", path), KBV_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(err, "belongs to user"));
    unlink(path);
}
END_TEST

/* docs/man/kbv.conf.5, whole, in storage of its own. */
static char *manual(void)
{
    static char text[65536];
    const char *srcdir = getenv("srcdir");
    char path[1024];
    FILE *f;
    size_t n;

    snprintf(path, sizeof(path), "%s/docs/man/kbv.conf.5", srcdir != NULL ? srcdir : ".");
    f = fopen(path, "r");
    ck_assert_msg(f != NULL, "cannot open %s", path);
    n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';
    return text;
}

START_TEST(the_manual_has_every_option_with_its_default)
{
    const char *text = manual();
    const struct kbv_option *row;

    for (size_t i = 0; (row = kbv_option_row(i)) != NULL; i++) {
        char item[128], initial[128];
        const char *found, *next, *said;

        snprintf(item, sizeof(item), "\n.It Ic %s :", row->name);
        snprintf(initial, sizeof(initial), "\nDefault: %s.\n",
                 row->initial != NULL ? row->initial : "none");
        found = strstr(text, item);
        ck_assert_msg(found != NULL, "%s is missing", row->name);
        next = strstr(found + 1, "\n.It Ic ");
        said = strstr(found, initial);
        ck_assert_msg(said != NULL && (next == NULL || said < next), "%s: no %s", row->name,
                      initial);
    }
}
END_TEST

START_TEST(deleting_nothing_is_allowed)
{
    kbv_options_delete(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *tc = tcase_create("options");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, defaults_are_those_of_the_manual);
    tcase_add_test(tc, every_row_has_a_name_a_text_and_a_default_that_it_accepts);
    tcase_add_test(tc, a_value_changes_its_own_field_and_no_other);
    tcase_add_test(tc, the_last_line_counts);
    tcase_add_loop_test(tc, sizes_take_k_m_and_g, 0, ROWS(sizes));
    tcase_add_loop_test(tc, a_bad_value_changes_nothing_and_says_what_is_right, 0, ROWS(refused));
    tcase_add_loop_test(tc, an_unknown_key_is_told_every_key, 0, ROWS(unknown));
    tcase_add_test(tc, messages_stay_in_their_buffer);
    tcase_add_loop_test(tc, a_zone_means_what_its_line_says, 0, ROWS(zones));
    tcase_add_loop_test(tc, the_text_of_a_zone_means_that_zone, 0, ROWS(zones));
    tcase_add_test(tc, the_text_of_a_zone_has_room);
    tcase_add_test(tc, a_suffix_stands_once_in_any_case);
    tcase_add_loop_test(tc, a_suffix_leaves_room_for_an_identifier, 0, ROWS(rooms));
    tcase_add_test(tc, require_secure_takes_many_and_the_root);
    tcase_add_loop_test(tc, the_longest_suffix_wins, 0, ROWS(lookups));
    tcase_add_test(tc, nothing_to_answer_is_an_error);
    tcase_add_test(tc, to_sign_always_takes_a_key);
    tcase_add_test(tc, the_manual_has_every_option_with_its_default);
    tcase_add_test(tc, deleting_nothing_is_allowed);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
