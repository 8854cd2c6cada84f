/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/buf.h"

struct kbv_slice kbv_reader_name(struct kbv_reader *r)
{
    size_t len = kbv_name_canonical_len(r->p, r->left);

    if (len == 0) {
        kbv_reader_fail(r);
        return (struct kbv_slice){NULL, 0};
    }
    return kbv_reader_octets(r, len);
}

size_t kbv_writer_begin16(struct kbv_writer *w)
{
    kbv_writer_u16(w, 0);
    return w->len;
}

void kbv_writer_end16(struct kbv_writer *w, size_t begun)
{
    size_t len = w->len - begun;

    if (len > 0xFFFF)
        w->failed = true;
    if (w->failed)
        return;
    w->out[begun - 2] = (uint8_t)(len >> 8);
    w->out[begun - 1] = (uint8_t)len;
}
