"""A gateway that launch.sh of a 1.9 bundle put on this host."""

import contextlib
import json
import os
import shutil
import uuid
from typing import Any, Dict, List, Optional

from . import engines, rendering
from .failures import Failure
from .files import read
from .places import Places
from .processes import check, run
from .running import Runner
from .state import unfinished
from .systemd import Systemd


class Former:
    """It, if there is one; `type`, `ports` and `router_id` are those it has."""

    def __init__(self, places: Places, known: Optional[Dict[str, Any]]) -> None:
        """`known` is the state of what is installed, or was about to take its place."""
        self.places = places
        content = read(os.path.join(places.former, "config", "skrouterd.json"))
        unit = read(places.former_unit)
        self._unit = unit is not None and b"Description=Qpid Dispatch router daemon" in unit
        begun = bool(unfinished(known).get("former"))
        self.exists = content is not None and (begun or read(os.path.join(places.former, "state.json")) is None)
        self.type = "service"
        self.engine: Optional[engines.Engine] = None
        for kind in ("podman", "docker"):
            with contextlib.suppress(Failure):
                engine = engines.Engine(kind)
                found = self._container(engine) if self.exists and not self._unit else None
                if found and Runner(places, kind).is_ours(found):
                    self.type, self.engine = kind, engine
                    break
        self.router_id = ""
        self.ports: List[int] = []
        if content is not None:
            self._read(content)

    def _container(self, engine: engines.Engine) -> Optional[Dict[str, Any]]:
        """Its container: one that a launch has put aside, or else one of the name that has no label of ours."""
        aside = engine.inspect(self._aside)
        found = engine.inspect(self.places.name) if aside is None else aside
        labels = ((found or {}).get("Config") or {}).get("Labels") or {}
        return None if engines.LABEL in labels else found

    def _read(self, content: bytes) -> None:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            config = rendering.parse(content)
            listening = [item for kind, item in config if kind in ("tcpListener", "httpListener")]
            self.ports = [int(item["port"]) for item in listening]
            identity = json.loads(next(item for kind, item in config if kind == "router")["metadata"])["id"]
            self.router_id = str(uuid.UUID(identity))

    def stop(self) -> None:
        """Stop it; it can still be had back."""
        if self._unit:
            self._manager.attempt("stop", self._name)
        if self.engine and self.engine.inspect(self._aside) is None:
            run([self.engine.path, "stop", self.places.name], 60)
            check([self.engine.path, "rename", self.places.name, self._aside])

    def start(self) -> None:
        """Start it again, as it was."""
        if self._unit:
            self._manager.attempt("daemon-reload")
            self._manager.attempt("start", self._name)
        if self.engine and self.engine.inspect(self._aside):
            self.engine.remove(self.places.name)
            run([self.engine.path, "rename", self._aside, self.places.name])
            run([self.engine.path, "start", self.places.name])

    def remove(self) -> None:
        """Remove its unit or container, and what of its files is not overwritten."""
        if self._unit and self.places.former_unit != self.places.unit:
            self._manager.attempt("disable", self._name)
            os.unlink(self.places.former_unit)
        if self.engine:
            self.engine.remove(self._aside)
        if self.places.former != self.places.directory:
            shutil.rmtree(self.places.former, ignore_errors=True)

    @property
    def _manager(self) -> Systemd:
        return Systemd(system=False)

    @property
    def _name(self) -> str:
        return self.places.name + ".service"

    @property
    def _aside(self) -> str:
        return self.places.name + "-before-launch"
