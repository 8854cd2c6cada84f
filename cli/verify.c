/* SPDX-License-Identifier: BSD-3-Clause */
/* kbv verify: the judgement of the resolver, without the DNS: the records are taken for secure. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/material.h"
#include "cli/offline.h"
#include "lib/text.h"
#include "module/core/tlsa.h"

enum {
    RECORDS_MAX = KBV_TLSA_MAX + 1, /* one too many is a verdict: LIMIT */
};

struct verify {
    const struct command *self;
    uint8_t owner[KBV_NAME_MAX];
    size_t owner_len;
    uint8_t names[KBV_REFERENCE_NAMES_MAX - 1][KBV_NAME_MAX]; /* --name */
    size_t name_lens[KBV_REFERENCE_NAMES_MAX - 1], n_names;
    struct kbv_slice records[RECORDS_MAX]; /* RDATA, owned */
    size_t n_records;
    struct kbv_request request; /* its material is owned */
    const char *ca_file;
    int64_t now;
    unsigned long level;
    bool json;
};

/* ---- reading arguments and files ---- */

/* "3 1 1 HEX": what is malformed as DNS is a mistake of the command line; what is merely of no use
 * is judged. */
static bool read_record(struct verify *q, const char *text)
{
    uint8_t fixed[3];
    struct kbv_slice record;

    for (int i = 0; i < 3; i++) {
        char number[4] = "";
        unsigned long value;
        size_t len;

        text += strspn(text, BLANKS);
        len = strcspn(text, BLANKS);
        if (len == 0 || len >= sizeof(number))
            return false;
        memcpy(number, text, len);
        if (!parse_number(number, 0, 255, &value))
            return false;
        fixed[i] = (uint8_t)value;
        text += len;
    }
    if (!read_hex(text, sizeof(fixed), &record))
        return false;
    memcpy((uint8_t *)record.p, fixed, sizeof(fixed));
    if (q->n_records < RECORDS_MAX)
        q->records[q->n_records++] = record;
    else
        free((void *)record.p); /* the verdict is LIMIT as it is */
    return true;
}

/* Records, one a line, as dig +short prints them; empty lines are passed over. */
static bool read_records(struct verify *q, const char *text)
{
    char *copy = strdup(text), *rest = NULL;
    size_t n = 0;
    bool good = copy != NULL;

    for (char *line = good ? strtok_r(copy, "\n", &rest) : NULL; good && line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (line[strspn(line, BLANKS)] == '\0')
            continue;
        good = read_record(q, line);
        n++;
    }
    free(copy);
    return good && n != 0;
}

/* ---- judging ---- */

/* Reads what was presented if it is what a request may hold: the resolver's caps, before any
 * parsing. NULL, or what is wrong with it. */
static const char *read_presented(const struct verify *q, struct kbv_presented *presented)
{
    static uint8_t octets[MATERIAL_FILE_MAX + 64];
    size_t len;

    if (q->request.material.len == 0)
        return q->request.kind == KBV_MATERIAL_SPKI ? "no public key, or a malformed file"
                                                    : "no certificate, or a malformed file";
    if (kbv_request_encode(&q->request, octets, sizeof(octets), &len) != KBV_OK ||
        kbv_presented_read(q->request.kind, q->request.material, presented) != KBV_OK)
        return "malformed key or certificate, or too large a one";
    return NULL;
}

static void explain(const struct verify *q, const struct kbv_verdict *v, int depth)
{
    char owner[KBV_NAME_TEXT_MAX], time[KBV_TIME_TEXT_LEN];

    kbv_name_to_text(q->owner, q->owner_len, owner);
    printf("%s\n  owner     %s\n", kbv_status_name(v->status), owner);
    if (v->match.usage != KBV_MATCH_NONE.usage)
        printf("  matched   %u %u %u at depth %d\n", v->match.usage, v->match.selector,
               v->match.mtype, depth);
    if (v->status == KBV_STATUS_BOUND) {
        kbv_time_text(v->not_after, time);
        printf("  until     %s, %s\n", time,
               v->not_after - v->issued == OFFLINE_TTL_S ? "the records' TTL taken as an hour"
                                                         : "when a certificate of the path ends");
    }
    if (v->reason.len != 0)
        printf("  reason    %.*s\n", (int)v->reason.len, (const char *)v->reason.p);
}

