/* SPDX-License-Identifier: Apache-2.0 */
/* The stream of a leader's snapshot, hostile. The first byte is the size of the pieces: what comes
 * out must not depend on it. What was taken whole is a file that reads well. */
#include "core/store/snap_check.h"
#include "core/store/snap_receive.h"
#include "test/lib/sim_disk.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { LENGTH_MAX = 1 << 10, ZXID = 5, MEMORY_MAX = 2 << 20 };

struct outcome {
	enum zk_err err;
	size_t used;
	uint64_t nodes;
	char why[SNAP_RECEIVE_WHY_MAX];
};

static void look(struct disk *d)
{
	struct zk_mem mem;
	struct snap_plain plain;
	struct snap_source source;
	char why[SNAP_SOURCE_WHY_MAX];

	zk_mem_init_heap(&mem, 0);
	zk_assert(snap_plain_open(&plain, d, "snapshot.5", &source) == ZK_EOK);
	zk_assert(snap_check_all(&source, LENGTH_MAX, &mem, why) == ZK_EOK);
	snap_plain_close(&plain);
	zk_assert(mem.used_bytes == 0);
}

static void run(const uint8_t *p, size_t n, size_t piece, struct outcome *out)
{
	struct sim_disk *s = sim_disk_new(1);
	struct zk_mem mem;
	const struct snap_receive_conf c = {
		.disk = sim_disk_view(s, 0), .mem = &mem, .zxid = ZXID, .length_max = LENGTH_MAX};
	struct snap_receive r;

	*out = (struct outcome){.err = ZK_EAGAIN};
	zk_mem_init_heap(&mem, MEMORY_MAX);
	zk_assert(snap_receive_begin(&r, &c) == ZK_EOK);
	while (out->err == ZK_EAGAIN && out->used < n) {
		size_t some = n - out->used < piece ? n - out->used : piece, used;
		uint8_t *copy = malloc(some);

		zk_assert(copy);
		memcpy(copy, p + out->used, some);
		out->err = snap_receive_put(&r, zk_span_of(copy, some), &used);
		zk_assert(used <= some && (out->err != ZK_EAGAIN || used == some));
		free(copy);
		out->used += used;
	}
	out->nodes = r.nodes;
	memcpy(out->why, r.why, sizeof(out->why));
	if (out->err == ZK_EOK) {
		zk_assert(snap_receive_commit(&r) == ZK_EOK);
		look(sim_disk_view(s, 0));
	}
	snap_receive_end(&r);
	zk_assert(mem.used_bytes == 0);
	sim_disk_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct outcome whole, pieces;

	if (n == 0)
		return 0;
	run(p + 1, n - 1, n, &whole);
	run(p + 1, n - 1, 1 + p[0], &pieces);
	zk_assert(whole.err == pieces.err && whole.nodes == pieces.nodes);
	zk_assert(whole.err == ZK_EAGAIN || whole.err == ZK_EOK || whole.err == ZK_EINVAL);
	zk_assert(strcmp(whole.why, pieces.why) == 0);
	if (whole.err != ZK_EINVAL)
		zk_assert(whole.used == pieces.used);
	return 0;
}
