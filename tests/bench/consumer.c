/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * consumer-… --host HOST --port PORT --chain FILE [--whole-chain] [--server ADDR]
 *            [--hints FILE] [--anchor FILE] [--times N] [--keep]
 *
 * Checks a peer's certificates (PEM, the end entity's first) for _PORT._tcp.HOST and prints one
 * line a check: nanoseconds that passed, nanoseconds of CPU. With --times: one check that is not
 * printed, then N that share a context. Without: one, its context included. A check that does not
 * accept ends the program: its time would mean something else.
 */
#include "tests/bench/consumer.h"

#include <getopt.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void consumer_need(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "consumer: %s\n", what);
    exit(1);
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void read_chain(struct consumer_setting *s, const char *path)
{
    FILE *f = fopen(path, "r");
    char *name = NULL, *header = NULL;
    long len;

    consumer_need(f != NULL, path);
    while (s->n < CONSUMER_CHAIN_MAX && PEM_read(f, &name, &header, &s->chain[s->n].der, &len)) {
        s->chain[s->n++].len = (size_t)len;
        OPENSSL_free(name);
        OPENSSL_free(header);
    }
    fclose(f);
    consumer_need(s->n > 0, "no certificate");
}

static struct consumer_setting read_setting(int argc, char **argv, unsigned *times)
{
    static const struct option options[] = {
        {"server", required_argument, NULL, 's'}, {"hints", required_argument, NULL, 'r'},
        {"anchor", required_argument, NULL, 'a'}, {"host", required_argument, NULL, 'h'},
        {"port", required_argument, NULL, 'p'},   {"chain", required_argument, NULL, 'c'},
        {"whole-chain", no_argument, NULL, 'w'},  {"times", required_argument, NULL, 'n'},
        {"keep", no_argument, NULL, 'k'},         {NULL, 0, NULL, 0}};
    static char owner[300];
    struct consumer_setting s = {0};
    const char *port = NULL, *chain = NULL;
    int c;

    *times = 0;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 's':
            s.server = optarg;
            break;
        case 'r':
            s.hints = optarg;
            break;
        case 'a':
            s.anchor = optarg;
            break;
        case 'h':
            s.host = optarg;
            break;
        case 'p':
            port = optarg;
            break;
        case 'c':
            chain = optarg;
            break;
        case 'w':
            s.whole_chain = true;
            break;
        case 'n':
            *times = (unsigned)atoi(optarg);
            break;
        case 'k':
            s.keep = true;
            break;
        default:
            exit(64);
        }
    }
    consumer_need(s.host && port && chain && optind == argc, "host, port and chain are needed");
    snprintf(owner, sizeof(owner), "_%s._tcp.%s", port, s.host);
    s.owner = owner;
    read_chain(&s, chain);
    return s;
}

/* way NULL: a context for this check alone is a part of it. */
static void timed(void *way, const struct consumer_setting *s, bool print)
{
    int64_t ns = clock_ns(CLOCK_MONOTONIC), cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    void *own = way ? NULL : consumer_open(s);

    consumer_need(consumer_check(way ? way : own, s), "the chain is not accepted");
    if (own)
        consumer_close(own);
    cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
    ns = clock_ns(CLOCK_MONOTONIC) - ns;
    if (print)
        printf("%lld %lld\n", (long long)ns, (long long)cpu_ns);
}

int main(int argc, char **argv)
{
    unsigned times;
    struct consumer_setting s = read_setting(argc, argv, &times);
    void *way = times ? consumer_open(&s) : NULL;

    timed(way, &s, !way);
    for (unsigned i = 0; i < times; i++)
        timed(way, &s, true);
    if (way)
        consumer_close(way);
    while (s.n > 0)
        OPENSSL_free(s.chain[--s.n].der);
    return 0;
}
