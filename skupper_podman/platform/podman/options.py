"""``init`` on a site that exists: the site stays what it is, and options that ask for something else are refused.

What always holds: an option that was left at its default asks for nothing, so a plain ``skupper init`` never conflicts.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from skupper_podman.errors import ConflictError
from skupper_podman.model.site import LogLevel, SiteSpec

_FLAGS = {
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
}


def check_same(asked: SiteSpec, found: SiteSpec) -> None:
    """Check that nothing is asked for that the existing site is not.

    Raises:
        ConflictError: naming each option that differs, with both values.
    """
    plain = SiteSpec(name="", site_id="")
    differing = []
    for item in fields(SiteSpec):
        flag = _FLAGS.get(item.name)
        wanted, present = (_comparable(getattr(spec, item.name)) for spec in (asked, found))
        if flag is None or wanted == getattr(plain, item.name) or wanted == present:
            continue
        if item.name == "ingress_hosts" and asked.ingress == "none":
            continue
        differing.append(f"{flag} is {_text(present)}, not {_text(wanted)}")
    if differing:
        raise ConflictError(
            f"the site {found.name} exists with other options: {'; '.join(differing)}",
            "to change them, delete the site and create it anew: skupper delete, then skupper init",
        )


def plain_level(level: LogLevel) -> LogLevel:
    """The log level as it is meant: a router's configuration names all modules, and says that more is logged too."""
    return LogLevel("" if level.module == "DEFAULT" else level.module, level.level.removesuffix("+"))


def _comparable(value: Any) -> Any:
    """A site's option in the one form that can be compared."""
    if isinstance(value, tuple) and value and isinstance(value[0], LogLevel):
        return tuple(sorted((plain_level(level) for level in value), key=str))
    return value


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(_text(item) for item in value) or "none"
    if isinstance(value, dict):
        return ",".join(f"{key}={item}" for key, item in sorted(value.items())) or "none"
    module, level = getattr(value, "module", None), getattr(value, "level", None)
    if level is not None:
        return f"{module}:{level}" if module else str(level)
    return str(value)
