/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What OpenSSL itself says of certificates and TLSA records: the oracle's other half. Links
 * libcrypto and libssl and nothing of this project.
 *
 *   engine [CA-BUNDLE]
 *
 * Reads requests from standard input and answers each on standard output; integers are big-endian.
 *
 *   'C' len32 DER                      a certificate; its number is how many came before it
 *     -> well8 not_before64 not_after64     well: read whole, and written again octet for octet
 *   'K' len32 DER                      a SubjectPublicKeyInfo
 *     -> level8                             OpenSSL's security level of it, 255: no usable key
 *   'T' usage8 selector8 mtype8 len16 data
 *     -> usable8                            as SSL_dane_tlsa_add() has it
 *   'V' client8 level8 now64 records8 (usage8 selector8 mtype8 len16 data)…
 *       end entity32 names8 (exact8 len8 text)… certificates8 (number32)…
 *     -> accepted8 named8 depth8 usage8 selector8 mtype8 first_end64 last_start64
 *        accepted: X509_verify_cert() says so, names apart; named: the end entity has one of the
 *        names; then what matched, and the earliest notAfter and latest notBefore of the path
 */
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct record {
    uint8_t usage, selector, mtype;
    size_t len;
    uint8_t *data;
};

static SSL_CTX *context;
static X509_STORE *bundle, *nothing;
static X509 **certificates; /* NULL where the octets are none */
static size_t n_certificates;

static void fail(const char *what)
{
    fprintf(stderr, "engine: %s\n", what);
    exit(70);
}

/* ---- octets ---- */

static void get(void *out, size_t len)
{
    if (len != 0 && fread(out, 1, len, stdin) != len)
        fail("a request ends early");
}

static uint64_t get_number(size_t len)
{
    uint64_t n = 0;

    for (size_t i = 0; i < len; i++) {
        uint8_t octet;
        get(&octet, 1);
        n = n << 8 | octet;
    }
    return n;
}

static uint8_t *get_octets(size_t len)
{
    uint8_t *p = malloc(len + 1);

    if (!p)
        fail("out of memory");
    get(p, len);
    p[len] = 0;
    return p;
}

static void put_number(uint64_t n, size_t len)
{
    while (len-- > 0)
        putchar((int)(n >> (8 * len) & 0xFF));
}

static int64_t epoch(const ASN1_TIME *t)
{
    static ASN1_TIME *zero;
    int days, seconds;

    if (!zero)
        zero = ASN1_TIME_set(NULL, 0);
    if (!ASN1_TIME_diff(&days, &seconds, zero, t))
        return 0;
    return (int64_t)days * 86400 + seconds;
}

/* ---- requests ---- */

static void serve_certificate(void)
{
    size_t len = get_number(4);
    uint8_t *der = get_octets(len), *again = NULL;
    const uint8_t *p = der;
    X509 *x = d2i_X509(NULL, &p, (long)len);
    bool well = x && p == der + len;

    if (well) {
        int n = i2d_X509(x, &again);
        well = n >= 0 && (size_t)n == len && memcmp(again, der, len) == 0;
        OPENSSL_free(again);
    }
    certificates = realloc(certificates, (n_certificates + 1) * sizeof(*certificates));
    if (!certificates)
        fail("out of memory");
    certificates[n_certificates++] = x;
    put_number(well, 1);
    put_number(x ? (uint64_t)epoch(X509_get0_notBefore(x)) : 0, 8);
    put_number(x ? (uint64_t)epoch(X509_get0_notAfter(x)) : 0, 8);
    free(der);
}

static void serve_key(void)
{
    static const int bits[] = {80, 112, 128, 192, 256};
    size_t len = get_number(4);
    uint8_t *der = get_octets(len);
    const uint8_t *p = der;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)len);
    unsigned level = 255;

    if (key && p == der + len)
        for (level = 0; level < 5 && EVP_PKEY_get_security_bits(key) >= bits[level]; level++)
            ;
    EVP_PKEY_free(key);
    put_number(level, 1);
    free(der);
}

static void get_record(struct record *r)
{
    r->usage = (uint8_t)get_number(1);
    r->selector = (uint8_t)get_number(1);
    r->mtype = (uint8_t)get_number(1);
    r->len = get_number(2);
    r->data = get_octets(r->len);
}

