# SPDX-License-Identifier: Apache-2.0
"""The only differences that are allowed, each with its reason and as narrow as it can be.

zokor does what Apache ZooKeeper 3.9 does. Debian has 3.8, so a rule with the line "3.8" counts
only while one side is of line 3.8 and the other of 3.9 (never between two of the same line). A
rule with the line "any" is one where Apache is wrong, and counts between Apache and zokor.

A rule is a function of the two entries `old` (Apache's) and `new`. It looks at exactly the
difference it stands for, and makes the two equal there; anything else stays different. A rule
that no case needed is reported: it is out of date.
"""

import struct

import wire
import zkwire as zk

RULES = []


class Rule:
    def __init__(self, name, line, why, act):
        self.name, self.line, self.why, self.act = name, line, why, act
        self.used = 0


def rule(name, line, why):
    def add(act):
        RULES.append(Rule(name, line, why, act))
        return act
    return add


def begins_with_a_null_acl(body):
    r = zk.Reader(body)
    try:
        kind = r.i32()
        r.take(5)
        if kind not in (zk.CREATE, zk.CREATE2, zk.CREATE_CONTAINER):
            return False
        r.buf()
        r.buf()
        return r.i32() == -1
    except (ValueError, struct.error):
        return False


def takes_a_zxid_for_nothing(side, op, body):
    """A write whose body cannot be read is answered -5. zokor takes a new zxid for it; 3.9 does
    not, and writes the last one to its log a second time, which is unsafe in a quorum
    (corner-cases.md 28); 3.8 takes one, but not for reconfig. Such zxids are left out of the
    count, on the sides that take one. A multi always takes one (but see below)."""
    if op == zk.MULTI and begins_with_a_null_acl(body):
        return side.kind == "zokor"  # 3.9 finds it while it reads the body
    if op not in wire.WRITES or op in (zk.MULTI, zk.CLOSE) or wire.parses(op, body):
        return False
    return side.kind == "zokor" or (side.line == "3.8" and op != wire.RECONFIG)


def applies(r, old, new):
    if r.line == "3.8":
        return old.line == "3.8" and new.line == "3.9"
    return old.kind == "apache" and new.kind == "zokor"


def apply(run_a, run_b, a, b, state):
    """state: what the rules remember within one case."""
    if a.conn != b.conn or a.text != b.text:
        return
    for r in RULES:
        if applies(r, run_a.side, run_b.side) and r.act(run_a, a, b, state):
            r.used += 1


def sets_watches(entry):
    return any(r.op in (zk.SET_WATCHES, zk.SET_WATCHES2) for r in entry.reqs)


def answers(entry):
    """(request, fields of its answer) for each answer, in order."""
    got = [f for f in entry.frames if f[0] != "event"]
    return list(zip(entry.reqs, [f[1] for f in got]))


@rule("event-zxid", "3.8", "3.8 sends zxid -1 in every event; 3.9 the zxid of the transaction, and "
      "-1 only for what setWatches finds (corner-cases.md 81)")
def event_zxid(run, old, new, state):
    used = False
    for x, y in zip(old.frames, new.frames):
        if x[0] != "event" or y[0] != "event" or x[1].get("zxid") != -1:
            continue
        value = y[1].get("zxid")
        if isinstance(value, str) and value.startswith("write "):
            y[1]["zxid"] = -1
            used = True
        elif value == -1 and not sets_watches(new):
            y[1]["zxid"] = "-1 without setWatches"
    return used


@rule("create2-in-multi", "3.8", "3.8.0 answers create2 in a multi with type 1 and no Stat; 3.8.6 "
      "and 3.9 with type 15 and Stat (corner-cases.md 34)")
def create2_in_multi(run, old, new, state):
    used = False
    for (req, x), (_, y) in zip(answers(old), answers(new)):
        if req.op != zk.MULTI:
            continue
        for n, (op, _) in enumerate(req.subs):
            label = "result%d" % n
            if op == zk.CREATE2 and x.get(label + ".type") == 1 and y.get(label + ".type") == 15:
                for name in [k for k in y if k.startswith(label + ".stat.")]:
                    del y[name]
                y[label + ".type"] = 1
                used = True
    return used


