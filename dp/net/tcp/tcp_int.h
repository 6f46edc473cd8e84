/* SPDX-License-Identifier: Apache-2.0 */
/** Inside of TCP: records, queues and what the files of this folder call each other for. */
#ifndef ZK_TCP_INT_H
#define ZK_TCP_INT_H

#include "core/base/wheel.h"
#include "dp/net/net_int.h"
#include "dp/net/tcp/tcp.h"
#include "dp/net/tcp/tcp_seq.h"

enum {
	TCP_LISTENERS_MAX = 8,
	TCP_MSS_MIN = 64,
	TCP_MSS_DEFAULT = 536,
	TCP_WSCALE_MAX = 14,
	TCP_SACK_MAX = 4,
	TCP_DUPACK_THRESHOLD = 3,
	TCP_CHALLENGES_PER_S = 10,
	TCP_TIMERS_PER_ROUND = 256,
	TCP_VISIT_SEGS_MAX = 16,   /* segments per connection before others have their turn */
	TCP_DUPACKS_OWED_MAX = 16, /* duplicate ACKs per round to a peer without SACK */
	TCP_CHUNK_CONNS = 64,
	TCP_STARVED_VISITS_MAX = 64,
	TCP_TICK_SHIFT = 20, /* timers count 2^20 ns = 1.05 ms */
	TCP_PORT_FIRST = 32768,
	TCP_PORT_COUNT = 28232,
	TCP_PORT_TRIES_MAX = 4096,
	TCP_PKT_ROOM_MIN = PKT_HEADROOM + TCP_MSS_DEFAULT,
	TCP_KEEPALIVE_PROBES = 6,
	TCP_SYN_LOST_RTO_MS = 3000,
	TCP_HDR_MAX = ETH_HDR + IP4_HDR + TCP_HDR + TCP_OPTS_MAX,
};

enum tcp_state {
	TCP_CLOSED, /* no longer on the wire: waits for tcp_release(), or free */
	TCP_SYN_SENT,
	TCP_SYN_RCVD,
	TCP_ESTABLISHED,
	TCP_CLOSE_WAIT,
	TCP_FIN_WAIT_1,
	TCP_FIN_WAIT_2,
	TCP_CLOSING,
	TCP_LAST_ACK,
};

enum tcp_conn_flags {
	CF_TS = 1 << 0,   /* timestamps agreed on */
	CF_SACK = 1 << 1, /* SACK agreed on */
	CF_ACK_NOW = 1 << 2,
	CF_ROUND = 1 << 3,    /* net_round_end() has to decide about ACK and unread packets */
	CF_RELEASED = 1 << 4, /* the application has let go */
	CF_FIN_QUEUED = 1 << 5,
	CF_FIN_WANTED = 1 << 6, /* FIN to be queued as soon as there is a buffer */
	CF_FIN_RCVD = 1 << 7,
	CF_RECOVERY = 1 << 8, /* fast recovery until recover is acknowledged */
	CF_LOSS = 1 << 9,     /* after an RTO, until recover is acknowledged */
	CF_PERSIST = 1 << 10, /* the retransmission timer is the persist timer */
	CF_WANT_WRITE = 1 << 11,
	CF_CWND_LIMITED = 1 << 12,
	CF_MAC_HEARD = 1 << 13, /* mac is from a frame of the on-link peer itself */
	CF_VISIBLE = 1 << 14,   /* the application knows the connection */
	CF_PASSIVE = 1 << 15,
	CF_IN_TABLE = 1 << 16,
	CF_RTX_FIRST = 1 << 17, /* the first retransmission goes out whatever cwnd says */
	CF_HALF_OPEN = 1 << 18, /* counted in t->half_open */
	CF_SYN_NOW = 1 << 19,   /* the SYN waits for the neighbour's address */
	CF_MEM_WAIT = 1 << 20,  /* on t->mem_wait */
	CF_NEIGH_WAIT = 1 << 21,
	CF_TAIL_OPEN = 1 << 22,     /* a tcp_tail() reservation is open */
	CF_PROBE_NOW = 1 << 23,     /* the persist timer wants one segment out */
	CF_RECOVER_VALID = 1 << 24, /* recover has been set (RFC 6582 3.2) */
	CF_NO_WSCALE = 1 << 25,     /* the peer does not scale, so neither do we (RFC 7323 2.2) */
	CF_PTO = 1 << 27,           /* the retransmission timer is the probe timer (RFC 8985 7) */
	CF_TLP_NOW = 1 << 28,       /* the probe timer wants one segment out */
	CF_TLP_OUT = 1 << 29,       /* a probe is out until tlp_end is acknowledged */
	CF_TLP_RTX = 1 << 30,       /* ... and it was a retransmission */
	CF_UNREAD = 1 << 26,        /* bytes were left unread at the end of the last round */
};

