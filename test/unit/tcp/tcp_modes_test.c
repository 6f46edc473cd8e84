/* SPDX-License-Identifier: Apache-2.0 */
/** What differs by device and core: checksum offload, which core owns a flow. */
#include "core/base/endian.h"
#include "dp/net/csum.h"
#include "dp/net/tcp/tcp_int.h"
#include "test/lib/frame.h"
#include "test/unit/tcp/pair.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/** The fake device of both ends. */
struct device {
	uint64_t filled, vouched, damaged;
	bool vouch, damage, lie;
};

/* Frames with TCP only. What the stack left to the device is filled in as a device would: the sum
 * over the whole segment, the pseudo header's part being in the field already. */
static int64_t device(struct pair *w, int from, struct pkt *p)
{
	struct device *d = w->ctx;
	uint8_t *h = pair_tcp(p);
	uint16_t csum;
	uint64_t sum;

	if (!h)
		return 0;
	if (p->flags & PKT_F_L4_CSUM_WANTED) {
		uint32_t n = p->len - ETH_HDR - IP4_HDR;

		csum = csum_finish(csum_add(0, h, n));
		memcpy(h + TCP_CSUM, &csum, 2);
		d->filled++;
	}
	if (p->flags & PKT_F_IP_CSUM_WANTED) {
		uint8_t *ip = p->data + ETH_HDR;

		memset(ip + IP4_CSUM, 0, 2);
		csum = csum_finish(csum_add(0, ip, IP4_HDR));
		memcpy(ip + IP4_CSUM, &csum, 2);
	}
	p->flags = 0;
	sum = csum_add(0, p->data + ETH_HDR + IP4_SRC, 8) + csum_of16(IP_PROTO_TCP);
	sum += csum_of16((uint16_t)(p->len - ETH_HDR - IP4_HDR));
	assert_true(csum_ok(csum_add(sum, h, p->len - ETH_HDR - IP4_HDR)));
	assert_true(csum_ok(csum_add(0, p->data + ETH_HDR, IP4_HDR)));
	if (d->damage && from == 1 && pair_payload(p) && pair_random(w) % 4 == 0) {
		p->data[p->len - 1] ^= 0x40;
		d->damaged++;
		if (!d->lie)
			return 0; /* such a device does not vouch for it */
	}
	if (d->vouch) {
		p->flags = PKT_F_L4_CSUM_GOOD | PKT_F_IP_CSUM_GOOD;
		d->vouched++;
	}
	return 0;
}

static struct pair *with_device(struct device *d, bool tx, bool rx)
{
	struct pair_modes m = {.tx_csum = tx, .rx_csum = rx, .cores = 1};
	struct pair *w = pair_new_modes(&m);

	w->filter = device;
	w->ctx = d;
	return w;
}

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 7 + (i >> 8));
}

/* 100 kB from side 1 to side 0, odd lengths, some of it appended after a split. */
static size_t transfer(struct pair *w, struct tcp_conn *c[2], bool content)
{
	static uint8_t b[999];
	size_t sent = 0, got = 0, wrong = 0;

	while (got < 99900) {
		struct zk_span s;

		for (size_t i = 0; i < sizeof(b); i++)
			b[i] = byte_at(sent + i);
		if (sent < 99900)
			sent += tcp_write(c[1], b, sizeof(b));
		pair_run(w, MS);
		while ((s = tcp_peek(c[0], 0)).n) {
			for (size_t i = 0; i < s.n; i++)
				wrong += s.p[i] != byte_at(got + i);
			got += s.n;
			tcp_read_done(c[0], s.n);
		}
		assert_true(w->now_ns < 200000 * MS);
	}
	assert_true(!content || wrong == 0);
	return wrong;
}

static void test_all_checksum_modes(void **state)
{
	(void)state;
	for (unsigned mode = 0; mode < 8; mode++) {
		struct device d = {.vouch = mode & 1};
		struct pair *w = with_device(&d, mode & 2, mode & 4);
		struct tcp_conn *c[2];

		pair_open(w, c);
		transfer(w, c, true);
		assert_true((d.filled > 0) == ((mode & 2) != 0));
		assert_true((d.vouched > 0) == ((mode & 1) != 0));
		assert_int_equal(STAT(w, 0, tcp_bad_csum) + STAT(w, 1, tcp_bad_csum), 0);
		tcp_release(c[0], w->now_ns);
		tcp_release(c[1], w->now_ns);
		pair_run(w, 100 * MS);
		assert_int_equal(tcp_conns(w->t[0]) + tcp_conns(w->t[1]), 0);
		pair_free(w);
	}
}

/* Damage that the device has not vouched for is found in every mode. */
static void test_damage_is_found(void **state)
{
	(void)state;
	for (unsigned mode = 0; mode < 8; mode++) {
		struct device d = {.damage = true, .vouch = mode & 1};
		struct pair *w = with_device(&d, mode & 2, mode & 4);
		struct tcp_conn *c[2];

		pair_open(w, c);
		transfer(w, c, true);
		assert_true(d.damaged > 10);
		assert_int_equal(STAT(w, 0, tcp_bad_csum), d.damaged);
		pair_free(w);
	}
}

