/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many questions one verdict may send upstream.
 *
 * Unbound bounds what one query costs (max-global-quota), but each sub-query of a verdict is such a
 * query: with 8 endpoints in the hands of somebody who delegates in circles, or to servers whose
 * names have to be looked up (NXNSAttack), that would be 52 times the quota. So all sub-queries of
 * a verdict, and what the iterator asks for their sake, share one budget; it goes on to hold for
 * those that nobody waits for any more.
 *
 * Keys (DNSKEY, DS) and what is asked for their sake are outside: the validator remembers for a
 * minute that a zone's keys could not be had, and an attacker who has used up his own budget must
 * not be able to bring that upon the next zone on his way. There are no more of them than zones
 * that the budget has reached.
 */
#include "config.h"

#include <stdlib.h>

#include "services/mesh.h"
#include "sldns/rrdef.h"
#include "util/config_file.h"
#include "util/module.h"
#include "util/rbtree.h"

#include "kbv_unbound.h"
#include "kbvmod.h"

/* A verdict may have the quota of that many queries. An honest answer with 8 endpoints in 8 zones,
 * whose name servers are in zones of their own, and nothing of it known before, needs half of it.
 */
#define QUOTAS 3

/* All queries of one mesh, and so of one thread, are the only ones that see it. */
struct kbv_budget {
    unsigned holders;
    int64_t left;
    bool spent;
};

bool kbv_budget_start(struct module_qstate *qstate)
{
    struct kbv_budget *b = malloc(sizeof(*b));

    if (!b)
        return false;
    *b = (struct kbv_budget){.holders = 1,
                             .left = (int64_t)QUOTAS * qstate->env->cfg->max_global_quota};
    qstate->kbv_budget = b;
    return true;
}

bool kbv_budget_is_spent(const struct module_qstate *qstate)
{
    return qstate->kbv_budget != NULL && qstate->kbv_budget->spent;
}

void kbv_budget_inherit(struct module_qstate *sub, const struct module_qstate *qstate)
{
    if (!qstate->kbv_budget || sub->qinfo.qtype == LDNS_RR_TYPE_DNSKEY ||
        sub->qinfo.qtype == LDNS_RR_TYPE_DS)
        return;
    sub->kbv_budget = qstate->kbv_budget;
    sub->kbv_budget->holders++;
}

void kbv_budget_release(struct module_qstate *qstate)
{
    struct kbv_budget *b = qstate->kbv_budget;

    qstate->kbv_budget = NULL;
    if (b && --b->holders == 0)
        free(b);
}

/* Whether somebody outside of this budget waits for the query too. */
static bool others_wait(const struct module_qstate *qstate)
{
    const struct mesh_state *s = qstate->mesh_info;
    struct mesh_state_ref *ref;

    if (s->reply_list || s->cb_list)
        return true;
    RBTREE_FOR(ref, struct mesh_state_ref *, &((struct mesh_state *)s)->super_set)
    if (ref->s->s.kbv_budget != qstate->kbv_budget)
        return true;
    return false;
}

int kbv_budget_spend(struct module_qstate *qstate)
{
    struct kbv_budget *b = qstate->kbv_budget;

    if (!b)
        return 0;
    if (b->left > 0) {
        b->left--;
        return 0;
    }
    b->spent = true;
    return !others_wait(qstate);
}
