/* SPDX-License-Identifier: BSD-3-Clause */
/* What both examples need: a client of the resolver, and the words of TS002's messages. */
#ifndef KBV_EXAMPLES_COMMON_H
#define KBV_EXAMPLES_COMMON_H

#include <jansson.h>

#include <kbv/client.h>

#define MESSAGE_MAX 16384 /* octets of a message; a JoinReq has about 400 */

/* One line to standard error, behind the program's name. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);
/* The same, and the end of the program. */
__attribute__((format(printf, 1, 2), noreturn)) void die(const char *format, ...);

/* How the resolver is asked, as the command line has it; NULL: not given. */
struct resolver_options {
    const char *resolver;    /* ADDR[@PORT] */
    const char *tls_pin;     /* base64: ask over TLS, and only the resolver with this key */
    const char *verdict_key; /* base64: believe only verdicts that this key signed */
};
#define RESOLVER_OPTIONS                                                                           \
    {"resolver", required_argument, NULL, 'r'}, {"tls-pin", required_argument, NULL, 't'},         \
    {                                                                                              \
        "verdict-key", required_argument, NULL, 'v'                                                \
    }

/* Takes option r, t or v; false: another one. */
bool read_resolver_option(struct resolver_options *o, int option, const char *argument);
/* Ends the program if it cannot be made. */
struct kbv_client *make_client(const struct resolver_options *o);

/* Exactly len octets in hexadecimal, perhaps behind 0x, and nothing else. */
bool octets_from_hex(const char *hex, uint8_t *out, size_t len);
void hex_from_octets(const uint8_t *octets, size_t len, char *out /* 2 * len + 1 */);

/* A member of a message as text; NULL: it has none that is a string. */
const char *text_of(const json_t *message, const char *member);
/* A member that is an identifier; false: it is none of that kind. */
bool id_of(const json_t *message, const char *member, enum kbv_id_kind kind, struct kbv_id *id);
bool id_equal(const struct kbv_id *a, const struct kbv_id *b);

#endif
