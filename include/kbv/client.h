/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asking a resolver for verdicts: settings made once, then one query a question.
 *
 *     struct kbv_client *c = kbv_client_create();
 *     kbv_client_add_resolver(c, "127.0.0.1", KBV_RESOLVER_TRUST_LOOPBACK, NULL);
 *     …
 *     struct kbv_query *q = kbv_query_create(c, &ask, &err);
 *     kbv_query_wait(q);                                    (or run it in an event loop)
 *     if (kbv_query_accept(q, &peer, host, port, time(NULL), NULL) == KBV_ACCEPTED)
 *         …
 *     kbv_query_delete(q);
 *
 * Threads: no globals, no threads. A client is set up by one thread; after that it is only read,
 * and queries of several threads may share it. A query belongs to one thread at a time. I/O:
 * kbv_query_run() never blocks; kbv_query_wait() does; kbv_client_read_resolv_conf() reads a file;
 * the others do none. SIGPIPE is never raised. Memory: from malloc(). What a query shows lives
 * until kbv_query_delete(). Errors: enum kbv_err says that a call could not be carried out, with
 * nothing changed; the outcome of a reply what came of the question; only KBV_ACCEPTED (verdict.h)
 * lets a key pass. Not checked here: how strong a key is. Who presents digests looks at the key
 * itself.
 */
#ifndef KBV_CLIENT_H
#define KBV_CLIENT_H

#include <kbv/request.h>
#include <kbv/sign.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KBV_PIN_LEN            32   /* octets of a resolver's pin: SHA-256 of its SPKI */
#define KBV_RESOLVERS_MAX      8    /* of one client */
#define KBV_VERDICT_KEYS_MAX   8    /* of one client */
#define KBV_CLIENT_TIMEOUT_MS  5000 /* for a question, all tries together */
#define KBV_REPLY_VERDICTS_MAX 9    /* eight endpoints and one "there were more" */
#define KBV_RESOLVER_TEXT_MAX  80   /* "ADDR@PORT" and NUL */
#define KBV_REPLY_TEXT_MAX     160  /* a sentence and NUL */

/* Settings */

struct kbv_client;

/* NULL: no memory. */
struct kbv_client *kbv_client_create(void);
/* Queries that it made must be gone. NULL does nothing. */
void kbv_client_delete(struct kbv_client *c);

enum kbv_resolver_flag {
    KBV_RESOLVER_TCP = 0x01,            /* never UDP */
    KBV_RESOLVER_TRUST_LOOPBACK = 0x02, /* a loopback address, the operator's own KBV resolver */
};

/* Adds a resolver, to be asked in the order of adding. address: "ADDR" or "ADDR@PORT", IPv4 or IPv6
 * with an optional %scope, never a name; port 53, with tls_pin 853.
 * tls_pin: NULL, or KBV_PIN_LEN octets, SHA-256 of the SubjectPublicKeyInfo that the resolver must
 * prove in TLS (RFC 7858 section 4.2, RFC 8310; TLS 1.2 or later); then its verdicts are trusted,
 * and nothing is sent to it without TLS. Verdicts of a resolver with neither a pin nor
 * TRUST_LOOPBACK are accepted only if a pinned verdict key signed them. KBV_ERR_FORMAT: no such
 * address, unknown flags, or TRUST_LOOPBACK for an address outside of 127.0.0.0/8 and ::1;
 * KBV_ERR_LIMIT: too many; KBV_ERR_NOMEM. */
enum kbv_err kbv_client_add_resolver(struct kbv_client *c, const char *address, unsigned flags,
                                     const uint8_t *tls_pin);

/* Adds the resolvers of resolv.conf(5), at most three, none of them trusted, not even 127.0.0.1:
 * what listens there may forward over plain UDP. Reads "nameserver" and, of "options", timeout,
 * attempts and use-vc. path NULL: /etc/resolv.conf. Like libc's resolver it takes 127.0.0.1 if no
 * nameserver is named. KBV_ERR_SYSTEM: it cannot be read (errno); KBV_ERR_LIMIT; KBV_ERR_NOMEM. */
enum kbv_err kbv_client_read_resolv_conf(struct kbv_client *c, const char *path);

