"""launch: from the bundle and what is there already to a plan, and carrying it out.

What always holds: nothing is changed before everything was looked at; a failure on the way puts every file back and
starts again what ran before; a gateway that runs is changed over its management where that can be, so that connections
stay.
"""

import contextlib
import datetime
import json
import os
import shutil
import time
import uuid
from typing import Any, Callable, Dict, List, Optional

from . import checks, engines, rendering, routers, state, units
from .bundle import CONFIG, IMAGE, LINK, MANIFEST, RUNTIME, Bundle
from .failures import NO_LINK, NOT_STARTED, OLDER, Failure
from .files import Changes, read, write
from .management import Management, ManagementError
from .places import Places
from .processes import check, run
from .running import Runner
from .systemd import Systemd

TYPES = ("service", "podman", "docker")
Say = Callable[[str], None]


class Options:
    """What was asked for on the command line; see commands.py."""

    def __init__(self) -> None:
        self.type = ""
        self.router = ""
        self.force = False
        self.auto_port = False
        self.start = True
        self.foreground = False
        self.wait = 30.0


class Launch:
    """A launch of `bundle`: looked at in the constructor, which raises Failure; carried out by :meth:`apply`."""

    def __init__(self, bundle: Bundle, options: Options, now: datetime.datetime) -> None:
        self.bundle = bundle
        self.options = options
        self.places = Places(bundle.name, bundle.kind, os.getuid(), os.environ)
        self.before = state.load(self.places)
        self.former = Former(self.places) if self.before is None else None
        if self.former and not self.former.exists:
            self.former = None
        known = self.before or {}
        self.type = options.type or str(known.get("type") or (self.former and self.former.type) or "service")
        self._check_installed()
        self.findings = [checks.clock(bundle, now)]
        self._raise_findings()
        self.router = routers.choose(bundle, self.places, options.router) if self.type == "service" else None
        self.runner = Runner(self.places, self.type)
        self.elsewhere = self._runs_elsewhere()
        if not (options.foreground or self.elsewhere):
            self.runner.check()
        self.old_runner = self._old_runner()
        self.unit_before = read(self.places.unit)
        self.kept = ""
        self.was_active = self.elsewhere or bool(self.old_runner and self.old_runner.active())
        self._resolve()

    def _check_installed(self) -> None:
        known = self.before or {}
        site = str(known.get("site") or self.bundle.site)
        if site != self.bundle.site and not self.options.force:
            raise Failure(
                1,
                "gateway not created as existing gateway detected for site: %s" % site,
                "remove that one first, or replace it: launch.py --force",
            )
        # One that was deleted at its site and made anew has another registration, and begins to count again.
        again = known.get("registration") != self.bundle.registration and self.bundle.made_at > str(
            known.get("made", "")
        )
        self.anew = self.before is not None and (site != self.bundle.site or again)
        installed = 0 if self.anew else int(known.get("generation", 0))
        if self.bundle.generation < installed and not self.options.force:
            raise Failure(
                OLDER,
                "this bundle is generation %d, installed is %d" % (self.bundle.generation, installed),
                "to go back: launch.py --rollback, or --force",
            )

    def _raise_findings(self) -> None:
        for finding in self.findings:
            if finding.failure:
                raise finding.failure

    def _old_runner(self) -> Optional[Runner]:
        """What runs the gateway so far."""
        if self.before is None or self.before.get("foreground"):
            return None
        return self.runner if self.before["type"] == self.type else Runner(self.places, str(self.before["type"]))

    def _runs_elsewhere(self) -> bool:
        """Whether it runs in the foreground of another supervisor: then it is changed, but never started here."""
        known = self.before or {}
        if not known.get("foreground"):
            return False
        credential = os.path.join(os.path.realpath(self.places.directory), LINK)
        try:
            with Management(int(known["managementPort"]), credential, 2.0):
                return True
        except ManagementError:
            return False

    def _resolve(self) -> None:
        """Names and ports of this host, and the files that follow from them."""
        known = self.before or {}
        own = [int(port) for port in known.get("ports", [])] if self.was_active else []
        if self.former:
            own = self.former.ports
        chosen = {str(name): int(port) for name, port in known.get("changedPorts", {}).items()}
        self.changed_ports, found = checks.forwards(self.bundle, own, chosen, self.options.auto_port)
        self.findings += found
        wanted = int(known.get("managementPort") or self.bundle.manifest.get("managementPort") or 5672)
        if not (wanted in own or checks.port_free("127.0.0.1", wanted) == ""):
            wanted = checks.free_port("127.0.0.1", wanted, set())
        self.management_port = wanted
        self.router_name = str(known.get("routerName") or state.router_name(self.bundle.name, os.getuid()))
        self.router_id = str(known.get("routerId") or (self.former and self.former.router_id) or uuid.uuid4())
        inside = engines.INSIDE if self.type != "service" else self.places.directory
        values = {
            "QDR_CONF_DIR": inside,
            "ROUTER_NAME": self.router_name,
            "ROUTER_ID": self.router_id,
            "MANAGEMENT_PORT": str(wanted),
            "HOSTNAME": os.uname().nodename,
        }
        template = (read(self.bundle.file(CONFIG)) or b"").decode("utf-8", "replace")
        self.config = rendering.with_ports(rendering.render(template, values), self.changed_ports)
        self.site_id = "gateway_%s_%s" % (self.bundle.name, self.router_id)
        self.image = self.runner.engine.image(self.bundle) if self.runner.engine else ""
        self.words = self._words()
        self.runner.text = self._unit()
        self.certificates = self.bundle.certificates()
        self._compare()

    def _words(self) -> List[str]:
        if self.runner.engine:
            return self.runner.engine.words(self.places, self.image, self.site_id)
        assert self.router is not None
        return [*self.router.words, "-c", self.places.config]

    def _unit(self) -> Optional[bytes]:
        if not self.runner.supervised:
            return None
        if self.runner.engine:
            return units.container_unit(self.places, self.words, self.runner.engine.path)
        assert self.router is not None
        low = any(int(item["port"]) < 1024 for item in self.bundle.forwards)
        return units.service_unit(self.places, self.words, dict(self.router.env, SKUPPER_SITE_ID=self.site_id), low)

    def _compare(self) -> None:
        """What is to be done to what runs: nothing, changes over management, or a restart and why."""
        old_config = read(self.places.config)
        self.restart = ""
        self.gone: rendering.Config = []
        self.added: rendering.Config = []
        if not self.was_active:
            self.restart = "it does not run" if self.before else "it is new"
        elif self.before and self.before["type"] != self.type:
            self.restart = "its type was %s" % self.before["type"]
        elif self.before and (self.before.get("words") != self.words or self.before.get("image", "") != self.image):
            self.restart = "its router is another one"
        elif old_config is None:
            self.restart = "its configuration is gone"
        else:
            self.gone, self.added, fixed = rendering.difference(rendering.parse(old_config), self.config)
            self.restart = "%s cannot be changed while it runs" % fixed[0] if fixed else ""
        same = old_config == rendering.dump(self.config) and self._same_certificates()
        unit_same = self.elsewhere or not self.runner.supervised or read(self.places.unit) == self.runner.text
        generation = self.before and int(self.before["generation"]) == self.bundle.generation
        self.unchanged = bool(self.was_active and same and unit_same and generation and not self.restart)

    def _same_certificates(self) -> bool:
        return all(
            read(os.path.join(self.places.certificates, path)) == content for path, content in self.certificates.items()
        )

    # -- telling

    def plan(self) -> List[str]:
        """What :meth:`apply` will do, line by line."""
        if self.unchanged:
            return ["nothing to do: generation %d runs as type %s" % (self.bundle.generation, self.type)]
        lines = []
        if self.former:
            lines.append("take over from the launch.sh of a 1.9 bundle: stop it, remove its unit or container")
        if self.before and self.before["type"] != self.type:
            lines.append("stop and remove type %s" % self.before["type"])
        if self.router and self.router.digest and not os.path.isdir(self.router.unpacked):
            lines.append("unpack the bundle's router to %s" % self.router.unpacked)
        if self.runner.engine:
            lines.append("run image %s in %s" % (self.image, self.type))
        elif self.router:
            lines.append("run %s" % self.router.title)
        lines.append("write %s" % self.places.config)
        lines.append("write the credential to %s (files 0600, directories 0700)" % self.places.certificates)
        if self.runner.supervised and not self.options.foreground and not self.elsewhere:
            lines.append("write %s" % self.places.unit)
        lines.append("management of the router at port %d of loopback" % self.management_port)
        lines += [finding.text for finding in self.findings if finding.check.startswith("port")]
        if self.restart:
            lines.append("start the gateway: %s" % self.restart)
        else:
            lines += ["remove %s %s, without a restart" % (kind, item.get("name")) for kind, item in self.gone]
            lines += ["add %s %s, without a restart" % (kind, item.get("name")) for kind, item in self.added]
        return lines

    # -- doing

    def apply(self, say: Say) -> None:
        """Carry it out; raises Failure, and then what was there before is there again."""
        self._raise_findings()
        if self.elsewhere and (self.restart or self.options.foreground):
            raise Failure(
                1,
                "gateway %s runs under another supervisor: %s"
                % (self.bundle.name, self.restart or "there is no second"),
                "stop it there, then start launch.py --foreground again",
            )
        changes = Changes()
        try:
            self._place(changes, say)
            if self.options.foreground:
                pass
            elif self.elsewhere:
                self._change_live(say)
            elif self.restart and self.options.start:
                if self.before and self.before["type"] != self.type and self.old_runner:
                    self.old_runner.uninstall()
                if self.former:
                    self.former.stop()
                self.runner.install(changes)
                self.runner.start(self.words)
                self._await_running()
            else:
                self.runner.install(changes)
                if not self.restart:
                    self._change_live(say)
            self._record(changes)
        except BaseException:
            self._take_back(changes)
            raise
        changes.keep()
        if self.former and not self.options.foreground and self.options.start:
            self.former.remove()
        self._tidy()

    def _place(self, changes: Changes, say: Say) -> None:
        places = self.places
        for place in (places.top, os.path.join(places.top, places.kind), places.directory):
            changes.directory(place, places.mode)
        os.chmod(places.directory, places.mode)
        if self.runner.engine:
            self.runner.engine.provide(self.bundle, self.image)
        elif self.router and self.router.digest and routers.unpack(self.bundle, self.router, places.mode):
            say("unpacked the bundle's router")
        self._place_certificates(changes)
        changes.directory(os.path.dirname(places.config), places.mode)
        # Nothing in it is secret; as root, the service that reads it is another user.
        changes.write(places.config, rendering.dump(self.config), 0o644 if places.system else 0o600)
        self._keep_bundle()

    def _place_certificates(self, changes: Changes) -> None:
        """The credential; systemd owns its directory once a service with a user of its own was started."""
        changes.directory(self.places.certificates, 0o700)
        if not os.path.islink(self.places.certificates):
            os.chmod(self.places.certificates, 0o700)
        top = os.path.realpath(self.places.certificates)
        if self.type != "service" and os.path.islink(self.places.certificates):
            self._own_again(top)
            top = self.places.certificates
        for path, content in self.certificates.items():
            place = os.path.join(top, *path.split("/"))
            if not os.path.isdir(os.path.dirname(place)):
                changes.directory(os.path.dirname(place), 0o700)
                owner = os.stat(top)
                if os.getuid() == 0:
                    os.chown(os.path.dirname(place), owner.st_uid, owner.st_gid)
            if read(place) != content:
                changes.write(place, content, 0o600)

    def _own_again(self, private: str) -> None:
        """From systemd's private directory back to where containers mount it from."""
        os.unlink(self.places.certificates)
        shutil.move(private, self.places.certificates)
        for directory, _names, files in os.walk(self.places.certificates):
            os.chown(directory, 0, 0)
            for name in files:
                os.chown(os.path.join(directory, name), 0, 0)

    def _keep_bundle(self) -> None:
        """Keep this bundle, without what is unpacked or loaded, so that it can be returned to."""
        kept = os.path.join(self.places.bundles, str(self.bundle.generation))
        if os.path.realpath(kept) == os.path.realpath(self.bundle.path):
            return
        if self.anew:  # what is kept of the registration before was revoked
            shutil.rmtree(self.places.bundles, ignore_errors=True)
        os.makedirs(self.places.bundles, mode=0o700, exist_ok=True)
        os.chmod(self.places.bundles, 0o700)
        staged = kept + ".new"
        shutil.rmtree(staged, ignore_errors=True)
        for path in [MANIFEST, *sorted(self.bundle.files())]:
            if path in (RUNTIME, IMAGE):
                continue
            target = os.path.join(staged, *path.split("/"))
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            write(target, read(self.bundle.file(path)) or b"", os.stat(self.bundle.file(path)).st_mode & 0o700)
        if not os.path.exists(kept):
            self.kept = kept
        shutil.rmtree(kept, ignore_errors=True)
        os.rename(staged, kept)

    def _change_live(self, say: Say) -> None:
        """Change the running router; where that fails, restart it."""
        if not (self.gone or self.added):
            return
        try:
            with self._management(10.0) as router:
                for kind, item in self.gone:
                    router.delete(kind, str(item["name"]))
                for kind, item in self.added:
                    router.create(kind, item)
        except ManagementError as error:
            if self.elsewhere:
                raise Failure(1, "the running router cannot be changed: %s" % error, "restart it there") from error
            say("the running router cannot be changed (%s): restarting it" % error)
            self.runner.start(self.words)
            self._await_running()

    def _management(self, timeout: float) -> Management:
        credential = os.path.join(os.path.realpath(self.places.directory), LINK)
        return Management(self.management_port, credential, timeout)

    def _await_running(self) -> None:
        """Wait until the router listens; raises Failure with what it said if it ended."""
        end = time.monotonic() + 30
        reason = ""
        while time.monotonic() < end:
            if not self.runner.active():
                time.sleep(0.3)
                if not self.runner.active():
                    raise Failure(NOT_STARTED, self.runner.why_not("it ended at once"))
            try:
                with self._management(2.0):
                    return
            except ManagementError as error:
                reason = str(error)
            time.sleep(0.1)
        raise Failure(NOT_STARTED, "gateway %s runs, but its router does not answer: %s" % (self.bundle.name, reason))

    def _record(self, changes: Changes) -> None:
        lingering = bool((self.before or {}).get("lingering"))
        here = not (self.options.foreground or self.elsewhere)
        if here and self.runner.supervised and not self.runner.systemd.lingers():
            lingering = self.runner.systemd.linger(True)
        ports = [self.management_port]
        ports += [self.changed_ports.get(item["name"], int(item["port"])) for item in self.bundle.forwards]
        record: Dict[str, Any] = {
            "format": 1,
            "gateway": self.bundle.name,
            "kind": self.bundle.kind,
            "site": self.bundle.site,
            "registration": self.bundle.registration,
            "made": self.bundle.made_at,
            "type": self.type,
            "generation": self.bundle.generation,
            "credentialExpires": self.bundle.manifest["credentialExpires"],
            "routerName": self.router_name,
            "routerId": self.router_id,
            "managementPort": self.management_port,
            "ports": ports,
            "changedPorts": self.changed_ports,
            "words": self.words,
            "image": self.image,
            "foreground": self.options.foreground or self.elsewhere,
            "lingering": lingering,
        }
        changes.write(self.places.state, (json.dumps(record, indent=4, sort_keys=True) + "\n").encode(), 0o600)
        state.log(self.places, "launched generation %d as %s" % (self.bundle.generation, self.type))

    def _take_back(self, changes: Changes) -> None:
        fresh = self.before is None and self.former is None
        if self.kept:
            shutil.rmtree(self.kept, ignore_errors=True)
        here = not (self.options.foreground or self.elsewhere)
        with contextlib.suppress(Failure, OSError):
            if self.before is None and here:
                self.runner.uninstall()
        changes.undo()
        with contextlib.suppress(Failure, OSError):
            if self.runner.supervised and here:
                self.runner.systemd.attempt("daemon-reload")
            if self.was_active and self.old_runner and self.restart:
                self.old_runner.text = self.unit_before
                self.old_runner.install(Changes())
                self.old_runner.start(list((self.before or {}).get("words", [])))
            if self.former:
                self.former.start()
        if fresh:
            remains = [self.places.directory] + ([self.places.private] if self.places.system else [])
            for place in remains:
                shutil.rmtree(place, ignore_errors=True)

    def _tidy(self) -> None:
        """Keep this generation and the one before."""
        with contextlib.suppress(OSError, ValueError):
            others = [int(name) for name in os.listdir(self.places.bundles) if name.isdigit()]
            others = sorted(number for number in others if number != self.bundle.generation)
            earlier = [number for number in others if number < self.bundle.generation]
            keep = set(others[-1:]) | set(earlier[-1:])
            for number in others:
                if number not in keep:
                    shutil.rmtree(os.path.join(self.places.bundles, str(number)), ignore_errors=True)
            digests = [(Bundle(path).router.get("runtime") or {}).get("digest") for path in kept_bundles(self.places)]
            routers.forget_others(self.places, digests)

    def await_link(self) -> None:
        """Wait until the site has let the gateway in; raises Failure with the reason if it does not in time."""
        end = time.monotonic() + self.options.wait
        while True:
            with contextlib.suppress(ManagementError), self._management(3.0) as router:
                if any(is_link(row) for row in router.query("connection")):
                    return
            if time.monotonic() > end:
                break
            time.sleep(0.1)
        found = checks.site(self.bundle)
        if found.failure:
            raise found.failure
        raise Failure(NO_LINK, "the link to the site was not there within %g seconds" % self.options.wait)


