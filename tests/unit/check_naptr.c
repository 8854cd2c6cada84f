/* SPDX-License-Identifier: BSD-3-Clause */
/* NAPTR and SRV RDATA. */
#include "module/core/naptr.h"

#include <check.h>
#include <stdlib.h>

#include "tests/unit/octets.h"

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

static size_t put_string(uint8_t *out, const char *text)
{
    size_t len = strlen(text);

    ck_assert_uint_le(len, 255);
    out[0] = (uint8_t)len;
    memcpy(out + 1, text, len);
    return 1 + len;
}

/* The RDATA "50 7 flags services regexp replacement". */
static size_t make_naptr(uint8_t *out, const char *flags, const char *services, const char *regexp,
                         const char *replacement)
{
    struct octets_name name = octets_from_name(replacement);
    size_t n = octets_from_hex("0032 0007", out, 4);

    n += put_string(out + n, flags);
    n += put_string(out + n, services);
    n += put_string(out + n, regexp);
    memcpy(out + n, name.wire, name.len);
    return n + name.len;
}

/* Reads RDATA in storage of exactly its size. */
static struct kbv_naptr read_naptr(const uint8_t *rdata, size_t len)
{
    uint8_t *exact = malloc(len != 0 ? len : 1);
    struct kbv_naptr out;

    memcpy(exact, rdata, len);
    memset(&out, 0xA5, sizeof(out));
    kbv_naptr_read((struct kbv_slice){exact, len}, &out);
    free(exact);
    return out;
}

static void check_name(const struct kbv_naptr *out, const char *expected)
{
    struct octets_name name = octets_from_name(expected);

    ck_assert_uint_eq(out->name_len, name.len);
    ck_assert_mem_eq(out->name, name.wire, name.len);
}

static void check_dropped(const struct kbv_naptr *out)
{
    static const struct kbv_naptr nothing;

    ck_assert_int_eq(out->use, KBV_NAPTR_DROP);
    ck_assert(out->order == 0 && out->preference == 0 && out->port == 0 && out->name_len == 0);
    ck_assert_mem_eq(out->name, nothing.name, sizeof(nothing.name));
}

/* ---- services and flags ---- */

static const struct {
    const char *flags, *services, *regexp, *replacement;
    enum kbv_naptr_use use;
    const char *name;
} records[] = {
    /* TS002's own examples. */
    {"S", "LWNS", "", "_LWN._J2H.operator.com.", KBV_NAPTR_SRV, "_lwn._j2h.operator.com."},
    {"S", "LWN", "", "_LWN._X2H.operator.com.", KBV_NAPTR_PLAIN, NULL},

    {"s", "lwns", "", "_lwn._j2h.example.", KBV_NAPTR_SRV, "_lwn._j2h.example."},
    {"A", "LWNS", "", "NS.example.", KBV_NAPTR_HOST, "ns.example."},
    {"a", "LwNs", "", "ns.example.", KBV_NAPTR_HOST, "ns.example."},
    {"P", "LWNS", "", "next.example.", KBV_NAPTR_NEXT, "next.example."},
    {"", "LWNS", "", "next.example.", KBV_NAPTR_NEXT, "next.example."},
    {"U", "LWNS", "!.*!https://ns.example!", ".", KBV_NAPTR_URI, "ns.example."},
    {"u", "LWNS", "!.*!https://ns.example!", "other.example.", KBV_NAPTR_URI, "ns.example."},
    {"Q", "LWN", "nonsense", ".", KBV_NAPTR_PLAIN, NULL}, /* plain whatever it leads to */

    {"S", "", "", "_lwn._j2h.example.", KBV_NAPTR_DROP, NULL},
    {"S", "LWNSX", "", "_lwn._j2h.example.", KBV_NAPTR_DROP, NULL},
    {"S", "LWNS+D2T", "", "_lwn._j2h.example.", KBV_NAPTR_DROP, NULL},
    {"S", "LWNS:tls", "", "_lwn._j2h.example.", KBV_NAPTR_DROP, NULL},
    {"S", "LWN:x", "", "_lwn._j2h.example.", KBV_NAPTR_DROP, NULL},
    {"S", " LWNS", "", "_lwn._j2h.example.", KBV_NAPTR_DROP, NULL},
    {"S", "SIP+D2T", "", "_sip._tcp.example.", KBV_NAPTR_DROP, NULL},
    {"X", "LWNS", "", "ns.example.", KBV_NAPTR_DROP, NULL},
    {"SA", "LWNS", "", "ns.example.", KBV_NAPTR_DROP, NULL},
    {"SS", "LWNS", "", "ns.example.", KBV_NAPTR_DROP, NULL},
    {" ", "LWNS", "", "ns.example.", KBV_NAPTR_DROP, NULL},
    {"S", "LWNS", "", ".", KBV_NAPTR_DROP, NULL},
    {"A", "LWNS", "", ".", KBV_NAPTR_DROP, NULL},
    {"P", "LWNS", "", ".", KBV_NAPTR_DROP, NULL},
    {"", "LWNS", "", ".", KBV_NAPTR_DROP, NULL},
    {"S", "LWNS", "!.*!x!", "_lwn._j2h.example.", KBV_NAPTR_DROP, NULL},
    {"A", "LWNS", "!.*!https://ns.example!", "ns.example.", KBV_NAPTR_DROP, NULL},
    {"", "LWNS", "!.*!https://ns.example!", "ns.example.", KBV_NAPTR_DROP, NULL},
    {"U", "LWNS", "", "ns.example.", KBV_NAPTR_DROP, NULL},
    {"", "LWNS", "!.*!https://ns.example!", ".", KBV_NAPTR_DROP, NULL},
};

