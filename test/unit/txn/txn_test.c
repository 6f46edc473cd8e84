/* SPDX-License-Identifier: Apache-2.0 */
/* Transaction bytes against files of live servers (spec/disk-format.md section 11), and apply of
 * forms that this server does not write. */
#include "core/txn/ahead.h"
#include "core/txn/apply.h"
#include "test/lib/lead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void log_is(const struct lead *d, size_t i, const char *hex)
{
	uint8_t want[512];
	size_t n = from_hex(hex, want, sizeof(want));

	assert_true(i < d->log_n);
	assert_int_equal(d->log[i].n, n);
	assert_memory_equal(d->log[i].p, want, n);
}

/* The log of a live server, made again: six sessions and four errors precede the create. */
static void vectors(void **state)
{
	struct lead *d = lead_open(&(struct lead_opt){.now_ns = UINT64_C(0x18efd6) * 1000000});
	uint64_t s = 0;

	(void)state;
	d->wall_ms = 0x1a1fbd210a3;
	for (unsigned i = 0; i < 6; i++)
		s = lead_session(d, 0, i, 10000);
	assert_true(s == 0x01000018efd60005);
	log_is(d, 0,
	       "01000018efd60000 00000000 0000000000000001 000001a1fbd210a3 fffffff6 | 00002710");
	for (unsigned i = 0; i < 4; i++)
		(void)lead_err(d, s, ZK_OP_DELETE, req_version("/none", -1));
	d->wall_ms = 0x1a1fbd210c0;
	d->next_xid = 1;
	assert_int_equal(lead_err(d, s, ZK_OP_CREATE, req_create("/a", "x", NULL, 0)), ZK_EOK);
	log_is(d, 10,
	       "01000018efd60005 00000001 000000000000000b 000001a1fbd210c0 00000001 |"
	       "00000002 2f61 00000001 78 00000001 0000001f 00000005 776f726c64 00000006"
	       "616e796f6e65 00 00000001");
	d->wall_ms = 0x1a1fbd210c4;
	assert_int_equal(lead_err(d, s, ZK_OP_CREATE, req_create("/a", "x", NULL, 0)),
			 ZK_NODEEXISTS);
	log_is(d, 11,
	       "01000018efd60005 00000002 000000000000000c 000001a1fbd210c4 ffffffff | ffffff92");

	static struct req_multi m;

	m.n = 0;
	assert_int_equal(lead_err(d, s, ZK_OP_CREATE, req_create("/m", "", NULL, 0)), ZK_EOK);
	multi_op(&m, ZK_OP_CREATE, req_create("/m/c", "", NULL, 0));
	multi_op(&m, ZK_OP_CHECK, req_version("/m", 9));
	multi_op(&m, ZK_OP_DELETE, req_version("/m", 0));
	d->wall_ms = 1;
	assert_int_equal(lead_err(d, s, ZK_OP_MULTI, multi_end(&m)), ZK_EOK);
	log_is(d, 13,
	       "01000018efd60005 00000004 000000000000000e 0000000000000001 0000000e | 00000003 |"
	       "00000001 0000002c 00000004 2f6d2f63 00000000 00000001 0000001f 00000005 776f726c64"
	       "00000006 616e796f6e65 00 00000001 | ffffffff 00000004 ffffff99 |"
	       "ffffffff 00000004 fffffffe");
	lead_close(d);
}

/* The digests of that live server behind them: the empty tree's, and the one after the create. An
 * error has none; a failed multi has that of the tree as it is. */
static void digests(void **state)
{
	struct lead *d = lead_open(
		&(struct lead_opt){.now_ns = UINT64_C(0x18efd6) * 1000000, .digest = true});
	static struct req_multi m;
	struct leader_stats st;
	uint64_t s = 0;

	(void)state;
	assert_true(tree_digest(d->tree) == 0x51c6d660);
	d->wall_ms = 0x1a1fbd210a3;
	for (unsigned i = 0; i < 6; i++)
		s = lead_session(d, 0, i, 10000);
	log_is(d, 0,
	       "01000018efd60000 00000000 0000000000000001 000001a1fbd210a3 fffffff6 | 00002710 |"
	       "00000002 0000000051c6d660");
	for (unsigned i = 0; i < 4; i++)
		(void)lead_err(d, s, ZK_OP_DELETE, req_version("/none", -1));
	log_is(d, 6,
	       "01000018efd60005 00000001 0000000000000007 000001a1fbd210a3 ffffffff | ffffff9b");
	d->wall_ms = 0x1a1fbd210c0;
	d->next_xid = 1;
	assert_int_equal(lead_err(d, s, ZK_OP_CREATE, req_create("/a", "x", NULL, 0)), ZK_EOK);
	log_is(d, 10,
	       "01000018efd60005 00000001 000000000000000b 000001a1fbd210c0 00000001 |"
	       "00000002 2f61 00000001 78 00000001 0000001f 00000005 776f726c64 00000006"
	       "616e796f6e65 00 00000001 | 00000002 0000000104d780f0");
	m.n = 0;
	multi_op(&m, ZK_OP_SET_DATA, req_set("/a", "y", 0));
	multi_op(&m, ZK_OP_DELETE, req_version("/b", 0));
	assert_int_equal(lead_err(d, s, ZK_OP_MULTI, multi_end(&m)), ZK_EOK);
	assert_memory_equal(d->log[11].p + d->log[11].n - 12, d->log[10].p + d->log[10].n - 12, 12);
	lead_digest_check(d);
	leader_stats_get(d->l, &st);
	assert_int_equal(st.digest_mismatches, 0);
	lead_close(d);
}

