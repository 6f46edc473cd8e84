# SPDX-License-Identifier: Apache-2.0
"""What tests with a recorder have in common: their end, when faults are over and the judge speaks."""

import time

from crowd import Site, wrong
from judge import Judge, tampered
from lab import until
from model import seeded
from recorder import KEYS, Recorder, unpadded
from tree import pipelined
import zkwire as zk


class History:
    def __init__(self, lab, seed, digests=True, **recorder):
        self.lab, self.digests, self.rng = lab, digests, seeded(seed, "faults")
        self.recorder = Recorder(lab, lambda *more: seeded(seed, *more), **recorder)

    def heal(self):
        for m in self.lab.members:
            if not m.alive():
                m.spawn()
        began = time.monotonic()
        modes = lambda: all(m.mode(0.2) for m in self.lab.members)
        self.recorder.run(40, modes)
        leader = self.lab.settled(seconds=10)
        took = time.monotonic() - began
        before = self.recorder.acknowledged()
        self.recorder.run(2.0)
        wrong(self.recorder.acknowledged() == before, "nothing is acknowledged after the faults")
        self.recorder.finish()
        return "%s leads %.1f s after the last fault" % (leader, took)

    def trees(self):
        # Sessions that end while one tree after the other is read would make a difference.
        with zk.Conn(host=self.lab.settled().address, session_ms=30000) as conn:
            until(lambda: not conn.call(zk.GET_CHILDREN, zk.watched("/e")).body.strings(),
                  "the sessions that nobody uses any more end", 40, 0.2)
            conn.close()
        return "%d nodes are the same" % Site(self.lab, 0, 0, self.digests).trees()

    def final(self):
        """What is there in the end, as the judge takes it."""
        out = {}
        with zk.Conn(host=self.lab.settled().address, session_ms=30000) as conn:
            wrong(conn.call(zk.SYNC, zk.buf("/")).err, "sync")
            for key in ["/r/%d" % i for i in range(KEYS)]:
                body = conn.call(zk.GET_DATA, zk.watched(key)).body
                value, stat = unpadded(body.buf()), body.stat()
                out[key] = (value, stat.version, stat.mzxid)
            for p in self.recorder.probers:
                key = "/a/" + p.name
                names = conn.call(zk.GET_CHILDREN, zk.watched(key)).body.strings()
                out[key] = {}
                for name, got in zip(names, pipelined(conn, zk.GET_DATA, [
                        zk.watched(key + "/" + n) for n in names])):
                    value = unpadded(got.body.buf())
                    out[key][int(name[-10:])] = (value, got.body.stat().czxid)
            for name, session in self.recorder.owners().items():
                got = conn.call(zk.GET_DATA, zk.watched("/e/" + name))
                if got.err:
                    continue    # its session may have ended meanwhile
                got.body.buf()
                owner = got.body.stat().owner
                wrong(owner != session, "/e/%s belongs to %x, not to %x", name, owner, session)
            conn.close()
        return out

    def judge(self):
        final = self.final()
        found = self.recorder.complaints + Judge(self.recorder.ops, final).run()
        wrong(found, "%d violations:\n    %s", len(found), "\n    ".join(found[:20]))
        missed = [name for name, ops, end in tampered(self.recorder.ops, final, self.rng)
                  if not Judge(ops, end).run()]
        wrong(missed, "the judge does not see: %s", missed)
        answered = [op for op in self.recorder.ops if op.resp is not None]
        return "%d answers to %d requests, 0 violations" % (len(answered), len(self.recorder.ops))
