/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One question: tries, one after the other, each with one resolver over one socket, until a verdict
 * is there, or nobody is left to ask, or the time is over. What a try needs of the network is in
 * transport.c, what it needs of DNS in dns.c; here is who is asked when, and what a reply is worth.
 */
#include <kbv/client.h>

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dns.h"
#include "lib/text.h"
#include "lib/transport.h"
#include "lib/wait.h"

enum {
    NONCE_LEN = 16,
    LENGTH_LEN = 2,
    /* Replies to something else before we take TCP, which nobody can write to from afar. */
    STRANGERS_MAX = 32,
    /* An unanswered datagram is sent again after this, and then after twice as long. */
    RESEND_MS = 500,
    DIGEST_LABEL_LEN = 53,
    REQUEST_OVERHEAD = 6, /* docs/verdict-format.md section 7.4 */
    /* Header, question, OPT and the option's head. */
    MESSAGE_OVERHEAD = KBV_DNS_HEADER_LEN + KBV_NAME_MAX + 4 + 11 + 4,
};

struct kbv_query {
    const struct kbv_client *client;
    enum kbv_ask_form form;
    struct kbv_id identifier;
    uint8_t name[KBV_NAME_MAX]; /* asked, lower case */
    size_t name_len;
    bool has_nonce;
    uint8_t nonce[NONCE_LEN];

    /* The message, length before it. Each try gives it another ID and another case. */
    uint8_t *out;
    size_t out_len;
    struct kbv_dns_question question; /* its name is in out */
    bool needs_stream;                /* no UDP for this one */

    bool started;
    int64_t end_ms, try_end_ms, resend_ms; /* monotonic */
    int resend_after_ms;
    unsigned round;
    size_t resolver; /* of the try; the next one's between tries */
    bool
        answered[KBV_RESOLVERS_MAX]; /* with something else than a verdict: not to be asked again */
    unsigned strangers;
    struct kbv_transport transport;
    uint8_t *in; /* what verdicts point into */
    struct kbv_reply reply;
    struct kbv_reply failure; /* the most telling of those so far */
};

const char *kbv_reply_outcome_text(enum kbv_reply_outcome outcome)
{
    switch (outcome) {
#define TEXT(name, text)                                                                           \
    case KBV_REPLY_##name:                                                                         \
        return text;
        KBV_REPLY_OUTCOME_TABLE(TEXT)
#undef TEXT
    }
    return "it is unknown what came of it";
}

/* Making a query */

static bool is_option_form(enum kbv_ask_form form)
{
    return form == KBV_ASK_OPTION || form == KBV_ASK_TLSA_OPTION;
}

static bool has_kbv_label(const uint8_t *name)
{
    for (; *name; name += 1 + *name)
        if (kbv_name_first_label_is(name, "_kbv"))
            return true;
    return false;
}

static bool identifier_is_sound(const struct kbv_id *id)
{
    return id->kind == KBV_ID_NONE ||
           (id->kind <= KBV_ID_DEVEUI && id->len == (id->kind == KBV_ID_NETID ? 3 : 8));
}

/* What the form cannot carry. */
static enum kbv_err check_ask(const struct kbv_ask *ask)
{
    bool digest =
        ask->material == KBV_MATERIAL_SPKI_SHA256 || ask->material == KBV_MATERIAL_CERT_SHA256;

    if ((unsigned)ask->form > KBV_ASK_TXT || !identifier_is_sound(&ask->identifier) ||
        !ask->name.p || ask->name.len == 0 ||
        kbv_name_len(ask->name.p, ask->name.len) != ask->name.len || has_kbv_label(ask->name.p))
        return KBV_ERR_FORMAT;
    if (ask->form == KBV_ASK_TLSA_OPTION && ask->identifier.kind != KBV_ID_NONE)
        return KBV_ERR_UNSUPPORTED;
    if (!is_option_form(ask->form) &&
        (ask->nonce || ask->sign || (ask->material != KBV_MATERIAL_NONE && !digest)))
        return KBV_ERR_UNSUPPORTED;
    return KBV_OK;
}

/* The request in the option, into buf. */
static enum kbv_err write_request(const struct kbv_query *q, const struct kbv_ask *ask,
                                  uint8_t *buf, size_t cap, size_t *len)
{
    struct kbv_request r = {.kind = ask->material, .material = ask->octets};

    if (ask->sign || q->client->n_keys > 0)
        r.flags |= KBV_REQUEST_SIGN;
    if (q->has_nonce)
        r.nonce = (struct kbv_slice){q->nonce, sizeof(q->nonce)};
    return kbv_request_encode(&r, buf, cap, len);
}

