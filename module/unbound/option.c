/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each client's own EDNS option, on the answer's way out: from the mesh, from
 * the cache, from local data, or in place of an answer that failed.
 *
 * Unbound holds read locks on the reply's RRsets when it calls from the cache:
 * nothing here looks anything up in a cache, everything comes out of rep.
 */
#include "config.h"

#include <string.h>

#include "services/cache/dns.h"
#include "services/mesh.h"
#include "sldns/rrdef.h"
#include "sldns/sbuffer.h"
#include "util/data/msgparse.h"
#include "util/data/msgreply.h"
#include "util/data/packed_rrset.h"
#include "util/log.h"
#include "util/module.h"
#include "util/net_help.h"
#include "util/netevent.h"
#include "util/regional.h"

#include <kbv/request.h>

#include "kbv_unbound.h"
#include "kbvmod.h"

/* Beyond it Unbound may leave OPT out of a UDP reply, without setting TC. */
#define OPTION_UDP_MAX 900

/* One reply on its way to one client. */
struct reply {
    const struct kbv_module *m;
    struct query_info *qinfo;
    struct module_qstate *qstate; /* NULL from the cache */
    struct reply_info *rep;
    int rcode;
    struct regional *region;
    int64_t now;
    bool local; /* local data: the operator's own word */
    bool sign;  /* the verdict is to be signed */
    struct kbv_source source;
    struct kbv_question *question; /* of the option; see question_of() */
    bool question_read;
};

/* Who the client is, and how it is connected. */
static void read_source(struct reply *r, const struct edns_data *edns,
                        const struct comm_reply *repinfo)
{
    if (!repinfo && r->qstate && r->qstate->mesh_info)
        for (struct mesh_reply *p = r->qstate->mesh_info->reply_list; p; p = p->next)
            if (&p->edns == edns)
                repinfo = &p->query_reply;
    r->source = kbv_source_of(repinfo, edns);
}

/* The option's octets if there is one; *many if there are more. */
static const struct edns_option *find_option(const struct edns_data *edns, uint16_t code,
                                             bool *many)
{
    const struct edns_option *found = NULL;

    *many = false;
    for (const struct edns_option *o = edns->opt_list_in; o; o = o->next) {
        if (o->opt_code != code)
            continue;
        if (found)
            *many = true;
        else
            found = o;
    }
    return found;
}

/* What the option asks. Read where it is needed: verdicts that were made before hold it all. */
static const struct kbv_question *question_of(struct reply *r)
{
    const struct query_info *qi = r->qinfo;

    if (!r->question_read && qi->qtype == LDNS_RR_TYPE_TLSA)
        kbv_question_literal(r->m->opts, qi->qname, qi->qname_len, r->question);
    else if (!r->question_read)
        kbv_question_read(r->m->opts, qi->qname, qi->qname_len, qi->qtype, r->question);
    r->question_read = true;
    return r->question;
}

/* The RRset of verdicts in the reply, made here before; NULL: there is none. */
static const struct ub_packed_rrset_key *verdict_rrset(const struct reply *r)
{
    return r->rep && !r->local ? kbv_reply_rrset(r->rep, r->m->opts->rrtype) : NULL;
}

/* An unkeyed verdict that no record supports. reason: static text, for v outlives this call. */
static void plain_verdict(struct reply *r, enum kbv_finding finding, enum kbv_status refusal,
                          const char *reason, struct kbv_verdict *v)
{
    const struct kbv_question *q = question_of(r);
    struct kbv_evidence e = {
        .finding = finding,
        .refusal = refusal,
        .security = KBV_SEC_INDETERMINATE,
        .ede = KBV_EDE_NONE,
        .owner = {q->name, q->name_len},
    };
    struct kbv_policy p;

    if (q->id.kind != KBV_ID_NONE) {
        e.identifier = q->id;
        e.identifier_name = e.owner;
    }
    kbv_policy_for(r->m, q->name, q->name_len, &p);
    kbv_judge_base(&e, &p, r->now, NULL, 0, NULL, v);
    v->reason = (struct kbv_slice){(const uint8_t *)reason, strlen(reason)};
}

