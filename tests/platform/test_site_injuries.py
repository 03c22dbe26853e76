"""Commands that are killed, or whose operations fail, at any moment: the next one finishes or repairs; nothing is left.

Here one moment of some commands and each way; ``scripts/injuries`` tries every one.
"""

from __future__ import annotations

import pytest

from tests.platform.injuries import CASES, Case, Trial
from tests.platform.onehost import needs_podman, one_host

pytestmark = [*needs_podman, pytest.mark.slow]


QUICK = [case for case in CASES if case.quick]


@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.name)
def test_hurt_commands(case: Case) -> None:
    with one_host() as host:
        trial = Trial(host, case)
        for kind in trial.KINDS:
            moments = trial.moments(kind)
            if moments:
                assert trial.hurt(kind, moments[len(moments) // 2]) == ""
