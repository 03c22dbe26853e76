"""Questions and changes to a router that runs, asked inside its container, so that no restart is needed.

An embedded router is asked by one process for a whole batch (:mod:`skupper_podman.router.batch`), a router of an
upstream image by its own ``skmanage``, once a request. What always holds: exit codes are looked at (1.9 never did);
nothing secret is in an argument: only paths of certificates are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skupper_podman.errors import ManagementError, SkupperError
from skupper_podman.plan import Step
from skupper_podman.platform.podman.api import PodmanApi
from skupper_podman.platform.podman.facts import ContainerInfo
from skupper_podman.platform.podman.hostimage import REPOSITORY
from skupper_podman.router.config import Entity

TIMEOUT = 15.0
QUERY_TIMEOUT = 5.0
TYPE_PREFIX = "io.skupper.router."

Rows = list[dict[str, Any]]
Request = tuple[str, str, str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class LiveRouter:
    """The router that runs in ``container``."""

    api: PodmanApi
    container: str
    embedded: bool

    def query(self, *entity_types: str, timeout: float = QUERY_TIMEOUT) -> tuple[Rows, ...]:
        """All entities of each type, by short names.

        Raises:
            ManagementError: the router does not answer, or its container cannot be entered.
        """
        # skrouterd takes the short name of some types only, and answers for the others with an empty list.
        requests: list[Request] = [("query", f"{TYPE_PREFIX}{name}", "", {}) for name in entity_types]
        return tuple(_rows(result) for result in self._run(requests, timeout))

    def create(self, *entities: Entity) -> None:
        """Add entities, in this order. Raises as :meth:`query`; those before the one that failed stay."""
        self._run([("create", *_named(entity), _attributes(entity)) for entity in entities], TIMEOUT)

    def delete(self, *entities: Entity) -> None:
        """Remove entities, in this order. Raises as :meth:`query`."""
        self._run([("delete", *_named(entity), {}) for entity in entities], TIMEOUT)

    def update(self, entity_type: str, name: str, attributes: dict[str, Any]) -> None:
        """Change attributes of an entity of this short type and name. Raises as :meth:`query`."""
        self._run([("update", f"{TYPE_PREFIX}{entity_type}", name, attributes)], TIMEOUT)

    def set_logging(self, levels: Mapping[str, str]) -> None:
        """Set what each log module writes. Raises as :meth:`query`."""
        kind = f"{TYPE_PREFIX}log"
        self._run([("update", kind, f"log/{module}", {"enable": enable}) for module, enable in levels.items()], TIMEOUT)

    def present(self, entities: Iterable[Entity]) -> list[Entity]:
        """Those of ``entities`` that the router has. Raises as :meth:`query`."""
        wanted = list(entities)
        types = list(dict.fromkeys(entity.type for entity in wanted))
        answers = self.query(*types, timeout=TIMEOUT) if types else ()
        found = {(kind, str(row.get("name"))) for kind, rows in zip(types, answers, strict=True) for row in rows}
        return [entity for entity in wanted if (entity.type, entity.text("name")) in found]

    def _run(self, requests: Sequence[Request], timeout: float) -> list[Any]:
        if not requests:
            return []
        if self.embedded:
            return self._batch(requests, timeout)
        return [self._skmanage(request, timeout) for request in requests]

    def _batch(self, requests: Sequence[Request], timeout: float) -> list[Any]:
        # The process in the container gives up first, so that its reason is heard.
        arguments = (str(max(timeout - 1.0, 1.0)), json.dumps(requests))
        # The container's own Python, which PATH names first, in case another installation made the site.
        text = self._exec(("python3", "-m", "skupper_podman.router.batch", *arguments), timeout)[1]
        try:
            answer = json.loads(text)
            results, error = list(answer["results"]), str(answer["error"])
        except (ValueError, TypeError, KeyError):
            raise self._failure("the router's answer cannot be read") from None
        if error or len(results) != len(requests):
            operation, kind, name, _ = requests[min(len(results), len(requests) - 1)]
            raise self._failure(f"{operation} {kind.removeprefix(TYPE_PREFIX)} {name}".rstrip() + f": {error}")
        return results

    def _skmanage(self, request: Request, timeout: float) -> Any:
        operation, kind, name, attributes = request
        words = ["skmanage", operation, "--type", kind, *(("--name", name) if name else ())]
        words += [f"{key}={_text(value)}" for key, value in attributes.items()]
        code, stdout, stderr = self._exec(words, timeout)
        if code:
            complaint = (stderr or stdout).strip().splitlines()
            raise self._failure(f"skmanage {operation} {kind} failed: {complaint[-1] if complaint else code}")
        try:
            return json.loads(stdout) if operation == "query" else None
        except ValueError:
            raise self._failure("the router answered with something else than JSON") from None

    def _exec(self, words: Sequence[str], timeout: float) -> tuple[int, str, str]:
        try:
            result = self.api.exec(self.container, words, timeout)
        except SkupperError as error:
            raise ManagementError(
                f"the router in {self.container} cannot be asked: {error.message}", error.hint
            ) from error
        return result.exit_code, result.stdout.decode(errors="replace"), result.stderr.decode(errors="replace")

    def _failure(self, message: str) -> ManagementError:
        return ManagementError(f"router in {self.container}: {message}", f"podman logs --tail 20 {self.container}")


def router_in(api: PodmanApi, container: ContainerInfo) -> LiveRouter:
    """The router that runs in a site's container."""
    return LiveRouter(api, container.name, container.image.startswith(REPOSITORY))


