"""Plans that make and remove links.

What always holds: everything about a token is checked before the first change; the running router is told as well as
its configuration file, so that a link needs no restart; a claim is redeemed as part of the plan, and if that fails
nothing of the link remains.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from skupper_podman import certs
from skupper_podman.desired import names, tokens
from skupper_podman.desired.diff import diff
from skupper_podman.desired.site import SiteState, site_resources
from skupper_podman.errors import ConflictError, InvalidError, NotFoundError, SkupperError
from skupper_podman.model.link import Token
from skupper_podman.plan import Plan, Step
from skupper_podman.platform.podman import live
from skupper_podman.platform.podman.claims import redeem
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.observe import Observation
from skupper_podman.platform.podman.reach import reachability
from skupper_podman.platform.podman.state import state_of
from skupper_podman.platform.podman.steps import Steps
from skupper_podman.router.config import Entity
from skupper_podman.router.documents import link_entities


def plan_link_create(context: Context, token: Token, name: str, cost: int | None) -> Plan:
    """Plan a link; see :meth:`skupper_podman.platform.Platform.plan_link_create`."""
    context.lock()
    site = context.site((names.ROUTER,))
    assert site.spec is not None
    existing = {link.name: link.peer_site_id for link in site.links}
    name = tokens.check_link_name(name) if name else tokens.next_link_name(tuple(existing))
    if name in site.volumes or context.api.volume(name) is not None:
        raise ConflictError(f"link {name} already exists", "choose another name with --name")
    tokens.check_token(token, site.spec.site_id, existing)
    _check_certificates(token, context.now())
    if token.kind == names.TOKEN_CLAIM:
        return _claim_plan(context, site, token, name, cost)
    link = _link(token, name, cost, context.now())
    host, port = link.endpoint()
    steps = _create_steps(context, site, link)
    warnings = _warnings(site, [*reachability(host, int(port), link.data)])
    facts = {"name": name, "host": host, "port": port, "cost": link.cost, "warnings": warnings}
    return Plan(f"Create link {name} to {host}:{port}", steps, facts)


def plan_link_delete(context: Context, name: str) -> Plan:
    """Plan to remove a link; see :meth:`skupper_podman.platform.Platform.plan_link_delete`."""
    context.lock()
    site = context.site((names.ROUTER,))
    link = next((item for item in site.links if item.name == name), None)
    if link is None:
        raise _no_link(context, name)
    before = state_of(site)
    after = before.without_link(name)
    steps = list(_steps(context, site, before, after))
    router = _router(context, site)
    if link.kind == names.CONNECTION_TOKEN and router is not None:
        profile, connector = _entities(link)
        steps.insert(0, live.removing(router, (connector, profile), f"removal of {name} from the router"))
    facts = {"name": name, "warnings": _warnings(site, [])}
    return Plan(f"Delete link {name}", tuple(steps), facts)


def _no_link(context: Context, name: str) -> SkupperError:
    volume = context.api.volume(name)
    if volume is None:
        return NotFoundError(f'no such link "{name}"', "to see the links: skupper link status")
    if volume.labels.get("application") != "skupper":
        return ConflictError(f"link volume {name} is not owned by Skupper")
    return InvalidError(f'"{name}" is not a valid link')


def _link(token: Token, name: str, cost: int | None, now: datetime.datetime) -> tokens.LinkSecret:
    annotations = dict(token.annotations)
    wanted = cost if cost is not None else tokens.token_cost(annotations)
    if wanted is not None and wanted < 1:
        raise InvalidError(f"{wanted} is not a valid link cost", "it must be at least 1")
    # 1.9 forgets the cost; kept with the link it can be shown, and survives a repair.
    annotations[tokens.COST] = str(wanted or 1)
    return tokens.LinkSecret(
        name,
        token.kind,
        annotations,
        dict(token.labels),
        {key: token.data[key] for key in tokens.CERTIFICATE_FIELDS if key in token.data},
        now.replace(microsecond=0),
    )


def _entities(link: tokens.LinkSecret) -> tuple[Entity, Entity]:
    host, port = link.endpoint()
    return link_entities(link.name, host, port, cost=link.cost)


def _steps(context: Context, site: Observation, before: SiteState, after: SiteState) -> tuple[Step, ...]:
    changes = diff(site_resources(before, only=()), site_resources(after, only=()), site.present)
    return Steps(context.api, site.trees, site.present, now=context.now).make(changes)


def _create_steps(context: Context, site: Observation, link: tokens.LinkSecret) -> tuple[Step, ...]:
    before = state_of(site)
    steps = list(_steps(context, site, before, before.with_link(link)))
    router = _router(context, site)
    if router is not None:
        steps.append(live.adding(router, _entities(link), f"addition of {link.name} to the router"))
    return tuple(steps)


def _router(context: Context, site: Observation) -> live.LiveRouter | None:
    """The site's router, None if it does not run."""
    info = site.containers.get(names.ROUTER)
    return live.router_in(context.api, info) if info is not None and info.running else None


