/* SPDX-License-Identifier: BSD-3-Clause */
/* SRV RDATA: what is read is all that was written, in lower case. */
#include "module/core/naptr.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct kbv_srv out;

    if (kbv_srv_read((struct kbv_slice){data, len}, &out) != KBV_OK)
        return 0;
    REQUIRE(len == 6 + out.target_len);
    REQUIRE(out.priority == (data[0] << 8 | data[1]) && out.weight == (data[2] << 8 | data[3]));
    REQUIRE(out.port == (data[4] << 8 | data[5]));
    REQUIRE(out.port != 0 || out.target_len == 1);
    REQUIRE(kbv_name_is_canonical(out.target, out.target_len));
    REQUIRE(kbv_name_equal(out.target, out.target_len, data + 6, len - 6));
    return 0;
}
