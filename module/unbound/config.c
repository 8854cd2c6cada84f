/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unbound.conf to the option table, and what of Unbound's own options cannot stand beside kbv.
 * unbound-checkconf, the start of the daemon and every reload go through kbv_config_check(): one
 * message, whoever asks.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sldns/str2wire.h"
#include "util/config_file.h"
#include "util/log.h"
#include "util/module.h"

#include "kbv_unbound.h"
#include "kbvmod.h"

#define MESSAGE_MAX 512 /* octets of a message of the option table */

/* An error of the option table, or of ours, about a line. */
static void log_line(const struct kbv_conf_line *l, const char *message)
{
    log_err("%s:%d: %s: \"%s\": %s", l->file, l->line, l->key, l->value, message);
}

static bool is_kbv_key(const char *key)
{
    return strncmp(key, "kbv-", 4) == 0;
}

/* The first line of a kbv: clause at or behind l; NULL at the end. */
static const struct kbv_conf_line *kbv_line(const struct kbv_conf_line *l)
{
    while (l != NULL && !is_kbv_key(l->key))
        l = l->next;
    return l;
}

/* Options of Unbound's whose place a message may have to name. */
static const char *const watched[] = {
    "module-config",     "val-permissive-mode",     "val-override-date", "serve-expired",
    "serve-expired-ttl", "serve-expired-ttl-reset", "cache-min-ttl",     "serve-original-ttl",
};

/* Those whose value can be a name or a record of ours; there may be very many of them. */
static const char *const watched_names[] = {"local-zone", "local-data", "name"};

bool kbv_config_listed(const char *const list[], size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], key) == 0)
            return true;
    return false;
}

int kbv_config_wants(const char *key, const char *value)
{
    /* That a value is passed over here costs its message the place, nothing else. */
    return is_kbv_key(key) || KBV_LISTED(watched, key) ||
           (KBV_LISTED(watched_names, key) &&
            (strcasestr(value, "_kbv") != NULL || strcasestr(value, "type6") != NULL));
}

/* "FILE:LINE: KEY: "VALUE"…": an option of Unbound's that cannot stand beside kbv. value: NULL for
 * an option that has one value, else the line is the one with that value. shown: what to show where
 * no line is known, as for a default. */
static void log_option(const struct config_file *cfg, const char *key, const char *value,
                       const char *shown, const char *message)
{
    const struct kbv_conf_line *found = NULL;

    for (const struct kbv_conf_line *l = cfg->kbv_lines; l != NULL; l = l->next)
        if (strcmp(l->key, key) == 0 && (value == NULL || strcmp(l->value, value) == 0))
            found = l; /* the last one counts */
    if (found != NULL)
        log_line(found, message);
    else
        log_err("%s: \"%s\": %s", key, shown, message);
}

static const struct kbv_option *row_of(const char *key)
{
    const struct kbv_option *row;

    for (size_t i = 0; (row = kbv_option_row(i)) != NULL; i++)
        if (strcmp(row->name, key) == 0)
            return row;
    return NULL;
}

/* ---- files, which Unbound reads in its chroot and as the user that it becomes ---- */

/* Where the file of a line is for this process, as Unbound's own options mean their files: inside
 * the chroot, with or without it in front. malloc'd; NULL: no memory. */
static char *file_path(struct config_file *cfg, const char *value, bool ahead)
{
    size_t len = cfg->chrootdir != NULL ? strlen(cfg->chrootdir) : 0;

    if (ahead)
        return fname_after_chroot(value, cfg, 1);
    return strdup(len != 0 && strncmp(cfg->chrootdir, value, len) == 0 ? value + len : value);
}

/* "/var/lib2" begins as the chroot "/var/lib" does. Unbound cuts that off and looks for "2"
 * wherever it is by then, unbound-checkconf finds the file outside: it is another one, and may be
 * another key. */
static bool misreads_chroot(const struct config_file *cfg, const char *value)
{
    size_t len = cfg->chrootdir != NULL ? strlen(cfg->chrootdir) : 0;

    return len != 0 && strncmp(cfg->chrootdir, value, len) == 0 && value[len] != '/';
}

