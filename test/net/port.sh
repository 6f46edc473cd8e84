#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# dp/port against the kernel, in a network namespace of its own: TAP, af_packet, af_xdp, memif,
# and the code and the one line of every failure. Ends with `N passed, N failed`.
set -u
cd "$(dirname "$0")/../.." || exit 1
prog=${BUILD:-build}/test/net/port_test
if [ "$(id -u)" -ne 0 ]; then
	echo "needs root"
	exit 125
fi
[ -x "$prog" ] || { echo "$prog is not built"; exit 1; }
ns=zkport$$
dir=$(mktemp -d)
pid=
# shellcheck source=test/lib/verdict.sh
. test/lib/verdict.sh
in_ns() { ip netns exec "$ns" "$@"; }

cleanup() {
	[ -n "$pid" ] && kill "$pid" 2>/dev/null
	ip netns del "$ns" 2>/dev/null
	ip netns del "${ns}b" 2>/dev/null
	rm -rf "$dir"
}
trap cleanup EXIT

start() { # a program in the background; waits until it says "ready"
	: >"$dir/out" # here, not in the child: an old "ready" must not count
	in_ns timeout 40 "$@" >>"$dir/out" 2>&1 &
	pid=$!
	for _ in $(seq 100); do
		grep -q '^ready' "$dir/out" && return 0
		kill -0 "$pid" 2>/dev/null || return 1
		sleep 0.1
	done
	return 1
}

finish() { # NAME
	wait "$pid"
	local rc=$?
	pid=
	ok "$1" $rc "$(cat "$dir/out")"
}

# code NAME CODE TEXT ARGUMENTS...: exactly one line, with that code and that text in it
code() {
	local name=$1 want=$2 text=$3 out
	shift 3
	out=$(in_ns timeout 20 "$@" 2>&1)
	[ "$(wc -l <<<"$out")" -eq 1 ] && [[ $out == "$want "*"$text"* ]]
	ok "$name" $? "$out"
}

# libxdp forgets 80 bytes; seen by sanitizer builds only.
echo leak:xsk_umem__create >"$dir/lsan"
export LSAN_OPTIONS=suppressions=$dir/lsan:print_suppressions=0

ip netns add "$ns" || exit 1
ip netns add "${ns}b" || exit 1
in_ns ip link set lo up

for mode in "" no; do
	out=$(in_ns "$prog" memory $mode 2>&1)
	ok "huge pages '${mode:-auto}', clock, affinity, threads" $? "$out"
done
no_huge="mount -t tmpfs none /sys/kernel/mm/hugepages && exec $prog"
out=$(in_ns unshare -m sh -c "$no_huge memory" 2>&1)
[ "$(grep -c '^log: no huge pages, using ordinary ones' <<<"$out")" -eq 1 ] && [[ $out == *ok ]] &&
	[ "$(grep -c '^log:' <<<"$out")" -eq 1 ]
ok "no huge pages to be had: one line, ordinary pages" $? "$out"
code "no huge pages, but asked for" 2 "huge pages: this kernel has no huge pages" \
	unshare -m sh -c "$no_huge memory 2M"
# Every network namespace has a /sys of its own.
start "$prog" lock 500
ip netns exec "${ns}b" timeout 20 "$prog" lock 0 >>"$dir/out" 2>&1
[ "$(paste -sd' ' "$dir/out")" = "ready free ready free" ]
ok "two servers in two namespaces do not count huge pages at once" $? "$(cat "$dir/out")"
wait "$pid"
pid=
out=$(in_ns "$prog" leak 2>&1)
ok "a missing packet is reported with its pool" $? "$out"

for mtu in 1500 16000; do
	for queues in 1 2; do
		name="tap, mtu $mtu, $queues queues"
		start "$prog" talk tap:zk0 host=127.181.0.2 stack=127.181.0.1 mtu=$mtu queues=$queues
		ok "$name: opens" $? "$(cat "$dir/out")"
		out=$(in_ns ping -c 6 -i 0.1 -W 1 -s $((mtu - 100)) 127.181.0.1 2>&1)
		grep -qE ' [56] received' <<<"$out"
		ok "$name: the kernel's pings are answered" $? "$out"
		finish "$name: ARP and pings seen, pools full"
		grep -q "longest=$((mtu - 58))" "$dir/out"
		ok "$name: whole frames" $? "$(cat "$dir/out")"
	done
done

for mtu in 1500 16000; do
	for queues in 1 4; do
		out=$(in_ns timeout 60 "${prog%port_test}tap_test" $mtu $queues 2>&1)
		ok "tap, mtu $mtu, $queues queues: each size, too long, no buffer, link down" $? "$out"
	done
done

out=$(in_ns "$prog" open tap:zk0 host=127.181.0.2 stack=127.181.0.1 queues=16 2>&1)
[[ $out == "0 opened queues=4 "*"ok, 0 packets missing" ]]
ok "tap, 16 queues wanted: as many as its driver can" $? "$out"

