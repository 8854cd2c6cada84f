/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arguments of the command. The first octet of the input chooses: s a subject with its suffix and
 * service, v records, owner, names and time of `kbv verify`; what follows are the arguments, one a
 * line ('|' stands for a newline inside of --tlsa). A digest is verified to be bound only if a
 * record says so in as many hex digits.
 */
#include <ctype.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli/subject.h"
#include "lib/digest.h"
#include "lib/text.h"
#include "tests/fuzz/quiet.h"

/* SHA-256 of an Ed25519 key's SubjectPublicKeyInfo: the key of RFC 8032 section 7.1, TEST 1. */
#define DIGEST "06e3fd8fda29bb60ab59557de61edb0aecdb231134be30e75b455f8e1b792fa9"

static const struct command command = {.name = "fuzz", .arguments = ""};

struct arguments {
    char text[8192];
    char *line[16]; /* "" behind the last */
};

static void split(struct arguments *a, const uint8_t *data, size_t len)
{
    static char none[1];
    char *rest = a->text;

    if (len >= sizeof(a->text))
        len = sizeof(a->text) - 1;
    memcpy(a->text, data, len);
    a->text[len] = '\0';
    for (size_t i = 0; i < sizeof(a->line) / sizeof(a->line[0]); i++) {
        char *line = strsep(&rest, "\n");

        a->line[i] = line != NULL ? line : none;
    }
}

static char *or_null(char *text)
{
    return *text != '\0' ? text : NULL;
}

static void check_subject(const struct arguments *a)
{
    const struct subject_form form = {or_null(a->line[1]), or_null(a->line[2]),
                                      *a->line[3] != '\0'};
    const struct quiet before = quiet_begin();
    struct subject s;
    const bool read = read_subject(&command, a->line[0], &form, &s);
    struct kbv_id id;
    size_t at;
    bool nibble;

    quiet_end(before);
    if (!read)
        return;
    REQUIRE(kbv_name_is_canonical(s.name, s.len));
    if (s.identifier.kind == KBV_ID_NONE)
        return;
    id = s.identifier;
    REQUIRE(form.suffix != NULL && form.service == NULL);
    REQUIRE(subject_spells(&s, &id, &at, &nibble) &&
            nibble != (id.kind == KBV_ID_NETID || form.flat));
}

/* The octets of hex digits with blanks between; false if there is anything else. */
static bool octets_of(const char *text, uint8_t *out, size_t cap, size_t *len)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = 0;

    for (; *text != '\0' && *text != '\n'; text++) {
        const char *digit = strchr(digits, tolower((unsigned char)*text));

        if (strchr(" \t", *text) != NULL)
            continue;
        if (digit == NULL || n / 2 == cap)
            return false;
        out[n / 2] = (uint8_t)(out[n / 2] << 4 | (digit - digits));
        n++;
    }
    *len = n / 2;
    return n % 2 == 0;
}

/* Is this line "3 1 x …", whose data is the digest, or has it? */
static bool is_said(const char *record)
{
    static uint8_t data[8192];
    uint8_t digest[KBV_DIGEST_LEN];
    unsigned usage, selector, mtype;
    char hex[2 * KBV_DIGEST_LEN + 1];
    size_t len;
    int at = 0;

    if (sscanf(record, "%3u %3u %3u%n", &usage, &selector, &mtype, &at) != 3 || usage != 3 ||
        selector != 1 || mtype > 1 || !octets_of(record + at, data, sizeof(data), &len))
        return false;
    if (mtype == 0)
        kbv_digest_sha256((struct kbv_slice){data, len}, digest);
    else if (len == sizeof(digest))
        memcpy(digest, data, sizeof(digest));
    else
        return false;
    kbv_hex_text(digest, sizeof(digest), hex);
    return strcmp(hex, DIGEST) == 0;
}

static bool any_is_said(const char *records)
{
    for (const char *line = records; line != NULL; line = strchr(line, '\n'))
        if (is_said(line += *line == '\n'))
            return true;
    return false;
}

static void check_verify(const struct arguments *a)
{
    char records[8192], *argv[32];
    struct quiet before;
    int argc = 0, status;

    (void)snprintf(records, sizeof(records), "%s", a->line[0]);
    for (char *p = records; *p != '\0'; p++)
        *p = *p == '|' ? '\n' : *p;
    argv[argc++] = (char *)"verify";
    argv[argc++] = (char *)"--spki-sha256";
    argv[argc++] = (char *)(*a->line[2] != '\0' ? a->line[2] : DIGEST);
    argv[argc++] = (char *)"--tlsa";
    argv[argc++] = records;
    argv[argc++] = (char *)"--owner";
    argv[argc++] = a->line[1];
    for (size_t i = 3; i < 6 && *a->line[i] != '\0'; i++) {
        static const char *const options[] = {"--at-time", "--security-level", "--name"};

        argv[argc++] = (char *)options[i - 3];
        argv[argc++] = a->line[i];
    }
    argv[argc++] = (char *)"--json";
    argv[argc] = NULL;
    before = quiet_begin();
    optind = 0; /* of glibc: begin anew */
    status = command_verify.run(&command_verify, argc, argv);
    quiet_end(before);
    REQUIRE(status == EXIT_ACCEPT || status == EXIT_NEGATIVE || status == EXIT_NOT_PROVEN ||
            status == EXIT_NO_RESULT || status == EXIT_USAGE);
    REQUIRE(status != EXIT_ACCEPT || *a->line[2] != '\0' || any_is_said(records));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct arguments a;

    if (len == 0)
        return 0;
    split(&a, data + 1, len - 1);
    if (data[0] == 's')
        check_subject(&a);
    else if (data[0] == 'v')
        check_verify(&a);
    return 0;
}