/* The answer to a TLSA query, as one base verdict for its name. */
struct tlsa_scratch {
    struct kbv_evidence e;
    uint8_t associations[KBV_ASSOCIATIONS_MAX];
    uint8_t names[KBV_REFERENCE_NAMES_MAX * KBV_NAME_MAX];
};

static void judge_tlsa(struct reply *r, struct tlsa_scratch *s, struct kbv_verdict *v)
{
    const struct kbv_question *q = question_of(r);
    struct kbv_mem mem = kbv_region_mem(r->region);
    struct kbv_answer a;
    struct kbv_policy p;

    if (r->local) {
        plain_verdict(r, KBV_FOUND_UNPROVEN, 0, "local or policy data", v);
        return;
    }
    if (r->qstate && r->rep && (!r->qstate->return_msg || r->qstate->return_msg->rep != r->rep)) {
        /* Not what this query found: serve-expired put it in its place. */
        plain_verdict(r, KBV_FOUND_STALE, 0, "expired data", v);
        return;
    }
    if (!kbv_answer_view(r->qstate ? r->qstate->env : NULL, r->rep, r->rcode, r->now, !r->qstate,
                         r->region, false, &a)) {
        plain_verdict(r, KBV_FOUND_FAILURE, 0, "out of memory", v);
        return;
    }
    if (r->qstate && r->qstate->rpz_applied)
        a.security = KBV_SEC_INDETERMINATE;
    kbv_lookup_literal(&mem, q, &a, r->now, &s->e);
    kbv_policy_for(r->m, q->name, q->name_len, &p);
    kbv_judge_base(&s->e, &p, r->now, s->associations, sizeof(s->associations), s->names, v);
    if (v->status == KBV_STATUS_LIMIT)
        kbv_count(r->m, KBV_STATS_LIMIT_DISCOVERY);
}

/* The verdict for what the client presented, of n base verdicts in v; its index. */
static size_t derive(const struct reply *r, struct kbv_presented *presented, struct kbv_verdict *v,
                     size_t n)
{
    struct kbv_policy p;

    if (presented->material == KBV_MATERIAL_NONE)
        return kbv_verdict_select(v, n, (v[0].flags & KBV_FLAG_KEYED) != 0);
    kbv_policy_for(r->m, r->qinfo->qname, r->qinfo->qname_len, &p);
    presented->client = r->source.asker;
    for (size_t i = 0; i < n; i++) {
        const enum kbv_status base = v[i].status;

        kbv_judge_keyed(&v[i], presented, &p, r->now, &v[i]);
        if (v[i].status == KBV_STATUS_LIMIT && base != KBV_STATUS_LIMIT)
            kbv_count(r->m, KBV_STATS_LIMIT_PATHS);
    }
    kbv_presented_clear(presented);
    return kbv_verdict_select(v, n, true);
}

/* Whether this answer gets a signature: there is a key, and the client or the operator wants it. */
static bool is_signing(const struct kbv_options *o, const struct kbv_request *req)
{
    return o->signer && (o->sign == KBV_SIGN_ALWAYS || req->flags & KBV_REQUEST_SIGN);
}

/* What the client asked for cannot be served; NULL if it can. *presented is what it presents, as
 * far as it was looked at. A refusal for the sake of what an answer costs is not signed. */
