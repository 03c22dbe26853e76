"""Names, labels and places of a podman site: the facts every other module of the site shares.

What always holds: whatever the site has on its host (containers, volumes, the network, the label on all of them) is
named by :class:`Names`, and by nothing else; what is seen only inside the site (its own network, its containers) has
the same name in every site, and is a constant here.

Format: ``pkg/domain/podman`` and ``api/types/types.go`` of Skupper 1.9.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from skupper_podman.model.namespace import scoped

if TYPE_CHECKING:
    from skupper_podman.model.service import Service
    from skupper_podman.model.site import SiteSpec

APPLICATION_LABEL: Final = "application"
"""The label on everything that is ours; its value tells whose."""
TYPE_LABEL: Final = "skupper.io/type"
"""Of a token and of a claim's record, whoever issued them; volumes have :attr:`Names.type_label`."""
METADATA_LABEL: Final = "internal.skupper.io/metadata"
ALLOWED_SITES: Final = "skupper-podman/allowed-sites"
"""The sites that may use a service: a label in the services file, for of all that 1.9 does not know its command line
keeps only labels; an annotation in messages, since Kubernetes takes no commas in labels."""

AUTHORITY_TYPE: Final = "CertAuthority"
CREDENTIAL_TYPE: Final = "Credential"
CONNECTION_TOKEN: Final = "connection-token"  # noqa: S105  the name of a type
TOKEN_CLAIM: Final = "token-claim"  # noqa: S105  the name of a type
LINK_TYPES: Final = (CONNECTION_TOKEN, TOKEN_CLAIM)

ROUTER: Final = "skupper-router"
CONTROLLER: Final = "skupper-controller-podman"
"""What the components are called in their label and on the site's own network."""
LOCAL_HOST: Final = "skupper-router-local"
"""Name under which the router's own listeners are reached on the site's network."""
CONSOLE_HOST: Final = "skupper"

ROUTER_CONFIG_FILE: Final = "skrouterd.json"
SERVICES_FILE: Final = "skupper-services.json"
STATUS_FILE: Final = "skupper-network-status.json"
SYNC_FILE: Final = "skupper-service-sync.json"
"""Beside the network's status: what the controller learned of other sites' services."""
SYNC_FAILURES_FILE: Final = "skupper-service-sync-failures.json"
"""Beside it: which of them the supervisor could not make here, and why."""
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
GATEWAYS_PATH: Final = "/etc/skupper-gateways"
SITE_CA_PATH: Final = "/etc/skupper-site-ca"

SERVICE_CLIENT_PATH: Final = f"{CERTIFICATES_PATH}/skupper-service-client"
LOCAL_SERVER_PATH: Final = f"{CERTIFICATES_PATH}/skupper-amqps"
SITE_SERVER_PATH: Final = f"{CERTIFICATES_PATH}/skupper-internal"


def aside(container: str, mark: str) -> str:
    """What a container is called that makes way for another one; ``mark`` is six hexadecimal digits."""
    return f"{container}-replaced-{mark}"


def is_aside(container: str) -> bool:
    """Whether a container has such a name: a command is replacing it, or was killed as it did."""
    return re.search("-replaced-[0-9a-f]{6}$", container) is not None


def tls_directory(address: str) -> str:
    """Directory of a TLS service's own credential, and the name of its profile."""
    return f"skupper-tls-{address}"


class _Own:
    """A name of 1.9, of which every site has its own."""

    def __init__(self, plain: str) -> None:
        self._plain = plain

    def __get__(self, names: Names, owner: type[Names]) -> str:
        return names.own(self._plain)


