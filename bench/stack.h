/* SPDX-License-Identifier: Apache-2.0 */
/** What every mode of zokor-bench stands on: DPDK, one port, one network stack, one thread. */
#ifndef ZK_BENCH_STACK_H
#define ZK_BENCH_STACK_H

#include "dp/net/net.h"
#include "dp/net/tcp/tcp.h"
#include "dp/port/port.h"

#include <stdbool.h>
#include <stdint.h>

struct bench_stack_conf {
	const char *device;  /* as dp.device */
	uint32_t ip, prefix; /* own address; 0 = no stack, frames only */
	unsigned stacks;     /* with addresses from ip on; 0 = one */
	uint32_t conns_max;  /* of each stack; 0 = 8192 */
	const char *eal_args;
};

enum { BENCH_STACKS_MAX = 4 };

struct bench_stack {
	struct port *port;
	struct pkt_pool *pool;
	struct zk_mem mem;
	struct net *net; /* the first, or the only, of these */
	struct tcp *tcp;
	struct net *nets[BENCH_STACKS_MAX]; /* more than one address has more ports */
	unsigned nets_n, turn;
	uint32_t first_ip;
	uint64_t now_ns; /* read after the last receive */
	struct pkt *out[PORT_BURST_MAX];
	unsigned out_n, out_at;
	uint64_t tx_full; /* rounds that ended with frames the device did not take */
};

/** Start DPDK and open the device; a memif client waits up to 10 s for its server and the link.
 *  @return false after one line on standard error. Main thread. */
bool bench_stack_open(struct bench_stack *s, const struct bench_stack_conf *conf);

/** @return false, and a line on standard error, when packets are missing. */
bool bench_stack_close(struct bench_stack *s);

/** One burst in: receive, give it to the stack, read the clock. @return frames received. */
unsigned bench_stack_in(struct bench_stack *s);

/** End of the round: timers, acknowledgements, and everything out that the device takes. */
void bench_stack_out(struct bench_stack *s);

/** Create @p file (NULL: nothing to do), then wait without polling until the other end is gone, at
 * most 60 s. DPDK's memif driver unmaps its rings in a thread of its own when the peer leaves, even
 * under a poller that is just reading them: so whoever runs both ends lets the server go first.
 * @return false when the file could not be made. */
bool bench_linger(struct bench_stack *s, const char *file);

/** Set by SIGINT and SIGTERM. */
bool bench_stopped(void);
void bench_stop_on_signals(void);

#endif
