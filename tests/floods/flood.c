/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A flood of questions that nobody asked before, over UDP, as fast as they are answered or at an
 * even rate; then one line a figure: how many were sent, answered and lost, how many answers had
 * TC, which verdicts came, and the longest answer.
 *
 * flood [-s ADDRESS] [-p PORT] [-b SOURCE] [-n QUESTIONS] [-l SECONDS] [-r RATE] [-w WINDOW] [-k
 * SEED] FORM NAME…
 *
 * FORM is what is made up for each question, the names taking turns:
 *   joineui  the labels in front of NAME, one hex digit each, 16 with those of NAME that are such
 *   name     a digest in front of _kbv.NAME
 *   option   a digest in the EDNS option
 *   fixed    nothing: the names as they are
 * TYPE is a number, 65300 if not given. Equal seeds give equal questions.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <kbv/name.h>
#include <kbv/verdict.h>

enum { LABEL = 53, WINDOW_MAX = 1024, LATE_S = 10, MESSAGE_MAX = 65535, NIBBLES = 16, DIGEST = 32 };
enum { TYPE_OPT = 41, TYPE_KBV = 65300, OPTION_KBV = 65100 };
enum form { FORM_JOINEUI, FORM_NAME, FORM_OPTION, FORM_FIXED };

static const char *const forms[] = {"joineui", "name", "option", "fixed"};

struct flood {
    enum form form;
    unsigned type;
    char **names;
    size_t n_names;
    uint64_t seed, questions;
    double seconds, rate;
    size_t window;
    int sock;
    /* One question on its way each: the low bits of its id are the place. */
    struct {
        bool busy;
        uint16_t id;
        double sent_at;
    } place[WINDOW_MAX];
    size_t busy;
    uint64_t sent, answered, lost, truncated, none, status[256];
    size_t longest;
};

