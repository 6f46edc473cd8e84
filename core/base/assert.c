/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void zk_assert_fail(const char *expr, const char *file, int line)
{
	fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expr);
	abort();
}
