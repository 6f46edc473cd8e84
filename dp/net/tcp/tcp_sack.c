/* SPDX-License-Identifier: Apache-2.0 */
/** The scoreboard (RFC 2018, RFC 6675), kept in the packets of the send queue. */
#include "core/base/endian.h"
#include "dp/net/tcp/tcp_int.h"

void tcp_seg_forget(struct tcp_conn *c, struct pkt *p)
{
	struct tcp_seg *s = tcp_seg(p);
	uint32_t n = tcp_seg_space(s);

	if (s->flags & SEG_LOST)
		c->lost_bytes -= n;
	if (s->flags & SEG_RTX)
		c->rtx_bytes -= n;
	if (s->flags & SEG_SACKED) {
		c->sacked_bytes -= n;
		c->sacked_pkts--;
	}
	s->flags &= (uint16_t) ~(SEG_LOST | SEG_RTX | SEG_SACKED);
}

void tcp_seg_lost(struct tcp_conn *c, struct pkt *p)
{
	struct tcp_seg *s = tcp_seg(p);

	if (s->flags & SEG_SACKED)
		return;
	tcp_seg_forget(c, p);
	s->flags |= SEG_LOST;
	c->lost_bytes += tcp_seg_space(s);
}

static void seg_sacked(struct tcp_conn *c, struct pkt *p)
{
	struct tcp_seg *s = tcp_seg(p);

	tcp_seg_forget(c, p);
	s->flags |= SEG_SACKED;
	c->sacked_bytes += tcp_seg_space(s);
	c->sacked_pkts++;
}

/* @return true when anything was newly SACKed. */
bool tcp_sack_in(struct tcp_conn *c, const struct tcp_in *in)
{
	const uint8_t *o = in->opts + in->sack_at;
	bool news = false;

	for (unsigned i = 0; i < in->n_sack; i++, o += 8) {
		struct tcp_seq lo = {zk_get32(o)}, hi = {zk_get32(o + 4)};

		/* Also sorts out RFC 2883's reports of duplicates, below snd_una. */
		if (!tcp_seq_lt(lo, hi) || tcp_seq_lt(lo, c->snd_una) ||
		    tcp_seq_lt(c->snd_nxt, hi) || tcp_seq_lt(lo, in->ack))
			continue;
		for (struct pkt *p = c->snd_head; p != c->snd_next; p = p->next) {
			struct tcp_seg *s = tcp_seg(p);

			if (!tcp_seq_lt(s->seq, hi))
				break;
			if ((s->flags & SEG_SACKED) || tcp_seq_lt(s->seq, lo) ||
			    tcp_seq_lt(hi, tcp_seg_end(s)))
				continue;
			seg_sacked(c, p);
			news = true;
		}
	}
	return news;
}

/* RFC 6675 IsLost(), counted in segments because ours are often small. */
void tcp_sack_mark_lost(struct tcp_conn *c)
{
	uint32_t above = c->sacked_pkts;

	for (struct pkt *p = c->snd_head; p != c->snd_next && above >= TCP_DUPACK_THRESHOLD;
	     p = p->next) {
		struct tcp_seg *s = tcp_seg(p);

		if (s->flags & SEG_SACKED)
			above--;
		else if (!(s->flags & SEG_LOST))
			tcp_seg_lost(c, p);
	}
}
