"""``generate unit`` for a real rootless site, and the site under units that a real Quadlet made of its files.

Debian 12's Podman has no Quadlet: that half needs ``SKUPPER_TEST_QUADLET=/path/to/quadlet`` (4.7 or later).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.platform.test_site_systemd import REASON, UNIT, active, probes, skupper, unit_file
from tests.podmanlab import LabHost, rootless_host, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.skipif(bool(REASON), reason=REASON or "ready")]
QUADLET = os.environ.get("SKUPPER_TEST_QUADLET", "").split(":")[-1]
needs_quadlet = pytest.mark.skipif(not QUADLET, reason="needs SKUPPER_TEST_QUADLET=/path/to/quadlet")
NAMES = ("skupper-router", "skupper-controller-podman", "backend")
UNITS = ("skupper-router.service", "skupper-controller-podman.service", "skupper-service-backend.service")


@pytest.fixture(scope="module")
def host() -> Iterator[LabHost]:
    with rootless_host() as host:
        host.start_user_systemd()
        port = random.randrange(21000, 29000, 2)
        ports = ("--bind-port", str(port), "--bind-port-edge", str(port + 1))
        skupper(host, "init", "--router", "embedded", "--ingress-host", "192.0.2.1", *ports, "--site-name", "mine")
        skupper(host, "service", "create", "backend", "8080")
        yield host


def quadlet_dir(host: LabHost) -> Path:
    return host.home / ".config/containers/systemd"


def test_the_unit_is_the_one_init_wrote(host: LabHost) -> None:
    words = ("generate", "unit", "--quadlet=false")
    assert skupper(host, *words).stdout == unit_file(host).read_text()
    target = host.home / "units"
    answer = json.loads(skupper(host, *words, "--output-directory", str(target), "-o", "json").stdout)
    assert answer["data"]["written"] == [str(target / UNIT)]
    chosen = json.loads(skupper(host, "generate", "unit", "-o", "json").stdout)["data"]  # as Podman has it
    assert (chosen["files"][0]["name"] == UNIT) == chosen["reason"].startswith("Podman ")
    verified = host.run(["systemd-analyze", "--user", "verify", str(target / UNIT)])
    assert "skupper" not in verified.stderr, verified.stderr
    assert active(host) == "active"


def test_quadlet_files_hold_no_secret(host: LabHost) -> None:
    document = json.loads(skupper(host, "generate", "unit", "--quadlet", "-o", "json").stdout)
    contents = [file["content"] for file in document["data"]["files"]]
    assert len([file for file in document["data"]["files"] if file["name"].endswith(".container")]) == 3
    keys = [path.read_text() for path in volumes(host).glob("**/tls.key")]
    assert keys
    lines = {line for key in keys for line in key.splitlines() if len(line) > 30}
    assert not [line for line in lines if any(line in content for content in contents)]
    assert document["changed"] is False
    assert not quadlet_dir(host).exists()


def volumes(host: LabHost) -> Path:
    return host.home / ".local/share/containers/storage/volumes"


def picture(host: LabHost, name: str) -> dict[str, Any]:
    """What of a container must be the same however it was started."""
    (found,) = json.loads(host.run(["podman", "inspect", "--type", "container", name]).stdout)
    config, rules = found["Config"], found["HostConfig"]
    return {
        "image": found["ImageName"],
        "command": config["Cmd"],
        "env": sorted(item for item in config["Env"] if not item.startswith("HOSTNAME=")),
        "labels": {key: value for key, value in config["Labels"].items() if key != "PODMAN_SYSTEMD_UNIT"},
        "user": config["User"],
        "mounts": sorted(
            (mount.get("Name") or mount["Source"], mount["Destination"], mount["RW"], mount["Propagation"],
             sorted(set(mount["Options"]) - {"rbind"}))
            for mount in found["Mounts"]
        ),
        "ports": rules["PortBindings"],
        "caps": (found["EffectiveCaps"], found["BoundingCaps"]),
        "read only": rules["ReadonlyRootfs"],
        "no new privileges": "no-new-privileges" in rules["SecurityOpt"],
        "user namespace": rules["UsernsMode"],
        "tmpfs": {path: sorted(options.split(",")) for path, options in rules["Tmpfs"].items()},
        "limits": (rules["Memory"], rules["CpuQuota"]),
        "aliases": {
            net: sorted(alias for alias in entry["Aliases"] if alias != found["Id"][:12])
            for net, entry in found["NetworkSettings"]["Networks"].items()
        },
        "stop timeout": config["StopTimeout"],
    }  # fmt: skip


@needs_quadlet
def test_a_real_quadlet_starts_the_same_containers(host: LabHost) -> None:
    before = {name: picture(host, name) for name in NAMES}
    skupper(host, "generate", "unit", "--quadlet", "--output-directory", str(quadlet_dir(host)))
    install_generator(host)
    assert host.systemctl("disable", "--now", UNIT).returncode == 0
    assert host.systemctl("daemon-reload").returncode == 0
    started = host.systemctl("start", *UNITS)
    log = (host.directory / "systemd.log").read_text()
    assert started.returncode == 0, started.stderr + log[-4000:]
    assert {name: picture(host, name) for name in NAMES} == before
    until(lambda: set(probes(host).values()) == {"ok"}, 60, "the site is well")
    assert {f"unit {unit}" for unit in UNITS} <= probes(host).keys()


PODMAN = """\
#!/bin/sh
# What Podman 4.3 lacks of the first with Quadlet: "create --ignore", and "rm --cidfile" that removes the file.
# --cgroups=split needs cgroups v2 all over, which not every machine has that runs these tests.
case "$1 $2" in
"volume create" | "network create")
    for name; do :; done
    podman "$1" inspect "$name" >/dev/null 2>&1 && exit 0
    ;;
