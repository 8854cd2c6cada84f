/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libkbv's client on the command line, for the tests in this folder: asks, and prints what came of
 * it as lines of KEY=VALUE. With --many the question is asked that often at once, from one poll
 * loop. `ask --questions FILE`: each line of FILE holds the words of a question, and all are asked
 * at once.
 */
#include <kbv/client.h>

#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MANY_MAX = 1000, FILE_MAX = 20000, WORDS_MAX = 40 };

struct plan {
    struct kbv_client *client;
    struct kbv_ask ask;
    struct kbv_peer peer;
    bool has_peer, blocking, threads;
    struct kbv_slice host;
    uint16_t port;
    int64_t now;
    unsigned many, flags;
    const char *server, *pin;
};

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("ask: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(64);
}

static void must(enum kbv_err err, const char *what)
{
    if (err != KBV_OK)
        die("%s: %s", what, kbv_err_text(err));
}

/* What options gave, until the end. */
static uint8_t *kept[3 * MANY_MAX];
static size_t n_kept;

static struct kbv_slice keep(const uint8_t *p, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);

    if (!copy || n_kept == sizeof(kept) / sizeof(*kept))
        die("out of memory");
    memcpy(copy, p, len);
    kept[n_kept++] = copy;
    return (struct kbv_slice){copy, len};
}

static struct kbv_slice read_hex(const char *hex)
{
    uint8_t octets[FILE_MAX];
    size_t n = 0;
    unsigned value;

    for (; hex[2 * n] && n < sizeof(octets); n++) {
        if (sscanf(hex + 2 * n, "%2x", &value) != 1)
            die("no hex digits: %s", hex);
        octets[n] = (uint8_t)value;
    }
    return keep(octets, n);
}

static struct kbv_slice read_file(const char *path)
{
    uint8_t octets[FILE_MAX];
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(octets, 1, sizeof(octets), f) : 0;

    if (!f)
        die("cannot read %s", path);
    fclose(f);
    return keep(octets, n);
}

static struct kbv_slice read_name(const char *text)
{
    uint8_t wire[KBV_NAME_MAX];
    size_t len;

    must(kbv_name_from_text(text, false, wire, &len), text);
    return keep(wire, len);
}

static void read_identifier(struct plan *p, char *text)
{
    char *colon = strchr(text, ':');

    if (!colon)
        die("KIND:VALUE expected: %s", text);
    *colon = '\0';
    must(kbv_id_parse(kbv_id_kind_from_name(text), colon + 1, &p->ask.identifier), text);
}

static enum kbv_ask_form read_form(const char *text)
{
    static const char *const forms[] = {"option", "tlsa", "name", "txt"};

    for (unsigned i = 0; i < 4; i++)
        if (strcmp(text, forms[i]) == 0)
            return (enum kbv_ask_form)i;
    die("no form: %s", text);
}

static void add_resolver(struct plan *p)
{
    uint8_t pin[KBV_PIN_LEN];

    if (!p->server)
        return;
    if (p->pin)
        must(kbv_pin_from_text(p->pin, pin), p->pin);
    must(kbv_client_add_resolver(p->client, p->server, p->flags, p->pin ? pin : NULL), p->server);
    p->server = p->pin = NULL;
    p->flags = 0;
}

static void add_key(struct plan *p, const char *text)
{
    uint8_t key[KBV_VERDICT_KEY_LEN];

    must(kbv_pin_from_text(text, key), text);
    must(kbv_client_add_verdict_key(p->client, key), text);
}

static void set_peer(struct plan *p, int c, const char *arg)
{
    struct kbv_slice octets;

    p->has_peer = true;
    switch (c) {
    case 'c':
        octets = read_file(arg);
        must(kbv_peer_from_certificate(&p->peer, octets.p, octets.len), arg);
        break;
    case 's':
        octets = read_file(arg);
        must(kbv_peer_from_spki(&p->peer, octets.p, octets.len), arg);
        break;
    default:
        octets = read_hex(arg);
        memcpy(p->peer.spki_sha256, octets.p, octets.len == 32 ? 32 : 0);
        p->peer.has_spki_sha256 = true;
    }
}

