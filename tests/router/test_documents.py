"""The site's and the services' configurations against the documents of 1.9."""

from __future__ import annotations

import json
from typing import Any

import pytest

from skupper_podman.router.config import RouterConfig, RouterConfigError, SiteMetadata
from skupper_podman.router.documents import (
    ServiceRouter,
    SiteRouter,
    link_entities,
    log_entity,
    service_config,
    site_config,
    target_connectors,
    with_log_levels,
    without_link,
)

SITE = SiteMetadata("8f0c", "1.9.6", "podman")
METADATA = '{"id":"8f0c","version":"1.9.6","platform":"podman"}'


def _profile(name: str) -> list[Any]:
    base = f"/etc/skupper-router-certs/{name}"
    files = {"caCertFile": f"{base}/ca.crt", "certFile": f"{base}/tls.crt", "privateKeyFile": f"{base}/tls.key"}
    return ["sslProfile", {"name": name, **files}]


def _mutual(name: str, role: str, port: int) -> list[Any]:
    return [
        "listener",
        {
            "name": name, "role": role, "port": port, "sslProfile": "skupper-internal", "saslMechanisms": "EXTERNAL",
            "authenticatePeer": True, "maxFrameSize": 16384, "maxSessionFrames": 640,
        },
    ]  # fmt: skip


HEALTH = [
    "listener",
    {
        "name": "@9090", "role": "normal", "port": 9090, "http": True, "httpRootDir": "disabled", "healthz": True,
        "metrics": True,
    },
]  # fmt: skip
AMQPS = [
    "listener",
    {
        "name": "amqps", "port": 5671, "sslProfile": "skupper-amqps", "saslMechanisms": "EXTERNAL",
        "authenticatePeer": True,
    },
]  # fmt: skip
CLIENT_PROFILE = [
    "sslProfile",
    {"name": "skupper-service-client", "caCertFile": "/etc/skupper-router-certs/skupper-service-client/ca.crt"},
]
LINK = {
    "name": "link1", "role": "inter-router", "host": "192.0.2.10", "port": "55671", "cost": 1,
    "sslProfile": "link1-profile", "verifyHostname": True,
}  # fmt: skip


def _written(config: RouterConfig) -> Any:
    return json.loads(config.dump())


def test_interior_site_with_one_link() -> None:
    config = site_config(SiteRouter("host1-alice-1a2b3", SITE, logging={"": "info"}))
    config = config.put_all(link_entities("link1", "192.0.2.10", 55671))
    assert _written(config) == [
        ["router", {"helloMaxAgeSeconds": "3", "id": "host1-alice-1a2b3", "metadata": METADATA, "mode": "interior"}],
        _profile("skupper-amqps"),
        CLIENT_PROFILE,
        _profile("skupper-internal"),
        _profile("link1-profile"),
        ["connector", LINK],
        HEALTH,
        ["listener", {"name": "amqp", "host": "localhost", "port": 5672}],
        AMQPS,
        _mutual("interior-listener", "inter-router", 55671),
        _mutual("edge-listener", "edge", 45671),
        ["address", {"prefix": "mc", "distribution": "multicast"}],
        ["log", {"module": "DEFAULT", "enable": "info+"}],
    ]
    assert not config.is_edge
    assert without_link(config, "link1") == site_config(
        SiteRouter("host1-alice-1a2b3", SITE, logging={"DEFAULT": "info+"})
    )


def test_edge_site_has_no_router_listeners() -> None:
    config = site_config(SiteRouter("r", SITE, edge=True))
    assert config.is_edge
    assert [entity.key for entity in config.of_type("listener")] == ["@9090", "amqp", "amqps"]
    assert [entity.key for entity in config.of_type("sslProfile")] == ["skupper-amqps", "skupper-service-client"]
    _, connector = link_entities("l", "h", "45671", cost=4, edge=True)
    assert (connector.get("role"), connector.get("cost"), connector.get("port")) == ("edge", 4, "45671")


