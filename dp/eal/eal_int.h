/* SPDX-License-Identifier: Apache-2.0 */
/** What dp/eal shows to dp/port and dp/tel only. */
#ifndef ZK_EAL_INT_H
#define ZK_EAL_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** One line to the log callback of eal_conf; dropped before eal_start(). Threads that may block. */
void eal_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** DPDK's own chatter goes nowhere but here: the last line it wrote, which is usually the cause.
 * Install before rte_eal_init(). */
void eal_chatter_init(void);
void eal_chatter_fini(void);

/** Forget the last line, so that an old one is not taken for a new failure's cause. */
void eal_chatter_reset(void);

/** Append ": LINE" to the zero-terminated text in @p why (@p n bytes in all), if there is a line.
 */
void eal_chatter_append(char *why, size_t n);

/** One more than the highest DPDK thread number given out so far: bounds walks over pool caches. */
unsigned eal_lcores_high(void);

/** Calibrate the clock: about 20 ms. */
void eal_clock_init(void);

/** Two servers that start at once must not count the same free pages: hold this from the counting
 * until DPDK has taken them, and when taking others. It excludes processes that share a PID
 * namespace, whatever their network namespace. Waits at most 5 s, then goes on without; @return a
 * descriptor for eal_huge_unlock(), -1 when there is nothing to lock. */
int eal_huge_lock(void);
void eal_huge_unlock(int fd);

/** Make sure that @p need_mib of free 2 MiB pages exist, raising vm.nr_hugepages only as far as
 * needed. @return false with the reason in @p why (@p n bytes). */
bool eal_huge_reserve_2m(uint32_t need_mib, char *why, size_t n);

/** Same for 1 GiB pages. */
bool eal_huge_reserve_1g(uint32_t need_mib, char *why, size_t n);

/** May eal_pages_alloc() use MAP_HUGETLB? Set once by eal_start(). */
void eal_pages_huge_allow(bool allow);

#endif