static const char *objection(struct reply *r, const struct kbv_request *req,
                             struct kbv_presented *presented, enum kbv_status *status)
{
    *status = KBV_STATUS_BAD_INPUT;
    if (req->kind != KBV_MATERIAL_NONE && r->qinfo->qtype != LDNS_RR_TYPE_TLSA &&
        kbv_name_under_kbv(r->qinfo->qname, r->qinfo->qname_len))
        return "key material on a _kbv name";
    *status = KBV_STATUS_REFUSED;
    if ((req->kind == KBV_MATERIAL_CHAIN || req->nonce.p) && r->source.datagram) {
        (void)kbv_presented_subject(req->kind, req->material, presented);
        r->sign = r->sign && !req->nonce.p;
        kbv_count(r->m, KBV_STATS_LIMIT_UDP);
        return KBV_USE_TCP;
    }
    if (r->sign && req->nonce.p && !kbv_ratelimit_take(r->m->nonces, &r->source.asker, r->now)) {
        (void)kbv_presented_subject(req->kind, req->material, presented);
        r->sign = false;
        return "too many signatures";
    }
    *status = KBV_STATUS_BAD_INPUT;
    if (req->kind != KBV_MATERIAL_NONE &&
        kbv_presented_read(req->kind, req->material, presented) != KBV_OK)
        return "malformed key or certificate";
    return NULL;
}

/* kbv_sign_leave.ask */
static bool may_sign(void *arg)
{
    const struct reply *r = arg;

    return kbv_source_may_sign(r->m, &r->source, r->now);
}

/* The octets of v for this client. The verdict of an RR comes with the RR's own signature, which a
 * nonce would break; whether one over a nonce may be made was asked before. */
static enum kbv_err encode(struct reply *r, struct kbv_verdict *v, const struct kbv_request *req,
                           uint8_t *out, size_t cap, size_t *len)
{
    const struct kbv_sign_leave leave = {may_sign, r};

    v->nonce = req->nonce;
    if (req->nonce.p)
        v->auth = 0;
    return kbv_reply_encode(r->m, v, r->sign, true, req->nonce.p ? NULL : &leave, r->now, out, cap,
                            len);
}

/* What stands for a verdict that could not be encoded, or does not fit. */
static void put_off(struct reply *r, enum kbv_err err, struct kbv_verdict *v)
{
    if (err == KBV_ERR_NOMEM) {
        r->sign = false;
        plain_verdict(r, KBV_FOUND_FAILURE, 0, "the verdict could not be signed", v);
    } else if (err == KBV_ERR_UNSUPPORTED) {
        r->sign = false;
        plain_verdict(r, KBV_FOUND_REFUSAL, KBV_STATUS_REFUSED, kbv_source_refusal(&r->source), v);
    } else {
        kbv_count(r->m, KBV_STATS_LIMIT_UDP);
        plain_verdict(r, KBV_FOUND_LIMIT, 0, KBV_USE_TCP, v);
    }
}

/* Appends v to the client's reply, or what stands for it: then *v is that. False: there is no
 * option. */
static bool put_option(struct reply *r, struct kbv_verdict *v, const struct kbv_request *req,
                       struct kbv_presented *presented, struct edns_option **out)
{
    uint8_t buf[KBV_RDATA_MAX];
    size_t len;
    enum kbv_err err = encode(r, v, req, buf, sizeof(buf), &len);

    if (err != KBV_OK || (r->source.udp && len > OPTION_UDP_MAX)) {
        put_off(r, err, v);
        derive(r, presented, v, 1);
        if (encode(r, v, req, buf, sizeof(buf), &len) != KBV_OK) {
            r->sign = false; /* nothing is left to be signed for: a LIMIT does without */
            if (encode(r, v, req, buf, sizeof(buf), &len) != KBV_OK)
                return false;
        }
    }
    if (!edns_opt_list_append(out, r->m->opts->edns_option, len, buf, r->region)) {
        log_err("kbv: out of memory for an option");
        return false;
    }
    return true;
}

/* For people; no status is derived from it (RFC 8914 section 6). */
static void put_ede(const struct reply *r, uint16_t code, struct kbv_slice reason,
                    struct edns_option **out)
{
    char text[KBV_REASON_MAX + 1];

    if (code == KBV_EDE_NONE)
        return;
    if (reason.len > KBV_REASON_MAX)
        reason.len = KBV_REASON_MAX;
    if (reason.len)
        memcpy(text, reason.p, reason.len);
    text[reason.len] = 0;
    if (!edns_opt_list_append_ede(out, r->region, (sldns_ede_code)code, text))
        log_err("kbv: out of memory for an EDE");
}

