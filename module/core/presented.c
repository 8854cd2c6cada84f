/* SPDX-License-Identifier: BSD-3-Clause */
/* See presented.h. */
#include "module/core/presented.h"

#include "lib/buf.h"
#include "module/core/dane.h"
#include "module/core/match.h"
#include "module/core/sha256.h"

struct kbv_presented kbv_presented_digest(const struct kbv_subject *subject)
{
    return (struct kbv_presented){
        .material = subject->kind == KBV_SUBJECT_SPKI   ? KBV_MATERIAL_SPKI_SHA256
                    : subject->kind == KBV_SUBJECT_CERT ? KBV_MATERIAL_CERT_SHA256
                                                        : KBV_MATERIAL_NONE,
        .subject = *subject,
        .depth = -1,
    };
}

static enum kbv_err read_digest(struct kbv_slice material, enum kbv_subject_kind kind,
                                struct kbv_presented *p)
{
    if (material.len != KBV_DIGEST_LEN || kbv_digest_of_nothing(material.p))
        return KBV_ERR_FORMAT;
    p->subject.kind = kind;
    memcpy(p->subject.digest, material.p, KBV_DIGEST_LEN);
    return KBV_OK;
}

static enum kbv_err read_spki(struct kbv_slice material, struct kbv_presented *p)
{
    if (kbv_der_spki_check(material) != KBV_OK)
        return KBV_ERR_FORMAT;
    p->spki = material;
    p->subject.kind = KBV_SUBJECT_SPKI;
    kbv_sha256(&material, 1, p->subject.digest);
    return KBV_OK;
}

/* The certificates of chain[], the first of which is the end entity's. */
static enum kbv_err read_certificates(struct kbv_presented *p)
{
    struct kbv_slice spki;

    for (size_t i = 0; i < p->n_chain; i++) {
        if (kbv_der_certificate_spki(p->chain[i], &spki) != KBV_OK)
            return KBV_ERR_FORMAT;
        if (i == 0)
            p->spki = spki;
    }
    p->subject.kind = KBV_SUBJECT_CERT;
    kbv_sha256(&p->chain[0], 1, p->subject.digest);
    return KBV_OK;
}

static enum kbv_err read_chain(struct kbv_slice material, struct kbv_presented *p)
{
    struct kbv_reader in = kbv_reader_on(material.p, material.len);

    while (in.left != 0 && p->n_chain < KBV_CHAIN_MAX)
        p->chain[p->n_chain++] = kbv_reader_octets(&in, kbv_reader_u16(&in));
    if (!kbv_reader_done(&in) || p->n_chain == 0)
        return KBV_ERR_FORMAT;
    return read_certificates(p);
}

enum kbv_err kbv_presented_read(enum kbv_material kind, struct kbv_slice material,
                                struct kbv_presented *p)
{
    struct kbv_presented read = {.material = kind, .depth = -1};
    enum kbv_err err = KBV_ERR_FORMAT;

    switch (kind) {
    case KBV_MATERIAL_NONE:
        break;
    case KBV_MATERIAL_SPKI_SHA256:
        err = read_digest(material, KBV_SUBJECT_SPKI, &read);
        break;
    case KBV_MATERIAL_CERT_SHA256:
        err = read_digest(material, KBV_SUBJECT_CERT, &read);
        break;
    case KBV_MATERIAL_SPKI:
        err = read_spki(material, &read);
        break;
    case KBV_MATERIAL_CERT:
        read.chain[read.n_chain++] = material;
        err = read_certificates(&read);
        break;
    case KBV_MATERIAL_CHAIN:
        err = read_chain(material, &read);
        break;
    }
    if (err == KBV_OK)
        *p = read;
    return err;
}

enum kbv_err kbv_presented_subject(enum kbv_material kind, struct kbv_slice material,
                                   struct kbv_presented *p)
{
    struct kbv_reader in = kbv_reader_on(material.p, material.len);
    struct kbv_subject subject = {.kind = KBV_SUBJECT_CERT};
    struct kbv_slice whole = material;

    if (kind == KBV_MATERIAL_SPKI_SHA256 || kind == KBV_MATERIAL_CERT_SHA256)
        return kbv_presented_read(kind, material, p);
    if (kind == KBV_MATERIAL_SPKI)
        subject.kind = KBV_SUBJECT_SPKI;
    if (kind == KBV_MATERIAL_CHAIN)
        whole = kbv_reader_octets(&in, kbv_reader_u16(&in));
    if (kind == KBV_MATERIAL_NONE || whole.len == 0)
        return KBV_ERR_FORMAT;
    kbv_sha256(&whole, 1, subject.digest);
    *p = kbv_presented_digest(&subject);
    return KBV_OK;
}

void kbv_presented_clear(struct kbv_presented *p)
{
    kbv_dane_chain_delete(p->parsed);
    p->parsed = NULL;
}

const uint8_t *kbv_presented_digest_all(struct kbv_presented *p)
{
    struct kbv_slice parts[2 * KBV_CHAIN_MAX];
    uint8_t lengths[KBV_CHAIN_MAX][4];

    if (p->has_all_digest)
        return p->all_digest;
    for (size_t i = 0; i < p->n_chain; i++) {
        struct kbv_writer w = kbv_writer_on(lengths[i], sizeof(lengths[i]));

        kbv_writer_u32(&w, (uint32_t)p->chain[i].len);
        parts[2 * i] = (struct kbv_slice){lengths[i], sizeof(lengths[i])};
        parts[2 * i + 1] = p->chain[i];
    }
    kbv_sha256(parts, 2 * p->n_chain, p->all_digest);
    p->has_all_digest = true;
    return p->all_digest;
}

struct kbv_slice kbv_presented_association(struct kbv_presented *p, uint8_t selector, uint8_t mtype)
{
    const struct kbv_slice nothing = {NULL, 0};
    struct kbv_slice whole;
    uint8_t *digest;

    if (selector > 1 || mtype > 2)
        return nothing;
    whole = selector == 1 ? p->spki : p->n_chain != 0 ? p->chain[0] : nothing;
    if (whole.p == NULL || mtype == 0)
        return whole;
    digest = p->digests[selector][mtype - 1];
    if (!p->has_digest[selector][mtype - 1]) {
        if (mtype == 1)
            kbv_sha256(&whole, 1, digest);
        else
            kbv_sha512(whole, digest);
        p->has_digest[selector][mtype - 1] = true;
    }
    return (struct kbv_slice){digest, mtype == 1 ? KBV_DIGEST_LEN : 64};
}
