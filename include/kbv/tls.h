/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Judging a TLS peer with a verdict, for OpenSSL 3.0 and later. No CA is trusted: whoever the
 * resolver says holds a key bound to the expected name is let in, and nobody else.
 *
 *     kbv_tls_ctx_enable(ctx);                          once, before SSL_new()
 *     …
 *     struct kbv_tls_identity js = {.owner = {owner, owner_len}};     _8003._tcp.js.example.
 *     struct kbv_tls_expected e = {.who = KBV_TLS_OWNERS, .identities = &js, .n_identities = 1};
 *     kbv_tls_expect(ssl, client, &e);                  once a connection, before the handshake
 *     if (kbv_tls_handshake_wait(ssl) == KBV_TLS_ACCEPTED)     or kbv_tls_handshake() in a loop
 *         … SSL_write(ssl, …)
 *
 * What is judged is the key of the handshake, which proves that the peer has it, and nothing that
 * the peer says later. So sessions are not resumed, nothing is renegotiated, and there is no early
 * data. A key that anybody could break is refused whatever the verdict says, for the digest in a
 * question hides it: KBV_TLS_SECURITY_BITS.
 *
 * Threads: a client is shared, an SSL and a check belong to one thread at a time. The one thing
 * kept for the process are the two numbers of SSL_get_ex_new_index() and its like. I/O:
 * kbv_tls_handshake() does the SSL's and asks resolvers; it never blocks if the SSL's BIOs do not.
 * Memory: what belongs to an SSL is freed by SSL_free(). Errors: enum kbv_err says that a call
 * could not be carried out; a refusal is a result, and has a sentence for the log. Not looked at:
 * revocation; the TLSA record is the revocation.
 */
#ifndef KBV_TLS_H
#define KBV_TLS_H

#include <openssl/ssl.h>

#include <kbv/client.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KBV_TLS_IDENTITIES_MAX 64    /* of one expectation */
#define KBV_TLS_ASKED_MAX      8     /* of them are asked about, for one peer */
#define KBV_TLS_TIMEOUT_MS     10000 /* for one peer, all questions together */
#define KBV_TLS_SECURITY_BITS  112   /* least strength of a peer's key: RSA 2048, P-224 and up */
#define KBV_TLS_REASON_MAX     1536  /* a sentence that may hold a name, and NUL */

/* Whom to expect */

/* One that the peer may be. */
struct kbv_tls_identity {
    /* The TLSA owner that binds its keys, in wire format: _port._tcp.host of the very connection,
     * or a client's, such as _ns-client.00050a.netids.example. */
    struct kbv_slice owner;
    /* NULL, or a query that is done. If its verdict is about owner, publishes the peer's very key
     * (usage 3) and still holds, nothing is asked. It must live as long as it can be looked at:
     * until the handshake or the check has ended. */
    const struct kbv_query *pins;
    /* With pins of a question about an identifier: host (wire) and port of the connection. */
    struct kbv_slice host;
    uint16_t port;
};

enum kbv_tls_who {
    KBV_TLS_NOBODY = 0, /* the peer is refused */
    KBV_TLS_OWNERS,     /* one of the identities */
    /* A server's: its client, named by the one dNSName of its certificate that begins with '_'.
     * With identities one of these, and of several such dNSNames those count that are among them.
     * Without any the client chose its name: whether it is one that you serve is yours to decide.
     */
    KBV_TLS_SELF_NAMED,
    /* A server's: the handshake proves a key and no more. Who the client is follows from what it
     * says, a SenderID for instance: judge it then with kbv_tls_check_create(), and do nothing for
     * it before. */
    KBV_TLS_LATER,
};

/* Zeroed it refuses everybody. */
struct kbv_tls_expected {
    enum kbv_tls_who who;
    const struct kbv_tls_identity *identities;
    size_t n_identities;
    int timeout_ms; /* for all questions about this peer; 0: KBV_TLS_TIMEOUT_MS */
};

/* Fills *id with verdict i of a query about an identifier or an owner, which must be PUBLISHED and
 * believed now (kbv_query_believe()): where to connect, which owner to ask about, and the pins. Its
 * slices live as long as q. owner becomes that of the TLSA base domain: behind an alias the
 * expanded host's, if the records are there (RFC 7671 section 7). KBV_ERR_UNSUPPORTED: the verdict
 * is no such one. */