def flags_of(op, body):
    """The create flags of an encoded create record, or None."""
    if op not in (zk.CREATE, zk.CREATE2, zk.CREATE_CONTAINER, zk.CREATE_TTL):
        return None
    tail = body[:-8] if op == zk.CREATE_TTL else body
    return struct.unpack(">i", tail[-4:])[0] if len(tail) >= 4 else None


@rule("flags-in-multi", "3.8", "an invalid create flag in a multi: -8 for this operation in 3.8.0, "
      "-5 for the request in 3.9 (corner-cases.md 36)")
def flags_in_multi(run, old, new, state):
    used = False
    for (req, x), (_, y) in zip(answers(old), answers(new)):
        if req.op != zk.MULTI or x.get("err") != 0 or y.get("err") != -5:
            continue
        bad = [n for n, (op, body) in enumerate(req.subs)
               if (flags_of(op, body) or 0) not in (range(7) if op == zk.CREATE_TTL else range(5))]
        failed = [n for n in range(len(req.subs)) if x.get("result%d.code" % n) not in (0, None)]
        if not bad or not failed:
            continue
        # 3.8 may fail at an earlier operation, for another reason.
        if failed[0] < bad[0] or (failed[0] == bad[0] and x["result%d.code" % bad[0]] == -8):
            for name in [k for k in x if k.startswith("result")]:
                del x[name]
            x["err"] = -5
            used = True
    return used


@rule("watch-types-4-5", "3.8", "checkWatches and removeWatches know the types 4 and 5 only in 3.9; "
      "3.8 answers -5 (corner-cases.md 86)")
def watch_types(run, old, new, state):
    used = False
    for (req, x), (_, y) in zip(answers(old), answers(new)):
        if req.op not in (zk.CHECK_WATCHES, zk.REMOVE_WATCHES) or len(req.body) < 4:
            continue
        kind = struct.unpack(">i", req.body[-4:])[0]
        if kind in (4, 5) and x.get("err") == -5 and y.get("err") in (0, -121):
            y["err"] = -5
            used = True
    return used


@rule("echo-of-bad-utf8", "any", "Apache reads a path as Java characters and writes them again, so "
      "sync gives back other bytes than it got where these are not UTF-8 or not in the BMP; zokor "
      "gives back the same (client-protocol.md section 1)")
def echo_of_bad_utf8(run, old, new, state):
    used = False
    for (req, x), (_, y) in zip(answers(old), answers(new)):
        if req.op != zk.SYNC or x.get("path") == y.get("path"):
            continue
        asked = zk.Reader(req.body).buf()
        if y.get("path") == asked and x.get("path") == wire.java_echo(asked):
            y["path"] = x["path"]
            used = True
    return used


@rule("exists-without-read", "3.8", "exists needs READ on the node since 3.8.4 and 3.9.2; 3.8.0 has "
      "no check, and leaves a watch (corner-cases.md 65)")
def exists_without_read(run, old, new, state):
    used = False
    for (req, x), (_, y) in zip(answers(old), answers(new)):
        if req.op == zk.EXISTS and x.get("err") == 0 and y.get("err") == -102:
            for name in [k for k in x if k.startswith("stat.")]:
                del x[name]
            x["err"] = -102
            if req.body[-1:] != b"\0":
                state.setdefault("unread", set()).add((old.conn, req.body[:-1]))
            used = True
        elif (req.op in (zk.CHECK_WATCHES, zk.REMOVE_WATCHES) and x.get("err") == 0 and
              y.get("err") == -121 and (old.conn, req.body[:-4]) in state.get("unread", ())):
            x["err"] = -121
            used = True
    return used


@rule("check-in-any-mode", "3.8", "3.8's checkWatches of type 1, 2 and 3 finds persistent and "
      "recursive watches too, also recursive ones of an ancestor; in 3.9 types 1 and 2 are standard "
      "watches, and the path is the watch's own (client-protocol.md 7)")
