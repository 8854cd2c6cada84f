/* SPDX-License-Identifier: BSD-3-Clause */
/* See kbv/tls.h. */
#include <kbv/tls.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "lib/text.h"
#include "lib/tls_check.h"
#include "lib/wait.h"

/* SSL_set_retry_verify() came with 3.0.2, raw public keys with 3.2. */
#if OPENSSL_VERSION_NUMBER < 0x30000020L
#error "OpenSSL 3.0.2 or later is needed"
#endif
#define HAVE_RAW_KEYS (OPENSSL_VERSION_NUMBER >= 0x30200000L)

/* What hangs on an SSL that expects somebody. */
struct connection {
    struct kbv_tls_check *check;
    bool driven;    /* inside of kbv_tls_handshake(), which goes on later */
    bool suspended; /* a client: the callback is to be called again */
    bool behind; /* a server: the handshake goes on, or is over, and the peer is not judged yet */
};

static const struct kbv_tls_judgement nobody = {.match = {255, 255, 255},
                                                .reason = "nobody is expected on this connection"};
static const struct kbv_tls_judgement not_over = {
    .match = {255, 255, 255}, .reason = "the key is good, and the peer has not proved to have it"};

/* ---- where it hangs ---- */

static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
static int connection_index = -1, context_index = -1;

static void free_connection(void *parent, void *p, CRYPTO_EX_DATA *ad, int index, long argl,
                            void *argp)
{
    struct connection *c = p;

    (void)parent, (void)ad, (void)index, (void)argl, (void)argp;
    if (c)
        kbv_tls_check_delete(c->check);
    free(c);
}

/* SSL_dup(): the copy expects nobody. */
static int forget_connection(CRYPTO_EX_DATA *to, const CRYPTO_EX_DATA *from, void **p, int index,
                             long argl, void *argp)
{
    (void)to, (void)from, (void)index, (void)argl, (void)argp;
    *p = NULL;
    return 1;
}

