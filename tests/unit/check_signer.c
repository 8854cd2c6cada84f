/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The signer of the module: its key file, what it signs, what it does not sign twice. Known answers
 * are those of RFC 8032 section 7.1, TEST 1, and the vectors, which tests/data/make-vectors made
 * without this code. lib/sign.c, tested by check_sign, verifies the rest.
 */
#define _GNU_SOURCE /* memmem() */
#include "module/core/sign.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/starve.h"
#include "tests/unit/vectors.h"

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

enum { NOW = 1795323600 };

static const char seed_hex[] = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
static const char public_hex[] = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
/* That key as kbv keygen would write it. A test key: everybody has it. */
static const char key_pem[] = "-----BEGIN PRIVATE KEY-----\n"
                              "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
                              "-----END PRIVATE KEY-----\n";

/* ---- memory: what is given back uncleared ---- */

static struct {
    bool on, secret_given_back;
} watch;
static uint8_t secret[KBV_SIGN_SEED_LEN];

void *__real_malloc(size_t size);
void __real_free(void *p);
void __wrap_free(void *p);

/* The key, or a part of its base64, in what nobody owns from here on. */
void __wrap_free(void *p)
{
    static const char base64[] = "/VpguoRK9JLsLMRE";
    const size_t len = watch.on && p != NULL ? malloc_usable_size(p) : 0;

    if (len > 0 && (memmem(p, len, secret, sizeof(secret)) != NULL ||
                    memmem(p, len, base64, sizeof(base64) - 1) != NULL))
        watch.secret_given_back = true;
    __real_free(p);
}

static void begin(unsigned long fails_at, bool all_after)
{
    watch.on = true;
    starve_begin(fails_at, all_after);
}

static unsigned long end(void)
{
    watch.on = false;
    return starve_end();
}

/* ---- fixtures ---- */

static char folder[64], path[128], err[512];
static struct kbv_signer *signer;
static struct kbv_cache *kept;
static struct vectors vectors;
static struct kbv_reader_ids ids;

static void setup(void)
{
    static const uint8_t cache_secret[KBV_CACHE_SECRET_LEN] = "s";

    ck_assert_uint_eq(octets_from_hex(seed_hex, secret, sizeof(secret)), sizeof(secret));
    snprintf(folder, sizeof(folder), "/tmp/check_signer.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/key.pem", folder);
    ids = (struct kbv_reader_ids){geteuid(), getegid()};
    signer = kbv_signer_create(secret);
    kept = kbv_cache_create(65536, kbv_sign_kept_len, cache_secret);
    ck_assert(signer != NULL && kept != NULL);
    vectors_read(&vectors, "verdicts.txt");
}

static void teardown(void)
{
    end();
    vectors_free(&vectors);
    kbv_cache_delete(kept);
    kbv_signer_delete(signer);
    unlink(path);
    rmdir(folder);
}

static enum kbv_signature verify(const uint8_t *octets, size_t len, const struct kbv_signer *s)
{
    struct kbv_verdict v;

    ck_assert_int_eq(kbv_verdict_decode(&v, octets, len), KBV_OK);
    return kbv_verdict_verify(&v, kbv_signer_key(s), 1);
}

/* A verdict of the vectors, without its signature. */
static struct kbv_verdict vector_verdict(const char *name)
{
    const struct vector *vector = vectors_find(&vectors, name);
    struct kbv_verdict v;

    ck_assert_int_eq(kbv_verdict_decode(&v, vector->octets, vector->len), KBV_OK);
    return v;
}

/* ---- signatures ---- */

START_TEST(the_key_is_that_of_rfc_8032)
{
    uint8_t public[KBV_VERDICT_KEY_LEN];

    octets_from_hex(public_hex, public, sizeof(public));
    ck_assert_mem_eq(kbv_signer_key(signer)->octets, public, sizeof(public));
}
END_TEST

static const char *const signed_vectors[] = {"published-signed", "bound-nonce-signed"};

