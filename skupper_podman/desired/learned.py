"""Services that other sites offer by service sync: what is in a message, what is kept of it, and what must be done.

What always holds: text of any content gives values or :class:`InvalidError`; a service that this platform cannot have
is named with the reason and costs only itself; what is defined at this site is never touched; the sets are bounded.

Format: ``pkg/service_sync`` and ``api/types/types.go`` (``ServiceInterface``) of Skupper 1.9.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from skupper_podman.desired import names
from skupper_podman.desired.gojson import compact
from skupper_podman.desired.services import ServicesDocument, allowed_sites_entry
from skupper_podman.errors import InvalidError, UsageError
from skupper_podman.model.service import PROTOCOLS, HostPorts, Service, check_address, check_port

MAX_SERVICES: Final = 5000
"""Of one message, and of all sites together."""
MAX_TAKEN: Final = 500
"""How many services of others a site takes over: each is a container, and other sites must not exhaust this host."""
_MAX_PORTS: Final = 64
_OWN_PREFIXES: Final = ("skupper.io/", "internal.skupper.io/")
_RESERVED: Final = frozenset({names.CONSOLE_HOST, "localhost", names.LOCAL_HOST, names.ROUTER, names.CONTROLLER})
"""Names by which containers of the site find each other: whoever had one could stand in for the router."""


@dataclass(frozen=True, slots=True)
class Offers:
    """What one site offers: services by address; and addresses that cannot be had here, with the reason."""

    services: Mapping[str, Service] = field(default_factory=dict)
    unusable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An address that is offered, but not to be had here. ``origin`` is the site that offers it."""

    origin: str
    reason: str


@dataclass(frozen=True, slots=True)
class Learned:
    """What all sites offer to this one: services, each with its origin; ``unusable`` ones; and those ``withheld``,
    which their sites offer to others only (address to site)."""

    services: tuple[Service, ...] = ()
    unusable: Mapping[str, Refusal] = field(default_factory=dict)
    withheld: Mapping[str, str] = field(default_factory=dict)

    def dump(self) -> str:
        """As the text of the file."""
        document = ServicesDocument()
        for service in self.services:
            document = document.put(service)
        unusable = {address: [item.origin, item.reason] for address, item in sorted(self.unusable.items())}
        withheld = dict(sorted(self.withheld.items()))
        return compact({"version": 1, "services": document.entries, "unusable": unusable, "withheld": withheld}) + "\n"

    @classmethod
    def parse(cls, text: str | bytes) -> Learned:
        """Read what :meth:`dump` wrote; services that could not be offered are left out.

        Raises:
            InvalidError: it is something else.
        """
        try:
            value = json.loads(text)
            if value["version"] != 1:
                raise ValueError("it is of another version")
            found = [_kept(entry) for entry in value["services"].values()]
            unusable = {str(key): Refusal(str(item[0]), str(item[1])) for key, item in value["unusable"].items()}
            withheld = {str(key): str(item) for key, item in value["withheld"].items()}
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
            raise InvalidError(f"{names.SYNC_FILE} cannot be read: {error}") from None
        except UsageError as error:
            raise InvalidError(f"{names.SYNC_FILE} cannot be read: {error.message}") from None
        services = sorted((item for item in found if item is not None), key=lambda item: item.address)
        return cls(tuple(services[:MAX_SERVICES]), unusable, withheld)


def _kept(entry: Mapping[str, Any]) -> Service | None:
    problems: list[str] = []
    service = _read(entry, str(entry["origin"]), problems)
    return service if service.origin and not problems else None


def offered(text: str, origin: str) -> Offers:
    """The services in the body of a message of site ``origin``.

    Raises:
        InvalidError: it is no JSON list of objects.
    """
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidError(f"the services of site {origin} cannot be read: {error}") from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidError(f"the services of site {origin} cannot be read: they are no list of objects")
    services: dict[str, Service] = {}
    unusable: dict[str, str] = {}
    for entry in entries[:MAX_SERVICES]:
        address = str(entry.get("address") or "")
        problems: list[str] = []
        try:
            service = _read(entry, origin, problems)
        except UsageError as error:
            problems.append(error.message)
        if problems:
            unusable[address[:63]] = problems[0][:200]
        else:
            services[address] = service
    return Offers(services, {key: reason for key, reason in unusable.items() if key not in services})


