/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whoever waits over UDP for a verdict that will not come is told to ask over TCP.
 *
 * When Unbound ends, or is reloaded, it drops the queries under way, and their clients wait until
 * they give up. A verdict takes several steps, so that far more of them are under way than
 * questions for one record, and a join waits for each. So their clients get an empty truncated
 * reply: it makes them ask again at once, on a connection that waits until the reload is over, and
 * no cache keeps it, as some keep SERVFAIL. What belongs to an option on a TLSA query is dropped as
 * any other TLSA query is.
 */
#include "config.h"

#include "services/mesh.h"
#include "services/modstack.h"
#include "sldns/rrdef.h"
#include "util/data/msgencode.h"
#include "util/data/msgreply.h"
#include "util/module.h"
#include "util/net_help.h"
#include "util/netevent.h"

#include "kbv_unbound.h"
#include "kbvmod.h"

static void send_to_tcp(struct mesh_state *s, struct mesh_reply *r)
{
    struct query_info qinfo = s->s.qinfo;

    qinfo.qname = r->qname; /* with the case in which this client wrote it */
    qinfo.local_alias = NULL;
    error_encode(r->query_reply.c->buffer, LDNS_RCODE_NOERROR | BIT_TC, &qinfo, r->qid, r->qflags,
                 &r->edns);
    comm_point_send_reply(&r->query_reply);
}

void kbv_farewell(struct module_qstate *qstate)
{
    struct mesh_state *s = qstate->mesh_info;
    int id = modstack_find(&qstate->env->mesh->mods, "kbv");

    if (id < 0 || !qstate->minfo[id] || s->replies_sent)
        return;
    /* Connections are closed by what comes next, and their clients need not wait either. */
    for (struct mesh_reply *r = s->reply_list; r; r = r->next)
        if (r->query_reply.c->type == comm_udp)
            send_to_tcp(s, r);
}