/* Whom Unbound becomes; NULL: it stays who it is. */
static const struct passwd *becomes(const struct config_file *cfg)
{
    const bool changes = cfg->username != NULL && cfg->username[0] != '\0' && geteuid() == 0;

    return changes ? getpwnam(cfg->username) : NULL;
}

/* Whether Unbound goes into a chroot, and this process could. */
static bool is_boxed(const struct config_file *cfg)
{
    return cfg->chrootdir != NULL && cfg->chrootdir[0] != '\0' && geteuid() == 0;
}

/* In a process of its own: 0, or the errno with which the file cannot be opened by then. user: NULL
 * if it stays who it is. */
static int try_as(const struct config_file *cfg, const struct passwd *user, const char *path)
{
    const bool boxed = is_boxed(cfg);

    if (user != NULL && initgroups(user->pw_name, user->pw_gid) != 0)
        return errno;
    if (boxed && (chroot(cfg->chrootdir) != 0 || chdir("/") != 0))
        return errno;
    if (user != NULL && (setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0))
        return errno;
    return open(path + (boxed ? strlen(cfg->chrootdir) : 0), O_RDONLY | O_NONBLOCK) < 0 ? errno : 0;
}

static void say_unreadable(const struct config_file *cfg, const struct kbv_conf_line *l,
                           const struct passwd *user, int error)
{
    char message[MESSAGE_MAX];

    if (user != NULL)
        snprintf(message, sizeof(message),
                 "user \"%s\", as whom Unbound runs, cannot read it, %s: expected a file that it "
                 "can read, as with owner root, its group and mode 0640",
                 cfg->username, strerror(error));
    else
        snprintf(message, sizeof(message),
                 "it cannot be read from inside the chroot \"%.200s\", %s: expected a file that is "
                 "below it, not a link to elsewhere",
                 cfg->chrootdir, strerror(error));
    log_line(l, message);
}

/* Whether the file can be read once Unbound is whom it becomes and where it goes; if not, the log
 * says why. A reload at which it cannot would be the end of the daemon. path: as file_path() has
 * it, ahead. */
static bool readable_then(const struct config_file *cfg, const struct kbv_conf_line *l,
                          const char *path)
{
    const struct passwd *user = becomes(cfg);
    int status = 0;
    pid_t child;

    if (user == NULL && !is_boxed(cfg))
        return true;
    child = fork();
    if (child == 0)
        _exit(try_as(cfg, user, path));
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
        log_line(l, "it cannot be tried whether Unbound can read the file");
        return false;
    }
    if (WEXITSTATUS(status) == 0)
        return true;
    say_unreadable(cfg, l, user, WEXITSTATUS(status));
    return false;
}

static enum kbv_err set_file(struct kbv_options *o, struct config_file *cfg, bool ahead,
                             const struct kbv_conf_line *l, char message[MESSAGE_MAX])
{
    char *path;
    enum kbv_err err;

    if (misreads_chroot(cfg, l->value)) {
        snprintf(
            message, MESSAGE_MAX,
            "it is not below the chroot \"%.200s\", though it begins so: expected a path below "
            "it, or one that does not begin so",
            cfg->chrootdir);
        return KBV_ERR_FORMAT;
    }
    path = file_path(cfg, l->value, ahead);
    if (path == NULL) {
        snprintf(message, MESSAGE_MAX, "out of memory");
        return KBV_ERR_NOMEM;
    }
    err = kbv_options_set(o, l->key, path, message, MESSAGE_MAX);
    if (err == KBV_OK && ahead && !readable_then(cfg, l, path)) {
        err = KBV_ERR_FORMAT;
        message[0] = '\0'; /* it was said */
    }
    free(path);
    return err;
}

static bool set_line(struct kbv_options *o, struct config_file *cfg, bool ahead, bool files,
                     const struct kbv_conf_line *l)
{
    const struct kbv_option *row = row_of(l->key);
    const bool is_file = row != NULL && kbv_option_is_file(row);
    char message[MESSAGE_MAX] = "";
    enum kbv_err err;

    if (is_file && !files)
        return true;
    if (is_file)
        err = set_file(o, cfg, ahead, l, message);
    else
        err = kbv_options_set(o, l->key, l->value, message, sizeof(message));
    if (err != KBV_OK && message[0] != '\0')
        log_line(l, message);
    return err == KBV_OK;
}

