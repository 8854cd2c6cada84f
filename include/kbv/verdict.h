/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The key-binding verdict (KBV): what a resolver says after it validated the
 * DNSSEC and DANE evidence for a name. docs/verdict-format.md has the octets.
 *
 * Threads: no globals, every function is reentrant. I/O: none. Memory: no
 * function here allocates; a decoded verdict points into the octets it was
 * decoded from, which must outlive it. Errors: enum kbv_err says that the work
 * could not be done, a verdict says what was found; a zeroed verdict reads
 * NONE and accepts nothing.
 */
#ifndef KBV_VERDICT_H
#define KBV_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kbv/name.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KBV_RRTYPE_DEFAULT      65300 /* private use, RFC 6895 section 3.1 */
#define KBV_EDNS_OPTION_DEFAULT 65100 /* local use, RFC 6891 section 9 */
#define KBV_EDE_NONE            0xFFFF
#define KBV_DIGEST_LEN          32
#define KBV_RRSET_HASH_LEN      16
#define KBV_REASON_MAX          120   /* octets of REASON */
#define KBV_ASSOCIATIONS_MAX    8192  /* octets of ASSOCIATIONS */
#define KBV_VERDICT_MAX         32768 /* octets of one answer's verdicts */

/* One table of statuses; every list of them is made from it:
 * X(enum suffix, code, EDE info code, one line for people). */
#define KBV_STATUS_TABLE(X)                                                                        \
    X(NONE, 0, KBV_EDE_NONE, "reserved: accepts nothing")                                          \
    X(BOUND, 1, KBV_EDE_NONE, "secure, and the key matches a usable TLSA record")                  \
    X(NOT_BOUND, 2, 49152, "secure, and the key matches no usable TLSA record")                    \
    X(NO_BINDING, 3, 49153, "secure denial: no such name, no TLSA, or no TLS service")             \
    X(UNUSABLE, 4, 49154, "secure TLSA RRset without one usable record")                           \
    X(UNDECIDED, 5, 49155, "what was presented cannot decide every usable record")                 \
    X(PUBLISHED, 6, KBV_EDE_NONE, "secure and usable; no key was presented")                       \
    X(INSECURE, 16, 49156, "a hop is provably unsigned")                                           \
    X(INDETERMINATE, 17, 5, "no trust anchor, or local or policy data")                            \
    X(BOGUS, 18, 6, "DNSSEC validation failed")                                                    \
    X(STALE, 19, 3, "only expired data or signatures are at hand")                                 \
    X(DOWNGRADE, 20, 49157, "insecure, or too weak, where more is required")                       \
    X(TEMPFAIL, 32, 22, "time-out, SERVFAIL, or no reachable authority")                           \
    X(REFUSED, 33, 18, "not served here, not over this transport, or not so often")                \
    X(BAD_INPUT, 34, 49158, "malformed option, certificate, or name")                              \
    X(LIMIT, 35, 49159, "a cap was reached before the answer was certain")

enum kbv_status {
#define KBV_STATUS_ENUM(name, code, ede, text) KBV_STATUS_##name = code,
    KBV_STATUS_TABLE(KBV_STATUS_ENUM)
#undef KBV_STATUS_ENUM
};

enum kbv_flag {
    KBV_FLAG_KEYED = 0x01,    /* a key was presented */
    KBV_FLAG_ALIASED = 0x02,  /* a CNAME or DNAME was followed */
    KBV_FLAG_WILDCARD = 0x04, /* a record used was synthesised from a wildcard */
    KBV_FLAG_DATES = 0x08,    /* certificate dates were checked */
    KBV_FLAG_CRITICAL = 0xF0, /* zero in version 1 */
};

enum kbv_subject_kind {
    KBV_SUBJECT_NONE = 0,
    KBV_SUBJECT_SPKI = 1, /* SHA-256 of the SubjectPublicKeyInfo DER */
    KBV_SUBJECT_CERT = 2, /* SHA-256 of the certificate DER */
};

/* The key that a peer presented, by its SHA-256. */
struct kbv_subject {
    enum kbv_subject_kind kind;
    uint8_t digest[KBV_DIGEST_LEN];
};

