/* SPDX-License-Identifier: Apache-2.0 */
/** Invariants, for tests and the simulator to call after each step. */
#ifndef ZK_TCP_CHECK_H
#define ZK_TCP_CHECK_H

struct tcp;
struct tcp_conn;

/** Assert the invariants of one connection: queues, sequence space, scoreboard, budgets, timers.
 * Borrows @p c. Owner core, between calls into the stack. Bound: its packets. */
void tcp_conn_check(const struct tcp_conn *c);

/** Assert those of the instance and of every connection. Bound: everything it holds. */
void tcp_check(const struct tcp *t);

#endif
