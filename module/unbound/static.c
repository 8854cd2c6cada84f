/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the iterator of a patched Unbound asks the module. All of it says no while kbv is not in
 * the running stack: Unbound then does what it always did.
 */
#include "config.h"

#include "services/mesh.h"
#include "util/data/msgreply.h"
#include "util/data/packed_rrset.h"
#include "util/module.h"

#include "kbv_unbound.h"
#include "kbvmod.h"

int kbv_no_minimise(struct module_env *env, uint8_t *qname, size_t len)
{
    const struct kbv_module *m = kbv_module_of(env);

    return m != NULL && !m->opts->qname_minimisation &&
           kbv_options_zone(m->opts, qname, len) != NULL;
}

int kbv_refuse_upstream(struct module_env *env, struct query_info *qinfo)
{
    const struct kbv_module *m = kbv_module_of(env);

    return m != NULL &&
           (qinfo->qtype == m->opts->rrtype || kbv_name_under_kbv(qinfo->qname, qinfo->qname_len));
}

int kbv_refuse_answer(struct module_env *env, struct reply_info *rep)
{
    if (kbv_module_of(env) == NULL)
        return 0;
    for (size_t i = 0; i < rep->an_numrrsets; i++)
        if (kbv_name_under_kbv(rep->rrsets[i]->rk.dname, rep->rrsets[i]->rk.dname_len))
            return 1;
    return 0;
}
