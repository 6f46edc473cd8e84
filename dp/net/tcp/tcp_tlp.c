/* SPDX-License-Identifier: Apache-2.0 */
/** Tail loss probes (RFC 8985 section 7): a lost end of a reply is not followed by anything that
 * could make the peer complain, so something is sent after about two round trips. The rest of the
 * RFC (RACK) is not here: the scoreboard counts segments (RFC 6675). */
#include "core/base/endian.h"
#include "dp/net/tcp/tcp_int.h"

struct pkt *tcp_tlp_segment(struct tcp_conn *c)
{
	struct pkt *p = c->snd_head;

	if (!c->snd_next)
		return c->snd_tail;
	while (p->next != c->snd_next)
		p = p->next;
	return p;
}

void tcp_tlp_sent(struct tcp_conn *c, bool again)
{
	c->t->stats->tcp_tail_probes++;
	c->flags &= ~(uint32_t)(CF_TLP_NOW | CF_TLP_RTX);
	c->flags |= CF_TLP_OUT | (again ? (uint32_t)CF_TLP_RTX : 0);
	c->tlp_end = c->snd_nxt;
}

/* RFC 8985 7.4.2. */
void tcp_tlp_ack(struct tcp_conn *c, const struct tcp_in *in)
{
	const uint8_t *o = in->opts + in->sack_at;
	bool duplicate = in->n_sack && tcp_seq_lt((struct tcp_seq){zk_get32(o)}, in->ack);

	if (tcp_seq_lt(in->ack, c->tlp_end))
		return;
	if ((c->flags & CF_TLP_RTX) && !duplicate) {
		if (tcp_seq_lt(c->tlp_end, in->ack)) {
			/* The probe has repaired a loss that nobody else would notice. */
			if (!(c->flags & (CF_RECOVERY | CF_LOSS)))
				tcp_cc_enter(c, false);
		} else if (!tcp_seq_eq(in->ack, c->snd_una) || in->len || in->n_sack) {
			return; /* this ACK does not tell; the next one will */
		}
	}
	c->flags &= ~(uint32_t)(CF_TLP_OUT | CF_TLP_RTX);
}

/* What was sent before the probe has been under way for two round trips more. */
void tcp_tlp_sack(struct tcp_conn *c)
{
	const struct tcp_seg *last;

	if (!tcp_in_flight(c))
		return;
	last = tcp_seg_const(tcp_tlp_segment(c));
	if (!(last->flags & SEG_SACKED) || !tcp_seq_eq(tcp_seg_end(last), c->tlp_end))
		return;
	for (struct pkt *p = c->snd_head; p != c->snd_next; p = p->next)
		if (!(tcp_seg(p)->flags & (SEG_SACKED | SEG_LOST)))
			tcp_seg_lost(c, p);
}