/* Puts a label before the name. */
static bool prepend(uint8_t name[KBV_NAME_MAX], size_t *name_len, const void *label, size_t len)
{
    if (*name_len + 1 + len > KBV_NAME_MAX)
        return false;
    memmove(name + 1 + len, name, *name_len);
    name[0] = (uint8_t)len;
    memcpy(name + 1, label, len);
    *name_len += 1 + len;
    return true;
}

/* The name in the question: digest label and _kbv where the form has them. */
static enum kbv_err write_qname(const struct kbv_query *q, const struct kbv_ask *ask,
                                uint8_t name[KBV_NAME_MAX], size_t *len)
{
    bool keyed = ask->material != KBV_MATERIAL_NONE;
    uint8_t label[DIGEST_LABEL_LEN], scratch[REQUEST_OVERHEAD + KBV_DIGEST_LEN];
    struct kbv_request r = {.kind = ask->material, .material = ask->octets};
    size_t scratch_len;

    memcpy(name, q->name, q->name_len);
    *len = q->name_len;
    if (is_option_form(ask->form) || (!keyed && ask->form == KBV_ASK_NAME))
        return KBV_OK;
    /* One set of rules for material, whatever carries it. */
    if (kbv_request_encode(&r, scratch, sizeof(scratch), &scratch_len) != KBV_OK)
        return KBV_ERR_FORMAT;
    if (!prepend(name, len, "_kbv", 4))
        return KBV_ERR_LIMIT;
    if (!keyed)
        return KBV_OK;
    kbv_digest_label_encode(ask->material == KBV_MATERIAL_SPKI_SHA256 ? 's' : 'c', ask->octets.p,
                            label);
    return prepend(name, len, label, sizeof(label)) ? KBV_OK : KBV_ERR_LIMIT;
}

static uint16_t qtype(const struct kbv_query *q)
{
    switch (q->form) {
    case KBV_ASK_TLSA_OPTION:
        return KBV_DNS_TYPE_TLSA;
    case KBV_ASK_TXT:
        return KBV_DNS_TYPE_TXT;
    default:
        return q->client->rrtype;
    }
}

static enum kbv_err write_message(struct kbv_query *q, const struct kbv_ask *ask)
{
    size_t request_cap = REQUEST_OVERHEAD + NONCE_LEN + ask->octets.len, request_len = 0, len;
    size_t cap = MESSAGE_OVERHEAD + request_cap;
    uint8_t name[KBV_NAME_MAX], *request = NULL;
    struct kbv_slice option = {NULL, 0};
    enum kbv_err err;

    if (ask->octets.len > UINT16_MAX)
        return KBV_ERR_FORMAT;
    if ((err = write_qname(q, ask, name, &q->question.name.len)) != KBV_OK)
        return err;
    q->question.name.p = name;
    q->question.type = qtype(q);
    q->out = malloc(LENGTH_LEN + cap);
    request = malloc(request_cap);
    err = q->out && request ? KBV_OK : KBV_ERR_NOMEM;
    if (err == KBV_OK && is_option_form(q->form)) {
        err = write_request(q, ask, request, request_cap, &request_len);
        option = (struct kbv_slice){request, request_len};
    }
    if (err == KBV_OK)
        err = kbv_dns_query_write(&q->question, q->client->option, option, q->out + LENGTH_LEN, cap,
                                  &len);
    free(request);
    if (err != KBV_OK)
        return err;
    q->out[0] = (uint8_t)(len >> 8);
    q->out[1] = (uint8_t)len;
    q->out_len = LENGTH_LEN + len;
    q->question.name.p = q->out + LENGTH_LEN + KBV_DNS_HEADER_LEN;
    q->needs_stream = q->has_nonce || ask->material == KBV_MATERIAL_CHAIN || len > KBV_DNS_UDP_MAX;
    return KBV_OK;
}

