"""AMQP 1.0 to the router's management node, over TLS with the gateway's own key: just enough of it.

A connection has one session, one receiver with an address of its own for replies, and one sender to `$management`.
Every wait has a limit. The router is known by its certificate, which must be the one in this gateway's directory.
"""

import contextlib
import os
import socket
import ssl
import struct
from typing import Any, Dict, List, Optional, Tuple

PREFIX = "io.skupper.router."
_LIMIT = 32 << 20
_OPEN, _BEGIN, _ATTACH, _FLOW, _TRANSFER, _CLOSE, _DETACH, _END = 0x10, 0x11, 0x12, 0x13, 0x14, 0x18, 0x16, 0x17
_SASL_MECHANISMS, _SASL_INIT, _SASL_OUTCOME = 0x40, 0x41, 0x44


class ManagementError(Exception):
    """The router cannot be asked, or refused; the text says why."""


class Symbol(str):
    """A text of AMQP's type symbol."""


class Described:
    """A value with a descriptor."""

    def __init__(self, code: Any, value: Any) -> None:
        self.code = code
        self.value = value


class UInt(int):
    """A number of AMQP's type uint."""


class UByte(int):
    """A number of AMQP's type ubyte."""


def encode(value: Any) -> bytes:
    """A value in AMQP's binary form."""
    if value is None:
        return b"\x40"
    if isinstance(value, bool):
        return b"\x41" if value else b"\x42"
    if isinstance(value, UInt):
        return b"\x70" + struct.pack(">I", value)
    if isinstance(value, UByte):
        return b"\x50" + struct.pack(">B", value)
    if isinstance(value, int):
        return b"\x81" + struct.pack(">q", value)
    if isinstance(value, Symbol):
        return b"\xb3" + _counted(value.encode("ascii"))
    if isinstance(value, str):
        return b"\xb1" + _counted(value.encode("utf-8"))
    if isinstance(value, bytes):
        return b"\xb0" + _counted(value)
    if isinstance(value, Described):
        return b"\x00\x53" + struct.pack(">B", value.code) + encode(value.value)
    if isinstance(value, dict):
        items = [part for pair in value.items() for part in pair]
        return b"\xd1" + _compound(items)
    if isinstance(value, (list, tuple)):
        return b"\xd0" + _compound(list(value))
    raise TypeError("no AMQP type for %r" % type(value))


