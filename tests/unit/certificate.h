/* SPDX-License-Identifier: BSD-3-Clause */
/* The smallest certificates that have the shape of one, put together from hex, for tests. */
#ifndef KBV_TESTS_UNIT_CERTIFICATE_H
#define KBV_TESTS_UNIT_CERTIFICATE_H

#include "tests/unit/octets.h"

/* Parts in hex, headers included. NULL: what a good certificate has. */
struct certificate {
    const char *version, *serial, *algorithm, *issuer, *validity, *subject, *spki, *rest;
    const char *outer_algorithm, *signature, *outer_rest;
};

#define CERTIFICATE_ALGORITHM "30 03 06 01 2a"
#define CERTIFICATE_SPKI      "30 09 30 03 06 01 2a 03 02 00 04"
#define CERTIFICATE_MAX       512

static inline size_t certificate_part(const char *hex, const char *otherwise, uint8_t *out)
{
    return octets_from_hex(hex != NULL ? hex : otherwise, out, CERTIFICATE_MAX / 4);
}

/* Puts a SEQUENCE's header before the len octets at out. */
static inline size_t certificate_wrap(uint8_t *out, size_t len)
{
    size_t header = len < 128 ? 2 : 3;

    ck_assert_uint_lt(len, 256);
    memmove(out + header, out, len);
    out[0] = 0x30;
    out[1] = 0x81;
    out[header - 1] = (uint8_t)len;
    return header + len;
}

/* The certificate of these parts; its length. */
static inline size_t certificate_make(const struct certificate *c, uint8_t out[CERTIFICATE_MAX])
{
    size_t n = 0;

    n += certificate_part(c->version, "", out + n);
    n += certificate_part(c->serial, "02 01 01", out + n);
    n += certificate_part(c->algorithm, CERTIFICATE_ALGORITHM, out + n);
    n += certificate_part(c->issuer, "30 00", out + n);
    n += certificate_part(c->validity, "30 00", out + n);
    n += certificate_part(c->subject, "30 00", out + n);
    n += certificate_part(c->spki, CERTIFICATE_SPKI, out + n);
    n += certificate_part(c->rest, "", out + n);
    n = certificate_wrap(out, n);
    n += certificate_part(c->outer_algorithm, CERTIFICATE_ALGORITHM, out + n);
    n += certificate_part(c->signature, "03 01 00", out + n);
    n += certificate_part(c->outer_rest, "", out + n);
    return certificate_wrap(out, n);
}

#endif