esac
for word; do
    shift
    [ "$word" = --cgroups=split ] || set -- "$@" "$word"
    case "$1 $word" in "rm --cidfile="*) trap 'rm -f "$file"' EXIT; file=${word#*=} ;; esac
done
case "$1" in rm) /usr/bin/podman "$@"; exit ;; esac
exec /usr/bin/podman "$@"
"""


def install_generator(host: LabHost) -> None:
    """Where this host's user manager looks for generators; its own mount namespace has a private /run/systemd."""
    podman, generator = host.directory / "podman", host.directory / "podman-user-generator"
    podman.write_text(PODMAN)
    generator.write_text(f'#!/bin/sh\nPODMAN={podman} exec {host.directory}/quadlet -user "$@"\n')
    shutil.copy(QUADLET, host.directory / "quadlet")
    for path in (podman, generator, host.directory / "quadlet"):
        path.chmod(0o755)
    root = host.inside([])[: -len(["setpriv", "uid", "gid", "groups"])]
    place = "/run/systemd/user-generators"
    subprocess.run([*root, "sh", "-c", f"mkdir -p {place} && cp {generator} {place}/"], check=True)


@needs_quadlet
def test_systemd_restarts_what_ends(host: LabHost) -> None:
    def identity() -> str:
        return host.run(["podman", "inspect", "--format", "{{.Id}}", "skupper-router"]).stdout.strip()

    before = identity()
    host.run(["podman", "kill", "skupper-router"])
    until(lambda: identity() not in ("", before), 30, "it is there again")
    until(lambda: set(probes(host).values()) == {"ok"}, 60, "the site is well")


@needs_quadlet
def test_init_leaves_the_containers_to_quadlet(host: LabHost) -> None:
    done = skupper(host, "init")
    assert "Quadlet files start the site's containers" in done.stderr
    assert active(host) == "inactive"


@needs_quadlet
def test_a_deleted_service_does_not_come_back(host: LabHost) -> None:
    skupper(host, "service", "delete", "backend")
    assert not (quadlet_dir(host) / "skupper-service-backend.container").exists()
    assert host.systemctl("is-active", UNITS[2]).stdout.strip() == "inactive"
    assert set(probes(host).values()) == {"ok"}


def test_delete_removes_units_files_and_drop_ins(host: LabHost) -> None:
    dropin = unit_file(host).with_name(f"{UNIT}.d")
    if unit_file(host).exists():
        dropin.mkdir()
        (dropin / "override.conf").write_text("[Service]\nRestartSec=2\n")
        shutil.chown(dropin, host.uid, host.gid)
        shutil.chown(dropin / "override.conf", host.uid, host.gid)
    skupper(host, "delete")
    assert not unit_file(host).exists()
    assert not dropin.exists()
    assert list(quadlet_dir(host).glob("*")) == []
    assert host.api().containers() == []
    assert host.systemctl("list-unit-files", "skupper*", "--no-legend").stdout == ""
    assert host.systemctl("is-active", "podman.socket").stdout.strip() == "active"
