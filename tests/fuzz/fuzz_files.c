/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of keys and certificates that the command is given, in PEM or DER, and the judge's own
 * bundle of CAs. The first octet of the input chooses: s a public key, e a certificate, c a chain,
 * p a key to sign with or to pin, b a bundle. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/material.h"
#include "module/core/dane.h"
#include "tests/fuzz/quiet.h"

static const struct command command = {.name = "fuzz", .arguments = ""};

/* A file with these octets; its descriptor, to be closed. */
static int make_file(const uint8_t *data, size_t len, char path[64])
{
    int fd = memfd_create("file", MFD_CLOEXEC);

    REQUIRE(fd >= 0 && write(fd, data, len) == (ssize_t)len);
    (void)snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

/* A chain is made of whole certificates with their lengths; whatever else it holds, it is no more
 * than the file had. */
static void check_material(enum kbv_material kind, const uint8_t *data, size_t len)
{
    struct kbv_request r;
    struct kbv_presented p;
    char path[64];
    const int fd = make_file(data, len, path);
    const struct quiet before = quiet_begin();
    const bool read = read_material(&command, kind, path, &r);
    size_t at = 0;

    quiet_end(before);
    close(fd);
    REQUIRE(read && r.kind == kind && r.material.p != NULL && r.nonce.p == NULL);
    REQUIRE(r.material.len <= MATERIAL_FILE_MAX + 2 && r.material.len <= 2 + len);
    while (kind == KBV_MATERIAL_CHAIN && at < r.material.len)
        at += 2 + (size_t)(r.material.p[at] << 8 | r.material.p[at + 1]);
    REQUIRE(kind != KBV_MATERIAL_CHAIN || at == r.material.len);
    if (kbv_presented_read(kind, r.material, &p) == KBV_OK)
        kbv_presented_clear(&p);
    free((void *)r.material.p);
}

static void check_key(const uint8_t *data, size_t len)
{
    EVP_PKEY *key = read_pem_key(data, len);

    REQUIRE(key == NULL || EVP_PKEY_get_base_id(key) != 0);
    EVP_PKEY_free(key);
}

static void check_bundle(const uint8_t *data, size_t len)
{
    char path[64], err[80];
    const int fd = make_file(data, len, path);
    struct kbv_bundle *bundle = kbv_bundle_load(path, err, sizeof(err));

    close(fd);
    REQUIRE(bundle != NULL || memchr(err, '\0', sizeof(err)) != NULL);
    REQUIRE(bundle == NULL || memmem(data, len, "-----BEGIN ", 11) != NULL);
    kbv_bundle_delete(bundle);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0 || len > 65536)
        return 0;
    switch (data[0]) {
    case 's':
        check_material(KBV_MATERIAL_SPKI, data + 1, len - 1);
        break;
    case 'e':
        check_material(KBV_MATERIAL_CERT, data + 1, len - 1);
        break;
    case 'c':
        check_material(KBV_MATERIAL_CHAIN, data + 1, len - 1);
        break;
    case 'p':
        check_key(data + 1, len - 1);
        break;
    case 'b':
        check_bundle(data + 1, len - 1);
        break;
    }
    return 0;
}
