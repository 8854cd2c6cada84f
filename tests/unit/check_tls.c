/* SPDX-License-Identifier: BSD-3-Clause */
/* kbv/tls.h: names, keys, what is refused before anybody is asked; and what a few answers lead to.
 */
#include <kbv/tls.h>

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <check.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "tests/unit/octets.h"
#include "tests/unit/pki.h"

static struct kbv_client *client;

static void setup(void)
{
    client = kbv_client_create();
    ck_assert_ptr_nonnull(client);
}

static void teardown(void)
{
    kbv_client_delete(client);
}

/* ---- names ---- */

struct certificate_case {
    const char *san;   /* as in openssl.cnf; NULL: none */
    const char *owner; /* NULL: refused */
};

static const struct certificate_case certificate_cases[] = {
    {"DNS:_ns-client.ns.example", "_ns-client.ns.example."},
    {"DNS:_NS-Client.NS.Example", "_ns-client.ns.example."},
    {"DNS:_ns-client.ns.example.", "_ns-client.ns.example."},
    {"DNS:ns.example,DNS:_ns-client.ns.example", "_ns-client.ns.example."},
    {"DNS:_ns-client.ns.example,URI:https://_x.example,email:_x@example", "_ns-client.ns.example."},
    {NULL, NULL},
    {"DNS:ns.example", NULL},
    {"DNS:_a.example,DNS:_b.example", NULL},
    {"DNS:_a.example,DNS:_a.example", NULL}, /* not exactly one */
    {"DNS:_a.example,DNS:_b\\.example", NULL},
    {"DNS:_a\\.example", NULL},
    {"DNS:_a..example", NULL},
    {"DNS:_a b.example", NULL},
    {"DNS:_*.example", NULL},
    {"DNS:_", "_."},
    {"DNS:_443._tcp.ns.example", NULL}, /* a server's */
    {"DNS:_8003._UDP.ns.example", NULL},
    {"DNS:_443._tls.ns.example", "_443._tls.ns.example."},
    {"DNS:_0123456789012345678901234567890123456789012345678901234567890123.example", NULL},
    {"URI:_ns-client.ns.example", NULL},
    {"IP:192.0.2.1", NULL},
};

START_TEST(owner_from_certificate)
{
    const struct certificate_case *c = &certificate_cases[_i];
    struct pki_spec spec = {.subject = "_cn.example", .key = pki_key("P-256", 1), .san = c->san};
    X509 *x = pki_make(&spec);
    uint8_t owner[KBV_NAME_MAX];
    char text[KBV_NAME_TEXT_MAX];
    size_t len = 0;
    enum kbv_err err = kbv_tls_owner_from_certificate(x, owner, &len);

    X509_free(x);
    if (!c->owner) {
        ck_assert_int_eq(err, KBV_ERR_FORMAT);
        ck_assert_uint_eq(len, 0);
        return;
    }
    ck_assert_int_eq(err, KBV_OK);
    kbv_name_to_text(owner, len, text);
    ck_assert_str_eq(text, c->owner);
}
END_TEST

START_TEST(owner_from_netid)
{
    struct octets_name suffix = octets_from_name("netids.example.");
    struct kbv_id id;
    uint8_t owner[KBV_NAME_MAX];
    char text[KBV_NAME_TEXT_MAX];
    size_t len;

    ck_assert_int_eq(kbv_id_parse(KBV_ID_NETID, "00-05-0A", &id), KBV_OK);
    ck_assert_int_eq(kbv_tls_owner_from_netid(&id, suffix.wire, suffix.len, owner, &len), KBV_OK);
    kbv_name_to_text(owner, len, text);
    ck_assert_str_eq(text, "_ns-client.00050a.netids.example.");

    ck_assert_int_eq(kbv_id_parse(KBV_ID_JOINEUI, "70B3D57ED0000000", &id), KBV_OK);
    ck_assert_int_eq(kbv_tls_owner_from_netid(&id, suffix.wire, suffix.len, owner, &len),
                     KBV_ERR_FORMAT);
    ck_assert_int_eq(kbv_tls_owner_from_netid(NULL, suffix.wire, suffix.len, owner, &len),
                     KBV_ERR_FORMAT);
}
END_TEST

/* 7 + 11 octets come before the suffix. */
START_TEST(owner_from_netid_is_a_name)
{
    uint8_t suffix[KBV_NAME_MAX], owner[KBV_NAME_MAX];
    struct kbv_id id;
    size_t len = 0;

    ck_assert_int_eq(kbv_id_parse(KBV_ID_NETID, "00050A", &id), KBV_OK);
    for (size_t n = 200; n <= KBV_NAME_MAX; n++) {
        size_t at = 0;

        while (n - 1 - at >= 2) {
            size_t label = n - 1 - at > 64 ? 61 : n - 2 - at;

            suffix[at++] = (uint8_t)label;
            memset(suffix + at, 'a', label);
            at += label;
        }
        suffix[at++] = 0;
        if (at != n)
            continue;
        ck_assert_int_eq(kbv_tls_owner_from_netid(&id, suffix, n, owner, &len),
                         n + 18 <= KBV_NAME_MAX ? KBV_OK : KBV_ERR_LIMIT);
        if (n + 18 <= KBV_NAME_MAX)
            ck_assert_uint_eq(kbv_name_len(owner, len), n + 18);
    }
}
END_TEST