/* mistake: NULL, or what is wrong with --ca-file. */
static int judge(const struct verify *q, struct kbv_bundle *bundle, const char *mistake)
{
    static uint8_t associations[KBV_ASSOCIATIONS_MAX];
    static uint8_t names[KBV_REFERENCE_NAMES_MAX * KBV_NAME_MAX];
    struct kbv_dane *dane = kbv_dane_create(bundle);
    const struct kbv_policy policy = {
        .max_ttl = OFFLINE_TTL_S,
        .max_negative_ttl = OFFLINE_TTL_S,
        .pkix = bundle != NULL,
        .security_level = (unsigned)q->level,
        .dane = dane,
    };
    struct kbv_presented presented = {.material = KBV_MATERIAL_NONE, .depth = -1};
    struct kbv_evidence malformed = {
        .finding = KBV_FOUND_REFUSAL,
        .refusal = KBV_STATUS_BAD_INPUT,
        .ede = KBV_EDE_NONE,
        .owner = {q->owner, q->owner_len},
    };
    struct offline records = {
        .owner = {q->owner, q->owner_len},
        .n_names = q->n_names,
        .records = q->records,
        .n_records = q->n_records,
    };
    struct kbv_verdict v;
    bool printed = true;

    if (dane == NULL) {
        complain(q->self, "%s", kbv_err_text(KBV_ERR_NOMEM));
        return EXIT_NO_RESULT;
    }
    if (mistake == NULL)
        mistake = read_presented(q, &presented);
    if (mistake == NULL) {
        for (size_t i = 0; i < q->n_names; i++)
            records.names[i] = (struct kbv_slice){q->names[i], q->name_lens[i]};
        offline_judge(&records, &policy, q->now, associations, names, &v);
        kbv_judge_keyed(&v, &presented, &policy, q->now, &v);
    } else {
        snprintf(malformed.reason, sizeof(malformed.reason), "%s", mistake);
        kbv_judge_base(&malformed, &policy, q->now, NULL, 0, NULL, &v);
    }
    if (q->json)
        printed = print_json_depth(stdout, &v, presented.depth);
    else
        explain(q, &v, presented.depth);
    kbv_presented_clear(&presented);
    kbv_dane_delete(dane);
    if (!printed)
        complain(q->self, "%s", kbv_err_text(KBV_ERR_NOMEM));
    return printed ? exit_status_of(&v) : EXIT_NO_RESULT;
}

/* ---- the command ---- */

/* True if the file is there and gives an octet, or its end. */
static bool is_readable(const char *path)
{
    FILE *f = fopen(path, "rb");
    bool readable = f != NULL;

    if (f != NULL) {
        readable = getc(f) != EOF || !ferror(f);
        fclose(f);
    }
    return readable;
}

static int run_read(const struct verify *q)
{
    struct kbv_bundle *bundle = NULL;
    const char *mistake = NULL;
    char err[256];
    int status;

    if (q->owner_len == 0 || q->n_records == 0 || q->request.kind == KBV_MATERIAL_NONE)
        return usage_error(q->self, "--owner, --tlsa and what was presented are needed");
    if (q->ca_file != NULL && !is_readable(q->ca_file)) {
        complain(q->self, "%s: %s", q->ca_file, strerror(errno));
        return EXIT_USAGE;
    }
    if (q->ca_file != NULL && (bundle = kbv_bundle_load(q->ca_file, err, sizeof(err))) == NULL) {
        complain(q->self, "%s: %s", q->ca_file, err);
        mistake = "--ca-file: no CA certificates, or a malformed file";
    }
    status = judge(q, bundle, mistake);
    kbv_bundle_delete(bundle);
    return status;
}

