"""``apply``: the site, its services and links become what a file says."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from skupper_podman.cli.documents import plain
from skupper_podman.cli.flags import flag
from skupper_podman.cli.govalues import SECOND
from skupper_podman.cli.result import Json, Result
from skupper_podman.cli.session import Outcome, Session
from skupper_podman.cli.typed import command, new_app
from skupper_podman.errors import InvalidError, NotFoundError, UsageError

app = new_app()

_LIMIT: Final = 8 << 20
_EXAMPLES: Final = """\
  # What would change
  skupper apply -f site.yaml --dry-run

  # The same site on another host
  skupper export --secrets > site.yaml; scp site.yaml other:; ssh other skupper apply -f site.yaml"""


@dataclass(frozen=True, slots=True)
class Apply:
    """Flags of ``apply``."""

    file: str = flag("file", "string", "YAML file that describes the site; - for standard input", short="f")
    prune: bool = flag("prune", "bool", "Delete services and links that are not in the file")
    timeout: int = flag("timeout", "duration", "Time limit for the site to become ready", default=120 * SECOND)


@command(app, "apply", Apply, changes=True, examples=_EXAMPLES)
def apply(session: Session, options: Apply, _arguments: tuple[str, ...]) -> Result:
    """Make the site, its services and links what a file says

    The file has ConfigMap skupper-site, ConfigMap skupper-services, and tokens, whose names become those of links. What
    it says nothing of stays as it is; what is as described already is not touched. If one part fails, those before it
    are taken back.
    """
    if not options.file:
        raise UsageError("--file is required")
    if options.timeout <= 0:
        raise UsageError("invalid timeout value")
    from skupper_podman.desired.definition import parse_definition
    from skupper_podman.platform.apply import plan_apply

    wanted = parse_definition(_read(options.file))
    plan = session.plan(
        lambda platform: plan_apply(
            platform, wanted, prune=options.prune, timeout=options.timeout / SECOND, dry_run=session.dry_run
        )
    )
    parts = plan.facts["parts"]
    assert isinstance(parts, list)
    data: dict[str, Json] = {"items": plain(parts)}
    return session.carry_out(plan, Outcome("Apply", data, lambda _facts: _text(parts)))


def _text(parts: Sequence[Mapping[str, Any]]) -> str:
    return "".join(f"{part['kind']} {part['name']} {part['action']}\n" for part in parts)


def _read(name: str) -> bytes:
    """The file's bytes.

    Raises:
        NotFoundError: there is no such file.
        InvalidError: it cannot be read, or is too large.
    """
    try:
        if name == "-":
            content = sys.stdin.buffer.read(_LIMIT + 1)
        else:
            with Path(name).open("rb") as file:
                content = file.read(_LIMIT + 1)
    except FileNotFoundError:
        raise NotFoundError(f"{name} does not exist") from None
    except (OSError, ValueError) as error:
        raise InvalidError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > _LIMIT:
        raise InvalidError(f"{name} is too large to describe a site")
    return content
