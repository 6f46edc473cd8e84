/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/server.h"
#include "ctl/server/datadir.h"
#include "ctl/server/ensemble.h"
#include "ctl/server/environment.h"
#include "ctl/server/facts.h"
#include "ctl/server/log.h"
#include "ctl/server/report.h"
#include "ctl/server/state.h"
#include "dp/eal/eal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum {
	WHY_MAX = 512,
	DRAIN_MS = 5000,
	DRAIN_STEP_MS = 10,
	SECOND_MS = 1000,
	FACTS_DIRS_EVERY = 10, /* seconds */
	EAL_SPARE_MIB = 8,
};

/* What lives once, in the order in which it comes up, and the state that is served. */
struct server {
	const struct config *conf;
	int signals; /* descriptor */
	struct datadir datadir;
	struct disk_dirs dirs;
	bool dirs_open, eal, member, log_failed;
	struct port *port;
	char environment[8192];
	struct ensemble ensemble; /* when member */
	struct state_env env;
	struct state state;
	char why[WHY_MAX];
};

static void eal_says(void *ctx, const char *line)
{
	(void)ctx;
	log_line(LOG_WARN, "dpdk=\"%s\"", line);
}

static enum zk_err start_eal(struct server *s)
{
	const struct config *c = s->conf;
	struct port_spec devices[2] = {c->device};
	uint64_t bytes =
		(uint64_t)c->cores * (c->rx_packets + c->tx_packets) * loop_packet_bytes(c->mtu);
	struct eal_conf ec = {
		.hugepages = c->hugepages,
		.memory_mib = (uint32_t)(bytes >> 20) + EAL_SPARE_MIB,
		.extra_args = c->eal_args[0] ? c->eal_args : NULL,
		.pci = c->device.kind == PORT_PCI,
		.devices = devices,
		.n_devices = 1,
		.log = eal_says,
	};
	enum zk_err err;

	if (c->quorum.on)
		ensemble_eal_conf(c, &ec, devices);
	err = eal_start(&ec, s->why);
	s->eal = err == ZK_EOK;
	return err;
}

static enum zk_err start_port(struct server *s)
{
	const struct config *c = s->conf;
	struct port_remote remote[PORT_REMOTES_MAX];
	struct port_conf pc = {
		.spec = c->device,
		.queues = (uint16_t)c->cores,
		.mtu = c->mtu,
		.rx_pool_packets = c->rx_packets,
		.tap_host_ip = c->tap_host_ip,
		.tap_host_prefix = c->tap_host_prefix,
		.stack_ip = c->address,
	};

	memcpy(pc.tap_bridge, c->tap_bridge, sizeof(pc.tap_bridge));
	if (getrandom(s->env.steer_key, sizeof(s->env.steer_key), 0) != sizeof(s->env.steer_key)) {
		snprintf(s->why, WHY_MAX, "getrandom: %s", strerror(errno));
		return ZK_EIO;
	}
	memcpy(pc.peer.steer_key, s->env.steer_key, sizeof(pc.peer.steer_key));
	if (c->quorum.on)
		ensemble_port_conf(c, &pc.peer, remote);
	return port_open(&pc, &s->port, s->why);
}

static enum zk_err start_dirs(struct server *s)
{
	const struct config *c = s->conf;
	enum zk_err err = datadir_take(c->data_dir, &s->datadir, s->why, WHY_MAX);

	if (err != ZK_EOK)
		return err;
	err = disk_dirs_open(&s->dirs, c->data_dir, c->data_log_dir, c->datadir_autocreate, s->why,
			     WHY_MAX);
	s->dirs_open = err == ZK_EOK;
	return err;
}

static int64_t wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static enum zk_err start_member(struct server *s)
{
	enum zk_err err;

	if (!s->conf->quorum.on)
		return ZK_EOK;
	s->member = true;
	s->env.ensemble = &s->ensemble;
	err = ensemble_open(&s->ensemble, s->conf, s->env.cpus, s->port, &s->dirs);
	if (err != ZK_EOK)
		snprintf(s->why, WHY_MAX, "%s", s->ensemble.why);
	return err;
}

static enum zk_err start_state(struct server *s)
{
	struct recovery_hooks hooks = {0};
	enum zk_err err;

