"""One real host for the tests of the podman platform, and a picture of everything on it that a site may touch."""

from __future__ import annotations

import ctypes
import datetime
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from skupper_podman import certs
from skupper_podman.desired.tokens import connection_token
from skupper_podman.errors import PlatformError
from skupper_podman.files import Tree
from skupper_podman.model.link import Token
from skupper_podman.model.site import SiteSpec
from skupper_podman.plan import Plan, Step
from skupper_podman.platform import SiteRequest
from skupper_podman.platform.podman.api import PodmanApi
from skupper_podman.platform.podman.facts import ContainerInfo
from skupper_podman.platform.podman.site import PodmanPlatform
from skupper_podman.platform.podman.supervise import background_supervisor
from tests.lab import Host, Lab, missing_requirements

REASON = missing_requirements()
needs_podman = [pytest.mark.e2e, pytest.mark.skipif(bool(REASON), reason=REASON or "ready")]
"""Marks of tests that need a real Podman."""

PEER_ID = "0d3b4c8e-0000-4000-8000-00000000000f"
_CLONE_NEWNET = 0x40000000
CHANGING = ("skupper-network-status",)
"""Volumes that a running site writes by itself."""


@contextmanager
def one_host(name: str = "solo") -> Iterator[Host]:
    with Lab(name) as lab:
        host = lab.hosts[0]
        try:
            yield host
        finally:
            # What supervises the site in the background is no process of the lab's own.
            background_supervisor(platform_on(host).context).stop()


@contextmanager
def unattended(host: Host) -> Iterator[None]:
    """Nothing is done by the site's supervisor meanwhile: it is not stopped in the middle of its work."""
    with session(host) as platform:
        platform.context.lock()
        leader = background_supervisor(platform.context).running()
        os.kill(leader, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(leader, signal.SIGCONT)


@contextmanager
def inside(host: Host) -> Iterator[None]:
    """This thread, and those it starts, in the network of the host."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(namespace: int) -> None:
        if libc.setns(namespace, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")

    with open("/proc/thread-self/ns/net") as own, open(f"/run/netns/{host.netns}") as other:
        enter(other.fileno())
        try:
            yield
        finally:
            enter(own.fileno())


def platform_on(host: Host, **env: str) -> PodmanPlatform:
    """The platform as a command on that host sees it, when it is used :func:`inside` the host."""
    data_home = host.directory / "data"
    return PodmanPlatform(env=host.environment({"SKUPPER_DATA_HOME": str(data_home), **env}))


@contextmanager
def session(host: Host, **env: str) -> Iterator[PodmanPlatform]:
    """One command's use of the platform: it lets go of the site's lock at the end."""
    platform = platform_on(host, **env)
    try:
        with inside(host):
            yield platform
    finally:
        platform.close()


def run(host: Host, make: Callable[[PodmanPlatform], Plan], **env: str) -> Plan:
    """Plan and apply as one command."""
    with session(host, **env) as platform:
        plan = make(platform)
        plan.apply()
        return plan


def request(**options: Any) -> SiteRequest:
    values: dict[str, Any] = {
        "name": "solo", "site_id": "", "ingress_hosts": ("192.0.2.1",), "router": "embedded",
        "inter_router_port": 21671, "edge_port": 21672,
    }  # fmt: skip
    return SiteRequest(SiteSpec(**{**values, **options}), timeout=60)


def init(platform: PodmanPlatform) -> Plan:
    return platform.plan_init(request())


def peer_token(site_id: str = PEER_ID, host: str = "127.0.0.1", days: int = 0) -> Token:
    """A token as a site that nobody can reach would issue it; ``days`` shifts its clock."""
    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    authority = certs.issue_authority("skupper-site-ca", certs.new_key(), now)
    pair = certs.issue(authority, "skupper", (host,), certs.new_key(), now)
    data = {"ca.crt": authority.certificate, "tls.crt": pair.certificate, "tls.key": pair.key}
    return connection_token("skupper", site_id, host, (1, 2), data)


def in_detail(api: PodmanApi) -> list[ContainerInfo]:
    """All containers on the host, inspected."""
    return [info for item in api.containers() if (info := api.container(item.id)) is not None]


def picture(host: Host) -> dict[str, Any]:
    """All that must be as before after an undo: containers, volumes and their files, networks, images, host files."""
    with session(host) as platform:
        api = platform.context.api
        files: dict[str, Any] = {}
        volumes = {}
        for volume in api.volumes():
            volumes[volume.name] = volume.labels
            if volume.name not in CHANGING:
                tree = Tree(Path(volume.mountpoint))
                states = {path: tree.state(path) for path in tree.files()}
                files[volume.name] = {path: (state.mode, state.content) for path, state in states.items() if state}
        containers = {
            info.name: (info.running, info.image, info.labels, info.env, sorted(map(str, info.mounts)), info.ports)
            for info in in_detail(api)
        }
        return {
            "containers": {name: _steady(facts) for name, facts in containers.items()},
            "volumes": volumes,
            "files": files,
            "networks": {info.name: info.labels for info in api.networks()},
            "images": sorted(name for image in api.images() for name in image.names),
            "host": _host_files(host.directory / "data"),
            "runtime": _runtime_files(host.directory / "runtime"),
        }


def _runtime_files(directory: Path) -> list[str]:
    """Names of ours there, but not of what a supervisor that runs may write or lock at any time."""
    found = [path.name for path in directory.glob("skupper*")]
    passing = (".status", ".lock") if any(name.endswith(".lead") for name in found) else (".status",)
    return sorted(name for name in found if not name.endswith(passing))


def _steady(facts: tuple[Any, ...]) -> tuple[Any, ...]:
    """Without what Podman itself changes when a container is started or made again."""
    running, image, labels, env, mounts, ports = facts
    own = {key: value for key, value in env.items() if key not in ("HOSTNAME", "HOME")}
    return running, image, labels, own, mounts, ports


def _host_files(directory: Path) -> dict[str, tuple[int, bytes]]:
    found = [path for path in directory.rglob("*") if path.is_file()] if directory.exists() else []
    return {str(path): (path.stat().st_mode, path.read_bytes()) for path in found}


def failing_after(plan: Plan, index: int) -> Plan:
    """The plan with a failure injected right after step ``index`` did its work."""
    step = plan.steps[index]

    def do() -> None:
        step.do()
        raise PlatformError(f"injected after '{step}'")

    broken = Step(step.verb, step.what, do, step.undo, step.detail)
    return Plan(plan.title, (*plan.steps[:index], broken, *plan.steps[index + 1 :]), plan.facts)


def check_every_undo(host: Host, make: Callable[[PodmanPlatform], Plan], last: int | None = None) -> int:
    """Apply the plan with a failure after each of its steps in turn; the host must be as before. Returns the count.

    Of several volumes made or deleted in a row only the first and the last are tried, to save time.
    """
    before = picture(host)
    with session(host) as platform:
        steps = [str(step) for step in make(platform).steps]
    count = len(steps)
    for index in range(count)[:last]:
        if all(step.startswith("create volume") for step in steps[max(index - 1, 0) : index + 2]):
            continue
        with session(host) as platform:
            plan = make(platform)
            assert len(plan.steps) == count
            step = str(plan.steps[index])
            with pytest.raises(PlatformError, match="injected after"):
                failing_after(plan, index).apply()
        after = picture(host)
        for part, value in before.items():
            assert after[part] == value, f"{part} after a failure at step {index}: {step}"
    return count