/** A packet of the send queue: one segment. */
enum tcp_seg_flags {
	SEG_FIN = 1 << 0,
	SEG_SENT = 1 << 1,
	SEG_SACKED = 1 << 2,
	SEG_LOST = 1 << 3,
	SEG_RTX = 1 << 4,   /* a retransmission is under way */
	SEG_EVER = 1 << 5,  /* was retransmitted at some time: no RTT sample (Karn) */
	SEG_SUM = 1 << 6,   /* sum is valid */
	SEG_SMALL = 1 << 7, /* receive queue: memory of zk_mem, not of a pool */
};

/** Lives in pkt.cb. Send queue: payload is at buf + PKT_HEADROOM + off whatever data and len say.
 */
struct tcp_seg {
	struct tcp_seq seq;
	uint16_t len; /* payload bytes */
	uint16_t off;
	uint64_t sent_ns;
	uint16_t sum; /* folded sum of the payload */
	uint16_t flags;
};
_Static_assert(sizeof(struct tcp_seg) <= sizeof(((struct pkt *)0)->cb), "fits the scratch space");

static inline struct tcp_seg *tcp_seg(struct pkt *p)
{
	return (struct tcp_seg *)p->cb;
}

static inline const struct tcp_seg *tcp_seg_const(const struct pkt *p)
{
	return (const struct tcp_seg *)p->cb;
}

/** Sequence space of a segment. */
static inline uint32_t tcp_seg_space(const struct tcp_seg *s)
{
	return s->len + (s->flags & SEG_FIN ? 1u : 0u);
}

static inline struct tcp_seq tcp_seg_end(const struct tcp_seg *s)
{
	return tcp_seq_add(s->seq, tcp_seg_space(s));
}

struct tcp_conn {
	/* --- line 0: every segment --- */
	struct tcp *t;
	uint32_t flags;
	uint8_t state, snd_wscale, rcv_wscale, dupacks;
	struct tcp_seq rcv_nxt, rcv_adv; /* rcv_adv: right edge promised so far */
	struct tcp_seq snd_una, snd_nxt, snd_wl1, snd_wl2;
	uint32_t snd_wnd;
	uint32_t ts_recent;
	struct tcp_seq last_ack_sent;
	uint32_t rcv_bytes; /* in order, unread */
	uint16_t mss;       /* payload of a segment with our usual options */
	uint16_t rcv_mss;   /* largest payload seen */
	/* --- line 1: queues --- */
	struct pkt *rcv_head, *rcv_tail;
	struct pkt *snd_head, *snd_tail, *snd_next; /* snd_next: first never sent */
	struct pkt *ooo;
	uint32_t snd_bytes;    /* payload queued or in flight */
	uint32_t unsent_bytes; /* payload of it never sent */
	uint16_t snd_pkts, rcv_pkts;
	uint32_t rx_unacked; /* payload received since our last ACK */
	/* --- line 2: work lists, congestion control --- */
	struct zk_list work, ready;
	uint32_t cwnd, ssthresh, snd_wnd_max;
	uint32_t srtt_us, rttvar_us, rto_us;
	uint32_t lost_bytes;
	uint32_t events;
	/* --- line 3: headers, timers --- */
	struct net_tuple tuple;
	uint16_t neigh_gen;
	uint16_t ip_sum, ph_sum; /* folded sums of the constant header parts */
	uint8_t mac[6];
	uint32_t rtx_tick;   /* timers in ticks, 0 = off */
	uint32_t timer_tick; /* when the wheel entry fires, 0 = not armed */
	uint32_t delack_tick;
	uint32_t ts_offset;
	/* --- the rest --- */
	struct zk_wheel_entry timer;
	uint32_t life_tick;     /* end of a closing state, of the handshake, or keep-alive */
	uint32_t progress_tick; /* last time sent data was acknowledged, or first was sent */
	uint32_t rto_tick;      /* the RTO behind a probe timer */
	uint32_t last_send_tick, last_rcv_tick;
	uint32_t ts_recent_tick;
	uint32_t sacked_bytes, rtx_bytes; /* of snd_una..snd_nxt */
	uint32_t sacked_pkts;
	struct tcp_seq recover, iss, irs;
	uint32_t hash, index;
	void *user;
	uint32_t ooo_bytes; /* charged at buffer size */
	uint16_t ooo_intervals, ooo_pkts;
	struct tcp_seq ooo_recent[TCP_SACK_MAX]; /* in the blocks that grew last, newest first */
	uint16_t path_mtu;
	uint8_t backoff, keepalives, close_reason, dupacks_owed;
	uint16_t tail_reserved;
	struct tcp_seq tlp_end; /* snd_nxt when the probe left */
	uint32_t challenge_tick;
	uint8_t challenges;
	uint8_t rtx_timeouts;
	uint32_t cwnd_acked; /* bytes counted towards the next increase */
	struct zk_list mem_wait;
	struct tcp_conn *free_next;
};
_Static_assert(offsetof(struct tcp_conn, timer) <= 4 * ZK_CACHE_LINE + 16, "hot part");
_Static_assert(sizeof(struct tcp_conn) <= 512, "an idle connection stays small");

