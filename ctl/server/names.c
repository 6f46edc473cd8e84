/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/names.h"

#include "ctl/server/log.h"
#include "ctl/server/value.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>

enum { EVERY_MS = 5000, STOP_S = 1, NS_PER_MS = 1000000 };

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* ---- the thread ---- */

static void look(struct names *s, unsigned i)
{
	struct peer_host *h = &s->host[i];
	/* relaxed: the number stands alone, and only this thread writes it */
	uint32_t old = atomic_load_explicit(&h->ip, memory_order_relaxed), ip = 0;

	if (s->conf.look_up(h->name, &ip) || ip == old)
		return;
	atomic_store_explicit(&h->ip, ip, memory_order_relaxed);
	log_line(LOG_INFO, "member-address=changed host=%s from=%u.%u.%u.%u to=%u.%u.%u.%u",
		 h->name, old >> 24, old >> 16 & 255, old >> 8 & 255, old & 255, ip >> 24,
		 ip >> 16 & 255, ip >> 8 & 255, ip & 255);
}

/* Every name that was dialled and has not been looked up just now. @return ms until the next one
 * may be; -1: none is wanted. */
static int one_round(struct names *s)
{
	int wait_ms = -1;

	for (unsigned i = 0; i < s->n; i++) {
		/* relaxed: it only says that somebody wants to know */
		uint32_t dials = atomic_load_explicit(&s->host[i].dials, memory_order_relaxed);
		uint64_t now = now_ns();

		if (s->look[i].numeric || dials == s->look[i].dials)
			continue;
		if (now >= s->look[i].next_ns) {
			s->look[i].dials = dials;
			look(s, i);
			s->look[i].next_ns = now_ns() + (uint64_t)s->conf.every_ms * NS_PER_MS;
		} else {
			int left = (int)((s->look[i].next_ns - now) / NS_PER_MS) + 1;

			wait_ms = wait_ms < 0 || left < wait_ms ? left : wait_ms;
		}
	}
	return wait_ms;
}

static bool stopping(struct names *s)
{
	/* partner: names_stop(); no data goes with it */
	return atomic_load_explicit(&s->stop, memory_order_relaxed);
}

static void let_go(struct names *s)
{
	waker_fini(&s->waker);
	free(s);
}

/* @return whether the other side had left before. */
static bool leave(struct names *s)
{
	/* partner: itself, on the other side */
	return atomic_exchange_explicit(&s->left, true, memory_order_acq_rel);
}

static void *names_main(void *arg)
{
	struct names *s = arg;

	(void)pthread_setname_np(pthread_self(), "zk-names");
	while (!stopping(s)) {
		struct pollfd fd = {.fd = s->waker.fd, .events = POLLIN};
		int wait_ms;

		waker_announce(&s->waker);
		wait_ms = one_round(s);
		if (!stopping(s))
			(void)poll(&fd, 1, wait_ms);
		waker_clear(&s->waker);
	}
	if (leave(s))
		let_go(s);
	return NULL;
}

/* ---- begin and end ---- */

static bool known(const struct names *s, struct zk_span name)
{
	for (unsigned i = 0; i < s->n; i++)
		if (zk_span_eq(name, zk_span_str(s->host[i].name)))
			return true;
	return false;
}

/* @return whether any of them is a name. */
static bool fill(struct names *s, const struct config_quorum *q)
{
	bool any = false;

	for (uint32_t i = 0; i < q->members.n; i++) {
		const struct zab_server *m = &q->members.server[i];

		for (unsigned j = 0; j < m->addresses; j++) {
			struct zk_span name = zab_host(&q->members, m->address[j].host);
			struct peer_host *h = &s->host[s->n];
			uint32_t ip;

			if (name.n >= PEER_HOST_MAX || known(s, name))
				continue;
			memcpy(h->name, name.p, name.n);
			/* relaxed: there is no thread yet */
			atomic_store_explicit(&h->ip, q->ip[i][j], memory_order_relaxed);
			s->look[s->n].numeric = !value_ipv4(h->name, &ip);
			any = any || !s->look[s->n].numeric;
			s->n++;
		}
	}
	return any;
}

enum zk_err names_start(const struct names_conf *conf, struct names **out)
{
	struct names *s = aligned_alloc(_Alignof(struct names), sizeof(*s));
	enum zk_err err;
	bool any;

	if (!s)
		return ZK_ENOMEM;
	memset(s, 0, sizeof(*s));
	if (waker_init(&s->waker) != ZK_EOK) {
		free(s);
		return ZK_EIO;
	}
	s->conf = *conf;
	s->conf.look_up = conf->look_up ? conf->look_up : value_host;
	s->conf.every_ms = conf->every_ms ? conf->every_ms : EVERY_MS;
	any = fill(s, conf->quorum);
	s->conf.quorum = NULL;
	err = any ? helper_start(&s->id, names_main, s, &conf->cpus) : ZK_EOK;
	s->running = any && err == ZK_EOK;
	*out = s;
	if (err != ZK_EOK) {
		names_stop(s);
		*out = NULL;
	}
	return err;
}

void names_stop(struct names *s)
{
	struct timespec until;

	if (!s)
		return;
	if (s->running) {
		atomic_store_explicit(&s->stop, true, memory_order_relaxed);
		waker_kick(&s->waker);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += STOP_S;
		if (pthread_timedjoin_np(s->id, NULL, &until) != 0) {
			(void)pthread_detach(s->id);
			if (leave(s))
				let_go(s);
			return;
		}
	}
	let_go(s);
}
