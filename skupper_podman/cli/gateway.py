"""``gateway``: hosts that are no site but join the network, by a bundle or as the very host of the command."""

from __future__ import annotations

import datetime
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from skupper_podman.cli import documents
from skupper_podman.cli.argv import anything, at_most, exactly
from skupper_podman.cli.flags import flag
from skupper_podman.cli.gatewayfiles import read_definition, tls_files, writing
from skupper_podman.cli.govalues import SECOND
from skupper_podman.cli.render import gateways as render
from skupper_podman.cli.result import Json, Result
from skupper_podman.cli.session import Outcome, Session, strings
from skupper_podman.cli.typed import command, new_app
from skupper_podman.errors import ConflictError, NotFoundError, UsageError
from skupper_podman.model.gateway import (
    Bridge,
    GatewayDefinition,
    GatewayRecord,
    GatewayRequest,
    check_gateway_name,
    check_gateway_type,
)
from skupper_podman.model.service import PROTOCOLS, Protocol, Service, check_address
from skupper_podman.plan import Plan, Step

if TYPE_CHECKING:
    from skupper_podman.platform import Platform

app = new_app()

_NAME_HELP: Final = "Name of the gateway (default: of this host and user)"
_TYPE_HELP: Final = "The gateway type one of: 'service', 'docker', 'podman'"
_TYPES: Final = ("service", "docker", "podman")
_DAY: Final = 86400 * SECOND


@dataclass(frozen=True, slots=True)
class GenerateBundle:
    """Flags of ``gateway generate-bundle``."""

    self_contained: bool = flag("self-contained", "bool", "Put the embedded router with all it needs into the bundle")
    with_image: bool = flag("with-image", "bool", "Put the image of the router into the bundle")
    expiry: int = flag("expiry", "duration", "Time in which the gateway's credential is valid", default=365 * _DAY)
    ingress_host: str = flag("ingress-host", "string", "One of the site's ingress hosts (default: the first)")
    create_services: bool = flag("create-services", "bool", "Create services of bindings that this site does not have")
    force: bool = flag("force", "bool", "Overwrite a file that is no bundle")


_BUNDLE_EXAMPLES: Final = """\
  # For a database server with Python 3 and systemd and nothing else
  skupper gateway generate-bundle database.yaml . --self-contained

  # There, in a directory of its own
  tar -xzf database.tar.gz && ./launch.py"""


@command(
    app, "gateway generate-bundle", GenerateBundle, usage="<config-file> <output-path>", rule=exactly(2), changes=True,
    examples=_BUNDLE_EXAMPLES,
)  # fmt: skip
def generate_bundle(session: Session, options: GenerateBundle, arguments: tuple[str, ...]) -> Result:
    """Generate an installation bundle using a gateway config file

    The bundle holds the gateway's private key, and is written with mode 0600. Launched on a host, it connects to this
    site; launched again with a newer bundle, it is updated in place. To revoke its credential: skupper gateway delete.
    """
    if options.expiry <= 0:
        raise UsageError("--expiry must be a time to come")
    found = read_definition(Path(arguments[0]))
    definition = found.definition
    path = Path(arguments[1]) / f"{definition.name}.tar.gz"
    request = GatewayRequest(
        definition,
        ingress_host=options.ingress_host,
        validity=datetime.timedelta(seconds=options.expiry / SECOND),
        tls=tls_files(definition, Path(arguments[0]).parent),
        self_contained=options.self_contained,
        with_image=options.with_image,
    )
    platform = session.platform()
    missing = _missing_services(platform, definition) if options.create_services else ()
    made = platform.plan_gateway_bundle(request)
    facts = dict(made.facts)
    facts["warnings"] = [*found.warnings, *([] if options.create_services else strings(facts.get("warnings")))]
    steps = [step for service in missing for step in platform.plan_service_create(service).steps]

    def content() -> bytes:
        archive = made.bundle().archive()
        facts["sha256"] = hashlib.sha256(archive).hexdigest()
        return archive

    write = writing(path, content, force=options.force)
    plan = Plan(f"Generate generation {facts['generation']} of gateway {definition.name}", (*steps, *made.steps, write),
                facts)  # fmt: skip
    # As 1.9 joins them: "./" gives ".//name.tar.gz".
    text = f"Skupper gateway bundle written to '{arguments[1]}/{definition.name}.tar.gz'\n"
    data = {"action": "bundled", "name": definition.name, "file": str(path)}
    return session.carry_out(plan, Outcome("Gateway", {**data}, lambda told: f"{text}SHA-256: {told['sha256']}\n"))