static enum kbv_err fill(struct kbv_query *q, const struct kbv_client *c, const struct kbv_ask *ask)
{
    q->client = c;
    q->form = ask->form;
    q->identifier = ask->identifier;
    q->name_len = ask->name.len;
    kbv_name_lower(q->name, ask->name.p, ask->name.len);
    q->has_nonce = ask->nonce;
    if (q->has_nonce && RAND_bytes(q->nonce, sizeof(q->nonce)) != 1)
        return KBV_ERR_NOMEM;
    q->in = malloc(LENGTH_LEN + KBV_TRANSPORT_MAX);
    if (!q->in)
        return KBV_ERR_NOMEM;
    kbv_transport_init(&q->transport, q->in);
    return write_message(q, ask);
}

struct kbv_query *kbv_query_create(const struct kbv_client *c, const struct kbv_ask *ask,
                                   enum kbv_err *err)
{
    struct kbv_query *q = NULL;
    enum kbv_err found = check_ask(ask);

    if (found == KBV_OK) {
        q = calloc(1, sizeof(*q));
        if (q)
            q->transport.fd = -1;
        found = q ? fill(q, c, ask) : KBV_ERR_NOMEM;
    }
    if (err)
        *err = found;
    if (found == KBV_OK)
        return q;
    kbv_query_delete(q);
    return NULL;
}

void kbv_query_delete(struct kbv_query *q)
{
    if (!q)
        return;
    kbv_transport_close(&q->transport);
    free(q->out);
    free(q->in);
    free(q);
}

/* What came of a try */

/* For one line: what is not printable, or no UTF-8, becomes '?'. */
static void set_ede(struct kbv_reply *reply, const struct kbv_dns_reply *dns)
{
    char text[KBV_REASON_MAX + 1];

    reply->ede = dns->ede;
    kbv_reason_text(dns->ede_text, text);
    snprintf(reply->ede_text, sizeof(reply->ede_text), "%s", text);
}

/* A reply without verdicts that says who was asked and how. */
static struct kbv_reply blank_reply(const struct kbv_query *q, enum kbv_reply_outcome outcome,
                                    const char *error)
{
    struct kbv_reply reply = {.outcome = outcome, .ede = KBV_EDE_NONE};
    const struct kbv_resolver *to = q->transport.to;

    if (to) {
        snprintf(reply.resolver, sizeof(reply.resolver), "%s", to->text);
        reply.tcp = q->transport.kind != KBV_TRANSPORT_UDP;
        reply.tls = q->transport.kind == KBV_TRANSPORT_TLS;
        if (to->trusted)
            reply.channel = KBV_TRUST_CHANNEL;
    }
    snprintf(reply.error, sizeof(reply.error), "%s", error);
    return reply;
}

/* Which failure tells most. */
static unsigned weight(enum kbv_reply_outcome outcome)
{
    switch (outcome) {
    case KBV_REPLY_WRONG_PIN:
        return 5;
    case KBV_REPLY_MALFORMED:
        return 4;
    case KBV_REPLY_NO_VERDICT:
        return 3;
    case KBV_REPLY_TIMEOUT:
        return 2;
    case KBV_REPLY_UNREACHABLE:
        return 1;
    default:
        return 0;
    }
}

/* The try is over without a verdict. final: this resolver need not be asked again. */
static void fail_try(struct kbv_query *q, struct kbv_reply reply, bool final)
{
    if (weight(reply.outcome) >= weight(q->failure.outcome))
        q->failure = reply;
    if (final)
        q->answered[q->resolver] = true;
    kbv_transport_close(&q->transport);
    q->resolver++;
}

static void fail_malformed(struct kbv_query *q, const char *error)
{
    fail_try(q, blank_reply(q, KBV_REPLY_MALFORMED, error), true);
}

static void finish(struct kbv_query *q, const struct kbv_reply *reply)
{
    kbv_transport_close(&q->transport);
    q->reply = *reply;
}

static bool open_try(struct kbv_query *q, enum kbv_transport_kind kind, int64_t now)
{
    const struct kbv_resolver *to = &q->client->resolvers[q->resolver];
    struct kbv_slice out = {q->out, q->out_len};

    q->strangers = 0;
    q->resend_after_ms = RESEND_MS;
    q->resend_ms = now + q->resend_after_ms;
    q->try_end_ms = now + q->client->try_timeout_ms;
    return kbv_transport_open(&q->transport, q->client, to, kind, out);
}

/* The same resolver over TCP: the answer was too long for UDP, or too many others wrote. */
static void turn_to_tcp(struct kbv_query *q, int64_t now)
{
    kbv_transport_close(&q->transport);
    if (!open_try(q, KBV_TRANSPORT_TCP, now))
        fail_try(q, blank_reply(q, KBV_REPLY_UNREACHABLE, "no TCP connection"), false);
}

