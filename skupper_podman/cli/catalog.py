"""Every command there is: its name, where it is implemented, and its one-line description.

What always holds: this module imports nothing, so that the root help and ``version`` start fast; each command's own
module (flags, arguments, behaviour) is imported only when that command runs. Commands of Skupper 1.9 that this release
does not have are listed too, each with what to use instead: they answer with that one line.
"""

from __future__ import annotations

PROGRAM = "skupper"

# The path is what follows ``skupper``; a command with an empty module is a group.
COMMANDS: dict[str, tuple[str, str]] = {
    "": ("", ""),
    "apply": ("apply", "Make the site, its services and links what a file says"),
    "certificate": ("", "Manage the certificates of the site"),
    "certificate renew": ("certificate", "Renew the certificates that are due, or those named"),
    "certificate retire": ("certificate", "Trust the present certificate authorities only"),
    "certificate rotate": ("certificate", "Make new certificate authorities, and certificates of them"),
    "certificate status": ("certificate", "Show until when the certificates of the site are valid"),
    "completion": ("completion", "Output shell completion code for bash, zsh or fish"),
    "debug": ("", "Debug skupper installation"),
    "debug dump": ("debug", "Collect and store skupper related logs, metrics, etc"),
    "debug events": ("debug", "Show events"),
    "debug service": ("debug", "Check potential issues with a service"),
    "delete": ("site", "Delete skupper installation"),
    "doctor": ("doctor", "Check the host and the site, and say what mends what is broken"),
    "expose": ("expose", "Expose one or more network services"),
    "gateway": ("", "Manage skupper gateway definitions"),
    "gateway bind": ("gatewayends", "Bind a process to the service network"),
    "gateway delete": ("gateway", "Delete the gateway and revoke its credential"),
    "gateway export-config": ("gateway", "Export the configuration for a gateway definition"),
    "gateway expose": ("gatewayends", "Expose a process to the service network (ensure gateway and cluster service)"),
    "gateway forward": ("gatewayends", "Forward an address to the service network"),
    "gateway generate-bundle": ("gateway", "Generate an installation bundle using a gateway config file"),
    "gateway init": ("gateway", "Initialize a gateway to the service network"),
    "gateway status": ("gateway", "Report the status of the gateways of the current site"),
    "gateway unbind": ("gatewayends", "Unbind a process from the service network"),
    "gateway unexpose": ("gatewayends", "Unexpose a process previously exposed to the service network"),
    "gateway unforward": ("gatewayends", "Stop forwarding an address to the service network"),
    "generate": ("", "Print files made of the site"),
    "generate unit": ("generate", "Print the systemd units that run the site"),
    "export": ("export", "Write the site, its services and links for apply"),
    "help": ("app", "Help about any command"),
    "init": ("site", "Initialise skupper installation"),
    "link": ("", "Manage skupper links definitions"),
    "link create": ("link", "Links this skupper site to the site that issued the token"),
    "link delete": ("link", "Remove specified link"),
    "link update": ("link", "Change the cost of a link"),
    "link status": ("link", "Check whether a link to another Skupper site is active"),
    "network": ("", "Show information about the sites and services included in the network."),
    "network status": ("network", "Show information about the current site, and connected sites"),
    "man": ("manual", "Write the manual: man pages and Markdown"),
    "revoke-access": ("access", "Revoke all previously granted access to the site."),
    "service": ("", "Manage skupper service definitions"),
    "service allow-site": ("allowsite", "Limit a service to some sites"),
    "service bind": ("service", "Bind a target to a service"),
    "service create": ("service", "Create a skupper service"),
    "service delete": ("service", "Delete a skupper service"),
    "service label": ("label", "Manage service labels"),
    "service status": ("service", "List services exposed over the service network"),
    "service unbind": ("service", "Unbind a target from a service"),
    "status": ("status", "Report the status of the current Skupper site"),
    "switch": ("switch", "Select the platform to manage (valid platforms: kubernetes, podman, -)"),
    "token": ("", "Manage skupper tokens"),
    "token create": ("token", "Create a token"),
    "token list": ("token", "List the claims that this site gave away"),
    "token revoke": ("token", "End a claim that this site gave away"),
    "token status": ("token", "Check what is in a token and whether it can still be used"),
    "unexpose": ("expose", "Unexpose one or more network services"),
    "update": ("update", "Update skupper installation version"),
    "version": ("version", "Report the version of the Skupper CLI and services"),
    "version manifest": ("manifest", "Write the images of this version to manifest.json"),
}

