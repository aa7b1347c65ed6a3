"""conveyor.RNN, LSTM and GRU stand in for torch.nn's: every argument, form of input and result."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence

import conveyor
from conveyor.errors import ShapeError
from tests.kinds import LONG, before_any_target, by_turns
from tests.layers.named import assert_equal, assert_same, draw, run

# Both libraries under the names that a user of either writes.
TORCH: Any = nn
OURS: Any = conveyor

# torch says once per process that oneDNN lacks projections.
pytestmark = [
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported:UserWarning"),
    pytest.mark.usefixtures("each_target"),
]

# Float64 results of both are rounded a few times per step: errors seen are below 1e-14 of the
# numbers' size, over at most 7 steps and sums of at most 2 · 17 products.
CLOSE: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-13}


@dataclass(frozen=True)
class Kind:
    """One layer of torch.nn, with what is said besides the options that all have."""

    layer: str
    more: dict[str, Any] = field(default_factory=dict)
    projected: bool = False

    def widths(self, hidden: int) -> tuple[int, ...]:
        """Of the states."""
        if self.layer != "LSTM":
            return (hidden,)
        return (self.projection(hidden) if self.projected else hidden, hidden)

    @staticmethod
    def projection(hidden: int) -> int:
        return hidden // 2 + 1

    def pair(self, reads: int, hidden: int, *, seed: int = 0, **options: Any) -> tuple[Any, Any]:
        """torch's layer and ours, each made from the same seed."""
        options = {"dtype": torch.float64, **self.more, **options}
        if self.projected:
            options["proj_size"] = self.projection(hidden)
        made = []
        for library in (TORCH, OURS):
            torch.manual_seed(seed)
            made.append(getattr(library, self.layer)(reads, hidden, **options))
        return made[0], made[1]

    def state(
        self, layer: Any, batch: int | None, dtype: torch.dtype = torch.float64
    ) -> Tensor | tuple[Tensor, ...]:
        """A start state, nowhere zero and nowhere equal; ``batch`` None: for one sequence."""
        rows = layer.num_layers * (2 if layer.bidirectional else 1)
        shapes = [
            (rows, width) if batch is None else (rows, batch, width)
            for width in self.widths(layer.hidden_size)
        ]
        drawn = tuple(
            draw(*shape, seed=7 + number, dtype=dtype) for number, shape in enumerate(shapes)
        )
        return drawn if len(drawn) > 1 else drawn[0]


KINDS = {
    "rnn-tanh": Kind("RNN"),
    "rnn-relu": Kind("RNN", {"nonlinearity": "relu"}),
    "lstm": Kind("LSTM"),
    "lstm-projected": Kind("LSTM", projected=True),
    "gru": Kind("GRU"),
}


def number_of(kind: Kind) -> int:
    """Return the number of a kind, by which it has its turn of what is shared out."""
    return list(KINDS.values()).index(kind)


# On the reference target a layer differs in its kernel alone: there one kind, in the short run.
ON_TARGETS = [
    (target, name)
    for target in (None, "reference")
    for name in KINDS
    if LONG or target is None or name == "lstm-projected"
]
every_kind = pytest.mark.parametrize(
    ("each_target", "kind"),
    [(target, KINDS[name]) for target, name in ON_TARGETS],
    ids=[f"{target or 'chosen'}-{name}" for target, name in ON_TARGETS],
    indirect=["each_target"],
)


# Features of the input and the output, and whether the batch comes first; steps and sequences. In
# the short run each number beside each other of its kind once, in the long run all combinations.
WIDTHS = (
    list(itertools.product((1, 5), (1, 4, 17), (False, True)))
    if LONG
    else [(1, 1, False), (5, 4, True), (1, 17, True), (5, 17, False)]
)
STEPS_AND_BATCHES = list(itertools.product((1, 2, 7), (1, 3))) if LONG else [(1, 1), (2, 3), (7, 3)]


