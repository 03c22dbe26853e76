"""podman and docker: the image, and the words that run the gateway's container."""

import contextlib
import json
import os
import platform
from typing import Any, Dict, List, Optional

from .bundle import IMAGE, RUNTIME, Bundle
from .failures import MISSING, Failure
from .places import Places
from .processes import check, find, run
from .routers import command
from .units import OOM_SCORE

LABEL = "skupper.io/gateway"
INSIDE = "/opt/skupper"
"""Where the gateway's directory is in a container, as in 1.9."""
OWN_IMAGE = "localhost/skupper-gateway-router"
_SILENT = "is its daemon running, and may you use it? see: %s info"


def own_image(digest: str) -> str:
    """The image that is made of the router with this digest."""
    return "%s:%s" % (OWN_IMAGE, digest[:16])


class Engine:
    """One of the two; raises Failure if it is not installed."""

    def __init__(self, kind: str) -> None:
        place = find(kind)
        if place is None:
            raise Failure(MISSING, "%s could not be found. Please install first" % kind)
        self.kind = kind
        self.path = place
        self._told: Dict[str, Any] = {}

    def _used(self) -> bool:
        """Whether this user ever had a container of it; podman makes directories even to say that there is none."""
        if self.kind != "podman":
            return True
        home = os.environ.get("HOME") or os.path.expanduser("~")
        data = os.environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
        own = "/var/lib/containers" if os.getuid() == 0 else os.path.join(data, "containers")
        return os.path.isdir(own) or "CONTAINERS_STORAGE_CONF" in os.environ

    def check(self) -> None:
        """Raises Failure if a container of it cannot be a gateway, which needs this host's own network and files."""
        if platform.system() != "Linux":
            self._refuse("on %s it runs in a virtual machine" % platform.system())
        if self.kind == "docker":
            self._check_docker(self._facts)

    def _refuse(self, where: str) -> None:
        reason = "containers of %s do not have the network of this host: %s" % (self.kind, where)
        others = " or ".join("-t " + kind for kind in ("service", "podman", "docker") if kind != self.kind)
        raise Failure(MISSING, reason, "launch.py %s" % others)

    def _check_docker(self, facts: Dict[str, Any]) -> None:
        if "host" in facts:
            raise Failure(MISSING, "docker is another name of Podman here", "launch.py -t podman")
        if not facts.get("ServerVersion"):
            errors = facts.get("ServerErrors") or ["it names no version"]
            raise Failure(MISSING, "docker does not answer: %s" % errors[0], _SILENT % self.kind)
        if any("name=rootless" in option for option in facts.get("SecurityOptions") or []):
            self._refuse("it runs rootless")
        if facts.get("OperatingSystem") == "Docker Desktop":
            self._refuse("it is Docker Desktop, which runs in a virtual machine")

    @property
    def _facts(self) -> Dict[str, Any]:
        """What the daemon of docker says of itself; it is asked once."""
        if not self._told:
            done = run([self.path, "info", "--format", "{{json .}}"])
            try:
                self._told = dict(json.loads(done.out))
            except ValueError:
                self._told = {"ServerErrors": [done.complaint]}
        return self._told

    def inspect(self, name: str) -> Optional[Dict[str, Any]]:
        """The container of exactly this name, None if there is none; raises Failure if the engine does not say."""
        if not self._used():
            return None
        done = run([self.path, "container", "inspect", name])
        with contextlib.suppress(ValueError):
            found = json.loads(done.out)
            if done.code == 0 and found:
                return dict(found[0])
        if "no such container" in done.err.lower():
            return None
        raise Failure(MISSING, "%s does not answer: %s" % (self.kind, done.complaint), _SILENT % self.kind)

    def running(self, name: str) -> bool:
        """Whether that container runs; raises Failure if the engine does not say."""
        found = self.inspect(name)
        return bool(found and found.get("State", {}).get("Running"))

    def remove(self, name: str) -> None:
        """Remove the container; raises Failure."""
        if self.inspect(name) is not None:
            check([self.path, "rm", "--force", name], 90)

    def has_image(self, image: str) -> bool:
        """Whether the image is here."""
        return run([self.path, "image", "inspect", image]).code == 0

    def forget(self, image: str) -> None:
        """Remove the image, unless a container uses it."""
        run([self.path, "image", "rm", image])

    def last_words(self, name: str) -> str:
        """The last line the container wrote."""
        return run([self.path, "logs", "--tail", "1", name]).complaint

    def image(self, bundle: Bundle) -> str:
        """Which image will be used; nothing is loaded or pulled."""
        asked = os.environ.get("QDROUTERD_IMAGE")
        if asked:
            return asked
        reference = str(bundle.router["image"])
        if bundle.has(IMAGE) or self.has_image(reference):
            return reference
        if bundle.router.get("runtime"):
            return own_image(bundle.router["runtime"]["digest"])
        digest = str(bundle.router.get("digest") or "")
        return "%s@%s" % (reference.rpartition(":")[0] or reference, digest) if digest else reference

    def provide(self, bundle: Bundle, image: str) -> None:
        """Have the image here: from the bundle, or by a pull; raises Failure."""
        if self.has_image(image):
            return
        if bundle.has(IMAGE) and not image.startswith(OWN_IMAGE):
            check([self.path, "load", "--input", bundle.file(IMAGE)], 300, MISSING)
        elif image.startswith(OWN_IMAGE):
            check([self.path, "import", bundle.file(RUNTIME), image], 300, MISSING)
        else:
            done = run([self.path, "pull", image], 300)
            if done.code:
                raise Failure(
                    MISSING,
                    "image %s cannot be pulled: %s" % (image, done.complaint),
                    "make the bundle with --with-image or --self-contained",
                )

    def words(self, places: Places, image: str, site_id: str, low_ports: bool) -> List[str]:
        """What follows `run` and its options of supervision: least rights, read-only, keys not copied.

        With `low_ports` it may listen below 1024.
        """
        own = image.startswith(OWN_IMAGE)
        words, env = command("/") if own else ([], {})
        config = INSIDE + "/config/skrouterd.json"
        env = dict(env, QDROUTERD_CONF=config, QDROUTERD_CONF_TYPE="json", SKUPPER_SITE_ID=site_id)
        found = ["--name", places.name, "--label", "%s=%s" % (LABEL, places.name), "--network", "host"]
        found += ["--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges"]
        if low_ports:
            found += ["--cap-add", "net_bind_service"]
        found += ["--tmpfs", "/tmp", "--oom-score-adj", str(OOM_SCORE), *self._user(), *self._log()]
        for key in sorted(env):
            found += ["--env", "%s=%s" % (key, env[key])]
        for name in ("config", "skupper-router-certs"):
            found += ["--volume", "%s:%s/%s:ro,Z" % (os.path.join(places.directory, name), INSIDE, name)]
        return [*found, image, *words, *(["-c", config] if own else [])]

    def _user(self) -> List[str]:
        # The credential is readable by its owner only: the container's process must be that user.
        if self.kind == "podman" and os.getuid() != 0:
            return ["--userns", "keep-id", "--user", "%d:%d" % (os.getuid(), os.getgid())]
        # Where docker maps users, only a container without that has the network of the host.
        mapping = ["--userns", "host"] if self.kind == "docker" else []
        return [*mapping, "--user", "%d:%d" % (os.getuid(), os.getgid())]

    def _log(self) -> List[str]:
        # The files that docker writes grow without end, unless its daemon has another driver.
        if self.kind == "docker" and self._facts.get("LoggingDriver") == "json-file":
            return ["--log-opt", "max-size=10m", "--log-opt", "max-file=2"]
        return []
