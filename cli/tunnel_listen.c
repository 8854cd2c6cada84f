/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses of kbv tunnel, and accepting connections as long as there is room for them. */
#include "cli/tunnel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/util.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>

/* A session has two descriptors and may have a resolver's; some are ours. */
enum { DESCRIPTORS_A_SESSION = 3, DESCRIPTORS_OF_OURS = 32, PAUSE_S = 1, BACKLOG = 512 };

bool address_read(const char *text, bool any_port, struct address *out)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    const char *colon = strrchr(text, ':');
    const bool brackets = *text == '[' && colon != NULL && colon[-1] == ']';
    const char *begin = brackets ? text + 1 : text;
    const size_t len = colon == NULL ? 0 : (size_t)(colon - begin) - (brackets ? 1 : 0);
    char host[ADDRESS_TEXT_MAX];
    struct addrinfo *found;
    unsigned long port;

    if (len == 0 || len >= sizeof(host) || !parse_number(colon + 1, any_port ? 0 : 1, 65535, &port))
        return false;
    memcpy(host, begin, len);
    host[len] = '\0';
    if ((strchr(host, ':') != NULL) != brackets ||
        getaddrinfo(host, colon + 1, &hints, &found) != 0)
        return false;
    memset(out, 0, sizeof(*out));
    memcpy(&out->socket, found->ai_addr, found->ai_addrlen);
    out->len = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

bool address_is_loopback(const struct address *a)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a->socket;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a->socket;

    if (a->socket.ss_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    return a->socket.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

void address_text(const struct sockaddr *a, char out[ADDRESS_TEXT_MAX])
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;
    char text[INET6_ADDRSTRLEN] = "?";

    if (a->sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
        (void)snprintf(out, ADDRESS_TEXT_MAX, "%s:%u", text, ntohs(v4->sin_port));
    } else {
        (void)inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
        (void)snprintf(out, ADDRESS_TEXT_MAX, "[%s]:%u", text, ntohs(v6->sin6_port));
    }
}

static bool is_full(const struct tunnel *t)
{
    return t->n_sessions >= t->max_connections;
}

static void on_connection(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from,
                          int len, void *arg)
{
    struct tunnel *t = arg;

    (void)len;
    if (is_full(t)) {
        evutil_closesocket(fd);
        return;
    }
    session_begin(t, fd, from);
    /* The others wait in the kernel's queue. */
    if (is_full(t)) {
        struct log_line line;

        evconnlistener_disable(l);
        log_begin(&line, "full");
        log_field(&line, "connections", "%lu", t->n_sessions);
        log_end(t, LOG_LEVEL_FAILURES, &line);
    }
}

/* accept() failed, for want of descriptors most likely: looking again at once would fail again. */
static void on_error(struct evconnlistener *l, void *arg)
{
    const struct timeval pause = {.tv_sec = PAUSE_S};
    struct tunnel *t = arg;
    struct log_line line;

    log_begin(&line, "accept-failed");
    log_field(&line, "reason", "%s", strerror(EVUTIL_SOCKET_ERROR()));
    log_field(&line, "connections", "%lu", t->n_sessions);
    log_end(t, LOG_LEVEL_FAILURES, &line);
    evconnlistener_disable(l);
    (void)event_add(t->pause, &pause);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    listen_resume(arg);
}

void listen_resume(struct tunnel *t)
{
    if (t->listener != NULL && !is_full(t) && !event_pending(t->pause, EV_TIMEOUT, NULL))
        (void)evconnlistener_enable(t->listener);
}

/* As many descriptors as we may have; and no more connections than they suffice for. */
static void fit_descriptors(struct tunnel *t)
{
    struct rlimit limit;
    rlim_t room;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    if (limit.rlim_cur == RLIM_INFINITY)
        return;
    room = limit.rlim_cur > DESCRIPTORS_OF_OURS + DESCRIPTORS_A_SESSION
               ? (limit.rlim_cur - DESCRIPTORS_OF_OURS) / DESCRIPTORS_A_SESSION
               : 1;
    if (t->max_connections <= room)
        return;
    complain(t->self, "%llu descriptors suffice for %llu connections, not for %lu",
             (unsigned long long)limit.rlim_cur, (unsigned long long)room, t->max_connections);
    t->max_connections = (unsigned long)room;
}

static void log_listening(const struct tunnel *t)
{
    struct address a = {.len = sizeof(a.socket)};
    char text[ADDRESS_TEXT_MAX];
    struct log_line line;

    if (getsockname(evconnlistener_get_fd(t->listener), (struct sockaddr *)&a.socket, &a.len) != 0)
        return;
    address_text((const struct sockaddr *)&a.socket, text);
    log_begin(&line, "listening");
    log_field(&line, "role", "%s", t->server ? "server" : "client");
    log_field(&line, "address", "%s", text);
    log_end(t, LOG_LEVEL_CONNECTIONS, &line);
}

bool listen_begin(struct tunnel *t)
{
    const unsigned flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE;
    char text[ADDRESS_TEXT_MAX];

    fit_descriptors(t);
    t->pause = evtimer_new(t->base, on_pause_over, t);
    if (t->pause == NULL) {
        complain(t->self, "%s", kbv_err_text(KBV_ERR_NOMEM));
        return false;
    }
    t->listener =
        evconnlistener_new_bind(t->base, on_connection, t, flags, BACKLOG,
                                (const struct sockaddr *)&t->listen.socket, (int)t->listen.len);
    if (t->listener == NULL) {
        const int error = errno;

        address_text((const struct sockaddr *)&t->listen.socket, text);
        complain(t->self, "--listen %s: %s", text, strerror(error));
        return false;
    }
    evconnlistener_set_error_cb(t->listener, on_error);
    log_listening(t);
    return true;
}

void listen_end(struct tunnel *t)
{
    if (t->listener != NULL)
        evconnlistener_free(t->listener);
    t->listener = NULL;
    if (t->pause != NULL)
        event_free(t->pause);
    t->pause = NULL;
}