@pytest.mark.parametrize("bidirectional", [False, True], ids=["", "bidirectional"])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
@every_kind
def test_results_and_every_gradient_are_torchs(
    kind: Kind, bias: bool, num_layers: int, bidirectional: bool
) -> None:
    options = {"bias": bias, "num_layers": num_layers, "bidirectional": bidirectional}
    turn = number_of(kind) + bias + num_layers + bidirectional
    rows = itertools.product(WIDTHS, STEPS_AND_BATCHES, (False, True))
    for (reads, hidden, batch_first), (steps, batch), with_state in by_turns(rows, turn, 3):
        if kind.projected and hidden == 1:
            continue  # torch wants a projection below the hidden size
        theirs, ours = kind.pair(reads, hidden, batch_first=batch_first, **options)
        x = draw(*((batch, steps) if batch_first else (steps, batch)), reads, seed=3)
        state = kind.state(ours, batch) if with_state else None
        assert_same(run(ours, x, state), run(theirs, x, state), **CLOSE)


@pytest.mark.parametrize("bidirectional", [False, True], ids=["", "bidirectional"])
@every_kind
def test_one_sequence_without_a_batch(kind: Kind, bidirectional: bool) -> None:
    for steps, batch_first, num_layers in itertools.product((1, 7), (False, True), (1, 2)):
        theirs, ours = kind.pair(
            5, 4, batch_first=batch_first, num_layers=num_layers, bidirectional=bidirectional
        )
        x = draw(steps, 5)
        for state in (None, kind.state(ours, None)):
            assert_same(run(ours, x, state), run(theirs, x, state), **CLOSE)


def packed(lengths: list[int], reads: int, *, enforce_sorted: bool) -> PackedSequence:
    sequences = [draw(length, reads, seed=length) for length in lengths]
    return pack_sequence(sequences, enforce_sorted=enforce_sorted)


PACKINGS = {
    "sorted": ([7, 4, 4, 1], True),
    "unsorted": ([4, 1, 7, 4], False),
    "one": ([3], True),
    "equal": ([2, 2], False),
}


@pytest.mark.parametrize("bidirectional", [False, True], ids=["", "bidirectional"])
@pytest.mark.parametrize(("lengths", "enforce_sorted"), PACKINGS.values(), ids=PACKINGS)
@every_kind
def test_packed_sequences(
    kind: Kind, lengths: list[int], enforce_sorted: bool, bidirectional: bool
) -> None:
    turn = number_of(kind) + list(PACKINGS.values()).index((lengths, enforce_sorted))
    rows = itertools.product((1, 2), (True, False), (False, True), (False, True))
    for num_layers, bias, batch_first, with_state in by_turns(rows, turn + bidirectional, 4):
        theirs, ours = kind.pair(
            5,
            4,
            num_layers=num_layers,
            bias=bias,
            batch_first=batch_first,
            bidirectional=bidirectional,
        )
        x = packed(lengths, 5, enforce_sorted=enforce_sorted)
        state = kind.state(ours, len(lengths)) if with_state else None
        assert_same(run(ours, x, state), run(theirs, x, state), **CLOSE)
        got, want = ours(x, state)[0], theirs(x, state)[0]
        assert isinstance(got, PackedSequence)
        for name in ("batch_sizes", "sorted_indices", "unsorted_indices"):
            mine, other = getattr(got, name), getattr(want, name)
            assert (mine is None) == (other is None), name
            assert mine is None or torch.equal(mine, other), name


