/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/text.h"

/* OpenSSL 3 would have us use EVP, which allocates for each digest and can fail. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"

enum { STRING_MAX = 255 }; /* octets of a character-string, RFC 1035 section 3.3 */

static unsigned days_in_year(unsigned year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 366 : 365;
}

void kbv_time_text(uint32_t t, char out[KBV_TIME_TEXT_LEN])
{
    unsigned day = t / 86400, second = t % 86400, year, month;
    unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    for (year = 1970; day >= days_in_year(year); year++)
        day -= days_in_year(year);
    days[1] += days_in_year(year) - 365;
    for (month = 0; month < 11 && day >= days[month]; month++)
        day -= days[month];
    snprintf(out, KBV_TIME_TEXT_LEN, "%04u-%02u-%02uT%02u:%02u:%02uZ", year % 10000, month + 1,
             (day + 1) % 100, second / 3600, second / 60 % 60, second % 60);
}

void kbv_hex_text(const uint8_t *p, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        *out++ = digits[p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
    *out = '\0';
}

void kbv_host_text(struct kbv_slice name, char out[KBV_NAME_TEXT_MAX])
{
    size_t len;

    kbv_name_to_text(name.p, name.len, out);
    len = strlen(out);
    if (len > 1)
        out[len - 1] = '\0';
}

/* C0, DEL and C1, of which terminals take some for commands, and what turns the direction of what
 * stands around it (Unicode's Bidi_Control: U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to
 * U+2069), so that a line reads otherwise than it is. One well-formed character of UTF-8. */
static bool is_control(const uint8_t *p, size_t len)
{
    if (len == 1)
        return p[0] < ' ' || p[0] == 0x7F;
    if (len == 2)
        return (p[0] == 0xC2 && p[1] < 0xA0) || (p[0] == 0xD8 && p[1] == 0x9C);
    if (len != 3 || p[0] != 0xE2)
        return false;
    return (p[1] == 0x80 && (p[2] == 0x8E || p[2] == 0x8F || (p[2] >= 0xAA && p[2] <= 0xAE))) ||
           (p[1] == 0x81 && p[2] >= 0xA6 && p[2] <= 0xA9);
}

void kbv_reason_text(struct kbv_slice reason, char out[KBV_REASON_MAX + 1])
{
    size_t left = reason.len < KBV_REASON_MAX ? reason.len : KBV_REASON_MAX;

    for (const uint8_t *p = reason.p; left;) {
        size_t len = kbv_utf8_len(p, left);

        if (len == 0 || is_control(p, len)) {
            *out++ = '?';
            len += len == 0;
        } else {
            memcpy(out, p, len);
            out += len;
        }
        p += len;
        left -= len;
    }
    *out = '\0';
}

/* One item as a character-string, left out if it is too long for one. */
__attribute__((format(printf, 2, 3))) static void write_item(struct kbv_writer *w,
                                                             const char *format, ...)
{
    char item[STRING_MAX + 1];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(item, sizeof(item), format, args);
    va_end(args);
    if (len < 0 || len > STRING_MAX)
        return;
    kbv_writer_u8(w, (uint8_t)len);
    kbv_writer_octets(w, (const uint8_t *)item, (size_t)len);
}

/* An association as one can pin it. Full data is too long for a string: its
 * SHA-256 says the same of the same key, as matching type 1. */
static void write_pin(struct kbv_writer *w, const struct kbv_association *a)
{
    uint8_t digest[KBV_DIGEST_LEN];
    char hex[2 * 64 + 1];
    SHA256_CTX ctx;

    if (a->mtype == 0) {
        SHA256_Init(&ctx);
        SHA256_Update(&ctx, a->data.p, a->data.len);
        SHA256_Final(digest, &ctx);
        kbv_hex_text(digest, sizeof(digest), hex);
    } else {
        kbv_hex_text(a->data.p, a->data.len, hex);
    }
    write_item(w, "pin=%u/%u/%u/%s", a->usage, a->selector, a->mtype ? a->mtype : 1, hex);
}

enum kbv_err kbv_verdict_txt(const struct kbv_verdict *v, uint8_t *rdata, size_t cap, size_t *len)
{
    struct kbv_writer w = kbv_writer_on(rdata, cap);
    char name[KBV_NAME_TEXT_MAX], time[KBV_TIME_TEXT_LEN], reason[KBV_REASON_MAX + 1];
    const char *status = kbv_status_name(v->status);
    struct kbv_association a;

    if (!status || !v->owner.p)
        return KBV_ERR_FORMAT;
    write_item(&w, "v=kbv1");
    write_item(&w, "status=%s", status);
    kbv_name_to_text(v->owner.p, v->owner.len, name);
    write_item(&w, "owner=%s", name);
    if (v->has_endpoint) {
        kbv_host_text(v->target, name);
        write_item(&w, "endpoint=%s:%u", name, v->port);
    }
    if (v->match.usage != KBV_MATCH_NONE.usage)
        write_item(&w, "match=%u/%u/%u", v->match.usage, v->match.selector, v->match.mtype);
    for (size_t pos = 0; kbv_association_next(v->associations, &pos, &a);)
        write_pin(&w, &a);
    kbv_time_text(v->issued, time);
    write_item(&w, "issued=%s", time);
    kbv_time_text(v->not_after, time);
    write_item(&w, "not-after=%s", time);
    if (v->reason.p) {
        kbv_reason_text(v->reason, reason);
        write_item(&w, "reason=%s", reason);
    }
    if (w.failed || w.len > 0xFFFF)
        return KBV_ERR_SPACE;
    *len = w.len;
    return KBV_OK;
}
