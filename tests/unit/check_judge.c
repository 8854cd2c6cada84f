/* SPDX-License-Identifier: BSD-3-Clause */
/* From evidence to verdicts. */
#include "module/core/judge.h"

#include <check.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "module/core/tlsa.h"
#include "tests/unit/certificate.h"

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))
#define NOW         INT64_C(1800000000)
#define SPKI        KBV_SUBJECT_SPKI
#define CERT        KBV_SUBJECT_CERT

static const struct kbv_policy policy = {.max_ttl = 3600, .max_negative_ttl = 300, .bogus_ttl = 30};

/* Digests of keys that are nobody's. */
#define KEY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define A_311 "030101" KEY_A
#define A_301 "030001" KEY_A
#define B_311 "030101" KEY_B
#define B_312 "030102" KEY_B KEY_B
#define A_201 "020001" KEY_A
#define A_001 "000001" KEY_A
#define A_111 "010101" KEY_A
#define SHORT "030101 aaaa" /* a digest of the wrong length: unusable */

/* Evidence of a TLSA RRset found, all storage included, and what was judged from it. */
struct fixture {
    struct kbv_evidence e;
    struct kbv_policy p;
    struct kbv_rrset tlsa;
    struct octets_name owner, identifier_name, target, found_at, names[3];
    struct kbv_slice rr[KBV_TLSA_MAX + 1], sig[2];
    uint8_t octets[8192], sig_octets[2][64];
    size_t used;
    uint8_t associations[KBV_ASSOCIATIONS_MAX];
    uint8_t name_octets[KBV_REFERENCE_NAMES_MAX * KBV_NAME_MAX];
    struct kbv_verdict base, keyed;
};

static struct kbv_slice slice_of(const struct octets_name *name)
{
    return (struct kbv_slice){name->wire, name->len};
}

static void fixture_add(struct fixture *f, const char *hex)
{
    size_t n = octets_from_hex(hex, f->octets + f->used, sizeof(f->octets) - f->used);

    ck_assert_uint_le(f->tlsa.n_rr, KBV_TLSA_MAX);
    f->rr[f->tlsa.n_rr++] = (struct kbv_slice){f->octets + f->used, n};
    f->used += n;
}

/* An RRSIG of that algorithm, valid for an hour around NOW. */
static void fixture_sign(struct fixture *f, uint8_t alg)
{
    uint8_t *p = f->sig_octets[f->tlsa.n_sig];
    const uint32_t expires = (uint32_t)NOW + 3600, began = (uint32_t)NOW - 3600;
    const uint8_t rrsig[] = {0,
                             KBV_TYPE_TLSA,
                             alg,
                             4,
                             0,
                             0,
                             0x0E,
                             0x10,
                             (uint8_t)(expires >> 24),
                             (uint8_t)(expires >> 16),
                             (uint8_t)(expires >> 8),
                             (uint8_t)expires,
                             (uint8_t)(began >> 24),
                             (uint8_t)(began >> 16),
                             (uint8_t)(began >> 8),
                             (uint8_t)began,
                             0,
                             1,
                             0, /* signed by the root */
                             0xFF};

    memcpy(p, rrsig, sizeof(rrsig));
    f->sig[f->tlsa.n_sig++] = (struct kbv_slice){p, sizeof(rrsig)};
}

/* Records are separated by commas. */
static void fixture_make(struct fixture *f, const char *records)
{
    char copy[2048];

    memset(f, 0, sizeof(*f));
    f->p = policy;
    f->owner = octets_from_name("_443._tcp.js.example.");
    f->identifier_name = octets_from_name("00050a.netids.example.");
    f->target = octets_from_name("js.example.");
    f->tlsa = (struct kbv_rrset){
        .owner = slice_of(&f->owner),
        .type = KBV_TYPE_TLSA,
        .security = KBV_SEC_SECURE,
        .added = NOW,
        .ttl_end = NOW + 1000,
        .rr = f->rr,
        .sig = f->sig,
    };
    fixture_sign(f, 13);
    ck_assert_int_lt(snprintf(copy, sizeof(copy), "%s", records), (int)sizeof(copy));
    for (char *part = strtok(copy, ","); part != NULL; part = strtok(NULL, ","))
        fixture_add(f, part);
    f->e = (struct kbv_evidence){
        .finding = KBV_FOUND_TLSA,
        .security = KBV_SEC_SECURE,
        .ede = KBV_EDE_NONE,
        .owner = slice_of(&f->owner),
        .tlsa = &f->tlsa,
        .life_end = NOW + 1000,
    };
}

/* Whatever is judged can be sent. */
static void check_encodes(const struct kbv_verdict *v)
{
    static uint8_t octets[KBV_VERDICT_MAX];
    struct kbv_verdict back;
    size_t len;

    ck_assert_int_eq(kbv_verdict_encode(v, octets, sizeof(octets), &len), KBV_OK);
    ck_assert_int_eq(kbv_verdict_decode(&back, octets, len), KBV_OK);
}

static const struct kbv_verdict *judge_base_at(struct fixture *f, int64_t now)
{
    kbv_judge_base(&f->e, &f->p, now, f->associations, sizeof(f->associations), f->name_octets,
                   &f->base);
    check_encodes(&f->base);
    ck_assert(f->base.subject.kind == KBV_SUBJECT_NONE && !(f->base.flags & KBV_FLAG_KEYED));
    ck_assert_uint_eq(f->base.issued, (uint32_t)now);
    return &f->base;
}

static const struct kbv_verdict *judge_base(struct fixture *f)
{
    return judge_base_at(f, NOW);
}

static const struct kbv_verdict *judge_keyed_at(struct fixture *f,
                                                const struct kbv_subject *subject, int64_t now)
{
    struct kbv_presented presented = kbv_presented_digest(subject);

    kbv_judge_keyed(&f->base, &presented, &f->p, now, &f->keyed);
    check_encodes(&f->keyed);
    ck_assert(f->keyed.associations.p == NULL && f->keyed.reference_names.p == NULL);
    ck_assert_uint_eq(f->keyed.issued, (uint32_t)now);
    return &f->keyed;
}