# Rounding ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@every_kind
def test_rounding_is_at_most_twice_torchs(kind: Kind, dtype: torch.dtype) -> None:
    # The judge is torch.nn in float64 on the same, rounded numbers. Beside twice torch's error
    # stand 4 units in the last place of the largest number: the rounding of the result and of
    # the few operations before it, for the cases where torch's error happens to be 0.
    unit = torch.finfo(dtype).eps
    rows = itertools.product(
        (1, 2), (False, True), (True, False), ((1, 3, 5), (7, 3, 5), (2, 1, 5))
    )
    turn = number_of(kind) + (dtype == torch.bfloat16)
    for num_layers, bidirectional, bias, (steps, batch, reads) in by_turns(rows, turn, 3):
        theirs, ours = kind.pair(
            reads, 17, num_layers=num_layers, bidirectional=bidirectional, bias=bias
        )
        judge = kind.pair(reads, 17, num_layers=num_layers, bidirectional=bidirectional, bias=bias)
        theirs, ours = theirs.to(dtype), ours.to(dtype)
        judge[0].load_state_dict(theirs.state_dict())
        x, state = draw(steps, batch, reads).to(dtype), kind.state(ours, batch, dtype)
        wide = state.double() if isinstance(state, Tensor) else [each.double() for each in state]
        want = run(judge[0], x.double(), wide)
        torchs, got = run(theirs, x, state), run(ours, x, state)
        for name, right in want.items():
            assert got[name].dtype == dtype, name
            if dtype == torch.bfloat16 and kind.more and name.startswith("gradient"):
                continue  # relu's slope jumps at 0, and so rounding can turn a unit on or off
            error = (got[name].double() - right).abs().max()
            allowed = 2 * (torchs[name].double() - right).abs().max()
            allowed += 4 * unit * right.abs().max()
            assert error <= allowed, f"{name}: off by {error}, torch by less: {allowed} is allowed"


def test_half_precision_is_torchs_kind_of_result() -> None:
    layer = conveyor.GRU(2, 3, dtype=torch.float16)
    output, final = layer(draw(4, 1, 2, dtype=torch.float16))
    assert output.dtype == final.dtype == torch.float16
    # The final state is the last output, copied.
    torch.testing.assert_close(final[0], output[-1], rtol=0, atol=0)


# Arguments ---------------------------------------------------------------------------------------

ATTRIBUTES = [
    "mode",
    "input_size",
    "hidden_size",
    "num_layers",
    "bias",
    "batch_first",
    "dropout",
    "bidirectional",
    "proj_size",
]

# By position, in torch's order. torch.nn.RNN and GRU read a position more as proj_size.
POSITIONAL = {
    "RNN": (5, 4, 2, "relu", False, True, 0.25, True),
    "LSTM": (5, 4, 2, False, True, 0.25, True, 3, "cpu", torch.float64),
    "GRU": (5, 4, 2, False, True, 0.25, True),
}
KEYWORDS = {
    "RNN": "input_size hidden_size num_layers nonlinearity bias batch_first dropout bidirectional",
    "LSTM": "input_size hidden_size num_layers bias batch_first dropout bidirectional proj_size "
    "device dtype",
    "GRU": "input_size hidden_size num_layers bias batch_first dropout bidirectional",
}


def assert_same_layer(ours: Any, theirs: Any) -> None:
    for name in ATTRIBUTES:
        assert getattr(ours, name) == getattr(theirs, name), name
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert_equal(ours.state_dict(), theirs.state_dict())
    assert repr(ours) == repr(theirs)


@before_any_target
@pytest.mark.parametrize("count", range(2, 11))
@pytest.mark.parametrize("layer", POSITIONAL)
# With two arguments less than the layers, dropout has no place to act: torch says so.
@pytest.mark.filterwarnings("ignore:dropout option adds dropout:UserWarning")
def test_arguments_by_position_and_by_name(layer: str, count: int) -> None:
    positional = POSITIONAL[layer][:count]
    named = dict(zip(KEYWORDS[layer].split(), positional, strict=False))
    made = []
    for library in (TORCH, OURS):
        torch.manual_seed(2)
        made.append(getattr(library, layer)(*positional))
        torch.manual_seed(2)
        made.append(getattr(library, layer)(**named))
    theirs, theirs_named, ours, ours_named = made
    assert_same_layer(ours, theirs)
    assert_same_layer(ours_named, theirs_named)
    assert getattr(ours, "nonlinearity", "") == getattr(theirs, "nonlinearity", "")
    x = draw(2, 3, 5, dtype=ours.weight_ih_l0.dtype)
    for each in made:
        each.eval()
    # As in the rounding test: float32 of both, within a few units of rounding.
    close = {"rtol": 1e-5, "atol": 1e-6} if x.dtype == torch.float32 else CLOSE
    assert_same(run(ours, x), run(theirs, x), **close)


