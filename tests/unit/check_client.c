/* SPDX-License-Identifier: BSD-3-Clause */
/* Settings, questions that can be asked and others, and what happens without memory. */
#include <kbv/client.h>

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/octets.h"

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

/* Allocations fail from this one on; 0: none does. Ours by the linker's --wrap, OpenSSL's by its
 * hooks. */
static long fail_after;

static bool may_allocate(void)
{
    return fail_after == 0 || --fail_after > 0 || (fail_after = 1, false);
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_malloc(size_t size)
{
    return may_allocate() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t n, size_t size)
{
    return may_allocate() ? __real_calloc(n, size) : NULL;
}

static void *openssl_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return size && may_allocate() ? __real_malloc(size) : NULL;
}

static void *openssl_realloc(void *p, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return may_allocate() ? realloc(p, size) : NULL;
}

static void openssl_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    free(p);
}

static struct kbv_client *client;
static const uint8_t pin[KBV_PIN_LEN] = {1};

static void setup(void)
{
    client = kbv_client_create();
    ck_assert_ptr_nonnull(client);
}

static void teardown(void)
{
    fail_after = 0;
    kbv_client_delete(client);
}

static const struct {
    const char *address;
    unsigned flags;
    enum kbv_err expected;
} addresses[] = {
    {"127.0.0.1", 0, KBV_OK},
    {"192.0.2.1@5353", KBV_RESOLVER_TCP, KBV_OK},
    {"2001:db8::1", 0, KBV_OK},
    {"::1@65535", KBV_RESOLVER_TRUST_LOOPBACK, KBV_OK},
    {"fe80::1%lo@53", 0, KBV_OK},
    {"fe80::1%1", 0, KBV_OK},
    {"127.0.0.1", KBV_RESOLVER_TRUST_LOOPBACK, KBV_OK},
    {"127.255.255.254", KBV_RESOLVER_TRUST_LOOPBACK | KBV_RESOLVER_TCP, KBV_OK},
    {"192.0.2.1", KBV_RESOLVER_TRUST_LOOPBACK, KBV_ERR_FORMAT},
    {"128.0.0.1", KBV_RESOLVER_TRUST_LOOPBACK, KBV_ERR_FORMAT},
    {"126.255.255.255", KBV_RESOLVER_TRUST_LOOPBACK, KBV_ERR_FORMAT},
    {"0.0.0.0", KBV_RESOLVER_TRUST_LOOPBACK, KBV_ERR_FORMAT},
    {"::", KBV_RESOLVER_TRUST_LOOPBACK, KBV_ERR_FORMAT},
    {"::2", KBV_RESOLVER_TRUST_LOOPBACK, KBV_ERR_FORMAT},
    {"::ffff:192.0.2.1", KBV_RESOLVER_TRUST_LOOPBACK, KBV_ERR_FORMAT},
    {"127.0.0.1", 4, KBV_ERR_FORMAT},
    {"", 0, KBV_ERR_FORMAT},
    {"@53", 0, KBV_ERR_FORMAT},
    {"localhost", KBV_RESOLVER_TRUST_LOOPBACK, KBV_ERR_FORMAT},
    {"127.1", 0, KBV_ERR_FORMAT},
    {"127.0.0.1:53", 0, KBV_ERR_FORMAT},
    {"127.0.0.1@", 0, KBV_ERR_FORMAT},
    {"127.0.0.1@0", 0, KBV_ERR_FORMAT},
    {"127.0.0.1@65536", 0, KBV_ERR_FORMAT},
    {"127.0.0.1@53x", 0, KBV_ERR_FORMAT},
    {"127.0.0.1@99999999999999999999", 0, KBV_ERR_FORMAT},
    {"127.0.0.1 ", 0, KBV_ERR_FORMAT},
    {"[::1]", 0, KBV_ERR_FORMAT},
    {"fe80::1%nosuchinterface", 0, KBV_ERR_FORMAT},
    {"fe80::1%", 0, KBV_ERR_FORMAT},
    {"fe80::1%42949672961", 0, KBV_ERR_FORMAT}, /* 1 modulo 2^32 */
    {"fe80::1%2147483648", 0, KBV_ERR_FORMAT},
    {"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111", 0,
     KBV_ERR_FORMAT},
};

START_TEST(resolvers)
{
    enum kbv_err err =
        kbv_client_add_resolver(client, addresses[_i].address, addresses[_i].flags, NULL);

    ck_assert_msg(err == addresses[_i].expected, "%s: %s", addresses[_i].address,
                  kbv_err_text(err));
}
END_TEST

