"""``service create``, ``delete``, ``bind``, ``unbind`` and ``status``."""

from __future__ import annotations

from dataclasses import dataclass

from skupper_podman.cli import documents
from skupper_podman.cli.argv import anything, at_most, exactly
from skupper_podman.cli.flags import flag
from skupper_podman.cli.later import BIND_ON_KUBERNETES, TARGET_ON_KUBERNETES
from skupper_podman.cli.render import services as render
from skupper_podman.cli.result import Later, Result
from skupper_podman.cli.serviceflags import ServiceFlags, build_service, check_target
from skupper_podman.cli.session import Outcome, Session
from skupper_podman.cli.tlsfiles import trusted
from skupper_podman.cli.typed import command, new_app
from skupper_podman.cli.waiting import timeout_flag, wait, wait_flag
from skupper_podman.errors import NotFoundError, SkupperError, UsageError
from skupper_podman.model.network import NetworkStatus
from skupper_podman.model.service import Target, map_ports
from skupper_podman.model.status import ServiceStatus
from skupper_podman.plan import Plan
from skupper_podman.platform import Platform

app = new_app()


@dataclass(frozen=True, slots=True)
class Create(ServiceFlags):
    """Flags of ``service create``."""

    mapping: str = flag(
        "mapping", "string", "", hidden=True, deprecated="protocol is now the flag to set the mapping", default="tcp"
    )
    enable_ingress: str = flag(
        "enable-ingress", "string", "Whether this site offers the service while it has targets: Always, Never",
        choices=("Always", "Never"),
    )  # fmt: skip
    bridge_image: str = flag("bridge-image", "string", "", hidden=True, later="a podman site has no external bridges")


@command(
    app,
    "service create",
    Create,
    usage="<name> <port...>",
    rule=anything,
    changes=True,
    examples="  skupper service create backend 8080\n  skupper service create backend 8080 --host-port 18080",
)
def create(session: Session, options: Create, arguments: tuple[str, ...]) -> Result:
    """Create a skupper service"""
    address, ports = _address_and_ports(arguments)
    if "mapping" in session.given and "protocol" not in session.given:
        from dataclasses import replace

        options = replace(options, protocol=options.mapping)
    service = build_service(address, ports, options, ingress=options.enable_ingress)
    plan = session.plan(lambda platform: platform.plan_service_create(service))
    action = "created" if plan.changed else "unchanged"
    text = f"Service {address} created\n" if plan.changed else f"Service {address} exists already\n"
    return session.carry_out(plan, Outcome("Service", {"action": action, "address": address}, lambda _facts: text))


def _address_and_ports(arguments: tuple[str, ...]) -> tuple[str, tuple[int, ...]]:
    """From ``<name> <port...>`` or ``<name>:<port>``."""
    words = arguments
    if len(words) == 1 and ":" in words[0]:
        name, _, port = words[0].partition(":")
        words = (name, port)
    if len(words) < 2:
        raise UsageError("Name and port(s) must be specified")
    for word in words[1:]:
        if not word.isascii() or not word.isdigit():
            raise UsageError(f"{word} is not a valid port")
    return words[0], tuple(int(word[:6]) for word in words[1:])


@dataclass(frozen=True, slots=True)
class Delete:
    """``service delete`` has no flags of its own."""


@command(app, "service delete", Delete, usage="<name>", rule=exactly(1), changes=True)
def delete(session: Session, _options: Delete, arguments: tuple[str, ...]) -> Result:
    """Delete a skupper service"""
    address = arguments[0]
    plan = session.plan(lambda platform: platform.plan_service_delete(address))
    outcome = Outcome(
        "Service", {"action": "deleted", "address": address}, lambda _facts: f"Service {address} deleted\n"
    )
    return session.carry_out(plan, outcome)


@dataclass(frozen=True, slots=True)
class Bind:
    """Flags of ``service bind``."""

    target_port: tuple[str, ...] = flag(
        "target-port", "strings", "Port of the target: targetport or port:targetport (repeatable; default: the same)"
    )
    tls_trust: str = flag(
        "tls-trust", "string", "The file (or directory with ca.crt) of who signs the certificates of all targets"
    )


