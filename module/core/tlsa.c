/* SPDX-License-Identifier: BSD-3-Clause */
/* See tlsa.h. */
#include "module/core/tlsa.h"

#include <string.h>

#include "lib/buf.h"
#include "module/core/match.h"
#include "module/core/sha256.h"

#define RDATA_FIXED 3 /* usage, selector, matching type: RFC 6698 section 2.1 */

static int compare_rdata(struct kbv_slice a, struct kbv_slice b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter != 0 ? memcmp(a.p, b.p, shorter) : 0;

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* The records sorted as unsigned octet strings, each once. False: too many, or one that no DNS
 * message can hold. At most 64, mostly one or two: insertion sort. */
static bool sort_records(const struct kbv_rrset *rrset, struct kbv_slice out[KBV_TLSA_MAX],
                         size_t *n)
{
    size_t used = 0;

    if (rrset->n_rr > KBV_TLSA_MAX)
        return false;
    for (size_t i = 0; i < rrset->n_rr; i++) {
        struct kbv_slice rdata = rrset->rr[i];
        size_t at = used;

        if (rdata.len > UINT16_MAX)
            return false;
        while (at > 0 && compare_rdata(rdata, out[at - 1]) < 0)
            at--;
        if (at > 0 && compare_rdata(rdata, out[at - 1]) == 0)
            continue;
        memmove(out + at + 1, out + at, (used - at) * sizeof(out[0]));
        out[at] = rdata;
        used++;
    }
    *n = used;
    return true;
}

/* RFC 6698 section 4.1, RFC 7671 section 10.3: what cannot be understood is as if it were not
 * there, and takes no other record with it. */
static bool is_usable(struct kbv_slice rdata, bool pkix)
{
    struct kbv_slice data, spki;

    if (rdata.len < RDATA_FIXED)
        return false;
    data = (struct kbv_slice){rdata.p + RDATA_FIXED, rdata.len - RDATA_FIXED};
    /* Usages 2 and 3, and with a CA store 0 and 1 (RFC 7671 section 5.3). */
    if (rdata.p[0] > 3 || (rdata.p[0] < 2 && !pkix) || rdata.p[1] > 1)
        return false;
    switch (rdata.p[2]) {
    case 0: /* the thing itself */
        return (rdata.p[1] == 0 ? kbv_der_certificate_spki(data, &spki)
                                : kbv_der_spki_check(data)) == KBV_OK;
    case 1: /* SHA-256 */
        return data.len == 32;
    case 2: /* SHA-512 */
        return data.len == 64;
    default:
        return false;
    }
}

static void write_association(struct kbv_writer *w, struct kbv_slice rdata)
{
    kbv_writer_octets(w, rdata.p, RDATA_FIXED);
    kbv_writer_u16(w, (uint16_t)(rdata.len - RDATA_FIXED));
    kbv_writer_octets(w, rdata.p + RDATA_FIXED, rdata.len - RDATA_FIXED);
}

enum kbv_err kbv_tlsa_associations(const struct kbv_rrset *rrset, bool pkix, uint8_t *out,
                                   size_t cap, size_t *len)
{
    /* As encoded the records are longer than their RDATA, so one limit holds both. */
    struct kbv_writer w =
        kbv_writer_on(out, cap < KBV_ASSOCIATIONS_MAX ? cap : KBV_ASSOCIATIONS_MAX);
    struct kbv_slice records[KBV_TLSA_MAX];
    size_t n;

    if (!sort_records(rrset, records, &n))
        return KBV_ERR_LIMIT;
    for (size_t i = 0; i < n; i++) {
        if (is_usable(records[i], pkix))
            write_association(&w, records[i]);
    }
    if (w.failed)
        return KBV_ERR_LIMIT;
    *len = w.len;
    return KBV_OK;
}

enum kbv_err kbv_tlsa_hash(const struct kbv_rrset *rrset, uint8_t out[KBV_RRSET_HASH_LEN])
{
    struct kbv_slice records[KBV_TLSA_MAX], parts[2 * KBV_TLSA_MAX];
    uint8_t lengths[2 * KBV_TLSA_MAX], digest[KBV_DIGEST_LEN];
    struct kbv_writer w = kbv_writer_on(lengths, sizeof(lengths));
    size_t n;

    if (!sort_records(rrset, records, &n))
        return KBV_ERR_LIMIT;
    for (size_t i = 0; i < n; i++) {
        parts[2 * i] = (struct kbv_slice){lengths + w.len, 2};
        parts[2 * i + 1] = records[i];
        kbv_writer_u16(&w, (uint16_t)records[i].len);
    }
    kbv_sha256(parts, 2 * n, digest);
    memcpy(out, digest, KBV_RRSET_HASH_LEN);
    return KBV_OK;
}
