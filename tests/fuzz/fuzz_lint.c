/* SPDX-License-Identifier: BSD-3-Clause */
/* A zone file's text: read, and looked through for every trap. */
#include <string.h>

#include "cli/lint.h"
#include "tests/fuzz/require.h"

static const char *const suffixes[] = {
    "joineuis.example joineui", "netids.example netid port=443,8003", "deveuis.example deveui",
    "_device.example deveui form=flat"};

static struct kbv_options *identifiers(void)
{
    static struct kbv_options *o;
    char err[256];

    if (o != NULL)
        return o;
    o = kbv_options_create();
    REQUIRE(o != NULL);
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
        REQUIRE(kbv_options_set(o, "kbv-zone", suffixes[i], err, sizeof(err)) == KBV_OK);
    REQUIRE(kbv_options_finish(o, err, sizeof(err)) == KBV_OK);
    return o;
}

/* What a finding promises whoever prints it. */
static void require_finding(void *arg, const struct finding *f)
{
    const struct zone *zone = arg;

    REQUIRE((unsigned)f->trap < N_TRAPS && f->line >= 0);
    REQUIRE(kbv_name_len(f->name.p, f->name.len) == f->name.len);
    REQUIRE(zone->n != 0);
    for (const char *p = f->detail; *p != '\0'; p++)
        REQUIRE(*p >= ' ' && *p <= '~');
}

static void require_zone(const struct zone *zone)
{
    for (size_t i = 0; i < zone->n; i++) {
        const struct zone_record *r = &zone->r[i];
        const struct zone_range rrset = zone_rrset(zone, r->owner, r->type);
        uint8_t buf[KBV_NAME_MAX];
        struct kbv_slice found;

        REQUIRE(kbv_name_is_canonical(r->owner.p, r->owner.len) && r->line > 0);
        REQUIRE(i >= rrset.first && i < rrset.first + rrset.n);
        REQUIRE(zone_exists(zone, r->owner));
        REQUIRE(zone_find(zone, r->owner, buf, &found) == ZONE_NODE ||
                zone_find(zone, r->owner, buf, &found) == ZONE_ELSEWHERE);
        REQUIRE(i == 0 || kbv_name_compare(zone->r[i - 1].owner.p, r->owner.p) <= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const uint8_t origin[] = "\007example";
    const struct kbv_slice text = {data, len}, zone_origin = {origin, sizeof(origin)};
    struct zone zone;
    const struct lint l = {
        .zone = &zone,
        .identifiers = identifiers(),
        .now = 1800000000,
        .max_ttl = 86400,
        .report = require_finding,
        .arg = &zone,
    };
    const char *why;
    int line;

    if (len > 65536)
        return 0;
    if (zone_read(text, zone_origin, &zone, &line, &why)) {
        require_zone(&zone);
        if (zone.n != 0)
            lint_zone(&l);
    } else {
        REQUIRE(why != NULL && line >= 0);
    }
    zone_free(&zone);
    return 0;
}
