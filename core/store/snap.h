/* SPDX-License-Identifier: Apache-2.0 */
/** The bytes of a snapshot, uncompressed (spec/disk-format.md section 4; FileSnap.java,
 * DataTree.serialize, SnapStream.java). Reader and writer keep the running checksum; files and
 * compression are the caller's.
 *
 * A leader sends the same without file header, seals and what is between them: sessions, ACLs,
 * nodes, the path "/" (spec/quorum-protocol.md section 4, SNAP stream). Here that is called the
 * stream form.
 */
#ifndef ZK_STORE_SNAP_H
#define ZK_STORE_SNAP_H

#include "core/base/err.h"
#include "core/jute/jute.h"
#include "core/store/bad.h"
#include "core/store/digest.h"

#define SNAP_MAGIC UINT32_C(0x5a4b534e) /* "ZKSN" */
enum {
	SNAP_VERSION = 2,
	SNAP_HEADER_BYTES = 16,
	SNAP_STAT_BYTES = 60,
	SNAP_SEAL_BYTES = 13,
	SNAP_ACL_OPEN = -1, /* world:anyone ALL, not in the cache */
};

struct snap_node {
	struct zk_span path; /* "" = the root */
	struct zk_span data;
	int64_t acl_key;
	struct store_stat stat;
};

/* ---- reading ----------------------------------------------------------------------------------
 */

enum snap_step {
	SNAP_SESSION,   /* out->session */
	SNAP_ACL,       /* out->acl */
	SNAP_NODE,      /* out->node */
	SNAP_SEALED,    /* the nodes are complete and the checksum over them was right */
	SNAP_DIGEST,    /* out->digest, its seal was right */
	SNAP_LAST_ZXID, /* out->last_zxid, its seal was right (3.9) */
	SNAP_END,       /* all read; out->rest; in the stream form: behind the path "/" */
	SNAP_MORE,      /* the window must be larger than it was */
	SNAP_BAD,       /* out->bad */
};

struct snap_item {
	uint64_t at; /* offset in the uncompressed stream where the item begins */
	union {
		struct {
			uint64_t id;
			int32_t timeout_ms;
		} session;
		struct {
			int64_t key;
			struct zk_span jute; /* the vector with its count */
		} acl;
		struct snap_node node;
		struct {
			uint64_t zxid;
			int32_t version;
			uint64_t tree; /* version 1: of the hex string, 0 when it is none */
		} digest;
		uint64_t last_zxid;
		uint64_t rest; /* bytes behind the last known part, which Apache ignores */
		enum store_bad bad;
	};
};

enum snap_state {
	SNAP_AT_HEADER,
	SNAP_AT_SESSIONS,
	SNAP_AT_ACL_COUNT,
	SNAP_AT_ACLS,
	SNAP_AT_NODES,
	SNAP_AT_SEAL,
	SNAP_AT_DIGEST,
	SNAP_AT_LAST_ZXID,
	SNAP_AT_END,
};

struct snap_reader {
	uint64_t at; /* offset of the next byte wanted: where a window begins */
	uint32_t length_max;
	uint32_t version; /* of the file header; not judged, as in Apache */
	uint32_t sum;     /* of everything before `at` */
	uint32_t left;    /* sessions or ACLs still to come */
	bool stream;
	enum snap_state state;
};

/** @p length_max: jute.maxbuffer + extrasize, for every string and buffer. */
void snap_reader_init(struct snap_reader *r, uint32_t length_max);
/** The same for the stream form. SNAP_END comes with its last byte (r->at is behind it then), and
 * r->sum is what the seal of a file has to hold that consists of Apache's file header and the
 * stream. */
void snap_reader_init_stream(struct snap_reader *r, uint32_t length_max);

/** The next item, in the order of enum snap_step; parts that are missing at the end are skipped.
 * What needs a table is the caller's: that parents come first, that paths do not repeat, that ACL
 * keys exist.
 *
 * @param window  bytes from r->at on; borrowed, *out points into it. Every call may move r->at, and
 *                the next window begins there.
 * @param eof     the window reaches to the end of the stream.
 *
 * Any context. Bound: one item; SNAP_MORE at most until the window has 4 * length_max + 4096 bytes.
 */
enum snap_step snap_next(struct snap_reader *r, struct zk_span window, bool eof,
			 struct snap_item *out);

/* ---- writing ----------------------------------------------------------------------------------
 */

/** In this order: begin, every session, acls, every ACL, every node (root first, each after its
 * parent), seal; then, as configured, digest and last_zxid. Out of order, or another number of
 * sessions or ACLs than announced, stops the process. Each function writes all or, when it does not
 * fit, nothing, sets out->full and returns ZK_EFULL: drain, and call it again with a fresh @p out.
 * Any context; bound: linear in what is written. */
struct snap_writer {
	uint64_t bytes;
	uint32_t sum;
	uint32_t left;
	bool stream;
	enum snap_state state;
};

void snap_writer_init(struct snap_writer *w);
/** The stream form: the seal is the path "/" alone, and the last thing. */
void snap_writer_init_stream(struct snap_writer *w);
/** The file header. Any context. */
void snap_put_header(struct jute_out *out);
/** The checksum @p sum and the path "/" behind it: the end of a part of the file. Any context. */
void snap_put_sum(struct jute_out *out, uint32_t sum);
ZK_MUST_USE enum zk_err snap_put_begin(struct snap_writer *w, struct jute_out *out,
				       uint32_t sessions);
ZK_MUST_USE enum zk_err snap_put_session(struct snap_writer *w, struct jute_out *out, uint64_t id,
					 int32_t timeout_ms);
ZK_MUST_USE enum zk_err snap_put_acls(struct snap_writer *w, struct jute_out *out, uint32_t acls);
/** @p jute: the encoded vector with its count, borrowed. */
ZK_MUST_USE enum zk_err snap_put_acl(struct snap_writer *w, struct jute_out *out, int64_t key,
				     struct zk_span jute);
/** @p node: borrowed; path "/" is written as the root's "". */
ZK_MUST_USE enum zk_err snap_put_node(struct snap_writer *w, struct jute_out *out,
				      const struct snap_node *node);
ZK_MUST_USE enum zk_err snap_put_seal(struct snap_writer *w, struct jute_out *out);
ZK_MUST_USE enum zk_err snap_put_digest(struct snap_writer *w, struct jute_out *out, uint64_t zxid,
					uint64_t tree);
ZK_MUST_USE enum zk_err snap_put_last_zxid(struct snap_writer *w, struct jute_out *out,
					   uint64_t zxid);

#endif
