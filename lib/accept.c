/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When a consumer accepts (docs/verdict-format.md section 10). Clause after clause, each a function
 * that says KBV_ACCEPTED or what does not hold; one that cannot tell refuses. No heap, no I/O, no
 * cryptography: digests come with the peer, the worth of a signature with the expectation.
 */
#include <string.h>

#include <kbv/request.h>

enum {
    DANE_EE =
        3, /* RFC 6698 section 2.1.1: no path, no names, so that nothing but a match is needed */
    SELECTOR_CERT = 0,
    SELECTOR_SPKI = 1,
    MTYPE_FULL = 0,
    MTYPE_SHA256 = 1,
    MTYPE_SHA512 = 2,
};

const char *kbv_acceptance_text(enum kbv_acceptance acceptance)
{
    switch (acceptance) {
#define TEXT(name, text)                                                                           \
    case name:                                                                                     \
        return text;
        KBV_ACCEPTANCE_TABLE(TEXT)
#undef TEXT
    }
    return "it is unknown what came of it";
}

bool kbv_time_before(uint32_t a, uint32_t b)
{
    uint32_t ahead = b - a;

    return ahead != 0 && ahead < UINT32_C(0x80000000);
}

static bool same_octets(struct kbv_slice a, struct kbv_slice b)
{
    return a.p && b.p && a.len == b.len && memcmp(a.p, b.p, a.len) == 0;
}

static bool same_name(struct kbv_slice a, struct kbv_slice b)
{
    return a.p && b.p && kbv_name_equal(a.p, a.len, b.p, b.len);
}

static bool same_identifier(const struct kbv_id *a, const struct kbv_id *b)
{
    return a->kind == b->kind && a->len == b->len && a->len <= sizeof(a->value) &&
           memcmp(a->value, b->value, a->len) == 0;
}

/* What decode lets pass today; a verdict that was not decoded must not pass either. */
static enum kbv_acceptance check_form(const struct kbv_verdict *v)
{
    if (v->flags & KBV_FLAG_CRITICAL || !v->owner.p)
        return KBV_REFUSED_FORM;
    return KBV_ACCEPTED;
}

static enum kbv_acceptance check_literal(const struct kbv_verdict *v,
                                         const struct kbv_expectation *e)
{
    if (v->has_identifier)
        return KBV_REFUSED_IDENTIFIER;
    return same_name(v->owner, e->name) ? KBV_ACCEPTED : KBV_REFUSED_NAME;
}

/* ENDPOINT and owner are two ways to say where the connection goes: both must be right. An identity,
 * say a device's, leads nowhere: its TLSA RRset is at its own name, and the peer is who came. */
static enum kbv_acceptance check_endpoint(const struct kbv_verdict *v,
                                          const struct kbv_expectation *e)
{
    uint8_t owner[KBV_NAME_MAX];
    struct kbv_slice expected = {owner, 0};

    if (!e->host.p)
        return !v->has_endpoint && same_name(v->owner, e->name) ? KBV_ACCEPTED
                                                                : KBV_REFUSED_ENDPOINT;
    if (!v->has_endpoint || v->port != e->port || !same_name(v->target, e->host))
        return KBV_REFUSED_ENDPOINT;
    if (kbv_name_tlsa_owner(e->port, e->host.p, e->host.len, owner, &expected.len) != KBV_OK ||
        !same_name(v->owner, expected))
        return KBV_REFUSED_ENDPOINT;
    return KBV_ACCEPTED;
}

static enum kbv_acceptance check_identifier(const struct kbv_verdict *v,
                                            const struct kbv_expectation *e)
{
    if (!v->has_identifier || !same_identifier(&v->identifier, &e->identifier))
        return KBV_REFUSED_IDENTIFIER;
    return same_name(v->identifier_name, e->name) ? KBV_ACCEPTED : KBV_REFUSED_NAME;
}

/* issued - 300 <= now < T */
static enum kbv_acceptance check_time(const struct kbv_verdict *v, int64_t now)
{
    uint32_t earliest = v->issued - KBV_ISSUED_SKEW_S, t = (uint32_t)now;

    if (now < 0)
        return KBV_REFUSED_EXPIRED;
    if (t != earliest && !kbv_time_before(earliest, t))
        return KBV_REFUSED_FUTURE;
    return kbv_time_before(t, v->not_after) ? KBV_ACCEPTED : KBV_REFUSED_EXPIRED;
}

static enum kbv_acceptance check_nonce(const struct kbv_verdict *v, const struct kbv_expectation *e)
{
    return !e->nonce.p || same_octets(v->nonce, e->nonce) ? KBV_ACCEPTED : KBV_REFUSED_NONCE;
}

static enum kbv_acceptance check_trust(const struct kbv_expectation *e)
{
    switch (e->trust) {
    case KBV_TRUST_SIGNATURE:
        return KBV_ACCEPTED;
    case KBV_TRUST_CHANNEL:
        return e->signature_required ? KBV_REFUSED_UNSIGNED : KBV_ACCEPTED;
    case KBV_TRUST_NONE:
        break;
    }
    return e->signature_required ? KBV_REFUSED_UNSIGNED : KBV_REFUSED_UNTRUSTED;
}