@command(
    app,
    "service bind",
    Bind,
    usage="<service-name> <target-type> <target-name>",
    rule=anything,
    changes=True,
    elsewhere=BIND_ON_KUBERNETES,
    examples="  skupper service bind backend host web --target-port 9090",
)
def bind(session: Session, options: Bind, arguments: tuple[str, ...]) -> Result:
    """Bind a target to a service"""
    address, host = _service_and_target(arguments)

    trust = trusted(options.tls_trust)

    def make(platform: Platform) -> Plan:
        ports = _ports_of(platform, address)
        return platform.plan_bind(address, Target(host, map_ports(ports, options.target_port)), trust)

    plan = session.plan(make)
    action = "bound" if plan.changed else "unchanged"
    text = f"host {host} {'bound' if plan.changed else 'is bound already'} to service {address}\n"
    return session.carry_out(plan, Outcome("Service", {"action": action, "address": address}, lambda _facts: text))


def _ports_of(platform: Platform, address: str) -> tuple[int, ...]:
    """Ports of a service of this site."""
    for service in platform.services():
        if service.address == address:
            return service.ports
    raise NotFoundError(f"Service {address} not defined", f"to define it: skupper service create {address} <port>")


@dataclass(frozen=True, slots=True)
class Unbind:
    """``service unbind`` has no flags of its own."""


@command(
    app,
    "service unbind",
    Unbind,
    usage="<service-name> <target-type> <target-name>",
    rule=anything,
    changes=True,
    elsewhere=TARGET_ON_KUBERNETES,
)
def unbind(session: Session, _options: Unbind, arguments: tuple[str, ...]) -> Result:
    """Unbind a target from a service"""
    address, host = _service_and_target(arguments)
    plan = session.plan(lambda platform: platform.plan_unbind(address, host, delete_if_last=False))
    text = f"host {host} unbound from service {address}\n"
    return session.carry_out(plan, Outcome("Service", {"action": "unbound", "address": address}, lambda _facts: text))


def _service_and_target(arguments: tuple[str, ...]) -> tuple[str, str]:
    if len(arguments) < 3:
        raise UsageError(
            "Service name, target type and target value must all be specified "
            "(e.g. 'skupper service bind <service-name> <target-type> <target-value>')"
        )
    if len(arguments) > 3:
        raise UsageError(f"illegal argument: {arguments[3]}")
    return arguments[0], check_target(arguments[1], arguments[2])


@dataclass(frozen=True, slots=True)
class Status:
    """Flags of ``service status``."""

    verbose: bool = flag("verbose", "bool", "Show the sites of each service and its targets", short="v")
    show_labels: bool = flag("show-labels", "bool", "Show the labels of each service")
    wait: tuple[str, ...] = wait_flag()
    timeout: int = timeout_flag()


@command(app, "service status", Status, usage="[<name>]", rule=at_most(1))
def status(session: Session, options: Status, arguments: tuple[str, ...]) -> Result:
    """List services exposed over the service network

    A service that is not well is shown with the reason and the command that mends it, and the exit code is 1.
    With --wait the exit code says whether the conditions hold.
    """
    waited = wait(session, options.wait, options.timeout)
    platform = session.platform()
    with session.progress() as progress:
        progress("Looking at the services")
        statuses = _select(platform.service_status(), arguments)
        network, warnings = _network(platform)
    _name, local = platform.identity()
    shown = render.Options(options.verbose, options.show_labels, local, platform.name)
    text = render.services(statuses, network, shown)
    code = waited.exit_code if waited else 0 if all(item.health == "ok" for item in statuses) else 1
    warnings += waited.warnings if waited else ()
    data = Later(lambda: documents.service_status(statuses, network))
    return Result("ServiceStatus", text, data, warnings=warnings, exit_code=code)


def _select(statuses: tuple[ServiceStatus, ...], arguments: tuple[str, ...]) -> tuple[ServiceStatus, ...]:
    if not arguments:
        return statuses
    found = tuple(item for item in statuses if item.service.address == arguments[0])
    if not found:
        known = ", ".join(item.service.address for item in statuses) or "none"
        raise NotFoundError(f"Service {arguments[0]} not defined", f"services of this site: {known}")
    return found


def _network(platform: Platform) -> tuple[NetworkStatus, tuple[str, ...]]:
    """The network status; where it cannot be read the local services are shown all the same."""
    try:
        return platform.network_status(), ()
    except SkupperError as error:
        return NetworkStatus(), (f"what other sites have is not known: {error.message}",)
