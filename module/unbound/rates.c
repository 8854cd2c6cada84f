/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who asks, and whether a signature may be made for its sake.
 *
 * A signature costs some eighty microseconds, and whoever asks about digests or names that nobody
 * asked about before causes one for each question. So they are counted by client. What is said in
 * a datagram may come from anybody: those of clients that nothing vouches for have a limit of their
 * own, so that nobody can use up, under a forged address, what is due to a client over TCP. A
 * client that is refused over UDP is told to use TCP.
 */
#include "config.h"

#include <string.h>

#include "services/mesh.h"
#include "util/data/msgparse.h"
#include "util/net_help.h"
#include "util/netevent.h"

#include "kbvmod.h"

static bool is_loopback(const struct sockaddr_storage *a)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    if (a->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)a;
        return (ntohl(in->sin_addr.s_addr) >> 24) == 127;
    }
    if (a->ss_family == AF_INET6) {
        const uint8_t *o = ((const struct sockaddr_in6 *)a)->sin6_addr.s6_addr;
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr) ||
               (memcmp(o, mapped, sizeof(mapped)) == 0 && o[12] == 127);
    }
    return false;
}

/* Through a proxy too: the client's address, not the proxy's. */
static struct kbv_asker asker_at(const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_INET)
        return kbv_asker_at((const uint8_t *)&((const struct sockaddr_in *)a)->sin_addr, 4);
    if (a->ss_family == AF_INET6)
        return kbv_asker_at((const uint8_t *)&((const struct sockaddr_in6 *)a)->sin6_addr, 16);
    return (struct kbv_asker){{0}};
}

struct kbv_source kbv_source_of(const struct comm_reply *repinfo, const struct edns_data *edns)
{
    struct kbv_source s = {.udp = true, .datagram = true};

    if (!repinfo || !repinfo->c)
        return s;
    /* DNS over QUIC has a type of its own, and is not named among the transports served. */
    s.udp = repinfo->c->type != comm_tcp && repinfo->c->type != comm_http;
    s.datagram = s.udp && !is_loopback(&repinfo->client_addr);
    /* RFC 7873: who has the cookie has had our replies. */
    s.proven = !s.datagram || edns->cookie_valid;
    s.asker = asker_at(&repinfo->client_addr);
    return s;
}

static struct kbv_ratelimit *limit_for(const struct kbv_module *m, const struct kbv_source *s)
{
    return s->proven ? m->signatures : m->unproven;
}

bool kbv_source_may_sign(const struct kbv_module *m, const struct kbv_source *s, int64_t now)
{
    return kbv_ratelimit_take(limit_for(m, s), &s->asker, now);
}

const char *kbv_source_refusal(const struct kbv_source *s)
{
    return s->proven ? "too many signatures" : KBV_USE_TCP;
}

bool kbv_waiting_may_sign(void *arg)
{
    struct kbv_waiting_clients *w = arg;
    const struct mesh_reply *r = w->mesh->reply_list;
    struct kbv_source s;

    if (w->kept) {
        if (r) {
            s = kbv_source_of(&r->query_reply, &r->edns);
            kbv_ratelimit_charge(limit_for(w->m, &s), &s.asker, 1, w->now);
        }
        return true;
    }
    for (; r; r = r->next) {
        s = kbv_source_of(&r->query_reply, &r->edns);
        if (kbv_source_may_sign(w->m, &s, w->now))
            return true;
        if (!w->refusal || !s.proven) /* whoever waits over TCP knows what to make of that */
            w->refusal = kbv_source_refusal(&s);
    }
    return w->refusal == NULL;
}