@pytest.mark.parametrize("layer", POSITIONAL)
def test_device_and_dtype(layer: str) -> None:
    made = getattr(OURS, layer)(5, 4, device="meta", dtype=torch.bfloat16)
    for name, each in made.named_parameters():
        assert (each.device.type, each.dtype) == ("meta", torch.bfloat16), name
    output, _ = made(torch.empty(2, 3, 5, device="meta", dtype=torch.bfloat16))
    assert (output.shape, output.device.type, output.dtype) == ((2, 3, 4), "meta", torch.bfloat16)


@every_kind
def test_names_both_biases_and_start_values_are_torchs(kind: Kind) -> None:
    for bias, bidirectional in itertools.product((True, False), (False, True)):
        theirs, ours = kind.pair(
            5, 4, num_layers=2, bias=bias, bidirectional=bidirectional, seed=5, dtype=None
        )
        assert_same_layer(ours, theirs)
        assert hasattr(ours, "bias_ih_l0") == hasattr(ours, "bias_hh_l0") == bias


@every_kind
def test_reset_parameters_draws_as_torch(kind: Kind) -> None:
    theirs, ours = kind.pair(5, 4)
    for each in (theirs, ours):
        torch.manual_seed(9)
        each.reset_parameters()
    assert_equal(ours.state_dict(), theirs.state_dict())


@every_kind
def test_checkpoints_go_both_ways(kind: Kind) -> None:
    theirs, ours = kind.pair(5, 4, num_layers=2, bidirectional=True)
    other_theirs, other_ours = kind.pair(5, 4, num_layers=2, bidirectional=True, seed=1)
    x = draw(3, 2, 5)
    other_ours.load_state_dict(theirs.state_dict(), strict=True)
    assert_same(run(other_ours, x), run(theirs, x), **CLOSE)
    other_theirs.load_state_dict(ours.state_dict(), strict=True)
    assert_same(run(other_theirs, x), run(ours, x), **CLOSE)


@every_kind
def test_the_layers_of_torch_as_attributes(kind: Kind) -> None:
    theirs, ours = kind.pair(5, 4, num_layers=2, bidirectional=True)
    ours.flatten_parameters()
    assert isinstance(ours, nn.RNNBase)
    for mine, other in zip(ours.all_weights, theirs.all_weights, strict=True):
        for a, b in zip(mine, other, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0)


@every_kind
def test_strides_are_torchs_so_that_view_works_where_it_did(kind: Kind) -> None:
    for batch_first, bidirectional in itertools.product((False, True), (False, True)):
        theirs, ours = kind.pair(
            5, 4, num_layers=2, batch_first=batch_first, bidirectional=bidirectional
        )
        for x in (draw(7, 3, 5), draw(7, 5)):
            got, want = run(ours, x), run(theirs, x)
            for name in (name for name in want if not name.startswith("gradient")):
                assert got[name].stride() == want[name].stride(), name


def _weight_norm(layer: nn.Module) -> None:
    parametrizations.weight_norm(layer, "weight_ih_l0")
    parametrizations.weight_norm(layer, "weight_hh_l0")


def _orthogonal(layer: nn.Module) -> None:
    parametrizations.orthogonal(layer, "weight_hh_l0")


def _prune(layer: nn.Module) -> None:
    prune.l1_unstructured(layer, "weight_ih_l0", amount=0.5)  # type: ignore[no-untyped-call]
    prune.l1_unstructured(layer, "weight_hh_l0", amount=0.5)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("change", [_weight_norm, _orthogonal, _prune])
@every_kind
def test_parametrised_and_pruned_weights(kind: Kind, change: Callable[[nn.Module], None]) -> None:
    theirs, ours = kind.pair(5, 4)
    for each in (theirs, ours):
        torch.manual_seed(0)
        change(each)
    x = draw(3, 2, 5)
    assert_same(run(ours, x), run(theirs, x), **CLOSE)


def test_a_parameter_that_is_replaced_is_used() -> None:
    layer = conveyor.GRU(5, 4, dtype=torch.float64)
    x = draw(3, 2, 5)
    before = layer(x)[0]
    layer.weight_hh_l0 = nn.Parameter(torch.zeros(12, 4, dtype=torch.float64))
    assert not torch.equal(layer(x)[0], before)


