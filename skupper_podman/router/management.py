"""A blocking client of a router's management agent.

For those who look after a router from outside: the tools skmanage and skstat, the site controller, tests. One
connection; requests go to the router it leads to, or through that router to any other of the network.

What always holds: no call lasts longer than the client's timeout; every failure is a ManagementError. proton is
imported when the first connection is opened, not before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import unquote, urlsplit

from skupper_podman.errors import ManagementError

if TYPE_CHECKING:
    from proton import Message
    from proton.utils import BlockingReceiver, BlockingSender

DEFAULT_URL: Final = "amqp://localhost:5672"
LOCAL_NODE: Final = "$management"
PAGE: Final = 500
"""Rows asked for at once. proton's decoder fails on very long lists (PROTON-1846)."""

_PORTS: Final = {"amqp": 5672, "amqps": 5671}
_CONDITION: Final = re.compile(r"""Condition\(['"](?P<name>[^'"]*)['"](?:,\s*['"](?P<text>.*?)['"])?[,)]""", re.DOTALL)
_STATUS_NAMES: Final = {
    400: "BadRequestStatus",
    401: "UnauthorizedStatus",
    403: "ForbiddenStatus",
    404: "NotFoundStatus",
    500: "InternalServerErrorStatus",
    501: "NotImplementedStatus",
}


class RouterUnreachableError(ManagementError):
    """There is no connection to the router, or it broke."""


class AgentAbsentError(ManagementError):
    """The network has no router of the id asked for."""


class RouterTimeoutError(ManagementError):
    """The router did not answer in time."""


