"""What the status commands cost at 1, 100 and 500 services in a network of 100 sites.

The site, its router and its Podman are real. The services' containers are made but not started, and the network status
is written by hand: 500 routers would need more memory than the machine has. The services' routers are real ones, too,
but all of them in one process, which the site's router cannot tell from 500.
"""

from __future__ import annotations

import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from skupper_podman.desired import names
from skupper_podman.desired.resources import Container, VolumeFile
from skupper_podman.desired.site import site_resources
from skupper_podman.files import Tree
from skupper_podman.model.service import Service, Target
from skupper_podman.platform.podman.state import state_of
from skupper_podman.platform.podman.supervise import background_supervisor
from tests.lab import Host, Lab, missing_requirements
from tests.platform.onehost import inside, platform_on
from tests.podmanlab import until

SITES = 100
EDGES = """
import sys
from skupper_podman.routerd.entities import Entities
from skupper_podman.routerd.log import Log
from skupper_podman.routerd.loop import Loop
from skupper_podman.routerd.management.config import validate
from skupper_podman.routerd.router import Router
from skupper_podman.routerd.services import Management
loop = Loop(lambda error: sys.stderr.write(f"{error!r}\\n"))
log = Log()
log.configure("DEFAULT", {"module": "DEFAULT", "enable": "error+"})
place = "/etc/skupper-router-certs/skupper-internal"
files = {"caCertFile": "ca.crt", "certFile": "tls.crt", "privateKeyFile": "tls.key"}
profile = {"name": "p", **{key: f"{place}/{name}" for key, name in files.items()}}
uplink = {"name": "uplink", "role": "edge", "host": "skupper-router", "port": "45671", "sslProfile": "p"}
for number in range(int(sys.argv[1]), int(sys.argv[2])):
    name = f"svc{number:03}"
    router = Router(validate("router", {"id": f"bench-{name}", "mode": "edge"}), log, loop)
    entities = Entities(router)
    Management(router, entities)
    host = f"127.1.{number // 250}.{number % 250 + 1}"
    listener = {"name": f"{name}:8080", "address": f"{name}:8080", "port": "8080", "host": host}
    for kind, attributes in (("sslProfile", profile), ("connector", uplink), ("tcpListener", listener)):
        entities.create(kind, validate(kind, attributes))
loop.run()
"""
"""Runs in the site's router's container: the routers of services first to last."""
COUNTS = (1, 100, 500)
ROUNDS = 5


def figures() -> dict[str, dict[str, float | str]]:
    """Medians of ``ROUNDS`` rounds in seconds.

    Raises:
        RuntimeError: no lab can be made here.
    """
    reason = missing_requirements()
    if reason:
        raise RuntimeError(reason)
    rows: dict[str, dict[str, float | str]] = {}
    with Lab("bench") as lab:
        host = lab.hosts[0]
        host.skupper("init", "--router", "embedded", "--site-name", "bench", "--ingress-host", host.address)
        background_supervisor(platform_on(host).context).stop()
        made = 0
        for count in COUNTS:
            with_services(host, made, count)
            made = count
            for command in ("status", "service status", "link status", "network status"):
                rows[f"{command}, {count} services, {SITES} sites"] = {
                    "seconds": median(host, command),
                    "aim": "under 1 s",
                }
        rows["version (the start of the program)"] = {"seconds": median(host, "version"), "aim": ""}
    return rows


def median(host: Host, command: str) -> float:
    """Seconds that the command takes."""
    taken = []
    for _ in range(ROUNDS):
        begun = time.monotonic()
        host.skupper(*command.split(), check=False)
        taken.append(time.monotonic() - begun)
    return round(statistics.median(taken), 3)


def with_services(host: Host, first: int, count: int) -> None:
    """Add services up to ``count``: all their files, and containers that do not run."""
    services = [
        Service(f"svc{number:03}", (8080,), targets=(Target("127.0.0.1", ((8080, 9),)),)) for number in range(count)
    ]
    platform = platform_on(host, SKUPPER_DATA_HOME="/usr/local/bin")
    with inside(host):
        context = platform.context
        api = context.api
        site = context.site((names.DEFAULT.router,))
        state = replace(state_of(site), services=tuple(services))
        new = {service.address for service in services[first:]}
        resources = site_resources(state, new)
        for file in resources:
            if isinstance(file, VolumeFile) and file.volume in (names.DEFAULT.internal, names.DEFAULT.services):
                Tree(Path(site.volumes[file.volume].mountpoint)).write(file.path, file.content, file.mode)
        with ThreadPoolExecutor(max_workers=4) as pool:
            wanted = [item for item in resources if isinstance(item, Container) and item.name in new]
            list(pool.map(api.create_container, wanted))
        api.stop(names.DEFAULT.controller, 1)
        status = network(str(site.spec.site_id) if site.spec else "", services)
        tree = Tree(Path(site.volumes[names.DEFAULT.network_status].mountpoint))
        tree.write(names.STATUS_FILE, json.dumps(status).encode(), 0o644)
    platform.close()
    host.podman("exec", "--detach", names.DEFAULT.router, "python3", "-c", EDGES, str(first), str(count))
    until(lambda: edges(host) == count, 60, f"{count} routers of services are connected")


def edges(host: Host) -> int:
    """Edge routers connected to the site's router."""
    query = json.dumps([["query", "io.skupper.router.connection", "", {}]])
    words = ("python3", "-m", "skupper_podman.router.batch", "10", query)
    rows = json.loads(host.podman("exec", names.DEFAULT.router, *words).stdout)["results"][0]
    return sum(1 for row in rows if row.get("role") == "edge" and row.get("opened"))


def network(site_id: str, services: list[Service]) -> dict[str, Any]:
    """A status of ``SITES`` sites in a row, each with a listener for every service, the last with the connectors."""
    ids = [site_id, *(f"site-{number}" for number in range(1, SITES))]
    addresses = [f"{service.address}:{port}" for service in services for port in service.ports]
    sites = []
    for number, identity in enumerate(ids):
        links = [
            {"name": f"router-{other}", "mode": "interior", "direction": direction, "linkCost": 1}
            for other, direction in ((number - 1, "incoming"), (number + 1, "outgoing"))
            if 0 <= other < SITES
        ]
        bridges = [{"name": name, "address": name, "protocol": "tcp", "destHost": "x"} for name in addresses]
        sites.append(
            {
                "site": {"identity": identity, "name": identity, "platform": "podman", "siteVersion": "1.9.6"},
                "routerStatus": [
                    {
                        "router": {"name": f"0/router-{number}" if number else "0/bench", "mode": "interior"},
                        "links": links,
                        "listeners": bridges,
                        "connectors": bridges if number == SITES - 1 else [],
                    }
                ],
            }
        )
    known = [{"recType": "ADDRESS", "identity": name, "name": name, "protocol": "tcp"} for name in addresses]
    return {"addresses": known, "siteStatus": sites}
