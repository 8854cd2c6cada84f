/* SPDX-License-Identifier: BSD-3-Clause */
/* See options.h. */
#include "options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dane.h"
#include "question.h"

#define FIELD(name) offsetof(struct kbv_options, name)

static const struct kbv_option table[] = {
    {.name = "kbv-zone",
     .type = KBV_OPTION_ZONE,
     .repeatable = true,
     .text = "A suffix below which names are LoRaWAN identifiers of that kind."},
    {.name = "kbv-literal",
     .type = KBV_OPTION_BOOL,
     .initial = "yes",
     .text = "Whether literal TLSA owners are answered.",
     .offset = FIELD(literal)},
    {.name = "kbv-rrtype",
     .type = KBV_OPTION_U16,
     .min = 65280, /* private use, RFC 6895 section 3.1 */
     .max = 65534,
     .initial = "65300",
     .text = "The RR type of verdicts.",
     .offset = FIELD(rrtype)},
    {.name = "kbv-edns-option",
     .type = KBV_OPTION_U16,
     .min = 65001, /* local use, RFC 6891 section 9 */
     .max = 65534,
     .initial = "65100",
     .text = "The EDNS option of requests and verdicts.",
     .offset = FIELD(edns_option)},
    {.name = "kbv-txt",
     .type = KBV_OPTION_BOOL,
     .initial = "yes",
     .text = "Whether verdicts below _kbv are shown as TXT too.",
     .offset = FIELD(txt)},
    {.name = "kbv-signing-key",
     .type = KBV_OPTION_KEY,
     .text = "A PEM file with the Ed25519 key, in PKCS#8, that signs verdicts.",
     .offset = FIELD(signer)},
    {.name = "kbv-sign",
     .type = KBV_OPTION_WHEN,
     .initial = "asked",
     .text = "Whether options are signed always, or when a client asks for it.",
     .offset = FIELD(sign)},
    {.name = "kbv-max-ttl",
     .type = KBV_OPTION_U32,
     .min = 1,
     .max = 604800,
     .initial = "3600",
     .unit = "seconds",
     .text = "How long a verdict BOUND or PUBLISHED holds at most.",
     .offset = FIELD(max_ttl)},
    {.name = "kbv-max-negative-ttl",
     .type = KBV_OPTION_U32,
     .min = 1,
     .max = 604800,
     .initial = "300",
     .unit = "seconds",
     .text = "How long a definite negative verdict holds at most.",
     .offset = FIELD(max_negative_ttl)},
    {.name = "kbv-require-secure",
     .type = KBV_OPTION_NAME,
     .repeatable = true,
     .text = "A suffix below which an unsigned answer is a downgrade."},
    {.name = "kbv-ca-bundle",
     .type = KBV_OPTION_CERTS,
     .text = "A PEM file of the CA certificates for TLSA records of usages 0 and 1.",
     .offset = FIELD(bundle)},
    {.name = "kbv-security-level",
     .type = KBV_OPTION_U32,
     .min = 0,
     .max = 5,
     .initial = "2",
     .text = "OpenSSL's security level, below which a key or signature is a downgrade.",
     .offset = FIELD(security_level)},
    {.name = "kbv-max-pending",
     .type = KBV_OPTION_U32,
     .min = 1,
     .max = 1000000,
     .initial = "1000",
     .unit = "verdicts",
     .text = "How many verdicts may be in progress at once.",
     .offset = FIELD(max_pending)},
    {.name = "kbv-chain-ratelimit",
     .type = KBV_OPTION_U32,
     .min = 0,
     .max = 1000000,
     .initial = "100",
     .unit = "verifications",
     .text = "How many certificate chains are verified for one client in a second, and, apart from "
             "them, nonces signed; ten times as many other signatures; 0: no limit.",
     .offset = FIELD(chain_ratelimit)},
    {.name = "kbv-cache-size",
     .type = KBV_OPTION_BYTES,
     .min = 64 * 1024,
     .or_none = true,
     .max = 1024 * 1024 * 1024,
     .initial = "16m",
     .unit = "octets",
     .text = "Memory for what is dear to find out again; 0: none.",
     .offset = FIELD(cache_size)},
    {.name = "kbv-qname-minimisation",
     .type = KBV_OPTION_BOOL,
     .initial = "no",
     .text = "Whether query names are minimised below the zones too.",
     .offset = FIELD(qname_minimisation)},
};

#define TABLE_ROWS (sizeof(table) / sizeof(table[0]))

