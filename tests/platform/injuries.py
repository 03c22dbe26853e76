"""What must hold after a command of a site was hurt (see :mod:`tests.platform.injury`), for every command that changes.

After a SIGKILL, the same command again comes to what it would have made at once, and nothing else is there. After a
failing operation, or an answer of Podman that was lost, the host is as before. In the end certificates fit their keys
and their issuers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

from skupper_podman.cli.gatewayfiles import writing
from skupper_podman.desired import tokens
from skupper_podman.errors import NotEnabledError, NotFoundError, SkupperError
from skupper_podman.files import replacing
from skupper_podman.model.gateway import GatewayDefinition, GatewayRequest
from skupper_podman.model.service import HostPorts, Service, Target
from skupper_podman.plan import Plan, Step
from skupper_podman.platform import TokenRequest
from skupper_podman.platform.podman import linkchecks, links, update
from skupper_podman.platform.podman.site import PodmanPlatform
from tests.lab import Host
from tests.platform.injury import FAILED, Kind, hurt
from tests.platform.onehost import PEER_ID, init, peer_token, picture, request, run, session

Make = Callable[[PodmanPlatform], Plan]

BACKEND = Service("backend", (8080,), targets=(Target("127.0.0.1", ((8080, 9090),)),), tls_credentials="yes")
FRONT = Service("front", (80,), host_ports=HostPorts("127.0.0.1", ((80, 23080),)), container_name="front-proxy")
TARGET = Target("192.0.2.77", ((8080, 1),))
TOKEN, ANOTHER = peer_token(), peer_token()
CLAIM = tokens.claim_token("once", PEER_ID, "https://127.0.0.1:1/once", b"word", TOKEN.data["ca.crt"])


@dataclass(frozen=True, slots=True)
class Case:
    """A command, what there must be before it, and what puts it back after it.

    ``given_up`` is typed after a SIGKILL instead of the same command; then all must be as before. ``quick`` ones are
    tried at one moment of each kind by the tests.
    """

    name: str
    make: Make
    before: tuple[Make, ...] = ()
    back: Make | None = None
    given_up: Make | None = None
    quick: bool = False


SITE: tuple[Make, ...] = (init,)
SERVICES: tuple[Make, ...] = (init, lambda platform: platform.plan_service_create(BACKEND))
LINKED: tuple[Make, ...] = (init, lambda platform: platform.plan_link_create(TOKEN, "uplink", 3))
CERTIFIED: tuple[Make, ...] = (*SERVICES, lambda platform: platform.plan_link_create(TOKEN, "uplink", 3))


def claim(platform: PodmanPlatform) -> Plan:
    """``token create``, without the file, which is not on the host."""
    token = platform.plan_token(TokenRequest("claim", name="once"))
    return Plan("Create a token", token.steps)


def redeeming(platform: PodmanPlatform) -> Plan:
    """``link create`` with a claim, which its issuer redeems whenever it is asked."""
    with mock.patch.object(linkchecks, "check_issuer"):
        plan = platform.plan_link_create(CLAIM, "uplink", 3)

    def ask() -> None:
        with mock.patch.object(links, "redeem", lambda _token, _site_id: TOKEN):
            plan.steps[0].do()

    return replace(plan, steps=(replace(plan.steps[0], do=ask), *plan.steps[1:])) if plan.steps else plan


def current(platform: PodmanPlatform) -> Plan:
    """``update``."""
    return platform.plan_update(force_restart=False, timeout=60, dry_run=False)


def updating(platform: PodmanPlatform) -> Plan:
    """``update`` by a program that is newer than the one that made the site."""
    with mock.patch.object(update, "__version__", "99.0.0"):
        return current(platform)


def rotating(platform: PodmanPlatform) -> Plan:
    """``certificate rotate``."""
    return platform.plan_rotation(force=True)


def retiring(platform: PodmanPlatform) -> Plan:
    """``certificate retire``."""
    return platform.plan_retirement(force=True)


def bundling(platform: PodmanPlatform) -> Plan:
    """``gateway generate-bundle``."""
    made = platform.plan_gateway_bundle(GatewayRequest(GatewayDefinition("shop")))
    write = writing(_bundle(platform), lambda: made.bundle().archive(), force=False)
    return Plan("Generate a bundle", (*made.steps, write))


def forgetting(platform: PodmanPlatform) -> Plan:
    """``gateway delete``, and the bundle is thrown away."""
    path, steps = _bundle(platform), []
    with contextlib.suppress(NotFoundError):
        steps += platform.plan_gateway_delete("shop").steps
    if path.exists():
        steps.append(Step("delete", f"bundle {path}", path.unlink))
    return Plan("Forget a gateway", tuple(steps))


def _bundle(platform: PodmanPlatform) -> Path:
    return Path(platform.context.env["SKUPPER_DATA_HOME"]) / "shop.tar.gz"


CASES = (
    Case("init", init, (), lambda platform: platform.plan_delete(), quick=True),
    Case("init, given up", init, (), lambda platform: platform.plan_delete(), lambda platform: platform.plan_delete()),
    Case(
        "init, changing",
        lambda platform: platform.plan_init(request(inter_router_port=21675, edge_port=21676)),
        SITE,
        init,
    ),
    Case("update", updating, SERVICES, current, quick=True),
    Case("delete", lambda platform: platform.plan_delete(), (*CERTIFIED, claim), None, quick=True),
    Case(
        "service create",
        lambda platform: platform.plan_service_create(FRONT),
        SITE,
        lambda platform: platform.plan_service_delete("front"),
        quick=True,
    ),
    Case(
        "service create, given up",
        lambda platform: platform.plan_service_create(FRONT),
        SITE,
        lambda platform: platform.plan_service_delete("front"),
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
        "service unbind",
        lambda platform: platform.plan_unbind("backend", BACKEND.targets[0].host, delete_if_last=False),
        SERVICES,
        lambda platform: platform.plan_bind("backend", BACKEND.targets[0]),
        quick=True,
    ),
    Case(
        "service label",
        lambda platform: platform.plan_service_label("backend", {"team": "a"}, ()),
        SERVICES,
        lambda platform: platform.plan_service_label("backend", {}, ("team",)),
    ),
    Case(
        "link create",
        lambda platform: platform.plan_link_create(TOKEN, "uplink", 3),
        SITE,
        lambda platform: platform.plan_link_delete("uplink"),
    ),
    Case(
        "link create, given up",
        lambda platform: platform.plan_link_create(TOKEN, "uplink", 3),
        SITE,
        lambda platform: platform.plan_link_delete("uplink"),
        lambda platform: platform.plan_link_delete("uplink"),
    ),
    Case("link create, by a claim", redeeming, SITE, lambda platform: platform.plan_link_delete("uplink"), quick=True),
    Case(
        "link create --replace",
        lambda platform: platform.plan_link_create(ANOTHER, "uplink", 5, replace=True),
        LINKED,
        lambda platform: platform.plan_link_create(TOKEN, "uplink", 3, replace=True),
        quick=True,
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
    Case("token create", claim, SITE, lambda platform: platform.plan_claim_revoke("once")),
    Case("token revoke", lambda platform: platform.plan_claim_revoke("once"), (init, claim), claim),
    Case(
        "certificate renew",
        lambda platform: platform.plan_renewal(("skupper-site-server", "skupper-local-client")),
        CERTIFIED,
        lambda platform: platform.plan_renewal(("skupper-site-server",)),
    ),
    Case("certificate rotate", rotating, (*CERTIFIED, rotating, retiring), retiring, quick=True),
    Case("certificate retire", retiring, (*CERTIFIED, rotating), rotating),
    Case("revoke-access", lambda platform: platform.plan_revoke(), SERVICES, lambda platform: platform.plan_revoke()),
    Case("gateway generate-bundle", bundling, (*SITE, bundling, forgetting), forgetting, quick=True),
    Case("gateway generate-bundle, given up", bundling, (*SITE, bundling, forgetting), forgetting, forgetting),
    Case("gateway generate-bundle, the next", bundling, (*SITE, bundling), bundling),
    Case("gateway delete", lambda platform: platform.plan_gateway_delete("shop"), (*SITE, bundling), bundling),
)


class Trial:
    """A case on a host that was bare, and has what the case needs now."""

    KINDS: tuple[Kind, ...] = ("kill", "fail", "lose")

    def __init__(self, host: Host, case: Case) -> None:
        self.host = host
        self.case = case
        self._prepare()
        self._before = self._shape()
        self._moments: dict[Kind, list[str]] = {}
        for kind in self.KINDS:
            code, reached = hurt(host, case.make, kind)
            assert code == 0, reached[-1:]
            self._moments[kind] = reached
            self._after = self._shape()
            self._restore()

    def moments(self, kind: Kind) -> list[int]:
        """The moments at which the command can be hurt so."""
        return list(range(len(self._moments[kind])))

    def hurt(self, kind: Kind, moment: int) -> str:
        """Hurt the command at that moment, and look at what is there; returns what is wrong."""
        before = picture(self.host)
        code, reached = hurt(self.host, self.case.make, kind, moment)
        what = f"{self.case.name}: {kind} at {moment} ({reached[moment] if moment < len(reached) else 'not reached'})"
        if code == 1:
            return f"{what}: {reached[-1]}"
        if kind != "kill" and code == FAILED:
            return difference(what, before, picture(self.host))
        given_up = kind == "kill" and self.case.given_up
        wanted = self._before if given_up else self._after
        wrong = self._next(what, wanted) if kind == "kill" else difference(what, wanted, self._shape())
        if wrong and kind == "kill" and reached[-1].startswith("sent") and "/exec/" not in reached[-1]:
            # Podman was at it while the next command looked: the one after that sees what came of it.
            wrong = self._next(what, wanted)
        wrong = wrong or self._unsound(what)
        if not given_up:
            self._restore()
        return wrong or difference(f"{what}: taken back", self._before, self._shape())

    def _next(self, what: str, wanted: dict[str, Any]) -> str:
        """Type the next command after a SIGKILL; returns what is not as wanted then."""
        try:
            run(self.host, self.case.given_up or self.case.make)
        except SkupperError as error:
            what += f": then: {error.message}"  # what was done by then may be all there was to do
        return difference(what, wanted, self._shape())

    def _shape(self) -> dict[str, Any]:
        return shape(picture(self.host))

    def _unsound(self, what: str) -> str:
        """What is wrong with the certificates of the site, if there is one."""
        with session(self.host) as platform:
            try:
                found = platform.certificates()
            except NotEnabledError:
                return ""
        problems = [f"{item.name}: {item.problem}" for item in found if item.problem]
        return f"{what}: {'; '.join(problems)}" if problems else ""

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
    # What a killed writer left is swept by the next one, so it may lie there for as long as there is nothing to write.
    files = {
        volume: {path: mode for path, (mode, _) in held.items() if _written_to(path) not in held}
        for volume, held in seen["files"].items()
    }
    host = {path: mode for path, (mode, _) in seen["host"].items() if not replacing(Path(path).name)}
    return {
        "containers": containers, "files": files, "host": host,
        "volumes": sorted(seen["volumes"]), "networks": sorted(seen["networks"]), "images": seen["images"],
        "runtime": seen["runtime"],
    }  # fmt: skip


def _written_to(path: str) -> str:
    """The file that a temporary one was to replace; empty for any other."""
    directory, slash, name = path.rpartition("/")
    return f"{directory}{slash}{replacing(name)}" if replacing(name) else ""


def difference(what: str, wanted: dict[str, Any], found: dict[str, Any]) -> str:
    """What is not as wanted, empty if all is."""
    for part, value in wanted.items():
        seen = found[part]
        if seen == value:
            continue
        if isinstance(value, dict):
            apart = {key for key in value.keys() | seen.keys() if value.get(key) != seen.get(key)}
            value, seen = ({key: item.get(key) for key in apart} for item in (value, seen))
        return f"{what}: {part} are {seen!r:.2000} instead of {value!r:.2000}"
    return ""
