"""``expose`` and ``unexpose``: a service and its target in one step."""

from __future__ import annotations

from dataclasses import dataclass

from skupper_podman.cli.argv import anything
from skupper_podman.cli.flags import flag
from skupper_podman.cli.later import EXPOSE_ON_KUBERNETES, TARGET_ON_KUBERNETES
from skupper_podman.cli.result import Result
from skupper_podman.cli.serviceflags import ServiceFlags, build_service, check_target
from skupper_podman.cli.session import Outcome, Session
from skupper_podman.cli.typed import command, new_app
from skupper_podman.errors import UsageError
from skupper_podman.model.service import Target, check_port, map_ports

app = new_app()

_EXPOSE_EXAMPLES = """\
  # A server in a container called web on the site's network
  skupper expose host web --address backend --port 8080

  # A server on another machine, listening at another port
  skupper expose host 192.0.2.20 --address db --port 5432 --target-port 15432"""


@dataclass(frozen=True, slots=True)
class Expose(ServiceFlags):
    """Flags of ``expose``."""

    address: str = flag("address", "string", "The Skupper address to expose")
    port: tuple[int, ...] = flag("port", "ints", "The ports to expose on")
    target_port: tuple[str, ...] = flag(
        "target-port", "strings", "Port of the target: targetport or port:targetport (repeatable; default: the same)"
    )
    tls_trust: str = flag(
        "tls-trust", "string", "With --tls-cert: the file (or directory with ca.crt) of who signs targets' certificates"
    )
    enable_ingress_from_target_site: str = flag(
        "enable-ingress-from-target-site", "string", "Whether this site offers the service, too: Always, Never",
        choices=("Always", "Never"),
    )  # fmt: skip


@command(
    app,
    "expose",
    Expose,
    usage="[host <hostname|ip>]",
    rule=anything,
    changes=True,
    elsewhere=EXPOSE_ON_KUBERNETES,
    examples=_EXPOSE_EXAMPLES,
)
def expose(session: Session, options: Expose, arguments: tuple[str, ...]) -> Result:
    """Expose one or more network services"""
    if not options.address:
        raise UsageError("--address is required")
    ports = options.port or _ports_of(options.target_port)
    if not ports:
        raise UsageError("--port is required")
    host = _target(arguments, "expose")
    target = Target(host, map_ports(ports, options.target_port))
    ingress = options.enable_ingress_from_target_site
    service = build_service(options.address, ports, options, (target,), trust=options.tls_trust, ingress=ingress)
    plan = session.plan(lambda platform: platform.plan_service_create(service))
    words = ", ".join(map(str, ports))
    text = f"host {host} exposed as {options.address} ({options.protocol} {words})\n"
    data = {"action": "exposed" if plan.changed else "unchanged", "address": options.address}
    return session.carry_out(plan, Outcome("Service", {**data}, lambda _facts: text))


def _ports_of(target_ports: tuple[str, ...]) -> tuple[int, ...]:
    """Service ports deduced from ``--target-port`` alone."""
    parts = [text.partition(":")[0] for text in target_ports]
    if not all(part.isascii() and part.isdigit() for part in parts):
        return ()
    return tuple(check_port(int(part[:6])) for part in parts)


@dataclass(frozen=True, slots=True)
class Unexpose:
    """Flags of ``unexpose``."""

    address: str = flag("address", "string", "Skupper address the target was exposed as")


@command(
    app,
    "unexpose",
    Unexpose,
    usage="[host <hostname|ip>]",
    rule=anything,
    changes=True,
    elsewhere=TARGET_ON_KUBERNETES,
)
def unexpose(session: Session, options: Unexpose, arguments: tuple[str, ...]) -> Result:
    """Unexpose one or more network services

    The service itself goes with its last target.
    """
    if not options.address:
        raise UsageError("--address is required")
    host = _target(arguments, "unexpose")
    plan = session.plan(lambda platform: platform.plan_unbind(options.address, host, delete_if_last=True))
    outcome = Outcome(
        "Service", {"action": "unexposed", "address": options.address}, lambda _facts: f"host {host} unexposed\n"
    )
    return session.carry_out(plan, outcome)


def _target(arguments: tuple[str, ...], verb: str) -> str:
    """The host named by ``host <name>``.

    Raises:
        UsageError: too few or too many words, or no target of this platform.
    """
    if len(arguments) < 2:
        raise UsageError(
            f"Target type and target value must all be specified (e.g. 'skupper {verb} <target-type> <target-value>')"
        )
    if len(arguments) > 2:
        raise UsageError(f"illegal argument: {arguments[2]}")
    return check_target(arguments[0], arguments[1])
