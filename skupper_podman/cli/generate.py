"""``generate unit``: the unit files of the site, printed or written to a directory of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from skupper_podman.cli import documents
from skupper_podman.cli.flags import flag
from skupper_podman.cli.result import Result
from skupper_podman.cli.session import Outcome, Session
from skupper_podman.cli.typed import command, new_app
from skupper_podman.errors import ConflictError
from skupper_podman.files import make_directories, read_bytes, remove, write_atomic
from skupper_podman.model.units import SiteUnits, UnitFile
from skupper_podman.plan import Plan, Step

app = new_app()

MODE = 0o644
_OURS = b"# Written by skupper "

_EXAMPLES = """\
  # The unit that init writes
  skupper generate unit --quadlet=false

  # Containers that systemd starts itself
  skupper generate unit --quadlet --output-directory ~/.config/containers/systemd"""


@dataclass(frozen=True, slots=True)
class Unit:
    """Flags of ``generate unit``."""

    output_directory: str = flag("output-directory", "string", "Write the files to this directory")
    quadlet: bool = flag("quadlet", "bool", "Quadlet files, with =false the unit of init (default: as Podman has it)")


@command(app, "generate unit", Unit, changes=True, examples=_EXAMPLES)
def unit(session: Session, options: Unit, _arguments: tuple[str, ...]) -> Result:
    """Print the systemd units that run the site

    Quadlet files where Podman has Quadlet (4.4 and later), else the unit that init writes. With Quadlet, systemd starts
    the containers itself, and nothing heals what only the supervisor of that unit sees; after a change of the site's
    services the files must be made anew. The files hold no secret; no unit is started, stopped or enabled.
    """
    wanted = options.quadlet if "quadlet" in session.given else None
    units = session.platform().site_units(wanted)
    if not options.output_directory:
        return Result("Units", text(units), documents.units(units), warnings=units.warnings)
    directory = Path(options.output_directory)
    steps = tuple(step for file in units.files if (step := _writing(directory / file.name, file)) is not None)
    plan = Plan(f"Write the units of the site to {directory}", steps, {"warnings": units.warnings})
    written = [str(directory / file.name) for file in units.files]
    outcome = Outcome("Units", documents.units(units, written), lambda _facts: _told(units, written))
    return session.carry_out(plan, outcome)


def text(units: SiteUnits) -> str:
    """The files as they are; several each under its name, as ``systemctl cat`` shows them."""
    if len(units.files) == 1:
        return units.files[0].content
    return "\n".join(f"# {units.directory}/{file.name}\n{file.content}" for file in units.files)


def _told(units: SiteUnits, written: list[str]) -> str:
    use = "".join(f"  {line}\n" for line in units.commands)
    return "".join(f"{path}\n" for path in written) + f"To use them, in {units.directory}:\n{use}"


def _writing(path: Path, file: UnitFile) -> Step | None:
    """A step that writes the file; None if it is there already.

    Raises:
        ConflictError: somebody else's file is there.
    """
    before = read_bytes(path)
    content = file.content.encode()
    if before == content and path.stat().st_mode & 0o7777 == MODE:
        return None
    if before is not None and not before.startswith(_OURS):
        raise ConflictError(f"{path} exists and was not written by skupper", "choose another directory")
    made: list[Path] = []

    def do() -> None:
        made.extend(make_directories(path.parent))
        write_atomic(path, content, MODE)

    def undo() -> None:
        if before is not None:
            write_atomic(path, before, MODE)
            return
        remove(path)
        for directory in reversed(made):
            directory.rmdir()

    return Step("create" if before is None else "update", f"file {path}", do, undo)
