/* SPDX-License-Identifier: BSD-3-Clause */
/* kbv tunnel: the command line, signals, and the loop. */
#include "cli/tunnel.h"

#include <event2/dns.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cli/material.h"

enum { MAX_CONNECTIONS = 1000, SETUP_S = 10, IDLE_S = 300, DRAIN_S = 10 };

/* What the command line said, before it is looked at as a whole. */
struct words {
    const char *listen, *to, *forward, *suffix;
    const char *allow[KBV_TLS_IDENTITIES_MAX];
    size_t n_allow;
};

/* ---- certificate and key ---- */

/* Nobody is there to be asked for one. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf, (void)size, (void)rwflag, (void)arg;
    return -1;
}

/* The first error is the cause; the others say where it was met. */
static void say_why(char *reason, size_t size, const char *file)
{
    const unsigned long error = ERR_peek_error();
    const char *text =
        ERR_SYSTEM_ERROR(error) ? strerror(ERR_GET_REASON(error)) : ERR_reason_error_string(error);

    (void)snprintf(reason, size, "%s: %s", file, text != NULL ? text : "it cannot be used");
    ERR_clear_error();
}

static bool load_key(const struct tunnel *t, SSL_CTX *ctx, char *reason, size_t size)
{
    ERR_clear_error();
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    if (SSL_CTX_use_certificate_chain_file(ctx, t->cert) != 1) {
        say_why(reason, size, t->cert);
        return false;
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, t->key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1) {
        say_why(reason, size, t->key);
        return false;
    }
    return true;
}

SSL_CTX *tunnel_make_ctx(const struct tunnel *t, char *reason, size_t size)
{
    SSL_CTX *ctx = SSL_CTX_new(t->server ? TLS_server_method() : TLS_client_method());

    if (ctx == NULL || kbv_tls_ctx_enable(ctx) != KBV_OK) {
        say_why(reason, size, "TLS");
    } else if (load_key(t, ctx, reason, size)) {
        SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
        return ctx;
    }
    SSL_CTX_free(ctx);
    return NULL;
}

/* ---- signals ---- */

static void log_event(const struct tunnel *t, enum log_level level, const char *event,
                      const char *key, const char *value)
{
    struct log_line line;

    log_begin(&line, event);
    log_field(&line, key, "%s", value);
    log_end(t, level, &line);
}

static void on_reload(evutil_socket_t signal, short what, void *arg)
{
    struct tunnel *t = arg;
    char reason[512];
    SSL_CTX *ctx = tunnel_make_ctx(t, reason, sizeof(reason));

    (void)signal, (void)what;
    if (ctx == NULL) { /* the old one goes on */
        log_event(t, LOG_LEVEL_FAILURES, "reload-failed", "reason", reason);
        return;
    }
    SSL_CTX_free(t->ctx);
    t->ctx = ctx;
    log_event(t, LOG_LEVEL_CONNECTIONS, "reloaded", "cert", t->cert);
}

/* Connections may come to their end for a while; asked twice, they may not. */
static void on_terminate(evutil_socket_t signal, short what, void *arg)
{
    struct tunnel *t = arg;
    const struct timeval drain = {.tv_sec = (time_t)t->drain_s};
    struct log_line line;

    (void)signal, (void)what;
    if (t->draining || t->n_sessions == 0 || t->drain_s == 0) {
        (void)event_base_loopbreak(t->base);
        return;
    }
    log_begin(&line, "draining");
    log_field(&line, "connections", "%lu", t->n_sessions);
    log_end(t, LOG_LEVEL_CONNECTIONS, &line);
    t->draining = true;
    listen_end(t);
    (void)event_base_loopexit(t->base, &drain);
}

/* ---- the loop ---- */

static bool begin(struct tunnel *t)
{
    char reason[512];

    t->ctx = tunnel_make_ctx(t, reason, sizeof(reason));
    if (t->ctx == NULL) {
        usage_error(t->self, "%s", reason);
        return false;
    }
    t->base = event_base_new();
    if (t->base == NULL || (!t->server && !target_begin(t))) {
        complain(t->self, t->base == NULL ? "no event loop" : "no resolver for addresses");
        return false;
    }
    return listen_begin(t);
}

