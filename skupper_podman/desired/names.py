"""Names, labels and places of a 1.9 podman site: the facts every other module of the site shares.

Format: ``pkg/domain/podman`` and ``api/types/types.go`` of Skupper 1.9.
"""

from __future__ import annotations

from typing import Final

ROUTER: Final = "skupper-router"
CONTROLLER: Final = "skupper-controller-podman"
COMPONENTS: Final = (ROUTER, CONTROLLER)

COMPONENT_LABEL: Final = "skupper.io/component"
ADDRESS_LABEL: Final = "skupper.io/address"
TYPE_LABEL: Final = "skupper.io/type"
METADATA_LABEL: Final = "internal.skupper.io/metadata"

AUTHORITY_TYPE: Final = "CertAuthority"
CREDENTIAL_TYPE: Final = "Credential"
CONNECTION_TOKEN: Final = "connection-token"  # noqa: S105  the name of a type
TOKEN_CLAIM: Final = "token-claim"  # noqa: S105  the name of a type
LINK_TYPES: Final = (CONNECTION_TOKEN, TOKEN_CLAIM)

LOCAL_CA: Final = "skupper-local-ca"
SITE_CA: Final = "skupper-site-ca"
SERVICE_CA: Final = "skupper-service-ca"
AUTHORITIES: Final = (LOCAL_CA, SITE_CA, SERVICE_CA)

LOCAL_SERVER: Final = "skupper-local-server"
LOCAL_CLIENT: Final = "skupper-local-client"
SERVICE_CLIENT: Final = "skupper-service-client"
CONSOLE_CERTS: Final = "skupper-console-certs"
SITE_SERVER: Final = "skupper-site-server"
CREDENTIALS: Final = (LOCAL_SERVER, LOCAL_CLIENT, SERVICE_CLIENT, CONSOLE_CERTS, SITE_SERVER)

INTERNAL: Final = "skupper-internal"
SERVICES: Final = "skupper-services"
ROUTER_CERTS: Final = "skupper-router-certs"
CONSOLE_USERS: Final = "skupper-console-users"
NETWORK_STATUS: Final = "skupper-network-status"
PROMETHEUS_CONFIG: Final = "prometheus-server-config"
PROMETHEUS_STORAGE: Final = "prometheus-storage-volume"
CLAIMS: Final = "skupper-claims"
"""Ours: the records of claims that this site gave away; only a site that accepts links has it."""
PLAIN_VOLUMES: Final = (
    INTERNAL,
    SERVICES,
    ROUTER_CERTS,
    CONSOLE_USERS,
    NETWORK_STATUS,
    PROMETHEUS_CONFIG,
    PROMETHEUS_STORAGE,
)
SITE_VOLUMES: Final = (*AUTHORITIES, *CREDENTIALS, *PLAIN_VOLUMES, CLAIMS)
"""Every volume a site may have that has no links."""

ROUTER_CONFIG_FILE: Final = "skrouterd.json"
SERVICES_FILE: Final = "skupper-services.json"
STATUS_FILE: Final = "skupper-network-status.json"
SITE_FILE: Final = "skupper-podman-site.json"
"""Beside the router's configuration, what was asked of ``init``; 1.9 ignores it."""

CONFIG_PATH: Final = "/etc/skupper-router/config"
CERTIFICATES_PATH: Final = "/etc/skupper-router-certs"
SERVICES_PATH: Final = "/etc/skupper-services"
STATUS_PATH: Final = "/etc/skupper-network-status"
MESSAGING_PATH: Final = "/etc/messaging"
CONSOLE_USERS_PATH: Final = "/etc/console-users"
CONSOLE_CERTS_PATH: Final = "/etc/service-controller/console"
CLAIMS_PATH: Final = "/etc/skupper-claims"
SITE_CA_PATH: Final = "/etc/skupper-site-ca"

LOCAL_HOST: Final = "skupper-router-local"
"""Name under which the router's own listeners are reached on the site's network."""

UNIT: Final = "skupper-podman.service"


def tls_directory(address: str) -> str:
    """Directory of a TLS service's own credential, and the name of its profile."""
    return f"skupper-tls-{address}"
