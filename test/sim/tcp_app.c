/* SPDX-License-Identifier: Apache-2.0 */
/* The applications of the TCP simulator. A client first sends a header that names the sizes and a
 * nonce; every later byte of both directions is a function of nonce, direction and offset. */
#include "test/sim/tcp_world.h"

#include "core/base/endian.h"

#include <inttypes.h>

enum { APP_HALF_CLOSE = 1, APP_SERVER_FIRST = 2, CHUNK = 8192, STALL_PPM = 20000 };

static uint8_t stream_byte(uint64_t nonce, bool from_client, uint64_t offset)
{
	uint64_t word = zk_mix64(nonce ^ (from_client ? 0x5555 : 0xaaaa) ^ (offset >> 3) << 16);

	return (uint8_t)(word >> 8 * (offset & 7));
}

static void put_header(const struct world_app *a, uint8_t *h)
{
	zk_put64(h, a->nonce);
	zk_put32(h + 8, a->tx_total);
	zk_put32(h + 12, a->rx_total);
	zk_put16(h + 16, (uint16_t)a->request);
	zk_put16(h + 18, (uint16_t)a->answer);
	h[20] = a->flags;
	h[21] = (uint8_t)a->window;
	h[22] = 0x5a;
	h[23] = 0x6b;
}

static void take_header(struct world *w, struct world_app *a, const uint8_t *h)
{
	a->nonce = zk_get64(h);
	a->rx_total = zk_get32(h + 8);
	a->tx_total = zk_get32(h + 12);
	a->request = zk_get16(h + 16);
	a->answer = zk_get16(h + 18);
	a->flags = h[20];
	a->window = h[21];
	a->header_done = true;
	if (h[22] != 0x5a || h[23] != 0x6b)
		world_fail(w, "header damaged");
}

/* How far this end may have sent, header included for the client. */
static uint64_t send_limit(const struct world_app *a)
{
	uint64_t done, limit = a->tx_total;

	if (!a->client && !a->header_done)
		return 0;
	if (!a->client && a->flags & APP_HALF_CLOSE && !a->fin_seen)
		return 0;
	if (a->request && a->client) {
		done = a->received / a->answer;
		limit = (done + a->window) * a->request;
	} else if (a->request) {
		done = a->received < WORLD_HEADER_BYTES ? 0 : a->received - WORLD_HEADER_BYTES;
		limit = done / a->request * a->answer;
	}
	if (limit > a->tx_total)
		limit = a->tx_total;
	return limit + (a->client ? WORLD_HEADER_BYTES : 0);
}

static void fill(const struct world_app *a, uint64_t from, uint8_t *out, size_t n)
{
	uint8_t header[WORLD_HEADER_BYTES];

	if (a->client)
		put_header(a, header);
	for (size_t i = 0; i < n; i++, from++) {
		if (!a->client)
			out[i] = stream_byte(a->nonce, false, from);
		else if (from < WORLD_HEADER_BYTES)
			out[i] = header[from];
		else
			out[i] = stream_byte(a->nonce, true, from - WORLD_HEADER_BYTES);
	}
}

/* One write of a random size, in place or by copy. @return bytes taken. */
static size_t write_some(struct world *w, struct world_app *a, uint64_t limit)
{
	uint8_t bytes[CHUNK];
	size_t want = (size_t)(limit - a->sent), n;
	void *room;

	if (want > CHUNK)
		want = CHUNK;
	if (sim_rng_below(&w->rng, 4) == 0)
		want = (size_t)sim_rng_range(&w->rng, 1, want);
	if (w->conf.tails && want <= 400) {
		room = tcp_tail(a->conn, want + 16);
		if (room) {
			fill(a, a->sent, room, want);
			tcp_tail_commit(a->conn, want);
			return want;
		}
		/* more than a segment, or no budget: tcp_write() knows */
	}
	fill(a, a->sent, bytes, want);
	n = tcp_write(a->conn, bytes, want);
	if (n > want)
		world_fail(w, "tcp_write() took %zu of %zu bytes", n, want);
	return n;
}

static void app_write(struct world *w, struct world_app *a)
{
	uint64_t limit = send_limit(a);

	while (!w->failed && !a->shut && a->sent < limit) {
		size_t n = write_some(w, a, limit);

		if (n == 0)
			return;
		a->sent += n;
		w->bytes += n;
	}
}