static bool run_loop(struct tunnel *t)
{
    struct event *events[] = {
        evsignal_new(t->base, SIGHUP, on_reload, t),
        evsignal_new(t->base, SIGTERM, on_terminate, t),
        evsignal_new(t->base, SIGINT, on_terminate, t),
    };
    const size_t n = sizeof(events) / sizeof(events[0]);
    bool ok = true;

    /* What libevent puts back at the end: whoever says twice that it shall end must not kill it. */
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    for (size_t i = 0; i < n; i++)
        ok = ok && events[i] != NULL && event_add(events[i], NULL) == 0;
    ok = ok && event_base_dispatch(t->base) >= 0;
    for (size_t i = 0; i < n; i++)
        if (events[i] != NULL)
            event_free(events[i]);
    if (!ok)
        complain(t->self, "the event loop failed");
    return ok;
}

static void end(struct tunnel *t)
{
    struct session *s;

    t->draining = true;
    listen_end(t);
    while ((s = LIST_FIRST(&t->sessions)) != NULL)
        session_abort(s, "the tunnel ends");
    if (t->dns != NULL) {
        /* Cancelled questions are called back by the loop. */
        (void)event_base_loop(t->base, EVLOOP_NONBLOCK);
        evdns_base_free(t->dns, 1);
        (void)event_base_loop(t->base, EVLOOP_NONBLOCK);
    }
    if (t->base != NULL)
        event_base_free(t->base);
    SSL_CTX_free(t->ctx);
    libevent_global_shutdown();
}

