"""Text of other sites on this terminal: control characters become escapes, so that no name forges a line."""

from __future__ import annotations


def clean(text: str, keep: str = "") -> str:
    """The text with control characters not in ``keep`` as escapes; bytes of arguments stay as they are."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character in keep or 0xDC80 <= ord(character) <= 0xDCFF
        else _escape(character)
        for character in text
    )


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