struct sni_case {
    const char *host, *sni;
};

static const struct sni_case sni_cases[] = {
    {"js1.op-a.example.", "js1.op-a.example"},
    {"0.0.0.0.0.0.0.d.e.7.5.d.3.b.0.7.joineuis.example.",
     "0.0.0.0.0.0.0.d.e.7.5.d.3.b.0.7.joineuis.example"},
    {"a_b.example.", "a_b.example"},
    {".", NULL},
    {"a\\000b.example.", NULL},
    {"a\\.b.example.", NULL},
    {"a\\032b.example.", NULL},
    {"\\195\\164.example.", NULL},
};

START_TEST(server_name)
{
    const struct sni_case *c = &sni_cases[_i];
    struct octets_name host = octets_from_name(c->host);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);

    ck_assert_int_eq(kbv_tls_set_sni(ssl, (struct kbv_slice){host.wire, host.len}),
                     c->sni ? KBV_OK : KBV_ERR_FORMAT);
    if (c->sni)
        ck_assert_str_eq(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), c->sni);
    ck_assert_int_eq(kbv_tls_set_sni(ssl, (struct kbv_slice){host.wire, host.len - 1}),
                     KBV_ERR_FORMAT);
    ck_assert_int_eq(kbv_tls_set_sni(ssl, (struct kbv_slice){NULL, 0}), KBV_ERR_FORMAT);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}
END_TEST

/* ---- keys ---- */

static EVP_PKEY *explicit_curve(void)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;
    unsigned char *der = NULL;
    const unsigned char *p;
    int len;

    ck_assert_int_eq(EVP_PKEY_keygen_init(c), 1);
    ck_assert_int_eq(EVP_PKEY_CTX_set_group_name(c, "P-256"), 1);
    ck_assert_int_eq(EVP_PKEY_CTX_set_ec_param_enc(c, OPENSSL_EC_EXPLICIT_CURVE), 1);
    ck_assert_int_eq(EVP_PKEY_keygen(c, &key), 1);
    EVP_PKEY_CTX_free(c);
    /* That the curve was explicit is known of a key that was read. */
    len = i2d_PrivateKey(key, &der);
    EVP_PKEY_free(key);
    p = der;
    key = d2i_AutoPrivateKey(NULL, &p, len);
    OPENSSL_free(der);
    ck_assert_ptr_nonnull(key);
    return key;
}

static EVP_PKEY *rsa_1024(void)
{
    return EVP_RSA_gen(1024);
}

static EVP_PKEY *p_192(void)
{
    return EVP_EC_gen("P-192");
}

struct key_case {
    EVP_PKEY *(*make)(void);
    const char *type; /* else one of pki_key()'s */
    const char *reason;
};

static const struct key_case key_cases[] = {
    {NULL, "RSA-2048", "no resolver is configured"}, {NULL, "P-256", "no resolver is configured"},
    {NULL, "P-384", "no resolver is configured"},    {NULL, "ED25519", "no resolver is configured"},
    {rsa_1024, NULL, "too weak: RSA of 1024 bits"},  {p_192, NULL, "too weak: EC of 192 bits"},
    {explicit_curve, NULL, "too weak: EC"},
};

static const char *reason_of(enum kbv_tls_who who, X509 *x, struct kbv_slice owner)
{
    static char reason[KBV_TLS_REASON_MAX];
    struct kbv_tls_identity id = {.owner = owner};
    struct kbv_tls_expected e = {.who = who, .identities = &id, .n_identities = owner.p != NULL};
    enum kbv_err err;
    struct kbv_tls_check *k = kbv_tls_check_create_x509(client, &e, x, NULL, &err);

    ck_assert_int_eq(err, KBV_OK);
    ck_assert(!kbv_tls_check_wait(k));
    ck_assert_int_ne(kbv_tls_check_result(k)->acceptance, KBV_ACCEPTED);
    ck_assert_int_eq(kbv_tls_check_result(k)->not_after, 0);
    strcpy(reason, kbv_tls_check_result(k)->reason);
    kbv_tls_check_delete(k);
    return reason;
}

