/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/transport.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <unistd.h>

#include "lib/digest.h"

enum { LENGTH_LEN = 2 };

void kbv_transport_init(struct kbv_transport *t, uint8_t *in)
{
    *t = (struct kbv_transport){.fd = -1, .in = in};
}

static enum kbv_transport_event wait_for(struct kbv_transport *t, bool read, bool write)
{
    t->read = read;
    t->write = write;
    return KBV_TRANSPORT_WAIT;
}

static bool would_block(int err)
{
    return err == EAGAIN || err == EWOULDBLOCK || err == EINTR;
}

/* Sockets under OpenSSL. Its own socket BIO writes with write(2), which raises SIGPIPE. */

static int socket_write(BIO *bio, const char *data, int len)
{
    ssize_t n = send((int)(intptr_t)BIO_get_data(bio), data, (size_t)len, MSG_NOSIGNAL);

    BIO_clear_retry_flags(bio);
    if (n < 0 && would_block(errno))
        BIO_set_retry_write(bio);
    return (int)n;
}

static int socket_read(BIO *bio, char *data, int len)
{
    ssize_t n = recv((int)(intptr_t)BIO_get_data(bio), data, (size_t)len, 0);

    BIO_clear_retry_flags(bio);
    if (n < 0 && would_block(errno))
        BIO_set_retry_read(bio);
    return (int)n;
}

static long socket_ctrl(BIO *bio, int command, long number, void *p)
{
    (void)bio, (void)number, (void)p;
    return command == BIO_CTRL_FLUSH;
}

enum kbv_err kbv_transport_tls_create(struct kbv_client *c)
{
    if (c->tls)
        return KBV_OK;
    c->tls_socket = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "kbv socket");
    c->tls = SSL_CTX_new(TLS_client_method());
    if (!c->tls_socket || !BIO_meth_set_write(c->tls_socket, socket_write) ||
        !BIO_meth_set_read(c->tls_socket, socket_read) ||
        !BIO_meth_set_ctrl(c->tls_socket, socket_ctrl) || !c->tls ||
        !SSL_CTX_set_min_proto_version(c->tls, TLS1_2_VERSION) ||
        !SSL_CTX_set_cipher_list(c->tls, "ECDHE+AESGCM:ECDHE+CHACHA20")) {
        kbv_transport_tls_delete(c);
        return KBV_ERR_NOMEM;
    }
    /* The pin is all that counts (RFC 7858 section 4.2), and it is looked at before anything is
     * sent. No session is kept: each connection proves the key anew. */
    SSL_CTX_set_verify(c->tls, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_session_cache_mode(c->tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(c->tls, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    return KBV_OK;
}

void kbv_transport_tls_delete(struct kbv_client *c)
{
    SSL_CTX_free(c->tls);
    BIO_meth_free(c->tls_socket);
    c->tls = NULL;
    c->tls_socket = NULL;
}

static bool tls_begin(struct kbv_transport *t, const struct kbv_client *c)
{
    BIO *bio = BIO_new(c->tls_socket);

    t->ssl = SSL_new(c->tls);
    if (!bio || !t->ssl) {
        BIO_free(bio);
        return false;
    }
    BIO_set_data(bio, (void *)(intptr_t)t->fd);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_connect_state(t->ssl);
    return true;
}

/* Is the key that the resolver proved the one pinned? */
static bool tls_pin_is_right(const struct kbv_transport *t)
{
    X509 *cert = SSL_get_peer_certificate(t->ssl);
    unsigned char *key = NULL;
    int len = cert ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &key) : -1;
    uint8_t digest[KBV_DIGEST_LEN];
    bool right = false;

    if (len > 0) {
        kbv_digest_sha256((struct kbv_slice){key, (size_t)len}, digest);
        right = CRYPTO_memcmp(digest, t->to->pin, sizeof(digest)) == 0;
    }
    OPENSSL_free(key);
    X509_free(cert);
    return right;
}

/* What OpenSSL waits for, after a call that gave result. */
static enum kbv_transport_event tls_wait(struct kbv_transport *t, int result)
{
    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return wait_for(t, true, false);
    case SSL_ERROR_WANT_WRITE:
        return wait_for(t, false, true);
    default:
        return KBV_TRANSPORT_FAILED;
    }
}

