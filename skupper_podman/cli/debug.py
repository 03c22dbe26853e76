"""``debug dump``, ``debug events`` and ``debug service``: what support asks for, with nothing secret in it."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from pathlib import Path

from skupper_podman.cli import documents
from skupper_podman.cli.archive import Archive
from skupper_podman.cli.argv import exactly
from skupper_podman.cli.flags import flag
from skupper_podman.cli.output import document
from skupper_podman.cli.render import debug as render
from skupper_podman.cli.render import doctor as doctor_render
from skupper_podman.cli.result import Result
from skupper_podman.cli.session import Session
from skupper_podman.cli.typed import command, new_app
from skupper_podman.errors import SkupperError, UsageError
from skupper_podman.model.doctor import BY_ID
from skupper_podman.model.events import grouped
from skupper_podman.platform import Platform

app = new_app()


@dataclass(frozen=True, slots=True)
class Dump:
    """``debug dump`` has no flags of its own."""


@command(app, "debug dump", Dump, usage="<filename>", rule=exactly(1))
def dump(session: Session, _options: Dump, arguments: tuple[str, ...]) -> Result:
    """Collect and store skupper related logs, metrics, etc

    The archive holds logs, configuration, tables of all routers, Podman's facts and events, certificates' facts and the
    report of doctor. Private keys, passwords and tokens are left out or replaced. A part that cannot be had is named in
    errors.txt; the file can be read by its owner only.
    """
    path = Path(archive_name(arguments[0]))
    platform = session.platform()
    with session.progress() as progress, Archive(path, session.world.now()) as archive:
        progress("Looking at this host and its site")
        collected = platform.dump()
        for name, content in collected.members():
            progress(name)
            archive.add(name, content)
        for name, content in _reports(session, platform):
            archive.add(name, collected.redactor.octets(content))
        count, errors = archive.close(), tuple(collected.errors)
    text = f"Skupper dump details written to compressed archive:  {path}\n"
    warnings = tuple(f"not in the archive: {error}" for error in errors)
    return Result("Dump", text, {"file": str(path), "members": count, "errors": list(errors)}, warnings=warnings)


def archive_name(given: str) -> str:
    """The file's name: ``.tar.gz`` is added where it has no extension, as in 1.9."""
    return given if "." in Path(given).name else f"{given}.tar.gz"


def _reports(session: Session, platform: Platform) -> list[tuple[str, bytes]]:
    """What doctor and the status commands say now."""
    findings = platform.doctor(frozenset(BY_ID))
    reports = [
        ("/skupper-info/doctor.json", document(Result("Doctor", "", documents.doctor(findings)).envelope(), "json")),
        ("/skupper-info/doctor.txt", doctor_render.report(findings, session.world.now())),
    ]
    try:
        status = documents.site_status(platform.site_status(), None)
        reports.append(("/skupper-info/status.json", json.dumps(status, indent=2) + "\n"))
    except SkupperError as error:
        reports.append(("/skupper-info/status.json", json.dumps({"error": error.message}) + "\n"))
    return [(name, text.encode()) for name, text in reports]


@dataclass(frozen=True, slots=True)
class Events:
    """Flags of ``debug events``."""

    verbose: bool = flag("verbose", "bool", "Show the events in JSON, as 1.9 does", short="v")
    since: int = flag("since", "duration", "How far to look back", default=24 * 3600 * 1_000_000_000)


@command(app, "debug events", Events)
def events(session: Session, options: Events, _arguments: tuple[str, ...]) -> Result:
    """Show events

    What happened to the site's containers, volumes and networks, and what its supervisor did, by kind and newest first.
    """
    if options.since <= 0:
        raise UsageError("invalid value for --since: it must be positive")
    now = session.world.now()
    found, problems = session.platform().events(now - datetime.timedelta(microseconds=options.since / 1000))
    groups = grouped(found)
    data = documents.events(groups)
    text = json.dumps(data["groups"], indent=4) + "\n" if options.verbose else render.events(groups, now)
    return Result("Events", text, data, warnings=problems)


@dataclass(frozen=True, slots=True)
class Service:
    """Flags of ``debug service``."""

    verbose: bool = flag("verbose", "bool", "Show the details in JSON", short="v")


@command(app, "debug service", Service, usage="<service-name>", rule=exactly(1))
def service(session: Session, options: Service, arguments: tuple[str, ...]) -> Result:
    """Check potential issues with a service

    The whole path of the service is looked at: its container and router, its listeners, its targets, who serves its
    addresses in the network, and a connection made to each port now. The exit code is 1 if something is wrong.
    """
    platform = session.platform()
    with session.progress() as progress:
        progress(f"Looking at service {arguments[0]}")
        path = platform.service_path(arguments[0])
    data = documents.service_path(path)
    text = json.dumps(data, indent=4) + "\n" if options.verbose else render.service_path(path)
    return Result("ServicePath", text, data, exit_code=1 if path.observations else 0)