START_TEST(the_octets_are_those_of_the_vectors)
{
    const struct vector *vector = vectors_find(&vectors, signed_vectors[_i]);
    struct kbv_verdict v = vector_verdict(signed_vectors[_i]);
    uint8_t out[KBV_SIGN_VERDICT_MAX];
    size_t len;

    v.auth = 0;
    ck_assert_int_eq(kbv_sign_verdict(signer, NULL, NULL, NOW, &v, out, sizeof(out), &len), KBV_OK);
    ck_assert_uint_eq(len, vector->len);
    ck_assert_mem_eq(out, vector->octets, len);
}
END_TEST

START_TEST(every_vector_can_be_signed_and_verifies)
{
    unsigned n = 0;

    for (size_t i = 0; i < vectors.n; i++) {
        uint8_t out[KBV_SIGN_VERDICT_MAX];
        struct kbv_verdict v;
        size_t len;

        if (!vectors.v[i].accept)
            continue;
        v = vector_verdict(vectors.v[i].name);
        ck_assert_int_eq(kbv_sign_verdict(signer, NULL, NULL, NOW, &v, out, sizeof(out), &len),
                         KBV_OK);
        ck_assert_msg(verify(out, len, signer) == KBV_SIGNATURE_VALID, "%s", vectors.v[i].name);
        /* Another signature that it came with, over other octets, is not repeated. */
        v.issued++;
        ck_assert_int_eq(kbv_sign_verdict(signer, NULL, NULL, NOW, &v, out, sizeof(out), &len),
                         KBV_OK);
        ck_assert_msg(verify(out, len, signer) == KBV_SIGNATURE_VALID, "%s", vectors.v[i].name);
        n++;
    }
    ck_assert_uint_gt(n, 10);
    ck_assert_uint_eq(kbv_sign_counts(signer).made, 2 * n);
}
END_TEST

START_TEST(what_does_not_fit_or_is_no_verdict_is_not_signed)
{
    struct kbv_verdict v = vector_verdict("published-signed"), bad = v;
    const size_t whole = vectors_find(&vectors, "published-signed")->len;
    uint8_t out[KBV_SIGN_VERDICT_MAX];
    size_t len = 4711;

    for (size_t cap = 0; cap < whole; cap += 13)
        ck_assert_int_eq(kbv_sign_verdict(signer, kept, NULL, NOW, &v, out, cap, &len),
                         KBV_ERR_SPACE);
    bad.status = KBV_STATUS_NONE;
    ck_assert_int_eq(kbv_sign_verdict(signer, kept, NULL, NOW, &bad, out, sizeof(out), &len),
                     KBV_ERR_FORMAT);
    bad = v;
    bad.owner.p = NULL;
    ck_assert_int_eq(kbv_sign_verdict(signer, kept, NULL, NOW, &bad, out, sizeof(out), &len),
                     KBV_ERR_FORMAT);
    ck_assert_uint_eq(len, 4711);
    ck_assert_uint_eq(kbv_sign_counts(signer).made, 0);
}
END_TEST

/* What may be signed: so many more. */
static bool may_sign(void *arg)
{
    int *left = arg;

    return (*left)-- > 0;
}

START_TEST(what_may_not_be_signed_is_not)
{
    const struct kbv_verdict v = vector_verdict("published-signed");
    struct kbv_verdict asked = v;
    uint8_t out[KBV_SIGN_VERDICT_MAX];
    int left = 1;
    const struct kbv_sign_leave leave = {may_sign, &left};
    size_t len = 4711;

    ck_assert_int_eq(kbv_sign_verdict(signer, kept, &leave, NOW, &asked, out, 10, &len),
                     KBV_ERR_SPACE);
    ck_assert_int_eq(left, 1); /* not asked in vain */
    ck_assert_int_eq(kbv_sign_verdict(signer, kept, &leave, NOW, &asked, out, sizeof(out), &len),
                     KBV_OK);
    ck_assert_int_eq(left, 0);
    ck_assert_int_eq(kbv_sign_verdict(signer, kept, &leave, NOW, &asked, out, sizeof(out), &len),
                     KBV_OK); /* repeated */
    ck_assert_int_eq(left, 0);
    len = 4711;
    asked.issued++;
    asked.flags ^= KBV_FLAG_WILDCARD;
    ck_assert_int_eq(kbv_sign_verdict(signer, kept, &leave, NOW, &asked, out, sizeof(out), &len),
                     KBV_ERR_UNSUPPORTED);
    ck_assert_int_eq(kbv_sign_verdict(signer, NULL, &leave, NOW, &asked, out, sizeof(out), &len),
                     KBV_ERR_UNSUPPORTED);
    ck_assert_uint_eq(len, 4711);
    ck_assert_uint_eq(asked.issued, v.issued + 1);
    ck_assert_uint_eq(kbv_sign_counts(signer).made, 1);
    ck_assert_uint_eq(kbv_sign_counts(signer).failed, 0);
}
END_TEST