/* The options as the lines have them, without a look at how they go together. files: those that
 * name a file too, with what is in it. NULL, and the log says why: not possible. */
static struct kbv_options *read_lines(struct config_file *cfg, bool ahead, bool files)
{
    struct kbv_options *o = kbv_options_create();
    const struct passwd *user = ahead ? becomes(cfg) : NULL;

    if (o == NULL) {
        log_err("kbv: out of memory");
        return NULL;
    }
    if (user != NULL)
        o->ids = (struct kbv_reader_ids){user->pw_uid, user->pw_gid};
    for (const struct kbv_conf_line *l = kbv_line(cfg->kbv_lines); l != NULL;
         l = kbv_line(l->next)) {
        if (!set_line(o, cfg, ahead, files, l)) {
            kbv_options_delete(o);
            return NULL;
        }
    }
    return o;
}

struct kbv_options *kbv_config_read(struct config_file *cfg, int ahead)
{
    char message[MESSAGE_MAX];
    struct kbv_options *o = read_lines(cfg, ahead, true);

    if (o != NULL && kbv_options_finish(o, message, sizeof(message)) != KBV_OK) {
        log_err("%s", message);
        kbv_options_delete(o);
        return NULL;
    }
    return o;
}

/* How often kbv stands in module-config, and whether it is the first word. Unbound takes modules by
 * the start of a word, "kbvvalidator" too, hence not word by word. */
static size_t stack_count(const char *module_conf, bool *leftmost)
{
    static const char blank[] = " \t\r\n";
    const char *first = module_conf + strspn(module_conf, blank);
    size_t n = 0;

    *leftmost = strncmp(first, "kbv", 3) == 0 && strcspn(first, blank) == 3;
    for (const char *p = module_conf; (p = strstr(p, "kbv")) != NULL; p += 3)
        n++;
    return n;
}

int kbv_config_stack_known(const char *module_conf)
{
    return strcmp(module_conf, "kbv validator iterator") == 0 ||
           strcmp(module_conf, "kbv validator cachedb iterator") == 0 ||
           strcmp(module_conf, "kbv respip validator iterator") == 0 ||
           strcmp(module_conf, "kbv respip validator cachedb iterator") == 0;
}

static bool stack_check(const struct config_file *cfg, size_t n, bool leftmost)
{
    const struct kbv_conf_line *l = kbv_line(cfg->kbv_lines);
    char message[MESSAGE_MAX];

    if (n == 1 && leftmost)
        return true;
    if (n != 0) {
        log_option(cfg, "module-config", NULL, cfg->module_conf,
                   "kbv must stand once and leftmost, as in \"kbv validator iterator\"");
        return false;
    }
    snprintf(message, sizeof(message),
             "kbv is not in module-config: \"%s\": expected module-config: \"kbv validator "
             "iterator\", or no kbv: clause",
             cfg->module_conf);
    log_line(l, message);
    return false;
}

/* Options of Unbound's with which an answer says more than the validator found out. */
static bool validation_check(const struct config_file *cfg)
{
    if (cfg->val_permissive_mode) {
        log_option(cfg, "val-permissive-mode", NULL, "yes",
                   "kbv must be told what is bogus: expected no");
        return false;
    }
    if (cfg->val_date_override != 0) {
        log_option(cfg, "val-override-date", NULL, "set",
                   "a verdict's lifetime needs the true time: expected 0, or no such line");
        return false;
    }
    if (cfg->serve_expired && cfg->serve_expired_ttl == 0) {
        log_option(cfg, "serve-expired-ttl", NULL, "0",
                   "with serve-expired: yes nothing bounds the age of answers: expected 1 or more, "
                   "as in serve-expired-ttl: 86400, or serve-expired: no");
        return false;
    }
    if (cfg->serve_expired && cfg->serve_expired_ttl_reset) {
        log_option(cfg, "serve-expired-ttl-reset", NULL, "yes",
                   "with serve-expired: yes nothing bounds the age of answers: expected no");
        return false;
    }
    return true;
}

