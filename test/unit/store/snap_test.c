/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/snap.h"
#include "test/unit/store/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { LENGTH_MAX = 1 << 20, BYTES_38 = 457, BYTES_39 = 478, BYTES_BARE = 424 };

struct seen {
	unsigned sessions, acls, nodes, sealed, digests, lasts;
	uint64_t digest, last_zxid;
	struct snap_item end;
	enum snap_step step;
};

static void note(struct seen *s, const struct snap_item *item)
{
	switch (s->step) {
	case SNAP_SESSION:
		s->sessions++;
		break;
	case SNAP_ACL:
		s->acls++;
		break;
	case SNAP_NODE:
		s->nodes++;
		break;
	case SNAP_SEALED:
		s->sealed++;
		break;
	case SNAP_DIGEST:
		s->digests++;
		s->digest = item->digest.tree;
		break;
	default:
		s->lasts++;
		s->last_zxid = item->last_zxid;
	}
}

static void read_all(struct zk_span file, struct seen *s)
{
	struct snap_reader r;

	*s = (struct seen){0};
	snap_reader_init(&r, LENGTH_MAX);
	for (;;) {
		s->step = snap_next(&r, zk_span_of(file.p + r.at, file.n - r.at), true, &s->end);
		assert_int_not_equal(s->step, SNAP_MORE);
		if (s->step == SNAP_END || s->step == SNAP_BAD)
			return;
		note(s, &s->end);
	}
}

static void vector(void **state)
{
	struct zk_span file = hex_bytes(hex_snapshot_0);
	struct seen s;

	(void)state;
	assert_int_equal(file.n, BYTES_39);
	read_all(file, &s);
	assert_int_equal(s.step, SNAP_END);
	assert_int_equal(s.end.rest, 0);
	assert_int_equal(s.sessions, 0);
	assert_int_equal(s.acls, 1);
	assert_int_equal(s.nodes, 4);
	assert_int_equal(s.sealed, 1);
	assert_int_equal(s.digests, 1);
	assert_int_equal(s.lasts, 1);
	read_all(zk_span_of(file.p, BYTES_38), &s); /* as 3.8 writes it */
	assert_int_equal(s.step, SNAP_END);
	assert_int_equal(s.digests, 1);
	assert_int_equal(s.lasts, 0);
	hex_free(file);
}

/* The same bytes out of the writer, through outputs of every size. */
static void writes_vector(void **state)
{
	static const uint8_t acl[] = {0,   0,   0,   1, 0, 0, 0, 1,   0,   0,   0,   5,   'w', 'o',
				      'r', 'l', 'd', 0, 0, 0, 6, 'a', 'n', 'y', 'o', 'n', 'e'};
	static const char *const paths[] = {"/", "/zookeeper", "/zookeeper/config",
					    "/zookeeper/quota"};
	struct zk_span file = hex_bytes(hex_snapshot_0);
	unsigned refused = 0;

	(void)state;
	for (size_t room = 122; room < 600; room++) {
		uint8_t all[BYTES_39], buf[600];
		struct snap_writer w;
		size_t n = 0;

		snap_writer_init(&w);
		for (unsigned part = 0; part < 10;) {
			struct jute_out out = jute_out_of(buf, room);
			enum zk_err err = ZK_EOK;

			for (; part < 10 && err == ZK_EOK; part += err == ZK_EOK) {
				struct snap_node node = {
					.path = zk_span_str(paths[(part - 3) & 3]),
					.data = zk_span_str(""),
					.acl_key = part == 5 ? 1 : SNAP_ACL_OPEN,
					.stat.aversion = part == 5 ? -1 : 0,
				};

				if (part == 0)
					err = snap_put_begin(&w, &out, 0);
				else if (part == 1)
					err = snap_put_acls(&w, &out, 1);
				else if (part == 2)
					err = snap_put_acl(&w, &out, 1,
							   zk_span_of(acl, sizeof(acl)));
				else if (part < 7)
					err = snap_put_node(&w, &out, &node);
				else if (part == 7)
					err = snap_put_seal(&w, &out);
				else if (part == 8)
					err = snap_put_digest(&w, &out, 0, 0);
				else
					err = snap_put_last_zxid(&w, &out, 0);
			}
			refused += err == ZK_EFULL;
			memcpy(all + n, buf, jute_out_len(&out));
			n += jute_out_len(&out);
		}
		assert_int_equal(w.bytes, BYTES_39);
		assert_true(zk_span_eq(file, zk_span_of(all, n)));
	}
	assert_true(refused > 100);
	hex_free(file);
}

