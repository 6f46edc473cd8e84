# SPDX-License-Identifier: Apache-2.0
"""The list of scripted cases."""

from collections import namedtuple

# act(run, *args) does the requests. needs39: why the case means nothing with a reference of line 3.8 (else None).
Case = namedtuple("Case", "name act args slow needs39")

CASES = []


def case(act=None, *, slow=False, needs39=None):
    """One case, named after its function."""
    def add(function):
        CASES.append(Case(function.__name__.replace("_", "-"), function, (), slow, needs39))
        return function
    return add(act) if act else add


def table(rows, *, needs39=None):
    """One case for each row: (name, *args)."""
    def add(function):
        head = function.__name__.replace("_", "-")
        for row in rows:
            CASES.append(Case("%s-%s" % (head, row[0]), function, tuple(row[1:]), False,
                              needs39))
        return function
    return add
