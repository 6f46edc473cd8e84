# SPDX-License-Identifier: Apache-2.0
"""Kernel sockets against tcp_echo: kernel_peer.py ADDRESS PORT OWN_ADDRESS [SCALE].

Prints one line "ok NAME" or "FAIL NAME: why" per test, exit code 1 when one failed.
"""
import random
import socket
import struct
import sys
import threading
import time
import zlib

ADDRESS, PORT, OWN = sys.argv[1], int(sys.argv[2]), sys.argv[3]
SCALE = float(sys.argv[4]) if len(sys.argv) > 4 else 1.0
TIMEOUT_S = 120


def connect():
    s = socket.create_connection((ADDRESS, PORT), timeout=TIMEOUT_S)
    s.settimeout(TIMEOUT_S)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def read_exact(s, n):
    parts = []
    while n:
        b = s.recv(min(n, 65536))
        if not b:
            raise EOFError("end after %d bytes too few" % n)
        parts.append(b)
        n -= len(b)
    return b"".join(parts)


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def content(seed, n):
    return random.Random(seed).randbytes(n)


def pump(s, data, sender_shuts=True):
    """Send data on a thread while the caller reads."""
    def work():
        try:
            s.sendall(data)
            if sender_shuts:
                s.shutdown(socket.SHUT_WR)
        except OSError as e:
            errors.append(e)
    errors = []
    t = threading.Thread(target=work, daemon=True)
    t.start()
    return t, errors


def bulk(n, seed, slow=None):
    data = content(seed, n)
    s = connect()
    s.sendall(b"E")
    if slow:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    t, errors = pump(s, data)
    got, crc = 0, 0
    while True:
        if slow:
            slow(got)
        b = s.recv(65536)
        if not b:
            break
        expect(b == data[got:got + len(b)], "content differs near byte %d" % got)
        crc = zlib.crc32(b, crc)
        got += len(b)
    t.join(TIMEOUT_S)
    expect(not errors, "sender: %s" % errors)
    expect(got == n, "%d of %d bytes came back" % (got, n))
    expect(crc == zlib.crc32(data), "checksum differs")
    s.close()


def test_bulk_both_ways():
    bulk(int(20e6 * SCALE), 1)


def test_four_bulks_at_once():
    errors = []

    def one(seed):
        try:
            bulk(int(3e6 * SCALE), seed)
        except Exception as e:  # noqa: the thread reports all
            errors.append(repr(e))
    threads = [threading.Thread(target=one, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(TIMEOUT_S)
        expect(not t.is_alive(), "a transfer hangs")
    expect(not errors, "; ".join(errors))


def test_slow_reader():
    pauses = [0]

    def slow(got):
        if got >= pauses[0] * 500000 and pauses[0] < 6:
            pauses[0] += 1
            time.sleep(1.0)
    bulk(int(3e6 * SCALE), 7, slow)


def test_reader_that_stops():
    """The window stays closed for several probes, then everything arrives."""
    data = content(8, 2000000)
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(TIMEOUT_S)
    s.connect((ADDRESS, PORT))
    s.sendall(b"E")
    t, errors = pump(s, data)
    time.sleep(6)
    got = read_exact(s, len(data))
    t.join(TIMEOUT_S)
    expect(not errors and got == data, "content differs")
    expect(s.recv(1) == b"", "no end")
    s.close()


def test_requests():
    s = connect()
    s.sendall(b"E")
    for i in range(int(2000 * SCALE)):
        m = content(i, 1 + i % 300)
        s.sendall(m)
        expect(read_exact(s, len(m)) == m, "answer %d differs" % i)
    s.close()


def test_pipelined_and_dribbled():
    m = content(3, 3000)
    s = connect()
    s.sendall(b"E" + m)
    expect(read_exact(s, len(m)) == m, "pipelined answer differs")
    for i in range(len(m)):
        s.send(m[i:i + 1])
    expect(read_exact(s, len(m)) == m, "dribbled answer differs")
    s.close()


def test_short_connections():
    n = int(1000 * SCALE)
    errors = []
    lock = threading.Lock()
    todo = list(range(n))

    def worker():
        while True:
            with lock:
                if not todo or errors:
                    return
                i = todo.pop()
            try:
                m = content(i, 100)
                s = connect()
                s.sendall(b"E" + m)
                expect(read_exact(s, len(m)) == m, "answer differs")
                if i % 2:
                    s.shutdown(socket.SHUT_WR)
                    expect(s.recv(1) == b"", "no end")
                s.close()
            except Exception as e:  # noqa
                errors.append("%d: %r" % (i, e))
    threads = [threading.Thread(target=worker) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(TIMEOUT_S)
        expect(not t.is_alive(), "a connection hangs")
    expect(not errors, "; ".join(errors[:3]))


def test_client_closes_first():
    s = connect()
    s.sendall(b"Ehello")
    s.shutdown(socket.SHUT_WR)
    expect(read_exact(s, 5) == b"hello" and s.recv(1) == b"", "half close")
    s.close()


def test_server_closes_first():
    for n in (0, 1, 1000, 300000):
        s = connect()
        s.sendall(b"B" + struct.pack(">I", n))
        data = read_exact(s, n)
        expect(s.recv(1) == b"", "no end after %d" % n)
        expect(all(data[k] == (k * 31 + (k >> 8)) & 255 for k in range(0, n, 997)),
               "content of %d" % n)
        s.close()


def test_server_closes_first_client_goes_on():
    s = connect()
    s.sendall(b"B" + struct.pack(">I", 10))
    read_exact(s, 10)
    expect(s.recv(1) == b"", "no end")
    s.sendall(b"x" * 5000)
    time.sleep(0.2)
    s.close()
    test_client_closes_first()


def test_server_resets():
    s = connect()
    s.sendall(b"A")
    try:
        expect(s.recv(1) != b"", "closed, not reset")
        raise AssertionError("not reset")
    except ConnectionResetError:
        pass
    s.close()


def test_client_resets():
    for _ in range(20):
        s = connect()
        s.sendall(b"E" + b"y" * 20000)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    test_client_closes_first()


def test_connection_refused():
    s = socket.socket()
    s.settimeout(10)
    try:
        s.connect((ADDRESS, PORT + 1))
        raise AssertionError("connected")
    except ConnectionRefusedError:
        pass
    s.close()


def test_active_open():
    listener = socket.socket()
    listener.bind((OWN, 0))
    listener.listen(5)
    listener.settimeout(20)
    control = connect()
    control.sendall(b"C" + struct.pack(">H", listener.getsockname()[1]))
    s, _ = listener.accept()
    s.settimeout(TIMEOUT_S)
    data = content(9, 300000)
    t, errors = pump(s, data)
    expect(read_exact(s, len(data)) == data, "content differs")
    expect(s.recv(1) == b"", "no end")
    t.join(TIMEOUT_S)
    expect(not errors, "sender: %s" % errors)
    s.close()
    control.close()
    listener.close()


def main():
    failed = 0
    for name, test in sorted(globals().items()):
        if not name.startswith("test_"):
            continue
        start = time.monotonic()
        try:
            test()
            print("ok %s (%.1f s)" % (name[5:], time.monotonic() - start), flush=True)
        except Exception as e:  # noqa: a test may fail in any way
            failed += 1
            print("FAIL %s: %r (%.1f s)" % (name[5:], e, time.monotonic() - start), flush=True)
    return 1 if failed else 0


sys.exit(main())
