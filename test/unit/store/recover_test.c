/* SPDX-License-Identifier: Apache-2.0 */
/* Recovery on a disk in memory: what a server leaves, whole and damaged. */
#include "core/store/recover.h"
#include "core/store/snap_file.h"
#include "core/store/txnlog.h"
#include "test/lib/lead.h"
#include "test/lib/sim_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILE_MAX = 1 << 20, TXNS = 60 };

/* A disk, and a server whose log goes onto it. */
struct bed {
	struct sim_disk *sim;
	struct disk *disk;
	struct lead *d;
	uint64_t session;
	/* of the recovery */
	struct zk_mem mem, tree_mem;
	struct tree *tree;
	struct recover_conf conf;
	struct recover_result res;
	char said[4096];
	unsigned progressed, replayed;
};

static void say(void *ctx, enum recover_level level, const char *line)
{
	struct bed *b = ctx;
	size_t n = strlen(b->said);

	(void)level;
	snprintf(b->said + n, sizeof(b->said) - n, "%s\n", line);
}

static void progress(void *ctx, const struct recover_progress *p)
{
	struct bed *b = ctx;

	assert_non_null(p->file);
	b->progressed++;
}

static void replayed(void *ctx, const struct txn_record *txn, struct zk_span payload)
{
	struct bed *b = ctx;

	assert_true(payload.n >= txn->bytes.n);
	b->replayed++;
}

static void tree_up(struct bed *b, size_t limit)
{
	struct tree_conf tc = {.mem = &b->tree_mem,
			       .key = {1, 2},
			       .index_slots = 1 << 10,
			       .changes_soft_max = 1 << 16,
			       .digest = true};

	zk_mem_init_heap(&b->tree_mem, limit);
	assert_int_equal(tree_new(&tc, &b->tree), ZK_EOK);
	b->conf = (struct recover_conf){.disk = b->disk,
					.tree = b->tree,
					.mem = &b->mem,
					.length_max = 2 << 20,
					.autocreate = true,
					.last_zxid = true,
					.ctx = b,
					.say = say,
					.progress = progress,
					.replayed = replayed};
	b->said[0] = 0;
	b->replayed = 0;
}

static void tree_down(struct bed *b)
{
	recover_free(&b->conf, &b->res);
	tree_free(b->tree);
	b->tree = NULL;
	assert_int_equal(b->mem.used_bytes, 0);
	assert_int_equal(b->tree_mem.used_bytes, 0);
}

/* Nodes of all kinds, two sessions, ephemerals, errors, a failed multi; zxids 1 to TXNS and some.
 */
static void history(struct bed *b)
{
	struct lead *d = b->d;
	static struct req_multi m;
	char path[32];

	b->session = lead_session(d, 0, 0, 10000);
	(void)lead_session(d, 0, 1, 20000);
	(void)lead_err(d, b->session, ZK_OP_CREATE, req_create("/a", "x", NULL, 0));
	(void)lead_err(d, b->session, ZK_OP_CREATE, req_create("/a", "x", NULL, 0));
	(void)lead_err(d, b->session, ZK_OP_CREATE, req_create("/e", "x", "31 ip 127.0.0.1", 1));
	(void)lead_err(d, b->session, ZK_OP_CREATE_CONTAINER, req_create("/c", NULL, NULL, 4));
	m.n = 0;
	multi_op(&m, ZK_OP_CREATE, req_create("/m", "", NULL, 0));
	multi_op(&m, ZK_OP_CHECK, req_version("/m", 9));
	(void)lead_err(d, b->session, ZK_OP_MULTI, multi_end(&m));
	while (d->log_n < TXNS) {
		snprintf(path, sizeof(path), "/a/%zu", d->log_n);
		(void)lead_err(d, b->session, ZK_OP_CREATE, req_create(path, "some data", NULL, 0));
		if (d->log_n % 4 == 0)
			(void)lead_err(d, b->session, ZK_OP_DELETE, req_version(path, -1));
		if (d->log_n % 5 == 0)
			(void)lead_err(d, b->session, ZK_OP_SET_DATA, req_set("/a", path, -1));
	}
}

static int up(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));

	b->sim = sim_disk_new(1);
	b->disk = sim_disk_view(b->sim, 0);
	zk_mem_init_heap(&b->mem, 0);
	b->d = lead_open(&(struct lead_opt){.digest = true, .extended_types = true});
	history(b);
	*state = b;
	return 0;
}

