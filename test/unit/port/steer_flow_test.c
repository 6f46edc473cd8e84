/* SPDX-License-Identifier: Apache-2.0 */
/* The flow rules for the peer's queue, field by field, and what happens when a device refuses some,
 * on a device of paper: no NIC was there to try them on. */
#include "dp/port/flow_rule.h"
#include "dp/port/port_int.h"

#include <rte_byteorder.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { STACK_IP = 0x0a000001, OTHER_IP = 0x0a000002, THIRD_IP = 0x0a000003, RULES_MAX = 600 };

/* ---- the device of paper ---- */

struct seen_rule {
	uint32_t dst_ip, src_ip; /* host order; 0 = any */
	uint16_t dst_port, src_port, queue;
};

static struct device {
	uint16_t reta_size, reta[512];
	int reta_rc;
	bool no_from, no_rules, no_create;
	unsigned validated, created, flushed;
	struct seen_rule rule[RULES_MAX];
} dev;

static struct port port;

int rte_eth_dev_info_get(uint16_t id, struct rte_eth_dev_info *info)
{
	assert_int_equal(id, 5);
	memset(info, 0, sizeof(*info));
	info->reta_size = dev.reta_size;
	return 0;
}

int rte_eth_dev_rss_reta_update(uint16_t id, struct rte_eth_rss_reta_entry64 *reta, uint16_t size)
{
	assert_int_equal(id, 5);
	assert_int_equal(size, dev.reta_size);
	for (unsigned i = 0; i < size; i++) {
		assert_true(reta[i / 64].mask >> (i % 64) & 1);
		dev.reta[i] = reta[i / 64].reta[i % 64];
	}
	return dev.reta_rc;
}

const char *rte_strerror(int errnum)
{
	(void)errnum;
	return "refused";
}

/* The only form there is: Ethernet, IPv4, TCP with whole fields; one queue. */
static struct seen_rule read_rule(const struct rte_flow_attr *attr,
				  const struct rte_flow_item *pattern,
				  const struct rte_flow_action *action)
{
	const struct rte_flow_item_ipv4 *ip = pattern[1].spec, *ip_mask = pattern[1].mask;
	const struct rte_flow_item_tcp *tcp = pattern[2].spec, *tcp_mask = pattern[2].mask;
	const struct rte_flow_item_ipv4 no_ip = {.hdr = {.version_ihl = 0}};
	const struct rte_flow_item_tcp no_tcp = {.hdr = {.src_port = 0}};
	struct rte_flow_item_ipv4 ip_rest = *ip_mask;
	struct rte_flow_item_tcp tcp_rest = *tcp_mask;

	assert_true(attr->ingress && !attr->egress && !attr->transfer);
	assert_int_equal(attr->group, 0);
	assert_int_equal(attr->priority, 0);
	assert_int_equal(pattern[0].type, RTE_FLOW_ITEM_TYPE_ETH);
	assert_null(pattern[0].spec);
	assert_int_equal(pattern[1].type, RTE_FLOW_ITEM_TYPE_IPV4);
	assert_int_equal(pattern[2].type, RTE_FLOW_ITEM_TYPE_TCP);
	assert_int_equal(pattern[3].type, RTE_FLOW_ITEM_TYPE_END);
	for (unsigned i = 0; i < 4; i++)
		assert_null(pattern[i].last);
	assert_int_equal(action[0].type, RTE_FLOW_ACTION_TYPE_QUEUE);
	assert_int_equal(action[1].type, RTE_FLOW_ACTION_TYPE_END);
	/* whole fields or nothing, and what is not masked is not set */
	assert_true(ip_mask->hdr.dst_addr == 0 || ip_mask->hdr.dst_addr == UINT32_MAX);
	assert_true(ip_mask->hdr.src_addr == 0 || ip_mask->hdr.src_addr == UINT32_MAX);
	assert_true(tcp_mask->hdr.dst_port == 0 || tcp_mask->hdr.dst_port == UINT16_MAX);
	assert_true(tcp_mask->hdr.src_port == 0 || tcp_mask->hdr.src_port == UINT16_MAX);
	assert_int_equal(ip->hdr.dst_addr & ~ip_mask->hdr.dst_addr, 0);
	assert_int_equal(ip->hdr.src_addr & ~ip_mask->hdr.src_addr, 0);
	ip_rest.hdr.dst_addr = ip_rest.hdr.src_addr = 0;
	tcp_rest.hdr.dst_port = tcp_rest.hdr.src_port = 0;
	assert_memory_equal(&ip_rest, &no_ip, sizeof(no_ip));
	assert_memory_equal(&tcp_rest, &no_tcp, sizeof(no_tcp));
	return (struct seen_rule){
		.dst_ip = rte_be_to_cpu_32(ip->hdr.dst_addr),
		.src_ip = rte_be_to_cpu_32(ip->hdr.src_addr),
		.dst_port = rte_be_to_cpu_16(tcp->hdr.dst_port),
		.src_port = rte_be_to_cpu_16(tcp->hdr.src_port),
		.queue = ((const struct rte_flow_action_queue *)action[0].conf)->index,
	};
}

int rte_flow_validate(uint16_t id, const struct rte_flow_attr *attr,
		      const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
		      struct rte_flow_error *error)
{
	struct seen_rule r = read_rule(attr, pattern, actions);

	assert_int_equal(id, 5);
	assert_non_null(error);
	dev.validated++;
	return dev.no_rules || (dev.no_from && r.src_port) ? -ENOTSUP : 0;
}

