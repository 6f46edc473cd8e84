/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/ensemble.h"
#include "core/store/epoch.h"
#include "core/tree/tree.h"
#include "ctl/server/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	/* connections, copies of sessions; address space until it is used */
	MEMORY_BYTES = 256 << 20,
	ASIDE_FACTOR = 4, /* a buffer that has doubled, and the one before it */
	ENTRY_BYTES = 64, /* of the history, and more */
	ENTRIES_PER_COMMIT_LOG = 2,
	ENTRIES_MIN = 1 << 16, /* above the transactions that a leader has under way */
};

static void peer_conf_of(const struct config *c, struct peer_conf *pc)
{
	const struct config_quorum *q = &c->quorum;
	const struct zab_server *s = &q->members.server[zab_members_find(&q->members, q->sid)];
	bool own = q->peer.device_text[0] != 0;

	memset(pc, 0, sizeof(*pc));
	peer_conf_default(pc);
	pc->own_device = own;
	pc->client_port = c->client_port;
	pc->quorum_port = s->address[0].port;
	pc->election_port = s->address[0].election_port;
	pc->net.addr = net_addr_v4(own ? q->peer.address : c->address);
	pc->net.prefix = own ? q->peer.prefix : c->prefix;
	if (own ? q->peer.gateway : c->gateway)
		pc->net.gateway = net_addr_v4(own ? q->peer.gateway : c->gateway);
	memcpy(pc->net.mac, own ? q->peer.mac : c->mac, sizeof(pc->net.mac));
	pc->tcp.rto_min_ms = c->rto_min_ms;
}

void ensemble_eal_conf(const struct config *c, struct eal_conf *ec, struct port_spec devices[2])
{
	struct peer_conf pc;

	peer_conf_of(c, &pc);
	if (pc.own_device) {
		devices[ec->n_devices++] = c->quorum.peer.device;
		ec->pci = ec->pci || c->quorum.peer.device.kind == PORT_PCI;
	}
	ec->memory_mib +=
		(uint32_t)(peer_memory_bytes(&pc, c->mtu, pc.own_device ? 1 : c->cores + 1) >> 20) +
		1;
}

/* The ports of the other members, where we know them. */
static unsigned remotes_of(const struct config_quorum *q, struct port_remote *out)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < q->members.n; i++) {
		const struct zab_server *s = &q->members.server[i];

		for (unsigned j = 0; j < s->addresses && s->sid != q->sid; j++) {
			if (q->ip[i][j] == 0 || n + 2 > PORT_REMOTES_MAX)
				continue;
			out[n++] = (struct port_remote){q->ip[i][j], s->address[j].port};
			out[n++] = (struct port_remote){q->ip[i][j], s->address[j].election_port};
		}
	}
	return n;
}

void ensemble_port_conf(const struct config *c, struct port_peer_conf *out,
			struct port_remote *remote)
{
	struct peer_conf pc;

	peer_conf_of(c, &pc);
	if (pc.own_device)
		return;
	out->queue = !c->quorum.peer_software;
	out->rx_pool_packets = pc.rx_packets;
	out->client_port = pc.client_port;
	out->listen[0] = pc.quorum_port;
	out->listen[1] = pc.election_port;
	out->remote = remote;
	out->remotes = remotes_of(&c->quorum, remote);
}

static enum zk_err open_port(struct ensemble *e, const struct peer_conf *peer)
{
	const struct config_peer *p = &e->conf->quorum.peer;
	struct port_conf pc = {
		.spec = p->device,
		.queues = 1,
		.mtu = e->conf->mtu,
		.rx_pool_packets = peer->rx_packets,
		.tap_host_ip = p->tap_host_ip,
		.tap_host_prefix = p->tap_host_prefix,
		.stack_ip = p->address,
	};

	memcpy(pc.tap_bridge, p->tap_bridge, sizeof(pc.tap_bridge));
	return port_open(&pc, &e->peer_port, e->why);
}

static enum zk_err open_peer(struct ensemble *e, struct port *port)
{
	struct peer_conf pc;
	enum zk_err err = ZK_EOK;

	peer_conf_of(e->conf, &pc);
	if (pc.own_device)
		err = open_port(e, &pc);
	if (err != ZK_EOK)
		return err;
	pc.port = pc.own_device ? e->peer_port : port;
	pc.hosts = e->names->host;
	pc.hosts_n = e->names->n;
	pc.names = &e->names->waker;
	if (getrandom(pc.net.secret, sizeof(pc.net.secret), 0) != sizeof(pc.net.secret) ||
	    getrandom(pc.net.steer_key, sizeof(pc.net.steer_key), 0) != sizeof(pc.net.steer_key))
		err = ZK_EIO;
	else
		err = peer_new(&pc, eal_now_ns(), &e->peer);
	if (err != ZK_EOK)
		snprintf(e->why, ENSEMBLE_WHY_MAX, "the quorum's network: %s", zk_err_text(err));
	return err;
}

static uint32_t history_entries(const struct config *c)
{
	uint32_t n = ENTRIES_MIN;

	while (n < ENTRIES_PER_COMMIT_LOG * c->quorum.commit_log_count)
		n *= 2;
	return n;
}

