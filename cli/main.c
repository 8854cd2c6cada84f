/* SPDX-License-Identifier: BSD-3-Clause */
/* kbv: one table of commands. */
#include "kbv_config.h"

#include <errno.h>
#include <string.h>

#include "cli/cli.h"

static const struct command *const commands[] = {
    &command_name, &command_query,   &command_explain, &command_decode, &command_verify,
    &command_tlsa, &command_publish, &command_lint,    &command_tunnel, &command_keygen,
};

enum { N_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void print_overview(void)
{
    printf("Usage: kbv COMMAND [ARGUMENTS]\n\n"
           "Key-binding verdicts: what a validating resolver says of a name and a key.\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        printf("  %-8s %s\n", commands[i]->name, commands[i]->summary);
    printf("\n'kbv COMMAND --help' tells more of one. 'kbv --version' prints the version.\n\n%s",
           exit_statuses);
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "kbv: no command; 'kbv --help' lists them\n");
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_overview();
        return EXIT_ACCEPT;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("kbv %s\n", PACKAGE_VERSION);
        return EXIT_ACCEPT;
    }
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(argv[1], commands[i]->name) == 0)
            return commands[i]->run(commands[i], argc - 1, argv + 1);
    fprintf(stderr, "kbv: no command %s; 'kbv --help' lists them\n", argv[1]);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    int status = run(argc, argv);

    /* What could not be written was not said: a full disk must not look like success. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "kbv: standard output: %s\n", strerror(errno));
        return EXIT_NO_RESULT;
    }
    return status;
}
