/* SPDX-License-Identifier: BSD-3-Clause */
/* TLSA records made of certificates and keys: what kbv tlsa and kbv publish print. */
#ifndef KBV_CLI_ASSOCIATION_H
#define KBV_CLI_ASSOCIATION_H

#include "cli/cli.h"
#include "cli/material.h"
#include "module/core/presented.h"

enum { ASSOCIATION_KEYS_MAX = 16 };

/* The files of which records are made, and how. Zeroed but for form: no file. */
struct associations {
    const struct command *self;
    unsigned long usage, selector, mtype; /* RFC 6698 sections 2.1.1 to 2.1.3 */
    struct association_key {
        const char *path;
        struct kbv_request request; /* its material is owned */
        struct kbv_presented presented;
    } keys[ASSOCIATION_KEYS_MAX];
    size_t n_keys;
};

/* 3 1 1, and no file. */
struct associations associations_begin(const struct command *self);
void associations_end(struct associations *a);

/* Reads the argument of --usage, --selector or --mtype ('u', 's', 'm'); 0, or the exit status. */
int associations_number(struct associations *a, int option, const char *arg);

/* Reads a file: a certificate (the first one in it), or a bare public key. 0, or the exit status.
 */
int associations_file(struct associations *a, enum kbv_material kind, const char *path);

/* Refuses what can never match, and warns of what seldom does what its publisher wants, at a TLSA
 * owner. 0, or the exit status. */
int associations_check(struct associations *a, const uint8_t *owner, size_t owner_len);

/* Prints the records, one a line, each once: "OWNER [TTL] IN TLSA U S M HEX". ttl: NULL for none.
 * False if memory ran out. */
bool associations_print(struct associations *a, const uint8_t *owner, size_t owner_len,
                        const char *ttl);

#endif