def adding(router: LiveRouter, entities: Iterable[Entity], what: str) -> Step:
    """A step that adds those of ``entities`` that the running router lacks, in this order, and takes them back."""
    wanted = tuple(entities)
    added: list[Entity] = []

    def do() -> None:
        found = router.present(wanted)
        added[:] = [entity for entity in wanted if entity not in found]
        _create(router, added)

    def undo() -> None:
        _delete(router, [*reversed(router.present(added))])

    return Step("run", what, do, undo)


def removing(router: LiveRouter, entities: Iterable[Entity], what: str) -> Step:
    """A step that removes ``entities`` from the running router, in this order, and puts back those it removed."""
    wanted = tuple(entities)
    found: list[Entity] = []

    def do() -> None:
        found[:] = router.present(wanted)
        _delete(router, found)

    def undo() -> None:
        left = router.present(found)
        _create(router, [entity for entity in reversed(found) if entity not in left])

    return Step("run", what, do, undo)


def replacing(router: LiveRouter, old: Entity, new: Entity, what: str) -> Step:
    """A step that puts ``new`` in the place of ``old`` of the same type and name, for what a router cannot change."""

    def exchange(leaving: Entity, coming: Entity) -> None:
        _delete(router, router.present([leaving]))
        try:
            router.create(coming)
        except ManagementError:
            if not (there := router.present([coming])):
                raise
            router.delete(*there)  # it may be the old one, too: they have one name
            router.create(coming)

    return Step("run", what, lambda: exchange(old, new), lambda: exchange(new, old))


# A command that was killed leaves its process in the container at work: between a look at the router and a change to it
# that process may make the same change, which is then refused as one that was made already.


def _create(router: LiveRouter, entities: Sequence[Entity]) -> None:
    """Add entities that the router did not have a moment ago. Raises as :meth:`LiveRouter.query`."""
    try:
        router.create(*entities)
    except ManagementError:
        there = router.present(entities)
        if not there:
            raise
        router.create(*(entity for entity in entities if entity not in there))


def _delete(router: LiveRouter, entities: Sequence[Entity]) -> None:
    """Remove entities that the router had a moment ago. Raises as :meth:`LiveRouter.query`."""
    try:
        router.delete(*entities)
    except ManagementError:
        left = router.present(entities)
        if len(left) == len(entities):
            raise
        router.delete(*left)


def logging(router: LiveRouter, before: Mapping[str, str], after: Mapping[str, str], what: str) -> Step:
    """A step that sets what log modules write, and sets it back."""
    return Step("run", what, lambda: router.set_logging(after), lambda: router.set_logging(before))


def _named(entity: Entity) -> tuple[str, str]:
    return f"{TYPE_PREFIX}{entity.type}", entity.text("name")


def _attributes(entity: Entity) -> dict[str, Any]:
    return {name: value for name, value in entity.attributes.items() if name != "name"}


def _rows(result: Any) -> Rows:
    return [item for item in result if isinstance(item, dict)] if isinstance(result, list) else []


def _text(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
