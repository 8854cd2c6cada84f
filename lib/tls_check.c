/* SPDX-License-Identifier: BSD-3-Clause */
/* See tls_check.h and kbv/tls.h. */
#include "lib/tls_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "lib/buf.h"
#include "lib/text.h"
#include "lib/wait.h"

/* What a resolver takes as material 5 (kbv/request.h). */
enum { CHAIN_CERTIFICATES_MAX = 8, CHAIN_OCTETS_MAX = 16384 };

struct identity {
    uint8_t owner[KBV_NAME_MAX], host[KBV_NAME_MAX];
    size_t owner_len, host_len;
    uint16_t port;
    const struct kbv_query *pins;
};

enum stage {
    STAGE_NO_PEER = 0,
    STAGE_BEGIN,  /* the peer is known */
    STAGE_DIGEST, /* asking about identity `at` with the key's digest */
    STAGE_WHOLE,  /* asking about it with the chain, or the raw key */
    STAGE_ENDED,
};

struct kbv_tls_check {
    const struct kbv_client *client;
    enum kbv_tls_who who;
    int timeout_ms;
    struct identity *identities;
    size_t n_identities;

    struct kbv_peer peer;
    EVP_PKEY *key;
    uint8_t *octets; /* what peer points into */
    uint8_t *chain;  /* material 5; NULL: a raw key, or larger than a resolver takes */
    size_t chain_len;

    enum stage stage;
    size_t at;
    struct kbv_query *query; /* NULL: the next one is to be asked */
    int64_t pause_ms;        /* monotonic: not before; 0: at once */
    bool paused;             /* for identity `at`, which happens once */
    int64_t deadline_ms;     /* monotonic */
    struct kbv_tls_judgement result;
};

static const struct kbv_tls_judgement not_judged = {.match = {255, 255, 255},
                                                    .reason = "the peer was not judged"};

/* ---- results ---- */

__attribute__((format(printf, 2, 3))) static void say(struct kbv_tls_check *k, const char *format,
                                                      ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(k->result.reason, sizeof(k->result.reason), format, arguments);
    va_end(arguments);
}

static void end(struct kbv_tls_check *k)
{
    kbv_query_delete(k->query);
    k->query = NULL;
    k->stage = STAGE_ENDED;
}

void kbv_tls_check_refuse(struct kbv_tls_check *k, const char *reason)
{
    k->result = not_judged;
    say(k, "%s", reason);
    end(k);
}

/* The verdict's words about identity `at`, common to acceptance and refusal. */
static void note(struct kbv_tls_check *k, const struct kbv_verdict *v)
{
    const struct identity *id = &k->identities[k->at];

    k->result.owner_len = id->owner_len;
    memcpy(k->result.owner, id->owner, id->owner_len);
    k->result.status = v ? v->status : KBV_STATUS_NONE;
    k->result.match = v ? v->match : KBV_MATCH_NONE;
}

static void accept_peer(struct kbv_tls_check *k, const struct kbv_verdict *v, int64_t now)
{
    char owner[KBV_NAME_TEXT_MAX];

    note(k, v);
    k->result.acceptance = KBV_ACCEPTED;
    k->result.keyed_by_chain = k->stage == STAGE_WHOLE;
    /* T is modulo 2^32, and not far from now: it was just looked at. */
    k->result.not_after = now + (int32_t)(v->not_after - (uint32_t)now);
    kbv_name_to_text(k->result.owner, k->result.owner_len, owner);
    if (v->status == KBV_STATUS_BOUND)
        say(k, "%s: BOUND by %u %u %u", owner, v->match.usage, v->match.selector, v->match.mtype);
    else
        say(k, "%s: the key is among those published", owner);
    end(k);
}

/* Identity `at` is not the peer: on to the next one. The first refusal is the one that is told, for
 * the first identity is the one that the certificate names, if it names one. */
