/* SPDX-License-Identifier: Apache-2.0 */
/* One writer, three readers, a reclaimer that waits for grace periods: liburcu-qsbr as in the
 * server. Multis move value between accounts which also come and go; every reader must find the
 * same sum at every zxid, in one go and resumed under a pin. TORTURE_S: seconds. */
#include "core/base/assert.h"
#include "core/tree/tree.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <urcu-qsbr.h>

#include <cmocka.h>

enum { READERS = 3, ACCOUNTS = 96, TOTAL = 1000000, QUEUE_MAX = 3000, SEED = 20 };

struct shared {
	struct zk_mem mem;
	struct tree *tree;
	struct tree_reader *readers[READERS];
	_Atomic bool stop; /* readers and reclaimer */
	_Atomic bool writer_stop;
	_Atomic unsigned readers_on;
	/* release before a quiescent point, acquire after the grace period: what liburcu orders
	 * inside, said again where a thread sanitizer can see it */
	_Atomic uint64_t quiescent[READERS];
	/* mailbox: writer -> reclaimer -> writer, release and acquire both ways */
	_Atomic(struct tree_garbage *) to_wait, waited;
	_Atomic uint64_t sums, resumed, events, transactions, batches, finds;
};

static struct shared S;

struct account {
	bool exists;
	uint64_t value;
};

struct writer {
	struct account acc[ACCOUNTS];
	uint64_t rng, zxid, q_head, q_tail;
	struct tree_garbage *back;
};

static uint32_t rnd(uint64_t *rng, uint32_t n)
{
	*rng += 0x9e3779b97f4a7c15u;
	return (uint32_t)((zk_mix64(*rng) >> 32) % n);
}

static void acc_path(unsigned i, char out[16])
{
	snprintf(out, 16, "/acc/%03u", i);
}

/* Value, then bytes that only fit to this value, of a length that only fits to it. */
static size_t encode(uint64_t value, uint8_t out[512])
{
	size_t n = 16 + (size_t)(zk_mix64(value) % 400);

	memcpy(out, &value, 8);
	memset(out + 8, (int)(zk_mix64(value) >> 56), n - 8);
	return n;
}

static uint64_t decode(struct zk_span d)
{
	uint8_t want[512];
	uint64_t value;

	if (d.n < 16)
		abort();
	memcpy(&value, d.p, 8);
	if (encode(value, want) != d.n || memcmp(want, d.p, d.n) != 0)
		abort();
	return value;
}

/* ---- writer --- */

static void put_account(struct writer *w, unsigned i, uint64_t value)
{
	uint8_t bytes[512];
	char path[16];
	size_t n = encode(value, bytes);
	enum zk_err err;

	acc_path(i, path);
	if (w->acc[i].exists)
		err = tree_set_data(S.tree, zk_span_str(path), zk_span_of(bytes, n), 1);
	else
		err = tree_create(S.tree, zk_span_str(path), zk_span_of(bytes, n),
				  (struct zk_span){NULL, 0}, 0, -1);
	zk_assert(err == ZK_EOK);
	w->acc[i] = (struct account){true, value};
}

static void move_value(struct writer *w)
{
	unsigned from = rnd(&w->rng, ACCOUNTS), to = rnd(&w->rng, ACCOUNTS);
	uint64_t all = w->acc[from].value, part;
	char path[16];

	if (from == to || !w->acc[from].exists)
		return;
	if (rnd(&w->rng, 3) == 0) { /* close the account */
		acc_path(from, path);
		enum zk_err err = tree_delete(S.tree, zk_span_str(path));

		zk_assert(err == ZK_EOK);
		w->acc[from] = (struct account){false, 0};
		put_account(w, to, w->acc[to].value + all);
		return;
	}
	part = all ? rnd(&w->rng, (uint32_t)all) : 0;
	put_account(w, from, all - part);
	put_account(w, to, w->acc[to].value + part);
}

/* A queue that grows and drains: child tables and the index fill and empty. */
static void queue_step(struct writer *w)
{
	bool push = w->q_tail == w->q_head ||
		    (w->q_tail - w->q_head < QUEUE_MAX && (w->zxid / 4000) % 2 == 0);
	char path[32];
	enum zk_err err;

	snprintf(path, sizeof(path), "/q/%010llu",
		 (unsigned long long)(push ? w->q_tail : w->q_head));
	if (push) {
		w->q_tail++;
		err = tree_create(S.tree, zk_span_str(path), zk_span_str(path),
				  (struct zk_span){NULL, 0}, 77, -1);
	} else {
		w->q_head++;
		err = tree_delete(S.tree, zk_span_str(path));
	}
	zk_assert(err == ZK_EOK);
}

