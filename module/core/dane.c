/* SPDX-License-Identifier: BSD-3-Clause */
/* See dane.h. */
#include "module/core/dane.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "module/core/match.h"
#include "module/core/sha256.h"

/* RFC 6698 section 7.2. */
enum { USAGE_PKIX_TA = 0, USAGE_PKIX_EE = 1, USAGE_DANE_TA = 2 };
enum { SELECTOR_CERT = 0, SELECTOR_SPKI = 1 };
enum { MTYPE_FULL = 0, MTYPE_SHA256 = 1, MTYPE_SHA512 = 2 };

/* Certificates between end entity and anchor: what a peer may send, and a few of the store's. */
#define PATH_DEPTH_MAX (KBV_CHAIN_MAX + 2)

#define NAMES_MAX 8

struct kbv_bundle {
    X509_STORE *store;
    uint8_t id[KBV_DANE_STORE_ID_LEN];
    int64_t *dates; /* at which its certificates begin and cease to be valid [s] */
    size_t n_dates;
};

struct kbv_dane {
    SSL_CTX *ctx;      /* with DANE's digests switched on */
    X509_STORE *empty; /* for usage 2, whose anchors come from the DNS alone */
    X509_STORE *store; /* NULL: usages 0 and 1 match nothing */
    uint8_t store_id[KBV_DANE_STORE_ID_LEN];
    int64_t *dates; /* of the store's certificates */
    size_t n_dates;
};

struct kbv_dane_chain {
    size_t n;
    int64_t dates[2 * KBV_CHAIN_MAX]; /* at which they begin and cease to be valid [s] */
    size_t n_dates;
    unsigned keys_effort;      /* of every key but the end entity's, once */
    size_t names, constraints; /* octets of them */
    size_t own_names;          /* of the end entity's */
    struct kbv_slice der[KBV_CHAIN_MAX], spki[KBV_CHAIN_MAX];
    X509 *end_entity;
    STACK_OF(X509) * others; /* owns all of them but the end entity */
};

/* ---- dates ---- */

static bool time_read(const ASN1_TIME *t, int64_t *out)
{
    struct tm tm;

    if (t == NULL || !ASN1_TIME_to_tm(t, &tm))
        return false;
    *out = (int64_t)timegm(&tm);
    return true;
}

/* Both dates of a certificate behind the n of dates; how many there are then. Malformed ones, which
 * no path may have at any time, are left out. */
static size_t dates_add(int64_t *dates, size_t n, const X509 *x)
{
    n += time_read(X509_get0_notBefore(x), &dates[n]);
    n += time_read(X509_get0_notAfter(x), &dates[n]);
    return n;
}

/* The first of them after now that is before until. */
static int64_t next_date(const int64_t *dates, size_t n, int64_t now, int64_t until)
{
    for (size_t i = 0; i < n; i++)
        if (dates[i] > now && dates[i] < until)
            until = dates[i];
    return until;
}

/* Empties this thread's queue of errors, ERR_clear_error() having begun it. True: one of them was
 * about memory, and what OpenSSL said about the input means nothing. (The last one says little:
 * each layer of OpenSSL puts its own on top.) */
static bool ran_out_of_memory(void)
{
    unsigned long error;
    bool found = false;

    while ((error = ERR_get_error()) != 0)
        found |= ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;
    return found;
}

/* ---- the store ---- */

/* Adds to the identity and the dates of what the bundle holds. */
static bool bundle_describe(struct kbv_bundle *b, X509 *x)
{
    int64_t *dates = realloc(b->dates, (b->n_dates + 2) * sizeof(*dates));
    uint8_t *der = NULL;
    int len;

    if (dates == NULL)
        return false;
    b->dates = dates;
    b->n_dates = dates_add(dates, b->n_dates, x);
    len = i2d_X509(x, &der);
    if (len < 0)
        return false;
    kbv_sha256((struct kbv_slice[]){{b->id, sizeof(b->id)}, {der, (size_t)len}}, 2, b->id);
    OPENSSL_free(der);
    return true;
}