static void pass_over(struct kbv_tls_check *k, enum kbv_acceptance why, const struct kbv_verdict *v,
                      const char *detail)
{
    char owner[KBV_NAME_TEXT_MAX], reason[KBV_REASON_MAX + 1] = "";

    if (k->at == 0) {
        note(k, v);
        k->result.acceptance = why;
        kbv_name_to_text(k->result.owner, k->result.owner_len, owner);
        if (v && v->reason.p)
            kbv_reason_text(v->reason, reason);
        if (why == KBV_REFUSED_STATUS && v)
            say(k, "%s: %s, %s%s%s", owner, kbv_status_name(v->status), kbv_status_text(v->status),
                *reason ? ": " : "", reason);
        else
            say(k, "%s: %s", owner, detail ? detail : kbv_acceptance_text(why));
    }
    kbv_query_delete(k->query); /* v goes with it */
    k->query = NULL;
    k->paused = false;
    k->at++;
    k->stage = STAGE_DIGEST;
    if (k->at == k->n_identities || k->at == KBV_TLS_ASKED_MAX)
        end(k);
}

/* ---- expectation ---- */

/* A name in lower case; false: not exactly one name. */
static bool copy_name(struct kbv_slice name, uint8_t out[KBV_NAME_MAX], size_t *len)
{
    if (!name.p || name.len == 0 || kbv_name_len(name.p, name.len) != name.len)
        return false;
    kbv_name_lower(out, name.p, name.len);
    *len = name.len;
    return true;
}

static bool copy_identity(const struct kbv_tls_identity *in, struct identity *id)
{
    if (!copy_name(in->owner, id->owner, &id->owner_len))
        return false;
    if (in->host.p && !copy_name(in->host, id->host, &id->host_len))
        return false;
    id->port = in->port;
    id->pins = in->pins;
    return true;
}

static enum kbv_err check_expect(const struct kbv_client *c, const struct kbv_tls_expected *e,
                                 bool later)
{
    if (!c || !e || e->timeout_ms < 0 || (e->n_identities > 0 && !e->identities))
        return KBV_ERR_FORMAT;
    if (e->n_identities > KBV_TLS_IDENTITIES_MAX)
        return KBV_ERR_LIMIT;
    switch (e->who) {
    case KBV_TLS_NOBODY:
    case KBV_TLS_SELF_NAMED:
        return KBV_OK;
    case KBV_TLS_OWNERS:
        return e->n_identities > 0 ? KBV_OK : KBV_ERR_FORMAT;
    case KBV_TLS_LATER:
        return later ? KBV_OK : KBV_ERR_FORMAT;
    }
    return KBV_ERR_FORMAT;
}

struct kbv_tls_check *kbv_tls_check_new(const struct kbv_client *c,
                                        const struct kbv_tls_expected *e, bool later,
                                        enum kbv_err *err)
{
    struct kbv_tls_check *k;

    *err = check_expect(c, e, later);
    if (*err != KBV_OK)
        return NULL;
    k = calloc(1, sizeof(*k));
    /* One more than none: a certificate may name itself. */
    if (k)
        k->identities = calloc(e->n_identities + 1, sizeof(*k->identities));
    if (!k || !k->identities) {
        free(k);
        *err = KBV_ERR_NOMEM;
        return NULL;
    }
    k->client = c;
    k->who = e->who;
    k->timeout_ms = e->timeout_ms ? e->timeout_ms : KBV_TLS_TIMEOUT_MS;
    k->result = not_judged;
    for (; k->n_identities < e->n_identities; k->n_identities++) {
        if (!copy_identity(&e->identities[k->n_identities], &k->identities[k->n_identities])) {
            kbv_tls_check_delete(k);
            *err = KBV_ERR_FORMAT;
            return NULL;
        }
    }
    return k;
}

void kbv_tls_check_delete(struct kbv_tls_check *k)
{
    if (!k)
        return;
    kbv_query_delete(k->query);
    EVP_PKEY_free(k->key);
    free(k->octets);
    free(k->chain);
    free(k->identities);
    free(k);
}

/* ---- the names of a certificate ---- */

/* A dNSName as a wire name. False for what is no plain host name, underscores allowed: nothing that
 * would need an escape in text. */
