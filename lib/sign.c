/* SPDX-License-Identifier: BSD-3-Clause */
#include <kbv/sign.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "lib/buf.h"
#include "lib/digest.h"

enum { AUTH_ED25519 = 1 };

/* What keeps a signature over a verdict from being one over anything else. */
static const char context[] = KBV_SIGN_CONTEXT; /* its NUL is a part of it */

const char *kbv_signature_text(enum kbv_signature signature)
{
    switch (signature) {
#define TEXT(name, text)                                                                           \
    case KBV_SIGNATURE_##name:                                                                     \
        return text;
        KBV_SIGNATURE_TABLE(TEXT)
#undef TEXT
    }
    return "it is unknown what the signature is worth";
}

void kbv_key_id(const uint8_t key[KBV_VERDICT_KEY_LEN], uint8_t id[KBV_KEY_ID_LEN])
{
    uint8_t digest[KBV_DIGEST_LEN];

    kbv_digest_sha256((struct kbv_slice){key, KBV_VERDICT_KEY_LEN}, digest);
    memcpy(id, digest, KBV_KEY_ID_LEN);
}

/* Anything but 1 is no valid signature, an error of libcrypto's too. */
static enum kbv_signature verify(const struct kbv_verdict *v, const struct kbv_verdict_key *key,
                                 const uint8_t *message, size_t len)
{
    EVP_PKEY *pkey =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->octets, sizeof(key->octets));
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    enum kbv_signature found = KBV_SIGNATURE_FAILED;

    if (pkey && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1)
        found = EVP_DigestVerify(ctx, v->signature.p, v->signature.len, message, len) == 1
                    ? KBV_SIGNATURE_VALID
                    : KBV_SIGNATURE_WRONG;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return found;
}

/* Key ids are short: several pinned keys may have the same one. */
static enum kbv_signature try_keys(const struct kbv_verdict *v, const struct kbv_verdict_key *keys,
                                   size_t n, const uint8_t *message, size_t len)
{
    enum kbv_signature found = KBV_SIGNATURE_UNKNOWN_KEY;

    for (size_t i = 0; i < n && found != KBV_SIGNATURE_VALID; i++) {
        uint8_t id[KBV_KEY_ID_LEN];

        kbv_key_id(keys[i].octets, id);
        if (memcmp(id, v->key_id, sizeof(id)) == 0)
            found = verify(v, &keys[i], message, len);
    }
    return found;
}

enum kbv_signature kbv_verdict_verify(const struct kbv_verdict *v,
                                      const struct kbv_verdict_key *keys, size_t n)
{
    size_t len = sizeof(context) + v->signed_octets.len;
    enum kbv_signature found;
    uint8_t *message;

    if (v->auth != AUTH_ED25519 || !v->signature.p || !v->signed_octets.p)
        return KBV_SIGNATURE_ABSENT;
    message = malloc(len);
    if (!message)
        return KBV_SIGNATURE_FAILED;
    memcpy(message, context, sizeof(context));
    memcpy(message + sizeof(context), v->signed_octets.p, v->signed_octets.len);
    ERR_set_mark(); /* what is wrong with a verdict is no error of the program's */
    found = try_keys(v, keys, n, message, len);
    ERR_pop_to_mark();
    free(message);
    return found;
}
