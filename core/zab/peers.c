/* SPDX-License-Identifier: Apache-2.0 */
#include "core/zab/peers.h"

#include "core/base/assert.h"

enum { DIAL_TIMEOUT_MS = 5000, HELLO_TIMEOUT_MS = 10000 };

static const uint32_t no_place = UINT32_MAX;
static const int64_t nameless_sid = INT64_MAX; /* an observer that has no sid */
static const uint64_t ms_ns = 1000000;

void peers_init(struct peers *p, const struct peers_conf *conf, uint64_t now_ns)
{
	memset(p, 0, sizeof(*p));
	p->conf = *conf;
	p->now_ns = now_ns;
	p->nameless = -1;
	if (!p->conf.dial_timeout_ms)
		p->conf.dial_timeout_ms = DIAL_TIMEOUT_MS;
	if (!p->conf.hello_timeout_ms)
		p->conf.hello_timeout_ms = HELLO_TIMEOUT_MS;
}

void peers_configure(struct peers *p, const struct zab_members *now, const struct zab_members *next)
{
	p->conf.now = now;
	p->conf.next = next;
}

static bool member(const struct peers *p, int64_t sid)
{
	return zab_members_find(p->conf.now, sid) >= 0 ||
	       (p->conf.next && zab_members_find(p->conf.next, sid) >= 0);
}

static uint32_t place_of(const struct peers *p, const struct peer_entry *e)
{
	return (uint32_t)(e - p->entry);
}

/* ---- links ---- */

static uint32_t free_link(const struct peers *p)
{
	for (uint32_t i = 0; i < PEER_LINKS_MAX; i++)
		if (p->link[i].state == PEER_LINK_FREE)
			return i;
	return no_place;
}

static void forget_link(struct peers *p, uint32_t link)
{
	struct peer_link *l = &p->link[link];

	if (l->peer != no_place && p->entry[l->peer].link == link)
		p->entry[l->peer].link = no_place;
	*l = (struct peer_link){.state = PEER_LINK_FREE, .peer = no_place};
}

/* ... and it was not we who wanted that. */
static void lose_link(struct peers *p, uint32_t link)
{
	const struct peer_link *l = &p->link[link];

	if (l->peer != no_place && p->entry[l->peer].link == link)
		p->entry[l->peer].failed = true;
	forget_link(p, link);
}

static void drop_link(struct peers *p, uint32_t link)
{
	forget_link(p, link);
	p->conf.io.close(p->conf.io.ctx, link);
}

/* The entry of @p sid, a new one if need be. A stranger makes room for a member, and for another
 * stranger when it has no connection. */
static struct peer_entry *entry_of(struct peers *p, int64_t sid)
{
	struct peer_entry *free_one = NULL, *stranger = NULL, *e;
	bool is_member = member(p, sid);

	for (uint32_t i = 0; i < PEERS_MAX; i++) {
		e = &p->entry[i];
		if (e->used && e->sid == sid)
			return e;
		if (!e->used)
			free_one = free_one ? free_one : e;
		else if ((is_member || e->link == no_place) && !member(p, e->sid))
			stranger = e;
	}
	e = free_one ? free_one : stranger;
	if (!e)
		return NULL;
	if (e->used && e->link != no_place)
		drop_link(p, e->link);
	*e = (struct peer_entry){.used = true, .sid = sid, .link = no_place};
	return e;
}

static void own_link(struct peers *p, struct peer_entry *e, uint32_t link)
{
	if (e->link != no_place && e->link != link)
		drop_link(p,
			  e->link); /* the new connection of a server takes the place of the old */
	e->link = link;
	p->link[link].peer = place_of(p, e);
}

static size_t address_of(const struct peers *p, const struct peer_entry *e,
			 char out[PEER_ADDRESS_MAX])
{
	const struct zab_members *m = p->conf.now;
	int at = zab_members_find(m, e->sid);
	const struct zab_address *a;

	if (at < 0 && p->conf.next) {
		m = p->conf.next;
		at = zab_members_find(m, e->sid);
	}
	if (at < 0) {
		memcpy(out, e->address, e->address_n);
		return e->address_n;
	}
	a = &m->server[at].address[0];
	zk_assert(a);
	return zab_address_text(m, a, a->election_port, out, PEER_ADDRESS_MAX);
}

