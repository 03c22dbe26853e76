"""Plans that make, change and remove links.

What always holds: everything about a token is checked before the first change; the running router is told as well as
its configuration file, so that a link needs no restart; a claim is redeemed as part of the plan, and if that fails
nothing of the link remains, and the link that it was to replace is as it was; a command that was killed is finished by
the same command.

A router can change nothing of a connector that exists, so a link with another cost is closed and opened again; the
other links carry on, and take over what the routers find a path for meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field, replace

from skupper_podman.desired import names, tokens
from skupper_podman.desired.diff import Change, Present, diff
from skupper_podman.desired.resources import VolumeFile
from skupper_podman.desired.site import (
    SiteState,
    is_edge,
    link_connector,
    link_role,
    site_resources,
)
from skupper_podman.errors import ConflictError, InvalidError, LinkCheckError, NotFoundError, SkupperError
from skupper_podman.model.link import Token
from skupper_podman.plan import Plan, Step
from skupper_podman.platform.podman import linkchecks, live
from skupper_podman.platform.podman.claims import redeem
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.observe import Observation
from skupper_podman.platform.podman.state import state_of
from skupper_podman.platform.podman.steps import Steps
from skupper_podman.router.documents import link_profile_name

MAX_COST = 2**31 - 1
_FILES: Mapping[str, Set[str]] = {
    names.CONNECTION_TOKEN: frozenset(tokens.CERTIFICATE_FIELDS),
    names.TOKEN_CLAIM: frozenset(["ca.crt"]),
}
"""What the volume of a link holds at least."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A link to be made: its name, the cost that was asked for (None for the token's, else 1), what it replaces."""

    name: str
    cost: int | None
    replaced: tokens.LinkSecret | None = None


def plan_link_create(context: Context, token: Token, name: str, cost: int | None, *, replacing: bool = False) -> Plan:
    """Plan a link; see :meth:`skupper_podman.platform.Platform.plan_link_create`."""
    context.lock()
    site = context.site((context.names.router,))
    assert site.spec is not None
    finishing = _finishing(context, site, token, name)
    if finishing is not None:
        return finishing
    wanted = _wanted(context, site, token, name, cost, replacing=replacing)
    begun = _begun(site)
    others = {link.name: link.peer_site_id for link in site.links if link != wanted.replaced and link.name not in begun}
    linkchecks.check_token(token, site.spec.site_id, others, link_role(site.spec), context.now())
    if token.kind == names.TOKEN_CLAIM:
        linkchecks.check_issuer(token)
        return _claim_plan(context, site, token, wanted)
    link = _link(context, token, wanted)
    unreachable = linkchecks.check_peer(token, link_role(site.spec))
    steps = _create_steps(context, site, link, wanted.replaced)
    host, port = link.endpoint(link_role(site.spec))
    facts = {**_facts(wanted), "host": host, "port": port, "cost": link.cost, "warnings": _warnings(site, unreachable)}
    return Plan(f"{_verb(wanted)} link {wanted.name} to {host}:{port}", steps, facts)


def plan_link_update(context: Context, name: str, cost: int) -> Plan:
    """Plan to give a link another cost; see :meth:`skupper_podman.platform.Platform.plan_link_update`."""
    context.lock()
    site = context.site((context.names.router,))
    assert site.spec is not None
    link = _existing(context, site, name)
    _check_cost(cost)
    if link.kind != names.CONNECTION_TOKEN:
        raise InvalidError(
            f"the claim of link {name} was not redeemed, so it has no cost", f"skupper link delete {name}"
        )
    host, port = link.endpoint(link_role(site.spec))
    facts = {"name": name, "host": host, "port": port, "cost": cost, "previousCost": link.cost}
    if link.cost == cost:
        return Plan(f"Link {name} has cost {cost} already", (), facts)
    changed = replace(link, annotations={**link.annotations, tokens.COST: str(cost)})
    before = state_of(site)
    after = replace(before, links=tuple(changed if item == link else item for item in before.links))
    steps: list[Step] = []
    router = _router(context, site)
    if router is not None:
        what = f"cost {cost} of link {name} in the router"
        steps.append(
            live.replacing(router, link_connector(site.spec, link)[1], link_connector(site.spec, changed)[1], what)
        )
    # The record last: it is what says that the cost is the new one.
    steps += _steps(context, site, before, after)
    ignored = ["an edge router uses one link at a time, whatever the cost"] if is_edge(site.spec) else []
    return Plan(
        f"Change the cost of link {name} to {cost}", tuple(steps), {**facts, "warnings": _warnings(site, ignored)}
    )