static void read_option(struct plan *p, int c, char *arg)
{
    switch (c) {
    case 'S':
        add_resolver(p); /* the one before */
        p->server = arg;
        break;
    case 'P':
        p->pin = arg;
        break;
    case 'T':
        p->flags |= KBV_RESOLVER_TRUST_LOOPBACK;
        break;
    case 't':
        p->flags |= KBV_RESOLVER_TCP;
        break;
    case 'R':
        must(kbv_client_read_resolv_conf(p->client, arg), arg);
        break;
    case 'k':
        add_key(p, arg);
        break;
    case 'w':
        must(kbv_client_set_timeout_ms(p->client, atoi(arg)), arg);
        break;
    case 'f':
        p->ask.form = read_form(arg);
        break;
    case 'i':
        read_identifier(p, arg);
        break;
    case 'm':
        p->ask.material = (enum kbv_material)atoi(arg);
        break;
    case 'x':
        p->ask.octets = read_hex(arg);
        break;
    case 'F':
        p->ask.octets = read_file(arg);
        break;
    case 'n':
        p->ask.nonce = true;
        break;
    case 'g':
        p->ask.sign = true;
        break;
    case 'h':
        p->host = read_name(arg);
        break;
    case 'p':
        p->port = (uint16_t)atoi(arg);
        break;
    case 'N':
        p->now = atoll(arg);
        break;
    case 'M':
        p->many = (unsigned)atoi(arg) % (MANY_MAX + 1);
        break;
    case 'b':
        p->blocking = true;
        break;
    case 'H':
        p->threads = true;
        break;
    case 'c':
    case 's':
    case 'd':
        set_peer(p, c, arg);
        break;
    default:
        exit(64);
    }
}

static struct plan read_plan(int argc, char **argv)
{
    static const struct option options[] = {{"server", required_argument, NULL, 'S'},
                                            {"tls-pin", required_argument, NULL, 'P'},
                                            {"trust", no_argument, NULL, 'T'},
                                            {"tcp", no_argument, NULL, 't'},
                                            {"resolv-conf", required_argument, NULL, 'R'},
                                            {"key", required_argument, NULL, 'k'},
                                            {"timeout", required_argument, NULL, 'w'},
                                            {"form", required_argument, NULL, 'f'},
                                            {"identifier", required_argument, NULL, 'i'},
                                            {"material", required_argument, NULL, 'm'},
                                            {"hex", required_argument, NULL, 'x'},
                                            {"file", required_argument, NULL, 'F'},
                                            {"nonce", no_argument, NULL, 'n'},
                                            {"sign", no_argument, NULL, 'g'},
                                            {"host", required_argument, NULL, 'h'},
                                            {"port", required_argument, NULL, 'p'},
                                            {"now", required_argument, NULL, 'N'},
                                            {"many", required_argument, NULL, 'M'},
                                            {"blocking", no_argument, NULL, 'b'},
                                            {"threads", no_argument, NULL, 'H'},
                                            {"peer-cert", required_argument, NULL, 'c'},
                                            {"peer-spki", required_argument, NULL, 's'},
                                            {"peer-spki-sha256", required_argument, NULL, 'd'},
                                            {NULL, 0, NULL, 0}};
    struct plan p = {.client = kbv_client_create(), .now = time(NULL), .many = 1};
    int c;

    if (!p.client)
        die("out of memory");
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
        read_option(&p, c, optarg);
    add_resolver(&p);
    if (optind != argc - 1)
        die("one name expected");
    p.ask.name = read_name(argv[optind]);
    return p;
}

/* Questions of their own, each with its own client. */
static unsigned read_plans(const char *path, struct plan *plans)
{
    static char line[FILE_MAX];
    char *argv[WORDS_MAX + 1] = {line};
    FILE *f = fopen(path, "r");
    unsigned n = 0;

    if (!f)
        die("cannot read %s", path);
    while (fgets(line, sizeof(line), f)) {
        int argc = 1;

        for (char *word = strtok(line, " \n"); word && argc < WORDS_MAX; word = strtok(NULL, " \n"))
            argv[argc++] = word;
        argv[argc] = NULL;
        if (n == MANY_MAX)
            die("too many questions: %s", path);
        optind = 0; /* from the first word again */
        plans[n++] = read_plan(argc, argv);
    }
    fclose(f);
    return n;
}

/* Printing */

static const char *outcome_name(enum kbv_reply_outcome outcome)
{
    switch (outcome) {
#define NAME(name, text)                                                                           \
    case KBV_REPLY_##name:                                                                         \
        return #name;
        KBV_REPLY_OUTCOME_TABLE(NAME)
#undef NAME
    }
    return "?";
}

static const char *signature_name(enum kbv_signature signature)
{
    switch (signature) {
#define NAME(name, text)                                                                           \
    case KBV_SIGNATURE_##name:                                                                     \
        return #name;
        KBV_SIGNATURE_TABLE(NAME)
#undef NAME
    }
    return "?";
}

static const char *acceptance_name(enum kbv_acceptance acceptance)
{
    switch (acceptance) {
#define NAME(name, text)                                                                           \
    case name:                                                                                     \
        return #name + 4;
        KBV_ACCEPTANCE_TABLE(NAME)
#undef NAME
    }
    return "?";
}

