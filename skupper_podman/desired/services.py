"""``skupper-services.json``: the services defined at a site, in the form of 1.9.

What always holds: an entry that is not changed keeps every key it had, also those this program does not know. A target
is a resolver string that 1.9 compares byte for byte, so it is written exactly as 1.9 writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from skupper_podman.desired import names
from skupper_podman.desired.gojson import compact
from skupper_podman.errors import InvalidError
from skupper_podman.model.service import PROTOCOLS, HostPorts, Protocol, Service, Target

_RESOLVER: Final = "*domain.EgressResolverHost="


@dataclass(frozen=True, slots=True)
class ServicesDocument:
    """The whole file: raw entries by address."""

    entries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str | bytes) -> ServicesDocument:
        """Read the file; empty text means no services.

        Raises:
            InvalidError: it is not a JSON object of objects.
        """
        if not text.strip():
            return cls()
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidError(f"skupper-services.json cannot be read: {error}") from None
        if value is None:
            return cls()
        if not isinstance(value, dict) or not all(isinstance(entry, dict) for entry in value.values()):
            raise InvalidError("skupper-services.json cannot be read: it must be an object of objects")
        return cls(value)

    def dump(self) -> str:
        """The file's text: one line, addresses in order."""
        return compact({address: self.entries[address] for address in sorted(self.entries)})

    def services(self) -> tuple[Service, ...]:
        """All services, by address. Container names and host ports are not in the file and stay empty."""
        return tuple(_service(address, self.entries[address]) for address in sorted(self.entries))

    def put(self, service: Service) -> ServicesDocument:
        """With this service, instead of the one of its address if there is one."""
        entry = _entry(service, self.entries.get(service.address, {}))
        return ServicesDocument({**self.entries, service.address: entry})

    def remove(self, address: str) -> ServicesDocument:
        """Without the service of this address."""
        return ServicesDocument({name: entry for name, entry in self.entries.items() if name != address})


def resolver(target: Target) -> str:
    """The name of a target: a Go type and its JSON."""
    ports = {str(port): target_port for port, target_port in sorted(target.ports, key=lambda pair: str(pair[0]))}
    return _RESOLVER + compact({"host": target.host, "ports": ports})


def parse_resolver(name: str) -> Target | None:
    """The target a resolver string names, or None when it is not one."""
    if not name.startswith(_RESOLVER):
        return None
    try:
        value = json.loads(name.removeprefix(_RESOLVER))
        ports = tuple(sorted((int(port), int(target)) for port, target in (value.get("ports") or {}).items()))
        return Target(str(value["host"]), ports)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def with_target(service: Service, target: Target) -> Service:
    """The service with one more target."""
    return replace(service, targets=(*service.targets, target))


def without_host(service: Service, host: str) -> Service:
    """The service without its first target on ``host``; the same service when there is none."""
    for index, target in enumerate(service.targets):
        if target.host == host:
            return replace(service, targets=service.targets[:index] + service.targets[index + 1 :])
    return service


def _service(address: str, entry: Mapping[str, Any]) -> Service:
    protocol = entry.get("protocol")
    targets = (_target(item) for item in _list(entry.get("targets")) if isinstance(item, dict))
    labels = entry.get("labels")
    return Service(
        address=address,
        ports=tuple(port for port in _list(entry.get("ports")) if type(port) is int),
        protocol=cast("Protocol", protocol) if protocol in PROTOCOLS else "tcp",
        targets=tuple(target for target in targets if target is not None),
        labels=_labels(labels),
        origin=str(entry.get("origin") or ""),
        tls_credentials=str(entry.get("tlsCredentials") or ""),
        aggregate=str(entry.get("aggregate") or ""),
        event_channel=entry.get("eventchannel") is True,
        host_ports=HostPorts(),
        ingress=ingress if (ingress := entry.get("exposeIngress")) in ("Always", "Never") else "",
        allowed_sites=_allowed_sites(entry),
    )


def _labels(labels: object) -> dict[str, str]:
    pairs = labels.items() if isinstance(labels, dict) else ()
    return {str(key): str(value) for key, value in pairs if key != names.ALLOWED_SITES}


def _allowed_sites(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """From a label of the services file, or from an annotation of a message."""
    for key in ("labels", "annotations"):
        values = entry.get(key)
        text = values.get(names.ALLOWED_SITES) if isinstance(values, dict) else None
        if isinstance(text, str):
            return tuple(sorted({part.strip() for part in text.split(",")} - {""}))
    return ()


def allowed_sites_entry(service: Service) -> dict[str, str]:
    """The sites that may use a service, as a label or an annotation; nothing where all may."""
    return {names.ALLOWED_SITES: ",".join(service.allowed_sites)} if service.allowed_sites else {}


def _target(item: Mapping[str, Any]) -> Target | None:
    return parse_resolver(str(item.get("name") or ""))


def _list(value: object) -> Iterable[Any]:
    return value if isinstance(value, list) else ()


def _entry(service: Service, previous: Mapping[str, Any]) -> dict[str, Any]:
    # Go's order of the keys; what is empty is left out where Go leaves it out.
    known: dict[str, Any] = {
        "address": service.address,
        "protocol": service.protocol,
        "ports": list(service.ports),
        "exposeIngress": service.ingress or previous.get("exposeIngress", ""),
        "eventchannel": service.event_channel,
        "aggregate": service.aggregate,
        "headless": previous.get("headless"),
        "labels": dict(sorted((service.labels | allowed_sites_entry(service)).items())),
        "annotations": previous.get("annotations"),
        "targets": [_target_entry(target) for target in service.targets],
        "origin": service.origin,
        "tlsCredentials": service.tls_credentials,
    }
    always = ("address", "protocol", "ports", "exposeIngress", "targets")
    entry = {key: value for key, value in known.items() if value or key in always}
    return entry | {key: value for key, value in previous.items() if key not in known}


def _target_entry(target: Target) -> dict[str, Any]:
    ports = {str(port): target_port for port, target_port in sorted(target.ports, key=lambda pair: str(pair[0]))}
    return {"name": resolver(target), "targetPorts": ports, "service": target.host}
