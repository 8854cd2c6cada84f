/* SPDX-License-Identifier: BSD-3-Clause */
/* kbv query: asks a resolver and says what may be made of its answer. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/material.h"
#include "cli/resolver.h"
#include "cli/subject.h"
#include "lib/text.h"
#include "module/core/judge.h"
#include "module/core/sha256.h"

enum form { FORM_DEFAULT, FORM_EDNS, FORM_NAME, FORM_TXT };
enum output { OUTPUT_BLOCKS, OUTPUT_SHORT, OUTPUT_JSON };

struct query {
    const struct command *self;
    struct subject subject;
    struct subject_form subject_form;
    struct resolver_choice resolver;
    enum form form;
    enum output output;
    struct kbv_request request; /* what was presented; its material is owned */
    uint8_t digest[KBV_DIGEST_LEN];
};

/* ---- asking ---- */

static void print_short(const struct kbv_verdict *v)
{
    char owner[KBV_NAME_TEXT_MAX], time[KBV_TIME_TEXT_LEN];

    kbv_name_to_text(v->owner.p, v->owner.len, owner);
    kbv_time_text(v->not_after, time);
    printf("%s %s %s\n", kbv_status_name(v->status), owner, time);
}

/* The end entity of what was presented, whose strength and octets nobody has looked at yet. */
static struct kbv_slice end_entity(const struct kbv_request *r)
{
    const uint8_t *p = r->material.p;

    if (r->kind != KBV_MATERIAL_CHAIN)
        return r->material;
    if (r->material.len < 2 || r->material.len - 2 < (size_t)(p[0] << 8 | p[1]))
        return (struct kbv_slice){NULL, 0};
    return (struct kbv_slice){p + 2, (size_t)(p[0] << 8 | p[1])};
}

/* A name holds the digest alone, so that of a certificate or a key is what is asked about. */
static void shrink_to_digest(struct query *q, struct kbv_ask *ask)
{
    if (ask->material != KBV_MATERIAL_SPKI && ask->material != KBV_MATERIAL_CERT)
        return;
    kbv_sha256(&ask->octets, 1, q->digest);
    ask->material =
        ask->material == KBV_MATERIAL_SPKI ? KBV_MATERIAL_SPKI_SHA256 : KBV_MATERIAL_CERT_SHA256;
    ask->octets = (struct kbv_slice){q->digest, sizeof(q->digest)};
}

static struct kbv_ask make_ask(struct query *q)
{
    const bool keyed = q->request.kind != KBV_MATERIAL_NONE;
    /* The option holds one verdict, the RRs all of them. */
    const enum form form = q->form != FORM_DEFAULT ? q->form : keyed ? FORM_EDNS : FORM_NAME;
    struct kbv_ask ask = {
        .form = form == FORM_EDNS  ? KBV_ASK_OPTION
                : form == FORM_TXT ? KBV_ASK_TXT
                                   : KBV_ASK_NAME,
        .name = {q->subject.name, q->subject.len},
        .identifier = q->subject.identifier,
        .material = q->request.kind,
        .octets = q->request.material,
    };

    if (form != FORM_EDNS)
        shrink_to_digest(q, &ask);
    return ask;
}

/* What cannot even be put into a request gets the resolver's own word for it. */
static int show_bad_input(const struct query *q)
{
    static const struct kbv_policy policy = {.max_ttl = 0};
    const struct kbv_evidence malformed = {
        .finding = KBV_FOUND_REFUSAL,
        .refusal = KBV_STATUS_BAD_INPUT,
        .ede = KBV_EDE_NONE,
        .owner = {q->subject.name, q->subject.len},
        .reason = "malformed name, key or certificate, or too large a one",
    };
    struct kbv_verdict v;

    kbv_judge_base(&malformed, &policy, (int64_t)time(NULL), NULL, 0, NULL, &v);
    if (q->output == OUTPUT_JSON && !print_json(stdout, &v))
        complain(q->self, "%s", kbv_err_text(KBV_ERR_NOMEM));
    else if (q->output != OUTPUT_JSON)
        print_short(&v);
    complain(q->self, "not asked: %s", malformed.reason);
    return EXIT_NO_RESULT;
}

/* NULL, and it was complained of; *status says how that ends. */
static struct kbv_query *ask_resolver(struct query *q, const struct kbv_client *client, int *status)
{
    const struct kbv_ask ask = make_ask(q);
    enum kbv_err err;
    struct kbv_query *query = kbv_query_create(client, &ask, &err);

