/* SPDX-License-Identifier: BSD-3-Clause */
/* When a verdict lets a key pass: each clause of docs/verdict-format.md section 10, and what breaks
 * it. */
#include <kbv/verdict.h>

#include "tests/unit/octets.h"

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

enum { NOW = 1795323600, LIFE = 3600 };

/* Keys that peers hold: their octets are what their names say, and their digests made up. */
struct key {
    struct kbv_peer peer;
    uint8_t spki[40], cert[60];
};

static struct key ours, theirs;

static void make_key(struct key *k, uint8_t seed)
{
    memset(k, 0, sizeof(*k));
    memset(k->spki, seed, sizeof(k->spki));
    memset(k->cert, seed + 1, sizeof(k->cert));
    memset(k->peer.spki_sha256, seed + 2, sizeof(k->peer.spki_sha256));
    memset(k->peer.spki_sha512, seed + 3, sizeof(k->peer.spki_sha512));
    memset(k->peer.cert_sha256, seed + 4, sizeof(k->peer.cert_sha256));
    memset(k->peer.cert_sha512, seed + 5, sizeof(k->peer.cert_sha512));
    k->peer.has_spki_sha256 = k->peer.has_spki_sha512 = true;
    k->peer.has_cert_sha256 = k->peer.has_cert_sha512 = true;
    k->peer.spki = (struct kbv_slice){k->spki, sizeof(k->spki)};
    k->peer.cert = (struct kbv_slice){k->cert, sizeof(k->cert)};
}

/* What a test begins with: all is well. Then it breaks one thing. */
struct scene {
    struct kbv_verdict v;
    struct kbv_expectation e;
    struct octets_name owner, name, host, other;
    uint8_t associations[1024], nonce[16];
};

static struct kbv_slice slice(const struct octets_name *name)
{
    return (struct kbv_slice){name->wire, name->len};
}

static void bound_to(struct scene *s, const struct key *k)
{
    s->v.status = KBV_STATUS_BOUND;
    s->v.flags = KBV_FLAG_KEYED;
    s->v.subject.kind = KBV_SUBJECT_SPKI;
    memcpy(s->v.subject.digest, k->peer.spki_sha256, KBV_DIGEST_LEN);
    s->v.match = (struct kbv_match){3, 1, 1};
}

static struct scene *literal(void)
{
    static struct scene s;

    memset(&s, 0, sizeof(s));
    s.owner = octets_from_name("_8003._tcp.js1.op-a.example.");
    s.v = (struct kbv_verdict){.owner = slice(&s.owner),
                               .issued = NOW - 10,
                               .not_after = NOW + LIFE,
                               .ede = KBV_EDE_NONE,
                               .match = KBV_MATCH_NONE};
    bound_to(&s, &ours);
    s.e = (struct kbv_expectation){
        .name = slice(&s.owner), .peer = &ours.peer, .trust = KBV_TRUST_CHANNEL, .now = NOW};
    return &s;
}

static const struct kbv_id joineui = {
    KBV_ID_JOINEUI, {0x70, 0xB3, 0xD5, 0x7E, 0xD0, 0x00, 0x00, 0x00}, 8};
static const struct kbv_id netid = {KBV_ID_NETID, {0x00, 0x05, 0x0A}, 3};

static struct scene *identifier(void)
{
    struct scene *s = literal();

    s->name = octets_from_name("0.0.0.0.0.0.0.d.e.7.5.d.3.b.0.7.joineuis.lora-alliance.org.");
    s->host = octets_from_name("js1.op-a.example.");
    s->v.has_identifier = true;
    s->v.identifier = joineui;
    s->v.identifier_name = slice(&s->name);
    s->v.has_endpoint = true;
    s->v.port = 8003;
    s->v.target = slice(&s->host);
    s->e.name = slice(&s->name);
    s->e.identifier = joineui;
    s->e.host = slice(&s->host);
    s->e.port = 8003;
    return s;
}

/* Adds an association; NULL data: of the given octet, as long as the matching type has it. */
static void publish(struct scene *s, uint8_t usage, uint8_t selector, uint8_t mtype,
                    struct kbv_slice data)
{
    uint8_t *p = s->associations + s->v.associations.len;

