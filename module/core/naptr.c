/* SPDX-License-Identifier: BSD-3-Clause */
/* See naptr.h. */
#include "module/core/naptr.h"

#include <string.h>

#include "lib/buf.h"

/* The fields of NAPTR RDATA, RFC 3403 section 4.1. */
struct fields {
    struct kbv_slice flags, services, regexp, replacement;
};

/* A character-string, RFC 1035 section 3.3. */
static struct kbv_slice read_string(struct kbv_reader *r)
{
    return kbv_reader_octets(r, kbv_reader_u8(r));
}

static struct kbv_slice read_name(struct kbv_reader *r)
{
    size_t len = kbv_name_len(r->p, r->left);

    if (len == 0)
        kbv_reader_fail(r);
    return kbv_reader_octets(r, len);
}

static bool is_root(struct kbv_slice name)
{
    return name.len == 1;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_alphanumeric(uint8_t c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Equal to a text of lower-case letters, whatever the case and the locale. */
static bool is_text(struct kbv_slice s, const char *text)
{
    if (s.len != strlen(text))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.p[i];

        if (c >= 'A' && c <= 'Z')
            c |= 0x20;
        if (c != (uint8_t)text[i])
            return false;
    }
    return true;
}

/* ---- a URI's host and port ---- */

/* Takes what is before the first c off s, and c with it; all of s if there is none. */
static struct kbv_slice take_until(struct kbv_slice *s, uint8_t c, bool *found)
{
    const uint8_t *end = s->len != 0 ? memchr(s->p, c, s->len) : NULL;
    struct kbv_slice part = {s->p, end != NULL ? (size_t)(end - s->p) : s->len};
    size_t taken = part.len + (end != NULL ? 1 : 0);

    *found = end != NULL;
    s->p += taken;
    s->len -= taken;
    return part;
}

/* RFC 1123 section 2.1: letters, digits, and hyphens inside. The length is the name's affair. */
static bool is_host_label(struct kbv_slice label)
{
    if (label.len < 1 || label.p[0] == '-' || label.p[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++) {
        if (!is_alphanumeric(label.p[i]) && label.p[i] != '-')
            return false;
    }
    return true;
}

static bool is_number(struct kbv_slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.p[i]))
            return false;
    }
    return s.len != 0;
}

/* A host's name, a final dot allowed; its last label is no number, or it would be an IPv4 address
 * (RFC 1123 section 2.1, RFC 3696 section 2). */
static bool is_host(struct kbv_slice host)
{
    struct kbv_slice label;
    bool dot;

    if (host.len != 0 && host.p[host.len - 1] == '.')
        host.len--;
    do {
        label = take_until(&host, '.', &dot);
        if (!is_host_label(label))
            return false;
    } while (dot);
    return !is_number(label);
}

static bool read_host(struct kbv_slice host, struct kbv_naptr *out)
{
    char text[KBV_NAME_MAX + 1];

    if (host.len >= sizeof(text) || !is_host(host))
        return false;
    memcpy(text, host.p, host.len);
    text[host.len] = '\0';
    return kbv_name_from_text(text, true, out->name, &out->name_len) == KBV_OK;
}

/* 1-65535 in the shortest form. */
static bool read_port(struct kbv_slice text, uint16_t *port)
{
    unsigned value = 0;

    if (!is_number(text) || text.len > 5 || text.p[0] == '0')
        return false;
    for (size_t i = 0; i < text.len; i++)
        value = value * 10 + (text.p[i] - '0');
    *port = (uint16_t)value;
    return value <= UINT16_MAX;
}

/* https://host[:port][/…], RFC 3986 sections 3.1 and 3.2. User information, addresses and escapes
 * have octets that no host and no port has. */
static bool read_uri(struct kbv_slice uri, struct kbv_naptr *out)
{
    static const char scheme[] = "https://";
    const size_t scheme_len = sizeof(scheme) - 1;
    struct kbv_slice authority, host;
    bool slash, colon;

    if (uri.len < scheme_len || !is_text((struct kbv_slice){uri.p, scheme_len}, scheme))
        return false;
    uri.p += scheme_len;
    uri.len -= scheme_len;
    authority = take_until(&uri, '/', &slash);
    host = take_until(&authority, ':', &colon);
    out->port = 443; /* RFC 9110 section 4.2.2 */
    return read_host(host, out) && (!colon || read_port(authority, &out->port));
}

/* ---- the regexp ---- */

