"""What a command may touch outside its own process, as one value: environment, user, streams, time, the platform.

What always holds: nothing else in ``cli`` reads the environment, a clock or a stream, so a test decides all of them.
Nothing heavy is imported: a platform's modules are loaded when it is opened.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from skupper_podman.cli.fast import IMAGE_TIMEOUT, user_name

if TYPE_CHECKING:
    import datetime
    from pathlib import Path

    from skupper_podman.paths import Paths
    from skupper_podman.platform import Platform


class Writer(Protocol):
    """Where text goes."""

    def __call__(self, text: str, /) -> None:
        """Write ``text`` and flush it.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        ...


@dataclass(frozen=True, slots=True)
class World:
    """The surroundings of one run. ``uid`` and ``env`` are the user's, times come from the functions.

    ``namespace`` is the name of the site that the command is about; empty for the one without.
    """

    env: Mapping[str, str]
    uid: int
    user: str
    home: Path
    write_out: Writer
    write_err: Writer
    err_is_terminal: bool
    now: Callable[[], datetime.datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    open_platform: Callable[[World, str], Platform]
    router_image: Callable[[World], tuple[str, str] | None]
    namespace: str = ""

    @property
    def paths(self) -> Paths:
        """The directories of the user, and of the site."""
        from skupper_podman.paths import paths_for

        return paths_for(self.uid, self.env, self.home, self.namespace)

    @property
    def whose(self) -> str:
        """The user, and the site where it has a name, as messages name them."""
        from skupper_podman.model.namespace import owner

        return owner(self.user, self.namespace)

    @property
    def debug(self) -> bool:
        """Whether failures of the program itself show their traceback (``SKUPPER_DEBUG``)."""
        return bool(self.env.get("SKUPPER_DEBUG"))


def real_world() -> World:
    """The world as it is."""
    import datetime
    import time
    from pathlib import Path

    uid = os.getuid()
    user, home = user_name(uid, os.environ)
    return World(
        env=os.environ,
        uid=uid,
        user=user,
        home=Path(home),
        write_out=writer(1),
        write_err=writer(2),
        err_is_terminal=os.isatty(2) if _is_open(2) else False,
        now=lambda: datetime.datetime.now(datetime.UTC),
        monotonic=time.monotonic,
        sleep=time.sleep,
        open_platform=open_platform,
        router_image=router_image,
    )


def writer(descriptor: int) -> Writer:
    """A writer to a file descriptor: UTF-8 whatever the locale, and bytes of arguments come out as they came in."""

    def write(text: str) -> None:
        stream = sys.stdout if descriptor == 1 else sys.stderr
        if stream is not None:
            stream.flush()
        rest = memoryview(text.encode("utf-8", "surrogateescape" if _escaped(text) else "backslashreplace"))
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:  # somebody made the pipe non-blocking
                select.select([], [descriptor], [])

    return write


def _escaped(text: str) -> bool:
    """Whether every surrogate in the text stands for a byte that was no UTF-8."""
    return all(not 0xD800 <= ord(character) <= 0xDFFF or 0xDC80 <= ord(character) <= 0xDCFF for character in text)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def open_platform(world: World, endpoint: str) -> Platform:
    """The Podman platform of this user; ``endpoint`` is that of ``init --podman-endpoint``, or empty.

    Raises:
        SkupperError: it cannot be used.
    """
    from skupper_podman.platform.podman.context import Context
    from skupper_podman.platform.podman.site import PodmanPlatform

    context = Context(
        world.env,
        world.uid,
        world.user,
        world.paths,
        endpoint,
        now=world.now,
        monotonic=world.monotonic,
        sleep=world.sleep,
    )
    return PodmanPlatform(context=context)


def router_image(world: World) -> tuple[str, str] | None:
    """Image and digest of the router that runs; None without a site, or when Podman does not answer at once."""
    from skupper_podman.cli import asking
    from skupper_podman.errors import SkupperError
    from skupper_podman.files import read_bytes
    from skupper_podman.platform.podman import endpoint

    try:
        stored = endpoint.parse_document(read_bytes(world.paths.endpoint_file))
        chosen = endpoint.resolve("", stored, world.env, world.paths.default_socket)
        if chosen.socket is not None:
            return asking.router_image(str(chosen.socket), IMAGE_TIMEOUT, world.namespace)
        images = open_platform(world, "").versions().images
    except SkupperError:
        return None
    return next(((reference, digest) for _label, reference, digest in images), None)
