/* SPDX-License-Identifier: Apache-2.0 */
/** TCP options (RFC 9293 3.2, RFC 7323, RFC 2018). */
#include "core/base/endian.h"
#include "dp/net/tcp/tcp_int.h"

static bool option(struct tcp_in *in, const uint8_t *o, uint8_t len, uint8_t at)
{
	bool syn = in->flags & TH_SYN;

	switch (o[0]) {
	case TCP_OPT_MSS:
		if (len != 4)
			return false;
		if (syn)
			in->mss = zk_get16(o + 2);
		return true;
	case TCP_OPT_WSCALE:
		if (len != 3)
			return false;
		if (syn) /* RFC 7323 2.3: more than 14 counts as 14 */
			in->wscale = o[2] > TCP_WSCALE_MAX ? TCP_WSCALE_MAX : o[2];
		return true;
	case TCP_OPT_SACK_OK:
		if (len != 2)
			return false;
		in->sack_ok = syn;
		return true;
	case TCP_OPT_SACK:
		if (len < 10 || (len - 2) % 8 != 0)
			return false;
		in->n_sack = (uint8_t)((len - 2) / 8);
		in->sack_at = (uint8_t)(at + 2);
		return true;
	case TCP_OPT_TS:
		if (len != 10)
			return false;
		in->ts = true;
		in->tsval = zk_get32(o + 2);
		in->tsecr = zk_get32(o + 6);
		return true;
	default:
		return true;
	}
}

/* Fields that options fill in start as "no option"; false = malformed, drop the segment. */
bool tcp_options_parse(struct tcp_in *in)
{
	const uint8_t *o = in->opts;
	uint8_t i = 0, len;

	in->ts = in->sack_ok = false;
	in->n_sack = 0;
	in->mss = 0;
	in->wscale = UINT8_MAX;
	if (zk_likely(in->opts_len == TCP_OPT_TS_BYTES && zk_get32(o) == TCP_OPT_TS_ALIGNED)) {
		in->ts = true;
		in->tsval = zk_get32(o + 4);
		in->tsecr = zk_get32(o + 8);
		return true;
	}
	while (i < in->opts_len) {
		if (o[i] == TCP_OPT_END)
			return true;
		if (o[i] == TCP_OPT_NOP) {
			i++;
			continue;
		}
		if (in->opts_len - i < 2)
			return false;
		len = o[i + 1];
		if (len < 2 || len > in->opts_len - i || !option(in, o + i, len, i))
			return false;
		i = (uint8_t)(i + len);
	}
	return true;
}

uint8_t tcp_options_syn(uint8_t *o, uint16_t mss, uint8_t wscale, bool sack, bool ts, uint32_t val,
			uint32_t ecr)
{
	uint8_t n = 4;

	o[0] = TCP_OPT_MSS;
	o[1] = 4;
	zk_put16(o + 2, mss);
	if (ts) {
		o[n++] = sack ? TCP_OPT_SACK_OK : TCP_OPT_NOP;
		o[n++] = sack ? 2 : TCP_OPT_NOP;
		o[n++] = TCP_OPT_TS;
		o[n++] = 10;
		zk_put32(o + n, val);
		zk_put32(o + n + 4, ecr);
		n = (uint8_t)(n + 8);
	} else if (sack) {
		o[n++] = TCP_OPT_NOP;
		o[n++] = TCP_OPT_NOP;
		o[n++] = TCP_OPT_SACK_OK;
		o[n++] = 2;
	}
	if (wscale != UINT8_MAX) {
		o[n++] = TCP_OPT_NOP;
		o[n++] = TCP_OPT_WSCALE;
		o[n++] = 3;
		o[n++] = wscale;
	}
	return n;
}

uint8_t tcp_options_ack(const struct tcp_conn *c, uint8_t *o, bool sack)
{
	struct tcp_seq blocks[TCP_SACK_MAX][2];
	uint8_t n = 0;
	unsigned k;

	if (c->flags & CF_TS) {
		zk_put32(o, TCP_OPT_TS_ALIGNED);
		zk_put32(o + 4, c->t->ts_ms + c->ts_offset);
		zk_put32(o + 8, c->ts_recent);
		n = TCP_OPT_TS_BYTES;
	}
	if (!sack || !c->ooo || !(c->flags & CF_SACK))
		return n;
	k = tcp_ooo_sack(c, blocks, c->flags & CF_TS ? 3 : TCP_SACK_MAX);
	o[n++] = TCP_OPT_NOP;
	o[n++] = TCP_OPT_NOP;
	o[n++] = TCP_OPT_SACK;
	o[n++] = (uint8_t)(2 + 8 * k);
	for (unsigned i = 0; i < k; i++) {
		zk_put32(o + n, blocks[i][0].v);
		zk_put32(o + n + 4, blocks[i][1].v);
		n = (uint8_t)(n + 8);
	}
	return n;
}
