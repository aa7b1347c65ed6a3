"""How many threads should compute a call that repeats: found out by timing it.

The rule of ``share`` knows the machine by a few numbers, and nothing of what else runs on it. At
B 1, H 64, T 400 a second thread made an LSTM 1.54 times as fast, and some minutes later 0.73 times,
on one machine. So where the rule is not sure, calls of the same sizes time what it chose and what
it would choose next, keep the better, and look again now and then.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from conveyor.kernels.autotune import is_on

# Calls of each way that are timed, two at a time in turn: of six, the median stands although two
# were disturbed.
PAIR, TIMED = 2, 6
# Where all calls of one way take so many times as long as all of the other, two of each are enough:
# alone, two threads may take half the time of one; beside busy processes hundreds of times as long.
CLEAR = 1.5
# Both ways are timed again after a while, which doubles up to the second number while the answer
# stays the same: neighbours come and go within seconds and minutes. It is so many times as long as
# timing took, which costs a fortieth then at most.
LOOK_SECONDS, MOST_SECONDS = 1.0, 30.0
LOOK_SHARE = 40


class Runs(Protocol):
    """Something that can be run on arguments, as a launch plan."""

    def run(self, arguments: bytes, space: int) -> None:
        """Run on arguments; see ``LaunchPlan.run``."""


P = TypeVar("P", bound=Runs)


@dataclass
class TeamTuner(Generic[P]):
    """Two ways to share out a call's work.

    Args:
        rule: the way that the rule chose.
        other: makes the way that it would choose next.
        clock: gives seconds.

    ``seen`` are the seconds of a call by the rule's way and by the other, as they were last timed.
    """

    rule: P
    other: Callable[[], P]
    clock: Callable[[], float] = time.perf_counter
    seen: tuple[float, float] | None = None
    _ways: list[P] = field(default_factory=list)
    # Of the calls that are timed now, for each of ``_ways``; None while none is.
    _times: tuple[list[float], list[float]] | None = None
    _begun: float = 0.0
    # The number of the way that is kept, and until when. The first call of a size is not timed: it
    # may never come again, and it finds caches cold and code not yet read.
    _kept: int = 0
    _called: bool = False
    _until: float = 0.0
    _interval: float = LOOK_SECONDS

    @property
    def kept(self) -> P:
        """The way that is kept."""
        return self._ways[self._kept] if self._ways else self.rule

    def pick(self) -> P:
        """Return the way to run the next call, for ``run``."""
        if not is_on() or not self._called:
            self._called = True
            return self.rule
        times = self._times
        if times is None:
            now = self.clock()
            if now < self._until:
                return self.kept
            if not self._ways:
                self._ways = [self.rule, self.other()]
            self._times = times = ([], [])
            self._begun = now
        # The way that is kept first, and two calls in a row: threads that have just worked start
        # sooner.
        turn = (len(times[0]) + len(times[1])) // PAIR % 2
        return self._ways[turn ^ self._kept]

    def run(self, way: P, arguments: bytes, space: int) -> None:
        """Run a call by the way that ``pick`` gave; see ``LaunchPlan.run``."""
        times = self._times
        if times is None or not is_on():
            way.run(arguments, space)
            return
        begin = self.clock()
        way.run(arguments, space)
        end = self.clock()
        times[way is not self.rule].append(end - begin)
        if self._are_enough(*times):
            self._decide(*times)

    @staticmethod
    def _are_enough(first: list[float], second: list[float]) -> bool:
        """Return whether so many times of both ways say which is better."""
        fewest = min(len(first), len(second))
        if fewest < PAIR:
            return False
        clear = min(first) > CLEAR * max(second) or min(second) > CLEAR * max(first)
        return clear or fewest >= TIMED

    def _decide(self, first: list[float], second: list[float]) -> None:
        """Keep the better way."""
        self.seen = statistics.median(first), statistics.median(second)
        better = int(self.seen[1] < self.seen[0])
        doubled = min(2 * self._interval, MOST_SECONDS)
        self._interval = doubled if better == self._kept else LOOK_SECONDS
        now = self.clock()
        self._kept, self._times = better, None
        self._until = now + max(self._interval, LOOK_SHARE * (now - self._begun))