static bool read_dns_name(const ASN1_IA5STRING *s, uint8_t out[KBV_NAME_MAX], size_t *len)
{
    const unsigned char *p = ASN1_STRING_get0_data(s);
    int n = ASN1_STRING_length(s);
    char text[KBV_NAME_MAX + 1];

    if (n <= 0 || (size_t)n >= sizeof(text))
        return false;
    for (int i = 0; i < n; i++) {
        bool plain = (p[i] >= 'a' && p[i] <= 'z') || (p[i] >= 'A' && p[i] <= 'Z') ||
                     (p[i] >= '0' && p[i] <= '9') || p[i] == '-' || p[i] == '_' || p[i] == '.';
        if (!plain)
            return false;
    }
    memcpy(text, p, (size_t)n);
    text[n] = '\0';
    return kbv_name_from_text(text, true, out, len) == KBV_OK;
}

/* Calls each with every dNSName that begins with '_', readable or not (len 0). */
static void each_client_name(const X509 *cert,
                             void (*each)(void *arg, const uint8_t *name, size_t len), void *arg)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        uint8_t wire[KBV_NAME_MAX];
        size_t len;

        if (name->type != GEN_DNS || ASN1_STRING_length(name->d.dNSName) < 1 ||
            ASN1_STRING_get0_data(name->d.dNSName)[0] != '_')
            continue;
        if (!read_dns_name(name->d.dNSName, wire, &len))
            len = 0;
        each(arg, wire, len);
    }
    GENERAL_NAMES_free(names);
}

struct claimed {
    uint8_t name[KBV_NAME_MAX];
    size_t n, len;
};

static void claim(void *arg, const uint8_t *name, size_t len)
{
    struct claimed *c = arg;

    c->n++;
    c->len = len;
    memcpy(c->name, name, len);
}

enum kbv_err kbv_tls_owner_from_certificate(const X509 *cert, uint8_t out[KBV_NAME_MAX],
                                            size_t *out_len)
{
    struct claimed c = {.n = 0};

    if (!cert)
        return KBV_ERR_FORMAT;
    each_client_name(cert, claim, &c);
    /* The role is in the name: a server's says nothing of a client. */
    if (c.n != 1 || c.len == 0 || kbv_name_is_server_owner(c.name, c.len, NULL, NULL))
        return KBV_ERR_FORMAT;
    memcpy(out, c.name, c.len);
    *out_len = c.len;
    return KBV_OK;
}

struct named {
    const struct identity *identities;
    size_t n;
    bool named[KBV_TLS_IDENTITIES_MAX];
};

static void mark_named(void *arg, const uint8_t *name, size_t len)
{
    struct named *m = arg;

    for (size_t i = 0; i < m->n && len > 0; i++) {
        if (kbv_name_equal(m->identities[i].owner, m->identities[i].owner_len, name, len))
            m->named[i] = true;
    }
}

/* Those that the certificate names come first; of a peer that names itself no other ones count. */
static void order_identities(struct kbv_tls_check *k, const X509 *cert)
{
    struct named m = {.identities = k->identities, .n = k->n_identities};
    struct identity *ordered = calloc(k->n_identities + 1, sizeof(*ordered));
    size_t n = 0;

    if (!ordered) {
        kbv_tls_check_refuse(k, "out of memory");
        return;
    }
    each_client_name(cert, mark_named, &m);
    for (size_t i = 0; i < k->n_identities; i++) {
        if (m.named[i])
            ordered[n++] = k->identities[i];
    }
    for (size_t i = 0; i < k->n_identities && k->who != KBV_TLS_SELF_NAMED; i++) {
        if (!m.named[i])
            ordered[n++] = k->identities[i];
    }
    free(k->identities);
    k->identities = ordered;
    k->n_identities = n;
}

static void find_identities(struct kbv_tls_check *k, const X509 *cert)
{
    bool any = k->n_identities == 0;

    if (k->who == KBV_TLS_SELF_NAMED && any) {
        struct identity *id = &k->identities[0];

        if (kbv_tls_owner_from_certificate(cert, id->owner, &id->owner_len) == KBV_OK)
            k->n_identities = 1;
    } else {
        order_identities(k, cert);
    }
    if (k->stage != STAGE_ENDED && k->n_identities == 0)
        kbv_tls_check_refuse(k, any ? "the certificate does not have exactly one dNSName that "
                                      "begins with an underscore and is no server's"
                                    : "the certificate names nobody who is expected");
}

/* ---- the peer ---- */

