/* SPDX-License-Identifier: Apache-2.0 */
/* Recovery on hostile files. The first byte says what is given for nothing: right checksums and end
 * bytes, zxids that follow one another, a good snapshot.0 in place of the bytes'. Whatever comes
 * in, a tree comes out that a second recovery of the same files makes again, or one line that says
 * why. */
#include "core/base/assert.h"
#include "core/store/recover.h"
#include "core/store/sum.h"
#include "core/store/txnlog.h"
#include "test/lib/sim_disk.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum {
	REPAIR = 1,
	NUMBER = 2,
	GOOD_SNAPSHOT = 4,
	FUZZ_LENGTH_MAX = 1 << 16,
	TREE_LIMIT = 64 << 20
};

static void say(void *ctx, enum recover_level level, const char *line)
{
	(void)ctx;
	(void)level;
	zk_assert(line[0]);
}

static void put(struct disk *d, enum disk_dir dir, const char *name, const uint8_t *p, size_t n)
{
	int file;

	zk_assert(disk_open(d, dir, name, DISK_REPLACE, &file) == ZK_EOK);
	zk_assert(disk_write(d, file, 0, p, n) == ZK_EOK);
	disk_close(d, file);
}

static void repair_log(uint8_t *p, size_t n, unsigned how)
{
	size_t at = TXNLOG_HEADER_BYTES;

	if (n >= 4)
		zk_put32(p, TXNLOG_MAGIC);
	for (uint64_t zxid = 1; n > at && n - at > TXNLOG_FRAME_BYTES; zxid++) {
		uint32_t len = zk_get32(p + at + 8);
		struct zk_span payload = {p + at + TXNLOG_HEAD_BYTES, len};

		if (len == 0 || len > n - at - TXNLOG_FRAME_BYTES)
			return;
		if (how & NUMBER && len >= TXN_HEADER_BYTES)
			zk_put64(p + at + TXNLOG_HEAD_BYTES + 12, zxid);
		zk_put64(p + at, store_adler32(STORE_ADLER32_INIT, payload));
		p[at + TXNLOG_HEAD_BYTES + len] = TXNLOG_END_BYTE;
		at += TXNLOG_FRAME_BYTES + len;
	}
}

/* The end of the nodes, and a seal over all of it. */
static void repair_snapshot(uint8_t *p, size_t n)
{
	static const uint8_t slash[] = {0, 0, 0, 1, '/'};

	if (n < 18)
		return;
	memcpy(p + n - 18, slash, 5);
	zk_put64(p + n - 13, store_adler32(STORE_ADLER32_INIT, zk_span_of(p, n - 13)));
	memcpy(p + n - 5, slash, 5);
}

struct outcome {
	enum zk_err err;
	uint64_t zxid, digest, nodes;
	uint32_t sessions;
};

static struct outcome run(struct disk *d, bool save)
{
	struct zk_mem mem, tree_mem;
	struct tree_conf tc = {.mem = &tree_mem,
			       .key = {1, 2},
			       .index_slots = 1024,
			       .changes_soft_max = 1024,
			       .digest = true};
	struct recover_conf rc = {.disk = d,
				  .mem = &mem,
				  .length_max = FUZZ_LENGTH_MAX,
				  .autocreate = true,
				  .last_zxid = true,
				  .say = say};
	struct recover_result res;
	struct outcome out;

	zk_mem_init_heap(&mem, 0);
	zk_mem_init_heap(&tree_mem, TREE_LIMIT);
	zk_assert(tree_new(&tc, &rc.tree) == ZK_EOK);
	out.err = recover_run(&rc, &res);
	out.zxid = res.zxid;
	out.digest = out.err == ZK_EOK ? tree_digest(rc.tree) : 0;
	out.nodes = res.nodes;
	out.sessions = res.sessions;
	zk_assert(out.err == ZK_EOK || (res.why[0] && !strchr(res.why, '\n')));
	if (save)
		zk_assert(recover_save(&rc, &res) == ZK_EOK);
	recover_free(&rc, &res);
	tree_free(rc.tree);
	zk_assert(mem.used_bytes == 0 && tree_mem.used_bytes == 0);
	return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct sim_disk *sim;
	struct outcome a, b;
	unsigned how;
	size_t snap = 0;
	uint8_t *copy;

	if (n < 3)
		return 0;
	how = p[0];
	if (!(how & GOOD_SNAPSHOT))
		snap = ((size_t)p[1] << 8 | p[2]) % (n - 2);
	sim = sim_disk_new(1);
	copy = malloc(n);
	memcpy(copy, p + 3, n - 3);
	if (how & REPAIR) {
		repair_snapshot(copy, snap);
		repair_log(copy + snap, n - 3 - snap, how);
	}
	if (how & GOOD_SNAPSHOT)
		(void)run(sim_disk_view(sim, 0), true);
	else
		put(sim_disk_view(sim, 0), DISK_DATA, "snapshot.0", copy, snap);
	put(sim_disk_view(sim, 0), DISK_LOG, "log.1", copy + snap, n - 3 - snap);
	a = run(sim_disk_view(sim, 0), false);
	b = run(sim_disk_view(sim, 0), false);
	zk_assert(a.err == b.err || a.err != ZK_EOK);
	if (a.err == ZK_EOK)
		zk_assert(a.zxid == b.zxid && a.digest == b.digest && a.nodes == b.nodes &&
			  a.sessions == b.sessions);
	sim_disk_free(sim);
	free(copy);
	return 0;
}