def _counted(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


def _compound(items: List[Any]) -> bytes:
    body = b"".join(encode(item) for item in items)
    return struct.pack(">II", len(body) + 4, len(items)) + body


_FIXED = {
    0x50: ">B", 0x51: ">b", 0x52: ">B", 0x53: ">B", 0x54: ">b", 0x55: ">b", 0x60: ">H", 0x61: ">h", 0x70: ">I",
    0x71: ">i", 0x72: ">f", 0x73: ">I", 0x80: ">Q", 0x81: ">q", 0x82: ">d", 0x83: ">q",
}  # fmt: skip
_CONSTANT: Dict[int, Any] = {0x40: None, 0x41: True, 0x42: False, 0x43: 0, 0x44: 0, 0x45: []}


class Reader:
    """Reads AMQP values from octets."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.at = 0

    def take(self, count: int) -> bytes:
        """The next octets."""
        part = self.octets[self.at : self.at + count]
        if len(part) != count:
            raise ManagementError("the router's answer is cut short")
        self.at += count
        return part

    def number(self, form: str) -> int:
        """The next number of a `struct` format."""
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    @property
    def more(self) -> bool:
        """Whether anything is left."""
        return self.at < len(self.octets)

    def value(self, code: Optional[int] = None) -> Any:
        """The next value; `code` is its type where it stands elsewhere, as in arrays."""
        if code is None:
            code = self.number(">B")
        if code == 0x00:
            descriptor = self.value()
            return Described(descriptor, self.value())
        if code in _CONSTANT:
            return _CONSTANT[code]
        if code == 0x56:
            return self.number(">B") == 1
        if code in _FIXED:
            form = _FIXED[code]
            return struct.unpack(form, self.take(struct.calcsize(form)))[0]
        if code in (0x74, 0x84, 0x94, 0x98):
            return self.take({0x74: 4, 0x84: 8, 0x94: 16, 0x98: 16}[code])
        if code in (0xA0, 0xA1, 0xA3, 0xB0, 0xB1, 0xB3):
            content = self.take(self.number(">B" if code < 0xB0 else ">I"))
            return content if code & 0xF == 0 else content.decode("utf-8", "replace")
        if code in (0xC0, 0xC1, 0xD0, 0xD1, 0xE0, 0xF0):
            return self._compound(code)
        raise ManagementError("the router's answer has an unknown type %#x" % code)

    def _compound(self, code: int) -> Any:
        form = ">B" if code in (0xC0, 0xC1, 0xE0) else ">I"
        self.number(form)
        count = self.number(form)
        if count > len(self.octets):
            raise ManagementError("the router's answer is malformed")
        if code in (0xE0, 0xF0):
            element = self.number(">B")
            return [self.value(element) for _ in range(count)]
        items = [self.value() for _ in range(count)]
        if code in (0xC0, 0xD0):
            return items
        return {_key(items[index]): items[index + 1] for index in range(0, len(items) - 1, 2)}


def _key(value: Any) -> Any:
    return value if isinstance(value, (str, int, bytes, float, bool)) else str(value)


class Management:
    """A connection to the router at `port` of this host."""

    def __init__(self, port: int, credential: str, timeout: float = 5.0, host: str = "127.0.0.1") -> None:
        """`credential` is the directory with `tls.crt` and `tls.key`; raises ManagementError."""
        self._number = 0
        try:
            self._socket = self._connect(host, port, credential, timeout)
            self._open()
        except (OSError, struct.error, LookupError, AttributeError, TypeError, ValueError, RecursionError) as error:
            raise ManagementError(_reason(error)) from error

    def __enter__(self) -> "Management":
        return self

    def __exit__(self, *_exc: object) -> None:
        with contextlib.suppress(OSError):
            self._send(Described(_CLOSE, []))
        self._socket.close()

    def query(self, kind: str) -> List[Dict[str, Any]]:
        """All entities of a type."""
        body = self._request({"operation": "QUERY", "entityType": PREFIX + kind}, {"attributeNames": []})
        names = body["attributeNames"]
        return [dict(zip(names, row)) for row in body["results"]]

    def create(self, kind: str, attributes: Dict[str, Any]) -> None:
        """Make an entity."""
        rest = {key: value for key, value in attributes.items() if key != "name"}
        self._request({"operation": "CREATE", "type": PREFIX + kind, "name": attributes["name"]}, rest)

    def delete(self, kind: str, name: str) -> None:
        """Remove an entity."""
        self._request({"operation": "DELETE", "type": PREFIX + kind, "name": name}, {})

    # -- what is below

    def _connect(self, host: str, port: int, credential: str, timeout: float) -> ssl.SSLSocket:
        certificate = os.path.join(credential, "tls.crt")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # below, by the certificate itself
        context.load_cert_chain(certificate, os.path.join(credential, "tls.key"))
        with open(certificate, encoding="ascii") as file:
            own = ssl.PEM_cert_to_DER_cert(_first(file.read()))
        plain = socket.create_connection((host, port), timeout)
        try:
            secure = context.wrap_socket(plain)
        except BaseException:
            plain.close()
            raise
        if secure.getpeercert(True) != own:
            secure.close()
            raise ManagementError("at port %d there is something else than this gateway's router" % port)
        return secure

    def _open(self) -> None:
        self._exchange_headers(b"AMQP\x03\x01\x00\x00")
        self._await(_SASL_MECHANISMS)
        self._send(Described(_SASL_INIT, [Symbol("EXTERNAL"), b""]), kind=1)
        outcome = self._await(_SASL_OUTCOME)
        if outcome[0] != 0:
            raise ManagementError("the router does not accept this gateway's credential")
        self._exchange_headers(b"AMQP\x00\x01\x00\x00")
        self._send(Described(_OPEN, ["skupper-gateway-installer", None, UInt(1 << 20)]))
        self._send(Described(_BEGIN, [None, UInt(0), UInt(2048), UInt(2048)]))
        source = Described(0x28, [None, UInt(0), Symbol("session-end"), UInt(0), True])
        self._send(Described(_ATTACH, ["replies", UInt(0), True, UByte(0), UByte(0), source, Described(0x29, [])]))
        target = Described(0x29, ["$management"])
        detail = ["requests", UInt(1), False, UByte(1), UByte(0), Described(0x28, []), target, None, None, UInt(0)]
        self._send(Described(_ATTACH, detail))
        self._send(Described(_FLOW, [UInt(0), UInt(2048), UInt(0), UInt(2048), UInt(0), UInt(0), UInt(1000)]))
        self.reply_to, credit = "", False
        while not (self.reply_to and credit):
            performative, _payload = self._frame()
            self._check(performative)
            fields = list(performative.value)
            if performative.code == _ATTACH and fields[0] == "replies":
                self.reply_to = fields[5].value[0]
            elif performative.code == _FLOW and len(fields) > 6 and fields[4] is not None and fields[6]:
                credit = True  # the only link that the router can give credit to is that of our requests

    def _exchange_headers(self, header: bytes) -> None:
        self._socket.sendall(header)
        if self._read(8) != header:
            raise ManagementError("at this port there is no AMQP router that takes a certificate")

    def _send(self, performative: Described, payload: bytes = b"", kind: int = 0) -> None:
        body = encode(performative) + payload
        self._socket.sendall(struct.pack(">IBBH", len(body) + 8, 2, kind, 0) + body)

    def _frame(self) -> Tuple[Any, bytes]:
        """The next performative and its payload; empty frames only keep the connection alive."""
        while True:
            size, offset, _kind, _channel = struct.unpack(">IBBH", self._read(8))
            if not 8 <= size <= _LIMIT:
                raise ManagementError("the router's answer is malformed")
            body = self._read(size - 8)[max(offset * 4 - 8, 0) :]
            if body:
                reader = Reader(body)
                return reader.value(), body[reader.at :]

    def _await(self, code: int) -> List[Any]:
        while True:
            performative, _payload = self._frame()
            if performative.code == code:
                return list(performative.value)
            self._check(performative)

    @staticmethod
    def _check(performative: Described) -> None:
        if performative.code in (_CLOSE, _END, _DETACH):
            error = next((item for item in performative.value if isinstance(item, Described)), None)
            words = [item for item in (error.value if error else []) if isinstance(item, str)]
            raise ManagementError("the router closed the connection: %s" % (words[-1] if words else "without a reason"))

    def _read(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            part = self._socket.recv(min(count - len(found), 1 << 16))
            if not part:
                raise ManagementError("the router closed the connection")
            found += part
        return found

    def _request(self, properties: Dict[str, Any], body: Any) -> Any:
        try:
            return self._asked(properties, body)
        except (OSError, struct.error, LookupError, AttributeError, TypeError, ValueError, RecursionError) as error:
            raise ManagementError(_reason(error)) from error

    def _asked(self, properties: Dict[str, Any], body: Any) -> Any:
        self._number += 1
        message = [
            Described(0x73, [None, None, "$management", None, self.reply_to, str(self._number)]),
            Described(0x74, properties),
            Described(0x77, body),
        ]
        tag = struct.pack(">I", self._number)
        transfer = Described(_TRANSFER, [UInt(1), UInt(self._number - 1), tag, UInt(0), True])
        self._send(transfer, b"".join(encode(section) for section in message))
        octets = b""
        while True:
            performative, payload = self._frame()
            self._check(performative)
            if performative.code == _TRANSFER:
                octets += payload
                more = performative.value[5] if len(performative.value) > 5 else False
                if not more:
                    break
        return self._answer(octets)

    @staticmethod
    def _answer(octets: bytes) -> Any:
        sections = {}
        reader = Reader(octets)
        while reader.more:
            section = reader.value()
            sections[section.code] = section.value
        status = sections.get(0x74) or {}
        if not 200 <= int(status.get("statusCode", 500)) < 300:
            raise ManagementError(str(status.get("statusDescription", "the router refused")))
        return sections.get(0x77)


def _first(pem: str) -> str:
    end = "-----END CERTIFICATE-----"
    return pem[: pem.index(end) + len(end)]


def _reason(error: BaseException) -> str:
    if isinstance(error, socket.timeout):
        return "the router does not answer"
    if isinstance(error, ConnectionRefusedError):
        return "the router does not listen"
    return str(getattr(error, "strerror", None) or error)
