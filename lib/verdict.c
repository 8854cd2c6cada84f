/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A verdict's octets (docs/verdict-format.md): a head of fixed size, the owner,
 * TLVs in ascending order of their keys, and how it is authenticated.
 */
#include <kbv/verdict.h>

#include "lib/buf.h"
#include "lib/text.h"

enum {
    KIND_VERDICT = 0x12, /* version 1, verdict */
    AUTH_NONE = 0,
    AUTH_ED25519 = 1,
    ED25519_SIGNATURE_LEN = 64, /* RFC 8032 section 5.1.6 */
    NONCE_MIN = 8,
    NONCE_MAX = 16,
    NO_MATCH = 255,
    NO_RANK = 255,
};

/* Statuses */

const char *kbv_status_name(unsigned code)
{
    switch (code) {
#define STATUS_NAME(name, code, ede, text)                                                         \
    case code:                                                                                     \
        return #name;
        KBV_STATUS_TABLE(STATUS_NAME)
#undef STATUS_NAME
    }
    return NULL;
}

const char *kbv_status_text(unsigned code)
{
    switch (code) {
#define STATUS_TEXT(name, code, ede, text)                                                         \
    case code:                                                                                     \
        return text;
        KBV_STATUS_TABLE(STATUS_TEXT)
#undef STATUS_TEXT
    }
    return NULL;
}

uint16_t kbv_status_ede(unsigned code)
{
    switch (code) {
#define STATUS_EDE(name, code, ede, text)                                                          \
    case code:                                                                                     \
        return ede;
        KBV_STATUS_TABLE(STATUS_EDE)
#undef STATUS_EDE
    }
    return KBV_EDE_NONE;
}

/* Values of TLVs */

/* The usages, selectors and matching types that exist (RFC 6698 section 7);
 * PrivCert, PrivSel and PrivMatch are never usable. */
static bool is_usable_kind(uint8_t usage, uint8_t selector, uint8_t mtype)
{
    return usage <= 3 && selector <= 1 && mtype <= 2;
}

/* One association, checked. */
static bool read_association(struct kbv_reader *r, struct kbv_association *a)
{
    static const size_t digest_len[] = {[1] = 32, [2] = 64};

    a->usage = kbv_reader_u8(r);
    a->selector = kbv_reader_u8(r);
    a->mtype = kbv_reader_u8(r);
    a->data = kbv_reader_octets(r, kbv_reader_u16(r));
    if (r->failed || !is_usable_kind(a->usage, a->selector, a->mtype))
        return false;
    return a->mtype == 0 ? a->data.len > 0 : a->data.len == digest_len[a->mtype];
}

bool kbv_association_next(struct kbv_slice associations, size_t *pos, struct kbv_association *a)
{
    struct kbv_reader r = kbv_reader_on(associations.p, associations.len);
    struct kbv_association read;

    if (!associations.p || *pos >= associations.len)
        return false;
    kbv_reader_octets(&r, *pos);
    if (!read_association(&r, &read))
        return false;
    *pos = associations.len - r.left;
    *a = read;
    return true;
}

bool kbv_reference_name_next(struct kbv_slice names, size_t *pos, struct kbv_slice *name)
{
    struct kbv_reader r = kbv_reader_on(names.p, names.len);
    struct kbv_slice read;

    if (!names.p || *pos >= names.len)
        return false;
    kbv_reader_octets(&r, *pos);
    read = kbv_reader_name(&r);
    if (r.failed)
        return false;
    *pos = names.len - r.left;
    *name = read;
    return true;
}

static struct kbv_slice read_associations(struct kbv_reader *r)
{
    struct kbv_slice all = {r->p, r->left};
    struct kbv_association a;

    if (all.len > KBV_ASSOCIATIONS_MAX)
        kbv_reader_fail(r);
    while (r->left)
        if (!read_association(r, &a))
            kbv_reader_fail(r);
    return all;
}

static struct kbv_slice read_names(struct kbv_reader *r)
{
    struct kbv_slice all = {r->p, r->left};

    while (r->left)
        kbv_reader_name(r);
    return all;
}

static size_t identifier_len(unsigned kind)
{
    return kind == KBV_ID_NETID ? 3 : 8;
}

static void read_identifier(struct kbv_reader *r, struct kbv_verdict *v)
{
    unsigned kind = kbv_reader_u8(r);

    if (kind < KBV_ID_JOINEUI || kind > KBV_ID_DEVEUI)
        kbv_reader_fail(r);
    v->has_identifier = true;
    v->identifier.kind = kind;
    v->identifier.len = identifier_len(kind);
    kbv_reader_copy(r, v->identifier.value, v->identifier.len);
    v->identifier_name = kbv_reader_name(r);
}