def _missing_services(platform: Platform, definition: GatewayDefinition) -> tuple[Service, ...]:
    known = {service.address for service in platform.services()}
    found: dict[str, Service] = {}
    for bridge in definition.bindings:
        if bridge.service in known:
            continue
        service = found.get(bridge.service) or Service(bridge.service, (), bridge.protocol)
        ports = tuple(dict.fromkeys((*service.ports, bridge.service_port)))
        found[bridge.service] = replace(service, ports=ports)
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class Status:
    """``gateway status`` has no flags of its own."""


@command(app, "gateway status", Status, usage="[<gateway-name>]", rule=at_most(1))
def status(session: Session, _options: Status, arguments: tuple[str, ...]) -> Result:
    """Report the status of the gateways of the current site

    Local ones and those of bundles, wherever they were launched; what a gateway itself sees is told on its host by
    ./launch.py --status. The exit code is 1 if one is not connected or its credential has expired.
    """
    found = session.platform().gateway_status()
    if arguments:
        found = tuple(item for item in found if item.record.name == arguments[0])
        if not found:
            raise NotFoundError(f'No such gateway "{arguments[0]}"', "to see them all: skupper gateway status")
    now = session.world.now()
    code = 1 if any(item.problem for item in found) else 0
    return Result("GatewayStatus", render.statuses(found, now), documents.gateways(found, now), exit_code=code)


@dataclass(frozen=True, slots=True)
class Delete:
    """Flags of ``gateway delete``."""

    name: str = flag("name", "string", _NAME_HELP)
    verbose: bool = flag("verbose", "bool", "More details on any exceptions while removing gateway", short="v")


@command(app, "gateway delete", Delete, usage="[<gateway-name>]", rule=at_most(1), changes=True)
def delete(session: Session, options: Delete, arguments: tuple[str, ...]) -> Result:
    """Delete the gateway and revoke its credential

    Other gateways are not touched. One on this host is removed from it; on the host of a bundle, ./remove.py does that.
    """
    name = _chosen_name(session, options.name or (arguments[0] if arguments else ""))
    platform = session.platform()
    plan = _deletion(session, platform, name)
    data = {"action": "deleted", "name": name}
    return session.carry_out(plan, Outcome("Gateway", {**data}, lambda _facts: f"gateway {name} deleted\n"))


def removal_here(session: Session, name: str) -> Step | None:
    """A step that removes a gateway from this host; None if it is not on it."""
    from skupper_podman.gateway.local import removing

    return removing(_place(session, name))


def _deletion(session: Session, platform: Platform, name: str) -> Plan:
    revoking = platform.plan_gateway_delete(name)
    record = _find(platform, name)
    steps = list(revoking.steps)
    if record is not None and record.kind == "local":
        own = removal_here(session, name)
        steps = [*([own] if own else []), *steps]
    for service in platform.services():
        if record is not None and service.address in record.services and not service.targets:
            steps += platform.plan_service_delete(service.address).steps
    return replace(revoking, steps=tuple(steps))


@dataclass(frozen=True, slots=True)
class ExportConfig:
    """Flags of ``gateway export-config``."""

    name: str = flag("name", "string", _NAME_HELP)


@command(
    app, "gateway export-config", ExportConfig, usage="<export-gateway-name> <output-path>", rule=exactly(2),
    changes=True,
)  # fmt: skip
def export_config(session: Session, options: ExportConfig, arguments: tuple[str, ...]) -> Result:
    """Export the configuration for a gateway definition"""
    from skupper_podman.cli.gatewayfiles import exporting

    export_name = check_gateway_name(arguments[0])
    record = _record(session.platform(), _chosen_name(session, options.name))
    definition = replace(record.definition, name=export_name)
    path = Path(arguments[1]) / f"{export_name}.yaml"
    plan = Plan(f"Export gateway {record.name}", (exporting(path, definition),), {})
    text = f"Skupper gateway definition configuration written to '{arguments[1]}/{export_name}.yaml'\n"
    data = {"action": "exported", "name": record.name, "file": str(path)}
    return session.carry_out(plan, Outcome("Gateway", {**data}, lambda _facts: text))


# -- the gateway of this host


@dataclass(frozen=True, slots=True)
class Init:
    """Flags of ``gateway init``."""

    type: str = flag("type", "string", _TYPE_HELP, default="service", choices=_TYPES)
    config: str = flag("config", "string", "The gateway configuration file to use for initialization")
    name: str = flag("name", "string", _NAME_HELP)


