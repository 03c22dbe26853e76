"""What management and flow records tell of HTTP: connections, requests by client and server, and their flows.

What always holds: the number of distinct counts is bounded, whatever clients send; a request is counted
once, when it is over.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

#: Distinct combinations of client host, address and site that are counted, and of method and status in each.
MOST_RECORDS: Final = 1000
MOST_DETAILS: Final = 100
_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT"))


@dataclass(slots=True)
class RequestInfo:
    """Requests between one client host and one server site."""

    address: str
    host: str
    site: str
    direction: str
    requests: int = 0
    octets_in: int = 0
    octets_out: int = 0
    max_latency: int = 0
    details: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        """The name by which 2.7 reports it."""
        site = f"@{self.site}" if self.site else ""
        return f"{self.direction[0]}_{self.host}_{self.address}{site}"

    def describe(self) -> dict[str, Any]:
        """As an `httpRequestInfo` entity."""
        return {
            "name": self.name,
            "identity": self.name,
            "address": self.address,
            "host": self.host,
            "site": self.site,
            "direction": self.direction,
            "requests": self.requests,
            "bytesIn": self.octets_in,
            "bytesOut": self.octets_out,
            "maxLatency": self.max_latency,
            "details": dict(self.details),
        }


@dataclass(slots=True)  # not frozen: that doubles what it takes to make one
class Request:
    """One request that is over; `latency` in milliseconds."""

    address: str
    host: str
    site: str
    incoming: bool
    method: str
    status: str
    octets_in: int
    octets_out: int
    latency: int


class HttpTotals:
    """Counts of one router."""

    def __init__(self) -> None:
        self.connections: Counter[str] = Counter()
        self._infos: dict[tuple[str, str, str, str], RequestInfo] = {}

    def count(self, request: Request) -> None:
        """Count a request."""
        key = (request.address, request.host, request.site, "in" if request.incoming else "out")
        info = self._infos.get(key)
        if info is None:
            if len(self._infos) >= MOST_RECORDS:
                return
            info = self._infos[key] = RequestInfo(*key)
        info.requests += 1
        info.octets_in += request.octets_in
        info.octets_out += request.octets_out
        info.max_latency = max(info.max_latency, request.latency)
        method = request.method if request.method in _METHODS else "OTHER"
        detail = f"{method}:{request.status.zfill(3)}"
        if detail in info.details or len(info.details) < MOST_DETAILS:
            info.details[detail] += 1

    def infos(self) -> list[RequestInfo]:
        """All that has been counted."""
        return list(self._infos.values())
