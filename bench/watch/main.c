/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch_bench: very many watches on one server, from outside. bench/watch.sh runs it against zokord
 * and Apache ZooKeeper and sets the figures side by side.
 *
 * Each figure is a line "NAME VALUE UNIT". In every phase a bystander reads all along
 * (bystander.h).
 */
#include "bench/watch/bystander.h"
#include "bench/watch/client.h"
#include "bench/watch/rounds.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { WINDOW = 200, ROUNDS = 5, MANY_NODES = 10, FRAME_BYTES = 128 * 1024, PATH_MAX_BYTES = 64 };

struct sizes {
	unsigned holders, each; /* connections with distinct paths, and paths of each */
	unsigned watchers;      /* connections that watch the same nodes */
	unsigned creates;       /* below the recursive watch */
	unsigned again;         /* paths of setWatches */
};

struct bench {
	struct client c;
	struct sizes n;
	const char *memory; /* a command that prints bytes in use */
	struct bystander *by;
	struct rounds rounds; /* host NULL: the server is not zokord */
	struct conn *writer;
};

static void figure(const char *name, double value, const char *unit)
{
	printf("%s %.3f %s\n", name, value, unit);
	(void)fflush(stdout);
}

static double memory_bytes(const struct bench *b)
{
	double bytes = 0;
	FILE *f;

	if (!b->memory)
		return 0;
	f = popen(b->memory, "r");               /* NOLINT: the caller's own command */
	if (!f || fscanf(f, "%lf", &bytes) != 1) /* NOLINT */
		die("no number from: %s", b->memory);
	(void)pclose(f);
	return bytes;
}

static void phase_begin(struct bench *b)
{
	if (b->rounds.host)
		rounds_begin(&b->rounds);
	bystander_begin(b->by);
}

static void phase_figure(const char *phase, const char *what, uint64_t ns)
{
	char text[96];

	(void)snprintf(text, sizeof(text), "%s_%s", phase, what);
	figure(text, (double)ns / 1e6, "ms");
}

static void phase_end(struct bench *b, const char *name)
{
	struct bystander_figures f = bystander_end(b->by);

	phase_figure(name, "bystander_p50", f.p50_ns);
	phase_figure(name, "bystander_p99", f.p99_ns);
	phase_figure(name, "bystander_max", f.max_ns);
	if (!b->rounds.host)
		return;
	/* what of it is the server's own, and how long it had no CPU */
	rounds_end(&b->rounds);
	phase_figure(name, "round_p50", b->rounds.round_p50);
	phase_figure(name, "round_p99", b->rounds.round_p99);
	phase_figure(name, "round_max", b->rounds.round_max);
	phase_figure(name, "reply_p99", b->rounds.reply_p99);
	phase_figure(name, "reply_max", b->rounds.reply_max);
	phase_figure(name, "stolen_max", b->rounds.stolen_max);
	phase_figure(name, "stolen_sum", b->rounds.stolen_sum);
}

/** One request of the writer's, answered. */
static void write_now(struct bench *b)
{
	uint64_t want = b->c.replies + 1;

	put_send(&b->c, b->writer);
	client_wait_replies(&b->c, want);
}

/* ---- distinct paths ---- */

static struct conn *many_paths(struct bench *b)
{
	struct conn *v = client_connect(&b->c, b->n.holders);
	double before = memory_bytes(b), total = (double)b->n.holders * b->n.each;
	uint64_t begin;

	phase_begin(b);
	begin = now_ns();
	for (unsigned i = 0; i < b->n.holders; i++)
		for (unsigned at = 0; at < b->n.each; at += WINDOW) {
			unsigned n = b->n.each - at < WINDOW ? b->n.each - at : WINDOW;
			uint64_t want = b->c.replies + n;

			for (unsigned k = 0; k < n; k++) {
				char path[PATH_MAX_BYTES];

				(void)snprintf(path, sizeof(path), "/services/%03u/node-%05u", i,
					       at + k);
				ask_path(&b->c, OP_EXISTS, path, 1);
			}
			put_send(&b->c, &v[i]);
			client_wait_replies(&b->c, want);
		}
	figure("set_watches_per_second", total / ((double)(now_ns() - begin) / 1e9), "/s");
	phase_end(b, "set");
	if (b->memory)
		figure("bytes_per_watch", (memory_bytes(b) - before) / total, "B");
	return v;
}