    p[0] = usage, p[1] = selector, p[2] = mtype, p[3] = 0, p[4] = (uint8_t)data.len;
    memcpy(p + 5, data.p, data.len);
    s->v.associations.p = s->associations;
    s->v.associations.len += 5 + data.len;
    s->v.status = KBV_STATUS_PUBLISHED;
    s->v.flags = 0;
    s->v.subject = (struct kbv_subject){.kind = KBV_SUBJECT_NONE};
    s->v.match = KBV_MATCH_NONE;
}

/* What is published for a key, as its owner would. */
static void publish_key(struct scene *s, uint8_t usage, uint8_t selector, uint8_t mtype,
                        const struct key *k)
{
    const struct kbv_slice data[2][3] = {
        {k->peer.cert, {k->peer.cert_sha256, 32}, {k->peer.cert_sha512, 64}},
        {k->peer.spki, {k->peer.spki_sha256, 32}, {k->peer.spki_sha512, 64}},
    };

    publish(s, usage, selector, mtype, data[selector][mtype]);
}

static void setup(void)
{
    make_key(&ours, 10);
    make_key(&theirs, 110);
}

/* One way in which all is well, or one thing that is not. */
struct row {
    const char *name;
    struct scene *(*begin)(void);
    void (*change)(struct scene *s); /* NULL: nothing */
    enum kbv_acceptance expected;
};

static void certificate(struct scene *s)
{
    s->v.subject.kind = KBV_SUBJECT_CERT;
    memcpy(s->v.subject.digest, ours.peer.cert_sha256, KBV_DIGEST_LEN);
}

static void signature(struct scene *s)
{
    s->e.trust = KBV_TRUST_SIGNATURE;
    s->e.signature_required = true;
}

static void nonce(struct scene *s)
{
    s->v.nonce = s->e.nonce = (struct kbv_slice){s->nonce, 16};
}

static void nonce_unasked(struct scene *s)
{
    s->v.nonce = (struct kbv_slice){s->nonce, 16};
}

static void upper_case(struct scene *s)
{
    s->other = octets_from_name("_8003._TCP.JS1.op-a.example.");
    s->e.name = slice(&s->other);
}

static void as_early_as_can_be(struct scene *s)
{
    s->v.issued = NOW + 300;
}

static void in_its_last_second(struct scene *s)
{
    s->v.not_after = NOW + 1;
}

/* The epoch's 32 bits end on 2106-02-07 06:28:15. */
static void across_the_wrap(struct scene *s)
{
    s->v.issued = UINT32_MAX - 100;
    s->v.not_after = 500;
    s->e.now = INT64_C(0x100000000) + 499;
}

static void before_the_wrap(struct scene *s)
{
    s->v.issued = 200; /* by a clock that is ahead */
    s->v.not_after = 500;
    s->e.now = INT64_C(0xFFFFFFFF) - 99;
}

static void pin_spki(struct scene *s)
{
    publish_key(s, 3, 1, 1, &ours);
}

static void pin_full_spki(struct scene *s)
{
    publish_key(s, 3, 1, 0, &ours);
}

static void pin_sha512(struct scene *s)
{
    publish_key(s, 3, 1, 2, &ours);
}

static void pin_cert(struct scene *s)
{
    publish_key(s, 3, 0, 1, &ours);
}

static void pin_full_cert(struct scene *s)
{
    publish_key(s, 3, 0, 0, &ours);
}

static void pin_beside_others(struct scene *s)
{
    publish_key(s, 2, 0, 1, &theirs);
    publish_key(s, 3, 1, 1, &theirs);
    publish_key(s, 3, 1, 1, &ours);
}

static void pin_and_sha512(struct scene *s)
{
    publish_key(s, 3, 1, 1, &ours);
    publish_key(s, 3, 1, 2, &ours);
}

/* Another selector's, another usage's: not beside it. */
static void pin_and_sha512_elsewhere(struct scene *s)
{
    publish_key(s, 2, 1, 2, &theirs);
    publish_key(s, 3, 0, 2, &theirs);
    publish_key(s, 3, 1, 1, &ours);
}

static void pin_full_and_sha512(struct scene *s)
{
    publish_key(s, 3, 1, 0, &ours);
    publish_key(s, 3, 1, 2, &theirs);
}

