/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of what was found for chains, and the limit on looking: with the table and without it
 * every verdict is the same, at every time; nothing of one question serves another one; who is over
 * the limit is refused, and refused only what is dear.
 */
#include "module/core/judge.h"

#include <check.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>

#include "tests/unit/pki.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

static const uint8_t secret[32] = "the same in each run";
static struct kbv_cache *cache;
static X509 *ca, *ca_b, *ca_soon, *leaf, *leaf_b, *leaf_soon, *leaf_short, *client;
static struct kbv_dane *store_a, *store_b;

enum { SOON = 100, SHORT = 200 }; /* [s] after PKI_NOW */

static X509 *make(const char *subject, unsigned key, X509 *issuer, unsigned signer, const char *san,
                  int64_t from, int64_t to)
{
    return pki_make(&(struct pki_spec){
        .subject = subject,
        .key = pki_key("P-256", key),
        .issuer = issuer,
        .signer = pki_key("P-256", signer),
        .san = san,
        .ca = san == NULL,
        .from = from,
        .to = to,
    });
}

static void make_certificates(void)
{
    enum { LEAF = 1, A, B };
    const char *js = "DNS:js.example";

    ca = make("CA A", A, NULL, A, NULL, 0, 0);
    ca_soon = make("CA A", A, NULL, A, NULL, SOON, PKI_DAY);
    ca_b = make("CA B", B, NULL, B, NULL, 0, 0);
    leaf = make(NULL, LEAF, ca, A, js, 0, 0);
    leaf_b = make(NULL, LEAF, ca_b, B, js, 0, 0);
    leaf_soon = make(NULL, LEAF, ca, A, js, SOON, PKI_DAY);
    leaf_short = make(NULL, LEAF, ca, A, js, -PKI_DAY, SHORT);
    client = make(NULL, LEAF, ca, A, "DNS:_ns-client.ns.example, DNS:js.example", 0, 0);
    store_a = pki_dane(&ca, 1);
    store_b = pki_dane(&ca_b, 1);
}

static void free_certificates(void)
{
    X509 *all[] = {ca, ca_b, ca_soon, leaf, leaf_b, leaf_soon, leaf_short, client};

    for (int i = 0; i < ROWS(all); i++)
        X509_free(all[i]);
    kbv_dane_delete(store_a);
    kbv_dane_delete(store_b);
}

static void make_cache(void)
{
    cache = kbv_cache_create(65536, kbv_judge_kept_len, secret);
    ck_assert_ptr_nonnull(cache);
}

static void free_cache(void)
{
    kbv_cache_delete(cache);
    cache = NULL;
}

/* A question with one record of usage 2 for ca, and a chain that it accepts. */
static void ask_usual(struct pki_trial *t)
{
    pki_trial_add(t, 2, 0, 1, ca);
    pki_trial_send(t, leaf);
    pki_trial_send(t, ca);
}

static void judge_and_clear(struct pki_trial *t)
{
    pki_trial_judge(t);
    pki_trial_clear(t);
}

/* Judges the usual question; true if the table answered. */
static bool usual_is_kept(int64_t later)
{
    struct pki_trial t = {.cache = cache, .later = later};

    ask_usual(&t);
    judge_and_clear(&t);
    ck_assert_int_eq(t.v.status, KBV_STATUS_BOUND);
    return t.verifications == 0;
}

/* ---- the table changes nothing ---- */

static void same_verdict(const struct pki_trial *a, const struct pki_trial *b)
{
    static uint8_t octets[2][KBV_VERDICT_MAX];
    size_t len[2];

    ck_assert_int_eq(kbv_verdict_encode(&a->v, octets[0], sizeof(octets[0]), &len[0]), KBV_OK);
    ck_assert_int_eq(kbv_verdict_encode(&b->v, octets[1], sizeof(octets[1]), &len[1]), KBV_OK);
    ck_assert_uint_eq(len[0], len[1]);
    ck_assert_mem_eq(octets[0], octets[1], len[0]);
    ck_assert_int_eq(a->depth, b->depth);
}

/* What may stand in a question, by letter: lest a table of names be longer than the test. */
static X509 *by_letter(char letter)
{
    switch (letter) {
    case 'a':
        return ca;
    case 'b':
        return ca_b;
    case 's':
        return ca_soon;
    case 'L':
        return leaf;
    case 'B':
        return leaf_b;
    case 'S':
        return leaf_soon;
    case 'H':
        return leaf_short;
    default:
        return client;
    }
}