static void reclaim_step(struct writer *w)
{
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

static void *writer(void *arg)
{
	struct writer *w = arg;

	while (!atomic_load_explicit(&S.writer_stop, memory_order_relaxed)) {
		reclaim_step(w);
		if (tree_changes_full(S.tree)) {
			sched_yield();
			continue;
		}
		w->zxid++;
		tree_begin(S.tree, w->zxid, (int64_t)w->zxid);
		for (unsigned n = 1 + rnd(&w->rng, 6); n; n--)
			move_value(w);
		queue_step(w);
		queue_step(w);
		tree_end(S.tree);
		atomic_fetch_add_explicit(&S.transactions, 1, memory_order_relaxed);
	}
	return NULL;
}

/* ---- readers --- */

struct listing {
	uint64_t cursor, sum;
	unsigned n;
	bool seen[ACCOUNTS];
};

/* Count up to @p budget children more; true at the end. */
static bool list_more(struct listing *l, uint64_t zxid, unsigned budget)
{
	const struct tree_node *c;
	struct tree_ref acc, ref, up;

	if (!tree_find(S.tree, zk_span_str("/acc"), zxid, &acc))
		abort();
	for (; budget; budget--) {
		if (!tree_child_next(acc, zxid, &l->cursor, 8, &c)) {
			struct zk_stat st;

			tree_stat(acc, &st);
			if ((unsigned)st.num_children != l->n || l->sum != TOTAL) {
				printf("zxid %llu: %d children, %u listed, sum %llu\n",
				       (unsigned long long)zxid, st.num_children, l->n,
				       (unsigned long long)l->sum);
				abort();
			}
			return true;
		}
		if (!c)
			continue;
		if (!tree_find(S.tree, tree_path(c), zxid, &ref) || ref.node != c)
			abort();
		if (!tree_parent(ref, zxid, &up) || up.version != acc.version)
			abort();

		const uint8_t *d = tree_name(c).p;
		unsigned i = (d[0] - '0') * 100u + (d[1] - '0') * 10u + (d[2] - '0');

		if (i >= ACCOUNTS || l->seen[i])
			abort();
		l->seen[i] = true;
		l->n++;
		l->sum += decode(tree_data(ref));
	}
	return false;
}

static void quiesce(unsigned me)
{
	/* partner: acquire in reclaimer() */
	atomic_fetch_add_explicit(&S.quiescent[me], 1, memory_order_release);
	rcu_quiescent_state();
}

static void check_queue(uint64_t zxid)
{
	const struct tree_node *c;
	struct tree_ref q, ref;
	uint64_t cursor = 0, n = 0;
	struct zk_stat st;

	if (!tree_find(S.tree, zk_span_str("/q"), zxid, &q))
		abort();
	while (tree_child_next(q, zxid, &cursor, 64, &c)) {
		if (!c)
			continue;
		n++;
		if (!tree_ref_at(c, zxid, &ref) || !zk_span_eq(tree_data(ref), tree_path(c)))
			abort();
	}
	tree_stat(q, &st);
	if ((uint64_t)st.num_children != n)
		abort();
}

static void catch_up(struct tree_reader *r, unsigned changes)
{
	struct tree_change c;

	for (; changes && tree_change_next(r, &c); changes--) {
		uint64_t next = tree_visible(r) + 1;

		if (c.zxid != next || (!c.node && c.acl))
			abort();
		if (c.node && (tree_path(c.node).n < 3 || !c.acl->open_all))
			abort();
		if (c.kind == TREE_CHANGE_END)
			tree_reader_advance(r, c.zxid);
		atomic_fetch_add_explicit(&S.events, 1, memory_order_relaxed);
	}
}

static void *reader(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	struct tree_reader *r = S.readers[me];
	uint64_t rng = SEED + 100 + me;
	struct listing slow = {0};
	int pin = -1;

	rcu_register_thread();
	atomic_fetch_add_explicit(&S.readers_on, 1, memory_order_release);
	while (!atomic_load_explicit(&S.stop, memory_order_relaxed)) {
		struct listing l = {0};

		while (!list_more(&l, tree_visible(r), ACCOUNTS))
			;
		atomic_fetch_add_explicit(&S.sums, 1, memory_order_relaxed);
		if (pin < 0) {
			pin = tree_pin_take(r, tree_visible(r));
			slow = (struct listing){0};
		} else if (list_more(&slow, tree_pin_zxid(r, pin), 1 + rnd(&rng, 20))) {
			tree_pin_drop(r, pin);
			pin = -1;
			atomic_fetch_add_explicit(&S.resumed, 1, memory_order_relaxed);
		}
		if (rnd(&rng, 64) == 0)
			check_queue(tree_visible(r));
		for (unsigned k = 0; k < 16; k++) {
			char path[16];
			struct tree_ref ref;

			acc_path(rnd(&rng, ACCOUNTS), path);
			if (tree_find(S.tree, zk_span_str(path), tree_visible(r), &ref))
				(void)decode(tree_data(ref));
			atomic_fetch_add_explicit(&S.finds, 1, memory_order_relaxed);
		}
		catch_up(r, 1 + rnd(&rng, 400));
		quiesce(me);
	}
	if (pin >= 0)
		tree_pin_drop(r, pin);
	quiesce(me);
	rcu_unregister_thread();
	return NULL;
}

static void *reclaimer(void *arg)
{
	(void)arg;
	while (!atomic_load_explicit(&S.stop, memory_order_relaxed)) {
		/* partner: release in reclaim_step() */
		struct tree_garbage *g = atomic_load_explicit(&S.to_wait, memory_order_acquire);

		if (!g) {
			nanosleep(&(struct timespec){0, 200000}, NULL);
			continue;
		}
		synchronize_rcu();
		for (unsigned i = 0; i < READERS; i++) /* partner: release in quiesce() */
			(void)atomic_load_explicit(&S.quiescent[i], memory_order_acquire);
		/* `waited` first, so that the writer sees a batch in at least one of them. Partner:
		 * acquire in reclaim_step() */
		atomic_store_explicit(&S.waited, g, memory_order_release);
		atomic_store_explicit(&S.to_wait, NULL, memory_order_release);
	}
	return NULL;
}

/* ---- the run --- */

static void set_up(struct writer *w)
{
	struct tree_conf conf = {.mem = &S.mem,
				 .key = {SEED, 1},
				 .index_slots = 256, /* small: chained buckets too */
				 .changes_soft_max = 4000};
	struct zk_span none = {NULL, 0};

	zk_mem_init_heap(&S.mem, 0);
	assert_int_equal(tree_new(&conf, &S.tree), ZK_EOK);
	*w = (struct writer){.rng = SEED, .zxid = 1};
	tree_begin(S.tree, 1, 1);
	assert_int_equal(tree_create(S.tree, zk_span_str("/acc"), none, none, 0, -1), ZK_EOK);
	assert_int_equal(tree_create(S.tree, zk_span_str("/q"), none, none, 0, -1), ZK_EOK);
	put_account(w, 0, TOTAL);
	tree_end(S.tree);
	for (unsigned i = 0; i < READERS; i++) {
		S.readers[i] = tree_reader_add(S.tree);
		assert_non_null(S.readers[i]);
	}
}

static void torture(void **state)
{
	const char *env = getenv("TORTURE_S");
	unsigned seconds = env ? (unsigned)strtoul(env, NULL, 0) : 10;
	pthread_t readers[READERS], w_thread, c_thread;
	static struct writer w;
	struct tree_garbage *g;
	struct tree_stats st;

	(void)state;
	set_up(&w);
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, reader, (void *)(uintptr_t)i),
				 0);
	while (atomic_load_explicit(&S.readers_on, memory_order_acquire) < READERS)
		sched_yield();
	assert_int_equal(pthread_create(&c_thread, NULL, reclaimer, NULL), 0);
	assert_int_equal(pthread_create(&w_thread, NULL, writer, &w), 0);
	nanosleep(&(struct timespec){seconds, 0}, NULL);
	atomic_store(&S.writer_stop, true);
	pthread_join(w_thread, NULL);
	atomic_store(&S.stop, true);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	pthread_join(c_thread, NULL);

	tree_stats_get(S.tree, &st);
	printf("seed %d: %llu transactions, %llu sums, %llu resumed, %llu finds, %llu events, %llu "
	       "batches freed; %llu nodes, %llu versions, %llu garbage, %llu bytes\n",
	       SEED, (unsigned long long)S.transactions, (unsigned long long)S.sums,
	       (unsigned long long)S.resumed, (unsigned long long)S.finds,
	       (unsigned long long)S.events, (unsigned long long)S.batches,
	       (unsigned long long)st.nodes, (unsigned long long)st.versions,
	       (unsigned long long)st.garbage, (unsigned long long)st.memory_bytes);
	assert_true(S.transactions > 100 && S.sums > 100 && S.resumed > 10 && S.batches > 5);

	/* what was under way: at most one batch, in one or both boxes of the mail */
	g = w.back                   ? w.back
	    : atomic_load(&S.waited) ? atomic_load(&S.waited)
				     : atomic_load(&S.to_wait);
	if (g)
		assert_true(tree_garbage_free(S.tree, g, UINT32_MAX));
	tree_free(S.tree);
	assert_int_equal(S.mem.used_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(torture)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