static void raw_key(struct scene *s)
{
    static struct kbv_peer peer;

    peer = ours.peer;
    peer.cert.p = NULL;
    peer.has_cert_sha256 = peer.has_cert_sha512 = false;
    s->e.peer = &peer;
    publish_key(s, 3, 1, 1, &ours);
}

static void identity(struct scene *s)
{
    s->v.has_endpoint = false;
    s->v.owner = slice(&s->name);
    s->e.host = (struct kbv_slice){NULL, 0};
}

/* A peer of which nothing else is known than what one pin needs. */
static void only(struct scene *s, uint8_t selector, uint8_t mtype)
{
    static struct kbv_peer peer;

    peer = ours.peer;
    peer.spki.p = selector == 1 && mtype == 0 ? peer.spki.p : NULL;
    peer.cert.p = selector == 0 && mtype == 0 ? peer.cert.p : NULL;
    peer.has_spki_sha256 = selector == 1 && mtype == 1;
    peer.has_spki_sha512 = selector == 1 && mtype == 2;
    peer.has_cert_sha256 = selector == 0 && mtype == 1;
    peer.has_cert_sha512 = selector == 0 && mtype == 2;
    s->e.peer = &peer;
    publish_key(s, 3, selector, mtype, &ours);
}

static void only_spki(struct scene *s)
{
    only(s, 1, 0);
}

static void only_spki_sha256(struct scene *s)
{
    only(s, 1, 1);
}

static void only_spki_sha512(struct scene *s)
{
    only(s, 1, 2);
}

static void only_cert(struct scene *s)
{
    only(s, 0, 0);
}

static void only_cert_sha256(struct scene *s)
{
    only(s, 0, 1);
}

static void only_cert_sha512(struct scene *s)
{
    only(s, 0, 2);
}

static const struct row accepted[] = {
    {"literal", literal, NULL, KBV_ACCEPTED},
    {"identifier", identifier, NULL, KBV_ACCEPTED},
    {"identity", identifier, identity, KBV_ACCEPTED},
    {"by certificate", literal, certificate, KBV_ACCEPTED},
    {"by signature", literal, signature, KBV_ACCEPTED},
    {"nonce repeated", literal, nonce, KBV_ACCEPTED},
    {"nonce that was not sent", literal, nonce_unasked, KBV_ACCEPTED},
    {"asked in upper case", literal, upper_case, KBV_ACCEPTED},
    {"issued 300 s ahead", literal, as_early_as_can_be, KBV_ACCEPTED},
    {"the second before T", literal, in_its_last_second, KBV_ACCEPTED},
    {"after the wrap of 2106", literal, across_the_wrap, KBV_ACCEPTED},
    {"before the wrap of 2106", literal, before_the_wrap, KBV_ACCEPTED},
    {"3 1 1", literal, pin_spki, KBV_ACCEPTED},
    {"3 1 0", literal, pin_full_spki, KBV_ACCEPTED},
    {"3 1 2", literal, pin_sha512, KBV_ACCEPTED},
    {"3 0 1", literal, pin_cert, KBV_ACCEPTED},
    {"3 0 0", literal, pin_full_cert, KBV_ACCEPTED},
    {"3 1 1 of an endpoint", identifier, pin_spki, KBV_ACCEPTED},
    {"3 1 1 beside others", literal, pin_beside_others, KBV_ACCEPTED},
    {"3 1 1 and 3 1 2 of one key", literal, pin_and_sha512, KBV_ACCEPTED},
    {"3 1 1 beside 3 0 2 and 2 1 2", literal, pin_and_sha512_elsewhere, KBV_ACCEPTED},
    {"3 1 0 beside another's 3 1 2", literal, pin_full_and_sha512, KBV_ACCEPTED},
    {"a raw key", literal, raw_key, KBV_ACCEPTED},
    {"the key alone", literal, only_spki, KBV_ACCEPTED},
    {"the key's SHA-256 alone", literal, only_spki_sha256, KBV_ACCEPTED},
    {"the key's SHA-512 alone", literal, only_spki_sha512, KBV_ACCEPTED},
    {"the certificate alone", literal, only_cert, KBV_ACCEPTED},
    {"the certificate's SHA-256 alone", literal, only_cert_sha256, KBV_ACCEPTED},
    {"the certificate's SHA-512 alone", literal, only_cert_sha512, KBV_ACCEPTED},
};

