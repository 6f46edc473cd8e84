/* SPDX-License-Identifier: Apache-2.0 */
#include "core/zab/members.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char *const three = "server.3=c:2:3:participant;0.0.0.0:2181\n"
				 "server.1=a:2:3\n"
				 "server.2=b:2:3:observer;9\n"
				 "version=1000000ab";

static void parse(const char *text, struct zab_members *m)
{
	const char *why;
	unsigned line;

	if (zab_members_parse(zk_span_str(text), m, &why, &line) != ZK_EOK)
		fail_msg("line %u: %s", line, why);
}

static void text_of(const struct zab_members *m, char *text, size_t n)
{
	struct jute_out out = jute_out_of(text, n - 1);

	zab_members_text(m, &out);
	assert_false(out.full);
	*out.p = 0;
}

static void writes_what_it_read(void **state)
{
	struct zab_members m, again;
	char text[1024];

	(void)state;
	parse(three, &m);
	assert_int_equal(m.n, 3);
	assert_int_equal(m.version, 0x1000000ab);
	assert_int_equal(zab_members_find(&m, 3), 2);
	assert_int_equal(zab_members_find(&m, 4), -1);
	assert_true(zab_members_votes(&m, 1));
	assert_false(zab_members_votes(&m, 2));
	text_of(&m, text, sizeof(text));
	assert_string_equal(text, "server.1=a:2:3:participant\n"
				  "server.2=b:2:3:observer;0.0.0.0:9\n"
				  "server.3=c:2:3:participant;0.0.0.0:2181\n"
				  "version=1000000ab");
	parse(text, &again);
	assert_true(zab_members_equal(&m, &again));
	again.version++;
	assert_true(zab_members_equal(&m, &again));
	again.server[0].address[0].port++;
	assert_false(zab_members_equal(&m, &again));
}

static void several_addresses(void **state)
{
	static const char *const text = "server.1=a:2:3|[fe80::1]:4:5:participant\nversion=0";
	struct zab_members m;
	char back[256];

	(void)state;
	parse(text, &m);
	assert_int_equal(m.server[0].addresses, 2);
	assert_int_equal(m.server[0].address[1].election_port, 5);
	text_of(&m, back, sizeof(back));
	assert_string_equal(back, text);
}

static void majority_of_voters(void **state)
{
	struct zab_members m;

	(void)state;
	parse("server.1=a:2:3\nserver.2=b:2:3\nserver.3=c:2:3:observer\nserver.4=d:2:3\n", &m);
	assert_false(zab_members_quorum(&m, 0));
	assert_false(zab_members_quorum(&m, 1));
	assert_true(zab_members_quorum(&m, 1 | 2));
	assert_false(zab_members_quorum(&m, 1 | 4)); /* an observer does not count */
	assert_true(zab_members_quorum(&m, 1 | 8));
	parse("server.1=a:2:3\nserver.2=b:2:3", &m);
	assert_false(zab_members_quorum(&m, 1));
	assert_true(zab_members_quorum(&m, 3));
}

/* The example of the manual: three groups of three. */
static void groups(void **state)
{
	struct zab_members m;
	char text[1024], line[64], back[1024];

	(void)state;
	text[0] = 0;
	for (int i = 1; i <= 9; i++) {
		snprintf(line, sizeof(line), "server.%d=h%d:2:3\n", i, i);
		strncat(text, line, sizeof(text) - strlen(text) - 1);
	}
	strncat(text, "group.1=1:2:3\ngroup.2=4:5:6\ngroup.3=7:8:9\n",
		sizeof(text) - strlen(text) - 1);
	strncat(text, "weight.9=0\n", sizeof(text) - strlen(text) - 1);
	parse(text, &m);
	assert_int_equal(m.groups, 3);
	assert_true(zab_members_quorum(&m, 0x1b));   /* 1 2, 4 5 */
	assert_false(zab_members_quorum(&m, 0x0f));  /* 1 2 3, 4 */
	assert_false(zab_members_quorum(&m, 0x10b)); /* 1 2, 4, and 9 of no weight */
	assert_true(zab_members_quorum(&m, 0xc3));   /* 1 2, 7 8 */
	assert_false(zab_members_quorum(&m, 0x143)); /* 1 2, 7: one of two is no majority */
	assert_int_equal(zab_members_weight(&m, 9), 0);
	text_of(&m, back, sizeof(back));
	assert_non_null(strstr(back, "group.2=4:5:6\n"));
	assert_non_null(strstr(back, "weight.9=0\nversion=0"));
	/* a group of no weight does not count */
	parse("server.1=a:2:3\nserver.2=b:2:3\ngroup.1=1\ngroup.2=2\nweight.2=0", &m);
	assert_true(zab_members_quorum(&m, 1));
	assert_false(zab_members_quorum(&m, 2));
}

static void refuses(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
	} cases[] = {
		{"", 0},
		{"server.1=a:2:3:observer", 0},
		{"server.1=a:2", 1},
		{"server.1=a", 1},
		{"server.1=:2:3", 1},
		{"server.1=[[a]:2:3", 1},
		{"server.1=a]:2:3", 1},
		{"server.1=\r:2:3", 1},
		{"server.1=[ ]:2:3", 1},
		{"server.1=a:2:2", 1},
		{"server.1=a:2:65536", 1},
		{"server.1=a:2:3:voter", 1},
		{"server.x=a:2:3", 1},
		{"server.1=a:2:3;x", 1},
		{"server.1=a:2:3\nserver.1=b:2:3", 2},
		{"server.1=a:2:3|a:4:5:observer|b:6:7:participant", 1},
		{"server.1=a:2:3\nwhat=1", 2},
		{"server.1=a:2:3\nclientPort=1", 2},
		{"server.1=a:2:3\nversion=xyz", 2},
		{"server.1=a:2:3\nversion=10000000000000000", 2},
		{"server.1=a:2:3\nweight.1=2", 0},
		{"server.1=a:2:3\nserver.2=a:2:3\ngroup.1=1", 0},
		{"server.1=a:2:3\ngroup.1=1\ngroup.2=1", 3},
		{"server.1=a:2:3\nsomething", 2},
		{"server.1=a:2:3\nserver.2=a:2:3\ngroup.1=1\ngroup.1=2", 4},
		{"server.1=a:2:3\ngroup.1=1:2", 0},
	};
	struct zab_members m;
	const char *why;
	unsigned line;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum zk_err err = zab_members_parse(zk_span_str(cases[i].text), &m, &why, &line);

		if (err != ZK_EINVAL || line != cases[i].line || !why[0])
			fail_msg("%s: %d, line %u, %s", cases[i].text, err, line, why);
	}
}

static void bounds(void **state)
{
	static char text[ZAB_CONFIG_MAX + 1];
	struct zab_members m;
	const char *why;
	unsigned line;
	size_t n = 0;

	(void)state;
	for (int i = 0; i <= ZAB_SERVERS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "server.%d=h:2:3\n", i);
	assert_int_equal(zab_members_parse(zk_span_of(text, n), &m, &why, &line), ZK_ETOOBIG);
	assert_int_equal(line, ZAB_SERVERS_MAX + 1);
	memset(text, '\n', sizeof(text));
	assert_int_equal(zab_members_parse(zk_span_of(text, sizeof(text)), &m, &why, &line),
			 ZK_ETOOBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_what_it_read),
		cmocka_unit_test(several_addresses),
		cmocka_unit_test(majority_of_voters),
		cmocka_unit_test(groups),
		cmocka_unit_test(refuses),
		cmocka_unit_test(bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