/* Material 5 out of the end entity and what came with it. None where it is more than resolvers
 * take: the digest may do without. */
static void pack_chain(struct kbv_tls_check *k, X509 *cert, const STACK_OF(X509) * chain)
{
    struct kbv_writer w;
    int n = chain ? sk_X509_num(chain) : 0; /* which says -1 of none */
    int first = n > 0 && X509_cmp(sk_X509_value(chain, 0), cert) == 0;

    k->chain = n - first < CHAIN_CERTIFICATES_MAX ? malloc(CHAIN_OCTETS_MAX) : NULL;
    if (!k->chain)
        return;
    w = kbv_writer_on(k->chain, CHAIN_OCTETS_MAX);
    for (int i = first - 1; i < n; i++) {
        X509 *x = i < first ? cert : sk_X509_value(chain, i);
        int len = i2d_X509(x, NULL);
        uint8_t *room;

        if (len <= 0 || len > UINT16_MAX)
            w.failed = true;
        kbv_writer_u16(&w, (uint16_t)len);
        room = w.failed ? NULL : kbv_writer_room(&w, (size_t)len);
        if (room && i2d_X509(x, &room) != len)
            w.failed = true;
    }
    k->chain_len = w.len;
    if (w.failed) {
        free(k->chain);
        k->chain = NULL;
    }
}

/* Digests hide a key from the resolver, so its strength is looked at here. */
static bool is_strong(EVP_PKEY *key)
{
    int explicit_curve = 0;

    /* A curve by parameters could be any curve (CVE-2020-0601 was one such). */
    if (EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
                               &explicit_curve) == 1 &&
        explicit_curve)
        return false;
    return EVP_PKEY_get_security_bits(key) >= KBV_TLS_SECURITY_BITS;
}

static void take(struct kbv_tls_check *k, EVP_PKEY *key, enum kbv_err err)
{
    const char *type = key ? EVP_PKEY_get0_type_name(key) : NULL;

    if (k->stage == STAGE_ENDED)
        return;
    if (err != KBV_OK || !key || !EVP_PKEY_up_ref(key)) {
        kbv_tls_check_refuse(k, err == KBV_ERR_NOMEM ? "out of memory"
                                                     : "the peer's key cannot be read");
        return;
    }
    k->key = key;
    k->stage = STAGE_BEGIN;
    if (!is_strong(key)) {
        kbv_tls_check_refuse(k, "");
        say(k, "the peer's key is too weak: %s of %d bits", type ? type : "a key",
            EVP_PKEY_get_bits(key));
    }
}

void kbv_tls_check_take_cert(struct kbv_tls_check *k, X509 *cert, const STACK_OF(X509) * chain)
{
    enum kbv_err err = KBV_ERR_FORMAT;
    unsigned char *der = NULL;
    int len;

    if (k->stage != STAGE_NO_PEER) {
        kbv_tls_check_refuse(k, "the peer presented a second certificate");
        return;
    }
    ERR_set_mark();
    /* From malloc(), as everything of ours. */
    len = i2d_X509(cert, NULL);
    if (len > 0)
        der = k->octets = malloc((size_t)len);
    if (der && i2d_X509(cert, &der) == len)
        err = kbv_peer_from_certificate(&k->peer, k->octets, (size_t)len);
    if (len > 0 && !k->octets)
        err = KBV_ERR_NOMEM;
    pack_chain(k, cert, chain);
    if (k->who != KBV_TLS_LATER && k->who != KBV_TLS_NOBODY)
        find_identities(k, cert);
    take(k, X509_get0_pubkey(cert), err);
    ERR_pop_to_mark();
}

void kbv_tls_check_take_key(struct kbv_tls_check *k, EVP_PKEY *key)
{
    enum kbv_err err = KBV_ERR_FORMAT;
    unsigned char *der;
    int len;

    if (k->stage != STAGE_NO_PEER) {
        kbv_tls_check_refuse(k, "the peer presented a second key");
        return;
    }
    if (k->who == KBV_TLS_SELF_NAMED) {
        kbv_tls_check_refuse(k, "a raw public key names nobody");
        return;
    }
    ERR_set_mark();
    len = i2d_PUBKEY(key, NULL);
    der = k->octets = len > 0 ? malloc((size_t)len) : NULL;
    if (der && i2d_PUBKEY(key, &der) == len)
        err = kbv_peer_from_spki(&k->peer, k->octets, (size_t)len);
    if (len > 0 && !k->octets)
        err = KBV_ERR_NOMEM;
    take(k, key, err);
    ERR_pop_to_mark();
}