static void other_owner(struct scene *s)
{
    s->other = octets_from_name("_8003._tcp.js2.op-a.example.");
    s->v.owner = slice(&s->other);
}

static void owner_above(struct scene *s)
{
    s->other = octets_from_name("_tcp.js1.op-a.example.");
    s->v.owner = slice(&s->other);
}

static void server_for_client(struct scene *s)
{
    s->other = octets_from_name("_ns-client.js1.op-a.example.");
    s->e.name = slice(&s->other);
}

static void nothing_asked(struct scene *s)
{
    s->e.name = (struct kbv_slice){NULL, 0};
}

static void no_owner(struct scene *s)
{
    s->v.owner = (struct kbv_slice){NULL, 0};
}

static void critical_flag(struct scene *s)
{
    s->v.flags |= 0x10;
}

static void literal_with_identifier(struct scene *s)
{
    s->v.has_identifier = true;
    s->v.identifier = joineui;
    s->v.identifier_name = s->e.name;
}

static void without_identifier(struct scene *s)
{
    s->v.has_identifier = false;
}

static void other_kind(struct scene *s)
{
    s->v.identifier.kind = KBV_ID_DEVEUI;
}

static void other_value(struct scene *s)
{
    s->v.identifier.value[7] = 1;
}

static void other_length(struct scene *s)
{
    s->e.identifier = netid;
    s->v.identifier = netid;
    s->v.identifier.len = 8;
}

static void kind_that_is_none(struct scene *s)
{
    s->e.identifier.kind = (enum kbv_id_kind)4;
}

static void other_suffix(struct scene *s)
{
    s->other = octets_from_name("0.0.0.0.0.0.0.d.e.7.5.d.3.b.0.7.joineui.iotreg.net.");
    s->e.name = slice(&s->other);
}

static void identifier_as_literal(struct scene *s)
{
    s->e.identifier.kind = KBV_ID_NONE;
    s->e.name = s->v.owner;
}

/* Endpoint B's key, truly bound to B, on the connection to A. */
static void other_endpoint(struct scene *s)
{
    s->owner = octets_from_name("_8003._tcp.js2.op-a.example.");
    s->host = octets_from_name("js2.op-a.example.");
    s->v.owner = slice(&s->owner);
    s->v.target = slice(&s->host);
    s->other = octets_from_name("js1.op-a.example.");
    s->e.host = slice(&s->other);
}

static void other_port(struct scene *s)
{
    s->e.port = 443;
}

static void endpoint_of_other_port(struct scene *s)
{
    s->v.port = 443;
}

static void endpoint_of_other_host(struct scene *s)
{
    s->other = octets_from_name("js2.op-a.example.");
    s->v.target = slice(&s->other);
}

static void owner_of_other_endpoint(struct scene *s)
{
    s->owner = octets_from_name("_8003._tcp.js2.op-a.example.");
    s->v.owner = slice(&s->owner);
}

static void owner_of_other_port(struct scene *s)
{
    s->owner = octets_from_name("_443._tcp.js1.op-a.example.");
    s->v.owner = slice(&s->owner);
}

static void owner_over_udp(struct scene *s)
{
    s->owner = octets_from_name("_8003._udp.js1.op-a.example.");
    s->v.owner = slice(&s->owner);
}

static void without_endpoint(struct scene *s)
{
    s->v.has_endpoint = false;
}

static void without_connection(struct scene *s)
{
    s->e.host = (struct kbv_slice){NULL, 0};
}

static void identity_with_endpoint(struct scene *s)
{
    identity(s);
    s->v.has_endpoint = true;
}

static void identity_of_another_owner(struct scene *s)
{
    identity(s);
    s->v.owner = slice(&s->owner);
}

static void identity_on_a_connection(struct scene *s)
{
    identity(s);
    s->e.host = slice(&s->host);
}

static void too_far_ahead(struct scene *s)
{
    s->v.issued = NOW + 301;
}

static void at_t(struct scene *s)
{
    s->v.not_after = NOW;
}

static void after_t(struct scene *s)
{
    s->v.not_after = NOW - 1;
}

static void replayed_a_year_later(struct scene *s)
{
    s->e.now = NOW + 366 * 86400;
}

static void replayed_half_an_era_later(struct scene *s)
{
    s->e.now = INT64_C(0x80000000) + NOW + LIFE;
}

