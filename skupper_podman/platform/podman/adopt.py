"""What ``init`` adds to a site that was made before this release, or by 1.9: the redemption of claims.

What always holds: a site that says something about claims already is left alone; a port that is taken never keeps
``init`` from repairing a site, unless that very port was asked for.
"""

from __future__ import annotations

from dataclasses import replace

from skupper_podman.desired.containers import claims_ports
from skupper_podman.model.site import CLAIMS_PORT, SiteSpec
from skupper_podman.platform.podman.host import Host
from skupper_podman.platform.podman.observe import Observation


def with_claims(site: Observation, asked: SiteSpec, host: Host) -> tuple[Observation, tuple[str, ...]]:
    """The site as it shall be known from now on, and warnings about what could not be added."""
    found = site.spec
    if found is None or found.claims_port is not None:
        return site, ()
    spec = replace(found, claims_port=asked.claims_port)
    controller = site.containers.get(site.names.controller)
    own = {port.host_port for port in controller.ports} if controller is not None else set()
    wanted = [port for port in claims_ports(spec) if port.host_port not in own]
    taken = any(host.try_bind(port.host_ip, port.host_port) for port in wanted)
    if taken and asked.claims_port == CLAIMS_PORT:
        return site, (
            f"port {CLAIMS_PORT} is taken, so this site still issues certificates only; to let it issue claims: "
            "skupper init --bind-port-claims PORT",
        )
    return replace(site, spec=spec), ()
