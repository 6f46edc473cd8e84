/* SPDX-License-Identifier: Apache-2.0 */
/** zokord's configuration: zoo.cfg with Apache's keys and ours (spec/disk-format.md sections 8 and
 * 9, DESIGN section 6). Everything is checked here; what comes out can be used as it is.
 */
#ifndef ZK_CTL_CONFIG_H
#define ZK_CTL_CONFIG_H

#include "core/base/err.h"
#include "core/server/limits.h"
#include "core/store/name.h"
#include "ctl/server/config_quorum.h"
#include "ctl/server/cpus.h"
#include "ctl/server/log.h"
#include "dp/eal/eal.h"
#include "dp/port/port.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
	CONFIG_PATH_MAX = 1024,
	CONFIG_CORES_MAX = PORT_QUEUES_MAX,
	CONFIG_WARNINGS_MAX = 64,
};

struct config {
	/* Apache's */
	uint16_t client_port;
	uint32_t client_port_address; /* host order, 0 = any */
	char data_dir[CONFIG_PATH_MAX], data_log_dir[CONFIG_PATH_MAX];
	uint32_t tick_ms;
	int32_t min_session_timeout_ms, max_session_timeout_ms; /* resolved, never -1 */
	uint32_t max_client_cnxns, max_cnxns;                   /* 0 = off */
	struct limits_conf limit;
	uint32_t local_weight; /* of limit.connect, for its defaults only */
	int32_t listen_backlog;
	uint32_t jute_maxbuffer;
	uint32_t jute_extra_bytes; /* a record of log and snapshot may be so much longer */
	uint32_t sessionless_timeout_ms;
	char four_letter_words[512];
	bool local_sessions; /* of a server in read-only mode, and of a leader's Apache learners */
	bool skip_acl, extended_types, enforce_quota, digest_sha256;
	bool snapshot_trust_empty, datadir_autocreate, db_autocreate;
	bool digest_enabled;                        /* of the tree, in log and snapshots */
	uint32_t reap_interval_ms, reap_per_minute; /* znode.container.*: the reaper */
	uint64_t reap_never_used_ms;                /* 0 = never */
	uint64_t prealloc_bytes, log_size_limit;    /* preAllocSize, txnLogSizeLimitInKb; 0 = off */
	uint32_t fsync_warning_ms;
	bool force_sync;
	char super_digest[128];
	uint32_t snap_count;                /* snapCount, >= 2 */
	uint64_t snap_size_bytes;           /* snapSizeLimitInKb; 0 = off */
	enum store_pack snap_pack;          /* snapshot.compression.method */
	bool snap_last_zxid;                /* serializeLastProcessedZxid.enabled */
	uint32_t purge_retain, purge_hours; /* autopurge.*; 0 hours = never */

	/* ours */
	struct port_spec device;
	char device_text[160];
	uint32_t address, gateway; /* host order; gateway 0 = none */
	uint8_t prefix;
	uint16_t mtu; /* 0 = the device's own */
	uint32_t tap_host_ip;
	uint8_t tap_host_prefix;
	char tap_bridge[16];
	uint8_t mac[6]; /* configured or derived from address and device */
	unsigned cores;
	uint16_t core_cpu[CONFIG_CORES_MAX];
	uint16_t leader_cpu;
	bool adaptive;
	enum eal_hugepages hugepages;
	char eal_args[512];
	uint32_t rx_packets, tx_packets; /* per client core */
	uint32_t max_connections;        /* in total, divided over the cores */
	uint32_t rto_min_ms, time_wait_ms, give_up_ms, keepalive_ms;
	uint32_t snd_buf_bytes, rcv_buf_bytes;
	uint64_t memory_limit;          /* bytes of tree */
	uint64_t core_memory;           /* bytes of each core: connections, watches, sessions */
	bool trust_gaps;                /* start although transactions are missing */
	char log_file[CONFIG_PATH_MAX]; /* "" = standard error */
	enum log_level log_level;

	struct config_quorum quorum;

	unsigned warnings_n;
	char warning[CONFIG_WARNINGS_MAX][200]; /* "FILE:LINE: KEY: ..." */
};

/** Parse @p n bytes of @p text, called @p file in messages. Borrowed for the call.
 *  @return true with *out filled; false after writing one line for each bad value to @p err
 * ("FILE:LINE: KEY: reason"). With server lines it reads dynamicConfigFile and dataDir/myid and
 * resolves names (may block). Main thread. */
bool config_parse(const char *file, const char *text, size_t n, const struct config_cpus *cpus,
		  struct config *out, FILE *err);

/** config_parse() of a file's contents; a file that cannot be read is one line on @p err, too. */
bool config_load(const char *file, const struct config_cpus *cpus, struct config *out, FILE *err);

/** What counts, as `key=value` lines that config_parse() would read again; for --check. */
void config_print(const struct config *c, FILE *out);

#endif
