"""podman and docker: the image, and the words that run the gateway's container."""

import json
import os
from typing import Any, Dict, List, Optional

from .bundle import IMAGE, RUNTIME, Bundle
from .failures import MISSING, Failure
from .places import Places
from .processes import check, find, run
from .routers import command

LABEL = "skupper.io/gateway"
INSIDE = "/opt/skupper"
"""Where the gateway's directory is in a container, as in 1.9."""
OWN_IMAGE = "localhost/skupper-gateway-router"


class Engine:
    """One of the two; raises Failure if it is not installed."""

    def __init__(self, kind: str) -> None:
        place = find(kind)
        if place is None:
            raise Failure(MISSING, "%s could not be found. Please install first" % kind)
        self.kind = kind
        self.path = place

    def _used(self) -> bool:
        """Whether this user ever had a container of it; podman makes directories even to say that there is none."""
        if self.kind != "podman":
            return True
        home = os.environ.get("HOME") or os.path.expanduser("~")
        data = os.environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
        own = "/var/lib/containers" if os.getuid() == 0 else os.path.join(data, "containers")
        return os.path.isdir(own) or "CONTAINERS_STORAGE_CONF" in os.environ

    def inspect(self, name: str) -> Optional[Dict[str, Any]]:
        """The container of exactly this name, None if there is none."""
        if not self._used():
            return None
        done = run([self.path, "container", "inspect", name])
        try:
            found = json.loads(done.out)
        except ValueError:
            found = []
        return dict(found[0]) if done.code == 0 and found else None

    def running(self, name: str) -> bool:
        """Whether that container runs."""
        found = self.inspect(name)
        return bool(found and found.get("State", {}).get("Running"))

    def remove(self, name: str) -> None:
        """Remove the container; raises Failure."""
        if self.inspect(name) is not None:
            check([self.path, "rm", "--force", name], 90)

    def has_image(self, image: str) -> bool:
        """Whether the image is here."""
        return run([self.path, "image", "inspect", image]).code == 0

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
            return "%s:%s" % (OWN_IMAGE, bundle.router["runtime"]["digest"][:16])
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

    def words(self, places: Places, image: str, site_id: str) -> List[str]:
        """What follows `run` and its options of supervision: least rights, read-only, keys not copied."""
        own = image.startswith(OWN_IMAGE)
        words, env = command("/") if own else ([], {})
        config = INSIDE + "/config/skrouterd.json"
        env = dict(env, QDROUTERD_CONF=config, QDROUTERD_CONF_TYPE="json", SKUPPER_SITE_ID=site_id)
        found = ["--name", places.name, "--label", "%s=%s" % (LABEL, places.name), "--network", "host"]
        found += ["--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges"]
        found += ["--tmpfs", "/tmp", *self._user()]
        for key in sorted(env):
            found += ["--env", "%s=%s" % (key, env[key])]
        for name in ("config", "skupper-router-certs"):
            found += ["--volume", "%s:%s/%s:ro,Z" % (os.path.join(places.directory, name), INSIDE, name)]
        return [*found, image, *words, *(["-c", config] if own else [])]

    def _user(self) -> List[str]:
        # The credential is readable by its owner only: the container's process must be that user.
        if self.kind == "podman" and os.getuid() != 0:
            return ["--userns", "keep-id", "--user", "%d:%d" % (os.getuid(), os.getgid())]
        return ["--user", "%d:%d" % (os.getuid(), os.getgid())]
