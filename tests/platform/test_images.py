"""The image made of the host, and the choice between it and upstream's."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import socket
import tarfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.desired.resources import Mount
from skupper_podman.errors import PlatformError
from skupper_podman.platform.podman import images
from skupper_podman.platform.podman.hostimage import (
    Installation,
    container_path,
    host_image,
    host_mounts,
    installation,
    python_command,
    python_path,
    unreadable,
)

VENV = Installation(
    prefix=Path("/srv/app/.venv"),
    base_prefix=Path("/usr"),
    executable=Path("/srv/app/.venv/bin/python"),
    executables=(Path("/srv/app/.venv/bin/python"), Path("/usr/bin/python3.11")),
    scripts=(Path("/srv/app/.venv/bin"),),
    roots=(Path("/srv/app"), Path("/srv/app/.venv/lib/python3.11/site-packages")),
    links=(("bin", "usr/bin"), ("lib", "usr/lib")),
    directories=(),
)


def always(_path: Path) -> bool:
    return True


def targets(of: Installation) -> list[str]:
    return [mount.target for mount in host_mounts(of, always)]


def test_an_editable_installation_in_a_virtual_environment() -> None:
    found = targets(VENV)
    assert "/usr" in found
    assert "/srv/app" in found
    assert not [path for path in found if path.startswith(("/srv/app/", "/usr/"))], "nested ones are left out"
    assert container_path(VENV).split(":")[0] == "/srv/app/.venv/bin"
    assert python_path(VENV) == "/srv/app"
    assert python_command("x.y", "-a", of=VENV) == ("/srv/app/.venv/bin/python", "-m", "x.y", "-a")


def test_a_system_installation_needs_only_usr() -> None:
    python = Path("/bin/python3")  # a link into /usr on a merged host
    system = Installation(
        Path("/usr"), Path("/usr"), python, (python, Path("/usr/bin/python3.11")), (Path("/bin"),),
        (Path("/usr/lib/python3/dist-packages"),), (("bin", "usr/bin"),), (),
    )  # fmt: skip
    assert [path for path in targets(system) if not path.startswith("/etc/")] == ["/usr"]
    assert python_path(system) == ""


def test_packages_in_the_users_home() -> None:
    home = Path("/home/alice/.local")
    user = dataclasses.replace(
        VENV,
        prefix=Path("/usr"),
        executable=Path("/usr/bin/python3"),
        executables=(Path("/usr/bin/python3.11"),),
        scripts=(Path("/usr/bin"), home / "bin"),
        roots=(home / "lib/python3.11/site-packages",),
    )
    assert {str(home / "bin"), str(home / "lib/python3.11/site-packages")} <= set(targets(user))
    assert f":{home / 'bin'}:" in container_path(user)
    assert python_path(user) == str(home / "lib/python3.11/site-packages")


def test_a_host_whose_usr_is_not_merged() -> None:
    assert {"/bin", "/lib64"} <= set(targets(dataclasses.replace(VENV, links=(), directories=("/bin", "/lib64"))))


paths = st.sampled_from(
    ("/usr", "/usr/local", "/bin", "/opt/py", "/opt/py/x", "/home/a/.venv", "/srv", "/lib/python3")
).map(Path)


@given(paths, paths, st.lists(paths, max_size=3).map(tuple), st.booleans())
def test_mounts_cover_everything_once_and_read_only(
    prefix: Path, base: Path, roots: tuple[Path, ...], merged: bool
) -> None:
    links = (("bin", "usr/bin"), ("lib", "usr/lib")) if merged else ()
    of = dataclasses.replace(VENV, prefix=prefix, base_prefix=base, roots=roots, links=links, directories=())
    found = host_mounts(of, always)
    assert all(mount.read_only and mount.source == mount.target for mount in found)
    places = [Path(mount.target) for mount in found]
    for path in (prefix, base, *roots, of.executable):
        seen = Path(dict(links)[path.parts[1]], *path.parts[2:]) if path.parts[1] in dict(links) else path
        reach = {path, *path.parents, Path("/") / seen, *(Path("/") / seen).parents}
        assert reach & set(places)
    for place in places:
        assert not set(place.parents) & set(places)
    assert not [place for place in places if "private" in place.parts or place == Path("/etc")]


def test_the_same_installation_gives_the_same_image() -> None:
    first, second = host_image(VENV), host_image(VENV)
    assert first == second
    assert first.name.startswith("localhost/skupper-host:")
    assert host_image(dataclasses.replace(VENV, executable=Path("/srv/app/.venv/bin/python3"))).name != first.name


def test_image_settings() -> None:
    changes = host_image(VENV).changes
    assert f"ENV PATH={container_path(VENV)}" in changes
    assert "ENV PYTHONPATH=/srv/app" in changes
    command = json.loads(next(line for line in changes if line.startswith("CMD ")).removeprefix("CMD "))
    assert command[:2] == ["/bin/sh", "-c"]
    assert command[2] == "exec '/srv/app/.venv/bin/python' '-m' 'skupper_podman.routerd' -c \"$QDROUTERD_CONF\""
    assert not [line for line in changes if line.startswith("LABEL")], "containers would inherit them"


def test_layer_has_no_place_a_volume_goes_to() -> None:
    """Podman would give the volume that directory's owner, and a rootless user could not write there."""
    with tarfile.open(fileobj=io.BytesIO(host_image(VENV).tar)) as archive:
        members = {member.name: member for member in archive.getmembers()}
    assert members["bin"].linkname == "usr/bin"
    assert members["tmp"].mode == 0o1777
    assert {"usr", "etc", "proc", "sys", "dev", "run"} <= set(members)
    assert not [name for name in members if "skupper" in name or "messaging" in name]
    assert sum(member.size for member in members.values()) < 1000


