"""The bundles that were launched are kept beside the gateway, so that it can return to the one before."""

import contextlib
import glob
import json
import os
import shutil
from typing import List, Set

from . import routers
from .bundle import IMAGE, MANIFEST, RUNTIME, Bundle
from .engines import own_image
from .files import read, write
from .places import Places


def directories(places: Places) -> List[str]:
    """The directories of kept bundles, the newest first."""
    try:
        numbers = sorted((int(name) for name in os.listdir(places.bundles) if name.isdigit()), reverse=True)
    except OSError:
        return []
    return [os.path.join(places.bundles, str(number)) for number in numbers]


def keep(places: Places, bundle: Bundle, alone: bool) -> str:
    """Keep a bundle, without what is unpacked or loaded; with `alone` none before it.

    Gives the directory if it is new, so that it can be taken back, else an empty text.
    """
    kept = os.path.join(places.bundles, str(bundle.generation))
    if os.path.realpath(kept) == os.path.realpath(bundle.path):
        return ""
    if alone:
        shutil.rmtree(places.bundles, ignore_errors=True)
    os.makedirs(places.bundles, mode=0o700, exist_ok=True)
    os.chmod(places.bundles, 0o700)
    staged = kept + ".new"
    shutil.rmtree(staged, ignore_errors=True)
    for path in [MANIFEST, *sorted(bundle.files())]:
        if path in (RUNTIME, IMAGE):
            continue
        target = os.path.join(staged, *path.split("/"))
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        write(target, read(bundle.file(path)) or b"", os.stat(bundle.file(path)).st_mode & 0o700)
    new = not os.path.exists(kept)
    shutil.rmtree(kept, ignore_errors=True)
    os.rename(staged, kept)
    return kept if new else ""


def tidy(places: Places, generation: int) -> None:
    """Keep this generation and the one before, and of unpacked routers those that they need."""
    with contextlib.suppress(OSError, ValueError):
        others = [int(os.path.basename(path)) for path in directories(places)]
        others = sorted(number for number in others if number != generation)
        earlier = [number for number in others if number < generation]
        for number in set(others) - set(others[-1:]) - set(earlier[-1:]):
            shutil.rmtree(os.path.join(places.bundles, str(number)), ignore_errors=True)
        digests = [(Bundle(path).router.get("runtime") or {}).get("digest") for path in directories(places)]
        routers.forget_others(places, digests)


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
