/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a consumer pays to find out whether a peer's chain is bound to a name: the part that is the
 * same for every way of doing it. A way is consumer_open(), consumer_check() and consumer_close();
 * each is linked with consumer.c to a program of its own.
 */
#ifndef KBV_BENCH_CONSUMER_H
#define KBV_BENCH_CONSUMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONSUMER_CHAIN_MAX = 8 };

struct consumer_cert {
    uint8_t *der;
    size_t len;
};

struct consumer_setting {
    const char *server; /* "ADDR" of the resolver, port 53; NULL: none, go and ask authorities */
    const char *hints;  /* root hints, for those who ask authorities */
    const char *anchor; /* trust anchor, for those who validate */
    const char *host;
    const char *owner; /* _port._tcp.host */
    bool keep;         /* what was found out once serves further checks, as long as it holds */
    bool whole_chain;  /* the chain is what is judged, else the end entity's key */
    struct consumer_cert chain[CONSUMER_CHAIN_MAX];
    size_t n;
};

/* What many checks may share. Never NULL: what fails ends the program. */
void *consumer_open(const struct consumer_setting *s);
/* One check, from what a handshake leaves behind to the decision: is the chain bound to owner? */
bool consumer_check(void *way, const struct consumer_setting *s);
void consumer_close(void *way);

/* Ends the program with a sentence unless good. */
void consumer_need(bool good, const char *what);

#endif
