"""The credential of a gateway is renewed at its site, by a Python that has nothing but its standard library."""

from __future__ import annotations

import datetime
import json
import shutil
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from skupper_podman import certs
from skupper_podman.certrequests import dump_request, parse_answer, parse_request
from skupper_podman.desired.gatewayrecords import (
    AUTHORITY_CERTIFICATE,
    AUTHORITY_KEY,
    RECORD_FILE,
    dump_gateway_record,
)
from skupper_podman.desired.gatewaytrust import authority_name
from skupper_podman.desired.renewal import renew_at
from skupper_podman.desired.tokens import RENEWAL_PATH
from skupper_podman.files import Tree
from skupper_podman.model.gateway import GatewayDefinition, GatewayRecord
from skupper_podman.renewallog import RenewalLog
from skupper_podman.rotation import Lineage, succeeded
from tests.controller.test_claims import SITE, Served, write
from tests.gateway.scene import Scene, site
from tests.gateway.test_launch import definition, echo, works
from tests.gateway.test_parts import part
from tests.podmanlab import until
from tests.routerd.system.lab import SKROUTERD

DAY = datetime.timedelta(days=1)
NAME = "skupper-gateway-test"


class Renewing:
    """A site's router that lets gateways in, and the claims server that renews their credentials."""

    def __init__(self, scene: Scene, directory: Path) -> None:
        self.scene = scene
        self.served = Served(directory)
        self.credential = scene.directory / "home/.local/share/skupper/bundle/test/skupper-router-certs/conn1-profile"
        now = datetime.datetime.now(datetime.UTC)
        write(directory / "ca", scene.site)
        self.served.trust = scene.site.certificate
        write(directory / "server", certs.issue(scene.site, "skupper-router", SITE.ingress_hosts, certs.new_key(), now))
        self.records = directory / "gateways"
        object.__setattr__(self.served.settings, "gateways", self.records)
        self.let_in(scene.own)

    def let_in(self, authority: certs.KeyPair) -> None:
        """Know the gateway by this authority."""
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        record = GatewayRecord(
            GatewayDefinition("test"), "bundle", "", 1, now, now + 30 * DAY, "127.0.0.1", 1, NAME
        )  # fmt: skip
        (self.records / "test/authority").mkdir(parents=True, exist_ok=True)
        for path, content in (
            (AUTHORITY_CERTIFICATE, authority.certificate),
            (AUTHORITY_KEY, authority.key),
            (RECORD_FILE, dump_gateway_record(record)),
        ):
            (self.records / "test" / path).write_bytes(content)

    def forget(self) -> None:
        """Revoke the gateway."""
        shutil.rmtree(self.records / "test")

    def bundle(self, text: str, *, expires: datetime.timedelta = 30 * DAY, with_router: bool = True) -> Path:
        """A bundle whose credential, of 30 days, lasts until then."""
        # The port of the claims server is known once it runs.
        return self.scene.bundle(
            text, "b", expires=expires, renewal="https://127.0.0.1:PORT" + RENEWAL_PATH, with_router=with_router
        )  # fmt: skip

    def renew(self, place: Path, *words: str, code: int = 0, program: Sequence[str] = ("renew.py",)) -> str:
        """Run ``renew.py`` of an unpacked bundle, or another program, while the site serves; gives what it said."""

        def work() -> str:
            path = next(place / name for name in ("renewal.json", "manifest.json") if (place / name).exists())
            text = path.read_text()
            path.write_text(text.replace("PORT", str(self.served.port)))
            done = self.scene.run("python3", "-E", "-s", place / program[0], *program[1:], *words)
            path.write_text(text)
            assert done.returncode == code, done.stdout + done.stderr
            return done.stdout if code == 0 else done.stderr

        return str(self.served.run(work))

    def read(self, name: str) -> bytes:
        """A file of the installed credential."""
        return (self.credential / name).read_bytes()

    @property
    def pair(self) -> certs.KeyPair:
        """The installed credential."""
        return certs.KeyPair(self.read("tls.crt"), self.read("tls.key"))


@pytest.fixture(scope="module")
def west() -> Iterator[Scene]:
    with site("one") as scene:
        yield scene


@pytest.fixture
def renewing(west: Scene, tmp_path: Path) -> Iterator[Renewing]:
    yield Renewing(west, tmp_path)
    west.stop()


ROUTERS = ["embedded", pytest.param("skrouterd", marks=pytest.mark.skipif(not SKROUTERD, reason="needs skrouterd"))]


