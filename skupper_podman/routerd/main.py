"""The command `skrouterd`: reads a configuration, runs the router until it is told to stop.

What always holds: a configuration that cannot be applied completely stops the start with one message
that names entity and attribute; SIGTERM and SIGINT close connections and end with status 0; SIGHUP
and a closed stderr are harmless.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
from pathlib import Path
from typing import Final

from skupper_podman.errors import SkupperError
from skupper_podman.notify import Notifier
from skupper_podman.routerd.log import Log
from skupper_podman.routerd.loop import Loop
from skupper_podman.routerd.management.config import parse
from skupper_podman.routerd.management.provider import ManagementError
from skupper_podman.routerd.sockets import raise_descriptor_limit

VERSION: Final = "2.7.3"
DEFAULT_CONFIG: Final = "/etc/skupper-router/skrouterd.conf"
_GRACE: Final = 0.5


def main(argv: list[str] | None = None) -> int:
    """Run the command; gives its exit status."""
    arguments = _parser().parse_args(_normal(sys.argv[1:] if argv is None else argv))
    if arguments.version:
        sys.stdout.write(f"{VERSION}\n")
        return 0
    log = Log()
    try:
        return run(Path(arguments.conf), log)
    except (SkupperError, ManagementError) as error:
        log.critical("ROUTER", f"Router start-up failed: {error}")
    except OSError as error:
        log.critical("ROUTER", f"Router start-up failed: {arguments.conf}: {error.strerror or error}")
    return 1


def run(path: Path, log: Log) -> int:
    """Run a router of this configuration file until a signal stops it."""
    configured = parse(path.read_text(encoding="utf-8"), path.suffix == ".json")
    # Imported late: --version needs neither proton nor the router.
    from skupper_podman.routerd.entities import Entities
    from skupper_podman.routerd.router import Router
    from skupper_podman.routerd.services import FlowRecords, Management

    raise_descriptor_limit()
    problems: list[BaseException] = []
    loop = Loop(problems.append)
    for kind, attributes in configured:
        if kind == "log":
            log.configure(str(attributes["module"]), attributes)
    own = next(attributes for kind, attributes in configured if kind == "router")
    log.set_time(utc=bool(own.get("timestampsInUTC")), time_format=own.get("timestampFormat"))
    router = Router(own, log, loop)
    loop.on_error = router.report
    entities = Entities(router)
    FlowRecords(router)
    Management(router, entities)
    for kind, attributes in configured:
        if kind not in ("log", "router"):
            entities.create(kind, attributes)
    log.info("ROUTER", f"Router started in {router.mode.capitalize()} mode, area=0 id={router.id}")
    log.info("ROUTER", f"Version: {VERSION}")

    def stop() -> None:
        log.info("ROUTER", "Shut down")
        entities.close()
        for conn in list(router.connections.values()):
            conn.close()
        loop.call_later(_GRACE, loop.stop)
        router.on_idle(loop.stop)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.on_signal(number, stop)
    loop.on_signal(signal.SIGHUP, lambda: log.info("ROUTER", "SIGHUP ignored"))
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    # What exists now stays: the collector need not look at it again, nor run for every few hundred objects.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    _tell_manager(loop, Notifier(os.environ))
    loop.run()
    loop.close()
    return 0


def _tell_manager(loop: Loop, notifier: Notifier) -> None:
    """Tell a service manager that what is configured listens, and from then on that the loop goes round."""
    notifier.ready()

    def again() -> None:
        notifier.alive()
        loop.call_later(notifier.watchdog / 3, again)

    if notifier.watchdog:
        again()


def _normal(argv: list[str]) -> list[str]:
    """Accept `-version`, which container entry points use, for `--version`."""
    return ["--version" if word == "-version" else word for word in argv]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="skrouterd", description="Route messages and TCP connections over AMQP.")
    parser.add_argument("-c", "--conf", default=DEFAULT_CONFIG, metavar="FILE", help="configuration file")
    parser.add_argument("-I", "--include", metavar="DIR", help="accepted for compatibility; has no effect")
    parser.add_argument("-v", "--version", action="store_true", help="print the version and exit")
    return parser
