"""systemctl and loginctl, for the system's manager or the user's own."""

import getpass
import os
from typing import Dict, List

from .processes import Completed, check, find, run


class Systemd:
    """The manager that runs the gateway."""

    def __init__(self, system: bool) -> None:
        self.system = system
        if not system:  # where nobody logged in by a terminal, as with su, these are not set
            runtime = os.environ.setdefault("XDG_RUNTIME_DIR", "/run/user/%d" % os.getuid())
            os.environ.setdefault("DBUS_SESSION_BUS_ADDRESS", "unix:path=%s/bus" % runtime)

    def unavailable(self) -> str:
        """Why it cannot be used; empty if it can."""
        if not find("systemctl"):
            return "this host has no systemd"
        if self.system:
            return "" if os.path.isdir("/run/systemd/system") else "systemd does not run this host"
        done = run(self.words("show", "--property=Version"))
        if done.code:
            return "the systemd of user %s does not answer (%s)" % (getpass.getuser(), done.complaint)
        return ""

    def version(self) -> int:
        """Its version, zero if it does not say."""
        words = run(["systemctl", "--version"]).out.split()
        return int("".join(filter(str.isdigit, words[1].split(".")[0])) or 0) if len(words) > 1 else 0

    def words(self, *words: str) -> List[str]:
        """A command line."""
        return ["systemctl"] + ([] if self.system else ["--user"]) + list(words)

    def do(self, *words: str) -> Completed:
        """Run systemctl; raises Failure if it fails."""
        return check(self.words(*words), 90)

    def attempt(self, *words: str) -> Completed:
        """Run systemctl, whatever comes of it."""
        return run(self.words(*words), 90)

    def show(self, unit: str) -> Dict[str, str]:
        """What it says of a unit."""
        wanted = "LoadState,ActiveState,SubState,Result,MainPID,FragmentPath,NRestarts,UnitFileState"
        lines = run(self.words("show", unit, "--property=" + wanted)).out.splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def last_words(self, unit: str) -> str:
        """The last line that the unit's processes wrote, empty if that cannot be read."""
        if not find("journalctl"):
            return ""
        field = "_SYSTEMD_UNIT=" if self.system else "_SYSTEMD_USER_UNIT="
        # Its own output says why; what systemd says of it only that.
        for kind in ([field + unit, "_TRANSPORT=stdout"], ["--unit" if self.system else "--user-unit", unit]):
            said = run(["journalctl", "--quiet", "--no-pager", "--lines", "1", "--output", "cat", *kind]).out.strip()
            if said:
                return said.splitlines()[-1]
        return ""

    def lingers(self) -> bool:
        """Whether the user's units run without a login; always so for the system's."""
        return self.system or os.path.exists("/var/lib/systemd/linger/" + getpass.getuser())

    def linger(self, enabled: bool) -> bool:
        """Ask for lingering, or end it; whether that was granted."""
        if not find("loginctl"):
            return False
        return run(["loginctl", "enable-linger" if enabled else "disable-linger"]).code == 0
