/* SPDX-License-Identifier: BSD-3-Clause */
/* kbv lint: what in a zone keeps keys from being bound. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/lint.h"
#include "cli/material.h"
#include "module/core/presented.h"

enum {
    OWNERS_MAX = 16,
    CERTIFICATES_MAX = 16,
    ZONE_MAX = 1 << 30,     /* octets of a zone file */
    TLSA_TTL_MAX_S = 86400, /* unless told otherwise: a roll-over in two days */
};

/* A finding that is kept until all are there. */
struct kept {
    enum trap trap;
    int line;
    size_t order;        /* in which it was found */
    char *name, *detail; /* owned */
};

struct arguments {
    const struct command *self;
    const char *file;
    uint8_t origin[KBV_NAME_MAX];
    size_t origin_len;
    struct kbv_options *identifiers;
    uint8_t owners[OWNERS_MAX][KBV_NAME_MAX];
    struct kbv_slice owner_names[OWNERS_MAX];
    size_t n_owners;
    struct lint_certificate certificates[CERTIFICATES_MAX];
    size_t n_certificates;
    int64_t now;
    unsigned long max_ttl;
    bool json;

    struct kept *kept; /* owned */
    size_t n_kept, room;
    bool no_memory;
};

static const char *const severity_names[] = {"note", "warning", "error"};

/* ---- findings ---- */

static char *text_of(struct kbv_slice name)
{
    char text[KBV_NAME_TEXT_MAX];

    kbv_name_to_text(name.p, name.len, text);
    return strdup(text);
}

static void keep(void *arg, const struct finding *f)
{
    struct arguments *q = arg;
    struct kept *k;

    if (q->n_kept == q->room) {
        size_t room = q->room != 0 ? 2 * q->room : 64;
        struct kept *grown = realloc(q->kept, room * sizeof(*grown));

        if (grown == NULL) {
            q->no_memory = true;
            return;
        }
        q->kept = grown;
        q->room = room;
    }
    k = &q->kept[q->n_kept];
    *k = (struct kept){f->trap, f->line, q->n_kept, text_of(f->name), strdup(f->detail)};
    q->n_kept++;
    q->no_memory = q->no_memory || k->name == NULL || k->detail == NULL;
}

static int compare_kept(const void *left, const void *right)
{
    const struct kept *a = left, *b = right;

    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    return (a->order > b->order) - (a->order < b->order);
}

/* As compilers do it, so that editors find the line. */
static void print_text(const struct arguments *q, const struct kept *k, bool colours)
{
    static const char *const colour[] = {"\033[36m", "\033[35m", "\033[31m"};
    const struct trap_row *row = &trap_rows[k->trap];

    printf("%s:", q->file);
    if (k->line != 0)
        printf("%d:", k->line);
    printf(" %s%s%s: %s: %s%s%s; %s [%s]\n", colours ? colour[row->severity] : "",
           severity_names[row->severity], colours ? "\033[0m" : "", k->name, k->detail,
           k->detail[0] != '\0' ? ": " : "", row->why, row->advice, row->id);
}

static bool print_object(const struct arguments *q, const struct kept *k)
{
    const struct trap_row *row = &trap_rows[k->trap];
    const struct {
        const char *key;
        json_t *value;
    } members[] = {
        {"file", json_string(q->file)},
        {"line", k->line != 0 ? json_integer(k->line) : json_null()},
        {"severity", json_string(severity_names[row->severity])},
        {"id", json_string(row->id)},
        {"name", json_string(k->name)},
        {"detail", k->detail[0] != '\0' ? json_string(k->detail) : json_null()},
        {"why", json_string(row->why)},
        {"advice", json_string(row->advice)},
    };
    json_t *object = json_object();
    char *line = NULL;
    bool ok = object != NULL;

    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        ok &= json_object_set_new(object, members[i].key, members[i].value) == 0;
    if (ok)
        line = json_dumps(object, JSON_ENSURE_ASCII);
    if (line != NULL)
        puts(line);
    free(line);
    json_decref(object);
    return line != NULL;
}

/* All findings by line. The exit status. */
static int print_findings(struct arguments *q)
{
    const bool colours = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;
    enum severity worst = SEVERITY_NOTE;
    bool ok = !q->no_memory;

    if (ok && q->n_kept != 0)
        qsort(q->kept, q->n_kept, sizeof(q->kept[0]), compare_kept);
    for (size_t i = 0; ok && i < q->n_kept; i++) {
        const enum severity severity = trap_rows[q->kept[i].trap].severity;

        if (q->json)
            ok = print_object(q, &q->kept[i]);
        else
            print_text(q, &q->kept[i], colours);
        worst = severity > worst ? severity : worst;
    }
    if (!ok) {
        complain(q->self, "%s", kbv_err_text(KBV_ERR_NOMEM));
        return EXIT_NO_RESULT;
    }
    return worst == SEVERITY_ERROR     ? EXIT_NEGATIVE
           : worst == SEVERITY_WARNING ? EXIT_NOT_PROVEN
                                       : EXIT_ACCEPT;
}