/* Where a message goes. */
struct message {
    char *buf;
    size_t len;
};

static enum kbv_err fail(struct message *m, enum kbv_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum kbv_err fail(struct message *m, enum kbv_err err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(m->buf, m->len, format, args);
    va_end(args);
    return err;
}

static enum kbv_err no_memory(struct message *m)
{
    return fail(m, KBV_ERR_NOMEM, "out of memory");
}

const struct kbv_option *kbv_option_row(size_t i)
{
    return i < TABLE_ROWS ? &table[i] : NULL;
}

bool kbv_option_is_file(const struct kbv_option *row)
{
    return row->type == KBV_OPTION_CERTS || row->type == KBV_OPTION_KEY;
}

static const struct kbv_option *row_of(const char *key)
{
    for (size_t i = 0; i < TABLE_ROWS; i++)
        if (strcmp(table[i].name, key) == 0)
            return &table[i];
    return NULL;
}

/* Decimal digits only: no sign, no space, no leading zero, nothing behind; false beyond max. */
static bool number_parse(const char *text, size_t len, uint64_t max, uint64_t *out)
{
    uint64_t n = 0;

    if (len == 0 || (len > 1 && text[0] == '0'))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (digit > max || n > (max - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *out = n;
    return true;
}

static enum kbv_err set_bool(bool *field, const char *value, struct message *m)
{
    if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
        return fail(m, KBV_ERR_FORMAT, "expected yes or no");
    *field = value[0] == 'y';
    return KBV_OK;
}

static enum kbv_err number_in_range(const struct kbv_option *row, const char *value, uint64_t *out,
                                    struct message *m)
{
    if (!number_parse(value, strlen(value), row->max, out) || *out < row->min)
        return fail(m, KBV_ERR_FORMAT, "expected a number%s%s from %llu to %llu",
                    row->unit != NULL ? " of " : "", row->unit != NULL ? row->unit : "",
                    (unsigned long long)row->min, (unsigned long long)row->max);
    return KBV_OK;
}

static enum kbv_err bytes_in_range(const struct kbv_option *row, const char *value, uint64_t *out,
                                   struct message *m)
{
    size_t len = strlen(value);
    unsigned shift = 0;
    uint64_t n = 0;

    if (len > 0) {
        switch (value[len - 1]) {
        case 'k':
        case 'K':
            shift = 10;
            break;
        case 'm':
        case 'M':
            shift = 20;
            break;
        case 'g':
        case 'G':
            shift = 30;
            break;
        default:
            break;
        }
    }
    if (!number_parse(value, shift != 0 ? len - 1 : len, row->max >> shift, &n) ||
        (n << shift < row->min && !(n == 0 && row->or_none)))
        return fail(m, KBV_ERR_FORMAT,
                    "expected a number of octets from %lluk to %llum%s, as in 16m; k, m and g "
                    "multiply by 1024",
                    (unsigned long long)row->min >> 10, (unsigned long long)row->max >> 20,
                    row->or_none ? ", or 0" : "");
    *out = n << shift;
    return KBV_OK;
}

/* One more element of size bytes behind the n of *list, zeroed; NULL without memory. */
static void *list_grow(void **list, size_t n, size_t size)
{
    char *bigger = realloc(*list, (n + 1) * size);

    if (bigger == NULL)
        return NULL;
    *list = bigger;
    memset(bigger + n * size, 0, size);
    return bigger + n * size;
}

static enum kbv_err name_parse(const char *text, uint8_t wire[KBV_NAME_MAX], size_t *len,
                               struct message *m)
{
    if (kbv_name_from_text(text, true, wire, len) != KBV_OK)
        return fail(m, KBV_ERR_FORMAT, "\"%.80s\" is no domain name", text);
    if (kbv_name_under_kbv(wire, *len))
        return fail(m, KBV_ERR_FORMAT, "names with a label _kbv are the module's own");
    return KBV_OK;
}

static enum kbv_err add_require_secure(struct kbv_options *o, const char *value, struct message *m)
{
    struct kbv_name name;
    void *list = o->require_secure;
    struct kbv_name *slot;
    enum kbv_err err = name_parse(value, name.wire, &name.len, m);

    if (err != KBV_OK)
        return err;
    slot = list_grow(&list, o->n_require_secure, sizeof(*slot));
    if (slot == NULL)
        return no_memory(m);
    o->require_secure = list;
    *slot = name;
    o->n_require_secure++;
    return KBV_OK;
}

/* port=N[,N…] */
static enum kbv_err zone_ports(struct kbv_zone *z, const char *list, struct message *m)
{
    for (const char *p = list;; p++) {
        size_t len = strcspn(p, ",");
        uint64_t port;

        if (!number_parse(p, len, 65535, &port) || port == 0)
            return fail(m, KBV_ERR_FORMAT,
                        "port=%.80s: expected ports from 1 to 65535, as in "
                        "port=443,8003",
                        list);
        for (size_t i = 0; i < z->n_ports; i++)
            if (z->ports[i] == port)
                return fail(m, KBV_ERR_FORMAT, "port=%.80s: port %u stands twice", list,
                            (unsigned)port);
        if (z->n_ports == KBV_OPTIONS_MAX_PORTS)
            return fail(m, KBV_ERR_FORMAT, "port=%.80s: at most %d ports", list,
                        KBV_OPTIONS_MAX_PORTS);
        z->ports[z->n_ports++] = (uint16_t)port;
        p += len;
        if (*p == '\0')
            return KBV_OK;
    }
}

/* The attributes that a zone line has named so far: each may stand once. */
struct zone_attributes {
    bool form, lookup, port;
};

static enum kbv_err once(bool *seen, const char *name, struct message *m)
{
    if (*seen)
        return fail(m, KBV_ERR_FORMAT, "%s stands twice", name);
    *seen = true;
    return KBV_OK;
}

static enum kbv_err zone_attribute(struct kbv_zone *z, struct zone_attributes *seen,
                                   const char *word, struct message *m)
{
    enum kbv_err err;

    if (strncmp(word, "form=", 5) == 0) {
        if ((err = once(&seen->form, "form=", m)) != KBV_OK)
            return err;
        if (strcmp(word + 5, "nibble") != 0 && strcmp(word + 5, "flat") != 0)
            return fail(m, KBV_ERR_FORMAT, "%.80s: expected form=nibble or form=flat", word);
        z->form = word[5] == 'n' ? KBV_FORM_NIBBLE : KBV_FORM_FLAT;
        return KBV_OK;
    }
    if (strncmp(word, "lookup=", 7) == 0) {
        if ((err = once(&seen->lookup, "lookup=", m)) != KBV_OK)
            return err;
        if (strcmp(word + 7, "service") != 0 && strcmp(word + 7, "identity") != 0)
            return fail(m, KBV_ERR_FORMAT, "%.80s: expected lookup=service or lookup=identity",
                        word);
        z->lookup = word[7] == 's' ? KBV_LOOKUP_SERVICE : KBV_LOOKUP_IDENTITY;
        return KBV_OK;
    }
    if (strncmp(word, "port=", 5) == 0) {
        if ((err = once(&seen->port, "port=", m)) != KBV_OK)
            return err;
        return zone_ports(z, word + 5, m);
    }
    return fail(m, KBV_ERR_FORMAT,
                "unknown attribute \"%.80s\": expected form=, lookup= or port=", word);
}

/* What the attributes mean together with the kind. */
static enum kbv_err zone_check(struct kbv_zone *z, const struct zone_attributes *seen,
                               struct message *m)
{
    /* TS002 section 19.1 writes a JoinEUI by nibbles and a NetID as one label. */
    if (z->kind == KBV_ID_JOINEUI && z->form != KBV_FORM_NIBBLE)
        return fail(m, KBV_ERR_FORMAT, "joineui has form=nibble only");
    if (z->kind == KBV_ID_NETID && z->form != KBV_FORM_FLAT)
        return fail(m, KBV_ERR_FORMAT, "netid has form=flat only");
    if (z->lookup == KBV_LOOKUP_IDENTITY && seen->port)
        return fail(m, KBV_ERR_FORMAT,
                    "port= has no meaning with lookup=identity: leave it out, or say "
                    "lookup=service");
    if (z->lookup == KBV_LOOKUP_SERVICE && z->n_ports == 0)
        z->ports[z->n_ports++] = 443;
    size_t below = z->form == KBV_FORM_NIBBLE ? 32 : z->kind == KBV_ID_NETID ? 7 : 17;
    if (z->suffix_len + below > KBV_NAME_MAX)
        return fail(m, KBV_ERR_FORMAT,
                    "the suffix is too long: at most %zu octets leave room for "
                    "an identifier",
                    (size_t)KBV_NAME_MAX - below);
    return KBV_OK;
}

static enum kbv_err zone_parse(struct kbv_zone *z, char *words, struct message *m)
{
    static const char blank[] = " \t";
    struct zone_attributes seen = {false, false, false};
    char *rest = NULL;
    const char *suffix = strtok_r(words, blank, &rest);
    const char *kind = strtok_r(NULL, blank, &rest);
    enum kbv_err err;

    memset(z, 0, sizeof(*z));
    if (suffix == NULL || kind == NULL)
        return fail(m, KBV_ERR_FORMAT,
                    "expected a suffix and a kind, as in "
                    "\"joineuis.example joineui\"");
    if ((err = name_parse(suffix, z->suffix, &z->suffix_len, m)) != KBV_OK)
        return err;
    if (z->suffix_len == 1)
        return fail(m, KBV_ERR_FORMAT, "the root cannot be a suffix of identifiers");
    z->kind = kbv_id_kind_from_name(kind);
    if (z->kind == KBV_ID_NONE)
        return fail(m, KBV_ERR_FORMAT, "unknown kind \"%.80s\": expected joineui, netid or deveui",
                    kind);
    z->form = z->kind == KBV_ID_NETID ? KBV_FORM_FLAT : KBV_FORM_NIBBLE;
    z->lookup = z->kind == KBV_ID_DEVEUI ? KBV_LOOKUP_IDENTITY : KBV_LOOKUP_SERVICE;

    for (char *word; (word = strtok_r(NULL, blank, &rest)) != NULL;)
        if ((err = zone_attribute(z, &seen, word, m)) != KBV_OK)
            return err;
    return zone_check(z, &seen, m);
}

static enum kbv_err add_zone(struct kbv_options *o, const char *value, struct message *m)
{
    struct kbv_zone zone;
    struct kbv_zone *slot;
    void *list = o->zones;
    char *words = strdup(value);
    enum kbv_err err;

    if (words == NULL)
        return no_memory(m);
    err = zone_parse(&zone, words, m);
    free(words);
    if (err != KBV_OK)
        return err;
    for (size_t i = 0; i < o->n_zones; i++)
        if (kbv_name_equal(o->zones[i].suffix, o->zones[i].suffix_len, zone.suffix,
                           zone.suffix_len))
            return fail(m, KBV_ERR_FORMAT,
                        "an earlier kbv-zone has the same suffix: a suffix has "
                        "one kind");
    slot = list_grow(&list, o->n_zones, sizeof(*slot));
    if (slot == NULL)
        return no_memory(m);
    o->zones = list;
    *slot = zone;
    o->n_zones++;
    return KBV_OK;
}

/* The last line counts, as with every option that is no list. */
static enum kbv_err set_bundle(struct kbv_bundle **field, const char *path, struct message *m)
{
    struct kbv_bundle *bundle = kbv_bundle_load(path, m->buf, m->len);

    if (bundle == NULL)
        return KBV_ERR_FORMAT;
    kbv_bundle_delete(*field);
    *field = bundle;
    return KBV_OK;
}

static enum kbv_err set_signer(struct kbv_options *o, const char *path, struct message *m)
{
    struct kbv_signer *signer = kbv_signer_load(path, &o->ids, m->buf, m->len);

    if (signer == NULL)
        return KBV_ERR_FORMAT;
    kbv_signer_delete(o->signer);
    o->signer = signer;
    return KBV_OK;
}

static enum kbv_err set_when(enum kbv_sign_when *field, const char *value, struct message *m)
{
    static const char *const words[] = {[KBV_SIGN_ASKED] = "asked", [KBV_SIGN_ALWAYS] = "always"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(value, words[i]) != 0)
            continue;
        *field = (enum kbv_sign_when)i;
        return KBV_OK;
    }
    return fail(m, KBV_ERR_FORMAT, "expected asked or always");
}

static enum kbv_err set_row(struct kbv_options *o, const struct kbv_option *row, const char *value,
                            struct message *m)
{
    char *field = (char *)o + row->offset;
    uint64_t n = 0;
    enum kbv_err err;

    switch (row->type) {
    case KBV_OPTION_ZONE:
        return add_zone(o, value, m);
    case KBV_OPTION_NAME:
        return add_require_secure(o, value, m);
    case KBV_OPTION_BOOL:
        return set_bool((bool *)field, value, m);
    case KBV_OPTION_U16:
        if ((err = number_in_range(row, value, &n, m)) == KBV_OK)
            *(uint16_t *)field = (uint16_t)n;
        return err;
    case KBV_OPTION_U32:
        if ((err = number_in_range(row, value, &n, m)) == KBV_OK)
            *(uint32_t *)field = (uint32_t)n;
        return err;
    case KBV_OPTION_BYTES:
        if ((err = bytes_in_range(row, value, &n, m)) == KBV_OK)
            *(size_t *)field = (size_t)n;
        return err;
    case KBV_OPTION_CERTS:
        return set_bundle((struct kbv_bundle **)field, value, m);
    case KBV_OPTION_KEY:
        return set_signer(o, value, m);
    case KBV_OPTION_WHEN:
        return set_when((enum kbv_sign_when *)field, value, m);
    }
    return fail(m, KBV_ERR_UNSUPPORTED, "unknown type of option");
}

/* "unknown key: expected kbv-zone, kbv-literal, …" */
static enum kbv_err unknown_key(struct message *m)
{
    size_t used = 0;
    const char *before = "unknown key: expected ";

    for (size_t i = 0; i < TABLE_ROWS && used < m->len; i++) {
        int n = snprintf(m->buf + used, m->len - used, "%s%s", before, table[i].name);

        used += n > 0 ? (size_t)n : 0;
        before = i + 2 == TABLE_ROWS ? " or " : ", ";
    }
    return KBV_ERR_UNSUPPORTED;
}

struct kbv_options *kbv_options_create(void)
{
    char err[1];
    struct message m = {err, sizeof(err)};
    struct kbv_options *o = calloc(1, sizeof(*o));

    if (o == NULL)
        return NULL;
    o->ids = (struct kbv_reader_ids){geteuid(), getegid()};
    for (size_t i = 0; i < TABLE_ROWS; i++) {
        if (table[i].initial != NULL && set_row(o, &table[i], table[i].initial, &m) != KBV_OK) {
            kbv_options_delete(o);
            return NULL;
        }
    }
    return o;
}

void kbv_options_delete(struct kbv_options *o)
{
    if (o == NULL)
        return;
    free(o->zones);
    free(o->require_secure);
    kbv_bundle_delete(o->bundle);
    kbv_signer_delete(o->signer);
    free(o);
}

enum kbv_err kbv_options_set(struct kbv_options *o, const char *key, const char *value, char *err,
                             size_t err_len)
{
    struct message m = {err, err_len};
    const struct kbv_option *row = row_of(key);

    return row == NULL ? unknown_key(&m) : set_row(o, row, value, &m);
}

static int longer_suffix_first(const void *a, const void *b)
{
    size_t la = ((const struct kbv_zone *)a)->suffix_len;
    size_t lb = ((const struct kbv_zone *)b)->suffix_len;

    return (la < lb) - (la > lb);
}

enum kbv_err kbv_options_finish(struct kbv_options *o, char *err, size_t err_len)
{
    struct message m = {err, err_len};

    if (!o->literal && o->n_zones == 0)
        return fail(&m, KBV_ERR_FORMAT,
                    "kbv-literal: no without any kbv-zone leaves nothing to "
                    "answer: add a kbv-zone, or say kbv-literal: yes");
    if (o->sign == KBV_SIGN_ALWAYS && o->signer == NULL)
        return fail(
            &m, KBV_ERR_FORMAT,
            "kbv-sign: always without kbv-signing-key signs nothing: add a kbv-signing-key, "
            "or say kbv-sign: asked");
    if (o->n_zones > 1)
        qsort(o->zones, o->n_zones, sizeof(o->zones[0]), longer_suffix_first);
    return KBV_OK;
}

void kbv_zone_text(const struct kbv_zone *z, char out[KBV_ZONE_TEXT_MAX])
{
    size_t len;

    kbv_name_to_text(z->suffix, z->suffix_len, out);
    len = strlen(out);
    len +=
        (size_t)snprintf(out + len, KBV_ZONE_TEXT_MAX - len, " %s form=%s lookup=%s",
                         kbv_id_kind_name(z->kind), z->form == KBV_FORM_NIBBLE ? "nibble" : "flat",
                         z->lookup == KBV_LOOKUP_SERVICE ? "service" : "identity");
    for (size_t i = 0; i < z->n_ports; i++)
        len += (size_t)snprintf(out + len, KBV_ZONE_TEXT_MAX - len, "%s%u", i == 0 ? " port=" : ",",
                                z->ports[i]);
}

const struct kbv_zone *kbv_options_zone(const struct kbv_options *o, const uint8_t *qname,
                                        size_t len)
{
    for (size_t i = 0; i < o->n_zones; i++)
        if (kbv_name_below(qname, len, o->zones[i].suffix, o->zones[i].suffix_len))
            return &o->zones[i];
    return NULL;
}