static int down(void **state)
{
	struct bed *b = *state;

	if (b->tree)
		tree_down(b);
	lead_close(b->d);
	sim_disk_free(b->sim);
	free(b);
	return 0;
}

/* ---- files ------------------------------------------------------------------------------- */

static void put_file(struct bed *b, enum disk_dir dir, const char *name, const void *p, size_t n)
{
	int file;

	assert_int_equal(disk_open(b->disk, dir, name, DISK_REPLACE, &file), ZK_EOK);
	assert_int_equal(disk_write(b->disk, file, 0, p, n), ZK_EOK);
	assert_int_equal(disk_sync(b->disk, file), ZK_EOK);
	assert_int_equal(disk_sync_dir(b->disk, dir), ZK_EOK);
	disk_close(b->disk, file);
}

static size_t get_file(struct bed *b, enum disk_dir dir, const char *name, uint8_t *p)
{
	size_t got = 0;
	int file;

	assert_int_equal(disk_open(b->disk, dir, name, DISK_READ, &file), ZK_EOK);
	assert_int_equal(disk_read(b->disk, file, 0, p, FILE_MAX, &got), ZK_EOK);
	disk_close(b->disk, file);
	return got;
}

static bool exists(struct bed *b, enum disk_dir dir, const char *name)
{
	int file;

	if (disk_open(b->disk, dir, name, DISK_READ, &file) != ZK_EOK)
		return false;
	disk_close(b->disk, file);
	return true;
}

/* log.<from> with transactions from..to of the server and @p pad zeros; at[i]: where record i of
 * the log begins. */
static size_t put_log(struct bed *b, uint64_t from, uint64_t to, size_t pad, size_t *at)
{
	static uint8_t buf[FILE_MAX];
	struct jute_out o = jute_out_of(buf, sizeof(buf) - pad);
	char name[32];

	txnlog_put_header(&o);
	for (uint64_t z = from; z <= to; z++) {
		const struct lead_txn *t = &b->d->log[z - 1];

		if (at)
			at[z] = jute_out_len(&o);
		txnlog_put_record(&o, zk_span_of(t->p, t->n), NULL);
	}
	assert_false(o.full);
	memset(o.p, 0, pad);
	snprintf(name, sizeof(name), "log.%llx", (unsigned long long)from);
	put_file(b, DISK_LOG, name, buf, jute_out_len(&o) + pad);
	return jute_out_len(&o);
}

/* snapshot.<zxid> of the server's state then. */
static void put_snapshot(struct bed *b, uint64_t zxid)
{
	if (b->tree)
		tree_down(b);
	tree_up(b, 0);
	assert_int_equal(recover_run(&b->conf, &b->res), ZK_EOK);
	assert_int_equal(b->res.zxid, zxid);
	assert_int_equal(recover_save(&b->conf, &b->res), ZK_EOK);
	tree_down(b);
}

/* snapshot.0, as every directory begins. */
static void put_first(struct bed *b)
{
	put_snapshot(b, 0);
}

static enum zk_err run(struct bed *b)
{
	if (b->tree)
		tree_down(b);
	tree_up(b, 0);
	return recover_run(&b->conf, &b->res);
}

static void same_as_server(struct bed *b)
{
	assert_true(b->res.zxid == tree_last_zxid(b->d->tree));
	assert_true(tree_digest(b->tree) == tree_digest(b->d->tree));
	assert_int_equal(b->res.digest_mismatches, 0);
	assert_int_equal(b->res.sessions, 2);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(b->res.session[i].timeout_ms,
				 b->res.session[i].id == b->session ? 10000 : 20000);
}

static void refused(struct bed *b, enum zk_err want, const char *text)
{
	enum zk_err err = run(b);

	if (err != want || !strstr(b->res.why, text))
		fail_msg("%s: \"%s\", wanted %s: \"%s\"", zk_err_text(err), b->res.why,
			 zk_err_text(want), text);
	assert_null(strchr(b->res.why, '\n'));
}

/* ---- tests ------------------------------------------------------------------------------- */

