/* SPDX-License-Identifier: Apache-2.0 */
/* The statements that are calls of the application. */
#include "test/wire/wire.h"

#include <inttypes.h>
#include <string.h>

static struct tcp_conn *conn(struct wire *w)
{
	if (!w->flow->conn && !w->failed)
		wire_fail(w, "this flow has no connection");
	return w->failed ? NULL : w->flow->conn;
}

static bool gate(void *ctx, const struct net_addr *from)
{
	struct wire *w = ctx;

	uint32_t ip = net_addr_to_v4(from);

	if (!net_addr_is_v4(from) || (ip != WIRE_PEER_IP && ip >> 8 == WIRE_PEER_IP >> 8))
		wire_fail(w, "the gate was asked for a foreign address");
	return w->gate_open;
}

static void do_listen(struct wire *w, struct wire_words *v)
{
	uint16_t port = v->n > 1 ? (uint16_t)wire_number(w, wire_word(v)) : 2181;

	if (tcp_listen(w->tcp, port, gate, w) != ZK_EOK)
		wire_fail(w, "tcp_listen() failed");
}

static void do_unlisten(struct wire *w, struct wire_words *v)
{
	tcp_unlisten(w->tcp, v->n > 1 ? (uint16_t)wire_number(w, wire_word(v)) : 2181);
}

static void do_gate(struct wire *w, struct wire_words *v)
{
	const char *how = wire_word(v);

	w->gate_open = how && strcmp(how, "open") == 0;
}

static void do_connect(struct wire *w, struct wire_words *v)
{
	struct wire_flow *f = w->flow;

	(void)v;
	f->own_port = 0;
	if (tcp_connect(w->tcp, net_addr_v4(WIRE_PEER_IP), f->peer_port, w->now_ns, &f->conn) !=
	    ZK_EOK) {
		wire_fail(w, "tcp_connect() failed");
		return;
	}
	f->own_port = tcp_tuple(f->conn)->local_port;
	wire_round(w);
}

static void do_event(struct wire *w, struct wire_words *v)
{
	unsigned set = wire_events(w, v);

	if ((w->flow->events & set) != set)
		wire_fail(w, "event 0x%x is missing (there are 0x%x)", set, w->flow->events);
	w->flow->events &= ~set;
}

static void do_noevent(struct wire *w, struct wire_words *v)
{
	unsigned set = v->n > 1 ? wire_events(w, v) : ~0u;

	if (w->flow->events & set)
		wire_fail(w, "event 0x%x should not be there", w->flow->events & set);
}

static void do_reason(struct wire *w, struct wire_words *v)
{
	static const char *const NAMES[] = {"NONE",    "NORMAL", "RESET", "TIMEOUT",
					    "REFUSED", "LOCAL",  "MEMORY"};
	const char *name = wire_word(v);
	struct tcp_conn *c = conn(w);
	unsigned is = c ? (unsigned)tcp_close_reason(c) : 0;

	if (c && (is >= sizeof(NAMES) / sizeof(NAMES[0]) || !name || strcmp(name, NAMES[is]) != 0))
		wire_fail(w, "close reason is %s", is < 7 ? NAMES[is] : "?");
}

static void do_read(struct wire *w, struct wire_words *v)
{
	size_t left = (size_t)wire_number(w, wire_word(v));
	struct tcp_conn *c = conn(w);

	if (c && tcp_readable(c) < left)
		wire_fail(w, "only %zu bytes to read", tcp_readable(c));
	while (!w->failed && left) {
		struct zk_span s = tcp_peek(c, 0);
		size_t n = s.n < left ? s.n : left;

		if (n == 0) {
			wire_fail(w, "tcp_peek() gives nothing though bytes are readable");
			return;
		}
		for (size_t i = 0; i < n; i++) {
			if (s.p[i] != wire_byte(false, w->flow->read_off + i)) {
				wire_fail(w, "wrong byte read at offset %" PRIu64,
					  w->flow->read_off + i);
				return;
			}
		}
		tcp_read_done(c, n);
		w->flow->read_off += n;
		left -= n;
	}
	wire_round(w);
}

