/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys, certificates and TLSA records made for a test, and their way through the judge. */
#ifndef KBV_TESTS_UNIT_PKI_H
#define KBV_TESTS_UNIT_PKI_H

#include <openssl/x509.h>

#include "module/core/judge.h"
#include "module/core/match.h"
#include "module/core/tlsa.h"
#include "tests/unit/octets.h"

#define PKI_NOW INT64_C(1800000000)
#define PKI_DAY INT64_C(86400)

/* The same key for the same type ("P-256", "P-384", "RSA-2048", "ED25519") and number, made when it
 * is first asked for; the tests' process owns it. */
EVP_PKEY *pki_key(const char *type, unsigned number);

/* A certificate to be made. Zeros are an end entity's without extensions. */
struct pki_spec {
    const char *subject; /* its CN; NULL: an empty name */
    EVP_PKEY *key;
    X509 *issuer; /* whose name is the issuer's; NULL: its own */
    EVP_PKEY *signer;
    const char *san, *eku, *constraints; /* as in openssl.cnf; NULL: no such extension */
    bool ca, key_ids;
    int64_t from, to; /* relative to PKI_NOW; both 0: a day before and ten after */
    const EVP_MD *md; /* NULL: SHA-256, or the key's own */
};

/* The caller frees it. */
X509 *pki_make(const struct pki_spec *spec);

/* Octets in storage of their own. */
struct pki_octets {
    uint8_t *p;
    size_t len;
};
struct pki_octets pki_der(X509 *x);
void pki_octets_free(struct pki_octets *o);

/* Everything between a TLSA RRset and a verdict. Zeros are a server at js.example, PKI_NOW, level 2
 * and the whole chain. */
#define PKI_RECORDS_MAX KBV_TLSA_MAX
struct pki_trial {
    const char *owner;          /* NULL: _443._tcp.js.example. */
    const char *names[3];       /* reference names; all NULL: as the owner has it */
    enum kbv_material material; /* KBV_MATERIAL_NONE: the chain */
    int64_t later;              /* than PKI_NOW [s] */
    int level;                  /* 0: 2; -1: 0 */
    struct kbv_dane *dane;      /* NULL: one without CA certificates */
    bool pkix;                  /* dane has some */
    struct kbv_cache *cache;    /* NULL: none */
    struct kbv_ratelimit *chains;
    struct kbv_asker client;
    void (*around)(bool on);    /* NULL, or told when the judgement itself begins and ends */
    struct pki_octets records[PKI_RECORDS_MAX];
    size_t n_records;
    struct pki_octets chain[KBV_CHAIN_MAX];
    size_t n_chain;

    enum kbv_err read; /* of what was presented */
    struct kbv_verdict base, v;
    int depth;
    unsigned verifications;
    char reason[KBV_REASON_MAX + 1];
    /* What the verdicts point into. */
    struct octets_name owner_wire, name_wires[3];
    uint8_t associations[KBV_ASSOCIATIONS_MAX];
    uint8_t name_octets[KBV_REFERENCE_NAMES_MAX * KBV_NAME_MAX];
};

void pki_trial_add(struct pki_trial *t, uint8_t usage, uint8_t selector, uint8_t mtype, X509 *x);
void pki_trial_add_octets(struct pki_trial *t, uint8_t usage, uint8_t selector, uint8_t mtype,
                          const uint8_t *data, size_t len);
/* whole, or the digest of it. */
void pki_trial_add_digest(struct pki_trial *t, uint8_t usage, uint8_t selector, uint8_t mtype,
                          struct kbv_slice whole);
/* Appends to what the peer sends. */
void pki_trial_send(struct pki_trial *t, X509 *x);
/* The status. What the judge says is checked: it can be encoded, and repeats nothing unkeyed. */
enum kbv_status pki_trial_judge(struct pki_trial *t);
/* Frees records and chain; the rest stays. */
void pki_trial_clear(struct pki_trial *t);

/* A verifier with these CA certificates, by way of a PEM file; the caller deletes it. */
struct kbv_dane *pki_dane(X509 *const *anchors, size_t n);

#endif
