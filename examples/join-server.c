/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A LoRaWAN join server, in small: it answers JoinReq with JoinAns (TS002, LoRaWAN Backend
 * Interfaces) over HTTPS to network servers of others, each with a CA of his own, or with none.
 *
 * Who asks? A request names its sender: SenderID, a NetID. Anybody can write one, so:
 *
 *   1. new_connection()  In the TLS handshake the client proves to have the key of its certificate.
 *                        It does not say yet who it is, so it is judged later (KBV_TLS_LATER).
 *   2. on_request()      Now there is a SenderID. Is this very key bound to
 *                        _ns-client.<NetID>.netids.lora-alliance.org? The resolver is asked, while
 *                        other requests go on. Nothing was done for the sender so far.
 *   3. judged()          BOUND: the request is answered. Whatever else: UnknownSender, and a line
 *                        in the log that says why.
 *
 * Our own certificate is judged likewise by the network server, which found our key in the DNS
 * through the JoinEUI; see network-server.c.
 *
 *   join-server --listen 127.0.0.1:8003 --netids netids.lora-alliance.org --resolver 127.0.0.1 \
 *       --cert js.pem --key js.key --devices devices.json --partner 00050A --partner 00050B
 *
 * devices.json: [{"DevEUI": "…", "JoinEUI": "…", "AppKey": "…"}, …]. What a device has used up,
 * DevNonce and JoinNonce, is kept in memory: a real join server keeps it on disk, and keys in an
 * HSM.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <jansson.h>

#include <kbv/tls.h>

#include "common.h"
#include "lorawan.h"

#define JUDGE_TIMEOUT_MS 2000 /* for the resolver; the device listens 5 s after its request */
#define IDLE_S           5
#define HEADERS_MAX      8192
#define PARTNERS_MAX     64
#define DEVICES_MAX      1024

struct device {
    struct kbv_id dev_eui, join_eui;
    uint8_t app_key[LORAWAN_KEY_LEN];
    uint32_t join_nonce;    /* the last one given */
    int64_t last_dev_nonce; /* -1: none yet */
};

static struct server {
    struct resolver_options resolver;
    const char *listen, *cert, *key, *devices_file;
    uint8_t netids[KBV_NAME_MAX]; /* the zone below which NetIDs are names */
    size_t netids_len;
    struct kbv_id partners[PARTNERS_MAX]; /* with whom we have an agreement */
    size_t n_partners;
    struct device devices[DEVICES_MAX];
    size_t n_devices;
    struct event_base *base;
    SSL_CTX *tls;
    struct kbv_client *client;
} server = {.listen = NULL};

/* A request, from when it was read until it is answered. */
struct visit {
    struct evhttp_request *http;
    json_t *message;
    struct kbv_id sender; /* who it says it is */
    struct lorawan_join_request join;
    struct lorawan_join_accept accept; /* what the sender decides of it */
    struct kbv_tls_check *check;       /* whether it is */
    char from[64];
};

/* ---- 1. connections ---- */

/* Each connection gets TLS in which a client must present a certificate, of whatever issuer. */
static struct bufferevent *new_connection(struct event_base *base, void *arg)
{
    SSL *ssl = SSL_new(server.tls);
    struct kbv_tls_expected e = {.who = KBV_TLS_LATER};
    struct bufferevent *connection;

    (void)arg;
    if (!ssl)
        return NULL; /* then evhttp makes one without TLS: check_sender() finds no key */
    SSL_set_accept_state(ssl);
    /* If this fails, libkbv lets nobody in. */
    (void)kbv_tls_expect(ssl, server.client, &e);
    connection = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING,
                                                BEV_OPT_CLOSE_ON_FREE);
    if (!connection)
        SSL_free(ssl);
    return connection;
}

static SSL *tls_of(struct evhttp_request *http)
{
    struct evhttp_connection *c = evhttp_request_get_connection(http);

    return c ? bufferevent_openssl_get_ssl(evhttp_connection_get_bufferevent(c)) : NULL;
}

/* ---- 2. requests ---- */

