/* SPDX-License-Identifier: Apache-2.0 */
/* The transport that srv sees: struct srv_io on TCP. */
#include "dp/loop/client_int.h"

static struct zk_span io_peek(void *t, size_t skip)
{
	return tcp_peek(((struct client_conn *)t)->tcp, skip);
}

static size_t io_readable(void *t)
{
	return tcp_readable(((struct client_conn *)t)->tcp);
}

static void io_read_done(void *t, size_t n)
{
	tcp_read_done(((struct client_conn *)t)->tcp, n);
}

static void *io_tail(void *t, size_t n)
{
	return tcp_tail(((struct client_conn *)t)->tcp, n);
}

static void io_tail_commit(void *t, size_t used)
{
	tcp_tail_commit(((struct client_conn *)t)->tcp, used);
}

static size_t io_write(void *t, const void *p, size_t n)
{
	return tcp_write(((struct client_conn *)t)->tcp, p, n);
}

static size_t io_unacked(void *t)
{
	return tcp_unacked(((struct client_conn *)t)->tcp);
}

static void io_shutdown(void *t)
{
	struct client_conn *k = t;

	tcp_shutdown(k->tcp, k->owner->now_ns);
}

static void io_abort(void *t)
{
	struct client_conn *k = t;

	tcp_abort(k->tcp, k->owner->now_ns);
}

const struct srv_io client_io = {
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