START_TEST(service_and_flag_decide)
{
    uint8_t rdata[1024];
    size_t len = make_naptr(rdata, records[_i].flags, records[_i].services, records[_i].regexp,
                            records[_i].replacement);
    struct kbv_naptr out = read_naptr(rdata, len);

    ck_assert_int_eq(out.use, records[_i].use);
    if (out.use == KBV_NAPTR_DROP) {
        check_dropped(&out);
        return;
    }
    ck_assert(out.order == 50 && out.preference == 7);
    if (records[_i].name != NULL)
        check_name(&out, records[_i].name);
}
END_TEST

/* ---- regexps ---- */

static const struct {
    const char *regexp, *host; /* host NULL: dropped */
    uint16_t port;
} regexps[] = {
    {"!.*!https://ns.example!", "ns.example.", 443},
    {"!^.*$!https://ns.example!", "ns.example.", 443},
    {"!^.*!https://ns.example!", "ns.example.", 443},
    {"!.*$!https://ns.example!", "ns.example.", 443},
    {"!.*!https://ns.example!i", "ns.example.", 443},
    {"!.*!https://ns.example!I", "ns.example.", 443},
    {"!.*!HTTPS://NS.Example!", "ns.example.", 443},
    {"!.*!https://ns.example.!", "ns.example.", 443},
    {"!.*!https://ns.example/!", "ns.example.", 443},
    {"!.*!https://ns.example:8003!", "ns.example.", 8003},
    {"!.*!https://ns.example:1!", "ns.example.", 1},
    {"!.*!https://ns.example:65535/a/b?c=d#e@f!", "ns.example.", 65535},
    {"#.*#https://ns.example#", "ns.example.", 443},
    {"|.*|https://ns.example|", "ns.example.", 443},
    {"0.*0https://ns.example0", "ns.example.", 443},
    {"!.*!https://ns!", "ns.", 443},
    {"!.*!https://az09.AZ!", "az09.az.", 443},
    {"!.*!https://ns.example/~js!", "ns.example.", 443},
    {"!.*!https://1.2.3.example!", "1.2.3.example.", 443},
    {"!.*!https://a-b.xn--nxasmq6b!", "a-b.xn--nxasmq6b.", 443},

    {"!", NULL, 0},
    {"!!", NULL, 0},
    {"!!!", NULL, 0},
    {"!.*!", NULL, 0},
    {"!.*!!", NULL, 0},
    {"!.*!https://ns.example", NULL, 0},
    {"!.*!https://ns.example!x", NULL, 0},
    {"!.*!https://ns.example!ii", NULL, 0},
    {"!.*!https://ns.example!!", NULL, 0},
    {".*!https://ns.example!", NULL, 0},
    {"1.*1https://ns.example1", NULL, 0},
    {"9.*9https://ns.example9", NULL, 0},
    {"i.*ihttps://ns.exampleI", NULL, 0},
    {"I.*Ihttps://ns.exampleI", NULL, 0},
    {"\\.*\\https://ns.example\\", NULL, 0},
    {"/.*/https://ns.example/", NULL, 0}, /* the delimiter is in the URI */
    {"!!https://ns.example!", NULL, 0},
    {"!.!https://ns.example!", NULL, 0},
    {"!..*!https://ns.example!", NULL, 0},
    {"!(.*)!https://ns.example!", NULL, 0},
    {"!.+!https://ns.example!", NULL, 0},
    {"!^$!https://ns.example!", NULL, 0},
    {"!^(.*)$!https://\\1!", NULL, 0},
    {"!.*!https://ns\\.example!", NULL, 0},
    {"!.*!https://ns.example/\\0!", NULL, 0},
    {"!.*!http://ns.example!", NULL, 0},
    {"!.*!https:ns.example!", NULL, 0},
    {"!.*!https:/ns.example!", NULL, 0},
    {"!.*!https://!", NULL, 0},
    {"!.*!https:///path!", NULL, 0},
    {"!.*!https://:443!", NULL, 0},
    {"!.*!https://.!", NULL, 0},
    {"!.*!https://.example!", NULL, 0},
    {"!.*!https://ns..example!", NULL, 0},
    {"!.*!https://ns.example..!", NULL, 0},
    {"!.*!https://ns_1.example!", NULL, 0},
    {"!.*!https://_443.ns.example!", NULL, 0},
    {"!.*!https://-ns.example!", NULL, 0},
    {"!.*!https://ns-.example!", NULL, 0},
    {"!.*!https://n%73.example!", NULL, 0},
    {"!.*!https://user@ns.example!", NULL, 0},
    {"!.*!https://user:word@ns.example!", NULL, 0},
    {"!.*!https://ns.example@evil.example!", NULL, 0},
    {"!.*!https://192.0.2.1!", NULL, 0},
    {"!.*!https://192.0.2.1.!", NULL, 0},
    {"!.*!https://3221225985!", NULL, 0},
    {"!.*!https://192.0.2.1:443/!", NULL, 0},
    {"!.*!https://[2001:db8::1]!", NULL, 0},
    {"!.*!https://[2001:db8::1]:443!", NULL, 0},
    {"!.*!https://ns.example:!", NULL, 0},
    {"!.*!https://ns.example:0!", NULL, 0},
    {"!.*!https://ns.example:0443!", NULL, 0},
    {"!.*!https://ns.example:65536!", NULL, 0},
    {"!.*!https://ns.example:165535!", NULL, 0},
    {"!.*!https://ns.example:-1!", NULL, 0},
    {"!.*!https://ns.example:443x!", NULL, 0},
    {"!.*!https://ns.example:44:3!", NULL, 0},
    {"!.*!https://ns.example?q!", NULL, 0},
    {"!.*!https://ns.example#f!", NULL, 0},
    {"!.*!https://ns.exa mple!", NULL, 0},
    {" .* https://ns.example ", NULL, 0},
    {"!.*!https://ns.example/ !", NULL, 0},
    {"!.*!https://ns.example/\x01!", NULL, 0},
    {"!.*!https://ns.example/\x7F!", NULL, 0},
    {"!.*!https://n\xC3\xA9.example!", NULL, 0},
    {"!.*!https://ns.example/\xC3\xA9!", NULL, 0},
};

