/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every function of the core and the library that allocates, without memory: each allocation in
 * turn, ours and OpenSSL's, fails alone, or fails and all after it. What was to be done is then
 * done as it would have been, or refused; nothing is accepted that would not have been.
 * check_memory does the same with the judgement of keys and chains; tests/unit/allocations.txt
 * tells for each function who tries it. Without an argument every 31st allocation of the long
 * ones; with one, every one.
 */
#include <arpa/inet.h>
#include <check.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <kbv/tls.h>

#include "module/core/options.h"
#include "module/core/sign.h"
#include "module/core/stats.h"
#include "tests/unit/pki.h"
#include "tests/unit/starve.h"
#include "tests/unit/vectors.h"
#include "tests/unit/world.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* What came of one attempt. */
enum outcome { DONE, REFUSED, WRONG };

static bool every_one;

static struct octets_name owner, server, host; /* a client, a server, and its host */
static X509 *bound, *impostor;                 /* certificates: the peer's, and another's */
static EVP_PKEY *bound_key, *impostor_key;
static struct kbv_peer bound_peer, impostor_peer;
static struct pki_octets bound_der, impostor_der;
static char bundle_path[64], conf_path[64], key_path[64];

/* ---- a resolver: what it says is true, and it never lacks memory ---- */

static int resolver = -1;
static char resolver_address[32];

static void open_resolver(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);

    resolver = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(resolver, (struct sockaddr *)&in, len), 0);
    ck_assert_int_eq(getsockname(resolver, (struct sockaddr *)&in, &len), 0);
    (void)snprintf(resolver_address, sizeof(resolver_address), "127.0.0.1@%u", ntohs(in.sin_port));
}

static struct kbv_verdict verdict_for(const struct kbv_request *r, struct kbv_slice name)
{
    const uint32_t now = (uint32_t)time(NULL);
    const bool is_bound = r->kind == KBV_MATERIAL_SPKI_SHA256 &&
                          memcmp(r->material.p, bound_peer.spki_sha256, KBV_DIGEST_LEN) == 0;
    struct kbv_verdict v = {
        .status = is_bound ? KBV_STATUS_BOUND : KBV_STATUS_NOT_BOUND,
        .flags = KBV_FLAG_KEYED,
        .subject.kind = KBV_SUBJECT_SPKI,
        .match = is_bound ? (struct kbv_match){3, 1, 1} : KBV_MATCH_NONE,
        .issued = now - 1,
        .not_after = now + 300,
        .ede = KBV_EDE_NONE,
        .owner = name,
    };

    if (r->kind == KBV_MATERIAL_SPKI_SHA256)
        memcpy(v.subject.digest, r->material.p, KBV_DIGEST_LEN);
    return v;
}

/* The reply: header and question as they came, and OPT with the verdict. */
static size_t make_reply(const uint8_t *query, uint8_t *out, size_t cap)
{
    static const uint8_t opt[] = {0, 0, 41, 4, 208, 0, 0, 0, 0};
    const size_t question = 12 + kbv_name_len(query + 12, KBV_NAME_MAX) + 4;
    const uint8_t *option = query + question + sizeof(opt) + 2;
    uint8_t *p = out + question + sizeof(opt) + 2;
    struct kbv_request request;
    struct kbv_verdict v;
    uint8_t name[KBV_NAME_MAX];
    size_t len;

    ck_assert_int_eq(kbv_request_decode(&request, option + 4, (size_t)(option[2] << 8 | option[3])),
                     KBV_OK);
    memcpy(out, query, question);
    out[2] = 0x81, out[3] = 0x80;
    memcpy(out + question, opt, sizeof(opt));
    memcpy(p, option, 2);
    kbv_name_lower(name, query + 12, question - 16);
    v = verdict_for(&request, (struct kbv_slice){name, question - 16});
    ck_assert_int_eq(kbv_verdict_encode(&v, p + 4, cap - (size_t)(p + 4 - out), &len), KBV_OK);
    p[2] = (uint8_t)(len >> 8), p[3] = (uint8_t)len;
    p[-2] = (uint8_t)((len + 4) >> 8), p[-1] = (uint8_t)(len + 4);
    return (size_t)(p + 4 + len - out);
}

