/* SPDX-License-Identifier: Apache-2.0 */
/* Start and stop of DPDK. */
#include "dp/eal/eal.h"
#include "core/base/assert.h"
#include "dp/eal/eal_int.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <rte_build_config.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARGS_MAX = 64, ARG_BYTES_MAX = 256, EAL_OVERHEAD_MIB = 8, NO_HUGE_SPARE_MIB = 32 };

struct args {
	char *v[ARGS_MAX + 1];
	int n;
	bool overflow;
};

/* Set by eal_start() and eal_stop() on the main thread; threads are started in between. */
static struct {
	struct args args; /* EAL keeps pointers into the strings until the end */
	bool started, huge;
	void (*log)(void *ctx, const char *line);
	void *log_ctx;
	_Atomic unsigned lcores_high; /* relaxed: a thread's own caches exist only after it */
} env;

void eal_log(const char *fmt, ...)
{
	char line[PORT_ERR_TEXT_MAX * 2];
	va_list ap;

	if (!env.log)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	env.log(env.log_ctx, line);
}

static void args_add(struct args *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void args_add(struct args *a, const char *fmt, ...)
{
	char text[ARG_BYTES_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || n >= ARG_BYTES_MAX || a->n == ARGS_MAX) {
		a->overflow = true;
		return;
	}
	a->v[a->n] = strdup(text);
	if (!a->v[a->n])
		a->overflow = true;
	else
		a->n++;
}

static void args_split(struct args *a, const char *text)
{
	while (*text && !a->overflow) {
		size_t skip = strspn(text, " \t");
		size_t len = strcspn(text + skip, " \t");

		if (len > 0)
			args_add(a, "%.*s", (int)len, text + skip);
		text += skip + len;
	}
}

static void args_drop(struct args *a)
{
	while (a->n > 0)
		free(a->v[--a->n]);
}

/* Loading every driver of the distribution takes a third of a second: load ours by name. */
static void args_drivers(struct args *a)
{
	static const char *const names[] = {"librte_bus_vdev.so",  "librte_mempool_ring.so",
					    "librte_net_tap.so",   "librte_net_af_packet.so",
					    "librte_net_memif.so", "librte_net_af_xdp.so"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[ARG_BYTES_MAX];

		snprintf(path, sizeof(path), "%s/%s", RTE_EAL_PMD_PATH, names[i]);
		if (access(path, R_OK) == 0)
			args_add(a, "-d%s", path);
	}
}

static void args_build(struct args *a, const struct eal_conf *conf, unsigned cpu, bool huge)
{
	args_add(a, "zokor");
	args_add(a, "--lcores=0@%u", cpu);
	args_add(a, "--no-telemetry");
	args_add(a, "--iova-mode=va");
	if (huge) {
		args_add(a, "--in-memory");
		args_add(a, "-m%u", conf->memory_mib + EAL_OVERHEAD_MIB);
	} else {
		args_add(a, "--no-huge");
		args_add(a, "--no-shconf");
		args_add(a, "-m%u", conf->memory_mib + NO_HUGE_SPARE_MIB);
	}
	if (!conf->pci)
		args_add(a, "--no-pci");
	for (unsigned i = 0; i < conf->n_devices; i++) {
		const struct port_spec *s = &conf->devices[i];

		if (s->kind == PORT_PCI && strchr(s->name, ':'))
			args_add(a, "-a%s", s->name);
	}
	if (!conf->pci && !conf->extra_args)
		args_drivers(a);
	if (conf->extra_args)
		args_split(a, conf->extra_args);
}

/* Decide where packets live. @return false when the operator asked for pages that do not exist. */
static bool huge_decide(const struct eal_conf *conf, bool *huge, char *why)
{
	char reason[PORT_ERR_TEXT_MAX - 40];
	uint32_t need = conf->memory_mib + EAL_OVERHEAD_MIB;

	*huge = false;
	switch (conf->hugepages) {
	case EAL_HUGE_NO:
		return true;
	case EAL_HUGE_1G:
		*huge = eal_huge_reserve_1g(need, reason, sizeof(reason));
		break;
	case EAL_HUGE_2M:
	case EAL_HUGE_AUTO:
		*huge = eal_huge_reserve_2m(need, reason, sizeof(reason));
		break;
	}
	if (*huge)
		return true;
	if (conf->hugepages != EAL_HUGE_AUTO) {
		snprintf(why, PORT_ERR_TEXT_MAX, "huge pages: %s", reason);
		return false;
	}
	eal_log("no huge pages, using ordinary ones: %s", reason);
	return true;
}

/* rte_eal_init() prints its usage on standard output when it dislikes an argument. */
static int init_quietly(const struct args *a)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct args order = *a; /* getopt() moves them about */
	int out, err, rc;

	fflush(stdout);
	out = dup(STDOUT_FILENO);
	err = dup(STDERR_FILENO);
	if (null >= 0 && out >= 0 && err >= 0) {
		(void)dup2(null, STDOUT_FILENO);
		(void)dup2(null, STDERR_FILENO);
	}
	optind = 1;
	rc = rte_eal_init(order.n, order.v);
	fflush(stdout);
	if (null >= 0 && out >= 0 && err >= 0) {
		(void)dup2(out, STDOUT_FILENO);
		(void)dup2(err, STDERR_FILENO);
	}
	if (out >= 0)
		close(out);
	if (err >= 0)
		close(err);
	if (null >= 0)
		close(null);
	return rc;
}

