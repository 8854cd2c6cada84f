/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file of a signing key: who may read it, and what stands in it. What was read of it is cleared
 * before its memory is given back, whatever came of it; OpenSSL clears what it allocated.
 */
#define _GNU_SOURCE /* memmem() */
#include "module/core/sign.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/asn1.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A key that kbv keygen made has 119 octets; text for people may stand beside it. */
enum { FILE_MAX = 16 * 1024 };

#define EXPECTED "expected an Ed25519 key in PKCS#8 without passphrase, as kbv keygen makes it"

/* Where a message goes. */
struct complaint {
    char *text;
    size_t len;
};

static bool refuse(const struct complaint *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool refuse(const struct complaint *c, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(c->text, c->len, format, args);
    va_end(args);
    return false;
}

/* ---- PEM (RFC 7468), which OpenSSL would leave in memory ---- */

/* A block, in place in the file's text. */
struct block {
    struct kbv_slice label, body;
};

enum block_found { BLOCK_NONE, BLOCK_ONE, BLOCK_MALFORMED };

/* The next line without its end; false at the end of the text. */
static bool next_line(struct kbv_slice *text, struct kbv_slice *line)
{
    const uint8_t *end = text->len > 0 ? memchr(text->p, '\n', text->len) : NULL;
    const size_t len = end != NULL ? (size_t)(end - text->p) : text->len;

    if (text->len == 0)
        return false;
    *line = (struct kbv_slice){text->p, len};
    text->p += end != NULL ? len + 1 : len;
    text->len -= end != NULL ? len + 1 : len;
    while (line->len > 0 && memchr("\r \t", line->p[line->len - 1], 3) != NULL)
        line->len--;
    return true;
}

/* "-----BEGIN LABEL-----", or END: its label. */
static bool is_boundary(const struct kbv_slice *line, const char *begin, struct kbv_slice *label)
{
    static const char dashes[] = "-----";
    const size_t before = strlen(begin), after = sizeof(dashes) - 1;

    if (line->len < before + after || memcmp(line->p, begin, before) != 0 ||
        memcmp(line->p + line->len - after, dashes, after) != 0)
        return false;
    *label = (struct kbv_slice){line->p + before, line->len - before - after};
    return true;
}

static bool is_label(const struct kbv_slice *label, const char *text)
{
    return label->len == strlen(text) && memcmp(label->p, text, label->len) == 0;
}

/* The next block of the text; what is said around it does not matter. */
static enum block_found next_block(struct kbv_slice *text, struct block *b)
{
    struct kbv_slice line, label;

    do {
        if (!next_line(text, &line))
            return BLOCK_NONE;
    } while (!is_boundary(&line, "-----BEGIN ", &b->label));
    b->body = (struct kbv_slice){text->p, 0};
    while (next_line(text, &line)) {
        if (is_boundary(&line, "-----END ", &label))
            return label.len == b->label.len && memcmp(label.p, b->label.p, label.len) == 0
                       ? BLOCK_ONE
                       : BLOCK_MALFORMED;
        b->body.len = (size_t)(text->p - b->body.p);
    }
    return BLOCK_MALFORMED;
}

/* Base64 without blanks, padded, as EVP_DecodeBlock() wants it; how many octets, or 0. */
static size_t from_base64(struct kbv_slice body, char base64[FILE_MAX], uint8_t out[FILE_MAX])
{
    size_t n = 0, padding = 0;
    int len;

    for (size_t i = 0; i < body.len; i++) {
        if (memchr("\r\n \t", body.p[i], 4) != NULL)
            continue;
        if (padding > 0 && body.p[i] != '=')
            return 0;
        padding += body.p[i] == '=';
        base64[n++] = (char)body.p[i];
    }
    if (n == 0 || n % 4 != 0 || padding > 2)
        return 0;
    len = EVP_DecodeBlock(out, (const unsigned char *)base64, (int)n);
    return len > 0 && (size_t)len > padding ? (size_t)len - padding : 0;
}

/* ---- what stands in it ---- */

/* RFC 7468 section 10: of unencrypted PKCS#8 the label is PRIVATE KEY. */
static bool check_label(const struct block *b, const struct complaint *c)
{
    if (is_label(&b->label, "ENCRYPTED PRIVATE KEY") ||
        memmem(b->body.p, b->body.len, "ENCRYPTED", 9) != NULL)
        return refuse(c,
                      "the key is encrypted, and nobody is there to give a passphrase: " EXPECTED);
    if (is_label(&b->label, "PRIVATE KEY"))
        return true;
    for (size_t i = 0; i < b->label.len; i++)
        if (b->label.p[i] < ' ' || b->label.p[i] > '~')
            return refuse(c, "the file holds no key: " EXPECTED);
    return refuse(c, "the file holds a %.*s: " EXPECTED, b->label.len < 40 ? (int)b->label.len : 40,
                  (const char *)b->label.p);
}

/* RFC 8410 sections 3 and 7: no parameters, and an octet string in the octet string. */
static bool take_seed(const PKCS8_PRIV_KEY_INFO *info, uint8_t seed[KBV_SIGN_SEED_LEN],
                      const struct complaint *c)
{
    enum { OCTET_STRING = 0x04 };
    const ASN1_OBJECT *oid = NULL;
    const unsigned char *key = NULL;
    const X509_ALGOR *algorithm = NULL;
    int len = 0, parameters = 0;
    char name[60];

    if (PKCS8_pkey_get0(&oid, &key, &len, &algorithm, info) != 1)
        return refuse(c, "the key is malformed: " EXPECTED);
    if (OBJ_obj2nid(oid) != NID_ED25519) {
        OBJ_obj2txt(name, sizeof(name), oid, 0);
        return refuse(c, "the key is of type %s: " EXPECTED, name);
    }
    X509_ALGOR_get0(NULL, &parameters, NULL, algorithm);
    if (parameters != V_ASN1_UNDEF || len != 2 + KBV_SIGN_SEED_LEN || key[0] != OCTET_STRING ||
        key[1] != KBV_SIGN_SEED_LEN)
        return refuse(c, "the key is malformed: " EXPECTED);
    memcpy(seed, key + 2, KBV_SIGN_SEED_LEN);
    return true;
}

static bool seed_of(const struct block *b, uint8_t seed[KBV_SIGN_SEED_LEN],
                    const struct complaint *c)
{
    char base64[FILE_MAX];
    uint8_t der[FILE_MAX];
    const size_t len = from_base64(b->body, base64, der);
    const unsigned char *p = der;
    PKCS8_PRIV_KEY_INFO *info = len > 0 ? d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)len) : NULL;
    bool ok;

    if (len == 0)
        ok = refuse(c, "the PEM block in the file cannot be read: " EXPECTED);
    else if (info == NULL || p != der + len)
        ok = refuse(c, "the key is malformed: " EXPECTED);
    else
        ok = take_seed(info, seed, c);
    PKCS8_PRIV_KEY_INFO_free(info); /* clears it */
    OPENSSL_cleanse(der, sizeof(der));
    OPENSSL_cleanse(base64, sizeof(base64));
    return ok;
}