static const char use_tcp[] = "use TCP";

/* The resolver has a verdict, but not over UDP (docs/verdict-format.md section 7.4). */
static bool wants_tcp(const struct kbv_verdict *v)
{
    return (v->status == KBV_STATUS_REFUSED || v->status == KBV_STATUS_LIMIT) &&
           v->reason.len == sizeof(use_tcp) - 1 &&
           memcmp(v->reason.p, use_tcp, sizeof(use_tcp) - 1) == 0;
}

/* Endpoint order: there are nine at most. */
static void insert(struct kbv_reply *reply, const struct kbv_verdict *v)
{
    size_t at = reply->n_verdicts++;

    for (; at > 0 && kbv_verdict_order(v, &reply->verdicts[at - 1]) < 0; at--)
        reply->verdicts[at] = reply->verdicts[at - 1];
    reply->verdicts[at] = *v;
}

/* Decodes what carries verdicts; false if one is malformed. */
static bool read_verdicts(const struct kbv_query *q, const struct kbv_dns_reply *dns,
                          struct kbv_reply *reply)
{
    const struct kbv_slice *all = is_option_form(q->form) ? &dns->option : dns->rdata;
    size_t n = is_option_form(q->form) ? dns->option.p != NULL : dns->n;
    struct kbv_verdict v;

    if (n > KBV_REPLY_VERDICTS_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (kbv_verdict_decode(&v, all[i].p, all[i].len) != KBV_OK)
            return false;
        insert(reply, &v);
    }
    for (size_t i = 0; i < n && q->client->n_keys > 0; i++)
        reply->signatures[i] =
            kbv_verdict_verify(&reply->verdicts[i], q->client->keys, q->client->n_keys);
    return true;
}

static bool read_txt(const struct kbv_dns_reply *dns, struct kbv_reply *reply)
{
    if (dns->n > KBV_REPLY_VERDICTS_MAX)
        return false;
    for (size_t i = 0; i < dns->n; i++) {
        if (!kbv_dns_txt_is_sound(dns->rdata[i]))
            return false;
        reply->txt[reply->n_txt++] = dns->rdata[i];
    }
    return true;
}

/* A reply to our question is here, whole. */
static void take_reply(struct kbv_query *q, const struct kbv_dns_reply *dns, int64_t now)
{
    struct kbv_reply reply = blank_reply(q, KBV_REPLY_VERDICTS, "");
    bool txt = q->form == KBV_ASK_TXT;

    reply.rcode = dns->rcode;
    set_ede(&reply, dns);
    /* Beside RRs the RCODE is NOERROR (section 7.3); beside an option it is the DNS answer's. */
    if ((is_option_form(q->form) || dns->rcode == 0) &&
        !(txt ? read_txt(dns, &reply) : read_verdicts(q, dns, &reply))) {
        fail_malformed(q, txt ? "a malformed TXT record" : "what should be a verdict is none");
        return;
    }
    if (reply.n_verdicts == 0 && reply.n_txt == 0) {
        reply.outcome = KBV_REPLY_NO_VERDICT;
        fail_try(q, reply, true);
    } else if (!reply.tcp && !txt && wants_tcp(&reply.verdicts[0])) {
        turn_to_tcp(q, now);
    } else {
        reply.outcome = txt ? KBV_REPLY_TXT : KBV_REPLY_VERDICTS;
        finish(q, &reply);
    }
}

static void take_stranger(struct kbv_query *q, int64_t now)
{
    if (++q->strangers <= STRANGERS_MAX)
        return;
    if (q->transport.kind == KBV_TRANSPORT_UDP)
        turn_to_tcp(q, now);
    else
        fail_malformed(q, "too many replies to something else");
}

static void take_message(struct kbv_query *q, int64_t now)
{
    struct kbv_slice message = kbv_transport_message(&q->transport);
    struct kbv_dns_reply dns;

    switch (kbv_dns_reply_read(&q->question, q->client->option, message.p, message.len, &dns)) {
    case KBV_DNS_OTHER_CASE:
        /* The reply is spent if a forwarder had it: it answers each question once. Over TCP there
         * is neither a forger nor anybody to be taken for. */
        if (q->transport.kind == KBV_TRANSPORT_UDP) {
            turn_to_tcp(q, now);
            break;
        }
        /* fall through */
    case KBV_DNS_OTHER:
        take_stranger(q, now);
        break;
    case KBV_DNS_MALFORMED:
        fail_malformed(q, "a malformed DNS message");
        break;
    case KBV_DNS_REPLY:
        if (!dns.truncated)
            take_reply(q, &dns, now);
        else if (q->transport.kind == KBV_TRANSPORT_UDP)
            turn_to_tcp(q, now);
        else
            fail_malformed(q, "a truncated answer over TCP");
        break;
    }
}

