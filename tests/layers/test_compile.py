"""Layers inside torch.compile and torch.export: one operator for each layer and direction, the
numbers of a layer that is not compiled, bit for bit."""

import copy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.library import opcheck
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import pack_sequence

import conveyor
from conveyor.cells import Bias, Cell, Input, Matrix, State, Value, cell, sigmoid, tanh
from conveyor.compiler.program_json import dumps
from conveyor.errors import ProgramError, SettingError, ShapeError
from conveyor.kernels.pieces import Parameters
from conveyor.layers.operator import MADE_BY, encoded
from tests.kernels.odd_cells import ODD
from tests.kinds import LONG
from tests.layers.named import assert_equal, draw, run

# torch's warnings of its own doings, where it compiles and where it exports.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec:FutureWarning"),
]


@pytest.fixture(autouse=True)
def fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def of_odd_cell(name: str, **options: Any) -> conveyor.Recurrent:
    odd, sizes = ODD[name]
    return conveyor.Recurrent(odd, 3, 5, sizes=sizes, dtype=torch.float64, **options)


LAYERS: dict[str, Callable[[], Any]] = {
    "LSTM": lambda: conveyor.LSTM(3, 5, 2, bidirectional=True, dtype=torch.float64),
    "LSTM projected": lambda: conveyor.LSTM(3, 5, proj_size=2, dtype=torch.float64),
    "GRU": lambda: conveyor.GRU(3, 5, batch_first=True, bias=False, dtype=torch.float64),
    "RNN": lambda: conveyor.RNN(3, 5, nonlinearity="relu", dtype=torch.float64),
    "Recurrent": lambda: conveyor.Recurrent(
        "lstm", 3, 5, 2, bidirectional=True, batch_first=True, dtype=torch.float64
    ),
    "normalised": lambda: of_odd_cell("normalised", bidirectional=True),
    "read_out": lambda: of_odd_cell("read_out", num_layers=2),
    "without parameters": lambda: of_odd_cell("leak"),
    "learned_output": lambda: of_odd_cell("learned_output"),
}


def on_layers(*names: str) -> pytest.MarkDecorator:
    """Run a test on these layers, as ``make``; in the long run on all. Each is compiled by torch
    anew, which takes about a second."""
    layers = LAYERS if LONG else {name: LAYERS[name] for name in names}
    return pytest.mark.parametrize("make", layers.values(), ids=layers)


X = draw(7, 4, 3)  # with batch_first, four steps of seven sequences


def make_state(layer: Any, batch: int) -> Any:
    """A start state, random."""
    zeros = layer.start(batch)
    if isinstance(zeros, Tensor):
        return draw(*zeros.shape, seed=1)
    return tuple(draw(*each.shape, seed=number) for number, each in enumerate(zeros))


def compiled(layer: Any, **options: Any) -> Any:
    """A copy that is compiled as a whole: any graph break is an error."""
    other = copy.deepcopy(layer)
    other.compile(fullgraph=True, backend="aot_eager", **options)
    return other


class Counting:
    """A backend that keeps the graphs it was given."""

    def __init__(self) -> None:
        self.graphs: list[torch.fx.GraphModule] = []

    def __call__(self, graph: torch.fx.GraphModule, _: list[Tensor]) -> Callable[..., Any]:
        self.graphs.append(graph)
        return graph.forward

    def operators(self) -> int:
        """How often the operator stands in the last graph."""
        nodes = self.graphs[-1].graph.nodes
        return sum(node.target is torch.ops.conveyor.unroll for node in nodes)


# Values and gradients -----------------------------------------------------------------------------


@on_layers("LSTM")
def test_the_same_numbers_and_gradients(make: Callable[[], Any]) -> None:
    layer = make()
    batch = X.shape[0] if layer.batch_first else X.shape[1]
    fast = compiled(layer)
    assert_equal(run(fast, X), run(layer, X))
    state = make_state(layer, batch)
    assert_equal(run(fast, X, state), run(layer, X, state))


