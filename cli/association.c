/* SPDX-License-Identifier: BSD-3-Clause */
/* See association.h. */
#include "cli/association.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/text.h"
#include "module/core/match.h"

enum { SECURITY_LEVEL = 2 }; /* the default of kbv-security-level */

struct associations associations_begin(const struct command *self)
{
    return (struct associations){.self = self, .usage = 3, .selector = 1, .mtype = 1};
}

void associations_end(struct associations *a)
{
    for (size_t i = 0; i < a->n_keys; i++) {
        kbv_presented_clear(&a->keys[i].presented);
        free((void *)a->keys[i].request.material.p);
    }
    a->n_keys = 0;
}

int associations_number(struct associations *a, int option, const char *arg)
{
    switch (option) {
    case 'u':
        return parse_number(arg, 0, 3, &a->usage)
                   ? 0
                   : usage_error(a->self, "--usage %s: expected 0 to 3", arg);
    case 's':
        return parse_number(arg, 0, 1, &a->selector)
                   ? 0
                   : usage_error(a->self, "--selector %s: expected 0 (certificate) or 1 (key)",
                                 arg);
    default:
        return parse_number(arg, 0, 2, &a->mtype)
                   ? 0
                   : usage_error(a->self,
                                 "--mtype %s: expected 0 (all octets), 1 (SHA-256) or 2 (SHA-512)",
                                 arg);
    }
}

int associations_file(struct associations *a, enum kbv_material kind, const char *path)
{
    struct association_key *k = &a->keys[a->n_keys];

    if (a->n_keys == ASSOCIATION_KEYS_MAX)
        return usage_error(a->self, "at most %d certificates and keys", ASSOCIATION_KEYS_MAX);
    if (!read_material(a->self, kind, path, &k->request))
        return EXIT_USAGE;
    k->path = path;
    if (kbv_presented_read(kind, k->request.material, &k->presented) != KBV_OK) {
        complain(a->self, "%s: no %s in PEM or DER", path,
                 kind == KBV_MATERIAL_SPKI ? "public key" : "certificate");
        free((void *)k->request.material.p);
        return EXIT_NO_RESULT;
    }
    a->n_keys++;
    return 0;
}

/* ---- what is nonsense, and what is unwise ---- */

#define WARN(a, k, ...) complain_of((a), (k), __VA_ARGS__)

static void complain_of(const struct associations *a, const struct association_key *k,
                        const char *text)
{
    if (k != NULL)
        complain(a->self, "warning: %s: %s", k->path, text);
    else
        complain(a->self, "warning: %s", text);
}

/* What the numbers alone say. */
static void warn_of_form(const struct associations *a)
{
    if (a->usage < 2)
        WARN(a, NULL,
             "usages 0 and 1 count only for those who share your list of public CAs (RFC 7671 "
             "section 5.3); 2 and 3 count for everybody");
    if (a->usage == 3 && a->selector == 0)
        WARN(a, NULL,
             "3 0 x changes with every renewal of the certificate; 3 1 x only with the key");
    if (a->usage == 2 && a->selector == 1)
        WARN(a, NULL,
             "2 1 x takes every certificate with the CA's key for the CA's, whatever its dates and "
             "constraints; 2 0 1 names the certificate (RFC 7671 section 5.2)");
    if (a->mtype == 0)
        WARN(a, NULL,
             "matching type 0 makes large records, for which answers need TCP; 1 is a digest");
    if (a->mtype == 2)
        WARN(a, NULL,
             "beside a SHA-512 record the SHA-256 records of the same usage and selector do not "
             "count (RFC 7671 section 9): publish both of every key, or SHA-256 alone");
}

static void warn_of_owner(const struct associations *a, const uint8_t *owner, size_t owner_len)
{
    char text[KBV_NAME_TEXT_MAX];

    for (const uint8_t *label = owner; *label != 0; label += 1 + *label)
        if (label[1] == '_')
            return;
    kbv_name_to_text(owner, owner_len, text);
    complain(a->self,
             "warning: %s has no label that begins with _: right for an identity such as a DevEUI; "
             "a server's owner is _PORT._tcp.HOST, a client's _ns-client.NAME",
             text);
}

