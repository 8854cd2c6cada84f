/* SPDX-License-Identifier: BSD-3-Clause */
/* The lines of a kbv: clause, "key value" each: what is accepted is in its range, and what is not
 * has a sentence that says so and changes nothing. Options that name a file are left out. */
#include "module/core/options.h"

#include <string.h>

#include "module/core/question.h"
#include "tests/fuzz/require.h"

#define LINES_MAX 200

static void require_zone(const struct kbv_zone *z)
{
    REQUIRE(kbv_name_is_canonical(z->suffix, z->suffix_len) && z->suffix_len > 1);
    REQUIRE(!kbv_name_under_kbv(z->suffix, z->suffix_len));
    REQUIRE(z->kind >= KBV_ID_JOINEUI && z->kind <= KBV_ID_DEVEUI);
    REQUIRE(z->kind != KBV_ID_JOINEUI || z->form == KBV_FORM_NIBBLE);
    REQUIRE(z->kind != KBV_ID_NETID || z->form == KBV_FORM_FLAT);
    REQUIRE(z->n_ports <= KBV_OPTIONS_MAX_PORTS);
    REQUIRE((z->lookup == KBV_LOOKUP_SERVICE) == (z->n_ports != 0));
    for (size_t i = 0; i < z->n_ports; i++) {
        REQUIRE(z->ports[i] != 0);
        for (size_t j = 0; j < i; j++)
            REQUIRE(z->ports[i] != z->ports[j]);
    }
}

/* Any identifier fits below the suffix, and is found there. */
static void require_room(const struct kbv_options *o, const struct kbv_zone *z)
{
    struct kbv_id id = {z->kind, {0}, z->kind == KBV_ID_NETID ? 3 : 8};
    uint8_t name[KBV_NAME_MAX];
    size_t len;

    REQUIRE(kbv_id_to_name(&id, z->form == KBV_FORM_NIBBLE, z->suffix, z->suffix_len, name, &len) ==
            KBV_OK);
    REQUIRE(kbv_options_zone(o, name, len) != NULL);
    REQUIRE(kbv_options_zone(o, z->suffix, z->suffix_len) == z);
}

static void require_numbers(const struct kbv_options *o)
{
    REQUIRE(o->rrtype >= 65280 && o->rrtype <= 65534);
    REQUIRE(o->edns_option >= 65001 && o->edns_option <= 65534);
    REQUIRE(o->max_ttl >= 1 && o->max_ttl <= 604800);
    REQUIRE(o->max_negative_ttl >= 1 && o->max_negative_ttl <= 604800);
    REQUIRE(o->max_pending >= 1 && o->max_pending <= 1000000);
    REQUIRE(o->chain_ratelimit <= 1000000 && o->security_level <= 5);
    REQUIRE(o->cache_size == 0 || (o->cache_size >= 64 * 1024 && o->cache_size <= 1024u << 20));
    REQUIRE(o->bundle == NULL && o->signer == NULL);
    REQUIRE(o->sign == KBV_SIGN_ASKED || o->sign == KBV_SIGN_ALWAYS);
}

/* Files are for the tests of those who read them. */
static bool names_a_file(const char *key)
{
    for (size_t i = 0; kbv_option_row(i) != NULL; i++)
        if (strcmp(kbv_option_row(i)->name, key) == 0)
            return kbv_option_is_file(kbv_option_row(i));
    return false;
}

static void set_line(struct kbv_options *o, char *line)
{
    struct kbv_options before = *o;
    char *value = strchr(line, ' '), err[64];
    enum kbv_err result;

    if (value == NULL)
        return;
    *value++ = '\0';
    if (names_a_file(line))
        return;
    memset(err, 'x', sizeof(err));
    err[0] = '\0';
    result = kbv_options_set(o, line, value, err, sizeof(err));
    REQUIRE(memchr(err, '\0', sizeof(err)) != NULL);
    REQUIRE((result == KBV_OK) == (err[0] == '\0'));
    REQUIRE(result == KBV_OK || memcmp(&before, o, sizeof(before)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static char text[8192];
    struct kbv_options *o = kbv_options_create();
    char *rest = NULL, err[256];
    size_t lines = 0;

    REQUIRE(o != NULL);
    if (len >= sizeof(text))
        len = sizeof(text) - 1;
    memcpy(text, data, len);
    text[len] = '\0';
    for (char *line = strtok_r(text, "\n", &rest); line != NULL && lines < LINES_MAX;
         line = strtok_r(NULL, "\n", &rest), lines++)
        set_line(o, line);
    require_numbers(o);
    if (kbv_options_finish(o, err, sizeof(err)) == KBV_OK)
        REQUIRE(o->literal || o->n_zones != 0);
    for (size_t i = 0; i < o->n_zones; i++) {
        require_zone(&o->zones[i]);
        require_room(o, &o->zones[i]);
        REQUIRE(i == 0 || o->zones[i - 1].suffix_len >= o->zones[i].suffix_len);
    }
    for (size_t i = 0; i < o->n_require_secure; i++)
        REQUIRE(kbv_name_is_canonical(o->require_secure[i].wire, o->require_secure[i].len));
    kbv_options_delete(o);
    return 0;
}