HIDDEN: dict[str, str] = {"__complete": "completion"}
"""Commands that programs call: path to module."""

# Commands of 1.9 that are not there: what is the matter, and what to do instead.
_KUBERNETES = "exists only on the kubernetes platform"
ABSENT: dict[str, tuple[str, str]] = {
    "debug policies": (_KUBERNETES, "a podman site has no policies"),
}

# Names of releases before 1.0, for "did you mean".
FORMER: dict[str, str] = {
    "check-connection": "link status",
    "connect": "link create",
    "connection-token": "token create",
    "disconnect": "link delete",
    "list-connectors": "link status",
    "list-exposed": "service status",
    "bind": "service bind",
    "unbind": "service unbind",
}

UNLISTED = frozenset({"man"})
"""Commands that no help lists, as in 1.9."""

ANY_PLATFORM = frozenset({"completion", "help", "man", "switch", "version", "version manifest", "__complete"})
"""Commands that work whatever the platform."""

_VALUE_FLAGS = frozenset({"--namespace", "-n", "--platform", "--output", "-o"})


def children(path: str) -> list[tuple[str, str]]:
    """Name and description of the commands of a group, sorted by name."""
    prefix = f"{path} " if path else ""
    return [
        (name.removeprefix(prefix), short)
        for name, (_module, short) in sorted(COMMANDS.items())
        if name and name not in UNLISTED and name.startswith(prefix) and " " not in name.removeprefix(prefix)
    ]


def is_group(path: str) -> bool:
    """Whether the command only holds others."""
    return path in COMMANDS and not COMMANDS[path][0]


def find(words: list[str]) -> tuple[str, list[str], str]:
    """Find the command in a command line: its path, the other words, and the word that names no command (or empty).

    Flags may stand before the command's words: a word after a flag that may take a value is not a command unless it
    names one. As in 1.9 the search stops at ``--``.
    """
    path, rest, position = "", list(words), 0
    while position < len(rest):
        word = rest[position]
        if word == "--":
            break
        if word.startswith("-") and word != "-":
            following = rest[position + 1] if position + 1 < len(rest) else ""
            position += 2 if following and _takes(word, path, following) else 1
            continue
        if not _known(path, word):
            return path, rest, word
        path = _joined(path, word)
        del rest[position]
        position = 0  # a word skipped so far may be the value of a flag of the group found now
        if path not in COMMANDS or not (is_group(path) or _has_child(path)):
            return path, rest, ""
    return path, rest, ""


def _takes(flag: str, path: str, following: str) -> bool:
    """Whether a flag before the command's name takes the word that follows it."""
    if "=" in flag or flag in ("-h", "--help"):
        return False
    return flag in _VALUE_FLAGS or not (following.startswith("-") or _known(path, following))


def _joined(path: str, word: str) -> str:
    return f"{path} {word}" if path else word


def _known(path: str, word: str) -> bool:
    full = _joined(path, word)
    return bool(word) and " " not in word and (full in COMMANDS or full in ABSENT or full in HIDDEN)


def _has_child(path: str) -> bool:
    return any(name.startswith(f"{path} ") for name in (*ABSENT, *COMMANDS))


def suggestions(path: str, word: str) -> list[str]:
    """Commands the user may have meant by ``word``."""
    if not path and word in FORMER:
        return [FORMER[word]]
    names = [name for name, _short in children(path)]
    lowered = word.lower()
    return [name for name in names if _distance(lowered, name) <= 2 or (lowered and name.startswith(lowered))]


def _distance(left: str, right: str) -> int:
    """Levenshtein distance, cut off early for very different lengths."""
    if abs(len(left) - len(right)) > 2:
        return 3
    row = list(range(len(right) + 1))
    for index, character in enumerate(left, 1):
        previous, row[0] = row[0], index
        for column, other in enumerate(right, 1):
            cheapest = min(row[column] + 1, row[column - 1] + 1, previous + (character != other))
            previous, row[column] = row[column], cheapest
    return row[-1]


def closing_words(platform: str) -> str:
    """Last paragraph of the root help: nothing where every command works."""
    if platform == "podman":
        return ""
    return (
        f"The platform chosen here is {platform}, which has no backend in this release.\n"
        "To choose podman: skupper switch podman, or --platform podman with a command."
    )
