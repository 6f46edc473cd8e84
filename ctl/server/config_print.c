/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/config.h"

static void print_ip(FILE *out, const char *key, uint32_t ip, int prefix)
{
	fprintf(out, "%s=%u.%u.%u.%u", key, ip >> 24, (ip >> 16) & 255, (ip >> 8) & 255, ip & 255);
	if (prefix)
		fprintf(out, "/%d", prefix);
	fputc('\n', out);
}

/* A backslash in a path would escape when read again. */
static void print_text(FILE *out, const char *key, const char *value)
{
	fprintf(out, "%s=", key);
	for (; *value; value++) {
		if (*value == '\\')
			fputc('\\', out);
		fputc(*value, out);
	}
	fputc('\n', out);
}

static const char *truth(bool v)
{
	return v ? "true" : "false";
}

static void print_share(FILE *out, const char *key, uint32_t billionths)
{
	fprintf(out, "%s=%u.%09u\n", key, billionths / THROTTLE_CERTAIN,
		billionths % THROTTLE_CERTAIN);
}

static void print_limits(const struct config *c, FILE *out)
{
	const struct limits_conf *l = &c->limit;
	const struct throttle_conf *t = &l->connect;
	uint32_t weight = t->weighed ? t->global_weight : 1;

	fprintf(out, "globalOutstandingLimit=%d\n", l->outstanding);
	fprintf(out, "request_throttle_max_requests=%u\nrequest_throttle_stall_time=%u\n",
		l->requests_max, l->stall_ms);
	fprintf(out, "throttled_op_wait_time=%u\nrequest_throttle_drop_stale=%s\n", l->op_wait_ms,
		truth(l->drop_stale));
	fprintf(out, "request_stale_connection_check=%s\nrequest_stale_latency_check=%s\n",
		truth(l->stale_connection), truth(l->stale_latency));
	fprintf(out, "largeRequestThreshold=%d\nlargeRequestMaxBytes=%u\n",
		l->large_bytes ? (int)l->large_bytes : -1, l->large_max_bytes);
	fprintf(out, "connection_throttle_tokens=%u\nconnection_throttle_fill_time=%u\n",
		t->tokens / weight, t->fill_ms);
	fprintf(out, "connection_throttle_fill_count=%u\nconnection_throttle_freeze_time=%d\n",
		t->fill_count / weight, t->freeze_ms);
	print_share(out, "connection_throttle_drop_increase", t->drop_increase);
	print_share(out, "connection_throttle_drop_decrease", t->drop_decrease);
	print_share(out, "connection_throttle_decrease_ratio", t->decrease_ratio);
	fprintf(out, "connection_throttle_weight_enabled=%s\n", truth(t->weighed));
	fprintf(out, "connection_throttle_global_session_weight=%u\n", t->global_weight);
	fprintf(out, "connection_throttle_local_session_weight=%u\n", c->local_weight);
	fprintf(out, "connection_throttle_renew_session_weight=%u\n", t->renew_weight);
}

static void print_snapshots(const struct config *c, FILE *out)
{
	static const char *const pack[] = {"", "gz", "snappy"};

	fprintf(out, "snapCount=%u\nsnapSizeLimitInKb=%llu\n", c->snap_count,
		(unsigned long long)(c->snap_size_bytes >> 10));
	fprintf(out, "snapshot.compression.method=%s\n", pack[c->snap_pack]);
	fprintf(out, "serializeLastProcessedZxid.enabled=%s\n",
		c->snap_last_zxid ? "true" : "false");
	fprintf(out, "autopurge.snapRetainCount=%u\nautopurge.purgeInterval=%u\n", c->purge_retain,
		c->purge_hours);
}

static void print_peer(const struct config_quorum *q, FILE *out)
{
	const struct config_peer *p = &q->peer;

	if (!p->device_text[0]) {
		fprintf(out, "dp.peerQueue=%s\n", q->peer_software ? "software" : "auto");
		return;
	}
	print_text(out, "dp.peerDevice", p->device_text);
	print_ip(out, "dp.peerAddress", p->address, p->prefix);
	if (p->gateway)
		print_ip(out, "dp.peerGateway", p->gateway, 0);
	if (p->tap_host_ip)
		print_ip(out, "dp.peerTapHostAddress", p->tap_host_ip, p->tap_host_prefix);
	if (p->tap_bridge[0])
		print_text(out, "dp.peerTapBridge", p->tap_bridge);
}

