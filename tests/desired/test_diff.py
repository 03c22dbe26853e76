"""The diff: applied to a simulated host, nothing remains to be done; what was not asked about is not touched."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from skupper_podman.desired import names
from skupper_podman.desired.containers import router_container
from skupper_podman.desired.diff import Change, ContainerState, Present, diff, key, mismatches
from skupper_podman.desired.resources import (
    Authority,
    Container,
    Credential,
    Network,
    Resource,
    Volume,
    VolumeFile,
)
from skupper_podman.desired.site import SiteState, service_router_config, site_resources, site_router_config
from skupper_podman.desired.tokens import LinkSecret
from skupper_podman.model.service import Service, Target
from tests.desired.examples import BACKEND, LINK, PUBLISHED, RUNTIME, SPEC, STATE, TLS


@dataclass
class Simulated:
    """A host small enough to be checked by reading: what each change does to it."""

    networks: dict[str, Network] = field(default_factory=dict)
    volumes: dict[str, Volume] = field(default_factory=dict)
    files: dict[tuple[str, str], VolumeFile] = field(default_factory=dict)
    issued: set[Authority | Credential] = field(default_factory=set)
    containers: dict[str, ContainerState] = field(default_factory=dict)

    def present(self) -> Present:
        return Present(
            dict(self.networks), dict(self.volumes), dict(self.files), frozenset(self.issued), dict(self.containers)
        )

    def apply(self, change: Change) -> None:
        match change.resource:
            case Network() as network:
                self._keep(self.networks, network.name, network, change)
            case Volume() as volume:
                self._keep(self.volumes, volume.name, volume, change)
                if change.action == "delete":
                    self.files = {place: file for place, file in self.files.items() if place[0] != volume.name}
                    self.issued = {item for item in self.issued if _volume(item) != volume.name}
            case VolumeFile() as file:
                assert file.volume in self.volumes
                self._keep(self.files, (file.volume, file.path), file, change)
            case Authority() | Credential() as item:
                assert _volume(item) in self.volumes
                self._issue(item, change)
            case Container() as container:
                assert all(m.source in self.volumes for m in container.mounts if not m.source.startswith("/"))
                self._keep(self.containers, container.name, ContainerState(container), change)

    def _issue(self, item: Authority | Credential, change: Change) -> None:
        if isinstance(item, Authority):
            # A new authority makes what the old one signed useless.
            self.issued = {other for other in self.issued if getattr(other, "authority", "") != item.name}
        prefix = item.directory if isinstance(item, Credential) else ""
        if change.action == "delete":
            self.issued.discard(item)
            self.files = {
                place: file
                for place, file in self.files.items()
                if place[0] != _volume(item) or not place[1].startswith(f"{prefix}/")
            }
            return
        self.issued.add(item)
        path = f"{prefix}/tls.crt" if prefix else "tls.crt"
        self.files[_volume(item), path] = VolumeFile(_volume(item), path, b"")

    def _keep(self, place: dict, name: object, value: object, change: Change) -> None:  # type: ignore[type-arg]
        if change.action == "delete":
            assert name in place
            del place[name]
        else:
            assert (name in place) == (change.action != "create")
            place[name] = value


def _volume(item: Authority | Credential) -> str:
    return item.name if isinstance(item, Authority) else item.volume


def run(host: Simulated, before: tuple[Resource, ...], after: tuple[Resource, ...]) -> tuple[Change, ...]:
    changes = diff(before, after, host.present())
    for change in changes:
        host.apply(change)
    return changes


def complete(state: SiteState) -> Simulated:
    host = Simulated()
    run(host, (), site_resources(state))
    return host


ADDRESSES = st.sampled_from(["backend", "web", "api", "db"])
SERVICES = st.builds(
    Service,
    address=ADDRESSES,
    ports=st.lists(st.integers(1, 65535), min_size=1, max_size=3, unique=True).map(tuple),
    targets=st.lists(
        st.builds(Target, st.sampled_from(["one", "two", "three"]), st.just(((80, 81),))), max_size=2, unique=True
    ).map(tuple),
    tls_credentials=st.sampled_from(["", "x"]),
)
LINKS = st.builds(
    lambda number: LinkSecret(
        f"link{number}",
        "connection-token",
        {**LINK.annotations, "inter-router-host": f"192.0.2.{number}"},
        {},
        {"ca.crt": b"a", "tls.crt": b"b", "tls.key": bytes([number])},
    ),
    st.integers(1, 5),
)


@st.composite
def states(draw: st.DrawFn) -> SiteState:
    services = {service.address: service for service in draw(st.lists(SERVICES, max_size=4))}
    links = {link.name: link for link in draw(st.lists(LINKS, max_size=3))}
    state = SiteState(SPEC, RUNTIME, tuple(links.values()), tuple(services.values()))
    site = site_router_config(state)
    configs = {service.address: service_router_config(state, service, site) for service in state.services}
    return replace(state, configs={"": site, **configs}) if draw(st.booleans()) else state


@given(states())
@settings(max_examples=40, deadline=None)
def test_a_created_site_is_complete(state: SiteState) -> None:
    host = complete(state)
    assert diff((), site_resources(state), host.present()) == ()


@given(states(), states())
@settings(max_examples=40, deadline=None)
def test_from_any_state_to_any_other(old: SiteState, new: SiteState) -> None:
    host = complete(old)
    before, after = site_resources(old), site_resources(new)
    run(host, before, after)
    assert diff(before, after, host.present()) == ()
    assert set(host.containers) == {item.name for item in after if isinstance(item, Container)}
    assert set(host.volumes) == {item.name for item in after if isinstance(item, Volume)}
    wanted = {(item.volume, item.path): item.content for item in after if isinstance(item, VolumeFile)}
    assert {place: host.files[place].content for place in wanted} == wanted


@given(states(), st.data())
@settings(max_examples=40, deadline=None)
def test_whatever_is_missing_is_repaired(state: SiteState, data: st.DataObject) -> None:
    host = complete(state)
    for place in (host.networks, host.volumes, host.files, host.containers):
        for name in data.draw(st.sets(st.sampled_from(sorted(place)), max_size=4)) if place else ():
            del place[name]  # type: ignore[attr-defined]
    host.files = {place: file for place, file in host.files.items() if place[0] in host.volumes}
    host.issued = {item for item in host.issued if _volume(item) in host.volumes}
    host.issued -= (
        data.draw(st.sets(st.sampled_from(sorted(host.issued, key=repr)), max_size=3)) if host.issued else set()
    )
    for name in data.draw(st.sets(st.sampled_from(sorted(host.containers)), max_size=2)) if host.containers else ():
        host.containers[name] = replace(host.containers[name], running=False)
    wanted = site_resources(state)
    run(host, (), wanted)
    assert diff((), wanted, host.present()) == ()
    assert all(container.running for container in host.containers.values())


@given(states())
@settings(max_examples=30, deadline=None)
def test_deleting_everything_leaves_nothing_but_strangers(state: SiteState) -> None:
    host = complete(state)
    host.volumes["mine"] = Volume("mine")
    host.files["mine", "file"] = VolumeFile("mine", "file", b"x")
    host.containers["mine"] = ContainerState(Container("mine", "image"))
    run(host, site_resources(state), ())
    assert set(host.volumes) == {"mine"}
    assert set(host.files) == {("mine", "file")}
    assert set(host.containers) == {"mine"}
    assert not host.networks


def test_a_command_touches_only_what_it_changes() -> None:
    host = complete(STATE)
    del host.files["skupper-local-client", "connect.json"]
    host.containers["backend"] = replace(host.containers["backend"], running=False)
    before = site_resources(STATE)
    after = site_resources(STATE.with_service(Service("new", (9,))))
    changed = {key(change.resource) for change in diff(before, after, host.present())}
    assert changed == {
        ("file", "skupper-internal", "new/skrouterd.json"),
        ("container", "new"),
        ("file", "skupper-services", "skupper-services.json"),
    }


def test_a_target_changes_files_only() -> None:
    host = complete(STATE)
    after = STATE.with_service(replace(BACKEND, targets=()))
    changes = diff(site_resources(STATE), site_resources(after), host.present())
    assert [(change.action, key(change.resource)[0]) for change in changes] == [("update", "file"), ("update", "file")]


def test_deleting_a_tls_service_removes_its_credential() -> None:
    host = complete(STATE)
    run(host, site_resources(STATE), site_resources(STATE.without_service(TLS.address)))
    assert not any("secure" in path for _, path in host.files)


def test_a_new_authority_renews_what_it_signed() -> None:
    host = complete(STATE)
    host.issued.discard(Authority(names.DEFAULT.site_ca))
    changes = diff((), site_resources(STATE), host.present())
    renewed = {change.resource.volume for change in changes if isinstance(change.resource, Credential)}
    assert renewed == {names.DEFAULT.site_server}
    assert {change.action for change in changes if isinstance(change.resource, Container)} == {"restart"}


def test_a_key_that_others_may_read_is_mended() -> None:
    host = complete(STATE)
    place = ("link1", "tls.key")
    host.files[place] = replace(host.files[place], mode=0o644)
    changes = diff((), site_resources(STATE), host.present())
    assert [(change.action, change.reason) for change in changes] == [("update", "mode")]


def test_an_issued_key_that_others_may_read_is_not_issued_again() -> None:
    host = complete(STATE)
    place = (names.DEFAULT.site_ca, "tls.key")
    host.files[place] = VolumeFile(*place, b"key", 0o644)
    (change,) = diff((), site_resources(STATE), host.present())
    assert change.resource == VolumeFile(*place, b"key", 0o600, secret=True)


def test_container_mismatches_are_named() -> None:
    wanted = router_container(SPEC, RUNTIME)
    more = replace(
        wanted, env={**wanted.env, "HOME": "/"}, labels={**wanted.labels, "a": "b"}, aliases=(*wanted.aliases, "x")
    )
    assert mismatches(wanted, more) == ()
    assert mismatches(wanted, replace(wanted, image="other", ports=())) == ("image", "ports")
    assert mismatches(wanted, replace(wanted, env={}, network="n")) == ("environment", "network")
    assert mismatches(wanted, replace(wanted, mounts=wanted.mounts[1:])) == ("mounts",)


def test_order_of_deletion_is_the_reverse() -> None:
    host = complete(STATE)
    changes = diff(site_resources(STATE), (), host.present())
    kinds = [key(change.resource)[0] for change in changes]
    assert max(index for index, kind in enumerate(kinds) if kind == "container") < kinds.index("volume")
    assert kinds[-2:] == ["network", "volume"]
    assert key(changes[-1].resource)[1] == names.DEFAULT.internal  # what the site is, is known to the end
    assert PUBLISHED.container_name in {key(change.resource)[1] for change in changes}
