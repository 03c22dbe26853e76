"""In-process services of the router: management and flow records, joined to their addresses."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from skupper_podman.routerd.core.address import Treatment
from skupper_podman.routerd.entities import Entities
from skupper_podman.routerd.flowlog import log as flowlog
from skupper_podman.routerd.log import Entry
from skupper_podman.routerd.management.agent import Agent, LogLine
from skupper_podman.routerd.management.endpoint import answer
from skupper_podman.routerd.message import Header, Message
from skupper_podman.routerd.providers import provide_all

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router

_SEVERITIES: Final = {"warning": 2, "error": 3, "critical": 4}


class Management:
    """Answers requests to `$management`."""

    def __init__(self, router: Router, entities: Entities) -> None:
        self._router = router
        self._agent = Agent(self._log_lines)
        provide_all(self._agent, router, entities)
        router.subscribe("$management", self._asked, treatment=Treatment.CLOSEST)
        router.subscribe("_local/$management", self._asked)

    def _asked(self, message: Message) -> None:
        reply = answer(self._agent, message)
        if reply is None:
            return
        self._router.send_message(
            reply.to,
            header=Header(),
            properties=reply.properties,
            application_properties=reply.application_properties,
            body=reply.body,
        )

    def _log_lines(self, limit: int | None) -> list[LogLine]:
        entries = list(self._router.log.recent)[-limit if limit else 0 :]
        return [
            (entry.module, entry.level, entry.text, entry.file or None, entry.line or None, entry.time_us // 1_000_000)
            for entry in entries
        ]


class FlowRecords:
    """Sends the flow log's messages to whoever collects them."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._log = router.records.log
        self._due: Any = None
        for address in self._log.watched_addresses:
            key = router.namespace.key(address)
            router.add_flow_producer(key)
            router.watch(key, lambda _reachable: self._now())
        router.subscribe(self._log.direct_address, self._flush, treatment=Treatment.CLOSEST, propagate=True)
        router.log.on_problem = self._problem
        self._tick()

    def _flush(self, message: Message) -> None:
        if message.subject == "FLUSH":
            self._log.flush()
            self._now()

    def _problem(self, entry: Entry) -> None:
        text = f"LOG_{entry.module}: {entry.text}"
        self._log.log(_SEVERITIES[entry.level], text, entry.time_us, entry.file, entry.line)

    def _now(self) -> None:
        if self._due is None:
            self._due = True
            self._router.loop.call_soon(self._send)

    def _tick(self) -> None:
        self._router.loop.call_later(flowlog.TICK_SECONDS, self._tick)
        self._router.records.look()
        self._send()

    def _send(self) -> None:
        self._due = None
        for address, octets in self._log.tick(int(time.time() * 1_000_000), self._consumers):
            self._router.send(address, octets)

    def _consumers(self, address: str) -> int:
        entry = self._router.table.get(self._router.namespace.key(address))
        return len(entry.consumers) + len(entry.remotes) if entry is not None else 0
