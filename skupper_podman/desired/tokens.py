"""Tokens: the file one site gives another, and the label in which a link's volume keeps what the file said.

A token is a Kubernetes Secret as YAML. What always holds: parsing trusts nothing in it (a token comes from another
machine), names what is wrong, and never puts secret data into a message.

Format: ``pkg/domain/token.go`` and ``pkg/domain/podman/link.go`` of Skupper 1.9.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, cast

import yaml

from skupper_podman import SKUPPER_VERSION
from skupper_podman.desired import names
from skupper_podman.desired.gojson import compact
from skupper_podman.errors import InvalidError, LinkCheckError
from skupper_podman.model.link import Token, TokenKind

GENERATED_BY: Final = "skupper.io/generated-by"
SITE_VERSION: Final = "skupper.io/site-version"
COST: Final = "skupper.io/cost"
CLAIM_URL: Final = "skupper.io/url"
CLAIM_EXPIRATION: Final = "skupper.io/claim-expiration"
CLAIM_USES: Final = "skupper-podman/claim-uses"
"""Ours: how often a claim could be redeemed when it was issued; others ignore it."""
RENEWAL_URL: Final = "skupper-podman/renewal-url"
"""Ours: where whoever holds the certificate gets the next one; others ignore it."""
TEMPLATE: Final = "skupper.io/token-template"

CERTIFICATE_FIELDS: Final = ("tls.key", "tls.crt", "ca.crt")
_MAX_TOKEN: Final = 1 << 20
_LINK_NUMBER: Final = re.compile(r"link([0-9]{1,9})")
_LINK_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


@dataclass(frozen=True, slots=True)
class LinkSecret:
    """A link as its volume holds it: what the token said, and its files (secret)."""

    name: str
    kind: TokenKind
    annotations: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    created: datetime.datetime | None = None

    @property
    def cost(self) -> int:
        """The cost kept with it, 1 when there is none."""
        return token_cost(self.annotations) or 1

    @property
    def peer_site_id(self) -> str:
        """Id of the site that issued the token, or empty."""
        return self.annotations.get(GENERATED_BY, "")

    @property
    def renewal_url(self) -> str:
        """Where its certificate is renewed; empty where that site does not do that, as those of 1.9."""
        return self.annotations.get(RENEWAL_URL, "")

    def endpoint(self, role: str = "inter-router") -> tuple[str, str]:
        """Host and port it connects to in that role."""
        return self.annotations.get(f"{role}-host", ""), self.annotations.get(f"{role}-port", "")


def parse_token(text: str | bytes) -> Token:
    """Read a token file.

    Raises:
        InvalidError: it is not a token; the message says what is missing.
    """
    if len(text) > _MAX_TOKEN:
        raise InvalidError("Could not parse connection token: the file is too large")
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        reason = str(getattr(error, "problem", None) or "not YAML")
        raise InvalidError(f"Could not parse connection token: {reason}") from None
    if not isinstance(document, dict):
        raise InvalidError("invalid Skupper token", "use a file written by 'skupper token create'")
    metadata = _mapping(document.get("metadata"))
    labels = _strings(metadata.get("labels"))
    kind = labels.get(names.TYPE_LABEL)
    if not labels:
        raise InvalidError("invalid Skupper token", "use a file written by 'skupper token create'")
    if kind not in names.LINK_TYPES:
        raise InvalidError("unable to determine token type" if not kind else "invalid type token")
    return Token(
        name=str(metadata.get("name") or "skupper"),
        kind=cast("TokenKind", kind),
        labels=labels,
        annotations=_strings(metadata.get("annotations")),
        data={key: _decode(key, value) for key, value in _mapping(document.get("data")).items()},
    )


def dump_token(token: Token) -> bytes:
    """The token file's bytes (secret)."""
    document = {
        "apiVersion": "v1",
        "data": {name: base64.b64encode(value).decode() for name, value in token.data.items()},
        "kind": "Secret",
        "metadata": {
            "annotations": dict(token.annotations),
            "creationTimestamp": None,
            "labels": dict(token.labels),
            "name": token.name,
        },
        "type": "kubernetes.io/tls",
    }
    if token.kind == names.TOKEN_CLAIM:
        del document["type"]
    return yaml.safe_dump(document, sort_keys=True, default_flow_style=False, width=1 << 30).encode()


