"""Log lines of the controller on stderr.

What always holds: one line an event, whatever the text contains; a closed or full stderr costs lines, never the
controller. Secrets never get here: nothing that is logged comes from a key or token file.
"""

from __future__ import annotations

import sys
import time
from typing import Final

_LONGEST: Final = 500


def log(text: str) -> None:
    """Write one line with the time of day (UTC)."""
    clean = "".join(char if char.isprintable() else "?" for char in text[:_LONGEST])
    try:
        sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {clean}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        return
