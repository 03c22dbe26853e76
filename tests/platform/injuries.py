"""What must hold after a command of a site was hurt (see :mod:`tests.platform.injury`), for every command that changes.

After a SIGKILL, the same command again comes to what it would have made at once, and nothing else is there. After a
failing operation, the host is as before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from skupper_podman.errors import ConflictError, NotEnabledError, NotFoundError
from skupper_podman.model.service import HostPorts, Service, Target
from skupper_podman.plan import Plan
from skupper_podman.platform.podman.site import PodmanPlatform
from tests.lab import Host
from tests.platform.injury import FAILED, hurt
from tests.platform.onehost import init, peer_token, picture, run

Make = Callable[[PodmanPlatform], Plan]

BACKEND = Service("backend", (8080,), targets=(Target("127.0.0.1", ((8080, 9090),)),), tls_credentials="yes")
FRONT = Service("front", (80,), host_ports=HostPorts("127.0.0.1", ((80, 23080),)), container_name="front-proxy")
TARGET = Target("192.0.2.77", ((8080, 1),))
TOKEN = peer_token()


@dataclass(frozen=True, slots=True)
class Case:
    """A command, what there must be before it, and what puts it back after it.

    ``given_up`` is typed after a SIGKILL instead of the same command; then all must be as before.
    """

    name: str
    make: Make
    before: tuple[Make, ...] = ()
    back: Make | None = None
    given_up: Make | None = None


SITE: tuple[Make, ...] = (init,)
SERVICES: tuple[Make, ...] = (init, lambda platform: platform.plan_service_create(BACKEND))
LINKED: tuple[Make, ...] = (init, lambda platform: platform.plan_link_create(TOKEN, "uplink", 3))

CASES = (
    Case("init", init, (), lambda platform: platform.plan_delete()),
    Case("init, given up", init, (), lambda platform: platform.plan_delete(), lambda platform: platform.plan_delete()),
    Case("delete", lambda platform: platform.plan_delete(), SERVICES, None),
    Case(
        "service create",
        lambda platform: platform.plan_service_create(FRONT),
        SITE,
        lambda platform: platform.plan_service_delete("front"),
    ),
    Case(
        "service delete",
        lambda platform: platform.plan_service_delete("backend"),
        SERVICES,
        lambda platform: platform.plan_service_create(BACKEND),
    ),
    Case(
        "service bind",
        lambda platform: platform.plan_bind("backend", TARGET),
        SERVICES,
        lambda platform: platform.plan_unbind("backend", TARGET.host, delete_if_last=False),
    ),
    Case(
        "link create",
        lambda platform: platform.plan_link_create(TOKEN, "uplink", 3),
        SITE,
        lambda platform: platform.plan_link_delete("uplink"),
    ),
    Case(
        "link delete",
        lambda platform: platform.plan_link_delete("uplink"),
        LINKED,
        lambda platform: platform.plan_link_create(TOKEN, "uplink", 3),
    ),
    Case(
        "link update",
        lambda platform: platform.plan_link_update("uplink", 99999),
        LINKED,
        lambda platform: platform.plan_link_update("uplink", 3),
    ),
)


class Trial:
    """A case on a host that was bare, and has what the case needs now."""

    KINDS: tuple[Literal["kill", "fail"], ...] = ("kill", "fail")

    def __init__(self, host: Host, case: Case) -> None:
        self.host = host
        self.case = case
        self._prepare()
        self._before = shape(picture(host))
        self._moments: dict[str, list[str]] = {}
        for kind, asked in (("kill", "none"), ("fail", "count")):
            code, reached = hurt(host, case.make, asked)  # type: ignore[arg-type]
            assert code == 0, reached[-1:]
            self._moments[kind] = reached
            self._after = shape(picture(host))
            self._restore()

    def moments(self, kind: str) -> list[int]:
        """The moments at which the command can be hurt so."""
        return list(range(len(self._moments[kind])))

    def hurt(self, kind: Literal["kill", "fail"], moment: int) -> str:
        """Hurt the command at that moment, and look at what is there; returns what is wrong."""
        before = picture(self.host)
        code, reached = hurt(self.host, self.case.make, kind, moment)
        what = f"{self.case.name}: {kind} at {moment} ({self._moments[kind][moment]})"
        if code == 1:
            return f"{what}: {reached[-1]}"
        if kind == "fail" and code == FAILED:
            return difference(what, before, picture(self.host))
        given_up = kind == "kill" and self.case.given_up
        wanted = self._before if given_up else self._after
        if kind == "kill":
            try:
                run(self.host, self.case.given_up or self.case.make)
            except (ConflictError, NotFoundError, NotEnabledError) as error:
                # What was done by then may be all there was to do.
                if wrong := difference(f"{what}: then: {error.message}", wanted, shape(picture(self.host))):
                    return wrong
        wrong = difference(what, wanted, shape(picture(self.host)))
        if not given_up:
            self._restore()
        return wrong or difference(f"{what}: taken back", self._before, shape(picture(self.host)))

    def _prepare(self) -> None:
        for make in self.case.before:
            run(self.host, make)

    def _restore(self) -> None:
        if self.case.back:
            run(self.host, self.case.back)
        else:
            self._prepare()


def shape(seen: dict[str, Any]) -> dict[str, Any]:
    """What two runs of the same command have in common: all but keys, identifiers and times."""
    containers = {
        name: (running, image, mounts, ports)
        for name, (running, image, _, _, mounts, ports) in seen["containers"].items()
    }
    files = {volume: {path: mode for path, (mode, _) in held.items()} for volume, held in seen["files"].items()}
    # What a killed writer left is swept by the next one, so it may lie there for as long as there is nothing to write.
    host = {path: mode for path, (mode, _) in seen["host"].items() if not Path(path).name.startswith(".podman.yaml.")}
    return {
        "containers": containers, "files": files, "host": host,
        "volumes": sorted(seen["volumes"]), "networks": sorted(seen["networks"]), "images": seen["images"],
        "runtime": seen["runtime"],
    }  # fmt: skip


def difference(what: str, wanted: dict[str, Any], found: dict[str, Any]) -> str:
    """What is not as wanted, empty if all is."""
    for part, value in wanted.items():
        if found[part] != value:
            return f"{what}: {part} are {found[part]!r:.2000} instead of {value!r:.2000}"
    return ""
