"""Gateways of a podman site: their records, the credential of each, and whether they are connected.

What always holds: a gateway is let in from the moment its bundle is written, and by nothing but its own authority; a
bundle that could not be written leaves neither record nor trust behind. Records and authorities are in a volume of
their own that only a site with gateways has.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection
from dataclasses import replace

from skupper_podman import SKUPPER_VERSION, certs
from skupper_podman.desired.gatewaybundle import Bundle, BundleRouter, BundleSecrets, BundleSite, make_bundle
from skupper_podman.desired.gatewayrecords import (
    AUTHORITY_CERTIFICATE,
    AUTHORITY_KEY,
    RECORD_FILE,
    dump_gateway_record,
    parse_gateway_record,
)
from skupper_podman.desired.gatewaytrust import authority_name, gateways_in, site_part, with_gateways
from skupper_podman.desired.resources import Volume, VolumeFile
from skupper_podman.errors import ConflictError, InvalidError, NotFoundError, PlatformError, SkupperError, UsageError
from skupper_podman.model.gateway import (
    ROUTER_PREFIX,
    GatewayRecord,
    GatewayRequest,
    GatewayStatus,
    check_gateway_name,
)
from skupper_podman.model.site import EDGE_PORT
from skupper_podman.plan import Plan, Step, Verb
from skupper_podman.platform import GatewayPlan
from skupper_podman.platform.podman import live
from skupper_podman.platform.podman.asking import Questions, ask
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.edits import FileEdit
from skupper_podman.platform.podman.images import router_reference
from skupper_podman.platform.podman.observe import Observation


def records(context: Context) -> tuple[GatewayRecord, ...]:
    """The gateways, by name; see :meth:`skupper_podman.platform.Platform.gateways`."""
    return _records(context.recent_site())


def _records(site: Observation) -> tuple[GatewayRecord, ...]:
    found = (_record(site, name) for name in _names(site))
    return tuple(record for record in found if record is not None)


def _names(site: Observation) -> tuple[str, ...]:
    if site.names.gateways not in site.volumes:
        return ()
    return tuple(sorted(site.trees.tree(site.names.gateways).names()))


def _record(site: Observation, name: str) -> GatewayRecord | None:
    if site.names.gateways not in site.volumes:
        return None
    file = site.trees.file(site.names.gateways, f"{name}/{RECORD_FILE}")
    return parse_gateway_record(name, file.content) if file else None


def plan_gateway_bundle(context: Context, request: GatewayRequest) -> GatewayPlan:
    """Plan a bundle; see :meth:`skupper_podman.platform.Platform.plan_gateway_bundle`."""
    context.lock()
    site = context.site((context.names.router,))
    spec = site.spec
    assert spec is not None
    host, port = _endpoint(site, request.ingress_host)
    name = check_gateway_name(request.definition.name)
    before = _record(site, name)
    if before is not None and before.kind != request.kind:
        raise ConflictError(
            f"gateway {name} is {'one of this host' if before.kind == 'local' else 'a bundle'} already",
            f"choose another name, or remove it: skupper gateway delete {name}",
        )
    now = context.now().replace(microsecond=0)
    issue = _Issue(context, site, request, now)
    record = GatewayRecord(
        request.definition, request.kind, request.type, (before.generation if before else 0) + 1, now,
        now + request.validity, host, port, ROUTER_PREFIX + name, _services(request, before),
    )  # fmt: skip
    place = BundleSite(spec.site_id, spec.name, host, port, SKUPPER_VERSION)

    def bundle() -> Bundle:
        secrets = issue.secrets()
        return make_bundle(
            request.definition, place, secrets, _router(context, request), _programs(),
            generation=record.generation, now=now, kind=request.kind, tls=request.tls,
        )  # fmt: skip

    warnings = [
        f"service {service} is not defined at this site: clients here need it: skupper service create {service} PORT"
        for service in sorted({bridge.service for bridge in request.definition.bindings})
        if site.service(service) is None
    ]
    facts = {
        "name": name,
        "generation": record.generation,
        "host": host,
        "port": port,
        "expires": record.expires.isoformat(),
        "warnings": warnings,
    }
    return GatewayPlan(tuple(_issue_steps(context, site, issue, record, before)), bundle, facts)


def _services(request: GatewayRequest, before: GatewayRecord | None) -> tuple[str, ...]:
    if request.services is not None:
        return request.services
    return before.services if before else ()


class _Issue:
    """The authority of a gateway and what it signs; the authority is that of an earlier bundle where there is one."""

    def __init__(self, context: Context, site: Observation, request: GatewayRequest, now: datetime.datetime) -> None:
        self._now = now
        self._request = request
        self._site = site
        name = request.definition.name
        files = (
            [site.trees.file(site.names.gateways, f"{name}/{path}") for path in (AUTHORITY_CERTIFICATE, AUTHORITY_KEY)]
            if site.names.gateways in site.volumes
            else [None, None]
        )
        kept = certs.KeyPair(*(file.content if file else b"" for file in files))
        self.is_new = not (kept.key and certs.belongs(kept) and self._lasts(kept))
        self._kept = kept
        self._made: certs.KeyPair | None = None

    def _lasts(self, pair: certs.KeyPair) -> bool:
        return certs.facts(pair.certificate).not_after > self._now + self._request.validity

    @property
    def authority(self) -> certs.KeyPair:
        """It; made when it is first asked for."""
        if not self.is_new:
            return self._kept
        if self._made is None:
            name = authority_name(self._request.definition.name)
            self._made = certs.issue_authority(name, certs.new_key(), self._now)
        return self._made

    def secrets(self) -> BundleSecrets:
        """A new credential."""
        trust = self._site.trees.file(self._site.names.site_server, "ca.crt")
        name = ROUTER_PREFIX + self._request.definition.name
        pair = certs.issue(
            self.authority, name, (), certs.new_key(), self._now, lifetime=self._request.validity, client_only=True
        )
        return BundleSecrets(
            pair.certificate,
            pair.key,
            self.authority.certificate,
            site_part(trust.content if trust else b""),
            certs.facts(pair.certificate).not_after,
        )


def _endpoint(site: Observation, wanted: str) -> tuple[str, int]:
    """Host and port at which the site lets edges in.

    Raises:
        UsageError: it lets none in, or not there.
    """
    spec = site.spec
    assert spec is not None
    if spec.router_mode == "edge":
        raise UsageError("Edge configuration cannot accept connections")
    hosts = spec.ingress_hosts if spec.ingress != "none" else ()
    if not hosts:
        raise UsageError(
            "this site accepts no connections: it was made with --ingress none",
            "make it reachable: skupper init --ingress external --ingress-host HOST",
        )
    if wanted and wanted not in hosts:
        raise UsageError(f"the site is not reached at {wanted}", f"its ingress hosts are: {', '.join(hosts)}")
    router = site.containers.get(site.names.router)
    published = {item.container_port: item.host_port for item in router.ports} if router else {}
    return wanted or hosts[0], published.get(EDGE_PORT, spec.edge_port)


def _issue_steps(
    context: Context, site: Observation, issue: _Issue, record: GatewayRecord, before: GatewayRecord | None
) -> list[Step]:
    steps = []
    if site.names.gateways not in site.volumes:
        steps.append(_volume_step(context, site))
    trust = site.trees.file(site.names.site_server, "ca.crt")
    if issue.is_new or record.name not in gateways_in(trust.content if trust else b""):
        steps.append(_authority_step(site, issue, record.name))
    content = dump_gateway_record(record)
    path = f"{record.name}/{RECORD_FILE}"
    found = site.trees.file(site.names.gateways, path) if before is not None else None
    edit = FileEdit(site.trees, site.names.gateways, path, found, VolumeFile(site.names.gateways, path, content, 0o600))
    verb: Verb = "update" if before else "create"
    until = record.expires.strftime("%Y-%m-%d")
    what = f"record of gateway {record.name}"
    steps.append(Step(verb, what, edit.do, edit.undo, f"generation {record.generation}, until {until}"))
    return steps


def _volume_step(context: Context, site: Observation) -> Step:
    assert site.spec is not None
    volume = Volume(site.names.gateways, {**site.spec.labels, **site.names.labels})

    def do() -> None:
        context.api.create_volume(volume)

    def undo() -> None:
        context.api.remove_volume(volume.name)
        site.trees.forget(volume.name)

    return Step("create", f"volume {volume.name}", do, undo)


def _authority_step(site: Observation, issue: _Issue, name: str) -> Step:
    """Make the gateway's authority, keep it, and have the router trust it."""
    done: list[FileEdit] = []

    def edit(volume: str, path: str, content: bytes, mode: int) -> None:
        found = site.trees.file(volume, path)
        change = FileEdit(site.trees, volume, path, found, VolumeFile(volume, path, content, mode, secret=True))
        done.append(change)
        change.do()

    def do() -> None:
        pair = issue.authority
        edit(site.names.gateways, f"{name}/{AUTHORITY_KEY}", pair.key, 0o600)
        edit(site.names.gateways, f"{name}/{AUTHORITY_CERTIFICATE}", pair.certificate, 0o644)
        trust = site.trees.file(site.names.site_server, "ca.crt")
        if trust is None:
            raise PlatformError(f"volume {site.names.site_server} has no ca.crt", "to repair it: skupper init")
        gateways = {**gateways_in(trust.content), name: pair.certificate}
        edit(site.names.site_server, "ca.crt", with_gateways(trust.content, gateways), trust.mode)

    def undo() -> None:
        while done:
            done.pop().undo()

    return Step("create", f"authority of gateway {name}, which the router lets in", do, undo)


