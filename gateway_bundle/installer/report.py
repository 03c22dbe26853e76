"""--status: what is installed, and how it is now. "well" comes from a probe, never from a file."""

import datetime
import json
import os
import ssl
from typing import Any, Dict, List, Optional, Tuple

from . import certificate, checks, rendering, state
from .failures import EXPIRED, MISSING, NO_LINK, NOT_STARTED, Failure
from .files import read
from .install import is_link
from .management import Management, ManagementError
from .places import Places
from .renewal import last_problem
from .running import Runner
from .schedule import Schedule

BRIDGES = ("tcpConnector", "httpConnector", "tcpListener", "httpListener")


def report(places: Places, now: datetime.datetime) -> Tuple[Dict[str, Any], int]:
    """The status as values, and the exit code: 0 if all is well."""
    known = state.load(places)
    if known is None:
        raise Failure(MISSING, "gateway %s is not installed for this user" % places.name, "launch it: ./launch.py")
    manifest = _manifest(places, int(known["generation"]))
    found: Dict[str, Any] = {
        "gateway": places.name,
        "type": known["type"],
        "generation": known["generation"],
        "router": known["routerName"],
        "routerVersion": "",
        "running": False,
        "site": "%s:%s" % (manifest["edge"]["host"], manifest["edge"]["port"]),
        "link": "down",
        "bindings": [],
        "forwards": [],
        "problems": [],
    }
    problems: List[str] = found["problems"]
    code = _credential(places, found, known, now, problems)
    damaged = code == 1  # then the site is not asked what it thinks of it
    try:
        rendering.parse(read(places.config) or b"")
    except (ValueError, TypeError):
        problems.append("%s is damaged: launch the bundle again" % places.config)
        code = code or 1
    if state.unfinished(known):
        problems.append("a launch is at work or was cut short: to finish it, launch the bundle again")
        code = code or 1
    rows = _ask(places, known, found, problems)
    for item in manifest["bindings"]:
        target = checks.target(item)
        found["bindings"].append(dict(item, targetAnswers=bool(target.ok), inRouter=_has(rows, item)))
        if not target.ok:
            problems.append(target.text)
    for item in manifest["forwards"]:
        port = known["changedPorts"].get(item["name"], item["port"])
        found["forwards"].append(dict(item, port=port, inRouter=_has(rows, item)))
    if not found["running"]:
        return found, NOT_STARTED
    if found["link"] != "up":
        problems.append("there is no link to the site at %s" % found["site"])
        edge = (str(manifest["edge"]["host"]), int(manifest["edge"]["port"]))
        failure = None if damaged else checks.site(edge, places.credential).failure
        if failure:
            problems.append("%s (%s)" % (failure.message, failure.hint))
        return found, code or NO_LINK
    return found, code


def _manifest(places: Places, generation: int) -> Dict[str, Any]:
    content = read(os.path.join(places.bundles, str(generation), "manifest.json"))
    try:
        return dict(json.loads((content or b"").decode()))
    except ValueError as error:
        raise Failure(1, "%s is damaged" % places.bundles, "launch the bundle again") from error


def _credential(
    places: Places, found: Dict[str, Any], known: Dict[str, Any], now: datetime.datetime, problems: List[str]
) -> int:
    """What the certificate itself says, and whether somebody sees to it that there will be another."""
    try:
        pem = read(os.path.join(places.credential, "tls.crt")) or b""
        end, due = certificate.validity(pem)[1], certificate.renewal(pem)
    except ValueError as error:
        raise Failure(1, "%s: %s" % (places.credential, error), "launch the bundle again") from error
    found["credentialExpires"] = _text(end)
    found["credentialDaysLeft"] = (end - now).days
    found["renewalDue"] = _text(due)
    found["notRenewed"] = str(known.get("notRenewed", "")) or _not_scheduled(places, known)
    found["renewalProblem"] = problem = last_problem(places.credential)
    if end <= now:
        problems.append("the credential has expired: launch a fresh bundle")
        return EXPIRED
    try:
        paths = (os.path.join(places.credential, name) for name in ("tls.crt", "tls.key"))
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(*paths)
    except OSError:
        problems.append("the key in %s is damaged: launch the bundle again" % places.credential)
        return 1
    if due <= now and problem:
        problems.append("the credential is due, and its renewal failed: %s" % problem)
    elif due <= now and found["notRenewed"]:
        problems.append("the credential ends at %s: launch a fresh bundle" % _text(end))
    return 0


def _not_scheduled(places: Places, known: Dict[str, Any]) -> str:
    return "" if Schedule(places, str(known["type"])).active() else "its timer does not run"


def _text(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _ask(places: Places, known: Dict[str, Any], found: Dict[str, Any], problems: List[str]) -> Optional[List[str]]:
    """Ask unit or container, then the router; the names of its bridges, None if it does not answer."""
    if not known.get("foreground"):
        try:
            found["running"] = Runner(places, str(known["type"])).active()
        except Failure as failure:
            problems.append("%s (%s)" % (failure.message, failure.hint))
            return None
        if not found["running"]:
            problems.append("it does not run")
            return None
    try:
        with Management(int(known["managementPort"]), places.credential, 3.0) as router:
            found["running"] = True
            found["routerVersion"] = router.query("router")[0].get("version", "")
            if any(is_link(row) for row in router.query("connection")):
                found["link"] = "up"
            return [str(row["name"]) for kind in BRIDGES for row in router.query(kind)]
    except ManagementError as error:
        problems.append("the router does not say how it is: %s" % error)
        return None


def _has(rows: Optional[List[str]], item: Dict[str, Any]) -> Optional[bool]:
    return None if rows is None else item["name"] in rows


def text(found: Dict[str, Any]) -> str:
    """The status for people."""
    lines = ["gateway %(gateway)s, generation %(generation)s, type %(type)s" % found]
    version = " (router %s)" % found["routerVersion"] if found["routerVersion"] else ""
    lines.append("  %s%s" % ("running" if found["running"] else "not running", version))
    lines.append("  link to %s: %s" % (found["site"], found["link"]))
    lines.append("  credential until %s (%d days)" % (found["credentialExpires"], found["credentialDaysLeft"]))
    reason = found["notRenewed"]
    lines.append(
        "  not renewed by itself: %s" % reason if reason else "  renewed by itself from %(renewalDue)s on" % found
    )
    if found["renewalProblem"]:
        lines.append("  when the site was last asked about it: %s" % found["renewalProblem"])
    for item in found["bindings"]:
        says = "answers" if item["targetAnswers"] else "does not answer"
        lines.append("  binding %(name)s %(address)s -> %(host)s:%(port)s" % item + " (%s)" % says)
    for item in found["forwards"]:
        host = item["host"] or "*"
        lines.append("  forward %s %s:%s -> %s" % (item["name"], host, item["port"], item["address"]))
    return "".join("%s\n" % line for line in lines + ["  problem: " + problem for problem in found["problems"]])
