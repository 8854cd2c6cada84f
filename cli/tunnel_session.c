/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One connection. It is in one state; the state's step goes on as far as it can and says which
 * state is next, its own if it waits; only session_run() assigns it.
 *
 *     client: ASKING > TARGET > RESOLVING > CONNECTING > SHAKING > RELAYING
 *     server:                     SHAKING > CONNECTING > RELAYING
 *     both, when T has passed:    RELAYING > ASKING_AGAIN (identifiers) > JUDGING > RELAYING
 *
 * Nothing of the plain side is sent before the peer is accepted, and from T on nothing is moved
 * until it is accepted again.
 */
#include "cli/tunnel.h"

#include <errno.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/text.h"

enum { CONNECT_MS = 3000, PAUSE_MS = 1000, JUDGE_S = 10 };

static int64_t now_s(void)
{
    return (int64_t)time(NULL);
}

/* ---- the log ---- */

static void log_session(struct log_line *l, const char *event, const struct session *s)
{
    log_begin(l, event);
    log_field(l, "id", "%llu", s->id);
    log_field(l, "from", "%s", s->from);
    if (*s->to != '\0')
        log_field(l, "to", "%s", s->to);
}

static void log_owner(struct log_line *l, const uint8_t *owner, size_t len)
{
    char text[KBV_NAME_TEXT_MAX];

    if (len == 0)
        return;
    kbv_name_to_text(owner, len, text);
    log_field(l, "owner", "%s", text);
}

static const char *status_text(enum kbv_status status)
{
    return status == KBV_STATUS_NONE ? "none" : kbv_status_name(status);
}

static void log_accepted(const struct session *s, const char *event,
                         const struct kbv_tls_judgement *r)
{
    char time_text[KBV_TIME_TEXT_LEN];
    struct log_line line;

    log_session(&line, event, s);
    log_owner(&line, r->owner, r->owner_len);
    log_field(&line, "status", "%s", status_text(r->status));
    if (r->match.usage != KBV_MATCH_NONE.usage)
        log_field(&line, "match", "%u/%u/%u", r->match.usage, r->match.selector, r->match.mtype);
    kbv_time_text((uint32_t)s->not_after, time_text);
    log_field(&line, "not_after", "%s", time_text);
    log_end(s->t, LOG_LEVEL_CONNECTIONS, &line);
}

/* A refusal by verdict, or whatever else went wrong. */
static void log_failed(const struct session *s, const char *event, const uint8_t *owner, size_t len)
{
    struct log_line line;

    log_session(&line, event, s);
    log_owner(&line, owner, len);
    log_field(&line, "status", "%s", status_text(s->status));
    log_field(&line, "reason", "%s", s->reason);
    log_end(s->t, LOG_LEVEL_FAILURES, &line);
}

static void log_closed(const struct session *s, const char *reason)
{
    struct log_line line;

    log_session(&line, "closed", s);
    log_field(&line, "sent", "%llu", s->relay.to_tls.n);
    log_field(&line, "received", "%llu", s->relay.to_plain.n);
    log_field(&line, "seconds", "%lld", (long long)(now_s() - s->begun));
    if (reason != NULL)
        log_field(&line, "reason", "%s", reason);
    log_end(s->t, reason != NULL ? LOG_LEVEL_FAILURES : LOG_LEVEL_CONNECTIONS, &line);
}

void session_fail(struct session *s, enum kbv_status status, const char *format, ...)
{
    va_list args;

    s->status = status;
    va_start(args, format);
    (void)vsnprintf(s->reason, sizeof(s->reason), format, args);
    va_end(args);
}

static void fail_by_result(struct session *s, const struct kbv_tls_judgement *r)
{
    session_fail(s, r->status, "%s", r->reason);
}

/* ---- waiting ---- */

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    session_run(arg);
}

static bool arm(struct session *s, struct event *e, int fd, bool to_read, bool to_write,
                int timeout_ms)
{
    const struct timeval timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
    const short what = (short)((to_read ? EV_READ : 0) | (to_write ? EV_WRITE : 0));

    return event_assign(e, s->t->base, what != 0 ? fd : -1, what, on_ready, s) == 0 &&
           event_add(e, timeout_ms >= 0 ? &timeout : NULL) == 0;
}

bool session_wait(struct session *s, const struct kbv_wait *w)
{
    return arm(s, s->wait, w->fd, w->read, w->write, w->timeout_ms);
}

bool session_pause(struct session *s)
{
    return arm(s, s->wait, -1, false, false, PAUSE_MS);
}

static void stop_waiting(struct session *s)
{
    (void)event_del(s->wait);
    (void)event_del(s->wait_tls);
}

