/* SPDX-License-Identifier: BSD-3-Clause */
/* Discovery: what it asks for, in which order, and what it makes of every kind of answer. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/world.h"

#define ORDERS 24 /* of arrival that a case is played in; 0 is in rounds */

/* A question in a world, and the evidence it must lead to, whatever the order of arrival. "@" in
 * expect stands for "id.". */
struct scene {
    const char *what;
    enum world_kind kind;
    const char *name; /* "id." */
    const char *lines;
    const char *expect;
};

static void play(const struct scene *s)
{
    struct world_question q;
    struct world *w = world_new(s->lines);
    struct world_run run;

    world_question(&q, s->kind, s->name ? s->name : "id.", NULL, 0);
    for (unsigned seed = 0; seed < ORDERS; seed++) {
        world_run(w, &q, seed, SIZE_MAX, &run);
        ck_assert_msg(strcmp(run.evidence, s->expect) == 0, "%s, order %u: got\n%sinstead of\n%s",
                      s->what, seed, run.evidence, s->expect);
        ck_assert_uint_le(run.n_asks, 52);
    }
    world_free(w);
}

#define N(table) ((int)(sizeof(table) / sizeof((table)[0])))

/* ---- literal owners and identities ---- */

static const struct scene literals[] = {
    {"a server's owner", WORLD_LITERAL, "_8003._tcp.js.op.", "_8003._tcp.js.op. TLSA 030101aa",
     "TLSA _8003._tcp.js.op. names js.op. life 3600 data 030101aa\n"},
    {"asked in upper case", WORLD_LITERAL, "_8003._TCP.JS.op.", "_8003._tcp.js.op. TLSA 030101aa",
     "TLSA _8003._tcp.js.op. names js.op. life 3600 data 030101aa\n"},
    {"a client's: the name is the complete owner", WORLD_LITERAL, "_ns-client.ns.op.",
     "_ns-client.ns.op. TLSA 030101aa",
     "TLSA _ns-client.ns.op. names _ns-client.ns.op. life 3600 data 030101aa\n"},
    {"a port with a leading zero is a server's too", WORLD_LITERAL, "_0443._tcp.js.",
     "_0443._tcp.js. TLSA 030101aa",
     "TLSA _0443._tcp.js. names js. life 3600 data 030101aa\n"},
    {"an identity's name is its own", WORLD_IDENTITY, "dev._device.org.",
     "dev._device.org. TLSA 020001bb",
     "TLSA dev._device.org. names dev._device.org. life 3600 data 020001bb\n"},
    {"an identity is a client even where its name looks like a server's", WORLD_IDENTITY,
     "_443._tcp.org.", "_443._tcp.org. TLSA 030101aa",
     "TLSA _443._tcp.org. names _443._tcp.org. life 3600 data 030101aa\n"},
    {"an identity from a wildcard", WORLD_IDENTITY, "dev._device.org.",
     "*._device.org. TLSA 020001bb",
     "TLSA dev._device.org. wildcard names dev._device.org. life 300 data 020001bb\n"},
    {"an alias", WORLD_LITERAL, "_443._tcp.js.",
     "_443._tcp.js. CNAME Key.Farm.\nkey.farm. TLSA 030101aa",
     "TLSA _443._tcp.js. aliased at key.farm. names js. life 3600 data 030101aa\n"},
    {"an alias by DNAME", WORLD_LITERAL, "_443._tcp.js.",
     "_tcp.js. DNAME farm.\n_443.farm. TLSA 030101aa",
     "TLSA _443._tcp.js. aliased at _443.farm. names js. life 3600 data 030101aa\n"},
    {"a host's alias is not followed for a literal", WORLD_LITERAL, "_443._tcp.js.",
     "js. CNAME farm.\n_443._tcp.farm. TLSA 030101aa",
     "DENIAL _443._tcp.js. life 300: no TLSA at _443._tcp.js.\n"},
    {"no such name", WORLD_LITERAL, "_443._tcp.js.", "js. A",
     "DENIAL _443._tcp.js. life 300: no TLSA at _443._tcp.js.\n"},
    {"no such type", WORLD_LITERAL, "_443._tcp.js.", "_443._tcp.js. TXT",
     "DENIAL _443._tcp.js. life 300: no TLSA at _443._tcp.js.\n"},
    {"an alias to nothing", WORLD_LITERAL, "_443._tcp.js.", "_443._tcp.js. CNAME farm.",
     "DENIAL _443._tcp.js. aliased life 300: no TLSA at _443._tcp.js.\n"},
    {"an alias loop", WORLD_LITERAL, "_443._tcp.js.",
     "_443._tcp.js. CNAME a.\na. CNAME b.\nb. CNAME A.",
     "LIMIT _443._tcp.js. aliased: TLSA at _443._tcp.js.: alias loop\n"},
    {"an alias of itself", WORLD_LITERAL, "_443._tcp.js.", "_443._tcp.js. CNAME _443._tcp.js.",
     "LIMIT _443._tcp.js. aliased: TLSA at _443._tcp.js.: alias loop\n"},
    {"eight aliases", WORLD_LITERAL, "a0.",
     "a0. CNAME a1.\na1. CNAME a2.\na2. CNAME a3.\na3. CNAME a4.\na4. CNAME a5.\na5. CNAME a6.\n"
     "a6. CNAME a7.\na7. CNAME a8.\na8. TLSA 030101aa",
     "TLSA a0. aliased at a8. names a0. life 3600 data 030101aa\n"},
    {"nine aliases", WORLD_LITERAL, "a0.",
     "a0. CNAME a1.\na1. CNAME a2.\na2. CNAME a3.\na3. CNAME a4.\na4. CNAME a5.\na5. CNAME a6.\n"
     "a6. CNAME a7.\na7. CNAME a8.\na8. CNAME a9.\na9. TLSA 030101aa",
     "LIMIT a0. aliased: TLSA at a0.: more than 8 aliases\n"},
    {"two records in a CNAME RRset", WORLD_LITERAL, "a.",
     "a. CNAME b.\na. CNAME c.\nb. TLSA 030101aa\nc. TLSA 030101aa",
     "FAILURE a. aliased: TLSA at a.: malformed alias\n"},
};

START_TEST(a_literal_owner_takes_one_step)
{
    play(&literals[_i]);
}
END_TEST

START_TEST(an_identity_names_its_identifier_and_a_literal_owner_none)
{
    struct world *w = world_new("dev. TLSA 030101aa");
    struct world_question q;
    struct world_run run;
    size_t n;
    const struct kbv_evidence *e;

    world_question(&q, WORLD_IDENTITY, "dev.", NULL, 0);
    world_run(w, &q, 0, SIZE_MAX, &run);
    e = kbv_lookup_evidence(run.lookup, &n);
    ck_assert_int_eq(e->identifier.kind, KBV_ID_JOINEUI);
    ck_assert_ptr_eq(e->identifier_name.p, q.q.name);
    world_question(&q, WORLD_LITERAL, "dev.", NULL, 0);
    world_run(w, &q, 0, SIZE_MAX, &run);
    e = kbv_lookup_evidence(run.lookup, &n);
    ck_assert_int_eq(e->identifier.kind, KBV_ID_NONE);
    ck_assert_ptr_null(e->identifier_name.p);
    world_free(w);
}
END_TEST

/* ---- from an identifier to endpoints ---- */

