/* SPDX-License-Identifier: Apache-2.0 */
/** Between the files of cluster.h. */
#ifndef ZK_TEST_SIM_CLUSTER_INT_H
#define ZK_TEST_SIM_CLUSTER_INT_H

#include "core/base/assert.h"
#include "test/sim/cluster.h"

static const uint64_t cl_ms = 1000000;

enum { CL_TICK_MS = 200, CL_INIT_LIMIT = 10, CL_SYNC_LIMIT = 5 };

uint64_t cl_draw(struct cl *w, uint64_t n);
bool cl_chance(struct cl *w, unsigned per_thousand);
void cl_broken(struct cl *w, unsigned server, const char *what, uint64_t zxid);
bool cl_faulty(const struct cl *w);

/* ---- cluster_net.c ---- */
extern const struct srv_io cl_io;
void cl_net_fini(struct cl *w);
/** The first used connection at or behind @p i; CL_CONNS: none. */
unsigned cl_conn_next(const struct cl *w, unsigned i);
/** A connection from @p from (of @p kind) to server @p to; opens at conn->due_ns. */
struct cl_conn *cl_connect(struct cl *w, enum cl_kind kind, unsigned from, unsigned to);
size_t cl_pipe_room(const struct cl_end *e);
/** What has arrived at this end. */
struct zk_span cl_pipe_peek(struct cl_end *e);
void cl_pipe_take(struct cl_end *e, size_t n);
/** Bytes behind what is in @p p; there must be room. */
void cl_pipe_fill(struct cl_pipe *p, const void *bytes, size_t n);
size_t cl_pipe_put(struct cl_end *e, const void *p, size_t n);
/** This end is over, without a word to its owner. @p loud: the other side hears of it. */
void cl_end_close(struct cl_end *e, bool loud);
/** Bytes that are due arrive; who is over hears so. */
void cl_net_step(struct cl *w);
uint64_t cl_net_next_ns(const struct cl *w);
/** Tell the server of what has happened to its connections. */
void cl_net_serve(struct cl *w, struct cl_server *s);
/** Its client core is gone: so are the connections to it. */
void cl_net_drop_clients(struct cl *w, struct cl_server *s);
void cl_net_break(struct cl *w);

/* ---- cluster_disk.c ---- */
extern const struct quorum_disk cl_quorum_disk;
bool cl_disk_append(void *ctx, uint64_t zxid, struct zk_span txn);
uint64_t cl_disk_durable(void *ctx);
void cl_disk_crash(struct cl *w, struct cl_server *s);
void cl_disk_step(struct cl_server *s);
uint64_t cl_disk_next_ns(const struct cl_disk *d);
/** What is above @p zxid is gone. @return the zxid that is left. */
uint64_t cl_disk_cut(struct cl_disk *d, uint64_t zxid);
/** Of the log the first @p n stay, and they are synced. */
void cl_disk_keep(struct cl_disk *d, uint32_t n);
/** A snapshot at @p zxid is in the place of everything. */
void cl_disk_rebase(struct cl_disk *d, uint64_t zxid);
void cl_disk_fini(struct cl_disk *d);
/** Fill the server's tree and sessions; @p replayed: tell the quorum. */
void cl_disk_recover(struct cl_server *s, bool replayed);
/** More of a SNAP's bytes in s->snap. @return 0: not all there; else its length. */
size_t cl_snap_length(struct cl_server *s);
/** s->snap[0, n) is the state at @p zxid. */
void cl_disk_replace(struct cl_server *s, size_t n, uint64_t zxid);
const struct cl_txn *cl_disk_find(const struct cl_disk *d, uint64_t zxid, uint32_t *at);

/* ---- cluster_server.c ---- */
void cl_boot(struct cl *w, unsigned i);
void cl_crash(struct cl *w, unsigned i);
void cl_server_step(struct cl *w, struct cl_server *s);
uint64_t cl_server_next_ns(const struct cl_server *s);
/** Its process runs now. */
bool cl_runs(const struct cl_server *s);
int64_t cl_wall_ms(const struct cl_server *s);
bool cl_serves(const struct cl_server *s);
/** Between two effects: may it die here? Afterwards its effects go nowhere. */
bool cl_dead(struct cl_server *s);

/* ---- cluster_client.c ---- */
void cl_client_init(struct cl *w, unsigned i);
void cl_client_step(struct cl *w, struct cl_client *c);
uint64_t cl_client_next_ns(const struct cl *w, const struct cl_client *c);
void cl_client_gone(struct cl *w, struct cl_client *c);

/* ---- cluster_check.c ---- */
void cl_check_init(struct cl *w);
void cl_check_fini(struct cl *w);
/** A server appends @p txn behind @p prev. */
void cl_check_logged(struct cl *w, const struct cl_server *s, uint64_t prev, uint64_t zxid,
		     struct zk_span txn);
/** After every step of a server. */
void cl_check_server(struct cl *w, struct cl_server *s);
void cl_check_acked(struct cl *w, const struct cl_client *c, const struct cl_asked *a,
		    uint64_t zxid);
/** A read of @p key in the state of @p zxid gave this. */
void cl_check_read(struct cl *w, const struct cl_client *c, unsigned key, uint64_t zxid,
		   bool exists, uint32_t value, uint64_t mzxid);
void cl_check_end(struct cl *w);
/** The value that is written in data bytes: "v123 xxx..."; UINT32_MAX: none. */
uint32_t cl_value_of(struct zk_span data);
/** Into @p out (CL_VALUE_MAX). @return its length. */
enum { CL_VALUE_MAX = 3000 };
size_t cl_value_text(uint32_t value, char *out);
int cl_key_of(struct zk_span path);

#endif
