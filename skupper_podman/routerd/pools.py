"""What the router's objects take of memory: for management's allocator entities and for `/metrics`.

skupper-router keeps pools of objects of one size and reports each. Python has none of that kind, so what is reported
are the objects that exist, by the names of skupper-router's pools for the same things.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from skupper_podman.routerd.adaptors.tcp_flow import TcpFlow
from skupper_podman.routerd.amqp.connection import AmqpConnection
from skupper_podman.routerd.amqp.incoming import InDelivery
from skupper_podman.routerd.amqp.links import Link
from skupper_podman.routerd.core.table import Address
from skupper_podman.routerd.log import Entry
from skupper_podman.routerd.loop import Timer

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router


def memory() -> tuple[int, int]:
    """Virtual and resident memory of this process in octets; the most it ever had while no file can be opened."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return most, most
    size = resource.getpagesize()
    return int(pages[0]) * size, int(pages[1]) * size


class Pool(NamedTuple):
    """How many objects of one kind there are, and what one takes at least, in octets."""

    name: str
    size: int
    live: int


def pools(router: Router) -> list[Pool]:
    """The kinds of object that a busy router has many of, by the names of skupper-router for the same things."""
    conns = list(router.connections.values())
    records = router.records.log.count()
    counts: dict[str, tuple[type, int]] = {
        "qd_connection_t": (AmqpConnection, len(conns)),
        "qdr_tcp_connection_t": (TcpFlow, router.tcp_connections()),
        "qdr_link_t": (Link, sum(len(conn.links) for conn in conns)),
        "qdr_delivery_t": (InDelivery, sum(len(conn.deliveries) for conn in conns)),
        "qdr_address_t": (Address, len(router.table)),
        "vflow_record_t": (dict, records),
        "qd_log_entry_t": (Entry, len(router.log.recent)),
        "qd_timer_t": (Timer, router.loop.timers),
    }
    return [Pool(name, kind.__basicsize__, count) for name, (kind, count) in counts.items()]


class AllocatorProvider:
    """How many objects of the kinds that matter there are. They are Python's: no pools keep them."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def entities(self) -> Iterator[dict[str, Any]]:
        """One a kind."""
        for pool in pools(self._router):
            yield {
                "name": pool.name,
                "identity": f"allocator/{pool.name}",
                "typeName": pool.name,
                "typeSize": pool.size,
                **dict.fromkeys(("transferBatchSize", "localFreeListMax", "globalFreeListMax", "totalFreeToHeap"), 0),
                "totalAllocFromHeap": pool.live,
                "heldByThreads": pool.live,
                **dict.fromkeys(("batchesRebalancedToThreads", "batchesRebalancedToGlobal"), 0),
            }
