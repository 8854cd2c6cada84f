/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces of a verdict as text, for TXT records and for the commands. */
#ifndef KBV_LIB_TEXT_H
#define KBV_LIB_TEXT_H

#include <kbv/verdict.h>

#define KBV_TIME_TEXT_LEN 21 /* "2026-11-22T05:00:00Z" and NUL */

/* RFC 3339, in UTC. t: [s] since the epoch, taken as 1970 to 2106. */
void kbv_time_text(uint32_t t, char out[KBV_TIME_TEXT_LEN]);

/* Lower-case hex digits and NUL; out has at least 2 * len + 1 octets. */
void kbv_hex_text(const uint8_t *p, size_t len, char *out);

/* A host as one puts it into a URL or a TLS handshake: without the final dot. */
void kbv_host_text(struct kbv_slice name, char out[KBV_NAME_TEXT_MAX]);

/* Octets of the UTF-8 character at p, which has left octets, at least 1; 0 if it is none
 * (RFC 3629 section 4: nothing overlong, no surrogates, nothing beyond U+10FFFF). */
size_t kbv_utf8_len(const uint8_t *p, size_t left);

/* The text of REASON for one line: control characters, and what is no UTF-8, become '?'. */
void kbv_reason_text(struct kbv_slice reason, char out[KBV_REASON_MAX + 1]);

#endif