/* A device is believed only when the start-up probe has set rx_csum. */
static void test_a_device_is_believed_only_when_probed(void **state)
{
	(void)state;
	for (unsigned rx = 0; rx < 2; rx++) {
		struct device d = {.damage = true, .vouch = true, .lie = true};
		struct pair *w = with_device(&d, false, rx);
		struct tcp_conn *c[2];
		size_t wrong;

		pair_open(w, c);
		wrong = transfer(w, c, false);
		assert_true(d.damaged > 10);
		assert_int_equal(STAT(w, 0, tcp_bad_csum), rx ? 0 : d.damaged);
		assert_true((wrong > 0) == (rx != 0)); /* that is what the probe is for */
		pair_free(w);
	}
}

enum { CORES = 4, OURS = 0x0a000001, THEIRS = 0x0a000002 };

static struct pkt *syn(struct pair *w, uint16_t port)
{
	uint8_t b[128];
	struct frame_seg s = {.ends = {.src_mac = {2, 0, 0, 0, 0, 2},
				       .dst_mac = {2, 0, 0, 0, 0, 1},
				       .src_ip = THEIRS,
				       .dst_ip = OURS},
			      .sport = port,
			      .dport = PAIR_PORT,
			      .seq = 1,
			      .win = 1000,
			      .flags = FRAME_SYN};

	return pkt_heap_from(w->rx[0], b, (uint32_t)frame_build(&s, b, sizeof(b)));
}

static struct pair *on_core(uint16_t core)
{
	struct pair_modes m = {.core = core, .cores = CORES};

	return pair_new_modes(&m);
}

/* Every core agrees with the steering about each frame, and refuses what is not its own without a
 * word: the owner will answer. */
static void test_wrong_core(void **state)
{
	struct pair *w[CORES];
	unsigned mine[CORES] = {0};

	(void)state;
	for (uint16_t i = 0; i < CORES; i++)
		w[i] = on_core(i);
	for (uint16_t port = 30000; port < 30200; port++) {
		struct net_tuple t = {.local = net_addr_v4(OURS),
				      .remote = net_addr_v4(THEIRS),
				      .local_port = PAIR_PORT,
				      .remote_port = port};
		uint16_t owner = net_owner(w[0]->n[0], &t);

		mine[owner]++;
		for (uint16_t i = 0; i < CORES; i++) {
			struct pkt *p = syn(w[i], port), *out[4];
			uint64_t before = STAT(w[i], 0, tcp_wrong_core);
			unsigned n;

			assert_int_equal(net_owner_of_frame(w[i]->n[0], p), owner);
			net_input(w[i]->n[0], &p, 1, w[i]->now_ns);
			net_round_end(w[i]->n[0], w[i]->now_ns);
			n = net_output(w[i]->n[0], out, 4, w[i]->now_ns);
			for (unsigned k = 0; k < n; k++)
				pkt_free(out[k]);
			assert_int_equal(STAT(w[i], 0, tcp_wrong_core) - before, i != owner);
			assert_int_equal(STAT(w[i], 0, tcp_rst_tx), 0);
		}
	}
	for (uint16_t i = 0; i < CORES; i++) {
		assert_in_range(mine[i], 20, 100);
		assert_int_equal(STAT(w[i], 0, tcp_syn_rx), mine[i]);
		pair_free(w[i]);
	}
}

/* Whatever cannot be a segment of a flow belongs to core 0. */
static void test_frames_without_an_owner(void **state)
{
	struct pair *w = on_core(1);
	const struct net *n = w->n[0];
	uint16_t port = 30000;
	struct pkt *p = syn(w, port);

	(void)state;
	while (net_owner_of_frame(n, p) == 0) {
		pkt_free(p);
		p = syn(w, ++port);
	}
	p->data[ETH_HDR + IP4_PROTO] = IP_PROTO_ICMP;
	assert_int_equal(net_owner_of_frame(n, p), 0);
	p->data[ETH_HDR + IP4_PROTO] = IP_PROTO_TCP;
	assert_int_not_equal(net_owner_of_frame(n, p), 0);
	zk_put16(p->data + ETH_HDR + IP4_FRAG, 0x2000);
	assert_int_equal(net_owner_of_frame(n, p), 0);
	zk_put16(p->data + ETH_HDR + IP4_FRAG, 1);
	assert_int_equal(net_owner_of_frame(n, p), 0);
	zk_put16(p->data + ETH_HDR + IP4_FRAG, 0);
	p->data[ETH_HDR] = 0x44;
	assert_int_equal(net_owner_of_frame(n, p), 0);
	p->data[ETH_HDR] = 0x65;
	assert_int_equal(net_owner_of_frame(n, p), 0);
	p->data[ETH_HDR] = 0x4f; /* options as far as the frame does not go */
	p->len = ETH_HDR + 60 + 3;
	assert_int_equal(net_owner_of_frame(n, p), 0);
	p->data[ETH_HDR] = 0x45;
	for (p->len = 0; p->len < ETH_HDR + IP4_HDR + 4; p->len++)
		assert_int_equal(net_owner_of_frame(n, p), 0);
	assert_int_not_equal(net_owner_of_frame(n, p), 0);
	zk_put16(p->data + ETH_TYPE, ETH_TYPE_ARP);
	assert_int_equal(net_owner_of_frame(n, p), 0);
	assert_true(net_is_arp(p));
	pkt_free(p);
	pair_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_checksum_modes),
		cmocka_unit_test(test_damage_is_found),
		cmocka_unit_test(test_a_device_is_believed_only_when_probed),
		cmocka_unit_test(test_wrong_core),
		cmocka_unit_test(test_frames_without_an_owner),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
