/* SPDX-License-Identifier: Apache-2.0 */
/* zokor-bench: command line. */
#include "bench/modes.h"
#include "bench/report.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, WATCHERS_MAX = 100000, MODES = 5 };

static const char usage[] =
	"usage: zokor-bench MODE --device DEVICE [OPTION...]\n"
	"\n"
	"modes\n"
	"  run           load a ZooKeeper server and print rates and latencies\n"
	"  fanout        watches on one node and on ten; how long a client beside them waits\n"
	"  null-server   answer every request with a reply of the right size: the stack's own "
	"limit\n"
	"  echo          send bare frames to an echo-server: the device's own limit\n"
	"  echo-server   send every frame back\n"
	"\n"
	"options\n"
	"  --device DEVICE     as dp.device; memif:PATH,client for run and echo, memif:PATH for "
	"the "
	"servers\n"
	"  --address A/N       own address (run 127.181.0.200/24, null-server 127.181.0.1/24)\n"
	"  --server A:P        run: the server (127.181.0.1:2181)\n"
	"  --port P            null-server: port (2181)\n"
	"  --seconds S         length of each measurement (2)\n"
	"  --repeats N         print the median of N (1)\n"
	"  --shapes CxW,...    connections and window (64x16,256x1,1x1)\n"
	"  --workloads W,...   of getData, exists, setData, create (all)\n"
	"  --watchers N        fanout: connections that watch one node, a tenth of them ten "
	"(100000)\n"
	"  --frame BYTES       echo: frame length (200)\n"
	"  --json              JSON instead of a table\n"
	"  --save FILE         also keep the results for --echo or --null\n"
	"  --echo FILE         run: print ratios to this saved echo\n"
	"  --null FILE         run: print ratios to this saved run against null-server\n"
	"  --linger FILE       at the end create FILE and wait until the server has gone\n"
	"  --eal ARGS          extra EAL arguments\n";

static bool bad(const char *what, const char *value)
{
	fprintf(stderr, "zokor-bench: %s: \"%s\"\n", what, value);
	return false;
}

static bool parse_ip(const char *text, uint32_t *ip)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1)
		return bad("no IPv4 address", text);
	*ip = ntohl(a.s_addr);
	return true;
}

static bool parse_number(const char *text, unsigned long max, unsigned long *out)
{
	char *end;

	*out = strtoul(text, &end, 10);
	return (end != text && *end == 0 && *out >= 1 && *out <= max) || bad("bad number", text);
}

/* "A/N" or "A:P": the number behind @p mark. */
static bool parse_pair(const char *text, char mark, unsigned long max, uint32_t *ip,
		       unsigned long *number)
{
	char copy[64];
	char *m;

	snprintf(copy, sizeof(copy), "%s", text);
	m = strchr(copy, mark);
	if (!m)
		return bad(mark == '/' ? "ADDRESS/PREFIX expected" : "ADDRESS:PORT expected", text);
	*m = 0;
	return parse_ip(copy, ip) && parse_number(m + 1, max, number);
}

static bool parse_shapes(char *text, struct bench_options *o)
{
	char *save = NULL;

	o->shapes = 0;
	for (char *t = strtok_r(text, ",", &save); t; t = strtok_r(NULL, ",", &save)) {
		struct bench_shape s;
		char rest;

		if (sscanf(t, "%ux%u%c", &s.conns, &s.window, &rest) != 2 || s.conns == 0 ||
		    s.conns > BENCH_CONNS_MAX || s.window == 0 || s.window >= BENCH_WINDOW_MAX ||
		    o->shapes == BENCH_SHAPES_MAX)
			return bad("bad shape", t);
		o->shape[o->shapes++] = s;
	}
	return o->shapes > 0 || bad("no shape", text);
}

static bool parse_workloads(char *text, struct bench_options *o)
{
	char *save = NULL;

	o->ops = 0;
	for (char *t = strtok_r(text, ",", &save); t; t = strtok_r(NULL, ",", &save)) {
		unsigned i = 0;

		while (i < BENCH_OPS_MAX && strcmp(t, bench_op_name((enum bench_op)i)) != 0)
			i++;
		if (i == BENCH_OPS_MAX || o->ops == BENCH_OPS_MAX)
			return bad("unknown workload", t);
		o->op[o->ops++] = (enum bench_op)i;
	}
	return o->ops > 0 || bad("no workload", text);
}