/* Records as "2 0 1 a", chains as letters. */
static const struct {
    const char *records, *chain;
    bool pkix;
    int material;
} questions[] = {
    {"201a", "La"},
    {"201a", "Lb"},
    {"200a", "L"},
    {"200s", "L"}, /* an anchor that is not yet valid */
    {"201s", "Ls"},
    {"210a", "L"},
    {"201a", "Sa"},
    {"201a", "Ha"},
    {"201a211b", "Ba"},
    {"201a211b", "Bb"},
    {"200b200s200a", "L"},
    {"200s200b", "L"},
    {"211a", "Lsa"},
    {"201b202b", "Bb"},
    {"311b201a", "La"},
    {"001a", "L", .pkix = true},
    {"111L", "L", .pkix = true},
    {"111H", "H", .pkix = true},
    {"000s", "L", .pkix = true},
    {"200a", "L", .material = KBV_MATERIAL_CERT},
    {"201a", "L", .material = KBV_MATERIAL_CERT},
    {"210b", "L", .material = KBV_MATERIAL_CERT},
};

static void fill(struct pki_trial *t, int i)
{
    for (const char *r = questions[i].records; *r != '\0'; r += 4)
        pki_trial_add(t, (uint8_t)(r[0] - '0'), (uint8_t)(r[1] - '0'), (uint8_t)(r[2] - '0'),
                      by_letter(r[3]));
    for (const char *l = questions[i].chain; *l != '\0'; l++)
        pki_trial_send(t, by_letter(*l));
    t->material = (enum kbv_material)questions[i].material;
    t->pkix = questions[i].pkix;
    t->dane = questions[i].pkix ? store_a : NULL;
}

/* All questions at all times, in an order that gives the table every chance to be wrong. */
START_TEST(with_the_table_and_without_it_verdicts_are_the_same)
{
    static const int64_t times[] = {
        0,    1,         SOON - 1, SOON,  0,          SOON + 1, SHORT - 1,   SHORT,   299, 300,
        301,  SHORT + 1, 3599,     3600,  3601,       PKI_DAY,  PKI_DAY - 1, PKI_DAY, -1,  5,
        SOON, 5,         SOON - 1, SHORT, 10 * 86400, 0};
    unsigned kept = 0, verified = 0;

    for (int round = 0; round < 2; round++) {
        for (int at = 0; at < ROWS(times); at++) {
            for (int i = 0; i < ROWS(questions); i++) {
                struct pki_trial with = {.cache = cache, .later = times[at]};
                struct pki_trial without = {.later = times[at]};

                fill(&with, i);
                fill(&without, i);
                judge_and_clear(&with);
                judge_and_clear(&without);
                same_verdict(&with, &without);
                kept += with.verifications < without.verifications;
                verified += with.verifications;
            }
        }
    }
    ck_assert_uint_gt(kept, 200);
    ck_assert_uint_gt(verified, 100);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}
END_TEST

START_TEST(a_repeated_question_looks_for_no_path)
{
    struct pki_trial second = {.cache = cache, .later = 1};

    ck_assert(!usual_is_kept(0));
    ask_usual(&second);
    judge_and_clear(&second);
    ck_assert_uint_eq(second.verifications, 0);
    ck_assert_int_eq(second.v.status, KBV_STATUS_BOUND);
    ck_assert_int_eq(second.depth, 1);
    ck_assert_uint_eq(second.v.issued, PKI_NOW + 1);
    ck_assert(second.v.flags & KBV_FLAG_DATES);
    ck_assert_uint_eq(kbv_cache_counts(cache).hits, 1);
    ck_assert_uint_eq(kbv_cache_counts(cache).entries, 1);
}
END_TEST

/* ---- nothing outlives its time ---- */

START_TEST(nothing_is_kept_past_the_T_of_its_verdict)
{
    ck_assert(!usual_is_kept(0)); /* the records' TTL is an hour */
    ck_assert(usual_is_kept(3599));
    ck_assert(!usual_is_kept(3600));
}
END_TEST

/* chain, the seconds at which the outcome is kept, and not any more. */
static const struct {
    const char *records, *chain;
    int status, kept, gone;
} lives[] = {
    {"201a", "La", KBV_STATUS_BOUND, 3599, 3600},
    {"201a", "Ha", KBV_STATUS_BOUND, SHORT - 1, SHORT},
    {"201a", "Sa", KBV_STATUS_NOT_BOUND, SOON - 1, SOON},
    {"200s", "L", KBV_STATUS_NOT_BOUND, SOON - 1, SOON},
    {"200b", "L", KBV_STATUS_NOT_BOUND, 299, 300},
    /* An outcome that has nothing to do with the dates ends with them all the same. */
    {"200b", "Ls", KBV_STATUS_NOT_BOUND, SOON - 1, SOON},
    {"201b", "La", KBV_STATUS_NOT_BOUND, 299, 300},
};

START_TEST(an_outcome_is_kept_to_the_next_date_or_the_cap)
{
    static const int64_t never = -1;

    for (int64_t later = never; later <= 1; later++) {
        struct pki_trial t = {.cache = cache,
                              .later = later == never ? 0
                                       : later == 0   ? lives[_i].kept
                                                      : lives[_i].gone};
        uint64_t hits = kbv_cache_counts(cache).hits;

        for (const char *r = lives[_i].records; *r != '\0'; r += 4)
            pki_trial_add(&t, (uint8_t)(r[0] - '0'), (uint8_t)(r[1] - '0'), (uint8_t)(r[2] - '0'),
                          by_letter(r[3]));
        for (const char *l = lives[_i].chain; *l != '\0'; l++)
            pki_trial_send(&t, by_letter(*l));
        judge_and_clear(&t);
        ck_assert_msg(later > 0 || (int)t.v.status == lives[_i].status, "%s: %s", t.reason,
                      kbv_status_name(t.v.status));
        ck_assert_msg(kbv_cache_counts(cache).hits - hits == (later == 0), "at %d", (int)t.later);
    }
}
END_TEST

