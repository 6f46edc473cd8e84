/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/assert.h"
#include "core/store/snap.h"
#include "core/store/sum.h"

enum { LAST_ZXID_BYTES = 8 + SNAP_SEAL_BYTES, TAIL_BYTES = 256, DIGEST_TEXT_MAX = 32 };

/* Reading one item: nothing counts before accept(). */
struct cursor {
	struct jute_in in;
	const uint8_t *start;
	uint32_t length_max;
	enum store_bad bad;
	bool eof;
};

void snap_reader_init(struct snap_reader *r, uint32_t length_max)
{
	zk_assert(length_max > 0 && length_max <= INT32_MAX);
	*r = (struct snap_reader){.length_max = length_max, .sum = STORE_ADLER32_INIT};
}

void snap_reader_init_stream(struct snap_reader *r, uint32_t length_max)
{
	uint8_t header[SNAP_HEADER_BYTES];
	struct jute_out out = jute_out_of(header, sizeof(header));

	snap_reader_init(r, length_max);
	snap_put_header(&out);
	r->sum = store_adler32(r->sum, zk_span_of(header, sizeof(header)));
	r->version = SNAP_VERSION;
	r->stream = true;
}

static void spoil(struct cursor *c, enum store_bad why)
{
	if (c->bad == STORE_GOOD)
		c->bad = why;
	c->in.bad = true;
}

static struct zk_span take_bytes(struct cursor *c)
{
	struct jute_in peek = c->in;
	int32_t n = jute_i32(&peek);

	if (!peek.bad && (n < -1 || n > (int64_t)c->length_max))
		spoil(c, STORE_BAD_LENGTH);
	return jute_bytes(&c->in);
}

static int32_t take_count(struct cursor *c)
{
	int32_t n = jute_i32(&c->in);

	if (!c->in.bad && n < 0)
		spoil(c, STORE_BAD_COUNT);
	return c->in.bad ? 0 : n;
}

static bool is_slash(struct zk_span s)
{
	return s.n == 1 && s.p[0] == '/';
}

/* Take what the cursor has read into the checksum. @return false: *step says why not. */
static bool accept(struct snap_reader *r, struct cursor *c, struct snap_item *out,
		   enum snap_step *step)
{
	size_t n = (size_t)(c->in.p - c->start);

	if (!c->in.bad) {
		r->sum = store_adler32(r->sum, zk_span_of(c->start, n));
		r->at += n;
		c->start = c->in.p;
		return true;
	}
	if (c->bad == STORE_GOOD && !c->eof) {
		if ((uint64_t)(c->in.end - c->start) < 4 * (uint64_t)r->length_max + 4096) {
			*step = SNAP_MORE;
			return false;
		}
		c->bad = STORE_BAD_LENGTH;
	}
	out->bad = c->bad == STORE_GOOD ? STORE_BAD_END : c->bad;
	*step = SNAP_BAD;
	return false;
}

static void take_header(struct snap_reader *r, struct cursor *c)
{
	if (!r->stream) {
		uint32_t magic = (uint32_t)jute_i32(&c->in);

		if (!c->in.bad && magic != SNAP_MAGIC)
			spoil(c, STORE_BAD_MAGIC);
		r->version = (uint32_t)jute_i32(&c->in);
		jute_i64(&c->in); /* dbid */
	}
	r->left = (uint32_t)take_count(c);
}

static void take_acl(struct cursor *c, struct snap_item *out)
{
	const uint8_t *vector;
	int32_t n;

	out->acl.key = jute_i64(&c->in);
	vector = c->in.p;
	n = take_count(c);
	for (int32_t i = 0; i < n && !c->in.bad; i++) {
		jute_i32(&c->in);
		take_bytes(c);
		take_bytes(c);
	}
	out->acl.jute = zk_span_of(vector, (size_t)(c->in.p - vector));
}

static void take_stat(struct jute_in *in, struct store_stat *st)
{
	const uint8_t *p = jute_take(in, SNAP_STAT_BYTES);

	if (!p)
		return;
	st->czxid = zk_get64(p);
	st->mzxid = zk_get64(p + 8);
	st->ctime = (int64_t)zk_get64(p + 16);
	st->mtime = (int64_t)zk_get64(p + 24);
	st->version = (int32_t)zk_get32(p + 32);
	st->cversion = (int32_t)zk_get32(p + 36);
	st->aversion = (int32_t)zk_get32(p + 40);
	st->owner = zk_get64(p + 44);
	st->pzxid = zk_get64(p + 52);
}

/* @return false: it was the end of the nodes. */
static bool take_node(struct cursor *c, struct snap_node *node)
{
	*node = (struct snap_node){.path = take_bytes(c)};
	if (c->in.bad)
		return true;
	if (is_slash(node->path))
		return false;
	if (!node->path.p || (node->path.n && node->path.p[0] != '/'))
		spoil(c, STORE_BAD_PATH);
	node->data = take_bytes(c);
	node->acl_key = jute_i64(&c->in);
	take_stat(&c->in, &node->stat);
	return true;
}