static void read_endpoint(struct kbv_reader *r, struct kbv_verdict *v)
{
    v->has_endpoint = true;
    v->order = kbv_reader_u16(r);
    v->preference = kbv_reader_u16(r);
    v->priority = kbv_reader_u16(r);
    v->weight = kbv_reader_u16(r);
    v->port = kbv_reader_u16(r);
    v->target = kbv_reader_name(r);
}

static struct kbv_slice read_reason(struct kbv_reader *r)
{
    struct kbv_slice all = {r->p, r->left};

    if (all.len > KBV_REASON_MAX)
        kbv_reader_fail(r);
    while (r->left) {
        size_t len = kbv_utf8_len(r->p, r->left);

        if (len == 0)
            kbv_reader_fail(r);
        else
            kbv_reader_octets(r, len);
    }
    return all;
}

static bool read_tlv(unsigned key, struct kbv_reader *r, struct kbv_verdict *v)
{
    switch (key) {
    case KBV_TLV_NONCE:
        v->nonce = kbv_reader_rest(r);
        if (v->nonce.len < NONCE_MIN || v->nonce.len > NONCE_MAX)
            return false;
        break;
    case KBV_TLV_IDENTIFIER:
        read_identifier(r, v);
        break;
    case KBV_TLV_ENDPOINT:
        read_endpoint(r, v);
        break;
    case KBV_TLV_ASSOCIATIONS:
        v->associations = read_associations(r);
        break;
    case KBV_TLV_FOUND_AT:
        v->found_at = kbv_reader_name(r);
        break;
    case KBV_TLV_REFERENCE_NAMES:
        v->reference_names = read_names(r);
        break;
    case KBV_TLV_REASON:
        v->reason = read_reason(r);
        break;
    default:
        return false;
    }
    return kbv_reader_done(r);
}

/* Decoding */

static bool read_tlvs(struct kbv_reader *r, struct kbv_verdict *v)
{
    unsigned last = 0; /* so key 0, which means nothing, is refused with the unordered ones */

    while (r->left) {
        const uint8_t *start = r->p;
        unsigned key = kbv_reader_u16(r);
        struct kbv_reader value = kbv_reader_block(r, kbv_reader_u16(r));

        if (r->failed || key <= last || key >= KBV_TLV_CRITICAL)
            return false;
        last = key;
        if (key <= KBV_TLV_REASON) {
            if (!read_tlv(key, &value, v))
                return false;
            continue;
        }
        /* Keys ascend, so what is unknown follows what is known, in one piece. */
        if (!v->extensions.p)
            v->extensions.p = start;
        v->extensions.len += (size_t)(r->p - start);
    }
    return !r->failed;
}

static void read_head(struct kbv_reader *r, struct kbv_verdict *v)
{
    if (kbv_reader_u8(r) != KIND_VERDICT)
        kbv_reader_fail(r);
    v->status = kbv_reader_u8(r);
    v->flags = kbv_reader_u8(r);
    v->subject.kind = kbv_reader_u8(r);
    v->match.usage = kbv_reader_u8(r);
    v->match.selector = kbv_reader_u8(r);
    v->match.mtype = kbv_reader_u8(r);
    v->alg = kbv_reader_u8(r);
    v->issued = kbv_reader_u32(r);
    v->not_after = kbv_reader_u32(r);
    kbv_reader_copy(r, v->subject.digest, sizeof(v->subject.digest));
    kbv_reader_copy(r, v->rrset_hash, sizeof(v->rrset_hash));
    v->ede = kbv_reader_u16(r);
    v->owner = kbv_reader_name(r);
}

/* A key was presented, or none was: flag, kind and digest say the same, and so does the status. */
static bool subject_is_sound(const struct kbv_verdict *v)
{
    static const uint8_t none[KBV_DIGEST_LEN];
    bool keyed = v->flags & KBV_FLAG_KEYED;

    if (v->subject.kind > KBV_SUBJECT_CERT || keyed != (v->subject.kind != KBV_SUBJECT_NONE))
        return false;
    if (!keyed && memcmp(v->subject.digest, none, sizeof(none)) != 0)
        return false;
    switch (v->status) {
    case KBV_STATUS_BOUND:
    case KBV_STATUS_NOT_BOUND:
    case KBV_STATUS_UNDECIDED:
        return keyed;
    case KBV_STATUS_PUBLISHED:
        return !keyed;
    default:
        return true;
    }
}

/* BOUND names the record that matched. DOWNGRADE may: it would have been BOUND. No other does. */
static bool match_is_sound(const struct kbv_verdict *v)
{
    const struct kbv_match *m = &v->match;

    if (m->usage == NO_MATCH && m->selector == NO_MATCH && m->mtype == NO_MATCH)
        return v->status != KBV_STATUS_BOUND;
    if (!is_usable_kind(m->usage, m->selector, m->mtype))
        return false;
    return v->status == KBV_STATUS_BOUND ||
           (v->status == KBV_STATUS_DOWNGRADE && v->flags & KBV_FLAG_KEYED);
}