static void end_visit(struct visit *v)
{
    kbv_tls_check_delete(v->check);
    json_decref(v->message);
    free(v);
}

/* What is no JSON of TS002 gets no JSON either. Ends the visit. */
static void answer_http(struct visit *v, int status, const char *reason)
{
    say("%s: HTTP %d %s", v->from, status, reason);
    evhttp_send_reply(v->http, status, reason, NULL);
    end_visit(v);
}

/* Ends the visit with a JoinAns. more: its further members, or NULL; taken over. */
static void answer(struct visit *v, const char *code, const char *description, json_t *more)
{
    char join_eui[17], net_id[17], dev_eui[17];
    struct evbuffer *body = evbuffer_new();
    json_t *message;
    char *text;

    kbv_id_text(&v->join.join_eui, join_eui);
    kbv_id_text(&v->sender, net_id);
    kbv_id_text(&v->join.dev_eui, dev_eui);
    say("%s: SenderID %s, DevEUI %s: %s%s%s", v->from, net_id, dev_eui, code,
        description ? ": " : "", description ? description : "");
    message = json_pack("{s:s, s:s, s:s, s:O, s:s, s:{s:s, s:s*}}", //
                        "ProtocolVersion", "1.1",                   //
                        "SenderID", join_eui,                       //
                        "ReceiverID", net_id,                       //
                        "TransactionID", json_object_get(v->message, "TransactionID"),
                        "MessageType", "JoinAns", //
                        "Result", "ResultCode", code, "Description", description);
    if (message && more)
        (void)json_object_update(message, more);
    text = message ? json_dumps(message, JSON_COMPACT) : NULL;
    if (text && body && evbuffer_add(body, text, strlen(text)) == 0) {
        (void)evhttp_add_header(evhttp_request_get_output_headers(v->http), "Content-Type",
                                "application/json");
        evhttp_send_reply(v->http, HTTP_OK, "OK", body);
    } else {
        evhttp_send_reply(v->http, HTTP_INTERNAL, "out of memory", NULL);
    }
    free(text);
    json_decref(message);
    json_decref(more);
    if (body)
        evbuffer_free(body);
    end_visit(v);
}

static bool is_partner(const struct kbv_id *sender)
{
    for (size_t i = 0; i < server.n_partners; i++) {
        if (id_equal(&server.partners[i], sender))
            return true;
    }
    return false;
}

/* What the network server decides: TS002's DevAddr, DLSettings, RxDelay, CFList. */
static bool read_decisions(struct visit *v)
{
    const char *cf_list = text_of(v->message, "CFList");
    const json_t *rx_delay = json_object_get(v->message, "RxDelay");
    struct lorawan_join_accept *a = &v->accept;
    uint8_t dev_addr[4];

    if (!json_is_integer(rx_delay) || json_integer_value(rx_delay) < 0 ||
        json_integer_value(rx_delay) > 15 ||
        !octets_from_hex(text_of(v->message, "DevAddr"), dev_addr, sizeof(dev_addr)) ||
        !octets_from_hex(text_of(v->message, "DLSettings"), &a->dl_settings, 1))
        return false;
    a->net_id = v->sender;
    a->rx_delay = (uint8_t)json_integer_value(rx_delay);
    a->dev_addr = (uint32_t)dev_addr[0] << 24 | (uint32_t)dev_addr[1] << 16 |
                  (uint32_t)dev_addr[2] << 8 | dev_addr[3];
    a->has_cf_list = cf_list && cf_list[0];
    return !a->has_cf_list || octets_from_hex(cf_list, a->cf_list, sizeof(a->cf_list));
}