/* All that does not depend on the peer's key. judge: a connection is to be judged. */
static enum kbv_acceptance check_word(const struct kbv_verdict *v, const struct kbv_expectation *e,
                                      bool judge)
{
    enum kbv_acceptance found;

    if ((found = check_form(v)) != KBV_ACCEPTED)
        return found;
    if (e->identifier.kind == KBV_ID_NONE)
        found = check_literal(v, e);
    else
        found = check_identifier(v, e);
    if (found != KBV_ACCEPTED)
        return found;
    if (e->identifier.kind != KBV_ID_NONE && (judge || e->host.p) &&
        (found = check_endpoint(v, e)) != KBV_ACCEPTED)
        return found;
    if ((found = check_time(v, e->now)) != KBV_ACCEPTED)
        return found;
    if ((found = check_nonce(v, e)) != KBV_ACCEPTED)
        return found;
    return check_trust(e);
}

/* BOUND: the resolver judged a key; was it this one? */
static enum kbv_acceptance check_subject(const struct kbv_verdict *v, const struct kbv_peer *peer)
{
    const uint8_t *digest = NULL;

    if (!(v->flags & KBV_FLAG_KEYED))
        return KBV_REFUSED_SUBJECT;
    if (v->subject.kind == KBV_SUBJECT_SPKI && peer->has_spki_sha256)
        digest = peer->spki_sha256;
    else if (v->subject.kind == KBV_SUBJECT_CERT && peer->has_cert_sha256)
        digest = peer->cert_sha256;
    if (!digest || kbv_digest_of_nothing(digest) ||
        memcmp(v->subject.digest, digest, KBV_DIGEST_LEN) != 0)
        return KBV_REFUSED_SUBJECT;
    return KBV_ACCEPTED;
}

/* What selector and matching type make of the peer (RFC 6698 sections 2.1.2, 2.1.3); p NULL:
 * unknown. */
static struct kbv_slice association_data(const struct kbv_peer *peer, unsigned selector,
                                         unsigned mtype)
{
    bool cert = selector == SELECTOR_CERT;
    const uint8_t *sha256 = cert ? peer->cert_sha256 : peer->spki_sha256;

    if (selector != SELECTOR_CERT && selector != SELECTOR_SPKI)
        return (struct kbv_slice){NULL, 0};
    switch (mtype) {
    case MTYPE_FULL:
        return cert ? peer->cert : peer->spki;
    case MTYPE_SHA256:
        /* No key hashes to the digest of nothing, whoever publishes it. */
        if (!(cert ? peer->has_cert_sha256 : peer->has_spki_sha256) ||
            kbv_digest_of_nothing(sha256))
            break;
        return (struct kbv_slice){sha256, KBV_DIGEST_LEN};
    case MTYPE_SHA512:
        if (!(cert ? peer->has_cert_sha512 : peer->has_spki_sha512))
            break;
        return (struct kbv_slice){cert ? peer->cert_sha512 : peer->spki_sha512, KBV_SHA512_LEN};
    }
    return (struct kbv_slice){NULL, 0};
}

/* Digest agility (RFC 7671 section 9): the strongest digest published for a selector decides, and
 * the weaker ones do not count, even if the peer's strongest digest is not at hand. */
static bool is_outranked(struct kbv_slice associations, const struct kbv_association *a)
{
    struct kbv_association other;

    if (a->mtype != MTYPE_SHA256)
        return false;
    for (size_t pos = 0; kbv_association_next(associations, &pos, &other);)
        if (other.usage == a->usage && other.selector == a->selector && other.mtype == MTYPE_SHA512)
            return true;
    return false;
}

/* PUBLISHED: does the peer's key or certificate match one that is published by itself? Other usages
 * need a path, which only the resolver judges. */
static enum kbv_acceptance check_pins(const struct kbv_verdict *v, const struct kbv_peer *peer)
{
    struct kbv_association a;
    bool any = false;

    for (size_t pos = 0; kbv_association_next(v->associations, &pos, &a);) {
        if (a.usage != DANE_EE)
            continue;
        any = true;
        if (!is_outranked(v->associations, &a) &&
            same_octets(a.data, association_data(peer, a.selector, a.mtype)))
            return KBV_ACCEPTED;
    }
    return any ? KBV_REFUSED_PIN : KBV_REFUSED_NO_PIN;
}

static bool has_a_key(const struct kbv_peer *peer)
{
    return peer && (peer->spki.p || peer->cert.p || peer->has_spki_sha256 ||
                    peer->has_spki_sha512 || peer->has_cert_sha256 || peer->has_cert_sha512);
}

enum kbv_acceptance kbv_verdict_accept(const struct kbv_verdict *v, const struct kbv_expectation *e)
{
    enum kbv_acceptance found;

    if (!v || !e)
        return KBV_REFUSED_NO_VERDICT;
    if ((found = check_word(v, e, true)) != KBV_ACCEPTED)
        return found;
    if (v->status != KBV_STATUS_BOUND && v->status != KBV_STATUS_PUBLISHED)
        return KBV_REFUSED_STATUS;
    if (!has_a_key(e->peer))
        return KBV_REFUSED_NO_KEY;
    return v->status == KBV_STATUS_BOUND ? check_subject(v, e->peer) : check_pins(v, e->peer);
}

enum kbv_acceptance kbv_verdict_believe(const struct kbv_verdict *v,
                                        const struct kbv_expectation *e)
{
    enum kbv_acceptance found;

    if (!v || !e)
        return KBV_REFUSED_NO_VERDICT;
    found = check_word(v, e, false);
    return found == KBV_ACCEPTED ? KBV_BELIEVED : found;
}