def test_router_options() -> None:
    options = SiteRouter(
        "r", SITE, data_connection_count="4", drop_tcp_connections=True, mutual_tls=False, max_frame_size=0,
        max_session_frames=0,
    )  # fmt: skip
    config = site_config(options)
    assert config.router.get("dataConnectionCount") == "4"
    assert config.router.get("dropTcpConnections") is True
    interior = config.get("listener", "interior-listener")
    assert interior is not None
    assert set(interior.attributes) == {"name", "role", "port", "sslProfile"}


def test_log_levels_replace_each_other() -> None:
    config = with_log_levels(RouterConfig(), {"": "info", "ROUTER_CORE": "debug+", "SERVER": ""})
    assert _written(config) == [
        ["log", {"module": "DEFAULT", "enable": "info+"}],
        ["log", {"module": "ROUTER_CORE", "enable": "debug+"}],
    ]
    assert _written(with_log_levels(config, {"TCP_ADAPTOR": "error"})) == [
        ["log", {"module": "TCP_ADAPTOR", "enable": "error+"}]
    ]


def test_service_with_tls_and_one_target() -> None:
    service = ServiceRouter(
        "host1-alice-1a2b3", SITE, "backend", (8080,), tls=True, tls_credentials="skupper-tls-backend"
    )
    config = service_config(service, log=[log_entity("", "info")])
    config = config.put_all(target_connectors(service, "backend-target", {8080: 9090}))
    assert _written(config) == [
        [
            "router",
            {"helloMaxAgeSeconds": "3", "id": "host1-alice-1a2b3-backend", "metadata": METADATA, "mode": "edge"},
        ],
        _profile("skupper-internal"),
        _profile("skupper-tls-backend"),
        [
            "connector",
            {"name": "uplink", "role": "edge", "host": "skupper-router", "port": "45671",
             "sslProfile": "skupper-internal"},
        ],
        ["listener", {"name": "amqp", "host": "127.0.0.1", "port": 5672}],
        [
            "tcpConnector",
            {"name": "backend@backend-target:8080:9090", "address": "backend:8080", "host": "backend-target",
             "port": "9090", "siteId": "8f0c-backend", "sslProfile": "skupper-tls-backend", "verifyHostname": False},
        ],
        [
            "tcpListener",
            {"name": "backend:8080", "address": "backend:8080", "host": "backend", "port": "8080", "siteId": "8f0c",
             "sslProfile": "skupper-tls-backend"},
        ],
        ["log", {"module": "DEFAULT", "enable": "info+"}],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("protocol", "listener", "connector"),
    [
        ("tcp", {}, {"verifyHostname": False}),
        ("http", {"aggregation": "json", "eventChannel": True}, {"aggregation": "json", "eventChannel": True}),
        (
            "http2",
            {"aggregation": "json", "eventChannel": True, "protocolVersion": "HTTP2", "sslProfile": "c"},
            {"aggregation": "json", "eventChannel": True, "protocolVersion": "HTTP2", "sslProfile": "c",
             "verifyHostname": False},
        ),
    ],
)  # fmt: skip
def test_protocols(protocol: str, listener: dict[str, Any], connector: dict[str, Any]) -> None:
    service = ServiceRouter(
        "r", SITE, "web", (80, 81), protocol=protocol, host="web-1", tls_credentials="" if protocol == "tcp" else "c",
        aggregation="json", event_channel=True,
    )  # fmt: skip
    kind = "tcp" if protocol == "tcp" else "http"
    listeners = service_config(service).of_type(f"{kind}Listener")
    assert [dict(entity.attributes) for entity in listeners] == [
        {"name": f"web:{port}", "address": f"web:{port}", "host": "web-1", "port": str(port), "siteId": "8f0c"}
        | listener
        for port in (80, 81)
    ]
    (first,) = target_connectors(service, "t", {80: 8080})
    assert first.type == f"{kind}Connector"
    assert dict(first.attributes) == {
        "name": "web@t:80:8080", "address": "web:80", "host": "t", "port": "8080", "siteId": "8f0c-web", **connector,
    }  # fmt: skip


def test_unknown_protocol() -> None:
    with pytest.raises(RouterConfigError, match="'udp' is not a protocol of services"):
        service_config(ServiceRouter("r", SITE, "a", (1,), protocol="udp"))
