/* SPDX-License-Identifier: Apache-2.0 */
/** The few ZooKeeper messages the generator needs (spec/client-protocol.md sections 1 to 4), and
 * the cutting of a TCP stream into frames. */
#ifndef ZK_BENCH_ZKMSG_H
#define ZK_BENCH_ZKMSG_H

#include "core/base/span.h"
#include "dp/net/tcp/tcp.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	ZKMSG_CREATE = 1,
	ZKMSG_EXISTS = 3,
	ZKMSG_GET_DATA = 4,
	ZKMSG_SET_DATA = 5,
	ZKMSG_PING = 11,
	ZKMSG_CLOSE = -11,
	ZKMSG_FRAME_MAX = 512, /* longest frame the bench ever sends or expects, length included */
	ZKMSG_DATA_BYTES = 100,
	ZKMSG_STAT_BYTES = 68,
	ZKMSG_REPLY_HEADER_BYTES = 16,
	ZKMSG_CONNECT_REPLY_BYTES = 37
};

/** Each writes one whole frame to @p p (ZKMSG_FRAME_MAX bytes) and returns its length. */
size_t zkmsg_connect(uint8_t *p, int32_t timeout_ms);
size_t zkmsg_path_watch(uint8_t *p, int32_t xid, int32_t op, const char *path, bool watch);
size_t zkmsg_set_data(uint8_t *p, int32_t xid, const char *path);
size_t zkmsg_create(uint8_t *p, int32_t xid, const char *path);
size_t zkmsg_close(uint8_t *p, int32_t xid);

enum zkmsg_cut { ZKMSG_CUT_OK, ZKMSG_CUT_MORE, ZKMSG_CUT_BAD };

/** The frame that starts @p skip bytes into what @p c has in order. @p frame is its payload, in
 * place where it is contiguous, otherwise copied to @p scratch (ZKMSG_FRAME_MAX bytes); valid until
 * tcp_read_done(). */
enum zkmsg_cut zkmsg_cut(const struct tcp_conn *c, size_t skip, uint8_t *scratch,
			 struct zk_span *frame);

#endif
