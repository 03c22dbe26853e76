"""The command line of `renew.py`, in a bundle, or installed beside its settings with no more modules than it needs."""

import contextlib
import datetime
import json
import os
from typing import Dict, List, Optional

from .failures import DAMAGED, MISSING, Failure
from .files import read
from .lines import Parser, failures, say
from .renewal import Renewal

SETTINGS = "renewal.json"
"""Beside the installed program: which credential is renewed where."""
MODULES = ("__init__", "certificate", "failures", "files", "libcrypto", "lines", "renewal", "renewing")
"""What of this package the installed program consists of."""


def renew(directory: str, words: List[str]) -> int:
    """Run `renew.py` in `directory`; gives the exit code."""
    with failures() as outcome:
        parser = Parser(prog="renew.py", description="Renew the credential of the gateway, if it is time for it.")
        parser.add_argument("--now", action="store_true", help="also before it is time")
        asked = parser.parse_args(words)
        found = _settings(directory) or _of_bundle(directory)
        now = datetime.datetime.now(datetime.timezone.utc)
        say("gateway %s: %s" % (found["gateway"], Renewal(found["directory"], found["url"], now).look(asked.now)))
        outcome.code = 0
    return outcome.code


def _settings(directory: str) -> Optional[Dict[str, str]]:
    content = read(os.path.join(directory, SETTINGS))
    with contextlib.suppress(ValueError, KeyError, TypeError):
        found = json.loads((content or b"").decode())
        return {key: str(found[key]) for key in ("gateway", "url", "directory")}
    return None


def _of_bundle(directory: str) -> Dict[str, str]:
    try:
        from . import state  # not installed with the program, which has its settings
        from .bundle import Bundle
        from .places import Places
    except ImportError as error:
        place = os.path.join(directory, SETTINGS)
        raise Failure(DAMAGED, "%s is missing or damaged" % place, "launch the bundle again") from error

    bundle = Bundle(directory)
    places = Places(bundle.name, bundle.kind, os.getuid(), os.environ)
    if state.load(places) is None:
        raise Failure(MISSING, "gateway %s is not installed for this user" % bundle.name, "launch it: ./launch.py")
    if not bundle.renewal_url:
        raise Failure(MISSING, "the site that made the bundle renews no credential")
    return {"gateway": bundle.name, "url": bundle.renewal_url, "directory": places.credential}
