"""TLS of services: what is checked of certificates that users bring, and where those are that the site makes.

What always holds: a key that does not belong to its certificate is found before the first change; what a user gave is
never replaced by what the site would make.
"""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

from skupper_podman import certs
from skupper_podman.desired import names
from skupper_podman.errors import UsageError
from skupper_podman.model.service import Service
from skupper_podman.platform.podman.observe import Observation

CERTIFICATE, KEY, AUTHORITY = "tls.crt", "tls.key", "ca.crt"


def check(service: Service) -> None:
    """Check that TLS is possible with the protocol, and that the files given fit each other.

    Raises:
        UsageError: they do not.
    """
    if service.protocol == "http" and service.tls_credentials:
        raise UsageError("TLS is not possible with protocol http; use tcp or http2")
    if not service.tls_files:
        return
    files = dict(service.tls_files)
    for name in (CERTIFICATE, KEY, AUTHORITY):
        if not files.get(name, b"").strip():
            raise UsageError(f"{name} is missing among the TLS files of service {service.address}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _check_trust(context, files[AUTHORITY])
    if not certs.belongs(certs.KeyPair(files[CERTIFICATE], files[KEY])):
        raise UsageError(f"{KEY} does not belong to {CERTIFICATE}, or one of them cannot be read")


def _check_trust(context: ssl.SSLContext, authorities: bytes) -> None:
    try:
        context.load_verify_locations(cadata=authorities.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise UsageError(f"{AUTHORITY} holds no certificates in PEM form") from None


def trusting(site: Observation, service: Service, trust: bytes) -> Service:
    """The service with other authorities for its targets; unchanged where ``trust`` is empty.

    Raises:
        UsageError: it has no TLS, or they are no certificates.
    """
    if not trust:
        return service
    if not service.tls_credentials:
        raise UsageError(
            f"service {service.address} has no TLS, so there is nothing to trust",
            "make it with --generate-tls-secrets or --tls-cert",
        )
    _check_trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust)
    directory = names.tls_directory(service.address)
    found = {
        name: file.content
        for name in (CERTIFICATE, KEY)
        if (file := site.present.files.get((site.names.router_certs, f"{directory}/{name}"))) is not None
    }
    return replace(service, tls_files=tuple(sorted({**found, AUTHORITY: trust}.items())))


def notes(site: Observation, service: Service) -> list[str]:
    """Where servers find the certificate that the site makes for them."""
    if not service.tls_credentials or service.tls_files or site.names.router_certs not in site.volumes:
        return []
    place = Path(site.volumes[site.names.router_certs].mountpoint) / names.tls_directory(service.address)
    return [f"servers of {service.address} must speak TLS, with the certificate made for them in {place}"]
