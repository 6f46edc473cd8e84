/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/server/report.h"
#include "ctl/server/version.h"
#include "dp/net/stats.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { IP_TEXT_MAX = 16, CORES_TEXT_MAX = 128, THREADS_MAX = 32 };

static const char *ip_text(uint32_t ip, char out[IP_TEXT_MAX])
{
	snprintf(out, IP_TEXT_MAX, "%u.%u.%u.%u", ip >> 24, (ip >> 16) & 255, (ip >> 8) & 255,
		 ip & 255);
	return out;
}

static const char *cores_text(const struct config *c, char out[CORES_TEXT_MAX])
{
	int n = 0;

	out[0] = 0;
	for (unsigned i = 0; i < c->cores && n < CORES_TEXT_MAX - 8; i++)
		n += snprintf(out + n, (size_t)(CORES_TEXT_MAX - n), i ? ",%u" : "%u",
			      c->core_cpu[i]);
	return out;
}

void report_start(const struct config *c, const struct port *port)
{
	bool own_device = c->quorum.peer.device_text[0] != 0;
	char ip[IP_TEXT_MAX], cores[CORES_TEXT_MAX];

	log_line(LOG_INFO, "zokord=%s zookeeper=%s pid=%ld dataDir=\"%s\"", ZOKOR_VERSION,
		 ZOKOR_ZOOKEEPER_VERSION, (long)getpid(), c->data_dir);
	log_line(LOG_INFO,
		 "device=\"%s\" queues=%u mtu=%u rss=%s checksum=%s/%s "
		 "mac=%02x:%02x:%02x:%02x:%02x:%02x",
		 c->device_text, port_queues(port), port_mtu(port), port_rss(port) ? "yes" : "no",
		 port_rx_csum_ok(port) ? "device" : "software",
		 port_tx_csum_ok(port) ? "device" : "software", c->mac[0], c->mac[1], c->mac[2],
		 c->mac[3], c->mac[4], c->mac[5]);
	if (c->quorum.on)
		log_line(LOG_INFO, "quorum=\"%s\" queue=%d way=\"%s\"",
			 own_device ? c->quorum.peer.device_text : c->device_text,
			 own_device ? 0 : port_peer_queue(port),
			 own_device ? "own device" : port_peer_way(port));
	log_line(LOG_INFO, "leaderCpu=%u coreCpus=%s idle=%s hugepages=%s", c->leader_cpu,
		 cores_text(c, cores), c->adaptive ? "adaptive" : "poll",
		 eal_on_hugepages() ? "yes" : "no");
	log_line(LOG_INFO,
		 "tickTime=%u sessionTimeout=%d-%d maxClientCnxns=%u maxCnxns=%u connections=%u "
		 "juteMaxbuffer=%u treeMemoryMiB=%llu",
		 c->tick_ms, c->min_session_timeout_ms, c->max_session_timeout_ms,
		 c->max_client_cnxns, c->max_cnxns, c->max_connections, c->jute_maxbuffer,
		 (unsigned long long)(c->memory_limit >> 20));
	log_line(LOG_INFO, "serving=%s:%u", ip_text(c->address, ip), c->client_port);
}

/* "name=value" for each counter that is not zero. */
#define APPEND(name, text)                                                                         \
	n = append(line, sizeof(line), n, #name,                                                   \
		   atomic_load_explicit(&st->name, memory_order_relaxed));

static size_t append(char *line, size_t cap, size_t n, const char *name, uint64_t value)
{
	int r;

	if (value == 0 || n >= cap)
		return n;
	r = snprintf(line + n, cap - n, " %s=%llu", name, (unsigned long long)value);
	return r > 0 ? n + (size_t)r : n;
}

static void net_text(const struct net_stats *net, char line[LOG_LINE_MAX])
{
	size_t n = 0;

	line[0] = 0;
	for (size_t i = 0; i < NET_STATS_COUNT; i++)
		n = append(line, LOG_LINE_MAX, n, net_stats_describe(i)->name,
			   net_stats_value(net, i));
}

