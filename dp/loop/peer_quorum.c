/* SPDX-License-Identifier: Apache-2.0 */
/* The quorum on its network. */
#include "dp/loop/peer_int.h"

static bool wants(void *ctx, enum quorum_port port)
{
	return quorum_wants(ctx, port);
}

static void *accepted(void *ctx, enum quorum_port port, void *transport, uint64_t now_ns)
{
	return quorum_accepted(ctx, port, transport, now_ns);
}

static void dialled(void *ctx, void *conn, void *transport, uint64_t now_ns)
{
	quorum_dialled(ctx, conn, transport, now_ns);
}

static void input(void *ctx, void *conn, uint64_t now_ns)
{
	quorum_input(ctx, conn, now_ns);
}

static void writable(void *ctx, void *conn, uint64_t now_ns)
{
	quorum_writable(ctx, conn, now_ns);
}

static void gone(void *ctx, void *conn, uint64_t now_ns)
{
	quorum_gone(ctx, conn, now_ns);
}

static unsigned poll(void *ctx, uint64_t now_ns, int64_t wall_ms)
{
	return quorum_poll(ctx, now_ns, wall_ms);
}

static uint64_t next_ns(void *ctx)
{
	return quorum_next_ns(ctx);
}

static uint64_t calm_ns(void *ctx)
{
	return quorum_calm_ns(ctx);
}

void peer_quorum_set(struct peer *p, struct quorum *q)
{
	static const struct peer_app none;
	const struct peer_app app = {
		.ctx = q,
		.wants = wants,
		.accepted = accepted,
		.dialled = dialled,
		.input = input,
		.writable = writable,
		.gone = gone,
		.poll = poll,
		.next_ns = next_ns,
		.calm_ns = calm_ns,
	};

	peer_app_set(p, q ? &app : &none);
}

static bool dial(void *ctx, struct quorum_conn *conn, struct zk_span address)
{
	return peer_dial(ctx, conn, address);
}

struct quorum_net peer_quorum_net(struct peer *p)
{
	return (struct quorum_net){
		.ctx = p, .io = &peer_io, .dial = dial, .send_bytes = p->conf.tcp.snd_buf_bytes};
}