/* ---- signatures that serve again ---- */

/* A verdict at one time, and as it is found again later. Times in seconds from NOW. */
static const struct {
    const char *what;
    int issued, until;        /* first */
    int now, issued2, until2; /* then */
    bool repeated;
} again[] = {
    {"the same second", 0, 100, 0, 0, 100, true},
    {"later, with the same T", 0, 100, 30, 30, 100, true},
    {"to its last second", 0, 100, 99, 99, 100, true},
    {"T moves on: more than half is left", 0, 100, 40, 40, 140, true},
    {"T moves on: half is left", 0, 100, 50, 50, 150, true},
    {"T moves on: less than half is left", 0, 100, 51, 51, 151, false},
    {"at T", 0, 100, 100, 100, 200, false},
    {"at T, and no life is left", 0, 100, 100, 100, 100, false},
    {"after T", 0, 100, 101, 101, 201, false},
    {"what it rests on ends earlier now", 0, 100, 10, 10, 99, false},
    {"what it rests on is over", 0, 100, 10, 10, 10, false},
    {"the clock was put back", 0, 100, -1, -1, 99, false},
    {"no life, the same second", 0, 0, 0, 0, 0, true},
    {"no life, a second later", 0, 0, 1, 1, 1, false},
    {"of the resolver's cache, issued before", -50, 100, 30, 30, 100, true},
};

START_TEST(a_signature_serves_while_its_verdict_would_be_given_again)
{
    uint8_t one[KBV_SIGN_VERDICT_MAX], two[KBV_SIGN_VERDICT_MAX];
    struct kbv_verdict v = vector_verdict("published-signed");
    size_t len, len2;

    v.issued = (uint32_t)(NOW + again[_i].issued);
    v.not_after = (uint32_t)(NOW + again[_i].until);
    ck_assert_int_eq(kbv_sign_verdict(signer, kept, NULL, NOW, &v, one, sizeof(one), &len), KBV_OK);
    v.issued = (uint32_t)(NOW + again[_i].issued2);
    v.not_after = (uint32_t)(NOW + again[_i].until2);
    ck_assert_int_eq(
        kbv_sign_verdict(signer, kept, NULL, NOW + again[_i].now, &v, two, sizeof(two), &len2),
        KBV_OK);
    ck_assert_msg((kbv_sign_counts(signer).repeated == 1) == again[_i].repeated, "%s",
                  again[_i].what);
    ck_assert_uint_eq(kbv_sign_counts(signer).made, again[_i].repeated ? 1 : 2);
    ck_assert_msg((len == len2 && memcmp(one, two, len) == 0) ==
                      (again[_i].repeated || again[_i].issued == again[_i].issued2),
                  "%s", again[_i].what);
    ck_assert_int_eq(verify(two, len2, signer), KBV_SIGNATURE_VALID);
    /* *v has the times that the octets have. */
    if (again[_i].repeated) {
        ck_assert_uint_eq(v.issued, (uint32_t)(NOW + again[_i].issued));
        ck_assert_uint_eq(v.not_after, (uint32_t)(NOW + again[_i].until));
    } else {
        ck_assert_uint_eq(v.issued, (uint32_t)(NOW + again[_i].issued2));
        ck_assert_uint_eq(v.not_after, (uint32_t)(NOW + again[_i].until2));
    }
}
END_TEST