static const struct scene services[] = {
    {"flag S, two servers", WORLD_SERVICE, NULL,
     "id. NAPTR 50 50 S LWNS - _lwn._j2h.op.\nid. NAPTR 90 50 S LWN - _lwn._x2h.op.\n"
     "_lwn._j2h.op. SRV 1 1 443 js2.op.\n_lwn._j2h.op. SRV 0 1 8003 js1.op.\n"
     "js1.op. A\njs2.op. AAAA\n_8003._tcp.js1.op. TLSA 030101aa\n_443._tcp.js2.op. TLSA 020001bb",
     "TLSA _8003._tcp.js1.op. [50 50 0 1 8003 js1.op.] names js1.op.,op. life 3600 data 030101aa\n"
     "TLSA _443._tcp.js2.op. [50 50 1 1 443 js2.op.] names js2.op.,op. life 3600 data 020001bb\n"},
    {"flag A", WORLD_SERVICE, NULL,
     "id. NAPTR 50 51 A LWNS - ns.op.\nns.op. A\n_443._tcp.ns.op. TLSA 030101aa",
     "TLSA _443._tcp.ns.op. [50 51 0 0 443 ns.op.] names ns.op. life 3600 data 030101aa\n"},
    {"flag U", WORLD_SERVICE, NULL,
     "id. NAPTR 50 51 U LWNS !.*!https://ns.op:8080/x! .\nns.op. A\n_8080._tcp.ns.op. TLSA "
     "030101aa",
     "TLSA _8080._tcp.ns.op. [50 51 0 0 8080 ns.op.] names ns.op. life 3600 data 030101aa\n"},
    {"flag P, then none, then A: order and preference are the first record's", WORLD_SERVICE, NULL,
     "id. NAPTR 50 51 P LWNS - a.\na. NAPTR 1 2 - LWNS - b.\nb. NAPTR 3 4 A LWNS - ns.op.\n"
     "ns.op. A\n_443._tcp.ns.op. TLSA 030101aa",
     "TLSA _443._tcp.ns.op. [50 51 0 0 443 ns.op.] names ns.op. life 3600 data 030101aa\n"},
    {"the name is an alias of a registered one", WORLD_SERVICE, NULL,
     "id. CNAME reg.\nreg. NAPTR 1 2 A LWNS - ns.op.\nns.op. A\n_443._tcp.ns.op. TLSA 030101aa",
     "TLSA _443._tcp.ns.op. [1 2 0 0 443 ns.op.] aliased names ns.op. life 3600 data 030101aa\n"},
    {"SRV by alias: the service's domain is the replacement's", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 S LWNS - _s._t.op.\n_s._t.op. CNAME _s._t.farm.\n_s._t.farm. SRV 0 0 443 "
     "js.farm.\n"
     "js.farm. A\n_443._tcp.js.farm. TLSA 030101aa",
     "TLSA _443._tcp.js.farm. [1 2 0 0 443 js.farm.] aliased names js.farm.,op. life 3600 data "
     "030101aa\n"},
    {"the service's domain is the host: one reference name", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 S LWNS - _s._t.js.op.\n_s._t.js.op. SRV 0 0 443 JS.op.\njs.op. A\n"
     "_443._tcp.js.op. TLSA 030101aa",
     "TLSA _443._tcp.js.op. [1 2 0 0 443 js.op.] names js.op. life 3600 data 030101aa\n"},
    {"an SRV owner of two labels has no service domain", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 S LWNS - _s._t.\n_s._t. SRV 0 0 443 js.op.\njs.op. A\n"
     "_443._tcp.js.op. TLSA 030101aa",
     "TLSA _443._tcp.js.op. [1 2 0 0 443 js.op.] names js.op. life 3600 data 030101aa\n"},
    {"host alias, TLSA at its end", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 S LWNS - _s._t.op.\n_s._t.op. SRV 0 0 443 js.op.\njs.op. CNAME Js.Farm.\n"
     "js.farm. A\n_443._tcp.js.farm. TLSA 030101aa\n_443._tcp.js.op. TLSA 030101bb",
     "TLSA _443._tcp.js.op. [1 2 0 0 443 js.op.] aliased at _443._tcp.js.farm. names "
     "js.farm.,js.op.,op. life 3600 data 030101aa\n"},
    {"host alias, TLSA at the host", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 S LWNS - _s._t.op.\n_s._t.op. SRV 0 0 443 js.op.\njs.op. CNAME js.farm.\n"
     "js.farm. A\n_443._tcp.js.op. TLSA 030101bb",
     "TLSA _443._tcp.js.op. [1 2 0 0 443 js.op.] aliased names js.op.,op. life 300 data "
     "030101bb\n"},
    {"host alias, TLSA nowhere", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 A LWNS - js.op.\njs.op. CNAME js.farm.\njs.farm. A",
     "DENIAL _443._tcp.js.op. [1 2 0 0 443 js.op.] aliased life 300: no TLSA at "
     "_443._tcp.js.op.\n"},
    {"host alias, TLSA at its end by another alias", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 A LWNS - js.op.\njs.op. CNAME js.farm.\njs.farm. A\n"
     "_443._tcp.js.farm. CNAME key.\nkey. TLSA 030101aa",
     "TLSA _443._tcp.js.op. [1 2 0 0 443 js.op.] aliased at key. names js.farm.,js.op. life 3600 "
     "data 030101aa\n"},
    {"host alias, its TLSA owner an alias of the host's: found at the owner", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 A LWNS - js.op.\njs.op. CNAME js.farm.\njs.farm. A\n"
     "_443._tcp.js.farm. CNAME _443._tcp.JS.op.\n_443._tcp.js.op. TLSA 030101aa",
     "TLSA _443._tcp.js.op. [1 2 0 0 443 js.op.] aliased names js.farm.,js.op. life 3600 data "
     "030101aa\n"},
    {"host alias by DNAME", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 A LWNS - js.op.\nop. DNAME farm.\njs.farm. A\n_443._tcp.js.farm. TLSA 030101aa",
     "TLSA _443._tcp.js.op. [1 2 0 0 443 js.op.] aliased at _443._tcp.js.farm. names "
     "js.farm.,js.op. life 3600 data 030101aa\n"},
    {"the host has no address: TLSA decides", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 A LWNS - js.op.\n_443._tcp.js.op. TLSA 030101aa",
     "TLSA _443._tcp.js.op. [1 2 0 0 443 js.op.] names js.op. life 3600 data 030101aa\n"},
    {"no NAPTR: the name is the host", WORLD_SERVICE, NULL, "id. A\n_443._tcp.id. TLSA 030101aa",
     "TLSA _443._tcp.id. [0 0 0 0 443 id.] names id. life 300 data 030101aa\n"},
    {"no NAPTR, AAAA alone", WORLD_SERVICE, NULL, "id. AAAA\n_443._tcp.id. TLSA 030101aa",
     "TLSA _443._tcp.id. [0 0 0 0 443 id.] names id. life 300 data 030101aa\n"},
    {"no NAPTR: the ChirpStack way", WORLD_SERVICE, NULL,
     "id. CNAME js1.op.\njs1.op. A\n_443._tcp.js1.op. TLSA 030101aa",
     "TLSA _443._tcp.id. [0 0 0 0 443 id.] aliased at _443._tcp.js1.op. names js1.op.,id. life 300 "
     "data 030101aa\n"},
    {"no NAPTR, an alias to a host without address", WORLD_SERVICE, NULL,
     "id. CNAME js1.op.\njs1.op. TXT\n_443._tcp.js1.op. TLSA 030101aa",
     "TLSA _443._tcp.id. [0 0 0 0 443 id.] aliased at _443._tcp.js1.op. names js1.op.,id. life 300 "
     "data 030101aa\n"},
    {"no NAPTR and no TLSA", WORLD_SERVICE, NULL, "id. A",
     "DENIAL _443._tcp.id. [0 0 0 0 443 id.] life 300: no TLSA at _443._tcp.id.\n"},
    {"the name does not exist", WORLD_SERVICE, NULL, "other. A",
     "DENIAL id. life 300: id.: name not registered\n"},
    {"an alias to a name that does not exist", WORLD_SERVICE, NULL, "id. CNAME other.",
     "DENIAL id. aliased life 300: id.: name not registered\n"},
    {"neither NAPTR nor address", WORLD_SERVICE, NULL, "id. TXT",
     "DENIAL id. life 300: neither NAPTR nor address at id.\n"},
    {"an empty non-terminal", WORLD_SERVICE, NULL, "_443._tcp.id. TLSA 030101aa",
     "DENIAL id. life 300: neither NAPTR nor address at id.\n"},
    {"plain HTTP alone is no fallback", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 S LWN - _s._t.op.\nid. A\n_443._tcp.id. TLSA 030101aa",
     "DENIAL id. life 3600: only plain HTTP (LWN) in NAPTR at id.\n"},
    {"unknown services are no fallback", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 S OTHER - _s._t.op.\nid. A\n_443._tcp.id. TLSA 030101aa",
     "DENIAL id. life 3600: no usable service in NAPTR at id.\n"},
    {"nothing usable below a P flag", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 P LWNS - a.\na. NAPTR 1 2 S LWN - _s._t.op.",
     "DENIAL id. [1 2] life 3600: only plain HTTP (LWN) in NAPTR at a.\n"},
    {"NODATA below a P flag is no fallback", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 P LWNS - a.\na. A\n_443._tcp.a. TLSA 030101aa",
     "DENIAL id. [1 2] life 300: no NAPTR at a.\n"},
    {"NXDOMAIN below a P flag", WORLD_SERVICE, NULL, "id. NAPTR 1 2 P LWNS - a.",
     "DENIAL id. [1 2] life 300: no NAPTR at a.\n"},
    {"no SRV", WORLD_SERVICE, NULL, "id. NAPTR 1 2 S LWNS - _s._t.op.",
     "DENIAL id. [1 2] life 300: no SRV at _s._t.op.\n"},
    {"SRV says no", WORLD_SERVICE, NULL, "id. NAPTR 1 2 S LWNS - _s._t.op.\n_s._t.op. SRV 0 0 1 .",
     "DENIAL id. [1 2] life 3600: service not available, SRV target is . at _s._t.op.\n"},
    {"SRV with port 0 alone", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 S LWNS - _s._t.op.\n_s._t.op. SRV 0 0 0 js.op.",
     "DENIAL id. [1 2] life 3600: no usable SRV at _s._t.op.\n"},
    {"SRV with port 0 beside a good one", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 S LWNS - _s._t.op.\n_s._t.op. SRV 0 0 0 bad.op.\n_s._t.op. SRV 5 6 443 js.op.\n"
     "_443._tcp.js.op. TLSA 030101aa",
     "TLSA _443._tcp.js.op. [1 2 5 6 443 js.op.] names js.op.,op. life 3600 data 030101aa\n"},
    {"wildcard NAPTR", WORLD_SERVICE, "x.id.",
     "*.id. NAPTR 1 2 A LWNS - js.op.\njs.op. A\n_443._tcp.js.op. TLSA 030101aa",
     "TLSA _443._tcp.js.op. [1 2 0 0 443 js.op.] wildcard names js.op. life 300 data 030101aa\n"},
    {"wildcard SRV", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 S LWNS - _s._t.op.\n*.op. SRV 0 0 443 js.farm.\n"
     "_443._tcp.js.farm. TLSA 030101aa",
     "TLSA _443._tcp.js.farm. [1 2 0 0 443 js.farm.] wildcard names js.farm.,op. life 300 data "
     "030101aa\n"},
    {"wildcard alias of the host", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 A LWNS - js.op.\n*.op. CNAME js.farm.\njs.farm. A\n"
     "_443._tcp.js.farm. TLSA 030101aa",
     "TLSA _443._tcp.js.op. [1 2 0 0 443 js.op.] aliased wildcard at _443._tcp.js.farm. names "
     "js.farm.,js.op. life 300 data 030101aa\n"},
    {"a wildcard address counts for nothing", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 A LWNS - js.op.\n*.op. A ttl=5\n_443._tcp.js.op. TLSA 030101aa",
     "TLSA _443._tcp.js.op. [1 2 0 0 443 js.op.] names js.op. life 3600 data 030101aa\n"},
};

START_TEST(an_identifier_leads_to_endpoints)
{
    play(&services[_i]);
}
END_TEST

/* ---- every step, every harm ---- */

/* The longest way there is: an alias at every step that can have one. */
#define LONG_WAY                                                                                   \
    "id. CNAME reg.\nreg. NAPTR 7 9 P LWNS - next.\nnext. NAPTR 1 1 S LWNS - _s._t.op.\n"          \
    "_s._t.op. CNAME _s._t.svc.\n_s._t.svc. SRV 3 4 443 js.op.\njs.op. CNAME js.host.\n"           \
    "js.host. A\n_443._tcp.js.host. CNAME key.\nkey. TLSA 030101aa\n"
#define AT_END "_443._tcp.js.op. [7 9 3 4 443 js.op.] aliased"

static const struct {
    const char *owner, *type;
    const char *end;     /* where the path ends */
    const char *subject; /* what the reason names */
} steps[] = {
    {"id.", "CNAME", "id.", "NAPTR at id."},
    {"reg.", "NAPTR", "id.", "NAPTR at id."},
    {"next.", "NAPTR", "id. [7 9] aliased", "NAPTR at next."},
    {"_s._t.op.", "CNAME", "id. [7 9] aliased", "SRV at _s._t.op."},
    {"_s._t.svc.", "SRV", "id. [7 9] aliased", "SRV at _s._t.op."},
    {"js.op.", "CNAME", AT_END, "alias at js.op."},
    {"_443._tcp.js.host.", "CNAME", AT_END, "TLSA at _443._tcp.js.host."},
    {"key.", "TLSA", AT_END, "TLSA at _443._tcp.js.host."},
};

static const struct {
    enum world_harm harm;
    const char *finding, *ede, *what;
} harms[] = {
    {WORLD_INSECURE, "UNPROVEN/insecure", "", "insecure"},
    {WORLD_BOGUS, "UNPROVEN/bogus", " ede 7", "bogus"},
    {WORLD_INDETERMINATE, "UNPROVEN/indeterminate", "", "indeterminate"},
    {WORLD_UNCHECKED, "UNPROVEN/unchecked", "", "not validated"},
    {WORLD_LOST, "FAILURE", "", "no answer"},
    {WORLD_SERVFAIL, "FAILURE", "", "no answer"},
    {WORLD_OLD_TTL, "STALE", "", "expired"},
    {WORLD_OLD_SIG, "STALE", "", "expired"},
};