class RequestRefusedError(ManagementError):
    """The router answered with an error. ``status`` is the AMQP management status code, 400 to 599."""

    def __init__(self, status: int, description: str) -> None:
        super().__init__(description)
        self.status = status

    @property
    def status_name(self) -> str:
        """The status in words, as skupper-router's own tools name it."""
        return _STATUS_NAMES.get(self.status, f"Status {self.status}")


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


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The answer to a query: rows of values in the order of the names."""

    names: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.dicts())

    def dicts(self, *, without_nulls: bool = False) -> list[dict[str, Any]]:
        """Each row as a dict of its attributes."""
        return [
            {name: value for name, value in zip(self.names, row, strict=False) if not (without_nulls and value is None)}
            for row in self.rows
        ]


def node_address(router: str = "", edge_router: str = "") -> str:
    """The management address of an interior router, an edge router or, by default, the router connected to."""
    if router:
        return f"_topo/0/{router}/{LOCAL_NODE}"
    return f"_edge/{edge_router}/{LOCAL_NODE}" if edge_router else LOCAL_NODE


class ManagementClient:
    """One connection to a router. Use it as a context manager, or call `close`.

    ``node`` in every call is the address of the agent asked (see `node_address`); empty means the client's own.
    """

    def __init__(
        self,
        url: str | BusUrl = DEFAULT_URL,
        *,
        tls: Tls | None = None,
        sasl: Sasl | None = None,
        node: str = "",
        timeout: float = 10.0,
    ) -> None:
        """Connect. ``timeout`` is in seconds, for this and for each call. Raises ManagementError."""
        self.url = BusUrl.parse(url) if isinstance(url, str) else url
        self.node = node or self.url.address or LOCAL_NODE
        self.timeout = timeout
        self._senders: dict[str, BlockingSender] = {}
        self._sent = 0
        self._connection = self._connect(tls, sasl)
        try:
            self._receiver: BlockingReceiver = self._guarded(
                self._connection.create_receiver, None, credit=10, dynamic=True
            )
        except ManagementError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; waits at most a second for the router's consent. A second call does nothing."""
        from proton import ProtonException

        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.timeout = min(self.timeout, 1.0)
        try:
            connection.close()
        except (ProtonException, OSError):
            return  # it is as good as closed

    def query(
        self,
        entity_type: str = "",
        attributes: Sequence[str] = (),
        *,
        limit: int = 0,
        node: str = "",
    ) -> QueryResult:
        """These attributes (none: all) of all entities of a type (empty: of all types); at most ``limit`` if not 0."""
        names: tuple[str, ...] = ()
        rows: list[tuple[Any, ...]] = []
        while True:
            count = min(PAGE, limit - len(rows)) if limit else PAGE
            properties = {"entityType": entity_type, "offset": len(rows), "count": count}
            answer = self.request_node("QUERY", properties, {"attributeNames": list(attributes)}, node=node)
            if not isinstance(answer, Mapping) or "results" not in answer:
                raise ManagementError("The router answered a query with something else than a table")
            names = names or tuple(str(name) for name in answer["attributeNames"])
            page = [tuple(row) for row in answer["results"]]
            rows += page
            if len(page) != count or (limit and len(rows) >= limit):
                return QueryResult(names, tuple(rows))

    def create(
        self, entity_type: str, name: str = "", attributes: Mapping[str, Any] | None = None, *, node: str = ""
    ) -> dict[str, Any]:
        """Create an entity and give its attributes."""
        return self._request_entity("CREATE", entity_type, name, "", attributes, node)

    def read(self, entity_type: str = "", name: str = "", *, identity: str = "", node: str = "") -> dict[str, Any]:
        """The attributes of the entity of this name or identity."""
        return self._request_entity("READ", entity_type, name, identity, None, node)

    def update(
        self,
        entity_type: str,
        name: str = "",
        attributes: Mapping[str, Any] | None = None,
        *,
        identity: str = "",
        node: str = "",
    ) -> dict[str, Any]:
        """Change these attributes of an entity and give all of them."""
        return self._request_entity("UPDATE", entity_type, name, identity, attributes, node)

    def delete(self, entity_type: str = "", name: str = "", *, identity: str = "", node: str = "") -> None:
        """Delete an entity."""
        self._request_entity("DELETE", entity_type, name, identity, None, node)

    def management_nodes(self) -> list[str]:
        """The addresses of the management agents of all interior routers; none when connected to an edge router."""
        return [str(address) for address in self.request_node("GET-MGMT-NODES", {}) or ()]

    def request_node(
        self, operation: str, properties: Mapping[str, Any], body: object = None, *, node: str = ""
    ) -> Any:
        """Any operation of the management node itself; gives the body of the answer."""
        return self.request(
            {"name": "self", "type": "org.amqp.management", "operation": operation, **properties}, body, node=node
        )

    def request(self, properties: Mapping[str, Any], body: object = None, *, node: str = "") -> Any:
        """Send one request and give the body of the answer; empty properties are left out.

        Raises RequestRefusedError, AgentAbsentError, RouterTimeoutError or RouterUnreachableError.
        """
        from proton import Message

        if self._connection is None:
            raise RouterUnreachableError(f"The connection to {self.url} is closed")
        node = node or self.node
        self._sent += 1
        correlation = str(self._sent)
        message = Message(body={} if body is None else body, reply_to=self._receiver.link.remote_source.address)
        message.correlation_id = correlation
        message.properties = {name: value for name, value in properties.items() if value not in ("", None)}
        self._send(message, node)
        while True:
            answer = self._guarded(self._receiver.receive, self.timeout, waiting_for=node)
            if self._receiver.fetcher.unsettled:  # routers settle their answers before sending them
                self._receiver.accept()
            if answer.correlation_id == correlation:
                return _body(answer)

    def _request_entity(
        self,
        operation: str,
        entity_type: str,
        name: str,
        identity: str,
        attributes: Mapping[str, Any] | None,
        node: str,
    ) -> dict[str, Any]:
        properties = {
            "operation": operation,
            "type": entity_type,
            "name": "" if identity else name,
            "identity": identity,
        }
        answer = self.request(properties, dict(attributes or {}), node=node)
        return dict(answer) if isinstance(answer, Mapping) else {}

    def _send(self, message: Message, node: str) -> None:
        """Send to an agent. Those of other routers by an anonymous link, where an unknown one is refused at once."""
        local = node == LOCAL_NODE
        link = node if local else ""
        if link not in self._senders:
            self._senders[link] = self._guarded(self._connection.create_sender, link or None)
        if not local:
            message.address = node
        self._guarded(self._senders[link].send, message, self.timeout, waiting_for=node)

    def _connect(self, tls: Tls | None, sasl: Sasl | None) -> Any:
        from proton.utils import BlockingConnection

        sasl = sasl or Sasl(user=self.url.user, password=self.url.password)
        options: dict[str, Any] = {"sasl_enabled": bool(self.url.secure or sasl != Sasl())}
        if sasl.mechanisms or (tls and tls.certificate):
            options["allowed_mechs"] = sasl.mechanisms or "EXTERNAL"
        if sasl.user:
            options |= {"user": sasl.user, "password": sasl.password}
        domain = _ssl_domain(tls or Tls()) if self.url.secure else None
        return self._guarded(BlockingConnection, str(self.url), self.timeout, ssl_domain=domain, **options)

    def _guarded(self, call: Any, *arguments: Any, waiting_for: str = "", **options: Any) -> Any:
        """Make a call of proton's and turn what it raises into errors of this module."""
        from proton import ConnectionException, Delivery, ProtonException, Timeout
        from proton.utils import SendException

        where = str(self.url)
        try:
            return call(*arguments, **options)
        except Timeout:
            what = f"The management agent {waiting_for} did not answer" if waiting_for else f"No answer from {where}"
            raise RouterTimeoutError(f"{what} within {self.timeout:g} s") from None
        except SendException as error:
            if error.state in (Delivery.RELEASED, Delivery.MODIFIED):
                raise AgentAbsentError(f"The network of {where} has no management agent {waiting_for}") from error
            raise ManagementError(f"The router at {where} rejected the request to {waiting_for}") from error
        except ConnectionException as error:
            raise RouterUnreachableError(f"Cannot reach the router at {where}: {_reason(error)}") from error
        except ProtonException as error:
            raise ManagementError(f"The router at {where} refused: {_reason(error)}") from error
        except OSError as error:
            raise RouterUnreachableError(f"Cannot reach the router at {where}: {error.strerror or error}") from error


