/* SPDX-License-Identifier: BSD-3-Clause */
/* See world.h. */
#include "tests/unit/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SETS  256
#define MAX_HARMS 32
#define MAX_RR    512
#define NXDOMAIN  3

struct name {
    uint8_t wire[KBV_NAME_MAX];
    size_t len;
};

struct set {
    struct name owner;
    uint16_t type;
    int64_t ttl, sig;
    struct kbv_slice rr[MAX_RR];
    size_t n_rr;
};

struct harm {
    struct name name;
    uint16_t type;
    enum world_harm what;
};

struct chunk {
    struct chunk *next;
    max_align_t data[];
};

struct world {
    struct set *sets[MAX_SETS];
    size_t n_sets;
    struct harm harms[MAX_HARMS];
    size_t n_harms;
    struct name bare, no_nsec;
    struct chunk *chunks;
    size_t n_allocated, fail;
};

static const struct {
    const char *text;
    uint16_t type;
} types[] = {
    {"A", KBV_TYPE_A},         {"AAAA", KBV_TYPE_AAAA},   {"TXT", KBV_TYPE_TXT},
    {"CNAME", KBV_TYPE_CNAME}, {"DNAME", KBV_TYPE_DNAME}, {"NAPTR", KBV_TYPE_NAPTR},
    {"SRV", KBV_TYPE_SRV},     {"TLSA", KBV_TYPE_TLSA},
};

static const char *const harm_text[WORLD_HARMS] = {
    [WORLD_INSECURE] = "INSECURE",
    [WORLD_BOGUS] = "BOGUS",
    [WORLD_INDETERMINATE] = "INDETERMINATE",
    [WORLD_UNCHECKED] = "UNCHECKED",
    [WORLD_LOST] = "LOST",
    [WORLD_SERVFAIL] = "SERVFAIL",
    [WORLD_OLD_TTL] = "OLD_TTL",
    [WORLD_OLD_SIG] = "OLD_SIG",
};

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("world: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    abort();
}

/* ---- memory ---- */

static void *chunk(struct world *w, size_t len)
{
    struct chunk *c = calloc(1, sizeof(*c) + len);

    if (!c)
        die("out of memory");
    c->next = w->chunks;
    w->chunks = c;
    return c->data;
}

static void *failing_alloc(void *arg, size_t len)
{
    struct world *w = arg;

    return w->n_allocated++ >= w->fail ? NULL : chunk(w, len);
}

struct kbv_mem world_mem(struct world *w, size_t fail)
{
    w->n_allocated = 0;
    w->fail = fail;
    return (struct kbv_mem){failing_alloc, w};
}

void world_free(struct world *w)
{
    while (w->chunks) {
        struct chunk *next = w->chunks->next;
        free(w->chunks);
        w->chunks = next;
    }
    free(w);
}

/* ---- records from lines ---- */

static struct name name_of(const char *text)
{
    struct name name;

    if (kbv_name_from_text(text, false, name.wire, &name.len) != KBV_OK)
        die("bad name %s", text);
    return name;
}

uint16_t world_type(const char *text)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i].text, text) == 0)
            return types[i].type;
    die("bad type %s", text);
}

static const char *type_text(uint16_t type)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (types[i].type == type)
            return types[i].text;
    die("bad type %u", type);
}

static bool equal(const struct name *a, struct kbv_slice b)
{
    return kbv_name_equal(a->wire, a->len, b.p, b.len);
}

static struct kbv_slice slice(const struct name *n)
{
    return (struct kbv_slice){n->wire, n->len};
}

static struct set *find(const struct world *w, struct kbv_slice owner, uint16_t type)
{
    for (size_t i = 0; i < w->n_sets; i++)
        if (w->sets[i]->type == type && equal(&w->sets[i]->owner, owner))
            return w->sets[i];
    return NULL;
}

static struct set *set_of(struct world *w, const char *owner, uint16_t type)
{
    struct name name = name_of(owner);
    struct set *s = find(w, slice(&name), type);

    if (s)
        return s;
    if (w->n_sets == MAX_SETS)
        die("too many RRsets");
    s = chunk(w, sizeof(*s));
    s->owner = name;
    s->type = type;
    s->ttl = 3600;
    s->sig = 86400;
    return w->sets[w->n_sets++] = s;
}

