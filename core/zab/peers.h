/* SPDX-License-Identifier: Apache-2.0 */
/** The connections of the election port: one per pair of servers, opened by the one with the larger
 * sid (spec/quorum-protocol.md section 9; QuorumCnxManager). Pure: sockets, names and time are the
 * caller's.
 *
 * Whoever has something to say dials and says who it is. A dialler with the smaller sid has only
 * knocked: it closes, and the other dials back. For each server the newest notification waits, and
 * the last one said is said again over a new connection.
 *
 * Leader core only.
 */
#ifndef ZK_ZAB_PEERS_H
#define ZK_ZAB_PEERS_H

#include "core/zab/members.h"
#include "core/zab/packet.h"

enum {
	PEERS_MAX = 2 * ZAB_SERVERS_MAX + 16, /* voters, observers and a few strangers */
	PEER_LINKS_MAX = 2 * PEERS_MAX,
	PEER_ADDRESS_MAX = 300
};

struct peers_io {
	void *ctx;
	/** Open a connection to @p address, "host:port", as @p link: peers_dialled() answers. */
	void (*dial)(void *ctx, uint32_t link, struct zk_span address);
	/** Close it, after what was sent. No peers_closed() follows. */
	void (*close)(void *ctx, uint32_t link);
	/** @return false: no room now, peers_writable() when there is. All or nothing. */
	bool (*send)(void *ctx, uint32_t link, struct zk_span bytes);
	/** Server @p sid says @p n, which is borrowed for the call. */
	void (*heard)(void *ctx, int64_t sid, const struct zab_notification *n);
};

struct peers_conf {
	int64_t sid;
	struct zk_span address;               /* own, for the hello; borrowed for ever */
	const struct zab_members *now, *next; /* borrowed, see peers_configure() */
	uint32_t dial_timeout_ms;             /* cnxTimeout; 0 = 5000 */
	uint32_t hello_timeout_ms;            /* quorumCnxnTimeoutMs; 0 = 10000 */
	struct peers_io io;
};

struct peer_entry {
	bool used, waits; /* something was not said yet */
	bool said;        /* ... or may be said again */
	bool failed;      /* its connection broke, or could not be opened, and is not up again */
	int64_t sid;
	uint32_t link; /* UINT32_MAX: none */
	struct zab_notification note;
	uint16_t address_n; /* of its hello, for who is no member */
	char address[PEER_ADDRESS_MAX];
};

enum peer_link_state { PEER_LINK_FREE, PEER_LINK_DIALLING, PEER_LINK_HELLO, PEER_LINK_UP };

struct peer_link {
	enum peer_link_state state;
	uint32_t peer; /* place in entry, UINT32_MAX: not known yet */
	uint64_t until_ns;
};

struct peers {
	struct peers_conf conf;
	uint64_t now_ns;
	int64_t nameless; /* next sid for an observer that does not say its own */
	bool delivered;
	struct peer_entry entry[PEERS_MAX];
	struct peer_link link[PEER_LINKS_MAX];
	uint8_t out[ZAB_NOTIFICATION_HEAD + 4 + ZAB_CONFIG_MAX];
	uint64_t dials, accepts, said, heard, refused, timeouts; /* counters */
};

void peers_init(struct peers *p, const struct peers_conf *conf, uint64_t now_ns);
void peers_configure(struct peers *p, const struct zab_members *now,
		     const struct zab_members *next);

/** Tell server @p to. n->config is copied to the wire when it leaves: it must live until then (the
 * text of the active configuration). Dials when there is no connection. */
void peers_tell(struct peers *p, int64_t to, const struct zab_notification *n, uint64_t now_ns);
/** Dial every voter without a connection. */
void peers_connect_all(struct peers *p, uint64_t now_ns);
/** Is the connection to @p sid known to be down? Not while the first try is under way. */
bool peers_absent(const struct peers *p, int64_t sid);
/** Has anything left since the last call? */
bool peers_delivered(struct peers *p);

/** A server has connected. @return the link for it, UINT32_MAX: no more, close it (counted). */
uint32_t peers_accepted(struct peers *p, uint64_t now_ns);
void peers_dialled(struct peers *p, uint32_t link, bool ok, uint64_t now_ns);
void peers_closed(struct peers *p, uint32_t link, uint64_t now_ns);
void peers_writable(struct peers *p, uint32_t link, uint64_t now_ns);

/** Bytes in order from @p link. @return how many of @p window are used up; the rest is offered
 * again with more behind it. The link may be closed on return: PEER_LINK_FREE. Bound: the window.
 */
size_t peers_input(struct peers *p, uint32_t link, struct zk_span window, uint64_t now_ns);

void peers_tick(struct peers *p, uint64_t now_ns);
uint64_t peers_next_ns(const struct peers *p);

#endif