START_TEST(limits)
{
    uint8_t key[KBV_VERDICT_KEY_LEN] = {0};

    for (int i = 0; i < KBV_RESOLVERS_MAX; i++)
        ck_assert_int_eq(kbv_client_add_resolver(client, "127.0.0.1", 0, i % 2 ? pin : NULL),
                         KBV_OK);
    ck_assert_int_eq(kbv_client_add_resolver(client, "127.0.0.1", 0, NULL), KBV_ERR_LIMIT);
    ck_assert_int_eq(kbv_client_add_verdict_key(client, key), KBV_ERR_FORMAT);
    for (key[0] = 1; key[0] <= KBV_VERDICT_KEYS_MAX; key[0]++)
        ck_assert_int_eq(kbv_client_add_verdict_key(client, key), KBV_OK);
    ck_assert_int_eq(kbv_client_add_verdict_key(client, key), KBV_ERR_LIMIT);
    ck_assert_int_eq(kbv_client_set_rrtype(client, 0), KBV_ERR_FORMAT);
    ck_assert_int_eq(kbv_client_set_option(client, 0), KBV_ERR_FORMAT);
    ck_assert_int_eq(kbv_client_set_timeout_ms(client, 0), KBV_ERR_FORMAT);
    ck_assert_int_eq(kbv_client_set_timeout_ms(client, -1), KBV_ERR_FORMAT);
    ck_assert_int_eq(kbv_client_set_timeout_ms(client, 600001), KBV_ERR_FORMAT);
    ck_assert_int_eq(kbv_client_set_timeout_ms(client, 600000), KBV_OK);
}
END_TEST

START_TEST(resolv_conf_that_cannot_be_read)
{
    ck_assert_int_eq(kbv_client_read_resolv_conf(client, "/nonexistent/resolv.conf"),
                     KBV_ERR_SYSTEM);
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_int_eq(kbv_client_read_resolv_conf(client, "/"), KBV_ERR_SYSTEM);
    /* All of them or none. */
    for (int i = 0; i < KBV_RESOLVERS_MAX; i++)
        ck_assert_int_eq(kbv_client_add_resolver(client, "127.0.0.1", 0, NULL), KBV_OK);
    ck_assert_int_eq(kbv_client_read_resolv_conf(client, "/dev/null"), KBV_ERR_LIMIT);
}
END_TEST

static const struct {
    const char *text;
    bool good;
} pins[] = {
    {"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", true},
    {"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", false},
    {"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=", false}, /* bits that do not count */
    {"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==", false},
    {"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==", false},
    {"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", false},
    {" AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", false},
    {"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", false},
    {"AQ=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", false},
    {"AQ-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", false},
    {"0100000000000000000000000000000000000000000000000000000000000000", false},
    {"", false},
};

START_TEST(pins_are_base64)
{
    uint8_t read[32] = {99};

    ck_assert_int_eq(kbv_pin_from_text(pins[_i].text, read),
                     pins[_i].good ? KBV_OK : KBV_ERR_FORMAT);
    ck_assert_uint_eq(read[0], pins[_i].good ? 1 : 99);
}
END_TEST

/* Material of each kind that is well formed. */
static uint8_t octets[32] = {7}, chain[] = {0, 1, 7};
static const struct kbv_slice material[] = {{NULL, 0},   {octets, 32}, {octets, 32},
                                            {octets, 5}, {octets, 5},  {chain, 3}};

START_TEST(what_a_form_can_carry)
{
    struct octets_name name = octets_from_name("_443._tcp.js.example.");

    for (int form = 0; form <= KBV_ASK_TXT; form++)
        for (unsigned m = 0; m <= KBV_MATERIAL_CHAIN; m++)
            for (int extra = 0; extra < 4; extra++) {
                struct kbv_ask ask = {.form = (enum kbv_ask_form)form,
                                      .name = {name.wire, name.len},
                                      .material = (enum kbv_material)m,
                                      .octets = material[m],
                                      .nonce = extra & 1,
                                      .sign = extra & 2};
                bool option = form == KBV_ASK_OPTION || form == KBV_ASK_TLSA_OPTION;
                bool good = option || (extra == 0 && m <= KBV_MATERIAL_CERT_SHA256);
                enum kbv_err err = KBV_ERR_SYSTEM;
                struct kbv_query *q = kbv_query_create(client, &ask, &err);

                ck_assert_msg((q != NULL) == good && err == (good ? KBV_OK : KBV_ERR_UNSUPPORTED),
                              "form %d, material %u, extra %d: %s", form, m, extra,
                              kbv_err_text(err));
                kbv_query_delete(q);
            }
}
END_TEST

