/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/digest.h"
#include "core/store/txnlog.h"
#include "test/unit/store/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { LENGTH_MAX = STORE_LENGTH_MAX_DEFAULT };

/* A whole log: header, the three records, and what @p more says. */
static struct zk_span make_log(const char *more)
{
	char text[4096];

	snprintf(text, sizeof(text), "%s %s %s %s %s", hex_log_header, hex_create_session,
		 hex_create_a, hex_error, more);
	return hex_bytes(text);
}

/* Read all; @return how many records, *last what ended it. */
static unsigned read_all(struct zk_span log, struct txnlog_item *last, enum txnlog_step *step)
{
	struct txnlog_reader r;
	unsigned n = 0;

	txnlog_reader_init(&r, LENGTH_MAX);
	for (;; n++) {
		*step = txnlog_next(&r, zk_span_of(log.p + r.at, log.n - r.at), true, last);
		assert_int_not_equal(*step, TXNLOG_MORE);
		if (*step != TXNLOG_RECORD)
			return n;
	}
}

static void ends(const char *more, enum txnlog_end end, unsigned records)
{
	struct zk_span log = make_log(more);
	struct txnlog_item item;
	enum txnlog_step step;

	assert_int_equal(read_all(log, &item, &step), records);
	assert_int_equal(step, TXNLOG_END);
	assert_int_equal(item.end, end);
	hex_free(log);
}

static void bad(const char *text, enum store_bad why, uint64_t at)
{
	struct zk_span log = hex_bytes(text);
	struct txnlog_item item;
	enum txnlog_step step;

	read_all(log, &item, &step);
	assert_int_equal(step, TXNLOG_BAD);
	assert_int_equal(item.bad, why);
	assert_int_equal(item.at, at);
	hex_free(log);
}

/* The records of a live server, and written again: the same bytes. */
static void vectors(void **state)
{
	struct zk_span log = make_log("");
	uint8_t buf[512];
	struct jute_out out = jute_out_of(buf, sizeof(buf));
	struct txnlog_reader r;
	struct txnlog_item item;

	(void)state;
	txnlog_reader_init(&r, LENGTH_MAX);
	txnlog_put_header(&out);
	for (int i = 0; i < 3; i++) {
		struct txn_record *t = &item.txn;

		assert_int_equal(
			txnlog_next(&r, zk_span_of(log.p + r.at, log.n - r.at), true, &item),
			TXNLOG_RECORD);
		assert_false(item.order);
		assert_int_equal(t->has_digest, i < 2);
		txnlog_put_record(&out, t->bytes, t->has_digest ? &t->digest : NULL);
		if (i == 0) {
			assert_string_equal(t->op.name, "createSession");
			assert_int_equal(t->op.timeout_ms, 10000);
			assert_int_equal(t->digest, 0x51c6d660);
			assert_int_equal(t->digest_version, 2);
			assert_int_equal(item.payload.n, 48);
		} else if (i == 1) {
			assert_int_equal(t->header.zxid, 11);
			assert_true(zk_span_eq(t->op.path, zk_span_str("/a")));
			assert_true(zk_span_eq(t->op.data, zk_span_str("x")));
			assert_int_equal(t->op.version, 1);
			assert_int_equal(t->op.acl.n, 27);
			assert_int_equal(t->digest, 0x104d780f0);
		} else {
			assert_int_equal(t->op.err, -110);
		}
	}
	assert_false(out.full);
	assert_true(zk_span_eq(log, zk_span_of(buf, jute_out_len(&out))));
	hex_free(log);
}

/* Both digests of the log are sums of CRC-32s. */
static void digests(void **state)
{
	struct store_stat zero = {0}, root = {.pzxid = 0xb, .cversion = 1};
	struct store_stat a = {.czxid = 0xb,
			       .mzxid = 0xb,
			       .pzxid = 0xb,
			       .ctime = 0x1a1fbd210c0,
			       .mtime = 0x1a1fbd210c0};
	struct zk_span none = {(const uint8_t *)"", 0}, zookeeper = zk_span_str("/zookeeper");
	uint64_t z = store_node_digest(zookeeper, none, &zero);

	(void)state;
	assert_int_equal(store_node_digest(zk_span_str("/"), none, &zero) + z, 0x51c6d660);
	assert_int_equal(store_node_digest(none, none, &root) + z +
				 store_node_digest(zk_span_str("/a"), zk_span_str("x"), &a),
			 UINT64_C(0x104d780f0));
	assert_int_equal(store_node_digest(zk_span_str("/zookeeper/quota"), none, &a), 0);
	assert_int_not_equal(store_node_digest(zk_span_str("/zookeeperx"), none, &a), 0);
}

