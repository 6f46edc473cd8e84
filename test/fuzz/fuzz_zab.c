/* SPDX-License-Identifier: Apache-2.0 */
/* Quorum and election ports on hostile bytes. The first byte chooses what they are: a
 * configuration, a hello, notifications, or packets for a server in one role or the other, whose
 * own effects are answered as a disk and a network would. What reads as a packet is written again:
 * the bytes must be the same. */
#include "core/base/assert.h"
#include "core/zab/zab.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { DATA_MAX = 2048, STEPS_MAX = 400 };

static const char *const config = "server.1=a:2:3\nserver.2=b:2:3\nserver.3=c:2:3\n";

static void members(struct zk_span text)
{
	static struct zab_members m, again;
	static uint8_t out_bytes[4 * ZAB_CONFIG_MAX];
	struct jute_out out = jute_out_of(out_bytes, sizeof(out_bytes));
	const char *why;
	unsigned line;

	if (zab_members_parse(text, &m, &why, &line) != ZK_EOK)
		return;
	zab_members_text(&m, &out);
	zk_assert(!out.full);
	if (jute_out_len(&out) > ZAB_CONFIG_MAX)
		return;
	zk_assert(zab_members_parse(zk_span_of(out_bytes, jute_out_len(&out)), &again, &why,
				    &line) == ZK_EOK);
	zk_assert(zab_members_equal(&m, &again) && m.voters == again.voters);
	for (uint64_t set = 0; set < 64; set++)
		zk_assert(zab_members_quorum(&m, set) == zab_members_quorum(&again, set));
}

static void hello(struct zk_span s)
{
	struct zab_hello h;
	uint8_t back[ZAB_HELLO_ADDRESS_MAX + 32];
	struct jute_out out = jute_out_of(back, sizeof(back));
	size_t used;

	if (zab_hello_get(s, &h, &used) != ZK_EOK)
		return;
	zk_assert(used <= s.n);
	if (!h.address.n)
		return;
	zab_hello_put(&out, &h);
	zk_assert(!out.full && jute_out_len(&out) == used && memcmp(back, s.p, used) == 0);
}

/* Whatever the machine asks for happens, in the order in which it asked. */
static void answer(struct zab *z, uint64_t now_ns, unsigned *steps)
{
	struct zab_effect f, todo[64];
	unsigned n;

	do {
		n = 0;
		while (zab_effect_next(z, &f)) {
			bool later = f.kind == ZAB_DO_DIAL || f.kind == ZAB_DO_WRITE_EPOCH ||
				     f.kind == ZAB_DO_LOG || f.kind == ZAB_DO_TRUNCATE ||
				     f.kind == ZAB_DO_SNAP_LOAD || f.kind == ZAB_DO_SNAP_SEND ||
				     f.kind == ZAB_DO_FILE_SEND;

			if (later && n < 64)
				todo[n++] = f;
		}
		for (unsigned i = 0; i < n && ++*steps < STEPS_MAX; i++) {
			switch (todo[i].kind) {
			case ZAB_DO_DIAL:
				zab_link_up(z, ZAB_LINK_LEADER, now_ns);
				break;
			case ZAB_DO_WRITE_EPOCH:
				zab_epoch_written(z, todo[i].file, now_ns);
				break;
			case ZAB_DO_LOG:
				if (todo[i].packet.zxid <= history_last(&z->history))
					zab_durable(z, todo[i].packet.zxid, now_ns);
				break;
			case ZAB_DO_TRUNCATE:
				zab_truncated(z, todo[i].zxid & UINT32_MAX, todo[i].zxid % 2,
					      now_ns);
				break;
			case ZAB_DO_SNAP_LOAD:
				zab_snap_loaded(z, todo[i].zxid, now_ns);
				break;
			case ZAB_DO_SNAP_SEND:
				zab_snap_sent(z, todo[i].link, zab_committed(z), now_ns);
				break;
			case ZAB_DO_FILE_SEND:
				zab_file_end(z, todo[i].link, todo[i].zxid % 2, now_ns);
				break;
			default:
				break;
			}
			/* an event may be followed by others only once its effects are out */
			while (i + 1 < n && zab_effect_next(z, &f))
				;
		}
	} while (n && *steps < STEPS_MAX);
	while (zab_effect_next(z, &f))
		;
}