/* Answers the questions that are there, or waits a little for one. */
static void serve(void)
{
    uint8_t query[2048], out[2048];
    struct pollfd ready = {.fd = resolver, .events = POLLIN};
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);

    starve_pause(true);
    if (poll(&ready, 1, 20) == 1 &&
        recvfrom(resolver, query, sizeof(query), 0, (struct sockaddr *)&from, &from_len) > 12) {
        size_t len = make_reply(query, out, sizeof(out));

        (void)!sendto(resolver, out, len, 0, (struct sockaddr *)&from, from_len);
    }
    starve_pause(false);
}

/* ---- what is tried ---- */

static const struct {
    const char *key, *value;
} lines[] = {
    {"kbv-zone", "joineuis.example joineui"},
    {"kbv-zone", "netids.example netid port=443,8003"},
    {"kbv-require-secure", "example"},
    {"kbv-require-secure", "example.org"},
    {"kbv-max-ttl", "60"},
    {"kbv-ca-bundle", bundle_path},
};

static enum outcome set_options(void)
{
    struct kbv_options *o = kbv_options_create();
    char err[200];
    enum outcome outcome = o != NULL ? DONE : REFUSED;
    size_t zones, secure;

    for (size_t i = 0; o != NULL && outcome == DONE && i < ROWS(lines); i++) {
        zones = o->n_zones;
        secure = o->n_require_secure;
        if (kbv_options_set(o, lines[i].key, lines[i].value, err, sizeof(err)) == KBV_OK)
            continue;
        outcome = o->n_zones == zones && o->n_require_secure == secure && o->bundle == NULL &&
                          err[0] != '\0'
                      ? REFUSED
                      : WRONG;
    }
    if (outcome == DONE && (kbv_options_finish(o, err, sizeof(err)) != KBV_OK || o->n_zones != 2 ||
                            o->n_require_secure != 2 || o->max_ttl != 60 || o->bundle == NULL))
        outcome = WRONG;
    kbv_options_delete(o);
    return outcome;
}

/* What the module makes at its start. */
static enum outcome make_parts(void)
{
    static const uint8_t secret[KBV_CACHE_SECRET_LEN] = {1};
    char err[200] = "";
    struct kbv_bundle *bundle = kbv_bundle_load(bundle_path, err, sizeof(err));
    struct kbv_cache *cache = kbv_cache_create(KBV_CACHE_LEAST, 8, secret);
    struct kbv_ratelimit *limit = kbv_ratelimit_create(10, secret);
    struct kbv_stats *stats = kbv_stats_create(3);
    struct kbv_dane *dane = bundle != NULL ? kbv_dane_create(bundle) : NULL;
    const struct kbv_slice part = {secret, 4};
    uint8_t key[KBV_CACHE_KEY_LEN], value[8] = {7}, found[8] = {0};
    enum outcome outcome = bundle && cache && limit && stats && dane ? DONE : REFUSED;

    if (bundle == NULL && err[0] == '\0')
        outcome = WRONG;
    if (cache != NULL) {
        kbv_cache_key(cache, &part, 1, key);
        kbv_cache_put(cache, key, 10, 20, value, sizeof(value));
        if (!kbv_cache_get(cache, key, 11, found, sizeof(found)) || found[0] != 7)
            outcome = WRONG;
    }
    if (limit != NULL && !kbv_ratelimit_take(limit, &(struct kbv_asker){{1}}, 10))
        outcome = WRONG;
    if (stats != NULL)
        kbv_stats_verdict(kbv_stats_part(stats, 2), KBV_STATUS_LIMIT);
    kbv_dane_delete(dane);
    kbv_stats_delete(stats);
    kbv_ratelimit_delete(limit);
    kbv_cache_delete(cache);
    kbv_bundle_delete(bundle);
    return outcome;
}

static enum outcome read_peer(void)
{
    struct kbv_peer cert = {0}, key = {0};
    const bool read_cert = kbv_peer_from_certificate(&cert, bound_der.p, bound_der.len) == KBV_OK;
    const bool read_key =
        kbv_peer_from_spki(&key, bound_peer.spki.p, bound_peer.spki.len) == KBV_OK;