start "$prog" talk tap:zk0 host=127.181.0.2 stack=127.181.0.1
code "interface name busy" 13 "zk0 exists already" "$prog" open tap:zk0
code "address routed elsewhere" 13 "busy: it is already routed to interface zk0" \
	"$prog" open tap:zk1 host=127.181.0.6 stack=127.181.0.1
code "address of the host" 13 "busy: it belongs to interface zk0" \
	"$prog" open tap:zk1 host=127.181.0.6 stack=127.181.0.2
in_ns ping -c 6 -i 0.1 -W 1 127.181.0.1 >/dev/null
finish "the first owner is not disturbed"
[ ! -e "/proc/sys/net/ipv4/conf/zk0" ] && ! in_ns ip link show zk0 >/dev/null 2>&1
ok "the interface goes with its process" $?

# A queue for the peer, and a device that cannot have one: then as without.
for queues in 1 2 3 16; do
	out=$(in_ns timeout 40 "$prog" steer tap:zk0 host=10.0.0.2 stack=10.0.0.1 queues=$queues peer=1 2>&1)
	ok "tap, $queues client cores: each frame on its own queue, the peer's too" $? "$out"
done
no_bpf="setpriv --bounding-set -bpf,-sys_admin --inh-caps -bpf,-sys_admin"
peer_way() { # NAME WAY ARGUMENTS...
	local name=$1 want=$2 out
	shift 2
	out=$(in_ns timeout 40 "$@" peer=1 2>&1)
	[[ $out == *"way=\"$want\" peer=-1"* && $out == *"ok, 0 packets missing" ]]
	ok "$name" $? "$out"
}
# shellcheck disable=SC2086
peer_way "tap without bpf(2): software" "software (bpf: Operation not permitted)" \
	$no_bpf "$prog" open tap:zk0 host=10.0.0.2 stack=10.0.0.1 queues=2 huge=no
# shellcheck disable=SC2086
start $no_bpf "$prog" talk tap:zk0 host=127.181.0.2 stack=127.181.0.1 queues=2 peer=1 huge=no
ok "tap without bpf(2): opens once more without the queue" $? "$(cat "$dir/out")"
out=$(in_ns ping -c 6 -i 0.1 -W 1 127.181.0.1 2>&1)
finish "... and talks"
PORT_TEST_EAL=--vdev=net_ring0 peer_way "no queue is left for it: software" \
	"software (the device has 16 queues)" "$prog" open pci:net_ring0 queues=16
PORT_TEST_EAL=--vdev=net_null0 peer_way "a device without flow rules: software" \
	"software (the device takes no flow rules)" "$prog" open pci:net_null0
PORT_TEST_EAL=--vdev=net_tap0,iface=zq0 peer_way "a driver that takes no such rule: software" \
	"software (the device takes no flow rules)" "$prog" open pci:net_tap0
PORT_TEST_EAL=--vdev=net_tap0,iface=zq0 peer_way "a driver without a table of RSS: software" \
	"software (no table of RSS)" "$prog" open pci:net_tap0 queues=2
peer_way "memif: software" "software (not on such a device)" "$prog" open "memif:$dir/q.sock"

in_ns ip link add zbr address 02:00:00:00:00:01 type bridge
in_ns ip addr add 127.181.9.254/24 dev zbr
in_ns ip link set zbr up
start "$prog" talk tap:zt1 bridge=zbr stack=127.181.9.1
code "address answers on the bridge" 13 "answers for it" \
	"$prog" open tap:zt2 bridge=zbr stack=127.181.9.1
out=$(in_ns ping -c 6 -i 0.1 -W 1 127.181.9.1 2>&1)
finish "bridge: ARP and pings seen"
out=$(in_ns "$prog" open tap:zt2 bridge=zbr stack=127.181.9.1 2>&1)
[[ $out == "0 opened"* ]]
ok "bridge: the address is free again" $? "$out"
out=$(in_ns ip route show table local 127.181.9.1/32)
[ -z "$out" ]
ok "bridge: no route is left behind" $? "$out"

in_ns ip link add zd0 numrxqueues 1 numtxqueues 1 type veth \
	peer name zk9 numrxqueues 1 numtxqueues 1
in_ns ethtool -K zk9 tx off tso off gso off >/dev/null
in_ns ip addr add 127.181.5.2/30 dev zk9
in_ns ip link set zk9 up
in_ns sysctl -qw net.ipv4.conf.zk9.route_localnet=1
in_ns ip route replace 127.181.5.1/32 dev zk9 src 127.181.5.2 table local
for kind in af_packet af_xdp; do
	in_ns ip neigh flush dev zk9
	start "$prog" talk $kind:zd0 stack=127.181.5.1
	ok "$kind: opens (and raises the interface)" $? "$(cat "$dir/out")"
	in_ns ping -c 6 -i 0.1 -W 1 -s 1400 127.181.5.1 >/dev/null
	finish "$kind: ARP and pings seen, pools full"