static const struct option options[] = {
	{"device", 1, NULL, 'd'},   {"address", 1, NULL, 'a'},   {"server", 1, NULL, 's'},
	{"port", 1, NULL, 'p'},     {"seconds", 1, NULL, 't'},   {"repeats", 1, NULL, 'r'},
	{"shapes", 1, NULL, 'c'},   {"workloads", 1, NULL, 'w'}, {"frame", 1, NULL, 'f'},
	{"json", 0, NULL, 'j'},     {"save", 1, NULL, 'o'},      {"echo", 1, NULL, 'e'},
	{"null", 1, NULL, 'n'},     {"linger", 1, NULL, 'l'},    {"eal", 1, NULL, 'x'},
	{"watchers", 1, NULL, 'W'}, {"help", 0, NULL, 'h'},      {NULL, 0, NULL, 0},
};

static bool option_take(int c, struct bench_options *o)
{
	unsigned long n = 0;
	char *end;

	switch (c) {
	case 'd':
		o->stack.device = optarg;
		return true;
	case 'a':
		if (!parse_pair(optarg, '/', 32, &o->stack.ip, &n))
			return false;
		o->stack.prefix = (uint32_t)n;
		return true;
	case 's':
		if (!parse_pair(optarg, ':', 65535, &o->server_ip, &n))
			return false;
		o->port = (uint16_t)n;
		return true;
	case 'p':
		if (!parse_number(optarg, 65535, &n))
			return false;
		o->port = (uint16_t)n;
		return true;
	case 't':
		o->seconds = strtod(optarg, &end);
		return (*end == 0 && o->seconds > 0.01 && o->seconds < 3600) ||
		       bad("bad --seconds", optarg);
	case 'r':
		if (!parse_number(optarg, 15, &n))
			return false;
		o->repeats = (unsigned)n;
		return true;
	case 'W':
		if (!parse_number(optarg, WATCHERS_MAX, &n) || n < 10)
			return bad("bad --watchers", optarg);
		o->watchers = (unsigned)n;
		return true;
	case 'c':
		return parse_shapes(optarg, o);
	case 'w':
		return parse_workloads(optarg, o);
	case 'f':
		if (!parse_number(optarg, 1500, &n) || n < 60)
			return bad("a frame has 60 to 1500 bytes", optarg);
		o->frame_bytes = (unsigned)n;
		return true;
	case 'j':
		o->json = true;
		return true;
	case 'o':
		o->save = optarg;
		return true;
	case 'e':
		o->echo_file = optarg;
		return true;
	case 'n':
		o->null_file = optarg;
		return true;
	case 'l':
		o->linger = optarg;
		return true;
	case 'x':
		o->stack.eal_args = optarg;
		return true;
	default:
		return false;
	}
}

static void defaults(struct bench_options *o, bool server)
{
	*o = (struct bench_options){
		.stack = {.ip = server ? 0x7fb50001u : 0x7fb500c8u, .prefix = 24},
		.server_ip = 0x7fb50001u, /* 127.181.0.1 */
		.port = 2181,
		.seconds = 2,
		.frame_bytes = 200,
		.repeats = 1,
		.watchers = WATCHERS_MAX,
		.shape = {{64, 16}, {256, 1}, {1, 1}},
		.shapes = 3,
		.op = {BENCH_GET_DATA, BENCH_EXISTS, BENCH_SET_DATA, BENCH_CREATE},
		.ops = 4,
	};
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct bench_options *o);
		bool server, stack;
	} modes[MODES] = {
		{"run", bench_run, false, true},
		{"fanout", bench_fanout, false, true},
		{"null-server", bench_null_server, true, true},
		{"echo", bench_echo, false, false},
		{"echo-server", bench_echo_server, true, false},
	};
	struct bench_options o;
	size_t m = 0;
	int c;

	while (argc > 1 && m < MODES && strcmp(argv[1], modes[m].name) != 0)
		m++;
	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc < 2 || m == MODES) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	defaults(&o, modes[m].server);
	optind = 2;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			return 0;
		}
		if (!option_take(c, &o))
			return EXIT_USAGE;
	}
	if (optind != argc || !o.stack.device) {
		fprintf(stderr, "zokor-bench: %s\n",
			o.stack.device ? "too many arguments" : "--device is missing");
		return EXIT_USAGE;
	}
	if (!modes[m].stack)
		o.stack.ip = 0;
	bench_stop_on_signals();
	return modes[m].run(&o);
}