START_TEST(the_long_way_is_found)
{
    play(&(struct scene){"the long way", WORLD_SERVICE, NULL, LONG_WAY,
                         "TLSA " AT_END
                         " at key. names js.host.,js.op.,op. life 3600 data 030101aa\n"});
}
END_TEST

START_TEST(a_harmed_step_decides_for_its_path)
{
    const int step = _i / N(harms), harm = _i % N(harms);
    /* An answer of which nothing is believed does not tell that there was an alias. */
    const bool silent = harms[harm].harm == WORLD_BOGUS || harms[harm].harm == WORLD_LOST ||
                        harms[harm].harm == WORLD_SERVFAIL;
    const bool host = strcmp(steps[step].owner, "js.op.") == 0;
    const char *subject = host && silent ? "address of js.op." : steps[step].subject;
    const bool first = step < 2;
    struct world_question q;
    struct world *w = world_new(LONG_WAY);
    struct world_run run;
    char expect[512];

    snprintf(expect, sizeof(expect), "%s %s%s%s: %s: %s\n", harms[harm].finding, steps[step].end,
             first && !silent ? " aliased" : "", harms[harm].ede, subject, harms[harm].what);
    world_harm(w, steps[step].owner, world_type(steps[step].type), harms[harm].harm);
    world_question(&q, WORLD_SERVICE, "id.", NULL, 0);
    for (unsigned seed = 0; seed < ORDERS; seed++) {
        world_run(w, &q, seed, SIZE_MAX, &run);
        ck_assert_str_eq(run.evidence, expect);
    }
    world_free(w);
}
END_TEST

START_TEST(a_harmed_literal_is_what_its_harm_is)
{
    struct world_question q;
    struct world *w = world_new("_443._tcp.js. TLSA 030101aa");
    struct world_run run;
    char expect[256];

    snprintf(expect, sizeof(expect), "%s _443._tcp.js.%s: TLSA at _443._tcp.js.: %s\n",
             harms[_i].finding, harms[_i].ede, harms[_i].what);
    world_harm(w, "_443._tcp.js.", KBV_TYPE_TLSA, harms[_i].harm);
    world_question(&q, WORLD_LITERAL, "_443._tcp.js.", NULL, 0);
    world_run(w, &q, 0, SIZE_MAX, &run);
    ck_assert_str_eq(run.evidence, expect);
    world_free(w);
}
END_TEST

/* Each of these denials would lead to another step, or end in "there is none", if it were secure.
 */
static const struct {
    const char *lines, *owner, *type, *end, *subject;
} denials[] = {
    {"id. A\n_443._tcp.id. TLSA 030101aa", "id.", "NAPTR", "id.", "NAPTR at id."},
    {"other. A", "id.", "NAPTR", "id.", "NAPTR at id."},
    {"id. TXT", "id.", "A", "id.", "address of id."},
    {"id. TXT", "id.", "AAAA", "id.", "address of id."},
    {"id. NAPTR 7 9 P LWNS - a.", "a.", "NAPTR", "id. [7 9]", "NAPTR at a."},
    {"id. NAPTR 7 9 S LWNS - _s._t.op.", "_s._t.op.", "SRV", "id. [7 9]", "SRV at _s._t.op."},
    {"id. NAPTR 7 9 A LWNS - js.", "_443._tcp.js.", "TLSA", "_443._tcp.js. [7 9 0 0 443 js.]",
     "TLSA at _443._tcp.js."},
    {"id. NAPTR 7 9 A LWNS - js.\njs. CNAME farm.\nfarm. A\n_443._tcp.js. TLSA 030101aa",
     "_443._tcp.farm.", "TLSA", "_443._tcp.js. [7 9 0 0 443 js.] aliased",
     "TLSA at _443._tcp.farm."},
};

START_TEST(a_denial_counts_only_if_it_is_secure)
{
    const int row = _i / N(harms), harm = _i % N(harms);
    struct world_question q;
    struct world *w = world_new(denials[row].lines);
    struct world_run run;
    char expect[512];

    snprintf(expect, sizeof(expect), "%s %s%s: %s: %s\n", harms[harm].finding, denials[row].end,
             harms[harm].ede, denials[row].subject, harms[harm].what);
    world_harm(w, denials[row].owner, world_type(denials[row].type), harms[harm].harm);
    world_question(&q, WORLD_SERVICE, "id.", NULL, 0);
    for (unsigned seed = 0; seed < ORDERS; seed++) {
        world_run(w, &q, seed, SIZE_MAX, &run);
        ck_assert_str_eq(run.evidence, expect);
    }
    world_free(w);
}
END_TEST

/* ---- addresses ---- */

#define SERVER                                                                                     \
    "id. NAPTR 1 2 A LWNS - js.\n_443._tcp.js. TLSA 030101aa\n_443._tcp.farm. TLSA 030101ff\n"
#define AT_JS "_443._tcp.js. [1 2 0 0 443 js.]"
#define PLAIN "TLSA " AT_JS " names js. life 3600 data 030101aa\n"
#define ALIAS "TLSA " AT_JS " aliased at _443._tcp.farm. names farm.,js. life 3600 data 030101ff\n"

static const struct scene addresses[] = {
    {"insecure addresses without alias", WORLD_SERVICE, NULL,
     SERVER "js. A\njs. AAAA\nHARM js. A INSECURE\nHARM js. AAAA INSECURE", PLAIN},
    {"indeterminate and unchecked ones", WORLD_SERVICE, NULL,
     SERVER "js. A\njs. AAAA\nHARM js. A INDETERMINATE\nHARM js. AAAA UNCHECKED", PLAIN},
    {"insecure denials without alias", WORLD_SERVICE, NULL,
     SERVER "HARM js. A INSECURE\nHARM js. AAAA INSECURE", PLAIN},
    {"expired ones", WORLD_SERVICE, NULL, SERVER "js. A\nHARM js. A OLD_TTL", PLAIN},
    {"A is lost", WORLD_SERVICE, NULL, SERVER "js. AAAA\nHARM js. A LOST", PLAIN},
    {"AAAA is lost", WORLD_SERVICE, NULL, SERVER "js. A\nHARM js. AAAA LOST", PLAIN},
    {"A is bogus, AAAA denied", WORLD_SERVICE, NULL, SERVER "js. A\nHARM js. A BOGUS", PLAIN},
    {"A is SERVFAIL, AAAA insecure", WORLD_SERVICE, NULL,
     SERVER "js. AAAA\nHARM js. A SERVFAIL\nHARM js. AAAA INSECURE", PLAIN},
    {"both are lost", WORLD_SERVICE, NULL, SERVER "HARM js. A LOST\nHARM js. AAAA LOST",
     "FAILURE " AT_JS ": address of js.: no answer\n"},
    {"one is lost, the other bogus", WORLD_SERVICE, NULL,
     SERVER "js. AAAA\nHARM js. A LOST\nHARM js. AAAA BOGUS",
     "UNPROVEN/bogus " AT_JS " ede 7: address of js.: bogus\n"},
    {"one is bogus, the other lost", WORLD_SERVICE, NULL,
     SERVER "js. A\nHARM js. A BOGUS\nHARM js. AAAA LOST",
     "UNPROVEN/bogus " AT_JS " ede 7: address of js.: bogus\n"},
    {"a secure alias", WORLD_SERVICE, NULL, SERVER "js. CNAME farm.\nfarm. A\nfarm. AAAA", ALIAS},
    {"A at its end is lost", WORLD_SERVICE, NULL,
     SERVER "js. CNAME farm.\nfarm. AAAA\nHARM farm. A LOST", ALIAS},
    {"AAAA at its end is bogus", WORLD_SERVICE, NULL,
     SERVER "js. CNAME farm.\nfarm. A\nHARM farm. AAAA BOGUS", ALIAS},
    {"an alias into an insecure zone", WORLD_SERVICE, NULL,
     SERVER "js. CNAME farm.\nfarm. A\nHARM farm. A INSECURE\nHARM farm. AAAA INSECURE",
     "UNPROVEN/insecure " AT_JS " aliased: alias at js.: insecure\n"},
    {"both at its end are lost", WORLD_SERVICE, NULL,
     SERVER "js. CNAME farm.\nHARM farm. A LOST\nHARM farm. AAAA LOST",
     "FAILURE " AT_JS ": address of js.: no answer\n"},
    {"an insecure alias, though the host has a secure TLSA", WORLD_SERVICE, NULL,
     SERVER "js. CNAME farm.\nfarm. A\nHARM js. CNAME INSECURE",
     "UNPROVEN/insecure " AT_JS " aliased: alias at js.: insecure\n"},
    {"a secure alias to an insecure one", WORLD_SERVICE, NULL,
     SERVER "js. CNAME mid.\nmid. CNAME farm.\nfarm. A\nHARM mid. CNAME INSECURE",
     "UNPROVEN/insecure " AT_JS " aliased: alias at js.: insecure\n"},
    {"an insecure alias before an indeterminate one: the worse counts", WORLD_SERVICE, NULL,
     SERVER "js. CNAME mid.\nmid. CNAME farm.\nfarm. A\nHARM js. CNAME INSECURE\n"
            "HARM mid. CNAME INDETERMINATE",
     "UNPROVEN/indeterminate " AT_JS " aliased: alias at js.: indeterminate\n"},
    {"an alias loop", WORLD_SERVICE, NULL, SERVER "js. CNAME farm.\nfarm. CNAME js.",
     "LIMIT " AT_JS " aliased: alias at js.: alias loop\n"},
    {"an insecure alias loop", WORLD_SERVICE, NULL,
     SERVER "js. CNAME farm.\nfarm. CNAME js.\nHARM js. CNAME INSECURE",
     "UNPROVEN/insecure " AT_JS " aliased: alias at js.: insecure\n"},
    {"UNUSABLE at the end does not fall back", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 A LWNS - js.\n_443._tcp.js. TLSA 030101aa\n_443._tcp.farm. TLSA ffffff00\n"
     "js. CNAME farm.\nfarm. A",
     "TLSA " AT_JS " aliased at _443._tcp.farm. names farm.,js. life 3600 data ffffff00\n"},
    /* Without NAPTR: the same answers decide whether there is a host at all. */
    {"fallback: A lost, AAAA there", WORLD_SERVICE, NULL,
     "id. AAAA\n_443._tcp.id. TLSA 030101aa\nHARM id. A LOST",
     "TLSA _443._tcp.id. [0 0 0 0 443 id.] names id. life 300 data 030101aa\n"},
    {"fallback: A bogus, AAAA there", WORLD_SERVICE, NULL,
     "id. A\nid. AAAA\n_443._tcp.id. TLSA 030101aa\nHARM id. A BOGUS",
     "TLSA _443._tcp.id. [0 0 0 0 443 id.] names id. life 300 data 030101aa\n"},
    {"fallback: A insecurely denied, AAAA there", WORLD_SERVICE, NULL,
     "id. AAAA\n_443._tcp.id. TLSA 030101aa\nHARM id. A INSECURE",
     "TLSA _443._tcp.id. [0 0 0 0 443 id.] names id. life 300 data 030101aa\n"},
    {"fallback: insecure addresses", WORLD_SERVICE, NULL,
     "id. A\nid. AAAA\n_443._tcp.id. TLSA 030101aa\nHARM id. A INSECURE\nHARM id. AAAA INSECURE",
     "TLSA _443._tcp.id. [0 0 0 0 443 id.] names id. life 300 data 030101aa\n"},
    {"fallback: A lost, AAAA denied", WORLD_SERVICE, NULL, "id. TXT\nHARM id. A LOST",
     "FAILURE id.: address of id.: no answer\n"},
    {"fallback: A lost, AAAA bogus", WORLD_SERVICE, NULL,
     "id. TXT\nHARM id. A LOST\nHARM id. AAAA BOGUS",
     "UNPROVEN/bogus id. ede 7: address of id.: bogus\n"},
    {"fallback: A denied insecurely, AAAA bogus", WORLD_SERVICE, NULL,
     "id. TXT\nHARM id. A INSECURE\nHARM id. AAAA BOGUS",
     "UNPROVEN/bogus id. ede 7: address of id.: bogus\n"},
    {"fallback: A denied insecurely, AAAA securely", WORLD_SERVICE, NULL,
     "id. TXT\nHARM id. A INSECURE", "UNPROVEN/insecure id.: address of id.: insecure\n"},
};