static void check_bytes(struct world *w, struct world_app *a, struct zk_span s)
{
	uint64_t limit = a->rx_total + (a->client ? 0 : WORLD_HEADER_BYTES);

	for (size_t i = 0; i < s.n && !w->failed; i++) {
		uint64_t at = a->received + i;

		if (at >= limit) {
			world_fail(w, "more bytes than were sent (%" PRIu64 ")", limit);
		} else if (a->client) {
			if (s.p[i] != stream_byte(a->nonce, false, at))
				world_fail(w, "server's byte %" PRIu64 " differs", at);
		} else if (at >= WORLD_HEADER_BYTES &&
			   s.p[i] != stream_byte(a->nonce, true, at - WORLD_HEADER_BYTES)) {
			world_fail(w, "client's byte %" PRIu64 " differs", at);
		}
	}
}

/* The header may come in any number of runs. */
static bool read_header(struct world *w, struct world_app *a)
{
	uint8_t h[WORLD_HEADER_BYTES];
	size_t n = 0;

	if (tcp_readable(a->conn) < sizeof(h))
		return false;
	while (n < sizeof(h)) {
		struct zk_span s = tcp_peek(a->conn, n);

		if (s.n == 0) {
			world_fail(w, "tcp_peek() stops at %zu though more is readable", n);
			return false;
		}
		for (size_t i = 0; i < s.n && n < sizeof(h); i++)
			h[n++] = s.p[i];
	}
	take_header(w, a, h);
	tcp_read_done(a->conn, sizeof(h));
	a->received = sizeof(h);
	return true;
}

static void app_read(struct world *w, struct world_app *a)
{
	if (a->stalled_until_ns > w->now_ns)
		return;
	if (w->conf.readers_stall && w->now_ns < w->conf.heal_ns &&
	    sim_rng_ppm(&w->rng, STALL_PPM)) {
		a->stalled_until_ns =
			w->now_ns + sim_rng_range(&w->rng, 10 * LINK_MS, 8ull * LINK_S);
		return;
	}
	if (!a->client && !a->header_done && !read_header(w, a))
		return;
	while (!w->failed) {
		struct zk_span s = tcp_peek(a->conn, 0);
		size_t n = s.n;

		if (n == 0)
			break;
		if (sim_rng_below(&w->rng, 3) == 0)
			n = (size_t)sim_rng_range(&w->rng, 1, n);
		check_bytes(w, a, zk_span_of(s.p, n));
		tcp_read_done(a->conn, n);
		a->received += n;
	}
	if (!w->failed && tcp_readable(a->conn) != 0)
		world_fail(w, "tcp_peek() is empty, tcp_readable() is not");
}

static bool received_all(const struct world_app *a)
{
	if (!a->client && !a->header_done)
		return false;
	return a->received == (uint64_t)a->rx_total + (a->client ? 0 : WORLD_HEADER_BYTES);
}

static bool sent_all(const struct world_app *a)
{
	if (!a->client && !a->header_done)
		return false;
	return a->sent == (uint64_t)a->tx_total + (a->client ? WORLD_HEADER_BYTES : 0);
}

/* Whose turn it is to close. */
static void app_close(struct world *w, struct world_app *a)
{
	bool first = a->client != !!(a->flags & APP_SERVER_FIRST);

	if (a->shut || !sent_all(a))
		return;
	if (a->client && a->flags & APP_HALF_CLOSE)
		first = true;
	else if (!a->fin_seen && !received_all(a))
		return;
	if (!first && !a->fin_seen)
		return;
	tcp_shutdown(a->conn, w->now_ns);
	a->shut = true;
}

static void app_finish(struct world *w, struct world_app *a)
{
	bool complete = received_all(a) && sent_all(a) && a->shut && a->fin_seen;

	if (!complete && !a->closed)
		return;
	if (a->closed)
		a->reason = tcp_close_reason(a->conn);
	if (!complete) {
		w->resets++;
		if (!w->conf.resets_allowed)
			world_fail(w,
				   "%s ended early: reason %d, sent %" PRIu64
				   "/%u received %" PRIu64 "/%u",
				   a->client ? "client" : "server", (int)a->reason, a->sent,
				   a->tx_total, a->received, a->rx_total);
	}
	/* half of them leave the rest of the close to the stack, the others wait for its end */
	if (!a->closed && a->nonce & 1)
		return;
	tcp_release(a->conn, w->now_ns);
	a->conn = NULL;
	a->finished = true;
	if (a->client)
		w->finished_clients++;
}

