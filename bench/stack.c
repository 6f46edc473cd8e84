/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/stack.h"

#include "core/base/endian.h"
#include "dp/eal/eal.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum {
	MEMORY_MIB = 128,
	RX_PACKETS = 8192,
	TX_PACKETS = 16384,
	TX_ROOM = 2048,
	OPEN_TRIES = 100,
	OPEN_GAP_NS = 100000000,
	OUTPUT_BURSTS_MAX = 64,
	LINGER_NAPS = 6000,
	ETH_HDR_BYTES = 14,
	MAC_IP_AT = 2,      /* in the destination */
	ARP_TARGET_AT = 38, /* in the frame */
};

static volatile sig_atomic_t stop_flag;

static void on_signal(int sig)
{
	(void)sig;
	stop_flag = 1;
}

bool bench_stopped(void)
{
	return stop_flag != 0;
}

void bench_stop_on_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

static void say(void *ctx, const char *line)
{
	(void)ctx;
	fprintf(stderr, "zokor-bench: %s\n", line);
}

static bool device_open(struct bench_stack *s, const struct port_spec *spec)
{
	struct port_conf conf = {.spec = *spec, .queues = 1, .rx_pool_packets = RX_PACKETS};
	struct timespec gap = {0, OPEN_GAP_NS};
	char why[PORT_ERR_TEXT_MAX] = "interrupted";
	enum zk_err err = ZK_ENOENT;
	int tries;

	for (tries = 0; tries < OPEN_TRIES && !stop_flag; tries++) {
		err = port_open(&conf, &s->port, why);
		if (err == ZK_EOK || !spec->memif_client)
			break;
		nanosleep(&gap, NULL);
	}
	if (err) {
		say(NULL, why);
		return false;
	}
	while (spec->memif_client && !port_link_up(s->port)) {
		if (++tries > OPEN_TRIES || stop_flag) {
			say(NULL, "the memif server does not answer");
			return false;
		}
		nanosleep(&gap, NULL);
	}
	return true;
}

static bool net_open(struct bench_stack *s, const struct bench_stack_conf *conf, uint32_t ip)
{
	struct net_conf nc = {.addr = net_addr_v4(ip),
			      .prefix = (uint8_t)conf->prefix,
			      .mtu = port_mtu(s->port),
			      .cores = 1,
			      .tx_csum = port_tx_csum_ok(s->port),
			      .rx_csum = port_rx_csum_ok(s->port),
			      .pool = s->pool,
			      .mem = &s->mem};
	struct tcp_conf tc;
	enum zk_err err;

	nc.mac[0] = 0x02;
	nc.mac[1] = 0x62;
	zk_put32(nc.mac + 2, ip);
	if (getrandom(nc.secret, sizeof(nc.secret), 0) < 0 ||
	    getrandom(nc.steer_key, sizeof(nc.steer_key), 0) < 0) {
		say(NULL, "no random numbers");
		return false;
	}
	tcp_conf_default(&tc);
	tc.conns_max = conf->conns_max ? conf->conns_max : 8192;
	tc.mem_packets_max = TX_PACKETS - 1024;
	tc.time_wait_ms = 1000;
	err = net_new(&nc, &tc, s->now_ns, &s->nets[s->nets_n]);
	if (err) {
		say(NULL, zk_err_text(err));
		return false;
	}
	s->nets_n++;
	return true;
}

static bool nets_open(struct bench_stack *s, const struct bench_stack_conf *conf)
{
	unsigned n = conf->stacks ? conf->stacks : 1;

	zk_assert(n <= BENCH_STACKS_MAX);
	zk_mem_init_heap(&s->mem, 0);
	for (unsigned i = 0; i < n; i++)
		if (!net_open(s, conf, conf->ip + i))
			return false;
	s->first_ip = conf->ip;
	s->net = s->nets[0];
	s->tcp = net_tcp(s->net);
	return true;
}

