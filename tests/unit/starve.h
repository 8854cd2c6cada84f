/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Allocations that fail when a test says so: ours, for the linker puts these in the place of
 * malloc() and its kin (-Wl,--wrap=…), and OpenSSL's, by its hooks. Other libraries' do not.
 */
#ifndef KBV_TESTS_UNIT_STARVE_H
#define KBV_TESTS_UNIT_STARVE_H

#include <stdbool.h>

/* First of all in main(), before OpenSSL allocates anything. False: it has. */
bool starve_init(void);

/* From now on allocation fails_at, counted from 1, fails, and all behind it if all_after. 0: none
 * fails, they are only counted. */
void starve_begin(unsigned long fails_at, bool all_after);

/* No longer; how many were asked for. */
unsigned long starve_end(void);

/* What is done while paused neither fails nor counts: the other side's work, say. */
void starve_pause(bool paused);

#endif