START_TEST(a_clock_that_was_put_back_gets_nothing_from_the_future)
{
    ck_assert(!usual_is_kept(0));
    ck_assert(!usual_is_kept(-1));
    ck_assert(usual_is_kept(-1));
}
END_TEST

/* ---- nothing serves another question ---- */

/* One thing differs from the usual question, which is in the table. */
enum {
    OWNER,
    NAMES,
    CLIENT,
    LEVEL,
    RECORD,
    RRSET,
    CHAIN,
    ORDER,
    END_ENTITY,
    MATERIAL,
    DIFFERENCES
};

static void ask_other(struct pki_trial *t, int difference)
{
    switch (difference) {
    case OWNER:
        t->owner = "_444._tcp.js.example.";
        break;
    case NAMES:
        t->names[0] = "js.example.";
        t->names[1] = "op-a.example.";
        break;
    case CLIENT: /* the same names, another role */
        t->owner = "js.example.";
        break;
    case LEVEL:
        t->level = 3;
        break;
    default:
        break;
    }
    pki_trial_add(t, 2, difference == RECORD, 1, ca);
    if (difference == RRSET)
        pki_trial_add(t, 3, 1, 1, ca_b);
    pki_trial_send(t, difference == END_ENTITY ? client : leaf);
    if (difference == ORDER)
        pki_trial_send(t, ca_b);
    pki_trial_send(t, ca);
    if (difference == CHAIN)
        pki_trial_send(t, ca_b);
    if (difference == MATERIAL) {
        pki_trial_clear(t);
        t->material = KBV_MATERIAL_CERT;
        pki_trial_add(t, 2, 0, 0, ca);
        pki_trial_send(t, leaf);
    }
}

START_TEST(another_question_is_another_entry)
{
    struct pki_trial t = {.cache = cache};

    ck_assert(!usual_is_kept(0));
    ask_other(&t, _i);
    judge_and_clear(&t);
    ck_assert_uint_eq(t.verifications, 1);
    ck_assert_uint_eq(kbv_cache_counts(cache).hits, 0);
    ck_assert_uint_eq(kbv_cache_counts(cache).entries, 2);
}
END_TEST

/* The other one's chain under the same name; A's CA in it helps nobody. */
START_TEST(another_chain_is_judged_for_itself)
{
    for (int i = 0; i < 2; i++) {
        struct pki_trial t = {.cache = cache};

        usual_is_kept(0);
        pki_trial_add(&t, 2, 0, 1, ca);
        pki_trial_send(&t, leaf_b);
        pki_trial_send(&t, ca_b);
        pki_trial_send(&t, ca);
        judge_and_clear(&t);
        ck_assert_int_eq(t.v.status, KBV_STATUS_NOT_BOUND);
    }
}
END_TEST

/* After a reload: the same chain and the same records under other CA certificates. */
START_TEST(another_bundle_is_another_entry)
{
    struct kbv_dane *stores[] = {store_a, store_b, store_a, store_b};
    static const int expected[] = {KBV_STATUS_BOUND, KBV_STATUS_NOT_BOUND, KBV_STATUS_BOUND,
                                   KBV_STATUS_NOT_BOUND};

    for (int i = 0; i < 4; i++) {
        struct pki_trial t = {.cache = cache, .dane = stores[i], .pkix = true};

        pki_trial_add(&t, 1, 1, 1, leaf);
        pki_trial_send(&t, leaf);
        judge_and_clear(&t);
        ck_assert_int_eq((int)t.v.status, expected[i]);
        ck_assert_uint_eq(t.verifications, i < 2);
    }
}
END_TEST

/* The first one of several clients who ask the same does the work; each has a verdict of its own.
 */
START_TEST(clients_with_the_same_chain_share_the_work)
{
    struct kbv_ratelimit *r = kbv_ratelimit_create(1, secret);

    for (uint8_t i = 0; i < 20; i++) {
        const uint8_t address[4] = {192, 0, 2, i};
        struct pki_trial t = {.cache = cache, .chains = r, .client = kbv_asker_at(address, 4)};

        ask_usual(&t);
        judge_and_clear(&t);
        ck_assert_int_eq(t.v.status, KBV_STATUS_BOUND);
    }
    ck_assert_uint_eq(kbv_ratelimit_counts(r).taken, 1);
    kbv_ratelimit_delete(r);
}
END_TEST

