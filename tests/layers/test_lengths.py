"""Sequences of different lengths in one batch: each as if it were alone, whatever is behind it."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import conveyor
from conveyor.cells import (
    Bias,
    Cell,
    Input,
    Matrix,
    State,
    Value,
    cell,
    exp,
    log,
    sqrt,
    tanh,
    total,
)
from conveyor.errors import ShapeError
from tests import table
from tests.kinds import (
    before_any_target,
    every_law_case_and_target,
    every_law_case_and_target_with,
)
from tests.layers.named import assert_equal, assert_same, draw, gradients, leaf, loss_of, run

pytestmark = pytest.mark.usefixtures("each_target")

every_kind = every_law_case_and_target()
every_kind_in_stacks = every_law_case_and_target_with(
    "stack",
    {
        "one": {},
        "bidirectional": {"bidirectional": True},
        "two": {"num_layers": 2},
        "two-bidirectional": {"num_layers": 2, "bidirectional": True, "bias": False},
    },
)

# Float64: the same operations on the same numbers, but products of other shapes may be summed in
# another order. A few units of 2e-16 in sums of at most 100 products.
CLOSE: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-13}

# Of the table's middling cases, T = 7 and B = 3: no order, a zero, and one that is full.
LENGTHS = [3, 0, 7]


def padding(x: Tensor, lengths: list[int]) -> Tensor:
    """True behind a sequence's end: [T, B, 1]."""
    return (torch.arange(len(x)).unsqueeze(1) >= torch.tensor(lengths)).unsqueeze(-1)


@every_kind_in_stacks
def test_each_sequence_runs_as_if_alone(case: table.Case, stack: dict[str, Any]) -> None:
    layer = table.make_layer(case, **stack)
    x, state = table.make_input(case), table.make_state(case, layer)
    got = run(layer, x, state, lengths=LENGTHS)

    sources = {**dict(layer.named_parameters()), "input": leaf(x)}
    start = [leaf(each) for each in state]
    sources |= {f"start.{number}": each for number, each in enumerate(start)}
    outputs, finals = [], []
    for b, length in enumerate(LENGTHS):
        own = [each[:, b : b + 1] for each in start]
        if length == 0:
            outputs.append(x.new_zeros(len(x), 1, layer.output_size))
            finals.append(own)
            continue
        output, final = layer(sources["input"][:length, b : b + 1], own)
        outputs.append(nn.functional.pad(output, (0, 0, 0, 0, 0, len(x) - length)))
        finals.append(list(final))
    want = {"output": torch.cat(outputs, 1)}
    for number, parts in enumerate(zip(*finals, strict=True)):
        want[f"final.{number}"] = torch.cat(parts, 1)
    want |= gradients(loss_of(want), sources)
    assert_same(got, want, **CLOSE)


@every_kind_in_stacks
def test_outputs_behind_the_end_are_exact_zeros(case: table.Case, stack: dict[str, Any]) -> None:
    layer = table.make_layer(case, **stack)
    x = table.make_input(case)
    output, _ = layer(x, lengths=LENGTHS)
    for b, length in enumerate(LENGTHS):
        assert torch.equal(output[length:, b], torch.zeros_like(output[length:, b]))
        assert (output[:length, b] != 0).any() or length == 0


@every_kind_in_stacks
def test_a_sequence_of_no_steps_ends_where_it_began(
    case: table.Case, stack: dict[str, Any]
) -> None:
    layer = table.make_layer(case, **stack)
    x, state = table.make_input(case), table.make_state(case, layer)
    _, final = layer(x, state, lengths=LENGTHS)
    for got, given in zip(final, state, strict=True):
        assert torch.equal(got[:, 1], given[:, 1])
    output, final = layer(x, state, lengths=[0, 0, 0])
    assert torch.equal(output, torch.zeros_like(output))
    for got, given in zip(final, state, strict=True):
        assert torch.equal(got, given)