static void make_indexes(void)
{
    connection_index = SSL_get_ex_new_index(0, NULL, NULL, forget_connection, free_connection);
    context_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static bool have_indexes(void)
{
    return CRYPTO_THREAD_run_once(&once, make_indexes) == 1 && connection_index >= 0 &&
           context_index >= 0;
}

static struct connection *connection_of(const SSL *ssl)
{
    return ssl && have_indexes() ? SSL_get_ex_data(ssl, connection_index) : NULL;
}

/* ---- names ---- */

enum kbv_err kbv_tls_owner_from_netid(const struct kbv_id *netid, const uint8_t *suffix,
                                      size_t suffix_len, uint8_t out[KBV_NAME_MAX], size_t *out_len)
{
    static const uint8_t label[] = "\x0a_ns-client";
    enum { LABEL_LEN = sizeof(label) - 1 };
    uint8_t name[KBV_NAME_MAX];
    size_t len;
    enum kbv_err err;

    if (!netid || netid->kind != KBV_ID_NETID)
        return KBV_ERR_FORMAT;
    err = kbv_id_to_name(netid, false, suffix, suffix_len, name, &len);
    if (err != KBV_OK)
        return err;
    if (len + LABEL_LEN > KBV_NAME_MAX)
        return KBV_ERR_LIMIT;
    memcpy(out, label, LABEL_LEN);
    memcpy(out + LABEL_LEN, name, len);
    *out_len = LABEL_LEN + len;
    return KBV_OK;
}

/* The host of a server's owner, and its port; false: it is none. */
static bool server_owner(struct kbv_slice owner, struct kbv_slice *host, uint16_t *port)
{
    unsigned long number = 0;

    if (!owner.p || !kbv_name_is_server_owner(owner.p, owner.len, &host->p, &host->len))
        return false;
    /* _<digits>, as was just seen. */
    for (size_t i = 2; i <= owner.p[0] && number <= UINT16_MAX; i++)
        number = 10 * number + (unsigned long)(owner.p[i] - '0');
    if (number > UINT16_MAX)
        return false;
    *port = (uint16_t)number;
    return true;
}

static bool is_reference_name(const struct kbv_verdict *v, struct kbv_slice host)
{
    struct kbv_slice name;
    size_t pos = 0;

    while (kbv_reference_name_next(v->reference_names, &pos, &name)) {
        if (kbv_name_equal(name.p, name.len, host.p, host.len))
            return true;
    }
    return false;
}

enum kbv_err kbv_tls_identity_from_verdict(struct kbv_tls_identity *id, const struct kbv_query *q,
                                           size_t i, int64_t now)
{
    const struct kbv_reply *reply = q ? kbv_query_reply(q) : NULL;
    struct kbv_tls_identity made = {.pins = q};
    struct kbv_slice expanded;
    const struct kbv_verdict *v;
    uint16_t port;

    if (!reply || i >= reply->n_verdicts || kbv_query_believe(q, i, now) != KBV_BELIEVED ||
        reply->verdicts[i].status != KBV_STATUS_PUBLISHED)
        return KBV_ERR_UNSUPPORTED;
    v = &reply->verdicts[i];
    made.owner = v->owner;
    /* An alias of the TLSA owner alone leads to a name that the certificate need not have; only the
     * expanded host is both in the owner's place and a reference name (RFC 7671 section 7). */
    if (server_owner(v->owner, &made.host, &made.port) &&
        server_owner(v->found_at, &expanded, &port) && port == made.port &&
        is_reference_name(v, expanded))
        made.owner = v->found_at;
    *id = made;
    return KBV_OK;
}

enum kbv_err kbv_tls_set_sni(SSL *ssl, struct kbv_slice host)
{
    char text[KBV_NAME_TEXT_MAX];

    if (!host.p || host.len < 2 || kbv_name_len(host.p, host.len) != host.len)
        return KBV_ERR_FORMAT;
    kbv_host_text(host, text);
    /* RFC 6066 section 3: a host name. Underscores and nibbles are for LoRaWAN's names. */
    if (text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")])
        return KBV_ERR_FORMAT;
    return SSL_set_tlsext_host_name(ssl, text) == 1 ? KBV_OK : KBV_ERR_NOMEM;
}

/* ---- the callback in the handshake ---- */

static void raise_refusal(const struct kbv_tls_judgement *r)
{
    ERR_raise_data(ERR_LIB_SSL, SSL_R_CERTIFICATE_VERIFY_FAILED, "kbv: %s", r->reason);
}

/* OpenSSL's word for it; the alert follows from it. */
static int x509_error(const struct kbv_tls_judgement *r)
{
    if (r->acceptance == KBV_ACCEPTED)
        return X509_V_OK;
    if (r->status == KBV_STATUS_NOT_BOUND)
        return X509_V_ERR_DANE_NO_MATCH;
    return X509_V_ERR_APPLICATION_VERIFICATION;
}

/* The end of a judgement inside of the callback. */
static int decided(X509_STORE_CTX *store, const struct kbv_tls_judgement *r)
{
    X509_STORE_CTX_set_error(store, x509_error(r));
    if (r->acceptance == KBV_ACCEPTED)
        return 1;
    raise_refusal(r);
    return 0;
}

static void take_peer(struct kbv_tls_check *k, X509_STORE_CTX *store)
{
    X509 *cert = X509_STORE_CTX_get0_cert(store);

#if HAVE_RAW_KEYS
    if (!cert && X509_STORE_CTX_get0_rpk(store)) {
        kbv_tls_check_take_key(k, X509_STORE_CTX_get0_rpk(store));
        return;
    }
#endif
    if (cert)
        kbv_tls_check_take_cert(k, cert, X509_STORE_CTX_get0_untrusted(store));
    else
        kbv_tls_check_refuse(k, "the peer presented no certificate");
}

/* Called by OpenSSL with what the peer presented, before the peer has proved to have the key: the
 * handshake fails if it does not. Once, and again for a client that was suspended. */
static int verify(X509_STORE_CTX *store, void *arg)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct connection *c = connection_of(ssl);
    struct kbv_tls_check *k;
    struct kbv_wait wait;
    bool server;

    (void)arg;
    if (!c)
        return decided(store, &nobody);
    k = c->check;
    server = SSL_is_server(ssl) == 1;
    if (!c->suspended)
        take_peer(k, store);
    c->suspended = false;
    if (!server && kbv_tls_check_who(k) != KBV_TLS_OWNERS)
        kbv_tls_check_refuse(k, "a server must be expected by its owner name");
    if (kbv_tls_check_who(k) == KBV_TLS_LATER && !kbv_tls_check_ended(k)) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
        return 1;
    }
    if (!c->driven) {
        (void)kbv_tls_check_wait(k);
    } else if (kbv_tls_check_run(k, &wait) == KBV_QUERY_WAIT) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
        /* A server that "retries" is one that accepts: OpenSSL looks for it in clients alone. */
        c->behind = server;
        c->suspended = !server;
        return server || SSL_set_retry_verify(ssl);
    }
    return decided(store, kbv_tls_check_result(k));
}

