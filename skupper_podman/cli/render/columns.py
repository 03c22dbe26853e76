"""The two column layouts of 1.9's verbose reports: blanks for ``status``, tabs for ``link status``."""

from __future__ import annotations

from collections.abc import Sequence

from skupper_podman.cli.render.clean import clean

_STOP = 8


def padded(rows: Sequence[tuple[str, str]]) -> str:
    """Label, blanks up to two past the longest label, value, one blank."""
    width = max((len(label) for label, _value in rows), default=0) + 2
    return "".join(f"{label.ljust(width)}{clean(value)} \n" for label, value in rows)


def tabbed(rows: Sequence[tuple[str, str]]) -> str:
    """Rows of `` label⇥value⇥``, filled with tabs to 8-column stops as Go's tabwriter does, but for the last value.

    The last value does not widen its column, since no tab ends it.
    """
    labels = [f" {label}" for label, _value in rows]
    values = [clean(value) for _label, value in rows]
    label_width, value_width = _column(labels), _column(values[:-1])
    filled = [_fill(value, value_width) for value in values[:-1]] + values[-1:]
    return "".join(f"{_fill(label, label_width)}{value}\n" for label, value in zip(labels, filled, strict=True))


def _column(cells: Sequence[str]) -> int:
    longest = max((len(cell) for cell in cells), default=0) + 1
    return -(-longest // _STOP) * _STOP


def _fill(cell: str, width: int) -> str:
    return cell + "\t" * -(-(width - len(cell)) // _STOP)
