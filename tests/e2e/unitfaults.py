"""Faults of what starts a site at boot and watches it: the unit, its files, lingering, podman.socket.

As in :mod:`tests.e2e.faults`, on a machine that boots with systemd, for a user who is not logged in and for root.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from tests.e2e.bootsites import UNIT, USERS, booted_sites, manager
from tests.e2e.faults import Bench, Fault
from tests.e2e.machine import USER, USER_ID, Machine
from tests.e2e.userhost import Completed
from tests.podmanlab import until


class Seat:
    """A user of the machine, as a host with a site."""

    def __init__(self, machine: Machine, user: str) -> None:
        self.machine = machine
        self.name = user

    def skupper(self, *argv: str, check: bool = True) -> Completed:
        return self.machine.type("skupper", *argv, user=self.name, expect=0 if check else None)

    def shell(self, line: str) -> None:
        """Type a line, in which ``$S`` is the systemctl of the user's manager, ``$U`` the unit and ``$F`` its file."""
        place = "/etc/systemd/system" if self.name == "root" else f"/home/{self.name}/.config/systemd/user"
        known = f"S='{' '.join(manager(self.name))}'; U={UNIT}; F={place}/{UNIT}; "
        self.machine.type("sh", "-c", known + line, user=self.name, expect=None)


class UnitBench(Bench):
    """The machine's two sites; nothing is frozen, since what is broken is who would mend it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.hosts: Any = [Seat(machine, user) for user in USERS]
        self.host: Any = self.hosts[0]
        self.stopped, self.children = set(), []

    def type(self, line: str) -> None:
        user = "root" if line.startswith("sudo ") else self.host.name
        self.machine.type("sh", "-c", line.removeprefix("sudo "), user=user, expect=None)

    def still(self) -> None:
        return

    def supervisors(self) -> Iterator[int]:
        return iter(())


@contextlib.contextmanager
def unit_bench() -> Iterator[Bench]:
    """The machine, booted, with its sites."""
    with booted_sites() as machine:
        bench = UnitBench(machine)
        bench.steady()
        yield bench


def _shell(line: str) -> Callable[[Any], None]:
    return lambda bench: bench.host.shell(line)


def _root(*argv: str) -> Callable[[Any], None]:
    return lambda bench: bench.machine.type(*argv, expect=None)


def _drop_in(content: str, then: str) -> Callable[[Any], None]:
    return _shell(f"mkdir -p $F.d; printf '{content}' > $F.d/own.conf; {then}")


def _no_linger(bench: Any) -> None:
    """The user is not logged in, so the manager ends, too."""
    bench.machine.type("loginctl", "disable-linger", USER)
    ended = f"user@{USER_ID}.service"
    until(lambda: bench.machine.type("systemctl", "is-active", ended, expect=None).returncode, 40, "the manager ended")


def _linger(bench: Any) -> None:
    bench.machine.type("loginctl", "enable-linger", USER)
    up = ("systemctl", "--user", "is-system-running")
    until(lambda: bench.machine.type(*up, user=USER, expect=None).returncode == 0, 30, "the user's manager runs")


_RESTART = "$S daemon-reload; $S restart $U"
_FALSE = "[Service]\\nExecStart=\\nExecStart=/bin/false\\n"
_CLEAN = _shell("rm -rf $F.d; $S daemon-reload")
MARK = f"/home/{USER}/.local/share/skupper/.skupper-podman-linger"
FAULTS = (
    Fault("unit-disabled", _shell("$S disable $U"), "unit", "disabled", USER),
    Fault("unit-disabled-of-root", _shell("$S disable $U"), "unit", "disabled", "root"),
    Fault("unit-stopped", _shell("$S stop $U"), "unit", "inactive", USER),
    Fault("unit-masked", _shell("rm $F; ln -s /dev/null $F; $S daemon-reload"), "unit", "masked", USER),
    Fault("unit-file-gone", _shell("rm $F"), "unit", f"{UNIT} does not exist", USER, quick=True),
    Fault("unit-file-gone-and-read", _shell("rm $F; $S daemon-reload"), "unit", f"{UNIT} does not exist", "root"),
    Fault("unit-file-edited", _shell("sed -i s,^Restart=.*,Restart=no, $F"), "unit", f"{UNIT} was edited", USER),
    Fault("unit-file-edited-and-read", _shell(f"sed -i s,^ExecStart=.*,ExecStart=/bin/false, $F; {_RESTART}"), "unit",
          f"{UNIT} was edited", USER),
    Fault("drop-in-not-read", _drop_in("[Service]\\nMemoryMax=1G\\n", "true"), "unit", "changed since.*own.conf", USER,
          clean=_CLEAN),
    Fault("drop-in-for-the-next-boot", _drop_in(_FALSE, "$S daemon-reload"), "unit", "/bin/false.*own.conf", USER,
          clean=_CLEAN, quick=True),
    Fault("drop-in-that-breaks", _drop_in(_FALSE, _RESTART), "unit", "(activating|failed).*own.conf", USER,
          clean=_CLEAN),
    Fault("drop-in-of-nonsense", _drop_in("[Service]\\nExecStart=/bin/false\\n", _RESTART), "unit",
          "cannot read.*own.conf", "root", clean=_CLEAN),
    Fault("lingering-off", _no_linger, "runtime-dir", "nobody.*logged in", USER, hint="loginctl enable-linger",
          person=_linger),
    Fault("lingering-off-before-logout", _root("sh", "-c", f"touch {MARK}; rm /var/lib/systemd/linger/{USER}"),
          "linger", "disabled", USER, clean=_root("rm", "-f", MARK)),
    Fault("podman-socket-off", _shell("$S disable --now podman.socket; $S stop podman.service"), "podman-endpoint",
          "not available", USER, hint="enable --now podman.socket"),
)  # fmt: skip
