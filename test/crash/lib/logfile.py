# SPDX-License-Identifier: Apache-2.0
"""Just enough of transaction log files to take records away from them."""

import os
import struct


def names(directory, prefix):
    """Files of version-2, by the zxid in their names."""
    folder = os.path.join(directory, "version-2")
    out = []
    for name in os.listdir(folder):
        parts = name.split(".")
        if parts[0] == prefix and len(parts) > 1 and parts[-1] != "tmp":
            out.append((int(parts[1], 16), os.path.join(folder, name)))
    return sorted(out)


def records(path):
    """(offset, zxid) of each record."""
    with open(path, "rb") as f:
        data = f.read()
    at, out = 16, []
    while at + 12 <= len(data):
        size = struct.unpack_from(">i", data, at + 8)[0]
        end = at + 12 + size
        if size <= 0 or end >= len(data) or data[end] != 0x42:
            break
        out.append((at, struct.unpack_from(">q", data, at + 24)[0]))
        at = end + 1
    return out


def drop_empty(directory):
    """Remove the newest log when nothing was ever written to it; @return whether it was so."""
    logs = names(directory, "log")
    if not logs or os.path.getsize(logs[-1][1]) > 0:
        return False
    os.unlink(logs[-1][1])
    return True


def cut(directory, zxid):
    """Take away the record of this zxid and all later ones, and snapshots that hold it."""
    for first, path in names(directory, "log"):
        if first >= zxid:
            os.unlink(path)
            continue
        for at, found in records(path):
            if found >= zxid:
                os.truncate(path, at)
                break
    for last, path in names(directory, "snapshot"):
        if last >= zxid:
            os.unlink(path)