static void file_ends(void **state)
{
	(void)state;
	ends("", TXNLOG_END_FILE, 3);
	ends("(1)", TXNLOG_END_TORN, 3);
	ends("(11)", TXNLOG_END_TORN, 3);
	ends("(12)", TXNLOG_END_PADDING, 3);
	ends("(5000)", TXNLOG_END_PADDING, 3);
	ends("0000000084b10cc0 00000024", TXNLOG_END_TORN, 3);
	ends("0000000084b10cc0 00000024 (36)", TXNLOG_END_TORN, 3);
	ends("0000000084b10cc0 00000024 (36) 00", TXNLOG_END_BYTE_MISSING, 3);
	ends("0000000084b10cc0 00000024 (100)", TXNLOG_END_BYTE_MISSING, 3);
}

static void file_is_bad(void **state)
{
	char text[1024];

	(void)state;
	bad("", STORE_BAD_EMPTY, 0);
	bad("5a4b4c47 00000002 00000000000000", STORE_BAD_HEADER, 0);
	bad("5a4b4c48 00000002 0000000000000000", STORE_BAD_MAGIC, 0);
	snprintf(text, sizeof(text), "%s 0000000000000000 001fffff 00", hex_log_header);
	bad(text, STORE_BAD_LENGTH, 16);
	snprintf(text, sizeof(text), "%s 0000000000000000 ffffffff 00", hex_log_header);
	bad(text, STORE_BAD_LENGTH, 16);
	snprintf(text, sizeof(text), "%s 0000000000000000 00000024 (36) 42", hex_log_header);
	bad(text, STORE_BAD_SUM, 16);
	/* the right checksum of 36 zero bytes, but it is in the low 32 bits alone */
	snprintf(text, sizeof(text), "%s 0000000100240001 00000024 (36) 42", hex_log_header);
	bad(text, STORE_BAD_SUM, 16);
	snprintf(text, sizeof(text), "%s 0000000000240001 00000024 (36) 42", hex_log_header);
	bad(text, STORE_BAD_TYPE, 16); /* 0 is none */
	snprintf(text, sizeof(text), "%s 0000000000040001 00000004 (4) 42", hex_log_header);
	bad(text, STORE_BAD_TXN, 16);
}

/* Windows of every size give the same records. */
static void windows(void **state)
{
	struct zk_span log = make_log("(40)");

	(void)state;
	for (size_t step_bytes = 1; step_bytes < 120; step_bytes++) {
		struct txnlog_reader r;
		struct txnlog_item item;
		size_t have = 0;
		unsigned n = 0;

		txnlog_reader_init(&r, LENGTH_MAX);
		for (;;) {
			struct zk_span w = hex_copy(zk_span_of(log.p + r.at, have - r.at));
			enum txnlog_step s = txnlog_next(&r, w, have == log.n, &item);

			hex_free(w);
			if (s == TXNLOG_MORE)
				have = have + step_bytes < log.n ? have + step_bytes : log.n;
			else if (s == TXNLOG_RECORD)
				n++;
			else
				break;
			if (have < r.at)
				have = r.at;
		}
		assert_int_equal(n, 3);
		assert_int_equal(item.end, TXNLOG_END_PADDING);
		assert_int_equal(item.at, log.n - 40);
	}
	hex_free(log);
}

/* Any bit turned over: an error or an early end, never three sound records; in bytes 4 to 15 of the
 * header, which nobody reads, nothing. */
static void flips(void **state)
{
	struct zk_span log = make_log("(20)");

	(void)state;
	for (size_t bit = 0; bit < 8 * (log.n - 20); bit++) {
		struct zk_span copy = hex_copy(log);
		uint8_t *p = (uint8_t *)(uintptr_t)copy.p;
		struct txnlog_item item;
		enum txnlog_step step;
		unsigned n;

		p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		n = read_all(copy, &item, &step);
		if (bit / 8 >= 4 && bit / 8 < TXNLOG_HEADER_BYTES)
			assert_int_equal(n, 3);
		else
			assert_true(n < 3);
		hex_free(copy);
	}
	hex_free(log);
}

