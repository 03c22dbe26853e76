"""Issuing tokens: a certificate of the site's own authority, or a claim for one that the controller redeems.

What always holds: a claim is kept before its file is written, and taken back if that fails; the site must accept links,
and be reached at the host the token names.
"""

from __future__ import annotations

import datetime
import secrets
import string
import uuid
from dataclasses import replace

from skupper_podman import certs
from skupper_podman.claimstore import ClaimStore
from skupper_podman.desired.claimrecords import ClaimRecord, is_record_name, rfc3339
from skupper_podman.desired.tokens import (
    CLAIM_EXPIRATION,
    CLAIM_USES,
    claim_token,
    connection_token,
    dump_token,
    with_renewal,
)
from skupper_podman.desired.tokentext import token_head
from skupper_podman.errors import ConflictError, InvalidError, NotFoundError, PlatformError, SkupperError, UsageError
from skupper_podman.model.link import Claim, Token
from skupper_podman.model.site import CLAIMS_PORT, EDGE_PORT, INTER_ROUTER_PORT, SiteSpec
from skupper_podman.plan import Plan, Step
from skupper_podman.platform import TokenPlan, TokenRequest
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.observe import Observation

_PASSWORD_LENGTH = 24
_ALPHABET = string.ascii_letters + string.digits


def plan_token(context: Context, request: TokenRequest) -> TokenPlan:
    """Plan to issue a token; see :meth:`skupper_podman.platform.Platform.plan_token`."""
    if request.kind == "claim":
        context.lock()
    site = context.site(context.names.components)
    spec = site.spec
    assert spec is not None
    host = _host(spec, request.ingress_host)
    obstacle = _no_claims(site)
    if request.kind == "cert" or (obstacle and not request.kind):
        warnings = (
            [f"{obstacle.message}: wrote a certificate, which can be used any number of times"] if obstacle else []
        )
        return _certificate_plan(context, site, request, host, [] if request.kind else warnings)
    if obstacle:
        raise obstacle
    context.lock()
    return _claim_plan(context, site, request, host)


def claims(context: Context) -> tuple[Claim, ...]:
    """The claims given away; see :meth:`skupper_podman.platform.Platform.claims`."""
    site = context.site()
    if site.names.claims not in site.volumes:
        return ()
    store = _store(site)
    return tuple(_claim(store, name) for name in store.names())


def plan_claim_revoke(context: Context, name: str) -> Plan:
    """Plan to end a claim; see :meth:`skupper_podman.platform.Platform.plan_claim_revoke`."""
    context.lock()
    site = context.site()
    store = _store(site) if site.names.claims in site.volumes else None
    if store is None or name not in store.names():
        raise NotFoundError(
            f'No such claim "{name}"',
            "to see the claims: skupper token list; certificates cannot be revoked one by one",
        )
    return Plan(f"Revoke claim {name}", (_removing(store, name),), {"name": name})


def revoking_all(site: Observation) -> tuple[Step, ...]:
    """Steps that end every claim of the site, as ``revoke-access`` must."""
    if site.names.claims not in site.volumes:
        return ()
    store = _store(site)
    return tuple(_removing(store, name) for name in store.names())


def _removing(store: ClaimStore, name: str) -> Step:
    kept: list[bytes] = []

    def do() -> None:
        content = store.remove(name)
        if content is not None:
            kept.append(content)

    def undo() -> None:
        while kept:
            store.restore(name, kept.pop())

    return Step("delete", f"claim {name}", do, undo)


def _store(site: Observation) -> ClaimStore:
    return ClaimStore(site.trees.tree(site.names.claims))


def _claim(store: ClaimStore, name: str) -> Claim:
    try:
        record = store.get(name)
    except InvalidError:
        record = None
    if record is None:
        return Claim(name, damaged=True)
    return Claim(name, record.expires, record.remaining, record.made, record.host, record.created)


def _host(spec: SiteSpec, wanted: str) -> str:
    """The ingress host the token names.

    Raises:
        UsageError: the site accepts no links, or not at this host.
    """
    if spec.router_mode == "edge":
        raise UsageError("Edge configuration cannot accept connections")
    hosts = spec.ingress_hosts if spec.ingress != "none" else ()
    if not hosts:
        raise UsageError("tokens cannot be generated for sites initialized with ingress type none")
    if wanted and wanted not in hosts:
        raise UsageError(f"tokens can only be generated for the available ingress hosts: [{' '.join(hosts)}]")
    return wanted or hosts[0]


def _no_claims(site: Observation) -> SkupperError | None:
    """Why the site cannot redeem claims, None if it can."""
    assert site.spec is not None
    if site.spec.claims_port is None:
        return ConflictError(
            "this site was made by a release that redeems no claims",
            "to add that: skupper init; or issue a certificate: --token-type cert",
        )
    if not site.spec.claims_port:
        return ConflictError(
            "this site was made with --bind-port-claims 0 and redeems no claims",
            "issue a certificate: --token-type cert",
        )
    controller = site.containers.get(site.names.controller)
    if (
        site.names.claims not in site.volumes
        or controller is None
        or not _published(site, site.names.controller, CLAIMS_PORT)
    ):
        return ConflictError(
            f"container {site.names.controller} does not serve the claims port", "to repair the site: skupper init"
        )
    return None