static void set_timer(struct event *e, int64_t seconds)
{
    const struct timeval timeout = {.tv_sec = (time_t)seconds};

    (void)event_add(e, &timeout);
}

/* ---- the end ---- */

/* A reset: what came so far is not the whole of it. */
static void reset(int fd)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

static void free_event(struct event *e)
{
    if (e != NULL)
        event_free(e);
}

static void session_free(struct session *s)
{
    struct tunnel *t = s->t;

    free_event(s->wait);
    free_event(s->wait_tls);
    free_event(s->deadline);
    free_event(s->expiry);
    free_event(s->idle);
    kbv_tls_check_delete(s->check);
    SSL_free(s->ssl);
    target_end(s);
    if (s->plain >= 0)
        (void)close(s->plain);
    if (s->tls >= 0)
        (void)close(s->tls);
    LIST_REMOVE(s, list);
    t->n_sessions--;
    free(s);
    if (t->draining && t->n_sessions == 0)
        (void)event_base_loopbreak(t->base);
    listen_resume(t);
}

void session_abort(struct session *s, const char *why)
{
    log_closed(s, why);
    reset(s->plain);
    reset(s->tls);
    session_free(s);
}

/* A session that never got as far as to relay. */
static void give_up(struct session *s)
{
    if (*s->reason != '\0')
        log_failed(s, "failed", NULL, 0);
    /* Of the TLS side the alert shall arrive. */
    reset(s->plain);
    session_free(s);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct session *s = arg;
    char last[sizeof(s->reason)];

    (void)fd, (void)what;
    memcpy(last, s->reason, sizeof(last));
    if (s->state == SESSION_JUDGING || s->state == SESSION_ASKING_AGAIN) {
        session_abort(s, *last != '\0' ? last : "not judged again in time");
        return;
    }
    session_fail(s, s->status, "not set up in time%s%s", *last != '\0' ? "; " : "", last);
    give_up(s);
}

static void on_idle(evutil_socket_t fd, short what, void *arg)
{
    struct session *s = arg;

    (void)fd, (void)what;
    if (s->state == SESSION_RELAYING)
        session_abort(s, "idle");
}

/* ---- connecting ---- */