START_TEST(addresses_count_for_aliases_and_denial_alone)
{
    play(&addresses[_i]);
}
END_TEST

/* One answer given by hand, all others by the world. */
struct odd_answer {
    uint16_t type;
    struct kbv_answer answer;
};

/* Plays the lookup with answers for id.'s records of some types replaced; evidence into out. */
static void play_with(struct world *w, const char *name, const struct odd_answer *odds,
                      size_t n_odds, char *out, size_t cap)
{
    struct world_question q;
    struct kbv_mem mem = world_mem(w, SIZE_MAX);
    struct kbv_lookup *l;
    struct kbv_subquery ask;
    size_t n;
    const struct kbv_evidence *e;

    world_question(&q, WORLD_SERVICE, "id.", NULL, 0);
    l = kbv_lookup_create(&mem, &q.q);
    while (kbv_lookup_next(l, &ask)) {
        struct kbv_answer a = world_answer(w, (struct kbv_slice){ask.name, ask.name_len}, ask.type);
        char text[KBV_NAME_TEXT_MAX];

        kbv_name_to_text(ask.name, ask.name_len, text);
        for (size_t i = 0; i < n_odds; i++)
            if (odds[i].type == ask.type && strcmp(text, name) == 0)
                a = odds[i].answer;
        kbv_lookup_answer(l, ask.id, &a, WORLD_NOW);
    }
    ck_assert(kbv_lookup_done(l));
    e = kbv_lookup_evidence(l, &n);
    out[0] = '\0';
    for (size_t i = 0; i < n; i++)
        world_show(&e[i], out, cap);
}

/* The answer that another world gives to (name, type). */
static struct odd_answer odd(struct world *w, const char *name, uint16_t type)
{
    struct world_question q;

    world_question(&q, WORLD_LITERAL, name, NULL, 0);
    return (struct odd_answer){type,
                               world_answer(w, (struct kbv_slice){q.q.name, q.q.name_len}, type)};
}

START_TEST(where_the_families_differ_an_alias_counts_and_then_the_first_one)
{
    struct world *w = world_new(SERVER "js. A\njs. AAAA\n_443._tcp.barn. TLSA 030101ee");
    struct world *farm = world_new("js. CNAME farm.\nfarm. A\nfarm. AAAA");
    struct world *barn = world_new("js. CNAME barn.\nbarn. A\nbarn. AAAA");
    struct world *bad = world_new("js. CNAME barn.\nbarn. A\nHARM js. CNAME INSECURE");
    struct odd_answer odds[2] = {odd(farm, "js.", KBV_TYPE_AAAA), odd(barn, "js.", KBV_TYPE_A)};
    char out[1024];

    play_with(w, "js.", odds, 1, out, sizeof(out)); /* A shows none */
    ck_assert_ptr_nonnull(strstr(out, "at _443._tcp.farm. "));
    play_with(w, "js.", odds, 2, out, sizeof(out));
    ck_assert_ptr_nonnull(strstr(out, "at _443._tcp.barn. "));
    odds[1] = odd(bad, "js.", KBV_TYPE_A);
    play_with(w, "js.", odds, 2, out, sizeof(out));
    ck_assert_str_eq(out, "UNPROVEN/insecure " AT_JS " aliased: alias at js.: insecure");
    odds[0] = odd(bad, "js.", KBV_TYPE_AAAA);
    play_with(w, "js.", odds, 1, out, sizeof(out)); /* A shows none, AAAA an insecure one */
    ck_assert_str_eq(out, "UNPROVEN/insecure " AT_JS " aliased: alias at js.: insecure");
    world_free(w);
    world_free(farm);
    world_free(barn);
    world_free(bad);
}
END_TEST

START_TEST(aliases_that_naptr_alone_showed_count_without_naptr_too)
{
    /* Five before NAPTR, none or one at the addresses, then four at TLSA. */
    struct world *w = world_new("id. CNAME 1.\n1. CNAME 2.\n2. CNAME 3.\n3. CNAME 4.\n4. CNAME 5.\n"
                                "5. A\n_443._tcp.id. CNAME a.\n_443._tcp.js. CNAME a.\n"
                                "a. CNAME b.\nb. CNAME c.\nc. CNAME d.\nd. TLSA 030101aa");
    struct world *plain = world_new("id. A"), *alias = world_new("id. CNAME js.\njs. A");
    struct odd_answer odds[2] = {odd(plain, "id.", KBV_TYPE_A), odd(plain, "id.", KBV_TYPE_AAAA)};
    const char *expect = "LIMIT _443._tcp.id. [0 0 0 0 443 id.] aliased: id.: more than 8 aliases "
                         "and NAPTR hops on the way";
    char out[1024];

    play_with(w, "id.", odds, 2, out, sizeof(out));
    ck_assert_str_eq(out, expect);
    odds[0] = odd(alias, "id.", KBV_TYPE_A);
    play_with(w, "id.", odds, 2, out, sizeof(out));
    ck_assert_str_eq(out, expect);
    world_free(w);
    world_free(plain);
    world_free(alias);
}
END_TEST

START_TEST(a_denial_of_addresses_holds_as_long_as_both)
{
    struct world *w = world_new("id. TXT");

    for (int i = 0; i < 2; i++) {
        struct odd_answer o = odd(w, "id.", i ? KBV_TYPE_AAAA : KBV_TYPE_A);
        struct kbv_rrset sets[2];
        char out[1024];

        ck_assert_uint_eq(o.answer.n_authority, 2);
        memcpy(sets, o.answer.authority, sizeof(sets));
        sets[1].ttl_end = WORLD_NOW + 44;
        o.answer.authority = sets;
        play_with(w, "id.", &o, 1, out, sizeof(out));
        ck_assert_str_eq(out, "DENIAL id. life 44: neither NAPTR nor address at id.");
    }
    world_free(w);
}
END_TEST

/* ---- answers that make no sense ---- */

/* A message with its parts exchanged, asked of (name, TLSA). */
static void expect_literal(const struct kbv_answer *a, const char *name, const char *expect)
{
    struct world *w = world_new("");
    struct world_question q;
    struct kbv_evidence e;
    struct kbv_mem mem = world_mem(w, SIZE_MAX);
    char out[1024] = "";

    world_question(&q, WORLD_LITERAL, name, NULL, 0);
    kbv_lookup_literal(&mem, &q.q, a, WORLD_NOW, &e);
    world_show(&e, out, sizeof(out));
    ck_assert_str_eq(out, expect);
    world_free(w);
}

START_TEST(a_broken_alias_chain_is_no_denial)
{
    static const uint8_t a[] = {1, 'a', 0}, other[] = {1, 'z', 0};
    struct world *w = world_new("a. CNAME b.\nb. CNAME c.\nc. TLSA 030101aa\n");
    struct kbv_answer whole = world_answer(w, (struct kbv_slice){a, 3}, KBV_TYPE_TLSA), cut = whole;
    struct kbv_rrset sets[3];

    ck_assert_uint_eq(whole.n_answer, 3);
    memcpy(sets, whole.answer, sizeof(sets));
    cut.answer = sets;
    expect_literal(&cut, "a.", "TLSA a. aliased at c. names a. life 3600 data 030101aa");
    sets[1].owner = (struct kbv_slice){other, 3}; /* the middle link is missing */
    expect_literal(&cut, "a.", "FAILURE a. aliased: TLSA at a.: broken alias chain");
    cut.n_answer = 2; /* only the loose link betrays it */
    expect_literal(&cut, "a.", "FAILURE a. aliased: TLSA at a.: broken alias chain");
    sets[1] = sets[2]; /* only the records do */
    expect_literal(&cut, "a.", "FAILURE a. aliased: TLSA at a.: broken alias chain");
    sets[0].owner = (struct kbv_slice){other, 3}; /* nothing begins at the name asked */
    expect_literal(&cut, "a.", "FAILURE a.: TLSA at a.: broken alias chain");
    world_free(w);
}
END_TEST

START_TEST(an_answer_that_contradicts_itself_is_a_failure)
{
    static const uint8_t a[] = {1, 'a', 0};
    struct world *w = world_new("a. TLSA 030101aa");
    struct kbv_answer answer = world_answer(w, (struct kbv_slice){a, 3}, KBV_TYPE_TLSA);
    struct kbv_rrset empty = answer.answer[0];

    answer.rcode = 3;
    expect_literal(&answer, "a.", "FAILURE a.: TLSA at a.: records of a name that does not exist");
    answer.rcode = 5;
    expect_literal(&answer, "a.", "FAILURE a.: TLSA at a.: no answer");
    answer.rcode = 0;
    empty.n_rr = 0;
    answer.answer = &empty;
    expect_literal(&answer, "a.", "FAILURE a.: TLSA at a.: empty RRset");
    world_free(w);
}
END_TEST

