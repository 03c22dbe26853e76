"""``export``: the site, its services and links as a file for source control."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from skupper_podman.cli.flags import flag
from skupper_podman.cli.result import Result
from skupper_podman.cli.session import Session
from skupper_podman.cli.typed import command, new_app
from skupper_podman.model.definition import Definition

app = new_app()

_EXAMPLES: Final = """\
  skupper export > site.yaml
  skupper export --secrets --file site-with-keys.yaml"""


@dataclass(frozen=True, slots=True)
class Export:
    """Flags of ``export``."""

    file: str = flag("file", "string", "File to write (default: standard output)", short="f")
    secrets: bool = flag("secrets", "bool", "Write links and certificates with their private keys, too")


@command(app, "export", Export, examples=_EXAMPLES)
def export(session: Session, options: Export, _arguments: tuple[str, ...]) -> Result:
    """Write the site, its services and links for apply

    The file makes an equal site with 'skupper apply'. Without --secrets it has no private keys and so no links, and may
    be shown to anybody.
    """
    from skupper_podman.desired.definition import dump_definition

    found = session.platform().definition()
    content = dump_definition(found, secrets=options.secrets)
    warnings = () if options.secrets else _missing(found)
    data: dict[str, Any] = {
        "file": options.file or None,
        "secrets": options.secrets,
        "documents": _documents(content),
    }
    if not options.file:
        return Result("Export", content.decode(), data, warnings=warnings)
    from skupper_podman.files import write_atomic

    write_atomic(Path(options.file), content, 0o600 if options.secrets else 0o644)
    return Result("Export", f"Site written to {options.file}\n", data, changed=True, warnings=warnings)


def _missing(found: Definition) -> tuple[str, ...]:
    """What is not in the file without secrets."""
    links = [token.name for token in found.links]
    services = [service.address for service in found.services if service.tls_files]
    lines = [f"links are left out: {', '.join(links)}"] if links else []
    lines += [f"certificates of services are left out: {', '.join(services)}"] if services else []
    return tuple(f"{line} (--secrets writes them, with their private keys)" for line in lines)


def _documents(content: bytes) -> list[Any]:
    import yaml

    return list(yaml.safe_load_all(content))