static void prepare_socket(int fd)
{
    const int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

/* The descriptor that this end connects. */
static int *connected(struct session *s)
{
    return s->t->server ? &s->plain : &s->tls;
}

static void drop(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* What came of connect(): 0, an error, or EINPROGRESS. */
static int outcome_of_connect(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);
    struct sockaddr_storage peer;
    socklen_t peer_len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        return errno;
    if (error == 0 && getpeername(fd, (struct sockaddr *)&peer, &peer_len) != 0)
        return errno == ENOTCONN ? ETIMEDOUT : errno; /* we waited, and it is not there */
    return error;
}

/* Begins to connect to the next address. 0, EINPROGRESS, or what is wrong with it. */
static int start_connect(struct session *s)
{
    const struct address *a = &s->addresses[s->next_address++];
    int *fd = connected(s);

    address_text((const struct sockaddr *)&a->socket, s->to);
    *fd = socket(a->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return errno;
    prepare_socket(*fd);
    return connect(*fd, (const struct sockaddr *)&a->socket, a->len) == 0 ? 0 : errno;
}

static void log_not_connected(struct session *s, int error)
{
    struct log_line line;

    session_fail(s, KBV_STATUS_NONE, "%s: %s", s->to, strerror(error));
    log_session(&line, "not-connected", s);
    log_field(&line, "reason", "%s", strerror(error));
    log_end(s->t, LOG_LEVEL_STEPS, &line);
}

static enum session_state step_connect(struct session *s)
{
    int *fd = connected(s);
    int error = *fd >= 0 ? outcome_of_connect(*fd) : 0;

    for (bool begun = *fd >= 0; !begun || error != 0; begun = true) {
        if (begun) {
            log_not_connected(s, error);
            drop(fd);
        }
        if (s->next_address == s->n_addresses)
            return s->t->server ? SESSION_ENDED : SESSION_TARGET;
        error = start_connect(s);
        if (error == EINPROGRESS)
            return arm(s, s->wait, *fd, false, true, CONNECT_MS) ? SESSION_CONNECTING
                                                                 : SESSION_ENDED;
    }
    return s->t->server ? SESSION_RELAYING : SESSION_SHAKING;
}

/* ---- TLS ---- */

static struct kbv_tls_expected expectation(const struct session *s)
{
    const struct tunnel *t = s->t;

    return (struct kbv_tls_expected){
        .who = KBV_TLS_OWNERS,
        .identities = t->server ? t->identities : &s->target,
        .n_identities = t->server ? t->n_identities : 1,
        .timeout_ms = 1000 * (s->state == SESSION_JUDGING ? JUDGE_S : (int)t->setup_s),
    };
}

static bool begin_tls(struct session *s)
{
    const struct kbv_tls_expected e = expectation(s);

    s->ssl = SSL_new(s->t->ctx);
    if (s->ssl == NULL || SSL_set_fd(s->ssl, s->tls) != 1)
        return false;
    if (s->t->server)
        SSL_set_accept_state(s->ssl);
    else
        SSL_set_connect_state(s->ssl);
    return kbv_tls_expect(s->ssl, s->t->client, &e) == KBV_OK;
}

/* The peer is not the one, or the handshake failed. A client has other endpoints to try. */
static enum session_state refuse(struct session *s, enum kbv_tls_state state)
{
    const struct kbv_tls_judgement *r = kbv_tls_result(s->ssl);

    fail_by_result(s, r);
    log_failed(s, state == KBV_TLS_FAILED ? "handshake-failed" : "refused", r->owner, r->owner_len);
    s->reason[0] = '\0'; /* it is said */
    if (s->t->server)
        return SESSION_ENDED;
    SSL_free(s->ssl);
    s->ssl = NULL;
    drop(&s->tls);
    return SESSION_TARGET;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static enum session_state step_shake(struct session *s)
{
    enum kbv_tls_state state;
    struct kbv_wait wait;

    if (s->ssl == NULL && !begin_tls(s)) {
        session_fail(s, KBV_STATUS_NONE, "%s", kbv_err_text(KBV_ERR_NOMEM));
        return SESSION_ENDED;
    }
    state = kbv_tls_handshake(s->ssl, &wait);
    if (state == KBV_TLS_WAIT)
        return session_wait(s, &wait) ? SESSION_SHAKING : SESSION_ENDED;
    if (state != KBV_TLS_ACCEPTED)
        return refuse(s, state);
    /* A client's T is no later than that of the way here. */
    s->not_after =
        earlier(s->t->server ? INT64_MAX : s->not_after, kbv_tls_result(s->ssl)->not_after);
    log_accepted(s, "accepted", kbv_tls_result(s->ssl));
    if (!s->t->server)
        return SESSION_RELAYING;
    s->addresses[0] = s->t->forward;
    s->n_addresses = 1;
    return SESSION_CONNECTING;
}

/* ---- octets ---- */

static void touch(struct session *s)
{
    if (s->t->idle_s > 0)
        set_timer(s->idle, (int64_t)s->t->idle_s);
}

static void begin_relay(struct session *s)
{
    s->relay.plain = s->plain;
    s->relay.ssl = s->ssl;
    s->reason[0] = '\0';
    (void)event_del(s->deadline);
    touch(s);
}

/* T, or what the clock makes of it, is over. */
static enum session_state expire(struct session *s)
{
    (void)event_del(s->expiry);
    set_timer(s->deadline, JUDGE_S);
    s->reason[0] = '\0';
    return !s->t->server && s->t->to.identifier.kind != KBV_ID_NONE ? SESSION_ASKING_AGAIN
                                                                    : SESSION_JUDGING;
}

static bool wait_to_relay(struct session *s)
{
    const struct relay *r = &s->relay;
    const int64_t left = s->not_after - now_s();

    set_timer(s->expiry, left > 0 ? left : 0);
    return (!(r->plain_read || r->plain_write) ||
            arm(s, s->wait, s->plain, r->plain_read, r->plain_write, -1)) &&
           (!(r->tls_read || r->tls_write) ||
            arm(s, s->wait_tls, s->tls, r->tls_read, r->tls_write, -1));
}

static enum session_state step_relay(struct session *s)
{
    bool moved = false;

    if (s->relay.ssl == NULL)
        begin_relay(s);
    if (now_s() >= s->not_after)
        return expire(s);
    switch (relay_run(&s->relay, &moved)) {
    case RELAY_BUSY:
        touch(s);
        return arm(s, s->wait, -1, false, false, 0) ? SESSION_RELAYING : SESSION_ENDED;
    case RELAY_WAITS:
        if (moved)
            touch(s);
        return wait_to_relay(s) ? SESSION_RELAYING : SESSION_ENDED;
    case RELAY_DONE:
        return SESSION_ENDED;
    case RELAY_BROKEN:
        break;
    }
    session_fail(s, KBV_STATUS_NONE, "%s", s->relay.error);
    return SESSION_ENDED;
}

/* ---- T has passed ---- */

/* A refusal that may be another one in a second: the resolver is silent, or still had the old
 * verdict. */
static bool is_transient(const struct kbv_tls_judgement *r)
{
    return r->acceptance == KBV_REFUSED_EXPIRED || r->acceptance == KBV_REFUSED_NO_VERDICT ||
           r->status >= KBV_STATUS_TEMPFAIL;
}

static enum session_state judged(struct session *s)
{
    const struct kbv_tls_judgement r = *kbv_tls_check_result(s->check);

    kbv_tls_check_delete(s->check);
    s->check = NULL;
    if (r.acceptance == KBV_ACCEPTED) {
        s->not_after = earlier(s->t->server ? INT64_MAX : s->not_after, r.not_after);
        s->reason[0] = '\0';
        (void)event_del(s->deadline);
        touch(s);
        log_accepted(s, "judged-again", &r);
        return SESSION_RELAYING;
    }
    fail_by_result(s, &r);
    if (is_transient(&r))
        return session_pause(s) ? SESSION_JUDGING : SESSION_ENDED;
    log_failed(s, "refused", r.owner, r.owner_len);
    return SESSION_ENDED;
}

static enum session_state step_judge(struct session *s)
{
    const struct kbv_tls_expected e = expectation(s);
    struct kbv_wait wait;

    /* A literal owner holds until its own verdict's T alone. */
    if (!s->t->server && s->t->to.identifier.kind == KBV_ID_NONE)
        s->not_after = INT64_MAX;
    if (s->check == NULL)
        s->check = kbv_tls_check_create(s->t->client, &e, s->ssl, NULL);
    if (s->check == NULL) {
        session_fail(s, KBV_STATUS_NONE, "%s", kbv_err_text(KBV_ERR_NOMEM));
        return SESSION_ENDED;
    }
    if (kbv_tls_check_run(s->check, &wait) == KBV_QUERY_DONE)
        return judged(s);
    return session_wait(s, &wait) ? SESSION_JUDGING : SESSION_ENDED;
}

/* ---- the driver ---- */

static enum session_state (*const steps[])(struct session *) = {
    [SESSION_ASKING] = target_ask,
    [SESSION_TARGET] = target_next,
    [SESSION_RESOLVING] = target_resolve,
    [SESSION_CONNECTING] = step_connect,
    [SESSION_SHAKING] = step_shake,
    [SESSION_RELAYING] = step_relay,
    [SESSION_ASKING_AGAIN] = target_ask_again,
    [SESSION_JUDGING] = step_judge,
};

static void session_end(struct session *s)
{
    if (s->relay.ssl == NULL) {
        give_up(s);
        return;
    }
    if (s->relay.to_tls.told && s->relay.to_plain.told) {
        log_closed(s, NULL);
        session_free(s);
        return;
    }
    session_abort(s, *s->reason != '\0' ? s->reason : kbv_err_text(KBV_ERR_NOMEM));
}

void session_run(struct session *s)
{
    enum session_state before;

    do {
        stop_waiting(s);
        before = s->state;
        s->state = steps[before](s);
    } while (s->state != before && s->state != SESSION_ENDED);
    if (s->state == SESSION_ENDED)
        session_end(s);
}

/* ---- the beginning ---- */

static bool make_events(struct session *s)
{
    struct event_base *base = s->t->base;

    s->wait = evtimer_new(base, on_ready, s);
    s->wait_tls = evtimer_new(base, on_ready, s);
    s->deadline = evtimer_new(base, on_deadline, s);
    s->expiry = evtimer_new(base, on_ready, s);
    s->idle = evtimer_new(base, on_idle, s);
    return s->wait != NULL && s->wait_tls != NULL && s->deadline != NULL && s->expiry != NULL &&
           s->idle != NULL;
}

static enum session_state first_state(const struct tunnel *t)
{
    if (t->server)
        return SESSION_SHAKING;
    return t->to.identifier.kind != KBV_ID_NONE ? SESSION_ASKING : SESSION_TARGET;
}

void session_begin(struct tunnel *t, int fd, const struct sockaddr *from)
{
    struct session *s = calloc(1, sizeof(*s));
    struct log_line line;

    if (s == NULL) {
        (void)close(fd);
        return;
    }
    s->t = t;
    s->id = ++t->next_id;
    s->begun = now_s();
    s->state = first_state(t);
    s->plain = t->server ? -1 : fd;
    s->tls = t->server ? fd : -1;
    LIST_INSERT_HEAD(&t->sessions, s, list);
    t->n_sessions++;
    address_text(from, s->from);
    prepare_socket(fd);
    log_session(&line, "connection", s);
    log_end(t, LOG_LEVEL_STEPS, &line);
    if (!make_events(s)) {
        session_fail(s, KBV_STATUS_NONE, "%s", kbv_err_text(KBV_ERR_NOMEM));
        give_up(s);
        return;
    }
    set_timer(s->deadline, (int64_t)t->setup_s);
    session_run(s);
}