START_TEST(a_dname_must_make_the_cname_beside_it)
{
    static const uint8_t x[] = {1, 'x', 1, 'a', 0}, to_y[] = {1, 'y', 1, 'b', 0};
    struct kbv_slice target = {to_y, 5};
    struct world *w = world_new("a. DNAME b.\nx.b. TLSA 030101aa\ny.b. TLSA 030101aa");
    struct kbv_answer answer = world_answer(w, (struct kbv_slice){x, 5}, KBV_TYPE_TLSA);
    struct kbv_rrset sets[3];

    ck_assert_uint_eq(answer.n_answer, 3);
    memcpy(sets, answer.answer, sizeof(sets));
    answer.answer = sets;
    expect_literal(&answer, "x.a.", "TLSA x.a. aliased at x.b. names x.a. life 3600 data 030101aa");
    sets[1].security = KBV_SEC_UNCHECKED;
    expect_literal(&answer, "x.a.", "UNPROVEN/unchecked x.a. aliased: TLSA at x.a.: not validated");
    sets[1].security = KBV_SEC_SECURE;
    sets[1].rr = &target;
    expect_literal(&answer, "x.a.",
                   "FAILURE x.a. aliased: TLSA at x.a.: CNAME that contradicts its DNAME");
    sets[1] = sets[2];
    expect_literal(&answer, "x.a.", "FAILURE x.a. aliased: TLSA at x.a.: DNAME without its CNAME");
    answer.n_answer = 1; /* it does not redirect its own owner */
    expect_literal(&answer, "a.", "DENIAL a. life 1: no TLSA at a.");
    world_free(w);
}
END_TEST

START_TEST(a_bogus_message_is_bogus_whatever_it_holds)
{
    struct kbv_answer answer = {.arrived = true, .rcode = 2, .security = KBV_SEC_BOGUS, .ede = 9};

    expect_literal(&answer, "a.", "UNPROVEN/bogus a. ede 9: TLSA at a.: bogus");
    answer.arrived = false; /* then the rest means nothing */
    expect_literal(&answer, "a.", "FAILURE a.: TLSA at a.: no answer");
    expect_literal(&(struct kbv_answer){0}, "a.", "FAILURE a.: TLSA at a.: no answer");
}
END_TEST

/* Each RRset of the answer to (name, TLSA) in turn is not secure in a message that is. */
static void harm_each_rrset(const char *lines, const char *name, size_t n, const char *flags)
{
    struct world *w = world_new(lines);
    struct world_question q;
    struct kbv_answer answer;
    struct kbv_rrset sets[8];
    char expect[256];

    world_question(&q, WORLD_LITERAL, name, NULL, 0);
    answer = world_answer(w, (struct kbv_slice){q.q.name, q.q.name_len}, KBV_TYPE_TLSA);
    ck_assert_uint_eq(answer.n_answer + answer.n_authority, n);
    for (size_t i = 0; i < n; i++) {
        memcpy(sets, answer.answer, n * sizeof(sets[0]));
        sets[i].security = KBV_SEC_INDETERMINATE;
        if (sets[i].type == KBV_TYPE_NSEC)
            sets[i].type = KBV_TYPE_NSEC3;
        snprintf(expect, sizeof(expect), "UNPROVEN/indeterminate %s%s: TLSA at %s: indeterminate",
                 name, flags, name);
        expect_literal(&(struct kbv_answer){.arrived = true,
                                            .rcode = answer.rcode,
                                            .security = KBV_SEC_SECURE,
                                            .ede = KBV_EDE_NONE,
                                            .answer = sets,
                                            .n_answer = answer.n_answer,
                                            .authority = sets + answer.n_answer,
                                            .n_authority = answer.n_authority},
                       name, expect);
    }
    world_free(w);
}

START_TEST(a_secure_message_does_not_vouch_for_its_rrsets)
{
    harm_each_rrset("a. CNAME b.\nb. CNAME c.\nc. TLSA 030101aa", "a.", 3, " aliased");
    harm_each_rrset("*.b. TLSA 030101aa", "a.b.", 2, " wildcard");
    harm_each_rrset("a. CNAME b.", "a.", 3, " aliased");
    harm_each_rrset("a. TXT", "a.", 2, "");
}
END_TEST

START_TEST(records_in_a_message_that_is_not_secure_count_for_nothing)
{
    static const uint8_t a[] = {1, 'a', 0};
    struct world *w = world_new("a. TLSA 030101aa");
    struct kbv_answer answer = world_answer(w, (struct kbv_slice){a, 3}, KBV_TYPE_TLSA);

    answer.security = KBV_SEC_INDETERMINATE;
    expect_literal(&answer, "a.", "UNPROVEN/indeterminate a.: TLSA at a.: indeterminate");
    world_free(w);
}
END_TEST

/* ---- how long evidence holds ---- */

static const struct scene lives[] = {
    {"TLSA's TTL", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 A LWNS - js.\njs. A\n_443._tcp.js. TLSA ttl=77 030101aa",
     "TLSA " AT_JS " names js. life 77 data 030101aa\n"},
    {"TLSA's signature", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 A LWNS - js.\njs. A\n_443._tcp.js. TLSA sig=78 030101aa",
     "TLSA " AT_JS " names js. life 78 data 030101aa\n"},
    {"TTL 0 lives a second", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 A LWNS - js.\njs. A\n_443._tcp.js. TLSA ttl=0 030101aa",
     "TLSA " AT_JS " names js. life 1 data 030101aa\n"},
    {"NAPTR", WORLD_SERVICE, NULL,
     "id. NAPTR ttl=79 1 2 A LWNS - js.\njs. A\n_443._tcp.js. TLSA 030101aa",
     "TLSA " AT_JS " names js. life 79 data 030101aa\n"},
    {"the alias before NAPTR", WORLD_SERVICE, NULL,
     "id. CNAME sig=80 reg.\nreg. NAPTR 1 2 A LWNS - js.\njs. A\n_443._tcp.js. TLSA 030101aa",
     "TLSA " AT_JS " aliased names js. life 80 data 030101aa\n"},
    {"the NAPTR in between", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 P LWNS - a.\na. NAPTR ttl=81 1 1 A LWNS - js.\njs. A\n"
     "_443._tcp.js. TLSA 030101aa",
     "TLSA " AT_JS " names js. life 81 data 030101aa\n"},
    {"SRV", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 S LWNS - _s._t.js.\n_s._t.js. SRV ttl=82 0 0 443 js.\njs. A\n"
     "_443._tcp.js. TLSA 030101aa",
     "TLSA " AT_JS " names js. life 82 data 030101aa\n"},
    {"the host's alias", WORLD_SERVICE, NULL, SERVER "js. CNAME ttl=83 farm.\nfarm. A",
     "TLSA " AT_JS " aliased at _443._tcp.farm. names farm.,js. life 83 data 030101ff\n"},
    {"the host's DNAME", WORLD_SERVICE, "id.",
     "id. NAPTR 1 2 A LWNS - js.op.\nop. DNAME ttl=84 farm.\njs.farm. A\n"
     "_443._tcp.js.farm. TLSA 030101aa",
     "TLSA _443._tcp.js.op. [1 2 0 0 443 js.op.] aliased at _443._tcp.js.farm. names "
     "js.farm.,js.op. life 84 data 030101aa\n"},
    {"an address does not count", WORLD_SERVICE, NULL,
     SERVER "js. CNAME farm.\nfarm. A ttl=1\nfarm. AAAA sig=1", ALIAS},
    {"a denied SRV beside a good one does not count", WORLD_SERVICE, NULL,
     SERVER "id. NAPTR 9 9 S LWNS - _s._t.op.\njs. A", PLAIN},
    {"a denial without its proof lives a second", WORLD_LITERAL, "a.b.", "BARE b.",
     "DENIAL a.b. life 1: no TLSA at a.b.\n"},
    {"a denial with the SOA alone", WORLD_LITERAL, "a.b.", "NONSEC b.",
     "DENIAL a.b. life 300: no TLSA at a.b.\n"},
    {"the first denial speaks for all and holds as long as all", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 S LWNS - _s._t.x.\nid. NAPTR 1 3 S LWNS - _s._t.y.\n_s._t.x. SRV 0 0 1 .\n"
     "_s._t.y. SRV ttl=85 0 0 1 .",
     "DENIAL id. [1 2] life 85: service not available, SRV target is . at _s._t.x.\n"},
};

START_TEST(evidence_holds_as_long_as_all_it_rests_on)
{
    play(&lives[_i]);
}
END_TEST

/* ---- order, repetitions, branches that end ---- */

#define TWO                                                                                        \
    "id. NAPTR 1 2 S LWNS - _s._t.x.\nid. NAPTR 3 4 A LWNS - js.\n_443._tcp.js. TLSA 030101aa\n"
#define SECOND "TLSA _443._tcp.js. [3 4 0 0 443 js.] names js. life 3600 data 030101aa\n"

static const struct scene orders[] = {
    {"order, preference, priority, weight, port, name", WORLD_SERVICE, NULL,
     "id. NAPTR 2 1 S LWNS - _s._t.a.\nid. NAPTR 1 9 S LWNS - _s._t.b.\n"
     "id. NAPTR 1 3 S LWNS - _s._t.c.\n"
     "_s._t.a. SRV 0 0 1 h.\n_s._t.b. SRV 0 0 2 h.\n"
     "_s._t.c. SRV 1 0 3 h.\n_s._t.c. SRV 0 5 5 h.\n_s._t.c. SRV 0 9 9 h.\n_s._t.c. SRV 0 5 4 h.\n"
     "_s._t.c. SRV 0 5 4 g.",
     "DENIAL _9._tcp.h. [1 3 0 9 9 h.] life 300: no TLSA at _9._tcp.h.\n"
     "DENIAL _4._tcp.g. [1 3 0 5 4 g.] life 300: no TLSA at _4._tcp.g.\n"
     "DENIAL _4._tcp.h. [1 3 0 5 4 h.] life 300: no TLSA at _4._tcp.h.\n"
     "DENIAL _5._tcp.h. [1 3 0 5 5 h.] life 300: no TLSA at _5._tcp.h.\n"
     "DENIAL _3._tcp.h. [1 3 1 0 3 h.] life 300: no TLSA at _3._tcp.h.\n"
     "DENIAL _2._tcp.h. [1 9 0 0 2 h.] life 300: no TLSA at _2._tcp.h.\n"
     "DENIAL _1._tcp.h. [2 1 0 0 1 h.] life 300: no TLSA at _1._tcp.h.\n"},
    {"of equal ones the order below a P flag counts", WORLD_SERVICE, NULL,
     "id. NAPTR 1 1 P LWNS - n.\nn. NAPTR 9 9 A LWNS - a.\nn. NAPTR 5 5 A LWNS - b.",
     "DENIAL _443._tcp.b. [1 1 0 0 443 b.] life 300: no TLSA at _443._tcp.b.\n"
     "DENIAL _443._tcp.a. [1 1 0 0 443 a.] life 300: no TLSA at _443._tcp.a.\n"},
    {"a repeated endpoint counts where it comes first", WORLD_SERVICE, NULL,
     "id. NAPTR 2 2 A LWNS - js.\nid. NAPTR 1 2 S LWNS - _s._t.x.\nid. NAPTR 3 2 A LWNS - js.\n"
     "_s._t.x. SRV 5 0 443 js.\n_s._t.x. SRV 6 0 443 js.\n_443._tcp.js. TLSA 030101aa",
     "TLSA _443._tcp.js. [1 2 5 0 443 js.] names js.,x. life 3600 data 030101aa\n"},
    {"a denied branch says nothing beside an endpoint", WORLD_SERVICE, NULL, TWO, SECOND},
    {"a branch that refuses likewise", WORLD_SERVICE, NULL, TWO "_s._t.x. SRV 0 0 1 .", SECOND},
    {"an insecure branch stays, in its place", WORLD_SERVICE, NULL,
     TWO "HARM _s._t.x. SRV INSECURE",
     "UNPROVEN/insecure id. [1 2]: SRV at _s._t.x.: insecure\n" SECOND},
    {"a lost branch stays", WORLD_SERVICE, NULL, TWO "HARM _s._t.x. SRV LOST",
     "FAILURE id. [1 2]: SRV at _s._t.x.: no answer\n" SECOND},
    {"a denied branch says nothing beside a lost one", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 S LWNS - _s._t.x.\nid. NAPTR 3 4 S LWNS - _s._t.y.\nHARM _s._t.y. SRV LOST",
     "FAILURE id. [3 4]: SRV at _s._t.y.: no answer\n"},
    {"the same end twice is one", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 S LWNS - _s._t.x.\nid. NAPTR 3 4 S LWNS - _s._t.x.\n_s._t.x. SRV 0 0 1 js.\n"
     "HARM _s._t.x. SRV BOGUS",
     "UNPROVEN/bogus id. [1 2] ede 7: SRV at _s._t.x.: bogus\n"},
    {"different ends are several", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 S LWNS - _s._t.x.\nid. NAPTR 3 4 S LWNS - _s._t.y.\n"
     "HARM _s._t.x. SRV INSECURE\nHARM _s._t.y. SRV INSECURE",
     "UNPROVEN/insecure id. [1 2]: SRV at _s._t.x.: insecure\n"
     "UNPROVEN/insecure id. [3 4]: SRV at _s._t.y.: insecure\n"},
    {"of denials alone the first is kept", WORLD_SERVICE, NULL,
     "id. NAPTR 3 4 S LWNS - _s._t.x.\nid. NAPTR 1 2 S LWNS - _s._t.y.",
     "DENIAL id. [1 2] life 300: no SRV at _s._t.y.\n"},
    {"an endpoint without TLSA stays beside one with", WORLD_SERVICE, NULL,
     TWO "_s._t.x. SRV 0 0 9 dark.",
     "DENIAL _9._tcp.dark. [1 2 0 0 9 dark.] life 300: no TLSA at _9._tcp.dark.\n" SECOND},
    {"an endpoint that does not answer stays beside one that does", WORLD_SERVICE, NULL,
     TWO "_s._t.x. SRV 0 0 9 dark.\nHARM _9._tcp.dark. TLSA SERVFAIL",
     "FAILURE _9._tcp.dark. [1 2 0 0 9 dark.]: TLSA at _9._tcp.dark.: no answer\n" SECOND},
};

