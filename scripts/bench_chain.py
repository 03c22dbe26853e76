"""The figures of :mod:`scripts.bench_router` over a chain of six links, that is seven routers."""

from __future__ import annotations

from typing import Any

from scripts import bench_router

HOPS = 6


def figures() -> dict[str, dict[str, Any]]:
    """Every row of the router's bench, through the chain."""
    return bench_router.figures(rounds=1, hops=HOPS)
