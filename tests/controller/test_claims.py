"""The claims server over real TLS: 1.9's statuses and words, and every use counted once."""

from __future__ import annotations

import asyncio
import datetime
import http.client
import json
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from skupper_podman import certs
from skupper_podman.claimstore import ClaimStore
from skupper_podman.controller import claims as module
from skupper_podman.controller.claims import ClaimServer
from skupper_podman.controller.settings import ClaimSettings
from skupper_podman.controller.throttle import FREE, LINES, LONGEST, Teller, Throttle
from skupper_podman.desired.claimrecords import ClaimRecord
from skupper_podman.desired.records import dump_spec
from skupper_podman.desired.tokens import CLAIM_URL, claim_token, parse_token
from skupper_podman.errors import ConflictError, InvalidError
from skupper_podman.files import Tree
from skupper_podman.model.link import Token
from skupper_podman.model.site import SiteSpec
from skupper_podman.platform.podman.claims import redeem

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
SITE = SiteSpec("west", "site-1", ingress_hosts=("west.example", "127.0.0.1"), inter_router_port=5, edge_port=6)
CA = certs.issue_authority("skupper-site-ca", certs.new_key(), NOW)
SERVER = certs.issue(CA, "skupper-router", ("skupper-router", *SITE.ingress_hosts), certs.new_key(), NOW)
PATIENCE = 60


