"""The one gateway to libpod: every question and change to Podman passes through :class:`PodmanApi`.

What always holds: every call has a time limit; every failure is a :class:`~skupper_podman.errors.SkupperError`; asking
for something that is not there answers None, removing it does nothing, starting what runs and stopping what is stopped
are fine, so that steps can be repeated; a name means exactly the thing of that name, though Podman takes the beginning
of an id for a name too (a container called ``db``), and removes a volume whose name only begins like the one given.
"""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from skupper_podman.desired.resources import Container, Network, Volume
from skupper_podman.errors import ConflictError, EndpointError, NotFoundError, PlatformError, SkupperError
from skupper_podman.platform.podman import bridge, facts
from skupper_podman.platform.podman.body import container_body
from skupper_podman.platform.podman.facts import (
    ContainerInfo,
    Event,
    ExecResult,
    HostInfo,
    ImageInfo,
    NetworkInfo,
    VolumeInfo,
)
from skupper_podman.platform.podman.transport import TimedOutError, Transport, segment

MINIMUM_MAJOR = 4
_EVENTS_LIMIT = 5.0
"""Seconds for reading events; a journal of years may be long."""


class PodmanApi:
    """A Podman service. Safe to use from several threads."""

    def __init__(
        self,
        endpoint: str,
        timeout: float = 30.0,
        *,
        uid: int | None = None,
        gid: int | None = None,
        restart_policy: Callable[[], str] = lambda: "always",
    ) -> None:
        """Use the service at ``endpoint`` (a URL as :mod:`endpoint` makes it); nothing is sent yet.

        ``timeout`` in seconds limits each call. Containers are made for user ``uid``:``gid``, by default the caller's,
        with ``restart_policy`` (asked for when one is made; see :mod:`body` for what speaks for ``no``).
        """
        import os

        self.endpoint = endpoint
        self.uid = os.getuid() if uid is None else uid
        self.gid = os.getgid() if gid is None else gid
        self._restart_policy = restart_policy
        self._http = Transport(endpoint, timeout)
        self._run_root = ""

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def info(self, timeout: float | None = None) -> HostInfo:
        """Version and host of the service.

        Raises:
            EndpointError: it does not answer.
        """
        return facts.host_info(self._get("info", timeout=timeout, what="ask Podman for its version"))

    def check_version(self, timeout: float | None = None) -> HostInfo:
        """As :meth:`info`, but refuses a Podman that is too old.

        Raises:
            EndpointError: no answer, or the API is older than 4.0.
        """
        info = self.info(timeout)
        major = info.api_version.partition(".")[0]
        if not major.isdigit() or int(major) < MINIMUM_MAJOR:
            raise EndpointError(
                f"podman version must be 4.0.0 or greater, found: {info.api_version or 'none'}",
                "Please update your podman installation.",
            )
        return info

    # Containers

    def containers(self, labels: Mapping[str, str | None] | None = None) -> list[ContainerInfo]:
        """Containers in any state that carry all ``labels`` (None means any value), in one call, sorted by name.

        The elements have ``detailed`` False: see :class:`ContainerInfo`.
        """
        params = {"all": "true", **_label_filter(labels)}
        listed = self._get("containers/json", params=params, what="list containers") or []
        return sorted((facts.listed_container(entry) for entry in listed), key=lambda item: item.name)

    def container(self, name: str) -> ContainerInfo | None:
        """The container called ``name`` (or with that whole id), inspected; None if there is none."""
        body = self._find(f"containers/{segment(name)}/json", f"inspect container {name}")
        info = None if body is None else facts.inspected_container(body)
        return info if info is not None and name in (info.name, info.id) else None

    def _named(self, name: str, what: str) -> str:
        """The path of the container called ``name``.

        Raises:
            NotFoundError: there is none.
        """
        identity = self._identity(name)
        if not identity:
            raise NotFoundError(f"{what}: no container with name {name} found")
        return f"containers/{identity}"

    def _identity(self, name: str) -> str:
        """The id of the container called ``name``, empty if there is none.

        Podman does not inspect a container whose image it has lost, but lists it, and starts and removes it.
        """
        info = self.container(name)
        if info is not None:
            return info.id
        return next((item.id for item in self.containers() if name in (item.name, item.id)), "")

    def remove_unreadable(self, name: str, labels: Mapping[str, str | None]) -> bool:
        """Remove a container with these labels that Podman lists but cannot inspect; False if there is no such one."""
        listed = next((item for item in self.containers(labels) if item.name == name), None)
        if listed is None or self.container(name) is not None:
            return False
        self.remove_container(name)
        return True

    def create_container(self, container: Container) -> str:
        """Create it (it does not run yet) and return its id.

        Raises:
            ConflictError: the name is in use.
            NotFoundError: its image, network or a volume is not there.
        """
        body = container_body(container, self.uid, self.gid, self._restart_policy())
        return str(self._post("containers/create", body=body, what=f"create container {container.name}")["Id"])

    def start(self, name: str) -> None:
        """Start the container; it may run already, or be paused. Bridges it is on keep their address from then on."""
        what = f"start container {name}"
        self.unpause(name)
        self._post(f"{self._named(name, what)}/start", what=what)
        self._keep_bridges(name)

    def stop(self, name: str, timeout: int = 10) -> None:
        """Stop the container: SIGTERM, and SIGKILL after ``timeout`` seconds. It may be stopped, or not exist."""
        identity = self._identity(name)
        if identity:
            self._quietly(
                "POST",
                f"containers/{identity}/stop",
                params={"timeout": str(timeout), "t": str(timeout), "ignore": "true"},
                timeout=self._http.timeout + timeout,
                what=f"stop container {name}",
            )

    def restart(self, name: str, timeout: int = 10) -> None:
        """Stop the container within ``timeout`` seconds and start it again."""
        what = f"restart container {name}"
        self._post(
            f"{self._named(name, what)}/restart",
            params={"t": str(timeout), "timeout": str(timeout)},
            timeout=self._http.timeout + timeout,
            what=what,
        )
        self._keep_bridges(name)

    def _keep_bridges(self, name: str) -> None:
        """See :mod:`bridge`; a container that runs is not worth an error here."""
        with contextlib.suppress(SkupperError):
            container = self.container(name)
            if not self._run_root and self.uid != 0:
                self._run_root = self.info().run_root
            for attached in container.networks if container else ():
                network = self.network(attached)
                if network is not None and network.driver == "bridge" and network.interface:
                    bridge.keep(network.interface, self.uid, self._run_root)

    def kill(self, name: str, signal: str = "SIGKILL") -> None:
        """Send ``signal`` to the container's first process."""
        what = f"kill container {name}"
        self._post(f"{self._named(name, what)}/kill", params={"signal": signal}, what=what)

    def pause(self, name: str) -> None:
        """Freeze the container's processes; it may be paused."""
        self._unless_already(name, "pause", "running")

    def unpause(self, name: str) -> None:
        """Let the container's processes go on; it may not be paused."""
        self._unless_already(name, "unpause", "paused")

    def _unless_already(self, name: str, verb: str, state: str) -> None:
        what = f"{verb} container {name}"
        path = self._named(name, what)
        info = self.container(name)
        if info is not None and info.state == state:
            self._post(f"{path}/{verb}", what=what)

    def rename_container(self, name: str, new_name: str) -> None:
        """Call the container ``new_name``.

        Raises:
            ConflictError: that name is in use.
        """
        what = f"rename container {name}"
        self._post(f"{self._named(name, what)}/rename", params={"name": new_name}, what=what)

    def remove_container(self, name: str, force: bool = True) -> None:
        """Remove the container; with ``force`` also a running one. It may not exist. Named volumes stay."""
        identity = self._identity(name)
        if identity:
            params = {"force": _flag(force), "ignore": "true", "timeout": "10"}
            self._quietly("DELETE", f"containers/{identity}", params=params, what=f"remove container {name}")

    def logs(self, name: str, tail: int = 20) -> str:
        """The last ``tail`` lines the container wrote to its standard output and error, in order; empty for none."""
        params = {"stdout": "true", "stderr": "true", "follow": "false", "tail": str(tail)}
        what = f"read logs of container {name}"
        reply = self._http.request("GET", f"{self._named(name, what)}/logs", params=params, what=what)
        return b"".join(chunk for _, chunk in _frames(reply.content)).decode(errors="replace")

    def exec(self, name: str, argv: Iterable[str], timeout: float = 30.0) -> ExecResult:
        """Run ``argv`` in the running container, for at most ``timeout`` seconds.

        Podman keeps two small processes for five minutes after each call (its ``exit_command_delay``), so what must be
        asked again and again is better waited for inside one command.

        Raises:
            NotFoundError: no such container. ConflictError: it does not run.
            PlatformError: it did not end in time (the command may still run in the container).
        """
        words = list(argv)
        what = f"run {words[0]} in container {name}"
        create = {"AttachStdout": True, "AttachStderr": True, "Cmd": words}
        session = self._post(f"{self._named(name, what)}/exec", body=create, timeout=timeout, what=what)["Id"]
        try:
            reply = self._http.request(
                "POST", f"exec/{session}/start", body={"Detach": False, "Tty": False}, timeout=timeout, what=what
            )
        except TimedOutError:
            raise PlatformError(f"{what}: it did not end within {timeout:g} seconds", f"podman logs {name}") from None
        state = self._get(f"exec/{session}/json", timeout=timeout, what=what)
        streams: dict[int, list[bytes]] = {1: [], 2: []}
        for stream, chunk in _frames(reply.content):
            streams.setdefault(stream, []).append(chunk)
        return ExecResult(int(state.get("ExitCode", -1)), b"".join(streams[1]), b"".join(streams[2]))

    def events(
        self, since: datetime.datetime, until: datetime.datetime, filters: Mapping[str, list[str]] | None = None
    ) -> list[Event]:
        """What Podman wrote down of that time, oldest first; nothing where it keeps no events."""
        params = {
            "stream": "false",
            "since": str(int(since.timestamp())),
            "until": str(int(until.timestamp()) + 1),
            **({"filters": json.dumps(filters)} if filters else {}),
        }
        lines = self._http.lines("GET", "events", params=params, timeout=_EVENTS_LIMIT, what="read events")
        return [facts.event(entry) for entry in lines]

    # Networks

    def network(self, name: str) -> NetworkInfo | None:
        """The network ``name``, None if there is none."""
        body = self._find(f"networks/{segment(name)}/json", f"inspect network {name}")
        info = None if body is None else facts.network_info(body)
        return info if info is not None and info.name == name else None

    def networks(self) -> list[NetworkInfo]:
        """All networks, sorted by name."""
        listed = self._get("networks/json", what="list networks") or []
        return sorted((facts.network_info(entry) for entry in listed), key=lambda item: item.name)

    def create_network(self, network: Network) -> NetworkInfo:
        """Create a bridge network with DNS; the answer tells whether DNS is really on.

        Raises:
            ConflictError: it exists.
        """
        body = {
            "name": network.name,
            "driver": "bridge",
            "dns_enabled": True,
            "ipv6_enabled": network.ipv6,
            "internal": False,
            "labels": dict(network.labels),
        }
        return facts.network_info(self._post("networks/create", body=body, what=f"create network {network.name}"))

    def remove_network(self, name: str, force: bool = False) -> None:
        """Remove the network; it may not exist. With ``force`` containers on it are removed too.

        Raises:
            ConflictError: containers are attached to it and ``force`` is not set.
        """
        if self.network(name) is None:
            return
        what = f"remove network {name}"
        params = {"force": _flag(force)}
        try:
            body = self._http.request("DELETE", f"networks/{segment(name)}", params=params, what=what).json()
        except NotFoundError:
            return
        for entry in body if isinstance(body, list) else [body]:
            if isinstance(entry, dict) and entry.get("Err"):
                raise ConflictError(f"{what}: {entry['Err']}")

    # Volumes

    def volume(self, name: str) -> VolumeInfo | None:
        """The volume ``name``, None if there is none."""
        body = self._find(f"volumes/{segment(name)}/json", f"inspect volume {name}")
        info = None if body is None else facts.volume_info(body)
        return info if info is not None and info.name == name else None

    def volumes(self, labels: Mapping[str, str | None] | None = None) -> list[VolumeInfo]:
        """Volumes that carry all ``labels`` (None means any value), sorted by name."""
        listed = self._get("volumes/json", params=_label_filter(labels), what="list volumes") or []
        return sorted((facts.volume_info(entry) for entry in listed), key=lambda item: item.name)

    def create_volume(self, volume: Volume) -> VolumeInfo:
        """Create the volume.

        Raises:
            ConflictError: it exists.
        """
        what = f"create volume {volume.name}"
        body = {"Name": volume.name, "Labels": dict(volume.labels), "Label": dict(volume.labels)}
        if self.volume(volume.name) is not None:  # Podman answers 201 for one that exists and leaves its labels alone
            raise ConflictError(f"{what}: it exists", f"podman volume rm {volume.name}")
        return facts.volume_info(self._post("volumes/create", body=body, what=what))

    def remove_volume(self, name: str, force: bool = False) -> None:
        """Remove the volume; it may not exist. With ``force`` containers that use it are removed too.

        Raises:
            ConflictError: a container uses it and ``force`` is not set.
        """
        if self.volume(name) is not None:
            params = {"force": _flag(force)}
            self._quietly("DELETE", f"volumes/{segment(name)}", params=params, what=f"remove volume {name}")

    # Images

    def image(self, name: str) -> ImageInfo | None:
        """The image ``name`` (reference or id), None if it is not in local storage."""
        body = self._find(f"images/{segment(name)}/json", f"inspect image {name}")
        return None if body is None else facts.image_info(body)

    def images(self) -> list[ImageInfo]:
        """All images in local storage."""
        return [facts.image_info(entry) for entry in self._get("images/json", what="list images") or []]

    def pull(
        self, name: str, timeout: float, *, auth: str = "", progress: Callable[[str], None] | None = None
    ) -> ImageInfo:
        """Pull ``name`` within ``timeout`` seconds; ``auth`` is an ``X-Registry-Auth`` value (secret), ``progress``
        is told each line Podman writes. Whether TLS is verified is left to the host's ``registries.conf``.

        Raises:
            PlatformError: the registry refused, or is not in reach.
        """
        what = f"pull image {name}"
        headers = {"X-Registry-Auth": auth} if auth else None
        params = {"reference": name, "policy": "always", "quiet": "false"}
        for entry in self._http.lines(
            "POST", "images/pull", params=params, timeout=timeout, what=what, headers=headers
        ):
            if entry.get("error"):
                raise PlatformError(
                    f"unable to pull image {name}: {entry['error']}",
                    f"podman pull {name}; a registry that wants a login: podman login {name.partition('/')[0]}",
                )
            if progress and entry.get("stream"):
                progress(str(entry["stream"]).strip())
        image = self.image(name)
        if image is None:
            raise PlatformError(f"unable to pull image {name}: Podman says done, but it is not there")
        return image

    def import_image(self, name: str, tar: bytes, changes: Iterable[str]) -> ImageInfo:
        """Make image ``name`` of one layer from ``tar``; ``changes`` are Containerfile instructions (ENV, CMD, ...)."""
        what = f"import image {name}"
        self._post("images/import", params={"reference": name, "changes": list(changes)}, body=tar, what=what)
        image = self.image(name)
        if image is None:
            raise PlatformError(f"{what}: Podman says done, but it is not there")
        return image

    def export_image(self, name: str) -> bytes:
        """The image ``name`` as an archive that podman and docker load."""
        path, what = f"images/{segment(name)}/get", f"export image {name}"
        return self._http.request("GET", path, params={"format": "docker-archive"}, timeout=300.0, what=what).content

    def remove_image(self, name: str, force: bool = False) -> None:
        """Remove image ``name``; it may not exist.

        Raises:
            ConflictError: a container uses it and ``force`` is not set.
        """
        self._quietly("DELETE", f"images/{segment(name)}", params={"force": _flag(force)}, what=f"remove image {name}")

    def raw(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """What Podman says at ``path``, undecoded: for those who want to see all of it."""
        return self._get(path, params=params, what=f"read {path}")

    # The four kinds of request

    def _get(self, path: str, *, what: str, params: Any = None, timeout: float | None = None) -> Any:
        return self._http.request("GET", path, params=params, timeout=timeout, what=what).json()

    def _find(self, path: str, what: str) -> Any:
        try:
            return self._get(path, what=what)
        except NotFoundError:
            return None

    def _post(self, path: str, *, what: str, params: Any = None, body: Any = None, timeout: float | None = None) -> Any:
        reply = self._http.request("POST", path, params=params, body=body, timeout=timeout, what=what)
        return reply.json() if reply.content.strip() else {}

    def _quietly(self, method: str, path: str, *, what: str, params: Any, timeout: float | None = None) -> None:
        try:
            self._http.request(method, path, params=params, timeout=timeout, what=what)
        except NotFoundError:
            return


def _label_filter(labels: Mapping[str, str | None] | None) -> dict[str, str]:
    if not labels:
        return {}
    wanted = [key if value is None else f"{key}={value}" for key, value in labels.items()]
    return {"filters": json.dumps({"label": wanted})}


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _frames(content: bytes) -> Iterable[tuple[int, bytes]]:
    """Split the multiplexed stream of attach, exec and logs: one byte stream number, three zero, four length."""
    offset = 0
    while offset + 8 <= len(content):
        length = int.from_bytes(content[offset + 4 : offset + 8], "big")
        yield content[offset], content[offset + 8 : offset + 8 + length]
        offset += 8 + length
