/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TLSA usages 0 to 2 (RFC 6698, 7671): certificate paths, by OpenSSL's own DANE engine without a
 * handshake; and for every usage, whether a key that matched is one. The one user of X.509 in the
 * core.
 *
 * Each record is verified by itself, with state of its own that is thrown away: no record can lean
 * on what another one left behind.
 *
 * Not checked: revocation (the TLSA record is the revocation), certificate transparency, policies.
 *
 * Unlike the rest of the core this allocates; out of memory is KBV_DANE_FAILURE, never an answer.
 * OpenSSL's queue of errors, one a thread, is empty afterwards.
 */
#ifndef KBV_CORE_DANE_H
#define KBV_CORE_DANE_H

#include "module/core/presented.h"

/* Certificates for usages 0 and 1. */
struct kbv_bundle;

/* Reads the PEM file at path: one certificate at least, and none that cannot be read. NULL: err
 * holds a sentence, at most err_len octets with its NUL. The one I/O of the core, for the option
 * table. Free with kbv_bundle_delete(), which accepts NULL. */
struct kbv_bundle *kbv_bundle_load(const char *path, char *err, size_t err_len);
void kbv_bundle_delete(struct kbv_bundle *bundle);

/* The verifier: one for all threads. */
struct kbv_dane;

/* bundle: NULL without usages 0 and 1; the verifier keeps a reference of its own. NULL: no memory,
 * or a libcrypto that cannot do it. Free with kbv_dane_delete(), which accepts NULL. */
struct kbv_dane *kbv_dane_create(const struct kbv_bundle *bundle);
void kbv_dane_delete(struct kbv_dane *d);

/* A peer's certificates, parsed: one peer, one thread. */
struct kbv_dane_chain;

/* Parses what materials 4 and 5 present, whose octets must outlive *out. KBV_ERR_FORMAT: OpenSSL
 * cannot read a certificate, or would write it with other octets than came, or its key is of a
 * known algorithm and malformed. KBV_ERR_NOMEM. */
enum kbv_err kbv_dane_chain_read(const struct kbv_presented *p, struct kbv_dane_chain **out);
void kbv_dane_chain_delete(struct kbv_dane_chain *chain);

/* Whether OpenSSL can use the end entity's key, as materials 3 to 5 present it: of a certificate,
 * one that OpenSSL reads and would write again octet for octet. *use: one of the three outcomes,
 * which *p keeps. KBV_ERR_NOMEM: not known. About 150 microseconds of CPU with OpenSSL 3.0, once
 * per *p. */
enum kbv_err kbv_dane_key_use(struct kbv_presented *p, enum kbv_key_use *use);

/* What the peer is: its certificate's purpose follows. */
enum kbv_role {
    KBV_ROLE_SERVER, /* serverAuth; wildcard names are served */
    KBV_ROLE_CLIENT, /* clientAuth; names are exact (draft-ietf-dance-client-auth) */
};

enum kbv_dane_finding {
    KBV_DANE_FAILURE = 0, /* not known: out of memory, an error inside OpenSSL */
    KBV_DANE_NO,          /* the record does not match */
    KBV_DANE_YES,         /* it does, with names, dates, purpose and signatures */
    KBV_DANE_WEAK,        /* it would, but for the security level */
    KBV_DANE_TOO_DEAR,    /* not known: no path was looked for, it would take more than may be */
};

/* What is asked of the records of one name, one after the other. Zeros but for what is set. */
struct kbv_dane_question {
    struct kbv_slice reference_names; /* as in a verdict; none: nothing matches */
    enum kbv_role role;
    unsigned level;  /* OpenSSL's security level, 0 to 5 */
    unsigned effort; /* that may be spent; see kbv_dane_result */
    int64_t now;     /* [s] since the epoch */

    /* The verifier's own, of one chain: is a name of the end entity a reference name? */
    enum { KBV_NAMED_NOT_TRIED = 0, KBV_NAMED_NO, KBV_NAMED_YES } named;
};

#define KBV_DANE_STORE_ID_LEN 32
/* A digest of the bundle's certificates; zeros without a bundle. */
const uint8_t *kbv_dane_store_id(const struct kbv_dane *d);

struct kbv_dane_result {
    int depth;           /* YES, WEAK: of the certificate that matched; a bare key's is one beyond
                            the path's last certificate */
    int64_t not_after;   /* YES, WEAK: the earliest of the path, [s] since the epoch */
    const char *reason;  /* NO, WEAK, FAILURE: why, at most 120 octets of ASCII, static */
    int64_t holds_until; /* when the finding might be another one: the next date of a certificate
                            that was at hand, whether of the peer's, the record's or the bundle's;
                            INT64_MAX: never [s] */
    unsigned effort;     /* that was spent, for comparison with what may be, as
                            kbv_der_spki_effort() counts: an upper bound by the keys that might be
                            used and the names that might be compared; it may exceed what was left */
    bool searched;       /* a path was looked for: that is dear */
};

/* Record a, of usage 0, 1 or 2, against a chain. *r is always set. */
enum kbv_dane_finding kbv_dane_verify(const struct kbv_dane *d, const struct kbv_dane_chain *chain,
                                      const struct kbv_association *a, struct kbv_dane_question *q,
                                      struct kbv_dane_result *r);

#endif
