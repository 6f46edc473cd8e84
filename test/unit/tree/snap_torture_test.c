/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot thread beside a writer that goes on and a reclaimer that waits for grace periods, as
 * in the server, with liburcu-qsbr: each snapshot is read back and compared with what the writer
 * knew when it took the hold. Now and then the hold is taken away under the snapshot. TORTURE_S:
 * seconds.
 */
#include "core/base/assert.h"
#include "core/rcu.h"
#include "core/server/leader_snap.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { NODES = 1500, GROUPS = 30, SLICE = 16, BUF_BYTES = 4096, IMAGE_MAX = 2 << 20 };

/* What the writer knows: the value of each node, 0 = it does not exist. */
struct known {
	uint64_t value[NODES];
	uint64_t zxid;
	unsigned n;
};

struct shared {
	struct zk_mem mem, walk_mem;
	struct tree *tree;
	struct tree_reader *reader; /* the writer's own: keeps up at once */
	struct snap_desk desk;
	struct known frozen; /* goes with the desk */
	_Atomic bool stop;
	_Atomic unsigned readers_on;
	/* as in torture_test.c: what liburcu orders inside, where a thread sanitizer can see it */
	_Atomic uint64_t quiescent;
	_Atomic(struct tree_garbage *) to_wait, waited;
	_Atomic uint64_t transactions, snapshots, revoked, batches, slices;
};

static struct shared S;

static uint32_t rnd(uint64_t *rng, uint32_t n)
{
	*rng += 0x9e3779b97f4a7c15u;
	return (uint32_t)((zk_mix64(*rng) >> 32) % n);
}

static void path_of(unsigned i, char out[24])
{
	snprintf(out, 24, "/g%02u/%04u", i % GROUPS, i);
}

/* Bytes that only fit to this value, of a length that only fits to it. */
static struct zk_span bytes_of(uint64_t value, uint8_t out[512])
{
	size_t n = 8 + (size_t)(zk_mix64(value) % 400);

	memset(out, (int)(zk_mix64(value) >> 56), n);
	memcpy(out, &value, 8);
	return zk_span_of(out, n);
}

/* ---- writer --- */

struct writer {
	struct known now;
	uint64_t rng, next_value;
	struct tree_garbage *back;
	int hold;
};

static void change(struct writer *w)
{
	static const uint8_t acl[] = "\0\0\0\1\0\0\0\1\0\0\0\6digest\0\0\0\4user";
	unsigned i = rnd(&w->rng, NODES);
	uint64_t *v = &w->now.value[i];
	uint8_t buf[512], jute[sizeof(acl)];
	enum zk_err err;
	char path[24];

	path_of(i, path);
	if (*v && rnd(&w->rng, 3) == 0) {
		err = tree_delete(S.tree, zk_span_str(path));
		*v = 0;
		w->now.n--;
	} else if (*v) {
		*v = ++w->next_value;
		err = tree_set_data(S.tree, zk_span_str(path), bytes_of(*v, buf), 1);
	} else {
		*v = ++w->next_value;
		w->now.n++;
		memcpy(jute, acl, sizeof(acl) - 1);
		jute[7] = (uint8_t)(1 + rnd(&w->rng, 30)); /* lists come and go, too */
		err = tree_create(S.tree, zk_span_str(path), bytes_of(*v, buf),
				  zk_span_of(jute, sizeof(acl) - 1), 0, -1);
	}
	zk_assert(err == ZK_EOK);
}

static void reclaim_step(struct writer *w)
{
	struct tree_change c;

	while (tree_change_next(S.reader, &c))
		if (c.kind == TREE_CHANGE_END)
			tree_reader_advance(S.reader, c.zxid);
	(void)tree_collect(S.tree, 256);
	if (!w->back)
		/* partner: release in reclaimer() */
		w->back = atomic_exchange_explicit(&S.waited, NULL, memory_order_acquire);
	if (w->back && tree_garbage_free(S.tree, w->back, 512)) {
		w->back = NULL;
		atomic_fetch_add_explicit(&S.batches, 1, memory_order_relaxed);
	}
	if (!w->back && !atomic_load_explicit(&S.to_wait, memory_order_relaxed) &&
	    !atomic_load_explicit(&S.waited, memory_order_relaxed)) {
		struct tree_garbage *g = tree_garbage_take(S.tree);

		/* partner: acquire in reclaimer() */
		atomic_store_explicit(&S.to_wait, g, memory_order_release);
	}
}

