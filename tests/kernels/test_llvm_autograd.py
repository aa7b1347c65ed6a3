# ruff: noqa: PLR0917, RET504  (a cell's letters are its arguments; h = ...; return h)
"""Machine code under torch: any layout, any gradient, parameters stored in any way."""

import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import conveyor
from conveyor.cells import Input, Matrix, State, Value, cell, tanh
from conveyor.compiler.plan import plan
from conveyor.compiler.trace import trace
from conveyor.kernels.kernel import InitialState
from conveyor.kernels.llvm.llvm_kernel import LlvmKernel
from conveyor.kernels.pieces import Parameters, Piece
from conveyor.kernels.reference import ReferenceKernel
from conveyor.kernels.steps import Steps
from tests.kernels.agreement import (
    Judged,
    Problem,
    everything,
    named_results,
    problem,
)
from tests.kernels.llvm_cases import CLOSE, ROOT, every_kind, kernels, small
from tests.kernels.programs import PROGRAMS
from tests.layers.named import Named, assert_equal, assert_same, draw, gradients, leaf, loss_of
from tests.warm_python import run_script


def strided(values: Tensor) -> Tensor:
    """The same numbers with others between them."""
    room = values.new_full((*values.shape, 2), float("nan"))
    room[..., 0] = values
    return room[..., 0]


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "every other number": strided,
    "transposed": lambda values: values.mT.contiguous().mT,
    "expanded": lambda values: values[:1].expand_as(values),
    "a slice": lambda values: torch.cat([values, values], -1)[..., values.shape[-1] :],
    "negated lazily": lambda values: torch._neg_view(-values),
    "a conjugate's imaginary part": lambda values: torch.complex(values, -values).conj().imag,
}


@pytest.mark.parametrize("change", LAYOUTS.values(), ids=LAYOUTS)
def test_tensors_of_any_layout(change: Callable[[Tensor], Tensor]) -> None:
    """Inputs, states, parameters and gradients from above."""
    given = small("lstm_projected", 5, Steps(4, 3))
    kernel = LlvmKernel(plan(given.program), torch.float64)
    judge = ReferenceKernel(kernel.plan)

    def of(name: str, each: Tensor) -> Tensor:
        # A stack of rows makes no sense expanded along its units, but a bias has no rows.
        return each if each.dim() < 2 else change(each)

    def results(kernel: Any) -> Named:
        sources = {name: leaf(each) for name, each in given.sources().items()}
        changed = {name: of(name, each) for name, each in sources.items()}
        found = named_results(given.at(changed).run(kernel))
        upstream = [change(draw(*each.shape, seed=7)) for each in found.values()]
        back = torch.autograd.grad(list(found.values()), list(sources.values()), upstream)
        return {
            **{name: each.detach() for name, each in found.items()},
            **dict(zip(sources, back, strict=True)),
        }

    assert_same(results(kernel), results(judge), **CLOSE)


def test_names_in_any_order() -> None:
    """States, inputs and parameters come by name, however a mapping orders them."""
    given = small("lstm", 5)
    want = named_results(given.run(LlvmKernel(plan(given.program), torch.float64)))

    def turned(values: Named) -> Named:
        return dict(reversed(values.items()))

    other = replace(given, start=turned(given.start), parameters=turned(given.parameters))
    got = named_results(other.run(LlvmKernel(plan(given.program), torch.float64)))
    assert_equal(got, want)


def test_two_inputs_in_any_order() -> None:
    given = two_inputs()
    judged = Judged.of(given)
    for dtype, kernel in kernels(given.program).items():
        judged.check(kernel, dtype)
    turned = replace(given, inputs=dict(reversed(given.inputs.items())))
    kernel = LlvmKernel(plan(given.program), torch.float64)
    want = named_results(turned.run(ReferenceKernel(kernel.plan)))
    assert_same(named_results(turned.run(kernel)), want, **CLOSE)
    x, y = (given.inputs[name].clone() for name in ("x", "y"))
    for own in ({"x": leaf(x), "y": y}, {"x": x, "y": leaf(y)}):
        (wanted,) = [each for each in own.values() if each.requires_grad]
        found = {}
        for target in (kernel, ReferenceKernel(kernel.plan)):
            loss = loss_of(named_results(replace(given, inputs=own).run(target)))
            (found[type(target).__name__],) = torch.autograd.grad(loss, wanted)
        torch.testing.assert_close(found["LlvmKernel"], found["ReferenceKernel"], **CLOSE)


