"""``gateway``: hosts that are no site but join the network, by a bundle or as the very host of the command."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from skupper_podman.cli import documents
from skupper_podman.cli.argv import at_most, exactly
from skupper_podman.cli.flags import flag
from skupper_podman.cli.gatewayfiles import exporting, read_definition, tls_files, writing
from skupper_podman.cli.govalues import SECOND
from skupper_podman.cli.localgateway import (
    NAME_HELP,
    TYPE_HELP,
    TYPES,
    changing,
    check_type,
    chosen_name,
    deletion,
    find,
    local_request,
    record_of,
)
from skupper_podman.cli.render import gateways as render
from skupper_podman.cli.result import Result
from skupper_podman.cli.session import Outcome, Session, strings
from skupper_podman.cli.typed import command, new_app
from skupper_podman.errors import NotFoundError, UsageError
from skupper_podman.model.gateway import GatewayDefinition, GatewayRequest, check_gateway_name, check_gateway_type
from skupper_podman.model.service import Service
from skupper_podman.plan import Plan

if TYPE_CHECKING:
    from skupper_podman.platform import Platform

app = new_app()

_DAY: Final = 86400 * SECOND


@dataclass(frozen=True, slots=True)
class GenerateBundle:
    """Flags of ``gateway generate-bundle``."""

    self_contained: bool = flag("self-contained", "bool", "Put the embedded router with all it needs into the bundle")
    with_image: bool = flag("with-image", "bool", "Put the image of the router into the bundle")
    expiry: int = flag("expiry", "duration", "Time in which the gateway's credential is valid", default=365 * _DAY)
    launch_within: int = flag("launch-within", "duration", "Make a bundle that is good for one launch, in this time")
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

    With --launch-within the file is of no use after that time, and who launches it first is the only one to get a
    lasting credential: that host makes a key of its own, and the site exchanges the bundle's credential once.
    """
    if options.expiry <= 0:
        raise UsageError("--expiry must be a time to come")
    once = "launch-within" in session.given
    if once and not 0 < options.launch_within < options.expiry:
        raise UsageError("--launch-within must be a time to come, and shorter than --expiry")
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
        launch_within=datetime.timedelta(seconds=options.launch_within / SECOND) if once else None,
    )
    platform = session.platform()
    missing = _missing_services(platform, definition) if options.create_services else ()
    made = platform.plan_gateway_bundle(request)
    facts = dict(made.facts)
    named = strings(facts.pop("undefined"))
    undefined = () if options.create_services else named
    facts["warnings"] = [*found.warnings, *strings(facts["warnings"]), *(_undefined(name) for name in undefined)]
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


def _undefined(service: str) -> str:
    return f"service {service} is not defined at this site: clients here need it: skupper service create {service} PORT"


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
    ./launch.py --status. The exit code is 1 if there is a problem: one is not connected, its credential has expired, it
    is older than its last bundle, or what it leads to does not answer.
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

    name: str = flag("name", "string", NAME_HELP)
    verbose: bool = flag("verbose", "bool", "More details on any exceptions while removing gateway", short="v")


@command(app, "gateway delete", Delete, usage="[<gateway-name>]", rule=at_most(1), changes=True)
def delete(session: Session, options: Delete, arguments: tuple[str, ...]) -> Result:
    """Delete the gateway and revoke its credential

    Other gateways are not touched. One on this host is removed from it; on the host of a bundle, ./remove.py does that.
    """
    name = chosen_name(session, options.name or (arguments[0] if arguments else ""))
    platform = session.platform()
    plan = deletion(session, platform, name)
    data = {"action": "deleted", "name": name}
    return session.carry_out(plan, Outcome("Gateway", {**data}, lambda _facts: f"gateway {name} deleted\n"))


@dataclass(frozen=True, slots=True)
class ExportConfig:
    """Flags of ``gateway export-config``."""

    name: str = flag("name", "string", NAME_HELP)


@command(
    app, "gateway export-config", ExportConfig, usage="<export-gateway-name> <output-path>", rule=exactly(2),
    changes=True,
)  # fmt: skip
def export_config(session: Session, options: ExportConfig, arguments: tuple[str, ...]) -> Result:
    """Export the configuration for a gateway definition"""
    export_name = check_gateway_name(arguments[0])
    record = record_of(session.platform(), chosen_name(session, options.name))
    definition = replace(record.definition, name=export_name)
    path = Path(arguments[1]) / f"{export_name}.yaml"
    plan = Plan(f"Export gateway {record.name}", (exporting(path, definition),), {})
    text = f"Skupper gateway definition configuration written to '{arguments[1]}/{export_name}.yaml'\n"
    data = {"action": "exported", "name": record.name, "file": str(path)}
    return session.carry_out(plan, Outcome("Gateway", {**data}, lambda _facts: text))


@dataclass(frozen=True, slots=True)
class Init:
    """Flags of ``gateway init``."""

    type: str = flag("type", "string", TYPE_HELP, default="service", choices=TYPES)
    config: str = flag("config", "string", "The gateway configuration file to use for initialization")
    name: str = flag("name", "string", NAME_HELP)


@command(app, "gateway init", Init, changes=True)
def init(session: Session, options: Init, _arguments: tuple[str, ...]) -> Result:
    """Initialize a gateway to the service network"""
    kind = check_gateway_type(options.type)
    name = chosen_name(session, options.name)
    platform = session.platform()
    before = find(platform, name)
    check_type(before, kind)
    definition = before.definition if before else GatewayDefinition(name)
    tls: dict[str, bytes] = {}
    warnings: tuple[str, ...] = ()
    if options.config:
        path = Path(options.config)
        found = read_definition(path, named=False)
        definition, warnings = replace(found.definition, name=name), found.warnings
        tls = tls_files(definition, path.parent)
    plan = changing(session, platform, local_request(definition, kind, tls=tls), warnings=warnings)
    text = f"Skupper gateway: '{name}'. Use 'skupper gateway status' to get more information.\n"
    data = {"action": "changed" if before else "created", "name": name, "type": kind}
    return session.carry_out(plan, Outcome("Gateway", {**data}, lambda _facts: text))
