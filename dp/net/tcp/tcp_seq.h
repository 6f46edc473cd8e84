/* SPDX-License-Identifier: Apache-2.0 */
/** Sequence numbers (RFC 9293 3.4): a struct, so that `<` does not compile. */
#ifndef ZK_TCP_SEQ_H
#define ZK_TCP_SEQ_H

#include <stdbool.h>
#include <stdint.h>

struct tcp_seq {
	uint32_t v;
};

static inline bool tcp_seq_eq(struct tcp_seq a, struct tcp_seq b)
{
	return a.v == b.v;
}

static inline bool tcp_seq_lt(struct tcp_seq a, struct tcp_seq b)
{
	return (int32_t)(a.v - b.v) < 0;
}

static inline bool tcp_seq_le(struct tcp_seq a, struct tcp_seq b)
{
	return (int32_t)(a.v - b.v) <= 0;
}

static inline struct tcp_seq tcp_seq_add(struct tcp_seq a, uint32_t n)
{
	return (struct tcp_seq){a.v + n};
}

/** How far is @p a behind @p b's place: a - b. */
static inline uint32_t tcp_seq_diff(struct tcp_seq a, struct tcp_seq b)
{
	return a.v - b.v;
}

static inline struct tcp_seq tcp_seq_max(struct tcp_seq a, struct tcp_seq b)
{
	return tcp_seq_lt(a, b) ? b : a;
}

#endif