def is_link(row: Dict[str, Any]) -> bool:
    """Whether a connection of the router is its link to the site."""
    return row.get("role") == "edge" and row.get("dir") == "out" and bool(row.get("opened"))


def kept_bundles(places: Places) -> List[str]:
    """The directories of kept bundles, the newest first."""
    try:
        numbers = sorted((int(name) for name in os.listdir(places.bundles) if name.isdigit()), reverse=True)
    except OSError:
        return []
    return [os.path.join(places.bundles, str(number)) for number in numbers]


class Former:
    """A gateway that launch.sh of a 1.9 bundle put here, if there is one."""

    def __init__(self, places: Places) -> None:
        self.places = places
        content = read(os.path.join(places.former, "config", "skrouterd.json"))
        unit = read(places.former_unit)
        self._unit = unit is not None and b"Description=Qpid Dispatch router daemon" in unit
        self.exists = content is not None and read(os.path.join(places.former, "state.json")) is None
        self.type = "service"
        self.engine: Optional[engines.Engine] = None
        for kind in ("podman", "docker"):
            with contextlib.suppress(Failure):
                engine = engines.Engine(kind)
                found = engine.inspect(places.name) if self.exists and not self._unit else None
                if found and Runner(places, kind).is_ours(found):
                    self.type, self.engine = kind, engine
                    break
        self.router_id = ""
        self.ports: List[int] = []
        if content is not None:
            self._read(content)

    def _read(self, content: bytes) -> None:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            config = rendering.parse(content)
            listening = [item for kind, item in config if kind in ("tcpListener", "httpListener")]
            self.ports = [int(item["port"]) for item in listening]
            identity = json.loads(next(item for kind, item in config if kind == "router")["metadata"])["id"]
            self.router_id = str(uuid.UUID(identity))

    def stop(self) -> None:
        """Stop it; it can still be had back."""
        if self._unit:
            self._manager.attempt("stop", self._name)
        if self.engine:
            run([self.engine.path, "stop", self.places.name], 60)
            check([self.engine.path, "rename", self.places.name, self._aside])

    def start(self) -> None:
        """Start it again, as it was."""
        if self._unit:
            self._manager.attempt("daemon-reload")
            self._manager.attempt("start", self._name)
        if self.engine and self.engine.inspect(self._aside):
            self.engine.remove(self.places.name)
            run([self.engine.path, "rename", self._aside, self.places.name])
            run([self.engine.path, "start", self.places.name])

    def remove(self) -> None:
        """Remove its unit or container, and what of its files is not overwritten."""
        if self._unit and self.places.former_unit != self.places.unit:
            self._manager.attempt("disable", self._name)
            os.unlink(self.places.former_unit)
        if self.engine:
            self.engine.remove(self._aside)
        if self.places.former != self.places.directory:
            shutil.rmtree(self.places.former, ignore_errors=True)

    @property
    def _manager(self) -> Systemd:
        return Systemd(system=False)

    @property
    def _name(self) -> str:
        return self.places.name + ".service"

    @property
    def _aside(self) -> str:
        return self.places.name + "-before-launch"
