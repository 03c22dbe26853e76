"""``certificate``: what it prints, to the letter."""

from __future__ import annotations

import datetime

import pytest

from skupper_podman.model.certificate import Certificate
from tests.cli.memory import MemoryPlatform
from tests.cli.terminal import Terminal

DAY = datetime.timedelta(days=1)
BEGIN = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
"""A month before the time of the tests' terminal."""


def certificate(name: str, days: int = 120, **values: object) -> Certificate:
    end = BEGIN + days * DAY
    renewed = {"renews_at": BEGIN + days * DAY * 2 / 3, "kind": "credential", **values}
    return Certificate(name, not_before=BEGIN, not_after=end, **renewed)  # type: ignore[arg-type]


KNOWN = (
    certificate("skupper-site-ca", 1825, kind="authority", predecessors=1),
    certificate("skupper-site-server"),
    certificate("skupper-local-server", 60, late=True, fix="skupper certificate renew"),
    certificate("skupper-service-client", 1825, renews_at=None),
    certificate("link1", 31, kind="link", renews_at=None, fix="at site 1: skupper token create FILE"),
    certificate("link2", kind="link", problem="it expired 2025-01-02 00:00 UTC", fix="skupper token create"),
)


def test_status(site: Terminal, platform: MemoryPlatform) -> None:
    platform.known_certificates = KNOWN[:2]
    answer = site("certificate", "status")
    assert (answer.code, answer.out) == (
        0,
        "NAME                 KIND        VALID UNTIL  RENEWED     STATE\n"
        "skupper-site-ca      authority   2029-12-31   2028-05-01  valid; trusted beside it: 1 that it followed\n"
        "skupper-site-server  credential  2025-05-01   2025-03-22  valid\n",
    )
    platform.known_certificates = KNOWN
    answer = site("certificate", "status")
    assert answer.code == 1
    assert answer.out.splitlines()[3:] == [
        "skupper-local-server    credential  2025-03-02   2025-02-10          valid, but its renewal is late",
        "skupper-service-client  credential  2029-12-31   with its authority  valid",
        "link1                   link        2025-02-01   never               valid, but it ends soon",
        "link2                   link        2025-05-01   2025-03-22          it expired 2025-01-02 00:00 UTC",
        "next for skupper-local-server: skupper certificate renew",
        "next for link1: at site 1: skupper token create FILE",
        "next for link2: skupper token create",
    ]
    data = site("certificate", "status", "-o", "json").data["certificates"]
    assert data[1] == {
        "name": "skupper-site-server", "kind": "credential", "problem": "", "fix": "", "subject": "", "issuer": "",
        "hosts": [], "notBefore": "2025-01-01T00:00:00Z", "notAfter": "2025-05-01T00:00:00Z",
        "renewsAt": "2025-03-22T00:00:00Z", "late": False, "predecessors": 0,
    }  # fmt: skip


def test_renew(site: Terminal, platform: MemoryPlatform) -> None:
    platform.known_certificates = KNOWN[:2]
    assert site("certificate", "renew").out == "No certificate is due\n"
    platform.known_certificates = KNOWN
    assert site("certificate", "renew", "--dry-run").out == (
        "Renew certificates\n  update certificate skupper-local-server\nNothing has been changed.\n"
    )
    answer = site("certificate", "renew", "skupper-site-server", "link2")
    assert answer.out == "Renewed: skupper-site-server, link2\n"
    assert site("certificate", "renew", "-o", "json").data["action"] == "renewed"
    assert site("certificate", "renew", "x").err == "Error: no such certificate: x\n"


def test_rotate_and_retire(site: Terminal) -> None:
    assert site("certificate", "retire").out == "Nothing to retire\n"
    assert site("certificate", "rotate", "local", "site").out == "Renewed: skupper-local-ca, skupper-site-ca\n"
    assert site("certificate", "rotate", "-o", "json").data["action"] == "rotated"
    assert site("certificate", "retire", "site").out == "Changed: skupper-site-ca\n"
    assert site("certificate", "retire", "-o", "json").data["action"] == "retired"
    assert site("certificate", "retire", "-o", "json").data["action"] == "unchanged"


@pytest.mark.parametrize("verb", ["rotate", "retire"])
def test_authorities_that_are_none(site: Terminal, verb: str) -> None:
    answer = site("certificate", verb, "x")
    assert (answer.code, answer.err.splitlines()[0]) == (
        2,
        "Error: no such authority: x; there are: local, site, service",
    )
