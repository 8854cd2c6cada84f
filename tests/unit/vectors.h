/* SPDX-License-Identifier: BSD-3-Clause */
/* The golden vectors of tests/data: lines "accept NAME HEX" and "refuse NAME HEX". */
#ifndef KBV_TESTS_UNIT_VECTORS_H
#define KBV_TESTS_UNIT_VECTORS_H

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/octets.h"

#define VECTORS_MAX 256

struct vector {
    bool accept;
    char name[64];
    uint8_t *octets; /* storage of exactly len octets, so that a sanitizer sees one too many */
    size_t len;
};

struct vectors {
    struct vector v[VECTORS_MAX];
    size_t n;
};

static inline void vectors_read(struct vectors *all, const char *file)
{
    static char line[65536], hex[65536];
    static uint8_t octets[32768];
    const char *srcdir = getenv("srcdir");
    char path[4096], result[8];
    FILE *f;

    all->n = 0;
    snprintf(path, sizeof(path), "%s/tests/data/%s", srcdir ? srcdir : ".", file);
    f = fopen(path, "r");
    ck_assert_msg(f != NULL, "cannot read %s", path);
    while (fgets(line, sizeof(line), f)) {
        struct vector *v = &all->v[all->n];
        int fields;

        if (line[0] == '#')
            continue;
        ck_assert_uint_lt(all->n, VECTORS_MAX);
        hex[0] = '\0';
        fields = sscanf(line, "%7s %63s %65535s", result, v->name, hex);
        ck_assert_msg(fields >= 2 && (!strcmp(result, "accept") || !strcmp(result, "refuse")),
                      "%s: bad line: %.80s", path, line);
        v->accept = strcmp(result, "accept") == 0;
        v->len = octets_from_hex(hex, octets, sizeof(octets));
        v->octets = malloc(v->len ? v->len : 1);
        ck_assert_ptr_nonnull(v->octets);
        memcpy(v->octets, octets, v->len);
        all->n++;
    }
    fclose(f);
    ck_assert_uint_gt(all->n, 0);
}

static inline void vectors_free(struct vectors *all)
{
    for (size_t i = 0; i < all->n; i++)
        free(all->v[i].octets);
}

/* The accepted vector of that name. */
static inline const struct vector *vectors_find(const struct vectors *all, const char *name)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->v[i].name, name) == 0)
            return &all->v[i];
    ck_abort_msg("no vector %s", name);
    return NULL;
}

#endif