/* Usages 0 to 2 look at dates, usage 1 at names too. */
static void warn_of_certificate(const struct associations *a, const struct association_key *k,
                                X509 *x, const uint8_t *owner, size_t owner_len)
{
    struct kbv_slice name = {owner, owner_len};
    char host[KBV_NAME_TEXT_MAX];

    if (a->usage != 3 && (X509_cmp_time(X509_get0_notAfter(x), NULL) <= 0 ||
                          X509_cmp_time(X509_get0_notBefore(x), NULL) > 0))
        WARN(a, k, "the certificate is not valid now, and this usage looks at dates");
    if (a->usage != 1)
        return;
    kbv_name_is_server_owner(owner, owner_len, &name.p, &name.len);
    kbv_host_text(name, host);
    if (X509_check_host(x, host, strlen(host), X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) != 1)
        complain(a->self, "warning: %s: the certificate is not for %s, and usage 1 looks at names",
                 k->path, host);
}

static int check_key(const struct associations *a, const struct association_key *k,
                     const uint8_t *owner, size_t owner_len)
{
    const struct kbv_presented *p = &k->presented;
    const uint8_t *der = p->n_chain != 0 ? p->chain[0].p : NULL;
    X509 *x = NULL;
    int status = 0;

    if (p->n_chain == 0 && a->selector == 0)
        return usage_error(a->self, "%s: a bare key makes no record of a certificate: --selector 1",
                           k->path);
    if (kbv_der_spki_level(p->spki) < SECURITY_LEVEL)
        WARN(a, k, "the key is weak: verdicts on it are DOWNGRADE");
    if (der == NULL)
        return 0;
    x = d2i_X509(NULL, &der, (long)p->chain[0].len);
    if (x == NULL) {
        ERR_clear_error();
        complain(a->self, "%s: OpenSSL cannot read this certificate", k->path);
        return EXIT_NO_RESULT;
    }
    if ((a->usage == 0 || a->usage == 2) && X509_check_ca(x) == 0)
        status = usage_error(a->self,
                             "%s: no certificate of a CA, so that no path can end with it "
                             "(RFC 7671 section 5.2): give the CA's, or --usage 3",
                             k->path);
    else
        warn_of_certificate(a, k, x, owner, owner_len);
    X509_free(x);
    return status;
}

int associations_check(struct associations *a, const uint8_t *owner, size_t owner_len)
{
    int status = 0;

    for (size_t i = 0; status == 0 && i < a->n_keys; i++)
        status = check_key(a, &a->keys[i], owner, owner_len);
    if (status == 0) {
        warn_of_form(a);
        warn_of_owner(a, owner, owner_len);
    }
    return status;
}

/* ---- printing ---- */

static bool same_as_before(struct associations *a, size_t i, struct kbv_slice data)
{
    for (size_t j = 0; j < i; j++) {
        struct kbv_slice other = kbv_presented_association(&a->keys[j].presented,
                                                           (uint8_t)a->selector, (uint8_t)a->mtype);

        if (other.len == data.len && memcmp(other.p, data.p, data.len) == 0)
            return true;
    }
    return false;
}

bool associations_print(struct associations *a, const uint8_t *owner, size_t owner_len,
                        const char *ttl)
{
    char name[KBV_NAME_TEXT_MAX];

    kbv_name_to_text(owner, owner_len, name);
    for (size_t i = 0; i < a->n_keys; i++) {
        struct kbv_slice data = kbv_presented_association(&a->keys[i].presented,
                                                          (uint8_t)a->selector, (uint8_t)a->mtype);
        char *hex;

        if (same_as_before(a, i, data))
            continue; /* a renewed certificate with its old key, say */
        hex = malloc(2 * data.len + 1);
        if (hex == NULL) {
            complain(a->self, "%s", kbv_err_text(KBV_ERR_NOMEM));
            return false;
        }
        kbv_hex_text(data.p, data.len, hex);
        printf("%s%s%s IN TLSA %lu %lu %lu %s\n", name, ttl != NULL ? " " : "",
               ttl != NULL ? ttl : "", a->usage, a->selector, a->mtype, hex);
        free(hex);
    }
    return true;
}
