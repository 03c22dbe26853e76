"""The contract of ``-o json`` and ``-o yaml``: keys may be added within ``skupper-podman/v1``, never changed."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from skupper_podman.cli.documents import plain
from skupper_podman.errors import Blocker, PreflightError
from skupper_podman.model.certificate import Certificate
from skupper_podman.model.link import IncomingLink
from tests.cli.memory import CREATED, PEER_ID, MemoryPlatform, remote_network, token_text
from tests.cli.terminal import Terminal

TEXT, NUMBER, TRUTH, NOTHING = "text", "number", "truth", "null"

CERTIFICATE = {
    "name": TEXT, "kind": TEXT, "problem": TEXT, "fix": TEXT, "subject": TEXT, "issuer": TEXT, "hosts": [],
    "notBefore": TEXT, "notAfter": TEXT, "renewsAt": NOTHING, "late": TRUTH, "predecessors": NUMBER,
}  # fmt: skip

# What every document looks like: scalars by kind, lists by their first element.
EXPECTED: dict[str, Any] = {
    "SiteStatus": {
        "user": TEXT,
        "namespace": TEXT,
        "site": {"name": TEXT, "id": TEXT, "mode": TEXT, "version": TEXT, "network": TEXT},
        "router": {"kind": TEXT, "image": TEXT},
        "services": NUMBER,
        "health": TEXT,
        "connections": {"total": NUMBER, "direct": NUMBER, "indirect": NUMBER},
        "probes": [{"name": TEXT, "health": TEXT, "detail": TEXT, "since": NOTHING, "fix": TEXT}],
        "certificates": [CERTIFICATE],
    },
    "Certificates": {"certificates": [CERTIFICATE]},
    "LinkStatus": {
        "links": [
            {
                "name": TEXT, "type": TEXT, "state": TEXT, "reason": TEXT, "host": TEXT, "port": TEXT, "cost": NUMBER,
                "peerSite": TEXT, "peer": TEXT, "created": TEXT, "since": NOTHING, "fix": TEXT,
            }
        ],
        "incoming": [{"siteId": TEXT, "siteName": TEXT, "namespace": TEXT}],
    },
    "ServiceStatus": {
        "services": [
            {
                "address": TEXT, "protocol": TEXT, "ports": [NUMBER], "container": TEXT, "labels": {"app": TEXT},
                "tls": TRUTH, "origin": TEXT, "originSite": NOTHING, "allowedSites": [],
                "targets": [{"host": TEXT, "ports": {"8080": NUMBER}}],
                "hostPorts": {"ip": TEXT, "ports": {}}, "health": TEXT, "detail": TEXT, "fix": TEXT,
                "reachable": TRUTH, "since": NOTHING,
                "targetStatus": [
                    {"host": TEXT, "port": NUMBER, "targetPort": NUMBER, "health": TEXT, "reason": TEXT}
                ],
                "sites": [
                    {
                        "id": TEXT, "name": TEXT, "namespace": TEXT, "address": TEXT, "listeners": NUMBER,
                        "connectors": [{"host": TEXT, "port": TEXT, "target": TEXT}],
                    }
                ],
            }
        ],
    },
    "NetworkStatus": {
        "sites": [
            {
                "id": TEXT, "name": TEXT, "namespace": TEXT, "platform": TEXT, "version": TEXT, "local": TRUTH,
                "policy": TEXT,
                "linkedSites": [{"id": TEXT, "name": TEXT, "direction": TEXT, "routers": [TEXT]}],
                "routers": [
                    {
                        "id": TEXT, "mode": TEXT, "imageName": TEXT, "imageVersion": TEXT,
                        "links": [{"peer": TEXT, "cost": NUMBER, "direction": TEXT}],
                    }
                ],
            }
        ],
        "addresses": [],
        "gateways": [],
    },
    "TokenStatus": {
        "name": TEXT, "file": TEXT, "type": TEXT, "version": TEXT, "local": TRUTH, "generatedBy": TEXT,
        "endpoints": [{"role": TEXT, "host": TEXT, "port": TEXT}], "url": TEXT, "expiry": NOTHING, "expired": TRUTH,
        "fingerprint": TEXT, "uses": NOTHING, "state": TEXT, "claimsMade": NOTHING, "claimsRemaining": NOTHING,
        "checks": [],
    },
    "TokenList": {
        "tokens": [
            {
                "name": TEXT, "state": TEXT, "created": TEXT, "claimExpiration": TEXT, "claimsMade": NUMBER,
                "claimsRemaining": NUMBER, "host": TEXT,
            }
        ],
    },
    "Version": {
        "client": TEXT, "program": {"name": TEXT, "version": TEXT}, "platform": TEXT, "enabled": TRUTH,
        "images": [{"name": TEXT, "image": TEXT, "digest": TEXT}],
    },
    "Platform": {"platform": TEXT, "origin": TEXT, "previous": NOTHING},
    "Plan": {
        "title": TEXT, "wouldChange": TRUTH, "steps": [{"verb": TEXT, "what": TEXT, "detail": TEXT}], "facts": None,
    },
    "Site": {"action": TEXT, "user": TEXT, "namespace": TEXT, "facts": None},
    "Certificate": {"action": TEXT, "facts": None},
    "Link": {"action": TEXT, "name": TEXT, "facts": None},
    "Service": {"action": TEXT, "address": TEXT, "facts": None},
    "Token": {"action": TEXT, "file": TEXT, "name": TEXT, "type": TEXT, "facts": None},
}  # fmt: skip


def shape(value: Any) -> Any:
    """The kinds of the scalars of a document."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if value is None:
        return NOTHING
    return TRUTH if isinstance(value, bool) else NUMBER if isinstance(value, int) else TEXT


