"""Flags of 1.9's podman ``init`` that this release accepts only to refuse them by name, never to ignore them.

What always holds: none of them is shown in the help. A flag leaves this module in the release that makes it work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from skupper_podman.cli.flags import Kind, flag

_CONSOLE: Final = "the flow collector and the console come in a later release"


def _later(name: str, kind: Kind, reason: str) -> Any:
    return flag(name, kind, "", hidden=True, later=reason)


@dataclass(frozen=True, slots=True)
class InitLater:
    """The flags, as the first fields of the options of ``init``."""

    enable_console: bool = _later("enable-console", "bool", _CONSOLE)
    enable_flow_collector: bool = _later("enable-flow-collector", "bool", _CONSOLE)
    console_auth: str = _later("console-auth", "string", _CONSOLE)
    console_user: str = _later("console-user", "string", _CONSOLE)
    console_password: str = _later("console-password", "string", _CONSOLE)
    flow_collector_record_ttl: int = _later("flow-collector-record-ttl", "duration", _CONSOLE)
    bind_port_flow_collector: int = _later("bind-port-flow-collector", "int", _CONSOLE)
    external_prometheus_server: str = _later("external-prometheus-server", "string", _CONSOLE)
    prometheus_auth: str = _later("prometheus-auth", "string", _CONSOLE)
    prometheus_user: str = _later("prometheus-user", "string", _CONSOLE)
    prometheus_password: str = _later("prometheus-password", "string", _CONSOLE)
    flow_collector_cpu_limit: str = _later("flow-collector-cpu-limit", "string", _CONSOLE)
    flow_collector_memory_limit: str = _later("flow-collector-memory-limit", "string", _CONSOLE)
    prometheus_cpu_limit: str = _later("prometheus-cpu-limit", "string", _CONSOLE)
    prometheus_memory_limit: str = _later("prometheus-memory-limit", "string", _CONSOLE)


def _dashed(names: str) -> frozenset[str]:
    return frozenset(f"--{name}" for name in names.split())


INIT_ON_KUBERNETES: Final = _dashed(
    "create-network-policy console-ingress enable-rest-api annotation-separator ingress-annotations annotations "
    "router-service-annotations router-pod-annotations controller-service-annotation controller-pod-annotation "
    "prometheus-server-pod-annotation service-sync-site-ttl run-as-user run-as-group routers "
    "router-cpu router-memory router-node-selector router-pod-affinity router-pod-antiaffinity router-ingress-host "
    "router-load-balancer-ip router-disable-mutual-tls router-data-connection-count controller-cpu controller-memory "
    "controller-node-selector controller-pod-affinity controller-pod-antiaffinity controller-ingress-host "
    "controller-load-balancer-ip config-sync-cpu config-sync-memory config-sync-cpu-limit config-sync-memory-limit "
    "enable-cluster-permissions flow-collector-cpu flow-collector-memory prometheus-cpu prometheus-memory "
    "enable-skupper-events"
)

EXPOSE_ON_KUBERNETES: Final = _dashed(
    "bridge-image headless proxy-cpu proxy-memory proxy-cpu-limit proxy-memory-limit "
    "proxy-node-selector proxy-pod-affinity proxy-pod-antiaffinity publish-not-ready-addresses target-namespace"
)

TARGET_ON_KUBERNETES: Final = _dashed("target-namespace")

BIND_ON_KUBERNETES: Final = EXPOSE_ON_KUBERNETES - _dashed("bridge-image")

TOKEN_ON_KUBERNETES: Final = _dashed("template")
