/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/watch/bystander.h"
#include "bench/watch/client.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SAMPLES = 1 << 20, PAUSE_NS = 200000 };

/* In memory that both processes map. */
struct shared {
	_Atomic uint32_t phase; /* odd: measure. Partner: the child's loads */
	_Atomic uint32_t
		seen; /* the phase the child is in; release, so that its samples are there */
	_Atomic uint64_t n;
	uint64_t ns[SAMPLES];
};

struct bystander {
	pid_t pid;
	struct shared *s;
};

static void one_read(struct client *c, struct conn *k)
{
	uint64_t want = c->replies + 1;

	ask_path(c, OP_EXISTS, "/zookeeper", 0);
	put_send(c, k);
	client_wait_replies(c, want);
}

static _Noreturn void child(struct shared *s, const char *host, uint16_t port)
{
	struct timespec pause = {0, PAUSE_NS};
	struct client c;
	struct conn *k;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	client_open(&c, host, port);
	k = client_connect(&c, 1);
	for (;;) {
		uint32_t phase = atomic_load_explicit(&s->phase, memory_order_acquire);
		uint64_t begin, n = atomic_load_explicit(&s->n, memory_order_relaxed);

		/* partner: bystander_begin(), bystander_end() */
		atomic_store_explicit(&s->seen, phase, memory_order_release);
		begin = now_ns();
		one_read(&c, k);
		if ((phase & 1) && n < SAMPLES) {
			s->ns[n] = now_ns() - begin;
			atomic_store_explicit(&s->n, n + 1, memory_order_relaxed);
		}
		(void)nanosleep(&pause, NULL);
	}
}

struct bystander *bystander_start(const char *host, uint16_t port)
{
	struct bystander *b = calloc(1, sizeof(*b));
	void *s = mmap(NULL, sizeof(*b->s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		       0);

	if (!b || s == MAP_FAILED)
		die("out of memory");
	b->s = s;
	b->pid = fork();
	if (b->pid < 0)
		die("no process");
	if (b->pid == 0)
		child(b->s, host, port);
	return b;
}

static void turn(struct bystander *b)
{
	uint32_t phase = atomic_load_explicit(&b->s->phase, memory_order_relaxed) + 1;
	struct timespec pause = {0, PAUSE_NS};

	atomic_store_explicit(&b->s->phase, phase, memory_order_release);
	while (atomic_load_explicit(&b->s->seen, memory_order_acquire) != phase) {
		if (waitpid(b->pid, NULL, WNOHANG) == b->pid)
			die("the bystander ended");
		(void)nanosleep(&pause, NULL);
	}
}

void bystander_begin(struct bystander *b)
{
	/* the child does not touch it between two phases */
	atomic_store_explicit(&b->s->n, 0, memory_order_relaxed);
	turn(b);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

struct bystander_figures bystander_end(struct bystander *b)
{
	struct bystander_figures f = {0};
	uint64_t n;

	turn(b);
	n = atomic_load_explicit(&b->s->n, memory_order_relaxed);
	if (n == 0)
		die("the bystander read nothing");
	qsort(b->s->ns, n, sizeof(b->s->ns[0]), by_value);
	f.reads = n;
	f.p50_ns = b->s->ns[n / 2];
	f.p99_ns = b->s->ns[n * 99 / 100];
	f.max_ns = b->s->ns[n - 1];
	return f;
}

void bystander_stop(struct bystander *b)
{
	(void)kill(b->pid, SIGKILL);
	(void)waitpid(b->pid, NULL, 0);
	(void)munmap(b->s, sizeof(*b->s));
	free(b);
}
