/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The network server's part of a LoRaWAN join, in small. It takes the join-request of a device,
 * finds the join server that the JoinEUI belongs to, and posts it a JoinReq over HTTPS (TS002,
 * LoRaWAN Backend Interfaces). The join server may belong to somebody else, with a CA of his own:
 *
 *   1. discover()      One question to the resolver about the JoinEUI. Its verdicts say where join
 *                      servers are and which keys are theirs; the way there was validated (DNSSEC).
 *   2. post_request()  libcurl connects. prepare_tls() and on_handshake() put libkbv into its TLS:
 *                      the server's key is judged in the handshake, and if it is not bound to the
 *                      server's name the handshake fails. Nothing of the request has left by then,
 *                      and not even our own certificate.
 *   3. Our certificate tells the join server who we are; see join-server.c.
 *
 *   network-server --netid 00050A --joineuis joineuis.lora-alliance.org --resolver 127.0.0.1 \
 *       --cert ns.pem --key ns.key PHYPAYLOAD
 *
 * Prints the JoinAns. Exit status: 0 the device has joined, 1 it has not.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>
#include <jansson.h>
#include <openssl/rand.h>

#include <kbv/tls.h>

#include "common.h"
#include "lorawan.h"

#define JUDGE_TIMEOUT_MS 2000L /* for the resolver */
#define POST_TIMEOUT_MS  4000L /* in all: the device listens 5 s after its request, and 6 s */

struct options {
    struct resolver_options resolver;
    const char *cert, *key; /* PEM: our certificate, and what signed it; its key */
    struct kbv_id netid;
    uint8_t suffix[KBV_NAME_MAX]; /* the zone below which JoinEUIs are names */
    size_t suffix_len;
    const char *phy_payload;
};

/* One attempt to join, at one join server. */
struct attempt {
    const struct options *options;
    const struct kbv_client *client;
    struct kbv_tls_identity server;  /* where it is, and whose keys are good */
    struct kbv_tls_judgement judged; /* what came of its key */
    bool sent;                       /* something of the request may have left */
    char answer[MESSAGE_MAX];
    size_t answer_len;
};

/* ---- 1. who answers for this JoinEUI? ---- */

static struct kbv_query *ask_once(const struct options *o, const struct kbv_client *client,
                                  const struct kbv_id *join_eui)
{
    uint8_t name[KBV_NAME_MAX];
    struct kbv_ask ask = {.form = KBV_ASK_NAME, .name = {name, 0}, .identifier = *join_eui};
    struct kbv_query *q;
    enum kbv_err err;

    err = kbv_id_to_name(join_eui, true, o->suffix, o->suffix_len, name, &ask.name.len);
    q = err == KBV_OK ? kbv_query_create(client, &ask, &err) : NULL;
    if (!q)
        die("cannot ask for the JoinEUI: %s", kbv_err_text(err));
    kbv_query_wait(q);
    return q;
}

/* The resolver's cache may give a verdict away in the last second of its life, in which it counts
 * no more: then there is a new one in the next second. */
static struct kbv_query *discover(const struct options *o, const struct kbv_client *client,
                                  const struct kbv_id *join_eui)
{
    struct kbv_query *q = ask_once(o, client, join_eui);

    if (kbv_query_reply(q)->n_verdicts > 0 &&
        kbv_query_believe(q, 0, time(NULL)) == KBV_REFUSED_EXPIRED) {
        kbv_query_delete(q);
        (void)sleep(1);
        q = ask_once(o, client, join_eui);
    }
    return q;
}

/* Why verdict i leads nowhere. */
static void say_unusable(const struct kbv_query *q, size_t i)
{
    const struct kbv_verdict *v = &kbv_query_reply(q)->verdicts[i];
    enum kbv_acceptance believed = kbv_query_believe(q, i, time(NULL));
    char owner[KBV_NAME_TEXT_MAX];

    kbv_name_to_text(v->owner.p, v->owner.len, owner);
    if (believed != KBV_BELIEVED)
        say("refused: %s: %s", owner, kbv_acceptance_text(believed));
    else
        say("refused: %s: %s%s%.*s", owner, kbv_status_name(v->status), v->reason.len ? ", " : "",
            (int)v->reason.len, (const char *)v->reason.p);
}

/* ---- 2. talk to it, and to nobody else ---- */

/* OpenSSL, at the start and at the end of each handshake: whom we expect, and who it was. */
static void on_handshake(const SSL *ssl, int where, int ret)
{
    struct attempt *a = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct kbv_tls_expected e = {.who = KBV_TLS_OWNERS,
                                 .identities = &a->server,
                                 .n_identities = 1,
                                 .timeout_ms = JUDGE_TIMEOUT_MS};

    (void)ret;
    /* If this fails, libkbv lets nobody in. */
    if (where & SSL_CB_HANDSHAKE_START)
        (void)kbv_tls_expect((SSL *)ssl, a->client, &e);
    if (where & SSL_CB_EXIT)
        a->judged = *kbv_tls_result(ssl);
}

