/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/dns.h"

#include "lib/buf.h"

enum {
    FLAG_QR = 0x8000, /* RFC 1035 section 4.1.1 */
    FLAG_TC = 0x0200,
    FLAG_RD = 0x0100,
    OPCODE = 0x7800,
    RCODE = 0x000F,
    CLASS_IN = 1,
    TYPE_OPT = 41,
    OPTION_EDE = 15, /* RFC 8914 section 2 */
    LABEL_MAX = 63,
    POINTER = 0xC0,     /* RFC 1035 section 4.1.4 */
    POINTERS_MAX = 127, /* in one name: it has no more labels */
};

/* Asking */

enum kbv_err kbv_dns_query_write(const struct kbv_dns_question *q, uint16_t code,
                                 struct kbv_slice option, uint8_t *out, size_t cap, size_t *len)
{
    struct kbv_writer w = kbv_writer_on(out, cap);
    size_t rdata;

    kbv_writer_u16(&w, q->id);
    kbv_writer_u16(&w, FLAG_RD);
    kbv_writer_u16(&w, 1); /* questions */
    kbv_writer_u16(&w, 0);
    kbv_writer_u16(&w, 0);
    kbv_writer_u16(&w, 1); /* OPT, RFC 6891 section 6.1.2 */
    kbv_writer_octets(&w, q->name.p, q->name.len);
    kbv_writer_u16(&w, q->type);
    kbv_writer_u16(&w, CLASS_IN);

    kbv_writer_u8(&w, 0);
    kbv_writer_u16(&w, TYPE_OPT);
    kbv_writer_u16(&w, KBV_DNS_UDP_MAX);
    kbv_writer_u32(&w, 0); /* extended RCODE, version 0, no flags */
    rdata = kbv_writer_begin16(&w);
    if (option.p) {
        size_t begun;

        kbv_writer_u16(&w, code);
        begun = kbv_writer_begin16(&w);
        kbv_writer_octets(&w, option.p, option.len);
        kbv_writer_end16(&w, begun);
    }
    kbv_writer_end16(&w, rdata);
    if (w.failed)
        return KBV_ERR_SPACE;
    *len = w.len;
    return KBV_OK;
}

/* Reading */

struct message {
    const uint8_t *p;
    size_t len;
};

struct rr {
    uint8_t name[KBV_NAME_MAX];
    size_t name_len;
    uint16_t type, class;
    uint32_t ttl;
    struct kbv_slice rdata;
};

/* Expands the name at r. A pointer must lead to before where this name, or the piece before, began,
 * so there is no loop; and there are not too many of them, so that a small message is no long work.
 */
static size_t read_name(const struct message *m, struct kbv_reader *r, uint8_t out[KBV_NAME_MAX])
{
    struct kbv_writer w = kbv_writer_on(out, KBV_NAME_MAX);
    struct kbv_reader piece = *r;
    size_t before = m->len - r->left;
    unsigned pointers = 0;
    uint8_t label;

    do {
        label = kbv_reader_u8(&piece);
        if (label >= POINTER) {
            size_t target = (size_t)(label & ~POINTER) << 8 | kbv_reader_u8(&piece);

            if (pointers == 0)
                *r = piece;
            if (piece.failed || target >= before || ++pointers > POINTERS_MAX)
                break;
            before = target;
            piece = kbv_reader_on(m->p + target, m->len - target);
        } else if (label > LABEL_MAX) {
            break;
        } else {
            struct kbv_slice text = kbv_reader_octets(&piece, label);

            kbv_writer_u8(&w, label);
            kbv_writer_octets(&w, text.p, text.len);
        }
    } while (label != 0 && !piece.failed && !w.failed);
    if (label != 0 || piece.failed || w.failed) {
        kbv_reader_fail(r);
        return 0;
    }
    if (pointers == 0)
        *r = piece;
    return w.len;
}

static bool read_rr(const struct message *m, struct kbv_reader *r, struct rr *rr)
{
    rr->name_len = read_name(m, r, rr->name);
    rr->type = kbv_reader_u16(r);
    rr->class = kbv_reader_u16(r);
    rr->ttl = kbv_reader_u32(r);
    rr->rdata = kbv_reader_octets(r, kbv_reader_u16(r));
    return !r->failed;
}

/* The first option of a kind that people read. */
static void read_ede(struct kbv_slice data, struct kbv_dns_reply *reply)
{
    struct kbv_reader r = kbv_reader_on(data.p, data.len);
    uint16_t ede = kbv_reader_u16(&r);

    if (r.failed || reply->ede != KBV_EDE_NONE)
        return;
    reply->ede = ede;
    reply->ede_text = kbv_reader_rest(&r);
}