    *status = EXIT_NO_RESULT;
    if (query != NULL) {
        kbv_query_wait(query);
        return query;
    }
    if (err == KBV_ERR_UNSUPPORTED) {
        *status = usage_error(q->self, "a chain needs --form edns");
    } else if (err == KBV_ERR_FORMAT) {
        *status = show_bad_input(q);
    } else {
        complain(q->self, "%s", kbv_err_text(err));
    }
    return NULL;
}

/* ---- judging ---- */

/* Is it about the key that was presented, or about none? One about any other is no answer. */
static bool is_about(const struct kbv_verdict *v, const struct kbv_peer *peer)
{
    if (!(v->flags & KBV_FLAG_KEYED))
        return true;
    if (v->subject.kind == KBV_SUBJECT_SPKI)
        return peer->has_spki_sha256 &&
               memcmp(v->subject.digest, peer->spki_sha256, KBV_DIGEST_LEN) == 0;
    return peer->has_cert_sha256 &&
           memcmp(v->subject.digest, peer->cert_sha256, KBV_DIGEST_LEN) == 0;
}

/* What a consumer would make of verdict i (docs/verdict-format.md section 10). The connection is
 * not known here: the verdict's own endpoint stands for it, and whoever connects compares it. */
static enum kbv_acceptance acceptance_of(const struct query *q, const struct kbv_query *query,
                                         size_t i, const struct kbv_peer *peer, int64_t now)
{
    const struct kbv_verdict *v = &kbv_query_reply(query)->verdicts[i];
    enum kbv_acceptance believed = kbv_query_believe(query, i, now);
    enum kbv_acceptance accepted;
    size_t which;

    if (believed != KBV_BELIEVED)
        return believed;
    if (!is_about(v, peer))
        return KBV_REFUSED_SUBJECT;
    if (q->request.kind == KBV_MATERIAL_NONE || v->status != KBV_STATUS_BOUND)
        return believed;
    accepted = kbv_query_accept(query, peer, v->target, v->port, now, &which);
    return accepted == KBV_ACCEPTED && which != i ? KBV_REFUSED_AMBIGUOUS : accepted;
}

/* The peer as far as it was presented. */
static bool read_peer(const struct query *q, struct kbv_peer *peer)
{
    const struct kbv_slice leaf = end_entity(&q->request);

    *peer = (struct kbv_peer){.has_spki_sha256 = false};
    switch (q->request.kind) {
    case KBV_MATERIAL_NONE:
        return true;
    case KBV_MATERIAL_SPKI_SHA256:
        if (q->request.material.len != KBV_DIGEST_LEN)
            return false;
        peer->has_spki_sha256 = true;
        memcpy(peer->spki_sha256, q->request.material.p, KBV_DIGEST_LEN);
        return true;
    case KBV_MATERIAL_CERT_SHA256:
        return false; /* no option of the command */
    case KBV_MATERIAL_SPKI:
        return leaf.p != NULL && kbv_peer_from_spki(peer, leaf.p, leaf.len) == KBV_OK;
    case KBV_MATERIAL_CERT:
    case KBV_MATERIAL_CHAIN:
        return leaf.p != NULL && kbv_peer_from_certificate(peer, leaf.p, leaf.len) == KBV_OK;
    }
    return false;
}

/* ---- printing ---- */

static const char *colour_of(const struct kbv_verdict *v, bool good)
{
    if (!isatty(STDOUT_FILENO) || getenv("NO_COLOR") != NULL)
        return NULL;
    if (!good)
        return "31";
    return v->status == KBV_STATUS_BOUND || v->status == KBV_STATUS_PUBLISHED ? "32" : "33";
}

static void print_names(const char *what, struct kbv_slice names)
{
    char text[KBV_NAME_TEXT_MAX];
    struct kbv_slice name;

    for (size_t pos = 0; kbv_reference_name_next(names, &pos, &name);) {
        kbv_name_to_text(name.p, name.len, text);
        printf("  %-10s%s\n", what, text);
    }
}

static void print_associations(struct kbv_slice all)
{
    char text[2 * KBV_ASSOCIATIONS_MAX + 1];
    struct kbv_association a;

    for (size_t pos = 0; kbv_association_next(all, &pos, &a);) {
        kbv_hex_text(a.data.p, a.data.len, text);
        printf("  %-10s%u %u %u %s\n", "record", a.usage, a.selector, a.mtype, text);
    }
}