/* The checksum in it is of everything before it. */
static void take_seal(struct cursor *c, uint32_t sum)
{
	uint64_t stored = (uint64_t)jute_i64(&c->in);
	struct zk_span path;

	if (c->in.bad)
		return;
	path = take_bytes(c);
	if (!c->in.bad && stored != sum)
		spoil(c, STORE_BAD_SUM);
	else if (!c->in.bad && !is_slash(path))
		spoil(c, STORE_BAD_SEAL);
}

/* Long.parseLong(text, 16) of the old digest. */
static uint64_t hex_digest(struct zk_span s)
{
	uint64_t v = 0;

	for (size_t i = 0; i < s.n; i++) {
		uint8_t ch = s.p[i] | 0x20;
		bool letter = ch >= 'a' && ch <= 'f';

		if (!letter && (s.p[i] < '0' || s.p[i] > '9'))
			return 0;
		v = v << 4 | (uint64_t)(letter ? ch - 'a' + 10 : s.p[i] - '0');
	}
	return v;
}

static void take_digest(struct cursor *c, struct snap_item *out)
{
	struct zk_span text;

	out->digest.zxid = (uint64_t)jute_i64(&c->in);
	out->digest.version = jute_i32(&c->in);
	if (c->in.bad || out->digest.version >= 2) {
		out->digest.tree = (uint64_t)jute_i64(&c->in);
		return;
	}
	text = take_bytes(c);
	if (text.n > DIGEST_TEXT_MAX)
		spoil(c, STORE_BAD_LENGTH);
	else
		out->digest.tree = hex_digest(text);
}

/* A part and the seal behind it. */
static bool sealed_part(struct snap_reader *r, struct cursor *c, struct snap_item *out,
			enum snap_step *step)
{
	struct snap_reader before = *r;

	if (accept(r, c, out, step)) {
		take_seal(c, r->sum);
		if (accept(r, c, out, step))
			return true;
	}
	r->at = before.at; /* the window still begins before the part */
	r->sum = before.sum;
	return false;
}

/* The optional parts: what is there is known only by how much is left. */
static enum snap_step tail(struct snap_reader *r, struct cursor *c, struct snap_item *out)
{
	size_t n = jute_left(&c->in);
	enum snap_step step = SNAP_DIGEST;

	if (r->stream)
		return SNAP_END;
	if (!c->eof && n < TAIL_BYTES)
		return SNAP_MORE;
	if (n == 0)
		r->state = SNAP_AT_END;
	if (r->state == SNAP_AT_END) {
		out->rest = n;
		return SNAP_END;
	}
	if (r->state == SNAP_AT_DIGEST && !(c->eof && n == LAST_ZXID_BYTES)) {
		take_digest(c, out);
		if (sealed_part(r, c, out, &step))
			r->state = SNAP_AT_LAST_ZXID;
		return step;
	}
	step = SNAP_LAST_ZXID;
	out->last_zxid = (uint64_t)jute_i64(&c->in);
	if (sealed_part(r, c, out, &step))
		r->state = SNAP_AT_END;
	return step;
}

static enum snap_step nodes(struct snap_reader *r, struct cursor *c, struct snap_item *out)
{
	enum snap_step step = SNAP_SEALED;

	if (r->state == SNAP_AT_NODES) {
		bool more = take_node(c, &out->node);

		if (!accept(r, c, out, &step))
			return step;
		if (more)
			return SNAP_NODE;
		r->state = r->stream ? SNAP_AT_END : SNAP_AT_SEAL;
		out->at = r->at;
	}
	if (r->stream) {
		out->rest = 0;
		return SNAP_END;
	}
	take_seal(c, r->sum);
	if (accept(r, c, out, &step))
		r->state = SNAP_AT_DIGEST;
	return step;
}

enum snap_step snap_next(struct snap_reader *r, struct zk_span window, bool eof,
			 struct snap_item *out)
{
	struct cursor c = {jute_in_of(window), window.p, r->length_max, STORE_GOOD, eof};
	enum snap_step step = SNAP_BAD;

	*out = (struct snap_item){.at = r->at};
	if (r->state == SNAP_AT_HEADER) {
		take_header(r, &c);
		if (!accept(r, &c, out, &step))
			return step;
		r->state = SNAP_AT_SESSIONS;
		out->at = r->at;
	}
	if (r->state == SNAP_AT_SESSIONS && r->left) {
		out->session.id = (uint64_t)jute_i64(&c.in);
		out->session.timeout_ms = jute_i32(&c.in);
		if (!accept(r, &c, out, &step))
			return step;
		r->left--;
		return SNAP_SESSION;
	}
	if (r->state == SNAP_AT_SESSIONS)
		r->state = SNAP_AT_ACL_COUNT;
	if (r->state == SNAP_AT_ACL_COUNT) {
		uint32_t n = (uint32_t)take_count(&c);

		if (!accept(r, &c, out, &step))
			return step;
		r->left = n;
		r->state = SNAP_AT_ACLS;
		out->at = r->at;
	}
	if (r->state == SNAP_AT_ACLS && r->left) {
		take_acl(&c, out);
		if (!accept(r, &c, out, &step))
			return step;
		r->left--;
		return SNAP_ACL;
	}
	if (r->state == SNAP_AT_ACLS)
		r->state = SNAP_AT_NODES;
	return r->state <= SNAP_AT_SEAL ? nodes(r, &c, out) : tail(r, &c, out);
}