START_TEST(key_strength)
{
    const struct key_case *c = &key_cases[_i];
    struct octets_name owner = octets_from_name("_ns-client.ns.example.");
    struct pki_spec spec = {.subject = "x"};
    EVP_PKEY *made = c->make ? c->make() : NULL;
    const char *reason;
    X509 *x;

    spec.key = made ? made : pki_key(c->type, 1);
    x = pki_make(&spec);
    reason = reason_of(KBV_TLS_OWNERS, x, (struct kbv_slice){owner.wire, owner.len});
    ck_assert_msg(strstr(reason, c->reason) != NULL, "%s", reason);
    X509_free(x);
    EVP_PKEY_free(made);
}
END_TEST

/* ---- expectations ---- */

START_TEST(nobody_is_let_in_unasked)
{
    struct octets_name owner = octets_from_name("_ns-client.ns.example.");
    struct kbv_slice name = {owner.wire, owner.len}, none = {NULL, 0};
    struct pki_spec spec = {.subject = "x", .key = pki_key("P-256", 1)};
    struct kbv_tls_expected e = {.who = KBV_TLS_NOBODY};
    X509 *x = pki_make(&spec);
    struct kbv_tls_check *k;
    struct kbv_wait wait;

    ck_assert_str_eq(reason_of(KBV_TLS_NOBODY, x, name), "nobody is expected");
    ck_assert_str_eq(reason_of(KBV_TLS_SELF_NAMED, x, name),
                     "the certificate names nobody who is expected");
    ck_assert_ptr_nonnull(strstr(reason_of(KBV_TLS_SELF_NAMED, x, none), "exactly one dNSName"));
    ck_assert_str_eq(reason_of(KBV_TLS_OWNERS, NULL, name), "there is no peer");
    k = kbv_tls_check_create_x509(client, &e, x, NULL, NULL);
    ck_assert_str_eq(kbv_tls_check_result(k)->reason, "the peer was not judged");
    ck_assert_int_eq(kbv_tls_check_run(k, &wait), KBV_QUERY_DONE);
    kbv_tls_check_delete(k);
    ck_assert_int_ne(kbv_tls_check_result(NULL)->acceptance, KBV_ACCEPTED);
    kbv_tls_check_delete(NULL);
    X509_free(x);
}
END_TEST

START_TEST(bad_expectations)
{
    struct octets_name owner = octets_from_name("_ns-client.ns.example.");
    struct kbv_tls_identity many[KBV_TLS_IDENTITIES_MAX + 1];
    struct pki_spec spec = {.subject = "x", .key = pki_key("P-256", 1)};
    X509 *x = pki_make(&spec);
    enum kbv_err err;
    const struct {
        struct kbv_tls_expected e;
        struct kbv_tls_identity id;
        enum kbv_err err;
    } cases[] = {
        {{.who = KBV_TLS_OWNERS}, {.port = 0}, KBV_ERR_FORMAT},
        {{.who = KBV_TLS_OWNERS, .n_identities = 1}, {.owner = {NULL, 0}}, KBV_ERR_FORMAT},
        {{.who = KBV_TLS_OWNERS, .n_identities = 1},
         {.owner = {owner.wire, owner.len - 1}},
         KBV_ERR_FORMAT},
        {{.who = KBV_TLS_OWNERS, .n_identities = 1},
         {.owner = {owner.wire, owner.len}, .host = {owner.wire, 3}},
         KBV_ERR_FORMAT},
        {{.who = KBV_TLS_LATER}, {.port = 0}, KBV_ERR_FORMAT},
        {{.who = (enum kbv_tls_who)99}, {.port = 0}, KBV_ERR_FORMAT},
        {{.who = KBV_TLS_NOBODY, .timeout_ms = -1}, {.port = 0}, KBV_ERR_FORMAT},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kbv_tls_expected e = cases[i].e;

        e.identities = &cases[i].id;
        ck_assert_ptr_null(kbv_tls_check_create_x509(client, &e, x, NULL, &err));
        ck_assert_int_eq(err, cases[i].err);
    }
    for (size_t i = 0; i <= KBV_TLS_IDENTITIES_MAX; i++)
        many[i] = (struct kbv_tls_identity){.owner = {owner.wire, owner.len}};
    ck_assert_ptr_null(kbv_tls_check_create_x509(
        client,
        &(struct kbv_tls_expected){
            .who = KBV_TLS_OWNERS, .identities = many, .n_identities = KBV_TLS_IDENTITIES_MAX + 1},
        x, NULL, &err));
    ck_assert_int_eq(err, KBV_ERR_LIMIT);
    ck_assert_ptr_null(kbv_tls_check_create_x509(
        client, &(struct kbv_tls_expected){.who = KBV_TLS_OWNERS, .n_identities = 1}, x, NULL,
        &err));
    ck_assert_int_eq(err, KBV_ERR_FORMAT);
    X509_free(x);
}
END_TEST