static void report_core(const struct loop *l, unsigned core)
{
	const struct client *c = loop_client(l, core);
	const struct client_stats *st = client_stats_of(c);
	char line[LOG_LINE_MAX] = "";
	size_t n = 0;

	CLIENT_STATS_MAP(APPEND)
	log_line(LOG_INFO, "core=%u%s", core, line);
	net_text(client_net_stats(c), line);
	log_line(LOG_INFO, "core=%u net%s", core, line);
}

static void report_peer(const struct peer *p)
{
	const struct peer_stats *st = peer_stats_of(p);
	char line[LOG_LINE_MAX] = "";
	size_t n = 0;

	PEER_STATS_MAP(APPEND)
	log_line(LOG_INFO, "peer%s", line);
	net_text(peer_net_stats(p), line);
	log_line(LOG_INFO, "peer net%s", line);
}

static void report_lead(const struct loop *l)
{
	const struct lead_stats *st = lead_stats_of(loop_lead(l));
	char line[LOG_LINE_MAX] = "";
	size_t n = 0;

	LEAD_STATS_MAP(APPEND)
	log_line(LOG_INFO, "leader%s", line);
}

void report_digest(const struct loop *l, uint64_t *seen)
{
	struct leader_stats st;

	leader_stats_get(lead_leader(loop_lead(l)), &st);
	if (st.digest_mismatches == *seen)
		return;
	*seen = st.digest_mismatches;
	log_line(LOG_ERROR, "digest=mismatch count=%llu firstZxid=0x%llx",
		 (unsigned long long)st.digest_mismatches,
		 (unsigned long long)st.digest_mismatch_zxid);
}

void report_quota(const struct loop *l, struct report_quota *seen, uint64_t now_ms)
{
	struct leader_stats st;

	leader_stats_get(lead_leader(loop_lead(l)), &st);
	if ((st.quota_exceeded == seen->refused && st.quota_soft == seen->soft) ||
	    now_ms < seen->next_ms)
		return;
	log_line(LOG_WARN, "quota=exceeded refused=%llu overSoft=%llu",
		 (unsigned long long)(st.quota_exceeded - seen->refused),
		 (unsigned long long)(st.quota_soft - seen->soft));
	*seen = (struct report_quota){st.quota_exceeded, st.quota_soft,
				      now_ms + REPORT_QUOTA_EVERY_MS};
}

void report_stop(const struct loop *l, const struct port *port)
{
	struct loop_thread_stats t[THREADS_MAX];
	unsigned threads = loop_threads(l, t, THREADS_MAX), cores = loop_cores(l);
	struct port_stats ps;

	for (unsigned i = 0; i < threads && i < THREADS_MAX; i++)
		log_line(LOG_INFO,
			 "thread=%u pollers=%u rounds=%llu naps=%llu waits=%llu kicks=%llu",
			 t[i].cpu, t[i].pollers, (unsigned long long)t[i].rounds,
			 (unsigned long long)t[i].naps, (unsigned long long)t[i].waits,
			 (unsigned long long)t[i].kicks);
	for (unsigned i = 0; i < cores; i++)
		report_core(l, i);
	report_lead(l);
	if (loop_peer(l))
		report_peer(loop_peer(l));
	port_stats_get(port, &ps);
	log_line(LOG_INFO,
		 "port rx=%llu tx=%llu rxBytes=%llu txBytes=%llu rxDropped=%llu txDropped=%llu "
		 "rxNoBuffer=%llu",
		 (unsigned long long)ps.rx_packets, (unsigned long long)ps.tx_packets,
		 (unsigned long long)ps.rx_bytes, (unsigned long long)ps.tx_bytes,
		 (unsigned long long)ps.rx_dropped, (unsigned long long)ps.tx_dropped,
		 (unsigned long long)ps.rx_nombuf);
}
