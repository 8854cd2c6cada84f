/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signatures over verdicts: Ed25519 (RFC 8032) over KBV_SIGN_CONTEXT, its NUL, and the verdict's
 * octets up to and with the key id (docs/verdict-format.md section 6). lib/sign.c verifies them.
 *
 * A signature costs about eighty microseconds, much more than all else in an answer from the cache.
 * So a verdict is signed once: RRs are kept with theirs in the message cache, and a signature over
 * what one client's option says is kept in the table of cache.h, for whoever is told the same
 * again. Only what holds a nonce is signed for each question.
 *
 * Any thread may call; the signer has no lock. Like dane.c this allocates, through OpenSSL; no
 * memory is an error, never a verdict without its signature.
 */
#ifndef KBV_CORE_SIGN_H
#define KBV_CORE_SIGN_H

#include <sys/types.h>

#include <kbv/sign.h>

#include "module/core/cache.h"

#define KBV_SIGN_SEED_LEN      32 /* octets of an Ed25519 private key, RFC 8032 section 5.1.5 */
#define KBV_SIGN_SIGNATURE_LEN 64

/* Octets that any verdict fits into, with its signature. */
#define KBV_SIGN_VERDICT_MAX (66 + KBV_ASSOCIATIONS_MAX + 8 * KBV_NAME_MAX + 512)

/* A key that signs. */
struct kbv_signer;

/* From a private key, RFC 8032 section 5.1.5. NULL: no memory, or a libcrypto that cannot sign with
 * Ed25519 what it then verifies. Free with kbv_signer_delete(), which accepts NULL and leaves
 * nothing of the key in memory. */
struct kbv_signer *kbv_signer_create(const uint8_t seed[KBV_SIGN_SEED_LEN]);
void kbv_signer_delete(struct kbv_signer *s);

/* From a file's text: PEM with one block, PRIVATE KEY, which holds an unencrypted Ed25519 key (RFC
 * 5958, RFC 8410). NULL: err holds a sentence, at most err_len octets with its NUL, that says what
 * it is and what it should be; never a part of the key. */
struct kbv_signer *kbv_signer_from_pem(const uint8_t *text, size_t len, char *err, size_t err_len);

/* As whom Unbound runs. */
struct kbv_reader_ids {
    uid_t uid;
    gid_t gid;
};

/* From the file at path, which must be root's or ids', and neither to be read nor written by
 * others; by the group ids.gid it may be read. NULL: err as above. I/O for the option table alone.
 */
struct kbv_signer *kbv_signer_load(const char *path, const struct kbv_reader_ids *ids, char *err,
                                   size_t err_len);

/* The public key, which consumers pin; its id is kbv_key_id()'s. */
const struct kbv_verdict_key *kbv_signer_key(const struct kbv_signer *s);

/* Octets of what kbv_sign_verdict() keeps in a table. */
extern const size_t kbv_sign_kept_len;

/* Whether a signature may be made, for whose sake arg knows; what is repeated needs no leave. */
struct kbv_sign_leave {
    bool (*ask)(void *arg);
    void *arg;
};

/*
 * Encodes *v, whatever its own auth says, with a signature of s into out, cap octets, and sets
 * *len.
 *
 * kept: a table, or NULL. From a table a verdict that says the same in all but its times may come
 * with the signature that it got then: judged before now, not yet over, and for no longer than *v
 * is, but for half as long at least. Then *v has its times. A verdict with a nonce is neither
 * looked for nor kept.
 *
 * leave: is asked once, and last of all, before one is made; NULL: no need to.
 *
 * KBV_ERR_SPACE, KBV_ERR_FORMAT: as kbv_verdict_encode(). KBV_ERR_UNSUPPORTED: leave said no.
 * KBV_ERR_NOMEM: it could not be signed. After an error out holds nothing of use and *v is as it
 * was.
 */
enum kbv_err kbv_sign_verdict(struct kbv_signer *s, struct kbv_cache *kept,
                              const struct kbv_sign_leave *leave, int64_t now,
                              struct kbv_verdict *v, uint8_t *out, size_t cap, size_t *len);

/* Signatures since s was made: those made, those repeated out of a table, and those that failed. */
struct kbv_sign_counts {
    uint64_t made, repeated, failed;
};
struct kbv_sign_counts kbv_sign_counts(const struct kbv_signer *s);

#endif
