/* SPDX-License-Identifier: Apache-2.0 */
#include "core/watch/watch.h"

#include "core/base/assert.h"

enum { NONE = 0, CHUNK = 1024, CHUNK_BITS = 10, MODE_BITS = 5, MODE_MASK = (1 << MODE_BITS) - 1 };

/** One (path, connection). Indices instead of pointers keep it at 28 bytes. */
struct entry {
	uint32_t path;
	uint32_t conn_mode; /* connection << MODE_BITS | enum watch_bit set */
	uint32_t hash_next; /* same bucket of (path, connection) */
	uint32_t path_next, path_prev;
	uint32_t conn_next, conn_prev;
};

struct path {
	uint8_t *bytes;
	uint32_t n;
	uint32_t hash;
	uint32_t hash_next; /* or the free list */
	uint32_t first;     /* entries of this path */
	uint32_t entries, recursive;
	uint32_t data; /* entries in the data table */
};

/** Bucket heads of a linear hash table: buckets 0 .. mask + split. */
struct heads {
	uint32_t **dir; /* chunks of CHUNK heads */
	uint32_t dir_n;
	uint32_t mask, split;
};

struct watch {
	struct watch_conf conf;
	struct entry **entry_dir;
	struct path **path_dir;
	uint32_t dir_n; /* of entry_dir and path_dir */
	uint32_t entries_used, paths_used;
	uint32_t entry_free, path_free;
	struct heads entry_heads, path_heads;
	uint32_t *conn_first; /* per connection */
	uint32_t *conn_data;  /* per connection: entries in the data table */
	uint64_t *told;       /* per connection: it is done with triggers up to this one */
	uint64_t trigger;
	struct watch_firing *stepping; /* its `next` is kept true; NULL: none stands in a list */
	struct watch_counts counts;
};

static struct entry *entry_at(const struct watch *w, uint32_t i)
{
	return &w->entry_dir[i >> CHUNK_BITS][i & (CHUNK - 1)];
}

static struct path *path_at(const struct watch *w, uint32_t i)
{
	return &w->path_dir[i >> CHUNK_BITS][i & (CHUNK - 1)];
}

static uint32_t entry_conn(const struct entry *e)
{
	return e->conn_mode >> MODE_BITS;
}

static unsigned entry_mode(const struct entry *e)
{
	return e->conn_mode & MODE_MASK;
}

/* ---- linear hashing ---- */

static bool heads_chunk(struct watch *w, struct heads *h, uint32_t chunk)
{
	uint32_t *v;

	if (chunk >= h->dir_n)
		return false;
	if (h->dir[chunk])
		return true;
	v = zk_mem_alloc(w->conf.mem, CHUNK * sizeof(*v));
	if (!v)
		return false;
	memset(v, 0, CHUNK * sizeof(*v));
	h->dir[chunk] = v;
	return true;
}

static uint32_t *heads_of(const struct heads *h, uint32_t hash)
{
	uint32_t b = hash & h->mask;

	if (b < h->split)
		b = hash & (2 * h->mask + 1);
	return &h->dir[b >> CHUNK_BITS][b & (CHUNK - 1)];
}

/** Open the next bucket: *from keeps what stays, *to gets what hashes to it. False: cannot grow,
 * which only makes chains longer. */
static bool heads_split(struct watch *w, struct heads *h, uint32_t **from, uint32_t **to,
			uint32_t *mask)
{
	uint32_t b = h->split, twin = h->split + h->mask + 1;

	if (!heads_chunk(w, h, twin >> CHUNK_BITS))
		return false;
	*from = &h->dir[b >> CHUNK_BITS][b & (CHUNK - 1)];
	*to = &h->dir[twin >> CHUNK_BITS][twin & (CHUNK - 1)];
	*mask = h->mask + 1; /* the bit that tells them apart */
	if (++h->split > h->mask) {
		h->mask = 2 * h->mask + 1;
		h->split = 0;
	}
	return true;
}

