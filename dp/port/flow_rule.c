/* SPDX-License-Identifier: Apache-2.0 */
#include "dp/port/flow_rule.h"

#include <rte_byteorder.h>
#include <string.h>

/* Fields whose mask is zero do not matter. */
static void rule_of(struct flow_rule *r, uint16_t queue)
{
	memset(r, 0, sizeof(*r));
	r->attr.ingress = 1;
	r->queue.index = queue;
	r->pattern[0].type = RTE_FLOW_ITEM_TYPE_ETH;
	r->pattern[1] = (struct rte_flow_item){
		.type = RTE_FLOW_ITEM_TYPE_IPV4, .spec = &r->ip, .mask = &r->ip_mask};
	r->pattern[2] = (struct rte_flow_item){
		.type = RTE_FLOW_ITEM_TYPE_TCP, .spec = &r->tcp, .mask = &r->tcp_mask};
	r->pattern[3].type = RTE_FLOW_ITEM_TYPE_END;
	r->action[0] =
		(struct rte_flow_action){.type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &r->queue};
	r->action[1].type = RTE_FLOW_ACTION_TYPE_END;
}

void flow_rule_to(struct flow_rule *r, uint32_t ip, uint16_t port, uint16_t queue)
{
	rule_of(r, queue);
	r->ip.hdr.dst_addr = rte_cpu_to_be_32(ip);
	r->ip_mask.hdr.dst_addr = UINT32_MAX;
	r->tcp.hdr.dst_port = rte_cpu_to_be_16(port);
	r->tcp_mask.hdr.dst_port = UINT16_MAX;
}

void flow_rule_from(struct flow_rule *r, uint32_t ip, uint16_t port, uint16_t queue)
{
	rule_of(r, queue);
	r->ip.hdr.src_addr = rte_cpu_to_be_32(ip);
	r->ip_mask.hdr.src_addr = UINT32_MAX;
	r->tcp.hdr.src_port = rte_cpu_to_be_16(port);
	r->tcp_mask.hdr.src_port = UINT16_MAX;
}
