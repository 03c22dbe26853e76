"""Claim records: what the issuing site remembers of a claim it gave away, and when the claim may be redeemed.

A record is the Secret that 1.9 keeps on Kubernetes, as YAML. What always holds: the order in which reasons to refuse
are looked at is 1.9's, and so are their HTTP statuses and words; passwords are compared in constant time and are part
of no message.

Format: ``pkg/kube/claims`` of Skupper 1.9.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hmac
import re
from dataclasses import dataclass, field, replace
from typing import Any, Final

import yaml

from skupper_podman import SKUPPER_VERSION
from skupper_podman.desired import names
from skupper_podman.desired.tokens import CLAIM_EXPIRATION, SITE_VERSION
from skupper_podman.errors import InvalidError

RECORD_TYPE: Final = "token-claim-record"
REMAINING: Final = "skupper.io/claims-remaining"
MADE: Final = "skupper.io/claims-made"
HOST: Final = "skupper-podman/ingress-host"
"""Ours: the ingress host that was chosen for the token, so that the certificate token names it as well."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a claim is not honoured: an HTTP status, and 1.9's word for it."""

    status: int
    text: str


NO_SUCH_CLAIM: Final = Refusal(404, "No such claim")
CLAIM_REFUSED: Final = Refusal(403, "Claim refused")
CORRUPTED: Final = Refusal(500, "Corrupted claim")
BUSY: Final = Refusal(503, "Internal error")


@dataclass(frozen=True, slots=True)
class ClaimRecord:
    """A claim as its issuer keeps it: ``expires`` None for never, ``remaining`` None for any number of uses."""

    name: str
    password: bytes = field(repr=False)
    expires: datetime.datetime | None = None
    remaining: int | None = None
    made: int = 0
    host: str = ""
    created: datetime.datetime | None = None
    version: str = SKUPPER_VERSION

    def expired(self, now: datetime.datetime) -> bool:
        """Whether its time is over."""
        return self.expires is not None and self.expires < now

    def refusal(self, password: bytes, now: datetime.datetime) -> Refusal | None:
        """Why it cannot be redeemed with this password now; None if it can."""
        if self.expired(now):
            return NO_SUCH_CLAIM
        if not hmac.compare_digest(self.password, password):
            return CLAIM_REFUSED
        return NO_SUCH_CLAIM if self.remaining is not None and self.remaining <= 0 else None

    def redeemed(self) -> ClaimRecord:
        """The record after one more use."""
        left = None if self.remaining is None else self.remaining - 1
        return replace(self, made=self.made + 1, remaining=left)


def is_record_name(name: str) -> bool:
    """Whether a claim can have this name; it is part of a URL and of a file's name."""
    return bool(_NAME.fullmatch(name))


def dump_record(record: ClaimRecord) -> bytes:
    """The record as YAML (secret)."""
    annotations = {SITE_VERSION: record.version}
    if record.expires is not None:
        annotations[CLAIM_EXPIRATION] = rfc3339(record.expires)
    if record.remaining is not None:
        annotations[REMAINING] = str(record.remaining)
    if record.made:
        annotations[MADE] = str(record.made)
    if record.host:
        annotations[HOST] = record.host
    document = {
        "apiVersion": "v1",
        "data": {"password": base64.b64encode(record.password).decode()},
        "kind": "Secret",
        "metadata": {
            "annotations": annotations,
            "creationTimestamp": rfc3339(record.created) if record.created else None,
            "labels": {names.TYPE_LABEL: RECORD_TYPE},
            "name": record.name,
        },
    }
    return yaml.safe_dump(document, sort_keys=True, default_flow_style=False, width=1 << 30).encode()


def parse_record(name: str, content: bytes) -> ClaimRecord | None:
    """The record called ``name``; None if the document is something else than a claim record.

    Raises:
        InvalidError: it is one, and it is damaged.
    """
    try:
        document = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError):
        raise InvalidError(f"the record of claim {name} is damaged: not YAML") from None
    metadata = _mapping(_mapping(document).get("metadata"))
    if _mapping(metadata.get("labels")).get(names.TYPE_LABEL) != RECORD_TYPE:
        return None
    annotations = {key: str(value) for key, value in _mapping(metadata.get("annotations")).items()}
    try:
        password = base64.b64decode(str(_mapping(document.get("data")).get("password", "")), validate=True)
        return ClaimRecord(
            name,
            password,
            _time(annotations.get(CLAIM_EXPIRATION)),
            _number(annotations.get(REMAINING)),
            _number(annotations.get(MADE)) or 0,
            annotations.get(HOST, ""),
            _time(metadata.get("creationTimestamp")),
            annotations.get(SITE_VERSION, ""),
        )
    except (ValueError, binascii.Error):
        raise InvalidError(f"the record of claim {name} is damaged") from None


def rfc3339(time: datetime.datetime) -> str:
    """A time as Kubernetes writes it, in whole seconds."""
    return time.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _mapping(value: object) -> dict[str, Any]:
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}


def _number(text: str | None) -> int | None:
    return int(text) if text is not None else None


def _time(value: object) -> datetime.datetime | None:
    if value in (None, ""):
        return None
    found = datetime.datetime.fromisoformat(str(value))
    return found.replace(tzinfo=datetime.UTC) if found.tzinfo is None else found.astimezone(datetime.UTC)
