/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a client's connection goes. A literal owner _port._tcp.host says it itself; an identifier's
 * endpoints are asked for, and tried in their order (PUBLISHED ones alone: nothing is known to be
 * bound to the others). Addresses are looked up by libevent and need no proof: whoever answers
 * there must prove a key that is bound to the owner name.
 */
#include "cli/tunnel.h"

#include <event2/dns.h>
#include <event2/util.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/text.h"

/* A question for addresses, which may outlive its session: libevent calls back even if cancelled.
 */
struct lookup {
    struct session *s;                   /* NULL: nobody waits any more */
    struct evdns_getaddrinfo_request *r; /* NULL: it was answered */
    bool starting, done;
};

/* ---- the resolver for addresses ---- */

/* "ADDR@PORT" as libevent writes it. */
static bool add_nameserver(struct evdns_base *dns, const char *server)
{
    const char *at = strchr(server, '@');
    const int len = at != NULL ? (int)(at - server) : (int)strlen(server);
    const bool v6 = memchr(server, ':', (size_t)len) != NULL;
    char text[KBV_RESOLVER_TEXT_MAX + 4];

    (void)snprintf(text, sizeof(text), v6 ? "[%.*s]:%s" : "%.*s:%s", len, server,
                   at != NULL ? at + 1 : "53");
    return evdns_base_nameserver_ip_add(dns, text) == 0;
}