START_TEST(a_uri_has_one_shape)
{
    uint8_t rdata[1024];
    size_t len = make_naptr(rdata, "U", "LWNS", regexps[_i].regexp, ".");
    struct kbv_naptr out = read_naptr(rdata, len);

    if (regexps[_i].host == NULL) {
        ck_assert_msg(out.use == KBV_NAPTR_DROP, "%s", regexps[_i].regexp);
        check_dropped(&out);
        return;
    }
    ck_assert_msg(out.use == KBV_NAPTR_URI, "%s", regexps[_i].regexp);
    ck_assert_uint_eq(out.port, regexps[_i].port);
    check_name(&out, regexps[_i].host);
}
END_TEST

static const struct {
    size_t label, labels; /* "aaa…." so many times, then "b" */
    enum kbv_naptr_use use;
} hosts[] = {
    {63, 1, KBV_NAPTR_URI},
    {64, 1, KBV_NAPTR_DROP},
    {1, 110, KBV_NAPTR_URI},
    {63, 3, KBV_NAPTR_URI},
};

START_TEST(labels_end_at_63_octets)
{
    char regexp[256] = "!.*!https://";
    uint8_t rdata[1024];
    size_t at = strlen(regexp);

    for (size_t i = 0; i < hosts[_i].labels; i++) {
        memset(regexp + at, 'a', hosts[_i].label);
        at += hosts[_i].label;
        regexp[at++] = '.';
    }
    strcpy(regexp + at, "b!");
    ck_assert_int_eq(read_naptr(rdata, make_naptr(rdata, "U", "LWNS", regexp, ".")).use,
                     hosts[_i].use);
}
END_TEST

START_TEST(a_nul_ends_no_regexp)
{
    uint8_t rdata[1024];
    size_t len = make_naptr(rdata, "U", "LWNS", "!.*!https://ns.example/@!", ".");
    struct kbv_naptr out;

    *(uint8_t *)memchr(rdata, '@', len) = '\0';
    out = read_naptr(rdata, len);
    check_dropped(&out);
}
END_TEST

