"""skstat's views of virtual hosts: their limits, their groups of users, and what they have denied."""

from __future__ import annotations

from typing import Any, Final

from skupper_podman.routerd.management.schema import find_type
from skupper_podman.routerd.tools.render import Table
from skupper_podman.routerd.tools.views import Block, Source

_VHOST: Final = "io.skupper.router.vhost"
_LIMITS: Final = ("maxConnections", "maxMessageSize", "maxConnectionsPerUser", "maxConnectionsPerHost")
_GROUP_NUMBERS: Final = (
    *("maxConnectionsPerUser", "maxConnectionsPerHost", "maxMessageSize", "maxFrameSize", "maxSessionWindow"),
    *("maxSessions", "maxSenders", "maxReceivers"),
)
_GROUP_FLAGS: Final = ("allowDynamicSource", "allowAnonymousSender", "allowUserIdProxy", "allowAdminStatusUpdate")
_GROUP_TEXTS: Final = ("users", "remoteHosts", "sources", "targets", "sourcePattern", "targetPattern")
_STATS: Final = (
    *("connectionsApproved", "connectionsDenied", "connectionsCurrent", "sessionDenied", "senderDenied"),
    *("receiverDenied", "maxMessageSizeDenied"),
)


def vhosts(source: Source, verbose: bool) -> list[Block]:
    """The virtual hosts and their limits."""
    records = source.query(_VHOST)
    if not records:
        return ["No Vhosts"]
    columns = ("hostname", *_LIMITS, "allowUnknownUser", "groups")
    rows = [[*(record.get(name) for name in columns[:-1]), len(record.get("groups") or {})] for record in records]
    return [Table("Vhosts", columns, rows)]


def vhost_groups(source: Source, verbose: bool) -> list[Block]:
    """The groups of users of the virtual hosts: first their limits, then for each what it may reach."""
    records = source.query(_VHOST)
    if not records:
        return ["No Vhosts"]
    groups = [
        (record.get("hostname"), name, dict(settings))
        for record in records
        for name, settings in (record.get("groups") or {}).items()
    ]
    names = (*_GROUP_NUMBERS, *_GROUP_FLAGS)
    rows = [[host, group, *(_setting(settings, name) for name in names)] for host, group, settings in groups]
    blocks: list[Block] = [Table("Vhost Groups", ("vhost", "group", *names), rows)]
    for host, group, settings in groups:
        pairs = [("vhost", host), ("group", group), *((name, _setting(settings, name)) for name in _GROUP_TEXTS)]
        blocks.append(Table(f"\nVhost '{host}' UserGroup '{group}'", ("attr", "value"), pairs))
    return blocks


def vhost_stats(source: Source, verbose: bool) -> list[Block]:
    """What the virtual hosts have approved and denied, and who is connected from where."""
    records = source.query("io.skupper.router.vhostStats")
    if not records:
        return ["No Vhost Stats"]
    rows = [[record.get(name) for name in ("hostname", *_STATS)] for record in records]
    users = [
        [record.get("hostname"), user, hosts]
        for record in records
        for user, hosts in (record.get("perUserState") or {}).items()
    ]
    return [
        Table("Vhost Stats", ("hostname", *_STATS), rows),
        Table("\nVhost User Stats", ("vhost", "user", "remote hosts"), users),
    ]


def _setting(settings: dict[str, Any], name: str) -> Any:
    """A group's setting, else its default, else a word for neither."""
    if name in settings:
        return settings[name]
    attribute = find_type("vhostUserGroupSettings").attributes[name]
    if attribute.default is not None:
        return attribute.default
    return False if attribute.kind == "boolean" else "(nil)"