	if (s->member)
		hooks = ensemble_first_hooks(&s->ensemble);
	err = state_load(&s->state, &s->env, &hooks);
	if (err == ZK_EOK)
		err = state_build(&s->state);
	if (err == ZK_EOK && s->member) {
		err = ensemble_bind(&s->ensemble, &s->state);
		if (err != ZK_EOK) {
			snprintf(s->why, WHY_MAX, "%s", s->ensemble.why);
			return err;
		}
	}
	if (err == ZK_EOK)
		err = state_start(&s->state);
	if (err != ZK_EOK)
		snprintf(s->why, WHY_MAX, "%s", s->state.why);
	return err;
}

static enum zk_err start(struct server *s)
{
	enum zk_err err = start_dirs(s);

	if (err == ZK_EOK)
		err = start_eal(s);
	if (err == ZK_EOK)
		err = start_port(s);
	if (err == ZK_EOK)
		err = start_member(s);
	if (err != ZK_EOK)
		return err;
	s->env.dirs = &s->dirs;
	s->env.port = s->port;
	s->env.started_wall_ms = wall_ms();
	s->env.started_ns = eal_now_ns();
	environment_text(s->environment, sizeof(s->environment));
	s->env.environment = s->environment;
	facts_refresh(s->conf->data_dir, s->conf->data_log_dir, true);
	return start_state(s);
}

static void sleep_ms(long ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	(void)nanosleep(&ts, NULL);
}

/* A signal that has come, 0: none. SIGTERM and SIGINT stay for whoever asks next. */
static int take_signal(struct server *s)
{
	struct signalfd_siginfo info;
	ssize_t n = read(s->signals, &info, sizeof(info));

	return n == (ssize_t)sizeof(info) ? (int)info.ssi_signo : 0;
}