static int run_tunnel(struct tunnel *t)
{
    int status = EXIT_NO_RESULT;

    (void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes with write(2) */
    t->client = make_client(t->self, &t->resolver);
    if (t->client == NULL)
        return EXIT_USAGE;
    if (begin(t))
        status = run_loop(t) ? EXIT_ACCEPT : EXIT_NO_RESULT;
    else if (t->ctx == NULL)
        status = EXIT_USAGE;
    if (status == EXIT_ACCEPT)
        log_event(t, LOG_LEVEL_CONNECTIONS, "ended", "reason", "asked to");
    end(t);
    kbv_client_delete(t->client);
    return status;
}

/* ---- the command line ---- */

static int read_plain_address(const struct tunnel *t, const char *option, const char *text,
                              bool plain, struct address *out)
{
    if (!address_read(text, out == &t->listen, out))
        return usage_error(t->self, "%s %s: expected ADDR:PORT or [ADDR]:PORT", option, text);
    if (plain && !t->plain_network && !address_is_loopback(out))
        return usage_error(
            t->self,
            "%s %s: this side has no TLS; --plain-network if everybody who can reach "
            "or hear it may",
            option, text);
    return 0;
}

static int read_to(struct tunnel *t, const struct words *w)
{
    const struct subject_form form = {.suffix = w->suffix};
    const uint8_t *owner = t->to.name;
    unsigned long port = 0;
    char digits[8] = "";

    if (!read_subject(t->self, w->to, &form, &t->to))
        return EXIT_USAGE;
    if (t->to.identifier.kind == KBV_ID_DEVEUI)
        return usage_error(t->self, "--to %s: devices do not listen", w->to);
    if (t->to.identifier.kind != KBV_ID_NONE)
        return 0;
    if (kbv_name_is_server_owner(owner, t->to.len, &t->to_host.p, &t->to_host.len) &&
        owner[0] <= 6 && memcmp(owner + 1 + owner[0], "\x04_tcp", 5) == 0) {
        memcpy(digits, owner + 2, owner[0] - 1U);
        if (parse_number(digits, 1, 65535, &port)) {
            t->to_port = (uint16_t)port;
            return 0;
        }
    }
    return usage_error(
        t->self, "--to %s: expected _PORT._tcp.HOST, or joineui: or netid: and --suffix", w->to);
}

static int read_allowed(struct tunnel *t, const struct words *w, const char *text)
{
    const struct subject_form identifier = {.suffix = w->suffix, .service = "_ns-client"};
    const struct subject_form name = {.suffix = NULL};
    const bool is_identifier = strchr(text, ':') != NULL;
    struct kbv_slice host;
    struct subject s;

    if (!read_subject(t->self, text, is_identifier ? &identifier : &name, &s))
        return EXIT_USAGE;
    if (s.name[0] < 2 || s.name[1] != '_' ||
        kbv_name_is_server_owner(s.name, s.len, &host.p, &host.len))
        return usage_error(t->self,
                           "--allow %s: expected a client's name, such as _ns-client.HOST, or "
                           "netid: and --suffix",
                           text);
    memcpy(t->allowed[t->n_identities], s.name, s.len);
    t->identities[t->n_identities].owner = (struct kbv_slice){t->allowed[t->n_identities], s.len};
    t->n_identities++;
    return 0;
}

static int read_server(struct tunnel *t, const struct words *w)
{
    int status = read_plain_address(t, "--listen", w->listen, false, &t->listen);

    if (w->to != NULL)
        return usage_error(t->self, "--to is a client's");
    if (w->forward == NULL || w->n_allow == 0)
        return usage_error(t->self, "a server needs --forward and --allow");
    if (status == 0)
        status = read_plain_address(t, "--forward", w->forward, true, &t->forward);
    for (size_t i = 0; status == 0 && i < w->n_allow; i++)
        status = read_allowed(t, w, w->allow[i]);
    return status;
}

static int read_client(struct tunnel *t, const struct words *w)
{
    int status = read_plain_address(t, "--listen", w->listen, true, &t->listen);

    if (w->forward != NULL || w->n_allow > 0)
        return usage_error(t->self, "--forward and --allow are a server's");
    if (w->to == NULL)
        return usage_error(t->self, "a client needs --to");
    return status != 0 ? status : read_to(t, w);
}

static int read_whole(struct tunnel *t, const struct words *w)
{
    if (w->listen == NULL || t->cert == NULL || t->key == NULL)
        return usage_error(t->self, "--listen, --cert and --key are needed");
    return t->server ? read_server(t, w) : read_client(t, w);
}

enum tunnel_option {
    OPTION_LISTEN = RESOLVER_OPTION_END,
    OPTION_TO,
    OPTION_FORWARD,
    OPTION_ALLOW,
    OPTION_SUFFIX,
    OPTION_CERT,
    OPTION_KEY,
    OPTION_MAX_CONNECTIONS,
    OPTION_SETUP,
    OPTION_IDLE,
    OPTION_DRAIN,
    OPTION_PLAIN_NETWORK,
};

static const struct option options[] = {
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"to", required_argument, NULL, OPTION_TO},
    {"forward", required_argument, NULL, OPTION_FORWARD},
    {"allow", required_argument, NULL, OPTION_ALLOW},
    {"suffix", required_argument, NULL, OPTION_SUFFIX},
    {"cert", required_argument, NULL, OPTION_CERT},
    {"key", required_argument, NULL, OPTION_KEY},
    {"max-connections", required_argument, NULL, OPTION_MAX_CONNECTIONS},
    {"setup-timeout", required_argument, NULL, OPTION_SETUP},
    {"idle-timeout", required_argument, NULL, OPTION_IDLE},
    {"drain", required_argument, NULL, OPTION_DRAIN},
    {"plain-network", no_argument, NULL, OPTION_PLAIN_NETWORK},
    {"quiet", no_argument, NULL, 'q'},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    RESOLVER_OPTIONS,
    {NULL, 0, NULL, 0},
};

static int read_number(const struct tunnel *t, const char *option, unsigned long min,
                       unsigned long *out)
{
    if (parse_number(optarg, min, 1000000, out))
        return 0;
    return usage_error(t->self, "--%s %s: a number of %lu to 1000000", option, optarg, min);
}

static int take_allow(const struct tunnel *t, struct words *w)
{
    if (w->n_allow == KBV_TLS_IDENTITIES_MAX)
        return usage_error(t->self, "--allow: at most %d", KBV_TLS_IDENTITIES_MAX);
    w->allow[w->n_allow++] = optarg;
    return 0;
}