/* ---- malformed RDATA ---- */

START_TEST(a_record_is_whole_and_alone)
{
    uint8_t rdata[1024];
    size_t len = make_naptr(rdata, "S", "LWNS", "", "_lwn._j2h.example.");
    struct kbv_naptr out;

    for (size_t cut = 0; cut < len; cut++) {
        out = read_naptr(rdata, cut);
        check_dropped(&out);
    }
    rdata[len] = 0;
    out = read_naptr(rdata, len + 1);
    check_dropped(&out);
    ck_assert_int_eq(read_naptr(rdata, len).use, KBV_NAPTR_SRV);
}
END_TEST

static const char *const malformed[] = {
    "0032 0007 0153 044c574e53 00 c00c",     /* a compressed replacement */
    "0032 0007 0153 044c574e53 00 4161 00",  /* a reserved label type */
    "0032 0007 0153 044c574e53 ff 0161 00",  /* a regexp longer than the record */
    "0032 0007 ff53 044c574e53 00 0161 00",  /* flags longer than the record */
    "0032 0007 0153 044c574e53 00 0161",     /* no root label */
    "0032 0007 0153 034c574e 00 0161 00 00", /* malformed and plain is malformed */
    "0032 0007 0153 034c574e 00",            /* likewise */
};

START_TEST(malformed_records_are_dropped)
{
    uint8_t rdata[64];
    struct kbv_naptr out = read_naptr(rdata, octets_from_hex(malformed[_i], rdata, sizeof(rdata)));

    check_dropped(&out);
}
END_TEST

/* ---- SRV ---- */

static const struct {
    const char *what, *rdata; /* priority 1, weight 2 */
    enum kbv_err err;
    uint16_t port;
    const char *target;
} srvs[] = {
    {"an ordinary one", "0001 0002 1f43 024a53 076578616d706c65 00", KBV_OK, 8003, "js.example."},
    {"no service", "0001 0002 0000 00", KBV_OK, 0, "."},
    {"no service, with a port", "0001 0002 01bb 00", KBV_OK, 443, "."},
    {"port 0", "0001 0002 0000 026a73 00", KBV_ERR_FORMAT, 0, NULL},
    {"nothing", "", KBV_ERR_FORMAT, 0, NULL},
    {"no target", "0001 0002 01bb", KBV_ERR_FORMAT, 0, NULL},
    {"half a port", "0001 0002 01", KBV_ERR_FORMAT, 0, NULL},
    {"no root label", "0001 0002 01bb 026a73", KBV_ERR_FORMAT, 0, NULL},
    {"compressed target", "0001 0002 01bb c00c", KBV_ERR_FORMAT, 0, NULL},
    {"compressed later", "0001 0002 01bb 026a73 c00c", KBV_ERR_FORMAT, 0, NULL},
    {"an octet more", "0001 0002 01bb 026a73 00 00", KBV_ERR_FORMAT, 0, NULL},
    {"an octet more than no service", "0001 0002 0000 00 00", KBV_ERR_FORMAT, 0, NULL},
};

START_TEST(srv_records_are_read_or_refused)
{
    uint8_t rdata[64];
    size_t len = octets_from_hex(srvs[_i].rdata, rdata, sizeof(rdata));
    struct octets_name target;
    struct kbv_srv out = {.port = 4711};

    ck_assert_msg(kbv_srv_read((struct kbv_slice){rdata, len}, &out) == srvs[_i].err, "%s",
                  srvs[_i].what);
    if (srvs[_i].err != KBV_OK) {
        ck_assert_uint_eq(out.port, 4711);
        return;
    }
    target = octets_from_name(srvs[_i].target);
    ck_assert(out.priority == 1 && out.weight == 2 && out.port == srvs[_i].port);
    ck_assert_uint_eq(out.target_len, target.len);
    ck_assert_mem_eq(out.target, target.wire, target.len);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("naptr");
    TCase *tcase = tcase_create("naptr");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, service_and_flag_decide, 0, ROWS(records));
    tcase_add_loop_test(tcase, a_uri_has_one_shape, 0, ROWS(regexps));
    tcase_add_loop_test(tcase, labels_end_at_63_octets, 0, ROWS(hosts));
    tcase_add_test(tcase, a_nul_ends_no_regexp);
    tcase_add_test(tcase, a_record_is_whole_and_alone);
    tcase_add_loop_test(tcase, malformed_records_are_dropped, 0, ROWS(malformed));
    tcase_add_loop_test(tcase, srv_records_are_read_or_refused, 0, ROWS(srvs));
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