/* NULL, or what is wrong with the message. It is only read: nobody knows yet who sent it. */
static const char *read_message(struct visit *v)
{
    struct evbuffer *body = evhttp_request_get_input_buffer(v->http);
    size_t len = evbuffer_get_length(body);
    const char *type;
    struct kbv_id receiver, dev_eui;

    v->message =
        json_loadb((const char *)evbuffer_pullup(body, -1), len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(v->message))
        return "not a JSON object";
    type = text_of(v->message, "MessageType");
    if (!type || strcmp(type, "JoinReq") != 0)
        return "not a JoinReq";
    if (!json_is_integer(json_object_get(v->message, "TransactionID")))
        return "no TransactionID";
    if (!id_of(v->message, "SenderID", KBV_ID_NETID, &v->sender))
        return "SenderID is not a NetID";
    if (!lorawan_join_request_read(text_of(v->message, "PHYPayload"), &v->join))
        return "PHYPayload is not a join-request";
    if (!id_of(v->message, "ReceiverID", KBV_ID_JOINEUI, &receiver) ||
        !id_equal(&receiver, &v->join.join_eui))
        return "ReceiverID is not the JoinEUI of PHYPayload";
    if (!id_of(v->message, "DevEUI", KBV_ID_DEVEUI, &dev_eui) ||
        !id_equal(&dev_eui, &v->join.dev_eui))
        return "DevEUI is not the one of PHYPayload";
    if (!read_decisions(v))
        return "DevAddr, DLSettings, RxDelay or CFList is wrong";
    return NULL;
}

/* Is the key of the handshake bound to the SenderID? NULL: it cannot be asked. */
static struct kbv_tls_check *check_sender(struct visit *v)
{
    uint8_t owner[KBV_NAME_MAX];
    struct kbv_tls_identity id = {.owner = {owner, 0}};
    struct kbv_tls_expected e = {.who = KBV_TLS_OWNERS,
                                 .identities = &id,
                                 .n_identities = 1,
                                 .timeout_ms = JUDGE_TIMEOUT_MS};

    if (kbv_tls_owner_from_netid(&v->sender, server.netids, server.netids_len, owner,
                                 &id.owner.len) != KBV_OK)
        return NULL;
    return kbv_tls_check_create(server.client, &e, tls_of(v->http), NULL);
}

static void judged(struct visit *v);

/* Goes on with the question; while the resolver is waited for the event loop serves others. */
static void go_on(evutil_socket_t fd, short what, void *arg)
{
    struct visit *v = arg;
    struct kbv_wait wait;
    struct timeval time;

    (void)fd, (void)what;
    if (kbv_tls_check_run(v->check, &wait) == KBV_QUERY_DONE) {
        judged(v);
        return;
    }
    time.tv_sec = wait.timeout_ms / 1000;
    time.tv_usec = wait.timeout_ms % 1000 * 1000;
    if (event_base_once(server.base, wait.fd,
                        (short)(EV_TIMEOUT | (wait.fd >= 0 && wait.read ? EV_READ : 0) |
                                (wait.fd >= 0 && wait.write ? EV_WRITE : 0)),
                        go_on, v, &time) != 0)
        answer(v, "UnknownSender", "out of memory", NULL);
}

static void on_request(struct evhttp_request *http, void *arg)
{
    struct visit *v = calloc(1, sizeof(*v));
    const char *wrong, *address = "?";
    uint16_t port = 0;

    (void)arg;
    if (!v) {
        evhttp_send_reply(http, HTTP_INTERNAL, "out of memory", NULL);
        return;
    }
    v->http = http;
    evhttp_connection_get_peer(evhttp_request_get_connection(http), (char **)&address, &port);
    (void)evutil_snprintf(v->from, sizeof(v->from), "%s:%u", address, port);
    wrong = read_message(v);
    if (wrong) {
        answer_http(v, HTTP_BADREQUEST, wrong);
        return;
    }
    if (!is_partner(&v->sender)) {
        answer(v, "UnknownSender", "no agreement with this NetID", NULL);
        return;
    }
    v->check = check_sender(v);
    if (v->check)
        go_on(-1, 0, v);
    else
        answer(v, "UnknownSender", "no key was proved", NULL);
}

/* ---- 3. the join ---- */

static struct device *find_device(const struct lorawan_join_request *r)
{
    for (size_t i = 0; i < server.n_devices; i++) {
        struct device *d = &server.devices[i];

        if (id_equal(&d->dev_eui, &r->dev_eui) && id_equal(&d->join_eui, &r->join_eui))
            return d;
    }
    return NULL;
}

