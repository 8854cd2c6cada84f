/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands print and complain; a fuzzer would do so a million times. What sanitizers say is heard:
 * they do not write through stdio. */
#ifndef KBV_TESTS_FUZZ_QUIET_H
#define KBV_TESTS_FUZZ_QUIET_H

#include <stdio.h>

#include "tests/fuzz/require.h"

struct quiet {
    FILE *out, *err;
};

static inline struct quiet quiet_begin(void)
{
    static FILE *nowhere;
    struct quiet before = {stdout, stderr};

    if (nowhere == NULL)
        nowhere = fopen("/dev/null", "we");
    REQUIRE(nowhere != NULL);
    stdout = stderr = nowhere;
    return before;
}

static inline void quiet_end(struct quiet before)
{
    stdout = before.out;
    stderr = before.err;
}

#endif
