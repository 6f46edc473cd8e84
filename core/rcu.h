/* SPDX-License-Identifier: Apache-2.0 */
/** Grace periods, on liburcu's qsbr flavour: the only file that includes it.
 *
 * A polling thread registers once, announces one quiescent point per round on every path, and goes
 * offline around each wait over 100 us. Between two announcements it may hold pointers into the
 * tree. Nobody calls zk_rcu_synchronize() on a polling thread.
 */
#ifndef ZK_RCU_H
#define ZK_RCU_H

#include <urcu-qsbr.h>

/** Become a reader, online. Every polling thread, once, before its first look at the tree. */
static inline void zk_rcu_register(void)
{
	urcu_qsbr_register_thread();
}

/** Stop being a reader. The same thread, before it ends. */
static inline void zk_rcu_unregister(void)
{
	urcu_qsbr_unregister_thread();
}

/** "I hold nothing now." Registered and online. Bound: constant, but for a wake-up of one waiter.
 */
static inline void zk_rcu_quiescent(void)
{
	urcu_qsbr_quiescent_state();
}

/** Hold nothing until zk_rcu_online(); grace periods do not wait for this thread meanwhile. */
static inline void zk_rcu_offline(void)
{
	urcu_qsbr_thread_offline();
}

static inline void zk_rcu_online(void)
{
	urcu_qsbr_thread_online();
}

/** Wait until every online reader has passed a quiescent point. Blocks; the reclaimer thread and,
 * when the cores have stopped, the main thread. */
static inline void zk_rcu_synchronize(void)
{
	urcu_qsbr_synchronize_rcu();
}

#endif