def test_an_output_may_be_changed_in_place_before_the_backward_pass() -> None:
    theirs, ours = KINDS["lstm"].pair(5, 4)
    found = []
    for layer in (theirs, ours):
        output, (h, c) = layer(draw(3, 2, 5))
        output.mul_(2)
        h.mul_(3)
        (output.sum() + h.sum() + c.sum()).backward()
        found.append({name: each.grad for name, each in layer.named_parameters()})
    assert_same(found[1], found[0], **CLOSE)


# Dropout -----------------------------------------------------------------------------------------


def _run_seeded(layer: nn.Module, x: Tensor | PackedSequence) -> dict[str, Tensor]:
    torch.manual_seed(13)
    return run(layer, x)


@pytest.mark.parametrize("probability", [0.0, 0.4, 1.0])
@every_kind
def test_dropout_draws_as_torch(kind: Kind, probability: float) -> None:
    turn = number_of(kind) + (probability == 0.4)
    for bidirectional, batch_first in by_turns(
        itertools.product((False, True), (False, True)), turn, 2
    ):
        theirs, ours = kind.pair(
            5,
            4,
            num_layers=3,
            dropout=probability,
            bidirectional=bidirectional,
            batch_first=batch_first,
        )
        for x in (draw(7, 3, 5), draw(7, 5)):
            assert_same(_run_seeded(ours, x), _run_seeded(theirs, x), **CLOSE)


@every_kind
def test_dropout_of_packed_sequences_draws_as_torch(kind: Kind) -> None:
    theirs, ours = kind.pair(5, 4, num_layers=2, dropout=0.4)
    x = packed([4, 1, 7, 4], 5, enforce_sorted=False)
    assert_same(_run_seeded(ours, x), _run_seeded(theirs, x), **CLOSE)


@every_kind
def test_no_dropout_in_eval_mode_nor_after_the_last_layer(kind: Kind) -> None:
    _, ours = kind.pair(5, 4, num_layers=2, dropout=0.9)
    _, without = kind.pair(5, 4, num_layers=2)
    x = draw(7, 3, 5)
    assert not torch.equal(ours(x)[0], without(x)[0])
    assert_equal(run(ours.eval(), x), run(without, x))
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last"):
        _, single = kind.pair(5, 4, dropout=0.9)
    assert (single(x)[0] != 0).all() or kind.more  # relu has zeros of its own


def test_dropout_of_one_lets_only_zeros_into_the_next_layer() -> None:
    layer = conveyor.LSTM(5, 4, num_layers=2, dropout=1.0, dtype=torch.float64)
    output, _ = layer(draw(7, 3, 5))
    other, _ = layer(draw(7, 3, 5, seed=1))
    torch.testing.assert_close(output, other, rtol=0, atol=0)


# Errors ------------------------------------------------------------------------------------------

Call = Callable[[Any], object]


def zeros(*shape: int) -> Tensor:
    return torch.zeros(*shape)


def error_of(call: Call, library: Any) -> Exception | None:
    try:
        call(library)
    except Exception as error:  # noqa: BLE001  (which class it is, is the question)
        return error
    return None


def _packed_zeros(*shape: int) -> PackedSequence:
    return pack_padded_sequence(zeros(*shape), torch.tensor([shape[0]] * shape[1]))


