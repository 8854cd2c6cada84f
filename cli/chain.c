/* SPDX-License-Identifier: BSD-3-Clause */
/* kbv explain: the way from a name to its keys, step by step, beside the resolver's verdict. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/json.h"
#include "cli/resolver.h"
#include "cli/steps.h"
#include "cli/subject.h"
#include "lib/text.h"
#include "module/core/judge.h"

enum output { OUTPUT_TREE, OUTPUT_JSON, OUTPUT_DOT };

struct explain {
    const struct command *self;
    struct subject subject;
    struct subject_form form;
    struct resolver_choice resolver;
    char ports[64]; /* of --port, with commas between */
    enum output output;
    int64_t now;
    struct kbv_client *client;
    struct kbv_query *query; /* the resolver's verdicts; NULL: none was asked for */
    struct steps steps;
    struct kbv_options *options;
    struct kbv_question question;
};

/* ---- the question ---- */

/* The zone of an identifier as unbound.conf would have it. */
static bool set_zone(struct explain *x)
{
    char suffix[KBV_NAME_TEXT_MAX], value[2 * KBV_NAME_TEXT_MAX], err[256];
    const struct kbv_id *id = &x->subject.identifier;
    size_t at = 0;
    bool nibble = false;

    if (!subject_spells(&x->subject, id, &at, &nibble))
        return false;
    kbv_name_to_text(x->subject.name + at, x->subject.len - at, suffix);
    snprintf(value, sizeof(value), "%s %s%s%s%s", suffix, kbv_id_kind_name(id->kind),
             id->kind == KBV_ID_DEVEUI && !nibble ? " form=flat" : "",
             *x->ports != '\0' ? " port=" : "", x->ports);
    if (kbv_options_set(x->options, "kbv-zone", value, err, sizeof(err)) == KBV_OK)
        return true;
    usage_error(x->self, "%s", err);
    return false;
}

static bool make_question(struct explain *x)
{
    char err[256];

    x->options = kbv_options_create();
    if (x->options == NULL) {
        complain(x->self, "%s", kbv_err_text(KBV_ERR_NOMEM));
        return false;
    }
    if (x->subject.identifier.kind != KBV_ID_NONE && !set_zone(x))
        return false;
    if (kbv_options_finish(x->options, err, sizeof(err)) != KBV_OK) {
        usage_error(x->self, "%s", err);
        return false;
    }
    kbv_question_read(x->options, x->subject.name, x->subject.len, x->options->rrtype,
                      &x->question);
    if (x->question.refusal == 0)
        return true;
    complain(x->self, "%s", x->question.reason);
    return false;
}

/* ---- the resolver ---- */

static bool push_server(ldns_resolver *r, const char *server)
{
    char address[KBV_RESOLVER_TEXT_MAX];
    const char *at = strchr(server, '@');
    const size_t len = at != NULL ? (size_t)(at - server) : strlen(server);
    unsigned long port = 53;
    ldns_rdf *rdf;
    bool ok;

    if (len >= sizeof(address) || (at != NULL && !parse_number(at + 1, 1, 65535, &port)))
        return false;
    memcpy(address, server, len);
    address[len] = '\0';
    rdf = ldns_rdf_new_frm_str(strchr(address, ':') != NULL ? LDNS_RDF_TYPE_AAAA : LDNS_RDF_TYPE_A,
                               address);
    ok = rdf != NULL && ldns_resolver_push_nameserver(r, rdf) == LDNS_STATUS_OK;
    ldns_rdf_deep_free(rdf);
    ldns_resolver_set_port(r, (uint16_t)port);
    return ok;
}

/* The steps are asked of the same resolver as the verdict, the first one named. */
static ldns_resolver *make_resolver(const struct explain *x)
{
    const int timeout_ms =
        x->resolver.timeout_ms != 0 ? x->resolver.timeout_ms : KBV_CLIENT_TIMEOUT_MS;
    ldns_resolver *r = NULL;
    bool ok;

    if (x->resolver.n_servers > 0) {
        r = ldns_resolver_new();
        ok = r != NULL && push_server(r, x->resolver.servers[0]);
    } else {
        ok = ldns_resolver_new_frm_file(&r, NULL) == LDNS_STATUS_OK;
    }
    if (!ok) {
        complain(x->self, "no resolver to ask for the steps");
        ldns_resolver_deep_free(r);
        return NULL;
    }
    ldns_resolver_set_recursive(r, true);
    ldns_resolver_set_dnssec(r, true);
    ldns_resolver_set_edns_udp_size(r, 1232);
    ldns_resolver_set_defnames(r, false);
    ldns_resolver_set_dnsrch(r, false);
    ldns_resolver_set_random(r, false);
    ldns_resolver_set_retry(r, 2);
    ldns_resolver_set_timeout(
        r, (struct timeval){.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000});
    return r;
}