def check_in_any_mode(run, old, new, state):
    used = False
    for (req, x), (_, y) in zip(answers(old), answers(new)):
        if req.op == zk.ADD_WATCH and x.get("err") == 0:
            state.setdefault("modes", set()).add((old.conn, req.body[:-4]))
        elif req.op == zk.SET_WATCHES2 and x.get("err") == 0:
            r = zk.Reader(req.body)
            r.i64()
            for n in range(5):
                for path in [r.buf() for _ in range(max(r.i32(), 0))]:
                    if n > 2:
                        state.setdefault("modes", set()).add((old.conn, zk.buf(path)))
        elif (req.op == zk.CHECK_WATCHES and x.get("err") == 0 and y.get("err") == -121 and
              req.body[-4:] in (zk.i32(1), zk.i32(2), zk.i32(3)) and
              any((old.conn, zk.buf(path)) in state.get("modes", ())
                  for path in and_ancestors(req.body[4:-4]))):
            x["err"] = -121
            used = True
    return used


def and_ancestors(path):
    parts = path.split(b"/")
    return [b"/".join(parts[:n]) or b"/" for n in range(len(parts), 0, -1)]


@rule("null-acl-in-multi", "3.8", "a null ACL vector in a multi: -114 for this operation in 3.8, -5 "
      "for the request in 3.9")
def null_acl_in_multi(run, old, new, state):
    for (req, x), (_, y) in zip(answers(old), answers(new)):
        if (req.op == zk.MULTI and "acl=null" in req.text and x.get("result0.code") == -114 and
                y.get("err") == -5):
            for name in [k for k in x if k.startswith("result")]:
                del x[name]
            x["err"] = -5
            if less_one(x["zxid"]) == y["zxid"]:  # zokor's was left out of the count
                x["zxid"] = y["zxid"]
            return True
    return False


@rule("null-path-watch", "any", "Apache takes addWatch of a null path (a watch that never fires), and "
      "finds none with check- and removeWatches; zokor answers -5 as to every other null path")
def null_path_watch(run, old, new, state):
    used = False
    for (req, x), (_, y) in zip(answers(old), answers(new)):
        if (req.op in (zk.ADD_WATCH, zk.CHECK_WATCHES, zk.REMOVE_WATCHES) and
                req.body[:4] == zk.i32(-1) and y.get("err") == -5 and x.get("err") in (0, -121)):
            x["err"] = -5
            x.pop("value", None)
            used = True
    return used


@rule("null-in-multi", "3.8", "a null path or id in a multi is a null pointer in 3.8 after it took "
      "a zxid that it then never uses; its -5 shows the zxid before and has an empty result list "
      "behind it. zokor's -5 has its own zxid and no body, as every other refused multi")
def null_in_multi(run, old, new, state):
    for (req, x), (_, y) in zip(answers(old), answers(new)):
        if (run.name_of_case.startswith("multi-null-") and req.op == zk.MULTI and
                x.get("err") == -5 and y.get("err") == -5):
            tail = b"\xff\xff\xff\xff\x01\xff\xff\xff\xff"
            if x.get("left over") == tail and x["zxid"] == less_one(y["zxid"]):
                del x["left over"]
                x["zxid"] = y["zxid"]
                return True
    return False


def less_one(zxid):
    return "+%d" % (int(zxid[1:]) - 1) if isinstance(zxid, str) and zxid[0] == "+" else zxid


@rule("null-list-half-done", "any", "Apache acts on the lists of a setWatches that come before a null "
      "one, and then answers -5; zokor's -5 means that nothing was done")
def null_list_half_done(run, old, new, state):
    if (len(new.frames) == 1 and len(old.frames) > 1 and len(old.reqs) == 1 and
            sets_watches(old) and " null" in old.text and old.frames[-1] == new.frames[0] and
            new.frames[0][1].get("err") == -5 and
            all(f[0] == "event" for f in old.frames[:-1])):
        del old.frames[:-1]
        return True
    return False


@rule("session-made-twice", "any", "Apache makes the session of a client that sends createSession "
      "once more, with the time-out it asks for, which nothing clamps: it answers with a "
      "ConnectResponse in the middle of the replies, and when that time is over closes the "
      "connection, pings or not. zokor answers -6 and closes, as to every opcode that is not a "
      "client's")
def session_made_twice(run, old, new, state):
    again = {"protocol": 0, "timeout": sides_timeout(run), "session": "session +0",
             "password": "right", "readOnly": False}
    if (old.text == "createSession from a client" and old.frames == [["connect", again]] and
            new.frames == [["frame", {"xid": 2, "zxid": -1, "err": -6}]]):
        old.frames = new.frames
        return True
    return False


def sides_timeout(run):
    """What the first connection of this case was given."""
    return run.conns[0].timeout