static void print_quorum(const struct config_quorum *q, FILE *out)
{
	uint8_t text[ZAB_CONFIG_MAX];
	struct jute_out members = jute_out_of(text, sizeof(text));

	if (!q->on)
		return;
	zab_members_text(&q->members, &members);
	if (!members.full)
		fprintf(out, "%.*s\n", (int)jute_out_len(&members), (const char *)text);
	fprintf(out, "peerType=%s\nstandaloneEnabled=%s\nmultiAddress.enabled=%s\n",
		q->observer ? "observer" : "participant", truth(q->standalone_ok),
		truth(q->many_addresses));
	fprintf(out, "initLimit=%u\nsyncLimit=%u\nconnectToLearnerMasterLimit=%u\n", q->init_limit,
		q->sync_limit, q->connect_limit);
	fprintf(out, "cnxTimeout=%u\nquorumCnxnTimeoutMs=%u\n", q->cnx_timeout_ms,
		q->hello_timeout_ms);
	fprintf(out, "fastleader.minNotificationInterval=%u\n", q->resend_min_ms);
	fprintf(out, "fastleader.maxNotificationInterval=%u\n", q->resend_max_ms);
	fprintf(out,
		"zab.settleMs=%u\nzab.settleFastMs=%u\nzab.heartbeatMs=%u\nzab.heartbeatTimeoutMs=%"
		"u\n",
		q->settle_ms, q->settle_fast_ms, q->heartbeat_ms, q->heartbeat_timeout_ms);
	fprintf(out,
		"zab.observerCalmUs=%u\nzab.observerInformUs=%u\nzab.observerLogMs=%u\n"
		"zab.observerNice=%u\n",
		q->observer_calm_us, q->observer_inform_us, q->observer_log_ms, q->observer_nice);
	fprintf(out, "zab.historyBytes=%llu\nzab.requestBytes=%u\ncommitLogCount=%u\n",
		(unsigned long long)q->history_bytes, q->request_bytes, q->commit_log_count);
	if (q->snap_factor_ppm < 0)
		fprintf(out, "snapshotSizeFactor=-1\n");
	else
		fprintf(out, "snapshotSizeFactor=%d.%06d\n", q->snap_factor_ppm / 1000000,
			q->snap_factor_ppm % 1000000);
	fprintf(out, "readonlymode.enabled=%s\ntestingonly.initialZxid=%u\n", truth(q->read_only),
		q->initial_zxid);
	print_peer(q, out);
}

void config_print(const struct config *c, FILE *out)
{
	static const char *const huge[] = {"auto", "2M", "1G", "no"};
	static const char *const level[] = {"error", "warn", "info", "debug"};

	fprintf(out, "clientPort=%u\n", c->client_port);
	print_text(out, "dataDir", c->data_dir);
	print_text(out, "dataLogDir", c->data_log_dir);
	fprintf(out, "tickTime=%u\nminSessionTimeout=%d\nmaxSessionTimeout=%d\n", c->tick_ms,
		c->min_session_timeout_ms, c->max_session_timeout_ms);
	fprintf(out, "clientPortListenBacklog=%d\nmaxClientCnxns=%u\nmaxCnxns=%u\n",
		c->listen_backlog, c->max_client_cnxns, c->max_cnxns);
	print_limits(c, out);
	fprintf(out, "jute.maxbuffer.extrasize=%u\n", c->jute_extra_bytes);
	fprintf(out, "jute.maxbuffer=%u\nnio.sessionlessCnxnTimeout=%u\n", c->jute_maxbuffer,
		c->sessionless_timeout_ms);
	fprintf(out, "localSessionsEnabled=%s\n", truth(c->local_sessions));
	fprintf(out, "snapshot.trust.empty=%s\n", c->snapshot_trust_empty ? "true" : "false");
	fprintf(out, "datadir.autocreate=%s\ndb.autocreate=%s\nrecovery.trustGaps=%s\n",
		c->datadir_autocreate ? "true" : "false", c->db_autocreate ? "true" : "false",
		c->trust_gaps ? "true" : "false");
	fprintf(out, "digest.enabled=%s\n", c->digest_enabled ? "true" : "false");
	fprintf(out, "preAllocSize=%llu\ntxnLogSizeLimitInKb=%lld\n",
		(unsigned long long)c->prealloc_bytes >> 10,
		c->log_size_limit ? (long long)(c->log_size_limit >> 10) : -1);
	fprintf(out, "forceSync=%s\nfsync.warningthresholdms=%u\n", c->force_sync ? "yes" : "no",
		c->fsync_warning_ms);
	print_snapshots(c, out);
	fprintf(out, "znode.container.checkIntervalMs=%u\nznode.container.maxPerMinute=%u\n",
		c->reap_interval_ms, c->reap_per_minute);
	fprintf(out, "znode.container.maxNeverUsedIntervalMs=%llu\n",
		(unsigned long long)c->reap_never_used_ms);
	print_quorum(&c->quorum, out);
	print_text(out, "4lw.commands.whitelist", c->four_letter_words);
	print_text(out, "dp.device", c->device_text);
	print_ip(out, "dp.address", c->address, c->prefix);
	if (c->gateway)
		print_ip(out, "dp.gateway", c->gateway, 0);
	if (c->mtu)
		fprintf(out, "dp.mtu=%u\n", c->mtu);
	if (c->tap_host_ip)
		print_ip(out, "dp.tapHostAddress", c->tap_host_ip, c->tap_host_prefix);
	if (c->tap_bridge[0])
		print_text(out, "dp.tapBridge", c->tap_bridge);
	fprintf(out, "dp.mac=%02x:%02x:%02x:%02x:%02x:%02x\n", c->mac[0], c->mac[1], c->mac[2],
		c->mac[3], c->mac[4], c->mac[5]);
	for (unsigned i = 0; i < c->cores; i++)
		fprintf(out, "%s%u", i ? "," : "dp.cores=", c->core_cpu[i]);
	fprintf(out, "\ndp.leaderCpu=%u\ndp.idle=%s\ndp.hugepages=%s\n", c->leader_cpu,
		c->adaptive ? "adaptive" : "poll", huge[c->hugepages]);
	fprintf(out, "dp.rxPackets=%u\ndp.txPackets=%u\ndp.maxConnections=%u\n", c->rx_packets,
		c->tx_packets, c->max_connections);
	fprintf(out, "dp.coreMemory=%llu\ntree.memoryLimit=%llu\nlog.level=%s\n",
		(unsigned long long)c->core_memory, (unsigned long long)c->memory_limit,
		level[c->log_level]);
	if (c->log_file[0])
		print_text(out, "log.file", c->log_file);
}
