/* SPDX-License-Identifier: Apache-2.0 */
#include "core/zab/members.h"

int zab_members_find(const struct zab_members *m, int64_t sid)
{
	uint32_t low = 0, high = m->n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (m->server[mid].sid < sid)
			low = mid + 1;
		else
			high = mid;
	}
	return low < m->n && m->server[low].sid == sid ? (int)low : -1;
}

bool zab_members_votes(const struct zab_members *m, int64_t sid)
{
	int i = zab_members_find(m, sid);

	return i >= 0 && (m->voters >> i & 1);
}

uint64_t zab_members_weight(const struct zab_members *m, int64_t sid)
{
	int i = zab_members_find(m, sid);

	return i >= 0 && (m->voters >> i & 1) ? m->server[i].weight : 0;
}

static bool majority(const struct zab_members *m, uint64_t set)
{
	return __builtin_popcountll(set) > __builtin_popcountll(m->voters) / 2;
}

bool zab_members_quorum(const struct zab_members *m, uint64_t set)
{
	uint64_t has[ZAB_SERVERS_MAX] = {0};
	unsigned won = 0, counted = 0;

	set &= m->voters;
	if (!m->groups)
		return majority(m, set);
	if (!set)
		return false;
	for (; set; set &= set - 1) {
		const struct zab_server *s = &m->server[__builtin_ctzll(set)];

		has[s->group] += s->weight;
	}
	for (uint32_t g = 0; g < m->groups; g++) {
		counted += m->group_weight[g] != 0;
		won += has[g] > m->group_weight[g] / 2;
	}
	return won > counted / 2;
}

static bool same_text(const struct zab_members *a, struct zab_text s, const struct zab_members *b,
		      struct zab_text t)
{
	return zk_span_eq(zab_host(a, s), zab_host(b, t));
}

static bool same_server(const struct zab_members *a, const struct zab_server *s,
			const struct zab_members *b, const struct zab_server *t)
{
	if (s->sid != t->sid || s->observer != t->observer || s->addresses != t->addresses ||
	    s->client != t->client || s->client_port != t->client_port || s->weight != t->weight)
		return false;
	for (unsigned i = 0; i < s->addresses; i++)
		if (s->address[i].port != t->address[i].port ||
		    s->address[i].election_port != t->address[i].election_port ||
		    !same_text(a, s->address[i].host, b, t->address[i].host))
			return false;
	return same_text(a, s->client_host, b, t->client_host);
}

bool zab_members_equal(const struct zab_members *a, const struct zab_members *b)
{
	if (a->version == b->version && !a->groups == !b->groups)
		return true;
	if (a->n != b->n || a->groups != b->groups)
		return false;
	for (uint32_t i = 0; i < a->n; i++) {
		if (!same_server(a, &a->server[i], b, &b->server[i]))
			return false;
		if (a->groups && a->group[a->server[i].group] != b->group[b->server[i].group])
			return false;
	}
	return true;
}

static void put_number(struct jute_out *out, uint64_t v, unsigned base)
{
	char digits[20];
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	while (n)
		jute_put_u8(out, (uint8_t)digits[--n]);
}

static void put_text(struct jute_out *out, const char *s)
{
	jute_put_raw(out, zk_span_str(s));
}

static void put_sid(struct jute_out *out, int64_t sid)
{
	if (sid < 0)
		jute_put_u8(out, '-');
	put_number(out, sid < 0 ? 0 - (uint64_t)sid : (uint64_t)sid, 10);
}

static void put_host(struct jute_out *out, struct zk_span host)
{
	bool v6 = memchr(host.p, ':', host.n) != NULL;

	put_text(out, v6 ? "[" : "");
	jute_put_raw(out, host);
	put_text(out, v6 ? "]:" : ":");
}

static void put_server(const struct zab_members *m, const struct zab_server *s,
		       struct jute_out *out)
{
	put_text(out, "server.");
	put_sid(out, s->sid);
	for (unsigned i = 0; i < s->addresses; i++) {
		put_text(out, i ? "|" : "=");
		put_host(out, zab_host(m, s->address[i].host));
		put_number(out, s->address[i].port, 10);
		put_text(out, ":");
		put_number(out, s->address[i].election_port, 10);
	}
	put_text(out, s->observer ? ":observer" : ":participant");
	if (s->client) {
		put_text(out, ";");
		put_host(out, zab_host(m, s->client_host));
		put_number(out, s->client_port, 10);
	}
	put_text(out, "\n");
}

static void put_group(const struct zab_members *m, uint32_t group, struct jute_out *out)
{
	const char *between = "=";

	put_text(out, "group.");
	put_sid(out, m->group[group]);
	for (uint32_t i = 0; i < m->n; i++) {
		if (m->server[i].observer || m->server[i].group != group)
			continue;
		put_text(out, between);
		put_sid(out, m->server[i].sid);
		between = ":";
	}
	put_text(out, "\n");
}

void zab_members_text(const struct zab_members *m, struct jute_out *out)
{
	for (uint32_t i = 0; i < m->n; i++)
		put_server(m, &m->server[i], out);
	for (uint32_t g = 0; g < m->groups; g++)
		put_group(m, g, out);
	for (uint32_t i = 0; m->groups && i < m->n; i++) {
		if (m->server[i].observer)
			continue;
		put_text(out, "weight.");
		put_sid(out, m->server[i].sid);
		put_text(out, "=");
		put_number(out, m->server[i].weight, 10);
		put_text(out, "\n");
	}
	put_text(out, "version=");
	put_number(out, m->version, 16);
}

size_t zab_address_text(const struct zab_members *m, const struct zab_address *a, uint16_t port,
			char *out, size_t max)
{
	struct jute_out text = jute_out_of(out, max);
	char digits[5];
	unsigned n = 0;

	jute_put_raw(&text, zab_host(m, a->host));
	jute_put_u8(&text, ':');
	for (unsigned left = port; left || !n; left /= 10)
		digits[n++] = (char)('0' + left % 10);
	while (n)
		jute_put_u8(&text, (uint8_t)digits[--n]);
	return text.full ? 0 : jute_out_len(&text);
}
