/* SPDX-License-Identifier: Apache-2.0 */
/* How a device puts the peer's frames on the peer's queue: a TAP by a program that the kernel runs,
 * a NIC by flow rules. */
#include "dp/port/port_int.h"
#include "dp/port/steer_prog.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

_Static_assert((int)STEER_LISTEN_PORTS == (int)PORT_PEER_LISTEN &&
		       (int)STEER_REMOTE_PORTS_MAX == (int)PORT_REMOTES_MAX,
	       "one configuration");

static void remote_add(struct steer_prog *s, uint16_t port)
{
	for (unsigned i = 0; i < s->remotes; i++)
		if (s->remote[i] == port)
			return;
	s->remote[s->remotes++] = port;
}

/* Where they come from does not matter: what is for the clients' port is looked at first. */
static void prog_of(const struct port *p, struct steer_prog *s)
{
	const struct port_peer_conf *c = &p->conf.peer;

	*s = (struct steer_prog){.cores = p->conf.queues,
				 .client_queues = p->queues,
				 .peer_queue = p->queues,
				 .client_port = c->client_port};
	memcpy(s->listen, c->listen, sizeof(s->listen));
	memcpy(&s->key, c->steer_key, sizeof(s->key));
	for (unsigned i = 0; i < c->remotes && i < PORT_REMOTES_MAX; i++)
		remote_add(s, c->remote[i].port);
}

static bool program_begin(struct port *p)
{
	struct steer_prog s;
	int fd, rc;

	prog_of(p, &s);
	fd = steer_prog_load(&s);
	rc = fd < 0 ? fd : steer_prog_attach(p->q[0].fd, fd);
	if (fd >= 0)
		(void)close(fd);
	if (rc == 0)
		snprintf(p->peer_way, PORT_WAY_MAX, "steering program");
	else
		snprintf(p->peer_way, PORT_WAY_MAX, "software (%s: %s)",
			 fd < 0 ? "bpf" : "TUNSETSTEERINGEBPF", strerror(-rc));
	return rc == 0;
}

bool port_steer_begin(struct port *p)
{
	return p->conf.spec.kind == PORT_TAP ? program_begin(p) : port_flow_begin(p);
}