static void first_start(void **state)
{
	struct bed *b = *state;
	static uint8_t buf[FILE_MAX];

	assert_int_equal(run(b), ZK_EOK);
	assert_true(b->res.empty && b->res.zxid == 0 && b->res.nodes == 4);
	assert_int_equal(recover_save(&b->conf, &b->res), ZK_EOK);
	/* byte for byte Apache's, spec/disk-format.md section 11 */
	assert_int_equal(get_file(b, DISK_DATA, "snapshot.0", buf), 478);
	sim_disk_crash(b->sim);
	assert_int_equal(run(b), ZK_EOK);
	assert_false(b->res.empty);
	assert_string_equal(b->res.snapshot, "snapshot.0");
	assert_int_equal(b->res.txns, 0);
}

static void nothing_there(void **state)
{
	struct bed *b = *state;

	tree_up(b, 0);
	b->conf.autocreate = false;
	assert_int_equal(recover_run(&b->conf, &b->res), ZK_EOK);
	assert_true(b->res.unknown && !b->res.empty);
	tree_down(b);
	put_file(b, DISK_LOG_TOP, "initialize", "", 0);
	tree_up(b, 0);
	b->conf.autocreate = false;
	assert_int_equal(recover_run(&b->conf, &b->res), ZK_EOK);
	assert_true(b->res.empty && !b->res.unknown);
	assert_false(exists(b, DISK_LOG_TOP, "initialize"));
}

/* A member of an ensemble says its configuration in /zookeeper/config, for itself. */
static void member(void **state)
{
	struct bed *b = *state;
	struct tree_ref ref;
	struct zk_stat st;
	uint64_t end = b->d->log_n, digest;

	put_first(b);
	tree_up(b, 0);
	b->conf.config = zk_span_str("server.1=h:1:2:participant\nversion=0");
	b->conf.wall_ms = 1234;
	assert_int_equal(recover_run(&b->conf, &b->res), ZK_EOK);
	assert_true(tree_last_zxid(b->tree) == b->res.zxid && end > 0);
	assert_true(tree_find_newest(b->tree, zk_span_str("/zookeeper/config"), &ref));
	tree_stat(ref, &st);
	assert_int_equal(st.version, -1);
	assert_int_equal(st.mzxid, 0);
	assert_int_equal(st.mtime, 1234);
	assert_int_equal(st.data_length, 36);
	digest = tree_digest(b->tree);
	tree_down(b);
	tree_up(b, 0); /* it is no part of the state */
	assert_int_equal(recover_run(&b->conf, &b->res), ZK_EOK);
	assert_true(tree_digest(b->tree) == digest);
}

static void whole(void **state)
{
	struct bed *b = *state;
	uint64_t end = b->d->log_n;

	put_first(b);
	put_log(b, 1, 30, 5000, NULL);
	put_log(b, 31, end, 0, NULL);
	assert_int_equal(run(b), ZK_EOK);
	same_as_server(b);
	assert_true(b->res.txns == end && b->replayed == end && b->res.logs == 2);
	assert_true(b->progressed > 0);
	/* from a snapshot in the middle of a file: the first one is not needed any more */
	sim_disk_kill(b->sim);
	tree_down(b);
	assert_int_equal(disk_unlink(b->disk, DISK_LOG, "log.1f"), ZK_EOK);
	put_log(b, 31, 40, 100, NULL);
	put_snapshot(b, 40);
	put_log(b, 31, end, 0, NULL);
	assert_int_equal(disk_unlink(b->disk, DISK_LOG, "log.1"), ZK_EOK);
	assert_int_equal(disk_unlink(b->disk, DISK_DATA, "snapshot.0"), ZK_EOK);
	assert_int_equal(run(b), ZK_EOK);
	same_as_server(b);
	assert_true(b->res.txns == end - 40 && b->res.snapshot_zxid == 40);
}

