/* SPDX-License-Identifier: BSD-3-Clause */
/* kbv publish: the zone lines that make an identifier reachable and bound. */
#include <arpa/inet.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli/association.h"
#include "cli/subject.h"
#include "lib/text.h"

enum {
    HOSTS_MAX = 8, /* as many as resolvers look at */
    ADDRESSES_MAX = 16,
    HTTPS = 443,
    NAPTR_ORDER = 50, /* as in the examples of TS002 */
    NAPTR_STEP = 10,
};

/* How an identifier leads to its hosts. */
enum way {
    WAY_UNSET,
    WAY_SRV,      /* NAPTR to SRV to the host, with its port */
    WAY_HOST,     /* NAPTR to the host */
    WAY_CNAME,    /* the identifier's name is an alias of the host */
    WAY_ADDRESS,  /* it has the host's addresses */
    WAY_IDENTITY, /* no host: the records are the identifier's own */
    WAY_CLIENT,   /* no host: a client proves to be it */
};

static const char *const way_names[] = {
    [WAY_SRV] = "srv", [WAY_HOST] = "host", [WAY_CNAME] = "cname", [WAY_ADDRESS] = "address"};

struct host {
    uint8_t name[KBV_NAME_MAX];
    size_t len;
    uint16_t port;
};

struct arguments {
    struct associations tlsa;
    struct kbv_id id;
    bool flat, client;
    const char *suffix_text;
    uint8_t name[KBV_NAME_MAX]; /* of the identifier, or of its client */
    size_t name_len;
    uint8_t service[KBV_NAME_MAX]; /* the owner of SRV */
    size_t service_len;
    const char *service_domain;
    enum way way;
    struct host hosts[HOSTS_MAX];
    size_t n_hosts;
    const char *addresses[ADDRESSES_MAX];
    size_t n_addresses;
    const char *ttl;
    const char *only; /* "registry" or "operator"; NULL: both */
};

/* ---- printing ---- */

/* "NAME [TTL] IN " */
static void begin_line(const struct arguments *q, const uint8_t *name, size_t len)
{
    char text[KBV_NAME_TEXT_MAX];

    kbv_name_to_text(name, len, text);
    printf("%s %s%sIN ", text, q->ttl != NULL ? q->ttl : "", q->ttl != NULL ? " " : "");
}

static void print_addresses(const struct arguments *q, const uint8_t *name, size_t len)
{
    for (size_t i = 0; i < q->n_addresses; i++) {
        begin_line(q, name, len);
        printf("%s %s\n", strchr(q->addresses[i], ':') != NULL ? "AAAA" : "A", q->addresses[i]);
    }
}

static void print_naptr(const struct arguments *q, size_t i, char flag, const uint8_t *to,
                        size_t to_len)
{
    char text[KBV_NAME_TEXT_MAX];

    kbv_name_to_text(to, to_len, text);
    begin_line(q, q->name, q->name_len);
    printf("NAPTR %d %zu \"%c\" \"LWNS\" \"\" %s\n", NAPTR_ORDER, NAPTR_ORDER + NAPTR_STEP * i,
           flag, text);
}

static bool print_tlsa(struct arguments *q, const uint8_t *host, size_t len, uint16_t port)
{
    uint8_t owner[KBV_NAME_MAX];
    size_t owner_len;

    if (kbv_name_tlsa_owner(port, host, len, owner, &owner_len) != KBV_OK) {
        complain(q->tlsa.self, "the owner of a TLSA record would be longer than 255 octets");
        return false;
    }
    return associations_print(&q->tlsa, owner, owner_len, q->ttl);
}

/* What belongs into the zone that holds the identifiers. */
static bool print_registry(struct arguments *q)
{
    char text[KBV_NAME_TEXT_MAX];
    const struct host *first = &q->hosts[0];

    printf("; registry: for the zone that holds %s\n", q->suffix_text);
    switch (q->way) {
    case WAY_SRV:
        print_naptr(q, 0, 'S', q->service, q->service_len);
        return true;
    case WAY_HOST:
        for (size_t i = 0; i < q->n_hosts; i++)
            print_naptr(q, i, 'A', q->hosts[i].name, q->hosts[i].len);
        return true;
    case WAY_CNAME:
        kbv_name_to_text(first->name, first->len, text);
        begin_line(q, q->name, q->name_len);
        printf("CNAME %s\n", text);
        return true;
    case WAY_ADDRESS:
        print_addresses(q, q->name, q->name_len);
        return print_tlsa(q, q->name, q->name_len, HTTPS);
    case WAY_UNSET:
    case WAY_IDENTITY:
    case WAY_CLIENT:
        break;
    }
    return associations_print(&q->tlsa, q->name, q->name_len, q->ttl);
}