static const char long_name[] = /* 202 octets: with a digest and _kbv beyond 255 */
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.";

static const struct {
    const char *what, *name;
    struct kbv_ask ask;
    enum kbv_err expected;
} questions[] = {
    {"upper case", "_443._TCP.JS.example.", {.form = KBV_ASK_NAME}, KBV_OK},
    {"the root", ".", {.form = KBV_ASK_NAME}, KBV_OK},
    {"identifier",
     "00050a.netids.example.",
     {.form = KBV_ASK_NAME, .identifier = {KBV_ID_NETID, {0, 5, 10}, 3}},
     KBV_OK},
    {"long name", long_name, {.form = KBV_ASK_NAME}, KBV_OK},
    {"long digest name",
     long_name,
     {.form = KBV_ASK_NAME, .material = KBV_MATERIAL_SPKI_SHA256, .octets = {octets, 32}},
     KBV_ERR_LIMIT},
    {"_kbv first", "_kbv.js.example.", {.form = KBV_ASK_NAME}, KBV_ERR_FORMAT},
    {"_kbv within", "a._KBV.js.example.", {.form = KBV_ASK_OPTION}, KBV_ERR_FORMAT},
    {"form", "js.example.", {.form = (enum kbv_ask_form)4}, KBV_ERR_FORMAT},
    {"identifier's kind",
     "js.example.",
     {.identifier = {(enum kbv_id_kind)4, {0}, 8}},
     KBV_ERR_FORMAT},
    {"identifier's length", "js.example.", {.identifier = {KBV_ID_NETID, {0}, 8}}, KBV_ERR_FORMAT},
    {"identifier by TLSA",
     "js.example.",
     {.form = KBV_ASK_TLSA_OPTION, .identifier = {KBV_ID_JOINEUI, {0}, 8}},
     KBV_ERR_UNSUPPORTED},
    {"material's kind", "js.example.", {.material = (enum kbv_material)6}, KBV_ERR_FORMAT},
    {"material without octets", "js.example.", {.material = KBV_MATERIAL_SPKI}, KBV_ERR_FORMAT},
    {"octets without material", "js.example.", {.octets = {octets, 4}}, KBV_ERR_FORMAT},
    {"digest too short",
     "js.example.",
     {.material = KBV_MATERIAL_SPKI_SHA256, .octets = {octets, 31}},
     KBV_ERR_FORMAT},
    {"digest too short in a name",
     "js.example.",
     {.form = KBV_ASK_NAME, .material = KBV_MATERIAL_SPKI_SHA256, .octets = {octets, 31}},
     KBV_ERR_FORMAT},
    {"material too long",
     "js.example.",
     {.material = KBV_MATERIAL_CHAIN, .octets = {octets, 100000}},
     KBV_ERR_FORMAT},
    {"a chain that does not add up",
     "js.example.",
     {.material = KBV_MATERIAL_CHAIN, .octets = {octets, 32}},
     KBV_ERR_FORMAT},
};

START_TEST(which_questions_can_be_asked)
{
    struct octets_name name = octets_from_name(questions[_i].name);
    struct kbv_ask ask = questions[_i].ask;
    enum kbv_err err = KBV_ERR_SYSTEM;
    struct kbv_query *q;

    ask.name = (struct kbv_slice){name.wire, name.len};
    q = kbv_query_create(client, &ask, &err);
    ck_assert_msg(err == questions[_i].expected && (q != NULL) == (err == KBV_OK), "%s: %s",
                  questions[_i].what, kbv_err_text(err));
    kbv_query_delete(q);
    ck_assert_ptr_eq(kbv_query_create(client, &(struct kbv_ask){0}, NULL), NULL);
    ask.name.len--; /* no root label */
    ck_assert_ptr_eq(kbv_query_create(client, &ask, &err), NULL);
}
END_TEST

