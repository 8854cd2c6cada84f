/* SPDX-License-Identifier: BSD-3-Clause */
/* Which resolver the commands ask, and whose word they take. */
#ifndef KBV_CLI_RESOLVER_H
#define KBV_CLI_RESOLVER_H

#include <getopt.h>

#include <kbv/client.h>

#include "cli/cli.h"

/* The options of getopt_long(), beyond any letter. */
enum resolver_option {
    RESOLVER_SERVER = 0x100,
    RESOLVER_TLS_PIN,
    RESOLVER_PIN,
    RESOLVER_TIMEOUT,
    RESOLVER_RRTYPE,
    RESOLVER_EDNS_OPTION,
    RESOLVER_OPTION_END,
};

#define RESOLVER_OPTIONS                                                                           \
    {"server", required_argument, NULL, RESOLVER_SERVER},                                          \
        {"tls-pin", required_argument, NULL, RESOLVER_TLS_PIN},                                    \
        {"pin", required_argument, NULL, RESOLVER_PIN},                                            \
        {"timeout", required_argument, NULL, RESOLVER_TIMEOUT},                                    \
        {"rrtype", required_argument, NULL, RESOLVER_RRTYPE},                                      \
    {                                                                                              \
        "edns-option", required_argument, NULL, RESOLVER_EDNS_OPTION                               \
    }

/* Their lines of --help. */
#define RESOLVER_HELP                                                                              \
    "  --server ADDR[@PORT]  the resolver, default those of /etc/resolv.conf; repeatable.\n"       \
    "                        A loopback address named here is trusted to be one\n"                 \
    "  --tls-pin BASE64      ask over TLS, and only a resolver with this key: SHA-256 of its\n"    \
    "                        SubjectPublicKeyInfo\n"                                               \
    "  --pin KEY             take only verdicts signed with this Ed25519 key: base64, or a\n"      \
    "                        file with that or with a key in PEM; repeatable\n"                    \
    "  --timeout MS          for a question, all tries together, default 5000\n"                   \
    "  --rrtype N            the RR type of verdicts, default 65300\n"                             \
    "  --edns-option N       the EDNS option of verdicts, default 65100\n"

/* What the command line said. */
struct resolver_choice {
    const char *servers[KBV_RESOLVERS_MAX];
    size_t n_servers;
    uint8_t tls_pin[KBV_PIN_LEN];
    bool has_tls_pin;
    struct kbv_verdict_key keys[KBV_VERDICT_KEYS_MAX];
    size_t n_keys;
    int timeout_ms;       /* 0: the library's */
    unsigned long rrtype; /* 0: the library's */
    unsigned long option; /* likewise */
};

/* Takes one option with its argument. 0, or the exit status: it was complained of. */
int read_resolver_option(const struct command *c, struct resolver_choice *r, int option,
                         const char *arg);

/* A client with these settings, which the caller deletes; NULL, and it was complained of. */
struct kbv_client *make_client(const struct command *c, const struct resolver_choice *r);

#endif
