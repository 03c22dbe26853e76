"""Counters and rates that flow records report."""

from __future__ import annotations

from skupper_podman.model.flow import Attribute
from skupper_podman.routerd.probes import SLOTS, Measured, Probes, Rate


class _Report:
    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[Attribute, int]]] = []

    def __call__(self, identity: str, measured: Measured) -> None:
        self.seen.append((identity, dict(measured)))


def test_everything_is_looked_at_once_in_a_round() -> None:
    report = _Report()
    probes = Probes(report)
    for number in range(20):
        probes.add(f"x:{number}", lambda number=number: {Attribute.OCTETS: number})  # type: ignore[misc]
    for _ in range(SLOTS):
        probes.look()
    assert sorted(report.seen) == sorted((f"x:{number}", {Attribute.OCTETS: number}) for number in range(20))


def test_the_rate_is_that_of_the_last_ten_seconds() -> None:
    report = _Report()
    probes = Probes(report)
    octets = 0
    probes.add("x:1", lambda: {Attribute.OCTETS: octets}, Rate(Attribute.OCTETS, Attribute.OCTET_RATE))
    rates = []
    for second in range(24):
        octets = min(1000 * (second + 1), 10_000)
        for _ in range(SLOTS):
            probes.look()
        rates += [measured[Attribute.OCTET_RATE] for _, measured in report.seen if Attribute.OCTET_RATE in measured]
        report.seen.clear()
    assert rates == [200, 400, 600, 800, 1000, 800, 600, 400, 200, 0, 0, 0]


def test_the_last_word_comes_with_the_end() -> None:
    report = _Report()
    probes = Probes(report)
    probes.add("x:1", lambda: {Attribute.OCTETS: 7})
    probes.remove("x:1")
    probes.remove("x:1")
    for _ in range(SLOTS):
        probes.look()
    assert report.seen == [("x:1", {Attribute.OCTETS: 7})]
