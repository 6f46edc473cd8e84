/* SPDX-License-Identifier: Apache-2.0 */
/* Quotas in the tree: the text, who is charged, what readers see, the count after a load; and
 * random changes against a count that walks the whole tree each time. QUOTA_SEED chooses another
 * run. */
#include "fix.h"

#include "core/tree/quota_text.h"

#include <stdio.h>

enum { STEPS = 6000, NAMES = 3, PATH_MAX_BYTES = 160 };

static const char q[] = "/zookeeper/quota";

/* ---- the text --- */

static void text_is(const char *text, bool good, int64_t count, int64_t bytes, int64_t count_hard,
		    int64_t bytes_hard)
{
	struct quota_text t;

	assert_int_equal(quota_text_parse(zk_span_str(text), &t), good);
	if (!good)
		return;
	assert_int_equal(t.count, count);
	assert_int_equal(t.bytes, bytes);
	assert_int_equal(t.count_hard, count_hard);
	assert_int_equal(t.bytes_hard, bytes_hard);
}

static void texts_are_read_as_java_does(void **state)
{
	struct quota_text t;

	(void)state;
	text_is("", true, -1, -1, -1, -1);
	text_is("count=4,bytes=5", true, 4, 5, -1, -1);
	text_is("count=4,bytes=5=;byteHardLimit=6;countHardLimit=7", true, 4, 5, 7, 6);
	text_is("bytes=5;;,count=+4;,", true, 4, 5, -1, -1);
	text_is("count==9,bytes=3=x", true, -1, 3, -1, -1);
	text_is("count=1,count=2,Count=3", true, 2, -1, -1, -1);
	text_is("=5,other=0012", true, -1, -1, -1, -1);
	text_is(",;,", true, -1, -1, -1, -1);
	text_is("count=-9223372036854775808,bytes=9223372036854775807", true, INT64_MIN, INT64_MAX,
		-1, -1);
	text_is("count=9223372036854775808", false, 0, 0, 0, 0);
	text_is("count=-9223372036854775809", false, 0, 0, 0, 0);
	text_is("count", false, 0, 0, 0, 0);
	text_is("count=", false, 0, 0, 0, 0);
	text_is("count=1,=", false, 0, 0, 0, 0);
	text_is(",count=1", false, 0, 0, 0, 0);
	text_is("count= 1", false, 0, 0, 0, 0);
	text_is("count=+", false, 0, 0, 0, 0);
	text_is("count=1x", false, 0, 0, 0, 0);
	assert_false(quota_text_parse(none, &t));
}

static void charged(const char *old, int64_t count, int64_t bytes, const char *want)
{
	char text[QUOTA_TEXT_MAX + 1];
	size_t n = quota_text_charge(old ? zk_span_str(old) : none, count, bytes, text);

	text[n] = 0;
	assert_string_equal(text, want);
}

static void texts_are_written_as_java_does(void **state)
{
	char longest[2 * QUOTA_TEXT_MAX], want[QUOTA_TEXT_MAX + 1];

	(void)state;
	charged("count=1,bytes=2", 1, -2, "count=2,bytes=0");
	charged("", 1, 5, "count=0,bytes=4");
	charged(NULL, 1, 5, "count=0,bytes=4");
	charged("nonsense", 1, 5, "count=0,bytes=4");
	charged("b=2,a=001,count=0,bytes=0", 1, 0, "count=1,bytes=0=;a=1;b=2");
	charged("count=5,bytes=7=;countHardLimit=3;byteHardLimit=4;ab=1;a=2;ab=9", 0, 0,
		"count=5,bytes=7=;a=2;ab=9;byteHardLimit=4;countHardLimit=3");
	charged("a=1;b=1;c=1;d=1;e=1;f=1;g=1;h=1;i=1", 0, 0,
		"count=-1,bytes=-1=;a=1;b=1;c=1;d=1;e=1;f=1;g=1;h=1");
	charged("count=9223372036854775807", 1, 0, "count=-9223372036854775808,bytes=-1");
	/* one key that just fits beside "count=-1,bytes=-1=;" and "=7", and one more byte */
	memset(longest, 'k', sizeof(longest));
	memcpy(longest + QUOTA_TEXT_MAX - 21, "=7", 3);
	memcpy(want, "count=-1,bytes=-1=;", 19);
	memcpy(want + 19, longest, strlen(longest) + 1);
	assert_int_equal(strlen(want), QUOTA_TEXT_MAX);
	charged(longest, 0, 0, want);
	memcpy(longest + QUOTA_TEXT_MAX - 21, "k=7", 4);
	charged(longest, 0, 0, "count=-1,bytes=-1");
}