static bool heads_init(struct watch *w, struct heads *h, uint32_t max)
{
	h->dir_n = 2 * ((max >> CHUNK_BITS) + 1);
	h->mask = CHUNK - 1;
	h->dir = zk_mem_alloc(w->conf.mem, h->dir_n * sizeof(*h->dir));
	if (!h->dir)
		return false;
	memset(h->dir, 0, h->dir_n * sizeof(*h->dir));
	return heads_chunk(w, h, 0);
}

static void heads_fini(struct watch *w, struct heads *h)
{
	for (uint32_t i = 0; h->dir && i < h->dir_n; i++)
		zk_mem_free(w->conf.mem, h->dir[i], CHUNK * sizeof(*h->dir[i]));
	zk_mem_free(w->conf.mem, h->dir, h->dir_n * sizeof(*h->dir));
}

/* ---- new, free ---- */

enum zk_err watch_new(const struct watch_conf *conf, struct watch **out)
{
	struct watch *w;

	if (conf->conns_max == 0 || conf->conns_max > WATCH_CONNS_MAX ||
	    conf->watches_max > UINT32_MAX - 2 * CHUNK)
		return ZK_EINVAL;
	w = zk_mem_alloc(conf->mem, sizeof(*w));
	if (!w)
		return ZK_ENOMEM;
	*w = (struct watch){.conf = *conf, .entries_used = 1, .paths_used = 1};
	w->dir_n = (conf->watches_max >> CHUNK_BITS) + 1;
	w->entry_dir = zk_mem_alloc(conf->mem, w->dir_n * sizeof(*w->entry_dir));
	w->path_dir = zk_mem_alloc(conf->mem, w->dir_n * sizeof(*w->path_dir));
	w->conn_first = zk_mem_alloc(conf->mem, conf->conns_max * sizeof(*w->conn_first));
	w->conn_data = zk_mem_alloc(conf->mem, conf->conns_max * sizeof(*w->conn_data));
	w->told = zk_mem_alloc(conf->mem, conf->conns_max * sizeof(*w->told));
	if (w->entry_dir)
		memset(w->entry_dir, 0, w->dir_n * sizeof(*w->entry_dir));
	if (w->path_dir)
		memset(w->path_dir, 0, w->dir_n * sizeof(*w->path_dir));
	if (!w->entry_dir || !w->path_dir || !w->conn_first || !w->conn_data || !w->told ||
	    !heads_init(w, &w->entry_heads, conf->watches_max) ||
	    !heads_init(w, &w->path_heads, conf->watches_max)) {
		watch_free(w);
		return ZK_ENOMEM;
	}
	memset(w->conn_first, 0, conf->conns_max * sizeof(*w->conn_first));
	memset(w->conn_data, 0, conf->conns_max * sizeof(*w->conn_data));
	memset(w->told, 0, conf->conns_max * sizeof(*w->told));
	*out = w;
	return ZK_EOK;
}

void watch_free(struct watch *w)
{
	struct zk_mem *mem = w->conf.mem;

	for (uint32_t i = 1; w->path_dir && i < w->paths_used; i++)
		zk_mem_free(mem, path_at(w, i)->bytes, path_at(w, i)->n + 1);
	for (uint32_t i = 0; i < w->dir_n; i++) {
		if (w->entry_dir)
			zk_mem_free(mem, w->entry_dir[i], CHUNK * sizeof(struct entry));
		if (w->path_dir)
			zk_mem_free(mem, w->path_dir[i], CHUNK * sizeof(struct path));
	}
	zk_mem_free(mem, w->entry_dir, w->dir_n * sizeof(*w->entry_dir));
	zk_mem_free(mem, w->path_dir, w->dir_n * sizeof(*w->path_dir));
	zk_mem_free(mem, w->conn_first, w->conf.conns_max * sizeof(*w->conn_first));
	zk_mem_free(mem, w->conn_data, w->conf.conns_max * sizeof(*w->conn_data));
	zk_mem_free(mem, w->told, w->conf.conns_max * sizeof(*w->told));
	heads_fini(w, &w->entry_heads);
	heads_fini(w, &w->path_heads);
	zk_mem_free(mem, w, sizeof(*w));
}

/* ---- paths ---- */