/* One option; 0, or the exit status. */
static int read_option(struct verify *q, int option, const char *arg)
{
    unsigned long number;

    switch (option) {
    case 'o':
        if (q->owner_len != 0)
            return usage_error(q->self, "--owner: once");
        if (kbv_name_from_text(arg, true, q->owner, &q->owner_len) != KBV_OK)
            return usage_error(q->self, "--owner %s: no domain name", arg);
        return 0;
    case 'n':
        if (q->n_names == KBV_REFERENCE_NAMES_MAX - 1)
            return usage_error(q->self, "--name: at most %d", KBV_REFERENCE_NAMES_MAX - 1);
        if (kbv_name_from_text(arg, true, q->names[q->n_names], &q->name_lens[q->n_names]) !=
            KBV_OK)
            return usage_error(q->self, "--name %s: no domain name", arg);
        q->n_names++;
        return 0;
    case 't':
        if (!read_records(q, arg))
            return usage_error(q->self, "--tlsa %s: expected \"3 1 1 HEX\"", arg);
        return 0;
    case 'a':
        q->ca_file = arg;
        return 0;
    case 'T':
        if (!parse_number(arg, 0, UINT32_MAX, &number))
            return usage_error(q->self, "--at-time %s: expected seconds since the epoch", arg);
        q->now = (int64_t)number;
        return 0;
    case 'l':
        if (!parse_number(arg, 0, 5, &q->level))
            return usage_error(q->self, "--security-level %s: expected 0 to 5", arg);
        return 0;
    case 'j':
        q->json = true;
        return 0;
    default:
        return usage_error(q->self, "see --help");
    }
}

static int run_verify(const struct command *self, int argc, char **argv)
{
    static const struct option options[] = {{"owner", required_argument, NULL, 'o'},
                                            {"tlsa", required_argument, NULL, 't'},
                                            {"chain", required_argument, NULL, 'c'},
                                            {"cert", required_argument, NULL, 'e'},
                                            {"spki", required_argument, NULL, 's'},
                                            {"spki-sha256", required_argument, NULL, 'd'},
                                            {"name", required_argument, NULL, 'n'},
                                            {"ca-file", required_argument, NULL, 'a'},
                                            {"at-time", required_argument, NULL, 'T'},
                                            {"security-level", required_argument, NULL, 'l'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct verify *q = calloc(1, sizeof(*q));
    int option, status = 0;

    if (q == NULL) {
        complain(self, "%s", kbv_err_text(KBV_ERR_NOMEM));
        return EXIT_NO_RESULT;
    }
    q->self = self;
    q->level = 2;
    q->now = (int64_t)time(NULL);
    while (status == 0 && (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            print_help(self);
            goto out;
        }
        status = strchr("cesd", option) != NULL ? read_key_option(self, option, optarg, &q->request)
                                                : read_option(q, option, optarg);
    }
    if (status == 0)
        status = optind == argc ? run_read(q) : usage_error(self, "%s: no argument", argv[optind]);
out:
    for (size_t i = 0; i < q->n_records; i++)
        free((void *)q->records[i].p);
    free((void *)q->request.material.p);
    free(q);
    return status;
}

const struct command command_verify = {
    .name = "verify",
    .arguments =
        "--owner NAME --tlsa \"U S M HEX\"... --chain F|--cert F|--spki F|--spki-sha256 HEX",
    .summary = "judges a key or a certificate chain by TLSA records, with no DNS",
    .options =
        "The records are taken for secure and complete. F is PEM or DER, or - for standard\n"
        "input. NAME tells the role: _PORT._tcp.HOST is a server's, whose certificate must be\n"
        "for HOST; every other one is a client's, whose certificate must be for NAME. Usage 3\n"
        "needs no name.\n\n"
        "  --tlsa \"U S M HEX\"    a record, or several, one a line; repeatable\n"
        "  --chain F             certificates, the end entity's first, as the peer sent them\n"
        "  --cert F              the end entity's certificate alone, the first in F\n"
        "  --spki F              its public key alone\n"
        "  --spki-sha256 HEX     the digest of its public key alone\n"
        "  --name N              a further reference name, twice at most\n"
        "  --ca-file F           CA certificates for usages 0 and 1\n"
        "  --at-time EPOCH       the time to judge at, default now\n"
        "  --security-level N    OpenSSL's, 0 to 5, default 2\n"
        "  --json                one JSON object on one line\n",
    .run = run_verify,
};
