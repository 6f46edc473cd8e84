/* SPDX-License-Identifier: Apache-2.0 */
#include "core/jute/jute.h"
#include "core/txn/auth.h"
#include "core/txn/auth_ip.h"
#include "core/txn/utf8.h"
#include "test/lib/req.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char bob[] = "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=";
static struct auth_conf conf;
static uint8_t ids[AUTH_IDS_BYTES_MAX];
static size_t ids_n;

static void login(const char *scheme, const char *data, enum zk_err want)
{
	assert_int_equal(auth_add(&conf, zk_span_str(scheme),
				  data ? zk_span_str(data) : (struct zk_span){NULL, 0}, ids,
				  &ids_n),
			 want);
}

static struct auth_ids parsed(void)
{
	struct auth_ids out;

	assert_int_equal(auth_ids_parse(zk_span_of(ids, ids_n), &out), ZK_EOK);
	return out;
}

static void id_is(const struct auth_ids *v, unsigned i, const char *scheme, const char *id)
{
	assert_true(i < v->n);
	assert_true(zk_span_eq(v->v[i].scheme, zk_span_str(scheme)));
	assert_true(zk_span_eq(v->v[i].id, zk_span_str(id)));
}

static void digest(void **state)
{
	struct auth_ids v;

	(void)state;
	conf = (struct auth_conf){0};
	ids_n = auth_ids_init(ids, "10.1.2.3");
	v = parsed();
	assert_int_equal(v.n, 1);
	id_is(&v, 0, "ip", "10.1.2.3");
	login("digest", "bob:pw", ZK_EOK);
	v = parsed();
	assert_int_equal(v.n, 2);
	id_is(&v, 1, "digest", bob); /* client-protocol.md section 14 */
	login("digest", "bob:pw", ZK_EOK);
	login("ip", "anything", ZK_EOK);
	v = parsed();
	assert_int_equal(v.n, 2);
	assert_false(v.super);
	login("digest", NULL, ZK_AUTHFAILED);
	login("world", "anyone", ZK_AUTHFAILED);
	login("super", "x", ZK_AUTHFAILED);
	login("none", "x", ZK_AUTHFAILED);
	/* no ':': the user is the whole text (item 70) */
	login("digest", "carol", ZK_EOK);
	v = parsed();
	assert_int_equal(v.n, 3);
	assert_memory_equal(v.v[2].id.p, "carol:", 6);
	login("digest", "", ZK_EOK); /* empty, not null */
	v = parsed();
	assert_int_equal(v.n, 4);
	assert_int_equal(v.v[3].id.p[0], ':');
}

/* What is not UTF-8 is hashed as Java decodes it. The strings are those of new String(bytes), the
 * hash of the first one is what a live 3.9.5 stored for the bytes ff 3a fe. */