static void print_endpoint(const struct kbv_verdict *v)
{
    char host[KBV_NAME_TEXT_MAX];

    if (!v->has_endpoint)
        return;
    kbv_host_text(v->target, host);
    printf("  %-10s%s port %u (order %u, preference %u, priority %u, weight %u)\n", "endpoint",
           host, v->port, v->order, v->preference, v->priority, v->weight);
}

static void print_times(const struct kbv_verdict *v, int64_t now)
{
    char time[KBV_TIME_TEXT_LEN];

    kbv_time_text(v->issued, time);
    printf("  %-10s%s\n", "issued", time);
    kbv_time_text(v->not_after, time);
    if (kbv_time_before((uint32_t)now, v->not_after))
        printf("  %-10s%s, in %u s\n", "until", time, v->not_after - (uint32_t)now);
    else
        printf("  %-10s%s\n", "until", time);
}

static void print_identifier(const struct kbv_verdict *v)
{
    char value[17], name[KBV_NAME_TEXT_MAX];

    if (!v->has_identifier)
        return;
    kbv_id_text(&v->identifier, value);
    kbv_name_to_text(v->identifier_name.p, v->identifier_name.len, name);
    printf("  %-10s%s %s, %s\n", "of", kbv_id_kind_name(v->identifier.kind), value, name);
}

static void print_flags(const struct kbv_verdict *v)
{
    const char *separator = "";

    if ((v->flags & ~KBV_FLAG_KEYED) == 0)
        return;
    printf("  %-10s", "flags");
    for (size_t i = 0; i < N_FLAGS; i++)
        if (v->flags & flag_names[i].flag && flag_names[i].flag != KBV_FLAG_KEYED) {
            printf("%s%s", separator, flag_names[i].name);
            separator = ", ";
        }
    putchar('\n');
}

static void print_block(const struct kbv_reply *reply, size_t i, enum kbv_acceptance acceptance,
                        int64_t now)
{
    const struct kbv_verdict *v = &reply->verdicts[i];
    const bool good = acceptance == KBV_ACCEPTED || acceptance == KBV_BELIEVED;
    const char *colour = colour_of(v, good);
    char text[KBV_NAME_TEXT_MAX], reason[KBV_REASON_MAX + 1];

    kbv_name_to_text(v->owner.p, v->owner.len, text);
    printf(colour != NULL ? "\033[1;%sm%s\033[0m %s\n" : "%s%s %s\n", colour != NULL ? colour : "",
           kbv_status_name(v->status), text);
    print_identifier(v);
    print_endpoint(v);
    if (v->match.usage != KBV_MATCH_NONE.usage)
        printf("  %-10s%u %u %u\n", "matched", v->match.usage, v->match.selector, v->match.mtype);
    print_associations(v->associations);
    print_names("name", v->reference_names);
    if (v->found_at.p != NULL)
        print_names("found at", v->found_at);
    print_flags(v);
    print_times(v, now);
    kbv_reason_text(v->reason, reason);
    if (*reason != '\0')
        printf("  %-10s%s\n", "reason", reason);
    printf("  %-10s%s, over %s\n", "from", reply->resolver,
           reply->tls   ? "TLS"
           : reply->tcp ? "TCP"
                        : "UDP");
    if (v->auth != 0)
        printf("  %-10s%s\n", "signature", kbv_signature_text(reply->signatures[i]));
    if (!good)
        printf("  %-10s%s\n", "refused", kbv_acceptance_text(acceptance));
}

/* RDATA of a TXT RR as dig prints it. */
static void print_txt(struct kbv_slice rdata)
{
    for (size_t i = 0; i < rdata.len; i += 1U + rdata.p[i]) {
        printf("%s\"", i > 0 ? " " : "");
        for (size_t j = 1; j <= rdata.p[i]; j++) {
            const uint8_t octet = rdata.p[i + j];

            if (octet == '"' || octet == '\\')
                printf("\\%c", octet);
            else if (octet >= ' ' && octet < 0x7f)
                putchar(octet);
            else
                printf("\\%03u", octet);
        }
        putchar('"');
    }
    putchar('\n');
}

/* ---- the answer ---- */

