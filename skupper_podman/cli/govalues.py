"""Values as Go programs read and write them: the flags of 1.9 accept Go's syntax and scripts quote Go's messages.

What always holds: every ``parse_*`` function either returns a value or raises :class:`ValueSyntaxError` whose text is
what Go's standard library says. Pure.

Formats: ``strconv.ParseBool``, ``ParseInt``, ``Atoi``, ``Quote``; ``time.ParseDuration``, ``Duration.String``; the list
and map values of pflag 1.0.5 (comma separated, fields may be quoted as in RFC 4180).
"""

from __future__ import annotations

SECOND = 1_000_000_000
"""Durations are in nanoseconds, as in Go."""

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5 micro sign
    "μs": 1_000,  # U+03BC Greek letter mu
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_MAX = (1 << 63) - 1
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})
_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_PREFIXES = {"0x": 16, "0o": 8, "0b": 2}
_DIGITS = "0123456789abcdef"


class ValueSyntaxError(ValueError):
    """The text is not a value of the asked type. Its message is Go's."""


def quote(text: str) -> str:
    """``text`` in double quotes, with Go's escapes. Bytes that were no UTF-8 (surrogate escapes) become ``\\xNN``."""
    return '"' + "".join(_quoted(character) for character in text) + '"'


def _quoted(character: str) -> str:
    code = ord(character)
    if character in '"\\':
        return "\\" + character
    if character in _ESCAPES:
        return _ESCAPES[character]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if character.isprintable():
        return character
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def parse_bool(text: str) -> bool:
    """Read a boolean.

    Raises:
        ValueSyntaxError: none of Go's twelve spellings.
    """
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueSyntaxError(f"strconv.ParseBool: parsing {quote(text)}: invalid syntax")