/* Fills *b, which is empty. */
static bool bundle_read(struct kbv_bundle *b, BIO *in, char *err, size_t err_len)
{
    unsigned long error;
    unsigned n = 0;
    X509 *x;

    b->store = X509_STORE_new();
    if (b->store == NULL) {
        snprintf(err, err_len, "out of memory");
        return false;
    }
    while ((x = PEM_read_bio_X509(in, NULL, NULL, (void *)"")) != NULL) {
        bool added = X509_STORE_add_cert(b->store, x) && bundle_describe(b, x);

        X509_free(x);
        if (!added) {
            snprintf(err, err_len, "certificate %u cannot be used", n + 1);
            return false;
        }
        n++;
    }
    error = ERR_peek_last_error();
    if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE) {
        snprintf(err, err_len, "certificate %u of the file cannot be read: expected PEM", n + 1);
    } else if (n == 0) {
        snprintf(err, err_len,
                 "no certificate in the file: expected PEM, -----BEGIN CERTIFICATE-----");
    } else {
        return true;
    }
    return false;
}

struct kbv_bundle *kbv_bundle_load(const char *path, char *err, size_t err_len)
{
    struct kbv_bundle *bundle = calloc(1, sizeof(*bundle));
    BIO *in;

    if (bundle == NULL) {
        snprintf(err, err_len, "out of memory");
        return NULL;
    }

    ERR_set_mark();
    in = BIO_new_file(path, "r");
    if (in == NULL)
        snprintf(err, err_len, "the file cannot be read: expected certificates in PEM");
    if (in == NULL || !bundle_read(bundle, in, err, err_len)) {
        kbv_bundle_delete(bundle);
        bundle = NULL;
    }
    BIO_free(in);
    ERR_pop_to_mark();
    return bundle;
}

void kbv_bundle_delete(struct kbv_bundle *bundle)
{
    if (bundle == NULL)
        return;
    X509_STORE_free(bundle->store);
    free(bundle->dates);
    free(bundle);
}

/* ---- the verifier ---- */

static bool take_bundle(struct kbv_dane *d, const struct kbv_bundle *bundle)
{
    if (bundle == NULL)
        return true;
    d->dates = malloc(bundle->n_dates * sizeof(*d->dates) + 1);
    if (d->dates == NULL || !X509_STORE_up_ref(bundle->store))
        return false;
    d->store = bundle->store;
    d->n_dates = bundle->n_dates;
    memcpy(d->dates, bundle->dates, d->n_dates * sizeof(*d->dates));
    memcpy(d->store_id, bundle->id, sizeof(d->store_id));
    return true;
}

struct kbv_dane *kbv_dane_create(const struct kbv_bundle *bundle)
{
    struct kbv_dane *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return NULL;
    ERR_set_mark();
    d->ctx = SSL_CTX_new(TLS_method());
    d->empty = X509_STORE_new();
    if (d->ctx == NULL || d->empty == NULL || !take_bundle(d, bundle) ||
        SSL_CTX_dane_enable(d->ctx) <= 0) {
        kbv_dane_delete(d);
        d = NULL;
    }
    ERR_pop_to_mark();
    return d;
}

void kbv_dane_delete(struct kbv_dane *d)
{
    if (d == NULL)
        return;
    SSL_CTX_free(d->ctx);
    X509_STORE_free(d->empty);
    X509_STORE_free(d->store);
    free(d->dates);
    free(d);
}

const uint8_t *kbv_dane_store_id(const struct kbv_dane *d)
{
    return d->store_id;
}

/* ---- the chain ---- */

/* d2i_X509() takes BER, and octets behind the certificate, and OpenSSL would hash what it writes
 * itself: only what it writes again as it came counts. NULL: it does not, or no memory. */
static X509 *parse_strictly(struct kbv_slice der)
{
    const uint8_t *p = der.p;
    uint8_t *again = NULL;
    X509 *x = d2i_X509(NULL, &p, (long)der.len);
    int len;

    if (x == NULL)
        return NULL;
    len = p == der.p + der.len ? i2d_X509(x, &again) : -1;
    if (len < 0 || (size_t)len != der.len || memcmp(again, der.p, der.len) != 0) {
        X509_free(x);
        x = NULL;
    }
    OPENSSL_free(again);
    return x;
}

/* What OpenSSL could not make of a certificate that it did read. */
enum {
    NO_KEY = 1,        /* the key cannot be loaded */
    NO_STRENGTH = 2,   /* it was, and nothing is known of it */
    NO_EXTENSIONS = 4, /* they are malformed */
    NO_SIGNATURE = 8,  /* nothing is known of the signature's algorithm */
};

