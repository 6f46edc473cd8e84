# SPDX-License-Identifier: Apache-2.0
"""What a server's files say about how it was synchronised; needs nobody's word for it."""

import os

import lab  # the path to logfile  # noqa: F401
import logfile


def log_zxids(member):
    """All zxids in its transaction logs, in the order of the files."""
    folder = os.path.join(member.data, "version-2")
    if not os.path.isdir(folder):
        return []
    return [zxid for _, path in logfile.names(member.data, "log")
            for _, zxid in logfile.records(path)]


def snapshots(member):
    """The zxids in the names of its snapshots."""
    folder = os.path.join(member.data, "version-2")
    return [zxid for zxid, _ in logfile.names(member.data, "snapshot")] \
        if os.path.isdir(folder) else []


def how_synced(member, before, leader):
    """DIFF, TRUNC or SNAP, told from the files of a member that was down while the others went on.
    before: log_zxids() of the member when it was down; leader: who has the whole log since then."""
    now, known = log_zxids(member), set(log_zxids(leader))
    last = max((z for z in before if z in known), default=0)
    lost = [z for z in before if z > last]
    if any(z > last for z in snapshots(member)):
        return "SNAP"
    missed = [z for z in sorted(known) if z > last]
    if not set(missed) <= set(now):
        return "nothing: %d of %d transactions are in no log" % (
            len(set(missed) - set(now)), len(missed))
    if lost:
        return "TRUNC" if not set(lost) & set(now) else "nothing: the lost ones are still there"
    return "DIFF"
