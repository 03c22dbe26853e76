"""AMQP frames by hand: what a test or the fuzzer sends to a router without an AMQP library in the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random
from typing import Any

from skupper_podman.routerd.codec import Array, Described, Symbol, UByte, UInt, ULong, UShort, encode

from .mutate import mutated

AMQP = b"AMQP\x00\x01\x00\x00"
SASL = b"AMQP\x03\x01\x00\x00"
TLS = b"AMQP\x02\x01\x00\x00"


def frame(code: int, fields: list[Any], payload: bytes = b"", channel: int = 0, kind: int = 0) -> bytes:
    """One frame with a performative and what follows it."""
    body = encode(Described(ULong(code), fields)) + payload
    return (8 + len(body)).to_bytes(4) + bytes((2, kind)) + channel.to_bytes(2) + body


def sasl_init(mechanism: str = "ANONYMOUS", response: bytes = b"guest") -> bytes:
    return frame(0x41, [Symbol(mechanism), response], kind=1)


def opened(
    container: str = "peer", properties: Mapping[str, Any] | None = None, capabilities: Iterable[str] = ()
) -> bytes:
    offered = Array.of_symbols(capabilities) if capabilities else None
    named = {Symbol(name): value for name, value in (properties or {}).items()}
    return frame(0x10, [container, "host", UInt(16384), UShort(100), UInt(16000), None, None, offered, offered, named])


def begin(channel: int = 0, window: int = 2048) -> bytes:
    return frame(0x11, [None, UInt(0), UInt(window), UInt(window), UInt(0x7FFFFFFF)], channel=channel)


def terminus(
    code: int, address: str | None, capability: str | None = None, *, dynamic: bool = False
) -> Described:
    capabilities = Array.of_symbols([capability]) if capability else None
    tail = [None, None, None, None, None, capabilities] if code == 0x28 else [None, capabilities]
    return Described(ULong(code), [address, None, None, None, dynamic or None, *tail])


def sender(
    handle: int, target: str | None, capability: str | None = None, *, channel: int = 0, name: str | None = None
) -> bytes:
    """Attach a link on which the peer sends."""
    name = name or f"s{handle}"
    termini = [terminus(0x28, None), terminus(0x29, target, capability)]
    return frame(0x12, [name, UInt(handle), False, UByte(2), UByte(0), *termini, None, None, UInt(0)], channel=channel)


def receiver(
    handle: int,
    source: str | None,
    capability: str | None = None,
    *,
    dynamic: bool = False,
    channel: int = 0,
    name: str | None = None,
) -> bytes:
    """Attach a link on which the peer receives."""
    name = name or f"r{handle}"
    termini = [terminus(0x28, source, capability, dynamic=dynamic), terminus(0x29, None)]
    return frame(0x12, [name, UInt(handle), True, UByte(2), UByte(0), *termini], channel=channel)


def transfer(
    handle: int, number: int, octets: bytes, *, settled: bool = False, more: bool = False, channel: int = 0
) -> bytes:
    tag = number.to_bytes(4)
    return frame(0x14, [UInt(handle), UInt(number), tag, UInt(0), settled, more], octets, channel=channel)


def flow(handle: int | None, credit: int, *, window: int = 2048, echo: bool = False, channel: int = 0) -> bytes:
    session = [UInt(0), UInt(window), UInt(0), UInt(window)]
    link = [None] * 4 if handle is None else [UInt(handle), UInt(0), UInt(credit), UInt(0)]
    return frame(0x13, [*session, *link, False, echo], channel=channel)


def disposition(first: int, last: int, state: int = 0x24, *, settled: bool = True, sending: bool = False) -> bytes:
    return frame(0x15, [not sending, UInt(first), UInt(last), settled, Described(ULong(state), [])])


def detach(handle: int, *, closed: bool = True) -> bytes:
    return frame(0x16, [UInt(handle), closed])


def end(channel: int = 0) -> bytes:
    return frame(0x17, [], channel=channel)


def close() -> bytes:
    return frame(0x18, [])


# ------------------------------------------------------------------------------------------ mutation by frames


def pieces(stream: bytes) -> list[bytes]:
    """A stream as protocol headers and frames; what is neither is the last piece."""
    found = []
    at = 0
    while at < len(stream):
        size = 8 if stream[at : at + 4] == b"AMQP" else int.from_bytes(stream[at : at + 4])
        if size < 8 or at + size > len(stream):
            size = len(stream) - at
        found.append(stream[at : at + size])
        at += size
    return found


def mutated_stream(random: Random, seeds: list[bytes]) -> bytes:
    """A stream whose frames are exchanged, repeated, left out, or changed inside with a size that fits."""
    if random.random() < 0.15:
        return mutated(random, seeds)
    parts = pieces(random.choice(seeds)) or [AMQP]
    for _ in range(random.choice((0, 1, 1, 2, 3, 5))):
        at = random.randrange(len(parts))
        what = random.randrange(7)
        if what == 0 and len(parts) > 1:
            del parts[at]
        elif what == 1:
            parts[at:at] = [parts[at]] * random.choice((1, 2, 30))
        elif what == 2:
            parts.insert(at, random.choice(pieces(random.choice(seeds)) or [SASL]))
        elif what == 3:
            other = random.randrange(len(parts))
            parts[at], parts[other] = parts[other], parts[at]
        else:
            parts[at] = _resized(mutated(random, [parts[at]]))
    return b"".join(parts)


def _resized(part: bytes) -> bytes:
    if len(part) < 8 or part.startswith(b"AMQP"):
        return part
    return len(part).to_bytes(4) + part[4:]
