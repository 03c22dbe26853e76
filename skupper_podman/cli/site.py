"""``init`` and ``delete``: a host becomes a site, and stops being one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

from skupper_podman.cli.flags import flag
from skupper_podman.cli.govalues import SECOND, ValueSyntaxError, parse_map
from skupper_podman.cli.later import INIT_ON_KUBERNETES, InitLater
from skupper_podman.cli.result import Result
from skupper_podman.cli.session import Outcome, Session
from skupper_podman.cli.typed import command, new_app
from skupper_podman.errors import NotEnabledError, SkupperError, UsageError
from skupper_podman.model.limits import parse_cpu, parse_memory
from skupper_podman.model.site import (
    CLAIMS_PORT,
    DEFAULT_NETWORK,
    EDGE_PORT,
    INTER_ROUTER_PORT,
    Ingress,
    RouterKind,
    RouterMode,
    SiteSpec,
    check_site_name,
    check_site_ports,
    parse_router_logging,
)
from skupper_podman.model.siteoptions import FLAGS
from skupper_podman.platform import SiteRequest

if TYPE_CHECKING:
    from skupper_podman.plan import Plan
    from skupper_podman.platform import Platform

app = new_app()

_MORE: Final = "Use 'skupper status' to get more information.\n"
_DONE: Final = {
    "created": "Skupper is now installed for {whose}.  " + _MORE,
    "repaired": "Skupper is repaired for {whose}.  " + _MORE,
    "changed": "Skupper is changed for {whose}.  " + _MORE,
    "unchanged": "Skupper has already been initialized for {bare}\n",
}

_FIELDS: Final = {flag.removeprefix("--"): field for field, flag in FLAGS.items()}
"""The field of the site's description that each flag sets."""

_EXAMPLES: Final = """\
  # A site that others can link to, at this name and address
  skupper init --ingress-host west.example.com --ingress-host 192.0.2.10

  # A site behind a firewall, which only links to others
  skupper init --ingress none

  # The site that exists, with another log level and nothing else changed; first only what would happen
  skupper init --router-logging debug --dry-run"""


@dataclass(frozen=True, slots=True)
class Init(InitLater):
    """Flags of ``init``."""

    site_name: str = flag("site-name", "string", "Name of the site (default: made of host and user name)")
    ingress: str = flag(
        "ingress", "string", "How other sites reach this one: external, none (default: external)",
        choices=("external", "none"),
    )  # fmt: skip
    ingress_hosts: tuple[str, ...] = flag(
        "ingress-host", "strings", "Host name or address under which other sites reach this one (repeatable)"
    )
    ingress_bind_ips: tuple[str, ...] = flag(
        "ingress-bind-ip", "strings", "Address of this host to listen at (repeatable; default: all)"
    )
    bind_port: int = flag("bind-port", "int", "Port for links of interior sites", default=INTER_ROUTER_PORT)
    bind_port_edge: int = flag("bind-port-edge", "int", "Port for links of edge sites", default=EDGE_PORT)
    bind_port_claims: int = flag(
        "bind-port-claims", "int", "Port at which other sites redeem claims, 0 for none", default=CLAIMS_PORT
    )
    router_mode: str = flag(
        "router-mode", "string", "Mode of the router: interior, edge", default="interior", choices=("interior", "edge")
    )
    router: str = flag(
        "router", "string", "Router to run: auto, image, embedded (auto: the image if it is to be had)", default="auto",
        choices=("auto", "image", "embedded"),
    )  # fmt: skip
    router_logging: str = flag(
        "router-logging", "string", "Log levels of the router, such as info or ROUTER_CORE:debug,info"
    )
    container_network: str = flag(
        "container-network", "string", "Container network of the site, made if it is missing", default=DEFAULT_NETWORK
    )
    enable_ipv6: bool = flag("enable-ipv6", "bool", "Give the container network IPv6 when it is made")
    router_cpu_limit: str = flag(
        "router-cpu-limit", "string", "Most CPUs the router may use, and each service's, as a decimal number (0: any)"
    )
    router_memory_limit: str = flag(
        "router-memory-limit", "string", "Most memory the router may use, and each service's, in bytes (0: any)"
    )
    controller_cpu_limit: str = flag(
        "controller-cpu-limit", "string", "Most CPUs the controller may use, as a decimal number (0: any)"
    )
    controller_memory_limit: str = flag(
        "controller-memory-limit", "string", "Most memory the controller may use, in bytes (0: any)"
    )
    enable_service_sync: bool = flag(
        "enable-service-sync", "bool", "Take over the services of other sites that do so, and offer them this site's"
    )
    labels: str = flag("labels", "string", "Labels for all that is created: key=value,...")
    podman_endpoint: str = flag("podman-endpoint", "string", "Podman API to use, kept for later commands")
    timeout: int = flag("timeout", "duration", "Time limit for the site to become ready", default=120 * SECOND)


