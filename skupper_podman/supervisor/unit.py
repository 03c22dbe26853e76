"""The text of the unit skupper-podman.service: the supervisor as a service systemd really watches.

What always holds: its last line has a digest of the others, so that an edited file is known without making it again.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from skupper_podman.paths import Paths

TEMPLATE = "skupper-podman.service.j2"
_DIGEST = b"# sha256 of the lines above: "
_PASSED_ON = (
    "SKUPPER_DATA_HOME",
    "XDG_DATA_HOME",
    "XDG_CONFIG_HOME",
    "PODMAN_ENDPOINT",
    "CONTAINER_HOST",
    "PYTHONPATH",
)


@dataclass(frozen=True, slots=True)
class UnitSettings:
    """What the unit depends on: the interpreter, the user's paths, the site's name, and variables to pass on."""

    python: str
    paths: Paths
    site_name: str
    environment: tuple[tuple[str, str], ...] = ()


def passed_on(env: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The variables of a command that the supervisor needs to find the same files and the same Podman."""
    return tuple((name, env[name]) for name in _PASSED_ON if env.get(name))


def unit_content(settings: UnitSettings) -> str:
    """The unit file."""
    import jinja2

    loader = jinja2.FileSystemLoader(str(_directory()))
    environment = jinja2.Environment(  # noqa: S701  a unit file is no HTML; values are quoted for systemd below
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["word"] = word
    environment.filters["text"] = text
    environment.filters["env"] = assignment
    lines = environment.get_template(TEMPLATE).render(
        python=settings.python,
        site_name=settings.site_name,
        system=settings.paths.system,
        runtime_dir=str(settings.paths.runtime_dir),
        site_home=str(settings.paths.site_home),
        namespace=settings.paths.namespace,
        identifier=settings.paths.stem,
        environment=settings.environment,
    )
    return lines + _digest_line(lines.encode()).decode()


def is_edited(content: bytes) -> bool:
    """Whether a unit file is not as :func:`unit_content` made it once."""
    lines, mark, _ = content.rpartition(_DIGEST)
    return not mark or content != lines + _digest_line(lines)


def command_in(content: bytes) -> str:
    """What the unit file starts, its words separated by blanks, as the manager shows it."""
    for line in content.decode(errors="replace").splitlines():
        name, _, value = line.partition("=")
        if name == "ExecStart":
            return " ".join(shlex.split(value)).replace("%%", "%").replace("$$", "$")
    return ""


def _digest_line(lines: bytes) -> bytes:
    return _DIGEST + hashlib.sha256(lines).hexdigest().encode() + b"\n"


def _directory() -> Path:
    """Where unit templates are: in the installed package, or beside it in a source tree."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "units"
    return installed if installed.is_dir() else package.parent / "units"


def text(value: str) -> str:
    """``value`` in a unit file, where % begins a specifier (systemd.unit(5)), and a line ends the value."""
    return value.replace("\n", " ").replace("%", "%%")


def word(value: str) -> str:
    """``value`` as one quoted word (systemd.syntax(7)); in a command line, $ would begin a variable."""
    escaped = text(value).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{escaped}"'


def assignment(value: str) -> str:
    """``NAME=value`` as one quoted word of ``Environment=``, where $ means nothing (systemd.exec(5))."""
    return word(value).replace("$$", "$")
