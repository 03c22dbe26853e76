"""Where a gateway's files are on this host, for root and for others."""

import hashlib
import os
from typing import Mapping

ROOT_DATA = "/var/lib/skupper"


class Places:
    """The directories of one gateway. `system` says that the system's manager runs it, not a user's."""

    def __init__(self, name: str, kind: str, uid: int, env: Mapping[str, str]) -> None:
        home = env.get("HOME") or os.path.expanduser("~")
        data = env.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
        config = env.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
        self.name = name
        self.kind = kind
        self.system = uid == 0
        self.former = os.path.join(data, "skupper", "bundle", name)
        """Where launch.sh of a 1.9 bundle put it."""
        self.former_unit = os.path.join(config, "systemd", "user", name + ".service")
        self.top = ROOT_DATA if self.system else os.path.join(data, "skupper")
        self.directory = os.path.join(self.top, kind, name)
        self.units = "/etc/systemd/system" if self.system else os.path.join(config, "systemd", "user")

    @property
    def unit(self) -> str:
        """The unit file."""
        return os.path.join(self.units, self.name + ".service")

    @property
    def schedule(self) -> str:
        """The unit file of the credential's renewal, without its suffix; no gateway's name has such a letter."""
        return os.path.join(self.units, self.name + "_renewal")

    @property
    def program(self) -> str:
        """The program that renews the credential: a copy without secrets, for whom the service runs as."""
        return os.path.join(self.directory, "program")

    @property
    def user(self) -> str:
        """The user that systemd makes for the service as root. Nobody else on the host has a name like this."""
        digest = hashlib.sha256(self.name.encode()).hexdigest()[:8]
        return "skupper-%s-%s" % (self.name.replace(".", "-")[:14].rstrip("-"), digest)

    @property
    def config(self) -> str:
        """The router's configuration."""
        return os.path.join(self.directory, "config", "skrouterd.json")

    @property
    def certificates(self) -> str:
        """The credential's directory."""
        return os.path.join(self.directory, "skupper-router-certs")

    @property
    def credential(self) -> str:
        """The directory with the certificate and key of the link."""
        return os.path.join(self.certificates, "conn1-profile")

    @property
    def private(self) -> str:
        """Where systemd keeps the credential's directory for a service that has a user of its own."""
        return os.path.join("/var/lib/private/skupper", self.kind, self.name)

    @property
    def private_certificates(self) -> str:
        """The credential's directory there."""
        return os.path.join(self.private, "skupper-router-certs")

    @property
    def staged_certificates(self) -> str:
        """What is to take the place of the credential's directory, while that is a link to the private one."""
        return os.path.join(self.directory, "skupper-router-certs.new")

    @property
    def removed(self) -> str:
        """What the directory is called while it is removed; no gateway's name begins so."""
        return os.path.join(self.top, self.kind, ".%s.removed" % self.name)

    @property
    def state(self) -> str:
        """What was installed."""
        return os.path.join(self.directory, "state.json")

    @property
    def bundles(self) -> str:
        """Kept copies of this bundle and the one before, by generation."""
        return os.path.join(self.directory, "bundles")

    @property
    def runtimes(self) -> str:
        """Routers unpacked from bundles, by digest."""
        return os.path.join(self.directory, "runtime")

    @property
    def log(self) -> str:
        """What was done when."""
        return os.path.join(self.directory, "install.log")

    @property
    def mode(self) -> int:
        """Permissions of the gateway's directory: as root the service has another user, who must find the way in."""
        return 0o755 if self.system else 0o700