enum kbv_tlv {
    KBV_TLV_NONCE = 1,
    KBV_TLV_IDENTIFIER = 2,
    KBV_TLV_ENDPOINT = 3,
    KBV_TLV_ASSOCIATIONS = 4,
    KBV_TLV_FOUND_AT = 5,
    KBV_TLV_REFERENCE_NAMES = 6,
    KBV_TLV_REASON = 7,
    KBV_TLV_CRITICAL = 0x8000, /* keys from here on are critical */
};

/* The record that matched; 255/255/255 when none did. */
struct kbv_match {
    uint8_t usage, selector, mtype;
};
#define KBV_MATCH_NONE ((struct kbv_match){255, 255, 255})

/* A verdict. Names are uncompressed lower-case wire format. A slice with
 * p == NULL is an absent TLV (nonce, found_at, associations, …). */
struct kbv_verdict {
    enum kbv_status status;
    uint8_t flags;
    struct kbv_subject subject;
    struct kbv_match match;
    uint8_t alg;        /* lowest DNSSEC algorithm over the TLSA RRset, 0 none */
    uint32_t issued;    /* [s] since the epoch, modulo 2^32 */
    uint32_t not_after; /* [s] T, likewise */
    uint8_t rrset_hash[KBV_RRSET_HASH_LEN];
    uint16_t ede;           /* EDE info code or KBV_EDE_NONE */
    struct kbv_slice owner; /* never absent */

    struct kbv_slice nonce;
    bool has_identifier;
    struct kbv_id identifier;         /* valid if has_identifier */
    struct kbv_slice identifier_name; /* valid if has_identifier */
    bool has_endpoint;
    uint16_t order, preference, priority, weight, port; /* valid if has_endpoint */
    struct kbv_slice target;                            /* valid if has_endpoint */
    struct kbv_slice associations;    /* TLV value: usage8 selector8 mtype8 len16 data … */
    struct kbv_slice found_at;        /* one name */
    struct kbv_slice reference_names; /* names, concatenated; an empty TLV has p != NULL, len 0 */
    struct kbv_slice reason;          /* UTF-8 */
    struct kbv_slice extensions; /* unknown TLVs that are not critical, key and length included */

    uint8_t auth;                   /* 0 none, 1 Ed25519 */
    uint8_t key_id[4];              /* valid if auth is 1 */
    struct kbv_slice signature;     /* 64 octets, valid if auth is 1 */
    struct kbv_slice signed_octets; /* decode only: offset 0 through the key id */
};

/* One TLSA association out of ASSOCIATIONS. */
struct kbv_association {
    uint8_t usage, selector, mtype;
    struct kbv_slice data;
};

/* "BOUND" for 1 and so on; NULL for a code that is no status. */
const char *kbv_status_name(unsigned code);
/* One line for people; NULL for a code that is no status. */
const char *kbv_status_text(unsigned code);
/* The EDE info code of a status, KBV_EDE_NONE for 1, 6 and unknown codes. */
uint16_t kbv_status_ede(unsigned code);

/* Encodes v into out (capacity cap) and sets *len. KBV_ERR_SPACE: it does not
 * fit cap, or its TLVs not 65535 octets; KBV_ERR_FORMAT: v is not a verdict that
 * decode would take (status, flags, name shape, lengths, REASON beyond 120 octets
 * or no UTF-8 …), so what is encoded always decodes, to v. auth 1 is encoded with
 * key_id and signature as given. After an error out holds nothing of use. */
enum kbv_err kbv_verdict_encode(const struct kbv_verdict *v, uint8_t *out, size_t cap, size_t *len);

/* Decodes exactly len octets into *v. KBV_ERR_FORMAT for anything but a
 * well-formed version 1 verdict: wrong lengths, trailing octets, duplicated or
 * unordered TLVs, unknown critical bits or TLVs, compressed, upper-case or
 * overlong names, a status that is none (0 too), an association that is not
 * usable, subject or match that contradict flags or status (keyed if and only if
 * there is a subject; 1, 2 and 5 keyed, 6 not; a match in 1, perhaps in 20, in no
 * other). Unknown non-critical TLVs are kept in extensions, unread. No time is
 * looked at and no signature verified. *v is set on success only. */
