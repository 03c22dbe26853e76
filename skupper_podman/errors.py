"""The one family of errors, so that every failure reaches the user as one clear line with a way out.

    SkupperError                 exit 1   something could not be done
    ├─ UsageError                exit 2   the command line is wrong
    ├─ NotEnabledError           exit 1   there is no site here
    ├─ ConflictError             exit 1   what exists stands in the way of what is asked
    ├─ InvalidError              exit 1   a token, configuration or value is malformed
    │  └─ LinkCheckError         exit 1   a token cannot make a link; names the check that says so
    ├─ NotFoundError             exit 1   the named link, service or target does not exist
    ├─ PlatformError             exit 1   Podman, systemd or the host refused
    │  ├─ EndpointError          exit 1   the Podman API cannot be reached
    │  └─ PreflightError         exit 1   the host is not ready; carries every blocker found
    ├─ ManagementError           exit 1   a router refused a management request
    └─ InterruptedByUser         exit 130 SIGINT or SIGTERM; what was begun has been undone

``message`` says what failed and why; ``hint`` is the exact command or action that mends it, or empty.
The command line prints ``Error: <message>`` and, where there is one, ``Hint: <hint>``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class SkupperError(Exception):
    """Base of every error that may reach a user."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class UsageError(SkupperError):
    """The command line is wrong: unknown flag, wrong count of arguments, value out of range."""

    exit_code = 2


class NotEnabledError(SkupperError):
    """The command needs a site and there is none."""


class ConflictError(SkupperError):
    """Something that exists stands in the way: a name in use, a port taken, a duplicate link."""


class InvalidError(SkupperError):
    """A token, a file or a value is malformed."""


class LinkCheckError(InvalidError):
    """A token cannot make a link; nothing has been changed. ``check`` is the stable identifier of the check.

    In their order: ``link-token``, ``link-expiry``, ``link-self``, ``link-duplicate``, ``link-version``,
    ``link-dns``, ``link-tcp``, ``link-tls``, ``link-claim``.
    """

    def __init__(self, check: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.check = check


class NotFoundError(SkupperError):
    """The named link, service, target or file does not exist."""


class PlatformError(SkupperError):
    """Podman, systemd or the operating system refused or failed."""


class EndpointError(PlatformError):
    """The Podman API socket is absent, dead, or too old."""


@dataclass(frozen=True, slots=True)
class Blocker:
    """One reason why a change cannot begin.

    ``check`` is the stable identifier of the check (for scripts), ``cause`` one sentence,
    ``fix`` the exact command or action that mends it.
    """

    check: str
    cause: str
    fix: str


class PreflightError(PlatformError):
    """The host is not ready; nothing has been changed. Carries every blocker found."""

    def __init__(self, blockers: tuple[Blocker, ...]) -> None:
        self.blockers = blockers
        lines = [f"{blocker.cause}" for blocker in blockers]
        hints = [blocker.fix for blocker in blockers if blocker.fix]
        super().__init__("; ".join(lines), "; ".join(hints))


class ManagementError(SkupperError):
    """A router refused a management request, or did not answer it."""


class InterruptedByUser(SkupperError):  # noqa: N818 - it is no fault, and reads as what happened
    """SIGINT or SIGTERM arrived; everything begun has been undone."""

    exit_code = 130