def parse_int(text: str, bits: int = 64) -> int:
    """Read a signed integer: decimal, or prefixed ``0x``, ``0o``, ``0`` or ``0b``; ``_`` may part digits.

    Raises:
        ValueSyntaxError: malformed, or out of range.
    """
    digits = text[1:] if text[:1] in ("+", "-") else text
    base, body = 10, digits
    if digits[:2].lower() in _PREFIXES:
        base, body = _PREFIXES[digits[:2].lower()], digits[2:].removeprefix("_")
    elif len(digits) > 1 and digits.startswith("0"):
        base, body = 8, digits[1:].removeprefix("_")
    parts = body.lower().split("_")
    if not all(part and all(digit in _DIGITS[:base] for digit in part) for part in parts):
        raise ValueSyntaxError(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax")
    value = _bounded("".join(parts), base) * (-1 if text.startswith("-") else 1)
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise ValueSyntaxError(f"strconv.ParseInt: parsing {quote(text)}: value out of range")
    return value


def atoi(text: str) -> int:
    """Read a decimal integer.

    Raises:
        ValueSyntaxError: malformed, or out of range.
    """
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits or any(digit not in _DIGITS[:10] for digit in digits):
        raise ValueSyntaxError(f"strconv.Atoi: parsing {quote(text)}: invalid syntax")
    value = _bounded(digits, 10) * (-1 if text.startswith("-") else 1)
    if not -_MAX - 1 <= value <= _MAX:
        raise ValueSyntaxError(f"strconv.Atoi: parsing {quote(text)}: value out of range")
    return value


def _bounded(digits: str, base: int) -> int:
    # Python refuses to convert thousands of decimal digits; such a number is out of range whatever it is.
    stripped = digits.lstrip("0")
    return int(stripped, base) if 0 < len(stripped) <= 64 else (_MAX + 1) * 2 if stripped else 0


def parse_duration(text: str) -> int:
    """Read a duration such as ``300ms`` or ``1h30m0s``; the result is in nanoseconds.

    Raises:
        ValueSyntaxError: malformed, without a unit, or out of range.
    """
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0
    if not rest:
        raise ValueSyntaxError(f"time: invalid duration {quote(text)}")
    total = 0
    while rest:
        whole, rest = _leading(rest, "0123456789")
        fraction = ""
        dot = rest.startswith(".")
        if dot:
            fraction, rest = _leading(rest[1:], "0123456789")
        if not whole and not fraction:
            raise ValueSyntaxError(f"time: invalid duration {quote(text)}")
        unit, rest = _unit(rest)
        if not unit:
            raise ValueSyntaxError(f"time: missing unit in duration {quote(text)}")
        if unit not in _UNITS:
            raise ValueSyntaxError(f"time: unknown unit {quote(unit)} in duration {quote(text)}")
        size = _UNITS[unit]
        fraction = fraction[:18]
        total += _bounded(whole or "0", 10) * size + int(fraction or "0") * size // 10 ** len(fraction)
        if total > _MAX:
            raise ValueSyntaxError(f"time: invalid duration {quote(text)}")
    return -total if text.startswith("-") else total


def _leading(text: str, characters: str) -> tuple[str, str]:
    length = len(text) - len(text.lstrip(characters))
    return text[:length], text[length:]


def _unit(text: str) -> tuple[str, str]:
    length = next((index for index, character in enumerate(text) if character in ".0123456789"), len(text))
    return text[:length], text[length:]


def format_duration(nanoseconds: int) -> str:
    """The duration as Go prints it: ``2m0s``, ``1h0m0s``, ``1.5s``, ``300ms``, ``0s``."""
    if nanoseconds == 0:
        return "0s"
    sign, value = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    for unit, size in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
        if value < size * 1000:
            return f"{sign}{_decimal(value, size)}{unit}"
    minutes, rest = divmod(value, 60 * SECOND)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(rest, SECOND)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{text}"
    return f"{sign}{minutes}m{text}" if minutes else f"{sign}{text}"


def _decimal(value: int, size: int) -> str:
    whole, rest = divmod(value, size)
    if not rest:
        return str(whole)
    fraction = str(rest).rjust(len(str(size)) - 1, "0").rstrip("0")
    return f"{whole}.{fraction}"


def parse_strings(text: str) -> tuple[str, ...]:
    """Read a comma-separated list; a field may be in double quotes, a quote in it is doubled. Empty text: empty list.

    Raises:
        ValueSyntaxError: a stray quote.
    """
    fields: list[str] = []
    position = 0
    if not text:
        return ()
    while True:
        if text.startswith('"', position):
            value, position = _quoted_field(text, position + 1)
        else:
            end = text.find(",", position)
            end = len(text) if end < 0 else end
            value, position = text[position:end], end
            if '"' in value:
                column = end - len(value) + value.index('"') + 1
                raise ValueSyntaxError(f'parse error on line 1, column {column}: bare " in non-quoted-field')
        fields.append(value)
        if position >= len(text):
            return tuple(fields)
        position += 1


def _quoted_field(text: str, position: int) -> tuple[str, int]:
    value = ""
    while True:
        end = text.find('"', position)
        if end < 0:
            raise _stray_quote(len(text) + 1)
        value += text[position:end]
        following = text[end + 1 : end + 2]
        if following != '"':
            if following not in ("", ","):
                raise _stray_quote(end + 1)
            return value, end + 1
        value, position = value + '"', end + 2


def _stray_quote(column: int) -> ValueSyntaxError:
    return ValueSyntaxError(f'parse error on line 1, column {column}: extraneous or missing " in quoted-field')


def parse_ints(text: str) -> tuple[int, ...]:
    """Read a comma-separated list of decimal integers.

    Raises:
        ValueSyntaxError: an element is none.
    """
    return tuple(atoi(part) for part in text.split(","))


def parse_map(text: str) -> tuple[tuple[str, str], ...]:
    """Read ``k=v,k2=v2``; with a single ``=`` all that follows it is the value. Later keys win.

    Raises:
        ValueSyntaxError: an element without ``=``, or a stray quote.
    """
    if "=" not in text:
        raise ValueSyntaxError(f"{text} must be formatted as key=value")
    parts = (text.strip('"'),) if text.count("=") == 1 else parse_strings(text)
    values: dict[str, str] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals:
            raise ValueSyntaxError(f"{part} must be formatted as key=value")
        values[key] = value
    return tuple(values.items())
