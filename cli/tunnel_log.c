/* SPDX-License-Identifier: BSD-3-Clause */
/* The log of kbv tunnel: one line an event, key=value, to standard error. */
#include "cli/tunnel.h"

#include <string.h>

/* Room for a quotation mark and the newline that end a line is always kept. */
enum { ROOM = LOG_LINE_MAX - 2 };

static void put(struct log_line *l, char c)
{
    if (l->len < ROOM)
        l->text[l->len++] = c;
}

static void put_text(struct log_line *l, const char *text)
{
    while (*text != '\0')
        put(l, *text++);
}

void log_begin(struct log_line *l, const char *event)
{
    l->len = 0;
    put_text(l, "event=");
    put_text(l, event);
}

void log_field(struct log_line *l, const char *key, const char *format, ...)
{
    char value[KBV_TLS_REASON_MAX + KBV_NAME_TEXT_MAX];
    bool quoted;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    put(l, ' ');
    put_text(l, key);
    put(l, '=');
    quoted = *value == '\0' || strpbrk(value, " =\"\\") != NULL;
    if (quoted)
        put(l, '"');
    for (const char *p = value; *p != '\0'; p++) {
        const unsigned char c = (unsigned char)*p;

        if (c == '"' || c == '\\')
            put(l, '\\');
        put(l, c < ' ' || c == 0x7f ? '?' : *p);
    }
    /* A value that was cut still ends, and the line after it. */
    if (quoted && l->len < LOG_LINE_MAX - 1)
        l->text[l->len++] = '"';
}

void log_end(const struct tunnel *t, enum log_level level, struct log_line *l)
{
    if (level > t->log_level)
        return;
    l->text[l->len++] = '\n';
    /* At once, so that lines of several tunnels on one terminal stay whole. */
    fwrite(l->text, 1, l->len, stderr);
}
