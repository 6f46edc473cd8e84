/* SPDX-License-Identifier: Apache-2.0 */
/* Assembled by hand: no compiler for it is needed where zokor is built. */
#include "dp/port/steer_prog.h"
#include "core/base/assert.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Offsets in a frame, Ethernet header included: the kernel asks before that is pulled. */
enum {
	AT_TYPE = 12,
	AT_IP = 14,
	AT_FRAGMENT = 20,
	AT_PROTO = 23,
	AT_SRC = 26,
	AT_DST = 30,
	TYPE_IP4 = 0x0800,
	PROTO_TCP = 6,
	FRAGMENT_MASK = 0x3fff, /* more fragments, and the offset */
	IP4_HDR = 20,
	TUPLE_BYTES = 12,
};

/* R0 is every load's result; R1 to R5 do not survive one; R6 is the frame. */
enum { R0, R1, R2, R3, R4, R5, R6, R7, R8, R9 };

/* Where jumps go; all forward. */
enum label { L_NONE, L_CLIENT, L_PEER, L_CORE0, L_COUNT };

struct text {
	struct bpf_insn *v;
	unsigned n;
	uint8_t to[STEER_PROG_MAX]; /* enum label */
	unsigned at[L_COUNT];
};

static void put(struct text *t, uint8_t code, uint8_t dst, uint8_t src, int32_t imm)
{
	zk_assert(t->n < STEER_PROG_MAX);
	t->to[t->n] = L_NONE;
	t->v[t->n++] = (struct bpf_insn){
		.code = code, .dst_reg = dst & 15u, .src_reg = src & 15u, .imm = imm};
}

static void op(struct text *t, uint8_t code, uint8_t dst, int32_t imm)
{
	put(t, BPF_ALU64 | BPF_K | code, dst, 0, imm);
}

static void op_reg(struct text *t, uint8_t code, uint8_t dst, uint8_t src)
{
	put(t, BPF_ALU64 | BPF_X | code, dst, src, 0);
}

static void jump(struct text *t, uint8_t code, uint8_t reg, int32_t imm, enum label to)
{
	put(t, BPF_JMP | BPF_K | code, reg, 0, imm);
	t->to[t->n - 1] = (uint8_t)to;
}

static void label(struct text *t, enum label l)
{
	t->at[l] = t->n;
}

/* R0 = the number at @p at in network order. A frame that is too short ends the program with 0. */
static void load(struct text *t, uint8_t size, int32_t at)
{
	put(t, BPF_LD | BPF_ABS | size, 0, 0, at);
}

static void load_u64(struct text *t, uint8_t dst, uint64_t v)
{
	put(t, BPF_LD | BPF_DW, dst, 0, (int32_t)(uint32_t)v);
	put(t, 0, 0, 0, (int32_t)(uint32_t)(v >> 32));
}

static void swap_u32(struct text *t, uint8_t reg)
{
	put(t, BPF_ALU | BPF_END | BPF_TO_BE, reg, 0, 32);
}

static void rotate(struct text *t, uint8_t reg, int bits)
{
	op_reg(t, BPF_MOV, R5, reg);
	op(t, BPF_RSH, R5, 64 - bits);
	op(t, BPF_LSH, reg, bits);
	op_reg(t, BPF_OR, reg, R5);
}

/* Half of a round of SipHash: a += b; b = rot(b) ^ a. */
static void mix(struct text *t, uint8_t a, uint8_t b, int bits)
{
	op_reg(t, BPF_ADD, a, b);
	rotate(t, b, bits);
	op_reg(t, BPF_XOR, b, a);
}

/* core/base/hash.c, v0 .. v3 in R1 .. R4. */
static void sip_round(struct text *t)
{
	mix(t, R1, R2, 13);
	mix(t, R3, R4, 16);
	rotate(t, R1, 32);
	mix(t, R3, R2, 17);
	mix(t, R1, R4, 21);
	rotate(t, R3, 32);
}

/* R7, R8: the tuple's bytes as zk_hash13() reads them. R0 = net_owner() of it. */
static void owner(struct text *t, const struct steer_prog *s)
{
	load_u64(t, R1, s->key.k0 ^ 0x736f6d6570736575u);
	load_u64(t, R2, s->key.k1 ^ 0x646f72616e646f6du);
	load_u64(t, R3, s->key.k0 ^ 0x6c7967656e657261u);
	load_u64(t, R4, s->key.k1 ^ 0x7465646279746573u);
	op_reg(t, BPF_XOR, R4, R7);
	sip_round(t);
	op_reg(t, BPF_XOR, R1, R7);
	op_reg(t, BPF_XOR, R4, R8);
	sip_round(t);
	op_reg(t, BPF_XOR, R1, R8);
	op(t, BPF_XOR, R3, 0xff);
	for (int i = 0; i < 3; i++)
		sip_round(t);
	op_reg(t, BPF_MOV, R0, R1);
	op_reg(t, BPF_XOR, R0, R2);
	op_reg(t, BPF_XOR, R0, R3);
	op_reg(t, BPF_XOR, R0, R4);
	op(t, BPF_RSH, R0, 32);
	op(t, BPF_MUL, R0, s->cores);
	op(t, BPF_RSH, R0, 32);
	op(t, BPF_MOD, R0, s->client_queues);
	put(t, BPF_JMP | BPF_EXIT, 0, 0, 0);
}