done
in_ns ip link add zd1 type veth peer name zp1 netns "${ns}b"
ip -n "${ns}b" addr add 10.9.0.1/24 dev zp1
ip -n "${ns}b" link set zp1 up
code "address answers on the wire" 13 "answers for it" \
	"$prog" open af_packet:zd1 stack=10.9.0.1
in_ns ip addr add 10.9.0.2/32 dev lo
code "address of the host, af_packet" 13 "belongs to interface lo" \
	"$prog" open af_packet:zd0 stack=10.9.0.2

for huge in auto no; do
	start "$prog" echo "memif:$dir/m.sock" huge=$huge
	code "memif, huge pages $huge: a second server" 13 "another process serves" \
		"$prog" open "memif:$dir/m.sock"
	out=$(in_ns timeout 40 "$prog" send "memif:$dir/m.sock,client" huge=$huge 2>&1)
	ok "memif, huge pages $huge: 5000 frames there and back" $? "$out"
	finish "memif, huge pages $huge: echo side, pools full"
done
start "$prog" echo "memif:$dir/m.sock"
kill -9 "$(sed -n 's/^ready pid=//p' "$dir/out")"
wait "$pid" 2>/dev/null
pid=
[ -S "$dir/m.sock" ]
ok "memif: a killed server leaves its socket" $?
out=$(in_ns "$prog" open "memif:$dir/m.sock" 2>&1)
[[ $out == "0 opened"* ]]
ok "memif: a stale socket is taken over" $? "$out"
: >"$dir/file"
code "memif: the path is a file" 13 "is no socket" "$prog" open "memif:$dir/file"
code "memif: no directory" 6 "does not exist" "$prog" open "memif:$dir/none/m.sock"
code "memif: no server" 6 "no memif server" "$prog" open "memif:$dir/none.sock,client"

code "missing interface, af_packet" 6 "nope does not exist" "$prog" open af_packet:nope
code "missing interface, af_xdp" 6 "nope does not exist" "$prog" open af_xdp:nope
code "missing bridge" 6 "bridge nobr does not exist" "$prog" open tap:zk3 bridge=nobr
code "missing PCI device" 6 "no DPDK device 0000:77:00.0" "$prog" open pci:0000:77:00.0
code "both ends the same address" 5 "cannot be both" \
	"$prog" open tap:zk3 host=127.181.3.1 stack=127.181.3.1
code "no CAP_NET_ADMIN" 14 "CAP_NET_ADMIN is needed" \
	setpriv --bounding-set -net_admin,-net_raw --inh-caps -net_admin,-net_raw \
	"$prog" open tap:zk3
code "no CAP_NET_RAW" 14 "CAP_NET_RAW is needed" \
	setpriv --bounding-set -net_admin,-net_raw --inh-caps -net_admin,-net_raw \
	"$prog" open af_packet:zd0
code "no /dev/net/tun" 14 "cannot open /dev/net/tun" \
	unshare -m sh -c "mount -t tmpfs none /dev/net && exec $prog open tap:zk3"
for bad in tap: tap:a/b "tap:zk0,x" tap:0123456789abcdef memif:relative "memif:/a,leader" eth0; do
	code "refused: $bad" 5 "device \"$bad\"" "$prog" open "$bad"
done
out=$(in_ns env PORT_TEST_EAL=--vdev=net_ring0 "$prog" send pci:net_ring0 2>&1)
ok "any DPDK device by its name (net_ring0): 5000 frames looped" $? "$out"
[[ $(PORT_TEST_EAL=--vdev=net_ring0 in_ns "$prog" open pci:net_ring0) == *"tx_csum=0 rx_csum=0"* ]]
ok "no offload promised, none reported (net_ring)" $?

# A TAP whose frames a bridge reflects: its driver fills in and verifies checksums, and it shows.
in_ns ip link add zhb address 02:00:00:00:00:02 type bridge
in_ns ip tuntap add dev zh0 mode tap multi_queue
in_ns ip link set zh0 master zhb
in_ns ip link set zhb up
in_ns ip link set zh0 up
out=$(PORT_TEST_EAL=--vdev=net_tap0,iface=zh0 in_ns "$prog" open pci:net_tap0)
[[ $out == *"tx_csum=0 rx_csum=0"* ]]
ok "offload promised, nothing seen: not reported" $? "$out"
in_ns bridge link set dev zh0 hairpin on
out=$(PORT_TEST_EAL=--vdev=net_tap0,iface=zh0 in_ns "$prog" open pci:net_tap0)
[[ $out == *"tx_csum=1 rx_csum=1"* ]]
ok "offload promised and seen to work: reported" $? "$out"

echo "$pass passed, $fail failed"
[ "$fail" -eq 0 ]
