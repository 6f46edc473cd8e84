/* SPDX-License-Identifier: Apache-2.0 */
/** Numbers and fixed records of the client protocol (spec/client-protocol.md sections 3 to 7). */
#ifndef ZK_JUTE_PROTO_H
#define ZK_JUTE_PROTO_H

#include "core/jute/jute.h"

enum zk_op {
	ZK_OP_NOTIFICATION = 0,
	ZK_OP_CREATE = 1,
	ZK_OP_DELETE = 2,
	ZK_OP_EXISTS = 3,
	ZK_OP_GET_DATA = 4,
	ZK_OP_SET_DATA = 5,
	ZK_OP_GET_ACL = 6,
	ZK_OP_SET_ACL = 7,
	ZK_OP_GET_CHILDREN = 8,
	ZK_OP_SYNC = 9,
	ZK_OP_PING = 11,
	ZK_OP_GET_CHILDREN2 = 12,
	ZK_OP_CHECK = 13,
	ZK_OP_MULTI = 14,
	ZK_OP_CREATE2 = 15,
	ZK_OP_RECONFIG = 16,
	ZK_OP_CHECK_WATCHES = 17,
	ZK_OP_REMOVE_WATCHES = 18,
	ZK_OP_CREATE_CONTAINER = 19,
	ZK_OP_DELETE_CONTAINER = 20,
	ZK_OP_CREATE_TTL = 21,
	ZK_OP_MULTI_READ = 22,
	ZK_OP_AUTH = 100,
	ZK_OP_SET_WATCHES = 101,
	ZK_OP_SASL = 102,
	ZK_OP_GET_EPHEMERALS = 103,
	ZK_OP_GET_ALL_CHILDREN_NUMBER = 104,
	ZK_OP_SET_WATCHES2 = 105,
	ZK_OP_ADD_WATCH = 106,
	ZK_OP_WHO_AM_I = 107,
	ZK_OP_CREATE_SESSION = -10,
	ZK_OP_CLOSE_SESSION = -11,
	ZK_OP_ERROR = -1,
};

enum { ZK_XID_WATCH = -1, ZK_XID_PING = -2, ZK_XID_AUTH = -4, ZK_XID_SET_WATCHES = -8 };

enum zk_event { ZK_EV_CREATED = 1, ZK_EV_DELETED = 2, ZK_EV_DATA = 3, ZK_EV_CHILDREN = 4 };
enum { ZK_STATE_SYNC_CONNECTED = 3 };

enum zk_perm {
	ZK_PERM_READ = 1,
	ZK_PERM_WRITE = 2,
	ZK_PERM_CREATE = 4,
	ZK_PERM_DELETE = 8,
	ZK_PERM_ADMIN = 16,
	ZK_PERM_ALL = 31
};

/* ephemeralOwner markers (section 5). A TTL owner is ZK_OWNER_TTL | milliseconds (40 bits). */
#define ZK_OWNER_CONTAINER UINT64_C(0x8000000000000000)
#define ZK_OWNER_TTL       UINT64_C(0xff00000000000000)
#define ZK_TTL_MAX_MS      INT64_C(0xffffffffff)

enum { ZK_STAT_BYTES = 68, ZK_REPLY_HEADER_BYTES = 16, ZK_JUTE_MAXBUFFER_DEFAULT = 0xfffff };

/** Stat as the client sees it: cversion and ephemeralOwner already converted. */
struct zk_stat {
	int64_t czxid, mzxid, ctime, mtime;
	int32_t version, cversion, aversion;
	int64_t ephemeral_owner;
	int32_t data_length, num_children;
	int64_t pzxid;
};

static inline void jute_put_stat(struct jute_out *out, const struct zk_stat *s)
{
	uint8_t *p = jute_room(out, ZK_STAT_BYTES);

	if (!p)
		return;
	zk_put64(p, (uint64_t)s->czxid);
	zk_put64(p + 8, (uint64_t)s->mzxid);
	zk_put64(p + 16, (uint64_t)s->ctime);
	zk_put64(p + 24, (uint64_t)s->mtime);
	zk_put32(p + 32, (uint32_t)s->version);
	zk_put32(p + 36, (uint32_t)s->cversion);
	zk_put32(p + 40, (uint32_t)s->aversion);
	zk_put64(p + 44, (uint64_t)s->ephemeral_owner);
	zk_put32(p + 52, (uint32_t)s->data_length);
	zk_put32(p + 56, (uint32_t)s->num_children);
	zk_put64(p + 60, (uint64_t)s->pzxid);
}

/** Reply header behind a 4-byte length that the caller fills in. */
static inline void jute_put_reply_header(struct jute_out *out, int32_t xid, int64_t zxid,
					 int32_t err)
{
	uint8_t *p = jute_room(out, ZK_REPLY_HEADER_BYTES);

	if (!p)
		return;
	zk_put32(p, (uint32_t)xid);
	zk_put64(p + 4, (uint64_t)zxid);
	zk_put32(p + 12, (uint32_t)err);
}

#endif