def _body(answer: Message) -> Any:
    properties = answer.properties or {}
    status = properties.get("statusCode")
    if not isinstance(status, int):
        raise ManagementError("The router answered without a status code")
    if not 200 <= status < 300:
        raise RequestRefusedError(int(status), str(properties.get("statusDescription") or f"Status {status}"))
    return _plain(answer.body)


def _plain(value: Any) -> Any:
    """The value without proton's wrapper classes."""
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    for kind in (int, float, str):
        if isinstance(value, kind) and not isinstance(value, bool):
            return kind(value)
    return value


def _reason(error: Exception) -> str:
    """What is of use in a proton exception's text: the description of the condition inside it, if there is one."""
    text = str(error)
    match = _CONDITION.search(text)
    if match is None:
        return text
    return match["text"] or match["name"]


def _ssl_domain(tls: Tls) -> Any:
    from proton import SSLDomain, SSLException

    for path in (tls.trust, tls.certificate, tls.key):
        if path and not Path(path).is_file():
            raise ManagementError(f"Cannot read {path}: no such file")
    try:
        domain = SSLDomain(SSLDomain.MODE_CLIENT)
        if tls.trust:
            domain.set_trusted_ca_db(tls.trust)
        if tls.certificate:
            domain.set_credentials(tls.certificate, tls.key or tls.certificate, tls.password or None)
        domain.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME if tls.verify_name else SSLDomain.VERIFY_PEER)
    except SSLException as error:
        raise ManagementError(f"The TLS files cannot be used: {error}") from error
    return domain