/* Every 128 zxids, the last 1024 of them. */
static void history(void **state)
{
	static struct tree_digest_at at[TREE_DIGESTS_MAX];
	struct lead *d = lead_open(&(struct lead_opt){.digest = true});
	struct txn_result res = {0};
	uint8_t txn[TXN_HEADER_BYTES + 4];

	(void)state;
	assert_int_equal(tree_digest_history(d->tree, at, TREE_DIGESTS_MAX), 0);
	for (uint64_t zxid = 1; zxid <= 128 * 1030 + 5; zxid++) {
		struct jute_out o = jute_out_of(txn, sizeof(txn));

		txn_put_header(&o, &(struct txn_header){.zxid = zxid, .type = -10});
		jute_put_i32(&o, 1000);
		assert_int_equal(txn_apply(d->tree, zk_span_of(txn, sizeof(txn)), &res), ZK_EOK);
		if (zxid == 300)
			assert_int_equal(tree_digest_history(d->tree, at, TREE_DIGESTS_MAX), 2);
	}
	assert_int_equal(tree_digest_history(d->tree, at, TREE_DIGESTS_MAX), TREE_DIGESTS_MAX);
	assert_true(at[0].zxid == 128 * 7 && at[1023].zxid == 128 * 1030);
	assert_true(at[1023].digest == 0x51c6d660);
	assert_int_equal(tree_digest_history(d->tree, at, 3), 3);
	assert_true(at[0].zxid == 128 * 1028);
	lead_close(d);
}

static void other_bodies(void **state)
{
	struct lead *d = lead_open(
		&(struct lead_opt){.now_ns = UINT64_C(0x18efd6) * 1000000, .extended_types = true});
	uint64_t s = lead_session(d, 0, 0, 10000);

	(void)state;
	d->wall_ms = 1;
	(void)lead_err(d, s, ZK_OP_CREATE_CONTAINER, req_create("/c", NULL, "1 ip 1.2.3.4", 4));
	log_is(d, 1,
	       "01000018efd60000 00000001 0000000000000002 0000000000000001 00000013 |"
	       "00000002 2f63 ffffffff 00000001 00000001 00000002 6970 00000007 312e322e332e34"
	       "00000001");
	(void)lead_err(d, s, ZK_OP_CREATE_TTL, req_ttl("/t", "", 5, 1000));
	log_is(d, 2,
	       "01000018efd60000 00000002 0000000000000003 0000000000000001 00000015 |"
	       "00000002 2f74 00000000 00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65"
	       "00000002 00000000000003e8");
	(void)lead_err(d, s, ZK_OP_CREATE2, req_create("/e", "", NULL, 1));
	log_is(d, 3,
	       "01000018efd60000 00000003 0000000000000004 0000000000000001 0000000f |"
	       "00000002 2f65 00000000 00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65"
	       "01 00000003");
	(void)lead_err(d, s, ZK_OP_SET_DATA, req_set("/t", "y", 0));
	log_is(d, 4,
	       "01000018efd60000 00000004 0000000000000005 0000000000000001 00000005 |"
	       "00000002 2f74 00000001 79 00000001");
	(void)lead_err(d, s, ZK_OP_SET_ACL, req_acl("/t", NULL, 0));
	log_is(d, 5,
	       "01000018efd60000 00000005 0000000000000006 0000000000000001 00000007 |"
	       "00000002 2f74 00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65"
	       "00000001");
	(void)lead_err(d, s, ZK_OP_DELETE, req_version("/t", 1));
	log_is(d, 6,
	       "01000018efd60000 00000006 0000000000000007 0000000000000001 00000002 | 00000002"
	       "2f74");

	static struct req_multi m;

	m.n = 0;
	multi_op(&m, ZK_OP_CHECK, req_version("/c", 0)); /* readable for 1.2.3.4 only */
	(void)lead_err(d, s, ZK_OP_MULTI, multi_end(&m));
	log_is(d, 7,
	       "01000018efd60000 00000007 0000000000000008 0000000000000001 0000000e | 00000001"
	       "ffffffff 00000004 ffffff9a");
	(void)lead_err(d, s, ZK_OP_CLOSE_SESSION, (struct zk_span){NULL, 0});
	log_is(d, 8,
	       "01000018efd60000 00000008 0000000000000009 0000000000000001 fffffff5 | 00000001"
	       "00000002 2f65");
	lead_close(d);
}