/* What belongs into the zone of whoever runs the hosts. */
static bool print_operator(struct arguments *q)
{
    printf("; operator: for the zone that holds the hosts\n");
    for (size_t i = 0; q->way == WAY_SRV && i < q->n_hosts; i++) {
        char text[KBV_NAME_TEXT_MAX];

        kbv_name_to_text(q->hosts[i].name, q->hosts[i].len, text);
        begin_line(q, q->service, q->service_len);
        printf("SRV %zu 1 %u %s\n", i, q->hosts[i].port, text);
    }
    for (size_t i = 0; i < q->n_hosts; i++) {
        print_addresses(q, q->hosts[i].name, q->hosts[i].len);
        if (!print_tlsa(q, q->hosts[i].name, q->hosts[i].len, q->hosts[i].port))
            return false;
    }
    return true;
}

static bool wants(const struct arguments *q, const char *part)
{
    return q->only == NULL || strcmp(q->only, part) == 0;
}

static int print_zones(struct arguments *q)
{
    const bool hosts = q->way == WAY_SRV || q->way == WAY_HOST || q->way == WAY_CNAME;

    if (wants(q, "registry") && !print_registry(q))
        return EXIT_NO_RESULT;
    if (hosts && wants(q, "operator") && !print_operator(q))
        return EXIT_NO_RESULT;
    return EXIT_ACCEPT;
}

/* ---- what fits together ---- */

static int check_hosts(const struct arguments *q)
{
    const struct command *self = q->tlsa.self;

    if (q->way == WAY_IDENTITY || q->way == WAY_CLIENT || q->way == WAY_ADDRESS) {
        if (q->n_hosts != 0)
            return usage_error(self, "--host: the records stand at the identifier's own name here");
        if (q->way == WAY_ADDRESS && q->n_addresses == 0)
            return usage_error(self, "--by address needs --address");
        return 0;
    }
    if (q->n_hosts == 0)
        return usage_error(self, "--host is needed");
    if (q->way == WAY_CNAME && q->n_hosts != 1)
        return usage_error(self, "--by cname leads to one host");
    if (q->n_addresses != 0 && q->n_hosts != 1)
        return usage_error(self, "--address: of which of the hosts?");
    for (size_t i = 0; q->way != WAY_SRV && i < q->n_hosts; i++)
        if (q->hosts[i].port != HTTPS)
            complain(self,
                     "warning: port %u is not in the DNS this way: resolvers need port=%u in their "
                     "kbv-zone; --by srv tells it",
                     q->hosts[i].port, q->hosts[i].port);
    return 0;
}

/* RFC 7671 section 7 and discovery: the names that a certificate must carry. */
static void warn_of_names(const struct arguments *q)
{
    if (q->tlsa.usage == 3)
        return;
    if (q->way == WAY_ADDRESS && q->id.kind == KBV_ID_JOINEUI)
        complain(q->tlsa.self,
                 "warning: the certificate must be for the JoinEUI's name, and public "
                 "CAs issue none for so many labels");
    if (q->way == WAY_CNAME)
        complain(q->tlsa.self, "warning: clients such as ChirpStack send the identifier's name as "
                               "SNI, where the certificate is for the host; usage 3 looks at none");
    if (q->way == WAY_CLIENT)
        complain(q->tlsa.self, "warning: the certificate must be for the whole name with its "
                               "underscore, and public CAs issue none");
}

/* The SRV owner: _lwn._j2h of the service domain, by default the one above the first host. */
static int find_service(struct arguments *q)
{
    static const uint8_t labels[] = "\004_lwn\004_j2h", labels_netid[] = "\004_lwn\004_n2h";
    const struct host *first = &q->hosts[0];
    const size_t n = sizeof(labels) - 1;
    uint8_t domain[KBV_NAME_MAX];
    size_t len = 0;

    if (q->service_domain != NULL) {
        if (kbv_name_from_text(q->service_domain, true, domain, &len) != KBV_OK)
            return usage_error(q->tlsa.self, "--service-domain %s: no domain name",
                               q->service_domain);
    } else {
        len = first->len - 1 - first->name[0];
        memcpy(domain, first->name + 1 + first->name[0], len);
    }
    if (n + len > KBV_NAME_MAX)
        return usage_error(q->tlsa.self, "the name of the service would be longer than 255 octets");
    memcpy(q->service, q->id.kind == KBV_ID_NETID ? labels_netid : labels, n);
    memcpy(q->service + n, domain, len);
    q->service_len = n + len;
    return 0;
}

