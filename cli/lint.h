/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Traps in a zone: what keeps keys from being bound, or binds more than was meant. The zone file is
 * all that is looked at: what is in other zones is left open.
 */
#ifndef KBV_CLI_LINT_H
#define KBV_CLI_LINT_H

#include "cli/zonefile.h"
#include "module/core/options.h"

enum severity {
    SEVERITY_NOTE,    /* worth knowing */
    SEVERITY_WARNING, /* binds, but not for everybody, not always, or more than was meant */
    SEVERITY_ERROR,   /* something is not bound that looks as if it were */
};

/* One row a trap: name, severity, what it does, what to do. kbv lint --list prints them. */
#define TRAPS(X)                                                                                   \
    X(NO_ORIGIN, "no-origin", NOTE, "without an SOA record and --origin nothing can be missing",   \
      "give --origin")                                                                             \
    X(OUTSIDE, "outside", WARNING, "the name is not below the zone's origin, and servers drop it", \
      "look for a forgotten or superfluous final dot")                                             \
    /* identifiers */                                                                              \
    X(NETID_DOTTED, "netid-dotted", ERROR, "a NetID is one label of six digits",                   \
      "write 00050a, not a digit a label")                                                         \
    X(DIGIT, "identifier-digit", ERROR, "no hexadecimal digit", "look at the identifier again")    \
    X(FORM, "identifier-form", ERROR,                                                              \
      "the identifier is not written in the form that resolvers ask for",                          \
      "let kbv name print the name")                                                               \
    X(ORDER, "identifier-order", WARNING,                                                          \
      "the other way round it would be a usual EUI: digits stand least significant first, and "    \
      "EUIs come octet-reversed from the radio",                                                   \
      "let kbv name print the name")                                                               \
    X(NOT_IDENTIFIER, "not-identifier", WARNING,                                                   \
      "below this suffix it is no identifier, and resolvers answer BAD_INPUT",                     \
      "look at the number of digits, or begin the name with a label such as _ns-client")           \
    X(CAPITALS, "capitals", NOTE,                                                                  \
      "DNS takes it for equal, but resolvers ask, and verdicts show it, in lower case",            \
      "write it in lower case")                                                                    \
    /* wildcards */                                                                                \
    X(HIDDEN, "wildcard-hidden", ERROR,                                                            \
      "the wildcard does not answer here or below, since the name exists (RFC 4592 section "       \
      "3.3.1)",                                                                                    \
      "repeat the wildcard's records, and the wildcard, at this name")                             \
    X(WILDCARD_TLSA, "wildcard-tlsa", WARNING, "it answers for every port and every protocol",     \
      "publish one record at _PORT._tcp.HOST")                                                     \
    X(WILDCARD_CNAME, "wildcard-cname", WARNING,                                                   \
      "it answers for _443._tcp.NAME too, and leads there to a bare host without TLSA records",    \
      "publish NAPTR records, or one CNAME a name")                                                \
    /* discovery */                                                                                \
    X(NAPTR_PLAIN, "naptr-plain", ERROR, "only plain HTTP (LWN) is offered, and nothing is bound", \
      "offer LWNS")                                                                                \
    X(NAPTR_UNUSABLE, "naptr-unusable", ERROR, "no NAPTR record of this name can be used",         \
      "publish one with service LWNS and flag S or A")                                             \
    X(NAPTR_SERVICE, "naptr-service", WARNING, "the service is none of LoRaWAN's",                 \
      "write LWNS; LWN is plain HTTP")                                                             \
    X(NAPTR_FLAG, "naptr-flag", ERROR, "flags are S, A, U, P or empty, and the record is dropped", \
      "write S for SRV, A for addresses")                                                          \
    X(NAPTR_REGEXP, "naptr-regexp", ERROR,                                                         \
      "the regexp is not of the shape of U-NAPTR (RFC 4848), and the record is dropped",           \
      "write !.*!https://host:port!")                                                              \
    X(NAPTR_REPLACEMENT, "naptr-replacement", ERROR,                                               \
      "flags S, A, P and none need a replacement and an empty regexp (RFC 3403 section 4.1)",      \
      "put the name into the replacement and leave the regexp empty")                              \
    X(NAPTR_MANY, "naptr-many", WARNING, "resolvers follow eight NAPTR records of a name",         \
      "leave some out")                                                                            \
    X(NAPTR_LOOP, "naptr-loop", ERROR,                                                             \
      "NAPTR records lead in a circle, or over more than eight hops", "lead to SRV records")       \
    X(SRV_PORT, "srv-port", ERROR, "an SRV record needs a port of 1 to 65535", "write the port")   \
    X(SRV_NONE, "srv-none", WARNING, "target . says that there is no such service",                \
      "leave the NAPTR record out, or name a target")                                              \
    X(TARGET_ALIAS, "target-alias", WARNING,                                                       \
      "a target must not be an alias (RFC 2782), and some clients do not follow it",               \
      "name the alias' end")                                                                       \
    X(TARGET_MISSING, "target-missing", ERROR, "the target has no such records in this zone",      \
      "publish them, or correct the target")                                                       \
    X(ALIAS_LOOP, "alias-loop", ERROR, "aliases lead in a circle, or over more than eight hops",   \
      "lead to the end directly")                                                                  \
    X(ALIAS_SNI, "alias-sni", WARNING,                                                             \
      "clients such as ChirpStack send this name as SNI and expect a certificate for it, where "   \
      "RFC 7671 section 7 wants the alias' end",                                                   \
      "publish 3 1 1, which looks at no name")                                                     \
    /* TLSA */                                                                                     \
    X(NO_TLSA, "no-tlsa", ERROR, "nothing is bound to this endpoint",                              \
      "publish what kbv tlsa prints")                                                              \
    X(TLSA_OWNER, "tlsa-owner", WARNING, "nobody asks for TLSA records here",                      \
      "write _PORT._tcp.HOST for a server, _ns-client.NAME for a client")                          \
    X(TLSA_SHADOWED, "tlsa-shadowed", WARNING,                                                     \
      "the host is an alias, and its end has TLSA records: these are never looked at (RFC 7671 "   \
      "section 7)",                                                                                \
      "publish them at the alias' end")                                                            \
    X(TLSA_NUMBERS, "tlsa-numbers", WARNING, "unknown numbers make a record unusable",             \
      "usages are 0 to 3, selectors 0 and 1, matching types 0 to 2")                               \
    X(TLSA_LENGTH, "tlsa-length", ERROR, "a digest of another length makes a record unusable",     \
      "publish all 32 or 64 octets")                                                               \
    X(TLSA_NOTHING, "tlsa-nothing", ERROR, "this is the digest of nothing, made of an empty file", \
      "let kbv tlsa print the record")                                                             \
    X(TLSA_DER, "tlsa-der", ERROR,                                                                 \
      "the data is not DER of what the selector says, and the record is unusable",                 \
      "publish a digest, matching type 1")                                                         \
    X(TLSA_PKIX, "tlsa-pkix", WARNING,                                                             \
      "usages 0 and 1 are unusable where no list of CAs is configured (kbv-ca-bundle)",            \
      "publish usage 3 or 2")                                                                      \
    X(TLSA_UNUSABLE, "tlsa-unusable", ERROR, "no record of this name can be used",                 \
      "publish what kbv tlsa prints")                                                              \
    X(TLSA_AGILITY, "tlsa-agility", ERROR,                                                         \
      "beside a SHA-512 record the SHA-256 records of its usage and selector do not count, and "   \
      "there are more of these (RFC 7671 section 9)",                                              \
      "publish both digests of every key, or SHA-256 alone")                                       \
    X(TLSA_LIMIT, "tlsa-limit", ERROR, "resolvers take at most 64 records and 8192 octets",        \
      "leave some out")                                                                            \
    X(TLSA_LARGE, "tlsa-large", WARNING, "the answer does not fit into 1232 octets and needs TCP", \
      "publish digests, and only of keys in use")                                                  \
    X(TLSA_TTL, "tlsa-ttl", WARNING,                                                               \
      "a roll-over takes two TTLs (RFC 7671 section 8), and a lost key stays bound for one",       \
      "lower the TTL to an hour or less")                                                          \
    X(PKIX_NAME, "pkix-name", WARNING,                                                             \
      "public CAs issue no certificate with underscores, or for more than ten labels",             \
      "publish usage 3")                                                                           \
    X(ANCHOR_NAME, "anchor-name", NOTE,                                                            \
      "only a CA of your own issues certificates with underscores, or for more than ten labels",   \
      "publish usage 3 if the CA is a public one")                                                 \
    /* signatures */                                                                               \
    X(RRSIG_MISSING, "rrsig-missing", ERROR, "the zone is signed, and this is not: it is bogus",   \
      "sign the zone again")                                                                       \
    X(RRSIG_EXPIRED, "rrsig-expired", ERROR, "the signature has expired: it is bogus",             \
      "sign the zone again")                                                                       \
    X(RRSIG_FUTURE, "rrsig-future", ERROR, "the signature is not valid yet: it is bogus",          \
      "look at the signer's clock")                                                                \
    X(RRSIG_TTL, "rrsig-ttl", WARNING,                                                             \
      "the signature expires before the TTL of what it signs, and verdicts end with it",           \
      "sign the zone again, well ahead")                                                           \
    /* certificates in use */                                                                      \
    X(CERT_UNBOUND, "cert-unbound", ERROR, "the records do not bind this certificate",             \
      "add what kbv tlsa prints")                                                                  \
    X(CERT_PARAMETERS, "cert-parameters", ERROR,                                                   \
      "every certificate in use must match each set of usage, selector and matching type "         \
      "(RFC 7671 section 8)",                                                                      \
      "add the record that is missing")                                                            \
    X(CERT_LEFT_OVER, "cert-left-over", WARNING,                                                   \
      "the record matches no certificate given: a key out of use is still bound",                  \
      "remove it, or give its certificate too")                                                    \
    X(CERT_ENDS, "cert-ends", WARNING,                                                             \
      "the certificate ends within two TTLs, and no successor is bound yet",                       \
      "add the successor's record now, and give its certificate too")