/* Whom to ask next */

/* A new ID and, letter by letter, a new case: more for a forger to guess. False: no random numbers.
 */
static bool disguise(struct kbv_query *q)
{
    uint8_t *name = q->out + LENGTH_LEN + KBV_DNS_HEADER_LEN;
    uint8_t bits[2 + KBV_NAME_MAX];

    if (RAND_bytes(bits, sizeof(bits)) != 1)
        return false;
    memcpy(q->out + LENGTH_LEN, bits, 2);
    q->question.id = (uint16_t)(bits[0] << 8 | bits[1]);
    /* Length octets are no letters. */
    for (size_t i = 0; i < q->question.name.len; i++)
        if ((name[i] | 0x20) >= 'a' && (name[i] | 0x20) <= 'z' && bits[2 + i] & 1)
            name[i] ^= 0x20;
    return true;
}

/* Moves q->resolver to one that may be asked; false if there is none. */
static bool choose_resolver(struct kbv_query *q)
{
    for (; q->round < q->client->attempts; q->round++) {
        for (; q->resolver < q->client->n_resolvers; q->resolver++)
            if (!q->answered[q->resolver])
                return true;
        q->resolver = 0;
    }
    return false;
}

static enum kbv_transport_kind kind_for(const struct kbv_query *q, const struct kbv_resolver *r)
{
    if (r->tls)
        return KBV_TRANSPORT_TLS;
    return r->tcp || q->needs_stream ? KBV_TRANSPORT_TCP : KBV_TRANSPORT_UDP;
}

/* Begins the next try, or ends the query. */
static void begin_try(struct kbv_query *q, int64_t now)
{
    struct kbv_reply none;

    if (!choose_resolver(q)) {
        finish(q, &q->failure);
    } else if (!disguise(q)) {
        none = blank_reply(q, KBV_REPLY_NO_MEMORY, "no random numbers");
        finish(q, &none);
    } else {
        const struct kbv_resolver *to = &q->client->resolvers[q->resolver];

        if (!open_try(q, kind_for(q, to), now))
            fail_try(q, blank_reply(q, KBV_REPLY_UNREACHABLE, "no connection"), false);
    }
}

/* Running */