/* Options of Unbound's with which records come back from cachedb younger than they are. */
static bool sharing_check(const struct config_file *cfg)
{
    static const char younger[] = "records that come back from cachedb would not show their age: ";
    char message[MESSAGE_MAX];

    if (strstr(cfg->module_conf, "cachedb") == NULL)
        return true;
    if (cfg->min_ttl > 0) {
        snprintf(message, sizeof(message), "%sexpected 0, or module-config without cachedb",
                 younger);
        log_option(cfg, "cache-min-ttl", NULL, "set", message);
        return false;
    }
    if (cfg->serve_original_ttl) {
        snprintf(message, sizeof(message), "%sexpected no, or module-config without cachedb",
                 younger);
        log_option(cfg, "serve-original-ttl", NULL, "yes", message);
        return false;
    }
    return true;
}

/* Names and records that kbv alone makes. view: its name, NULL for the server's own. */
static void log_local(const struct config_file *cfg, const char *key, const char *value,
                      const char *view, uint16_t rrtype)
{
    char message[MESSAGE_MAX];

    snprintf(message, sizeof(message),
             "%s%s%snames with a label _kbv and records of type %u are made by kbv alone: remove "
             "it",
             view != NULL ? "in view \"" : "", view != NULL ? view : "", view != NULL ? "\": " : "",
             (unsigned)rrtype);
    log_option(cfg, key, value, value, message);
}

/* True if text is a name with a _kbv label. What is no name, Unbound itself refuses. */
static bool text_under_kbv(const char *text)
{
    uint8_t wire[LDNS_MAX_DOMAINLEN + 1];
    size_t len = sizeof(wire);

    return sldns_str2wire_dname_buf(text, wire, &len) == 0 && kbv_name_under_kbv(wire, len);
}

static bool rr_is_ours(const char *text, uint16_t rrtype)
{
    uint8_t rr[LDNS_RR_BUF_SIZE];
    size_t len = sizeof(rr), name_len = 0;

    if (sldns_str2wire_rr_buf(text, rr, &len, &name_len, 3600, NULL, 0, NULL, 0) != 0)
        return false;
    return sldns_wirerr_get_type(rr, len, name_len) == rrtype || kbv_name_under_kbv(rr, name_len);
}

/* Local zones and data answer before any module. view: NULL for the server's own. */
static bool local_check(const struct config_file *cfg, const struct config_str2list *zones,
                        const struct config_strlist *nodefault, const struct config_strlist *data,
                        const char *view, uint16_t rrtype)
{
    for (; zones != NULL; zones = zones->next) {
        if (text_under_kbv(zones->str)) {
            log_local(cfg, "local-zone", zones->str, view, rrtype);
            return false;
        }
    }
    for (; nodefault != NULL; nodefault = nodefault->next) {
        if (text_under_kbv(nodefault->str)) {
            log_local(cfg, "local-zone", nodefault->str, view, rrtype);
            return false;
        }
    }
    for (; data != NULL; data = data->next) {
        if (rr_is_ours(data->str, rrtype)) {
            log_local(cfg, "local-data", data->str, view, rrtype);
            return false;
        }
    }
    return true;
}

/* Records that local zones give to clients with a tag, without their names. */
static bool tags_check(const struct config_str3list *datas, const char *key,
                       const struct config_file *cfg, uint16_t rrtype)
{
    char rr[LDNS_RR_BUF_SIZE];

    for (; datas != NULL; datas = datas->next) {
        int n = snprintf(rr, sizeof(rr), ". %s", datas->str3);

        if (n > 0 && (size_t)n < sizeof(rr) && rr_is_ours(rr, rrtype)) {
            log_local(cfg, key, datas->str3, NULL, rrtype);
            return false;
        }
    }
    return true;
}

int kbv_local_zone_refused(const uint8_t *name, size_t len, kbv_say_func_type *say, void *to)
{
    if (!kbv_running() || !kbv_name_under_kbv(name, len))
        return 0;
    (void)say(to, "error: names with a label _kbv are made by kbv alone\n");
    return 1;
}