/** One segment as received. */
struct tcp_in {
	struct pkt *p;         /* NULL when somebody has taken it; data at the payload */
	struct tcp_conn *conn; /* found in the table, or NULL */
	const uint8_t *src_mac;
	struct net_tuple tuple;
	uint32_t hash;
	struct tcp_seq seq, ack;
	uint32_t len; /* payload bytes */
	uint32_t tsval, tsecr;
	uint16_t wnd; /* as in the header */
	uint16_t mss;
	uint8_t flags;
	uint8_t wscale; /* 255 = no option */
	bool ts, sack_ok;
	uint8_t n_sack;
	uint8_t sack_at; /* offset of the first block in opts */
	uint8_t opts_len;
	const uint8_t *opts;
};

/** A control segment without or beside a connection. */
struct tcp_ctl {
	struct net_tuple tuple;
	struct tcp_seq seq, ack;
	uint8_t flags;
	uint16_t wnd;
	uint8_t opts_len;
	uint8_t opts[TCP_OPTS_MAX];
	const uint8_t *mac; /* where the segment in question came from, NULL = ask ARP */
};

/** What goes into the headers of one frame. */
struct tcp_frame {
	const struct net_tuple *tuple;
	struct tcp_seq seq, ack;
	uint16_t ip_sum, ph_sum; /* tcp_tuple_sums() */
	uint16_t wnd;
	uint8_t flags, opts_len;
	const uint8_t *opts;
	const uint8_t *mac; /* NULL: left for arp_send() */
	uint16_t payload_sum;
};

/** TIME_WAIT: what is left of a connection (RFC 9293 3.6.1). The local address is ours. */
struct tcp_tw {
	struct net_addr remote;
	uint16_t local_port, remote_port;
	struct tcp_seq snd_nxt, rcv_nxt;
	uint32_t ts_recent, ts_offset;
	uint32_t due_tick;
	uint32_t hash;
	uint32_t prev, next; /* indices; the list is in order of time */
	uint16_t wnd;
	uint8_t used, ts;
};
_Static_assert(sizeof(struct tcp_tw) <= 64, "TIME_WAIT records stay small");

/** Open addressing, linear probing; 8 bytes per entry. */
struct tcp_slot {
	uint32_t hash;
	uint32_t ref; /* 0 = empty; index + 1; TCP_REF_TW marks a TIME_WAIT record */
};
#define TCP_REF_TW 0x80000000u

struct tcp_listener {
	uint16_t port;
	bool used;
	bool (*gate)(void *ctx, const struct net_addr *from);
	void *ctx;
};

/** Packets that connections hold in one direction. */
struct tcp_budget {
	uint32_t held, max;
};