def plan_link_delete(context: Context, name: str) -> Plan:
    """Plan to remove a link; see :meth:`skupper_podman.platform.Platform.plan_link_delete`."""
    context.lock()
    site = context.site((context.names.router,))
    steps = _delete_steps(context, site, _existing(context, site, name))
    return Plan(f"Delete link {name}", steps, {"name": name, "warnings": _warnings(site, [])})


def _wanted(
    context: Context, site: Observation, token: Token, name: str, cost: int | None, *, replacing: bool
) -> _Wanted:
    """The link's name and what it replaces.

    Raises:
        ConflictError: the name is in use. InvalidError: it is no name, or the cost no cost.
    """
    if cost is not None:
        _check_cost(cost)
    begun = _begun(site)
    whole = [link for link in site.links if link.name not in begun]
    same = [link for link in whole if link.peer_site_id and link.peer_site_id == token.generated_by]
    old = same[0] if replacing and same else None
    if old is not None and cost is None and tokens.token_cost(token.annotations) is None:
        cost = old.cost
    if old is not None and name in ("", old.name):
        return _Wanted(old.name, cost, old)
    name = tokens.check_link_name(name) if name else tokens.next_link_name(tuple(link.name for link in whole))
    if name not in begun and context.api.volume(site.names.own(name)) is not None:
        raise ConflictError(f"link {name} already exists", "choose another name with --name")
    return _Wanted(name, cost, old)


def _begun(site: Observation) -> list[str]:
    """Links whose volume lacks some of a link's files: their making was killed."""
    whole = {link.name for link in site.links if link.data.keys() >= _FILES[link.kind]}
    of_links = (
        site.names.plain(name)
        for name, volume in site.volumes.items()
        if volume.labels.get(site.names.type_label) in names.LINK_TYPES
    )
    return [name for name in of_links if name not in whole]


def _finishing(context: Context, site: Observation, token: Token, name: str) -> Plan | None:
    """The plan that completes the link of this very token; None if there is none, or if nothing is missing of it."""
    assert site.spec is not None
    begun = _begun(site)
    of_token = (item for item in site.links if name in ("", item.name) and _is_of(item, token))
    link = next((item for item in of_token if item.name not in begun), None)
    if link is None or link.kind != names.CONNECTION_TOKEN:
        return None
    complete = state_of(site)
    steps = list(_steps(context, site, complete.without_link(link.name), complete))
    entities = link_connector(site.spec, link)
    steps += [
        live.adding(router, entities, f"addition of {link.name} to the router{_of(site, router)}")
        for router in _routers(context, site)
        if len(router.present(entities)) < len(entities)
    ]
    host, port = link.endpoint(link_role(site.spec))
    facts: dict[str, object] = {"name": link.name, "replaced": None, "host": host, "port": port, "cost": link.cost}
    facts["warnings"] = _warnings(site, [])
    return Plan(f"Complete link {link.name} to {host}:{port}", tuple(steps), facts) if steps else None


def _is_of(link: tokens.LinkSecret, token: Token) -> bool:
    """Whether the link was made with this token: has its certificate, or one that was given for this claim."""
    if token.kind == names.TOKEN_CLAIM:
        url = token.annotations.get(tokens.CLAIM_URL)
        return bool(url) and link.annotations.get(tokens.CLAIM_URL) == url
    return link.data == {key: token.data[key] for key in tokens.CERTIFICATE_FIELDS if key in token.data}


