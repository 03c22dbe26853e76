"""A small real AMQP server around a management agent: what tools and client talk to in tests.

proton does the protocol on a real socket; requests and answers are read and written by the router's own codec.
It answers as router A, relays nothing, and releases what is sent to any other address.
"""

from __future__ import annotations

import itertools
import socket
import threading
from typing import Any

from proton import Connection, Delivery, Endpoint, Event, Link, SSLDomain, Terminus
from proton.handlers import MessagingHandler
from proton.reactor import ApplicationEvent, Container, EventInjector

from skupper_podman.routerd.management.agent import Agent
from skupper_podman.routerd.management.endpoint import answer
from skupper_podman.routerd.message import Message

_OWN = {"$management", "_topo/0/A/$management", "amqp:/_topo/0/A/$management"}


class AgentServer(MessagingHandler):
    """Use it as a context manager; ``url`` is where it listens. ``mute`` makes it accept requests and not answer."""

    def __init__(self, agent: Agent, *, mute: bool = False, domain: SSLDomain | None = None, port: int = 0) -> None:
        super().__init__(prefetch=0, auto_accept=False, auto_settle=False)
        self.agent, self.mute, self._domain = agent, mute, domain
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            self.port = probe.getsockname()[1]
        self.url = f"{'amqps' if domain else 'amqp'}://localhost:{self.port}"
        self.users: list[str] = []
        self._connections: list[Connection] = []
        self._replies: dict[str, Link] = {}
        self._numbers = itertools.count()
        self._data: dict[Link, bytes] = {}
        self._ready = threading.Event()
        self._injector = EventInjector()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> AgentServer:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._injector.trigger(ApplicationEvent("stop"))
        self._thread.join(10)

    def _run(self) -> None:
        self._container = Container(self)
        self._container.run()

    def on_start(self, event: Event) -> None:
        event.container.selectable(self._injector)
        self._acceptor = event.container.listen(
            f"{self.url.split(':')[0]}://127.0.0.1:{self.port}", ssl_domain=self._domain
        )
        self._ready.set()

    def on_stop(self, event: Event) -> None:
        self._injector.close()
        self._acceptor.close()
        for connection in self._connections:
            if connection.transport is not None:
                connection.transport.close_head()
                connection.transport.close_tail()

    def on_connection_opening(self, event: Event) -> None:
        self.users.append(event.transport.user or "")
        self._connections.append(event.connection)

    def on_link_opening(self, event: Event) -> None:
        link = event.link
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        if link.is_sender and link.remote_source.dynamic:
            link.source.address = f"amqp:/_topo/0/A/temp.{next(self._numbers)}"
            self._replies[link.source.address] = link
        link.open()
        if link.is_receiver:
            link.flow(250)

    def on_delivery(self, event: Event) -> None:
        link, delivery = event.link, event.delivery
        if not link.is_receiver:
            return
        while chunk := link.recv(delivery.pending or 1):
            self._data[link] = self._data.get(link, b"") + chunk
        if delivery.partial:
            return
        link.advance()
        request = Message.decode(self._data.pop(link))
        known = (link.remote_target.address or request.to) in _OWN
        delivery.update(Delivery.ACCEPTED if known else Delivery.RELEASED)
        delivery.settle()
        link.flow(1)
        if known and not self.mute:
            self._answer(request)

    def _answer(self, request: Message) -> None:
        reply = answer(self.agent, request)
        if reply is None:
            return
        link: Any = self._replies[reply.to]
        if link.state & Endpoint.REMOTE_CLOSED or link.remote_source.type == Terminus.UNSPECIFIED:
            return
        delivery = link.delivery(str(next(self._numbers)))
        link.stream(reply.encode())
        link.advance()
        delivery.settle()
