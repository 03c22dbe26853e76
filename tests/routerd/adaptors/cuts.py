"""Octets cut into pieces, for tests that what arrives in pieces is read like a whole."""

from __future__ import annotations

from hypothesis import strategies as st


@st.composite
def cut(draw: st.DrawFn, octets: bytes) -> list[bytes]:
    """The octets in pieces."""
    places = sorted(draw(st.lists(st.integers(0, len(octets)), max_size=6)))
    return [octets[start:end] for start, end in zip([0, *places], [*places, len(octets)], strict=True)]