/* ---- the zone ---- */

static int lint_read_zone(struct arguments *q, const struct zone *zone)
{
    const struct lint l = {
        .zone = zone,
        .identifiers = q->identifiers,
        .owners = q->owner_names,
        .n_owners = q->n_owners,
        .certificates = q->certificates,
        .n_certificates = q->n_certificates,
        .now = q->now,
        .max_ttl = (uint32_t)q->max_ttl,
        .report = keep,
        .arg = q,
    };

    lint_zone(&l);
    return print_findings(q);
}

/* All that a file holds (malloc); NULL, and errno says why. */
static uint8_t *read_all(FILE *in, size_t *len)
{
    uint8_t *text = NULL, *grown;
    size_t room = 0, n = 0;

    do {
        if (n == room) {
            room = room != 0 ? 2 * room : 65536;
            grown = room <= ZONE_MAX ? realloc(text, room) : NULL;
            if (grown == NULL) {
                errno = room > ZONE_MAX ? EFBIG : ENOMEM;
                free(text);
                return NULL;
            }
            text = grown;
        }
        n += fread(text + n, 1, room - n, in);
    } while (!feof(in) && !ferror(in));
    if (ferror(in)) {
        free(text);
        return NULL;
    }
    *len = n;
    return text;
}

static int lint_text(struct arguments *q, struct kbv_slice text)
{
    const struct kbv_slice origin = {q->origin_len != 0 ? q->origin : NULL, q->origin_len};
    struct zone zone;
    const char *why;
    int line, status = EXIT_NO_RESULT;

    if (!zone_read(text, origin, &zone, &line, &why)) {
        if (line != 0)
            complain(q->self, "%s:%d: cannot be read: %s", q->file, line, why);
        else
            complain(q->self, "%s: %s", q->file, why);
    } else if (zone.n == 0) {
        complain(q->self, "%s: no records", q->file);
    } else {
        status = lint_read_zone(q, &zone);
    }
    zone_free(&zone);
    return status;
}

static int lint_file(struct arguments *q)
{
    const bool standard_input = strcmp(q->file, "-") == 0;
    FILE *in = standard_input ? stdin : fopen(q->file, "rb");
    struct kbv_slice text = {NULL, 0};
    int status;

    if (in != NULL)
        text.p = read_all(in, &text.len);
    if (text.p == NULL) {
        complain(q->self, "%s: %s", q->file, strerror(errno));
        status = EXIT_USAGE;
    } else {
        status = lint_text(q, text);
    }
    if (in != NULL && !standard_input)
        fclose(in);
    free((void *)text.p);
    return status;
}

/* ---- arguments ---- */

/* When a certificate ends; false if OpenSSL cannot tell. */
static bool read_not_after(struct kbv_slice der, int64_t *not_after)
{
    const uint8_t *p = der.p;
    X509 *x = d2i_X509(NULL, &p, (long)der.len);
    struct tm tm;
    bool ok = x != NULL && ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) == 1;

    if (ok)
        *not_after = (int64_t)timegm(&tm);
    X509_free(x);
    return ok;
}

static int add_certificate(struct arguments *q, const char *path)
{
    struct lint_certificate *c = &q->certificates[q->n_certificates];
    struct kbv_presented presented;
    struct kbv_request request;
    bool ok;

    if (q->n_certificates == CERTIFICATES_MAX)
        return usage_error(q->self, "--cert: at most %d", CERTIFICATES_MAX);
    if (!read_material(q->self, KBV_MATERIAL_CHAIN, path, &request))
        return EXIT_USAGE;
    *c = (struct lint_certificate){.path = path, .chain = request.material};
    q->n_certificates++;
    ok = kbv_presented_read(KBV_MATERIAL_CHAIN, c->chain, &presented) == KBV_OK &&
         read_not_after(presented.chain[0], &c->not_after);
    if (ok) {
        kbv_presented_clear(&presented);
        return 0;
    }
    complain(q->self, "%s: no certificates in PEM or DER", path);
    return EXIT_NO_RESULT;
}

static int add_owner(struct arguments *q, const char *text)
{
    size_t len;

    if (q->n_owners == OWNERS_MAX)
        return usage_error(q->self, "--owner: at most %d", OWNERS_MAX);
    if (kbv_name_from_text(text, true, q->owners[q->n_owners], &len) != KBV_OK)
        return usage_error(q->self, "--owner %s: no domain name", text);
    q->owner_names[q->n_owners] = (struct kbv_slice){q->owners[q->n_owners], len};
    q->n_owners++;
    return 0;
}

