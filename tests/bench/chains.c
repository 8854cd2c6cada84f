/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What judging a chain costs at worst: microseconds of CPU a question, by chains and records that
 * somebody made to be dear, and by those of the fuzzers' corpus. One line a case: name, status,
 * paths looked for, microseconds, and microseconds once the table has it; separated by tabs.
 *
 * chains [CORPUS]   the folder of the fuzzers' chains
 */
#include <dirent.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/buf.h"
#include "module/core/judge.h"
#include "module/core/sha256.h"

enum { NOW = 1800000000, DAY = 86400, RUNS = 7, ENDPOINTS_MAX = 9, KEYS_MAX = 64 };

static void need(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "chains: %s\n", what);
    exit(1);
}

/* ---- keys and certificates ---- */

/* RSA-BITS, RSA-BITS-E with a public exponent of E bits, a curve's name, ED25519, ED448. */
static EVP_PKEY *make_key(const char *type)
{
    unsigned bits, e_bits = 17;
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx;
    BIGNUM *e;

    if (strncmp(type, "ED", 2) == 0) {
        key = EVP_PKEY_Q_keygen(NULL, NULL, type);
    } else if (sscanf(type, "RSA-%u-%u", &bits, &e_bits) < 1) {
        key = EVP_EC_gen(type);
    } else {
        ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
        e = BN_new();
        need(BN_set_bit(e, (int)e_bits - 1) && BN_set_bit(e, 0), "no exponent");
        need(
            EVP_PKEY_keygen_init(ctx) > 0 && EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)bits) > 0 &&
                EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e) > 0 && EVP_PKEY_generate(ctx, &key) > 0,
            type);
        BN_free(e);
        EVP_PKEY_CTX_free(ctx);
    }
    need(key != NULL, type);
    return key;
}

static void add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *e;

    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    need(e != NULL && X509_add_ext(x, e, -1), value);
    X509_EXTENSION_free(e);
}

static X509 *make(int number, EVP_PKEY *key, int issuer, EVP_PKEY *signer, const char *san,
                  const char *constraints)
{
    X509 *x = X509_new();
    X509_NAME *name = X509_NAME_new();
    char cn[16];

    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1 + number);
    ASN1_TIME_set(X509_getm_notBefore(x), NOW - DAY);
    ASN1_TIME_set(X509_getm_notAfter(x), NOW + DAY);
    snprintf(cn, sizeof(cn), "CA %d", issuer);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (uint8_t *)cn, -1, -1, 0);
    X509_set_issuer_name(x, name);
    snprintf(cn, sizeof(cn), "CA %d", number);
    X509_NAME_free(name);
    name = X509_NAME_new();
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (uint8_t *)cn, -1, -1, 0);
    X509_set_subject_name(x, name);
    X509_NAME_free(name);
    X509_set_pubkey(x, key);
    if (san != NULL)
        add_extension(x, NID_subject_alt_name, san);
    else
        add_extension(x, NID_basic_constraints, "critical,CA:TRUE");
    if (constraints != NULL)
        add_extension(x, NID_name_constraints, constraints);
    need(X509_sign(x, signer,
                   EVP_PKEY_is_a(signer, "ED25519") || EVP_PKEY_is_a(signer, "ED448")
                       ? NULL
                       : EVP_sha256()) > 0,
         "cannot sign");
    return x;
}

/* ---- questions ---- */

struct question {
    uint8_t material[65536], associations[KBV_ASSOCIATIONS_MAX];
    size_t material_len, associations_len;
    size_t endpoints;
    struct kbv_verdict base[ENDPOINTS_MAX];
};

static struct question q;
static struct kbv_dane *dane;
static const uint8_t owner[] = "\4_443\4_tcp\2js\7example";

static void send_octets(const uint8_t *der, size_t len)
{
    q.material[q.material_len++] = (uint8_t)(len >> 8);
    q.material[q.material_len++] = (uint8_t)len;
    memcpy(q.material + q.material_len, der, len);
    q.material_len += len;
}

static void send(X509 *x)
{
    uint8_t *der = NULL;
    int len = i2d_X509(x, &der);

    send_octets(der, (size_t)len);
    OPENSSL_free(der);
}

/* False: no room for another record. */
static bool add_record(uint8_t usage, uint8_t selector, uint8_t mtype, const uint8_t *data,
                       size_t len)
{
    struct kbv_writer w = kbv_writer_on(q.associations, sizeof(q.associations));

    w.len = q.associations_len;
    kbv_writer_u8(&w, usage);
    kbv_writer_u8(&w, selector);
    kbv_writer_u8(&w, mtype);
    kbv_writer_u16(&w, (uint16_t)len);
    kbv_writer_octets(&w, data, len);
    if (!w.failed)
        q.associations_len = w.len;
    return !w.failed;
}

