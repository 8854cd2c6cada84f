/* SPDX-License-Identifier: BSD-3-Clause */
/* What a peer presented: kind in the first octet, then the material as the option has it. */
#include <string.h>

#include "module/core/match.h"
#include "tests/fuzz/require.h"

static void require_match_agrees(struct kbv_presented *p)
{
    for (uint8_t usage = 0; usage < 5; usage++) {
        for (uint8_t selector = 0; selector < 2; selector++) {
            for (uint8_t mtype = 0; mtype < 3; mtype++) {
                struct kbv_slice own = kbv_presented_association(p, selector, mtype);
                struct kbv_association a = {usage, selector, mtype, own};
                enum kbv_match_result result;

                if (own.p == NULL)
                    continue;
                REQUIRE(own.len != 0 && (mtype == 0 || own.len == (mtype == 1 ? 32 : 64)));
                result = kbv_match(p, &a);
                REQUIRE(result == (usage == 3 ? KBV_MATCH_YES : KBV_MATCH_UNDECIDED));
                a.data.len--;
                result = kbv_match(p, &a);
                REQUIRE(result == (usage == 3 || usage == 1 ? KBV_MATCH_NO : KBV_MATCH_UNDECIDED));
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const enum kbv_material kind = len != 0 ? (enum kbv_material)(data[0] % 7) : KBV_MATERIAL_NONE;
    struct kbv_slice material = {data + 1, len - 1};
    struct kbv_presented p, subject;
    struct kbv_slice spki;
    size_t octets = 0;

    if (len == 0 || kbv_presented_read(kind, material, &p) != KBV_OK)
        return 0;
    REQUIRE(p.subject.kind != KBV_SUBJECT_NONE && p.n_chain <= KBV_CHAIN_MAX);
    REQUIRE((p.spki.p != NULL) == (kind >= KBV_MATERIAL_SPKI));
    REQUIRE((p.n_chain != 0) == (kind >= KBV_MATERIAL_CERT));
    for (size_t i = 0; i < p.n_chain; i++) {
        REQUIRE(kbv_der_certificate_spki(p.chain[i], &spki) == KBV_OK);
        octets += p.chain[i].len + (kind == KBV_MATERIAL_CHAIN ? 2 : 0);
    }
    REQUIRE(p.n_chain == 0 || octets == material.len);
    REQUIRE(p.spki.p == NULL || kbv_der_spki_level(p.spki) <= 5);
    REQUIRE(kbv_presented_subject(kind, material, &subject) == KBV_OK);
    REQUIRE(subject.subject.kind == p.subject.kind &&
            memcmp(subject.subject.digest, p.subject.digest, KBV_DIGEST_LEN) == 0);
    if (p.spki.p != NULL)
        require_match_agrees(&p);
    kbv_presented_clear(&p);
    return 0;
}