static void dial(struct peers *p, struct peer_entry *e)
{
	char address[PEER_ADDRESS_MAX];
	size_t n = address_of(p, e, address);
	uint32_t link = free_link(p);

	if (e->link != no_place || !n || link == no_place)
		return;
	own_link(p, e, link);
	p->link[link].state = PEER_LINK_DIALLING;
	p->link[link].until_ns = p->now_ns + p->conf.dial_timeout_ms * ms_ns;
	p->dials++;
	p->conf.io.dial(p->conf.io.ctx, link, zk_span_of(address, n));
}

static void say(struct peers *p, struct peer_entry *e)
{
	struct jute_out out = jute_out_of(p->out, sizeof(p->out));

	if (!e->waits || e->link == no_place || p->link[e->link].state != PEER_LINK_UP)
		return;
	zab_notification_put(&out, &e->note);
	zk_assert(!out.full);
	if (!p->conf.io.send(p->conf.io.ctx, e->link, zk_span_of(p->out, jute_out_len(&out))))
		return;
	e->waits = false;
	p->delivered = true;
	p->said++;
}

static void link_is_up(struct peers *p, uint32_t link)
{
	struct peer_entry *e = &p->entry[p->link[link].peer];

	p->link[link].state = PEER_LINK_UP;
	p->link[link].until_ns = UINT64_MAX;
	e->failed = false;
	e->waits = e->waits || e->said; /* the last word may not have arrived */
	say(p, e);
}

/* ---- events ---- */

static void enter(struct peers *p, uint64_t now_ns)
{
	zk_assert(now_ns >= p->now_ns);
	p->now_ns = now_ns;
}

void peers_tell(struct peers *p, int64_t to, const struct zab_notification *n, uint64_t now_ns)
{
	struct peer_entry *e;

	enter(p, now_ns);
	e = entry_of(p, to);
	if (!e) {
		p->refused++;
		return;
	}
	e->note = *n;
	e->waits = e->said = true;
	dial(p, e);
	say(p, e);
}

void peers_connect_all(struct peers *p, uint64_t now_ns)
{
	const struct zab_members *m[2] = {p->conf.now, p->conf.next};

	enter(p, now_ns);
	for (unsigned k = 0; k < 2; k++)
		for (uint32_t i = 0; m[k] && i < m[k]->n; i++) {
			int64_t sid = m[k]->server[i].sid;
			struct peer_entry *e = sid == p->conf.sid ? NULL : entry_of(p, sid);

			if (e && !m[k]->server[i].observer)
				dial(p, e);
		}
}

bool peers_absent(const struct peers *p, int64_t sid)
{
	for (uint32_t i = 0; i < PEERS_MAX; i++)
		if (p->entry[i].used && p->entry[i].sid == sid)
			return p->entry[i].failed;
	return false;
}

bool peers_delivered(struct peers *p)
{
	bool delivered = p->delivered;

	p->delivered = false;
	return delivered;
}

uint32_t peers_accepted(struct peers *p, uint64_t now_ns)
{
	uint32_t link = free_link(p), busy = 0;

	enter(p, now_ns);
	for (uint32_t i = 0; i < PEER_LINKS_MAX; i++)
		busy += p->link[i].state != PEER_LINK_FREE;
	if (busy >= PEER_LINKS_MAX - PEERS_MAX) { /* the rest is for dialling */
		p->refused++;
		return no_place;
	}
	p->link[link] = (struct peer_link){.state = PEER_LINK_HELLO,
					   .peer = no_place,
					   .until_ns = now_ns + p->conf.hello_timeout_ms * ms_ns};
	p->accepts++;
	return link;
}