@cell
def pair(x: Input, y: Input, h: State, W: Matrix, V: Matrix, U: Matrix) -> Value:
    """Two inputs of one width."""
    h = tanh(W @ x + V @ y + U @ h)
    return h


def two_inputs() -> Problem:
    """A problem with two inputs."""
    return problem(trace(pair), {"I": 3, "H": 5}, Steps(4, 3))


NEEDS = ("input x", "start h", "start c", "parameter W.f", "parameter U.g", "parameter b.o")


@pytest.mark.parametrize("count", [1, 2])
def test_gradients_of_some_alone(count: int) -> None:
    """Frozen weights, an input that needs no gradient, and all else that does not."""
    given = small("lstm", 5)
    kernel = LlvmKernel(plan(given.program), torch.float64)
    want = everything(kernel, given)
    for wanted in itertools.combinations(NEEDS, count):
        sources = {name: each.clone() for name, each in given.sources().items()}
        for name in wanted:
            sources[name].requires_grad_()
        loss = loss_of(named_results(given.at(sources).run(kernel)))
        got = gradients(loss, {name: sources[name] for name in wanted})
        assert_equal(got, {name: want[name] for name in got})


@every_kind
def test_gradients_of_parameters_where_no_input_wants_one(name: str) -> None:
    """Work that only gradients of inputs need is left out, and no other."""
    given = small(name, 5)
    kernel = LlvmKernel(plan(given.program), torch.float64)
    if not given.parameters:
        return
    want = everything(kernel, given)
    sources = {key: each.clone() for key, each in given.sources().items()}
    wanted = {
        key: each.requires_grad_() for key, each in sources.items() if key.startswith("parameter ")
    }
    got = gradients(loss_of(named_results(given.at(sources).run(kernel))), wanted)
    upstream = {key: each for key, each in want.items() if key in got}
    assert_equal(got, upstream)


def test_gradients_with_either_of_two_biases_frozen() -> None:
    """torch.nn.LSTM has two biases that are added; each has the gradient on its own."""
    for frozen in ("bias_ih_l0", "bias_hh_l0"):
        torch.manual_seed(0)
        own, torchs = conveyor.LSTM(3, 17).double(), nn.LSTM(3, 17).double()
        own.load_state_dict(torchs.state_dict())
        for layer in (own, torchs):
            getattr(layer, frozen).requires_grad_(False)
            layer(draw(4, 2, 3))[0].square().sum().backward()
        for name, each in torchs.named_parameters():
            got = own.get_parameter(name).grad
            assert (got is None) == (each.grad is None), name
            if got is not None:
                torch.testing.assert_close(got, each.grad, **CLOSE)


@pytest.mark.parametrize(
    "wanted", [("output h",), ("final c",), ("final h",), ("final h", "final c")], ids=str
)
@pytest.mark.parametrize("name", ["lstm", "lstm_peephole"])
def test_losses_of_some_results_alone(name: str, wanted: tuple[str, ...]) -> None:
    given = small(name, 5, Steps(4, 3, (3, 2, 2, 1)))
    kernel = LlvmKernel(plan(given.program), torch.float64)

    def found(kernel: Any) -> Named:
        sources = {name: leaf(each) for name, each in given.sources().items()}
        results = named_results(given.at(sources).run(kernel))
        return gradients(loss_of({name: results[name] for name in wanted}), sources)

    assert_same(found(kernel), found(ReferenceKernel(kernel.plan)), **CLOSE)


@every_kind
def test_second_gradients(name: str) -> None:
    """With create_graph, the gradient's own gradient."""
    given = small(name, 3, Steps(3, 2))
    kernel = LlvmKernel(plan(given.program), torch.float64)

    def found(kernel: Any) -> Named:
        sources = {name: leaf(each) for name, each in given.sources().items()}
        results = named_results(given.at(sources).run(kernel))
        loss = loss_of({name: each**2 for name, each in results.items() if each.requires_grad})
        first = torch.autograd.grad(
            loss, list(sources.values()), create_graph=True, allow_unused=True
        )
        named = {
            name: each
            for name, each in zip(sources, first, strict=True)
            if each is not None and each.requires_grad
        }
        second = gradients(loss_of({name: each**2 for name, each in named.items()}), sources)
        return {**{name: each.detach() for name, each in named.items()}, **second}

    got, want = found(kernel), found(ReferenceKernel(kernel.plan))
    # A gradient that is nothing but zeros may be known to be so, or not.
    assert_same({name: got[name] for name in want}, want, **CLOSE)