/* Each length that the last file can be cut to: what is whole counts, the rest goes. */
static void torn(void **state)
{
	struct bed *b = *state;
	static uint8_t buf[FILE_MAX];
	size_t at[256] = {0}, n;
	uint64_t last;

	put_first(b);
	put_log(b, 1, 30, 77, NULL);
	n = put_log(b, 31, 40, 0, at);
	assert_int_equal(get_file(b, DISK_LOG, "log.1f", buf), n);
	for (size_t cut = 0; cut < n; cut += cut < 40 || cut > n - 40 ? 1 : 7) {
		put_file(b, DISK_LOG, "log.1f", buf, cut);
		for (last = 30; last < 40 && (last < 39 ? at[last + 2] : n) <= cut;)
			last++;
		assert_int_equal(run(b), ZK_EOK);
		assert_true(b->res.zxid == last);
		/* another start meets a file that ends well, or none */
		if (cut < 16)
			assert_false(exists(b, DISK_LOG, "log.1f"));
		assert_int_equal(run(b), ZK_EOK);
		assert_true(b->res.zxid == last);
		assert_string_equal(b->said, "");
	}
	/* with space behind it: no end byte */
	n = put_log(b, 31, 40, 4096, at);
	(void)get_file(b, DISK_LOG, "log.1f", buf);
	memset(buf + n - 30, 0, 30);
	put_file(b, DISK_LOG, "log.1f", buf, n + 4096);
	assert_int_equal(run(b), ZK_EOK);
	assert_true(b->res.zxid == 39);
	assert_non_null(strstr(b->said, "has no end byte"));
	assert_int_equal(get_file(b, DISK_LOG, "log.1f", buf), at[40]);
	/* in a file that is not the last it is a hole, unless the next one goes on there */
	n = put_log(b, 31, 39, 50, at);
	(void)get_file(b, DISK_LOG, "log.1f", buf);
	put_file(b, DISK_LOG, "log.1f", buf, at[39] + 20);
	put_log(b, 39, b->d->log_n, 0, NULL);
	assert_int_equal(run(b), ZK_EOK);
	same_as_server(b);
}

/* A server that was killed leaves its padding; the last file loses it at the next start. */
static void padding(void **state)
{
	struct bed *b = *state;
	static uint8_t buf[FILE_MAX];
	size_t n, first;

	put_first(b);
	first = put_log(b, 1, 30, 5000, NULL);
	n = put_log(b, 31, b->d->log_n, 200000, NULL);
	assert_int_equal(run(b), ZK_EOK);
	same_as_server(b);
	assert_string_equal(b->said, "");
	assert_int_equal(get_file(b, DISK_LOG, "log.1", buf), first + 5000);
	assert_int_equal(get_file(b, DISK_LOG, "log.1f", buf), n);
	assert_int_equal(run(b), ZK_EOK);
	same_as_server(b);
	/* something behind zeros is left for whoever wants to know */
	n = put_log(b, 31, b->d->log_n, 4096, NULL);
	(void)get_file(b, DISK_LOG, "log.1f", buf);
	buf[n + 3000] = 1;
	put_file(b, DISK_LOG, "log.1f", buf, n + 4096);
	assert_int_equal(run(b), ZK_EOK);
	same_as_server(b);
	assert_int_equal(get_file(b, DISK_LOG, "log.1f", buf), n + 4096);
}

static void holes(void **state)
{
	struct bed *b = *state;
	uint64_t end = b->d->log_n;
	size_t at[256] = {0};
	static uint8_t buf[FILE_MAX];

	put_first(b);
	put_log(b, 5, end, 0, NULL);
	refused(b, ZK_EINVAL, "transactions 0x1 to 0x4 are missing");
	assert_non_null(
		strstr(b->res.why, "snapshot.0 stands for 0x0, and log.5 goes on with 0x5"));
	put_log(b, 1, 3, 1000, NULL);
	refused(b, ZK_EINVAL, "transactions 0x4 to 0x4 are missing");
	assert_non_null(strstr(b->res.why, "log.1 ends with 0x3, and log.5"));
	tree_down(b);
	tree_up(b, 0);
	b->conf.trust_gaps = true;
	assert_int_equal(recover_run(&b->conf, &b->res), ZK_EOK);
	assert_non_null(strstr(b->said, "transactions 0x4 to 0x4 are missing"));
	/* a torn record in the middle of the log */
	put_log(b, 1, 4, 1000, at);
	(void)get_file(b, DISK_LOG, "log.1", buf);
	memset(buf + at[4] + 20, 0, 1000);
	put_file(b, DISK_LOG, "log.1", buf, at[4] + 1000);
	refused(b, ZK_EINVAL, "where a record has no end byte");
	put_log(b, 1, 4, 1000, at);
	assert_int_equal(run(b), ZK_EOK);
	same_as_server(b);
	/* no log at all goes on behind an older snapshot, and a newer one cannot be read */
	put_snapshot(b, end);
	assert_int_equal(disk_unlink(b->disk, DISK_LOG, "log.5"), ZK_EOK);
	assert_int_equal(run(b), ZK_EOK);
	same_as_server(b);

	char name[32];
	size_t n;

	snprintf(name, sizeof(name), "snapshot.%llx", (unsigned long long)end);
	n = get_file(b, DISK_DATA, name, buf);
	buf[n / 2] ^= 1;
	put_file(b, DISK_DATA, name, buf, n);
	refused(b, ZK_EINVAL, "transactions 0x5 to");
	assert_non_null(strstr(b->res.why, name));
}