@pytest.mark.parametrize("router", ROUTERS)
def test_renewed_while_connections_stay(renewing: Renewing, router: str) -> None:
    """A new key and certificate; the router shows them from then on; an old bundle does not bring the old ones back."""
    scene = renewing.scene
    env = {"QDROUTERD_HOME": str(SKROUTERD)} if router == "skrouterd" else {}
    with echo() as port:
        text = definition(("one", port))
        place = renewing.bundle(text, expires=5 * DAY, with_router=router == "embedded")
        scene.start(place / "launch.py", "--foreground", "--router", router, env=env)
        until(lambda: works(scene, "one"), 20, "the server answers at the site")
        before = renewing.pair
        with socket.create_connection(("127.0.0.1", scene.services["one"]), 5) as client:
            client.sendall(b"before\n")
            assert client.recv(100) == b"before\n"
            assert "renewed until" in renewing.renew(place)
            client.sendall(b"after\n")
            assert client.recv(100) == b"after\n"
        after = renewing.pair
        assert certs.belongs(after)
        assert after.key != before.key
        facts = certs.facts(after.certificate)
        assert (facts.subject, facts.dns_names) == (NAME, ())
        assert facts.not_after - datetime.datetime.now(datetime.UTC) > 29 * DAY
        assert {path.stat().st_mode & 0o777 for path in renewing.credential.iterdir()} == {0o600}
        assert sorted(path.name for path in renewing.credential.iterdir()) == [
            "ca.crt", "gateway-ca.crt", "last-renewal.json", "tls.crt", "tls.key",
        ]  # fmt: skip
        assert RenewalLog(Tree(renewing.served.settings.directory)).renewals()[NAME].until == facts.not_after
        # The router is known by its certificate: it shows the new one, and takes it.
        status = json.loads(scene.run(place / "launch.py", "--status", "--json", env=env).stdout)
        assert (status["link"], status["credentialDaysLeft"], status["problems"]) == ("up", 29, [])
        assert "already running" in scene.run(place / "launch.py", env=env).stdout
        assert renewing.pair == after


def test_what_is_good_for_one_exchange(renewing: Renewing) -> None:
    """It brings a credential as lasting as the record says, once; that of another bundle brings none."""
    now = datetime.datetime.now(datetime.UTC)

    def given(number: int) -> certs.KeyPair:
        return certs.issue(
            renewing.scene.own, NAME, (), certs.new_key(), now, lifetime=DAY / 24, client_only=True, once=number
        )

    first, older = given(1), given(0)

    def work() -> None:
        def ask(pair: certs.KeyPair) -> tuple[int, str]:
            return renewing.served.ask(RENEWAL_PATH, dump_request(pair, certs.new_key()))

        status, answer = ask(first)
        assert status == 200
        made = certs.facts(parse_answer(answer.encode())[0])
        assert made.not_after > now + 29 * DAY
        assert (made.subject, made.once) == (NAME, None)
        spent = (403, "the credential of this bundle was exchanged already, or a newer bundle was made\n")
        assert ask(first) == ask(older) == spent
        renewing.forget()
        assert ask(given(1))[0] == 403

    renewing.served.run(work)
    # Who asks whether the gateway renewed finds that it did, under its own name.
    assert NAME in RenewalLog(Tree(renewing.served.directory / "claims")).renewals()


def test_only_when_it_is_time_or_asked_for(renewing: Renewing) -> None:
    with echo() as port:
        place = renewing.bundle(definition(("one", port)))
        assert "is not installed for this user" in renewing.renew(place, code=3)
        check = ("launch.py", "--check", "--foreground")
        assert "ok   renewal: the site can be asked" in renewing.renew(place, program=check)
        away = renewing.scene.run(place / check[0], *check[1:])
        assert (away.returncode, "note renewal:" in away.stdout) == (0, True)
        renewing.scene.start(place / "launch.py", "--foreground")
        until(lambda: works(renewing.scene, "one"), 20, "the server answers at the site")
        before = renewing.pair
        due = renew_at(*_span(before.certificate), certs.facts(before.certificate).fingerprint)
        said = renewing.renew(place)
        assert said.startswith("gateway test: the credential is renewed from ")
        share = (due - _span(before.certificate)[0]) / (30 * DAY)
        assert 0.6 < share < 0.75
        assert renewing.pair == before
        assert "renewed until" in renewing.renew(place, "--now")
        assert renewing.pair != before
        before = renewing.pair
        assert "renewed until" in renewing.renew(installed(renewing, place), "--now")
        assert renewing.pair != before


