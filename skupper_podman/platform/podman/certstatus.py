"""The certificates of a site: whether each can be read, fits its key and its authority, and how long it is valid.

What always holds: no key leaves this module; a certificate is said to be well only after all of that was looked at; one
whose renewal is late, or that nobody renews and that will end within a tenth of its life, or a month, is told of before
it does.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skupper_podman.desired import names
from skupper_podman.desired.renewal import LATE, renew_at
from skupper_podman.desired.tokens import LinkSecret
from skupper_podman.errors import SkupperError
from skupper_podman.model.certificate import Certificate, CertificateKind
from skupper_podman.model.status import Probe
from skupper_podman.platform.podman.edits import Trees
from skupper_podman.platform.podman.observe import Observation
from skupper_podman.router.documents import link_profile_name

if TYPE_CHECKING:
    from skupper_podman import certs

RENEW = "skupper certificate renew"
"""What renews a certificate that is due, without touching a connection."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a certificate is: volume and directory; ``authority`` is the volume of who must have issued it.

    ``renewed`` says whether the site renews it by itself, ``fix`` what renews it otherwise.
    """

    name: str
    kind: CertificateKind
    volume: str
    directory: str = ""
    authority: str = ""
    only_trust: bool = False
    renewed: bool = True
    fix: str = RENEW


def certificates(site: Observation, now: datetime.datetime) -> tuple[Certificate, ...]:
    """Every certificate of the site, looked at now."""
    return tuple(_Look(site, now).at(place) for place in _places(site))


def _places(site: Observation) -> Iterator[_Place]:
    yield from (_Place(name, "authority", name) for name in site.names.authorities)
    local, service = site.names.local_ca, site.names.service_ca
    for name, authority in (
        (site.names.local_server, local),
        (site.names.local_client, local),
        (site.names.console_certs, local),
        (site.names.site_server, site.names.site_ca),
    ):
        yield _Place(name, "credential", name, authority=authority)
    yield _Place(site.names.service_client, "credential", site.names.service_client, authority=service, only_trust=True)
    for link in site.links:
        if link.kind == names.CONNECTION_TOKEN:
            profile = link_profile_name(link.name)
            offered = bool(link.renewal_url)
            yield _Place(
                link.name,
                "link",
                site.names.router_certs,
                profile,
                renewed=offered,
                fix=RENEW if offered else new_token(link),
            )
    for item in site.services:
        if item.tls_credentials:
            directory = names.tls_directory(item.address)
            if item.tls_files:
                fix = f"skupper service delete {item.address}, then create it with the next certificate: --tls-cert"
                yield _Place(item.address, "service", site.names.router_certs, directory, renewed=False, fix=fix)
            else:
                yield _Place(item.address, "service", site.names.router_certs, directory, service)


def new_token(link: LinkSecret) -> str:
    """How a link gets another certificate where its present one cannot be renewed."""
    return (
        f"at site {link.peer_site_id}: skupper token create FILE; "
        f"here: skupper link delete {link.name} && skupper link create FILE"
    )


class _Look:
    def __init__(self, site: Observation, now: datetime.datetime) -> None:
        self._site = site
        self._now = now

    def at(self, place: _Place) -> Certificate:
        from skupper_podman import certs
        from skupper_podman.desired.gatewaytrust import site_part

        if place.volume not in self._site.volumes:
            return Certificate(place.name, place.kind, f"volume {place.volume} does not exist", "skupper init")
        trust = site_part(self._read(place, "ca.crt")) if place.kind != "authority" else b""
        shown = trust if place.only_trust else self._read(place, "tls.crt")
        key = b"" if place.only_trust else self._read(place, "tls.key")
        missing = [
            name
            for name, content, wanted in (
                ("ca.crt", trust, place.kind != "authority"),
                ("tls.crt", shown, True),
                ("tls.key", key, not place.only_trust),
            )
            if wanted and not content
        ]
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            # A link's own volume has its files, too, and init copies them from there.
            return Certificate(place.name, place.kind, f"{', '.join(missing)} {verb} missing or empty", "skupper init")
        try:
            facts = certs.facts(shown)
            trusted = certs.facts(certs.issuer_of(shown, trust) or trust) if trust else facts
        except certs.CertificateError:
            return Certificate(place.name, place.kind, "it is damaged: not a PEM certificate", "skupper init")
        problem, fix = self._problem(place, certs.KeyPair(shown, key), trust, facts, trusted)
        until = min(facts.not_after, trusted.not_after)
        # What only trusts is renewed with the authority, and told of there.
        own = place.renewed and not place.only_trust
        due = renew_at(facts.not_before, facts.not_after, facts.fingerprint) if own else None
        return Certificate(
            place.name,
            place.kind,
            problem,
            fix or place.fix,
            facts.subject,
            facts.issuer,
            tuple(dict.fromkeys((*facts.dns_names, *facts.ip_addresses))),
            facts.not_before,
            until,
            due,
            due is not None and self._now > due + LATE,
            len(certs.each(shown)) - 1 if place.kind == "authority" else 0,
        )

    def _problem(
        self,
        place: _Place,
        pair: certs.KeyPair,
        trust: bytes,
        facts: certs.CertificateFacts,
        trusted: certs.CertificateFacts,
    ) -> tuple[str, str]:
        from skupper_podman import certs, rotation

        if not place.only_trust and not certs.belongs(pair):
            return "its key is damaged or belongs to another certificate", "skupper init"
        authority = self._authority(place.authority) if place.authority else b""
        if authority and not rotation.trusts(trust, authority):
            return f"its ca.crt is not the certificate of {place.authority}", "skupper init"
        if trust and not place.only_trust and not certs.signed_by(pair.certificate, trust):
            return "it was not issued by the authority beside it", self._anew(place)
        for what, found in (("it", facts), ("its authority", trusted)):
            if self._now > found.not_after:
                return f"{what} expired {_day(found.not_after)}", self._anew(place)
            if self._now < found.not_before:
                cause = f"{what} is valid only from {_day(found.not_before)}, and here it is {_day(self._now)}"
                own = place.kind in ("credential", "service") and place.renewed and what == "it"
                fix = f"timedatectl set-ntp true; {RENEW}" if own else "timedatectl set-ntp true"
                return f"{cause}: the clock is wrong, or was when it was issued", fix
        return "", ""

    def _anew(self, place: _Place) -> str:
        """How it is replaced: a site issues its own at any time, but who has an expired one is a stranger elsewhere."""
        if place.kind != "link":
            return "skupper init" if place.renewed else ""
        return next((new_token(link) for link in self._site.links if link.name == place.name), "")

    def _authority(self, volume: str) -> bytes:
        return self._content(volume, "tls.crt") if volume in self._site.volumes else b""

    def _read(self, place: _Place, name: str) -> bytes:
        return self._content(place.volume, f"{place.directory}/{name}" if place.directory else name)

    def _content(self, volume: str, path: str) -> bytes:
        known = self._site.present.files.get((volume, path))
        if known is not None:
            return known.content
        return _read(self._site.trees, volume, path)


def _read(trees: Trees, volume: str, path: str) -> bytes:
    try:
        file = trees.file(volume, path)
    except SkupperError:
        return b""
    return file.content if file else b""


def _day(time: datetime.datetime) -> str:
    return time.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def days_left(found: Certificate, now: datetime.datetime) -> int:
    """Whole days until it ends; 0 if that is not known."""
    return (found.not_after - now).days if found.not_after else 0


def certificate_probes(found: tuple[Certificate, ...], now: datetime.datetime) -> list[Probe]:
    """A probe for each certificate that is not well or ends soon, and one for all others together."""
    probes = []
    for item in found:
        if item.problem:
            probes.append(Probe(f"certificate {item.name}", "failing", item.problem, fix=item.fix))
        elif item.ends_soon(now):
            detail = f"it ends in {days_left(item, now)} days, on {_day(item.not_after or now)}"
            if item.renews_at is not None:
                detail += f", and was to be renewed on {_day(item.renews_at)}"
            probes.append(Probe(f"certificate {item.name}", "ok", detail, fix=item.fix))
    well = [item for item in found if not item.problem and item.not_after]
    if well:
        first = min(well, key=lambda item: item.not_after or now)
        detail = f"{len(well)} are valid; the first to end is {first.name}, in {days_left(first, now)} days"
        probes.append(Probe("certificates", "ok", detail))
    return probes
