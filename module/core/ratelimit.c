/* SPDX-License-Identifier: BSD-3-Clause */
/* See ratelimit.h. */
#include "module/core/ratelimit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "module/core/sha256.h"

enum { ROWS = 2, COUNTERS = 4096 }; /* COUNTERS: 2^12 */

/* Threads look at their clocks once a round of their event loops. */
enum { CLOCKS_APART_S = 5 };

struct kbv_ratelimit {
    uint32_t per_second;
    uint8_t secret[KBV_RATELIMIT_SECRET_LEN];
    atomic_uint_fast64_t taken, refused;
    pthread_mutex_t lock;
    /* Under the lock: of one second. */
    int64_t second;
    uint64_t all;
    uint32_t counters[ROWS][COUNTERS];
};

struct kbv_asker kbv_asker_at(const uint8_t *address, size_t len)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    struct kbv_asker client = {{0}};

    if (len == 16 && memcmp(address, mapped, sizeof(mapped)) == 0) {
        address += sizeof(mapped);
        len = 4;
    }
    if (len == 4) {
        client.octets[0] = 4;
        memcpy(client.octets + 1, address, 4);
    } else if (len == 16) {
        client.octets[0] = 6;
        memcpy(client.octets + 1, address, 8);
    }
    return client;
}

struct kbv_ratelimit *kbv_ratelimit_create(uint32_t per_second,
                                           const uint8_t secret[KBV_RATELIMIT_SECRET_LEN])
{
    struct kbv_ratelimit *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return NULL;
    if (pthread_mutex_init(&r->lock, NULL) != 0) {
        free(r);
        return NULL;
    }
    r->per_second = per_second;
    memcpy(r->secret, secret, sizeof(r->secret));
    atomic_init(&r->taken, 0);
    atomic_init(&r->refused, 0);
    return r;
}

void kbv_ratelimit_delete(struct kbv_ratelimit *r)
{
    if (r == NULL)
        return;
    pthread_mutex_destroy(&r->lock);
    free(r);
}

/* What tells clients apart, and nobody but us can compute. */
static void client_hash(const struct kbv_ratelimit *r, const struct kbv_asker *client,
                        uint64_t hash[ROWS])
{
    const struct kbv_slice parts[] = {{r->secret, sizeof(r->secret)},
                                      {client->octets, sizeof(client->octets)}};
    uint8_t digest[KBV_DIGEST_LEN];

    kbv_sha256(parts, 2, digest);
    memcpy(hash, digest, ROWS * sizeof(hash[0]));
}

/* Spreads a secret number anew each second: the finalizer of splitmix64 (Steele, Lea, Flood 2014).
 */
static size_t counter_at(uint64_t hash, int64_t second)
{
    uint64_t x = hash + (uint64_t)second * UINT64_C(0x9E3779B97F4A7C15);

    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return (size_t)((x ^ x >> 31) % COUNTERS);
}

/* With the lock. */
static void turn_to(struct kbv_ratelimit *r, int64_t now)
{
    if (now <= r->second && now >= r->second - CLOCKS_APART_S)
        return;
    r->second = now;
    r->all = 0;
    memset(r->counters, 0, sizeof(r->counters));
}

/* With the lock. */
static bool is_left(const struct kbv_ratelimit *r, const uint64_t hash[ROWS])
{
    return r->all < (uint64_t)r->per_second * KBV_RATELIMIT_ALL &&
           (r->counters[0][counter_at(hash[0], r->second)] < r->per_second ||
            r->counters[1][counter_at(hash[1], r->second)] < r->per_second);
}

/* With the lock. */
static void count(struct kbv_ratelimit *r, const uint64_t hash[ROWS], uint32_t n)
{
    r->all += n;
    for (size_t row = 0; row < ROWS; row++) {
        uint32_t *counter = &r->counters[row][counter_at(hash[row], r->second)];
        *counter = n > UINT32_MAX - *counter ? UINT32_MAX : *counter + n;
    }
}

bool kbv_ratelimit_take(struct kbv_ratelimit *r, const struct kbv_asker *client, int64_t now)
{
    uint64_t hash[ROWS];
    bool taken = true;

    if (r->per_second != 0) {
        client_hash(r, client, hash);
        pthread_mutex_lock(&r->lock);
        turn_to(r, now);
        taken = is_left(r, hash);
        if (taken)
            count(r, hash, 1);
        pthread_mutex_unlock(&r->lock);
    }
    atomic_fetch_add_explicit(taken ? &r->taken : &r->refused, 1, memory_order_relaxed);
    return taken;
}

void kbv_ratelimit_charge(struct kbv_ratelimit *r, const struct kbv_asker *client, uint32_t more,
                          int64_t now)
{
    uint64_t hash[ROWS];

    if (r->per_second == 0 || more == 0)
        return;
    if (more > r->per_second)
        more = r->per_second;
    client_hash(r, client, hash);
    pthread_mutex_lock(&r->lock);
    turn_to(r, now);
    count(r, hash, more);
    pthread_mutex_unlock(&r->lock);
}

struct kbv_ratelimit_counts kbv_ratelimit_counts(const struct kbv_ratelimit *r)
{
    return (struct kbv_ratelimit_counts){
        atomic_load_explicit(&r->taken, memory_order_relaxed),
        atomic_load_explicit(&r->refused, memory_order_relaxed),
    };
}