/* Where the TLSA records are: what is nonsense there. */
static int check_records(struct arguments *q)
{
    uint8_t owner[KBV_NAME_MAX];
    size_t len;
    int status = 0;

    if (q->way == WAY_IDENTITY || q->way == WAY_CLIENT)
        return associations_check(&q->tlsa, q->name, q->name_len);
    if (q->way == WAY_ADDRESS)
        return kbv_name_tlsa_owner(HTTPS, q->name, q->name_len, owner, &len) == KBV_OK
                   ? associations_check(&q->tlsa, owner, len)
                   : usage_error(q->tlsa.self, "the name would be longer than 255 octets");
    for (size_t i = 0; status == 0 && i < q->n_hosts; i++) {
        if (kbv_name_tlsa_owner(q->hosts[i].port, q->hosts[i].name, q->hosts[i].len, owner, &len) !=
            KBV_OK)
            status = usage_error(q->tlsa.self, "the name would be longer than 255 octets");
        else if (i == 0 || q->tlsa.usage == 1) /* which alone looks at the owner */
            status = associations_check(&q->tlsa, owner, len);
    }
    return status;
}

static int publish(struct arguments *q)
{
    const struct command *self = q->tlsa.self;
    int status;

    if (q->flat && q->id.kind != KBV_ID_DEVEUI)
        return usage_error(self, "--flat is for DevEUIs");
    if (q->tlsa.n_keys == 0)
        return usage_error(self, "--cert or --spki is needed");
    if ((q->client || q->id.kind == KBV_ID_DEVEUI) && q->way != WAY_UNSET)
        return usage_error(self, "--by: the records stand at the identifier's own name here");
    if (q->way == WAY_UNSET)
        q->way = q->client                     ? WAY_CLIENT
                 : q->id.kind == KBV_ID_DEVEUI ? WAY_IDENTITY
                 : q->id.kind == KBV_ID_NETID  ? WAY_HOST
                                               : WAY_SRV;
    status = check_hosts(q);
    if (status == 0 && q->way == WAY_SRV)
        status = find_service(q);
    if (status == 0)
        status = check_records(q);
    if (status != 0)
        return status;
    warn_of_names(q);
    return print_zones(q);
}

/* ---- arguments ---- */

/* The identifier, and the name where its records are. */
static int find_name(struct arguments *q, const char *text)
{
    struct subject_form form = {.suffix = q->suffix_text, .flat = q->flat};
    struct subject subject;

    if (q->suffix_text == NULL)
        return usage_error(q->tlsa.self, "--suffix is needed");
    if (!read_subject(q->tlsa.self, text, &form, &subject))
        return EXIT_USAGE;
    if (subject.identifier.kind == KBV_ID_NONE)
        return usage_error(q->tlsa.self, "%s: no identifier", text);
    q->id = subject.identifier;
    form.service = q->client ? "_ns-client" : NULL;
    return name_identifier(q->tlsa.self, &q->id, &form, q->name, &q->name_len) ? 0 : EXIT_USAGE;
}

/* HOST[:PORT] */
static int add_host(struct arguments *q, const char *text)
{
    struct host *h = &q->hosts[q->n_hosts];
    const char *colon = strrchr(text, ':');
    const size_t len = colon != NULL ? (size_t)(colon - text) : strlen(text);
    char name[KBV_NAME_TEXT_MAX];
    unsigned long port = HTTPS;

    if (q->n_hosts == HOSTS_MAX)
        return usage_error(q->tlsa.self, "--host: resolvers look at %d", HOSTS_MAX);
    if (len >= sizeof(name) || (colon != NULL && !parse_number(colon + 1, 1, UINT16_MAX, &port)))
        return usage_error(q->tlsa.self, "--host %s: expected HOST or HOST:PORT", text);
    memcpy(name, text, len);
    name[len] = '\0';
    if (kbv_name_from_text(name, true, h->name, &h->len) != KBV_OK || h->len == 1)
        return usage_error(q->tlsa.self, "--host %s: no domain name", text);
    h->port = (uint16_t)port;
    q->n_hosts++;
    return 0;
}

static int add_address(struct arguments *q, const char *text)
{
    uint8_t octets[16];

    if (q->n_addresses == ADDRESSES_MAX)
        return usage_error(q->tlsa.self, "--address: at most %d", ADDRESSES_MAX);
    if (inet_pton(AF_INET, text, octets) != 1 && inet_pton(AF_INET6, text, octets) != 1)
        return usage_error(q->tlsa.self, "--address %s: no IP address", text);
    q->addresses[q->n_addresses++] = text;
    return 0;
}