static uint32_t path_hash(const struct watch *w, struct zk_span path)
{
	return (uint32_t)zk_hash13(&w->conf.key, path.p, path.n);
}

static uint32_t path_find(const struct watch *w, struct zk_span path, uint32_t hash)
{
	for (uint32_t i = *heads_of(&w->path_heads, hash); i != NONE;) {
		const struct path *p = path_at(w, i);

		if (p->hash == hash && zk_span_eq(zk_span_of(p->bytes, p->n), path))
			return i;
		i = p->hash_next;
	}
	return NONE;
}

static void path_grow(struct watch *w)
{
	uint32_t *from, *to, bit, i;

	if (w->counts.paths <= (uint64_t)w->path_heads.mask + 1 + w->path_heads.split ||
	    !heads_split(w, &w->path_heads, &from, &to, &bit))
		return;
	i = *from;
	*from = NONE;
	while (i != NONE) {
		struct path *p = path_at(w, i);
		uint32_t next = p->hash_next, *head = (p->hash & bit) ? to : from;

		p->hash_next = *head;
		*head = i;
		i = next;
	}
}

static uint32_t path_add(struct watch *w, struct zk_span path, uint32_t hash)
{
	uint32_t i = w->path_free, *head;
	struct path *p;
	uint8_t *bytes;

	if (i == NONE) {
		uint32_t chunk = w->paths_used >> CHUNK_BITS;

		if (chunk >= w->dir_n)
			return NONE;
		if (!w->path_dir[chunk])
			w->path_dir[chunk] = zk_mem_alloc(w->conf.mem, CHUNK * sizeof(*p));
		if (!w->path_dir[chunk])
			return NONE;
		i = w->paths_used;
	}
	bytes = zk_mem_alloc(w->conf.mem, path.n + 1); /* + 1: the empty path has an address too */
	if (!bytes)
		return NONE;
	p = path_at(w, i);
	if (i == w->path_free)
		w->path_free = p->hash_next;
	else
		w->paths_used++;
	if (path.n)
		memcpy(bytes, path.p, path.n);
	head = heads_of(&w->path_heads, hash);
	*p = (struct path){.bytes = bytes, .n = (uint32_t)path.n, .hash = hash, .hash_next = *head};
	*head = i;
	w->counts.paths++;
	path_grow(w);
	return i;
}

static void path_remove(struct watch *w, uint32_t i)
{
	struct path *p = path_at(w, i);
	uint32_t *at = heads_of(&w->path_heads, p->hash);

	zk_assert(p->first == NONE && p->entries == 0 && p->recursive == 0);
	while (*at != i) {
		zk_assert(*at != NONE);
		at = &path_at(w, *at)->hash_next;
	}
	*at = p->hash_next;
	zk_mem_free(w->conf.mem, p->bytes, p->n + 1);
	*p = (struct path){.hash_next = w->path_free};
	w->path_free = i;
	w->counts.paths--;
}

/* ---- entries ---- */

static uint32_t entry_hash(uint32_t path, uint32_t conn)
{
	return (uint32_t)zk_mix64((uint64_t)path << 32 | conn);
}

static uint32_t entry_find(const struct watch *w, uint32_t path, uint32_t conn)
{
	for (uint32_t i = *heads_of(&w->entry_heads, entry_hash(path, conn)); i != NONE;) {
		const struct entry *e = entry_at(w, i);

		if (e->path == path && entry_conn(e) == conn)
			return i;
		i = e->hash_next;
	}
	return NONE;
}

static void entry_grow(struct watch *w)
{
	uint32_t *from, *to, bit, i;

	/* two to a bucket: half the heads for half a step more */
	if (w->counts.entries <= 2 * ((uint64_t)w->entry_heads.mask + 1 + w->entry_heads.split) ||
	    !heads_split(w, &w->entry_heads, &from, &to, &bit))
		return;
	i = *from;
	*from = NONE;
	while (i != NONE) {
		struct entry *e = entry_at(w, i);
		uint32_t next = e->hash_next;
		uint32_t *head = (entry_hash(e->path, entry_conn(e)) & bit) ? to : from;

		e->hash_next = *head;
		*head = i;
		i = next;
	}
}

