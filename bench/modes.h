/* SPDX-License-Identifier: Apache-2.0 */
/** The modes of zokor-bench; each returns the process's exit code. */
#ifndef ZK_BENCH_MODES_H
#define ZK_BENCH_MODES_H

#include "bench/stack.h"

enum { BENCH_SHAPES_MAX = 8, BENCH_OPS_MAX = 4, BENCH_WINDOW_MAX = 256, BENCH_CONNS_MAX = 4096 };

enum bench_op { BENCH_GET_DATA, BENCH_EXISTS, BENCH_SET_DATA, BENCH_CREATE };

struct bench_shape {
	unsigned conns, window;
};

struct bench_options {
	struct bench_stack_conf stack;
	uint32_t server_ip;
	uint16_t port;
	double seconds;       /* of each measurement */
	unsigned frame_bytes; /* echo */
	unsigned repeats;     /* the median one is printed */
	struct bench_shape shape[BENCH_SHAPES_MAX];
	unsigned shapes;
	enum bench_op op[BENCH_OPS_MAX];
	unsigned ops;
	bool json;
	const char *save;      /* results as "key value" lines for a later --echo or --null */
	const char *echo_file; /* saved by echo */
	const char *null_file; /* saved by a run against null-server */
	unsigned watchers;     /* fanout */
	const char *linger;    /* see bench_linger() */
};

int bench_echo_server(const struct bench_options *o);
int bench_echo(const struct bench_options *o);
int bench_null_server(const struct bench_options *o);
int bench_fanout(const struct bench_options *o);
int bench_run(const struct bench_options *o);

#endif