/* net_tuple_hash(): local address, remote address, local port, remote port. R8 holds source port
 * << 16 | destination port, which is the last two already. */
static void client_frame(struct text *t, const struct steer_prog *s)
{
	load(t, BPF_W, AT_SRC);
	swap_u32(t, R0);
	op_reg(t, BPF_MOV, R7, R0);
	op(t, BPF_LSH, R7, 32);
	load(t, BPF_W, AT_DST);
	swap_u32(t, R0);
	op_reg(t, BPF_OR, R7, R0);
	load_u64(t, R9, (uint64_t)TUPLE_BYTES << 56);
	op_reg(t, BPF_OR, R8, R9);
	owner(t, s);
}

/* R8 = both ports of a whole TCP segment; what is none goes to core 0 (net_owner_of_frame()). */
static void ports(struct text *t)
{
	op_reg(t, BPF_MOV, R6, R1);
	load(t, BPF_H, AT_TYPE);
	jump(t, BPF_JNE, R0, TYPE_IP4, L_CORE0);
	load(t, BPF_B, AT_IP);
	op_reg(t, BPF_MOV, R7, R0);
	op(t, BPF_RSH, R0, 4);
	jump(t, BPF_JNE, R0, 4, L_CORE0);
	op(t, BPF_AND, R7, 15);
	op(t, BPF_LSH, R7, 2);
	jump(t, BPF_JLT, R7, IP4_HDR, L_CORE0);
	load(t, BPF_B, AT_PROTO);
	jump(t, BPF_JNE, R0, PROTO_TCP, L_CORE0);
	load(t, BPF_H, AT_FRAGMENT);
	jump(t, BPF_JSET, R0, FRAGMENT_MASK, L_CORE0);
	put(t, BPF_LD | BPF_IND, 0, R7, AT_IP); /* BPF_W is 0 */
	op_reg(t, BPF_MOV, R8, R0);
}

static void give(struct text *t, int32_t queue)
{
	op(t, BPF_MOV, R0, queue);
	put(t, BPF_JMP | BPF_EXIT, 0, 0, 0);
}

unsigned steer_prog_build(const struct steer_prog *s, struct bpf_insn *out)
{
	struct text t = {.v = out};

	zk_assert(s->client_queues >= 1 && s->cores >= s->client_queues &&
		  s->remotes <= STEER_REMOTE_PORTS_MAX);
	ports(&t);
	op_reg(&t, BPF_MOV, R9, R8);
	op(&t, BPF_AND, R9, 0xffff);
	jump(&t, BPF_JEQ, R9, s->client_port, L_CLIENT); /* whoever it is from */
	for (unsigned i = 0; i < STEER_LISTEN_PORTS; i++)
		jump(&t, BPF_JEQ, R9, s->listen[i], L_PEER);
	op_reg(&t, BPF_MOV, R9, R8);
	op(&t, BPF_RSH, R9, 16);
	for (unsigned i = 0; i < s->remotes; i++)
		jump(&t, BPF_JEQ, R9, s->remote[i], L_PEER);
	label(&t, L_CLIENT);
	if (s->client_queues > 1)
		client_frame(&t, s);
	label(&t, L_CORE0);
	give(&t, 0);
	label(&t, L_PEER);
	give(&t, s->peer_queue);
	for (unsigned i = 0; i < t.n; i++)
		if (t.to[i] != L_NONE)
			out[i].off = (int16_t)(t.at[t.to[i]] - i - 1);
	return t.n;
}

int steer_prog_load(const struct steer_prog *s)
{
	struct bpf_insn v[STEER_PROG_MAX];
	union bpf_attr a;
	long fd;

	memset(&a, 0, sizeof(a));
	a.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	a.insns = (uint64_t)(uintptr_t)v;
	a.insn_cnt = steer_prog_build(s, v);
	a.license = (uint64_t)(uintptr_t) "Apache-2.0"; /* it calls nothing of the kernel's */
	memcpy(a.prog_name, "zokor_queue", sizeof("zokor_queue"));
	fd = syscall(SYS_bpf, BPF_PROG_LOAD, &a, sizeof(a));
	return fd < 0 ? -errno : (int)fd;
}

int steer_prog_attach(int tap_fd, int prog_fd)
{
	return ioctl(tap_fd, TUNSETSTEERINGEBPF, &prog_fd) == 0 ? 0 : -errno;
}