/* Octets, with or without TLS: their number, or 0 with *event set. */

static size_t send_some(struct kbv_transport *t, struct kbv_slice data,
                        enum kbv_transport_event *event)
{
    ssize_t n;

    if (t->ssl) {
        int written = SSL_write(t->ssl, data.p, (int)data.len);

        if (written <= 0)
            *event = tls_wait(t, written);
        return written > 0 ? (size_t)written : 0;
    }
    n = send(t->fd, data.p, data.len, MSG_NOSIGNAL);
    if (n <= 0)
        *event = n < 0 && would_block(errno) ? wait_for(t, false, true) : KBV_TRANSPORT_FAILED;
    return n > 0 ? (size_t)n : 0;
}

static size_t receive_some(struct kbv_transport *t, uint8_t *into, size_t max,
                           enum kbv_transport_event *event)
{
    ssize_t n;

    if (t->ssl) {
        int got = SSL_read(t->ssl, into, (int)max);

        if (got <= 0)
            *event = tls_wait(t, got);
        return got > 0 ? (size_t)got : 0;
    }
    n = recv(t->fd, into, max, 0);
    if (n <= 0)
        *event = n < 0 && would_block(errno) ? wait_for(t, true, false) : KBV_TRANSPORT_FAILED;
    return n > 0 ? (size_t)n : 0;
}

/* States. Each says the next one, or sets *event and keeps its own. */

static enum kbv_transport_state connecting(struct kbv_transport *t, enum kbv_transport_event *event)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);
    int err = 0;
    socklen_t err_len = sizeof(err);

    if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &err, &err_len) != 0 || err != 0)
        *event = KBV_TRANSPORT_FAILED;
    else if (getpeername(t->fd, (struct sockaddr *)&peer, &len) == 0)
        return t->ssl ? KBV_TRANSPORT_HANDSHAKING : KBV_TRANSPORT_SENDING;
    else
        *event = errno == ENOTCONN ? wait_for(t, false, true) : KBV_TRANSPORT_FAILED;
    return KBV_TRANSPORT_CONNECTING;
}

static enum kbv_transport_state handshaking(struct kbv_transport *t,
                                            enum kbv_transport_event *event)
{
    int done = SSL_do_handshake(t->ssl);

    if (done != 1)
        *event = tls_wait(t, done);
    else if (!tls_pin_is_right(t))
        *event = KBV_TRANSPORT_WRONG_PIN;
    else
        return KBV_TRANSPORT_SENDING;
    return KBV_TRANSPORT_HANDSHAKING;
}

static enum kbv_transport_state sending(struct kbv_transport *t, enum kbv_transport_event *event)
{
    struct kbv_slice rest = {t->out.p + t->sent, t->out.len - t->sent};

    t->sent += send_some(t, rest, event);
    return t->sent == t->out.len ? KBV_TRANSPORT_RECEIVING : KBV_TRANSPORT_SENDING;
}

/* A datagram is a message. */
static enum kbv_transport_state receiving_datagram(struct kbv_transport *t,
                                                   enum kbv_transport_event *event)
{
    ssize_t n = recv(t->fd, t->in + LENGTH_LEN, KBV_TRANSPORT_MAX, 0);

    if (n >= 0) {
        t->in_len = (size_t)n;
        *event = KBV_TRANSPORT_MESSAGE;
    } else {
        *event = would_block(errno) ? wait_for(t, true, false) : KBV_TRANSPORT_FAILED;
    }
    return KBV_TRANSPORT_RECEIVING;
}

static enum kbv_transport_state receiving(struct kbv_transport *t, enum kbv_transport_event *event)
{
    size_t whole = LENGTH_LEN;

