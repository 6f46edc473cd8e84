/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/snap_tree.h"

#include "core/base/assert.h"
#include "core/base/hash.h"

enum {
	DEPTH_FIRST = 64,
	ACLS_FIRST = 64,
	NODE_FIXED_BYTES = 4 + 4 + 8 + SNAP_STAT_BYTES,
	SLOTS = 64
};

/* Everything that is not a node or an ACL list fits in this. */
enum { SMALL_BYTES = 64 };

enum zk_err snap_tree_init(struct snap_tree *s, const struct snap_tree_conf *conf)
{
	zk_assert(conf->sessions <= INT32_MAX);
	*s = (struct snap_tree){.conf = *conf, .depth_max = DEPTH_FIRST, .acl_slots = ACLS_FIRST};
	if (conf->stream)
		snap_writer_init_stream(&s->writer);
	else
		snap_writer_init(&s->writer);
	s->stack = zk_mem_alloc(conf->mem, s->depth_max * sizeof(*s->stack));
	s->acl = zk_mem_alloc(conf->mem, s->acl_slots * sizeof(const struct acl_list *));
	if (!s->stack || !s->acl) {
		snap_tree_fini(s);
		return ZK_ENOMEM;
	}
	memset(s->acl, 0, s->acl_slots * sizeof(const struct acl_list *));
	return ZK_EOK;
}

void snap_tree_fini(struct snap_tree *s)
{
	zk_mem_free(s->conf.mem, s->stack, s->depth_max * sizeof(*s->stack));
	zk_mem_free(s->conf.mem, s->acl, s->acl_slots * sizeof(const struct acl_list *));
	s->stack = NULL;
	s->acl = NULL;
}

/* ---- the walk -------------------------------------------------------------------------------- */

static bool push(struct snap_tree *s, struct tree_ref ref)
{
	if (s->depth == s->depth_max) {
		size_t bytes = s->depth_max * sizeof(*s->stack);
		struct snap_frame *more = zk_mem_alloc(s->conf.mem, 2 * bytes);

		if (!more)
			return false;
		memcpy(more, s->stack, bytes);
		zk_mem_free(s->conf.mem, s->stack, bytes);
		s->stack = more;
		s->depth_max *= 2;
	}
	s->stack[s->depth++] = (struct snap_frame){.ref = ref};
	return true;
}

/* The next node, parents first. @return ZK_EOK with *out; ZK_EAGAIN: the budget is used up;
 * ZK_EEMPTY: no more; ZK_ENOMEM; ZK_ECLOSED. */
static enum zk_err walk(struct snap_tree *s, unsigned *budget, struct tree_ref *out)
{
	if (!s->begun) {
		if (!tree_find(s->conf.tree, zk_span_str("/"), s->conf.zxid, out))
			return ZK_ECLOSED;
		s->begun = true;
		return push(s, *out) ? ZK_EOK : ZK_ENOMEM;
	}
	while (s->depth) {
		struct snap_frame *f = &s->stack[s->depth - 1];
		const struct tree_node *child;

		if (*budget == 0)
			return ZK_EAGAIN;
		--*budget;
		if (!tree_child_next(f->ref, s->conf.zxid, &f->cursor, SLOTS, &child)) {
			s->depth--;
			continue;
		}
		if (!child)
			continue;
		if (!tree_ref_at(child, s->conf.zxid, out))
			return ZK_ECLOSED; /* it was there a moment ago */
		return push(s, *out) ? ZK_EOK : ZK_ENOMEM;
	}
	s->begun = false;
	return ZK_EEMPTY;
}

/* ---- ACL lists ------------------------------------------------------------------------------- */

static size_t acl_slot(const struct snap_tree *s, const struct acl_list *l)
{
	size_t i = (size_t)zk_mix64((uint64_t)l->id) & (s->acl_slots - 1);

	while (s->acl[i] && s->acl[i] != l)
		i = (i + 1) & (s->acl_slots - 1);
	return i;
}

static bool acl_grow(struct snap_tree *s)
{
	const struct acl_list **old = s->acl;
	size_t n = s->acl_slots;

	s->acl = zk_mem_alloc(s->conf.mem, 2 * n * sizeof(const struct acl_list *));
	if (!s->acl) {
		s->acl = old;
		return false;
	}
	s->acl_slots = 2 * n;
	memset(s->acl, 0, 2 * n * sizeof(const struct acl_list *));
	for (size_t i = 0; i < n; i++)
		if (old[i])
			s->acl[acl_slot(s, old[i])] = old[i];
	zk_mem_free(s->conf.mem, old, n * sizeof(const struct acl_list *));
	return true;
}

/* Equal lists are one object as long as the hold stands. */
static enum zk_err acl_note(struct snap_tree *s, const struct acl_list *l)
{
	size_t i;

	if (l->id == SNAP_ACL_OPEN)
		return ZK_EOK;
	i = acl_slot(s, l);
	if (s->acl[i])
		return ZK_EOK;
	if (s->acls >= s->acl_slots / 2) {
		if (s->acls >= INT32_MAX || !acl_grow(s))
			return ZK_ENOMEM;
		i = acl_slot(s, l);
	}
	s->acl[i] = l;
	s->acls++;
	return ZK_EOK;
}

