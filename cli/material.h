/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys and certificates out of files and arguments, as requests hold them. */
#ifndef KBV_CLI_MATERIAL_H
#define KBV_CLI_MATERIAL_H

#include <openssl/evp.h>

#include <kbv/request.h>

#include "cli/cli.h"

/* Octets that read_material() yields at most: beyond what any request holds, which refuses it. */
enum { MATERIAL_FILE_MAX = 65536 };

/* What may stand between fields and between hex digits: zone files have tabs. */
#define BLANKS " \t"

/* Hex digits, BLANKS between them allowed, behind reserved octets that the caller fills. Owned by
 * the caller (malloc). False if there is anything else or no memory. */
bool read_hex(const char *text, size_t reserved, struct kbv_slice *out);

/* The octets of a file, of standard input if path is "-", which the caller frees; NULL, and errno
 * says why. */
uint8_t *read_file(const char *path, size_t *len);

/* Reads a file in PEM, or in DER if it is none: SPKI, CERT (the first one) or CHAIN. *out gets kind
 * and material (malloc). What the file holds need not be good, or be there at all: requests and
 * kbv_presented_read() decide. False, and it was complained of: the file cannot be read. */
bool read_material(const struct command *c, enum kbv_material kind, const char *path,
                   struct kbv_request *out);

/* Takes one of the options --chain (c), --cert (e), --spki (s) and --spki-sha256 (d) with its
 * argument; there may be one of them, once. 0, or the exit status: it was complained of. */
int read_key_option(const struct command *c, int option, const char *arg, struct kbv_request *out);

/* A private key or, for those who only check, a public one, out of PEM without a passphrase. Freed
 * by the caller; NULL: neither. */
EVP_PKEY *read_pem_key(const uint8_t *text, size_t len);

#endif