class Served:
    """A claims server in a thread of its own, on a directory that outlives it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name in ("claims", "ca", "server"):
            (directory / name).mkdir(exist_ok=True)
        write(directory / "ca", CA)
        write(directory / "server", SERVER)
        (directory / "site.json").write_bytes(dump_spec(SITE))
        self.settings = ClaimSettings(
            "127.0.0.1", 0, directory / "claims", directory / "ca", directory / "server", directory / "site.json"
        )
        self.trust = CA.certificate
        self.store = ClaimStore(Tree(directory / "claims"))
        self.port = 0

    def run(self, work: Callable[[], Any]) -> Any:
        """Serve while ``work`` is done in another thread; gives what it gives."""

        async def both() -> Any:
            server = ClaimServer(self.settings)
            await server.tick()
            assert server.failure == ""
            self.port = server.port
            ticking = asyncio.create_task(self._tick(server))
            try:
                return await asyncio.get_running_loop().run_in_executor(None, work)
            finally:
                ticking.cancel()
                await server.stop()

        return asyncio.run(both())

    async def _tick(self, server: ClaimServer) -> None:
        while True:
            await asyncio.sleep(0.05)
            await server.tick()

    def add(self, name: str = "c1", **options: Any) -> ClaimRecord:
        values: dict[str, Any] = {"password": b"sesame", "expires": NOW + datetime.timedelta(hours=1), "remaining": 1}
        record = ClaimRecord(name, **{**values, **options})
        self.store.add(record)
        return record

    def claim(self, name: str = "c1", password: bytes = b"sesame") -> Token:
        return claim_token(name, SITE.site_id, f"https://127.0.0.1:{self.port}/{name}", password, CA.certificate)

    def ask(
        self, path: str = "/c1?site-version=1.9.6", body: bytes = b"sesame", method: str = "POST", **headers: str
    ) -> tuple[int, str]:
        """Status and body of the answer, over the wire as in the reference."""
        context = ssl.create_default_context(cadata=self.trust.decode())
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=PATIENCE, context=context)
        try:
            connection.request(method, path, body, {key.replace("_", "-"): value for key, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


def write(directory: Path, pair: certs.KeyPair) -> None:
    for name, content in (("tls.crt", pair.certificate), ("tls.key", pair.key)):
        (directory / f"{name}.new").write_bytes(content)
        (directory / f"{name}.new").replace(directory / name)


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(tmp_path)


def test_a_claim_is_redeemed(served: Served) -> None:
    served.add(remaining=2, host="127.0.0.1")
    token = served.run(lambda: redeem(served.claim(), "peer-1"))
    assert (token.name, token.kind, token.generated_by) == ("peer-1", "connection-token", "site-1")
    assert token.endpoint("inter-router") == ("127.0.0.1", "5")
    assert token.endpoint("edge") == ("127.0.0.1", "6")
    facts = certs.facts(token.data["tls.crt"])
    assert (facts.subject, facts.dns_names) == ("peer-1", ())
    assert certs.signed_by(token.data["tls.crt"], CA.certificate)
    assert certs.belongs(certs.KeyPair(token.data["tls.crt"], token.data["tls.key"]))
    assert token.data["ca.crt"] == CA.certificate
    left = served.store.get("c1")
    assert left is not None
    assert (left.made, left.remaining) == (1, 1)


def test_without_a_name_the_claim_lends_its_own(served: Served) -> None:
    served.add(remaining=None, host="gone.example")
    status, body = served.run(lambda: served.ask("/c/1?site-version=1.9.6"))
    token = parse_token(body)
    assert (status, token.name) == (200, "c1")  # all slashes are taken out, as 1.9 does
    assert token.endpoint("edge") == ("west.example", "6")  # a host the site no longer has


def test_statuses_and_words(served: Served) -> None:
    served.add("used", remaining=0)
    served.add("late", expires=NOW - datetime.timedelta(seconds=5))
    served.add("free", expires=None, remaining=None)
    served.add("odd")
    path = served.directory / "claims" / "odd.yaml"
    path.write_text(path.read_text().replace("remaining: '1'", "remaining: some"))
    (served.directory / "claims" / "other.yaml").write_text("kind: Secret\n")
    version = "?site-version=1.9.6"
    cases: list[tuple[tuple[str, bytes, str], tuple[int, str]]] = [
        (("/free" + version, b"sesame", "GET"), (405, "Only POST is supported\n")),
        (("/free" + version, b"sesame", "PUT"), (405, "Only POST is supported\n")),
        (("/free" + version, b"x" * 5000, "POST"), (400, "Request body not valid\n")),
        (("/free", b"sesame", "POST"), (400, "minimum version required 0.8.0\n")),
        (("/free?site-version=0.7.9", b"sesame", "POST"), (400, "minimum version required 0.8.0\n")),
        (("/absent" + version, b"sesame", "POST"), (404, "No such claim\n")),
        (("/other" + version, b"sesame", "POST"), (404, "No such claim\n")),
        (("/.lock" + version, b"sesame", "POST"), (404, "No such claim\n")),
        (("/%2e%2e%2fsite" + version, b"sesame", "POST"), (404, "No such claim\n")),
        (("/late" + version, b"sesame", "POST"), (404, "No such claim\n")),
        (("/odd" + version, b"sesame", "POST"), (500, "Corrupted claim\n")),
        (("/free" + version, b"wrong", "POST"), (403, "Claim refused\n")),
        (("/used" + version, b"wrong", "POST"), (403, "Claim refused\n")),
        (("/used" + version, b"sesame", "POST"), (404, "No such claim\n")),
    ]

    def ask() -> None:
        for question, answer in cases:
            assert served.ask(*question) == answer, question
        assert served.ask("/free?site-version=dev", b"sesame")[0] == 200
        assert served.ask("/free" + version, b"sesame")[0] == 200

    served.run(ask)
    left = served.store.get("free")
    assert left is not None
    assert left.made == 2


def test_each_use_is_counted_once(served: Served) -> None:
    served.add(remaining=7)

    def rush() -> Counter[int]:
        with ThreadPoolExecutor(24) as pool:
            return Counter(status for status, _ in pool.map(lambda _: served.ask(), range(40)))

    assert served.run(rush) == {200: 7, 404: 33}
    left = served.store.get("c1")
    assert left is not None
    assert (left.made, left.remaining) == (7, 0)


def test_uses_survive_a_restart(served: Served) -> None:
    served.add(remaining=2)
    assert served.run(served.ask)[0] == 200
    assert served.run(served.ask)[0] == 200
    assert served.run(served.ask) == (404, "No such claim\n")


def test_what_cannot_be_answered_costs_no_use(served: Served) -> None:
    served.add()
    (served.directory / "ca" / "tls.key").write_bytes(b"damaged")
    assert served.run(served.ask)[0] == 500
    write(served.directory / "ca", CA)
    (served.directory / "site.json").write_bytes(b"")
    assert served.run(served.ask)[0] == 500
    (served.directory / "site.json").write_bytes(dump_spec(SITE))
    assert served.run(served.ask)[0] == 200


def test_revoked_while_it_is_used(served: Served) -> None:
    served.add(remaining=None)

    def ask() -> None:
        assert served.ask()[0] == 200
        assert served.store.remove("c1") is not None
        assert served.ask() == (404, "No such claim\n")

    served.run(ask)


def test_guessing_is_slowed_down(served: Served) -> None:
    served.add()
    served.add("c2")

    def guess() -> None:
        answers = [served.ask(body=b"guess")[0] for _ in range(FREE + 1)]
        assert answers == [403] * (FREE + 1)
        assert served.ask(body=b"guess")[0] == 429
        # Also the right one is not looked at: otherwise guessing would only be quieter.
        assert served.ask()[0] == 429
        assert served.ask("/c2?site-version=1.9.6")[0] == 200

    served.run(guess)
    left = served.store.get("c1")
    assert left is not None
    assert left.made == 0


def test_guessing_at_once_is_no_quicker(served: Served) -> None:
    served.add()

    def guess() -> Counter[int]:
        with ThreadPoolExecutor(20) as pool:
            return Counter(status for status, _ in pool.map(lambda _: served.ask(body=b"guess"), range(30)))

    answers = served.run(guess)
    assert set(answers) == {403, 429}
    # One more for each pause that ends while the test is under way; these begin at a second, and double.
    assert FREE + 1 <= answers[403] <= FREE + 6


def test_strangers_do_not_fill_the_log() -> None:
    lines: list[str] = []
    now = [0.0]
    teller = Teller(lines.append, lambda: now[0])
    for number in range(100):
        teller.tell(str(number))
    assert lines == [str(number) for number in range(LINES)]
    now[0] = 61.0
    teller.tell("next")
    assert lines[LINES:] == [f"{100 - LINES} more claims were refused", "next"]


def test_throttle_opens_again() -> None:
    throttle = Throttle()
    for _ in range(FREE + 3):
        throttle.failed("c", 100.0)
    assert throttle.closed("c", 103.9)
    assert not throttle.closed("c", 104.1)
    for _ in range(50):
        throttle.failed("c", 200.0)
    assert throttle.closed("c", 200 + LONGEST - 1)
    assert not throttle.closed("c", 200 + LONGEST)
    throttle.succeeded("c")
    throttle.failed("c", 300.0)
    assert not throttle.closed("c", 300.0)
    for number in range(10_000):
        throttle.failed(str(number), 400.0)
    assert not throttle.closed("c", 400.0)


def test_renewed_certificate_is_shown(served: Served) -> None:
    other = certs.issue(CA, "skupper-router", ("skupper-router", "127.0.0.1"), certs.new_key(), NOW)

    def shown() -> bytes:
        return ssl.get_server_certificate(("127.0.0.1", served.port), timeout=PATIENCE).encode()

    def renew() -> None:
        assert shown() == SERVER.certificate
        write(served.directory / "server", other)
        end = time.monotonic() + PATIENCE
        while shown() != other.certificate:
            assert time.monotonic() < end

    served.run(renew)


def test_old_tls_is_refused(served: Served) -> None:
    def old() -> None:
        context = ssl.create_default_context(cadata=CA.certificate.decode())
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with socket.create_connection(("127.0.0.1", served.port)) as plain, pytest.raises(ssl.SSLError):
            context.wrap_socket(plain, server_hostname="127.0.0.1")

    served.run(old)


def test_too_many_connections_are_closed(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 3)
    served.add(remaining=None)

    def crowd() -> None:
        context = ssl.create_default_context(cadata=CA.certificate.decode())
        held = []
        for _ in range(6):
            plain = socket.create_connection(("127.0.0.1", served.port), PATIENCE)
            with suppress(OSError):
                held.append(context.wrap_socket(plain, server_hostname="127.0.0.1"))
        alive = 0
        for connection in held:
            connection.settimeout(0.5)
            try:
                alive += connection.recv(1) != b""
            except TimeoutError:
                alive += 1
            except OSError:
                continue
        assert alive == 3
        for connection in held:
            connection.close()
        end = time.monotonic() + PATIENCE
        while True:
            with suppress(OSError, http.client.HTTPException):
                if served.ask()[0] == 200:
                    return
            assert time.monotonic() < end

    served.run(crowd)


def test_slow_connections_are_ended(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECTION_TIME", 0.5)

    def dawdle() -> None:
        context = ssl.create_default_context(cadata=CA.certificate.decode())
        plain = socket.create_connection(("127.0.0.1", served.port), PATIENCE)
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            connection.settimeout(PATIENCE)
            connection.sendall(b"POST /c1 HTTP/1.1\r\n")
            with suppress(ConnectionResetError, ssl.SSLError):
                assert connection.recv(1) == b""

    served.run(dawdle)


def test_a_missing_certificate_is_waited_for(served: Served) -> None:
    (served.directory / "server" / "tls.key").unlink()

    async def wait() -> None:
        server = ClaimServer(served.settings)
        await server.tick()
        assert "no certificate" in server.failure
        write(served.directory / "server", SERVER)
        await server.tick()
        assert server.failure == ""
        await server.stop()

    asyncio.run(wait())


def test_the_store_is_shared_with_other_processes(served: Served) -> None:
    """Redeemed from several processes at once, as a command and the controller may."""
    served.add(remaining=5)
    script = (
        "import sys, datetime, pathlib\n"
        "from skupper_podman.claimstore import *\nfrom skupper_podman.files import Tree\n"
        "store, got = ClaimStore(Tree(pathlib.Path(sys.argv[1]))), 0\n"
        "for _ in range(10):\n"
        "    try:\n        store.redeem('c1', b'sesame', datetime.datetime.now(datetime.UTC)); got += 1\n"
        "    except ClaimRefusedError: pass\n"
        "print(got)\n"
    )
    argv = [sys.executable, "-c", script, str(served.directory / "claims")]
    running = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sum(json.loads(child.communicate(timeout=PATIENCE)[0]) for child in running) == 5


def test_store(served: Served) -> None:
    record = served.add()
    assert served.store.names() == ("c1",)
    assert (served.directory / "claims" / "c1.yaml").stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConflictError):
        served.store.add(replace(record, password=b"other"))
    kept = served.store.remove("c1")
    assert kept is not None
    assert served.store.remove("c1") is None
    served.store.restore("c1", kept)
    assert served.store.get("c1") == record
    assert served.store.get("../c1") is None


def test_redeemers_hear_why(served: Served) -> None:
    served.add(remaining=0)
    with pytest.raises(InvalidError, match=r"No such claim \(it has expired, was used up"):
        served.run(lambda: redeem(served.claim(), "peer"))
    claim = served.claim()
    assert claim.annotations[CLAIM_URL].endswith("/c1")


def killed_at(moment: int, directory: Path) -> bool:
    """Redeem the claim ``once`` in a process that is killed at its change of the disk number ``moment``; False if it
    came to its end."""
    program = """if 1:
        import datetime, os, signal, sys
        from pathlib import Path
        from skupper_podman.claimstore import ClaimStore
        from skupper_podman.files import Tree
        store, left = ClaimStore(Tree(Path(sys.argv[1]))), [int(sys.argv[2])]

        def audit(event, arguments):
            if event in ("os.rename", "os.remove") or (event == "open" and ".tmp" in str(arguments[0])):
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        now = datetime.datetime.now(datetime.UTC)
        sys.addaudithook(audit)
        store.redeem("once", b"word", now)
    """
    done = subprocess.run([sys.executable, "-c", program, str(directory), str(moment)], check=False)
    assert done.returncode in (0, -signal.SIGKILL)
    return done.returncode != 0


def test_a_claim_is_whole_wherever_its_use_is_killed(tmp_path: Path) -> None:
    """It is used or it is not: never lost, never used twice for one."""
    moment, killed = 0, True
    while killed:
        store = ClaimStore(Tree(tmp_path / str(moment)))
        store.tree.root.mkdir()
        store.add(ClaimRecord("once", b"word", None, 2, created=NOW))
        killed = killed_at(moment, store.tree.root)
        found = store.get("once")
        assert found is not None
        assert (found.made, found.remaining) in (((0, 2),) if killed else ((1, 1),))
        assert store.names() == ("once",)
        while (remaining := store.redeem("once", b"word", NOW).remaining) != 0:
            assert remaining == 1
        assert all(path.name.startswith("once") for path in store.tree.root.iterdir()), "a killed writer's is swept"
        moment += 1
    assert moment >= 3