/* The next word of a line; NULL at its end. */
static char *word(char **at)
{
    return strtok_r(NULL, " \t", at);
}

static char *need(char **at)
{
    char *text = word(at);

    if (!text)
        die("a record ends too early");
    return text;
}

static void put16(uint8_t **p, unsigned value)
{
    *(*p)++ = (uint8_t)(value >> 8);
    *(*p)++ = (uint8_t)value;
}

static void put32(uint8_t **p, uint32_t value)
{
    put16(p, value >> 16);
    put16(p, value & 0xFFFF);
}

static void put_string(uint8_t **p, const char *text)
{
    size_t len = strcmp(text, "-") == 0 ? 0 : strlen(text);

    *(*p)++ = (uint8_t)len;
    memcpy(*p, text, len);
    *p += len;
}

static void put_name(uint8_t **p, const char *text)
{
    struct name name = name_of(text);

    memcpy(*p, name.wire, name.len);
    *p += name.len;
}

static void put_rdata(uint8_t **p, uint16_t type, char *first, char **at)
{
    switch (type) {
    case KBV_TYPE_NAPTR:
        put16(p, (unsigned)atoi(first));
        put16(p, (unsigned)atoi(need(at)));
        for (int i = 0; i < 3; i++)
            put_string(p, need(at));
        put_name(p, need(at));
        break;
    case KBV_TYPE_SRV:
        put16(p, (unsigned)atoi(first));
        put16(p, (unsigned)atoi(need(at)));
        put16(p, (unsigned)atoi(need(at)));
        put_name(p, need(at));
        break;
    case KBV_TYPE_CNAME:
    case KBV_TYPE_DNAME:
        put_name(p, first);
        break;
    case KBV_TYPE_TLSA:
        for (unsigned octet; sscanf(first, "%2x", &octet) == 1; first += 2)
            *(*p)++ = (uint8_t)octet;
        break;
    default:
        *(*p)++ = 1;
    }
}

static void add_record(struct world *w, const char *owner, const char *type, char **at)
{
    struct set *s = set_of(w, owner, world_type(type));
    uint8_t rdata[1024], *p = rdata, *kept;
    char *text = word(at);

    for (; text; text = word(at)) {
        if (strncmp(text, "ttl=", 4) == 0)
            s->ttl = atoi(text + 4);
        else if (strncmp(text, "sig=", 4) == 0)
            s->sig = atoi(text + 4);
        else
            break;
    }
    put_rdata(&p, s->type, text ? text : (char[]){""}, at);
    if (s->n_rr == MAX_RR)
        die("too many records");
    kept = chunk(w, (size_t)(p - rdata) + 1);
    memcpy(kept, rdata, (size_t)(p - rdata));
    s->rr[s->n_rr++] = (struct kbv_slice){kept, (size_t)(p - rdata)};
}

void world_harm(struct world *w, const char *name, uint16_t type, enum world_harm harm)
{
    if (w->n_harms == MAX_HARMS)
        die("too much harm");
    w->harms[w->n_harms++] = (struct harm){name_of(name), type, harm};
}

static enum world_harm harm_of(const char *text)
{
    for (int i = 0; i < WORLD_HARMS; i++)
        if (strcmp(harm_text[i], text) == 0)
            return (enum world_harm)i;
    die("bad harm %s", text);
}

struct world *world_new(const char *lines)
{
    struct world *w = calloc(1, sizeof(*w));
    char *copy, *line, *rest;

    if (!w)
        die("out of memory");
    copy = chunk(w, strlen(lines) + 1);
    strcpy(copy, lines);
    for (line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *at, *owner = strtok_r(line, " \t", &at), *second;
        if (!owner)
            continue;
        second = need(&at);
        if (strcmp(owner, "HARM") == 0) {
            uint16_t type = world_type(need(&at));
            world_harm(w, second, type, harm_of(need(&at)));
        } else if (strcmp(owner, "BARE") == 0) {
            w->bare = name_of(second);
        } else if (strcmp(owner, "NONSEC") == 0) {
            w->no_nsec = name_of(second);
        } else {
            add_record(w, owner, second, &at);
        }
    }
    return w;
}