/* ---- contexts and SSLs ---- */

START_TEST(context)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());

    ck_assert_int_eq(kbv_tls_ctx_enable(ctx), KBV_OK);
    ck_assert_int_eq(SSL_CTX_get_verify_mode(ctx),
                     SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
    ck_assert_int_ge(SSL_CTX_get_min_proto_version(ctx), TLS1_2_VERSION);
    ck_assert_int_eq(SSL_CTX_get_session_cache_mode(ctx), SSL_SESS_CACHE_OFF);
    ck_assert_uint_eq(SSL_CTX_get_num_tickets(ctx), 0);
    ck_assert(SSL_CTX_get_options(ctx) & SSL_OP_NO_TICKET);
    ck_assert(SSL_CTX_get_options(ctx) & SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_free(ctx);
    ck_assert_int_eq(kbv_tls_ctx_enable(NULL), KBV_ERR_UNSUPPORTED);
    ctx = SSL_CTX_new(DTLS_method());
    ck_assert_int_eq(kbv_tls_ctx_enable(ctx), KBV_ERR_UNSUPPORTED);
    ck_assert_int_eq(SSL_CTX_set_min_proto_version(ctx, DTLS1_2_VERSION), 1);
    ck_assert_int_eq(kbv_tls_ctx_enable(ctx), KBV_ERR_UNSUPPORTED);
    SSL_CTX_free(ctx);
}
END_TEST

/* A stricter program stays so. */
START_TEST(context_keeps_tls_1_3)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());

    ck_assert_int_eq(SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION), 1);
    ck_assert_int_eq(kbv_tls_ctx_enable(ctx), KBV_OK);
    ck_assert_int_eq(SSL_CTX_get_min_proto_version(ctx), TLS1_3_VERSION);
    SSL_CTX_free(ctx);
}
END_TEST

START_TEST(expecting)
{
    struct octets_name owner = octets_from_name("_8003._tcp.js1.op-a.example.");
    struct kbv_tls_identity id = {.owner = {owner.wire, owner.len}};
    struct kbv_tls_expected e = {.who = KBV_TLS_OWNERS, .identities = &id, .n_identities = 1};
    SSL_CTX *plain = SSL_CTX_new(TLS_client_method()), *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(plain);
    struct kbv_wait wait;

    ck_assert_int_eq(kbv_tls_expect(ssl, client, &e), KBV_ERR_UNSUPPORTED);
    ck_assert_int_eq(kbv_tls_handshake(ssl, &wait), KBV_TLS_REFUSED);
    ck_assert(!kbv_tls_accepted(ssl));
    SSL_free(ssl);
    ck_assert_int_eq(kbv_tls_ctx_enable(ctx), KBV_OK);
    ssl = SSL_new(ctx);
    ck_assert_str_eq(kbv_tls_result(ssl)->reason, "nobody is expected on this connection");
    ck_assert_int_eq(kbv_tls_expect(ssl, client, &e), KBV_OK);
    ck_assert_str_eq(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), "js1.op-a.example");
    ck_assert_int_ne(kbv_tls_result(ssl)->acceptance, KBV_ACCEPTED);
    ck_assert(!kbv_tls_accepted(ssl));
    ck_assert_ptr_null(kbv_tls_check_create(client, &e, ssl, NULL));
    /* What cannot be expected takes the place of what was. */
    e.who = KBV_TLS_SELF_NAMED;
    ck_assert_int_eq(kbv_tls_expect(ssl, client, &e), KBV_ERR_FORMAT);
    ck_assert_str_eq(kbv_tls_result(ssl)->reason, "nobody is expected on this connection");
    e.who = KBV_TLS_LATER;
    ck_assert_int_eq(kbv_tls_expect(ssl, client, &e), KBV_ERR_FORMAT);
    ck_assert_int_eq(kbv_tls_expect(ssl, client, NULL), KBV_ERR_FORMAT);
    ck_assert_int_eq(kbv_tls_expect(ssl, NULL, &e), KBV_ERR_FORMAT);
    ck_assert_int_eq(kbv_tls_expect(NULL, client, &e), KBV_ERR_FORMAT);
    ck_assert(!kbv_tls_accepted(NULL));
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    SSL_CTX_free(plain);
}
END_TEST

/* ---- handshakes over memory ---- */

struct pair {
    SSL_CTX *server_ctx, *client_ctx;
    SSL *server, *client;
};