static bool add_key(EVP_PKEY *key)
{
    uint8_t *spki = NULL;
    int len = i2d_PUBKEY(key, &spki);
    bool added = add_record(2, 1, 0, spki, (size_t)len);

    OPENSSL_free(spki);
    return added;
}

static void begin(void)
{
    q.material_len = q.associations_len = 0;
    q.endpoints = 1;
}

static void set_bases(void)
{
    static const uint8_t other_owner[] = "\4_444\4_tcp\2js\7example";

    for (size_t i = 0; i < q.endpoints; i++) {
        q.base[i] = (struct kbv_verdict){
            .status = KBV_STATUS_PUBLISHED,
            .match = KBV_MATCH_NONE,
            .ede = KBV_EDE_NONE,
            .owner = {i == 0 ? owner : other_owner, sizeof(owner)},
            .has_endpoint = true,
            .has_identifier = true,
            .port = (uint16_t)(443 + i),
            .target = {owner + 10, sizeof(owner) - 10},
            .issued = NOW,
            .not_after = NOW + 3600,
            .associations = {q.associations, q.associations_len},
            .reference_names = {owner + 10, sizeof(owner) - 10},
        };
    }
}

static double cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* One question from the octets on; false: it is malformed. */
static bool judge(struct kbv_cache *cache, double *us, unsigned *searches, enum kbv_status *status)
{
    const struct kbv_policy policy = {.max_ttl = 3600,
                                      .max_negative_ttl = 300,
                                      .security_level = 2,
                                      .dane = dane,
                                      .cache = cache};
    struct kbv_verdict v[ENDPOINTS_MAX];
    struct kbv_presented presented;
    double start = cpu_us();

    if (kbv_presented_read(KBV_MATERIAL_CHAIN, (struct kbv_slice){q.material, q.material_len},
                           &presented) != KBV_OK)
        return false;
    for (size_t i = 0; i < q.endpoints; i++)
        kbv_judge_keyed(&q.base[i], &presented, &policy, NOW, &v[i]);
    kbv_presented_clear(&presented);
    *us = cpu_us() - start;
    *searches = presented.verifications;
    *status = v[kbv_verdict_select(v, q.endpoints, true)].status;
    return true;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Medians; false: the question is malformed. */
static bool measure(double *cold, double *kept, unsigned *searches, enum kbv_status *status)
{
    static const uint8_t secret[KBV_CACHE_SECRET_LEN];
    struct kbv_cache *cache = kbv_cache_create(1 << 20, kbv_judge_kept_len, secret);
    double us[2][RUNS];
    unsigned again;
    enum kbv_status same;
    bool ok = true;

    need(cache != NULL, "out of memory");
    set_bases();
    ok = judge(cache, &us[0][0], searches, status); /* fills the table */
    for (int i = 0; ok && i < RUNS; i++) {
        judge(cache, &us[1][i], &again, &same);
        judge(NULL, &us[0][i], searches, status);
    }
    kbv_cache_delete(cache);
    if (!ok)
        return false;
    for (int i = 0; i < 2; i++)
        qsort(us[i], RUNS, sizeof(us[i][0]), compare);
    *cold = us[0][RUNS / 2];
    *kept = us[1][RUNS / 2];
    return true;
}

static void show(const char *name)
{
    double cold, kept;
    unsigned searches;
    enum kbv_status status;

    need(q.material_len <= 16384, name);
    need(measure(&cold, &kept, &searches, &status), name);
    printf("%s\t%s\t%u\t%.0f\t%.0f\n", name, kbv_status_name(status), searches, cold, kept);
    fflush(stdout);
}

/* ---- cases ---- */

static EVP_PKEY *keys[KEYS_MAX];
static X509 *path[KBV_CHAIN_MAX];

static void make_path(const char *type, size_t n, const char *san, const char *constraints)
{
    for (size_t i = 0; i < n; i++)
        keys[i] = make_key(type);
    for (size_t i = 0; i < n; i++) {
        size_t up = i + 1 < n ? i + 1 : i;

        path[i] =
            make((int)i, keys[i], (int)up, keys[up],
                 i == 0 ? san != NULL ? san : "DNS:js.example" : NULL, i != 0 ? constraints : NULL);
    }
}

static void free_path(void)
{
    for (size_t i = 0; i < KBV_CHAIN_MAX; i++) {
        X509_free(path[i]);
        path[i] = NULL;
    }
    for (size_t i = 0; i < KEYS_MAX; i++) {
        EVP_PKEY_free(keys[i]);
        keys[i] = NULL;
    }
}

/* Records for each certificate of the path but the first, by both digests. */
static void add_anchors(size_t n)
{
    uint8_t digest[32];
    unsigned len;

    for (size_t i = 1; i < n; i++) {
        need(X509_digest(path[i], EVP_sha256(), digest, &len), "no digest");
        add_record(2, 0, 1, digest, len);
    }
    for (size_t i = 1; i < n; i++) {
        uint8_t *spki = NULL;
        int spki_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(path[i]), &spki);

        kbv_sha256(&(struct kbv_slice){spki, (size_t)spki_len}, 1, digest);
        add_record(2, 1, 1, digest, len);
        OPENSSL_free(spki);
    }
}

