"""Mutations of octets: everything follows from the random generator that is passed in."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

MOST = 1 << 16
#: Octets that mean something in AMQP, HTTP or a configuration file.
TOKENS = (
    b"AMQP\x00\x01\x00\x00", b"AMQP\x03\x01\x00\x00", b"AMQP\x02\x01\x00\x00", b"SKPR--RA", b"\x00\x80SKPR--RA",
    b"\x00\x53\x10", b"\x00\x53\x12", b"\x00\x53\x14", b"\x00\x53\x70", b"\x00\x53\x73", b"\x00\x53\x74",
    b"\x00\x53\x75\xa0", b"\x00\x53\x75\xb0", b"\x00\x53\x77", b"\x00\x53\x78", b"\x40", b"\x41", b"\x43", b"\x45",
    b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\x00\x00\x00\x00", b"\xc0\x01\x00", b"\xd0",
    b"\xd1", b"\xe0", b"\xf0", b"\x98", b"\x00\xa3", b"amqp:/_topo/0/", b"_local/", b"_edge/", b"$management",
    b"opcode", b"operation", b"entityType", b"\r\n", b"\r\n\r\n", b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
    b"Content-Length: 4294967296\r\n", b"Transfer-Encoding: chunked\r\n", b"{", b"}", b"[" * 200, b"\xf0\x9f\x98\x80",
)  # fmt: skip


def mutated(random: Random, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds, changed a few times; sometimes not at all, and sometimes mere noise."""
    octets = bytearray(random.choice(seeds))
    if random.random() < 0.02:
        return random.randbytes(random.randrange(200))
    for _ in range(random.choice((0, 1, 1, 1, 2, 2, 3, 5, 9))):
        random.choice(_MUTATIONS)(random, octets, seeds)
    return bytes(octets[:MOST])


def _span(random: Random, octets: bytearray, longest: int = 64) -> tuple[int, int]:
    start = random.randrange(len(octets) + 1)
    return start, min(len(octets), start + random.randrange(1, longest))


def _bit(random: Random, octets: bytearray, _seeds: Sequence[bytes]) -> None:
    if octets:
        octets[random.randrange(len(octets))] ^= 1 << random.randrange(8)


def _octet(random: Random, octets: bytearray, _seeds: Sequence[bytes]) -> None:
    if octets:
        octets[random.randrange(len(octets))] = random.choice((0, 1, 0x40, 0x7F, 0x80, 0xFF, random.randrange(256)))


def _number(random: Random, octets: bytearray, _seeds: Sequence[bytes]) -> None:
    """A size or a count a little or very wrong."""
    if len(octets) >= 4:
        at = random.randrange(len(octets) - 3)
        value = int.from_bytes(octets[at : at + 4]) + random.choice((-1, 1, -4, 4, 255, 1 << 16, 1 << 31))
        octets[at : at + 4] = (value & 0xFFFFFFFF).to_bytes(4)


def _cut(random: Random, octets: bytearray, _seeds: Sequence[bytes]) -> None:
    del octets[random.randrange(len(octets) + 1) :]


def _remove(random: Random, octets: bytearray, _seeds: Sequence[bytes]) -> None:
    start, end = _span(random, octets)
    del octets[start:end]


def _repeat(random: Random, octets: bytearray, _seeds: Sequence[bytes]) -> None:
    start, end = _span(random, octets)
    octets[start:start] = octets[start:end] * random.choice((1, 2, 17))


def _token(random: Random, octets: bytearray, _seeds: Sequence[bytes]) -> None:
    at = random.randrange(len(octets) + 1)
    token = random.choice(TOKENS)
    octets[at : at + random.choice((0, len(token)))] = token


def _splice(random: Random, octets: bytearray, seeds: Sequence[bytes]) -> None:
    """Our beginning, the rest of another seed."""
    other = random.choice(seeds)
    octets[random.randrange(len(octets) + 1) :] = other[random.randrange(len(other) + 1) :]


def _borrow(random: Random, octets: bytearray, seeds: Sequence[bytes]) -> None:
    other = bytearray(random.choice(seeds))
    start, end = _span(random, other, 200)
    at = random.randrange(len(octets) + 1)
    octets[at:at] = other[start:end]


_MUTATIONS = (_bit, _bit, _octet, _octet, _number, _cut, _remove, _repeat, _token, _splice, _borrow)
