/* SPDX-License-Identifier: Apache-2.0 */
/** TIME_WAIT (RFC 9293 3.6.1, RFC 1337, RFC 6191) in 64 bytes a connection. */
#include "dp/net/tcp/tcp_int.h"

enum { TW_EXPIRE_PER_ROUND = 256 };

struct tcp_tw *tcp_tw_at(const struct tcp *t, uint32_t index)
{
	return &t->tw[index];
}

static uint32_t index_of(const struct tcp *t, const struct tcp_tw *w)
{
	return (uint32_t)(w - t->tw) + 1;
}

static void list_del(struct tcp *t, struct tcp_tw *w)
{
	if (w->prev)
		t->tw[w->prev - 1].next = w->next;
	else
		t->tw_head = w->next;
	if (w->next)
		t->tw[w->next - 1].prev = w->prev;
	else
		t->tw_tail = w->prev;
}

/* All stay equally long, so the tail is the place for the one that starts now. */
static void list_add(struct tcp *t, struct tcp_tw *w)
{
	uint32_t i = index_of(t, w);

	w->due_tick = tcp_tick_after_us(t, (uint64_t)t->conf.time_wait_ms * 1000);
	w->prev = t->tw_tail;
	w->next = 0;
	if (t->tw_tail)
		t->tw[t->tw_tail - 1].next = i;
	else
		t->tw_head = i;
	t->tw_tail = i;
}

static void tw_free(struct tcp *t, struct tcp_tw *w)
{
	uint32_t i = index_of(t, w);

	tcp_table_del(t, w->hash, i | TCP_REF_TW);
	list_del(t, w);
	w->used = 0;
	w->next = t->tw_free;
	t->tw_free = i;
	t->tw_count--;
}

static struct tcp_tw *tw_new(struct tcp *t)
{
	uint32_t i = t->tw_free;

	if (!i && t->tw_made < t->tw_max)
		return &t->tw[t->tw_made++];
	if (!i) {
		t->stats->tcp_tw_recycled++;
		tw_free(t, &t->tw[t->tw_head - 1]);
		i = t->tw_free;
	}
	t->tw_free = t->tw[i - 1].next;
	return &t->tw[i - 1];
}

/* Takes the place of @p c in the table; the caller ends the connection afterwards. */
void tcp_tw_add(struct tcp_conn *c)
{
	struct tcp *t = c->t;
	struct tcp_tw *w = tw_new(t);
	uint32_t wnd = tcp_seq_diff(c->rcv_adv, c->rcv_nxt) >> c->rcv_wscale;

	*w = (struct tcp_tw){.remote = c->tuple.remote,
			     .local_port = c->tuple.local_port,
			     .remote_port = c->tuple.remote_port,
			     .snd_nxt = c->snd_nxt,
			     .rcv_nxt = c->rcv_nxt,
			     .ts_recent = c->ts_recent,
			     .ts_offset = c->ts_offset,
			     .hash = c->hash,
			     .wnd = (uint16_t)(wnd < UINT16_MAX ? wnd : UINT16_MAX),
			     .used = 1,
			     .ts = !!(c->flags & CF_TS)};
	tcp_table_del(t, c->hash, c->index + 1);
	c->flags &= ~(uint32_t)CF_IN_TABLE;
	tcp_table_put(t, w->hash, index_of(t, w) | TCP_REF_TW);
	list_add(t, w);
	t->tw_count++;
	t->stats->tcp_tw_new++;
}

static void tw_ack(struct tcp *t, const struct tcp_tw *w, const struct tcp_in *in)
{
	struct tcp_ctl ctl = {.tuple = in->tuple,
			      .seq = w->snd_nxt,
			      .ack = w->rcv_nxt,
			      .flags = TH_ACK,
			      .wnd = w->wnd,
			      .mac = tcp_in_mac(t, in)};

	if (w->ts) {
		/* the same layout as on every ACK of a connection */
		struct tcp_conn c = {.t = t, .flags = CF_TS, .ts_recent = w->ts_recent};

		c.ts_offset = w->ts_offset;
		ctl.opts_len = tcp_options_ack(&c, ctl.opts, false);
	}
	t->stats->tcp_acks_tx++;
	tcp_ctl_send(t, &ctl);
}

/* RFC 6191 and RFC 9293 3.10.7.4: may this SYN open the flow anew? */
static bool may_reopen(const struct tcp_tw *w, const struct tcp_in *in)
{
	if (w->ts && in->ts && in->tsval != w->ts_recent)
		return (int32_t)(in->tsval - w->ts_recent) > 0;
	return tcp_seq_lt(w->rcv_nxt, in->seq);
}

void tcp_tw_segment(struct tcp *t, struct tcp_tw *w, struct tcp_in *in)
{
	struct tcp_seq end = tcp_seq_add(in->seq, in->len + !!(in->flags & TH_FIN));

	if (in->flags & TH_RST) {
		t->stats->tcp_tw_rst_ignored++;
		return;
	}
	if ((in->flags & (TH_SYN | TH_ACK)) == TH_SYN) {
		struct tcp_seq above = w->snd_nxt;

		if (may_reopen(w, in) && tcp_listener_find(t, in->tuple.local_port)) {
			t->stats->tcp_tw_reused++;
			tw_free(t, w);
			tcp_listen_segment(t, in, &above);
			return;
		}
		tw_ack(t, w, in);
		return;
	}
	if (in->len == 0 && !(in->flags & (TH_FIN | TH_SYN)))
		return; /* a pure ACK needs no answer, and two of us would never stop */
	if (w->ts && in->ts && (int32_t)(in->tsval - w->ts_recent) < 0)
		t->stats->tcp_paws++;
	else if ((in->flags & TH_FIN) && tcp_seq_eq(end, w->rcv_nxt)) {
		/* Its ACK was lost: 2 MSL from now. */
		list_del(t, w);
		list_add(t, w);
	}
	tw_ack(t, w, in);
}

void tcp_tw_expire(struct tcp *t)
{
	for (unsigned k = 0; k < TW_EXPIRE_PER_ROUND && t->tw_head; k++) {
		struct tcp_tw *w = &t->tw[t->tw_head - 1];

		if (!tcp_due(t, w->due_tick))
			return;
		tw_free(t, w);
	}
}
