"""A command in a process of its own that is hurt at a chosen moment: killed, or its next operation fails.

The moments of a command are, in order: each request that changes something, before it is sent and when no answer has
come yet (Podman works on, whatever becomes of who asked); each change of the file system; each program it starts. They
are found by running the command unhurt once. What fails was not done; with ``lose``, Podman did it and its answer is
lost.
"""

from __future__ import annotations

import errno
import http.client
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Literal

from skupper_podman.errors import EndpointError, SkupperError
from skupper_podman.plan import Plan
from skupper_podman.platform.podman import transport
from skupper_podman.platform.podman.site import PodmanPlatform
from tests.lab import Host
from tests.platform.onehost import run

Kind = Literal["kill", "fail", "lose"]

_FILES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "subprocess.Popen"}
"""Audit events of what changes the host; an event comes before its operation."""
FAILED = 3
"""Exit code of a command that failed as it should: with an error of ours."""


def hurt(host: Host, make: Callable[[PodmanPlatform], Plan], kind: Kind, moment: int = -1) -> tuple[int, list[str]]:
    """Run a command on the host, hurt at ``moment`` (counted from 0, so not at all without one); returns how it ended
    and the moments of that kind that it reached.

    The first is its exit code: 0, :data:`FAILED`, a negative signal, or 1 after an error that is none of ours, whose
    trace is the last of the moments.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        code = 1
        try:
            code = _hurt(host, make, kind, moment, writing)
        except BaseException:
            os.write(writing, traceback.format_exc().replace("\n", " | ").encode() + b"\n")
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        reached = pipe.read().splitlines()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), reached


def _hurt(host: Host, make: Callable[[PodmanPlatform], Plan], kind: Kind, moment: int, report: int) -> int:
    # What the command leaves running must not hold the pipe open: it is gone with this process, or with its exec.
    victim, lock, count = os.getpid(), threading.Lock(), [0]

    def reach(what: str) -> None:
        with lock:
            if os.getpid() != victim:  # a process of its own that it made
                return
            number = count[0]
            count[0] += 1
            os.write(report, f"{what}\n".encode())
        if number != moment:
            return
        if kind == "kill":
            os.kill(victim, signal.SIGKILL)
        if what.startswith("os."):
            raise OSError(errno.ENOSPC, "No space left on device")
        if what.startswith("before"):
            raise EndpointError("Podman endpoint is not available: injected", "see why: podman info")
        if what.startswith("after"):
            raise transport.TimedOutError("Podman did not answer: injected", "see why: podman info")
        raise OSError(errno.EIO, "injected")

    def audit(event: str, arguments: Any) -> None:
        if kind == "lose" or event not in _FILES or "__pycache__" in (shown := _shown(arguments)):
            return
        if kind == "fail" and event == "os.remove" and shown.split()[0].endswith(".lock"):
            return  # a lock file that cannot be removed stays, and does no harm
        reach(f"{event} {shown}")

    exchange, getresponse = transport.Transport._exchange, http.client.HTTPConnection.getresponse

    def exchanging(self: Any, method: str, path: str, *rest: Any) -> Iterator[tuple[int, bytes]]:
        if method == "GET":
            yield from exchange(self, method, path, *rest)
            return
        if kind != "lose":
            reach(f"before {method} {path}")
        asking.what = f"{method} {path}"
        answer = list(exchange(self, method, path, *rest))
        if kind == "lose":
            reach(f"after {method} {path}")
        yield from answer

    def responding(self: Any) -> http.client.HTTPResponse:
        if kind == "kill" and self._method != "GET":
            reach(f"sent {asking.what}")
        return getresponse(self)

    asking = threading.local()
    transport.Transport._exchange = exchanging  # type: ignore[method-assign,assignment]
    http.client.HTTPConnection.getresponse = responding  # type: ignore[method-assign]
    sys.addaudithook(audit)
    try:
        run(host, make)
    except SkupperError as error:
        os.write(report, f"error: {error.message}\n".encode())
        return FAILED
    return 0


def _shown(arguments: Any) -> str:
    return " ".join(str(argument) for argument in arguments[:2])[:120].replace("\n", " ")