/* What is DER, but no certificate: a time that is none. */
START_TEST(malformed_certificates_are_not_kept)
{
    for (int i = 0; i < 2; i++) {
        struct pki_trial t = {.cache = cache};
        struct pki_octets *o = &t.chain[1];

        ask_usual(&t);
        for (size_t at = 0; at + 4 < o->len; at++)
            if (memcmp(o->p + at, "\x30\x1e\x17\x0d", 4) == 0)
                o->p[at + 2] = 0x16;
        judge_and_clear(&t);
        ck_assert_int_eq(t.read, KBV_OK);
        ck_assert_int_eq(t.v.status, KBV_STATUS_BAD_INPUT);
    }
    ck_assert_uint_eq(kbv_cache_counts(cache).entries, 0);
}
END_TEST

START_TEST(what_needs_no_path_is_not_kept)
{
    struct pki_trial t = {.cache = cache};

    pki_trial_add(&t, 3, 1, 1, leaf);
    pki_trial_add(&t, 2, 0, 1, ca);
    pki_trial_send(&t, leaf);
    pki_trial_send(&t, ca);
    judge_and_clear(&t);
    ck_assert_int_eq(t.v.status, KBV_STATUS_BOUND);
    ck_assert_uint_eq(kbv_cache_counts(cache).entries + kbv_cache_counts(cache).misses, 0);
}
END_TEST

/* ---- the limit ---- */

static const struct kbv_asker somebody = {{4, 192, 0, 2, 1}}, somebody_else = {{4, 192, 0, 2, 2}};

static enum kbv_status usual_limited(struct kbv_ratelimit *r, struct kbv_asker who, int64_t later)
{
    struct pki_trial t = {.chains = r, .client = who, .later = later};

    ask_usual(&t);
    judge_and_clear(&t);
    if (t.v.status == KBV_STATUS_REFUSED) {
        ck_assert_str_eq(t.reason, "too many chain verifications");
        ck_assert_uint_eq(t.verifications, 0);
        ck_assert_uint_eq(t.v.not_after, t.v.issued);
        ck_assert_uint_eq(t.v.ede, 18);
        ck_assert(t.v.flags & KBV_FLAG_KEYED && t.v.subject.kind == KBV_SUBJECT_CERT);
        ck_assert_int_eq(t.depth, -1);
    }
    return t.v.status;
}

START_TEST(a_client_over_its_limit_is_refused_and_no_other)
{
    struct kbv_ratelimit *r = kbv_ratelimit_create(3, secret);

    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(usual_limited(r, somebody, 0), KBV_STATUS_BOUND);
    ck_assert_int_eq(usual_limited(r, somebody, 0), KBV_STATUS_REFUSED);
    ck_assert_int_eq(usual_limited(r, somebody_else, 0), KBV_STATUS_BOUND);
    ck_assert_int_eq(usual_limited(r, somebody, 1), KBV_STATUS_BOUND);
    ck_assert_uint_eq(kbv_ratelimit_counts(r).taken, 5);
    ck_assert_uint_eq(kbv_ratelimit_counts(r).refused, 1);
    kbv_ratelimit_delete(r);
}
END_TEST

START_TEST(what_is_not_dear_is_never_refused)
{
    struct kbv_ratelimit *r = kbv_ratelimit_create(1, secret);
    struct pki_trial other = {.chains = r, .client = somebody, .cache = cache};
    struct pki_trial t = {.chains = r, .client = somebody, .cache = cache};

    usual_is_kept(0);
    while (usual_limited(r, somebody, 0) != KBV_STATUS_REFUSED)
        continue;
    /* From the table. */
    ask_usual(&t);
    judge_and_clear(&t);
    ck_assert_int_eq(t.v.status, KBV_STATUS_BOUND);
    /* Usage 3, with the chain. */
    pki_trial_add(&t, 3, 1, 1, leaf);
    pki_trial_add(&t, 2, 0, 1, ca_b);
    pki_trial_send(&t, leaf);
    pki_trial_send(&t, ca);
    judge_and_clear(&t);
    ck_assert_int_eq(t.v.status, KBV_STATUS_BOUND);
    pki_trial_add(&t, 3, 1, 1, ca);
    pki_trial_send(&t, leaf);
    judge_and_clear(&t);
    ck_assert_int_eq(t.v.status, KBV_STATUS_NOT_BOUND);
    /* A digest. */
    pki_trial_add(&other, 2, 0, 1, ca);
    pki_trial_send(&other, leaf);
    other.material = KBV_MATERIAL_CERT_SHA256;
    judge_and_clear(&other);
    ck_assert_int_eq(other.v.status, KBV_STATUS_UNDECIDED);
    ck_assert_uint_eq(kbv_ratelimit_counts(r).taken, 1);
    kbv_ratelimit_delete(r);
}
END_TEST

