/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the patched Unbound calls. unbound-build copies this header into Unbound's tree, so a
 * change here makes Unbound be compiled anew; it may include Unbound's headers only.
 */
#ifndef KBV_UNBOUND_H
#define KBV_UNBOUND_H

#include <stddef.h>
#include <stdint.h>

#include "util/module.h"

struct config_file;
struct kbv_options;
struct query_info;
struct reply_info;
struct ub_packed_rrset_key;
struct val_anchors;

/* kbvmod.c: the module's function block, always the same one. Unbound's white-list of function
 * pointers knows what stands in it. */
struct module_func_block *kbv_get_funcblock(void);

/* kbvmod.c: the timer of a verdict in progress; arg is its struct module_qstate. */
void kbv_deadline_cb(void *arg);

/* option.c: true if fptr is the callback that the module registers for that type. */
int kbv_reply_callback_known(inplace_cb_reply_func_type *fptr, enum inplace_cb_list_type type);

/* config.c: true if a line of the config is one to keep in cfg->kbv_lines: those of kbv: clauses,
 * and those whose place a message of kbv_config_check() may have to name. */
int kbv_config_wants(const char *key, const char *value);

/* config.c: true if the module can run with cfg, or has nothing to do with it. Else the log says
 * where which key with which value is wrong, and what would be right. ahead: before chroot and
 * setuid, as unbound-checkconf does; then files are looked for, and tried, as after them. Else they
 * are left to the module, which reads them as it starts. */
int kbv_config_check(struct config_file *cfg, int ahead);

/* config.c: the options of the kbv: clauses; NULL, and the log says why, if they are wrong or
 * there is no memory. The caller frees them with kbv_options_delete(). Nothing in them points
 * into cfg, which a fast_reload replaces. */
struct kbv_options *kbv_config_read(struct config_file *cfg, int ahead);

/* config.c: calls func with each value of the option, or with its default; false if there is no
 * such option. For unbound-checkconf -o and unbound-control get_option. */
int kbv_config_get(struct config_file *cfg, const char *option, void (*func)(char *, void *),
                   void *arg);

/* config.c: true if this module-config with kbv in it is one that is tested. */
int kbv_config_stack_known(const char *module_conf);

/* config.c: true if both hold the same kbv: clauses, and kbv in module-config or not. */
int kbv_config_same(struct config_file *a, struct config_file *b);

/* config.c: true if the file of kbv-signing-key that cfg names holds the key that the running
 * module signs with, or neither has one. */
int kbv_config_same_key(struct module_env *env, struct config_file *cfg);

/* kbvmod.c: true while kbv is in the running stack, for code that has no environment at hand. */
int kbv_running(void);

/* static.c: true if the iterator is to send qname, len octets, as it is: it is at or below a zone
 * of ours, and the operator did not ask for minimisation there. */
int kbv_no_minimise(struct module_env *env, uint8_t *qname, size_t len);

/* static.c: true if the iterator must not ask this, and no dump bring it: our type, or a name with
 * a label _kbv. */
int kbv_refuse_upstream(struct module_env *env, struct query_info *qinfo);

/* static.c: true if the answer section of a reply from the network leads through a _kbv name. */
int kbv_refuse_answer(struct module_env *env, struct reply_info *rep);

/*
 * static.c: which RRSIG of an RRset verified is known to the validator alone, and only while it
 * does. For the module the verified one stands first, so that one that somebody put beside it
 * cannot lend it its dates. Before: those that are in time by their dates go first, so that one
 * which the validator accepts in its skew counts only if no other verifies. Both do nothing while
 * kbv is not in the running stack.
 */
void kbv_signatures_in_time_first(struct module_env *env, struct ub_packed_rrset_key *rrset);
void kbv_signature_verified(struct module_env *env, struct ub_packed_rrset_key *rrset,
                            size_t index);

/* trust.c: true if these trust anchors are others than env's, and kbv is in the running stack. */
int kbv_anchors_changed(struct module_env *env, struct val_anchors *others);

/* trust.c: nothing in the caches counts as validated any more, and no verdict is left in them. For
 * a fast_reload, which does not start modules again, while no thread works on a query. */
void kbv_anchors_forget(struct module_env *env);

/*
 * budget.c: how many questions a verdict may send upstream, with all its sub-queries. inherit: when
 * qstate makes sub; release: when a query ends; spend: before a question is sent, true if it must
 * not be; refused: true if it was not, or something that qstate waited for was not, so that what
 * failed says nothing of a zone. A query that no verdict made has no budget, and they do nothing.
 */
void kbv_budget_inherit(struct module_qstate *sub, const struct module_qstate *qstate);
void kbv_budget_release(struct module_qstate *qstate);
int kbv_budget_spend(struct module_qstate *qstate);
int kbv_budget_refused(const struct module_qstate *qstate);

/* farewell.c: before a query is deleted unfinished: if it is for a verdict, its clients get SERVFAIL,
 * those that a UDP datagram reaches; for others nothing happens. */
void kbv_farewell(struct module_qstate *qstate);

/* static.c: asked before the caches are. A clock that went back makes everything in them live
 * longer than its TTL, counted from a time that never was: then it is all expired. */
void kbv_clock_check(struct module_env *env);

/* static.c: true if the module relies on this option, "name:", as it was when it started; then
 * unbound-control's set_option must not change it. */
int kbv_option_fixed(struct module_env *env, const char *option);

/* How the functions below say something: text, lines with their ends, goes to where to leads.
 * False: nobody is there any more. */
typedef int kbv_say_func_type(void *to, const char *text);

/* config.c: true, and it is said why, if unbound-control must not make this local zone, or this
 * record, in presentation format: the configuration file must not have it either. False while kbv
 * is not in the running stack. */
int kbv_local_zone_refused(const uint8_t *name, size_t len, kbv_say_func_type *say, void *to);
int kbv_local_data_refused(const char *rr, kbv_say_func_type *say, void *to);

/* stats.c: the statistics, a line each, of all threads; nothing while kbv is not in the running
 * stack. reset: they start anew then, unless statistics-cumulative says that they never do. Any
 * thread may call. */
void kbv_stats_print(struct module_env *env, int reset, kbv_say_func_type *say, void *to);
/* stats.c: they start anew. */
void kbv_stats_clear(struct module_env *env);

/* control.c: the commands of unbound-control; arguments is what stands behind the command. */
void kbv_control_flush(struct module_env *env, const char *arguments, kbv_say_func_type *say,
                       void *to);
void kbv_control_zones(struct module_env *env, const char *arguments, kbv_say_func_type *say,
                       void *to);

#endif