/* ---- who is charged --- */

static struct zk_span path_in(const char *path, const char *name, char *buf)
{
	const char *part[] = {q, path, "/", name};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		assert_true(n + strlen(part[i]) < PATH_MAX_BYTES);
		memcpy(buf + n, part[i], strlen(part[i]) + 1);
		n += strlen(part[i]);
	}
	return zk_span_str(buf);
}

static void make(struct fix *f, const char *path, const char *data)
{
	begin(f);
	ok(tree_create(f->t, zk_span_str(path), zk_span_str(data), none, 0, -1));
	tree_end(f->t);
}

static void drop(struct fix *f, const char *path)
{
	begin(f);
	ok(del(f, path));
	tree_end(f->t);
}

static void put(struct fix *f, const char *path, const char *data)
{
	begin(f);
	ok(set(f, path, data, 1));
	tree_end(f->t);
}

/* The nodes that lead to the quota of @p path, and its two; as setquota does. */
static void quota(struct fix *f, const char *path)
{
	char buf[PATH_MAX_BYTES];

	for (size_t n = 1; n <= strlen(path); n++) {
		if (path[n] != '/' && path[n] != 0)
			continue;
		snprintf(buf, sizeof(buf), "%s%.*s", q, (int)n, path);
		if (!exists(f, buf, UINT64_MAX))
			make(f, buf, "");
	}
	path_in(path, "zookeeper_limits", buf);
	make(f, buf, "count=10,bytes=100");
	path_in(path, "zookeeper_stats", buf);
	make(f, buf, "count=0,bytes=0");
}

static void stats_are(struct fix *f, const char *path, uint64_t zxid, const char *want)
{
	char buf[PATH_MAX_BYTES];
	struct tree_ref ref;

	assert_true(tree_find(f->t, path_in(path, "zookeeper_stats", buf), zxid, &ref));
	assert_int_equal(tree_data(ref).n, strlen(want));
	assert_memory_equal(tree_data(ref).p, want, strlen(want));
}

static void newest(struct fix *f, const char *path, const char *want)
{
	stats_are(f, path, UINT64_MAX, want);
}

static void every_change_is_charged(void **state)
{
	struct fix *f = *state;

	make(f, "/a", "12345");
	make(f, "/a/b", "678");
	quota(f, "/a");
	newest(f, "/a", "count=2,bytes=8");
	make(f, "/a/c", "9");
	newest(f, "/a", "count=3,bytes=9");
	put(f, "/a/c", "abcdefgh");
	newest(f, "/a", "count=3,bytes=16");
	begin(f);
	ok(tree_set_data(f->t, zk_span_str("/a/c"), none, 2));
	tree_end(f->t);
	newest(f, "/a", "count=3,bytes=8");
	drop(f, "/a/b");
	newest(f, "/a", "count=2,bytes=5");
	make(f, "/ab", "no business of /a");
	make(f, "/ab/a", "neither");
	newest(f, "/a", "count=2,bytes=5");
	drop(f, "/a/c");
	drop(f, "/a");
	newest(f, "/a", "count=0,bytes=0");
	begin(f);
	assert_int_equal(create(f, "/a/x"), ZK_NONODE);
	assert_int_equal(del(f, "/a/x"), ZK_NONODE);
	assert_int_equal(set(f, "/a/x", "1", 1), ZK_NONODE);
	tree_end(f->t);
	newest(f, "/a", "count=0,bytes=0");
}

