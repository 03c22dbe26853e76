"""The record store: deltas, restarts, vanished ends, bounds."""

from __future__ import annotations

from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.controller import store as store_module
from skupper_podman.controller.store import MIRROR_AGE, RecordStore
from skupper_podman.model.flow import Attribute, Record, RecordType, Value

A = Attribute


def record(
    record_type: RecordType, identity: str, parent: str = "", start: int = 1, end: int = 0, **attributes: Value
) -> Record:
    source = f"{identity.partition(':')[0]}:0" if ":" in identity else identity
    values = {Attribute[name.upper()]: value for name, value in attributes.items()}
    return Record(record_type, identity, parent, start, end, source, MappingProxyType(values))


def router(source: str, name: str, start: int = 1) -> Record:
    return record(RecordType.ROUTER, f"{source}:0", "site", start, name=f"0/{name}")


def link(identity: str, peer: str, direction: str) -> Record:
    parent = f"{identity.partition(':')[0]}:0"
    return record(RecordType.LINK, identity, parent, name=peer, direction=direction)


def identities(store: RecordStore, record_type: RecordType) -> list[str]:
    return [item.identity for item in store.of_type(record_type)]


def linked() -> RecordStore:
    store = RecordStore()
    for item in (router("aa", "A"), router("bb", "B"), link("aa:1", "B", "outgoing"), link("bb:1", "A", "incoming")):
        store.apply(item, 0.0)
    return store


def test_create_update_end() -> None:
    store = RecordStore()
    store.apply(record(RecordType.LISTENER, "aa:1", "aa:0", van_address="db:1"), 0)
    store.apply(record(RecordType.LISTENER, "aa:1", start=0, name="l"), 1)
    held = store.get("aa:1")
    assert held is not None
    assert (held.text(A.VAN_ADDRESS), held.text(A.NAME), held.parent) == ("db:1", "l", "aa:0")
    store.apply(record(RecordType.LISTENER, "aa:1", start=0, end=7), 2)
    assert len(store) == 0


def test_what_cannot_apply_is_ignored() -> None:
    store = RecordStore()
    store.apply(record(RecordType.LISTENER, "aa:1", start=0, name="delta of an unknown one"), 0)
    store.apply(record(RecordType.LISTENER, "aa:1", start=5, end=6), 0)
    store.apply(record(RecordType.FLOW, "aa:2"), 0)
    store.apply(record(RecordType.LOGEVENT, "aa:3"), 0)
    assert (len(store), store.revision) == (0, 0)


def test_only_the_own_source_changes_a_record() -> None:
    store = RecordStore()
    store.apply(router("aa", "A"), 0)
    other = Record(RecordType.ROUTER, "aa:0", end_time=9, source="evil:0")
    store.apply(other, 1)
    assert store.get("aa:0") is not None


def test_traffic_counters_do_not_change_the_revision() -> None:
    store = RecordStore()
    store.apply(record(RecordType.LISTENER, "aa:1", "aa:0"), 0)
    before = store.revision
    store.apply(record(RecordType.LISTENER, "aa:1", start=0, flow_count_l4=5), 1)
    assert store.revision == before
    store.apply(record(RecordType.LISTENER, "aa:1", start=0, van_address="db:1"), 1)
    assert store.revision > before


def test_an_ended_link_takes_what_the_other_end_says_about_it() -> None:
    store = linked()
    store.apply(record(RecordType.LINK, "aa:1", start=0, end=9), MIRROR_AGE + 1)
    assert identities(store, RecordType.LINK) == []


def test_an_ended_link_spares_the_news_of_its_successor() -> None:
    store = linked()
    store.apply(record(RecordType.LINK, "bb:1", start=0, end=8), 20.0)
    store.apply(link("aa:1", "B", "outgoing"), 20.0)
    store.apply(link("bb:2", "A", "incoming"), 20.1)
    store.apply(record(RecordType.LINK, "aa:1", start=0, end=9), 20.5)
    assert identities(store, RecordType.LINK) == ["bb:2"]


def test_an_ended_router_takes_everything_with_it() -> None:
    store = linked()
    store.apply(record(RecordType.CONNECTOR, "aa:2", "aa:0", van_address="db:1"), 0)
    store.apply(record(RecordType.ROUTER, "aa:0", start=0, end=9), 60)
    assert identities(store, RecordType.ROUTER) == ["bb:0"]
    assert len(store) == 1


