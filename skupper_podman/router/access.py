"""Where a router listens, and with what to gain access to it: values, without I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from skupper_podman.errors import ManagementError

_PORTS: Final = {"amqp": 5672, "amqps": 5671}


@dataclass(frozen=True, slots=True)
class Tls:
    """Files for a TLS connection, in PEM form; the certificate also authenticates the client by SASL EXTERNAL.

    ``verify_name`` false accepts a certificate made out to another host.
    """

    trust: str = ""
    certificate: str = ""
    key: str = ""
    password: str = field(default="", repr=False)
    verify_name: bool = True


@dataclass(frozen=True, slots=True)
class Sasl:
    """What to authenticate with; all empty means none of it, and the connection begins without SASL."""

    mechanisms: str = ""
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class BusUrl:
    """Where a router listens. ``address`` is the management node named by the URL's path, empty for the default."""

    host: str
    port: int
    secure: bool = False
    address: str = ""
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> BusUrl:
        """Read ``[amqp[s]://][user[:password]@]host[:port][/address]``; raises ManagementError."""
        parts = urlsplit(text if "://" in text else f"amqp://{text.removeprefix('//')}")
        if parts.scheme not in _PORTS:
            raise ManagementError(f"{text!r} is not an AMQP URL", "Write it as amqp://HOST:PORT or amqps://HOST:PORT")
        try:
            port = parts.port or _PORTS[parts.scheme]
        except ValueError:
            _, _, name = parts.netloc.rpartition(":")
            if name not in _PORTS:
                raise ManagementError(f"{text!r} has no valid port") from None
            port = _PORTS[name]
        return cls(
            parts.hostname or "localhost",
            port,
            parts.scheme == "amqps",
            unquote(parts.path).removeprefix("/"),
            unquote(parts.username or ""),
            unquote(parts.password or ""),
        )

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'amqps' if self.secure else 'amqp'}://{host}:{self.port}"
