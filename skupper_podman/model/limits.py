"""How much of the host a container may take: ``--router-cpu-limit``, ``--controller-memory-limit`` and their kin.

What always holds: zero means no limit. A command line takes what 1.9's podman site takes (CPUs as a decimal number,
memory in bytes); a document from source control may also say it as Kubernetes does (``500m``, ``512Mi``).
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Final

from skupper_podman.errors import UsageError

_UNITS: Final = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip
_NUMBER: Final = re.compile(r"[0-9]+(\.[0-9]+)?")
_QUANTITY: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)([A-Za-z]*)")
_MOST_CPUS: Final = 100_000
_MOST_BYTES: Final = 2**62
_LEAST_MILLIS: Final = 10
"""The kernel's scheduler gives no less than a hundredth of a CPU."""


def cpu_text(millis: int) -> str:
    """CPUs as a decimal number without needless digits."""
    return f"{millis / 1000:.3f}".rstrip("0").rstrip(".")


def parse_cpu(component: str, text: str) -> int:
    """Thousandths of a CPU from a decimal number of CPUs; empty text and 0 are no limit.

    Raises:
        UsageError: it is no number, or smaller than what can be given.
    """
    number = _decimal(text) if text else Decimal(0)
    millis = None if number is None or number > _MOST_CPUS else number * 1000
    if millis is None or millis != int(millis) or 0 < millis < _LEAST_MILLIS:
        raise UsageError(f"invalid cpu limit (decimal) for {component}: {text}")
    return int(millis)


def parse_memory(component: str, text: str) -> int:
    """Bytes from a whole number; empty text and 0 are no limit.

    Raises:
        UsageError: it is no whole number.
    """
    digits = text or "0"
    if not digits.isascii() or not digits.isdigit() or len(digits) > 19 or int(digits) > _MOST_BYTES:
        raise UsageError(f"invalid memory limit (bytes) for {component}: {text}")
    return int(digits)


def cpu_quantity(component: str, text: str) -> int:
    """As :func:`parse_cpu`, also from Kubernetes' thousandths (``500m``). Raises UsageError."""
    if text.endswith("m") and text[:-1].isascii() and text[:-1].isdigit() and len(text) < 10:
        return parse_cpu(component, cpu_text(int(text[:-1])))
    return parse_cpu(component, text)


def memory_quantity(component: str, text: str) -> int:
    """As :func:`parse_memory`, also from Kubernetes' quantities (``512Mi``, ``1.5G``). Raises UsageError."""
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in _UNITS or len(match[1]) > 19:
        return parse_memory(component, text)
    return parse_memory(component, str(int(Decimal(match[1]) * _UNITS[match[2]])))


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text) if text.isascii() and _NUMBER.fullmatch(text) and len(text) < 20 else None
    except InvalidOperation:
        return None
