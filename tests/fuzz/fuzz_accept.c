/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When a consumer accepts: any verdict that decodes, against an expectation that fits it but for
 * what the first octets of the input say. Whether it may be accepted is worked out once more here,
 * clause by clause of docs/verdict-format.md section 10.
 *
 * Input: 16 bits of what does not fit, 16 bits of what the peer shows, time32 from issued on, then
 * the verdict.
 */
#include <string.h>

#include <kbv/request.h>
#include <kbv/sign.h>

#include "lib/buf.h"
#include "tests/fuzz/require.h"

enum misfit {
    OTHER_NAME = 1 << 0,
    OTHER_IDENTIFIER = 1 << 1,
    LITERAL = 1 << 2, /* asked as a literal owner, whatever the verdict is about */
    OTHER_HOST = 1 << 3,
    NO_HOST = 1 << 4,
    OTHER_PORT = 1 << 5,
    OTHER_NONCE = 1 << 6,
    NO_NONCE_SENT = 1 << 7,
    NO_TRUST = 1 << 8,
    BY_SIGNATURE = 1 << 9,
    SIGNATURE_REQUIRED = 1 << 10,
    NO_PEER = 1 << 11,
    OTHER_KEY = 1 << 12,
    FAR_TIME = 1 << 13,
};

/* What follows: the same as in the verdict, but for what misfits. */
struct question {
    struct kbv_expectation e;
    struct kbv_peer peer;
    uint8_t digest512[KBV_SHA512_LEN];
};

static const uint8_t elsewhere[] = "\011elsewhere";

/* The key that the association n of the verdict is about, if it is there; and the subject's. */
static void show_key(const struct kbv_verdict *v, unsigned shown, unsigned misfits,
                     struct kbv_peer *peer)
{
    struct kbv_association a;
    unsigned n = shown >> 8;

    if (v->subject.kind != KBV_SUBJECT_NONE) {
        bool cert = v->subject.kind == KBV_SUBJECT_CERT;

        memcpy(cert ? peer->cert_sha256 : peer->spki_sha256, v->subject.digest, KBV_DIGEST_LEN);
        *(cert ? &peer->has_cert_sha256 : &peer->has_spki_sha256) = true;
    }
    for (size_t pos = 0; kbv_association_next(v->associations, &pos, &a);) {
        if (n-- != 0)
            continue;
        if (a.mtype == 0)
            *(a.selector == 0 ? &peer->cert : &peer->spki) = a.data;
        else if (a.mtype == 1)
            memcpy(a.selector == 0 ? peer->cert_sha256 : peer->spki_sha256, a.data.p, a.data.len);
        else
            memcpy(a.selector == 0 ? peer->cert_sha512 : peer->spki_sha512, a.data.p, a.data.len);
        peer->has_cert_sha256 |= a.mtype == 1 && a.selector == 0;
        peer->has_spki_sha256 |= a.mtype == 1 && a.selector == 1;
        peer->has_cert_sha512 |= a.mtype == 2 && a.selector == 0;
        peer->has_spki_sha512 |= a.mtype == 2 && a.selector == 1;
    }
    if (misfits & OTHER_KEY) {
        peer->spki_sha256[shown % KBV_DIGEST_LEN] ^= 1;
        peer->cert_sha256[shown % KBV_DIGEST_LEN] ^= 1;
    }
}

static struct question make_question(const struct kbv_verdict *v, unsigned misfits, unsigned shown,
                                     uint32_t at)
{
    static const uint8_t nonce[8] = {1};
    struct question q = {.e = {.identifier = v->identifier, .port = v->port}};
    struct kbv_expectation *e = &q.e;
    const struct kbv_slice other = {elsewhere, sizeof(elsewhere)};

    if (!v->has_identifier || misfits & LITERAL)
        e->identifier = (struct kbv_id){.kind = KBV_ID_NONE};
    if (misfits & OTHER_IDENTIFIER)
        e->identifier = (struct kbv_id){KBV_ID_NETID, {0, 5, 10}, 3};
    e->name =
        e->identifier.kind != KBV_ID_NONE && v->has_identifier ? v->identifier_name : v->owner;
    e->name = misfits & OTHER_NAME ? other : e->name;
    if (v->has_endpoint && !(misfits & NO_HOST))
        e->host = misfits & OTHER_HOST ? other : v->target;
    e->port = (uint16_t)(e->port + ((misfits & OTHER_PORT) != 0));
    if (!(misfits & NO_NONCE_SENT))
        e->nonce = misfits & OTHER_NONCE ? (struct kbv_slice){nonce, sizeof(nonce)} : v->nonce;
    e->trust = misfits & NO_TRUST       ? KBV_TRUST_NONE
               : misfits & BY_SIGNATURE ? KBV_TRUST_SIGNATURE
                                        : KBV_TRUST_CHANNEL;
    e->signature_required = misfits & SIGNATURE_REQUIRED;
    e->now = (int64_t)v->issued + (misfits & FAR_TIME ? (int32_t)at : (int32_t)(at % 4000) - 400);
    show_key(v, shown, misfits, &q.peer);
    return q;
}

/* ---- the second opinion ---- */

static bool is(struct kbv_slice a, struct kbv_slice b)
{
    return a.p != NULL && b.p != NULL && a.len == b.len && memcmp(a.p, b.p, a.len) == 0;
}

