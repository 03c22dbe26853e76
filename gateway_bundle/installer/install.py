"""Carrying out a launch.

What always holds: nothing is changed before everything was looked at; a failure on the way puts every file back and
starts again what ran before; a gateway that runs is changed over its management where that can be, so that connections
stay. What is about to be done is written down first (`state.unfinished`) and forgotten last, so that after a kill or a
power cut the same launch finishes it, and a removal knows all of it.
"""

import contextlib
import datetime
import os
import shutil
import time
from typing import Any, Callable, Dict, Set

from . import checks, kept, rendering, routers, state
from .bundle import LINK
from .failures import NO_LINK, NOT_STARTED, Failure
from .files import Changes
from .lines import INTERRUPTED, undisturbed
from .management import Management, ManagementError
from .renewal import Renewal
from .situation import Situation

Say = Callable[[str], None]


class Launch:
    """The launch that follows from a situation; `say` is told what the user should know."""

    def __init__(self, found: Situation, say: Say) -> None:
        self._found = found
        self._say = say
        self._changes = Changes()
        self._changed_live = self._stopped_former = False

    def apply(self) -> None:
        """Carry it out; raises Failure, and then what was there before is there again."""
        found = self._found
        found.raise_findings()
        if found.elsewhere and (found.restart or found.options.foreground):
            reason = found.restart or "there is no second"
            raise Failure(
                1,
                "gateway %s runs under another supervisor: %s" % (found.bundle.name, reason),
                "stop it there, then start launch.py --foreground again",
            )
        try:
            self._begin()
            self._place()
            self._run()
            self._record()
            self._exchange()
        except BaseException:
            with undisturbed():
                self._take_back()
            raise
        self._changes.keep()
        try:
            self._finish()
        except KeyboardInterrupt:
            raise Failure(INTERRUPTED, "interrupted; it is launched, the next launch tidies up") from None

    def _begin(self) -> None:
        """Write down what is about to be done."""
        found, places, changes = self._found, self._found.places, self._changes
        for place in (places.top, os.path.join(places.top, places.kind), places.directory):
            changes.directory(place, places.mode)
        os.chmod(places.directory, places.mode)
        shutil.rmtree(places.removed, ignore_errors=True)
        planned = self._state()
        known = dict(planned if found.fresh or found.before is None else found.before)
        before = found.before or {}
        known["ports"] = sorted({*before.get("ports", []), *planned["ports"]})  # it may listen at any of them
        known["changedPorts"] = dict(before.get("changedPorts", {}), **planned["changedPorts"])
        known["lingering"] = bool(before.get("lingering")) or self._is_to_linger
        known[state.UNFINISHED] = {
            "new": found.fresh,
            "type": found.type,
            "restart": found.restart,
            "former": found.former is not None,
        }
        changes.write(places.state, state.dump(known), 0o600)

    def _finish(self) -> None:
        """Forget what it has taken the place of, and that it was begun."""
        found = self._found
        if found.former and not found.options.foreground and found.options.start:
            found.former.remove()
        images = kept.images(found.places)
        kept.tidy(found.places, found.bundle.generation, alone=found.anew)
        self._forget_images(images)
        if found.restart and found.was_active and not found.options.start:
            return  # what runs is still to be started anew
        known = state.load(found.places) or {}
        known.pop(state.UNFINISHED, None)
        state.save(found.places, known)

    def _forget_images(self, made: Set[str]) -> None:
        """Of images that were `made` of bundles' routers, those of older generations and of another type go."""
        found = self._found
        needed, others = kept.images(found.places), kept.images_of_others(found.places)
        for runner in [found.runner, *found.others]:
            if runner.engine:
                for image in made - others - (needed if runner.kind == found.type else set()):
                    runner.engine.forget(image)

    def _place(self) -> None:
        """Put the files in place."""
        found, places, changes = self._found, self._found.places, self._changes
        # First: its programs are there as long as anything else is.
        kept.keep(places, found.bundle, changes)
        if found.runner.engine:
            found.runner.engine.provide(found.bundle, found.image)
        elif found.router and found.router.digest and routers.unpack(found.bundle, found.router, places.mode):
            self._say("unpacked the bundle's router")
        found.credentials.place(changes, found.type == "service")
        if found.restart or found.options.foreground:
            self._configure()

    def _configure(self) -> None:
        """Write the router's configuration: before it is started, or after what runs has been changed to it."""
        places = self._found.places
        self._changes.directory(os.path.dirname(places.config), places.mode)
        # Nothing in it is secret; as root, the service that reads it is another user.
        self._changes.write(places.config, rendering.dump(self._found.config), 0o644 if places.system else 0o600)

    def _run(self) -> None:
        """Start what is to run, or change what runs."""
        found = self._found
        if found.options.foreground:
            return
        if found.elsewhere:
            self._change_live()
            return
        scheduled = not found.not_renewed
        written = self._schedule() if scheduled else False
        if found.restart and found.options.start:
            for other in found.others:
                other.uninstall()
            if found.former:
                self._stopped_former = True
                found.former.stop()
            found.runner.install(self._changes, written)
            self._start()
        else:
            found.runner.install(self._changes, written)
            if not found.restart:
                self._change_live()
        if not scheduled:
            found.schedule.remove()
        elif found.options.start:
            found.schedule.start(written)

    def _schedule(self) -> bool:
        """Write down how the credential is renewed; whether systemd must read that."""
        found = self._found
        lifetime = (found.credentials.expires - found.bundle.created).total_seconds()
        lifetime = max(lifetime, found.bundle.exchange)
        return found.schedule.install(found.bundle, lifetime, self._changes)

    def _start(self) -> None:
        """Start it, and wait until the router listens; raises Failure with what it said if it ended."""
        runner = self._found.runner
        runner.start(self._found.words)
        end = time.monotonic() + 60
        reason = ""
        while time.monotonic() < end:
            if not runner.active():
                time.sleep(0.3)
                if not runner.active():
                    raise Failure(NOT_STARTED, runner.why_not("it ended at once"))
            try:
                with self._management(2.0):
                    return
            except ManagementError as error:
                reason = str(error)
            time.sleep(0.1)
        name = self._found.bundle.name
        raise Failure(NOT_STARTED, "gateway %s runs, but its router does not answer: %s" % (name, reason))

    def _change_live(self) -> None:
        """Change the running router and then its configuration; where that fails, restart it."""
        found = self._found
        self._changed_live = True
        try:
            self._change_router()
        except ManagementError as error:
            if found.elsewhere:
                raise Failure(1, "the running router cannot be changed: %s" % error, "restart it there") from error
            self._say("the running router cannot be changed (%s): restarting it" % error)
            self._configure()
            self._start()
            return
        self._configure()

    def _change_router(self) -> None:
        """Delete and create in the running router, where a launch that was killed may have done some of it."""
        gone, added = self._found.gone, self._found.added
        if not (gone or added):
            return
        with self._management(10.0) as router:
            kinds = {kind for kind, _item in gone + added}
            there = {(kind, row.get("name")) for kind in kinds for row in router.query(kind)}
            for kind, item in gone + added[::-1]:
                if (kind, item["name"]) in there:
                    router.delete(kind, str(item["name"]))
                    there.discard((kind, item["name"]))
            for kind, item in added:
                router.create(kind, item)

    def _change_bridges(self, gone: rendering.Config, added: rendering.Config) -> None:
        with self._management(10.0) as router:
            for kind, item in gone:
                router.delete(kind, str(item["name"]))
            for kind, item in added:
                router.create(kind, item)

    def _management(self, timeout: float) -> Management:
        return Management(self._found.management_port, self._found.places.credential, timeout)

    def _record(self) -> None:
        """Write down what is installed."""
        found = self._found
        record = self._state()
        if self._is_to_linger:
            record["lingering"] = found.runner.systemd.linger(True)
        record[state.UNFINISHED] = {"type": found.type, "former": found.former is not None}
        if found.was_active and not found.options.start:
            record[state.UNFINISHED]["restart"] = found.restart
        self._changes.write(found.places.state, state.dump(record), 0o600)
        state.log(found.places, "launched generation %d as %s" % (found.bundle.generation, found.type))

    @property
    def _is_to_linger(self) -> bool:
        runner = self._found.runner
        return self._found.here and runner.supervised and not runner.systemd.lingers()

    def _state(self) -> Dict[str, Any]:
        """What will be installed."""
        found = self._found
        ports = [found.management_port]
        ports += [found.changed_ports.get(item["name"], int(item["port"])) for item in found.bundle.forwards]
        return {
            "format": 1,
            "gateway": found.bundle.name,
            "kind": found.bundle.kind,
            "site": found.bundle.site,
            "registration": found.bundle.registration,
            "made": found.bundle.made_at,
            "type": found.type,
            "generation": found.bundle.generation,
            "routerName": found.router_name,
            "routerId": found.router_id,
            "managementPort": found.management_port,
            "ports": ports,
            "changedPorts": found.changed_ports,
            "words": found.words,
            "image": found.image,
            "foreground": not found.here,
            "notRenewed": found.not_renewed,
            "lingering": bool((found.before or {}).get("lingering")),
        }

    def _exchange(self) -> None:
        """The last thing: what fails after it would leave a bundle that is of no use any more."""
        found = self._found
        if not found.exchange:
            return
        now = datetime.datetime.now(datetime.timezone.utc)
        try:
            Renewal(found.places.credential, found.bundle.renewal_url, now).exchange(found.bundle.file(LINK))
        except Failure as failure:
            if not found.credentials.kept:
                raise
            self._say("Note: the credential of this host stays: %s" % failure.message)

    def _take_back(self) -> None:
        """Have everything as it was."""
        found = self._found
        with contextlib.suppress(Failure, OSError):
            if found.fresh and found.here:
                found.runner.uninstall()
                found.schedule.remove()
        self._changes.undo()
        if self._changed_live and not found.restart:
            self._change_back()
        with contextlib.suppress(Failure, OSError):
            if found.runner.supervised and found.here:
                found.runner.systemd.attempt("daemon-reload")
            if found.was_active and found.old_runner and found.restart and not found.fresh:
                found.old_runner.text = found.unit_before
                found.old_runner.install(Changes())
                found.old_runner.start(list((found.before or {}).get("words", [])))
            if found.former and self._stopped_former:
                found.former.start()
        if found.fresh and found.former is None:
            remains = [found.places.directory] + ([found.places.private] if found.places.system else [])
            for place in remains:
                shutil.rmtree(place, ignore_errors=True)

    def _change_back(self) -> None:
        """Have the router that runs as it was; each change may not have been made."""
        found = self._found
        for pair in reversed(found.added):
            with contextlib.suppress(ManagementError):
                self._change_bridges([pair], [])
        for pair in reversed(found.gone):
            with contextlib.suppress(ManagementError):
                self._change_bridges([], [pair])

    def await_link(self) -> None:
        """Wait until the site has let the gateway in; raises Failure with the reason if it does not in time."""
        wait = self._found.options.wait
        end = time.monotonic() + wait
        while True:
            with contextlib.suppress(ManagementError), self._management(3.0) as router:
                if any(is_link(row) for row in router.query("connection")):
                    return
            if time.monotonic() > end:
                break
            time.sleep(0.1)
        seen = checks.site(self._found.bundle.edge, self._found.credentials.directory)
        if seen.failure:
            raise seen.failure
        raise Failure(NO_LINK, "the link to the site was not there within %g seconds" % wait)


def is_link(row: Dict[str, Any]) -> bool:
    """Whether a connection of the router is its link to the site."""
    return row.get("role") == "edge" and row.get("dir") == "out" and bool(row.get("opened"))
