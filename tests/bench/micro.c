/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the steps of the resolver's hot path cost each, without a resolver: nanoseconds of CPU an
 * operation, the median and the quartiles of several runs. One line a step: name, median, lower
 * and upper quartile, separated by tabs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/buf.h"
#include <kbv/request.h>
#include "module/core/judge.h"
#include "module/core/lookup.h"
#include "module/core/question.h"
#include "module/core/sha256.h"
#include "module/core/tlsa.h"

#define NOW  1800000000
#define RUNS 15

#define SUFFIX  "joineuis.lora-alliance.org."
#define JOINEUI "0.0.0.0.0.0.0.d.e.7.5.d.3.b.0.7." SUFFIX
#define OWNER   "_8003._tcp.js1.op-a.example."

/* Stops the program where a step does not do what is to be measured. */
static void need(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "micro: %s\n", what);
    exit(1);
}

struct name {
    uint8_t wire[KBV_NAME_MAX];
    size_t len;
};

static struct name name_of(const char *text)
{
    struct name n;

    need(kbv_name_from_text(text, true, n.wire, &n.len) == KBV_OK, text);
    return n;
}

static struct kbv_slice slice_of(const struct name *n)
{
    return (struct kbv_slice){n->wire, n->len};
}

/* What the steps work on: operator A's first join server, with a key in use and one in waiting. */
static struct {
    struct kbv_options *options;
    struct name joineui, owner, host, service, digest_name;
    uint8_t rdata[2][3 + KBV_DIGEST_LEN];
    struct kbv_slice rr[2];
    struct kbv_rrset tlsa;
    struct kbv_evidence evidence;
    struct kbv_policy policy;
    struct kbv_subject subject, other;
    uint8_t associations[KBV_ASSOCIATIONS_MAX];
    uint8_t names[KBV_REFERENCE_NAMES_MAX * KBV_NAME_MAX];
    uint8_t octets[2048];
    size_t octets_len;
    uint8_t request[64];
    size_t request_len;
    struct kbv_verdict base[2], keyed;
    uint8_t rrsig[128];
    struct kbv_slice sig;
    struct kbv_answer answer;
    volatile unsigned sink; /* what a step found, lest the compiler drops the step */
} at;

static void step_encode(void)
{
    uint8_t out[2048];
    size_t len;

    at.sink += kbv_verdict_encode(&at.base[0], out, sizeof(out), &len);
}

static void step_decode(void)
{
    struct kbv_verdict v;

    at.sink += kbv_verdict_decode(&v, at.octets, at.octets_len);
}

static void step_judge_base(void)
{
    struct kbv_verdict v;

    kbv_judge_base(&at.evidence, &at.policy, NOW, at.associations, sizeof(at.associations),
                   at.names, &v);
    at.sink += v.status;
}

static void step_judge_keyed(void)
{
    struct kbv_presented presented = kbv_presented_digest(&at.subject);
    struct kbv_verdict v;

    kbv_judge_keyed(&at.base[0], &presented, &at.policy, NOW, &v);
    at.sink += v.status;
}

static void step_judge_other(void)
{
    struct kbv_presented presented = kbv_presented_digest(&at.other);
    struct kbv_verdict v;

    kbv_judge_keyed(&at.base[0], &presented, &at.policy, NOW, &v);
    at.sink += v.status;
}

static void step_select(void)
{
    at.sink += (unsigned)kbv_verdict_select(at.base, 2, false);
}

static void step_associations(void)
{
    size_t len;

    at.sink +=
        kbv_tlsa_associations(&at.tlsa, false, at.associations, sizeof(at.associations), &len);
}

static void step_hash(void)
{
    uint8_t hash[KBV_RRSET_HASH_LEN];

    at.sink += kbv_tlsa_hash(&at.tlsa, hash);
}

static void step_sha256(void)
{
    struct kbv_slice part = {at.rdata[0], sizeof(at.rdata[0])};
    uint8_t digest[KBV_DIGEST_LEN];

    kbv_sha256(&part, 1, digest);
    at.sink += digest[0];
}

static void step_question_identifier(void)
{
    struct kbv_question q;

    kbv_question_read(at.options, at.joineui.wire, at.joineui.len, at.options->rrtype, &q);
    at.sink += q.form;
}

static void step_question_literal(void)
{
    struct kbv_question q;

    kbv_question_read(at.options, at.owner.wire, at.owner.len, at.options->rrtype, &q);
    at.sink += q.form;
}

static void step_question_digest(void)
{
    struct kbv_question q;

    kbv_question_read(at.options, at.digest_name.wire, at.digest_name.len, at.options->rrtype, &q);
    at.sink += q.form;
}