def expected(kind: str, data: Any) -> Any:
    """The pinned shape; what plans choose to report is free."""
    pinned = dict(EXPECTED[kind])
    return {key: shape(data[key]) if value is None else value for key, value in pinned.items()}


@pytest.fixture
def busy(site: Terminal, platform: MemoryPlatform, tmp_path: Path) -> Terminal:
    """A site with a link, a service and another site in its network."""
    token = tmp_path / "east.token"
    token.write_bytes(token_text())
    site("link", "create", str(token))
    site("expose", "host", "10.0.0.1", "--address=backend", "--port=8080", "--label=app=x")
    platform.incoming = (IncomingLink(PEER_ID, "east", "east"),)
    platform.known_certificates = (Certificate("link1", "link", not_before=CREATED, not_after=CREATED),)
    site.image = ("quay.io/skupper/skupper-router:2.7.6", "sha256:0123")
    return site


def cases(tmp: Path) -> list[tuple[str, bool, list[str]]]:
    return [
        ("SiteStatus", False, ["status"]),
        ("Certificates", False, ["certificate", "status"]),
        ("Certificate", True, ["certificate", "rotate"]),
        ("LinkStatus", False, ["link", "status"]),
        ("ServiceStatus", False, ["service", "status"]),
        ("TokenStatus", False, ["token", "status", str(tmp / "east.token")]),
        ("Version", False, ["version"]),
        ("Platform", False, ["switch"]),
        ("Plan", False, ["delete", "--dry-run"]),
        ("Link", True, ["link", "delete", "link1"]),
        ("Service", True, ["service", "create", "db", "5432"]),
        ("Token", True, ["token", "create", str(tmp / "new.token")]),
        ("TokenList", False, ["token", "list"]),
        ("Site", True, ["delete"]),
    ]


def test_documents_keep_their_shape(busy: Terminal, tmp_path: Path) -> None:
    for kind, changed, words in cases(tmp_path):
        answer = busy(*words, "-o", "json")
        assert (answer.code, answer.err) == (0, ""), answer
        document = json.loads(answer.out)
        assert list(document) == ["apiVersion", "kind", "changed", "data", "warnings"]
        assert document["apiVersion"] == "skupper-podman/v1"
        assert (document["kind"], document["changed"], document["warnings"]) == (kind, changed, [])
        assert shape(document["data"]) == expected(kind, document["data"]), kind


def test_network_status_keeps_its_shape(busy: Terminal, platform: MemoryPlatform) -> None:
    assert platform.spec is not None
    platform.network = remote_network(platform.spec)
    answer = busy("network", "status", "-o", "json")
    assert shape(answer.data) == EXPECTED["NetworkStatus"]
    assert json.loads(answer.out)["kind"] == "NetworkStatus"


def test_yaml_says_the_same(busy: Terminal, tmp_path: Path) -> None:
    for _kind, changed, words in cases(tmp_path):
        if not changed:
            text, document = busy(*words, "-o", "yaml").out, json.loads(busy(*words, "--output=json").out)
            assert yaml.safe_load(text) == document
            assert text.startswith("apiVersion: skupper-podman/v1\nkind: ")


def test_errors_are_documents_too(skupper: Terminal) -> None:
    answer = skupper("status", "-o", "json")
    assert (answer.code, answer.err) == (1, "")
    assert json.loads(answer.out) == {
        "apiVersion": "skupper-podman/v1",
        "kind": "Error",
        "error": {
            "type": "NotEnabledError",
            "message": "Skupper is not enabled for user 'jdoe'",
            "hint": "to create a site: skupper init",
            "checks": [],
        },
    }


def test_preflight_checks_are_in_the_document(skupper: Terminal, platform: MemoryPlatform) -> None:
    platform.broken_step = PreflightError((Blocker("disk", "the disk is full", "df -h"),))
    answer = skupper("init", "-o", "yaml")
    error = yaml.safe_load(answer.out)["error"]
    assert error["checks"] == [{"check": "disk", "cause": "the disk is full", "fix": "df -h"}]


def test_usage_errors_are_documents_too(skupper: Terminal) -> None:
    for words in (["status", "--nope"], ["nope"], ["init", "--bind-port=x"], ["--platform=x", "status"]):
        answer = skupper(*words, "-o", "json")
        assert (answer.code, answer.err) == (2, "")
        assert json.loads(answer.out)["error"]["type"] == "UsageError"


def test_unknown_formats_are_refused(skupper: Terminal) -> None:
    answer = skupper("status", "-o", "xml")
    assert answer.code == 2
    assert answer.err.startswith('Error: invalid argument "xml" for "-o, --output" flag: must be text, json or yaml\n')


def test_warnings_are_in_the_envelope_and_not_on_stderr(skupper: Terminal, platform: MemoryPlatform) -> None:
    platform.warnings = ("lingering is off",)
    answer = skupper("init", "-o", "json")
    assert json.loads(answer.out)["warnings"] == ["lingering is off"]
    assert answer.err == ""
    assert "warnings" not in answer.data["facts"]


def test_what_json_cannot_say_is_text_and_bytes_are_never_shown() -> None:
    assert plain({"path": Path("/x"), 1: (2, None), "key": b"secret"}) == {"path": "/x", "1": [2, None], "key": None}