/* A new epoch: 1 follows whatever was last, anything else does not. */
static void epochs(void **state)
{
	struct bed *b = *state;
	uint8_t txn[TXN_HEADER_BYTES + 4], file[256];

	put_first(b);
	for (unsigned counter = 1; counter <= 2; counter++) {
		uint64_t zxid = UINT64_C(3) << 32 | counter;
		struct jute_out o = jute_out_of(txn, sizeof(txn)), f = jute_out_of(file, 256);

		put_log(b, 1, 9, 0, NULL);
		txn_put_header(&o, &(struct txn_header){.zxid = zxid, .type = -1});
		jute_put_i32(&o, -101);
		txnlog_put_header(&f);
		txnlog_put_record(&f, zk_span_of(txn, sizeof(txn)), NULL);
		put_file(b, DISK_LOG, "log.300000001", file, jute_out_len(&f));
		if (counter == 1) {
			assert_int_equal(run(b), ZK_EOK);
			assert_true(b->res.zxid == zxid);
		} else {
			refused(b, ZK_EINVAL, "0x300000001 to 0x300000001 are missing");
		}
	}
}

static void bad_snapshots(void **state)
{
	struct bed *b = *state;
	uint64_t end = b->d->log_n;
	static uint8_t good[FILE_MAX], buf[FILE_MAX];
	char name[32];
	size_t n;

	put_first(b);
	put_log(b, 1, end, 100, NULL);
	put_snapshot(b, end);
	snprintf(name, sizeof(name), "snapshot.%llx", (unsigned long long)end);
	n = get_file(b, DISK_DATA, name, good);
	/* every bit of some bytes: never taken, the one before and its log are as good */
	for (size_t i = 0; i < n; i += 1 + i % 13) {
		memcpy(buf, good, n);
		buf[i] ^= (uint8_t)(1u << i % 8);
		put_file(b, DISK_DATA, name, buf, n);
		assert_int_equal(run(b), ZK_EOK);
		same_as_server(b);
		/* version and dbid of the header are not judged by Apache, but summed up */
		assert_string_equal(b->res.snapshot, "snapshot.0");
	}
	/* every length */
	for (size_t i = 0; i < n; i += 1 + i % 17) {
		put_file(b, DISK_DATA, name, good, i);
		assert_int_equal(run(b), ZK_EOK);
		same_as_server(b);
	}
	/* none is left */
	memcpy(buf, good, n);
	buf[n / 2] ^= 1;
	put_file(b, DISK_DATA, name, buf, n);
	assert_int_equal(disk_unlink(b->disk, DISK_DATA, "snapshot.0"), ZK_EOK);
	refused(b, ZK_EINVAL, "no snapshot in");
	assert_non_null(strstr(b->res.why, "offset"));
	assert_int_equal(disk_unlink(b->disk, DISK_DATA, name), ZK_EOK);
	refused(b, ZK_EINVAL, "has no snapshot, but");
	tree_down(b);
	tree_up(b, 0);
	b->conf.trust_empty = true;
	assert_int_equal(recover_run(&b->conf, &b->res), ZK_EOK);
	same_as_server(b);
}

