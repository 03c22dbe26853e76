"""Addresses: what an address text means to this router, and how messages to it are distributed.

Why: every message, link and routing update names its destination as text; the address table needs one key for all
spellings of the same destination.

What always holds: a key is one class letter and the address without decoration (reference section 3.3). Two texts
that upstream routers take for the same address have the same key here. The classes: L local, T all routers of the
area, R another router, A another area, H an edge router (seen from an interior), M mobile.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Final

from skupper_podman.routerd.core.limits import MAX_SEGMENTS


class Treatment(IntEnum):
    """Distribution of messages to an address; the numbers travel in mobile address updates."""

    FLOOD = 0
    MULTICAST = 1
    CLOSEST = 2
    BALANCED = 3
    UNAVAILABLE = 4


class Mode(Enum):
    """Operation mode of a router."""

    STANDALONE = "standalone"
    INTERIOR = "interior"
    EDGE = "edge"


UPLINK_KEY: Final = "L_edge"
"""Key of everything an edge router hands to its interior router."""

CONTROL_KEYS: Final = frozenset(("Lqdhello", "Lqdrouter", "Lqdrouter.ma", "Tqdrouter", "Tqdrouter.ma"))
"""Keys of routing messages, which are taken from control links only."""

DEFAULT_PRIORITY: Final = 4
"""Priority of a message when neither its address nor its header gives one."""

_SEPARATORS = re.compile(r"[./]")


class Namespace:
    """Address texts as this router reads and builds them; a pure function of its arguments."""

    def __init__(self, own_id: str, area: str = "0", mode: Mode = Mode.INTERIOR) -> None:
        self.own_id = own_id
        self.area = area
        self.mode = mode
        self._own_topology = f"_topo/{area}/{own_id}/"
        self._own_area = f"_topo/{area}/"
        self._own_edge = f"_edge/{own_id}/"

    def key(self, text: str) -> str:
        """Key of the address table for an address as it stands in a message or terminus."""
        text = _bare(text)
        if not text.startswith("_"):
            return "M" + text
        if text.startswith("_topo/"):
            return self._topological(text)
        if text.startswith("_local/"):
            return "L" + text[7:]
        if text.startswith("_edge/"):
            return self._of_edge(text)
        return "M" + text

    def node(self, router_id: str) -> str:
        """The node string of a router in this area, as it stands in traces."""
        return f"{self.area}/{router_id}"

    def router_of(self, node: str) -> str:
        """The router id in a node string; inverse of `node`."""
        return node.partition("/")[2]

    def temporary_source(self, random: str) -> str:
        """Address of a receiver that asked for one; ``random`` is 15 characters of ``a-z A-Z 0-9 + _``."""
        if self.mode is Mode.EDGE:
            return f"amqp:/_edge/{self.own_id}/temp.{random}"
        return f"amqp:/_topo/{self.area}/{self.own_id}/temp.{random}"

    def temporary_target(self, random: str) -> str:
        """Address of a sender that asked for one."""
        return f"amqp:/_$temp.{random}"

    def _topological(self, text: str) -> str:
        if text.startswith(self._own_topology):
            return "L" + text[len(self._own_topology) :]
        if text.startswith(self._own_area + "all/"):
            return "T" + text[len(self._own_area) + 4 :]
        if text.startswith("_topo/all/"):
            return "T" + text[10:]
        if self.mode is Mode.EDGE:
            return UPLINK_KEY
        if text.startswith(self._own_area):
            router = text[len(self._own_area) :].partition("/")[0]
            # Without a further segment the text names this router itself, not an address on it.
            return "R" + router if router != self.own_id else "L"
        return "A" + text[6:].partition("/")[0]

    def _of_edge(self, text: str) -> str:
        if self.mode is not Mode.EDGE:
            return "H" + text[6:].partition("/")[0]
        return "L" + text[len(self._own_edge) :] if text.startswith(self._own_edge) else UPLINK_KEY


def _bare(text: str) -> str:
    """The text without scheme, host, leading slash and trailing separators."""
    if text.startswith("amqp:"):
        text = text[5:]
        if text.startswith("//"):
            text = text[2:].partition("/")[2]
    if text.startswith("/"):
        text = text[1:]
    return text.rstrip("./") if text.endswith((".", "/")) else text


@dataclass(frozen=True, slots=True)
class Rule:
    """One ``router.config.address`` entry; exactly one of ``prefix`` and ``pattern`` is set.

    A prefix matches whole segments separated by ``.`` or ``/``; in a pattern ``*`` stands for one segment and ``#``
    for any number. ``priority`` is 0 to 9 or None.
    """

    treatment: Treatment
    prefix: str | None = None
    pattern: str | None = None
    priority: int | None = None

    def segments(self) -> list[str]:
        """The rule as pattern segments."""
        if self.prefix is not None:
            return [*_SEPARATORS.split(_bare(self.prefix)), "#"]
        return _SEPARATORS.split(_bare(self.pattern or ""))


@dataclass(slots=True)
class _Branch:
    children: dict[str, _Branch] = field(default_factory=dict)
    rule: Rule | None = None


class Rules:
    """Configured treatments; of several rules that match, the more literal wins, segment by segment."""

    def __init__(self, rules: Iterable[Rule] = (), default: Treatment = Treatment.BALANCED) -> None:
        self.default = default
        self._root = _Branch()
        for rule in rules:
            self.add(rule)

    def add(self, rule: Rule) -> None:
        """Add a rule; raises ValueError when one with the same prefix or pattern exists."""
        branch = self._root
        for segment in rule.segments():
            branch = branch.children.setdefault(segment, _Branch())
        if branch.rule is not None:
            raise ValueError(f"address rule '{rule.prefix or rule.pattern}' exists already")
        branch.rule = rule

    def remove(self, rule: Rule) -> None:
        """Take a rule back; unknown rules are ignored."""
        branch: _Branch | None = self._root
        for segment in rule.segments():
            branch = branch.children.get(segment) if branch else None
        if branch is not None:
            branch.rule = None

    def match(self, address: str) -> Rule | None:
        """The best rule for a mobile address, given without its class letter."""
        return _match(self._root, _SEPARATORS.split(address, MAX_SEGMENTS), 0)

    def treatment(self, key: str, hint: Treatment | None = None) -> Treatment:
        """Treatment of a new table entry; ``hint`` is what another router or the creator says of it."""
        kind = key[0]
        if kind == "M":
            rule = self.match(key[1:])
            return rule.treatment if rule else self.default if hint is None else hint
        if kind == "T" or key in CONTROL_KEYS:
            return Treatment.FLOOD
        if hint is not None:
            return hint
        return Treatment.BALANCED if kind == "H" else Treatment.CLOSEST

    def priority(self, key: str) -> int | None:
        """Configured priority of a mobile address, or None."""
        rule = self.match(key[1:]) if key[0] == "M" else None
        return rule.priority if rule else None


def _match(branch: _Branch, segments: list[str], start: int) -> Rule | None:
    children = branch.children
    if start < len(segments):
        for name in (segments[start], "*"):
            child = children.get(name)
            found = _match(child, segments, start + 1) if child and name != "#" else None
            if found:
                return found
    elif branch.rule:
        return branch.rule
    rest = children.get("#")
    if rest is None:
        return None
    if not rest.children:
        return rest.rule
    for position in range(start, len(segments) + 1):
        found = _match(rest, segments, position)
        if found:
            return found
    return None