/* One thing of a verdict is another. */
static void change(struct kbv_verdict *v, int i)
{
    static const uint8_t other_owner[] = "\x05_8003\x04_tcp\x03js2\x04op-a\x07"
                                         "example";

    switch (i) {
    case 0:
        v->status = KBV_STATUS_NOT_BOUND;
        v->match = KBV_MATCH_NONE;
        v->ede = kbv_status_ede(KBV_STATUS_NOT_BOUND);
        break;
    case 1:
        v->subject.digest[31] ^= 1;
        break;
    case 2:
        v->subject.kind = KBV_SUBJECT_CERT;
        break;
    case 3:
        v->flags |= KBV_FLAG_WILDCARD;
        break;
    case 4:
        v->rrset_hash[0] ^= 1;
        break;
    case 5:
        v->alg ^= 1;
        break;
    case 6:
        v->match.selector ^= 1;
        break;
    case 7:
        v->owner = (struct kbv_slice){other_owner, sizeof(other_owner)};
        break;
    case 8:
        v->reason = (struct kbv_slice){(const uint8_t *)"x", 1};
        break;
    default:
        v->ede ^= 1;
        break;
    }
}

START_TEST(a_signature_serves_for_nothing_else)
{
    uint8_t out[KBV_SIGN_VERDICT_MAX];
    struct kbv_verdict v = vector_verdict("bound-nonce-signed");
    size_t len;

    v.nonce.p = NULL;
    ck_assert_int_eq(kbv_sign_verdict(signer, kept, NULL, NOW, &v, out, sizeof(out), &len), KBV_OK);
    change(&v, _i);
    ck_assert_int_eq(kbv_sign_verdict(signer, kept, NULL, NOW, &v, out, sizeof(out), &len), KBV_OK);
    ck_assert_uint_eq(kbv_sign_counts(signer).repeated, 0);
    ck_assert_uint_eq(kbv_sign_counts(signer).made, 2);
    ck_assert_int_eq(verify(out, len, signer), KBV_SIGNATURE_VALID);
}
END_TEST

START_TEST(a_nonce_is_signed_each_time)
{
    uint8_t out[KBV_SIGN_VERDICT_MAX];
    struct kbv_verdict v = vector_verdict("bound-nonce-signed");
    size_t len;

    for (unsigned i = 1; i <= 3; i++) {
        ck_assert_int_eq(kbv_sign_verdict(signer, kept, NULL, NOW, &v, out, sizeof(out), &len),
                         KBV_OK);
        ck_assert_uint_eq(kbv_sign_counts(signer).made, i);
    }
    ck_assert_uint_eq(kbv_cache_counts(kept).entries, 0);
}
END_TEST

START_TEST(another_key_signs_for_itself)
{
    static const uint8_t other_seed[KBV_SIGN_SEED_LEN] = "another key of the tests";
    struct kbv_signer *other = kbv_signer_create(other_seed);
    uint8_t out[KBV_SIGN_VERDICT_MAX];
    struct kbv_verdict v = vector_verdict("published-signed");
    size_t len;

    ck_assert_int_eq(kbv_sign_verdict(signer, kept, NULL, NOW, &v, out, sizeof(out), &len), KBV_OK);
    ck_assert_int_eq(kbv_sign_verdict(other, kept, NULL, NOW, &v, out, sizeof(out), &len), KBV_OK);
    ck_assert_int_eq(verify(out, len, other), KBV_SIGNATURE_VALID);
    ck_assert_int_eq(verify(out, len, signer), KBV_SIGNATURE_UNKNOWN_KEY);
    ck_assert_uint_eq(kbv_sign_counts(other).repeated, 0);
    kbv_signer_delete(other);
}
END_TEST

enum { THREADS = 4, ROUNDS = 200 };

