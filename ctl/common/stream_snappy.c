/* SPDX-License-Identifier: Apache-2.0 */
/* Snappy in the framing of snappy-java's SnappyOutputStream. */
#include "core/base/endian.h"
#include "ctl/common/stream.h"

#include <snappy-c.h>
#include <stdlib.h>

enum { SNAPPY_HEADER_BYTES = 16, SNAPPY_BLOCK_MAX = 64 << 20 };

struct snappy_in {
	FILE *file; /* borrowed */
	uint64_t at;
	bool begun;
	uint8_t *packed, *plain;
	size_t packed_cap, plain_cap;
	size_t from, to; /* in plain */
};

struct snappy_in *snappy_in_new(FILE *file)
{
	struct snappy_in *in = calloc(1, sizeof(*in));

	if (in)
		in->file = file;
	return in;
}

void snappy_in_free(struct snappy_in *in)
{
	free(in->packed);
	free(in->plain);
	free(in);
}

static bool fail(const struct snappy_in *in, const char *what, char error[STREAM_ERROR_MAX])
{
	snprintf(error, STREAM_ERROR_MAX, "snappy: %s at offset %llu of the compressed file", what,
		 (unsigned long long)in->at);
	return false;
}

static bool header(struct snappy_in *in, char error[STREAM_ERROR_MAX])
{
	static const uint8_t magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
	uint8_t head[SNAPPY_HEADER_BYTES];

	if (fread(head, 1, sizeof(head), in->file) != sizeof(head) ||
	    memcmp(head, magic, sizeof(magic)) != 0 || zk_get32(head + 8) != 1)
		return fail(in, "no header", error);
	in->at = sizeof(head);
	in->begun = true;
	return true;
}

static bool reserve(uint8_t **p, size_t *cap, size_t n)
{
	uint8_t *q;

	if (n <= *cap)
		return true;
	q = realloc(*p, n);
	if (!q)
		return false;
	*p = q;
	*cap = n;
	return true;
}

/* The next block; in->to == 0 at the end. */
static bool block(struct snappy_in *in, char error[STREAM_ERROR_MAX])
{
	uint8_t head[4];
	size_t got = fread(head, 1, sizeof(head), in->file), n, plain;

	in->from = in->to = 0;
	if (got == 0 && !ferror(in->file))
		return true;
	if (got != sizeof(head))
		return fail(in, "a length is cut off", error);
	n = zk_get32(head);
	if (n > SNAPPY_BLOCK_MAX)
		return fail(in, "unreasonable length", error);
	if (!reserve(&in->packed, &in->packed_cap, n))
		return fail(in, "out of memory", error);
	if (fread(in->packed, 1, n, in->file) != n)
		return fail(in, "a block is cut off", error);
	if (snappy_uncompressed_length((char *)in->packed, n, &plain) != SNAPPY_OK || plain == 0 ||
	    plain > SNAPPY_BLOCK_MAX)
		return fail(in, "damaged block", error);
	if (!reserve(&in->plain, &in->plain_cap, plain))
		return fail(in, "out of memory", error);
	if (snappy_uncompress((char *)in->packed, n, (char *)in->plain, &plain) != SNAPPY_OK)
		return fail(in, "damaged block", error);
	in->at += sizeof(head) + n;
	in->to = plain;
	return true;
}

ssize_t snappy_in_read(struct snappy_in *in, uint8_t *to, size_t n, char error[STREAM_ERROR_MAX])
{
	size_t some;

	if (!in->begun && !header(in, error))
		return -1;
	if (in->from == in->to && !block(in, error))
		return -1;
	some = in->to - in->from < n ? in->to - in->from : n;
	if (some)
		memcpy(to, in->plain + in->from, some);
	in->from += some;
	return (ssize_t)some;
}
