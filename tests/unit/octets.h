/* SPDX-License-Identifier: BSD-3-Clause */
/* Octets for tests: from hex digits and from names as people write them. */
#ifndef KBV_TESTS_UNIT_OCTETS_H
#define KBV_TESTS_UNIT_OCTETS_H

#include <check.h>
#include <string.h>

#include <kbv/name.h>

/* Reads hex digits, blanks between octets allowed, into out of cap octets; their number. */
static inline size_t octets_from_hex(const char *hex, uint8_t *out, size_t cap)
{
    size_t n = 0;

    for (; *hex != '\0'; hex++) {
        static const char digits[] = "0123456789abcdef";
        const char *high, *low;

        if (*hex == ' ')
            continue;
        high = strchr(digits, hex[0]);
        low = hex[1] != '\0' ? strchr(digits, hex[1]) : NULL;
        ck_assert_msg(high != NULL && low != NULL && n < cap, "bad hex in a test: %s", hex);
        out[n++] = (uint8_t)((high - digits) << 4 | (low - digits));
        hex++;
    }
    return n;
}

/* A name in wire format in storage of its own, case as written. */
struct octets_name {
    uint8_t wire[KBV_NAME_MAX];
    size_t len;
};

static inline struct octets_name octets_from_name(const char *text)
{
    struct octets_name name;

    ck_assert_msg(kbv_name_from_text(text, false, name.wire, &name.len) == KBV_OK,
                  "bad name in a test: %s", text);
    return name;
}

#endif
