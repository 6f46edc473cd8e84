/* SPDX-License-Identifier: Apache-2.0 */
/** A disk in memory that loses what core/store/disk.h allows it to lose, from one seed.
 *
 * Sectors of 512 bytes that no sync has covered are, after a crash, old, new or torn (but not by a
 * single bit, which is what a flipped one looks like: sim_disk_flip()); a size that no sync has
 * covered is old, new or between; of the names that no sync of the directory has covered a prefix,
 * in order, is there. A failed sync keeps any part and forgets the rest: the next one says nothing
 * about it. Submissions end in any order and are half done by a crash.
 */
#ifndef TEST_SIM_DISK_H
#define TEST_SIM_DISK_H

#include "core/store/disk.h"

enum {
	SIM_SECTOR = 512,
	SIM_FILES = 256,
	SIM_OPEN = 64,
	SIM_VIEWS = 4,
	SIM_NAME_OPS = 256,
	SIM_NAME_BYTES = 64,
};

/** What a call is, for counting and for faults. */
enum sim_call {
	SIM_LIST,
	SIM_OPEN_FILE,
	SIM_SIZE,
	SIM_READ,
	SIM_WRITE,
	SIM_ALLOCATE,
	SIM_TRUNCATE,
	SIM_SYNC,
	SIM_RENAME,
	SIM_UNLINK,
	SIM_SYNC_DIR,
	SIM_CALLS
};

struct sim_inode {
	uint8_t *now, *safe; /* contents as read; as left by a crash, where not dirty */
	uint8_t *dirty;      /* per sector */
	size_t cap;          /* bytes of each of the three, in whole sectors */
	uint64_t shrunk;     /* it was cut, and no sync has covered that */
	size_t low, high;    /* dirty sectors lie in low..high-1 */
	uint64_t size, safe_size;
	unsigned links; /* names and open descriptors; 0 = free */
	bool blocks;    /* DISK_BLOCKS */
};

struct sim_name {
	char name[SIM_NAME_BYTES]; /* "" = free */
	enum disk_dir dir;
	int inode;
};

struct sim_name_op {
	enum disk_dir dir;
	char from[SIM_NAME_BYTES], to[SIM_NAME_BYTES]; /* "" = made or unlinked */
	int inode;
};

struct sim_pending {
	bool used, sync;
	int inode;
	uint64_t tag, at, size;
	uint8_t *copy; /* a write's bytes; of a sync the sectors from `first` on, as they were */
	size_t first;
	uint8_t *dirty;
	size_t n;
	enum zk_err err;
	unsigned age, ripe; /* ends when age reaches ripe */
	struct disk *view;
};

struct sim_disk {
	uint64_t random;
	uint64_t capacity;  /* bytes; 0 = no end */
	unsigned slow_sync; /* extra reaps that a sync takes */
	bool lie;           /* syncs say yes and do nothing */
	bool hide;          /* submitted syncs say yes when they have failed */
	bool short_writes;  /* submitted writes may write less than asked */
	/* The fault: call number fault_at of kind fault_call (SIM_CALLS = any), counted from 1, and
	 * the fault_more calls after it. ZK_EOK: a crash instead; `crashed` is set. */
	enum sim_call fault_call;
	uint64_t fault_at, fault_more;
	enum zk_err fault_err;
	uint64_t calls[SIM_CALLS + 1]; /* made; the last is the sum */
	uint64_t faults;
	bool crashed; /* every call fails until sim_disk_crash() */
	struct sim_inode inode[SIM_FILES];
	struct sim_name now[SIM_FILES], safe[SIM_FILES];
	struct sim_name_op op[SIM_NAME_OPS];
	unsigned ops;
	int open[SIM_OPEN]; /* inode + 1, 0 = closed */
	struct sim_pending pending[DISK_QUEUE_MAX];
	struct disk view[SIM_VIEWS];
};

/** An empty disk; the caller's, for sim_disk_free(). */
struct sim_disk *sim_disk_new(uint64_t seed);
void sim_disk_free(struct sim_disk *s);

/** One thread's view; @p i < SIM_VIEWS. Only view 0 may have submissions under way. */
struct disk *sim_disk_view(struct sim_disk *s, unsigned i);

/** The power fails and comes back: unsynced things take their chances, descriptors and submissions
 * are gone, faults are over. */
void sim_disk_crash(struct sim_disk *s);

/** As a kill -9: nothing unsynced is lost, descriptors and submissions are gone. */
void sim_disk_kill(struct sim_disk *s);

/** Flip a random bit of a random file in @p dir, in what a crash would leave and what is read.
 * @return false: there is no byte. */
bool sim_disk_flip(struct sim_disk *s, enum disk_dir dir);

/** The next number of its own sequence, below @p n. */
uint64_t sim_disk_random(struct sim_disk *s, uint64_t n);

#endif