/* _port._tcp.host, written out. */
static bool is_owner_of(struct kbv_slice owner, unsigned port, struct kbv_slice host)
{
    char text[16];
    int digits = snprintf(text, sizeof(text), "_%u", port);
    const size_t front = 1 + (size_t)digits + 5;

    return owner.len == front + host.len && owner.p[0] == digits &&
           memcmp(owner.p + 1, text, (size_t)digits) == 0 &&
           memcmp(owner.p + 1 + digits, "\004_tcp", 5) == 0 &&
           memcmp(owner.p + front, host.p, host.len) == 0;
}

static bool answers(const struct kbv_verdict *v, const struct kbv_expectation *e)
{
    if (e->identifier.kind == KBV_ID_NONE)
        return !v->has_identifier && is(v->owner, e->name);
    if (!v->has_identifier || v->identifier.kind != e->identifier.kind ||
        memcmp(v->identifier.value, e->identifier.value, e->identifier.len) != 0 ||
        !is(v->identifier_name, e->name))
        return false;
    if (e->host.p == NULL)
        return !v->has_endpoint && is(v->owner, e->name);
    return v->has_endpoint && is(v->target, e->host) && v->port == e->port &&
           is_owner_of(v->owner, e->port, e->host);
}

/* The verdict's seconds count from 1970 modulo 2^32: those within 2^31 of now are meant. */
static bool in_time(const struct kbv_verdict *v, int64_t now)
{
    const int32_t since = (int32_t)((uint32_t)now - (v->issued - 300));
    const int32_t left = (int32_t)(v->not_after - (uint32_t)now);

    return now >= 0 && since >= 0 && left > 0;
}

static bool has_agility(const struct kbv_verdict *v, uint8_t selector)
{
    struct kbv_association a;

    for (size_t pos = 0; kbv_association_next(v->associations, &pos, &a);)
        if (a.usage == 3 && a.selector == selector && a.mtype == 2)
            return true;
    return false;
}

static bool is_pinned(const struct kbv_verdict *v, const struct kbv_peer *p)
{
    struct kbv_association a;

    for (size_t pos = 0; kbv_association_next(v->associations, &pos, &a);) {
        const bool cert = a.selector == 0;
        const uint8_t *sha256 = cert ? p->cert_sha256 : p->spki_sha256;
        const uint8_t *sha512 = cert ? p->cert_sha512 : p->spki_sha512;

        if (a.usage != 3)
            continue;
        if (a.mtype == 0 && is(a.data, cert ? p->cert : p->spki))
            return true;
        if (a.mtype == 1 && (cert ? p->has_cert_sha256 : p->has_spki_sha256) &&
            !has_agility(v, a.selector) && memcmp(a.data.p, sha256, 32) == 0 &&
            !kbv_digest_of_nothing(sha256))
            return true;
        if (a.mtype == 2 && (cert ? p->has_cert_sha512 : p->has_spki_sha512) &&
            memcmp(a.data.p, sha512, 64) == 0)
            return true;
    }
    return false;
}

static bool is_for(const struct kbv_verdict *v, const struct kbv_peer *p)
{
    const bool cert = v->subject.kind == KBV_SUBJECT_CERT;

    if (v->status == KBV_STATUS_PUBLISHED)
        return is_pinned(v, p);
    return v->status == KBV_STATUS_BOUND && (v->flags & KBV_FLAG_KEYED) &&
           (cert ? p->has_cert_sha256 : p->has_spki_sha256) &&
           !kbv_digest_of_nothing(v->subject.digest) &&
           memcmp(v->subject.digest, cert ? p->cert_sha256 : p->spki_sha256, 32) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    /* A key of which nobody here knows the other half: the digest of a sentence. */
    static const struct kbv_verdict_key pinned = {{0x3c, 0x1b, 0x9f, 0x31, 0x52, 0x8e, 0x8a, 0x77,
                                                   0x25, 0x9b, 0x0d, 0x14, 0xe2, 0x4c, 0x88, 0x6a,
                                                   0x90, 0x5e, 0x73, 0x12, 0xc4, 0xaf, 0x3d, 0x6f,
                                                   0x01, 0x5a, 0x97, 0xe8, 0x2b, 0xd0, 0x46, 0x19}};
    struct kbv_reader in = kbv_reader_on(data, len);
    const unsigned misfits = kbv_reader_u16(&in), shown = kbv_reader_u16(&in);
    const uint32_t at = kbv_reader_u32(&in);
    enum kbv_acceptance accepted, believed;
    struct kbv_verdict v;
    struct question q;
    bool word;

    if (in.failed || kbv_verdict_decode(&v, in.p, in.left) != KBV_OK)
        return 0;
    q = make_question(&v, misfits, shown, at);
    q.e.peer = misfits & NO_PEER ? NULL : &q.peer;
    accepted = kbv_verdict_accept(&v, &q.e);
    believed = kbv_verdict_believe(&v, &q.e);
    word = answers(&v, &q.e) && in_time(&v, q.e.now) &&
           (q.e.nonce.p == NULL || is(v.nonce, q.e.nonce)) && q.e.trust != KBV_TRUST_NONE &&
           (q.e.trust == KBV_TRUST_SIGNATURE || !q.e.signature_required);
    REQUIRE((accepted == KBV_ACCEPTED) == (word && q.e.peer != NULL && is_for(&v, &q.peer)));
    REQUIRE(accepted != KBV_ACCEPTED || v.status == KBV_STATUS_BOUND ||
            v.status == KBV_STATUS_PUBLISHED);
    REQUIRE(believed != KBV_ACCEPTED && accepted != KBV_BELIEVED &&
            (!word || believed == KBV_BELIEVED));
    REQUIRE(kbv_verdict_verify(&v, &pinned, 1) != KBV_SIGNATURE_VALID);
    return 0;
}