@on_layers("Recurrent")
def test_the_same_with_lengths_and_resets(make: Callable[[], Any]) -> None:
    layer = make()
    steps, batch = X.shape[:2][::-1] if layer.batch_first else X.shape[:2]
    lengths = torch.tensor([steps, 0, 2, 1, 3, steps, 2])[:batch]
    reset = torch.zeros(X.shape[:2], dtype=torch.bool)
    reset[1, 2] = reset[2, 3] = reset[0, 0] = True
    fast, state = compiled(layer), make_state(layer, batch)
    for given in ({"lengths": lengths}, {"lengths": lengths, "reset": reset}, {"reset": reset}):
        assert_equal(run(fast, X, state, **given), run(layer, X, state, **given))
    given = {"lengths": lengths, "reset": reset}
    assert_equal(run(fast, X, **given), run(layer, X, **given))


def test_batches_without_rows_or_padding() -> None:
    layer = conveyor.LSTM(3, 5, bidirectional=True, dtype=torch.float64)
    fast, state = compiled(layer), make_state(layer, 4)
    for lengths in ([0] * 4, [7] * 4):
        assert_equal(run(fast, X, state, lengths=lengths), run(layer, X, state, lengths=lengths))
    none = draw(7, 0, 3)
    assert_equal(run(fast, none), run(layer, none))


@on_layers("LSTM projected")
def test_one_sequence_without_a_batch(make: Callable[[], Any]) -> None:
    layer = make()
    zeros = layer.start(1)
    states = (zeros,) if isinstance(zeros, Tensor) else zeros
    drawn = tuple(draw(*each[:, 0].shape, seed=number) for number, each in enumerate(states))
    state = drawn[0] if isinstance(zeros, Tensor) else drawn
    assert_equal(run(compiled(layer), X[:, 0], state), run(layer, X[:, 0], state))


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64] if LONG else [torch.float32], ids=str
)
def test_states_are_what_the_layer_gives(dtype: torch.dtype) -> None:
    layer = conveyor.Recurrent("lstm", 3, 5, dtype=dtype)
    _, state = compiled(layer)(X.to(dtype))
    assert type(state) is type(layer.start())
    assert state.h.dtype == dtype


def test_dropout_draws_the_same_numbers() -> None:
    layer = conveyor.LSTM(3, 5, 3, dropout=0.5, dtype=torch.float64)
    fast = compiled(layer)
    found = []
    for each in (fast, layer):
        torch.manual_seed(0)
        found.append(run(each, X))
    assert_equal(*found)
    assert_equal(run(fast.eval(), X), run(layer.eval(), X))
    assert not torch.equal(found[0]["output"], run(layer, X)["output"])


def test_traces() -> None:
    layer = LAYERS["Recurrent"]()
    lengths = torch.tensor([4, 0, 2, 1, 3, 4, 2])
    found = []
    for each in (compiled(layer), layer):
        *_, trace = each(X, lengths=lengths, trace=True)
        one = trace.at(1, reverse=True)
        (gradient,) = torch.autograd.grad(one["c"].sum(), each.l0.W.f, retain_graph=True)
        places = [(number, reverse) for number in (0, 1) for reverse in (False, True)]
        values = [trace.at(number, reverse=reverse) for number, reverse in places]
        named = {f"{place}: {n}": v for place, t in enumerate(values) for n, v in t.items()}
        found.append({**named, "gradient": gradient})
    assert_equal(*found)


@pytest.mark.parametrize("name", ["LSTM projected", "GRU", "read_out"] if LONG else ["read_out"])
def test_steps(name: str) -> None:
    layer = LAYERS[name]()
    step: Any = torch.compile(layer.step, fullgraph=True, backend="aot_eager")
    for x, state in ((X[0], None), (X[0], layer.start(4)), (X[0, 0], None)):
        got, want = step(x, state), layer.step(x, state)
        torch.testing.assert_close(got, want, rtol=0, atol=0)
        assert type(got[1]) is type(want[1])