/* ---- asking ---- */

static struct kbv_query *ask_verdicts(const struct explain *x)
{
    const struct kbv_ask ask = {
        .form = KBV_ASK_NAME,
        .name = {x->subject.name, x->subject.len},
        .identifier = x->subject.identifier,
    };
    enum kbv_err err;
    struct kbv_query *query = kbv_query_create(x->client, &ask, &err);

    if (query == NULL) {
        complain(x->self, "%s", kbv_err_text(err));
        return NULL;
    }
    kbv_query_wait(query);
    return query;
}

/* Asks for the verdicts; of a bare name the resolver may know that it is an identifier's. */
static bool ask(struct explain *x)
{
    const struct kbv_reply *reply;
    const struct kbv_verdict *v;

    x->client = make_client(x->self, &x->resolver);
    if (x->client == NULL)
        return false;
    x->query = ask_verdicts(x);
    if (x->query != NULL && x->subject.identifier.kind == KBV_ID_NONE) {
        reply = kbv_query_reply(x->query);
        v = &reply->verdicts[0];
        if (reply->outcome == KBV_REPLY_VERDICTS && subject_is_spelled_in(&x->subject, v)) {
            x->subject.identifier = v->identifier;
            kbv_query_delete(x->query);
            x->query = ask_verdicts(x);
        }
    }
    return x->query != NULL;
}

/* ---- the verdicts, and what the steps would have given ---- */

/* The status that the steps lead to, as the resolver would judge them with its default limits. */
static enum kbv_status status_of(const struct explain *x, size_t i)
{
    static const struct kbv_policy policy = {
        .max_ttl = 3600, .max_negative_ttl = 300, .bogus_ttl = 60, .security_level = 2};
    uint8_t *associations = malloc(KBV_ASSOCIATIONS_MAX);
    uint8_t names[KBV_REFERENCE_NAMES_MAX * KBV_NAME_MAX];
    struct kbv_verdict v = {.status = KBV_STATUS_TEMPFAIL};

    if (associations != NULL)
        kbv_judge_base(&x->steps.evidence[i], &policy, x->now, associations, KBV_ASSOCIATIONS_MAX,
                       names, &v);
    free(associations);
    return v.status;
}

/* True if the steps lead to the same endpoints and statuses as the resolver's verdicts. What the
 * resolver is told in its configuration (kbv-require-secure, a CA bundle) is not seen in steps. */
static bool agree(const struct explain *x)
{
    const struct kbv_reply *reply = kbv_query_reply(x->query);

    if (reply->outcome != KBV_REPLY_VERDICTS || reply->n_verdicts != x->steps.n_evidence)
        return false;
    for (size_t i = 0; i < reply->n_verdicts; i++) {
        const struct kbv_evidence *e = &x->steps.evidence[i];
        const struct kbv_verdict *v = &reply->verdicts[i];

        if (!kbv_name_equal(e->owner.p, e->owner.len, v->owner.p, v->owner.len) ||
            status_of(x, i) != v->status)
            return false;
    }
    return true;
}

/* Why the verdict is what it is, in one sentence. */
static void why(const struct kbv_verdict *v, char out[KBV_REASON_MAX + 1])
{
    if (v->reason.p != NULL)
        kbv_reason_text(v->reason, out);
    else if (v->status == KBV_STATUS_PUBLISHED)
        snprintf(out, KBV_REASON_MAX + 1, "every step is secure; these keys are bound");
    else
        snprintf(out, KBV_REASON_MAX + 1, "%s", kbv_status_text(v->status));
}

/* ---- the tree ---- */

static const char *type_name(uint16_t type)
{
    switch (type) {
    case KBV_TYPE_A:
        return "A";
    case KBV_TYPE_AAAA:
        return "AAAA";
    case KBV_TYPE_NAPTR:
        return "NAPTR";
    case KBV_TYPE_SRV:
        return "SRV";
    case KBV_TYPE_TLSA:
        return "TLSA";
    default:
        return "?";
    }
}

