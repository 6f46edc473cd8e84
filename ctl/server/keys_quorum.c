/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of an ensemble. */
#include "ctl/server/key.h"
#include "ctl/server/value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { COMMIT_LOG_MIN = 500, COMMIT_LOG_MAX = 1 << 20, SNAP_FACTOR_DEFAULT_PPM = 330000 };

static const uint64_t history_min = 4 << 20, history_max = UINT64_C(16) << 30;

static const char *set_algorithm(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_int(value, INT32_MIN, INT32_MAX, &v);

	(void)x;
	(void)k;
	if (why)
		return why;
	return v == 3 ? NULL : "is no election algorithm: only 3 is supported";
}

static const char *set_peer_type(struct config_ctx *x, const struct key *k, const char *value)
{
	(void)k;
	x->c->quorum.observer_wanted = strcasecmp(value, "observer") == 0;
	if (x->c->quorum.observer_wanted || strcasecmp(value, "participant") == 0)
		return NULL;
	return "must be participant or observer";
}

/* ZKDatabase: fewer than the default are not kept. */
static const char *set_commit_log(struct config_ctx *x, const struct key *k, const char *value)
{
	int64_t v;
	const char *why = value_int(value, INT32_MIN, k->max, &v);

	if (!why)
		x->c->quorum.commit_log_count = v < COMMIT_LOG_MIN ? COMMIT_LOG_MIN : (uint32_t)v;
	return why;
}

/* ZKDatabase: above 1 means the default, below 0 turns it off. */
static const char *set_snap_factor(struct config_ctx *x, const struct key *k, const char *value)
{
	char *end;
	double v = strtod(value, &end);

	(void)k;
	if (end == value || *end || isnan(v))
		return "is not a number like 0.33";
	x->c->quorum.snap_factor_ppm = v > 1   ? SNAP_FACTOR_DEFAULT_PPM
				       : v < 0 ? -1
					       : (int32_t)(v * 1000000);
	return NULL;
}

static const char *set_history(struct config_ctx *x, const struct key *k, const char *value)
{
	uint64_t v;
	const char *why = value_size(value, &v);

	(void)k;
	if (why)
		return why;
	if (v < history_min)
		return "is less than 4M";
	if (v > history_max)
		return "is more than 16G";
	x->c->quorum.history_bytes = v;
	return NULL;
}

static const char *set_peer_device(struct config_ctx *x, const struct key *k, const char *value)
{
	static char why[PORT_ERR_TEXT_MAX]; /* main thread; read before the next key */

	if (port_spec_parse(value, &x->c->quorum.peer.device, why) != ZK_EOK)
		return why;
	return key_string(x, k, value);
}

static const char *set_peer_address(struct config_ctx *x, const struct key *k, const char *value)
{
	struct config_peer *p = &x->c->quorum.peer;

	(void)k;
	return value_cidr(value, &p->address, &p->prefix);
}

static const char *set_peer_queue(struct config_ctx *x, const struct key *k, const char *value)
{
	(void)k;
	x->c->quorum.peer_software = strcmp(value, "software") == 0;
	if (x->c->quorum.peer_software || strcmp(value, "auto") == 0)
		return NULL;
	return "must be auto or software";
}

static const char *set_peer_tap_host(struct config_ctx *x, const struct key *k, const char *value)
{
	struct config_peer *p = &x->c->quorum.peer;

	(void)k;
	return value_cidr(value, &p->tap_host_ip, &p->tap_host_prefix);
}