class _Doubled(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight * 2


def test_a_parametrised_weight() -> None:
    layer: Any = conveyor.Recurrent("gru", 3, 5, dtype=torch.float64)
    parametrize.register_parametrization(layer.l0.W, "z", _Doubled())
    assert_equal(run(compiled(layer), X), run(layer, X))


def test_parameters_that_are_given_in_the_call() -> None:
    layer = conveyor.LSTM(3, 5, dtype=torch.float64)
    doubled = {name: 2 * each.detach() for name, each in layer.named_parameters()}

    def call(parameters: dict[str, Tensor], x: Tensor) -> Any:
        return torch.func.functional_call(layer, parameters, (x,))[0]

    got = torch.compile(call, fullgraph=True, backend="aot_eager")(doubled, X)
    assert torch.equal(got, call(doubled, X))
    assert not torch.equal(got, layer(X)[0])


def test_without_gradients() -> None:
    layer = conveyor.GRU(3, 5, dtype=torch.float64)
    fast = compiled(layer)
    with torch.no_grad():
        assert torch.equal(fast(X)[0], layer(X)[0])
    with torch.inference_mode():
        assert torch.equal(fast(X)[0], layer(X)[0])


# Graphs -------------------------------------------------------------------------------------------


def test_one_operator_per_layer_and_direction_whatever_the_length() -> None:
    layer = conveyor.LSTM(3, 5, 2, bidirectional=True, dtype=torch.float64)
    sizes = []
    for steps in (5, 500):
        backend = Counting()
        torch._dynamo.reset()
        torch.compile(layer, fullgraph=True, backend=backend)(draw(steps, 4, 3))
        assert backend.operators() == 4
        sizes.append(len(backend.graphs[-1].graph.nodes))
    assert sizes[0] == sizes[1]


def test_other_lengths_and_batches_are_not_compiled_again() -> None:
    layer = conveyor.Recurrent("gru", 3, 5, dtype=torch.float64)
    backend = Counting()
    fast = torch.compile(layer, fullgraph=True, backend=backend, dynamic=True)
    for steps, batch in ((6, 8), (9, 4), (25, 7), (400, 2)):
        x, lengths = draw(steps, batch, 3), torch.arange(batch) % steps
        for given in ({}, {"lengths": lengths}):
            assert torch.equal(fast(x, **given)[0], layer(x, **given)[0])
    assert len(backend.graphs) == 2  # without and with lengths


def test_layers_of_one_shape_share_what_is_compiled() -> None:
    backend = Counting()
    for _ in range(10):  # more than torch would compile one function for
        layer = conveyor.LSTM(3, 5, dtype=torch.float64)
        fast = torch.compile(layer, fullgraph=True, backend=backend)
        state = make_state(layer, 4)
        assert torch.equal(fast(X, state)[0], layer(X, state)[0])
    assert len(backend.graphs) == 1


def other_cell(name: str) -> Cell:
    """Two cells that share a name, and differ."""

    @cell
    def same(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
        a = W @ x + U @ h + b
        h = tanh(a) if name == "tanh" else sigmoid(a)
        return h  # noqa: RET504  (as equations are written)

    return same


def test_cells_of_one_name_are_not_mistaken_for_each_other() -> None:
    backend = Counting()
    for name in ("tanh", "sigmoid"):
        layer = conveyor.Recurrent(other_cell(name), 3, 5, dtype=torch.float64)
        fast = torch.compile(layer, fullgraph=True, backend=backend)
        assert torch.equal(fast(X)[0], layer(X)[0])
    assert len(backend.graphs) == 2


def test_other_targets_and_packed_input_run_as_they_are() -> None:
    layer = conveyor.LSTM(3, 5, dtype=torch.float64)
    fast = torch.compile(layer, backend="aot_eager")
    packed = pack_sequence([draw(2, 3), draw(5, 3)], enforce_sorted=False)
    assert torch.equal(fast(packed)[0].data, layer(packed)[0].data)
    backend = Counting()
    with conveyor.use_target("reference"):
        fast = torch.compile(layer, backend=backend)
        assert torch.equal(fast(X)[0], layer(X)[0])
        step = torch.compile(layer.step, backend=backend)
        assert torch.equal(step(X[0])[0], layer.step(X[0])[0])
    low = conveyor.GRU(3, 5, dtype=torch.bfloat16)
    torch.compile(low, backend=backend)(X.bfloat16())
    assert not backend.graphs


# Errors -------------------------------------------------------------------------------------------


WRONG: dict[str, Callable[[Any], Any]] = {
    "features": lambda layer: layer(draw(7, 4, 2)),
    "dimensions": lambda layer: layer(draw(7)),
    "type": lambda layer: layer(X.float()),
    "state": lambda layer: layer(X, (draw(1, 4, 6), draw(1, 4, 5))),
    "one state": lambda layer: layer(X, draw(1, 4, 5)),
    "lengths in words": lambda layer: layer(X, lengths=["one"] * 4),
    "lengths of a type": lambda layer: layer(X, lengths=torch.ones(4)),
    "too few lengths": lambda layer: layer(X, lengths=torch.ones(3, dtype=torch.int64)),
    "too long": lambda layer: layer(X, lengths=torch.full((4,), 8)),
    "reset": lambda layer: layer(X, reset=torch.ones(4, 7, dtype=torch.bool)),
}


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused(call: Callable[[Any], Any]) -> None:
    layer = conveyor.LSTM(3, 5, dtype=torch.float64)
    with pytest.raises(ShapeError) as want:
        call(layer)
    with pytest.raises(ShapeError) as got:
        call(torch.compile(layer, backend="aot_eager"))
    assert str(got.value) == str(want.value)
    # With fullgraph it is torch's error, with our words in it; numbers are seen when running.
    with pytest.raises((ShapeError, torch._dynamo.exc.Unsupported)) as whole:
        call(compiled(layer))
    assert str(want.value).replace("\n", " ")[:40] in str(whole.value)


def test_steps_of_a_bidirectional_layer_are_refused() -> None:
    layer = conveyor.GRU(3, 5, bidirectional=True, dtype=torch.float64)
    with pytest.raises(SettingError, match="step by step"):
        torch.compile(layer.step, backend="aot_eager")(X[0])


def test_second_gradients_are_refused() -> None:
    layer = conveyor.GRU(3, 5, dtype=torch.float64)
    x = X.clone().requires_grad_()
    (first,) = torch.autograd.grad(compiled(layer)(x)[0].sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="double backward"):
        torch.autograd.backward(first.sum())
    output = torch.export.export(layer, (x,)).module()(x)[0]
    with pytest.raises(NotImplementedError, match="second gradients"):
        torch.autograd.grad(output.sum(), x, create_graph=True)


# Export -------------------------------------------------------------------------------------------


class Model(nn.Module):
    """Takes lengths and resets by place, so that they are inputs of the program."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, state: Any, lengths: Tensor, reset: Tensor) -> Any:
        return self.layer(x, state, lengths=lengths, reset=reset)


def exported(model: nn.Module, *, strict: bool) -> ExportedProgram:
    """With any number of steps and sequences."""
    steps, batch = Dim("steps", min=1), Dim("batch", min=1)
    reset = torch.zeros(7, 4, dtype=torch.bool)
    given = (X, make_state(model.layer, 4), torch.tensor([7, 0, 3, 5]), reset)
    states = {1: batch} if isinstance(given[1], Tensor) else ({1: batch},) * len(given[1])
    shapes = ({0: steps, 1: batch}, states, {0: batch}, {0: steps, 1: batch})
    return torch.export.export(model, given, dynamic_shapes=shapes, strict=strict)


EXPORTED = [(name, strict) for name in ("LSTM", "RNN", "read_out") for strict in (False, True)]


@pytest.mark.parametrize(("name", "strict"), EXPORTED if LONG else [("LSTM", True)])
def test_an_exported_program_of_any_length(name: str, strict: bool) -> None:
    model = Model(LAYERS[name]())
    program = exported(model, strict=strict)
    nodes = [n for n in program.graph.nodes if n.target is torch.ops.conveyor.unroll.default]
    assert len(nodes) == (4 if name == "LSTM" else 2 if name == "read_out" else 1)
    x, lengths, state = draw(12, 3, 3), torch.tensor([12, 1, 9]), make_state(model.layer, 3)
    reset = torch.zeros(12, 3, dtype=torch.bool)
    reset[5, 2] = True
    for each in (program, program.run_decompositions()):
        got, want = each.module()(x, state, lengths, reset), model(x, state, lengths, reset)
        torch.testing.assert_close(got, want, rtol=0, atol=0)


def test_an_exported_program_can_be_trained_on() -> None:
    layer = LAYERS["GRU"]()
    program = torch.export.export(layer, (X, None)).module()
    assert_equal(run(program, X), run(layer, X))


SCRIPT = """
import sys, torch, conveyor
torch.set_num_threads(1)
assert "conveyor.layers.compiled" not in sys.modules
stored = torch.load("numbers.pt", weights_only=True)
for name in ("Recurrent", "own"):
    program = torch.export.load(name + ".pt2").module()
    output, state = program(stored["x"])
    assert torch.equal(output, stored[name]), name
assert type(state) is tuple or state._fields == ("h",)
print("the same")
"""


@cell
def own(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    """A user's own cell, that no other process knows."""
    h = tanh(W @ x + 0.5 * (U @ h) + b)
    return h  # noqa: RET504  (as equations are written)


def test_a_saved_program_runs_where_only_conveyor_is_imported(tmp_path: Path) -> None:
    layers = {"Recurrent": LAYERS["Recurrent"](), "own": conveyor.Recurrent(own, 3, 5)}
    stored = {"x": X.float()}
    for name, layer in layers.items():
        layer.float()
        program = torch.export.export(layer, (stored["x"],))
        torch.export.save(program, tmp_path / f"{name}.pt2")
        stored[name] = layer(stored["x"])[0].detach()
    torch.save(stored, tmp_path / "numbers.pt")
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::FutureWarning", "-c", SCRIPT],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "the same"


# The operators ------------------------------------------------------------------------------------


def arguments(*, observe: bool = False, ragged: bool = False) -> list[Any]:
    """Of ``conveyor::unroll``, for an LSTM with a start state."""
    layer = conveyor.LSTM(3, 5, dtype=torch.float64)
    own: Parameters = layer._stack_parameters()[0][0]
    program = layer.plan.program
    lengths = torch.tensor([7, 0, 3, 5]) if ragged else None
    reset = torch.zeros(7, 4, dtype=torch.bool) if ragged else None
    if reset is not None:
        reset[1, 2] = True
    return [
        [X.clone().requires_grad_()],
        [each[0].requires_grad_() for each in make_state(layer, 4)],
        list(own.tensors),
        lengths,
        reset,
        dumps(program),
        list(encoded(own, program)),
        [5, 5],
        False,
        observe,
        MADE_BY,
    ]


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("observe", [False, True])
def test_torchs_checks_of_operators(observe: bool, ragged: bool) -> None:
    given = arguments(observe=observe, ragged=ragged)
    opcheck(torch.ops.conveyor.unroll.default, tuple(given))
    with torch.no_grad():
        results = torch.ops.conveyor.unroll(*given, True)
    given[0], given[1], given[2] = (
        [each.detach() for each in given[0]],
        [each.detach() for each in given[1]],
        [each.detach() for each in given[2]],
    )
    gradients: list[Tensor | None] = [torch.ones_like(each) for each in results[:-1]]
    gradients[1] = None
    needed = [True, False, True, True, True, True, False]
    back = (*given, gradients, results[-1:], needed)
    opcheck(torch.ops.conveyor.unroll_backward.default, back)


def changed(place: int, value: Any) -> list[Any]:
    """The arguments but for one."""
    given = arguments()
    given[place] = value(given[place]) if callable(value) else value
    return given


TOO_MANY = 1 << 40

# By what is wrong with it. Most would read or write memory of others if they were believed.
HOSTILE: dict[str, tuple[int, Any]] = {
    "no JSON": (5, "import os"),
    "no program": (5, '{"format": 1}'),
    "deep": (5, "[" * 100_000),
    "an operation that does not exist": (5, lambda text: text.replace('"tanh"', '"system"')),
    "a name that is not defined": (5, lambda text: text.replace("W.f", "W.q", 1)),
    "rows that are not there": (6, lambda pieces: [*pieces[:2], TOO_MANY, *pieces[3:]]),
    "rows before the first": (6, lambda pieces: [*pieces[:2], -5, *pieces[3:]]),
    "too many rows": (6, lambda pieces: [*pieces[:3], 6, *pieces[4:]]),
    "no rows": (6, lambda pieces: [*pieces[:3], 0, *pieces[4:]]),
    "a tensor that is not there": (6, lambda pieces: [pieces[0], 9, *pieces[2:]]),
    "a parameter that is not there": (6, lambda pieces: [99, *pieces[1:]]),
    "a parameter twice": (6, lambda pieces: [*pieces[:4], *pieces]),
    "a parameter left out": (6, lambda pieces: pieces[4:]),
    "half a piece": (6, lambda pieces: pieces[:-1]),
    "a wider state": (7, [5, TOO_MANY]),
    "a state more": (7, [5, 5, 5]),
    "other features": (0, [draw(7, 4, 2)]),
    "other dimensions": (0, [draw(7, 3)]),
    "another type": (0, [X.float()]),
    "a type of no numbers": (0, [X.bfloat16()]),
    "no input": (0, []),
    "an input more": (0, [X, X]),
    "an input of other steps": (0, [X, X[:2]]),
    "a shorter state": (1, [draw(3, 5), draw(3, 5)]),
    "one state": (1, [draw(4, 5)]),
    "short weights": (2, lambda stored: [each[:9] for each in stored]),
    "narrow weights": (
        2,
        lambda stored: [each[:, :1] if each.dim() > 1 else each for each in stored],
    ),
    "long sequences": (3, torch.tensor([8, 1, 1, 1])),
    "lengths of others": (3, torch.tensor([1])),
    "resets of others": (4, torch.ones(9, 4, dtype=torch.bool)),
}


@pytest.mark.parametrize(("place", "value"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_hostile_is_refused(place: int, value: Any) -> None:
    with pytest.raises((ShapeError, ProgramError)):
        torch.ops.conveyor.unroll(*changed(place, value))


def test_hostile_gradients_are_refused() -> None:
    with torch.no_grad():
        given = arguments()
        *gradients, kept = torch.ops.conveyor.unroll(*given, True)
        needed = [True] * 7
        back = torch.ops.conveyor.unroll_backward
        assert len(back(*given, gradients, [kept], needed)) == 7
        for wrong in (
            (gradients, [], needed),
            (gradients, [kept[:-1]], needed),
            (gradients, [kept[:, :-1]], needed),
            (gradients, [kept.float()], needed),
            (gradients[:-1], [kept], needed),
            ([each[:-1] for each in gradients], [kept], needed),
            ([each.float() for each in gradients], [kept], needed),
        ):
            with pytest.raises(ShapeError):
                back(*given, *wrong)
        with pytest.raises(ValueError, match="zip"):
            back(*given, gradients, [kept], needed[:-1])


def test_parameters_that_no_gradient_is_wanted_of() -> None:
    layer: Any = conveyor.LSTM(3, 5, dtype=torch.float64)
    layer.weight_hh_l0.requires_grad_(False)
    fast = compiled(layer)
    for each in (layer, fast):
        each(X)[0].sum().backward()
        assert each.weight_hh_l0.grad is None
    assert torch.equal(layer.weight_ih_l0.grad, fast.weight_ih_l0.grad)


# With torch's own code generator ------------------------------------------------------------------


@pytest.mark.skipif(
    not (shutil.which("g++") or shutil.which("clang++")),
    reason="torch's code generator for CPUs needs a compiler of C++, which is not here",
)
def test_compiled_by_inductor() -> None:
    layer = conveyor.LSTM(3, 5, dtype=torch.float64)
    model = nn.Sequential(layer)
    fast = torch.compile(model, fullgraph=True)
    got = torch.autograd.grad(fast(X)[0].sum(), list(model.parameters()))
    want = torch.autograd.grad(model(X)[0].sum(), list(model.parameters()))
    for one, other in zip(got, want, strict=True):
        assert torch.equal(one, other)


def test_one_compiled_function_for_tied_and_other_layers() -> None:
    """What is shared in one layer is not in the other, though they are alike in all else."""

    def run(layer: Any, x: Tensor) -> Tensor:
        output: Tensor = layer(x)[0]
        return output

    compiled = torch.compile(run, backend="aot_eager")
    x = torch.randn(5, 2, 4)
    for tied in (True, False, True):
        layer = conveyor.Recurrent("gru", 4, 4, num_layers=2, tied=tied)
        torch.testing.assert_close(compiled(layer, x), layer(x)[0])
