"""``python3 picture.py NAME``: everything on this host that gateway NAME of this user may touch, as JSON.

The same after two launches of the same bundle: without what is chosen at random, times, and who the service's user is.
This runs on the gateway's host: Python 3.6, standard library only.
"""

import glob
import hashlib
import json
import os
import subprocess
import sys
import tempfile

PASSING = ("install.log", "last-renewal.json")
"""Files of which only the names count."""


def main(name):
    """Print the picture."""
    home = os.environ["HOME"]
    if os.getuid() == 0:
        tops = ["/var/lib/skupper", "/var/lib/private/skupper"]
        units = "/etc/systemd/system"
    else:
        tops = [os.path.join(home, ".local")]
        units = os.path.join(home, ".config/systemd/user")
    found = [path for top in tops for path in tree(top)]
    found += [path for path in tree(units) if name in os.path.basename(path)]
    found += glob.glob(os.path.join(tempfile.gettempdir(), "skupper-gateway-*"))
    identity = router_id(os.path.join(tops[0], *(() if os.getuid() == 0 else ("share/skupper",)), "*", name))
    print(json.dumps({
        "files": {path: facts(path, identity) for path in found},
        "units": units_of(name),
        "containers": containers(),
        "lingering": glob.glob("/var/lib/systemd/linger/*"),
    }))  # fmt: skip


def tree(top):
    """Every file and directory below, and itself."""
    found = [top] if os.path.lexists(top) else []
    for directory, directories, files in os.walk(top):
        # Unpacked routers are told by their names: they are whole, or not there.
        if os.path.basename(directory) == "runtime":
            found += [os.path.join(directory, name) for name in directories]
            directories.clear()
            continue
        found += [os.path.join(directory, name) for name in directories + files]
    return found


def router_id(place):
    """The identity that was drawn when the gateway was launched first."""
    for path in glob.glob(os.path.join(place, "state.json")):
        with open(path) as file:
            return json.load(file)["routerId"]
    return ""


def facts(path, identity):
    """Kind, permissions, whether it is ours, and content."""
    status = os.lstat(path)
    kind = [oct(status.st_mode), status.st_uid == os.getuid()]
    if os.path.islink(path):
        return [*kind, os.readlink(path)]
    if os.path.isdir(path) or os.path.basename(path) in PASSING:
        return kind
    with open(path, "rb") as file:
        content = file.read()
    if identity:
        content = content.replace(identity.encode(), b"IDENTITY")
    return [*kind, hashlib.sha256(content).hexdigest()[:12]]


def units_of(name):
    """What systemd knows of its units."""
    manager = ["systemctl"] + ([] if os.getuid() == 0 else ["--user"])
    wanted = "--property=LoadState,ActiveState,UnitFileState"
    names = (name + ".service", name + "_renewal.timer")
    return {unit: told(*manager, "show", wanted, unit) for unit in names}


def containers():
    """Containers and images of podman; nothing is asked where it was never used."""
    data = "/var/lib/containers" if os.getuid() == 0 else os.path.expanduser("~/.local/share/containers")
    if not os.path.isdir(data):
        return []
    names = ("--format", "{{.Names}}")
    images = ("--format", "{{.Repository}}:{{.Tag}}")
    return [told("podman", *words) for words in (("ps", *names), ("ps", "--all", *names), ("images", *images))]


def told(*words):
    """The lines a program writes, sorted; none if it cannot be run."""
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    except OSError:
        return []
    return sorted(done.stdout.decode().splitlines())


if __name__ == "__main__":
    main(sys.argv[1])
