"""remove: the unit or container goes, then the files. What is not this gateway's is not touched."""

import contextlib
import os
import shutil
from typing import List

from . import kept, state
from .engines import OWN_IMAGE
from .failures import Failure
from .files import left_beside, read
from .former import Former
from .places import Places
from .running import Runner
from .schedule import Schedule
from .situation import TYPES
from .systemd import Systemd


class Removal:
    """What is there of a gateway, looked at in the constructor; :meth:`apply` removes it."""

    def __init__(self, places: Places, keep_config: bool, purge: bool) -> None:
        self.places = places
        self.keep_config = keep_config
        self.purge = purge
        try:
            self.known = state.load(places) or {}
        except Failure:  # it is to go anyway
            self.known = {}
        former = Former(places, self.known)
        self.former = former if former.exists else None
        self.runners = self._runners()
        self.schedule = Schedule(places, str(self.known.get("type", "")))

    def _runners(self) -> List[Runner]:
        """Every type of which something is there: a launch that was cut short may have left more than one."""
        found = []
        for kind in TYPES:
            known = self.known.get("type") == kind
            with contextlib.suppress(Failure):
                runner = Runner(self.places, kind)
                if known or self._has_container(runner):
                    found.append(runner)
        for runner in found:  # an engine that does not answer would start it again later, without its files
            self._has_container(runner)
        unit = read(self.places.unit)
        if not found and unit is not None:
            found.append(Runner(self.places, "service"))
        return found

    def _has_container(self, runner: Runner) -> bool:
        container = runner.engine.inspect(self.places.name) if runner.engine else None
        return bool(container and runner.is_ours(container))

    def plan(self) -> List[str]:
        """What goes, line by line."""
        lines = ["stop and remove %s %s" % (runner.kind, self.places.name) for runner in self.runners]
        if self.schedule.exists:
            lines.append("remove the timer that renews its credential")
        lines += ["remove %s" % left for left in self._left_of_units()]
        if self.former:
            lines.append("stop and remove what launch.sh of a 1.9 bundle put here")
        if not self.keep_config:
            lines += ["remove %s" % place for place in self._directories() if os.path.lexists(place)]
        if self._linger_ends():
            lines.append("disable lingering, which the launch enabled")
        return lines

    def _left_of_units(self) -> List[str]:
        """What a launch that was killed left of unit files that it was about to put in place."""
        units = [self.places.unit, self.places.schedule + ".service", self.places.schedule + ".timer"]
        return [left for unit in units for left in left_beside(unit)]

    def _directories(self) -> List[str]:
        """The directories of its files; what is known of it is in the last one."""
        places = self.places
        return [places.removed, *([places.private] if places.system else []), places.directory]

    def _linger_ends(self) -> bool:
        """Whether lingering goes: we enabled it, and no other unit of the user is enabled."""
        if not self.known.get("lingering") or self.keep_config:
            return False
        wants = []
        for directory, _names, files in os.walk(self.places.units):
            if directory.endswith(".wants"):
                wants += [name for name in files if name.endswith((".service", ".timer"))]
        own = (self.places.name + ".service", os.path.basename(self.places.schedule) + ".timer")
        return all(name in own for name in wants)

    def apply(self) -> None:
        """Remove it; raises Failure naming what is left. What is known of it goes last, so that it can go on."""
        linger_ends = self._linger_ends()
        self.schedule.remove()
        for runner in self.runners:
            runner.uninstall()
            if runner.active():
                raise Failure(1, "%s %s does not stop" % (runner.kind, self.places.name))
        for left in self._left_of_units():
            os.unlink(left)
        if self.former:
            self.former.stop()
            self.former.remove()
        self._remove_images()
        if linger_ends:
            Systemd(self.places.system).linger(False)
        if not self.keep_config:
            self._remove_files()

    def _remove_files(self) -> None:
        *others, directory = self._directories()
        for place in others:
            if os.path.lexists(place):
                _remove_tree(place)
        if self.places.system:
            _remove_empty(os.path.dirname(self.places.private), "/var/lib/private")
        if os.path.lexists(directory):
            os.rename(directory, self.places.removed)  # so that it is there as a whole or not at all
            _remove_tree(self.places.removed)

    def _remove_images(self) -> None:
        """Images that were made of a bundle's router; with purge also the one that was loaded or pulled."""
        known = str(self.known.get("image") or "")
        images = kept.images(self.places)
        if self.purge or known.startswith(OWN_IMAGE):
            images.add(known)
        for runner in self.runners:
            for image in sorted(images - kept.images_of_others(self.places) - {""}):
                if runner.engine:
                    runner.engine.forget(image)


def _remove_tree(place: str) -> None:
    try:
        shutil.rmtree(place)
    except OSError as error:
        raise Failure(1, "%s cannot be removed: %s" % (error.filename or place, error.strerror)) from error


def _remove_empty(place: str, above: str) -> None:
    while place != above and place.startswith(above):
        with contextlib.suppress(OSError):
            os.rmdir(place)
        place = os.path.dirname(place)
