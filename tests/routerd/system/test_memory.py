"""Memory stays flat whatever a peer does or leaves undone."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from typing import Any

from proton import Event
from proton.handlers import MessagingHandler
from proton.reactor import Container

from tests.routerd.system.lab import (
    Lab,
    connect,
    connector,
    echoes,
    exchange,
    free_port,
    listener,
    tcp_connector,
    tcp_listener,
    wait_for,
)

MEGABYTE = 1 << 20


class SlowReceiver(MessagingHandler):
    """Gives credit, takes a little of one huge message, and then reads nothing any more until told to end."""

    def __init__(self, port: int) -> None:
        super().__init__(prefetch=0, auto_accept=False, auto_settle=False)
        self._port = port
        self._receiver: Any = None
        self.stalled = threading.Event()
        self.end = threading.Event()

    def on_start(self, event: Event) -> None:
        conn = event.container.connect(f"127.0.0.1:{self._port}", reconnect=False)
        self._receiver = event.container.create_receiver(conn, "huge")
        self._receiver.flow(5)

    def on_delivery(self, event: Event) -> None:
        if event.delivery.readable and len(self._receiver.recv(65536)):
            self.stalled.set()
            self.end.wait(30)
            event.connection.close()


class HugeSender(MessagingHandler):
    """Streams one message of half a gigabyte as fast as it may."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self._sender: Any = None
        self.sent = 0
        self.end = False

    def on_start(self, event: Event) -> None:
        conn = event.container.connect(f"127.0.0.1:{self._port}", reconnect=False)
        self._sender = event.container.create_sender(conn, "huge")
        event.container.schedule(0.1, self)

    def on_timer_task(self, event: Event) -> None:
        if self.end:
            self._sender.connection.close()
        else:
            event.container.schedule(0.1, self)

    def on_sendable(self, event: Event) -> None:
        if not self.sent:
            self._sender.delivery("huge")
            self._sender.stream(b"\x00\x53\x75\xb0" + (512 * MEGABYTE).to_bytes(4))
            self.sent = 4
        self._push()

    def on_link_flow(self, _event: Event) -> None:
        if self.sent:
            self._push()

    def _push(self) -> None:
        while self._sender.session.outgoing_bytes < 2 * MEGABYTE and self.sent < 400 * MEGABYTE:
            self._sender.stream(bytes(262144))
            self.sent += 262144


def test_huge_message_to_a_slow_consumer_is_held_back_and_holds_nobody_up(lab: Lab) -> None:
    server = lab.server()
    link, front = free_port(), free_port()
    a = lab.router("A", "interior", listener("inter-router", link), tcp_listener(front))
    b = lab.router("B", "interior", connector("inter-router", link), tcp_connector(server.port))
    wait_for(lambda: echoes(front), "service")
    receiver = SlowReceiver(b.port)
    taking = threading.Thread(target=Container(receiver).run, daemon=True)
    taking.start()
    wait_for(lambda: any(item["key"] == "Mhuge" for item in a.query("router.address")), "A hears of the consumer")
    before = [router.memory() for router in (a, b)]
    sender = HugeSender(a.port)
    giving = threading.Thread(target=Container(sender).run, daemon=True)
    giving.start()
    assert receiver.stalled.wait(10)

    def settled() -> bool:
        count = sender.sent
        time.sleep(0.5)
        return sender.sent == count

    wait_for(settled, "the sender is held back")
    data = os.urandom(4 * MEGABYTE)
    assert exchange(front, data) == data
    grown = [router.memory() - then for router, then in zip((a, b), before, strict=True)]
    assert max(grown) < 64 * MEGABYTE, grown
    sender.end = True
    receiver.end.set()
    taking.join(5)
    giving.join(5)


def test_clients_that_never_read_cost_no_more_than_their_windows(lab: Lab) -> None:
    server = lab.server()
    front, link = free_port(), free_port()
    lab.router("A", "interior", listener("inter-router", link), tcp_listener(front))
    lab.router("B", "interior", connector("inter-router", link), tcp_connector(server.port))
    wait_for(lambda: echoes(front), "service")
    before = [router.memory() for router in lab.routers]
    clients = [connect(front) for _ in range(30)]
    for client in clients:
        client.setblocking(False)
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        for client in clients:
            with contextlib.suppress(BlockingIOError):
                client.send(bytes(262144))
        time.sleep(0.01)
    assert echoes(front)
    grown = [router.memory() - then for router, then in zip(lab.routers, before, strict=True)]
    # A window for each, and what proton's buffers of that stream keep of their largest read.
    assert max(grown) < 30 * (1.5 + 0.75) * MEGABYTE + 12 * MEGABYTE, grown
    for client in clients:
        client.shutdown(socket.SHUT_RDWR)
        client.close()
    for router in lab.routers:
        wait_for(lambda router=router: not router.query("tcpConnection"), "flows end")