@command(
    app, "init", Init, changes=True, in_order=True, elsewhere=INIT_ON_KUBERNETES, examples=_EXAMPLES,
)  # fmt: skip
def init(session: Session, options: Init, _arguments: tuple[str, ...]) -> Result:
    """Initialise skupper installation

    Run again, it completes and repairs the site, and gives it the options that are given now; an option that is left
    out stays as it is. What the site cannot change while it lives is refused.
    """
    spec = site_spec(options)
    if options.timeout <= 0:
        raise UsageError("invalid timeout value")
    request = SiteRequest(
        spec,
        endpoint=options.podman_endpoint,
        timeout=options.timeout / SECOND,
        dry_run=session.dry_run,
        given=frozenset(_FIELDS[name] for name in session.given if name in _FIELDS),
    )
    user = session.world.user
    plan = session.plan(lambda platform: platform.plan_init(request), options.podman_endpoint)

    existed = "changed" if plan.facts.get("changes") else "repaired"
    action = "unchanged" if not plan.changed else existed if plan.facts.get("existed") else "created"
    text = _DONE[action].format(whose=session.world.whose, bare=session.world.whose.replace("'", ""))
    result = session.carry_out(
        plan,
        Outcome("Site", {"action": action, "user": user, "namespace": session.world.namespace}, lambda _facts: text),
    )
    if options.ingress_hosts and not spec.accepts_links:
        cause = "--router-mode edge" if spec.router_mode == "edge" else "--ingress none"
        ignored = f"--ingress-host has no effect with {cause}: no other site links to this one"
        result = replace(result, warnings=(*result.warnings, ignored))
    return result


def site_spec(options: Init) -> SiteSpec:
    """The site that the flags ask for.

    Raises:
        UsageError: a value is out of its range.
    """
    if options.router_mode not in ("interior", "edge"):
        raise UsageError(f'invalid "--router-mode={options.router_mode}", it must be one of "interior, edge"')
    logging = parse_router_logging(options.router_logging)
    name = check_site_name(options.site_name) if options.site_name else ""
    if options.ingress not in ("", "external", "none"):
        raise UsageError(f"Invalid value for ingress: {options.ingress}")
    if options.router not in ("auto", "image", "embedded"):
        raise UsageError(f'invalid "--router={options.router}", it must be one of "auto, image, embedded"')
    ingress = options.ingress or "external"
    spec = SiteSpec(
        name=name,
        site_id="",
        router_mode=cast(RouterMode, options.router_mode),
        ingress=cast(Ingress, ingress),
        ingress_hosts=options.ingress_hosts if ingress != "none" and options.router_mode != "edge" else (),
        bind_ips=options.ingress_bind_ips,
        inter_router_port=options.bind_port,
        edge_port=options.bind_port_edge,
        claims_port=options.bind_port_claims,
        network=options.container_network or DEFAULT_NETWORK,
        ipv6=options.enable_ipv6,
        router_logging=logging,
        router=cast(RouterKind, options.router),
        labels=_labels(options.labels),
        router_cpu_millis=parse_cpu("router", options.router_cpu_limit),
        router_memory_bytes=parse_memory("router", options.router_memory_limit),
        controller_cpu_millis=parse_cpu("controller", options.controller_cpu_limit),
        controller_memory_bytes=parse_memory("controller", options.controller_memory_limit),
        service_sync=options.enable_service_sync,
    )
    check_site_ports(spec)
    return spec


def _labels(text: str) -> dict[str, str]:
    try:
        return dict(parse_map(text)) if text else {}
    except ValueSyntaxError as error:
        raise UsageError(f"Bad value for --labels: {error}") from None


def _deletion(session: Session, platform: Platform) -> Plan:
    """The plan of ``delete``, with the site's gateways on this host."""
    plan = platform.plan_delete()
    try:
        gateways = [item for item in platform.gateways() if item.kind == "local"]
    except SkupperError:  # of an incomplete site they cannot be told
        gateways = []
    if not gateways:
        return plan
    from skupper_podman.cli.localgateway import removal_here

    own = [step for item in gateways if (step := removal_here(session, item.name)) is not None]
    return replace(plan, steps=(*own, *plan.steps))


@dataclass(frozen=True, slots=True)
class Delete:
    """``delete`` has no flags of its own."""


@command(app, "delete", Delete, changes=True)
def delete(session: Session, _options: Delete, _arguments: tuple[str, ...]) -> Result:
    """Delete skupper installation

    Removes the site of this user with its links, services and gateways of this host, also one that is incomplete, and
    nothing else.
    """
    user = session.world.user
    try:
        plan = session.plan(lambda platform: _deletion(session, platform))
    except NotEnabledError as absent:
        # What was asked for is so already: as in 1.9, no failure, so that delete can be run again.
        return Result(
            "Site", f"{absent.message}\n", {"action": "none", "user": user, "namespace": session.world.namespace}
        )
    outcome = Outcome(
        "Site",
        {"action": "deleted", "user": user, "namespace": session.world.namespace},
        lambda _facts: f"Skupper is now removed for {session.world.whose}.\n",
    )
    return session.carry_out(plan, outcome)