static void the_longest_is_charged(void **state)
{
	struct fix *f = *state;

	make(f, "/a", "1");
	make(f, "/a/b", "22");
	make(f, "/a/b/c", "333");
	quota(f, "/a/b");
	quota(f, "/a"); /* counts all below, the part of the other quota too */
	newest(f, "/a", "count=3,bytes=6");
	newest(f, "/a/b", "count=2,bytes=5");
	make(f, "/a/b/d", "4444");
	newest(f, "/a", "count=3,bytes=6");
	newest(f, "/a/b", "count=3,bytes=9");
	make(f, "/a/bb", "55555");
	newest(f, "/a", "count=4,bytes=11");
	drop(f, "/zookeeper/quota/a/b/zookeeper_limits");
	make(f, "/a/b/e", "7");
	newest(f, "/a/b", "count=3,bytes=9");
	newest(f, "/a", "count=5,bytes=12");
	make(f, "/zookeeper/quota/a/b/zookeeper_limits", "");
	make(f, "/a/b/f", "");
	newest(f, "/a/b", "count=4,bytes=9");
	newest(f, "/a", "count=5,bytes=12");
}

static void what_is_no_quota(void **state)
{
	struct fix *f = *state;

	/* the root has none, but its usage is counted once, as Apache does */
	make(f, "/zookeeper/quota/zookeeper_limits", "count=1");
	make(f, "/zookeeper/quota/zookeeper_stats", "");
	newest(f, "", "count=6,bytes=7");
	make(f, "/a", "1");
	newest(f, "", "count=6,bytes=7");
	drop(f, "/zookeeper/quota/zookeeper_limits");
	drop(f, "/zookeeper/quota/zookeeper_stats");
	/* names that only look like it */
	make(f, "/zookeeper/quotaa", "");
	make(f, "/zookeeper/quotaa/zookeeper_limits", "");
	make(f, "/zookeeper_limits", "");
	make(f, "/zookeeper/quota/a", "");
	make(f, "/zookeeper/quota/a/zookeeper_limit", "");
	make(f, "/zookeeper/quota/a/zookeeper_stats", "x");
	make(f, "/a/b", "1");
	newest(f, "/a", "count=1,bytes=1");
	assert_null(tree_quota_find(f->t, zk_span_str("/a/b")));
	/* no node for the usage */
	drop(f, "/zookeeper/quota/a/zookeeper_stats");
	make(f, "/zookeeper/quota/a/zookeeper_limits", "");
	make(f, "/a/c", "1");
	make(f, "/zookeeper/quota/a/zookeeper_stats", "");
	newest(f, "/a", "count=3,bytes=3");
	/* usage of a path that is not there */
	quota(f, "/none/such");
	newest(f, "/none/such", "count=0,bytes=0");
}

/* Readers see the usage that belongs to what they see; no watch fires, no stat field moves. */
static void usage_belongs_to_the_transaction(void **state)
{
	struct fix *f = *state;
	struct tree_change c;
	struct zk_stat before, after;
	unsigned records = 0;

	make(f, "/a", "1");
	quota(f, "/a");
	before = stat_of(f, "/zookeeper/quota/a/zookeeper_stats");
	assert_int_equal(before.data_length, strlen("count=1,bytes=1"));
	catch_up(f);
	begin(f);
	for (int i = 0; i < 12; i++) { /* grows by a digit on the way */
		char path[32];

		snprintf(path, sizeof(path), "/a/%d", i);
		ok(create(f, path));
	}
	tree_end(f->t);
	stats_are(f, "/a", f->zxid - 1, "count=1,bytes=1");
	stats_are(f, "/a", f->zxid, "count=13,bytes=49");
	for (; tree_change_next(f->r, &c); records++) {
		if (c.kind == TREE_CHANGE_END)
			tree_reader_advance(f->r, c.zxid);
		else
			assert_memory_equal(tree_path(c.node).p, "/a/", 3);
	}
	assert_int_equal(records, 13);
	after = stat_of(f, "/zookeeper/quota/a/zookeeper_stats");
	assert_int_equal(after.data_length, strlen("count=13,bytes=49"));
	after.data_length = before.data_length;
	uint8_t a[ZK_STAT_BYTES], b[ZK_STAT_BYTES];
	struct jute_out out_a = jute_out_of(a, sizeof(a)), out_b = jute_out_of(b, sizeof(b));

	jute_put_stat(&out_a, &before);
	jute_put_stat(&out_b, &after);
	assert_memory_equal(a, b, sizeof(a));
	collect_all(f);
	newest(f, "/a", "count=13,bytes=49");
}

