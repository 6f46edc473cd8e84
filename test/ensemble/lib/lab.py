# SPDX-License-Identifier: Apache-2.0
"""An ensemble of real servers of either kind, each on its own port of one bridge.

A zokord joins its TAP to the bridge; an Apache server lives in a network namespace of its own behind
a veth, so that what cuts, loses or delays frames on the bridge hits both kinds alike. The caller
runs in network, pid and mount namespaces of its own (test/ensemble/run.sh): nothing outlives it.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TEST = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(TEST, "crash/lib"), os.path.join(TEST, "clients/lib")]
from server import PORT, Failed, Server

BRIDGE, NET, HOST_TAIL = "zbr", "10.181.9.", "254"
QUORUM_PORT, ELECTION_PORT = 2888, 3888
KINDS = ("apache", "zokor")
SERVING = ("leader", "follower", "observer")


def sh(*argv, check=True, **kwargs):
    return subprocess.run(argv, check=check, stdin=subprocess.DEVNULL, **kwargs)


def until(condition, what, seconds=30.0, step=0.02):
    """Wait until condition() is true; what it returned is the result."""
    end = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise Failed("after %g s still not: %s" % (seconds, what))
        time.sleep(step)


class Member(Server):
    """One server of an ensemble; its kind may change between two lives."""

    def __init__(self, lab, sid, kind, observer=False):
        if kind not in KINDS:
            raise ValueError("%s is no kind of server" % kind)
        directory = os.path.join(lab.directory, "s%d" % sid)
        os.makedirs(directory, exist_ok=True)
        super().__init__(kind, os.path.join(directory, "data"), os.path.join(directory, "log"))
        self.lab, self.sid, self.observer = lab, sid, observer
        self.address = NET + str(sid)
        self.port_name = "zt%d" % sid
        self.holder = None      # keeps the namespace of an Apache server
        self.java = ["-Xmx256m"]
        self.stopped = False    # by SIGSTOP

    def __str__(self):
        return "%s %d" % (self.kind, self.sid)

    def config(self):
        conf = super().config()
        conf.update({"initLimit": 20, "syncLimit": 4, "admin.enableServer": "false",
                     "digest.enabled": "true", "4lw.commands.whitelist": "*"})
        for member in self.lab.members:
            conf["server.%d" % member.sid] = "%s:%d:%d%s" % (
                member.address, QUORUM_PORT, ELECTION_PORT, ":observer" if member.observer else "")
        if self.observer:
            conf["peerType"] = "observer"
        if self.kind == "apache":
            conf["clientPortAddress"] = self.address
        else:
            del conf["dp.tapHostAddress"]
            conf.update({"dp.device": "tap:" + self.port_name, "dp.address": self.address + "/24",
                         "dp.tapBridge": BRIDGE})
        conf.update(self.lab.conf)
        conf.update(self.conf)
        return conf

    # ---- its port of the bridge
    def wire(self):
        if self.kind == "zokor":
            self.unwire()
            self.unlearn()
            return
        if self.holder:
            return
        self.holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "-n", "sleep", "infinity"],
            stdin=subprocess.DEVNULL)
        own, space = os.readlink("/proc/self/ns/net"), "/proc/%d/ns/net" % self.holder.pid
        until(lambda: os.readlink(space) != own, "a network namespace", 5, 0.002)
        mtu = ["mtu", str(self.lab.conf.get("dp.mtu", 1500))]
        sh("ip", "link", "add", self.port_name, *mtu, "type", "veth", "peer", "name", "eth0", *mtu,
           "netns", str(self.holder.pid))
        sh("ip", "link", "set", self.port_name, "master", BRIDGE, "up")
        self.inside("sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=1",
                    "net.ipv4.conf.eth0.arp_notify=1")
        self.inside("ip", "link", "set", "lo", "up")
        self.inside("ip", "addr", "add", self.address + "/24", "dev", "eth0")
        self.inside("ip", "link", "set", "eth0", "up")
        self.unlearn()

    def unlearn(self):
        """Another kind has another MAC. Linux believes a gratuitous ARP only if it has learned
        nothing of the address for a second, and its old entry for up to 45 s."""
        sh("ip", "neigh", "flush", "to", self.address, "dev", BRIDGE)

    def unwire(self):
        if self.holder:
            self.holder.kill()
            self.holder.wait()
            self.holder = None
            sh("ip", "link", "del", self.port_name, check=False, stderr=subprocess.DEVNULL)

    def inside(self, *argv):
        sh("nsenter", "--net=/proc/%d/ns/net" % self.holder.pid, *argv)

    # ---- one life
    def argv(self, cfg):
        argv = super().argv(cfg)
        if self.holder:
            return ["nsenter", "--net=/proc/%d/ns/net" % self.holder.pid] + argv
        return argv

    def spawn(self):
        self.wire()
        os.makedirs(self.data, exist_ok=True)
        with open(os.path.join(self.data, "myid"), "w") as f:
            f.write("%d\n" % self.sid)
        self.stopped = False
        super().spawn()

    def mode(self, timeout=0.5):
        """leader, follower, observer, or None while it does not serve."""
        if not self.alive() or self.stopped:
            return None
        found = re.search(r"^Mode: (\w+)", self.word("srvr", timeout) or "", re.M)
        return found.group(1) if found and found.group(1) in SERVING else None

    def served(self, seconds=60.0):
        """Wait until it has a role."""
        def ready():
            if self.process.poll() is not None:
                raise Failed("%s ended with status %d\n%s" % (
                    self, self.process.returncode, self.tail()))
            return self.mode()
        mode = until(ready, "%s serves" % self, seconds)
        self.started_ms = (time.monotonic() - self.mark) * 1000
        return mode

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)
        self.stopped = True

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)
        self.stopped = False

    def reap(self):
        super().reap()
        self.unwire()

    def wipe(self):
        shutil.rmtree(self.data, ignore_errors=True)


class Lab:
    """kinds: one for each voter, sids from first; observers: kinds of what comes after them."""
    bridged = False

    def __init__(self, directory, kinds, observers=(), conf=None, first=1):
        self.directory = directory
        self.conf = dict(conf or {})
        self.first = first
        self.members = []
        for kind in list(kinds) + list(observers):
            n = len(self.members)
            self.members.append(Member(self, first + n, kind, observer=n >= len(kinds)))
        self.cuts, self.loss = set(), 0
        if Lab.bridged:
            return      # by another ensemble, whose sids, and so addresses, are others or whose
                        # turn comes before or after this one's
        Lab.bridged = True
        sh("mount", "-t", "sysfs", "sysfs", "/sys")
        sh("ip", "link", "set", "lo", "up")
        sh("ip", "link", "add", BRIDGE, "type", "bridge")
        # Without a MAC of its own the bridge takes a port's and changes it when that port goes.
        sh("ip", "link", "set", BRIDGE, "address", "02:00:00:00:09:fe")
        sh("sysctl", "-qw", "net.ipv6.conf.%s.disable_ipv6=1" % BRIDGE)
        # Where a container engine runs, bridged frames go through iptables, too: nothing of ours.
        sh("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0", check=False,
           stderr=subprocess.DEVNULL)
        sh("ip", "addr", "add", NET + HOST_TAIL + "/24", "dev", BRIDGE)
        sh("ip", "link", "set", BRIDGE, "up")

    def __getitem__(self, sid):
        return self.members[sid - self.first]

    # ---- lives
    def start(self, *members, seconds=60.0):
        """Start them at once and wait until each has a role."""
        for member in members:
            member.spawn()
        for member in members:
            member.served(seconds)

    def begin(self, leader=None):
        """The first start of all; the servers are empty, so that the larger sid of two leads.
        leader: the sid that is to lead (not the first), the last voter when it is not given."""
        voters = [m for m in self.members if not m.observer]
        leader = self[leader] if leader else voters[-1]
        quorum = [m for m in voters if m.sid < leader.sid][-(len(voters) // 2):] + [leader]
        self.start(*quorum)
        self.start(*(m for m in self.members if m not in quorum))
        if self.leader() is not leader:
            raise Failed("%s leads, not %s" % (self.leader(), leader))

    def living(self):
        return [m for m in self.members if m.alive()]

    def roles(self):
        return {m: m.mode() for m in self.members}

    def leader(self):
        found = [m for m, mode in self.roles().items() if mode == "leader"]
        return found[0] if len(found) == 1 else None

    @staticmethod
    def epoch(member):
        """Its current epoch, as its file says."""
        with open(os.path.join(member.data, "version-2", "currentEpoch")) as f:
            return int(f.read())

    def settled(self, members=None, seconds=30.0):
        """Wait until one server leads and all of them (default: all that live) serve. @return it"""
        members = self.living() if members is None else members

        def ready():
            for m in members:
                if m.process.poll() is not None:
                    raise Failed("%s ended with status %d\n%s" % (
                        m, m.process.returncode, m.tail()))
            modes = [m.mode() for m in members]
            return None not in modes and modes.count("leader") == 1 and \
                members[modes.index("leader")]
        return until(ready, "one leader and followers of %s" % ", ".join(map(str, members)), seconds)

    def end(self):
        for member in self.members:
            member.reap()

    def tails(self, lines=15):
        return "\n".join("--- %s\n%s" % (m, m.tail(lines)) for m in self.members if m.process)

    # ---- the wires
    def rules(self):
        """Put self.cuts (pairs of port names, from and to; None is the host) and self.loss (percent
        of all frames) into force."""
        drop = []
        if self.loss:
            drop.append("numgen random mod 1000 < %d drop" % round(self.loss * 10))
        chains = {"forward": list(drop), "input": list(drop), "output": list(drop)}
        for a, b in sorted(self.cuts, key=str):
            if a and b:
                chains["forward"].append("iifname %s oifname %s drop" % (a, b))
            elif a:
                chains["input"].append("iifname %s drop" % a)
            else:
                chains["output"].append("oifname %s drop" % b)
        text = "table bridge lab\ndelete table bridge lab\ntable bridge lab {\n"
        for hook, rules in chains.items():
            text += "chain %s {\ntype filter hook %s priority 0;\n%s\n}\n" % (
                hook, hook, "\n".join(rules))
        subprocess.run(["nft", "-f", "-"], input=text + "}\n", text=True, check=True)

    def cut(self, ones, others, one_way=False):
        """No frame from one side to the other, and none back unless one_way."""
        for a in ones:
            for b in others:
                names = a and a.port_name, b and b.port_name
                self.cuts.add(names)
                if not one_way:
                    self.cuts.add(names[::-1])
        self.rules()

    def isolate(self, member):
        """From the other servers; clients still reach it."""
        self.cut([member], [m for m in self.members if m is not member])

    def heal(self):
        self.cuts.clear()
        self.rules()

    def lose(self, percent):
        self.loss = percent
        self.rules()
