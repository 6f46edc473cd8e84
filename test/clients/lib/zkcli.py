# SPDX-License-Identifier: Apache-2.0
"""Drives Apache's zkCli.sh, with commands on its command line or through its standard input."""

import os
import queue
import re
import shutil
import subprocess
import threading
import time

ZKCLI = shutil.which("zkCli.sh") or "/usr/share/zookeeper/bin/zkCli.sh"
CONNECT = os.environ["ZK_CONNECT"]


def environment():
    env = dict(os.environ)
    env["JVMFLAGS"] = env.get("ZK_JAVA_OPTS", "-Xmx512m")
    return env


def once(*args, seconds=60):
    """One command on the command line: (exit status, everything it printed)."""
    got = subprocess.run([ZKCLI, "-timeout", "20000", "-server", CONNECT] + list(args),
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, timeout=seconds, env=environment())
    return got.returncode, got.stdout.decode()


class Cli:
    """A zkCli.sh that reads commands from a pipe."""

    END = "printwatches is on"

    def __init__(self):
        self.process = subprocess.Popen(
            [ZKCLI, "-waitforconnection", "-timeout", "20000", "-server", CONNECT],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=environment())
        self.lines = queue.Queue()
        self.events = []
        self.log = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.do("printwatches on")

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.decode().rstrip("\r\n"))
        self.lines.put(None)

    def _next(self, end):
        """The next line; events are put aside."""
        while True:
            try:
                line = self.lines.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError("zkCli went silent; it had printed:\n" +
                                     "\n".join(self.log[-20:])) from None
            if line is None:
                raise AssertionError("zkCli ended; it had printed:\n" + "\n".join(self.log[-20:]))
            self.log.append(line)
            event = re.search(r"WatchedEvent state:(\S+) type:(\S+) path:(.*)", line)
            if event and event.group(2) == "None":
                continue
            if event:
                # 3.9 adds the zxid of the change behind the path.
                self.events.append((event.group(2), event.group(3).split(" zxid:")[0]))
            elif line != "WATCHER::":
                return line

    def do(self, command, seconds=20):
        """Send one command; the text that it printed, without prompts and events."""
        self.process.stdin.write((command + "\nprintwatches\n").encode())
        self.process.stdin.flush()
        out = []
        end = time.monotonic() + seconds
        while True:
            line = self._next(end)
            if line.endswith(self.END):
                return "\n".join(out).strip()
            out.append(line)

    def event(self, kind, path, seconds=15):
        """Wait until this event was printed, and take it."""
        end = time.monotonic() + seconds
        while (kind, path) not in self.events:
            if time.monotonic() > end:
                raise AssertionError("no event %s for %s but %r" % (kind, path, self.events))
            self.do("")
            time.sleep(0.02)
        self.events.remove((kind, path))

    def quit(self):
        self.process.stdin.write(b"quit\n")
        self.process.stdin.close()
        return self.process.wait(30)