def connection_token(
    name: str,
    site_id: str,
    host: str,
    ports: tuple[int, int],
    data: Mapping[str, bytes],
    version: str = SKUPPER_VERSION,
) -> Token:
    """A token that lets its holder connect to ``host`` on ``ports`` (inter-router, edge)."""
    annotations = {
        "inter-router-host": host,
        "inter-router-port": str(ports[0]),
        "edge-host": host,
        "edge-port": str(ports[1]),
        GENERATED_BY: site_id,
        SITE_VERSION: version,
    }
    labels = {names.TYPE_LABEL: names.CONNECTION_TOKEN}
    return Token(name, "connection-token", labels, annotations, dict(data))


RENEWAL_PATH: Final = "/.renewal"
"""On the claims port; no claim can have that name."""
RENEWS_HEADER: Final = "skupper-podman-renews"
"""Sent by a site that redeems a claim and can renew the certificate it gets."""


def with_renewal(token: Token, host: str, claims_port: int) -> Token:
    """The token of a site that serves claims there, and renews the certificates it issued; as it is without a port."""
    if not claims_port:
        return token
    return replace(token, annotations={**token.annotations, RENEWAL_URL: renewal_url(host, claims_port)})


def renewal_url(host: str, claims_port: int) -> str:
    """Where the site that is reached at ``host`` renews certificates."""
    return f"https://{f'[{host}]' if ':' in host else host}:{claims_port}{RENEWAL_PATH}"


def claim_token(name: str, site_id: str, url: str, password: bytes, authority: bytes) -> Token:
    """A token that its holder exchanges for a connection token at ``url``, without limits (see the annotations)."""
    annotations = {CLAIM_URL: url, GENERATED_BY: site_id, SITE_VERSION: SKUPPER_VERSION}
    data = {"password": password, "ca.crt": authority}
    return Token(name, "token-claim", {names.TYPE_LABEL: names.TOKEN_CLAIM}, annotations, data)


Role = Literal["inter-router", "edge"]


def check_token(token: Token, site_id: str, links: Mapping[str, str], role: Role = "inter-router") -> None:
    """Check that a link may be made from the token by the site ``site_id``, whose links are ``links`` (name: peer id).

    Raises:
        LinkCheckError: a field is missing, it is this site's own token, a link to its site exists, or it is too old.
    """
    check_fields(token, role)
    check_origin(token, site_id, links)


def check_fields(token: Token, role: Role = "inter-router") -> None:
    """Check that the token has all a link of that role needs.

    Raises:
        LinkCheckError: a field is missing.
    """
    if token.kind == names.TOKEN_CLAIM:
        _require(token, ("password",))
        if not token.annotations.get(CLAIM_URL):
            raise LinkCheckError("link-token", "Expected skupper.io/url annotation")
    else:
        _require(token, ("ca.crt",) if TEMPLATE in token.annotations else CERTIFICATE_FIELDS)
        _check_endpoint(token, role)
    if not token.annotations:
        raise LinkCheckError("link-token", "The secret has not annotations")
    if not token.generated_by:
        raise LinkCheckError("link-token", "Can't find secret origin.")


def check_origin(token: Token, site_id: str, links: Mapping[str, str]) -> None:
    """Check that the token is another site's, to which there is no link, and which is not too old.

    Raises:
        LinkCheckError: it is not.
    """
    origin = token.generated_by
    if origin == site_id:
        raise LinkCheckError("link-self", "Can't create connection to self with token", "use the token on another host")
    for name, peer in links.items():
        if peer == origin:
            raise LinkCheckError(
                "link-duplicate",
                f'Already connected to "{origin}".',
                f"the link is {name}; to replace it by one with this token, as after revoke-access: --replace; "
                f"to change its cost: skupper link update {name} --cost N",
            )
    try:
        check_version(token.site_version)
    except InvalidError as error:
        raise LinkCheckError("link-version", error.message, "update the other site") from None