/** A free entry, not linked; NONE when there is no memory. */
static uint32_t entry_alloc(struct watch *w)
{
	uint32_t i = w->entry_free, chunk = w->entries_used >> CHUNK_BITS;

	if (i != NONE) {
		w->entry_free = entry_at(w, i)->hash_next;
		return i;
	}
	if (chunk >= w->dir_n)
		return NONE;
	if (!w->entry_dir[chunk])
		w->entry_dir[chunk] = zk_mem_alloc(w->conf.mem, CHUNK * sizeof(struct entry));
	if (!w->entry_dir[chunk])
		return NONE;
	return w->entries_used++;
}

static void entry_link(struct watch *w, uint32_t i, uint32_t path, uint32_t conn)
{
	struct entry *e = entry_at(w, i);
	struct path *p = path_at(w, path);
	uint32_t *head = heads_of(&w->entry_heads, entry_hash(path, conn));

	*e = (struct entry){.path = path,
			    .conn_mode = conn << MODE_BITS,
			    .hash_next = *head,
			    .path_next = p->first,
			    .conn_next = w->conn_first[conn]};
	*head = i;
	if (e->path_next != NONE)
		entry_at(w, e->path_next)->path_prev = i;
	p->first = i;
	if (e->conn_next != NONE)
		entry_at(w, e->conn_next)->conn_prev = i;
	w->conn_first[conn] = i;
	p->entries++;
	w->counts.entries++;
	entry_grow(w);
}

/** Unlink and free; the path goes with its last entry. */
static void entry_remove(struct watch *w, uint32_t i)
{
	struct entry *e = entry_at(w, i);
	struct path *p = path_at(w, e->path);
	uint32_t path = e->path, conn = entry_conn(e);
	uint32_t *at = heads_of(&w->entry_heads, entry_hash(path, conn));

	while (*at != i) {
		zk_assert(*at != NONE);
		at = &entry_at(w, *at)->hash_next;
	}
	*at = e->hash_next;
	if (e->path_next != NONE)
		entry_at(w, e->path_next)->path_prev = e->path_prev;
	*(e->path_prev != NONE ? &entry_at(w, e->path_prev)->path_next : &p->first) = e->path_next;
	if (e->conn_next != NONE)
		entry_at(w, e->conn_next)->conn_prev = e->conn_prev;
	*(e->conn_prev != NONE ? &entry_at(w, e->conn_prev)->conn_next : &w->conn_first[conn]) =
		e->conn_next;
	if (w->stepping && w->stepping->next == i)
		w->stepping->next = e->path_next;
	e->hash_next = w->entry_free;
	w->entry_free = i;
	w->counts.entries--;
	if (--p->entries == 0)
		path_remove(w, path);
}

/** Change an entry's bits and every count that hangs on them. Does not free it. */
static void entry_mode_set(struct watch *w, struct entry *e, unsigned mode)
{
	unsigned old = entry_mode(e);
	struct path *p = path_at(w, e->path);

	w->counts.data += ((mode & WATCH_IN_DATA) != 0) - (uint64_t)((old & WATCH_IN_DATA) != 0);
	w->counts.child += ((mode & WATCH_IN_CHILD) != 0) - (uint64_t)((old & WATCH_IN_CHILD) != 0);
	if (((mode & WATCH_IN_DATA) != 0) != ((old & WATCH_IN_DATA) != 0)) {
		bool on = (mode & WATCH_IN_DATA) != 0;
		uint32_t *mine = &w->conn_data[entry_conn(e)];

		w->counts.data_paths += on && p->data == 0;
		w->counts.data_conns += on && *mine == 0;
		p->data += on ? 1u : UINT32_MAX;
		*mine += on ? 1u : UINT32_MAX;
		w->counts.data_paths -= !on && p->data == 0;
		w->counts.data_conns -= !on && *mine == 0;
	}
	if ((old ^ mode) & WATCH_RECURSIVE) {
		bool on = (mode & WATCH_RECURSIVE) != 0;

		p->recursive += on ? 1u : UINT32_MAX;
		w->counts.recursive += on ? 1u : UINT64_MAX;
	}
	e->conn_mode = (e->conn_mode & ~(uint32_t)MODE_MASK) | mode;
}

