"""Quadlet files: they say what the API is told, in the grammar of the documented releases.

Debian 12 has no Quadlet. ``SKUPPER_TEST_QUADLET=/path/to/quadlet`` (several by ``:``) names real generators to try.
"""

from __future__ import annotations

import configparser
import itertools
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from skupper_podman.desired.names import DEFAULT
from skupper_podman.desired.resources import Container, Mount, Network, PublishedPort, Volume, VolumeFile
from skupper_podman.desired.site import site_resources
from skupper_podman.errors import PlatformError
from skupper_podman.model.units import UnitFile
from skupper_podman.platform.podman import quadlet
from skupper_podman.platform.podman.body import container_body
from skupper_podman.platform.podman.quadlet import Surroundings, mark, quadlet_files
from tests.desired.examples import STATE

USER = Surroundings(1000, 1001, (4, 9), ("/usr/bin/python3", "-m", "x"), (("PYTHONPATH", "/a b"),))
FIRST = Surroundings(1000, 1001, (4, 4), ("/usr/bin/python3", "-m", "x"))
ROOT = Surroundings(0, 0, (5, 0))
EVERY = {"user": USER, "first": FIRST, "root": ROOT}
RESOURCES = site_resources(STATE)
STRANGE = Container(
    "skupper-controller-podman", "i", ("a b", "$HOME", "%h", '"', "\\n"), {"A": "x $Y %z \"q' \\"},
    {"skupper.io/component": "skupper-controller-podman", "l": "a b=c"}, "net", ("one", "two"),
    (Mount("v", "/v", True), Mount("/usr", "/usr", True)),
    (PublishedPort(1, 2, "::1"), PublishedPort(3, 4, "127.0.0.1")), True, 1024, 2,
)  # fmt: skip

# podman-systemd.unit(5) of the first release that has the section.
CONTAINER_4_4 = """
AddCapability AddDevice Annotation ContainerName DropCapability Environment EnvironmentFile EnvironmentHost Exec
ExposeHostPort Group Image Label Network NoNewPrivileges Notify PodmanArgs PublishPort ReadOnly RemapGid RemapUid
RemapUidSize RemapUsers RunInit SeccompProfile Timezone User VolatileTmp Volume
"""
NETWORK_4_7 = "DisableDNS Driver Gateway IPAMDriver IPRange IPv6 Internal Label NetworkName Options PodmanArgs Subnet"
VOLUME_4_7 = "Copy Device Group Label Options PodmanArgs Type User VolumeName"


def files(around: Surroundings, *more: Container) -> tuple[UnitFile, ...]:
    network = next(item for item in RESOURCES if isinstance(item, Network))
    containers = [item for item in RESOURCES if isinstance(item, Container)]
    used = {mount.source for item in containers for mount in item.mounts}
    volumes = [item for item in RESOURCES if isinstance(item, Volume) and item.name in used]
    return quadlet_files(network, volumes, [*containers, *more], around)


def assignments(content: str) -> Iterator[tuple[str, str, str]]:
    """Section, key and value of each line that is none of those."""
    section = ""
    for line in content.splitlines():
        if line.startswith("["):
            section = line
        elif line and not line.startswith("#"):
            yield section, *line.partition("=")[::2]


@pytest.mark.parametrize("who", EVERY)
def test_only_documented_keys_are_used(who: str) -> None:
    for file in files(EVERY[who], STRANGE):
        assert file.content.startswith(mark(DEFAULT))
        found = {"[Container]": set[str](), "[Network]": set[str](), "[Volume]": set[str]()}
        for section, key, _ in assignments(file.content):
            found.setdefault(section, set()).add(key)
        assert found["[Container]"] <= {*CONTAINER_4_4.split()}, file.name
        assert found["[Network]"] <= {*NETWORK_4_7.split()}
        assert found["[Volume]"] <= {*VOLUME_4_7.split()}
        assert bool(found["[Container]"]) == file.name.endswith(".container")


def test_names_of_units_are_ours_alone() -> None:
    names = [file.name for file in files(USER)]
    assert all(name.startswith("skupper-") or name == "skupper.network" for name in names)
    assert {"skupper-router.container", "skupper-controller-podman.container", "skupper-service-front.container"} <= {
        *names
    }
    assert "skupper.network" in names
    assert "skupper-internal.volume" in names
    assert len(set(names)) == len(names)


def test_before_names_can_be_given_the_site_s_own_are_used() -> None:
    found = files(FIRST)
    assert {file.name.rpartition(".")[2] for file in found} == {"container"}
    router = next(file.content for file in found if file.name == "skupper-router.container")
    assert "\nNetwork=skupper\n" in router
    assert "\nVolume=skupper-internal:/etc/skupper-router/config:z,U\n" in router
    assert "\nNetwork=skupper.network\n" in files_named(USER, "skupper-router.container")
    assert "\nVolume=skupper-internal.volume:/etc/skupper-router/config:z,U\n" in files_named(
        USER, "skupper-router.container"
    )


def files_named(around: Surroundings, name: str) -> str:
    return next(file.content for file in files(around) if file.name == name)


