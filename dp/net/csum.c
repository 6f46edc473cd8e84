/* SPDX-License-Identifier: Apache-2.0 */
#include "dp/net/csum.h"

enum { LANES_BYTES_MIN = 128 };

/** Two words side by side; the compiler makes of it what the machine has. */
typedef uint64_t lanes __attribute__((vector_size(16)));

/* The 32-bit halves of all words, summed in 64 bits, where 4 GiB cannot overflow. */
static uint64_t sum_blocks(const uint8_t *p, size_t blocks)
{
	const lanes low = {0xffffffff, 0xffffffff};
	lanes even = {0, 0}, odd = {0, 0};

	for (; blocks; blocks--, p += 32) {
		lanes a, b;

		memcpy(&a, p, sizeof(a));
		memcpy(&b, p + sizeof(a), sizeof(b));
		even += (a & low) + (b & low);
		odd += (a >> 32) + (b >> 32);
	}
	even += odd;
	return even[0] + even[1];
}

uint64_t csum_add(uint64_t sum, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	uint64_t a = 0;

	/* Short runs, headers above all, do not repay the lanes. */
	if (n >= LANES_BYTES_MIN) {
		a = sum_blocks(p, n / 32);
		p += n & ~(size_t)31;
		n &= 31;
	}
	for (; n >= 8; p += 8, n -= 8) {
		uint64_t w;

		memcpy(&w, p, sizeof(w));
		a += (w & 0xffffffff) + (w >> 32);
	}
	if (n & 4) {
		uint32_t w;

		memcpy(&w, p, sizeof(w));
		a += w;
		p += 4;
		n -= 4;
	}
	if (n >= 2) {
		uint16_t w;

		memcpy(&w, p, sizeof(w));
		a += w;
		p += 2;
		n -= 2;
	}
	if (n) {
		uint8_t last[2] = {*p, 0};
		uint16_t w;

		memcpy(&w, last, sizeof(w));
		a += w;
	}
	/* a is below 2^62 for n < 4 GiB; sum may be anything an earlier call returned */
	return (sum & 0xffffffff) + (sum >> 32) + (a & 0xffffffff) + (a >> 32);
}
