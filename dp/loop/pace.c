/* SPDX-License-Identifier: Apache-2.0 */
#include "dp/loop/pace.h"

static unsigned few(struct pace *p, const struct pace_look *look, unsigned want, uint64_t pause_ns)
{
	if (look->now_ns - p->few_ns < pause_ns)
		return 0;
	p->few_ns = look->now_ns;
	return want < PACE_FEW ? want : PACE_FEW;
}

unsigned pace_slice(struct pace *p, const struct pace_look *look, unsigned want)
{
	uint32_t keep = look->packets_max / 4;
	unsigned n;

	if (look->packets <= keep + want) {
		p->short_rounds++;
		n = few(p, look, want,
			look->packets > keep / 2   ? PACE_SHORT_NS
			: look->packets > keep / 4 ? PACE_LESS_NS
						   : PACE_LAST_NS);
	} else if (look->behind) {
		n = few(p, look, want, PACE_BUSY_NS);
	} else {
		if (want > PACE_FEW && p->less > want - PACE_FEW)
			p->less = want - PACE_FEW;
		n = want > PACE_FEW ? want - p->less : want;
	}
	p->given = n;
	return n;
}

void pace_round(struct pace *p, uint64_t ns)
{
	if (p->given > PACE_FEW && ns > PACE_ROUND_NS)
		p->less += p->given / 2;
	else if (p->less && ns < PACE_ROUND_NS / 2)
		p->less -= p->less / 8 ? p->less / 8 : 1;
	p->given = 0;
}
