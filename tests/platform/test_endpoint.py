from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.errors import EndpointError, InvalidError
from skupper_podman.platform.podman.endpoint import (
    Endpoint,
    check_remote,
    parse_document,
    render_document,
    resolve,
)

DEFAULT = Path("/run/user/1000/podman/podman.sock")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("/tmp/podman.sock", "unix:///tmp/podman.sock"),
        ("unix:///tmp/podman.sock", "unix:///tmp/podman.sock"),
        ("http+unix:///tmp/podman.sock", "unix:///tmp/podman.sock"),
        ("tcp://host:8080", "http://host:8080"),
        ("http://host:8080", "http://host:8080"),
        ("https://host:8443", "https://host:8443"),
        ("host:8080", "http://host:8080"),
        ("host", "http://host"),
        ("[::2]:8080", "http://[::2]:8080"),
        ("  /tmp/podman.sock\n", "unix:///tmp/podman.sock"),
    ],
)
def test_forms(text: str, url: str) -> None:
    assert resolve(text, "", {}, DEFAULT) == Endpoint(url, "--podman-endpoint")


@pytest.mark.parametrize(
    "text", ["ssh://root@host/run/podman.sock", "ftp://x", "unix://relative", "http://", "://", "tcp://:80"]
)
def test_what_is_no_endpoint_is_refused_with_its_origin(text: str) -> None:
    for argument, env, origin in (
        (text, {}, "--podman-endpoint"),
        ("", {"PODMAN_ENDPOINT": text}, "PODMAN_ENDPOINT"),
        ("", {"CONTAINER_HOST": text}, "CONTAINER_HOST"),
    ):
        with pytest.raises(EndpointError, match="invalid endpoint") as caught:
            resolve(argument, "", env, DEFAULT)
        assert origin in caught.value.message
        assert caught.value.hint


optional = st.sampled_from(("", "  ", "/one.sock", "/two.sock", "host:1"))


@given(optional, optional, optional, optional)
def test_the_first_that_is_given_decides(argument: str, stored: str, podman: str, container: str) -> None:
    env = {"PODMAN_ENDPOINT": podman, "CONTAINER_HOST": container, "DOCKER_HOST": "/never.sock"}
    found = resolve(argument, stored, env, DEFAULT)
    order = (
        (argument, "--podman-endpoint"),
        (stored, "podman.yaml"),
        (podman, "PODMAN_ENDPOINT"),
        (container, "CONTAINER_HOST"),
    )
    expected = next(((text, origin) for text, origin in order if text.strip()), None)
    if expected is None:
        assert found == Endpoint(f"unix://{DEFAULT}", "default")
        assert found.is_default
        assert found.stored == ""
        assert found.socket == DEFAULT
    else:
        assert found.origin == expected[1]
        assert found.stored == found.url == resolve(expected[0], "", {}, DEFAULT).url


@given(st.text(max_size=60))
def test_any_text_is_an_endpoint_or_refused(text: str) -> None:
    try:
        found = resolve(text, "", {}, DEFAULT)
    except EndpointError:
        return
    assert found.url.partition("://")[0] in ("unix", "http", "https")


def test_remote_endpoints_must_be_reachable_from_containers() -> None:
    remote = resolve("tcp://host:8080", "", {}, DEFAULT)
    check_remote(remote, lambda _host: ("10.0.0.7",))
    check_remote(resolve("/x.sock", "", {}, DEFAULT), lambda _host: ())
    with pytest.raises(EndpointError, match="unable to resolve hostname: host"):
        check_remote(remote, lambda _host: ())
    for address in ("127.0.0.1", "::1", "0.0.0.0", "::"):
        with pytest.raises(EndpointError, match=f"local addresses cannot be used, got: {address}"):
            check_remote(remote, lambda _host, found=address: ("10.0.0.7", found))  # type: ignore[misc]


def test_document_of_19() -> None:
    assert render_document("") == b'endpoint: ""\n'
    assert parse_document(b'endpoint: ""\n') == parse_document(b"") == ""
    assert parse_document(None) == ""
    assert parse_document(b"endpoint: unix:///x.sock\n") == "unix:///x.sock"
    assert parse_document(b"other: 1\n") == ""


@pytest.mark.parametrize("content", [b"- a", b"endpoint: [1]", b"endpoint: 7", b"{", b"text"])
def test_a_malformed_document_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidError, match=r"podman.yaml"):
        parse_document(content)


@given(st.from_regex(r"[a-z:/.\"\\ 0-9]*", fullmatch=True))
def test_document_round_trip(endpoint: str) -> None:
    assert parse_document(render_document(endpoint)) == endpoint
