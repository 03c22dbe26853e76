"""What flow records say of something that goes on: its counters, looked at once a second, and their rates.

Why look: a TCP connection moves its octets in many small steps, and collectors want a number a second. So nothing is
done with each step. What always holds: as long as nobody collects the records, a thing costs no more than its entry
here; a rate is that of the last ten seconds, as skupper-router has it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from skupper_podman.model.flow import Attribute

#: Ticks of the flow log in which everything is looked at once.
SLOTS: Final = 5
_RATE_SPAN: Final = 10
_RATE_STEP: Final = 2

Measured = Mapping[Attribute, Any]


@dataclass(slots=True)
class Rate:
    """A counter whose rate is reported too; `samples` are two seconds apart and begin with zeros."""

    counter: Attribute
    attribute: Attribute
    samples: deque[int] = field(
        default_factory=lambda: deque([0] * (_RATE_SPAN // _RATE_STEP), _RATE_SPAN // _RATE_STEP)
    )

    def of(self, count: int) -> int:
        """The rate per second, now that the counter has come to this."""
        rate = (count - self.samples[0]) // _RATE_SPAN
        self.samples.append(count)
        return max(0, rate)


@dataclass(slots=True)
class _Probe:
    measure: Callable[[], Measured]
    rate: Rate | None
    looks: int = 0


class Probes:
    """Everything that is looked at, by the identity of its record; `report` takes what has been seen."""

    def __init__(self, report: Callable[[str, Measured], None]) -> None:
        self._report = report
        self._slots: list[dict[str, _Probe]] = [{} for _ in range(SLOTS)]
        self._turn = 0

    def add(self, identity: str, measure: Callable[[], Measured], rate: Rate | None = None) -> None:
        """Look at this from now on."""
        self._slots[hash(identity) % SLOTS][identity] = _Probe(measure, rate)

    def remove(self, identity: str) -> None:
        """Report once more, and look no more."""
        probe = self._slots[hash(identity) % SLOTS].pop(identity, None)
        if probe is not None:
            self._report(identity, probe.measure())

    def look(self) -> None:
        """Look at what is due: a part of it at each tick, so that no tick takes long."""
        slot = self._slots[self._turn]
        self._turn = (self._turn + 1) % SLOTS
        for identity, probe in slot.items():
            found = dict(probe.measure())
            probe.looks += 1
            rate = probe.rate
            if rate is not None and probe.looks % _RATE_STEP == 0:
                found[rate.attribute] = rate.of(int(found.get(rate.counter, 0)))
            self._report(identity, found)