def _programs() -> dict[str, bytes]:
    from skupper_podman.gateway.programs import bundle_programs

    return bundle_programs()


def _router(context: Context, request: GatewayRequest) -> BundleRouter:
    reference = router_reference(context.env)
    digest = _digest(context, reference)
    router = BundleRouter(reference, digest)
    if request.with_image:
        router = replace(router, image_archive=_image_archive(context, reference))
    if request.self_contained:
        from skupper_podman import __version__
        from skupper_podman.gateway.runtime import cache_directory, runtime

        made = runtime(cache_directory(context.uid, context.env), __version__)
        router = replace(router, runtime=made.archive, runtime_facts=made.facts)
    return router


def _digest(context: Context, reference: str) -> str:
    image = context.api.image(reference)
    return image.digest if image is not None else ""


def _image_archive(context: Context, reference: str) -> bytes:
    if context.api.image(reference) is None:
        raise PlatformError(
            f"image {reference} is not in local storage", f"podman pull {reference}; or use --self-contained"
        )
    return context.api.export_image(reference)


def plan_gateway_delete(context: Context, name: str) -> Plan:
    """Plan to forget a gateway; see :meth:`skupper_podman.platform.Platform.plan_gateway_delete`."""
    context.lock()
    site = context.site((context.names.router,))
    if name not in _names(site):
        raise NotFoundError(f'No such gateway "{name}"', "to see them: skupper gateway status")
    steps = [_distrust_step(site, (name,)), *_closing_steps(context, site, name), _forgetting_step(site, name)]
    return Plan(f"Revoke and delete gateway {name}", tuple(steps), {"name": name, "notes": [], "warnings": []})