def test_this_installation_can_be_read_by_its_user() -> None:
    found = installation()
    assert "/usr" in [mount.target for mount in host_mounts(found)]
    assert found.executables[-1].resolve() == found.executables[-1]
    mine = Path(found.executables[-1]).stat().st_uid
    assert unreadable(mine, mine, found) == ""


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    package = tmp_path / "site" / "skupper_podman"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    of = dataclasses.replace(VENV, roots=(tmp_path / "site",), executables=(Path("/usr/bin/env"),))
    for path in (package, package / "__init__.py", tmp_path / "site"):
        path.chmod(0o755)
    assert unreadable(65534, 65534, of) == ""
    tmp_path.chmod(0o700)
    assert unreadable(65534, 65534, of) == "", "a private directory above the mount is no hindrance"
    (package / "__init__.py").chmod(0o600)
    assert unreadable(65534, 65534, of) == str(package / "__init__.py")
    (tmp_path / "site").chmod(0o700)
    assert unreadable(65534, 65534, of) == str(tmp_path / "site")
    mine = (tmp_path / "site").stat()
    assert unreadable(mine.st_uid, mine.st_gid, of) == ""


@pytest.mark.parametrize(
    ("env", "reference"),
    [
        ({}, "quay.io/skupper/skupper-router:2.7.6"),
        ({"QDROUTERD_IMAGE": "r.example/x:1", "SKUPPER_IMAGE_REGISTRY": "y"}, "r.example/x:1"),
        ({"SKUPPER_IMAGE_REGISTRY": "r.example:5000/sk/"}, "r.example:5000/sk/skupper-router:2.7.6"),
    ],
)
def test_reference(env: dict[str, str], reference: str) -> None:
    assert images.router_reference(env) == reference


@pytest.mark.parametrize(
    ("reference", "env", "address"),
    [
        ("quay.io/a/b:1", {}, ("quay.io", 443)),
        ("localhost:5000/b", {}, ("localhost", 5000)),
        ("r:5000/b", {}, ("r", 5000)),
        ("library/b", {}, ("docker.io", 443)),
        ("b:1", {}, ("docker.io", 443)),
        ("quay.io/b", {"https_proxy": "http://proxy:3128"}, ("proxy", 3128)),
        ("quay.io/b", {"HTTPS_PROXY": "proxy"}, ("proxy", 80)),
        ("quay.io/b", {"HTTPS_PROXY": ""}, ("quay.io", 443)),
    ],
)
def test_registry_address(reference: str, env: dict[str, str], address: tuple[str, int]) -> None:
    assert images.registry_address(reference, env) == address


def test_registry_auth(tmp_path: Path) -> None:
    path = tmp_path / "auth.json"
    env = {"REGISTRY_AUTH_FILE": str(path)}
    assert images.registry_auth("r.example/x", {}) == ""
    assert images.registry_auth("r.example/x", env) == ""
    secret = base64.b64encode(b"user:pass:word").decode()
    path.write_text(json.dumps({"auths": {"r.example": {"auth": secret}}}))
    value = json.loads(base64.urlsafe_b64decode(images.registry_auth("r.example/x", env)))
    assert value == {"r.example": {"username": "user", "password": "pass:word"}}
    assert images.registry_auth("other.example/x", env) == ""
    path.write_text('{"auths": {"r.example": {"auth": "?"}}}')
    with pytest.raises(PlatformError, match="malformed") as caught:
        images.registry_auth("r.example/x", env)
    assert caught.value.hint == "podman login r.example"


def test_a_silent_registry_costs_three_seconds() -> None:
    """A listener whose queue is full answers no connection."""
    with socket.socket() as listener, socket.socket() as filler:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        filler.connect(("127.0.0.1", port))
        began = time.monotonic()
        with pytest.raises(PlatformError, match="is not in reach"):
            for _ in range(3):  # the queue takes one more on some kernels
                images._reach(f"127.0.0.1:{port}/x", {})
        assert time.monotonic() - began < 4 * images.REACH_TIMEOUT


def test_an_absent_registry_is_noticed_at_once() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(PlatformError, match=r"127.0.0.1 is not in reach \(Connection refused\)"):
            images._reach(f"127.0.0.1:{unused.getsockname()[1]}/x", {})


def test_mounts_are_values() -> None:
    assert Mount("/usr", "/usr", read_only=True) in host_mounts(VENV)
