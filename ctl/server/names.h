/* SPDX-License-Identifier: Apache-2.0 */
/** Where the members of an ensemble are. Their host names are looked up at the start; a thread of
 *  its own looks up again each name that is dialled, as an address may have changed since
 *  (QuorumPeer.QuorumServer.recreateSocketAddresses). A dial goes to the address that is known, the
 *  next one to the new one. A name that cannot be looked up keeps its address. */
#ifndef ZK_CTL_NAMES_H
#define ZK_CTL_NAMES_H

#include "core/zab/members.h"
#include "ctl/server/config_quorum.h"
#include "ctl/server/helper.h"
#include "dp/loop/peer.h"

enum { NAMES_MAX = ZAB_SERVERS_MAX * ZAB_ADDRESSES_MAX };

struct names_conf {
	const struct config_quorum *quorum; /* members and their addresses so far; for the call */
	struct config_cpus cpus;
	uint32_t every_ms; /* the same name no sooner; 0 = 5000 */
	/** As value_host(), which it is when it is NULL. */
	const char *(*look_up)(const char *name, uint32_t *ip);
};

struct names {
	unsigned n;
	struct peer_host host[NAMES_MAX]; /* each name once; for peer_conf.hosts */
	struct waker waker;               /* ... and peer_conf.names */
	/* the thread's */
	struct names_conf conf;
	pthread_t id;
	bool running;
	_Atomic bool stop;
	_Atomic bool left; /* one of the two sides has; the other one frees it */
	struct {
		uint32_t dials; /* seen */
		uint64_t next_ns;
		bool numeric;
	} look[NAMES_MAX];
};

/** Main thread. No thread is started when all hosts are dotted addresses. @return ZK_EOK with *out,
 * ZK_ENOMEM, ZK_EIO (errno). */
ZK_MUST_USE enum zk_err names_start(const struct names_conf *conf, struct names **out);
/** Nobody dials any more. Main thread. Bound: a second; a look-up that takes longer is left behind
 * and frees @p s when it ends. NULL is fine. */
void names_stop(struct names *s);

#endif