static int read_way(struct arguments *q, const char *text)
{
    for (size_t i = WAY_SRV; i <= WAY_ADDRESS; i++)
        if (strcmp(text, way_names[i]) == 0) {
            q->way = (enum way)i;
            return 0;
        }
    return usage_error(q->tlsa.self, "--by %s: expected srv, host, cname or address", text);
}

static int read_option(struct arguments *q, int option, const char *arg)
{
    const struct command *self = q->tlsa.self;
    unsigned long number;

    switch (option) {
    case 'x':
        q->suffix_text = arg;
        return 0;
    case 'H':
        return add_host(q, arg);
    case 'a':
        return add_address(q, arg);
    case 'b':
        return read_way(q, arg);
    case 'd':
        q->service_domain = arg;
        return 0;
    case 'c':
        return associations_file(&q->tlsa, KBV_MATERIAL_CERT, arg);
    case 'k':
        return associations_file(&q->tlsa, KBV_MATERIAL_SPKI, arg);
    case 'u':
    case 's':
    case 'm':
        return associations_number(&q->tlsa, option, arg);
    case 'C':
        q->client = true;
        return 0;
    case 'f':
        q->flat = true;
        return 0;
    case 'o':
        q->only = arg;
        return strcmp(arg, "registry") == 0 || strcmp(arg, "operator") == 0
                   ? 0
                   : usage_error(self, "--only %s: expected registry or operator", arg);
    case 't':
        q->ttl = arg;
        return parse_number(arg, 0, INT32_MAX, &number)
                   ? 0
                   : usage_error(self, "--ttl %s: expected seconds", arg);
    default:
        return usage_error(self, "see --help");
    }
}

static int run_options(struct arguments *q, int argc, char **argv)
{
    static const struct option options[] = {{"suffix", required_argument, NULL, 'x'},
                                            {"host", required_argument, NULL, 'H'},
                                            {"address", required_argument, NULL, 'a'},
                                            {"by", required_argument, NULL, 'b'},
                                            {"service-domain", required_argument, NULL, 'd'},
                                            {"cert", required_argument, NULL, 'c'},
                                            {"next-cert", required_argument, NULL, 'c'},
                                            {"spki", required_argument, NULL, 'k'},
                                            {"usage", required_argument, NULL, 'u'},
                                            {"selector", required_argument, NULL, 's'},
                                            {"mtype", required_argument, NULL, 'm'},
                                            {"client", no_argument, NULL, 'C'},
                                            {"flat", no_argument, NULL, 'f'},
                                            {"only", required_argument, NULL, 'o'},
                                            {"ttl", required_argument, NULL, 't'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option, status = 0;

    while (status == 0 && (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            print_help(q->tlsa.self);
            return EXIT_ACCEPT;
        }
        status = read_option(q, option, optarg);
    }
    if (status != 0)
        return status;
    if (argc - optind != 1)
        return usage_error(q->tlsa.self, "an identifier is needed, and nothing else");
    status = find_name(q, argv[optind]);
    return status == 0 ? publish(q) : status;
}

static int run_publish(const struct command *self, int argc, char **argv)
{
    struct arguments q = {.tlsa = associations_begin(self)};
    int status = run_options(&q, argc, argv);

    associations_end(&q.tlsa);
    return status;
}

const struct command command_publish = {
    .name = "publish",
    .arguments = "joineui:EUI|netid:ID|deveui:EUI --suffix S [--host H[:PORT]]... --cert F...",
    .summary = "prints the zone lines that make an identifier reachable and bound",
    .options =
        "Lines for two zones, told apart by comments: the registry's, which holds the "
        "identifiers,\n"
        "and the operator's, which holds the hosts.\n\n"
        "  --suffix S          where the registry keeps identifiers of this kind\n"
        "  --host H[:PORT]     a server, port 443 by default; repeatable, the preferred one first\n"
        "  --cert F            the servers' certificate, or with --client the client's; with\n"
        "                      --usage 2 the CA's. Repeatable: each is bound\n"
        "  --next-cert F       the certificate to come, the same as another --cert\n"
        "  --spki F            a public key alone\n"
        "  --by WAY            srv: NAPTR and SRV (default for a JoinEUI); host: NAPTR (default\n"
        "                      for a NetID); cname, address: the name itself, as ChirpStack asks\n"
        "  --service-domain D  where SRV stands, default: the domain above the first host\n"
        "  --address IP        an address of the host; repeatable\n"
        "  --client            the identifier's client key, at _ns-client.NAME\n"
        "  --flat              a DevEUI as one label\n"
        "  --usage, --selector, --mtype   as of kbv tlsa, default 3 1 1\n"
        "  --ttl N             seconds; default: the zones'\n"
        "  --only PART         registry or operator\n",
    .run = run_publish,
};
