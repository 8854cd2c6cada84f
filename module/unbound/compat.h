/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One source for Unbound 1.22 to 1.26: the two calls whose parameters changed.
 * The form is chosen by the type that the headers give, not by a version,
 * because distributions carry patches across versions. Include Unbound's config.h first.
 */
#ifndef KBV_UNBOUND_COMPAT_H
#define KBV_UNBOUND_COMPAT_H

#include "services/cache/dns.h"
#include "util/module.h"
#include "util/net_help.h"

struct respip_client_info;

/* dns_cache_store() gained is_valrec in 1.23. */
typedef int kbv_store_1_22(struct module_env *, struct query_info *, struct reply_info *, int,
                           time_t, int, struct regional *, uint32_t, time_t);
typedef int kbv_store_1_23(struct module_env *, struct query_info *, struct reply_info *, int,
                           time_t, int, struct regional *, uint32_t, time_t, int);
/* attach_sub() gained the client's policy in 1.25. */
typedef int kbv_attach_1_22(struct module_qstate *, struct query_info *, uint16_t, int, int,
                            struct module_qstate **);
typedef int kbv_attach_1_25(struct module_qstate *, struct query_info *,
                            struct respip_client_info *, uint16_t, int, int,
                            struct module_qstate **);

/* Neither form: the build stops here, and a new row is due. */
#define KBV_STORE_HAS_VALREC     _Generic(&dns_cache_store, kbv_store_1_22 * : 0, kbv_store_1_23 * : 1)
#define KBV_ATTACH_HAS_CINFO(fn) _Generic((fn), kbv_attach_1_22 * : 0, kbv_attach_1_25 * : 1)

/* Both calls are compiled, one of them is dead: hence the plain pointer in between. */
static inline int kbv_dns_cache_store(struct module_env *env, struct query_info *qinfo,
                                      struct reply_info *rep, time_t leeway, uint32_t flags,
                                      time_t start)
{
    void (*fn)(void) = (void (*)(void))dns_cache_store;

    if (KBV_STORE_HAS_VALREC)
        return ((kbv_store_1_23 *)fn)(env, qinfo, rep, 0, leeway, 0, NULL, flags, start, 0);
    return ((kbv_store_1_22 *)fn)(env, qinfo, rep, 0, leeway, 0, NULL, flags, start);
}

static inline int kbv_attach_sub(struct module_qstate *q, struct query_info *qinfo,
                                 struct module_qstate **newq)
{
    void (*fn)(void) = (void (*)(void))q->env->attach_sub;

    if (KBV_ATTACH_HAS_CINFO(q->env->attach_sub))
        return ((kbv_attach_1_25 *)fn)(q, qinfo, NULL, BIT_RD, 0, 0, newq);
    return ((kbv_attach_1_22 *)fn)(q, qinfo, BIT_RD, 0, 0, newq);
}

#endif
