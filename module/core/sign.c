/* SPDX-License-Identifier: BSD-3-Clause */
/* See sign.h. */
#include "module/core/sign.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "module/core/sha256.h"

/* Where the times stand in a verdict: docs/verdict-format.md section 3. */
enum { ISSUED = 8, NOT_AFTER = 12, TIMES_END = 16 };

enum { AUTH_ED25519 = 1 };

struct kbv_signer {
    EVP_PKEY *pkey;
    struct kbv_verdict_key key;
    uint8_t id[KBV_KEY_ID_LEN];
    atomic_uint_fast64_t made, repeated, failed;
};

/* Of a verdict that was signed. */
struct kept {
    uint32_t issued, not_after;
    uint8_t signature[KBV_SIGN_SIGNATURE_LEN];
};
const size_t kbv_sign_kept_len = sizeof(struct kept);

/* ---- the key ---- */

static bool sign(const struct kbv_signer *s, const uint8_t *message, size_t len,
                 uint8_t signature[KBV_SIGN_SIGNATURE_LEN])
{
    size_t signature_len = KBV_SIGN_SIGNATURE_LEN;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, s->pkey) == 1 &&
              EVP_DigestSign(ctx, signature, &signature_len, message, len) == 1 &&
              signature_len == KBV_SIGN_SIGNATURE_LEN;

    EVP_MD_CTX_free(ctx);
    return ok;
}

/* A libcrypto may know the key and not the algorithm, or go about it wrongly: better known now. */
static bool signs_well(const struct kbv_signer *s)
{
    static const uint8_t message[] = KBV_SIGN_CONTEXT;
    uint8_t signature[KBV_SIGN_SIGNATURE_LEN];
    EVP_PKEY *public =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, s->key.octets, sizeof(s->key.octets));
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = public != NULL && ctx != NULL && sign(s, message, sizeof(message), signature) &&
              EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, public) == 1 &&
              EVP_DigestVerify(ctx, signature, sizeof(signature), message, sizeof(message)) == 1;

    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(public);
    return ok;
}

static bool take_key(struct kbv_signer *s, const uint8_t seed[KBV_SIGN_SEED_LEN])
{
    const struct kbv_slice key = {s->key.octets, sizeof(s->key.octets)};
    uint8_t digest[KBV_DIGEST_LEN];
    size_t len = sizeof(s->key.octets);

    s->pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, KBV_SIGN_SEED_LEN);
    if (s->pkey == NULL || EVP_PKEY_get_raw_public_key(s->pkey, s->key.octets, &len) != 1 ||
        len != sizeof(s->key.octets) || !signs_well(s))
        return false;
    kbv_sha256(&key, 1, digest);
    memcpy(s->id, digest, sizeof(s->id));
    return true;
}

struct kbv_signer *kbv_signer_create(const uint8_t seed[KBV_SIGN_SEED_LEN])
{
    struct kbv_signer *s = calloc(1, sizeof(*s));
    bool ok;

    if (s == NULL)
        return NULL;
    atomic_init(&s->made, 0);
    atomic_init(&s->repeated, 0);
    atomic_init(&s->failed, 0);
    ERR_set_mark();
    ok = take_key(s, seed);
    ERR_pop_to_mark();
    if (ok)
        return s;
    kbv_signer_delete(s);
    return NULL;
}

void kbv_signer_delete(struct kbv_signer *s)
{
    if (s == NULL)
        return;
    EVP_PKEY_free(s->pkey); /* OpenSSL clears the private key */
    free(s);
}

const struct kbv_verdict_key *kbv_signer_key(const struct kbv_signer *s)
{
    return &s->key;
}

/* ---- verdicts ---- */

/* What is signed: the context and its NUL, the verdict; then room for the signature. */
struct message {
    uint8_t octets[sizeof(KBV_SIGN_CONTEXT) + KBV_SIGN_VERDICT_MAX];
    size_t len; /* of the verdict, its signature included */
};

static uint8_t *verdict_in(struct message *m)
{
    return m->octets + sizeof(KBV_SIGN_CONTEXT);
}

static uint8_t *signature_in(struct message *m)
{
    return verdict_in(m) + m->len - KBV_SIGN_SIGNATURE_LEN;
}

/* All but the signature. */
static enum kbv_err write_message(const struct kbv_signer *s, const struct kbv_verdict *v,
                                  struct message *m)
{
    static const uint8_t none[KBV_SIGN_SIGNATURE_LEN];
    struct kbv_verdict to_sign = *v;

    to_sign.auth = AUTH_ED25519;
    memcpy(to_sign.key_id, s->id, sizeof(to_sign.key_id));
    to_sign.signature = (struct kbv_slice){none, sizeof(none)};
    memcpy(m->octets, KBV_SIGN_CONTEXT, sizeof(KBV_SIGN_CONTEXT));
    return kbv_verdict_encode(&to_sign, verdict_in(m), KBV_SIGN_VERDICT_MAX, &m->len);
}