static void print_step(const struct step *step, int depth)
{
    char name[KBV_NAME_TEXT_MAX], time[KBV_TIME_TEXT_LEN], *record;

    kbv_name_to_text(step->ask.name, step->ask.name_len, name);
    printf("%*s%s %s  %s", 2 * depth, "", type_name(step->ask.type), name, step_security(step));
    if (!step->arrived || step->pkt == NULL || ldns_pkt_get_rcode(step->pkt) != LDNS_RCODE_NOERROR)
        printf(", %s", step_rcode(step));
    if (step->arrived && (ldns_rr_list_rr_count(ldns_pkt_answer(step->pkt)) == 0))
        printf(", no such records");
    if (step->arrived)
        printf(", TTL %u", step->ttl);
    if (step->signed_until != 0) {
        kbv_time_text((uint32_t)step->signed_until, time);
        printf(", signed until %s", time);
    }
    putchar('\n');
    for (size_t i = 0; (record = step_record(step, i)) != NULL; i++) {
        printf("%*s%s%s\n", 2 * depth + 4, "", record, step->arrived ? "" : "  (not proven)");
        free(record);
    }
    if (*step->ede != '\0')
        printf("%*s%s\n", 2 * depth + 4, "", step->ede);
}

static void print_below(const struct explain *x, int parent, int depth)
{
    for (size_t i = 0; i < x->steps.n; i++)
        if (x->steps.step[i].parent == parent) {
            print_step(&x->steps.step[i], depth);
            print_below(x, (int)i, depth + 1);
        }
}

static void print_verdict(const struct kbv_verdict *v)
{
    char owner[KBV_NAME_TEXT_MAX], time[KBV_TIME_TEXT_LEN], sentence[KBV_REASON_MAX + 1];

    kbv_name_to_text(v->owner.p, v->owner.len, owner);
    kbv_time_text(v->not_after, time);
    why(v, sentence);
    printf("%s %s until %s\n    because: %s\n", kbv_status_name(v->status), owner, time, sentence);
}

static void print_tree(const struct explain *x)
{
    const struct kbv_reply *reply = kbv_query_reply(x->query);
    char text[KBV_NAME_TEXT_MAX];

    kbv_name_to_text(x->subject.name, x->subject.len, text);
    printf("%s", text);
    if (x->subject.identifier.kind != KBV_ID_NONE) {
        kbv_id_text(&x->subject.identifier, text);
        printf("  (%s %s)", kbv_id_kind_name(x->subject.identifier.kind), text);
    }
    putchar('\n');
    print_below(x, -1, 1);
    for (size_t i = 0; i < reply->n_verdicts; i++)
        print_verdict(&reply->verdicts[i]);
    if (reply->outcome != KBV_REPLY_VERDICTS)
        printf("no verdict: %s%s%s\n", kbv_reply_outcome_text(reply->outcome),
               *reply->error != '\0' ? ": " : "", reply->error);
    else if (!agree(x))
        printf(
            "The steps, asked now, would give another verdict: it was judged earlier, or by\n"
            "settings of the resolver (kbv-require-secure, kbv-ca-bundle, its list of zones).\n");
}

/* ---- JSON ---- */

static json_t *step_object(const struct step *step)
{
    char name[KBV_NAME_TEXT_MAX], time[KBV_TIME_TEXT_LEN] = "", *record;
    json_t *records = json_array();
    bool ok = records != NULL;

    kbv_name_to_text(step->ask.name, step->ask.name_len, name);
    if (step->signed_until != 0)
        kbv_time_text((uint32_t)step->signed_until, time);
    for (size_t i = 0; ok && (record = step_record(step, i)) != NULL; i++) {
        ok = json_array_append_new(records, json_string(record)) == 0;
        free(record);
    }
    if (!ok) {
        json_decref(records);
        return NULL;
    }
    return json_pack("{s:o, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "parent",
                     step->parent < 0 ? json_null() : json_integer(step->parent), "name", name,
                     "type", type_name(step->ask.type), "security", step_security(step), "rcode",
                     step_rcode(step), "ttl", step->arrived ? json_integer(step->ttl) : json_null(),
                     "signed_until", *time != '\0' ? json_string(time) : json_null(), "ede",
                     *step->ede != '\0' ? json_string(step->ede) : json_null(), "records", records);
}