BAD_CALLS: dict[str, Call] = {
    "input 1D": lambda m: m.GRU(2, 3)(zeros(2)),
    "input 4D": lambda m: m.LSTM(2, 3)(zeros(4, 1, 1, 2)),
    "input 4D rnn": lambda m: m.RNN(2, 3)(zeros(4, 1, 1, 2)),
    "input 0D": lambda m: m.RNN(2, 3)(zeros()),
    "features": lambda m: m.GRU(2, 3)(zeros(4, 1, 3)),
    "features of lstm": lambda m: m.LSTM(2, 3)(zeros(4, 1, 3)),
    "features unbatched": lambda m: m.RNN(2, 3)(zeros(4, 3)),
    "features packed": lambda m: m.GRU(2, 3)(_packed_zeros(4, 2, 3)),
    "no features": lambda m: m.GRU(2, 3)(zeros(4, 1, 0)),
    "packed numbers": lambda m: m.GRU(2, 3)(_packed_zeros(4, 2)),
    "packed numbers, B = I = T": lambda m: m.GRU(2, 3)(_packed_zeros(2, 2)),
    "packed matrices": lambda m: m.GRU(2, 3)(_packed_zeros(4, 2, 1, 2)),
    "packed matrices, one": lambda m: m.RNN(2, 3)(_packed_zeros(4, 1, 1, 2)),
    "packed matrices, square": lambda m: m.RNN(2, 3)(_packed_zeros(2, 2, 2, 2)),
    "input of float64": lambda m: m.GRU(2, 3)(zeros(4, 1, 2).double()),
    "input of bfloat16": lambda m: m.LSTM(2, 3)(zeros(4, 1, 2).bfloat16()),
    "input of int64": lambda m: m.RNN(2, 3)(zeros(4, 1, 2).long()),
    "input of bool": lambda m: m.LSTM(2, 3)(zeros(4, 1, 2).bool()),
    "packed float64": lambda m: m.GRU(2, 3)(_packed_zeros(4, 2, 2).to(torch.float64)),
    "no input": lambda m: m.LSTM(2, 3)(),
    "unknown keyword": lambda m: m.GRU(2, 3)(zeros(4, 1, 2), h0=zeros(1, 1, 3)),
    "h0 3D, unbatched": lambda m: m.GRU(2, 3)(zeros(4, 2), zeros(1, 1, 3)),
    "h0 2D, batched": lambda m: m.GRU(2, 3)(zeros(4, 1, 2), zeros(1, 3)),
    "h0 1D": lambda m: m.RNN(2, 3)(zeros(4, 1, 2), zeros(3)),
    "h0 width": lambda m: m.GRU(2, 3)(zeros(4, 1, 2), zeros(1, 1, 4)),
    "h0 batch": lambda m: m.GRU(2, 3)(zeros(4, 2, 2), zeros(1, 3, 3)),
    "h0 batch of one": lambda m: m.RNN(2, 3)(zeros(4, 2, 2), zeros(1, 1, 3)),
    "h0 rows": lambda m: m.GRU(2, 3, num_layers=2)(zeros(4, 1, 2), zeros(1, 1, 3)),
    "h0 rows of directions": lambda m: m.RNN(2, 3, bidirectional=True)(
        zeros(4, 1, 2), zeros(1, 1, 3)
    ),
    "h0 batch_first": lambda m: m.GRU(2, 3, batch_first=True)(zeros(2, 4, 2), zeros(2, 1, 3)),
    "h0 of float64": lambda m: m.GRU(2, 3)(zeros(4, 1, 2), zeros(1, 1, 3).double()),
    "h0 width, unbatched": lambda m: m.GRU(2, 3)(zeros(4, 2), zeros(1, 4)),
    "h0 packed batch": lambda m: m.GRU(2, 3)(_packed_zeros(4, 2, 2), zeros(1, 3, 3)),
    "h0 packed 2D": lambda m: m.GRU(2, 3)(_packed_zeros(4, 2, 2), zeros(1, 3)),
    "lstm h0 3D, unbatched": lambda m: m.LSTM(2, 3)(zeros(4, 2), (zeros(1, 1, 3),) * 2),
    "lstm c0 2D, batched": lambda m: m.LSTM(2, 3)(zeros(4, 1, 2), (zeros(1, 1, 3), zeros(1, 3))),
    "lstm h0 2D, batched": lambda m: m.LSTM(2, 3)(zeros(4, 1, 2), (zeros(1, 3), zeros(1, 1, 3))),
    "c0 3D, unbatched": lambda m: m.LSTM(2, 3)(zeros(4, 2), (zeros(1, 3), zeros(1, 1, 3))),
    "c0 width": lambda m: m.LSTM(2, 3)(zeros(4, 1, 2), (zeros(1, 1, 3), zeros(1, 1, 4))),
    "c0 batch": lambda m: m.LSTM(2, 3)(zeros(4, 2, 2), (zeros(1, 2, 3), zeros(1, 1, 3))),
    "c0 rows": lambda m: m.LSTM(2, 3)(zeros(4, 1, 2), (zeros(1, 1, 3), zeros(2, 1, 3))),
    "c0 of float64": lambda m: m.LSTM(2, 3)(
        zeros(4, 1, 2), (zeros(1, 1, 3), zeros(1, 1, 3).double())
    ),
    "projected h0": lambda m: m.LSTM(2, 3, proj_size=2)(zeros(4, 1, 2), (zeros(1, 1, 3),) * 2),
    "projected c0": lambda m: m.LSTM(2, 3, proj_size=2)(zeros(4, 1, 2), (zeros(1, 1, 2),) * 2),
    "three states": lambda m: m.LSTM(2, 3)(zeros(4, 1, 2), (zeros(1, 1, 3),) * 3),
    "dropout below 0": lambda m: m.LSTM(2, 3, 2, dropout=-0.1),
    "dropout above 1": lambda m: m.GRU(2, 3, 2, dropout=1.1),
    "dropout nan": lambda m: m.RNN(2, 3, 2, dropout=float("nan")),
    "dropout bool": lambda m: m.RNN(2, 3, 2, dropout=True),
    "dropout text": lambda m: m.RNN(2, 3, 2, dropout="half"),
    "dropout None": lambda m: m.RNN(2, 3, 2, dropout=None),
    "hidden_size 0": lambda m: m.LSTM(2, 0),
    "hidden_size negative": lambda m: m.GRU(2, -3),
    "hidden_size float": lambda m: m.RNN(2, 3.0),
    "hidden_size None": lambda m: m.LSTM(2, None),
    "hidden_size missing": lambda m: m.GRU(2),
    "input_size 0": lambda m: m.GRU(0, 3),
    "input_size float": lambda m: m.LSTM(2.0, 3),
    "input_size text": lambda m: m.LSTM("2", 3),
    "num_layers 0": lambda m: m.RNN(2, 3, 0),
    "num_layers negative": lambda m: m.GRU(2, 3, -1),
    "num_layers float": lambda m: m.LSTM(2, 3, 2.0),
    "num_layers text": lambda m: m.LSTM(2, 3, "2"),
    "bias a number": lambda m: m.LSTM(2, 3, bias=1),
    "bias None": lambda m: m.GRU(2, 3, bias=None),
    "batch_first a number": lambda m: m.RNN(2, 3, batch_first=1),
    "proj_size negative": lambda m: m.LSTM(2, 3, proj_size=-1),
    "proj_size as wide": lambda m: m.LSTM(2, 3, proj_size=3),
    "proj_size text": lambda m: m.LSTM(2, 3, proj_size="2"),
    "proj_size None": lambda m: m.LSTM(2, 3, proj_size=None),
    "proj_size float": lambda m: m.LSTM(2, 3, proj_size=1.5),
    "proj_size negative, by position": lambda m: m.LSTM(2, 3, 1, True, False, 0.0, False, -1),
    "proj_size of gru": lambda m: m.GRU(2, 3, proj_size=2),
    "proj_size 0 of gru": lambda m: m.GRU(2, 3, proj_size=0),
    "proj_size of rnn": lambda m: m.RNN(2, 3, proj_size=2),
    "nonlinearity unknown": lambda m: m.RNN(2, 3, nonlinearity="sigmoid"),
    "nonlinearity None": lambda m: m.RNN(2, 3, nonlinearity=None),
    "nonlinearity in capitals": lambda m: m.RNN(2, 3, nonlinearity="Tanh"),
    "nonlinearity by position": lambda m: m.RNN(2, 3, 1, "sin"),
    "nonlinearity a flag by position": lambda m: m.RNN(2, 3, 1, True),
    "nonlinearity twice": lambda m: m.RNN(2, 3, 1, "tanh", nonlinearity="tanh"),
    "nonlinearity of gru": lambda m: m.GRU(2, 3, nonlinearity="tanh"),
    "unknown argument": lambda m: m.LSTM(2, 3, layers=2),
    "hidden_size twice": lambda m: m.LSTM(2, 3, hidden_size=3),
    "dtype text": lambda m: m.LSTM(2, 3, dtype="float32"),
    "dtype int": lambda m: m.GRU(2, 3, dtype=torch.int64),
    "device unknown": lambda m: m.GRU(2, 3, device="nowhere"),
}


