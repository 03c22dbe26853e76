"""Renews the certificates of links to this site: whoever holds one gets the next one, for a key of their own making.

On the claims port, ``GET`` of :data:`~skupper_podman.desired.tokens.RENEWAL_PATH` gives the authorities of this site,
``POST`` of a request (:mod:`skupper_podman.certrequests`) a certificate. What always holds:
a certificate is given only for one that an authority of this site issued, that is still trusted (so not after
``revoke-access``) and has not ended, and it has the same subject; no name that a peer could be taken for by others is
put into it.
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
from skupper_podman.errors import InvalidError, SkupperError
from skupper_podman.files import Tree, read_bytes
from skupper_podman.renewallog import RenewalLog
from skupper_podman.rotation import BRIDGES_FILE, Lineage

NOT_OURS: Final = Refusal(403, "the certificate was not issued by this site, or is not trusted any more")
ENDED: Final = Refusal(403, "the certificate has ended")
UNUSABLE: Final = Refusal(500, "the site cannot issue certificates now")


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
        if present.is_authority or not certs.issuer_of(request.certificate, lineage.trusted):
            raise ClaimRefusedError(NOT_OURS)
        if not present.valid_at(now):
            raise ClaimRefusedError(ENDED)
        try:
            made = certs.issue_to(request.public, lineage.pair, present.subject, (), now, lifetime=certs.LEAF_LIFETIME)
            self._note(present.subject, lineage, now)
        except SkupperError as error:
            log(f"renewals: {error.message}")
            raise ClaimRefusedError(UNUSABLE) from None
        log(f"certificate of {present.subject[:64]!r} renewed")
        return dump_answer(made, lineage.trusted)

    def _note(self, subject: str, lineage: Lineage, now: datetime.datetime) -> None:
        try:
            RenewalLog(Tree(self.settings.directory)).note(subject, certs.facts(lineage.trusted).fingerprint, now)
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