static int take_option(struct tunnel *t, struct words *w, int option)
{
    switch (option) {
    case OPTION_LISTEN:
        w->listen = optarg;
        return 0;
    case OPTION_TO:
        w->to = optarg;
        return 0;
    case OPTION_FORWARD:
        w->forward = optarg;
        return 0;
    case OPTION_ALLOW:
        return take_allow(t, w);
    case OPTION_SUFFIX:
        w->suffix = optarg;
        return 0;
    case OPTION_CERT:
        t->cert = optarg;
        return 0;
    case OPTION_KEY:
        t->key = optarg;
        return 0;
    case OPTION_MAX_CONNECTIONS:
        return read_number(t, "max-connections", 1, &t->max_connections);
    case OPTION_SETUP:
        return read_number(t, "setup-timeout", 1, &t->setup_s);
    case OPTION_IDLE:
        return read_number(t, "idle-timeout", 0, &t->idle_s);
    case OPTION_DRAIN:
        return read_number(t, "drain", 0, &t->drain_s);
    case OPTION_PLAIN_NETWORK:
        t->plain_network = true;
        return 0;
    case 'q':
        t->log_level = LOG_LEVEL_FAILURES;
        return 0;
    case 'v':
        t->log_level = LOG_LEVEL_STEPS;
        return 0;
    default:
        return read_resolver_option(t->self, &t->resolver, option, optarg);
    }
}

static int read_arguments(struct tunnel *t, int argc, char **argv)
{
    struct words w = {.listen = NULL};
    int option, status;

    if (argc < 1 || (strcmp(argv[0], "client") != 0 && strcmp(argv[0], "server") != 0))
        return usage_error(t->self, "expected client or server");
    t->server = strcmp(argv[0], "server") == 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        status = option == '?' ? usage_error(t->self, "see --help") : take_option(t, &w, option);
        if (status != 0)
            return status;
    }
    if (optind != argc)
        return usage_error(t->self, "unexpected argument %s", argv[optind]);
    return read_whole(t, &w);
}

static int run(const struct command *self, int argc, char **argv)
{
    struct tunnel *t;
    int status;

    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0) {
            print_help(self);
            return EXIT_ACCEPT;
        }
    t = calloc(1, sizeof(*t));
    if (t == NULL) {
        complain(self, "%s", kbv_err_text(KBV_ERR_NOMEM));
        return EXIT_NO_RESULT;
    }
    *t = (struct tunnel){.self = self,
                         .max_connections = MAX_CONNECTIONS,
                         .setup_s = SETUP_S,
                         .idle_s = IDLE_S,
                         .drain_s = DRAIN_S,
                         .log_level = LOG_LEVEL_CONNECTIONS,
                         .sessions = LIST_HEAD_INITIALIZER(t->sessions)};
    status = read_arguments(t, argc - 1, argv + 1);
    if (status == 0)
        status = run_tunnel(t);
    free(t);
    return status;
}

const struct command command_tunnel = {
    .name = "tunnel",
    .arguments =
        "client --listen ADDR:PORT --to SUBJECT --cert FILE --key FILE [OPTION...]\n"
        "       kbv tunnel server --listen ADDR:PORT --forward ADDR:PORT --allow SUBJECT...\n"
        "                  --cert FILE --key FILE [OPTION...]",
    .summary = "carries plain TCP of unmodified servers over TLS judged by verdicts",
    .options =
        "  --listen ADDR:PORT    take connections here; a client's are plain\n"
        "  --to SUBJECT          a client's: _PORT._tcp.HOST, or joineui:HEX, netid:HEX below "
        "--suffix\n"
        "  --forward ADDR:PORT   a server's: where they go, plain\n"
        "  --allow SUBJECT       a server's: a client's name, or netid:HEX below --suffix; "
        "repeatable\n"
        "  --suffix NAME         the zone of identifiers\n"
        "  --cert FILE           our certificate and its chain, PEM\n"
        "  --key FILE            its key, PEM; both are read again upon SIGHUP\n"
        "  --max-connections N   more of them wait, default 1000\n"
        "  --setup-timeout S     until a connection is judged and connected, default 10\n"
        "  --idle-timeout S      a connection that moves nothing is closed, default 300; 0: never\n"
        "  --drain S             upon SIGTERM connections may end by themselves, default 10\n"
        "  --plain-network       the plain side may be another address than loopback\n"
        "  --quiet, --verbose    log failures alone; each step too\n" RESOLVER_HELP,
    .run = run,
};
