# SPDX-License-Identifier: Apache-2.0
"""What zokord refuses on purpose and Apache does, in groups that run.sh --with GROUP switches on."""

import wire as w
from book import case


@case(group="sessionop")
def create_session_op(run):
    """Apache makes a second session for createSession from a client, answers it by a bare
    ConnectResponse in the middle of the replies and closes; zokord answers -6 as to every opcode
    that is not a client's."""
    c = run.conn()
    c.feed(w.zk.request(1, w.CREATE_SESSION, w.zk.i32(5000)), "createSession from a client")
