/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that looks up the members' names; this thread is the leader core that dials them. */
#include "ctl/server/log.h"
#include "ctl/server/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
/* cmocka wants the four above it */
#include <cmocka.h>

enum { EVERY_MS = 200, WAIT_MS = 20000 };

static struct config_quorum quorum;
static char said[64];
static _Atomic uint32_t looked_up[2], answer[2]; /* of "a" and "b" */
static _Atomic bool stuck;

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static const char *look_up(const char *name, uint32_t *ip)
{
	unsigned i = name[0] == 'b';

	assert_true(name[0] == 'a' || name[0] == 'b');
	while (atomic_load(&stuck))
		nap();
	*ip = atomic_load(&answer[i]);
	atomic_fetch_add(&looked_up[i], 1);
	return *ip ? NULL : "not now";
}

static struct names *begin(const char *servers)
{
	struct names_conf c = {.quorum = &quorum, .every_ms = EVERY_MS, .look_up = look_up};
	struct names *s;
	const char *why;
	unsigned line;

	for (unsigned i = 0; i < 2; i++) {
		atomic_store(&looked_up[i], 0);
		atomic_store(&answer[i], 0);
	}
	memset(&quorum, 0, sizeof(quorum));
	assert_int_equal(zab_members_parse(zk_span_str(servers), &quorum.members, &why, &line),
			 ZK_EOK);
	assert_int_equal(names_start(&c, &s), ZK_EOK);
	return s;
}

/* What peer_dial() does. */
static void dial(struct names *s, unsigned i)
{
	atomic_fetch_add_explicit(&s->host[i].dials, 1, memory_order_relaxed);
	waker_kick(&s->waker);
}

static void reach(const _Atomic uint32_t *v, uint32_t value)
{
	for (uint64_t end = now_ms() + WAIT_MS; atomic_load(v) != value; nap())
		assert_true(now_ms() < end);
}

static void follows_its_names(void **state)
{
	struct names *s = begin("server.1=10.0.0.9:1:2\nserver.2=a:1:2\nserver.3=b:1:2\n"
				"server.4=a:3:4\n");
	uint64_t began;

	(void)state;
	assert_int_equal(s->n, 3); /* each once */
	assert_string_equal(s->host[1].name, "a");
	/* nobody asks */
	for (unsigned i = 0; i < 20; i++)
		nap();
	assert_int_equal(atomic_load(&looked_up[0]) + atomic_load(&looked_up[1]), 0);
	/* it is there now */
	atomic_store(&answer[0], 0x0a000001);
	dial(s, 0); /* dotted: stays as it is */
	dial(s, 1);
	began = now_ms();
	reach(&s->host[1].ip, 0x0a000001);
	assert_int_equal(atomic_load(&looked_up[1]), 0);
	/* it moves: asked for at once, looked up when it may be */
	atomic_store(&answer[0], 0x0a000002);
	for (unsigned i = 0; i < 10; i++)
		dial(s, 1);
	reach(&s->host[1].ip, 0x0a000002);
	assert_true(now_ms() - began >= EVERY_MS);
	assert_int_equal(atomic_load(&looked_up[0]), 2);
	/* no answer: where it was */
	atomic_store(&answer[0], 0);
	dial(s, 1);
	reach(&looked_up[0], 3);
	assert_int_equal(atomic_load(&s->host[1].ip), 0x0a000002);
	names_stop(s);
}

static void all_dotted(void **state)
{
	struct names *s = begin("server.1=10.0.0.1:1:2\nserver.2=10.0.0.2:1:2\n");

	(void)state;
	assert_false(s->running);
	names_stop(s);
	names_stop(NULL);
}

/* A resolver that does not answer holds up the end no longer than a second. */
static void stopped_while_it_looks(void **state)
{
	struct names *s = begin("server.1=a:1:2\n");
	uint64_t began = now_ms();

	(void)state;
	atomic_store(&stuck, true);
	dial(s, 0);
	for (unsigned i = 0; i < 50; i++)
		nap();
	names_stop(s);
	assert_in_range(now_ms() - began, 1000, 15000);
	atomic_store(&stuck, false);
	reach(&looked_up[0], 1); /* it ends by itself, and s with it */
	for (unsigned i = 0; i < 50; i++)
		nap();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_its_names),
		cmocka_unit_test(all_dotted),
		cmocka_unit_test(stopped_while_it_looks),
	};
	int rc;

	snprintf(said, sizeof(said), "/tmp/zokor-names-test.%d", (int)getpid());
	if (log_open(said, LOG_INFO) != ZK_EOK)
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	(void)unlink(said);
	return rc;
}