/* As many certificates as may be sent, and the last one's digest; then the same with an end entity
 * whose signature is wrong, which is seen last, and with each of the others as an anchor. */
static void long_chain(const char *type, size_t n)
{
    char name[64];
    uint8_t digest[32];
    unsigned len;

    begin();
    make_path(type, n, NULL, NULL);
    for (size_t i = 0; i < n; i++)
        send(path[i]);
    need(X509_digest(path[n - 1], EVP_sha256(), digest, &len), "no digest");
    add_record(2, 0, 1, digest, len);
    snprintf(name, sizeof(name), "%zu certificates, %s", n, type);
    show(name);
    if (n < 3) {
        free_path();
        return;
    }
    begin();
    add_anchors(n);
    X509_free(path[0]);
    path[0] = make(0, keys[0], 1, keys[0], "DNS:js.example", NULL);
    for (size_t i = 0; i < n; i++)
        send(path[i]);
    snprintf(name, sizeof(name), "the same, forged, many anchors, %s", type);
    show(name);
    q.endpoints = ENDPOINTS_MAX;
    snprintf(name, sizeof(name), "the same at 9 endpoints, %s", type);
    show(name);
    free_path();
}

/* Names to be held against constraints: their numbers multiply. */
static void many_names(size_t n_names, size_t n_constraints)
{
    static char san[65536], constraints[65536];
    char name[64];
    size_t len = (size_t)snprintf(san, sizeof(san), "DNS:js.example");

    for (size_t i = 0; i < n_names; i++)
        len += (size_t)snprintf(san + len, sizeof(san) - len, ",DNS:%c%c", (int)('a' + i / 26 % 26),
                                (int)('a' + i % 26));
    len += (size_t)snprintf(san + len, sizeof(san) - len, ",DNS:last");
    len = (size_t)snprintf(constraints, sizeof(constraints), "excluded;DNS:last");
    for (size_t i = 0; i < n_constraints; i++)
        len +=
            (size_t)snprintf(constraints + len, sizeof(constraints) - len, "%sexcluded;DNS:%c.%c",
                             i == 0 ? "" : ",", (int)('a' + i / 26 % 26), (int)('0' + i % 10));
    begin();
    make_path("P-256", 3, san, constraints);
    for (size_t i = 0; i < 3; i++)
        send(path[i]);
    add_anchors(3);
    snprintf(name, sizeof(name), "%zu names, twice %zu constraints", n_names, n_constraints);
    show(name);
    free_path();
}

/* All certificates have one name, and each could have been issued by each. */
static void mesh(void)
{
    begin();
    for (size_t i = 0; i < KBV_CHAIN_MAX; i++)
        keys[i] = make_key("P-256");
    for (size_t i = 0; i < KBV_CHAIN_MAX; i++)
        path[i] = make(i == 0 ? 0 : 1, keys[i], 1, keys[(i + 1) % KBV_CHAIN_MAX],
                       i == 0 ? "DNS:js.example" : NULL, NULL);
    for (size_t i = 0; i < KBV_CHAIN_MAX; i++)
        send(path[i]);
    add_anchors(KBV_CHAIN_MAX);
    show("8 certificates of one name");
    free_path();
}

/* As many keys as an RRset holds, none of which signed anything here. */
static void many_keys(const char *type)
{
    char name[64];

    begin();
    make_path(type, 2, NULL, NULL);
    send(path[0]);
    send(path[1]);
    for (size_t i = 2; i < KEYS_MAX; i++) {
        keys[i] = make_key(type);
        if (!add_key(keys[i]))
            break;
    }
    snprintf(name, sizeof(name), "many keys in the records, %s", type);
    show(name);
    free_path();
}

/* An end entity of many names, the last of which is the reference name, or none, and as many
 * records as an RRset holds, at all endpoints: keys that a path must be looked for to, and digests
 * that must be compared with each certificate. */
