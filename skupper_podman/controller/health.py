"""``/healthz``: whether the controller does its work now; and ``/metrics``.

What always holds: 200 means that the router connection is up and the status file is written; 503 says what is wrong.
The answer is JSON in both cases and contains nothing secret.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from skupper_podman.controller.log import log

#: Gives (reasons for not being healthy, facts to show).
Probe = Callable[[], tuple[list[str], dict[str, Any]]]


class HealthServer:
    """An HTTP server with these two resources; ``metrics`` gives the text of the second."""

    def __init__(self, host: str, port: int, probe: Probe, metrics: Callable[[], str] = str) -> None:
        self._host = host
        self._port = port
        self._probe = probe
        self._metrics = metrics
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen; a port that cannot be had is logged and costs the health server only."""
        application = web.Application(client_max_size=1024)
        application.router.add_get("/healthz", self._answer)
        application.router.add_get("/metrics", self._measure)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.2)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            log(f"no health server on {self._host}:{self._port}: {error.strerror or error}")

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _measure(self, _request: web.Request) -> web.Response:
        text = await asyncio.get_running_loop().run_in_executor(None, self._metrics)
        return web.Response(body=text.encode(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _answer(self, _request: web.Request) -> web.Response:
        reasons, facts = self._probe()
        body = {"status": "failing" if reasons else "ok", "reason": "; ".join(reasons), **facts}
        return web.json_response(body, status=503 if reasons else 200)
