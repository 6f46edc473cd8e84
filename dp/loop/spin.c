/* SPDX-License-Identifier: Apache-2.0 */
#include "dp/loop/spin.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* "ran_ns waited_ns times\n" */
static bool figures(int fd, uint64_t *delay_ns, uint64_t *runs)
{
	char text[96], *end;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return false;
	text[n] = 0;
	(void)strtoull(text, &end, 10);
	*delay_ns = strtoull(end, &end, 10);
	*runs = strtoull(end, NULL, 10);
	return true;
}

void spin_sample(struct spin *s, uint64_t now_ns, uint64_t delay_ns, uint64_t runs)
{
	uint64_t waited = delay_ns - s->delay_ns, times = runs - s->runs;

	s->contested = times > 0 && waited / times > SPIN_CONTESTED_NS;
	s->sampled_ns = now_ns;
	s->delay_ns = delay_ns;
	s->runs = runs;
}

void spin_start(struct spin *s, uint64_t now_ns)
{
	*s = (struct spin){.ns = SPIN_FIRST_NS,
			   .sampled_ns = now_ns,
			   .fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)};
	if (s->fd >= 0 && !figures(s->fd, &s->delay_ns, &s->runs))
		spin_end(s);
}

void spin_end(struct spin *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

void spin_learn(struct spin *s, uint64_t now_ns, uint64_t idle_ns, bool called)
{
	uint64_t delay_ns, runs, max_ns = s->fd >= 0 ? SPIN_MAX_NS : SPIN_FIRST_NS;

	if (s->fd >= 0 && now_ns - s->sampled_ns >= SPIN_SAMPLE_NS &&
	    figures(s->fd, &delay_ns, &runs))
		spin_sample(s, now_ns, delay_ns, runs);
	if (s->contested)
		s->ns = 0;
	else if (!called || idle_ns > max_ns)
		s->ns = s->ns / 2 < SPIN_FIRST_NS ? 0 : s->ns / 2;
	else
		s->ns = s->ns == 0 ? SPIN_FIRST_NS : s->ns * 2 < max_ns ? s->ns * 2 : max_ns;
}
