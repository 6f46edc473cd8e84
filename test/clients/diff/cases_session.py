# SPDX-License-Identifier: Apache-2.0
"""Sessions: the ConnectRequest, attaching, closing, expiry."""

import socket
import time

import wire as w
import zkwire as zk
from book import case, table


@table([(str(t), t) for t in (-2**31, -5, 0, 1, 999, 1000, 1001, 59999, 60000, 60001, 2**31 - 1)])
def timeout_asked(run, timeout):
    c = run.conn(timeout=timeout)
    c(w.exists("/zookeeper"))
    c.close()


@table([("none", None), ("false", False), ("true", True)])
def read_only_byte(run, value):
    c = run.conn(read_only=value)
    c(w.exists("/zookeeper"), w.create(run.root))
    d = run.conn(session=c.session, password=c.password, read_only=value)
    d(w.exists(run.root))
    e = run.conn(session=c.session, password=b"wrong", read_only=value)
    e.to_end()


@table([("null", None), ("empty", b""), ("short", b"short"), ("long", bytes(100)),
        ("17", bytes(17))])
def password_of_a_new_session(run, password):
    c = run.conn(password=password)
    c(w.exists("/zookeeper"))


@table([(str(n), n) for n in (1, -1, 0x01020304, -2**31)])
def protocol_version(run, version):
    c = run.conn(protocol=version)
    c(w.exists("/zookeeper"))


@table([("none", lambda p: None), ("empty", lambda p: b""), ("short", lambda p: p[:15]),
        ("long", lambda p: p + b"\0"), ("zeros", lambda p: bytes(16)),
        ("one-bit", lambda p: p[:15] + bytes([p[15] ^ 1]))])
def wrong_password(run, change):
    """Refused; and the owner's connection is closed before that."""
    c = run.conn()
    c(w.create(run.root), w.create(run.p("e"), b"", None, 1))
    d = run.conn(session=c.session, password=change(c.password))
    d.to_end()
    c.to_end()
    e = run.conn(session=c.session, password=c.password)
    e(w.exists(run.p("e")))
    e.close()


@case
def unknown_sessions(run):
    for session in (1, -1, 0x01deadbeef123456, 2**63 - 1, -2**63):
        c = run.conn(session=session, password=w.java_password(session),
                     text="attach to the unknown session %d" % session)
        c.to_end()
    c = run.conn(session=77, password=bytes(16), read_only=None, text="attach without readOnly")
    c.to_end()


@case
def attach_moves_the_connection(run):
    c = run.conn()
    c(w.create(run.root), w.create(run.p("e"), b"", None, 1), w.auth("digest", "bob:pw"))
    d = run.conn(session=c.session, password=c.password)
    c.to_end()
    d(w.who_am_i(), w.get_data(run.p("e")), w.create(run.p("f"), b"", None, 1))
    e = run.conn(session=c.session, password=c.password, timeout=5000)
    d.to_end()
    e(w.get_data(run.p("f")), w.delete(run.p("e")))
    e.close()
    f = run.conn(session=c.session, password=c.password)
    f.to_end()
    g = run.conn()
    g(w.exists(run.p("e")), w.exists(run.p("f")))


@case
def attach_after_the_connection_was_dropped(run):
    c = run.conn()
    c(w.create(run.root), w.create(run.p("e"), b"", None, 1), w.get_data(run.root, True))
    c.drop()
    d = run.conn(session=c.session, password=c.password)
    d(w.exists(run.p("e")), w.set_data(run.root, b"1"), w.check_watches(run.root, 3))
    d.drop()
    e = run.conn()
    e(w.exists(run.p("e")), w.delete(run.p("e")))


@table([("now", 0), ("past", -1), ("next", 1), ("future", 1 << 40), ("largest", None),
        ("negative", -2**40)])
def last_zxid_seen(run, delta):
    c = run.conn()
    zxid = 2**63 - 1 if delta is None else c.zxid() + delta
    d = run.conn(connect=False)
    d.hello(zxid=zxid, text="connect with lastZxidSeen")
    if d.session:
        d(w.exists("/zookeeper"))
    else:
        d.to_end()


@case
def close_session_answers(run):
    c, d = run.conn(), run.conn()
    c(w.create(run.root), w.create(run.p("e"), b"", None, 1), w.create(run.p("p")))
    d(w.exists(run.p("e"), True), w.get_children(run.root, True))
    c.close()
    d.events()
    d(w.exists(run.p("e")), w.get_children2(run.root))


@case
def requests_behind_close(run):
    """They are not answered."""
    c, d = run.conn(), run.conn()
    c(w.create(run.root))
    c.many([w.create(run.p("a")), w.close()])
    c.to_end()
    d(w.get_children2(run.root))


@case
def ephemerals_of_sessions(run):
    c, d, e = run.conn(), run.conn(), run.conn()
    c(w.create(run.root), w.create(run.p("a")))
    for n, conn in enumerate((c, d, e)):
        conn(w.create2(run.p("e%d" % n), b"", None, 1), w.create2(run.p("s"), b"", None, 3))
        conn(w.multi(w.create2(run.p("m%d" % n), b"", None, 1), w.create(run.p("a", "%d" % n))))
    d.close()
    c(w.get_children2(run.root))
    e(w.delete(run.p("e0")), w.exists(run.p("e0")))
    c.close()
    e(w.get_children2(run.root), w.create(run.p("e0"), b"", None, 1), w.exists(run.p("e0")))