static void zab_conf_of(const struct config *c, struct zab_conf *z)
{
	const struct config_quorum *q = &c->quorum;
	uint64_t least = 4 * (uint64_t)recovery_length_max(c);

	*z = (struct zab_conf){
		.sid = q->sid,
		.observer = q->observer,
		.now = &q->members,
		.tick_ms = c->tick_ms,
		.init_limit = q->init_limit,
		.sync_limit = q->sync_limit,
		.connect_limit = q->connect_limit,
		.resend_min_ms = q->resend_min_ms,
		.resend_max_ms = q->resend_max_ms,
		.settle_ms = q->settle_ms,
		.settle_fast_ms = q->settle_fast_ms,
		.heartbeat_ms = q->heartbeat_ms,
		.heartbeat_timeout_ms = q->heartbeat_timeout_ms,
		.inform_us = c->adaptive ? q->observer_inform_us : 0,
		.history_entries = history_entries(c),
		.history_bytes = q->history_bytes < least ? least : q->history_bytes,
		.data_max = recovery_length_max(c),
		.initial_counter = q->initial_zxid,
	};
}

static void written(void *quorum, enum zab_file file)
{
	quorum_epoch_written(quorum, file);
}

static enum zk_err open_quorum(struct ensemble *e)
{
	const struct config *c = e->conf;
	const struct config_quorum *cq = &c->quorum;
	int place = zab_members_find(&cq->members, cq->sid);
	const struct zab_address *own = &cq->members.server[place].address[0];
	struct zk_span host = zab_host(&cq->members, own->host);
	struct quorum_conf qc = {
		.calm_ns = (uint64_t)cq->observer_calm_us * 1000,
		.cnx_timeout_ms = cq->cnx_timeout_ms,
		.hello_timeout_ms = cq->hello_timeout_ms,
		.mem = &e->mem.arena.mem,
		.net = peer_quorum_net(e->peer),
		.disk = quorum_files_disk(&e->files),
		.view = &e->view,
		.say = say_line,
		.say_ctx = &e->say,
		.read_only = cq->read_only,
	};
	enum zk_err err;

	zab_conf_of(c, &qc.zab);
	/* what a learner may have under way, or its one large request */
	qc.request_bytes = cq->request_bytes + qc.zab.data_max;
	/* IPv6 hosts in brackets, as in the hello of QuorumCnxManager */
	snprintf(e->address, sizeof(e->address),
		 memchr(host.p, ':', host.n) ? "[%.*s]:%u" : "%.*s:%u", (int)host.n,
		 (const char *)host.p, own->election_port);
	qc.address = zk_span_str(e->address);
	e->view.members = &cq->members;
	e->view.sid = cq->sid;
	err = eal_arena_open(&e->mem,
			     qc.zab.history_bytes + (uint64_t)qc.zab.history_entries * ENTRY_BYTES +
				     ASIDE_FACTOR * (uint64_t)qc.request_bytes * cq->members.n +
				     MEMORY_BYTES);
	if (err == ZK_EOK)
		err = quorum_new(&qc, eal_now_ns(), &e->quorum);
	if (err != ZK_EOK) {
		snprintf(e->why, ENSEMBLE_WHY_MAX, "quorum: %s", zk_err_text(err));
		return err;
	}
	quorum_files_tell(&e->files, written, e->quorum);
	e->for_leader = quorum_for_leader(e->quorum);
	peer_quorum_set(e->peer, e->quorum);
	return ZK_EOK;
}

enum zk_err ensemble_open(struct ensemble *e, const struct config *c,
			  const struct config_cpus *cpus, struct port *port,
			  const struct disk_dirs *dirs)
{
	struct quorum_files_conf fc = {.dirs = dirs,
				       .length_max = recovery_length_max(c),
				       .snap_factor_ppm = c->quorum.snap_factor_ppm};
	struct names_conf nc = {.quorum = &c->quorum};
	enum zk_err err;

	*e = (struct ensemble){.conf = c, .dirs = dirs, .main.fd = -1};
	e->say.reader = &e->main;
	(void)helper_cpus(c, cpus, &fc.cpus);
	err = waker_init(&e->main);
	if (err == ZK_EOK)
		err = quorum_files_start(&e->files, &fc);
	if (err != ZK_EOK) {
		snprintf(e->why, ENSEMBLE_WHY_MAX, "the quorum's files: %s", strerror(errno));
		return err;
	}
	e->has_files = true;
	nc.cpus = fc.cpus;
	err = names_start(&nc, &e->names);
	if (err != ZK_EOK) {
		snprintf(e->why, ENSEMBLE_WHY_MAX, "host names: %s", zk_err_text(err));
		return err;
	}
	err = open_peer(e, port);
	return err == ZK_EOK ? open_quorum(e) : err;
}

