/* SPDX-License-Identifier: Apache-2.0 */
/** Figures of one client core, and their sums for srvr, stat and mntr.
 *
 * The owner core counts in plain fields and publishes once per round (srv_end); any thread reads
 * the published ones.
 */
#ifndef ZK_SERVER_STATS_H
#define ZK_SERVER_STATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* name, what it counts */
#define SRV_STATS_MAP(X)                                                                           \
	X(packets_received, "frames from clients")                                                 \
	X(packets_sent, "replies and notifications")                                               \
	X(bytes_received, "bytes of frames")                                                       \
	X(conns, "connections now")                                                                \
	X(outstanding, "requests at the leader now")                                               \
	X(local_sessions, "sessions of read-only mode now")                                        \
	X(latency_count, "requests answered")                                                      \
	X(latency_sum_ms, "their latency")                                                         \
	X(latency_min_ms, "shortest; meaningless while latency_count is 0")                        \
	X(latency_max_ms, "longest")                                                               \
	X(response_last_bytes, "last response")                                                    \
	X(response_min_bytes, "smallest response; meaningless before the first")                   \
	X(response_max_bytes, "largest response")                                                  \
	X(responses, "responses that the three above are about")                                   \
	X(response_bytes, "their bytes")                                                           \
	X(auth_failed, "refused auth packets")                                                     \
	X(connect_requests, "ConnectRequests")                                                     \
	X(revalidates, "of them for an existing session")                                          \
	X(conns_refused, "connections turned away at srv_open()")                                  \
	X(conns_lost, "connections whose client went away first")                                  \
	X(conns_dropped, "connections this core closed on its own account")                        \
	X(conns_parted, "of them because the server has another role now")                         \
	X(conns_malformed, "of them for a frame no server accepts")                                \
	X(conns_idle, "of them for silence")                                                       \
	X(conns_overrun, "of them because unread output went over its limit")                      \
	X(memory_refused, "of them because there was no memory")                                   \
	X(watches_refused, "watches not set for want of memory; closes the connection")            \
	X(events, "watch notifications queued")                                                    \
	X(watch_bytes, "their bytes")                                                              \
	X(stale_replies, "answers for connections that had gone")                                  \
	X(events_hidden, "watch notifications not sent: no READ")                                  \
	X(events_paused, "rounds that left watchers of a trigger for the next")                    \
	X(events_blocked, "rounds that left changes unread: too many such triggers")               \
	X(watch_data, "entries of the data table")                                                 \
	X(watch_child, "entries of the child table")                                               \
	X(watch_paths, "distinct watched paths")                                                   \
	X(ring_full, "parser stops: ring to the leader full")                                      \
	X(throttled, "parser stops: outstanding limit")                                            \
	X(parked, "parser stops: request throttle")                                                \
	X(throttled_ops, "requests answered -127: too long in front of the request throttle")      \
	X(stale_requests, "requests of a connection that had gone or of long ago")                 \
	X(stale_dropped, "of them dropped, with their connection")                                 \
	X(large_refused, "connections closed for a large request beside too many others")          \
	X(conns_throttled, "connections closed by the connection throttle")                        \
	X(out_full, "parser stops: unread output")                                                 \
	X(behind_write, "parser stops: a read behind the connection's own write")                  \
	X(gathers_late, "a four-letter word had to wait for others")                               \
	X(lists_paused, "long requests continued in a later round")                                \
	X(bodies_apart, "long requests handed to the leader without a copy")                       \
	X(memory_bytes, "memory of the core in use")                                               \
	X(memory_limit_bytes, "and what there is")

/** One core's, published. Relaxed, single writer: sums may be a round apart. */
struct srv_stats {
#define SRV_STATS_ATOMIC(name, text) _Atomic uint64_t name;
	SRV_STATS_MAP(SRV_STATS_ATOMIC)
#undef SRV_STATS_ATOMIC
};

/** The same numbers, plain: the owner's own, or a sum. */
struct srv_counts {
#define SRV_STATS_PLAIN(name, text) uint64_t name;
	SRV_STATS_MAP(SRV_STATS_PLAIN)
#undef SRV_STATS_PLAIN
};

/** Owner core: make @p from readable by others. */
void stats_publish(struct srv_stats *to, const struct srv_counts *from);

/** Any thread: add a core's published figures to @p sum (min and max are merged, not added). */
void stats_add(struct srv_counts *sum, const struct srv_stats *from);

/** ServerStats.reset(). Owner core. */
void stats_restart(struct srv_counts *c);

/** Latency of one answered request. Owner core. */
static inline void stats_latency(struct srv_counts *c, uint64_t ms)
{
	if (c->latency_count == 0 || ms < c->latency_min_ms)
		c->latency_min_ms = ms;
	if (ms > c->latency_max_ms)
		c->latency_max_ms = ms;
	c->latency_sum_ms += ms;
	c->latency_count++;
}

/** Size of one response. Owner core. */
static inline void stats_response(struct srv_counts *c, uint64_t bytes)
{
	if (c->responses == 0 || bytes < c->response_min_bytes)
		c->response_min_bytes = bytes;
	if (bytes > c->response_max_bytes)
		c->response_max_bytes = bytes;
	c->response_last_bytes = bytes;
	c->responses++;
}

enum { STATS_AVG_TEXT_BYTES = 40 };

/** sum/count as Java prints AvgMinMaxCounter.getAvg(): half up to four places, "0.0", "4.8",
 *  "1.2346", "3.0E-4". */
void stats_avg_text(uint64_t sum, uint64_t count, char out[STATS_AVG_TEXT_BYTES]);

#endif