START_TEST(nothing_is_accepted_before_it_is_done)
{
    struct octets_name name = octets_from_name("_443._tcp.js.example.");
    struct kbv_ask ask = {.name = {name.wire, name.len}};
    struct kbv_query *q = kbv_query_create(client, &ask, NULL);
    struct kbv_peer peer = {.has_spki_sha256 = true};
    size_t which = 0;

    ck_assert_int_eq(kbv_query_reply(q)->outcome, KBV_REPLY_NONE);
    ck_assert_int_eq(kbv_query_accept(q, &peer, ask.name, 443, 0, &which), KBV_REFUSED_NO_VERDICT);
    ck_assert_uint_eq(which, KBV_REPLY_VERDICTS_MAX);
    ck_assert_int_eq(kbv_query_believe(q, 0, 0), KBV_REFUSED_NO_VERDICT);
    kbv_query_wait(q);
    ck_assert_int_eq(kbv_query_reply(q)->outcome, KBV_REPLY_NO_RESOLVER);
    ck_assert_int_eq(kbv_query_accept(q, &peer, ask.name, 443, 0, NULL), KBV_REFUSED_NO_VERDICT);
    kbv_query_delete(q);
    kbv_query_delete(NULL);
    kbv_client_delete(NULL);
}
END_TEST

/* A listener that nobody serves: whoever connects waits. */
static int listen_silently(char address[32])
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, len), 0);
    ck_assert_int_eq(listen(fd, 16), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    snprintf(address, 32, "127.0.0.1@%u", ntohs(in.sin_port));
    return fd;
}

/* One whole use of the client. Check itself allocates, so what is wrong is told afterwards. */
struct use {
    enum kbv_err err;
    enum kbv_reply_outcome outcome; /* NONE: it did not come to a query */
    bool contradiction;             /* a query in spite of an error, or none without */
};

static struct use use_everything(const char *address, const struct kbv_ask *ask)
{
    struct kbv_client *c = kbv_client_create();
    struct kbv_query *q = NULL;
    struct use use = {.err = KBV_ERR_NOMEM};

    if (c)
        use.err = kbv_client_add_resolver(c, address, 0, pin);
    if (use.err == KBV_OK) {
        kbv_client_set_timeout_ms(c, 20);
        q = kbv_query_create(c, ask, &use.err);
    }
    use.contradiction = (q != NULL) != (use.err == KBV_OK);
    if (q) {
        kbv_query_wait(q);
        use.outcome = kbv_query_reply(q)->outcome;
    }
    kbv_query_delete(q);
    kbv_client_delete(c);
    return use;
}

/* With the first allocation failing and all behind it, then from the second on, and so on until
 * there are none left to fail. */
START_TEST(without_memory_nothing_is_asked_and_nothing_leaks)
{
    struct octets_name name = octets_from_name("_443._tcp.js.example.");
    struct kbv_ask ask = {.name = {name.wire, name.len}, .nonce = true};
    char address[32];
    int fd = listen_silently(address);
    unsigned seen[2] = {0, 0}; /* no query; a query that could not open a connection */
    long n = 1, left = 1;

    use_everything(address, &ask); /* what OpenSSL makes once is made */
    for (; left == 1; n++) {
        struct use use;

        fail_after = n;
        use = use_everything(address, &ask);
        left = fail_after;
        fail_after = 0;
        ck_assert(!use.contradiction);
        if (left > 1) { /* no allocation failed */
            ck_assert_int_eq(use.outcome, KBV_REPLY_TIMEOUT);
        } else if (use.err != KBV_OK) {
            ck_assert_int_eq(use.err, KBV_ERR_NOMEM);
            seen[0]++;
        } else {
            ck_assert(use.outcome == KBV_REPLY_UNREACHABLE || use.outcome == KBV_REPLY_TIMEOUT);
            seen[1]++;
        }
        ck_assert_int_lt(n, 5000);
    }
    ck_assert_uint_gt(seen[0], 3);
    ck_assert_uint_gt(seen[1], 3);
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client");
    TCase *c = tcase_create("client");
    SRunner *runner = srunner_create(suite);
    int failed;

    if (!CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free))
        return EXIT_FAILURE;
    suite_add_tcase(suite, c);
    tcase_set_timeout(c, 300);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, resolvers, 0, ROWS(addresses));
    tcase_add_test(c, limits);
    tcase_add_test(c, resolv_conf_that_cannot_be_read);
    tcase_add_loop_test(c, pins_are_base64, 0, ROWS(pins));
    tcase_add_test(c, what_a_form_can_carry);
    tcase_add_loop_test(c, which_questions_can_be_asked, 0, ROWS(questions));
    tcase_add_test(c, nothing_is_accepted_before_it_is_done);
    tcase_add_test(c, without_memory_nothing_is_asked_and_nothing_leaks);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
