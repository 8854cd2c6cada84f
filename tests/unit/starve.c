/* SPDX-License-Identifier: BSD-3-Clause */
/* See starve.h. */
#include "tests/unit/starve.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static struct {
    bool on, all_after;
    unsigned long count, fails_at;
} plan;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *text);

static bool fails(void)
{
    if (!plan.on)
        return false;
    plan.count++;
    return plan.fails_at != 0 &&
           (plan.all_after ? plan.count >= plan.fails_at : plan.count == plan.fails_at);
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return fails() ? NULL : __real_realloc(p, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

static void *openssl_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return fails() ? NULL : __real_malloc(size);
}

static void *openssl_realloc(void *p, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return fails() ? NULL : __real_realloc(p, size);
}

static void openssl_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    free(p);
}

bool starve_init(void)
{
    return CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) == 1;
}

void starve_begin(unsigned long fails_at, bool all_after)
{
    plan.count = 0;
    plan.fails_at = fails_at;
    plan.all_after = all_after;
    plan.on = true;
}

unsigned long starve_end(void)
{
    plan.on = false;
    return plan.count;
}

void starve_pause(bool paused)
{
    plan.on = !paused;
}