@command(app, "gateway init", Init, changes=True)
def init(session: Session, options: Init, _arguments: tuple[str, ...]) -> Result:
    """Initialize a gateway to the service network"""
    kind = check_gateway_type(options.type)
    name = _chosen_name(session, options.name)
    platform = session.platform()
    before = _find(platform, name)
    _check_type(before, kind)
    definition = before.definition if before else GatewayDefinition(name)
    tls: dict[str, bytes] = {}
    warnings: tuple[str, ...] = ()
    if options.config:
        path = Path(options.config)
        found = read_definition(path, named=False)
        definition, warnings = replace(found.definition, name=name), found.warnings
        tls = tls_files(definition, path.parent)
    plan = _changing(session, platform, definition, kind, tls=tls, warnings=warnings)
    text = f"Skupper gateway: '{name}'. Use 'skupper gateway status' to get more information.\n"
    data = {"action": "changed" if before else "created", "name": name, "type": kind}
    return session.carry_out(plan, Outcome("Gateway", {**data}, lambda _facts: text))


@dataclass(frozen=True, slots=True)
class Bind:
    """Flags of ``gateway bind``."""

    aggregate: str = flag("aggregate", "string", "The aggregation strategy to use: json, multipart (protocol http)")
    event_channel: bool = flag("event-channel", "bool", "A channel for multicast events (protocol http)")
    name: str = flag("name", "string", _NAME_HELP)


@command(app, "gateway bind", Bind, usage="<address> <host> <port...>", rule=anything, changes=True)
def bind(session: Session, options: Bind, arguments: tuple[str, ...]) -> Result:
    """Bind a process to the service network"""
    address, host, ports = _bound(arguments, "Service address, target host and port must all be specified")
    targets = [_port(text) for text in ports]

    def change(definition: GatewayDefinition) -> GatewayDefinition:
        service = _service(session.platform(), address, len(targets), exact=True)
        for port, target in zip(service.ports, targets, strict=True):
            definition = definition.with_binding(_bridge(service, port, host, target, options))
        return definition

    return _edited(session, options.name, change, "bound", address, f"{host} bound to {address}\n")


@dataclass(frozen=True, slots=True)
class Unbind:
    """Flags of ``gateway unbind``."""

    name: str = flag("name", "string", _NAME_HELP)