static void expired_across_the_wrap(struct scene *s)
{
    across_the_wrap(s);
    s->e.now++;
}

static void too_early_for_the_wrap(struct scene *s)
{
    before_the_wrap(s);
    s->e.now--;
}

static void no_clock(struct scene *s)
{
    s->e.now = -1;
    s->v.issued = UINT32_MAX - 10;
    s->v.not_after = 100;
}

static void nonce_missing(struct scene *s)
{
    s->e.nonce = (struct kbv_slice){s->nonce, 16};
}

static void nonce_other(struct scene *s)
{
    static const uint8_t other[16] = {1};

    nonce(s);
    s->v.nonce.p = other;
}

static void nonce_cut(struct scene *s)
{
    nonce(s);
    s->v.nonce.len = 8;
}

static void untrusted(struct scene *s)
{
    s->e.trust = KBV_TRUST_NONE;
}

static void trust_unknown(struct scene *s)
{
    s->e.trust = (enum kbv_trust)9;
}

static void unsigned_when_pinned(struct scene *s)
{
    s->e.signature_required = true;
}

static void untrusted_when_pinned(struct scene *s)
{
    s->e.trust = KBV_TRUST_NONE;
    s->e.signature_required = true;
}

static void not_bound(struct scene *s)
{
    s->v.status = KBV_STATUS_NOT_BOUND;
}

static void status_none(struct scene *s)
{
    s->v.status = KBV_STATUS_NONE;
}

static void status_unknown(struct scene *s)
{
    s->v.status = (enum kbv_status)257;
}

static void undecided_with_pins(struct scene *s)
{
    publish_key(s, 3, 1, 1, &ours);
    s->v.status = KBV_STATUS_UNDECIDED;
}

static void insecure_with_pins(struct scene *s)
{
    publish_key(s, 3, 1, 1, &ours);
    s->v.status = KBV_STATUS_INSECURE;
}

static void no_peer(struct scene *s)
{
    s->e.peer = NULL;
}

static void empty_peer(struct scene *s)
{
    static const struct kbv_peer nobody;

    s->e.peer = &nobody;
    memset(s->v.subject.digest, 0, KBV_DIGEST_LEN);
}

static void not_keyed(struct scene *s)
{
    s->v.flags = 0;
}

static void subject_kind_none(struct scene *s)
{
    s->v.subject.kind = KBV_SUBJECT_NONE;
}

static void subject_kind_unknown(struct scene *s)
{
    s->v.subject.kind = (enum kbv_subject_kind)3;
    memcpy(s->v.subject.digest, ours.peer.cert_sha256, KBV_DIGEST_LEN);
}

static void anothers_key(struct scene *s)
{
    bound_to(s, &theirs);
}

static void key_taken_for_certificate(struct scene *s)
{
    s->v.subject.kind = KBV_SUBJECT_CERT;
}

static void digest_is_not_at_hand(struct scene *s)
{
    static struct kbv_peer peer;

    peer = ours.peer;
    peer.has_spki_sha256 = false;
    s->e.peer = &peer;
}

static void digest_of_nothing(struct scene *s)
{
    static struct kbv_peer peer;

    peer = ours.peer;
    octets_from_hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                    peer.spki_sha256, 32);
    memcpy(s->v.subject.digest, peer.spki_sha256, 32);
    s->e.peer = &peer;
}

/* Published in the field, and what a consumer gets that hashes a key that it does not have. */
static void pin_of_nothing(struct scene *s)
{
    digest_of_nothing(s);
    publish(s, 3, 1, 1, (struct kbv_slice){s->e.peer->spki_sha256, KBV_DIGEST_LEN});
}

static void pin_of_a_ca(struct scene *s)
{
    publish_key(s, 2, 1, 1, &ours);
    publish_key(s, 2, 0, 1, &ours);
}

static void pin_with_pkix(struct scene *s)
{
    publish_key(s, 1, 1, 1, &ours);
}

static void no_pins(struct scene *s)
{
    publish_key(s, 3, 1, 1, &ours);
    s->v.associations = (struct kbv_slice){NULL, 0};
}

static void anothers_pin(struct scene *s)
{
    publish_key(s, 3, 1, 1, &theirs);
    publish_key(s, 2, 1, 1, &ours);
}