static const struct key parsed_keys[] = {
	KEYN("initLimit", key_u32, quorum.init_limit, 0, 1000000),
	KEYN("syncLimit", key_u32, quorum.sync_limit, 0, 1000000),
	KEYN("connectToLearnerMasterLimit", key_u32, quorum.connect_limit, 0, 1000000),
	KEY("electionAlg", set_algorithm),
	KEY("peerType", set_peer_type),
	/* The stack has one address; every port of it is open there. */
	KEY("quorumListenOnAllIPs", key_skip_bool),
	KEYF("standaloneEnabled", key_bool, quorum.standalone_ok),
	KEYF("multiAddress.enabled", key_bool, quorum.many_addresses),
	KEYN("dynamicConfigFile", key_string, quorum.dynamic_file, 1, 0),

	/* ours */
	KEYN("zab.settleMs", key_u32, quorum.settle_ms, 1, 60000),
	KEYN("zab.settleFastMs", key_u32, quorum.settle_fast_ms, 0, 60000),
	KEYN("zab.heartbeatMs", key_u32, quorum.heartbeat_ms, 0, 60000),
	KEYN("zab.heartbeatTimeoutMs", key_u32, quorum.heartbeat_timeout_ms, 1, 600000),
	KEYN("zab.observerCalmUs", key_u32, quorum.observer_calm_us, 0, 20000),
	KEYN("zab.observerInformUs", key_u32, quorum.observer_inform_us, 0, 20000),
	KEYN("zab.observerLogMs", key_u32, quorum.observer_log_ms, 0, 1000),
	KEYN("zab.observerNice", key_u32, quorum.observer_nice, 0, 19),
	KEY("zab.historyBytes", set_history),
	KEYN("zab.requestBytes", key_buffer, quorum.request_bytes, 64 << 10, 1 << 30),
	KEYN("dp.peerDevice", set_peer_device, quorum.peer.device_text, 1, 0),
	KEY("dp.peerAddress", set_peer_address),
	KEYF("dp.peerGateway", key_ipv4, quorum.peer.gateway),
	KEY("dp.peerTapHostAddress", set_peer_tap_host),
	KEYN("dp.peerTapBridge", key_string, quorum.peer.tap_bridge, 1, 0),
	KEY("dp.peerQueue", set_peer_queue),
};

static const struct key property_keys[] = {
	KEYN("cnxTimeout", key_java_positive, quorum.cnx_timeout_ms, 1, 3600000),
	KEYN("quorumCnxnTimeoutMs", key_java_positive, quorum.hello_timeout_ms, 1, 3600000),
	KEYN("fastleader.minNotificationInterval", key_java_u32, quorum.resend_min_ms, 1, 3600000),
	KEYN("fastleader.maxNotificationInterval", key_java_u32, quorum.resend_max_ms, 1, 3600000),
	{"commitLogCount", set_commit_log, 0, 0, 0, COMMIT_LOG_MAX},
	KEY("snapshotSizeFactor", set_snap_factor),
	KEY("forceSnapshotSync", key_refuse_true),
	KEYF("readonlymode.enabled", key_java_bool, quorum.read_only),
	KEYN("testingonly.initialZxid", key_java_u32, quorum.initial_zxid, 0, UINT32_MAX - 1),
};

const struct key *config_quorum_key(const char *name, bool property)
{
	const struct key *v = property ? property_keys : parsed_keys;
	size_t n = property ? sizeof(property_keys) / sizeof(*v) : sizeof(parsed_keys) / sizeof(*v);

	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i].name, name) == 0)
			return &v[i];
	return NULL;
}

void config_quorum_defaults(struct config_quorum *q)
{
	*q = (struct config_quorum){
		.cnx_timeout_ms = 5000,
		.resend_min_ms = 200,
		.resend_max_ms = 60000,
		.settle_ms = 200,
		.settle_fast_ms = 30,
		.heartbeat_ms = 40,
		.heartbeat_timeout_ms = 250,
		.observer_log_ms = 50,
		.observer_nice = 7,
		.observer_calm_us = 5000,
		.observer_inform_us = 2000,
		.history_bytes = 64 << 20,
		.request_bytes = 16 << 20,
		.commit_log_count = COMMIT_LOG_MIN,
		.snap_factor_ppm = SNAP_FACTOR_DEFAULT_PPM,
		.standalone_ok = true,
	};
}
