"""The YAML file that defines a gateway, read as a whole: every problem is found, each with its line.

Ports follow the product's documents, not 1.9's bundle code: ``service.ports`` are those on the network and
``target_ports`` those on the gateway's host; one that is left out is like the other. An address with a port
(``db:5432``) is used as it is. What always holds: a key that 1.9 reads is read or named in a warning; a key that looks
like a slip of a known one is refused; what :func:`dump_gateway` writes is read back as the same definition.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, cast

import yaml

from skupper_podman.errors import InvalidError, UsageError
from skupper_podman.model.gateway import (
    BRIDGE_PROTOCOLS,
    MANAGEMENT_PORT,
    AmqpListener,
    Bridge,
    BridgeProtocol,
    GatewayDefinition,
    check_gateway_name,
)
from skupper_podman.model.service import check_address, check_target_host

_LIMIT: Final = 1 << 20

_TOP: Final = frozenset({"name", "bindings", "forwards", "qdr-listeners"})
_ENTRY: Final = frozenset({"name", "host", "service", "target_ports", "loopback", "local_port", "ports"})
_SERVICE: Final = frozenset(
    {"address", "protocol", "ports", "aggregate", "eventchannel", "tlscredentials", "tlscertauthority"}
)
_SERVICE_IDLE: Final = frozenset(
    {
        "exposeingress", "labels", "annotations", "targets", "headless", "origin", "publishnotreadyaddresses",
        "bridgeimage", "enabletls",
    }
)  # fmt: skip
"""Keys of a service that mean something at a site only, in lower case."""
_LISTENER: Final = frozenset({"name", "host", "port"})
_LISTENER_IDLE: Final = frozenset(
    {
        "extrafieldsimpl", "role", "route-container", "http", "cost", "ssl-profile", "sasl-mechanisms",
        "authenticate-peer", "link-capacity", "http-rootdir", "web-sockets", "healthz", "metrics", "max-frame-size",
        "max-session-frames",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class GatewayFile:
    """A definition that was read, and what was not taken from the file."""

    definition: GatewayDefinition
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Findings:
    errors: list[tuple[int, str]] = field(default_factory=list)
    warnings: list[tuple[int, str]] = field(default_factory=list)

    def error(self, node: yaml.Node, text: str) -> None:
        self.errors.append((_line(node), text))

    def warn(self, node: yaml.Node, text: str) -> None:
        self.warnings.append((_line(node), text))


def parse_gateway(text: str | bytes, *, named: bool = True) -> GatewayFile:
    """Read a definition; without ``named`` it may have no name.

    Raises:
        InvalidError: it is malformed; the message names every problem with its line.
    """
    root = _compose(text)
    findings = _Findings()
    definition = GatewayDefinition("")
    if isinstance(root, yaml.MappingNode):
        definition = _definition(root, findings, named=named)
    elif root is not None:
        findings.error(root, "a gateway is defined by keys and values, not by a list or a word")
    elif named:
        findings.errors.append((1, "the file is empty: it needs at least a name"))
    if findings.errors:
        told = "; ".join(f"line {line}: {problem}" for line, problem in sorted(findings.errors))
        raise InvalidError(f"Failed to unmarshal gateway config file: {told}")
    return GatewayFile(definition, tuple(f"line {line}: {note}" for line, note in sorted(findings.warnings)))


def _compose(text: str | bytes) -> yaml.Node | None:
    if len(text) > _LIMIT:
        raise InvalidError("Failed to unmarshal gateway config file: it is too large")
    try:
        found: yaml.Node | None = yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise InvalidError(f"Failed to unmarshal gateway config file: {where}{error.problem or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        reason = getattr(error, "reason", None) or error
        raise InvalidError(f"Failed to unmarshal gateway config file: it is not YAML: {reason}") from None
    return found


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _definition(root: yaml.MappingNode, findings: _Findings, *, named: bool) -> GatewayDefinition:
    keys = _keys(root, findings, _TOP, frozenset(), "a gateway")
    name = ""
    if "name" in keys:
        name = _checked(keys["name"], findings, _text(keys["name"], findings, "name"), check_gateway_name)
    elif named:
        findings.error(root, "the gateway has no name")
    bindings = [bridge for item in _items(keys, "bindings", findings) for bridge in _bridges(item, findings, "binding")]
    forwards = [bridge for item in _items(keys, "forwards", findings) for bridge in _bridges(item, findings, "forward")]
    _check_unique(bindings, findings, "bindings")
    _check_unique(forwards, findings, "forwards")
    _check_ports(forwards, findings)
    listeners = tuple(_listener(item, findings) for item in _items(keys, "qdr-listeners", findings))
    if not any(listener.managed for listener in listeners):
        listeners = (AmqpListener(), *listeners)
    return GatewayDefinition(
        name,
        tuple(bridge for _node, bridge in bindings),
        tuple(bridge for _node, bridge in forwards),
        listeners,
    )


def _keys(
    node: yaml.MappingNode, findings: _Findings, known: frozenset[str], idle: frozenset[str], what: str
) -> dict[str, yaml.Node]:
    """The values by key, keys in lower case; each key once."""
    found: dict[str, yaml.Node] = {}
    for key_node, value in node.value:
        written = str(key_node.value)
        key = written if written in known else written.lower()
        if key in found:
            findings.error(key_node, f"{written} is there twice")
        elif key in known:
            found[key] = value
        elif key in idle:
            if _says_something(value):
                findings.warn(key_node, f"{written} has no effect on a gateway")
        else:
            meant = difflib.get_close_matches(key, known, 1, 0.75)
            if meant:
                findings.error(key_node, f"{written} is no key of {what}; did you mean {meant[0]}?")
            else:
                findings.warn(key_node, f"{written} is no key of {what}, and was ignored")
    return found


def _says_something(node: yaml.Node) -> bool:
    if isinstance(node, yaml.ScalarNode):
        return str(node.value).lower() not in ("", "false", "null", "~", "0")
    return bool(node.value)


def _items(keys: dict[str, yaml.Node], key: str, findings: _Findings) -> Iterator[yaml.MappingNode]:
    node = keys.get(key)
    if node is None or _is_null(node):
        return
    if not isinstance(node, yaml.SequenceNode):
        findings.error(node, f"{key} must be a list")
        return
    for item in node.value:
        if isinstance(item, yaml.MappingNode):
            yield item
        else:
            findings.error(item, f"an element of {key} must have keys and values")


def _bridges(node: yaml.MappingNode, findings: _Findings, kind: str) -> list[tuple[yaml.Node, Bridge]]:
    """The bridges of an entry, one for each port."""
    keys = _keys(node, findings, _ENTRY, frozenset(), f"a {kind}")
    service = _service(keys, node, findings, kind)
    if service is None:
        return []
    host = _host(keys, node, findings, kind)
    pairs = _ports(keys, service, node, findings, kind)
    name = _text(keys["name"], findings, "name") if "name" in keys else ""
    if kind == "forward" and "host" not in keys and host == "127.0.0.1" and not _loopback(keys):
        findings.warn(
            node,
            f"forward {name or service.address} listens on 127.0.0.1 only, where 1.9 would listen on every address: "
            "host: 0.0.0.0 asks for that",
        )
    found: list[tuple[yaml.Node, Bridge]] = []
    for port, local in pairs:
        address = service.address if ":" in service.address else f"{service.address}:{port}"
        own = name or address
        if len(pairs) > 1 and name:
            own = f"{name}-{port}"
        bridge = Bridge(
            own, address, host, local, service.protocol, service.aggregate, service.event_channel,
            service.tls_credentials, service.tls_authority,
        )  # fmt: skip
        found.append((node, bridge))
    return found


@dataclass(slots=True)
class _Service:
    address: str
    protocol: BridgeProtocol = "tcp"
    aggregate: str = ""
    event_channel: bool = False
    tls_credentials: str = ""
    tls_authority: str = ""
    ports: yaml.Node | None = None


def _service(keys: dict[str, yaml.Node], node: yaml.Node, findings: _Findings, kind: str) -> _Service | None:
    given = keys.get("service")
    if given is None:
        findings.error(node, f"the {kind} names no service")
        return None
    if isinstance(given, yaml.ScalarNode):
        address = _address(given, findings)
        return _Service(address) if address else None
    if not isinstance(given, yaml.MappingNode):
        findings.error(given, "service must be an address, or have keys and values")
        return None
    parts = _keys(given, findings, _SERVICE, _SERVICE_IDLE, "a service")
    if "address" not in parts:
        findings.error(given, "the service has no address")
        return None
    address = _address(parts["address"], findings)
    protocol = _text(parts["protocol"], findings, "protocol") if "protocol" in parts else "tcp"
    if protocol not in BRIDGE_PROTOCOLS:
        findings.error(parts["protocol"], f"{protocol} is not a protocol; use tcp, http or http2")
        protocol = "tcp"
    aggregate = _text(parts["aggregate"], findings, "aggregate") if "aggregate" in parts else ""
    if aggregate and aggregate not in ("json", "multipart"):
        findings.error(parts["aggregate"], f"{aggregate} is not a way to aggregate; use json or multipart")
    channel = _flag(parts["eventchannel"], findings, "eventchannel") if "eventchannel" in parts else False
    if (aggregate or channel) and protocol != "http":
        findings.error(given, "aggregate and eventchannel are for protocol http only")
    if aggregate and channel:
        findings.error(given, "only one of aggregate and eventchannel can be used")
    found = _Service(address, cast(BridgeProtocol, protocol), aggregate, channel, ports=parts.get("ports"))
    for key, name in (("tlscredentials", "tls_credentials"), ("tlscertauthority", "tls_authority")):
        if key in parts:
            setattr(found, name, _text(parts[key], findings, key))
    if (found.tls_credentials or found.tls_authority) and protocol == "http":
        findings.error(given, "there is no TLS with protocol http; use tcp or http2")
    return found if address else None


def _address(node: yaml.Node, findings: _Findings) -> str:
    """An address with or without a port; empty if it is wrong."""
    text = _text(node, findings, "address")
    name, colon, port = text.rpartition(":")
    name = name if colon else text
    if not _checked(node, findings, name, check_address):
        return ""
    if colon and not _is_port(port):
        findings.error(node, f"{port} is not a valid port")
        return ""
    return text


def _host(keys: dict[str, yaml.Node], node: yaml.Node, findings: _Findings, kind: str) -> str:
    if "loopback" in keys and kind == "binding":
        findings.warn(keys["loopback"], "loopback has no effect on a binding")
    elif "loopback" in keys and _flag(keys["loopback"], findings, "loopback"):
        return "127.0.0.1"
    if "host" not in keys or _is_null(keys["host"]):
        # 1.9 opens a forward to the whole network of its host unless told otherwise; see ARCHITECTURE.md.
        return "localhost" if kind == "binding" else "127.0.0.1"
    host = _text(keys["host"], findings, "host")
    if kind == "forward" and host in ("", "*"):
        return ""
    return _checked(keys["host"], findings, host, check_target_host)


def _loopback(keys: dict[str, yaml.Node]) -> bool:
    return "loopback" in keys and str(keys["loopback"].value).lower() in ("true", "yes", "on")


def _ports(
    keys: dict[str, yaml.Node], service: _Service, node: yaml.Node, findings: _Findings, kind: str
) -> list[tuple[int, int]]:
    """Pairs of the port on the network and the port on the host."""
    if "ports" in keys:
        return _port_pairs(keys["ports"], findings, kind)
    network = _port_list(service.ports, findings, "ports")
    local = _port_list(keys.get("target_ports"), findings, "target_ports")
    if "local_port" in keys and not local:
        local = _port_list(keys["local_port"], findings, "local_port")
    if service.ports is None and keys.get("target_ports") is None and "local_port" not in keys:
        if ":" in service.address:
            port = int(service.address.rpartition(":")[2])
            return [(port, port)]
        findings.error(node, f"the {kind} has no ports")
        return []
    network, local = network or local, local or network
    if len(network) != len(local):
        findings.error(
            keys.get("target_ports") or node,
            f"{len(network)} ports on the network, but {len(local)} target_ports: each port needs one",
        )
        return []
    if ":" in service.address and len(network) > 1:
        findings.error(
            node, f"the address {service.address} names one port, but there are {len(network)}: leave it out there"
        )
        return []
    return list(zip(network, local, strict=True))


def _port_pairs(node: yaml.Node, findings: _Findings, kind: str) -> list[tuple[int, int]]:
    """The short form: ``ports`` of an entry, each a number or ``port`` with ``targetPort`` or ``sourcePort``."""
    other = "targetPort" if kind == "binding" else "sourcePort"
    if not isinstance(node, yaml.SequenceNode):
        findings.error(node, "ports must be a list")
        return []
    found = []
    for item in node.value:
        if isinstance(item, yaml.MappingNode):
            parts = _keys(item, findings, frozenset({"port", other}), frozenset(), "a port")
            if "port" not in parts:
                findings.error(item, "the element of ports has no port")
                continue
            port = _port(parts["port"], findings)
            local = _port(parts[other], findings) if other in parts else port
        else:
            port = local = _port(item, findings)
        if port and local:
            found.append((port, local))
    return found


def _port_list(node: yaml.Node | None, findings: _Findings, key: str) -> list[int]:
    if node is None or _is_null(node):
        return []
    if isinstance(node, yaml.ScalarNode):
        if key == "local_port":
            port = _port(node, findings)
            return [port] if port else []
        text = str(node.value)
        findings.error(node, f"cannot unmarshal {_kind(node)} `{text}` into a list of {key}: write [{text}]")
        return []
    if not isinstance(node, yaml.SequenceNode):
        findings.error(node, f"{key} must be a list of ports")
        return []
    found = [_port(item, findings) for item in node.value]
    return [port for port in found if port]


def _port(node: yaml.Node, findings: _Findings) -> int:
    """A port, zero if it is none."""
    text = str(node.value) if isinstance(node, yaml.ScalarNode) else "a list"
    if not isinstance(node, yaml.ScalarNode) or not _is_port(text):
        findings.error(node, f"{text} is not a valid port")
        return 0
    return int(text)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 65536


def _listener(node: yaml.MappingNode, findings: _Findings) -> AmqpListener:
    keys = _keys(node, findings, _LISTENER, _LISTENER_IDLE, "a listener")
    name = _text(keys["name"], findings, "name") if "name" in keys else "amqp"
    host = _text(keys["host"], findings, "host") if "host" in keys else "localhost"
    port = _port(keys["port"], findings) if "port" in keys else MANAGEMENT_PORT
    return AmqpListener(name, host, port)


def _text(node: yaml.Node, findings: _Findings, key: str) -> str:
    if _is_null(node):
        return ""
    if not isinstance(node, yaml.ScalarNode):
        findings.error(node, f"{key} must be a text")
        return ""
    return str(node.value)


def _flag(node: yaml.Node, findings: _Findings, key: str) -> bool:
    text = str(node.value).lower() if isinstance(node, yaml.ScalarNode) else ""
    if text not in ("true", "false", "yes", "no", "on", "off"):
        findings.error(node, f"{key} must be true or false")
    return text in ("true", "yes", "on")


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _kind(node: yaml.ScalarNode) -> str:
    return "!!" + str(node.tag).rpartition(":")[2]


def _checked(node: yaml.Node, findings: _Findings, text: str, check: Any) -> str:
    """``text`` if the model takes it, else empty."""
    try:
        check(text)
    except UsageError as error:
        findings.error(node, f"{error.message}{f' ({error.hint})' if error.hint else ''}")
        return ""
    return text


def _check_unique(found: list[tuple[yaml.Node, Bridge]], findings: _Findings, what: str) -> None:
    seen: dict[str, int] = {}
    for node, bridge in found:
        if bridge.name in seen:
            findings.error(node, f"{what} have two of the name {bridge.name}, the other in line {seen[bridge.name]}")
        seen[bridge.name] = _line(node)


def _check_ports(found: list[tuple[yaml.Node, Bridge]], findings: _Findings) -> None:
    seen: dict[tuple[str, int], str] = {}
    for node, bridge in found:
        for host in (bridge.host, ""):
            other = seen.get((host, bridge.port))
            if other is not None:
                findings.error(node, f"forwards {other} and {bridge.name} both listen at port {bridge.port}")
                break
        seen[bridge.host, bridge.port] = bridge.name


def dump_gateway(definition: GatewayDefinition) -> bytes:
    """The definition as YAML, in the layout of 1.9's ``export-config``."""
    document: dict[str, Any] = {
        "name": definition.name,
        "qdr-listeners": [
            {"name": listener.name, "host": listener.host, "port": listener.port} for listener in definition.listeners
        ],
    }
    for key, bridges in (("bindings", definition.bindings), ("forwards", definition.forwards)):
        if bridges:
            document[key] = [_dumped(bridge) for bridge in _ordered(bridges)]
    return "".join(f"{line}\n" for line in _lines(document, 0)).encode()


