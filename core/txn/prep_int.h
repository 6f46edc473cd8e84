/* SPDX-License-Identifier: Apache-2.0 */
/** Inside prep: one operation, alone or in a multi. */
#ifndef ZK_TXN_PREP_INT_H
#define ZK_TXN_PREP_INT_H

#include "core/base/assert.h"
#include "core/txn/op.h"
#include "core/txn/prep.h"
#include "core/txn/txn.h"

/* Header, sequence number, parentCVersion and the like: what a transaction may have beyond the
 * bytes of its request. */
enum { PREP_SLACK_BYTES = 128 };

/** The fields of any write's request record; unused ones are zero. */
struct prep_record {
	struct zk_span path, data;
	struct zk_span acl; /* the encoded vector, count included */
	bool acl_null;
	int32_t flags, version;
	int64_t ttl; /* -1 unless the record is a CreateTTLRequest */
};

/** The request being prepared. */
struct prep_run {
	struct prep *p;
	const struct prep_in *in;
	struct jute_out *out; /* the transaction */
	struct auth_ids ids;
	bool ids_parsed;
	bool ephemeral;
};

/** Read the record of @p op from @p in. False: not a write with a record, or malformed. */
bool prep_parse(int32_t op, struct jute_in *in, struct prep_record *r);

/** Upper bound of the reply's body. */
size_t prep_reply_max(int32_t op, const struct prep_record *r);

/** Validate and write the body of one transaction of @p type; on success the pending state has
 * changed. On failure nothing has, but bytes may have been written.
 * @return ZK_EOK, the error of the operation, or ZK_ETOOBIG: the output is full. */
ZK_MUST_USE enum zk_err prep_op(struct prep_run *x, int32_t type, const struct prep_record *r);

/** Would the usage that counts @p path, raised by so much, be above a hard limit? Pending
 * transactions count. @return ZK_EOK, ZK_QUOTAEXCEEDED, or ZK_MARSHALLINGERROR: the limits or the
 * usage are no such text, on which Apache's prep fails like that. */
ZK_MUST_USE enum zk_err prep_quota(struct prep_run *x, struct zk_span path, int64_t count,
				   int64_t bytes);

/** A multi's request, checked as a whole. */
struct prep_multi {
	uint32_t ops;
	size_t reply_bytes;
};

/** First pass: is the request a well-formed multi? Otherwise the whole request is -5. */
bool prep_multi_parse(struct zk_span body, struct prep_multi *m);

/** Second pass: write the body; a failing operation makes the multi a failed one, which is a
 *  success here. @return ZK_EOK, ZK_ETOOBIG or ZK_SYSTEMERROR (no memory), with nothing changed. */
ZK_MUST_USE enum zk_err prep_multi(struct prep_run *x, const struct prep_multi *m);

/** closeSession. @return ZK_EOK, ZK_EAGAIN. */
ZK_MUST_USE enum zk_err prep_close(struct prep *p, const struct prep_in *in, struct prep_out *out);

static inline void prep_put_header(const struct prep_in *in, int32_t type, struct jute_out *o)
{
	txn_put_header(o, &(struct txn_header){.client = in->session,
					       .cxid = in->cxid,
					       .zxid = in->zxid,
					       .time_ms = in->time_ms,
					       .type = type});
}

/** Memory of the tree for @p steps more changes, @p owned of them ends of ephemeral nodes, beside
 * what is pending? The record at the end of a transaction is a step, too. */
static inline bool prep_can_step(const struct prep *p, uint64_t steps, uint64_t owned)
{
	return tree_can_step(p->conf.tree, p->steps + steps + 1, owned);
}

/** Memory is on its way back: the request is to be offered again. */
static inline enum zk_err prep_wait_memory(struct prep *p)
{
	p->memory_waits++;
	return ZK_EAGAIN;
}

/** The largest prep_reserve(). */
static inline size_t prep_bytes_max(const struct prep *p)
{
	return txn_bytes_record_max(&p->bytes) - TXN_DIGEST_BYTES;
}

/** Room for a transaction of @p n bytes and the digest behind it; NULL: none now. */
static inline uint8_t *prep_reserve(struct prep *p, size_t n)
{
	return txn_bytes_reserve(&p->bytes, n + TXN_DIGEST_BYTES);
}

/** The transaction is complete in the reservation: keep it. @p digest: put the digest of the tree
 * after it behind, if the tree keeps one (PrepRequestProcessor.setTxnDigest: all but error
 * transactions; one that changes nothing has the digest of the tree as it is). @p steps: what it
 * changes, see prep_can_step(). */
static inline void prep_finish(struct prep *p, const struct jute_out *o, bool digest,
			       uint64_t steps, struct prep_out *out)
{
	zk_assert(!o->full);
	out->txn = zk_span_of(o->start, jute_out_len(o));
	if (digest && tree_digest_kept(p->conf.tree)) {
		zk_put32(o->p, TXN_DIGEST_VERSION);
		zk_put64(o->p + 4, p->pending.digest);
		out->txn.n += TXN_DIGEST_BYTES;
	}
	out->steps = steps + 1;
	p->steps += out->steps;
	out->end = txn_bytes_commit(&p->bytes, out->txn.n);
}

#endif
