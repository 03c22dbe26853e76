"""Fuzz targets without a router: each takes octets and raises only when a decoder breaks its promise.

The promise, in one sentence: octets either parse or raise the one error of that decoder, whole or in pieces alike, and
what was parsed can be written and parsed again to the same.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from skupper_podman.controller.collector import Collector
from skupper_podman.errors import InvalidError
from skupper_podman.model import flow
from skupper_podman.model.flow import Attribute, RecordType
from skupper_podman.routerd.codec import CodecError, Described, EncodeError, Symbol, UInt, ULong, decode, encode
from skupper_podman.routerd.core import bodies
from skupper_podman.routerd.core.address import Mode, Namespace, Rule, Rules, Treatment
from skupper_podman.routerd.core.edge import EdgeProxies
from skupper_podman.routerd.core.routing import Routing
from skupper_podman.routerd.flowlog import wire as flowwire
from skupper_podman.routerd.management.conffile import NotationError, read_sections
from skupper_podman.routerd.management.config import parse
from skupper_podman.routerd.management.endpoint import answer
from skupper_podman.routerd.management.provider import ManagementError
from skupper_podman.routerd.message import (
    BodyReader,
    Head,
    Header,
    HeadParser,
    Message,
    Properties,
    RouterAnnotations,
    RoutingStyle,
    compose,
    data_section_header,
    routing_message,
)
from tests.routerd.management.samples import sample_agent

Target = Callable[[bytes], None]


def codec(octets: bytes) -> None:
    try:
        value, end = decode(octets)
    except CodecError:
        return
    assert 0 < end <= len(octets)
    again = encode(value)
    # Not every form is the shortest; but what we write reads back to octets that stay the same.
    assert encode(decode(again)[0]) == again


def _heads(octets: bytes, size: int) -> Head | str:
    parser = HeadParser()
    head: Head | None = None
    try:
        for at in range(0, len(octets), size):
            head = parser.feed(octets[at : at + size])
            if head is not None:
                return head
        return parser.finish()
    except CodecError as error:
        return type(error).__name__


def head(octets: bytes) -> None:
    octets = octets[:2000]
    whole, bytewise = _heads(octets, max(1, len(octets))), _heads(octets, 1)
    if isinstance(whole, str) or isinstance(bytewise, str):
        assert (whole if isinstance(whole, str) else None) == (bytewise if isinstance(bytewise, str) else None)
        return
    for name in Head.__slots__:
        if name != "_properties":
            assert repr(getattr(whole, name)) == repr(getattr(bytewise, name)), name
    with suppress(CodecError):
        _ = whole.flow_id
    with suppress(CodecError):
        message = Message.decode(octets)
        assert message.to == whole.to
        assert message.annotations == whole.annotations


def message(octets: bytes) -> None:
    try:
        found = Message.decode(octets)
    except CodecError:
        return
    with suppress(EncodeError):  # a properties field of a type that the standard does not have there
        written = compose(
            found.annotations,
            header=found.header,
            properties=found.properties,
            application_properties=found.application_properties,
            body=found.body,
        )
        assert repr(Message.decode(written).body) == repr(found.body)


def body(octets: bytes) -> None:
    results: list[bytes | None] = []
    for size in (max(1, len(octets)), 1, 7):
        reader, out = BodyReader(), bytearray()
        try:
            for at in range(0, len(octets), size):
                for piece in reader.feed(octets[at : at + size]):
                    assert len(piece)
                    out += piece
            results.append(bytes(out))
        except CodecError:
            results.append(None)
    assert results[0] == results[1] == results[2]


class _Engine:
    """A routing engine with two neighbours, one of which says anything."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.routing = Routing("A", 1)
        for conn in (1, 2):
            self.routing.control_link_up(conn, 1, self.now)
            hello = {"id": f"N{conn}", "pv": 1, "instance": 7, "seen": ["A"]}
            self.routing.receive(conn, "HELLO", hello, self.now)
        self.cases = 0

    def feed(self, octets: bytes) -> None:
        try:
            found = Message.decode(octets)
        except CodecError:
            return
        opcode = found.application_properties.get("opcode")
        self.now += 0.01
        self.routing.receive(1, str(opcode), found.body, self.now)
        self.routing.receive(2, "HELLO", {"id": "N2", "pv": 1, "instance": 7, "seen": ["A"]}, self.now)
        self.cases += 1
        if self.cases % 20 == 0:
            self.routing.tick(self.now)
        for action in self.routing.take_actions():
            if hasattr(action, "body"):
                routing_message(RouterAnnotations(), action.to, action.opcode, action.body, action.style)
        assert self.routing.next_hop("N2") == 2 or self.cases < 200


def routing() -> Target:
    engine = [_Engine()]

    def feed(octets: bytes) -> None:
        if engine[0].cases > 5000:
            engine[0] = _Engine()
        engine[0].feed(octets)

    return feed


