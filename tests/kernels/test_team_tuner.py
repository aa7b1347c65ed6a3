"""How many threads compute a call that repeats: timed by a clock that the test sets."""

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

import conveyor
from conveyor import autotune
from conveyor.compiler.plan import plan
from conveyor.compiler.trace import trace
from conveyor.errors import SettingError
from conveyor.kernels.layout.forward_layout import forward_layout
from conveyor.kernels.llvm import openmp, share, team_tuner
from conveyor.kernels.llvm.machine import host
from conveyor.kernels.llvm.share import Team, Work, rivals
from conveyor.kernels.llvm.team_tuner import PAIR, TIMED, TeamTuner
from conveyor.kernels.steps import Steps

has_threads = pytest.mark.skipif(
    openmp.threads() is None, reason="torch's threads are not GNU's: one computes"
)


@dataclass
class Clock:
    """A clock that stands still unless something takes time."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Way:
    """A way that takes so many seconds."""

    clock: Clock
    seconds: float
    calls: list[bytes] = field(default_factory=list)

    def run(self, arguments: bytes, space: int) -> None:
        self.clock.now += self.seconds
        self.calls.append(arguments)


class Race:
    """A tuner between a rule's way and another, and what it does."""

    def __init__(self, rule: float, other: float) -> None:
        self.clock = Clock()
        self.rule, self.other = Way(self.clock, rule), Way(self.clock, other)
        self.tuner: TeamTuner[Way] = TeamTuner(self.rule, lambda: self.other, self.clock)

    def forget(self) -> None:
        """Let the next look be told from this one."""
        self.tuner.seen = None

    def call(self, times: int = 1) -> str:
        """Return which way calls went, as "rrro"."""
        went = ""
        for _ in range(times):
            way = self.tuner.pick()
            self.tuner.run(way, b"", 0)
            went += "r" if way is self.rule else "o"
        return went