static unsigned shortcomings(X509 *x)
{
    EVP_PKEY *key = X509_get0_pubkey(x);
    unsigned found = 0;

    if (key == NULL)
        found |= NO_KEY;
    else if (EVP_PKEY_get_security_bits(key) <= 0)
        found |= NO_STRENGTH;
    if (X509_check_purpose(x, -1, 0) != 1)
        found |= NO_EXTENSIONS;
    if (!X509_get_signature_info(x, NULL, NULL, NULL, NULL))
        found |= NO_SIGNATURE;
    return found;
}

/* OpenSSL keeps what it could not make of a certificate, and no trace of why: for want of memory or
 * for good? What falls short is read once more. *x: NULL if it cannot be read. */
static enum kbv_err read_surely(struct kbv_slice der, X509 **x, unsigned *found)
{
    X509 *again;
    bool same;

    *x = parse_strictly(der);
    *found = *x != NULL ? shortcomings(*x) : 0;
    if (*x != NULL && *found == 0)
        return KBV_OK;
    again = parse_strictly(der);
    same = (again != NULL) == (*x != NULL) && (again == NULL || shortcomings(again) == *found);
    X509_free(again);
    if (same)
        return KBV_OK;
    X509_free(*x);
    *x = NULL;
    return KBV_ERR_NOMEM;
}

static size_t extension_octets(const X509 *x, int nid)
{
    size_t octets = 0;

    for (int i = X509_get_ext_by_NID(x, nid, -1); i >= 0; i = X509_get_ext_by_NID(x, nid, i))
        octets += (size_t)ASN1_STRING_length(X509_EXTENSION_get_data(X509_get_ext(x, i)));
    return octets;
}

/* Of all that name constraints are held against (RFC 5280 section 4.2.1.10). */
static size_t names_octets(const X509 *x)
{
    const uint8_t *der;
    size_t len;

    if (!X509_NAME_get0_der(X509_get_subject_name(x), &der, &len))
        return 0;
    return len + extension_octets(x, NID_subject_alt_name);
}

static enum kbv_err chain_add(struct kbv_dane_chain *c, struct kbv_slice der)
{
    unsigned found;
    enum kbv_err err;
    X509 *x;

    if (kbv_der_certificate_spki(der, &c->spki[c->n]) != KBV_OK)
        return KBV_ERR_FORMAT;
    err = read_surely(der, &x, &found);
    if (err != KBV_OK)
        return err;
    /* A point beside its curve, say; of an algorithm without a name nobody can tell. */
    if (x == NULL || (found & NO_KEY && kbv_der_spki_level(c->spki[c->n]) != 0)) {
        X509_free(x);
        return KBV_ERR_FORMAT;
    }
    if (c->n == 0) {
        c->end_entity = x;
    } else if (!sk_X509_push(c->others, x)) {
        X509_free(x);
        return KBV_ERR_NOMEM;
    }
    if (c->n != 0) /* a key that OpenSSL cannot load verifies nothing, and that at once */
        c->keys_effort += found & NO_KEY ? 1 : kbv_der_spki_effort(c->spki[c->n]);
    c->names += names_octets(x);
    if (c->n == 0)
        c->own_names = c->names;
    c->constraints += extension_octets(x, NID_name_constraints);
    c->der[c->n++] = der;
    c->n_dates = dates_add(c->dates, c->n_dates, x);
    return KBV_OK;
}

enum kbv_err kbv_dane_chain_read(const struct kbv_presented *p, struct kbv_dane_chain **out)
{
    struct kbv_dane_chain *c = calloc(1, sizeof(*c));
    enum kbv_err err = p->n_chain != 0 && p->n_chain <= KBV_CHAIN_MAX ? KBV_OK : KBV_ERR_FORMAT;

    if (c == NULL)
        return KBV_ERR_NOMEM;
    ERR_clear_error();
    c->others = sk_X509_new_reserve(NULL, KBV_CHAIN_MAX);
    if (c->others == NULL)
        err = KBV_ERR_NOMEM;
    for (size_t i = 0; err == KBV_OK && i < p->n_chain; i++)
        err = chain_add(c, p->chain[i]);
    if (ran_out_of_memory())
        err = KBV_ERR_NOMEM;
    if (err == KBV_OK)
        *out = c;
    else
        kbv_dane_chain_delete(c);
    return err;
}