/* The members of a JoinAns that has gone well; NULL: they could not be made. A KeyEnvelope without
 * KEK: the keys travel in TLS, between two keys that were judged. */
static json_t *make_accept(const struct device *d, const struct lorawan_join_accept *a,
                           uint16_t dev_nonce)
{
    uint8_t phy[LORAWAN_JOIN_ACCEPT_MAX], nwk[LORAWAN_KEY_LEN], app[LORAWAN_KEY_LEN];
    char phy_hex[2 * sizeof(phy) + 1], nwk_hex[2 * sizeof(nwk) + 1], app_hex[2 * sizeof(app) + 1];
    size_t len = lorawan_join_accept_write(a, d->app_key, phy);

    if (len == 0 || !lorawan_session_key(LORAWAN_NWK_S_KEY, a, dev_nonce, d->app_key, nwk) ||
        !lorawan_session_key(LORAWAN_APP_S_KEY, a, dev_nonce, d->app_key, app))
        return NULL;
    hex_from_octets(phy, len, phy_hex);
    hex_from_octets(nwk, sizeof(nwk), nwk_hex);
    hex_from_octets(app, sizeof(app), app_hex);
    return json_pack("{s:s, s:i, s:{s:s, s:s}, s:{s:s, s:s}}",     //
                     "PHYPayload", phy_hex,                        //
                     "Lifetime", 0,                                //
                     "NwkSKey", "KEKLabel", "", "AESKey", nwk_hex, //
                     "AppSKey", "KEKLabel", "", "AESKey", app_hex);
}

static void join(struct visit *v)
{
    struct device *d = find_device(&v->join);
    json_t *accept;

    if (!d) {
        answer(v, "UnknownDevEUI", NULL, NULL);
    } else if (!lorawan_join_request_is_genuine(&v->join, d->app_key)) {
        answer(v, "MICFailed", NULL, NULL);
    } else if (v->join.dev_nonce <= d->last_dev_nonce) {
        answer(v, "FrameReplayed", "the DevNonce was used before", NULL);
    } else if (d->join_nonce >= 0xFFFFFF) {
        answer(v, "JoinReqFailed", "all JoinNonces of this device are used", NULL);
    } else {
        d->last_dev_nonce = v->join.dev_nonce;
        v->accept.join_nonce = ++d->join_nonce;
        accept = make_accept(d, &v->accept, v->join.dev_nonce);
        if (accept)
            answer(v, "Success", NULL, accept);
        else
            answer(v, "JoinReqFailed", "out of memory", NULL);
    }
}

static void judged(struct visit *v)
{
    const struct kbv_tls_judgement *r = kbv_tls_check_result(v->check);

    say("%s: %s: %s", v->from, r->acceptance == KBV_ACCEPTED ? "accepted" : "refused", r->reason);
    if (r->acceptance == KBV_ACCEPTED)
        join(v);
    else
        answer(v, "UnknownSender", "the key of the TLS client is not bound to this SenderID", NULL);
}

/* ---- setting up ---- */

static void read_devices(void)
{
    json_error_t error;
    json_t *list = json_load_file(server.devices_file, JSON_REJECT_DUPLICATES, &error), *row;
    size_t i;

    if (!json_is_array(list) || json_array_size(list) > DEVICES_MAX)
        die("%s: %s", server.devices_file, list ? "not a list of devices" : error.text);
    json_array_foreach(list, i, row)
    {
        struct device *d = &server.devices[i];

        *d = (struct device){.last_dev_nonce = -1};
        if (!id_of(row, "DevEUI", KBV_ID_DEVEUI, &d->dev_eui) ||
            !id_of(row, "JoinEUI", KBV_ID_JOINEUI, &d->join_eui) ||
            !octets_from_hex(text_of(row, "AppKey"), d->app_key, sizeof(d->app_key)))
            die("%s: device %zu: DevEUI, JoinEUI and AppKey are expected", server.devices_file,
                i + 1);
    }
    server.n_devices = json_array_size(list);
    json_decref(list);
}