START_TEST(evidence_is_in_endpoint_order)
{
    play(&orders[_i]);
}
END_TEST

START_TEST(a_list_of_ports_is_as_many_endpoints)
{
    const uint16_t ports[] = {8443, 443};
    struct world_question q;
    struct world *w = world_new("id. A\n_443._tcp.id. TLSA 030101aa");
    struct world_run run;

    world_question(&q, WORLD_SERVICE, "id.", ports, 2);
    world_run(w, &q, 0, SIZE_MAX, &run);
    ck_assert_str_eq(
        run.evidence,
        "DENIAL _8443._tcp.id. [0 0 0 0 8443 id.] life 300: no TLSA at _8443._tcp.id.\n"
        "TLSA _443._tcp.id. [0 0 1 0 443 id.] names id. life 300 data 030101aa\n");
    world_free(w);
}
END_TEST

/* ---- limits ---- */

static const struct scene limits[] = {
    {"hops add up along a path: eight", WORLD_SERVICE, NULL,
     "id. CNAME i1.\ni1. NAPTR 1 2 P LWNS - n.\nn. NAPTR 1 1 S LWNS - s0.s.o.\ns0.s.o. CNAME s1.\n"
     "s1. CNAME s2.\ns2. SRV 0 0 443 js.\njs. CNAME h1.\nh1. CNAME h2.\nh2. A\n"
     "_443._tcp.h2. CNAME t1.\nt1. CNAME t2.\nt2. TLSA 030101aa",
     "TLSA " AT_JS " aliased at t2. names h2.,js.,o. life 3600 data 030101aa\n"},
    {"nine, the last at TLSA", WORLD_SERVICE, NULL,
     "id. CNAME i1.\ni1. NAPTR 1 2 P LWNS - n.\nn. NAPTR 1 1 S LWNS - s0.s.o.\ns0.s.o. CNAME s1.\n"
     "s1. CNAME s2.\ns2. SRV 0 0 443 js.\njs. CNAME h1.\nh1. CNAME h2.\nh2. A\n"
     "_443._tcp.h2. CNAME t1.\nt1. CNAME t2.\nt2. CNAME t3.\nt3. TLSA 030101aa",
     "LIMIT " AT_JS " aliased: js.: more than 8 aliases and NAPTR hops on the way\n"},
    {"nine, the last at the host", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 S LWNS - s0.s.o.\ns0.s.o. CNAME s1.\ns1. CNAME s2.\ns2. CNAME s3.\n"
     "s3. CNAME s4.\ns4. SRV 0 0 443 js.\njs. CNAME h1.\nh1. CNAME h2.\nh2. CNAME h3.\n"
     "h3. CNAME h4.\nh4. CNAME h5.\nh5. A",
     "LIMIT " AT_JS " aliased: js.: more than 8 aliases and NAPTR hops on the way\n"},
    {"nine, the last at SRV", WORLD_SERVICE, NULL,
     "id. CNAME i1.\ni1. CNAME i2.\ni2. CNAME i3.\ni3. CNAME i4.\ni4. CNAME i5.\n"
     "i5. NAPTR 1 2 S LWNS - s0.\ns0. CNAME s1.\ns1. CNAME s2.\ns2. CNAME s3.\ns3. CNAME s4.\n"
     "s4. SRV 0 0 443 js.",
     "LIMIT id. [1 2] aliased: s0.: more than 8 aliases and NAPTR hops on the way\n"},
    {"nine, the last at SRV, denied there", WORLD_SERVICE, NULL,
     "id. CNAME i1.\ni1. CNAME i2.\ni2. CNAME i3.\ni3. CNAME i4.\ni4. CNAME i5.\n"
     "i5. NAPTR 1 2 S LWNS - s0.\ns0. CNAME s1.\ns1. CNAME s2.\ns2. CNAME s3.\ns3. CNAME s4.\n"
     "s4. TXT",
     "LIMIT id. [1 2] aliased: s0.: more than 8 aliases and NAPTR hops on the way\n"},
    {"without NAPTR the same aliases count once", WORLD_SERVICE, NULL,
     "id. CNAME i1.\ni1. CNAME i2.\ni2. CNAME i3.\ni3. CNAME i4.\ni4. CNAME i5.\ni5. CNAME i6.\n"
     "i6. CNAME i7.\ni7. A\n_443._tcp.i7. CNAME t.\nt. TLSA 030101aa",
     "TLSA _443._tcp.id. [0 0 0 0 443 id.] aliased at t. names i7.,id. life 300 data 030101aa\n"},
    {"but nine are nine", WORLD_SERVICE, NULL,
     "id. CNAME i1.\ni1. CNAME i2.\ni2. CNAME i3.\ni3. CNAME i4.\ni4. CNAME i5.\ni5. CNAME i6.\n"
     "i6. CNAME i7.\ni7. A\n_443._tcp.i7. CNAME t.\nt. CNAME u.\nu. TLSA 030101aa",
     "LIMIT _443._tcp.id. [0 0 0 0 443 id.] aliased: id.: more than 8 aliases and NAPTR hops on "
     "the way\n"},
    {"eight NAPTR recursions", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 P LWNS - a.\na. NAPTR 1 2 P LWNS - b.\nb. NAPTR 1 2 P LWNS - c.\n"
     "c. NAPTR 1 2 P LWNS - d.\nd. NAPTR 1 2 P LWNS - e.\ne. NAPTR 1 2 P LWNS - f.\n"
     "f. NAPTR 1 2 P LWNS - g.\ng. NAPTR 1 2 P LWNS - h.\nh. NAPTR 1 2 A LWNS - js.\n"
     "_443._tcp.js. TLSA 030101aa",
     "TLSA " AT_JS " names js. life 3600 data 030101aa\n"},
    {"nine NAPTR recursions", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 P LWNS - a.\na. NAPTR 1 2 P LWNS - b.\nb. NAPTR 1 2 P LWNS - c.\n"
     "c. NAPTR 1 2 P LWNS - d.\nd. NAPTR 1 2 P LWNS - e.\ne. NAPTR 1 2 P LWNS - f.\n"
     "f. NAPTR 1 2 P LWNS - g.\ng. NAPTR 1 2 P LWNS - h.\nh. NAPTR 1 2 P LWNS - i.\n"
     "i. NAPTR 1 2 A LWNS - js.\n_443._tcp.js. TLSA 030101aa",
     "LIMIT id. [1 2]: i.: more than 8 aliases and NAPTR hops on the way\n"},
    {"a NAPTR loop", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 P LWNS - a.\na. NAPTR 1 2 P LWNS - b.\nb. NAPTR 1 2 P LWNS - A.",
     "LIMIT id. [1 2]: NAPTR loop at a.\n"},
    {"a NAPTR that leads to itself, beside one that does not", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 P LWNS - id.\nid. NAPTR 3 4 A LWNS - js.\n_443._tcp.js. TLSA 030101aa",
     "LIMIT id. [1 2]: NAPTR loop at id.\n" SECOND},
    {"the same NAPTR on two ways is no loop", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 P LWNS - a.\nid. NAPTR 3 4 P LWNS - b.\na. NAPTR 1 1 P LWNS - b.\n"
     "b. NAPTR 1 1 A LWNS - js.\n_443._tcp.js. TLSA 030101aa",
     "TLSA " AT_JS " names js. life 3600 data 030101aa\n"},
    {"an alias loop before NAPTR", WORLD_SERVICE, NULL, "id. CNAME a.\na. CNAME id.",
     "LIMIT id. aliased: NAPTR at id.: alias loop\n"},
    {"a host too long for a TLSA owner", WORLD_SERVICE, NULL,
     "id. NAPTR 1 2 A LWNS - "
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
     "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb."
     "ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc."
     "dddddddddddddddddddddddddddddddddddddddddddddddddddddd.\n",
     "LIMIT id.: a host name is too long for a TLSA owner\n"},
    {"an alias too long for one", WORLD_SERVICE, NULL,
     SERVER "js. CNAME "
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
            "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb."
            "ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc."
            "dddddddddddddddddddddddddddddddddddddddddddddddddddddd.\n",
     "LIMIT " AT_JS " aliased: alias of js.: too long for a TLSA owner\n"},
};

START_TEST(beyond_a_cap_is_limit)
{
    play(&limits[_i]);
}
END_TEST