    if (t->kind == KBV_TRANSPORT_UDP)
        return receiving_datagram(t, event);
    if (t->have >= LENGTH_LEN)
        whole += (size_t)t->in[0] << 8 | t->in[1];
    if (t->have < whole)
        t->have += receive_some(t, t->in + t->have, whole - t->have, event);
    if (t->have == whole && whole > LENGTH_LEN) {
        t->in_len = whole - LENGTH_LEN;
        t->have = 0;
        *event = KBV_TRANSPORT_MESSAGE;
    } else if (t->have == LENGTH_LEN && t->in[0] == 0 && t->in[1] == 0) {
        *event = KBV_TRANSPORT_FAILED; /* a message of nothing */
    }
    return KBV_TRANSPORT_RECEIVING;
}

enum kbv_transport_event kbv_transport_step(struct kbv_transport *t)
{
    static enum kbv_transport_state (*const states[])(struct kbv_transport *,
                                                      enum kbv_transport_event *) = {
        [KBV_TRANSPORT_CONNECTING] = connecting,
        [KBV_TRANSPORT_HANDSHAKING] = handshaking,
        [KBV_TRANSPORT_SENDING] = sending,
        [KBV_TRANSPORT_RECEIVING] = receiving,
    };
    enum kbv_transport_event event = KBV_TRANSPORT_NOTHING;

    if (t->state == KBV_TRANSPORT_CLOSED)
        return KBV_TRANSPORT_FAILED;
    if (t->ssl)
        ERR_clear_error();
    while (event == KBV_TRANSPORT_NOTHING)
        t->state = states[t->state](t, &event);
    return event;
}

bool kbv_transport_open(struct kbv_transport *t, const struct kbv_client *c,
                        const struct kbv_resolver *to, enum kbv_transport_kind kind,
                        struct kbv_slice out)
{
    int type = kind == KBV_TRANSPORT_UDP ? SOCK_DGRAM : SOCK_STREAM;

    t->kind = kind;
    t->to = to;
    t->out = out;
    t->sent = t->have = t->in_len = 0;
    t->fd = socket(to->address.sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (t->fd < 0)
        return false;
    /* Connected, so that the kernel passes on what this resolver sent and nothing else; from a port
     * that the kernel picks at random (RFC 6056). */
    if (connect(t->fd, &to->address.sa, to->address_len) != 0 && errno != EINPROGRESS) {
        kbv_transport_close(t);
        return false;
    }
    t->state = KBV_TRANSPORT_CONNECTING;
    if (kind == KBV_TRANSPORT_UDP) {
        t->state = KBV_TRANSPORT_SENDING;
        t->sent = LENGTH_LEN; /* a datagram has its own length */
    }
    if (kind == KBV_TRANSPORT_TLS && !tls_begin(t, c)) {
        kbv_transport_close(t);
        return false;
    }
    return true;
}

struct kbv_slice kbv_transport_message(const struct kbv_transport *t)
{
    return (struct kbv_slice){t->in + LENGTH_LEN, t->in_len};
}

void kbv_transport_send_again(struct kbv_transport *t)
{
    if (t->kind == KBV_TRANSPORT_UDP && t->state == KBV_TRANSPORT_RECEIVING)
        (void)send(t->fd, t->out.p + LENGTH_LEN, t->out.len - LENGTH_LEN, MSG_NOSIGNAL);
}

void kbv_transport_close(struct kbv_transport *t)
{
    if (t->ssl) {
        if (SSL_is_init_finished(t->ssl))
            SSL_shutdown(t->ssl); /* says good-bye, and does not wait for the other's */
        SSL_free(t->ssl);
        ERR_clear_error(); /* what a resolver does wrong is no error of the program's */
    }
    if (t->fd >= 0)
        close(t->fd);
    t->ssl = NULL;
    t->fd = -1;
    t->state = KBV_TRANSPORT_CLOSED;
}