bool bench_stack_open(struct bench_stack *s, const struct bench_stack_conf *conf)
{
	struct eal_conf eal = {.hugepages = EAL_HUGE_AUTO,
			       .memory_mib = MEMORY_MIB,
			       .extra_args = conf->eal_args,
			       .log = say};
	char why[PORT_ERR_TEXT_MAX];
	struct port_spec spec;

	memset(s, 0, sizeof(*s));
	if (port_spec_parse(conf->device, &spec, why) != ZK_EOK) {
		say(NULL, why);
		return false;
	}
	eal.pci = spec.kind == PORT_PCI;
	eal.devices = &spec;
	eal.n_devices = 1;
	if (eal_start(&eal, why) != ZK_EOK) {
		say(NULL, why);
		return false;
	}
	s->now_ns = eal_now_ns();
	s->pool = port_pool_new("tx", TX_PACKETS, TX_ROOM);
	return s->pool && device_open(s, &spec) && (conf->ip == 0 || nets_open(s, conf));
}

bool bench_linger(struct bench_stack *s, const char *file)
{
	struct timespec nap = {0, 10000000};
	FILE *f;

	if (!file)
		return true;
	fflush(stdout);
	f = fopen(file, "we");
	if (!f || fclose(f) != 0) {
		say(NULL, "the file of --linger cannot be created");
		return false;
	}
	for (int i = 0; i < LINGER_NAPS && port_link_up(s->port) && !stop_flag; i++)
		nanosleep(&nap, NULL);
	return true;
}

bool bench_stack_close(struct bench_stack *s)
{
	bool ok = true;

	while (s->out_at < s->out_n)
		pkt_free(s->out[s->out_at++]);
	for (unsigned i = 0; i < s->nets_n; i++)
		net_free(s->nets[i]);
	if (s->port)
		ok = port_close(s->port) == 0;
	if (s->pool)
		ok = port_pool_free(s->pool) && ok;
	eal_stop();
	return ok;
}

/* Which of several stacks is a frame for? Each has its address in its MAC; a broadcast can only be
 * ARP, which names its target. */
static unsigned stack_of(const struct bench_stack *s, const struct pkt *p)
{
	bool one = p->len < ETH_HDR_BYTES || !(p->data[0] & 1);
	unsigned at = one ? MAC_IP_AT : ARP_TARGET_AT;
	uint32_t ip = p->len >= at + 4 ? zk_get32(p->data + at) : s->first_ip;

	return ip - s->first_ip < s->nets_n ? ip - s->first_ip : 0;
}

unsigned bench_stack_in(struct bench_stack *s)
{
	struct pkt *v[PORT_BURST_MAX], *own[BENCH_STACKS_MAX][PORT_BURST_MAX];
	uint16_t n = port_rx(s->port, 0, v, PORT_BURST_MAX);
	unsigned own_n[BENCH_STACKS_MAX] = {0};

	s->now_ns = eal_now_ns();
	if (s->nets_n == 1) {
		if (n > 0)
			net_input(s->net, v, n, s->now_ns);
		return n;
	}
	for (uint16_t i = 0; i < n; i++) {
		unsigned k = stack_of(s, v[i]);

		own[k][own_n[k]++] = v[i];
	}
	for (unsigned k = 0; k < s->nets_n; k++)
		if (own_n[k] > 0)
			net_input(s->nets[k], own[k], own_n[k], s->now_ns);
	return n;
}

/* True when everything fetched so far has left. */
static bool out_drain(struct bench_stack *s)
{
	if (s->out_at < s->out_n)
		s->out_at +=
			port_tx(s->port, 0, s->out + s->out_at, (uint16_t)(s->out_n - s->out_at));
	return s->out_at == s->out_n;
}

void bench_stack_out(struct bench_stack *s)
{
	unsigned silent = 0; /* stacks in a row that had nothing */

	for (unsigned k = 0; k < s->nets_n; k++)
		net_round_end(s->nets[k], s->now_ns);
	for (int i = 0; i < OUTPUT_BURSTS_MAX && silent < s->nets_n; i++) {
		if (!out_drain(s)) {
			s->tx_full++;
			return;
		}
		s->out_at = 0;
		s->out_n = net_output(s->nets[s->turn], s->out, PORT_BURST_MAX, s->now_ns);
		s->turn = (s->turn + 1) % s->nets_n;
		silent = s->out_n == 0 ? silent + 1 : 0;
	}
}