@command(app, "gateway unbind", Unbind, usage="<address>", rule=exactly(1), changes=True)
def unbind(session: Session, options: Unbind, arguments: tuple[str, ...]) -> Result:
    """Unbind a process from the service network"""
    address = arguments[0]
    return _edited(
        session, options.name, lambda known: known.without_binding_of(address), "unbound", address,
        f"{address} unbound\n",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Forward:
    """Flags of ``gateway forward``."""

    loopback: bool = flag("loopback", "bool", "Listen on 127.0.0.1 only (default: on all addresses)")
    aggregate: str = flag("aggregate", "string", "The aggregation strategy to use: json, multipart (protocol http)")
    event_channel: bool = flag("event-channel", "bool", "A channel for multicast events (protocol http)")
    name: str = flag("name", "string", _NAME_HELP)


@command(app, "gateway forward", Forward, usage="<address> <port...>", rule=anything, changes=True)
def forward(session: Session, options: Forward, arguments: tuple[str, ...]) -> Result:
    """Forward an address to the service network"""
    if len(arguments) < 2:
        raise UsageError(f"requires at least 2 arg(s), only received {len(arguments)}")
    address, local = arguments[0], [_port(text, "forward port") for text in arguments[1:]]
    host = "127.0.0.1" if options.loopback else "0.0.0.0"

    def change(definition: GatewayDefinition) -> GatewayDefinition:
        service = _service(session.platform(), address, len(local), exact=False)
        for port, own in zip(service.ports, local, strict=False):
            definition = definition.with_forward(_bridge(service, port, host, own, options))
        return definition

    text = f"{address} forwarded to port {', '.join(map(str, local))} of this host\n"
    return _edited(session, options.name, change, "forwarded", address, text)


@dataclass(frozen=True, slots=True)
class Unforward:
    """Flags of ``gateway unforward``."""

    name: str = flag("name", "string", _NAME_HELP)


@command(app, "gateway unforward", Unforward, usage="<address>", rule=exactly(1), changes=True)
def unforward(session: Session, options: Unforward, arguments: tuple[str, ...]) -> Result:
    """Stop forwarding an address to the service network"""
    address = arguments[0]
    return _edited(
        session, options.name, lambda known: known.without_forward_of(address), "unforwarded", address,
        f"{address} not forwarded\n",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Expose:
    """Flags of ``gateway expose``."""

    protocol: str = flag(
        "protocol", "string", "The protocol to gateway (tcp, http or http2).", default="tcp",
        choices=PROTOCOLS,
    )  # fmt: skip
    aggregate: str = flag("aggregate", "string", "The aggregation strategy to use: json, multipart (protocol http)")
    event_channel: bool = flag("event-channel", "bool", "A channel for multicast events (protocol http)")
    type: str = flag("type", "string", _TYPE_HELP, default="service", choices=_TYPES)
    name: str = flag("name", "string", _NAME_HELP)


@command(app, "gateway expose", Expose, usage="<address> <host> <port...>", rule=anything, changes=True)
def expose(session: Session, options: Expose, arguments: tuple[str, ...]) -> Result:
    """Expose a process to the service network (ensure gateway and cluster service)"""
    address, host, texts = _bound(arguments, "Gateway service address, target host and port must all be specified")
    pairs = [_pair(text) for text in texts]
    check_address(address)
    kind = check_gateway_type(options.type)
    platform = session.platform()
    name = _chosen_name(session, options.name)
    before = _find(platform, name)
    if before is not None and "type" not in session.given:
        kind = check_gateway_type(before.type)
    _check_type(before, kind)
    known = _defined(platform, address)
    service = known or Service(
        address,
        tuple(port for port, _target in pairs),
        cast("Protocol", options.protocol),
        aggregate=options.aggregate,
        event_channel=options.event_channel,
    )
    if known is not None and len(pairs) != len(known.ports):
        raise _count(known, len(pairs))
    steps = () if known else platform.plan_service_create(service).steps
    definition = before.definition if before else GatewayDefinition(name)
    for port, (_asked, target) in zip(service.ports, pairs, strict=True):
        definition = definition.with_binding(_bridge(service, port, host, target, options))
    made = tuple(dict.fromkeys((*(before.services if before else ()), *(() if known else (address,)))))
    plan = _changing(session, platform, definition, kind, record=before, services=made)
    plan = replace(plan, steps=(*steps, *plan.steps))
    data = {"action": "exposed", "name": name, "address": address}
    text = f"{host} exposed as {address}\n"
    return session.carry_out(plan, Outcome("Gateway", {**data}, lambda _facts: text))


@dataclass(frozen=True, slots=True)
class Unexpose:
    """Flags of ``gateway unexpose``."""

    delete_last: bool = flag("delete-last", "bool", "Delete the gateway if no services remain", default=True)
    name: str = flag("name", "string", _NAME_HELP)


@command(app, "gateway unexpose", Unexpose, usage="<address>", rule=exactly(1), changes=True)
def unexpose(session: Session, options: Unexpose, arguments: tuple[str, ...]) -> Result:
    """Unexpose a process previously exposed to the service network"""
    address = arguments[0]
    platform = session.platform()
    record = _local(platform, _chosen_name(session, options.name))
    definition = record.definition.without_binding_of(address)
    if definition == record.definition:
        raise NotFoundError(f"gateway {record.name} does not expose {address}", "see: skupper gateway status")
    outcome = Outcome("Gateway", _told("unexposed", record, address), lambda _facts: f"{address} unexposed\n")
    if options.delete_last and not definition.bindings and not definition.forwards:
        return session.carry_out(_deletion(session, platform, record.name), outcome)
    kept = tuple(service for service in record.services if service != address)
    plan = _changing(session, platform, definition, record.type, record=record, services=kept)
    service = _defined(platform, address)
    if address in record.services and service is not None and not service.targets:
        plan = replace(plan, steps=(*plan.steps, *platform.plan_service_delete(address).steps))
    return session.carry_out(plan, outcome)


def _edited(
    session: Session,
    name: str,
    change: Callable[[GatewayDefinition], GatewayDefinition],
    action: str,
    address: str,
    text: str,
) -> Result:
    """Change the definition of this host's gateway in one respect."""
    platform = session.platform()
    record = _local(platform, _chosen_name(session, name))
    plan = _changing(session, platform, change(record.definition), record.type, record=record)
    return session.carry_out(plan, Outcome("Gateway", _told(action, record, address), lambda _facts: text))


def _changing(
    session: Session,
    platform: Platform,
    definition: GatewayDefinition,
    kind: str,
    *,
    record: GatewayRecord | None = None,
    tls: Mapping[str, bytes] | None = None,
    warnings: tuple[str, ...] = (),
    services: tuple[str, ...] | None = None,
) -> Plan:
    """A plan that makes the gateway of this host what the definition says; empty if it is that already."""
    from skupper_podman.gateway.local import launching

    if record is not None and record.definition == definition and services is None:
        return Plan(f"Gateway {definition.name} is so already", (), {"warnings": list(warnings)})
    request = GatewayRequest(definition, "local", kind, tls=dict(tls or {}), self_contained=True, services=services)
    made = platform.plan_gateway_bundle(request)
    told = [*warnings]
    launch = launching(_place(session, definition.name), made.bundle, kind, told)
    return Plan(f"Launch gateway {definition.name}", (*made.steps, launch), {**made.facts, "warnings": told})


def _told(action: str, record: GatewayRecord, address: str) -> dict[str, Json]:
    return {"action": action, "name": record.name, "address": address}


def _place(session: Session, name: str) -> Path:
    from skupper_podman.gateway.local import directory

    return directory(name, session.world.uid, session.world.env, session.world.home)


def _chosen_name(session: Session, given: str) -> str:
    from skupper_podman.gateway.local import default_name

    if given:
        return check_gateway_name(given)
    world = session.world
    owner = f"{world.user}-{world.namespace}" if world.namespace else world.user
    return default_name(os.uname().nodename, owner)


def _find(platform: Platform, name: str) -> GatewayRecord | None:
    return next((record for record in platform.gateways() if record.name == name), None)


def _record(platform: Platform, name: str) -> GatewayRecord:
    record = _find(platform, name)
    if record is None:
        raise NotFoundError(f'No such gateway "{name}"', "to see them: skupper gateway status")
    return record


def _local(platform: Platform, name: str) -> GatewayRecord:
    record = _find(platform, name)
    if record is None:
        raise NotFoundError(f"there is no gateway {name} on this host", "to make one: skupper gateway init")
    if record.kind != "local":
        raise ConflictError(
            f"gateway {name} is a bundle", "change its definition and generate its next bundle: skupper gateway "
            "generate-bundle"
        )  # fmt: skip
    return record


def _check_type(record: GatewayRecord | None, kind: str) -> None:
    if record is not None and record.kind == "local" and record.type != kind:
        raise ConflictError(
            f"gateway previously created as {record.type} type, delete current gateway to change to {kind} type",
            f"skupper gateway delete {record.name}",
        )


def _defined(platform: Platform, address: str) -> Service | None:
    return next((service for service in platform.services() if service.address == address), None)


def _service(platform: Platform, address: str, count: int, *, exact: bool) -> Service:
    service = _defined(platform, address)
    if service is None:
        raise NotFoundError(
            f"Unable to update gateway endpoint, service not found for {address}",
            f"to create it: skupper service create {address} PORT",
        )
    if count > len(service.ports) or (exact and count != len(service.ports)):
        raise _count(service, count)
    return service


def _count(service: Service, count: int) -> UsageError:
    return UsageError(
        f"Unable to update gateway endpoint, the given service provides {len(service.ports)} ports, but only {count} "
        "provided"
        if count < len(service.ports)
        else f"Unable to update gateway endpoint, {count} ports provided, but the service has {len(service.ports)}"
    )


def _bridge(service: Service, port: int, host: str, local: int, options: Bind | Forward | Expose) -> Bridge:
    name = f"{service.address}:{port}"
    aggregate = options.aggregate or service.aggregate
    channel = options.event_channel or service.event_channel
    if service.protocol != "http" and (options.aggregate or options.event_channel):
        raise UsageError("--aggregate and --event-channel are for services of protocol http")
    return Bridge(name, name, host, local, service.protocol, aggregate, channel)


def _bound(arguments: tuple[str, ...], message: str) -> tuple[str, str, list[str]]:
    """Address, host and ports of ``ADDRESS HOST PORT...`` or ``ADDRESS HOST:PORT``."""
    if len(arguments) > 2 and ":" not in arguments[1].rpartition("]")[2]:
        return arguments[0], arguments[1].strip("[]"), list(arguments[2:])
    if len(arguments) < 2 or ":" not in arguments[1]:
        raise UsageError(message)
    if len(arguments) > 2 and arguments[1].count(":") > 1:  # an IPv6 address
        return arguments[0], arguments[1].strip("[]"), list(arguments[2:])
    if len(arguments) > 2:
        raise UsageError(f"extra argument: {arguments[2]}")
    host, _, port = arguments[1].rpartition(":")
    return arguments[0], host.strip("[]"), [port]


def _pair(text: str) -> tuple[int, int]:
    """A port, or ``service:target``."""
    port, colon, target = text.partition(":")
    return (_port(port), _port(target)) if colon else (_port(port), _port(port))


def _port(text: str, what: str = "port") -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:6]) < 65536:
        raise UsageError(f"{text} is not a valid {what}")
    return int(text)
