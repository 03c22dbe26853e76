"""What flow records of services have in common at both ends, by the names and words of skupper-router."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from skupper_podman.model.flow import Attribute
from skupper_podman.routerd.adaptors.tcp_flow import LEGACY_WINDOW
from skupper_podman.routerd.message import Head
from skupper_podman.routerd.probes import Measured, Rate

#: Result and reason of a flow that the network could not carry.
UNREACHABLE: Final = ("delivery-failed", "destination unreachable")
INVALID: Final = ("delivery-failed", "invalid/corrupt message")


class Service(Protocol):
    """A tcpListener or tcpConnector."""

    lite: bool
    opened: int


def opening(*, lite: bool) -> dict[Attribute, Any]:
    """Attributes of every flow record from its beginning."""
    return {Attribute.OCTETS: 0} if lite else {Attribute.OCTETS: 0, Attribute.WINDOW_SIZE: LEGACY_WINDOW}


def own_end(sock: Any) -> dict[Attribute, Any]:
    """Our end of a connection to a server is the source of what the server sees."""
    try:
        name = sock.getsockname()
    except OSError:
        return {}
    if not isinstance(name, tuple):  # no socket of an internet protocol
        return {}
    host, port = name[:2]
    return {Attribute.SOURCE_HOST: str(host), Attribute.SOURCE_PORT: str(port)}


def trace_of(head: Head) -> str:
    """The routers that a request has passed, as a record tells them."""
    return ("|".join(head.annotations.trace) if head.annotations else "") or "Local"


def octet_rate() -> Rate:
    """The rate that every flow record has."""
    return Rate(Attribute.OCTETS, Attribute.OCTET_RATE)


def count_of(service: Service) -> tuple[Callable[[], Measured], Callable[[], Rate]] | tuple[()]:
    """How many connections a service of lite encapsulation has had; records of others do not say."""
    if not service.lite:
        return ()
    rate = Rate(Attribute.FLOW_COUNT_L4, Attribute.FLOW_RATE_L4)
    return lambda: {Attribute.FLOW_COUNT_L4: service.opened}, lambda: rate