static SSL *dane(void)
{
    SSL *ssl = SSL_new(context);

    if (!ssl || SSL_dane_enable(ssl, NULL) <= 0)
        fail("no DANE");
    return ssl;
}

static int add(SSL *ssl, const struct record *r)
{
    return SSL_dane_tlsa_add(ssl, r->usage, r->selector, r->mtype, r->data, r->len);
}

static void serve_record(void)
{
    SSL *ssl = dane();
    struct record r;

    get_record(&r);
    put_number(add(ssl, &r) > 0, 1);
    free(r.data);
    SSL_free(ssl);
}

static bool has_name(X509 *leaf)
{
    size_t n = get_number(1);
    bool found = false;

    for (size_t i = 0; i < n; i++) {
        bool exact = get_number(1) != 0;
        size_t len = get_number(1);
        char *text = (char *)get_octets(len);
        unsigned flags = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;

        if (exact)
            flags |= X509_CHECK_FLAG_NO_WILDCARDS;
        found |= X509_check_host(leaf, text, len, flags, NULL) == 1;
        free(text);
    }
    return found;
}

static void put_verdict(SSL *ssl, X509_STORE_CTX *ctx, bool accepted, bool named)
{
    uint8_t usage = 255, selector = 255, mtype = 255;
    int depth = SSL_get0_dane_tlsa(ssl, &usage, &selector, &mtype, NULL, NULL);
    const STACK_OF(X509) *path = X509_STORE_CTX_get0_chain(ctx);
    int64_t end = INT64_MAX, start = 0;

    for (int i = 0; accepted && i < sk_X509_num(path); i++) {
        int64_t to = epoch(X509_get0_notAfter(sk_X509_value(path, i)));
        int64_t from = epoch(X509_get0_notBefore(sk_X509_value(path, i)));
        end = to < end ? to : end;
        start = from > start ? from : start;
    }
    put_number(accepted, 1);
    put_number(named, 1);
    put_number((uint8_t)depth, 1);
    put_number(usage, 1);
    put_number(selector, 1);
    put_number(mtype, 1);
    put_number((uint64_t)end, 8);
    put_number((uint64_t)start, 8);
}

static void serve_verification(void)
{
    bool client = get_number(1) != 0, pkix = false, named;
    int level = (int)get_number(1);
    time_t now = (time_t)get_number(8);
    SSL *ssl = dane();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *sent = sk_X509_new_null();
    size_t n = get_number(1), n_sent;
    X509 *leaf;

    for (size_t i = 0; i < n; i++) {
        struct record r;
        get_record(&r);
        pkix |= r.usage < 2;
        (void)add(ssl, &r);
        free(r.data);
    }
    leaf = certificates[get_number(4)];
    named = has_name(leaf);
    n_sent = get_number(1);
    for (size_t i = 0; i < n_sent; i++) {
        if (!ctx || !sent || !sk_X509_push(sent, certificates[get_number(4)]))
            fail("out of memory");
    }
    if (!X509_STORE_CTX_init(ctx, pkix ? bundle : nothing, leaf, sent) ||
        !X509_STORE_CTX_set_default(ctx, client ? "ssl_client" : "ssl_server"))
        fail("no verification");
    X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(ctx), SSL_get0_param(ssl));
    X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(ctx), now);
    X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(ctx), level);
    X509_STORE_CTX_set0_dane(ctx, SSL_get0_dane(ssl));
    put_verdict(ssl, ctx, X509_verify_cert(ctx) > 0, named);
    X509_STORE_CTX_free(ctx);
    sk_X509_free(sent);
    SSL_free(ssl);
}

int main(int argc, char **argv)
{
    int kind;

    context = SSL_CTX_new(TLS_method());
    bundle = X509_STORE_new();
    nothing = X509_STORE_new();
    if (!context || !bundle || !nothing || SSL_CTX_dane_enable(context) <= 0)
        fail("no OpenSSL");
    if (argc > 1 && !X509_STORE_load_file(bundle, argv[1]))
        fail("no bundle");
    while ((kind = getchar()) != EOF) {
        switch (kind) {
        case 'C':
            serve_certificate();
            break;
        case 'K':
            serve_key();
            break;
        case 'T':
            serve_record();
            break;
        case 'V':
            serve_verification();
            break;
        default:
            fail("unknown request");
        }
        fflush(stdout);
    }
    return 0;
}