static void make_pair(struct pair *p)
{
    struct pki_spec spec = {.subject = "x", .key = pki_key("P-256", 1)};
    X509 *x = pki_make(&spec);
    BIO *a, *b;

    p->server_ctx = SSL_CTX_new(TLS_server_method());
    p->client_ctx = SSL_CTX_new(TLS_client_method());
    ck_assert_int_eq(kbv_tls_ctx_enable(p->server_ctx), KBV_OK);
    ck_assert_int_eq(kbv_tls_ctx_enable(p->client_ctx), KBV_OK);
    ck_assert_int_eq(SSL_CTX_use_certificate(p->server_ctx, x), 1);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey(p->server_ctx, spec.key), 1);
    ck_assert_int_eq(SSL_CTX_use_certificate(p->client_ctx, x), 1);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey(p->client_ctx, spec.key), 1);
    X509_free(x);
    p->server = SSL_new(p->server_ctx);
    p->client = SSL_new(p->client_ctx);
    ck_assert_int_eq(BIO_new_bio_pair(&a, 0, &b, 0), 1);
    SSL_set_bio(p->server, a, a);
    SSL_set_bio(p->client, b, b);
    SSL_set_accept_state(p->server);
    SSL_set_connect_state(p->client);
}

static void free_pair(struct pair *p)
{
    SSL_free(p->server);
    SSL_free(p->client);
    SSL_CTX_free(p->server_ctx);
    SSL_CTX_free(p->client_ctx);
}

/* Whoever expects nobody refuses everybody, on either side, also with SSL_do_handshake(). */
START_TEST(nobody_is_expected)
{
    struct pair p;

    make_pair(&p);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_ne(SSL_do_handshake(p.client), 1);
        ck_assert_int_ne(SSL_do_handshake(p.server), 1);
    }
    ck_assert_int_eq(SSL_get_verify_result(p.client), X509_V_ERR_APPLICATION_VERIFICATION);
    free_pair(&p);
}
END_TEST

/* A dropped verify mode does not let a peer in. */
START_TEST(verify_mode_dropped)
{
    struct octets_name owner = octets_from_name("_8003._tcp.js1.op-a.example.");
    struct kbv_tls_identity id = {.owner = {owner.wire, owner.len}};
    struct kbv_tls_expected e = {.who = KBV_TLS_OWNERS, .identities = &id, .n_identities = 1};
    struct pair p;
    struct kbv_wait wait;
    enum kbv_tls_state state = KBV_TLS_WAIT;

    make_pair(&p);
    ck_assert_int_eq(kbv_tls_expect(p.client, client, &e), KBV_OK);
    SSL_set_verify(p.client, SSL_VERIFY_NONE, NULL);
    SSL_set_verify(p.server, SSL_VERIFY_NONE, NULL);
    for (int i = 0; i < 10 && state == KBV_TLS_WAIT; i++) {
        state = kbv_tls_handshake(p.client, &wait);
        if (state == KBV_TLS_WAIT)
            ck_assert_int_eq(wait.fd, -1);
        (void)SSL_do_handshake(p.server);
    }
    ck_assert_int_eq(state, KBV_TLS_REFUSED);
    ck_assert(!kbv_tls_accepted(p.client));
    free_pair(&p);
}
END_TEST

/* The role is in the name: a server's owner names no client, nor the reverse. Of several, each. */
static const struct {
    const char *one, *two;
    enum kbv_err for_client, for_server; /* expected by a connecting SSL, by an accepting one */
} roles[] = {
    {"_8003._tcp.js1.op-a.example.", NULL, KBV_OK, KBV_ERR_FORMAT},
    {"_ns-client.00050a.netids.example.", NULL, KBV_ERR_FORMAT, KBV_OK},
    {"c.3.b.2._device.op-a.example.", NULL, KBV_ERR_FORMAT, KBV_OK},
    {"_8003._tcp.js1.op-a.example.", "_443._tcp.js2.op-a.example.", KBV_OK, KBV_ERR_FORMAT},
    {"_8003._tcp.js1.op-a.example.", "_ns-client.ns.op-a.example.", KBV_ERR_FORMAT, KBV_ERR_FORMAT},
    {"_ns-client.ns.op-a.example.", "_8003._tcp.js1.op-a.example.", KBV_ERR_FORMAT, KBV_ERR_FORMAT},
    {"_x._tcp.js1.op-a.example.", NULL, KBV_ERR_FORMAT, KBV_OK}, /* no port: no server's */
};

START_TEST(an_expected_name_has_the_role_of_the_peer)
{
    struct octets_name one = octets_from_name(roles[_i].one),
                       two = octets_from_name(roles[_i].two != NULL ? roles[_i].two : ".");
    struct kbv_tls_identity ids[] = {{.owner = {one.wire, one.len}},
                                     {.owner = {two.wire, two.len}}};
    struct kbv_tls_expected e = {
        .who = KBV_TLS_OWNERS, .identities = ids, .n_identities = roles[_i].two != NULL ? 2 : 1};
    struct pair p;

    make_pair(&p);
    ck_assert_int_eq(kbv_tls_expect(p.client, client, &e), roles[_i].for_client);
    ck_assert_int_eq(kbv_tls_expect(p.server, client, &e), roles[_i].for_server);
    e.who = KBV_TLS_SELF_NAMED; /* a client is one of these */
    ck_assert_int_eq(kbv_tls_expect(p.server, client, &e), roles[_i].for_server);
    free_pair(&p);
}
END_TEST

