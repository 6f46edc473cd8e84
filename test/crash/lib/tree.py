# SPDX-License-Identifier: Apache-2.0
"""The whole tree as a server answers it, read by one pipelined connection."""

import model
import zkwire as zk
from client import wrong

BATCH = 256


def pipelined(conn, op, bodies):
    """The replies to many requests of one kind, in order."""
    out = []
    for i in range(0, len(bodies), BATCH):
        part = bodies[i:i + BATCH]
        first = conn.xid + 1
        conn.xid += len(part)
        conn.send(b"".join(zk.request(first + k, op, b) for k, b in enumerate(part)))
        out += [conn.answer(first + k) for k in range(len(part))]
    return out


def everything(conn):
    """All that a server answers about every node: path -> (data, ACL, Stat as a tuple)."""
    out = {}
    todo = ["/"]
    while todo:
        data = pipelined(conn, zk.GET_DATA, [zk.watched(p) for p in todo])
        rights = pipelined(conn, zk.GET_ACL, [zk.buf(p) for p in todo])
        kids = pipelined(conn, zk.GET_CHILDREN, [zk.watched(p) for p in todo])
        below = []
        for path, got, acl, names in zip(todo, data, rights, kids):
            wrong(got.err or acl.err or names.err, "%s: errors %d, %d, %d", path, got.err, acl.err,
                  names.err)
            value = got.body.buf()
            stat = got.body.stat()
            out[path] = (value, tuple(acl.body.acls()), tuple(vars(stat).items()))
            below += [path.rstrip("/") + "/" + name for name in names.body.strings()]
        todo = below
    return out


def differences(one, other, most=8):
    """What differs between two results of everything(), as lines."""
    out = []
    for path in sorted(one.keys() | other.keys()):
        if one.get(path) == other.get(path):
            continue
        if path not in one or path not in other:
            out.append("%s: only %s" % (path, "before" if path in one else "after"))
            continue
        for what, a, b in zip(("data", "ACL", "Stat"), one[path], other[path]):
            if a != b:
                if what == "Stat":
                    a, b = (dict(set(x) - set(y)) for x, y in ((a, b), (b, a)))
                out.append("%s: %s: %.200r, then %.200r" % (path, what, a, b))
    return out[:most] + (["and %d more" % (len(out) - most)] if len(out) > most else [])


class Tree:
    """Paths below the given roots: path -> (data, Stat)."""

    def __init__(self, conn, roots):
        self.nodes = {}
        todo = list(roots)
        while todo:
            data = pipelined(conn, zk.GET_DATA, [zk.watched(p) for p in todo])
            kids = pipelined(conn, zk.GET_CHILDREN, [zk.watched(p) for p in todo])
            below = []
            for path, got, names in zip(todo, data, kids):
                wrong(got.err != 0 or names.err != 0, "%s: listed, but reading gives error %d",
                      path, got.err or names.err)
                value = got.body.buf()
                stat = got.body.stat()
                children = names.body.strings()
                wrong(stat.children != len(children), "%s: %d children listed, %d counted", path,
                      len(children), stat.children)
                self.nodes[path] = (value, stat)
                below += [path.rstrip("/") + "/" + name for name in children]
            todo = below
        self.parts = {}
        self.sort()

    def sort(self):
        """What belongs to which client, by the bytes of the data."""
        last = -1
        for path, (value, stat) in self.nodes.items():
            top, _, tail = path[1:].partition("/")
            if top == "c" and "/" in tail:
                name = tail.split("/")[0]
                own, _ = self.parts.setdefault(name, ({}, {}))
                own[path] = (self.operation(path, value, name, stat), stat.version)
        order = sorted((p for p in self.nodes if p.startswith("/shared/")),
                       key=lambda p: self.nodes[p][1].czxid)
        for path in order:
            number = int(path[-10:])
            wrong(number <= last, "%s: made after the node with number %d", path, last)
            last = number
            value = self.nodes[path][0]
            name = value.split(b":")[0].decode()
            _, shared = self.parts.setdefault(name, ({}, {}))
            op = self.operation(path, value, name, self.nodes[path][1])
            wrong(op in shared, "%s and %s are one operation of %s", path, shared.get(op), name)
            shared[op] = path.rsplit("/", 1)[1]

    @staticmethod
    def operation(path, value, name, stat):
        """The number of the operation that wrote the data, which must be whole."""
        if not value and stat.version == 0:
            return 0
        parts = value.split(b":", 2)
        number = int(parts[1])
        wrong(value != model.payload(name, number), "%s: not the data that was written", path)
        return number

    def made(self, path):
        """How many children this node has ever had: the next sequence number. Its cversion counts
        those that were made and those that went."""
        stat = self.nodes[path][1]
        wrong((stat.cversion + stat.children) % 2, "%s: cversion %d with %d children", path,
              stat.cversion, stat.children)
        return (stat.cversion + stat.children) // 2

    def part(self, client):
        return self.parts.get(client.name, ({}, {}))
