#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Snapshots of a living zokord: exact, compressed as Apache compresses, served by Apache; a disk
without room costs a snapshot and nothing else; old files go. Runs as root in a network namespace and
a mount namespace of its own (test/store/snapshot.sh).

    snapshot.py DIRECTORY
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, d) for d in ("../crash/lib", "../clients/lib")]
import tree as answers
import zkwire as zk
from server import Failed, Server

sys.path[:0] = [HERE]
del sys.modules["tree"]
import tree as kinds_of_nodes

CTL = os.path.join(os.environ.get("BUILD", "build"), "zokorctl")
TIMEOUT_MS = 30000
MIB = 1 << 20


class Wrong(Exception):
    pass


def wrong(bad, text, *args):
    if bad:
        raise Wrong(text % args)


def wait(what, seconds, test):
    end = time.monotonic() + seconds
    while not test():
        wrong(time.monotonic() > end, "%s: not within %g s", what, seconds)
        time.sleep(0.02)


def names(data, prefix="snapshot."):
    """Names of version-2 that begin so, by zxid."""
    every = [n for n in os.listdir(os.path.join(data, "version-2")) if n.startswith(prefix)]
    return sorted(every, key=lambda n: int(n.split(".")[1], 16))


def zxid_of(name):
    return int(name.split(".")[1], 16)


def ask(server):
    """Ask for a snapshot; its path."""
    count = server.log().count("snapshot=written")
    server.process.send_signal(signal.SIGUSR1)
    wait("the snapshot", 20, lambda: server.log().count("snapshot=written") > count)
    return os.path.join(server.data, "version-2", names(server.data)[-1])


def ctl(*words):
    run = subprocess.run([CTL, *words], capture_output=True, check=False)
    wrong(run.returncode != 0, "zokorctl %s: %s", " ".join(words),
          (run.stdout + run.stderr).decode(errors="replace")[-500:])
    return run.stdout.decode()


def sessions_of(path):
    rows = [json.loads(r) for r in ctl("snapshot", "dump", "--json", path).splitlines()]
    return {int(r["session"], 16) if isinstance(r["session"], str) else r["session"]: r
            for r in rows if "session" in r}


def look():
    conn = kinds_of_nodes.login()
    nodes = answers.everything(conn)
    conn.close()
    return nodes


class Keeper:
    """A session that lives on in the snapshot, with an ephemeral."""

    def __init__(self):
        self.conn = zk.Conn(connect=False, timeout=20.0)
        self.session, self.password = 0, bytes(16)
        self.attach()
        wrong(self.conn.call(zk.CREATE, zk.create("/mine", b"m", flags=1)).err, "no ephemeral")

    def attach(self):
        self.conn = zk.Conn(connect=False, timeout=20.0)
        self.conn.send(zk.connect_request(TIMEOUT_MS, self.session, self.password))
        r = zk.Reader(self.conn.payload())
        r.i32()
        timeout, session, password = r.i32(), r.i64(), r.buf()
        wrong(self.session and (session != self.session or timeout != TIMEOUT_MS),
              "session %x is gone: %x, %d ms", self.session, session, timeout)
        self.session, self.password = session, password