@before_any_target
@pytest.mark.parametrize("call", BAD_CALLS.values(), ids=BAD_CALLS)
def test_errors_are_of_torchs_classes(call: Call) -> None:
    theirs, ours = error_of(call, TORCH), error_of(call, OURS)
    assert theirs is not None, "torch accepts this: it is no bad call"
    assert isinstance(ours, type(theirs)), f"torch: {theirs!r}; conveyor: {ours!r}"


# Here torch fails by accident, with an AttributeError or the like of its own inside.
BY_ACCIDENT: dict[str, tuple[Call, str]] = {
    "input a list": (
        lambda m: m.GRU(2, 3)([[[1.0, 2.0]]]),
        "input is a list; expected a tensor",
    ),
    "no input at all": (lambda m: m.LSTM(2, 3)(None), "input is a NoneType; expected a tensor"),
    "a state that is a number": (
        lambda m: m.LSTM(2, 3)(zeros(4, 1, 2), 5),
        "hx is a int; LSTM needs the tensors h, c",
    ),
    "a pair for gru": (
        lambda m: m.GRU(2, 3)(zeros(4, 1, 2), (zeros(1, 1, 3),) * 2),
        r"hx is a tuple of \(Tensor, Tensor\); GRU needs the tensors h",
    ),
    "one tensor for lstm": (
        lambda m: m.LSTM(2, 3)(zeros(4, 1, 2), zeros(1, 1, 3)),
        "hx is a Tensor; LSTM needs the tensors h, c",
    ),
    "stacked states": (
        lambda m: m.LSTM(2, 3)(zeros(4, 1, 2), zeros(2, 1, 1, 3)),
        "hx is a Tensor; LSTM needs the tensors h, c",
    ),
    "one state in a tuple": (
        lambda m: m.LSTM(2, 3)(zeros(4, 1, 2), (zeros(1, 1, 3),)),
        r"hx is a tuple of \(Tensor\); LSTM needs the tensors h, c",
    ),
    "nothing in a tuple": (
        lambda m: m.LSTM(2, 3)(zeros(4, 1, 2), (None, None)),
        r"hx is a tuple of \(NoneType, NoneType\); LSTM needs the tensors h, c",
    ),
}


