"""Host names to socket addresses without stopping the loop.

Containers get a new address whenever they are made anew, so a name is looked up at every connect.
What always holds: a numeric address never leaves the loop's thread; lookups of one name that
overlap share one answer; an answer is reused for at most `KEEP` seconds and never after
`forget`, which callers use when a connect fails; a lookup that hangs occupies one of a few daemon
threads and never delays the exit of the process.
"""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from skupper_podman.routerd.loop import Loop, describe

KEEP = 1.0
_THREADS = 4
_FAMILIES = {"IPv4": socket.AF_INET, "IPv6": socket.AF_INET6}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A socket address with the family that goes with it."""

    family: int
    sockaddr: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a lookup found: endpoints in the system's order of preference, or words about the failure."""

    endpoints: tuple[Endpoint, ...]
    error: str = ""


Key = tuple[str, str, int]
Callback = Callable[[Answer], None]


def service_port(text: str) -> int:
    """The number of a port given as digits or service name; `amqp` and `amqps` need no system table.

    Raises ValueError when there is no such service or the number is out of range.
    """
    known = {"amqp": 5672, "amqps": 5671}
    if text in known:
        return known[text]
    if text.isdecimal():
        number = int(text)
        if number > 65535:
            raise ValueError(f"port {text} is out of range")
        return number
    try:
        return socket.getservbyname(text)
    except OSError:
        raise ValueError(f"unknown service name {text}") from None


class Resolver:
    """Looks names up on a few daemon threads and answers on the loop."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._jobs: queue.SimpleQueue[Key] = queue.SimpleQueue()
        self._waiting: dict[Key, list[Callback]] = {}
        self._kept: dict[Key, tuple[float, Answer]] = {}
        self._threads = 0

    def lookup(self, host: str, port: str, callback: Callback, family: str | None = None) -> None:
        """Call `callback` with the answer: at once for numeric or just known names, else from the loop."""
        wanted = _FAMILIES.get(family or "", socket.AF_UNSPEC)
        key = (host, port, int(wanted))
        kept = self._kept.get(key)
        if kept is not None:
            if self._loop.now - kept[0] <= KEEP:
                callback(kept[1])
                return
            del self._kept[key]
        numeric = self._numeric(key)
        if numeric is not None:
            callback(numeric)
            return
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.append(callback)
            return
        self._waiting[key] = [callback]
        if self._threads < min(_THREADS, len(self._waiting)):
            self._threads += 1
            threading.Thread(target=self._work, name="resolver", daemon=True).start()
        self._jobs.put(key)

    def forget(self, host: str) -> None:
        """Drop what is kept about `host`: its address has just failed."""
        for key in [key for key in self._kept if key[0] == host]:
            del self._kept[key]

    def _numeric(self, key: Key) -> Answer | None:
        host, port, family = key
        try:
            number = service_port(port)
        except ValueError as error:
            return Answer((), str(error))
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        try:
            found = socket.getaddrinfo(host, number, family, socket.SOCK_STREAM, 0, flags)
        except (OSError, UnicodeError):
            return None
        answer = _answer(found)
        self._keep(key, answer)
        return answer

    def _keep(self, key: Key, answer: Answer) -> None:
        if len(self._kept) > 256:
            self._kept.clear()
        self._kept[key] = (self._loop.now, answer)

    def _work(self) -> None:
        while True:
            key = self._jobs.get()
            host, port, family = key
            try:
                found = socket.getaddrinfo(host, service_port(port), family, socket.SOCK_STREAM)
                answer = _answer(found)
            except (OSError, UnicodeError, ValueError) as error:
                answer = Answer((), describe(error))
            self._loop.call_threadsafe(lambda key=key, answer=answer: self._done(key, answer))  # type: ignore[misc]

    def _done(self, key: Key, answer: Answer) -> None:
        if answer.endpoints:
            self._keep(key, answer)
        for callback in self._waiting.pop(key, []):
            callback(answer)


def _answer(found: list[Any]) -> Answer:
    endpoints = tuple(dict.fromkeys(Endpoint(int(entry[0]), tuple(entry[4])) for entry in found))
    return Answer(endpoints, "" if endpoints else "no address found")
