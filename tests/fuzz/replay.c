/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a fuzz target over its corpus without a fuzzer: main() for every tests/fuzz/fuzz_NAME.c.
 * The corpus is tests/fuzz/corpus/NAME below $srcdir, or the files and folders given. Each input is
 * one test in TAP; an input that breaks the target ends the program before its "ok".
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static unsigned n_run, n_failed;

static void result(int ok, const char *path)
{
    n_run++;
    n_failed += !ok;
    printf("%s %u - %s\n", ok ? "ok" : "not ok", n_run, path);
    fflush(stdout);
}

/* The input gets storage of exactly its size, so that a sanitizer sees one octet too many. */
static int run_file(const char *path, size_t len)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(len != 0 ? len : 1);
    int ok = f != NULL && data != NULL && fread(data, 1, len, f) == len;

    if (ok) {
        printf("# %s\n", path);
        fflush(stdout);
        LLVMFuzzerTestOneInput(data, len);
    }
    free(data);
    if (f != NULL)
        fclose(f);
    return ok;
}

static void run_path(const char *path)
{
    struct stat st;
    struct dirent **entries;
    int n;

    if (stat(path, &st) != 0) {
        printf("# %s: %s\n", path, strerror(errno));
        result(0, path);
        return;
    }
    if (!S_ISDIR(st.st_mode)) {
        result(run_file(path, (size_t)st.st_size), path);
        return;
    }
    n = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char inner[4096];

        snprintf(inner, sizeof(inner), "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            run_path(inner);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

int main(int argc, char **argv)
{
    const char *srcdir = getenv("srcdir");
    const char *name = strrchr(argv[0], '/');
    char corpus[4096];

    name = name != NULL ? name + 1 : argv[0];
    name = strncmp(name, "lt-", 3) == 0 ? name + 3 : name;
    name = strncmp(name, "fuzz_", 5) == 0 ? name + 5 : name;
    if (argc < 2) {
        snprintf(corpus, sizeof(corpus), "%s/tests/fuzz/corpus/%s", srcdir != NULL ? srcdir : ".",
                 name);
        run_path(corpus);
    }
    for (int i = 1; i < argc; i++)
        run_path(argv[i]);
    printf("1..%u\n", n_run);
    if (n_run == 0)
        fprintf(stderr, "%s: no input to replay\n", argv[0]);
    return n_run == 0 || n_failed != 0;
}
