/* SPDX-License-Identifier: Apache-2.0 */
/** Packets of the quorum port and of the election port (spec/quorum-protocol.md sections 2, 9, 10;
 * QuorumPacket, LearnerInfo, QuorumCnxManager.InitialMessage, FastLeaderElection.buildMsg).
 *
 * Readers take what has arrived so far and say ZK_EAGAIN until a whole packet is there; a length
 * above its limit is refused at once, so a stream never needs a buffer larger than the limit.
 */
#ifndef ZK_ZAB_PACKET_H
#define ZK_ZAB_PACKET_H

#include "core/base/err.h"
#include "core/jute/jute.h"

enum zab_type {
	ZAB_REQUEST = 1,
	ZAB_PROPOSAL = 2,
	ZAB_ACK = 3,
	ZAB_COMMIT = 4,
	ZAB_PING = 5,
	ZAB_REVALIDATE = 6,
	ZAB_SYNC = 7,
	ZAB_INFORM = 8,
	ZAB_COMMIT_AND_ACTIVATE = 9,
	ZAB_NEWLEADER = 10,
	ZAB_FOLLOWERINFO = 11,
	ZAB_UPTODATE = 12,
	ZAB_DIFF = 13,
	ZAB_TRUNC = 14,
	ZAB_SNAP = 15,
	ZAB_OBSERVERINFO = 16,
	ZAB_LEADERINFO = 17,
	ZAB_ACKEPOCH = 18,
	ZAB_INFORM_AND_ACTIVATE = 19
};

enum {
	ZAB_PACKET_MIN = 20,
	ZAB_AUTH_MAX = 1024,  /* identities of one connection */
	ZAB_ID_MAX = 1 << 20, /* bytes of a scheme or an id */
	ZAB_PROTOCOL = 0x10000,
	ZAB_HELLO_ADDRESS_MAX = 2048,
	ZAB_NOTIFICATION_MAX = 524288,
	ZAB_NOTIFICATION_HEAD = 44 /* before the text of the configuration */
};

/** The name of a type for log lines; "unknown" for others. Static storage. */
const char *zab_type_name(int32_t type);

struct zab_packet {
	int32_t type;
	uint64_t zxid;
	struct zk_span data; /* {NULL, 0}: null */
	struct zk_span auth; /* the Jute vector of Id with its count; {NULL, 0}: null */
};

/** The packet at the start of @p window. @p data_max bounds its data. Spans point into the window.
 * Any context; bound: ZAB_AUTH_MAX identities.
 * @return ZK_EOK with *used bytes; ZK_EAGAIN: not all is there yet; ZK_EINVAL: no packet, close. */
ZK_MUST_USE enum zk_err zab_packet_get(struct zk_span window, uint32_t data_max,
				       struct zab_packet *out, size_t *used);

/** Write it. out->full when it does not fit. */
void zab_packet_put(struct jute_out *out, const struct zab_packet *p);

static inline size_t zab_packet_bytes(const struct zab_packet *p)
{
	return ZAB_PACKET_MIN + p->data.n + (p->auth.p ? p->auth.n - 4 : 0);
}

/** Data of FOLLOWERINFO and OBSERVERINFO. */
struct zab_learner_info {
	int64_t sid;
	int32_t protocol;
	uint64_t config_version;
	bool has_sid, has_version; /* older learners say less */
};

/** @return ZK_EOK or ZK_EINVAL. Any context. */
ZK_MUST_USE enum zk_err zab_learner_info_get(struct zk_span data, struct zab_learner_info *out);
void zab_learner_info_put(struct jute_out *out, int64_t sid, uint64_t config_version);

/** What servers of this kind say to each other behind all that Apache's read (LearnerHandler.run()
 * looks at 20 bytes of FOLLOWERINFO, Learner.registerWithLeader() at 4 of LEADERINFO): heartbeats
 * every @p every_ms, and who is silent for @p timeout_ms is given up. */
struct zab_beat {
	uint32_t every_ms, timeout_ms;
};

enum {
	ZAB_INFO_BYTES = 20,
	ZAB_LEADERINFO_BYTES = 4,
	ZAB_BEAT_BYTES = 16,
	ZAB_BEAT_MAX_MS = 60000
};

/** @p behind: bytes of @p data before it. @return false: nothing that makes sense. Any context. */
bool zab_beat_get(struct zk_span data, uint32_t behind, struct zab_beat *out);
void zab_beat_put(struct jute_out *out, const struct zab_beat *b);

/** The first bytes on a connection to the election port, from who dials. */
struct zab_hello {
	int64_t sid;
	struct zk_span address; /* host:port, several joined by '|'; empty: sid alone (3.4) */
	bool several;           /* protocol version -65535 */
};

/** As zab_packet_get(). */
ZK_MUST_USE enum zk_err zab_hello_get(struct zk_span window, struct zab_hello *out, size_t *used);
void zab_hello_put(struct jute_out *out, const struct zab_hello *h);

enum zab_state { ZAB_LOOKING, ZAB_FOLLOWING, ZAB_LEADING, ZAB_OBSERVING };

struct zab_notification {
	enum zab_state state;
	int64_t leader;
	int64_t zxid; /* signed as Java compares it */
	uint64_t round;
	int64_t peer_epoch;
	int32_t version;
	struct zk_span config; /* text; {NULL, 0}: none */
};

/** One message with its length before it. As zab_packet_get(); ZK_EINVAL also means: not even a
 * length that can be skipped. A message that is whole but makes no sense gives ZK_EOK with
 * *sense false. */
ZK_MUST_USE enum zk_err zab_notification_get(struct zk_span window, struct zab_notification *out,
					     bool *sense, size_t *used);
/** Version 2, with its length before it. */
void zab_notification_put(struct jute_out *out, const struct zab_notification *n);

#endif
