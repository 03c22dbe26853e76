"""Renews the certificates of links and gateways of this site: whoever holds one gets the next, for a key of their own.

On the claims port, ``GET`` of :data:`~skupper_podman.desired.tokens.RENEWAL_PATH` gives the authorities of this site,
``POST`` of a request (:mod:`skupper_podman.certrequests`) a certificate. What always holds:
a certificate is given only for one that an authority of this site, or of one of its gateways, issued, that is still
trusted (so not after ``revoke-access`` or ``gateway delete``) and has not ended, and it has the same subject; no name
that a peer could be taken for by others is put into it.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Final

from skupper_podman import certs
from skupper_podman.certrequests import dump_answer, parse_request
from skupper_podman.claimstore import ClaimRefusedError
from skupper_podman.controller.log import log
from skupper_podman.controller.settings import ClaimSettings
from skupper_podman.desired.claimrecords import Refusal
from skupper_podman.desired.gatewayrecords import (
    AUTHORITY_CERTIFICATE,
    AUTHORITY_KEY,
    RECORD_FILE,
    parse_gateway_record,
)
from skupper_podman.errors import InvalidError, SkupperError
from skupper_podman.files import Tree, read_bytes
from skupper_podman.model.gateway import ROUTER_PREFIX, is_gateway_name
from skupper_podman.renewallog import Renewal, RenewalLog
from skupper_podman.rotation import BRIDGES_FILE, Lineage

NOT_OURS: Final = Refusal(403, "the certificate was not issued by this site, or is not trusted any more")
SPENT: Final = Refusal(403, "the credential of this bundle was exchanged already, or a newer bundle was made")
ENDED: Final = Refusal(403, "the certificate has ended")
UNUSABLE: Final = Refusal(500, "the site cannot issue certificates now")


@dataclass(frozen=True, slots=True)
class _Issuer:
    """What signs a certificate, how long that is valid, and whether it must not be taken for a server's."""

    pair: certs.KeyPair
    lifetime: datetime.timedelta
    client_only: bool
    generation: int | None = None
    """Of the last bundle, where it is a gateway's."""


@dataclass(frozen=True, slots=True)
class Renewals:
    """Answers from the site's files as they are at that moment."""

    settings: ClaimSettings

    def authorities(self) -> bytes:
        """The authorities to trust, as PEM.

        Raises:
            ClaimRefusedError: there is none.
        """
        return self._lineage().trusted

    def renewed(self, body: bytes, now: datetime.datetime) -> bytes:
        """The answer to a request.

        Raises:
            ClaimRefusedError: it is refused.
        """
        lineage = self._lineage()
        try:
            request = parse_request(body)
            present = certs.facts(request.certificate)
        except InvalidError as error:
            raise ClaimRefusedError(Refusal(400, error.message)) from None
        issuer = self._issuer(request.certificate, present, lineage)
        if present.is_authority or issuer is None:
            raise ClaimRefusedError(NOT_OURS)
        if not present.valid_at(now):
            raise ClaimRefusedError(ENDED)
        try:
            made = certs.issue_to(
                request.public, issuer.pair, present.subject, (), now, lifetime=issuer.lifetime,
                client_only=issuer.client_only,
            )  # fmt: skip
            # Only now: what cannot be answered is no exchange.
            spent = present.once is not None and not self._spend(present, issuer, now)
            authority, until = certs.facts(lineage.trusted).fingerprint, certs.facts(made).not_after
            if not spent:
                self._note(present.subject, Renewal(authority, now, until))
        except SkupperError as error:
            log(f"renewals: {error.message}")
            raise ClaimRefusedError(UNUSABLE) from None
        if spent:
            raise ClaimRefusedError(SPENT)
        log(f"certificate of {present.subject[:64]!r} renewed")
        return dump_answer(made, lineage.trusted)

    def _issuer(self, certificate: bytes, present: certs.CertificateFacts, lineage: Lineage) -> _Issuer | None:
        """Whose authority renews this certificate; None if nobody's issued it."""
        if certs.issuer_of(certificate, lineage.trusted):
            return _Issuer(lineage.pair, certs.LEAF_LIFETIME, client_only=False)
        name = present.subject.removeprefix(ROUTER_PREFIX)
        if name == present.subject or not is_gateway_name(name):
            return None
        directory = self.settings.gateways / name
        try:
            found = [read_bytes(directory / path) for path in (AUTHORITY_CERTIFICATE, AUTHORITY_KEY, RECORD_FILE)]
            authority, key, content = (part or b"" for part in found)
            record = parse_gateway_record(name, content)
        except SkupperError:
            return None  # deleted, or damaged: then a fresh bundle is needed anyway
        pair = certs.KeyPair(authority, key)
        if not (certs.belongs(pair) and certs.issuer_of(certificate, authority)):
            return None
        return _Issuer(pair, record.validity, client_only=True, generation=record.generation)

    def _spend(self, present: certs.CertificateFacts, issuer: _Issuer, now: datetime.datetime) -> bool:
        """Note that a certificate which is exchanged once is exchanged now; whether that is so.

        Raises:
            SkupperError: it cannot be noted.
        """
        spent = RenewalLog(Tree(self.settings.directory))
        name = f"{present.subject} {present.fingerprint}"
        if present.once != issuer.generation or name in spent.renewals():
            return False
        spent.note(name, Renewal("", now, present.not_after))
        return True

    def _note(self, subject: str, renewal: Renewal) -> None:
        try:
            RenewalLog(Tree(self.settings.directory)).note(subject, renewal)
        except SkupperError as error:
            # Only a later question suffers: whether an old authority is still needed.
            log(f"renewals: not noted: {error.message}")

    def _lineage(self) -> Lineage:
        """The site's authority.

        Raises:
            ClaimRefusedError: it cannot be used.
        """
        directory = self.settings.authority
        try:
            trusted, key, bridges = (read_bytes(directory / name) for name in ("tls.crt", "tls.key", BRIDGES_FILE))
        except SkupperError as error:
            log(f"renewals: {error.message}")
            raise ClaimRefusedError(UNUSABLE) from None
        lineage = Lineage(trusted or b"", key or b"", bridges or b"")
        if not certs.belongs(lineage.pair):
            raise ClaimRefusedError(UNUSABLE)
        return lineage
