"""Entry of ``python -m skupper_podman.controller``: settings, signals, exit codes.

What always holds: SIGTERM and SIGINT end the program within a second with exit code 0; wrong settings end it with one
line and exit code 1 or 2; no traceback is printed.
"""

from __future__ import annotations

import asyncio
import os
import platform
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from skupper_podman.controller.log import log
from skupper_podman.controller.settings import Settings, parse
from skupper_podman.errors import SkupperError


def main(argv: Sequence[str] | None = None, environment: Mapping[str, str] | None = None) -> int:
    """Run the controller; gives the exit code."""
    try:
        settings = parse(
            sys.argv[1:] if argv is None else argv,
            os.environ if environment is None else environment,
            platform.node(),
        )
    except SkupperError as error:
        log(f"{error.message}. {error.hint}".strip())
        return error.exit_code
    try:
        # Not asyncio.run: at its end it waits for threads, and a name look-up may hang in one for minutes.
        asyncio.new_event_loop().run_until_complete(_run(settings))
    except SkupperError as error:
        log(error.message)
        return error.exit_code
    except KeyboardInterrupt:
        return 0
    except Exception as error:
        log(f"stopped by {type(error).__name__}: {error}")
        return 1
    return 0


async def _run(settings: Settings) -> None:
    # Imported here: wrong settings are told before the heavy packages load.
    from skupper_podman.controller.service import Controller

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_unexpected)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    log(f"site {settings.site_name} ({settings.site_id}), router {settings.endpoint}")
    await Controller(settings).run(stop)
    log("stopped")


def _unexpected(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A failure that nobody waits for: one line, and the loop goes on."""
    error = context.get("exception")
    log(f"unexpected: {context.get('message', '')} {type(error).__name__ if error else ''} {error or ''}")


def run_and_exit() -> None:
    """Run, then leave without waiting for a name look-up that may still hang in a thread."""
    code = main()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 0
    os._exit(code)
