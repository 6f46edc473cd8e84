/* SPDX-License-Identifier: Apache-2.0 */
/** Active open, with local ports by RFC 6056 3.3.3 (hash plus counter). */
#include "core/base/endian.h"
#include "dp/net/tcp/tcp_int.h"

static bool port_free(struct tcp *t, struct net_tuple *tuple, uint32_t *hash)
{
	struct tcp_tw *tw;

	if (net_owner(t->n, tuple) != t->n->conf.core ||
	    tuple->local_port == t->conf.foreign_port || tcp_listener_find(t, tuple->local_port))
		return false;
	*hash = tcp_hash(t, tuple);
	return !tcp_lookup(t, tuple, *hash, &tw) && !tw;
}

/* Bound: TCP_PORT_TRIES_MAX. */
static bool choose_port(struct tcp *t, struct net_tuple *tuple, uint32_t *hash)
{
	uint8_t b[34];
	uint32_t offset;

	memcpy(b, tuple->local.b, 16);
	memcpy(b + 16, tuple->remote.b, 16);
	zk_put16(b + 32, tuple->remote_port);
	offset = (uint32_t)zk_hash24(&t->key_port, b, sizeof(b));
	for (unsigned k = 0; k < TCP_PORT_TRIES_MAX; k++) {
		uint32_t i = (offset + t->port_counter++) % TCP_PORT_COUNT;

		tuple->local_port = (uint16_t)(TCP_PORT_FIRST + i);
		if (port_free(t, tuple, hash))
			return true;
	}
	return false;
}

enum zk_err tcp_connect(struct tcp *t, struct net_addr to, uint16_t port, uint64_t now_ns,
			struct tcp_conn **out)
{
	struct net_tuple tuple = {.local = t->n->conf.addr, .remote = to, .remote_port = port};
	struct tcp_conn *c;
	uint32_t hash;

	tcp_now(t, now_ns);
	t->n->now_ns = t->now_ns;
	if (!net_addr_is_v4(&to) || port == 0)
		return ZK_EINVAL;
	if (t->conns >= t->conf.conns_max || !choose_port(t, &tuple, &hash))
		return ZK_EFULL;
	c = tcp_conn_new(t, &tuple, hash);
	if (!c)
		return ZK_ENOMEM;
	c->state = TCP_SYN_SENT;
	c->flags |= CF_VISIBLE;
	tcp_syn_send(c);
	tcp_rtx_arm(c);
	tcp_life_arm(c, t->conf.syn_give_up_ms);
	*out = c;
	return ZK_EOK;
}