bool ensemble_close(struct ensemble *e)
{
	bool whole = true;

	/* the others need not wait for silence; then: connections name what the quorum knows */
	if (e->peer) {
		peer_abort_all(e->peer, eal_now_ns());
		whole = peer_free(e->peer);
	}
	names_stop(e->names);
	if (e->has_files)
		quorum_files_stop(&e->files);
	quorum_free(e->quorum);
	eal_arena_close(&e->mem);
	if (e->peer_port && port_close(e->peer_port) != 0)
		whole = false;
	if (e->main.fd >= 0)
		waker_fini(&e->main);
	return whole;
}

static void replayed(void *ctx, uint64_t zxid, struct zk_span txn)
{
	quorum_replayed(((struct ensemble *)ctx)->quorum, zxid, txn);
}

struct recovery_hooks ensemble_first_hooks(struct ensemble *e)
{
	return (struct recovery_hooks){.ctx = e, .replayed = replayed};
}

void ensemble_share(struct ensemble *e, struct srv_shared *sh)
{
	const struct config *c = e->conf;

	quorum_files_metrics(&e->files, &sh->metrics);
	quorum_view_metrics(&e->view, &sh->metrics);
	sh->quorum = &e->view;
	sh->server_id = (uint8_t)c->quorum.sid;
	sh->init_limit = c->quorum.init_limit;
	sh->sync_limit = c->quorum.sync_limit;
	sh->local_sessions = c->local_sessions;
	if (c->quorum.read_only) /* FourLetterCommands */
		sh->four_letter_words |= 1u << SRV_WORD_ISRO;
}

void ensemble_loop_conf(struct ensemble *e, struct loop_conf *lc)
{
	lc->leader.server_id = (uint8_t)e->conf->quorum.sid;
	lc->leader.local_sessions = e->conf->local_sessions;
	lc->leader.quorum = &e->for_leader;
	lc->peer = e->peer;
	lc->quorum = e->quorum;
	lc->main_waker = &e->main;
	lc->linger_ns = (uint64_t)e->conf->quorum.observer_log_ms * 1000000;
	lc->log_slots = history_entries(e->conf);
}

static enum zk_err load_epochs(struct ensemble *e, uint64_t last_zxid)
{
	char why[EPOCH_WHY_MAX];
	struct disk_posix disk;
	struct epochs epochs;
	enum zk_err err;

	disk_posix_init(&disk, e->dirs, false);
	err = epoch_load(&disk.disk, last_zxid, &epochs, why);
	disk_posix_fini(&disk);
	if (err != ZK_EOK) {
		snprintf(e->why, ENSEMBLE_WHY_MAX, "%s", why);
		return err;
	}
	if (epochs.unfinished)
		log_line(LOG_WARN,
			 "epoch=unfinished currentEpoch=%lld lastZxid=0x%llx "
			 "reason=\"went down while a new leader brought it up to date\"",
			 (long long)epochs.current, (unsigned long long)last_zxid);
	log_line(LOG_INFO, "member=%lld role=%s acceptedEpoch=%lld currentEpoch=%lld",
		 (long long)e->conf->quorum.sid,
		 e->conf->quorum.observer ? "observer" : "participant", (long long)epochs.accepted,
		 (long long)epochs.current);
	quorum_epochs(e->quorum, (uint64_t)epochs.accepted, (uint64_t)epochs.current);
	return ZK_EOK;
}

enum zk_err ensemble_bind(struct ensemble *e, struct state *s)
{
	struct quorum_bind bind;

	if (!e->bound) {
		enum zk_err err = load_epochs(e, tree_last_zxid(s->tree));

		if (err != ZK_EOK)
			return err;
		e->bound = true;
	}
	loop_quorum_bind(s->loop, &bind);
	quorum_files_wake(&e->files, loop_leader_waker(s->loop));
	quorum_bind(e->quorum, &bind, eal_now_ns());
	return ZK_EOK;
}

void ensemble_unbind(struct ensemble *e)
{
	if (e->has_files)
		quorum_files_wake(&e->files, NULL);
	say_flush(&e->say);
}

bool ensemble_has_work(const struct ensemble *e)
{
	return quorum_rebuild_wanted(e->quorum) || say_waits(&e->say);
}

static bool ensemble_serves(const struct ensemble *e)
{
	/* partner: the leader core; it guards nothing */
	uint64_t role = atomic_load_explicit(&e->view.role, memory_order_relaxed);

	return role == ROLE_LEADING || role == ROLE_FOLLOWING || role == ROLE_OBSERVING;
}

enum zk_err ensemble_work(struct ensemble *e, struct state *s, bool (*stop)(void *ctx), void *ctx)
{
	say_flush(&e->say);
	if (s->snap_when_serving && ensemble_serves(e)) {
		s->snap_when_serving = false;
		snapshotter_ask(&s->snap);
	}
	/* The others go on without us; a member that can log nothing is of no use to them
	 * (ZooKeeperCriticalThread.handleException). */
	if (logstage_health(loop_log(s->loop)) != LOGSTAGE_GOOD) {
		snprintf(e->why, sizeof(e->why), "the log takes no more transactions");
		return ZK_EIO;
	}
	return quorum_rebuild_wanted(e->quorum) ? ensemble_rebuild(e, s, stop, ctx) : ZK_EOK;
}
