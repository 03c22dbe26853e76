"""What ``init`` adds to sites made before claims: decided from facts alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from skupper_podman.desired import names
from skupper_podman.desired.diff import Present
from skupper_podman.desired.resources import PublishedPort
from skupper_podman.model.site import SiteSpec
from skupper_podman.platform.podman.adopt import with_claims
from skupper_podman.platform.podman.edits import Trees
from skupper_podman.platform.podman.facts import ContainerInfo
from skupper_podman.platform.podman.host import Host
from skupper_podman.platform.podman.observe import Observation

EARLIER = SiteSpec("west", "id", ingress_hosts=("west",), claims_port=None)
PLAIN = SiteSpec("", "")


class Ports:
    """A host on which these ports are taken."""

    def __init__(self, *taken: int) -> None:
        self._taken = taken

    def try_bind(self, _ip: str, port: int) -> str:
        return "taken" if port in self._taken else ""


def adopted(spec: SiteSpec | None, asked: SiteSpec, *taken: int, own: int = 0) -> tuple[int | None, bool]:
    """The claims port the site has then, and whether there is a warning."""
    containers: dict[str, Any] = {}
    if own:
        info = ContainerInfo(names.DEFAULT.controller, "", "", "", "running", {}, ports=(PublishedPort(8081, own),))
        containers = {names.DEFAULT.controller: info}
    site = Observation(Present(), Trees(lambda _: None), containers, spec=spec)
    found, warnings = with_claims(site, asked, cast("Host", Ports(*taken)))
    return found.spec.claims_port if found.spec else None, bool(warnings)


def test_the_port_is_added() -> None:
    assert adopted(EARLIER, PLAIN) == (8081, False)
    assert adopted(EARLIER, replace(PLAIN, claims_port=9000)) == (9000, False)
    assert adopted(EARLIER, replace(PLAIN, claims_port=0)) == (0, False)


def test_a_taken_port_is_no_hindrance_unless_it_was_asked_for() -> None:
    assert adopted(EARLIER, PLAIN, 8081) == (None, True)
    # Then preflight names who has it.
    assert adopted(EARLIER, replace(PLAIN, claims_port=9000), 9000) == (9000, False)
    assert adopted(EARLIER, PLAIN, 8081, own=8081) == (8081, False)
    assert adopted(replace(EARLIER, ingress="none"), PLAIN, 8081) == (8081, False)


def test_what_a_site_says_stays() -> None:
    assert adopted(replace(EARLIER, claims_port=0), PLAIN) == (0, False)
    assert adopted(replace(EARLIER, claims_port=9000), PLAIN, 9000) == (9000, False)
    assert adopted(None, PLAIN) == (None, False)