/* The leader's side of the desk, as in core/server/leader_snap.c. */
static void desk_step(struct writer *w)
{
	switch (atomic_load_explicit(&S.desk.state, memory_order_acquire)) {
	case SNAP_DESK_FREE:
		w->hold = tree_hold_take(S.tree);
		zk_assert(w->hold >= 0);
		S.frozen = w->now;
		S.desk.zxid = w->now.zxid;
		atomic_store_explicit(&S.desk.revoked, false, memory_order_relaxed);
		atomic_store_explicit(&S.desk.state, SNAP_DESK_READY, memory_order_release);
		break;
	case SNAP_DESK_READY:
		if (w->hold < 0 || rnd(&w->rng, 1500) != 0)
			break;
		atomic_store_explicit(&S.desk.revoked, true, memory_order_release);
		tree_hold_drop(S.tree, w->hold);
		w->hold = -1;
		break;
	default:
		if (w->hold >= 0)
			tree_hold_drop(S.tree, w->hold);
		w->hold = -1;
		atomic_store_explicit(&S.desk.state, SNAP_DESK_FREE, memory_order_relaxed);
	}
}

static void *writer(void *arg)
{
	struct writer *w = arg;

	while (!atomic_load_explicit(&S.stop, memory_order_relaxed)) {
		reclaim_step(w);
		desk_step(w);
		w->now.zxid++;
		tree_begin(S.tree, w->now.zxid, 1);
		for (unsigned n = 1 + rnd(&w->rng, 6); n; n--)
			change(w);
		tree_end(S.tree);
		atomic_fetch_add_explicit(&S.transactions, 1, memory_order_relaxed);
	}
	return NULL;
}

/* ---- snapshot thread --- */

static void check_node(const struct snap_node *n, uint64_t digest_of[1], unsigned *seen)
{
	uint8_t buf[512];
	unsigned long i;

	*digest_of += store_node_digest(n->path, n->data, &n->stat);
	if (n->path.n < 6 || n->path.p[1] != 'g')
		return;
	i = strtoul((const char *)n->path.p + 5, NULL, 10);
	if (i >= NODES || S.frozen.value[i] == 0 ||
	    !zk_span_eq(n->data, bytes_of(S.frozen.value[i], buf)) || n->acl_key < 1 ||
	    n->stat.mzxid > S.frozen.zxid)
		abort();
	++*seen;
}

static void check_image(const uint8_t *image, size_t n)
{
	struct snap_reader r;
	struct snap_item it;
	uint64_t digest = 0;
	enum snap_step step;
	unsigned seen = 0;
	bool compared = false;

	snap_reader_init(&r, 1 << 20);
	do {
		step = snap_next(&r, zk_span_of(image + r.at, n - r.at), true, &it);
		if (step == SNAP_NODE)
			check_node(&it.node, &digest, &seen);
		else if (step == SNAP_DIGEST)
			compared = it.digest.tree == digest && it.digest.zxid == S.frozen.zxid;
		else if (step == SNAP_BAD || step == SNAP_MORE)
			abort();
	} while (step != SNAP_END);
	if (seen != S.frozen.n || !compared)
		abort();
}

static void quiesce(void)
{
	/* partner: acquire in reclaimer() */
	atomic_fetch_add_explicit(&S.quiescent, 1, memory_order_release);
	zk_rcu_quiescent();
}

static void one_snapshot(uint8_t *image, uint64_t *rng)
{
	struct snap_tree_conf c = {
		.tree = S.tree, .mem = &S.walk_mem, .zxid = S.desk.zxid, .digest = true};
	enum zk_err err = ZK_EAGAIN;
	struct snap_tree s;
	size_t n = 0;

	zk_assert(snap_tree_init(&s, &c) == ZK_EOK);
	while (err != ZK_EOK && !atomic_load_explicit(&S.stop, memory_order_relaxed)) {
		struct jute_out out = jute_out_of(image + n, BUF_BYTES);

		zk_assert(n + BUF_BYTES <= IMAGE_MAX);
		if (!snap_desk_revoked(&S.desk))
			err = snap_tree_next(&s, &out, SLICE);
		if (snap_desk_revoked(&S.desk)) {
			atomic_fetch_add_explicit(&S.revoked, 1, memory_order_relaxed);
			err = ZK_EBUSY;
			break;
		}
		zk_assert(err == ZK_EOK || err == ZK_EAGAIN || err == ZK_EFULL);
		n += jute_out_len(&out);
		quiesce();
		atomic_fetch_add_explicit(&S.slices, 1, memory_order_relaxed);
		if (rnd(rng, 50) == 0) { /* at the disk */
			zk_rcu_offline();
			sched_yield();
			zk_rcu_online();
		}
	}
	snap_tree_fini(&s);
	if (err == ZK_EOK) {
		check_image(image, n);
		atomic_fetch_add_explicit(&S.snapshots, 1, memory_order_relaxed);
	}
	snap_desk_done(&S.desk);
}

