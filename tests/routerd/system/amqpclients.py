"""AMQP clients of the system tests: collectors that count what they get, and senders that keep outcomes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from proton import Delivery, Event, Message
from proton.handlers import MessagingHandler
from proton.reactor import ApplicationEvent, Container, EventInjector


class Client(MessagingHandler):
    """A client on a thread of its own; `do` runs a call on that thread."""

    def __init__(self, port: int) -> None:
        super().__init__(prefetch=0, auto_accept=False, auto_settle=False)
        self._url = f"127.0.0.1:{port}"
        self._injector = EventInjector()
        self.conn: Any = None
        self.errors: list[str] = []
        self._open = threading.Event()
        self._ready = threading.Event()
        self.container: Any = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._open.wait(10), f"no connection to {self._url}"

    def _run(self) -> None:
        self.container = Container(self)
        self.container.run()

    def on_start(self, event: Event) -> None:
        event.container.selectable(self._injector)
        self.conn = event.container.connect(self._url, reconnect=False)

    def on_connection_opened(self, event: Event) -> None:
        self._open.set()

    def on_link_error(self, event: Event) -> None:
        condition = event.link.remote_condition
        self.errors.append(condition.name if condition else "")
        event.link.close()

    def on_call(self, event: Any) -> None:
        event.subject()
        self._ready.set()

    def do(self, call: Callable[[], Any]) -> Any:
        """Run `call` on the client's thread and give its result."""
        found: list[Any] = []
        self._ready.clear()
        self._injector.trigger(ApplicationEvent("call", subject=lambda: found.append(call())))
        assert self._ready.wait(10)
        return found[0]

    def close(self) -> None:
        """Close the connection and end the thread."""
        if self._thread.is_alive():
            self._injector.trigger(ApplicationEvent("call", subject=self.conn.close))
            self._injector.close()
            self._thread.join(10)


class Collector(Client):
    """Receives from an address and settles with a chosen outcome; None holds deliveries unsettled."""

    def __init__(
        self, port: int, address: str, *, credit: int = 1000, outcome: int | None = Delivery.ACCEPTED, **options: Any
    ) -> None:
        self.messages: list[Message] = []
        self.held: list[Any] = []
        self.outcome = outcome
        self.receiver: Any = None
        super().__init__(port)
        self.receiver = self.do(lambda: self.container.create_receiver(self.conn, address, **options))
        self.give(credit)

    def give(self, credit: int) -> None:
        """Give further credit."""
        if credit:
            self.do(lambda: self.receiver.flow(credit))

    @property
    def bodies(self) -> list[Any]:
        """Bodies of what has come."""
        return [message.body for message in self.messages]

    def on_message(self, event: Event) -> None:
        self.messages.append(event.message)
        delivery = event.delivery
        if self.outcome is None:
            self.held.append(delivery)
            return
        if self.outcome == Delivery.MODIFIED:
            delivery.local.failed = True
        if self.outcome == Delivery.REJECTED:
            from proton import Condition

            delivery.local.condition = Condition("test:refused", "by the test")
        delivery.update(self.outcome)
        delivery.settle()

    def release_held(self, outcome: int = Delivery.ACCEPTED) -> None:
        """Settle what was held."""

        def settle() -> None:
            for delivery in self.held:
                delivery.update(outcome)
                delivery.settle()
            self.held.clear()

        self.do(settle)


class Producer(Client):
    """Sends to an address, or anonymously with None, and keeps the outcomes in order of settlement."""

    def __init__(self, port: int, address: str | None, **options: Any) -> None:
        self.outcomes: list[tuple[Any, int]] = []
        self.conditions: list[Any] = []
        self.sender: Any = None
        super().__init__(port)
        self.sender = self.do(lambda: self.container.create_sender(self.conn, address, **options))

    @property
    def credit(self) -> int:
        """Credit that the link has now."""
        return int(self.do(lambda: self.sender.credit))

    def send(self, message: Message, *, presettled: bool = False) -> None:
        """Send one message, whatever the credit."""

        def send() -> None:
            delivery = self.sender.send(message)
            delivery.test_body = message.body
            if presettled:
                delivery.settle()

        self.do(send)

    def _over(self, event: Event, outcome: int) -> None:
        self.conditions.append(event.delivery.remote.condition)
        self.outcomes.append((event.delivery.tag, outcome))

    def on_accepted(self, event: Event) -> None:
        self._over(event, Delivery.ACCEPTED)

    def on_rejected(self, event: Event) -> None:
        self._over(event, Delivery.REJECTED)

    def on_released(self, event: Event) -> None:
        self._over(event, Delivery.MODIFIED if event.delivery.remote_state == Delivery.MODIFIED else Delivery.RELEASED)

    def on_link_flow(self, event: Event) -> None:
        if event.link.is_sender and event.link.drain_mode:
            event.link.drained()

    def on_settled(self, event: Event) -> None:
        event.delivery.settle()

    @property
    def states(self) -> list[int]:
        """The outcomes so far."""
        return [outcome for _, outcome in self.outcomes]
