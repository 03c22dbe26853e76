"""Values the tests of the desired resources share."""

from __future__ import annotations

from skupper_podman.desired.containers import Runtime
from skupper_podman.desired.resources import Mount
from skupper_podman.desired.site import SiteState
from skupper_podman.desired.tokens import LinkSecret
from skupper_podman.model.service import HostPorts, Service, Target
from skupper_podman.model.site import LogLevel, SiteSpec

SITE_ID = "0d3b4c8e-0000-4000-8000-000000000001"
PEER_ID = "0d3b4c8e-0000-4000-8000-000000000002"

SPEC = SiteSpec(
    name="host1-alice-1a2b3",
    site_id=SITE_ID,
    ingress_hosts=("host1.example.com", "192.0.2.5"),
    router_logging=(LogLevel("", "info"),),
    router="embedded",
)
RUNTIME = Runtime(
    "embedded", "localhost/skupper-host:1", "localhost/skupper-host:1", (Mount("/usr", "/usr", True),), "py"
)
IMAGE = Runtime("image", "quay.io/skupper/skupper-router:2.7.6", "localhost/skupper-host:1", (), "py")
LINK = LinkSecret(
    "link1",
    "connection-token",
    {
        "inter-router-host": "192.0.2.10",
        "inter-router-port": "55671",
        "edge-host": "192.0.2.10",
        "edge-port": "45671",
        "skupper.io/generated-by": PEER_ID,
        "skupper.io/site-version": "1.9.6",
    },
    {"skupper.io/type": "connection-token"},
    {"ca.crt": b"CA", "tls.crt": b"CERT", "tls.key": b"KEY"},
)
BACKEND = Service("backend", (8080,), targets=(Target("backend-target", ((8080, 9090),)),), labels={"team": "a"})
PUBLISHED = Service(
    "web", (80, 443), host_ports=HostPorts("127.0.0.1", ((80, 8080), (443, 8443))), container_name="front"
)
TLS = Service("secure", (8443,), tls_credentials="skupper-tls-secure")
STATE = SiteState(SPEC, RUNTIME, (LINK,), (BACKEND, TLS, PUBLISHED))