/** Clear bits; the entry goes with its last one. */
static unsigned entry_clear(struct watch *w, uint32_t i, unsigned bits)
{
	struct entry *e = entry_at(w, i);
	unsigned had = entry_mode(e) & bits;

	if (had == 0)
		return 0;
	entry_mode_set(w, e, entry_mode(e) & ~bits);
	if (entry_mode(e) == 0)
		entry_remove(w, i);
	return had;
}

/* ---- public ---- */

enum zk_err watch_set(struct watch *w, struct zk_span path, uint32_t conn, unsigned bits)
{
	uint32_t hash = path_hash(w, path), p = path_find(w, path, hash), i = NONE;

	zk_assert(conn < w->conf.conns_max && bits != 0 && (bits & ~WATCH_ANY) == 0);
	if (p != NONE)
		i = entry_find(w, p, conn);
	if (i == NONE) {
		if (w->counts.entries >= w->conf.watches_max)
			return ZK_EFULL;
		i = entry_alloc(w);
		if (i == NONE)
			return ZK_ENOMEM;
		if (p == NONE)
			p = path_add(w, path, hash);
		if (p == NONE) {
			entry_at(w, i)->hash_next = w->entry_free;
			w->entry_free = i;
			return ZK_ENOMEM;
		}
		entry_link(w, i, p, conn);
	}
	entry_mode_set(w, entry_at(w, i), entry_mode(entry_at(w, i)) | bits);
	return ZK_EOK;
}

unsigned watch_get(const struct watch *w, struct zk_span path, uint32_t conn)
{
	uint32_t p = path_find(w, path, path_hash(w, path));
	uint32_t i = p == NONE ? NONE : entry_find(w, p, conn);

	return i == NONE ? 0 : entry_mode(entry_at(w, i));
}

unsigned watch_clear(struct watch *w, struct zk_span path, uint32_t conn, unsigned bits)
{
	uint32_t p = path_find(w, path, path_hash(w, path));
	uint32_t i = p == NONE ? NONE : entry_find(w, p, conn);

	return i == NONE ? 0 : entry_clear(w, i, bits);
}

bool watch_drop(struct watch *w, uint32_t conn, unsigned *budget)
{
	zk_assert(conn < w->conf.conns_max);
	while (w->conn_first[conn] != NONE) {
		if (*budget == 0)
			return false;
		(*budget)--;
		(void)entry_clear(w, w->conn_first[conn], WATCH_ANY);
	}
	return true;
}

/* ---- firing ---- */

/** Which watches on the path itself hear of the event, and which of them only once. */
static unsigned heard_by(enum zk_event event, unsigned *consumed)
{
	switch (event) {
	case ZK_EV_CHILDREN:
		*consumed = WATCH_CHILD;
		return WATCH_IN_CHILD;
	case ZK_EV_DELETED:
		/* both tables at once: who is in both hears it once and loses both */
		*consumed = (unsigned)WATCH_DATA | WATCH_CHILD;
		return WATCH_ANY;
	default:
		*consumed = WATCH_DATA;
		return WATCH_IN_DATA;
	}
}

/** From the path or ancestor of *at bytes to the nearest ancestor with recursive watchers.
 *  @return its number, *at its length; NONE: there is none. */
static uint32_t ancestor_next(const struct watch *w, struct zk_span path, uint32_t *at)
{
	uint32_t n = *at;

	if (n == 1 && path.p[0] == '/') /* that was the root */
		n = 0;
	while (n > 0 && w->counts.recursive) {
		struct zk_span up = {path.p, 0};
		uint32_t p;

		while (n > 0 && path.p[n - 1] != '/')
			n--;
		if (n == 0)
			break;
		n--; /* without the slash */
		up.n = n ? n : 1;
		p = path_find(w, up, path_hash(w, up));
		if (p != NONE && path_at(w, p)->recursive) {
			*at = (uint32_t)up.n;
			return p;
		}
	}
	*at = 0;
	return NONE;
}

