/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Discovery and judgement against a hostile DNS: the input makes every answer (records, aliases,
 * denials, security, TTLs, signatures, loss), the order in which they arrive, and when. A second,
 * simple walk over the same answers then says what the evidence may and must contain: TLSA only
 * where every step to it is secure and unexpired, no path lost, caps kept, and the same whatever
 * the order. Of the verdicts made of it PUBLISHED stands on such a path alone, BOUND moreover on a
 * record that names the key; both end with the first record or signature of the path, no cap is
 * passed, and nothing else has either status. An answer that comes twice fails the whole.
 *
 * Input: octet 0 the kind of question and whether time passes, octets 1-8 the order of arrival, the
 * rest the answers.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module/core/lookup.h"
#include "module/core/naptr.h"
#include "module/core/tlsa.h"
#include "tests/unit/world.h"

#define NOW      WORLD_NOW
#define ALL_ASKS 52
#define MAX_SETS 24
#define NXDOMAIN 3
#define KEYS     4 /* that records name, by digests of equal octets 1 to 4; 5 is nobody's */

#define REQUIRE(what)                                                                              \
    do {                                                                                           \
        if (!(what))                                                                               \
            violated(__LINE__, #what);                                                             \
    } while (0)

struct name {
    uint8_t wire[KBV_NAME_MAX];
    size_t len;
};

/* Until when something holds [s]: by TTL, and by signatures. */
struct life {
    int64_t ttl, sig;
};

/* One answer with its storage, arrived at that time; good[i]: RRset i is secure and signed;
 * wild[i]: it was synthesised from a wildcard. */
struct given {
    struct kbv_subquery ask;
    struct kbv_answer answer;
    int64_t at;
    struct kbv_rrset sets[MAX_SETS];
    bool good[MAX_SETS], wild[MAX_SETS];
    struct life life[MAX_SETS];
    size_t n_sets;
    struct name names[MAX_SETS];
    uint8_t rdata[MAX_SETS * 24][64];
    struct kbv_slice rr[MAX_SETS * 24];
    size_t n_rr;
    uint8_t sig[MAX_SETS][32];
    struct kbv_slice sigs[MAX_SETS];
};

/* One run of a lookup over the input. */
struct run {
    const uint8_t *data;
    size_t len;
    struct world *w;
    struct world_question q;
    struct given *given[ALL_ASKS];
    size_t n_given;
    struct kbv_evidence evidence[KBV_MAX_ENDPOINTS + 1];
    size_t n_evidence;
    char text[16384];
    bool time_passes;
    int64_t now; /* when the last answer came */
};

static const char *current = "";

static void __attribute__((noreturn)) violated(int line, const char *what)
{
    fprintf(stderr, "fuzz_lookup.c:%d: violated: %s\n%s", line, what, current);
    abort();
}

static bool same(const uint8_t *a, size_t a_len, struct kbv_slice b)
{
    return kbv_name_equal(a, a_len, b.p, b.len);
}

/* ---- answers from octets ---- */

/* A stream of the input's octets that begins at a place of its own for each question. */
struct octets {
    const uint8_t *data;
    size_t len;
    uint64_t at;
};

static uint8_t take(struct octets *o)
{
    o->at = o->at * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return o->len ? (uint8_t)(o->data[(o->at >> 33) % o->len] ^ (o->at >> 56)) : 0;
}

/* One in n. */
static bool rarely(struct octets *o, unsigned n)
{
    return take(o) % n == 0;
}

static struct name pool(unsigned i)
{
    static const char *const texts[] = {
        "id.",      "n1.", "n2.", "_s._t.op.", "_s._t.x.op.", "js.op.", "js2.op.", "farm.",
        "js.farm.", "id.", "n1.", "_s._t.op.", "x.js.farm.",  "js.op.", "key.",    "."};
    struct name name;

    if (kbv_name_from_text(texts[i % 16], true, name.wire, &name.len) != KBV_OK)
        abort();
    return name;
}

static void put16(uint8_t **p, unsigned value)
{
    *(*p)++ = (uint8_t)(value >> 8);
    *(*p)++ = (uint8_t)value;
}

static void put_name(uint8_t **p, struct name name)
{
    memcpy(*p, name.wire, name.len);
    *p += name.len;
}

static void put_string(uint8_t **p, const char *text)
{
    *(*p)++ = (uint8_t)strlen(text);
    memcpy(*p, text, strlen(text));
    *p += strlen(text);
}

static void make_naptr(struct octets *o, uint8_t **p)
{
    static const char *const flags[] = {"S", "A", "P", "", "U", "S", "s", "X"};
    static const char *const services[] = {"LWNS", "LWNS", "LWNS", "lwns", "LWN", "OTHER"};
    const char *flag = flags[take(o) % 8];

    put16(p, take(o) % 3);
    put16(p, take(o) % 3);
    put_string(p, flag);
    put_string(p, services[take(o) % 6]);
    put_string(p, strcmp(flag, "U") == 0 ? "!.*!https://js.op:8443/!" : "");
    put_name(p, strcmp(flag, "U") == 0 ? pool(15) : pool(take(o)));
}

/* A record of a key's; now and then one of another usage, or of the wrong length. */
static void make_tlsa(struct octets *o, uint8_t **p)
{
    const uint8_t head[] = {rarely(o, 5) ? 2 : 3, 1, 1};
    const size_t len = rarely(o, 9) ? 31 : KBV_DIGEST_LEN;

    memcpy(*p, head, sizeof(head));
    memset(*p + sizeof(head), 1 + take(o) % KEYS, len);
    *p += sizeof(head) + len;
}

static void make_rdata(struct octets *o, uint16_t type, uint8_t **p)
{
    switch (type) {
    case KBV_TYPE_NAPTR:
        make_naptr(o, p);
        break;
    case KBV_TYPE_SRV:
        put16(p, take(o) % 3);
        put16(p, take(o) % 3);
        put16(p, take(o) % 6);
        put_name(p, rarely(o, 8) ? pool(15) : pool(5 + take(o) % 4));
        break;
    case KBV_TYPE_TLSA:
        make_tlsa(o, p);
        break;
    default:
        *(*p)++ = take(o);
    }
}

static struct kbv_slice *make_rr(struct given *g, uint8_t **end, uint8_t **start)
{
    *start = *end = g->rdata[g->n_rr];
    return &g->rr[g->n_rr++];
}

static void put32(uint8_t **p, int64_t value)
{
    put16(p, (unsigned)(value >> 16 & 0xFFFF));
    put16(p, (unsigned)(value & 0xFFFF));
}

static void sign(struct given *g, struct kbv_rrset *s, int64_t original_ttl, int64_t expiration,
                 unsigned labels)
{
    uint8_t *p = g->sig[g->n_sets];

    put16(&p, s->type);
    *p++ = 13;
    *p++ = (uint8_t)labels;
    put32(&p, original_ttl);
    put32(&p, expiration);
    put32(&p, NOW - 500);
    put16(&p, 4711);
    *p++ = 0;
    *p++ = 0xAB;
    g->sigs[g->n_sets] = (struct kbv_slice){g->sig[g->n_sets], (size_t)(p - g->sig[g->n_sets])};
    s->sig = &g->sigs[g->n_sets];
    s->n_sig = 1;
}

/* An RRset without records yet; the caller has checked that there is room. */
static struct kbv_rrset *make_set(struct octets *o, struct given *g, struct name owner,
                                  uint16_t type, bool unsigned_cname)
{
    struct kbv_rrset *s = &g->sets[g->n_sets];
    struct name *kept = &g->names[g->n_sets];
    size_t labels;
    bool expired_ttl = rarely(o, 61), expired_sig = rarely(o, 61), no_sig = rarely(o, 61);
    struct life *life = &g->life[g->n_sets];
    const int64_t original_ttl = rarely(o, 7) ? take(o) : 3600;

    *kept = owner;
    labels = kbv_name_labels(owner.wire);
    *s = (struct kbv_rrset){
        .owner = {kept->wire, kept->len},
        .type = type,
        .security = rarely(o, 37) ? (enum kbv_security)(take(o) % 5) : KBV_SEC_SECURE,
        .added = NOW - 5,
        .ttl_end = expired_ttl ? NOW : NOW + 1 + take(o),
        .rr = &g->rr[g->n_rr],
    };
    if (!no_sig && !unsigned_cname) {
        g->wild[g->n_sets] = labels && rarely(o, 9);
        life->sig = expired_sig ? NOW : NOW + 1 + 4 * take(o);
        sign(g, s, original_ttl, life->sig, (unsigned)(labels - g->wild[g->n_sets]));
    }
    life->ttl = s->added + (original_ttl != 0 ? original_ttl : 1);
    life->ttl = life->ttl < s->ttl_end ? life->ttl : s->ttl_end;
    g->good[g->n_sets] = s->security == KBV_SEC_SECURE && s->n_sig;
    g->n_sets++;
    return s;
}

static void make_alias(struct octets *o, struct given *g, struct name *cur)
{
    struct name target = pool(take(o));
    size_t label = 1u + cur->wire[0];
    struct kbv_rrset *s;
    struct kbv_slice *rr;
    uint8_t *p, *start;
    bool dname = cur->len > label + 1 && rarely(o, 4);

    if (target.len + label > 40)
        dname = false;
    if (dname) { /* at the parent; the CNAME keeps the first label */
        struct name parent = {.len = cur->len - label};
        struct name made = {.len = label + target.len};
        memcpy(parent.wire, cur->wire + label, parent.len);
        memcpy(made.wire, cur->wire, label);
        memcpy(made.wire + label, target.wire, target.len);
        s = make_set(o, g, parent, KBV_TYPE_DNAME, false);
        rr = make_rr(g, &p, &start);
        put_name(&p, target);
        *rr = (struct kbv_slice){start, (size_t)(p - start)};
        s->n_rr = 1;
        target = rarely(o, 16) ? target : made;
    }
    s = make_set(o, g, *cur, KBV_TYPE_CNAME, dname);
    rr = make_rr(g, &p, &start);
    put_name(&p, target);
    *rr = (struct kbv_slice){start, (size_t)(p - start)};
    s->n_rr = rarely(o, 64) ? 0 : 1;
    *cur = target;
}

static void make_records(struct octets *o, struct given *g, struct name owner, uint16_t type)
{
    struct kbv_rrset *s = make_set(o, g, owner, type, false);
    size_t n = 1 + (rarely(o, 16) ? take(o) % 20 : take(o) % 3);

    for (size_t i = 0; i < n; i++) {
        uint8_t *p, *start;
        struct kbv_slice *rr = make_rr(g, &p, &start);
        make_rdata(o, type, &p);
        *rr = (struct kbv_slice){start, (size_t)(p - start)};
    }
    s->n_rr = n;
}

static struct given *make_answer(struct run *r, const struct kbv_subquery *ask)
{
    struct octets o = {r->data, r->len, 0xcbf29ce484222325u ^ ask->type};
    struct given *g = calloc(1, sizeof(*g));
    struct name cur = {.len = ask->name_len};
    unsigned hops;
    struct name root = pool(15);

    if (!g)
        abort();
    for (size_t i = 0; i < ask->name_len; i++)
        o.at = (o.at ^ ask->name[i]) * UINT64_C(0x100000001b3);
    g->ask = *ask;
    memcpy(cur.wire, ask->name, ask->name_len);
    g->answer = (struct kbv_answer){
        .arrived = !rarely(&o, 29),
        .rcode = rarely(&o, 61) ? 2 : 0,
        .security = rarely(&o, 23) ? (enum kbv_security)(take(&o) % 5) : KBV_SEC_SECURE,
        .ede = KBV_EDE_NONE,
    };
    hops = rarely(&o, 4) ? (rarely(&o, 8) ? 7 + take(&o) % 4 : 1 + take(&o) % 2) : 0;
    for (unsigned i = 0; i < hops; i++)
        make_alias(&o, g, &cur);
    if (hops && rarely(&o, 32)) /* a link is missing */
        g->sets[take(&o) % g->n_sets].owner = (struct kbv_slice){(const uint8_t *)"\1z", 3};
    if (take(&o) % 4)
        make_records(&o, g, cur, ask->type);
    else if (rarely(&o, 3) && g->answer.rcode == 0)
        g->answer.rcode = NXDOMAIN;
    g->answer.answer = g->sets;
    g->answer.n_answer = g->n_sets;
    g->answer.authority = g->sets + g->n_sets;
    if (!rarely(&o, 8))
        make_set(&o, g, root, KBV_TYPE_SOA, false);
    if (!rarely(&o, 4))
        make_set(&o, g, root, rarely(&o, 2) ? KBV_TYPE_NSEC : KBV_TYPE_NSEC3, false);
    g->answer.n_authority = g->n_sets - g->answer.n_answer;
    return g;
}

/* ---- the lookup ---- */

/* When the next answer comes: at once, or seconds later, or much later. */
static void pass_time(struct run *r, uint64_t order)
{
    if (r->time_passes)
        r->now +=
            (order >> 40) % 16 == 0 ? (int64_t)(order >> 44) % 256 : (int64_t)(order >> 44) % 3;
}

static void keep_evidence(struct run *r, struct kbv_lookup *l)
{
    const struct kbv_evidence *e = kbv_lookup_evidence(l, &r->n_evidence);

    REQUIRE(r->n_evidence >= 1 && r->n_evidence <= KBV_MAX_ENDPOINTS + 1);
    r->text[0] = '\0';
    for (size_t i = 0; i < r->n_evidence; i++) {
        r->evidence[i] = e[i];
        world_show(&e[i], r->text, sizeof(r->text));
        strcat(r->text, "\n");
    }
    current = r->text;
}

/* What was abandoned arrives after all: nothing changes. */
static void answer_late(struct run *r, struct kbv_lookup *l, struct given **late, size_t n)
{
    char before[sizeof(r->text)];

    strcpy(before, r->text);
    for (size_t i = 0; i < n; i++) {
        if (i % 2 == 0) /* the others are lost for good */
            kbv_lookup_answer(l, late[i]->ask.id, &late[i]->answer, r->now);
        late[i]->ask.type = 0; /* they must not be needed below */
    }
    keep_evidence(r, l);
    REQUIRE(strcmp(before, r->text) == 0);
}

/* twice: the answer, counted from 1, that comes a second time; 0: none. */
static void play(struct run *r, uint64_t order, unsigned twice)
{
    struct kbv_mem mem = world_mem(r->w, SIZE_MAX);
    struct kbv_lookup *l = kbv_lookup_create(&mem, &r->q.q);
    struct given *pending[ALL_ASKS];
    size_t n_pending = 0;

    while (!kbv_lookup_done(l)) {
        struct kbv_subquery ask;
        struct given *g;
        size_t i;

        while (kbv_lookup_next(l, &ask)) {
            REQUIRE(r->n_given < ALL_ASKS);
            r->given[r->n_given] = make_answer(r, &ask);
            pending[n_pending++] = r->given[r->n_given++];
        }
        REQUIRE(n_pending > 0);
        REQUIRE(n_pending == kbv_lookup_outstanding(l));
        order = order * UINT64_C(6364136223846793005) + 1;
        i = (size_t)((order >> 33) % n_pending);
        g = pending[i];
        pass_time(r, order);
        g->at = r->now;
        kbv_lookup_answer(l, g->ask.id, &g->answer, r->now);
        if (twice != 0 && --twice == 0)
            kbv_lookup_answer(l, g->ask.id, &g->answer, r->now);
        pending[i] = pending[--n_pending];
    }
    keep_evidence(r, l);
    answer_late(r, l, pending, n_pending);
}

/* ---- the second opinion ---- */

enum opinion { UNCLEAN, DENIED, RECORDS };

struct walk {
    enum opinion opinion; /* of the whole step */
    bool told;            /* it arrived, is not bogus, and its aliases make sense */
    bool aliases_good;    /* message and aliases are secure and unexpired */
    bool too_long, wildcard;
    unsigned hops;
    struct kbv_slice end;
    const struct kbv_rrset *records;
    struct life life;       /* of all that it rests on */
    struct life alias_life; /* of its aliases alone */
};

static const struct life forever = {INT64_MAX, INT64_MAX};

static struct life shorter(struct life a, struct life b)
{
    return (struct life){a.ttl < b.ttl ? a.ttl : b.ttl, a.sig < b.sig ? a.sig : b.sig};
}

static const struct kbv_rrset *find(const struct given *g, struct kbv_slice name, uint16_t type)
{
    for (size_t i = 0; i < g->answer.n_answer; i++)
        if (g->sets[i].type == type && same(name.p, name.len, g->sets[i].owner))
            return &g->sets[i];
    return NULL;
}

static const struct kbv_rrset *find_dname(const struct given *g, struct kbv_slice name)
{
    for (struct kbv_slice up = name; up.len > 1;) {
        size_t label = 1u + up.p[0];
        const struct kbv_rrset *s;
        up.p += label;
        up.len -= label;
        s = find(g, up, KBV_TYPE_DNAME);
        if (s)
            return s;
    }
    return NULL;
}

static bool is_good(const struct given *g, const struct kbv_rrset *s)
{
    const struct life life = g->life[s - g->sets];

    return g->good[s - g->sets] && life.ttl > g->at && life.sig > g->at;
}

static void rest_on(struct walk *w, const struct given *g, const struct kbv_rrset *s)
{
    w->life = shorter(w->life, g->life[s - g->sets]);
}

static bool makes(const struct kbv_rrset *dname, struct kbv_slice name, struct kbv_slice target)
{
    size_t front = name.len - dname->owner.len;
    const struct kbv_slice *to = &dname->rr[0];

    return target.len == front + to->len && memcmp(target.p, name.p, front) == 0 &&
           memcmp(target.p + front, to->p, to->len) == 0;
}

static struct walk walk(const struct given *g)
{
    struct walk w = {.opinion = UNCLEAN,
                     .end = {g->ask.name, g->ask.name_len},
                     .life = forever,
                     .alias_life = forever};
    const struct kbv_answer *a = &g->answer;
    size_t n_cnames = 0, n_type = 0;

    if (!a->arrived || a->security == KBV_SEC_BOGUS || (a->rcode && a->rcode != NXDOMAIN))
        return w;
    w.aliases_good = a->security == KBV_SEC_SECURE;
    while (!(w.records = find(g, w.end, g->ask.type))) {
        const struct kbv_rrset *cname = find(g, w.end, KBV_TYPE_CNAME);
        const struct kbv_rrset *dname = find_dname(g, w.end);

        if (!cname && !dname)
            break;
        w.hops++;
        w.told = true;
        w.too_long = w.hops > KBV_MAX_HOPS;
        if (w.too_long || !cname || cname->n_rr != 1 ||
            (dname && !makes(dname, w.end, cname->rr[0]))) {
            w.aliases_good = false;
            return w;
        }
        w.aliases_good &= cname->security == KBV_SEC_SECURE && is_good(g, dname ? dname : cname);
        w.wildcard |= g->wild[(dname ? dname : cname) - g->sets];
        rest_on(&w, g, dname ? dname : cname);
        w.end = cname->rr[0];
    }
    for (size_t i = 0; i < a->n_answer; i++) {
        n_cnames += g->sets[i].type == KBV_TYPE_CNAME;
        n_type += g->sets[i].type == g->ask.type;
    }
    if (w.records ? a->rcode == NXDOMAIN : n_type != 0 || n_cnames != w.hops) {
        w.aliases_good = false;
        return w;
    }
    w.told = true;
    for (size_t i = a->n_answer; i < g->n_sets && w.wildcard; i++) {
        if (g->sets[i].type == KBV_TYPE_SOA)
            continue;
        w.aliases_good &= is_good(g, &g->sets[i]);
        rest_on(&w, g, &g->sets[i]);
    }
    w.alias_life = w.life;
    if (!w.aliases_good)
        return w;
    if (w.records && !is_good(g, w.records))
        return w;
    w.wildcard |= w.records && g->wild[w.records - g->sets];
    if (w.records)
        rest_on(&w, g, w.records);
    /* A denial needs its proofs, and so does what came from a wildcard. */
    for (size_t i = a->n_answer; i < g->n_sets && (!w.records || w.wildcard); i++) {
        if (w.records && g->sets[i].type == KBV_TYPE_SOA)
            continue;
        if (!is_good(g, &g->sets[i]))
            return w;
        rest_on(&w, g, &g->sets[i]);
    }
    w.opinion = w.records ? RECORDS : DENIED;
    return w;
}

static const struct given *given_for(const struct run *r, struct kbv_slice name, uint16_t type)
{
    for (size_t i = 0; i < r->n_given; i++)
        if (r->given[i]->ask.type == type &&
            same(r->given[i]->ask.name, r->given[i]->ask.name_len, name))
            return r->given[i];
    return NULL;
}

/* What all branches together lead to. */
struct reach {
    struct {
        struct name host;
        uint16_t port;
        struct life life; /* of the way there that holds longest, each end by itself */
    } e[4096];
    size_t n;
    bool unclean; /* a step on the way is not proven */
    bool limited; /* a cap was met */
};

static void reach_endpoint(struct reach *to, const uint8_t *host, size_t len, uint16_t port,
                           struct life life)
{
    for (size_t i = 0; i < to->n; i++)
        if (to->e[i].port == port &&
            kbv_name_equal(to->e[i].host.wire, to->e[i].host.len, host, len)) {
            struct life *had = &to->e[i].life;

            had->ttl = had->ttl > life.ttl ? had->ttl : life.ttl;
            had->sig = had->sig > life.sig ? had->sig : life.sig;
            return;
        }
    REQUIRE(to->n < 4096);
    memcpy(to->e[to->n].host.wire, host, len);
    to->e[to->n].host.len = len;
    to->e[to->n].life = life;
    to->e[to->n++].port = port;
}

static void reach_srv(const struct run *r, struct kbv_slice name, unsigned hops, struct life life,
                      struct reach *to)
{
    const struct given *g = given_for(r, name, KBV_TYPE_SRV);
    struct walk w;

    if (!g) {
        to->limited = true;
        return;
    }
    w = walk(g);
    to->unclean |= w.opinion == UNCLEAN;
    if (w.opinion != UNCLEAN && hops + w.hops > KBV_MAX_HOPS) {
        to->limited = true;
        return;
    }
    for (size_t i = 0; w.opinion == RECORDS && i < w.records->n_rr; i++) {
        struct kbv_srv srv;
        if (kbv_srv_read(w.records->rr[i], &srv) == KBV_OK && srv.target_len > 1)
            reach_endpoint(to, srv.target, srv.target_len, srv.port, shorter(life, w.life));
    }
}

static void reach_naptr(const struct run *r, struct kbv_slice name, unsigned hops, unsigned depth,
                        struct kbv_slice *above, struct life life, struct reach *to)
{
    const struct given *g = given_for(r, name, KBV_TYPE_NAPTR);
    struct walk w;
    size_t usable = 0;

    for (unsigned i = 0; i < depth; i++)
        if (same(name.p, name.len, above[i])) {
            to->limited = true;
            return;
        }
    if (!g || hops > KBV_MAX_HOPS) {
        to->limited = true;
        return;
    }
    w = walk(g);
    hops += w.hops;
    to->unclean |= w.opinion == UNCLEAN;
    if (w.opinion != UNCLEAN && hops > KBV_MAX_HOPS)
        to->limited = true;
    if (w.opinion != RECORDS || hops > KBV_MAX_HOPS)
        return;
    above[depth] = name;
    life = shorter(life, w.life);
    for (size_t i = 0; i < w.records->n_rr; i++) {
        struct kbv_naptr n;
        struct kbv_slice next;

        kbv_naptr_read(w.records->rr[i], &n);
        usable += n.use > KBV_NAPTR_PLAIN;
        next = (struct kbv_slice){n.name, n.name_len};
        if (n.use == KBV_NAPTR_SRV)
            reach_srv(r, next, hops, life, to);
        else if (n.use == KBV_NAPTR_NEXT)
            reach_naptr(r, next, hops + 1, depth + 1, above, life, to);
        else if (n.use == KBV_NAPTR_HOST)
            reach_endpoint(to, n.name, n.name_len, r->q.zone.ports[0], life);
        else if (n.use == KBV_NAPTR_URI)
            reach_endpoint(to, n.name, n.name_len, n.port, life);
    }
    to->limited |= usable > 8;
}

static void reach_fallback(const struct run *r, struct life life, struct reach *to)
{
    struct kbv_slice name = {r->q.q.name, r->q.q.name_len};
    const struct given *family[2] = {given_for(r, name, KBV_TYPE_A),
                                     given_for(r, name, KBV_TYPE_AAAA)};
    int denied = 0;

    for (int i = 0; i < 2; i++) {
        struct walk w;
        if (!family[i])
            continue;
        w = walk(family[i]);
        if (w.told && (w.records || w.hops))
            reach_endpoint(to, name.p, name.len, r->q.zone.ports[0], life);
        denied += w.opinion == DENIED;
    }
    to->unclean |= to->n == 0 && denied < 2;
}

static void reach(const struct run *r, struct reach *to)
{
    struct kbv_slice name = {r->q.q.name, r->q.q.name_len}, above[KBV_MAX_HOPS + 2];
    const struct given *g = given_for(r, name, KBV_TYPE_NAPTR);
    struct walk w = walk(g);

    to->n = 0;
    to->unclean = to->limited = false;
    if (w.opinion == DENIED && g->answer.rcode == 0)
        reach_fallback(r, w.life, to);
    else
        reach_naptr(r, name, 0, 0, above, forever, to);
}

/* No more hops than allowed, and the flag if there were any. */
static void check_hops(const struct kbv_evidence *e, unsigned hops)
{
    REQUIRE(hops <= KBV_MAX_HOPS);
    REQUIRE(hops == 0 || (e->flags & KBV_FLAG_ALIASED));
}

/* A TLSA finding at an endpoint: every step from the host on is clean. How long these hold. */
static struct life check_tlsa_at_host(const struct run *r, const struct kbv_evidence *e,
                                      const struct given *tlsa)
{
    struct life life = walk(tlsa).life;
    const struct given *family[2] = {given_for(r, e->target, KBV_TYPE_A),
                                     given_for(r, e->target, KBV_TYPE_AAAA)};
    bool at_owner = same(tlsa->ask.name, tlsa->ask.name_len, e->owner), by_alias = false;
    bool told = false;

    for (int i = 0; i < 2; i++) {
        struct walk w;
        struct name expanded;

        if (!family[i])
            continue;
        w = walk(family[i]);
        told |= w.told;
        if (!w.told || !w.hops)
            continue;
        if (by_alias)
            break; /* the other family's alias counted */
        REQUIRE(w.aliases_good);
        by_alias = true;
        life = shorter(life, w.alias_life);
        check_hops(e, w.hops + walk(tlsa).hops);
        REQUIRE(kbv_name_tlsa_owner(e->port, w.end.p, w.end.len, expanded.wire, &expanded.len) ==
                KBV_OK);
        if (at_owner) {
            const struct given *g =
                given_for(r, (struct kbv_slice){expanded.wire, expanded.len}, KBV_TYPE_TLSA);
            REQUIRE(g && (walk(g).opinion == DENIED || g == tlsa));
            life = shorter(life, walk(g).life);
        } else {
            REQUIRE(same(expanded.wire, expanded.len,
                         (struct kbv_slice){tlsa->ask.name, tlsa->ask.name_len}));
        }
    }
    REQUIRE(told);
    REQUIRE(at_owner || by_alias);
    return life;
}

/* ---- verdicts ---- */

/* Is there a record "3 1 1" of that key (from 1; 0: any record that can be used)? */
static bool names_key(const struct kbv_rrset *tlsa, unsigned key)
{
    for (size_t i = 0; tlsa && i < tlsa->n_rr; i++) {
        const struct kbv_slice rr = tlsa->rr[i];

        if (rr.len == 3 + KBV_DIGEST_LEN && (key == 0 || (rr.p[0] == 3 && rr.p[3] == key)))
            return true;
    }
    return false;
}

/* The verdict for a key, given at a time when the base verdict may have been kept for long. */
static void check_keyed(const struct kbv_verdict *base, const struct kbv_policy *policy,
                        const struct kbv_rrset *tlsa, unsigned key, int64_t now)
{
    struct kbv_subject subject = {.kind = KBV_SUBJECT_SPKI};
    struct kbv_presented presented;
    struct kbv_verdict v;
    const int64_t left = (int32_t)(base->not_after - (uint32_t)now);

    memset(subject.digest, (int)key, sizeof(subject.digest));
    presented = kbv_presented_digest(&subject);
    kbv_judge_keyed(base, &presented, policy, now, &v);
    kbv_presented_clear(&presented);
    REQUIRE(v.status != KBV_STATUS_PUBLISHED && v.status != KBV_STATUS_NONE);
    REQUIRE(v.issued == (uint32_t)now);
    if (v.status == KBV_STATUS_BOUND || v.status == KBV_STATUS_NOT_BOUND)
        REQUIRE(left >= 0 && (int32_t)(base->not_after - v.not_after) >= 0);
    /* With proof, in time, and for this key; and then always. */
    REQUIRE((v.status == KBV_STATUS_BOUND) ==
            (base->status == KBV_STATUS_PUBLISHED && left >= 0 && names_key(tlsa, key)));
    if (v.status == KBV_STATUS_BOUND)
        REQUIRE(memcmp(v.subject.digest, subject.digest, sizeof(subject.digest)) == 0 &&
                v.subject.kind == KBV_SUBJECT_SPKI && v.match.usage == 3);
}

/* What is made of one piece of evidence. tlsa: the records that a proven path leads to, which holds
 * for that long; NULL: there is none, and nothing is proven. */
static void check_verdicts(const struct run *r, const struct kbv_evidence *e,
                           const struct kbv_rrset *tlsa, struct life life)
{
    static uint8_t associations[KBV_ASSOCIATIONS_MAX], names[3 * KBV_NAME_MAX];
    const struct kbv_policy policy = {
        .max_ttl = 1 + (uint32_t)r->data[0] * 2,
        .max_negative_ttl = 300,
        .bogus_ttl = 60,
        .require_secure = r->data[0] & 1,
        .security_level = 2,
    };
    struct kbv_verdict base;
    const int64_t now = r->now;
    int64_t left;

    kbv_judge_base(e, &policy, now, associations, sizeof(associations), names, &base);
    left = (int32_t)(base.not_after - (uint32_t)now);
    REQUIRE(base.status != KBV_STATUS_BOUND && base.status != KBV_STATUS_NOT_BOUND);
    REQUIRE(base.issued == (uint32_t)now && left >= 0);
    REQUIRE(left <= kbv_judge_cap(base.status, &policy));
    /* In time when it came, so that it serves this once (docs/verdict-format.md); but signed. */
    life.ttl = life.ttl > now ? life.ttl : now + 1;
    REQUIRE((base.status == KBV_STATUS_PUBLISHED) ==
            (tlsa && names_key(tlsa, 0) && e->signed_until > now));
    if (base.status == KBV_STATUS_PUBLISHED)
        REQUIRE(left > 0 && now + left <= life.ttl && now + left <= life.sig);
    for (unsigned key = 1; key <= KEYS + 1; key++)
        check_keyed(&base, &policy, tlsa, key, now + (r->data[1] % 4 == 0 ? 0 : r->data[2] * 4));
}

/* One path, and what is made of it. */
static void check_evidence(const struct run *r, const struct kbv_evidence *e,
                           const struct reach *to)
{
    const struct given *tlsa = NULL;
    struct life life = forever;
    bool reached = false;

    if (e->finding == KBV_FOUND_TLSA || e->finding == KBV_FOUND_DENIAL)
        REQUIRE(e->life_end > NOW && e->life_end <= NOW + 3600);
    for (size_t i = 0; to && e->has_endpoint && i < to->n; i++)
        if (to->e[i].port == e->port && same(to->e[i].host.wire, to->e[i].host.len, e->target)) {
            reached = true;
            life = to->e[i].life;
        }
    REQUIRE(!e->has_endpoint || reached);
    if (e->finding != KBV_FOUND_TLSA) {
        check_verdicts(r, e, NULL, forever);
        return;
    }
    REQUIRE(e->n_reference_names >= 1);
    for (size_t i = 0; i < r->n_given; i++)
        if (e->tlsa >= r->given[i]->sets && e->tlsa < r->given[i]->sets + MAX_SETS)
            tlsa = r->given[i];
    REQUIRE(tlsa && tlsa->ask.type == KBV_TYPE_TLSA);
    REQUIRE(walk(tlsa).opinion == RECORDS && walk(tlsa).records == e->tlsa);
    REQUIRE(e->life_end <= e->tlsa->ttl_end);
    check_hops(e, walk(tlsa).hops);
    if (e->has_endpoint)
        life = shorter(life, check_tlsa_at_host(r, e, tlsa));
    else
        life = walk(tlsa).life;
    REQUIRE(e->has_endpoint || same(tlsa->ask.name, tlsa->ask.name_len, e->owner));
    check_verdicts(r, e, e->tlsa, life);
}

/* Endpoint order, as far as records alone tell it; what is left to LIMIT comes last. */
static bool in_order(const struct kbv_evidence *a, const struct kbv_evidence *b)
{
    if (!b->has_endpoint && b->finding == KBV_FOUND_LIMIT && b->order == 0 && b->preference == 0)
        return true;
    if (a->order != b->order)
        return a->order < b->order;
    if (a->preference != b->preference)
        return a->preference < b->preference;
    if (!a->has_endpoint || !b->has_endpoint)
        return a->has_endpoint || !b->has_endpoint;
    if (a->priority != b->priority)
        return a->priority < b->priority;
    return a->weight >= b->weight;
}

static void check_service(const struct run *r)
{
    static struct reach to; /* large, and set anew each time */
    bool told = false, limit = false;

    reach(r, &to);
    for (size_t i = 0; i < r->n_evidence; i++) {
        const struct kbv_evidence *e = &r->evidence[i];

        check_evidence(r, e, &to);
        REQUIRE(e->has_endpoint || e->finding != KBV_FOUND_TLSA);
        told |= !e->has_endpoint && e->finding != KBV_FOUND_DENIAL;
        limit |= !e->has_endpoint && e->finding == KBV_FOUND_LIMIT;
        /* A denial of everything: nothing was left to find. */
        if (!e->has_endpoint && e->finding == KBV_FOUND_DENIAL)
            REQUIRE(r->n_evidence == 1 && to.n == 0 && !to.unclean && !to.limited);
        REQUIRE(i == 0 || in_order(&r->evidence[i - 1], e));
        for (size_t j = 0; j < i; j++)
            REQUIRE(!e->has_endpoint || !r->evidence[j].has_endpoint ||
                    e->port != r->evidence[j].port ||
                    !same(e->target.p, e->target.len, r->evidence[j].target));
    }
    REQUIRE(told || (!to.unclean && !to.limited));
    for (size_t i = 0; i < to.n && !limit; i++) {
        bool there = false;
        for (size_t j = 0; j < r->n_evidence; j++)
            there |= r->evidence[j].has_endpoint && r->evidence[j].port == to.e[i].port &&
                     same(to.e[i].host.wire, to.e[i].host.len, r->evidence[j].target);
        REQUIRE(there);
    }
}

static void run_free(struct run *r)
{
    for (size_t i = 0; i < r->n_given; i++)
        free(r->given[i]);
    world_free(r->w);
    free(r);
}

static struct run *run(const uint8_t *data, size_t len, uint64_t order, unsigned twice)
{
    static const char *const names[] = {"id.", "id.", "id.", "id.", "_443._tcp.js.op.", "key."};
    struct run *r = calloc(1, sizeof(*r));
    unsigned kind = data[0] % 6;

    if (!r)
        abort();
    r->data = data + 9;
    r->len = len - 9;
    r->time_passes = data[0] / 6 % 2;
    r->now = NOW;
    r->w = world_new("");
    world_question(&r->q,
                   kind < 4    ? WORLD_SERVICE
                   : kind == 4 ? WORLD_LITERAL
                               : WORLD_IDENTITY,
                   names[kind], NULL, 0);
    play(r, order, twice);
    if (twice != 0)
        return r;
    if (kind < 4)
        check_service(r);
    else
        check_evidence(r, &r->evidence[0], NULL);
    return r;
}

/* One answer comes twice, or all came before it would have: the whole is a failure, or as it was.
 */
static void check_twice(const uint8_t *data, size_t len, uint64_t order, const struct run *once)
{
    struct run *r = run(data, len, order, 1 + data[9] % 8);

    if (strcmp(r->text, once->text) != 0) {
        REQUIRE(r->n_evidence == 1 && r->evidence[0].finding == KBV_FOUND_FAILURE);
        check_verdicts(r, &r->evidence[0], NULL, forever);
    }
    run_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint64_t order = 0;
    struct run *one, *other;

    if (len < 13)
        return 0;
    for (int i = 1; i < 9; i++)
        order = order << 8 | data[i];
    one = run(data, len, order, 0);
    other = run(data, len, ~order, 0);
    /* Which branches are left when there are too many is a matter of who comes first; and when
     * answers come decides what has expired by then. */
    if (!one->time_passes && !strstr(one->text, "more than 24 sub-queries") &&
        !strstr(other->text, "more than 24 sub-queries") && strcmp(one->text, other->text) != 0) {
        fprintf(stderr, "in another order:\n%s", one->text);
        violated(__LINE__, "the same evidence in every order");
    }
    check_twice(data, len, order, one);
    run_free(one);
    run_free(other);
    return 0;
}