@every_law_case_and_target_with(
    "filling", {"inf": float("inf"), "-inf": -float("inf"), "1e300": 1e300, "nan": float("nan")}
)
def test_what_is_behind_the_end_reaches_nothing(case: table.Case, filling: float) -> None:
    layer = table.make_layer(case, num_layers=2, bidirectional=True)
    x, state = table.make_input(case), table.make_state(case, layer)
    behind = padding(x, LENGTHS)
    want = run(layer, x.masked_fill(behind, 0.0), state, lengths=LENGTHS)
    got = run(layer, x.masked_fill(behind, filling), state, lengths=LENGTHS)
    for name, each in got.items():
        assert each.isfinite().all(), name
    assert_equal(got, want)
    assert (got["gradient of input"][behind.expand_as(x)] == 0).all()


@cell
def of_logarithm(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    """The logarithm of an input of zeros has no finite slope."""
    return tanh(W @ x + U @ h + b) * log(total(x * x))


@cell
def of_quotient(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    """An input of zeros is divided by zero."""
    return tanh(W @ x / total(x * x) + U @ h + b)


@cell
def of_root(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    """The slope of the root is infinite at 0."""
    return tanh(W @ x + U @ h + b * sqrt(total(x * x)))


@cell
def of_power(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    """What stays behind the end must not overflow either."""
    return tanh(W @ x + U @ h + b) / exp(total(x))


@pytest.mark.parametrize("own", [of_logarithm, of_quotient, of_root, of_power], ids=str)
def test_padding_reaches_nothing_in_cells_that_cannot_read_zeros(own: Cell) -> None:
    torch.manual_seed(0)
    layer = conveyor.Recurrent(own, 2, 3, bidirectional=True, dtype=torch.float64)
    x = draw(7, 3, 2)
    alone = []
    for b, length in enumerate(LENGTHS):
        if length:
            output, _ = layer(x[:length, b : b + 1])
            alone.append(output.sum())
    parameters = dict(layer.named_parameters())
    want = gradients(torch.stack(alone).sum(), parameters)
    output, _ = layer(x, lengths=LENGTHS)
    assert output.isfinite().all()
    assert_same(gradients(output.sum(), parameters), want, **CLOSE)


@every_kind
def test_a_longer_tail_changes_nothing_before_it(case: table.Case) -> None:
    layer = table.make_layer(case, num_layers=2, bidirectional=True)
    x, state = table.make_input(case), table.make_state(case, layer)
    found = []
    for tail in (x[:0], draw(5, *x.shape[1:], seed=5) * 100):
        longer = leaf(torch.cat([x, tail]))
        output, final = layer(longer, state, lengths=[7, 7, 7])
        results = {"output": output[:7], "final": torch.cat(final, -1)}
        sources = {**dict(layer.named_parameters()), "input": longer}
        of = gradients(loss_of(results), sources)
        for each in (output, of["gradient of input"]):
            assert torch.equal(each[7:], torch.zeros_like(each[7:]))
        of["gradient of input"] = of["gradient of input"][:7]
        found.append({name: each.detach() for name, each in (results | of).items()})
    assert_same(found[1], found[0], **CLOSE)


@every_kind
def test_full_lengths_are_as_none(case: table.Case) -> None:
    layer = table.make_layer(case, num_layers=2, bidirectional=True)
    x, state = table.make_input(case), table.make_state(case, layer)
    assert_same(run(layer, x, state, lengths=[7] * 3), run(layer, x, state), **CLOSE)


@every_kind
def test_the_reverse_direction_begins_at_each_end(case: table.Case) -> None:
    layer = table.make_layer(case, bidirectional=True)
    x = table.make_input(case)
    output, _ = layer(x, lengths=LENGTHS)
    changed = x.clone()
    changed[:2] += 1
    other, _ = layer(changed, lengths=LENGTHS)
    half = layer.output_size // 2
    # Read from the end, step 2 comes before steps 1 and 0, and so does not see them.
    for b, length in ((0, 3), (2, 7)):
        assert torch.equal(output[2:length, b, half:], other[2:length, b, half:])
        assert not torch.equal(output[2:length, b, :half], other[2:length, b, :half])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    ("layer", "more"),
    [
        ("RNN", {}),
        ("RNN", {"nonlinearity": "relu"}),
        ("LSTM", {}),
        ("LSTM", {"proj_size": 2}),
        ("GRU", {}),
    ],
)
def test_lengths_are_torchs_packed_sequences(
    layer: str, more: dict[str, Any], bidirectional: bool
) -> None:
    options = {"num_layers": 2, "bidirectional": bidirectional, "dtype": torch.float64, **more}
    for batch_first in (False, True):
        torch.manual_seed(0)
        theirs = getattr(nn, layer)(5, 4, batch_first=batch_first, **options)
        ours: nn.Module = getattr(conveyor, layer)(5, 4, batch_first=batch_first, **options)
        ours.load_state_dict(theirs.state_dict())
        x, lengths = draw(*((3, 7) if batch_first else (7, 3)), 5), [4, 1, 7]
        packed = pack_padded_sequence(
            x, torch.tensor(lengths), batch_first=batch_first, enforce_sorted=False
        )
        want, want_final = theirs(packed)
        want, _ = pad_packed_sequence(want, batch_first=batch_first)
        got, got_final = ours(x, lengths=lengths)
        torch.testing.assert_close(got, want, **CLOSE)
        torch.testing.assert_close(got_final, want_final, **CLOSE)


def gru(**kwargs: Any) -> conveyor.Recurrent:
    torch.manual_seed(0)
    return conveyor.Recurrent("gru", 2, 3, dtype=torch.float64, **kwargs)


WHOLE = (
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.uint16,
    torch.uint32,
    torch.uint64,
)


@pytest.mark.parametrize("dtype", WHOLE, ids=str)
def test_lengths_of_any_whole_type(dtype: torch.dtype) -> None:
    layer, x = gru(bidirectional=True), draw(7, 3, 2)
    assert_equal(
        run(layer, x, lengths=torch.tensor(LENGTHS).to(dtype)), run(layer, x, lengths=LENGTHS)
    )


def test_lengths_as_list_tuple_and_array() -> None:
    layer, x = gru(), draw(7, 3, 2)
    want = run(layer, x, lengths=LENGTHS)
    for given in (tuple(LENGTHS), np.array(LENGTHS), [torch.tensor(n) for n in LENGTHS]):
        assert_equal(run(layer, x, lengths=given), want)


def test_lengths_in_any_order_give_the_outputs_in_that_order() -> None:
    layer, x = gru(bidirectional=True, num_layers=2), draw(7, 3, 2)
    want, want_final = layer(x, lengths=LENGTHS)
    for order in itertools.permutations(range(3)):
        got, final = layer(x[:, list(order)], lengths=[LENGTHS[b] for b in order])
        torch.testing.assert_close(got, want[:, list(order)], **CLOSE)
        torch.testing.assert_close(final.h, want_final.h[:, list(order)], **CLOSE)


def test_batch_first() -> None:
    layer, first = gru(bidirectional=True), gru(bidirectional=True, batch_first=True)
    x = draw(7, 3, 2)
    output, final = layer(x, lengths=LENGTHS)
    got, got_final = first(x.transpose(0, 1), lengths=LENGTHS)
    assert torch.equal(got, output.transpose(0, 1))
    assert torch.equal(got_final.h, final.h)


def test_one_sequence_without_a_batch() -> None:
    for layer in (gru(), gru(batch_first=True)):
        x = draw(7, 2)
        output, final = layer(x, lengths=[4])
        want, want_final = layer(x[:4])
        torch.testing.assert_close(output[:4], want, **CLOSE)
        torch.testing.assert_close(final.h, want_final.h, **CLOSE)
        assert torch.equal(output[4:], torch.zeros(3, 3, dtype=torch.float64))


@pytest.mark.parametrize("given", [torch.zeros(0, dtype=torch.int64), []], ids=["tensor", "list"])
def test_an_empty_batch_has_no_lengths(given: Tensor | list[int]) -> None:
    output, final = gru()(draw(7, 0, 2), lengths=given)
    assert output.shape == (7, 0, 3)
    assert final.h.shape == (1, 0, 3)


BAD: dict[str, tuple[Any, str]] = {
    "too long": ([3, 8, 7], r"lengths go from 3 to 8; the input has 7 steps, so expected 0 to 7"),
    "negative": ([3, -1, 7], r"lengths go from -1 to 7; .* expected 0 to 7"),
    "floating point": (
        [3.0, 1.0, 7.0],
        r"lengths is \[3\] of torch.float32; expected \[3\] whole numbers",
    ),
    "complex": (torch.zeros(3, dtype=torch.complex64), r"expected \[3\] whole numbers"),
    "bool": ([True, False, True], r"lengths is \[3\] of torch.bool; expected \[3\] whole numbers"),
    "too few": ([3, 7], r"lengths is \[2\] of torch.int64; expected \[3\]"),
    "too many": ([3, 7, 1, 1], r"lengths is \[4\] of torch.int64; expected \[3\]"),
    "none": ([], r"expected \[3\] whole numbers"),
    "one number": (7, r"lengths is \[\] of torch.int64; expected \[3\]"),
    "a column": ([[3], [0], [7]], r"lengths is \[3, 1\] of torch.int64; expected \[3\]"),
    "a mask": (torch.ones(7, 3, dtype=torch.bool), r"lengths is \[7, 3\] of torch.bool"),
    "texts": (["a", "b", "c"], r"expected \[3\] whole numbers"),
    "uneven": ([[1], [2, 3], [1]], r"expected \[3\] whole numbers"),
    "with nothing among them": ([3, None, 7], r"expected \[3\] whole numbers"),
}


@before_any_target
@pytest.mark.parametrize(("given", "says"), BAD.values(), ids=BAD)
def test_bad_lengths_are_refused(given: Any, says: str) -> None:
    with pytest.raises(ShapeError, match=says):
        gru()(draw(7, 3, 2), lengths=given)


def test_lengths_with_a_packed_sequence_are_refused() -> None:
    packed = pack_padded_sequence(draw(7, 3, 2), torch.tensor([7, 7, 7]))
    with pytest.raises(ShapeError, match="PackedSequence, which holds lengths of its own"):
        gru()(packed, lengths=[7, 7, 7])


@pytest.mark.parametrize("as_list", [False, True])
def test_lengths_and_resets_under_torch_func(as_list: bool) -> None:
    """Where the memory of a tensor cannot be reached."""
    layer = conveyor.GRU(2, 3, dtype=torch.float64)
    x = draw(5, 2, 2)
    own: dict[str, Tensor] = dict(layer.named_parameters())
    reset = torch.zeros(5, 2, dtype=torch.bool)
    reset[2, 1] = True
    lengths = [3, 5] if as_list else torch.tensor([3, 5])

    def loss(parameters: dict[str, Tensor]) -> Tensor:
        more = {"lengths": lengths, "reset": reset}
        total_of: Tensor = torch.func.functional_call(layer, parameters, (x,), more)[0].sum()
        return total_of

    of_func = torch.func.grad(loss)(own)
    of_autograd = torch.autograd.grad(loss(own), list(own.values()))
    torch.testing.assert_close(tuple(of_func.values()), of_autograd)
    both = torch.stack([x, 2 * x])
    of_vmap = torch.func.vmap(lambda one: layer(one, lengths=lengths, reset=reset)[0])(both)
    one_by_one = [layer(one, lengths=lengths, reset=reset)[0] for one in both]
    torch.testing.assert_close(of_vmap, torch.stack(one_by_one))
