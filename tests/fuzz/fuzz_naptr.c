/* SPDX-License-Identifier: BSD-3-Clause */
/* NAPTR RDATA: what is used leads to a name that can be asked for. */
#include "module/core/naptr.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct kbv_naptr out;

    kbv_naptr_read((struct kbv_slice){data, len}, &out);
    switch (out.use) {
    case KBV_NAPTR_DROP:
        REQUIRE(out.name_len == 0 && out.port == 0);
        return 0;
    case KBV_NAPTR_PLAIN:
        REQUIRE(out.name_len == 0 && out.port == 0);
        break;
    case KBV_NAPTR_URI:
        REQUIRE(out.port != 0);
        REQUIRE(kbv_name_is_canonical(out.name, out.name_len) && out.name_len > 1);
        for (size_t i = 0; i < out.name_len; i++)
            REQUIRE(out.name[i] <= 63 || (out.name[i] >= 'a' && out.name[i] <= 'z'));
        break;
    case KBV_NAPTR_SRV:
    case KBV_NAPTR_HOST:
    case KBV_NAPTR_NEXT:
        REQUIRE(out.port == 0);
        REQUIRE(kbv_name_is_canonical(out.name, out.name_len) && out.name_len > 1);
        break;
    }
    REQUIRE(out.order == (data[0] << 8 | data[1]));
    REQUIRE(out.preference == (data[2] << 8 | data[3]));
    return 0;
}
