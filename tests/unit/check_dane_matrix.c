/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Chains by records by roles by times, and what must come of each. The expectation is worked out
 * from who signed whom, on numbers: it knows nothing of DER, of OpenSSL, or of the judge.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/pki.h"

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

/* ---- certificates as numbers ---- */

enum { KEY_LEAF = 1, KEY_CA, KEY_INTER, KEY_B, KEY_FAKE };
enum { SERVER = 1, CLIENT = 2 };                              /* purposes */
enum { NAME_SERVER = 1, NAME_CLIENT = 2, NAME_WILDCARD = 4 }; /* names, none: another one */

struct certificate {
    const char *subject;
    int key;
    int issuer; /* index of whose name and key id it carries; -1: its own */
    int signer; /* key that signed it */
    bool ca;
    int purposes, names;
    int from, to; /* days from PKI_NOW */
};

enum { CA, INTER, B, FAKE, CA_OLD, INTER_OLD, INTER_NO_CA, N_ISSUERS };

static const struct certificate issuers[N_ISSUERS] = {
    [CA] = {"CA A", KEY_CA, -1, KEY_CA, true, 0, 0, -10, 100},
    [INTER] = {"Inter A", KEY_INTER, CA, KEY_CA, true, 0, 0, -10, 50},
    [B] = {"CA B", KEY_B, -1, KEY_B, true, 0, 0, -10, 100},
    [FAKE] = {"CA A", KEY_FAKE, -1, KEY_FAKE, true, 0, 0, -10, 100},
    [CA_OLD] = {"CA A", KEY_CA, -1, KEY_CA, true, 0, 0, -10, -1},
    [INTER_OLD] = {"Inter A", KEY_INTER, CA, KEY_CA, true, 0, 0, -10, -1},
    [INTER_NO_CA] = {"Inter A", KEY_INTER, CA, KEY_CA, false, 0, 0, -10, 50},
};

/* Kinds of end entities, each once per issuer. */
static const struct {
    int purposes, names, from, to;
} kinds[] = {
    {SERVER, NAME_SERVER, -10, 20},
    {CLIENT, NAME_CLIENT, -10, 20},
    {SERVER, NAME_CLIENT, -10, 20},
    {SERVER | CLIENT, NAME_SERVER | NAME_CLIENT, -10, 20},
    {SERVER, NAME_WILDCARD, -10, 20},
    {SERVER | CLIENT, 0, -10, 20},
    {SERVER | CLIENT, NAME_SERVER | NAME_CLIENT, -10, -1},
    {SERVER | CLIENT, NAME_SERVER | NAME_CLIENT, 1, 20},
};

enum { SELF = N_ISSUERS, FORGED, N_BY }; /* an end entity signed by itself; one that says INTER */
enum { N_KINDS = ROWS(kinds), N_CERTIFICATES = N_ISSUERS + N_BY * N_KINDS };

static struct certificate table[N_CERTIFICATES];
static X509 *made[N_CERTIFICATES];

static int leaf(int by, int kind)
{
    return N_ISSUERS + by * N_KINDS + kind;
}

static void start_table(void)
{
    memcpy(table, issuers, sizeof(issuers));
    for (int by = 0; by < N_BY; by++) {
        for (int kind = 0; kind < N_KINDS; kind++)
            table[leaf(by, kind)] = (struct certificate){
                "end entity",
                KEY_LEAF,
                by == SELF     ? -1
                : by == FORGED ? INTER
                               : by,
                by == SELF     ? KEY_LEAF
                : by == FORGED ? KEY_B
                               : issuers[by].key,
                by == SELF,
                kinds[kind].purposes,
                kinds[kind].names,
                kinds[kind].from,
                kinds[kind].to,
            };
    }
}

/* ---- and as octets ---- */