/* ---- preparing ---- */

enum kbv_err kbv_tls_ctx_enable(SSL_CTX *ctx)
{
    static char enabled;

    if (!ctx)
        return KBV_ERR_UNSUPPORTED;
    if (!have_indexes())
        return KBV_ERR_NOMEM;
    /* Where it takes no effect the method is DTLS, or one of a single version. */
    if (SSL_CTX_get_min_proto_version(ctx) < TLS1_2_VERSION)
        (void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    if (SSL_CTX_get_min_proto_version(ctx) != TLS1_2_VERSION &&
        SSL_CTX_get_min_proto_version(ctx) != TLS1_3_VERSION)
        return KBV_ERR_UNSUPPORTED;
    SSL_CTX_set_cert_verify_callback(ctx, verify, NULL);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    /* A resumed session has no certificate to judge, and early data comes before there could be one
     * (RFC 8446 section 2.3). */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_clear_options(ctx, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
    SSL_CTX_set_post_handshake_auth(ctx, 0);
    if (SSL_CTX_set_num_tickets(ctx, 0) != 1 || SSL_CTX_set_max_early_data(ctx, 0) != 1 ||
        SSL_CTX_set_recv_max_early_data(ctx, 0) != 1)
        return KBV_ERR_UNSUPPORTED;
    return SSL_CTX_set_ex_data(ctx, context_index, &enabled) == 1 ? KBV_OK : KBV_ERR_NOMEM;
}

#if HAVE_RAW_KEYS
/* CVE-2024-12797: a client went on after it had refused a raw public key. */
static bool refuses_raw_keys(void)
{
    unsigned int patch = OPENSSL_version_patch();

    if (OPENSSL_version_major() != 3)
        return OPENSSL_version_major() > 3;
    switch (OPENSSL_version_minor()) {
    case 0:
    case 1:
        return false;
    case 2:
        return patch >= 4;
    case 3:
        return patch >= 3;
    case 4:
        return patch >= 1;
    default:
        return true;
    }
}
#endif

bool kbv_tls_ctx_enable_raw_keys(SSL_CTX *ctx)
{
#if HAVE_RAW_KEYS
    static const unsigned char types[] = {TLSEXT_cert_type_rpk, TLSEXT_cert_type_x509};

    return ctx && refuses_raw_keys() &&
           SSL_CTX_set1_server_cert_type(ctx, types, sizeof(types)) == 1 &&
           SSL_CTX_set1_client_cert_type(ctx, types, sizeof(types)) == 1;
#else
    (void)ctx;
    return false;
#endif
}

/* The role is in the name: a server's key does not let a client in, nor a client's key a
 * server, even if both are published. What is malformed is found later. */
static bool roles_fit(const SSL *ssl, const struct kbv_tls_expected *e)
{
    const bool peer_serves = SSL_is_server(ssl) != 1;

    for (size_t i = 0; e->identities && i < e->n_identities; i++) {
        const struct kbv_slice owner = e->identities[i].owner;

        if (owner.p && kbv_name_len(owner.p, owner.len) == owner.len &&
            kbv_name_is_server_owner(owner.p, owner.len, NULL, NULL) != peer_serves)
            return false;
    }
    return true;
}

static enum kbv_err expect(SSL *ssl, const struct kbv_client *client,
                           const struct kbv_tls_expected *e)
{
    struct connection *c;
    struct kbv_slice host;
    uint16_t port;
    enum kbv_err err;

    if (!have_indexes())
        return KBV_ERR_NOMEM;
    if (!SSL_in_before(ssl) || !SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), context_index))
        return KBV_ERR_UNSUPPORTED;
    if (!SSL_is_server(ssl) && (e->who == KBV_TLS_SELF_NAMED || e->who == KBV_TLS_LATER))
        return KBV_ERR_FORMAT;
    if (!roles_fit(ssl, e))
        return KBV_ERR_FORMAT;
    c = calloc(1, sizeof(*c));
    if (!c)
        return KBV_ERR_NOMEM;
    c->check = kbv_tls_check_new(client, e, true, &err);
    if (!c->check || SSL_set_ex_data(ssl, connection_index, c) != 1) {
        err = c->check ? KBV_ERR_NOMEM : err;
        kbv_tls_check_delete(c->check);
        free(c);
        return err;
    }
    SSL_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    /* RFC 7671 section 10: the TLSA base domain. A host that cannot stand there goes without. */
    if (!SSL_is_server(ssl) && !SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) &&
        e->n_identities > 0 && server_owner(e->identities[0].owner, &host, &port))
        (void)kbv_tls_set_sni(ssl, host);
    return KBV_OK;
}