def _check_cost(cost: int) -> None:
    if not 0 < cost <= MAX_COST:
        raise InvalidError(f"{cost} is not a valid link cost", "it must be at least 1")


def _existing(context: Context, site: Observation, name: str) -> tokens.LinkSecret:
    """The link of this name.

    Raises:
        SkupperError: there is none; it says what the name is instead.
    """
    link = next((item for item in site.links if item.name == name), None)
    if link is None:
        raise _no_link(context, name)
    return link


def _no_link(context: Context, name: str) -> SkupperError:
    volume = context.api.volume(context.names.own(name))
    if volume is None:
        return NotFoundError(f'no such link "{name}"', "to see the links: skupper link status")
    if not context.names.owns(volume.labels):
        return ConflictError(f"link volume {name} is not owned by Skupper")
    return InvalidError(f'"{name}" is not a valid link')


def _verb(wanted: _Wanted) -> str:
    return "Replace" if wanted.replaced else "Create"


def _facts(wanted: _Wanted) -> dict[str, object]:
    return {"name": wanted.name, "replaced": wanted.replaced.name if wanted.replaced else None}


def _link(context: Context, token: Token, wanted: _Wanted) -> tokens.LinkSecret:
    cost = wanted.cost if wanted.cost is not None else tokens.token_cost(token.annotations)
    # 1.9 forgets the cost; kept with the link it can be shown, and survives a repair.
    annotations = {**token.annotations, tokens.COST: str(cost or 1)}
    return tokens.LinkSecret(
        wanted.name,
        token.kind,
        annotations,
        dict(token.labels),
        {key: token.data[key] for key in tokens.CERTIFICATE_FIELDS if key in token.data},
        context.now().replace(microsecond=0),
    )


def _steps(
    context: Context, site: Observation, before: SiteState, after: SiteState, present: Present | None = None
) -> tuple[Step, ...]:
    """Steps on volumes and files. On an edge site the services have the links in their own configurations."""
    assert site.spec is not None
    only = None if is_edge(site.spec) else ()
    found = present or site.present
    changes = diff(site_resources(before, only=only), site_resources(after, only=only), found)
    return Steps(context.api, site.trees, found, now=context.now).make(changes)


def _create_steps(
    context: Context, site: Observation, link: tokens.LinkSecret, replaced: tokens.LinkSecret | None = None
) -> tuple[Step, ...]:
    assert site.spec is not None
    before, present, steps = state_of(site), site.present, list[Step]()
    if replaced is not None:
        steps += _delete_steps(context, site, replaced)
        before = before.without_link(replaced.name)
        present = _present_without(site, before, replaced.name)
    if link.name in _begun(site):
        before = before.without_link(link.name)
        begun = site.present.volumes[site.names.own(link.name)]
        steps += Steps(context.api, site.trees, site.present, now=context.now).make([Change("delete", begun, begun)])
        present = _present_without(site, before, link.name)
    steps += _steps(context, site, before, before.with_link(link), present)
    entities = link_connector(site.spec, link)
    for router in _routers(context, site):
        steps.append(live.adding(router, entities, f"addition of {link.name} to the router{_of(site, router)}"))
    return tuple(steps)


def _delete_steps(context: Context, site: Observation, link: tokens.LinkSecret) -> tuple[Step, ...]:
    assert site.spec is not None
    before = state_of(site)
    # The connector goes first, because it uses the profile.
    entities = tuple(reversed(link_connector(site.spec, link)))
    steps = [
        live.removing(router, entities, f"removal of {link.name} from the router{_of(site, router)}")
        for router in (_routers(context, site) if entities else [])
    ]
    steps += _steps(context, site, before, before.without_link(link.name))
    profile = f"{link_profile_name(link.name)}/"
    known = {*tokens.CERTIFICATE_FIELDS}
    strays = [
        Change("delete", file, file)
        for (volume, path), file in site.present.files.items()
        if volume == site.names.router_certs
        and path.startswith(profile)
        and path.removeprefix(profile) not in known.intersection(link.data)
    ]
    return (*steps, *Steps(context.api, site.trees, site.present, now=context.now).make(strays))


