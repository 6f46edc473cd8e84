#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kernel peers of peer_loop, for peer.sh. Each command ends with `ok` or a reason and exit code 1.

usage: peer.py CLIENT_ADDRESS PEER_ADDRESS COMMAND
  talk       quorum and election port and the client port at once, bytes there and back
  dial       the peer opens connections: to a listener, to nobody, to a name that is not there
  refuse     a connection that nobody wants is reset, an unknown one too
  flood      2 s of requests on the client port; round trips on the quorum port meanwhile
  rebuild    the loop goes and comes; connections to the peer stay
  restart    reads the line "killed" and the line "back" on standard input: old connections are reset
  stats      print them
"""
import multiprocessing
import random
import socket
import struct
import sys
import time

CLIENT, PEER, COMMAND = sys.argv[1:4]


def connect(port, addr=None, timeout=10):
    s = socket.create_connection((addr or PEER, port), timeout=timeout)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def exact(s, n):
    out = bytearray()
    while len(out) < n:
        more = s.recv(n - len(out))
        if not more:
            raise EOFError(f"{len(out)} of {n} bytes")
        out += more
    return bytes(out)


class Commands:
    def __init__(self):
        self.s = connect(3888)
        self.f = self.s.makefile("r")

    def ask(self, line):
        self.s.sendall(line.encode() + b"\n")
        return self.f.readline().strip()

    def stats(self):
        self.s.sendall(b"stats\n")
        out = {}
        while (line := self.f.readline().strip()) != "":
            name, value = line.split()
            out[name] = int(value)
        return out


def echo(s, n, chunk=20000):
    data = random.randbytes(n)
    got = bytearray()
    at = 0
    s.settimeout(10)
    while at < n:
        at += s.send(data[at : at + chunk])
        while at - len(got) > 3 * chunk:
            got += s.recv(65536)
    got += exact(s, n - len(got))
    assert bytes(got) == data, "bytes differ"


def word(w):
    s = connect(2181, CLIENT)
    s.sendall(w)
    out = b""
    while more := s.recv(4096):
        out += more
    return out


def session():
    s = connect(2181, CLIENT)
    s.sendall(struct.pack(">iiqiqi", 45, 0, 0, 8000, 0, 16) + bytes(16) + b"\0")
    n = struct.unpack(">i", exact(s, 4))[0]
    exact(s, n)
    return s


def dropped(s):
    return s["client_peer_full"] + s["lost_before"]


def way(st):
    """The counters say which way the frames went."""
    by_queue, by_software = st["peer_rx_queue"], st["peer_rx_steered"]
    if PEER != CLIENT:
        assert by_queue > 100 and by_software == 0
    elif st["own_queue"]:
        assert by_queue > 100 and by_software <= st["client_arp_copies"]
    else:
        assert by_queue == 0 and by_software > 100 and st["client_peer_frames"] > 100
    assert (st["client_peer_frames"] > 0) == (PEER == CLIENT and not st["own_queue"])
    assert (st["client_peer_relayed"] > 0) == (PEER == CLIENT and not st["own_queue"])
    assert st["peer_strays"] == 0 and st["peer_strays_lost"] == 0


def talk():
    conns = [connect(2888) for _ in range(4)]
    c = Commands()
    for s in conns:
        echo(s, 300000)
        assert word(b"ruok") == b"imok"
        assert c.stats()["peer_rx_frames"] > 0
    z = session()
    z.sendall(struct.pack(">iii", 8, -2, 11))
    assert struct.unpack(">i", exact(z, 4))[0] == 16
    for s in conns:
        s.shutdown(socket.SHUT_WR)
        assert s.recv(1) == b"", "bytes after the end"
    st = c.stats()
    assert dropped(st) == 0
    way(st)


def dial():
    listener = socket.create_server(("0.0.0.0", 7000))
    c = Commands()
    mine = c.s.getsockname()[0]
    for _ in range(5):
        c.s.sendall(f"dial {mine}:7000\n".encode())
        s, _ = listener.accept()
        assert c.f.readline() == "open\n"
        echo(s, 100000)
        s.close()
    listener.close()
    assert c.ask(f"dial {mine}:7000") == "failed"  # RST
    net = mine.rsplit(".", 1)[0]
    assert c.ask(f"dial {net}.77:7000") == "failed"  # nobody has this address
    assert c.ask("dial nobody:7000") == "failed"
    assert c.ask("dial nowhere:7000") == "failed"


def is_reset(s):
    s.settimeout(5)
    try:
        s.recv(1)
    except ConnectionResetError:
        return True
    return False


def unwanted(port):
    try:
        return is_reset(connect(port))
    except ConnectionResetError:  # so soon that connect() shows it
        return True


def refuse():
    c = Commands()
    assert c.ask("refuse 1") == "ok"
    for _ in range(3):
        assert unwanted(2888)
    assert c.ask("refuse 0") == "ok"
    echo(connect(2888), 1000)
    for addr, port in ((PEER, 4000), (CLIENT, 4001)):
        try:
            connect(port, addr)
            raise AssertionError("somebody listens")
        except ConnectionRefusedError:
            pass
    assert c.stats()["peer_refused"] == 3


def flooder(end, counter):
    s = session()
    s.settimeout(0.2)
    chunk = struct.pack(">iii", 8, -2, 11) * 2000
    n = 0
    while time.monotonic() < end:
        s.sendall(chunk)
        want = 2000 * 20
        while want > 0:
            try:
                want -= len(s.recv(min(want, 1 << 18)))
            except socket.timeout:
                if time.monotonic() > end + 5:
                    break
        n += 2000
    with counter.get_lock():
        counter.value += n


def flood():
    c = Commands()
    s = connect(2888)
    before = c.stats()
    end = time.monotonic() + 2
    counter = multiprocessing.Value("q", 0)
    procs = [multiprocessing.Process(target=flooder, args=(end, counter)) for _ in range(2)]
    for p in procs:
        p.start()
    trips = []
    while time.monotonic() < end:
        t = time.monotonic()
        s.sendall(b"x" * 40)
        exact(s, 40)
        trips.append(time.monotonic() - t)
        time.sleep(0.002)
    for p in procs:
        p.join()
        assert p.exitcode == 0, "a flooder failed"
    after = c.stats()
    trips.sort()
    print(
        f"{counter.value} requests, {len(trips)} round trips: median {trips[len(trips) // 2] * 1e3:.2f} ms, "
        f"99 % {trips[len(trips) * 99 // 100] * 1e3:.2f} ms, worst {trips[-1] * 1e3:.2f} ms"
    )
    if after["own_queue"] or PEER != CLIENT:
        for name in ("client_peer_frames", "client_peer_relayed", "peer_strays"):
            assert after[name] == before[name], f"{name}: through a client core"
    assert counter.value > 20000, "that was no flood"
    assert len(trips) > 50 and trips[-1] < 1.0, "a round trip took a heartbeat's time"
    assert dropped(after) == 0, "frames for the peer were dropped"
    assert after["client_rx_frames"] > before["client_rx_frames"]


def rebuild():
    c = Commands()
    s = connect(2888)
    echo(s, 10000)
    for n in range(1, 4):
        assert c.ask("rebuild 150") == "ok"
        while c.stats()["rebuilds"] < n:
            echo(s, 20000)
        st = c.stats()
        assert st["peer_alone_rounds"] > 0
        echo(s, 200000)
        assert word(b"ruok") == b"imok"
    assert c.ask("rebuild 300") == "ok"
    time.sleep(0.2)
    refused = 0
    try:
        connect(2181, CLIENT, 2).close()
    except (ConnectionRefusedError, socket.timeout):
        refused = 1
    while c.stats()["rebuilds"] < 4:
        time.sleep(0.02)
    # nobody polls a device of the clients' own while they are away, so the SYN may have waited
    assert refused or PEER != CLIENT, "a client port while the cores are away"
    assert word(b"ruok") == b"imok"
    assert dropped(c.stats()) == 0


def restart():
    quiet, busy = connect(2888), connect(2888)
    echo(busy, 1000)
    quiet.sendall(b"1")
    exact(quiet, 1)
    print("open", flush=True)
    assert sys.stdin.readline() == "killed\n"
    busy.sendall(b"anyone?")
    assert sys.stdin.readline() == "back\n"
    t = time.monotonic()
    quiet.sendall(b"you?")
    assert is_reset(quiet), "the unknown connection was not reset"
    at = time.monotonic() - t
    assert is_reset(busy), "its retransmission was not answered"
    print(f"reset after {at * 1e3:.1f} ms")
    assert at < 2.0


def stats():
    print(Commands().stats())


try:
    {f.__name__: f for f in (talk, dial, refuse, flood, rebuild, restart, stats)}[COMMAND]()
except Exception as e:  # pylint: disable=broad-except
    print(f"{COMMAND}: {type(e).__name__} {e}")
    raise
print("ok")