static enum kbv_err sign_message(struct kbv_signer *s, const struct kbv_sign_leave *leave,
                                 struct message *m)
{
    bool ok;

    if (leave != NULL && !leave->ask(leave->arg))
        return KBV_ERR_UNSUPPORTED;
    ERR_set_mark();
    ok = sign(s, m->octets, sizeof(KBV_SIGN_CONTEXT) + m->len - KBV_SIGN_SIGNATURE_LEN,
              signature_in(m));
    ERR_pop_to_mark();
    atomic_fetch_add_explicit(ok ? &s->made : &s->failed, 1, memory_order_relaxed);
    return ok ? KBV_OK : KBV_ERR_NOMEM;
}

/* The key of everything that a verdict says but its times, and of who signs it. */
static void kept_key(const struct kbv_signer *s, const struct kbv_cache *kept, struct message *m,
                     uint8_t key[KBV_CACHE_KEY_LEN])
{
    static const char what[] = "signature";
    const uint8_t *octets = verdict_in(m);
    const struct kbv_slice parts[] = {
        {(const uint8_t *)what, sizeof(what)},
        {s->key.octets, sizeof(s->key.octets)},
        {octets, ISSUED},
        {octets + TIMES_END, m->len - KBV_SIGN_SIGNATURE_LEN - TIMES_END},
    };

    kbv_cache_key(kept, parts, sizeof(parts) / sizeof(parts[0]), key);
}

/* A verdict given before may be given again while it holds, if what it rests on holds at least as
 * long now. One of which most is over is made anew: who asks ahead of time wants a later T. */
static bool is_as_good(const struct kept *k, const struct kbv_verdict *v, int64_t now)
{
    const uint32_t left_then = k->not_after - (uint32_t)now,
                   left_now = v->not_after - (uint32_t)now;

    return !kbv_time_before((uint32_t)now, k->issued) &&
           !kbv_time_before(k->not_after, (uint32_t)now) && left_then <= left_now &&
           left_then >= left_now / 2;
}

/* Times and signature of k into the message. */
static void repeat(const struct kept *k, struct message *m)
{
    struct kbv_writer w = kbv_writer_on(verdict_in(m) + ISSUED, TIMES_END - ISSUED);

    kbv_writer_u32(&w, k->issued);
    kbv_writer_u32(&w, k->not_after);
    memcpy(signature_in(m), k->signature, sizeof(k->signature));
}

/* If the message is signed *v has its times. */
static enum kbv_err sign_or_repeat(struct kbv_signer *s, struct kbv_cache *kept,
                                   const struct kbv_sign_leave *leave, int64_t now,
                                   struct kbv_verdict *v, struct message *m)
{
    const uint32_t life = v->not_after - (uint32_t)now;
    uint8_t key[KBV_CACHE_KEY_LEN];
    enum kbv_err err;
    struct kept k;

    kept_key(s, kept, m, key);
    if (kbv_cache_get(kept, key, now, &k, sizeof(k)) && is_as_good(&k, v, now)) {
        repeat(&k, m);
        v->issued = k.issued;
        v->not_after = k.not_after;
        atomic_fetch_add_explicit(&s->repeated, 1, memory_order_relaxed);
        return KBV_OK;
    }
    err = sign_message(s, leave, m);
    if (err != KBV_OK)
        return err;
    k = (struct kept){.issued = v->issued, .not_after = v->not_after};
    memcpy(k.signature, signature_in(m), sizeof(k.signature));
    /* One without a lifetime serves for the second that it was made in. */
    kbv_cache_put(kept, key, now, now + (life != 0 && life <= INT32_MAX ? life : 1), &k, sizeof(k));
    return KBV_OK;
}

enum kbv_err kbv_sign_verdict(struct kbv_signer *s, struct kbv_cache *kept,
                              const struct kbv_sign_leave *leave, int64_t now,
                              struct kbv_verdict *v, uint8_t *out, size_t cap, size_t *len)
{
    struct message m;
    enum kbv_err err = write_message(s, v, &m);

    if (err != KBV_OK)
        return err;
    if (m.len > cap)
        return KBV_ERR_SPACE;
    err = kept != NULL && v->nonce.p == NULL ? sign_or_repeat(s, kept, leave, now, v, &m)
                                             : sign_message(s, leave, &m);
    if (err != KBV_OK)
        return err;
    memcpy(out, verdict_in(&m), m.len);
    *len = m.len;
    return KBV_OK;
}

struct kbv_sign_counts kbv_sign_counts(const struct kbv_signer *s)
{
    return (struct kbv_sign_counts){
        .made = atomic_load_explicit(&s->made, memory_order_relaxed),
        .repeated = atomic_load_explicit(&s->repeated, memory_order_relaxed),
        .failed = atomic_load_explicit(&s->failed, memory_order_relaxed),
    };
}
