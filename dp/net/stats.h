/* SPDX-License-Identifier: Apache-2.0 */
/** Counters of one core's stack. Written by the owner core only; a reader on another core may see a
 * value that is a little old. */
#ifndef ZK_NET_STATS_H
#define ZK_NET_STATS_H

#include <stddef.h>
#include <stdint.h>

/* X(name, help) */
#define NET_STATS_MAP(X)                                                                           \
	X(rx_frames, "frames received")                                                            \
	X(rx_bytes, "bytes received")                                                              \
	X(tx_frames, "frames handed out")                                                          \
	X(tx_bytes, "bytes handed out")                                                            \
	X(rx_short, "frames too short for their headers")                                          \
	X(rx_not_for_us_mac, "frames for another MAC address")                                     \
	X(rx_unknown_ethertype, "frames of an unknown type")                                       \
	X(ip_bad_header, "IP version, length or header length wrong")                              \
	X(ip_bad_csum, "IP header checksum wrong")                                                 \
	X(ip_fragments, "IP fragments dropped")                                                    \
	X(ip_ttl_zero, "IP packets with TTL 0")                                                    \
	X(ip_not_for_us, "IP packets for another address")                                         \
	X(ip_bad_source, "IP packets from a source that cannot be answered")                       \
	X(ip_unknown_proto, "IP packets of an unknown protocol")                                   \
	X(arp_rx, "ARP packets received")                                                          \
	X(arp_bad, "ARP packets malformed")                                                        \
	X(arp_conflict, "ARP packets from our own address")                                        \
	X(arp_requests_tx, "ARP requests sent")                                                    \
	X(arp_replies_tx, "ARP replies sent")                                                      \
	X(arp_pending_dropped, "packets dropped: neighbour queue full")                            \
	X(arp_failed, "neighbours that did not answer")                                            \
	X(arp_evicted, "neighbours evicted")                                                       \
	X(icmp_rx, "ICMP packets received")                                                        \
	X(icmp_bad, "ICMP packets malformed")                                                      \
	X(icmp_echo_tx, "ICMP echo replies sent")                                                  \
	X(icmp_limited, "ICMP echo requests not answered: limit")                                  \
	X(icmp_too_big, "packet-too-big accepted")                                                 \
	X(icmp_too_big_bad, "packet-too-big that matches no data in flight")                       \
	X(icmp_ignored, "ICMP packets of other types")                                             \
	X(ctl_queue_full, "control packets dropped: queue full")                                   \
	X(pool_empty, "control packets dropped: no buffer")                                        \
	X(tcp_rx_segs, "TCP segments received")                                                    \
	X(tcp_rx_fast, "TCP segments on the fast path")                                            \
	X(tcp_rx_bytes, "TCP payload bytes in order")                                              \
	X(tcp_tx_segs, "TCP segments sent")                                                        \
	X(tcp_tx_data_segs, "TCP data segments sent, first time")                                  \
	X(tcp_tx_bytes, "TCP payload bytes sent, first time")                                      \
	X(tcp_bad_csum, "TCP checksum wrong")                                                      \
	X(tcp_bad_header, "TCP header malformed")                                                  \
	X(tcp_bad_options, "TCP options malformed")                                                \
	X(tcp_wrong_core, "TCP segments of another core's flow")                                   \
	X(tcp_no_conn, "TCP segments without a connection")                                        \
	X(tcp_rst_tx, "RST sent")                                                                  \
	X(tcp_rst_rx, "connections reset by the peer")                                             \
	X(tcp_rst_ignored, "RST outside of the window")                                            \
	X(tcp_paws, "segments dropped by PAWS")                                                    \
	X(tcp_no_timestamp, "segments without the timestamp agreed on")                            \
	X(tcp_out_of_window, "segments outside of the window")                                     \
	X(tcp_old_ack, "ACKs too old")                                                             \
	X(tcp_future_ack, "ACKs of data not sent")                                                 \
	X(tcp_no_ack_flag, "segments without ACK")                                                 \
	X(tcp_challenge_acks, "challenge ACKs sent")                                               \
	X(tcp_challenge_limited, "challenge ACKs held back")                                       \
	X(tcp_after_close, "data after the application's close")                                   \
	X(tcp_dup_data, "segments with old data only")                                             \
	X(tcp_ooo_segs, "segments out of order stored")                                            \
	X(tcp_ooo_dropped, "segments out of order dropped: store full")                            \
	X(tcp_rcv_mem_dropped, "segments dropped: memory")                                         \
	X(tcp_rcv_coalesced, "unread packets copied together")                                     \
	X(tcp_acks_tx, "pure ACKs sent")                                                           \
	X(tcp_delayed_acks, "ACKs sent by the delayed ACK timer")                                  \
	X(tcp_window_updates, "window updates sent")                                               \
	X(tcp_retransmits, "segments retransmitted")                                               \
	X(tcp_rtx_copies, "retransmissions copied: the driver held the packet")                    \
	X(tcp_rto, "retransmission time-outs")                                                     \
	X(tcp_fast_retransmits, "fast retransmits")                                                \
	X(tcp_sack_reneged, "SACKed data reneged")                                                 \
	X(tcp_tail_probes, "tail loss probes sent")                                                \
	X(tcp_persist_probes, "window probes sent")                                                \
	X(tcp_keepalives, "keep-alive probes sent")                                                \
	X(tcp_splits, "segments split")                                                            \
	X(tcp_conn_open_active, "connections opened by us")                                        \
	X(tcp_conn_open_passive, "connections accepted")                                           \
	X(tcp_conn_closed, "connections ended")                                                    \
	X(tcp_conn_timeout, "connections given up")                                                \
	X(tcp_conn_mem, "connections dropped: memory")                                             \
	X(tcp_syn_rx, "SYNs received by listeners")                                                \
	X(tcp_syn_gated, "SYNs refused by the gate")                                               \
	X(tcp_syn_full, "SYNs dropped: no record")                                                 \
	X(tcp_syn_cookies_tx, "SYN cookies sent")                                                  \
	X(tcp_syn_cookies_ok, "SYN cookies accepted")                                              \
	X(tcp_syn_cookies_bad, "SYN cookies refused")                                              \
	X(tcp_half_open_timeout, "half-open connections given up")                                 \
	X(tcp_tw_new, "TIME_WAIT records made")                                                    \
	X(tcp_tw_reused, "TIME_WAIT records ended by a new SYN")                                   \
	X(tcp_tw_recycled, "TIME_WAIT records ended early: limit")                                 \
	X(tcp_tw_rst_ignored, "RST in TIME_WAIT ignored (RFC 1337)")                               \
	X(tcp_snd_mem_waits, "writes refused: memory of the core")                                 \
	X(tcp_snd_buf_waits, "writes refused: budget of the connection")                           \
	X(tcp_snd_share_waits, "writes refused: fair share of the core's memory")

struct net_stats {
#define NET_STATS_FIELD(name, help) uint64_t name;
	NET_STATS_MAP(NET_STATS_FIELD)
#undef NET_STATS_FIELD
};

struct net_stats_desc {
	const char *name, *help;
};

/** Number of counters; the struct is an array of so many uint64_t. */
#define NET_STATS_COUNT (sizeof(struct net_stats) / sizeof(uint64_t))

/** Name and help text of counter @p i < NET_STATS_COUNT. Static storage, any context. */
const struct net_stats_desc *net_stats_describe(size_t i);

/** Value of counter @p i < NET_STATS_COUNT. */
uint64_t net_stats_value(const struct net_stats *s, size_t i);

#endif
