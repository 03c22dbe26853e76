"""Values in Go's syntax, with Go's messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.cli import govalues as go


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("-0", 0), ("+7", 7), ("0x1F", 31), ("0b101", 5), ("0o17", 15), ("017", 15), ("1_000", 1000),
        ("-9223372036854775808", -(1 << 63)), ("0x_1", 1),
    ],
)  # fmt: skip
def test_integers(text: str, value: int) -> None:
    assert go.parse_int(text) == value


@pytest.mark.parametrize("text", ["", "x", "1x", "0x", "08", "1__0", "_1", "1_", "--1", "1.0", "１", " 1", "0b2"])
def test_bad_integers(text: str) -> None:
    with pytest.raises(go.ValueSyntaxError) as error:
        go.parse_int(text)
    assert str(error.value) == f"strconv.ParseInt: parsing {go.quote(text)}: invalid syntax"


def test_integer_ranges() -> None:
    for text, bits in (("2147483648", 32), ("9223372036854775808", 64), ("9" * 10_000, 64)):
        with pytest.raises(go.ValueSyntaxError, match=r"value out of range$"):
            go.parse_int(text, bits)
    assert go.parse_int("-2147483648", 32) == -(1 << 31)
    with pytest.raises(go.ValueSyntaxError, match=r"^strconv.Atoi: .*value out of range$"):
        go.atoi("9" * 30)


def test_atoi_is_decimal_only() -> None:
    assert go.atoi("017") == 17
    with pytest.raises(go.ValueSyntaxError, match=r'strconv.Atoi: parsing "0x1": invalid syntax'):
        go.atoi("0x1")


def test_booleans() -> None:
    assert [go.parse_bool(text) for text in ("1", "t", "TRUE", "0", "False")] == [True, True, True, False, False]
    with pytest.raises(go.ValueSyntaxError, match=r'^strconv.ParseBool: parsing "yes": invalid syntax$'):
        go.parse_bool("yes")


@pytest.mark.parametrize(
    ("text", "value", "again"),
    [
        ("0", 0, "0s"),
        ("300ms", 300_000_000, "300ms"),
        ("15m", 900 * go.SECOND, "15m0s"),
        ("1h30m0s", 5400 * go.SECOND, "1h30m0s"),
        ("-1.5s", -1_500_000_000, "-1.5s"),
        (".5s", 500_000_000, "500ms"),
        ("1.s", go.SECOND, "1s"),
        ("2us3ns", 2003, "2.003µs"),
        ("1m0.25s", 60_250_000_000, "1m0.25s"),
    ],
)
def test_durations(text: str, value: int, again: str) -> None:
    assert go.parse_duration(text) == value
    assert go.format_duration(value) == again
    assert go.parse_duration(again) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'time: invalid duration ""'),
        ("x", 'time: invalid duration "x"'),
        ("-", 'time: invalid duration "-"'),
        (".s", 'time: invalid duration ".s"'),
        ("5", 'time: missing unit in duration "5"'),
        ("5 s", 'time: unknown unit " s" in duration "5 s"'),
        ("3d", 'time: unknown unit "d" in duration "3d"'),
        ("9999999h", 'time: invalid duration "9999999h"'),
    ],
)
def test_bad_durations(text: str, message: str) -> None:
    with pytest.raises(go.ValueSyntaxError) as error:
        go.parse_duration(text)
    assert str(error.value) == message


@given(st.integers(-(1 << 62), 1 << 62))
def test_durations_survive_printing(value: int) -> None:
    assert go.parse_duration(go.format_duration(value)) == value


def test_lists() -> None:
    assert go.parse_strings("") == ()
    assert go.parse_strings("a,b,") == ("a", "b", "")
    assert go.parse_strings('"a,b",c') == ("a,b", "c")
    assert go.parse_strings('"say ""hi"""') == ('say "hi"',)
    assert go.parse_ints("1,2") == (1, 2)


@pytest.mark.parametrize("text", ['a"b', '"a', '"a"b', 'a,b"'])
def test_stray_quotes(text: str) -> None:
    with pytest.raises(go.ValueSyntaxError, match=r"^parse error on line 1, column"):
        go.parse_strings(text)


def test_maps() -> None:
    assert go.parse_map("a=1,b=2") == (("a", "1"), ("b", "2"))
    assert go.parse_map("a=1,2") == (("a", "1,2"),)
    assert go.parse_map("a=1,a=2,b=") == (("a", "2"), ("b", ""))
    for text in ("", "a", "a=1,b=2,c"):
        with pytest.raises(go.ValueSyntaxError, match="must be formatted as key=value"):
            go.parse_map(text)


def test_quoting() -> None:
    assert go.quote('a"b\\\n\x00é☃') == '"a\\"b\\\\\\n\\x00é☃"'
    assert go.quote(b"\xff".decode("utf-8", "surrogateescape")) == '"\\xff"'
    assert go.quote("\u2028\U0001f600\U000e0001") == '"\\u2028😀\\U000e0001"'


@given(st.text())
def test_any_text_parses_or_is_a_syntax_error(text: str) -> None:
    for parse in (
        go.parse_bool,
        go.parse_int,
        go.atoi,
        go.parse_duration,
        go.parse_strings,
        go.parse_ints,
        go.parse_map,
    ):
        try:
            parse(text)
        except go.ValueSyntaxError:
            continue


@given(st.lists(st.text()).filter(lambda fields: fields != [""]))
def test_quoted_fields_survive(fields: list[str]) -> None:
    text = ",".join('"' + field.replace('"', '""') + '"' for field in fields)
    assert go.parse_strings(text) == tuple(fields)