static void bad_logs(void **state)
{
	struct bed *b = *state;
	uint64_t end = b->d->log_n;
	static uint8_t good[FILE_MAX], buf[FILE_MAX];
	size_t at[256] = {0}, n;

	put_first(b);
	n = put_log(b, 1, end, 600, at);
	(void)get_file(b, DISK_LOG, "log.1", good);
	/* a flipped bit in what was promised is never passed over in silence */
	for (size_t i = 16; i < n; i += 1 + i % 11) {
		uint64_t rec = 1;
		enum zk_err err;

		while (rec < end && at[rec + 1] <= i)
			rec++;
		memcpy(buf, good, n + 600);
		buf[i] ^= (uint8_t)(1u << i % 8);
		put_file(b, DISK_LOG, "log.1", buf, n + 600);
		err = run(b);
		if (err != ZK_EINVAL)
			fail_msg("flip at %zu of record %llu: %s %s", i, (unsigned long long)rec,
				 zk_err_text(err), b->said);
		assert_non_null(strstr(b->res.why, "log.1 offset "));
	}
	/* a sector in the middle of a record that was never written */
	uint8_t txn[3000], *p;
	struct jute_out o = jute_out_of(txn, sizeof(txn));

	txn_put_header(&o, &(struct txn_header){.zxid = end + 1, .type = ZK_OP_SET_DATA});
	jute_put_bytes(&o, zk_span_str("/a"));
	jute_put_i32(&o, 2000);
	p = jute_room(&o, 2000);
	memset(p, 'd', 2000);
	jute_put_i32(&o, 7);
	memcpy(buf, good, n);
	struct jute_out f = jute_out_of(buf + n, FILE_MAX - n);

	txnlog_put_record(&f, zk_span_of(txn, jute_out_len(&o)), NULL);
	memset(f.p, 0, 600);
	put_file(b, DISK_LOG, "log.1", buf, n + jute_out_len(&f) + 600);
	assert_int_equal(run(b), ZK_EOK);
	assert_true(b->res.zxid == end + 1);
	memset(buf + (n / 512 + 2) * 512, 0, 512);
	put_file(b, DISK_LOG, "log.1", buf, n + jute_out_len(&f) + 600);
	assert_int_equal(run(b), ZK_EOK);
	assert_true(b->res.zxid == end);
	assert_non_null(strstr(b->said, "not written to its end"));
	assert_int_equal(get_file(b, DISK_LOG, "log.1", buf), n);
	/* files that are nothing, last and not last */
	put_log(b, 1, end, 600, at);
	memset(buf, 0, 4096);
	put_file(b, DISK_LOG, "log.7fff", buf, 4096);
	assert_int_equal(run(b), ZK_EOK);
	same_as_server(b);
	assert_false(exists(b, DISK_LOG, "log.7fff"));
	put_file(b, DISK_LOG, "log.7fff", "garbage garbage garbage", 20);
	refused(b, ZK_EINVAL, "log.7fff offset 0: wrong magic number");
	assert_int_equal(disk_unlink(b->disk, DISK_LOG, "log.7fff"), ZK_EOK);
	put_log(b, 1, 5, 0, NULL);
	put_file(b, DISK_LOG, "log.6", "", 0);
	put_log(b, 7, end, 0, NULL);
	refused(b, ZK_EINVAL, "log.6 offset 0: the file is empty");
}

static void memory(void **state)
{
	struct bed *b = *state;
	enum zk_err err = ZK_ENOMEM;
	unsigned refusals = 0;

	put_first(b);
	put_log(b, 1, b->d->log_n, 0, NULL);
	put_snapshot(b, b->d->log_n);
	tree_up(b, 0);
	/* What fits, fits; what does not says so. */
	for (size_t limit = 4 << 20; err != ZK_EOK; limit += 256 << 10) {
		tree_down(b);
		tree_up(b, 0);
		b->tree_mem.limit_bytes = b->tree_mem.used_bytes + limit - (4 << 20);
		err = recover_run(&b->conf, &b->res);
		if (err == ZK_EOK)
			break;
		assert_int_equal(err, ZK_ENOMEM);
		assert_non_null(strstr(b->res.why, "tree.memoryLimit is too small"));
		refusals++;
	}
	assert_true(refusals > 0);
	same_as_server(b);
}

/* snapshot.1 with quotas whose trie is larger than what a load leaves alone. */
static void put_quotas(struct bed *b)
{
	enum { QUOTAS = 40, NAME = 100000 };
	static const char *const node[] = {"", "/zookeeper_limits", "/zookeeper_stats"};
	static char path[NAME + 64];

	assert_int_equal(run(b), ZK_EOK);
	tree_begin(b->tree, 1, 1000);
	for (int i = 0; i < QUOTAS; i++) {
		for (unsigned k = 0; k < 3; k++) {
			snprintf(path, sizeof(path), "/zookeeper/quota/%0*d%s", NAME, i, node[k]);
			assert_int_equal(tree_create(b->tree, zk_span_str(path),
						     zk_span_str("count=1,bytes=-1"),
						     zk_span_of(NULL, 0), 0, -1),
					 ZK_EOK);
		}
	}
	tree_end(b->tree);
	b->res.zxid = 1;
	assert_int_equal(recover_save(&b->conf, &b->res), ZK_EOK);
}

