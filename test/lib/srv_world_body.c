/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/srv_world_body.h"

#include "core/base/assert.h"
#include "core/base/endian.h"
#include "core/jute/proto.h"

static void put_u8(struct srv_world_req *o, uint8_t v)
{
	zk_assert(o->n < sizeof(o->b));
	o->b[o->n++] = v;
}

static void put_i32(struct srv_world_req *o, int32_t v)
{
	zk_assert(o->n + 4 <= sizeof(o->b));
	zk_put32(o->b + o->n, (uint32_t)v);
	o->n += 4;
}

static void put_str(struct srv_world_req *o, const char *s)
{
	size_t n = s ? strlen(s) : 0;

	put_i32(o, s ? (int32_t)n : -1);
	zk_assert(o->n + n <= sizeof(o->b));
	if (n)
		memcpy(o->b + o->n, s, n);
	o->n += n;
}

static void put_path(struct srv_world_in *w, struct srv_world_req *o)
{
	static const char *const paths[] = {"/",          "/a",     "/a/b", "/a/b/c", "/b",  "/b/x",
					    "/c",         "/s-",    "",     "rel",    "/a/", NULL,
					    "/zookeeper", "/a/./b", "/e",   "/e/f"};

	put_str(o, paths[srv_world_byte(w) % (sizeof(paths) / sizeof(paths[0]))]);
}

static void put_acl(struct srv_world_in *w, struct srv_world_req *o)
{
	uint8_t how = srv_world_byte(w);

	if (how < 200) {
		put_i32(o, 1);
		put_i32(o, 31);
		put_str(o, "world");
		put_str(o, "anyone");
		return;
	}
	put_i32(o, how % 3 ? 1 : -1);
	if (how % 3 == 0)
		return;
	put_i32(o, how & 31);
	put_str(o, how & 1 ? "auth" : "digest");
	put_str(o, how & 2 ? "" : "u:p");
}

static void put_write(struct srv_world_in *w, struct srv_world_req *o, int32_t op)
{
	put_path(w, o);
	switch (op) {
	case ZK_OP_CREATE:
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
		put_str(o, "data");
		put_acl(w, o);
		put_i32(o, srv_world_byte(w) % 8);
		if (op == ZK_OP_CREATE_TTL)
			for (int i = 0; i < 2; i++)
				put_i32(o, srv_world_byte(w));
		break;
	case ZK_OP_SET_DATA:
		put_str(o, srv_world_byte(w) & 1 ? "other" : NULL);
		put_i32(o, -1);
		break;
	case ZK_OP_SET_ACL:
		put_acl(w, o);
		put_i32(o, -1);
		break;
	default:
		put_i32(o, -1);
	}
}

static void put_multi(struct srv_world_in *w, struct srv_world_req *o, bool reads)
{
	static const int32_t write_ops[] = {ZK_OP_CREATE, ZK_OP_DELETE,  ZK_OP_SET_DATA,
					    ZK_OP_CHECK,  ZK_OP_CREATE2, ZK_OP_SET_ACL};
	unsigned ops = srv_world_byte(w) % 5;

	for (unsigned i = 0; i < ops; i++) {
		uint8_t pick = srv_world_byte(w);
		bool read = pick > 250 ? !reads : reads;
		int32_t op = read ? (pick & 1 ? ZK_OP_GET_DATA : ZK_OP_GET_CHILDREN)
				  : write_ops[pick % 6];

		put_i32(o, op);
		put_u8(o, 0);
		put_i32(o, -1);
		if (read) {
			put_path(w, o);
			put_u8(o, 1);
		} else {
			put_write(w, o, op);
		}
	}
	put_i32(o, -1);
	put_u8(o, 1);
	put_i32(o, -1);
}

static void put_set_watches(struct srv_world_in *w, struct srv_world_req *o, int lists)
{
	put_i32(o, 0);
	put_i32(o, srv_world_byte(w));
	for (int l = 0; l < lists; l++) {
		int32_t n = srv_world_byte(w) % 4;

		put_i32(o, n);
		for (int32_t i = 0; i < n; i++)
			put_path(w, o);
	}
}

void srv_world_body(struct srv_world_in *w, struct srv_world_req *o, int32_t op)
{
	switch (op) {
	case ZK_OP_EXISTS:
	case ZK_OP_GET_DATA:
	case ZK_OP_GET_CHILDREN:
	case ZK_OP_GET_CHILDREN2:
	case ZK_OP_GET_ACL:
	case ZK_OP_SYNC:
	case ZK_OP_GET_EPHEMERALS:
	case ZK_OP_GET_ALL_CHILDREN_NUMBER:
		put_path(w, o);
		put_u8(o, srv_world_byte(w) & 1);
		break;
	case ZK_OP_ADD_WATCH:
		put_path(w, o);
		put_i32(o, srv_world_byte(w) % 3);
		break;
	case ZK_OP_CHECK_WATCHES:
	case ZK_OP_REMOVE_WATCHES:
		put_path(w, o);
		put_i32(o, srv_world_byte(w) % 7);
		break;
	case ZK_OP_SET_WATCHES:
		put_set_watches(w, o, 3);
		break;
	case ZK_OP_SET_WATCHES2:
		put_set_watches(w, o, 5);
		break;
	case ZK_OP_MULTI:
	case ZK_OP_MULTI_READ:
		put_multi(w, o, op == ZK_OP_MULTI_READ);
		break;
	case ZK_OP_AUTH:
		put_i32(o, 0);
		put_str(o, srv_world_byte(w) > 20 ? "digest" : "world");
		put_str(o, srv_world_byte(w) & 1 ? "u:p" : "super:admin");
		break;
	case ZK_OP_PING:
	case ZK_OP_WHO_AM_I:
	case ZK_OP_CLOSE_SESSION:
		break;
	case ZK_OP_SASL:
		put_str(o, "token");
		break;
	default:
		put_write(w, o, op);
	}
}
