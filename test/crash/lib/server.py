# SPDX-License-Identifier: Apache-2.0
"""A server of either kind on a data directory: started, killed, stopped, asked.

Both kinds take the same lines of zoo.cfg. The caller runs in a network namespace of its own.
    ZOKORD            the server binary
    APACHE_CLASSPATH  another release of Apache ZooKeeper than Debian's 3.8
"""

import os
import re
import signal
import socket
import subprocess
import time

ADDRESS, HOST_ADDRESS, PORT = "127.181.0.1", "127.181.0.254", 2181
JARS = "/usr/share/java/"
CLASSPATH = os.environ.get("APACHE_CLASSPATH") or ":".join(
    JARS + j for j in ("zookeeper.jar", "slf4j-simple.jar", "snappy-java.jar"))
JAVA = ["java", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
        "-Djava.net.preferIPv4Stack=true", "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dzookeeper.digest.enabled=true",
        "-Dzookeeper.extendedTypesEnabled=true"]
MISMATCH = re.compile(r"[Dd]igests? .*not match|digest mismatch|digestMismatch(es)?=[1-9]")


class Failed(Exception):
    """The server did not do what a server does; says what, with the end of its log."""


def word(name, timeout=2.0, address=ADDRESS):
    """The answer to a four-letter word, None while nobody answers."""
    try:
        with socket.create_connection((address, PORT), timeout=timeout) as sock:
            sock.sendall(name.encode())
            out = b""
            while True:
                more = sock.recv(1 << 16)
                if not more:
                    return out.decode()
                out += more
    except OSError:
        return None


class Server:
    address = ADDRESS

    def __init__(self, kind, data, log, conf=None, java=(), log_dir=None):
        self.kind, self.data, self.log_name = kind, data, log
        self.conf = dict(conf or {})
        self.java = list(java)
        self.log_dir = log_dir
        self.process = None
        self.log_from = 0
        self.started_ms = None
        self.mark = 0

    def config(self):
        conf = {"clientPort": PORT, "tickTime": 500, "minSessionTimeout": 1000,
                "maxSessionTimeout": 60000, "dataDir": self.data, "maxClientCnxns": 0,
                "4lw.commands.whitelist": "srvr,mntr,ruok,dump,hash", "preAllocSize": 1024,
                "autopurge.purgeInterval": 0}
        if self.log_dir:
            conf["dataLogDir"] = self.log_dir
        if self.kind == "apache":
            conf.update({"clientPortAddress": ADDRESS, "admin.enableServer": "false"})
        else:
            conf.update({"dp.device": "tap:zk0", "dp.address": ADDRESS + "/24",
                         "dp.tapHostAddress": HOST_ADDRESS + "/24", "dp.hugepages": "no",
                         "tree.memoryLimit": "512M", "extendedTypesEnabled": "true"})
            for line in os.environ.get("ZOKOR_CONF_EXTRA", "").split("\n"):
                if line:
                    key, value = line.split("=", 1)
                    conf[key] = value
        conf.update(self.conf)
        return conf

    def argv(self, cfg):
        if self.kind == "apache":
            return JAVA + self.java + [
                "-cp", CLASSPATH, "org.apache.zookeeper.server.quorum.QuorumPeerMain", cfg]
        return [os.environ["ZOKORD"], cfg]

    def word(self, name, timeout=2.0):
        return word(name, timeout, self.address)

    def spawn(self):
        """Start the process and do not wait for it."""
        os.makedirs(self.data, exist_ok=True)
        cfg = self.log_name + ".cfg"
        with open(cfg, "w") as f:
            f.writelines("%s=%s\n" % item for item in self.config().items())
        argv = self.argv(cfg)
        with open(self.log_name, "ab") as log:
            self.log_from = log.tell()
            self.mark = time.monotonic()
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL"] + argv,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start(self, seconds=30.0):
        """Start the process and wait until it serves."""
        self.spawn()
        self.served(seconds)

    def served(self, seconds=30.0):
        end = time.monotonic() + seconds
        while True:
            if self.process.poll() is not None:
                raise Failed("%s ended with status %d\n%s" % (
                    self.kind, self.process.returncode, self.tail()))
            if self.kind == "apache" or "serving=" in self.log():
                answer = self.word("srvr", 0.5)
                if answer and "Mode: " in answer:
                    break
            if time.monotonic() > end:
                raise Failed("%s does not serve after %g s\n%s" % (
                    self.kind, seconds, self.tail()))
            time.sleep(0.01)
        self.started_ms = (time.monotonic() - self.mark) * 1000

    def log(self):
        """What this process has logged."""
        with open(self.log_name, "rb") as f:
            f.seek(self.log_from)
            return f.read().decode(errors="replace")

    def tail(self, lines=15):
        """The end of it, without the stacks of a JVM."""
        said = [line for line in self.log().splitlines() if not line.startswith("\tat ")]
        return "\n".join("    | " + line for line in said[-lines:])

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """SIGKILL. A server that had ended by itself is a failure."""
        if self.process.poll() is not None:
            raise Failed("%s had ended with status %d\n%s" % (
                self.kind, self.process.returncode, self.tail()))
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, seconds=20.0):
        """SIGTERM; @return the status, with which a clean stop is 0 (143 of a JVM counts as 0)."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed("%s does not stop on SIGTERM\n%s" % (self.kind, self.tail())) from None
        return 0 if self.kind == "apache" and status == 143 else status

    def stopped_clean(self):
        status = self.stop()
        if status != 0:
            raise Failed("%s ended with status %d after SIGTERM\n%s" % (
                self.kind, status, self.tail()))

    def reap(self):
        """End what is left, at the end of a test."""
        if self.alive():
            self.process.kill()
            self.process.wait()

    def mntr(self):
        answer = self.word("mntr") or ""
        return dict(line.split("\t", 1) for line in answer.splitlines() if "\t" in line)

    def zxid(self):
        answer = self.word("srvr") or ""
        return int(re.search(r"^Zxid: (0x[0-9a-f]+)$", answer, re.M).group(1), 16)

    def digest_ok(self):
        """No digest mismatch since the start, neither counted nor logged."""
        line = MISMATCH.search(self.log())
        if line:
            raise Failed("%s logged: %s\n%s" % (self.kind, line.group(0), self.tail()))
        count = self.mntr().get("zk_digest_mismatches_count", "0")
        if float(count) != 0:
            raise Failed("%s counts %s digest mismatches" % (self.kind, count))
