"""The certificates of a site: whether each can be read, fits its key and its authority, and how long it is valid.

What always holds: no key leaves this module; a certificate is said to be well only after all of that was looked at; one
that will end within a tenth of its life, or a month, is told of before it does.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from skupper_podman.desired import names
from skupper_podman.desired.tokens import LinkSecret
from skupper_podman.errors import SkupperError
from skupper_podman.model.status import Probe
from skupper_podman.platform.podman.edits import Trees
from skupper_podman.platform.podman.observe import Observation
from skupper_podman.router.documents import link_profile_name

Kind = Literal["authority", "credential", "link", "service"]
SOON: Final = datetime.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate as found. ``problem`` is empty if it is well; ``fix`` mends the problem, or renews it in time."""

    name: str
    kind: Kind
    problem: str = ""
    fix: str = ""
    subject: str = ""
    issuer: str = ""
    hosts: tuple[str, ...] = ()
    not_before: datetime.datetime | None = None
    not_after: datetime.datetime | None = None

    def ends_soon(self, now: datetime.datetime) -> bool:
        """True if little of its life is left."""
        if self.not_after is None or self.not_before is None:
            return False
        return self.not_after - now < min(SOON, (self.not_after - self.not_before) / 10)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a certificate is: volume and directory; ``authority`` is the volume of who must have issued it."""

    name: str
    kind: Kind
    volume: str
    directory: str = ""
    authority: str = ""
    only_trust: bool = False
    fix: str = "skupper init"


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
            yield _Place(link.name, "link", site.names.router_certs, profile, fix=_new_token(link))
    for item in site.services:
        if item.tls_credentials:
            directory = names.tls_directory(item.address)
            yield _Place(item.address, "service", site.names.router_certs, directory, service)


def _new_token(link: LinkSecret) -> str:
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
            trusted = certs.facts(trust) if trust else facts
        except certs.CertificateError:
            return Certificate(place.name, place.kind, "it is damaged: not a PEM certificate", "skupper init")
        problem, fix = self._problem(place, certs.KeyPair(shown, key), trust, facts, trusted)
        hosts = tuple(dict.fromkeys((*facts.dns_names, *facts.ip_addresses)))
        until = min(facts.not_after, trusted.not_after)
        fix = fix or place.fix
        return Certificate(
            place.name, place.kind, problem, fix, facts.subject, facts.issuer, hosts, facts.not_before, until
        )

    def _problem(self, place: _Place, pair: object, trust: bytes, facts: object, trusted: object) -> tuple[str, str]:
        from skupper_podman import certs

        assert isinstance(pair, certs.KeyPair)
        assert isinstance(facts, certs.CertificateFacts)
        assert isinstance(trusted, certs.CertificateFacts)
        if not place.only_trust and not certs.belongs(pair):
            return "its key is damaged or belongs to another certificate", "skupper init"
        if place.authority and self._authority(place.authority) not in (b"", trust):
            return f"its ca.crt is not the certificate of {place.authority}", "skupper init"
        if trust and not place.only_trust and not certs.signed_by(pair.certificate, trust):
            return "it was not issued by the authority beside it", place.fix
        for what, found in (("it", facts), ("its authority", trusted)):
            if self._now > found.not_after:
                return f"{what} expired {_day(found.not_after)}", ""
            if self._now < found.not_before:
                cause = f"{what} is valid only from {_day(found.not_before)}, and here it is {_day(self._now)}"
                return f"{cause}: the clock is wrong, on this host or where it was issued", "timedatectl set-ntp true"
        return "", ""

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
            probes.append(Probe(f"certificate {item.name}", "ok", detail, fix=item.fix))
    well = [item for item in found if not item.problem and item.not_after]
    if well:
        first = min(well, key=lambda item: item.not_after or now)
        detail = f"{len(well)} are valid; the first to end is {first.name}, in {days_left(first, now)} days"
        probes.append(Probe("certificates", "ok", detail))
    return probes