static struct kbv_subject subject_of(enum kbv_subject_kind kind, const char *hex)
{
    struct kbv_subject subject = {.kind = kind};

    ck_assert_uint_eq(octets_from_hex(hex, subject.digest, KBV_DIGEST_LEN), KBV_DIGEST_LEN);
    return subject;
}

static void check_reason(const struct kbv_verdict *v, const char *expected)
{
    char text[KBV_REASON_MAX + 1] = "";

    ck_assert((v->reason.p != NULL) == (v->reason.len != 0));
    if (v->reason.p != NULL)
        memcpy(text, v->reason.p, v->reason.len);
    ck_assert_str_eq(text, expected);
}

/* ---- findings ---- */

static const struct {
    const char *what;
    enum kbv_finding finding;
    enum kbv_security security;
    enum kbv_status refusal;
    uint16_t ede;
    int require_secure;
    enum kbv_status status;
    uint16_t expected_ede;
    uint32_t life;
} findings[] = {
    {"zeroed", KBV_FOUND_NOTHING, 0, 0, 0, 0, KBV_STATUS_TEMPFAIL, 22, 5},
    {"found", KBV_FOUND_TLSA, KBV_SEC_SECURE, 0, 0, 0, KBV_STATUS_PUBLISHED, KBV_EDE_NONE, 1000},
    {"denied", KBV_FOUND_DENIAL, KBV_SEC_SECURE, 0, 0, 0, KBV_STATUS_NO_BINDING, 49153, 300},
    {"bogus", KBV_FOUND_UNPROVEN, KBV_SEC_BOGUS, 0, KBV_EDE_NONE, 0, KBV_STATUS_BOGUS, 6, 30},
    {"bogus, other", KBV_FOUND_UNPROVEN, KBV_SEC_BOGUS, 0, 0, 0, KBV_STATUS_BOGUS, 6, 30},
    {"bogus, expired", KBV_FOUND_UNPROVEN, KBV_SEC_BOGUS, 0, 7, 0, KBV_STATUS_BOGUS, 7, 30},
    {"bogus, required", KBV_FOUND_UNPROVEN, KBV_SEC_BOGUS, 0, 9, 1, KBV_STATUS_BOGUS, 9, 30},
    {"insecure", KBV_FOUND_UNPROVEN, KBV_SEC_INSECURE, 0, 9, 0, KBV_STATUS_INSECURE, 49156, 60},
    {"downgrade", KBV_FOUND_UNPROVEN, KBV_SEC_INSECURE, 0, 0, 1, KBV_STATUS_DOWNGRADE, 49157, 60},
    {"unchecked", KBV_FOUND_UNPROVEN, KBV_SEC_UNCHECKED, 0, 0, 0, KBV_STATUS_INDETERMINATE, 5, 60},
    {"indeterminate", KBV_FOUND_UNPROVEN, KBV_SEC_INDETERMINATE, 0, 0, 1, KBV_STATUS_INDETERMINATE,
     5, 60},
    {"secure and unproven", KBV_FOUND_UNPROVEN, KBV_SEC_SECURE, 0, 0, 0, KBV_STATUS_INDETERMINATE,
     5, 60},
    {"stale", KBV_FOUND_STALE, KBV_SEC_SECURE, 0, 0, 0, KBV_STATUS_STALE, 3, 5},
    {"failure", KBV_FOUND_FAILURE, KBV_SEC_SECURE, 0, 0, 0, KBV_STATUS_TEMPFAIL, 22, 5},
    {"limit", KBV_FOUND_LIMIT, KBV_SEC_SECURE, 0, 0, 0, KBV_STATUS_LIMIT, 49159, 5},
    {"refused", KBV_FOUND_REFUSAL, 0, KBV_STATUS_REFUSED, 0, 0, KBV_STATUS_REFUSED, 18, 0},
    {"bad input", KBV_FOUND_REFUSAL, 0, KBV_STATUS_BAD_INPUT, 0, 0, KBV_STATUS_BAD_INPUT, 49158, 0},
    {"a refusal that accepts", KBV_FOUND_REFUSAL, 0, KBV_STATUS_PUBLISHED, 0, 0,
     KBV_STATUS_TEMPFAIL, 22, 5},
    {"a refusal without status", KBV_FOUND_REFUSAL, 0, 0, 0, 0, KBV_STATUS_TEMPFAIL, 22, 5},
    {"no finding of ours", (enum kbv_finding)99, KBV_SEC_SECURE, 0, 0, 0, KBV_STATUS_TEMPFAIL, 22,
     5},
};

START_TEST(each_finding_has_its_status)
{
    struct fixture f;
    const struct kbv_verdict *v;

    fixture_make(&f, A_311);
    f.e.finding = findings[_i].finding;
    f.e.security = findings[_i].security;
    f.e.refusal = findings[_i].refusal;
    f.e.ede = findings[_i].ede;
    f.p.require_secure = findings[_i].require_secure;
    if (f.e.finding != KBV_FOUND_TLSA && f.e.finding != KBV_FOUND_DENIAL)
        f.e.life_end = 0; /* the others have none */
    v = judge_base(&f);
    ck_assert_msg(v->status == findings[_i].status, "%s: %s", findings[_i].what,
                  kbv_status_name(v->status));
    ck_assert_uint_eq(v->ede, findings[_i].expected_ede);
    ck_assert_uint_eq(v->not_after - v->issued, findings[_i].life);
    ck_assert_uint_eq(v->match.usage & v->match.selector & v->match.mtype, 255);
    ck_assert((v->associations.p != NULL) == (v->status == KBV_STATUS_PUBLISHED));
    ck_assert((v->reference_names.p != NULL) == (v->status == KBV_STATUS_PUBLISHED));
}
END_TEST

START_TEST(no_evidence_at_all_is_a_failure_of_the_root)
{
    struct fixture f;

    fixture_make(&f, A_311);
    f.e = (struct kbv_evidence){.finding = KBV_FOUND_NOTHING};
    ck_assert_int_eq(judge_base(&f)->status, KBV_STATUS_TEMPFAIL);
    ck_assert_uint_eq(f.base.owner.len, 1);
}
END_TEST