struct tcp {
	struct net *n;
	struct net_stats *stats;
	struct tcp_conf conf;
	uint64_t now_ns;
	uint64_t tick64;
	uint32_t tick;  /* tick64, low half; never 0 */
	uint32_t ts_ms; /* timestamp clock */
	uint32_t give_up_ticks;
	uint32_t snd_pkts_max; /* per connection */
	struct zk_list work, ready, mem_wait, neigh_wait;
	uint16_t neigh_gen_seen;
	uint8_t rcv_wscale;
	uint16_t mss_local; /* IP payload without TCP header: what we announce */
	struct zk_wheel wheel;
	/* tables */
	struct tcp_slot *table;
	uint32_t table_mask;
	struct zk_hash_key key_table, key_isn, key_port, key_cookie;
	struct tcp_conn **chunks; /* aligned starts */
	void **chunk_mem;
	uint32_t n_chunks, chunks_max;
	struct tcp_conn *free_conns;
	uint32_t conns, half_open;
	struct tcp_tw *tw;
	uint32_t tw_max, tw_made, tw_count;
	uint32_t tw_free, tw_head, tw_tail; /* index + 1, 0 = none */
	struct tcp_listener listeners[TCP_LISTENERS_MAX];
	uint64_t cookie_until_ns;
	uint32_t port_counter;
	/* memory */
	struct tcp_budget snd, rcv; /* of all connections: to be sent or acknowledged, unread */
	uint32_t pool_credit; /* buffers that data may still take before the pool is asked again */
	uint32_t pool_reserve;
	bool pool_asked;    /* in this round */
	bool starved;       /* output stopped for lack of buffers */
	uint32_t table_gen; /* changes when the table does */
};

static inline struct zk_mem *tcp_mem(const struct tcp *t)
{
	return t->n->conf.mem;
}

/** Is half of one direction's memory in use? */
static inline bool tcp_mem_half(const struct tcp_budget *b)
{
	return b->held > b->max / 2;
}

/** Is the last eighth of it in use? Then slow readers lose first. */
static inline bool tcp_mem_short(const struct tcp_budget *b)
{
	return b->held > b->max - b->max / 8;
}

/** How many packets may one connection hold in one direction? Who does not read never gives back,
 * so each has to leave more than it takes: half of all for one, but hundreds of them leave enough
 * for a reply of somebody else. >= 1, so that a connection without packets is not refused. */
static inline uint32_t tcp_mem_share(const struct tcp_budget *b)
{
	uint32_t free, n;

	if (zk_likely(!tcp_mem_half(b)))
		return b->max - b->held;
	free = b->max > b->held ? b->max - b->held : 0;
	if (tcp_mem_short(b))
		n = free / 128;
	else
		n = free / 64 > 8 ? free / 64 : 8;
	return n ? n : 1;
}

static inline bool tcp_due(const struct tcp *t, uint32_t tick)
{
	return tick != 0 && (int32_t)(t->tick - tick) >= 0;
}

/** The tick @p us from now, rounded up, never 0. */
static inline uint32_t tcp_tick_after_us(const struct tcp *t, uint64_t us)
{
	uint32_t k = (uint32_t)((t->now_ns + us * 1000 + ((1u << TCP_TICK_SHIFT) - 1)) >>
				TCP_TICK_SHIFT);

	return k ? k : 1;
}

static inline uint32_t tcp_ticks_to_ms(uint32_t ticks)
{
	return (uint32_t)(((uint64_t)ticks << TCP_TICK_SHIFT) / 1000000);
}

static inline uint32_t tcp_in_flight(const struct tcp_conn *c)
{
	return tcp_seq_diff(c->snd_nxt, c->snd_una);
}

/* tcp.c */
enum zk_err tcp_new(struct net *n, const struct tcp_conf *conf, struct tcp **out);
void tcp_free(struct tcp *t);
void tcp_now(struct tcp *t, uint64_t now_ns);
void tcp_round_end(struct tcp *t);
uint64_t tcp_next_timer_ns(struct tcp *t);

/* tcp_conn.c */
struct tcp_conn *tcp_conn_new(struct tcp *t, const struct net_tuple *tuple, uint32_t hash);
/** Leave the wire: table, timers, queues. The application hears CLOSED; freed when it has let go.
 */
void tcp_conn_finish(struct tcp_conn *c, enum tcp_close_reason why);
/** Give everything back at once, without a word. */
void tcp_conn_drop(struct tcp_conn *c);
void tcp_event(struct tcp_conn *c, unsigned events);
void tcp_work(struct tcp_conn *c);
void tcp_work_done(struct tcp_conn *c);
void tcp_established(struct tcp_conn *c);
void tcp_mss_set(struct tcp_conn *c, uint16_t peer_mss);
struct tcp_conn *tcp_conn_at(const struct tcp *t, uint32_t index);