/* The base verdicts that the reply supports: at least one. */
static size_t base_verdicts(struct reply *r, struct tlsa_scratch *scratch, struct kbv_verdict *v)
{
    const struct ub_packed_rrset_key *rrset;
    size_t n;

    if (r->qinfo->qtype == LDNS_RR_TYPE_TLSA) {
        const struct kbv_question *q = question_of(r);
        if (q->refusal)
            plain_verdict(r, KBV_FOUND_REFUSAL, q->refusal, q->reason, v);
        else
            judge_tlsa(r, scratch, v);
        return 1;
    }
    rrset = verdict_rrset(r);
    n = rrset ? kbv_reply_decode(rrset, v, KBV_VERDICTS_MAX) : 0;
    if (n > 0)
        return n;
    plain_verdict(r, r->local ? KBV_FOUND_UNPROVEN : KBV_FOUND_FAILURE, 0,
                  r->local ? "local or policy data" : "no verdict", v);
    return 1;
}

/* Serves the option that a client sent. The status that it gets; NONE: no verdict. */
static enum kbv_status serve_option(struct reply *r, const struct edns_option *opt, bool many,
                                    struct edns_option **out)
{
    struct kbv_verdict v[KBV_VERDICTS_MAX];
    struct tlsa_scratch scratch;
    struct kbv_question question;
    struct kbv_request req = {.kind = KBV_MATERIAL_NONE};
    struct kbv_presented presented = {.material = KBV_MATERIAL_NONE};
    enum kbv_status status;
    bool has_option;
    const char *no;
    bool malformed;
    size_t i = 0;

    r->question = &question;
    malformed = many || kbv_request_decode(&req, opt->opt_data, opt->opt_len) != KBV_OK;
    if (malformed)
        req = (struct kbv_request){.kind = KBV_MATERIAL_NONE};
    r->sign = is_signing(r->m->opts, &req);
    if (malformed) {
        plain_verdict(r, KBV_FOUND_REFUSAL, KBV_STATUS_BAD_INPUT,
                      many ? "more than one option" : "malformed option", &v[0]);
    } else if ((no = objection(r, &req, &presented, &status)) != NULL) {
        plain_verdict(r, KBV_FOUND_REFUSAL, status, no, &v[0]);
        i = derive(r, &presented, v, 1); /* a refusal says whose key it was asked about */
    } else {
        i = derive(r, &presented, v, base_verdicts(r, &scratch, v));
    }
    has_option = put_option(r, &v[i], &req, &presented, out);
    put_ede(r, v[i].ede, v[i].reason, out);
    return has_option ? v[i].status : KBV_STATUS_NONE;
}

/* The value of an item, "key=" and value, of one TXT RR of ours; p NULL: it has none such. */
static struct kbv_slice txt_item(const uint8_t *rr, size_t rr_len, const char *key)
{
    const size_t key_len = strlen(key);

    for (size_t off = 2; off < rr_len; off += 1 + rr[off]) {
        size_t len = rr[off];

        if (off + 1 + len > rr_len)
            break;
        if (len >= key_len && memcmp(rr + off + 1, key, key_len) == 0)
            return (struct kbv_slice){rr + off + 1 + key_len, len - key_len};
    }
    return (struct kbv_slice){NULL, 0};
}

static enum kbv_status txt_status(const uint8_t *rr, size_t rr_len)
{
    struct kbv_slice value = txt_item(rr, rr_len, "status=");

    for (unsigned code = 1; value.p && code <= KBV_STATUS_LIMIT; code++) {
        const char *name = kbv_status_name(code);
        if (name && strlen(name) == value.len && memcmp(value.p, name, value.len) == 0)
            return (enum kbv_status)code;
    }
    return KBV_STATUS_NONE;
}