/* No verdict: why, in one line. */
static void complain_of(const struct query *q, const struct kbv_reply *reply)
{
    const char *text = *reply->error != '\0' ? reply->error : NULL;

    complain(q->self, "%s%s%s%s%s%s%s%s", kbv_reply_outcome_text(reply->outcome),
             *reply->resolver != '\0' ? ", " : "", reply->resolver, text != NULL ? ": " : "",
             text != NULL ? text : "", *reply->ede_text != '\0' ? " (" : "", reply->ede_text,
             *reply->ede_text != '\0' ? ")" : "");
}

static int show_txt(const struct query *q, const struct kbv_reply *reply)
{
    for (size_t i = 0; i < reply->n_txt; i++)
        print_txt(reply->txt[i]);
    complain(q->self, "the readable form is for people: nothing is accepted by it");
    return EXIT_NO_RESULT;
}

static bool print_verdict(const struct query *q, const struct kbv_reply *reply, size_t i,
                          enum kbv_acceptance acceptance, int64_t now)
{
    switch (q->output) {
    case OUTPUT_JSON:
        return print_json_signed(stdout, &reply->verdicts[i], reply->signatures[i]);
    case OUTPUT_SHORT:
        print_short(&reply->verdicts[i]);
        return true;
    case OUTPUT_BLOCKS:
        if (i > 0)
            putchar('\n');
        print_block(reply, i, acceptance, now);
        return true;
    }
    return false;
}

/* Of several verdicts the one that an EDNS option would hold counts. */
static int exit_status_for(const struct query *q, const struct kbv_verdict *v,
                           enum kbv_acceptance acceptance)
{
    const bool keyed = q->request.kind != KBV_MATERIAL_NONE;

    if (acceptance != KBV_ACCEPTED && acceptance != KBV_BELIEVED)
        return EXIT_NO_RESULT;
    if (keyed && (v->status == KBV_STATUS_PUBLISHED ||
                  (v->status == KBV_STATUS_BOUND && acceptance != KBV_ACCEPTED)))
        return EXIT_NO_RESULT; /* it says nothing of the key */
    if (!keyed && v->status == KBV_STATUS_BOUND)
        return EXIT_NO_RESULT;
    return exit_status_of(v);
}

static int show_verdicts(const struct query *q, const struct kbv_query *query)
{
    const struct kbv_reply *reply = kbv_query_reply(query);
    const bool keyed = q->request.kind != KBV_MATERIAL_NONE;
    const size_t counts = kbv_verdict_select(reply->verdicts, reply->n_verdicts, keyed);
    const int64_t now = (int64_t)time(NULL);
    struct kbv_peer peer;
    int status = EXIT_NO_RESULT;

    if (!read_peer(q, &peer)) {
        /* Then the verdict is BAD_INPUT, or the resolver takes what OpenSSL does not. */
        peer = (struct kbv_peer){.has_spki_sha256 = false};
    }
    for (size_t i = 0; i < reply->n_verdicts; i++) {
        enum kbv_acceptance acceptance = acceptance_of(q, query, i, &peer, now);

        if (!print_verdict(q, reply, i, acceptance, now)) {
            complain(q->self, "%s", kbv_err_text(KBV_ERR_NOMEM));
            return EXIT_NO_RESULT;
        }
        if (acceptance != KBV_ACCEPTED && acceptance != KBV_BELIEVED)
            complain(q->self, "refused: %s", kbv_acceptance_text(acceptance));
        if (i == counts)
            status = exit_status_for(q, &reply->verdicts[i], acceptance);
    }
    return status;
}

static int ask_and_show(struct query *q, const struct kbv_client *client)
{
    int status;
    struct kbv_query *query = ask_resolver(q, client, &status);
    const struct kbv_reply *reply;

    if (query == NULL)
        return status;
    reply = kbv_query_reply(query);
    if (reply->outcome == KBV_REPLY_VERDICTS && q->subject.identifier.kind == KBV_ID_NONE &&
        subject_is_spelled_in(&q->subject, &reply->verdicts[0])) {
        q->subject.identifier = reply->verdicts[0].identifier;
        kbv_query_delete(query);
        return ask_and_show(q, client); /* out of the resolver's cache, and now with its clauses */
    }
    switch (reply->outcome) {
    case KBV_REPLY_VERDICTS:
        status = show_verdicts(q, query);
        break;
    case KBV_REPLY_TXT:
        status = show_txt(q, reply);
        break;
    default:
        complain_of(q, reply);
        status = EXIT_NO_RESULT;
    }
    kbv_query_delete(query);
    return status;
}

