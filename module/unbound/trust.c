/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What validated data rests on: the trust anchors, and how validation is set. The caches may be
 * older than these are, after a reload that keeps the caches or a fast one. Where they are others
 * now, nothing in the caches counts as validated; where they are not, all of it still does, and
 * nobody has to wait for its validation again.
 */
#include "config.h"

#include <stdatomic.h>
#include <string.h>

#include <openssl/evp.h>

#include "util/config_file.h"
#include "util/data/packed_rrset.h"
#include "util/log.h"
#include "util/module.h"
#include "util/rbtree.h"
#include "util/storage/slabhash.h"
#include "validator/val_anchor.h"
#include "validator/val_kcache.h"

#include "kbv_unbound.h"
#include "kbvmod.h"

#define DIGEST_LEN 32

/* SHA-256 over parts with their lengths; ok is false once something went wrong. */
struct digest {
    EVP_MD_CTX *ctx;
    bool ok;
};

static void add(struct digest *d, const void *octets, size_t n)
{
    uint64_t len = n;

    d->ok = d->ok && EVP_DigestUpdate(d->ctx, &len, sizeof(len)) == 1 &&
            (n == 0 || EVP_DigestUpdate(d->ctx, octets, n) == 1);
}

static void add_text(struct digest *d, const char *text)
{
    add(d, text, text ? strlen(text) : 0);
}

static void add_number(struct digest *d, int64_t number)
{
    add(d, &number, sizeof(number));
}

static void add_records(struct digest *d, const struct ub_packed_rrset_key *rrset)
{
    const struct packed_rrset_data *data = rrset ? rrset->entry.data : NULL;

    add_number(d, data ? (int64_t)data->count : -1);
    for (size_t i = 0; data && i < data->count; i++)
        add(d, data->rr_data[i], data->rr_len[i]);
}

/* In their order; insecure names are among them, without records. */
static void add_anchors(struct digest *d, struct val_anchors *anchors)
{
    rbnode_type *node;

    lock_basic_lock(&anchors->lock);
    for (node = rbtree_first(anchors->tree); node != RBTREE_NULL; node = rbtree_next(node)) {
        struct trust_anchor *anchor = (struct trust_anchor *)node;

        lock_basic_lock(&anchor->lock);
        add(d, anchor->name, anchor->namelen);
        add_number(d, anchor->dclass);
        add_records(d, anchor->ds_rrset);
        add_records(d, anchor->dnskey_rrset);
        lock_basic_unlock(&anchor->lock);
    }
    lock_basic_unlock(&anchors->lock);
}

/* Whatever makes data secure, or ours. The zones and our type are among the lines. */
static void add_config(struct digest *d, const struct config_file *cfg)
{
    add_text(d, cfg->module_conf);
    for (const struct kbv_conf_line *l = cfg->kbv_lines; l != NULL; l = l->next) {
        add_text(d, l->key);
        add_text(d, l->value);
    }
    add_text(d, cfg->val_nsec3_key_iterations);
    add_number(d, cfg->val_sig_skew_min);
    add_number(d, cfg->val_sig_skew_max);
    add_number(d, cfg->val_permissive_mode);
    add_number(d, cfg->val_date_override);
    add_number(d, cfg->harden_dnssec_stripped);
    add_number(d, cfg->harden_algo_downgrade);
}

/* Of whichever of the two is given. False: it could not be made. */
static bool make_digest(const struct config_file *cfg, struct val_anchors *anchors,
                        uint8_t out[DIGEST_LEN])
{
    struct digest d = {.ctx = EVP_MD_CTX_new(), .ok = true};

    d.ok = d.ctx && EVP_DigestInit_ex(d.ctx, EVP_sha256(), NULL) == 1;
    if (cfg)
        add_config(&d, cfg);
    if (anchors)
        add_anchors(&d, anchors);
    d.ok = d.ok && EVP_DigestFinal_ex(d.ctx, out, NULL) == 1;
    EVP_MD_CTX_free(d.ctx);
    return d.ok;
}

/* What the module last started with, and what the anchors were when it ended. Of the process, as
 * the caches are; only the thread that starts and ends modules touches the octets. */
static uint8_t last_config[DIGEST_LEN], last_anchors[DIGEST_LEN];
static atomic_bool last_known;

static bool same_anchors(struct config_file *cfg)
{
    /* The validator has not read them yet: its turn comes later. */
    struct val_anchors *anchors = anchors_create();
    uint8_t digest[DIGEST_LEN];
    bool same = anchors && anchors_apply_cfg(anchors, cfg) && make_digest(NULL, anchors, digest) &&
                memcmp(digest, last_anchors, DIGEST_LEN) == 0;

    anchors_delete(anchors);
    return same;
}

bool kbv_trust_start(struct module_env *env)
{
    uint8_t config[DIGEST_LEN] = {0};
    bool known = make_digest(env->cfg, NULL, config);
    bool same = known && atomic_load(&last_known) && memcmp(config, last_config, DIGEST_LEN) == 0 &&
                same_anchors(env->cfg);

    memcpy(last_config, config, DIGEST_LEN);
    atomic_store(&last_known, known);
    return same;
}

void kbv_trust_end(struct module_env *env)
{
    /* env->cfg may be gone already. */
    if (!env->anchors || !make_digest(NULL, env->anchors, last_anchors))
        atomic_store(&last_known, false);
}

void kbv_trust_unknown(void)
{
    atomic_store(&last_known, false);
}

int kbv_anchors_changed(struct module_env *env, struct val_anchors *others)
{
    uint8_t ours[DIGEST_LEN], theirs[DIGEST_LEN];

    if (kbv_module_of(env) == NULL)
        return 0;
    return !make_digest(NULL, env->anchors, ours) || !make_digest(NULL, others, theirs) ||
           memcmp(ours, theirs, DIGEST_LEN) != 0;
}

void kbv_anchors_forget(struct module_env *env)
{
    const struct kbv_module *m = kbv_module_of(env);

    if (m == NULL)
        return;
    if (env->key_cache != NULL)
        slabhash_clear(env->key_cache->slab);
    kbv_reply_forget_all(env, m);
}
