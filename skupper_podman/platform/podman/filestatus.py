"""The files of a site in its volumes, and the room there is to write them: would a restart find all it needs?

What always holds: a file that is damaged, or absent though something depends on it, is told of, although what runs read
it long ago and goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from skupper_podman.desired import names
from skupper_podman.desired.site import site_volume_names
from skupper_podman.model.status import Probe
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.observe import Observation
from skupper_podman.platform.podman.preflight import MINIMUM_FREE


def file_probes(site: Observation) -> list[Probe]:
    """A probe for each damaged or missing file, or one that says that none is."""
    found = [*_damaged(site), *_missing(site), *_undefined(site)]
    return found or [Probe("files", "ok", f"{len(site.configs)} router configurations are whole")]


def _damaged(site: Observation) -> Iterator[Probe]:
    for text in site.damage:
        volume, _, rest = text.partition(":")
        path, _, reason = rest.partition(": ")
        yield Probe(f"file {volume}:{path}", "failing", f"it is damaged: {reason}", fix="skupper init")


def _missing(site: Observation) -> Iterator[Probe]:
    assert site.spec is not None
    for volume in (*site_volume_names(site.spec), *(site.names.own(link.name) for link in site.links)):
        if volume not in site.volumes:
            yield Probe(f"volume {volume}", "failing", "it does not exist", fix="skupper init")
    damaged = {text.partition(": ")[0] for text in site.damage}
    wanted = ["", *(f"{service.address}/" for service in site.services)]
    for directory in wanted:
        path = f"{directory}{names.ROUTER_CONFIG_FILE}"
        there = directory.rstrip("/") in site.configs or f"{site.names.internal}:{path}" in damaged
        if site.names.internal in site.volumes and not there:
            yield Probe(f"file {site.names.internal}:{path}", "failing", "it does not exist", fix="skupper init")


def _undefined(site: Observation) -> Iterator[Probe]:
    """Containers of services that nothing defines any more."""
    for info in site.containers.values():
        address = info.labels.get(site.names.address_label)
        if address and site.service(address) is None:
            detail = f"container {info.name} runs for it, but {names.SERVICES_FILE} does not define it"
            yield Probe(f"service {address}", "failing", detail, fix=f"podman rm --force {info.name}")


def disk_probe(context: Context, site: Observation) -> Probe:
    """Whether there is room to write in the volumes and in the data home."""
    from skupper_podman.platform.podman.host import local_host

    host = local_host(context.paths.runtime_dir)
    places = {
        "the volumes of Podman": site.names.network_status,
        "the volume of the configuration": site.names.internal,
    }
    paths = {what: Path(site.volumes[name].mountpoint) for what, name in places.items() if name in site.volumes}
    for what, path in {**paths, "the data home": context.paths.site_home}.items():
        space = host.space(path)
        if space is None:
            return Probe("disk", "unknown", f"the room in {path} cannot be told", fix=f"df -h {path}")
        if space.free_bytes < MINIMUM_FREE or space.free_inodes == 0:
            left = "no inodes" if space.free_inodes == 0 else f"only {space.free_bytes // 2**20} MiB"
            fix = f"free {MINIMUM_FREE >> 20} MiB or more: df -h {space.path}; df -i {space.path}; podman system prune"
            return Probe("disk", "failing", f"the file system of {what}, {path}, has {left} left", fix=fix)
    return Probe("disk", "ok", f"more than {MINIMUM_FREE >> 20} MiB are free")