    if ((read_cert && memcmp(&cert, &bound_peer, sizeof(cert)) != 0) ||
        (read_key && memcmp(key.spki_sha256, bound_peer.spki_sha256, KBV_DIGEST_LEN) != 0) ||
        (!read_cert && cert.cert.p != NULL) || (!read_key && key.spki.p != NULL))
        return WRONG;
    return read_cert && read_key ? DONE : REFUSED;
}

static enum outcome read_owner(void)
{
    uint8_t out[KBV_NAME_MAX];
    size_t len = 0;

    if (kbv_tls_owner_from_certificate(bound, out, &len) != KBV_OK)
        return len == 0 ? REFUSED : WRONG;
    return kbv_name_equal(out, len, owner.wire, owner.len) ? DONE : WRONG;
}

/* RFC 8032 section 7.1, TEST 1: the key of the vectors. */
static const struct kbv_verdict_key signer = {{0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7,
                                               0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
                                               0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25,
                                               0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a}};
static struct vectors vectors;

static enum outcome verify(bool forged)
{
    const struct vector *vector = vectors_find(&vectors, "published-signed");
    enum kbv_signature found = KBV_SIGNATURE_FAILED;
    struct kbv_verdict v;

    vector->octets[vector->len - 1] ^= forged;
    if (kbv_verdict_decode(&v, vector->octets, vector->len) == KBV_OK)
        found = kbv_verdict_verify(&v, &signer, 1);
    vector->octets[vector->len - 1] ^= forged;
    if (found == (forged ? KBV_SIGNATURE_WRONG : KBV_SIGNATURE_VALID))
        return DONE;
    return found == KBV_SIGNATURE_VALID ? WRONG : REFUSED;
}

static enum outcome verify_good(void)
{
    return verify(false);
}

static enum outcome verify_forged(void)
{
    return verify(true);
}

/* A resolver's own half: the key file, and a verdict signed with it. */
static enum outcome sign(void)
{
    const struct kbv_reader_ids ids = {getuid(), getgid()};
    struct kbv_verdict v = {.status = KBV_STATUS_NO_BINDING,
                            .match = KBV_MATCH_NONE,
                            .ede = KBV_EDE_NONE,
                            .owner = {owner.wire, owner.len}},
                       found;
    char err[256] = "";
    struct kbv_signer *s = kbv_signer_load(key_path, &ids, err, sizeof(err));
    enum outcome outcome = s != NULL || err[0] != '\0' ? REFUSED : WRONG;
    uint8_t out[512];
    size_t len = 0;

    if (s != NULL && kbv_sign_verdict(s, NULL, NULL, 0, &v, out, sizeof(out), &len) == KBV_OK) {
        starve_pause(true); /* whoever verifies it has memory */
        outcome = kbv_verdict_decode(&found, out, len) == KBV_OK &&
                          kbv_verdict_verify(&found, &signer, 1) == KBV_SIGNATURE_VALID
                      ? DONE
                      : WRONG;
        starve_pause(false);
    }
    kbv_signer_delete(s);
    return outcome;
}

/* A client with all its settings. */
static enum outcome make_client(void)
{
    static const uint8_t pin[KBV_PIN_LEN] = {1};
    struct kbv_client *c = kbv_client_create();
    const bool made = c != NULL && kbv_client_add_resolver(c, "192.0.2.1", 0, pin) == KBV_OK &&
                      kbv_client_read_resolv_conf(c, conf_path) == KBV_OK &&
                      kbv_client_add_verdict_key(c, signer.octets) == KBV_OK;

    kbv_client_delete(c);
    return made ? DONE : REFUSED;
}

static struct kbv_client *client; /* made with memory */

static enum outcome ask_about(const struct kbv_peer *peer)
{
    const struct kbv_ask ask = {
        .name = {owner.wire, owner.len},
        .material = KBV_MATERIAL_SPKI_SHA256,
        .octets = {peer->spki_sha256, KBV_DIGEST_LEN},
    };
    enum kbv_err err = KBV_OK;
    struct kbv_query *q = kbv_query_create(client, &ask, &err);
    enum outcome outcome;
    struct kbv_wait wait;

