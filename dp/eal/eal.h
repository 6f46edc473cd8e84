/* SPDX-License-Identifier: Apache-2.0 */
/** Start and stop of DPDK's environment, and memory on huge pages. */
#ifndef ZK_EAL_EAL_H
#define ZK_EAL_EAL_H

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/mem.h"
#include "dp/port/port.h"

#include <stdbool.h>
#include <stdint.h>

enum eal_hugepages { EAL_HUGE_AUTO, EAL_HUGE_2M, EAL_HUGE_1G, EAL_HUGE_NO };

struct eal_conf {
	enum eal_hugepages hugepages; /* AUTO: 2 MiB pages when they can be had, else one line and
					 ordinary pages */
	uint32_t memory_mib;          /* for packet pools and rings */
	const char *extra_args;       /* dp.eal, split at blanks; NULL = none */
	bool pci;                     /* probe the PCI bus (only for pci: devices) */
	const struct port_spec *devices; /* virtual devices are created with the environment */
	unsigned n_devices;
	void (*log)(void *ctx,
		    const char *line); /* one line that an operator can read; never NULL */
	void *log_ctx;
};

/** Initialise. Once per process; main thread; blocks.
 *  @return ZK_EOK, or ZK_EPERM/ZK_ENOMEM/ZK_EIO with one clear line in @p why (PORT_ERR_TEXT_MAX
 * bytes). */
ZK_MUST_USE enum zk_err eal_start(const struct eal_conf *conf, char *why);

/** Undo eal_start; nothing stays behind on the file system. */
void eal_stop(void);

/** Are packets on huge pages? */
bool eal_on_hugepages(void);

/** Make the calling thread known to DPDK so that pool caches work; every polling thread, once, at
 * start. */
ZK_MUST_USE enum zk_err eal_thread_register(void);
void eal_thread_unregister(void);

/** Anonymous memory on huge pages where they can be had (transparent otherwise), zeroed; NULL =
 * none. Freed with eal_pages_free(p, n). Any thread that may block: from 2 MiB on for 5 s at most,
 * while other servers take their huge pages. */
void *eal_pages_alloc(size_t n);
void eal_pages_free(void *p, size_t n);

/** A core's memory, had before it runs: a struct zk_arena on eal_pages_alloc(). Pages that have not
 * been touched cost address space only. */
struct eal_arena {
	struct zk_arena arena; /* hand out &arena.mem */
	void *pages;
	size_t bytes;
};

/** @p limit_bytes: what users may hold; the pages are an eighth larger, for fragmentation. Main
 * thread; the arena then belongs to one thread at a time. @return ZK_EOK or ZK_ENOMEM. */
ZK_MUST_USE enum zk_err eal_arena_open(struct eal_arena *a, size_t limit_bytes);
/** Give the pages back. A zeroed or closed arena is allowed. */
void eal_arena_close(struct eal_arena *a);

/** Monotonic nanoseconds from the time-stamp counter. Any core; no system call. */
uint64_t eal_now_ns(void);

/** CPU time that the calling thread has had, ns: what the hypervisor took is not in it. A system
 * call that does not sleep, about half a microsecond. */
uint64_t eal_thread_ns(void);

/** CPU hint for a spin loop. */
void eal_pause(void);

#endif
