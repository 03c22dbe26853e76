"""The bundles that were launched are kept beside the gateway, so that it can return to the one before."""

import contextlib
import functools
import glob
import json
import os
import shutil
from typing import List, Optional, Set

from . import routers
from .bundle import IMAGE, MANIFEST, RUNTIME, Bundle
from .engines import own_image
from .failures import Failure
from .files import Changes, read, write
from .places import Places


def directories(places: Places) -> List[str]:
    """The directories of kept bundles, the newest first."""
    try:
        numbers = sorted((int(name) for name in os.listdir(places.bundles) if name.isdigit()), reverse=True)
    except OSError:
        return []
    return [os.path.join(places.bundles, str(number)) for number in numbers]


def keep(places: Places, bundle: Bundle, changes: Changes) -> None:
    """Keep a bundle, without what is unpacked or loaded."""
    kept = os.path.join(places.bundles, str(bundle.generation))
    if os.path.realpath(kept) == os.path.realpath(bundle.path):
        return
    changes.directory(places.bundles, 0o700)
    os.chmod(places.bundles, 0o700)
    staged, before = kept + ".new", kept + ".before"
    if os.path.isdir(before) and not os.path.isdir(kept):  # a launch was killed just here
        os.rename(before, kept)
    for place in (staged, before):
        shutil.rmtree(place, ignore_errors=True)
    changes.undone_by(functools.partial(shutil.rmtree, staged, ignore_errors=True))
    for path in [MANIFEST, *sorted(bundle.files())]:
        if path in (RUNTIME, IMAGE):
            continue
        target = os.path.join(staged, *path.split("/"))
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        write(target, read(bundle.file(path)) or b"", os.stat(bundle.file(path)).st_mode & 0o700)
    again = os.path.isdir(kept)

    def undo() -> None:
        if not again or os.path.isdir(before):
            shutil.rmtree(kept, ignore_errors=True)
        if os.path.isdir(before):
            os.rename(before, kept)

    changes.undone_by(undo)
    if again:
        os.rename(kept, before)
    os.rename(staged, kept)


def is_whole(places: Places, bundle: Bundle) -> bool:
    """Whether this very bundle is kept, and every file of it is what it was."""
    try:
        found = Bundle(os.path.join(places.bundles, str(bundle.generation)))
        found.verify()
    except Failure:
        return False
    return found.manifest == bundle.manifest


def tidy(places: Places, generation: int, alone: bool) -> None:
    """Keep this generation and, unless `alone`, the one before, and of unpacked routers those that they need."""
    with contextlib.suppress(OSError, ValueError):
        others = [int(os.path.basename(path)) for path in directories(places)]
        others = sorted(number for number in others if number != generation)
        earlier = [number for number in others if number < generation]
        needed = {generation} if alone else {generation, *others[-1:], *earlier[-1:]}
        for name in set(os.listdir(places.bundles)) - set(map(str, needed)):
            shutil.rmtree(os.path.join(places.bundles, name), ignore_errors=True)
        routers.forget_others(places, [_runtime(path) for path in directories(places)])


def _runtime(path: str) -> Optional[str]:
    """The digest of the router of a kept bundle; None if it has none, or is damaged."""
    with contextlib.suppress(Failure, AttributeError):
        return (Bundle(path).router.get("runtime") or {}).get("digest")
    return None


def images(places: Places) -> Set[str]:
    """The images that were made, or would be, of the routers in the kept bundles."""
    return _images(places.bundles)


def images_of_others(places: Places) -> Set[str]:
    """Those of the other gateways of this user."""
    every = glob.glob(os.path.join(glob.escape(places.top), "*", "*", "bundles"))
    return {image for path in every if path != places.bundles for image in _images(path)}


def _images(bundles: str) -> Set[str]:
    found = set()
    for path in glob.glob(os.path.join(glob.escape(bundles), "*", MANIFEST)):
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            found.add(own_image(json.loads((read(path) or b"{}").decode())["router"]["runtime"]["digest"]))
    return found
