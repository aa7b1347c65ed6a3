# ruff: noqa: RET504  (a cell's letters are its arguments; h = ...; return h)
"""The memory test: what is asked, who passes, and what a bad cell does to it."""

import torch

from conveyor.cells import Bias, Input, Matrix, State, Value, cell, relu, tanh
from conveyor.cells.cell_registry import find
from conveyor.compiler.trace import trace
from conveyor.searching.screen import (
    LENGTH,
    LETTERS,
    PASSED,
    ScreenSettings,
    memory_batch,
    screened,
)


def test_letters_are_read_then_written_and_each_told_after_it_was_asked() -> None:
    inputs, letters = memory_batch(3, torch.Generator().manual_seed(0))
    assert inputs.shape == (2 * LENGTH, 3, LETTERS + 1)
    assert letters.shape == (LENGTH, 3)
    read = inputs.argmax(-1)
    assert torch.equal(read[:LENGTH], letters)
    assert (read[LENGTH] == LETTERS).all()
    assert torch.equal(read[LENGTH + 1 :], letters[:-1])
    assert torch.equal(inputs.sum(-1), torch.ones(2 * LENGTH, 3))


def test_a_cell_that_remembers_passes() -> None:
    """The Elman network is the fastest of the built-in ones here: after about 100 steps."""
    result = screened(trace(find("rnn")), ScreenSettings(), seed=0)
    assert result.passed
    assert result.accuracy >= PASSED
    assert result.steps <= 300
    assert not result.failure


def test_a_cell_that_forgets_is_given_up_early() -> None:
    @cell
    def last_two(x: Input, h: State, V: Matrix, W: Matrix, b: Bias) -> tuple[Value, Value]:
        y = tanh(W @ x + h + b)
        h = V @ x
        return h, y

    result = screened(trace(last_two), ScreenSettings(), seed=0)
    assert not result.passed
    assert result.steps < ScreenSettings().steps
    assert 0 < result.accuracy < 0.5


def test_a_cell_whose_numbers_overflow_is_a_failure_and_no_error() -> None:
    @cell
    def growing(x: Input, h: State, W: Matrix, b: Bias) -> Value:
        y = relu(W @ x + h * 1e20 + b) + 1
        h = y * y * y
        return h

    result = screened(trace(growing), ScreenSettings(), seed=0)
    assert not result.passed
    assert result.failure == "its numbers overflow"


def test_the_time_limit_ends_a_test() -> None:
    result = screened(trace(find("rnn")), ScreenSettings(seconds=0.0, steps=60), seed=3)
    assert result.steps == 50
    assert result.failure == "it takes too long"


def test_the_same_seed_gives_the_same_result_and_leaves_random_numbers_alone() -> None:
    settings = ScreenSettings(hidden=8, steps=50)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, other = (screened(trace(find("gru")), settings, seed=7) for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    assert (one.accuracy, one.steps) == (other.accuracy, other.steps)
    assert screened(trace(find("gru")), settings, seed=8).accuracy != one.accuracy