static int read_option(struct arguments *q, int option, const char *arg)
{
    unsigned long number;
    char err[256];

    switch (option) {
    case 'o':
        if (kbv_name_from_text(arg, true, q->origin, &q->origin_len) != KBV_OK)
            return usage_error(q->self, "--origin %s: no domain name", arg);
        return 0;
    case 's':
        if (kbv_options_set(q->identifiers, "kbv-zone", arg, err, sizeof(err)) != KBV_OK)
            return usage_error(q->self, "--suffix %s: %s", arg, err);
        return 0;
    case 'c':
        return add_certificate(q, arg);
    case 'w':
        return add_owner(q, arg);
    case 'T':
        if (!parse_number(arg, 0, UINT32_MAX, &number))
            return usage_error(q->self, "--at-time %s: expected seconds since the epoch", arg);
        q->now = (int64_t)number;
        return 0;
    case 'm':
        if (!parse_number(arg, 0, INT32_MAX, &q->max_ttl))
            return usage_error(q->self, "--max-ttl %s: expected seconds", arg);
        return 0;
    case 'j':
        q->json = true;
        return 0;
    default:
        return usage_error(q->self, "see --help");
    }
}

static void print_traps(void)
{
    for (size_t i = 0; i < N_TRAPS; i++)
        printf("%-18s %-8s %s; %s\n", trap_rows[i].id, severity_names[trap_rows[i].severity],
               trap_rows[i].why, trap_rows[i].advice);
}

static int lint_arguments(struct arguments *q, int argc, char **argv)
{
    char err[256];

    if (argc - optind != 1)
        return usage_error(q->self, "ZONEFILE is needed, and nothing else");
    if ((q->n_owners != 0) != (q->n_certificates != 0))
        return usage_error(q->self, "--cert and --owner need each other");
    if (kbv_options_finish(q->identifiers, err, sizeof(err)) != KBV_OK)
        return usage_error(q->self, "--suffix: %s", err);
    q->file = argv[optind];
    return lint_file(q);
}

static int run_options(struct arguments *q, int argc, char **argv)
{
    static const struct option options[] = {
        {"origin", required_argument, NULL, 'o'},  {"suffix", required_argument, NULL, 's'},
        {"cert", required_argument, NULL, 'c'},    {"owner", required_argument, NULL, 'w'},
        {"at-time", required_argument, NULL, 'T'}, {"max-ttl", required_argument, NULL, 'm'},
        {"json", no_argument, NULL, 'j'},          {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0}};
    int option, status = 0;

    while (status == 0 && (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h' || option == 'l') {
            if (option == 'h')
                print_help(q->self);
            else
                print_traps();
            return EXIT_ACCEPT;
        }
        status = read_option(q, option, optarg);
    }
    return status == 0 ? lint_arguments(q, argc, argv) : status;
}

static int run_lint(const struct command *self, int argc, char **argv)
{
    struct arguments *q = calloc(1, sizeof(*q));
    int status;

    if (q == NULL || (q->identifiers = kbv_options_create()) == NULL) {
        complain(self, "%s", kbv_err_text(KBV_ERR_NOMEM));
        free(q);
        return EXIT_NO_RESULT;
    }
    q->self = self;
    q->now = (int64_t)time(NULL);
    q->max_ttl = TLSA_TTL_MAX_S;
    status = run_options(q, argc, argv);
    for (size_t i = 0; i < q->n_kept; i++) {
        free(q->kept[i].name);
        free(q->kept[i].detail);
    }
    free(q->kept);
    for (size_t i = 0; i < q->n_certificates; i++)
        free((void *)q->certificates[i].chain.p);
    kbv_options_delete(q->identifiers);
    free(q);
    return status;
}

const struct command command_lint = {
    .name = "lint",
    .arguments =
        "ZONEFILE [--origin ZONE] [--suffix \"SUFFIX KIND\"]... [--owner NAME --cert F]...",
    .summary = "finds what in a zone keeps keys from being bound",
    .options =
        "ZONEFILE is - for standard input. What other zones hold is left open. Prints a line a\n"
        "finding: FILE:LINE: error|warning|note: NAME: what; what to do [trap].\n\n"
        "  --origin ZONE      the zone's name, where the file does not say it\n"
        "  --suffix \"S KIND\"  where identifiers are, as kbv-zone of kbv.conf(5); repeatable\n"
        "  --owner NAME       where the certificates are to be bound; repeatable\n"
        "  --cert F           a certificate in use, or soon, with its chain as it is sent;\n"
        "                     repeatable: during a roll-over the old and the new one\n"
        "  --at-time EPOCH    the time to look at signatures and certificates, default now\n"
        "  --max-ttl N        the TTL of TLSA records beyond which to warn, default a day\n"
        "  --json             one JSON object a finding\n"
        "  --list             prints every trap it knows\n\n"
        "Here the exit status is 0 without a finding beyond notes; 1 with an error; 2 with\n"
        "warnings alone; 3 for a file that is no zone file.\n",
    .run = run_lint,
};