static void *sign_often(void *arg)
{
    struct kbv_verdict v = vector_verdict("bound-nonce-signed");
    size_t number = (size_t)(uintptr_t)arg, len;
    uint8_t out[KBV_SIGN_VERDICT_MAX];

    for (size_t i = 0; i < ROUNDS; i++) {
        v.subject.digest[0] = (uint8_t)(i % 8);
        v.nonce.p = (i + number) % 5 == 0 ? v.subject.digest : NULL;
        if (kbv_sign_verdict(signer, kept, NULL, NOW, &v, out, sizeof(out), &len) != KBV_OK ||
            verify(out, len, signer) != KBV_SIGNATURE_VALID)
            return (void *)"a signature is wrong";
    }
    return NULL;
}

START_TEST(threads_share_a_signer)
{
    pthread_t threads[THREADS];
    void *wrong;

    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, sign_often, (void *)(uintptr_t)i), 0);
    for (size_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], &wrong), 0);
        ck_assert_msg(wrong == NULL, "%s", (const char *)wrong);
    }
    ck_assert_uint_eq(kbv_sign_counts(signer).made + kbv_sign_counts(signer).repeated,
                      THREADS * ROUNDS);
}
END_TEST

/* ---- the file's text ---- */

static EVP_PKEY *make_key(const char *type)
{
    if (strcmp(type, "RSA") == 0)
        return EVP_RSA_gen(2048);
    if (strcmp(type, "EC") == 0)
        return EVP_EC_gen("P-256");
    return EVP_PKEY_Q_keygen(NULL, NULL, type);
}

/* How a key of a type is written. */
enum writing { PKCS8, TRADITIONAL, ENCRYPTED, ENCRYPTED_TRADITIONAL, PUBLIC };

static size_t write_pem(const char *type, enum writing how, char *out, size_t cap)
{
    EVP_PKEY *key = make_key(type);
    BIO *bio = BIO_new(BIO_s_mem());
    int ok = 0, len;

    ck_assert(key != NULL && bio != NULL);
    switch (how) {
    case PKCS8:
        ok = PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
        break;
    case TRADITIONAL:
        ok = PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL);
        break;
    case ENCRYPTED:
        ok = PEM_write_bio_PKCS8PrivateKey(bio, key, EVP_aes_128_cbc(), "word", 4, NULL, NULL);
        break;
    case ENCRYPTED_TRADITIONAL:
        ok = PEM_write_bio_PrivateKey_traditional(bio, key, EVP_aes_128_cbc(),
                                                  (const unsigned char *)"word", 4, NULL, NULL);
        break;
    case PUBLIC:
        ok = PEM_write_bio_PUBKEY(bio, key);
        break;
    }
    ck_assert_int_eq(ok, 1);
    len = BIO_read(bio, out, (int)cap);
    ck_assert_int_gt(len, 0);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return (size_t)len;
}

/* Another kind of key, and a piece of what is said about it. */
static const struct {
    const char *type;
    enum writing how;
    const char *why;
} others[] = {
    {"RSA", PKCS8, "of type rsaEncryption: expected an Ed25519 key"},
    {"EC", PKCS8, "of type id-ecPublicKey"},
    {"X25519", PKCS8, "of type X25519"},
    {"ED448", PKCS8, "of type ED448"},
    {"RSA", TRADITIONAL, "holds a RSA PRIVATE KEY: expected an Ed25519 key in PKCS#8"},
    {"EC", TRADITIONAL, "holds a EC PRIVATE KEY"},
    {"ED25519", PUBLIC, "holds a PUBLIC KEY"},
    {"ED25519", ENCRYPTED, "encrypted"},
    {"RSA", ENCRYPTED_TRADITIONAL, "encrypted"},
};

START_TEST(another_kind_of_key_is_refused)
{
    char text[8192];
    const size_t len = write_pem(others[_i].type, others[_i].how, text, sizeof(text));

    ck_assert_ptr_null(kbv_signer_from_pem((uint8_t *)text, len, err, sizeof(err)));
    ck_assert_msg(strstr(err, others[_i].why) != NULL, "%s, not: %s", err, others[_i].why);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}
END_TEST

#define HEAD     "-----BEGIN PRIVATE KEY-----\n"
#define TAIL     "-----END PRIVATE KEY-----\n"
#define KEY_LINE "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"

