/* SPDX-License-Identifier: Apache-2.0 */
/** What a member of an ensemble has beside a server that stands alone, for all its life: the
 * quorum, its network and its files. All by the main thread, unless said. */
#ifndef ZK_CTL_ENSEMBLE_H
#define ZK_CTL_ENSEMBLE_H

#include "core/server/quorum.h"
#include "ctl/server/config.h"
#include "ctl/server/names.h"
#include "ctl/server/quorum_files.h"
#include "ctl/server/say.h"
#include "ctl/server/state.h"
#include "dp/eal/eal.h"

enum { ENSEMBLE_WHY_MAX = 512 };

struct ensemble {
	const struct config *conf;
	struct port *peer_port; /* dp.peerDevice; NULL: shared with the clients */
	struct peer *peer;
	struct eal_arena mem; /* the quorum's */
	const struct disk_dirs *dirs;
	bool has_files, bound;
	struct quorum_files files;
	struct names *names;
	struct quorum_view view;
	struct quorum *quorum;
	struct leader_quorum for_leader;
	struct waker main; /* wakes the main thread: a rebuild is wanted, or there are lines */
	struct say say;
	char address[320];          /* own, for elections */
	char why[ENSEMBLE_WHY_MAX]; /* the last thing that failed */
};

/** What the environment and the clients' port need more: packets of the peer, its device. @p
 * devices: room for two, of which one is there. */
void ensemble_eal_conf(const struct config *c, struct eal_conf *ec, struct port_spec devices[2]);
/** What the peer wants of the clients' port. @p remote: room for PORT_REMOTES_MAX, used by *pc. */
void ensemble_port_conf(const struct config *c, struct port_peer_conf *pc,
			struct port_remote *remote);

/** Network, files and quorum; nothing runs but the thread for files. @p port, @p dirs: borrowed
 * until ensemble_close(). @return ZK_EOK, or the code with one line in e->why; ensemble_close() in
 * any case. */
ZK_MUST_USE enum zk_err ensemble_open(struct ensemble *e, const struct config *c,
				      const struct config_cpus *cpus, struct port *port,
				      const struct disk_dirs *dirs);
/** After the last state. @return false: packets are missing. */
bool ensemble_close(struct ensemble *e);

/** Of the first recovery: what was committed last is kept for learners. */
struct recovery_hooks ensemble_first_hooks(struct ensemble *e);

/** For a state that is built: what all cores and the loop must know. */
void ensemble_share(struct ensemble *e, struct srv_shared *sh);
void ensemble_loop_conf(struct ensemble *e, struct loop_conf *lc);

/** The state is what the quorum serves from now on; the first time the epochs are read, or made.
 * @return ZK_EOK, or the code with a line in e->why. */
ZK_MUST_USE enum zk_err ensemble_bind(struct ensemble *e, struct state *s);

/** The state's threads have stopped for good: what it has is no longer called. */
void ensemble_unbind(struct ensemble *e);

/** Is there something for ensemble_work()? */
bool ensemble_has_work(const struct ensemble *e);

/** Write the quorum's lines to the log; replace the state if the quorum wants it: stop *s, cut the
 * log or receive the leader's snapshot, load, serve again. The connections stay. @p stop: asked now
 * and then, true gives up.
 * @return ZK_EOK; an error with a line in e->why: *s can be stopped and freed; ZK_ECLOSED: @p stop
 * said so, as with an error. */
ZK_MUST_USE enum zk_err ensemble_work(struct ensemble *e, struct state *s, bool (*stop)(void *ctx),
				      void *ctx);

/** ensemble_work()'s second half (rebuild.c). */
ZK_MUST_USE enum zk_err ensemble_rebuild(struct ensemble *e, struct state *s,
					 bool (*stop)(void *ctx), void *ctx);

#endif
