"""podman.socket is started again when it failed, and only then."""

from __future__ import annotations

from skupper_podman.errors import PlatformError
from skupper_podman.process import Completed
from skupper_podman.supervisor.revive import SocketUnit


class Systemctl:
    """Writes down what it is asked; the socket failed or not."""

    def __init__(self, failed: bool) -> None:
        self.failed = failed
        self.asked: list[str] = []

    def __call__(self, *words: str) -> Completed:
        self.asked.append(" ".join(words))
        failed = self.failed or "is-failed" not in words
        return Completed(("systemctl", *words), 0 if failed else 1, "", "")


def test_one_that_failed_is_started() -> None:
    systemctl = Systemctl(failed=True)
    unit = SocketUnit(False, systemctl)
    assert unit.revive(0)
    assert systemctl.asked == [
        "--user is-failed --quiet podman.socket",
        "--user --no-ask-password reset-failed podman.socket podman.service",
        "--user --no-ask-password --no-block start podman.socket",
    ]
    assert not unit.revive(9.9)
    assert unit.revive(10)


def test_one_that_somebody_stopped_is_left_alone() -> None:
    systemctl = Systemctl(failed=False)
    assert not SocketUnit(True, systemctl).revive(0)
    assert systemctl.asked == ["is-failed --quiet podman.socket"]


def test_a_manager_that_cannot_be_asked_is_no_error() -> None:
    def absent(*_words: str) -> Completed:
        raise PlatformError("no systemctl")

    assert not SocketUnit(True, absent).revive(0)