/* Cut anywhere: the records before the cut. */
static void cuts(void **state)
{
	static const size_t record_ends[] = {16 + 61, 16 + 61 + 100, 16 + 61 + 100 + 49};
	struct zk_span log = make_log("");

	(void)state;
	assert_int_equal(log.n, record_ends[2]);
	for (size_t n = TXNLOG_HEADER_BYTES; n <= log.n; n++) {
		struct zk_span copy = hex_copy(zk_span_of(log.p, n));
		struct txnlog_item item;
		enum txnlog_step step;
		unsigned want = 0;

		while (want < 3 && record_ends[want] <= n)
			want++;
		assert_int_equal(read_all(copy, &item, &step), want);
		assert_int_equal(step, TXNLOG_END);
		hex_free(copy);
	}
	hex_free(log);
}

static void truncation(void **state)
{
	struct zk_span log = make_log("(100)"), broken;
	uint64_t cut;

	(void)state;
	assert_int_equal(txnlog_cut(log, 1, LENGTH_MAX, &cut), ZK_EOK);
	assert_int_equal(cut, 16 + 61);
	assert_int_equal(txnlog_cut(log, 2, LENGTH_MAX, &cut), ZK_EOK); /* the next one survives */
	assert_int_equal(cut, 16 + 61 + 100);
	assert_int_equal(txnlog_cut(log, 11, LENGTH_MAX, &cut), ZK_EOK);
	assert_int_equal(cut, 16 + 61 + 100);
	assert_int_equal(txnlog_cut(log, 12, LENGTH_MAX, &cut), ZK_EOK);
	assert_int_equal(cut, 16 + 61 + 100 + 49);
	assert_int_equal(txnlog_cut(log, 13, LENGTH_MAX, &cut), ZK_ENOENT);
	broken = hex_copy(log);
	((uint8_t *)(uintptr_t)broken.p)[40] ^= 1;
	assert_int_equal(txnlog_cut(broken, 12, LENGTH_MAX, &cut), ZK_EINVAL);
	hex_free(broken);
	hex_free(log);
}

/* ---- transactions ------------------------------------------------------------------------------
 */

#define HEADER(type) "00000000000000aa 00000007 0000000000000009 0000000000000005 " type
#define DIGEST       "00000002 0000000000000123"
#define NO_ACL       "00000000"

static struct zk_span payload;

static struct txn_record txn_of(const char *text)
{
	struct txn_record t;

	payload = hex_bytes(text);
	assert_int_equal(txn_read(payload, &t), STORE_GOOD);
	return t;
}

static void check_digest(const struct txn_record *t)
{
	assert_true(t->has_digest);
	assert_int_equal(t->digest, 0x123);
	assert_int_equal(t->bytes.n, payload.n - TXN_DIGEST_BYTES);
	hex_free(payload);
}

static void types(void **state)
{
	struct txn_record t;

	(void)state;
	t = txn_of(HEADER("0000000f") "00000002 2f61 ffffffff" NO_ACL "01 00000003" DIGEST);
	assert_string_equal(t.op.name, "create2");
	assert_null(t.op.data.p);
	assert_true(t.op.ephemeral);
	assert_int_equal(t.op.version, 3);
	check_digest(&t);
	t = txn_of(HEADER("00000001") "00000002 2f61 00000000" NO_ACL "00"); /* CreateTxnV0 */
	assert_int_equal(t.op.version, -1);
	assert_non_null(t.op.data.p);
	assert_false(t.has_digest);
	hex_free(payload);
	t = txn_of(HEADER("00000013") "00000002 2f61 00000000" NO_ACL "00000015" DIGEST);
	assert_string_equal(t.op.name, "createContainer");
	assert_int_equal(t.op.version, 0x15);
	check_digest(&t);
	t = txn_of(HEADER("00000015") "00000002 2f61 00000000" NO_ACL
				      "00000017 00000000000003e8" DIGEST);
	assert_int_equal(t.op.ttl_ms, 1000);
	check_digest(&t);
	t = txn_of(HEADER("00000014") "00000002 2f61" DIGEST);
	assert_string_equal(t.op.name, "deleteContainer");
	check_digest(&t);
	t = txn_of(HEADER("00000005") "00000002 2f61 00000001 79 00000004" DIGEST);
	assert_int_equal(t.op.version, 4);
	check_digest(&t);
	t = txn_of(HEADER("00000007") "00000002 2f61" NO_ACL "00000002" DIGEST);
	assert_string_equal(t.op.name, "setACL");
	check_digest(&t);
	t = txn_of(HEADER("0000000d") "00000002 2f61 00000002"); /* alone, as 3.8.0 writes it */
	assert_string_equal(t.op.name, "check");
	hex_free(payload);
}

