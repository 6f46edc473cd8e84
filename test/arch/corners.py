#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Has every corner case of test/corner_cases.txt its test? Prints what is wrong, nothing else."""

import os
import re
import sys

sys.dont_write_bytecode = True
TEST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(TEST, "clients", "diff"))

import main  # pylint: disable=wrong-import-position,unused-import
from book import CASES  # pylint: disable=wrong-import-position

LAST = 123
LATER = ("disk", "ensemble")
NAMES = [c.name for c in CASES]


def problem(test):
    if test in LATER:
        return None
    where, _, name = test.partition(":")
    if where == "diff":
        known = any(n == name or n.startswith(name + "-") for n in NAMES)
        return None if known else "no such case"
    try:
        with open(os.path.join(TEST, where), encoding="utf-8") as f:
            text = f.read()
    except OSError as err:
        return err.strerror
    if where.endswith(".py"):
        return None if re.search(r"^@case\ndef %s\(" % name, text, re.M) else "no such case"
    defined = re.search(r"^static void %s\(void \*\*state\)" % name, text, re.M)
    called = re.search(r"\b(cmocka_unit_test\w*|T)\(%s\b" % name, text)
    return None if defined and called else "no such test"


seen = []
with open(os.path.join(TEST, "corner_cases.txt"), encoding="utf-8") as lines:
    for line in lines:
        if line.startswith("#") or not line.strip():
            continue
        fields = [f.strip() for f in line.split("|")]
        if len(fields) != 3 or not fields[0].isdigit() or not fields[1] or not fields[2]:
            print("not NUMBER | WHAT | TEST: %s" % line.strip())
            continue
        seen.append(int(fields[0]))
        for t in fields[2].split():
            why = problem(t)
            if why:
                print("%s: %s: %s" % (fields[0], t, why))
if seen != list(range(1, LAST + 1)):
    print("not each of 1 to %d once and in order: %s" % (
        LAST, sorted(set(range(1, LAST + 1)) ^ set(seen)) or "order"))