bool watch_any(const struct watch *w)
{
	return w->counts.entries != 0;
}

bool watch_begin(struct watch *w, struct zk_span path, enum zk_event event,
		 struct watch_firing *out)
{
	uint32_t at = (uint32_t)path.n;

	if (!watch_any(w))
		return false;
	if (path_find(w, path, path_hash(w, path)) == NONE &&
	    (event == ZK_EV_CHILDREN || ancestor_next(w, path, &at) == NONE))
		return false;
	*out = (struct watch_firing){
		.path = path, .seq = ++w->trigger, .at = (uint32_t)path.n, .event = event};
	return true;
}

static void tell(struct watch *w, struct watch_firing *f, uint32_t conn, watch_fn *fn, void *ctx)
{
	f->told++;
	w->told[conn] = f->seq;
	fn(ctx, conn, f->event, f->path);
}

/** Walk the list that f->next stands in. @return false: the budget is used up. */
static bool step_list(struct watch *w, struct watch_firing *f, bool self, int *budget, watch_fn *fn,
		      void *ctx)
{
	unsigned consumed = 0, bits = self ? heard_by(f->event, &consumed) : WATCH_RECURSIVE;

	while (f->next != NONE) {
		uint32_t i = f->next;
		const struct entry *e = entry_at(w, i);

		if (*budget <= 0) {
			w->stepping = f;
			return false;
		}
		f->next = e->path_next;
		*budget -= WATCH_COST_LOOK;
		if ((entry_mode(e) & bits) == 0 || w->told[entry_conn(e)] >= f->seq)
			continue;
		*budget -= WATCH_COST_TELL;
		tell(w, f, entry_conn(e), fn, ctx);
		(void)entry_clear(w, i, consumed);
	}
	return true;
}

bool watch_step(struct watch *w, struct watch_firing *f, int *budget, watch_fn *fn, void *ctx)
{
	zk_assert(!w->stepping || w->stepping == f);
	w->stepping = NULL;
	for (;;) {
		bool self = f->at == f->path.n;
		uint32_t p;

		if (!f->here && self) {
			p = path_find(w, f->path, path_hash(w, f->path));
			f->next = p == NONE ? NONE : path_at(w, p)->first;
			f->here = true;
		}
		if (!step_list(w, f, self, budget, fn, ctx))
			return false;
		if (f->event == ZK_EV_CHILDREN)
			return true;
		p = ancestor_next(w, f->path, &f->at);
		if (p == NONE)
			return true;
		*budget -= WATCH_COST_LOOK;
		f->next = path_at(w, p)->first;
	}
}

void watch_tell_now(struct watch *w, struct watch_firing *f, uint32_t conn, watch_fn *fn, void *ctx)
{
	unsigned consumed, bits = heard_by(f->event, &consumed);
	uint32_t p, i, at = (uint32_t)f->path.n;

	if (w->told[conn] >= f->seq || w->conn_first[conn] == NONE)
		return;
	p = path_find(w, f->path, path_hash(w, f->path));
	i = p == NONE ? NONE : entry_find(w, p, conn);
	if (i != NONE && (entry_mode(entry_at(w, i)) & bits)) {
		tell(w, f, conn, fn, ctx);
		(void)entry_clear(w, i, consumed);
		return;
	}
	if (f->event == ZK_EV_CHILDREN)
		return;
	while ((p = ancestor_next(w, f->path, &at)) != NONE) {
		i = entry_find(w, p, conn);
		if (i != NONE && (entry_mode(entry_at(w, i)) & WATCH_RECURSIVE)) {
			tell(w, f, conn, fn, ctx);
			return;
		}
	}
}

bool watch_is_up_to_date(const struct watch *w, uint32_t conn)
{
	return w->told[conn] == w->trigger;
}

void watch_up_to_date(struct watch *w, uint32_t conn)
{
	w->told[conn] = w->trigger;
}

/* ---- walking ---- */

