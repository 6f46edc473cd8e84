/* SPDX-License-Identifier: Apache-2.0 */
/** The write-ahead log: transactions in zxid order become segments of the log directory, and how
 * far they are durable is known exactly (spec/disk-format.md section 2; FileTxnLog, FilePadding,
 * SyncRequestProcessor). Pure: files, time and memory come in.
 *
 * One round of the thread that owns it: wal_put() until there is nothing left or no room, then
 * wal_step(). Bytes collect in a few buffers, which are written when full. Whole blocks are written
 * (DISK_BLOCKS), so that nobody copies them once more and a write that has ended is on the device:
 * the last block of a batch ends in zeros, as the file has them there, and comes again, longer, at
 * the head of the next batch; never are two writes of one block under way. A batch is closed when
 * the input is dry (or has become large): the rest is written, and when all writes have ended one
 * sync begins; meanwhile the next batch collects. A transaction is durable when the sync that was
 * begun after its last byte was written has returned without error, and all before it are.
 *
 * A segment is log.<zxid of its first transaction>. A new one is begun for the first transaction
 * after wal_init(), wal_retry() or a roll. It gets its name when its header is durable, and its
 * name is durable before a record is written into it; everything in the one before is durable by
 * then. So a record that a reader finds has nothing missing before it, whichever unsynced bytes a
 * crash takes. The one before is cut at its end then, and so is the last one by wal_fini(): Apache
 * leaves their padding.
 *
 * After a failure:
 *  - No room (ZK_EFULL from open, allocate, write): WAL_FULL. wal_retry() cuts the segment behind
 *    its last durable record, syncs that, and the transactions that were not durable are put again,
 *    into a new segment. So no reader meets half of one, or one twice.
 *  - Anything else, and whatever a sync returns: WAL_FAILED, for good. Nothing is written any more:
 *    what a failed sync left behind is unknown. A restart reads what is there.
 */
#ifndef ZK_STORE_WAL_H
#define ZK_STORE_WAL_H

#include "core/base/span.h"
#include "core/mem.h"
#include "core/store/disk.h"
#include "core/store/name.h"

enum {
	WAL_BUFS = 6,
	WAL_BUF_BYTES = 256 << 10,
	WAL_BATCH_BYTES = 4 << 20,  /* a batch is closed at this size at the latest */
	WAL_ALONE_BYTES = 16 << 10, /* collecting behind a batch up to this is not worth a thread */
};
#define WAL_PREALLOC_DEFAULT (UINT64_C(65536) << 10)
/** Of a segment that is not ready yet. No reader takes it for a log; it is replaced when found. */
#define WAL_NEW_NAME "new.log"

struct wal_conf {
	struct disk *disk;  /* borrowed; nobody else submits to it */
	struct zk_mem *mem; /* borrowed */
	uint64_t (*now_ns)(void *ctx);
	void *clock;
	uint64_t prealloc_bytes; /* preAllocSize; 0 = none */
	uint64_t size_limit;     /* txnLogSizeLimitInKb; 0 = none */
	uint64_t slow_ns;        /* fsync.warningthresholdms */
	bool no_sync;            /* forceSync=no: written counts as durable */
};

enum wal_state { WAL_GOOD, WAL_FULL, WAL_FAILED };

/** The call that failed, for messages. */
struct wal_fault {
	const char *call; /* "open", "allocate", ...; static */
	char name[STORE_NAME_MAX];
	uint64_t at; /* offset, where there is one */
	enum zk_err err;
	int os_error;
};

struct wal_stats {
	uint64_t txns, bytes, batches, syncs, segments, fulls;
	uint64_t slow_syncs; /* longer than slow_ns */
	uint64_t trimmed_bytes;
	uint64_t sync_ns, sync_max_ns, sync_sum_ns;
};

struct wal_buf {
	uint8_t *p;  /* WAL_BUF_BYTES, at a multiple of DISK_BLOCK_BYTES, as is `at` */
	uint64_t at; /* of its first byte in the segment */
	size_t n;    /* bytes in it, the beginning of its first block included */
	size_t done; /* written, of n in whole blocks */
	bool sealed; /* takes no more bytes */
	bool under_way;
};

enum wal_phase {
	WAL_COLLECT, /* no sync under way; only full buffers are written */
	WAL_FLUSH,   /* the batch is closed: its buffers are being written, no others */
	WAL_SYNC,    /* ... and synced, while full buffers of the next are written */
};

struct wal {
	struct wal_conf conf;
	uint8_t *memory; /* of all buffers */
	struct wal_buf buf[WAL_BUFS];
	unsigned first, used; /* ring of buffers: first..first+used-1, the last one takes bytes */
	unsigned under_way;   /* submissions */
	enum wal_state state;
	enum wal_phase phase;
	bool open, roll; /* there is a segment; the next transaction begins another */
	int file;
	char name[STORE_NAME_MAX];
	uint64_t size; /* of the file, padding included */
	uint64_t end;  /* where the next byte goes */
	size_t part;   /* bytes of the record at hand that are in buffers already */
	uint32_t sum;  /* its checksum, while part != 0 */
	/* Ends of records: put into buffers, in the batch being flushed or synced, durable. */
	struct wal_mark {
		uint64_t zxid, at;
	} put, batch, durable;
	unsigned batch_bufs; /* buffers of the batch still to be written */
	uint64_t sync_began_ns;
	struct wal_fault fault;
	struct wal_stats stats;
};

/** Begin behind @p last_zxid, which is what recovery has found. No file is touched before the first
 * transaction. @return ZK_EOK, ZK_ENOMEM. Owner's thread, as all below. */
ZK_MUST_USE enum zk_err wal_init(struct wal *w, const struct wal_conf *conf, uint64_t last_zxid);

/** Let go of the memory and close the segment. Nothing may be under way. */
void wal_fini(struct wal *w);

/** Take a transaction (header, body, digest if it has one; borrowed for the call) behind all
 * others. May open a segment, which blocks.
 * @return ZK_EOK; ZK_EAGAIN: no room now, offer the same one again after wal_step() (a part of it
 * may have been taken); ZK_EIO: the state is not WAL_GOOD. Bound: linear. */
ZK_MUST_USE enum zk_err wal_put(struct wal *w, uint64_t zxid, struct zk_span txn);

/** Go on with writes and syncs: take what has ended, submit what can be.
 * @param dry  there is no transaction to put: close the batch as soon as a sync can follow.
 * @return whether anything has ended or was submitted. May block in the disk's calls. */
bool wal_step(struct wal *w, bool dry);

/** The next transaction begins a new segment. */
void wal_roll(struct wal *w);

/** After WAL_FULL, when there may be room again and nothing is under way (w->under_way == 0). Then
 * put everything behind wal_durable() again. Blocks. @return ZK_EOK: the state is WAL_GOOD;
 * otherwise the error, and the state WAL_FULL or WAL_FAILED. */
ZK_MUST_USE enum zk_err wal_retry(struct wal *w);

/** Everything up to this zxid is durable. */
static inline uint64_t wal_durable(const struct wal *w)
{
	return w->durable.zxid;
}

#endif