/* A refusal in the middle must not read as a decision. */
START_TEST(every_path_of_a_question_counts)
{
    unsigned needed = 0;

    for (uint32_t share = 0; share <= 5; share++) { /* 0: as many as it needs */
        struct kbv_ratelimit *r = kbv_ratelimit_create(share, secret);
        struct pki_trial t = {.chains = r, .client = somebody};

        pki_trial_add(&t, 2, 0, 0, ca_b);
        pki_trial_add(&t, 2, 0, 0, ca_soon);
        pki_trial_add(&t, 2, 1, 0, ca_b);
        pki_trial_add(&t, 2, 1, 0, ca);
        pki_trial_send(&t, leaf);
        judge_and_clear(&t);
        if (share == 0)
            needed = t.verifications;
        if (share == 0 || share >= needed) {
            ck_assert_int_eq(t.v.status, KBV_STATUS_BOUND);
            ck_assert_uint_eq(t.verifications, needed);
        } else {
            ck_assert_int_eq(t.v.status, KBV_STATUS_REFUSED);
            ck_assert_uint_eq(t.verifications, share);
        }
        ck_assert_uint_eq(kbv_ratelimit_counts(r).taken, t.verifications);
        ck_assert_uint_eq(kbv_ratelimit_counts(r).refused, t.v.status == KBV_STATUS_REFUSED);
        kbv_ratelimit_delete(r);
    }
    ck_assert_uint_ge(needed, 3);
}
END_TEST

/* Parsing eight certificates is dear too: a chain without any anchor counts, once. */
START_TEST(parsing_counts_as_one)
{
    struct kbv_ratelimit *r = kbv_ratelimit_create(2, secret);

    for (int i = 0; i < 3; i++) {
        struct pki_trial t = {.chains = r, .client = somebody};

        for (int j = 0; j < 20; j++) {
            const uint8_t digest[32] = {(uint8_t)j};

            pki_trial_add_octets(&t, 2, 1, 1, digest, sizeof(digest));
        }
        pki_trial_send(&t, leaf);
        pki_trial_send(&t, ca);
        judge_and_clear(&t);
        ck_assert_int_eq(t.v.status, i < 2 ? KBV_STATUS_NOT_BOUND : KBV_STATUS_REFUSED);
        ck_assert_uint_eq(t.verifications, 0);
    }
    ck_assert_uint_eq(kbv_ratelimit_counts(r).taken, 2);
    kbv_ratelimit_delete(r);
}
END_TEST

START_TEST(refusals_are_not_kept)
{
    struct kbv_ratelimit *r = kbv_ratelimit_create(1, secret);

    while (usual_limited(r, somebody, 0) != KBV_STATUS_REFUSED)
        continue;
    for (int i = 0; i < 2; i++) {
        struct pki_trial t = {.cache = cache, .chains = r, .client = somebody, .later = i};

        ask_usual(&t);
        judge_and_clear(&t);
        ck_assert_int_eq(t.v.status, i == 0 ? KBV_STATUS_REFUSED : KBV_STATUS_BOUND);
    }
    kbv_ratelimit_delete(r);
}
END_TEST

/* ---- what is too dear ---- */

static EVP_PKEY *rsa_with_exponent(unsigned e_bits)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;
    BIGNUM *e = BN_new();

    ck_assert(BN_set_bit(e, (int)e_bits - 1) && BN_set_bit(e, 0));
    ck_assert(EVP_PKEY_keygen_init(ctx) > 0 && EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048) > 0 &&
              EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e) > 0 && EVP_PKEY_generate(ctx, &key) > 0);
    BN_free(e);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static unsigned effort_of_key(EVP_PKEY *key)
{
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    unsigned effort = kbv_der_spki_effort((struct kbv_slice){der, (size_t)len});

    OPENSSL_free(der);
    return effort;
}

START_TEST(keys_cost_what_they_take)
{
    static const struct {
        const char *type;
        unsigned effort;
    } rows[] = {
        {"P-256", 1},
        {"P-384", 8},
        {"P-521", 7},
        {"ED25519", 2},
        {"ED448", 4},
        {"brainpoolP512r1", 13},
        {"RSA-2048", 1},
        {"RSA-3072", 4},
        {"sect571r1", KBV_EFFORT_UNKNOWN},
        {"SM2", KBV_EFFORT_UNKNOWN},
    };
    static const unsigned e_bits[] = {17, 32, 33, 1024};
    static const unsigned e_efforts[] = {1, 2, KBV_EFFORT_UNKNOWN, KBV_EFFORT_UNKNOWN};

    for (int i = 0; i < ROWS(rows); i++)
        ck_assert_msg(effort_of_key(pki_key(rows[i].type, 0)) == rows[i].effort, "%s",
                      rows[i].type);
    for (int i = 0; i < ROWS(e_bits); i++) {
        EVP_PKEY *key = rsa_with_exponent(e_bits[i]);

        ck_assert_uint_eq(effort_of_key(key), e_efforts[i]);
        EVP_PKEY_free(key);
    }
    ck_assert_uint_eq(kbv_der_spki_effort((struct kbv_slice){NULL, 0}), KBV_EFFORT_UNKNOWN);
}
END_TEST

/* A CA whose signatures take as long as it pleases to verify; the end entity's key verifies
 * nothing. */
