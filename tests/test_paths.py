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


def test_a_named_site_has_a_directory_a_unit_and_a_lock_of_its_own() -> None:
    plain, blue = paths_for(7, {}, HOME), paths_for(7, {}, HOME, "blue")
    assert blue.site_home == HOME / ".local/share/skupper/namespaces/blue"
    assert blue.endpoint_file == blue.site_home / "podman.yaml"
    assert blue.unit_file == HOME / ".config/systemd/user/skupper-podman.blue.service"
    assert blue.dropin_dir.name == "skupper-podman.blue.service.d"
    assert not set(plain.lock_files) & set(blue.lock_files)
    for shared in ("platform_file", "linger_mark", "user_lock_files", "default_socket", "quadlet_dir"):
        assert getattr(plain, shared) == getattr(blue, shared)


def test_named_sites_of_root_are_not_among_the_programs() -> None:
    assert paths_for(0, {}, HOME, "blue").site_home == Path("/var/lib/skupper/namespaces/blue")
    assert paths_for(0, {"SKUPPER_DATA_HOME": "/d"}, HOME, "blue").site_home == Path("/d/namespaces/blue")


def test_locks_of_all_sites_are_found(tmp_path: Path) -> None:
    env = {"SKUPPER_DATA_HOME": str(tmp_path / "data"), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    (tmp_path / "data").mkdir()
    (tmp_path / "run").mkdir()
    sites = [paths_for(7, env, HOME, name) for name in ("", "blue", "a-b", "lock")]
    for paths in sites:
        for file in paths.lock_files:
            file.touch()
    sites[0].user_lock_files[0].touch()
    expected = sorted((paths.namespace, file) for paths in sites for file in paths.lock_files)
    assert sorted(sites[1].site_locks()) == expected


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