def test_it_waits_for_the_network_where_the_user_s_manager_cannot() -> None:
    router = files_named(USER, "skupper-router.container")
    assert 'ExecStartPre=-"/usr/bin/python3" "-m" "x"' in router
    assert 'Environment="PYTHONPATH=/a b"' in router
    assert "network-online" not in router
    assert "ExecStartPre" not in files_named(USER, "skupper-controller-podman.container")
    assert "After=network-online.target" in files_named(ROOT, "skupper-router.container")


def test_the_supervisor_and_these_units_exclude_each_other() -> None:
    for file in files(USER):
        if file.name.endswith(".container"):
            parsed = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",))
            parsed.read_string(file.content)
            assert parsed["Unit"]["Conflicts"] == "skupper-podman.service"
            assert parsed["Service"]["Restart"] == "always"
            assert parsed["Install"]["WantedBy"] == "default.target"


def test_no_secret_is_in_them() -> None:
    secrets = [item.content.decode() for item in RESOURCES if isinstance(item, VolumeFile) and item.secret]
    assert secrets
    for file in files(USER):
        assert "PRIVATE KEY" not in file.content
        assert not any(secret in file.content for secret in secrets if len(secret) > 4)


def test_what_cannot_be_said_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quadlet, "container_body", lambda *words: {**container_body(*words), "pod": "x"})
    with pytest.raises(PlatformError, match="cannot say pod"):
        files(USER)


# -- with real generators


def generators() -> list[str]:
    return [path for path in os.environ.get("SKUPPER_TEST_QUADLET", "").split(":") if path]


needs_quadlet = pytest.mark.skipif(not generators(), reason="needs SKUPPER_TEST_QUADLET=/path/to/quadlet")


def generated(generator: str, found: tuple[UnitFile, ...], directory: Path, *, user: bool) -> dict[str, str]:
    """The units a real generator makes of the files; it must have nothing to complain about."""
    directory.mkdir()
    for file in found:
        (directory / file.name).write_text(file.content)
    out = directory / "out"
    out.mkdir()
    done = subprocess.run(
        [generator, "-no-kmsg-log", "-v", *(["-user"] if user else []), str(out), str(out), str(out)],
        env={**os.environ, "QUADLET_UNIT_DIRS": str(directory)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if "Loading" not in line and "Writing" not in line]
    assert done.returncode == 0, done.stderr
    assert not [line for line in said if "unsupported" in line or "nvalid" in line or "rror" in line], said
    return {path.name: path.read_text() for path in out.glob("*.service")}


def command(unit: str) -> list[str]:
    """The words of ExecStart as systemd would see them; releases differ in ``--name=x`` and ``--name x``."""
    line = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    words = [item.replace("$$", "$").replace("%%", "%") for item in shlex.split(line.partition("=")[2])]
    return [part for item in words for part in (item.split("=", 1) if item.startswith("--") else [item])]


def pairs(words: list[str]) -> set[tuple[str, str]]:
    return set(itertools.pairwise(words))


@needs_quadlet
@pytest.mark.parametrize("generator", generators() or ["-"])
@pytest.mark.parametrize("who", EVERY)
def test_real_generators_make_the_same_containers(generator: str, who: str, tmp_path: Path) -> None:
    around = EVERY[who]
    release = tuple(map(int, generator.rpartition("-")[2].split(".")[:2]))
    if around.named and release < quadlet.NAMED:
        pytest.skip("this release cannot name networks and volumes")
    found = files(around) if who != "user" else quadlet_files(Network("net"), [Volume("v")], [STRANGE], around)
    units = generated(generator, found, tmp_path / "files", user=around.uid != 0)
    assert {name for name in units if not name.endswith(("-network.service", "-volume.service"))} == {
        file.name.replace(".container", ".service") for file in found if file.name.endswith(".container")
    }
    if who == "user":
        words = command(units["skupper-controller-podman.service"])
        assert words[-6:] == ["i", "a b", "$HOME", "%h", '"', "\\n"]
        wanted = {
            ("--env", "A"), ("A", "x $Y %z \"q' \\"), ("--label", "l"), ("l", "a b=c"), ("-v", "v:/v:z,U,ro"),
        }  # fmt: skip
        plain = pairs([part for word in words for part in word.split("=", 1)])
        assert wanted <= plain
        assert {("--network-alias", "one"), ("--userns", "keep-id"), ("--memory", "1024"), ("--cap-drop", "all")} <= {
            *pairs(words)
        }
        assert "--read-only" in words
        assert command(units["skupper-net-network.service"])[-1] == "net"
        assert command(units["skupper-v-volume.service"])[-1] == "v"
        return
    router = pairs(command(units["skupper-router.service"]))
    assert {
        ("--name", "skupper-router"), ("--user", f"{around.uid}:{around.gid}"), ("--network-alias", "skupper-router"),
        ("--cap-drop", "all"), ("--security-opt", "no-new-privileges"), ("--stop-timeout", "10"),
        ("-v", "skupper-internal:/etc/skupper-router/config:z,U"), ("--publish", "55671:55671"),
        ("--security-opt", "label=disable"),
    } <= router  # fmt: skip