/* What a leader sends is what is between the file header and the seal. */
static void stream_form(void **state)
{
	struct zk_span file = hex_bytes(hex_snapshot_0);
	const size_t n = BYTES_BARE - SNAP_HEADER_BYTES - SNAP_SEAL_BYTES;
	const uint8_t *p = file.p + SNAP_HEADER_BYTES;

	(void)state;
	for (size_t window = 1; window < n + 20; window++) {
		uint8_t again[BYTES_39], seal[SNAP_SEAL_BYTES];
		struct jute_out out = jute_out_of(again, sizeof(again));
		struct jute_out end = jute_out_of(seal, sizeof(seal));
		size_t have = window;
		struct snap_reader r;
		struct snap_writer w;
		struct snap_item it;
		enum snap_step step;

		snap_reader_init_stream(&r, LENGTH_MAX);
		snap_writer_init_stream(&w);
		assert_int_equal(snap_put_begin(&w, &out, 0), ZK_EOK);
		assert_int_equal(snap_put_acls(&w, &out, 1), ZK_EOK);
		do {
			/* what follows in the file stands for the packets behind the stream */
			if (have > file.n - SNAP_HEADER_BYTES - r.at)
				have = file.n - SNAP_HEADER_BYTES - (size_t)r.at;
			step = snap_next(&r, zk_span_of(p + r.at, have), false, &it);
			have = step == SNAP_MORE ? have + window : window;
			if (step == SNAP_ACL)
				assert_int_equal(snap_put_acl(&w, &out, it.acl.key, it.acl.jute),
						 ZK_EOK);
			else if (step == SNAP_NODE)
				assert_int_equal(snap_put_node(&w, &out, &it.node), ZK_EOK);
			else
				assert_true(step == SNAP_MORE || step == SNAP_END);
		} while (step != SNAP_END);
		assert_int_equal(r.at, n);
		assert_int_equal(snap_put_seal(&w, &out), ZK_EOK);
		assert_true(zk_span_eq(zk_span_of(again, jute_out_len(&out)), zk_span_of(p, n)));
		assert_int_equal(w.bytes, n);
		snap_put_sum(&end, r.sum);
		assert_memory_equal(seal, p + n, SNAP_SEAL_BYTES);
		assert_int_equal(snap_next(&r, zk_span_of(p + r.at, 1), false, &it), SNAP_END);
	}
	hex_free(file);
}

static void windows(void **state)
{
	struct zk_span file = hex_bytes(hex_snapshot_0);

	(void)state;
	for (size_t step_bytes = 1; step_bytes < 300; step_bytes += 3) {
		struct snap_reader r;
		struct seen s = {0};
		size_t have = 0;

		snap_reader_init(&r, LENGTH_MAX);
		do {
			struct zk_span w;

			w = hex_copy(zk_span_of(file.p + r.at, have - r.at));
			s.step = snap_next(&r, w, have == file.n, &s.end);
			hex_free(w);
			if (s.step == SNAP_MORE)
				have = have + step_bytes < file.n ? have + step_bytes : file.n;
			else if (s.step != SNAP_END && s.step != SNAP_BAD)
				note(&s, &s.end);
		} while (s.step != SNAP_END && s.step != SNAP_BAD);
		assert_int_equal(s.step, SNAP_END);
		assert_int_equal(s.nodes, 4);
		assert_int_equal(s.lasts, 1);
	}
	hex_free(file);
}

/* Any bit turned over is found. */
static void flips(void **state)
{
	struct zk_span file = hex_bytes(hex_snapshot_0);

	(void)state;
	for (size_t bit = 0; bit < 8 * file.n; bit++) {
		struct zk_span copy = hex_copy(file);
		struct seen s;

		((uint8_t *)(uintptr_t)copy.p)[bit / 8] ^= (uint8_t)(1 << bit % 8);
		read_all(copy, &s);
		if (s.step != SNAP_BAD)
			fail_msg("bit %zu of byte %zu", bit % 8, bit / 8);
		hex_free(copy);
	}
	hex_free(file);
}