def installed(renewing: Renewing, place: Path) -> Path:
    """The program as a timer would find it: with its settings, and no module that it does not need."""
    schedule, places = part("schedule"), part("places").Places("test", "bundle", 65534, {"HOME": str(place / "home")})
    bundle = part("bundle").Bundle(str(place))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(places), "credential", str(renewing.credential))
        schedule.Schedule(places, "service").install(bundle, 30 * 86400.0, part("files").Changes())
    for directory in (place / "home", *(place / "home").rglob("*")):
        directory.chmod(0o755)
    program = Path(places.program)
    assert len(list((program / "installer").iterdir())) == len(part("renewing").MODULES)
    return program


def test_new_authorities_of_the_site_are_a_reason(renewing: Renewing) -> None:
    with echo() as port:
        place = renewing.bundle(definition(("one", port)))
        renewing.scene.start(place / "launch.py", "--foreground")
        until(lambda: works(renewing.scene, "one"), 20, "the server answers at the site")
        old = Lineage(renewing.scene.site.certificate, renewing.scene.site.key)
        new = succeeded(old, "skupper-site-ca", certs.new_key(), datetime.datetime.now(datetime.UTC))
        write(renewing.served.directory / "ca", certs.KeyPair(new.trusted, new.key))
        assert "renewed until" in renewing.renew(place)
        assert renewing.read("ca.crt") == new.trusted
        (renewal,) = RenewalLog(Tree(renewing.served.settings.directory)).renewals().values()
        assert renewal.authority == certs.facts(new.current).fingerprint
        assert "is renewed from" in renewing.renew(place)
        until(lambda: works(renewing.scene, "one"), 20, "the server still answers")


def test_what_is_refused_changes_nothing(renewing: Renewing) -> None:
    with echo() as port:
        place = renewing.bundle(definition(("one", port)))
        renewing.scene.start(place / "launch.py", "--foreground")
        until(lambda: works(renewing.scene, "one"), 20, "the server answers at the site")
        before = renewing.pair
        renewing.forget()
        assert "was not issued by this site, or is not trusted any more" in renewing.renew(place, "--now", code=1)
        stranger = certs.issue_authority(authority_name("test"), certs.new_key(), datetime.datetime.now(datetime.UTC))
        renewing.let_in(stranger)
        assert "not trusted any more" in renewing.renew(place, "--now", code=1)
        renewing.let_in(renewing.scene.own)
        foreign = certs.issue_authority("skupper-site-ca", certs.new_key(), datetime.datetime.now(datetime.UTC))
        write(
            renewing.served.directory / "server",
            certs.issue(foreign, "x", ("127.0.0.1",), certs.new_key(), datetime.datetime.now(datetime.UTC)),
        )
        assert "cannot be reached: CERTIFICATE_VERIFY_FAILED" in renewing.renew(place, "--now", code=7)
        assert renewing.pair == before
        assert "CERTIFICATE_VERIFY_FAILED" in json.loads(renewing.read("last-renewal.json"))["problem"]
        status = renewing.scene.run(place / "launch.py", "--status")
        assert (status.returncode, "last asked about it: 127.0.0.1:" in status.stdout) == (0, True)
        assert works(renewing.scene, "one")


certificate, renewal, libcrypto = part("certificate"), part("renewal"), part("libcrypto")
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
OWN = certs.issue_authority(authority_name("test"), certs.new_key(), NOW)
PAIRS = [certs.issue(OWN, NAME, (), certs.new_key(), NOW, lifetime=30 * DAY, client_only=True) for _ in range(2)]


def _span(pem: bytes) -> tuple[datetime.datetime, datetime.datetime]:
    facts = certs.facts(pem)
    return facts.not_before, facts.not_after


@pytest.mark.parametrize("end", [NOW + DAY, datetime.datetime(2061, 5, 4, 3, 2, 1, tzinfo=datetime.UTC)])
def test_what_a_certificate_says_of_its_time(end: datetime.datetime) -> None:
    made = certs.issue(OWN, NAME, (), certs.new_key(), NOW, lifetime=min(end - NOW, 4 * 365 * DAY)).certificate
    assert certificate.validity(made) == _span(made)
    authority = certs.issue_authority("x", certs.new_key(), end).certificate
    assert certificate.validity(authority) == _span(authority)
    begin, until_ = _span(made)
    assert certificate.validity(made + authority) == (begin, until_)
    assert abs((certificate.renewal(made) - begin) / (until_ - begin) - 2 / 3) <= 0.021
    for wrong in (b"", b"nonsense", made[:100], made.replace(b"MII", b"AAA")):
        with pytest.raises(ValueError, match=r"."):
            certificate.validity(wrong)