static const struct {
    const char *text, *why;
} malformed[] = {
    {"", "no PEM block"},
    {"\n", "no PEM block"},
    {"nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=\n", "no PEM block"},
    {KEY_LINE, "no PEM block"},
    {HEAD, "cannot be read"},
    {HEAD KEY_LINE, "cannot be read"},
    {HEAD TAIL, "cannot be read"},
    {HEAD KEY_LINE "-----END PUBLIC KEY-----\n", "cannot be read"},
    {HEAD "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9\n" TAIL,
     "cannot be read"},
    {HEAD "MC4C!QAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n" TAIL,
     "cannot be read"},
    {HEAD "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9gAA==\n" TAIL,
     "malformed"}, /* an octet behind it */
    {HEAD "MC0CAQAwBQYDK2VwBCEEH51hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn8=\n" TAIL,
     "malformed"}, /* 31 octets */
    {HEAD "MC8CAQAwBQYDK2VwBCMEIZ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9gAA==\n" TAIL,
     "malformed"}, /* 33 octets */
    {HEAD "MCwCAQAwBQYDK2VwBCCdYbGd7/1aYLqESvSS7CzEREnFaXsyaRlwO6wDHK5/YA==\n" TAIL,
     "malformed"}, /* not in an octet string of its own */
    {HEAD "MDACAQAwBwYDK2VwBQAEIgQgnWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=\n" TAIL,
     "malformed"}, /* with parameters, RFC 8410 section 3 */
    {HEAD "MAA=\n" TAIL, "malformed"},
    {"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "holds a CERTIFICATE"},
    {HEAD KEY_LINE TAIL HEAD KEY_LINE TAIL, "behind the key"},
    {HEAD KEY_LINE TAIL "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
     "behind the key"},
    {HEAD KEY_LINE TAIL HEAD, "behind the key"},
    {"-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n" HEAD KEY_LINE TAIL,
     "holds a PUBLIC KEY"},
    {HEAD
     "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n" KEY_LINE
         TAIL,
     "encrypted"},
};

START_TEST(a_malformed_key_is_refused)
{
    ck_assert_ptr_null(kbv_signer_from_pem((const uint8_t *)malformed[_i].text,
                                           strlen(malformed[_i].text), err, sizeof(err)));
    ck_assert_msg(strstr(err, malformed[_i].why) != NULL, "%s, not: %s", err, malformed[_i].why);
    ck_assert_msg(strstr(err, "nWGx") == NULL && strstr(err, "MC4C") == NULL, "a key in: %s", err);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}
END_TEST

static const char *const wellformed[] = {
    HEAD KEY_LINE TAIL,
    "the key of resolver 1, since 2026\n" HEAD KEY_LINE TAIL "\nkeep it\n",
    "-----BEGIN PRIVATE KEY-----\r\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\r\n"
    "-----END PRIVATE KEY-----\r\n",
};

START_TEST(a_key_in_pem_is_read)
{
    struct kbv_signer *s = kbv_signer_from_pem((const uint8_t *)wellformed[_i],
                                               strlen(wellformed[_i]), err, sizeof(err));

    ck_assert_msg(s != NULL, "%s", err);
    ck_assert_mem_eq(kbv_signer_key(s), kbv_signer_key(signer), sizeof(*kbv_signer_key(s)));
    kbv_signer_delete(s);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}
END_TEST

START_TEST(a_file_that_is_too_long_is_refused)
{
    static char text[20000];

    memset(text, '\n', sizeof(text));
    memcpy(text, key_pem, sizeof(key_pem) - 1);
    ck_assert_ptr_null(kbv_signer_from_pem((uint8_t *)text, sizeof(text), err, sizeof(err)));
    ck_assert_msg(strstr(err, "too long") != NULL, "%s", err);
}
END_TEST

/* ---- the file ---- */

static void write_file(mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, key_pem, sizeof(key_pem) - 1), sizeof(key_pem) - 1);
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
}

static bool loads(const char *file)
{
    struct kbv_signer *s = kbv_signer_load(file, &ids, err, sizeof(err));

    kbv_signer_delete(s);
    return s != NULL;
}

