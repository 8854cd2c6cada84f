/* SPDX-License-Identifier: BSD-3-Clause */
/* See common.h. */
#define _GNU_SOURCE /* program_invocation_short_name */
#include "common.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_line(const char *format, va_list arguments)
{
    char line[2048];

    (void)vsnprintf(line, sizeof(line), format, arguments);
    (void)fprintf(stderr, "%s: %s\n", program_invocation_short_name, line);
}

void say(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_line(format, arguments);
    va_end(arguments);
}

void die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_line(format, arguments);
    va_end(arguments);
    exit(EXIT_FAILURE);
}

bool read_resolver_option(struct resolver_options *o, int option, const char *argument)
{
    switch (option) {
    case 'r':
        o->resolver = argument;
        return true;
    case 't':
        o->tls_pin = argument;
        return true;
    case 'v':
        o->verdict_key = argument;
        return true;
    default:
        return false;
    }
}

/* Whose word is taken? That of a resolver on this very host that the operator names, of one that
 * proves a pinned key in TLS, or whatever a pinned key signed. libkbv believes nothing else. */
struct kbv_client *make_client(const struct resolver_options *o)
{
    struct kbv_client *client = kbv_client_create();
    uint8_t tls_pin[KBV_PIN_LEN], key[KBV_VERDICT_KEY_LEN];
    enum kbv_err err;

    if (!client)
        die("out of memory");
    if (!o->resolver)
        die("which resolver? --resolver ADDR[@PORT]");
    if (o->tls_pin && kbv_pin_from_text(o->tls_pin, tls_pin) != KBV_OK)
        die("--tls-pin: 32 octets in base64 are expected");
    if (o->verdict_key && kbv_pin_from_text(o->verdict_key, key) != KBV_OK)
        die("--verdict-key: 32 octets in base64 are expected");

    err = kbv_client_add_resolver(client, o->resolver, KBV_RESOLVER_TRUST_LOOPBACK,
                                  o->tls_pin ? tls_pin : NULL);
    if (err == KBV_ERR_FORMAT) /* not a loopback address: no trust but by a pin */
        err = kbv_client_add_resolver(client, o->resolver, 0, o->tls_pin ? tls_pin : NULL);
    if (err == KBV_OK && o->verdict_key)
        err = kbv_client_add_verdict_key(client, key);
    if (err != KBV_OK)
        die("--resolver %s: %s", o->resolver, kbv_err_text(err));
    return client;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool octets_from_hex(const char *hex, uint8_t *out, size_t len)
{
    if (hex && hex[0] == '0' && hex[1] == 'x')
        hex += 2;
    if (!hex || strlen(hex) != 2 * len)
        return false;
    for (size_t i = 0; i < len; i++) {
        int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void hex_from_octets(const uint8_t *octets, size_t len, char *out)
{
    out[0] = '\0';
    for (size_t i = 0; i < len; i++)
        (void)snprintf(out + 2 * i, 3, "%02X", octets[i]);
}

const char *text_of(const json_t *message, const char *member)
{
    return json_string_value(json_object_get(message, member));
}

bool id_of(const json_t *message, const char *member, enum kbv_id_kind kind, struct kbv_id *id)
{
    const char *text = text_of(message, member);

    return text && kbv_id_parse(kind, text, id) == KBV_OK;
}

bool id_equal(const struct kbv_id *a, const struct kbv_id *b)
{
    return a->kind == b->kind && a->len == b->len && memcmp(a->value, b->value, a->len) == 0;
}