enum kbv_err kbv_tls_identity_from_verdict(struct kbv_tls_identity *id, const struct kbv_query *q,
                                           size_t i, int64_t now);

/* The owner name of a client's key by its NetID, the SenderID of a request: _ns-client.<netid>
 * below suffix (wire format). KBV_ERR_FORMAT: not a NetID or no suffix; KBV_ERR_LIMIT: beyond 255
 * octets.
 */
enum kbv_err kbv_tls_owner_from_netid(const struct kbv_id *netid, const uint8_t *suffix,
                                      size_t suffix_len, uint8_t out[KBV_NAME_MAX],
                                      size_t *out_len);

/* The owner name that a client's certificate claims: its one dNSName that begins with '_', in lower
 * case (draft-ietf-dance-client-auth). KBV_ERR_FORMAT: there is none, there are several, it is no
 * name, or a server's owner (_443._tcp.host), whose role is another; a name so read is a claim that
 * nobody has checked. */
enum kbv_err kbv_tls_owner_from_certificate(const X509 *cert, uint8_t out[KBV_NAME_MAX],
                                            size_t *out_len);

/* What came of it */

struct kbv_tls_judgement {
    enum kbv_acceptance acceptance; /* KBV_ACCEPTED, and nothing else, lets the peer in */
    enum kbv_status status;         /* of the verdict that decided; NONE: there was no verdict */
    enum kbv_reply_outcome outcome; /* of the last question; NONE: nothing was asked */
    bool by_pins;                   /* accepted without a question */
    bool keyed_by_chain;            /* the whole chain was presented, or the raw key */
    struct kbv_match match;         /* the record that matched; 255 255 255 if unknown */
    int64_t not_after; /* [s] since the epoch, T: until then the acceptance holds; 0 if refused */
    uint8_t owner[KBV_NAME_MAX];     /* whom the peer was accepted as, or taken for; wire */
    size_t owner_len;                /* 0: no name was looked at */
    char reason[KBV_TLS_REASON_MAX]; /* one sentence without a full stop, also when accepted */
};

/* Handshakes */

/* Prepares a context; its SSLs, made after this, refuse every peer that is not expected. The peer
 * must present a certificate, and only kbv_tls_expect() says which are good: CA certificates,
 * callbacks of SSL_CTX_set_verify() and host names set elsewhere count for nothing. TLS 1.2 or
 * later; sessions are neither kept nor given out; no renegotiation, no post-handshake
 * authentication, no early data. KBV_ERR_UNSUPPORTED: a method that is not TLS; KBV_ERR_NOMEM.
 * Whoever switches contexts during a handshake (SSL_set_SSL_CTX()) enables each of them. */
enum kbv_err kbv_tls_ctx_enable(SSL_CTX *ctx);

/* True if both sides may use raw public keys (RFC 7250) instead of certificates; these match usage
 * 3 with selector 1. False, with nothing changed: this OpenSSL has none (before 3.2), or the one at
 * hand goes on after such a key was refused (CVE-2024-12797). */
bool kbv_tls_ctx_enable_raw_keys(SSL_CTX *ctx);

/* Says who the peer must be; to be called before the handshake, and again after SSL_clear(). *e is
 * copied, but for pins. The client must outlive the handshake. An SSL of a generic method
 * (TLS_method()) needs SSL_set_connect_state() or SSL_set_accept_state() first. A connecting SSL
 * without a server name gets one (SNI): the host of the first owner, which is what RFC 7671 section
 * 10 asks for; whoever wants another, as ChirpStack sends the JoinEUI's name, sets it before.
 * KBV_ERR_FORMAT: a malformed identity, an identity of the other role (a server's owner for a
 * client, a client's name for a server), KBV_TLS_OWNERS without identities, SELF_NAMED or LATER for
 * a connecting SSL; KBV_ERR_LIMIT: too many identities; KBV_ERR_UNSUPPORTED: a context that is not
 * enabled, or a handshake that has begun; KBV_ERR_NOMEM. Then the SSL expects nobody. */
enum kbv_err kbv_tls_expect(SSL *ssl, const struct kbv_client *c, const struct kbv_tls_expected *e);

/* SNI: the server name of a connecting SSL, a host in wire format. KBV_ERR_FORMAT: no host name;
 * KBV_ERR_NOMEM. */