/* What cannot be sent, or contradicts itself, is never believed. */
enum {
    OWNER_UPPER,
    OWNER_NONE,
    ID_KIND,
    ID_LENGTH,
    ID_NAME,
    ENDPOINT_ALONE,
    TARGET,
    FOUND_AT,
    NAMES,
    NAME,
    NO_TLSA,
    EMPTY_TLSA,
    OTHER_TYPE,
    MISTAKES
};

START_TEST(contradictory_evidence_fails)
{
    static const uint8_t upper[] = {1, 'A', 0};
    const struct kbv_slice bad = {upper, sizeof(upper)};
    struct fixture f;

    fixture_make(&f, A_311);
    f.e.identifier_name = slice_of(&f.identifier_name);
    f.e.identifier = (struct kbv_id){KBV_ID_NETID, {0x00, 0x05, 0x0A}, 3};
    f.e.target = slice_of(&f.target);
    f.e.has_endpoint = true;
    ck_assert_int_eq(judge_base(&f)->status, KBV_STATUS_PUBLISHED);
    switch (_i) {
    case OWNER_UPPER:
        f.e.owner = bad;
        break;
    case OWNER_NONE:
        f.e.owner.p = NULL;
        break;
    case ID_KIND:
        f.e.identifier.kind = KBV_ID_NONE;
        break;
    case ID_LENGTH:
        f.e.identifier.len = 8;
        break;
    case ID_NAME:
        f.e.identifier_name = bad;
        break;
    case ENDPOINT_ALONE:
        f.e.identifier_name.p = NULL;
        break;
    case TARGET:
        f.e.target = bad;
        break;
    case FOUND_AT:
        f.e.found_at = bad;
        break;
    case NAMES:
        f.e.n_reference_names = KBV_REFERENCE_NAMES_MAX + 1;
        break;
    case NAME:
        f.e.reference_names[0] = bad;
        f.e.n_reference_names = 1;
        break;
    case NO_TLSA:
        f.e.tlsa = NULL;
        break;
    case EMPTY_TLSA:
        f.tlsa.n_rr = 0;
        break;
    case OTHER_TYPE:
        f.tlsa.type = KBV_TYPE_TXT;
        break;
    }
    ck_assert_int_eq(judge_base(&f)->status, KBV_STATUS_TEMPFAIL);
    ck_assert_uint_eq(f.base.not_after - f.base.issued, 5);
    ck_assert_ptr_null(f.base.associations.p);
}
END_TEST

static const struct {
    enum kbv_security security;
    enum kbv_status status;
} securities[] = {
    {KBV_SEC_UNCHECKED, KBV_STATUS_INDETERMINATE},
    {KBV_SEC_BOGUS, KBV_STATUS_BOGUS},
    {KBV_SEC_INDETERMINATE, KBV_STATUS_INDETERMINATE},
    {KBV_SEC_INSECURE, KBV_STATUS_INSECURE},
    {KBV_SEC_SECURE, KBV_STATUS_PUBLISHED},
};

START_TEST(records_count_only_when_secure_themselves)
{
    struct fixture f;

    fixture_make(&f, A_311);
    f.tlsa.security = securities[_i].security;
    ck_assert_int_eq(judge_base(&f)->status, securities[_i].status);
}
END_TEST

/* ---- the RRset ---- */

static const struct {
    const char *what, *records;
    int pkix;
    enum kbv_status status;
    const char *reason;
    size_t associations; /* octets */
} rrsets[] = {
    {"one", A_311, 0, KBV_STATUS_PUBLISHED, "", 37},
    {"usage 2", A_201, 0, KBV_STATUS_PUBLISHED, "", 37},
    {"one of two usable", SHORT "," A_311, 0, KBV_STATUS_PUBLISHED, "", 37},
    {"all are listed", A_201 "," A_311 "," B_312, 0, KBV_STATUS_PUBLISHED, "", 37 + 37 + 69},
    {"none usable", SHORT, 0, KBV_STATUS_UNUSABLE, "no usable TLSA record", 0},
    {"usages 0 and 1 without a store", A_001 "," A_111, 0, KBV_STATUS_UNUSABLE,
     "no usable TLSA record", 0},
    {"usages 0 and 1 with one", A_001 "," A_111, 1, KBV_STATUS_PUBLISHED, "", 74},
};

START_TEST(usable_records_are_published)
{
    struct fixture f;
    uint8_t hash[KBV_RRSET_HASH_LEN];
    const struct kbv_verdict *v;

    fixture_make(&f, rrsets[_i].records);
    f.p.pkix = rrsets[_i].pkix;
    v = judge_base(&f);
    ck_assert_msg(v->status == rrsets[_i].status, "%s", rrsets[_i].what);
    ck_assert_uint_eq(v->associations.len, rrsets[_i].associations);
    check_reason(v, rrsets[_i].reason);
    ck_assert_int_eq(kbv_tlsa_hash(&f.tlsa, hash), KBV_OK);
    ck_assert_mem_eq(v->rrset_hash, hash, sizeof(hash));
    ck_assert_uint_eq(v->alg, 13);
}
END_TEST

START_TEST(too_many_records_are_a_limit)
{
    static const uint8_t zeros[KBV_RRSET_HASH_LEN];
    struct fixture f;

    fixture_make(&f, A_311);
    for (unsigned i = 0; i < KBV_TLSA_MAX; i++) {
        char hex[8];

        snprintf(hex, sizeof(hex), "ff%02x", i);
        fixture_add(&f, hex);
    }
    ck_assert_int_eq(judge_base(&f)->status, KBV_STATUS_LIMIT);
    ck_assert_mem_eq(f.base.rrset_hash, zeros, sizeof(zeros));
    ck_assert_uint_eq(f.base.alg, 13);
    f.tlsa.n_rr--;
    ck_assert_int_eq(judge_base(&f)->status, KBV_STATUS_PUBLISHED);
}
END_TEST

START_TEST(too_many_octets_are_a_limit)
{
    struct fixture f;

    fixture_make(&f, A_311);
    kbv_judge_base(&f.e, &f.p, NOW, f.associations, 36, f.name_octets, &f.base);
    ck_assert_int_eq(f.base.status, KBV_STATUS_LIMIT);
    check_encodes(&f.base);
}
END_TEST

