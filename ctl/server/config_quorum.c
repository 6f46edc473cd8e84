/* SPDX-License-Identifier: Apache-2.0 */
/* What makes a member of an ensemble, and the checks of QuorumPeerConfig (parseDynamicConfig,
 * setupMyId, setupClientPort, setupPeerType, checkValidity) and of QuorumPeer.start(). */
#include "core/store/epoch.h"
#include "ctl/server/config_int.h"
#include "ctl/server/disk.h"
#include "ctl/server/value.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool config_is_member(const char *name)
{
	return strncmp(name, "server.", 7) == 0 || strncmp(name, "group", 5) == 0 ||
	       strncmp(name, "weight", 6) == 0 || strcmp(name, "version") == 0;
}

/* The lines of members as text for zab_members_parse(), and where each came from. */
struct lines {
	const char *file;
	const struct props *props;
	size_t n;
	unsigned lines, servers;
	const struct prop *of[PROPS_MAX];
	char text[ZAB_CONFIG_MAX + 1];
};

static bool add_line(struct config_ctx *x, struct lines *l, const struct prop *p)
{
	int n = snprintf(l->text + l->n, sizeof(l->text) - l->n, "%s=%s\n", p->key, p->value);

	if (strchr(p->key, '\n') || strchr(p->value, '\n')) {
		config_bad_in(x, l->file, p, p->key, "goes over two lines");
		return false;
	}
	if (n < 0 || (size_t)n >= sizeof(l->text) - l->n) {
		config_bad_in(x, l->file, p, p->key, "all members take more than %d bytes",
			      ZAB_CONFIG_MAX);
		return false;
	}
	l->n += (size_t)n;
	l->of[l->lines++] = p;
	l->servers += strncmp(p->key, "server.", 7) == 0;
	return true;
}

static bool collect(struct config_ctx *x, struct lines *l, bool only_members)
{
	bool ok = true;

	for (unsigned i = 0; i < l->props->n; i++) {
		const struct prop *p = &l->props->v[i];

		if (p->overridden)
			continue;
		if (config_is_member(p->key)) {
			ok = add_line(x, l, p) && ok;
		} else if (only_members) {
			config_bad_in(x, l->file, p, p->key,
				      "is neither server.N, group.N nor weight.N");
			ok = false;
		}
	}
	return ok;
}

/* The place of @p sid's line; the whole configuration speaks of none. */
static const struct prop *server_line(const struct lines *l, int64_t sid)
{
	char key[40];

	snprintf(key, sizeof(key), "server.%lld", (long long)sid);
	return props_get(l->props, key);
}

static void bad_server(struct config_ctx *x, const struct lines *l, int64_t sid, const char *text)
{
	const struct prop *p = server_line(l, sid);

	config_bad_in(x, l->file, p, p ? p->key : "server.N", "%s", text);
}

static bool parse_lines(struct config_ctx *x, struct lines *l)
{
	const char *why;
	unsigned line;
	/* without the last newline */
	struct zk_span text = zk_span_of((const uint8_t *)l->text, l->n ? l->n - 1 : 0);

	if (zab_members_parse(text, &x->c->quorum.members, &why, &line) == ZK_EOK)
		return true;
	if (line >= 1 && line <= l->lines) {
		const struct prop *p = l->of[line - 1];

		config_bad_in(x, l->file, p, p->key, "\"%s\" %s", p->value, why);
	} else {
		config_bad_in(x, l->file, NULL, "server.N", "%s", why);
	}
	return false;
}

static bool share_port(const struct zab_address *a, const struct zab_address *b)
{
	return a->port == b->port || a->port == b->election_port || a->election_port == b->port ||
	       a->election_port == b->election_port;
}

static bool share_address(const struct zab_members *m, const struct zab_server *a,
			  const struct zab_server *b)
{
	for (unsigned i = 0; i < a->addresses; i++)
		for (unsigned j = 0; j < b->addresses; j++)
			if (zk_span_eq(zab_host(m, a->address[i].host),
				       zab_host(m, b->address[j].host)) &&
			    share_port(&a->address[i], &b->address[j]))
				return true;
	return false;
}