@case
def session_without_ephemerals_closes(run):
    c, d = run.conn(), run.conn()
    c(w.create(run.root))
    d.close()
    c(w.create(run.p("a")), w.exists(run.p("a")))


@case
def requests_with_the_connect_request(run):
    c = run.conn(connect=False)
    c.hello(behind=zk.request(1, zk.EXISTS, zk.watched("/zookeeper")) +
            zk.request(2, zk.CREATE, zk.create(run.root, b"")) + zk.request(3, zk.CLOSE),
            text="connect with three requests behind it")
    c.closing = True
    c.to_end(ops=(zk.EXISTS, zk.CREATE, zk.CLOSE))
    d = run.conn()
    d(w.exists(run.root))


@case
def connect_byte_by_byte(run):
    for piece in (1, 2, 3, 5, 44):
        c = run.conn(piece=piece)
        c(w.exists("/zookeeper"))


@case
def connect_request_with_more_bytes(run):
    c = run.conn(connect=False)
    body = zk.connect_request(60000)[4:] + b"more bytes"
    c.feed(zk.frame(body) + zk.request(1, zk.EXISTS, zk.watched("/zookeeper")) +
           zk.request(2, zk.CLOSE), "connect with bytes behind readOnly",
           ops=("connect", zk.EXISTS, zk.CLOSE))


@table([(str(n), n) for n in (0, 1, 4, 12, 16, 23, 24, 27, 28, 43)])
def connect_request_cut(run, size):
    c = run.conn(connect=False)
    c.feed(zk.frame(zk.connect_request()[4:4 + size]), "ConnectRequest of %d bytes" % size)


@table([(str(n), n) for n in (-2, -2**31, 18, 1000, 2**31 - 1)])
def connect_request_password_length(run, size):
    """The length of the password is not that of the bytes."""
    c = run.conn(connect=False)
    body = zk.i32(0) + zk.i64(0) + zk.i32(60000) + zk.i64(0) + zk.i32(size) + bytes(17)
    c.feed(zk.frame(body), "password length %d" % size)


@case
def connect_request_twice(run):
    """The second is taken for a request: opcode from its bytes."""
    c = run.conn()
    c.feed(zk.connect_request(), "a second ConnectRequest")


@case(slow=True)
def session_expires(run):
    c, d, idle = run.conn(), run.conn(timeout=1000), run.conn()
    c(w.create(run.root), w.create(run.p("a")))
    d(w.create(run.p("e"), b"", None, 1), w.create(run.p("a", "f"), b"", None, 1))
    c(w.exists(run.p("e"), True), w.get_children(run.p("a"), True), w.get_data(run.p("a", "f"), True))
    idle(w.add_watch(run.root, 1))
    d.to_end("until the session has expired")
    time.sleep(0.2)
    c.events(unordered=True)
    idle.events(unordered=True)
    c(w.exists(run.p("e")), w.get_children2(run.root), w.get_children2(run.p("a")))
    e = run.conn(session=d.session, password=d.password)
    e.to_end()


@case(slow=True)
def session_expires_without_a_connection(run):
    c, d = run.conn(), run.conn(timeout=2000)
    c(w.create(run.root))
    d(w.create(run.p("e"), b"", None, 1))
    c(w.exists(run.p("e"), True))
    d.drop()
    time.sleep(0.5)
    c(w.exists(run.p("e")))
    time.sleep(3.5)
    c.events()
    c(w.exists(run.p("e")))
    e = run.conn(session=d.session, password=d.password)
    e.to_end()


@case(slow=True)
def session_is_kept_by_pings(run):
    c, d = run.conn(), run.conn(timeout=2000)
    c(w.create(run.root))
    d(w.create(run.p("e"), b"", None, 1))
    for _ in range(5):
        time.sleep(0.7)
        d(w.ping())
    c(w.exists(run.p("e")))
    d(w.delete(run.p("e")))


@case(slow=True)
def session_lives_on_after_attach(run):
    """A dropped connection's session is attached in time, with another timeout."""
    c = run.conn(timeout=2000)
    c(w.create(run.root), w.create(run.p("e"), b"", None, 1))
    c.drop()
    time.sleep(0.3)
    d = run.conn(session=c.session, password=c.password, timeout=60000)
    time.sleep(3.0)
    d(w.exists(run.p("e")))


class Quiet:
    """Stands in for a run where nothing is to be recorded."""

    def __init__(self, run):
        self.side, self.sessions = run.side, run.sessions

    def add(self, entry):
        pass


@case
def half_closed_connection(run):
    """The client sends closeSession and a FIN in one go."""
    c, d = run.conn(), run.conn()
    c(w.create(run.root))
    c.send(zk.request(900, zk.CLOSE))
    c.sock.shutdown(socket.SHUT_WR)
    c.closing = True
    # Whether the answer still comes depends on the moment with Apache; what counts is the session.
    c.run = Quiet(run)
    c.to_end()
    d(w.exists(run.root))
    e = run.conn(session=c.session, password=c.password)
    e.to_end()


@case(slow=True)
def create_session_as_a_request(run):
    """The opcode that only a server's own requests have; see the rule session-made-twice."""
    c = run.conn()
    c(w.create(run.root))
    c.feed(zk.request(c.xid + 1, w.CREATE_SESSION, zk.i32(1000)), "createSession from a client",
           ops=("connect",) if run.side.kind == "apache" else ())
    d = run.conn()
    d(w.exists(run.root), w.get_children2(run.root))
