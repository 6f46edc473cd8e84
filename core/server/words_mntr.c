/* SPDX-License-Identifier: Apache-2.0 */
/* mntr: what is registered in srv_shared.metrics, what the client cores count, and Apache's names
 * for what a server like this one never does (MonitorCommand, ServerMetrics). */
#include "core/server/leader.h"
#include "core/server/srv_int.h"

#include <inttypes.h>

void words_u64(struct words_out *o, const char *name, uint64_t v)
{
	words_printf(o, "zk_%s\t%" PRIu64 "\n", name, v);
}

void words_i64(struct words_out *o, const char *name, int64_t v)
{
	words_printf(o, "zk_%s\t%" PRId64 "\n", name, v);
}

/** AvgMinMaxCounter.values(), AvgMinMaxPercentileCounter.values(). */
static void put_summary(struct words_out *o, const char *name, const struct zk_hist *h,
			bool detailed)
{
	static const struct {
		const char *prefix;
		uint32_t ppm;
	} part[] = {{"p50", 500000}, {"p95", 950000}, {"p99", 990000}, {"p999", 999000}};
	char avg[STATS_AVG_TEXT_BYTES];

	stats_avg_text(h->sum, h->count, avg);
	words_printf(o, "zk_avg_%s\t%s\n", name, avg);
	words_printf(o, "zk_min_%s\t%" PRIu64 "\n", name, h->count ? h->min : 0);
	words_printf(o, "zk_max_%s\t%" PRIu64 "\n", name, h->max);
	words_printf(o, "zk_cnt_%s\t%" PRIu64 "\n", name, h->count);
	words_printf(o, "zk_sum_%s\t%" PRIu64 "\n", name, h->sum);
	for (size_t i = 0; detailed && i < sizeof(part) / sizeof(part[0]); i++)
		words_printf(o, "zk_%s_%s\t%" PRIu64 "\n", part[i].prefix, name,
			     zk_hist_quantile(h, part[i].ppm));
}

/* ---- the client cores' ---- */

/** The sum of one summary of all cores. */
static void merge(const struct srv *s, enum srv_metric which, struct zk_hist *h)
{
	zk_hist_init(h);
	for (unsigned i = 0; i < s->sh->cores; i++)
		if (s->sh->srv[i])
			zk_metric_read(&s->sh->srv[i]->metric[which], h);
}

static void put_latencies(struct srv *s, struct words_out *o, const struct srv_counts *t)
{
	struct zk_hist *h = &s->hist;
	uint64_t updates;

	merge(s, SRV_METRIC_UPDATE, h);
	updates = h->count;
	put_summary(o, "updatelatency", h, true);
	merge(s, SRV_METRIC_READ, h);
	/* those of less than a millisecond are counted by the hot path only as answered */
	if (t->latency_count > updates + h->count) {
		uint64_t quick = t->latency_count - updates - h->count;

		h->slot[0] += quick;
		h->count += quick;
		h->min = 0;
	}
	put_summary(o, "readlatency", h, true);
}

static void put_cores(struct srv *s, struct words_out *o)
{
	static const struct {
		const char *name;
		enum srv_metric which;
		bool detailed;
	} list[] = {
		{"request_throttle_queue_time_ms", SRV_METRIC_PARKED, true},
		{"connection_token_deficit", SRV_METRIC_DEFICIT, false},
		{"node_created_watch_count", SRV_METRIC_CREATED, false},
		{"node_deleted_watch_count", SRV_METRIC_DELETED, false},
		{"node_changed_watch_count", SRV_METRIC_CHANGED, false},
		{"node_children_watch_count", SRV_METRIC_CHILDREN, false},
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		merge(s, list[i].which, &s->hist);
		put_summary(o, list[i].name, &s->hist, list[i].detailed);
	}
}

static void put_counts(struct words_out *o, const struct srv_counts *t)
{
	words_u64(o, "local_sessions", t->local_sessions);
	words_u64(o, "connection_request_count", t->connect_requests);
	words_u64(o, "connection_revalidate_count", t->revalidates);
	words_u64(o, "connection_rejected", t->conns_refused);
	words_u64(o, "connection_drop_count", t->conns_lost);
	words_u64(o, "sessionless_connections_expired", t->conns_idle);
	words_u64(o, "bytes_received_count", t->bytes_received);
	words_u64(o, "response_bytes", t->response_bytes);
	words_u64(o, "watch_bytes", t->watch_bytes);
	words_u64(o, "stale_replies", t->stale_replies);
	words_u64(o, "stale_requests", t->stale_requests);
	words_u64(o, "stale_requests_dropped", t->stale_dropped);
	words_u64(o, "throttled_ops", t->throttled_ops);
	words_u64(o, "request_throttle_wait_count", t->parked);
	words_u64(o, "large_requests_rejected", t->large_refused);
	/* ours */
	words_u64(o, "connections_closed_by_server", t->conns_dropped);
	words_u64(o, "connections_closed_by_role", t->conns_parted);
	words_u64(o, "connections_throttled", t->conns_throttled);
	words_u64(o, "connections_malformed", t->conns_malformed);
	words_u64(o, "connections_overrun", t->conns_overrun);
	words_u64(o, "memory_refused_connections", t->memory_refused);
	words_u64(o, "memory_refused_watches", t->watches_refused);
	words_u64(o, "core_memory_bytes", t->memory_bytes);
	words_u64(o, "core_memory_limit_bytes", t->memory_limit_bytes);
	words_u64(o, "parser_stops_outstanding", t->throttled);
	words_u64(o, "parser_stops_output", t->out_full);
	words_u64(o, "parser_stops_ring", t->ring_full);
}

