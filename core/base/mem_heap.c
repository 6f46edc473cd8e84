/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/assert.h"
#include "core/mem.h"

#include <stdlib.h>

static void *heap_alloc(struct zk_mem *m, size_t n)
{
	void *p = NULL;

	if (m->limit_bytes == 0 || n <= m->limit_bytes - m->used_bytes)
		p = malloc(n);
	if (!p) {
		m->failures++;
		return NULL;
	}
	m->used_bytes += n;
	return p;
}

static void heap_free(struct zk_mem *m, void *p, size_t n)
{
	zk_assert(m->used_bytes >= n);
	m->used_bytes -= n;
	free(p);
}

void zk_mem_init_heap(struct zk_mem *m, size_t limit_bytes)
{
	*m = (struct zk_mem){.alloc = heap_alloc, .free = heap_free, .limit_bytes = limit_bytes};
}
