/* SPDX-License-Identifier: BSD-3-Clause */
/* SUBJECT of the commands that ask: a DNS name, or an identifier and where its kind is rooted. */
#ifndef KBV_CLI_SUBJECT_H
#define KBV_CLI_SUBJECT_H

#include "cli/cli.h"

struct subject {
    uint8_t name[KBV_NAME_MAX]; /* lower case */
    size_t len;
    struct kbv_id identifier; /* kind KBV_ID_NONE: a name, which may yet be an identifier's */
};

/* How identifiers become names; all of it may be absent. */
struct subject_form {
    const char *suffix, *service; /* as of kbv name */
    bool flat;
};

/* Reads labels to be put in front: each begins with '_', so that the name stays a literal owner.
 * *len is without the root label. */
bool read_service(const char *text, uint8_t out[KBV_NAME_MAX], size_t *len);

/* The name of id below form's suffix, its service in front. False, and it was complained of. */
bool name_identifier(const struct command *c, const struct kbv_id *id,
                     const struct subject_form *form, uint8_t out[KBV_NAME_MAX], size_t *len);

/* Reads "joineui:70B3D57ED0000000" and the like, which need a suffix, or a DNS name. With a service
 * in front an identifier is a literal owner: kind KBV_ID_NONE. False, and it was complained of. */
bool read_subject(const struct command *c, const char *text, const struct subject_form *form,
                  struct subject *out);

/* True if the subject's name is id's below some suffix, in nibbles or flat: *at is where in the
 * name the suffix begins, *nibble tells the form. */
bool subject_spells(const struct subject *s, const struct kbv_id *id, size_t *at, bool *nibble);

/* A bare name was asked that the resolver knows for an identifier's, by its own list of zones: true
 * if v is about just the identifier that the labels spell. */
bool subject_is_spelled_in(const struct subject *s, const struct kbv_verdict *v);

#endif
