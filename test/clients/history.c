/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does every client see one history? Many pipelined connections read and watch while a few write.
 *
 * A group is four accounts and a parent of paired children. One multi after the other sets all
 * accounts of a group (moving balance between two of them) and creates or deletes one pair of
 * children, so that a group's version v tells everything: each account's version, the sum of the
 * balances, the names of the children. lib/history_model.h checks that the zxid in a reply's
 * header names exactly the state that the reply shows. Besides, per connection: replies in request
 * order, header zxids that never go back (also across reconnects), own writes seen by the next
 * read, each watch's event before the first reply of newer data, none missed and none without a
 * watch or a change, every version's event for a persistent watch, sync that sees all that was
 * answered to anyone before it was sent.
 *
 *   history            the self-test with every fault of lib/history_tamper.h, then the real run
 *   OPS=n              replies and events of the real run (default 2,000,000)
 *   SEED=n             of the requests (printed)
 *   HISTORY_SELF=0     leave out the self-test
 */
#include "history_checks.h"

/* --- connections */

static bool client_flush(struct client *c)
{
	struct epoll_event e = {.data.ptr = c};
	size_t sent = 0;

	while (sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.bytes + sent, c->out.len - sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0)
			return failed(c, "send: %s", strerror(errno));
		sent += (size_t)n;
	}
	c->out.len -= sent;
	memmove(c->out.bytes, c->out.bytes + sent, c->out.len);
	if ((c->out.len > 0) == c->waiting_out)
		return true;
	c->waiting_out = c->out.len > 0;
	e.events = EPOLLIN | (c->waiting_out ? EPOLLOUT : 0);
	return epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e) == 0 || failed(c, "epoll_ctl");
}

static bool client_connect(struct client *c)
{
	struct sockaddr_in to = {.sin_family = AF_INET}, from = {0};
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
	socklen_t n = sizeof(from);
	int one = 1;

	to.sin_port = htons((uint16_t)atoi(report_env("ZK_PORT")));
	if (inet_pton(AF_INET, report_env("ZK_HOST"), &to.sin_addr) != 1)
		return failed(c, "ZK_HOST is no IPv4 address");
	c->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		return failed(c, "connect: %s", strerror(errno));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	getsockname(c->fd, (struct sockaddr *)&from, &n);
	c->port = ntohs(from.sin_port);
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e) != 0)
		return failed(c, "epoll_ctl: %s", strerror(errno));
	c->in_len = 0;
	c->out.len = 0;
	c->waiting_out = false;
	c->connected = false;
	c->head = c->tail;
	frame_begin(&c->out);
	put_i32(&c->out, 0);
	put_i64(&c->out, c->last_zxid);
	put_i32(&c->out, SESSION_MS);
	put_i64(&c->out, c->session);
	put_i32(&c->out, sizeof(c->password));
	put_bytes(&c->out, c->password, sizeof(c->password));
	put_bool(&c->out, false);
	frame_end(&c->out);
	return client_flush(c);
}

/* Leave the connection with requests in flight, in one of three ways, and come back. */
static bool client_reconnect(struct client *c)
{
	struct linger reset = {.l_onoff = 1, .l_linger = 0};
	uint32_t how = pick(3);
	int g, slot;

	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
	if (how == 0) {
		c->old_fd = c->fd; /* the server has to take the session over */
	} else {
		if (how == 1)
			setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(c->fd);
	}
	for (g = 0; g < GROUPS; g++)
		for (slot = 0; slot < SLOTS; slot++)
			c->views[g].asked[slot] = false;
	reconnect_count++;
	c->until_reconnect = wanted_ops / CLIENTS / 8 + pick(2000);
	c->persistent_set = false;
	c->persistent_version = -1;
	return client_connect(c);
}

static bool client_receive(struct client *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);
	bool was_connected = c->connected;
	size_t at = 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return failed(c, "the server ended a connection: %s", n ? strerror(errno) : "EOF");
	c->in_len += (size_t)n;
	while (c->in_len - at >= 4) {
		int32_t size = wire_i32(c->in + at);

		if (size < 0 || size > WIRE_BUFFER_BYTES - 4)
			return failed(c, "a frame of %d bytes", size);
		if (c->in_len - at < 4 + (size_t)size)
			break;
		if (!on_raw_frame(c, c->in + at + 4, size))
			return false;
		at += 4 + (size_t)size;
	}
	c->in_len -= at;
	memmove(c->in, c->in + at, c->in_len);
	if (!was_connected && c->connected && c->replies > 0) {
		ask_set_watches(c);
		if (c->persistent_group >= 0)
			ask_add_watch(c);
	}
	return true;
}

