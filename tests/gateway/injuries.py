"""What must hold after a program of a bundle was killed at any moment (see ``hurt.py``), on the host of the gateway.

The same words again come to what they would have come to at once; a removal instead of them leaves nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TOOLS = Path(__file__).parent
"""Where ``hurt.py`` and ``picture.py`` are."""
Shape = dict[str, Any]
Words = tuple[str, ...]
"""Generation of the bundle, program, arguments."""


@dataclass(frozen=True, slots=True)
class Case:
    """Words to type, what must have been typed before them, and what is typed after a kill if not the same."""

    name: str
    words: Words
    before: tuple[Words, ...] = ()
    then: Words = ()


@dataclass(frozen=True, slots=True)
class Done:
    """How a program ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Ground:
    """A host with an unpacked bundle of each generation of gateway ``name``; ``run`` types words there.

    ``report`` is where programs may write their moments. ``well`` tells what does not work although it should, after
    everything was typed without an injury or after one.
    """

    name: str
    bundles: dict[str, str]
    run: Callable[[tuple[str, ...]], Done]
    report: str
    read: Callable[[str], str]
    tools: str = str(TOOLS)
    well: Callable[[str], str] = field(default=lambda _generation: "")

    def type(self, words: Words) -> Done:
        """Type it, unhurt."""
        generation, program, *rest = words
        return self.run((f"{self.bundles[generation]}/{program}", *rest))

    def hurt(self, words: Words, moment: int = -1, signal: str = "SIGKILL") -> tuple[Done, list[str]]:
        """Type it, and send it a signal at that moment, or not; gives how it ended and the moments it reached."""
        generation, program, *rest = words
        hurt = ("python3", f"{self.tools}/hurt.py", signal, str(moment), self.report)
        done = self.run((*hurt, f"{self.bundles[generation]}/{program}", *rest))
        return done, self.read(self.report).splitlines()

    def picture(self) -> Shape:
        """What is there."""
        done = self.run(("python3", f"{self.tools}/picture.py", self.name))
        assert done.code == 0, done.err
        return dict(json.loads(done.out))


REMOVE: Words = ("1", "remove.py")


def cases(*how: str, other: str = "") -> tuple[Case, ...]:
    """The cases for gateways that are launched with these words; ``other`` is another type to go over to."""
    first: Words = ("1", "launch.py", *how)
    found = (
        Case("launch", first),
        Case("launch, given up", first, then=REMOVE),
        Case("update", ("2", "launch.py", *how), (first,)),
        Case("update, given up", ("2", "launch.py", *how), (first,), REMOVE),
        Case("rollback", ("1", "launch.py", "--rollback", *how), (first, ("2", "launch.py", *how))),
        Case("remove", REMOVE, (first,), REMOVE),
    )
    if other:
        found += (Case("another type", ("1", "launch.py", "-t", other, *how), (first,)),)
    return found


class Trial:
    """A case on a ground where nothing of the gateway is."""

    def __init__(self, ground: Ground, case: Case) -> None:
        self.ground = ground
        self.case = case
        # Once, for directories that a removal leaves.
        self._prepare()
        ground.type(case.words)
        self._undo()
        self._bare = ground.picture()
        self._prepare()
        done, self.moments = ground.hurt(case.words)
        assert done.code == 0, (case, self.moments[-3:], done.err)
        self._after = ground.picture()
        self._undo()

    def interrupt(self, moment: int, signal: str) -> str:
        """Send it a signal that it takes back what it did for; returns what is wrong then."""
        self._prepare()
        before = self.ground.picture()
        done, reached = self.ground.hurt(self.case.words, moment, signal)
        what = f"{self.case.name}: {signal} at {moment} ({reached[moment] if moment < len(reached) else 'not reached'})"
        if "it is launched" in done.err:
            before = self._after
            self.ground.type(self.case.words)
        wrong = "" if done.code == 130 and "Traceback" not in done.err else f"{what}: {done}"
        wrong = wrong or difference(what, before, self.ground.picture())
        self._undo()
        return wrong

    def hurt(self, moment: int) -> str:
        """Kill it at that moment, and type what follows; returns what is wrong then."""
        self._prepare()
        killed, reached = self.ground.hurt(self.case.words, moment)
        what = f"{self.case.name}: killed at {moment} ({reached[moment] if moment < len(reached) else 'not reached'})"
        if moment >= len(reached):
            self._undo()
            return ""  # how often something is waited for differs
        if killed.code not in (-9, 137):
            return f"{what}: {killed}"
        told = self.ground.type(("1", "launch.py", "--status"))
        if "Traceback" in told.err + told.out:
            return f"{what}: status: {told.err}"
        then = self.case.then or self.case.words
        done = self.ground.type(then)
        wrong = ""
        back_already = "--rollback" in then and "there is no generation before" in done.err
        if (done.code and not back_already) or "Traceback" in done.err:
            wrong = f"{what}: then exit code {done.code}: {done.err}"
        seen = self.ground.picture()
        wrong = wrong or difference(what, self._bare if self.case.then else self._after, seen)
        if not wrong and not self.case.then:
            wrong = self.ground.well(self.case.words[0])
        self._undo()
        return wrong or difference(f"{what}: removed", self._bare, self.ground.picture())

    def _prepare(self) -> None:
        for words in self.case.before:
            done = self.ground.type(words)
            assert done.code == 0, done.err

    def _undo(self) -> None:
        done = self.ground.type(REMOVE)
        assert done.code == 0, done.err


def difference(what: str, wanted: Shape, found: Shape) -> str:
    """What is not as wanted, empty if all is."""
    for part, value in wanted.items():
        seen = found[part]
        if seen == value:
            continue
        if isinstance(value, dict):
            apart = {key for key in value.keys() | seen.keys() if value.get(key) != seen.get(key)}
            value, seen = ({key: item.get(key) for key in sorted(apart)} for item in (value, seen))
        return f"{what}: {part} are {seen!r:.1500} instead of {value!r:.1500}"
    return ""
