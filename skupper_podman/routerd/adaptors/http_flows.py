"""HTTP as flow records and totals see it, connections and exchanges, the same for both versions and both ends.

What always holds: an exchange's record begins with the exchange and ends with it, once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from skupper_podman.model.flow import Attribute, RecordType
from skupper_podman.routerd.adaptors.flow_records import octet_rate
from skupper_podman.routerd.adaptors.http_totals import Request

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router


def connection_record(router: Router, parent: str, attributes: dict[Attribute, Any], octets: Callable[[], int]) -> str:
    """The FLOW record of a connection, a child of its listener's or connector's; `octets` counts what has come."""
    return router.records.start(RecordType.FLOW, parent, attributes, lambda: {Attribute.OCTETS: octets()}, octet_rate)


class ExchangeRecord:
    """The FLOW record of one request, a child of its connection's."""

    def __init__(self, router: Router, parent: str, attributes: dict[Attribute, Any] | None = None) -> None:
        self._router = router
        self.identity = router.records.start(RecordType.FLOW, parent, attributes or {}, self._measure)
        self._known: dict[Attribute, Any] = {}
        self._began = router.loop.now
        self._latency: int | None = None
        self._over = False
        self.method = ""
        self.status = ""
        self.site = ""
        self.octets_in = self.octets_out = 0

    def answered(self, status: str, reason: str | None = None, counter: str | None = None) -> None:
        """The response has begun; `counter` is the record at its other end, where that is told."""
        self.status = status
        if self._latency is None:
            self._latency = max(0, int((self._router.loop.now - self._began) * 1_000_000))
        known = self._known
        known[Attribute.RESULT], known[Attribute.LATENCY] = status, self._latency
        if reason:
            known[Attribute.REASON] = reason
        if counter:
            known[Attribute.COUNTER_FLOW] = counter

    def numbered(self, stream: int) -> None:
        """The request goes out on this stream."""
        self._known[Attribute.STREAM_ID] = stream

    def _measure(self) -> dict[Attribute, Any]:
        return {Attribute.OCTETS: self.octets_in, **self._known}

    def over(self, address: str, host: str, *, incoming: bool) -> None:
        """The exchange is over."""
        if self._over:
            return
        self._over = True
        router = self._router
        router.records.end(self.identity)
        latency = max(0, int((router.loop.now - self._began) * 1000))
        router.http.count(
            Request(
                address, host, self.site, incoming, self.method, self.status, self.octets_in, self.octets_out, latency
            )
        )