static bool head_is_sound(const struct kbv_verdict *v)
{
    return v->status != KBV_STATUS_NONE && kbv_status_name(v->status) &&
           !(v->flags & KBV_FLAG_CRITICAL) && subject_is_sound(v) && match_is_sound(v);
}

static bool read_auth(struct kbv_reader *r, const uint8_t *octets, struct kbv_verdict *v)
{
    v->auth = kbv_reader_u8(r);
    if (v->auth == AUTH_ED25519) {
        kbv_reader_copy(r, v->key_id, sizeof(v->key_id));
        v->signed_octets = (struct kbv_slice){octets, (size_t)(r->p - octets)};
        v->signature = kbv_reader_octets(r, ED25519_SIGNATURE_LEN);
    } else if (v->auth != AUTH_NONE) {
        return false;
    }
    return kbv_reader_done(r);
}

enum kbv_status kbv_verdict_peek_status(const uint8_t *octets, size_t len)
{
    struct kbv_reader r = kbv_reader_on(octets, len);
    uint8_t kind = kbv_reader_u8(&r), status = kbv_reader_u8(&r);

    return kind == KIND_VERDICT && kbv_status_name(status) ? status : KBV_STATUS_NONE;
}

enum kbv_err kbv_verdict_decode(struct kbv_verdict *v, const uint8_t *octets, size_t len)
{
    struct kbv_reader r = kbv_reader_on(octets, len), tlvs;
    struct kbv_verdict read = {0};

    read_head(&r, &read);
    tlvs = kbv_reader_block(&r, kbv_reader_u16(&r));
    if (r.failed || !head_is_sound(&read) || !read_tlvs(&tlvs, &read) ||
        !read_auth(&r, octets, &read))
        return KBV_ERR_FORMAT;
    *v = read;
    return KBV_OK;
}

/* Encoding */

static void write_head(struct kbv_writer *w, const struct kbv_verdict *v)
{
    kbv_writer_u8(w, KIND_VERDICT);
    kbv_writer_u8(w, (uint8_t)v->status);
    kbv_writer_u8(w, v->flags);
    kbv_writer_u8(w, (uint8_t)v->subject.kind);
    kbv_writer_u8(w, v->match.usage);
    kbv_writer_u8(w, v->match.selector);
    kbv_writer_u8(w, v->match.mtype);
    kbv_writer_u8(w, v->alg);
    kbv_writer_u32(w, v->issued);
    kbv_writer_u32(w, v->not_after);
    kbv_writer_octets(w, v->subject.digest, sizeof(v->subject.digest));
    kbv_writer_octets(w, v->rrset_hash, sizeof(v->rrset_hash));
    kbv_writer_u16(w, v->ede);
    kbv_writer_octets(w, v->owner.p, v->owner.len);
}

static void write_slice_tlv(struct kbv_writer *w, enum kbv_tlv key, struct kbv_slice value)
{
    size_t begun;

    if (!value.p)
        return;
    kbv_writer_u16(w, (uint16_t)key);
    begun = kbv_writer_begin16(w);
    kbv_writer_octets(w, value.p, value.len);
    kbv_writer_end16(w, begun);
}

static void write_identifier(struct kbv_writer *w, const struct kbv_verdict *v)
{
    size_t begun;

    kbv_writer_u16(w, KBV_TLV_IDENTIFIER);
    begun = kbv_writer_begin16(w);
    kbv_writer_u8(w, (uint8_t)v->identifier.kind);
    kbv_writer_octets(w, v->identifier.value, v->identifier.len);
    kbv_writer_octets(w, v->identifier_name.p, v->identifier_name.len);
    kbv_writer_end16(w, begun);
}

static void write_endpoint(struct kbv_writer *w, const struct kbv_verdict *v)
{
    size_t begun;

    kbv_writer_u16(w, KBV_TLV_ENDPOINT);
    begun = kbv_writer_begin16(w);
    kbv_writer_u16(w, v->order);
    kbv_writer_u16(w, v->preference);
    kbv_writer_u16(w, v->priority);
    kbv_writer_u16(w, v->weight);
    kbv_writer_u16(w, v->port);
    kbv_writer_octets(w, v->target.p, v->target.len);
    kbv_writer_end16(w, begun);
}

