"""Plans: ordered steps, each with its undo, so that every change can be shown, applied, and taken back.

What always holds: :meth:`Plan.apply` either runs every step, or undoes in reverse order the steps it began and raises.
A step's ``undo`` must tolerate that its ``do`` stopped half-way. SIGINT, SIGTERM and SIGHUP (see :func:`interruptible`)
count as failures at the next safe point: at once in a step that only waits, after the step otherwise, because a request
that Podman is working on cannot be taken back before it is done (a second signal does not wait for it). Signals during
the undo are ignored, so that the host is never left half-done.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Literal

from skupper_podman.errors import InterruptedByUser, SkupperError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Verb = Literal["create", "update", "delete", "start", "stop", "check", "run"]


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Step:
    """One change: ``verb`` and ``what`` print as ``create volume skupper-internal``; ``detail`` may add a line.

    ``waits`` says that ``do`` may take long and a signal may stop it anywhere.
    """

    verb: Verb
    what: str
    do: Callable[[], None]
    undo: Callable[[], None] = _nothing
    detail: str = ""
    waits: bool = False

    def __str__(self) -> str:
        return f"{self.verb} {self.what}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps to run in order. ``facts`` are values the caller may report (names chosen, hosts, warnings)."""

    title: str
    steps: tuple[Step, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """True if applying it changes anything."""
        return any(step.verb != "check" for step in self.steps)

    def lines(self) -> list[str]:
        """The plan as text, a line a step."""
        return [str(step) + (f": {step.detail}" if step.detail else "") for step in self.steps]

    def apply(self, progress: Callable[[Step], None] | None = None) -> None:
        """Run all steps.

        Raises:
            SkupperError: a step failed; everything begun was undone first. Undo problems are added to its hint.
            InterruptedByUser: a signal arrived; everything begun was undone first.
        """
        begun: list[Step] = []
        with interruptible() as interrupt:
            try:
                for step in self.steps:
                    interrupt.check()
                    begun.append(step)
                    if progress:
                        progress(step)
                    with interrupt.during(step):
                        step.do()
                interrupt.check()
            except BaseException as error:
                interrupt.hold()
                leftovers = _undo(begun)
                _raise_with(error, leftovers)

    def take_back(self) -> None:
        """Undo a plan that was applied, as far as that goes.

        Raises:
            SkupperError: what could not be undone.
        """
        leftovers = _undo(list(self.steps))
        if leftovers:
            raise SkupperError("; ".join(leftovers))


def _undo(begun: list[Step]) -> list[str]:
    leftovers = []
    for step in reversed(begun):
        try:
            step.undo()
        except Exception as error:
            leftovers.append(f"could not undo '{step}': {error}")
    return leftovers


def _raise_with(error: BaseException, leftovers: list[str]) -> None:
    note = "; ".join(leftovers)
    if isinstance(error, KeyboardInterrupt):
        raise InterruptedByUser(f"interrupted; {note or 'everything begun was undone'}") from None
    if note and isinstance(error, SkupperError):
        error.hint = f"{error.hint}; {note}" if error.hint else note
    elif note:
        error.add_note(note)
    raise error


class Interrupt:
    """Counts signals, and raises KeyboardInterrupt for them where that is safe."""

    def __init__(self) -> None:
        self._holding = False
        self._patience: int | None = None
        self._count = 0

    @property
    def arrived(self) -> bool:
        """True if a signal came."""
        return self._count > 0

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal arrived."""
        if self._count and not self._holding:
            raise KeyboardInterrupt

    def hold(self) -> None:
        """From now on signals are counted but interrupt nothing."""
        self._holding = True

    @contextlib.contextmanager
    def during(self, step: Step) -> Iterator[None]:
        """While in it, a signal interrupts: the first one if the step waits, else the second."""
        self._patience = 0 if step.waits else 1
        try:
            if step.waits:
                self.check()
            yield
        finally:
            self._patience = None

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if not self._holding and self._patience is not None and self._count > self._patience:
            raise KeyboardInterrupt


@contextlib.contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Turn SIGINT, SIGTERM and SIGHUP into one KeyboardInterrupt; handlers are restored on leaving.

    One that is ignored (by ``nohup``, or in the background of a shell) stays ignored. A no-op off the main thread,
    where no signal arrives.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    # _handle is the only caller of the private flag: a signal that comes while undoing must not break the undo.
    heeded = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, interrupt._handle) for number in heeded}
    try:
        yield interrupt
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