def _read(entry: Mapping[str, Any], origin: str, problems: list[str]) -> Service:
    """The service in an entry; what a podman site cannot have of it is added to ``problems``.

    Raises:
        UsageError: it is not even a service.
    """
    address = entry.get("address")
    check_address(address if isinstance(address, str) else "")
    service = ServicesDocument({str(address): {**entry, "ports": _ports(entry)}}).services()[0]
    if address in _RESERVED:
        problems.append(f"{address} is a name of the site's own")
    if entry.get("protocol") not in PROTOCOLS:
        problems.append(f"protocol {entry.get('protocol')!s:.20} is not one of {', '.join(PROTOCOLS)}")
    if entry.get("headless"):
        problems.append("it is headless, which only sites on kubernetes can have")
    if service.protocol == "http" and service.tls_credentials:
        problems.append("TLS is not possible with protocol http")
    labels = {
        key: value
        for key, value in service.labels.items()
        if not names.is_kept_label(key) and not key.startswith(_OWN_PREFIXES)
    }
    http = service.protocol == "http"
    return Service(
        address=service.address,
        ports=service.ports,
        protocol=service.protocol,
        labels=labels,
        origin=origin,
        # 1.9 on Kubernetes names any Secret here; what each site makes of its own is called like this.
        tls_credentials=names.tls_directory(service.address) if service.tls_credentials else "",
        aggregate=service.aggregate if http and service.aggregate in ("json", "multipart") else "",
        event_channel=http and service.event_channel and not service.aggregate,
        allowed_sites=service.allowed_sites,
    )


def _ports(entry: Mapping[str, Any]) -> list[int]:
    """Its ports; the one port of an entry as sites before 0.8 write it."""
    ports = entry.get("ports") or [entry.get("port")]
    if not isinstance(ports, list) or not all(type(port) is int for port in ports):
        raise UsageError("its ports are no numbers")
    if len(ports) > _MAX_PORTS or len(set(ports)) != len(ports):
        raise UsageError(f"it has a port twice, or more than {_MAX_PORTS}")
    return [check_port(port) for port in ports]


def announced(services: Iterable[Service]) -> str:
    """The body of a message: those of ``services`` that are defined here, as 1.9 tells them to others."""
    return compact([_announced(service) for service in services if not service.origin])


def _announced(service: Service) -> dict[str, Any]:
    optional = {
        "eventchannel": service.event_channel,
        "aggregate": service.aggregate,
        "labels": dict(sorted(service.labels.items())),
        "annotations": allowed_sites_entry(service),
    }
    values: dict[str, Any] = {
        "address": service.address,
        "protocol": service.protocol,
        "ports": list(service.ports),
        "exposeIngress": "",
        **{key: value for key, value in optional.items() if value},
        "targets": [],
    }
    if service.tls_credentials:
        values |= {"tlsCredentials": service.tls_credentials, "tlsCertAuthority": names.DEFAULT.service_client}
    return values


@dataclass(frozen=True, slots=True)
class Todo:
    """What must be done for this site to have exactly what it learned. A service that changed goes first, then comes
    back in its new shape. ``surplus`` are those that are left out, because there are too many."""

    make: tuple[Service, ...] = ()
    remove: tuple[str, ...] = ()
    surplus: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.make or self.remove)


def pending(present: Iterable[Service], learned: Learned) -> Todo:
    """What differs between the services of this site and what it learned; those defined here stay as they are."""
    wanted = {service.address: service for service in learned.services}
    here = {service.address: service for service in present}
    remove = [address for address, item in here.items() if item.origin and offered_form(item) != wanted.get(address)]
    make = sorted(
        (service for address, service in wanted.items() if address not in here), key=lambda item: item.address
    )
    room = max(MAX_TAKEN - sum(1 for item in here.values() if item.origin), 0)
    return Todo(tuple(make[:room]), tuple(sorted(remove)), tuple(service.address for service in make[room:]))


def offered_form(service: Service) -> Service:
    """The part of a service that its origin decides."""
    return replace(service, targets=(), container_name="", host_ports=HostPorts(), ingress="", tls_files=())


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a service that was learned could not be made or removed here, and what helps."""

    reason: str
    fix: str = ""


def dump_failures(failures: Mapping[str, Failure]) -> bytes:
    """As the text of their file."""
    return compact({address: [item.reason, item.fix] for address, item in sorted(failures.items())}).encode() + b"\n"


def parse_failures(text: bytes) -> dict[str, Failure]:
    """What :func:`dump_failures` wrote; nothing where that cannot be read."""
    try:
        return {str(address): Failure(str(item[0]), str(item[1])) for address, item in json.loads(text).items()}
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, RecursionError):
        return {}