static enum zk_err pass_acls(struct snap_tree *s, unsigned *budget)
{
	struct tree_ref ref;
	enum zk_err err;

	while ((err = walk(s, budget, &ref)) == ZK_EOK) {
		err = acl_note(s, tree_acl(ref));
		if (err != ZK_EOK)
			return err;
	}
	return err;
}

/* ---- writing --------------------------------------------------------------------------------- */

static enum zk_err put_sessions(struct snap_tree *s, struct jute_out *out, unsigned *budget)
{
	for (; s->next < s->conf.sessions; s->next++, --*budget) {
		const struct snap_session *e = &s->conf.session[s->next];
		enum zk_err err;

		if (*budget == 0)
			return ZK_EAGAIN;
		err = snap_put_session(&s->writer, out, e->id, e->timeout_ms);
		if (err != ZK_EOK)
			return err;
	}
	return ZK_EEMPTY;
}

static enum zk_err put_acls(struct snap_tree *s, struct jute_out *out, unsigned *budget)
{
	for (; s->next < s->acl_slots; s->next++, --*budget) {
		const struct acl_list *l = s->acl[s->next];
		enum zk_err err;

		if (*budget == 0)
			return ZK_EAGAIN;
		if (!l)
			continue;
		s->need = SMALL_BYTES + l->jute.n;
		err = snap_put_acl(&s->writer, out, l->id, l->jute);
		if (err != ZK_EOK)
			return err;
	}
	return ZK_EEMPTY;
}

static enum zk_err put_node(struct snap_tree *s, struct jute_out *out, struct tree_ref ref)
{
	struct snap_node n = {
		.path = tree_path(ref.node), .data = tree_data(ref), .acl_key = tree_acl(ref)->id};
	struct tree_raw raw;
	enum zk_err err;

	tree_raw(ref, &raw);
	n.stat = (struct store_stat){.czxid = raw.czxid,
				     .mzxid = raw.mzxid,
				     .ctime = raw.ctime,
				     .mtime = raw.mtime,
				     .version = raw.version,
				     .cversion = raw.cversion,
				     .aversion = raw.aversion,
				     .owner = raw.owner,
				     .pzxid = raw.pzxid};
	s->need = NODE_FIXED_BYTES + n.path.n + n.data.n;
	err = snap_put_node(&s->writer, out, &n);
	if (err == ZK_EOK) {
		s->nodes++;
		s->digest += store_node_digest(n.path, n.data, &n.stat);
	}
	return err;
}

static enum zk_err pass_nodes(struct snap_tree *s, struct jute_out *out, unsigned *budget)
{
	enum zk_err err;

	for (;;) {
		if (!s->pending.node) {
			err = walk(s, budget, &s->pending);
			if (err != ZK_EOK) {
				s->pending.node = NULL;
				return err;
			}
		}
		err = put_node(s, out, s->pending);
		if (err != ZK_EOK)
			return err;
		s->pending.node = NULL;
	}
}

static enum zk_err put_tail(struct snap_tree *s, struct jute_out *out)
{
	const struct snap_tree_conf *c = &s->conf;
	enum zk_err err = ZK_EOK;

	if (s->writer.state == SNAP_AT_NODES)
		err = snap_put_seal(&s->writer, out);
	if (c->stream)
		return err == ZK_EOK ? ZK_EEMPTY : err;
	/* Before the first transaction Apache has no digest to write. */
	if (err == ZK_EOK && s->writer.state == SNAP_AT_DIGEST && c->digest)
		err = snap_put_digest(&s->writer, out, c->zxid, c->zxid ? s->digest : 0);
	if (err == ZK_EOK && s->writer.state != SNAP_AT_END && c->last_zxid)
		err = snap_put_last_zxid(&s->writer, out, c->zxid);
	return err == ZK_EOK ? ZK_EEMPTY : err;
}

static enum zk_err phase_step(struct snap_tree *s, struct jute_out *out, unsigned *budget)
{
	enum zk_err err = ZK_EOK;

	s->need = SMALL_BYTES;
	switch (s->phase) {
	case SNAP_TREE_FIND_ACLS:
		return pass_acls(s, budget);
	case SNAP_TREE_HEAD:
		err = snap_put_begin(&s->writer, out, s->conf.sessions);
		break;
	case SNAP_TREE_SESSIONS:
		return put_sessions(s, out, budget);
	case SNAP_TREE_ACL_COUNT:
		err = snap_put_acls(&s->writer, out, (uint32_t)s->acls);
		break;
	case SNAP_TREE_PUT_ACLS:
		return put_acls(s, out, budget);
	case SNAP_TREE_NODES:
		return pass_nodes(s, out, budget);
	case SNAP_TREE_TAIL:
		return put_tail(s, out);
	case SNAP_TREE_DONE:
		break;
	}
	return err == ZK_EOK ? ZK_EEMPTY : err;
}

enum zk_err snap_tree_next(struct snap_tree *s, struct jute_out *out, unsigned budget)
{
	while (s->phase != SNAP_TREE_DONE) {
		enum zk_err err = phase_step(s, out, &budget);

		if (err == ZK_EEMPTY) {
			s->next = 0;
			s->phase++;
		} else if (err != ZK_EOK) {
			return err;
		}
	}
	return ZK_EOK;
}