/* Two of our option: one of them is not the resolver's. */
static bool read_options(const struct rr *opt, uint16_t code, struct kbv_dns_reply *reply)
{
    struct kbv_reader r = kbv_reader_on(opt->rdata.p, opt->rdata.len);

    while (r.left) {
        uint16_t found = kbv_reader_u16(&r);
        struct kbv_slice data = kbv_reader_octets(&r, kbv_reader_u16(&r));

        if (r.failed || (found == code && reply->option.p))
            return false;
        if (found == code)
            reply->option = data;
        else if (found == OPTION_EDE)
            read_ede(data, reply);
    }
    return !r.failed;
}

static bool read_answers(const struct message *m, struct kbv_reader *r, unsigned n,
                         const struct kbv_dns_question *q, struct kbv_dns_reply *reply)
{
    struct rr rr;

    for (; n > 0; n--) {
        if (!read_rr(m, r, &rr) || rr.type == TYPE_OPT)
            return false;
        if (rr.type != q->type || rr.class != CLASS_IN ||
            !kbv_name_equal(rr.name, rr.name_len, q->name.p, q->name.len))
            continue;
        if (reply->n < KBV_REPLY_VERDICTS_MAX)
            reply->rdata[reply->n] = rr.rdata;
        reply->n++;
    }
    return true;
}

static bool read_authority(const struct message *m, struct kbv_reader *r, unsigned n)
{
    struct rr rr;

    for (; n > 0; n--)
        if (!read_rr(m, r, &rr) || rr.type == TYPE_OPT)
            return false;
    return true;
}

static bool read_additional(const struct message *m, struct kbv_reader *r, unsigned n,
                            uint16_t code, struct kbv_dns_reply *reply)
{
    bool edns = false;
    struct rr rr;

    for (; n > 0; n--) {
        if (!read_rr(m, r, &rr))
            return false;
        if (rr.type != TYPE_OPT)
            continue;
        if (edns || rr.name_len != 1 ||
            !read_options(&rr, code, reply)) /* RFC 6891 section 6.1.1 */
            return false;
        edns = true;
        reply->rcode |= rr.ttl >> 24 << 4; /* section 6.1.3 */
    }
    return true;
}

/* Header and question. Counts of the other sections into counts. *name: as it is there. */
static bool is_reply_to(const struct kbv_dns_question *q, struct kbv_reader *r, uint16_t *flags,
                        uint16_t counts[3], struct kbv_slice *name)
{
    uint16_t id = kbv_reader_u16(r), questions;

    *flags = kbv_reader_u16(r);
    questions = kbv_reader_u16(r);
    for (int i = 0; i < 3; i++)
        counts[i] = kbv_reader_u16(r);
    if (r->failed || id != q->id || !(*flags & FLAG_QR) || *flags & OPCODE || questions != 1)
        return false;
    *name = kbv_reader_octets(r, q->name.len);
    return name->p && kbv_name_equal(name->p, name->len, q->name.p, q->name.len) &&
           kbv_reader_u16(r) == q->type && kbv_reader_u16(r) == CLASS_IN && !r->failed;
}

enum kbv_dns_result kbv_dns_reply_read(const struct kbv_dns_question *q, uint16_t code,
                                       const uint8_t *message, size_t len,
                                       struct kbv_dns_reply *reply)
{
    struct message m = {message, len};
    struct kbv_reader r = kbv_reader_on(message, len);
    struct kbv_dns_reply read = {.ede = KBV_EDE_NONE};
    uint16_t flags, counts[3];
    struct kbv_slice name;

    if (!is_reply_to(q, &r, &flags, counts, &name))
        return KBV_DNS_OTHER;
    if (memcmp(name.p, q->name.p, q->name.len) != 0)
        return KBV_DNS_OTHER_CASE;
    read.rcode = flags & RCODE;
    read.truncated = flags & FLAG_TC;
    /* What a truncated message still holds may end anywhere. */
    if (!read.truncated &&
        (!read_answers(&m, &r, counts[0], q, &read) || !read_authority(&m, &r, counts[1]) ||
         !read_additional(&m, &r, counts[2], code, &read) || !kbv_reader_done(&r)))
        return KBV_DNS_MALFORMED;
    *reply = read;
    return KBV_DNS_REPLY;
}

bool kbv_dns_txt_is_sound(struct kbv_slice rdata)
{
    struct kbv_reader r = kbv_reader_on(rdata.p, rdata.len);

    if (!r.left)
        return false;
    while (r.left)
        kbv_reader_octets(&r, kbv_reader_u8(&r));
    return !r.failed;
}
