"""TLS on the sockets of tcpListener and tcpConnector, with Python's ssl on non-blocking sockets.

The stream between the routers carries clear octets (protected by the routers' own links); this is
TLS between client and listener, and between connector and server. What always holds: the handshake
never blocks the loop and has a time limit; a secured socket offers the same calls as a plain one, and
says "would block" the same way; octets that TLS has decrypted but nobody has read yet are never
forgotten, although the descriptor is not readable.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Final

from skupper_podman.routerd.amqp.security import SslProfile, TlsError
from skupper_podman.routerd.loop import EPOLLIN, EPOLLOUT, Descriptor, Loop

HANDSHAKE_TIMEOUT: Final = 10.0
ALPN: Final = ["h2", "http/1.1"]

Secured = Callable[["TlsSocket | None", str], None]


class TlsSocket:
    """A socket with TLS, shaped like the plain one that `TcpFlow` uses."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self._sock = sock
        self._sent = False

    def fileno(self) -> int:
        """The descriptor."""
        return self._sock.fileno()

    def recv_into(self, buffer: memoryview) -> int:
        """Read clear octets until the buffer is full or none is left; 0 at the end of the stream."""
        done = 0
        size = len(buffer)
        while done < size:
            try:
                got = self._sock.recv_into(buffer[done:])
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except ssl.SSLEOFError:
                # No close_notify: the stream may have been cut short.
                if done:
                    break
                raise ConnectionResetError("TLS stream was cut") from None
            except ssl.SSLError as error:
                raise ConnectionResetError(str(error)) from error
            if got == 0:
                return done
            done += got
        if not done:
            raise BlockingIOError
        return done

    def pending(self) -> int:
        """Clear octets that can be read although the descriptor may not be readable."""
        return self._sock.pending()

    def send(self, data: Any) -> int:
        """Send clear octets; how many were taken."""
        try:
            return self._sock.send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None
        except ssl.SSLError as error:
            raise ConnectionResetError(str(error)) from error

    def sendmsg(self, pieces: list[Any]) -> int:
        """Send the pieces as one record or a few."""
        return self.send(b"".join(pieces))

    def shutdown(self, _how: int) -> None:
        """End our direction with close_notify; the peer may go on sending."""
        with contextlib.suppress(OSError, ValueError):
            self._sock.unwrap()

    def getsockname(self) -> Any:
        """As of the socket."""
        return self._sock.getsockname()

    def getsockopt(self, level: int, option: int) -> int:
        """As of the socket."""
        return self._sock.getsockopt(level, option)

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        """As of the socket."""
        self._sock.setsockopt(level, option, value)

    def selected_alpn_protocol(self) -> str | None:
        """The application protocol that the handshake agreed on."""
        return self._sock.selected_alpn_protocol()

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


class _Handshake:
    def __init__(self, loop: Loop, sock: ssl.SSLSocket, done: Secured) -> None:
        self._sock = sock
        self._done: Secured | None = done
        self._descriptor = Descriptor(loop, sock.fileno(), EPOLLIN, self._step)
        self._timer = loop.call_later(HANDSHAKE_TIMEOUT, lambda: self._end("TLS handshake timed out"))
        self._step(0)

    def give_up(self) -> None:
        """End it, unless it has ended."""
        self._end("TLS handshake given up")

    def _step(self, _events: int) -> None:
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            self._descriptor.want(EPOLLIN)
            return
        except ssl.SSLWantWriteError:
            self._descriptor.want(EPOLLOUT)
            return
        except OSError as error:
            self._end(f"TLS handshake failed: {error}")
            return
        self._end("")

    def _end(self, error: str) -> None:
        done, self._done = self._done, None
        if done is None:
            return
        self._timer.cancel()
        self._descriptor.close()
        if error:
            self._sock.close()
            done(None, error)
        else:
            done(TlsSocket(self._sock), "")


class _Context:
    """An `ssl.SSLContext` of a profile, made again when its files change on disk."""

    def __init__(self, profile: SslProfile, make: Callable[[], ssl.SSLContext]) -> None:
        self._profile = profile
        self._make = make
        self._kept: tuple[tuple[int, ...], ssl.SSLContext] | None = None

    def get(self) -> ssl.SSLContext:
        """The context; raises `TlsError`."""
        stamps = self._profile.stamps()
        if self._kept is None or self._kept[0] != stamps:
            try:
                self._kept = (stamps, self._load())
            except (OSError, ValueError) as error:
                if self._kept is None:
                    raise TlsError(f"sslProfile {self._profile.name}: {error}") from None
                # In the middle of a renewal: the old ones serve until the new ones are complete.
        return self._kept[1]

    def _load(self) -> ssl.SSLContext:
        context, profile = self._make(), self._profile
        if profile.cert:
            context.load_cert_chain(profile.cert, profile.key, profile.password)
        if profile.ca:
            context.load_verify_locations(profile.ca)
        if profile.attributes.get("ciphers"):
            context.set_ciphers(str(profile.attributes["ciphers"]))
        return context


class ServerTls:
    """TLS of a tcpListener or httpListener."""

    def __init__(self, profile: SslProfile, *, demand: bool, alpn: Sequence[str] = ALPN) -> None:
        self._demand = demand
        self._alpn = list(alpn)
        self._context = _Context(profile, self._make)

    def accept(self, loop: Loop, sock: socket.socket, done: Callable[[TlsSocket | None], None]) -> Callable[[], None]:
        """Shake hands with a client; the answer gives up. Raises `TlsError` when the profile cannot be used."""
        context = self._context.get()
        secured = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return _Handshake(loop, secured, lambda made, _error: done(made)).give_up

    def _make(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(self._alpn)
        if self._demand:
            context.verify_mode = ssl.CERT_REQUIRED
        return context


class ClientTls:
    """TLS of a tcpConnector or httpConnector."""

    def __init__(self, profile: SslProfile, host: str, *, verify_host_name: bool) -> None:
        self._host = host
        self._profile = profile
        self._verify_host_name = verify_host_name
        self._contexts: dict[str | None, _Context] = {}

    def connect(self, loop: Loop, sock: socket.socket, done: Secured, alpn: str | None) -> None:
        """Shake hands with a server; raises `TlsError` when the profile cannot be used."""
        if alpn not in self._contexts:
            if len(self._contexts) > 8:
                self._contexts.clear()
            self._contexts[alpn] = _Context(self._profile, lambda: self._make(alpn))
        context = self._contexts[alpn].get()
        secured = context.wrap_socket(sock, server_hostname=self._host, do_handshake_on_connect=False)
        _Handshake(loop, secured, done)

    def _make(self, alpn: str | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = self._verify_host_name and bool(self._profile.ca)
        context.verify_mode = ssl.CERT_REQUIRED if self._profile.ca else ssl.CERT_NONE
        if alpn:
            context.set_alpn_protocols([alpn])
        return context
