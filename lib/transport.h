/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One socket to one resolver: sends one DNS message, receives messages. Never blocks. Over TCP and
 * TLS each message has its length before it (RFC 1035 section 4.2.2, RFC 7858 section 3.3).
 */
#ifndef KBV_LIB_TRANSPORT_H
#define KBV_LIB_TRANSPORT_H

#include "lib/resolver.h"

#define KBV_TRANSPORT_MAX 65535 /* octets of a message */

enum kbv_transport_kind { KBV_TRANSPORT_UDP, KBV_TRANSPORT_TCP, KBV_TRANSPORT_TLS };

enum kbv_transport_state {
    KBV_TRANSPORT_CLOSED = 0,
    KBV_TRANSPORT_CONNECTING,
    KBV_TRANSPORT_HANDSHAKING, /* TLS */
    KBV_TRANSPORT_SENDING,
    KBV_TRANSPORT_RECEIVING,
};

enum kbv_transport_event {
    KBV_TRANSPORT_NOTHING,   /* yet; a step never ends so */
    KBV_TRANSPORT_WAIT,      /* for t->read, t->write */
    KBV_TRANSPORT_MESSAGE,   /* t->in holds one of t->in_len octets, until the next step */
    KBV_TRANSPORT_FAILED,    /* refused, unreachable, closed by the other side */
    KBV_TRANSPORT_WRONG_PIN, /* TLS: another key. Nothing was sent. */
};

struct kbv_transport {
    enum kbv_transport_state state;
    enum kbv_transport_kind kind;
    const struct kbv_resolver *to;
    int fd; /* -1: closed */
    bool read, write;
    SSL *ssl;
    struct kbv_slice out; /* the message, with its length in two octets before it */
    size_t sent;
    uint8_t *in;   /* storage of 2 + KBV_TRANSPORT_MAX octets, the caller's */
    size_t have;   /* octets of the message being received, length included */
    size_t in_len; /* of the message received */
};

/* Nothing is open. in: see above. */
void kbv_transport_init(struct kbv_transport *t, uint8_t *in);

/* Begins to connect to a resolver of c. out, length included, must stay as it is until closed.
 * False: at once refused. Closed before. */
bool kbv_transport_open(struct kbv_transport *t, const struct kbv_client *c,
                        const struct kbv_resolver *to, enum kbv_transport_kind kind,
                        struct kbv_slice out);

/* Goes on until something happens or nothing can. With TLS it clears the thread's error queue of
 * OpenSSL, which SSL_get_error(3) asks for. */
enum kbv_transport_event kbv_transport_step(struct kbv_transport *t);

/* The message received, without its length. */
struct kbv_slice kbv_transport_message(const struct kbv_transport *t);

/* UDP: sends the same octets once more. */
void kbv_transport_send_again(struct kbv_transport *t);

void kbv_transport_close(struct kbv_transport *t);

/* What all TLS of a client share, made when a pin is set. */
enum kbv_err kbv_transport_tls_create(struct kbv_client *c);
void kbv_transport_tls_delete(struct kbv_client *c);

#endif
