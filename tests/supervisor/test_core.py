"""The supervisor's decisions: any course of events, with time as a number."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from skupper_podman.desired.names import Names
from skupper_podman.supervisor.core import (
    FIRST_DELAY,
    GONE_LOOKS,
    GRACE,
    LAST_DELAY,
    PORT_GRACE,
    READY_AT_LATEST,
    Action,
    Look,
    Seen,
    Supervisor,
    belongs,
    rank,
    says_well,
)

ROUTER = Seen("skupper-router", 0, "running", "1")
CONTROLLER = Seen("skupper-controller-podman", 1, "running", "1")
SERVICE = Seen("backend", 2, "running", "1")
ALL = (ROUTER, CONTROLLER, SERVICE)


def down(seen: Seen) -> Seen:
    return replace(seen, state="exited", exit_code=1)


def names(actions: tuple[Action, ...]) -> list[tuple[str, str]]:
    return [(action.kind, action.target) for action in actions]


def test_a_site_that_runs_is_ready_at_once() -> None:
    core = Supervisor(0)
    assert core.saw(Look(0, ALL), 0) == ()
    assert core.ready
    assert core.status(0) == "3 containers run"


def test_at_the_first_start_the_router_comes_first() -> None:
    core = Supervisor(0)
    stopped = tuple(down(seen) for seen in ALL)
    (first,) = core.saw(Look(0, stopped), 0)
    assert (first.kind, first.target) == ("start", "skupper-router")
    assert core.saw(Look(1, stopped), 1) == ()
    core.did(first, "", 2)
    (second,) = core.saw(Look(3, (ROUTER, *stopped[1:])), 3)
    assert second.target == "skupper-controller-podman"
    core.did(second, "", 4)
    assert names(core.saw(Look(5, (ROUTER, CONTROLLER, stopped[2])), 5)) == [("start", "backend")]
    assert not core.ready


def test_a_router_that_cannot_start_does_not_stop_the_rest() -> None:
    core = Supervisor(0)
    stopped = tuple(down(seen) for seen in ALL)
    (first,) = core.saw(Look(0, stopped), 0)
    core.did(first, "no such image", 1)
    assert ("start", "skupper-controller-podman") in names(core.saw(Look(1.5, stopped), 1.5))
    assert "skupper-router: stopped with exit code 1 (no such image), next try in" in core.status(1.5)


def test_podman_gets_a_moment_to_do_it_itself() -> None:
    core = Supervisor(0)
    core.saw(Look(0, ALL), 0)
    broken = (down(ROUTER), CONTROLLER, SERVICE)
    assert core.saw(Look(10, broken), 10) == ()
    assert abs(core.due(10) - GRACE) < 0.01
    assert core.saw(Look(10.3, (replace(ROUTER, incarnation="2"), CONTROLLER, SERVICE)), 10.3) == ()
    assert core.status(10.3) == "3 containers run"
    core.saw(Look(20, broken), 20)
    assert names(core.saw(Look(20 + GRACE, broken), 20 + GRACE)) == [("start", "skupper-router")]


def test_what_podman_does_not_see() -> None:
    for change, grace in (
        ({"process": False}, GRACE),
        ({"monitor": False}, GRACE),
        ({"missing_ports": (7,)}, PORT_GRACE),
    ):
        core = Supervisor(0)
        core.saw(Look(0, ALL), 0)
        broken = (replace(ROUTER, **change), CONTROLLER, SERVICE)  # type: ignore[arg-type]
        assert core.saw(Look(5, broken), 5) == ()
        assert core.saw(Look(5 + grace / 2, broken), 5 + grace / 2) == ()
        assert names(core.saw(Look(5 + grace, broken), 5 + grace)) == [("restart", "skupper-router")]
        assert "2 of 3 containers run; skupper-router: " in core.status(5 + grace)


def test_dns_server_is_brought_back_by_the_controller() -> None:
    core = Supervisor(0)
    core.saw(Look(0, ALL, dns=True), 0)
    core.saw(Look(5, ALL, dns=False), 5)
    (action,) = core.saw(Look(6, ALL, dns=False), 6)
    assert (action.kind, action.target, action.why) == ("restart", "skupper-controller-podman", "aardvark-dns is gone")
    assert core.saw(Look(6.5, (ROUTER, down(CONTROLLER), SERVICE), dns=False), 6.5) == ()
    core.did(action, "", 7)
    assert core.saw(Look(7.1, ALL, dns=True), 7.1) == ()
    assert core.status(7.1) == "3 containers run"
    assert Look(0, (ROUTER, SERVICE)).helper == "backend"
    assert Look(0, ()).helper == ""


def test_uplink_needs_all_of_them() -> None:
    core = Supervisor(0)
    core.saw(Look(0, ALL, uplink=True), 0)
    core.saw(Look(5, ALL, uplink=False), 5)
    (action,) = core.saw(Look(6, ALL, uplink=False), 6)
    assert (action.kind, action.target) == ("reconnect", "")
    assert core.saw(Look(7, tuple(down(seen) for seen in ALL), uplink=False), 7) == ()
    core.did(action, "", 8)
    assert core.saw(Look(8.1, ALL, uplink=True), 8.1) == ()


def test_nothing_is_done_while_a_command_is_at_work() -> None:
    core = Supervisor(0)
    core.saw(Look(0, ALL), 0)
    broken = (down(ROUTER), CONTROLLER, SERVICE)
    for now in range(1, 60):
        assert core.saw(Look(now, broken, busy=True), now) == ()
    assert core.status(60).endswith("a skupper command is changing the site")
    assert names(core.saw(Look(61, broken), 61)) == [("start", "skupper-router")]


def test_a_command_may_take_everything_away_for_a_while() -> None:
    core = Supervisor(0)
    for now in range(60):
        assert core.saw(Look(now, (), busy=True), now) == ()
    assert not core.gone


def test_trials_become_rarer() -> None:
    core = Supervisor(0)
    core.saw(Look(0, ALL), 0)
    broken, now, tried = (down(ROUTER), CONTROLLER, SERVICE), 0.0, []
    while now < 200:
        now += 0.5
        for action in core.saw(Look(now, broken), now):
            tried.append(now)
            core.did(action, "it will not", now)
    gaps = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert gaps[:5] == [FIRST_DELAY, 4, 8, 16, LAST_DELAY]
    assert set(gaps[4:]) == {LAST_DELAY}
    assert "next try in" in core.status(now)


def test_one_that_always_fails_does_not_keep_the_site_down() -> None:
    core, now = Supervisor(0), 0.0
    broken = (ROUTER, CONTROLLER, down(SERVICE))
    while now < READY_AT_LATEST - 1:
        now += 1
        for action in core.saw(Look(now, broken), now):
            core.did(action, "port in use", now)
        assert not core.ready
    core.saw(Look(now + 1, broken), now + 1)
    core.saw(Look(now + 2, broken), now + 2)
    assert core.ready
    assert core.status(now + 2).startswith("2 of 3 containers run; backend: stopped with exit code 1 (port in use)")


def test_a_site_that_is_gone() -> None:
    core = Supervisor(0)
    core.saw(Look(0, ALL), 0)
    for now in range(1, GONE_LOOKS):
        core.saw(Look(now, ()), now)
        assert not core.gone
    core.saw(Look(9, ()), 9)
    assert core.gone
    assert core.status(9) == "there is no site"


def test_a_component_taken_away_is_told_and_is_not_the_end() -> None:
    core = Supervisor(0)
    core.saw(Look(0, ALL), 0)
    for now in (2, 4, 6, 8):
        core.saw(Look(now, (CONTROLLER,), missing=("skupper-router",)), now)
    said = "skupper-router does not exist (skupper init makes it again)"
    assert core.status(8) == f"1 of 2 containers run; {said}"
    assert not says_well(core.status(8))
    for now in (10, 12, 14, 16):
        core.saw(Look(now, (), missing=("skupper-router", "skupper-controller-podman")), now)
    assert not core.gone
    assert core.status(16).startswith(f"0 of 2 containers run; {said}; skupper-controller-podman does not")


def test_a_podman_that_does_not_answer_does_not_hold_up_the_boot() -> None:
    core = Supervisor(0)
    core.blind("no answer; the disk of / is full", 1)
    assert not core.ready
    core.blind("no answer; the disk of / is full", READY_AT_LATEST)
    assert core.ready
    assert core.status(READY_AT_LATEST) == "Podman does not answer since 44 s: no answer; the disk of / is full"
    assert not says_well(core.status(READY_AT_LATEST))


def test_a_site_without_a_component_is_up_late() -> None:
    core = Supervisor(0)
    core.saw(Look(0, (CONTROLLER,), missing=("skupper-router",)), 0)
    assert not core.ready
    core.saw(Look(READY_AT_LATEST, (CONTROLLER,), missing=("skupper-router",)), READY_AT_LATEST)
    assert core.ready


def test_a_component_that_a_command_replaces_is_not_missed() -> None:
    core = Supervisor(0)
    core.saw(Look(0, (CONTROLLER,), busy=True, missing=("skupper-router",)), 0)
    assert "does not exist" not in core.status(0)


def test_blindness_is_told_and_is_no_reason_to_do_anything() -> None:
    core = Supervisor(0)
    core.saw(Look(0, ALL), 0)
    core.blind("nothing listens there", 10)
    core.blind("nothing listens there", 25)
    assert core.status(30) == "Podman does not answer since 20 s: nothing listens there"
    assert not core.gone
    assert core.saw(Look(31, ALL), 31) == ()
    assert core.status(31) == "3 containers run"


def test_restarting_again_and_again_is_told() -> None:
    core = Supervisor(0)
    for now in range(6):
        core.saw(Look(now, (replace(ROUTER, incarnation=str(now)), CONTROLLER, SERVICE)), now)
    assert core.status(5) == "3 containers run; skupper-router was restarted 5 times in a minute"
    core.saw(Look(100, (replace(ROUTER, incarnation="5"), CONTROLLER, SERVICE)), 100)
    assert core.status(100) == "3 containers run"


def test_paused_and_vanishing_containers_are_left_alone() -> None:
    for state in ("paused", "removing"):
        core = Supervisor(0)
        core.saw(Look(0, ALL), 0)
        for now in range(1, 30):
            assert core.saw(Look(now, (replace(ROUTER, state=state), CONTROLLER, SERVICE)), now) == ()
        assert f"skupper-router: {state}" in core.status(30)


def test_who_belongs() -> None:
    for own, name in ((Names(), "skupper-router"), (Names("blue"), "skupper-router.blue")):
        router = {own.component_label: "skupper-router"}
        assert belongs(own, name, {**own.labels, **router})
        assert belongs(own, "any-name", {**own.labels, own.address_label: "backend"})
        assert not belongs(own, f"{name}-old", {**own.labels, **router})
        assert not belongs(own, name, router)
        assert not belongs(own, "mine", own.labels)
        assert not belongs(Names("red"), name, {**own.labels, **router})
    components = ("skupper-router", "skupper-controller-podman", "x")
    assert [rank(Names(), {"skupper.io/component": name}) for name in components] == [0, 1, 2]
    assert rank(Names(), {}) == 2
    assert rank(Names("blue"), {"skupper.io/component.blue": "skupper-router"}) == 0


@dataclass
class World:
    """Containers that obey, mostly."""

    states: dict[str, str] = field(default_factory=lambda: {seen.name: "running" for seen in ALL})
    monitors: dict[str, bool] = field(default_factory=lambda: {seen.name: True for seen in ALL})
    dns: bool = True
    uplink: bool = True

    def look(self, now: float, busy: bool) -> Look:
        seen = tuple(
            replace(item, state=self.states[item.name], monitor=self.monitors[item.name])
            for item in ALL
            if item.name in self.states
        )
        return Look(now, seen, self.dns, self.uplink, busy)

    def obey(self, action: Action) -> None:
        for name in [action.target] if action.target else list(self.states):
            if name in self.states:
                self.states[name] = "running"
                self.monitors[name] = True
        if action.kind == "reconnect":
            self.uplink = True
        if action.why == "aardvark-dns is gone":
            self.dns = True


class Life(RuleBasedStateMachine):
    """Whatever is killed, whenever: at most one action for a container at a time, and in the end all is well."""

    @initialize()
    def begin(self) -> None:
        self.now = 0.0
        self.world = World()
        self.core = Supervisor(0.0)
        self.acting: list[Action] = []
        self.busy = False

    @rule(
        name=st.sampled_from([seen.name for seen in ALL]),
        how=st.sampled_from(("exited", "stopping", "created", "monitor")),
    )
    def kill(self, name: str, how: str) -> None:
        if name not in self.world.states:
            return
        if how == "monitor":
            self.world.monitors[name] = False
        else:
            self.world.states[name] = how

    @rule(which=st.sampled_from(("dns", "uplink")))
    def kill_helper(self, which: str) -> None:
        setattr(self.world, which, False)

    @rule(busy=st.booleans())
    def command(self, busy: bool) -> None:
        self.busy = busy

    @rule(seconds=st.floats(0.05, 40))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        before = list(self.acting)
        for action in self.core.saw(self.world.look(self.now, self.busy), self.now):
            assert not self.busy
            assert all(action.target != other.target for other in before if action.target)
            assert not [other for other in before if other.kind == "reconnect"]
            self.acting.append(action)

    @rule(works=st.booleans(), data=st.data())
    def action_ends(self, works: bool, data: st.DataObject) -> None:
        if not self.acting:
            return
        action = self.acting.pop(data.draw(st.integers(0, len(self.acting) - 1)))
        if works:
            self.world.obey(action)
        self.core.did(action, "" if works else "failed", self.now)

    @rule()
    def podman_is_silent(self) -> None:
        self.core.blind("silence", self.now)

    @invariant()
    def says_something_true(self) -> None:
        if not hasattr(self, "core"):
            return
        assert self.core.status(self.now)
        assert self.core.due(self.now) >= 0.1
        assert not self.core.gone

    def teardown(self) -> None:
        if not hasattr(self, "core"):
            return
        for action in self.acting:
            self.world.obey(action)
            self.core.did(action, "", self.now)
        for _ in range(100):
            self.now += 2.0
            for action in self.core.saw(self.world.look(self.now, busy=False), self.now):
                self.world.obey(action)
                self.core.did(action, "", self.now)
        assert self.core.status(self.now).startswith("3 containers run")
        assert self.core.ready


TestLife = Life.TestCase


@given(st.lists(st.tuples(st.floats(0.01, 30), st.booleans()), max_size=40))
def test_a_look_older_than_an_action_cannot_judge_it(course: list[tuple[float, bool]]) -> None:
    """A slow look that began before a start ended still shows the container stopped: that is no new failure."""
    core, now = Supervisor(0), 0.0
    core.saw(Look(0, ALL), 0)
    broken = (down(ROUTER), CONTROLLER, SERVICE)
    for pause, _ in course:
        began = now
        now += pause
        for action in core.saw(Look(now, broken), now):
            core.did(action, "", now + 0.5)
            assert core.saw(Look(began, broken), now + 0.6) == ()
            now += 0.6
