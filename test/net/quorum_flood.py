#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Three zokords while their clients flood them, for quorum_flood.sh, in namespaces of its own.

usage: quorum_flood.py queue|software|own ZOKORD DIRECTORY SECONDS

The quorum has a queue of its own on the clients' device, or shares theirs, or has a device and
addresses of its own. What must hold: the leader stays, no frame between the members is dropped,
every write that goes through the quorum meanwhile succeeds, and the frames went that way.
"""
import multiprocessing
import os
import socket
import struct
import subprocess
import sys
import time

MODE, ZOKORD, DIR, SECONDS = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
IDS = (1, 2, 3)
PINGS = 2000  # in one piece


def address(i):
    return f"10.181.9.{i}"


def quorum_address(i):
    return f"10.181.9.{i + 10}" if MODE == "own" else address(i)


def config(i):
    path = f"{DIR}/{i}"
    os.makedirs(f"{path}/data")
    with open(f"{path}/data/myid", "w", encoding="ascii") as f:
        f.write(f"{i}\n")
    lines = [f"server.{j}={quorum_address(j)}:2888:3888" for j in IDS]
    # a CPU that has other things to do is not what is tried here
    lines += ["tickTime=2000", "initLimit=10", "syncLimit=5", "zab.heartbeatTimeoutMs=1000"]
    lines += [f"dataDir={path}/data", "clientPort=2181", "4lw.commands.whitelist=*"]
    lines += [f"dp.device=tap:zke{i}", f"dp.address={address(i)}/24", "dp.tapBridge=zkbr0"]
    lines += ["dp.rxPackets=4096", "dp.txPackets=4096", "tree.memoryLimit=128M"]
    lines += ["dp.hugepages=no"]
    if MODE == "own":
        lines += [f"dp.peerDevice=tap:zkp{i}", f"dp.peerAddress={quorum_address(i)}/24"]
        lines += ["dp.peerTapBridge=zkbr0"]
    else:
        lines += [f"dp.peerQueue={'auto' if MODE == 'queue' else 'software'}"]
    with open(f"{path}/zoo.cfg", "w", encoding="ascii") as f:
        f.write("\n".join(lines) + "\n")
    return path


def start(i):
    path = config(i)
    with open(f"{path}/log", "w", encoding="utf-8") as log:
        return subprocess.Popen([ZOKORD, f"{path}/zoo.cfg"], stdout=log, stderr=log)


def mntr(i):
    out = b""
    try:
        s = socket.create_connection((address(i), 2181), 2)
        s.settimeout(2)
        s.sendall(b"mntr")
        while more := s.recv(65536):
            out += more
    except OSError:
        return {}
    return dict(l.split("\t", 1) for l in out.decode().splitlines() if "\t" in l)


def facts():
    """Who leads, in which epoch, and what was dropped, of each server."""
    all_of = [mntr(i) for i in IDS]
    roles = [m.get("zk_server_state") for m in all_of]
    epochs = [m.get("zk_quorum_epoch") for m in all_of]
    dropped = [[m.get(f"zk_peer_{k}_dropped") for k in ("frames", "strays")] for m in all_of]
    ways = [[int(m.get(f"zk_peer_frames_by_{k}", 0)) for k in ("queue", "software")] for m in all_of]
    return roles, epochs, dropped, ways


def judge_ways(ways):
    """Frames that came by the quorum's own queue, and by client cores, of each server."""
    said = []
    for i in IDS:
        with open(f"{DIR}/{i}/log", encoding="utf-8") as f:
            said += [line.split("way=")[1].strip() for line in f if " quorum=" in line]
    way = {"queue": "steering program", "software": "software", "own": "own device"}[MODE]
    assert said == [f'"{way}"'] * 3, said
    for by_queue, by_software in ways:
        if MODE == "software":
            assert by_queue == 0 and by_software > 100, ways
        else:  # copies of ARP frames are all that is handed over
            assert by_queue > 100 and by_software < by_queue / 4, ways


def exact(s, n):
    out = bytearray()
    while len(out) < n:
        more = s.recv(n - len(out))
        if not more:
            raise EOFError
        out += more
    return bytes(out)


def session(i):
    s = socket.create_connection((address(i), 2181), 5)
    s.settimeout(20)
    s.sendall(struct.pack(">iiqiqi", 45, 0, 0, 8000, 0, 16) + bytes(16) + b"\0")
    exact(s, struct.unpack(">i", exact(s, 4))[0])
    return s


def flooder(i, end, counter):
    s = session(i)
    chunk = struct.pack(">iii", 8, -2, 11) * PINGS
    n = 0
    while time.monotonic() < end:
        s.sendall(chunk)
        exact(s, PINGS * 20)
        n += PINGS
    with counter.get_lock():
        counter.value += n


def write(s, n):
    path = b"/n%d" % n
    acl = struct.pack(">iii", 1, 31, 5) + b"world" + struct.pack(">i", 6) + b"anyone"
    body = struct.pack(">iii", n, 1, len(path)) + path + struct.pack(">i", 0) + acl + bytes(4)
    t = time.monotonic()
    s.sendall(struct.pack(">i", len(body)) + body)
    reply = exact(s, struct.unpack(">i", exact(s, 4))[0])
    assert struct.unpack(">i", reply[12:16])[0] == 0, "a write failed"
    return time.monotonic() - t


def run():
    end = time.monotonic() + 20
    while True:
        before = facts()
        if sorted(map(str, before[0])) == ["follower", "follower", "leader"]:
            break
        assert time.monotonic() < end, f"no ensemble: {before}"
        time.sleep(0.1)
    leader = IDS[before[0].index("leader")]
    follower = leader % 3 + 1
    end = time.monotonic() + SECONDS
    counter = multiprocessing.Value("q", 0)
    floods = [
        multiprocessing.Process(target=flooder, args=(i, end, counter))
        for i in (leader, leader, follower)
    ]
    for p in floods:
        p.start()
    s = session(follower)
    trips = []
    while time.monotonic() < end:
        trips.append(write(s, len(trips) + 1) * 1e3)
    for p in floods:
        p.join()
        assert p.exitcode == 0, "a flooder lost its connection"
    trips.sort()
    print(
        f"{counter.value} requests, {len(trips)} writes through the quorum: "
        f"median {trips[len(trips) // 2]:.1f} ms, worst {trips[-1]:.1f} ms"
    )
    after = facts()
    print(f"frames by the quorum's queue, by software: {after[3]}")
    assert after[:2] == before[:2], f"the leader changed: {before} {after}"
    assert after[2] == [["0", "0"]] * 3, f"dropped: {after[2]}"
    judge_ways(after[3])
    assert counter.value > 20000 and len(trips) > 5, "that was no flood"


def main():
    for command in (
        "ip link set lo up",
        "ip link add zkbr0 address 02:7a:6b:62:72:00 type bridge",
        "ip addr add 10.181.9.254/24 dev zkbr0",
        "ip link set zkbr0 up",
    ):
        subprocess.run(command.split(), check=True)
    servers = [start(i) for i in IDS]
    try:
        run()
    finally:
        for p in servers:
            p.terminate()
        codes = [p.wait(20) for p in servers]
    assert codes == [0, 0, 0], f"exit codes {codes}"


main()
