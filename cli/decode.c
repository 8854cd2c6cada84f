/* SPDX-License-Identifier: BSD-3-Clause */
/* kbv decode: explains the octets of verdicts. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

enum { KIND_REQUEST = 0x11 };

/* The verdicts of one run. */
struct decoded {
    struct kbv_verdict *v; /* owned; they point into finds */
    size_t n;
    bool malformed; /* one of them at least */
};

/* All of standard input as a string that the caller frees; NULL, and errno says why. A NUL, which
 * no text has, becomes a character that no digit is: what follows it is not ignored. */
static char *read_input(void)
{
    size_t len = 0, cap = 0;
    char *text = NULL;

    for (;;) {
        if (len + 1 >= cap) {
            char *more = realloc(text, cap = cap ? 2 * cap : 65536);

            if (!more)
                break;
            text = more;
        }
        size_t n = fread(text + len, 1, cap - len - 1, stdin);

        len += n;
        if (n == 0 && ferror(stdin))
            break;
        if (n == 0) {
            for (size_t i = 0; i < len; i++)
                text[i] = text[i] ? text[i] : '?';
            text[len] = '\0';
            return text;
        }
    }
    free(text);
    return NULL;
}

/* Why octets are no verdict, as far as that can be told without a second decoder. */
static const char *why_refused(const struct found *f)
{
    if (f->error)
        return f->error;
    if (f->len && f->octets[0] == KIND_REQUEST)
        return "this is a request, not a verdict";
    if (f->len && f->octets[0] != 0x12)
        return "not a verdict of version 1";
    return kbv_err_text(KBV_ERR_FORMAT);
}

static bool decode_all(const struct command *self, const struct finds *finds, bool json,
                       struct decoded *all)
{
    all->v = calloc(finds->n ? finds->n : 1, sizeof(*all->v));
    if (!all->v)
        return false;
    for (size_t i = 0; i < finds->n; i++) {
        const struct found *f = &finds->f[i];
        struct kbv_verdict *v = &all->v[all->n];

        if (f->error || kbv_verdict_decode(v, f->octets, f->len) != KBV_OK) {
            complain(self, "verdict %zu: %s", i + 1, why_refused(f));
            all->malformed = true;
            continue;
        }
        if (json && !print_json(stdout, v))
            return false;
        if (!json) {
            printf("%sverdict %zu, %zu octets\n", all->n ? "\n" : "", i + 1, f->len);
            explain_verdict(stdout, v, f->octets);
        }
        all->n++;
    }
    return true;
}

static int decode_text(const struct command *self, const char *text, unsigned rrtype,
                       unsigned option, bool json)
{
    struct finds finds;
    struct decoded all = {NULL, 0, false};
    int status = EXIT_NO_RESULT;
    bool keyed = false;

    if (!finds_read(text, rrtype, option, &finds) || !decode_all(self, &finds, json, &all)) {
        complain(self, "%s", kbv_err_text(KBV_ERR_NOMEM));
        goto out;
    }
    if (finds.n == 0)
        complain(self, "no verdict");
    for (size_t i = 0; i < all.n; i++)
        keyed |= all.v[i].flags & KBV_FLAG_KEYED;
    /* What cannot be read might have been the one that counts. */
    if (all.n && !all.malformed)
        status = exit_status_of(&all.v[kbv_verdict_select(all.v, all.n, keyed)]);
out:
    free(all.v);
    finds_free(&finds);
    return status;
}

static int run_decode(const struct command *self, int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"rrtype", required_argument, NULL, 't'},
                                            {"edns-option", required_argument, NULL, 'e'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    unsigned long rrtype = KBV_RRTYPE_DEFAULT, edns_option = KBV_EDNS_OPTION_DEFAULT;
    char *input = NULL;
    bool json = false;
    int option, status;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'j':
            json = true;
            break;
        case 't':
            if (!parse_number(optarg, 1, 65535, &rrtype))
                return usage_error(self, "--rrtype %s: a number of 1 to 65535", optarg);
            break;
        case 'e':
            if (!parse_number(optarg, 1, 65535, &edns_option))
                return usage_error(self, "--edns-option %s: a number of 1 to 65535", optarg);
            break;
        case 'h':
            print_help(self);
            return EXIT_ACCEPT;
        default:
            return usage_error(self, "see --help");
        }
    }
    if (argc - optind > 1)
        return usage_error(self, "one HEX at most; put it in quotes if it has blanks");
    if (optind == argc || strcmp(argv[optind], "-") == 0) {
        input = read_input();
        if (!input) {
            complain(self, "standard input: %s", strerror(errno));
            return EXIT_USAGE;
        }
    }
    status = decode_text(self, input ? input : argv[optind], (unsigned)rrtype,
                         (unsigned)edns_option, json);
    free(input);
    return status;
}

const struct command command_decode = {
    .name = "decode",
    .arguments = "[--json] [--rrtype N] [--edns-option N] [HEX|-]",
    .summary = "explains a verdict's octets",
    .options =
        "HEX, or standard input, is the RDATA of an RR or the data of an EDNS option in\n"
        "hexadecimal, an empty line between two; or '\\# LENGTH HEX'; or all that dig, kdig\n"
        "or drill printed. No signature is verified and no clock looked at. Of several\n"
        "verdicts the exit status is that of the one that an EDNS option would hold; if\n"
        "one is malformed it is 3.\n\n"
        "  --json           one JSON object a verdict, one a line\n"
        "  --rrtype N       the RR type of verdicts, default 65300\n"
        "  --edns-option N  the EDNS option of verdicts, default 65100\n",
    .run = run_decode,
};