@dataclass(frozen=True, slots=True)
class Names:
    """What the site called ``namespace`` calls its things on the host; empty for the site with the names of 1.9."""

    namespace: str = ""

    application = _Own("skupper")
    """Value of the label :data:`APPLICATION_LABEL`."""
    component_label = _Own("skupper.io/component")
    address_label = _Own("skupper.io/address")
    type_label = _Own("skupper.io/type")
    """What containers and volumes are. 1.9 looks for its own names of these labels only, and deletes what has them,
    whatever the application; so named sites have others, and it leaves them alone."""
    network = _Own("skupper")
    """The network of a site for which no other one was asked."""

    router = _Own(ROUTER)
    controller = _Own(CONTROLLER)

    local_ca = _Own("skupper-local-ca")
    site_ca = _Own("skupper-site-ca")
    service_ca = _Own("skupper-service-ca")

    local_server = _Own("skupper-local-server")
    local_client = _Own("skupper-local-client")
    service_client = _Own("skupper-service-client")
    console_certs = _Own("skupper-console-certs")
    site_server = _Own("skupper-site-server")

    internal = _Own("skupper-internal")
    services = _Own("skupper-services")
    router_certs = _Own("skupper-router-certs")
    console_users = _Own("skupper-console-users")
    network_status = _Own("skupper-network-status")
    prometheus_config = _Own("prometheus-server-config")
    prometheus_storage = _Own("prometheus-storage-volume")
    claims = _Own("skupper-claims")
    """Ours: the records of claims that this site gave away; only a site that accepts links has it."""
    gateways = _Own("skupper-gateways")
    """Ours: the records of gateways, and their authorities; a site has it that serves claims or has gateways."""

    @classmethod
    def of(cls, spec: SiteSpec) -> Names:
        """The names of that site."""
        return cls(spec.namespace)

    @classmethod
    def of_labels(cls, labels: Mapping[str, str]) -> Names | None:
        """The names of the site to which something with these labels belongs; None if it is no site's."""
        plain, _, namespace = labels.get(APPLICATION_LABEL, "").partition(".")
        found = cls(namespace)
        return found if found.owns(labels) and plain == "skupper" else None

    def own(self, plain: str) -> str:
        """What this site calls that of which the site without a name has ``plain``: a link's volume, a container."""
        return scoped(plain, self.namespace)

    def plain(self, own: str) -> str:
        """The reverse of :meth:`own`; a name that has not this site's form is returned as it is."""
        return own.removesuffix(scoped("", self.namespace))

    def service(self, service: Service) -> str:
        """The container of a service: the name asked for, or the address."""
        return service.container_name or self.own(service.address)

    @property
    def labels(self) -> dict[str, str]:
        """The label on everything of this site."""
        return {APPLICATION_LABEL: self.application}

    def owns(self, labels: Mapping[str, str]) -> bool:
        """Whether something with these labels is this site's."""
        return labels.get(APPLICATION_LABEL) == self.application

    @property
    def components(self) -> tuple[str, ...]:
        """The containers that every site has."""
        return self.router, self.controller

    def is_component(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether the container ``name`` is one of them, not one that was set aside under another name."""
        return name == self.own(labels.get(self.component_label, ""))

    @property
    def authorities(self) -> tuple[str, ...]:
        """The volumes of certificate authorities."""
        return self.local_ca, self.site_ca, self.service_ca

    @property
    def credentials(self) -> tuple[str, ...]:
        """The volumes of credentials."""
        return self.local_server, self.local_client, self.service_client, self.console_certs, self.site_server

    @property
    def plain_volumes(self) -> tuple[str, ...]:
        """The volumes without certificates."""
        return (
            self.internal,
            self.services,
            self.router_certs,
            self.console_users,
            self.network_status,
            self.prometheus_config,
            self.prometheus_storage,
        )

    @property
    def site_volumes(self) -> tuple[str, ...]:
        """Every volume a site may have that has no links."""
        return (*self.authorities, *self.credentials, *self.plain_volumes, self.claims, self.gateways)


DEFAULT: Final = Names()
"""The names of 1.9."""


def is_kept_label(name: str) -> bool:
    """Whether a label of this name is no user's to give; those of named sites begin with those of 1.9."""
    kinds = (DEFAULT.address_label, DEFAULT.component_label, DEFAULT.type_label)
    return name in (APPLICATION_LABEL, METADATA_LABEL, ALLOWED_SITES) or name.startswith(kinds)