/* What may be of a key file's mode. */
static const struct {
    mode_t mode;
    const char *why; /* NULL: it is read */
} modes[] = {
    {0600, NULL},
    {0400, NULL},
    {0640, NULL}, /* its group is that of the process */
    {0440, NULL},
    {0700, NULL},
    {0644, "with mode 0644 others may read"},
    {0604, "with mode 0604 others may read"},
    {0602, "others may read or write"},
    {0601, "others may read or write"},
    {0660, "others may read or write"},
    {0620, "others may read or write"},
    {0666, "others may read or write"},
    {0777, "others may read or write"},
};

START_TEST(a_key_file_is_for_its_owner)
{
    write_file(modes[_i].mode);
    ck_assert_msg(loads(path) == (modes[_i].why == NULL), "mode %04o: %s", (unsigned)modes[_i].mode,
                  err);
    if (modes[_i].why != NULL)
        ck_assert_msg(strstr(err, modes[_i].why) && strstr(err, "expected 0600"), "%s", err);
}
END_TEST

START_TEST(a_key_file_is_for_no_other_group)
{
    write_file(0640);
    ids.gid++;
    ck_assert(!loads(path));
    ck_assert_msg(strstr(err, "group") != NULL, "%s", err);
    write_file(0600);
    ck_assert_msg(loads(path), "%s", err); /* which group has nothing does not matter */
}
END_TEST

/* As root the file's owner can be changed; else whose it may be. */
START_TEST(a_key_file_of_another_user_is_refused)
{
    write_file(0600);
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(path, 4711, getegid()), 0);
        ck_assert(!loads(path));
        ck_assert_msg(strstr(err, "user 4711") != NULL, "%s", err);
        ids.uid = 4711;
        ck_assert_msg(loads(path), "%s", err);
        ck_assert_int_eq(chown(path, 0, getegid()), 0);
        ck_assert_msg(loads(path), "%s", err); /* root's is as good */
    } else {
        ids.uid++;
        ck_assert(!loads(path));
        ck_assert_msg(strstr(err, "belongs to user") != NULL, "%s", err);
    }
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
    char fifo[140];

    ck_assert(!loads(path));
    ck_assert_msg(strstr(err, "No such file") != NULL, "%s", err);
    ck_assert(!loads(""));
    ck_assert(!loads(folder));
    ck_assert_msg(strstr(err, "directory") != NULL, "%s", err);
    ck_assert(!loads("/dev/null"));
    ck_assert_msg(strstr(err, "regular file") != NULL, "%s", err);
    snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ck_assert(!loads(fifo)); /* nor waited for */
    unlink(fifo);
}
END_TEST

START_TEST(a_link_to_a_key_is_as_good)
{
    char link[140];

    write_file(0600);
    snprintf(link, sizeof(link), "%s/link", folder);
    ck_assert_int_eq(symlink(path, link), 0);
    ck_assert_msg(loads(link), "%s", err);
    write_file(0644);
    ck_assert(!loads(link));
    unlink(link);
}
END_TEST

/* ---- memory ---- */

START_TEST(nothing_of_a_key_is_left_in_memory)
{
    uint8_t out[KBV_SIGN_VERDICT_MAX];
    struct kbv_verdict v = vector_verdict("published-signed");
    char *forgotten = __real_malloc(64);
    size_t len;

    write_file(0600);
    begin(0, false);
    for (size_t i = 0; i < 2; i++) {
        struct kbv_signer *s = kbv_signer_load(path, &ids, err, sizeof(err));

        ck_assert_ptr_nonnull(s);
        ck_assert_int_eq(kbv_sign_verdict(s, NULL, NULL, NOW, &v, out, sizeof(out), &len), KBV_OK);
        kbv_signer_delete(s);
        ck_assert_ptr_null(kbv_signer_from_pem((const uint8_t *)HEAD KEY_LINE TAIL HEAD,
                                               strlen(HEAD KEY_LINE TAIL HEAD), err, sizeof(err)));
    }
    ck_assert(!watch.secret_given_back);
    /* and it would be seen */
    memcpy(forgotten + 16, secret, sizeof(secret));
    __wrap_free(forgotten);
    ck_assert(watch.secret_given_back);
    ck_assert_uint_gt(end(), 10);
}
END_TEST

