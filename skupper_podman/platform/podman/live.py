"""Changes to a router that runs, made by the management tool inside its container, so that no restart is needed.

What always holds: the tool's exit code is looked at (1.9 never did); nothing secret is in an argument: only paths of
certificates are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from skupper_podman.errors import ManagementError, SkupperError
from skupper_podman.plan import Step
from skupper_podman.platform.podman.api import PodmanApi
from skupper_podman.router.config import Entity

TYPE_PREFIX = "io.skupper.router."
TIMEOUT = 15.0
QUERY_TIMEOUT = 5.0


def query(api: PodmanApi, container: str, entity_type: str, timeout: float = QUERY_TIMEOUT) -> list[dict[str, Any]]:
    """All entities of a type, by its short name, in the router that runs in ``container``.

    Raises:
        ManagementError: the router does not answer. SkupperError: the container cannot be entered.
    """
    # skrouterd takes the short name of some types only, and answers for the others with an empty list.
    text = _run(api, container, ("query", "--type", f"{TYPE_PREFIX}{entity_type}"), timeout)
    try:
        value = json.loads(text)
    except ValueError:
        raise ManagementError(f"the router in {container} answered with something else than JSON") from None
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def create(api: PodmanApi, container: str, entity: Entity) -> None:
    """Add ``entity`` to the running router. Raises as :func:`query`."""
    attributes = [f"{name}={_text(value)}" for name, value in entity.attributes.items() if name != "name"]
    _run(api, container, ("create", "--type", entity.type, "--name", entity.text("name"), *attributes), TIMEOUT)


def delete(api: PodmanApi, container: str, entity: Entity) -> None:
    """Remove ``entity`` from the running router. Raises as :func:`query`."""
    _run(api, container, ("delete", "--type", entity.type, "--name", entity.text("name")), TIMEOUT)


def adding(api: PodmanApi, container: str, entities: Iterable[Entity], what: str) -> Step:
    """A step that adds ``entities`` to the running router, in this order, and takes back those it added."""
    wanted = tuple(entities)
    added: list[Entity] = []

    def do() -> None:
        for entity in wanted:
            # Noted first: if the answer is lost the entity may be there all the same.
            added.append(entity)
            create(api, container, entity)

    def undo() -> None:
        for entity in reversed(added):
            _quietly(api, container, entity)

    return Step("run", what, do, undo)


def removing(api: PodmanApi, container: str, entities: Iterable[Entity], what: str) -> Step:
    """A step that removes ``entities`` from the running router, in this order, and puts back those it removed."""
    wanted = tuple(entities)
    removed: list[Entity] = []

    def do() -> None:
        present = {(entity.type, name) for entity in wanted for name in _names(api, container, entity.type)}
        for entity in wanted:
            if (entity.type, entity.text("name")) in present:
                delete(api, container, entity)
                removed.append(entity)

    def undo() -> None:
        for entity in reversed(removed):
            create(api, container, entity)

    return Step("run", what, do, undo)


def _names(api: PodmanApi, container: str, entity_type: str) -> list[str]:
    return [str(item.get("name")) for item in query(api, container, entity_type, TIMEOUT)]


def _quietly(api: PodmanApi, container: str, entity: Entity) -> None:
    try:
        delete(api, container, entity)
    except ManagementError:
        if entity.text("name") in _names(api, container, entity.type):
            raise


def _run(api: PodmanApi, container: str, arguments: tuple[str, ...], timeout: float) -> str:
    try:
        result = api.exec(container, ("skmanage", *arguments), timeout)
    except SkupperError as error:
        raise ManagementError(f"the router in {container} cannot be asked: {error.message}", error.hint) from error
    if result.exit_code != 0:
        complaint = (result.stderr or result.stdout).decode(errors="replace").strip().splitlines()
        raise ManagementError(
            f"skmanage {arguments[0]} {arguments[2]} in {container} failed: "
            f"{complaint[-1] if complaint else f'exit code {result.exit_code}'}",
            f"podman logs --tail 20 {container}",
        )
    return result.stdout.decode(errors="replace")


def _text(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
