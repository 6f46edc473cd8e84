/* SPDX-License-Identifier: Apache-2.0 */
/** Who belongs to the ensemble, and what is a quorum (spec/quorum-protocol.md sections 1 and 6;
 * QuorumPeer.QuorumServer, QuorumMaj, QuorumHierarchical).
 *
 * Servers are numbered by their place in ascending order of sid; a set of servers is a bit mask of
 * these places, good for one struct zab_members only.
 */
#ifndef ZK_ZAB_MEMBERS_H
#define ZK_ZAB_MEMBERS_H

#include "core/base/err.h"
#include "core/jute/jute.h"

enum {
	ZAB_SERVERS_MAX = 64,
	ZAB_ADDRESSES_MAX = 4, /* of one server */
	ZAB_HOSTS_MAX = 8192,  /* bytes of all host names */
	ZAB_CONFIG_MAX = 16384 /* bytes of the text of a configuration */
};

/* A part of zab_members.hosts. */
struct zab_text {
	uint16_t at, n;
};

struct zab_address {
	struct zab_text host; /* without the brackets of IPv6 */
	uint16_t port, election_port;
};

struct zab_server {
	int64_t sid;
	uint64_t weight; /* 1 without groups */
	uint8_t group;   /* place of its group */
	bool observer;
	bool client; /* the server line names an address for clients */
	uint8_t addresses;
	uint16_t client_port;
	struct zab_text client_host;
	struct zab_address address[ZAB_ADDRESSES_MAX];
};

struct zab_members {
	uint64_t version;
	uint64_t voters;    /* mask */
	uint32_t n, groups; /* groups 0: majority */
	struct zab_server server[ZAB_SERVERS_MAX];
	int64_t group[ZAB_SERVERS_MAX];
	uint64_t group_weight[ZAB_SERVERS_MAX];
	uint32_t hosts_n;
	char hosts[ZAB_HOSTS_MAX];
};

/** Parse the text of a configuration: lines server.N, group.G, weight.N and version, in any order.
 * @p text: borrowed for the call. On failure *out is undefined and @p why (static text) says what
 * is wrong with line @p line, counted from 1 (0: with the whole). Any context; bound:
 * ZAB_CONFIG_MAX.
 * @return ZK_EOK; ZK_EINVAL; ZK_ETOOBIG: more servers, addresses or bytes than there may be. */
ZK_MUST_USE enum zk_err zab_members_parse(struct zk_span text, struct zab_members *out,
					  const char **why, unsigned *line);

/** The text as it goes to other servers and into /zookeeper/config: servers by sid, groups,
 * weights, then the version with no newline behind. Any context; out->full when it does not fit. */
void zab_members_text(const struct zab_members *m, struct jute_out *out);

/** @return the place of @p sid, -1 when it is no member. Any context; bound: log of the servers. */
int zab_members_find(const struct zab_members *m, int64_t sid);

/** Is @p sid a member that votes? */
bool zab_members_votes(const struct zab_members *m, int64_t sid);

/** 0 for an observer and for who is no member. */
uint64_t zab_members_weight(const struct zab_members *m, int64_t sid);

/** Do the servers of @p set that vote make a quorum? Any context; bound: servers. */
bool zab_members_quorum(const struct zab_members *m, uint64_t set);

/** Is it the same configuration: equal versions, or the same servers, roles, weights and groups
 * (QuorumVerifier.equals())? */
bool zab_members_equal(const struct zab_members *a, const struct zab_members *b);

/** "host:port" of a server of @p m, where @p port is one of its ports, into @p out. @return its
 * length; 0: longer than @p max. Any context. */
size_t zab_address_text(const struct zab_members *m, const struct zab_address *a, uint16_t port,
			char *out, size_t max);

/** The characters of a host; borrowed from @p m. */
static inline struct zk_span zab_host(const struct zab_members *m, struct zab_text t)
{
	return zk_span_of(m->hosts + t.at, t.n);
}

#endif