/* Of several verdicts the status of the one that an option would carry. */
static enum kbv_status txt_rrset_status(const struct packed_rrset_data *d)
{
    struct kbv_verdict v[KBV_VERDICTS_MAX];
    size_t n = d->count < KBV_VERDICTS_MAX ? d->count : KBV_VERDICTS_MAX;
    bool keyed = false;

    if (n == 0)
        return KBV_STATUS_NONE;
    memset(v, 0, sizeof(v));
    for (size_t i = 0; i < n; i++) {
        enum kbv_status status = txt_status(d->rr_data[i], d->rr_len[i]);
        v[i].status = status;
        /* They were made in the order of the endpoints. */
        v[i].has_endpoint = txt_item(d->rr_data[i], d->rr_len[i], "endpoint=").p != NULL;
        v[i].order = (uint16_t)i;
        keyed |= status == KBV_STATUS_BOUND || status == KBV_STATUS_NOT_BOUND ||
                 status == KBV_STATUS_UNDECIDED;
    }
    return v[kbv_verdict_select(v, n, keyed)].status;
}

/* A good one goes before all others, and has no EDE; NONE: there is none. */
static enum kbv_status good_status(const struct packed_rrset_data *d)
{
    for (size_t i = 0; i < d->count; i++) {
        enum kbv_status status = d->rr_len[i] < 2
                                     ? KBV_STATUS_NONE
                                     : kbv_verdict_peek_status(d->rr_data[i] + 2, d->rr_len[i] - 2);
        if (status == KBV_STATUS_BOUND || status == KBV_STATUS_PUBLISHED)
            return status;
    }
    return KBV_STATUS_NONE;
}

/* An answer of ours whose client sent no option: its EDE if the client has EDNS. The status that it
 * tells; NONE: it has no verdict. */
static enum kbv_status serve_records(const struct reply *r, bool edns, struct edns_option **out)
{
    struct kbv_verdict v[KBV_VERDICTS_MAX];
    const struct ub_packed_rrset_key *rrset;
    enum kbv_status status;
    size_t n, i;

    if (r->qinfo->qtype == LDNS_RR_TYPE_TXT) {
        rrset = r->rep && !r->local ? kbv_reply_rrset(r->rep, LDNS_RR_TYPE_TXT) : NULL;
        status = rrset ? txt_rrset_status(rrset->entry.data) : KBV_STATUS_NONE;
        if (edns)
            put_ede(r, kbv_status_ede(status), (struct kbv_slice){NULL, 0}, out);
        return status;
    }
    rrset = verdict_rrset(r);
    if (!rrset)
        return KBV_STATUS_NONE;
    status = good_status(rrset->entry.data);
    if (status != KBV_STATUS_NONE)
        return status;
    n = kbv_reply_decode(rrset, v, KBV_VERDICTS_MAX);
    if (n == 0)
        return KBV_STATUS_NONE;
    i = kbv_verdict_select(v, n, (v[0].flags & KBV_FLAG_KEYED) != 0);
    if (edns)
        put_ede(r, v[i].ede, v[i].reason, out);
    return v[i].status;
}

/* A verdict goes to a client. What comes from the cache took no time. */
static void count(const struct reply *r, enum kbv_status status, const struct timeval *start_time)
{
    if (status == KBV_STATUS_NONE)
        return;
    kbv_count_verdict(r->m, status);
    if (r->qstate && start_time)
        kbv_count_time(r->m, start_time, r->qstate->env->now_tv);
}

static void serve(const struct kbv_module *m, struct query_info *qinfo,
                  struct module_qstate *qstate, struct reply_info *rep, int rcode,
                  struct edns_data *edns, struct edns_option **out, struct comm_reply *repinfo,
                  struct regional *region, const struct timeval *start_time, bool local)
{
    const struct edns_option *opt = NULL;
    bool ours, many = false;
    struct reply r;