# The first call is not timed; then two of each way in turn.
LOOK = "rroo" * (TIMED // PAIR)


def test_both_are_timed_and_the_better_is_kept() -> None:
    race = Race(rule=1.5, other=1.0)
    assert race.call(1 + len(LOOK) + 3) == "r" + LOOK + "ooo"
    assert race.tuner.seen == (1.5, 1.0)
    race = Race(rule=1.0, other=1.5)
    assert race.call(1 + len(LOOK) + 3) == "r" + LOOK + "rrr"
    assert race.tuner.kept is race.rule


def test_what_is_clear_is_decided_at_once() -> None:
    race = Race(rule=0.2, other=0.0004)
    assert race.call(8) == "rrroo" + "ooo"
    race = Race(rule=0.0004, other=0.2)
    assert race.call(8) == "rrroo" + "rrr"


def test_a_size_that_does_not_come_again_is_not_timed() -> None:
    race = Race(rule=2.0, other=1.0)
    race.tuner.other = lambda: pytest.fail("the other way was made")
    assert race.call() == "r"
    assert race.tuner.seen is None


def test_disturbed_calls_decide_nothing() -> None:
    race = Race(rule=1.0, other=1.1)
    race.call()
    for number in range(len(LOOK)):
        race.rule.seconds = 50.0 if number in (1, 4) else 1.0
        race.call()
    assert race.tuner.seen == pytest.approx((1.0, 1.1))
    assert race.tuner.kept is race.rule


def test_it_looks_again() -> None:
    race = Race(rule=0.0015, other=0.001)
    race.call(1 + len(LOOK))
    race.rule.seconds = 0.0001  # the neighbour has gone
    assert race.call(900) == "o" * 900
    race.clock.now += 1.0
    assert race.call(6) == "oorr" + "rr"  # the way that is kept first
    assert race.tuner.seen == pytest.approx((0.0001, 0.001))


def until_next_look(race: Race) -> int:
    """Return the seconds from one look to the next."""
    begin = race.clock.now
    race.forget()
    while race.tuner.seen is None:
        race.call()
    return round(race.clock.now - begin)


def test_it_looks_less_often_while_the_answer_is_the_same() -> None:
    race = Race(rule=0.001, other=0.0011)
    race.call(1 + len(LOOK))
    assert [until_next_look(race) for _ in range(7)] == [2, 4, 8, 16, 30, 30, 30]
    race.rule.seconds = 0.0015
    until_next_look(race)
    assert race.tuner.kept is race.other
    assert until_next_look(race) == 1  # soon again after a change


def test_looks_that_take_long_are_rare() -> None:
    race = Race(rule=0.001, other=0.5)
    race.call(1 + len("rroo"))
    assert until_next_look(race) == 40 + 1  # 40 times the second that the look took, and a look


def test_it_can_be_switched_off() -> None:
    race = Race(rule=1.5, other=1.0)
    with autotune(False):
        assert race.call(50) == "r" * 50
    assert race.call(len(LOOK) + 1) == LOOK + "o"
    with autotune(False):
        assert race.call() == "r"
        with autotune(True):
            assert race.call() == "o"
    half = Race(rule=1.5, other=1.0)
    half.call(1 + 3)
    with autotune(False):
        assert half.call(3) == "rrr"
    assert half.call(3) == "orr"  # and on
    with pytest.raises(SettingError, match=r"on is 1; expected True or False\."):
        autotune(1)  # type: ignore[arg-type]


def work(units: int) -> Work:
    layout = forward_layout(plan(trace(conveyor.CELLS["lstm"])), training=False)
    return Work.of(layout, host(), {"I": units, "H": units}, 4)


def test_where_the_rule_is_sure_nothing_is_timed() -> None:
    assert rivals(work(64), Steps.dense(400, 1), 1)[1] is None  # one thread may compute
    tiny = rivals(work(64), Steps.dense(10, 1), 2)
    assert tiny[0].threads == 1
    assert tiny[0].ns < share.TINY_NS
    assert tiny[1] is None
    best, other = rivals(work(64), Steps.dense(400, 1), 2)
    assert isinstance(other, Team)
    assert {best.threads, other.threads} == {1, 2}
    assert best.ns <= other.ns < share.NEAR * best.ns
    # Long steps: a thread that is interrupted once is not waited for at thousands of steps.
    best, other = rivals(work(512), Steps.dense(100, 128), 2)
    assert best.threads == 2
    assert other is None
    shorter = rivals(work(512), Steps.dense(100, 4), 2)
    assert shorter[1] is not None
    # Many rows: each thread has half of them and waits for nobody, on eight threads an eighth.
    best, other = rivals(work(64), Steps.dense(100, 256), 8)
    assert best.threads == 8
    assert other is None


@has_threads
@pytest.mark.parametrize("way", ["tensors", "arrays", "training"])
def test_a_layer_times_its_calls_and_says_so(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "TINY_NS", 0.0)
    monkeypatch.setattr(share, "NEAR", 1e9)
    clock = Clock()
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        layer, x = conveyor.LSTM(3, 40), torch.randn(6, 1, 3)
        run = layer.numpy()
        with torch.no_grad():
            want = layer(x)[0]
        # The entry of a plan is told by its number of threads.
        ran: list[int] = []
        original = team_tuner.TeamTuner.run

        def timed(self: TeamTuner[Any], plan: Any, arguments: bytes, space: int) -> None:
            self.clock = clock
            table = np.frombuffer(arguments, dtype=np.int64)
            assert table[plan.sizes.compiled.abi.numbers["threads"]] == plan.share.threads
            ran.append(plan.share.threads)
            original(self, plan, arguments, space)

        monkeypatch.setattr(team_tuner.TeamTuner, "run", timed)
        assert "calls of these sizes without gradients will be timed" in layer.explain(x)
        for _ in range(1 + 2 * TIMED + 1):
            with torch.set_grad_enabled(way == "training"):
                got = torch.from_numpy(run(x.numpy())[0]) if way == "arrays" else layer(x)[0]
            assert torch.equal(got, want)
            if way == "training":
                got.sum().backward()
        assert set(ran) == {1, 2}
        if way == "training":  # a forward and a backward pass each, timed apart
            assert len(ran) == 2 * (1 + 2 * TIMED + 1)
            return
        seen = r"  timed: .*, 0\.000 ms; .*, 0\.000 ms; kept: .*thread"
        assert re.search(seen, layer.explain(x))
        with autotune(False):
            assert "not timed: autotune(False)" in layer.explain(x)
    finally:
        torch.set_num_threads(before)
