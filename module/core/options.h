/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The module's configuration: one table of options, from which the parser, the defaults, the
 * messages, the tests and kbv.conf(5) come. A key is a kbv-… keyword of unbound.conf without its
 * colon, a value its argument as text.
 *
 * Not thread-safe while it is being set; read-only, and so shared freely, after
 * kbv_options_finish().
 */
#ifndef KBV_CORE_OPTIONS_H
#define KBV_CORE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kbv/name.h>

#include "module/core/sign.h"

#define KBV_OPTIONS_MAX_PORTS 8 /* as many as a verdict may have endpoints */

enum kbv_id_form {
    KBV_FORM_NIBBLE, /* one label a nibble, low nibble first */
    KBV_FORM_FLAT,   /* one label, high nibble first */
};

enum kbv_id_lookup {
    KBV_LOOKUP_SERVICE,  /* the name leads to servers: NAPTR, SRV, addresses */
    KBV_LOOKUP_IDENTITY, /* the TLSA RRset is at the name itself */
};

/* A suffix below which names are identifiers. */
struct kbv_zone {
    uint8_t suffix[KBV_NAME_MAX]; /* wire format, lower case */
    size_t suffix_len;
    enum kbv_id_kind kind;
    enum kbv_id_form form;
    enum kbv_id_lookup lookup;
    uint16_t ports[KBV_OPTIONS_MAX_PORTS]; /* in the operator's order; none with identity lookup */
    size_t n_ports;
};

struct kbv_name {
    uint8_t wire[KBV_NAME_MAX]; /* lower case */
    size_t len;
};

/* When a verdict in an option is signed, if there is a key: in the order of its words. */
enum kbv_sign_when {
    KBV_SIGN_ASKED,
    KBV_SIGN_ALWAYS,
};

struct kbv_options {
    struct kbv_zone *zones; /* longest suffix first once finished */
    size_t n_zones;
    bool literal;            /* answer for literal TLSA owners */
    bool txt;                /* answer TXT below _kbv */
    bool qname_minimisation; /* let the iterator minimise below the zones */
    uint16_t rrtype;
    uint16_t edns_option;
    uint32_t max_ttl;          /* [s] */
    uint32_t max_negative_ttl; /* [s] */
    uint32_t max_pending;      /* verdicts in progress */
    uint32_t chain_ratelimit;  /* verifications a client and second; 0: no limit */
    size_t cache_size;         /* [octets]; 0: no table */
    struct kbv_name *require_secure;
    size_t n_require_secure;
    struct kbv_bundle *bundle; /* certificates of usages 0 and 1; NULL: none */
    uint32_t security_level;
    struct kbv_signer *signer; /* what signs verdicts; NULL: they are not signed */
    enum kbv_sign_when sign;   /* with a signer: what an option gets */
    struct kbv_reader_ids ids; /* of whom a key file may be */
};

enum kbv_option_type {
    KBV_OPTION_ZONE,  /* suffix kind [form=…] [lookup=…] [port=…] */
    KBV_OPTION_NAME,  /* a domain name */
    KBV_OPTION_BOOL,  /* yes, no */
    KBV_OPTION_U16,   /* a code point */
    KBV_OPTION_U32,   /* a count, or seconds */
    KBV_OPTION_BYTES, /* octets; k, m and g multiply by 1024 */
    KBV_OPTION_CERTS, /* a PEM file of certificates, read at once */
    KBV_OPTION_KEY,   /* a PEM file with a signing key, read at once */
    KBV_OPTION_WHEN,  /* asked, always */
};

/* A row of the table. */
struct kbv_option {
    const char *name; /* "kbv-max-ttl" */
    enum kbv_option_type type;
    bool repeatable;     /* every line adds; else the last line counts, as in unbound.conf */
    uint64_t min, max;   /* numbers only */
    bool or_none;        /* 0 too, below min: without */
    const char *initial; /* the default as it would stand in unbound.conf; NULL: none */
    const char *unit;    /* "seconds"; NULL: none */
    const char *text;    /* what it does, one sentence */
    size_t offset;       /* of its field in struct kbv_options; lists: unused */
};

/* Row i of the table, in the order of kbv.conf(5); NULL from the end on. */
const struct kbv_option *kbv_option_row(size_t i);

/* True if values of that row are paths of files. */
bool kbv_option_is_file(const struct kbv_option *row);

/* Options with every default set; NULL if there is no memory. The caller deletes them. A key file
 * must be one for the effective user and group of the process, if o->ids is not set otherwise. */
struct kbv_options *kbv_options_create(void);

/* Frees them; NULL is accepted. */
void kbv_options_delete(struct kbv_options *o);

/*
 * Sets or adds one value. On failure o is as it was and err holds a sentence, at most err_len
 * octets with its NUL, that says what is wrong and what would be right; it names neither key nor
 * place, which the caller knows.
 * KBV_ERR_UNSUPPORTED: no such key. KBV_ERR_FORMAT: bad value. KBV_ERR_NOMEM.
 */
enum kbv_err kbv_options_set(struct kbv_options *o, const char *key, const char *value, char *err,
                             size_t err_len);

/*
 * After the last value: checks what needs more than one, and orders the zones for
 * kbv_options_zone(). KBV_ERR_FORMAT with a sentence in err as above.
 */
enum kbv_err kbv_options_finish(struct kbv_options *o, char *err, size_t err_len);

#define KBV_ZONE_TEXT_MAX (KBV_NAME_TEXT_MAX + 128) /* octets of kbv_zone_text(), with the NUL */
/* A zone as kbv-zone takes it, with everything said: "example. netid form=flat lookup=service
 * port=443". */
void kbv_zone_text(const struct kbv_zone *z, char out[KBV_ZONE_TEXT_MAX]);

/*
 * The zone with the longest suffix at or above qname, a well-formed wire name of len octets in any
 * case; NULL if there is none. Valid on finished options.
 */
const struct kbv_zone *kbv_options_zone(const struct kbv_options *o, const uint8_t *qname,
                                        size_t len);

#endif
