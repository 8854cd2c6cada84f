/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoder and acceptor without anything else: exits with 0 if a verdict for this very key is accepted
 * and the same one for another key is not. */
#include <kbv/request.h>
#include <string.h>

enum { NOW = 1795323600, HEAD_LEN = 66 };

static const uint8_t owner[] = "\4_443\4_tcp\2js\7example";

/* BOUND by 3 1 1 for a key whose SHA-256 is all of one octet. */
static size_t write_verdict(uint8_t *out, uint8_t digest)
{
    static const uint8_t times[] = {0x6b, 0x02, 0x76, 0xd0, 0x6b, 0x02, 0x84, 0xe0};

    memset(out, 0, HEAD_LEN);
    memcpy(out, "\x12\1\1\1\3\1\1\15", 8);
    memcpy(out + 8, times, sizeof(times));
    memset(out + 16, digest, KBV_DIGEST_LEN);
    out[64] = out[65] = 0xFF;
    memcpy(out + HEAD_LEN, owner, sizeof(owner));
    memset(out + HEAD_LEN + sizeof(owner), 0, 3); /* no TLVs, no signature */
    return HEAD_LEN + sizeof(owner) + 3;
}

static enum kbv_acceptance judge(uint8_t digest)
{
    uint8_t octets[128];
    struct kbv_peer peer = {{NULL, 0}, {NULL, 0}, false, false, false, false, {0}, {0}, {0}, {0}};
    struct kbv_expectation e;
    struct kbv_verdict v;

    peer.has_spki_sha256 = true;
    memset(peer.spki_sha256, 7, sizeof(peer.spki_sha256));
    memset(&e, 0, sizeof(e));
    e.name.p = owner;
    e.name.len = sizeof(owner);
    e.peer = &peer;
    e.trust = KBV_TRUST_CHANNEL;
    e.now = NOW;
    if (kbv_verdict_decode(&v, octets, write_verdict(octets, digest)) != KBV_OK)
        return KBV_ACCEPT_NOT_JUDGED;
    return kbv_verdict_accept(&v, &e);
}

int main(void)
{
    struct kbv_request r;
    uint8_t out[64];
    size_t len;

    memset(&r, 0, sizeof(r));
    if (kbv_request_encode(&r, out, sizeof(out), &len) != KBV_OK)
        return 1;
    return judge(7) == KBV_ACCEPTED && judge(8) == KBV_REFUSED_SUBJECT ? 0 : 2;
}