/* libcurl: a context for TLS is ready. */
static CURLcode prepare_tls(CURL *curl, void *ctx, void *attempt)
{
    (void)curl;
    if (kbv_tls_ctx_enable(ctx) != KBV_OK)
        return CURLE_SSL_CONNECT_ERROR;
    SSL_CTX_set_app_data(ctx, attempt);
    SSL_CTX_set_info_callback(ctx, on_handshake);
    return CURLE_OK;
}

/* libcurl: connected, and about to send. A second look, as there is no way back from here. */
static int before_request(void *attempt, char *server, char *local, int port, int local_port)
{
    struct attempt *a = attempt;

    (void)server, (void)local, (void)port, (void)local_port;
    if (a->judged.acceptance != KBV_ACCEPTED)
        return CURL_PREREQFUNC_ABORT;
    a->sent = true;
    return CURL_PREREQFUNC_OK;
}

static size_t on_answer(char *octets, size_t size, size_t n, void *attempt)
{
    struct attempt *a = attempt;

    if (n > sizeof(a->answer) - a->answer_len)
        return 0; /* libcurl takes it for an error */
    memcpy(a->answer + a->answer_len, octets, size * n);
    a->answer_len += n;
    return size * n;
}

static CURLcode set_up(CURL *curl, struct attempt *a, const char *url, const char *body,
                       struct curl_slist *headers, char *error)
{
    CURLcode failed = CURLE_OK;

#define SET(option, value) failed = failed ? failed : curl_easy_setopt(curl, option, value)
    SET(CURLOPT_ERRORBUFFER, error);
    SET(CURLOPT_URL, url);
    SET(CURLOPT_POSTFIELDS, body);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_TIMEOUT_MS, POST_TIMEOUT_MS);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_WRITEFUNCTION, on_answer);
    SET(CURLOPT_WRITEDATA, a);
    SET(CURLOPT_SSLCERT, a->options->cert);
    SET(CURLOPT_SSLKEY, a->options->key);
    /* No CA is asked and no name compared by libcurl: that is libkbv's, which the resolver tells.
     * Where libcurl has another TLS than OpenSSL this option is unknown, and we stop. */
    SET(CURLOPT_SSL_CTX_FUNCTION, prepare_tls);
    SET(CURLOPT_SSL_CTX_DATA, a);
    SET(CURLOPT_SSL_VERIFYPEER, 0L);
    SET(CURLOPT_SSL_VERIFYHOST, 0L);
    SET(CURLOPT_SSL_SESSIONID_CACHE, 0L);
    SET(CURLOPT_PREREQFUNCTION, before_request);
    SET(CURLOPT_PREREQDATA, a);
#undef SET
    return failed;
}

/* The URL of the server; its host is a name in wire format. */
static void url_of(const struct kbv_tls_identity *server, char *url, size_t size)
{
    char host[KBV_NAME_TEXT_MAX];

    kbv_name_to_text(server->host.p, server->host.len, host);
    host[strlen(host) - 1] = '\0'; /* its final dot */
    (void)snprintf(url, size, "https://%s:%u/", host, server->port);
}

/* True if there is an answer in *a. */
static bool post_request(struct attempt *a, const char *body)
{
    char url[KBV_NAME_TEXT_MAX + 32], error[CURL_ERROR_SIZE] = "";
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    CURLcode code = CURLE_OUT_OF_MEMORY;
    long status = 0;

    a->judged = (struct kbv_tls_judgement){.reason = ""};
    a->answer_len = 0;
    url_of(&a->server, url, sizeof(url));
    if (curl && headers)
        code = set_up(curl, a, url, body, headers, error);
    if (code == CURLE_OK)
        code = curl_easy_perform(curl);
    if (curl)
        (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);

    if (a->judged.acceptance == KBV_ACCEPTED)
        say("accepted: %s: %s", url, a->judged.reason);
    else if (a->judged.reason[0])
        say("refused: %s: %s", url, a->judged.reason);
    if (code != CURLE_OK && (a->sent || !a->judged.reason[0]))
        say("%s: %s", url, error[0] ? error : curl_easy_strerror(code));
    if (code == CURLE_OK && status != 200)
        say("%s: HTTP status %ld", url, status);
    return code == CURLE_OK && status == 200;
}

/* ---- 3. question and answer of TS002 ---- */