/* ---- apply ------------------------------------------------------------------------------- */

static struct zk_mem mem;
static struct tree *tree;

static void tree_start(void)
{
	struct tree_conf tc = {
		.mem = &mem, .key = {1, 2}, .index_slots = 1024, .changes_soft_max = 10000};

	zk_mem_init_heap(&mem, 0);
	assert_int_equal(tree_new(&tc, &tree), ZK_EOK);
}

static void tree_stop(void)
{
	struct tree_garbage *g;

	while (tree_collect(tree, 100))
		;
	while ((g = tree_garbage_take(tree))) {
		while (!tree_garbage_free(tree, g, 100))
			;
	}
	tree_free(tree);
	assert_int_equal(mem.used_bytes, 0);
}

/* Header with this type and zxid, client 0x77, then the body. */
static enum zk_err apply(uint64_t zxid, int32_t type, const char *body, struct txn_result *res)
{
	uint8_t buf[512];
	struct jute_out o = jute_out_of(buf, sizeof(buf));

	txn_put_header(&o, &(struct txn_header){.client = 0x77, .zxid = zxid, .type = type});
	o.p += from_hex(body, o.p, (size_t)(o.end - o.p));
	*res = (struct txn_result){0};

	/* in memory of its exact size, for the sanitizer */
	size_t n = jute_out_len(&o);
	uint8_t *p = zk_mem_alloc(&mem, n);

	memcpy(p, buf, n);
	enum zk_err err = txn_apply(tree, zk_span_of(p, n), res);

	zk_mem_free(&mem, p, n);
	return err;
}

static bool there(const char *path)
{
	struct tree_ref ref;

	return tree_find_newest(tree, zk_span_str(path), &ref);
}

#define OPEN_ACL "00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65"

static void old_forms(void **state)
{
	struct txn_result res;
	struct tree_ref ref;
	struct tree_raw raw;

	(void)state;
	tree_start();
	/* CreateTxnV0: no parentCVersion */
	assert_int_equal(apply(1, 1, "00000002 2f61 ffffffff" OPEN_ACL "01", &res), ZK_EOK);
	assert_int_equal(res.err, ZK_EOK);
	assert_true(tree_find_newest(tree, zk_span_str("/"), &ref));
	tree_raw(ref, &raw);
	assert_int_equal(raw.cversion, 1);
	assert_true(tree_find_newest(tree, zk_span_str("/a"), &ref));
	tree_raw(ref, &raw);
	assert_true(raw.owner == 0x77);
	assert_int_equal(apply(2, 15, "00000002 2f62 ffffffff" OPEN_ACL "01 00000002", &res),
			 ZK_EOK);
	/* closeSession without a body, then one with a list that names what is gone */
	assert_int_equal(apply(3, -11, "", &res), ZK_EOK);
	assert_false(there("/a") || there("/b"));
	assert_int_equal(apply(4, -11, "00000001 00000002 2f61", &res), ZK_EOK);
	assert_int_equal(res.tree_fails, 1);
	/* a digest behind the list is not looked at */
	assert_int_equal(apply(5, 1, "00000002 2f61 ffffffff" OPEN_ACL "01 00000005", &res),
			 ZK_EOK);
	assert_int_equal(apply(6, -11, "00000001 00000002 2f61 00000002 00000001 04d780f0", &res),
			 ZK_EOK);
	assert_int_equal(res.tree_fails, 0);
	assert_false(there("/a"));
	/* a check on its own does nothing */
	assert_int_equal(apply(7, 13, "00000002 2f78 00000001", &res), ZK_EOK);
	assert_int_equal(res.err, ZK_EOK);
	/* deleteContainer */
	assert_int_equal(apply(8, 19, "00000002 2f63 ffffffff" OPEN_ACL "00000003", &res), ZK_EOK);
	assert_true(there("/c"));
	assert_int_equal(apply(9, 20, "00000002 2f63", &res), ZK_EOK);
	assert_false(there("/c"));
	tree_stop();
}

