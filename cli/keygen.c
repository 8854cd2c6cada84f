/* SPDX-License-Identifier: BSD-3-Clause */
/* kbv keygen: the key that signs verdicts, and what consumers pin of it. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/material.h"
#include "lib/text.h"
#include "module/core/sha256.h"

enum {
    PUBLIC_LEN = 32, /* RFC 8032 section 5.1.5 */
    PEM_MAX = 512,   /* a PKCS#8 Ed25519 key has about 120 octets */
    KEY_ID_LEN = 4,
    BASE64_LEN = 4 * ((PUBLIC_LEN + 2) / 3) + 1,
};

/* The pin and the key id: what pinning consumers configure, and what a signature names. */
static bool print_public(const struct command *self, const EVP_PKEY *key)
{
    uint8_t public[PUBLIC_LEN], digest[KBV_DIGEST_LEN];
    char pin[BASE64_LEN], id[2 * KEY_ID_LEN + 1];
    size_t len = sizeof(public);
    struct kbv_slice part = {public, sizeof(public)};

    if (EVP_PKEY_id(key) != EVP_PKEY_ED25519 ||
        EVP_PKEY_get_raw_public_key(key, public, &len) != 1 || len != sizeof(public)) {
        complain(self, "no Ed25519 key");
        return false;
    }
    EVP_EncodeBlock((unsigned char *)pin, public, sizeof(public));
    kbv_sha256(&part, 1, digest);
    kbv_hex_text(digest, KEY_ID_LEN, id);
    printf("pin     %s\nkey-id  %s\n", pin, id);
    return true;
}

/* ---- of a key that is there ---- */

static int show(const struct command *self, const char *path)
{
    size_t len;
    uint8_t *text = read_file(path, &len);
    EVP_PKEY *key;
    bool ok;

    if (text == NULL) {
        complain(self, "%s: %s", path, strerror(errno));
        return EXIT_USAGE;
    }
    key = read_pem_key(text, len);
    OPENSSL_cleanse(text, len);
    free(text);
    if (key == NULL) {
        complain(self, "%s: no key in PEM without a passphrase", path);
        return EXIT_NO_RESULT;
    }
    ok = print_public(self, key);
    EVP_PKEY_free(key);
    return ok ? EXIT_ACCEPT : EXIT_NO_RESULT;
}

/* ---- of a new one ---- */

static EVP_PKEY *generate(void)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, NULL);
    EVP_PKEY *key = NULL;

    if (ctx == NULL || EVP_PKEY_keygen_init(ctx) != 1 || EVP_PKEY_keygen(ctx, &key) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static bool write_all(int fd, const char *p, size_t len)
{
    while (len != 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

/* The file's name is on disk too once its folder is. A folder that cannot be opened to read is no
 * reason to lose the key. */
static bool sync_folder(const char *path)
{
    char *copy = strdup(path);
    int fd = copy != NULL ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    bool ok = fd < 0 || fsync(fd) == 0 || errno == EINVAL;

    if (fd >= 0)
        close(fd);
    free(copy);
    return ok;
}

/* Nobody else may read it at any moment, nothing that is there is overwritten (O_EXCL follows no
 * symbolic link either), and what is printed afterwards is on disk. */
static bool write_key(const char *path, const char *pem, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), failed = 0;

    if (fd < 0)
        return false;
    if (fchmod(fd, 0600) != 0 || !write_all(fd, pem, len) || fsync(fd) != 0)
        failed = errno;
    if (close(fd) != 0 && failed == 0)
        failed = errno;
    if (failed == 0 && !sync_folder(path))
        failed = errno;
    if (failed != 0)
        unlink(path);
    errno = failed;
    return failed == 0;
}

static int make_new(const struct command *self, const char *path)
{
    BIO *out = BIO_new(BIO_s_secmem());
    EVP_PKEY *key = generate();
    char *pem = NULL;
    long len = 0;
    int status = EXIT_NO_RESULT;

    if (out != NULL && key != NULL &&
        PEM_write_bio_PKCS8PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1)
        len = BIO_get_mem_data(out, &pem);
    if (len <= 0 || len > PEM_MAX) {
        complain(self, "no key could be made");
    } else if (!write_key(path, pem, (size_t)len)) {
        complain(self, "%s: %s", path, strerror(errno));
        status = EXIT_USAGE;
    } else if (print_public(self, key)) {
        status = EXIT_ACCEPT;
    }
    BIO_free(out);
    EVP_PKEY_free(key);
    return status;
}

static int run_keygen(const struct command *self, int argc, char **argv)
{
    static const struct option options[] = {
        {"pin", no_argument, NULL, 'p'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    bool pin = false;
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'p':
            pin = true;
            break;
        case 'h':
            print_help(self);
            return EXIT_ACCEPT;
        default:
            return usage_error(self, "see --help");
        }
    }
    if (argc - optind != 1)
        return usage_error(self, "FILE is needed, and nothing else");
    return pin ? show(self, argv[optind]) : make_new(self, argv[optind]);
}

const struct command command_keygen = {
    .name = "keygen",
    .arguments = "[--pin] FILE",
    .summary = "makes a key that signs verdicts, and prints its pin and key id",
    .options = "FILE is made anew, for its owner alone to read; one that exists is left as it is.\n"
               "It goes into kbv-signing-key of the resolver. The pin, the public key in base64,\n"
               "is what kbv query --pin and other consumers are given; the key id is what a\n"
               "signed verdict says about who signed it.\n\n"
               "  --pin  print those of the key in FILE, private or public\n",
    .run = run_keygen,
};
