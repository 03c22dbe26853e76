"""A real site on a machine that boots: there again after a reboot, with nobody logged in and no command typed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.podmanlab import unable, until
from tests.supervisor.machine import Machine, booted
from tests.syncpeer import body, speaking


def _unable() -> str:
    return unable() or ("" if Path("/lib/systemd/systemd").exists() else "needs systemd")


pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.skipif(bool(_unable()), reason=_unable() or "-")]


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with booted() as found:
        yield found


def test_site_of_an_ordinary_user(machine: Machine) -> None:
    machine.root("systemctl", "start", f"user@{machine.uid}.service")  # as a login does
    machine.login("systemctl", "--user", "enable", "--now", "podman.socket")
    made = machine.login("skupper", "init", "--router", "embedded", "--site-name", "west", "--ingress-host", "machine")
    if not machine.root("ls", f"/var/lib/systemd/linger/{machine.user}", check=False).stdout:
        line = f"loginctl enable-linger {machine.user}"
        assert f"sudo {line}" in made.stdout + made.stderr
        machine.root(*line.split())
    assert "2 containers run" in machine.login("systemctl", "--user", "status", "skupper-podman").stdout
    before = machine.login("podman", "inspect", "--format", "{{.State.StartedAt}}", "skupper-router").stdout
    machine.reboot()
    until(lambda: machine.login("skupper", "status", check=False).returncode == 0, 60, "the site is there again")
    assert machine.login("podman", "inspect", "--format", "{{.State.StartedAt}}", "skupper-router").stdout != before
    assert machine.login("systemctl", "--user", "is-active", "skupper-podman").stdout == "active\n"
    machine.login("systemctl", "--user", "stop", "skupper-podman")
    assert machine.login("podman", "ps", "--quiet").stdout == ""
    assert machine.login("skupper", "status", check=False).returncode == 1
    machine.login("systemctl", "--user", "start", "skupper-podman")
    until(lambda: machine.login("skupper", "status", check=False).returncode == 0, 20, "started")
    machine.login("skupper", "delete")

    def is_gone() -> bool:
        # Lingering that init enabled is taken back, and with it, a while later, the manager of who has no session.
        machine.root("systemctl", "start", f"user@{machine.uid}.service")
        left = machine.login("podman", "ps", "--all", "--quiet", check=False)
        told = machine.login("systemctl", "--user", "is-active", "skupper-podman", check=False)
        return (left.returncode, left.stdout, told.stdout) == (0, "", "inactive\n")

    until(is_gone, 30, "containers and unit are gone")


_AGE_BY_130_DAYS = """
import datetime, pathlib
from skupper_podman import certs
volumes = pathlib.Path("/var/lib/containers/storage/volumes")
authority, server = (volumes / name / "_data" for name in ("skupper-local-ca", "skupper-local-server"))
issuer = certs.KeyPair(*((authority / name).read_bytes() for name in ("tls.crt", "tls.key")))
facts = certs.facts((server / "tls.crt").read_bytes())
then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=130)
key = (server / "tls.key").read_bytes()
made = certs.issue(issuer, facts.subject, facts.dns_names, key, then, lifetime=certs.LEAF_LIFETIME)
(server / "tls.crt").write_bytes(made.certificate)
"""
"""What the site's own certificate is after a host was off for months."""


def test_site_of_root_in_the_confined_system_unit(machine: Machine) -> None:
    machine.root("systemctl", "enable", "--now", "podman.socket")
    machine.root(
        "skupper", "init", "--router", "embedded", "--site-name", "east", "--ingress-host", "machine",
        "--enable-service-sync",
    )  # fmt: skip
    shown = machine.root(
        "systemctl", "show", "skupper-podman", "--property=ProtectSystem,CapabilityBoundingSet,StatusText"
    )
    assert {"ProtectSystem=strict", "CapabilityBoundingSet=cap_kill"} <= set(shown.stdout.splitlines())
    machine.root("podman", "exec", "skupper-router", "skmanage", "query", "--type", "router")

    def pid(field: str) -> str:
        return machine.root("podman", "inspect", "--format", f"{{{{.State.{field}}}}}", "skupper-router").stdout.strip()

    for field in ("Pid", "ConmonPid"):
        before = pid("Pid")
        machine.root("kill", "-9", pid(field))
        until(lambda: pid("Pid") not in ("0", before), 10, f"the router after its {field} was killed")  # noqa: B023
        until(lambda: machine.root("skupper", "status", check=False).returncode == 0, 10, "status is well")
    # The unit may write into volumes, or services of other sites could not be made.
    offer = speaking("id-west", body({"address": "far", "ports": [1]}))
    machine.root("podman", "exec", "skupper-controller-podman", *offer)
    until(lambda: '"far"' in machine.root("skupper", "service", "status", "-o", "json").stdout, 20, "the service")
    policy = machine.root("podman", "inspect", "--format", "{{.HostConfig.RestartPolicy.Name}}", "far").stdout
    assert policy.strip() in ("", "no")

    def resolvers() -> set[str]:
        return set(machine.root("pidof", "aardvark-dns", check=False).stdout.split())

    until(resolvers, 10, "aardvark-dns runs")
    killed = resolvers()  # for a moment more than one, while the container of that service starts
    machine.root("kill", "-9", *killed, check=False)
    until(lambda: resolvers() - killed, 10, "aardvark-dns is back")
    machine.root("python3", "-c", _AGE_BY_130_DAYS, check=True)
    machine.reboot()
    until(lambda: machine.root("skupper", "status", check=False).returncode == 0, 60, "the site is there again")
    journal = ("journalctl", "--unit", "skupper-podman", "--boot")
    ended = "certificates have ended while this site was off"
    until(lambda: ended in machine.root(*journal).stdout, 10, "the journal tells of the certificates")
    machine.root("skupper", "delete")
    assert machine.root("podman", "ps", "--all", "--quiet").stdout == ""
    assert machine.root("ls", "/etc/systemd/system/skupper-podman.service", check=False).stdout == ""