static void fail(const char *what)
{
    fprintf(stderr, "flood: %s\n", what);
    exit(70);
}

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* splitmix64: the n-th number of a seed, without a state that runs on. */
static uint64_t made_up(uint64_t seed, uint64_t n)
{
    uint64_t z = seed * 0x9e3779b97f4a7c15u + (n + 1) * 0xd1342543de82ef95u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* ---- questions ---- */

static size_t put16(uint8_t *to, unsigned v)
{
    to[0] = (uint8_t)(v >> 8);
    to[1] = (uint8_t)v;
    return 2;
}

static size_t put_label(uint8_t *to, const char *text, size_t len)
{
    to[0] = (uint8_t)len;
    memcpy(to + 1, text, len);
    return len + 1;
}

/* The labels of a name with or without its final dot, and the root. */
static size_t put_name(uint8_t *to, const char *name)
{
    size_t at = 0;

    while (*name) {
        size_t len = strcspn(name, ".");
        if (len == 0 || len > 63 || at + len > 200)
            fail("no name");
        at += put_label(to + at, name, len);
        name += len + (name[len] == '.');
    }
    to[at++] = 0;
    return at;
}

/* The labels in front of a name that are one hex digit each. */
static unsigned nibbles_of(const char *name)
{
    unsigned n = 0;

    while (name[0] && strchr("0123456789abcdef", name[0]) && name[1] == '.') {
        n++;
        name += 2;
    }
    return n;
}

static void make_digest(const struct flood *f, uint64_t n, uint8_t digest[DIGEST])
{
    for (unsigned i = 0; i < DIGEST / 8; i++) {
        uint64_t v = made_up(f->seed, 4 * n + i);
        memcpy(digest + 8 * i, &v, 8);
    }
}

static size_t put_question(const struct flood *f, uint64_t n, uint8_t *to)
{
    const char *name = f->names[n % f->n_names];
    uint8_t label[LABEL];
    uint8_t digest[DIGEST];
    size_t at = 0;

    if (f->form == FORM_JOINEUI) {
        uint64_t value = made_up(f->seed, n);
        for (unsigned i = nibbles_of(name); i < NIBBLES; i++, value >>= 4)
            at += put_label(to + at, &"0123456789abcdef"[value & 15], 1);
    } else if (f->form == FORM_NAME) {
        make_digest(f, n, digest);
        kbv_digest_label_encode('s', digest, label);
        at += put_label(to, (const char *)label, sizeof(label));
        at += put_label(to + at, "_kbv", 4);
    }
    return at + put_name(to + at, name);
}

static size_t put_message(const struct flood *f, uint64_t n, uint16_t id, uint8_t *to)
{
    bool option = f->form == FORM_OPTION;
    size_t at = put16(to, id);

    at += put16(to + at, 0x0100); /* RD */
    at += put16(to + at, 1);
    at += put16(to + at, 0);
    at += put16(to + at, 0);
    at += put16(to + at, 1);
    at += put_question(f, n, to + at);
    at += put16(to + at, f->type);
    at += put16(to + at, 1);
    to[at++] = 0;
    at += put16(to + at, TYPE_OPT);
    at += put16(to + at, 1232);
    at += put16(to + at, 0);
    at += put16(to + at, 0);
    at += put16(to + at, option ? 4 + 6 + DIGEST : 0);
    if (!option)
        return at;
    at += put16(to + at, OPTION_KBV);
    at += put16(to + at, 6 + DIGEST);
    memcpy(to + at, "\x11\0\1\0\0\x20", 6);
    make_digest(f, n, to + at + 6);
    return at + 6 + DIGEST;
}

/* ---- answers ---- */

static unsigned get16(const uint8_t *from)
{
    return (unsigned)from[0] << 8 | from[1];
}

static size_t skip_name(const uint8_t *m, size_t len, size_t at)
{
    while (at < len && m[at] != 0) {
        if (m[at] >= 0xc0)
            return at + 2;
        at += m[at] + 1u;
    }
    return at + 1;
}

/* The status of the verdict in an OPT record's RDATA; -1: it has none. */
static int status_in_options(const uint8_t *o, size_t len)
{
    for (size_t at = 0; at + 4 <= len; at += 4 + get16(o + at + 2)) {
        if (get16(o + at) == OPTION_KBV && get16(o + at + 2) >= 2 && at + 6 <= len)
            return o[at + 5];
    }
    return -1;
}

/* The status of the verdict in an answer: of the option if there is one, else of the first record.
 */
static int status_of(const uint8_t *m, size_t len)
{
    unsigned records = get16(m + 6) + get16(m + 8) + get16(m + 10);
    size_t at = skip_name(m, len, 12) + 4;
    int found = -1;

    while (records-- > 0) {
        size_t head = skip_name(m, len, at);
        if (head + 10 > len || head + 10 + get16(m + head + 8) > len)
            break;
        at = head + 10 + get16(m + head + 8);
        if (get16(m + head) == TYPE_KBV && found < 0 && get16(m + head + 8) >= 2)
            found = m[head + 11];
        if (get16(m + head) == TYPE_OPT) {
            int status = status_in_options(m + head + 10, get16(m + head + 8));
            if (status >= 0)
                found = status;
        }
    }
    return found;
}

static void take(struct flood *f, const uint8_t *m, size_t len)
{
    size_t place;
    int status;

    if (len < 12)
        return;
    place = get16(m) % WINDOW_MAX;
    if (!f->place[place].busy || f->place[place].id != get16(m))
        return; /* it came too late */
    f->place[place].busy = false;
    f->busy--;
    f->answered++;
    f->truncated += (m[2] & 2) != 0;
    if (len > f->longest)
        f->longest = len;
    status = status_of(m, len);
    if (status < 0)
        f->none++;
    else
        f->status[status]++;
}

static void take_all(struct flood *f, int wait_ms)
{
    static uint8_t m[MESSAGE_MAX];
    struct pollfd p = {.fd = f->sock, .events = POLLIN};
    ssize_t len;

    if (poll(&p, 1, wait_ms) <= 0)
        return;
    while ((len = recv(f->sock, m, sizeof(m), MSG_DONTWAIT)) >= 0)
        take(f, m, (size_t)len);
}

/* ---- the flood ---- */

static void give_up(struct flood *f, double now)
{
    for (size_t i = 0; i < f->window; i++) {
        if (f->place[i].busy && now - f->place[i].sent_at > LATE_S) {
            f->place[i].busy = false;
            f->busy--;
            f->lost++;
        }
    }
}

static bool send_one(struct flood *f, size_t place)
{
    uint8_t m[1024];
    uint16_t id = (uint16_t)(f->place[place].id + WINDOW_MAX); /* an older answer is another's */
    size_t len;

    id = (uint16_t)(id - id % WINDOW_MAX + place);
    len = put_message(f, f->sent, id, m);
    if (send(f->sock, m, len, MSG_DONTWAIT) < 0)
        return false; /* the socket is full: again later */
    f->place[place].busy = true;
    f->place[place].id = id;
    f->place[place].sent_at = now_s();
    f->busy++;
    f->sent++;
    return true;
}

static bool may_send(const struct flood *f, double elapsed)
{
    if (f->sent >= f->questions || elapsed > f->seconds)
        return false;
    return f->rate <= 0 || (double)f->sent <= elapsed * f->rate;
}

static void run(struct flood *f)
{
    double start = now_s(), looked = start, now = start;

    while ((f->sent < f->questions && now - start <= f->seconds) || f->busy > 0) {
        for (size_t i = 0; i < f->window && may_send(f, now - start); i++) {
            if (!f->place[i].busy && !send_one(f, i))
                break;
        }
        take_all(f, f->busy < f->window && f->rate <= 0 ? 1 : 5);
        now = now_s();
        if (now - looked > 1) {
            give_up(f, now);
            looked = now;
        }
    }
    printf("sent %llu\nanswered %llu\nlost %llu\ntruncated %llu\nlongest %zu\nseconds %.1f\n",
           (unsigned long long)f->sent, (unsigned long long)f->answered,
           (unsigned long long)f->lost, (unsigned long long)f->truncated, f->longest, now - start);
    if (f->none > 0)
        printf("none %llu\n", (unsigned long long)f->none);
    for (unsigned i = 0; i < 256; i++) {
        if (f->status[i] > 0)
            printf("%s %llu\n", kbv_status_name(i) ? kbv_status_name(i) : "unknown",
                   (unsigned long long)f->status[i]);
    }
}

static int connected(const char *server, const char *port, const char *source)
{
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST}, *to, *from;
    int sock, octets = 1 << 21;

    if (getaddrinfo(server, port, &hints, &to) != 0)
        fail("no address to ask");
    sock = socket(to->ai_family, SOCK_DGRAM, 0);
    if (sock < 0)
        fail("no socket");
    setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &octets, sizeof(octets));
    if (source != NULL) {
        if (getaddrinfo(source, "0", &hints, &from) != 0 ||
            bind(sock, from->ai_addr, from->ai_addrlen) != 0)
            fail("no address to ask from");
        freeaddrinfo(from);
    }
    if (connect(sock, to->ai_addr, to->ai_addrlen) != 0)
        fail(strerror(errno));
    freeaddrinfo(to);
    return sock;
}

