# SPDX-License-Identifier: Apache-2.0
"""What a history of requests and answers must be, however servers died in between.

Writes carry unique values and their answers name version and zxid, so the order of all writes of a
key is known and every rule is a comparison:

- a version has one value and one zxid, whoever saw it; zxids rise with versions;
- every acknowledged write is at or below what is there in the end, each appended node is there;
- in real time: what was answered before another request began comes before it. This holds for
  writes and for reads behind a sync (linearizable per key), and for the zxids of all writes;
- a session sees neither versions nor zxids go back, and its own writes at once;
- an answer's zxid names the state that it shows: no older than any write up to that zxid;
- what is read was written, and not before somebody asked for it.
"""

import copy

from recorder import APPEND, READ, SET, STRICT

MOST = 20   # violations named


class Judge:
    def __init__(self, ops, final):
        """final: key -> (value, version, mzxid); /a/NAME -> {number: (value, czxid)}"""
        self.ops = [op for op in ops if op.resp is not None and not op.err]
        self.asked = {(op.key, op.value): op for op in ops if op.kind in (SET, APPEND)}
        self.final = final
        self.wrong = []

    def say(self, text, *args):
        if len(self.wrong) < MOST:
            self.wrong.append(text % args)

    def run(self):
        by_key = {}
        for op in self.ops:
            by_key.setdefault(op.key, []).append(op)
        for key, ops in by_key.items():
            if ops[0].kind == APPEND:
                self.appended(key, ops)
            else:
                self.register(key, ops)
        self.sessions()
        self.zxids()
        return self.wrong

    def appended(self, key, ops):
        there = self.final[key]
        for op in ops:
            if op.version not in there:
                self.say("lost: %s", op)
            elif there[op.version] != (op.value, op.mzxid):
                self.say("lost: %s; there is %s", op, there[op.version])
        for number, (value, _) in there.items():
            if (key, value) not in self.asked:
                self.say("%s/%d: %s was never asked for", key, number, value)
        values = [v for v, _ in there.values()]
        if len(set(values)) != len(values):
            self.say("%s: a request was done twice", key)

    def register(self, key, ops):
        value, version, mzxid = self.final[key]
        known = {0: ("", None), version: (value, mzxid)}
        for op in ops:
            one = known.setdefault(op.version, (op.value, op.mzxid))
            if one[0] != op.value or one[1] not in (None, op.mzxid):
                self.say("lost or doubled: %s, zxid 0x%x; but that version is %s of zxid 0x%x", op,
                         op.mzxid, one[0], one[1] or 0)
            if op.version > version:
                self.say("lost: %s; in the end there is version %d", op, version)
            wrote = self.asked.get((key, op.value))
            if op.version > 0 and (not wrote or wrote.inv > op.resp):
                self.say("%s: nobody had asked for that", op)
        order = sorted((v, z) for v, (_, z) in known.items() if z is not None)
        for (v1, z1), (v2, z2) in zip(order, order[1:]):
            if z1 >= z2:
                self.say("%s: version %d has zxid 0x%x, version %d has 0x%x", key, v1, z1, v2, z2)
        self.in_time([op for op in ops if op.kind in (SET, STRICT)], lambda op: op.version,
                     lambda op: op.kind == SET)
        self.state_of_zxid(ops, order)

    def in_time(self, ops, rank, rises):
        """Nothing that began after an answer is ranked before it, or with it when it rises()."""
        events = sorted([(op.inv, 0, i) for i, op in enumerate(ops)] +
                        [(op.resp, 1, i) for i, op in enumerate(ops)])
        floor, best = {}, None
        for _, end, i in events:
            op = ops[i]
            if not end:
                floor[i] = best
                continue
            before = floor.pop(i)
            if before is not None and (rank(op) < rank(before) or (
                    rank(op) == rank(before) and rises(op))):
                self.say("not in the order of time: %s; and then %s", before, op)
            if best is None or rank(op) > rank(best):
                best = op

    def state_of_zxid(self, ops, order):
        """No version that is older than the answer's own zxid allows, none that is newer."""
        ops = sorted((op for op in ops if op.kind in (READ, STRICT)), key=lambda op: op.zxid)
        at, newest = 0, 0
        for op in ops:
            while at < len(order) and order[at][1] <= op.zxid:
                newest = order[at][0]
                at += 1
            if op.version < newest:
                self.say("%s: version %d is of that zxid or before", op, newest)
            if op.mzxid > op.zxid:
                self.say("%s: it shows a state of 0x%x", op, op.mzxid)

    def sessions(self):
        zxid, seen = {}, {}
        for op in sorted(self.ops, key=lambda op: op.order):
            who = (op.who, op.session)
            if op.zxid < zxid.get(who, 0):
                self.say("%s: its session had seen zxid 0x%x", op, zxid[who])
            zxid[who] = op.zxid
            if op.kind == APPEND:
                continue
            last = seen.get(who + (op.key,), -1)
            if op.version < last or (op.kind == SET and op.version == last):
                self.say("%s: its session had seen version %d", op, last)
            seen[who + (op.key,)] = op.version

    def zxids(self):
        self.in_time([op for op in self.ops if op.kind in (SET, APPEND)], lambda op: op.mzxid,
                     lambda op: True)


def tampered(ops, final, rng):
    """Histories with one fault each: (name, operations, end). A judge that is right finds all."""
    def copies():
        return [copy.copy(op) for op in ops], copy.deepcopy(final)

    def any_of(some, kind, more=lambda op: True):
        return rng.choice([op for op in some if op.resp is not None and not op.err and
                           op.kind == kind and more(op)])

    some, end = copies()
    op = any_of(some, APPEND)
    del end[op.key][op.version]
    yield "an appended node is gone", some, end
    some, end = copies()
    op = any_of(some, SET)
    end[op.key] = ("", op.version - 1, op.mzxid - 1)
    yield "a key ends before its last write", some, end
    some, end = copies()
    op = any_of(some, SET)
    other = any_of(some, SET, lambda o: o.key == op.key and o.version != op.version)
    other.version = op.version
    yield "two writes got one version", some, end
    if any(op.kind == STRICT for op in ops):    # not where all servers are Apache's
        some, end = copies()
        op = any_of(some, STRICT, lambda o: o.version > 2)
        first = min((o for o in some if o.key == op.key and o.version), key=lambda o: o.version)
        op.version, op.value, op.mzxid = first.version, first.value, first.mzxid
        op.zxid = op.mzxid
        yield "a read behind a sync is stale", some, end
    some, end = copies()
    late = max(o.order for o in ops if o.order is not None) / 2
    op = any_of(some, READ, lambda o: o.version > 2 and o.order > late)
    op.zxid = 1
    yield "a session sees an old zxid", some, end
    some, end = copies()
    for key in (k for k in end if k.startswith("/a/") and end[k]):
        end[key][999999] = next(iter(end[key].values()))
        break
    yield "a request was done twice", some, end
