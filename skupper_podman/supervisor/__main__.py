"""``python -m skupper_podman.supervisor``: what the unit skupper-podman.service runs.

``--namespace NAME`` chooses a named site. With ``--background``, one of the two processes of a host without systemd
(see :mod:`background`). With ``--await-network``, only the bounded wait for the network, which a Quadlet unit needs
too.
"""

from __future__ import annotations

import datetime
import os
import random
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from skupper_podman.errors import SkupperError
from skupper_podman.paths import Paths, paths_for
from skupper_podman.supervisor.background import ARGUMENT, NAMESPACE_ARGUMENT, Background
from skupper_podman.supervisor.network import AWAIT_ARGUMENT, await_network

if TYPE_CHECKING:
    from skupper_podman.platform.podman.context import Context
    from skupper_podman.supervisor.loop import Loop

API_TIMEOUT = 15.0


def build(paths: Paths, env: Mapping[str, str], told: Callable[[str], None] | None = None) -> Loop:
    """The loop for the site of ``paths``; the Podman endpoint is the one its commands use. ``told`` gets its status.

    Raises:
        SkupperError: ``podman.yaml`` is unusable.
    """
    # Imported here, because a process that stands by must be small.
    from skupper_podman.desired.names import Names
    from skupper_podman.files import read_bytes
    from skupper_podman.notify import Notifier
    from skupper_podman.platform.podman.api import PodmanApi
    from skupper_podman.platform.podman.context import real_context
    from skupper_podman.platform.podman.endpoint import parse_document, resolve
    from skupper_podman.supervisor.heal import Medic
    from skupper_podman.supervisor.learner import Learner
    from skupper_podman.supervisor.loop import Crew, Loop
    from skupper_podman.supervisor.observe import Observer
    from skupper_podman.supervisor.renewals import Renewals
    from skupper_podman.supervisor.revive import SocketUnit

    endpoint = resolve("", parse_document(read_bytes(paths.endpoint_file)), env, paths.default_socket)
    api = PodmanApi(endpoint.url, API_TIMEOUT)
    storage = Path("/var/lib/containers") if paths.system else paths.data_home.parent / "containers"
    own = Names(paths.namespace)
    observer = Observer(api, own, os.getuid(), paths.runtime_dir, time.monotonic, storage)
    medic = Medic(api, os.getuid(), observer.stale_pid_files)
    socket = SocketUnit(paths.system) if endpoint.url == f"unix://{paths.default_socket}" else None

    def surroundings() -> Context:
        # Known better than a manager that is busy going down would tell.
        return replace(real_context(env), paths=paths, by_systemd=told is None)

    learner = Learner(own, surroundings, _log)
    renewals = Renewals(surroundings, _log, random.random, time.time)
    return Loop(Crew(observer, medic, Notifier(env, told), _log, learner, renewals, paths.lock_files, socket))


def _log(text: str) -> None:
    """Under systemd the journal knows when; the log of the background process must say so, in the journal's form."""
    if ARGUMENT in sys.argv:
        text = f"{datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')} - supervisor: {text}"
    print(text, file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    """Supervise until told to stop; returns the exit code."""
    namespace = arguments[arguments.index(NAMESPACE_ARGUMENT) + 1] if NAMESPACE_ARGUMENT in arguments else ""
    paths = paths_for(os.getuid(), os.environ, Path.home(), namespace)
    if AWAIT_ARGUMENT in arguments:
        await_network()
        return 0
    try:
        if ARGUMENT not in arguments:
            return build(paths, os.environ).run()

        background = Background(paths, os.environ, sys.executable)

        def supervise(each_round: Callable[[], bool]) -> int:
            return build(paths, os.environ, background.tell).run(each_round, leave_running=True)

        return background.serve(supervise)
    except SkupperError as error:
        _log(f"Error: {error.message}" + (f"\nHint: {error.hint}" if error.hint else ""))
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
