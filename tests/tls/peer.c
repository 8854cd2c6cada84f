/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * peer client|server ADDR PORT [KEY=VALUE]…: one side of TLS connections, judged by libkbv, for the
 * tests beside it. Prints one JSON object a connection. peer version: OpenSSL's.
 *
 *   resolver=ADDR[@PORT] trust=yes timeout=MS    whom to ask; trust: it is a loopback address of
 * ours owner=NAME (repeatable) who=owners|self|later|nobody pins=NAME          ask for its verdict
 * first, and use that as pins of the first owner joineui=EUI suffix=NAME    ask for it first; the
 * endpoint with this PORT is who we expect netid-suffix=NAME  with who=later: the line received is
 * a SenderID cert=FILE key=FILE  chain and key of ours; raw=yes: raw public keys tls=1.2|1.3
 * ciphers=LIST  sni=HOST mode=callback|wait|loop    SSL_connect() and the like;
 * kbv_tls_handshake_wait(); an event loop n=COUNT            connections, in an event loop all at
 * once; limit=MS: for all of them send=TEXT          what a client sends, or a server answers with
 *   again=yes          a client: once more, with the session of the first connection
 *   eager=yes          a server: tries to read and write while it waits
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>

#include <kbv/tls.h>

enum { CONNECTIONS_MAX = 1000, LINE_MAX_OCTETS = 4096, OWNERS_MAX = 20 };

static const char *const *words;
static bool is_server;
static struct kbv_client *client;
static struct kbv_tls_expected expected;
static struct kbv_tls_identity identities[OWNERS_MAX];
static uint8_t owners[OWNERS_MAX][KBV_NAME_MAX];
static struct kbv_query *pins;
static SSL_CTX *ctx;
static SSL_SESSION *session;

static void die(const char *what)
{
    fprintf(stderr, "peer: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(70);
}

/* The n-th VALUE of KEY=VALUE, or otherwise. */
static const char *nth(const char *key, size_t n, const char *otherwise)
{
    size_t len = strlen(key);

    for (const char *const *w = words; *w; w++) {
        if (strncmp(*w, key, len) == 0 && (*w)[len] == '=' && n-- == 0)
            return *w + len + 1;
    }
    return otherwise;
}

static const char *option(const char *key, const char *otherwise)
{
    return nth(key, 0, otherwise);
}

static bool is(const char *key, const char *value)
{
    return strcmp(option(key, ""), value) == 0;
}

static struct kbv_slice name_of(const char *text, uint8_t out[KBV_NAME_MAX])
{
    size_t len;

    if (kbv_name_from_text(text, true, out, &len) != KBV_OK)
        die("not a name");
    return (struct kbv_slice){out, len};
}

/* ---- what is expected ---- */

static void set_client(void)
{
    unsigned flags = is("trust", "yes") ? KBV_RESOLVER_TRUST_LOOPBACK : 0;
    const char *resolver;

    client = kbv_client_create();
    if (!client)
        die("no memory");
    for (size_t i = 0; (resolver = nth("resolver", i, NULL)) != NULL; i++) {
        if (kbv_client_add_resolver(client, resolver, flags, NULL) != KBV_OK)
            die("no resolver");
    }
    if (kbv_client_set_timeout_ms(client, atoi(option("timeout", "5000"))) != KBV_OK)
        die("no time-out");
}

/* An identifier's endpoint at this port, as a network server finds its join server. */
static void expect_endpoint(const char *eui, uint16_t port)
{
    static uint8_t suffix[KBV_NAME_MAX], name[KBV_NAME_MAX];
    struct kbv_slice below = name_of(option("suffix", "."), suffix);
    struct kbv_ask ask = {.form = KBV_ASK_NAME};
    const struct kbv_reply *reply;
    size_t len;

    if (kbv_id_parse(KBV_ID_JOINEUI, eui, &ask.identifier) != KBV_OK ||
        kbv_id_to_name(&ask.identifier, true, below.p, below.len, name, &len) != KBV_OK)
        die("no JoinEUI");
    ask.name = (struct kbv_slice){name, len};
    pins = kbv_query_create(client, &ask, NULL);
    if (!pins)
        die("no question");
    kbv_query_wait(pins);
    reply = kbv_query_reply(pins);
    for (size_t i = 0; i < reply->n_verdicts; i++) {
        if (reply->verdicts[i].port == port &&
            kbv_tls_identity_from_verdict(&identities[0], pins, i, time(NULL)) == KBV_OK)
            expected.n_identities = 1;
    }
    if (expected.n_identities == 0)
        die("no endpoint");
    if (is("nopins", "yes"))
        identities[0].pins = NULL;
}

static void set_pins(const char *text)
{
    uint8_t name[KBV_NAME_MAX];
    struct kbv_ask ask = {.form = KBV_ASK_NAME, .name = name_of(text, name)};

    pins = kbv_query_create(client, &ask, NULL);
    if (!pins)
        die("no question");
    kbv_query_wait(pins);
    identities[0].pins = pins;
    sleep((unsigned)atoi(option("nap", "0")));
}

static void set_expected(uint16_t port)
{
    const char *owner;

    for (; (owner = nth("owner", expected.n_identities, NULL)) != NULL; expected.n_identities++)
        identities[expected.n_identities].owner = name_of(owner, owners[expected.n_identities]);
    if (option("joineui", NULL))
        expect_endpoint(option("joineui", NULL), port);
    if (option("pins", NULL))
        set_pins(option("pins", NULL));
    expected.identities = identities;
    expected.who = is("who", "self")     ? KBV_TLS_SELF_NAMED
                   : is("who", "later")  ? KBV_TLS_LATER
                   : is("who", "nobody") ? KBV_TLS_NOBODY
                                         : KBV_TLS_OWNERS;
    expected.timeout_ms = atoi(option("limit", "0"));
}

static void set_context(void)
{
    int version = is("tls", "1.2") ? TLS1_2_VERSION : is("tls", "1.3") ? TLS1_3_VERSION : 0;
    const char *cert = option("cert", NULL);

    ctx = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    if (!ctx || kbv_tls_ctx_enable(ctx) != KBV_OK)
        die("no context");
    if (is("raw", "yes") && !kbv_tls_ctx_enable_raw_keys(ctx))
        die("no raw public keys");
    if (version && (!SSL_CTX_set_min_proto_version(ctx, version) ||
                    !SSL_CTX_set_max_proto_version(ctx, version)))
        die("no such version");
    if (option("ciphers", NULL) && !SSL_CTX_set_cipher_list(ctx, option("ciphers", NULL)))
        die("no such ciphers");
    if (cert && (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
                 SSL_CTX_use_PrivateKey_file(ctx, option("key", ""), SSL_FILETYPE_PEM) != 1))
        die("no certificate");
}

/* ---- one connection ---- */

struct connection {
    int fd;
    SSL *ssl;
    enum { SHAKING, TALKING, CHECKING, OVER } phase;
    enum kbv_tls_state state;
    char received[LINE_MAX_OCTETS];
    size_t n_received;
    bool sent, early; /* early: something went through before the peer was accepted */
    struct kbv_tls_check *check;
};

static void print_text(const char *key, const char *text)
{
    printf("\"%s\": \"", key);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else if ((unsigned char)*text < ' ')
            printf("\\u%04x", (unsigned)*text);
        else
            putchar(*text);
    }
    printf("\", ");
}