static bool client_serve(struct client *c, uint32_t events)
{
	if ((events & ~(uint32_t)EPOLLOUT) != 0 && !client_receive(c))
		return false;
	if (c->connected && !stopping) {
		if (!c->writer && c->until_reconnect <= 0 && c->own_pending == 0)
			return client_reconnect(c);
		refill(c);
	}
	return client_flush(c);
}

/* --- a run */

/* Serve until nothing is in flight (after `stopping` was set) or the operations are made. */
static bool serve(void)
{
	struct epoll_event events[CLIENTS];
	int64_t moved_ms = now_ms();
	int i, n;

	for (;;) {
		bool idle = true;

		if (!stopping && ops >= wanted_ops)
			stopping = true;
		for (i = 0; i < CLIENTS && idle; i++)
			idle = clients[i].connected && clients[i].head == clients[i].tail;
		if (stopping && idle)
			return true;
		n = epoll_wait(epoll_fd, events, CLIENTS, 1000);
		if (n > 0)
			moved_ms = now_ms();
		else if (now_ms() - moved_ms > STALL_MS)
			return failed(NULL, "no answer for %d ms", STALL_MS);
		for (i = 0; i < n; i++)
			if (!client_serve(events[i].data.ptr, events[i].events))
				return false;
	}
}

static bool setup_group(struct client *c, int group)
{
	char path[PATH_BYTES], text[DATA_BYTES + 1];
	int32_t i;

	ask_next(c, K_SETUP, OP_MULTI)->group = (uint8_t)group;
	snprintf(path, sizeof(path), "%s/g%d", root, group);
	put_multi_head(&c->out, OP_CREATE);
	put_create(&c->out, path, "", 0);
	for (i = 0; i < SLOTS; i++) {
		put_multi_head(&c->out, OP_CREATE);
		put_create(&c->out, node_path(group, i, path), value(0, BALANCE, text), 0);
		if (i != CHILDREN)
			balances[group][i] = BALANCE;
	}
	for (i = 0; i < 2 * LIVE_PAIRS; i++) {
		put_multi_head(&c->out, OP_CREATE);
		put_create(&c->out, child_path(group, i / 2, i % 2 ? 'b' : 'a', path), "", 0);
	}
	put_multi_head(&c->out, -1);
	frame_end(&c->out);
	return client_flush(c);
}

static bool begin(void)
{
	char path[PATH_BYTES], text[DATA_BYTES + 1];
	int i, g, slot;

	epoll_fd = epoll_create1(0);
	if (epoll_fd < 0)
		return failed(NULL, "epoll: %s", strerror(errno));
	snprintf(root, sizeof(root), "/history-%d-%d", (int)getpid(), ++runs);
	stopping = true;
	for (i = 0; i < CLIENTS; i++) {
		struct client *c = &clients[i];

		c->index = i;
		c->writer = i >= READERS;
		c->next_xid = 1;
		c->persistent_group = i % 8 == 0 && !c->writer ? i / 8 % GROUPS : -1;
		c->persistent_version = -1;
		for (g = 0; g < GROUPS; g++)
			for (slot = 0; slot < SLOTS; slot++)
				c->views[g].armed[slot] = -1;
		/* Every second reader comes and goes. */
		c->until_reconnect =
			i % 2 ? INT64_MAX / 2 : wanted_ops / CLIENTS / 16 * (1 + (int)pick(4));
		if (!client_connect(c))
			return false;
	}
	if (!serve())
		return false;
	ask_next(&clients[0], K_SETUP, OP_CREATE);
	put_create(&clients[0].out, root, "", 0);
	frame_end(&clients[0].out);
	for (g = 0; g < GROUPS; g++)
		if (!setup_group(&clients[0], g))
			return false;
	if (!serve())
		return false;
	/* Nobody may begin before the groups are seen on its core. */
	acknowledged_zxid = clients[0].last_zxid;
	for (i = 0; i < CLIENTS; i++) {
		struct client *c = &clients[i];

		ask_next(c, K_OWN_CREATE, OP_CREATE);
		put_create(&c->out, own_path(c, path), value(0, i, text), 1);
		frame_end(&c->out);
		if (c->persistent_group >= 0)
			ask_add_watch(c);
		if (!client_flush(c))
			return false;
	}
	return serve();
}

