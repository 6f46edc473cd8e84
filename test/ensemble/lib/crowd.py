# SPDX-License-Identifier: Apache-2.0
"""An ensemble under clients with a memory: what was acknowledged must be there, on every server."""

import re
import selectors
import time

from lab import Failed, until
import zkwire as zk
from client import Client, Wrong, wrong
from drive import drive
from model import seeded
from tree import Tree, differences, everything

CLIENTS = 6
SESSION_MOVED = -118
CONFIG = "/zookeeper/config"


def of_config(node):
    """The config node without what each server fills in by itself: order of lines and times."""
    value, acl, stat = node
    return (tuple(sorted((value or b"").split(b"\n"))), acl,
            tuple(s for s in stat if s[0] not in ("mtime", "length")))


class Site:
    def __init__(self, lab, seed, clients=CLIENTS, digests=True):
        self.lab, self.compare_digests = lab, digests
        self.clients = [Client("k%d" % i, seeded(seed, "client", i), window=(1, 16, 64)[i % 3])
                        for i in range(clients)]
        self.at = {}            # client -> member
        self.lost_connections = 0
        self.unknown = self.survived = 0
        self.highest = -1       # of the shared sequence numbers that were ever sure
        self.zxid = 0
        for client in self.clients:
            client.dial_s = 2
            client.maker.others = [c.base + "/n" for c in self.clients]

    def begin(self):
        """The nodes that everything hangs from."""
        with self.conn(self.lab.settled()) as conn:
            for path in ["/c", "/shared"] + [p for c in self.clients for p in
                                             (c.base, c.base + "/n")]:
                wrong(conn.call(zk.CREATE, zk.create(path, b"")).err, "create of %s", path)
            conn.close()

    def conn(self, member, **kwargs):
        return zk.Conn(host=member.address, **kwargs)

    def spread(self, members=None):
        """Clients without a connection go to these servers (default: all that serve), in turn."""
        members = members or [m for m, mode in self.lab.roles().items() if mode]
        for i, client in enumerate(self.clients):
            if not client.sock:
                self.at[client] = members[i % len(members)]
                client.address = self.at[client].address

    def load(self, seconds):
        """Write; a connection that a server ends stays ended.  @return operations acknowledged"""
        before = self.acknowledged()
        drive(self.clients, seconds, tolerant=True)
        return self.acknowledged() - before

    def acknowledged(self):
        return sum(c.acknowledged for c in self.clients)

    def left(self, member):
        """The server was killed: what it had sent before was promised."""
        for client in self.clients:
            if self.at.get(client) is member:
                client.drain()
                client.drop()

    def connected(self, *but):
        """The clients that have a connection, to other servers than these."""
        return [c for c in self.clients if c.sock and c.hello and self.at[c] not in but]

    def rest(self, seconds=10.0):
        """Nothing new; wait for the answers to all that is under way, then end the connections."""
        windows = [c.window for c in self.clients]
        selector = selectors.DefaultSelector()
        for client in self.clients:
            client.window = 0
            if client.sock:
                selector.register(client.sock, selectors.EVENT_READ, client)
        end = time.monotonic() + seconds
        while selector.get_map() and time.monotonic() < end:
            for key, _ in selector.select(0.05):
                if not key.data.readable():
                    selector.unregister(key.fileobj)
                    key.data.drop()
            for key in list(selector.get_map().values()):
                client = key.data
                if client.output:
                    client.writable()
                if not client.sent and client.hello:
                    selector.unregister(client.sock)
                    client.drop()
        late = [k.data for k in selector.get_map().values()]
        selector.close()
        for client, window in zip(self.clients, windows):
            client.window = window
            client.drop()
        wrong(late, "no answer for %g s: %s", seconds, ", ".join(
            "%s at %s, %d under way" % (c.name, self.at[c], len(c.sent)) for c in late))

    # ---- what all servers have
    def asked(self, member, read):
        """What read(connection) gives after a sync. Who ends the connection is asked again when it
        serves again: now and then an Apache 3.8.0 leaves pipelined reads unanswered until the
        session expires, also among its own, and any may lose its role on a slow machine."""
        for again in (3, 2, 1, 0):
            try:
                with self.conn(member, session_ms=4000) as conn:
                    wrong(conn.call(zk.SYNC, zk.buf("/")).err, "sync at %s", member)
                    got = read(conn)
                    conn.close()
                    return got
            except (zk.Closed, OSError):
                if not again:
                    raise
                self.lab.settled()
        return None

    def trees(self, members=None):
        """Every server's tree after a sync, which must be the same. @return it"""
        members = members or [m for m, mode in self.lab.roles().items() if mode]
        first = None
        for member in members:
            nodes = self.asked(member, everything)
            nodes[CONFIG] = of_config(nodes[CONFIG])
            if first is None:
                first, whose = nodes, member
            bad = differences(first, nodes)
            wrong(bad, "trees of %s (before) and %s (after) differ:\n    %s", whose, member,
                  "\n    ".join(bad))
        if self.compare_digests:
            self.digests(members)
        return len(first)

    def digests(self, members):
        """Equal where two servers know one for the same zxid."""
        known = {}
        for member in members:
            for line in re.findall(r"^([0-9a-f]{1,16}): (-?[0-9]+)$",
                                   member.word("hash") or "", re.M):
                whose, digest = known.setdefault(line[0], (member, line[1]))
                wrong(digest != line[1], "digest at zxid %s: %s at %s, %s at %s", line[0], digest,
                      whose, line[1], member)
            member.digest_ok()

    def verify(self, members=None, same=True):
        """After rest(): all that was acknowledged is there, on every one of these servers.
        same False: others write meanwhile, only the leader is asked."""
        size = self.trees(members) if same else 0
        tree = self.asked(self.lab.settled(members), lambda conn: Tree(conn, ["/c", "/shared"]))
        for client in self.clients:
            self.unknown += len(client.sent)
            self.survived += client.resolve(tree)
        for path, (_, stat) in tree.nodes.items():
            if path.startswith("/shared/"):
                wrong(stat.czxid > self.zxid and int(path[-10:]) <= self.highest,
                      "%s: a number that had been used before", path)
        self.highest = max([int(p[-10:]) for p in tree.nodes if p.startswith("/shared/")] +
                           [self.highest])
        self.zxid = max(s.czxid for _, s in tree.nodes.values())
        return size


