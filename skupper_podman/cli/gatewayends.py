"""``gateway bind``, ``forward``, ``expose`` and their opposites: what the gateway of this host carries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, cast

from skupper_podman.cli.argv import anything, exactly
from skupper_podman.cli.flags import flag
from skupper_podman.cli.localgateway import (
    NAME_HELP,
    TYPE_HELP,
    TYPES,
    changing,
    check_type,
    chosen_name,
    deletion,
    find,
    is_launched,
    local_record,
    local_request,
)
from skupper_podman.cli.result import Json, Result
from skupper_podman.cli.session import Outcome, Session
from skupper_podman.cli.typed import command, new_app
from skupper_podman.errors import NotFoundError, UsageError
from skupper_podman.model.gateway import Bridge, GatewayDefinition, GatewayRecord, check_gateway_type
from skupper_podman.model.service import PROTOCOLS, Protocol, Service, check_address

if TYPE_CHECKING:
    from skupper_podman.platform import Platform

app = new_app()


@dataclass(frozen=True, slots=True)
class Bind:
    """Flags of ``gateway bind``."""

    aggregate: str = flag("aggregate", "string", "The aggregation strategy to use: json, multipart (protocol http)")
    event_channel: bool = flag("event-channel", "bool", "A channel for multicast events (protocol http)")
    name: str = flag("name", "string", NAME_HELP)


@command(app, "gateway bind", Bind, usage="<address> <host> <port...>", rule=anything, changes=True)
def bind(session: Session, options: Bind, arguments: tuple[str, ...]) -> Result:
    """Bind a process to the service network"""
    address, host, ports = _bound(arguments, "Service address, target host and port must all be specified")
    targets = [_port(text) for text in ports]

    def change(known: GatewayDefinition) -> GatewayDefinition:
        service = _service(session.platform(), address, len(targets), exact=True)
        return reduce(GatewayDefinition.with_binding, _bridges(service, host, targets, options), known)

    return _edited(session, options.name, change, "bound", address, f"{host} bound to {address}\n")


@dataclass(frozen=True, slots=True)
class Unbind:
    """Flags of ``gateway unbind``."""

    name: str = flag("name", "string", NAME_HELP)


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
    name: str = flag("name", "string", NAME_HELP)


@command(app, "gateway forward", Forward, usage="<address> <port...>", rule=anything, changes=True)
def forward(session: Session, options: Forward, arguments: tuple[str, ...]) -> Result:
    """Forward an address to the service network"""
    if len(arguments) < 2:
        raise UsageError(f"requires at least 2 arg(s), only received {len(arguments)}")
    address, local = arguments[0], [_port(text, "forward port") for text in arguments[1:]]
    host = "127.0.0.1" if options.loopback else "0.0.0.0"

    def change(known: GatewayDefinition) -> GatewayDefinition:
        service = _service(session.platform(), address, len(local), exact=False)
        return reduce(GatewayDefinition.with_forward, _bridges(service, host, local, options), known)

    text = f"{address} forwarded to port {', '.join(map(str, local))} of this host\n"
    return _edited(session, options.name, change, "forwarded", address, text)


@dataclass(frozen=True, slots=True)
class Unforward:
    """Flags of ``gateway unforward``."""

    name: str = flag("name", "string", NAME_HELP)


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
    type: str = flag("type", "string", TYPE_HELP, default="service", choices=TYPES)
    name: str = flag("name", "string", NAME_HELP)


@command(app, "gateway expose", Expose, usage="<address> <host> <port...>", rule=anything, changes=True)
def expose(session: Session, options: Expose, arguments: tuple[str, ...]) -> Result:
    """Expose a process to the service network (ensure gateway and cluster service)"""
    address, host, texts = _bound(arguments, "Gateway service address, target host and port must all be specified")
    pairs = [_pair(text) for text in texts]
    check_address(address)
    kind = check_gateway_type(options.type)
    platform = session.platform()
    name = chosen_name(session, options.name)
    before = find(platform, name)
    if before is not None and "type" not in session.given:
        kind = check_gateway_type(before.type)
    check_type(before, kind)
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
    bridges = _bridges(service, host, [target for _asked, target in pairs], options)
    definition = reduce(
        GatewayDefinition.with_binding, bridges, before.definition if before else GatewayDefinition(name)
    )
    made = tuple(dict.fromkeys((*(before.services if before else ()), *(() if known else (address,)))))
    plan = changing(session, platform, local_request(definition, kind, services=made), before)
    # First it is recorded for whom the service is made; who is killed in between then finds that out.
    plan = replace(plan, steps=(*plan.steps[:-1], *steps, *plan.steps[-1:]))
    data = {"action": "exposed", "name": name, "address": address}
    text = f"{host} exposed as {address}\n"
    return session.carry_out(plan, Outcome("Gateway", {**data}, lambda _facts: text))


@dataclass(frozen=True, slots=True)
class Unexpose:
    """Flags of ``gateway unexpose``."""

    delete_last: bool = flag("delete-last", "bool", "Delete the gateway if no services remain", default=True)
    name: str = flag("name", "string", NAME_HELP)


@command(app, "gateway unexpose", Unexpose, usage="<address>", rule=exactly(1), changes=True)
def unexpose(session: Session, options: Unexpose, arguments: tuple[str, ...]) -> Result:
    """Unexpose a process previously exposed to the service network"""
    address = arguments[0]
    platform = session.platform()
    record = local_record(platform, chosen_name(session, options.name))
    definition = record.definition.without_binding_of(address)
    changed = definition != record.definition
    if not changed and is_launched(session, record):
        raise NotFoundError(f"gateway {record.name} does not expose {address}", "see: skupper gateway status")
    outcome = Outcome("Gateway", _told("unexposed", record, address), lambda _facts: f"{address} unexposed\n")
    if changed and options.delete_last and not definition.bindings and not definition.forwards:
        return session.carry_out(deletion(session, platform, record.name), outcome)
    kept = tuple(service for service in record.services if service != address)
    plan = changing(session, platform, local_request(definition, record.type, services=kept), record)
    service = _defined(platform, address)
    if address in record.services and service is not None and not service.targets:
        # The record, which knows that the service is the gateway's, comes after it.
        plan = replace(plan, steps=(*platform.plan_service_delete(address).steps, *plan.steps))
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
    record = local_record(platform, chosen_name(session, name))
    plan = changing(session, platform, local_request(change(record.definition), record.type), record)
    return session.carry_out(plan, Outcome("Gateway", _told(action, record, address), lambda _facts: text))


def _told(action: str, record: GatewayRecord, address: str) -> dict[str, Json]:
    return {"action": action, "name": record.name, "address": address}


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


def _bridges(service: Service, host: str, local: Sequence[int], options: Bind | Forward | Expose) -> list[Bridge]:
    """Between the first ports of a service, one for each of ``local``, and those ports of the host."""
    aggregate = options.aggregate or service.aggregate
    channel = options.event_channel or service.event_channel
    if service.protocol != "http" and (options.aggregate or options.event_channel):
        raise UsageError("--aggregate and --event-channel are for services of protocol http")
    named = zip((f"{service.address}:{port}" for port in service.ports), local, strict=False)
    return [Bridge(name, name, host, port, service.protocol, aggregate, channel) for name, port in named]


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
