# SPDX-License-Identifier: Apache-2.0
"""Lets clients write as fast as they can."""

import selectors
import time

from client import wrong


def drive(clients, seconds, ending=None, end_after=0.0, tolerant=False):
    """For so long, on the connections there are; client `ending` ends its session after `end_after` seconds and begins another.
    tolerant: a connection that the server ends stays ended and is no error."""
    selector = selectors.DefaultSelector()
    begin = time.monotonic()

    def join(client):
        if not client.sock:
            client.connect()
        selector.register(client.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, client)

    for client in clients:
        if tolerant and not client.sock:
            # What has not been answered may still be done: nothing new before that is known.
            if client.sent:
                continue
            try:
                join(client)
            except OSError:
                client.drop()
        else:
            join(client)
    while True:
        now = time.monotonic() - begin
        if now >= seconds:
            break
        if ending and now > end_after and ending.hello:
            ending.push_close()
            ending = None
        for key, events in selector.select(seconds - now):
            client = key.data
            if events & selectors.EVENT_READ and not client.readable():
                selector.unregister(client.sock)
                if tolerant:
                    client.drop()
                    continue
                wrong(client.session, "%s: the server ended the connection", client.name)
                client.drop()
                join(client)
                continue
            if events & selectors.EVENT_WRITE:
                client.writable()
            want = selectors.EVENT_READ
            if client.wants_to_write():
                want |= selectors.EVENT_WRITE
            if want != key.events:
                selector.modify(client.sock, want, client)
    selector.close()