def _claim_plan(context: Context, site: Observation, request: TokenRequest, host: str) -> TokenPlan:
    assert site.spec is not None
    now = context.now().replace(microsecond=0)
    password = request.password or "".join(secrets.choice(_ALPHABET) for _ in range(_PASSWORD_LENGTH))
    record = ClaimRecord(
        request.name or str(uuid.uuid4()),
        password.encode(),
        now + datetime.timedelta(seconds=request.expiry) if request.expiry > 0 else None,
        request.uses if request.uses > 0 else None,
        host=host,
        created=now,
    )
    if not is_record_name(record.name):
        raise UsageError(f'"{record.name}" is not a valid name of a claim', "use letters, digits, '.', '_' and '-'")
    store = _store(site)
    if record.name in store.names():
        raise ConflictError(
            f'a claim called "{record.name}" already exists',
            f"choose another name with --name, or end it: skupper token revoke {record.name}",
        )
    token = _token_of(site, record, _published(site, site.names.controller, CLAIMS_PORT))
    uses = "any number of uses" if record.remaining is None else f"{record.remaining} use(s)"
    until = rfc3339(record.expires) if record.expires else "never"
    keeping = Step(
        "create",
        f"claim {record.name}",
        lambda: store.add(record),
        lambda: _forget(store, record),
        f"expires {until}, {uses}",
    )
    facts = {
        "name": record.name,
        "host": host,
        "url": token.annotations["skupper.io/url"],
        "expiry": None if record.expires is None else until,
        "uses": record.remaining,
        "warnings": _asleep(site),
    }
    content = _with_head(site, token, host, "")
    return TokenPlan("claim", (keeping,), lambda: content, facts)


def _forget(store: ClaimStore, record: ClaimRecord) -> None:
    """Take the claim back, but not one that somebody else made under the same name."""
    if store.get(record.name) == record:
        store.remove(record.name)


def _token_of(site: Observation, record: ClaimRecord, port: int) -> Token:
    assert site.spec is not None
    file = site.trees.file(site.names.site_ca, "tls.crt")
    if file is None:
        raise _no_authority(site)
    host = f"[{record.host}]" if ":" in record.host else record.host
    url = f"https://{host}:{port}/{record.name}"
    token = claim_token(record.name, site.spec.site_id, url, record.password, file.content)
    limits = {}
    if record.expires is not None:
        limits[CLAIM_EXPIRATION] = rfc3339(record.expires)
    if record.remaining is not None:
        limits[CLAIM_USES] = str(record.remaining)
    return replace(token, annotations={**token.annotations, **limits})


def _asleep(site: Observation) -> list[str]:
    controller = site.containers.get(site.names.controller)
    if controller is not None and controller.running:
        return []
    return [f"{site.names.controller} does not run; the claim can be redeemed when it does (skupper init repairs it)"]


def _certificate_plan(
    context: Context, site: Observation, request: TokenRequest, host: str, warnings: list[str]
) -> TokenPlan:
    spec = site.spec
    assert spec is not None
    name = request.name or "skupper"
    authority = _authority(site)

    def content() -> bytes:
        pair = certs.issue(authority, name, (host,), certs.new_key(), context.now())
        data = {"ca.crt": authority.certificate, "tls.crt": pair.certificate, "tls.key": pair.key}
        token = connection_token(name, spec.site_id, host, _ports(site), data)
        claims_port = _published(site, site.names.controller, CLAIMS_PORT) if spec.serves_claims else 0
        token = with_renewal(token, host, claims_port)
        return _with_head(site, token, host, rfc3339(certs.facts(pair.certificate).not_after))

    return TokenPlan("cert", (), content, {"name": name, "host": host, "warnings": warnings})


def _with_head(site: Observation, token: Token, host: str, until: str) -> bytes:
    assert site.spec is not None
    fingerprint = certs.facts(token.data["ca.crt"]).fingerprint
    return token_head(token, site.spec.name, host, _ports(site), fingerprint, until) + dump_token(token)


def _ports(site: Observation) -> tuple[int, int]:
    """The ports published on the host, as the container has them; as asked for where there is no container."""
    assert site.spec is not None
    return (
        _published(site, site.names.router, INTER_ROUTER_PORT) or site.spec.inter_router_port,
        _published(site, site.names.router, EDGE_PORT) or site.spec.edge_port,
    )


def _published(site: Observation, container: str, port: int) -> int:
    """Where a port of a container is published on the host; 0 if it is not."""
    info = site.containers.get(container)
    ports = {item.container_port: item.host_port for item in info.ports} if info else {}
    return ports.get(port, 0)


def _no_authority(site: Observation) -> PlatformError:
    return PlatformError(
        f"error retrieving CA secret - the certificate authority in volume {site.names.site_ca} is missing or damaged",
        "to repair it: skupper init (links and tokens made before must then be made anew)",
    )


def _authority(site: Observation) -> certs.KeyPair:
    files = (site.trees.file(site.names.site_ca, name) for name in ("tls.crt", "tls.key"))
    certificate, key = (file.content if file else b"" for file in files)
    pair = certs.KeyPair(certificate, key)
    if not certificate or not key or not certs.belongs(pair):
        raise _no_authority(site)
    return pair