/* Setting the same usage again makes no version. */
static void no_change_no_version(void **state)
{
	struct fix *f = *state;

	make(f, "/a", "1");
	quota(f, "/a");
	catch_up(f);
	collect_all(f);
	uint64_t was = stats(f).versions;

	put(f, "/a", "2");
	assert_int_equal(stats(f).versions, was + 1);
	put(f, "/a", "33");
	assert_int_equal(stats(f).versions, was + 3);
	newest(f, "/a", "count=1,bytes=2");
	/* what a client writes into it is believed, as by Apache */
	put(f, "/zookeeper/quota/a/zookeeper_stats", "count=70,bytes=80,x=1");
	make(f, "/a/b", "4");
	newest(f, "/a", "count=71,bytes=81=;x=1");
}

/* ---- promises --- */

static void promises_outlive_the_quota(void **state)
{
	struct fix *f = *state;
	struct tree_quota *a;
	int64_t count, bytes;

	make(f, "/a", "1");
	quota(f, "/a");
	a = tree_quota_find(f->t, zk_span_str("/a/b"));
	assert_non_null(a);
	tree_quota_promise(a, 2, 5);
	tree_quota_promise(a, -1, -9);
	drop(f, "/zookeeper/quota/a/zookeeper_limits");
	drop(f, "/zookeeper/quota/a/zookeeper_stats");
	assert_null(tree_quota_find(f->t, zk_span_str("/a/b")));
	quota(f, "/a");
	assert_ptr_equal(tree_quota_find(f->t, zk_span_str("/a/b")), a);
	tree_quota_promised(a, &count, &bytes);
	assert_int_equal(count, 1);
	assert_int_equal(bytes, -4);
	drop(f, "/zookeeper/quota/a/zookeeper_limits");
	drop(f, "/zookeeper/quota/a/zookeeper_stats");
	tree_quota_settle(f->t, a, 2, 5);
	tree_quota_settle(f->t, a, -1, -9);
	assert_int_equal(f->t->quotas.n, 0);
}

/* ---- random changes against a walk --- */

struct run {
	struct fix f;
	uint64_t rng;
	char paths[1 + NAMES + NAMES * NAMES + NAMES * NAMES * NAMES][16];
	unsigned n;
	char *want[64]; /* text per path, NULL: no stats node */
};

static unsigned rnd(struct run *u, unsigned n)
{
	u->rng += 0x9e3779b97f4a7c15u;
	return (unsigned)((zk_mix64(u->rng) >> 32) % n);
}

static void all_paths(struct run *u)
{
	unsigned from = 0, to;

	u->paths[0][0] = 0;
	u->n = 1;
	for (int depth = 0; depth < 3; depth++, from = to) {
		to = u->n;
		for (unsigned i = from; i < to; i++)
			for (unsigned k = 0; k < NAMES; k++)
				snprintf(u->paths[u->n++], sizeof(u->paths[0]), "%s/%.*s",
					 u->paths[i], (int)k + 1, "nnn");
	}
}

static bool under(const char *path, const char *top)
{
	size_t n = strlen(top);

	return strncmp(path, top, n) == 0 && (path[n] == 0 || path[n] == '/');
}

static bool has(struct run *u, const char *path, const char *name, struct tree_ref *ref)
{
	char buf[PATH_MAX_BYTES];

	return tree_find_newest(u->f.t, path_in(path, name, buf), ref);
}

