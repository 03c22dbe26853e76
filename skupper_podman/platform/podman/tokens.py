"""Issuing tokens: a certificate of the site's own authority, and where to connect with it."""

from __future__ import annotations

from skupper_podman import certs
from skupper_podman.desired import names
from skupper_podman.desired.tokens import connection_token, dump_token
from skupper_podman.errors import PlatformError, UsageError
from skupper_podman.model.site import EDGE_PORT, INTER_ROUTER_PORT
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.observe import Observation


def create_token(context: Context, name: str, ingress_host: str) -> bytes:
    """Issue a token; see :meth:`skupper_podman.platform.Platform.create_token`."""
    site = context.site((names.ROUTER,))
    spec = site.spec
    assert spec is not None
    if spec.router_mode == "edge":
        raise UsageError("Edge configuration cannot accept connections")
    hosts = spec.ingress_hosts if spec.ingress != "none" else ()
    if not hosts:
        raise UsageError("tokens cannot be generated for sites initialized with ingress type none")
    host = ingress_host or hosts[0]
    if host not in hosts:
        raise UsageError(f"tokens can only be generated for the available ingress hosts: [{' '.join(hosts)}]")
    authority = _authority(site)
    pair = certs.issue(authority, name or "skupper", (host,), certs.new_key(), context.now())
    data = {"ca.crt": authority.certificate, "tls.crt": pair.certificate, "tls.key": pair.key}
    return dump_token(connection_token(name or "skupper", spec.site_id, host, _ports(site), data))


def _ports(site: Observation) -> tuple[int, int]:
    """The ports published on the host, as the container has them; as asked for where there is no container."""
    assert site.spec is not None
    router = site.containers.get(names.ROUTER)
    published = {port.container_port: port.host_port for port in router.ports} if router else {}
    return (
        published.get(INTER_ROUTER_PORT, site.spec.inter_router_port),
        published.get(EDGE_PORT, site.spec.edge_port),
    )


def _authority(site: Observation) -> certs.KeyPair:
    files = (site.trees.file(names.SITE_CA, name) for name in ("tls.crt", "tls.key"))
    certificate, key = (file.content if file else b"" for file in files)
    pair = certs.KeyPair(certificate, key)
    if not certificate or not key or not certs.belongs(pair):
        raise PlatformError(
            f"error retrieving CA secret - the certificate authority in volume {names.SITE_CA} is missing or damaged",
            "to repair it: skupper init (links and tokens made before must then be made anew)",
        )
    return pair