enum kbv_err kbv_verdict_decode(struct kbv_verdict *v, const uint8_t *octets, size_t len);

/* The status that octets begin with, NONE if they are too short or of another version or kind.
 * Nothing else is looked at: good for passing over a verdict, not for believing one. */
enum kbv_status kbv_verdict_peek_status(const uint8_t *octets, size_t len);

/* Walks ASSOCIATIONS: start with *pos = 0; true while *a was set. The value was
 * checked by decode; on an undecoded value a malformed rest ends the walk. */
bool kbv_association_next(struct kbv_slice associations, size_t *pos, struct kbv_association *a);

/* Walks REFERENCE_NAMES likewise. */
bool kbv_reference_name_next(struct kbv_slice names, size_t *pos, struct kbv_slice *name);

/* Of n verdicts of one RRset, in any order, the index of the one that an EDNS
 * option carries. Endpoint order is order, preference, priority, weight
 * descending, port, target canonical; verdicts without endpoint sort last, and
 * what is still equal by its status code.
 * Unkeyed: first PUBLISHED, else first of 16-35, else UNUSABLE, else NO_BINDING.
 * Keyed: first BOUND, else first of 16-35, else UNDECIDED, NOT_BOUND, UNUSABLE,
 * NO_BINDING. n must be > 0. */
size_t kbv_verdict_select(const struct kbv_verdict *v, size_t n, bool keyed);

/* Endpoint order as above: <0, 0, >0. */
int kbv_verdict_order(const struct kbv_verdict *a, const struct kbv_verdict *b);

/* The readable form: the RDATA of one TXT RR (character-strings v=kbv1,
 * status=, owner=, endpoint=, match=, pin=…, issued=, not-after=, reason=;
 * absent ones and those beyond 255 octets left out). A pin of matching type 0
 * is shown as the equal one of type 1, control characters as '?'. KBV_ERR_SPACE
 * if cap is too small; KBV_ERR_FORMAT if v has no status or no owner. */
enum kbv_err kbv_verdict_txt(const struct kbv_verdict *v, uint8_t *rdata, size_t cap, size_t *len);

/* Accepting: docs/verdict-format.md section 10. */

#define KBV_ISSUED_SKEW_S 300 /* [s] that a resolver's clock may be ahead of ours */
#define KBV_SHA512_LEN    64

/* The key that a peer proved to hold in its handshake, and nothing that it merely sent. Digests are
 * there where has_… says so, slices where p is not NULL. What is not there matches nothing.
 * kbv_peer_from_certificate() and kbv_peer_from_spki() (client.h) fill in what follows. */
struct kbv_peer {
    struct kbv_slice spki; /* SubjectPublicKeyInfo, DER */
    struct kbv_slice cert; /* the end entity's certificate, DER; absent for a raw public key */
    bool has_spki_sha256, has_spki_sha512, has_cert_sha256, has_cert_sha512;
    uint8_t spki_sha256[KBV_DIGEST_LEN];
    uint8_t spki_sha512[KBV_SHA512_LEN];
    uint8_t cert_sha256[KBV_DIGEST_LEN];
    uint8_t cert_sha512[KBV_SHA512_LEN];
};

/* Why a verdict is the resolver's own word. */
enum kbv_trust {
    KBV_TRUST_NONE = 0,  /* anybody may have written it */
    KBV_TRUST_CHANNEL,   /* TLS with a pinned key, or a loopback address named by the operator */
    KBV_TRUST_SIGNATURE, /* its signature verified under a pinned key (sign.h) */
};

