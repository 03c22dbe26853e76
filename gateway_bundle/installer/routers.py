"""Which router runs: skrouterd of this host, or the one in the bundle, unpacked."""

import os
import platform
import shutil
import tarfile
import tempfile
from typing import Dict, List, Optional, Tuple

from .bundle import RUNTIME, Bundle
from .failures import DAMAGED, MISSING, Failure
from .places import Places
from .processes import find, run

_MODULE = "skupper_podman.routerd"
_NOWHERE = "skrouterd could not be found. Please 'install skrouterd'"


class Router:
    """The router: the words that run it, the environment they need, its version.

    `digest` names one that comes from the bundle; `unpacked` is where it is or will be. One that `notifies` tells
    systemd when it is ready, and then that it is alive.
    """

    notifies = False

    def __init__(
        self, words: List[str], env: Dict[str, str], version: str, digest: str = "", unpacked: str = ""
    ) -> None:
        self.words = words
        self.env = env
        self.version = version
        self.digest = digest
        self.unpacked = unpacked

    @property
    def title(self) -> str:
        """What to call it."""
        return "the bundle's own router" if self.digest else "skrouterd %s (%s)" % (self.version, self.words[0])


def choose(bundle: Bundle, places: Places, wanted: str) -> Router:
    """The router for type service; `wanted` is skrouterd, embedded or empty. Raises Failure if there is none."""
    problem = ""
    if wanted != "embedded":
        program = os.environ.get("QDROUTERD_HOME") or find("skrouterd")
        if program:
            version = _version(program)
            problem = unfit(bundle, version)
            if not problem:
                return Router([program], {}, version)
            problem = "%s: %s" % (program, problem)
        else:
            problem = _NOWHERE
    if wanted != "skrouterd":
        facts = bundle.router.get("runtime")
        if facts:
            return _embedded(facts, places)
        if wanted == "embedded":
            problem = "this bundle has no router of its own"
    raise Failure(
        MISSING,
        problem,
        "make the bundle with: skupper gateway generate-bundle --self-contained; or launch with -t podman",
    )


def _version(program: str) -> str:
    done = run([program, "--version"], 20)
    if done.code:
        raise Failure(MISSING, "%s does not run: %s" % (program, done.complaint))
    return done.out.strip().split()[-1] if done.out.strip() else ""


def unfit(bundle: Bundle, version: str) -> str:
    """Why a router of this version cannot be used; empty if it can, or the version says nothing."""
    numbers = _numbers(version)
    if not numbers:
        return ""
    if numbers < _numbers(str(bundle.router["minVersion"])):
        return "version %s is older than %s" % (version, bundle.router["minVersion"])
    if numbers >= _numbers(str(bundle.router["belowVersion"])):
        return "version %s carries services in a form that this network does not understand" % version
    return ""


def _numbers(version: str) -> Tuple[int, ...]:
    parts = version.split("-")[0].split(".")
    return tuple(int(part) for part in parts) if parts and all(part.isdigit() for part in parts) else ()


def _embedded(facts: Dict[str, str], places: Places) -> Router:
    if facts["machine"] != platform.machine():
        raise Failure(
            MISSING,
            "the router of this bundle is for %s, this host is %s" % (facts["machine"], platform.machine()),
            "make the bundle on such a host, or install skrouterd",
        )
    digest = str(facts["digest"])
    where = os.path.join(places.runtimes, digest[:16])
    words, env = command(where)
    found = Router(words, env, str(facts.get("version", "")), digest, where)
    found.notifies = bool(facts.get("notifies"))  # routers of older bundles do not
    return found


def command(where: str) -> Tuple[List[str], Dict[str, str]]:
    """The words that run a router unpacked in `where`: its own loader, its own interpreter, nothing of this host."""
    words = [os.path.join(where, "lib", "loader"), "--library-path", os.path.join(where, "lib")]
    words += [os.path.join(where, "bin", "python3"), "-S", "-s", "-B", "-m", _MODULE]
    return words, {"PYTHONHOME": where}


def unpack(bundle: Bundle, router: Router, mode: int) -> bool:
    """Put the bundle's router in its place, and try it; False if it was there. Raises Failure."""
    if not router.digest or _is_whole(bundle, router):
        return False
    parent = os.path.dirname(router.unpacked)
    os.makedirs(parent, mode=mode, exist_ok=True)
    place = tempfile.mkdtemp(prefix=".new-", dir=parent)
    try:
        try:
            with tarfile.open(bundle.file(RUNTIME)) as archive:
                for member in archive:
                    if not (member.isfile() and _inside(member.name)):
                        raise Failure(DAMAGED, "%s has a member that is no plain file: %s" % (RUNTIME, member.name))
                    archive.extract(member, place, set_attrs=True)
        except (OSError, tarfile.TarError) as error:
            raise Failure(DAMAGED, "the bundle's router cannot be unpacked: %s" % error) from error
        os.chmod(place, mode)
        if os.getuid() == 0:
            _own(place)
        complaint = _complaint(place)
        if complaint:
            raise Failure(MISSING, "the bundle's router does not run on this host: %s" % complaint)
        _sync(place)
        if os.path.isdir(router.unpacked):
            os.rename(router.unpacked, place + ".damaged")  # which is forgotten with those that nobody needs
        os.rename(place, router.unpacked)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return True


def _is_whole(bundle: Bundle, router: Router) -> bool:
    """Whether the router is in its place; one that does not run is unpacked again, if the bundle still has it."""
    if not os.path.isdir(router.unpacked):
        return False
    return not os.path.isfile(bundle.file(RUNTIME)) or not _complaint(router.unpacked)


def _complaint(place: str) -> str:
    """What the router that is unpacked there complains of when it is tried; empty if it runs."""
    words, env = command(place)
    try:
        done = run([*words, "--version"], 60, env)
    except Failure as failure:
        return failure.message
    return done.complaint if done.code else ""


def _sync(place: str) -> None:
    """Have it on the disk: once it is in its place, it is taken to be whole."""
    for directory, _names, files in os.walk(place):
        for name in files:
            with open(os.path.join(directory, name), "rb") as file:
                os.fsync(file.fileno())


def _inside(name: str) -> bool:
    return not name.startswith("/") and ".." not in name.split("/")


def _own(place: str) -> None:
    """As root: what was unpacked belongs to root and can be read by the service, whatever the umask."""
    for directory, _names, files in os.walk(place):
        os.chmod(directory, 0o755)  # noqa: S103
        os.chown(directory, 0, 0)
        for name in files:
            os.chown(os.path.join(directory, name), 0, 0)


def forget_others(places: Places, kept: List[Optional[str]]) -> None:
    """Remove unpacked routers that no kept bundle needs; `kept` are digests."""
    needed = {digest[:16] for digest in kept if digest}
    if os.path.isdir(places.runtimes):
        for name in os.listdir(places.runtimes):
            if name not in needed:
                shutil.rmtree(os.path.join(places.runtimes, name), ignore_errors=True)
