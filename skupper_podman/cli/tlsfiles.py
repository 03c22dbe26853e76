"""``--tls-cert`` and ``--tls-trust``: certificates that users bring, read from files.

On Kubernetes both name Secrets; a podman site takes a directory with the files of such a Secret instead.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from skupper_podman.errors import InvalidError, NotFoundError, UsageError

_LIMIT: Final = 1 << 20
CERTIFICATE, KEY, AUTHORITY = "tls.crt", "tls.key", "ca.crt"


def tls_files(cert: str, trust: str, generate: bool) -> tuple[tuple[str, bytes], ...]:
    """The files of a service by name; none without ``--tls-cert``.

    Raises:
        UsageError: the flags do not go together.
        NotFoundError: a file is missing.
    """
    if cert and generate:
        raise UsageError("the option --generate-tls-secrets can not be used with custom certificates")
    if not cert:
        if trust:
            raise UsageError("to enable TLS with custom certs, it is necessary to specify --tls-cert option")
        return ()
    directory = Path(cert)
    if not directory.is_dir():
        needed = f"{CERTIFICATE}, {KEY} and {AUTHORITY}"
        raise NotFoundError(f"{cert} is no directory", f"--tls-cert takes one that has {needed}")
    files = {CERTIFICATE: _read(directory / CERTIFICATE), KEY: _read(directory / KEY)}
    files[AUTHORITY] = trusted(trust) if trust else _read(directory / AUTHORITY)
    return tuple(sorted(files.items()))


def trusted(trust: str) -> bytes:
    """The authorities in a file, or in ``ca.crt`` of a directory; empty for none.

    Raises:
        NotFoundError: there is no such file.
    """
    if not trust:
        return b""
    path = Path(trust)
    return _read(path / AUTHORITY if path.is_dir() else path)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LIMIT + 1)
    except FileNotFoundError:
        raise NotFoundError(f"{path.name} file is missing in {path.parent}") from None
    except OSError as error:
        raise InvalidError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > _LIMIT or not content.strip():
        raise InvalidError(f"{path} is {'empty' if not content.strip() else 'too large for a certificate'}")
    return content