/* ---- many watchers of one node, of ten ---- */

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void register_all(struct bench *b, struct conn *v, const char *const *path, unsigned paths)
{
	for (unsigned at = 0; at < b->n.watchers; at += WINDOW) {
		unsigned n = b->n.watchers - at < WINDOW ? b->n.watchers - at : WINDOW;
		uint64_t want = b->c.replies + (uint64_t)n * paths;

		for (unsigned k = 0; k < n; k++) {
			for (unsigned p = 0; p < paths; p++)
				ask_path(&b->c, OP_GET_DATA, path[p], 1);
			put_send(&b->c, &v[at + k]);
		}
		client_wait_replies(&b->c, want);
	}
}

/** Change @p paths nodes in one transaction and wait for everybody's events. */
static void fan_out(struct bench *b, struct conn *v, const char *name, const char *const *path,
		    unsigned paths)
{
	uint64_t total = (uint64_t)b->n.watchers * paths, begin, best = UINT64_MAX, worst = 0;
	uint64_t *at = calloc(total, sizeof(*at)), half = 0;
	char text[96];

	if (!at)
		die("out of memory");
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t events = b->c.events;

		register_all(b, v, path, paths);
		if (round == 0)
			phase_begin(b);
		b->c.event_ns = at;
		b->c.event_max = total;
		b->c.event_n = 0;
		put_begin(&b->c, 1, OP_MULTI);
		for (unsigned p = 0; p < paths; p++) {
			put_i32(&b->c, OP_SET_DATA);
			put_u8(&b->c, 0);
			put_i32(&b->c, -1);
			put_str(&b->c, path[p]);
			put_str(&b->c, "x");
			put_i32(&b->c, -1);
		}
		put_i32(&b->c, -1);
		put_u8(&b->c, 1);
		put_i32(&b->c, -1);
		put_end(&b->c);
		begin = now_ns();
		put_send(&b->c, b->writer);
		client_wait_events(&b->c, events + total);
		b->c.event_max = 0;
		qsort(at, total, sizeof(*at), by_value);
		if (at[total - 1] - begin < best) {
			best = at[total - 1] - begin;
			half = at[total / 2] - begin;
		}
		if (at[total - 1] - begin > worst)
			worst = at[total - 1] - begin;
	}
	b->c.event_ns = NULL;
	free(at);
	(void)snprintf(text, sizeof(text), "%s_half_told", name);
	figure(text, (double)half / 1e6, "ms");
	(void)snprintf(text, sizeof(text), "%s_all_told_best", name);
	figure(text, (double)best / 1e6, "ms");
	(void)snprintf(text, sizeof(text), "%s_all_told_worst", name);
	figure(text, (double)worst / 1e6, "ms");
	phase_end(b, name);
}

static void fan_outs(struct bench *b)
{
	static const char *const many[MANY_NODES] = {"/m0", "/m1", "/m2", "/m3", "/m4",
						     "/m5", "/m6", "/m7", "/m8", "/m9"};
	struct conn *v = client_connect(&b->c, b->n.watchers);

	for (unsigned i = 0; i < MANY_NODES; i++) {
		ask_create(&b->c, many[i]);
		write_now(b);
	}
	fan_out(b, v, "one_node", many, 1);
	fan_out(b, v, "ten_nodes", many, MANY_NODES);
	client_close(&b->c, v, b->n.watchers);
}

/* ---- recursive, beside a million others ---- */

static void recursive(struct bench *b)
{
	struct conn *v = client_connect(&b->c, 1);
	uint64_t begin, want, events;
	char path[PATH_MAX_BYTES];

	ask_create(&b->c, "/rec");
	write_now(b);
	put_begin(&b->c, 1, OP_ADD_WATCH);
	put_str(&b->c, "/rec");
	put_i32(&b->c, 1);
	put_end(&b->c);
	want = b->c.replies + 1;
	put_send(&b->c, v);
	client_wait_replies(&b->c, want);
	events = b->c.events;
	want = b->c.replies + b->n.creates;
	phase_begin(b);
	begin = now_ns();
	for (unsigned i = 0; i < b->n.creates; i++) {
		(void)snprintf(path, sizeof(path), "/rec/%u", i);
		ask_create(&b->c, path);
		if (i % WINDOW == WINDOW - 1 || i + 1 == b->n.creates)
			put_send(&b->c, b->writer);
	}
	client_wait_replies(&b->c, want);
	client_wait_events(&b->c, events + b->n.creates);
	figure("recursive_per_create", (double)(now_ns() - begin) / 1e3 / b->n.creates, "us");
	phase_end(b, "recursive");
	client_close(&b->c, v, 1);
}

