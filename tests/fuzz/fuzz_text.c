/* SPDX-License-Identifier: BSD-3-Clause */
/* What others wrote into a REASON, on its way to a terminal: no control character is left, and text
 * that is UTF-8 without any comes through as it was. */
#include "lib/text.h"

#include <string.h>

#include "tests/fuzz/require.h"

/* Decodes one character by RFC 3629's table, another way than the code does: by its code point. */
static size_t decode(const uint8_t *p, size_t left, uint32_t *point)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80       ? 1
                 : p[0] >> 5 == 6  ? 2
                 : p[0] >> 4 == 14 ? 3
                 : p[0] >> 3 == 30 ? 4
                                   : 0;

    if (len == 0 || len > left)
        return 0;
    *point = len == 1 ? p[0] : p[0] & (0x7Fu >> len);
    for (size_t i = 1; i < len; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        *point = *point << 6 | (p[i] & 0x3F);
    }
    return *point >= least[len] && *point <= 0x10FFFF && (*point < 0xD800 || *point > 0xDFFF) ? len
                                                                                              : 0;
}

/* C0, DEL, C1, and Unicode's Bidi_Control. */
static int is_control(uint32_t point)
{
    return point < 0x20 || (point >= 0x7F && point < 0xA0) || point == 0x61C || point == 0x200E ||
           point == 0x200F || (point >= 0x202A && point <= 0x202E) ||
           (point >= 0x2066 && point <= 0x2069);
}

static void check_octets(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint32_t point;

        REQUIRE(kbv_utf8_len(data + i, len - i) == decode(data + i, len - i, &point));
    }
}

static void check_reason(const uint8_t *data, size_t len)
{
    char out[KBV_REASON_MAX + 1];
    size_t taken = len < KBV_REASON_MAX ? len : KBV_REASON_MAX, out_len;
    bool clean = true;
    uint32_t point;

    memset(out, 'x', sizeof(out));
    kbv_reason_text((struct kbv_slice){data, len}, out);
    REQUIRE(memchr(out, '\0', sizeof(out)) != NULL);
    out_len = strlen(out);
    for (size_t at = 0, n; at < out_len; at += n) {
        n = decode((const uint8_t *)out + at, out_len - at, &point);
        REQUIRE(n != 0 && !is_control(point));
    }
    for (size_t at = 0, n; at < taken && clean; at += n) {
        n = decode(data + at, taken - at, &point);
        clean = n != 0 && !is_control(point);
    }
    REQUIRE(!clean || (out_len == taken && memcmp(out, data, taken) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len > 4096)
        return 0;
    check_octets(data, len);
    check_reason(data, len);
    return 0;
}