static json_t *steps_array(const struct explain *x)
{
    json_t *list = json_array();

    for (size_t i = 0; i < x->steps.n; i++)
        if (json_array_append_new(list, step_object(&x->steps.step[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *verdicts_array(const struct explain *x)
{
    const struct kbv_reply *reply = kbv_query_reply(x->query);
    char sentence[KBV_REASON_MAX + 1];
    json_t *list = json_array();

    for (size_t i = 0; i < reply->n_verdicts; i++) {
        json_t *v = verdict_object(&reply->verdicts[i], reply->signatures[i]);

        why(&reply->verdicts[i], sentence);
        if (v == NULL || json_object_set_new(v, "because", json_string(sentence)) != 0 ||
            json_array_append_new(list, v) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static bool print_as_json(const struct explain *x)
{
    char name[KBV_NAME_TEXT_MAX], *line;
    json_t *object;

    kbv_name_to_text(x->subject.name, x->subject.len, name);
    object = json_pack("{s:s, s:o, s:o, s:b}", "subject", name, "steps", steps_array(x), "verdicts",
                       verdicts_array(x), "agree", agree(x));
    line = object != NULL ? json_dumps(object, JSON_ENSURE_ASCII) : NULL;
    if (line != NULL)
        puts(line);
    free(line);
    json_decref(object);
    return line != NULL;
}

/* ---- a graph for dot(1) ---- */

static void print_quoted(const char *text)
{
    for (; *text != '\0'; text++)
        printf(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
}

static void print_dot(const struct explain *x)
{
    static const char *const colours[] = {[KBV_SEC_SECURE] = "palegreen",
                                          [KBV_SEC_INSECURE] = "khaki",
                                          [KBV_SEC_BOGUS] = "salmon",
                                          [KBV_SEC_UNCHECKED] = "lightgrey",
                                          [KBV_SEC_INDETERMINATE] = "lightgrey"};
    const struct kbv_reply *reply = kbv_query_reply(x->query);
    char text[KBV_NAME_TEXT_MAX], sentence[KBV_REASON_MAX + 1], *record;

    kbv_name_to_text(x->subject.name, x->subject.len, text);
    printf("digraph kbv {\n  rankdir=LR;\n  node [shape=box, style=filled];\n  q [label=\"");
    print_quoted(text);
    printf("\", fillcolor=white];\n");
    for (size_t i = 0; i < x->steps.n; i++) {
        const struct step *step = &x->steps.step[i];

        kbv_name_to_text(step->ask.name, step->ask.name_len, text);
        printf("  s%zu [fillcolor=%s, label=\"%s ", i, colours[step->security],
               type_name(step->ask.type));
        print_quoted(text);
        printf("\\n%s", step_security(step));
        for (size_t j = 0; (record = step_record(step, j)) != NULL; j++) {
            printf("\\l");
            print_quoted(record);
            free(record);
        }
        printf("\\l\"];\n");
        if (step->parent < 0)
            printf("  q -> s%zu;\n", i);
        else
            printf("  s%d -> s%zu;\n", step->parent, i);
    }
    for (size_t i = 0; i < reply->n_verdicts; i++) {
        const struct kbv_verdict *v = &reply->verdicts[i];

        kbv_name_to_text(v->owner.p, v->owner.len, text);
        why(v, sentence);
        printf("  v%zu [shape=ellipse, fillcolor=white, label=\"%s\\n", i,
               kbv_status_name(v->status));
        print_quoted(text);
        printf("\\n");
        print_quoted(sentence);
        printf("\"];\n");
        for (size_t j = 0; j < x->steps.n; j++)
            if (kbv_name_equal(x->steps.step[j].ask.name, x->steps.step[j].ask.name_len, v->owner.p,
                               v->owner.len) &&
                x->steps.step[j].ask.type == KBV_TYPE_TLSA)
                printf("  s%zu -> v%zu;\n", j, i);
    }
    printf("}\n");
}

/* ---- the command ---- */

static int show(const struct explain *x)
{
    const struct kbv_reply *reply = kbv_query_reply(x->query);
    size_t counts;

    switch (x->output) {
    case OUTPUT_TREE:
        print_tree(x);
        break;
    case OUTPUT_DOT:
        print_dot(x);
        break;
    case OUTPUT_JSON:
        if (!print_as_json(x)) {
            complain(x->self, "%s", kbv_err_text(KBV_ERR_NOMEM));
            return EXIT_NO_RESULT;
        }
    }
    if (reply->outcome != KBV_REPLY_VERDICTS) {
        complain(x->self, "%s", kbv_reply_outcome_text(reply->outcome));
        return EXIT_NO_RESULT;
    }
    counts = kbv_verdict_select(reply->verdicts, reply->n_verdicts, false);
    if (kbv_query_believe(x->query, counts, x->now) != KBV_BELIEVED) {
        complain(x->self, "refused: %s",
                 kbv_acceptance_text(kbv_query_believe(x->query, counts, x->now)));
        return EXIT_NO_RESULT;
    }
    if (reply->verdicts[counts].flags & KBV_FLAG_KEYED) { /* and nobody presented a key */
        complain(x->self, "refused: %s", kbv_acceptance_text(KBV_REFUSED_SUBJECT));
        return EXIT_NO_RESULT;
    }
    return exit_status_of(&reply->verdicts[counts]);
}

static int run_read(struct explain *x, const char *subject)
{
    ldns_resolver *r;
    int status = EXIT_NO_RESULT;

    if (x->resolver.has_tls_pin)
        return usage_error(x->self, "the steps are asked for over UDP and TCP: no --tls-pin");
    if (!read_subject(x->self, subject, &x->form, &x->subject))
        return EXIT_USAGE;
    r = make_resolver(x);
    if (r == NULL)
        return EXIT_USAGE;
    if (ask(x) && make_question(x)) {
        x->now = (int64_t)time(NULL);
        if (steps_walk(&x->steps, r, &x->question, x->now))
            status = show(x);
        else
            complain(x->self, "%s", kbv_err_text(KBV_ERR_NOMEM));
    }
    ldns_resolver_deep_free(r);
    return status;
}

static int read_port(struct explain *x, const char *arg)
{
    unsigned long port;
    const size_t len = strlen(x->ports);

    if (!parse_number(arg, 1, 65535, &port))
        return usage_error(x->self, "--port %s: a number of 1 to 65535", arg);
    if (snprintf(x->ports + len, sizeof(x->ports) - len, "%s%lu", len > 0 ? "," : "", port) >=
        (int)(sizeof(x->ports) - len))
        return usage_error(x->self, "--port: too many");
    return 0;
}

static int read_option(struct explain *x, int option, const char *arg)
{
    switch (option) {
    case 'S':
        x->form.suffix = arg;
        return 0;
    case 'L':
        x->form.service = arg;
        return 0;
    case 'F':
        x->form.flat = true;
        return 0;
    case 'P':
        return read_port(x, arg);
    case 'j':
    case 'd':
        if (x->output != OUTPUT_TREE)
            return usage_error(x->self, "--json or --dot, once");
        x->output = option == 'j' ? OUTPUT_JSON : OUTPUT_DOT;
        return 0;
    default:
        return read_resolver_option(x->self, &x->resolver, option, arg);
    }
}

static int run_explain(const struct command *self, int argc, char **argv)
{
    static const struct option options[] = {RESOLVER_OPTIONS,
                                            {"suffix", required_argument, NULL, 'S'},
                                            {"service", required_argument, NULL, 'L'},
                                            {"flat", no_argument, NULL, 'F'},
                                            {"port", required_argument, NULL, 'P'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"dot", no_argument, NULL, 'd'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct explain *x = calloc(1, sizeof(*x));
    int option, status = 0;

    if (x == NULL) {
        complain(self, "%s", kbv_err_text(KBV_ERR_NOMEM));
        return EXIT_NO_RESULT;
    }
    x->self = self;
    while (status == 0 && (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            print_help(self);
            goto out;
        }
        status = read_option(x, option, optarg);
    }
    if (status == 0)
        status = argc - optind == 1 ? run_read(x, argv[optind])
                                    : usage_error(self, "one SUBJECT is needed");
out:
    steps_clear(&x->steps);
    kbv_query_delete(x->query);
    kbv_client_delete(x->client);
    kbv_options_delete(x->options);
    free(x);
    return status;
}

const struct command command_explain = {
    .name = "explain",
    .arguments = "[OPTION...] SUBJECT",
    .summary = "shows the way from a name to its keys, and why the verdict is what it is",
    .options =
        "Asks the resolver for its verdicts and then, one by one, for the records that they\n"
        "rest on. What is secure is the resolver's word (its AD bit): nothing is validated\n"
        "here, and nothing should be accepted because of what is shown.\n\n"
        "  --suffix S            the zone below which such identifiers are\n"
        "  --service L           ask for the label L, such as _ns-client, in front\n"
        "  --flat                a DevEUI is one label\n"
        "  --port N              of hosts for which no SRV record names one; repeatable\n"
        "" RESOLVER_HELP "  --json                one JSON object on one line\n"
        "  --dot                 a graph for dot(1)\n",
    .run = run_explain,
};