/* ---- answers ---- */

/* An answer while it is being put together. */
struct draft {
    struct world *w;
    struct kbv_answer a;
    struct kbv_rrset *sets; /* answer, then authority */
    size_t n;
};

static unsigned badness(enum kbv_security s)
{
    static const unsigned rank[] = {[KBV_SEC_BOGUS] = 4,
                                    [KBV_SEC_UNCHECKED] = 3,
                                    [KBV_SEC_INDETERMINATE] = 2,
                                    [KBV_SEC_INSECURE] = 1,
                                    [KBV_SEC_SECURE] = 0};
    return rank[s];
}

static const struct harm *harm_at(const struct world *w, struct kbv_slice name, uint16_t type)
{
    for (size_t i = 0; i < w->n_harms; i++)
        if (w->harms[i].type == type && equal(&w->harms[i].name, name))
            return &w->harms[i];
    return NULL;
}

/* Does what was said about (name, type) to s, which holds or denies it, and to the message. */
static void do_harm(struct draft *d, struct kbv_rrset *s, const struct harm *h)
{
    static const enum kbv_security security[WORLD_HARMS] = {
        [WORLD_INSECURE] = KBV_SEC_INSECURE,
        [WORLD_BOGUS] = KBV_SEC_BOGUS,
        [WORLD_INDETERMINATE] = KBV_SEC_INDETERMINATE,
        [WORLD_UNCHECKED] = KBV_SEC_UNCHECKED,
    };

    switch (h->what) {
    case WORLD_LOST:
        d->a.arrived = false;
        return;
    case WORLD_SERVFAIL:
        d->a.rcode = 2;
        return;
    case WORLD_OLD_TTL:
        s->ttl_end = WORLD_NOW;
        return;
    case WORLD_OLD_SIG:
        s->n_sig = 0; /* an expired one is passed over like one that is not there */
        return;
    default:
        s->security = security[h->what];
        if (badness(s->security) > badness(d->a.security))
            d->a.security = s->security;
        if (s->security == KBV_SEC_BOGUS)
            d->a.ede = 7;
        else if (s->security == KBV_SEC_INSECURE)
            s->n_sig = 0;
    }
}

/* RRSIG RDATA (RFC 4034 section 3.1), signed by the root. */
static struct kbv_slice rrsig(struct world *w, uint16_t covered, size_t labels, int64_t ttl,
                              int64_t holds)
{
    uint8_t *rdata = chunk(w, 32), *p = rdata;

    put16(&p, covered);
    *p++ = 13;
    *p++ = (uint8_t)labels;
    put32(&p, (uint32_t)ttl);
    put32(&p, (uint32_t)(WORLD_NOW + holds));
    put32(&p, (uint32_t)(WORLD_NOW - 86400));
    put16(&p, 4711);
    *p++ = 0;
    put32(&p, 0xABCDEF01);
    return (struct kbv_slice){rdata, (size_t)(p - rdata)};
}

static struct kbv_rrset *draft_add(struct draft *d, struct kbv_slice owner, uint16_t type,
                                   int64_t ttl)
{
    struct kbv_rrset *s = &d->sets[d->n++];

    *s = (struct kbv_rrset){
        .owner = owner,
        .type = type,
        .security = KBV_SEC_SECURE,
        .added = WORLD_NOW,
        .ttl_end = WORLD_NOW + (ttl ? ttl : 1),
    };
    return s;
}

static void draft_sign(struct draft *d, struct kbv_rrset *s, size_t labels, int64_t ttl,
                       int64_t holds)
{
    struct kbv_slice *sig = chunk(d->w, sizeof(*sig));

    *sig = rrsig(d->w, s->type, labels, ttl, holds);
    s->sig = sig;
    s->n_sig = 1;
}