def _bodies(octets: bytes) -> None:
    try:
        value = decode(octets)[0]
    except CodecError:
        return
    readers = (bodies.Hello.read, bodies.Advertisement.read, bodies.LinkStateUpdate.read, bodies.AddressUpdate.read)
    for read in readers:
        with suppress(bodies.ProtocolError):
            known = read(value)
            again = read(decode(encode(known.body("0")))[0])
            assert read(decode(encode(again.body("0")))[0]) == again
    with suppress(bodies.ProtocolError):
        bodies.have_seq(value)
    with suppress(bodies.ProtocolError):
        bodies.identify(value)
    EdgeProxies().tracking(1, value)


def addresses(octets: bytes) -> None:
    text = octets.decode("utf-8", "replace")
    for mode in Mode:
        assert Namespace("A", "0", mode).key(text)
    rules = Rules([Rule(Treatment.MULTICAST, pattern="#/a/#/b/#"), Rule(Treatment.CLOSEST, pattern="*.x.#")])
    rules.match(text)


def configuration(octets: bytes) -> None:
    text = octets.decode("utf-8", "replace")
    for json_form in (False, True):
        with suppress(NotationError):
            read_sections(text, json_form=json_form)
        with suppress(InvalidError, ManagementError):
            parse(text, json_form)


def management() -> Target:
    holder = [sample_agent()]
    count = [0]

    def feed(octets: bytes) -> None:
        count[0] += 1
        if count[0] % 500 == 0:
            holder[0] = sample_agent()
        try:
            request = Message.decode(octets)
        except CodecError:
            return
        reply = answer(holder[0], request)
        if reply is not None:
            written = reply.encode(RouterAnnotations())
            assert len(written) < 1 << 20
            status = reply.application_properties["statusCode"]
            # A fault of ours would show as an error of Python's in the description.
            words = str(reply.application_properties["statusDescription"])
            assert status != 500 or "Error:" not in words, words

    return feed


def collector() -> Target:
    own = flow.Record("site", RecordType.SITE, "site", {Attribute.START_TIME: 1})
    holder = [(Collector(own, 0.0), 0)]

    def feed(octets: bytes) -> None:
        found = flowwire.read(octets)
        known, count = holder[0]
        holder[0] = (known, count + 1) if count < 20000 else (Collector(own, 0.0), 0)
        if found is None:
            return
        known.receive(found, count * 0.01)
        if count % 100 == 0:
            known.tick(count * 0.01)
            known.take_flushes(count * 0.01)
            known.document()

    return feed


TARGETS: dict[str, Callable[[], Target]] = {
    "codec": lambda: codec,
    "head": lambda: head,
    "message": lambda: message,
    "body": lambda: body,
    "bodies": lambda: _bodies,
    "routing": routing,
    "addresses": lambda: addresses,
    "configuration": lambda: configuration,
    "management": management,
    "collector": collector,
}


# ------------------------------------------------------------------------------------------ seeds


def routing_seeds() -> list[bytes]:
    """The six routing messages as neighbours write them."""
    annotations = RouterAnnotations(ingress="0/N1", trace=("0/N1",))
    descriptor = bodies.Descriptor("Mdb:5432", Treatment.BALANCED, 1)
    known = [
        ("HELLO", bodies.Hello("N1", 7, ("A", "N2")).body("0")),
        ("RA", bodies.Advertisement("N1", 7, 3, 4).body("0")),
        ("LSU", bodies.LinkStateUpdate("N1", 7, 3, {"A": 1, "N2": 5, "N3": 1}).body("0")),
        ("LSR", bodies.link_state_request("N1", "0")),
        ("MAR", bodies.address_request("N1", "0", 0)),
        ("MAU", bodies.AddressUpdate("N1", 4, exist=(descriptor,)).body("0")),
        ("MAU", bodies.AddressUpdate("N1", 5, add=(descriptor,), remove=("Mx",)).body("0")),
    ]
    found = []
    for opcode, fields in known:
        style = RoutingStyle.ADDRESSES if opcode in ("MAR", "MAU") else RoutingStyle.ENGINE
        where = ".ma" if style is RoutingStyle.ADDRESSES else ""
        to = "amqp:/_local/qdhello" if opcode == "HELLO" else f"amqp:/_topo/0/A/qdrouter{where}"
        found.append(routing_message(annotations, to, opcode, fields, style))
    return found