bool target_begin(struct tunnel *t)
{
    static const char *const options[][2] = {
        {"max-inflight", "1024"}, {"timeout", "2"}, {"attempts", "2"}};
    bool ok;

    t->dns = evdns_base_new(t->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    ok = t->dns != NULL;
    for (size_t i = 0; ok && i < sizeof(options) / sizeof(options[0]); i++)
        ok = evdns_base_set_option(t->dns, options[i][0], options[i][1]) == 0;
    if (ok && t->resolver.n_servers > 0 && !t->resolver.has_tls_pin) {
        (void)evdns_base_load_hosts(t->dns, "/etc/hosts");
        for (size_t i = 0; ok && i < t->resolver.n_servers; i++)
            ok = add_nameserver(t->dns, t->resolver.servers[i]);
    } else if (ok) {
        (void)evdns_base_resolv_conf_parse(t->dns, DNS_OPTION_NAMESERVERS | DNS_OPTION_HOSTSFILE,
                                           "/etc/resolv.conf");
    }
    return ok;
}

/* ---- endpoints ---- */

static struct kbv_query *ask(const struct session *s)
{
    const struct kbv_ask a = {
        .form = KBV_ASK_NAME,
        .name = {s->t->to.name, s->t->to.len},
        .identifier = s->t->to.identifier,
    };

    return kbv_query_create(s->t->client, &a, NULL);
}

/* Why a reply leads nowhere. */
static void fail_by_reply(struct session *s, const struct kbv_query *q)
{
    const struct kbv_reply *reply = kbv_query_reply(q);
    const struct kbv_verdict *v;
    enum kbv_acceptance believed;
    char reason[KBV_REASON_MAX + 1];
    size_t i;

    if (reply->outcome != KBV_REPLY_VERDICTS) {
        session_fail(s, KBV_STATUS_NONE, "%s%s%s", kbv_reply_outcome_text(reply->outcome),
                     *reply->error != '\0' ? ": " : "", reply->error);
        return;
    }
    i = kbv_verdict_select(reply->verdicts, reply->n_verdicts, false);
    v = &reply->verdicts[i];
    believed = kbv_query_believe(q, i, (int64_t)time(NULL));
    kbv_reason_text(v->reason, reason);
    session_fail(s, v->status, "%s: %s", kbv_status_name(v->status),
                 believed != KBV_BELIEVED ? kbv_acceptance_text(believed)
                 : *reason != '\0'        ? reason
                                          : kbv_status_text(v->status));
}

/* Runs *q, made if there is none. WAIT too if it could not be made: *failed. */
static bool is_done(struct session *s, struct kbv_query **q, bool *failed)
{
    struct kbv_wait wait;

    *failed = false;
    if (*q == NULL)
        *q = ask(s);
    if (*q != NULL && kbv_query_run(*q, &wait) == KBV_QUERY_DONE)
        return true;
    *failed = *q == NULL || !session_wait(s, &wait);
    if (*failed)
        session_fail(s, KBV_STATUS_NONE, "%s", kbv_err_text(KBV_ERR_NOMEM));
    return false;
}

enum session_state target_ask(struct session *s)
{
    bool failed;

    if (!is_done(s, &s->endpoints, &failed))
        return failed ? SESSION_ENDED : SESSION_ASKING;
    fail_by_reply(s, s->endpoints); /* unless an endpoint is found */
    return SESSION_TARGET;
}

/* A server's identity out of one verdict about an identifier; until when it is what it is. */
static bool take_endpoint(struct session *s, const struct kbv_query *q, size_t i)
{
    const struct kbv_verdict *v = &kbv_query_reply(q)->verdicts[i];
    const int64_t now = (int64_t)time(NULL);

    if (!v->has_endpoint || kbv_tls_identity_from_verdict(&s->target, q, i, now) != KBV_OK)
        return false;
    /* Serial arithmetic: what was believed lies within 2^31 s of now. */
    s->not_after = now + (int32_t)(v->not_after - (uint32_t)now);
    return true;
}

enum session_state target_next(struct session *s)
{
    struct tunnel *t = s->t;
    bool found = false;

    s->n_addresses = s->next_address = 0;
    if (t->to.identifier.kind == KBV_ID_NONE) {
        if (s->next_endpoint++ > 0)
            return SESSION_ENDED;
        s->target = (struct kbv_tls_identity){
            .owner = {t->to.name, t->to.len}, .host = t->to_host, .port = t->to_port};
        s->not_after = INT64_MAX;
        return SESSION_RESOLVING;
    }
    while (!found && s->next_endpoint < kbv_query_reply(s->endpoints)->n_verdicts)
        found = take_endpoint(s, s->endpoints, s->next_endpoint++);
    if (found)
        s->reason[0] = '\0';
    return found ? SESSION_RESOLVING : SESSION_ENDED;
}

/* The verdict about the endpoint that we are connected to, or the number of verdicts. */
static size_t same_endpoint(const struct session *s, const struct kbv_reply *reply)
{
    for (size_t i = 0; i < reply->n_verdicts; i++) {
        const struct kbv_verdict *v = &reply->verdicts[i];

        if (v->has_endpoint && v->port == s->target.port &&
            kbv_name_equal(v->target.p, v->target.len, s->target.host.p, s->target.host.len))
            return i;
    }
    return reply->n_verdicts;
}

/* A refusal that will not be another one in a second. */
static bool is_definite(const struct kbv_query *q)
{
    const struct kbv_reply *reply = kbv_query_reply(q);
    const int64_t now = (int64_t)time(NULL);

    for (size_t i = 0; i < reply->n_verdicts; i++)
        if (kbv_query_believe(q, i, now) != KBV_BELIEVED ||
            reply->verdicts[i].status >= KBV_STATUS_TEMPFAIL)
            return false;
    return reply->n_verdicts > 0;
}

enum session_state target_ask_again(struct session *s)
{
    const struct kbv_reply *reply;
    bool failed, definite;
    size_t i;

    if (!is_done(s, &s->asked_again, &failed))
        return failed ? SESSION_ENDED : SESSION_ASKING_AGAIN;
    reply = kbv_query_reply(s->asked_again);
    i = same_endpoint(s, reply);
    if (i < reply->n_verdicts && take_endpoint(s, s->asked_again, i)) {
        kbv_query_delete(s->endpoints);
        s->endpoints = s->asked_again;
        s->asked_again = NULL;
        return SESSION_JUDGING;
    }
    fail_by_reply(s, s->asked_again);
    definite = is_definite(s->asked_again);
    if (definite && s->status == KBV_STATUS_PUBLISHED)
        session_fail(s, s->status, "the identifier leads elsewhere now");
    kbv_query_delete(s->asked_again);
    s->asked_again = NULL;
    return !definite && session_pause(s) ? SESSION_ASKING_AGAIN : SESSION_ENDED;
}

/* ---- addresses ---- */

static void take_addresses(struct session *s, const struct evutil_addrinfo *all)
{
    for (const struct evutil_addrinfo *a = all; a != NULL && s->n_addresses < ADDRESSES_MAX;
         a = a->ai_next) {
        struct address *out = &s->addresses[s->n_addresses];

        if (a->ai_addrlen > sizeof(out->socket))
            continue;
        memcpy(&out->socket, a->ai_addr, a->ai_addrlen);
        out->len = (socklen_t)a->ai_addrlen;
        s->n_addresses++;
    }
}

static void on_addresses(int result, struct evutil_addrinfo *all, void *arg)
{
    struct lookup *l = arg;
    struct session *s = l->s;

    l->r = NULL;
    l->done = true;
    if (s == NULL) {
        if (!l->starting)
            free(l);
    } else {
        char host[KBV_NAME_TEXT_MAX];

        take_addresses(s, all);
        kbv_host_text(s->target.host, host);
        if (s->n_addresses == 0)
            session_fail(s, KBV_STATUS_NONE, "%s has no address: %s", host,
                         evutil_gai_strerror(result));
    }
    if (all != NULL)
        evutil_freeaddrinfo(all);
    if (s != NULL && !l->starting)
        session_run(s);
}

static bool start_lookup(struct session *s)
{
    const struct evutil_addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    struct lookup *l = calloc(1, sizeof(*l));
    char host[KBV_NAME_TEXT_MAX], port[6];

    if (l == NULL)
        return false;
    *l = (struct lookup){.s = s, .starting = true};
    s->lookup = l;
    kbv_host_text(s->target.host, host);
    (void)snprintf(port, sizeof(port), "%u", s->target.port);
    l->r = evdns_getaddrinfo(s->t->dns, host, port, &hints, on_addresses, l);
    if (l->done)
        l->r = NULL;
    l->starting = false;
    return true;
}

enum session_state target_resolve(struct session *s)
{
    if (s->lookup == NULL && !start_lookup(s)) {
        session_fail(s, KBV_STATUS_NONE, "%s", kbv_err_text(KBV_ERR_NOMEM));
        return SESSION_ENDED;
    }
    if (!s->lookup->done)
        return SESSION_RESOLVING;
    free(s->lookup);
    s->lookup = NULL;
    return s->n_addresses > 0 ? SESSION_CONNECTING : SESSION_TARGET;
}

void target_end(struct session *s)
{
    if (s->lookup != NULL && s->lookup->done) {
        free(s->lookup);
    } else if (s->lookup != NULL) {
        s->lookup->s = NULL;
        evdns_getaddrinfo_cancel(s->lookup->r);
    }
    s->lookup = NULL;
    kbv_query_delete(s->endpoints);
    kbv_query_delete(s->asked_again);
}
