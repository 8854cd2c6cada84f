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

/* The text of REASON for one line: control characters become '?'. */
void kbv_reason_text(struct kbv_slice reason, char out[KBV_REASON_MAX + 1]);

#endif
