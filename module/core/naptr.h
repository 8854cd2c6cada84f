/* SPDX-License-Identifier: BSD-3-Clause */
/* NAPTR (RFC 3403, RFC 4848) and SRV (RFC 2782) RDATA. */
#ifndef KBV_CORE_NAPTR_H
#define KBV_CORE_NAPTR_H

#include "rrset.h"

enum kbv_naptr_use {
    KBV_NAPTR_DROP = 0, /* unknown service or flag, malformed, a regexp of another shape */
    KBV_NAPTR_PLAIN,    /* LWN: plain HTTP, never used, but told apart for the reason */
    KBV_NAPTR_SRV,      /* flag S */
    KBV_NAPTR_HOST,     /* flag A */
    KBV_NAPTR_URI,      /* flag U: host and port are out of the regexp */
    KBV_NAPTR_NEXT,     /* flag P or empty */
};

struct kbv_naptr {
    enum kbv_naptr_use use;
    uint16_t order, preference;
    uint8_t name[KBV_NAME_MAX]; /* replacement, or the URI's host; lower case */
    size_t name_len;
    uint16_t port; /* URI only */
};

struct kbv_srv {
    uint16_t priority, weight, port;
    uint8_t target[KBV_NAME_MAX]; /* lower case; "." means not available */
    size_t target_len;
};

/* Reads one NAPTR RDATA. Never fails: what cannot be used has use DROP, and nothing else set.
 * Services are compared as a whole, whatever the case. name is set with SRV, HOST, URI and NEXT. */
void kbv_naptr_read(struct kbv_slice rdata, struct kbv_naptr *out);

/* Reads one SRV RDATA; KBV_ERR_FORMAT if malformed, port 0 included unless the target is ".". */
enum kbv_err kbv_srv_read(struct kbv_slice rdata, struct kbv_srv *out);

#endif