/* ---- after a reconnect ---- */

/** setWatches in frames of at most @p frame bytes; exist watches on what is not there. */
static void set_again(struct bench *b, const char *name, size_t frame)
{
	struct conn *v = client_connect(&b->c, 1);
	uint64_t begin, want = b->c.replies;
	unsigned per = (unsigned)(frame - 64) / (4 + 6), frames = 0;
	char text[96];

	phase_begin(b);
	begin = now_ns();
	for (unsigned at = 0; at < b->n.again; at += per, frames++) {
		unsigned n = b->n.again - at < per ? b->n.again - at : per;

		put_begin(&b->c, -8, OP_SET_WATCHES);
		put_i64(&b->c, b->writer->zxid);
		put_i32(&b->c, 0);
		put_i32(&b->c, (int32_t)n);
		for (unsigned i = 0; i < n; i++) {
			char path[PATH_MAX_BYTES];

			(void)snprintf(path, sizeof(path), "/%05x", at + i);
			put_str(&b->c, path);
		}
		put_i32(&b->c, 0);
		put_end(&b->c);
	}
	put_send(&b->c, v);
	client_wait_replies(&b->c, want + frames);
	(void)snprintf(text, sizeof(text), "%s_time", name);
	figure(text, (double)(now_ns() - begin) / 1e6, "ms");
	phase_end(b, name);
	(void)snprintf(text, sizeof(text), "%s_close", name);
	phase_begin(b);
	client_close(&b->c, v, 1);
	for (unsigned i = 0; i < WINDOW; i++) { /* some milliseconds */
		ask_path(&b->c, OP_EXISTS, "/", 0);
		write_now(b);
	}
	phase_end(b, text);
}

static void run(struct bench *b, const char *host, uint16_t port)
{
	struct conn *holders;
	uint64_t events;

	client_open(&b->c, host, port);
	b->by = bystander_start(host, port);
	b->writer = client_connect(&b->c, 1);
	phase_begin(b);
	for (unsigned i = 0; i < WINDOW; i++) {
		ask_path(&b->c, OP_EXISTS, "/", 0);
		write_now(b);
	}
	phase_end(b, "idle");
	holders = many_paths(b);
	fan_outs(b);
	recursive(b);
	set_again(b, "again_128k", FRAME_BYTES);
	set_again(b, "again_1m", 0xfffff);
	phase_begin(b);
	client_close(&b->c, holders, b->n.holders);
	for (unsigned i = 0; i < WINDOW; i++) {
		ask_path(&b->c, OP_EXISTS, "/", 0);
		write_now(b);
	}
	phase_end(b, "close_all");
	events = (uint64_t)b->n.watchers * ROUNDS * (1 + MANY_NODES) + b->n.creates;
	if (b->c.events != events)
		die("%" PRIu64 " events, %" PRIu64 " are right", b->c.events, events);
	bystander_stop(b->by);
	client_close(&b->c, b->writer, 1);
}

int main(int argc, char **argv)
{
	struct bench b = {.n = {.holders = 100,
				.each = 10000,
				.watchers = 10000,
				.creates = 10000,
				.again = 100000}};
	struct rlimit files;
	const char *host = "127.0.0.1";
	unsigned percent = 100;
	uint16_t port = 2181;
	bool cores = false;
	int opt;

	while ((opt = getopt(argc, argv, "h:p:s:m:z")) != -1) {
		if (opt == 'h')
			host = optarg;
		else if (opt == 'p')
			port = (uint16_t)strtoul(optarg, NULL, 10);
		else if (opt == 's')
			percent = (unsigned)strtoul(optarg, NULL, 10);
		else if (opt == 'm')
			b.memory = optarg;
		else if (opt == 'z')
			cores = true;
		else
			die("usage: watch_bench [-h HOST] [-p PORT] [-s PERCENT] [-m COMMAND] "
			    "[-z: it is zokord]");
	}
	b.rounds.host = cores ? host : NULL;
	b.rounds.port = port;
	if (percent < 1 || percent > 100)
		die("-s 1 to 100");
	b.n.each = b.n.each * percent / 100;
	b.n.watchers = b.n.watchers * percent / 100;
	b.n.creates = b.n.creates * percent / 100;
	b.n.again = b.n.again * percent / 100;
	(void)getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_max < b.n.watchers + b.n.holders + 100)
		die("cannot have %u open files", b.n.watchers + b.n.holders);
	run(&b, host, port);
	free(b.c.out);
	return 0;
}
