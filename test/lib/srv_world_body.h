/* SPDX-License-Identifier: Apache-2.0 */
/** Bodies of requests made of the bytes of a string of operations. */
#ifndef TEST_SRV_WORLD_BODY_H
#define TEST_SRV_WORLD_BODY_H

#include <stddef.h>
#include <stdint.h>

/** What is left of the string. */
struct srv_world_in {
	const uint8_t *p;
	size_t n;
};

/** The next byte; 0 when there is none. */
static inline uint8_t srv_world_byte(struct srv_world_in *w)
{
	if (w->n == 0)
		return 0;
	w->n--;
	return *w->p++;
}

struct srv_world_req {
	uint8_t b[1024];
	size_t n;
};

/** Append the body of a request of kind @p op. */
void srv_world_body(struct srv_world_in *w, struct srv_world_req *o, int32_t op);

#endif
