"""Records of claims: their form, and when a claim may be redeemed."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from skupper_podman.desired.claimrecords import (
    CLAIM_REFUSED,
    NO_SUCH_CLAIM,
    ClaimRecord,
    dump_record,
    is_record_name,
    parse_record,
)
from skupper_podman.desired.tokens import claim_token, connection_token, dump_token, parse_token
from skupper_podman.desired.tokentext import token_head
from skupper_podman.errors import InvalidError

NOW = datetime.datetime(2025, 1, 31, 10, 0, tzinfo=datetime.UTC)
RECORD = ClaimRecord("c1", b"secret", NOW + datetime.timedelta(minutes=15), 2, 0, "west.example", NOW)


def test_the_form_is_that_of_kubernetes() -> None:
    assert yaml.safe_load(dump_record(RECORD.redeemed())) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "c1",
            "creationTimestamp": "2025-01-31T10:00:00Z",
            "labels": {"skupper.io/type": "token-claim-record"},
            "annotations": {
                "skupper.io/site-version": "1.9.6",
                "skupper.io/claim-expiration": "2025-01-31T10:15:00Z",
                "skupper.io/claims-remaining": "1",
                "skupper.io/claims-made": "1",
                "skupper-podman/ingress-host": "west.example",
            },
        },
        "data": {"password": "c2VjcmV0"},
    }


def test_absent_limits_are_none() -> None:
    free = replace(RECORD, expires=None, remaining=None, host="", created=None)
    annotations = yaml.safe_load(dump_record(free))["metadata"]["annotations"]
    assert annotations == {"skupper.io/site-version": "1.9.6"}
    assert parse_record("c1", dump_record(free)) == free
    assert free.refusal(b"secret", NOW.replace(year=2999)) is None
    assert free.redeemed().remaining is None


@settings(deadline=None)
@given(st.binary(max_size=64), st.none() | st.integers(0, 9), st.integers(0, 9), st.booleans())
def test_what_is_written_is_read(password: bytes, remaining: int | None, made: int, expires: bool) -> None:
    record = replace(RECORD, password=password, remaining=remaining, made=made, expires=NOW if expires else None)
    assert parse_record("c1", dump_record(record)) == record


def test_reasons_to_refuse_in_their_order() -> None:
    late = NOW + datetime.timedelta(hours=1)
    spent = replace(RECORD, remaining=0)
    assert RECORD.refusal(b"secret", NOW) is None
    assert RECORD.refusal(b"wrong", late) == NO_SUCH_CLAIM
    assert RECORD.refusal(b"wrong", NOW) == spent.refusal(b"wrong", NOW) == CLAIM_REFUSED
    assert spent.refusal(b"secret", NOW) == NO_SUCH_CLAIM


@pytest.mark.parametrize("key", ["claims-remaining", "claims-made", "claim-expiration"])
def test_damage_is_told_from_absence(key: str) -> None:
    document = yaml.safe_load(dump_record(RECORD))
    document["metadata"]["annotations"][f"skupper.io/{key}"] = "soon"
    with pytest.raises(InvalidError, match="damaged"):
        parse_record("c1", yaml.safe_dump(document).encode())


@pytest.mark.parametrize("content", [b"", b"{}", b"kind: Secret", b"- 1", b"metadata: {labels: {skupper.io/type: x}}"])
def test_other_documents_are_no_records(content: bytes) -> None:
    assert parse_record("c1", content) is None


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_none_or_damaged(content: bytes) -> None:
    try:
        assert parse_record("c1", content) is None
    except InvalidError:
        return


def test_names() -> None:
    assert is_record_name("6f0e8c1e-0000-11ee-8000-000000000000")
    for name in ("", ".lock", "../x", "a/b", "-x", "x" * 129, "a\n"):
        assert not is_record_name(name)


def test_a_token_tells_a_person_what_it_is() -> None:
    token = claim_token("c1", "id-1", "https://west:8081/c1", b"sesame", b"ca")
    token = replace(token, annotations={**token.annotations, "skupper-podman/claim-uses": "3"})
    head = token_head(token, "west", "west", (55671, 45671), "aa:bb", "").decode()
    for line in (
        "#   site:          west (id-1)", "#   links to:      west:55671", "#   edges link to: west:45671",
        "#   redeemed at:   https://west:8081/c1", "#   expires:       never", "#   uses:          3",
        "#   issuer sha256: aa:bb",
    ):  # fmt: skip
        assert line in head.splitlines()
    assert "sesame" not in head
    assert parse_token(head.encode() + dump_token(token)) == token


def test_no_name_ends_the_comment() -> None:
    data = {"ca.crt": b"ca", "tls.crt": b"c", "tls.key": b"k"}
    token = connection_token("t", "id\nkind: Pod", "::1", (1, 2), data)
    head = token_head(token, "evil\nsite\u2028x", "::1", (1, 2), "aa", "later").decode()
    assert all(line.startswith("# ") for line in head.splitlines())
    assert "[::1]:1" in head
    assert "any number" in head