def test_the_request_is_the_one_that_sites_read(tmp_path: Path) -> None:
    key, body = renewal._request(PAIRS[0].certificate, PAIRS[0].key)
    request = parse_request(body)
    assert request.certificate == PAIRS[0].certificate
    assert request.public == certs.load_key(key).public_key()
    with pytest.raises(libcrypto.CryptoError):
        libcrypto.Crypto().signature(b"no key", b"text")


def _credential(directory: Path, pair: certs.KeyPair) -> None:
    for name, content in (("tls.crt", pair.certificate), ("tls.key", pair.key), ("gateway-ca.crt", OWN.certificate)):
        (directory / name).write_bytes(content)


def test_what_does_not_fit_is_not_taken(tmp_path: Path) -> None:
    _credential(tmp_path, PAIRS[0])
    found = renewal.Renewal(str(tmp_path), "", NOW)
    foreign = certs.issue_authority("x", certs.new_key(), NOW)
    ended = certs.issue(OWN, NAME, (), PAIRS[1].key, NOW - 3 * DAY, lifetime=DAY, client_only=True)
    for wrong in (
        PAIRS[0].certificate,
        certs.issue(foreign, NAME, (), PAIRS[1].key, NOW).certificate,
        ended.certificate,
        b"nonsense",
    ):
        with pytest.raises(Exception, match="does not fit") as raised:
            found._take(wrong, PAIRS[1].key)
        assert raised.type.__name__ == "Failure"
        assert (tmp_path / "tls.crt").read_bytes() == PAIRS[0].certificate
        assert (tmp_path / "tls.key").read_bytes() == PAIRS[0].key
        assert sorted(path.name for path in tmp_path.iterdir()) == ["gateway-ca.crt", "tls.crt", "tls.key"]
    found._take(PAIRS[1].certificate, PAIRS[1].key)
    assert (tmp_path / "tls.crt").read_bytes() == PAIRS[1].certificate


def test_a_power_cut_at_any_moment(tmp_path: Path) -> None:
    """After each step of the exchange, the next look leaves a certificate with its own key, and nothing else."""
    new = {"tls.key.next": PAIRS[1].key, "tls.crt.next": PAIRS[1].certificate}
    for moment, wanted in enumerate((PAIRS[0], PAIRS[0], PAIRS[0], PAIRS[1], PAIRS[1])):
        _credential(tmp_path, PAIRS[0])
        for name, content in list(new.items())[:moment]:
            (tmp_path / name).write_bytes(content)
        for name in list(new)[: max(moment - 2, 0)]:
            (tmp_path / name).rename(tmp_path / name.removesuffix(".next"))
        renewal.complete(str(tmp_path))
        assert ((tmp_path / "tls.crt").read_bytes(), (tmp_path / "tls.key").read_bytes()) == (
            wanted.certificate, wanted.key,
        )  # fmt: skip
        assert sorted(path.name for path in tmp_path.iterdir()) == ["gateway-ca.crt", "tls.crt", "tls.key"]


def test_a_credential_that_has_ended(renewing: Renewing, tmp_path: Path) -> None:
    """Status says so by an exit code of its own, and a renewal is not even asked for."""
    with echo() as port:
        place = renewing.bundle(definition(("one", port)))
        renewing.scene.start(place / "launch.py", "--foreground")
        until(lambda: works(renewing.scene, "one"), 20, "the server answers at the site")
        places = part("places").Places("test", "bundle", 65534, {"HOME": str(renewing.scene.directory / "home")})
        found, code = part("report").report(places, NOW + 40 * DAY)
        assert (code, found["running"], found["credentialDaysLeft"] < 0) == (8, True, True)
        assert "the credential has expired: launch a fresh bundle" in found["problems"]
        found, code = part("report").report(places, NOW + 25 * DAY)
        assert code == 0
        assert found["problems"] == [f"the credential ends at {found['credentialExpires']}: launch a fresh bundle"]
    ended = certs.issue(OWN, NAME, (), PAIRS[0].key, NOW - 3 * DAY, lifetime=DAY, client_only=True)
    _credential(tmp_path, ended)
    with pytest.raises(Exception, match="the credential has expired") as raised:
        renewal.Renewal(str(tmp_path), "", NOW).look(True)
    assert raised.value.code == 8  # type: ignore[attr-defined]
    assert renewal.last_problem(str(tmp_path)) == "the credential has expired"
