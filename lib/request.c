/* SPDX-License-Identifier: BSD-3-Clause */
#include <kbv/request.h>

#include "lib/buf.h"

enum {
    KIND_REQUEST = 0x11, /* version 1, request */
    NONCE_MIN = 8,
    NONCE_MAX = 16,
    CHAIN_MAX = 8, /* certificates */
};

/* Octets of each material. */
static const struct {
    size_t min, max;
} lengths[] = {
    [KBV_MATERIAL_NONE] = {0, 0},
    [KBV_MATERIAL_SPKI_SHA256] = {KBV_DIGEST_LEN, KBV_DIGEST_LEN},
    [KBV_MATERIAL_CERT_SHA256] = {KBV_DIGEST_LEN, KBV_DIGEST_LEN},
    [KBV_MATERIAL_SPKI] = {1, 2048},
    [KBV_MATERIAL_CERT] = {1, 4096},
    [KBV_MATERIAL_CHAIN] = {1, 16384},
};

bool kbv_digest_of_nothing(const uint8_t digest[KBV_DIGEST_LEN])
{
    static const uint8_t nothing[KBV_DIGEST_LEN] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14,
                                                    0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
                                                    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c,
                                                    0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};

    return memcmp(digest, nothing, sizeof(nothing)) == 0;
}

/* True if the pieces, each with its length before it, add up. */
static bool chain_is_sound(struct kbv_slice chain)
{
    struct kbv_reader r = kbv_reader_on(chain.p, chain.len);
    size_t n = 0;

    while (r.left) {
        if (kbv_reader_octets(&r, kbv_reader_u16(&r)).len == 0 || ++n > CHAIN_MAX)
            return false;
    }
    return !r.failed;
}

static bool material_is_sound(enum kbv_material kind, struct kbv_slice material)
{
    if ((unsigned)kind > KBV_MATERIAL_CHAIN || material.len < lengths[kind].min ||
        material.len > lengths[kind].max)
        return false;
    switch (kind) {
    case KBV_MATERIAL_SPKI_SHA256:
    case KBV_MATERIAL_CERT_SHA256:
        return !kbv_digest_of_nothing(material.p);
    case KBV_MATERIAL_CHAIN:
        return chain_is_sound(material);
    default:
        return true;
    }
}

static bool request_is_sound(const struct kbv_request *r)
{
    if (r->flags & ~KBV_REQUEST_SIGN)
        return false;
    if (r->nonce.len != 0 && (r->nonce.len < NONCE_MIN || r->nonce.len > NONCE_MAX))
        return false;
    return material_is_sound(r->kind, r->material);
}

enum kbv_err kbv_request_decode(struct kbv_request *r, const uint8_t *data, size_t len)
{
    struct kbv_reader in = kbv_reader_on(data, len);
    struct kbv_request read = {0};

    if (kbv_reader_u8(&in) != KIND_REQUEST)
        return KBV_ERR_FORMAT;
    read.flags = kbv_reader_u8(&in);
    read.kind = kbv_reader_u8(&in);
    read.nonce = kbv_reader_octets(&in, kbv_reader_u8(&in));
    read.material = kbv_reader_octets(&in, kbv_reader_u16(&in));
    if (!kbv_reader_done(&in) || !request_is_sound(&read))
        return KBV_ERR_FORMAT;
    if (read.nonce.len == 0)
        read.nonce.p = NULL;
    if (read.material.len == 0)
        read.material.p = NULL;
    *r = read;
    return KBV_OK;
}

enum kbv_err kbv_request_encode(const struct kbv_request *r, uint8_t *out, size_t cap, size_t *len)
{
    struct kbv_writer w = kbv_writer_on(out, cap);

    if ((!r->nonce.p && r->nonce.len) || (!r->material.p && r->material.len) ||
        !request_is_sound(r))
        return KBV_ERR_FORMAT;
    kbv_writer_u8(&w, KIND_REQUEST);
    kbv_writer_u8(&w, r->flags);
    kbv_writer_u8(&w, (uint8_t)r->kind);
    kbv_writer_u8(&w, (uint8_t)r->nonce.len);
    kbv_writer_octets(&w, r->nonce.p, r->nonce.len);
    kbv_writer_u16(&w, (uint16_t)r->material.len);
    kbv_writer_octets(&w, r->material.p, r->material.len);
    if (w.failed)
        return KBV_ERR_SPACE;
    *len = w.len;
    return KBV_OK;
}
