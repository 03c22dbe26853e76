"""Service sync with its files: whether it is on, what this site has, and what it learned.

What always holds: the file of what was learned is there only while service sync is on, so that who reads it knows; it
is written wholly, and only when something in it changed; a file that cannot be read changes nothing.
"""

from __future__ import annotations

from typing import Final

from skupper_podman import SKUPPER_VERSION
from skupper_podman.controller import syncwire
from skupper_podman.controller.log import log
from skupper_podman.controller.servicesync import ServiceSync
from skupper_podman.controller.settings import Settings
from skupper_podman.controller.statusfile import StatusFile
from skupper_podman.controller.watched import WatchedFile
from skupper_podman.desired.learned import Learned
from skupper_podman.desired.names import SYNC_FILE
from skupper_podman.desired.records import parse_spec
from skupper_podman.desired.services import ServicesDocument
from skupper_podman.errors import InvalidError, SkupperError
from skupper_podman.files import remove

_PERIOD: Final = 1.0
_LARGEST: Final = 8 << 20


class Synchroniser:
    """Decides what to send, from files and messages. ``now`` is a clock in seconds that never goes back."""

    def __init__(self, settings: Settings) -> None:
        self._id = settings.site_id
        self._name = settings.site_name
        self._site = WatchedFile(settings.site_file, _LARGEST)
        self._services = WatchedFile(settings.services_file, _LARGEST)
        self._path = settings.status_file.with_name(SYNC_FILE)
        self._file = StatusFile(self._path)
        self._sync: ServiceSync | None = None
        self._document: ServicesDocument | None = None
        self._connected = False
        self._due = 0.0
        self._written = -1
        self._complaint = ""

    @property
    def subscriptions(self) -> frozenset[str]:
        """The addresses to receive from now."""
        return frozenset({syncwire.ADDRESS} if self._sync is not None else ())

    @property
    def failure(self) -> str:
        """Why what was learned could not be written; empty if it was, or need not be."""
        return self._file.failure if self._sync is not None else ""

    def connected(self, now: float) -> None:
        """The router accepted a connection."""
        self._connected = True
        if self._sync is not None:
            self._sync.connected(now)

    def disconnected(self) -> None:
        """The connection is lost."""
        self._connected = False
        if self._sync is not None:
            self._sync.disconnected()

    def received(self, octets: bytes, now: float) -> None:
        """A message came to the address of service sync; one that is no use is said once."""
        if self._sync is None:
            return
        try:
            update = syncwire.read(octets)
        except InvalidError as error:
            if error.message != self._complaint:
                log(f"service sync: {error.message} is ignored")
            self._complaint = error.message
            return
        known = update.origin in self._sync.peers or update.origin == self._id
        self._sync.receive(update.origin, update.offers, now)
        if not known:
            log(f"service sync: site {update.origin} (version {update.version}) is heard")

    def work(self, now: float) -> bytes | None:
        """Look at the files, let time pass, write what was learned; gives the message to send if one is due."""
        if now >= self._due:
            self._due = now + _PERIOD
            self._look(now)
        if self._sync is None:
            return None
        services = self._sync.tick(now)
        if self._sync.revision != self._written:
            self._written = self._sync.revision
            self._file.write(self._sync.learned().dump(), now)
        self._file.tick(now)
        return None if services is None else syncwire.update(self._id, SKUPPER_VERSION, services)

    def _look(self, now: float) -> None:
        try:
            services = self._services.changed()
            if services is not None:
                if not services and self._services.exists:
                    # Cut off, or about to be written: others would remove all that this site offers.
                    raise ValueError("the services file is empty")
                self._document = ServicesDocument.parse(services)
                self._tell()
            site = self._site.changed()
            if site is not None:
                self._switch(site, now)
        except (OSError, ValueError, SkupperError) as error:
            log(f"service sync: {error}")  # once for each change of a file

    def _switch(self, site: bytes, now: float) -> None:
        """Turn it on or off as the site's file says."""
        spec = parse_spec(site)
        wanted = spec is not None and spec.service_sync
        if not wanted:
            remove(self._path)
        if wanted == (self._sync is not None):
            return
        log(f"service sync is {'on' if wanted else 'off'}")
        self._sync = None
        if not wanted:
            return
        self._sync = ServiceSync(self._id, self._name)
        self._file, self._written = StatusFile(self._path), -1
        self._sync.restore(self._kept().services, now)
        self._tell()
        if self._connected:
            self._sync.connected(now)

    def _kept(self) -> Learned:
        try:
            return Learned.parse(self._path.read_bytes())
        except FileNotFoundError:
            return Learned()
        except (OSError, InvalidError) as error:
            log(f"service sync: what was learned before is lost: {error}")
            return Learned()

    def _tell(self) -> None:
        if self._sync is not None and self._document is not None:
            self._sync.set_local(self._document.services())