static void digest_of_bad_utf8(void **state)
{
	static const struct {
		const char *in, *out;
	} v[] = {{"a", "a"},
		 {"\xff", "\xef\xbf\xbd"},
		 {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
		 {"\xed\xa0\x80", "\xef\xbf\xbd"},
		 {"\xe2\x82", "\xef\xbf\xbd"},
		 {"\xe2\x82x", "\xef\xbf\xbdx"},
		 {"\xe0\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		 {"\xf0\x9f\x98", "\xef\xbf\xbd"},
		 {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
		 {"\xf4\x90\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		 {"\xc3\xa9", "\xc3\xa9"},
		 {"caf\xe9", "caf\xef\xbf\xbd"}};
	struct auth_ids ids_now;
	uint8_t out[32];

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		size_t n = utf8_java(zk_span_str(v[i].in), out, sizeof(out));

		if (!zk_span_eq(zk_span_of(out, n), zk_span_str(v[i].out)))
			fail_msg("row %zu", i);
		assert_int_equal(utf8_valid(zk_span_str(v[i].in)), strcmp(v[i].in, v[i].out) == 0);
		assert_int_equal(utf8_java(zk_span_str(v[i].in), out, strlen(v[i].out) - 1), 0);
	}
	conf = (struct auth_conf){0};
	ids_n = auth_ids_init(ids, "10.1.2.3");
	login("digest", "\xff:\xfe", ZK_EOK);
	ids_now = parsed();
	id_is(&ids_now, 1, "digest", "\xef\xbf\xbd:ipNoT9MRIoSM4DrYkmqaDGEYOsE=");
}

/* A null id is a null pointer where the scheme looks at it, and invalid or ignored elsewhere. */
static void null_ids(void **state)
{
	static const struct {
		const char *scheme;
		enum zk_err want;
	} v[] = {{"world", ZK_MARSHALLINGERROR},
		 {"digest", ZK_MARSHALLINGERROR},
		 {"ip", ZK_MARSHALLINGERROR},
		 {"sasl", ZK_INVALIDACL},
		 {"auth", ZK_EOK},
		 {NULL, ZK_INVALIDACL}};
	struct auth_ids who;
	uint8_t out[256], body[64];
	size_t n;

	(void)state;
	conf = (struct auth_conf){0};
	ids_n = auth_ids_init(ids, "10.1.2.3");
	login("digest", "bob:pw", ZK_EOK);
	who = parsed();
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct jute_out o = jute_out_of(body, sizeof(body));
		struct jute_in in;

		jute_put_i32(&o, 1);
		jute_put_i32(&o, 31);
		jute_put_bytes(&o,
			       v[i].scheme ? zk_span_str(v[i].scheme) : (struct zk_span){NULL, 0});
		jute_put_bytes(&o, (struct zk_span){NULL, 0});
		in = jute_in_of(zk_span_of(body, jute_out_len(&o)));
		assert_int_equal(auth_fixup(&conf, &in, &who, out, sizeof(out), &n), v[i].want);
	}
}

static void digest_sha256(void **state)
{
	struct auth_ids v;

	(void)state;
	conf = (struct auth_conf){.digest_sha256 = true};
	ids_n = auth_ids_init(ids, "10.1.2.3");
	login("digest", "bob:pw", ZK_EOK);
	v = parsed();
	/* printf bob:pw | openssl dgst -sha256 -binary | base64 */
	id_is(&v, 1, "digest", "bob:lXdkgIa9O1CDDWAryQ0pe9wUYi2LkG6M7Uocn/Vyn2g=");
}

static void super(void **state)
{
	struct auth_ids v;

	(void)state;
	conf = (struct auth_conf){0};
	memcpy(conf.super_digest, bob, sizeof(bob));
	ids_n = auth_ids_init(ids, "10.1.2.3");
	login("digest", "bob:other", ZK_EOK);
	v = parsed();
	assert_false(v.super);
	login("digest", "bob:pw", ZK_EOK);
	v = parsed();
	assert_true(v.super);
	assert_int_equal(v.n, 4);
	id_is(&v, 2, "super", "");
	id_is(&v, 3, "digest", bob);
}

/* Too many or too long identities are refused and leave the vector as it was. */
static void limits(void **state)
{
	struct auth_ids v;
	char text[AUTH_ID_BYTES_MAX + 1];

	(void)state;
	conf = (struct auth_conf){0};
	ids_n = auth_ids_init(ids, "10.1.2.3");
	memset(text, 'u', sizeof(text));
	text[sizeof(text) - 1] = 0;
	login("digest", text, ZK_AUTHFAILED);
	for (unsigned i = 1; i < AUTH_IDS_MAX; i++) {
		char user[8] = {(char)('a' + i), ':', 'x', 0};

		login("digest", user, ZK_EOK);
	}
	memcpy(conf.super_digest, bob, sizeof(bob));
	login("digest", "bob:pw", ZK_AUTHFAILED);
	v = parsed();
	assert_int_equal(v.n, AUTH_IDS_MAX);
	assert_false(v.super);

	uint8_t many[4 + (AUTH_IDS_MAX + 1) * 8] = {0, 0, 0, AUTH_IDS_MAX + 1};

	assert_int_equal(auth_ids_parse(zk_span_of(many, sizeof(many)), &v), ZK_EINVAL);
	assert_int_equal(auth_ids_parse(zk_span_of(ids, ids_n - 1), &v), ZK_EINVAL);
	assert_false(v.super);
}

static void ip(void **state)
{
	static const struct {
		const char *id, *expr;
		bool valid, match;
	} v[] = {{"10.1.2.3", "10.1.2.3", true, true},
		 {"10.1.2.3", "10.1.2.4", true, false},
		 {"10.1.2.3", "10.1.2.0/24", true, true},
		 {"10.1.2.3", "10.1.3.0/24", true, false},
		 {"10.1.2.3", "10.1.3.0/23", true, true},
		 {"10.1.2.3", "0.0.0.0/0", true, true},
		 {"10.1.2.3", "10.1.2.3/32", true, true},
		 {"10.1.2.3", "10.1.2.3/33", false, false},
		 {"10.1.2.3", "10.1.2.3/-1", false, false},
		 {"10.1.2.3", "10.1.2.3/", false, false},
		 {"10.1.2.3", "10.1.2.3/8/8", false, false},
		 {"10.1.2.3", "10.1.2", false, false},
		 {"10.1.2.3", "10.1.2.3.4", false, false},
		 {"10.1.2.3", "10.1.2.256", false, false},
		 {"10.1.2.3", "10..2.3", false, false},
		 {"10.1.2.3", "localhost", false, false},
		 {"10.1.2.3", "", false, false},
		 {"::1", "::1", true, true},
		 {"0:0:0:0:0:0:0:1", "::1", true, true},
		 {"fe80::1:2", "fe80::/10", true, true},
		 {"fe80::1:2", "ff80::/10", true, false},
		 {"10.1.2.3", "::/0", true, false},
		 {"::1", "1::2::3", false, false},
		 {"::1", "1:2:3:4:5:6:7", false, false},
		 {"::1", "1:2:3:4:5:6:7:8:9", false, false},
		 {"::1", "1:2:3:4::5:6:7:8", false, false},
		 {"::1", "12345::", false, false},
		 {"::1", "::g", false, false},
		 {"::1", ":::", false, false}};

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		if (auth_ip_valid(zk_span_str(v[i].expr)) != v[i].valid ||
		    auth_ip_matches(zk_span_str(v[i].id), zk_span_str(v[i].expr)) != v[i].match)
			fail_msg("%s against %s", v[i].id, v[i].expr);
	}
}

/* Fix the ACL of a setACL body; the result as text. */
static enum zk_err fix(const char *acl, uint8_t *out, size_t cap, size_t *n)
{
	struct zk_span body = req_acl("/", acl, 0);
	struct jute_in in = jute_in_of(body);
	struct auth_ids v = parsed();

	jute_bytes(&in);
	return auth_fixup(&conf, &in, &v, out, cap, n);
}

static void fixes_to(const char *acl, const char *want)
{
	uint8_t out[4096];
	size_t n = 0;
	struct zk_span w = req_acl("/", want, 0);

	assert_int_equal(fix(acl, out, sizeof(out), &n), ZK_EOK);
	/* path "/" is 5 bytes in front, the version 4 behind */
	assert_int_equal(n, w.n - 9);
	assert_memory_equal(out, w.p + 5, n);
}

static void refused(const char *acl)
{
	uint8_t out[4096];
	size_t n;

	assert_int_equal(fix(acl, out, sizeof(out), &n), ZK_INVALIDACL);
}

static void fixup(void **state)
{
	uint8_t out[4096];
	size_t n;

	(void)state;
	conf = (struct auth_conf){0};
	memcpy(conf.super_digest, bob, sizeof(bob));
	ids_n = auth_ids_init(ids, "10.1.2.3");
	fixes_to("31 world anyone", "31 world anyone");
	fixes_to("0 world anyone", "0 world anyone"); /* item 69 */
	fixes_to("255 world anyone", "255 world anyone");
	fixes_to("1 world anyone,1 world anyone", "1 world anyone");
	fixes_to("1 world anyone,3 world anyone", "1 world anyone,3 world anyone"); /* item 67 */
	fixes_to("3 digest a:b,1 ip 10.0.0.0/8", "3 digest a:b,1 ip 10.0.0.0/8");
	fixes_to("3 digest :b", "3 digest :b");
	fixes_to("3 digest a:b:", "3 digest a:b:");
	refused("");
	refused("null");
	refused("31 world x");
	refused("31 null null");
	refused("31 digest a");
	refused("31 digest a:");
	refused("31 digest a:b:c");
	refused("31 ip 1.2.3");
	refused("31 super x:y");
	refused("31 none x");
	refused("31 world anyone,31 none x");
	refused("31 auth"); /* item 68: only an ip identity */

	login("digest", "bob:pw", ZK_EOK); /* super and digest */
	fixes_to("31 auth", "31 digest bob:ikIaKsbtGweaHnb/jKn7OHqbunM=");
	fixes_to("31 auth null", "31 digest bob:ikIaKsbtGweaHnb/jKn7OHqbunM=");
	fixes_to("1 world anyone,3 auth ignored",
		 "1 world anyone,3 digest bob:ikIaKsbtGweaHnb/jKn7OHqbunM=");
	for (size_t cap = 4; cap < 50; cap++)
		assert_int_equal(fix("31 auth", out, cap, &n), ZK_ETOOBIG);
}

static struct acl_list list_of(const struct acl_entry *e, uint32_t n)
{
	return (struct acl_list){.n = n, .v = e};
}

static void allows(void **state)
{
	struct acl_entry e[] = {{1, {NULL, 0}, {NULL, 0}}, {6, {NULL, 0}, {NULL, 0}}};
	struct acl_list acl = list_of(e, 2), none = list_of(e, 0);
	struct auth_ids v;

	(void)state;
	e[0].scheme = zk_span_str("world");
	e[0].id = zk_span_str("anyone");
	e[1].scheme = zk_span_str("digest");
	e[1].id = zk_span_str(bob);
	conf = (struct auth_conf){0};
	ids_n = auth_ids_init(ids, "10.1.2.3");
	v = parsed();
	assert_true(auth_allows(&conf, &acl, 1, &v));
	assert_false(auth_allows(&conf, &acl, 2, &v));
	assert_true(auth_allows(&conf, &acl, 3, &v)); /* one of them is enough */
	assert_true(auth_allows(&conf, &none, 16, &v));
	login("digest", "bob:pw", ZK_EOK);
	v = parsed();
	assert_true(auth_allows(&conf, &acl, 2, &v));
	assert_false(auth_allows(&conf, &acl, 16, &v));
	e[1] = (struct acl_entry){16, zk_span_str("ip"), zk_span_str("10.0.0.0/8")};
	assert_true(auth_allows(&conf, &acl, 16, &v));
	e[1].scheme = zk_span_str("sasl"); /* no such provider */
	assert_false(auth_allows(&conf, &acl, 16, &v));
	conf.skip_acl = true;
	assert_true(auth_allows(&conf, &acl, 16, &v));
	conf.skip_acl = false;
	v.super = true;
	assert_true(auth_allows(&conf, &acl, 16, &v));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digest),   cmocka_unit_test(digest_of_bad_utf8),
		cmocka_unit_test(null_ids), cmocka_unit_test(digest_sha256),
		cmocka_unit_test(super),    cmocka_unit_test(limits),
		cmocka_unit_test(ip),       cmocka_unit_test(fixup),
		cmocka_unit_test(allows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