START_TEST(the_lowest_algorithm_counts)
{
    struct fixture f;

    fixture_make(&f, A_311);
    fixture_sign(&f, 8);
    ck_assert_uint_eq(judge_base(&f)->alg, 8);
    f.tlsa.n_sig = 0;
    ck_assert_uint_eq(judge_base(&f)->alg, 0);
}
END_TEST

START_TEST(a_verdict_says_whose_it_is)
{
    struct fixture f;
    const struct kbv_verdict *v;
    const char *const names[] = {"b.example.", "js.example.", "b.example."};
    struct octets_name expected[2] = {octets_from_name(names[0]), octets_from_name(names[1])};

    fixture_make(&f, A_311);
    f.found_at = octets_from_name("_443._tcp.b.example.");
    for (size_t i = 0; i < 3; i++) {
        f.names[i] = octets_from_name(names[i]);
        f.e.reference_names[i] = slice_of(&f.names[i]);
    }
    f.e.n_reference_names = 3;
    f.e.found_at = slice_of(&f.found_at);
    f.e.identifier_name = slice_of(&f.identifier_name);
    f.e.identifier = (struct kbv_id){KBV_ID_NETID, {0x00, 0x05, 0x0A}, 3};
    f.e.target = slice_of(&f.target);
    f.e.has_endpoint = true;
    f.e.order = 1;
    f.e.preference = 2;
    f.e.priority = 3;
    f.e.weight = 4;
    f.e.port = 443;
    f.e.flags = KBV_FLAG_ALIASED | KBV_FLAG_WILDCARD | KBV_FLAG_KEYED | KBV_FLAG_DATES | 0x80;
    v = judge_base(&f);
    ck_assert_int_eq(v->status, KBV_STATUS_PUBLISHED);
    ck_assert_uint_eq(v->flags, KBV_FLAG_ALIASED | KBV_FLAG_WILDCARD);
    ck_assert(v->owner.p == f.e.owner.p && v->found_at.p == f.found_at.wire);
    ck_assert(v->has_identifier && v->identifier.kind == KBV_ID_NETID);
    ck_assert(v->identifier_name.p == f.identifier_name.wire);
    ck_assert(v->has_endpoint && v->target.p == f.target.wire);
    ck_assert(v->order == 1 && v->preference == 2 && v->priority == 3 && v->weight == 4);
    ck_assert_uint_eq(v->port, 443);
    /* Each reference name once. */
    ck_assert_uint_eq(v->reference_names.len, expected[0].len + expected[1].len);
    ck_assert_mem_eq(v->reference_names.p, expected[0].wire, expected[0].len);
    ck_assert_mem_eq(v->reference_names.p + expected[0].len, expected[1].wire, expected[1].len);
    f.e.identifier = (struct kbv_id){KBV_ID_DEVEUI, {0x00, 0x04, 0xA3}, 8};
    ck_assert_int_eq(judge_base(&f)->identifier.kind, KBV_ID_DEVEUI);
    /* FOUND_AT tells news only. */
    f.e.found_at = f.e.owner;
    ck_assert_ptr_null(judge_base(&f)->found_at.p);
}
END_TEST

/* ---- lifetimes ---- */

static const struct {
    enum kbv_status status;
    uint32_t cap;
} caps[] = {
    {KBV_STATUS_NONE, 0},         {KBV_STATUS_BOUND, 3600},   {KBV_STATUS_NOT_BOUND, 300},
    {KBV_STATUS_NO_BINDING, 300}, {KBV_STATUS_UNUSABLE, 300}, {KBV_STATUS_UNDECIDED, 300},
    {KBV_STATUS_PUBLISHED, 3600}, {KBV_STATUS_INSECURE, 60},  {KBV_STATUS_INDETERMINATE, 60},
    {KBV_STATUS_BOGUS, 30},       {KBV_STATUS_STALE, 5},      {KBV_STATUS_DOWNGRADE, 60},
    {KBV_STATUS_TEMPFAIL, 5},     {KBV_STATUS_REFUSED, 0},    {KBV_STATUS_BAD_INPUT, 0},
    {KBV_STATUS_LIMIT, 5},
};

START_TEST(each_status_has_its_cap)
{
    struct kbv_policy p = policy;

    ck_assert_uint_eq(kbv_judge_cap(caps[_i].status, &p), caps[_i].cap);
    p.bogus_ttl = 86400; /* Unbound's may be longer than ours */
    if (caps[_i].status == KBV_STATUS_BOGUS)
        ck_assert_uint_eq(kbv_judge_cap(KBV_STATUS_BOGUS, &p), 60);
}
END_TEST

static const struct {
    const char *what;
    enum kbv_finding finding;
    const char *records;
    int64_t life_end; /* relative to NOW */
    enum kbv_status status;
    uint32_t life;
} lives[] = {
    {"a second is left", KBV_FOUND_TLSA, A_311, 1, KBV_STATUS_PUBLISHED, 1},
    {"as long as the cap", KBV_FOUND_TLSA, A_311, 3600, KBV_STATUS_PUBLISHED, 3600},
    {"longer than the cap", KBV_FOUND_TLSA, A_311, 3601, KBV_STATUS_PUBLISHED, 3600},
    {"very much longer", KBV_FOUND_TLSA, A_311, INT64_C(1) << 40, KBV_STATUS_PUBLISHED, 3600},
    {"ends now", KBV_FOUND_TLSA, A_311, 0, KBV_STATUS_STALE, 5},
    {"ended", KBV_FOUND_TLSA, A_311, -1, KBV_STATUS_STALE, 5},
    {"never set", KBV_FOUND_TLSA, A_311, -NOW, KBV_STATUS_STALE, 5},
    {"unusable, short", KBV_FOUND_TLSA, SHORT, 20, KBV_STATUS_UNUSABLE, 20},
    {"unusable, long", KBV_FOUND_TLSA, SHORT, 1000, KBV_STATUS_UNUSABLE, 300},
    {"unusable, ended", KBV_FOUND_TLSA, SHORT, 0, KBV_STATUS_STALE, 5},
    {"denied, short", KBV_FOUND_DENIAL, A_311, 20, KBV_STATUS_NO_BINDING, 20},
    {"denied, long", KBV_FOUND_DENIAL, A_311, 1000, KBV_STATUS_NO_BINDING, 300},
    {"denied, ended", KBV_FOUND_DENIAL, A_311, 0, KBV_STATUS_STALE, 5},
    {"a failure has its cap whatever was found", KBV_FOUND_FAILURE, A_311, 1, KBV_STATUS_TEMPFAIL,
     5},
    {"and after it ended", KBV_FOUND_LIMIT, A_311, -1, KBV_STATUS_LIMIT, 5},
};

