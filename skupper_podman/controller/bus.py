"""The connection to the router, kept up for as long as the controller runs.

Why: routers are restarted, certificates renewed, networks cut; the rest of the controller should only say what it wants
to receive and send.

What always holds: after every reconnection the subscriptions are those last asked for; the certificates are read anew;
attempts are 0.1 to 5 seconds apart; a lost connection is told once, with its reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from typing import Final, Protocol

import proton

from skupper_podman.controller.log import log
from skupper_podman.controller.session import Session
from skupper_podman.controller.settings import Endpoint

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
#: A connection that lasted this long counts as a success: the next attempt comes at once.
_STABLE_SECONDS: Final = 5.0
_CONNECT_SECONDS: Final = 5.0


class Owner(Protocol):
    """Who uses the bus."""

    def connected(self) -> None:
        """The router accepted a connection."""

    def received(self, address: str, octets: bytes) -> None:
        """A message came from the subscription to ``address``."""

    def disconnected(self) -> None:
        """The connection is lost."""


class Bus:
    """Subscribe, send, and be told; :meth:`run` does the work."""

    def __init__(self, endpoint: Endpoint, container_id: str, owner: Owner) -> None:
        self._endpoint = endpoint
        self._container_id = container_id
        self._owner = owner
        self._session: Session | None = None
        self._ended: asyncio.Future[None] | None = None
        self._wanted: frozenset[str] = frozenset()
        self.is_connected = False
        #: why there is no connection, for people
        self.reason = "not connected yet"

    def subscribe(self, addresses: frozenset[str]) -> None:
        """Receive from exactly these addresses, now and after reconnections."""
        self._wanted = addresses
        if self._session is not None:
            self._session.subscribe(addresses)

    def send(self, address: str, octets: bytes, *, settled: bool) -> None:
        """Send a message; without a connection it is dropped."""
        if self._session is not None:
            self._session.send(address, octets, settled=settled)

    def request(self, address: str, compose: Callable[[str], bytes]) -> None:
        """Send one request on the present connection; ``compose`` is given the reply address."""
        if self._session is not None:
            self._session.request(address, compose)

    async def run(self) -> None:
        """Connect, and connect again, until cancelled."""
        pause = FIRST_PAUSE
        try:
            while True:
                started = time.monotonic()
                await self._connect_once()
                if time.monotonic() - started > _STABLE_SECONDS + _CONNECT_SECONDS:
                    pause = FIRST_PAUSE
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
        finally:
            await self._close()

    async def _connect_once(self) -> None:
        """One connection, from the attempt to its end."""
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        try:
            session = Session(self._endpoint, self._container_id, self)
            session.subscribe(self._wanted)
            self._session = session
            async with asyncio.timeout(_CONNECT_SECONDS):
                await loop.create_connection(lambda: session, self._endpoint.host, self._endpoint.port)
            await self._ended
        except TimeoutError:
            self._failed("timed out")
        except OSError as error:
            cause = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
            self._failed(f"{cause}: {error.filename}" if error.filename else cause)
        except proton.ProtonException as error:
            self._failed(f"certificate or key not usable: {error}")
        finally:
            if self._ended.done():
                self._session = None

    def _failed(self, reason: str) -> None:
        self._session = None
        if reason != self.reason:
            log(f"no connection to {self._endpoint}: {reason}")
        self.reason = reason

    async def _close(self) -> None:
        session, ended = self._session, self._ended
        if session is None or ended is None:
            return
        session.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                await asyncio.shield(ended)
        session.abort("stopped")

    # What the session tells

    def opened(self) -> None:
        """The router accepted the connection."""
        self.is_connected, self.reason = True, ""
        log(f"connected to {self._endpoint}")
        self._owner.connected()

    def received(self, address: str, octets: bytes) -> None:
        """A message arrived."""
        self._owner.received(address, octets)

    def closed(self, reason: str) -> None:
        """The connection ended."""
        was_connected, self.is_connected = self.is_connected, False
        self._failed(reason)
        if was_connected:
            self._owner.disconnected()
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)
