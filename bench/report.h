/* SPDX-License-Identifier: Apache-2.0 */
/** Results on standard output, and in files from one run to the next. */
#ifndef ZK_BENCH_REPORT_H
#define ZK_BENCH_REPORT_H

#include "bench/modes.h"

struct bench_echo_result {
	unsigned frame_bytes;
	double frames_per_s;
	uint64_t rtt_p50_ns, rtt_p99_ns, rtt_p999_ns;
};

struct bench_result {
	enum bench_op op;
	struct bench_shape shape;
	double ops_per_s;
	uint64_t p50_ns, p99_ns, p999_ns, max_ns;
	uint64_t operations;
};

/** The name that the table, --workloads and the files use. */
const char *bench_op_name(enum bench_op op);

/** Print, and save when --save was given. @return false when a file could not be written. */
bool bench_report_echo(const struct bench_options *o, const struct bench_echo_result *r);

/** Print @p n results as an aligned table or as JSON, beside the figures of --echo and --null.
 *  @return false when a file could not be read or written. */
bool bench_report_run(const struct bench_options *o, const struct bench_result *r, unsigned n);

#endif
