"""What both tools have in common: the options that say which router to ask and how, and how they fail.

A failure is one line on standard error, ``Kind: text``, and exit status 1; a wrong command line exits with 2.
Skupper 1.9 looks for two kinds in that line, ``SendException: RELEASED`` (the router asked for is gone) and
``Timeout:``, so they keep the names of upstream's tools.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from skupper_podman import SKUPPER_VERSION, __version__
from skupper_podman.errors import InvalidError, SkupperError, UsageError
from skupper_podman.router.access import BusUrl, Sasl, Tls

if TYPE_CHECKING:
    from skupper_podman.router.management import ManagementClient

Environment = dict[str, str]


class ValidationError(InvalidError):
    """An attribute that its type does not have; the router need not be asked to know."""


def new_parser(program: str, description: str, usage: str | None = None) -> argparse.ArgumentParser:
    """A parser with the options every tool has."""
    parser = argparse.ArgumentParser(prog=program, description=description, usage=usage, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"{__version__} (Skupper {SKUPPER_VERSION})")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="Show maximum detail")
    return parser


def add_target_options(parser: argparse._ActionsContainer) -> None:
    """Options that choose the router to ask."""
    parser.add_argument("-r", "--router", default="", metavar="ROUTER-ID", help="Interior router to ask")
    parser.add_argument("-d", "--edge-router", default="", metavar="EDGE-ROUTER-ID", help="Edge router to ask")


def add_connection_options(parser: argparse.ArgumentParser) -> None:
    """Options that say how to connect."""
    group = parser.add_argument_group("Connection options")
    add = group.add_argument
    add("-b", "--bus", default="localhost", metavar="URL", help="Router to connect to (default %(default)s, port 5672)")
    add("-t", "--timeout", type=_seconds, default=5.0, metavar="SECS", help="Longest wait (default %(default)g)")
    add("--ssl-certificate", default="", metavar="CERT", help="Client certificate (PEM)")
    add("--ssl-key", default="", metavar="KEY", help="Private key of the certificate (PEM)")
    add("--ssl-trustfile", default="", metavar="TRUSTED-CA-DB", help="Trusted certificate authorities (PEM)")
    add("--ssl-password", default="", metavar="PASSWORD", help="Password of the key; a password file is safer")
    add("--ssl-password-file", default="", metavar="FILE", help="File with the password of the key")
    add("--ssl-disable-peer-name-verify", action="store_true", help="Accept certificates of other hosts; insecure")
    add("--sasl-mechanisms", default="", metavar="MECHANISMS", help="Allowed SASL mechanisms")
    add("--sasl-username", default="", metavar="USER", help="User name for SASL")
    add("--sasl-password", default="", metavar="PASSWORD", help="Password for SASL; a password file is safer")
    add("--sasl-password-file", default="", metavar="FILE", help="File with the password for SASL")


def open_client(options: argparse.Namespace) -> ManagementClient:
    """Connect as the options say; raises ManagementError."""
    # proton is loaded only now: --help and wrong usage need no connection
    from skupper_podman.router.management import ManagementClient, node_address

    url = BusUrl.parse(options.bus)
    if not url.secure and (options.ssl_certificate or options.ssl_trustfile):
        url = BusUrl.parse(f"amqps://{options.bus.removeprefix('amqp://')}")
    tls = Tls(
        options.ssl_trustfile,
        options.ssl_certificate,
        options.ssl_key,
        _password(options.ssl_password, options.ssl_password_file),
        verify_name=not options.ssl_disable_peer_name_verify,
    )
    sasl = Sasl(
        options.sasl_mechanisms,
        options.sasl_username or url.user,
        _password(options.sasl_password, options.sasl_password_file) or url.password,
    )
    node = url.address or node_address(options.router, options.edge_router)
    return ManagementClient(replace(url, address=""), tls=tls, sasl=sasl, node=node, timeout=options.timeout)


def run_tool(program: str, run: Callable[[], None]) -> int:
    """Run a tool's work and turn what it raises into one line and an exit status."""
    try:
        run()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough. Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except UsageError as error:
        print(f"{program}: error: {error}", file=sys.stderr)
        return error.exit_code
    except SkupperError as error:
        print(f"{_kind(error)}: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _kind(error: SkupperError) -> str:
    from skupper_podman.router import management

    match error:
        case management.RequestRefusedError():
            return error.status_name
        case management.AgentAbsentError():
            return "SendException: RELEASED"
        case management.RouterUnreachableError():
            return "ConnectionException"
        case management.RouterTimeoutError():
            return "Timeout"
        case ValidationError():
            return "ValidationError"
        case _:
            return "Error"


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds above 0")
    return seconds


def _password(given: str, path: str) -> str:
    if not path:
        return given
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise UsageError(f"cannot read the password file {path}: {error.strerror}") from error
