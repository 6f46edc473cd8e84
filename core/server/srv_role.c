/* SPDX-License-Identifier: Apache-2.0 */
/* What the server is in its ensemble, as the leader core says (MSG_ROLE), and what it takes with
 * it: Apache closes every connection when a server leaves its role (QuorumPeer.closeAllConnections)
 * and serves nobody until it has the next.
 *
 * Each word begins a term. A connection belongs to the term in which its session was asked for; it
 * is served in this term only, and closed in slices in the next. Records to the leader core name
 * the term too, so that none is done that crossed with the word. */
#include "core/server/quorum_view.h"
#include "core/server/srv_int.h"
#include "core/session/session.h"

uint8_t srv_sid(const struct srv *s)
{
	return s->sh->quorum ? (uint8_t)s->sh->quorum->sid : s->sh->server_id;
}

void srv_role_take(struct srv *s, const struct msg_role *m)
{
	zk_assert(m->term != s->term && m->role <= ROLE_OBSERVING);
	s->role = (uint8_t)m->role;
	s->epoch = m->epoch;
	s->term = m->term;
	s->role_ns = s->now_ns;
	stats_restart(&s->n); /* a new ZooKeeperServer has a new ServerStats */
	s->parting = true;
	s->part_next = 0;
	if (s->role == ROLE_READONLY) /* every core has ids of its own, and so has every time */
		s->next_local = session_first_id(srv_sid(s), s->now_ns) + s->conf.core;
}

void conn_part(struct srv_conn *c)
{
	c->s->n.conns_parted++;
	conn_drop(c);
}

unsigned srv_part_some(struct srv *s)
{
	unsigned parted = 0;

	for (unsigned looks = 0; s->part_next < s->slots_used; looks++) {
		struct srv_conn *c = srv_slot(s, s->part_next);

		if (looks == SRV_PART_LOOKS || parted == SRV_PART_ROUND)
			return parted;
		s->part_next++;
		if (conn_of_old(c) && !c->doomed) {
			conn_part(c);
			parted++;
		}
	}
	s->parting = false;
	return parted;
}

/** getEphemerals of a session that has none. */
static void no_ephemerals(struct srv_conn *c, struct read_req *q)
{
	uint64_t zxid = c->s->visible;

	(void)jute_bytes(&q->in);
	if (q->in.bad) {
		read_error(c, q->xid, q->op, ZK_MARSHALLINGERROR);
		return;
	}
	reply_send(c, q->xid, zxid, ZK_EOK, zk_span_of("\0\0\0\0", 4));
	conn_answered(c, q->xid, q->op, zxid, ZK_REPLY_HEADER_BYTES + 4);
}

/* ReadOnlyRequestProcessor. */
void readonly_refuse(struct srv_conn *c, struct read_req *q)
{
	switch (q->op) {
	case ZK_OP_GET_EPHEMERALS:
		no_ephemerals(c, q);
		break;
	case ZK_OP_CLOSE_SESSION:
		read_error(c, q->xid, q->op, ZK_EOK);
		conn_finish(c);
		break;
	default:
		read_error(c, q->xid, q->op, ZK_NOTREADONLY);
	}
}