/* ---- the command ---- */

static int run_read(struct query *q, const char *subject)
{
    struct kbv_client *client;
    int status;

    if (q->form == FORM_TXT && q->output == OUTPUT_JSON)
        return usage_error(q->self, "--form txt has its own form: no --json");
    if (!read_subject(q->self, subject, &q->subject_form, &q->subject))
        return EXIT_USAGE;
    client = make_client(q->self, &q->resolver);
    if (client == NULL)
        return EXIT_USAGE;
    status = ask_and_show(q, client);
    kbv_client_delete(client);
    return status;
}

static int read_form(struct query *q, const char *arg)
{
    static const char *const forms[] = {
        [FORM_EDNS] = "edns", [FORM_NAME] = "name", [FORM_TXT] = "txt"};

    for (size_t i = FORM_EDNS; i <= FORM_TXT; i++)
        if (strcmp(arg, forms[i]) == 0) {
            q->form = (enum form)i;
            return 0;
        }
    return usage_error(q->self, "--form %s: edns, name or txt", arg);
}

static int read_option(struct query *q, int option, const char *arg)
{
    switch (option) {
    case 'c':
    case 'e':
    case 's':
    case 'd':
        return read_key_option(q->self, option, arg, &q->request);
    case 'S':
        q->subject_form.suffix = arg;
        return 0;
    case 'L':
        q->subject_form.service = arg;
        return 0;
    case 'F':
        q->subject_form.flat = true;
        return 0;
    case 'f':
        return read_form(q, arg);
    case 'j':
    case 'q':
        if (q->output != OUTPUT_BLOCKS)
            return usage_error(q->self, "--json or --short, once");
        q->output = option == 'j' ? OUTPUT_JSON : OUTPUT_SHORT;
        return 0;
    default:
        return read_resolver_option(q->self, &q->resolver, option, arg);
    }
}

static int run_query(const struct command *self, int argc, char **argv)
{
    static const struct option options[] = {RESOLVER_OPTIONS,
                                            {"suffix", required_argument, NULL, 'S'},
                                            {"service", required_argument, NULL, 'L'},
                                            {"flat", no_argument, NULL, 'F'},
                                            {"form", required_argument, NULL, 'f'},
                                            {"chain", required_argument, NULL, 'c'},
                                            {"cert", required_argument, NULL, 'e'},
                                            {"spki", required_argument, NULL, 's'},
                                            {"spki-sha256", required_argument, NULL, 'd'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"short", no_argument, NULL, 'q'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct query q = {.self = self};
    int option, status = 0;

    while (status == 0 && (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            print_help(self);
            goto out;
        }
        status = read_option(&q, option, optarg);
    }
    if (status == 0)
        status = argc - optind == 1 ? run_read(&q, argv[optind])
                                    : usage_error(self, "one SUBJECT is needed");
out:
    free((void *)q.request.material.p);
    return status;
}

const struct command command_query = {
    .name = "query",
    .arguments = "[OPTION...] SUBJECT",
    .summary = "asks a resolver which keys are bound, or whether this one is",
    .options =
        "SUBJECT is a DNS name, or joineui:70B3D57ED0000000, netid:00050A, deveui:... with\n"
        "--suffix. Shown is what the resolver says; the exit status tells whether a program\n"
        "may act on it: from a resolver that is neither a loopback address named with\n"
        "--server nor proven by --tls-pin or --pin it may not.\n\n"
        "  --suffix S            the zone below which such identifiers are\n"
        "  --service L           ask for the label L, such as _ns-client, in front\n"
        "  --flat                a DevEUI is one label\n"
        "  --chain F             is it this one's? Certificates as the peer sent them\n"
        "  --cert F              the end entity's certificate alone\n"
        "  --spki F              its public key alone\n"
        "  --spki-sha256 HEX     the digest of its public key alone\n"
        "  --form edns|name|txt  ask with the EDNS option (default with a key), by names\n"
        "                        alone (default without), or for the readable form\n"
        "" RESOLVER_HELP "  --short               a line a verdict: status, owner, until when\n"
        "  --json                a JSON object a verdict, one a line\n",
    .run = run_query,
};
