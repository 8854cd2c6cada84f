/* SPDX-License-Identifier: BSD-3-Clause */
/* See endpoint.h. */
#include "module/core/endpoint.h"

#include <string.h>

static int compare(unsigned a, unsigned b)
{
    return (a > b) - (a < b);
}

struct kbv_rank kbv_rank_below(const struct kbv_rank *base, unsigned depth, uint16_t order,
                               uint16_t preference)
{
    struct kbv_rank rank = *base;

    if (depth == 0) {
        rank.order = order;
        rank.preference = preference;
    } else if (depth <= KBV_MAX_HOPS) {
        uint8_t *p = rank.deeper + 4 * (depth - 1);
        p[0] = (uint8_t)(order >> 8);
        p[1] = (uint8_t)order;
        p[2] = (uint8_t)(preference >> 8);
        p[3] = (uint8_t)preference;
    }
    return rank;
}

int kbv_rank_compare(const struct kbv_rank *a, const struct kbv_rank *b)
{
    int c = compare(a->order, b->order);

    return c ? c : compare(a->preference, b->preference);
}

static int endpoint_compare(const struct kbv_endpoint *a, const struct kbv_endpoint *b)
{
    int c = kbv_rank_compare(&a->rank, &b->rank);

    if (c == 0)
        c = compare(a->priority, b->priority);
    if (c == 0)
        c = compare(b->weight, a->weight);
    if (c == 0)
        c = memcmp(a->rank.deeper, b->rank.deeper, sizeof(a->rank.deeper));
    if (c == 0)
        c = compare(a->port, b->port);
    if (c == 0)
        c = kbv_name_compare(a->host, b->host);
    return c ? c : kbv_name_compare(a->via, b->via);
}

static bool same_place(const struct kbv_endpoint *a, const struct kbv_endpoint *b)
{
    return a->port == b->port && kbv_name_equal(a->host, a->host_len, b->host, b->host_len);
}

void kbv_endpoints_add(struct kbv_endpoints *list, const struct kbv_endpoint *new)
{
    size_t at;

    for (size_t i = 0; i < list->n; i++) {
        if (!same_place(&list->e[i], new))
            continue;
        if (endpoint_compare(new, &list->e[i]) >= 0)
            return;
        list->n--;
        memmove(&list->e[i], &list->e[i + 1], (list->n - i) * sizeof(*new));
        break;
    }
    for (at = list->n; at > 0 && endpoint_compare(new, &list->e[at - 1]) < 0; at--)
        ;
    if (list->n == KBV_MAX_ENDPOINTS) {
        list->more = true;
        if (at == list->n)
            return;
        list->n--;
    }
    memmove(&list->e[at + 1], &list->e[at], (list->n - at) * sizeof(*new));
    list->e[at] = *new;
    list->n++;
}

/* Total, so that the order of records in an RRset never matters. */
static int naptr_compare(const struct kbv_naptr *a, const struct kbv_naptr *b)
{
    int c = compare(a->order, b->order);

    if (c == 0)
        c = compare(a->preference, b->preference);
    if (c == 0)
        c = compare(a->use, b->use);
    if (c == 0)
        c = kbv_name_compare(a->name, b->name);
    return c ? c : compare(a->port, b->port);
}

static void naptrs_add(struct kbv_naptrs *list, const struct kbv_naptr *new)
{
    size_t at;

    for (at = list->n; at > 0 && naptr_compare(new, &list->r[at - 1]) < 0; at--)
        ;
    if (list->n == KBV_MAX_NAPTRS) {
        list->more = true;
        if (at == list->n)
            return;
        list->n--;
    }
    memmove(&list->r[at + 1], &list->r[at], (list->n - at) * sizeof(*new));
    list->r[at] = *new;
    list->n++;
}

void kbv_naptrs_read(const struct kbv_rrset *rrset, struct kbv_naptrs *out)
{
    out->n = 0;
    out->more = out->plain = false;
    for (size_t i = 0; i < rrset->n_rr; i++) {
        struct kbv_naptr r;

        kbv_naptr_read(rrset->rr[i], &r);
        if (r.use == KBV_NAPTR_PLAIN)
            out->plain = true;
        else if (r.use != KBV_NAPTR_DROP)
            naptrs_add(out, &r);
    }
}
