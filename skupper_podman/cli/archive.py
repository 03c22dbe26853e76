"""A compressed tar file that appears whole or not at all, readable by its owner only."""

from __future__ import annotations

import contextlib
import datetime
import io
import os
import secrets
import tarfile
from pathlib import Path
from types import TracebackType
from typing import Self

from skupper_podman.errors import PlatformError


class Archive:
    """The file at ``path``; members have mode 0600 and the time ``now``."""

    def __init__(self, path: Path, now: datetime.datetime) -> None:
        """Begin it beside ``path``.

        Raises:
            PlatformError: nothing can be written there.
        """
        self._path = path
        self._now = int(now.timestamp())
        self._temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(6)}.tmp")
        self._count = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            self._file = os.fdopen(os.open(self._temporary, flags, 0o600), "wb")
        except OSError as error:
            raise PlatformError(f"Unable to save skupper dump details: {path}: {error.strerror}") from error
        self._tar = tarfile.open(fileobj=self._file, mode="w:gz")  # noqa: SIM115  closed by close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._temporary.exists():
            with contextlib.suppress(OSError):
                self._file.close()
            self._temporary.unlink(missing_ok=True)

    def add(self, name: str, content: bytes) -> None:
        """Add a member.

        Raises:
            PlatformError: the disk is full.
        """
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.mtime = len(content), 0o600, self._now
        try:
            self._tar.addfile(entry, io.BytesIO(content))
        except OSError as error:
            raise PlatformError(f"Unable to save skupper dump details: {error.strerror}") from error
        self._count += 1

    def close(self) -> int:
        """Finish the file and put it where it belongs; gives the count of members. Raises as :meth:`add`."""
        try:
            self._tar.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._temporary.rename(self._path)
        except OSError as error:
            raise PlatformError(f"Unable to save skupper dump details: {error.strerror}") from error
        return self._count