/* The same digest under another selector. */
static void key_digest_as_certificate(struct scene *s)
{
    publish(s, 3, 0, 1, (struct kbv_slice){ours.peer.spki_sha256, 32});
}

static void outranked(struct scene *s)
{
    publish_key(s, 3, 1, 1, &ours);
    publish_key(s, 3, 1, 2, &theirs);
}

static void outranked_by_a_later_one(struct scene *s)
{
    publish_key(s, 3, 1, 2, &theirs);
    publish_key(s, 3, 1, 1, &ours);
}

static void outranked_and_sha512_not_at_hand(struct scene *s)
{
    static struct kbv_peer peer;

    peer = ours.peer;
    peer.has_spki_sha512 = false;
    s->e.peer = &peer;
    pin_and_sha512(s);
}

static void full_certificate_not_at_hand(struct scene *s)
{
    static struct kbv_peer peer;

    peer = ours.peer;
    peer.cert.p = NULL;
    s->e.peer = &peer;
    publish_key(s, 3, 0, 0, &ours);
}

static void pin_is_a_part(struct scene *s)
{
    publish(s, 3, 1, 0, (struct kbv_slice){ours.spki, sizeof(ours.spki) - 1});
}

static void pin_is_cut_off(struct scene *s)
{
    publish_key(s, 3, 1, 1, &ours);
    s->v.associations.len--;
}

