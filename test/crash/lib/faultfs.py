# SPDX-License-Identifier: Apache-2.0
"""A mounted faultfs (see fs/faultfs.c) and its commands."""

import os
import subprocess
import time

PROGRAM = os.path.join(os.environ.get("BUILD", "build"), "test/crash/faultfs")


class FaultFs:
    def __init__(self, directory):
        self.mountpoint = os.path.join(directory, "faulty")
        os.makedirs(self.mountpoint)
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", PROGRAM, self.mountpoint, "-f"],
            stdin=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while not os.path.exists(self.faults()):
            if time.monotonic() > end or self.process.poll() is not None:
                raise OSError("%s does not mount" % PROGRAM)
            time.sleep(0.01)
        self.data = os.path.join(self.mountpoint, "data")

    def faults(self):
        return os.path.join(self.mountpoint, ".faults")

    def command(self, text):
        fd = os.open(self.faults(), os.O_WRONLY)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)

    def counters(self):
        with open(self.faults()) as f:
            return {key: int(value) for key, value in (line.split() for line in f)}

    def end(self):
        subprocess.run(["umount", "-l", self.mountpoint], check=False)
        self.process.terminate()
        self.process.wait()
