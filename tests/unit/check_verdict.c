/* SPDX-License-Identifier: BSD-3-Clause */
/* The verdict's octets: golden vectors, what they mean, and what is refused. */
#include <kbv/verdict.h>

#include "tests/unit/vectors.h"

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

static struct vectors vectors;

static void setup(void)
{
    vectors_read(&vectors, "verdicts.txt");
}

static void teardown(void)
{
    vectors_free(&vectors);
}

/* Octets that decode are those that their content encodes to; ours to assert. */
static void check_same_again(const struct kbv_verdict *v, const uint8_t *octets, size_t len,
                             const char *what)
{
    uint8_t again[9000];
    size_t again_len;
    enum kbv_err err = kbv_verdict_encode(v, again, sizeof(again), &again_len);

    ck_assert_msg(err == KBV_OK, "%s: %s", what, kbv_err_text(err));
    ck_assert_msg(again_len == len && memcmp(again, octets, len) == 0, "%s: other octets", what);
}

START_TEST(vectors_are_accepted_or_refused)
{
    for (size_t i = 0; i < vectors.n; i++) {
        const struct vector *vector = &vectors.v[i];
        struct kbv_verdict v = {.alg = 99};
        enum kbv_err err = kbv_verdict_decode(&v, vector->octets, vector->len);

        ck_assert_msg(err == (vector->accept ? KBV_OK : KBV_ERR_FORMAT), "%s: %d", vector->name,
                      err);
        if (vector->accept)
            check_same_again(&v, vector->octets, vector->len, vector->name);
        else
            ck_assert_msg(v.alg == 99, "%s: set in spite of an error", vector->name);
    }
}
END_TEST

