"""Vanflow messages as octets: compatible with proton, and safe against any octets."""

from __future__ import annotations

import proton
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.model.flow import Attribute, RecordType
from skupper_podman.routerd.flowlog import wire


def test_proton_reads_what_we_write() -> None:
    message = proton.Message()
    message.decode(wire.beacon("QIkM3:0", "ROUTER", 3))
    # Not the id: routers write a signed long there, which proton does not show.
    assert (message.address, message.subject, message.body) == ("mc/sfe.all", "BEACON", None)
    assert message.properties == {
        "v": 1, "sourceType": "ROUTER", "id": "QIkM3:0", "address": "mc/sfe.QIkM3:0", "direct": "sfe.QIkM3:0",
    }  # fmt: skip
    assert isinstance(message.properties["v"], proton.uint)
    message.decode(wire.heartbeat("s", 17))
    assert isinstance(message.properties["now"], proton.ulong)
    message.decode(wire.flush("s"))
    assert (message.address, message.subject, message.id) == ("sfe.s", "FLUSH", None)
    message.decode(wire.records("mc/sfe.s", [{Attribute.RECORD_TYPE: 0, Attribute.START_TIME: 5, Attribute.NAME: "n"}]))
    (record,) = message.body
    assert record == {0: 0, 3: 5, 30: "n"}
    assert all(isinstance(key, proton.uint) for key in record)
    assert isinstance(record[0], proton.uint)
    assert isinstance(record[3], proton.ulong)


def test_we_read_what_proton_writes() -> None:
    body = [{proton.uint(0): proton.uint(5), proton.uint(1): "x:1", proton.uint(3): proton.ulong(9), "odd": None}, 3]
    message = proton.Message(address="mc/sfe.x:0", subject="RECORD", body=body, durable=True)
    message.properties = {"v": proton.uint(1), "id": "x:0"}
    read = wire.read(message.encode())
    assert read is not None
    assert (read.to, read.subject, read.text("id"), read.text("v")) == ("mc/sfe.x:0", "RECORD", "x:0", "")
    (record,) = read.records()
    assert (record.type, record.identity, record.start_time, record.source) == (RecordType.CONNECTOR, "x:1", 9, "x:0")


def test_no_subject_no_message() -> None:
    assert wire.read(proton.Message(address="a").encode()) is None
    assert wire.read(b"") is None
    assert wire.read(b"\x00" * (wire.MAX_MESSAGE + 1)) is None
    message = wire.read(proton.Message(subject="RECORD", body="text").encode())
    assert message is not None
    assert (message.to, message.records()) == ("", [])


@given(st.binary(max_size=200))
def test_any_octets_read_to_a_message_or_none(octets: bytes) -> None:
    wire.read(octets)


@given(st.data())
def test_damaged_messages_read_to_a_message_or_none(data: st.DataObject) -> None:
    octets = bytearray(wire.records("mc/sfe.s", [{Attribute.RECORD_TYPE: 1, Attribute.NAME: "router"}] * 3, 1))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    message = wire.read(bytes(octets))
    if message is not None:
        message.records()
