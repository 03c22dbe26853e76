"""The unpacked bundle: its manifest, and that every file is what the manifest says."""

import datetime
import hashlib
import json
import os
import re
from typing import Any, Dict, List

from .failures import DAMAGED, Failure

MANIFEST = "manifest.json"
FORMAT = 1
CONFIG = "config/skrouterd.json"
CERTIFICATES = "skupper-router-certs"
LINK = os.path.join(CERTIFICATES, "conn1-profile")
RUNTIME = "router/router.tar.gz"
IMAGE = "images/router.tar"
_NAME = re.compile(r"[a-z]([a-z0-9.-]*[a-z0-9])?")


class Bundle:
    """A bundle in the directory `path`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.manifest = _manifest(path)
        self.name = str(self.manifest["gateway"])
        self.kind = "cluster" if self.manifest.get("kind") == "local" else "bundle"
        self.generation = int(self.manifest["generation"])
        self.made_at = str(self.manifest["created"])
        self.registration = str(self.manifest.get("registration") or "")
        self.created = _time(self.manifest["created"])
        self.site = str(self.manifest["site"]["id"])
        self.edge = (str(self.manifest["edge"]["host"]), int(self.manifest["edge"]["port"]))

    @property
    def router(self) -> Dict[str, Any]:
        """What the manifest says of routers."""
        return dict(self.manifest["router"])

    @property
    def renewal_url(self) -> str:
        """Where the site renews the credential; empty if nowhere."""
        return str(self.manifest.get("renewal") or "")

    @property
    def exchange(self) -> int:
        """For how many seconds the credential will be valid for which this one is to be exchanged; zero for never."""
        return int(self.manifest.get("exchangeSeconds") or 0)

    @property
    def bindings(self) -> List[Dict[str, Any]]:
        """Ports of servers here that the network reaches."""
        return list(self.manifest["bindings"])

    @property
    def forwards(self) -> List[Dict[str, Any]]:
        """Ports here that lead to services of the network."""
        return list(self.manifest["forwards"])

    def file(self, path: str) -> str:
        """A file of the bundle."""
        return os.path.join(self.path, *path.split("/"))

    def has(self, path: str) -> bool:
        """Whether the bundle has this file."""
        return path in self.manifest["files"]

    def files(self) -> Dict[str, str]:
        """Every file but the manifest, with its checksum."""
        return dict(self.manifest["files"])

    def certificates(self) -> Dict[str, bytes]:
        """The credential files by path below `skupper-router-certs`; secret."""
        found = {}
        for path in self.files():
            if path.startswith(CERTIFICATES + "/"):
                with open(self.file(path), "rb") as file:
                    found[path[len(CERTIFICATES) + 1 :]] = file.read()
        return found

    def verify(self) -> None:
        """Compare every file with the manifest; raises Failure naming the first that differs."""
        for path, expected in sorted(self.files().items()):
            if path.startswith("/") or ".." in path.split("/"):
                raise Failure(DAMAGED, "manifest.json names a file outside of the bundle: %s" % path)
            # The router's own archives were looked at when they were unpacked and are not kept.
            if path in (RUNTIME, IMAGE) and not os.path.exists(self.file(path)) and self.is_kept:
                continue
            try:
                actual = "sha256:" + _digest(self.file(path))
            except OSError as error:
                raise Failure(
                    DAMAGED, "%s of the bundle cannot be read: %s" % (path, error.strerror), "unpack the bundle again"
                ) from error
            if actual != expected:
                raise Failure(DAMAGED, "%s is not what it was when the bundle was made" % path, "get the bundle again")

    @property
    def is_kept(self) -> bool:
        """Whether it is a copy that was kept by an earlier launch."""
        return os.path.basename(os.path.dirname(self.path)) == "bundles"


def _manifest(path: str) -> Dict[str, Any]:
    place = os.path.join(path, MANIFEST)
    try:
        with open(place, encoding="utf-8") as file:
            manifest = json.load(file)
        kinds = {"gateway": str, "generation": int, "created": str, "credentialExpires": str, "edge": dict}
        kinds.update({"site": dict, "router": dict, "bindings": list, "forwards": list, "files": dict})
        wrong = [key for key, kind in kinds.items() if not isinstance(manifest[key], kind)]
        if wrong:
            raise ValueError("its %s is malformed" % wrong[0])
    except FileNotFoundError as error:
        raise Failure(DAMAGED, "%s is missing" % place, "unpack the whole bundle into one directory") from error
    except OSError as error:
        raise Failure(DAMAGED, "%s cannot be read: %s" % (place, error.strerror)) from error
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(DAMAGED, "%s cannot be used: %s" % (place, error), "get the bundle again") from error
    if manifest.get("format") != FORMAT:
        raise Failure(DAMAGED, "%s is of another format: %s" % (place, manifest.get("format")))
    if not _NAME.fullmatch(manifest["gateway"]):
        raise Failure(DAMAGED, "%s has no name for a gateway" % place)
    return dict(manifest)


def _time(text: str) -> datetime.datetime:
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    except ValueError as error:
        raise Failure(DAMAGED, "manifest.json has a time that is none: %s" % text) from error


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
