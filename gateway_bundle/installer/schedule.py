"""The timer of systemd by which a gateway's credential is renewed, and the program that it starts."""

import contextlib
import json
import os
import sys
from typing import Dict

from . import renewal, renewing, units
from .bundle import Bundle
from .files import Changes, read, sweep
from .places import Places
from .processes import find
from .systemd import Systemd

PROGRAM = "renew.py"
_DAY = 86400
_HOMES = ("/home/", "/root/", "/run/user/")


class Schedule:
    """The renewal of the gateway of `places`; `kind` is its type."""

    def __init__(self, places: Places, kind: str) -> None:
        self.places = places
        self.kind = kind
        self.systemd = Systemd(places.system)

    def unable(self, url: str) -> str:
        """Why the credential is not renewed by itself; empty if it is."""
        if not url:
            return "the site that made the bundle renews none"
        if not self._python():
            return "there is no Python 3 that a service of the system can run"
        reason = renewal.unable()
        missing = "" if reason else self.systemd.unavailable()
        return "%s; cron can call renew.py once a day" % missing if missing else reason

    def install(self, bundle: Bundle, seconds: float, changes: Changes) -> bool:
        """Put program and units in place; a credential lasts so many seconds. Whether systemd must read units again."""
        places, mode = self.places, 0o644 if self.places.system else 0o600
        for target, content in self._files(bundle).items():
            changes.directory(os.path.dirname(target), places.mode)
            if read(target) != content:
                changes.write(target, content, mode)
        words = [self._python(), "-E", "-s", "-B", os.path.join(places.program, PROGRAM)]
        # Every day; a credential for less than two months is looked at more often.
        often = int(max(60, min(_DAY, seconds / 64)))
        made = units.renewal_units(places, words, often, places.system and self.kind == "service")
        changed = [suffix for suffix, text in made.items() if read(places.schedule + suffix) != text]
        changes.directory(places.units, 0o755)
        for suffix in changed:
            changes.write(places.schedule + suffix, made[suffix], 0o644)
        return bool(changed)

    def _files(self, bundle: Bundle) -> Dict[str, bytes]:
        """The program and its settings, by where they are to be."""
        settings = {"gateway": self.places.name, "url": bundle.renewal_url, "directory": self.places.credential}
        files = {renewing.SETTINGS: (json.dumps(settings, indent=4) + "\n").encode()}
        for path in [PROGRAM, *("installer/%s.py" % name for name in renewing.MODULES)]:
            files[path] = read(bundle.file(path)) or b""
        return {os.path.join(self.places.program, *path.split("/")): content for path, content in files.items()}

    def is_whole(self, bundle: Bundle) -> bool:
        """Whether the program is there as it was put there."""
        return all(read(path) == content for path, content in self._files(bundle).items())

    def start(self, changed: bool) -> None:
        """Start the timer, now and at every boot; one that runs is started again if its unit changed."""
        if not self.active():
            self.systemd.do("enable", "--now", self._timer)
        elif changed:
            self.systemd.do("restart", self._timer)

    def remove(self) -> None:
        """Stop the timer and remove both units; no error if they are not there."""
        name, found = os.path.basename(self.places.schedule), False
        for suffix in (".timer", ".service"):
            text, mark = read(self.places.schedule + suffix), (units.MARK + self.places.name + "\n").encode()
            sweep(self.places.schedule + suffix)
            if text is not None and (text.startswith(mark) or mark.startswith(text)):
                self.systemd.attempt("stop", name + suffix)
                self.systemd.attempt("disable", name + suffix)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.places.schedule + suffix)
                found = True
        if found:
            self.systemd.attempt("daemon-reload")
            self.systemd.attempt("reset-failed", name + ".service", name + ".timer")

    @property
    def exists(self) -> bool:
        """Whether there is a timer, or something of one."""
        return any(os.path.exists(self.places.schedule + suffix) for suffix in (".timer", ".service"))

    def active(self) -> bool:
        """Whether the timer runs."""
        return self.exists and self.systemd.show(self._timer).get("ActiveState") == "active"

    @property
    def _timer(self) -> str:
        return os.path.basename(self.places.schedule) + ".timer"

    def _python(self) -> str:
        """An interpreter that the service can run: what is in a home, a service of the system does not see."""
        running = os.path.realpath(sys.executable)
        for path in ("/usr/bin/python3", find("python3") or ""):
            if path and os.path.realpath(path) == running:
                running = path  # the name that stays when the host's Python is updated
                break
        for path in (running, "/usr/bin/python3"):
            hidden = self.places.system and os.path.realpath(path).startswith(_HOMES)
            if os.access(path, os.X_OK) and not hidden:
                return path
        return ""