enum trap {
#define ENUM(name, id, severity, why, advice) TRAP_##name,
    TRAPS(ENUM)
#undef ENUM
        N_TRAPS
};

struct trap_row {
    const char *id;
    enum severity severity;
    const char *why;    /* what it does */
    const char *advice; /* what to do */
};

extern const struct trap_row trap_rows[N_TRAPS];

struct finding {
    enum trap trap;
    int line; /* 0: none */
    struct kbv_slice name;
    const char *detail; /* what exactly was found; may be empty */
};

/* A certificate in use, as its server or client sends it. */
struct lint_certificate {
    const char *path;
    struct kbv_slice chain; /* as requests hold it (KBV_MATERIAL_CHAIN), and well-formed */
    int64_t not_after;      /* [s] */
};

struct lint {
    const struct zone *zone;
    const struct kbv_options *identifiers; /* the suffixes; finished */
    const struct kbv_slice *owners;        /* where the certificates are to be bound */
    size_t n_owners;
    const struct lint_certificate *certificates;
    size_t n_certificates;
    int64_t now;      /* [s] */
    uint32_t max_ttl; /* of TLSA records [s] */
    void (*report)(void *arg, const struct finding *f);
    void *arg;
};

/* Looks for every trap and reports what it finds, in the order of names. */
void lint_zone(const struct lint *l);