START_TEST(a_key_that_takes_too_long_is_not_tried)
{
    EVP_PKEY *key = rsa_with_exponent(1024);
    struct pki_spec spec = {.subject = "CA R", .key = key, .signer = key, .ca = true};
    X509 *slow = pki_make(&spec), *below, *own;
    struct pki_trial t = {.level = -1}, beside = {.level = -1}, fine = {.level = -1};
    struct pki_trial among = {.level = -1};

    spec = (struct pki_spec){
        .key = pki_key("P-256", 1), .issuer = slow, .signer = key, .san = "DNS:js.example"};
    below = pki_make(&spec);
    spec = (struct pki_spec){
        .key = key, .issuer = ca, .signer = pki_key("P-256", 2), .san = "DNS:js.example"};
    own = pki_make(&spec);
    pki_trial_add(&t, 2, 0, 1, slow);
    pki_trial_send(&t, below);
    pki_trial_send(&t, slow);
    judge_and_clear(&t);
    ck_assert_int_eq(t.v.status, KBV_STATUS_LIMIT);
    ck_assert_str_eq(t.reason, "the chain would take too long to verify");
    ck_assert_uint_eq(t.verifications, 0);
    pki_trial_add(&beside, 2, 1, 0, slow); /* in the record alone */
    pki_trial_send(&beside, below);
    judge_and_clear(&beside);
    ck_assert_int_eq(beside.v.status, KBV_STATUS_LIMIT);
    ck_assert_uint_eq(beside.verifications, 0);
    pki_trial_add(&fine, 2, 0, 1, ca);
    pki_trial_send(&fine, own);
    pki_trial_send(&fine, ca);
    judge_and_clear(&fine);
    ck_assert_int_eq(fine.v.status, KBV_STATUS_BOUND);
    pki_trial_add(&among, 2, 1, 0, slow); /* and another record matches */
    pki_trial_add(&among, 2, 1, 1, ca);
    pki_trial_send(&among, own);
    pki_trial_send(&among, ca);
    judge_and_clear(&among);
    ck_assert_int_eq(among.v.status, KBV_STATUS_BOUND);
    X509_free(slow);
    X509_free(below);
    X509_free(own);
    EVP_PKEY_free(key);
}
END_TEST

/* A chain of certificates that are dear to verify, the end entity's signature wrong. Free each. */
static void make_dear_path(X509 *path[KBV_CHAIN_MAX])
{
    for (unsigned i = KBV_CHAIN_MAX; i-- > 0;) {
        const unsigned top = KBV_CHAIN_MAX - 1;
        char name[16];

        snprintf(name, sizeof(name), "CA %u", i);
        path[i] = pki_make(&(struct pki_spec){
            .subject = name,
            .key = pki_key("P-384", i),
            .issuer = i == top ? NULL : path[i + 1],
            .signer = pki_key("P-384", i == 0 || i == top ? i : i + 1),
            .san = i == 0 ? "DNS:js.example" : NULL,
            .ca = i != 0,
        });
    }
}

/* Every certificate an anchor: each path is verified in vain. */
static void ask_dear(struct pki_trial *t, X509 *const path[KBV_CHAIN_MAX])
{
    for (unsigned i = 1; i < KBV_CHAIN_MAX; i++) {
        pki_trial_add(t, 2, 0, 1, path[i]);
        pki_trial_add(t, 2, 1, 1, path[i]);
    }
    for (unsigned i = 0; i < KBV_CHAIN_MAX; i++)
        pki_trial_send(t, path[i]);
}

/* The table carries a question that is asked again to its end. */
START_TEST(paths_together_cost_so_much_and_no_more)
{
    X509 *path[KBV_CHAIN_MAX];
    unsigned before = 0, rounds = 0;
    enum kbv_status status;

    make_dear_path(path);
    do {
        struct pki_trial t = {.cache = cache};

        ask_dear(&t, path);
        judge_and_clear(&t);
        status = t.v.status;
        ck_assert_uint_le(t.verifications, 2); /* of 7 * 8 and one each, 128 may be spent */
        before += t.verifications;
        rounds++;
    } while (status == KBV_STATUS_LIMIT && rounds < 20);
    ck_assert_int_eq(status, KBV_STATUS_NOT_BOUND);
    ck_assert_uint_eq(before, 14);
    ck_assert_uint_ge(rounds, 7);
    for (unsigned i = 0; i < KBV_CHAIN_MAX; i++)
        X509_free(path[i]);
}
END_TEST

/* Who asks for the dearest there are gets fewer: each, looked at twice, is worth four, and the next
 * one is granted before it turns out too dear for the question. */
