"""The help and usage texts, laid out as 1.9 lays them out (cli reference 1.6).

What always holds: pure functions over the catalogue and the flags of a command; no terminal, no wrapping. A flag is any
object with the attributes of :class:`skupper_podman.cli.flags.Flag`; that module is not imported, so that the root help
starts fast.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from skupper_podman.cli import catalog

_NAME_WIDTH = 11
_GLOBALS = """\
  -n, --namespace string   Site to use, if this user has several on this host (default: the one without a name)
      --platform string    The platform type to use [kubernetes, podman]"""
"""As the flags are declared, which is not imported here."""

if False:  # for type checkers only; typing.TYPE_CHECKING would import typing
    from skupper_podman.cli.flags import Flag


def name_of(path: str) -> str:
    """Full name of a command."""
    return f"{catalog.PROGRAM} {path}".rstrip()


def group_help(path: str, closing: str = "") -> str:
    """Help of the root or of a group. ``closing`` is an extra last paragraph, if any."""
    short = catalog.COMMANDS[path][1]
    blocks = [short] if short else []
    blocks += [f"Usage:\n  {name_of(path)} [command]", _available(path)]
    if path:
        blocks += [f"Flags:\n  -h, --help   help for {path.split()[-1]}", f"Global Flags:\n{_GLOBALS}"]
    else:
        blocks.append(f"Flags:\n  -h, --help               help for {catalog.PROGRAM}\n{_GLOBALS}")
    blocks.append(f'Use "{name_of(path)} [command] --help" for more information about a command.')
    if closing:
        blocks.append(closing)
    return "\n\n".join(blocks) + "\n"


def _available(path: str) -> str:
    commands = catalog.children(path)
    width = max(_NAME_WIDTH, *(len(name) for name, _short in commands))
    return "\n".join(["Available Commands:", *(f"  {name.ljust(width)} {short}" for name, short in commands)])


def command_help(description: str, usage: str) -> str:
    """Help of a command: its description, then its usage."""
    return f"{description.rstrip()}\n\n{usage}"


def command_usage(
    path: str, arguments: str, flags: Sequence[Flag], global_flags: Sequence[Flag], examples: str = ""
) -> str:
    """Usage of a command: its form, examples, flags."""
    form = f"Usage:\n  {name_of(path)} {arguments}".rstrip() + " [flags]"
    blocks = [form]
    if examples:
        blocks.append(f"Examples:\n{examples.rstrip()}")
    lines = [_flag_columns(flag) for flag in flags if not flag.hidden]
    blocks.append("Flags:\n" + _aligned(lines))
    shared = [_flag_columns(flag) for flag in global_flags if not flag.hidden]
    if shared:
        blocks.append("Global Flags:\n" + _aligned(shared))
    return "\n\n".join(blocks) + "\n"


def _flag_columns(flag: Flag) -> tuple[str, str]:
    head = f"  -{flag.short}, --{flag.name}" if flag.short else f"      --{flag.name}"
    if flag.takes_value:
        head += f" {flag.kind}"
    return head, flag.help + _default(flag)


def _default(flag: Flag) -> str:
    from skupper_podman.cli.govalues import format_duration, quote

    if flag.kind == "stringToString":
        return " (default [])"
    if not flag.default:
        return ""
    if flag.kind == "duration":
        return f" (default {format_duration(flag.default)})"
    if flag.kind == "string":
        return f" (default {quote(flag.default)})"
    if isinstance(flag.default, tuple):
        return f" (default [{','.join(str(item) for item in flag.default)}])"
    return f" (default {str(flag.default).lower() if flag.kind == 'bool' else flag.default})"


def _aligned(columns: Iterable[tuple[str, str]]) -> str:
    rows = list(columns)
    width = max(len(head) for head, _text in rows)
    return "\n".join(f"{head.ljust(width)}   {text}" for head, text in rows)