static json_t *make_request(const struct options *o, const struct lorawan_join_request *r)
{
    char net_id[17], join_eui[17], dev_eui[17], dev_addr[9];
    uint32_t random[2];

    if (RAND_bytes((unsigned char *)random, sizeof(random)) != 1)
        die("no random numbers");
    kbv_id_text(&o->netid, net_id);
    kbv_id_text(&r->join_eui, join_eui);
    kbv_id_text(&r->dev_eui, dev_eui);
    (void)snprintf(dev_addr, sizeof(dev_addr), "%08X", lorawan_dev_addr(&o->netid, random[0]));
    return json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:i}", //
                     "ProtocolVersion", "1.1",                                  //
                     "SenderID", net_id,                                        //
                     "ReceiverID", join_eui,                                    //
                     "TransactionID", (json_int_t)random[1],                    //
                     "MessageType", "JoinReq",                                  //
                     "MACVersion", "1.0.4",                                     //
                     "PHYPayload", o->phy_payload,                              //
                     "DevEUI", dev_eui,                                         //
                     "DevAddr", dev_addr,                                       //
                     "DLSettings", "00",                                        //
                     "RxDelay", 1);
}

/* Is it the answer to this very request, and good? */
static bool read_answer(const struct attempt *a, const json_t *request)
{
    json_t *answer = json_loadb(a->answer, a->answer_len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *result = json_object_get(answer, "Result");
    const char *type = text_of(answer, "MessageType"), *code = text_of(result, "ResultCode");
    const char *description = text_of(result, "Description");
    bool good = false;

    if (!type || strcmp(type, "JoinAns") != 0 || !code ||
        !json_equal(json_object_get(answer, "TransactionID"),
                    json_object_get(request, "TransactionID")) ||
        !json_equal(json_object_get(answer, "SenderID"), json_object_get(request, "ReceiverID")) ||
        !json_equal(json_object_get(answer, "ReceiverID"), json_object_get(request, "SenderID")))
        say("what came back is no JoinAns to our JoinReq");
    else if (strcmp(code, "Success") != 0)
        say("the join server says %s%s%s", code, description ? ": " : "",
            description ? description : "");
    else
        good = text_of(answer, "PHYPayload") != NULL;
    if (good)
        (void)json_dumpf(answer, stdout, JSON_INDENT(2));
    json_decref(answer);
    return good;
}

/* At one join server after the other, until a request has gone out. */
static bool join_at(const struct options *o, const struct kbv_client *client,
                    const struct kbv_query *endpoints, const json_t *request)
{
    static struct attempt a;
    const struct kbv_reply *reply = kbv_query_reply(endpoints);
    char *body = json_dumps(request, JSON_COMPACT);
    bool joined = false;

    if (!body)
        die("out of memory");
    a.options = o;
    a.client = client;
    if (reply->outcome != KBV_REPLY_VERDICTS)
        say("refused: %s%s%s", kbv_reply_outcome_text(reply->outcome), reply->error[0] ? ": " : "",
            reply->error);
    for (size_t i = 0; i < reply->n_verdicts && !a.sent; i++) {
        if (kbv_tls_identity_from_verdict(&a.server, endpoints, i, time(NULL)) != KBV_OK)
            say_unusable(endpoints, i);
        else if (post_request(&a, body))
            joined = read_answer(&a, request);
    }
    free(body);
    return joined;
}

/* ---- the command line ---- */

static void read_options(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {
        RESOLVER_OPTIONS,
        {"netid", required_argument, NULL, 'n'},
        {"joineuis", required_argument, NULL, 'j'},
        {"cert", required_argument, NULL, 'c'},
        {"key", required_argument, NULL, 'k'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (read_resolver_option(&o->resolver, option, optarg))
            continue;
        if (option == 'n' && kbv_id_parse(KBV_ID_NETID, optarg, &o->netid) != KBV_OK)
            die("--netid %s: six hexadecimal digits are expected", optarg);
        else if (option == 'j' &&
                 kbv_name_from_text(optarg, true, o->suffix, &o->suffix_len) != KBV_OK)
            die("--joineuis %s: not a name", optarg);
        else if (option == 'c')
            o->cert = optarg;
        else if (option == 'k')
            o->key = optarg;
        else if (option == '?')
            exit(EXIT_FAILURE);
    }
    if (!o->netid.len || !o->suffix_len || !o->cert || !o->key || optind + 1 != argc)
        die("--netid, --joineuis, --resolver, --cert, --key, and the PHYPayload of a join-request");
    o->phy_payload = argv[optind];
}

int main(int argc, char **argv)
{
    struct options o = {.cert = NULL};
    struct lorawan_join_request r;
    struct kbv_client *client;
    struct kbv_query *endpoints;
    json_t *request;
    bool joined;

    read_options(argc, argv, &o);
    if (!lorawan_join_request_read(o.phy_payload, &r))
        die("%s: not a join-request", o.phy_payload);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        die("no libcurl");
    client = make_client(&o.resolver);
    if (kbv_client_set_timeout_ms(client, JUDGE_TIMEOUT_MS) != KBV_OK)
        die("no time-out");
    request = make_request(&o, &r);
    if (!request)
        die("out of memory");
    endpoints = discover(&o, client, &r.join_eui);
    joined = join_at(&o, client, endpoints, request);

    json_decref(request);
    kbv_query_delete(endpoints);
    kbv_client_delete(client);
    curl_global_cleanup();
    return joined ? EXIT_SUCCESS : EXIT_FAILURE;
}