static void report(struct connection *c)
{
    static const char *const states[] = {"REFUSED", "WAIT", "ACCEPTED", "UNJUDGED", "FAILED"};
    const struct kbv_tls_judgement *r =
        c->check ? kbv_tls_check_result(c->check) : kbv_tls_result(c->ssl);
    char owner[KBV_NAME_TEXT_MAX] = "", error[256] = "";
    const char *data = "", *sni = SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name);
    unsigned long code = ERR_peek_error_all(NULL, NULL, NULL, &data, NULL);

    if (r->owner_len > 0)
        kbv_name_to_text(r->owner, r->owner_len, owner);
    if (code)
        ERR_error_string_n(code, error, sizeof(error));
    printf("{");
    print_text("state", states[c->state]);
    print_text("status", r->status ? kbv_status_name(r->status) : "");
    print_text("owner", owner);
    print_text("reason", r->reason);
    print_text("received", c->received);
    print_text("version", SSL_get_version(c->ssl));
    print_text("sni", sni ? sni : "");
    print_text("error", error);
    print_text("error_data", data);
    print_text("verify", X509_verify_cert_error_string(SSL_get_verify_result(c->ssl)));
    printf("\"accepted\": %s, \"judged\": %s, \"by_pins\": %s, \"by_chain\": %s, \"early\": %s, "
           "\"life\": %ld}\n",
           kbv_tls_accepted(c->ssl) ? "true" : "false",
           r->acceptance == KBV_ACCEPTED ? "true" : "false", r->by_pins ? "true" : "false",
           r->keyed_by_chain ? "true" : "false", c->early ? "true" : "false",
           r->not_after ? (long)(r->not_after - (int64_t)time(NULL)) : 0L);
    fflush(stdout);
}

static void finish(struct connection *c)
{
    report(c);
    if (c->state == KBV_TLS_ACCEPTED && is("again", "yes") && !session)
        session = SSL_get1_session(c->ssl);
    if (c->state == KBV_TLS_ACCEPTED || c->state == KBV_TLS_UNJUDGED)
        (void)SSL_shutdown(c->ssl);
    kbv_tls_check_delete(c->check);
    SSL_free(c->ssl);
    close(c->fd);
    c->phase = OVER;
}

