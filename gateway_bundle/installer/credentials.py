"""The credential and the other TLS files of a gateway: which are to be installed, and putting them in place.

A credential that was renewed on this host is kept: that of an older or the same bundle does not take its place again.
"""

import datetime
import os
import shutil
from typing import Any, Dict, Optional

from . import certificate
from .bundle import LINK, Bundle
from .failures import DAMAGED, Failure
from .files import Changes, held, read
from .places import Places
from .renewal import CERTIFICATE, KEY, OWN_AUTHORITY, TRUST, complete, present_certificate

_LINK = os.path.basename(LINK)
_RENEWED = (CERTIFICATE, KEY, TRUST)


class Credentials:
    """The files of `bundle` as they are to be installed, by their paths; secret. `known` is the state before."""

    def __init__(self, bundle: Bundle, places: Places, known: Optional[Dict[str, Any]]) -> None:
        self.places = places
        self.files = bundle.certificates()
        """By path below `skupper-router-certs`."""
        self.directory = os.path.join(bundle.path, LINK)
        """Where the credential can be read that is to be installed."""
        self.expires = self._end(self.files)
        self.kept = False
        """Whether it is the one that is installed, and not the bundle's."""
        # One that is to be exchanged is worth less than one of this host's own.
        if known and (bundle.exchange or bundle.generation <= int(known["generation"])):
            self._keep_renewed()

    def _keep_renewed(self) -> None:
        """Take what is installed for the bundle's, if it is of the same registration and lasts longer."""
        places = self.places
        place = os.path.realpath(places.credential)
        if not os.path.lexists(places.certificates):
            place = os.path.join(places.staged_certificates, _LINK)
        paths = {name: os.path.join(place, name) for name in (*_RENEWED, OWN_AUTHORITY)}
        paths[CERTIFICATE] = present_certificate(place)
        installed = {name: read(path) for name, path in paths.items()}
        if installed[OWN_AUTHORITY] != self.files.get("%s/%s" % (_LINK, OWN_AUTHORITY)):
            return
        found = {"%s/%s" % (_LINK, name): content for name, content in installed.items() if content}
        try:
            if len(found) == len(installed) and self._end(found) > self.expires:
                certificate.check(paths[CERTIFICATE], paths[KEY], paths[OWN_AUTHORITY])
                self.files.update(found)
                self.directory, self.expires, self.kept = place, self._end(found), True
        except (OSError, Failure):
            return  # what is installed is damaged: the bundle's mends it

    @staticmethod
    def _end(files: Dict[str, bytes]) -> datetime.datetime:
        try:
            return certificate.validity(files.get("%s/%s" % (_LINK, CERTIFICATE), b""))[1]
        except ValueError as error:
            text = "%s/%s of the bundle cannot be used: %s" % (LINK, CERTIFICATE, error)
            raise Failure(DAMAGED, text, "get the bundle again") from error

    def installed(self) -> bool:
        """Whether that is what is installed."""
        return all(
            read(os.path.join(self.places.certificates, path)) == content for path, content in self.files.items()
        )

    def place(self, changes: Changes, for_service: bool) -> None:
        """Put it in place; systemd owns the directory once a service with a user of its own was started."""
        if not os.path.lexists(self.places.certificates) and os.path.isdir(self.places.staged_certificates):
            os.rename(self.places.staged_certificates, self.places.certificates)  # see _own_again
        changes.directory(self.places.certificates, 0o700)
        if not os.path.islink(self.places.certificates):
            os.chmod(self.places.certificates, 0o700)
        top = os.path.realpath(self.places.certificates)
        if not for_service and self.places.system:
            if os.path.islink(self.places.certificates):
                self._own_again(top)
                top = self.places.certificates
            shutil.rmtree(self.places.private_certificates, ignore_errors=True)
        for path in self.files:
            directory = os.path.dirname(os.path.join(top, *path.split("/")))
            if not os.path.isdir(directory):
                changes.directory(directory, 0o700)
                owner = os.stat(top)
                if os.getuid() == 0:
                    os.chown(directory, owner.st_uid, owner.st_gid)
        with held(os.path.join(top, _LINK)):  # a renewal is not to come in between
            files = {os.path.join(top, *path.split("/")): content for path, content in self.files.items()}
            complete(os.path.join(top, _LINK))
            changes.write_together([(path, new, 0o600) for path, new in files.items() if read(path) != new])

    def _own_again(self, private: str) -> None:
        """A copy of what is in systemd's private directory, where containers mount it from."""
        staged = self.places.staged_certificates
        shutil.rmtree(staged, ignore_errors=True)
        shutil.copytree(private, staged)
        for directory, _names, files in os.walk(staged):
            os.chmod(directory, 0o700)
            os.chown(directory, 0, 0)
            for name in files:
                os.chown(os.path.join(directory, name), 0, 0)
        os.unlink(self.places.certificates)
        os.rename(staged, self.places.certificates)
