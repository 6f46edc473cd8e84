/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/password.h"

#define SECRET     UINT64_C(0xB3415C00)
#define MULTIPLIER UINT64_C(0x5DEECE66D)
#define MASK48     ((UINT64_C(1) << 48) - 1)

/* java.util.Random.nextBytes(): four ints of 32 bits, least significant byte first. */
void session_password(uint64_t session, uint8_t out[SESSION_PASSWORD_BYTES])
{
	uint64_t s = (session ^ SECRET ^ MULTIPLIER) & MASK48;

	for (unsigned i = 0; i < SESSION_PASSWORD_BYTES / 4; i++) {
		s = (s * MULTIPLIER + 0xB) & MASK48;
		uint32_t v = (uint32_t)(s >> 16);

		for (unsigned b = 0; b < 4; b++)
			out[i * 4 + b] = (uint8_t)(v >> (8 * b));
	}
}