def management_seeds() -> list[bytes]:
    """Requests to a management agent."""
    requests: list[tuple[dict[str, object], object]] = [
        ({"operation": "QUERY", "entityType": "io.skupper.router.connection", "offset": 0, "count": 5},
         {"attributeNames": ["name", "identity"]}),
        ({"operation": "QUERY", "offset": 1 << 40, "count": 1 << 40}, {"attributeNames": []}),
        ({"operation": "READ", "type": "io.skupper.router.router", "name": "A"}, None),
        ({"operation": "GET-SCHEMA"}, None),
        ({"operation": "GET-JSON-SCHEMA", "indent": 2}, None),
        ({"operation": "GET-LOG", "limit": 3}, None),
        ({"operation": "GET-TYPES"}, None),
        ({"operation": "GET-ATTRIBUTES", "entityType": "listener"}, None),
        ({"operation": "GET-OPERATIONS", "entityType": "listener"}, None),
        ({"operation": "GET-MGMT-NODES"}, None),
        ({"operation": "UPDATE", "type": "connection", "identity": "1"}, {"adminStatus": "deleted"}),
        ({"operation": "UPDATE", "type": "log", "name": "log/ROUTER"}, {"enable": "debug+"}),
        ({"operation": "CREATE", "type": "tcpListener", "name": "l"},
         {"host": "127.0.0.1", "port": "9090", "address": "echo"}),
        ({"operation": "CREATE", "type": "router.config.address", "name": "x"},
         {"prefix": "q", "distribution": "closest"}),
        ({"operation": "DELETE", "type": "tcpListener", "name": "l"}, None),
    ]  # fmt: skip
    return [
        compose(
            None,
            properties=Properties(message_id=1, to="$management", reply_to="amqp:/_topo/0/A/temp.abc"),
            application_properties=properties,
            body=content,
        )
        for properties, content in requests
    ]


def flow_seeds() -> list[bytes]:
    """Messages of event sources."""
    router = {Attribute.RECORD_TYPE: 1, Attribute.IDENTITY: "r1:0", Attribute.NAME: "0/r1", Attribute.START_TIME: 5}
    link = {Attribute.RECORD_TYPE: 2, Attribute.IDENTITY: "r1:1", Attribute.PARENT: "r1:0", Attribute.START_TIME: 6}
    return [
        flowwire.beacon("r1:0", "ROUTER", 1),
        flowwire.beacon("c1", "CONTROLLER", 1, "{}"),
        flowwire.heartbeat("r1:0", 10),
        flowwire.records(flow.records_address("r1:0"), [router, link]),
        flowwire.records(flow.records_address("r1:0"), [{**router, Attribute.END_TIME: 9}]),
        flowwire.flush("r1:0"),
    ]


def seeds() -> dict[str, list[bytes]]:
    """What every target's corpus is made of."""
    every = RouterAnnotations(flags=7, to_override="x", ingress="0/A", trace=("0/A", "0/B"), ingress_mesh="m" * 15)
    streamed = [
        compose(every, header=Header(True, 9, 100, True, 1), properties=Properties(to="a/b", reply_to="c", subject="s"))
        + data_section_header(300)
        + bytes(300),
        compose(None, properties=Properties(to="a", content_type="application/octet-stream")) + b"\x00\x53\x77\x40raw",
        compose(every, application_properties={":flowid": "abc", Symbol("n"): ULong(9)}, body=[1, "x", None]),
        b"\x00\xa3\x15amqp:properties:list\x45\x00\x53\x78\xc1\x01\x00",
    ]
    routing_ = routing_seeds()
    values = [
        encode({"id": "N1", "pv": 1, "seen": ["A", Symbol("b")], Symbol("n"): Described(ULong(9), [1.5, None, True])}),
        encode([UInt(1), "t", b"b", -5, {}]),
        bytes.fromhex("e00a04a30161016201630164"),
        bytes.fromhex("f0000000090000000240"),
        bytes.fromhex("d1000000150000000298" + "00" * 16 + "40"),
    ]
    maps = [encode(Message.decode(octets).body) for octets in routing_]
    return {
        "codec": values + maps,
        "head": streamed + routing_[:2],
        "message": streamed + routing_[:2] + management_seeds()[:1],
        "body": [
            data_section_header(5) + b"hello" + data_section_header(0) + data_section_header(300) + bytes(300),
            data_section_header(1) + b"x\x00\x53\x78\xd1\x00\x00\x00\x04\x00\x00\x00\x00tail",
            b"\x00\x80\x00\x00\x00\x00\x00\x00\x00\x75\xb0\x00\x00\x00\x02ab\x00\xa3\x10amqp:data:binary\xa0\x01c",
        ],
        "bodies": [*maps, encode(["Mdb", True])],
        "routing": routing_,
        "addresses": [
            b"amqp://host/_topo/0/A/b", b"_edge/E/temp.x", b"a/a/a/b/x.y", b"amqp:/_local/$management", b"a" * 300
        ],
        "configuration": [
            b'router {\n  id: A\n  mode: interior\n}\nlistener {\n  port: 5672\n'
            b'  openProperties: {\n "a": {"b": [1]},\n  }\n}\n',
            b'[["router", {"id": "A", "mode": "edge"}], ["tcpConnector", {"host": "h", "port": "80", "address": "a"}]]',
            b"address {\n  pattern: #/a # c\n  distribution: multicast\n}\n",
        ],
        "management": management_seeds(),
        "collector": flow_seeds(),
    }  # fmt: skip