void kbv_dane_chain_delete(struct kbv_dane_chain *chain)
{
    if (chain == NULL)
        return;
    X509_free(chain->end_entity);
    sk_X509_pop_free(chain->others, X509_free);
    free(chain);
}

/* ---- the end entity's key ---- */

/* Of a certificate read already, or of one that is read for this alone. */
static enum kbv_err certificate_key_use(const struct kbv_presented *p, enum kbv_key_use *use)
{
    X509 *x = p->parsed != NULL ? p->parsed->end_entity : NULL;
    enum kbv_err err = KBV_OK;
    unsigned found;

    if (x != NULL)
        found = shortcomings(x);
    else
        err = read_surely(p->chain[0], &x, &found);
    *use = x == NULL ? KBV_KEY_MALFORMED : found & NO_KEY ? KBV_KEY_UNUSABLE : KBV_KEY_USABLE;
    if (p->parsed == NULL)
        X509_free(x);
    return err;
}

static enum kbv_err bare_key_use(struct kbv_slice spki, enum kbv_key_use *use)
{
    *use = KBV_KEY_UNUSABLE;
    for (int i = 0; i < 2 && *use != KBV_KEY_USABLE; i++) { /* twice: see read_surely() */
        const uint8_t *der = spki.p;
        EVP_PKEY *key = d2i_PUBKEY(NULL, &der, (long)spki.len);

        if (key != NULL && der == spki.p + spki.len)
            *use = KBV_KEY_USABLE;
        EVP_PKEY_free(key);
    }
    return KBV_OK;
}

enum kbv_err kbv_dane_key_use(struct kbv_presented *p, enum kbv_key_use *use)
{
    enum kbv_key_use found = p->key_use;
    enum kbv_err err = KBV_OK;

    if (found == KBV_KEY_NOT_TRIED) {
        ERR_clear_error();
        err = p->n_chain != 0 ? certificate_key_use(p, &found) : bare_key_use(p->spki, &found);
        if (ran_out_of_memory() && found != KBV_KEY_USABLE)
            err = KBV_ERR_NOMEM;
    }
    if (err == KBV_OK)
        *use = p->key_use = found;
    return err;
}

/* ---- names ---- */

struct names {
    size_t n;
    char text[NAMES_MAX][KBV_NAME_MAX]; /* without the final dot, which never matches */
    bool exact[NAMES_MAX];
};

/* A reference name as a dNSName has it. False: no certificate can carry it, or it could be taken
 * for something else: octets beyond letters, digits, "-" and "_", an address, the root. */
static bool name_text(struct kbv_slice name, char text[KBV_NAME_MAX], bool *underscore)
{
    bool digits = true; /* of the last label: 192.0.2.1 is an address to OpenSSL */
    size_t n = 0;

    *underscore = false;
    for (size_t i = 0; i < name.len && name.p[i] != 0; i += name.p[i] + 1U) {
        digits = true;
        for (size_t j = 1; j <= name.p[i]; j++) {
            uint8_t c = name.p[i + j];

            if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
                return false;
            *underscore |= c == '_';
            digits &= c >= '0' && c <= '9';
            text[n++] = (char)c;
        }
        text[n++] = '.';
    }
    if (n == 0 || digits)
        return false;
    text[n - 1] = '\0';
    return true;
}

/* The reference names that a certificate can match: none at all means no match, never no check. */
static void names_read(const struct kbv_dane_question *q, struct names *names)
{
    struct kbv_slice name;
    size_t pos = 0;
    bool underscore;

    names->n = 0;
    while (names->n < NAMES_MAX && kbv_reference_name_next(q->reference_names, &pos, &name)) {
        if (!name_text(name, names->text[names->n], &underscore))
            continue;
        names->exact[names->n++] = underscore || q->role == KBV_ROLE_CLIENT;
    }
}

/* RFC 6125 section 6.4, RFC 9525 section 6.3: dNSNames alone, "*" alone as the leftmost label and
 * for one label; not for names with "_" labels, and not for clients. */
static unsigned name_flags(bool exact)
{
    return X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
           (exact ? X509_CHECK_FLAG_NO_WILDCARDS : 0);
}

