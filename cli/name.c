/* SPDX-License-Identifier: BSD-3-Clause */
/* kbv name: from an identifier to its name. */
#include <getopt.h>

#include "cli/subject.h"

static int run_name(const struct command *self, int argc, char **argv)
{
    static const struct option options[] = {{"suffix", required_argument, NULL, 's'},
                                            {"service", required_argument, NULL, 'l'},
                                            {"flat", no_argument, NULL, 'f'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct subject_form form = {.suffix = NULL};
    uint8_t name[KBV_NAME_MAX];
    char text[KBV_NAME_TEXT_MAX];
    size_t len;
    struct kbv_id id;
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 's':
            form.suffix = optarg;
            break;
        case 'l':
            form.service = optarg;
            break;
        case 'f':
            form.flat = true;
            break;
        case 'h':
            print_help(self);
            return EXIT_ACCEPT;
        default:
            return usage_error(self, "see --help");
        }
    }
    if (argc - optind != 2 || !form.suffix)
        return usage_error(self, "KIND, VALUE and --suffix are needed");
    id.kind = kbv_id_kind_from_name(argv[optind]);
    if (id.kind == KBV_ID_NONE)
        return usage_error(self, "%s: KIND is joineui, netid or deveui", argv[optind]);
    if (kbv_id_parse(id.kind, argv[optind + 1], &id) != KBV_OK)
        return usage_error(self, "%s: a %s has %d hex digits, with - or : between octets or not",
                           argv[optind + 1], argv[optind], id.kind == KBV_ID_NETID ? 6 : 16);
    if (!name_identifier(self, &id, &form, name, &len))
        return EXIT_USAGE;
    kbv_name_to_text(name, len, text);
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
