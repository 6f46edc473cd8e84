#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A disk that is slow, full, read-only or broken under a server that is being written to: nothing
acknowledged is lost, and what goes wrong is said.

    disk.py stall|faults|ext4 DIRECTORY

ZK_KIND=apache shows that the tests see what they look for: Apache's reads wait for a slow disk and
Apache ends when a call fails; a restart must have every acknowledged write all the same.
"""

import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "lib"), os.path.join(HERE, "../clients/lib")]
import zkwire as zk
from client import Client, Wrong, wrong
from drive import drive
from faultfs import FaultFs
from model import seeded
from server import Failed, Server
from tree import Tree

KIND = os.environ.get("ZK_KIND", "zokor")
ZOKOR = KIND == "zokor"
STALL_MS = 3000


class Site:
    """A server on a directory that can go wrong, and clients with a memory."""

    def __init__(self, directory, data, seed, conf=None):
        conf = dict({"maxSessionTimeout": 60000, "preAllocSize": 64}, **(conf or {}))
        self.server = Server(KIND, data, os.path.join(directory, "server.log"), conf)
        self.clients = [Client("k%d" % i, seeded(seed, i), window=(1, 16, 64)[i % 3])
                        for i in range(3)]

    def begin(self):
        self.server.start()
        with zk.Conn() as conn:
            for path in ["/c", "/shared"] + [p for c in self.clients for p in
                                             (c.base, c.base + "/n")]:
                wrong(conn.call(zk.CREATE, zk.create(path, b"")).err, "create of %s", path)
            conn.close()

    def acknowledged(self):
        return sum(c.acknowledged for c in self.clients)

    def after_restart(self):
        """Everything acknowledged is there, nothing is there by half, and writing goes on."""
        self.server.start()
        with zk.Conn() as conn:
            tree = Tree(conn, ["/c", "/shared"])
            conn.close()
        for client in self.clients:
            client.resolve(tree)
        self.server.digest_ok()
        before = self.acknowledged()
        for _ in range(10):
            drive(self.clients, 0.5)
            if self.acknowledged() > before:
                return
        raise Wrong("nothing is acknowledged after the restart")


# ---- a slow disk
def percentile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * part))] if values else 0.0


class Watchers:
    """The processes whose sessions must live."""

    def __init__(self, directory):
        self.files, self.processes = {}, {}
        for how in ("read", "ping", "write"):
            self.files[how] = os.path.join(directory, how + ".out")
            with open(self.files[how], "wb") as out:
                self.processes[how] = subprocess.Popen(
                    [sys.executable, os.path.join(HERE, "reader.py"), how, "/alive-" + how],
                    stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def end(self):
        """@return what each of them has to say about its end, and its latencies."""
        out = {}
        for how, process in self.processes.items():
            process.terminate()
            process.wait()
            with open(self.files[how]) as f:
                lines = f.read().splitlines()
            times = [tuple(map(float, line.split())) for line in lines
                     if line and line[0].isdigit()]
            out[how] = (process.returncode, lines[-1] if lines else "", times)
        return out


def stall(directory):
    disk = FaultFs(directory)
    site = Site(directory, disk.data, 7)
    watchers = None
    try:
        site.begin()
        disk.command("settle 1")
        watchers = Watchers(directory)
        time.sleep(1.0)
        marks = [time.monotonic()]
        for ms, seconds in ((0, 3.0), (STALL_MS, 2.5 * STALL_MS / 1000), (0, STALL_MS / 1000 + 1.5)):
            disk.command("stall %d" % ms)
            before = site.acknowledged()
            drive(site.clients, seconds)
            marks.append(time.monotonic())
            if not ms:
                wrong(site.acknowledged() == before, "nothing is acknowledged by a quick disk")
        ends = watchers.end()
        read = [[t for at, t in ends["read"][2] if a <= at < b] for a, b in zip(marks, marks[1:])]
        p99 = [percentile(part, 0.99) * 1000 for part in read]
        worst = [max(part, default=0) * 1000 for part in read]
        said = "p99 of reads %.1f ms with a quick disk, %.1f ms while each sync takes %d ms; " \
            "worst %.0f ms, %.0f ms" % (p99[0], p99[1], STALL_MS, worst[0], worst[1])
        if ZOKOR:
            for how, (status, last, _) in ends.items():
                wrong(status != 0 or last != "alive", "session %s: %s", how, last)
            wrong(len(read[1]) < 100, "%d reads during the stalls", len(read[1]))
            wrong(p99[1] > max(3 * p99[0], 20), "%s", said)
            wrong(worst[1] > 1000, "%s", said)
        else:
            wrong(max(worst) < STALL_MS / 2, "Apache does not feel the slow disk: %s", said)
        slowest = max(t for _, t in ends["write"][2]) if ends["write"][2] else 0
        wrong(ZOKOR and slowest < STALL_MS / 2000, "a write was acknowledged before its sync: "
              "slowest %.3f s", slowest)
        site.server.kill()
        disk.command("crash 1")
        site.after_restart()
        return said
    finally:
        if watchers:
            for process in watchers.processes.values():
                process.kill()
        site.server.reap()
        disk.end()


# ---- a disk that fails
FAULTS = (("write", "EIO"), ("write", "ENOSPC"), ("create", "ENOSPC"), ("rename", "EIO"),
          ("sync-dir", "EIO"), ("sync", "EIO"), ("sync", "ENOSPC"), ("all", "EROFS"))


def says_trouble(site):
    wrong(site.server.mntr().get("zk_log_state", "0") in ("0", "0.0"),
          "mntr does not show zk_log_state: %s", site.server.mntr().get("zk_log_state"))
    wrong("log=f" not in site.server.log(), "nothing in the log")


def one_fault(directory, number, fault):
    here = os.path.join(directory, "%d" % number)
    os.makedirs(here)
    disk = FaultFs(here)
    site = Site(here, disk.data, number, {"snapCount": 300})
    call, error = fault
    try:
        disk.command("strict %d" % ZOKOR)
        disk.command("ordered %d" % (not ZOKOR))
        site.begin()
        if not ZOKOR:
            disk.command("settle 1")    # Apache does not sync its first snapshot
        reader = zk.Conn()
        wrong(reader.call(zk.EXISTS, zk.watched("/c")).err, "a read before")
        drive(site.clients, 0.5)
        disk.command("fail %s %s" % fault)
        drive(site.clients, 1.0, tolerant=True)
        stopped = site.acknowledged()
        drive(site.clients, 0.7, tolerant=True)
        after = site.acknowledged()
        if ZOKOR:
            wrong(not site.server.alive(), "the server ended with status %s",
                  site.server.process.returncode)
            touched = site.server.mntr().get("zk_log_state", "0") not in ("0", "0.0")
            wrong(touched and after != stopped, "writes are acknowledged by a log that failed")
            wrong(not touched and call in ("write", "sync", "all"), "the fault was not noticed")
            wrong(reader.call(zk.GET_DATA, zk.watched("/c/k0/n")).err, "a read")
            if touched:
                says_trouble(site)
            status = site.server.stop()
            wrong(touched and status != 1, "exit status %d", status)
            said = "exit %d%s" % (status, "" if touched else " (log not touched)")
        else:
            said = "ended" if not site.server.alive() else "went on"
            site.server.reap()
        disk.command("fail none")
        disk.command("crash %d" % number)
        site.after_restart()
        site.server.kill()
        return said
    finally:
        site.server.reap()
        disk.end()


def short_writes(directory):
    disk = FaultFs(directory)
    site = Site(directory, disk.data, 11)
    try:
        disk.command("short 1000")
        site.begin()
        drive(site.clients, 1.5)
        wrong(site.acknowledged() < 100, "only %d writes", site.acknowledged())
        site.server.kill()
        site.after_restart()
    finally:
        site.server.reap()
        disk.end()


def faults(directory):
    said = []
    for number, fault in enumerate(FAULTS if ZOKOR else FAULTS[:3]):
        try:
            said.append("%s %s: %s" % (*fault, one_fault(directory, number, fault)))
        except (Wrong, Failed) as err:
            # Apache does not always come back right: it was seen to lose acknowledged writes, or to
            # refuse its own log, after a call that failed. It shows here that this is seen.
            if ZOKOR:
                raise Wrong("%s %s: %s" % (*fault, err)) from err
            said.append("%s %s: NOT RIGHT: %.100s" % (*fault, str(err).split("\n", 1)[0]))
    short_writes(directory)
    return "; ".join(said) + "; short writes"


# ---- a real file system
class Ext4:
    def __init__(self, directory, mebibytes):
        self.image = os.path.join(directory, "image")
        self.mountpoint = os.path.join(directory, "mnt")
        with open(self.image, "wb") as f:
            f.truncate(mebibytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0", self.image],
                       check=True)
        os.makedirs(self.mountpoint)
        self.data = os.path.join(self.mountpoint, "data")
        self.device = None
        self.mount()

    def mount(self):
        self.device = subprocess.run(["losetup", "-f", "--show", self.image], check=True,
                                     capture_output=True).stdout.decode().strip()
        subprocess.run(["mount", "-t", "ext4", "-o", "errors=remount-ro", self.device,
                        self.mountpoint], check=True)

    def umount(self):
        subprocess.run(["umount", self.mountpoint], check=False)
        if self.device:
            subprocess.run(["losetup", "-d", self.device], check=False)
        self.device = None

    def ballast(self, leave):
        """Fill the file system but for so many bytes."""
        st = os.statvfs(self.mountpoint)
        size = st.f_bavail * st.f_frsize - leave
        fd = os.open(os.path.join(self.mountpoint, "ballast"), os.O_CREAT | os.O_WRONLY)
        os.posix_fallocate(fd, 0, size)
        os.close(fd)

    def room_again(self):
        os.unlink(os.path.join(self.mountpoint, "ballast"))

    def break_it(self):
        """The kernel finds an error and makes the file system read-only under the server."""
        name = os.path.basename(self.device)
        with open("/sys/fs/ext4/%s/trigger_fs_error" % name, "w") as f:
            f.write("a test")

    def repair(self):
        self.umount()
        subprocess.run(["e2fsck", "-fy", self.image], check=False, stdout=subprocess.DEVNULL)
        self.mount()


def until_refused(site, seconds=20.0):
    """Write until no more is acknowledged. @return how many operations were."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        before = site.acknowledged()
        drive(site.clients, 1.0, tolerant=True)
        if site.acknowledged() == before or not site.server.alive():
            return site.acknowledged()
    raise Wrong("writes are still acknowledged after %g s" % seconds)


