"""Service sync through hours of an awkward network, in memory: messages are octets, the clock is a number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skupper_podman.controller import syncwire
from skupper_podman.controller.servicesync import MAX_SITES, PERIOD, TTL, ServiceSync
from skupper_podman.desired.learned import MAX_SERVICES, Offers, Refusal
from skupper_podman.errors import InvalidError
from skupper_podman.model.service import Service
from skupper_podman.routerd.codec import Described, ULong, encode
from skupper_podman.routerd.flowlog import wire


def offers(*services: Service) -> Offers:
    return Offers({service.address: service for service in services})


def service(address: str, origin: str = "", *allowed: str, port: int = 1) -> Service:
    return Service(address, (port,), origin=origin, allowed_sites=allowed)


def here(*learned: Service) -> ServiceSync:
    """A connected site called west, which learned these."""
    sync = ServiceSync("id-west", "west")
    sync.restore(learned, 0.0)
    sync.set_local(())
    sync.connected(0.0)
    return sync


def addresses(sync: ServiceSync) -> dict[str, str]:
    return {item.address: item.origin for item in sync.learned().services}


def test_everything_is_said_at_once_and_every_five_seconds() -> None:
    sync = ServiceSync("id-west", "west")
    assert sync.tick(0.0) is None  # not connected
    sync.connected(1.0)
    assert sync.tick(1.0) is None  # not known yet what there is: nobody must be told that there is nothing
    sync.set_local([service("a"), service("far", "id-east")])
    assert sync.tick(1.0) == (service("a"),)
    assert sync.tick(1.0 + PERIOD - 0.1) is None
    assert sync.tick(1.0 + PERIOD) == (service("a"),)
    sync.set_local([service("a")])
    assert sync.tick(7.0) is None
    sync.set_local([])
    assert sync.tick(7.0) == ()  # that is how others learn that the last one is gone
    sync.disconnected()
    assert sync.tick(100.0) is None
    sync.connected(100.0)
    assert sync.tick(100.0) == ()


def test_a_site_that_is_silent_is_forgotten_but_not_while_nobody_can_be_heard() -> None:
    sync = here()
    sync.receive("id-east", offers(service("a", "id-east")), 0.0)
    sync.receive("id-north", offers(service("b", "id-north")), 100.0)
    sync.tick(TTL - 1)
    assert addresses(sync) == {"a": "id-east", "b": "id-north"}
    revision = sync.revision
    sync.tick(TTL)
    assert addresses(sync) == {"b": "id-north"}
    assert sync.revision > revision
    sync.disconnected()
    sync.tick(100.0 + 10 * TTL)
    sync.connected(100.0 + 10 * TTL)
    sync.tick(100.0 + 11 * TTL - 1)
    assert addresses(sync) == {"b": "id-north"}
    sync.tick(100.0 + 11 * TTL)
    assert addresses(sync) == {}
    assert sync.peers == ()


def test_after_a_restart_what_was_learned_is_kept_for_as_long_as_a_site_may_be_silent() -> None:
    sync = here(service("a", "id-east"), service("b", "id-north"), service("own", "id-west"))
    assert addresses(sync) == {"a": "id-east", "b": "id-north"}
    sync.receive("id-east", offers(), 5.0)
    assert addresses(sync) == {"b": "id-north"}
    sync.restore([service("late", "id-east")], 6.0)
    assert "late" not in addresses(sync)
    sync.tick(TTL)
    assert addresses(sync) == {}


def test_the_first_site_that_offers_an_address_has_it() -> None:
    sync = here()
    sync.receive("id-north", offers(), 0.0)
    sync.receive("id-east", offers(service("a", "id-east")), 1.0)
    sync.receive("id-north", offers(service("a", "id-north", port=2)), 2.0)
    assert addresses(sync) == {"a": "id-east"}
    sync.receive("id-east", offers(service("a", "id-east", port=3)), 3.0)
    assert sync.learned().services == (service("a", "id-east", port=3),)
    sync.receive("id-east", offers(), 4.0)
    assert sync.learned().services == (service("a", "id-north", port=2),)
    sync.receive("id-east", offers(service("a", "id-east")), 5.0)
    assert addresses(sync) == {"a": "id-north"}


def test_a_service_is_for_those_on_its_list() -> None:
    sync = here()
    sync.receive("id-east", offers(service("a", "id-east", "north"), service("b", "id-east", "id-west")), 0.0)
    assert addresses(sync) == {"b": "id-east"}
    assert sync.learned().withheld == {"a": "id-east"}
    sync.receive("id-east", offers(service("a", "id-east", "north", "west"), service("b", "id-east", "north")), 0.0)
    assert addresses(sync) == {"a": "id-east"}
    assert sync.learned().withheld == {"b": "id-east"}


def test_echoes_and_repetitions_change_nothing() -> None:
    sync = here()
    sync.receive("id-west", offers(service("a", "id-west")), 0.0)
    sync.receive("", offers(service("a")), 0.0)
    assert sync.peers == ()
    sync.receive("id-east", offers(service("a", "id-east")), 0.0)
    revision = sync.revision
    sync.receive("id-east", offers(service("a", "id-east")), 5.0)
    assert sync.revision == revision


def test_what_cannot_be_had_is_known_with_its_reason_unless_another_site_has_it() -> None:
    sync = here()
    sync.receive("id-east", Offers({}, {"a": "headless"}), 0.0)
    assert sync.learned().unusable == {"a": Refusal("id-east", "headless")}
    sync.receive("id-north", offers(service("a", "id-north")), 0.0)
    assert sync.learned().unusable == {}
    assert addresses(sync) == {"a": "id-north"}


def test_what_is_kept_is_bounded() -> None:
    sync = here()
    many = [service(f"s{number}", "x") for number in range(MAX_SERVICES)]
    sync.receive("id-1", offers(*many[:-1]), 0.0)
    sync.receive("id-2", offers(*many[-2:]), 0.0)
    assert len(addresses(sync)) <= MAX_SERVICES
    sync.receive("id-1", offers(), 1.0)
    sync.receive("id-2", offers(*many[-2:]), 1.0)
    assert len(addresses(sync)) == 2
    for number in range(MAX_SITES + 10):
        sync.receive(f"site-{number}", offers(), 2.0)
    assert len(sync.peers) == MAX_SITES


# A network of sites: what each one learns is what the others have, however messages are lost.

NAMES = ("west", "east", "north")
OWN = st.dictionaries(st.sampled_from(["a", "b"]), st.tuples(st.integers(1, 3), st.sets(st.sampled_from(NAMES))))


@dataclass
class Network:
    sites: dict[str, ServiceSync] = field(default_factory=dict)
    now: float = 0.0

    def pass_time(self, seconds: int, lost: Iterable[tuple[str, str]] = (), dead: Iterable[str] = ()) -> None:
        for _ in range(seconds):
            self.now += 1.0
            for name, site in self.sites.items():
                said = site.tick(self.now) if name not in dead else None
                if said is None:
                    continue
                octets = syncwire.update(f"id-{name}", "1.9.6", said)
                for other, receiver in self.sites.items():
                    if (name, other) not in lost:
                        update = syncwire.read(octets)
                        receiver.receive(update.origin, update.offers, self.now)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(NAMES), OWN, st.integers(1, 40),
        st.sets(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=3),
        st.sets(st.sampled_from(NAMES), max_size=1),
    ),
    max_size=6,
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(STEPS)
def test_in_the_end_each_site_has_what_the_others_offer_it(
    steps: list[tuple[str, dict[str, tuple[int, set[str]]], int, set[tuple[str, str]], set[str]]],
) -> None:
    network = Network({name: ServiceSync(f"id-{name}", name) for name in NAMES})
    own: dict[str, dict[str, Service]] = {name: {} for name in NAMES}
    for site in network.sites.values():
        site.set_local(())
        site.connected(0.0)
    for name, services, seconds, lost, dead in steps:
        own[name] = {
            address: Service(address, (port,), allowed_sites=tuple(sorted(allowed)))
            for address, (port, allowed) in services.items()
        }
        network.sites[name].set_local(own[name].values())
        network.pass_time(seconds, lost, dead)
    network.pass_time(6)
    for name, site in network.sites.items():
        found = {item.address: item for item in site.learned().services}
        offered = [
            Service(item.address, item.ports, origin=f"id-{other}", allowed_sites=item.allowed_sites)
            for other in NAMES if other != name for item in own[other].values() if item.allows(name, f"id-{name}")
        ]  # fmt: skip
        assert found.keys() == {item.address for item in offered}
        assert all(item in offered for item in found.values())
    # Everybody falls silent but the first.
    network.pass_time(int(TTL) + 1, dead=NAMES[1:])
    assert network.sites["west"].learned().services == ()


# The wire


def section(code: int, value: object) -> bytes:
    return encode(Described(ULong(code), value))


def test_a_message_has_all_that_go_looks_at_without_a_check() -> None:
    octets = syncwire.update("id-west", "1.9.6", [service("a")])
    message = wire.read(octets)
    assert message is not None
    assert (message.to, message.subject) == ("", "service-sync-update-v2")
    assert message.properties == {"origin": "id-west", "version": "1.9.6"}
    assert type(message.body) is str
    assert message.body == '[{"address":"a","protocol":"tcp","ports":[1],"exposeIngress":"","targets":[]}]'
    assert syncwire.read(octets).version == "1.9.6"


GOOD = (
    section(0x73, [None, None, None, "service-sync-update-v2"]),
    section(0x74, {"origin": "x"}),
    section(0x77, "[]"),
)


@pytest.mark.parametrize(
    "sections",
    [
        GOOD[1:],
        (section(0x73, [None, None, None, "service-sync-update"]), *GOOD[1:]),
        (GOOD[0], GOOD[2]),
        (GOOD[0], section(0x74, {"origin": 1}), GOOD[2]),
        (GOOD[0], section(0x74, {"origin": "x" * 300}), GOOD[2]),
        GOOD[:2],
        (*GOOD[:2], section(0x77, ["a"])),
        (*GOOD[:2], section(0x75, b"[]")),
        (*GOOD[:2], section(0x77, "{}")),
    ],
)
def test_other_messages_are_refused(sections: tuple[bytes, ...]) -> None:
    assert syncwire.read(b"".join(GOOD)).origin == "x"
    with pytest.raises(InvalidError):
        syncwire.read(b"".join(sections))


@settings(deadline=None)
@given(st.binary(max_size=80) | st.tuples(st.integers(0, 200), st.integers(0, 255)).map(lambda pair: _broken(*pair)))
def test_any_octets_are_a_message_or_refused(octets: bytes) -> None:
    try:
        syncwire.read(octets)
    except InvalidError:
        return


def _broken(place: int, octet: int) -> bytes:
    good = bytearray(syncwire.update("id", "1", [Service("a", (1,), labels={"x": "y"})]))
    good[place % len(good)] = octet
    return bytes(good)