def test_a_graph_can_be_gone_through_twice() -> None:
    given = small("gru", 17)
    kernel = LlvmKernel(plan(given.program), torch.float64)
    sources = {name: leaf(each) for name, each in given.sources().items()}
    loss = loss_of(named_results(given.at(sources).run(kernel)))
    first = torch.autograd.grad(loss, list(sources.values()), retain_graph=True)
    second = torch.autograd.grad(loss, list(sources.values()))
    for one, two in zip(first, second, strict=True):
        assert torch.equal(one, two)
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(loss, list(sources.values()))


def test_inference_mode() -> None:
    given = small("lstm", 17)
    kernel = LlvmKernel(plan(given.program), torch.float64)
    want = named_results(given.run(kernel))
    with torch.inference_mode():
        got = named_results(given.run(kernel))
        inside = small("lstm", 17)  # tensors that inference mode made
        again = named_results(inside.run(kernel))
    assert all(each.is_inference() for each in got.values())
    assert_equal({name: each.clone() for name, each in got.items()}, want)
    assert_equal({name: each.clone() for name, each in again.items()}, want)


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "late_output"])
def test_changing_an_output_in_place(name: str) -> None:
    """Whoever changes what a layer gave him gets right gradients, or an error, as in torch."""
    given = small(name, 17)
    kernel = LlvmKernel(plan(given.program), torch.float64)
    want = everything(kernel, given)
    sources = {key: leaf(each) for key, each in given.sources().items()}
    results = named_results(given.at(sources).run(kernel))
    kept = {key: each * 1 for key, each in results.items()}
    loss = loss_of(kept)
    for each in results.values():
        with torch.no_grad():
            each.mul_(0).add_(float("nan"))
    try:
        got = gradients(loss, sources)
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)  # noqa: PT017  (one of two)
    else:
        assert_equal(got, {key: want[key] for key in got})


@pytest.mark.parametrize("changed", ["parameter U.f", "parameter b.f", "input x", "start c"])
def test_changing_what_was_read_is_an_error(changed: str) -> None:
    given = small("lstm", 17)
    kernel = LlvmKernel(plan(given.program), torch.float64)
    sources = {name: leaf(each) for name, each in given.sources().items()}
    loss = loss_of(named_results(given.at(sources).run(kernel)))
    with torch.no_grad():
        sources[changed].add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        gradients(loss, sources)


def test_one_tensor_as_two_parameters() -> None:
    given = small("lstm", 5)
    kernel = LlvmKernel(plan(given.program), torch.float64)
    shared = {"parameter U.f": "parameter U.o", "parameter b.i": "parameter b.g"}

    def found(kernel: Any) -> Named:
        sources = {name: leaf(each) for name, each in given.sources().items()}
        tied = {name: sources[shared.get(name, name)] for name in sources}
        results = named_results(given.at(tied).run(kernel))
        return gradients(loss_of(results), {n: s for n, s in sources.items() if n not in shared})

    assert_same(found(kernel), found(ReferenceKernel(kernel.plan)), **CLOSE)


PIECES: dict[str, dict[str, tuple[Piece, ...]]] = {
    "apart": {"W": (Piece(0, 0, 5),), "U": (Piece(0, 5, 5),), "b": (Piece(1, 0, 5),)},
    "turned": {"W": (Piece(0, 5, 5),), "U": (Piece(0, 0, 5),), "b": (Piece(1, 5, 5),)},
    "two biases": {
        "W": (Piece(0, 0, 5),),
        "U": (Piece(0, 5, 5),),
        "b": (Piece(1, 5, 5), Piece(1, 0, 5)),
    },
    "overlapping": {"W": (Piece(0, 0, 5),), "U": (Piece(0, 2, 5),), "b": (Piece(1, 1, 5),)},
    "one for both": {"W": (Piece(0, 0, 5),), "U": (Piece(0, 0, 5),), "b": (Piece(1, 1, 5),)},
    "twice the same bias": {
        "W": (Piece(0, 0, 5),),
        "U": (Piece(0, 5, 5),),
        "b": (Piece(1, 0, 5), Piece(1, 0, 5)),
    },
}


def by_pieces(kernel: Any, pieces: dict[str, tuple[Piece, ...]]) -> Named:
    """Results and gradients of a network whose parameters are pieces of two tensors."""
    stored = leaf(draw(10, 5, seed=1)), leaf(draw(10, seed=2))
    x, h = leaf(draw(12, 5, seed=3)), leaf(draw(3, 5, seed=4))
    own = Parameters(stored, pieces)
    unrolled = kernel.sequence(
        {"x": x}, InitialState.of({"h": h[None]}), own, steps=Steps(4, 3), observe=False
    )
    results = named_results(unrolled)
    sources = {"matrices": stored[0], "biases": stored[1], "x": x, "h": h}
    kept = {name: each.detach() for name, each in results.items()}
    return {**kept, **gradients(loss_of(results), sources)}


