/* SPDX-License-Identifier: BSD-3-Clause */
/* Replies of a resolver. The input is taken as the reply to the very question that it repeats. */
#include "lib/dns.h"

#include <string.h>

#include "tests/fuzz/require.h"

static int is_within(struct kbv_slice s, const uint8_t *data, size_t len)
{
    return s.p >= data && s.p <= data + len && s.len <= (size_t)(data + len - s.p);
}

/* The question in data; the root's if there is none. */
static struct kbv_dns_question question_in(const uint8_t *data, size_t len)
{
    static const uint8_t root[1];
    struct kbv_dns_question q = {0, KBV_RRTYPE_DEFAULT, {root, 1}};
    size_t name_len = len > KBV_DNS_HEADER_LEN
                          ? kbv_name_len(data + KBV_DNS_HEADER_LEN, len - KBV_DNS_HEADER_LEN)
                          : 0;

    if (len >= 2)
        q.id = (uint16_t)(data[0] << 8 | data[1]);
    if (name_len == 0)
        return q;
    q.name = (struct kbv_slice){data + KBV_DNS_HEADER_LEN, name_len};
    if (KBV_DNS_HEADER_LEN + name_len + 2 <= len)
        q.type = (uint16_t)(q.name.p[name_len] << 8 | q.name.p[name_len + 1]);
    return q;
}

static void check_reply(const struct kbv_dns_reply *r, const uint8_t *data, size_t len)
{
    size_t n = r->n < KBV_REPLY_VERDICTS_MAX ? r->n : KBV_REPLY_VERDICTS_MAX;
    struct kbv_verdict v;

    REQUIRE(r->rcode < 4096 && r->n <= len / 11);
    REQUIRE(!r->truncated || (r->n == 0 && !r->option.p && r->ede == KBV_EDE_NONE));
    for (size_t i = 0; i < n; i++) {
        REQUIRE(is_within(r->rdata[i], data, len));
        kbv_verdict_decode(&v, r->rdata[i].p, r->rdata[i].len);
        kbv_dns_txt_is_sound(r->rdata[i]);
    }
    if (r->option.p) {
        REQUIRE(is_within(r->option, data, len));
        kbv_verdict_decode(&v, r->option.p, r->option.len);
    }
    if (r->ede != KBV_EDE_NONE)
        REQUIRE(is_within(r->ede_text, data, len));
}

/* One letter of the name in the other case is another question (0x20 encoding); no letter, none. */
static void check_other_case(const struct kbv_dns_question *q, const uint8_t *data, size_t len)
{
    struct kbv_dns_question other = *q;
    struct kbv_dns_reply r;
    uint8_t name[KBV_NAME_MAX];
    size_t at = 0;

    memcpy(name, q->name.p, q->name.len);
    while (at < q->name.len && !((name[at] | 0x20) >= 'a' && (name[at] | 0x20) <= 'z'))
        at++;
    if (at == q->name.len) /* length octets are below the letters */
        return;
    name[at] ^= 0x20;
    other.name.p = name;
    REQUIRE(kbv_dns_reply_read(&other, KBV_EDNS_OPTION_DEFAULT, data, len, &r) ==
            KBV_DNS_OTHER_CASE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct kbv_dns_question q = question_in(data, len);
    struct kbv_dns_reply r;

    memset(&r, 0x55, sizeof(r));
    if (kbv_dns_reply_read(&q, KBV_EDNS_OPTION_DEFAULT, data, len, &r) != KBV_DNS_REPLY) {
        for (size_t i = 0; i < sizeof(r); i++)
            REQUIRE(((const uint8_t *)&r)[i] == 0x55);
        return 0;
    }
    check_reply(&r, data, len);
    check_other_case(&q, data, len);
    /* Nobody else's question is answered by it. */
    q.id ^= 1;
    REQUIRE(kbv_dns_reply_read(&q, KBV_EDNS_OPTION_DEFAULT, data, len, &r) == KBV_DNS_OTHER);
    return 0;
}