static void print_verdict(const struct plan *p, const struct kbv_query *q, size_t i)
{
    const struct kbv_reply *r = kbv_query_reply(q);
    char owner[KBV_NAME_TEXT_MAX];

    kbv_name_to_text(r->verdicts[i].owner.p, r->verdicts[i].owner.len, owner);
    printf("verdict=%s %s %s %s\n", kbv_status_name(r->verdicts[i].status), owner,
           signature_name(r->signatures[i]), acceptance_name(kbv_query_believe(q, i, p->now)));
}

static void print_txt(struct kbv_slice rdata)
{
    printf("txt=");
    for (size_t at = 0; at < rdata.len; at += 1u + rdata.p[at])
        printf("\"%.*s\"", rdata.p[at], (const char *)rdata.p + at + 1);
    putchar('\n');
}

static void print_result(const struct plan *p, const struct kbv_query *q)
{
    const struct kbv_reply *r = kbv_query_reply(q);
    const struct kbv_peer *peer = p->has_peer ? &p->peer : NULL;
    size_t which;

    printf("outcome=%s\nrcode=%u\nresolver=%s\nover=%s\nede=%d %s\nerror=%s\n",
           outcome_name(r->outcome), r->rcode, r->resolver,
           r->tls   ? "tls"
           : r->tcp ? "tcp"
                    : "udp",
           r->ede == KBV_EDE_NONE ? -1 : r->ede, r->ede_text, r->error);
    for (size_t i = 0; i < r->n_verdicts; i++)
        print_verdict(p, q, i);
    for (size_t i = 0; i < r->n_txt; i++)
        print_txt(r->txt[i]);
    printf("accept=%s",
           acceptance_name(kbv_query_accept(q, peer, p->host, p->port, p->now, &which)));
    printf("\nwhich=%zu\n", which);
}

/* Asking */

/* All queries from one loop, as a server would. */
static void run_all(struct kbv_query **queries, unsigned n)
{
    static struct pollfd fds[MANY_MAX];
    bool waits = true;

    while (waits) {
        int timeout_ms = 60000;

        waits = false;
        for (unsigned i = 0; i < n; i++) {
            struct kbv_wait wait;

            fds[i] = (struct pollfd){.fd = -1};
            if (kbv_query_run(queries[i], &wait) == KBV_QUERY_DONE)
                continue;
            waits = true;
            fds[i].fd = wait.fd;
            fds[i].events = (short)((wait.read ? POLLIN : 0) | (wait.write ? POLLOUT : 0));
            timeout_ms = wait.timeout_ms < timeout_ms ? wait.timeout_ms : timeout_ms;
        }
        if (waits)
            (void)poll(fds, n, timeout_ms);
    }
}

static void *run_one(void *q)
{
    kbv_query_wait(q);
    return NULL;
}

/* A client is shared, a query is not. */
static void run_in_threads(struct kbv_query **queries, unsigned n)
{
    static pthread_t threads[MANY_MAX];

    for (unsigned i = 0; i < n; i++)
        if (pthread_create(&threads[i], NULL, run_one, queries[i]) != 0)
            die("no thread");
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

static struct kbv_query *create_query(const struct plan *p)
{
    enum kbv_err err;
    struct kbv_query *q = kbv_query_create(p->client, &p->ask, &err);

    if (!q)
        die("%s", kbv_err_text(err));
    return q;
}

static void ask_each(const char *path)
{
    static struct kbv_query *queries[MANY_MAX];
    static struct plan plans[MANY_MAX];
    unsigned n = read_plans(path, plans);

    for (unsigned i = 0; i < n; i++)
        queries[i] = create_query(&plans[i]);
    run_all(queries, n);
    for (unsigned i = 0; i < n; i++) {
        print_result(&plans[i], queries[i]);
        kbv_query_delete(queries[i]);
        kbv_client_delete(plans[i].client);
    }
}

static void ask_one(int argc, char **argv)
{
    static struct kbv_query *queries[MANY_MAX];
    struct plan p = read_plan(argc, argv);

    for (unsigned i = 0; i < p.many; i++)
        queries[i] = create_query(&p);
    if (p.threads)
        run_in_threads(queries, p.many);
    else if (p.blocking)
        for (unsigned i = 0; i < p.many; i++)
            kbv_query_wait(queries[i]);
    else
        run_all(queries, p.many);
    for (unsigned i = 0; i < p.many; i++) {
        print_result(&p, queries[i]);
        kbv_query_delete(queries[i]);
    }
    kbv_client_delete(p.client);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--questions") == 0)
        ask_each(argv[2]);
    else
        ask_one(argc, argv);
    while (n_kept > 0)
        free(kept[--n_kept]);
    return 0;
}