static const struct {
    const char *what;
    int64_t life_end, signed_until; /* relative to NOW */
    enum kbv_status status;
    uint32_t life;
} in_progress[] = {
    {"TTL ran out while the rest was on its way", 0, 1000, KBV_STATUS_PUBLISHED, 1},
    {"some seconds ago", -4, 1000, KBV_STATUS_PUBLISHED, 1},
    {"a signature ends in the very second", -4, 1, KBV_STATUS_PUBLISHED, 1},
    {"a signature ended", 0, 0, KBV_STATUS_STALE, 5},
    {"a signature ended before", -1, -1, KBV_STATUS_STALE, 5},
    {"time is left", 20, 1000, KBV_STATUS_PUBLISHED, 20},
};

START_TEST(a_ttl_that_ends_during_discovery_serves_once)
{
    struct fixture f;
    const struct kbv_verdict *v;

    fixture_make(&f, A_311);
    f.e.life_end = NOW + in_progress[_i].life_end;
    f.e.signed_until = NOW + in_progress[_i].signed_until;
    v = judge_base(&f);
    ck_assert_msg(v->status == in_progress[_i].status, "%s: %s", in_progress[_i].what,
                  kbv_status_name(v->status));
    ck_assert_uint_eq(v->not_after - v->issued, in_progress[_i].life);
}
END_TEST

START_TEST(a_verdict_lives_no_longer_than_its_evidence)
{
    struct fixture f;
    const struct kbv_verdict *v;

    fixture_make(&f, lives[_i].records);
    f.e.finding = lives[_i].finding;
    f.e.life_end = NOW + lives[_i].life_end;
    v = judge_base(&f);
    ck_assert_msg(v->status == lives[_i].status, "%s: %s", lives[_i].what,
                  kbv_status_name(v->status));
    ck_assert_uint_eq(v->not_after - v->issued, lives[_i].life);
    ck_assert((v->associations.p != NULL) == (v->status == KBV_STATUS_PUBLISHED));
}
END_TEST

/* ---- the reason ---- */

#define TEN     "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static const struct {
    const char *text, *expected;
} reasons[] = {
    {"", ""},
    {"no TLSA at _443._tcp.js.example.", "no TLSA at _443._tcp.js.example."},
    {HUNDRED TEN TEN, HUNDRED TEN TEN},
    {HUNDRED TEN "012345678\xC3\xA9", HUNDRED TEN "012345678"}, /* é over the edge */
    {HUNDRED TEN "01234567\xC3\xA9", HUNDRED TEN "01234567\xC3\xA9"},
    {HUNDRED TEN "0123456\xF0\x9F\x94", HUNDRED TEN "0123456"}, /* cut by whoever wrote it */
    {"good \xFF bad", "good "},
    {"\x80", ""},
};

START_TEST(reasons_are_cut_between_characters)
{
    struct fixture f;

    fixture_make(&f, A_311);
    f.e.finding = KBV_FOUND_FAILURE;
    /* The longest text leaves no room for its NUL. */
    memcpy(f.e.reason, reasons[_i].text, strnlen(reasons[_i].text, sizeof(f.e.reason)));
    check_reason(judge_base(&f), reasons[_i].expected);
}
END_TEST

/* ---- keys ---- */

static const struct {
    const char *records;
    int kind;
    const char *digest;
    enum kbv_status status;
    uint8_t usage, selector, mtype;
    const char *reason;
} keys[] = {
    {A_311, SPKI, KEY_A, KBV_STATUS_BOUND, 3, 1, 1, ""},
    {A_301, CERT, KEY_A, KBV_STATUS_BOUND, 3, 0, 1, ""},
    {B_311 "," A_311, SPKI, KEY_A, KBV_STATUS_BOUND, 3, 1, 1, ""},           /* roll-over */
    {A_301 "," A_311, SPKI, KEY_A, KBV_STATUS_BOUND, 3, 1, 1, ""},           /* past an undecided */
    {A_201 "," A_001 "," A_311, SPKI, KEY_A, KBV_STATUS_BOUND, 3, 1, 1, ""}, /* and past others */
    {SHORT "," A_311, SPKI, KEY_A, KBV_STATUS_BOUND, 3, 1, 1, ""},
    {"030100" CERTIFICATE_SPKI, SPKI, KEY_A, KBV_STATUS_NOT_BOUND, 255, 255, 255,
     "no usable TLSA record matches"},

    {B_311, SPKI, KEY_A, KBV_STATUS_NOT_BOUND, 255, 255, 255, "no usable TLSA record matches"},
    {SHORT "," B_311, SPKI, KEY_A, KBV_STATUS_NOT_BOUND, 255, 255, 255,
     "no usable TLSA record matches"},
    {B_311, CERT, KEY_B, KBV_STATUS_UNDECIDED, 255, 255, 255,
     "SHA-256(certificate) does not decide 3 1 1: the key is needed"},
    {A_301, SPKI, KEY_A, KBV_STATUS_UNDECIDED, 255, 255, 255,
     "SHA-256(SPKI) does not decide 3 0 1: the certificate is needed"},
    {A_201, SPKI, KEY_A, KBV_STATUS_UNDECIDED, 255, 255, 255,
     "SHA-256(SPKI) does not decide 2 0 1: the chain is needed"},
    {A_201, CERT, KEY_A, KBV_STATUS_UNDECIDED, 255, 255, 255,
     "SHA-256(certificate) does not decide 2 0 1: the chain is needed"},
    {B_312, SPKI, KEY_B, KBV_STATUS_UNDECIDED, 255, 255, 255,
     "SHA-256(SPKI) does not decide 3 1 2: the key is needed"},
    {B_311 "," A_201, SPKI, KEY_A, KBV_STATUS_UNDECIDED, 255, 255, 255,
     "SHA-256(SPKI) does not decide 2 0 1: the chain is needed"},
    {A_111, SPKI, KEY_A, KBV_STATUS_UNDECIDED, 255, 255, 255,
     "SHA-256(SPKI) does not decide 1 1 1: the chain is needed"},
    {A_111, SPKI, KEY_B, KBV_STATUS_NOT_BOUND, 255, 255, 255, "no usable TLSA record matches"},
    {A_001, SPKI, KEY_A, KBV_STATUS_UNDECIDED, 255, 255, 255,
     "SHA-256(SPKI) does not decide 0 0 1: the chain is needed"},
};

