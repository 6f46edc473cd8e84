# SPDX-License-Identifier: Apache-2.0
"""Two records of one case, made comparable and compared."""

import itertools

import rules
import wire

SLACK_MS = 50


class Shown:
    """An entry with values that mean the same on both sides. frames: [kind, {field: value}]."""

    def __init__(self, entry):
        self.conn, self.text, self.reqs = entry.conn, entry.text, entry.reqs
        self.closed, self.note = entry.closed, entry.note
        self.frames = []

    def key(self):
        return (self.conn, self.text, self.closed, self.note, self.frames)


class View:
    """Turns the values of one run into relations: zxids count from the run's beginning, a time is
    that of its zxid, a session is the n-th of the run, a password is right or not."""

    def __init__(self, run):
        self.run = run
        self.first = min(run.sessions) if run.sessions else 0
        self.parts = [[(op, wire.take_apart(payload, op)) for op, payload in e.frames]
                      for e in run.entries]
        self.times = {}
        self.writes = set()
        self.taken = []
        self._collect()

    def _collect(self):
        for shown, entry in zip(self.run.entries, self.parts):
            bodies = {}
            for req in shown.reqs:
                bodies.setdefault(req.op, []).append(req.body)
            for op, fields in entry:
                value = {f.name: f.value for f in fields}
                body = bodies[op].pop(0) if bodies.get(op) else b""
                if value.get("err") == -5 and rules.takes_a_zxid_for_nothing(
                        self.run.side, op, body):
                    self.taken.append(value["zxid"])
                if op in wire.WRITES and "zxid" in value:
                    self.writes.add(value["zxid"])
                for name, kind, time_ms, _, _ in fields:
                    if kind in ("ctime", "mtime"):
                        zxid = value[name.replace("time", "zxid")]
                        self.times.setdefault(zxid, time_ms)
        # Time goes with the zxid.
        self.bad_times = set()
        last = None
        for zxid in sorted(z for z in self.times if z > self.run.base):
            now = self.times[zxid]
            if (last is not None and now < last) or not (
                    self.run.begin_ms - SLACK_MS <= now <= self.run.end_ms + SLACK_MS):
                self.bad_times.add(zxid)
            last = now

    def zxid(self, value):
        if value in (0, -1):
            return value
        if value <= self.run.base:
            return "old"
        # zxids that only one kind of server takes do not count
        return "+%d" % (value - self.run.base - sum(z <= value for z in self.taken))

    def time(self, value, zxid):
        if zxid <= self.run.base:
            return "0" if value == 0 else "old"
        if self.times.get(zxid) != value or zxid in self.bad_times:
            return "not the time of zxid %s" % self.zxid(zxid)
        return "time of %s" % self.zxid(zxid)

    def event_zxid(self, value):
        text = self.zxid(value)
        if value in self.writes or (self.run.loose and text not in ("old", 0, -1)):
            return "write %s" % (text if not self.run.loose else "")
        return text

    def sid(self, value):
        if value == 0:
            return 0
        if value in self.run.sessions:
            return "session +%d" % (value - self.first)
        return "no session of this case"

    @staticmethod
    def password(value, session):
        if value == bytes(16):
            return "zeros"
        return "right" if value == wire.java_password(session) else "wrong %r" % value

    def field(self, op, f, value):
        if f.kind == "zxid":
            if self.run.loose and f.name == "zxid" and f.value > 0:
                return "any"
            return self.zxid(f.value)
        if f.kind == "event zxid":
            return self.event_zxid(f.value)
        if f.kind in ("ctime", "mtime"):
            return self.time(f.value, value[f.name.replace("time", "zxid")])
        if f.kind == "sid":
            return self.sid(f.value)
        if f.kind == "password":
            return self.password(f.value, value.get("session", 0))
        return f.value

    def shown(self):
        out = []
        for entry, parts in zip(self.run.entries, self.parts):
            s = Shown(entry)
            for op, fields in parts:
                value = {f.name: f.value for f in fields}
                s.frames.append([wire.op_name(op) if isinstance(op, int) else op or "frame",
                                 {f.name: self.field(op, f, value) for f in fields}])
            if entry.unordered:
                events = sorted((f for f in s.frames if f[0] == "event"),
                                key=lambda f: (f[1].get("type", 0), f[1].get("path") or b""))
                s.frames = events + [f for f in s.frames if f[0] != "event"]
            out.append(s)
        return out


def lines_of(shown, other):
    """The frames as text; fields that are equal in both are shortened."""
    if shown is None:
        return ["(nothing)"]
    out = []
    theirs = other.frames if other else []
    for n, (kind, fields) in enumerate(shown.frames):
        if n < len(theirs) and theirs[n] == [kind, fields]:
            if len(shown.frames) < 12:
                out.append("%s (equal)" % kind)
            continue
        same = theirs[n][1] if n < len(theirs) and theirs[n][0] == kind else None
        parts = []
        for name, value in fields.items():
            mark = "" if same is None or same.get(name, ...) == value else "*"
            if same is None or mark or name in ("xid", "err", "path"):
                parts.append("%s%s=%s" % (mark, name, wire.show(value, 200)))
        if same is not None:
            parts += ["*%s is missing" % name for name in same if name not in fields]
        out.append("#%d %s: %s" % (n + 1, kind, ", ".join(parts)))
    if shown.closed:
        out.append("connection: %s" % shown.closed)
    if shown.note is not None:
        out.append("noted: %r" % (shown.note,))
    return out or ["(no frame)"]


class Difference:
    def __init__(self, case, at, a, b, names):
        self.case, self.at, self.a, self.b, self.names = case, at, a, b, names

    def text(self, before, reproduce):
        shown = self.a or self.b
        out = ["  step %d on %s: %s" % (self.at + 1, shown.conn, wire.show(shown.text, 2000))]
        reqs = [r for r in shown.reqs]
        frame = self.first_frame()
        if len(reqs) > 1 and frame is not None:
            answers = [f for f in (self.a or self.b).frames[:frame + 1] if f[0] != "event"]
            at = max(len(answers) - 1, 0)
            out = ["  step %d on %s, request %d of %d: %s" % (
                self.at + 1, shown.conn, at + 1, len(reqs), reqs[min(at, len(reqs) - 1)].text)]
        for text in before:
            out.append("    before: %s" % wire.show(text, 300))
        for name, one, other in ((self.names[0], self.a, self.b), (self.names[1], self.b, self.a)):
            for line in lines_of(one, other)[:12]:
                out.append("    %s: %s" % (name, line))
        out.append("    reproduce: %s" % reproduce)
        return "\n".join(out)

    def first_frame(self):
        if not self.a or not self.b:
            return None
        pairs = itertools.zip_longest(self.a.frames, self.b.frames)
        return next((n for n, (x, y) in enumerate(pairs) if x != y), None)


def compare(run_a, run_b):
    """The differences, in order. Rules of rules.py are applied, and count their uses."""
    a, b = View(run_a).shown(), View(run_b).shown()
    names = (run_a.side.name, run_b.side.name)
    out = []
    state = {}
    for at, (x, y) in enumerate(itertools.zip_longest(a, b)):
        if x is not None and y is not None:
            rules.apply(run_a, run_b, x, y, state)
            if x.key() == y.key():
                continue
        out.append(Difference(run_a.name, at, x, y, names))
    return out


