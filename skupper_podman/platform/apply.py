"""``apply``: a site becomes what source control says, by the same plans as the commands for its parts.

What always holds: what is as described already is not touched; a plan for a part is made when its turn comes, from the
host as it is then, and if one part fails, those before it are taken back; everything that can be planned before the
first change is, so that what cannot work is refused before it, and a dry run shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from skupper_podman.desired.tokens import token_cost
from skupper_podman.errors import ConflictError, InvalidError, NotEnabledError
from skupper_podman.model.definition import Definition
from skupper_podman.model.link import Token
from skupper_podman.model.service import Service, seen_from_container
from skupper_podman.model.site import SiteSpec
from skupper_podman.plan import Plan, Step, Verb
from skupper_podman.platform import Platform, SiteRequest


@dataclass(frozen=True, slots=True)
class Part:
    """One thing the file describes, and what becomes of it: ``created``, ``changed``, ``deleted`` or ``unchanged``."""

    kind: str
    name: str
    action: str
    plan: Callable[[], Plan] | None = None
    detail: str = ""


_VERBS: dict[str, Verb] = {"created": "create", "changed": "update", "deleted": "delete"}


def plan_apply(platform: Platform, wanted: Definition, *, prune: bool, timeout: float, dry_run: bool) -> Plan:
    """Plan to make the site what ``wanted`` says; with ``prune`` other services and links go.

    ``Plan.facts`` has ``parts``: objects of ``kind``, ``name`` and ``action``.

    Raises:
        SkupperError: something of it cannot work.
    """
    try:
        found = platform.definition()
    except NotEnabledError:
        if wanted.site is None:
            raise
        found = Definition()
    parts: list[Part] = []
    notes: list[str] = []
    ahead: list[str] = []
    first = _site(platform, wanted, found, timeout, dry_run)
    parts += [first[0]] if first else []
    sub = first[1] if first else None
    if sub is not None and sub.changed:
        ahead += [str(line) for line in _lines(sub, "ahead")]
        notes += [str(line) for line in _lines(sub, "changes")]
    parts += _services(platform, wanted, found, prune)
    parts += _links(platform, wanted, found, prune)
    collected: list[str] = []
    steps = [_step(part, collected) for part in parts if part.plan is not None]
    # A plan made now shows what would be refused; where the site is not there yet, only its own can be.
    if found.site is not None:
        for part in parts:
            if part.plan is not None and part.kind != "site" and part.action != "changed":
                part.plan()
    ahead += [f"service {part.name} is made anew: {part.detail}" for part in parts if part.detail]
    name = (wanted.site or found.site or SiteSpec("", "")).name or (found.site.name if found.site else "")
    title = f"Apply to site {name}".rstrip() if steps else f"Site {name} is as described"
    facts: dict[str, object] = {
        "parts": [{"kind": part.kind, "name": part.name, "action": part.action} for part in parts],
        "notes": notes,
        "ahead": ahead,
        "warnings": collected,
    }
    return Plan(title, tuple(steps), facts)


def _lines(plan: Plan, fact: str) -> list[object]:
    value = plan.facts.get(fact)
    return list(value) if isinstance(value, list | tuple) else []


def _step(part: Part, warnings: list[str]) -> Step:
    """The plan of a part as one step."""
    make = part.plan
    assert make is not None
    applied: list[Plan] = []

    def do() -> None:
        plan = make()
        plan.apply()
        applied.append(plan)
        warnings.extend(f"{part.kind} {part.name}: {line}" for line in _lines(plan, "warnings"))

    def undo() -> None:
        while applied:
            applied.pop().take_back()

    return Step(_VERBS[part.action], f"{part.kind} {part.name}", do, undo, part.detail, waits=True)


def _site(
    platform: Platform, wanted: Definition, found: Definition, timeout: float, dry_run: bool
) -> tuple[Part, Plan | None] | None:
    if wanted.site is None:
        return None
    given = wanted.given if found.site is not None else None
    request = SiteRequest(wanted.site, timeout=timeout, dry_run=dry_run, given=given)

    def make() -> Plan:
        return platform.plan_init(request)

    plan = make()
    name = str(plan.facts.get("name") or wanted.site.name)
    if not plan.changed:
        return Part("site", name, "unchanged"), plan
    return Part("site", name, "changed" if found.site else "created", make), plan


def _services(platform: Platform, wanted: Definition, found: Definition, prune: bool) -> Iterator[Part]:
    present = {service.address: service for service in found.services}
    for service in wanted.services:
        old = present.pop(service.address, None)
        if service.address in wanted.needs:
            service = _with_old_files(service, old)
        yield _service(platform, service, old)
    if prune:
        yield from (
            Part("service", address, "deleted", partial(platform.plan_service_delete, address)) for address in present
        )


def _with_old_files(service: Service, old: Service | None) -> Service:
    """With the TLS files that the service has, where the file names a Secret that is not in it."""
    if old is None or not old.tls_files:
        raise InvalidError(
            f"service {service.address} needs a Secret with its certificate, which is not in the file",
            "skupper export --secrets writes it",
        )
    return replace(service, tls_files=old.tls_files)


def _service(platform: Platform, service: Service, old: Service | None) -> Part:
    address = service.address
    if old is None:
        return Part("service", address, "created", lambda: platform.plan_service_create(service))
    if _shape(service) != _shape(old):
        detail = "what is connected to it is cut off"
        return Part("service", address, "changed", lambda: _replacing(platform, service), detail)
    if _same(service) == _same(old):
        return Part("service", address, "unchanged")
    return Part("service", address, "changed", lambda: _adjusting(platform, service, old))


def _shape(service: Service) -> Service:
    """What of a service cannot change while it runs."""
    ingress = "" if service.ingress == "Always" else service.ingress
    tls = "yes" if service.tls_credentials else ""
    files = tuple(sorted(service.tls_files))
    shape = replace(service, targets=(), labels={}, allowed_sites=())
    return replace(shape, ingress=ingress, tls_credentials=tls, tls_files=files)


def _same(service: Service) -> tuple[object, ...]:
    targets = sorted((seen_from_container(target.host), sorted(target.ports)) for target in service.targets)
    return targets, service.labels, service.allowed_sites


def _replacing(platform: Platform, service: Service) -> Plan:
    """A plan of two: the service goes, and comes back in its new shape."""
    return _sequence(
        f"Make service {service.address} anew",
        lambda: platform.plan_service_delete(service.address),
        lambda: platform.plan_service_create(service),
    )


def _adjusting(platform: Platform, service: Service, old: Service) -> Plan:
    """A plan of several: targets and labels change while the service runs."""
    wanted = {seen_from_container(target.host) for target in service.targets}
    address = service.address
    plans: list[Callable[[], Plan]] = [partial(platform.plan_bind, address, target) for target in service.targets]
    plans += [
        partial(platform.plan_unbind, address, target.host, delete_if_last=False)
        for target in old.targets
        if seen_from_container(target.host) not in wanted
    ]
    gone = old.labels.keys() - service.labels.keys()
    plans.append(partial(platform.plan_service_label, address, service.labels, gone))
    if service.allowed_sites != old.allowed_sites:
        gone_sites = [site for site in old.allowed_sites if site not in service.allowed_sites]
        away = gone_sites if service.allowed_sites else None
        plans.append(partial(platform.plan_service_allow, address, service.allowed_sites, away))
    return _sequence(f"Change service {address}", *plans)


def _sequence(title: str, *plans: Callable[[], Plan]) -> Plan:
    parts = [Part("part", str(number), "changed", make) for number, make in enumerate(plans, 1)]
    warnings: list[str] = []
    return Plan(title, tuple(_step(part, warnings) for part in parts), {"warnings": warnings})


def _links(platform: Platform, wanted: Definition, found: Definition, prune: bool) -> Iterator[Part]:
    present = {token.name: token for token in found.links}
    for token in wanted.links:
        yield _link(platform, token, present.pop(token.name, None))
    if prune:
        yield from (Part("link", name, "deleted", partial(platform.plan_link_delete, name)) for name in present)


def _is_renewed(present: Mapping[str, bytes], filed: Mapping[str, bytes]) -> bool:
    """Whether the link has a later certificate for the same subject than the file, from an issuer of the same name."""
    from skupper_podman import certs

    try:
        now, then = certs.facts(present["tls.crt"]), certs.facts(filed["tls.crt"])
    except (KeyError, certs.CertificateError):
        return False
    return (now.subject, now.issuer) == (then.subject, then.issuer) and now.not_before > then.not_before


def _link(platform: Platform, token: Token, old: Token | None) -> Part:
    name = token.name
    if old is None:
        return Part("link", name, "created", lambda: platform.plan_link_create(token, name, None))
    if old.generated_by != token.generated_by:
        raise ConflictError(
            f"link {name} leads to another site than the token in the file",
            f"give the token another name, or first: skupper link delete {name}",
        )
    # A claim was redeemed for what the link has now; a certificate is as good as its file, if it was not renewed since.
    cost = token_cost(token.annotations)
    same = all(token.data.get(key) == content for key, content in old.data.items())
    if token.kind == "token-claim" or same or _is_renewed(old.data, token.data):
        if cost is None or cost == (token_cost(old.annotations) or 1):
            return Part("link", name, "unchanged")
        return Part("link", name, "changed", partial(platform.plan_link_update, name, cost))
    return Part("link", name, "changed", partial(platform.plan_link_create, token, name, cost, replace=True))
