"""No octet of a message and no secret reaches the log through the trace of frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.routerd.amqp.trace import redacted

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("frame", "shown"),
    [
        (
            'AMQP:FRAME:0 -> @transfer(20) [handle=0x0, delivery-id=0x1, delivery-tag=b"s3cret", message-format=0x0, '
            r"settled=true] (164) \x00SpE\x00Ss3cret",
            "AMQP:FRAME:0 -> @transfer(20) [handle=0x0, delivery-id=0x1, delivery-tag=..., message-format=0x0, "
            "settled=true] (164 octets)",
        ),
        (
            "AMQP:FRAME:0 <- @transfer(20) [handle=0x0, delivery-id=0x1, more=true] (3) s3cret] (4) x",
            "AMQP:FRAME:0 <- @transfer(20) [handle=0x0, delivery-id=0x1, more=true] (3 octets)",
        ),
        (
            "FRAME: 1 -> @transfer(20) [handle=0x0, state=@received(35) [section-number=0x0]]",
            "FRAME: 1 -> @transfer(20) [handle=0x0, state=@received(35) [section-number=0x0]]",
        ),
        (
            r'AMQP:FRAME:0 -> @sasl-init(65) [mechanism=:PLAIN, initial-response=b"\x00user\x00s3cret"]',
            "AMQP:FRAME:0 -> @sasl-init(65) [mechanism=:PLAIN]",
        ),
        ('AMQP:FRAME:0 <- @sasl-response(67) [response=b"s3cret"]', "AMQP:FRAME:0 <- @sasl-response(67) []"),
        (
            "AMQP:FRAME:0 <- @sasl-mechanisms(64) [sasl-server-mechanisms=@<symbol>[:PLAIN, :ANONYMOUS]]",
            "AMQP:FRAME:0 <- @sasl-mechanisms(64) [sasl-server-mechanisms=@<symbol>[:PLAIN, :ANONYMOUS]]",
        ),
        (
            'AMQP:FRAME:0 <- @sasl-outcome(68) [code=0x1, additional-data=b"s3cret"]',
            "AMQP:FRAME:0 <- @sasl-outcome(68) [code=0x1]",
        ),
        (
            'AMQP:FRAME:0 <- @open(16) [container-id="X", idle-time-out=0x1f40, properties={:password="s3cret"}]',
            'AMQP:FRAME:0 <- @open(16) [container-id="X", idle-time-out=0x1f40]',
        ),
        (
            'AMQP:FRAME:0 <- @attach(18) [name="l", target=@target(41) [address="q"], properties={:a="s3cret"}]',
            'AMQP:FRAME:0 <- @attach(18) [name="l", target=@target(41) [address="q"]]',
        ),
        ("AMQP:FRAME:  -> AMQP", "AMQP:FRAME:  -> AMQP"),
        ("AMQP:FRAME:0 <- (EMPTY FRAME)", "AMQP:FRAME:0 <- (EMPTY FRAME)"),
        ('SSL:FRAME: error "s3cret"', "SSL:FRAME: error "),
        ("AMQP:FRAME:0 <- @invented(99) s3cret", "AMQP:FRAME:0 <- @invented(99)"),
    ],
)
def test_frames(frame: str, shown: str) -> None:
    assert redacted(frame) == shown
    assert SECRET not in redacted(frame)


def _quoted(octets: bytes) -> str:
    """As proton writes octets: printable ones as they are, but for quotation marks and backslashes."""
    plain = (chr(octet) if 32 <= octet < 127 and octet not in b'"\\' else f"\\x{octet:02x}" for octet in octets)
    return "".join(plain)


@given(tag=st.binary(max_size=32), before=st.binary(max_size=40), after=st.binary(max_size=40), more=st.booleans())
def test_whatever_a_transfer_carries_stays_out(tag: bytes, before: bytes, after: bytes, more: bool) -> None:
    payload = before + b"#the-payload#" + after
    fields = f'handle=0x0, delivery-tag=b"{_quoted(tag + b"#the-tag#")}", more={str(more).lower()}'
    shown = redacted(f"FRAME: 3 <- @transfer(20) [{fields}] ({len(payload)}) {_quoted(payload)}")
    assert "#the-" not in shown
    assert shown.startswith("FRAME: 3 <- @transfer(20) [handle=0x0, delivery-tag=...")
    assert shown.endswith(f"more={str(more).lower()}] ({len(payload)} octets)")
