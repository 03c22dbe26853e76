"""The unit files of a site as values: what ``init`` would write, or Quadlet files for a Podman that has Quadlet.

What always holds: nothing is changed, and no secret is read into a file: what containers need of keys is in volumes.

The supervisor's unit heals more than systemd sees of a container (its monitor, DNS server, port forwarders), which is
why ``init`` uses it everywhere; Quadlet files are for those who prefer containers that systemd starts itself.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from skupper_podman.desired.resources import Container, Network, Volume
from skupper_podman.errors import ConflictError
from skupper_podman.model.units import SiteUnits, UnitFile
from skupper_podman.platform.podman.context import Context, not_enabled
from skupper_podman.platform.podman.facts import HostInfo
from skupper_podman.platform.podman.observe import Observation, observe
from skupper_podman.platform.podman.quadlet import FIRST, NAMED, Surroundings, quadlet_files, unit_of
from skupper_podman.supervisor.network import AWAIT_ARGUMENT
from skupper_podman.supervisor.unit import UnitSettings, passed_on, unit_content

_OF_IMAGE = frozenset({"container", "TERM", "HOME", "HOSTNAME", "PATH", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE"})
"""Variables that an image, or Podman, gives every container."""
_OF_QUADLET = "PODMAN_SYSTEMD_UNIT"
"""The label that Podman gives a container started by a unit."""


def site_units(context: Context, quadlet: bool | None) -> SiteUnits:
    """The files; see :meth:`skupper_podman.platform.Platform.site_units`."""
    podman = context.api.check_version()
    site = observe(context.api, context.names, None)
    if site.spec is None:
        raise not_enabled(context, site.leftovers)
    has = _release(podman) >= FIRST
    if quadlet is None:
        reason = f"Podman {podman.version} has {'Quadlet' if has else 'no Quadlet (4.4 and later have it)'}"
        return (_quadlet if has else _unit)(context, site, podman, reason)
    return (_quadlet if quadlet else _unit)(context, site, podman, "it was asked for")


def _release(podman: HostInfo) -> tuple[int, int]:
    """The first two numbers of Podman's version; one that cannot be read is taken for old."""
    numbers = [int(part) if part.isdigit() else 0 for part in f"{podman.version}.0".split(".")[:2]]
    return numbers[0], numbers[1]


def _systemctl(context: Context) -> str:
    return "systemctl" if context.paths.system else "systemctl --user"


def _unit(context: Context, site: Observation, _podman: HostInfo, reason: str) -> SiteUnits:
    assert site.spec is not None
    settings = UnitSettings(sys.executable, context.paths, site.spec.name, passed_on(context.env))
    file = UnitFile(context.paths.unit_file.name, unit_content(settings))
    manage = _systemctl(context)
    commands = (f"{manage} daemon-reload", f"{manage} enable --now {file.name}")
    return SiteUnits("unit", reason, str(context.paths.unit_dir), (file,), commands)


def _quadlet(context: Context, site: Observation, podman: HostInfo, reason: str) -> SiteUnits:
    release, warnings = _release(podman), []
    if release < FIRST:
        warnings.append(f"Podman {podman.version} has no Quadlet: these files are for Podman 4.7 or later")
        release = NAMED
    elif release < NAMED:
        warnings.append(
            f"Podman {podman.version} cannot be told the names of networks and volumes in Quadlet files: "
            "those that the site has are used, and need no file"
        )
    containers = _containers(site)
    network, volumes = _used(site, containers)
    waiting = () if context.paths.system else (sys.executable, "-m", "skupper_podman.supervisor", AWAIT_ARGUMENT)
    python = tuple(item for item in passed_on(context.env) if item[0] == "PYTHONPATH")
    around = Surroundings(
        context.uid, context.api.gid, release, waiting, python, context.names, context.paths.unit_name
    )
    files = quadlet_files(network, volumes, containers, around)
    manage = _systemctl(context)
    commands = (
        f"{manage} disable --now {context.paths.unit_file.name}",
        f"{manage} daemon-reload",
        f"{manage} start {' '.join(f'{unit_of(item, context.names)}.service' for item in containers)}",
    )
    return SiteUnits("quadlet", reason, str(context.paths.quadlet_dir), files, commands, tuple(warnings))


def _containers(site: Observation) -> list[Container]:
    """The site's containers as they are, the router first.

    Raises:
        ConflictError: one of them does not exist, so it is not known what it would be.
    """
    wanted = [*site.names.components, *(site.names.service(service) for service in site.services if not service.origin)]
    states = site.present.containers
    missing = [name for name in wanted if name not in states]
    if missing:
        raise ConflictError(f"the site is not complete: there is no container {', '.join(missing)}", "skupper init")
    return [_plain(states[name].container, site.containers[name].id) for name in wanted]


def _plain(container: Container, identity: str) -> Container:
    """Without what its image and Podman added."""
    env = {key: value for key, value in container.env.items() if key not in _OF_IMAGE}
    labels = {key: value for key, value in container.labels.items() if key != _OF_QUADLET}
    aliases = tuple(alias for alias in container.aliases if not identity.startswith(alias))
    return replace(container, env=env, labels=labels, aliases=aliases)


def _used(site: Observation, containers: list[Container]) -> tuple[Network, list[Volume]]:
    """The network and the volumes the containers need."""
    sources = dict.fromkeys(mount.source for item in containers for mount in item.mounts)
    volumes = [site.present.volumes[name] for name in sources if name in site.present.volumes]
    name = containers[0].network
    return site.present.networks.get(name, Network(name)), volumes
