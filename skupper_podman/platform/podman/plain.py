"""What a site is, read without a probe: its identity, links, services and certificate."""

from __future__ import annotations

from skupper_podman.desired.gatewaytrust import site_part
from skupper_podman.model.definition import Definition
from skupper_podman.model.link import Link, Token
from skupper_podman.model.service import Service
from skupper_podman.platform.podman.asking import RouterAnswers
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.linkstatus import link_statuses


def identity(context: Context) -> tuple[str, str]:
    """Name and id; see :meth:`skupper_podman.platform.Platform.identity`."""
    spec = context.recent_site().spec
    assert spec is not None
    return spec.name, spec.site_id


def links(context: Context) -> tuple[Link, ...]:
    """The links; see :meth:`skupper_podman.platform.Platform.links`."""
    return tuple(status.link for status in link_statuses(context.site(), RouterAnswers(), context.now))


def definition(context: Context) -> Definition:
    """The site as source control keeps it; see :meth:`skupper_podman.platform.Platform.definition`."""
    site = context.site(context.names.components)
    tokens = (
        Token(link.name, link.kind, dict(link.labels), dict(link.annotations), dict(link.data)) for link in site.links
    )
    local = tuple(service for service in site.services if not service.origin)
    return Definition(site.spec, frozenset(), local, tuple(sorted(tokens, key=lambda token: token.name)))


def services(context: Context) -> tuple[Service, ...]:
    """The services; see :meth:`skupper_podman.platform.Platform.services`."""
    return context.site().services


def site_certificate(context: Context) -> tuple[bytes, bytes]:
    """The certificate shown to others; see :meth:`skupper_podman.platform.Platform.site_certificate`."""
    trees = context.site().trees
    files = [trees.file(context.names.site_server, name) for name in ("tls.crt", "ca.crt")]
    certificate, authority = (file.content if file else b"" for file in files)
    return certificate, site_part(authority)
