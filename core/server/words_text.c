/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of srvr, stat, conf, cons, dirs as Apache prints them. */
#include "core/server/quorum_view.h"
#include "core/server/srv_int.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void words_printf(struct words_out *o, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(o->p + o->n, o->cap - o->n, fmt, ap);
	va_end(ap);
	/* the buffers are larger than any text made of the fixed set of fields */
	zk_assert(n >= 0 && (size_t)n < o->cap - o->n);
	o->n += (size_t)n;
}

static uint64_t node_count(const struct srv *s)
{
	struct tree_stats ts;

	tree_stats_get(s->tree, &ts);
	return ts.nodes + 1; /* Apache counts the root under "" and "/" */
}

void words_totals(struct srv *s, struct srv_counts *out)
{
	s->n.conns = s->conns;
	stats_publish(&s->stats, &s->n);
	srv_totals(s->sh, out);
}

void words_version(struct srv *s, struct words_out *o)
{
	words_printf(o, "Zookeeper version: %s, built on %s\n", s->sh->version, s->sh->built);
	if (s->role == ROLE_READONLY)
		words_printf(o, "READ-ONLY mode; serving only read-only clients\n");
}

void words_srvr(struct srv *s, struct words_out *o)
{
	char avg[STATS_AVG_TEXT_BYTES];
	struct srv_counts t;

	words_totals(s, &t);
	stats_avg_text(t.latency_sum_ms, t.latency_count, avg);
	words_printf(o, "Latency min/avg/max: %" PRIu64 "/%s/%" PRIu64 "\n", t.latency_min_ms, avg,
		     t.latency_max_ms);
	words_printf(o, "Received: %" PRIu64 "\n", t.packets_received);
	words_printf(o, "Sent: %" PRIu64 "\n", t.packets_sent);
	words_printf(o, "Connections: %" PRIu64 "\n", t.conns);
	words_printf(o, "Outstanding: %" PRIu64 "\n", t.outstanding);
	words_printf(o, "Zxid: 0x%" PRIx64 "\n", s->visible);
	words_printf(o, "Mode: %s\n", srv_mode(s));
	words_printf(o, "Node count: %" PRIu64 "\n", node_count(s));
	words_quorum_srvr(s, o);
}

void words_conf(struct srv *s, struct words_out *o)
{
	const struct srv_shared *sh = s->sh;
	struct srv_os os = {0};

	if (sh->os)
		os = sh->os();
	words_printf(o, "clientPort=%u\n", sh->client_port);
	words_printf(o, "secureClientPort=-1\n");
	words_printf(o, "dataDir=%s\n", sh->data_dir ? sh->data_dir : "");
	words_printf(o, "dataDirSize=%" PRIu64 "\n", os.data_dir_bytes);
	words_printf(o, "dataLogDir=%s\n", sh->data_log_dir ? sh->data_log_dir : "");
	words_printf(o, "dataLogSize=%" PRIu64 "\n", os.log_dir_bytes);
	words_printf(o, "tickTime=%" PRIu32 "\n", sh->tick_ms);
	words_printf(o, "maxClientCnxns=%" PRIu32 "\n", sh->max_client_cnxns);
	words_printf(o, "minSessionTimeout=%" PRIu32 "\n",
		     sh->min_session_timeout_ms ? sh->min_session_timeout_ms : 2 * sh->tick_ms);
	words_printf(o, "maxSessionTimeout=%" PRIu32 "\n",
		     sh->max_session_timeout_ms ? sh->max_session_timeout_ms : 20 * sh->tick_ms);
	words_printf(o, "clientPortListenBacklog=%" PRId32 "\n", sh->listen_backlog);
	/* ZooKeeperServer.getServerId() of a standalone server is 0 */
	words_printf(o, "serverId=%" PRId64 "\n", sh->quorum ? sh->quorum->sid : 0);
	if (sh->quorum)
		words_quorum_conf(s, o);
}

void words_dirs(struct srv *s, struct words_out *o)
{
	struct srv_os os = {0};

	if (s->sh->os)
		os = s->sh->os();
	words_printf(o, "datadir_size: %" PRIu64 "\n", os.data_dir_bytes);
	words_printf(o, "logdir_size: %" PRIu64 "\n", os.log_dir_bytes);
}

