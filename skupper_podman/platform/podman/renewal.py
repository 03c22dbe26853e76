"""Plans that renew certificates and exchange authorities, while the site works.

A certificate that is due is issued anew; so is one whose authority has a successor, which also completes an exchange of
authorities that was interrupted. What always holds: nothing restarts and no connection ends, because routers read
certificates for each new connection; a new authority is trusted everywhere at this site before it issues anything;
one link that cannot be renewed keeps nothing else from being renewed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from skupper_podman import certs
from skupper_podman.desired import names
from skupper_podman.desired.gatewaytrust import gateways_in, site_part
from skupper_podman.desired.names import Names
from skupper_podman.desired.renewal import renew_at
from skupper_podman.desired.resources import Credential
from skupper_podman.desired.tokens import LinkSecret
from skupper_podman.errors import ConflictError, NotFoundError, SkupperError, UsageError
from skupper_podman.files import FileState
from skupper_podman.model.gateway import ROUTER_PREFIX
from skupper_podman.plan import Plan, Step
from skupper_podman.platform.podman import gateways
from skupper_podman.platform.podman.authority import (
    CERTIFICATE,
    KEY,
    TRUST,
    completing,
    issued,
    lineage_files,
    lineage_in,
    lineage_of,
    trust_files,
    trust_of,
)
from skupper_podman.platform.podman.certstatus import certificates, new_token
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.edits import DirectoryEdit, Trees
from skupper_podman.platform.podman.networkfile import read_network_status
from skupper_podman.platform.podman.observe import Observation, credentials_of
from skupper_podman.platform.podman.renewlink import LinkEdit, has_other_authorities, renewed
from skupper_podman.renewallog import RenewalLog
from skupper_podman.rotation import BRIDGES_FILE, MOST, Lineage, alone, succeeded, united, without_ended


def plan_renewal(context: Context, chosen: Collection[str] = (), *, ask_peers: bool = True) -> Plan:
    """Plan to renew what is due, or the certificates called ``chosen``.

    With ``ask_peers`` the sites that links lead to are asked whether they have authorities the links do not know yet.
    See :meth:`skupper_podman.platform.Platform.plan_renewal`.
    """
    work = _Work.begin(context)
    unknown = sorted(set(chosen) - work.names())
    if unknown:
        raise NotFoundError(f"no such certificate: {', '.join(unknown)}", "to see them: skupper certificate status")
    work.steps += completing(work.trees, context.names.authorities)
    for name in context.names.authorities:
        work.see_to_authority(name, chosen)
    for credential in work.credentials:
        work.see_to_credential(credential, chosen)
    for link in work.site.links:
        work.see_to_link(link, chosen, ask_peer=ask_peers and not chosen)
    return work.plan("Renew certificates", "No certificate is due")


def has_ended(context: Context) -> bool:
    """Whether a certificate that the site issued to itself is over, so that nobody can connect with it."""
    now = context.now()
    own = (item for item in certificates(context.site(), now) if item.kind != "link" and item.renews_at is not None)
    return any(item.not_after is not None and item.not_after < now for item in own)


def plan_rotation(context: Context, chosen: Collection[str] = (), *, force: bool = False) -> Plan:
    """Plan new authorities; see :meth:`skupper_podman.platform.Platform.plan_rotation`."""
    work = _Work.begin(context)
    for name in _authorities(context.names, chosen):
        lineage = lineage_of(work.trees, name)
        if not force and len(lineage.predecessors) >= MOST - 1:
            oldest = certs.facts(lineage.predecessors[-1])
            raise ConflictError(
                f"beside {name} the {MOST - 1} that it followed are trusted, and no more can be",
                f"to let all of them go: skupper certificate retire; the oldest, which is valid until "
                f"{oldest.not_after:%Y-%m-%d}: --force",
            )
        work.succeed(name)
    return work.plan("Rotate certificate authorities", "")


def plan_retirement(context: Context, chosen: Collection[str] = (), *, force: bool = False) -> Plan:
    """Plan the end of trust; see :meth:`skupper_podman.platform.Platform.plan_retirement`."""
    work = _Work.begin(context)
    for name in _authorities(context.names, chosen):
        lineage = lineage_of(work.trees, name)
        if not lineage.predecessors:
            continue
        if name == context.names.site_ca and not force:
            work.check_links(lineage)
        work.shed(name, alone, "those that it followed are not trusted any more")
    return work.plan("Retire certificate authorities", "No authority has one that it followed and that is trusted")


def _authorities(own: Names, chosen: Collection[str]) -> list[str]:
    """The volumes of the authorities that are chosen: all of them if none is.

    Raises:
        UsageError: there is none of that name.
    """
    known = {"local": own.local_ca, "site": own.site_ca, "service": own.service_ca}
    unknown = sorted(set(chosen) - {*known, *known.values()})
    if unknown:
        raise UsageError(f"no such authority: {', '.join(unknown)}; there are: {', '.join(known)}")
    return [name for short, name in known.items() if not chosen or short in chosen or name in chosen]


@dataclass(slots=True)
class _Work:
    """Collects the steps of one plan for the site."""

    context: Context
    site: Observation
    credentials: list[Credential]
    steps: list[Step] = field(default_factory=list)
    renewed: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    issued: set[Credential] = field(default_factory=set)

    @classmethod
    def begin(cls, context: Context) -> _Work:
        """With the site's lock held."""
        context.lock()
        site = context.site()
        assert site.spec is not None
        # What is missing is for init; a service of another site may have no certificate here.
        own = [item for item in credentials_of(site.spec, site.services) if trust_of(site.trees, item)]
        return cls(context, site, own)

    @property
    def trees(self) -> Trees:
        return self.site.trees

    def names(self) -> set[str]:
        """What can be renewed by name."""
        links = {link.name for link in self.site.links if link.kind == names.CONNECTION_TOKEN}
        return {*self.site.names.authorities, *(_name(item) for item in self.credentials if not item.ca_only), *links}

    def plan(self, title: str, idle: str) -> Plan:
        """What was collected."""
        facts: dict[str, object] = {"renewed": self.renewed, "warnings": self.warnings}
        return Plan(title if self.steps else idle, tuple(self.steps), facts)

    # -- authorities

    def see_to_authority(self, name: str, chosen: Collection[str]) -> None:
        """A successor for an authority that is due; or those that it followed go, when they have ended."""
        lineage = lineage_in(self.trees, name)
        if lineage is None:
            return  # what it issued is lost with it; init makes all of that again
        now = self.context.now()
        if name in chosen or (not chosen and self._is_due(lineage.trusted)):
            self.succeed(name)
        elif not chosen and without_ended(lineage, now) is not lineage:
            self.shed(name, lambda old: without_ended(old, now), "one that it followed has ended")

    def succeed(self, name: str) -> None:
        """A new authority: trusted everywhere first, then it signs, then all that is issued is issued anew."""
        own = [item for item in self.credentials if item.authority == name]
        trusting = [DirectoryEdit(self.trees, item.volume, item.directory) for item in own]
        keeping = DirectoryEdit(self.trees, name, "")
        made: list[Lineage] = []

        def trust() -> None:
            before = lineage_of(self.trees, name)
            made.append(succeeded(before, name, certs.new_key(), self.context.now()))
            content = united(made[0].trusted, before.trusted)
            for item, edit in zip(own, trusting, strict=True):
                edit.do(trust_files(content, trust_of(self.trees, item)))

        def trust_as_before() -> None:
            for edit in reversed(trusting):
                edit.undo()
            made.clear()

        self.renewed.append(name)
        self._add(Step("update", f"what trusts {name}", trust, trust_as_before, "a new authority follows it"))
        sign = Step("update", f"certificate authority {name}", lambda: keeping.do(lineage_files(made[0])), keeping.undo)
        self._add(sign)
        for item in own:
            self._issue(item, "by the new authority")

    def shed(self, name: str, make: Callable[[Lineage], Lineage], why: str) -> None:
        """Less is trusted: nothing that is shown may need it any more, then the authority's file, then the copies."""
        own = [item for item in self.credentials if item.authority == name]
        for item in own:
            if not item.ca_only and not self._is_current(item):
                self._issue(item, "by the present authority")
        keeping = DirectoryEdit(self.trees, name, "")

        def keep() -> None:
            after = make(lineage_of(self.trees, name))
            keeping.do({BRIDGES_FILE: FileState(b"", 0o644), **lineage_files(after)})

        self.renewed.append(name)
        self._add(Step("update", f"certificate authority {name}", keep, keeping.undo, why))
        for item in own:
            self._trust(item)

    def _trust(self, credential: Credential) -> None:
        """The credential trusts exactly what its authority's file says."""
        edit = DirectoryEdit(self.trees, credential.volume, credential.directory)

        def do() -> None:
            authorities = lineage_of(self.trees, credential.authority).trusted
            edit.do(trust_files(authorities, trust_of(self.trees, credential)))

        self._add(Step("update", f"authorities trusted by {_name(credential)}", do, edit.undo))

    # -- the site's own certificates

    def see_to_credential(self, credential: Credential, chosen: Collection[str]) -> None:
        """Issue it anew if that is due or it was chosen."""
        lineage = lineage_in(self.trees, credential.authority)
        if lineage is None or credential in self.issued:
            return
        found = self._read(credential, CERTIFICATE)
        if credential.ca_only or not found:
            reason = ""
        elif _name(credential) in chosen:
            reason = "it was chosen"
        elif chosen or not self._is_whole(credential):
            reason = ""  # what is damaged is for init
        elif not certs.signed_by(found, lineage.current):
            reason = "its authority has a successor"
        else:
            reason = self._why_due(found, lineage)
        if reason:
            self._issue(credential, reason)
        elif not chosen and site_part(trust_of(self.trees, credential)) not in (b"", lineage.trusted):
            self._trust(credential)

    def _issue(self, credential: Credential, why: str) -> None:
        edit = DirectoryEdit(self.trees, credential.volume, credential.directory)

        def do() -> None:
            key = b"" if credential.ca_only else certs.new_key()
            lineage = lineage_of(self.trees, credential.authority)
            edit.do(issued(credential, lineage, key, self.context.now(), trust_of(self.trees, credential)))

        self.issued.add(credential)
        if not credential.ca_only:
            self.renewed.append(_name(credential))
        self._add(Step("update", f"certificate {_name(credential)}", do, edit.undo, why))

    def _is_current(self, credential: Credential) -> bool:
        lineage = lineage_in(self.trees, credential.authority)
        return lineage is not None and certs.signed_by(self._read(credential, CERTIFICATE), lineage.current)

    def _is_whole(self, credential: Credential) -> bool:
        return certs.belongs(certs.KeyPair(self._read(credential, CERTIFICATE), self._read(credential, KEY)))

    def _why_due(self, found: bytes, lineage: Lineage) -> str:
        if self._is_due(found):
            return "most of its life is over"
        # The clock was ahead when it was issued. If it is behind now the authority is most likely not valid yet either.
        now = self.context.now()
        early = now < certs.facts(found).not_before and certs.facts(lineage.trusted).valid_at(now)
        return "it is not valid yet" if early else ""

    def _is_due(self, certificate: bytes) -> bool:
        found = certs.facts(certificate)
        return self.context.now() >= renew_at(found.not_before, found.not_after, found.fingerprint)

    def _read(self, credential: Credential, name: str) -> bytes:
        path = f"{credential.directory}/{name}" if credential.directory else name
        file = self.trees.file(credential.volume, path)
        return file.content if file else b""

    # -- certificates of links

    def see_to_link(self, link: LinkSecret, chosen: Collection[str], *, ask_peer: bool) -> None:
        """Renew it where it was issued, if that is due, it was chosen, or that site has other authorities now."""
        if link.kind != names.CONNECTION_TOKEN or (chosen and link.name not in chosen):
            return
        try:
            found = certs.facts(link.data.get(CERTIFICATE, b""))
        except certs.CertificateError:
            return  # said by status; there is nothing to show to the site that issued it
        now = self.context.now()
        obstacle = ""
        if now > found.not_after:
            obstacle = f"the certificate of link {link.name} ended on {found.not_after:%Y-%m-%d} and cannot be renewed"
        elif not link.renewal_url:
            obstacle = f"site {link.peer_site_id}, which issued the certificate of link {link.name}, renews none"
        if obstacle:
            # What nobody asked for is told by status when it matters.
            if link.name in chosen:
                raise ConflictError(obstacle, new_token(link))
            if now > found.not_after:
                self.warnings.append(f"{obstacle}; {new_token(link)}")
            return
        reason = "it was chosen" if link.name in chosen else ""
        if not reason and self._is_due(link.data[CERTIFICATE]):
            reason = "most of its life is over"
        if not reason and ask_peer:
            reason = self._news(link)
        if reason:
            self._add_link(link, reason, must=link.name in chosen)

    def _news(self, link: LinkSecret) -> str:
        try:
            return "the other site has a new authority" if has_other_authorities(link) else ""
        except SkupperError as error:
            self.warnings.append(f"link {link.name}: the other site was not asked for its authorities: {error.message}")
            return ""

    def _add_link(self, link: LinkSecret, why: str, *, must: bool) -> None:
        edit = LinkEdit(self.site.names, self.trees, link)

        def do() -> None:
            try:
                edit.do(renewed(link, certs.new_key(), self.context.now()))
            except SkupperError as error:
                if must:
                    raise
                edit.undo()
                self.renewed.remove(link.name)
                self.warnings.append(f"the certificate of link {link.name} was not renewed: {error.message}")

        self.renewed.append(link.name)
        self._add(Step("update", f"certificate of link {link.name}", do, edit.undo, why, waits=True))

    def check_links(self, lineage: Lineage) -> None:
        """See that the links other sites have to this one do not depend on an authority that is to go.

        Raises:
            ConflictError: some may.
        """
        current = certs.facts(lineage.trusted).fingerprint
        claims = self.site.names.claims
        log = RenewalLog(self.trees.tree(claims)).renewals() if claims in self.site.volumes else {}
        known = {subject: renewal.authority for subject, renewal in log.items()}
        others = [link.site for link in read_network_status(self.site).incoming_links(_id(self.site)) if link.site]
        late = sorted(site.name or site.identity for site in others if known.get(site.identity) != current)
        since = certs.facts(lineage.trusted).not_before
        server = self.trees.file(self.site.names.site_server, TRUST)
        for name, authority in gateways_in(server.content if server else b"").items():
            # The bundle of a gateway has the authorities of when it was made.
            record = gateways.record_in(self.site, name)
            made = record.created if record else certs.facts(authority).not_before
            if made < since and known.get(ROUTER_PREFIX + name) != current:
                late.append(f"gateway {name}")
        if late:
            raise ConflictError(
                f"these have not renewed the certificates of their links yet: {', '.join(late)}",
                "sites and gateways of this release do within a day (there: skupper certificate renew, or renew.py); "
                "other sites need a new token, gateways that cannot a new bundle; to end their links: --force",
            )

    def _add(self, step: Step) -> None:
        self.steps.append(step)


def _name(credential: Credential) -> str:
    """What status calls it: its volume, or the service it is for."""
    return credential.common_name if credential.directory else credential.volume


def _id(site: Observation) -> str:
    assert site.spec is not None
    return site.spec.site_id
