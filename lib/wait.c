/* SPDX-License-Identifier: BSD-3-Clause */
/* See wait.h. */
#include "lib/wait.h"

#include <poll.h>
#include <time.h>

int64_t kbv_monotonic_ms(void)
{
    struct timespec t;

    if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
        return 0;
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void kbv_wait_poll(const struct kbv_wait *wait)
{
    struct pollfd p = {.fd = wait->fd};

    p.events = (short)((wait->read ? POLLIN : 0) | (wait->write ? POLLOUT : 0));
    (void)poll(&p, 1, wait->timeout_ms);
}
