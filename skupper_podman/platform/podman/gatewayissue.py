"""Bundles of gateways: a credential for a host that is no site, and the site's trust in it.

What always holds: a bundle that could not be written leaves neither record nor trust behind; of a gateway that has an
authority already, the next bundle is signed by the same.
"""

from __future__ import annotations

from dataclasses import replace

from skupper_podman import SKUPPER_VERSION, __version__, certs
from skupper_podman.desired.gatewaybundle import (
    Bundle,
    BundleGeneration,
    BundleRouter,
    BundleSecrets,
    BundleSite,
    make_bundle,
)
from skupper_podman.desired.gatewayrecords import (
    AUTHORITY_CERTIFICATE,
    AUTHORITY_KEY,
    RECORD_FILE,
    dump_gateway_record,
)
from skupper_podman.desired.gatewaytrust import authority_until, gateways_in, is_let_in, site_part, with_gateways
from skupper_podman.desired.resources import Volume, VolumeFile
from skupper_podman.desired.tokens import renewal_url
from skupper_podman.errors import ConflictError, PlatformError, UsageError
from skupper_podman.gateway.programs import bundle_programs
from skupper_podman.model.gateway import ROUTER_PREFIX, GatewayRecord, GatewayRequest, check_gateway_name
from skupper_podman.model.site import EDGE_PORT, SiteSpec
from skupper_podman.plan import Step, Verb
from skupper_podman.platform import GatewayPlan
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.edits import FileEdit
from skupper_podman.platform.podman.gateways import record_in
from skupper_podman.platform.podman.images import router_reference
from skupper_podman.platform.podman.observe import Observation


def plan_gateway_bundle(context: Context, request: GatewayRequest) -> GatewayPlan:
    """Plan a bundle; see :meth:`skupper_podman.platform.Platform.plan_gateway_bundle`."""
    context.lock()
    site = context.site(context.names.components)
    spec = site.spec
    assert spec is not None
    host, port = _endpoint(site, request.ingress_host)
    name = check_gateway_name(request.definition.name)
    before = record_in(site, name)
    if before is not None and before.kind != request.kind:
        raise ConflictError(
            f"gateway {name} is {'one of this host' if before.kind == 'local' else 'a bundle'} already",
            f"choose another name, or remove it: skupper gateway delete {name}",
        )
    now = context.now().replace(microsecond=0)
    renews = _renews(site)
    within = request.launch_within
    if within is not None and not renews:
        raise UsageError(
            f"a bundle that is good for one launch needs a site that renews credentials: {_why_not(spec)}",
            "or without --launch-within",
        )
    record = GatewayRecord(
        request.definition, request.kind, request.type, (before.generation if before else 0) + 1, now,
        now + (within or request.validity), host, port, ROUTER_PREFIX + name, _services(request, before),
        request.validity if within else None,
    )  # fmt: skip
    issue = _Issue(site, request, record)
    url = renewal_url(host, spec.claims_port or 0) if renews else ""
    place = BundleSite(spec.site_id, spec.name, host, port, SKUPPER_VERSION, renewal_url=url)
    generation = BundleGeneration(record.definition, record.generation, now, record.kind, record.lifetime)

    def bundle() -> Bundle:
        return make_bundle(generation, place, issue.secrets(), _router(context, request), bundle_programs())

    named = sorted({bridge.service for bridge in request.definition.bindings})
    facts = {
        "name": name,
        "generation": record.generation,
        "host": host,
        "port": port,
        "expires": record.expires.isoformat(),
        "undefined": [service for service in named if site.service(service) is None],
        "warnings": [] if renews else [f"its credential will not be renewed by itself: {_why_not(spec)}"],
    }
    return GatewayPlan(tuple(_issue_steps(context, site, issue, record, before)), bundle, facts)


def _why_not(spec: SiteSpec) -> str:
    return "this site has no claims port" if not spec.serves_claims else "to have it renewed, first: skupper init"


def _renews(site: Observation) -> bool:
    """Whether the site renews certificates of gateways; one that an earlier release made does not before ``init``."""
    controller = site.containers.get(site.names.controller)
    mounts = controller.mounts if controller else ()
    return bool(site.spec and site.spec.serves_claims) and any(mount.source == site.names.gateways for mount in mounts)


def _services(request: GatewayRequest, before: GatewayRecord | None) -> tuple[str, ...]:
    if request.services is not None:
        return request.services
    return before.services if before else ()


class _Issue:
    """The authority of a gateway and what it signs; the authority is that of an earlier bundle where there is one."""

    def __init__(self, site: Observation, request: GatewayRequest, record: GatewayRecord) -> None:
        self._request = request
        self._record = record
        self._site = site
        name = request.definition.name
        files = (
            [site.trees.file(site.names.gateways, f"{name}/{path}") for path in (AUTHORITY_CERTIFICATE, AUTHORITY_KEY)]
            if site.names.gateways in site.volumes
            else [None, None]
        )
        kept = certs.KeyPair(*(file.content if file else b"" for file in files))
        now = record.created
        self.authority = authority_until(kept, name, now, now + request.validity, certs.new_key)
        self.is_new = self.authority is not kept

    def secrets(self) -> BundleSecrets:
        """A new credential."""
        trust = self._site.trees.file(self._site.names.site_server, "ca.crt")
        name = ROUTER_PREFIX + self._request.definition.name
        record = self._record
        pair = certs.issue(
            self.authority, name, (), certs.new_key(), record.created, lifetime=record.expires - record.created,
            client_only=True, once=record.generation if record.lifetime else None,
        )  # fmt: skip
        return BundleSecrets(
            pair.certificate,
            pair.key,
            self.authority.certificate,
            site_part(trust.content if trust else b""),
            certs.facts(pair.certificate).not_after,
            self._request.tls,
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
    if issue.is_new or not is_let_in(record.name, issue.authority.certificate, trust.content if trust else b""):
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


def _router(context: Context, request: GatewayRequest) -> BundleRouter:
    reference = router_reference(context.env)
    digest = _digest(context, reference)
    router = BundleRouter(reference, digest)
    if request.with_image:
        router = replace(router, image_archive=_image_archive(context, reference))
    if request.self_contained:
        from skupper_podman.gateway.runtime import cache_directory, runtime  # only here anything is compiled

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
