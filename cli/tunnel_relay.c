/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Octets between a plain connection and a TLS one. A buffer each way: what cannot be written stops
 * the reading, so whoever is slow slows the other end and nothing else. An end of one direction
 * (FIN; close_notify, RFC 8446 section 6.1) is handed on behind the last octet, and the other
 * direction goes on. A TLS connection that just stops is no end (truncation): BROKEN.
 */
#include "cli/tunnel.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>

enum { TURNS = 8 }; /* buffers a direction, before others have theirs */

enum moved { MOVED, STUCK, FAILED };

static enum moved plain_failed(struct relay *r, bool reading)
{
    if (errno == EINTR)
        return MOVED;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        *(reading ? &r->plain_read : &r->plain_write) = true;
        return STUCK;
    }
    (void)snprintf(r->error, sizeof(r->error), "the plain side: %s", strerror(errno));
    return FAILED;
}

static enum moved tls_failed(struct relay *r, int result)
{
    const int system = errno;
    const char *text;

    switch (SSL_get_error(r->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        r->tls_read = true;
        return STUCK;
    case SSL_ERROR_WANT_WRITE:
        r->tls_write = true;
        return STUCK;
    case SSL_ERROR_SYSCALL:
        text = strerror(system);
        break;
    default:
        text = ERR_reason_error_string(ERR_peek_last_error());
    }
    (void)snprintf(r->error, sizeof(r->error), "the TLS side: %s", text ? text : "it ended");
    return FAILED;
}

static enum moved plain_read(struct relay *r, struct flow *f)
{
    const ssize_t n = recv(r->plain, f->octets, sizeof(f->octets), 0);

    if (n < 0)
        return plain_failed(r, true);
    f->at = 0;
    f->end = (size_t)n;
    f->ended = n == 0;
    return MOVED;
}

static enum moved plain_write(struct relay *r, struct flow *f)
{
    const ssize_t n = send(r->plain, f->octets + f->at, f->end - f->at, MSG_NOSIGNAL);

    if (n < 0)
        return plain_failed(r, false);
    f->at += (size_t)n;
    f->n += (unsigned long long)n;
    return MOVED;
}

static enum moved tls_read(struct relay *r, struct flow *f)
{
    int n;

    ERR_clear_error();
    n = SSL_read(r->ssl, f->octets, sizeof(f->octets));
    if (n > 0) {
        f->at = 0;
        f->end = (size_t)n;
        return MOVED;
    }
    if (SSL_get_error(r->ssl, n) != SSL_ERROR_ZERO_RETURN)
        return tls_failed(r, n);
    f->ended = true;
    return MOVED;
}

static enum moved tls_write(struct relay *r, struct flow *f)
{
    int n;

    ERR_clear_error();
    n = SSL_write(r->ssl, f->octets + f->at, (int)(f->end - f->at));
    if (n <= 0)
        return tls_failed(r, n);
    f->at += (size_t)n;
    f->n += (unsigned long long)n;
    return MOVED;
}

static enum moved plain_tell(struct relay *r, struct flow *f)
{
    /* Not connected any more: it was told enough. */
    if (shutdown(r->plain, SHUT_WR) != 0 && errno != ENOTCONN)
        return plain_failed(r, false);
    f->told = true;
    return MOVED;
}

static enum moved tls_tell(struct relay *r, struct flow *f)
{
    int n;

    ERR_clear_error();
    n = SSL_shutdown(r->ssl);
    if (n < 0)
        return tls_failed(r, n);
    f->told = true; /* 0: sent, and theirs has not come yet */
    return MOVED;
}

/* One step of a direction; STUCK too if it is over. */
static enum moved step(struct relay *r, struct flow *f)
{
    const bool to_tls = f == &r->to_tls;

    if (f->told)
        return STUCK;
    if (f->at < f->end)
        return to_tls ? tls_write(r, f) : plain_write(r, f);
    if (f->ended)
        return to_tls ? tls_tell(r, f) : plain_tell(r, f);
    return to_tls ? plain_read(r, f) : tls_read(r, f);
}

enum relay_state relay_run(struct relay *r, bool *moved)
{
    enum moved out = MOVED, in = MOVED;

    *moved = false;
    for (int turn = 0; turn < 2 * TURNS && (out == MOVED || in == MOVED); turn++) {
        /* Both, each time: what one of them waits for the other one may have brought. */
        r->plain_read = r->plain_write = r->tls_read = r->tls_write = false;
        out = step(r, &r->to_tls);
        in = out == FAILED ? FAILED : step(r, &r->to_plain);
        if (out == FAILED || in == FAILED)
            return RELAY_BROKEN;
        *moved = *moved || out == MOVED || in == MOVED;
    }
    if (r->to_tls.told && r->to_plain.told)
        return RELAY_DONE;
    return out == MOVED || in == MOVED ? RELAY_BUSY : RELAY_WAITS;
}