static void write_tlvs(struct kbv_writer *w, const struct kbv_verdict *v)
{
    size_t begun = kbv_writer_begin16(w);

    write_slice_tlv(w, KBV_TLV_NONCE, v->nonce);
    if (v->has_identifier)
        write_identifier(w, v);
    if (v->has_endpoint)
        write_endpoint(w, v);
    write_slice_tlv(w, KBV_TLV_ASSOCIATIONS, v->associations);
    write_slice_tlv(w, KBV_TLV_FOUND_AT, v->found_at);
    write_slice_tlv(w, KBV_TLV_REFERENCE_NAMES, v->reference_names);
    write_slice_tlv(w, KBV_TLV_REASON, v->reason);
    kbv_writer_octets(w, v->extensions.p, v->extensions.len);
    kbv_writer_end16(w, begun);
}

/* What would be read back as something else, although each octet is in its place. */
static bool is_ambiguous(const struct kbv_verdict *v)
{
    if ((unsigned)v->status > 255 || (unsigned)v->subject.kind > 255)
        return true;
    if (!v->owner.p)
        return true;
    if (v->has_identifier && ((unsigned)v->identifier.kind > KBV_ID_DEVEUI ||
                              v->identifier.len != identifier_len(v->identifier.kind)))
        return true;
    if (v->extensions.p) {
        struct kbv_reader r = kbv_reader_on(v->extensions.p, v->extensions.len);
        if (kbv_reader_u16(&r) <= KBV_TLV_REASON)
            return true;
    }
    return v->auth == AUTH_ED25519 &&
           (!v->signature.p || v->signature.len != ED25519_SIGNATURE_LEN);
}

enum kbv_err kbv_verdict_encode(const struct kbv_verdict *v, uint8_t *out, size_t cap, size_t *len)
{
    struct kbv_writer w = kbv_writer_on(out, cap);
    struct kbv_verdict check;

    if (is_ambiguous(v))
        return KBV_ERR_FORMAT;
    write_head(&w, v);
    write_tlvs(&w, v);
    kbv_writer_u8(&w, v->auth);
    if (v->auth == AUTH_ED25519) {
        kbv_writer_octets(&w, v->key_id, sizeof(v->key_id));
        kbv_writer_octets(&w, v->signature.p, v->signature.len);
    }
    if (w.failed)
        return KBV_ERR_SPACE;
    /* One set of rules: what the decoder takes. Of the values only the owner has no length of its
     * own before it, so that a part of it could be read as what follows. */
    if (kbv_verdict_decode(&check, out, w.len) != KBV_OK || check.owner.len != v->owner.len)
        return KBV_ERR_FORMAT;
    *len = w.len;
    return KBV_OK;
}

/* Choosing among the verdicts of one name */

static int compare(unsigned a, unsigned b)
{
    return (a > b) - (a < b);
}

static int endpoint_order(const struct kbv_verdict *a, const struct kbv_verdict *b)
{
    int diff;

    if ((diff = compare(a->order, b->order)) != 0)
        return diff;
    if ((diff = compare(a->preference, b->preference)) != 0)
        return diff;
    if ((diff = compare(a->priority, b->priority)) != 0)
        return diff;
    if ((diff = compare(b->weight, a->weight)) != 0)
        return diff;
    if ((diff = compare(a->port, b->port)) != 0)
        return diff;
    return kbv_name_compare(a->target.p, b->target.p);
}

int kbv_verdict_order(const struct kbv_verdict *a, const struct kbv_verdict *b)
{
    int diff;

    if (a->has_endpoint != b->has_endpoint)
        return a->has_endpoint ? -1 : 1;
    if (a->has_endpoint && (diff = endpoint_order(a, b)) != 0)
        return diff;
    /* Without it the choice would hang on the order of the RRs, which means nothing. */
    return compare(a->status, b->status);
}

/* Which status goes before which in an option: 0 first. */
static unsigned rank(enum kbv_status status, bool keyed)
{
    if (status >= KBV_STATUS_INSECURE)
        return 1;
    switch (status) {
    case KBV_STATUS_BOUND:
        return keyed ? 0 : NO_RANK;
    case KBV_STATUS_PUBLISHED:
        return keyed ? NO_RANK : 0;
    case KBV_STATUS_UNDECIDED:
        return keyed ? 2 : NO_RANK;
    case KBV_STATUS_NOT_BOUND:
        return keyed ? 3 : NO_RANK;
    case KBV_STATUS_UNUSABLE:
        return 4;
    case KBV_STATUS_NO_BINDING:
        return 5;
    default:
        return NO_RANK;
    }
}

size_t kbv_verdict_select(const struct kbv_verdict *v, size_t n, bool keyed)
{
    size_t best = 0;

    for (size_t i = 1; i < n; i++) {
        int diff = compare(rank(v[i].status, keyed), rank(v[best].status, keyed));

        if (diff < 0 || (diff == 0 && kbv_verdict_order(&v[i], &v[best]) < 0))
            best = i;
    }
    return best;
}