/* tcp_table.c */
uint32_t tcp_hash(const struct tcp *t, const struct net_tuple *tuple);
/** The record of a flow: connection, or TIME_WAIT in *tw, or NULL. Bound: probe length. */
struct tcp_conn *tcp_lookup(struct tcp *t, const struct net_tuple *tuple, uint32_t hash,
			    struct tcp_tw **tw);
void tcp_table_put(struct tcp *t, uint32_t hash, uint32_t ref);
void tcp_table_del(struct tcp *t, uint32_t hash, uint32_t ref);

/* tcp_options.c */
bool tcp_options_parse(struct tcp_in *in);
uint8_t tcp_options_syn(uint8_t *o, uint16_t mss, uint8_t wscale, bool sack, bool ts, uint32_t val,
			uint32_t ecr);
uint8_t tcp_options_ack(const struct tcp_conn *c, uint8_t *o, bool sack);

/* tcp_input.c */
void tcp_input(struct tcp *t, struct ip_in *v, unsigned count);
bool tcp_too_big(struct tcp *t, const struct net_tuple *tuple, struct tcp_seq seq, uint16_t mtu);

/* tcp_fsm.c */
void tcp_segment(struct tcp_conn *c, struct tcp_in *in);
void tcp_challenge(struct tcp_conn *c);

/* tcp_ack.c */
/** The ACK and window fields of an acceptable segment. @return false: drop the rest of it. */
bool tcp_ack_in(struct tcp_conn *c, struct tcp_in *in);
uint32_t tcp_pipe(const struct tcp_conn *c);
void tcp_mark_all_lost(struct tcp_conn *c);
bool tcp_fin_acked(const struct tcp_conn *c);
void tcp_rtt_sample(struct tcp_conn *c, uint64_t us);

/* tcp_sack.c */
bool tcp_sack_in(struct tcp_conn *c, const struct tcp_in *in);
void tcp_sack_mark_lost(struct tcp_conn *c);
/** Take a sent segment out of the scoreboard's sums. */
void tcp_seg_forget(struct tcp_conn *c, struct pkt *p);
void tcp_seg_lost(struct tcp_conn *c, struct pkt *p);

/* tcp_cc.c */
void tcp_cc_init(struct tcp_conn *c);
void tcp_cc_acked(struct tcp_conn *c, uint32_t bytes);
void tcp_cc_enter(struct tcp_conn *c, bool timeout);
void tcp_cc_idle(struct tcp_conn *c);

/* tcp_rcv.c */
void tcp_data_in(struct tcp_conn *c, struct tcp_in *in);
void tcp_rcv_append(struct tcp_conn *c, struct pkt *p);
void tcp_rcv_free(struct tcp_conn *c, struct pkt *p);
void tcp_rcv_coalesce(struct tcp_conn *c);
bool tcp_rcv_mem_ok(const struct tcp_conn *c, bool in_order);
uint32_t tcp_rcv_window(const struct tcp_conn *c);
/** The window field for the next segment; moves the promised edge. */
uint16_t tcp_rcv_window_field(struct tcp_conn *c);
bool tcp_rcv_update_due(const struct tcp_conn *c);

/* tcp_ooo.c */
void tcp_ooo_insert(struct tcp_conn *c, struct tcp_in *in);
/** Move what has become in order to the receive queue. @return true when a FIN came with it. */
bool tcp_ooo_take(struct tcp_conn *c);
void tcp_ooo_free(struct tcp_conn *c);
unsigned tcp_ooo_sack(const struct tcp_conn *c, struct tcp_seq (*blocks)[2], unsigned max);

/* tcp_send.c: the send queue */
/** A packet for data; NULL: a budget is used up (noted for TCP_READY_WRITE). */
struct pkt *tcp_snd_new(struct tcp_conn *c);
void tcp_snd_link(struct tcp_conn *c, struct pkt *p);
bool tcp_snd_split(struct tcp_conn *c, struct pkt *p, uint32_t first);
void tcp_snd_free_head(struct tcp_conn *c);
bool tcp_queue_fin(struct tcp_conn *c);
void tcp_snd_wake(struct tcp_conn *c);
bool tcp_pool_data_ok(struct tcp *t);

