/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kbv tunnel: plain TCP on one side, on the other TLS whose peer a verdict lets in.
 *
 *     tunnel.c          the command line, signals, the loop
 *     tunnel_log.c      one line an event
 *     tunnel_listen.c   addresses; how many connections there may be
 *     tunnel_session.c  one connection, from accept to close: a table of states
 *     tunnel_target.c   where a client's connection goes, and whom it expects there
 *     tunnel_relay.c    octets in both directions
 *
 * One thread, one libevent loop; nothing in it blocks.
 */
#ifndef KBV_CLI_TUNNEL_H
#define KBV_CLI_TUNNEL_H

#include <event2/event.h>
#include <event2/listener.h>
#include <stdarg.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <kbv/tls.h>

#include "cli/resolver.h"
#include "cli/subject.h"

/* ---- addresses ---- */

#define ADDRESS_TEXT_MAX 80 /* "[ADDR]:PORT" and NUL */

struct address {
    struct sockaddr_storage socket;
    socklen_t len;
};

/* Reads ADDR:PORT or [ADDR]:PORT, never a name; port 0 only where any will do. */
bool address_read(const char *text, bool any_port, struct address *out);
bool address_is_loopback(const struct address *a);
void address_text(const struct sockaddr *a, char out[ADDRESS_TEXT_MAX]);

/* ---- the tunnel ---- */

enum log_level { LOG_LEVEL_FAILURES, LOG_LEVEL_CONNECTIONS, LOG_LEVEL_STEPS };

LIST_HEAD(session_list, session);
struct evdns_base;

struct tunnel {
    const struct command *self;
    bool server;
    struct address listen, forward; /* forward: a server's */
    struct subject to;              /* a client's */
    struct kbv_slice to_host;       /* a client's, where to is a literal owner */
    uint16_t to_port;
    uint8_t allowed[KBV_TLS_IDENTITIES_MAX][KBV_NAME_MAX]; /* a server's */
    struct kbv_tls_identity identities[KBV_TLS_IDENTITIES_MAX];
    size_t n_identities;
    const char *cert, *key;
    unsigned long max_connections, setup_s, idle_s, drain_s;
    bool plain_network;
    enum log_level log_level;
    struct resolver_choice resolver;

    struct kbv_client *client;
    SSL_CTX *ctx; /* new connections use it; old ones hold theirs */
    struct event_base *base;
    struct evdns_base *dns; /* a client's */
    struct evconnlistener *listener;
    struct event *pause; /* no descriptors are left: accept again when it fires */
    struct session_list sessions;
    unsigned long n_sessions;
    unsigned long long next_id;
    bool draining;
};

/* A context with the tunnel's certificate and key; NULL, and reason says why. */
SSL_CTX *tunnel_make_ctx(const struct tunnel *t, char *reason, size_t size);

/* ---- listening ---- */

/* False, and it was complained of. */
bool listen_begin(struct tunnel *t);
/* A session ended: there is room for another one. */
void listen_resume(struct tunnel *t);
void listen_end(struct tunnel *t);

/* ---- the log ---- */

#define LOG_LINE_MAX 4096

struct log_line {
    char text[LOG_LINE_MAX];
    size_t len;
};

void log_begin(struct log_line *l, const char *event);
/* key=VALUE, quoted if need be; nothing that comes from outside can end the line or the value. */
void log_field(struct log_line *l, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void log_end(const struct tunnel *t, enum log_level level, struct log_line *l);

/* ---- octets in both directions ---- */

enum { RELAY_BUFFER = 16384 };

struct flow {
    uint8_t octets[RELAY_BUFFER];
    size_t at, end;       /* what is read and not yet written */
    bool ended;           /* the source will send no more */
    bool told;            /* and the sink knows */
    unsigned long long n; /* octets written */
};

struct relay {
    int plain;
    SSL *ssl;
    struct flow to_tls, to_plain;
    bool plain_read, plain_write, tls_read, tls_write; /* what it waits for */
    char error[128];                                   /* if BROKEN */
};

enum relay_state {
    RELAY_WAITS,  /* for what the four flags say */
    RELAY_BUSY,   /* there is more to do: let others have their turn first */
    RELAY_DONE,   /* both directions ended in good order */
    RELAY_BROKEN, /* one did not: whoever is at the other end must not take it for an end */
};

/* Moves what can be moved without blocking. *moved: something was. */
enum relay_state relay_run(struct relay *r, bool *moved);

/* ---- one connection ---- */

enum session_state {
    SESSION_ASKING,     /* client, identifier: which endpoints are there? */
    SESSION_TARGET,     /* client: the next endpoint, if there is one */
    SESSION_RESOLVING,  /* client: its addresses */
    SESSION_CONNECTING, /* to one address after the other */
    SESSION_SHAKING,    /* TLS, and the peer is judged */
    SESSION_RELAYING,
    SESSION_ASKING_AGAIN, /* T has passed; client, identifier: does it still lead here? */
    SESSION_JUDGING,      /* T has passed: is the peer still bound? Nothing is moved meanwhile */
    SESSION_ENDED,
};

enum { ADDRESSES_MAX = 16 };

struct lookup;

struct session {
    LIST_ENTRY(session) list;
    struct tunnel *t;
    unsigned long long id;
    enum session_state state;
    char from[ADDRESS_TEXT_MAX]; /* who connected to us */
    int plain, tls;              /* descriptors, -1 if there is none */
    SSL *ssl;
    struct event *wait, *wait_tls; /* what the state waits for */
    struct event *deadline;        /* of the set-up, or of judging again */
    struct event *expiry, *idle;
    int64_t begun, not_after; /* [s] since the epoch; T */

    struct kbv_query *endpoints; /* what the identifier leads to */
    size_t next_endpoint;
    struct kbv_tls_identity target; /* whom a client expects */
    struct address addresses[ADDRESSES_MAX];
    size_t n_addresses, next_address;
    struct lookup *lookup;
    char to[ADDRESS_TEXT_MAX]; /* whom we connected to */

    struct kbv_query *asked_again;
    struct kbv_tls_check *check;
    char reason[KBV_TLS_REASON_MAX]; /* of the last thing that went wrong */
    enum kbv_status status;          /* and the verdict's */
    struct relay relay;
};

/* Takes over fd, a connection from that address. */
void session_begin(struct tunnel *t, int fd, const struct sockaddr *from);
/* Goes on as far as it can; the session may be gone afterwards. */
void session_run(struct session *s);
/* Ends it at once: whoever is connected gets a reset. */
void session_abort(struct session *s, const char *why);
/* Waits for a resolver or a handshake, and goes on then. False: no memory. */
bool session_wait(struct session *s, const struct kbv_wait *wait);
/* Waits a second before a question is asked again. False: no memory. */
bool session_pause(struct session *s);
/* Keeps a reason for the log. */
void session_fail(struct session *s, enum kbv_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* States of a client before it connects; they return the next one. */
enum session_state target_ask(struct session *s);
enum session_state target_next(struct session *s);
enum session_state target_resolve(struct session *s);
/* After T: does the identifier still lead to where we are connected? */
enum session_state target_ask_again(struct session *s);
void target_end(struct session *s);
/* The resolver for addresses. False: no memory, or no resolver. */
bool target_begin(struct tunnel *t);

#endif