static X509 *octets_of(int i)
{
    const struct certificate *c = &table[i];
    char san[128] = "DNS:other.example";
    struct pki_spec spec = {
        .subject = c->subject,
        .key = pki_key("P-256", (unsigned)c->key),
        .issuer = c->issuer >= 0 ? octets_of(c->issuer) : NULL,
        .signer = pki_key("P-256", (unsigned)c->signer),
        .ca = c->ca,
        .key_ids = true,
        .from = c->from * PKI_DAY,
        .to = c->to * PKI_DAY,
    };

    if (made[i] != NULL)
        return made[i];
    if (c->names & NAME_SERVER)
        strcat(san, ",DNS:js.op.example");
    if (c->names & NAME_CLIENT)
        strcat(san, ",DNS:_ns-client.ns.example");
    if (c->names & NAME_WILDCARD)
        strcat(san, ",DNS:*.op.example,DNS:*.ns.example");
    if (i >= N_ISSUERS)
        spec.san = san;
    if (c->purposes != 0)
        spec.eku = c->purposes == SERVER   ? "serverAuth"
                   : c->purposes == CLIENT ? "clientAuth"
                                           : "serverAuth,clientAuth";
    return made[i] = pki_make(&spec);
}

/* ---- questions ---- */

struct record {
    int usage, selector, mtype, of; /* of: certificate */
    bool malformed;
};

struct question {
    struct record records[8];
    int n_records;
    int chain[KBV_CHAIN_MAX], n_chain;
    int role, day;
    enum kbv_material material;
    bool store; /* with CA in it */
};

struct expectation {
    enum kbv_status status;
    int usage, selector, mtype; /* with BOUND */
};

/* ---- what must come of them ---- */

static bool valid_on(int i, int day)
{
    return table[i].from <= day && day < table[i].to;
}

/* By name and key id; whether the signature is good is another question. */
static bool claims_issuer(int child, int parent)
{
    int issuer = table[child].issuer < 0 ? child : table[child].issuer;

    return strcmp(table[issuer].subject, table[parent].subject) == 0 &&
           table[issuer].key == table[parent].key;
}

static bool named(const struct record *r, int i)
{
    return r->selector == 0 ? r->of == i : table[r->of].key == table[i].key;
}

/* What the name and purpose of the end entity are good for. */
static bool fits_role(int i, int role)
{
    /* "*.op.example" is for js.op.example; no "*" is for a client. */
    int names = role == SERVER ? NAME_SERVER | NAME_WILDCARD : NAME_CLIENT;

    return (table[i].purposes & role) != 0 && (table[i].names & names) != 0;
}

/* The path up to entry end: CAs, dates, signatures. */
static bool path_holds(const int *path, int end, int day)
{
    for (int i = 0; i <= end; i++) {
        if (!valid_on(path[i], day) || (i > 0 && !table[path[i]].ca))
            return false;
        if (i < end && table[path[i]].signer != table[path[i + 1]].key)
            return false;
    }
    return true;
}

/* The one that issued child, among candidates: the first that is valid, else the first. */
static int find_issuer(int child, const int *candidates, int n, const bool *used, int day)
{
    int found = -1;

    for (int i = 0; i < n; i++) {
        if (used[candidates[i]] || !claims_issuer(child, candidates[i]))
            continue;
        if (valid_on(candidates[i], day))
            return candidates[i];
        if (found < 0)
            found = candidates[i];
    }
    return found;
}

static bool self_signed(int i)
{
    return table[i].issuer < 0;
}

/* What a path may be made of: what the peer sent, which is one certificate if it is said to be so,
 * and before that the anchor in the record. */
static int candidates_of(const struct question *q, const struct record *r,
                         int out[KBV_CHAIN_MAX + 1])
{
    int n = 0;

    if (r->mtype == 0 && r->selector == 0 && r->usage != 1)
        out[n++] = r->of;
    for (int i = 1; i < q->n_chain && q->material == KBV_MATERIAL_CHAIN; i++)
        out[n++] = q->chain[i];
    return n;
}

/* Usage 2: the path goes up until the record names one of it. */
static bool anchored(const struct question *q, const struct record *r)
{
    int candidates[KBV_CHAIN_MAX + 1], path[KBV_CHAIN_MAX + 2] = {q->chain[0]}, len = 1;
    int n = candidates_of(q, r, candidates);
    bool used[N_CERTIFICATES] = {[0] = false};
    bool signs;

    used[path[0]] = true;
    while (!self_signed(path[len - 1])) {
        int issuer = find_issuer(path[len - 1], candidates, n, used, q->day);

        if (issuer < 0)
            break;
        used[issuer] = true;
        path[len++] = issuer;
        if (named(r, issuer))
            return path_holds(path, len - 1, q->day) && fits_role(path[0], q->role);
    }
    /* A bare key may have signed the last one; the end entity's own is no anchor. */
    signs = r->mtype == 0 && r->selector == 1 && table[r->of].key != table[path[0]].key &&
            table[path[len - 1]].signer == table[r->of].key;
    return signs && path_holds(path, len - 1, q->day) && fits_role(path[0], q->role);
}