static void do_write(struct wire *w, struct wire_words *v)
{
	static uint8_t bytes[1 << 20]; /* too big for the stack; one thread */
	size_t n = (size_t)wire_number(w, wire_word(v));
	const char *takes = wire_word(v);
	struct tcp_conn *c = conn(w);
	size_t done;

	if (!c)
		return;
	if (n > sizeof(bytes)) {
		wire_fail(w, "too much for one write");
		return;
	}
	for (size_t i = 0; i < n; i++)
		bytes[i] = wire_byte(true, w->flow->write_off + i);
	done = tcp_write(c, bytes, n);
	w->flow->write_off += done;
	if (takes && strcmp(takes, "takes") == 0) {
		const char *want = wire_word(v);

		if (!wire_compare(w, want, (long)done))
			wire_fail(w, "tcp_write() took %zu bytes", done);
	} else if (done != n) {
		wire_fail(w, "tcp_write() took only %zu bytes", done);
	}
	wire_round(w);
}

/* tail N [use M]; `tail N refused` when there is to be no room. */
static void do_tail(struct wire *w, struct wire_words *v)
{
	size_t n = (size_t)wire_number(w, wire_word(v));
	const char *how = wire_word(v);
	bool refused = how && strcmp(how, "refused") == 0;
	size_t used = how && !refused ? (size_t)wire_number(w, wire_word(v)) : n;
	struct tcp_conn *c = conn(w);
	uint8_t *p = c ? tcp_tail(c, n) : NULL;

	if (!c)
		return;
	if (refused != !p) {
		wire_fail(w, "tcp_tail() %s", p ? "gave room" : "gave no room");
		return;
	}
	if (!p)
		return;
	for (size_t i = 0; i < used; i++)
		p[i] = wire_byte(true, w->flow->write_off + i);
	tcp_tail_commit(c, used);
	w->flow->write_off += used;
	wire_round(w);
}

static void expect_size(struct wire *w, struct wire_words *v,
			size_t (*get)(const struct tcp_conn *))
{
	struct tcp_conn *c = conn(w);
	const char *text = wire_word(v);

	if (c && !wire_compare(w, text, (long)get(c)))
		wire_fail(w, "it is %zu", get(c));
}

static void do_readable(struct wire *w, struct wire_words *v)
{
	expect_size(w, v, tcp_readable);
}

static void do_unsent(struct wire *w, struct wire_words *v)
{
	expect_size(w, v, tcp_unsent);
}

static void do_unacked(struct wire *w, struct wire_words *v)
{
	expect_size(w, v, tcp_unacked);
}

static void do_conns(struct wire *w, struct wire_words *v)
{
	const char *text = wire_word(v);

	if (!wire_compare(w, text, (long)tcp_conns(w->tcp)))
		wire_fail(w, "tcp_conns() is %u", tcp_conns(w->tcp));
}

static void do_shutdown(struct wire *w, struct wire_words *v)
{
	(void)v;
	if (conn(w))
		tcp_shutdown(w->flow->conn, w->now_ns);
	wire_round(w);
}

static void do_abort(struct wire *w, struct wire_words *v)
{
	(void)v;
	if (conn(w))
		tcp_abort(w->flow->conn, w->now_ns);
	wire_round(w);
}

static void do_release(struct wire *w, struct wire_words *v)
{
	(void)v;
	if (conn(w))
		tcp_release(w->flow->conn, w->now_ns);
	w->flow->conn = NULL;
	w->flow->events = 0;
	wire_round(w);
}

const struct wire_statement WIRE_APP_STATEMENTS[] = {
	{"listen", do_listen, false},     {"unlisten", do_unlisten, false},
	{"gate", do_gate, false},         {"connect", do_connect, false},
	{"event", do_event, false},       {"noevent", do_noevent, false},
	{"reason", do_reason, false},     {"read", do_read, false},
	{"write", do_write, false},       {"tail", do_tail, false},
	{"readable", do_readable, false}, {"unsent", do_unsent, false},
	{"unacked", do_unacked, false},   {"conns", do_conns, false},
	{"shutdown", do_shutdown, false}, {"abort", do_abort, false},
	{"release", do_release, false},   {NULL, NULL, false}};
