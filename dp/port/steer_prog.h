/* SPDX-License-Identifier: Apache-2.0 */
/** The program by which a TAP chooses the queue of a frame: TCP of the quorum to the peer's queue,
 * everything else to the queue of the client core that owns it (dp/net/owner.c: the same hash, so
 * that client cores need not hand frames over).
 *
 * The kernel runs it for each frame it sends (TUNSETSTEERINGEBPF; tun_ebpf_select_queue() in
 * drivers/net/tun.c). Without DPDK, so that it can be tried alone. Main thread.
 */
#ifndef ZK_PORT_STEER_PROG_H
#define ZK_PORT_STEER_PROG_H

#include "core/base/err.h"
#include "core/base/hash.h"

#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	STEER_LISTEN_PORTS = 2,
	STEER_REMOTE_PORTS_MAX = 512,
	STEER_PROG_MAX = 1024, /* instructions */
};

struct steer_prog {
	uint16_t cores;         /* client cores; core c has queue c % client_queues */
	uint16_t client_queues; /* 0 .. client_queues - 1 */
	uint16_t peer_queue;
	uint16_t client_port;
	uint16_t listen[STEER_LISTEN_PORTS];     /* of the quorum: frames to these are the peer's */
	uint16_t remote[STEER_REMOTE_PORTS_MAX]; /* and frames from these, the other members' */
	unsigned remotes;
	struct zk_hash_key key; /* net_conf.steer_key */
};

/** Write the instructions to @p out (STEER_PROG_MAX). @return how many. */
unsigned steer_prog_build(const struct steer_prog *s, struct bpf_insn *out);

/** Load it. @return a descriptor, the caller's to close, or -errno: EPERM without CAP_BPF where
 * unprivileged programs are off, ENOSYS without bpf(2). */
int steer_prog_load(const struct steer_prog *s);

/** Let the TAP of @p tap_fd (any of its queues) ask the program from now on. It keeps the program.
 * @return 0 or -errno. */
int steer_prog_attach(int tap_fd, int prog_fd);

#endif
