/* SPDX-License-Identifier: Apache-2.0 */
/** The part of the configuration that makes a server a member of an ensemble
 * (QuorumPeerConfig.setupQuorumPeerConfig; spec/disk-format.md sections 8 and 9): server lines,
 * myid, limits, and the second device for the quorum's own traffic. */
#ifndef ZK_CTL_CONFIG_QUORUM_H
#define ZK_CTL_CONFIG_QUORUM_H

#include "core/zab/members.h"
#include "dp/port/port.h"

#include <stdbool.h>
#include <stdint.h>

/** dp.peerDevice: all zero when the quorum shares the clients' device. */
struct config_peer {
	struct port_spec device;
	char device_text[160]; /* "": none */
	uint32_t address, gateway, tap_host_ip;
	uint8_t prefix, tap_host_prefix;
	char tap_bridge[16];
	uint8_t mac[6]; /* derived */
};

struct config_quorum {
	bool on; /* a member of an ensemble; what follows counts only then */
	int64_t sid;
	bool observer; /* by the server lines */
	struct zab_members members;
	/* of members.server[i].address[j], host order; 0: the name could not be resolved */
	uint32_t ip[ZAB_SERVERS_MAX][ZAB_ADDRESSES_MAX];
	uint32_t init_limit, sync_limit, connect_limit; /* ticks; connect_limit 0 = init_limit */
	uint32_t cnx_timeout_ms, hello_timeout_ms;      /* the latter: 0 = tick_ms * sync_limit */
	uint32_t resend_min_ms, resend_max_ms;          /* fastleader.* */
	uint32_t settle_ms, settle_fast_ms, heartbeat_ms, heartbeat_timeout_ms;
	uint32_t observer_log_ms;    /* what an observer's log may wait for more */
	uint32_t observer_nice;      /* what an observer's threads are nicer than others */
	uint32_t observer_calm_us;   /* what an observer's leader may wait to be read */
	uint32_t observer_inform_us; /* how far apart a leader tells an observer */
	uint32_t commit_log_count;
	uint64_t history_bytes;  /* transactions kept for learners, and those under way */
	uint32_t request_bytes;  /* of a learner's requests under way to its leader */
	int32_t snap_factor_ppm; /* snapshotSizeFactor in millionths; negative: never from files */
	uint32_t initial_zxid;   /* testingonly.initialZxid: counter before a leader's first */
	bool observer_wanted;    /* peerType */
	bool standalone_ok;      /* standaloneEnabled */
	bool many_addresses;     /* multiAddress.enabled */
	bool read_only;          /* readonlymode.enabled */
	char dynamic_file[1024]; /* dynamicConfigFile, "": none */
	struct config_peer peer;
	bool peer_software; /* dp.peerQueue: no queue of its own on the clients' device */
};

#endif