enum kbv_err kbv_tls_expect(SSL *ssl, const struct kbv_client *client,
                            const struct kbv_tls_expected *e)
{
    struct connection *old = connection_of(ssl);

    /* In the middle of a handshake it may be in use; it is refused, and freed with the SSL. */
    if (old && !SSL_in_before(ssl)) {
        kbv_tls_check_refuse(old->check, "another peer was expected during the handshake");
        return KBV_ERR_UNSUPPORTED;
    }
    if (old)
        (void)SSL_set_ex_data(ssl, connection_index, NULL);
    free_connection(NULL, old, NULL, 0, 0, NULL);
    return ssl && client && e ? expect(ssl, client, e) : KBV_ERR_FORMAT;
}

/* ---- handshake and judgement ---- */

/* Nothing is read or written until the peer is judged: not even by a program that does not wait. */
static void hold(SSL *ssl, const struct connection *c)
{
    if (c->behind)
        SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

static void release(SSL *ssl, const struct connection *c)
{
    if (c->behind)
        SSL_set_shutdown(ssl, 0);
}

static enum kbv_tls_state fail(struct connection *c)
{
    char reason[KBV_TLS_REASON_MAX];
    const char *text = ERR_reason_error_string(ERR_peek_last_error());

    if (kbv_tls_check_ended(c->check) && kbv_tls_check_result(c->check)->acceptance != KBV_ACCEPTED)
        return KBV_TLS_REFUSED;
    (void)BIO_snprintf(reason, sizeof(reason), "the handshake failed: %s",
                       text ? text : "the connection ended");
    kbv_tls_check_refuse(c->check, reason);
    return KBV_TLS_FAILED;
}

static enum kbv_tls_state wait_for_peer(const SSL *ssl, int error, struct kbv_wait *wait)
{
    *wait = (struct kbv_wait){.fd = SSL_get_fd(ssl),
                              .read = error == SSL_ERROR_WANT_READ,
                              .write = error == SSL_ERROR_WANT_WRITE,
                              .timeout_ms = -1};
    if (wait->write)
        wait->fd = SSL_get_wfd(ssl);
    return KBV_TLS_WAIT;
}

/* The handshake as far as it goes. ACCEPTED: it is over, whatever is to be thought of the peer. */
static enum kbv_tls_state shake(SSL *ssl, struct connection *c, bool blocking,
                                struct kbv_wait *wait)
{
    for (;;) {
        int done, error;

        /* A suspended client goes on once it is judged. */
        if (!SSL_is_server(ssl) && kbv_tls_check_has_peer(c->check) &&
            kbv_tls_check_run(c->check, wait) == KBV_QUERY_WAIT)
            return KBV_TLS_WAIT;
        release(ssl, c);
        ERR_clear_error();
        c->driven = !blocking;
        done = SSL_do_handshake(ssl);
        c->driven = false;
        error = SSL_get_error(ssl, done);
        hold(ssl, c);
        switch (error) {
        case SSL_ERROR_NONE:
            return KBV_TLS_ACCEPTED;
        case SSL_ERROR_WANT_RETRY_VERIFY:
            break;
        case SSL_ERROR_ZERO_RETURN:
        case SSL_ERROR_SYSCALL:
        case SSL_ERROR_SSL:
            return fail(c);
        default: /* to read, to write, or callbacks of the program's own */
            return wait_for_peer(ssl, error, wait);
        }
    }
}

static bool is_accepted(const SSL *ssl, const struct connection *c)
{
    const X509 *cert = SSL_get0_peer_certificate(ssl);

    if (!SSL_is_init_finished(ssl) || SSL_session_reused(ssl) || c->behind)
        return false;
#if HAVE_RAW_KEYS
    if (!cert)
        return kbv_tls_check_accepted_key(c->check, SSL_get0_peer_rpk(ssl));
#endif
    return kbv_tls_check_accepted_cert(c->check, cert);
}

/* The handshake is over and the peer is refused: the only word for it that OpenSSL has is
 * close_notify. */
static enum kbv_tls_state dismiss(SSL *ssl, struct connection *c)
{
    release(ssl, c);
    c->behind = false;
    if (!(SSL_get_shutdown(ssl) & SSL_SENT_SHUTDOWN))
        (void)SSL_shutdown(ssl);
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    ERR_clear_error();
    SSL_set_verify_result(ssl, x509_error(kbv_tls_check_result(c->check)));
    raise_refusal(kbv_tls_check_result(c->check));
    return KBV_TLS_REFUSED;
}

static enum kbv_tls_state settle(SSL *ssl, struct connection *c, struct kbv_wait *wait)
{
    if (SSL_session_reused(ssl))
        kbv_tls_check_refuse(c->check, "the session was resumed, so the peer proved no key");
    else if (!kbv_tls_check_has_peer(c->check))
        kbv_tls_check_refuse(c->check, "the peer proved no key in this handshake");
    else if (kbv_tls_check_who(c->check) == KBV_TLS_LATER && !kbv_tls_check_ended(c->check))
        return KBV_TLS_UNJUDGED;
    if (kbv_tls_check_run(c->check, wait) == KBV_QUERY_WAIT)
        return KBV_TLS_WAIT;
    if (c->behind && kbv_tls_check_result(c->check)->acceptance == KBV_ACCEPTED) {
        release(ssl, c);
        c->behind = false;
        SSL_set_verify_result(ssl, X509_V_OK);
    }
    if (is_accepted(ssl, c))
        return KBV_TLS_ACCEPTED;
    if (kbv_tls_check_result(c->check)->acceptance == KBV_ACCEPTED)
        kbv_tls_check_refuse(c->check, "the peer that was accepted is not that of the handshake");
    return dismiss(ssl, c);
}

static enum kbv_tls_state handshake(SSL *ssl, bool blocking, struct kbv_wait *wait)
{
    struct connection *c = connection_of(ssl);

    if (!c)
        return KBV_TLS_REFUSED;
    if (!SSL_is_init_finished(ssl)) {
        enum kbv_tls_state state = shake(ssl, c, blocking, wait);

        if (state != KBV_TLS_ACCEPTED)
            return state;
    }
    return settle(ssl, c, wait);
}

enum kbv_tls_state kbv_tls_handshake(SSL *ssl, struct kbv_wait *wait)
{
    return handshake(ssl, false, wait);
}

enum kbv_tls_state kbv_tls_handshake_wait(SSL *ssl)
{
    struct kbv_wait wait;
    enum kbv_tls_state state;

    /* The callback blocks, so that a server too can refuse with an alert. */
    while ((state = handshake(ssl, true, &wait)) == KBV_TLS_WAIT)
        kbv_wait_poll(&wait);
    return state;
}

bool kbv_tls_accepted(const SSL *ssl)
{
    const struct connection *c = connection_of(ssl);

    return c && is_accepted(ssl, c);
}

const struct kbv_tls_judgement *kbv_tls_result(const SSL *ssl)
{
    const struct connection *c = connection_of(ssl);

    if (!c)
        return &nobody;
    /* A key counts once the peer has proved to have it. */
    if (kbv_tls_check_result(c->check)->acceptance == KBV_ACCEPTED && !is_accepted(ssl, c))
        return &not_over;
    return kbv_tls_check_result(c->check);
}

/* ---- checks ---- */

struct kbv_tls_check *kbv_tls_check_create_x509(const struct kbv_client *c,
                                                const struct kbv_tls_expected *e, X509 *cert,
                                                const STACK_OF(X509) * chain, enum kbv_err *err)
{
    enum kbv_err unused;
    struct kbv_tls_check *k = kbv_tls_check_new(c, e, false, err ? err : &unused);

    if (k && cert)
        kbv_tls_check_take_cert(k, cert, chain);
    return k;
}

struct kbv_tls_check *kbv_tls_check_create(const struct kbv_client *c,
                                           const struct kbv_tls_expected *e, const SSL *ssl,
                                           enum kbv_err *err)
{
    enum kbv_err unused;
    X509 *cert = NULL;

    if (!err)
        err = &unused;
    *err = KBV_ERR_UNSUPPORTED;
    if (!ssl || !SSL_is_init_finished(ssl) || SSL_session_reused(ssl))
        return NULL;
    *err = KBV_ERR_FORMAT;
    if (!e || !roles_fit(ssl, e))
        return NULL;
    *err = KBV_ERR_UNSUPPORTED;
    cert = SSL_get0_peer_certificate(ssl);
#if HAVE_RAW_KEYS
    if (!cert && SSL_get0_peer_rpk(ssl)) {
        struct kbv_tls_check *k = kbv_tls_check_new(c, e, false, err);

        if (k)
            kbv_tls_check_take_key(k, SSL_get0_peer_rpk(ssl));
        return k;
    }
#endif
    return cert ? kbv_tls_check_create_x509(c, e, cert, SSL_get_peer_cert_chain(ssl), err) : NULL;
}