@pytest.mark.parametrize("pieces", PIECES.values(), ids=PIECES)
def test_parameters_that_are_pieces(pieces: dict[str, tuple[Piece, ...]]) -> None:
    """``Parameters`` says that each is the sum of its pieces: in values and in gradients."""
    kernel = LlvmKernel(plan(PROGRAMS["rnn"][0]), torch.float64)
    want = by_pieces(ReferenceKernel(kernel.plan), pieces)
    assert_same(by_pieces(kernel, pieces), want, **CLOSE)


def test_one_kernel_for_parameters_stored_in_several_ways() -> None:
    """The shapes stored are the same, the pieces are not."""
    kernel = LlvmKernel(plan(PROGRAMS["rnn"][0]), torch.float64)
    for name in ("apart", "turned", "two biases"):
        want = by_pieces(ReferenceKernel(kernel.plan), PIECES[name])
        assert_same(by_pieces(kernel, PIECES[name]), want, **CLOSE)


def test_no_sequences() -> None:
    layer = conveyor.Recurrent("lstm", 3, 5, bidirectional=True)
    other = nn.LSTM(3, 5, bidirectional=True)
    given: tuple[list[int] | None, ...] = (None, [])
    for lengths in given:
        output, state = layer(torch.zeros(4, 0, 3), lengths=lengths)
        assert output.shape == (4, 0, 10)
        assert state.h.shape == state.c.shape == (2, 0, 5)
        output.sum().backward()
        for name, each in layer.named_parameters():
            assert each.grad is not None, name
            assert not each.grad.any(), name
    with pytest.raises(RuntimeError):
        other(torch.zeros(0, 4, 3))
    assert layer(torch.zeros(0, 4, 3))[0].shape == (0, 4, 10)


# Parameters that do not fit: an error on the reference, or numbers. Machine code must not read
# beyond them.
MISFITS: dict[str, Callable[[], dict[str, Tensor]]] = {
    "a smaller matrix": lambda: {"l0.U.f": torch.ones(2, 2)},
    "fewer columns": lambda: {"l0.W.o": torch.ones(5, 2)},
    "a shorter bias": lambda: {"l0.b.f": torch.ones(4)},
    "a longer bias": lambda: {"l0.b.f": torch.ones(6)},
    "another type": lambda: {"l0.b.i": torch.ones(5, dtype=torch.float64)},
    "half": lambda: {"l0.U.i": torch.ones(5, 5, dtype=torch.float16)},
    "another device": lambda: {"l0.U.g": torch.ones(5, 5, device="meta")},
}
MISFIT_SCRIPT = """
import os, torch, conveyor
from tests.kernels.test_llvm_autograd import MISFITS
torch.set_num_threads(1)
torch.manual_seed(0)
layer = conveyor.Recurrent("lstm", 3, 5)
x = torch.rand(4, 2, 3)
def found(target, what):
    with conveyor.use_target(target):
        try:
            return torch.func.functional_call(layer, MISFITS[what](), (x,))[0].detach()
        except (RuntimeError, conveyor.errors.ConveyorError) as error:
            return error
def compared(what):
    want, got = found("reference", what), found("llvm", what)
    if isinstance(want, Exception) or isinstance(got, Exception):
        return isinstance(got, Exception)  # what the reference can, others may refuse
    return float((got - want).abs().max()) < 1e-5
for what in MISFITS:
    child = os.fork()
    if not child:
        os._exit(0 if compared(what) else 3)
    print(what, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), sep=": ", flush=True)
"""


@pytest.fixture(scope="module")
def misfits() -> dict[str, str]:
    """How a process ended that ran each: 0 if right, 3 if not, below 0 by a signal."""
    ran = run_script(MISFIT_SCRIPT, folder=ROOT)
    assert ran.code == 0, ran.err[-500:]
    return dict(line.split(": ") for line in ran.out.splitlines())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("what", MISFITS)
def test_parameters_that_do_not_fit(what: str, misfits: dict[str, str]) -> None:
    """Refused, or as on the reference. In a process of its own: reading beyond a tensor may end
    it."""
    assert misfits[what] == "0"
