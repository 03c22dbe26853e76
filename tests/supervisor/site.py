"""A stand-in for a site: containers with a site's names and labels that run a tiny web server on the host image."""

from __future__ import annotations

from skupper_podman.desired.resources import Container, Network, PublishedPort
from skupper_podman.platform.podman.api import PodmanApi
from skupper_podman.platform.podman.hostimage import ensure_host_image, host_mounts, python_command

ROUTER = "skupper-router"
CONTROLLER = "skupper-controller-podman"
SERVICE = "backend"

_SERVER = """\
import http.server, signal, socketserver, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"hello")
    def log_message(self, *words):
        print(*words, flush=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("serving", flush=True)
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""


def make_site(api: PodmanApi, port: int) -> None:
    """Make and start a site whose router is published on ``port`` and whose service on the next one."""
    image = ensure_host_image(api)
    api.create_network(Network("skupper", labels={"application": "skupper"}))
    for name, label, published in (
        (ROUTER, "component", port),
        (CONTROLLER, "component", 0),
        (SERVICE, "address", port + 1),
    ):
        container = Container(
            name=name,
            image=image,
            command=(*python_command("x")[:1], "-c", _SERVER),
            labels={"application": "skupper", f"skupper.io/{label}": name},
            network="skupper",
            aliases=(name,),
            mounts=host_mounts(),
            ports=(PublishedPort(8080, published),) if published else (),
            selinux_disabled=True,
        )
        api.create_container(container)
        api.start(name)


def resolves(api: PodmanApi, name: str) -> bool:
    """True if containers of the site can look ``name`` up."""
    look = f"import socket; socket.gethostbyname({name!r})"
    return api.exec(CONTROLLER, [*python_command("x")[:1], "-c", look]).exit_code == 0