static void begin(struct connection *c, int fd)
{
    uint8_t host[KBV_NAME_MAX];

    memset(c, 0, sizeof(*c));
    c->fd = fd;
    c->ssl = SSL_new(ctx);
    if (!c->ssl || SSL_set_fd(c->ssl, fd) != 1)
        die("no connection");
    if (is_server)
        SSL_set_accept_state(c->ssl);
    else
        SSL_set_connect_state(c->ssl);
    if (option("sni", NULL) &&
        kbv_tls_set_sni(c->ssl, name_of(option("sni", NULL), host)) != KBV_OK)
        die("no server name");
    if (!is("who", "nothing") && kbv_tls_expect(c->ssl, client, &expected) != KBV_OK)
        die("nobody can be expected");
    if (session && SSL_set_session(c->ssl, session) != 1)
        die("no session");
}

/* Who the client says it is, once it has said so: TS002's SenderID. */
static void begin_check(struct connection *c)
{
    struct kbv_id netid;
    uint8_t suffix[KBV_NAME_MAX], owner[KBV_NAME_MAX];
    struct kbv_slice below = name_of(option("netid-suffix", "."), suffix);
    struct kbv_tls_identity id = {.pins = NULL};
    struct kbv_tls_expected e = {.who = KBV_TLS_OWNERS, .identities = &id, .n_identities = 1};

    c->received[strcspn(c->received, "\r\n")] = '\0';
    if (kbv_id_parse(KBV_ID_NETID, c->received, &netid) != KBV_OK ||
        kbv_tls_owner_from_netid(&netid, below.p, below.len, owner, &id.owner.len) != KBV_OK)
        die("no SenderID");
    id.owner.p = owner;
    c->check = kbv_tls_check_create(client, &e, c->ssl, NULL);
    if (!c->check)
        die("no check");
}

static void answer(struct connection *c)
{
    const char *text = option("send", is_server ? "welcome\n" : "hello\n");

    if (!c->sent && SSL_write(c->ssl, text, (int)strlen(text)) > 0)
        c->sent = true;
}

/* A line, or all of an HTTP request; a response ends with the connection. */
static bool is_whole(const char *text)
{
    if (strncmp(text, "GET ", 4) == 0)
        return strstr(text, "\r\n\r\n") != NULL;
    return strncmp(text, "HTTP/", 5) != 0 && strchr(text, '\n');
}

/* Reads what there is. True: enough, or no more will come. */
static bool hear(struct connection *c, struct kbv_wait *wait)
{
    while (c->n_received < sizeof(c->received) - 1) {
        int n = SSL_read(c->ssl, c->received + c->n_received,
                         (int)(sizeof(c->received) - 1 - c->n_received));

        if (n <= 0) {
            if (SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_READ)
                return true;
            *wait = (struct kbv_wait){.fd = c->fd, .read = true, .timeout_ms = -1};
            return false;
        }
        c->n_received += (size_t)n;
        if (is_whole(c->received))
            return true;
    }
    return true;
}

/* A program that does not wait for the judgement. */
static void be_eager(struct connection *c)
{
    char octet;

    if (SSL_write(c->ssl, "leak\n", 5) > 0 || SSL_read(c->ssl, &octet, 1) > 0)
        c->early = true;
    ERR_clear_error();
}

/* Goes on as far as possible; *wait is set unless it is over. */
static void step(struct connection *c, struct kbv_wait *wait)
{
    if (c->phase == SHAKING) {
        c->state = kbv_tls_handshake(c->ssl, wait);
        if (c->state == KBV_TLS_WAIT) {
            if (is("eager", "yes"))
                be_eager(c);
            return;
        }
        if (c->state != KBV_TLS_ACCEPTED && c->state != KBV_TLS_UNJUDGED) {
            finish(c);
            return;
        }
        c->phase = TALKING;
        if (!is_server)
            answer(c);
    }
    if (c->phase == TALKING) {
        if (!hear(c, wait))
            return;
        if (c->state == KBV_TLS_UNJUDGED) {
            begin_check(c);
            c->phase = CHECKING;
        }
    }
    if (c->phase == CHECKING) {
        if (kbv_tls_check_run(c->check, wait) == KBV_QUERY_WAIT)
            return;
        if (kbv_tls_check_result(c->check)->acceptance != KBV_ACCEPTED) {
            finish(c);
            return;
        }
    }
    if (is_server)
        answer(c);
    finish(c);
}

/* ---- many ---- */

static struct sockaddr_in address_of(const char *address, uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

    if (inet_pton(AF_INET, address, &a.sin_addr) != 1)
        die("no address");
    return a;
}

