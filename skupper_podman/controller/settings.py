"""What the controller is told at its start: by its environment, as Skupper 1.9 containers are, or by options.

What always holds: a setting that is missing or malformed is one clear error before anything runs. Certificates are
named here and read at each connection, so renewed ones are taken up without a restart.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from skupper_podman.errors import InvalidError, UsageError

MESSAGING = Path("/etc/messaging")
DEFAULT_URL = "amqps://skupper-router-local:5671"
SITE_FILE = Path("/etc/skupper-router/config/skupper-podman-site.json")
"""What was asked of init."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The router's listener. Without ``ca`` the connection is plain and anonymous."""

    host: str
    port: int
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    verify_host: bool = True

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'amqps' if self.ca else 'amqp'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ClaimSettings:
    """Where the claims server listens (port 0 for nowhere), and the files it works with.

    ``directory`` has the records of claims, ``authority`` the certificate and key that sign for those who redeem one,
    ``server`` the certificate it shows, ``site_file`` is :data:`SITE_FILE`; ``gateways`` has the records and
    authorities of gateways.
    """

    host: str = "0.0.0.0"
    port: int = 0
    directory: Path = Path("/etc/skupper-claims")
    authority: Path = Path("/etc/skupper-site-ca")
    server: Path = Path("/etc/skupper-router-certs/skupper-internal")
    site_file: Path = SITE_FILE
    gateways: Path = Path("/etc/skupper-gateways")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the controller is told."""

    site_id: str
    site_name: str
    platform: str
    namespace: str
    router_mode: str
    host_name: str
    endpoint: Endpoint
    status_file: Path
    services_file: Path
    health_host: str
    health_port: int
    claims: ClaimSettings = ClaimSettings()
    site_file: Path = SITE_FILE
    messaging: Path = MESSAGING
    profiles: Path = Path("/etc/skupper-router-certs")
    """Where the certificates of the site's routers are, a directory each."""


def endpoint_of_url(url: str, directory: Path = MESSAGING) -> Endpoint:
    """Endpoint of ``amqp://host[:port]`` or ``amqps://host[:port]`` with the certificates of a directory.

    Raises:
        InvalidError: another scheme, no host, or a bad port.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidError(f"invalid router address {url!r}") from None
    if parts.scheme not in ("amqp", "amqps") or not parts.hostname:
        raise InvalidError(f"invalid router address {url!r}", "Use amqps://host:port or amqp://host:port.")
    if parts.scheme == "amqp":
        return Endpoint(parts.hostname, port or 5672)
    return Endpoint(parts.hostname, port or 5671, directory / "ca.crt", directory / "tls.crt", directory / "tls.key")


def endpoint_of_connect_json(text: str | bytes, directory: Path = MESSAGING) -> Endpoint:
    """Endpoint of a ``connect.json``; certificates that it does not name are those of the directory.

    Raises:
        InvalidError: it is malformed.
    """
    try:
        document: Any = json.loads(text)
        scheme, host, port = document.get("scheme", "amqps"), document["host"], int(document.get("port", 5671))
        tls = document.get("tls") or {}
        paths = {name: str(tls[name]) for name in ("ca", "cert", "key") if tls.get(name)}
        verify = tls.get("verify", True) is not False
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidError(f"invalid connect.json: {error!r}") from None
    if scheme not in ("amqp", "amqps") or not isinstance(host, str) or not host or not 0 < port < 65536:
        raise InvalidError("invalid connect.json: scheme, host or port")
    if scheme == "amqp":
        return Endpoint(host, port)
    return Endpoint(
        host,
        port,
        Path(paths.get("ca", directory / "ca.crt")),
        Path(paths.get("cert", directory / "tls.crt")),
        Path(paths.get("key", directory / "tls.key")),
        verify,
    )


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="skupper-controller-podman",
        description="Site controller: reports this site to its service network and writes the network's status.",
    )

    def option(name: str, variable: str, default: str, text: str) -> None:
        value = (environment.get(variable) if variable else "") or default
        origin = f" (default: ${variable})" if variable else f" (default: {default})"
        parser.add_argument(name, default=value, help=text + origin, metavar=name.rpartition("-")[2].upper())

    option("--site-id", "SKUPPER_SITE_ID", "", "identity of the site")
    option("--site-name", "SKUPPER_SITE_NAME", "", "name of the site")
    option("--router-mode", "SKUPPER_ROUTER_MODE", "interior", "interior or edge")
    option("--platform", "SKUPPER_PLATFORM", "podman", "platform of the site")
    option("--namespace", "SKUPPER_NAMESPACE", "", "namespace of the site")
    option("--host-name", "SKUPPER_HOST_NAME", "", "name of the host")
    option("--url", "", "", f"router address, instead of connect.json or {DEFAULT_URL}")
    option("--messaging", "", str(MESSAGING), "directory of the client certificate and connect.json")
    option("--status", "", "/etc/skupper-network-status", "directory of the network status file")
    option("--services", "", "/etc/skupper-services/skupper-services.json", "service definitions")
    option("--site-file", "", str(SITE_FILE), "what was asked of init")
    option("--health-host", "", "0.0.0.0", "address of the health server")
    option("--health-port", "", "8080", "port of the health server, 0 for none")
    option("--claims-port", "SKUPPER_CLAIMS_PORT", "0", "port at which claims are redeemed, 0 for none")
    option("--claims", "", "/etc/skupper-claims", "directory of the records of claims")
    parser.add_argument("--no-verify-host", action="store_true", help="do not check the router's host name")
    return parser


def parse(argv: Sequence[str], environment: Mapping[str, str], host_name: str) -> Settings:
    """Read options and environment. ``host_name`` is used where none is given.

    Raises:
        UsageError: site name or id is missing, or a value is out of range.
        InvalidError: a malformed router address or connect.json.
        SystemExit: wrong options, or ``--help``.
    """
    options = _parser(environment).parse_args(argv)
    for name, variable in (("site_id", "SKUPPER_SITE_ID"), ("site_name", "SKUPPER_SITE_NAME")):
        if not getattr(options, name):
            raise UsageError(f"{variable} is not set", f"Set it, or use --{name.replace('_', '-')}.")
    for port in (options.health_port, options.claims_port):
        if not port.isdecimal() or int(port) > 65535:
            raise UsageError(f"invalid port {port!r}")
    endpoint = _endpoint(options.url, Path(options.messaging))
    return Settings(
        site_id=options.site_id,
        site_name=options.site_name,
        platform=options.platform,
        namespace=options.namespace,
        router_mode=options.router_mode,
        host_name=options.host_name or host_name,
        endpoint=replace(endpoint, verify_host=endpoint.verify_host and not options.no_verify_host),
        status_file=Path(options.status) / "skupper-network-status.json",
        services_file=Path(options.services),
        health_host=options.health_host,
        health_port=int(options.health_port),
        claims=ClaimSettings(
            port=int(options.claims_port), directory=Path(options.claims), site_file=Path(options.site_file)
        ),
        site_file=Path(options.site_file),
        messaging=Path(options.messaging),
    )


def _endpoint(url: str, messaging: Path) -> Endpoint:
    if url:
        return endpoint_of_url(url, messaging)
    try:
        text = (messaging / "connect.json").read_bytes()
    except OSError:
        return endpoint_of_url(DEFAULT_URL, messaging)
    return endpoint_of_connect_json(text, messaging)