void peers_dialled(struct peers *p, uint32_t link, bool ok, uint64_t now_ns)
{
	struct peer_link *l = &p->link[link];
	struct zab_hello h = {.sid = p->conf.sid, .address = p->conf.address};
	struct jute_out out = jute_out_of(p->out, sizeof(p->out));

	enter(p, now_ns);
	if (l->state != PEER_LINK_DIALLING)
		return;
	if (!ok) {
		lose_link(p, link); /* the election asks again */
		return;
	}
	zab_hello_put(&out, &h);
	if (!p->conf.io.send(p->conf.io.ctx, link, zk_span_of(p->out, jute_out_len(&out))) ||
	    p->entry[l->peer].sid > p->conf.sid) {
		drop_link(p, link); /* that was the knock: it dials back */
		return;
	}
	link_is_up(p, link);
}

void peers_closed(struct peers *p, uint32_t link, uint64_t now_ns)
{
	enter(p, now_ns);
	lose_link(p, link);
}

void peers_writable(struct peers *p, uint32_t link, uint64_t now_ns)
{
	enter(p, now_ns);
	if (p->link[link].state == PEER_LINK_UP)
		say(p, &p->entry[p->link[link].peer]);
}

/* Who is it? */
static void on_hello(struct peers *p, uint32_t link, const struct zab_hello *h)
{
	int64_t sid = h->sid == nameless_sid ? p->nameless-- : h->sid;
	struct peer_entry *e = sid == p->conf.sid ? NULL : entry_of(p, sid);

	if (!e) {
		p->refused++;
		drop_link(p, link);
		return;
	}
	if (h->address.n && h->address.n < PEER_ADDRESS_MAX && !h->several) {
		memcpy(e->address, h->address.p, h->address.n);
		e->address_n = (uint16_t)h->address.n;
	}
	if (sid >= 0 && sid < p->conf.sid) { /* a knock: it has no connection to us any more */
		drop_link(p, link);
		if (e->link != no_place && p->link[e->link].state == PEER_LINK_UP)
			drop_link(p, e->link);
		dial(p, e);
		return;
	}
	own_link(p, e, link);
	link_is_up(p, link);
}

/* One message. @return ZK_EAGAIN: not all of it is there. */
static enum zk_err on_message(struct peers *p, uint32_t link, struct zk_span window, size_t *used)
{
	struct zab_notification n;
	struct zab_hello h;
	enum zk_err err;
	bool sense;

	if (p->link[link].state == PEER_LINK_HELLO) {
		err = zab_hello_get(window, &h, used);
		if (err == ZK_EOK)
			on_hello(p, link, &h);
		return err;
	}
	err = zab_notification_get(window, &n, &sense, used);
	if (err != ZK_EOK)
		return err;
	p->heard++;
	if (sense)
		p->conf.io.heard(p->conf.io.ctx, p->entry[p->link[link].peer].sid, &n);
	else
		p->refused++;
	return ZK_EOK;
}

size_t peers_input(struct peers *p, uint32_t link, struct zk_span window, uint64_t now_ns)
{
	size_t all = 0, used;
	enum zk_err err = ZK_EOK;

	enter(p, now_ns);
	while (err == ZK_EOK && p->link[link].state >= PEER_LINK_HELLO) {
		err = on_message(p, link, zk_span_of(window.p + all, window.n - all), &used);
		if (err == ZK_EOK)
			all += used;
	}
	if (err == ZK_EINVAL && p->link[link].state != PEER_LINK_FREE) {
		p->refused++;
		drop_link(p, link);
	}
	return all;
}

void peers_tick(struct peers *p, uint64_t now_ns)
{
	enter(p, now_ns);
	for (uint32_t i = 0; i < PEER_LINKS_MAX; i++)
		if (p->link[i].state != PEER_LINK_FREE && now_ns >= p->link[i].until_ns) {
			p->timeouts++;
			lose_link(p, i);
			p->conf.io.close(p->conf.io.ctx, i);
		}
}

uint64_t peers_next_ns(const struct peers *p)
{
	uint64_t next = UINT64_MAX;

	for (uint32_t i = 0; i < PEER_LINKS_MAX; i++)
		if (p->link[i].state != PEER_LINK_FREE && p->link[i].until_ns < next)
			next = p->link[i].until_ns;
	return next;
}
