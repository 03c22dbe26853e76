"""One face for a service and a container: put it in place, start, restart, stop, and is it running."""

import os
from typing import Any, Dict, List, Optional

from .engines import LABEL, Engine
from .failures import MISSING, NOT_STARTED, Failure
from .files import Changes, read, sweep
from .places import Places
from .processes import check
from .systemd import Systemd
from .units import MARK

_FORMER_UNIT = b"Description=Qpid Dispatch router daemon"


class Runner:
    """What runs a gateway of `kind` (service, podman, docker); `unit` is its unit file, None where there is none."""

    def __init__(self, places: Places, kind: str, unit: Optional[bytes] = None) -> None:
        self.places = places
        self.kind = kind
        self.text = unit
        self.systemd = Systemd(places.system)
        self.engine = Engine(kind) if kind != "service" else None
        self.supervised = kind == "service" or (kind == "podman" and not self.systemd.unavailable())
        """Whether systemd starts and restarts it; else the engine does."""

    @property
    def name(self) -> str:
        """The unit's name."""
        return self.places.name + ".service"

    def check(self) -> None:
        """Raises Failure if it cannot be put in place, because something is missing or the name is taken."""
        if self.supervised:
            reason = self.systemd.unavailable()
            if reason:
                raise Failure(MISSING, reason, "run it under another supervisor: launch.py --foreground")
            shown = self.systemd.show(self.name)
            fragment = shown.get("FragmentPath", "")
            if fragment and (fragment != self.places.unit or not self._ours(fragment)):
                raise Failure(1, "there is a unit %s already, which is not this gateway's: %s" % (self.name, fragment))
        if self.engine:
            self.engine.check()
            found = self.engine.inspect(self.places.name)
            if found and not self.is_ours(found):
                raise Failure(1, "there is a container %s already, which is not this gateway's" % self.places.name)

    def _ours(self, path: str) -> bool:
        """Whether there is a unit there that is this gateway's."""
        text, mark = read(path), (MARK + self.places.name + "\n").encode()
        if text is None:
            return False
        # A power cut may have left its beginning, or nothing. What is masked is empty, too, but a link.
        cut = mark.startswith(text) and os.path.isdir(self.places.directory) and not os.path.islink(path)
        return cut or text.startswith(mark) or _FORMER_UNIT in text

    def is_ours(self, container: Dict[str, Any]) -> bool:
        """Whether a container is this gateway's, made by us or by launch.sh of 1.9."""
        config = container.get("Config") or {}
        former = "SKUPPER_SITE_ID=gateway_%s_" % self.places.name
        environment = config.get("Env") or []
        return (config.get("Labels") or {}).get(LABEL) == self.places.name or any(
            item.startswith(former) for item in environment
        )

    def install(self, changes: Changes, others: bool = False) -> None:
        """Write the unit and have systemd read it, and `others` that were written."""
        if self.supervised and self.text is not None and read(self.places.unit) != self.text:
            changes.directory(self.places.units, 0o755)
            changes.write(self.places.unit, self.text, 0o644)
            others = True
        if others:
            self.systemd.do("daemon-reload")

    def active(self) -> bool:
        """Whether it runs now; raises Failure if a container engine does not say."""
        if self.supervised:
            return self.systemd.show(self.name).get("ActiveState") == "active"
        assert self.engine is not None
        return self.engine.running(self.places.name)

    def start(self, words: List[str]) -> None:
        """Start it, and have it started at every boot. `words` are those of a container without a unit."""
        if self.supervised:
            self.systemd.attempt("reset-failed", self.name)
            self.systemd.do("enable", self.name)
            done = self.systemd.attempt("restart", self.name)
            if done.code:
                raise Failure(NOT_STARTED, self.why_not(done.complaint), "systemctl status %s" % self.name)
            return
        assert self.engine is not None
        self.engine.remove(self.places.name)
        check([self.engine.path, "run", "--detach", "--restart", "always", *words], 90, NOT_STARTED)

    def why_not(self, otherwise: str) -> str:
        """Why it does not run, in one line."""
        said = self.systemd.last_words(self.name) if self.supervised else ""
        if not said and self.engine:
            said = self.engine.last_words(self.places.name)
        return "gateway %s does not start: %s" % (self.places.name, said or otherwise)

    def stop(self) -> None:
        """Stop it and take it out of the boot; no error if it is not there."""
        if self.supervised or os.path.exists(self.places.unit):
            self.systemd.attempt("stop", self.name)
            self.systemd.attempt("disable", self.name)
        if self.engine:
            found = self.engine.inspect(self.places.name)
            if found and self.is_ours(found):
                self.engine.remove(self.places.name)

    def uninstall(self) -> None:
        """Stop it and remove its unit."""
        self.stop()
        own = self._ours(self.places.unit)
        if own:
            os.unlink(self.places.unit)
        sweep(self.places.unit)
        if self.supervised or own:
            self.systemd.attempt("daemon-reload")
            self.systemd.attempt("reset-failed", self.name)
