/* SPDX-License-Identifier: BSD-3-Clause */
/* See material.h. */
#include "cli/material.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 1 << 20 }; /* octets of a file: a chain in PEM with its texts is far smaller */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool read_hex(const char *text, size_t reserved, struct kbv_slice *out)
{
    uint8_t *octets = malloc(reserved + strlen(text) / 2 + 1);
    size_t n = reserved;
    int high = -1;

    for (; octets != NULL && *text != '\0'; text++) {
        int value = hex_value(*text);

        if (strchr(BLANKS, *text) != NULL)
            continue;
        if (value < 0)
            break;
        if (high < 0) {
            high = value;
        } else {
            octets[n++] = (uint8_t)(high << 4 | value);
            high = -1;
        }
    }
    if (octets == NULL || *text != '\0' || high >= 0) {
        free(octets);
        return false;
    }
    *out = (struct kbv_slice){octets, n};
    return true;
}

uint8_t *read_file(const char *path, size_t *len)
{
    const bool standard_input = strcmp(path, "-") == 0;
    FILE *f = standard_input ? stdin : fopen(path, "rb");
    uint8_t *octets;

    if (f == NULL)
        return NULL;
    octets = malloc(FILE_MAX);
    *len = octets != NULL ? fread(octets, 1, FILE_MAX, f) : 0;
    if (octets != NULL && (ferror(f) || *len == FILE_MAX)) {
        errno = ferror(f) ? errno : EFBIG;
        free(octets);
        octets = NULL;
    }
    if (!standard_input)
        fclose(f);
    return octets;
}

static bool has_label(const char *label, const char *const *wanted)
{
    for (; *wanted != NULL; wanted++)
        if (strcmp(label, *wanted) == 0)
            return true;
    return false;
}

/* The blocks with these labels of a PEM file, one after the other, with their lengths before them
 * if chain. 0: there is none, or too much, or a block up to the last one wanted is broken: what
 * is left would be another chain than the one in the file. */
static size_t read_pem(const uint8_t *text, size_t len, const char *const *labels, bool chain,
                       uint8_t *out)
{
    BIO *in = BIO_new_mem_buf(text, (int)len);
    char *label = NULL, *header = NULL;
    uint8_t *data = NULL;
    size_t n = 0;
    long data_len;
    bool whole;

    ERR_clear_error();
    while (in != NULL && PEM_read_bio(in, &label, &header, &data, &data_len) > 0) {
        if (has_label(label, labels)) {
            if (data_len > UINT16_MAX || n + 2 + (size_t)data_len > MATERIAL_FILE_MAX)
                n = MATERIAL_FILE_MAX + 1;
            if (n <= MATERIAL_FILE_MAX) {
                if (chain) {
                    out[n++] = (uint8_t)(data_len >> 8);
                    out[n++] = (uint8_t)data_len;
                }
                memcpy(out + n, data, (size_t)data_len);
                n += (size_t)data_len;
            }
        }
        OPENSSL_free(label);
        OPENSSL_free(header);
        OPENSSL_free(data);
        if (!chain && n != 0)
            break;
    }
    whole = ERR_peek_last_error() == 0 ||
            ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE; /* the file's end */
    BIO_free(in);
    ERR_clear_error();
    return whole && n <= MATERIAL_FILE_MAX ? n : 0;
}

bool read_material(const struct command *c, enum kbv_material kind, const char *path,
                   struct kbv_request *out)
{
    static const char *const certificates[] = {"CERTIFICATE", "X509 CERTIFICATE", NULL};
    static const char *const keys[] = {"PUBLIC KEY", NULL};
    const bool chain = kind == KBV_MATERIAL_CHAIN;
    size_t len, n;
    uint8_t *text = read_file(path, &len), *material = malloc(MATERIAL_FILE_MAX + 2);

    if (text == NULL || material == NULL) {
        complain(c, "%s: %s", path, strerror(errno));
        free(text);
        free(material);
        return false;
    }
    n = read_pem(text, len, kind == KBV_MATERIAL_SPKI ? keys : certificates, chain, material);
    if (n == 0 && len != 0 && text[0] == 0x30 && len <= UINT16_MAX) { /* a SEQUENCE: DER */
        if (chain) {
            material[n++] = (uint8_t)(len >> 8);
            material[n++] = (uint8_t)len;
        }
        memcpy(material + n, text, len);
        n += len;
    }
    free(text);
    *out = (struct kbv_request){.kind = kind, .material = {material, n}};
    return true;
}

int read_key_option(const struct command *c, int option, const char *arg, struct kbv_request *out)
{
    if (out->kind != KBV_MATERIAL_NONE)
        return usage_error(c, "one of --chain, --cert, --spki and --spki-sha256, once");
    if (option == 'd') {
        if (!read_hex(arg, 0, &out->material))
            return usage_error(c, "--spki-sha256 %s: expected hex digits", arg);
        out->kind = KBV_MATERIAL_SPKI_SHA256;
        return 0;
    }
    return read_material(c,
                         option == 'c'   ? KBV_MATERIAL_CHAIN
                         : option == 'e' ? KBV_MATERIAL_CERT
                                         : KBV_MATERIAL_SPKI,
                         arg, out)
               ? 0
               : EXIT_USAGE;
}

EVP_PKEY *read_pem_key(const uint8_t *text, size_t len)
{
    static char no_passphrase[] = "";
    EVP_PKEY *key = NULL;

    for (int private = 1; key == NULL && private >= 0; private --) {
        BIO *in = BIO_new_mem_buf(text, (int)len);

        if (in != NULL)
            key = private ? PEM_read_bio_PrivateKey(in, NULL, NULL, no_passphrase)
                          : PEM_read_bio_PUBKEY(in, NULL, NULL, NULL);
        BIO_free(in);
    }
    ERR_clear_error();
    return key;
}