def _present_without(site: Observation, left: SiteState, name: str) -> Present:
    """What will be there when the link is gone, so that one of the same name can be planned."""
    profile, gone = f"{link_profile_name(name)}/", site.names.own(name)
    files = {
        (volume, path): file
        for (volume, path), file in site.present.files.items()
        if volume != gone and not (volume == site.names.router_certs and path.startswith(profile))
    }
    # The router configurations are not as they were found either.
    for resource in site_resources(left):
        if isinstance(resource, VolumeFile) and resource.volume == site.names.internal:
            key = (resource.volume, resource.path)
            files |= {key: replace(files[key], content=resource.content)} if key in files else {}
    volumes = {key: volume for key, volume in site.present.volumes.items() if key != gone}
    return replace(site.present, volumes=volumes, files=files)


def _routers(context: Context, site: Observation) -> list[live.LiveRouter]:
    """The running routers that have the site's links: its own, and on an edge site those of its services."""
    assert site.spec is not None
    own = _router(context, site)
    found = [own] if own is not None else []
    if is_edge(site.spec):
        services = (site.service_container(item.address) for item in site.services)
        found += [live.router_in(context.api, info) for info in services if info is not None and info.running]
    return found


def _of(site: Observation, router: live.LiveRouter) -> str:
    return "" if router.container == site.names.router else f" of {router.container}"


def _router(context: Context, site: Observation) -> live.LiveRouter | None:
    """The site's router, None if it does not run."""
    info = site.containers.get(site.names.router)
    return live.router_in(context.api, info) if info is not None and info.running else None


def _warnings(site: Observation, warnings: list[str]) -> list[str]:
    router = site.containers.get(site.names.router)
    if router is None or not router.running:
        warnings.append(
            f"{site.names.router} does not run; the change takes effect when it starts (skupper init repairs it)"
        )
    return warnings


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


def _claim_plan(context: Context, site: Observation, token: Token, wanted: _Wanted) -> Plan:
    assert site.spec is not None
    url, site_id, role = token.annotations[tokens.CLAIM_URL], site.spec.site_id, link_role(site.spec)
    warnings = _warnings(site, [])
    facts: dict[str, object] = {**_facts(wanted), "host": url, "port": "", "url": url, "warnings": warnings}
    answers: list[Token] = []

    def ask() -> None:
        answer = _redeemed(token, site_id)
        # As 1.9: what the issuer says wins, what only the claim says is kept.
        answers.append(replace(answer, annotations={**token.annotations, **answer.annotations}))

    def make() -> tuple[Step, ...]:
        answer = answers[-1]
        linkchecks.check_token(answer, site_id, {}, role, context.now())
        warnings.extend(_peer_warnings(answer, role))
        link = _link(context, answer, wanted)
        facts["host"], facts["port"] = link.endpoint(role)
        facts["cost"] = link.cost
        return _create_steps(context, site, link, wanted.replaced)

    late = _LateSteps(make)
    steps = (
        Step("run", f"redemption of the claim at {url}", ask, waits=True),
        Step("create", f"link {wanted.name}", late.do, late.undo),
    )
    return Plan(f"{_verb(wanted)} link {wanted.name} by the claim at {url}", steps, facts)


def _redeemed(token: Token, site_id: str) -> Token:
    try:
        return redeem(token, site_id)
    except InvalidError as error:
        raise LinkCheckError("link-claim", error.message, error.hint) from error


def _peer_warnings(token: Token, role: tokens.Role) -> list[str]:
    """As a claim can be used only once, a router that is not as it should be does not undo the link."""
    try:
        return linkchecks.check_peer(token, role)
    except LinkCheckError as error:
        return [error.message]