static bool read_blocks(struct kbv_slice text, uint8_t seed[KBV_SIGN_SEED_LEN],
                        const struct complaint *c)
{
    struct block b;

    switch (next_block(&text, &b)) {
    case BLOCK_NONE:
        return refuse(c, "there is no PEM block in the file: " EXPECTED);
    case BLOCK_MALFORMED:
        return refuse(c, "the PEM block in the file cannot be read: " EXPECTED);
    case BLOCK_ONE:
        break;
    }
    if (!check_label(&b, c) || !seed_of(&b, seed, c))
        return false;
    return next_block(&text, &b) == BLOCK_NONE ||
           refuse(c, "there is something else behind the key: expected one key and nothing else");
}

static struct kbv_signer *from_text(const uint8_t *text, size_t len, const struct complaint *c)
{
    uint8_t seed[KBV_SIGN_SEED_LEN];
    struct kbv_signer *s = NULL;

    if (len > FILE_MAX)
        refuse(c, "the file is too long for a key: " EXPECTED);
    else if (read_blocks((struct kbv_slice){text, len}, seed, c) &&
             (s = kbv_signer_create(seed)) == NULL)
        refuse(c, "no memory, or OpenSSL's libcrypto cannot sign with Ed25519");
    OPENSSL_cleanse(seed, sizeof(seed));
    return s;
}

struct kbv_signer *kbv_signer_from_pem(const uint8_t *text, size_t len, char *err, size_t err_len)
{
    const struct complaint c = {err, err_len};
    struct kbv_signer *s;

    s = from_text(text, len, &c);
    ERR_clear_error(); /* what is wrong with a key was said */
    return s;
}

/* ---- who may read it ---- */

static bool check_owner(const struct stat *st, const struct kbv_reader_ids *ids,
                        const struct complaint *c)
{
    const unsigned mode = st->st_mode & 07777;
    const bool by_group = st->st_mode & S_IRGRP;

    if (S_ISDIR(st->st_mode))
        return refuse(c, "it is a directory: expected a file that kbv keygen made");
    if (!S_ISREG(st->st_mode))
        return refuse(c, "it is no regular file: expected one that kbv keygen made");
    if (st->st_uid != 0 && st->st_uid != ids->uid)
        return refuse(
            c, "it belongs to user %lu: expected the user that Unbound runs as, %lu, or root",
            (unsigned long)st->st_uid, (unsigned long)ids->uid);
    if (mode & (S_IWGRP | S_IRWXO))
        return refuse(c,
                      "with mode %04o others may read or write it: expected 0600, or 0640 with the "
                      "group that Unbound runs as",
                      mode);
    if (by_group && st->st_gid != ids->gid)
        return refuse(c,
                      "with mode %04o group %lu may read it: expected 0600, or 0640 with the group "
                      "that Unbound runs as, %lu",
                      mode, (unsigned long)st->st_gid, (unsigned long)ids->gid);
    return true;
}

/* Not by stdio, whose buffer nobody clears. */
static bool read_all(int fd, uint8_t *text, size_t cap, size_t *len, const struct complaint *c)
{
    ssize_t n = 1;

    *len = 0;
    while (n > 0 && *len < cap) {
        n = read(fd, text + *len, cap - *len);
        if (n > 0)
            *len += (size_t)n;
        else if (n < 0 && errno == EINTR)
            n = 1;
    }
    return n >= 0 || refuse(c, "it cannot be read, %s", strerror(errno));
}

struct kbv_signer *kbv_signer_load(const char *path, const struct kbv_reader_ids *ids, char *err,
                                   size_t err_len)
{
    const struct complaint c = {err, err_len};
    uint8_t text[FILE_MAX + 1];
    struct kbv_signer *s = NULL;
    struct stat st;
    size_t len = 0;
    /* O_NONBLOCK: a FIFO must not hold up the start. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0) {
        refuse(&c, "it cannot be read, %s: expected a file that kbv keygen made", strerror(errno));
        return NULL;
    }
    if (fstat(fd, &st) != 0)
        refuse(&c, "it cannot be read, %s", strerror(errno));
    else if (check_owner(&st, ids, &c) && read_all(fd, text, sizeof(text), &len, &c))
        s = kbv_signer_from_pem(text, len, err, err_len);
    close(fd);
    OPENSSL_cleanse(text, sizeof(text));
    return s;
}