class Test:
    def __init__(self, directory):
        self.dir = directory
        self.passed = 0
        self.servers = []

    def server(self, kind, data, **conf):
        java = ["-Dzookeeper.%s=%s" % item for item in conf.items()]
        conf.update(minSessionTimeout=TIMEOUT_MS, maxSessionTimeout=TIMEOUT_MS)
        s = Server(kind, data, os.path.join(self.dir, "%d-%s.log" % (len(self.servers), kind)),
                   conf, java)
        self.servers.append(s)
        s.start(60)
        return s

    def ok(self, what):
        self.passed += 1
        print("ok %s" % what)

    def apache_serves(self, path, nodes, keeper):
        """Apache starts on this one file and answers what zokord did."""
        data = path + "-apache"
        os.makedirs(data + "/version-2")
        shutil.copy(path, data + "/version-2/")
        a = self.server("apache", data)
        lines = answers.differences(nodes, look())
        wrong(lines, "Apache answers otherwise:\n  %s", "\n  ".join(lines))
        keeper.attach()
        keeper.conn.sock.close()
        a.digest_ok()
        a.stopped_clean()

    def exact(self, method):
        data = os.path.join(self.dir, "exact" + method)
        conf = {"snapshot.compression.method": method} if method else {}
        z = self.server("zokor", data, **conf)
        kinds_of_nodes.make()
        keeper = Keeper()
        path = ask(z)
        name = os.path.basename(path)
        wrong(name != "snapshot.%x%s" % (z.zxid(), "." + method if method else ""),
              "%s at zxid %x", name, z.zxid())
        nodes = look()
        said = json.loads(ctl("snapshot", "verify", "--json", path))
        wrong(said["digestVerdict"] != "equal", "digest: %s", said["digestVerdict"])
        wrong(said["nodes"] != len(nodes), "%d nodes, not %d", said["nodes"], len(nodes))
        found = sessions_of(path)
        wrong(keeper.session not in found and keeper.session - (1 << 64) not in found,
              "session %x is not among %s", keeper.session, sorted(found))
        keeper.conn.sock.close()
        mntr = z.mntr()
        wrong(int(mntr["zk_cnt_snapshottime"]) != 1, "mntr counts %s snapshots",
              mntr["zk_cnt_snapshottime"])
        wrong(int(mntr["zk_snapshot_last_zxid"]) != zxid_of(name), "mntr: last zxid %s",
              mntr["zk_snapshot_last_zxid"])
        wrong(int(mntr["zk_snapshot_error_count"]) != 0, "mntr counts errors")
        z.digest_ok()
        z.stopped_clean()
        self.apache_serves(path, nodes, keeper)
        self.ok("exact snapshot%s: zokorctl verifies it, Apache serves it" %
                ("." + method if method else ""))

    def under_load(self):
        """Snapshots at every turn while clients write: each is sound, none is fuzzy."""
        data = os.path.join(self.dir, "load")
        z = self.server("zokor", data, snapCount=50)
        stop = threading.Event()
        failed = []

        def client(number):
            conn = zk.Conn(timeout=20.0)
            i = 0
            while not stop.is_set():
                path = "/c%d-%d" % (number, i % 200)
                for op, body in ((zk.CREATE, zk.create(path, b"x" * (i % 300))),
                                 (zk.SET_DATA, zk.set_data(path, b"%d" % i))):
                    err = conn.call(op, body).err
                    if err not in (0, -110):
                        failed.append(err)
                if i % 3 == 2:
                    conn.call(zk.DELETE, zk.versioned(path, -1))
                i += 1
            conn.sock.close()

        threads = [threading.Thread(target=client, args=(n,)) for n in range(3)]
        for t in threads:
            t.start()
        wait("thirty snapshots", 60, lambda: z.log().count("snapshot=written") > 30)
        stop.set()
        for t in threads:
            t.join()
        wrong(failed, "errors %s", failed[:5])
        z.stopped_clean()
        count = 0
        for name in names(data):
            said = json.loads(ctl("snapshot", "verify", "--json",
                                  os.path.join(data, "version-2", name)))
            wrong(zxid_of(name) and said["digestVerdict"] != "equal", "%s: digest %s", name,
                  said["digestVerdict"])
            count += 1
        wrong(count < 30, "only %d files", count)
        wrong("digest" in z.log().replace("digest.enabled", ""), "a digest line in the log")
        self.ok("under load: %d snapshots, each the state of its zxid by its digest" % count)

    def no_room(self):
        """A file system without room: counted, said, nothing left behind, and made good later."""
        data = os.path.join(self.dir, "small")
        os.makedirs(data + "/version-2")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "none", data + "/version-2"],
                       check=True)
        try:
            z = self.server("zokor", data, preAllocSize=8192, dataLogDir=data + "-log")
            conn = zk.Conn(timeout=20.0)
            for i in range(48):
                wrong(conn.call(zk.CREATE, zk.create("/big%d" % i, b"b" * (900 << 10))).err,
                      "no create")
            wrong("snapshot=failed" in z.log(), "the empty one has failed")
            z.process.send_signal(signal.SIGUSR1)
            wait("the failure", 20, lambda: "snapshot=failed" in z.log())
            wrong(int(z.mntr()["zk_snapshot_error_count"]) != 1, "mntr counts %s errors",
                  z.mntr()["zk_snapshot_error_count"])
            left = [n for n in os.listdir(data + "/version-2") if n.endswith(".tmp")]
            wrong(left, "%s is left behind", left)
            wrong(conn.call(zk.SET_DATA, zk.set_data("/big0", b"goes on")).err, "no set")
            subprocess.run(["mount", "-o", "remount,size=512m", data + "/version-2"], check=True)
            path = ask(z)
            said = json.loads(ctl("snapshot", "verify", "--json", path))
            wrong(said["digestVerdict"] != "equal", "digest: %s", said["digestVerdict"])
            conn.sock.close()
            z.stopped_clean()
        finally:
            subprocess.run(["umount", data + "/version-2"], check=False)
        self.ok("no room: an error counted, the server goes on, the next one is written")

    def purge(self):
        data = os.path.join(self.dir, "purge")
        z = self.server("zokor", data)
        conn = zk.Conn(timeout=20.0)
        for i in range(6):
            wrong(conn.call(zk.CREATE, zk.create("/p%d" % i, b"")).err, "no create")
            ask(z)
        conn.sock.close()
        z.stopped_clean()
        before = names(data)
        wrong(len(before) < 6, "only %s", before)
        open(os.path.join(data, "version-2", ".snapshot.7.tmp"), "wb").close()
        open(os.path.join(data, "version-2", "notes"), "wb").close()
        z = self.server("zokor", data, **{"autopurge.purgeInterval": 1,
                                          "autopurge.snapRetainCount": 4})
        wait("the purge", 20, lambda: "purge=done" in z.log())
        # The server may have taken another one since.
        after = [n for n in names(data) if n in before]
        wrong(after != before[-len(after):] or not 3 <= len(after) <= 4, "%s of %s", after, before)
        wrong(not os.path.exists(data + "/version-2/notes"), "it removes what it does not know")
        wrong(os.path.exists(data + "/version-2/.snapshot.7.tmp"), "a left-over stays")
        wrong(int(z.mntr()["zk_snapshot_purged_count"]) != len(before) - len(after), "mntr: %s",
              z.mntr()["zk_snapshot_purged_count"])
        z.stopped_clean()
        self.ok("purge at the start: %d of %d stay" % (len(after), len(before)))

    def run(self):
        self.exact("")
        self.exact("gz")
        self.exact("snappy")
        self.under_load()
        self.no_room()
        self.purge()


def main():
    test = Test(sys.argv[1])
    try:
        test.run()
    except (Wrong, Failed, OSError, zk.Closed, ValueError, KeyError) as err:
        print("FAIL %s: %s" % (type(err).__name__, err))
        if test.servers:
            print(test.servers[-1].tail(30))
        print("%d passed, 1 failed" % test.passed)
        return 1
    finally:
        for server in test.servers:
            if server.process:
                server.reap()
    print("%d passed, 0 failed" % test.passed)
    return 0


sys.exit(main())