void words_hash(struct srv *s, struct words_out *o)
{
	struct tree_digest_at at[TREE_DIGESTS_MAX];
	unsigned n = tree_digest_history(s->tree, at, TREE_DIGESTS_MAX);

	for (unsigned i = 0; i < n; i++)
		words_printf(o, "%" PRIx64 ": %" PRId64 "\n", at[i].zxid, (int64_t)at[i].digest);
}

/** Apache's short names (Request.op2String and FinalRequestProcessor). */
static const char *op_name(int32_t op)
{
	static const struct {
		int32_t op;
		const char *name;
	} names[] = {
		{ZK_OP_PING, "PING"},           {ZK_OP_CREATE_SESSION, "SESS"},
		{ZK_OP_MULTI, "MULT"},          {ZK_OP_MULTI_READ, "MLTR"},
		{ZK_OP_CREATE, "CREA"},         {ZK_OP_CREATE2, "CREA"},
		{ZK_OP_CREATE_TTL, "CREA"},     {ZK_OP_CREATE_CONTAINER, "CREA"},
		{ZK_OP_DELETE, "DELE"},         {ZK_OP_SET_DATA, "SETD"},
		{ZK_OP_RECONFIG, "RECO"},       {ZK_OP_SET_ACL, "SETA"},
		{ZK_OP_CLOSE_SESSION, "CLOS"},  {ZK_OP_SYNC, "SYNC"},
		{ZK_OP_CHECK, "CHEC"},          {ZK_OP_EXISTS, "EXIS"},
		{ZK_OP_GET_DATA, "GETD"},       {ZK_OP_SET_WATCHES, "SETW"},
		{ZK_OP_SET_WATCHES2, "STW2"},   {ZK_OP_ADD_WATCH, "ADDW"},
		{ZK_OP_GET_ACL, "GETA"},        {ZK_OP_GET_CHILDREN, "GETC"},
		{ZK_OP_GET_CHILDREN2, "GETC"},  {ZK_OP_CHECK_WATCHES, "CHKW"},
		{ZK_OP_REMOVE_WATCHES, "REMW"}, {ZK_OP_WHO_AM_I, "HOMI"},
		{ZK_OP_GET_EPHEMERALS, "GETE"}, {ZK_OP_GET_ALL_CHILDREN_NUMBER, "GETACN"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].op == op)
			return names[i].name;
	return "NA";
}

/** ServerCnxn.dumpConnectionInfo: interest is 0 for a connection that is not read, 1 read, 5 read
 * and write. */
void words_conn(const struct srv_conn *c, bool brief, struct words_out *o)
{
	const struct srv *s = c->s;
	uint64_t began_ms = (c->opened_ns - s->sh->started_ns) / 1000000;
	unsigned interest = c->state == CONN_ASKING || c->state == CONN_CLOSING ? 0
			    : c->out.n                                          ? 5
										: 1;

	words_printf(o, " /%s:%u[%u](queued=%" PRIu32 ",recved=%" PRIu64 ",sent=%" PRIu64, c->addr,
		     c->port, interest, c->outstanding, c->received, c->sent);
	if (!brief && c->session) {
		words_printf(o, ",sid=0x%" PRIx64 ",lop=%s,est=%" PRId64 ",to=%" PRId32, c->session,
			     op_name(c->last_op), s->sh->started_wall_ms + (int64_t)began_ms,
			     c->timeout_ms);
		if (c->last_cxid >= 0)
			words_printf(o, ",lcxid=0x%" PRIx64, (uint64_t)c->last_cxid);
		words_printf(o,
			     ",lzxid=0x%" PRIx64 ",lresp=%" PRIu64 ",llat=%" PRIu32
			     ",minlat=%" PRIu32 ",avglat=%" PRIu64 ",maxlat=%" PRIu32,
			     c->last_zxid, c->last_response_ns / 1000000, c->latency_last_ms,
			     c->latency_min_ms,
			     c->latency_count ? c->latency_sum_ms / c->latency_count : 0,
			     c->latency_max_ms);
	}
	words_printf(o, ")");
}
