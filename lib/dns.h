/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * As much of DNS messages (RFC 1035 section 4) as asking for a verdict takes: one question with
 * EDNS (RFC 6891), and of a reply to it the answers of the name asked and one option. No I/O.
 */
#ifndef KBV_LIB_DNS_H
#define KBV_LIB_DNS_H

#include <kbv/client.h>

#define KBV_DNS_UDP_MAX    1232 /* octets that we ask for, and send, over UDP */
#define KBV_DNS_HEADER_LEN 12
#define KBV_DNS_TYPE_TXT   16
#define KBV_DNS_TYPE_TLSA  52

/* What was asked. The name has the case in which it was sent: the reply must repeat it. */
struct kbv_dns_question {
    uint16_t id, type;
    struct kbv_slice name;
};

/* Of a reply; slices point into it. */
struct kbv_dns_reply {
    unsigned rcode; /* with its extension */
    bool truncated; /* TC: nothing else but rcode is set */
    size_t n;       /* RRs of the name and type asked, of which at most KBV_REPLY_VERDICTS_MAX
                       are in rdata */
    struct kbv_slice rdata[KBV_REPLY_VERDICTS_MAX];
    struct kbv_slice option; /* of our code; p NULL: none */
    uint16_t ede;            /* the first one's, KBV_EDE_NONE: none */
    struct kbv_slice ede_text;
};

enum kbv_dns_result {
    KBV_DNS_OTHER = 0,  /* no reply to this question: somebody else's, or nobody's */
    KBV_DNS_OTHER_CASE, /* the same but for the case of letters in the name: a forger's guess, or
                           another client's reply from a forwarder that takes both questions for one
                         */
    KBV_DNS_MALFORMED,  /* to this question, but malformed behind it, or with two of our option */
    KBV_DNS_REPLY,      /* *r is set */
};

/* Writes the query: RD set, EDNS with an option of that code unless option is absent.
 * KBV_ERR_SPACE. */
enum kbv_err kbv_dns_query_write(const struct kbv_dns_question *q, uint16_t code,
                                 struct kbv_slice option, uint8_t *out, size_t cap, size_t *len);

/* Is this message the reply to q, and what does it say? ID, QR, opcode, and the question with its
 * exact octets, type and class must be those of q. Every section is walked to the last octet. */
enum kbv_dns_result kbv_dns_reply_read(const struct kbv_dns_question *q, uint16_t code,
                                       const uint8_t *message, size_t len, struct kbv_dns_reply *r);

/* True if RDATA is one or more character-strings (RFC 1035 section 3.3.14). */
bool kbv_dns_txt_is_sound(struct kbv_slice rdata);

#endif
