/* SPDX-License-Identifier: Apache-2.0 */
/** A file, decompressed by its suffix (.gz, .snappy) as Apache does, in windows or as a stream of
 * bytes. For zokord and its tools. */
#ifndef ZK_CTL_STREAM_H
#define ZK_CTL_STREAM_H

#include "core/base/span.h"
#include "core/store/name.h"

#include <stdio.h>
#include <zlib.h>

enum { STREAM_ERROR_MAX = 160 };

struct snappy_in;

struct stream {
	enum store_pack pack;
	FILE *file;
	gzFile gz;
	struct snappy_in *snappy;
	uint8_t *buf;
	size_t cap, from, to;
	uint64_t at; /* offset in the decompressed bytes of buf[from] */
	bool eof;    /* the window reaches to the end */
	char error[STREAM_ERROR_MAX];
};

/** Open @p path. @return false with s->error; nothing to close then. */
bool stream_open(struct stream *s, const char *path);
void stream_close(struct stream *s);

/** What is there; valid until the next call. */
static inline struct zk_span stream_window(const struct stream *s)
{
	return zk_span_of(s->buf + s->from, s->to - s->from);
}

/** The window begins at offset @p at, inside the present one or at its end, from now on. */
void stream_move(struct stream *s, uint64_t at);

/** Make the window larger, or set s->eof. @return false with s->error: it cannot be read. */
bool stream_more(struct stream *s);

/** Without windows: the next bytes as read() gives them, 0 at the end, -1 with s->error. Not
 * together with stream_more(). */
ssize_t stream_read(struct stream *s, void *to, size_t n);

/** The compression that the suffix of @p path names. */
enum store_pack stream_pack(const char *path);

/* ---- snappy in xerial's framing: 16 bytes header, then blocks, each behind its length ----------
 */

/** @p file stays the caller's. NULL: out of memory. */
struct snappy_in *snappy_in_new(FILE *file);
void snappy_in_free(struct snappy_in *in);
/** As read(): up to @p n bytes, 0 at the end, -1 with a text in @p error. */
ssize_t snappy_in_read(struct snappy_in *in, uint8_t *to, size_t n, char error[STREAM_ERROR_MAX]);

#endif
