"""``init`` on a site that exists: what it is asked to become, and in what that differs from what it is.

What always holds: an option that was not given asks for nothing, so a plain ``skupper init`` changes nothing; what is
fixed for the life of a site is never taken over silently, but refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from skupper_podman.errors import ConflictError
from skupper_podman.model.limits import cpu_text
from skupper_podman.model.site import LogLevel, SiteSpec, check_site_ports

FLAGS: Final[Mapping[str, str]] = {
    "name": "--site-name",
    "router_mode": "--router-mode",
    "ingress": "--ingress",
    "ingress_hosts": "--ingress-host",
    "bind_ips": "--ingress-bind-ip",
    "inter_router_port": "--bind-port",
    "edge_port": "--bind-port-edge",
    "claims_port": "--bind-port-claims",
    "network": "--container-network",
    "ipv6": "--enable-ipv6",
    "router_logging": "--router-logging",
    "router": "--router",
    "labels": "--labels",
    "router_cpu_millis": "--router-cpu-limit",
    "router_memory_bytes": "--router-memory-limit",
    "controller_cpu_millis": "--controller-cpu-limit",
    "controller_memory_bytes": "--controller-memory-limit",
    "service_sync": "--enable-service-sync",
}
"""The flag that sets each field of a :class:`SiteSpec`."""

FIXED: Final = frozenset({"name", "router_mode", "network", "ipv6", "labels"})
"""What a site keeps for life: its name is its router's, and networks and volumes keep what they were made with."""

_PLAIN: Final = SiteSpec(name="", site_id="")


@dataclass(frozen=True, slots=True)
class Difference:
    """One option with its value so far and the one to come, as text."""

    option: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{FLAGS[self.option]}: {self.before} -> {self.after}"


def merged(asked: SiteSpec, found: SiteSpec, given: frozenset[str] | None = None) -> SiteSpec:
    """The existing site with what was asked for; ``given`` names the fields that were, None all with another value.

    Raises:
        ConflictError: naming each option that differs and cannot change.
        UsageError: the options do not go together.
    """
    wanted = replace(found, **{name: _value(asked, found, name) for name in _asked_for(asked, given)})
    refused = [difference for difference in differences(found, wanted) if difference.option in FIXED]
    if refused:
        texts = "; ".join(f"{FLAGS[item.option]} is {item.before}, not {item.after}" for item in refused)
        raise ConflictError(
            f"the site {found.name} keeps for life what it was made with: {texts}",
            "leave the option out, or make the site anew: skupper delete, then skupper init",
        )
    check_site_ports(wanted)
    return wanted


def differences(found: SiteSpec, wanted: SiteSpec) -> tuple[Difference, ...]:
    """In which options two sites differ."""
    return tuple(
        Difference(name, _shown(name, found), _shown(name, wanted))
        for name in FLAGS
        if comparable(getattr(found, name)) != comparable(getattr(wanted, name))
    )


def _asked_for(asked: SiteSpec, given: frozenset[str] | None) -> list[str]:
    names = [item.name for item in fields(SiteSpec) if item.name in FLAGS]
    if given is not None:
        chosen = [name for name in names if name in given]
    else:
        chosen = [name for name in names if comparable(getattr(asked, name)) != comparable(getattr(_PLAIN, name))]
    # Hosts mean nothing without ingress; those the site has are kept for the day it accepts links again.
    if asked.ingress == "none" and "ingress_hosts" in chosen:
        chosen.remove("ingress_hosts")
    # "auto" is content with the router there is; "edge" and the like never are.
    return [name for name in chosen if not (name == "router" and asked.router == "auto")]


def _value(asked: SiteSpec, found: SiteSpec, name: str) -> Any:
    """What is asked for; where it only is written differently, what is there."""
    wanted, present = getattr(asked, name), getattr(found, name)
    return present if comparable(wanted) == comparable(present) else wanted


def plain_level(level: LogLevel) -> LogLevel:
    """The log level as it is meant: a router's configuration names all modules, and says that more is logged too."""
    return LogLevel("" if level.module == "DEFAULT" else level.module, level.level.removesuffix("+"))


def comparable(value: Any) -> Any:
    """A site's option in the one form that can be compared."""
    if isinstance(value, tuple) and value and isinstance(value[0], LogLevel):
        return tuple(sorted((plain_level(level) for level in value), key=str))
    return value


def _shown(name: str, spec: SiteSpec) -> str:
    value = getattr(spec, name)
    if name.endswith("_cpu_millis"):
        return cpu_text(value) if value else "none"
    return "none" if value == 0 and name.endswith("_memory_bytes") else _text(value)


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(_text(item) for item in value) or "none"
    if isinstance(value, dict):
        return ",".join(f"{key}={item}" for key, item in sorted(value.items())) or "none"
    if isinstance(value, LogLevel):
        return f"{value.module}:{value.level}" if value.module else value.level
    return str(value)