/* ---- judging ---- */

static struct kbv_slice slice(const uint8_t *p, size_t len)
{
    return (struct kbv_slice){p, len};
}

/* Is the verdict about this owner, or, behind an alias, about what it stands for? A program may
 * have asked about one peer and expect another. */
static bool is_about(const struct kbv_verdict *v, const struct identity *id)
{
    return kbv_name_equal(v->owner.p, v->owner.len, id->owner, id->owner_len) ||
           (v->found_at.p &&
            kbv_name_equal(v->found_at.p, v->found_at.len, id->owner, id->owner_len));
}

/* Pins cost nothing, so those of every identity are looked at. */
static bool accepted_by_pins(struct kbv_tls_check *k)
{
    int64_t now = time(NULL);
    size_t which;

    for (k->at = 0; k->at < k->n_identities; k->at++) {
        const struct identity *id = &k->identities[k->at];

        if (id->pins &&
            kbv_query_accept(id->pins, &k->peer,
                             slice(id->host_len ? id->host : NULL, id->host_len), id->port, now,
                             &which) == KBV_ACCEPTED &&
            is_about(&kbv_query_reply(id->pins)->verdicts[which], id)) {
            k->result.by_pins = true;
            accept_peer(k, &kbv_query_reply(id->pins)->verdicts[which], now);
            return true;
        }
    }
    k->at = 0;
    return false;
}

static void begin(struct kbv_tls_check *k)
{
    if (k->who != KBV_TLS_OWNERS && k->who != KBV_TLS_SELF_NAMED) {
        kbv_tls_check_refuse(k, "nobody is expected");
        return;
    }
    k->deadline_ms = kbv_monotonic_ms() + k->timeout_ms;
    if (!accepted_by_pins(k))
        k->stage = STAGE_DIGEST;
}

static void ask(struct kbv_tls_check *k)
{
    const struct identity *id = &k->identities[k->at];
    struct kbv_ask a = {.form = KBV_ASK_OPTION, .name = slice(id->owner, id->owner_len)};
    enum kbv_err err = KBV_ERR_LIMIT;

    if (k->stage == STAGE_DIGEST) {
        a.material = KBV_MATERIAL_SPKI_SHA256;
        a.octets = slice(k->peer.spki_sha256, KBV_DIGEST_LEN);
    } else if (!k->peer.cert.p) {
        a.material = KBV_MATERIAL_SPKI;
        a.octets = k->peer.spki;
    } else {
        a.material = KBV_MATERIAL_CHAIN;
        a.octets = slice(k->chain, k->chain_len);
    }
    if (a.octets.p)
        k->query = kbv_query_create(k->client, &a, &err);
    if (!k->query)
        pass_over(k, KBV_REFUSED_NO_VERDICT, NULL,
                  a.octets.p ? kbv_err_text(err)
                             : "the whole chain is needed, and is larger than resolvers take");
}

/* A resolver serves a verdict out of its cache through the second in which it ends, and nobody may
 * accept it then: a second later it has a new one. */
static bool ends_now(const struct kbv_verdict *v, int64_t now)
{
    return (uint32_t)now - v->not_after < 2;
}

static void pause_for_a_second(struct kbv_tls_check *k)
{
    kbv_query_delete(k->query);
    k->query = NULL;
    k->paused = true;
    k->pause_ms = kbv_monotonic_ms() + 1000;
}