@pytest.mark.parametrize(("call", "says"), BY_ACCIDENT.values(), ids=BY_ACCIDENT)
def test_what_breaks_torch_inside_raises_an_error_of_ours(call: Call, says: str) -> None:
    assert error_of(call, TORCH) is not None
    with pytest.raises(ShapeError, match=says):
        call(OURS)


def test_an_empty_batch_is_as_in_torch() -> None:
    for kind in KINDS.values():
        theirs, ours = kind.pair(5, 4, num_layers=2, bidirectional=True)
        x = draw(3, 0, 5)
        assert_equal(run(ours, x), run(theirs, x))
        assert_equal(run(ours, x, kind.state(ours, 0)), run(theirs, x, kind.state(theirs, 0)))


@every_kind
def test_the_keywords_that_torch_lacks(kind: Kind) -> None:
    _, ours = kind.pair(5, 4)
    x = draw(7, 3, 5)
    plain = run(ours, x)
    everything = run(
        ours, x, lengths=[7, 7, 7], reset=torch.zeros(7, 3, dtype=torch.bool), trace=False
    )
    assert_same(everything, plain, **CLOSE)
    _, _, trace = ours(x, trace=True)
    # The trace is what the output was made of: the same bits.
    torch.testing.assert_close(trace["h"], plain["output"], rtol=0, atol=0)
