/* SPDX-License-Identifier: BSD-3-Clause */
/* See lint.h: the table of traps, and the way through a zone. */
#include <stdarg.h>
#include <stdio.h>

#include "cli/lint.h"

const struct trap_row trap_rows[N_TRAPS] = {
#define ROW(name, id, severity, why, advice) {id, SEVERITY_##severity, why, advice},
    TRAPS(ROW)
#undef ROW
};

void lint_report(const struct lint *l, enum trap trap, int line, struct kbv_slice name,
                 const char *format, ...)
{
    char detail[2 * KBV_NAME_TEXT_MAX + 256];
    const struct finding f = {.trap = trap, .line = line, .name = name, .detail = detail};
    va_list args;

    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    l->report(l->arg, &f);
}

static void check_name(const struct lint *l, struct zone_range all)
{
    const struct kbv_slice name = l->zone->r[all.first].owner;
    uint8_t buf[KBV_NAME_MAX];
    struct kbv_slice found;

    lint_name(l, all);
    if (zone_find(l->zone, name, buf, &found) == ZONE_ELSEWHERE)
        return; /* glue, or what servers drop */
    for (size_t i = 0; i < all.n;) {
        const struct zone_range rrset = zone_rrset_at(l->zone, all.first + i);

        lint_discovery(l, rrset);
        lint_tlsa(l, rrset);
        lint_signatures(l, rrset);
        i += rrset.n;
    }
}

void lint_zone(const struct lint *l)
{
    static const struct kbv_slice root = {(const uint8_t *)"", 1};

    if (l->zone->origin_len == 0)
        lint_report(l, TRAP_NO_ORIGIN, 0, root, "%s", "");
    for (size_t i = 0; i < l->zone->n;) {
        const struct zone_range all = zone_name(l->zone, l->zone->r[i].owner);

        check_name(l, all);
        i += all.n;
    }
    lint_certificates(l);
}
