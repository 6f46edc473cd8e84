/* SPDX-License-Identifier: Apache-2.0 */
/** The rules that a NIC is given for the peer's queue: TCP over IPv4, to one port of ours or from
 * one of another member's. */
#ifndef ZK_PORT_FLOW_RULE_H
#define ZK_PORT_FLOW_RULE_H

#include <rte_flow.h>
#include <stdint.h>

/** Holds everything that .pattern and .action point at: not to be copied. */
struct flow_rule {
	struct rte_flow_attr attr;
	struct rte_flow_item_ipv4 ip, ip_mask;
	struct rte_flow_item_tcp tcp, tcp_mask;
	struct rte_flow_action_queue queue;
	struct rte_flow_item pattern[4];
	struct rte_flow_action action[2];
};

/** TCP segments to @p ip, port @p port go to @p queue. Address in host byte order. Any thread. */
void flow_rule_to(struct flow_rule *r, uint32_t ip, uint16_t port, uint16_t queue);

/** ... those that come from there. */
void flow_rule_from(struct flow_rule *r, uint32_t ip, uint16_t port, uint16_t queue);

#endif
