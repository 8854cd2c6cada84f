/* SPDX-License-Identifier: BSD-3-Clause */
/* A peer's certificate or raw key, and all that follows from it. */
#include <kbv/client.h>

#include <openssl/sha.h>

#include "tests/unit/pki.h"

static const char *const types[] = {"P-256", "P-384", "RSA-2048", "ED25519"};

static struct pki_octets spki_of(const char *type)
{
    unsigned char *p = NULL;
    int len = i2d_PUBKEY(pki_key(type, 1), &p);
    struct pki_octets o = {malloc((size_t)len), (size_t)len};

    memcpy(o.p, p, o.len);
    OPENSSL_free(p);
    return o;
}

static struct pki_octets cert_of(const char *type)
{
    EVP_PKEY *key = pki_key(type, 1);
    X509 *x = pki_make(&(struct pki_spec){.subject = "peer", .key = key, .signer = key});
    struct pki_octets der = pki_der(x);

    X509_free(x);
    return der;
}

static void check_digests(const uint8_t *sha256, const uint8_t *sha512, const struct pki_octets *of)
{
    uint8_t digest[64];

    SHA256(of->p, of->len, digest);
    ck_assert_mem_eq(sha256, digest, 32);
    SHA512(of->p, of->len, digest);
    ck_assert_mem_eq(sha512, digest, 64);
}

START_TEST(certificate_gives_everything)
{
    struct pki_octets cert = cert_of(types[_i]), spki = spki_of(types[_i]);
    struct kbv_peer peer;

    ck_assert_int_eq(kbv_peer_from_certificate(&peer, cert.p, cert.len), KBV_OK);
    ck_assert(peer.has_spki_sha256 && peer.has_spki_sha512);
    ck_assert(peer.has_cert_sha256 && peer.has_cert_sha512);
    ck_assert_ptr_eq(peer.cert.p, cert.p);
    ck_assert_uint_eq(peer.cert.len, cert.len);
    ck_assert(peer.spki.p > cert.p && peer.spki.p + peer.spki.len < cert.p + cert.len);
    ck_assert_uint_eq(peer.spki.len, spki.len);
    ck_assert_mem_eq(peer.spki.p, spki.p, spki.len);
    check_digests(peer.spki_sha256, peer.spki_sha512, &spki);
    check_digests(peer.cert_sha256, peer.cert_sha512, &cert);
    pki_octets_free(&cert);
    pki_octets_free(&spki);
}
END_TEST

START_TEST(raw_key_gives_the_key)
{
    struct pki_octets spki = spki_of(types[_i]);
    struct kbv_peer peer;

    ck_assert_int_eq(kbv_peer_from_spki(&peer, spki.p, spki.len), KBV_OK);
    ck_assert(peer.has_spki_sha256 && peer.has_spki_sha512);
    ck_assert(!peer.has_cert_sha256 && !peer.has_cert_sha512 && !peer.cert.p);
    ck_assert_ptr_eq(peer.spki.p, spki.p);
    ck_assert_uint_eq(peer.spki.len, spki.len);
    check_digests(peer.spki_sha256, peer.spki_sha512, &spki);
    pki_octets_free(&spki);
}
END_TEST

static void refused(enum kbv_err (*read)(struct kbv_peer *, const uint8_t *, size_t),
                    const uint8_t *der, size_t len, const char *what)
{
    struct kbv_peer peer = {.has_spki_sha512 = true};

    ck_assert_msg(read(&peer, der, len) == KBV_ERR_FORMAT, "%s", what);
    ck_assert_msg(peer.has_spki_sha512 && !peer.has_spki_sha256, "%s: set in spite of it", what);
}

static void check_malformed(enum kbv_err (*read)(struct kbv_peer *, const uint8_t *, size_t),
                            const struct pki_octets *der)
{
    uint8_t *more = malloc(der->len + 1);

    for (size_t len = 0; len < der->len; len++)
        refused(read, der->p, len, "cut");
    memcpy(more, der->p, der->len);
    more[der->len] = 0;
    refused(read, more, der->len + 1, "an octet behind");
    refused(read, NULL, 0, "nothing");
    memset(more, 0, der->len);
    refused(read, more, der->len, "zeros");
    free(more);
}

START_TEST(malformed_is_refused)
{
    struct pki_octets cert = cert_of("P-256"), spki = spki_of("P-256");
    static uint8_t large[16385] = {0x30, 0x82, 0x3f, 0xfd};

    check_malformed(kbv_peer_from_certificate, &cert);
    check_malformed(kbv_peer_from_spki, &spki);
    refused(kbv_peer_from_certificate, spki.p, spki.len, "a key as certificate");
    refused(kbv_peer_from_spki, cert.p, cert.len, "a certificate as key");
    refused(kbv_peer_from_certificate, large, sizeof(large), "too large");
    pki_octets_free(&cert);
    pki_octets_free(&spki);
}
END_TEST

/* BER that d2i takes: the outermost length in one octet more than it needs. */
START_TEST(other_than_der_is_refused)
{
    struct pki_octets cert = cert_of("P-256");
    uint8_t *ber = malloc(cert.len + 1);

    ck_assert_uint_eq(cert.p[1], 0x82);
    ber[0] = 0x30, ber[1] = 0x83, ber[2] = 0;
    memcpy(ber + 3, cert.p + 2, cert.len - 2);
    refused(kbv_peer_from_certificate, ber, cert.len + 1, "a long length");
    free(ber);
    pki_octets_free(&cert);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("peer");
    TCase *c = tcase_create("peer");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, c);
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, certificate_gives_everything, 0, 4);
    tcase_add_loop_test(c, raw_key_gives_the_key, 0, 4);
    tcase_add_test(c, malformed_is_refused);
    tcase_add_test(c, other_than_der_is_refused);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