static void start(struct kbv_query *q, int64_t now)
{
    q->started = true;
    q->end_ms = now + q->client->timeout_ms;
    if (q->client->n_resolvers == 0)
        q->failure = blank_reply(q, KBV_REPLY_NO_RESOLVER, "");
    else
        q->failure = blank_reply(q, KBV_REPLY_UNREACHABLE, "");
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Datagrams get lost, though not on the way to ourselves. */
static bool may_resend(const struct kbv_query *q)
{
    return q->transport.kind == KBV_TRANSPORT_UDP && !q->transport.to->loopback;
}

static void wait_for(struct kbv_query *q, int64_t now, struct kbv_wait *wait)
{
    int64_t until = earlier(q->end_ms, q->try_end_ms);

    if (may_resend(q) && now >= q->resend_ms) {
        kbv_transport_send_again(&q->transport);
        q->resend_after_ms *= 2;
        q->resend_ms = now + q->resend_after_ms;
    }
    if (may_resend(q))
        until = earlier(until, q->resend_ms);
    *wait = (struct kbv_wait){
        .fd = q->transport.fd,
        .read = q->transport.read,
        .write = q->transport.write,
        .timeout_ms = until > now ? (int)(until - now) : 0,
    };
}

static void step(struct kbv_query *q, int64_t now, bool *waits)
{
    switch (kbv_transport_step(&q->transport)) {
    case KBV_TRANSPORT_NOTHING:
    case KBV_TRANSPORT_WAIT:
        *waits = true;
        break;
    case KBV_TRANSPORT_MESSAGE:
        take_message(q, now);
        break;
    case KBV_TRANSPORT_FAILED:
        fail_try(q, blank_reply(q, KBV_REPLY_UNREACHABLE, "refused, or the connection ended"),
                 false);
        break;
    case KBV_TRANSPORT_WRONG_PIN:
        fail_try(q, blank_reply(q, KBV_REPLY_WRONG_PIN, ""), true);
        break;
    }
}

enum kbv_query_state kbv_query_run(struct kbv_query *q, struct kbv_wait *wait)
{
    int64_t now = kbv_monotonic_ms();
    bool waits = false;

    if (!q->started)
        start(q, now);
    while (q->reply.outcome == KBV_REPLY_NONE && !waits) {
        if (q->transport.state == KBV_TRANSPORT_CLOSED)
            begin_try(q, now);
        else
            step(q, now, &waits);
        if (!waits || now < earlier(q->end_ms, q->try_end_ms))
            continue;
        /* What was here in time was read first. */
        waits = false;
        fail_try(q, blank_reply(q, KBV_REPLY_TIMEOUT, ""), false);
        if (now >= q->end_ms)
            finish(q, &q->failure);
    }
    if (q->reply.outcome != KBV_REPLY_NONE)
        return KBV_QUERY_DONE;
    wait_for(q, now, wait);
    return KBV_QUERY_WAIT;
}

void kbv_query_wait(struct kbv_query *q)
{
    struct kbv_wait wait;

    while (kbv_query_run(q, &wait) == KBV_QUERY_WAIT)
        kbv_wait_poll(&wait);
}

/* Accepting */

const struct kbv_reply *kbv_query_reply(const struct kbv_query *q)
{
    return &q->reply;
}

static struct kbv_expectation expectation(const struct kbv_query *q, size_t i, int64_t now)
{
    struct kbv_expectation e = {
        .name = {q->name, q->name_len},
        .identifier = q->identifier,
        .trust = q->reply.channel,
        .signature_required = q->client->n_keys > 0,
        .now = now,
    };

    if (q->has_nonce)
        e.nonce = (struct kbv_slice){q->nonce, sizeof(q->nonce)};
    if (q->reply.signatures[i] == KBV_SIGNATURE_VALID)
        e.trust = KBV_TRUST_SIGNATURE;
    return e;
}

/* The first verdict about that host and port, else the first of all: it will be refused. */
static size_t choose_verdict(const struct kbv_reply *reply, struct kbv_slice host, uint16_t port)
{
    for (size_t i = 0; i < reply->n_verdicts; i++) {
        const struct kbv_verdict *v = &reply->verdicts[i];

        if (v->has_endpoint && v->port == port && host.p &&
            kbv_name_equal(v->target.p, v->target.len, host.p, host.len))
            return i;
    }
    return 0;
}

enum kbv_acceptance kbv_query_accept(const struct kbv_query *q, const struct kbv_peer *peer,
                                     struct kbv_slice host, uint16_t port, int64_t now,
                                     size_t *which)
{
    const struct kbv_reply *reply = &q->reply;
    struct kbv_expectation e;
    size_t i = 0;

    if (which)
        *which = KBV_REPLY_VERDICTS_MAX;
    if (reply->outcome != KBV_REPLY_VERDICTS || reply->n_verdicts == 0)
        return KBV_REFUSED_NO_VERDICT;
    if (q->identifier.kind != KBV_ID_NONE)
        i = choose_verdict(reply, host, port);
    else if (reply->n_verdicts > 1)
        return KBV_REFUSED_AMBIGUOUS;
    if (which)
        *which = i;
    e = expectation(q, i, now);
    e.peer = peer;
    e.host = host;
    e.port = port;
    return kbv_verdict_accept(&reply->verdicts[i], &e);
}

enum kbv_acceptance kbv_query_believe(const struct kbv_query *q, size_t i, int64_t now)
{
    struct kbv_expectation e;
    enum kbv_acceptance found;

    if (q->reply.outcome != KBV_REPLY_VERDICTS || i >= q->reply.n_verdicts)
        return KBV_REFUSED_NO_VERDICT;
    e = expectation(q, i, now);
    found = kbv_verdict_believe(&q->reply.verdicts[i], &e);
    /* Of one owner there is one truth: which of several, nobody can tell. */
    return found == KBV_BELIEVED && q->identifier.kind == KBV_ID_NONE && q->reply.n_verdicts > 1
               ? KBV_REFUSED_AMBIGUOUS
               : found;
}
