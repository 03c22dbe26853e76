"""Until when the certificates of the site are valid, as a metric for whoever scrapes ``/metrics``.

What always holds: files are read when the metric is asked for, so it tells what is there now; one that cannot be read
has no sample, and no key is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from skupper_podman import certs
from skupper_podman.errors import SkupperError
from skupper_podman.files import read_bytes

NAME: Final = "skupper_certificate_expiry_timestamp_seconds"
_HELP: Final = "When a certificate of the site ends, in seconds since 1970."
_LINK, _SERVICE = "-profile", "skupper-tls-"


def metrics(profiles: Path, messaging: Path) -> str:
    """The text of the metric: of each directory of ``profiles``, of the controller's own, and of what issued them."""
    lines = [f"# HELP {NAME} {_HELP}", f"# TYPE {NAME} gauge"]
    samples = dict(_samples(profiles, messaging))
    lines += [
        f'{NAME}{{name="{_escaped(name)}",kind="{kind}"}} {until}' for (name, kind), until in sorted(samples.items())
    ]
    return "".join(f"{line}\n" for line in lines)


def _samples(profiles: Path, messaging: Path) -> Iterator[tuple[tuple[str, str], int]]:
    try:
        directories = sorted(path for path in profiles.iterdir() if path.is_dir())
    except OSError:
        directories = []
    for directory in (*directories, messaging):
        name = directory.name if directory != messaging else "skupper-local-client"
        kind = "link" if name.endswith(_LINK) else "service" if name.startswith(_SERVICE) else "credential"
        facts = _facts(directory / "tls.crt")
        if facts is not None:
            yield (name.removesuffix(_LINK).removeprefix(_SERVICE), kind), int(facts.not_after.timestamp())
        # The authorities of links are those of other sites.
        issuer = _facts(directory / "ca.crt") if kind != "link" else None
        if issuer is not None and issuer.is_authority:
            yield (issuer.subject, "authority"), int(issuer.not_after.timestamp())


def _facts(path: Path) -> certs.CertificateFacts | None:
    try:
        return certs.facts(read_bytes(path) or b"")
    except SkupperError:
        return None


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