/* What the verdict must be the answer to. Zeroed, it accepts nothing. */
struct kbv_expectation {
    struct kbv_slice name;    /* asked; wire format, lower case, without _kbv labels */
    struct kbv_id identifier; /* kind KBV_ID_NONE: a literal question */
    struct kbv_slice host;    /* of the very connection; wire, lower case. Identifiers only; p NULL
                                 for an identity (a device's), whose verdict must have no ENDPOINT */
    uint16_t port;            /* likewise */
    struct kbv_slice nonce;   /* p NULL: none was sent */
    const struct kbv_peer *peer;
    enum kbv_trust trust;    /* in this verdict */
    bool signature_required; /* a key is pinned: trust in the channel does not suffice */
    int64_t now;             /* [s] since the epoch */
};

/* One table of what can come of it: X(enumerator, one sentence). Only one accepts. */
#define KBV_ACCEPTANCE_TABLE(X)                                                                    \
    X(KBV_ACCEPT_NOT_JUDGED, "it was not judged yet")                                              \
    X(KBV_ACCEPTED, "the key is bound to the name")                                                \
    X(KBV_BELIEVED, "the resolver says so, now, about the name asked; no key was judged")          \
    X(KBV_REFUSED_NO_VERDICT, "there is no verdict")                                               \
    X(KBV_REFUSED_FORM, "the verdict has a form or a critical bit that is not understood")         \
    X(KBV_REFUSED_NAME, "the verdict is about another name")                                       \
    X(KBV_REFUSED_IDENTIFIER, "the verdict is about another identifier, or about none")            \
    X(KBV_REFUSED_ENDPOINT, "the verdict is about another host or port than the connection's")     \
    X(KBV_REFUSED_AMBIGUOUS, "there are several verdicts about one owner name")                    \
    X(KBV_REFUSED_FUTURE, "the verdict was issued in the future")                                  \
    X(KBV_REFUSED_EXPIRED, "the verdict has expired")                                              \
    X(KBV_REFUSED_NONCE, "the verdict does not repeat the nonce")                                  \
    X(KBV_REFUSED_UNSIGNED, "no signature verifies under a pinned key")                            \
    X(KBV_REFUSED_UNTRUSTED, "the verdict came over a channel that others can write to")           \
    X(KBV_REFUSED_STATUS, "the status is neither BOUND nor PUBLISHED")                             \
    X(KBV_REFUSED_NO_KEY, "the peer proved no key")                                                \
    X(KBV_REFUSED_SUBJECT, "the verdict is about another key than the peer's")                     \
    X(KBV_REFUSED_NO_PIN, "no key or certificate is published by itself (usage 3)")                \
    X(KBV_REFUSED_PIN, "the peer's key is not among those published")

enum kbv_acceptance {
#define KBV_ACCEPTANCE_ENUM(name, text) name,
    KBV_ACCEPTANCE_TABLE(KBV_ACCEPTANCE_ENUM)
#undef KBV_ACCEPTANCE_ENUM
};

/* The sentence of the table, without a full stop; never NULL. */
const char *kbv_acceptance_text(enum kbv_acceptance acceptance);

/* May the peer's key be taken for good? KBV_ACCEPTED if every clause holds, else the first in the
 * table's order that does not. v must come from kbv_verdict_decode(). Clauses are those of
 * docs/verdict-format.md section 10: question, time, nonce, trust, and then BOUND for this very
 * key, or PUBLISHED with an association of usage 3 that this key or certificate matches, digest
 * agility applied (RFC 7671 section 9). A NULL pointer is a refusal. Strength of the key is not
 * looked at. */
enum kbv_acceptance kbv_verdict_accept(const struct kbv_verdict *v,
                                       const struct kbv_expectation *e);

/* The same without a key: question, time, nonce and trust alone, whatever the status. KBV_BELIEVED
 * or a refusal; never KBV_ACCEPTED. peer is not looked at; host and port only if host is there. */
enum kbv_acceptance kbv_verdict_believe(const struct kbv_verdict *v,
                                        const struct kbv_expectation *e);

/* Serial arithmetic on the seconds of a verdict (RFC 1982, as RFC 4034 section 3.1.5): is a before
 * b? False if they are the same or exactly 2^31 s apart. */
bool kbv_time_before(uint32_t a, uint32_t b);

#ifdef __cplusplus
}
#endif
#endif