/* An expression that takes any name, so that the URI is the answer whoever asks. */
static bool matches_anything(struct kbv_slice ere)
{
    return is_text(ere, ".*") || is_text(ere, "^.*$") || is_text(ere, "^.*") || is_text(ere, ".*$");
}

/* RFC 3403 section 3.2 through RFC 3402 section 3.2: delim ere delim repl delim flags. No digit but
 * 0 and no flag can be the delimiter; a backslash would escape it, or refer back: neither is ours.
 */
static bool is_delimiter(uint8_t c)
{
    return !(c >= '1' && c <= '9') && c != 'i' && c != 'I';
}

/* The U-NAPTR shape alone (RFC 4848 section 2.2), in printable ASCII. */
static bool read_regexp(struct kbv_slice regexp, struct kbv_naptr *out)
{
    struct kbv_slice ere, uri;
    uint8_t delimiter;
    bool second, third;

    for (size_t i = 0; i < regexp.len; i++) {
        if (regexp.p[i] <= ' ' || regexp.p[i] > '~' || regexp.p[i] == '\\')
            return false;
    }
    if (regexp.len == 0 || !is_delimiter(regexp.p[0]))
        return false;
    delimiter = regexp.p[0];
    regexp.p++;
    regexp.len--;
    ere = take_until(&regexp, delimiter, &second);
    uri = take_until(&regexp, delimiter, &third);
    return second && third && matches_anything(ere) && (regexp.len == 0 || is_text(regexp, "i")) &&
           read_uri(uri, out);
}

/* ---- records ---- */

/* The replacement is where to go on. RFC 3403 section 4.1: replacement and regexp exclude each
 * other. */
static enum kbv_naptr_use use_replacement(const struct fields *f, enum kbv_naptr_use use,
                                          struct kbv_naptr *out)
{
    if (f->regexp.len != 0 || is_root(f->replacement))
        return KBV_NAPTR_DROP;
    kbv_name_lower(out->name, f->replacement.p, f->replacement.len);
    out->name_len = f->replacement.len;
    return use;
}

/* RFC 3404 section 4.3: S leads to SRV, A to an address, U to a URI; no flag leads to more NAPTR,
 * and so, with nobody else to say what it means here, does P. */
static enum kbv_naptr_use use_by_flag(const struct fields *f, struct kbv_naptr *out)
{
    if (is_text(f->flags, "s"))
        return use_replacement(f, KBV_NAPTR_SRV, out);
    if (is_text(f->flags, "a"))
        return use_replacement(f, KBV_NAPTR_HOST, out);
    if (is_text(f->flags, "p") || is_text(f->flags, ""))
        return use_replacement(f, KBV_NAPTR_NEXT, out);
    /* A replacement beside the regexp is tolerated: the field has some. */
    if (is_text(f->flags, "u") && read_regexp(f->regexp, out))
        return KBV_NAPTR_URI;
    return KBV_NAPTR_DROP;
}

void kbv_naptr_read(struct kbv_slice rdata, struct kbv_naptr *out)
{
    struct kbv_reader r = kbv_reader_on(rdata.p, rdata.len);
    struct kbv_naptr read = {.use = KBV_NAPTR_DROP};
    struct fields f;

    *out = read;
    read.order = kbv_reader_u16(&r);
    read.preference = kbv_reader_u16(&r);
    f.flags = read_string(&r);
    f.services = read_string(&r);
    f.regexp = read_string(&r);
    f.replacement = read_name(&r);
    if (!kbv_reader_done(&r))
        return;
    /* TS002: LWNS is LoRaWAN backend traffic over TLS, LWN the same without it. */
    if (is_text(f.services, "lwns"))
        read.use = use_by_flag(&f, &read);
    else if (is_text(f.services, "lwn"))
        read.use = KBV_NAPTR_PLAIN;
    if (read.use != KBV_NAPTR_DROP)
        *out = read;
}

enum kbv_err kbv_srv_read(struct kbv_slice rdata, struct kbv_srv *out)
{
    struct kbv_reader r = kbv_reader_on(rdata.p, rdata.len);
    struct kbv_slice target;
    struct kbv_srv read;

    read.priority = kbv_reader_u16(&r);
    read.weight = kbv_reader_u16(&r);
    read.port = kbv_reader_u16(&r);
    target = read_name(&r);
    /* RFC 2782: a target "." says that there is no service, and then the port says nothing. */
    if (!kbv_reader_done(&r) || (read.port == 0 && !is_root(target)))
        return KBV_ERR_FORMAT;
    kbv_name_lower(read.target, target.p, target.len);
    read.target_len = target.len;
    *out = read;
    return KBV_OK;
}