def _distrust_step(site: Observation, revoked: Collection[str]) -> Step:
    """Take the authorities of these gateways out of what the router trusts."""
    done: list[FileEdit] = []

    def do() -> None:
        trust = site.trees.file(site.names.site_server, "ca.crt")
        if trust is None:
            return  # then nobody is let in at all
        gateways = {name: own for name, own in gateways_in(trust.content).items() if name not in revoked}
        wanted = VolumeFile(site.names.site_server, "ca.crt", with_gateways(trust.content, gateways), trust.mode)
        done.append(FileEdit(site.trees, site.names.site_server, "ca.crt", trust, wanted))
        done[-1].do()

    def undo() -> None:
        while done:
            done.pop().undo()

    return Step("update", f"whom the router lets in: not gateway {', '.join(sorted(revoked))}", do, undo)


def revoking_all(site: Observation) -> tuple[Step, ...]:
    """Steps that revoke every gateway, as ``revoke-access`` must; their records stay, each needs a fresh bundle."""
    found = _names(site)
    if not found:
        return ()
    return (_distrust_step(site, found), *(_authority_removal(site, name) for name in found))


def _authority_removal(site: Observation, name: str) -> Step:
    """Forget the authority of a gateway, so that the next bundle is signed by a new one."""
    files = [site.trees.file(site.names.gateways, f"{name}/{path}") for path in (AUTHORITY_KEY, AUTHORITY_CERTIFICATE)]
    edits = [FileEdit(site.trees, site.names.gateways, file.path, file, None) for file in files if file is not None]

    def do() -> None:
        for edit in edits:
            edit.do()

    def undo() -> None:
        for edit in reversed(edits):
            edit.undo()

    return Step("delete", f"authority of gateway {name}", do, undo)