static void read_options(int argc, char **argv)
{
    static const struct option known[] = {
        RESOLVER_OPTIONS,
        {"listen", required_argument, NULL, 'l'},
        {"netids", required_argument, NULL, 'n'},
        {"cert", required_argument, NULL, 'c'},
        {"key", required_argument, NULL, 'k'},
        {"devices", required_argument, NULL, 'd'},
        {"partner", required_argument, NULL, 'p'},
        {NULL, 0, NULL, 0},
    };
    const char **texts[] = {['l'] = &server.listen,
                            ['c'] = &server.cert,
                            ['k'] = &server.key,
                            ['d'] = &server.devices_file};
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (read_resolver_option(&server.resolver, option, optarg))
            continue;
        if (option == '?')
            exit(EXIT_FAILURE);
        if (option == 'n' &&
            kbv_name_from_text(optarg, true, server.netids, &server.netids_len) != KBV_OK)
            die("--netids %s: not a name", optarg);
        if (option == 'p' &&
            (server.n_partners == PARTNERS_MAX ||
             kbv_id_parse(KBV_ID_NETID, optarg, &server.partners[server.n_partners++]) != KBV_OK))
            die("--partner %s: a NetID is expected, and not more than %d", optarg, PARTNERS_MAX);
        if (option != 'n' && option != 'p')
            *texts[option] = optarg;
    }
    if (!server.listen || !server.netids_len || !server.cert || !server.key ||
        !server.devices_file || optind != argc)
        die("--listen, --netids, --resolver, --cert, --key, --devices and --partner");
}

static void make_tls(void)
{
    server.tls = SSL_CTX_new(TLS_server_method());
    if (!server.tls || kbv_tls_ctx_enable(server.tls) != KBV_OK)
        die("no TLS");
    if (SSL_CTX_use_certificate_chain_file(server.tls, server.cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(server.tls, server.key, SSL_FILETYPE_PEM) != 1)
        die("--cert %s, --key %s: not a certificate and its key", server.cert, server.key);
}

static struct evhttp *make_http(void)
{
    struct sockaddr_storage address;
    int len = sizeof(address);
    struct evhttp *http = evhttp_new(server.base);
    struct evconnlistener *listener;

    if (!http || evutil_parse_sockaddr_port(server.listen, (struct sockaddr *)&address, &len) != 0)
        die("--listen %s: ADDR:PORT or [ADDR]:PORT is expected", server.listen);
    listener =
        evconnlistener_new_bind(server.base, NULL, NULL, LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_FREE,
                                -1, (struct sockaddr *)&address, len);
    if (!listener || !evhttp_bind_listener(http, listener))
        die("--listen %s: %s", server.listen, strerror(errno));
    evhttp_set_bevcb(http, new_connection, NULL);
    evhttp_set_gencb(http, on_request, NULL);
    evhttp_set_allowed_methods(http, EVHTTP_REQ_POST);
    evhttp_set_max_headers_size(http, HEADERS_MAX);
    evhttp_set_max_body_size(http, MESSAGE_MAX);
    evhttp_set_timeout(http, IDLE_S);
    return http;
}

static void on_signal(evutil_socket_t number, short what, void *base)
{
    (void)number, (void)what;
    (void)event_base_loopbreak(base);
}

int main(int argc, char **argv)
{
    struct evhttp *http;
    struct event *terminate, *interrupt;

    read_options(argc, argv);
    read_devices();
    (void)signal(SIGPIPE, SIG_IGN);
    server.client = make_client(&server.resolver);
    server.base = event_base_new();
    if (!server.base)
        die("out of memory");
    make_tls();
    http = make_http();
    terminate = evsignal_new(server.base, SIGTERM, on_signal, server.base);
    interrupt = evsignal_new(server.base, SIGINT, on_signal, server.base);
    if (!terminate || !interrupt || evsignal_add(terminate, NULL) || evsignal_add(interrupt, NULL))
        die("out of memory");
    say("listening on %s", server.listen);
    (void)event_base_dispatch(server.base);

    event_free(terminate);
    event_free(interrupt);
    evhttp_free(http);
    event_base_free(server.base);
    SSL_CTX_free(server.tls);
    kbv_client_delete(server.client);
    return EXIT_SUCCESS;
}
