"""One step at a time: the same as one call on the whole sequence."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

import conveyor
from conveyor.cells import CELLS
from conveyor.errors import SettingError, ShapeError
from tests import table
from tests.kinds import LAW_CELLS, by_turns, every_law_case
from tests.layers.named import assert_same, draw, gradients, leaf, loss_of

every_cell = pytest.mark.parametrize("case", table.MIDDLING, ids=lambda case: case.cell)
every_kind = every_law_case()

# The step adds up in the order of the equations, the sequence in the plan's: each of 7 steps
# rounds a few times, to 1.2e-7 and to 2.2e-16. What the specification asks for.
BOUNDS = {torch.float32: 1e-6, torch.float64: 1e-13}


def step_by_step(layer: Any, x: Tensor, state: Any) -> tuple[Tensor, Any]:
    outputs = []
    for x_t in x:
        output, state = layer.step(x_t, state)
        outputs.append(output)
    return torch.stack(outputs), state


def assert_within(got: Tensor, want: Tensor, bound: float) -> None:
    torch.testing.assert_close(got, want, rtol=0, atol=bound)


@every_kind
def test_steps_are_one_call(case: table.Case) -> None:
    rows = itertools.product((1, 3), (True, False), BOUNDS, (True, False))
    turn = LAW_CELLS.index(case.cell)
    for num_layers, bias, dtype, with_state in by_turns(rows, turn, 2):
        layer = table.make_layer(case, dtype, num_layers=num_layers, bias=bias)
        x, state = table.make_input(case, dtype), table.make_state(case, layer)
        given = state if with_state else None
        want, want_final = layer(x, given)
        got, final = step_by_step(layer, x, given)
        assert_within(got, want, BOUNDS[dtype])
        assert type(final) is type(want_final)
        for mine, other in zip(final, want_final, strict=True):
            assert mine.shape == other.shape
            assert_within(mine, other, BOUNDS[dtype])


@every_kind
def test_gradients_of_steps_are_those_of_one_call(case: table.Case) -> None:
    layer = table.make_layer(case, num_layers=2)
    sources: dict[str, Tensor] = dict(layer.named_parameters())
    x = leaf(table.make_input(case))
    state = [leaf(each) for each in table.make_state(case, layer)]
    sources |= {"input": x} | {f"start.{n}": each for n, each in enumerate(state)}
    found = []
    for output, final in (layer(x, state), step_by_step(layer, x, state)):
        results = {"output": output} | {f"final.{n}": each for n, each in enumerate(final)}
        found.append(gradients(loss_of(results), sources))
    # As above: float64, and sums over 7 steps.
    assert_same(found[1], found[0], rtol=1e-12, atol=1e-12)


@every_kind
def test_one_sequence_without_a_batch(case: table.Case) -> None:
    layer = table.make_layer(case, num_layers=2)
    x = table.make_input(case)[:, 0]
    state = [each[:, 0] for each in table.make_state(case, layer)]
    for given in (None, state):
        want, want_final = layer(x, given)
        got, final = step_by_step(layer, x, given)
        assert_within(got, want, 1e-13)
        for mine, other in zip(final, want_final, strict=True):
            assert mine.shape == other.shape
            assert_within(mine, other, 1e-13)


@pytest.mark.parametrize("steps", [1, 3, 6])
@every_kind
def test_a_sequence_in_two_parts_is_the_whole(case: table.Case, steps: int) -> None:
    layer = table.make_layer(case, num_layers=2)
    x, state = table.make_input(case), table.make_state(case, layer)
    want, want_final = layer(x, state)
    first, between = layer(x[:steps], state)
    second, final = layer(x[steps:], between)
    # Float64: the products of the input may be summed in another order.
    assert_within(torch.cat([first, second]), want, 1e-13)
    for mine, other in zip(final, want_final, strict=True):
        assert_within(mine, other, 1e-13)


@every_kind
def test_a_step_leaves_what_it_was_given(case: table.Case) -> None:
    layer = table.make_layer(case, num_layers=2)
    x, state = table.make_input(case), table.make_state(case, layer)
    copies = [each.clone() for each in (x, *state)]
    layer.step(x[0], state)
    layer(x, state)
    for each, copy in zip((x, *state), copies, strict=True):
        assert torch.equal(each, copy)


def test_batch_first_says_nothing_about_one_step() -> None:
    torch.manual_seed(0)
    layer = conveyor.Recurrent("gru", 2, 3, batch_first=True, dtype=torch.float64)
    x = draw(4, 5, 2)
    want, want_final = layer(x)
    got, final = step_by_step(layer, x.transpose(0, 1), None)
    assert_within(got.transpose(0, 1), want, 1e-13)
    assert_within(final.h, want_final.h, 1e-13)


@pytest.mark.parametrize(
    ("name", "more"),
    [("RNN", {}), ("GRU", {}), ("LSTM", {}), ("LSTM", {"proj_size": 2})],
)
def test_the_layers_named_as_torchs(name: str, more: dict[str, Any]) -> None:
    torch.manual_seed(0)
    layer = getattr(conveyor, name)(2, 3, num_layers=2, dtype=torch.float64, **more)
    x = draw(7, 3, 2)
    for given in (None, layer.start(3)):
        want, want_final = layer(x, given)
        got, final = step_by_step(layer, x, given)
        assert_within(got, want, 1e-13)
        if isinstance(want_final, Tensor):
            assert_within(final, want_final, 1e-13)
        else:
            assert isinstance(final, tuple)
            for mine, other in zip(final, want_final, strict=True):
                assert_within(mine, other, 1e-13)


def test_dropout_acts_between_layers_only_while_training() -> None:
    torch.manual_seed(0)
    layer = conveyor.Recurrent("gru", 2, 3, num_layers=2, dropout=1.0)
    x = draw(2, 3, 2, dtype=torch.float32)
    assert torch.equal(layer.step(x[0])[0], layer.step(x[1])[0])
    layer.eval()
    assert not torch.equal(layer.step(x[0])[0], layer.step(x[1])[0])


@pytest.mark.parametrize(
    "layer",
    [
        conveyor.Recurrent("lstm", 2, 3, bidirectional=True),
        conveyor.GRU(2, 3, bidirectional=True),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_bidirectional_layer_refuses(layer: Any) -> None:
    with pytest.raises(SettingError, match="bidirectional layer cannot go step by step"):
        layer.step(torch.zeros(1, 2))


def pair(*shapes: tuple[int, ...]) -> tuple[Tensor, ...]:
    return tuple(torch.zeros(shape) for shape in shapes)


ONE, WIDE = (2, 4, 3), (2, 4, 5)
BAD: dict[str, tuple[Tensor, Any, str]] = {
    "a sequence": (torch.zeros(7, 4, 2), None, r"x_t is \[7, 4, 2\]; expected \[B, 2\], one step"),
    "a number": (torch.zeros(()), None, r"x_t is \[\]; expected \[B, 2\]"),
    "features": (torch.zeros(4, 3), None, r"x_t is \[4, 3\]; expected \[B, 2\]"),
    "features of one": (torch.zeros(3), None, r"x_t is \[3\]"),
    "type": (torch.zeros(4, 2).double(), None, r"x_t is of torch.float64, expected torch.float32"),
    "state width": (torch.zeros(4, 2), pair(ONE, WIDE), r"state c is \[2, 4, 5\]; expected \[2, 4"),
    "state batch": (torch.zeros(3, 2), pair(ONE, ONE), r"state h is \[2, 4, 3\]; expected \[2, 3"),
    "state layers": (torch.zeros(4, 2), pair((1, 4, 3), ONE), r"state h is \[1, 4, 3\]"),
    "state of one": (torch.zeros(4, 2), pair((2, 3), (2, 3)), r"state h has 2 dimensions"),
    "state of many": (torch.zeros(2), pair(ONE, ONE), r"unbatched 2-D input expected 2"),
    "one state": (torch.zeros(4, 2), torch.zeros(ONE), r"the state is a Tensor; lstm needs"),
    "three states": (
        torch.zeros(4, 2),
        pair(ONE, ONE, ONE),
        r"the state is a tuple of \(Tensor, T",
    ),
    "state type": (
        torch.zeros(4, 2),
        (torch.zeros(ONE), torch.zeros(ONE).double()),
        r"state c is of torch.float64",
    ),
}


@pytest.mark.parametrize(("x_t", "state", "says"), BAD.values(), ids=BAD)
def test_wrong_sizes_are_refused(x_t: Tensor, state: Any, says: str) -> None:
    layer = conveyor.Recurrent("lstm", 2, 3, num_layers=2)
    with pytest.raises(ShapeError, match=says):
        layer.step(x_t, state)


# start -------------------------------------------------------------------------------------------

STATES = {
    "rnn": ("h",),
    "rnn_relu": ("h",),
    "lstm": ("h", "c"),
    "lstm_peephole": ("h", "c"),
    "lstm_coupled": ("h", "c"),
    "lstm_projected": ("h", "c"),
    "gru": ("h",),
    "gru_reset_before": ("h",),
}


# All other cells' states begin at zero.
BEGIN = {("slstm", "m"): -1e30}


@every_cell
def test_start_is_a_named_tuple_of_zeros(case: table.Case) -> None:
    for stack, rows in (({}, 1), ({"num_layers": 2, "bidirectional": True}, 4)):
        for dtype in (torch.float32, torch.float64):
            layer = table.make_layer(case, dtype, **stack)
            for given, batch in (((), 1), ((0,), 0), ((5,), 5)):
                state: Any = layer.start(*given)
                assert tuple in type(state).__bases__
                states = tuple(CELLS[case.cell].new_states)
                assert state._fields == STATES.get(case.cell, states)
                for name, each in state._asdict().items():
                    axis = layer.program.axes[f"{name}'"][0]
                    shape = rows, batch, case.widths[axis]
                    want = torch.full(shape, BEGIN.get((case.cell, name), 0.0), dtype=dtype)
                    assert torch.equal(each, want)
                    assert each.dtype == dtype
                    assert not each.requires_grad


def test_start_is_where_the_layer_is() -> None:
    state = conveyor.Recurrent("lstm", 2, 3, device="meta", dtype=torch.bfloat16).start(4)
    for each in state:
        assert (each.device.type, each.dtype, each.shape) == ("meta", torch.bfloat16, (1, 4, 3))


def test_start_follows_the_layer() -> None:
    layer = conveyor.Recurrent("gru", 2, 3)
    assert layer.start(1).h.dtype == torch.float32
    assert layer.double().start(1).h.dtype == torch.float64


@every_kind
def test_start_is_the_state_that_none_stands_for(case: table.Case) -> None:
    layer = table.make_layer(case, num_layers=2, bidirectional=True)
    x = table.make_input(case)
    assert torch.equal(layer(x)[0], layer(x, layer.start(case.batch))[0])


def test_start_of_the_layers_named_as_torchs() -> None:
    h, c = conveyor.LSTM(2, 4, num_layers=2, bidirectional=True, proj_size=3).start(5)
    assert (h.shape, c.shape) == ((4, 5, 3), (4, 5, 4))
    h = conveyor.GRU(2, 4, num_layers=2).start(5)
    assert isinstance(h, Tensor)
    assert h.shape == (2, 5, 4)


def test_start_refuses_what_is_no_number_of_sequences() -> None:
    with pytest.raises(SettingError, match=r"batch is -1; expected a whole number from 0\."):
        conveyor.Recurrent("gru", 2, 3).start(-1)


def test_the_state_given_back_has_the_type_of_start() -> None:
    layer = conveyor.Recurrent("lstm", 2, 3)
    _, state = layer(torch.zeros(4, 1, 2))
    assert type(state) is type(layer.start(1))
    assert type(state) is type(conveyor.Recurrent("lstm_peephole", 2, 3).start(1))
    assert repr(state).startswith("State(h=tensor(")