/* n lines out of a format with one number each, from first on. */
static char *lines(char *out, size_t cap, const char *format, int first, int n)
{
    size_t len = 0;

    out[0] = '\0';
    for (int i = first; i < first + n; i++) {
        char line[256];
        int wrote;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        wrote = snprintf(line, sizeof(line), format, i, i, i);
#pragma GCC diagnostic pop
        ck_assert(wrote > 0 && len + (size_t)wrote < cap);
        memcpy(out + len, line, (size_t)wrote + 1);
        len += (size_t)wrote;
    }
    return out;
}

static size_t count_lines(const char *text, const char *start)
{
    size_t n = 0;

    for (; *text; text = strchr(text, '\n') + 1)
        n += strncmp(text, start, strlen(start)) == 0;
    return n;
}

/* Runs for id. in a world of lines in some order of arrival. */
static void run_lines(const char *text, unsigned seed, struct world_run *run)
{
    struct world_question q;
    struct world *w = world_new(text);

    world_question(&q, WORLD_SERVICE, "id.", NULL, 0);
    world_run(w, &q, seed, SIZE_MAX, run);
    world_free(w);
}

START_TEST(eight_endpoints_are_evidence_and_the_ninth_is_limit)
{
    char text[65536], srv[60000];
    struct world_run run;

    for (int n = 7; n <= 10; n++) {
        snprintf(text, sizeof(text), "id. NAPTR 1 1 S LWNS - _s._t.op.\n%s",
                 lines(srv, sizeof(srv), "_s._t.op. SRV %d 0 443 h%d.\n", 0, n));
        run_lines(text, 0, &run);
        ck_assert_uint_eq(count_lines(run.evidence, "DENIAL _443._tcp.h"), n > 8 ? 8 : n);
        ck_assert_uint_eq(count_lines(run.evidence, "LIMIT id.: more than 8 endpoints"), n > 8);
        ck_assert_uint_eq(count_lines(run.evidence, ""), n > 8 ? 9 : n);
        ck_assert_ptr_null(strstr(run.evidence, "_443._tcp.h8."));
    }
}
END_TEST

START_TEST(an_rrset_of_hundreds_is_asked_about_no_further)
{
    char text[65536], srv[60000];
    struct world_run run;

    snprintf(text, sizeof(text), "id. NAPTR 1 1 S LWNS - _s._t.op.\n%s",
             lines(srv, sizeof(srv), "_s._t.op. SRV %d 0 443 h%d.\n", 0, 400));
    run_lines(text, 0, &run);
    ck_assert_uint_eq(run.n_asks, 4 + 8 * 3);
    ck_assert_uint_eq(count_lines(run.evidence, ""), 9);
    /* The same with the best ones last. */
    snprintf(text, sizeof(text), "id. NAPTR 1 1 S LWNS - _s._t.op.\n%s%s",
             lines(srv, sizeof(srv), "_s._t.op. SRV %d 0 443 h%d.\n", 100, 300),
             "_s._t.op. SRV 1 0 443 best.\n");
    run_lines(text, 0, &run);
    ck_assert_uint_eq(run.n_asks, 4 + 8 * 3);
    ck_assert_uint_eq(strncmp(run.evidence, "DENIAL _443._tcp.best.", 22), 0);
    ck_assert_uint_eq(count_lines(run.evidence, ""), 9);
}
END_TEST

START_TEST(ends_and_endpoints_share_the_eight_places)
{
    char text[65536], srv[4096];
    struct world_run run;

    snprintf(text, sizeof(text),
             "id. NAPTR 1 1 S LWNS - _s._t.op.\nid. NAPTR 0 1 S LWNS - _s._t.lost.\n"
             "HARM _s._t.lost. SRV LOST\n%s",
             lines(srv, sizeof(srv), "_s._t.op. SRV %d 0 443 h%d.\n", 0, 8));
    for (unsigned seed = 0; seed < ORDERS; seed++) {
        run_lines(text, seed, &run);
        ck_assert_uint_eq(count_lines(run.evidence, "FAILURE id. [0 1]"), 1);
        ck_assert_uint_eq(count_lines(run.evidence, "DENIAL _443._tcp.h"), 7);
        ck_assert_uint_eq(count_lines(run.evidence, "LIMIT"), 1);
        ck_assert_uint_eq(count_lines(run.evidence, ""), 9);
    }
}
END_TEST

START_TEST(of_nine_naptr_records_the_last_is_limit)
{
    char text[65536], naptr[4096];
    struct world_run run;

    snprintf(text, sizeof(text), "%sHARM id. TXT LOST\n",
             lines(naptr, sizeof(naptr), "id. NAPTR 1 %d S LWNS - _s._t.o%d.\n", 1, 9));
    run_lines(text, 0, &run);
    /* Eight denied ones say nothing beside the one that was not looked at. */
    ck_assert_str_eq(run.evidence, "LIMIT id.: more than 8 NAPTR records to follow\n");
    ck_assert_ptr_null(strstr(run.asks, "_s._t.o9."));
    ck_assert_uint_eq(run.n_asks, 3 + 8);
}
END_TEST

START_TEST(fan_out_ends_in_limit_and_never_in_more_sub_queries)
{
    char text[65536], part[8192];
    size_t len;
    struct world_run run;

    /* Eight NAPTR records that each lead to eight more, each to an SRV RRset of its own. */
    len = (size_t)snprintf(text, sizeof(text), "%s",
                           lines(part, sizeof(part), "id. NAPTR 1 %d P LWNS - n%d.\n", 1, 8));
    for (int i = 1; i <= 8; i++) {
        char format[128];
        snprintf(format, sizeof(format), "n%d. NAPTR 1 %%d S LWNS - _s._t%%d.o%d.\n", i, i);
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s",
                                lines(part, sizeof(part), format, 1, 8));
        snprintf(format, sizeof(format), "_s._t%%d.o%d. SRV 0 0 443 h%%d.o%d.\n", i, i);
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s",
                                lines(part, sizeof(part), format, 1, 8));
    }
    for (unsigned seed = 0; seed < ORDERS; seed++) {
        run_lines(text, seed, &run);
        ck_assert_uint_eq(count_lines(run.evidence, "LIMIT id.: more than 24 sub-queries\n") +
                              count_lines(run.evidence, "LIMIT id.: more than 8 endpoints\n"),
                          1);
        ck_assert_uint_eq(count_lines(run.evidence, ""), 9);
        /* Discovery leaves each endpoint its four; here it uses three. */
        ck_assert_uint_eq(run.n_asks, 20 + 8 * 3);
    }
}
END_TEST

/* ---- what is asked at the same time ---- */

static const struct {
    const char *what;
    enum world_kind kind;
    const char *lines, *asks;
} rounds[] = {
    {"a literal takes one", WORLD_LITERAL, "id. TLSA 030101aa", "TLSA id."},
    {"an identity takes one", WORLD_IDENTITY, "id. TLSA 030101aa", "TLSA id."},
    {"an unknown name takes one", WORLD_SERVICE, "other. A", "NAPTR id. A id. AAAA id."},
    {"by NAPTR and SRV it takes three", WORLD_SERVICE,
     "id. NAPTR 1 1 S LWNS - _s._t.a.\nid. NAPTR 1 2 S LWNS - _s._t.b.\n_s._t.a. SRV 0 0 1 js.\n"
     "_s._t.b. SRV 0 0 2 js.",
     "NAPTR id. A id. AAAA id. | SRV _s._t.a. SRV _s._t.b. | "
     "TLSA _1._tcp.js. A js. AAAA js. TLSA _2._tcp.js."},
    {"an alias adds one", WORLD_SERVICE,
     "id. NAPTR 1 1 A LWNS - js.\njs. CNAME farm.\nfarm. A\n_443._tcp.farm. TLSA 030101aa",
     "NAPTR id. A id. AAAA id. | TLSA _443._tcp.js. A js. AAAA js. | TLSA _443._tcp.farm."},
    {"and none if it is denied there", WORLD_SERVICE,
     "id. NAPTR 1 1 A LWNS - js.\njs. CNAME farm.\nfarm. A",
     "NAPTR id. A id. AAAA id. | TLSA _443._tcp.js. A js. AAAA js. | TLSA _443._tcp.farm."},
    {"without NAPTR it takes two, alias or not", WORLD_SERVICE, "id. CNAME farm.\nfarm. A",
     "NAPTR id. A id. AAAA id. | TLSA _443._tcp.id. TLSA _443._tcp.farm."},
    {"a host that is the name asked shares its addresses", WORLD_SERVICE,
     "id. NAPTR 1 1 A LWNS - ID.", "NAPTR id. A id. AAAA id. | TLSA _443._tcp.id."},
    {"an SRV RRset that two records lead to is asked once", WORLD_SERVICE,
     "id. NAPTR 1 1 S LWNS - _s._t.a.\nid. NAPTR 1 2 S LWNS - _S._t.a.",
     "NAPTR id. A id. AAAA id. | SRV _s._t.a."},
};

START_TEST(independent_steps_are_asked_at_the_same_time)
{
    struct world_question q;
    struct world *w = world_new(rounds[_i].lines);
    struct world_run run;

    world_question(&q, rounds[_i].kind, "id.", NULL, 0);
    world_run(w, &q, 0, SIZE_MAX, &run);
    ck_assert_msg(strcmp(run.asks, rounds[_i].asks) == 0, "%s: asked %s", rounds[_i].what,
                  run.asks);
    world_free(w);
}
END_TEST

START_TEST(addresses_that_cannot_matter_are_not_waited_for)
{
    struct world_question q;
    struct world *w = world_new("other. A");
    struct kbv_mem mem = world_mem(w, SIZE_MAX);
    struct kbv_subquery ask[3];
    struct kbv_lookup *l;
    struct kbv_answer a;

    world_question(&q, WORLD_SERVICE, "id.", NULL, 0);
    l = kbv_lookup_create(&mem, &q.q);
    for (int i = 0; i < 3; i++)
        ck_assert(kbv_lookup_next(l, &ask[i]));
    ck_assert(!kbv_lookup_next(l, &ask[0]) && !kbv_lookup_done(l));
    a = world_answer(w, (struct kbv_slice){ask[0].name, ask[0].name_len}, ask[0].type);
    kbv_lookup_answer(l, ask[0].id, &a, WORLD_NOW);
    ck_assert(kbv_lookup_done(l));
    ck_assert_uint_eq(kbv_lookup_outstanding(l), 2);
    world_free(w);
}
END_TEST

/* ---- misuse, memory, the log ---- */

