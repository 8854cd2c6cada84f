/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is dear to make again, kept for a while: a table of fixed size from a key to a few octets.
 *
 * It holds no verdicts. The judge keeps in it what kbv_dane_verify() found for one record, one
 * chain and one question, a function of nothing but what is in the key and of the time, whose
 * limits stand in the entry. Everything else a verdict says is worked out again, so that with the
 * table and without it every verdict is the same, and kbv_judge_keyed() stays the one function that
 * can produce BOUND. Beside it stand signatures over verdicts that are worked out to be the same
 * again, see sign.h. Keys of the one kind and the other never meet.
 *
 * Keys are 256 bits of SHA-256 over a secret and everything that the value depends on: nobody can
 * look for two that meet, nor for many that fall into one place. They are compared whole.
 *
 * Memory: one block, never more than was asked for, keys and all. Places are in sets of eight, a
 * new entry takes a place of its set: a free or outlived one, else that of an entry that was asked
 * for least of late. What was asked for once only goes first, so that a flood of new keys pushes
 * out other such keys and not what is in use.
 *
 * Any thread may call. A lock covers a part of the sets and is a leaf: nothing is called or
 * allocated while it is held, but copying and comparing octets.
 */
#ifndef KBV_CORE_CACHE_H
#define KBV_CORE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kbv/name.h>

#define KBV_CACHE_KEY_LEN    32
#define KBV_CACHE_SECRET_LEN 32
#define KBV_CACHE_VALUE_MAX  128
#define KBV_CACHE_LEAST      (16 * 1024) /* octets that a table needs */
#define KBV_CACHE_MOST       (1024 * 1024 * 1024)

struct kbv_cache;

/* size: octets in all, KBV_CACHE_LEAST to KBV_CACHE_MOST. value_len: of the longest value, at most
 * KBV_CACHE_VALUE_MAX. secret: random octets that no client knows. NULL: no memory, or other sizes.
 * Free with kbv_cache_delete(), which accepts NULL. */
struct kbv_cache *kbv_cache_create(size_t size, size_t value_len,
                                   const uint8_t secret[KBV_CACHE_SECRET_LEN]);
void kbv_cache_delete(struct kbv_cache *c);

#define KBV_CACHE_PARTS_MAX 16
/* The key of n parts, at most KBV_CACHE_PARTS_MAX, whose lengths count: two lists of parts have one
 * key only if they are equal. */
void kbv_cache_key(const struct kbv_cache *c, const struct kbv_slice *parts, size_t n,
                   uint8_t key[KBV_CACHE_KEY_LEN]);

/* True if there is an entry that holds at now [s]; then value is its first len octets, at most the
 * table's value_len. */
bool kbv_cache_get(struct kbv_cache *c, const uint8_t key[KBV_CACHE_KEY_LEN], int64_t now,
                   void *value, size_t len);

/* Keeps a value of len octets, at most the table's value_len, that holds from now on until until,
 * which is not in it any more [s]. One that does not hold at now is not kept. An entry with that
 * key is replaced. Never fails. */
void kbv_cache_put(struct kbv_cache *c, const uint8_t key[KBV_CACHE_KEY_LEN], int64_t now,
                   int64_t until, const void *value, size_t len);

/* Forgets all entries. */
void kbv_cache_flush(struct kbv_cache *c);

struct kbv_cache_counts {
    uint64_t hits, misses;
    size_t entries, bytes; /* bytes: of entries and the table's own, never more than its size */
};
struct kbv_cache_counts kbv_cache_counts(const struct kbv_cache *c);

#endif