static void *snapshots(void *arg)
{
	uint8_t *image = malloc(IMAGE_MAX);
	uint64_t rng = 77;

	(void)arg;
	zk_assert(image);
	zk_rcu_register();
	atomic_fetch_add_explicit(&S.readers_on, 1, memory_order_release);
	while (!atomic_load_explicit(&S.stop, memory_order_relaxed)) {
		if (snap_desk_ready(&S.desk))
			one_snapshot(image, &rng);
		else
			sched_yield();
		quiesce();
	}
	zk_rcu_unregister();
	free(image);
	return NULL;
}

static void *reclaimer(void *arg)
{
	(void)arg;
	while (!atomic_load_explicit(&S.stop, memory_order_relaxed)) {
		/* partner: release in reclaim_step() */
		struct tree_garbage *g = atomic_load_explicit(&S.to_wait, memory_order_acquire);

		if (!g) {
			nanosleep(&(struct timespec){0, 100000}, NULL);
			continue;
		}
		zk_rcu_synchronize();
		/* partner: release in quiesce() */
		(void)atomic_load_explicit(&S.quiescent, memory_order_acquire);
		/* partner: acquire in reclaim_step() */
		atomic_store_explicit(&S.waited, g, memory_order_release);
		atomic_store_explicit(&S.to_wait, NULL, memory_order_release);
	}
	return NULL;
}

/* ---- the run --- */

static void set_up(struct writer *w)
{
	struct tree_conf conf = {.mem = &S.mem,
				 .key = {20, 1},
				 .index_slots = 256,
				 .changes_soft_max = 4000,
				 .digest = true};
	struct zk_span none = {NULL, 0};

	zk_mem_init_heap(&S.mem, 0);
	zk_mem_init_heap(&S.walk_mem, 0);
	snap_desk_init(&S.desk, NULL, 0);
	assert_int_equal(tree_new(&conf, &S.tree), ZK_EOK);
	S.reader = tree_reader_add(S.tree);
	*w = (struct writer){.rng = 20, .hold = -1, .now = {.zxid = 1}};
	tree_begin(S.tree, 1, 1);
	for (unsigned g = 0; g < GROUPS; g++) {
		char path[24];

		snprintf(path, sizeof(path), "/g%02u", g);
		assert_int_equal(tree_create(S.tree, zk_span_str(path), none, none, 0, -1), ZK_EOK);
	}
	tree_end(S.tree);
}

static void torture(void **state)
{
	const char *env = getenv("TORTURE_S");
	unsigned seconds = env ? (unsigned)strtoul(env, NULL, 0) : 10;
	pthread_t w_thread, s_thread, c_thread;
	static struct writer w;
	struct tree_garbage *g;

	(void)state;
	set_up(&w);
	assert_int_equal(pthread_create(&s_thread, NULL, snapshots, NULL), 0);
	while (atomic_load_explicit(&S.readers_on, memory_order_acquire) == 0)
		sched_yield();
	assert_int_equal(pthread_create(&c_thread, NULL, reclaimer, NULL), 0);
	assert_int_equal(pthread_create(&w_thread, NULL, writer, &w), 0);
	nanosleep(&(struct timespec){seconds, 0}, NULL);
	atomic_store(&S.stop, true);
	pthread_join(w_thread, NULL);
	pthread_join(s_thread, NULL);
	pthread_join(c_thread, NULL);
	printf("%llu transactions, %llu snapshots in %llu slices, %llu taken away, %llu batches "
	       "freed\n",
	       (unsigned long long)S.transactions, (unsigned long long)S.snapshots,
	       (unsigned long long)S.slices, (unsigned long long)S.revoked,
	       (unsigned long long)S.batches);
	assert_true(S.transactions > 100 && S.snapshots > 5 && S.batches > 5);
	g = w.back                   ? w.back
	    : atomic_load(&S.waited) ? atomic_load(&S.waited)
				     : atomic_load(&S.to_wait);
	if (g)
		assert_true(tree_garbage_free(S.tree, g, UINT32_MAX));
	tree_free(S.tree);
	assert_int_equal(S.mem.used_bytes, 0);
	assert_int_equal(S.walk_mem.used_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(torture)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