START_TEST(a_dear_path_counts_as_several)
{
    struct kbv_ratelimit *r = kbv_ratelimit_create(20, secret);
    X509 *path[KBV_CHAIN_MAX];
    unsigned verified = 0;
    enum kbv_status status;

    make_dear_path(path);
    do {
        struct pki_trial t = {.chains = r, .client = somebody};

        ask_dear(&t, path);
        judge_and_clear(&t);
        status = t.v.status;
        verified += t.verifications;
    } while (status == KBV_STATUS_LIMIT && verified <= 20);
    ck_assert_int_eq(status, KBV_STATUS_REFUSED);
    ck_assert_uint_eq(verified, 4);
    ck_assert_int_eq(usual_limited(r, somebody, 0), KBV_STATUS_REFUSED);
    ck_assert_int_eq(usual_limited(r, somebody_else, 0), KBV_STATUS_BOUND);
    ck_assert_uint_eq(kbv_ratelimit_counts(r).taken, 2 * verified + 1);
    for (unsigned i = 0; i < KBV_CHAIN_MAX; i++)
        X509_free(path[i]);
    kbv_ratelimit_delete(r);
}
END_TEST

/* Names times constraints. */
START_TEST(names_and_constraints_are_bounded)
{
    static const unsigned sizes[] = {20, 400};
    static const int expected[] = {KBV_STATUS_BOUND, KBV_STATUS_LIMIT};

    for (int s = 0; s < 2; s++) {
        static char san[16384], constraints[16384];
        size_t n_san = (size_t)snprintf(san, sizeof(san), "DNS:js.example"), n_constraints = 0;
        struct pki_trial t = {.dane = NULL};
        X509 *narrow, *below;

        for (unsigned i = 0; i < sizes[s]; i++) {
            n_san += (size_t)snprintf(san + n_san, sizeof(san) - n_san, ",DNS:a%u.x", i);
            n_constraints +=
                (size_t)snprintf(constraints + n_constraints, sizeof(constraints) - n_constraints,
                                 "%sexcluded;DNS:b%u.x", i == 0 ? "" : ",", i);
        }
        narrow = pki_make(&(struct pki_spec){.subject = "Narrow",
                                             .key = pki_key("P-256", 3),
                                             .issuer = ca,
                                             .signer = pki_key("P-256", 2),
                                             .constraints = constraints,
                                             .ca = true});
        below = pki_make(&(struct pki_spec){.key = pki_key("P-256", 1),
                                            .issuer = narrow,
                                            .signer = pki_key("P-256", 3),
                                            .san = san});
        pki_trial_add(&t, 2, 0, 1, ca);
        pki_trial_send(&t, below);
        pki_trial_send(&t, narrow);
        pki_trial_send(&t, ca);
        judge_and_clear(&t);
        ck_assert_msg((int)t.v.status == expected[s], "%s", t.reason);
        ck_assert_uint_eq(t.verifications, s == 0);
        X509_free(narrow);
        X509_free(below);
    }
}
END_TEST

/* Bare keys none of which signed anything. */
static void add_keys(struct pki_trial *t, const char *type, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint8_t *spki = NULL;
        int len = i2d_PUBKEY(pki_key(type, 10 + i), &spki);

        ck_assert_int_gt(len, 0);
        pki_trial_add_octets(t, 2, 1, 0, spki, (size_t)len);
        OPENSSL_free(spki);
    }
}

/* The last path that was looked for in vain may have taken more than was left: there is no other.
 */
START_TEST(what_was_overspent_is_not_left)
{
    struct pki_trial t = {.dane = NULL};

    add_keys(&t, "P-384", 12);
    pki_trial_send(&t, leaf);
    pki_trial_send(&t, ca);
    pki_trial_send(&t, ca_b);
    judge_and_clear(&t);
    ck_assert_msg(t.v.status == KBV_STATUS_LIMIT, "%s", t.reason);
    ck_assert_uint_eq(t.verifications, 6); /* of 2 * 11 each, 128 may be spent */
}
END_TEST

/* For each comparison OpenSSL reads all names of the end entity anew. Without the reference name
 * they are compared once, whatever the number of records; with it no path is free of that. */
START_TEST(comparing_names_is_bounded)
{
    static char san[16384];
    size_t len = 0;

    for (unsigned i = 0; i < 1000; i++)
        len += (size_t)snprintf(san + len, sizeof(san) - len, "DNS:a%u.other,", i);
    for (int named = 0; named < 2; named++) {
        struct pki_trial t = {.dane = NULL};
        X509 *big;

        snprintf(san + len, sizeof(san) - len, "DNS:%s", named ? "js.example" : "js.other");
        big = make(NULL, 1, ca, 2, san, 0, 0);
        add_keys(&t, "P-256", 40);
        pki_trial_send(&t, big);
        judge_and_clear(&t);
        ck_assert_msg(t.v.status == (named ? KBV_STATUS_LIMIT : KBV_STATUS_NOT_BOUND), "%s",
                      t.reason);
        ck_assert_uint_eq(t.verifications, named ? 4 : 0);
        X509_free(big);
    }
}
END_TEST

/* Of many endpoints that lead to one CA a chain can be for one: the others cost no path. */
START_TEST(another_name_costs_no_path)
{
    struct pki_trial t = {.owner = "_443._tcp.other.example."};

    ask_usual(&t);
    judge_and_clear(&t);
    ck_assert_int_eq(t.v.status, KBV_STATUS_NOT_BOUND);
    ck_assert_uint_eq(t.verifications, 0);
}
END_TEST

