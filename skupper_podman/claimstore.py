"""The claims a site has given away, one file a claim, shared by the command line and the controller.

What always holds: whoever changes a record holds the store's lock, and a use is written to the disk before anything is
given for it, so that no claim is redeemed more often than it allows, however many ask at once and whenever the
controller is killed.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from skupper_podman.desired.claimrecords import (
    BUSY,
    CORRUPTED,
    NO_SUCH_CLAIM,
    ClaimRecord,
    Refusal,
    dump_record,
    is_record_name,
    parse_record,
)
from skupper_podman.errors import ConflictError, InvalidError, PlatformError, SkupperError
from skupper_podman.files import Tree
from skupper_podman.locks import held

_SUFFIX: Final = ".yaml"
_MODE: Final = 0o600
_LIMIT: Final = 1 << 16
_PATIENCE: Final = 10.0


class ClaimRefusedError(SkupperError):
    """A claim is not honoured; ``refusal`` says with which status and word."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class ClaimStore:
    """The records in a directory tree."""

    tree: Tree

    def names(self) -> tuple[str, ...]:
        """Names of all claims, sorted."""
        found = (name.removesuffix(_SUFFIX) for name in self.tree.names() if name.endswith(_SUFFIX))
        return tuple(name for name in found if is_record_name(name))

    def get(self, name: str) -> ClaimRecord | None:
        """The claim of this name, None if there is none.

        Raises:
            InvalidError: its record is damaged. PlatformError: it cannot be read.
        """
        content = self.tree.read(_path(name), _LIMIT) if is_record_name(name) else None
        return None if content is None else parse_record(name, content)

    def add(self, record: ClaimRecord) -> None:
        """Keep a new claim.

        Raises:
            ConflictError: there is one of that name. PlatformError: it cannot be written.
        """
        with self._locked():
            if self.tree.mode(_path(record.name)) is not None:
                raise ConflictError(
                    f'a claim called "{record.name}" already exists',
                    f"choose another name with --name, or end it: skupper token revoke {record.name}",
                )
            self.tree.write(_path(record.name), dump_record(record), _MODE)

    def remove(self, name: str) -> bytes | None:
        """End a claim; gives its record, for :meth:`restore`, or None if there was none.

        Raises:
            PlatformError: it cannot be removed.
        """
        with self._locked():
            content = self.tree.read(_path(name), _LIMIT) if is_record_name(name) else None
            if content is not None:
                self.tree.remove(_path(name))
            return content

    def restore(self, name: str, content: bytes) -> None:
        """Put back what :meth:`remove` gave. Raises as :meth:`add`."""
        with self._locked():
            if self.tree.mode(_path(name)) is None:
                self.tree.write(_path(name), content, _MODE)

    def check(self, name: str, password: bytes, now: datetime.datetime) -> ClaimRecord:
        """The claim, if it can be redeemed now.

        Raises:
            ClaimRefusedError: it cannot.
        """
        try:
            record = self.get(name)
        except InvalidError:
            raise ClaimRefusedError(CORRUPTED) from None
        except SkupperError:
            raise ClaimRefusedError(BUSY) from None
        refusal = NO_SUCH_CLAIM if record is None else record.refusal(password, now)
        if record is None or refusal is not None:
            raise ClaimRefusedError(refusal or NO_SUCH_CLAIM)
        return record

    def redeem(self, name: str, password: bytes, now: datetime.datetime) -> ClaimRecord:
        """Use the claim once; gives the record as it is then.

        Raises:
            ClaimRefusedError: it cannot be used, and nothing was changed.
        """
        try:
            with self._locked():
                after = self.check(name, password, now).redeemed()
                self.tree.write(_path(name), dump_record(after), _MODE)
                return after
        except ClaimRefusedError:
            raise
        except SkupperError:
            raise ClaimRefusedError(BUSY) from None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        # The directory is the lock: nothing more needs to be made, and it is the same on the host and in containers.
        try:
            directory = os.open(self.tree.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise PlatformError(f"cannot open {self.tree.root}: {error.strerror}") from error
        with held(directory, str(self.tree.root), timeout=_PATIENCE):
            yield


def _path(name: str) -> str:
    return f"{name}{_SUFFIX}"