/* Pins a verdict key. From then on a verdict that no pinned key signed is refused, over any
 * channel, and questions with an option want a signature. KBV_ERR_FORMAT: the key is of zeros;
 * KBV_ERR_LIMIT. */
enum kbv_err kbv_client_add_verdict_key(struct kbv_client *c,
                                        const uint8_t key[KBV_VERDICT_KEY_LEN]);

/* Code points, KBV_RRTYPE_DEFAULT and KBV_EDNS_OPTION_DEFAULT unless set. 0 is KBV_ERR_FORMAT. */
enum kbv_err kbv_client_set_rrtype(struct kbv_client *c, uint16_t rrtype);
enum kbv_err kbv_client_set_option(struct kbv_client *c, uint16_t option);
/* [ms] for a question, all tries together; 1 to 600000, else KBV_ERR_FORMAT. */
enum kbv_err kbv_client_set_timeout_ms(struct kbv_client *c, int timeout_ms);

/* Reads 32 octets as people write pins and keys: base64 with its padding (RFC 4648 section 4),
 * nothing else before or behind. */
enum kbv_err kbv_pin_from_text(const char *text, uint8_t pin[32]);

/* Peers */

/* Fills *peer with all that follows from a certificate, or from a raw public key, in DER. The
 * slices point into der, which must outlive *peer. KBV_ERR_FORMAT: not exactly one certificate or
 * SubjectPublicKeyInfo in DER of at most 16384 octets. Give it what the handshake proved
 * (SSL_get0_peer_certificate) and nothing that merely came along. */
enum kbv_err kbv_peer_from_certificate(struct kbv_peer *peer, const uint8_t *der, size_t len);
enum kbv_err kbv_peer_from_spki(struct kbv_peer *peer, const uint8_t *der, size_t len);

/* Questions */

enum kbv_ask_form {
    KBV_ASK_OPTION = 0,  /* EDNS option on the RR type: any material; one verdict, for us alone */
    KBV_ASK_TLSA_OPTION, /* the same on a TLSA query: literal owners only */
    KBV_ASK_NAME,        /* no option: the name's RRs, or with a digest those of its digest name */
    KBV_ASK_TXT,         /* the readable form of NAME's: for eyes, never accepted */
};

/* One question; copied. Literal owner or identifier: name is what is asked, in any case, without
 * _kbv labels. To judge a connection ask for its own owner, _port._tcp.host
 * (kbv_name_tlsa_owner()). */
struct kbv_ask {
    enum kbv_ask_form form;
    struct kbv_slice name;      /* wire format */
    struct kbv_id identifier;   /* that name stands for; kind KBV_ID_NONE: a literal owner */
    enum kbv_material material; /* NAME and TXT: none or a digest */
    struct kbv_slice octets;    /* of the material, as in struct kbv_request */
    bool nonce;                 /* option forms: 16 random octets, to be repeated. TCP or TLS. */
    bool sign;                  /* option forms: a signature is wanted */
};

/* Queries */

struct kbv_query;

/* What to wait for. fd may be another one each time: forget it before the next run, which may close
 * it. fd is -1 if time alone is waited for. */
struct kbv_wait {
    int fd;
    bool read, write;
    int timeout_ms; /* run again no later than this, >= 0 */
};

enum kbv_query_state {
    KBV_QUERY_WAIT = 0, /* *wait is set: run again when fd is ready or the time is over */
    KBV_QUERY_DONE,     /* kbv_query_reply() shows what came of it */
};

/* One table of outcomes: X(enum suffix, one sentence). */
#define KBV_REPLY_OUTCOME_TABLE(X)                                                                 \
    X(NONE, "not done yet")                                                                        \
    X(VERDICTS, "the resolver gave a verdict")                                                     \
    X(TXT, "the resolver gave the readable form")                                                  \
    X(NO_VERDICT, "the resolver answered without a verdict")                                       \
    X(MALFORMED, "the resolver's answer is malformed")                                             \
    X(TIMEOUT, "no resolver answered in time")                                                     \
    X(UNREACHABLE, "no resolver could be reached")                                                 \
    X(WRONG_PIN, "the resolver proved another key than the one pinned")                            \
    X(NO_RESOLVER, "no resolver is configured")                                                    \
    X(NO_MEMORY, "out of memory, or of random numbers")

