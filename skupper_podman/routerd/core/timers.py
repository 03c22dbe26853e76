"""The intervals of the routing protocol, all configurable on the router entity.

Why: tests and slow networks need other values; the defaults are skupper-router's.

What always holds: values are seconds and positive.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timers:
    """Attributes of the router entity: helloIntervalSeconds, helloMaxAgeSeconds, raIntervalSeconds and so on."""

    hello_interval: float = 1.0
    hello_max_age: float = 3.0
    ra_interval: float = 30.0
    ra_interval_flux: float = 4.0
    state_max_age: float = 60.0
