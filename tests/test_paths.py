from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.paths import Paths, linger_file, paths_for

HOME = Path("/home/alice")
VARIABLES = ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "SKUPPER_DATA_HOME", "HOME")


def test_ordinary_user() -> None:
    paths = paths_for(1000, {}, HOME)
    assert paths == Paths(HOME / ".local/share/skupper", HOME / ".config", Path("/run/user/1000"), system=False)
    assert paths.unit_file == HOME / ".config/systemd/user/skupper-podman.service"
    assert paths.endpoint_file == HOME / ".local/share/skupper/podman.yaml"
    assert paths.platform_file == HOME / ".local/share/skupper/platform.yaml"
    assert paths.default_socket == Path("/run/user/1000/podman/podman.sock")


def test_root_ignores_the_data_home_of_xdg() -> None:
    paths = paths_for(0, {"XDG_DATA_HOME": "/x", "HOME": "/root"}, HOME)
    assert paths.data_home == Path("/usr/local/bin")
    assert paths.runtime_dir == Path("/run")
    assert paths.unit_file == Path("/etc/systemd/system/skupper-podman.service")


def test_variables_of_xdg() -> None:
    env = {"XDG_DATA_HOME": "/d", "XDG_CONFIG_HOME": "/c", "XDG_RUNTIME_DIR": "/r"}
    assert paths_for(7, env, HOME) == Paths(Path("/d/skupper"), Path("/c"), Path("/r"), system=False)


def test_own_variable_moves_the_data_home_of_everybody() -> None:
    for uid in (0, 7):
        paths = paths_for(uid, {"SKUPPER_DATA_HOME": "/mine"}, HOME)
        assert paths.data_home == Path("/mine")
        assert paths.start_script == Path("/mine/start-podman.sh")
        assert paths.stop_script == Path("/mine/stop-podman.sh")


def test_linger_file() -> None:
    assert linger_file("alice") == Path("/var/lib/systemd/linger/alice")


@given(
    st.integers(0, 2**31), st.dictionaries(st.sampled_from(VARIABLES), st.sampled_from(("", "relative", ".", "a/b")))
)
def test_empty_and_relative_variables_count_as_unset(uid: int, env: dict[str, str]) -> None:
    assert paths_for(uid, env, HOME) == paths_for(uid, {}, HOME)


@given(st.integers(0, 2**31), st.dictionaries(st.sampled_from(VARIABLES), st.from_regex(r"/?[a-z/]*", fullmatch=True)))
def test_every_path_is_absolute(uid: int, env: dict[str, str]) -> None:
    paths = paths_for(uid, env, HOME)
    found = (
        paths.data_home,
        paths.config_home,
        paths.runtime_dir,
        paths.unit_file,
        paths.default_socket,
        *paths.lock_files,
    )
    assert all(path.is_absolute() for path in found)