def full_disk(site, disk, at_once):
    """The disk fills up; room comes back while the server runs, or before it is started again."""
    disk.ballast(3 << 20)
    count = until_refused(site)
    if ZOKOR:
        wrong(not site.server.alive(), "the server ended with status %s",
              site.server.process.returncode)
        says_trouble(site)
        wrong(site.reader.call(zk.GET_DATA, zk.watched("/c/k0/n")).err, "a read on a full disk")
    if at_once and ZOKOR:
        disk.room_again()
        end = time.monotonic() + 15
        while site.server.mntr().get("zk_log_state", "0") not in ("0", "0.0"):
            wrong(time.monotonic() > end, "the log does not go on although there is room")
            time.sleep(0.1)
        with zk.Conn() as conn:
            tree = Tree(conn, ["/c", "/shared"])
            conn.close()
        for client in site.clients:
            client.resolve(tree)
        drive(site.clients, 0.5)
        wrong(site.acknowledged() <= count, "nothing is acknowledged although there is room")
        site.server.stopped_clean()
    else:
        if site.server.alive():
            site.server.kill()
        disk.room_again()
    site.after_restart()
    return count


def ext4(directory):
    disk = Ext4(directory, 256)
    site = Site(directory, disk.data, 5, {"preAllocSize": 256, "snapCount": 2000})
    said = []
    try:
        site.begin()
        for at_once in (False, True):
            site.reader = zk.Conn()
            said.append("full after %d operations" % full_disk(site, disk, at_once))
        if not ZOKOR:
            return "; ".join(said)
        said.append("broken")
        site.reader = zk.Conn()
        drive(site.clients, 0.5)
        disk.break_it()     # writes are under way
        until_refused(site)
        says_trouble(site)
        wrong(site.reader.call(zk.GET_DATA, zk.watched("/c/k0/n")).err, "a read, read-only")
        status = site.server.stop()
        wrong(status != 1, "exit status %d on a read-only file system", status)
        disk.repair()
        site.after_restart()
        site.server.stopped_clean()
        return "; ".join(said) + "; read-only under the server, repaired"
    except (Wrong, Failed) as err:
        raise Wrong("%s; then: %s" % ("; ".join(said), err)) from err
    finally:
        site.server.reap()
        disk.umount()


def main():
    name, directory = sys.argv[1:]
    try:
        said = {"stall": stall, "faults": faults, "ext4": ext4}[name](directory)
    except (Wrong, Failed, OSError, zk.Closed, ValueError) as err:
        print("FAIL %s: %s: %s" % (name, type(err).__name__, err))
        return 1
    print("ok " + said)
    return 0


sys.exit(main())