START_TEST(a_key_is_bound_or_not_or_undecided)
{
    struct kbv_subject subject = subject_of(keys[_i].kind, keys[_i].digest);
    const struct kbv_verdict *v;
    struct fixture f;

    fixture_make(&f, keys[_i].records);
    f.p.pkix = true;
    judge_base(&f);
    v = judge_keyed_at(&f, &subject, NOW);
    ck_assert_msg(v->status == keys[_i].status, "row %d: %s", _i, kbv_status_name(v->status));
    ck_assert(v->match.usage == keys[_i].usage && v->match.selector == keys[_i].selector &&
              v->match.mtype == keys[_i].mtype);
    ck_assert(v->flags & KBV_FLAG_KEYED);
    ck_assert_int_eq(v->subject.kind, subject.kind);
    ck_assert_mem_eq(v->subject.digest, subject.digest, KBV_DIGEST_LEN);
    ck_assert_uint_eq(v->ede, kbv_status_ede(v->status));
    ck_assert_mem_eq(v->rrset_hash, f.base.rrset_hash, KBV_RRSET_HASH_LEN);
    ck_assert_uint_eq(v->alg, 13);
    check_reason(v, keys[_i].reason);
}
END_TEST

/* Of two records that match, the one that sorts first. */
START_TEST(the_first_match_is_named)
{
    uint8_t spki[64], digest[KBV_DIGEST_LEN];
    struct kbv_subject subject = {.kind = KBV_SUBJECT_SPKI};
    char records[512];
    struct fixture f;
    size_t n;

    SHA256(spki, octets_from_hex(CERTIFICATE_SPKI, spki, sizeof(spki)), digest);
    memcpy(subject.digest, digest, sizeof(digest));
    n = (size_t)snprintf(records, sizeof(records), "030101");
    for (size_t i = 0; i < sizeof(digest); i++)
        n += (size_t)snprintf(records + n, sizeof(records) - n, "%02x", digest[i]);
    snprintf(records + n, sizeof(records) - n, ",030100" CERTIFICATE_SPKI "," A_201);
    fixture_make(&f, records);
    judge_base(&f);
    judge_keyed_at(&f, &subject, NOW);
    ck_assert_int_eq(f.keyed.status, KBV_STATUS_BOUND);
    ck_assert(f.keyed.match.usage == 3 && f.keyed.match.selector == 1 && f.keyed.match.mtype == 0);
}
END_TEST

/* Every other status is repeated, with the key. */
START_TEST(what_is_not_published_is_repeated)
{
    struct kbv_subject subject = subject_of(SPKI, KEY_A);
    const struct kbv_verdict *v;
    struct fixture f;

    fixture_make(&f, SHORT);
    f.e.finding = findings[_i].finding;
    f.e.security = findings[_i].security;
    f.e.refusal = findings[_i].refusal;
    f.e.ede = findings[_i].ede;
    f.e.flags = KBV_FLAG_WILDCARD;
    strcpy(f.e.reason, "because");
    f.p.require_secure = findings[_i].require_secure;
    judge_base(&f);
    v = judge_keyed_at(&f, &subject, NOW);
    ck_assert_msg(v->status == f.base.status, "%s", findings[_i].what);
    ck_assert_uint_eq(v->ede, f.base.ede);
    ck_assert_uint_eq(v->not_after, f.base.not_after);
    ck_assert_uint_eq(v->match.usage, 255);
    ck_assert(v->reason.p == f.base.reason.p && v->reason.len == f.base.reason.len);
    if (v->status == KBV_STATUS_BAD_INPUT) {
        ck_assert_uint_eq(v->flags, KBV_FLAG_WILDCARD);
        ck_assert_int_eq(v->subject.kind, KBV_SUBJECT_NONE);
    } else {
        ck_assert_uint_eq(v->flags, KBV_FLAG_WILDCARD | KBV_FLAG_KEYED);
        ck_assert_int_eq(v->subject.kind, KBV_SUBJECT_SPKI);
    }
}
END_TEST

