/* SPDX-License-Identifier: Apache-2.0 */
/* The peer's queue on a NIC: rules of rte_flow, and RSS over the client cores' queues only.
 *
 * NICs differ in what they match: a rule that one refuses costs the frames it would have caught the
 * way through a client core, no more. Only a device that takes none of them, or that would spread
 * clients' frames over the peer's queue, cannot have that queue. */
#include "dp/port/flow_rule.h"
#include "dp/port/port_int.h"

#include <rte_flow.h>
#include <stdio.h>
#include <string.h>

enum { RETA_MAX = 4096 };

/* Clients' flows: not to the peer's queue. @return 0, or -errno. */
static int rss_without_peer(struct port *p, char why[PORT_WAY_MAX])
{
	struct rte_eth_rss_reta_entry64 reta[RETA_MAX / RTE_ETH_RETA_GROUP_SIZE];
	struct rte_eth_dev_info info;
	int rc = rte_eth_dev_info_get(p->id, &info);

	snprintf(why, PORT_WAY_MAX, "no table of RSS");
	if (rc != 0 || info.reta_size == 0 || info.reta_size > RETA_MAX)
		return rc ? rc : -ENOTSUP;
	memset(reta, 0, sizeof(reta));
	for (unsigned i = 0; i < info.reta_size; i++) {
		struct rte_eth_rss_reta_entry64 *e = &reta[i / RTE_ETH_RETA_GROUP_SIZE];

		e->mask |= UINT64_C(1) << (i % RTE_ETH_RETA_GROUP_SIZE);
		e->reta[i % RTE_ETH_RETA_GROUP_SIZE] = (uint16_t)(i % p->queues);
	}
	rc = rte_eth_dev_rss_reta_update(p->id, reta, info.reta_size);
	if (rc != 0)
		snprintf(why, PORT_WAY_MAX, "RSS cannot leave a queue out: %s", rte_strerror(-rc));
	return rc;
}

static bool rule_make(struct port *p, struct flow_rule *r)
{
	struct rte_flow_error error = {.type = RTE_FLOW_ERROR_TYPE_NONE};

	return rte_flow_validate(p->id, &r->attr, r->pattern, r->action, &error) == 0 &&
	       rte_flow_create(p->id, &r->attr, r->pattern, r->action, &error) != NULL;
}

bool port_flow_begin(struct port *p)
{
	const struct port_peer_conf *c = &p->conf.peer;
	unsigned made = 0, wanted = 0;
	char why[PORT_WAY_MAX];
	struct flow_rule r;

	/* With one client core the others' frames go to queue 0 when no RSS is asked for. */
	if (rss_without_peer(p, why) != 0 && p->queues > 1) {
		snprintf(p->peer_way, PORT_WAY_MAX, "software (%.70s)", why);
		return false;
	}
	for (unsigned i = 0; i < PORT_PEER_LISTEN; i++, wanted++) {
		flow_rule_to(&r, p->conf.stack_ip, c->listen[i], p->queues);
		made += rule_make(p, &r);
	}
	for (unsigned i = 0; i < c->remotes && i < PORT_REMOTES_MAX; i++, wanted++) {
		flow_rule_from(&r, c->remote[i].ip, c->remote[i].port, p->queues);
		made += rule_make(p, &r);
	}
	p->flows = made > 0;
	if (made > 0)
		snprintf(p->peer_way, PORT_WAY_MAX, "flow rules %u of %u", made, wanted);
	else
		snprintf(p->peer_way, PORT_WAY_MAX, "software (the device takes no flow rules)");
	return p->flows;
}

void port_flow_end(struct port *p)
{
	struct rte_flow_error error;

	if (p->flows)
		(void)rte_flow_flush(p->id, &error);
	p->flows = false;
}
