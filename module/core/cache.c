/* SPDX-License-Identifier: BSD-3-Clause */
/* See cache.h. */
#include "module/core/cache.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "module/core/sha256.h"

enum { WAYS = 8, LOCKS = 64, USES_MAX = 3 };

struct entry {
    uint8_t key[KBV_CACHE_KEY_LEN];
    int64_t from, until; /* until 0: a free place */
    uint8_t uses;        /* of late, up to USES_MAX */
    uint8_t value[];
};

struct kbv_cache {
    size_t value_len, stride; /* octets of a value, and of an entry */
    size_t n_sets;
    uint8_t secret[KBV_CACHE_SECRET_LEN];
    atomic_uint_fast64_t hits, misses;
    atomic_size_t entries;
    pthread_mutex_t locks[LOCKS]; /* set i is under locks[i % LOCKS] */
    /* From the system in zeroed pages, of which those never written to cost no memory. */
    uint8_t *sets;
};

struct kbv_cache *kbv_cache_create(size_t size, size_t value_len,
                                   const uint8_t secret[KBV_CACHE_SECRET_LEN])
{
    const size_t align = _Alignof(struct entry);
    struct kbv_cache *c;

    if (size < KBV_CACHE_LEAST || size > KBV_CACHE_MOST || value_len > KBV_CACHE_VALUE_MAX)
        return NULL;
    c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->value_len = value_len;
    c->stride = (offsetof(struct entry, value) + value_len + align - 1) / align * align;
    c->n_sets = (size - sizeof(*c)) / (WAYS * c->stride);
    memcpy(c->secret, secret, sizeof(c->secret));
    c->sets = calloc(c->n_sets, WAYS * c->stride);
    if (c->sets == NULL) {
        free(c);
        return NULL;
    }
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&c->locks[i], NULL); /* cannot fail without attributes */
    return c;
}

void kbv_cache_delete(struct kbv_cache *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&c->locks[i]);
    free(c->sets);
    free(c);
}

void kbv_cache_key(const struct kbv_cache *c, const struct kbv_slice *parts, size_t n,
                   uint8_t key[KBV_CACHE_KEY_LEN])
{
    struct kbv_slice all[2 + KBV_CACHE_PARTS_MAX];
    uint8_t lengths[4 * KBV_CACHE_PARTS_MAX];
    struct kbv_writer w = kbv_writer_on(lengths, sizeof(lengths));

    assert(n <= KBV_CACHE_PARTS_MAX);
    for (size_t i = 0; i < n; i++) {
        kbv_writer_u32(&w, (uint32_t)parts[i].len);
        all[2 + i] = parts[i];
    }
    all[0] = (struct kbv_slice){c->secret, sizeof(c->secret)};
    all[1] = (struct kbv_slice){lengths, w.len};
    kbv_sha256(all, 2 + n, key);
}

/* ---- one set ---- */

static size_t set_of(const struct kbv_cache *c, const uint8_t key[KBV_CACHE_KEY_LEN])
{
    uint64_t x;

    memcpy(&x, key, sizeof(x));
    return (size_t)(x % c->n_sets);
}

static struct entry *entry_at(const struct kbv_cache *c, size_t set, size_t way)
{
    return (struct entry *)(c->sets + (set * WAYS + way) * c->stride);
}

static bool is_free(const struct entry *e)
{
    return e->until == 0;
}

static bool has_key(const struct entry *e, const uint8_t key[KBV_CACHE_KEY_LEN])
{
    return !is_free(e) && memcmp(e->key, key, KBV_CACHE_KEY_LEN) == 0;
}

/* With the lock; NULL: there is none. */
static struct entry *find(const struct kbv_cache *c, size_t set,
                          const uint8_t key[KBV_CACHE_KEY_LEN])
{
    for (size_t way = 0; way < WAYS; way++)
        if (has_key(entry_at(c, set, way), key))
            return entry_at(c, set, way);
    return NULL;
}

/* Of two entries the one to give up first: the less used, then the older one. */
static bool is_less_worth(const struct entry *a, const struct entry *b)
{
    return a->uses != b->uses ? a->uses < b->uses : a->from < b->from;
}

/* With the lock: a place for a new entry, which is in use still if all are. */
static struct entry *place(const struct kbv_cache *c, size_t set, int64_t now)
{
    struct entry *least = entry_at(c, set, 0);
    uint8_t uses;

    for (size_t way = 0; way < WAYS; way++) {
        struct entry *e = entry_at(c, set, way);

        if (is_free(e) || now >= e->until)
            return e;
        if (is_less_worth(e, least))
            least = e;
    }
    /* Past use wears off as new entries come. */
    uses = least->uses;
    for (size_t way = 0; way < WAYS; way++)
        entry_at(c, set, way)->uses = (uint8_t)(entry_at(c, set, way)->uses - uses);
    return least;
}

/* ---- the table ---- */

bool kbv_cache_get(struct kbv_cache *c, const uint8_t key[KBV_CACHE_KEY_LEN], int64_t now,
                   void *value, size_t len)
{
    const size_t set = set_of(c, key);
    struct entry *e;
    bool hit;

    assert(len <= c->value_len);
    pthread_mutex_lock(&c->locks[set % LOCKS]);
    e = find(c, set, key);
    hit = e != NULL && now >= e->from && now < e->until;
    if (hit) {
        memcpy(value, e->value, len);
        if (e->uses < USES_MAX)
            e->uses++;
    }
    pthread_mutex_unlock(&c->locks[set % LOCKS]);
    atomic_fetch_add_explicit(hit ? &c->hits : &c->misses, 1, memory_order_relaxed);
    return hit;
}

void kbv_cache_put(struct kbv_cache *c, const uint8_t key[KBV_CACHE_KEY_LEN], int64_t now,
                   int64_t until, const void *value, size_t len)
{
    const size_t set = set_of(c, key);
    struct entry *e;

    assert(len <= c->value_len);
    if (until <= now || until == 0)
        return;
    pthread_mutex_lock(&c->locks[set % LOCKS]);
    e = find(c, set, key);
    if (e == NULL) {
        e = place(c, set, now);
        if (is_free(e))
            atomic_fetch_add_explicit(&c->entries, 1, memory_order_relaxed);
        memcpy(e->key, key, sizeof(e->key));
        e->uses = 0;
    }
    e->from = now;
    e->until = until;
    memcpy(e->value, value, len);
    pthread_mutex_unlock(&c->locks[set % LOCKS]);
}

void kbv_cache_flush(struct kbv_cache *c)
{
    for (size_t set = 0; set < c->n_sets; set++) {
        pthread_mutex_lock(&c->locks[set % LOCKS]);
        for (size_t way = 0; way < WAYS; way++) {
            struct entry *e = entry_at(c, set, way);

            if (is_free(e))
                continue;
            e->until = 0;
            atomic_fetch_sub_explicit(&c->entries, 1, memory_order_relaxed);
        }
        pthread_mutex_unlock(&c->locks[set % LOCKS]);
    }
}

struct kbv_cache_counts kbv_cache_counts(const struct kbv_cache *c)
{
    const size_t entries = atomic_load_explicit(&c->entries, memory_order_relaxed);

    return (struct kbv_cache_counts){
        .hits = atomic_load_explicit(&c->hits, memory_order_relaxed),
        .misses = atomic_load_explicit(&c->misses, memory_order_relaxed),
        .entries = entries,
        .bytes = sizeof(*c) + entries * c->stride,
    };
}