static const struct row refused[] = {
    {"other owner", literal, other_owner, KBV_REFUSED_NAME},
    {"owner above", literal, owner_above, KBV_REFUSED_NAME},
    {"a server's verdict for a client", literal, server_for_client, KBV_REFUSED_NAME},
    {"nothing asked", literal, nothing_asked, KBV_REFUSED_NAME},
    {"no owner", literal, no_owner, KBV_REFUSED_FORM},
    {"critical flag", literal, critical_flag, KBV_REFUSED_FORM},
    {"literal with identifier", literal, literal_with_identifier, KBV_REFUSED_IDENTIFIER},
    {"without identifier", identifier, without_identifier, KBV_REFUSED_IDENTIFIER},
    {"other kind", identifier, other_kind, KBV_REFUSED_IDENTIFIER},
    {"other value", identifier, other_value, KBV_REFUSED_IDENTIFIER},
    {"other length", identifier, other_length, KBV_REFUSED_IDENTIFIER},
    {"a kind that is none", identifier, kind_that_is_none, KBV_REFUSED_IDENTIFIER},
    {"identifier under another suffix", identifier, other_suffix, KBV_REFUSED_NAME},
    {"identifier taken as literal", identifier, identifier_as_literal, KBV_REFUSED_IDENTIFIER},
    {"B's key on A's connection", identifier, other_endpoint, KBV_REFUSED_ENDPOINT},
    {"other port", identifier, other_port, KBV_REFUSED_ENDPOINT},
    {"ENDPOINT of another port", identifier, endpoint_of_other_port, KBV_REFUSED_ENDPOINT},
    {"ENDPOINT of another host", identifier, endpoint_of_other_host, KBV_REFUSED_ENDPOINT},
    {"owner of another host", identifier, owner_of_other_endpoint, KBV_REFUSED_ENDPOINT},
    {"owner of another port", identifier, owner_of_other_port, KBV_REFUSED_ENDPOINT},
    {"owner of another protocol", identifier, owner_over_udp, KBV_REFUSED_ENDPOINT},
    {"without endpoint", identifier, without_endpoint, KBV_REFUSED_ENDPOINT},
    {"without a connection", identifier, without_connection, KBV_REFUSED_ENDPOINT},
    {"an identity with an endpoint", identifier, identity_with_endpoint, KBV_REFUSED_ENDPOINT},
    {"an identity at another name", identifier, identity_of_another_owner, KBV_REFUSED_ENDPOINT},
    {"an identity on a connection", identifier, identity_on_a_connection, KBV_REFUSED_ENDPOINT},
    {"issued 301 s ahead", literal, too_far_ahead, KBV_REFUSED_FUTURE},
    {"at T", literal, at_t, KBV_REFUSED_EXPIRED},
    {"after T", literal, after_t, KBV_REFUSED_EXPIRED},
    {"a year later", literal, replayed_a_year_later, KBV_REFUSED_EXPIRED},
    {"2^31 s after T", literal, replayed_half_an_era_later, KBV_REFUSED_FUTURE},
    {"T reached after the wrap", literal, expired_across_the_wrap, KBV_REFUSED_EXPIRED},
    {"301 s before the wrap", literal, too_early_for_the_wrap, KBV_REFUSED_FUTURE},
    {"no clock", literal, no_clock, KBV_REFUSED_EXPIRED},
    {"nonce missing", literal, nonce_missing, KBV_REFUSED_NONCE},
    {"other nonce", literal, nonce_other, KBV_REFUSED_NONCE},
    {"nonce cut", literal, nonce_cut, KBV_REFUSED_NONCE},
    {"untrusted channel", literal, untrusted, KBV_REFUSED_UNTRUSTED},
    {"trust unknown", literal, trust_unknown, KBV_REFUSED_UNTRUSTED},
    {"unsigned when pinned", literal, unsigned_when_pinned, KBV_REFUSED_UNSIGNED},
    {"untrusted when pinned", literal, untrusted_when_pinned, KBV_REFUSED_UNSIGNED},
    {"NOT_BOUND", literal, not_bound, KBV_REFUSED_STATUS},
    {"NONE", literal, status_none, KBV_REFUSED_STATUS},
    {"no status", literal, status_unknown, KBV_REFUSED_STATUS},
    {"UNDECIDED with our pin", literal, undecided_with_pins, KBV_REFUSED_STATUS},
    {"INSECURE with our pin", literal, insecure_with_pins, KBV_REFUSED_STATUS},
    {"no peer", literal, no_peer, KBV_REFUSED_NO_KEY},
    {"a peer without a key", literal, empty_peer, KBV_REFUSED_NO_KEY},
    {"BOUND without keyed", literal, not_keyed, KBV_REFUSED_SUBJECT},
    {"BOUND without subject", literal, subject_kind_none, KBV_REFUSED_SUBJECT},
    {"unknown kind of subject", literal, subject_kind_unknown, KBV_REFUSED_SUBJECT},
    {"another's key", literal, anothers_key, KBV_REFUSED_SUBJECT},
    {"key's digest as a certificate's", literal, key_taken_for_certificate, KBV_REFUSED_SUBJECT},
    {"digest not at hand", literal, digest_is_not_at_hand, KBV_REFUSED_SUBJECT},
    {"digest of nothing", literal, digest_of_nothing, KBV_REFUSED_SUBJECT},
    {"usage 2 alone", literal, pin_of_a_ca, KBV_REFUSED_NO_PIN},
    {"usage 1 alone", literal, pin_with_pkix, KBV_REFUSED_NO_PIN},
    {"no associations", literal, no_pins, KBV_REFUSED_NO_PIN},
    {"another's pin", literal, anothers_pin, KBV_REFUSED_PIN},
    {"pin of nothing", literal, pin_of_nothing, KBV_REFUSED_PIN},
    {"key's digest as 3 0 1", literal, key_digest_as_certificate, KBV_REFUSED_PIN},
    {"3 1 1 beside another's 3 1 2", literal, outranked, KBV_REFUSED_PIN},
    {"3 1 1 behind another's 3 1 2", literal, outranked_by_a_later_one, KBV_REFUSED_PIN},
    {"3 1 1 and 3 1 2 without SHA-512", literal, outranked_and_sha512_not_at_hand, KBV_REFUSED_PIN},
    {"3 0 0 without the certificate", literal, full_certificate_not_at_hand, KBV_REFUSED_PIN},
    {"3 1 0 of a part", literal, pin_is_a_part, KBV_REFUSED_PIN},
    {"a pin that is cut off", literal, pin_is_cut_off, KBV_REFUSED_NO_PIN},
};

static void check_row(const struct row *row)
{
    struct scene *s = row->begin();
    enum kbv_acceptance found;

    if (row->change)
        row->change(s);
    found = kbv_verdict_accept(&s->v, &s->e);
    ck_assert_msg(found == row->expected, "%s: %s, expected: %s", row->name,
                  kbv_acceptance_text(found), kbv_acceptance_text(row->expected));
}

START_TEST(accepts)
{
    check_row(&accepted[_i]);
}
END_TEST

START_TEST(refuses)
{
    check_row(&refused[_i]);
}
END_TEST

