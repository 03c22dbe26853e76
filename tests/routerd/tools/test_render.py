"""Tables and numbers in the forms of upstream's skstat."""

from __future__ import annotations

import pytest

from skupper_podman.routerd.tools.render import Table, clock, commas, days, octets

TABLE = Table("Title", ("a", "long heading", "c"), [(1, None, "x"), ("wide cell", 'with "quotes", commas', False)])


def test_text() -> None:
    assert TABLE.text().split("\n") == [
        "Title",
        "  a          long heading           c",
        "  =========================================",
        "  1                                 x",
        '  wide cell  with "quotes", commas  False',
    ]


def test_csv() -> None:
    assert TABLE.csv() == ('Title\n"a","long heading","c"\n"1",,"x"\n"wide cell","with ""quotes"", commas","False"')


def test_without_rows_only_the_title_is_printed() -> None:
    empty = Table("Title", ("a",), [])
    assert empty.text() == empty.csv() == "Title"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1023, "1023"),
        (1024, "1.00 KiB"),
        (1536, "1.50 KiB"),
        (12 * 2**20, "12.0 MiB"),
        (2**50 * 2048, "2048 PiB"),
    ],
)
def test_octets(value: int, text: str) -> None:
    assert octets(value) == text


def test_durations_and_numbers() -> None:
    assert days(90061) == "001:01:01:01"
    assert days(1000 * 86400) == "1000:00:00:00"
    assert clock(90061) == "01:01:01"
    assert (commas(1234567), commas(None), commas("x"), commas(True)) == ("1,234,567", "", "x", "True")
