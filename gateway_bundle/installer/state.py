"""What was installed: state.json, the lock, install.log."""

import contextlib
import fcntl
import hashlib
import json
import os
import time
import uuid
from typing import Any, Dict, Iterator, Optional

from .failures import Failure
from .files import read, write
from .places import Places

UNFINISHED = "unfinished"
_PATIENCE = 60.0


def load(places: Places) -> Optional[Dict[str, Any]]:
    """The state of what is installed, None if nothing is."""
    content = read(places.state)
    if content is None:
        return None
    try:
        state = json.loads(content.decode())
        int(state["generation"]), str(state["type"]), int(state["managementPort"]), str(state["routerName"])
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(1, "%s is damaged" % places.state, "remove.py, then launch again") from error
    return dict(state)


def unfinished(known: Optional[Dict[str, Any]]) -> Dict[str, Any]:
    """What the state says of a launch that was cut short; empty if none was.

    `new` says that nothing was installed before it, `type` which type it put in place, `restart` why the gateway was to
    be started (empty if it was not), `former` that what launch.sh of a 1.9 bundle made was to be replaced.
    """
    found = (known or {}).get(UNFINISHED)
    return dict(found) if isinstance(found, dict) else {}


def save(places: Places, state: Dict[str, Any]) -> None:
    """Write the state down."""
    write(places.state, dump(state), 0o600)


def dump(state: Dict[str, Any]) -> bytes:
    """What :func:`load` reads."""
    return (json.dumps(state, indent=4, sort_keys=True) + "\n").encode()


def log(places: Places, text: str) -> None:
    """Add a line to install.log; nothing secret is ever in it."""
    line = "%s uid %d: %s\n" % (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), os.getuid(), text)
    handle = os.open(places.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(line)


@contextlib.contextmanager
def locked(places: Places) -> Iterator[None]:
    """Keep other launches and removals of this user out; the directory itself is locked, so that no file is left.

    What one that was killed has started may be at work for a while yet, so it is waited for.
    """
    directory = os.path.join(places.top, places.kind)
    os.makedirs(directory, mode=places.mode, exist_ok=True)
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        end = time.monotonic() + _PATIENCE
        while not _taken(handle):
            if time.monotonic() > end:
                raise Failure(1, "another launch or removal of a gateway is at work", "wait until it has ended")
            time.sleep(0.1)
        yield
    finally:
        os.close(handle)
        for place in (directory, places.top):  # both are only there for gateways
            with contextlib.suppress(OSError):
                os.rmdir(place)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def router_name(name: str, uid: int) -> str:
    """The router's id: the same for this gateway and user on this host, another one on every other host."""
    machine = read("/etc/machine-id") or read("/var/lib/dbus/machine-id") or uuid.uuid4().bytes
    digest = hashlib.sha256(machine.strip() + b"\0%d\0" % uid + name.encode()).hexdigest()
    return "skupper-gateway-%s-%s" % (name, digest[:8])