/* Usages 0 and 1: the path goes up to the store's CA; the record names its end, or one above. */
static bool trusted(const struct question *q, const struct record *r)
{
    int candidates[KBV_CHAIN_MAX + 1], path[KBV_CHAIN_MAX + 2] = {q->chain[0]}, len = 1;
    int n = candidates_of(q, r, candidates);
    bool used[N_CERTIFICATES] = {[0] = false};
    bool found = r->usage == 1 && named(r, path[0]);

    used[path[0]] = true;
    while (!claims_issuer(path[len - 1], CA)) {
        int issuer = self_signed(path[len - 1])
                         ? -1
                         : find_issuer(path[len - 1], candidates, n, used, q->day);

        if (issuer < 0)
            return false;
        used[issuer] = true;
        path[len++] = issuer;
    }
    path[len++] = CA;
    for (int i = 1; i < len; i++)
        found |= r->usage == 0 && named(r, path[i]);
    return found && path_holds(path, len - 1, q->day) && fits_role(path[0], q->role);
}

enum { NO, YES, OPEN };

static int decided_end_entity(const struct question *q, const struct record *r)
{
    const bool same_key = table[r->of].key == table[q->chain[0]].key;

    if (q->material == KBV_MATERIAL_SPKI && r->selector == 0)
        return r->mtype == 0 && !same_key ? NO : OPEN;
    return named(r, q->chain[0]) ? YES : NO;
}

static int decided(const struct question *q, const struct record *r)
{
    const int end_entity = decided_end_entity(q, r);

    if (r->usage == 3 || (r->usage == 1 && end_entity == NO))
        return end_entity;
    if (q->material == KBV_MATERIAL_CHAIN)
        return (r->usage == 2 ? anchored(q, r) : trusted(q, r)) ? YES : NO;
    if (q->material == KBV_MATERIAL_CERT && r->usage == 2 && r->mtype == 0 && anchored(q, r))
        return YES;
    return OPEN;
}

static bool usable(const struct question *q, const struct record *r)
{
    return !r->malformed && (r->usage >= 2 || q->store);
}

/* RFC 7671 section 9. */
static bool outdone(const struct question *q, const struct record *r)
{
    for (int i = 0; r->mtype == 1 && i < q->n_records; i++) {
        const struct record *o = &q->records[i];

        if (usable(q, o) && o->usage == r->usage && o->selector == r->selector && o->mtype == 2)
            return true;
    }
    return false;
}

/* Usage 3 first, then as RDATA sort. */
static int rank(const struct record *r)
{
    return (r->usage == 3 ? -1 : r->usage) * 100 + r->selector * 10 + r->mtype;
}

static struct expectation expect(const struct question *q)
{
    struct expectation e = {KBV_STATUS_UNUSABLE, 255, 255, 255};
    const struct record *match = NULL;
    bool open = false;

    for (int i = 0; i < q->n_records; i++) {
        const struct record *r = &q->records[i];
        int decision;

        if (!usable(q, r))
            continue;
        if (e.status == KBV_STATUS_UNUSABLE)
            e.status = KBV_STATUS_NOT_BOUND;
        if (outdone(q, r))
            continue;
        decision = decided(q, r);
        open |= decision == OPEN;
        if (decision == YES && (match == NULL || rank(r) < rank(match)))
            match = r;
    }
    if (match != NULL)
        return (struct expectation){KBV_STATUS_BOUND, match->usage, match->selector, match->mtype};
    if (open)
        e.status = KBV_STATUS_UNDECIDED;
    return e;
}

/* ---- asking ---- */

static struct kbv_dane *with_store;
static unsigned asked, seen[KBV_STATUS_LIMIT + 1];

