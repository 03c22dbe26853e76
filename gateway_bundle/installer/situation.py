"""What a launch finds: what is installed and runs, what the bundle wants, and what follows. Nothing is changed here."""

import contextlib
import datetime
import os
import uuid
from typing import List, Optional

from . import checks, engines, kept, rendering, renewal, routers, state, units
from .bundle import CONFIG, Bundle
from .credentials import Credentials
from .failures import MISSING, OLDER, Failure
from .files import read
from .former import Former
from .management import Management, ManagementError
from .places import Places
from .running import Runner
from .schedule import Schedule

TYPES = ("service", "podman", "docker")


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


class Situation:
    """A launch of `bundle`, looked at; raises Failure for what stands in its way.

    `restart` says why the gateway must be started, empty if it need not; then `gone` and `added` are to be changed in
    the running router. With `unchanged` there is nothing to do. `not_renewed` says why the credential will not be
    renewed by itself, empty if it will. `unfinished` says what a launch before this one had begun when it was killed
    (see state.py); `others` run the gateway as another type, or may.
    """

    def __init__(self, bundle: Bundle, options: Options, now: datetime.datetime) -> None:
        self.bundle = bundle
        self.options = options
        self.places = Places(bundle.name, bundle.kind, os.getuid(), os.environ)
        self.before = state.load(self.places)
        self.unfinished = state.unfinished(self.before)
        self.former = self._found_former()
        known = self.before or {}
        self.type = options.type or str(known.get("type") or (self.former and self.former.type) or "service")
        self._check_installed()
        self.credentials = Credentials(bundle, self.places, None if self.anew else self.before)
        self.findings = [checks.clock(bundle, self.credentials.expires, now)]
        self.raise_findings()
        self.exchange = self._exchange()
        self.router = routers.choose(bundle, self.places, options.router) if self.type == "service" else None
        self.runner = Runner(self.places, self.type)
        self.elsewhere = self._runs_elsewhere()
        if self.here:
            self.runner.check()
        self.old_runner = self._old_runner()
        self.others = self._others()
        self.unit_before = read(self.places.unit)
        self.schedule = Schedule(self.places, self.type)
        self.was_active = self.elsewhere or self._active()
        self._resolve()

    @property
    def fresh(self) -> bool:
        """Whether nothing is installed, but for what a killed launch may have put in place."""
        return self.before is None or bool(self.unfinished.get("new"))

    def _found_former(self) -> Optional[Former]:
        if self.before is not None and not self.unfinished.get("former"):
            return None
        former = Former(self.places, self.before)
        return former if former.exists else None

    def _check_installed(self) -> None:
        known = {} if self.fresh else self.before or {}
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
        self.anew = not self.fresh and (site != self.bundle.site or again)
        installed = 0 if self.anew else int(known.get("generation", 0))
        if self.bundle.generation < installed and not self.options.force:
            raise Failure(
                OLDER,
                "this bundle is generation %d, installed is %d" % (self.bundle.generation, installed),
                "to go back: launch.py --rollback, or --force",
            )

    def _exchange(self) -> bool:
        """Whether the bundle's credential is to be exchanged for one of this host's own."""
        if not self.bundle.exchange:
            return False
        reason = renewal.unable()
        if reason:
            raise Failure(MISSING, reason, "make the bundle without --launch-within")
        known = self.before or {}
        return not self.credentials.kept or int(known["generation"]) < self.bundle.generation

    def raise_findings(self) -> None:
        """Raise the failure of the first finding that has one."""
        for finding in self.findings:
            if finding.failure:
                raise finding.failure

    def _old_runner(self) -> Optional[Runner]:
        """What runs the gateway so far."""
        if self.before is None or self.before.get("foreground"):
            return None
        return self.runner if self.before["type"] == self.type else Runner(self.places, str(self.before["type"]))

    def _others(self) -> List[Runner]:
        found = []
        if self.old_runner and self.old_runner.kind != self.type:
            found.append(self.old_runner)
        begun = str(self.unfinished.get("type") or "")
        if begun in TYPES and begun not in (self.type, *(runner.kind for runner in found)):
            with contextlib.suppress(Failure):
                found.append(Runner(self.places, begun))
        return found

    def _active(self) -> bool:
        runners = [self.old_runner] if self.old_runner else []
        if self.unfinished and self.here:  # then it may be another one by now
            runners += [self.runner, *self.others]
        return any(runner.active() for runner in runners)

    def _runs_elsewhere(self) -> bool:
        """Whether it runs in the foreground of another supervisor: then it is changed, but never started here."""
        known = self.before or {}
        if not known.get("foreground"):
            return False
        try:
            with Management(int(known["managementPort"]), self.places.credential, 2.0):
                return True
        except ManagementError:
            return False

    def _resolve(self) -> None:
        """Names and ports of this host, and the files that follow from them."""
        known = self.before or {}
        own = [int(port) for port in known.get("ports", [])] if self.was_active else []
        if self.former:
            own += self.former.ports
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
        self._compare()

    def _words(self) -> List[str]:
        if self.runner.engine:
            return self.runner.engine.words(self.places, self.image, self.site_id, self._low_ports)
        assert self.router is not None
        return [*self.router.words, "-c", self.places.config]

    def _unit(self) -> Optional[bytes]:
        if not self.runner.supervised:
            return None
        if self.runner.engine:
            return units.container_unit(self.places, self.words, self.runner.engine.path)
        assert self.router is not None
        env = dict(self.router.env, SKUPPER_SITE_ID=self.site_id)
        return units.service_unit(self.places, self.words, env, self._low_ports, self.router.notifies)

    @property
    def _low_ports(self) -> bool:
        ports = [self.changed_ports.get(item["name"], int(item["port"])) for item in self.bundle.forwards]
        return any(port < 1024 for port in ports)

    def _compare(self) -> None:
        """What is to be done to what runs: nothing, changes over management, or a restart and why."""
        old_config = read(self.places.config)
        old = self._parsed(old_config)
        self.restart = ""
        self.gone: rendering.Config = []
        self.added: rendering.Config = []
        if not self.was_active:
            self.restart = "it is new" if self.fresh else "it does not run"
        elif self.unfinished.get("restart"):
            self.restart = str(self.unfinished["restart"])
        elif self.before and self.before["type"] != self.type:
            self.restart = "its type was %s" % self.before["type"]
        elif self.before and self.before.get("image", "") != self.image:
            self.restart = "its router is another one"
        elif self.before and self.before.get("words") != self.words:
            self.restart = "it is to run in another way" if self.image else "its router is another one"
        elif self._gains("User=" + self.places.user):
            self.restart = "it is to run as a user of its own"
        elif self._gains("AmbientCapabilities=CAP_NET_BIND_SERVICE"):
            self.restart = "it is to listen below port 1024"
        elif old is None:
            self.restart = "its configuration is gone or damaged"
        else:
            self.gone, self.added, fixed = rendering.difference(old, self.config)
            self.restart = "%s cannot be changed while it runs" % fixed[0] if fixed else ""
        same = old_config == rendering.dump(self.config) and self.credentials.installed()
        unit_same = self.elsewhere or not self.runner.supervised or read(self.places.unit) == self.runner.text
        generation = self.before and int(self.before["generation"]) == self.bundle.generation
        self.not_renewed = self._why_not_renewed()
        renewed = bool(self.not_renewed) or (self.schedule.active() and self.schedule.is_whole(self.bundle))
        whole = bool(same and unit_same and generation and renewed and not self.unfinished)
        self.unchanged = self.was_active and whole and not self.restart and kept.is_whole(self.places, self.bundle)

    @staticmethod
    def _parsed(content: Optional[bytes]) -> Optional[rendering.Config]:
        """The installed configuration; None if there is none that can be read."""
        try:
            return None if content is None else rendering.parse(content)
        except (ValueError, TypeError):
            return None

    def _gains(self, setting: str) -> bool:
        """Whether the unit will have a setting that the running service was started without."""
        mark = ("\n%s\n" % setting).encode()
        return mark in (self.runner.text or b"") and self.unit_before is not None and mark not in self.unit_before

    @property
    def here(self) -> bool:
        """Whether it is started and stopped here, by systemd or a container engine."""
        return not (self.options.foreground or self.elsewhere)

    def _why_not_renewed(self) -> str:
        """Why the credential is not renewed by itself, empty if it is."""
        if not self.here:
            return "it runs under another supervisor than systemd, which can call renew.py once a day"
        return self.schedule.unable(self.bundle.renewal_url)

    def plan(self) -> List[str]:
        """What a launch will do, line by line."""
        if self.unchanged:
            return ["nothing to do: generation %d runs as type %s" % (self.bundle.generation, self.type)]
        lines = []
        if self.unfinished:
            lines.append("finish what a launch that was cut short has begun")
        if self.former:
            lines.append("take over from the launch.sh of a 1.9 bundle: stop it, remove its unit or container")
        lines += ["stop and remove type %s" % runner.kind for runner in self.others]
        if self.router and self.router.digest and not os.path.isdir(self.router.unpacked):
            lines.append("unpack the bundle's router to %s" % self.router.unpacked)
        if self.runner.engine:
            lines.append("run image %s in %s" % (self.image, self.type))
        elif self.router:
            lines.append("run %s" % self.router.title)
        lines.append("write %s" % self.places.config)
        lines.append("write the credential to %s (files 0600, directories 0700)" % self.places.certificates)
        if self.exchange:
            lines.append("exchange it at %s for one with a key that is made here" % self.bundle.renewal_url)
        if self.runner.supervised and self.here:
            lines.append("write %s" % self.places.unit)
        reason = self.not_renewed
        if reason:
            lines.append("the credential will not be renewed by itself: %s" % reason)
        else:
            lines.append("write %s.timer and .service, which renew the credential" % self.places.schedule)
        lines.append("management of the router at port %d of loopback" % self.management_port)
        lines += [finding.text for finding in self.findings if finding.check.startswith("port")]
        if self.restart:
            lines.append("start the gateway: %s" % self.restart)
        else:
            lines += ["remove %s %s, without a restart" % (kind, item.get("name")) for kind, item in self.gone]
            lines += ["add %s %s, without a restart" % (kind, item.get("name")) for kind, item in self.added]
        return lines
