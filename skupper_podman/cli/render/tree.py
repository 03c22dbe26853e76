"""Trees, as 1.9 draws them: ``├─``, ``╰─``, and details of a node as extra lines below it.

What always holds: details are sorted by key and empty ones left out; children keep their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from skupper_podman.cli.render.clean import clean


@dataclass(frozen=True, slots=True)
class Node:
    """A line of a tree with what hangs below it."""

    text: str
    details: Mapping[str, str] = field(default_factory=dict)
    children: tuple[Node, ...] = ()


def draw(root: Node) -> str:
    """The tree as text; the root itself is not indented."""
    return "".join(f"{line}\n" for line in _lines(root, "", ""))


def _lines(node: Node, head: str, indent: str) -> Iterator[str]:
    yield head + clean(node.text)
    bar = "│ " if node.children else ""
    for key, value in sorted(node.details.items()):
        if value:
            yield f"{indent}{bar}{clean(key)}: {clean(value)}"
    for number, child in enumerate(node.children, 1):
        last = number == len(node.children)
        yield from _lines(child, indent + ("╰─ " if last else "├─ "), indent + ("   " if last else "│  "))
