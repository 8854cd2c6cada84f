# SPDX-License-Identifier: BSD-3-Clause
# KBV_CHECK_OPENSSL
# Sets KBV_OPENSSL_FLAW to absent, present or unknown: whether the libcrypto at hand gives a certificate
# back twice when a match of usage 1 is followed by one of usage 2 (CVE-2026-28387). Found by what it
# does, for distributions mend it without another version; a program of its own tries, and holds
# references to spare, so that nothing is freed twice in earnest. The same is in tests/unit/check_dane.c.
AC_DEFUN([KBV_CHECK_OPENSSL], [
AC_MSG_CHECKING([whether libcrypto has the flaw of CVE-2026-28387])
kbv_saved_cflags=$CFLAGS kbv_saved_libs=$LIBS
CFLAGS="$CFLAGS $OPENSSL_CFLAGS"
LIBS="$OPENSSL_LIBS $LIBS"
AC_RUN_IFELSE([AC_LANG_SOURCE([[
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

static void need(int ok) { if (!ok) exit(3); }

static X509 *certificate(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *signer)
{
    X509 *x = X509_new();

    need(x != NULL && X509_set_version(x, X509_VERSION_3) &&
         ASN1_INTEGER_set(X509_get_serialNumber(x), 1) &&
         X509_gmtime_adj(X509_getm_notBefore(x), -3600) != NULL &&
         X509_gmtime_adj(X509_getm_notAfter(x), 3600) != NULL &&
         X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                                    (const unsigned char *)name, -1, -1, 0) &&
         X509_set_issuer_name(x, X509_get_subject_name(issuer != NULL ? issuer : x)) &&
         X509_set_pubkey(x, key) && X509_sign(x, signer, EVP_sha256()) > 0);
    return x;
}

static void add_record(SSL *ssl, int usage, EVP_PKEY *key)
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);

    need(len > 0 && SSL_dane_tlsa_add(ssl, (uint8_t)usage, 1, 0, der, (size_t)len) == 1);
    OPENSSL_free(der);
}

static void verify(SSL *ssl, X509 *leaf)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();

    need(store != NULL && ctx != NULL && X509_STORE_CTX_init(ctx, store, leaf, NULL) &&
         X509_STORE_CTX_set_default(ctx, "ssl_server") &&
         X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(ctx), SSL_get0_param(ssl)));
    X509_STORE_CTX_set0_dane(ctx, SSL_get0_dane(ssl));
    need(X509_verify_cert(ctx) == 1);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
}

static int freed;

static void count(void *parent, void *p, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
    (void)parent, (void)ad, (void)index, (void)argl, (void)argp;
    freed += p != NULL;
}

int main(void)
{
    enum { SPARE = 16 };
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    X509 *ca = certificate("ca", ca_key, NULL, ca_key);
    X509 *leaf = certificate("js.example", key, ca, ca_key);
    int index = X509_get_ex_new_index(0, NULL, NULL, NULL, count), held = 0;
    SSL_CTX *ssl_ctx = SSL_CTX_new(TLS_method());
    SSL *ssl;

    need(ssl_ctx != NULL && SSL_CTX_dane_enable(ssl_ctx) > 0);
    ssl = SSL_new(ssl_ctx);
    need(ssl != NULL && SSL_dane_enable(ssl, "js.example") == 1);
    add_record(ssl, 1, key);
    add_record(ssl, 2, ca_key);
    need(X509_set_ex_data(leaf, index, &freed));
    for (int i = 0; i < SPARE; i++)
        need(X509_up_ref(leaf));
    verify(ssl, leaf);
    verify(ssl, leaf);
    SSL_free(ssl);
    for (; !freed && held <= SPARE; held++)
        X509_free(leaf);
    need(freed == 1);
    return held == SPARE + 1 ? 0 : 2;
}
]])], [KBV_OPENSSL_FLAW=absent],
    [AS_IF([test "$ac_status" = 2], [KBV_OPENSSL_FLAW=present], [KBV_OPENSSL_FLAW=unknown])],
    [KBV_OPENSSL_FLAW=unknown])
CFLAGS=$kbv_saved_cflags
LIBS=$kbv_saved_libs
AC_MSG_RESULT([$KBV_OPENSSL_FLAW])
AS_CASE([$KBV_OPENSSL_FLAW],
    [present], [AC_MSG_WARN([this libcrypto frees a certificate twice after some matches of several TLSA records
    (CVE-2026-28387). The module asks for one record at a time and does not meet it; other users of
    DANE on this machine may: update OpenSSL])],
    [unknown], [AC_MSG_WARN([whether this libcrypto has the flaw of CVE-2026-28387 cannot be tried here: see docs/dane.md])])
])