static bool names_match(const struct names *names, X509 *x)
{
    for (size_t i = 0; i < names->n; i++)
        if (X509_check_host(x, names->text[i], strlen(names->text[i]), name_flags(names->exact[i]),
                            NULL) == 1)
            return true;
    return false;
}

/* ---- dates of a path ---- */

/* Every certificate of the path, the anchor included, is valid now (RFC 7671 section 5.2; OpenSSL
 * passes an expired anchor that another one issued). NULL: so it is. */
static const char *dates_objection(const STACK_OF(X509) * path, int64_t now, int64_t *not_after)
{
    *not_after = INT64_MAX;
    for (int i = 0; i < sk_X509_num(path); i++) {
        const X509 *x = sk_X509_value(path, i);
        int64_t begins, ends;

        if (!time_read(X509_get0_notBefore(x), &begins) || !time_read(X509_get0_notAfter(x), &ends))
            return "a certificate of the path has malformed dates";
        if (now < begins)
            return "a certificate of the path is not yet valid";
        if (now >= ends) /* a verdict would not live for a second */
            return "a certificate of the path has expired";
        if (ends < *not_after)
            *not_after = ends;
    }
    return NULL;
}

/* ---- one record ---- */

static bool same(struct kbv_slice a, struct kbv_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* True if the record names this certificate, or its key. */
static bool record_names(const struct kbv_association *a, struct kbv_slice der,
                         struct kbv_slice spki)
{
    struct kbv_slice whole = a->selector == SELECTOR_CERT ? der : spki;
    uint8_t digest[64];

    if (a->mtype == MTYPE_SHA256) {
        kbv_sha256(&whole, 1, digest);
        whole = (struct kbv_slice){digest, 32};
    } else if (a->mtype == MTYPE_SHA512) {
        kbv_sha512(whole, digest);
        whole = (struct kbv_slice){digest, 64};
    }
    return same(whole, a->data);
}

/* Why usage 2 cannot match, as far as that is seen without looking for a path; NULL: it may. The
 * anchor is another certificate than the end entity, and a bare key is not the end entity's own
 * (RFC 7671 section 5.2). A digest matches nothing that is not there. */
static const char *anchor_objection(const struct kbv_dane_chain *chain,
                                    const struct kbv_association *a)
{
    if (a->mtype == MTYPE_FULL)
        return record_names(a, chain->der[0], chain->spki[0])
                   ? "the anchor in the record is the end entity itself"
                   : NULL;
    for (size_t i = 1; i < chain->n; i++)
        if (!same(chain->der[i], chain->der[0]) && record_names(a, chain->der[i], chain->spki[i]))
            return NULL;
    return "the anchor that the record names is not in the chain";
}

/* What keeps a record from matching before OpenSSL is asked. */
static const char *early_objection(const struct kbv_dane *d, const struct kbv_dane_chain *chain,
                                   const struct kbv_association *a, const struct names *names)
{
    if (a->usage > USAGE_DANE_TA || a->selector > SELECTOR_SPKI || a->mtype > MTYPE_SHA512)
        return "the record is none that a path is needed for";
    if (names->n == 0)
        return "no reference name that a certificate can carry";
    if (a->usage == USAGE_DANE_TA)
        return anchor_objection(chain, a);
    if (d->store == NULL)
        return "no CA certificates are configured";
    if (a->usage == USAGE_PKIX_EE && !record_names(a, chain->der[0], chain->spki[0]))
        return "the record names another certificate or key";
    return NULL;
}

/* Sets up ssl for one record. */
static enum kbv_dane_finding add_record(SSL *ssl, const struct kbv_association *a,
                                        const struct names *names, const char **reason)
{
    bool exact = true;
    int added;

    *reason = "OpenSSL could not take the names";
    /* The first is the base domain: without one OpenSSL would check no name at all. */
    if (SSL_dane_enable(ssl, names->text[0]) <= 0)
        return KBV_DANE_FAILURE;
    for (size_t i = 0; i < names->n; i++) {
        if (i > 0 && SSL_add1_host(ssl, names->text[i]) <= 0)
            return KBV_DANE_FAILURE;
        exact &= names->exact[i];
    }
    SSL_set_hostflags(ssl, name_flags(exact)); /* names_match() has the last word */
    added = SSL_dane_tlsa_add(ssl, a->usage, a->selector, a->mtype, a->data.p, a->data.len);
    if (added == 0) /* see read_surely() */
        added = SSL_dane_tlsa_add(ssl, a->usage, a->selector, a->mtype, a->data.p, a->data.len);
    if (added < 0) {
        *reason = "OpenSSL could not take the record";
        return KBV_DANE_FAILURE;
    }
    if (added == 0) { /* RFC 6698 section 4.1; without any record OpenSSL would do plain PKIX */
        *reason = "OpenSSL cannot use the record";
        return KBV_DANE_NO;
    }
    return KBV_DANE_YES;
}

static bool is_weakness(int error)
{
    return error == X509_V_ERR_EE_KEY_TOO_SMALL || error == X509_V_ERR_CA_KEY_TOO_SMALL ||
           error == X509_V_ERR_CA_MD_TOO_WEAK;
}

static bool is_failure(int error)
{
    return error == X509_V_ERR_OUT_OF_MEM || error == X509_V_ERR_UNSPECIFIED ||
           error == X509_V_ERR_STORE_LOOKUP || error == X509_V_ERR_INVALID_CALL;
}

/* What OpenSSL accepted, looked at once more. NULL: it may stand. */
static const char *late_objection(const struct kbv_dane_chain *chain,
                                  const struct kbv_association *a, const struct names *names,
                                  int64_t now, SSL *ssl, const STACK_OF(X509) * path,
                                  struct kbv_dane_result *r)
{
    EVP_PKEY *bare_key = NULL;
    X509 *matched = NULL;
    int depth = SSL_get0_dane_authority(ssl, &matched, &bare_key);
    int top = sk_X509_num(path) - 1;

    if (depth < 0 || top < 0 || (matched == NULL && bare_key == NULL))
        return "OpenSSL named no record";
    if (X509_cmp(sk_X509_value(path, 0), chain->end_entity) != 0)
        return "the path does not begin at the end entity";
    if (bare_key != NULL)
        depth = top + 1; /* the record's key signed the path's last certificate */
    if (a->usage == USAGE_PKIX_EE ? depth != 0 : depth < 1)
        return "the record matched at the wrong depth";
    if (a->usage == USAGE_DANE_TA && bare_key == NULL && depth != top)
        return "the path does not end at the anchor";
    if (a->usage != USAGE_PKIX_EE && matched != NULL && X509_cmp(matched, chain->end_entity) == 0)
        return "the anchor is the end entity itself";
    if (!names_match(names, chain->end_entity))
        return "no name of the certificate is a reference name";
    r->depth = depth;
    return dates_objection(path, now, &r->not_after);
}

/* Runs OpenSSL on one record at a security level. *error: its, with NO. */
static enum kbv_dane_finding search(const struct kbv_dane *d, const struct kbv_dane_chain *chain,
                                    const struct kbv_association *a,
                                    const struct kbv_dane_question *q, const struct names *names,
                                    unsigned level, int *error, struct kbv_dane_result *r)
{
    X509_STORE *store = a->usage == USAGE_DANE_TA ? d->empty : d->store;
    const char *purpose = q->role == KBV_ROLE_SERVER ? "ssl_server" : "ssl_client";
    enum kbv_dane_finding finding = KBV_DANE_FAILURE;
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    SSL *ssl = SSL_new(d->ctx);
    X509_VERIFY_PARAM *param;
    int verified;

    *error = X509_V_OK;
    r->reason = "out of memory";
    if (ssl == NULL || ctx == NULL)
        goto out;
    finding = add_record(ssl, a, names, &r->reason);
    if (finding != KBV_DANE_YES)
        goto out;
    finding = KBV_DANE_FAILURE;
    r->reason = "OpenSSL could not begin";
    if (!X509_STORE_CTX_init(ctx, store, chain->end_entity, chain->others) ||
        !X509_STORE_CTX_set_default(ctx, purpose))
        goto out;
    param = X509_STORE_CTX_get0_param(ctx);
    if (!X509_VERIFY_PARAM_set1(param, SSL_get0_param(ssl)))
        goto out;
    X509_VERIFY_PARAM_set_time(param, (time_t)q->now);
    X509_VERIFY_PARAM_set_depth(param, PATH_DEPTH_MAX);
    X509_VERIFY_PARAM_set_auth_level(param, (int)level); /* off line it is not set at all */
    X509_STORE_CTX_set0_dane(ctx, SSL_get0_dane(ssl));
    verified = X509_verify_cert(ctx);
    *error = X509_STORE_CTX_get_error(ctx);
    r->reason = X509_verify_cert_error_string(*error);
    if (verified < 0 || is_failure(*error))
        goto out;
    finding = KBV_DANE_NO;
    if (verified == 0 || *error != X509_V_OK)
        goto out;
    SSL_set_verify_result(ssl, X509_V_OK);
    r->reason = late_objection(chain, a, names, q->now, ssl, X509_STORE_CTX_get0_chain(ctx), r);
    if (r->reason == NULL)
        finding = KBV_DANE_YES;
out:
    X509_STORE_CTX_free(ctx);
    SSL_free(ssl);
    return finding;
}

/* A refusal is looked at twice: where there was no memory to verify a signature, or to find an
 * issuer, OpenSSL says the same as of a bad one. */
static enum kbv_dane_finding search_surely(const struct kbv_dane *d,
                                           const struct kbv_dane_chain *chain,
                                           const struct kbv_association *a,
                                           const struct kbv_dane_question *q,
                                           const struct names *names, unsigned level, int *error,
                                           struct kbv_dane_result *r)
{
    enum kbv_dane_finding finding = search(d, chain, a, q, names, level, error, r);
    int first = *error;

    if (finding != KBV_DANE_NO)
        return finding;
    finding = search(d, chain, a, q, names, level, error, r);
    if (finding == KBV_DANE_NO && *error == first)
        return KBV_DANE_NO;
    r->reason = "out of memory";
    return KBV_DANE_FAILURE;
}

/* At the level asked, and if that alone was in the way, at none. */
static enum kbv_dane_finding search_at_levels(const struct kbv_dane *d,
                                              const struct kbv_dane_chain *chain,
                                              const struct kbv_association *a,
                                              const struct kbv_dane_question *q,
                                              const struct names *names, struct kbv_dane_result *r)
{
    static const char weak[] = "a key or signature of the path is below kbv-security-level";
    int error;
    enum kbv_dane_finding finding = search_surely(d, chain, a, q, names, q->level, &error, r);

    if (finding == KBV_DANE_NO && is_weakness(error)) {
        finding = search_surely(d, chain, a, q, names, 0, &error, r);
        if (finding == KBV_DANE_YES) {
            r->reason = weak;
            return KBV_DANE_WEAK;
        }
    }
    /* OpenSSL looks at the keys of certificates; this one stands bare in the DNS. */
    if (finding == KBV_DANE_YES && a->usage == USAGE_DANE_TA && a->selector == SELECTOR_SPKI &&
        a->mtype == MTYPE_FULL && kbv_der_spki_level(a->data) < q->level) {
        r->reason = weak;
        return KBV_DANE_WEAK;
    }
    return finding;
}

/* The peer need not send the certificate of such a record. */
static bool holds_certificate(const struct kbv_association *a)
{
    return a->usage != USAGE_PKIX_EE && a->selector == SELECTOR_CERT && a->mtype == MTYPE_FULL;
}

/* It; NULL if the record has none, or none that can be read. The caller frees it. */
static X509 *record_certificate(const struct kbv_association *a)
{
    const uint8_t *p = a->data.p;

    return holds_certificate(a) ? d2i_X509(NULL, &p, (long)a->data.len) : NULL;
}

/* Between two dates of the certificates at hand each of them is valid or not, and nothing else in a
 * verification depends on the time. */
static int64_t holds_until(const struct kbv_dane *d, const struct kbv_dane_chain *chain,
                           const struct kbv_association *a, const X509 *supplied, int64_t now)
{
    int64_t until = next_date(chain->dates, chain->n_dates, now, INT64_MAX);
    int64_t dates[2];

    if (a->usage != USAGE_DANE_TA)
        until = next_date(d->dates, d->n_dates, now, until);
    if (!holds_certificate(a))
        return until;
    if (supplied == NULL) /* is it malformed, or is there no memory? */
        return now;
    return next_date(dates, dates_add(dates, 0, supplied), now, until);
}

/* At most this is needed for a path: each key that is at hand verifies one signature, and each name
 * is held against each constraint, which takes a tenth of a millisecond for a thousand of them; a
 * name has at least three octets and a constraint five. */
static unsigned effort_of(const struct kbv_dane_chain *chain, const struct kbv_association *a,
                          const X509 *supplied)
{
    const unsigned of_store = 8, octets_squared = 1000 * 3 * 5;
    size_t names = chain->names, constraints = chain->constraints;
    unsigned effort = 1 + chain->keys_effort;
    struct kbv_slice spki = a->data;

    if (a->usage != USAGE_DANE_TA)
        effort += of_store;
    if (a->mtype == MTYPE_FULL && a->usage != USAGE_PKIX_EE &&
        (a->selector == SELECTOR_SPKI || kbv_der_certificate_spki(a->data, &spki) == KBV_OK))
        effort +=
            supplied != NULL && X509_get0_pubkey(supplied) == NULL ? 1 : kbv_der_spki_effort(spki);
    if (supplied != NULL) {
        names += names_octets(supplied);
        constraints += extension_octets(supplied, NID_name_constraints);
    }
    return effort + (unsigned)(names * constraints / octets_squared);
}

/* For each reference name OpenSSL reads all names of the end entity anew. */
static unsigned names_effort(const struct kbv_dane_chain *chain, const struct names *names)
{
    const size_t octets = 1600; /* that it reads in a tenth of a millisecond */

    return (unsigned)(names->n * chain->own_names / octets);
}

/* Looks for a path, if that is not too dear. supplied: see record_certificate(). */
static enum kbv_dane_finding look_for_path(const struct kbv_dane *d,
                                           const struct kbv_dane_chain *chain,
                                           const struct kbv_association *a,
                                           struct kbv_dane_question *q, const struct names *names,
                                           const X509 *supplied, struct kbv_dane_result *r)
{
    static const char too_dear[] = "the chain would take too long to verify";
    const unsigned comparing = names_effort(chain, names);
    /* A path's names are compared twice, see late_objection(). */
    const unsigned effort = effort_of(chain, a, supplied) + 2 * comparing;
    enum kbv_dane_finding finding;

    /* The end entity's names are looked at first: they are what tells endpoints apart. */
    r->reason = too_dear;
    if (q->named == KBV_NAMED_NOT_TRIED) {
        if (2 * comparing > q->effort)
            return KBV_DANE_TOO_DEAR;
        r->effort = 2 * comparing; /* a refusal is looked at twice: see read_surely() */
        q->named = names_match(names, chain->end_entity) || names_match(names, chain->end_entity)
                       ? KBV_NAMED_YES
                       : KBV_NAMED_NO;
    }
    if (q->named == KBV_NAMED_NO) {
        r->reason = "no name of the certificate is a reference name";
        return KBV_DANE_NO;
    }
    if (r->effort + effort > q->effort)
        return KBV_DANE_TOO_DEAR;
    r->searched = true;
    finding = search_at_levels(d, chain, a, q, names, r);
    r->effort += finding == KBV_DANE_YES ? effort : 2 * effort; /* a refusal is looked at twice */
    return finding;
}

enum kbv_dane_finding kbv_dane_verify(const struct kbv_dane *d, const struct kbv_dane_chain *chain,
                                      const struct kbv_association *a, struct kbv_dane_question *q,
                                      struct kbv_dane_result *r)
{
    enum kbv_dane_finding finding;
    struct names names;
    X509 *supplied;

    *r = (struct kbv_dane_result){.depth = -1, .holds_until = q->now};
    names_read(q, &names);
    r->reason = early_objection(d, chain, a, &names);
    if (r->reason != NULL) {
        r->holds_until = INT64_MAX;
        return KBV_DANE_NO;
    }
    ERR_clear_error();
    supplied = record_certificate(a);
    finding = look_for_path(d, chain, a, q, &names, supplied, r);
    r->holds_until = holds_until(d, chain, a, supplied, q->now);
    X509_free(supplied);
    if (ran_out_of_memory()) {
        q->named = KBV_NAMED_NOT_TRIED;
        finding = KBV_DANE_FAILURE;
        r->reason = "out of memory";
    }
    if (finding != KBV_DANE_YES && finding != KBV_DANE_WEAK)
        r->depth = -1;
    return finding;
}
