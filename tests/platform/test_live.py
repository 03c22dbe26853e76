"""Changes to a router that runs, while the process that a killed command left in the container makes the same ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, cast

import pytest

from skupper_podman.errors import ManagementError
from skupper_podman.platform.podman import live
from skupper_podman.platform.podman.api import PodmanApi
from skupper_podman.platform.podman.facts import ExecResult
from skupper_podman.router.config import Entity

Change = Callable[[], None]


class Container:
    """A container whose router has ``entities``; ``meanwhile`` happens once, right before the next change."""

    def __init__(self, *entities: Entity) -> None:
        self.entities = {(entity.type, entity.text("name")): dict(entity.attributes) for entity in entities}
        self.meanwhile: Change | None = None
        self.refused = ""

    def exec(self, _name: str, argv: Iterable[str], _timeout: float = 30.0) -> ExecResult:
        """What ``skupper_podman.router.batch`` does, with a table for the router."""
        results: list[Any] = []
        error = ""
        for operation, kind, name, attributes in json.loads([*argv][-1]):
            if operation != "query" and self.meanwhile:
                self.meanwhile, change = None, self.meanwhile
                change()
            error = self._refusal(operation, (kind.removeprefix(live.TYPE_PREFIX), name))
            if error:
                break
            results.append(self._done(operation, kind.removeprefix(live.TYPE_PREFIX), name, attributes))
        return ExecResult(1 if error else 0, json.dumps({"results": results, "error": error}).encode(), b"")

    def _refusal(self, operation: str, key: tuple[str, str]) -> str:
        if operation == "create":
            return self.refused or (f"{key[1]} exists already" if key in self.entities else "")
        return f"no such entity: {key[1]}" if operation == "delete" and key not in self.entities else ""

    def _done(self, operation: str, kind: str, name: str, attributes: dict[str, Any]) -> Any:
        if operation == "create":
            self.entities[kind, name] = {"name": name, **attributes}
        elif operation == "delete":
            del self.entities[kind, name]
        return [row for (found, _), row in self.entities.items() if found == kind] if operation == "query" else None

    def put(self, *entities: Entity) -> Change:
        return lambda: self.entities.update({(it.type, it.text("name")): dict(it.attributes) for it in entities})

    def drop(self, *entities: Entity) -> Change:
        return lambda: [self.entities.pop((it.type, it.text("name"))) for it in entities] and None

    @property
    def names(self) -> list[str]:
        return sorted(name for _, name in self.entities)


def router(container: Container) -> live.LiveRouter:
    return live.LiveRouter(cast("PodmanApi", container), "backend", embedded=True)


def entity(name: str, cost: int = 1) -> Entity:
    return Entity("tcpConnector", {"name": name, "host": "h", "cost": cost})


A, B, C = (entity(name) for name in "abc")


@pytest.mark.parametrize("others", [(B,), (C,), (B, C)])
def test_what_is_added_by_two(others: tuple[Entity, ...]) -> None:
    container = Container(A)
    step = live.adding(router(container), [A, B, C], "targets")
    container.meanwhile = container.put(*others)
    step.do()
    assert container.names == ["a", "b", "c"]
    step.undo()
    assert container.names == ["a"]


@pytest.mark.parametrize("others", [(A,), (B,), (A, B)])
def test_what_is_removed_by_two(others: tuple[Entity, ...]) -> None:
    container = Container(A, B, C)
    step = live.removing(router(container), [A, B], "targets")
    container.meanwhile = container.drop(*others)
    step.do()
    assert container.names == ["c"]
    step.undo()
    assert container.names == ["a", "b", "c"]


def test_what_is_replaced_by_two() -> None:
    container = Container(A)
    dearer = entity("a", 5)
    step = live.replacing(router(container), A, dearer, "cost")

    def both() -> None:  # the other one deleted it, too, and has added the new one before us
        container.drop(A)()
        container.meanwhile = container.put(dearer)

    container.meanwhile = both
    step.do()
    assert [row["cost"] for row in container.entities.values()] == [5]
    step.undo()
    assert [row["cost"] for row in container.entities.values()] == [1]


@pytest.mark.parametrize(
    "step",
    [
        lambda it: live.adding(it, [A, B], "targets"),
        lambda it: live.replacing(it, A, entity("a", 5), "cost"),
    ],
)
def test_a_refusal_for_another_reason_is_an_error(step: Callable[[live.LiveRouter], Any]) -> None:
    container = Container()
    container.refused = "no memory"
    with pytest.raises(ManagementError, match="no memory"):
        step(router(container)).do()
