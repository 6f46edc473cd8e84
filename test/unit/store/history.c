/* SPDX-License-Identifier: Apache-2.0 */
#include "test/unit/store/history.h"

#include "core/store/snap.h"
#include "core/store/txnlog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BIG = 1 << 20 };

static void put_file(struct disk *d, enum disk_dir dir, const char *name, const void *p, size_t n)
{
	int file;

	zk_assert(disk_open(d, dir, name, DISK_REPLACE, &file) == ZK_EOK);
	zk_assert(disk_write(d, file, 0, p, n) == ZK_EOK && disk_sync(d, file) == ZK_EOK);
	zk_assert(disk_sync_dir(d, dir) == ZK_EOK);
	disk_close(d, file);
}

struct zk_span history_txn(uint8_t *p, uint64_t who, uint64_t zxid)
{
	zk_put64(p, who);
	zk_put32(p + 8, 1);
	zk_put64(p + 12, zxid);
	zk_put64(p + 20, 1000 + zxid);
	zk_put32(p + 28, (uint32_t)ZK_OP_ERROR);
	zk_put32(p + 32, (uint32_t)ZK_NONODE);
	return zk_span_of(p, 36);
}

void history_log(struct disk *d, uint64_t who, uint64_t from, uint64_t to, size_t pad)
{
	uint8_t *buf = calloc(1, BIG), txn[64];
	struct jute_out o = jute_out_of(buf, BIG - pad);
	char name[32];

	zk_assert(buf);
	txnlog_put_header(&o);
	for (uint64_t z = from; z <= to; z++)
		txnlog_put_record(&o, history_txn(txn, who, z), NULL);
	zk_assert(!o.full);
	snprintf(name, sizeof(name), "log.%llx", (unsigned long long)from);
	put_file(d, DISK_LOG, name, buf, jute_out_len(&o) + pad);
	free(buf);
}

static size_t put_all(uint8_t *p, size_t cap, bool stream, uint64_t who, unsigned nodes)
{
	static const uint8_t acl[] = {0,   0,   0,   1, 0, 0, 0, 1,   0,   0,   0,   5,   'w', 'o',
				      'r', 'l', 'd', 0, 0, 0, 6, 'a', 'n', 'y', 'o', 'n', 'e'};
	static const char *const fixed[] = {"", "/zookeeper", "/zookeeper/config",
					    "/zookeeper/quota", "/n"};
	struct jute_out o = jute_out_of(p, cap);
	struct snap_writer w;
	bool ok;

	snap_writer_init(&w);
	if (stream)
		snap_writer_init_stream(&w);
	ok = snap_put_begin(&w, &o, 1) == ZK_EOK &&
	     snap_put_session(&w, &o, who, 30000) == ZK_EOK && snap_put_acls(&w, &o, 1) == ZK_EOK &&
	     snap_put_acl(&w, &o, 1, zk_span_of(acl, sizeof(acl))) == ZK_EOK;
	for (unsigned i = 0; ok && i < 5 + nodes; i++) {
		char path[64];
		struct snap_node n = {.acl_key = i % 3 ? SNAP_ACL_OPEN : 1, .data = {NULL, 0}};

		snprintf(path, sizeof(path), "/n/%05u", i);
		n.path = i < 5 ? zk_span_of(fixed[i], strlen(fixed[i])) : zk_span_str(path);
		if (i % 2)
			n.data = zk_span_str("some data");
		ok = snap_put_node(&w, &o, &n) == ZK_EOK;
	}
	ok = ok && snap_put_seal(&w, &o) == ZK_EOK;
	zk_assert(ok);
	return jute_out_len(&o);
}

size_t history_stream(uint8_t *p, uint64_t who, unsigned nodes)
{
	size_t n = put_all(p, HISTORY_STREAM_MAX - 14, true, who, nodes);

	zk_put32(p + n, 10);
	memcpy(p + n + 4, "BenWasHere", 10);
	return n + 14;
}

void history_snapshot(struct disk *d, uint64_t who, uint64_t zxid, unsigned nodes)
{
	uint8_t *p = malloc(HISTORY_STREAM_MAX);
	char name[32];

	zk_assert(p);
	snprintf(name, sizeof(name), "snapshot.%llx", (unsigned long long)zxid);
	put_file(d, DISK_DATA, name, p, put_all(p, HISTORY_STREAM_MAX, false, who, nodes));
	free(p);
}

bool history_exists(struct disk *d, enum disk_dir dir, const char *name)
{
	int file;

	if (disk_open(d, dir, name, DISK_READ, &file) != ZK_EOK)
		return false;
	disk_close(d, file);
	return true;
}

/* ---- recovery -------------------------------------------------------------------------------- */

static void say(void *ctx, enum recover_level level, const char *line)
{
	(void)ctx;
	(void)level;
	(void)line;
}

static void replayed(void *ctx, const struct txn_record *txn, struct zk_span payload)
{
	struct history_found *f = ctx;

	(void)payload;
	f->txns++;
	if (f->who == 0 || f->who == txn->header.client)
		f->who = txn->header.client;
	else
		f->who = UINT64_MAX;
}

void history_recover(struct disk *d, struct history_found *out)
{
	struct zk_mem mem, tree_mem;
	struct tree_conf tc = {.mem = &tree_mem,
			       .key = {1, 2},
			       .index_slots = 1 << 10,
			       .changes_soft_max = 1 << 12};
	struct recover_result res;
	struct recover_conf rc = {.disk = d,
				  .mem = &mem,
				  .length_max = HISTORY_LENGTH_MAX,
				  .autocreate = true,
				  .ctx = out,
				  .say = say,
				  .replayed = replayed};

	*out = (struct history_found){0};
	zk_mem_init_heap(&mem, 0);
	zk_mem_init_heap(&tree_mem, 0);
	zk_assert(tree_new(&tc, &rc.tree) == ZK_EOK);
	out->err = recover_run(&rc, &res);
	out->zxid = res.zxid;
	out->snapshot = res.snapshot_zxid;
	snprintf(out->why, sizeof(out->why), "%s", res.why);
	if (out->err == ZK_EOK) {
		zk_assert(!res.snapshot[0] || res.sessions == 1);
		if (res.sessions && out->who == 0)
			out->who = res.session[0].id;
		if (res.sessions && out->who != res.session[0].id)
			out->who = 0;
	}
	recover_free(&rc, &res);
	tree_free(rc.tree);
	zk_assert(mem.used_bytes == 0 && tree_mem.used_bytes == 0);
}
