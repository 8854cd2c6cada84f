/* SPDX-License-Identifier: BSD-3-Clause */
/* Octets out of the texts that people have at hand: hex digits, and what dig prints. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

enum { KIND_REQUEST = 0x11, LENGTH_MAX = 65535 };

/* Digits of the octets being read. */
struct digits {
    char *text; /* owned */
    size_t len;
};

struct scan {
    struct finds *all;
    struct digits digits;
    unsigned rrtype, option;
    bool rdata;      /* \# was read: then wanted and digits count */
    bool has_wanted; /* its length was read too */
    bool skip;       /* an RR of another type */
    size_t wanted;   /* digits */
    bool other;      /* the word before was the name of another type */
    bool generic;    /* the text has \# or options: bare words are not octets */
};

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool digits_append(struct digits *d, const char *word, size_t len)
{
    char *text = realloc(d->text, d->len + len + 1);

    if (!text)
        return false;
    memcpy(text + d->len, word, len);
    d->text = text;
    d->len += len;
    return true;
}

/* Adds an empty find, NULL if memory ran out. */
static struct found *finds_add(struct finds *all)
{
    struct found *f = realloc(all->f, (all->n + 1) * sizeof(*f));

    if (!f)
        return NULL;
    all->f = f;
    f += all->n++;
    *f = (struct found){NULL, 0, NULL};
    return f;
}

static bool finds_add_error(struct finds *all, const char *error)
{
    struct found *f = finds_add(all);

    return f && (f->error = strdup(error)) != NULL;
}

/* Adds the octets that the digits are. An option that is a request is no find. */
static bool finds_add_digits(struct finds *all, const struct digits *d, bool option)
{
    struct found *f;
    uint8_t *octets;

    for (size_t i = 0; i < d->len; i++)
        if (digit_value(d->text[i]) < 0)
            return finds_add_error(all, "not hexadecimal");
    if (d->len % 2)
        return finds_add_error(all, "half an octet");
    octets = malloc(d->len / 2 + 1);
    if (!octets)
        return false;
    for (size_t i = 0; i < d->len / 2; i++)
        octets[i] = (uint8_t)(digit_value(d->text[2 * i]) << 4 | digit_value(d->text[2 * i + 1]));
    if (option && d->len && octets[0] == KIND_REQUEST) {
        free(octets);
        return true;
    }
    f = finds_add(all);
    if (!f) {
        free(octets);
        return false;
    }
    f->octets = octets;
    f->len = d->len / 2;
    return true;
}

/* Ends the octets being read, if any. */
static bool flush(struct scan *s)
{
    bool ok = true;

    if (s->rdata && !s->skip && (!s->has_wanted || s->digits.len != s->wanted))
        ok = finds_add_error(s->all, "the length after \\# is not that of the octets");
    else if ((s->rdata && !s->skip) || (!s->rdata && s->digits.len))
        ok = finds_add_digits(s->all, &s->digits, false);
    s->digits.len = 0;
    s->rdata = s->has_wanted = s->skip = false;
    return ok;
}

/* A word of RDATA behind \#: its length, then digits until there are enough. */
static bool rdata_word(struct scan *s, const char *word, size_t len)
{
    char number[8];
    unsigned long octets;

    if (s->has_wanted) {
        if (!digits_append(&s->digits, word, len))
            return false;
        return s->digits.len < s->wanted || flush(s);
    }
    snprintf(number, sizeof(number), "%.*s", (int)(len < 7 ? len : 7), word);
    if (!parse_number(number, 0, LENGTH_MAX, &octets))
        return flush(s);
    s->has_wanted = true;
    s->wanted = 2 * octets;
    return octets > 0 || flush(s);
}

/* True if a word is TYPEn with another n than that of verdicts. */
static bool is_other_type(const struct scan *s, const char *word, size_t len)
{
    char type[16];

    if (len < 4 || strncmp(word, "TYPE", 4) != 0)
        return false;
    snprintf(type, sizeof(type), "TYPE%u", s->rrtype);
    return len != strlen(type) || memcmp(word, type, len) != 0;
}

static bool scan_words(struct scan *s, const char *line, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t start = i;

        while (i < len && !strchr(" \t\r()", line[i]))
            i++;
        if (i == start) {
            i++;
            continue;
        }
        if (s->rdata) {
            if (!rdata_word(s, line + start, i - start))
                return false;
        } else if (i - start == 2 && memcmp(line + start, "\\#", 2) == 0) {
            if (!flush(s))
                return false;
            s->rdata = true;
            s->skip = s->other;
        } else if (!s->generic) {
            if (!digits_append(&s->digits, line + start, i - start))
                return false;
        }
        s->other = is_other_type(s, line + start, i - start);
    }
    return true;
}

/* Where the digits of an option of ours begin in a line: dig's and drill's form, or kdig's. */
static const char *option_digits(const struct scan *s, const char *line)
{
    char head[2][32];

    snprintf(head[0], sizeof(head[0]), "; OPT=%u:", s->option);
    snprintf(head[1], sizeof(head[1]), ";; Option (%u):", s->option);
    for (size_t i = 0; i < 2; i++)
        if (strncmp(line, head[i], strlen(head[i])) == 0)
            return line + strlen(head[i]);
    return NULL;
}

/* The octets of an option: digits and blanks up to the text that dig shows beside them. */
static bool scan_option(struct scan *s, const char *at, const char *end)
{
    struct digits d = {NULL, 0};
    bool ok = true;

    for (; ok && at < end && *at != '('; at++)
        if (!isspace((unsigned char)*at))
            ok = digits_append(&d, at, 1);
    ok = ok && finds_add_digits(s->all, &d, true);
    free(d.text);
    return ok;
}

bool finds_read(const char *text, unsigned rrtype, unsigned option, struct finds *all)
{
    struct scan s = {.all = all, .rrtype = rrtype, .option = option};
    bool ok = true;

    *all = (struct finds){NULL, 0};
    s.generic = strstr(text, "\\#") || strstr(text, "; ");
    for (const char *line = text; ok && *line;) {
        const char *end = line + strcspn(line, "\n");
        const char *digits = option_digits(&s, line);

        if (digits)
            ok = scan_option(&s, digits, end);
        else if (*line != ';')
            ok = scan_words(&s, line, (size_t)(end - line));
        if (!s.rdata && line + strspn(line, " \t\r") == end)
            ok = ok && flush(&s);
        line = *end ? end + 1 : end;
    }
    ok = ok && flush(&s);
    free(s.digits.text);
    return ok;
}

void finds_free(struct finds *all)
{
    for (size_t i = 0; i < all->n; i++) {
        free(all->f[i].octets);
        free(all->f[i].error);
    }
    free(all->f);
    *all = (struct finds){NULL, 0};
}
