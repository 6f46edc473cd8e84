#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Turn over every byte of a small file, one at a time, and ask zokorctl for its verdict.

    flips.py ZOKORCTL snapshot|txnlog FILE
    flips.py --snappy IN OUT        pack IN by hand, in two blocks of literals

A damaged file must give exit code 1 and a line that names file and offset. What may pass: the
unread dbid of a log, the last record of a log (a torn tail is no damage), and what does not matter
to the contents of a compressed file. Then, too, the file must read to the same nodes, or to a
prefix of the records.
"""

import os
import re
import struct
import subprocess
import sys


def pack(source, target):
    with open(source, "rb") as f:
        data = f.read()
    out = b"\x82SNAPPY\0" + struct.pack(">ii", 1, 1)
    for part in (data[:200], data[200:]):
        size = len(part)
        length = bytes([size & 0x7f | 0x80, size >> 7]) if size > 127 else bytes([size])
        block = length + bytes([61 << 2]) + struct.pack("<H", size - 1) + part
        out += struct.pack(">i", len(block)) + block
    with open(target, "wb") as f:
        f.write(out)


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)


def main():
    ctl, kind, path = sys.argv[1:]
    with open(path, "rb") as f:
        sound = f.read()
    name = os.path.join(os.path.dirname(path), "flipped", os.path.basename(path))
    os.makedirs(os.path.dirname(name), exist_ok=True)
    want = run(ctl, kind, "dump", "--json", path).stdout.splitlines()
    last = 0
    if kind == "txnlog":
        last = int(re.findall(rb'"offset":(\d+)', b"".join(want))[-1])
    bad = refused = 0
    for at in range(len(sound)):
        data = bytearray(sound)
        data[at] ^= 1 << at % 8
        with open(name, "wb") as f:
            f.write(data)
        got = run(ctl, kind, "verify", name)
        if got.returncode == 1:
            refused += 1
            right = re.search(rb": offset \d+: ", got.stderr) and name.encode() in got.stderr
            # the dump must end as well, however it ends
            right = right and (at % 8 or run(ctl, kind, "dump", name).returncode == 1)
        else:
            lines = run(ctl, kind, "dump", "--json", name).stdout.splitlines()
            allowed = not name.split("/")[-1] == "snapshot.0"
            if kind == "txnlog":
                allowed = 8 <= at < 16 or at >= last
            right = got.returncode == 0 and allowed and lines == want[:len(lines)]
        if not right:
            bad += 1
            print("byte %d: exit %d %s" % (at, got.returncode, got.stderr[-200:]))
    print("%d of %d refused, %d wrong" % (refused, len(sound), bad))
    return 1 if bad or refused < len(sound) // 2 else 0


if sys.argv[1] == "--snappy":
    pack(*sys.argv[2:])
else:
    sys.exit(main())