static void many_names_many_records(size_t n_names, bool named)
{
    static char san[65536];
    char name[64];
    size_t len = 0;

    for (size_t i = 0; i < n_names; i++)
        len += (size_t)snprintf(san + len, sizeof(san) - len, "DNS:%c%c,", (int)('a' + i / 26 % 26),
                                (int)('a' + i % 26));
    snprintf(san + len, sizeof(san) - len, "DNS:%s", named ? "js.example" : "last");
    begin();
    make_path("P-256", 2, san, NULL);
    send(path[0]);
    send(path[1]);
    q.endpoints = ENDPOINTS_MAX;
    for (size_t i = 2; i < KEYS_MAX; i++) {
        keys[i] = make_key("P-256");
        if (!add_key(keys[i]))
            break;
    }
    snprintf(name, sizeof(name), "%zu names, %s, many keys at 9 endpoints", n_names,
             named ? "ours last" : "none ours");
    show(name);
    free_path();
}

/* Digests that nothing has, each held against large certificates, at all endpoints. */
static void many_digests(void)
{
    static char constraints[65536];
    uint8_t digest[64] = {0};
    size_t len = (size_t)snprintf(constraints, sizeof(constraints), "excluded;DNS:last");

    for (unsigned i = 0; i < 1200; i++)
        len +=
            (size_t)snprintf(constraints + len, sizeof(constraints) - len, ",excluded;DNS:%u", i);
    begin();
    make_path("P-256", 2, NULL, constraints);
    send(path[0]);
    send(path[1]);
    q.endpoints = ENDPOINTS_MAX;
    for (uint8_t i = 0; i < KEYS_MAX; i++) {
        digest[0] = i;
        add_record(2, 0, 2, digest, sizeof(digest));
    }
    show("many digests of nothing at 9 endpoints");
    free_path();
}

/* The dearest of the corpus: files as fuzz_chain reads them. */
static void corpus(const char *folder)
{
    DIR *dir = opendir(folder);
    double most = -1, most_kept = 0, cold, kept;
    enum kbv_status status, most_status = KBV_STATUS_NONE;
    unsigned searches, most_searches = 0;
    char most_name[256] = "", file[4096];
    static uint8_t octets[65536];
    struct dirent *entry;

    need(dir != NULL, folder);
    while ((entry = readdir(dir)) != NULL) {
        struct kbv_reader in;
        uint8_t first, second;
        struct kbv_slice data;
        FILE *f;

        snprintf(file, sizeof(file), "%s/%s", folder, entry->d_name);
        f = entry->d_name[0] != '.' ? fopen(file, "rb") : NULL;
        if (f == NULL)
            continue;
        in = kbv_reader_on(octets, fread(octets, 1, sizeof(octets), f));
        fclose(f);
        first = kbv_reader_u8(&in);
        second = kbv_reader_u8(&in);
        data = kbv_reader_octets(&in, kbv_reader_u16(&in));
        begin();
        if (in.failed || data.len == 0 || in.left > 16384 ||
            !add_record(first & 3, second & 1, (second >> 1) % 3, data.p, data.len))
            continue;
        memcpy(q.material, in.p, in.left);
        q.material_len = in.left;
        if (measure(&cold, &kept, &searches, &status) && cold > most) {
            most = cold;
            most_kept = kept;
            most_searches = searches;
            most_status = status;
            snprintf(most_name, sizeof(most_name), "%s", entry->d_name);
        }
    }
    closedir(dir);
    if (most >= 0)
        printf("dearest of the corpus: %s\t%s\t%u\t%.0f\t%.0f\n", most_name,
               kbv_status_name(most_status), most_searches, most, most_kept);
}

int main(int argc, char **argv)
{
    static const char *const types[] = {"P-256",   "P-384", "P-521",
                                        "ED25519", "ED448", "brainpoolP512r1"};

    dane = kbv_dane_create(NULL);
    need(dane != NULL, "OpenSSL could not set up DANE");
    long_chain("P-256", 2);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        long_chain(types[i], KBV_CHAIN_MAX);
    long_chain("RSA-2048", KBV_CHAIN_MAX);
    long_chain("RSA-4096", KBV_CHAIN_MAX);
    long_chain("RSA-2048-32", KBV_CHAIN_MAX);
    long_chain("RSA-2048-1024", KBV_CHAIN_MAX);
    many_keys("P-256");
    many_keys("P-384");
    mesh();
    many_names(100, 100);
    many_names(600, 600);
    many_names_many_records(3500, false);
    many_names_many_records(3500, true);
    many_digests();
    if (argc > 1)
        corpus(argv[1]);
    kbv_dane_delete(dane);
    return 0;
}
