/* SPDX-License-Identifier: BSD-3-Clause */
/* See cli.h: what all commands say and read alike. */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

const struct flag_name flag_names[N_FLAGS] = {{KBV_FLAG_KEYED, "keyed"},
                                              {KBV_FLAG_ALIASED, "aliased"},
                                              {KBV_FLAG_WILDCARD, "wildcard"},
                                              {KBV_FLAG_DATES, "dates"}};

const char exit_statuses[] =
    "Exit status: 0 BOUND, or PUBLISHED where no key was given; 1 a definite no;\n"
    "2 not proven; 3 no result; 64 usage, or a file that cannot be read.\n";

void print_help(const struct command *c)
{
    printf("Usage: kbv %s %s\n\n%s.\n\n%s\n%s", c->name, c->arguments, c->summary, c->options,
           exit_statuses);
}

static void complain_list(const struct command *c, const char *format, va_list args)
{
    fprintf(stderr, "kbv %s: ", c->name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void complain(const struct command *c, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain_list(c, format, args);
    va_end(args);
}

int usage_error(const struct command *c, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain_list(c, format, args);
    va_end(args);
    fprintf(stderr, "Usage: kbv %s %s\n", c->name, c->arguments);
    return EXIT_USAGE;
}

bool parse_number(const char *text, unsigned long min, unsigned long max, unsigned long *number)
{
    char *end;
    unsigned long value;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno || *end || value < min || value > max)
        return false;
    *number = value;
    return true;
}

int exit_status_of(const struct kbv_verdict *v)
{
    switch (v->status) {
    case KBV_STATUS_BOUND:
        return EXIT_ACCEPT;
    case KBV_STATUS_PUBLISHED:
        return v->flags & KBV_FLAG_KEYED ? EXIT_NO_RESULT : EXIT_ACCEPT;
    case KBV_STATUS_NOT_BOUND:
    case KBV_STATUS_NO_BINDING:
    case KBV_STATUS_UNUSABLE:
        return EXIT_NEGATIVE;
    case KBV_STATUS_UNDECIDED:
    case KBV_STATUS_INSECURE:
    case KBV_STATUS_INDETERMINATE:
    case KBV_STATUS_BOGUS:
    case KBV_STATUS_STALE:
    case KBV_STATUS_DOWNGRADE:
        return EXIT_NOT_PROVEN;
    case KBV_STATUS_NONE:
    case KBV_STATUS_TEMPFAIL:
    case KBV_STATUS_REFUSED:
    case KBV_STATUS_BAD_INPUT:
    case KBV_STATUS_LIMIT:
        break;
    }
    return EXIT_NO_RESULT;
}