static void ask(const struct question *q)
{
    const struct expectation e = expect(q);
    struct pki_trial t = {
        .owner = q->role == CLIENT ? "_ns-client.ns.example." : "_443._tcp.js.op.example.",
        .material = q->material,
        .later = q->day * PKI_DAY,
        .dane = q->store ? with_store : NULL,
        .pkix = q->store,
    };

    for (int i = 0; i < q->n_records; i++) {
        const struct record *r = &q->records[i];

        if (r->malformed)
            pki_trial_add_octets(&t, (uint8_t)r->usage, (uint8_t)r->selector, (uint8_t)r->mtype,
                                 (const uint8_t *)"thirty-one octets: no digest..", 31);
        else
            pki_trial_add(&t, (uint8_t)r->usage, (uint8_t)r->selector, (uint8_t)r->mtype,
                          octets_of(r->of));
    }
    for (int i = 0; i < q->n_chain; i++)
        pki_trial_send(&t, octets_of(q->chain[i]));
    pki_trial_judge(&t);
    pki_trial_clear(&t);
    asked++;
    seen[t.v.status]++;
    if (t.v.status == e.status && t.v.match.usage == e.usage && t.v.match.selector == e.selector &&
        t.v.match.mtype == e.mtype)
        return;
    printf("# records:");
    for (int i = 0; i < q->n_records; i++)
        printf(" %d %d %d of %d%s,", q->records[i].usage, q->records[i].selector,
               q->records[i].mtype, q->records[i].of, q->records[i].malformed ? "!" : "");
    printf(" chain:");
    for (int i = 0; i < q->n_chain; i++)
        printf(" %d", q->chain[i]);
    printf("; role %d, day %d, material %d, store %d\n", q->role, q->day, (int)q->material,
           q->store);
    ck_abort_msg("%s %u %u %u (%s), not %s %d %d %d", kbv_status_name(t.v.status), t.v.match.usage,
                 t.v.match.selector, t.v.match.mtype, t.reason, kbv_status_name(e.status), e.usage,
                 e.selector, e.mtype);
}

/* Chains by who signed the end entity, and what is sent behind it. */
static const struct {
    int by, behind[4]; /* -1 ends it; SELF: the end entity once more */
} shapes[] = {
    {INTER, {INTER, CA, -1}},
    {INTER, {CA, INTER, -1}},
    {INTER, {INTER, -1}},
    {INTER, {-1}},
    {INTER, {B, INTER, CA, -1}},
    {INTER, {CA, -1}},
    {INTER, {INTER_OLD, CA, -1}},
    {INTER, {INTER_NO_CA, CA, -1}},
    {INTER, {INTER, FAKE, -1}},
    {INTER, {INTER, FAKE, CA, -1}},
    {CA, {CA, -1}},
    {CA, {-1}},
    {CA, {CA_OLD, -1}},
    {CA, {FAKE, CA, -1}},
    {B, {B, -1}},
    {B, {B, CA, -1}},
    {B, {CA, B, -1}},
    {B, {CA, INTER, -1}},
    {FAKE, {FAKE, CA, -1}},
    {FAKE, {CA, FAKE, -1}},
    {FAKE, {CA, -1}},
    {FORGED, {INTER, CA, -1}},
    {FORGED, {-1}},
    {SELF, {-1}},
    {SELF, {SELF, -1}},
    {SELF, {CA, -1}},
    {CA_OLD, {CA_OLD, -1}},
};

static void set_chain(struct question *q, int shape, int kind)
{
    q->chain[0] = leaf(shapes[shape].by, kind);
    q->n_chain = 1;
    for (int i = 0; i < 4 && shapes[shape].behind[i] >= 0; i++)
        q->chain[q->n_chain++] =
            shapes[shape].behind[i] == SELF ? q->chain[0] : shapes[shape].behind[i];
}

/* Certificates that records are of: those behind, the end entity, and nobody's. */
static int target(const struct question *q, int number)
{
    static const int fixed[] = {CA, INTER, B, FAKE, CA_OLD, INTER_OLD, INTER_NO_CA};

    return number < ROWS(fixed) ? fixed[number] : q->chain[0];
}

enum { N_TARGETS = 8 };

static void start(void)
{
    X509 *anchor;

    start_table();
    anchor = octets_of(CA);
    with_store = pki_dane(&anchor, 1);
}