/* Two servers at one address: at most one of them can be reached. */
static void check_duplicates(struct config_ctx *x, const struct lines *l)
{
	const struct zab_members *m = &x->c->quorum.members;
	char text[64];

	for (uint32_t i = 0; i < m->n; i++) {
		for (uint32_t j = 0; j < i; j++) {
			if (!share_address(m, &m->server[i], &m->server[j]))
				continue;
			snprintf(text, sizeof(text), "has an address of server.%lld",
				 (long long)m->server[j].sid);
			bad_server(x, l, m->server[i].sid, text);
		}
	}
}

static unsigned voters(const struct zab_members *m)
{
	return (unsigned)__builtin_popcountll(m->voters);
}

/* parseDynamicConfig(). @return whether there is an ensemble. */
static bool check_numbers(struct config_ctx *x, const struct lines *l)
{
	const struct config_quorum *q = &x->c->quorum;
	unsigned n = voters(&q->members), observers = q->members.n - n;

	if (n == 1 && q->standalone_ok) {
		if (observers)
			config_bad_in(x, l->file, NULL, "server.N",
				      "observers without a quorum are an invalid configuration");
		else
			config_warn_in(x, l->file, l->of[0],
				       "only one server: ignored, it stands alone "
				       "(standaloneEnabled=true)");
		return false;
	}
	if (n <= 2)
		config_warn_in(x, l->file, l->of[0],
			       "no failure will be tolerated: at least 3 servers are needed");
	else if (n % 2 == 0)
		config_warn_in(x, l->file, l->of[0],
			       "an even number of servers that vote: consider an odd one");
	for (uint32_t i = 0; i < q->members.n && !q->many_addresses; i++)
		if (q->members.server[i].addresses > 1)
			bad_server(x, l, q->members.server[i].sid,
				   "has several addresses, and multiAddress.enabled is not true");
	check_duplicates(x, l);
	return true;
}

static bool read_myid(struct config_ctx *x, int64_t *sid)
{
	const struct prop *p = props_get(x->props, "dataDir");
	struct disk_dirs dirs = {.fd = {-1, -1, -1, -1}};
	char why[EPOCH_WHY_MAX] = "myid file is missing";
	enum zk_err err = ZK_ENOENT;
	struct disk_posix disk;

	snprintf(dirs.path[DISK_DATA_TOP], DISK_PATH_MAX, "%s", x->c->data_dir);
	dirs.fd[DISK_DATA_TOP] = open(x->c->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirs.fd[DISK_DATA_TOP] >= 0) {
		disk_posix_init(&disk, &dirs, false);
		err = epoch_read_myid(&disk.disk, sid, why);
		disk_posix_fini(&disk);
		close(dirs.fd[DISK_DATA_TOP]);
	} else if (errno != ENOENT) {
		snprintf(why, sizeof(why), "cannot be opened for myid: %s", strerror(errno));
	}
	if (err != ZK_EOK)
		config_bad(x, p, "dataDir", "%s", why);
	return err == ZK_EOK;
}

/* IPv4 in host order. @return NULL or why not. */
static const char *resolve_host(struct zk_span host, uint32_t *ip)
{
	char name[256];

	*ip = 0;
	if (host.n >= sizeof(name))
		return "longer than a host name may be";
	memcpy(name, host.p, host.n);
	name[host.n] = 0;
	return value_host(name, ip);
}

static void resolve_hosts(struct config_ctx *x, const struct lines *l)
{
	struct config_quorum *q = &x->c->quorum;

	for (uint32_t i = 0; i < q->members.n; i++) {
		const struct zab_server *s = &q->members.server[i];

		for (unsigned j = 0; j < s->addresses; j++) {
			struct zk_span host = zab_host(&q->members, s->address[j].host);
			const char *why = resolve_host(host, &q->ip[i][j]);

			if (why)
				config_warn_in(x, l->file, server_line(l, s->sid),
					       "server.%lld: no IPv4 address for %.*s: %s",
					       (long long)s->sid, (int)host.n, (const char *)host.p,
					       why);
		}
	}
}