/* What replay over a fuzzy snapshot meets is tolerated and reported. */
static void replay(void **state)
{
	struct txn_result res;

	(void)state;
	tree_start();
	assert_int_equal(apply(1, 1, "00000002 2f61 00000000" OPEN_ACL "00 00000001", &res),
			 ZK_EOK);
	assert_int_equal(apply(2, 1, "00000002 2f61 00000000" OPEN_ACL "00 00000001", &res),
			 ZK_EOK);
	assert_int_equal(res.err, ZK_NODEEXISTS);
	assert_int_equal(res.tree_fails, 1);
	assert_int_equal(apply(3, 5, "00000002 2f78 00000000 00000001", &res), ZK_EOK);
	assert_int_equal(res.err, ZK_NONODE);
	assert_int_equal(apply(4, 2, "00000002 2f78", &res), ZK_EOK);
	assert_int_equal(res.err, ZK_NONODE);
	assert_int_equal(tree_last_zxid(tree), 4);
	tree_stop();
}

/* Every prefix of every body is refused or is an older form; never a read past the end. */
static void cut_short(void **state)
{
	static const struct {
		int32_t type;
		const char *body;
	} v[] = {{1, "00000002 2f61 00000000" OPEN_ACL "00 00000001"},
		 {19, "00000002 2f62 00000000" OPEN_ACL "00000001"},
		 {21, "00000002 2f63 00000000" OPEN_ACL "00000001 00000000000003e8"},
		 {5, "00000002 2f61 00000001 78 00000001"},
		 {7, "00000002 2f61" OPEN_ACL "00000001"},
		 {2, "00000002 2f61"},
		 {14, "00000002 00000005 0000000f 00000002 2f61 00000001 78 00000001"
		      "0000000d 0000000a 00000002 2f61 00000001"},
		 {-1, "ffffff92"},
		 {-10, "00002710"}};
	struct txn_result res;
	uint64_t zxid = 1;

	(void)state;
	tree_start();
	for (unsigned i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		uint8_t bytes[256];
		size_t n = from_hex(v[i].body, bytes, sizeof(bytes));

		for (size_t cut = 0; cut <= n; cut++) {
			char hex[513] = "";

			for (size_t k = 0; k < cut; k++)
				snprintf(hex + 2 * k, 3, "%02x", bytes[k]);
			enum zk_err err = apply(zxid++, v[i].type, hex, &res);
			bool v0 = v[i].type == 1 && cut >= n - 4;

			if ((err == ZK_EOK) != (cut == n || v0))
				fail_msg("type %d cut at %zu of %zu", v[i].type, cut, n);
		}
	}
	assert_int_equal(txn_apply(tree, zk_span_of("0123456789", 10), &res), ZK_EINVAL);
	assert_int_equal(apply(zxid++, 99, "00000000", &res), ZK_EINVAL);
	tree_stop();
}

/* Whatever the bytes are, hints read no further and change nothing; a sanitizer watches. */
static void ahead_of_anything(void **state)
{
	static const int32_t types[] = {1, 2, 5, 7, 15, 19, 20, 21, 13, 14, -1, -10, -11, 99};
	static const uint32_t lengths[] = {0, 1, 2, 3, UINT32_MAX, INT32_MAX};
	struct lead *d = lead_open(&(struct lead_opt){.digest = true});
	uint64_t s = lead_session(d, 0, 0, 10000), before;

	(void)state;
	assert_int_equal(lead_err(d, s, ZK_OP_CREATE, req_create("/a", "x", NULL, 0)), ZK_EOK);
	before = tree_digest(d->tree);
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		for (unsigned k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
			struct zk_span txn[TXN_AHEAD];
			uint8_t whole[TXN_HEADER_BYTES + 4 + 2] = {0};

			zk_put32(whole + TXN_TYPE_AT, (uint32_t)types[i]);
			zk_put32(whole + TXN_HEADER_BYTES, lengths[k]);
			memcpy(whole + TXN_HEADER_BYTES + 4, "/a", 2);
			for (size_t n = 0; n <= sizeof(whole); n++) {
				uint8_t *cut = malloc(n ? n : 1); /* no byte more */

				memcpy(cut, whole, n);
				for (unsigned j = 0; j < TXN_AHEAD; j++)
					txn[j] = zk_span_of(cut, n);
				txn_ahead(d->tree, txn, TXN_AHEAD);
				txn_ahead(d->tree, txn, 0);
				free(cut);
			}
		}
	}
	assert_true(tree_digest(d->tree) == before);
	lead_close(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests),   cmocka_unit_test(history),
		cmocka_unit_test(vectors),   cmocka_unit_test(other_bodies),
		cmocka_unit_test(old_forms), cmocka_unit_test(replay),
		cmocka_unit_test(cut_short), cmocka_unit_test(ahead_of_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