/* ---- its parts ---- */

/* Reports; format makes the detail. */
void lint_report(const struct lint *l, enum trap trap, int line, struct kbv_slice name,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));

/* All that concerns the name of r[all.first] as a name. */
void lint_name(const struct lint *l, struct zone_range all);
/* One RRset: NAPTR, SRV, addresses and aliases of identifiers; TLSA; its signatures. */
void lint_discovery(const struct lint *l, struct zone_range rrset);
void lint_tlsa(const struct lint *l, struct zone_range rrset);
void lint_signatures(const struct lint *l, struct zone_range rrset);
/* The certificates by the records at their owners. */
void lint_certificates(const struct lint *l);

/* What a name is to a resolver with these suffixes. Without a suffix of its kind, sixteen labels of
 * one character each are taken for a JoinEUI. */
enum lint_kind {
    LINT_ORDINARY,
    LINT_IDENTIFIER,
    LINT_BLOCK,     /* a wildcard, or fewer digits: a part of identifiers */
    LINT_MALFORMED, /* below a suffix, and no identifier */
};

struct lint_place {
    enum lint_kind kind;
    const struct kbv_zone *zone; /* NULL: none; ordinary, or taken for a JoinEUI */
    struct kbv_slice name;       /* without labels in front that begin with _, and without * */
    size_t digits;               /* of a name of one digit a label: how many there are */
    bool service;                /* labels that begin with _ stood in front */
    bool wildcard;
};

struct lint_place lint_place(const struct lint *l, struct kbv_slice name);

/* Where a name's aliases lead in this zone. */
struct lint_end {
    struct kbv_slice name;  /* in the zone, or what was asked */
    struct kbv_slice found; /* that name, or the wildcard that answers for it, in buf */
    enum zone_place place;
    unsigned hops; /* more than 8: a loop, or too many */
    uint8_t buf[KBV_NAME_MAX];
};

void lint_follow(const struct lint *l, struct kbv_slice name, struct lint_end *end);

/* The records of an RRset as the core reads them, in rr (owned, NULL: no memory or none). */
struct kbv_rrset lint_core_rrset(const struct lint *l, struct zone_range range,
                                 struct kbv_slice **rr);

#endif
