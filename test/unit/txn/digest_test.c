/* SPDX-License-Identifier: Apache-2.0 */
/* Which transactions carry the digest of the tree, and which nodes are in it (spec/disk-format.md
 * section 3, spec/semantics.md section 13). The sum is made here once more, from the bytes. */
#include "core/txn/apply.h"
#include "core/txn/op.h"
#include "test/lib/lead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

static struct lead *d;
static uint64_t s; /* a session */

static int up(void **state)
{
	(void)state;
	d = lead_open(&(struct lead_opt){.digest = true, .extended_types = true});
	s = lead_session(d, 0, 0, 10000);
	return 0;
}

static int down(void **state)
{
	(void)state;
	lead_digest_check(d);
	lead_close(d);
	return 0;
}

/* The last transaction is of this type and carries the digest of the tree as it is now, or none. */
static void logged(int32_t type, bool digest)
{
	const struct lead_txn *t = &d->log[d->log_n - 1];
	struct txn_record r;

	assert_int_equal(txn_read(zk_span_of(t->p, t->n), &r), ZK_EOK);
	assert_int_equal(r.header.type, type);
	assert_int_equal(r.has_digest, digest);
	if (digest) {
		assert_int_equal(r.digest_version, 2);
		assert_true(r.digest == tree_digest(d->tree));
	}
}

static void done(int32_t op, struct zk_span body, enum zk_err err, int32_t type, bool digest)
{
	assert_int_equal(lead_err(d, s, op, body), err);
	logged(type, digest);
}

/* Item 92: all but plain errors; also sessions, which change no node, and a multi made of errors.
 */
static void carriers(void **state)
{
	static struct req_multi m;

	(void)state;
	logged(-10, true);
	done(ZK_OP_CREATE, req_create("/a", "x", NULL, 0), ZK_EOK, 1, true);
	done(ZK_OP_CREATE2, req_create("/b", "x", NULL, 0), ZK_EOK, 15, true);
	done(ZK_OP_CREATE_CONTAINER, req_create("/c", "x", NULL, 4), ZK_EOK, 19, true);
	done(ZK_OP_CREATE_TTL, req_ttl("/t", "", 5, 1000), ZK_EOK, 21, true);
	done(ZK_OP_SET_DATA, req_set("/a", "y", 0), ZK_EOK, 5, true);
	done(ZK_OP_SET_ACL, req_acl("/a", NULL, 0), ZK_EOK, 7, true);
	done(ZK_OP_DELETE, req_version("/b", 0), ZK_EOK, 2, true);

	done(ZK_OP_CREATE, req_create("/a", "x", NULL, 0), ZK_NODEEXISTS, -1, false);
	done(ZK_OP_SET_DATA, req_set("/none", "x", -1), ZK_NONODE, -1, false);
	done(ZK_OP_DELETE, req_version("/a", 9), ZK_BADVERSION, -1, false);
	done(ZK_OP_SET_ACL, req_acl("/a", "31 nosuch x", -1), ZK_INVALIDACL, -1, false);

	m.n = 0;
	multi_op(&m, ZK_OP_CHECK, req_version("/a", 9));
	multi_op(&m, ZK_OP_SET_DATA, req_set("/a", "z", -1));
	done(ZK_OP_MULTI, multi_end(&m), ZK_EOK, 14, true);
	m.n = 0;
	multi_op(&m, ZK_OP_CHECK, req_version("/a", 1));
	multi_op(&m, ZK_OP_SET_DATA, req_set("/a", "z", -1));
	done(ZK_OP_MULTI, multi_end(&m), ZK_EOK, 14, true);
	m.n = 0;
	done(ZK_OP_MULTI, multi_end(&m), ZK_EOK, 14, true);
	done(ZK_OP_CLOSE_SESSION, (struct zk_span){NULL, 0}, ZK_EOK, -11, true);
}

static uint32_t crc(uint32_t sum, const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		sum ^= ((const uint8_t *)bytes)[i];
		for (int bit = 0; bit < 8; bit++)
			sum = sum >> 1 ^ (sum & 1 ? UINT32_C(0xedb88320) : 0);
	}
	return sum;
}

static uint32_t crc_number(uint32_t sum, uint64_t value, size_t bytes)
{
	uint8_t b[8];

	for (size_t i = 0; i < bytes; i++)
		b[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
	return crc(sum, b, bytes);
}

/* What the node at @p path is worth by the rule, wherever it lies. The root's path is empty. */
static uint64_t worth(const char *path)
{
	struct tree_ref ref;
	struct tree_raw raw;
	uint32_t sum = UINT32_MAX;

	assert_true(tree_find_newest(d->tree, zk_span_str(path), &ref));
	tree_raw(ref, &raw);
	sum = crc(sum, path, strcmp(path, "/") == 0 ? 0 : strlen(path));
	sum = crc(sum, tree_data(ref).p, tree_data(ref).n);
	sum = crc_number(sum, raw.czxid, 8);
	sum = crc_number(sum, raw.mzxid, 8);
	sum = crc_number(sum, raw.pzxid, 8);
	sum = crc_number(sum, (uint64_t)raw.ctime, 8);
	sum = crc_number(sum, (uint64_t)raw.mtime, 8);
	sum = crc_number(sum, (uint32_t)raw.version, 4);
	sum = crc_number(sum, (uint32_t)raw.cversion, 4);
	sum = crc_number(sum, (uint32_t)raw.aversion, 4);
	return ~crc_number(sum, raw.owner, 8) & UINT32_MAX;
}

static void ok(int32_t op, struct zk_span body)
{
	assert_int_equal(lead_err(d, s, op, body), ZK_EOK);
}

/* Item 97: nothing below /zookeeper counts, the node /zookeeper itself does, and so does what only
 * begins like it. */
static void excluded(void **state)
{
	(void)state;
	assert_true(tree_digest(d->tree) == worth("/") + worth("/zookeeper"));

	uint64_t before = tree_digest(d->tree);

	ok(ZK_OP_CREATE, req_create("/zookeeper/quota/q", "x", NULL, 0));
	ok(ZK_OP_SET_DATA, req_set("/zookeeper/quota/q", "data", 0));
	ok(ZK_OP_SET_DATA, req_set("/zookeeper/quota", "data", -1));
	ok(ZK_OP_CREATE, req_create("/zookeeper/quota/q/deep", "x", NULL, 0));
	ok(ZK_OP_DELETE, req_version("/zookeeper/quota/q/deep", -1));
	assert_true(tree_digest(d->tree) == before);

	/* a child more is a change of /zookeeper */
	ok(ZK_OP_CREATE, req_create("/zookeeper/new", "x", NULL, 0));
	assert_true(tree_digest(d->tree) != before);
	assert_true(tree_digest(d->tree) == worth("/") + worth("/zookeeper"));
	ok(ZK_OP_SET_DATA, req_set("/zookeeper", "data", -1));
	ok(ZK_OP_DELETE, req_version("/zookeeper/new", -1));
	assert_true(tree_digest(d->tree) == worth("/") + worth("/zookeeper"));

	ok(ZK_OP_CREATE, req_create("/zookeepers", "x", NULL, 0));
	ok(ZK_OP_CREATE, req_create("/zookeepers/a", "x", NULL, 1));
	ok(ZK_OP_CREATE, req_create("/zookeepe", NULL, NULL, 0));
	assert_true(tree_digest(d->tree) == worth("/") + worth("/zookeeper") +
						    worth("/zookeepers") + worth("/zookeepers/a") +
						    worth("/zookeepe"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(carriers, up, down),
		cmocka_unit_test_setup_teardown(excluded, up, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