static uint32_t reversed(uint32_t v)
{
	v = (v >> 1 & 0x55555555u) | (v & 0x55555555u) << 1;
	v = (v >> 2 & 0x33333333u) | (v & 0x33333333u) << 2;
	v = (v >> 4 & 0x0f0f0f0fu) | (v & 0x0f0f0f0fu) << 4;
	return __builtin_bswap32(v);
}

uint64_t watch_order(const struct zk_hash_key *key, struct zk_span path)
{
	uint64_t h = zk_hash13(key, path.p, path.n);

	/* Buckets are chosen by the low bits, so a bucket is a range of reversed hashes, and its
	 * halves after a split are the halves of that range. */
	return (uint64_t)reversed((uint32_t)h) << 32 | h >> 32;
}

/** The first path of order *from or later, *from becomes its. NONE: there is none, or *budget is
 * used up, which looks at one bucket each. */
static uint32_t path_from(const struct watch *w, uint64_t *from, unsigned *budget)
{
	const struct heads *h = &w->path_heads;
	uint64_t x = *from >> 32;

	while (x <= UINT32_MAX && *budget) {
		uint32_t hash = reversed((uint32_t)x), found = NONE;
		uint32_t mask = (hash & h->mask) < h->split ? 2 * h->mask + 1 : h->mask;
		uint64_t best = 0, range = (UINT64_C(1) << 32) / ((uint64_t)mask + 1);

		(*budget)--;
		for (uint32_t i = *heads_of(h, hash); i != NONE; i = path_at(w, i)->hash_next) {
			const struct path *p = path_at(w, i);
			uint64_t o = watch_order(&w->conf.key, zk_span_of(p->bytes, p->n));

			if (o >= *from && (found == NONE || o < best)) {
				found = i;
				best = o;
			}
		}
		if (found != NONE) {
			*from = best;
			return found;
		}
		x = (x / range + 1) * range;
		*from = x << 32;
		if (x > UINT32_MAX)
			*from = UINT64_MAX;
	}
	return NONE;
}

struct walk {
	const struct watch *w;
	watch_walk_fn *fn;
	void *ctx;
	unsigned budget;
};

/** The entries of one path or connection, from the one after @p *skip on. @return false: stopped.
 */
static bool walk_group(struct walk *k, bool by_path, uint32_t i, uint32_t *skip)
{
	const struct watch *w = k->w;
	bool first = true;

	for (uint32_t at = 0; i != NONE; at++) {
		const struct entry *e = entry_at(w, i);
		const struct path *p = path_at(w, e->path);
		bool in_data = (entry_mode(e) & WATCH_IN_DATA) != 0;

		i = by_path ? e->path_next : e->conn_next;
		if (at >= *skip) {
			if (k->budget == 0)
				return false;
			k->budget--;
			if (in_data &&
			    !k->fn(k->ctx, zk_span_of(p->bytes, p->n), entry_conn(e), first))
				return false;
			++*skip;
		}
		first = first && !in_data;
	}
	*skip = 0;
	return true;
}

static bool walk_paths(struct walk *k, struct watch_place *at)
{
	while (at->order != UINT64_MAX) {
		uint64_t order = at->order;
		uint32_t p = path_from(k->w, &order, &k->budget);

		if (order != at->order)
			at->skip = 0;
		at->order = order;
		if (p == NONE)
			return at->order == UINT64_MAX;
		if (!walk_group(k, true, path_at(k->w, p)->first, &at->skip))
			return false;
		at->order++;
	}
	return true;
}

bool watch_walk(const struct watch *w, bool by_path, struct watch_place *at, unsigned budget,
		watch_walk_fn *fn, void *ctx)
{
	struct walk k = {w, fn, ctx, budget};

	if (by_path)
		return walk_paths(&k, at);
	for (; at->conn < w->conf.conns_max; at->conn++) {
		if (!walk_group(&k, false, w->conn_first[at->conn], &at->skip))
			return false;
		if (k.budget == 0) {
			at->conn++;
			return at->conn == w->conf.conns_max;
		}
		k.budget--;
	}
	return true;
}

void watch_counts(const struct watch *w, struct watch_counts *out)
{
	*out = w->counts;
}
