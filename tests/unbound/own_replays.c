/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Linked into testbound-own alone, by --wrap: Unbound's own replays live in the past
 * (val-override-date) and try every mode of serve-expired, with which kbv refuses to start. What
 * they are to show is that the stack with kbv in it resolves as the stack without. The options of
 * kbv itself are still checked.
 */
#include "config.h"

#include "module/core/options.h"
#include "module/unbound/kbv_unbound.h"

int __wrap_kbv_config_check(struct config_file *cfg, int ahead);

int __wrap_kbv_config_check(struct config_file *cfg, int ahead)
{
    struct kbv_options *o = kbv_config_read(cfg, ahead);

    kbv_options_delete(o);
    return o != NULL;
}
