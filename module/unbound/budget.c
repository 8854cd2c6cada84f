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
 * Keys (DNSKEY, DS), and what is asked for their sake, have a purse of their own in it: a zone
 * whose servers have no keys to give would cost a quota for each of the validator's attempts. The
 * keys of trust anchors are nobody's expense, for without them there is no validation at all.
 *
 * What one verdict cannot pay for may be what others wait for, too, however many steps above it.
 * Then it is charged to a verdict among them; if one is no verdict of ours, Unbound's own quota is
 * all that holds. Only if none can pay the question is not sent. Those who wait are told of a
 * failure then, and none of it is kept: neither the failure, nor that a key was bad, which the
 * validator would remember for a minute. Or else an attacker who has used up his own budget could
 * bring that upon the next server or zone on his way.
 */
#include "config.h"

#include <stdlib.h>

#include "services/mesh.h"
#include "services/modstack.h"
#include "sldns/rrdef.h"
#include "util/config_file.h"
#include "util/module.h"
#include "util/rbtree.h"
#include "validator/validator.h"

#include "kbv_unbound.h"
#include "kbvmod.h"

/* A purse has the quota of that many queries. An honest answer with 8 endpoints in 8 zones, whose
 * name servers are in zones of their own, and nothing of it known before, needs half of it. */
#define QUOTAS 3

enum purse { OF_RECORDS, OF_KEYS, PURSES };

/* All queries of one mesh, and so of one thread, are the only ones that see it. */
struct kbv_budget {
    unsigned holders;
    const struct module_qstate *verdict; /* whose it is; NULL: that has been answered */
    int64_t left[PURSES];
    bool spent; /* something was to be asked, and a purse was empty */
};

bool kbv_budget_start(struct module_qstate *qstate)
{
    const int64_t purse = (int64_t)QUOTAS * qstate->env->cfg->max_global_quota;
    struct kbv_budget *b = malloc(sizeof(*b));

    if (!b)
        return false;
    *b = (struct kbv_budget){.holders = 1, .verdict = qstate, .left = {purse, purse}};
    qstate->kbv_budget = b;
    return true;
}

bool kbv_budget_is_spent(const struct module_qstate *qstate)
{
    return qstate->kbv_budget != NULL && qstate->kbv_budget->spent;
}

/* Whether the validator asks for the keys of a trust anchor: before it knows the signer's. The
 * anchor is locked by then and cannot be looked up. */
static bool is_priming(const struct module_qstate *qstate)
{
    const int id = modstack_find(&qstate->env->mesh->mods, "validator");
    const struct val_qstate *v = id < 0 || id != qstate->curmod ? NULL : qstate->minfo[id];

    return v && v->state == VAL_INIT_STATE;
}

void kbv_budget_inherit(struct module_qstate *sub, const struct module_qstate *qstate)
{
    if (!qstate->kbv_budget || (sub->qinfo.qtype == LDNS_RR_TYPE_DNSKEY && is_priming(qstate)))
        return;
    sub->kbv_budget = qstate->kbv_budget;
    sub->kbv_budget->holders++;
    sub->kbv_for_keys = qstate->kbv_for_keys || sub->qinfo.qtype == LDNS_RR_TYPE_DNSKEY ||
                        sub->qinfo.qtype == LDNS_RR_TYPE_DS;
}

void kbv_budget_release(struct module_qstate *qstate)
{
    struct kbv_budget *b = qstate->kbv_budget;

    qstate->kbv_budget = NULL;
    if (!b)
        return;
    if (b->verdict == qstate)
        b->verdict = NULL;
    if (--b->holders == 0)
        free(b);
}

static bool pay(struct kbv_budget *b, enum purse purse)
{
    if (b->left[purse] > 0) {
        b->left[purse]--;
        return true;
    }
    b->spent = true;
    return false;
}

/* A walk up to all that wait for a query. Each is met once, for there may be very many ways. */
struct walk {
    unsigned long
        number;    /* of all walks of this thread, which is the only one to see its queries */
    bool refusing; /* nobody pays: none of them keeps what comes of it */
};

static _Thread_local unsigned long walks;

static bool others_pay(const struct walk *w, struct mesh_state *s, enum purse purse);

/* Whether it is paid for by s, which waits, or by somebody above it. */
static bool pays(const struct walk *w, struct mesh_state *s, enum purse purse)
{
    struct module_qstate *q = &s->s;

    if (q->kbv_walk == w->number)
        return false;
    q->kbv_walk = w->number;
    if (!q->kbv_budget)
        return true;
    if (q->kbv_for_keys)
        purse = OF_KEYS;
    if (pay(q->kbv_budget, purse))
        return true;
    if (q == q->kbv_budget->verdict) /* who waits for it waits for what it costs */
        return false;
    if (s->reply_list || s->cb_list)
        return true;
    if (w->refusing)
        q->kbv_refused = q->no_cache_store = 1;
    return others_pay(w, s, purse);
}

static bool others_pay(const struct walk *w, struct mesh_state *s, enum purse purse)
{
    struct mesh_state_ref *ref;

    RBTREE_FOR(ref, struct mesh_state_ref *, &s->super_set)
    if (pays(w, ref->s, purse))
        return true;
    return false;
}

int kbv_budget_spend(struct module_qstate *qstate)
{
    struct walk w = {.number = ++walks};

    if (!qstate->kbv_budget || pays(&w, qstate->mesh_info, OF_RECORDS))
        return 0;
    w = (struct walk){.number = ++walks, .refusing = true};
    (void)pays(&w, qstate->mesh_info, OF_RECORDS);
    return 1;
}

int kbv_budget_refused(const struct module_qstate *qstate)
{
    return qstate->kbv_refused;
}
