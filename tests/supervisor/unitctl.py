"""Uses the gateway to systemd for real, as the user of a lab host: ``python -m tests.supervisor.unitctl VERB``."""

from __future__ import annotations

import dataclasses
import json
import os
import pwd
import sys
from pathlib import Path

from skupper_podman.paths import paths_for
from skupper_podman.supervisor.unit import UnitSettings, passed_on, unit_content
from skupper_podman.systemd import Systemd


def main(verb: str, *arguments: str) -> object:
    entry = pwd.getpwuid(os.getuid())
    paths = paths_for(os.getuid(), os.environ, Path(entry.pw_dir))
    systemd = Systemd(paths, os.environ, entry.pw_name)
    if verb == "install":
        content = unit_content(UnitSettings(sys.executable, paths, "test%site", passed_on(os.environ)))
        for change in arguments:
            old, _, new = change.partition("->")
            assert old in content
            content = content.replace(old, new)
        systemd.write(content)
        systemd.enable()
        systemd.start()
        return str(paths.unit_file)
    if verb == "state":
        return dataclasses.asdict(systemd.state())
    return getattr(systemd, verb)()


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
