#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A session that must live through whatever the disk does, in a process of its own.

    reader.py read|ping|write NODE     until SIGTERM

It makes the ephemeral NODE with a session time-out of two seconds. Then it reads it over and over
(read), sends nothing but pings (ping), or writes to it once a second without waiting, and pings
(write). Prints "MONOTONIC LATENCY", seconds, for each reply; says why when the session is lost.
"""

import os
import select
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../clients/lib"))
import zkwire as zk

TIMEOUT_MS = 2000
PING = zk.request(-2, zk.PING)


def main():
    how, path = sys.argv[1:]
    ending = []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(1))
    conn = zk.Conn(connect=False, timeout=20.0)
    conn.send(zk.connect_request(TIMEOUT_MS))
    r = zk.Reader(conn.payload())
    r.i32()
    timeout, session = r.i32(), r.i64()
    if timeout != TIMEOUT_MS or conn.call(zk.CREATE, zk.create(path, b"x", flags=1)).err:
        sys.exit("no session of its own")
    print("session %x" % session, flush=True)
    sent = {}
    write_at = 0.0
    while not ending:
        now = time.monotonic()
        if how == "read":
            got = conn.call(zk.GET_DATA, zk.watched(path))
            if got.err:
                sys.exit("reading gives error %d" % got.err)
            print("%.6f %.6f" % (now, time.monotonic() - now))
            time.sleep(0.002)
            continue
        sent.setdefault(-2, now)
        conn.send(PING)
        if how == "write" and now >= write_at:
            write_at = now + 1.0
            sent[conn.next_xid()] = now
            conn.send(zk.request(conn.xid, zk.SET_DATA, zk.set_data(path, b"y")))
        while not ending and time.monotonic() < now + 0.5:
            if select.select([conn.sock], [], [], 0.1)[0]:
                got = conn.reply()
                if got.err:
                    sys.exit("error %d" % got.err)
                began = sent.pop(got.xid, now)     # of two pings the first one is timed
                print("%.6f %.6f" % (began, time.monotonic() - began))
    if how == "write":
        while any(xid != -2 for xid in sent):
            sent.pop(conn.reply().xid, None)
    print("alive", flush=True)


try:
    main()
except (zk.Closed, OSError) as err:
    sys.exit("the connection ended: %s" % err)
