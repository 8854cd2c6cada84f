/* SPDX-License-Identifier: BSD-3-Clause */
/* Time-outs, and waiting for what an asynchronous call wants: shared by query.c and the TLS hooks.
 */
#ifndef KBV_LIB_WAIT_H
#define KBV_LIB_WAIT_H

#include <kbv/client.h>

/* [ms] of a clock that is never put back; 0 if there is none. */
int64_t kbv_monotonic_ms(void);

/* Waits with poll(2) for what *wait says. */
void kbv_wait_poll(const struct kbv_wait *wait);

#endif