START_TEST(no_status_but_two_lets_a_key_pass)
{
    for (unsigned status = 0; status < 256; status++) {
        struct scene *s = literal();
        enum kbv_acceptance found;

        publish_key(s, 3, 1, 1, &ours);
        bound_to(s, &ours);
        s->v.status = (enum kbv_status)status;
        found = kbv_verdict_accept(&s->v, &s->e);
        ck_assert_msg(found == (status == 1 || status == 6 ? KBV_ACCEPTED : KBV_REFUSED_STATUS),
                      "status %u: %s", status, kbv_acceptance_text(found));
    }
}
END_TEST

START_TEST(zeros_accept_nothing)
{
    struct kbv_verdict v = {0};
    struct kbv_expectation e = {0};
    struct scene *s = literal();

    ck_assert_int_ne(kbv_verdict_accept(&v, &e), KBV_ACCEPTED);
    ck_assert_int_ne(kbv_verdict_accept(&v, &s->e), KBV_ACCEPTED);
    ck_assert_int_ne(kbv_verdict_accept(&s->v, &e), KBV_ACCEPTED);
    ck_assert_int_eq(kbv_verdict_accept(NULL, &s->e), KBV_REFUSED_NO_VERDICT);
    ck_assert_int_eq(kbv_verdict_accept(&s->v, NULL), KBV_REFUSED_NO_VERDICT);
    ck_assert_int_eq(KBV_ACCEPT_NOT_JUDGED, 0);
}
END_TEST

/* Whatever does not concern the key makes a verdict unbelievable too; what does, does not. */
START_TEST(believing_is_all_but_the_key)
{
    for (int i = 0; i < ROWS(refused); i++) {
        struct scene *s = refused[i].begin();
        enum kbv_acceptance found, expected = refused[i].expected;

        refused[i].change(s);
        found = kbv_verdict_believe(&s->v, &s->e);
        if (expected >= KBV_REFUSED_STATUS ||
            (expected == KBV_REFUSED_ENDPOINT && s->e.host.p == NULL))
            expected = KBV_BELIEVED;
        ck_assert_msg(found == expected, "%s: %s", refused[i].name, kbv_acceptance_text(found));
    }
    ck_assert_int_eq(kbv_verdict_believe(NULL, &literal()->e), KBV_REFUSED_NO_VERDICT);
    ck_assert_int_eq(kbv_verdict_believe(&literal()->v, NULL), KBV_REFUSED_NO_VERDICT);
}
END_TEST

START_TEST(every_result_has_a_sentence_of_its_own)
{
    for (int a = 0; a <= KBV_REFUSED_PIN; a++)
        for (int b = 0; b < a; b++)
            ck_assert_str_ne(kbv_acceptance_text((enum kbv_acceptance)a),
                             kbv_acceptance_text((enum kbv_acceptance)b));
    ck_assert_ptr_nonnull(kbv_acceptance_text((enum kbv_acceptance)999));
}
END_TEST

static const struct {
    uint32_t a, b;
    bool before, after;
} times[] = {
    {0, 0, false, false},
    {0, 1, true, false},
    {5, 4, false, true},
    {UINT32_MAX, 0, true, false},
    {UINT32_MAX - 5, 5, true, false},
    {0, 0x7FFFFFFF, true, false},
    {0, 0x80000000, false, false}, /* RFC 1982 section 3.2: undefined */
    {0, 0x80000001, false, true},
};

START_TEST(seconds_are_compared_in_serial_arithmetic)
{
    ck_assert_int_eq(kbv_time_before(times[_i].a, times[_i].b), times[_i].before);
    ck_assert_int_eq(kbv_time_before(times[_i].b, times[_i].a), times[_i].after);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("accept");
    TCase *tcase = tcase_create("accept");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_loop_test(tcase, accepts, 0, ROWS(accepted));
    tcase_add_loop_test(tcase, refuses, 0, ROWS(refused));
    tcase_add_test(tcase, no_status_but_two_lets_a_key_pass);
    tcase_add_test(tcase, zeros_accept_nothing);
    tcase_add_test(tcase, believing_is_all_but_the_key);
    tcase_add_test(tcase, every_result_has_a_sentence_of_its_own);
    tcase_add_loop_test(tcase, seconds_are_compared_in_serial_arithmetic, 0, ROWS(times));
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
