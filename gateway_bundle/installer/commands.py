"""The command lines of `launch.py` and `remove.py`: what was asked for."""

import argparse
import datetime
import json
import os
import sys
from typing import List

from . import checks, kept, report, state
from .bundle import LINK, Bundle
from .failures import MISSING, USAGE, Failure
from .install import Launch
from .lines import INTERRUPTED, Parser, failures, say
from .places import Places
from .removal import Removal
from .renewal import Renewal
from .situation import TYPES, Options, Situation

_CODES = """\
exit codes:
  0 done, or nothing to do        5 a port is taken
  1 something else failed         6 it does not start
  2 wrong usage                   7 no link to the site in time
  3 something is missing here     8 the credential has expired
  4 the bundle is damaged         9 older than what is installed
"""


def launch(directory: str, words: List[str]) -> int:
    """Run `launch.py` of the bundle in `directory`; gives the exit code."""
    with failures() as outcome:
        outcome.code = _launch(directory, words)
    return outcome.code


def remove(directory: str, words: List[str]) -> int:
    """Run `remove.py` of the bundle in `directory`; gives the exit code."""
    with failures("interrupted; to go on: remove.py") as outcome:
        outcome.code = _remove(directory, words)
    return outcome.code


def _launch_parser() -> Parser:
    parser = Parser(
        prog="launch.py",
        description="Put the gateway of this bundle on this host, update it in place, or say how it is.",
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("-t", dest="type", metavar="TYPE", default="", help="service, podman or docker (default: as installed)")
    add("--router", default="", metavar="KIND", help="of type service: skrouterd, or embedded (in the bundle)")
    add("--check", action="store_true", help="look at everything a launch needs, change nothing")
    add("--dry-run", action="store_true", help="print what a launch would do, change nothing")
    add("--status", action="store_true", help="say how the installed gateway is")
    add("--json", action="store_true", help="with --status or --check: as JSON")
    add("--update", action="store_true", help="accepted: a launch over an older generation always updates it")
    add("--rollback", action="store_true", help="return to the generation before")
    add("--force", action="store_true", help="also install an older generation than what is there")
    add("--auto-port", action="store_true", help="take the next free port for a forward whose port is taken")
    add("--no-start", action="store_true", help="put everything in place and start nothing")
    add("--foreground", action="store_true", help="run the router here, for supervisors other than systemd")
    add("--wait", type=float, default=30.0, metavar="SECONDS", help="how long to wait for the link (0: do not wait)")
    return parser


def _launch(directory: str, words: List[str]) -> int:
    asked = _launch_parser().parse_args(words)
    if asked.type and asked.type not in TYPES:
        raise Failure(USAGE, "gateway type must be one of service, docker or podman")
    if asked.router not in ("", "skrouterd", "embedded"):
        raise Failure(USAGE, "the router must be skrouterd or embedded")
    if asked.foreground and asked.type in ("podman", "docker"):
        raise Failure(USAGE, "--foreground is for type service")
    now = datetime.datetime.now(datetime.timezone.utc)
    bundle = Bundle(directory)
    if asked.status:
        return _status(bundle, asked.json, now)
    if asked.rollback:
        bundle = _before(bundle)
    bundle.verify()
    options = Options()
    options.type, options.router, options.auto_port = asked.type, asked.router, asked.auto_port
    options.force = asked.force or asked.rollback
    options.start, options.foreground, options.wait = not asked.no_start, asked.foreground, asked.wait
    if asked.check:
        return _check(bundle, options, asked.json, now)
    if asked.dry_run:
        planned = Situation(bundle, options, now)
        say("Launch gateway %s, generation %d:" % (bundle.name, bundle.generation))
        for line in planned.plan():
            say("  " + line)
        say("Nothing has been changed.")
        planned.raise_findings()
        return 0
    with state.locked(Places(bundle.name, bundle.kind, os.getuid(), os.environ)):
        return _do(bundle, options, now)


def _do(bundle: Bundle, options: Options, now: datetime.datetime) -> int:
    planned = Situation(bundle, options, now)
    launched = Launch(planned, say)
    if planned.unchanged and not options.foreground:
        say("gateway %s: already running, generation %d" % (bundle.name, bundle.generation))
    else:
        launched.apply()
    if options.foreground:
        return _foreground(planned)
    if not options.start:
        say("gateway %s: generation %d is in place, not started" % (bundle.name, bundle.generation))
        return 0
    for name, port in sorted(planned.changed_ports.items()):
        say("forward %s listens at port %d" % (name, port))
    if planned.not_renewed and planned.here:
        say("Note: the credential is not renewed by itself: %s" % planned.not_renewed)
    if planned.runner.supervised and not planned.elsewhere and not planned.runner.systemd.lingers():
        user = os.environ.get("USER") or str(os.getuid())
        say("Warning: it ends with your last login; ask an administrator for: loginctl enable-linger %s" % user)
    if options.wait > 0:
        try:
            launched.await_link()
        except KeyboardInterrupt:
            raise Failure(INTERRUPTED, "interrupted; it is launched, but has no link to the site yet") from None
        say("gateway %s: connected to %s:%d, generation %d" % (bundle.name, *bundle.edge, bundle.generation))
    else:
        say("gateway %s: launched, generation %d" % (bundle.name, bundle.generation))
    return 0


def _foreground(planned: Situation) -> int:
    """Become the router."""
    assert planned.router is not None
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    env.update(planned.router.env, SKUPPER_SITE_ID=planned.site_id)
    sys.stdout.flush()
    os.umask(0o077)
    os.execve(planned.words[0], planned.words, env)
    return 1  # never reached: from here on this process is the router


def _before(bundle: Bundle) -> Bundle:
    """The kept bundle before the installed generation."""
    places = Places(bundle.name, bundle.kind, os.getuid(), os.environ)
    known = state.load(places)
    if known is None:
        raise Failure(MISSING, "gateway %s is not installed for this user" % bundle.name)
    finishing = None
    for path in kept.directories(places):
        found = Bundle(path)
        if found.generation < int(known["generation"]):
            return found
        if state.unfinished(known) and found.generation == int(known["generation"]):
            finishing = found
    if finishing is not None:
        return finishing  # the return to it was cut short at its very end
    raise Failure(1, "there is no generation before %s to return to" % known["generation"])


def _check(bundle: Bundle, options: Options, as_json: bool, now: datetime.datetime) -> int:
    credential = bundle.file(LINK)
    findings = [checks.Finding("integrity", True, "every file of the bundle is what it was when it was made")]
    try:
        planned = Situation(bundle, options, now)
        findings += planned.findings
        credential = planned.credentials.directory
        if planned.router:
            findings.append(checks.Finding("router", True, planned.router.title))
    except Failure as failure:
        findings.append(checks.Finding("prerequisites", False, failure.message, failure))
    findings.append(checks.site(bundle.edge, credential))
    findings += _check_renewal(bundle, credential, now)
    findings += [checks.target(binding) for binding in bundle.bindings]
    if as_json:
        say(json.dumps({"gateway": bundle.name, "checks": [item.document() for item in findings]}, indent=4))
    else:
        marks = {True: "ok  ", False: "FAIL", None: "note"}
        for item in findings:
            say("%s %s: %s" % (marks[item.ok], item.check, item.text))
    failed = [item.failure for item in findings if item.failure]
    if failed:
        failed[0].message = "a launch would fail: " + failed[0].message
        raise failed[0]
    return 0


def _check_renewal(bundle: Bundle, credential: str, now: datetime.datetime) -> List[checks.Finding]:
    """Whether the credential could be renewed; a gateway that cannot reach that place works all the same."""
    if not bundle.renewal_url:
        return []
    try:
        Renewal(credential, bundle.renewal_url, now).authorities()
    except Failure as failure:
        needed = bool(bundle.exchange)
        return [checks.Finding("renewal", False if needed else None, failure.message, failure if needed else None)]
    return [checks.Finding("renewal", True, "the site can be asked to renew the credential")]


def _status(bundle: Bundle, as_json: bool, now: datetime.datetime) -> int:
    places = Places(bundle.name, bundle.kind, os.getuid(), os.environ)
    found, code = report.report(places, now)
    say(json.dumps(found, indent=4) if as_json else report.text(found).rstrip())
    return code


def _remove(directory: str, words: List[str]) -> int:
    parser = Parser(prog="remove.py", description="Take the gateway of this bundle off this host.")
    parser.add_argument("--dry-run", action="store_true", help="print what would go, change nothing")
    parser.add_argument("--keep-config", action="store_true", help="leave the gateway's files")
    parser.add_argument("--purge", action="store_true", help="also remove the image that was loaded or pulled")
    asked = parser.parse_args(words)
    bundle = Bundle(directory)
    places = Places(bundle.name, bundle.kind, os.getuid(), os.environ)
    planned = Removal(places, asked.keep_config, asked.purge)
    lines = planned.plan()
    if asked.dry_run:
        say("Remove gateway %s:" % bundle.name)
        for line in lines or ["nothing is there"]:
            say("  " + line)
        say("Nothing has been changed.")
        return 0
    if not lines:
        if os.path.isdir(places.top):
            with state.locked(places):
                pass  # which removes what is empty
        say("gateway %s: nothing of it is on this host for this user" % bundle.name)
        return 0
    with state.locked(places):
        planned.apply()
    say("gateway %s: removed" % bundle.name)
    return 0