/* The quota that counts @p path, by trying every path. */
static int naive_quota(struct run *u, const char *path)
{
	struct tree_ref ref;
	int best = -1;

	for (unsigned i = 1; i < u->n; i++)
		if (under(path, u->paths[i]) && has(u, u->paths[i], "zookeeper_limits", &ref) &&
		    (best < 0 || strlen(u->paths[i]) > strlen(u->paths[best])))
			best = (int)i;
	return best;
}

static void naive_text(struct run *u, unsigned i, int64_t count, int64_t bytes)
{
	free(u->want[i]);
	assert_true(asprintf(&u->want[i], "count=%lld,bytes=%lld", (long long)count,
			     (long long)bytes) > 0);
}

static void naive_count(struct run *u, unsigned i)
{
	int64_t count = 0, bytes = 0;
	struct tree_ref ref;

	for (unsigned k = 1; k < u->n; k++) {
		if (!under(u->paths[k], u->paths[i]) ||
		    !tree_find_newest(u->f.t, zk_span_str(u->paths[k]), &ref))
			continue;
		count++;
		bytes += (int64_t)tree_data(ref).n;
	}
	naive_text(u, i, count, bytes);
}

static void naive_charge(struct run *u, const char *path, int64_t count, int64_t bytes)
{
	int i = naive_quota(u, path);
	long long c, b;

	if (i < 0 || !u->want[i])
		return;
	assert_int_equal(sscanf(u->want[i], "count=%lld,bytes=%lld", &c, &b), 2);
	naive_text(u, (unsigned)i, c + count, b + bytes);
}

static void random_data_op(struct run *u)
{
	static const char bytes[300] = "data";
	const char *path = u->paths[1 + rnd(u, u->n - 1)];
	struct zk_span p = zk_span_str(path), data = zk_span_of(bytes, rnd(u, 2) ? 5 : rnd(u, 300));
	struct tree_ref ref;
	bool there = tree_find_newest(u->f.t, p, &ref);
	int64_t old = there ? (int64_t)tree_data(ref).n : 0;

	switch (rnd(u, 5)) {
	case 0:
	case 1:
		if (tree_create(u->f.t, p, data, none, 0, -1) == ZK_EOK)
			naive_charge(u, path, 1, (int64_t)data.n);
		break;
	case 2:
		if (there && tree_set_data(u->f.t, p, data, 1) == ZK_EOK)
			naive_charge(u, path, 0, (int64_t)data.n - old);
		break;
	default: {
		struct tree_raw raw = {0};

		if (there)
			tree_raw(ref, &raw);
		if (there && raw.children == 0 && tree_delete(u->f.t, p) == ZK_EOK)
			naive_charge(u, path, -1, -old);
		break;
	}
	}
}

static void random_quota_op(struct run *u)
{
	unsigned i = 1 + rnd(u, u->n - 1);
	bool limits = rnd(u, 2);
	const char *name = limits ? "zookeeper_limits" : "zookeeper_stats";
	char buf[PATH_MAX_BYTES], up[PATH_MAX_BYTES];
	struct tree_ref ref;
	struct zk_span p;

	if (has(u, u->paths[i], name, &ref)) {
		ok(tree_delete(u->f.t, path_in(u->paths[i], name, buf)));
		if (!limits) {
			free(u->want[i]);
			u->want[i] = NULL;
		}
		return;
	}
	for (size_t n = 1; n <= strlen(u->paths[i]); n++) {
		if (u->paths[i][n] != '/' && u->paths[i][n] != 0)
			continue;
		snprintf(up, sizeof(up), "%s%.*s", q, (int)n, u->paths[i]);
		if (!exists(&u->f, up, UINT64_MAX))
			ok(create(&u->f, up));
	}
	p = path_in(u->paths[i], name, buf);
	ok(tree_create(u->f.t, p, zk_span_str("x"), none, 0, -1));
	if (!limits)
		naive_count(u, i);
}