/* ---- leader, tree, operating system ---- */

static void put_leader(const struct srv *s, struct words_out *o)
{
	struct leader_stats ls = {0};

	if (s->sh->leader)
		leader_stats_get(s->sh->leader, &ls);
	words_u64(o, "global_sessions", ls.sessions);
	/* ours */
	words_u64(o, "memory_refused_writes", ls.refused_memory);
	words_u64(o, "size_refused_writes", ls.refused_size);
	words_u64(o, "quota_refused_writes", ls.quota_exceeded);
	words_u64(o, "quota_soft_exceeded_writes", ls.quota_soft);
}

static void put_os(const struct srv *s, struct words_out *o)
{
	struct srv_os os = {0};

	if (s->sh->os)
		os = s->sh->os();
	words_u64(o, "open_file_descriptor_count", os.open_files);
	words_u64(o, "max_file_descriptor_count", os.max_files);
}

/** Billionths as Double.toString() prints them, but for the tiny ones. */
static void put_chance(struct words_out *o, uint32_t chance)
{
	char text[16];
	struct words_out t = {text, 0, sizeof(text)};

	words_printf(&t, "%09" PRIu32, chance % THROTTLE_CERTAIN);
	while (t.n > 1 && text[t.n - 1] == '0')
		t.n--;
	words_printf(o, "zk_connection_drop_probability\t%d.%.*s\n", chance >= THROTTLE_CERTAIN,
		     (int)t.n, text);
}

static void put_gauges(struct srv *s, struct words_out *o, const struct srv_counts *t)
{
	char avg[STATS_AVG_TEXT_BYTES];
	struct tree_stats ts;

	tree_stats_get(s->tree, &ts);
	stats_avg_text(t->latency_sum_ms, t->latency_count, avg);
	words_printf(o, "zk_avg_latency\t%s\n", avg);
	words_u64(o, "min_latency", t->latency_min_ms);
	words_u64(o, "max_latency", t->latency_max_ms);
	words_u64(o, "packets_received", t->packets_received);
	words_u64(o, "packets_sent", t->packets_sent);
	words_u64(o, "num_alive_connections", t->conns);
	words_u64(o, "outstanding_requests", t->outstanding);
	words_u64(o, "znode_count", ts.nodes + 1);
	words_u64(o, "watch_count", t->watch_data + t->watch_child);
	words_u64(o, "ephemerals_count", ts.ephemerals);
	words_u64(o, "approximate_data_size", ts.data_bytes);
	words_u64(o, "uptime", words_uptime_ms(s));
	words_i64(o, "last_client_response_size",
		  t->responses ? (int64_t)t->response_last_bytes : -1);
	words_i64(o, "max_client_response_size",
		  t->responses ? (int64_t)t->response_max_bytes : -1);
	words_i64(o, "min_client_response_size",
		  t->responses ? (int64_t)t->response_min_bytes : -1);
	put_chance(o, throttle_chance(&s->sh->limits.throttle));
	words_u64(o, "auth_failed_count", t->auth_failed);
	/* ours */
	words_u64(o, "tree_memory_bytes", ts.memory_bytes);
	words_u64(o, "tree_memory_limit_bytes", s->sh->tree_memory_limit_bytes);
}

/* ---- registered ---- */

static const struct metrics_entry *registered(const struct srv *s, const char *name)
{
	const struct metrics *m = &s->sh->metrics;

	for (unsigned i = 0; i < m->n; i++)
		if (strcmp(m->v[i].name, name) == 0)
			return &m->v[i];
	return NULL;
}

static void put_registered(struct srv *s, struct words_out *o)
{
	const struct metrics *m = &s->sh->metrics;

	for (unsigned i = 0; i < m->n; i++) {
		const struct metrics_entry *e = &m->v[i];

		if (!e->summary) {
			words_u64(o, e->name, metrics_value(e));
			continue;
		}
		zk_hist_init(&s->hist);
		zk_metric_read(e->summary, &s->hist);
		put_summary(o, e->name, &s->hist, e->kind == METRICS_DETAILED);
	}
}