/* ---- threads ---- */

enum { THREADS = 8, ROUNDS = 300 };

/* A question without the test's own assertions, which are not for threads. */
struct shared {
    struct kbv_policy policy;
    struct kbv_verdict base;
    uint8_t chains[2][4096];
    size_t chain_lens[2];
    enum kbv_status expected[2];
};

static void *judge_all_the_time(void *arg)
{
    const struct shared *s = arg;

    for (int i = 0; i < ROUNDS; i++) {
        const int which = i % 2;
        struct kbv_presented presented;
        struct kbv_verdict v;

        if (kbv_presented_read(KBV_MATERIAL_CHAIN,
                               (struct kbv_slice){s->chains[which], s->chain_lens[which]},
                               &presented) != KBV_OK)
            return (void *)"the chain is malformed";
        kbv_judge_keyed(&s->base, &presented, &s->policy, PKI_NOW, &v);
        kbv_presented_clear(&presented);
        if (v.status != s->expected[which])
            return (void *)"another verdict";
        if (i % 50 == 49)
            kbv_cache_flush(s->policy.cache);
    }
    return NULL;
}

static void write_chain(struct shared *s, int which, X509 *first, X509 *second)
{
    for (int i = 0; i < 2; i++) {
        struct pki_octets der = pki_der(i == 0 ? first : second);
        uint8_t *out = s->chains[which] + s->chain_lens[which];

        out[0] = (uint8_t)(der.len >> 8);
        out[1] = (uint8_t)der.len;
        memcpy(out + 2, der.p, der.len);
        s->chain_lens[which] += 2 + der.len;
        pki_octets_free(&der);
    }
}

START_TEST(threads_share_table_and_limit)
{
    static struct shared s;
    struct kbv_ratelimit *r = kbv_ratelimit_create(1000000, secret);
    struct pki_trial t = {.dane = store_a};
    pthread_t threads[THREADS];
    void *complaint;

    ask_usual(&t);
    judge_and_clear(&t);
    s.policy = (struct kbv_policy){.max_ttl = 3600,
                                   .max_negative_ttl = 300,
                                   .security_level = 2,
                                   .dane = store_a,
                                   .cache = cache,
                                   .chains = r};
    s.base = t.base;
    write_chain(&s, 0, leaf, ca);
    write_chain(&s, 1, leaf_b, ca);
    s.expected[0] = KBV_STATUS_BOUND;
    s.expected[1] = KBV_STATUS_NOT_BOUND;
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, judge_all_the_time, &s), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &complaint);
        ck_assert_msg(complaint == NULL, "%s", (const char *)complaint);
    }
    ck_assert_uint_gt(kbv_cache_counts(cache).hits, THREADS * ROUNDS / 2);
    kbv_ratelimit_delete(r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("chains");
    TCase *tc = tcase_create("chains");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 300);
    tcase_add_unchecked_fixture(tc, make_certificates, free_certificates);
    tcase_add_checked_fixture(tc, make_cache, free_cache);
    tcase_add_test(tc, with_the_table_and_without_it_verdicts_are_the_same);
    tcase_add_test(tc, a_repeated_question_looks_for_no_path);
    tcase_add_test(tc, nothing_is_kept_past_the_T_of_its_verdict);
    tcase_add_loop_test(tc, an_outcome_is_kept_to_the_next_date_or_the_cap, 0, ROWS(lives));
    tcase_add_test(tc, a_clock_that_was_put_back_gets_nothing_from_the_future);
    tcase_add_loop_test(tc, another_question_is_another_entry, 0, DIFFERENCES);
    tcase_add_test(tc, another_chain_is_judged_for_itself);
    tcase_add_test(tc, another_bundle_is_another_entry);
    tcase_add_test(tc, clients_with_the_same_chain_share_the_work);
    tcase_add_test(tc, malformed_certificates_are_not_kept);
    tcase_add_test(tc, what_needs_no_path_is_not_kept);
    tcase_add_test(tc, a_client_over_its_limit_is_refused_and_no_other);
    tcase_add_test(tc, what_is_not_dear_is_never_refused);
    tcase_add_test(tc, every_path_of_a_question_counts);
    tcase_add_test(tc, parsing_counts_as_one);
    tcase_add_test(tc, refusals_are_not_kept);
    tcase_add_test(tc, keys_cost_what_they_take);
    tcase_add_test(tc, a_key_that_takes_too_long_is_not_tried);
    tcase_add_test(tc, paths_together_cost_so_much_and_no_more);
    tcase_add_test(tc, a_dear_path_counts_as_several);
    tcase_add_test(tc, names_and_constraints_are_bounded);
    tcase_add_test(tc, what_was_overspent_is_not_left);
    tcase_add_test(tc, comparing_names_is_bounded);
    tcase_add_test(tc, another_name_costs_no_path);
    tcase_add_test(tc, threads_share_table_and_limit);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
