/* SPDX-License-Identifier: BSD-3-Clause */
/* What `kbv decode` is given: hex digits, RDATA, or all that dig printed. What is found is found
 * again in its own hex digits. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "lib/text.h"
#include "tests/fuzz/require.h"

static void check_again(const struct found *f)
{
    char *hex = malloc(2 * f->len + 1);
    struct finds again;

    REQUIRE(hex != NULL);
    kbv_hex_text(f->octets, f->len, hex);
    REQUIRE(finds_read(hex, KBV_RRTYPE_DEFAULT, KBV_EDNS_OPTION_DEFAULT, &again));
    REQUIRE(again.n == (f->len != 0));
    for (size_t i = 0; i < again.n; i++) {
        REQUIRE(again.f[i].error == NULL && again.f[i].len == f->len);
        REQUIRE(memcmp(again.f[i].octets, f->octets, f->len) == 0);
    }
    finds_free(&again);
    free(hex);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = malloc(len + 1);
    size_t digits = 0, octets = 0;
    struct finds finds;

    REQUIRE(text != NULL);
    memcpy(text, data, len);
    text[len] = '\0';
    len = strlen(text);
    for (size_t i = 0; i < len; i++)
        digits += strchr("0123456789abcdefABCDEF", text[i]) != NULL;
    REQUIRE(finds_read(text, KBV_RRTYPE_DEFAULT, KBV_EDNS_OPTION_DEFAULT, &finds));
    free(text);
    for (size_t i = 0; i < finds.n; i++) {
        REQUIRE((finds.f[i].error != NULL) == (finds.f[i].octets == NULL));
        if (finds.f[i].error != NULL)
            continue;
        octets += finds.f[i].len;
        check_again(&finds.f[i]);
    }
    REQUIRE(2 * octets <= digits); /* nothing is made up */
    finds_free(&finds);
    return 0;
}
