"""Answers ``version`` and the root help before anything else is loaded, since prompts and scripts call them often.

What always holds: the answer is byte for byte that of the full program (tests compare them); for any command line or
file that is not of the plainest form the answer is None and the full program takes over. Neither dataclasses, pathlib
nor YAML is imported, so the few rules about files are written here again, in a narrower form.
"""

from __future__ import annotations

import os

from skupper_podman.cli import catalog, helptext

IMAGE_TIMEOUT = 2.0
"""Seconds Podman has to tell the router's image; ``version`` must not hang."""

PLATFORMS = ("podman", "kubernetes")
_HELP: tuple[list[str], ...] = (["--help"], ["-h"], ["help"], [])


def answer(words: list[str], env: os._Environ[str]) -> str | None:
    """The text to print on stdout with exit code 0, or None."""
    if env.get("SKUPPER_NAMESPACE"):
        return None
    rest, flag = _without_platform(words)
    if rest != ["version"] and rest not in _HELP:
        return None
    uid = os.getuid()
    platform = flag or env.get("SKUPPER_PLATFORM") or _switched(_data_home(uid, env))
    if platform not in PLATFORMS:
        return None
    if rest != ["version"]:
        return helptext.group_help("", catalog.closing_words(platform))
    return _version(platform, uid, env)


def _without_platform(words: list[str]) -> tuple[list[str], str]:
    """The words without one ``--platform``, and its value."""
    for index, word in enumerate(words):
        if word == "--platform" and index + 1 < len(words):
            return words[:index] + words[index + 2 :], words[index + 1]
        if word.startswith("--platform="):
            return words[:index] + words[index + 1 :], word.partition("=")[2]
    return words, ""


def _data_home(uid: int, env: os._Environ[str]) -> str:
    """As :func:`skupper_podman.paths.paths_for`; empty where the account database would be needed."""
    own = env.get("SKUPPER_DATA_HOME", "")
    if own.startswith("/"):
        return own
    if uid == 0:
        return "/usr/local/bin"
    if env.get("XDG_DATA_HOME", "").startswith("/"):
        return f"{env['XDG_DATA_HOME']}/skupper"
    home = env.get("HOME", "")
    return f"{home}/.local/share/skupper" if home.startswith("/") else ""


def _switched(data_home: str) -> str:
    """The platform of the switch file; ``kubernetes`` without one; empty if the file is not as we write it."""
    content = _content(f"{data_home}/platform.yaml") if data_home else None
    if content is None or not content:
        return "kubernetes" if content == "" else ""
    lines = content.split("\n")
    plain = len(lines) == 3 and lines[2] == "" and lines[1].removeprefix("previous: ") in PLATFORMS
    return lines[0].removeprefix("current: ") if plain else ""


def _content(path: str) -> str | None:
    """The text of a small file, empty if it does not exist, None if it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError):
        return None
    try:
        return os.read(descriptor, 4096).decode()
    except (OSError, UnicodeDecodeError):
        return None
    finally:
        os.close(descriptor)


def _version(platform: str, uid: int, env: os._Environ[str]) -> str | None:
    from skupper_podman import SKUPPER_VERSION, __version__
    from skupper_podman.cli.render import versions

    images, remark = [], ""
    if platform == "podman":
        path = _socket(uid, env)
        if path is None:
            return None
        from skupper_podman.cli import asking

        image = asking.router_image(path, IMAGE_TIMEOUT)
        images = [(versions.TRANSPORT, *image)] if image else []
    if not images:
        remark = versions.without_image(platform, f"user '{user_name(uid, env)[0]}'")
    return versions.report(SKUPPER_VERSION, images, remark, __version__)


def user_name(uid: int, env: os._Environ[str]) -> tuple[str, str]:
    """Name of the user without blanks, and the home directory.

    The account database is asked first, then ``USER`` and ``USERNAME``, as in 1.9.
    """
    import pwd

    try:
        entry = pwd.getpwuid(uid)
        name, home = entry.pw_name, entry.pw_dir
    except KeyError:
        name, home = env.get("USER") or env.get("USERNAME") or str(uid), env.get("HOME") or "/"
    return "".join(name.split()), home


def _socket(uid: int, env: os._Environ[str]) -> str | None:
    """Path of the Podman socket, None if the endpoint is not one or not plainly said."""
    data_home = _data_home(uid, env)
    stored = _content(f"{data_home}/podman.yaml") if data_home else None
    if stored is None:
        return None
    lines = stored.split("\n")
    if stored and (len(lines) > 2 or lines[1:] not in ([], [""]) or not lines[0].startswith('endpoint: "')):
        return None
    saved = lines[0].removeprefix('endpoint: "').removesuffix('"') if stored else ""
    chosen = saved or env.get("PODMAN_ENDPOINT") or env.get("CONTAINER_HOST") or ""
    if not chosen:
        runtime = env.get("XDG_RUNTIME_DIR", "")
        default = "/run" if uid == 0 else f"/run/user/{uid}"
        return f"{runtime if runtime.startswith('/') else default}/podman/podman.sock"
    if chosen != chosen.strip() or "\\" in chosen or '"' in chosen:
        return None
    chosen = chosen.removeprefix("unix://")
    return chosen if chosen.startswith("/") else None


def write(text: str) -> int:
    """Print on stdout; returns the exit code."""
    rest = text.encode("utf-8", "surrogateescape")
    try:
        while rest:
            rest = rest[os.write(1, rest) :]
    except BrokenPipeError:
        return 141
    except OSError as error:
        os.write(2, f"Error: cannot write the output: {error.strerror}\n".encode())
        return 1
    return 0