/* Must the server stop? For what takes long. */
static bool stop_asked(void *ctx)
{
	sigset_t pending;

	(void)ctx;
	return sigpending(&pending) == 0 &&
	       (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

/* Until a signal, the quorum or the end of @p ms. */
static void sleep_for_work(struct server *s, int ms)
{
	struct waker *w = &s->ensemble.main;
	struct pollfd fd[2] = {{.fd = s->signals, .events = POLLIN},
			       {.fd = s->member ? w->fd : -1, .events = POLLIN}};

	if (s->member) {
		waker_announce(w);
		if (ensemble_has_work(&s->ensemble))
			ms = 0;
	}
	(void)poll(fd, 2, ms);
	if (s->member)
		waker_clear(w);
}

static void each_second(struct server *s, uint64_t now_ms, unsigned seconds)
{
	struct state *st = &s->state;

	report_digest(st->loop, &st->mismatches);
	report_quota(st->loop, &st->quota, now_ms);
	facts_refresh(s->conf->data_dir, s->conf->data_log_dir, seconds % FACTS_DIRS_EVERY == 0);
}

static void on_signal(struct server *s, int sig)
{
	if (sig == SIGHUP) {
		if (log_reopen() != ZK_EOK)
			log_line(LOG_ERROR, "log=reopen-failed file=\"%s\" reason=\"%s\"",
				 s->conf->log_file, strerror(errno));
		else
			log_line(LOG_INFO, "log=reopened");
	}
	if (sig == SIGUSR1) {
		log_line(LOG_INFO, "snapshot=asked by=SIGUSR1");
		snapshotter_ask(&s->state.snap);
	}
}

/* Serve until a signal says stop. @return that signal; 0: it cannot go on, s->why says why. */
static int serve(struct server *s)
{
	uint64_t next_ms = eal_now_ns() / 1000000 + SECOND_MS;

	for (unsigned seconds = 1;;) {
		uint64_t now_ms = eal_now_ns() / 1000000;
		int sig;

		sleep_for_work(s, now_ms < next_ms ? (int)(next_ms - now_ms) : 0);
		sig = take_signal(s);
		if (sig == SIGTERM || sig == SIGINT)
			return sig;
		on_signal(s, sig);
		if (s->member) {
			enum zk_err err = ensemble_work(&s->ensemble, &s->state, stop_asked, NULL);

			if (err != ZK_EOK && err != ZK_ECLOSED) {
				snprintf(s->why, WHY_MAX, "%s", s->ensemble.why);
				return 0;
			}
			if (err == ZK_ECLOSED)
				continue; /* for the signal */
		}
		now_ms = eal_now_ns() / 1000000;
		if (now_ms >= next_ms) {
			each_second(s, now_ms, seconds++);
			next_ms = now_ms + SECOND_MS;
		}
	}
}

static void drain(struct server *s)
{
	unsigned ms = 0;

	if (!s->state.loop)
		return;
	loop_drain(s->state.loop);
	while (!loop_drained(s->state.loop) && ms < DRAIN_MS) {
		sleep_ms(DRAIN_STEP_MS);
		ms += DRAIN_STEP_MS;
	}
	log_line(LOG_INFO, "drain=%s ms=%u", ms < DRAIN_MS ? "complete" : "cut-short", ms);
}

/* @return false when packets are missing. */
static bool take_down(struct server *s)
{
	bool ran = s->state.running, whole = true;

	s->log_failed = !state_stop(&s->state);
	if (ran)
		report_stop(s->state.loop, s->port);
	if (s->member)
		ensemble_unbind(&s->ensemble);
	whole = state_free(&s->state);
	if (s->member && !ensemble_close(&s->ensemble))
		whole = false;
	if (s->port && port_close(s->port) != 0)
		whole = false;
	if (s->eal)
		eal_stop();
	if (s->dirs_open)
		disk_dirs_close(&s->dirs);
	datadir_give(&s->datadir);
	return whole;
}

static bool take_signals(struct server *s)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	s->signals = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (s->signals < 0)
		snprintf(s->why, WHY_MAX, "signalfd: %s", strerror(errno));
	return s->signals >= 0;
}

/* The writes of all wait for the voters, nobody's for an observer: where they share CPUs it steps
 * aside. Before the first thread: each has its own, and begins with that of who made it. */
static void step_aside(const struct config *conf)
{
	if (!conf->quorum.on || !conf->quorum.observer || conf->quorum.observer_nice == 0)
		return;
	errno = 0;
	if (nice((int)conf->quorum.observer_nice) == -1 && errno != 0)
		log_line(LOG_WARN, "nice=failed reason=\"%s\"", strerror(errno));
}

/* Say why on standard error too: whoever starts it looks there. */
static void failed(struct server *s, const char *what)
{
	fprintf(stderr, "zokord: %s\n", s->why);
	if (s->conf->log_file[0])
		log_line(LOG_ERROR, "%s=failed reason=\"%s\"", what, s->why);
}

static int run(struct server *s)
{
	const struct config *conf = s->conf;
	bool whole;
	int sig;

	for (unsigned i = 0; i < conf->warnings_n; i++)
		log_line(LOG_WARN, "config=\"%s\"", conf->warning[i]);
	step_aside(conf);
	if (!take_signals(s) || start(s) != ZK_EOK) {
		failed(s, "start");
		(void)take_down(s);
		return 1;
	}
	report_start(conf, s->port);
	sig = serve(s);
	if (sig == 0) {
		failed(s, "serve");
		(void)take_down(s);
		return 1;
	}
	log_line(LOG_INFO, "stop=%s", sig == SIGTERM ? "SIGTERM" : "SIGINT");
	drain(s);
	whole = take_down(s);
	if (s->log_failed)
		log_line(LOG_ERROR, "stopped=log-failed");
	else
		log_line(whole ? LOG_INFO : LOG_ERROR, "stopped=%s",
			 whole ? "clean" : "packets-missing");
	return whole && !s->log_failed ? 0 : 1;
}

int server_run(const struct config *conf, const struct config_cpus *cpus)
{
	struct server *s = aligned_alloc(_Alignof(struct server), sizeof(*s));
	int code;

	if (!s) {
		fprintf(stderr, "zokord: out of memory\n");
		return 1;
	}
	memset(s, 0, sizeof(*s));
	s->conf = conf;
	s->env.conf = conf;
	s->env.cpus = cpus;
	s->datadir.fd = -1;
	s->signals = -1;
	code = run(s);
	if (s->signals >= 0)
		(void)close(s->signals);
	free(s);
	return code;
}