/* The expectation is that of the handshake's beginning. */
START_TEST(expecting_too_late)
{
    struct octets_name owner = octets_from_name("_ns-client.ns.example.");
    struct kbv_tls_identity id = {.owner = {owner.wire, owner.len}};
    struct kbv_tls_expected e = {.who = KBV_TLS_OWNERS, .identities = &id, .n_identities = 1};
    struct kbv_tls_expected later = {.who = KBV_TLS_LATER};
    struct pair p;

    make_pair(&p);
    ck_assert_int_eq(kbv_tls_expect(p.server, client, &later), KBV_OK);
    SSL_set_verify(p.client, SSL_VERIFY_NONE, NULL);
    (void)SSL_do_handshake(p.client);
    (void)SSL_do_handshake(p.server);
    ck_assert_int_eq(kbv_tls_expect(p.server, client, &e), KBV_ERR_UNSUPPORTED);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_ne(SSL_do_handshake(p.server), 1);
        (void)SSL_do_handshake(p.client);
    }
    free_pair(&p);
}
END_TEST

/* LATER: the handshake ends, and nobody is accepted yet. */
START_TEST(judged_later)
{
    struct octets_name owner = octets_from_name("_ns-client.ns.example.");
    struct kbv_tls_identity id = {.owner = {owner.wire, owner.len}};
    struct kbv_tls_expected e = {.who = KBV_TLS_OWNERS, .identities = &id, .n_identities = 1};
    struct kbv_tls_expected later = {.who = KBV_TLS_LATER};
    enum kbv_tls_state state = KBV_TLS_WAIT;
    struct kbv_tls_check *k;
    struct kbv_wait wait;
    struct pair p;

    make_pair(&p);
    ck_assert_int_eq(kbv_tls_expect(p.server, client, &later), KBV_OK);
    SSL_set_verify(p.client, SSL_VERIFY_NONE, NULL);
    for (int i = 0; i < 10 && state == KBV_TLS_WAIT; i++) {
        (void)SSL_do_handshake(p.client);
        state = kbv_tls_handshake(p.server, &wait);
    }
    ck_assert_int_eq(state, KBV_TLS_UNJUDGED);
    ck_assert(!kbv_tls_accepted(p.server));
    ck_assert_int_ne(kbv_tls_result(p.server)->acceptance, KBV_ACCEPTED);
    ck_assert_int_ne(SSL_get_verify_result(p.server), X509_V_OK);
    k = kbv_tls_check_create(client, &e, p.server, NULL);
    ck_assert_ptr_nonnull(k);
    ck_assert(!kbv_tls_check_wait(k));
    ck_assert_int_eq(kbv_tls_check_result(k)->outcome, KBV_REPLY_NO_RESOLVER);
    kbv_tls_check_delete(k);
    free_pair(&p);
}
END_TEST

START_TEST(copies_expect_nobody)
{
    struct octets_name owner = octets_from_name("_8003._tcp.js1.op-a.example.");
    struct kbv_tls_identity id = {.owner = {owner.wire, owner.len}};
    struct kbv_tls_expected e = {.who = KBV_TLS_OWNERS, .identities = &id, .n_identities = 1};
    struct pair p;
    SSL *copy;

    make_pair(&p);
    ck_assert_int_eq(kbv_tls_expect(p.client, client, &e), KBV_OK);
    copy = SSL_dup(p.client);
    ck_assert_ptr_nonnull(copy);
    ck_assert_str_eq(kbv_tls_result(copy)->reason, "nobody is expected on this connection");
    SSL_free(copy);
    free_pair(&p);
}
END_TEST

/* ---- with a resolver that says what the test wants ---- */

struct resolver {
    int listener;
    struct kbv_verdict says[2]; /* to the first question, and to the second one */
    size_t n_asked;
    struct kbv_request asked[2];
    uint8_t octets[2][8192]; /* that they point into, with the length in front */
};

static void open_resolver(struct resolver *r)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    char address[32];

    memset(r, 0, sizeof(*r));
    r->listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(r->listener, (struct sockaddr *)&in, len), 0);
    ck_assert_int_eq(listen(r->listener, 1), 0);
    ck_assert_int_eq(getsockname(r->listener, (struct sockaddr *)&in, &len), 0);
    snprintf(address, sizeof(address), "127.0.0.1@%u", ntohs(in.sin_port));
    ck_assert_int_eq(kbv_client_add_resolver(client, address,
                                             KBV_RESOLVER_TCP | KBV_RESOLVER_TRUST_LOOPBACK, NULL),
                     KBV_OK);
}