struct rte_flow *rte_flow_create(uint16_t id, const struct rte_flow_attr *attr,
				 const struct rte_flow_item pattern[],
				 const struct rte_flow_action actions[],
				 struct rte_flow_error *error)
{
	assert_int_equal(id, 5);
	assert_non_null(error);
	if (dev.no_create || dev.created == RULES_MAX)
		return NULL;
	dev.rule[dev.created] = read_rule(attr, pattern, actions);
	return (struct rte_flow *)(void *)&dev.rule[dev.created++];
}

int rte_flow_flush(uint16_t id, struct rte_flow_error *error)
{
	assert_int_equal(id, 5);
	assert_non_null(error);
	dev.flushed++;
	return 0;
}

/* ---- tests ---- */

static const struct port_remote others[] = {
	{OTHER_IP, 2888}, {OTHER_IP, 3888}, {THIRD_IP, 2889}, {THIRD_IP, 3889}};

static void world(uint16_t client_queues)
{
	memset(&dev, 0, sizeof(dev));
	memset(&port, 0, sizeof(port));
	dev.reta_size = 128;
	port.id = 5;
	port.queues = client_queues;
	port.peer_queue = true;
	port.conf.stack_ip = STACK_IP;
	port.conf.peer = (struct port_peer_conf){.queue = true,
						 .client_port = 2181,
						 .listen = {2888, 3888},
						 .remote = others,
						 .remotes = 4};
}

static void rules_to_and_from(void **state)
{
	static const struct seen_rule want[] = {
		{STACK_IP, 0, 2888, 0, 3}, {STACK_IP, 0, 3888, 0, 3}, {0, OTHER_IP, 0, 2888, 3},
		{0, OTHER_IP, 0, 3888, 3}, {0, THIRD_IP, 0, 2889, 3}, {0, THIRD_IP, 0, 3889, 3}};

	(void)state;
	world(3);
	assert_true(port_flow_begin(&port));
	assert_string_equal(port.peer_way, "flow rules 6 of 6");
	assert_int_equal(dev.created, 6);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(dev.rule[i].dst_ip, want[i].dst_ip);
		assert_int_equal(dev.rule[i].src_ip, want[i].src_ip);
		assert_int_equal(dev.rule[i].dst_port, want[i].dst_port);
		assert_int_equal(dev.rule[i].src_port, want[i].src_port);
		assert_int_equal(dev.rule[i].queue, 3);
	}
	port_flow_end(&port);
	port_flow_end(&port);
	assert_int_equal(dev.flushed, 1);
}

static void clients_are_spread_over_their_queues_only(void **state)
{
	unsigned n[4] = {0};

	(void)state;
	world(3);
	assert_true(port_flow_begin(&port));
	for (unsigned i = 0; i < dev.reta_size; i++)
		n[dev.reta[i]]++;
	assert_in_range(n[0], 42, 43);
	assert_in_range(n[1], 42, 43);
	assert_in_range(n[2], 42, 43);
	assert_int_equal(n[3], 0);
}

static void some_rules_are_better_than_none(void **state)
{
	(void)state;
	world(2);
	dev.no_from = true;
	assert_true(port_flow_begin(&port));
	assert_string_equal(port.peer_way, "flow rules 2 of 6");
	assert_int_equal(dev.validated, 6);
	assert_int_equal(dev.created, 2);
	port_flow_end(&port);
	assert_int_equal(dev.flushed, 1);
}

static void what_a_device_refuses(void **state)
{
	(void)state;
	world(2);
	dev.no_rules = true;
	assert_false(port_flow_begin(&port));
	assert_string_equal(port.peer_way, "software (the device takes no flow rules)");
	assert_int_equal(dev.created, 0);
	port_flow_end(&port);
	assert_int_equal(dev.flushed, 0);
	world(2);
	dev.no_create = true; /* valid, but there is no room */
	assert_false(port_flow_begin(&port));
	world(2);
	dev.reta_rc = -ENOTSUP;
	assert_false(port_flow_begin(&port));
	assert_string_equal(port.peer_way, "software (RSS cannot leave a queue out: refused)");
	assert_int_equal(dev.validated, 0);
	world(2);
	dev.reta_size = 0;
	assert_false(port_flow_begin(&port));
	assert_string_equal(port.peer_way, "software (no table of RSS)");
	world(1); /* no RSS is asked for: it need not be kept away */
	dev.reta_size = 0;
	assert_true(port_flow_begin(&port));
	assert_string_equal(port.peer_way, "flow rules 6 of 6");
}

static void members_without_end(void **state)
{
	static struct port_remote many[PORT_REMOTES_MAX + 10];

	(void)state;
	world(2);
	for (unsigned i = 0; i < PORT_REMOTES_MAX + 10; i++)
		many[i] = (struct port_remote){OTHER_IP + i, 3888};
	port.conf.peer.remote = many;
	port.conf.peer.remotes = PORT_REMOTES_MAX + 10;
	assert_true(port_flow_begin(&port));
	assert_int_equal(dev.created, PORT_REMOTES_MAX + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_to_and_from),
		cmocka_unit_test(clients_are_spread_over_their_queues_only),
		cmocka_unit_test(some_rules_are_better_than_none),
		cmocka_unit_test(what_a_device_refuses),
		cmocka_unit_test(members_without_end),
	};

	return cmocka_run_group_tests_name("steer_flow", tests, NULL, NULL);
}