/* A TAP's driver is woken by a real-time signal, which any thread that does not block it may
 * take: DPDK's interrupt thread inherits this mask and is then always such a thread. */
static void signals_for_eal(sigset_t *saved)
{
	sigset_t set;

	sigfillset(&set);
	for (int s = SIGRTMIN; s <= SIGRTMAX; s++)
		sigdelset(&set, s);
	pthread_sigmask(SIG_SETMASK, &set, saved);
}

/* Build the arguments and run rte_eal_init(); the caller holds the lock on huge pages. */
static enum zk_err init(const struct eal_conf *conf, bool *huge, char *why)
{
	cpu_set_t cpus;
	sigset_t mask;
	unsigned cpu = 0;
	int rc;

	if (!huge_decide(conf, huge, why))
		return ZK_ENOMEM;
	if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0) {
		snprintf(why, PORT_ERR_TEXT_MAX, "sched_getaffinity: %s", strerror(errno));
		return ZK_EIO;
	}
	while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, &cpus))
		cpu++;
	args_build(&env.args, conf, cpu, *huge);
	if (env.args.overflow) {
		snprintf(why, PORT_ERR_TEXT_MAX, "too many or too long EAL arguments");
		return ZK_EINVAL;
	}
	eal_chatter_init();
	signals_for_eal(&mask);
	rc = init_quietly(&env.args);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	(void)sched_setaffinity(0, sizeof(cpus), &cpus); /* EAL has pinned us to one CPU */
	if (rc < 0) {
		int e = rte_errno;

		snprintf(why, PORT_ERR_TEXT_MAX, "DPDK does not start (%s)", rte_strerror(e));
		eal_chatter_append(why, PORT_ERR_TEXT_MAX);
		return e == EACCES || e == EPERM ? ZK_EPERM : e == ENOMEM ? ZK_ENOMEM : ZK_EIO;
	}
	return ZK_EOK;
}

enum zk_err eal_start(const struct eal_conf *conf, char *why)
{
	enum zk_err err;
	bool huge = false;
	int lock;

	zk_assert(!env.started && conf->log);
	env.log = conf->log;
	env.log_ctx = conf->log_ctx;
	why[0] = 0;
	lock = eal_huge_lock();
	err = init(conf, &huge, why);
	eal_huge_unlock(lock);
	if (err) {
		args_drop(&env.args);
		return err;
	}
	env.started = true;
	env.huge = huge;
	atomic_store_explicit(&env.lcores_high, rte_lcore_id() + 1, memory_order_relaxed);
	eal_pages_huge_allow(conf->hugepages != EAL_HUGE_NO);
	eal_clock_init();
	return ZK_EOK;
}

void eal_stop(void)
{
	char dir[256];
	char *slash;

	if (!env.started)
		return;
	snprintf(dir, sizeof(dir), "%s", rte_eal_get_runtime_dir());
	(void)rte_eal_cleanup();
	eal_chatter_fini();
	args_drop(&env.args);
	/* Both made by EAL; empty, unless somebody asked for telemetry or other programs run. */
	(void)rmdir(dir);
	slash = strrchr(dir, '/');
	if (slash && slash != dir) {
		*slash = 0;
		(void)rmdir(dir);
	}
	env.started = false;
}

bool eal_on_hugepages(void)
{
	return env.huge;
}

unsigned eal_lcores_high(void)
{
	return atomic_load_explicit(&env.lcores_high, memory_order_relaxed);
}

enum zk_err eal_thread_register(void)
{
	unsigned id, seen;

	if (rte_lcore_id() == LCORE_ID_ANY && rte_thread_register() != 0)
		return rte_errno == ENOMEM ? ZK_EFULL : ZK_EIO;
	id = rte_lcore_id() + 1;
	seen = eal_lcores_high();
	while (seen < id &&
	       !atomic_compare_exchange_weak_explicit(&env.lcores_high, &seen, id,
						      memory_order_relaxed, memory_order_relaxed))
		;
	return ZK_EOK;
}

void eal_thread_unregister(void)
{
	if (rte_lcore_id() != LCORE_ID_ANY && rte_lcore_id() != rte_get_main_lcore())
		rte_thread_unregister();
}
