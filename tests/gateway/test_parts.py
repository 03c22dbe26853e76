"""Parts of the installer by themselves: what a change of configuration needs, AMQP's encoding, words of a unit."""

from __future__ import annotations

import contextlib
import importlib
import struct
import sys
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skupper_podman.gateway.programs import directory
from skupper_podman.routerd import amqpencode, codec


def part(name: str) -> ModuleType:
    """A module of the installer, which is no package of ours."""
    sys.path.insert(0, str(directory()))
    try:
        return importlib.import_module(f"installer.{name}")
    finally:
        sys.path.remove(str(directory()))


rendering, management, units = part("rendering"), part("management"), part("units")
ROUTER = ("router", {"id": "r", "mode": "edge"})
LINK = ("connector", {"name": "conn1", "host": "a"})
BINDING = ("tcpConnector", {"name": "db", "host": "localhost", "port": "1"})
PROFILE = ("sslProfile", {"name": "bridge-db"})


def test_what_needs_no_restart() -> None:
    assert rendering.difference([ROUTER, LINK, BINDING], [LINK, BINDING, ROUTER]) == ([], [], [])
    changed = ("tcpConnector", {**BINDING[1], "port": "2"})
    assert rendering.difference([BINDING], [changed]) == ([BINDING], [changed], [])
    moved = ("connector", {"name": "conn1", "host": "b"})
    assert rendering.difference([LINK], [moved]) == ([LINK], [moved], [])
    # What uses a profile comes after it and goes before it.
    assert rendering.difference([], [BINDING, PROFILE])[1] == [PROFILE, BINDING]
    assert rendering.difference([PROFILE, BINDING], [])[0] == [BINDING, PROFILE]


def test_what_needs_one() -> None:
    other = ("router", {"id": "other", "mode": "edge"})
    assert rendering.difference([ROUTER], [other])[2] == ["router"]
    listener = ("listener", {"name": "amqp", "port": "1"})
    assert rendering.difference([], [listener])[2] == ["listener amqp"]


def test_names_of_this_host_are_filled_in() -> None:
    template = '[["router", {"id": "x-${A}", "n": 1}], ["tcpListener", {"name": "f", "port": "5"}]]'
    config = rendering.render(template, {"A": 'a"b'})
    assert config[0] == ("router", {"id": 'x-a"b', "n": 1})
    assert rendering.with_ports(config, {"f": 7})[1][1]["port"] == "7"
    assert rendering.parse(rendering.dump(config)) == config
    for wrong in (template.replace("A", "B"), "", "{}", '[["a"]]', '[["a", 5]]'):
        with pytest.raises(Exception, match=r"configuration asks for|is malformed") as raised:
            rendering.render(wrong, {"A": "a"})
        assert raised.type.__name__ == "Failure"


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("plain", "plain"),
        ("a b", '"a b"'),
        ('a"b', '"a\\"b"'),
        ("50%", '"50%%"'),
        ("$x", '"$$x"'),
        ("", '""'),
        ("it's", '"it\'s"'),
    ],
)
def test_words_of_a_unit(word: str, wanted: str) -> None:
    assert units.quoted(word) == wanted


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=300) | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_what_is_encoded_is_read_back(value: object) -> None:
    assert management.Reader(management.encode(value)).value() == value


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_the_routers_own_encoding_is_read(value: object) -> None:
    assert management.Reader(amqpencode.encode(value)).value() == value
    octets = management.encode(value)
    decoded, end = codec.decode(octets, 0)
    assert (decoded, end) == (value, len(octets))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40))
def test_garbage_is_an_error_and_nothing_worse(octets: bytes) -> None:
    with contextlib.suppress(management.ManagementError, RecursionError, struct.error):
        management.Reader(octets).value()
