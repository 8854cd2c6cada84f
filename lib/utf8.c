/* SPDX-License-Identifier: BSD-3-Clause */
/* Apart from text.c, so that the decoder needs no digests. */
#include "lib/text.h"

size_t kbv_utf8_len(const uint8_t *p, size_t left)
{
    size_t len;
    uint8_t low = 0x80, high = 0xBF; /* bounds of the second octet */

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xC2 || p[0] > 0xF4)
        return 0;
    len = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (p[0] == 0xE0)
        low = 0xA0;
    else if (p[0] == 0xED)
        high = 0x9F;
    else if (p[0] == 0xF0)
        low = 0x90;
    else if (p[0] == 0xF4)
        high = 0x8F;
    if (left < len || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if (p[i] < 0x80 || p[i] > 0xBF)
            return 0;
    return len;
}
