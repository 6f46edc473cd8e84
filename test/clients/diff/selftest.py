# SPDX-License-Identifier: Apache-2.0
"""Does the tester see what it must? A proxy alters one field of one frame, and each alteration has
to be found. Both sides are the reference server here, the second one behind the proxy."""

import socket
import struct
import threading

import compare
import side as sides
import wire as w


def script(run):
    """Few requests with every kind of answer."""
    c, d = run.conn(), run.conn()
    c(w.auth("digest", "bob:pw"), w.create(run.root), w.create2(run.p("a"), b"data"))
    d(w.get_data(run.p("a"), True), w.get_children(run.p("a"), True), w.exists(run.p("n"), True))
    c(w.set_data(run.p("a"), b"other"), w.create2(run.p("a", "k"), None, [(31, "auth", "")], 1))
    c(w.get_data(run.p("a")), w.get_children2(run.p("a")), w.get_acl(run.p("a", "k")))
    c(w.multi(w.create(run.p("n")), w.set_data(run.p("n"), b"1"), w.check(run.p("n"), 1)))
    c(w.multi(w.check(run.p("n"), 0), w.delete(run.p("n"))), w.exists(run.p("n"), True))
    c(w.multi_read(w.get_data(run.p("n")), w.get_children(run.p("a"))), w.delete(run.p("no")))
    c(w.set_data(run.p("n"), b"2"), w.add_watch(run.p("x"), 0), w.who_am_i(), w.ping(),
      w.sync(run.root), w.get_children(run.root), w.set_acl(run.p("n"), [(31, "world", "anyone")]))
    c(w.exists(run.p("n")), w.exists(run.p("a")), w.exists(run.p("a", "k")))
    d.events()
    d.close()


class Proxy:
    """Forwards connections; alter((c, n), payload) gives what the n-th frame from the server on the
    c-th connection becomes: a list of payloads."""

    def __init__(self, target):
        self.target = target
        self.alter = None
        self.conns = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def begin(self, alter):
        with self.lock:
            self.alter, self.conns = alter, 0

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = self.target.dial()
            server.settimeout(None)
            with self.lock:
                self.conns += 1
                number = self.conns
            for a in (client, server):
                a.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.up, args=(client, server), daemon=True).start()
            threading.Thread(target=self.down, args=(client, server, number),
                             daemon=True).start()

    @staticmethod
    def up(client, server):
        try:
            while True:
                data = client.recv(1 << 16)
                if not data:
                    break
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def down(self, client, server, number):
        kept, count = b"", 0
        try:
            while True:
                data = server.recv(1 << 16)
                if not data:
                    break
                kept += data
                while len(kept) >= 4 and len(kept) >= 4 + struct.unpack(">i", kept[:4])[0]:
                    size = struct.unpack(">i", kept[:4])[0]
                    payload, kept = kept[4:4 + size], kept[4 + size:]
                    with self.lock:
                        out = self.alter((number, count), payload) if self.alter else [payload]
                    count += 1
                    for one in out:
                        client.sendall(struct.pack(">i", len(one)) + one)
        except OSError:
            pass
        try:
            client.shutdown(socket.SHUT_WR)
            client.close()
            server.close()
        except OSError:
            pass


def flip(frame, at):
    def alter(n, payload):
        if n != frame or at >= len(payload):
            return [payload]
        return [payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1:]]
    return alter


def run(tester):
    """(caught, missed). Every field of every kind of frame is altered once, in its last byte; then
    frames are lost, doubled, made longer and shorter."""
    reference = next(s for s in tester.pair if s.kind == "apache")
    proxy = Proxy(reference)
    behind = sides.Side("altered", reference.kind, reference.line, "127.0.0.1", proxy.port)
    control = sides.Control(reference)

    def play(side, alter):
        proxy.begin(alter)
        one = sides.Run(side, "self", control)
        try:
            script(one)
        finally:
            proxy.begin(None)
            one.finish()
        return one

    straight = play(reference, None)
    got = compare.compare(straight, play(behind, None))
    if got:
        print("FAIL self-test: the proxy alone makes a difference\n%s" % got[0].text([], "-"))
        return 0, 1
    sides.TIMEOUT_S = 0.3  # a lost frame is silence
    frames, seen = [], {}
    for e in straight.entries:
        number = int(e.conn[1:])
        for op, payload in e.frames:
            seen[number] = seen.get(number, -1) + 1
            frames.append(((number, seen[number]), op, payload))
    alterations, done = [], set()
    for at, (n, op, payload) in enumerate(frames):
        name = w.op_name(op) if isinstance(op, int) else op
        for f in w.take_apart(payload, op):
            if f.size and (name, f.name) not in done:
                done.add((name, f.name))
                alterations.append(("%s of frame %s (%s)" % (f.name, "%d.%d" % n, name),
                                    flip(n, f.at + f.size - 1)))
        if at % 9 == 2:
            alterations += [
                ("loss of frame %s (%s)" % ("%d.%d" % n, name), lambda k, p, n=n: [] if k == n else [p]),
                ("doubling of frame %s (%s)" % ("%d.%d" % n, name),
                 lambda k, p, n=n: [p, p] if k == n else [p]),
                ("one byte more in frame %s (%s)" % ("%d.%d" % n, name),
                 lambda k, p, n=n: [p + b"\0"] if k == n else [p]),
                ("one byte less in frame %s (%s)" % ("%d.%d" % n, name),
                 lambda k, p, n=n: [p[:-1]] if k == n else [p])]
    caught = missed = 0
    for name, alter in alterations:
        try:
            found = bool(compare.compare(straight, play(behind, alter)))
        except Exception:  # pylint: disable=broad-except
            found = True  # the altered answer broke the script
        if found:
            caught += 1
        else:
            missed += 1
            print("FAIL self-test: the alteration of %s was not seen" % name)
    sides.TIMEOUT_S = 20
    control.close()
    return caught, missed
