"""Bodies of the six routing messages: values here, AMQP maps on the wire.

Why: reading maps from other routers is where malformed input meets the state machines; they get checked values only.

What always holds: ``read`` accepts string or symbol keys and any integer type, ignores keys it does not know, and
raises `ProtocolError` for anything else; ``body`` writes the types that skupper-router 2.7 writes (reference section
3.1: ints and string keys for the engine, longs and symbol keys for address updates).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from skupper_podman.routerd.codec import Int, Symbol
from skupper_podman.routerd.core.address import Treatment
from skupper_podman.routerd.core.limits import MAX_KEY, MAX_NUMBER, MAX_ROUTERS
from skupper_podman.routerd.message import MESH_LENGTH

ENGINE_VERSION: Final = 1
"""``pv`` of HELLO, RA, LSR and LSU."""
ADDRESS_VERSION: Final = 2
"""``pv`` of MAR and MAU."""
MAX_COST: Final = 2**31 - 1


class ProtocolError(ValueError):
    """A routing message without a field it needs, or with one of the wrong type."""


def identify(body: object) -> tuple[str, int]:
    """Sender and protocol version of any routing message; raises `ProtocolError`."""
    fields = _map(body)
    return _text(fields, "id"), _number(fields, "pv", 0)


def _map(body: object) -> Mapping[Any, Any]:
    if not isinstance(body, Mapping):
        raise ProtocolError("body is not a map")
    return body


def _text(fields: Mapping[Any, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value or len(value) > MAX_KEY:
        raise ProtocolError(f"field '{name}' is not a string")
    return str(value)


def _number(fields: Mapping[Any, Any], name: str, default: int | None = None) -> int:
    value = fields.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_NUMBER:
        raise ProtocolError(f"field '{name}' is not a number")
    return int(value)


@dataclass(frozen=True, slots=True)
class Hello:
    """HELLO: ``seen`` are the ids its sender has heard lately."""

    id: str
    instance: int
    seen: tuple[str, ...]

    def body(self, area: str) -> dict[str, Any]:
        """The AMQP map."""
        fields = {"id": self.id, "pv": Int(ENGINE_VERSION), "area": area, "instance": Int(self.instance)}
        return fields | {"seen": list(self.seen)}

    @classmethod
    def read(cls, body: object) -> Hello:
        """From a decoded map; raises `ProtocolError`."""
        fields = _map(body)
        seen = fields.get("seen")
        if not isinstance(seen, list) or not all(isinstance(item, str) for item in seen):
            raise ProtocolError("field 'seen' is not a list of strings")
        return cls(_text(fields, "id"), _number(fields, "instance", 0), tuple(map(str, seen)))


@dataclass(frozen=True, slots=True)
class Advertisement:
    """RA: the sequence numbers of a router's link state and addresses."""

    id: str
    instance: int
    ls_seq: int
    mobile_seq: int

    def body(self, area: str) -> dict[str, Any]:
        """The AMQP map."""
        return {
            "id": self.id,
            "pv": Int(ENGINE_VERSION),
            "area": area,
            "instance": Int(self.instance),
            "ls_seq": Int(self.ls_seq),
            "mobile_seq": Int(self.mobile_seq),
        }

    @classmethod
    def read(cls, body: object) -> Advertisement:
        """From a decoded map; raises `ProtocolError`."""
        fields = _map(body)
        numbers = (_number(fields, "instance", 0), _number(fields, "ls_seq"), _number(fields, "mobile_seq"))
        return cls(_text(fields, "id"), *numbers)


@dataclass(frozen=True, slots=True)
class LinkStateUpdate:
    """LSU: a router's neighbours and the cost of each."""

    id: str
    instance: int
    ls_seq: int
    peers: Mapping[str, int]

    def body(self, area: str) -> dict[str, Any]:
        """The AMQP map."""
        peers = {peer: Int(cost) for peer, cost in self.peers.items()}
        return {
            "id": self.id,
            "pv": Int(ENGINE_VERSION),
            "area": area,
            "instance": Int(self.instance),
            "ls_seq": Int(self.ls_seq),
            "ls": {"id": self.id, "area": area, "ls_seq": Int(self.ls_seq), "peers": peers},
        }

    @classmethod
    def read(cls, body: object) -> LinkStateUpdate:
        """From a decoded map; the sequence number is that of the inner map; raises `ProtocolError`."""
        fields = _map(body)
        state = _map(fields.get("ls"))
        peers = _map(state.get("peers"))
        if len(peers) >= MAX_ROUTERS:
            raise ProtocolError("field 'peers' has more routers than a network may have")
        costs: dict[str, int] = {}
        for peer, cost in peers.items():
            named = isinstance(peer, str) and 0 < len(peer) <= MAX_KEY
            if not named or isinstance(cost, bool) or not isinstance(cost, int):
                raise ProtocolError("field 'peers' does not map names to costs")
            costs[str(peer)] = min(max(int(cost), 1), MAX_COST)
        return cls(_text(fields, "id"), _number(fields, "instance", 0), _number(state, "ls_seq"), costs)