static void step_under_kbv(void)
{
    at.sink += kbv_name_under_kbv(at.joineui.wire, at.joineui.len);
}

static void step_request(void)
{
    struct kbv_request r;

    at.sink += kbv_request_decode(&r, at.request, at.request_len);
}

/* What the module does for an option on an RR query, from the octets of RR and option on. */
static void step_option_rr(void)
{
    struct kbv_request r;
    struct kbv_presented presented = kbv_presented_digest(&at.subject);
    struct kbv_verdict base, keyed;
    uint8_t out[2048];
    size_t len;

    at.sink += kbv_request_decode(&r, at.request, at.request_len);
    at.sink += kbv_name_under_kbv(at.owner.wire, at.owner.len);
    at.sink += kbv_verdict_decode(&base, at.octets, at.octets_len);
    kbv_judge_keyed(&base, &presented, &at.policy, NOW, &keyed);
    at.sink += kbv_verdict_encode(&keyed, out, sizeof(out), &len);
}

/* None is needed unless the owner is an alias. */
static void *no_memory(void *arg, size_t len)
{
    (void)arg;
    (void)len;
    return NULL;
}

/* The same on a TLSA query: the verdict is judged afresh. */
static void step_option_tlsa(void)
{
    struct kbv_mem mem = {no_memory, NULL};
    struct kbv_request r;
    struct kbv_question q;
    struct kbv_evidence e;
    struct kbv_presented presented = kbv_presented_digest(&at.subject);
    struct kbv_verdict base, keyed;
    uint8_t out[2048];
    size_t len;

    at.sink += kbv_request_decode(&r, at.request, at.request_len);
    kbv_question_literal(at.options, at.owner.wire, at.owner.len, &q);
    kbv_lookup_literal(&mem, &q, &at.answer, NOW, &e);
    kbv_judge_base(&e, &at.policy, NOW, at.associations, sizeof(at.associations), at.names, &base);
    kbv_judge_keyed(&base, &presented, &at.policy, NOW, &keyed);
    at.sink += kbv_verdict_encode(&keyed, out, sizeof(out), &len);
    need(keyed.status == KBV_STATUS_BOUND, "the TLSA answer does not make BOUND");
}

static const struct {
    const char *name;
    void (*run)(void);
} steps[] = {
    {"verdict_encode", step_encode},
    {"verdict_decode", step_decode},
    {"judge_base", step_judge_base},
    {"judge_keyed, BOUND", step_judge_keyed},
    {"judge_keyed, NOT_BOUND", step_judge_other},
    {"verdict_select of 2", step_select},
    {"tlsa_associations of 2", step_associations},
    {"tlsa_hash of 2", step_hash},
    {"sha256 of 35 octets", step_sha256},
    {"question_read, JoinEUI", step_question_identifier},
    {"question_read, literal", step_question_literal},
    {"question_read, digest name", step_question_digest},
    {"name_under_kbv, JoinEUI", step_under_kbv},
    {"request_decode", step_request},
    {"option on an RR query, all of it", step_option_rr},
    {"option on a TLSA query, all of it", step_option_tlsa},
};

static void set_options(void)
{
    char err[256];

    at.options = kbv_options_create();
    need(at.options != NULL, "out of memory");
    need(kbv_options_set(at.options, "kbv-zone", SUFFIX " joineui", err, sizeof(err)) == KBV_OK,
         err);
    need(kbv_options_finish(at.options, err, sizeof(err)) == KBV_OK, err);
}

/* TLSA records 3 1 1 with the digests of two keys, of which subject is the second. */
static void set_key(void)
{
    at.subject.kind = at.other.kind = KBV_SUBJECT_SPKI;
    for (size_t i = 0; i < 2; i++) {
        memcpy(at.rdata[i], "\3\1\1", 3);
        kbv_sha256(&(struct kbv_slice){(const uint8_t *)"key" + i, 1}, 1, at.rdata[i] + 3);
        at.rr[i] = (struct kbv_slice){at.rdata[i], sizeof(at.rdata[i])};
    }
    memcpy(at.subject.digest, at.rdata[1] + 3, KBV_DIGEST_LEN);
}

static void set_names(void)
{
    uint8_t label[53];
    char digest_name[sizeof(label) + sizeof("._kbv." OWNER)];

    at.joineui = name_of(JOINEUI);
    at.owner = name_of(OWNER);
    at.host = name_of("js1.op-a.example.");
    at.service = name_of("op-a.example.");
    kbv_digest_label_encode('s', at.subject.digest, label);
    snprintf(digest_name, sizeof(digest_name), "%.53s._kbv." OWNER, (const char *)label);
    at.digest_name = name_of(digest_name);
}