static enum form read_form(const char *word)
{
    for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (strcmp(word, forms[i]) == 0)
            return (enum form)i;
    }
    fail("no such form");
    return FORM_FIXED;
}

int main(int argc, char **argv)
{
    static struct flood f = {
        .type = TYPE_KBV, .questions = UINT64_MAX, .seconds = 1e9, .window = 64};
    const char *server = "127.0.0.1", *port = "53", *source = NULL;
    int option;

    while ((option = getopt(argc, argv, "s:p:b:n:l:r:w:k:t:")) != -1) {
        switch (option) {
        case 's':
            server = optarg;
            break;
        case 'p':
            port = optarg;
            break;
        case 'b':
            source = optarg;
            break;
        case 'n':
            f.questions = strtoull(optarg, NULL, 10);
            break;
        case 'l':
            f.seconds = strtod(optarg, NULL);
            break;
        case 'r':
            f.rate = strtod(optarg, NULL);
            break;
        case 'w':
            f.window = strtoull(optarg, NULL, 10);
            break;
        case 'k':
            f.seed = strtoull(optarg, NULL, 10);
            break;
        case 't':
            f.type = (unsigned)strtoul(optarg, NULL, 10);
            break;
        default:
            return 64;
        }
    }
    if (argc - optind < 2 || f.window < 1 || f.window > WINDOW_MAX ||
        (f.questions == UINT64_MAX && f.seconds > 1e8)) {
        fprintf(stderr, "usage: see the top of flood.c\n");
        return 64;
    }
    f.form = read_form(argv[optind]);
    f.names = argv + optind + 1;
    f.n_names = (size_t)(argc - optind - 1);
    f.sock = connected(server, port, source);
    run(&f);
    close(f.sock);
    return 0;
}
