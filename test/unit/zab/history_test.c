/* SPDX-License-Identifier: Apache-2.0 */
/* What recovery replays, and what must be kept. */
#include "core/zab/history.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const uint64_t epoch1 = UINT64_C(1) << 32, epoch2 = UINT64_C(2) << 32,
		      epoch3 = UINT64_C(3) << 32;

static struct zk_mem mem;

static void make(struct history *h)
{
	zk_mem_init_heap(&mem, 0);
	assert_int_equal(history_init(h, &mem, 64, 4096, 0), ZK_EOK);
}

static void done(struct history *h)
{
	history_fini(h);
	assert_int_equal(mem.used_bytes, 0);
}

static void replay(struct history *h, uint64_t from, uint64_t to)
{
	for (; from <= to; from++)
		history_replay(h, from, zk_span_str("transaction"), 0);
}

static void goes_on_over_epochs(void **state)
{
	struct history h;

	(void)state;
	make(&h);
	replay(&h, epoch1 + 3, epoch1 + 9);
	replay(&h, epoch2 + 1, epoch2 + 2);
	history_replayed(&h, epoch2 + 2);
	assert_true(history_covers(&h, epoch1 + 2));
	assert_false(history_covers(&h, epoch1 + 1));
	assert_int_equal(history_after(&h, epoch1 + 9)->zxid, epoch2 + 1);
	assert_int_equal(history_last(&h), epoch2 + 2);
	assert_int_equal(h.committed, epoch2 + 2);
	done(&h);
}

/* What is before a hole is of no use to anybody; the newest that fit are kept. */
static void holes(void **state)
{
	struct history h;

	(void)state;
	make(&h);
	replay(&h, epoch1 + 3, epoch1 + 9);
	replay(&h, epoch3 + 7, epoch3 + 200);
	history_replayed(&h, epoch3 + 200);
	assert_true(history_covers(&h, epoch3 + 136));
	assert_false(history_covers(&h, epoch3 + 135));
	done(&h);
}

static void state_is_newer(void **state)
{
	struct history h;

	(void)state;
	make(&h);
	replay(&h, epoch1 + 3, epoch1 + 9);
	history_replayed(&h, epoch3);
	assert_false(history_covers(&h, epoch1 + 9));
	assert_int_equal(history_last(&h), epoch3);
	assert_null(history_after(&h, 0));
	done(&h);
}

/* Nothing leaves that is not applied, nor what is not committed; and there is room when it may. */
static void keeps(void **state)
{
	struct history h;
	uint64_t zxid = epoch1;
	struct zk_span txn = zk_span_str("transaction");

	(void)state;
	make(&h);
	history_reset(&h, epoch1);
	while (history_append(&h, ++zxid, txn, 0) == ZK_EOK)
		;
	assert_int_equal(zxid, epoch1 + 65);
	history_commit(&h, epoch1 + 10);
	assert_int_equal(history_append(&h, zxid, txn, 0), ZK_EAGAIN);
	assert_false(history_room(&h, txn.n, h.keep));
	assert_true(history_room(&h, txn.n, epoch1 + 10));
	history_keep(&h, epoch1 + 64); /* what is not committed stays all the same */
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(history_append(&h, zxid++, txn, 0), ZK_EOK);
	assert_int_equal(history_append(&h, zxid, txn, 0), ZK_EAGAIN);
	assert_int_equal(h.base, epoch1 + 10);
	assert_int_equal(h.full, 3);
	history_cut(&h, epoch1 + 20);
	assert_int_equal(h.keep, epoch1 + 20);
	done(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_on_over_epochs),
		cmocka_unit_test(holes),
		cmocka_unit_test(state_is_newer),
		cmocka_unit_test(keeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