static void memory_of_quotas(void **state)
{
	struct bed *b = *state;
	enum zk_err err = ZK_ENOMEM;
	unsigned nodes = 0, quotas = 0;

	put_quotas(b);
	for (size_t limit = 0; err != ZK_EOK; limit += 256 << 10) {
		tree_down(b);
		tree_up(b, 0);
		b->tree_mem.limit_bytes = b->tree_mem.used_bytes + (1 << 20) + limit;
		err = recover_run(&b->conf, &b->res);
		if (err == ZK_EOK)
			break;
		assert_int_equal(err, ZK_ENOMEM);
		assert_non_null(strstr(b->res.why, "tree.memoryLimit is too small for"));
		if (strstr(b->res.why, "snapshot.1: tree.memoryLimit is too small for its quotas"))
			quotas++;
		else
			nodes++;
	}
	assert_true(nodes > 0 && quotas > 0);
	assert_int_equal(b->res.nodes, 4 + 40 * 3);
}

/* Every call to the disk fails once: an error with a reason, never half a tree that counts. */
static void faults(void **state)
{
	struct bed *b = *state;
	unsigned failed = 0;

	put_first(b);
	put_log(b, 1, 30, 100, NULL);
	put_log(b, 31, b->d->log_n, 0, NULL);
	for (uint64_t call = 1;; call++) {
		if (b->tree)
			tree_down(b);
		tree_up(b, 0);
		b->sim->fault_call = SIM_CALLS;
		b->sim->fault_err = ZK_EIO;
		b->sim->fault_at = b->sim->calls[SIM_CALLS] + call;
		enum zk_err err = recover_run(&b->conf, &b->res);

		if (b->sim->faults == failed)
			break;
		failed = (unsigned)b->sim->faults;
		if (err == ZK_EOK)
			same_as_server(b);
		else
			assert_string_not_equal(b->res.why, "");
	}
	assert_true(failed > 8);
	same_as_server(b);
}

/* The owner of an ephemeral node is not in the table of sessions (fuzzy snapshots know such). */
static void dead_sessions(void **state)
{
	struct bed *b = *state;
	uint64_t end = b->d->log_n;

	put_first(b);
	put_log(b, 1, end, 0, NULL);
	tree_up(b, 0);
	assert_int_equal(recover_run(&b->conf, &b->res), ZK_EOK);
	assert_true(b->res.sessions == 2);
	/* only the other one goes into the snapshot */
	if (b->res.session[0].id == b->session)
		b->res.session[0] = b->res.session[1];
	b->res.sessions = 1;
	assert_int_equal(recover_save(&b->conf, &b->res), ZK_EOK);
	tree_down(b);

	struct tree_ref ref;

	assert_int_equal(run(b), ZK_EOK);
	assert_int_equal(b->res.dead_sessions, 1);
	assert_int_equal(b->res.sessions, 1);
	assert_true(b->res.zxid == end);
	assert_false(tree_find_newest(b->tree, zk_span_str("/e"), &ref));
	assert_true(tree_find_newest(b->tree, zk_span_str("/a"), &ref));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(first_start, up, down),
		cmocka_unit_test_setup_teardown(nothing_there, up, down),
		cmocka_unit_test_setup_teardown(member, up, down),
		cmocka_unit_test_setup_teardown(whole, up, down),
		cmocka_unit_test_setup_teardown(torn, up, down),
		cmocka_unit_test_setup_teardown(padding, up, down),
		cmocka_unit_test_setup_teardown(holes, up, down),
		cmocka_unit_test_setup_teardown(epochs, up, down),
		cmocka_unit_test_setup_teardown(bad_snapshots, up, down),
		cmocka_unit_test_setup_teardown(bad_logs, up, down),
		cmocka_unit_test_setup_teardown(memory, up, down),
		cmocka_unit_test_setup_teardown(memory_of_quotas, up, down),
		cmocka_unit_test_setup_teardown(faults, up, down),
		cmocka_unit_test_setup_teardown(dead_sessions, up, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