/* A verdict about owner that holds now. */
static struct kbv_verdict verdict_on(const struct octets_name *owner, enum kbv_status status)
{
    uint32_t now = (uint32_t)time(NULL);

    return (struct kbv_verdict){.status = status,
                                .match = KBV_MATCH_NONE,
                                .issued = now - 1,
                                .not_after = now + 300,
                                .ede = KBV_EDE_NONE,
                                .owner = {owner->wire, owner->len}};
}

static void keyed(struct kbv_verdict *v, enum kbv_subject_kind kind, const uint8_t *digest)
{
    v->flags = KBV_FLAG_KEYED;
    v->subject.kind = kind;
    memcpy(v->subject.digest, digest, KBV_DIGEST_LEN);
}

/* The reply: header, the question as it came, and OPT with the verdict. */
static void answer(struct resolver *r, int fd)
{
    uint8_t *query = r->octets[r->n_asked] + 2, out[8192] = {0}, *p = out + 2;
    size_t question = 12 + kbv_name_len(query + 12, KBV_NAME_MAX) + 4, at, len;
    static const uint8_t opt[] = {0, 0, 41, 4, 208, 0, 0, 0, 0};

    at = question + sizeof(opt) + 2;
    ck_assert_int_eq(kbv_request_decode(&r->asked[r->n_asked], query + at + 4,
                                        (size_t)(query[at + 2] << 8 | query[at + 3])),
                     KBV_OK);
    memcpy(p, query, question);
    p[2] = 0x81, p[3] = 0x80;
    p += question;
    memcpy(p, opt, sizeof(opt));
    p += sizeof(opt) + 2;
    memcpy(p, query + at, 2);
    ck_assert_int_eq(
        kbv_verdict_encode(&r->says[r->n_asked], p + 4, sizeof(out) - (size_t)(p - out) - 4, &len),
        KBV_OK);
    p[2] = (uint8_t)(len >> 8), p[3] = (uint8_t)len;
    p[-2] = (uint8_t)((len + 4) >> 8), p[-1] = (uint8_t)(len + 4);
    p += 4 + len;
    out[0] = (uint8_t)((p - out - 2) >> 8), out[1] = (uint8_t)(p - out - 2);
    ck_assert_int_eq(write(fd, out, (size_t)(p - out)), p - out);
    r->n_asked++;
}

/* Answers what waits, if something does; small enough to come in one piece. */
static void serve(struct resolver *r)
{
    static int fd = -1;
    struct pollfd ready = {.fd = fd < 0 ? r->listener : fd, .events = POLLIN};

    if (poll(&ready, 1, 10) != 1)
        return;
    if (fd < 0) {
        fd = accept(r->listener, NULL, NULL);
        return;
    }
    ck_assert_uint_lt(r->n_asked, 2);
    ck_assert_int_gt(read(fd, r->octets[r->n_asked], sizeof(r->octets[0])), 14);
    answer(r, fd);
    close(fd);
    fd = -1;
}

static const struct kbv_tls_judgement *judge(struct resolver *r, struct kbv_tls_check *k)
{
    struct kbv_wait wait;

    ck_assert_ptr_nonnull(k);
    while (kbv_tls_check_run(k, &wait) == KBV_QUERY_WAIT)
        serve(r);
    return kbv_tls_check_result(k);
}

/* TLSA 3 0 1: the key's digest decides nothing, so the certificate is shown. */
START_TEST(a_certificate_alone_is_a_chain)
{
    struct octets_name owner = octets_from_name("_ns-client.ns.example.");
    struct kbv_tls_identity id = {.owner = {owner.wire, owner.len}};
    struct kbv_tls_expected e = {.who = KBV_TLS_OWNERS, .identities = &id, .n_identities = 1};
    struct pki_spec spec = {.subject = "x", .key = pki_key("P-256", 1)};
    X509 *x = pki_make(&spec);
    unsigned char *der = NULL;
    size_t len = (size_t)i2d_X509(x, &der);
    const struct kbv_tls_judgement *found;
    struct kbv_tls_check *k;
    struct kbv_peer peer;
    struct resolver r;

    open_resolver(&r);
    ck_assert_int_eq(kbv_peer_from_certificate(&peer, der, len), KBV_OK);
    r.says[0] = verdict_on(&owner, KBV_STATUS_UNDECIDED);
    keyed(&r.says[0], KBV_SUBJECT_SPKI, peer.spki_sha256);
    r.says[1] = verdict_on(&owner, KBV_STATUS_BOUND);
    keyed(&r.says[1], KBV_SUBJECT_CERT, peer.cert_sha256);
    r.says[1].match = (struct kbv_match){3, 0, 1};
    k = kbv_tls_check_create_x509(client, &e, x, NULL, NULL);
    found = judge(&r, k);
    ck_assert_msg(found->acceptance == KBV_ACCEPTED, "%s", found->reason);
    ck_assert(found->keyed_by_chain);
    ck_assert_uint_eq(r.n_asked, 2);
    ck_assert_int_eq(r.asked[1].kind, KBV_MATERIAL_CHAIN);
    ck_assert_uint_eq(r.asked[1].material.len, 2 + len);
    ck_assert_mem_eq(r.asked[1].material.p + 2, der, len);
    kbv_tls_check_delete(k);
    OPENSSL_free(der);
    X509_free(x);
    close(r.listener);
}
END_TEST

