"""Token files and link labels, against the examples of the reference; a token comes from another machine."""

from __future__ import annotations

import base64
import datetime
from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.desired import tokens
from skupper_podman.desired.tokens import (
    LinkSecret,
    check_link_name,
    check_token,
    connection_token,
    dump_token,
    metadata_label,
    next_link_name,
    parse_link,
    parse_token,
)
from skupper_podman.errors import InvalidError, SkupperError
from skupper_podman.model.link import Token
from tests.desired.examples import LINK, PEER_ID, SITE_ID

DATA = {"ca.crt": b"CA", "tls.crt": b"CERT", "tls.key": b"KEY"}
TOKEN = connection_token("skupper", PEER_ID, "192.0.2.5", (55671, 45671), DATA)
CLAIM = Token(
    "claim",
    "token-claim",
    {"skupper.io/type": "token-claim"},
    {
        "skupper.io/url": "https://claims.example.com:8081/claim",
        "skupper.io/generated-by": PEER_ID,
        "skupper.io/site-version": "1.9.6",
        "skupper.io/claim-expiration": "2025-01-01T12:15:00Z",
    },
    {"ca.crt": b"CA", "password": b"secret"},
)


def with_annotation(name: str, value: str) -> Token:
    return replace(TOKEN, annotations={**TOKEN.annotations, name: value})


def test_token_file_is_the_reference_example() -> None:
    document = yaml.safe_load(dump_token(TOKEN))
    assert document == {
        "apiVersion": "v1",
        "data": {name: base64.b64encode(value).decode() for name, value in DATA.items()},
        "kind": "Secret",
        "metadata": {
            "annotations": {
                "edge-host": "192.0.2.5",
                "edge-port": "45671",
                "inter-router-host": "192.0.2.5",
                "inter-router-port": "55671",
                "skupper.io/generated-by": PEER_ID,
                "skupper.io/site-version": "1.9.6",
            },
            "creationTimestamp": None,
            "labels": {"skupper.io/type": "connection-token"},
            "name": "skupper",
        },
        "type": "kubernetes.io/tls",
    }
    assert list(document["metadata"]["annotations"]) == sorted(document["metadata"]["annotations"])


@pytest.mark.parametrize("token", [TOKEN, CLAIM])
def test_round_trip(token: Token) -> None:
    assert parse_token(dump_token(token)) == token


def test_secrets_are_not_shown() -> None:
    assert "KEY" not in repr(TOKEN)
    assert "secret" not in repr(CLAIM)
    assert "KEY" not in repr(LINK)


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_garbage_is_refused_and_nothing_else(text: bytes | str) -> None:
    with pytest.raises(InvalidError):
        parse_token(text)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["metadata", "labels", "annotations", "data", "name", "skupper.io/type"]), inner
            )
        ),
        max_leaves=12,
    )
)
def test_any_document_is_a_token_or_refused(document: object) -> None:
    try:
        parse_token(yaml.safe_dump(document))
    except InvalidError:
        return


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (replace(TOKEN, data={**DATA, "tls.key": b""}), "Expected tls.key field in secret data"),
        (replace(TOKEN, data={}), "Expected tls.key field in secret data"),
        (replace(CLAIM, data={}), "Expected password field in secret data"),
        (replace(CLAIM, annotations={}), r"Expected skupper\.io/url annotation"),
        (replace(TOKEN, annotations={}), "not a valid skupper token"),
        (with_annotation("inter-router-port", "x"), "not a valid skupper token"),
        (with_annotation(tokens.GENERATED_BY, ""), "Can't find secret origin"),
        (with_annotation(tokens.GENERATED_BY, SITE_ID), "connection to self"),
        (with_annotation(tokens.SITE_VERSION, "0.7.9"), "minimum version required 0.8.0"),
        (with_annotation(tokens.SITE_VERSION, ""), "undefined"),
    ],
)  # fmt: skip
def test_unusable_tokens(token: Token, message: str) -> None:
    with pytest.raises(SkupperError, match=message):
        check_token(token, SITE_ID, {})


def test_usable_tokens() -> None:
    check_token(TOKEN, SITE_ID, {"link1": "another"})
    check_token(CLAIM, SITE_ID, {})
    for version in ("0.8.0", "1.9.6", "v1.4.0-rc1", "2.0.0", "dev"):
        check_token(with_annotation(tokens.SITE_VERSION, version), SITE_ID, {})
    template = replace(TOKEN, annotations={**TOKEN.annotations, tokens.TEMPLATE: "x"}, data={"ca.crt": b"CA"})
    check_token(template, SITE_ID, {})


def test_second_link_to_a_site_is_refused_by_name() -> None:
    with pytest.raises(InvalidError, match=f'Already connected to "{PEER_ID}"') as caught:
        check_token(TOKEN, SITE_ID, {"uplink": PEER_ID})
    assert "skupper link update uplink --cost N" in caught.value.hint


def test_names_of_links() -> None:
    assert next_link_name(()) == "link1"
    assert next_link_name(("link1", "link7", "other", "linkx", "link")) == "link8"
    assert check_link_name("my-link.1") == "my-link.1"
    for name in ("", "-a", "a b", "a/b", "../a", "skupper-internal", "x" * 64):
        with pytest.raises(InvalidError):
            check_link_name(name)


def test_metadata_label_is_the_reference_example() -> None:
    assert metadata_label(LINK) == (
        '{"name":"link1","creationTimestamp":null,"labels":{"skupper.io/type":"connection-token"},"annotations":'
        '{"edge-host":"192.0.2.10","edge-port":"45671","inter-router-host":"192.0.2.10","inter-router-port":"55671",'
        f'"skupper.io/generated-by":"{PEER_ID}","skupper.io/site-version":"1.9.6"}}}}'
    )


def test_link_is_read_back() -> None:
    created = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    link = replace(LINK, created=created, annotations={**LINK.annotations, "skupper.io/cost": "7"})
    labels = {"skupper.io/type": link.kind, "internal.skupper.io/metadata": metadata_label(link)}
    found = parse_link(link.name, labels, link.data)
    assert found == link
    assert found is not None
    assert (found.cost, found.peer_site_id, found.endpoint("edge")) == (7, PEER_ID, ("192.0.2.10", "45671"))


def test_other_volumes_are_no_links() -> None:
    assert parse_link("x", {"skupper.io/type": "Credential"}, {}) is None
    damaged = parse_link("x", {"skupper.io/type": "connection-token", "internal.skupper.io/metadata": "{"}, {})
    assert damaged == LinkSecret("x", "connection-token")