enum kbv_err kbv_tls_set_sni(SSL *ssl, struct kbv_slice host);

enum kbv_tls_state {
    KBV_TLS_REFUSED = 0, /* or not judged: kbv_tls_result() has the reason */
    KBV_TLS_WAIT,        /* *wait is set: call again */
    KBV_TLS_ACCEPTED,    /* the handshake is over, and the peer is whom we expect */
    KBV_TLS_UNJUDGED,    /* KBV_TLS_LATER: the handshake is over */
    KBV_TLS_FAILED,      /* the handshake failed: OpenSSL's error queue and kbv_tls_result() */
};

/* Handshake and judgement; for SSLs whose BIOs do not block it does not block either. Sockets: wait
 * for what *wait says, that is the SSL's descriptor or a resolver's, then call again. fd is -1
 * where the SSL has no descriptor of its own (memory BIOs: read or write says which is wanting) or
 * time alone is waited for; timeout_ms is -1 while the peer is waited for: how long it may take is
 * yours to limit.
 *
 * A connecting SSL is suspended while resolvers are asked (SSL_set_retry_verify(3)), so that the
 * server learns nothing of us before it is accepted, not even our certificate. OpenSSL cannot
 * suspend an accepting one: there the handshake goes on meanwhile and the peer is judged behind it.
 * Until then SSL_read() and SSL_write() fail, so that nothing is read from the client nor sent to
 * it. A client that is refused then sees the connection end (close_notify) and no alert.
 *
 * After anything but WAIT, ACCEPTED and UNJUDGED the connection is to be closed. */
enum kbv_tls_state kbv_tls_handshake(SSL *ssl, struct kbv_wait *wait);

/* The same to its end, waiting with poll(2). A client that is refused gets an alert. */
enum kbv_tls_state kbv_tls_handshake_wait(SSL *ssl);

/* SSL_connect(), SSL_accept(), and SSL_do_handshake() work as well: then the callback blocks until
 * the peer is judged, and a refusal is an alert and SSL_R_CERTIFICATE_VERIFY_FAILED. Ask this
 * afterwards: true if the handshake is over and the peer of this very handshake was accepted in it.
 * A cipher suite without certificates, a context that is not enabled or a resumed session make it
 * false. */
bool kbv_tls_accepted(const SSL *ssl);

/* Never NULL; of an SSL that expects nobody a refusal. Lives as long as the SSL, until the next
 * kbv_tls_expect(). */
const struct kbv_tls_judgement *kbv_tls_result(const SSL *ssl);

/* Checks: a judgement by hand */

struct kbv_tls_check;

/* Of the peer of a handshake that is over, say because T has passed (result.not_after) or because
 * the peer has said who it is. *e as above; SELF_NAMED reads the certificate, LATER is
 * KBV_ERR_FORMAT. NULL with *err (may be NULL): KBV_ERR_FORMAT, KBV_ERR_LIMIT, KBV_ERR_NOMEM as
 * above, KBV_ERR_UNSUPPORTED: the handshake is not over, it resumed a session, or the peer proved
 * no key. Does not touch the SSL, and what was accepted before stays so until you close it. */
struct kbv_tls_check *kbv_tls_check_create(const struct kbv_client *c,
                                           const struct kbv_tls_expected *e, const SSL *ssl,
                                           enum kbv_err *err);

/* The same for the end entity's certificate, and what came with it: chain may be NULL, and may
 * begin with the end entity or not. That the peer has the key is for the caller to know. */
struct kbv_tls_check *kbv_tls_check_create_x509(const struct kbv_client *c,
                                                const struct kbv_tls_expected *e, X509 *cert,
                                                const STACK_OF(X509) * chain, enum kbv_err *err);

/* Goes on without blocking; see kbv_query_run(). */
enum kbv_query_state kbv_tls_check_run(struct kbv_tls_check *k, struct kbv_wait *wait);
/* To its end, waiting with poll(2); true if the peer is accepted. */
bool kbv_tls_check_wait(struct kbv_tls_check *k);
/* Never NULL; a refusal until the check is done. */
const struct kbv_tls_judgement *kbv_tls_check_result(const struct kbv_tls_check *k);
/* NULL does nothing. */
void kbv_tls_check_delete(struct kbv_tls_check *k);

#ifdef __cplusplus
}
#endif
#endif