static void draft_add_set(struct draft *d, const struct set *set, struct kbv_slice owner)
{
    struct kbv_rrset *s = draft_add(d, owner, set->type, set->ttl);
    size_t labels = kbv_name_labels(set->owner.wire);
    const struct harm *h = harm_at(d->w, owner, set->type);

    s->rr = set->rr;
    s->n_rr = set->n_rr;
    draft_sign(d, s, labels - kbv_name_first_label_is(set->owner.wire, "*"), set->ttl, set->sig);
    if (h)
        do_harm(d, s, h);
}

static void draft_proof(struct draft *d, uint16_t type, const struct harm *h)
{
    static const uint8_t root[] = {0};
    struct kbv_rrset *s = draft_add(d, (struct kbv_slice){root, 1}, type, 300);

    draft_sign(d, s, 0, 300, 86400);
    if (h)
        do_harm(d, s, h);
}

static bool exists(const struct world *w, struct kbv_slice name)
{
    for (size_t i = 0; i < w->n_sets; i++)
        if (kbv_name_below(w->sets[i]->owner.wire, w->sets[i]->owner.len, name.p, name.len))
            return true;
    return false;
}

/* The RRset at name, or at the wildcard that covers it. */
static const struct set *match(const struct world *w, struct kbv_slice name, uint16_t type)
{
    const struct set *s = find(w, name, type);

    if (s || exists(w, name))
        return s;
    for (size_t at = 1u + name.p[0]; at < name.len; at += 1u + name.p[at]) {
        struct name wild = {.wire = {1, '*'}, .len = 2 + name.len - at};
        memcpy(wild.wire + 2, name.p + at, name.len - at);
        s = find(w, slice(&wild), type);
        if (s)
            return s;
        if (name.p[at] == 0)
            break;
    }
    return NULL;
}

static const struct set *match_dname(const struct world *w, struct kbv_slice name)
{
    for (size_t i = 0; i < w->n_sets; i++) {
        const struct set *s = w->sets[i];
        if (s->type == KBV_TYPE_DNAME && s->owner.len < name.len &&
            kbv_name_below(name.p, name.len, s->owner.wire, s->owner.len))
            return s;
    }
    return NULL;
}

/* The DNAME and the CNAME that it makes for name; where that leads. */
static struct kbv_slice draft_add_dname(struct draft *d, const struct set *dname,
                                        struct kbv_slice name)
{
    struct kbv_rrset *s;
    struct kbv_slice *target = chunk(d->w, sizeof(*target));
    size_t front = name.len - dname->owner.len;
    uint8_t *wire = chunk(d->w, front + dname->rr[0].len);

    draft_add_set(d, dname, slice(&dname->owner));
    memcpy(wire, name.p, front);
    memcpy(wire + front, dname->rr[0].p, dname->rr[0].len);
    *target = (struct kbv_slice){wire, front + dname->rr[0].len};
    s = draft_add(d, name, KBV_TYPE_CNAME, dname->ttl);
    s->rr = target;
    s->n_rr = 1;
    return *target;
}

struct kbv_answer world_answer(struct world *w, struct kbv_slice name, uint16_t type)
{
    struct draft d = {
        .w = w,
        .a = {.arrived = true, .security = KBV_SEC_SECURE, .ede = KBV_EDE_NONE},
        .sets = chunk(w, 64 * sizeof(struct kbv_rrset)),
    };
    const struct set *s = NULL;
    bool wildcard = false;
    uint8_t *copy = chunk(w, name.len);

    memcpy(copy, name.p, name.len);
    name.p = copy;
    /* Loops go round until the resolver has had enough. */
    for (int hop = 0; hop < 12; hop++) {
        const struct set *dname = match_dname(w, name), *cname;

        if (!dname && (s = match(w, name, type)))
            break;
        cname = dname ? NULL : match(w, name, KBV_TYPE_CNAME);
        if (dname) {
            name = draft_add_dname(&d, dname, name);
        } else if (cname) {
            wildcard |= !equal(&cname->owner, name);
            draft_add_set(&d, cname, name);
            name = cname->rr[0];
        } else {
            break;
        }
    }
    if (s) {
        wildcard |= !equal(&s->owner, name);
        draft_add_set(&d, s, name);
    } else if (!exists(w, name)) {
        d.a.rcode = NXDOMAIN;
    }
    d.a.n_answer = d.n;
    if (!s || wildcard) {
        const struct harm *h = s ? NULL : harm_at(w, name, type);
        bool bare = w->bare.len && kbv_name_below(name.p, name.len, w->bare.wire, w->bare.len);
        bool no_nsec =
            w->no_nsec.len && kbv_name_below(name.p, name.len, w->no_nsec.wire, w->no_nsec.len);

        if (!s && !bare)
            draft_proof(&d, KBV_TYPE_SOA, no_nsec ? h : NULL);
        if (!bare && !no_nsec)
            draft_proof(&d, KBV_TYPE_NSEC, h);
        if (bare && h)
            do_harm(&d, &(struct kbv_rrset){.n_rr = 0}, h);
    }
    d.a.answer = d.sets;
    d.a.authority = d.sets + d.a.n_answer;
    d.a.n_authority = d.n - d.a.n_answer;
    return d.a;
}

