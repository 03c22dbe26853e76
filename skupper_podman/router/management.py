"""A blocking client of a router's management agent.

For those who look after a router from outside: the tools skmanage and skstat, the site controller, tests. One
connection; requests go to the router it leads to, or through that router to any other of the network.

What always holds: no call lasts longer than the client's timeout; every failure is a ManagementError. proton is
imported when the first connection is opened, not before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from skupper_podman.errors import ManagementError
from skupper_podman.router.access import BusUrl, Sasl, Tls

if TYPE_CHECKING:
    from proton import Message

    from skupper_podman.router.wire import Wire

__all__ = [
    "DEFAULT_URL",
    "AgentAbsentError",
    "BusUrl",
    "ManagementClient",
    "QueryResult",
    "RequestRefusedError",
    "RouterTimeoutError",
    "RouterUnreachableError",
    "Sasl",
    "Tls",
    "node_address",
]

DEFAULT_URL: Final = "amqp://localhost:5672"
LOCAL_NODE: Final = "$management"
PAGE: Final = 500
"""Rows asked for at once. proton's decoder fails on very long lists (PROTON-1846)."""

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
    """One connection to a router, opened again when the router has dropped it meanwhile.

    Use it as a context manager, or call `close`. ``node`` in every call is the address of the agent asked (see
    `node_address`); empty means the client's own.
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
        self._tls = (tls or Tls()) if self.url.secure else None
        self._sasl = sasl or Sasl(user=self.url.user, password=self.url.password)
        self._sent = 0
        self._wire: Wire | None = self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; waits at most a second for the router's consent. A second call does nothing."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

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

    def query_nodes(
        self,
        nodes: Mapping[str, tuple[str, str]],
        limit: float,
        columns: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> dict[str, list[dict[str, Any]] | str]:
        """Ask many agents at the same time for all entities of a type; each value is an agent's address and a type.

        Of a type in ``columns`` only these attributes are wanted. Gives by the same keys the rows, or in words why
        there are none; takes at most ``limit`` seconds. Raises ManagementError only where this router itself cannot be
        asked.
        """
        from proton import Message

        from skupper_podman.router.wire import WireError

        if not nodes or self._wire is None:
            return {}
        messages, keys = {}, {}
        for name, (node, entity_type) in nodes.items():
            self._sent += 1
            key = keys[name] = str(self._sent)
            body = {"attributeNames": list(columns.get(entity_type, ()))}
            message = Message(body=body, reply_to=self._wire.reply_to, address=node)
            message.correlation_id = key
            properties = {"name": "self", "type": "org.amqp.management", "operation": "QUERY"}
            message.properties = properties | ({"entityType": entity_type} if entity_type else {})
            messages[key] = message
        try:
            answers = self._wire.exchange_all(messages, limit)
        except WireError as error:
            raise RouterUnreachableError(f"The connection to the router at {self.url} broke: {error}") from error
        return {name: _rows_or_reason(answers.get(key), limit) for name, key in keys.items()}

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

        if self._wire is None:
            raise RouterUnreachableError(f"The connection to {self.url} is closed")
        if not self._wire.is_alive():
            self._wire.close()
            self._wire = self._connect()
        node = node or self.node
        self._sent += 1
        message = Message(body={} if body is None else body, reply_to=self._wire.reply_to)
        message.correlation_id = str(self._sent)
        message.properties = {name: value for name, value in properties.items() if value not in ("", None)}
        answer = self._exchange(self._wire, message, node)
        while answer.correlation_id != str(self._sent):  # the late answer to a request that was given up
            answer = self._exchange(self._wire, None, node)
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

    def _connect(self) -> Wire:
        from skupper_podman.router.wire import Wire, WireError, WireTimeout

        url = self.url
        try:
            return Wire(url.host, url.port, timeout=self.timeout, tls=self._tls, sasl=self._sasl)
        except WireTimeout as error:
            raise RouterTimeoutError(f"No answer from {url} within {self.timeout:g} s") from error
        except WireError as error:
            raise RouterUnreachableError(f"Cannot reach the router at {url}: {error}") from error

    def _exchange(self, wire: Wire, message: Message | None, node: str) -> Message:
        """Send the request, if one is given, and receive an answer.

        Requests to other routers go by an anonymous link, where the router refuses an unknown one at once.
        """
        from skupper_podman.router.wire import WireError, WireRefused, WireTimeout

        try:
            if message is not None:
                local = node == LOCAL_NODE
                if not local:
                    message.address = node
                wire.send(message, node if local else "")
            return wire.receive()
        except WireTimeout as error:
            what = f"The management agent {node} of {self.url}"
            raise RouterTimeoutError(f"{what} did not answer within {self.timeout:g} s") from error
        except WireRefused as error:
            if error.absent:
                raise AgentAbsentError(f"The network of {self.url} has no management agent {node}") from error
            raise ManagementError(f"The router at {self.url} rejected the request to {node}") from error
        except WireError as error:
            raise RouterUnreachableError(f"The connection to the router at {self.url} broke: {error}") from error


def _rows_or_reason(answer: Any, limit: float) -> list[dict[str, Any]] | str:
    if answer is None:
        return f"no answer within {limit:g} s"
    if isinstance(answer, Exception):
        return "it is not part of the network now"
    try:
        body = _body(answer)
        return [
            {str(name): value for name, value in zip(body["attributeNames"], row, strict=False) if value is not None}
            for row in body["results"]
        ]
    except ManagementError as error:
        return error.message
    except (TypeError, KeyError, ValueError):
        return "it answered with something else than a table"


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