/* Everything was answered: after a sync each client must see the end of the history. */
static bool finish(void)
{
	int i, g, slot;

	for (i = 0; i < CLIENTS; i++) {
		struct client *c = &clients[i];

		ask_path(c, K_SYNC, OP_SYNC);
		for (g = 0; g < GROUPS; g++) {
			ask_multi_read(c, g)->want = written[g];
			ask_slot(c, g, CHILDREN, false, false)->want = written[g];
		}
		ask_own_read(c);
		if (!client_flush(c))
			return false;
	}
	if (!serve())
		return false;
	for (i = 0; i < CLIENTS; i++)
		for (g = 0; g < GROUPS; g++)
			for (slot = 0; slot < SLOTS; slot++)
				if (clients[i].views[g].armed[slot] >= 0 &&
				    clients[i].views[g].armed[slot] != written[g])
					return failed(&clients[i], "a watch never fired");
	return true;
}

static bool one_run(enum tamper tamper, long count)
{
	bool ok;
	int i;

	memset(clients, 0, sizeof(clients));
	memset(written, 0, sizeof(written));
	memset(&tampering, 0, sizeof(tampering));
	failure[0] = '\0';
	failed_client = NULL;
	acknowledged_zxid = 0;
	event_count = transfer_count = reconnect_count = ops = 0;
	wanted_ops = count;
	for (i = 0; i < CLIENTS; i++)
		clients[i].fd = clients[i].old_fd = -1;
	ok = begin();
	if (ok) {
		stopping = false;
		tampering.kind = tamper;
		for (i = 0; i < CLIENTS && ok; i++)
			ok = client_serve(&clients[i], 0);
		ok = ok && serve() && finish();
	}
	for (i = 0; i < CLIENTS; i++) {
		if (clients[i].fd >= 0)
			close(clients[i].fd);
		if (clients[i].old_fd >= 0)
			close(clients[i].old_fd);
	}
	close(epoll_fd);
	for (i = 0; i < GROUPS; i++)
		model_reset(&models[i]);
	return ok;
}

/* Each fault must be found; the real run before was clean, so that it is the fault that is found.
 */
static void self_test(void)
{
	int t;

	for (t = TAMPER_DROP_EVENT; t < TAMPERS; t++) {
		bool ok = one_run((enum tamper)t, SELF_TEST_OPS);

		if (ok || !tampering.done)
			report_fail("self-test: %s: %s", tamper_names[t],
				    tampering.done ? "not found"
				    : ok           ? "no occasion"
						   : failure);
		else
			report_ok("self-test: %s: %s", tamper_names[t], failure);
	}
}

int main(void)
{
	const char *count = getenv("OPS"), *seed = getenv("SEED"), *self = getenv("HISTORY_SELF");
	const char *line = getenv("ZK_LINE");
	int64_t begin_ms;

	events_have_zxids = line == NULL || strcmp(line, "3.8") != 0;
	rng = seed != NULL ? strtoull(seed, NULL, 0) : 0x5eed2181;
	rng += rng == 0;
	printf("seed 0x%llx\n", (unsigned long long)rng);
	begin_ms = now_ms();
	if (one_run(TAMPER_NONE, count != NULL ? atol(count) : 2000000)) {
		report_ok("%ld operations: %ld multis, %ld events, %ld reconnects, %d connections "
			  "(%.1f s)",
			  ops, transfer_count, event_count, reconnect_count, CLIENTS,
			  (double)(now_ms() - begin_ms) / 1000);
	} else {
		report_fail("after %ld operations, %ld events: connection %d: %s", ops, event_count,
			    failed_client != NULL ? failed_client->index : -1, failure);
		if (failed_client != NULL)
			print_client(failed_client);
	}
	if (report_failures == 0 && (self == NULL || strcmp(self, "0") != 0))
		self_test();
	return report_failures == 0 ? 0 : 1;
}
