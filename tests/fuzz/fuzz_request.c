/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests in the EDNS option: what decodes encodes to the same octets. */
#include <kbv/request.h>

#include <string.h>

#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static uint8_t again[70000];
    struct kbv_request r;
    size_t again_len;

    memset(&r, 0x55, sizeof(r));
    if (kbv_request_decode(&r, data, len) != KBV_OK) {
        for (size_t i = 0; i < sizeof(r); i++)
            REQUIRE(((const uint8_t *)&r)[i] == 0x55);
        return 0;
    }
    REQUIRE((r.flags & ~KBV_REQUEST_SIGN) == 0 && r.kind <= KBV_MATERIAL_CHAIN);
    REQUIRE(r.nonce.p ? r.nonce.len >= 8 && r.nonce.len <= 16 : r.nonce.len == 0);
    REQUIRE((r.kind == KBV_MATERIAL_NONE) == (r.material.p == NULL));
    REQUIRE(r.material.len <= 16384);
    if (r.kind == KBV_MATERIAL_SPKI_SHA256 || r.kind == KBV_MATERIAL_CERT_SHA256)
        REQUIRE(r.material.len == KBV_DIGEST_LEN && !kbv_digest_of_nothing(r.material.p));
    REQUIRE(kbv_request_encode(&r, again, sizeof(again), &again_len) == KBV_OK);
    REQUIRE(again_len == len && memcmp(again, data, len) == 0);
    REQUIRE(kbv_request_encode(&r, again, len - 1, &again_len) == KBV_ERR_SPACE);
    return 0;
}
