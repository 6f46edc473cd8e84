/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/common/stream.h"

#include "core/base/assert.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { STREAM_FIRST = 1 << 20, GZ_BUFFER = 1 << 18 };

static bool ends(const char *path, const char *suffix)
{
	size_t n = strlen(path), m = strlen(suffix);

	return n >= m && strcmp(path + n - m, suffix) == 0;
}

enum store_pack stream_pack(const char *path)
{
	if (ends(path, ".gz"))
		return STORE_GZ;
	return ends(path, ".snappy") ? STORE_SNAPPY : STORE_PLAIN;
}

static bool no_memory(struct stream *s)
{
	snprintf(s->error, sizeof(s->error), "out of memory");
	return false;
}

bool stream_open(struct stream *s, const char *path)
{
	struct stat st;

	*s = (struct stream){.pack = stream_pack(path)};
	errno = 0;
	if (s->pack == STORE_GZ)
		s->gz = gzopen(path, "rbe");
	else
		s->file = fopen(path, "rbe");
	if (!s->gz && !s->file) {
		snprintf(s->error, sizeof(s->error), "%s", errno ? strerror(errno) : "no memory");
		return false;
	}
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		snprintf(s->error, sizeof(s->error), "%s", strerror(EISDIR));
		stream_close(s);
		return false;
	}
	if (s->gz) {
		gzbuffer(s->gz, GZ_BUFFER);
		if (gzdirect(s->gz)) {
			snprintf(s->error, sizeof(s->error), "not gzip");
			stream_close(s);
			return false;
		}
	}
	if (s->pack == STORE_SNAPPY && !(s->snappy = snappy_in_new(s->file))) {
		no_memory(s);
		stream_close(s);
		return false;
	}
	return true;
}

void stream_close(struct stream *s)
{
	if (s->gz)
		gzclose(s->gz);
	if (s->snappy)
		snappy_in_free(s->snappy);
	if (s->file)
		fclose(s->file);
	free(s->buf);
	s->gz = NULL;
	s->snappy = NULL;
	s->file = NULL;
	s->buf = NULL;
}

void stream_move(struct stream *s, uint64_t at)
{
	zk_assert(at >= s->at && at - s->at <= s->to - s->from);
	s->from += (size_t)(at - s->at);
	s->at = at;
}

static ssize_t read_gz(struct stream *s, void *to, size_t n)
{
	int got = gzread(s->gz, to, (unsigned)n), code = Z_OK;
	const char *text;

	text = gzerror(s->gz, &code);
	if (got >= 0 && (code == Z_OK || code == Z_STREAM_END))
		return got;
	if (got > 0) /* the error comes again */
		return got;
	snprintf(s->error, sizeof(s->error), "gzip: %s", code == Z_ERRNO ? strerror(errno) : text);
	return -1;
}

ssize_t stream_read(struct stream *s, void *to, size_t n)
{
	size_t got;

	if (s->gz)
		return read_gz(s, to, n < INT32_MAX ? n : INT32_MAX);
	if (s->snappy)
		return snappy_in_read(s->snappy, to, n, s->error);
	got = fread(to, 1, n, s->file);
	if (got == 0 && ferror(s->file)) {
		snprintf(s->error, sizeof(s->error), "%s", strerror(errno));
		return -1;
	}
	return (ssize_t)got;
}

bool stream_more(struct stream *s)
{
	size_t left = s->to - s->from;
	ssize_t n;

	if (s->eof)
		return true;
	if (s->from) {
		memmove(s->buf, s->buf + s->from, left);
		s->from = 0;
		s->to = left;
	}
	if (!s->buf || left > s->cap / 2) {
		size_t cap = s->buf ? 2 * s->cap : STREAM_FIRST;
		uint8_t *buf = realloc(s->buf, cap);

		if (!buf)
			return no_memory(s);
		s->buf = buf;
		s->cap = cap;
	}
	n = stream_read(s, s->buf + s->to, s->cap - s->to);
	if (n < 0)
		return false;
	s->to += (size_t)n;
	s->eof = n == 0;
	return true;
}