void world_app_work(struct world *w, unsigned side, struct world_app *a, unsigned events)
{
	(void)side;
	if (a->finished)
		return;
	if (events & TCP_READY_OPEN) {
		if (a->opened)
			world_fail(w, "opened twice");
		a->opened = true;
	}
	if (events & ~(unsigned)(TCP_READY_OPEN | TCP_READY_CLOSED) && !a->opened)
		world_fail(w, "event 0x%x before OPEN", events);
	if (events & TCP_READY_FIN) {
		if (a->fin_seen)
			world_fail(w, "FIN reported twice");
		a->fin_seen = true;
	}
	if (events & TCP_READY_CLOSED)
		a->closed = true;
	if (a->opened)
		app_read(w, a);
	if (a->fin_seen && a->stalled_until_ns <= w->now_ns && !a->closed && !received_all(a))
		world_fail(w, "FIN came before the end of the data: %" PRIu64 " of %u", a->received,
			   a->rx_total);
	if (a->opened && !a->closed) {
		app_write(w, a);
		app_close(w, a);
	}
	/* a stalled reader looks at the rest before it ends */
	if (!w->failed && a->stalled_until_ns <= w->now_ns)
		app_finish(w, a);
}

static void choose_sizes(struct world *w, struct world_app *a)
{
	const struct world_conf *c = &w->conf;

	a->nonce = sim_rng_next(&w->rng);
	a->tx_total = (uint32_t)sim_rng_range(&w->rng, 0, c->c2s_max);
	a->rx_total = (uint32_t)sim_rng_range(&w->rng, 0, c->s2c_max);
	a->flags = c->server_closes_first ? APP_SERVER_FIRST : 0;
	if (c->load == WORLD_HALF_CLOSE)
		a->flags = APP_HALF_CLOSE;
	if (c->load == WORLD_REQUESTS) {
		uint32_t n = (uint32_t)sim_rng_range(&w->rng, 1, 100);

		a->request = (uint32_t)sim_rng_range(&w->rng, 1, 200);
		a->answer = (uint32_t)sim_rng_range(&w->rng, 1, 3000);
		a->window = (uint32_t)sim_rng_range(&w->rng, 1, 16);
		a->tx_total = n * a->request;
		a->rx_total = n * a->answer;
	}
}

void world_app_start(struct world *w)
{
	struct world_side *s = &w->side[0];
	struct world_app *a = &s->apps[s->n_apps];

	zk_assert(s->n_apps < WORLD_APPS_MAX);
	*a = (struct world_app){.client = true, .header_done = true};
	choose_sizes(w, a);
	if (tcp_connect(s->tcp, net_addr_v4(0x0ab50002), 2181, w->now_ns, &a->conn) != ZK_EOK) {
		if (!w->conf.resets_allowed)
			world_fail(w, "tcp_connect() failed");
		a->finished = true;
		w->resets++;
		w->finished_clients++;
	} else {
		tcp_user_set(a->conn, a);
		a->port = tcp_tuple(a->conn)->local_port;
	}
	s->n_apps++;
	w->started++;
}

struct world_app *world_app_of(struct world *w, unsigned side, struct tcp_conn *c)
{
	struct world_side *s = &w->side[side];
	struct world_app *a = tcp_user(c);

	if (a) {
		if (a->conn != c)
			world_fail(w, "event for a released connection");
		return a;
	}
	if (side == 0 || s->n_apps == WORLD_APPS_MAX) {
		world_fail(w, "connection from nowhere");
		return NULL;
	}
	a = &s->apps[s->n_apps++];
	*a = (struct world_app){.conn = c, .port = tcp_tuple(c)->remote_port};
	tcp_user_set(c, a);
	return a;
}

uint64_t world_app_next_ns(const struct world *w)
{
	uint64_t t = UINT64_MAX;

	for (unsigned side = 0; side < 2; side++) {
		const struct world_side *s = &w->side[side];

		for (unsigned i = 0; i < s->n_apps; i++) {
			const struct world_app *a = &s->apps[i];

			if (!a->finished && a->stalled_until_ns > w->now_ns &&
			    a->stalled_until_ns < t)
				t = a->stalled_until_ns;
		}
	}
	return t;
}