START_TEST(status_is_seen_without_decoding)
{
    static const uint8_t others[][2] = {{0x11, 1}, {0x22, 1}, {0x12, 0}, {0x12, 7}, {0x12, 255}};
    static const uint8_t bound[] = {0x12, KBV_STATUS_BOUND};

    for (size_t i = 0; i < vectors.n; i++) {
        const struct vector *vector = &vectors.v[i];
        struct kbv_verdict v;

        if (vector->accept && kbv_verdict_decode(&v, vector->octets, vector->len) == KBV_OK)
            ck_assert_uint_eq(kbv_verdict_peek_status(vector->octets, vector->len), v.status);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        ck_assert_uint_eq(kbv_verdict_peek_status(others[i], 2), KBV_STATUS_NONE);
    ck_assert_uint_eq(kbv_verdict_peek_status(bound, 2), KBV_STATUS_BOUND);
    ck_assert_uint_eq(kbv_verdict_peek_status(bound, 1), KBV_STATUS_NONE);
    ck_assert_uint_eq(kbv_verdict_peek_status(NULL, 0), KBV_STATUS_NONE);
}
END_TEST

START_TEST(every_truncation_is_refused)
{
    for (size_t i = 0; i < vectors.n; i++) {
        const struct vector *vector = &vectors.v[i];

        for (size_t len = 0; vector->accept && len < vector->len; len++) {
            struct kbv_verdict v;
            uint8_t *cut = malloc(len ? len : 1);

            ck_assert_ptr_nonnull(cut);
            memcpy(cut, vector->octets, len);
            ck_assert_msg(kbv_verdict_decode(&v, cut, len) == KBV_ERR_FORMAT, "%s, %zu octets",
                          vector->name, len);
            free(cut);
        }
    }
}
END_TEST

START_TEST(every_flipped_bit_is_refused_or_kept)
{
    for (size_t i = 0; i < vectors.n; i++) {
        const struct vector *vector = &vectors.v[i];

        for (size_t bit = 0; vector->accept && bit < 8 * vector->len; bit++) {
            struct kbv_verdict v;

            vector->octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
            if (kbv_verdict_decode(&v, vector->octets, vector->len) == KBV_OK)
                check_same_again(&v, vector->octets, vector->len, vector->name);
            vector->octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}
END_TEST

START_TEST(every_octet_more_is_refused)
{
    for (size_t i = 0; i < vectors.n; i++) {
        const struct vector *vector = &vectors.v[i];
        uint8_t more[9000] = {0};
        struct kbv_verdict v;

        memcpy(more, vector->octets, vector->len);
        for (size_t n = 1; vector->accept && n < 80; n++)
            ck_assert_msg(kbv_verdict_decode(&v, more, vector->len + n) == KBV_ERR_FORMAT,
                          "%s and %zu more", vector->name, n);
    }
}
END_TEST

static void assert_name(struct kbv_slice name, const char *text)
{
    char seen[KBV_NAME_TEXT_MAX];

    ck_assert_ptr_nonnull(name.p);
    kbv_name_to_text(name.p, name.len, seen);
    ck_assert_str_eq(seen, text);
}

START_TEST(fields_of_an_unkeyed_verdict)
{
    const struct vector *vector = vectors_find(&vectors, "published-joineui");
    struct kbv_association a;
    struct kbv_verdict v;
    struct kbv_slice name;
    uint8_t digest[32], hash[16];
    char text[17];
    size_t pos = 0;

    ck_assert_int_eq(kbv_verdict_decode(&v, vector->octets, vector->len), KBV_OK);
    ck_assert_int_eq(v.status, KBV_STATUS_PUBLISHED);
    ck_assert_uint_eq(v.flags, 0);
    ck_assert_int_eq(v.subject.kind, KBV_SUBJECT_NONE);
    ck_assert_uint_eq(v.match.usage, 255);
    ck_assert_uint_eq(v.alg, 13);
    ck_assert_uint_eq(v.issued, 1795323600);
    ck_assert_uint_eq(v.not_after, 1795327200);
    octets_from_hex("b978813e2deacd944113c473f0164d38", hash, sizeof(hash));
    ck_assert_mem_eq(v.rrset_hash, hash, sizeof(hash));
    ck_assert_uint_eq(v.ede, KBV_EDE_NONE);
    assert_name(v.owner, "_8003._tcp.js1.op-a.example.");
    ck_assert_ptr_null(v.nonce.p);
    ck_assert(v.has_identifier);
    ck_assert_int_eq(v.identifier.kind, KBV_ID_JOINEUI);
    kbv_id_text(&v.identifier, text);
    ck_assert_str_eq(text, "70B3D57ED0000000");
    assert_name(v.identifier_name, "0.0.0.0.0.0.0.d.e.7.5.d.3.b.0.7.joineuis.lora-alliance.org.");
    ck_assert(v.has_endpoint);
    ck_assert_uint_eq(v.order, 50);
    ck_assert_uint_eq(v.preference, 50);
    ck_assert_uint_eq(v.priority, 0);
    ck_assert_uint_eq(v.weight, 1);
    ck_assert_uint_eq(v.port, 8003);
    assert_name(v.target, "js1.op-a.example.");
    ck_assert(kbv_association_next(v.associations, &pos, &a));
    ck_assert_uint_eq(a.usage, 3);
    ck_assert_uint_eq(a.selector, 1);
    ck_assert_uint_eq(a.mtype, 1);
    octets_from_hex("fa76f2b9d332717d0a587e757dd4a2221e33d17a5863dc7dc06c44c0c24a8a8b", digest,
                    sizeof(digest));
    ck_assert_uint_eq(a.data.len, 32);
    ck_assert_mem_eq(a.data.p, digest, 32);
    ck_assert(!kbv_association_next(v.associations, &pos, &a));
    ck_assert_ptr_null(v.found_at.p);
    pos = 0;
    ck_assert(kbv_reference_name_next(v.reference_names, &pos, &name));
    assert_name(name, "js1.op-a.example.");
    ck_assert(kbv_reference_name_next(v.reference_names, &pos, &name));
    assert_name(name, "op-a.example.");
    ck_assert(!kbv_reference_name_next(v.reference_names, &pos, &name));
    ck_assert_ptr_null(v.reason.p);
    ck_assert_ptr_null(v.extensions.p);
    ck_assert_uint_eq(v.auth, 0);
}
END_TEST

START_TEST(fields_of_a_keyed_signed_verdict)
{
    const struct vector *vector = vectors_find(&vectors, "bound-nonce-signed");
    struct kbv_verdict v;
    uint8_t key_id[4], digest[32];

    ck_assert_int_eq(kbv_verdict_decode(&v, vector->octets, vector->len), KBV_OK);
    ck_assert_int_eq(v.status, KBV_STATUS_BOUND);
    ck_assert_uint_eq(v.flags, KBV_FLAG_KEYED);
    ck_assert_int_eq(v.subject.kind, KBV_SUBJECT_SPKI);
    octets_from_hex("fa76f2b9d332717d0a587e757dd4a2221e33d17a5863dc7dc06c44c0c24a8a8b", digest,
                    sizeof(digest));
    ck_assert_mem_eq(v.subject.digest, digest, 32);
    ck_assert_uint_eq(v.match.usage, 3);
    ck_assert_uint_eq(v.match.selector, 1);
    ck_assert_uint_eq(v.match.mtype, 1);
    ck_assert_uint_eq(v.nonce.len, 16);
    ck_assert_uint_eq(v.nonce.p[15], 15);
    ck_assert(!v.has_identifier);
    ck_assert(!v.has_endpoint);
    ck_assert_ptr_null(v.associations.p);
    ck_assert_uint_eq(v.auth, 1);
    octets_from_hex("21fe31df", key_id, sizeof(key_id));
    ck_assert_mem_eq(v.key_id, key_id, 4);
    ck_assert_ptr_eq(v.signed_octets.p, vector->octets);
    ck_assert_uint_eq(v.signed_octets.len, vector->len - 64);
    ck_assert_ptr_eq(v.signature.p, vector->octets + vector->len - 64);
    ck_assert_uint_eq(v.signature.len, 64);
}
END_TEST

START_TEST(unknown_tlvs_are_kept_unread)
{
    const struct vector *vector = vectors_find(&vectors, "unknown-tlvs");
    struct kbv_verdict v;

    ck_assert_int_eq(kbv_verdict_decode(&v, vector->octets, vector->len), KBV_OK);
    ck_assert_uint_eq(v.extensions.len, 13);
    ck_assert_mem_eq(v.extensions.p, "\x00\x08\x00\x00\x7f\xff\x00\x05later", 13);
    ck_assert_uint_eq(v.reason.len, 6);
}
END_TEST

/* The encoder */

static const uint8_t owner[] = "\005_8003\004_tcp\002js\007example"; /* its NUL is the root */
static const uint8_t other[] = "\002ns\007example";
static const uint8_t long_text[70000] = "";

#define SLICE(array)                                                                               \
    (struct kbv_slice)                                                                             \
    {                                                                                              \
        array, sizeof(array)                                                                       \
    }
#define TEXT(text)                                                                                 \
    (struct kbv_slice)                                                                             \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

static struct kbv_verdict minimal(enum kbv_status status)
{
    return (struct kbv_verdict){.status = status,
                                .match = KBV_MATCH_NONE,
                                .ede = kbv_status_ede(status),
                                .owner = SLICE(owner)};
}

START_TEST(least_verdict_has_these_octets)
{
    struct kbv_verdict v = minimal(KBV_STATUS_TEMPFAIL);
    uint8_t out[128], expected[128];
    size_t len;

    v.issued = 0x01020304;
    v.not_after = 0x05060708;
    ck_assert_int_eq(kbv_verdict_encode(&v, out, sizeof(out), &len), KBV_OK);
    memset(expected, 0, sizeof(expected));
    memcpy(expected, "\x12\x20\x00\x00\xff\xff\xff\x00\1\2\3\4\5\6\7\10", 16);
    memcpy(expected + 64, "\0\26", 2);
    memcpy(expected + 66, owner, sizeof(owner));
    ck_assert_uint_eq(len, 66 + sizeof(owner) + 2 + 1);
    ck_assert_mem_eq(out, expected, len);
}
END_TEST

/* What makes a sound verdict unsound, one thing each. */
static void no_status(struct kbv_verdict *v)
{
    v->status = KBV_STATUS_NONE;
}
static void unknown_status(struct kbv_verdict *v)
{
    v->status = 7;
}
static void status_beyond_an_octet(struct kbv_verdict *v)
{
    v->status = 0x120;
}
static void critical_flag(struct kbv_verdict *v)
{
    v->flags = 0x10;
}
static void keyed_without_subject(struct kbv_verdict *v)
{
    v->flags = KBV_FLAG_KEYED;
}
static void subject_without_keyed(struct kbv_verdict *v)
{
    v->subject.kind = KBV_SUBJECT_SPKI;
}
static void subject_beyond_an_octet(struct kbv_verdict *v)
{
    v->subject.kind = 0x100;
}
static void digest_without_subject(struct kbv_verdict *v)
{
    v->subject.digest[31] = 1;
}
static void match_without_bound(struct kbv_verdict *v)
{
    v->match = (struct kbv_match){3, 1, 1};
}
static void bound_without_key(struct kbv_verdict *v)
{
    v->status = KBV_STATUS_BOUND;
    v->match = (struct kbv_match){3, 1, 1};
}
static void no_owner(struct kbv_verdict *v)
{
    v->owner = (struct kbv_slice){NULL, 0};
}
static void empty_owner(struct kbv_verdict *v)
{
    v->owner.len = 0;
}
static void cut_owner(struct kbv_verdict *v)
{
    v->owner.len--;
}
static void owner_of_two_names(struct kbv_verdict *v)
{
    v->owner = TEXT("\1a\0\1b\0");
}
static void owner_with_a_tlv_in_it(struct kbv_verdict *v)
{
    /* Ambiguous: what follows the name reads as L and a TLV of the two octets that are the true L.
     */
    v->owner = TEXT("\1a\0\0\6\0\10\0\2");
}
static void upper_case_owner(struct kbv_verdict *v)
{
    v->owner = TEXT("\1A\0");
}
static void short_nonce(struct kbv_verdict *v)
{
    v->nonce = TEXT("7octets");
}
static void identifier_without_kind(struct kbv_verdict *v)
{
    v->has_identifier = true;
    v->identifier.len = 8;
    v->identifier_name = SLICE(other);
}
static void identifier_of_wrong_length(struct kbv_verdict *v)
{
    /* Ambiguous: five octets and a name might read as eight and another name. */
    v->has_identifier = true;
    v->identifier = (struct kbv_id){.kind = KBV_ID_JOINEUI, .len = 5};
    v->identifier_name = TEXT("\1ab\1c\0");
}
static void identifier_without_name(struct kbv_verdict *v)
{
    v->has_identifier = true;
    v->identifier = (struct kbv_id){.kind = KBV_ID_NETID, .len = 3};
}
static void identifier_of_unknown_kind(struct kbv_verdict *v)
{
    v->has_identifier = true;
    v->identifier = (struct kbv_id){.kind = 0x101, .len = 8};
    v->identifier_name = SLICE(other);
}
static void endpoint_without_target(struct kbv_verdict *v)
{
    v->has_endpoint = true;
}
static void endpoint_with_two_targets(struct kbv_verdict *v)
{
    v->has_endpoint = true;
    v->target = TEXT("\1a\0\1b\0");
}
static void broken_associations(struct kbv_verdict *v)
{
    v->associations = TEXT("\3\1\1\0");
}
static void unusable_association(struct kbv_verdict *v)
{
    v->associations = TEXT("\3\1\1\0\1x");
}
static void found_at_two_names(struct kbv_verdict *v)
{
    v->found_at = TEXT("\1a\0\1b\0");
}
static void upper_case_reference_name(struct kbv_verdict *v)
{
    v->reference_names = TEXT("\1a\0\1B\0");
}
static void long_reason(struct kbv_verdict *v)
{
    v->reason = (struct kbv_slice){long_text, KBV_REASON_MAX + 1};
}
static void reason_without_utf8(struct kbv_verdict *v)
{
    v->reason = TEXT("\xff");
}
static void extensions_with_a_known_key(struct kbv_verdict *v)
{
    v->extensions = TEXT("\0\7\0\1x");
}
static void critical_extension(struct kbv_verdict *v)
{
    v->extensions = TEXT("\x80\0\0\0");
}
static void empty_extensions(struct kbv_verdict *v)
{
    v->extensions = TEXT("");
}
static void unknown_auth(struct kbv_verdict *v)
{
    v->auth = 2;
}
static void auth_without_signature(struct kbv_verdict *v)
{
    v->auth = 1;
}
static void short_signature(struct kbv_verdict *v)
{
    v->auth = 1;
    v->signature = (struct kbv_slice){long_text, 63};
}

static void (*const unsound[])(struct kbv_verdict *) = {
    no_status,
    unknown_status,
    status_beyond_an_octet,
    critical_flag,
    keyed_without_subject,
    subject_without_keyed,
    subject_beyond_an_octet,
    digest_without_subject,
    match_without_bound,
    bound_without_key,
    no_owner,
    empty_owner,
    cut_owner,
    owner_of_two_names,
    owner_with_a_tlv_in_it,
    upper_case_owner,
    short_nonce,
    identifier_without_kind,
    identifier_of_wrong_length,
    identifier_without_name,
    identifier_of_unknown_kind,
    endpoint_without_target,
    endpoint_with_two_targets,
    broken_associations,
    unusable_association,
    found_at_two_names,
    upper_case_reference_name,
    long_reason,
    reason_without_utf8,
    extensions_with_a_known_key,
    critical_extension,
    empty_extensions,
    unknown_auth,
    auth_without_signature,
    short_signature,
};

START_TEST(encoder_refuses_what_the_decoder_would)
{
    struct kbv_verdict v = minimal(KBV_STATUS_TEMPFAIL);
    static uint8_t out[80000];
    size_t len = 99;

    ck_assert_int_eq(kbv_verdict_encode(&v, out, sizeof(out), &len), KBV_OK);
    len = 99;
    unsound[_i](&v);
    ck_assert_int_eq(kbv_verdict_encode(&v, out, sizeof(out), &len), KBV_ERR_FORMAT);
    ck_assert_uint_eq(len, 99);
}
END_TEST

START_TEST(encoder_stays_within_its_storage)
{
    const struct vector *vector = vectors_find(&vectors, "published-joineui");
    struct kbv_verdict v;

    ck_assert_int_eq(kbv_verdict_decode(&v, vector->octets, vector->len), KBV_OK);
    for (size_t cap = 0; cap <= vector->len; cap++) {
        uint8_t *out = malloc(cap ? cap : 1);
        size_t len = 99;

        ck_assert_ptr_nonnull(out);
        ck_assert_int_eq(kbv_verdict_encode(&v, out, cap, &len),
                         cap < vector->len ? KBV_ERR_SPACE : KBV_OK);
        ck_assert_uint_eq(len, cap < vector->len ? 99 : vector->len);
        free(out);
    }
}
END_TEST

START_TEST(tlvs_beyond_16_bits_do_not_fit)
{
    struct kbv_verdict v = minimal(KBV_STATUS_TEMPFAIL);
    static uint8_t out[150000];
    size_t len;

    v.reason = SLICE(long_text);
    ck_assert_int_eq(kbv_verdict_encode(&v, out, sizeof(out), &len), KBV_ERR_SPACE);
}
END_TEST

START_TEST(associations_of_8192_octets_and_no_more)
{
    struct kbv_verdict v = minimal(KBV_STATUS_PUBLISHED);
    static uint8_t records[8193], out[9000];
    size_t len;

    records[0] = 3;
    records[1] = 1;
    records[3] = 8187 >> 8;
    records[4] = 8187 & 0xFF;
    v.associations = (struct kbv_slice){records, 8192};
    ck_assert_int_eq(kbv_verdict_encode(&v, out, sizeof(out), &len), KBV_OK);
    records[4]++;
    v.associations.len++;
    ck_assert_int_eq(kbv_verdict_encode(&v, out, sizeof(out), &len), KBV_ERR_FORMAT);
}
END_TEST

START_TEST(empty_tlv_is_not_an_absent_one)
{
    struct kbv_verdict v = minimal(KBV_STATUS_LIMIT), back;
    uint8_t out[200];
    size_t len, pos = 0;
    struct kbv_association a;

    v.associations = v.reference_names = v.reason = TEXT("");
    ck_assert_int_eq(kbv_verdict_encode(&v, out, sizeof(out), &len), KBV_OK);
    ck_assert_int_eq(kbv_verdict_decode(&back, out, len), KBV_OK);
    ck_assert_ptr_nonnull(back.associations.p);
    ck_assert_ptr_nonnull(back.reference_names.p);
    ck_assert_ptr_nonnull(back.reason.p);
    ck_assert_ptr_null(back.found_at.p);
    ck_assert(!kbv_association_next(back.associations, &pos, &a));
}
END_TEST

START_TEST(walks_end_at_what_is_malformed)
{
    struct kbv_association a = {.usage = 99};
    struct kbv_slice name;
    size_t pos = 0;

    ck_assert(!kbv_association_next((struct kbv_slice){NULL, 0}, &pos, &a));
    ck_assert(!kbv_association_next(TEXT("\3\1\0\0\2x"), &pos, &a));
    ck_assert(!kbv_association_next(TEXT("\3\1"), &pos, &a));
    ck_assert_uint_eq(a.usage, 99);
    ck_assert(kbv_association_next(TEXT("\3\1\0\0\1x\3"), &pos, &a));
    ck_assert_uint_eq(pos, 6);
    ck_assert(!kbv_association_next(TEXT("\3\1\0\0\1x\3"), &pos, &a));
    pos = 99;
    ck_assert(!kbv_association_next(TEXT("\3\1\0\0\1x"), &pos, &a));
    pos = 0;
    ck_assert(!kbv_reference_name_next((struct kbv_slice){NULL, 0}, &pos, &name));
    ck_assert(!kbv_reference_name_next(TEXT("\1a"), &pos, &name));
    ck_assert_uint_eq(pos, 0);
}
END_TEST

/* Random verdicts, always the same ones (xorshift). */

static uint32_t seed = 2463534242u;

static uint32_t random_below(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % n;
}

static void random_octets(uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)random_below(256);
}

/* A name into out, of 255 octets; its slice. */
static struct kbv_slice random_name(uint8_t *out)
{
    size_t len = 0;

    for (size_t labels = random_below(8); labels; labels--) {
        size_t label = 1 + random_below(random_below(8) ? 12 : 63);

        if (len + 1 + label + 1 > KBV_NAME_MAX)
            break;
        out[len++] = (uint8_t)label;
        random_octets(out + len, label);
        kbv_name_lower(out + len, out + len, label);
        len += label;
    }
    out[len++] = 0;
    return (struct kbv_slice){out, len};
}

static struct kbv_slice random_associations(uint8_t *out)
{
    size_t len = 0;

    for (size_t n = random_below(6); n; n--) {
        uint8_t mtype = (uint8_t)random_below(3);
        size_t data = mtype == 0 ? 1 + random_below(600) : mtype * 32u;

        out[len++] = (uint8_t)random_below(4);
        out[len++] = (uint8_t)random_below(2);
        out[len++] = mtype;
        out[len++] = (uint8_t)(data >> 8);
        out[len++] = (uint8_t)data;
        random_octets(out + len, data);
        len += data;
    }
    return (struct kbv_slice){out, len};
}

static const enum kbv_status statuses[] = {
#define STATUS_VALUE(name, code, ede, text) KBV_STATUS_##name,
    KBV_STATUS_TABLE(STATUS_VALUE)
#undef STATUS_VALUE
};

/* Storage of what a random verdict points to. */
struct parts {
    uint8_t owner[255], target[255], found_at[255], identifier_name[255], names[3 * 255];
    uint8_t nonce[16], associations[6 * 605], reason[KBV_REASON_MAX], signature[64];
};

static void random_verdict(struct kbv_verdict *v, struct parts *p)
{
    memset(v, 0, sizeof(*v));
    v->status = statuses[1 + random_below(ROWS(statuses) - 1)]; /* not NONE */
    v->flags = (uint8_t)random_below(16) & ~KBV_FLAG_KEYED;
    v->match = KBV_MATCH_NONE;
    if (v->status == KBV_STATUS_BOUND || v->status == KBV_STATUS_NOT_BOUND ||
        v->status == KBV_STATUS_UNDECIDED || (v->status != KBV_STATUS_PUBLISHED && random_below(2)))
        v->flags |= KBV_FLAG_KEYED;
    if (v->flags & KBV_FLAG_KEYED) {
        v->subject.kind = 1 + random_below(2);
        random_octets(v->subject.digest, sizeof(v->subject.digest));
        if (v->status == KBV_STATUS_BOUND || v->status == KBV_STATUS_DOWNGRADE)
            v->match = (struct kbv_match){random_below(4), random_below(2), random_below(3)};
    }
    v->alg = (uint8_t)random_below(256);
    random_octets((uint8_t *)&v->issued, 4);
    random_octets((uint8_t *)&v->not_after, 4);
    random_octets(v->rrset_hash, sizeof(v->rrset_hash));
    v->ede = (uint16_t)random_below(65536);
    v->owner = random_name(p->owner);
    if (random_below(2)) {
        random_octets(p->nonce, sizeof(p->nonce));
        v->nonce = (struct kbv_slice){p->nonce, 8 + random_below(9)};
    }
    if (random_below(2)) {
        v->has_identifier = true;
        v->identifier.kind = 1 + random_below(3);
        v->identifier.len = v->identifier.kind == KBV_ID_NETID ? 3 : 8;
        random_octets(v->identifier.value, v->identifier.len);
        v->identifier_name = random_name(p->identifier_name);
    }
    if (random_below(2)) {
        v->has_endpoint = true;
        v->order = (uint16_t)random_below(65536);
        v->preference = (uint16_t)random_below(65536);
        v->priority = (uint16_t)random_below(65536);
        v->weight = (uint16_t)random_below(65536);
        v->port = (uint16_t)random_below(65536);
        v->target = random_name(p->target);
    }
    if (random_below(2))
        v->associations = random_associations(p->associations);
    if (random_below(2))
        v->found_at = random_name(p->found_at);
    if (random_below(2)) {
        v->reference_names = (struct kbv_slice){p->names, 0};
        for (size_t n = random_below(4); n; n--)
            v->reference_names.len += random_name(p->names + v->reference_names.len).len;
    }
    if (random_below(2)) {
        for (size_t i = 0; i < sizeof(p->reason); i++)
            p->reason[i] = (uint8_t)random_below(128);
        v->reason = (struct kbv_slice){p->reason, random_below(KBV_REASON_MAX + 1)};
    }
    if (random_below(2)) {
        v->auth = 1;
        random_octets(v->key_id, sizeof(v->key_id));
        random_octets(p->signature, sizeof(p->signature));
        v->signature = SLICE(p->signature);
    }
}

static void assert_slice(struct kbv_slice a, struct kbv_slice b)
{
    ck_assert_int_eq(!a.p, !b.p);
    ck_assert_uint_eq(a.len, b.len);
    if (a.p)
        ck_assert_mem_eq(a.p, b.p, a.len);
}

START_TEST(what_is_encoded_decodes_to_the_same)
{
    static uint8_t out[9000];
    struct parts parts;
    struct kbv_verdict v, back;
    size_t len;

    for (int i = 0; i < 3000; i++) {
        random_verdict(&v, &parts);
        ck_assert_int_eq(kbv_verdict_encode(&v, out, sizeof(out), &len), KBV_OK);
        ck_assert_int_eq(kbv_verdict_decode(&back, out, len), KBV_OK);
        ck_assert_int_eq(back.status, v.status);
        ck_assert_uint_eq(back.flags, v.flags);
        ck_assert_int_eq(back.subject.kind, v.subject.kind);
        ck_assert_mem_eq(back.subject.digest, v.subject.digest, sizeof(v.subject.digest));
        ck_assert_mem_eq(&back.match, &v.match, sizeof(v.match));
        ck_assert_uint_eq(back.alg, v.alg);
        ck_assert_uint_eq(back.issued, v.issued);
        ck_assert_uint_eq(back.not_after, v.not_after);
        ck_assert_mem_eq(back.rrset_hash, v.rrset_hash, sizeof(v.rrset_hash));
        ck_assert_uint_eq(back.ede, v.ede);
        assert_slice(back.owner, v.owner);
        assert_slice(back.nonce, v.nonce);
        ck_assert_int_eq(back.has_identifier, v.has_identifier);
        ck_assert_int_eq(back.identifier.kind, v.identifier.kind);
        ck_assert_mem_eq(back.identifier.value, v.identifier.value, 8);
        assert_slice(back.identifier_name, v.identifier_name);
        ck_assert_int_eq(back.has_endpoint, v.has_endpoint);
        ck_assert_int_eq(kbv_verdict_order(&back, &v), 0);
        assert_slice(back.target, v.target);
        assert_slice(back.associations, v.associations);
        assert_slice(back.found_at, v.found_at);
        assert_slice(back.reference_names, v.reference_names);
        assert_slice(back.reason, v.reason);
        ck_assert_uint_eq(back.auth, v.auth);
        ck_assert_mem_eq(back.key_id, v.key_id, sizeof(v.key_id));
        assert_slice(back.signature, v.signature);
    }
}
END_TEST

/* The table of statuses */

START_TEST(statuses_have_name_text_and_ede)
{
    static const struct {
        unsigned code;
        const char *name;
        uint16_t ede;
    } rows[] = {
        {0, "NONE", 0xFFFF},      {1, "BOUND", 0xFFFF},    {2, "NOT_BOUND", 49152},
        {3, "NO_BINDING", 49153}, {4, "UNUSABLE", 49154},  {5, "UNDECIDED", 49155},
        {6, "PUBLISHED", 0xFFFF}, {16, "INSECURE", 49156}, {17, "INDETERMINATE", 5},
        {18, "BOGUS", 6},         {19, "STALE", 3},        {20, "DOWNGRADE", 49157},
        {32, "TEMPFAIL", 22},     {33, "REFUSED", 18},     {34, "BAD_INPUT", 49158},
        {35, "LIMIT", 49159},
    };
    int found = 0;

    for (unsigned code = 0; code < 70000; code++) {
        const char *name = kbv_status_name(code);

        ck_assert_int_eq(!name, !kbv_status_text(code));
        if (!name) {
            ck_assert_uint_eq(kbv_status_ede(code), KBV_EDE_NONE);
            continue;
        }
        ck_assert_int_lt(found, ROWS(rows));
        ck_assert_uint_eq(code, rows[found].code);
        ck_assert_str_eq(name, rows[found].name);
        ck_assert_uint_eq(kbv_status_ede(code), rows[found].ede);
        found++;
    }
    ck_assert_int_eq(found, ROWS(rows));
}
END_TEST

/* Order and choice */

static struct kbv_verdict endpoint(enum kbv_status status, uint16_t order, uint16_t preference,
                                   uint16_t priority, uint16_t weight, uint16_t port,
                                   const char *target)
{
    struct kbv_verdict v = minimal(status);

    v.has_endpoint = true;
    v.order = order;
    v.preference = preference;
    v.priority = priority;
    v.weight = weight;
    v.port = port;
    v.target = (struct kbv_slice){(const uint8_t *)target, strlen(target) + 1};
    return v;
}

START_TEST(endpoints_are_ordered)
{
    const struct kbv_verdict ordered[] = {
        endpoint(KBV_STATUS_PUBLISHED, 0, 9, 9, 0, 9, "\1z"),
        endpoint(KBV_STATUS_PUBLISHED, 1, 0, 9, 0, 9, "\1z"),
        endpoint(KBV_STATUS_PUBLISHED, 1, 1, 0, 0, 9, "\1z"),
        endpoint(KBV_STATUS_PUBLISHED, 1, 1, 1, 65535, 9, "\1z"),
        endpoint(KBV_STATUS_PUBLISHED, 1, 1, 1, 7, 9, "\1z"), /* the greater weight goes first */
        endpoint(KBV_STATUS_PUBLISHED, 1, 1, 1, 6, 1, "\1z"),
        endpoint(KBV_STATUS_PUBLISHED, 1, 1, 1, 6, 2, "\1a"),
        endpoint(KBV_STATUS_PUBLISHED, 1, 1, 1, 6, 2, "\1z\1a"),
        endpoint(KBV_STATUS_PUBLISHED, 1, 1, 1, 6, 2, "\1b"),
        endpoint(KBV_STATUS_BOGUS, 1, 1, 1, 6, 2, "\1b"),
        endpoint(KBV_STATUS_PUBLISHED, 65535, 65535, 65535, 0, 65535, "\1z"),
        minimal(KBV_STATUS_NO_BINDING), /* without an endpoint: last */
        minimal(KBV_STATUS_LIMIT),
    };

    for (int i = 0; i < ROWS(ordered); i++) {
        for (int j = 0; j < ROWS(ordered); j++) {
            int diff = kbv_verdict_order(&ordered[i], &ordered[j]);

            ck_assert_msg((diff > 0) - (diff < 0) == (i > j) - (i < j), "%d and %d: %d", i, j,
                          diff);
        }
    }
}
END_TEST

#define S(name) KBV_STATUS_##name
static const struct {
    bool keyed;
    enum kbv_status status[4]; /* of endpoints in this order; 0: no more */
    size_t chosen;
} choices[] = {
    {false, {S(PUBLISHED)}, 0},
    {false, {S(BOGUS), S(PUBLISHED), S(PUBLISHED)}, 1},
    {false, {S(TEMPFAIL), S(BOGUS)}, 0},
    {false, {S(UNUSABLE), S(INSECURE), S(LIMIT)}, 1},
    {false, {S(UNUSABLE), S(LIMIT)}, 1},
    {false, {S(NO_BINDING), S(UNUSABLE)}, 1},
    {false, {S(NO_BINDING), S(NO_BINDING)}, 0},
    {true, {S(NOT_BOUND), S(BOGUS), S(BOUND), S(BOUND)}, 2},
    {true, {S(NOT_BOUND), S(UNDECIDED), S(REFUSED)}, 2},
    {true, {S(NOT_BOUND), S(BOGUS), S(INSECURE)}, 1},
    {true, {S(NO_BINDING), S(UNUSABLE), S(NOT_BOUND), S(UNDECIDED)}, 3},
    {true, {S(NO_BINDING), S(UNUSABLE), S(NOT_BOUND)}, 2},
    {true, {S(NO_BINDING), S(UNUSABLE)}, 1},
    /* What a keyed set cannot hold is never preferred, and an unkeyed one likewise. */
    {true, {S(PUBLISHED), S(NO_BINDING)}, 1},
    {false, {S(BOUND), S(NO_BINDING)}, 1},
};

START_TEST(option_holds_the_one_that_counts)
{
    struct kbv_verdict v[4], moved[4];
    size_t n = 0;

    do {
        v[n] = endpoint(choices[_i].status[n], (uint16_t)n, 0, 0, 0, 443, "\1a");
        n++;
    } while (n < 4 && choices[_i].status[n] != KBV_STATUS_NONE);
    /* However the RRs stand in the answer. */
    for (size_t shift = 0; shift < n; shift++) {
        for (size_t i = 0; i < n; i++)
            moved[i] = v[(i + shift) % n];
        ck_assert_uint_eq(moved[kbv_verdict_select(moved, n, choices[_i].keyed)].order,
                          choices[_i].chosen);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verdict");
    TCase *c = tcase_create("verdict");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, c);
    tcase_set_timeout(c, 60);
    tcase_add_unchecked_fixture(c, setup, teardown);
    tcase_add_test(c, vectors_are_accepted_or_refused);
    tcase_add_test(c, status_is_seen_without_decoding);
    tcase_add_test(c, every_truncation_is_refused);
    tcase_add_test(c, every_flipped_bit_is_refused_or_kept);
    tcase_add_test(c, every_octet_more_is_refused);
    tcase_add_test(c, fields_of_an_unkeyed_verdict);
    tcase_add_test(c, fields_of_a_keyed_signed_verdict);
    tcase_add_test(c, unknown_tlvs_are_kept_unread);
    tcase_add_test(c, least_verdict_has_these_octets);
    tcase_add_loop_test(c, encoder_refuses_what_the_decoder_would, 0, ROWS(unsound));
    tcase_add_test(c, encoder_stays_within_its_storage);
    tcase_add_test(c, tlvs_beyond_16_bits_do_not_fit);
    tcase_add_test(c, associations_of_8192_octets_and_no_more);
    tcase_add_test(c, empty_tlv_is_not_an_absent_one);
    tcase_add_test(c, walks_end_at_what_is_malformed);
    tcase_add_test(c, what_is_encoded_decodes_to_the_same);
    tcase_add_test(c, statuses_have_name_text_and_ede);
    tcase_add_test(c, endpoints_are_ordered);
    tcase_add_loop_test(c, option_holds_the_one_that_counts, 0, ROWS(choices));
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
