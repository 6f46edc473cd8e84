# SPDX-License-Identifier: Apache-2.0
"""Path rules: every class of character of semantics.md section 2, by every operation."""

import wire as w
from book import case, table

GOOD = [" ", "a b", "...", "a..", "..a", ".a", "a.", "-", "%", "*", "\\", "\"", "'", "~", "\u00a0",
        "\u00ff", "\u0100", "\u07ff", "\u0800", "\u20ac", "\ud7ff", "\uf900", "\uffef", "漢字",
        "é", "e\u0301", "\u200b", "\u202e", "\u2028"]
BAD = ["\0", "\x01", "\x1f", "\t", "\n", "\x7f", "\x80", "\x9f", "\ue000", "\uf8ff", "\ufff0",
       "\ufffd", "\ufffe", "\uffff", ".", "..", "", "\U0001f600", "\U00010000", "\U0010ffff"]
BYTES = [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xed\xa0\x80\xed\xb0\x80", b"\xe2\x82",
         b"\xf4\x90\x80\x80", b"\xe0\x80\x80", b"\xc1\xbf", b"\x80", b"\xbf", b"\xf8\x88\x80\x80\x80",
         b"\xc3", b"\xf0\x9f\x98"]


def label(value):
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    return value.hex() or "empty"


def forms(run, name):
    """The character alone, at the begin, the end, in the middle, and in a parent."""
    raw = name if isinstance(name, bytes) else name.encode("utf-8", "surrogatepass")
    root = run.root.encode()
    return [root + b"/" + raw, root + b"/" + raw + b"x", root + b"/x" + raw,
            root + b"/x" + raw + b"y", root + b"/" + raw + b"/kid"]


ROWS = [("good-" + label(n), n) for n in GOOD] + [("bad-" + label(n), n) for n in BAD] + \
    [("bytes-" + label(n), n) for n in BYTES]


@table(ROWS)
def path_with(run, name):
    c = run.conn()
    c(w.create(run.root))
    for path in forms(run, name):
        c(w.create(path), w.exists(path), w.set_data(path, b"1"), w.get_data(path))
        c(w.create(path, b"", None, 2), w.multi(w.check(path)), w.set_acl(path, [(31, "world", "anyone")]))
        c(w.sync(path), w.get_acl(path))
    c(w.get_children2(run.root))
    for path in reversed(forms(run, name)):
        c(w.delete(path))
    c(w.get_children2(run.root))


@case
def every_ascii_character(run):
    c = run.conn()
    c(w.create(run.root))
    for n in range(128):
        c(w.create(run.root.encode() + b"/a" + bytes([n]) + b"b"))
    c(w.get_children2(run.root))


@case
def every_two_byte_boundary(run):
    c = run.conn()
    c(w.create(run.root))
    for code in list(range(0x80, 0x100, 4)) + [0x9f, 0xa0, 0x2000, 0xd7fe, 0xd7ff, 0xf8fe, 0xf8ff,
                                               0xf900, 0xf901, 0xffee, 0xffef, 0xfff0, 0xfffc]:
        c(w.create(run.p("a%cb" % code)))
    c(w.get_children2(run.root))


@case
def paths_without_a_slash(run):
    c = run.conn()
    for path in ("", "a", "a/b", ".", "..", " ", None, "\0", "\0/", "é", "é/b"):
        for flags in (0, 1, 2):
            c(w.create(path, b"", None, flags), w.create2(path, b"", None, flags))
            c(w.container(path))
        c(w.set_data(path), w.delete(path), w.set_acl(path, [(31, "world", "anyone")]))
        if path is not None:  # cases_multi.py has null
            c(w.multi(w.check(path)), w.multi(w.delete(path)), w.multi(w.create(path)))
            c(w.multi(w.set_data(path)))
        c(w.multi_read(w.get_data(path)))
        c(w.multi_read(w.get_children(path)))


@case
def slashes(run):
    c = run.conn()
    c(w.create(run.root), w.create(run.p("a")))
    for path in ("//", "///", run.root + "//a", "/" + run.root, run.root + "/", run.p("a", ""),
                 run.p("a", "", ""), run.p("", "b"), run.p("b", "")):
        for flags in (0, 2):
            c(w.create(path, b"", None, flags))
        c(w.set_data(path), w.delete(path), w.exists(path), w.get_children(path))
    c(w.get_children2(run.root), w.get_children2(run.p("a")))
