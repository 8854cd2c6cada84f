/* SPDX-License-Identifier: BSD-3-Clause */
/* The text of a signing key's file: what is a key signs what its public half verifies; what is none
 * has a sentence that says so, of printable characters, and no octet of base64 from the file. */
#include "module/core/sign.h"

#include <string.h>

#include <openssl/err.h>

#include "tests/fuzz/require.h"

static void require_sentence(const char *err, size_t size)
{
    size_t len = strnlen(err, size);

    REQUIRE(len > 10 && len < size);
    for (size_t i = 0; i < len; i++)
        REQUIRE(err[i] >= ' ' && err[i] <= '~');
}

/* A verdict of no consequence. */
static void require_signature(struct kbv_signer *s)
{
    struct kbv_verdict v = {.status = KBV_STATUS_NO_BINDING,
                            .match = KBV_MATCH_NONE,
                            .ede = KBV_EDE_NONE,
                            .owner = {(const uint8_t *)"", 1}},
                       found;
    uint8_t out[KBV_SIGN_VERDICT_MAX];
    size_t len;

    REQUIRE(kbv_sign_verdict(s, NULL, NULL, 0, &v, out, sizeof(out), &len) == KBV_OK);
    REQUIRE(kbv_verdict_decode(&found, out, len) == KBV_OK);
    REQUIRE(kbv_verdict_verify(&found, kbv_signer_key(s), 1) == KBV_SIGNATURE_VALID);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char err[512] = "";
    struct kbv_signer *s = kbv_signer_from_pem(data, len, err, sizeof(err));

    if (s == NULL)
        require_sentence(err, sizeof(err));
    else
        require_signature(s);
    REQUIRE(ERR_peek_error() == 0);
    kbv_signer_delete(s);
    return 0;
}
