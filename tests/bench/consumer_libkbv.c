/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The resolver's verdict by libkbv: the key's digest over UDP, or the whole chain over TCP. A
 * verdict that is kept is accepted again until its T: PUBLISHED for whatever key the peer proves,
 * BOUND for the certificate that it is about.
 */
#include <kbv/client.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/bench/consumer.h"

enum { MATERIAL_MAX = 16384 };

struct way {
    struct kbv_client *client;
    struct kbv_query *kept;
};

void *consumer_open(const struct consumer_setting *s)
{
    struct way *w = calloc(1, sizeof(*w));

    consumer_need(w != NULL, "out of memory");
    w->client = kbv_client_create();
    consumer_need(w->client != NULL, "out of memory");
    consumer_need(
        kbv_client_add_resolver(w->client, s->server, KBV_RESOLVER_TRUST_LOOPBACK, NULL) == KBV_OK,
        "no such resolver");
    return w;
}

/* The chain as the option has it (docs/verdict-format.md): each certificate behind its length. */
static struct kbv_slice chain_octets(const struct consumer_setting *s, uint8_t out[MATERIAL_MAX])
{
    size_t at = 0;

    for (size_t i = 0; i < s->n; i++) {
        consumer_need(s->chain[i].len + 2 <= MATERIAL_MAX - at, "the chain is too long");
        out[at++] = (uint8_t)(s->chain[i].len >> 8);
        out[at++] = (uint8_t)s->chain[i].len;
        memcpy(out + at, s->chain[i].der, s->chain[i].len);
        at += s->chain[i].len;
    }
    return (struct kbv_slice){out, at};
}

/* The question, answered; NULL if it cannot be asked. */
static struct kbv_query *asked(const struct way *w, const struct consumer_setting *s,
                               const struct kbv_peer *peer)
{
    uint8_t name[KBV_NAME_MAX], material[MATERIAL_MAX];
    struct kbv_ask ask = {.form = KBV_ASK_OPTION, .name = {name, 0}};
    struct kbv_query *q;

    if (kbv_name_from_text(s->owner, false, name, &ask.name.len) != KBV_OK)
        return NULL;
    if (s->whole_chain) {
        ask.material = KBV_MATERIAL_CHAIN;
        ask.octets = chain_octets(s, material);
    } else if (!s->keep) {
        ask.material = KBV_MATERIAL_SPKI_SHA256;
        ask.octets = (struct kbv_slice){peer->spki_sha256, KBV_DIGEST_LEN};
    }
    q = kbv_query_create(w->client, &ask, NULL);
    if (q)
        kbv_query_wait(q);
    return q;
}

bool consumer_check(void *way, const struct consumer_setting *s)
{
    struct way *w = way;
    struct kbv_query *q = w->kept;
    struct kbv_peer peer;
    bool good;

    if (kbv_peer_from_certificate(&peer, s->chain[0].der, s->chain[0].len) != KBV_OK)
        return false;
    q = q ? q : asked(w, s, &peer);
    good = q && kbv_query_accept(q, &peer, (struct kbv_slice){NULL, 0}, 0, time(NULL), NULL) ==
                    KBV_ACCEPTED;
    if (s->keep)
        w->kept = q;
    else
        kbv_query_delete(q);
    return good;
}

void consumer_close(void *way)
{
    struct way *w = way;

    kbv_query_delete(w->kept);
    kbv_client_delete(w->client);
    free(w);
}
