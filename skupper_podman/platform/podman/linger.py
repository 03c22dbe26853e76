"""Lingering: without it the manager of a user, and with it the site, ends at the last logout and is not there at boot.

What always holds: lingering that somebody else enabled is left alone. ``init`` notes that it enabled it; ``delete``
then disables it, unless other containers or units of the user would end with it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from skupper_podman.errors import PlatformError
from skupper_podman.files import make_directories, remove, write_atomic
from skupper_podman.plan import Step
from skupper_podman.platform.podman.context import Context
from skupper_podman.systemd import Systemd

_MARK = b"skupper init enabled lingering; skupper delete disables it again\n"


def linger_fix(context: Context) -> str:
    """The command that makes the site start at boot; empty if it does, or lingering has no part in it."""
    systemd = _systemd(context)
    if systemd.linger_enabled() or systemd.unavailable():
        return ""
    return f"sudo loginctl enable-linger {context.user}"


def linger_warning(context: Context) -> list[str]:
    """What to tell a user whose site will not start at boot; nothing where it will."""
    fix = linger_fix(context)
    if not fix:
        return []
    return [f"It is recommended to enable lingering for {context.user}, otherwise Skupper may not start on boot: {fix}"]


def linger_steps(context: Context, warnings: list[str]) -> list[Step]:
    """A step that lets the user's units run without a login; what an administrator must do goes to ``warnings``."""
    if not linger_fix(context):
        return []
    systemd, mark = _systemd(context), context.paths.linger_mark

    def do() -> None:
        if systemd.enable_linger():
            warnings.extend(linger_warning(context))
            return
        with contextlib.suppress(PlatformError):  # without the note, delete leaves lingering on
            make_directories(mark.parent)
            write_atomic(mark, _MARK, 0o644)

    def undo() -> None:
        remove(mark)
        if systemd.linger_enabled():
            systemd.disable_linger()

    return [Step("update", f"lingering of user {context.user}", do, undo)]


def linger_removal_steps(context: Context, others: Iterable[str], notes: list[str]) -> list[Step]:
    """A last step that takes back the lingering that ``init`` enabled; none if it did not.

    ``others`` are the user's other running containers. Where something needs lingering, ``notes`` tells that it stays.
    """
    systemd = _systemd(context)
    if context.paths.system or not context.paths.linger_mark.exists() or not systemd.linger_enabled():
        return []
    needed = [*(f"container {name}" for name in others), *_own_units(context.paths.unit_dir, context.paths.unit_file)]
    if needed:
        notes.append(
            f"lingering of {context.user} stays enabled, which skupper init did, since it keeps "
            f"{', '.join(sorted(needed))} (to disable it: loginctl disable-linger {context.user})"
        )
        return []
    return [Step("update", f"lingering of user {context.user}", systemd.disable_linger, lambda: _again(systemd))]


def _again(systemd: Systemd) -> None:
    systemd.enable_linger()


def _own_units(directory: Path, site: Path) -> list[str]:
    """Services and timers that the user enabled, other than the site's."""
    found = [path.name for path in directory.glob("*.wants/*") if path.suffix in (".service", ".timer")]
    return [name for name in found if name != site.name]


def _systemd(context: Context) -> Systemd:
    return Systemd(context.paths, context.env, context.user)
