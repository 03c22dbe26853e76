"""The certificate of a link, renewed at the site that issued it.

What always holds: that site is verified against the authorities the link trusts before anything is believed of it; the
new key is made here and stays here; what comes is looked at before it takes the place of what works. The link's own
volume is written first: ``init`` copies from there to where the router reads.
"""

from __future__ import annotations

import datetime
import http.client
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from skupper_podman import certs
from skupper_podman.certrequests import dump_request, parse_answer
from skupper_podman.desired.names import Names
from skupper_podman.desired.tokens import LinkSecret
from skupper_podman.errors import InvalidError, PlatformError, SkupperError
from skupper_podman.files import FileState
from skupper_podman.platform.podman.authority import CERTIFICATE, KEY, TRUST, pair_files
from skupper_podman.platform.podman.claims import tls_context
from skupper_podman.platform.podman.edits import DirectoryEdit, Trees
from skupper_podman.rotation import trusts
from skupper_podman.router.documents import link_profile_name

TIMEOUT: Final = 10.0
_LIMIT: Final = 1 << 18


def has_other_authorities(link: LinkSecret, timeout: float = TIMEOUT) -> bool:
    """Whether the site at the other end has authorities that the link does not trust yet.

    Raises:
        SkupperError: it cannot be asked.
    """
    return not trusts(link.data.get(TRUST, b""), _asked(link, None, timeout))


def renewed(link: LinkSecret, key: bytes, now: datetime.datetime, timeout: float = TIMEOUT) -> Mapping[str, FileState]:
    """The link's next certificate for ``key`` (PEM), with what to trust: files by name.

    Raises:
        SkupperError: the site cannot be asked, refuses, or answers with something that would not work.
    """
    present = certs.KeyPair(link.data.get(CERTIFICATE, b""), link.data.get(KEY, b""))
    before = certs.facts(present.certificate)
    certificate, authorities = parse_answer(_asked(link, dump_request(present, key), timeout))
    after = certs.facts(certificate)
    if not certs.belongs(certs.KeyPair(certificate, key)) or not certs.signed_by(certificate, authorities):
        raise InvalidError("the answer is a certificate that does not fit")
    if after.subject != before.subject or after.not_after <= now:
        raise InvalidError("the answer is a certificate of another, or one that has ended")
    return {TRUST: FileState(authorities, 0o644), **pair_files(certificate, key)}


class LinkEdit:
    """The files of a link, in its volume and where the router reads them."""

    def __init__(self, own: Names, trees: Trees, link: LinkSecret) -> None:
        self._kept = DirectoryEdit(trees, own.own(link.name), "")
        self._read = DirectoryEdit(trees, own.router_certs, link_profile_name(link.name))

    def do(self, files: Mapping[str, FileState]) -> None:
        """Write them. Raises as :meth:`DirectoryEdit.do`."""
        self._kept.do(files)
        self._read.do(files)

    def undo(self) -> None:
        """Put back what was there. Raises as :meth:`DirectoryEdit.undo`."""
        self._read.undo()
        self._kept.undo()


def _asked(link: LinkSecret, body: bytes | None, timeout: float) -> bytes:
    """What the site at the other end answers to a request, or without one to the question for its authorities.

    Raises:
        InvalidError: it refuses, or there is no such place. PlatformError: it cannot be reached, or is another.
    """
    try:
        parts = urlsplit(link.renewal_url)
        host, port = parts.hostname, parts.port or 443
    except ValueError:
        host, port = None, 0
    if not host or parts.scheme != "https":
        raise InvalidError(f"link {link.name} has no place to renew its certificate at")
    where = f"{host}:{port}"
    connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=tls_context(link.data.get(TRUST)))
    try:
        connection.request("GET" if body is None else "POST", parts.path or "/", body=body)
        response = connection.getresponse()
        text = response.read(_LIMIT)
    except ssl.SSLCertVerificationError as error:
        raise PlatformError(f"{where} is not the site that issued it: {error.verify_message}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise PlatformError(f"{where} cannot be reached ({reason})") from error
    finally:
        connection.close()
    if response.status != 200:
        raise _refusal(where, response.status, text)
    return text


def _refusal(where: str, status: int, text: bytes) -> SkupperError:
    lines = text.decode(errors="replace").strip().splitlines()
    reason = "".join(letter for letter in lines[0] if letter.isprintable())[:200] if lines else ""
    return InvalidError(f"{where} refuses: {reason or f'HTTP status {status}'}")