/* Cut anywhere: sound only where a part ends. */
static void cuts(void **state)
{
	struct zk_span file = hex_bytes(hex_snapshot_0);

	(void)state;
	for (size_t n = 0; n <= file.n; n++) {
		struct zk_span copy = hex_copy(zk_span_of(file.p, n));
		struct seen s;

		read_all(copy, &s);
		if ((s.step == SNAP_END) != (n == BYTES_BARE || n == BYTES_38 || n == BYTES_39))
			fail_msg("%zu bytes", n);
		hex_free(copy);
	}
	hex_free(file);
}

/* digest.enabled=false leaves the digest out, not the last zxid. */
static void last_zxid_alone(void **state)
{
	struct zk_span file = hex_bytes(hex_snapshot_0), copy;
	uint8_t buf[BYTES_39 + 20];
	struct jute_out out = jute_out_of(buf, sizeof(buf));
	struct snap_writer w = {.state = SNAP_AT_DIGEST, .bytes = BYTES_BARE};
	struct snap_reader r;
	struct snap_item item;
	struct seen s;

	(void)state;
	snap_reader_init(&r, LENGTH_MAX);
	while (snap_next(&r, zk_span_of(file.p + r.at, BYTES_BARE - r.at), true, &item) !=
	       SNAP_SEALED)
		continue;
	w.sum = r.sum;
	jute_put_raw(&out, zk_span_of(file.p, BYTES_BARE));
	assert_int_equal(snap_put_last_zxid(&w, &out, 0x1234), ZK_EOK);
	copy = hex_copy(zk_span_of(buf, jute_out_len(&out)));
	read_all(copy, &s);
	assert_int_equal(s.step, SNAP_END);
	assert_int_equal(s.digests, 0);
	assert_int_equal(s.lasts, 1);
	assert_int_equal(s.last_zxid, 0x1234);
	hex_free(copy);
	jute_put_raw(&out, zk_span_of("tail", 4)); /* what a later release may put there */
	copy = hex_copy(zk_span_of(buf, jute_out_len(&out)));
	read_all(copy, &s);
	assert_int_equal(s.step, SNAP_BAD); /* 25 bytes are read as a digest */
	hex_free(copy);
	hex_free(file);
}

static void bad(const char *more, enum store_bad why, uint64_t at)
{
	char text[512];
	struct zk_span file;
	struct seen s;

	snprintf(text, sizeof(text), "5a4b534e00000002ffffffffffffffff %s", more);
	file = hex_bytes(text);
	read_all(file, &s);
	assert_int_equal(s.step, SNAP_BAD);
	assert_int_equal(s.end.bad, why);
	assert_int_equal(s.end.at, at);
	hex_free(file);
}

static void damaged(void **state)
{
	(void)state;
	bad("ffffffff", STORE_BAD_COUNT, 0);
	bad("00000001 (11)", STORE_BAD_END, 20);
	bad("7fffffff (24)", STORE_BAD_END, 20 + 24);
	bad("00000000 80000000", STORE_BAD_COUNT, 20);
	bad("00000000 00000001 (8) ffffffff", STORE_BAD_COUNT, 24);
	bad("00000000 00000001 (8) 00000001 (4) fffffffe", STORE_BAD_LENGTH, 24);
	bad("00000000 00000000 00100001 (8)", STORE_BAD_LENGTH, 24);
	bad("00000000 00000000 00000001 61", STORE_BAD_PATH, 24);
	bad("00000000 00000000 ffffffff", STORE_BAD_PATH, 24);
	bad("00000000 00000000 00000001 2f 0000000000000007 00000001 2f", STORE_BAD_SUM, 29);
}

/* A reader that is never told of an end does not ask for ever. */
static void endless(void **state)
{
	struct zk_span text = hex_bytes("5a4b534e00000002ffffffffffffffff 00000000 00000001 (8) "
					"7fffffff (50000)");
	struct snap_reader r;
	struct snap_item item;
	enum snap_step step;

	(void)state;
	snap_reader_init(&r, 4096);
	step = snap_next(&r, zk_span_of(text.p, 1000), false, &item);
	assert_int_equal(step, SNAP_MORE);
	step = snap_next(&r, zk_span_of(text.p + r.at, text.n - r.at), false, &item);
	assert_int_equal(step, SNAP_BAD);
	assert_int_equal(item.bad, STORE_BAD_LENGTH);
	hex_free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vector),          cmocka_unit_test(writes_vector),
		cmocka_unit_test(windows),         cmocka_unit_test(stream_form),
		cmocka_unit_test(flips),           cmocka_unit_test(cuts),
		cmocka_unit_test(last_zxid_alone), cmocka_unit_test(damaged),
		cmocka_unit_test(endless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