enum kbv_reply_outcome {
#define KBV_REPLY_ENUM(name, text) KBV_REPLY_##name,
    KBV_REPLY_OUTCOME_TABLE(KBV_REPLY_ENUM)
#undef KBV_REPLY_ENUM
};

/* The sentence of the table, without a full stop; never NULL. */
const char *kbv_reply_outcome_text(enum kbv_reply_outcome outcome);

/* What came of a question. Verdicts are decoded and in endpoint order, and not yet accepted. */
struct kbv_reply {
    enum kbv_reply_outcome outcome;
    unsigned rcode; /* with its extension (RFC 6891 section 6.1.3), if a resolver answered */
    size_t n_verdicts;
    struct kbv_verdict verdicts[KBV_REPLY_VERDICTS_MAX];
    enum kbv_signature signatures[KBV_REPLY_VERDICTS_MAX]; /* NOT_CHECKED if no key is pinned */
    enum kbv_trust channel;                                /* NONE or CHANNEL */
    size_t n_txt;
    struct kbv_slice txt[KBV_REPLY_VERDICTS_MAX]; /* form TXT: RDATA, checked character-strings */
    uint16_t ede;                                 /* of the reply (RFC 8914), KBV_EDE_NONE: none */
    char ede_text[KBV_REPLY_TEXT_MAX];            /* control characters replaced; "" if none */
    char resolver[KBV_RESOLVER_TEXT_MAX];         /* the last one asked */
    bool tcp, tls;                                /* how it was asked */
    char error[KBV_REPLY_TEXT_MAX];               /* more than the outcome says; "" if nothing */
};

/* NULL with *err set (err may be NULL): KBV_ERR_FORMAT: malformed name, material or identifier, or
 * a _kbv label in name; KBV_ERR_UNSUPPORTED: material, nonce or signature that the form cannot
 * carry; KBV_ERR_LIMIT: the digest name would be too long; KBV_ERR_NOMEM. Nothing is sent yet. */
struct kbv_query *kbv_query_create(const struct kbv_client *c, const struct kbv_ask *ask,
                                   enum kbv_err *err);

/* Goes on as far as possible without blocking. The time for the question counts from the first run.
 * How it asks: resolvers in order, each try with a new socket, source port and ID and a random case
 * of the name; over UDP, but over TCP if the answer was truncated or too many strange ones came,
 * and for nonces, chains and what does not fit 1232 octets; over TLS where a pin is set. An answer
 * whose source, ID, opcode, name, type or class is another is passed over and the right one
 * awaited. A resolver that answered without a verdict is not asked again, one that kept silent is.
 * The first verdict ends it. */
enum kbv_query_state kbv_query_run(struct kbv_query *q, struct kbv_wait *wait);

/* Runs it to its end with poll(2), blocking no longer than the client's time-out. */
void kbv_query_wait(struct kbv_query *q);

/* Never NULL; outcome NONE before the query is done. */
const struct kbv_reply *kbv_query_reply(const struct kbv_query *q);

/* May the peer's key be taken for good? kbv_verdict_accept() with what was asked, the nonce, the
 * channel and the client's keys. host (wire, lower case) and port are those of the very connection;
 * for literal questions they are not looked at, and for an identity (a device's) host.p is NULL. Of several verdicts the one about host and port
 * counts, of equal ones the first. *which (may be NULL): the index of the verdict it is about,
 * KBV_REPLY_VERDICTS_MAX if there is none. */
enum kbv_acceptance kbv_query_accept(const struct kbv_query *q, const struct kbv_peer *peer,
                                     struct kbv_slice host, uint16_t port, int64_t now,
                                     size_t *which);

/* kbv_verdict_believe() of the reply's verdict i: whether it is the resolver's word, for showing it
 * or for choosing where to connect. No key is judged. Of several verdicts about one literal owner
 * none is believed. */
enum kbv_acceptance kbv_query_believe(const struct kbv_query *q, size_t i, int64_t now);

/* Gives up what is under way. NULL does nothing. */
void kbv_query_delete(struct kbv_query *q);

#ifdef __cplusplus
}
#endif
#endif
