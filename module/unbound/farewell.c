/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whoever waits for a verdict that will not come is told so.
 *
 * When Unbound ends, or is reloaded, it drops the queries under way, and their clients wait until
 * they give up. A verdict takes several steps, so that far more of them are under way than
 * questions for one record, and a join waits for each. So their clients get SERVFAIL, and may ask
 * again at once. There is no option in it: a signature for each would hold up the reload.
 */
#include "config.h"

#include "services/mesh.h"
#include "services/modstack.h"
#include "sldns/rrdef.h"
#include "util/data/msgencode.h"
#include "util/data/msgreply.h"
#include "util/module.h"
#include "util/netevent.h"

#include "kbv_unbound.h"
#include "kbvmod.h"

static void refuse(struct mesh_state *s, struct mesh_reply *r)
{
    struct query_info qinfo = s->s.qinfo;

    qinfo.qname = r->qname; /* with the case in which this client wrote it */
    qinfo.local_alias = NULL;
    error_encode(r->query_reply.c->buffer, LDNS_RCODE_SERVFAIL, &qinfo, r->qid, r->qflags,
                 &r->edns);
    comm_point_send_reply(&r->query_reply);
}

void kbv_farewell(struct module_qstate *qstate)
{
    struct mesh_state *s = qstate->mesh_info;
    int id = modstack_find(&qstate->env->mesh->mods, "kbv");

    if (id < 0 || !qstate->minfo[id] || s->replies_sent)
        return;
    /* Connections are closed by what comes next, which says the same. */
    for (struct mesh_reply *r = s->reply_list; r; r = r->next)
        if (r->query_reply.c->type == comm_udp)
            refuse(s, r);
}