/* Make it leader or follower by what the others say of themselves. */
static void elected(struct zab *z, bool leads, uint64_t now_ns, unsigned *steps)
{
	struct zab_notification note = {.state = ZAB_LOOKING,
					.leader = leads ? 1 : 3,
					.zxid = 7,
					.round = 1,
					.peer_epoch = 0,
					.version = 2};

	for (int64_t sid = 2; sid <= 3; sid++) {
		zab_notified(z, sid, &note, now_ns);
		answer(z, now_ns, steps);
	}
}

static void machine(struct zk_span s, bool leads)
{
	static struct zab z;
	struct zab_members m;
	struct zk_mem mem;
	struct zab_conf c = {.sid = 1,
			     .now = &m,
			     .mem = &mem,
			     .tick_ms = 100,
			     .init_limit = 10,
			     .sync_limit = 5,
			     .history_entries = 16,
			     .history_bytes = 4 * DATA_MAX,
			     .heartbeat_ms = 40,
			     .heartbeat_timeout_ms = 250,
			     .data_max = DATA_MAX};
	struct zab_disk d = {.last_zxid = 7};
	uint64_t now_ns = 1;
	unsigned steps = 0, line;
	const char *why;

	zk_mem_init_heap(&mem, 0);
	zk_assert(zab_members_parse(zk_span_str(config), &m, &why, &line) == ZK_EOK);
	zk_assert(zab_init(&z, &c, &d, now_ns) == ZK_EOK);
	answer(&z, now_ns, &steps);
	elected(&z, leads, now_ns, &steps);
	if (leads)
		for (uint32_t i = 0; i < 3; i++) {
			zab_link_up(&z, i, now_ns);
			answer(&z, now_ns, &steps);
		}
	while (s.n > 1 && steps < STEPS_MAX) {
		uint32_t link = leads ? s.p[0] % 3 : ZAB_LINK_LEADER;
		struct zab_packet p;
		size_t used;

		now_ns += (uint64_t)s.p[0] * 1000000;
		zab_keep(&z, zab_committed(&z));
		zab_tick(&z, now_ns);
		answer(&z, now_ns, &steps);
		s = zk_span_of(s.p + 1, s.n - 1);
		if (zab_packet_get(s, DATA_MAX, &p, &used) != ZK_EOK)
			break;
		if (zab_link_reads(&z, link))
			zab_packet(&z, link, &p, now_ns);
		answer(&z, now_ns, &steps);
		s = zk_span_of(s.p + used, s.n - used);
		steps++;
	}
	zab_fini(&z);
	zk_assert(mem.used_bytes == 0);
}

static void packets(struct zk_span s)
{
	uint8_t *back = malloc(s.n + 1);
	struct zab_notification note;
	struct zab_packet p;
	size_t used;
	bool sense;

	zk_assert(back);
	if (zab_packet_get(s, DATA_MAX, &p, &used) == ZK_EOK) {
		struct jute_out out = jute_out_of(back, s.n + 1);

		zk_assert(used <= s.n && used == zab_packet_bytes(&p));
		zab_packet_put(&out, &p);
		zk_assert(jute_out_len(&out) == used && memcmp(back, s.p, used) == 0);
	}
	if (zab_notification_get(s, &note, &sense, &used) == ZK_EOK)
		zk_assert(used <= s.n);
	free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct zk_span s;
	uint8_t *copy;

	if (n == 0)
		return 0;
	copy = malloc(n); /* of just its size, so that the first byte beyond is seen */
	zk_assert(copy);
	memcpy(copy, p + 1, n - 1);
	s = zk_span_of(copy, n - 1);
	switch (p[0] % 5) {
	case 0:
		members(s);
		break;
	case 1:
		hello(s);
		break;
	case 2:
		packets(s);
		break;
	default:
		machine(s, p[0] % 5 == 3);
	}
	free(copy);
	return 0;
}
