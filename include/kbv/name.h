/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names and LoRaWAN identifiers. Names are uncompressed DNS wire format
 * (RFC 1035 section 3.1): length-prefixed labels, root label last, at most 255
 * octets. No function allocates, does I/O or keeps state.
 */
#ifndef KBV_NAME_H
#define KBV_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KBV_NAME_MAX      255  /* octets of a wire name */
#define KBV_NAME_TEXT_MAX 1025 /* octets of its text, escapes and NUL included */

enum kbv_err {
    KBV_OK = 0,
    KBV_ERR_FORMAT,      /* malformed input */
    KBV_ERR_SPACE,       /* the caller's storage is too small */
    KBV_ERR_LIMIT,       /* a cap of ours was reached */
    KBV_ERR_NOMEM,       /* no memory */
    KBV_ERR_UNSUPPORTED, /* well-formed, but not served */
    KBV_ERR_SYSTEM,      /* the operating system refused: see errno */
};

/* "malformed input" and so on, never NULL. */
const char *kbv_err_text(enum kbv_err err);

/* Octets that somebody else owns; p == NULL means absent. */
struct kbv_slice {
    const uint8_t *p;
    size_t len;
};

enum kbv_id_kind {
    KBV_ID_NONE = 0,
    KBV_ID_JOINEUI = 1,
    KBV_ID_NETID = 2,
    KBV_ID_DEVEUI = 3,
};

/* An identifier, most significant octet first. len: 8, 3 or 8 octets. */
struct kbv_id {
    enum kbv_id_kind kind;
    uint8_t value[8];
    size_t len;
};

/* "joineui", "netid", "deveui"; NULL for others. And back: KBV_ID_NONE if unknown. */
const char *kbv_id_kind_name(enum kbv_id_kind kind);
enum kbv_id_kind kbv_id_kind_from_name(const char *name);

/* Reads an identifier as people write it: hex digits of any case with an
 * optional leading 0x and with '-' or ':' between octets, nothing else. */
enum kbv_err kbv_id_parse(enum kbv_id_kind kind, const char *text, struct kbv_id *id);

/* Canonical text: 16 or 6 upper-case hex digits and NUL; out has at least 17 octets. */
void kbv_id_text(const struct kbv_id *id, char *out);

/* Labels of id below a suffix. nibble: one label a nibble, low nibble first
 * (TS002 section 19.1); else one flat label, high nibble first. Lower case. */
enum kbv_err kbv_id_to_name(const struct kbv_id *id, bool nibble, const uint8_t *suffix,
                            size_t suffix_len, uint8_t out[KBV_NAME_MAX], size_t *out_len);

/* The reverse: name must be exactly an identifier of that kind and form right
 * below suffix, in any case; else KBV_ERR_FORMAT. */
enum kbv_err kbv_id_from_name(enum kbv_id_kind kind, bool nibble, const uint8_t *name,
                              size_t name_len, const uint8_t *suffix, size_t suffix_len,
                              struct kbv_id *id);

/* Length of the well-formed uncompressed name at p, at most max octets; 0 if
 * there is none (a label beyond 63, no root label, beyond 255 octets). */
size_t kbv_name_len(const uint8_t *p, size_t max);
/* The same for a name without upper-case ASCII letters; 0 if it has one. */
size_t kbv_name_canonical_len(const uint8_t *p, size_t max);
/* Labels of a well-formed name, the root label not counted. */
size_t kbv_name_labels(const uint8_t *name);
/* Copies len octets of a well-formed name in lower case (ASCII only, RFC 4343). dst may be src. */
void kbv_name_lower(uint8_t *dst, const uint8_t *src, size_t len);
/* True if p/len is one well-formed name without upper-case ASCII letters. */
bool kbv_name_is_canonical(const uint8_t *p, size_t len);
/* Equal, whatever the case. */
bool kbv_name_equal(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len);
/* True if name is at or below zone, whatever the case. */
bool kbv_name_below(const uint8_t *name, size_t name_len, const uint8_t *zone, size_t zone_len);
/* Canonical order (RFC 4034 section 6.1): <0, 0, >0. Well-formed names. */
int kbv_name_compare(const uint8_t *a, const uint8_t *b);
/* True if the first label is that text, whatever the case. */
bool kbv_name_first_label_is(const uint8_t *name, const char *label);
/* Text ("a.b." with final dot, RFC 1035 escapes \. \\ \DDD) to wire, lower-cased when lower; a
 * missing final dot is tolerated. */
enum kbv_err kbv_name_from_text(const char *text, bool lower, uint8_t out[KBV_NAME_MAX],
                                size_t *out_len);
/* Wire to text with the final dot; out has KBV_NAME_TEXT_MAX octets. */
void kbv_name_to_text(const uint8_t *name, size_t len, char *out);
/* out = _port._tcp.host, lower case; KBV_ERR_LIMIT beyond 255 octets (RFC 6698 section 3). */
enum kbv_err kbv_name_tlsa_owner(uint16_t port, const uint8_t *host, size_t host_len,
                                 uint8_t out[KBV_NAME_MAX], size_t *out_len);
/* True if the name starts with _<digits>._<tcp|udp|sctp>: a server's owner; *host and *host_len
 * then are the rest (may be NULL). */
bool kbv_name_is_server_owner(const uint8_t *name, size_t len, const uint8_t **host,
                              size_t *host_len);
/* Digest label: 's' or 'c' and 52 base32hex digits (RFC 4648 section 7), no padding, any case, the
 * four unused bits zero. label: its octets without the length octet. kind_char set to 's' or 'c'.
 */
enum kbv_err kbv_digest_label_decode(const uint8_t *label, size_t len, char *kind_char,
                                     uint8_t digest[32]);
/* The reverse, 53 lower-case octets into out, no NUL. */
void kbv_digest_label_encode(char kind_char, const uint8_t digest[32], uint8_t out[53]);

#ifdef __cplusplus
}
#endif
#endif