/* The stack has one address, and connects to nobody but others: the own line must name it. */
static void check_own_address(struct config_ctx *x, const struct lines *l, unsigned place)
{
	const struct config *c = x->c;
	const struct config_quorum *q = &c->quorum;
	bool own_device = q->peer.device_text[0] != 0;
	uint32_t want = own_device ? q->peer.address : c->address;

	if (want == 0)
		return; /* has been complained about */
	if (q->members.server[place].addresses > 1)
		bad_server(x, l, q->sid, "is this server, which has one address only");
	else if (q->ip[place][0] != want)
		bad_server(x, l, q->sid,
			   own_device ? "is this server, and its host is not dp.peerAddress"
				      : "is this server, and its host is not dp.address");
}

/* setupClientPort() */
static void own_client_address(struct config_ctx *x, const struct lines *l,
			       const struct zab_server *s)
{
	struct config *c = x->c;
	struct zk_span host;
	uint32_t ip;

	if (!s->client)
		return;
	host = zab_host(&c->quorum.members, s->client_host);
	if (resolve_host(host, &ip) || (ip != 0 && ip != c->address))
		bad_server(x, l, s->sid, "is this server, and its clients' host is not dp.address");
	if (c->client_port && c->client_port != s->client_port)
		bad_server(x, l, s->sid, "names another port for clients than clientPort");
	c->client_port = s->client_port;
}

static void check_ports(struct config_ctx *x, const struct lines *l, const struct zab_server *s)
{
	const struct config *c = x->c;
	const struct zab_address *a = &s->address[0];

	if (a->port == 0 || a->election_port == 0)
		bad_server(x, l, s->sid, "is this server, and port 0 cannot be served");
	if (!c->quorum.peer.device_text[0] &&
	    (a->port == c->client_port || a->election_port == c->client_port))
		bad_server(x, l, s->sid, "is this server, and one of its ports is clientPort");
}

/* checkValidity(), setupMyId(), setupPeerType() */
static void check_own(struct config_ctx *x, const struct lines *l)
{
	struct config_quorum *q = &x->c->quorum;
	int place;

	if (q->init_limit == 0)
		config_bad(x, props_get(x->props, "initLimit"), "initLimit", "is not set");
	if (q->sync_limit == 0)
		config_bad(x, props_get(x->props, "syncLimit"), "syncLimit", "is not set");
	resolve_hosts(x, l);
	if (!x->c->data_dir[0] || !read_myid(x, &q->sid))
		return;
	place = zab_members_find(&q->members, q->sid);
	if (place < 0) {
		config_bad(x, props_get(x->props, "dataDir"), "dataDir",
			   "my id %lld is not in the peer list", (long long)q->sid);
		return;
	}
	q->observer = q->members.server[place].observer;
	if (q->observer != q->observer_wanted)
		config_warn_in(x, l->file, server_line(l, q->sid),
			       "peerType and the server's line differ: the line counts (%s)",
			       q->observer ? "observer" : "participant");
	check_own_address(x, l, (unsigned)place);
	own_client_address(x, l, &q->members.server[place]);
	check_ports(x, l, &q->members.server[place]);
}