static void hear(struct kbv_tls_check *k)
{
    const struct kbv_reply *reply = kbv_query_reply(k->query);
    const struct kbv_verdict *v;
    enum kbv_acceptance acceptance;
    char detail[2 * KBV_REPLY_TEXT_MAX];
    int64_t now = time(NULL);
    size_t which;

    k->result.outcome = reply->outcome;
    if (reply->outcome != KBV_REPLY_VERDICTS) {
        (void)snprintf(detail, sizeof(detail), "%s%s%s", kbv_reply_outcome_text(reply->outcome),
                       *reply->error ? ": " : "", reply->error);
        pass_over(k, KBV_REFUSED_NO_VERDICT, NULL, detail);
        return;
    }
    /* A literal owner: host and port are in its name. */
    acceptance = kbv_query_accept(k->query, &k->peer, slice(NULL, 0), 0, now, &which);
    v = which < reply->n_verdicts ? &reply->verdicts[which] : NULL;
    if (v && acceptance == KBV_ACCEPTED) {
        accept_peer(k, v, now);
    } else if (v && k->stage == STAGE_DIGEST && v->status == KBV_STATUS_UNDECIDED &&
               kbv_query_believe(k->query, which, now) == KBV_BELIEVED) {
        kbv_query_delete(k->query);
        k->query = NULL;
        k->stage = STAGE_WHOLE;
    } else if (v && acceptance == KBV_REFUSED_EXPIRED && !k->paused && ends_now(v, now)) {
        pause_for_a_second(k);
    } else {
        pass_over(k, acceptance, v, NULL);
    }
}

static void give_up(struct kbv_tls_check *k)
{
    if (k->at == 0)
        pass_over(k, KBV_REFUSED_NO_VERDICT, NULL, "no verdict in time");
    end(k);
}

enum kbv_query_state kbv_tls_check_run(struct kbv_tls_check *k, struct kbv_wait *wait)
{
    while (k->stage != STAGE_ENDED) {
        const int64_t now_ms = kbv_monotonic_ms();
        int64_t left_ms = k->deadline_ms - now_ms;

        if (k->stage == STAGE_NO_PEER)
            kbv_tls_check_refuse(k, "there is no peer");
        else if (k->stage == STAGE_BEGIN)
            begin(k);
        else if (left_ms <= 0)
            give_up(k);
        else if (k->pause_ms > now_ms) {
            left_ms = k->pause_ms - now_ms < left_ms ? k->pause_ms - now_ms : left_ms;
            *wait = (struct kbv_wait){.fd = -1, .timeout_ms = (int)left_ms};
            return KBV_QUERY_WAIT;
        } else if (!k->query)
            ask(k);
        else if (kbv_query_run(k->query, wait) == KBV_QUERY_DONE)
            hear(k);
        else {
            if (wait->timeout_ms > left_ms)
                wait->timeout_ms = (int)left_ms;
            return KBV_QUERY_WAIT;
        }
    }
    return KBV_QUERY_DONE;
}

bool kbv_tls_check_wait(struct kbv_tls_check *k)
{
    struct kbv_wait wait;

    while (kbv_tls_check_run(k, &wait) == KBV_QUERY_WAIT)
        kbv_wait_poll(&wait);
    return k->result.acceptance == KBV_ACCEPTED;
}

const struct kbv_tls_judgement *kbv_tls_check_result(const struct kbv_tls_check *k)
{
    return k && k->stage == STAGE_ENDED ? &k->result : &not_judged;
}

enum kbv_tls_who kbv_tls_check_who(const struct kbv_tls_check *k)
{
    return k->who;
}

bool kbv_tls_check_has_peer(const struct kbv_tls_check *k)
{
    return k->stage != STAGE_NO_PEER;
}

bool kbv_tls_check_ended(const struct kbv_tls_check *k)
{
    return k->stage == STAGE_ENDED;
}

static bool accepted(const struct kbv_tls_check *k)
{
    return k->stage == STAGE_ENDED && k->result.acceptance == KBV_ACCEPTED;
}

bool kbv_tls_check_accepted_cert(const struct kbv_tls_check *k, const X509 *cert)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;

    return accepted(k) && k->peer.has_cert_sha256 && cert &&
           X509_digest(cert, EVP_sha256(), digest, &len) == 1 && len == KBV_DIGEST_LEN &&
           memcmp(digest, k->peer.cert_sha256, KBV_DIGEST_LEN) == 0;
}

bool kbv_tls_check_accepted_key(const struct kbv_tls_check *k, const EVP_PKEY *key)
{
    return accepted(k) && !k->peer.cert.p && key && EVP_PKEY_eq(key, k->key) == 1;
}
