# SPDX-License-Identifier: Apache-2.0
"""Frames: hostile lengths, short and long bodies of every request, xids, unknown opcodes."""

import wire as w
import zkwire as zk
from book import case, table


@table([(str(n), n) for n in (0x100000, 0x7fffffff, 0, -1, -2, -2**31, 1, 3, 4, 7, 0x72756f6b)])
def frame_length(run, length):
    c = run.conn()
    c(w.exists("/zookeeper"))
    c.feed(zk.i32(length) + bytes(max(0, min(length, 64))), "frame of length %d" % length)


@table([(str(n), n) for n in (0x100000, 0x7fffffff, 0, -1, -2**31, 1, 7)])
def first_frame_length(run, length):
    c = run.conn(connect=False)
    c.feed(zk.i32(length) + bytes(max(0, min(length, 64))), "first frame of length %d" % length)


@case
def largest_frame(run):
    c = run.conn()
    record = zk.i32(1) + zk.i32(zk.EXISTS) + zk.watched("/zookeeper")
    c(w.Req(zk.EXISTS, b"", "exists in a frame of 0xfffff bytes", 1)._replace(
        body=zk.watched("/zookeeper") + bytes(0xfffff - len(record))))
    c(w.exists("/zookeeper"))


@case
def odd_xids(run):
    c = run.conn()
    for xid in (0, -5, 7, 7, 3, -2**31, 2**31 - 1, -2, -4, -8):
        c(w.exists("/zookeeper")._replace(xid=xid), w.ping()._replace(xid=xid))
        c(w.create(run.root)._replace(xid=xid), w.delete(run.root)._replace(xid=xid))


@table([("999", 999), ("0", 0), ("-7", -7), ("10", 10), ("23", 23), ("108", 108), ("99", 99),
        ("-1", -1), ("-12", -12), ("max", 2**31 - 1), ("min", -2**31)])
def unknown_opcode(run, op):
    c = run.conn()
    c(w.create(run.root), w.raw(op, zk.versioned(run.root)))
    c.to_end()
    d = run.conn()
    d(w.exists(run.root))


SAMPLES = {
    "create": lambda p: w.create(p + "/x", b"data"), "create2": lambda p: w.create2(p + "/x", b"d"),
    "container": lambda p: w.container(p + "/x"), "ttl": lambda p: w.ttl(p + "/x", 1000),
    "delete": lambda p: w.delete(p + "/a", 0), "exists": lambda p: w.exists(p),
    "getData": lambda p: w.get_data(p), "setData": lambda p: w.set_data(p, b"data", 0),
    "getACL": lambda p: w.get_acl(p), "setACL": lambda p: w.set_acl(p, zk.WORLD_ALL, 0),
    "getChildren": lambda p: w.get_children(p), "getChildren2": lambda p: w.get_children2(p),
    "sync": lambda p: w.sync(p), "checkWatches": lambda p: w.check_watches(p, 3),
    "removeWatches": lambda p: w.remove_watches(p, 3), "addWatch": lambda p: w.add_watch(p, 0),
    "setWatches": lambda p: w.set_watches(0, [], [], []), "ping": lambda p: w.ping(),
    "whoAmI": lambda p: w.who_am_i(),
}


@table([(name, name) for name in SAMPLES])
def body_cut(run, name):
    """Every shorter body than the right one, and a longer one."""
    c = run.conn()
    c(w.create(run.root), w.create(run.p("a")))
    req = SAMPLES[name](run.root)
    for size in range(len(req.body)):
        c(w.raw(req.op, req.body[:size], "%s cut to %d bytes" % (name, size)))
    c(w.get_children2(run.root), w.check_watches(run.root, 3))
    c(w.raw(req.op, req.body + b"\xff" * 9, "%s with 9 bytes behind it" % name))
    c(w.get_children2(run.root), w.check_watches(run.root, 3))


@table([("%s-%d" % (name, size), name, size) for name in SAMPLES
        if name not in ("ping", "whoAmI", "setWatches") for size in (-2, -2**31, 2**31 - 1, 2000000)])
def path_length_hostile(run, name, size):
    c = run.conn()
    c(w.create(run.root))
    req = SAMPLES[name](run.root)
    c(w.raw(req.op, zk.i32(size) + req.body[4:], "%s with path length %d" % (name, size)))
    c(w.exists(run.root), w.get_children2(run.root))


@table([(name, name) for name in SAMPLES if name not in ("ping", "whoAmI", "setWatches")])
def path_null(run, name):
    c = run.conn()
    c(w.create(run.root))
    req = SAMPLES[name](run.root)
    text = req.body[4 + int.from_bytes(req.body[:4], "big"):]
    c(w.raw(req.op, zk.i32(-1) + text, "%s with a null path" % name))
    c(w.raw(req.op, zk.i32(0) + text, "%s with an empty path" % name)
      if name not in ("setACL",) else w.ping())
    c(w.check_watches(run.root, 3), w.get_children2(run.root))


@case
def booleans(run):
    """Any nonzero byte is true."""
    c = run.conn()
    c(w.create(run.root))
    for byte in (0, 1, 2, 127, 128, 255):
        c(w.raw(zk.EXISTS, zk.buf(run.root) + bytes([byte]), "exists with watch byte %d" % byte))
        c(w.check_watches(run.root, 3), w.set_data(run.root, b""))


@case
def sync_paths(run):
    c = run.conn()
    for path in (None, "", "/", "x", "/no/such/node", "/\ue000", b"\xff", "/zookeeper", "\0"):
        c(w.sync(path))


@case
def pings_in_the_middle(run):
    c = run.conn()
    c(w.create(run.root))
    c.many([w.set_data(run.root, b"%d" % n) if n % 3 else w.ping() for n in range(300)],
           text="writes and pings")
    c(w.get_data(run.root))


@case
def slow_reader(run):
    """Replies of some megabytes wait for a client that reads late."""
    c = run.conn()
    c(w.create(run.root, bytes(range(256)) * 400))
    c.many([w.get_data(run.root) for _ in range(60)], text="60 times 100 kB")


@case
def sasl_without_a_server(run):
    c = run.conn()
    for token in (b"", b"x"):
        c(w.raw(w.SASL, zk.buf(token), "sasl %r" % token, xid=5), w.ping())


@case
def reconfig_disabled(run):
    c = run.conn()
    body = zk.buf("server.1=a:1:2;3") + zk.buf(None) + zk.buf(None) + zk.i64(-1)
    c(w.raw(w.RECONFIG, body), w.raw(w.RECONFIG, b""), w.exists("/zookeeper"))
