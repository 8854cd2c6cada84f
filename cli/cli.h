/* SPDX-License-Identifier: BSD-3-Clause */
/* What the commands of kbv share. Results go to standard output, diagnostics to standard error. */
#ifndef KBV_CLI_CLI_H
#define KBV_CLI_CLI_H

#include <stdio.h>

#include <kbv/sign.h>

enum exit_status {
    EXIT_ACCEPT = 0,     /* BOUND; PUBLISHED where no key was given; success of other commands */
    EXIT_NEGATIVE = 1,   /* a definite no: 2-4 */
    EXIT_NOT_PROVEN = 2, /* 5, 16-31 */
    EXIT_NO_RESULT = 3,  /* 32 and up, no verdict, malformed */
    EXIT_USAGE = 64,     /* or a file that cannot be read */
};

struct command {
    const char *name;
    const char *arguments; /* after the name, for the usage line */
    const char *summary;   /* one line */
    const char *options;   /* of --help: lines that end in newlines */
    /* argv[0] is the command's name. The exit status. */
    int (*run)(const struct command *self, int argc, char **argv);
};

extern const struct command command_name, command_query, command_explain, command_decode,
    command_verify, command_tlsa, command_keygen, command_lint, command_publish, command_tunnel;

/* Prints the usage line and, as diagnostics, what is wrong; EXIT_USAGE. */
int usage_error(const struct command *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Prints "kbv COMMAND: " and what is wrong as diagnostics. */
void complain(const struct command *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The lines at the end of every help. */
extern const char exit_statuses[];

/* Prints the help of a command. */
void print_help(const struct command *c);

/* Reads a decimal number of min to max and nothing else. */
bool parse_number(const char *text, unsigned long min, unsigned long max, unsigned long *number);

/* The exit status that a verdict's status has. */
int exit_status_of(const struct kbv_verdict *v);

/* The flags of a verdict, in the order of their bits. */
enum { N_FLAGS = 4 };
extern const struct flag_name {
    enum kbv_flag flag;
    const char *name;
} flag_names[N_FLAGS];

/* Prints each octet of a decoded verdict with what it says. octets: those it was decoded from. */
void explain_verdict(FILE *out, const struct kbv_verdict *v, const uint8_t *octets);

/* Prints a verdict as one JSON object on one line; false if memory ran out. */
bool print_json(FILE *out, const struct kbv_verdict *v);
/* The same with what became of its signature. */
bool print_json_signed(FILE *out, const struct kbv_verdict *v, enum kbv_signature found);
/* The same with a member depth, null if negative: of the certificate that matched. */
bool print_json_depth(FILE *out, const struct kbv_verdict *v, int depth);

/* Octets found in a text. */
struct found {
    uint8_t *octets; /* owned */
    size_t len;
    char *error; /* owned; why there are no octets, NULL if there are */
};

struct finds {
    struct found *f; /* owned */
    size_t n;
};

/* Finds octets in text, which may be
 * - hex digits with blanks and newlines anywhere between octets; an empty line separates,
 * - RDATA as "\# LENGTH HEX" (RFC 3597 section 5), over several lines in parentheses too, that
 *   stands alone or behind TYPErrtype: RRs of other types are passed over,
 * - what dig, kdig or drill print: both of the above forms and EDNS options of code option. What
 *   begins as a request is passed over there (dig +qr prints it).
 * False if memory ran out. Free with finds_free() in either case. */
bool finds_read(const char *text, unsigned rrtype, unsigned option, struct finds *all);
void finds_free(struct finds *all);

#endif