static void set_records(void)
{
    at.tlsa = (struct kbv_rrset){
        .owner = slice_of(&at.owner),
        .type = KBV_TYPE_TLSA,
        .security = KBV_SEC_SECURE,
        .added = NOW,
        .ttl_end = NOW + 300,
        .rr = at.rr,
        .n_rr = 2,
    };
}

/* The RRset as an answer, with a signature whose octets nobody verifies here (RFC 4034
 * section 3.1). */
static void set_answer(void)
{
    struct kbv_writer w = kbv_writer_on(at.rrsig, sizeof(at.rrsig));

    kbv_writer_u16(&w, KBV_TYPE_TLSA);
    kbv_writer_u8(&w, 13);
    kbv_writer_u8(&w, (uint8_t)kbv_name_labels(at.owner.wire));
    kbv_writer_u32(&w, 300);
    kbv_writer_u32(&w, NOW + 86400);
    kbv_writer_u32(&w, NOW - 3600);
    kbv_writer_u16(&w, 1);
    kbv_writer_octets(&w, at.service.wire, at.service.len);
    kbv_writer_octets(&w, at.octets, 64); /* the signature */
    at.sig = (struct kbv_slice){at.rrsig, w.len};
    at.tlsa.sig = &at.sig;
    at.tlsa.n_sig = 1;
    at.answer = (struct kbv_answer){
        .arrived = true,
        .security = KBV_SEC_SECURE,
        .ede = KBV_EDE_NONE,
        .answer = &at.tlsa,
        .n_answer = 1,
    };
}

static void set_verdicts(void)
{
    struct kbv_presented presented = kbv_presented_digest(&at.subject);
    at.policy = (struct kbv_policy){.max_ttl = 3600, .max_negative_ttl = 300, .bogus_ttl = 60};
    at.evidence = (struct kbv_evidence){
        .finding = KBV_FOUND_TLSA,
        .security = KBV_SEC_SECURE,
        .ede = KBV_EDE_NONE,
        .owner = slice_of(&at.owner),
        .identifier = {KBV_ID_JOINEUI, {0x70, 0xB3, 0xD5, 0x7E, 0xD0, 0, 0, 0}, 8},
        .identifier_name = slice_of(&at.joineui),
        .has_endpoint = true,
        .order = 50,
        .preference = 50,
        .weight = 1,
        .port = 8003,
        .target = slice_of(&at.host),
        .reference_names = {slice_of(&at.host), slice_of(&at.service)},
        .n_reference_names = 2,
        .tlsa = &at.tlsa,
        .life_end = NOW + 300,
    };
    kbv_judge_base(&at.evidence, &at.policy, NOW, at.associations, sizeof(at.associations),
                   at.names, &at.base[0]);
    need(at.base[0].status == KBV_STATUS_PUBLISHED, "the base verdict is not PUBLISHED");
    at.base[1] = at.base[0];
    at.base[1].priority = 1;
    kbv_judge_keyed(&at.base[0], &presented, &at.policy, NOW, &at.keyed);
    need(at.keyed.status == KBV_STATUS_BOUND, "the keyed verdict is not BOUND");
    need(kbv_verdict_encode(&at.base[0], at.octets, sizeof(at.octets), &at.octets_len) == KBV_OK,
         "the base verdict has no octets");
}

static void set_request(void)
{
    struct kbv_request r = {
        .kind = KBV_MATERIAL_SPKI_SHA256,
        .material = {at.subject.digest, sizeof(at.subject.digest)},
    };

    need(kbv_request_encode(&r, at.request, sizeof(at.request), &at.request_len) == KBV_OK,
         "the request has no octets");
}

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double run_ns(void (*run)(void), unsigned long times)
{
    double start = cpu_ns();

    for (unsigned long i = 0; i < times; i++)
        run();
    return cpu_ns() - start;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void measure(const char *name, void (*run)(void), double run_length_ns)
{
    unsigned long times = 1000;
    double ns[RUNS];

    while (run_ns(run, times) < run_length_ns)
        times *= 2;
    for (size_t i = 0; i < RUNS; i++)
        ns[i] = run_ns(run, times) / (double)times;
    qsort(ns, RUNS, sizeof(ns[0]), compare);
    printf("%s\t%.1f\t%.1f\t%.1f\n", name, ns[RUNS / 2], ns[RUNS / 4], ns[RUNS - 1 - RUNS / 4]);
}

int main(int argc, char **argv)
{
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;

    set_options();
    set_key();
    set_names();
    set_records();
    set_answer();
    set_verdicts();
    set_request();
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        measure(steps[i].name, steps[i].run, quick ? 2e6 : 1e7);
    kbv_options_delete(at.options);
    return 0;
}