START_TEST(without_memory_there_is_no_signer)
{
    unsigned long n = 0, none = 0;

    for (unsigned long k = 1; n == 0; k++) {
        struct kbv_signer *s;

        begin(k, _i == 1);
        err[0] = '\0';
        s = kbv_signer_from_pem((const uint8_t *)key_pem, sizeof(key_pem) - 1, err, sizeof(err));
        if (end() < k)
            n = k;
        none += s == NULL;
        ck_assert_msg(s != NULL || (n == 0 && err[0] != '\0'), "allocation %lu: %s", k, err);
        kbv_signer_delete(s);
        ERR_clear_error();
    }
    ck_assert_uint_gt(none, 10);
    ck_assert(!watch.secret_given_back);
}
END_TEST

START_TEST(without_memory_there_is_no_verdict)
{
    struct kbv_verdict v = vector_verdict("published-signed");
    uint8_t out[KBV_SIGN_VERDICT_MAX];
    unsigned long n = 0, failed = 0;
    size_t len;

    for (unsigned long k = 1; n == 0; k++) {
        enum kbv_err result;

        v.issued = (uint32_t)(NOW + k); /* another one */
        v.rrset_hash[0] = (uint8_t)k;
        begin(k, _i == 1);
        result = kbv_sign_verdict(signer, kept, NULL, NOW, &v, out, sizeof(out), &len);
        if (end() < k)
            n = k;
        ck_assert(result == KBV_ERR_NOMEM ||
                  (result == KBV_OK && verify(out, len, signer) == KBV_SIGNATURE_VALID));
        failed += result == KBV_ERR_NOMEM;
        ERR_clear_error();
    }
    ck_assert_uint_gt(failed, 2);
    ck_assert_uint_eq(kbv_sign_counts(signer).failed, failed);
    ck_assert_uint_eq(kbv_cache_counts(kept).entries, n - failed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("signer");
    TCase *c = tcase_create("signer");
    SRunner *runner;
    int failed;

    /* Before OpenSSL allocates anything. */
    if (!starve_init())
        return EXIT_FAILURE;
    runner = srunner_create(suite);
    suite_add_tcase(suite, c);
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, the_key_is_that_of_rfc_8032);
    tcase_add_loop_test(c, the_octets_are_those_of_the_vectors, 0, ROWS(signed_vectors));
    tcase_add_test(c, every_vector_can_be_signed_and_verifies);
    tcase_add_test(c, what_does_not_fit_or_is_no_verdict_is_not_signed);
    tcase_add_test(c, what_may_not_be_signed_is_not);
    tcase_add_loop_test(c, a_signature_serves_while_its_verdict_would_be_given_again, 0,
                        ROWS(again));
    tcase_add_loop_test(c, a_signature_serves_for_nothing_else, 0, 10);
    tcase_add_test(c, a_nonce_is_signed_each_time);
    tcase_add_test(c, another_key_signs_for_itself);
    tcase_add_test(c, threads_share_a_signer);
    tcase_add_loop_test(c, another_kind_of_key_is_refused, 0, ROWS(others));
    tcase_add_loop_test(c, a_malformed_key_is_refused, 0, ROWS(malformed));
    tcase_add_loop_test(c, a_key_in_pem_is_read, 0, ROWS(wellformed));
    tcase_add_test(c, a_file_that_is_too_long_is_refused);
    tcase_add_loop_test(c, a_key_file_is_for_its_owner, 0, ROWS(modes));
    tcase_add_test(c, a_key_file_is_for_no_other_group);
    tcase_add_test(c, a_key_file_of_another_user_is_refused);
    tcase_add_test(c, what_is_no_file_is_refused);
    tcase_add_test(c, a_link_to_a_key_is_as_good);
    tcase_add_test(c, nothing_of_a_key_is_left_in_memory);
    tcase_add_loop_test(c, without_memory_there_is_no_signer, 0, 2);
    tcase_add_loop_test(c, without_memory_there_is_no_verdict, 0, 2);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
