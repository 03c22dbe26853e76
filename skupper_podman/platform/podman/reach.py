"""Whether the other end of a link can be reached from here now: name, TCP, TLS, each with its own answer.

What always holds: it takes no longer than its time limit. A peer that cannot be reached may be down while the link is
made, so that is no reason to refuse one; a peer that shows another certificate than the token's issuer has will never
be linked to, and that is.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from skupper_podman.errors import InvalidError
from skupper_podman.platform.podman.claims import tls_context

LIMIT: Final = 2.5

Check = Literal["link-dns", "link-tcp", "link-tls"]


@dataclass(frozen=True, slots=True)
class Unreachable:
    """What keeps us from the peer now: the check that failed, why, and whether that can never get better."""

    check: Check
    reason: str
    lasting: bool = False


def probe(host: str, port: int, data: Mapping[str, bytes], limit: float = LIMIT) -> Unreachable | None:
    """What keeps us from connecting to ``host``:``port`` with the certificates ``data``; None if nothing does."""
    outcome: list[Unreachable | None] = []
    # A thread, because looking a name up has no time limit; a daemon, so that it never delays the exit.
    thread = threading.Thread(target=lambda: outcome.append(_try(host, port, data, limit)), daemon=True)
    thread.start()
    thread.join(limit)
    return outcome[0] if outcome else _silent(host, port, limit)


def _silent(host: str, port: int, limit: float) -> Unreachable:
    return Unreachable("link-tcp", f"{host}:{port} did not answer within {limit:g} seconds")


def _try(host: str, port: int, data: Mapping[str, bytes], limit: float) -> Unreachable | None:
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return Unreachable("link-dns", f"{host} cannot be resolved to an address on this host")
    try:
        connection = socket.create_connection((host, port), limit)
    except TimeoutError:
        return _silent(host, port, limit)
    except OSError as error:
        reason = error.strerror or str(error)
        where = f"{host}:{port} ({addresses[0][4][0]})"
        return Unreachable("link-tcp", f"{where} cannot be reached from this host now: {reason}")
    with connection:
        try:
            return _try_tls(connection, host, port, data)
        except TimeoutError:
            return _silent(host, port, limit)


def _try_tls(connection: socket.socket, host: str, port: int, data: Mapping[str, bytes]) -> Unreachable | None:
    try:
        context = tls_context(data.get("ca.crt"))
        _load_own(context, data)
        with context.wrap_socket(connection, server_hostname=host):
            return None
    except ssl.SSLCertVerificationError as error:
        reason = f"{host}:{port} does not show the certificate of the site that issued the token"
        return Unreachable("link-tls", f"{reason}: {error.verify_message}", lasting=True)
    except TimeoutError:
        raise  # it may speak TLS, and be slow
    except (OSError, InvalidError) as error:
        cause = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        return Unreachable("link-tls", f"{host}:{port} does not speak TLS as a router does: {cause}")


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
