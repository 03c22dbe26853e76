"""Limits of CPU and memory, as 1.9's flags and as Kubernetes says them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skupper_podman.errors import UsageError
from skupper_podman.model.limits import cpu_quantity, cpu_text, memory_quantity, parse_cpu, parse_memory


@pytest.mark.parametrize(
    ("text", "millis"), [("", 0), ("0", 0), ("2", 2000), ("0.5", 500), ("1.25", 1250), ("0.010", 10), ("1.0000", 1000)]
)
def test_cpus(text: str, millis: int) -> None:
    assert parse_cpu("router", text) == millis


@pytest.mark.parametrize("text", ["x", "-1", "0.009", "1.0005", "1e3", "500m", "NaN", " 1", "1_0", "٣", "9" * 30, "1."])
def test_cpus_that_are_none(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_cpu("router", text)
    assert caught.value.message == f"invalid cpu limit (decimal) for router: {text}"


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "512Mi", "1e9", " 1", "٣", "9" * 19, "9" * 5000])
def test_memory_that_is_none(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_memory("controller", text)
    assert caught.value.message == f"invalid memory limit (bytes) for controller: {text}"


@pytest.mark.parametrize(
    ("text", "size"), [("512Mi", 2**29), ("1.5G", 1_500_000_000), ("1024", 1024), ("64k", 64_000), ("0", 0), ("", 0)]
)
def test_quantities_of_memory(text: str, size: int) -> None:
    assert memory_quantity("router", text) == size


@pytest.mark.parametrize(("text", "millis"), [("500m", 500), ("2", 2000), ("0.25", 250), ("1500m", 1500)])
def test_quantities_of_cpu(text: str, millis: int) -> None:
    assert cpu_quantity("router", text) == millis


@pytest.mark.parametrize("text", ["5m", "m", "-5m", "1Mi", "9999999999m"])
def test_quantities_of_cpu_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="invalid cpu limit"):
        cpu_quantity("router", text)


@settings(deadline=None)
@given(st.text(max_size=30))
def test_any_other_text_is_refused_and_nothing_else(text: str) -> None:
    for parse in (parse_cpu, parse_memory, cpu_quantity, memory_quantity):
        with contextlib.suppress(UsageError):
            assert parse("router", text) >= 0


@settings(deadline=None)
@given(st.integers(10, 10**7))
def test_cpus_are_shown_as_they_are_typed(millis: int) -> None:
    assert parse_cpu("router", cpu_text(millis)) == millis