/* ---- a lookup in this world ---- */

void world_question(struct world_question *out, enum world_kind kind, const char *name,
                    const uint16_t *ports, size_t n_ports)
{
    static const uint16_t https[] = {443};
    struct name wire = name_of(name);

    *out = (struct world_question){
        .q = {.form = KBV_FORM_RR, .name_len = wire.len},
        .zone = {.suffix_len = 1,
                 .kind = KBV_ID_JOINEUI,
                 .lookup = kind == WORLD_IDENTITY ? KBV_LOOKUP_IDENTITY : KBV_LOOKUP_SERVICE},
    };
    kbv_name_lower(out->q.name, wire.wire, wire.len);
    if (kind == WORLD_LITERAL)
        return;
    out->q.zone = &out->zone;
    out->q.id = (struct kbv_id){KBV_ID_JOINEUI, {0x70, 0xB3, 0xD5, 0x7E, 0xD0}, 8};
    if (!ports) {
        ports = https;
        n_ports = 1;
    }
    memcpy(out->zone.ports, ports, n_ports * sizeof(*ports));
    out->zone.n_ports = n_ports;
}

static void __attribute__((format(printf, 3, 4)))
append(char *out, size_t cap, const char *format, ...)
{
    size_t len = strlen(out);
    va_list args;

    va_start(args, format);
    if (vsnprintf(out + len, cap - len, format, args) >= (int)(cap - len))
        die("text too long");
    va_end(args);
}

static void append_name(char *out, size_t cap, const char *before, struct kbv_slice name)
{
    char text[KBV_NAME_TEXT_MAX];

    kbv_name_to_text(name.p, name.len, text);
    append(out, cap, "%s%s", before, text);
}

/* FINDING owner [order preference priority weight port target] [aliased] [wildcard] [at found_at]
 * [names n,n] [life N] [ede N] [data hex] [: reason] */
void world_show(const struct kbv_evidence *e, char *out, size_t cap)
{
    static const char *const findings[] = {
        [KBV_FOUND_NOTHING] = "NOTHING", [KBV_FOUND_TLSA] = "TLSA",
        [KBV_FOUND_DENIAL] = "DENIAL",   [KBV_FOUND_UNPROVEN] = "UNPROVEN",
        [KBV_FOUND_STALE] = "STALE",     [KBV_FOUND_FAILURE] = "FAILURE",
        [KBV_FOUND_LIMIT] = "LIMIT",     [KBV_FOUND_REFUSAL] = "REFUSAL",
    };
    static const char *const securities[] = {
        [KBV_SEC_UNCHECKED] = "unchecked",
        [KBV_SEC_BOGUS] = "bogus",
        [KBV_SEC_INDETERMINATE] = "indeterminate",
        [KBV_SEC_INSECURE] = "insecure",
        [KBV_SEC_SECURE] = "secure",
    };

    append(out, cap, "%s", findings[e->finding]);
    if (e->finding == KBV_FOUND_UNPROVEN)
        append(out, cap, "/%s", securities[e->security]);
    append_name(out, cap, " ", e->owner);
    if (e->has_endpoint) {
        append(out, cap, " [%u %u %u %u %u", e->order, e->preference, e->priority, e->weight,
               e->port);
        append_name(out, cap, " ", e->target);
        append(out, cap, "]");
    } else if (e->order || e->preference) {
        append(out, cap, " [%u %u]", e->order, e->preference);
    }
    append(out, cap, "%s%s", e->flags & KBV_FLAG_ALIASED ? " aliased" : "",
           e->flags & KBV_FLAG_WILDCARD ? " wildcard" : "");
    if (e->found_at.p)
        append_name(out, cap, " at ", e->found_at);
    for (size_t i = 0; i < e->n_reference_names; i++)
        append_name(out, cap, i ? "," : " names ", e->reference_names[i]);
    if (e->finding == KBV_FOUND_TLSA || e->finding == KBV_FOUND_DENIAL)
        append(out, cap, " life %lld", (long long)(e->life_end - WORLD_NOW));
    if (e->ede != KBV_EDE_NONE)
        append(out, cap, " ede %u", e->ede);
    if (e->tlsa) {
        append(out, cap, " data ");
        for (size_t i = 0; i < e->tlsa->rr[0].len; i++)
            append(out, cap, "%02x", e->tlsa->rr[0].p[i]);
    }
    if (e->reason[0])
        append(out, cap, ": %s", e->reason);
}

