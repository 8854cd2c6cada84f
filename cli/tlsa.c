/* SPDX-License-Identifier: BSD-3-Clause */
/* kbv tlsa: the record that binds a certificate or key to a name. */
#include <getopt.h>

#include "cli/association.h"

struct arguments {
    uint8_t owner[KBV_NAME_MAX];
    size_t owner_len;
    const char *ttl;
};

static int read_option(struct arguments *q, struct associations *a, int option, const char *arg)
{
    unsigned long number;

    switch (option) {
    case 'c':
        return associations_file(a, KBV_MATERIAL_CERT, arg);
    case 'k':
        return associations_file(a, KBV_MATERIAL_SPKI, arg);
    case 'u':
    case 's':
    case 'm':
        return associations_number(a, option, arg);
    case 'o':
        if (kbv_name_from_text(arg, true, q->owner, &q->owner_len) != KBV_OK)
            return usage_error(a->self, "--owner %s: no domain name", arg);
        return 0;
    case 't':
        if (!parse_number(arg, 0, INT32_MAX, &number)) /* RFC 2181 section 8 */
            return usage_error(a->self, "--ttl %s: expected seconds", arg);
        q->ttl = arg;
        return 0;
    default:
        return usage_error(a->self, "see --help");
    }
}

static int print_records(const struct arguments *q, struct associations *a)
{
    int status;

    if (q->owner_len == 0 || a->n_keys == 0)
        return usage_error(a->self, "--owner, and --cert or --spki are needed");
    status = associations_check(a, q->owner, q->owner_len);
    if (status == 0 && !associations_print(a, q->owner, q->owner_len, q->ttl))
        status = EXIT_NO_RESULT;
    return status;
}

static int run_tlsa(const struct command *self, int argc, char **argv)
{
    static const struct option options[] = {{"cert", required_argument, NULL, 'c'},
                                            {"spki", required_argument, NULL, 'k'},
                                            {"owner", required_argument, NULL, 'o'},
                                            {"usage", required_argument, NULL, 'u'},
                                            {"selector", required_argument, NULL, 's'},
                                            {"mtype", required_argument, NULL, 'm'},
                                            {"ttl", required_argument, NULL, 't'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct associations a = associations_begin(self);
    struct arguments q = {.ttl = NULL};
    int option, status = 0;

    while (status == 0 && (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            print_help(self);
            associations_end(&a);
            return EXIT_ACCEPT;
        }
        status = read_option(&q, &a, option, optarg);
    }
    if (status == 0)
        status = optind == argc ? print_records(&q, &a)
                                : usage_error(self, "%s: no argument", argv[optind]);
    associations_end(&a);
    return status;
}

const struct command command_tlsa = {
    .name = "tlsa",
    .arguments = "--cert F|--spki F --owner NAME [--usage N] [--selector N] [--mtype N] [--ttl N]",
    .summary = "prints the TLSA record that binds a certificate or key to a name",
    .options =
        "Files are PEM or DER; of several certificates in a file the first counts. Several files\n"
        "make several records, as a roll-over needs them.\n\n"
        "  --cert F      a certificate; repeatable\n"
        "  --spki F      a public key alone; repeatable\n"
        "  --owner NAME  _PORT._tcp.HOST of a server, _ns-client.NAME of a client\n"
        "  --usage N     3: this certificate or key itself (default); 2: what this CA signed;\n"
        "                1, 0: the same, and a public CA must vouch for it too\n"
        "  --selector N  1: the key (default); 0: the whole certificate\n"
        "  --mtype N     1: SHA-256 (default); 2: SHA-512; 0: all octets\n"
        "  --ttl N       seconds; default: the zone's\n",
    .run = run_tlsa,
};
