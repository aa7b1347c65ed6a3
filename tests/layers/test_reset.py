"""Sequences that begin anew somewhere inside: as if the pieces had been run separately."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import conveyor
from conveyor.errors import ShapeError
from tests import table
from tests.kinds import (
    before_any_target,
    every_law_case_and_target,
    every_law_case_and_target_with,
)
from tests.layers.named import Named, assert_same, draw, gradients, leaf, loss_of, run

pytestmark = pytest.mark.usefixtures("each_target")

every_kind = every_law_case_and_target()
every_kind_in_stacks = every_law_case_and_target_with(
    "stack",
    {
        "one": {},
        "bidirectional": {"bidirectional": True},
        "two-bidirectional": {"num_layers": 2, "bidirectional": True},
    },
)

# Float64: the same operations on the same numbers, but products of other shapes may be summed in
# another order. A few units of 2e-16 in sums of at most 100 products.
CLOSE: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-13}


def marks(*rows: str) -> Tensor:
    """One row for each sequence, ``|`` at the steps before which it begins anew: [T, B]."""
    return torch.tensor([[mark == "|" for mark in row] for row in rows]).transpose(0, 1)


# T = 7, B = 3 of the table's middling cases: in the middle, at both ends, two in a row, none.
RESET = marks("...|..|", "|.||...", ".......")
LENGTHS = {"full": [7, 7, 7], "padded": [5, 4, 2]}
ALL_BEFORE_THE_END = marks("...|...", "|.||...", ".......")


def in_pieces(
    layer: conveyor.Recurrent, x: Tensor, reset: Tensor, lengths: list[int], state: Any
) -> Named:
    """Every piece of every sequence, run alone, put together; gradients likewise."""
    sources = {**dict(layer.named_parameters()), "input": leaf(x)}
    given = [leaf(each) for each in state]
    sources |= {f"start.{number}": each for number, each in enumerate(given)}
    directions = 2 if layer.bidirectional else 1
    rows = torch.arange(len(given[0]))
    reverse = (rows % directions == 1).view(-1, 1, 1)
    outputs, finals = [], []
    for b, length in enumerate(lengths):
        borders = [0, *(t for t in range(1, length) if reset[t, b]), length]
        pieces = list(itertools.pairwise(borders))
        parts, final = [], []
        for begin, end in pieces:
            first, last = begin == 0 and not bool(reset[0, b]), end == length
            zeros = layer.start(1)
            start = [
                torch.where(reverse, own if last else zero, own if first else zero)
                for own, zero in zip((each[:, b : b + 1] for each in given), zeros, strict=True)
            ]
            output, after = layer(sources["input"][begin:end, b : b + 1], start)
            parts.append(output)
            final.append(after)
        outputs.append(
            nn.functional.pad(torch.cat(parts), (0, 0, 0, 0, 0, len(x) - length)),
        )
        # The forward direction ends in the last piece, the reverse direction in the first.
        finals.append(
            [
                torch.where(reverse, first, last)
                for first, last in zip(final[0], final[-1], strict=True)
            ]
        )
    want = {"output": torch.cat(outputs, 1)}
    for number, each in enumerate(zip(*finals, strict=True)):
        want[f"final.{number}"] = torch.cat(each, 1)
    return want | gradients(loss_of(want), sources)


@every_kind_in_stacks
def test_the_pieces_run_as_if_alone(case: table.Case, stack: dict[str, Any]) -> None:
    layer = table.make_layer(case, **stack)
    x, state = table.make_input(case), table.make_state(case, layer)
    want = in_pieces(layer, x, RESET, LENGTHS["full"], state)
    assert_same(run(layer, x, state, reset=RESET), want, **CLOSE)


@every_kind_in_stacks
def test_with_lengths(case: table.Case, stack: dict[str, Any]) -> None:
    layer = table.make_layer(case, **stack)
    x, state = table.make_input(case), table.make_state(case, layer)
    lengths = LENGTHS["padded"]
    want = in_pieces(layer, x, ALL_BEFORE_THE_END, lengths, state)
    got = run(layer, x, state, reset=ALL_BEFORE_THE_END, lengths=lengths)
    assert_same(got, want, **CLOSE)


# Marks behind the ends of sequences of 5, 4 and 2 steps, and nowhere else.
BEHIND = (
    marks(".....|.", "....|..", "..|...."),
    marks("......|", "......|", "...||.."),
    marks(".....||", "....|||", "..|||||"),
)


@every_kind_in_stacks
def test_marks_behind_the_end_change_nothing(case: table.Case, stack: dict[str, Any]) -> None:
    layer = table.make_layer(case, **stack)
    x, state = table.make_input(case), table.make_state(case, layer)
    lengths = LENGTHS["padded"]
    want = run(layer, x, state, lengths=lengths)
    for reset in BEHIND:
        assert_same(run(layer, x, state, lengths=lengths, reset=reset), want, **CLOSE)


def test_marks_in_a_sequence_of_no_steps_change_nothing() -> None:
    layer, state = gru(bidirectional=True), draw(2, 1, 3)
    x = draw(4, 1, 2)
    _, final = layer(x, state, lengths=[0], reset=torch.ones(4, 1, dtype=torch.bool))
    assert torch.equal(final.h, state)


@every_kind
def test_a_reset_goes_back_to_start_and_not_to_the_given_state(case: table.Case) -> None:
    layer = table.make_layer(case)
    x, state = table.make_input(case), table.make_state(case, layer)
    begin = torch.zeros(7, 3, dtype=torch.bool)
    begin[0] = True
    assert_same_ends(layer(x, state, reset=begin), layer(x, layer.start(3)))
    anew = torch.zeros(7, 3, dtype=torch.bool)
    anew[4] = True
    output, final = layer(x, state, reset=anew)
    assert_same_ends((output[4:], final), layer(x[4:]))


def assert_same_ends(got: tuple[Tensor, Any], want: tuple[Tensor, Any]) -> None:
    torch.testing.assert_close(got[0], want[0], **CLOSE)
    for mine, other in zip(got[1], want[1], strict=True):
        torch.testing.assert_close(mine, other, **CLOSE)


@every_kind
def test_a_reset_before_every_step_makes_steps_strangers(case: table.Case) -> None:
    layer = table.make_layer(case, bidirectional=True)
    x, state = table.make_input(case), table.make_state(case, layer)
    output, _ = layer(x, state, reset=torch.ones(7, 3, dtype=torch.bool))
    for t in range(6):  # the reverse direction begins its last step in the given state
        torch.testing.assert_close(output[t : t + 1], layer(x[t : t + 1])[0], **CLOSE)


@every_kind
def test_no_mark_is_as_no_reset(case: table.Case) -> None:
    layer = table.make_layer(case, bidirectional=True, num_layers=2)
    x, state = table.make_input(case), table.make_state(case, layer)
    none = torch.zeros(7, 3, dtype=torch.bool)
    assert_same(run(layer, x, state, reset=none), run(layer, x, state), **CLOSE)


@every_kind
def test_no_gradient_crosses_a_reset(case: table.Case) -> None:
    layer = table.make_layer(case, bidirectional=True, num_layers=2)
    x = leaf(table.make_input(case))
    state = [leaf(each) for each in table.make_state(case, layer)]
    anew = torch.zeros(7, 3, dtype=torch.bool)
    anew[4] = True
    output, _ = layer(x, state, reset=anew)
    after, *of_state = torch.autograd.grad(output[4:].sum(), [x, *state], retain_graph=True)
    assert torch.equal(after[:4], torch.zeros_like(after[:4]))
    assert (after[4:] != 0).any()
    before, *_ = torch.autograd.grad(output[:4].sum(), [x, *state])
    assert torch.equal(before[4:], torch.zeros_like(before[4:]))
    assert (before[:4] != 0).any()
    for each in of_state:  # what is behind the reset reaches only where the reverse began
        assert torch.equal(each[0::2], torch.zeros_like(each[0::2]))


def gru(**kwargs: Any) -> conveyor.Recurrent:
    torch.manual_seed(0)
    return conveyor.Recurrent("gru", 2, 3, dtype=torch.float64, **kwargs)


def test_batch_first() -> None:
    x = draw(7, 3, 2)
    output, final = gru(bidirectional=True)(x, reset=RESET)
    first = gru(bidirectional=True, batch_first=True)
    got, got_final = first(x.transpose(0, 1), reset=RESET.transpose(0, 1))
    assert torch.equal(got, output.transpose(0, 1))
    assert torch.equal(got_final.h, final.h)


def test_one_sequence_without_a_batch() -> None:
    x = draw(7, 2)
    for layer in (gru(), gru(batch_first=True)):
        output, _ = layer(x, reset=RESET[:, 0])
        want = torch.cat([layer(piece)[0] for piece in (x[:3], x[3:6], x[6:])])
        torch.testing.assert_close(output, want, **CLOSE)


def test_the_layers_named_as_torchs() -> None:
    layer = conveyor.LSTM(2, 3, bidirectional=True, proj_size=2, dtype=torch.float64)
    x = draw(7, 3, 2)
    anew = torch.zeros(7, 3, dtype=torch.bool)
    anew[4] = True
    output, _ = layer(x, reset=anew)
    want = torch.cat([layer(x[:4])[0], layer(x[4:])[0]])
    torch.testing.assert_close(output, want, **CLOSE)


def test_the_trace_begins_anew_too() -> None:
    layer, x = gru(), draw(7, 3, 2)
    anew = torch.zeros(7, 3, dtype=torch.bool)
    anew[4] = True
    _, _, trace = layer(x, reset=anew, trace=True)
    _, _, after = layer(x[4:], trace=True)
    for name in after:
        torch.testing.assert_close(trace[name][4:], after[name], **CLOSE)


BAD: dict[str, tuple[Tensor, str]] = {
    "other way around": (RESET.transpose(0, 1), r"reset is \[3, 7\] of torch.bool; expected bool"),
    "one sequence": (RESET[:, 0], r"reset is \[7\] .* T = 7 and B = 3"),
    "too short": (RESET[:6], r"reset is \[6, 3\]"),
    "too narrow": (RESET[:, :1], r"reset is \[7, 1\]"),
    "a column more": (RESET.unsqueeze(-1), r"reset is \[7, 3, 1\]"),
    "numbers": (RESET.long(), r"reset is \[7, 3\] of torch.int64; expected bool of \[T, B\]"),
    "floating point": (RESET.double(), r"torch.float64; expected bool"),
    "one mark": (torch.tensor(True), r"reset is \[\] of torch.bool"),
}


@before_any_target
@pytest.mark.parametrize(("reset", "says"), BAD.values(), ids=BAD)
def test_a_bad_reset_is_refused(reset: Tensor, says: str) -> None:
    with pytest.raises(ShapeError, match=says):
        gru()(draw(7, 3, 2), reset=reset)


def test_a_bad_reset_is_refused_in_the_users_layout() -> None:
    with pytest.raises(ShapeError, match=r"reset is \[7, 3\] .* expected bool of \[B, T\]"):
        gru(batch_first=True)(draw(3, 7, 2), reset=RESET)
    with pytest.raises(ShapeError, match=r"reset is \[7, 1\]"):
        gru()(draw(7, 2), reset=RESET[:, :1])


def test_a_reset_that_is_no_tensor_is_refused() -> None:
    with pytest.raises(ShapeError, match="reset"):
        gru()(draw(7, 3, 2), reset=RESET.tolist())


def test_a_reset_with_a_packed_sequence_is_refused() -> None:
    packed = pack_padded_sequence(draw(7, 3, 2), torch.tensor([7, 7, 7]))
    with pytest.raises(ShapeError, match="Give the padded tensor with lengths and reset"):
        gru()(packed, reset=RESET)