    /* The way of every reply: leave it early. */
    if (!qinfo || qinfo->qclass != LDNS_RR_CLASS_IN)
        return;
    ours = qinfo->qtype == m->opts->rrtype;
    if (!ours && qinfo->qtype != LDNS_RR_TYPE_TLSA && qinfo->qtype != LDNS_RR_TYPE_TXT)
        return;
    if (edns->edns_present)
        opt = find_option(edns, m->opts->edns_option, &many);
    if (qinfo->qtype == LDNS_RR_TYPE_TXT ? !kbv_name_under_kbv(qinfo->qname, qinfo->qname_len)
                                         : !ours && !opt)
        return;

    r = (struct reply){
        .m = m,
        .qinfo = qinfo,
        .qstate = qstate,
        .rep = rep,
        .rcode = rcode,
        .region = region,
        .now = qstate ? (int64_t)*qstate->env->now : (int64_t)start_time->tv_sec,
        .local = local,
    };
    if (opt && qinfo->qtype != LDNS_RR_TYPE_TXT) {
        read_source(&r, edns, repinfo);
        count(&r, serve_option(&r, opt, many, out), start_time);
    } else {
        count(&r, serve_records(&r, edns->edns_present, out), start_time);
    }
}

/* Unbound ignores what the callbacks return. */
static int on_reply(struct query_info *qinfo, struct module_qstate *qstate, struct reply_info *rep,
                    int rcode, struct edns_data *edns, struct edns_option **out,
                    struct comm_reply *repinfo, struct regional *region, struct timeval *start_time,
                    int id, void *arg)
{
    (void)id;
    serve(arg, qinfo, qstate, rep, rcode, edns, out, repinfo, region, start_time, false);
    return 1;
}

/* Local data, an auth-zone that answers clients, or a policy zone answer before any module, and two
 * of them may come from afar, by zone transfer. Records that are made here alone are none of
 * theirs, for who asks without an option would take them for verdicts. */
static void withhold_records(const struct kbv_module *m, const struct query_info *qinfo,
                             struct reply_info *rep)
{
    if (!qinfo || !rep || rep->an_numrrsets == 0 || qinfo->qclass != LDNS_RR_CLASS_IN ||
        (qinfo->qtype != m->opts->rrtype && !kbv_name_under_kbv(qinfo->qname, qinfo->qname_len)))
        return;
    rep->rrsets += rep->an_numrrsets;
    rep->rrset_count -= rep->an_numrrsets;
    rep->an_numrrsets = 0;
}

static int on_local_reply(struct query_info *qinfo, struct module_qstate *qstate,
                          struct reply_info *rep, int rcode, struct edns_data *edns,
                          struct edns_option **out, struct comm_reply *repinfo,
                          struct regional *region, struct timeval *start_time, int id, void *arg)
{
    (void)id;
    withhold_records(arg, qinfo, rep);
    serve(arg, qinfo, qstate, rep, rcode, edns, out, repinfo, region, start_time, true);
    return 1;
}

/* Which callback serves which replies. */
static const struct {
    enum inplace_cb_list_type type;
    inplace_cb_reply_func_type *fn;
} callbacks[] = {
    {inplace_cb_reply, on_reply},
    {inplace_cb_reply_cache, on_reply},
    {inplace_cb_reply_servfail, on_reply},
    {inplace_cb_reply_local, on_local_reply},
};
#define N_CALLBACKS (sizeof(callbacks) / sizeof(callbacks[0]))

int kbv_reply_callback_known(inplace_cb_reply_func_type *fptr, enum inplace_cb_list_type type)
{
    for (size_t i = 0; i < N_CALLBACKS; i++)
        if (callbacks[i].type == type && callbacks[i].fn == fptr)
            return 1;
    return 0;
}

bool kbv_option_register(struct module_env *env, int id)
{
    for (size_t i = 0; i < N_CALLBACKS; i++)
        if (!inplace_cb_register((void *)callbacks[i].fn, callbacks[i].type, env->modinfo[id], env,
                                 id)) {
            kbv_option_unregister(env, id);
            return false;
        }
    return true;
}

void kbv_option_unregister(struct module_env *env, int id)
{
    for (size_t i = 0; i < N_CALLBACKS; i++)
        inplace_cb_delete(env, callbacks[i].type, id);
}