/* tcp_output.c */
unsigned tcp_output(struct tcp *t, struct pkt **v, unsigned max);
bool tcp_output_wanted(const struct tcp_conn *c);
/** The round's decision about ACK, window update and unread packets. */
void tcp_round_conn(struct tcp_conn *c);

/* tcp_ctl.c */
void tcp_ctl_send(struct tcp *t, const struct tcp_ctl *ctl);
/** Where an answer to @p in may go directly; NULL: ask ARP. */
const uint8_t *tcp_in_mac(const struct tcp *t, const struct tcp_in *in);
/** RST in answer to a segment that belongs nowhere (RFC 9293 3.10.7.1). */
void tcp_rst_for(struct tcp *t, const struct tcp_in *in);
void tcp_rst_conn(struct tcp_conn *c);
/** SYN or SYN-ACK; waits for ARP without holding a packet. */
void tcp_syn_send(struct tcp_conn *c);
/** Put @p c among those that wait for ARP. */
void tcp_neigh_wait(struct tcp_conn *c);
/** A segment without data for @p c, now, by way of the control queue. */
void tcp_ack_send(struct tcp_conn *c, struct tcp_seq seq);
/** A pure ACK as a whole frame to @p mac; NULL: no buffer. */
struct pkt *tcp_ack_frame(struct tcp_conn *c, struct tcp_seq seq, const uint8_t *mac);
/** The bookkeeping of every segment with an ACK that leaves. */
void tcp_ack_sent(struct tcp_conn *c);
void tcp_tuple_sums(const struct net_tuple *t, uint16_t *ip_sum, uint16_t *ph_sum);
/** Write all headers in front of the payload of @p p. */
void tcp_frame_headers(struct tcp *t, struct pkt *p, const struct tcp_frame *f);
struct pkt *tcp_ctl_alloc(struct tcp *t);
const uint8_t *tcp_conn_mac(struct tcp_conn *c);

/* tcp_tlp.c */
/** The segment to probe with: the last one sent. */
struct pkt *tcp_tlp_segment(struct tcp_conn *c);
void tcp_tlp_sent(struct tcp_conn *c, bool again);
/** Before the ACK is taken: was the probe needed? */
void tcp_tlp_ack(struct tcp_conn *c, const struct tcp_in *in);
/** After the SACK blocks: has the probe shown that what is below it is lost? */
void tcp_tlp_sack(struct tcp_conn *c);

/* tcp_timer.c */
void tcp_timer_arm(struct tcp_conn *c);
void tcp_timer_fire(struct tcp_conn *c);
/** Put the probe timer in front of the RTO (rto_tick) if there is reason to. */
void tcp_pto_arm(struct tcp_conn *c);
void tcp_persist_arm(struct tcp_conn *c);
void tcp_rtx_arm(struct tcp_conn *c);
void tcp_life_arm(struct tcp_conn *c, uint32_t ms);
uint64_t tcp_rto_us(const struct tcp_conn *c);

/* tcp_listen.c, tcp_cookie.c */
void tcp_listen_segment(struct tcp *t, struct tcp_in *in, const struct tcp_seq *isn_above);
struct tcp_listener *tcp_listener_find(struct tcp *t, uint16_t port);
struct tcp_seq tcp_isn(const struct tcp *t, const struct net_tuple *tuple);
uint32_t tcp_ts_offset(const struct tcp *t, const struct net_tuple *tuple);
void tcp_cookie_send(struct tcp *t, const struct tcp_in *in);
bool tcp_cookies_alive(const struct tcp *t);
/** @return the connection that a valid cookie stands for, established; NULL otherwise. */
struct tcp_conn *tcp_cookie_accept(struct tcp *t, struct tcp_in *in);
void tcp_peer_options(struct tcp_conn *c, const struct tcp_in *in);

/* tcp_timewait.c */
void tcp_tw_add(struct tcp_conn *c);
void tcp_tw_segment(struct tcp *t, struct tcp_tw *tw, struct tcp_in *in);
void tcp_tw_expire(struct tcp *t);
struct tcp_tw *tcp_tw_at(const struct tcp *t, uint32_t index);

#endif
