/* SPDX-License-Identifier: BSD-3-Clause */
/* What unbound-control can tell the module, and ask it. */
#include "config.h"

#include <string.h>

#include "util/module.h"

#include "kbv_unbound.h"
#include "kbvmod.h"

/* Unbound's own commands take blanks so. */
static const char blank[] = " \t";

/* The running module, or the reason why there is none. */
static struct kbv_module *module_or_error(struct module_env *env, kbv_say_func_type *say, void *to)
{
    struct kbv_module *m = kbv_module_of(env);

    if (!m)
        (void)say(to, "error: kbv is not in module-config\n");
    return m;
}

/* The one name in arguments; false, and it is said why: there are more, or it is none. */
static bool read_name(const char *arguments, uint8_t name[KBV_NAME_MAX], size_t *len,
                      kbv_say_func_type *say, void *to)
{
    char text[KBV_NAME_TEXT_MAX];
    size_t n = strcspn(arguments, blank);

    if (arguments[n + strspn(arguments + n, blank)] != 0) {
        (void)say(to, "error: kbv_flush takes one name, or none for all verdicts\n");
        return false;
    }
    if (n < sizeof(text)) {
        memcpy(text, arguments, n);
        text[n] = 0;
        if (kbv_name_from_text(text, true, name, len) == KBV_OK)
            return true;
    }
    (void)say(to, "error: not a domain name\n");
    return false;
}

void kbv_control_flush(struct module_env *env, const char *arguments, kbv_say_func_type *say,
                       void *to)
{
    struct kbv_module *m = module_or_error(env, say, to);
    uint8_t name[KBV_NAME_MAX];
    struct kbv_question q;
    char line[64];
    size_t len, n;

    if (!m)
        return;
    if (*arguments == 0) {
        n = kbv_reply_forget(env, m, NULL, 0);
    } else {
        if (!read_name(arguments, name, &len, say, to))
            return;
        /* Whichever form of the name was given. */
        kbv_question_read(m->opts, name, len, m->opts->rrtype, &q);
        n = kbv_reply_forget(env, m, q.name, q.name_len);
    }
    /* It has no names. */
    if (m->cache)
        kbv_cache_flush(m->cache);
    snprintf(line, sizeof(line), "ok removed %zu messages\n", n);
    (void)say(to, line);
}

void kbv_control_zones(struct module_env *env, const char *arguments, kbv_say_func_type *say,
                       void *to)
{
    const struct kbv_module *m = module_or_error(env, say, to);
    char line[KBV_ZONE_TEXT_MAX + 1];

    if (!m)
        return;
    if (*arguments != 0) {
        (void)say(to, "error: kbv_zones takes no argument\n");
        return;
    }
    for (size_t i = 0; i < m->opts->n_zones; i++) {
        kbv_zone_text(&m->opts->zones[i], line);
        strcat(line, "\n");
        if (!say(to, line))
            return;
    }
}