    if (q == NULL)
        return err == KBV_ERR_NOMEM ? REFUSED : WRONG;
    while (kbv_query_run(q, &wait) == KBV_QUERY_WAIT)
        serve();
    if (kbv_query_accept(q, peer, (struct kbv_slice){NULL, 0}, 0, time(NULL), NULL) == KBV_ACCEPTED)
        outcome = DONE;
    else
        outcome = REFUSED;
    if (kbv_query_accept(q, peer == &bound_peer ? &impostor_peer : &bound_peer,
                         (struct kbv_slice){NULL, 0}, 0, time(NULL), NULL) == KBV_ACCEPTED)
        outcome = WRONG;
    kbv_query_delete(q);
    return outcome;
}

static enum outcome ask_about_the_bound(void)
{
    return ask_about(&bound_peer);
}

static enum outcome ask_about_an_impostor(void)
{
    return ask_about(&impostor_peer) == REFUSED ? DONE : WRONG;
}

static struct kbv_tls_expected expected(struct kbv_tls_identity *id, const struct octets_name *who)
{
    *id = (struct kbv_tls_identity){.owner = {who->wire, who->len}};
    return (struct kbv_tls_expected){.who = KBV_TLS_OWNERS, .identities = id, .n_identities = 1};
}

/* One that was there before, and the same certificate judged by hand. */
static enum outcome check_by_hand(X509 *cert)
{
    struct kbv_tls_identity id;
    const struct kbv_tls_expected e = expected(&id, &owner);
    enum kbv_err err = KBV_OK;
    struct kbv_tls_check *k = kbv_tls_check_create_x509(client, &e, cert, NULL, &err);
    struct kbv_wait wait;
    bool accepted;

    if (k == NULL)
        return err == KBV_ERR_NOMEM ? REFUSED : WRONG;
    while (kbv_tls_check_run(k, &wait) == KBV_QUERY_WAIT)
        serve();
    accepted = kbv_tls_check_result(k)->acceptance == KBV_ACCEPTED;
    if (kbv_tls_check_result(k)->reason[0] == '\0')
        accepted = cert == impostor; /* WRONG: nobody says why */
    kbv_tls_check_delete(k);
    return accepted ? DONE : REFUSED;
}

static enum outcome check_the_bound(void)
{
    return check_by_hand(bound);
}

static enum outcome check_an_impostor(void)
{
    return check_by_hand(impostor) == REFUSED ? DONE : WRONG;
}

/* ---- handshakes: the other side, which never lacks memory, has this certificate ---- */

struct pair {
    SSL_CTX *our_ctx, *their_ctx;
    SSL *ours, *theirs;
};

/* True if our side is there, as the library wants it; theirs always is. */
static bool make_pair(struct pair *p, X509 *cert, EVP_PKEY *key, bool serving)
{
    BIO *a = NULL, *b = NULL;

    starve_pause(true);
    p->their_ctx = SSL_CTX_new(serving ? TLS_client_method() : TLS_server_method());
    p->our_ctx = SSL_CTX_new(serving ? TLS_server_method() : TLS_client_method());
    ck_assert_int_eq(SSL_CTX_use_certificate(p->their_ctx, cert), 1);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey(p->their_ctx, key), 1);
    if (serving) {
        ck_assert_int_eq(SSL_CTX_use_certificate(p->our_ctx, cert), 1);
        ck_assert_int_eq(SSL_CTX_use_PrivateKey(p->our_ctx, key), 1);
    }
    p->theirs = SSL_new(p->their_ctx);
    p->ours = NULL;
    starve_pause(false);
    if (kbv_tls_ctx_enable(p->our_ctx) != KBV_OK)
        return false;
    starve_pause(true); /* OpenSSL's own */
    p->ours = SSL_new(p->our_ctx);
    ck_assert_int_eq(BIO_new_bio_pair(&a, 0, &b, 0), 1);
    SSL_set_bio(p->ours, a, a);
    SSL_set_bio(p->theirs, b, b);
    (serving ? SSL_set_accept_state : SSL_set_connect_state)(p->ours);
    (serving ? SSL_set_connect_state : SSL_set_accept_state)(p->theirs);
    starve_pause(false);
    return true;
}

static void free_pair(struct pair *p)
{
    SSL_free(p->ours);
    SSL_free(p->theirs);
    SSL_CTX_free(p->our_ctx);
    SSL_CTX_free(p->their_ctx);
}