def barrier(site, writer, reader, rounds):
    """sync as a barrier: what was written on one server is read on another one after a sync. Begun
    again when a server ends a connection, for the reasons of Site.asked()."""
    for again in (3, 2, 1, 0):
        try:
            return barrier_once(site, writer, reader, rounds)
        except (zk.Closed, OSError):
            if not again:
                raise
            site.lab.settled()
    return None


def barrier_once(site, writer, reader, rounds):
    with site.conn(writer) as a, site.conn(reader) as b:
        a.call(zk.CREATE, zk.create("/barrier", b""))
        stale = 0
        for number in range(rounds):
            data = b"%d" % number
            wrong(a.call(zk.SET_DATA, zk.set_data("/barrier", data)).err, "set at %s", writer)
            wrong(b.call(zk.SYNC, zk.buf("/barrier")).err, "sync at %s", reader)
            stale += b.call(zk.GET_DATA, zk.watched("/barrier")).body.buf() != data
        wrong(stale, "%d of %d reads at %s after a sync did not see what %s had answered", stale,
              rounds, reader, writer)
        a.close()
        b.close()


class Mover:
    """One session that goes from server to server: its ephemeral stays, it reads its own writes at
    once, its watch tells a change that came while it was away, what it has left writes no more."""

    def __init__(self, site, members, path="/moves"):
        self.site, self.path = site, path
        self.conn = site.conn(members[0], session_ms=15000)
        self.session, self.password = self.conn.session, self.conn.password
        self.zxid = 0
        self.number = 0
        wrong(self.conn.call(zk.CREATE, zk.create(path, b"")).err, "create of %s", path)
        wrong(self.conn.call(zk.CREATE, zk.create(path + "/e", b"", flags=1)).err, "ephemeral")

    def arrive(self, member):
        """A server that is behind what the session has seen ends the connection."""
        def come():
            try:
                return self.site.conn(member, session=self.session, password=self.password,
                                      zxid=self.zxid, session_ms=15000)
            except (zk.Closed, ConnectionError):
                return None
        conn = until(come, "%s takes the session" % member, 5)
        wrong(conn.session != self.session, "%s: session %x became %x", member, self.session,
              conn.session)
        return conn

    def move(self, member):
        data, mine = b"%d" % self.number, self.path + "/e"
        try:
            self.conn.call(zk.EXISTS, zk.watched("/"))
        except (zk.Closed, OSError):    # it has lost its leader
            self.conn = self.arrive(self.site.lab.settled())
        got = self.conn.call(zk.SET_DATA, zk.set_data(self.path, data, self.number))
        wrong(got.err, "set %d before %s: error %d", self.number, member, got.err)
        self.zxid = got.zxid
        new = self.arrive(member)
        got = new.call(zk.GET_DATA, zk.watched(self.path))
        wrong(got.body.buf() != data, "%s: its own write was not read", member)
        wrong(got.zxid < self.zxid, "%s: zxid %x after %x", member, got.zxid, self.zxid)
        # A watch from before: the change comes through another session meanwhile.
        with self.site.conn(self.site.lab.settled()) as other:
            wrong(other.call(zk.SET_DATA, zk.set_data(mine, data)).err, "set of the other")
            other.close()
        new.send(zk.request(-8, zk.SET_WATCHES, zk.set_watches(self.zxid, [mine], [], [])))
        seen = set()
        while seen != {-8, mine}:
            got = new.reply()
            seen.add(got.event()[2] if got.xid == -1 else got.xid)
        # What has been left may not write any more.
        try:
            err = self.conn.call(zk.SET_DATA, zk.set_data(mine, b"late")).err
        except zk.Closed:
            err = SESSION_MOVED
        wrong(err != SESSION_MOVED, "%s: a write on the connection that was left: error %d",
              member, err)
        self.conn.sock.close()
        self.conn = new
        self.number += 1

    def end(self):
        mine = self.path + "/e"
        body = self.conn.call(zk.GET_DATA, zk.watched(mine)).body
        body.buf()
        wrong(body.stat().owner != self.session, "the ephemeral belongs to another session")
        self.conn.close()
        with self.site.conn(self.site.lab.settled()) as other:
            wrong(other.call(zk.EXISTS, zk.watched(mine)).err != zk.NOT_FOUND,
                  "the ephemeral is still there after its session")
            wrong(other.call(zk.DELETE, zk.versioned(self.path)).err, "delete of %s", self.path)
            other.close()