static int socket_of(bool listening, const struct sockaddr_in *a)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)
        die("no socket");
    if (listening &&
        (bind(fd, (const struct sockaddr *)a, sizeof(*a)) != 0 || listen(fd, CONNECTIONS_MAX) != 0))
        die("cannot listen");
    if (!listening && connect(fd, (const struct sockaddr *)a, sizeof(*a)) != 0)
        die("cannot connect");
    return fd;
}

static void one_after_the_other(int listener, const struct sockaddr_in *a, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct connection c;
        struct kbv_wait wait;
        int fd = is_server ? accept(listener, NULL, NULL) : socket_of(false, a);

        if (fd < 0)
            die("nobody came");
        begin(&c, fd);
        if (is("mode", "wait")) {
            c.state = kbv_tls_handshake_wait(c.ssl);
        } else {
            int done = SSL_do_handshake(c.ssl);

            c.state = done == 1 && kbv_tls_accepted(c.ssl) ? KBV_TLS_ACCEPTED : KBV_TLS_REFUSED;
            if (done == 1 && expected.who == KBV_TLS_LATER)
                c.state = KBV_TLS_UNJUDGED;
        }
        if (c.state != KBV_TLS_ACCEPTED && c.state != KBV_TLS_UNJUDGED) {
            finish(&c);
            continue;
        }
        c.phase = TALKING;
        if (!is_server)
            answer(&c);
        while (c.phase != OVER)
            step(&c, &wait);
    }
}

static struct connection connections[CONNECTIONS_MAX];
static struct kbv_wait waits[CONNECTIONS_MAX];

/* Begins connection i; true if it is over already. */
static bool start(size_t i, int fd)
{
    if (fd < 0)
        die("nobody came");
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    begin(&connections[i], fd);
    step(&connections[i], &waits[i]);
    return connections[i].phase == OVER;
}

/* Waits until one of them, or the listener, can go on. */
static void wait_for_any(struct pollfd *fds, size_t n)
{
    int timeout_ms = -1;

    for (size_t i = 0; i < n; i++) {
        const struct kbv_wait *w = &waits[i];

        fds[i] = (struct pollfd){.fd = -1};
        if (connections[i].phase == OVER)
            continue;
        fds[i].fd = w->fd;
        fds[i].events = (short)((w->read ? POLLIN : 0) | (w->write ? POLLOUT : 0));
        if (w->timeout_ms >= 0 && (timeout_ms < 0 || w->timeout_ms < timeout_ms))
            timeout_ms = w->timeout_ms;
    }
    (void)poll(fds, n + 1, timeout_ms);
}

static void all_at_once(int listener, const struct sockaddr_in *a, size_t n)
{
    static struct pollfd fds[CONNECTIONS_MAX + 1];
    size_t begun = 0, over = 0;

    for (; !is_server && begun < n; begun++)
        over += start(begun, socket_of(false, a));
    while (over < n) {
        fds[begun] = (struct pollfd){.fd = begun < n ? listener : -1, .events = POLLIN};
        wait_for_any(fds, begun);
        /* Whoever waits for a time may be run too early: that is allowed. */
        for (size_t i = 0; i < begun; i++) {
            if (connections[i].phase == OVER || (!fds[i].revents && waits[i].timeout_ms < 0))
                continue;
            step(&connections[i], &waits[i]);
            over += connections[i].phase == OVER;
        }
        if (fds[begun].revents) {
            over += start(begun, accept(listener, NULL, NULL));
            begun++;
        }
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in a;
    size_t n;
    int listener = -1;

    if (argc == 2 && strcmp(argv[1], "version") == 0) {
        puts(OpenSSL_version(OPENSSL_VERSION_STRING));
        return 0;
    }
    if (argc < 4)
        die("peer client|server ADDR PORT [KEY=VALUE]…");
    (void)signal(SIGPIPE, SIG_IGN);
    is_server = strcmp(argv[1], "server") == 0;
    words = (const char *const *)argv + 4;
    a = address_of(argv[2], (uint16_t)atoi(argv[3]));
    n = (size_t)atoi(option("n", is("again", "yes") ? "2" : "1"));
    if (n > CONNECTIONS_MAX)
        die("too many");
    set_client();
    set_expected((uint16_t)atoi(argv[3]));
    set_context();
    if (is_server) {
        listener = socket_of(true, &a);
        puts("listening");
        fflush(stdout);
    }
    if (is("mode", "loop"))
        all_at_once(listener, &a, n);
    else
        one_after_the_other(listener, &a, n);
    SSL_SESSION_free(session);
    SSL_CTX_free(ctx);
    kbv_query_delete(pins);
    kbv_client_delete(client);
    if (listener >= 0)
        close(listener);
    return 0;
}