def link_state_request(own_id: str, area: str) -> dict[str, Any]:
    """The AMQP map of an LSR."""
    return {"id": own_id, "pv": Int(ENGINE_VERSION), "area": area}


def address_request(own_id: str, area: str, have_seq: int) -> dict[str, Any]:
    """The AMQP map of a MAR."""
    return _symbolic({"id": own_id, "pv": ADDRESS_VERSION, "area": area, "have_seq": have_seq})


def have_seq(body: object) -> int:
    """The sequence number in a MAR; raises `ProtocolError`."""
    return _number(_map(body), "have_seq")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One address of a MAU: its table key, treatment, number of producers and the mesh of all its consumers."""

    key: str
    treatment: Treatment | None = None
    in_links: int = 0
    mesh: str | None = None

    def value(self) -> list[Any]:
        """The AMQP list."""
        items: list[Any] = [self.key, Int(self.treatment or 0), Int(self.in_links)]
        return items if self.mesh is None else [*items, None, self.mesh]

    @classmethod
    def read(cls, value: object) -> Descriptor:
        """From a decoded list; unknown treatments become None; raises `ProtocolError`."""
        if not isinstance(value, list) or not value or not isinstance(value[0], str) or value[0][:1] not in ("M", "H"):
            raise ProtocolError("address descriptor does not begin with a mobile address")
        if len(value[0]) > MAX_KEY:
            raise ProtocolError("address descriptor with an address that is too long")
        items = value[1:5] + [None] * (5 - len(value))
        hint, in_links, _, mesh = items[:4]
        numbers = [item if isinstance(item, int) and not isinstance(item, bool) else None for item in (hint, in_links)]
        treatment = Treatment(numbers[0]) if numbers[0] in tuple(Treatment) else None
        mesh_id = str(mesh) if isinstance(mesh, str) and len(mesh) == MESH_LENGTH else None
        return cls(str(value[0]), treatment, int(numbers[1] or 0), mesh_id)


@dataclass(frozen=True, slots=True)
class AddressUpdate:
    """MAU: absolute when ``exist`` is set, else the difference to sequence number ``mobile_seq`` - 1."""

    id: str
    mobile_seq: int
    exist: tuple[Descriptor, ...] | None = None
    add: tuple[Descriptor, ...] = ()
    remove: tuple[str, ...] = field(default=())

    def body(self, area: str) -> dict[str, Any]:
        """The AMQP map."""
        fields: dict[str, Any] = {"id": self.id, "pv": ADDRESS_VERSION, "area": area, "mobile_seq": self.mobile_seq}
        if self.exist is not None:
            fields["exist"] = [item.value() for item in self.exist]
        else:
            fields["add"] = [item.value() for item in self.add]
            fields["del"] = [[key] for key in self.remove]
        return _symbolic(fields)

    @classmethod
    def read(cls, body: object) -> AddressUpdate:
        """From a decoded map; address lists with unreadable entries lose those only; raises `ProtocolError`."""
        fields = _map(body)
        exist, add, remove = (_list(fields, name) for name in ("exist", "add", "del"))
        if (exist is None) == (add is None and remove is None) or (exist is None and (add is None or remove is None)):
            raise ProtocolError("update is neither absolute nor differential")
        sender, sequence = _text(fields, "id"), _number(fields, "mobile_seq")
        if exist is not None:
            return cls(sender, sequence, exist=_descriptors(exist))
        removed = tuple(item.key for item in _descriptors(remove or []))
        return cls(sender, sequence, add=_descriptors(add or []), remove=removed)


def _list(fields: Mapping[Any, Any], name: str) -> list[Any] | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, list):
        raise ProtocolError(f"field '{name}' is not a list")
    return value


def _descriptors(values: Iterable[Any]) -> tuple[Descriptor, ...]:
    found = []
    for value in values:
        try:
            found.append(Descriptor.read(value))
        except ProtocolError:
            continue
    return tuple(found)


def _symbolic(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {Symbol(name): value for name, value in fields.items()}