/* Both sides in turn, and the resolver. */
static enum kbv_tls_state shake_hands(struct pair *p)
{
    enum kbv_tls_state state = KBV_TLS_WAIT;
    struct kbv_wait wait;

    for (int i = 0; i < 200 && state == KBV_TLS_WAIT; i++) {
        state = kbv_tls_handshake(p->ours, &wait);
        starve_pause(true);
        (void)SSL_do_handshake(p->theirs);
        starve_pause(false);
        if (state == KBV_TLS_WAIT && wait.fd >= 0)
            serve();
    }
    return state;
}

static enum outcome connect_to(X509 *cert, EVP_PKEY *key)
{
    struct kbv_tls_identity id;
    const struct kbv_tls_expected e = expected(&id, &server);
    enum kbv_tls_state state = KBV_TLS_REFUSED;
    enum outcome outcome;
    struct pair p;

    if (make_pair(&p, cert, key, false) && kbv_tls_expect(p.ours, client, &e) == KBV_OK)
        state = shake_hands(&p);
    outcome = state == KBV_TLS_ACCEPTED ? DONE : REFUSED;
    /* OpenSSL may fail behind the handshake: then the peer is whom it should be, and unheard. */
    if (outcome == DONE && !kbv_tls_accepted(p.ours))
        outcome = WRONG;
    if (p.ours != NULL && kbv_tls_accepted(p.ours) && cert == impostor)
        outcome = WRONG;
    free_pair(&p);
    return outcome;
}

static enum outcome connect_to_the_bound(void)
{
    return connect_to(bound, bound_key);
}

static enum outcome connect_to_an_impostor(void)
{
    return connect_to(impostor, impostor_key) == REFUSED ? DONE : WRONG;
}

/* Who the client is follows later. */
static enum outcome let_in_later(X509 *cert, EVP_PKEY *key)
{
    static const struct kbv_tls_expected later = {.who = KBV_TLS_LATER};
    struct kbv_tls_identity id;
    const struct kbv_tls_expected e = expected(&id, &owner);
    struct kbv_tls_check *k = NULL;
    enum outcome outcome = REFUSED;
    struct kbv_wait wait;
    struct pair p;

    if (make_pair(&p, cert, key, true) && kbv_tls_expect(p.ours, client, &later) == KBV_OK &&
        shake_hands(&p) == KBV_TLS_UNJUDGED)
        k = kbv_tls_check_create(client, &e, p.ours, NULL);
    while (k != NULL && kbv_tls_check_run(k, &wait) == KBV_QUERY_WAIT)
        serve();
    if (k != NULL && kbv_tls_check_result(k)->acceptance == KBV_ACCEPTED)
        outcome = DONE;
    if (p.ours != NULL && kbv_tls_accepted(p.ours))
        outcome = WRONG;
    kbv_tls_check_delete(k);
    free_pair(&p);
    return outcome;
}

static enum outcome let_the_bound_in(void)
{
    return let_in_later(bound, bound_key);
}

static enum outcome let_an_impostor_in(void)
{
    return let_in_later(impostor, impostor_key) == REFUSED ? DONE : WRONG;
}

static enum outcome set_sni(void)
{
    enum outcome outcome = REFUSED;
    const char *sni;
    struct pair p;

    starve_pause(true);
    p.our_ctx = SSL_CTX_new(TLS_client_method());
    p.ours = SSL_new(p.our_ctx);
    starve_pause(false);
    if (kbv_tls_set_sni(p.ours, (struct kbv_slice){host.wire, host.len}) == KBV_OK)
        outcome = DONE;
    sni = SSL_get_servername(p.ours, TLSEXT_NAMETYPE_host_name);
    if ((sni != NULL) != (outcome == DONE) || (sni != NULL && strcmp(sni, "js.example") != 0))
        outcome = WRONG;
    SSL_free(p.ours);
    SSL_CTX_free(p.our_ctx);
    return outcome;
}