static void compare(struct run *u)
{
	for (unsigned i = 1; i < u->n; i++) {
		struct tree_quota *found = tree_quota_find(u->f.t, zk_span_str(u->paths[i]));
		int want = naive_quota(u, u->paths[i]);
		struct zk_span text;

		assert_int_equal(found != NULL, want >= 0);
		if (found && tree_quota_stats(found, &text)) {
			assert_int_equal(text.n, strlen(u->want[want]));
			assert_memory_equal(text.p, u->want[want], text.n);
		}
		if (u->want[i])
			newest(&u->f, u->paths[i], u->want[i]);
	}
}

static void open_run(struct run *u, bool reader)
{
	struct tree_conf conf = fix_conf(&u->f.mem);

	zk_mem_init_heap(&u->f.mem, 0);
	ok(tree_new(&conf, &u->f.t));
	u->f.r = reader ? tree_reader_add(u->f.t) : NULL;
	all_paths(u);
}

static void close_run(struct run *u)
{
	for (unsigned i = 0; i < u->n; i++)
		free(u->want[i]);
	tree_free(u->f.t);
	assert_int_equal(u->f.mem.used_bytes, 0);
}

static void random_against_a_walk(void **state)
{
	static struct run u;
	const char *seed = getenv("QUOTA_SEED");

	(void)state;
	memset(&u, 0, sizeof(u));
	u.rng = seed ? strtoull(seed, NULL, 0) : 1;
	open_run(&u, true);
	for (int i = 0; i < STEPS; i++) {
		begin(&u.f);
		for (unsigned k = 1 + rnd(&u, 4); k > 0; k--) {
			if (rnd(&u, 4))
				random_data_op(&u);
			else
				random_quota_op(&u);
		}
		tree_end(u.f.t);
		if (i % 4 == 0)
			compare(&u);
		if (rnd(&u, 3) == 0) {
			catch_up(&u.f);
			collect_all(&u.f);
		}
	}
	close_run(&u);
}

/* Wrong texts and a lost trie become what a walk says. */
static void rebuild_counts_anew(void **state)
{
	static struct run u;

	(void)state;
	for (unsigned seed = 1; seed <= 40; seed++) {
		memset(&u, 0, sizeof(u));
		u.rng = seed;
		open_run(&u, false);
		begin(&u.f);
		for (int i = 0; i < 300; i++) {
			if (rnd(&u, 3))
				random_data_op(&u);
			else
				random_quota_op(&u);
		}
		for (unsigned i = 1; i < u.n; i++) {
			struct tree_ref ref;
			char buf[PATH_MAX_BYTES];

			if (!u.want[i])
				continue;
			ok(tree_set_data(u.f.t, path_in(u.paths[i], "zookeeper_stats", buf),
					 zk_span_str("count=7,bytes=7"), 1));
			if (has(&u, u.paths[i], "zookeeper_limits", &ref))
				naive_count(&u, i);
			else
				naive_text(&u, i, 7, 7);
		}
		tree_end(u.f.t);
		assert_int_equal(tree_quota_rebuild(u.f.t), ZK_EOK);
		assert_int_equal(tree_quota_rebuild(u.f.t), ZK_EOK);
		compare(&u);
		begin(&u.f);
		for (int i = 0; i < 50; i++)
			random_data_op(&u);
		tree_end(u.f.t);
		compare(&u);
		close_run(&u);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_read_as_java_does),
		cmocka_unit_test(texts_are_written_as_java_does),
		cmocka_unit_test_setup_teardown(every_change_is_charged, fix_set_up, fix_tear_down),
		cmocka_unit_test_setup_teardown(the_longest_is_charged, fix_set_up, fix_tear_down),
		cmocka_unit_test_setup_teardown(what_is_no_quota, fix_set_up, fix_tear_down),
		cmocka_unit_test_setup_teardown(usage_belongs_to_the_transaction, fix_set_up,
						fix_tear_down),
		cmocka_unit_test_setup_teardown(no_change_no_version, fix_set_up, fix_tear_down),
		cmocka_unit_test_setup_teardown(promises_outlive_the_quota, fix_set_up,
						fix_tear_down),
		cmocka_unit_test(random_against_a_walk),
		cmocka_unit_test(rebuild_counts_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