def _closing_steps(context: Context, site: Observation, name: str) -> list[Step]:
    """Close the connection that the gateway has: the router looks at a certificate only when one is made."""
    info = site.containers.get(site.names.router)
    if info is None or not info.running:
        return []
    router = live.router_in(context.api, info)

    def do() -> None:
        for row in router.query("connection")[0]:
            if is_link_of(row, name):
                router.update("connection", str(row.get("name")), {"adminStatus": "deleted"})

    return [Step("run", f"end of the connection of gateway {name}", do)]


def _forgetting_step(site: Observation, name: str) -> Step:
    files = site.trees.files(site.names.gateways, name)
    edits = [FileEdit(site.trees, site.names.gateways, file.path, file, None) for file in files]

    def do() -> None:
        for edit in edits:
            edit.do()
        site.trees.tree(site.names.gateways).remove_directory(name)

    def undo() -> None:
        for edit in edits:
            edit.undo()

    return Step("delete", f"record of gateway {name}", do, undo)


def is_link_of(row: dict[str, object], name: str) -> bool:
    """Whether a connection of the site's router is that of a gateway of this name, on whatever host."""
    container = str(row.get("container") or "")
    return row.get("role") == "edge" and bool(re.fullmatch(re.escape(ROUTER_PREFIX + name) + "-[0-9a-f]{8}", container))


def gateway_statuses(context: Context) -> tuple[GatewayStatus, ...]:
    """The gateways as they are now; see :meth:`skupper_podman.platform.Platform.gateway_status`."""
    site = context.site((context.names.router,))
    found = _names(site)
    if not found:
        return ()
    answers = ask(context, site, Questions(types=("connection",)))
    rows = answers.rows("connection")
    return tuple(_status(site, name, rows, answers.problem, context.now()) for name in found)


def _status(
    site: Observation, name: str, rows: live.Rows | None, silence: str, now: datetime.datetime
) -> GatewayStatus:
    try:
        record = _record(site, name)
        damage = "" if record else "it has no record"
    except SkupperError as error:
        record, damage = None, error.message
    if record is None:
        raise InvalidError(f"gateway {name}: {damage}", f"to remove it: skupper gateway delete {name}")
    if rows is None:
        return GatewayStatus(record, None, problem=f"the router does not say: {silence}")
    links = [row for row in rows if is_link_of(row, name)]
    problem = ""
    if record.expires <= now:
        problem = f"its credential expired {record.expires:%Y-%m-%d}"
    if not links:
        return GatewayStatus(record, False, problem=problem or "it is not connected")
    row = links[0]
    properties = row.get("properties")
    version = str(properties.get("version", "")) if isinstance(properties, dict) else ""
    uptime = row.get("uptimeSeconds")
    since = float(uptime) if isinstance(uptime, int | float) else None
    return GatewayStatus(record, True, version, since, str(row.get("host") or ""), problem)
