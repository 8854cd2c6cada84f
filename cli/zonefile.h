/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A zone file in memory, as the resolver's core reads records: wire names in lower case, RDATA as
 * octets. ldns does the reading; nothing is looked up elsewhere, and $INCLUDE is not followed.
 */
#ifndef KBV_CLI_ZONEFILE_H
#define KBV_CLI_ZONEFILE_H

#include <stdbool.h>
#include <stdio.h>

#include "module/core/rrset.h"

enum zone_type { /* beyond those of rrset.h */
                 ZONE_TYPE_NS = 2,
                 ZONE_TYPE_DS = 43,
                 ZONE_TYPE_RRSIG = 46,
                 ZONE_TYPE_DNSKEY = 48,
};

struct zone_record {
    struct kbv_slice owner; /* lower case */
    struct kbv_slice rdata; /* of CNAME in lower case */
    uint16_t type;
    uint32_t ttl; /* [s] */
    int line;     /* where it begins in the file */
    bool upper;   /* the owner was written with a capital letter */
};

struct zone {
    struct zone_record *r; /* by owner in canonical order, then type, then line */
    size_t n;
    uint8_t origin[KBV_NAME_MAX];
    size_t origin_len; /* 0: neither told nor in an SOA record */
    bool is_signed;    /* it has RRSIG records */
};

/* Records r[first] to r[first + n - 1]: one RRset, or all of a name. n 0: there is none. */
struct zone_range {
    size_t first, n;
};

/* Where a name is, RFC 1034 section 4.3.2. */
enum zone_place {
    ZONE_ELSEWHERE, /* not below the origin, below a delegation or a DNAME: this file does not tell
                     */
    ZONE_NODE,      /* there, perhaps with nothing of its own (an empty non-terminal) */
    ZONE_WILDCARD,  /* not there, and a wildcard answers for it */
    ZONE_NOWHERE,   /* NXDOMAIN */
};

/* Reads a zone file's text. origin: lower case, for relative names; p NULL: none. False: a line
 * that cannot be read, which *line and *why (static text) tell; line 0: no memory. zone is to be
 * freed with zone_free() in either case. */
bool zone_read(struct kbv_slice text, struct kbv_slice origin, struct zone *zone, int *line,
               const char **why);
void zone_free(struct zone *zone);

/* All records of a name, or of its type. */
struct zone_range zone_name(const struct zone *zone, struct kbv_slice name);
struct zone_range zone_rrset(const struct zone *zone, struct kbv_slice name, uint16_t type);
/* The RRset of which r[first] is the first record. */
struct zone_range zone_rrset_at(const struct zone *zone, size_t first);

/* True if the name or one below it has a record. */
bool zone_exists(const struct zone *zone, struct kbv_slice name);

/* Where name (lower case) is. *found: the name itself, or the wildcard, in buf. */
enum zone_place zone_find(const struct zone *zone, struct kbv_slice name, uint8_t buf[KBV_NAME_MAX],
                          struct kbv_slice *found);

/* The name without its first label; absent for the root. */
struct kbv_slice zone_parent(struct kbv_slice name);

/* "*." before a name, in buf; absent if that is longer than 255 octets. */
struct kbv_slice zone_wildcard_of(struct kbv_slice name, uint8_t buf[KBV_NAME_MAX]);

#endif
