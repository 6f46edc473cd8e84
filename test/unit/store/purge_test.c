/* SPDX-License-Identifier: Apache-2.0 */
/* What goes and what stays, against the cases of Apache's PurgeTxnTest and the comment in
 * PurgeTxnLog.purgeOlderSnapshots(); and with the disk failing at each call. */
#include "core/store/purge.h"
#include "test/lib/sim_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct zk_mem mem;

static void put(struct disk *d, enum disk_dir dir, const char *name, const char *bytes, size_t n)
{
	int file;

	assert_int_equal(disk_open(d, dir, name, DISK_CREATE, &file), ZK_EOK);
	if (n)
		assert_int_equal(disk_write(d, file, 0, bytes, n), ZK_EOK);
	assert_int_equal(disk_sync(d, file), ZK_EOK);
	disk_close(d, file);
	assert_int_equal(disk_sync_dir(d, dir), ZK_EOK);
}

/* Words of @p names: a snapshot that looks sound, or after a '!' one that does not; other words are
 * files as they are named. */
static void put_all(struct disk *d, const char *names)
{
	static const char sound[] = "0123456789abcdef\0\0\0\1/";
	char text[512], *save = NULL;

	snprintf(text, sizeof(text), "%s", names);
	for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		bool broken = w[0] == '!';
		const char *name = w + broken;

		if (strncmp(name, "log.", 4) == 0)
			put(d, DISK_LOG, name, "log", 3);
		else if (strstr(name, ".gz"))
			put(d, DISK_DATA, name, broken ? "xx" : "\x1f\x8b ", 3 - broken);
		else
			put(d, DISK_DATA, name, sound, broken ? 9 : sizeof(sound) - 1);
	}
}

static bool exists(struct disk *d, const char *name)
{
	enum disk_dir dir = strncmp(name, "log.", 4) == 0 ? DISK_LOG : DISK_DATA;
	int file;

	if (disk_open(d, dir, name, DISK_READ, &file) != ZK_EOK)
		return false;
	disk_close(d, file);
	return true;
}

static void check(struct disk *d, const char *names, bool there)
{
	char text[512], *save = NULL;

	snprintf(text, sizeof(text), "%s", names);
	for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		const char *name = w + (w[0] == '!');

		if (exists(d, name) != there)
			fail_msg("%s is %s", name, there ? "gone" : "still there");
	}
}

static enum zk_err run(struct disk *d, unsigned keep, struct purge_result *r)
{
	struct purge_conf c = {.disk = d, .mem = &mem, .keep = keep};
	enum zk_err err = purge_run(&c, r);

	assert_int_equal(mem.used_bytes, 0);
	return err;
}

struct purge_case {
	const char *stays, *goes;
	unsigned keep, kept;
};

static const struct purge_case cases[] = {
	/* nothing to do */
	{"", "", 3, 0},
	{"log.1 log.5", "", 3, 0},
	{"snapshot.0 log.1", "", 3, 1},
	{"snapshot.5 snapshot.a snapshot.f log.1 log.6 log.b log.10", "", 3, 3},
	/* the straddling log stays, what is before it goes */
	{"snapshot.14 snapshot.1e snapshot.28 log.b log.15 log.1f log.29", "snapshot.a log.1", 3,
	 3},
	{"snapshot.14 snapshot.1e snapshot.28 log.14 log.1f", "snapshot.a log.1 log.b", 3, 3},
	/* a log that begins behind the oldest: the one before may go on behind it */
	{"snapshot.14 snapshot.1e snapshot.28 log.13 log.15", "snapshot.a snapshot.0 log.1 log.b",
	 3, 3},
	/* keep more */
	{"snapshot.a snapshot.14 snapshot.1e snapshot.28 log.1 log.b", "snapshot.0", 4, 4},
	/* hexadecimal order, not that of the names */
	{"snapshot.100 snapshot.ff snapshot.9 log.9", "snapshot.8 log.2", 3, 3},
	/* a broken one does not count; an old broken one goes as well, a newer stays */
	{"!snapshot.32 snapshot.28 snapshot.1e !snapshot.19 snapshot.14 log.b log.29",
	 "snapshot.a !snapshot.5 log.1", 3, 3},
	/* fewer sound ones than wanted: down to the oldest of them */
	{"snapshot.28 snapshot.1e log.b log.1f", "!snapshot.5 log.1", 3, 2},
	/* compressed ones, and files that are none of ours */
	{"snapshot.28.gz snapshot.1e snapshot.14.gz log.b myfile log. log.xyz snapshot "
	 "snapshot.xyz "
	 "currentEpoch",
	 "snapshot.a.gz !snapshot.5.gz log.1", 3, 3},
};

static void what_goes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct purge_case *c = &cases[i];
		struct sim_disk *s = sim_disk_new(i);
		struct disk *d = sim_disk_view(s, 0);
		struct purge_result r;

		put_all(d, c->stays);
		put_all(d, c->goes);
		assert_int_equal(run(d, c->keep, &r), ZK_EOK);
		assert_int_equal(r.kept, c->kept);
		assert_int_equal(r.failed, 0);
		check(d, c->stays, true);
		check(d, c->goes, false);
		/* again: nothing */
		assert_int_equal(run(d, c->keep, &r), ZK_EOK);
		assert_int_equal(r.snapshots + r.logs, 0);
		check(d, c->stays, true);
		sim_disk_free(s);
	}
}

static const char stays[] = "snapshot.14 snapshot.1e snapshot.28 log.b log.15 log.1f log.29";
static const char goes[] = "snapshot.a snapshot.5 log.1 log.6";

/* Every snapshot that is there has the log it needs. */
static void check_logs(struct disk *d)
{
	if (exists(d, "snapshot.5"))
		check(d, "log.1 log.6", true);
	if (exists(d, "snapshot.a"))
		check(d, "log.6", true);
}

static void every_call_fails(void **state)
{
	unsigned removed = 0, failed = 0;

	(void)state;
	for (uint64_t at = 1; at < 60; at++) {
		for (unsigned crash = 0; crash < 2; crash++) {
			struct sim_disk *s = sim_disk_new(at);
			struct disk *d = sim_disk_view(s, 0);
			struct purge_result r;

			put_all(d, stays);
			put_all(d, goes);
			s->fault_call = SIM_CALLS;
			s->fault_at = s->calls[SIM_CALLS] + at;
			s->fault_err = crash ? ZK_EOK : ZK_EIO;
			failed += run(d, 3, &r) != ZK_EOK || r.failed > 0;
			removed += r.snapshots + r.logs;
			if (s->crashed)
				sim_disk_crash(s);
			s->fault_at = 0;
			/* a sound snapshot that could not be read may have cost an older one's
			 * stay, never a newer one's */
			check(d, "snapshot.14 snapshot.1e snapshot.28 log.15 log.1f log.29", true);
			check(d, "log.b", true);
			check_logs(d);
			assert_int_equal(run(d, 3, &r), ZK_EOK);
			check(d, goes, false);
			check(d, stays, true);
			sim_disk_free(s);
		}
	}
	assert_true(removed > 50 && failed > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_goes),
		cmocka_unit_test(every_call_fails),
	};

	zk_mem_init_heap(&mem, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
