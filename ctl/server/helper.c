/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/helper.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>

void helper_affinity(const struct config_cpus *cpus)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (unsigned i = 0; i < cpus->n; i++)
		CPU_SET(cpus->cpu[i], &set);
	(void)sched_setaffinity(0, sizeof(set), &set); /* a wish: it works without */
}

enum zk_err helper_start(pthread_t *id, void *(*run)(void *), void *arg,
			 const struct config_cpus *cpus)
{
	sigset_t all, old;
	cpu_set_t mine;
	int rc;

	/* A new thread inherits mask and affinity of its creator. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (sched_getaffinity(0, sizeof(mine), &mine) != 0)
		CPU_ZERO(&mine);
	helper_affinity(cpus);
	rc = pthread_create(id, NULL, run, arg);
	if (CPU_COUNT(&mine) > 0)
		(void)sched_setaffinity(0, sizeof(mine), &mine);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = rc;
	return rc == 0 ? ZK_EOK : ZK_EIO;
}

bool helper_cpus(const struct config *c, const struct config_cpus *all, struct config_cpus *out)
{
	out->n = 0;
	for (unsigned i = 0; i < all->n; i++) {
		bool polls = all->cpu[i] == c->leader_cpu;

		for (unsigned j = 0; j < c->cores; j++)
			polls = polls || all->cpu[i] == c->core_cpu[j];
		if (!polls)
			out->cpu[out->n++] = all->cpu[i];
	}
	if (out->n > 0)
		return true;
	*out = *all;
	return false;
}
