"""Whether the other end of a link can be reached from here now: name, TCP, TLS, each with its own answer.

What always holds: it takes no longer than its time limit and never refuses a link; a peer may be down while the link is
made, so every answer is a warning.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Mapping
from typing import Final

from skupper_podman.errors import InvalidError
from skupper_podman.platform.podman.claims import tls_context

LIMIT: Final = 2.5
_LATER: Final = "the link is made as soon as it can be reached"


def reachability(host: str, port: int, data: Mapping[str, bytes], limit: float = LIMIT) -> tuple[str, ...]:
    """Warnings about connecting to ``host``:``port`` with the certificates ``data``; none if all is well."""
    outcome: list[str] = []
    # A thread, because looking a name up has no time limit; a daemon, so that it never delays the exit.
    thread = threading.Thread(target=lambda: outcome.append(_try(host, port, data, limit)), daemon=True)
    thread.start()
    thread.join(limit)
    problem = outcome[0] if outcome else _silent(host, port, limit)
    return (problem,) if problem else ()


def _silent(host: str, port: int, limit: float) -> str:
    return f"{host}:{port} did not answer within {limit:g} seconds; {_LATER}"


def _try(host: str, port: int, data: Mapping[str, bytes], limit: float) -> str:
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return f"{host} cannot be resolved to an address on this host; {_LATER}"
    try:
        connection = socket.create_connection((host, port), limit)
    except TimeoutError:
        return _silent(host, port, limit)
    except OSError as error:
        reason = error.strerror or str(error)
        return f"{host}:{port} ({addresses[0][4][0]}) cannot be reached from this host now: {reason}; {_LATER}"
    with connection:
        try:
            return _try_tls(connection, host, port, data)
        except TimeoutError:
            return _silent(host, port, limit)


def _try_tls(connection: socket.socket, host: str, port: int, data: Mapping[str, bytes]) -> str:
    try:
        context = tls_context(data.get("ca.crt"))
        _load_own(context, data)
        with context.wrap_socket(connection, server_hostname=host):
            return ""
    except ssl.SSLCertVerificationError as error:
        return f"{host}:{port} does not show the certificate of the site that issued the token: {error.verify_message}"
    except TimeoutError:
        raise  # it may speak TLS, and be slow
    except (OSError, InvalidError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        return f"{host}:{port} does not speak TLS as a router does: {reason}; {_LATER}"


def _load_own(context: ssl.SSLContext, data: Mapping[str, bytes]) -> None:
    """Show our certificate as the link will. OpenSSL reads it from files only; these exist in memory alone."""
    if not data.get("tls.crt") or not data.get("tls.key"):
        return
    paths = []
    with contextlib.ExitStack() as stack:
        for name in ("tls.crt", "tls.key"):
            descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
            file = stack.enter_context(os.fdopen(descriptor, "wb"))
            file.write(data[name])
            file.flush()
            paths.append(f"/proc/self/fd/{descriptor}")
        context.load_cert_chain(*paths)
