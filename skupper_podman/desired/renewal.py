"""When a certificate is due to be renewed.

What always holds: the answer depends on the certificate alone, so every process that asks gets the same one; hosts
that were set up in the same minute do not all renew in the same minute.
"""

from __future__ import annotations

import datetime
import hashlib
from typing import Final

SHARE: Final = 2 / 3
"""Share of its life after which a certificate is renewed."""

JITTER: Final = 0.04
"""Width of the span, around that share, over which renewals are spread."""

LATE: Final = datetime.timedelta(days=3)
"""How long a renewal may be tried in vain before it is told."""


def renew_at(not_before: datetime.datetime, not_after: datetime.datetime, seed: str) -> datetime.datetime:
    """When a certificate of that validity is to be renewed; ``seed`` (its fingerprint) decides when exactly."""
    spread = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4]) / 2**32 - 0.5
    moment = not_before + (not_after - not_before) * (SHARE + JITTER * spread)
    return moment.replace(microsecond=0)
