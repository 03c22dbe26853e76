"""JSON exactly as Go's ``encoding/json`` writes it, because 1.9 compares some of these texts byte for byte."""

from __future__ import annotations

import json
from typing import Any


def compact(value: Any) -> str:
    """One line without blanks; keys in the given order; the characters special to HTML escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
