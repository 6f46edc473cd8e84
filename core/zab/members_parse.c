/* SPDX-License-Identifier: Apache-2.0 */
#include "core/zab/members.h"

/* What of the groups and weights came before the servers they speak of. */
struct parse {
	struct zab_members *m;
	const char *why;
	uint32_t weights, grouped;
	struct {
		int64_t sid;
		uint64_t weight;
	} weight[ZAB_SERVERS_MAX];
	struct {
		int64_t sid;
		uint8_t group;
	} in[ZAB_SERVERS_MAX];
};

static enum zk_err wrong(struct parse *p, const char *why)
{
	p->why = why;
	return ZK_EINVAL;
}

static enum zk_err too_big(struct parse *p, const char *why)
{
	p->why = why;
	return ZK_ETOOBIG;
}

static struct zk_span trim(struct zk_span s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r'))
		s.n--;
	return s;
}

/* What stands before the first @p sep; *rest is what follows it. @return false: no @p sep, *part is
 * all. */
static bool split(struct zk_span s, char sep, struct zk_span *part, struct zk_span *rest)
{
	const uint8_t *at = s.n ? memchr(s.p, sep, s.n) : NULL;

	*part = at ? zk_span_of(s.p, (size_t)(at - s.p)) : s;
	*rest = at ? zk_span_of(at + 1, s.n - part->n - 1) : zk_span_of(s.p + s.n, 0);
	return at != NULL;
}

static bool number(struct zk_span s, unsigned base, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (!s.n)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned c = s.p[i], d = 99;

		if (c >= '0' && c <= '9')
			d = c - '0';
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			d = (c | 32) - 'a' + 10;
		if (d >= base || v > (max - d) / base)
			return false;
		v = v * base + d;
	}
	*out = v;
	return true;
}

static bool signed_number(struct zk_span s, int64_t *out)
{
	bool minus = s.n && s.p[0] == '-';
	uint64_t v;

	if (minus)
		s = zk_span_of(s.p + 1, s.n - 1);
	if (!number(s, 10, INT64_MAX, &v))
		return false;
	*out = minus ? -(int64_t)v : (int64_t)v;
	return true;
}

static bool port(struct zk_span s, uint16_t *out)
{
	uint64_t v;

	if (!number(trim(s), 10, UINT16_MAX, &v))
		return false;
	*out = (uint16_t)v;
	return true;
}

/* One that can be told from what surrounds it, also when it is written out again. */
static bool plain(struct zk_span *name)
{
	*name = trim(*name);
	for (size_t i = 0; i < name->n; i++)
		if (name->p[i] < ' ' || strchr("[]\x7f", name->p[i]))
			return false;
	return name->n != 0;
}

/* host:rest or [v6]:rest; also a host alone, then *rest is empty. */
static bool host(struct zk_span s, struct zk_span *name, struct zk_span *rest)
{
	if (s.n && s.p[0] == '[') {
		s = zk_span_of(s.p + 1, s.n - 1);
		if (!split(s, ']', name, rest) || !plain(name))
			return false;
		if (rest->n && rest->p[0] != ':')
			return false;
		*rest = zk_span_of(rest->p + (rest->n != 0), rest->n - (rest->n != 0));
		return true;
	}
	split(s, ':', name, rest);
	return plain(name);
}

static bool keep(struct zab_members *m, struct zk_span s, struct zab_text *out)
{
	if (s.n > ZAB_HOSTS_MAX - m->hosts_n)
		return false;
	*out = (struct zab_text){(uint16_t)m->hosts_n, (uint16_t)s.n};
	memcpy(m->hosts + m->hosts_n, s.p, s.n);
	m->hosts_n += (uint32_t)s.n;
	return true;
}

