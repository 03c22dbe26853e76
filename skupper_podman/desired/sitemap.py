"""The ConfigMap ``skupper-site``: a site's options as source control keeps them.

What always holds: a key that is left out asks for nothing; a key that is not known, or asks for what a podman site does
not have, is refused by name and never ignored.

Format: ``api/types/types.go`` (``SiteConfig...Key``) of Skupper 1.9, and the flags of a podman site, which 1.9 has no
keys for, under the flags' names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from skupper_podman.desired.names import Names
from skupper_podman.errors import InvalidError, UsageError
from skupper_podman.model.limits import cpu_quantity, cpu_text, memory_quantity
from skupper_podman.model.service import check_port
from skupper_podman.model.site import SiteSpec, check_site_name, parse_router_logging

_CONSOLE: Final = "the flow collector and the console come in a later release"
_KUBERNETES: Final = "it is of kubernetes sites"

# Keys that change nothing where their value is one of these, and the reason why others are refused.
_WITHOUT_EFFECT: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "console": (("false", ""), _CONSOLE),
    "flow-collector": (("false", ""), _CONSOLE),
    "rest-api": (("false", ""), _CONSOLE),
    "router-console": (("false", ""), _CONSOLE),
    "console-authentication": (("internal", ""), _CONSOLE),
    "console-user": (("",), _CONSOLE),
    "console-password": (("",), _CONSOLE),
    "service-controller": (("true", ""), "a podman site always has its controller"),
    "annotation-separator": ((",", ""), _KUBERNETES),
    "cluster-permissions": (("false", ""), _KUBERNETES),
    "create-network-policy": (("false", ""), _KUBERNETES),
    "enable-skupper-events": (("true", "false", ""), _KUBERNETES),
    "routers": (("1", ""), _KUBERNETES),
}
_TRUE: Final = ("1", "t", "T", "TRUE", "true", "True")
_FALSE: Final = ("0", "f", "F", "FALSE", "false", "False", "")


def parse_site(data: Mapping[str, str]) -> tuple[SiteSpec, frozenset[str]]:
    """The site that the keys describe, and the names of the options they give.

    Raises:
        InvalidError: a key is not known, or its value is no good; the message names it.
    """
    fields: dict[str, Any] = {}
    for key, value in data.items():
        if key in _WITHOUT_EFFECT:
            _check_without_effect(key, value)
        elif key in _KEYS:
            try:
                fields |= _KEYS[key](value)
            except UsageError as error:
                raise InvalidError(f"skupper-site: {key}: {error.message}") from None
        else:
            raise InvalidError(f"skupper-site: {key} is no key of a podman site", f"it has: {', '.join(sorted(_KEYS))}")
    spec = SiteSpec(**{"name": "", "site_id": "", **fields})
    return spec, frozenset(fields)


def _check_without_effect(key: str, value: str) -> None:
    accepted, reason = _WITHOUT_EFFECT[key]
    if value.strip().lower() not in accepted:
        raise InvalidError(f"skupper-site: {key}: {value!r} is not supported: {reason}", f"leave {key} out")


def dump_site(spec: SiteSpec) -> dict[str, str]:
    """The keys of a site, those that are as in any site left out; reading them gives the same site."""
    plain = SiteSpec("", "")
    values = {
        "name": spec.name,
        "router-mode": spec.router_mode if spec.router_mode != plain.router_mode else "",
        "ingress": spec.ingress if spec.ingress != plain.ingress else "",
        "ingress-host": ",".join(spec.ingress_hosts),
        "ingress-bind-ip": ",".join(spec.bind_ips),
        "bind-port": _port(spec.inter_router_port, plain.inter_router_port),
        "bind-port-edge": _port(spec.edge_port, plain.edge_port),
        "bind-port-claims": _port(spec.claims_port, plain.claims_port),
        "container-network": spec.network if spec.network != Names.of(spec).network else "",
        "enable-ipv6": "true" if spec.ipv6 else "",
        "router": spec.router if spec.router != plain.router else "",
        "router-logging": ",".join(f"{log.module}:{log.level}".lstrip(":") for log in spec.router_logging),
        "labels": ",".join(f"{name}={value}" for name, value in sorted(spec.labels.items())),
        "router-cpu-limit": cpu_text(spec.router_cpu_millis) if spec.router_cpu_millis else "",
        "router-memory-limit": str(spec.router_memory_bytes or ""),
        "controller-cpu-limit": cpu_text(spec.controller_cpu_millis) if spec.controller_cpu_millis else "",
        "controller-memory-limit": str(spec.controller_memory_bytes or ""),
        "service-sync": "true" if spec.service_sync else "",
    }
    return {key: value for key, value in values.items() if value}


def _port(port: int | None, usual: int | None) -> str:
    return "" if port is None or port == usual else str(port)


def _boolean(value: str) -> bool:
    if value not in (*_TRUE, *_FALSE):
        raise UsageError(f"{value!r} is neither true nor false")
    return value in _TRUE


def _one_of(field: str, *choices: str) -> Callable[[str], dict[str, Any]]:
    def parse(value: str) -> dict[str, Any]:
        if value not in choices:
            raise UsageError(f"{value!r} is not one of {', '.join(choices)}")
        return {field: value}

    return parse


def _number(field: str) -> Callable[[str], dict[str, Any]]:
    def parse(value: str) -> dict[str, Any]:
        if not value.isascii() or not value.isdigit() or len(value) > 5:
            raise UsageError(f"{value!r} is no port")
        number = int(value)
        return {field: number if field == "claims_port" and number == 0 else check_port(number)}

    return parse


def _list(field: str) -> Callable[[str], dict[str, Any]]:
    return lambda value: {field: tuple(part for part in (piece.strip() for piece in value.split(",")) if part)}


def _labels(value: str) -> dict[str, Any]:
    pairs = [piece.strip().partition("=") for piece in value.split(",") if piece.strip()]
    if not all(name and equals for name, equals, _ in pairs):
        raise UsageError(f"{value!r} is not key=value,...")
    return {"labels": {name: text for name, _, text in pairs}}


def _logging(value: str) -> dict[str, Any]:
    try:
        return {"router_logging": parse_router_logging(value)}
    except UsageError as error:
        raise UsageError(error.message.removeprefix("Bad value for --router-logging: ")) from None


_KEYS: Final[Mapping[str, Callable[[str], dict[str, Any]]]] = {
    "name": lambda value: {"name": check_site_name(value)},
    "router-mode": _one_of("router_mode", "interior", "edge"),
    "edge": lambda value: {"router_mode": "edge"} if _boolean(value) else {},
    "ingress": _one_of("ingress", "external", "none"),
    "cluster-local": lambda value: {"ingress": "none"} if _boolean(value) else {},
    "ingress-host": _list("ingress_hosts"),
    "ingress-bind-ip": _list("bind_ips"),
    "bind-port": _number("inter_router_port"),
    "bind-port-edge": _number("edge_port"),
    "bind-port-claims": _number("claims_port"),
    "container-network": lambda value: {"network": value} if value else {},
    "enable-ipv6": lambda value: {"ipv6": _boolean(value)},
    "router": _one_of("router", "auto", "image", "embedded"),
    "router-logging": _logging,
    "labels": _labels,
    "router-cpu-limit": lambda value: {"router_cpu_millis": cpu_quantity("router", value)},
    "router-memory-limit": lambda value: {"router_memory_bytes": memory_quantity("router", value)},
    "controller-cpu-limit": lambda value: {"controller_cpu_millis": cpu_quantity("controller", value)},
    "controller-memory-limit": lambda value: {"controller_memory_bytes": memory_quantity("controller", value)},
    "service-sync": lambda value: {"service_sync": _boolean(value)},
}
