/* SPDX-License-Identifier: Apache-2.0 */
/* The transport that the application sees: struct srv_io on TCP. */
#include "dp/loop/peer_int.h"

static struct tcp_conn *tcp_of(void *t)
{
	return ((struct peer_conn *)t)->tcp;
}

static struct zk_span io_peek(void *t, size_t skip)
{
	return tcp_peek(tcp_of(t), skip);
}

static size_t io_readable(void *t)
{
	return tcp_readable(tcp_of(t));
}

static void io_read_done(void *t, size_t n)
{
	tcp_read_done(tcp_of(t), n);
}

static void *io_tail(void *t, size_t n)
{
	return tcp_tail(tcp_of(t), n);
}

static void io_tail_commit(void *t, size_t used)
{
	tcp_tail_commit(tcp_of(t), used);
}

static size_t io_write(void *t, const void *p, size_t n)
{
	return tcp_write(tcp_of(t), p, n);
}

static size_t io_unacked(void *t)
{
	return tcp_unacked(tcp_of(t));
}

static void io_shutdown(void *t)
{
	tcp_shutdown(tcp_of(t), ((struct peer_conn *)t)->owner->now_ns);
}

static void io_abort(void *t)
{
	struct peer_conn *k = t;

	k->aborted = true;
	tcp_abort(k->tcp, k->owner->now_ns);
}

const struct srv_io peer_io = {
	.peek = io_peek,
	.readable = io_readable,
	.read_done = io_read_done,
	.tail = io_tail,
	.tail_commit = io_tail_commit,
	.write = io_write,
	.unacked = io_unacked,
	.shutdown = io_shutdown,
	.abort = io_abort,
};
