/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/password.h"
#include "test/lib/req.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* spec/client-protocol.md section 2, seen on a live server. */
static void vectors(void **state)
{
	static const struct {
		uint64_t id;
		const char *hex;
	} v[] = {{0x01000018efd60000, "a81aa7c9157b8e0dc6119c1de6bd957f"},
		 {0x01000018efd60001, "bb3ba1c9b5c66d52bb540349ba46aa4c"},
		 {0x01000025a1ca0000, "249c078de1044bd8a205c0c3923acc20"}};
	uint8_t got[16], want[16];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		session_password(v[i].id, got);
		assert_int_equal(from_hex(v[i].hex, want, sizeof(want)), 16);
		assert_memory_equal(got, want, 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(vectors)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
