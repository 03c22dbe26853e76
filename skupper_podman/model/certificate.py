"""A certificate of a site, as it was found and looked at."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Final, Literal

CertificateKind = Literal["authority", "credential", "link", "service"]
SOON: Final = datetime.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate as found. ``problem`` is empty if it is well; ``fix`` mends the problem, or renews it in time.

    ``renews_at`` is when the site renews it by itself, None for one that it cannot renew; it is ``late`` if that should
    have been done days ago. An authority may be trusted beside ``predecessors`` that it followed.
    """

    name: str
    kind: CertificateKind
    problem: str = ""
    fix: str = ""
    subject: str = ""
    issuer: str = ""
    hosts: tuple[str, ...] = ()
    not_before: datetime.datetime | None = None
    not_after: datetime.datetime | None = None
    renews_at: datetime.datetime | None = None
    late: bool = False
    predecessors: int = 0

    def ends_soon(self, now: datetime.datetime) -> bool:
        """True if little of the life of one that nobody renews is left, or its renewal is late."""
        if self.not_after is None or self.not_before is None:
            return False
        if self.renews_at is not None:
            return self.late
        return self.not_after - now < min(SOON, (self.not_after - self.not_before) / 10)