static void close_session(void **state)
{
	struct txn_record t;
	struct jute_in in;
	struct zk_span path;

	(void)state;
	t = txn_of(HEADER("fffffff5") "00000002 00000002 2f61 00000002 2f62" DIGEST);
	in = txn_list_begin(&t.op);
	assert_true(txn_path_next(&in, &path));
	assert_true(zk_span_eq(path, zk_span_str("/a")));
	assert_true(txn_path_next(&in, &path));
	assert_true(zk_span_eq(path, zk_span_str("/b")));
	assert_false(txn_path_next(&in, &path));
	assert_false(t.op.no_list);
	check_digest(&t);
	t = txn_of(HEADER("fffffff5") "00000000" DIGEST);
	assert_false(t.op.no_list);
	check_digest(&t);
	t = txn_of(HEADER("fffffff5")); /* the old form */
	assert_true(t.op.no_list);
	assert_false(t.has_digest);
	hex_free(payload);
	t = txn_of(HEADER("fffffff5") DIGEST); /* ... with a digest, which nobody can tell apart */
	assert_true(t.op.no_list);
	assert_false(t.has_digest);
	hex_free(payload);
}

static void multi(void **state)
{
	struct txn_record t = txn_of(
		HEADER("0000000e") "00000003 00000002 00000006 00000002 2f61"
				   "ffffffff 00000004 ffffff99 ffffffff 00000004 fffffffe" DIGEST);
	static const char *const broken[] = {
		HEADER("0000000e") "00000001 0000000e 00000004 00000000", /* a multi in it */
		HEADER("0000000e") "00000001 00000002 ffffffff",
		HEADER("0000000e") "00000001 00000002 00000005 00000002 2f",
		HEADER("0000000e") "00000002 00000002 00000006 00000002 2f61",
		HEADER("00000002"),
		HEADER("00000002") "ffffffff",
		HEADER("00000002") "80000000",
		HEADER("00000007") "00000002 2f61 7fffffff",
	};
	struct jute_in in = txn_list_begin(&t.op);
	struct txn_op op;

	(void)state;
	assert_int_equal(t.op.n, 3);
	assert_true(txn_multi_next(&in, &op));
	assert_string_equal(op.name, "delete");
	assert_true(txn_multi_next(&in, &op));
	assert_int_equal(op.err, -103);
	assert_true(txn_multi_next(&in, &op));
	assert_int_equal(op.err, -2);
	assert_false(txn_multi_next(&in, &op));
	check_digest(&t);
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		payload = hex_bytes(broken[i]);
		assert_int_equal(txn_read(payload, &t), ZK_EINVAL);
		hex_free(payload);
	}
}

static void full(void **state)
{
	struct zk_span txn = hex_bytes(HEADER("ffffffff") "fffffff0");
	uint8_t buf[49 + 12];
	uint64_t digest = 1;

	(void)state;
	for (size_t n = 0; n < sizeof(buf); n++) {
		struct jute_out out = jute_out_of(buf, n);

		txnlog_put_record(&out, txn, &digest);
		assert_true(out.full);
		assert_int_equal(jute_out_len(&out), 0);
	}
	assert_int_equal(txnlog_record_bytes(txn.n, true), sizeof(buf));
	hex_free(txn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),   cmocka_unit_test(digests),
		cmocka_unit_test(file_ends), cmocka_unit_test(file_is_bad),
		cmocka_unit_test(windows),   cmocka_unit_test(flips),
		cmocka_unit_test(cuts),      cmocka_unit_test(truncation),
		cmocka_unit_test(types),     cmocka_unit_test(close_session),
		cmocka_unit_test(multi),     cmocka_unit_test(full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