/* Every record of one certificate against every chain. Role, day and material take turns. */
START_TEST(each_record_against_each_chain)
{
    static const int days[] = {0, 0, 0, 19, 20, -5, 60, 0};
    static const enum kbv_material materials[] = {KBV_MATERIAL_CHAIN, KBV_MATERIAL_CHAIN,
                                                  KBV_MATERIAL_CERT, KBV_MATERIAL_CHAIN,
                                                  KBV_MATERIAL_SPKI};
    unsigned turn = (unsigned)_i;

    for (int kind = 0; kind < N_KINDS; kind++) {
        /* All of them for the first kinds, every third for the others. */
        for (int code = kind < 4 ? 0 : kind % 3; code < 4 * 2 * 3 * N_TARGETS;
             code += kind < 4 ? 1 : 3) {
            struct question q = {.n_records = 1, .store = true};

            set_chain(&q, _i, kind);
            q.records[0] =
                (struct record){code % 4, code / 4 % 2, code / 8 % 3, target(&q, code / 24), false};
            turn = turn * 1103515245 + 12345;
            q.day = days[turn >> 16 & 7];
            q.material = materials[(turn >> 20) % 5];
            q.role = (turn >> 25) % 3 != 0 ? SERVER : CLIENT;
            if (kinds[kind].purposes == CLIENT)
                q.role = q.role == SERVER ? CLIENT : SERVER;
            q.store = (turn >> 28) % 4 != 0;
            ask(&q);
        }
    }
    ck_assert_uint_gt(asked, 1000);
}
END_TEST

/* Sets of records, unusable ones among them, with digests that outdo each other. */
START_TEST(sets_of_records)
{
    unsigned turn = 20261122U + (unsigned)_i;

    for (int round = 0; round < 400; round++) {
        struct question q = {.material = KBV_MATERIAL_CHAIN, .role = SERVER};

        turn = turn * 1103515245 + 12345;
        set_chain(&q, (int)((turn >> 16) % (unsigned)ROWS(shapes)), (turn >> 8) % 3 ? 3 : 0);
        q.store = turn >> 30 & 1;
        if ((turn >> 27) % 5 == 0)
            q.material = KBV_MATERIAL_CERT;
        q.n_records = 2 + (int)(turn >> 12 & 3);
        for (int i = 0; i < q.n_records; i++) {
            struct record *r = &q.records[i];

            turn = turn * 1103515245 + 12345;
            *r =
                (struct record){(int)((turn >> 16) % 5), turn >> 20 & 1, (int)((turn >> 21) % 3),
                                target(&q, (int)((turn >> 23) % N_TARGETS)), (turn >> 27) % 6 == 0};
            if (r->usage == 4) /* usage 2 is what most of the rules are about */
                r->usage = 2;
        }
        ask(&q);
    }
}
END_TEST

/* The matrix is not one of refusals alone. */
START_TEST(every_outcome_was_seen)
{
    for (int shape = 0; shape < ROWS(shapes); shape++) {
        for (int code = 0; code < 4 * 2 * 3 * N_TARGETS; code += 5) {
            struct question q = {.n_records = 1, .store = code % 2, .role = SERVER};

            set_chain(&q, shape, 3);
            q.material = code % 3 ? KBV_MATERIAL_CHAIN : KBV_MATERIAL_CERT;
            q.records[0] =
                (struct record){code % 4, code / 4 % 2, code / 8 % 3, target(&q, code / 24), false};
            ask(&q);
        }
    }
    ck_assert_uint_gt(seen[KBV_STATUS_BOUND], 50);
    ck_assert_uint_gt(seen[KBV_STATUS_NOT_BOUND], 200);
    ck_assert_uint_gt(seen[KBV_STATUS_UNDECIDED], 50);
    ck_assert_uint_gt(seen[KBV_STATUS_UNUSABLE], 50);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dane_matrix");
    TCase *tcase = tcase_create("dane_matrix");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tcase);
    tcase_set_timeout(tcase, 120);
    tcase_add_unchecked_fixture(tcase, start, NULL);
    tcase_add_loop_test(tcase, each_record_against_each_chain, 0, ROWS(shapes));
    tcase_add_loop_test(tcase, sets_of_records, 0, 10);
    tcase_add_test(tcase, every_outcome_was_seen);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
