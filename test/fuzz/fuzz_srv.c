/* SPDX-License-Identifier: Apache-2.0 */
/* Byte strings as operations on a client core with the real leader behind it: connections, requests
 * whole and damaged, noise, budgets, memory limits, time, roles (test/lib/srv_world.h). */
#include "test/lib/srv_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	srv_world_run(p, n, false, NULL);
	srv_world_run(p, n, true, NULL);
	return 0;
}
