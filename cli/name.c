/* SPDX-License-Identifier: BSD-3-Clause */
/* kbv name: from an identifier to its name. */
#include <getopt.h>
#include <string.h>

#include "cli/cli.h"

/* Reads labels to be put in front: each begins with '_', so that the name stays a literal owner. */
static bool read_service(const char *text, uint8_t out[KBV_NAME_MAX], size_t *len)
{
    if (kbv_name_from_text(text, true, out, len) != KBV_OK || *len == 1)
        return false;
    for (const uint8_t *label = out; *label; label += 1 + *label)
        if (label[1] != '_')
            return false;
    --*len; /* without the root label: a name follows */
    return true;
}

static int run_name(const struct command *self, int argc, char **argv)
{
    static const struct option options[] = {{"suffix", required_argument, NULL, 's'},
                                            {"service", required_argument, NULL, 'l'},
                                            {"flat", no_argument, NULL, 'f'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *suffix_text = NULL, *service_text = NULL;
    uint8_t suffix[KBV_NAME_MAX], name[2 * KBV_NAME_MAX];
    char text[KBV_NAME_TEXT_MAX];
    size_t suffix_len, service_len = 0, name_len;
    bool flat = false;
    struct kbv_id id;
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 's':
            suffix_text = optarg;
            break;
        case 'l':
            service_text = optarg;
            break;
        case 'f':
            flat = true;
            break;
        case 'h':
            print_help(self);
            return EXIT_ACCEPT;
        default:
            return usage_error(self, "see --help");
        }
    }
    if (argc - optind != 2 || !suffix_text)
        return usage_error(self, "KIND, VALUE and --suffix are needed");
    id.kind = kbv_id_kind_from_name(argv[optind]);
    if (id.kind == KBV_ID_NONE)
        return usage_error(self, "%s: KIND is joineui, netid or deveui", argv[optind]);
    if (kbv_id_parse(id.kind, argv[optind + 1], &id) != KBV_OK)
        return usage_error(self, "%s: a %s has %d hex digits, with - or : between octets or not",
                           argv[optind + 1], argv[optind], id.kind == KBV_ID_NETID ? 6 : 16);
    if (kbv_name_from_text(suffix_text, true, suffix, &suffix_len) != KBV_OK)
        return usage_error(self, "%s: no domain name", suffix_text);
    if (service_text && !read_service(service_text, name, &service_len))
        return usage_error(self, "%s: a service is a label that begins with _", service_text);
    if (flat && id.kind == KBV_ID_JOINEUI)
        return usage_error(self, "a JoinEUI has one label a digit, never --flat");
    if (kbv_id_to_name(&id, !flat && id.kind != KBV_ID_NETID, suffix, suffix_len,
                       name + service_len, &name_len) != KBV_OK ||
        service_len + name_len > KBV_NAME_MAX)
        return usage_error(self, "the name would be longer than 255 octets");
    kbv_name_to_text(name, service_len + name_len, text);
    puts(text);
    return EXIT_ACCEPT;
}

const struct command command_name = {
    .name = "name",
    .arguments = "joineui|netid|deveui VALUE --suffix S [--service L] [--flat]",
    .summary = "prints the DNS name of a LoRaWAN identifier",
    .options = "VALUE is in hexadecimal, most significant digit first; a leading 0x, and - or :\n"
               "between octets, are tolerated.\n\n"
               "  --suffix S   the zone below which the identifiers of this kind are\n"
               "  --service L  put the label L, such as _ns-client, in front\n"
               "  --flat       write a DevEUI as one label\n",
    .run = run_name,
};