def _warnings(site: Observation, warnings: list[str]) -> list[str]:
    router = site.containers.get(names.ROUTER)
    if router is None or not router.running:
        warnings.append(
            f"{names.ROUTER} does not run; the change takes effect when it starts (skupper init repairs it)"
        )
    return warnings


def _check_certificates(token: Token, now: datetime.datetime) -> None:
    """Refuse a token whose certificates cannot work.

    Raises:
        InvalidError: they cannot be read, do not fit each other, or are not valid now.
    """
    for part in ("ca.crt", "tls.crt"):
        if token.data.get(part):
            try:
                found = certs.facts(token.data[part])
            except certs.CertificateError as error:
                raise InvalidError(f"{part} of the token is damaged: {error.message}", "ask for a new token") from error
            if not found.valid_at(now):
                state = "expired" if now > found.not_after else "is not valid before"
                when = found.not_after if now > found.not_after else found.not_before
                raise InvalidError(
                    f"{part} of the token {state} {when:%Y-%m-%d %H:%M:%S} UTC",
                    "ask for a new token; if it is new, compare the clocks of the two hosts",
                )
    if token.kind == names.CONNECTION_TOKEN and tokens.TEMPLATE not in token.annotations:
        pair = certs.KeyPair(token.data["tls.crt"], token.data["tls.key"])
        if not certs.belongs(pair):
            raise InvalidError("tls.key of the token does not belong to its tls.crt", "ask for a new token")
        if not certs.signed_by(pair.certificate, token.data["ca.crt"]):
            raise InvalidError("tls.crt of the token is not issued by its ca.crt", "ask for a new token")


@dataclass(slots=True)
class _LateSteps:
    """Steps that are known only when the plan is applied; together they are one step."""

    make: Callable[[], tuple[Step, ...]]
    begun: list[Step] = field(default_factory=list)

    def do(self) -> None:
        for step in self.make():
            self.begun.append(step)
            step.do()

    def undo(self) -> None:
        while self.begun:
            self.begun.pop().undo()


def _claim_plan(context: Context, site: Observation, token: Token, name: str, cost: int | None) -> Plan:
    assert site.spec is not None
    url, site_id = token.annotations[tokens.CLAIM_URL], site.spec.site_id
    facts: dict[str, object] = {"name": name, "host": url, "port": "", "url": url}
    facts["warnings"] = _warnings(site, _expiry_warnings(token, context.now()))
    answers: list[Token] = []

    def ask() -> None:
        answer = redeem(token, site_id)
        # As 1.9: what the issuer says wins, what only the claim says is kept.
        answers.append(replace(answer, annotations={**token.annotations, **answer.annotations}))

    def make() -> tuple[Step, ...]:
        answer = answers[-1]
        tokens.check_token(answer, site_id, {})
        _check_certificates(answer, context.now())
        link = _link(answer, name, cost, context.now())
        facts["host"], facts["port"] = link.endpoint()
        facts["cost"] = link.cost
        return _create_steps(context, site, link)

    late = _LateSteps(make)
    steps = (
        Step("run", f"redemption of the claim at {url}", ask, waits=True),
        Step("create", f"link {name}", late.do, late.undo),
    )
    return Plan(f"Create link {name} by the claim at {url}", steps, facts)


def _expiry_warnings(token: Token, now: datetime.datetime) -> list[str]:
    text = token.annotations.get(tokens.CLAIM_EXPIRATION, "")
    try:
        expired = bool(text) and datetime.datetime.fromisoformat(text) < now
    except (ValueError, TypeError):
        return [f"the token's expiration time cannot be read: {text}"]
    return [f"token may have expired, expiration time: {text}"] if expired else []