static bool word_is(struct zk_span s, const char *word)
{
	size_t n = strlen(word);

	if (s.n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((s.p[i] | 32) != word[i])
			return false;
	return true;
}

static enum zk_err role(struct parse *p, struct zab_server *s, struct zk_span text)
{
	bool observer = word_is(trim(text), "observer");

	if (!observer && !word_is(trim(text), "participant"))
		return wrong(p, "the role is neither participant nor observer");
	if (s->addresses > 1 && s->observer != observer)
		return wrong(p, "the addresses of one server have different roles");
	s->observer = observer;
	return ZK_EOK;
}

/* host:port:port[:role] */
static enum zk_err address(struct parse *p, struct zab_server *s, struct zk_span text)
{
	struct zk_span name, rest, first, second, kind;
	struct zab_address *a = &s->address[s->addresses];
	bool has_role;

	if (s->addresses == ZAB_ADDRESSES_MAX)
		return too_big(p, "more addresses than a server may have");
	if (!host(text, &name, &rest) || !split(rest, ':', &first, &second))
		return wrong(p, "not of the form host:port:port[:role][;[host:]port]");
	has_role = split(second, ':', &second, &kind);
	if (!port(first, &a->port) || !port(second, &a->election_port))
		return wrong(p, "a port is no number from 0 to 65535");
	if (a->port == a->election_port)
		return wrong(p, "both ports are the same");
	if (!keep(p->m, name, &a->host))
		return too_big(p, "the host names are longer than can be kept");
	s->addresses++;
	return has_role ? role(p, s, kind) : ZK_EOK;
}

static enum zk_err client(struct parse *p, struct zab_server *s, struct zk_span text)
{
	struct zk_span name = text, rest = text;

	if (memchr(text.p, ':', text.n)) {
		if (!host(text, &name, &rest))
			return wrong(p, "the client address is not of the form [host:]port");
	} else {
		name = zk_span_str("0.0.0.0");
	}
	if (!port(rest, &s->client_port))
		return wrong(p, "the client port is no number from 0 to 65535");
	if (!keep(p->m, name, &s->client_host))
		return too_big(p, "the host names are longer than can be kept");
	s->client = true;
	return ZK_EOK;
}

static enum zk_err server(struct parse *p, struct zk_span id, struct zk_span text)
{
	struct zab_members *m = p->m;
	struct zab_server s = {.weight = 1};
	struct zk_span quorum, part, rest;
	enum zk_err err;
	uint32_t at = 0;
	bool more;

	if (!signed_number(id, &s.sid))
		return wrong(p, "the server id is no number");
	if (zab_members_find(m, s.sid) >= 0)
		return wrong(p, "the server is there twice");
	if (m->n == ZAB_SERVERS_MAX)
		return too_big(p, "more servers than there may be");
	if (split(text, ';', &quorum, &rest)) {
		err = client(p, &s, trim(rest));
		if (err != ZK_EOK)
			return err;
	}
	do {
		more = split(quorum, '|', &part, &rest);
		err = address(p, &s, trim(part));
		if (err != ZK_EOK)
			return err;
		quorum = rest;
	} while (more);
	while (at < m->n && m->server[at].sid < s.sid)
		at++;
	memmove(&m->server[at + 1], &m->server[at], (m->n - at) * sizeof(s));
	m->server[at] = s;
	m->n++;
	return ZK_EOK;
}

static enum zk_err group(struct parse *p, struct zk_span id, struct zk_span text)
{
	struct zab_members *m = p->m;
	struct zk_span part, rest;
	int64_t sid;
	bool more;

	if (m->groups == ZAB_SERVERS_MAX)
		return too_big(p, "more groups than there may be");
	if (!signed_number(id, &m->group[m->groups]))
		return wrong(p, "the group is no number");
	for (uint32_t i = 0; i < m->groups; i++)
		if (m->group[i] == m->group[m->groups])
			return wrong(p, "the group is there twice");
	do {
		more = split(text, ':', &part, &rest);
		if (!signed_number(trim(part), &sid))
			return wrong(p, "a server of the group is no number");
		for (uint32_t i = 0; i < p->grouped; i++)
			if (p->in[i].sid == sid)
				return wrong(p, "a server is in more than one group");
		if (p->grouped == ZAB_SERVERS_MAX)
			return too_big(p, "more servers in groups than there may be");
		p->in[p->grouped].sid = sid;
		p->in[p->grouped++].group = (uint8_t)m->groups;
		text = rest;
	} while (more);
	m->groups++;
	return ZK_EOK;
}

static enum zk_err weight(struct parse *p, struct zk_span id, struct zk_span text)
{
	if (p->weights == ZAB_SERVERS_MAX)
		return too_big(p, "more weights than there may be");
	if (!signed_number(id, &p->weight[p->weights].sid))
		return wrong(p, "the server id is no number");
	/* so that the sum of all cannot overflow */
	if (!number(text, 10, UINT32_MAX, &p->weight[p->weights].weight))
		return wrong(p, "the weight is no number from 0 to 4294967295");
	p->weights++;
	return ZK_EOK;
}

static enum zk_err entry(struct parse *p, struct zk_span text)
{
	struct zk_span key, value, kind, id;

	text = trim(text);
	if (!text.n || text.p[0] == '#')
		return ZK_EOK;
	if (!split(text, '=', &key, &value))
		return wrong(p, "no = in the line");
	key = trim(key);
	value = trim(value);
	if (zk_span_eq(key, zk_span_str("version")))
		return number(value, 16, UINT64_MAX, &p->m->version)
			       ? ZK_EOK
			       : wrong(p, "the version is no hexadecimal number");
	split(key, '.', &kind, &id);
	if (zk_span_eq(kind, zk_span_str("server")))
		return server(p, id, value);
	if (zk_span_eq(kind, zk_span_str("group")))
		return group(p, id, value);
	if (zk_span_eq(kind, zk_span_str("weight")))
		return weight(p, id, value);
	return wrong(p, "not one of server.N, group.N, weight.N and version");
}

static enum zk_err join_groups(struct parse *p)
{
	struct zab_members *m = p->m;

	for (uint32_t i = 0; i < p->weights; i++) {
		int at = zab_members_find(m, p->weight[i].sid);

		if (at >= 0)
			m->server[at].weight = p->weight[i].weight;
	}
	for (uint32_t i = 0; i < p->grouped; i++)
		if (!zab_members_votes(m, p->in[i].sid))
			return wrong(p, "a group names a server that does not vote");
	for (uint32_t i = 0; i < m->n; i++) {
		struct zab_server *s = &m->server[i];
		uint32_t g = 0;

		if (s->observer)
			continue;
		while (g < p->grouped && p->in[g].sid != s->sid)
			g++;
		if (g == p->grouped)
			return wrong(p, "a server that votes is in no group");
		s->group = p->in[g].group;
		m->group_weight[s->group] += s->weight;
	}
	return ZK_EOK;
}

static enum zk_err whole(struct parse *p)
{
	struct zab_members *m = p->m;

	for (uint32_t i = 0; i < m->n; i++)
		if (!m->server[i].observer)
			m->voters |= UINT64_C(1) << i;
	if (!m->voters)
		return wrong(p, "no server votes");
	if (p->weights && !m->groups)
		return wrong(p, "weights without groups");
	return m->groups ? join_groups(p) : ZK_EOK;
}

enum zk_err zab_members_parse(struct zk_span text, struct zab_members *out, const char **why,
			      unsigned *line)
{
	struct parse p = {.m = out};
	enum zk_err err = ZK_EOK;
	struct zk_span part;
	bool more;

	memset(out, 0, sizeof(*out));
	*why = "";
	*line = 0;
	if (text.n > ZAB_CONFIG_MAX) {
		*why = "the text is longer than a configuration may be";
		return ZK_ETOOBIG;
	}
	do {
		++*line;
		more = split(text, '\n', &part, &text);
		err = entry(&p, part);
	} while (err == ZK_EOK && more);
	if (err == ZK_EOK) {
		err = whole(&p);
		*line = 0;
	}
	*why = err == ZK_EOK ? "" : p.why;
	return err;
}
