/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const op_names[BENCH_OPS_MAX] = {"getData", "exists", "setData", "create"};

const char *bench_op_name(enum bench_op op)
{
	return op_names[op];
}

static double us(uint64_t ns)
{
	return (double)ns / 1000.0;
}

static bool file_bad(const char *path)
{
	fprintf(stderr, "zokor-bench: %s: %s\n", path, strerror(errno));
	return false;
}

bool bench_report_echo(const struct bench_options *o, const struct bench_echo_result *r)
{
	FILE *f;

	if (o->json)
		printf("{\"echo\": {\"frameBytes\": %u, \"framesPerSecond\": %.0f, \"rttUs\": "
		       "{\"p50\": %.2f, \"p99\": %.2f, \"p99.9\": %.2f}}}\n",
		       r->frame_bytes, r->frames_per_s, us(r->rtt_p50_ns), us(r->rtt_p99_ns),
		       us(r->rtt_p999_ns));
	else
		printf("frame echo, %u bytes: %.0f frames/s in bursts of 32; one at a time p50 "
		       "%.2f "
		       "us, p99 %.2f us, p99.9 %.2f us\n",
		       r->frame_bytes, r->frames_per_s, us(r->rtt_p50_ns), us(r->rtt_p99_ns),
		       us(r->rtt_p999_ns));
	if (!o->save)
		return true;
	f = fopen(o->save, "we");
	if (!f)
		return file_bad(o->save);
	fprintf(f, "echo %u %.0f %lu %lu %lu\n", r->frame_bytes, r->frames_per_s, r->rtt_p50_ns,
		r->rtt_p99_ns, r->rtt_p999_ns);
	return fclose(f) == 0 || file_bad(o->save);
}

static bool echo_load(const char *path, struct bench_echo_result *r)
{
	FILE *f;
	bool ok;

	if (!path)
		return true;
	f = fopen(path, "re");
	if (!f)
		return file_bad(path);
	ok = fscanf(f, "echo %u %lf %lu %lu %lu", &r->frame_bytes, &r->frames_per_s, &r->rtt_p50_ns,
		    &r->rtt_p99_ns, &r->rtt_p999_ns) == 5;
	fclose(f);
	if (!ok)
		fprintf(stderr, "zokor-bench: %s was not written by zokor-bench echo\n", path);
	return ok;
}

static bool results_save(const char *path, const struct bench_result *r, unsigned n)
{
	FILE *f;

	if (!path)
		return true;
	f = fopen(path, "we");
	if (!f)
		return file_bad(path);
	for (unsigned i = 0; i < n; i++)
		fprintf(f, "%s %u %u %.0f %lu\n", op_names[r[i].op], r[i].shape.conns,
			r[i].shape.window, r[i].ops_per_s, r[i].p50_ns);
	return fclose(f) == 0 || file_bad(path);
}

/* The other run's figure for the same work, ops/s 0 where it has none. */
static bool null_load(const char *path, const struct bench_result *r, unsigned n,
		      struct bench_result *null)
{
	char name[16];
	struct bench_result x = {.operations = 0};
	FILE *f;

	memset(null, 0, sizeof(*null) * n);
	if (!path)
		return true;
	f = fopen(path, "re");
	if (!f)
		return file_bad(path);
	while (fscanf(f, "%15s %u %u %lf %lu", name, &x.shape.conns, &x.shape.window, &x.ops_per_s,
		      &x.p50_ns) == 5) {
		for (unsigned i = 0; i < n; i++)
			if (strcmp(name, op_names[r[i].op]) == 0 &&
			    r[i].shape.conns == x.shape.conns &&
			    r[i].shape.window == x.shape.window)
				null[i] = x;
	}
	fclose(f);
	return true;
}

static void cell(bool have, const char *format, double v)
{
	char text[32] = "-";

	if (have) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(text, sizeof(text), format, v);
#pragma GCC diagnostic pop
	}
	printf(" %9s", text);
}

static void table(const struct bench_result *r, const struct bench_result *null,
		  const struct bench_echo_result *echo, unsigned n)
{
	printf("%-8s %9s %10s %9s %9s %9s %9s %9s %9s %9s\n", "workload", "conns x w", "ops/s",
	       "p50 us", "p99 us", "p99.9 us", "null op/s", "of null", "of echo", "rtt +us");
	for (unsigned i = 0; i < n; i++) {
		bool single = r[i].shape.conns == 1 && r[i].shape.window == 1;
		bool has_null = null[i].ops_per_s > 0, has_echo = echo->frames_per_s > 0;
		char shape[24];

		snprintf(shape, sizeof(shape), "%u x %u", r[i].shape.conns, r[i].shape.window);
		printf("%-8s %9s %10.0f %9.2f %9.2f %9.2f", op_names[r[i].op], shape,
		       r[i].ops_per_s, us(r[i].p50_ns), us(r[i].p99_ns), us(r[i].p999_ns));
		cell(has_null, "%.0f", null[i].ops_per_s);
		cell(has_null, "%.2f", has_null ? r[i].ops_per_s / null[i].ops_per_s : 0);
		cell(has_echo && !single, "%.2f",
		     has_echo ? r[i].ops_per_s / echo->frames_per_s : 0);
		cell(has_echo && single, "%+.2f", us(r[i].p50_ns) - us(echo->rtt_p50_ns));
		printf("\n");
	}
}

static void json(const struct bench_result *r, const struct bench_result *null,
		 const struct bench_echo_result *echo, unsigned n)
{
	printf("{");
	if (echo->frames_per_s > 0)
		printf("\"echo\": {\"frameBytes\": %u, \"framesPerSecond\": %.0f, \"rttP50Us\": "
		       "%.2f}, ",
		       echo->frame_bytes, echo->frames_per_s, us(echo->rtt_p50_ns));
	printf("\"results\": [");
	for (unsigned i = 0; i < n; i++) {
		printf("%s\n  {\"workload\": \"%s\", \"connections\": %u, \"window\": %u, "
		       "\"operations\": %lu, \"opsPerSecond\": %.0f, \"us\": {\"p50\": %.2f, "
		       "\"p99\": %.2f, \"p99.9\": %.2f, \"max\": %.2f}",
		       i ? "," : "", op_names[r[i].op], r[i].shape.conns, r[i].shape.window,
		       r[i].operations, r[i].ops_per_s, us(r[i].p50_ns), us(r[i].p99_ns),
		       us(r[i].p999_ns), us(r[i].max_ns));
		if (null[i].ops_per_s > 0)
			printf(", \"nullServerOpsPerSecond\": %.0f, \"ratioToNullServer\": %.3f",
			       null[i].ops_per_s, r[i].ops_per_s / null[i].ops_per_s);
		if (echo->frames_per_s > 0)
			printf(", \"ratioToEchoRate\": %.3f, \"p50MinusEchoUs\": %.2f",
			       r[i].ops_per_s / echo->frames_per_s,
			       us(r[i].p50_ns) - us(echo->rtt_p50_ns));
		printf("}");
	}
	printf("\n]}\n");
}

bool bench_report_run(const struct bench_options *o, const struct bench_result *r, unsigned n)
{
	struct bench_result null[BENCH_SHAPES_MAX * BENCH_OPS_MAX];
	struct bench_echo_result echo = {.frames_per_s = 0};

	if (!echo_load(o->echo_file, &echo) || !null_load(o->null_file, r, n, null))
		return false;
	if (o->json)
		json(r, null, &echo, n);
	else
		table(r, null, &echo, n);
	return results_save(o->save, r, n);
}
