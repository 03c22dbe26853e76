"""A site in source control: YAML documents read into a :class:`Definition`, and written from one.

The documents are ConfigMap ``skupper-site``, ConfigMap ``skupper-services``, and Secrets: tokens, which make links of
their names, and certificates that services name in ``tlsCredentials``. What always holds: a document of another kind,
or with a key that is not known, is refused by name; what is written is read back as the same definition.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import yaml

from skupper_podman.desired import names
from skupper_podman.desired.servicemap import dump_services, parse_services, secret_name
from skupper_podman.desired.sitemap import dump_site, parse_site
from skupper_podman.desired.tokens import dump_token, parse_token
from skupper_podman.errors import InvalidError
from skupper_podman.model.definition import Definition
from skupper_podman.model.link import Token
from skupper_podman.model.service import Service

SITE: Final = "skupper-site"
SERVICES: Final = "skupper-services"
TLS_FILES: Final = ("ca.crt", "tls.crt", "tls.key")
_LIMIT: Final = 8 * 1024 * 1024
_TOP: Final = frozenset({"apiVersion", "kind", "metadata", "data", "stringData", "type"})


def parse_definition(text: str | bytes) -> Definition:
    """Read the documents of a file.

    Raises:
        InvalidError: they are malformed; the message says which one and what.
    """
    if len(text) > _LIMIT:
        raise InvalidError("the file is too large to describe a site")
    try:
        documents = [item for item in yaml.safe_load_all(text) if item is not None]
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InvalidError(f"the file is not YAML: {getattr(error, 'problem', None) or error}") from None
    definition = Definition()
    secrets: dict[str, dict[str, bytes]] = {}
    seen: set[tuple[str, str]] = set()
    for document in documents:
        kind, name = _identity(document)
        if (kind, name) in seen:
            raise InvalidError(f"{kind} {name} is there twice")
        seen.add((kind, name))
        definition = _with(definition, secrets, document, kind, name)
    if not seen:
        raise InvalidError("the file has no documents", "to write one of a site that exists: skupper export")
    return _with_certificates(definition, secrets)


def _identity(document: object) -> tuple[str, str]:
    if not isinstance(document, dict):
        raise InvalidError("a document is no object")
    kind, metadata = str(document.get("kind") or ""), document.get("metadata")
    name = str(metadata.get("name") or "") if isinstance(metadata, dict) else ""
    unknown = sorted(str(key) for key in document if key not in _TOP)
    if kind not in ("ConfigMap", "Secret"):
        raise InvalidError(f"{kind or 'a document without a kind'} is nothing a podman site is made of")
    if unknown:
        raise InvalidError(f"{kind} {name}: {unknown[0]} is no key of it")
    return kind, name


def _with(
    definition: Definition, secrets: dict[str, dict[str, bytes]], document: Mapping[str, Any], kind: str, name: str
) -> Definition:
    if kind == "Secret":
        return _with_secret(definition, secrets, document, name)
    data = _strings(document.get("data"), name)
    if name == SITE:
        site, given = parse_site(data)
        return replace(definition, site=site, given=given)
    if name == SERVICES:
        return replace(definition, services=parse_services(data))
    raise InvalidError(f"ConfigMap {name or 'without a name'} is not known", f"a site has {SITE} and {SERVICES}")


def _with_secret(
    definition: Definition, secrets: dict[str, dict[str, bytes]], document: Mapping[str, Any], name: str
) -> Definition:
    labels = document["metadata"].get("labels")
    if isinstance(labels, dict) and labels.get(names.TYPE_LABEL):
        token = parse_token(yaml.safe_dump(dict(document)))
        return replace(definition, links=(*definition.links, token))
    data = _decoded(document.get("data"), name)
    data |= {key: value.encode() for key, value in _strings(document.get("stringData"), name).items()}
    secrets[name] = data
    return definition


def _with_certificates(definition: Definition, secrets: Mapping[str, Mapping[str, bytes]]) -> Definition:
    """With the files of the Secrets that services name."""
    services, needs = [], set()
    used = {service.tls_credentials for service in definition.services}
    for service in definition.services:
        made = names.tls_directory(service.address)
        secret = secrets.get(service.tls_credentials) if service.tls_credentials else None
        if secret is not None:
            missing = [name for name in TLS_FILES if name not in secret]
            if missing:
                raise InvalidError(f"{missing[0]} file is missing in secret {service.tls_credentials}")
            service = replace(service, tls_files=tuple((name, secret[name]) for name in TLS_FILES))
        elif service.tls_credentials not in ("", made):
            needs.add(service.address)
        services.append(replace(service, tls_credentials=made if service.tls_credentials else ""))
    unused = sorted(secrets.keys() - used)
    if unused:
        raise InvalidError(f"Secret {unused[0]} is no token, and no service names it as its tlsCredentials")
    return replace(definition, services=tuple(services), needs=frozenset(needs))


def _strings(value: object, name: str) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise InvalidError(f"{name}: data is no object")
    for key, item in value.items():
        if not isinstance(item, str):
            text = str(item).lower() if isinstance(item, bool) else item
            raise InvalidError(f'{name}: {key} must be text, in quotes: {key}: "{text}"')
    return dict(value)


def _decoded(value: object, name: str) -> dict[str, bytes]:
    try:
        return {key: base64.b64decode(text, validate=True) for key, text in _strings(value, name).items()}
    except (binascii.Error, ValueError):
        raise InvalidError(f"Secret {name}: its data is not base64") from None


def dump_definition(definition: Definition, *, secrets: bool) -> bytes:
    """The documents as YAML. Without ``secrets`` neither links nor certificates are in it."""
    documents: list[dict[str, Any]] = []
    if definition.site is not None:
        documents.append(_config_map(SITE, dump_site(definition.site)))
    documents.append(_config_map(SERVICES, dump_services(definition.services)))
    parts = [_yaml(document) for document in documents]
    if secrets:
        parts += [_yaml(document) for document in _certificates(definition.services)]
        parts += [dump_token(token) for token in _by_name(definition.links)]
    return b"---\n".join(parts)


def _by_name(tokens: Iterable[Token]) -> list[Token]:
    return sorted(tokens, key=lambda token: token.name)


def _config_map(name: str, data: Mapping[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": dict(data)}


def _certificates(services: Iterable[Service]) -> list[dict[str, Any]]:
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": secret_name(service)},
            "type": "kubernetes.io/tls",
            "data": {name: base64.b64encode(content).decode() for name, content in service.tls_files},
        }
        for service in services
        if service.tls_files
    ]


def _yaml(document: Mapping[str, Any]) -> bytes:
    return yaml.safe_dump(
        dict(document), sort_keys=False, default_flow_style=False, allow_unicode=True, width=1 << 30
    ).encode()