START_TEST(an_answer_that_nobody_awaits_fails_the_lookup)
{
    struct world_question q;
    struct world *w = world_new("id. TLSA 030101aa");
    struct kbv_mem mem = world_mem(w, SIZE_MAX);
    struct kbv_subquery ask;
    struct kbv_lookup *l;
    struct kbv_answer a;
    size_t n;

    world_question(&q, WORLD_LITERAL, "id.", NULL, 0);
    a = world_answer(w, (struct kbv_slice){q.q.name, q.q.name_len}, KBV_TYPE_TLSA);

    l = kbv_lookup_create(&mem, &q.q);
    kbv_lookup_answer(l, 0, &a, WORLD_NOW); /* not taken yet */
    ck_assert(kbv_lookup_done(l));
    ck_assert_int_eq(kbv_lookup_evidence(l, &n)->finding, KBV_FOUND_FAILURE);
    ck_assert(!kbv_lookup_next(l, &ask));

    l = kbv_lookup_create(&mem, &q.q);
    ck_assert(kbv_lookup_next(l, &ask));
    kbv_lookup_answer(l, 77, &a, WORLD_NOW); /* never asked */
    ck_assert_int_eq(kbv_lookup_evidence(l, &n)->finding, KBV_FOUND_FAILURE);
    kbv_lookup_answer(l, ask.id, &a, WORLD_NOW); /* too late to repair it */
    ck_assert_int_eq(kbv_lookup_evidence(l, &n)->finding, KBV_FOUND_FAILURE);

    l = kbv_lookup_create(&mem, &q.q);
    ck_assert(kbv_lookup_next(l, &ask));
    kbv_lookup_answer(l, ask.id, &a, WORLD_NOW);
    ck_assert_int_eq(kbv_lookup_evidence(l, &n)->finding, KBV_FOUND_TLSA);
    kbv_lookup_answer(l, ask.id, &a, WORLD_NOW); /* twice */
    ck_assert_int_eq(kbv_lookup_evidence(l, &n)->finding, KBV_FOUND_FAILURE);
    ck_assert_uint_eq(n, 1);
    world_free(w);
}
END_TEST

START_TEST(before_the_end_there_is_only_a_failure)
{
    struct world_question q;
    struct world *w = world_new("id. TLSA 030101aa");
    struct kbv_mem mem = world_mem(w, SIZE_MAX);
    struct kbv_lookup *l;
    size_t n;
    const struct kbv_evidence *e;

    world_question(&q, WORLD_SERVICE, "id.", NULL, 0);
    l = kbv_lookup_create(&mem, &q.q);
    e = kbv_lookup_evidence(l, &n);
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(e->finding, KBV_FOUND_FAILURE);
    ck_assert_ptr_eq(e->owner.p, q.q.name);
    q.q.refusal = KBV_STATUS_BAD_INPUT; /* nothing to discover */
    l = kbv_lookup_create(&mem, &q.q);
    ck_assert(kbv_lookup_done(l));
    ck_assert_int_eq(kbv_lookup_evidence(l, &n)->finding, KBV_FOUND_FAILURE);
    world_free(w);
}
END_TEST

START_TEST(a_zone_without_ports_loses_no_path)
{
    struct world_question q;
    struct world *w = world_new("id. A");
    struct world_run run;

    world_question(&q, WORLD_SERVICE, "id.", NULL, 0);
    q.zone.n_ports = 0;
    world_run(w, &q, 0, SIZE_MAX, &run);
    ck_assert_str_eq(run.evidence, "FAILURE id.: internal error: every path was lost\n");
    world_free(w);
}
END_TEST

START_TEST(without_memory_there_is_one_failure)
{
    struct world_question q;
    struct world *w = world_new(LONG_WAY);
    struct world_run good, run;
    size_t fail;

    world_question(&q, WORLD_SERVICE, "id.", NULL, 0);
    world_run(w, &q, 0, SIZE_MAX, &good);
    world_run(w, &q, 0, 0, &run);
    ck_assert_ptr_null(run.lookup);
    for (fail = 1; fail < 100; fail++) {
        world_run(w, &q, 0, fail, &run);
        ck_assert_ptr_nonnull(run.lookup);
        if (strcmp(run.evidence, good.evidence) == 0)
            break;
        ck_assert_str_eq(run.evidence, "FAILURE id.: out of memory\n");
    }
    ck_assert_uint_gt(fail, 15); /* lookup, five paths, nine asks and some names */
    ck_assert_uint_lt(fail, 100);
    world_question(&q, WORLD_LITERAL, "_443._tcp.js.host.", NULL, 0);
    for (fail = 1; fail < 4; fail++) {
        world_run(w, &q, 0, fail, &run);
        ck_assert_str_eq(run.evidence, "FAILURE _443._tcp.js.host.: out of memory\n");
    }
    world_free(w);
}
END_TEST

START_TEST(a_long_name_is_cut_in_the_reason_and_its_end_kept)
{
    static const struct scene s = {
        "a long name", WORLD_LITERAL,
        "0.1.2.3.4.5.6.7.8.9.a.b.c.d.e.f.0.1.2.3.4.5.6.7.8.9.a.b.c.d.e.f.0.1.2.3.4.5.6.7.8.9.a.b.c."
        "d.e.f.0.1.2.3.4.5.6.7.8.9.a.b.c.d.e.f.",
        "HARM "
        "0.1.2.3.4.5.6.7.8.9.a.b.c.d.e.f.0.1.2.3.4.5.6.7.8.9.a.b.c.d.e.f.0.1.2.3.4.5.6.7.8.9.a.b.c."
        "d.e.f.0.1.2.3.4.5.6.7.8.9.a.b.c.d.e.f. TLSA LOST",
        "FAILURE "
        "0.1.2.3.4.5.6.7.8.9.a.b.c.d.e.f.0.1.2.3.4.5.6.7.8.9.a.b.c.d.e.f.0.1.2.3.4.5.6.7.8.9.a.b.c."
        "d.e.f.0.1.2.3.4.5.6.7.8.9.a.b.c.d.e.f.: TLSA at "
        "0.1.2.3.4.5.6.7.8.9.a.b.c.d.e.f.0.1.2.3.4.5.6.7.8.9.a.b.c.d.e.f.0.1.2.3.4.5.6.7.8.9.a.b.c."
        "d.e.f.0....: no answer\n"};
    const char *reason = strstr(s.expect, ": TLSA at ") + 2;

    ck_assert_uint_eq(strlen(reason), KBV_REASON_MAX + 1);
    play(&s);
}
END_TEST

struct log {
    char text[2048];
};

static void log_transition(void *arg, const char *what, const char *old_state,
                           const char *new_state)
{
    struct log *log = arg;
    size_t len = strlen(log->text);

    snprintf(log->text + len, sizeof(log->text) - len, "%s %s>%s\n", what, old_state, new_state);
}

START_TEST(every_transition_is_traced)
{
    struct world_question q;
    struct world *w = world_new("id. NAPTR 1 1 P LWNS - n.\nn. NAPTR 1 1 S LWNS - _s._t.op.\n"
                                "_s._t.op. SRV 0 0 443 js.\njs. CNAME farm.\nfarm. A\n"
                                "_443._tcp.js. TLSA 030101aa");
    struct kbv_mem mem = world_mem(w, SIZE_MAX);
    struct log log = {""};
    struct kbv_lookup *l;
    struct kbv_subquery ask;

    world_question(&q, WORLD_SERVICE, "id.", NULL, 0);
    l = kbv_lookup_create(&mem, &q.q);
    kbv_lookup_trace(l, log_transition, &log);
    while (kbv_lookup_next(l, &ask)) {
        struct kbv_answer a = world_answer(w, (struct kbv_slice){ask.name, ask.name_len}, ask.type);
        kbv_lookup_answer(l, ask.id, &a, WORLD_NOW);
    }
    ck_assert_str_eq(log.text, "n. ->NAPTR\n"
                               "id. NAPTR>SPLIT\n"
                               "_s._t.op. ->SRV\n"
                               "n. NAPTR>SPLIT\n"
                               "_s._t.op. SRV>SPLIT\n"
                               "_443._tcp.js. ->HOST\n"
                               "_443._tcp.js. HOST>EXPANDED\n"
                               "_443._tcp.js. EXPANDED>ORIGINAL\n"
                               "_443._tcp.js. ORIGINAL>ENDED\n");
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lookup");
    TCase *tc = tcase_create("discovery");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, a_literal_owner_takes_one_step, 0, N(literals));
    tcase_add_test(tc, an_identity_names_its_identifier_and_a_literal_owner_none);
    tcase_add_loop_test(tc, an_identifier_leads_to_endpoints, 0, N(services));
    tcase_add_test(tc, the_long_way_is_found);
    tcase_add_loop_test(tc, a_harmed_step_decides_for_its_path, 0, N(steps) * N(harms));
    tcase_add_loop_test(tc, a_harmed_literal_is_what_its_harm_is, 0, N(harms));
    tcase_add_loop_test(tc, a_denial_counts_only_if_it_is_secure, 0, N(denials) * N(harms));
    tcase_add_loop_test(tc, addresses_count_for_aliases_and_denial_alone, 0, N(addresses));
    tcase_add_test(tc, where_the_families_differ_an_alias_counts_and_then_the_first_one);
    tcase_add_test(tc, aliases_that_naptr_alone_showed_count_without_naptr_too);
    tcase_add_test(tc, a_denial_of_addresses_holds_as_long_as_both);
    tcase_add_test(tc, a_broken_alias_chain_is_no_denial);
    tcase_add_test(tc, an_answer_that_contradicts_itself_is_a_failure);
    tcase_add_test(tc, a_dname_must_make_the_cname_beside_it);
    tcase_add_test(tc, a_bogus_message_is_bogus_whatever_it_holds);
    tcase_add_test(tc, a_secure_message_does_not_vouch_for_its_rrsets);
    tcase_add_test(tc, records_in_a_message_that_is_not_secure_count_for_nothing);
    tcase_add_loop_test(tc, evidence_holds_as_long_as_all_it_rests_on, 0, N(lives));
    tcase_add_loop_test(tc, evidence_is_in_endpoint_order, 0, N(orders));
    tcase_add_test(tc, a_list_of_ports_is_as_many_endpoints);
    tcase_add_loop_test(tc, beyond_a_cap_is_limit, 0, N(limits));
    tcase_add_test(tc, eight_endpoints_are_evidence_and_the_ninth_is_limit);
    tcase_add_test(tc, an_rrset_of_hundreds_is_asked_about_no_further);
    tcase_add_test(tc, ends_and_endpoints_share_the_eight_places);
    tcase_add_test(tc, of_nine_naptr_records_the_last_is_limit);
    tcase_add_test(tc, fan_out_ends_in_limit_and_never_in_more_sub_queries);
    tcase_add_loop_test(tc, independent_steps_are_asked_at_the_same_time, 0, N(rounds));
    tcase_add_test(tc, addresses_that_cannot_matter_are_not_waited_for);
    tcase_add_test(tc, an_answer_that_nobody_awaits_fails_the_lookup);
    tcase_add_test(tc, before_the_end_there_is_only_a_failure);
    tcase_add_test(tc, a_zone_without_ports_loses_no_path);
    tcase_add_test(tc, without_memory_there_is_one_failure);
    tcase_add_test(tc, a_long_name_is_cut_in_the_reason_and_its_end_kept);
    tcase_add_test(tc, every_transition_is_traced);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