def _ordered(bridges: tuple[Bridge, ...]) -> list[Bridge]:
    """tcp first, as 1.9; then by name."""
    return sorted(bridges, key=lambda bridge: (bridge.protocol != "tcp", bridge.name))


def _dumped(bridge: Bridge) -> dict[str, Any]:
    service: dict[str, Any] = {
        "address": bridge.address,
        "protocol": bridge.protocol,
        "ports": [bridge.port],
        "exposeIngress": "",
    }
    service |= {"eventchannel": True} if bridge.event_channel else {}
    service |= {"aggregate": bridge.aggregate} if bridge.aggregate else {}
    service |= {"tlscredentials": bridge.tls_credentials, "tlscertauthority": bridge.tls_authority}
    service |= {"publishnotreadyaddresses": False, "bridgeimage": ""}
    return {"name": bridge.name, "host": bridge.host, "service": service, "target_ports": [bridge.port]}


def _lines(value: dict[str, Any], column: int) -> Iterator[str]:
    """A mapping whose keys stand at ``column``, laid out as Go's library does with an indent of 4."""
    inner = (column // 4 + 1) * 4
    for key, item in value.items():
        if isinstance(item, dict):
            yield f"{' ' * column}{key}:"
            yield from _lines(item, inner)
        elif isinstance(item, list):
            yield f"{' ' * column}{key}:"
            for element in item:
                lines = list(_lines(element, inner + 2)) if isinstance(element, dict) else [_scalar(element)]
                yield f"{' ' * inner}- {lines[0].lstrip()}"
                yield from lines[1:]
        else:
            yield f"{' ' * column}{key}: {_scalar(item)}"


def _scalar(value: object) -> str:
    if value == "":
        return '""'
    text: str = yaml.safe_dump(value, width=1 << 30, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