/* The asks that were taken and are not answered. */
struct pending {
    struct kbv_subquery asks[64];
    size_t n;
};

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 16;
}

static void take_asks(struct kbv_lookup *l, struct pending *p, struct world_run *run, bool round)
{
    struct kbv_subquery ask;

    for (bool first = true; kbv_lookup_next(l, &ask); first = false) {
        char before[64];

        if (p->n == 64)
            die("more than 64 asks");
        p->asks[p->n++] = ask;
        run->n_asks++;
        snprintf(before, sizeof(before), "%s%s ",
                 !run->asks[0]    ? ""
                 : first && round ? " | "
                                  : " ",
                 type_text(ask.type));
        append_name(run->asks, sizeof(run->asks), before,
                    (struct kbv_slice){ask.name, ask.name_len});
    }
    if (kbv_lookup_outstanding(l) != p->n)
        die("%zu asks are outstanding, the lookup says %zu", p->n, kbv_lookup_outstanding(l));
}

static void answer_one(struct world *w, struct kbv_lookup *l, struct pending *p, size_t i)
{
    struct kbv_subquery ask = p->asks[i];
    struct kbv_answer a = world_answer(w, (struct kbv_slice){ask.name, ask.name_len}, ask.type);

    p->n--;
    memmove(&p->asks[i], &p->asks[i + 1], (p->n - i) * sizeof(p->asks[0]));
    kbv_lookup_answer(l, ask.id, &a, WORLD_NOW);
}

static void show_all(struct kbv_lookup *l, char *out, size_t cap)
{
    size_t n;
    const struct kbv_evidence *e = kbv_lookup_evidence(l, &n);

    out[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        world_show(&e[i], out, cap);
        append(out, cap, "\n");
    }
}

void world_run(struct world *w, const struct world_question *q, unsigned seed, size_t fail,
               struct world_run *run)
{
    struct kbv_mem mem = world_mem(w, fail);
    struct pending pending = {.n = 0};
    bool rounds = seed == 0;
    char late[sizeof(run->evidence)];

    *run = (struct world_run){.lookup = kbv_lookup_create(&mem, &q->q)};
    if (!run->lookup)
        return;
    while (!kbv_lookup_done(run->lookup)) {
        take_asks(run->lookup, &pending, run, rounds);
        if (pending.n == 0)
            die("the lookup is not done and asks nothing: %s", run->asks);
        if (!rounds) {
            answer_one(w, run->lookup, &pending, next_random(&seed) % pending.n);
            continue;
        }
        for (size_t n = pending.n; n > 0 && !kbv_lookup_done(run->lookup); n--)
            answer_one(w, run->lookup, &pending, 0);
    }
    show_all(run->lookup, run->evidence, sizeof(run->evidence));
    while (pending.n > 0)
        answer_one(w, run->lookup, &pending, 0);
    show_all(run->lookup, late, sizeof(late));
    if (strcmp(late, run->evidence) != 0)
        die("a late answer changed the evidence:\n%s\n%s", run->evidence, late);
}
