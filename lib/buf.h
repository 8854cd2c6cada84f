/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bounded reading and writing of octets: the one place that moves through a
 * buffer by offsets. Errors stick: after the first one a reader yields zeros
 * and a writer writes nothing, so that callers check once, at the end. All
 * integers are big-endian. Nothing here allocates or copies more than asked.
 */
#ifndef KBV_LIB_BUF_H
#define KBV_LIB_BUF_H

#include <string.h>

#include <kbv/name.h>

struct kbv_reader {
    const uint8_t *p; /* the next octet */
    size_t left;      /* octets from p on; 0 after an error */
    bool failed;
};

struct kbv_writer {
    uint8_t *out;
    size_t cap, len; /* octets of out, octets written */
    bool failed;
};

static inline struct kbv_reader kbv_reader_on(const uint8_t *p, size_t len)
{
    return (struct kbv_reader){.p = p, .left = len};
}

static inline struct kbv_writer kbv_writer_on(uint8_t *out, size_t cap)
{
    return (struct kbv_writer){.out = out, .cap = cap};
}

static inline void kbv_reader_fail(struct kbv_reader *r)
{
    r->left = 0;
    r->failed = true;
}

/* True if everything was read and nothing was missing. */
static inline bool kbv_reader_done(const struct kbv_reader *r)
{
    return !r->failed && r->left == 0;
}

/* The next n octets, in place; absent (p NULL) if there are fewer. */
static inline struct kbv_slice kbv_reader_octets(struct kbv_reader *r, size_t n)
{
    struct kbv_slice s = {r->p, n};

    if (r->failed || n > r->left) {
        kbv_reader_fail(r);
        return (struct kbv_slice){NULL, 0};
    }
    r->p += n;
    r->left -= n;
    return s;
}

/* What is left, in place. */
static inline struct kbv_slice kbv_reader_rest(struct kbv_reader *r)
{
    return kbv_reader_octets(r, r->left);
}

/* A reader of the next n octets alone. */
static inline struct kbv_reader kbv_reader_block(struct kbv_reader *r, size_t n)
{
    struct kbv_slice s = kbv_reader_octets(r, n);

    return (struct kbv_reader){.p = s.p, .left = s.len, .failed = r->failed};
}

static inline uint8_t kbv_reader_u8(struct kbv_reader *r)
{
    struct kbv_slice s = kbv_reader_octets(r, 1);

    return s.p ? s.p[0] : 0;
}

static inline uint16_t kbv_reader_u16(struct kbv_reader *r)
{
    struct kbv_slice s = kbv_reader_octets(r, 2);

    return s.p ? (uint16_t)(s.p[0] << 8 | s.p[1]) : 0;
}

static inline uint32_t kbv_reader_u32(struct kbv_reader *r)
{
    struct kbv_slice s = kbv_reader_octets(r, 4);

    return s.p ? (uint32_t)s.p[0] << 24 | (uint32_t)s.p[1] << 16 | (uint32_t)s.p[2] << 8 | s.p[3]
               : 0;
}

/* The next n octets into dst, which is left alone if there are fewer. */
static inline void kbv_reader_copy(struct kbv_reader *r, uint8_t *dst, size_t n)
{
    struct kbv_slice s = kbv_reader_octets(r, n);

    if (s.p)
        memcpy(dst, s.p, n);
}

/* The uncompressed lower-case name that starts here; fails if there is none. */
struct kbv_slice kbv_reader_name(struct kbv_reader *r);

/* Room for n octets at the end, NULL if there is not that much. */
static inline uint8_t *kbv_writer_room(struct kbv_writer *w, size_t n)
{
    if (w->failed || n > w->cap - w->len) {
        w->failed = true;
        return NULL;
    }
    w->len += n;
    return w->out + w->len - n;
}

static inline void kbv_writer_u8(struct kbv_writer *w, uint8_t value)
{
    uint8_t *p = kbv_writer_room(w, 1);

    if (p)
        p[0] = value;
}

static inline void kbv_writer_u16(struct kbv_writer *w, uint16_t value)
{
    uint8_t *p = kbv_writer_room(w, 2);

    if (p) {
        p[0] = (uint8_t)(value >> 8);
        p[1] = (uint8_t)value;
    }
}

static inline void kbv_writer_u32(struct kbv_writer *w, uint32_t value)
{
    kbv_writer_u16(w, (uint16_t)(value >> 16));
    kbv_writer_u16(w, (uint16_t)value);
}

static inline void kbv_writer_octets(struct kbv_writer *w, const uint8_t *src, size_t n)
{
    uint8_t *p = n ? kbv_writer_room(w, n) : NULL;

    if (p)
        memcpy(p, src, n);
}

/* Begins a block with its length in 16 bits before it; give the result to kbv_writer_end16(). */
size_t kbv_writer_begin16(struct kbv_writer *w);
/* Fills in the length of the block begun; fails beyond 65535 octets. */
void kbv_writer_end16(struct kbv_writer *w, size_t begun);

#endif