/* The very key is published, but for another owner than the one that is expected. */
START_TEST(pins_are_those_of_their_owner)
{
    struct octets_name owner = octets_from_name("_ns-client.ns.example.");
    struct octets_name other = octets_from_name("_ns-client.other.example.");
    struct kbv_ask ask = {.form = KBV_ASK_OPTION, .name = {owner.wire, owner.len}};
    struct kbv_tls_identity id = {.owner = {owner.wire, owner.len}};
    struct kbv_tls_expected e = {.who = KBV_TLS_OWNERS, .identities = &id, .n_identities = 1};
    struct pki_spec spec = {.subject = "x", .key = pki_key("P-256", 1)};
    X509 *x = pki_make(&spec);
    uint8_t association[5 + KBV_DIGEST_LEN] = {3, 1, 1, 0, KBV_DIGEST_LEN};
    const struct kbv_tls_judgement *found;
    struct kbv_tls_check *k;
    unsigned char *der = NULL;
    size_t len;
    struct kbv_query *q;
    struct kbv_peer peer;
    struct kbv_wait wait;
    struct resolver r;

    open_resolver(&r);
    len = (size_t)i2d_X509(x, &der);
    ck_assert_int_eq(kbv_peer_from_certificate(&peer, der, len), KBV_OK);
    memcpy(association + 5, peer.spki_sha256, KBV_DIGEST_LEN);
    r.says[0] = verdict_on(&owner, KBV_STATUS_PUBLISHED);
    r.says[0].associations = (struct kbv_slice){association, sizeof(association)};
    r.says[1] = verdict_on(&other, KBV_STATUS_NOT_BOUND);
    keyed(&r.says[1], KBV_SUBJECT_SPKI, peer.spki_sha256);
    q = kbv_query_create(client, &ask, NULL);
    while (kbv_query_run(q, &wait) == KBV_QUERY_WAIT)
        serve(&r);

    id.pins = q;
    k = kbv_tls_check_create_x509(client, &e, x, NULL, NULL);
    found = judge(&r, k);
    ck_assert_msg(found->acceptance == KBV_ACCEPTED, "%s", found->reason);
    ck_assert(found->by_pins);
    ck_assert_uint_eq(r.n_asked, 1);
    kbv_tls_check_delete(k);

    id.owner = (struct kbv_slice){other.wire, other.len};
    k = kbv_tls_check_create_x509(client, &e, x, NULL, NULL);
    found = judge(&r, k);
    ck_assert_int_ne(found->acceptance, KBV_ACCEPTED);
    ck_assert_int_eq(found->status, KBV_STATUS_NOT_BOUND);
    ck_assert_uint_eq(r.n_asked, 2);
    kbv_tls_check_delete(k);
    kbv_query_delete(q);
    OPENSSL_free(der);
    X509_free(x);
    close(r.listener);
}
END_TEST

#define N(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
    Suite *suite = suite_create("tls");
    TCase *tests = tcase_create("tls");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, owner_from_certificate, 0, N(certificate_cases));
    tcase_add_test(tests, owner_from_netid);
    tcase_add_test(tests, owner_from_netid_is_a_name);
    tcase_add_loop_test(tests, server_name, 0, N(sni_cases));
    tcase_add_loop_test(tests, key_strength, 0, N(key_cases));
    tcase_add_test(tests, nobody_is_let_in_unasked);
    tcase_add_test(tests, bad_expectations);
    tcase_add_test(tests, context);
    tcase_add_test(tests, context_keeps_tls_1_3);
    tcase_add_test(tests, expecting);
    tcase_add_test(tests, nobody_is_expected);
    tcase_add_test(tests, verify_mode_dropped);
    tcase_add_loop_test(tests, an_expected_name_has_the_role_of_the_peer, 0,
                        (int)(sizeof(roles) / sizeof(roles[0])));
    tcase_add_test(tests, expecting_too_late);
    tcase_add_test(tests, judged_later);
    tcase_add_test(tests, copies_expect_nobody);
    tcase_add_test(tests, a_certificate_alone_is_a_chain);
    tcase_add_test(tests, pins_are_those_of_their_owner);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