START_TEST(nothing_presented_is_bad_input)
{
    struct kbv_subject subject = {.kind = (enum kbv_subject_kind)_i};
    struct fixture f;

    SHA256((const uint8_t *)"", 0, subject.digest);
    fixture_make(&f, "030101 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    ck_assert_int_eq(judge_base(&f)->status, KBV_STATUS_PUBLISHED);
    ck_assert_int_eq(judge_keyed_at(&f, &subject, NOW)->status, KBV_STATUS_BAD_INPUT);
    ck_assert_int_eq(f.keyed.subject.kind, KBV_SUBJECT_NONE);
    ck_assert_uint_eq(f.keyed.flags, 0);
    ck_assert_uint_eq(f.keyed.not_after, f.keyed.issued);
}
END_TEST

/* One client's keyed verdict is never the ground of another's. */
enum {
    KEYED_FLAG,
    KEYED_SUBJECT,
    STATUS_BOUND,
    STATUS_NOT_BOUND,
    STATUS_UNDECIDED,
    STATUS_NONE,
    STATUS_UNKNOWN,
    NO_ASSOCIATIONS,
    EMPTY_ASSOCIATIONS,
    CUT_ASSOCIATIONS,
    BAD_BASES
};

START_TEST(verdicts_are_derived_from_unkeyed_ones_alone)
{
    struct kbv_subject subject = subject_of(SPKI, KEY_A);
    struct fixture f;

    fixture_make(&f, A_311 "," B_311);
    judge_base(&f);
    switch (_i) {
    case KEYED_FLAG:
        f.base.flags |= KBV_FLAG_KEYED;
        break;
    case KEYED_SUBJECT:
        f.base.subject = subject;
        break;
    case STATUS_BOUND:
        f.base.status = KBV_STATUS_BOUND;
        break;
    case STATUS_NOT_BOUND:
        f.base.status = KBV_STATUS_NOT_BOUND;
        break;
    case STATUS_UNDECIDED:
        f.base.status = KBV_STATUS_UNDECIDED;
        break;
    case STATUS_NONE:
        f.base.status = KBV_STATUS_NONE;
        break;
    case STATUS_UNKNOWN:
        f.base.status = (enum kbv_status)7;
        break;
    case NO_ASSOCIATIONS:
        f.base.associations = (struct kbv_slice){NULL, 0};
        break;
    case EMPTY_ASSOCIATIONS:
        f.base.associations.len = 0;
        break;
    case CUT_ASSOCIATIONS: /* behind the record that matches */
        f.base.associations.len--;
        break;
    }
    ck_assert_int_eq(judge_keyed_at(&f, &subject, NOW)->status, KBV_STATUS_TEMPFAIL);
    ck_assert_uint_eq(f.keyed.match.usage, 255);
    ck_assert_uint_eq(f.keyed.not_after - f.keyed.issued, 5);
}
END_TEST

/* A verdict that was signed, or answered a nonce, gives neither to its children. */
START_TEST(signature_and_nonce_are_not_inherited)
{
    static const uint8_t octets[64];
    struct kbv_subject subject = subject_of(SPKI, KEY_A);
    struct fixture f;

    fixture_make(&f, A_311);
    judge_base(&f);
    f.base.auth = 1;
    f.base.signature = (struct kbv_slice){octets, 64};
    f.base.signed_octets = (struct kbv_slice){octets, 10};
    f.base.nonce = (struct kbv_slice){octets, 8};
    f.base.extensions = (struct kbv_slice){octets, 4};
    judge_keyed_at(&f, &subject, NOW);
    ck_assert_int_eq(f.keyed.status, KBV_STATUS_BOUND);
    ck_assert_uint_eq(f.keyed.auth, 0);
    ck_assert(f.keyed.signature.p == NULL && f.keyed.signed_octets.p == NULL);
    ck_assert(f.keyed.nonce.p == NULL && f.keyed.extensions.p == NULL);
}
END_TEST

/* ---- time goes on between the verdict for a name and the one for a key ---- */

static const struct {
    const char *what, *records;
    int64_t life_end; /* of the base, relative to NOW */
    int64_t later;    /* when the key comes */
    enum kbv_status status;
    uint32_t life;
} derived[] = {
    {"at once", A_311, 1000, 0, KBV_STATUS_BOUND, 1000},
    {"later", A_311, 1000, 900, KBV_STATUS_BOUND, 100},
    {"in its last second", A_311, 1000, 1000, KBV_STATUS_BOUND, 0},
    {"past it", A_311, 1000, 1001, KBV_STATUS_STALE, 5},
    {"long past it", A_311, 1000, 100000, KBV_STATUS_STALE, 5},
    {"a negative one has its own cap", B_311, 3000, 0, KBV_STATUS_NOT_BOUND, 300},
    {"but no more than the base", B_311, 3000, 2900, KBV_STATUS_NOT_BOUND, 100},
    {"undecided has it too", A_201, 3000, 10, KBV_STATUS_UNDECIDED, 300},
    {"no usable record, later", SHORT, 1000, 299, KBV_STATUS_UNUSABLE, 1},
    {"no usable record, past it", SHORT, 1000, 301, KBV_STATUS_STALE, 5},
};

START_TEST(a_derived_verdict_never_outlives_its_base)
{
    struct kbv_subject subject = subject_of(SPKI, KEY_A);
    struct fixture f;

    for (int wrap = 0; wrap < 2; wrap++) {
        /* Once more where the verdict's 32 bits end. */
        int64_t now = wrap ? INT64_C(0x100000000) - 100 : NOW;

        fixture_make(&f, derived[_i].records);
        f.e.life_end = now + derived[_i].life_end;
        judge_base_at(&f, now);
        judge_keyed_at(&f, &subject, now + derived[_i].later);
        ck_assert_msg(f.keyed.status == derived[_i].status, "%s: %s", derived[_i].what,
                      kbv_status_name(f.keyed.status));
        ck_assert_uint_eq(f.keyed.not_after - f.keyed.issued, derived[_i].life);
    }
}
END_TEST

/* 32-35 are no findings that could grow old: a second later they are what they were. */
START_TEST(failures_do_not_turn_stale)
{
    struct kbv_subject subject = subject_of(SPKI, KEY_A);
    struct fixture f;

    fixture_make(&f, A_311);
    f.e.finding = KBV_FOUND_REFUSAL;
    f.e.refusal = KBV_STATUS_REFUSED;
    judge_base(&f);
    ck_assert_int_eq(judge_keyed_at(&f, &subject, NOW + 1)->status, KBV_STATUS_REFUSED);
    ck_assert_uint_eq(f.keyed.not_after, f.keyed.issued);
    f.e.finding = KBV_FOUND_FAILURE;
    judge_base(&f);
    ck_assert_int_eq(judge_keyed_at(&f, &subject, NOW + 6)->status, KBV_STATUS_TEMPFAIL);
    ck_assert_uint_eq(f.keyed.not_after - f.keyed.issued, 5);
    f.e.finding = KBV_FOUND_UNPROVEN;
    f.e.security = KBV_SEC_INSECURE;
    judge_base(&f);
    ck_assert_int_eq(judge_keyed_at(&f, &subject, NOW + 61)->status, KBV_STATUS_STALE);
}
END_TEST

/* ---- any evidence ---- */

static uint32_t random_state;

static uint32_t random_below(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % n;
}

static const struct {
    const char *rdata;
    int usable, usable_with_pkix, binds_a; /* binds_a: the key of SHA-256(SPKI) KEY_A */
} pool[] = {
    {A_311, 1, 1, 1},          {B_311, 1, 1, 0},          {B_312, 1, 1, 0}, {A_301, 1, 1, 0},
    {A_201, 1, 1, 0},          {A_001, 0, 1, 0},          {A_111, 0, 1, 0}, {SHORT, 0, 0, 0},
    {"040101" KEY_A, 0, 0, 0}, {"030100" KEY_A, 0, 0, 0}, {"", 0, 0, 0},
};

/* Random evidence around what would be believed; what of it could be believed, told apart here. */
static void random_evidence(struct fixture *f, bool *believable, bool *binds)
{
    bool usable = false;

    fixture_make(f, "");
    *binds = false;
    f->p.pkix = random_below(2);
    f->p.require_secure = random_below(2);
    f->p.max_ttl = random_below(3) ? 3600 : random_below(5);
    for (uint32_t n = random_below(4); n > 0; n--) {
        uint32_t i = random_below(ROWS(pool));

        fixture_add(f, pool[i].rdata);
        usable |= f->p.pkix ? pool[i].usable_with_pkix : pool[i].usable;
        *binds |= pool[i].binds_a;
    }
    if (random_below(20) == 0) {
        while (f->tlsa.n_rr <= KBV_TLSA_MAX)
            fixture_add(f, A_311);
    }
    if (random_below(3) == 0)
        f->e.finding = random_below(9);
    f->e.security = random_below(5);
    f->e.refusal = random_below(40);
    if (random_below(4) == 0)
        f->tlsa.security = random_below(5);
    f->e.ede = random_below(2) ? KBV_EDE_NONE : (uint16_t)random_below(40);
    f->e.flags = (uint8_t)random_below(256);
    f->e.life_end = NOW + (int64_t)random_below(4000) - 400;
    if (random_below(10) == 0)
        f->e.tlsa = NULL;
    if (random_below(10) == 0)
        f->e.owner.p = NULL;
    *believable = f->e.finding == KBV_FOUND_TLSA && f->e.tlsa != NULL && f->e.owner.p != NULL &&
                  f->tlsa.security == KBV_SEC_SECURE && f->tlsa.n_rr <= KBV_TLSA_MAX && usable &&
                  f->e.life_end > NOW;
}

START_TEST(only_secure_living_usable_records_are_believed)
{
    struct kbv_subject subject = subject_of(SPKI, KEY_A);
    unsigned published = 0, bound = 0;
    struct fixture f;

    random_state = 20261122;
    for (int i = 0; i < 30000; i++) {
        int64_t later = NOW + (int64_t)random_below(4000);
        bool believable, binds;

        random_evidence(&f, &believable, &binds);
        judge_base(&f);
        ck_assert_int_ne(f.base.status, KBV_STATUS_BOUND);
        ck_assert_msg((f.base.status == KBV_STATUS_PUBLISHED) == believable, "round %d: %s", i,
                      kbv_status_name(f.base.status));
        if (f.base.status < KBV_STATUS_INSECURE)
            ck_assert_int_le((int64_t)f.base.not_after, f.e.life_end);
        judge_keyed_at(&f, &subject, later);
        ck_assert_int_ne(f.keyed.status, KBV_STATUS_PUBLISHED);
        ck_assert_msg((f.keyed.status == KBV_STATUS_BOUND) ==
                          (believable && binds && later <= f.base.not_after),
                      "round %d: %s", i, kbv_status_name(f.keyed.status));
        if (f.keyed.status == KBV_STATUS_BOUND)
            ck_assert_uint_le(f.keyed.not_after, f.base.not_after);
        published += f.base.status == KBV_STATUS_PUBLISHED;
        bound += f.keyed.status == KBV_STATUS_BOUND;
    }
    ck_assert_msg(published > 1000 && bound > 300, "%u published, %u bound: the test is too easy",
                  published, bound);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("judge");
    TCase *tcase = tcase_create("judge");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tcase);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, each_finding_has_its_status, 0, ROWS(findings));
    tcase_add_test(tcase, no_evidence_at_all_is_a_failure_of_the_root);
    tcase_add_loop_test(tcase, contradictory_evidence_fails, 0, MISTAKES);
    tcase_add_loop_test(tcase, records_count_only_when_secure_themselves, 0, ROWS(securities));
    tcase_add_loop_test(tcase, usable_records_are_published, 0, ROWS(rrsets));
    tcase_add_test(tcase, too_many_records_are_a_limit);
    tcase_add_test(tcase, too_many_octets_are_a_limit);
    tcase_add_test(tcase, the_lowest_algorithm_counts);
    tcase_add_test(tcase, a_verdict_says_whose_it_is);
    tcase_add_loop_test(tcase, each_status_has_its_cap, 0, ROWS(caps));
    tcase_add_loop_test(tcase, a_verdict_lives_no_longer_than_its_evidence, 0, ROWS(lives));
    tcase_add_loop_test(tcase, a_ttl_that_ends_during_discovery_serves_once, 0, ROWS(in_progress));
    tcase_add_loop_test(tcase, reasons_are_cut_between_characters, 0, ROWS(reasons));
    tcase_add_loop_test(tcase, a_key_is_bound_or_not_or_undecided, 0, ROWS(keys));
    tcase_add_test(tcase, the_first_match_is_named);
    tcase_add_loop_test(tcase, what_is_not_published_is_repeated, 0, ROWS(findings));
    tcase_add_loop_test(tcase, nothing_presented_is_bad_input, 0, KBV_SUBJECT_CERT + 2);
    tcase_add_loop_test(tcase, verdicts_are_derived_from_unkeyed_ones_alone, 0, BAD_BASES);
    tcase_add_test(tcase, signature_and_nonce_are_not_inherited);
    tcase_add_loop_test(tcase, a_derived_verdict_never_outlives_its_base, 0, ROWS(derived));
    tcase_add_test(tcase, failures_do_not_turn_stale);
    tcase_add_test(tcase, only_secure_living_usable_records_are_believed);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
