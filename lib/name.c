/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names and identifiers. A wire name is a row of labels, each a length octet
 * and that many octets, up to the root label of length 0 (RFC 1035 section 3.1).
 */
#include <kbv/name.h>

#include <string.h>

enum {
    LABEL_MAX = 63, /* RFC 1035 section 2.3.4; beyond it lie the compression pointers */
    LABELS_MAX = 127,
    DIGEST_LEN = 32,
    DIGEST_LABEL_LEN = 53,
};

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Value of a hex digit of any case, -1 if it is none. */
static int hex_value(uint8_t c)
{
    c = lower(c);
    if (is_digit(c))
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const char *kbv_err_text(enum kbv_err err)
{
    switch (err) {
    case KBV_OK:
        return "success";
    case KBV_ERR_FORMAT:
        return "malformed input";
    case KBV_ERR_SPACE:
        return "the storage given is too small";
    case KBV_ERR_LIMIT:
        return "a limit was reached";
    case KBV_ERR_NOMEM:
        return "out of memory";
    case KBV_ERR_UNSUPPORTED:
        return "not supported";
    case KBV_ERR_SYSTEM:
        return "refused by the system";
    }
    return "unknown error";
}

/* Wire names */

size_t kbv_name_len(const uint8_t *p, size_t max)
{
    size_t at = 0;

    if (max > KBV_NAME_MAX)
        max = KBV_NAME_MAX;
    while (at < max) {
        if (p[at] == 0)
            return at + 1;
        if (p[at] > LABEL_MAX)
            return 0;
        at += 1u + p[at];
    }
    return 0;
}

size_t kbv_name_labels(const uint8_t *name)
{
    size_t n = 0;

    for (; *name; name += 1 + *name)
        n++;
    return n;
}

/* Of eight octets at once: 0x80 in each that is 'A' to 'Z', 0 in the others. Names are most of what
 * a verdict is made of. Nothing carries into the next octet, for bit 7 is left out of the sums. */
static uint64_t upper_bits(uint64_t octets)
{
    const uint64_t each = UINT64_C(0x0101010101010101), high = each * 0x80;
    uint64_t from_a = (octets & ~high) + each * (0x80 - 'A');
    uint64_t past_z = (octets & ~high) + each * (0x80 - 'Z' - 1);

    return (from_a ^ past_z) & ~octets & high;
}

static uint64_t load(const uint8_t *p)
{
    uint64_t octets;

    memcpy(&octets, p, sizeof(octets));
    return octets;
}

static void store_lower(uint8_t *dst, const uint8_t *src)
{
    uint64_t octets = load(src);

    octets |= upper_bits(octets) >> 2; /* 0x20, which makes the lower-case letter */
    memcpy(dst, &octets, sizeof(octets));
}

/* Length octets are at most 63 and so below 'A': no need to step over them, here and below. */
void kbv_name_lower(uint8_t *dst, const uint8_t *src, size_t len)
{
    size_t i = 0;

    for (; i + 8 <= len; i += 8)
        store_lower(dst + i, src + i);
    for (; i < len; i++)
        dst[i] = lower(src[i]);
}

static bool has_upper(const uint8_t *p, size_t len)
{
    uint64_t found = 0;
    size_t i = 0;

    for (; i + 8 <= len; i += 8)
        found |= upper_bits(load(p + i));
    for (; i < len; i++)
        found |= (uint8_t)(p[i] - 'A') < 26;
    return found != 0;
}

size_t kbv_name_canonical_len(const uint8_t *p, size_t max)
{
    size_t len = kbv_name_len(p, max);

    return has_upper(p, len) ? 0 : len;
}

bool kbv_name_is_canonical(const uint8_t *p, size_t len)
{
    return len != 0 && kbv_name_canonical_len(p, len) == len;
}

bool kbv_name_equal(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    if (a_len != b_len)
        return false;
    if (a_len == 0 || memcmp(a, b, a_len) == 0) /* so it is nearly always */
        return true;
    for (size_t i = 0; i < a_len; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

bool kbv_name_below(const uint8_t *name, size_t name_len, const uint8_t *zone, size_t zone_len)
{
    size_t at = 0;

    /* Only a label's start may begin the zone's name. */
    while (name_len - at > zone_len) {
        if (name[at] == 0)
            return false;
        at += 1u + name[at];
        if (at >= name_len)
            return false;
    }
    return kbv_name_equal(name + at, name_len - at, zone, zone_len);
}

/* Where each label of a well-formed name starts; the number of labels. */
static size_t label_starts(const uint8_t *name, uint8_t starts[LABELS_MAX])
{
    size_t n = 0;

    for (size_t at = 0; name[at] && n < LABELS_MAX; at += 1u + name[at])
        starts[n++] = (uint8_t)at;
    return n;
}

static int label_compare(const uint8_t *a, const uint8_t *b)
{
    size_t shorter = a[0] < b[0] ? a[0] : b[0];

    for (size_t i = 1; i <= shorter; i++) {
        int diff = lower(a[i]) - lower(b[i]);
        if (diff)
            return diff;
    }
    return a[0] - b[0];
}

int kbv_name_compare(const uint8_t *a, const uint8_t *b)
{
    uint8_t a_starts[LABELS_MAX], b_starts[LABELS_MAX];
    size_t a_left = label_starts(a, a_starts);
    size_t b_left = label_starts(b, b_starts);

    /* RFC 4034 section 6.1: from the rightmost label on; no label sorts before any label. */
    while (a_left && b_left) {
        int diff = label_compare(a + a_starts[--a_left], b + b_starts[--b_left]);
        if (diff)
            return diff;
    }
    return (a_left > 0) - (b_left > 0);
}

bool kbv_name_first_label_is(const uint8_t *name, const char *label)
{
    size_t len = strlen(label);

    return name[0] == len && kbv_name_equal(name + 1, len, (const uint8_t *)label, len);
}

/* Text */

/* One octet of a label from text, RFC 1035 section 5.1: a printable character,
 * or \DDD, or \ and a character. Moves *text on; -1 if malformed. */
static int text_octet(const char **text)
{
    const uint8_t *t = (const uint8_t *)*text;
    int value = t[0];

    if (value <= ' ' || value > '~')
        return -1;
    if (value != '\\') {
        *text += 1;
        return value;
    }
    if (is_digit(t[1])) {
        if (!is_digit(t[2]) || !is_digit(t[3]))
            return -1;
        value = (t[1] - '0') * 100 + (t[2] - '0') * 10 + (t[3] - '0');
        *text += 4;
        return value > 255 ? -1 : value;
    }
    if (t[1] < ' ' || t[1] > '~')
        return -1;
    *text += 2;
    return t[1];
}

enum kbv_err kbv_name_from_text(const char *text, bool to_lower, uint8_t out[KBV_NAME_MAX],
                                size_t *out_len)
{
    uint8_t wire[KBV_NAME_MAX];
    size_t label = 0, len = 1; /* label: where the current one's length octet is */

    if (strcmp(text, ".") == 0) {
        out[0] = 0;
        *out_len = 1;
        return KBV_OK;
    }
    for (;;) {
        size_t in_label = len - label - 1;

        if (*text == '.' || *text == '\0') {
            if (in_label == 0 || len >= KBV_NAME_MAX)
                return KBV_ERR_FORMAT;
            wire[label] = (uint8_t)in_label;
            label = len++;
            if (text[0] == '\0' || text[1] == '\0')
                break;
            text++;
            continue;
        }
        int octet = text_octet(&text);
        if (octet < 0 || in_label == LABEL_MAX || len >= KBV_NAME_MAX)
            return KBV_ERR_FORMAT;
        wire[len++] = (uint8_t)octet;
    }
    wire[label] = 0;
    if (to_lower)
        kbv_name_lower(out, wire, len);
    else
        memcpy(out, wire, len);
    *out_len = len;
    return KBV_OK;
}

/* Writes one octet of a label as text; where the next one goes. */
static char *octet_to_text(uint8_t c, char *out)
{
    if (c <= ' ' || c > '~') {
        *out++ = '\\';
        *out++ = (char)('0' + c / 100);
        *out++ = (char)('0' + c / 10 % 10);
        *out++ = (char)('0' + c % 10);
        return out;
    }
    /* What master files give a meaning to is escaped, so that the text can be pasted there. */
    if (strchr("\\.\"();@$", c))
        *out++ = '\\';
    *out++ = (char)c;
    return out;
}

void kbv_name_to_text(const uint8_t *name, size_t len, char *out)
{
    if (kbv_name_len(name, len) != len || len <= 1) {
        strcpy(out, len == 1 && name[0] == 0 ? "." : "");
        return;
    }
    for (; *name; name += 1 + *name) {
        for (size_t i = 1; i <= *name; i++)
            out = octet_to_text(name[i], out);
        *out++ = '.';
    }
    *out = '\0';
}

/* TLSA owners */

/* Appends one label and its length octet, in lower case. */
static bool append_label(uint8_t *out, size_t *len, const char *label, size_t label_len)
{
    if (label_len == 0 || label_len > LABEL_MAX || *len + 1 + label_len >= KBV_NAME_MAX)
        return false;
    out[(*len)++] = (uint8_t)label_len;
    kbv_name_lower(out + *len, (const uint8_t *)label, label_len);
    *len += label_len;
    return true;
}

/* Appends the name that ends out; true if all of it fits. */
static bool append_name(uint8_t *out, size_t *len, const uint8_t *name, size_t name_len)
{
    if (name_len > KBV_NAME_MAX - *len)
        return false;
    kbv_name_lower(out + *len, name, name_len);
    *len += name_len;
    return true;
}

enum kbv_err kbv_name_tlsa_owner(uint16_t port, const uint8_t *host, size_t host_len,
                                 uint8_t out[KBV_NAME_MAX], size_t *out_len)
{
    uint8_t wire[KBV_NAME_MAX];
    char label[1 + 5];
    size_t digits = 0, len = 0;

    if (host_len == 0 || kbv_name_len(host, host_len) != host_len)
        return KBV_ERR_FORMAT;
    for (unsigned rest = port; rest || !digits; rest /= 10)
        digits++;
    label[0] = '_';
    for (size_t i = digits; i > 0; i--, port /= 10)
        label[i] = (char)('0' + port % 10);
    if (!append_label(wire, &len, label, 1 + digits) || !append_label(wire, &len, "_tcp", 4) ||
        !append_name(wire, &len, host, host_len))
        return KBV_ERR_LIMIT;
    memcpy(out, wire, len);
    *out_len = len;
    return KBV_OK;
}

/* True for _<digits>. What no port is written like (RFC 6698 section 3) is a server's owner too,
 * which nobody connects to: a client's it is in no case. */
static bool is_port_label(const uint8_t *label)
{
    if (label[0] < 2 || label[1] != '_')
        return false;
    for (size_t i = 2; i <= label[0]; i++)
        if (!is_digit(label[i]))
            return false;
    return true;
}

bool kbv_name_is_server_owner(const uint8_t *name, size_t len, const uint8_t **host,
                              size_t *host_len)
{
    const uint8_t *proto, *rest;

    if (kbv_name_len(name, len) != len || !is_port_label(name))
        return false;
    proto = name + 1 + name[0];
    if (!kbv_name_first_label_is(proto, "_tcp") && !kbv_name_first_label_is(proto, "_udp") &&
        !kbv_name_first_label_is(proto, "_sctp"))
        return false;
    rest = proto + 1 + proto[0];
    if (host)
        *host = rest;
    if (host_len)
        *host_len = len - (size_t)(rest - name);
    return true;
}

/* Identifiers */

static const struct {
    const char *name;
    size_t len;        /* octets */
    bool nibble, flat; /* the forms that the kind may take below a suffix */
} kinds[] = {
    [KBV_ID_JOINEUI] = {"joineui", 8, true, false},
    [KBV_ID_NETID] = {"netid", 3, false, true},
    [KBV_ID_DEVEUI] = {"deveui", 8, true, true},
};

static bool is_kind(enum kbv_id_kind kind)
{
    return kind >= KBV_ID_JOINEUI && kind <= KBV_ID_DEVEUI;
}

const char *kbv_id_kind_name(enum kbv_id_kind kind)
{
    return is_kind(kind) ? kinds[kind].name : NULL;
}

enum kbv_id_kind kbv_id_kind_from_name(const char *name)
{
    for (enum kbv_id_kind kind = KBV_ID_JOINEUI; kind <= KBV_ID_DEVEUI; kind++)
        if (strcmp(name, kinds[kind].name) == 0)
            return kind;
    return KBV_ID_NONE;
}

enum kbv_err kbv_id_parse(enum kbv_id_kind kind, const char *text, struct kbv_id *id)
{
    struct kbv_id read = {.kind = kind};

    if (!is_kind(kind))
        return KBV_ERR_UNSUPPORTED;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        text += 2;
    for (read.len = 0; read.len < kinds[kind].len; read.len++) {
        if (read.len > 0 && (*text == '-' || *text == ':'))
            text++;
        int high = hex_value((uint8_t)text[0]);
        int low = high < 0 ? -1 : hex_value((uint8_t)text[1]);
        if (low < 0)
            return KBV_ERR_FORMAT;
        read.value[read.len] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    if (*text)
        return KBV_ERR_FORMAT;
    *id = read;
    return KBV_OK;
}

void kbv_id_text(const struct kbv_id *id, char *out)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < id->len && i < sizeof(id->value); i++) {
        *out++ = digits[id->value[i] >> 4];
        *out++ = digits[id->value[i] & 15];
    }
    *out = '\0';
}

enum kbv_err kbv_id_to_name(const struct kbv_id *id, bool nibble, const uint8_t *suffix,
                            size_t suffix_len, uint8_t out[KBV_NAME_MAX], size_t *out_len)
{
    uint8_t wire[KBV_NAME_MAX];
    char text[17];
    size_t digits, len = 0;

    if (!is_kind(id->kind) || (nibble ? !kinds[id->kind].nibble : !kinds[id->kind].flat))
        return KBV_ERR_UNSUPPORTED;
    if (id->len != kinds[id->kind].len || suffix_len == 0 ||
        kbv_name_len(suffix, suffix_len) != suffix_len)
        return KBV_ERR_FORMAT;
    kbv_id_text(id, text);
    digits = 2 * id->len;
    if (nibble) {
        /* TS002 section 19.1, as ip6.arpa does it: the low nibble comes first. */
        while (digits)
            if (!append_label(wire, &len, &text[--digits], 1))
                return KBV_ERR_LIMIT;
    } else if (!append_label(wire, &len, text, digits)) {
        return KBV_ERR_LIMIT;
    }
    if (!append_name(wire, &len, suffix, suffix_len))
        return KBV_ERR_LIMIT;
    memcpy(out, wire, len);
    *out_len = len;
    return KBV_OK;
}

enum kbv_err kbv_id_from_name(enum kbv_id_kind kind, bool nibble, const uint8_t *name,
                              size_t name_len, const uint8_t *suffix, size_t suffix_len,
                              struct kbv_id *id)
{
    struct kbv_id read = {.kind = kind};
    size_t digits, front;

    if (!is_kind(kind) || (nibble ? !kinds[kind].nibble : !kinds[kind].flat))
        return KBV_ERR_FORMAT;
    read.len = kinds[kind].len;
    digits = 2 * read.len;
    front = nibble ? 2 * digits : 1 + digits; /* octets in front of the suffix */
    if (name_len != front + suffix_len || kbv_name_len(name, name_len) != name_len ||
        !kbv_name_equal(name + front, suffix_len, suffix, suffix_len))
        return KBV_ERR_FORMAT;
    if (!nibble && name[0] != digits)
        return KBV_ERR_FORMAT;
    for (size_t i = 0; i < digits; i++) {
        size_t at = nibble ? 2 * (digits - 1 - i) + 1 : 1 + i;
        int value = hex_value(name[at]);
        if (value < 0 || (nibble && name[at - 1] != 1))
            return KBV_ERR_FORMAT;
        read.value[i / 2] = (uint8_t)(read.value[i / 2] << 4 | value);
    }
    *id = read;
    return KBV_OK;
}

/* Digest labels */

/* Value of a base32hex digit of any case (RFC 4648 section 7), -1 if it is none. */
static int base32hex_value(uint8_t c)
{
    c = lower(c);
    if (is_digit(c))
        return c - '0';
    return c >= 'a' && c <= 'v' ? c - 'a' + 10 : -1;
}

enum kbv_err kbv_digest_label_decode(const uint8_t *label, size_t len, char *kind_char,
                                     uint8_t digest[32])
{
    uint8_t read[DIGEST_LEN];
    uint32_t bits = 0; /* those not yet written, n_bits of them */
    size_t n_bits = 0, n = 0;
    uint8_t kind;

    if (len != DIGEST_LABEL_LEN)
        return KBV_ERR_FORMAT;
    kind = lower(label[0]);
    if (kind != 's' && kind != 'c')
        return KBV_ERR_FORMAT;
    for (size_t i = 1; i < len; i++) {
        int value = base32hex_value(label[i]);
        if (value < 0)
            return KBV_ERR_FORMAT;
        bits = bits << 5 | (uint32_t)value;
        n_bits += 5;
        if (n_bits >= 8 && n < sizeof(read)) {
            n_bits -= 8;
            read[n++] = (uint8_t)(bits >> n_bits);
            bits &= (1u << n_bits) - 1;
        }
    }
    /* 52 digits hold four bits more than the digest: another spelling of it unless they are zero.
     */
    if (n != sizeof(read) || bits != 0)
        return KBV_ERR_FORMAT;
    memcpy(digest, read, sizeof(read));
    *kind_char = (char)kind;
    return KBV_OK;
}

void kbv_digest_label_encode(char kind_char, const uint8_t digest[32], uint8_t out[53])
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
    uint32_t bits = 0;
    size_t n_bits = 0, at = 0;

    out[at++] = (uint8_t)kind_char;
    for (size_t i = 0; i < DIGEST_LEN; i++) {
        bits = bits << 8 | digest[i];
        n_bits += 8;
        while (n_bits >= 5) {
            n_bits -= 5;
            out[at++] = (uint8_t)digits[bits >> n_bits & 31];
        }
        bits &= (1u << n_bits) - 1;
    }
    out[at] = (uint8_t)digits[bits << (5 - n_bits) & 31];
}