/* What an impostor is refused for is no matter: DONE is that he is. */
static const struct attempt {
    const char *name;
    enum outcome (*run)(void);
    bool is_long;
} attempts[] = {
    {"options", set_options, false},
    {"bundle, verifier, table and limit", make_parts, true},
    {"a peer's certificate and key", read_peer, false},
    {"the name in a certificate", read_owner, false},
    {"a signature", verify_good, false},
    {"a forged signature", verify_forged, false},
    {"a key file, and a signature with it", sign, true},
    {"a client's settings", make_client, true},
    {"a question about the bound key", ask_about_the_bound, false},
    {"a question about another key", ask_about_an_impostor, false},
    {"a check of the bound certificate", check_the_bound, true},
    {"a check of another certificate", check_an_impostor, true},
    {"a server with the bound key", connect_to_the_bound, true},
    {"a server with another key", connect_to_an_impostor, true},
    {"a client with the bound key, judged later", let_the_bound_in, true},
    {"a client with another key, judged later", let_an_impostor_in, true},
    {"a server name", set_sni, false},
};

/* One attempt; *n: allocations that it asked for. */
static enum outcome attempt(const struct attempt *a, unsigned long fails_at, bool all_after,
                            unsigned long *n)
{
    enum outcome outcome;

    starve_begin(fails_at, all_after);
    outcome = a->run();
    *n = starve_end();
    ERR_clear_error();
    return outcome;
}

START_TEST(without_memory_it_is_done_right_or_refused)
{
    const struct attempt *a = &attempts[_i];
    const unsigned long stride = a->is_long && !every_one ? 31 : 1;
    unsigned long n, asked, tried = 0, refused = 0;

    ck_assert_int_eq(attempt(a, 0, false, &n), DONE);
    ck_assert_int_eq(attempt(a, 0, false, &n), DONE); /* what OpenSSL keeps it has by now */
    ck_assert_uint_gt(n, 0);
    for (int all_after = 0; all_after < 2; all_after++)
        for (unsigned long k = 1; k <= n; k += stride) {
            enum outcome outcome = attempt(a, k, all_after, &asked);

            tried++;
            refused += outcome == REFUSED;
            ck_assert_msg(outcome != WRONG, "%s: allocation %lu of %lu%s", a->name, k, n,
                          all_after ? " and all after it" : "");
        }
    /* Nothing is left of it. */
    ck_assert_int_eq(attempt(a, 0, false, &asked), DONE);
    printf("# %s: %lu allocations, %lu failures of them, %lu refusals\n", a->name, n, tried,
           refused);
}
END_TEST

/* Discovery allocates from whoever asks. */
START_TEST(discovery_without_memory_proves_nothing)
{
    static const char lines_of_dns[] =
        "id. NAPTR 1 1 S LWNS - _s._t.op.\n"
        "_s._t.op. SRV 0 1 443 js.op.\n"
        "js.op. A\n"
        "_443._tcp.js.op. TLSA 030101"
        "0101010101010101010101010101010101010101010101010101010101010101\n";
    static uint8_t associations[KBV_ASSOCIATIONS_MAX], names[3 * KBV_NAME_MAX];
    const struct kbv_policy policy = {.max_ttl = 3600, .max_negative_ttl = 300};
    const bool literal = _i == 1;
    struct world_question q;
    size_t published = 0, fail = 0;

    world_question(&q, literal ? WORLD_LITERAL : WORLD_SERVICE,
                   literal ? "_443._tcp.js.op." : "id.", NULL, 0);
    for (; published == 0; fail++) {
        struct world *w = world_new(lines_of_dns);
        struct world_run run;
        size_t n = 0;
        const struct kbv_evidence *e;

        ck_assert_uint_lt(fail, 1000);
        world_run(w, &q, 0, fail, &run);
        e = run.lookup != NULL ? kbv_lookup_evidence(run.lookup, &n) : NULL;
        for (size_t i = 0; i < n; i++) {
            struct kbv_verdict v;

            kbv_judge_base(&e[i], &policy, WORLD_NOW, associations, sizeof(associations), names,
                           &v);
            published += v.status == KBV_STATUS_PUBLISHED;
            ck_assert_msg(v.status == KBV_STATUS_PUBLISHED || v.status == KBV_STATUS_TEMPFAIL,
                          "allocation %zu: %s", fail, kbv_status_name(v.status));
            ck_assert(v.status != KBV_STATUS_PUBLISHED || n == 1);
        }
        world_free(w);
    }
    ck_assert_uint_gt(fail, 2);
}
END_TEST