static void check_peer_device(struct config_ctx *x)
{
	static const char *const keys[] = {"dp.peerAddress", "dp.peerGateway",
					   "dp.peerTapHostAddress", "dp.peerTapBridge"};
	const struct config_peer *p = &x->c->quorum.peer;
	bool tap = p->device.kind == PORT_TAP;

	if (!p->device_text[0]) {
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			if (props_get(x->props, keys[i]))
				config_bad(x, props_get(x->props, keys[i]), keys[i],
					   "is for dp.peerDevice, which is not set");
		return;
	}
	if (props_get(x->props, "dp.peerQueue"))
		config_bad(x, props_get(x->props, "dp.peerQueue"), "dp.peerQueue",
			   "is for a device that clients use, too: not with dp.peerDevice");
	if (p->address == 0)
		config_bad(x, props_get(x->props, keys[0]), keys[0],
			   "is missing: dp.peerDevice needs an address of its own");
	else if (p->address == x->c->address)
		config_bad(x, props_get(x->props, keys[0]), keys[0], "is dp.address");
	if ((p->tap_host_ip || p->tap_bridge[0]) && !tap)
		config_bad(x, props_get(x->props, "dp.peerDevice"), "dp.peerDevice",
			   "is no tap: device, which the keys of a TAP are for");
	if (p->tap_host_ip && p->tap_bridge[0])
		config_bad(x, props_get(x->props, keys[3]), keys[3],
			   "and dp.peerTapHostAddress exclude each other: the bridge has the "
			   "address");
	if (p->tap_host_ip && p->tap_host_ip == p->address)
		config_bad(x, props_get(x->props, keys[2]), keys[2],
			   "is the stack's own address: the kernel's side needs another");
}

/* The version is the end of the file's name, in hexadecimal, when it is a number
 * (getVersionFromFilename()). */
static void version_of_name(const char *name, struct zab_members *m)
{
	const char *dot = strrchr(name, '.');
	char *end;

	if (!dot || !dot[1] || dot[1] == '-' || dot[1] == '+')
		return;
	errno = 0;
	m->version = strtoull(dot + 1, &end, 16);
	if (*end || errno)
		m->version = 0;
}

static void members_of(struct config_ctx *x, struct lines *l)
{
	struct config_quorum *q = &x->c->quorum;

	if (l->servers == 0) {
		if (!q->standalone_ok)
			config_bad_in(x, l->file, NULL, "server.N",
				      "standaloneEnabled=false needs a server that votes");
		return;
	}
	if (!parse_lines(x, l))
		return;
	if (q->dynamic_file[0])
		version_of_name(q->dynamic_file, &q->members);
	q->on = check_numbers(x, l);
	if (q->on)
		check_own(x, l);
	else
		own_client_address(x, l, &q->members.server[0]);
}

static void from_dynamic_file(struct config_ctx *x, struct lines *l)
{
	const char *name = x->c->quorum.dynamic_file;
	const struct prop *p = props_get(x->props, "dynamicConfigFile");
	char why[PROPS_WHY_MAX];
	struct props props;
	unsigned line = 0;
	char *text;
	size_t n;

	for (unsigned i = 0; i < x->props->n; i++)
		if (config_is_member(x->props->v[i].key) && !x->props->v[i].overridden)
			config_bad(x, &x->props->v[i], x->props->v[i].key,
				   "must be in the separate dynamic config file");
	text = config_read(name, &n, why, sizeof(why));
	if (!text) {
		config_bad(x, p, "dynamicConfigFile", "\"%s\" %s", name, why);
		return;
	}
	if (props_parse(text, n, &props, &line, why) != ZK_EOK) {
		config_bad(x, p, "dynamicConfigFile", "\"%s\", line %u: %s", name, line, why);
	} else {
		const struct prop *version = props_get(&props, "version");

		l->file = name;
		l->props = &props;
		if (version)
			config_bad_in(x, name, version, "version",
				      "must not be inside: the file's name says it");
		else if (collect(x, l, true))
			members_of(x, l);
		l->props = NULL;
		props_free(&props);
	}
	free(text);
}

void config_quorum_resolve(struct config_ctx *x)
{
	struct lines *l = calloc(1, sizeof(*l));

	if (!l) {
		config_bad(x, NULL, "server.N", "out of memory");
		return;
	}
	l->file = x->file;
	l->props = x->props;
	check_peer_device(x);
	if (x->c->quorum.dynamic_file[0])
		from_dynamic_file(x, l);
	else if (collect(x, l, false))
		members_of(x, l);
	free(l);
}