def check_version(version: str) -> None:
    """Refuse sites older than 0.8.0; a version that is no number passes, an absent one does not.

    Raises:
        InvalidError: the version is too old or absent.
    """
    match = re.match(r"v?(\d+)\.(\d+)", version)
    if not version or (match and (int(match[1]), int(match[2])) < (0, 8)):
        raise InvalidError(f"minimum version required 0.8.0 - remote site version is {version or 'undefined'}")


def next_link_name(existing: tuple[str, ...]) -> str:
    """``link<n>`` with n one more than the highest in use."""
    numbers = [int(match[1]) for name in existing if (match := _LINK_NUMBER.fullmatch(name))]
    return f"link{max(numbers, default=0) + 1}"


def check_link_name(name: str) -> str:
    """Return ``name`` if it may name a link (it names a volume, a directory and a connector too).

    Raises:
        InvalidError: it may not.
    """
    if not _LINK_NAME.fullmatch(name) or name in names.DEFAULT.site_volumes:
        raise InvalidError(f'"{name}" is not a valid link name', "use letters, digits, '.', '_' and '-'")
    return name


def token_cost(annotations: Mapping[str, str]) -> int | None:
    """The cost the token asks for, or None when it asks for none that is a number."""
    text = annotations.get(COST, "")
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text) < 1 << 31 else None


def metadata_label(secret: LinkSecret) -> str:
    """The label that keeps a link's name, labels and annotations: a Kubernetes ObjectMeta as compact JSON."""
    created = secret.created.strftime("%Y-%m-%dT%H:%M:%SZ") if secret.created else None
    metadata: dict[str, Any] = {"name": secret.name, "creationTimestamp": created}
    if secret.labels:
        metadata["labels"] = dict(sorted(secret.labels.items()))
    if secret.annotations:
        metadata["annotations"] = dict(sorted(secret.annotations.items()))
    return compact(metadata)


def parse_link(
    name: str, labels: Mapping[str, str], data: Mapping[str, bytes], own: names.Names = names.DEFAULT
) -> LinkSecret | None:
    """The link whose volume has these labels and files, or None when it is not a link's volume."""
    kind = labels.get(own.type_label)
    if kind not in names.LINK_TYPES:
        return None
    try:
        metadata = _mapping(json.loads(labels.get(names.METADATA_LABEL, "{}")))
    except (ValueError, RecursionError):
        metadata = {}
    return LinkSecret(
        name,
        cast("TokenKind", kind),
        _strings(metadata.get("annotations")),
        _strings(metadata.get("labels")),
        dict(data),
        _time(metadata.get("creationTimestamp")),
    )


def _require(token: Token, fields: tuple[str, ...]) -> None:
    for name in fields:
        if not token.data.get(name):
            raise LinkCheckError("link-token", f"Expected {name} field in secret data")


def _check_endpoint(token: Token, role: Role) -> None:
    host, port = token.endpoint(role)
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise LinkCheckError(
            "link-token",
            "Secret is not a valid skupper token",
            f"it names no host and port for {role} connections; ask for a new token",
        )


def _mapping(value: object) -> dict[str, Any]:
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}


def _strings(value: object) -> dict[str, str]:
    return {key: str(item) for key, item in _mapping(value).items() if item is not None}


def _decode(name: str, value: object) -> bytes:
    try:
        return base64.b64decode("".join(str(value).split()), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidError(f"Could not parse connection token: field {name} is not base64") from None


def _time(value: object) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromisoformat(str(value)).astimezone(datetime.UTC) if value else None
    except ValueError:
        return None