/* ---- what never happens here ---- */

/* TLS and Netty, response caches, the queues between Apache's threads, the JVM: zero on a
 * standalone Apache server, too, as are the figures of an ensemble. What others count until they
 * register the names. */
static const char *const never[] = {
	"outstanding_tls_handshake",
	"non_mtls_remote_conn_count",
	"non_mtls_local_conn_count",
	"unsuccessful_handshake",
	"tls_handshake_exceeded",
	"insecure_admin_count",
	"cnxn_closed_without_zk_server_running",
	"unrecoverable_error_count",
	"response_packet_cache_hits",
	"response_packet_cache_misses",
	"response_packet_get_children_cache_hits",
	"response_packet_get_children_cache_misses",
	"add_dead_watcher_stall_time",
	"dead_watchers_queued",
	"dead_watchers_cleared",
	"ensemble_auth_success",
	"ensemble_auth_fail",
	"ensemble_auth_skip",
	"stale_sessions_expired",
	"digest_mismatches_count",
	"proposal_count",
	"commit_count",
	"looking_count",
	"diff_count",
	"snap_count",
	"revalidate_count",
	"quit_leading_due_to_disloyal_voter",
	"learner_proposal_received_count",
	"learner_commit_received_count",
	"skip_learner_request_to_next_processor_count",
	"request_commit_queued",
	"requests_not_forwarded_to_commit_processor",
	"sync_processor_request_queued",
	"snapshot_error_count",
	"snapshot_rate_limited_count",
	"restore_error_count",
	"restore_rate_limited_count",
};

static const char *const never_summary[] = {
	"fsynctime",
	"snapshottime",
	"dbinittime",
	"startup_snap_load_time",
	"startup_txns_loaded",
	"startup_txns_load_time",
	"restore_time",
	"sync_processor_batch_size",
	"sync_processor_queue_size",
	"sync_process_time",
	"election_time",
	"follower_sync_time",
	"observer_sync_time",
	"unavailable_time",
	"leader_unavailable_time",
	"inflight_snap_count",
	"inflight_diff_count",
	"learner_request_processor_queue_size",
	"socket_closing_time",
	"netty_queued_buffer_capacity",
	"commit_process_time",
	"commit_commit_proc_req_queued",
	"concurrent_request_processing_in_commit_processor",
	"pending_session_queue_size",
	"read_commit_proc_issued",
	"read_commit_proc_req_queued",
	"reads_after_write_in_session_queue",
	"reads_issued_from_session_queue",
	"requests_in_session_queue",
	"session_queues_drained",
	"time_waiting_empty_pool_in_commit_processor_read_ms",
	"write_batch_time_in_commit_processor",
	"write_commit_proc_issued",
	"write_commit_proc_req_queued",
};

static const char *const never_detailed[] = {
	"sync_processor_queue_time_ms",
	"sync_processor_queue_flush_time_ms",
	"sync_processor_queue_and_flush_time_ms",
	"proposal_latency",
	"proposal_ack_creation_latency",
	"quorum_ack_latency",
	"commit_propagation_latency",
	"om_proposal_process_time_ms",
	"om_commit_process_time_ms",
	"read_commitproc_time_ms",
	"write_commitproc_time_ms",
	"local_write_committed_time_ms",
	"server_write_committed_time_ms",
	"read_final_proc_time_ms",
	"write_final_proc_time_ms",
	"dead_watchers_cleaner_latency",
	"jvm_pause_time_ms",
};

static void put_never(struct srv *s, struct words_out *o)
{
	zk_hist_init(&s->hist);
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (!registered(s, never[i]))
			words_u64(o, never[i], 0);
	for (size_t i = 0; i < sizeof(never_summary) / sizeof(never_summary[0]); i++)
		if (!registered(s, never_summary[i]))
			put_summary(o, never_summary[i], &s->hist, false);
	for (size_t i = 0; i < sizeof(never_detailed) / sizeof(never_detailed[0]); i++)
		if (!registered(s, never_detailed[i]))
			put_summary(o, never_detailed[i], &s->hist, true);
}

void words_mntr(struct srv *s, struct words_out *o)
{
	struct srv_counts t;

	words_totals(s, &t);
	words_printf(o, "zk_version\t%s, built on %s\n", s->sh->version, s->sh->built);
	words_printf(o, "zk_server_state\t%s\n", srv_mode(s));
	words_quorum_state(s, o);
	put_gauges(s, o, &t);
	put_os(s, o);
	put_leader(s, o);
	words_quorum_mntr(s, o);
	put_counts(o, &t);
	put_latencies(s, o, &t);
	put_cores(s, o);
	put_registered(s, o);
	put_never(s, o);
	words_quota(s, o);
}