int kbv_local_data_refused(const char *rr, kbv_say_func_type *say, void *to)
{
    char message[MESSAGE_MAX];

    if (!kbv_running() || !rr_is_ours(rr, kbv_running_rrtype()))
        return 0;
    snprintf(message, sizeof(message),
             "error: names with a label _kbv and records of type %u are made by kbv alone\n",
             (unsigned)kbv_running_rrtype());
    (void)say(to, message);
    return 1;
}

static bool answers_check(const struct config_file *cfg, uint16_t rrtype)
{
    if (!local_check(cfg, cfg->local_zones, cfg->local_zones_nodefault, cfg->local_data, NULL,
                     rrtype) ||
        !tags_check(cfg->acl_tag_datas, "access-control-tag-data", cfg, rrtype) ||
        !tags_check(cfg->interface_tag_datas, "interface-tag-data", cfg, rrtype))
        return false;
    for (const struct config_view *v = cfg->views; v != NULL; v = v->next)
        if (!local_check(cfg, v->local_zones, v->local_zones_nodefault, v->local_data, v->name,
                         rrtype))
            return false;
    for (const struct config_auth *a = cfg->auths; a != NULL; a = a->next) {
        if (a->name != NULL && text_under_kbv(a->name)) {
            log_local(cfg, "name", a->name, NULL, rrtype);
            return false;
        }
    }
    return true;
}

int kbv_config_check(struct config_file *cfg, int ahead)
{
    struct kbv_options *o;
    bool leftmost, ok;
    size_t n = stack_count(cfg->module_conf, &leftmost);

    if (n == 0)
        kbv_trust_unknown();
    if (n == 0 && kbv_line(cfg->kbv_lines) == NULL)
        return 1;
    /* Else the module does this itself, right after, and refuses as well: files are read once. */
    o = ahead ? kbv_config_read(cfg, ahead) : read_lines(cfg, ahead, false);
    if (o == NULL)
        return 0;
    ok = stack_check(cfg, n, leftmost) && validation_check(cfg) && sharing_check(cfg) &&
         answers_check(cfg, o->rrtype);
    kbv_options_delete(o);
    return ok;
}

int kbv_config_get(struct config_file *cfg, const char *option, void (*func)(char *, void *),
                   void *arg)
{
    const struct kbv_option *row = row_of(option);
    char *value = NULL;

    if (row == NULL)
        return 0;
    for (const struct kbv_conf_line *l = cfg->kbv_lines; l != NULL; l = l->next) {
        if (strcmp(l->key, option) != 0)
            continue;
        if (row->repeatable)
            (*func)(l->value, arg);
        else
            value = l->value; /* the last one counts */
    }
    if (value != NULL)
        (*func)(value, arg);
    else if (row->initial != NULL)
        (*func)((char *)row->initial, arg);
    return 1;
}

int kbv_config_same(struct config_file *a, struct config_file *b)
{
    const struct kbv_conf_line *la = kbv_line(a->kbv_lines), *lb = kbv_line(b->kbv_lines);
    bool left;

    kbv_trust_unknown(); /* others of the settings that a fast_reload brings may concern validation
                          */
    if (stack_count(a->module_conf, &left) != stack_count(b->module_conf, &left))
        return 0;
    for (; la != NULL && lb != NULL; la = kbv_line(la->next), lb = kbv_line(lb->next))
        if (strcmp(la->key, lb->key) != 0 || strcmp(la->value, lb->value) != 0)
            return 0;
    return la == NULL && lb == NULL;
}

int kbv_config_same_key(struct module_env *env, struct config_file *cfg)
{
    const struct kbv_module *m = kbv_module_of(env);
    struct kbv_options *o = m != NULL ? kbv_config_read(cfg, 0) : NULL;
    const struct kbv_signer *now = m != NULL ? m->opts->signer : NULL;
    bool same;

    if (m == NULL)
        return 1;
    if (o == NULL)
        return 0;
    same = (o->signer != NULL) == (now != NULL) &&
           (now == NULL || memcmp(kbv_signer_key(o->signer), kbv_signer_key(now),
                                  sizeof(*kbv_signer_key(now))) == 0);
    kbv_options_delete(o);
    return same;
}