/* The TLSA step alone, as the option on a TLSA query takes it. */
START_TEST(a_literal_without_memory_proves_nothing)
{
    struct world *w =
        world_new("_443._tcp.js.op. CNAME _dane.op.\n_dane.op. TLSA 030101"
                  "0101010101010101010101010101010101010101010101010101010101010101\n");
    struct kbv_answer answer;
    struct world_question q;
    size_t fail = 0;

    world_question(&q, WORLD_LITERAL, "_443._tcp.js.op.", NULL, 0);
    answer = world_answer(w, (struct kbv_slice){q.q.name, q.q.name_len}, KBV_TYPE_TLSA);
    for (bool found = false; !found; fail++) {
        struct kbv_mem mem = world_mem(w, fail);
        struct kbv_evidence e;

        ck_assert_uint_lt(fail, 100);
        kbv_lookup_literal(&mem, &q.q, &answer, WORLD_NOW, &e);
        found = e.finding == KBV_FOUND_TLSA;
        ck_assert(found || e.finding == KBV_FOUND_FAILURE);
    }
    ck_assert_uint_gt(fail, 1);
    world_free(w);
}
END_TEST

static void write_file(char path[64], const char *name, const char *text, X509 *cert)
{
    int fd;
    FILE *f;

    (void)snprintf(path, 64, "check_starved.%s.XXXXXX", name);
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    f = fdopen(fd, "w");
    ck_assert_ptr_nonnull(f);
    if (cert != NULL)
        ck_assert_int_eq(PEM_write_X509(f, cert), 1);
    else
        (void)fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

static void setup(void)
{
    const char *san = "DNS:_ns-client.ns.example";

    owner = octets_from_name("_ns-client.ns.example.");
    server = octets_from_name("_443._tcp.js.example.");
    host = octets_from_name("js.example.");
    bound_key = pki_key("P-256", 1);
    impostor_key = pki_key("P-256", 2);
    bound = pki_make(&(struct pki_spec){.subject = "x", .key = bound_key, .san = san});
    impostor = pki_make(&(struct pki_spec){.subject = "x", .key = impostor_key, .san = san});
    bound_der = pki_der(bound);
    impostor_der = pki_der(impostor);
    ck_assert_int_eq(kbv_peer_from_certificate(&bound_peer, bound_der.p, bound_der.len), KBV_OK);
    ck_assert_int_eq(kbv_peer_from_certificate(&impostor_peer, impostor_der.p, impostor_der.len),
                     KBV_OK);
    write_file(bundle_path, "pem", NULL, bound);
    write_file(conf_path, "conf", "nameserver 192.0.2.1\noptions use-vc timeout:1\n", NULL);
    write_file(key_path, "key",
               "-----BEGIN PRIVATE KEY-----\n"
               "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
               "-----END PRIVATE KEY-----\n",
               NULL);
    vectors_read(&vectors, "verdicts.txt");
    open_resolver();
    client = kbv_client_create();
    ck_assert_int_eq(
        kbv_client_add_resolver(client, resolver_address, KBV_RESOLVER_TRUST_LOOPBACK, NULL),
        KBV_OK);
}

static void teardown(void)
{
    kbv_client_delete(client);
    close(resolver);
    vectors_free(&vectors);
    (void)unlink(bundle_path);
    (void)unlink(conf_path);
    (void)unlink(key_path);
    pki_octets_free(&bound_der);
    pki_octets_free(&impostor_der);
    X509_free(bound);
    X509_free(impostor);
}

int main(int argc, char **argv)
{
    Suite *suite = suite_create("starved");
    TCase *tcase = tcase_create("starved");
    SRunner *runner;
    int failed;

    (void)argv;
    every_one = argc > 1;
    if (!starve_init())
        return EXIT_FAILURE;
    runner = srunner_create(suite);
    suite_add_tcase(suite, tcase);
    tcase_set_timeout(tcase, 1200);
    tcase_add_unchecked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, without_memory_it_is_done_right_or_refused, 0, (int)ROWS(attempts));
    tcase_add_loop_test(tcase, discovery_without_memory_proves_nothing, 0, 2);
    tcase_add_test(tcase, a_literal_without_memory_proves_nothing);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
