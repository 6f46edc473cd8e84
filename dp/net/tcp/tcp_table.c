/* SPDX-License-Identifier: Apache-2.0 */
/** The flow table: keyed hash, open addressing, deletion by shifting back. */
#include "dp/net/tcp/tcp_int.h"

uint32_t tcp_hash(const struct tcp *t, const struct net_tuple *tuple)
{
	return (uint32_t)net_tuple_hash(&t->key_table, tuple);
}

static bool tuple_eq(const struct net_tuple *a, const struct net_tuple *b)
{
	return a->remote_port == b->remote_port && a->local_port == b->local_port &&
	       memcmp(&a->remote, &b->remote, sizeof(a->remote)) == 0 &&
	       memcmp(&a->local, &b->local, sizeof(a->local)) == 0;
}

struct tcp_conn *tcp_lookup(struct tcp *t, const struct net_tuple *tuple, uint32_t hash,
			    struct tcp_tw **tw)
{
	*tw = NULL;
	/* The table is at most half full, so an empty slot ends every probe. */
	for (uint32_t i = hash & t->table_mask;; i = (i + 1) & t->table_mask) {
		const struct tcp_slot *s = &t->table[i];

		if (s->ref == 0)
			return NULL;
		if (s->hash != hash)
			continue;
		if (s->ref & TCP_REF_TW) {
			struct tcp_tw *w = tcp_tw_at(t, (s->ref & ~TCP_REF_TW) - 1);

			if (w->remote_port == tuple->remote_port &&
			    w->local_port == tuple->local_port &&
			    memcmp(&w->remote, &tuple->remote, sizeof(w->remote)) == 0) {
				*tw = w;
				return NULL;
			}
		} else {
			struct tcp_conn *c = tcp_conn_at(t, s->ref - 1);

			if (zk_likely(tuple_eq(&c->tuple, tuple)))
				return c;
		}
	}
}

void tcp_table_put(struct tcp *t, uint32_t hash, uint32_t ref)
{
	uint32_t i = hash & t->table_mask;

	zk_assert(ref != 0);
	for (uint32_t k = 0; t->table[i].ref != 0; k++, i = (i + 1) & t->table_mask)
		zk_assert(k < t->table_mask);
	t->table[i] = (struct tcp_slot){.hash = hash, .ref = ref};
	t->table_gen++;
}

void tcp_table_del(struct tcp *t, uint32_t hash, uint32_t ref)
{
	uint32_t i = hash & t->table_mask, j;

	while (t->table[i].ref != ref) {
		zk_assert(t->table[i].ref != 0);
		i = (i + 1) & t->table_mask;
	}
	/* Move later entries of the run back as long as that brings them nearer to their home. */
	for (j = (i + 1) & t->table_mask; t->table[j].ref != 0; j = (j + 1) & t->table_mask) {
		uint32_t home = t->table[j].hash & t->table_mask;

		if (((j - home) & t->table_mask) >= ((j - i) & t->table_mask)) {
			t->table[i] = t->table[j];
			i = j;
		}
	}
	t->table[i].ref = 0;
	t->table_gen++;
}