def test_a_restarted_router_replaces_its_former_self() -> None:
    store = linked()
    store.apply(router("cc", "A", start=5), 10)
    assert sorted(identities(store, RecordType.ROUTER)) == ["bb:0", "cc:0"]
    assert identities(store, RecordType.LINK) == ["bb:1"]


def test_a_late_record_of_the_former_self_replaces_nothing() -> None:
    store = RecordStore()
    store.apply(router("new", "A", start=5), 0)
    store.apply(router("old", "A", start=1), 1)
    assert "new:0" in identities(store, RecordType.ROUTER)


def test_a_source_that_counts_from_zero_again_loses_its_old_records() -> None:
    store = RecordStore()
    store.apply(router("aa", "A", start=1), 0)
    store.apply(record(RecordType.LISTENER, "aa:1", "aa:0", 2, van_address="old:1"), 0)
    store.apply(record(RecordType.LISTENER, "aa:2", "aa:0", 12, van_address="new:1"), 5)
    store.apply(router("aa", "A", start=10), 5)
    store.apply(record(RecordType.LINK, "aa:1", "aa:0", 11, name="B"), 5)
    assert sorted(identities(store, RecordType.LISTENER) + identities(store, RecordType.LINK)) == ["aa:1", "aa:2"]


def test_sweep_removes_what_was_not_sent_again() -> None:
    store = linked()
    store.apply(router("aa", "A"), 5)
    store.sweep("aa:0", 5)
    assert sorted(identities(store, RecordType.ROUTER)) == ["aa:0", "bb:0"]
    assert identities(store, RecordType.LINK) == ["bb:1"]
    store.remove_source("bb:0")
    assert len(store) == 1


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MAX_RECORDS", 10)
    monkeypatch.setattr(store_module, "MAX_RECORDS_OF_SOURCE", 6)
    monkeypatch.setattr(store_module, "MAX_WEIGHT", 1000)
    store = RecordStore()
    for number in range(20):
        store.apply(record(RecordType.LINK, f"aa:{number}", "aa:0"), 0)
    assert len(store) == 6
    for number in range(20):
        store.apply(record(RecordType.LINK, f"bb:{number}", "bb:0"), 0)
    assert (len(store), store.refused) == (10, 30)
    store.apply(record(RecordType.LINK, "aa:1", start=0, name="n" * 2000), 0)
    held = store.get("aa:1")
    assert held is not None
    assert held.text(A.NAME) == ""
    store.remove_source("aa:0")
    store.remove_source("bb:0")
    store.apply(record(RecordType.LINK, "cc:1", name="n" * 900), 0)
    assert len(store) == 1


SOURCES = st.sampled_from(["aa", "bb", "cc"])


@given(
    st.lists(
        st.tuples(
            SOURCES,
            st.integers(0, 4),
            st.sampled_from([RecordType.ROUTER, RecordType.LINK, RecordType.LISTENER, RecordType.PROCESS]),
            st.integers(0, 3),
            st.sampled_from([0, 0, 9]),
            st.sampled_from(["", "0/A", "B", "A"]),
            st.sampled_from(["", "incoming", "outgoing"]),
        ),
        max_size=40,
    )
)
def test_indices_always_agree_with_the_records(events: list[tuple[str, int, RecordType, int, int, str, str]]) -> None:
    store = RecordStore()
    for now, (source, number, record_type, start, end, name, direction) in enumerate(events):
        attributes: dict[Attribute, Value] = {A.NAME: name, A.DIRECTION: direction} if name else {}
        store.apply(
            Record(record_type, f"{source}:{number}", f"{source}:0", start, end, f"{source}:0", attributes), now * 3.0
        )
        live = [item for record_type in RecordType for item in store.of_type(record_type)]
        assert len(live) == len(store)
        assert all(store.get(item.identity) is item and item.start_time and not item.end_time for item in live)
    for source in ("aa", "bb", "cc"):
        store.remove_source(f"{source}:0")
    assert len(store) == 0
    assert store._weight == 0
    assert not store._index._identities
