# ruff: noqa: PLR0917, RET504  (a cell's letters are its arguments; h = ...; return h)
"""The target ``llvm`` against the reference: values, gradients, memory, and the rest of torch.

Every cell runs at a sample of odd sizes, drawn so that all cells together meet every pair of
sizes. ``CONVEYOR_LONG_TESTS=1`` runs every cell at every combination (some ten minutes).
"""

import copy
import itertools
import os
import random
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from llvmlite import binding
from torch import Tensor, nn

import conveyor
from conveyor.cells import CELLS, Cell, Input, Matrix, State, Value, cell, mean, tanh, total
from conveyor.cells.operations import RULES
from conveyor.compiler.gradient import DERIVATIVES
from conveyor.compiler.plan import plan
from conveyor.compiler.program import Operation, Program
from conveyor.compiler.rewrite import Builder
from conveyor.compiler.trace import trace
from conveyor.errors import ShapeError
from conveyor.kernels import (
    llvm_builder,
    llvm_cache,
    llvm_compile,
    llvm_functions,
    llvm_layout,
    llvm_machine,
    llvm_recipe,
    llvm_share,
)
from conveyor.kernels.llvm_kernel import LlvmKernel
from conveyor.kernels.llvm_machine import OTHERS, Machine
from conveyor.kernels.reference import ReferenceKernel
from conveyor.kernels.steps import Steps
from conveyor.kernels.target import Parameters, Piece, Start
from tests import table
from tests.kernels.agreement import (
    Fences,
    Judged,
    Problem,
    check,
    check_inference,
    counts_of,
    distance,
    everything,
    fenced,
    named_results,
    problem,
)
from tests.kernels.programs import PROGRAMS, of_a_layer
from tests.layers.named import Named, assert_equal, assert_same, draw, gradients, leaf, loss_of, run

LONG = os.environ.get("CONVEYOR_LONG_TESTS") == "1"
ROOT = Path(__file__).parents[2]
DTYPES = (torch.float32, torch.float64)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
every_program = pytest.mark.parametrize("name", PROGRAMS)

# On both sides of one vector and of several, of float32 (16) and float64 (8); single ones; more
# rows than one panel has.
STEPS = (1, 2, 7, 33)
BATCH = (1, 2, 3, 5, 17)
HIDDEN = (1, 3, 15, 16, 17, 33, 64, 100)
WAYS = ("forward", "reverse", "ragged", "ragged reverse")
READS = (1, 3, 8, 17, 40)
OTHER = (1, 4, 17, 33)
STARTS = (False, True)

# The judge does the same in another order, and forgets no more than some digits of float64's.
CLOSE: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-12}

Row = tuple[int, int, int, str, int, int, bool]


def cycled(values: tuple[Any, ...], count: int, source: random.Random) -> list[Any]:
    """Each value as often as the others, in a random order."""
    found = [values[number % len(values)] for number in range(count)]
    source.shuffle(found)
    return found


def sample(name: str, count: int = 10) -> list[Row]:
    """Sizes for one cell: every T, B, H and way at least once."""
    source = random.Random(zlib.crc32(name.encode()))
    columns = (STEPS, BATCH, HIDDEN, WAYS, READS, OTHER, STARTS)
    return list(zip(*(cycled(each, count, source) for each in columns), strict=True))


def rows_for(name: str) -> list[Row]:
    """The sizes that a cell runs at."""
    if not LONG:
        return sample(name)
    source = random.Random(0)
    return [
        (*own, source.choice(READS), source.choice(OTHER), source.choice(STARTS))
        for own in itertools.product(STEPS, BATCH, HIDDEN, WAYS)
    ]


def problem_of(name: str, row: Row) -> Problem:
    """A cell at sizes of the design."""
    steps, batch, hidden, way, reads, other, zero_start = row
    program, more = PROGRAMS[name]
    widths = {"I": reads, "H": hidden, **dict.fromkeys(more, other)}
    counts = counts_of(steps, batch, seed=hidden) if way.startswith("ragged") else None
    walk = Steps(steps, batch, counts, reverse=way.endswith("reverse"))
    return problem(program, widths, walk, zero_start=zero_start)


def kernels(program: Program) -> dict[torch.dtype, LlvmKernel]:
    """A program's kernels for both types."""
    planned = plan(program)
    return {dtype: LlvmKernel(planned, dtype) for dtype in DTYPES}


def small(name: str = "lstm", hidden: int = 17, steps: Steps | None = None) -> Problem:
    """A problem of middling size."""
    program, more = PROGRAMS[name]
    return problem(program, {"I": 3, "H": hidden, **more}, steps or Steps(5, 3))


# Every cell at every size ------------------------------------------------------------------------


def test_the_cells_together_meet_every_pair_of_sizes() -> None:
    rows = [row for name in PROGRAMS for row in sample(name)]
    for one, two in itertools.combinations(range(4), 2):
        met = {(row[one], row[two]) for row in rows}
        columns = (STEPS, BATCH, HIDDEN, WAYS)
        assert met == set(itertools.product(columns[one], columns[two]))
    for name in PROGRAMS:
        own = list(zip(*sample(name), strict=True))
        assert [set(each) for each in own[:4]] == [set(STEPS), set(BATCH), set(HIDDEN), set(WAYS)]


@every_program
def test_every_cell_agrees_with_the_reference(name: str) -> None:
    made = kernels(PROGRAMS[name][0])
    for row in rows_for(name):
        given = problem_of(name, row)
        judged = Judged.of(given)
        for dtype, kernel in made.items():
            try:
                judged.check(kernel, dtype)
                check_inference(kernel, given, dtype)
            except AssertionError as error:
                raise AssertionError(f"{row} {dtype}: {error}") from error


@every_program
def test_sequences_without_a_step_keep_their_state(name: str) -> None:
    """Of five sequences, two take part in no step."""
    made = kernels(PROGRAMS[name][0])
    for reverse in (False, True):
        given = small(name, 5, Steps(4, 5, (3, 2, 2, 0), reverse))
        judged = Judged.of(given)
        for dtype, kernel in made.items():
            judged.check(kernel, dtype)


@pytest.mark.parametrize("name", ["lstm", "normalised", "read_out", "lstm_projected"])
@every_dtype
def test_what_is_observed(name: str, dtype: torch.dtype) -> None:
    given = small(name, 5, Steps(4, 3, (3, 2, 1, 1)))
    judged = Judged.of(given, observe=True)
    assert any(each.startswith("local ") for each in judged.want)
    judged.check(LlvmKernel(plan(given.program), dtype), dtype)


@every_program
def test_one_step(name: str) -> None:
    given = small(name, 17, Steps(1, 3))
    for dtype, kernel in kernels(given.program).items():
        own = given.at({key: each.to(dtype) for key, each in given.sources().items()})
        outputs, final = kernel.step(
            own.inputs, Start.of(of_a_layer(own.start)), Parameters.of(own.parameters)
        )
        want = own.run(kernel)
        assert_equal(outputs, want.outputs)
        assert_equal(final, want.final)


def test_many_rows_and_long_sequences() -> None:
    """More rows than a stretch has, and than are summed at once; sums over stretches."""
    for name, steps in (
        ("gru", Steps(150, 17)),
        ("lstm_peephole", Steps(90, 40, counts_of(90, 40, 2), True)),
        ("normalised", Steps(40, 70)),
    ):
        program, more = PROGRAMS[name]
        given = problem(program, {"I": 40, "H": 33, **more}, steps)
        # Float64 alone: what float32's long sums are worth is measured against torch's below.
        Judged.of(given).check(LlvmKernel(plan(program), torch.float64), torch.float64)


@pytest.mark.parametrize("stretch", [1, 3])
@pytest.mark.parametrize("dtype", DTYPES if LONG else DTYPES[1:], ids=str)
def test_short_stretches(stretch: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """What passes from stretch to stretch, at sizes where everything is one stretch otherwise."""
    monkeypatch.setattr(llvm_share, "STRETCH_ROWS", stretch)
    monkeypatch.setattr(llvm_share, "STRETCH_BYTES", 1)
    for name in ("lstm", "gru", "normalised", "learned_level", "one_before", "twice"):
        for steps in (Steps(9, 3), Steps(9, 5, (5, 4, 4, 4, 3, 2, 1, 1, 1), True)):
            given = small(name, 17, steps)
            kernel = LlvmKernel(plan(given.program), dtype)
            Judged.of(given).check(kernel, dtype)
            (recipe, *_) = kernel.recipes._recipes.values()
            assert len(recipe.share.stretches) > 1


@cell
def late_double(
    x: Input, h: State, W: Matrix, U: Matrix, V: Annotated[Matrix, "Q"]
) -> tuple[Value, ...]:
    """Outputs made of the old state, which the loop has left behind when they are made."""
    double, whole, read = 2 * h, total(h), V @ h
    h = tanh(W @ x + U @ h)
    return h, double, whole, read


@every_dtype
def test_outputs_made_of_the_old_state(dtype: torch.dtype) -> None:
    program = trace(late_double)
    for steps in (Steps(1, 1), Steps(5, 3), Steps(4, 3, (3, 2, 2, 1), True)):
        for hidden in (1, 4, 17):
            given = problem(program, {"I": 3, "H": hidden, "Q": 2}, steps)
            check(program, given, dtype)


@cell
def two_means(x: Input, h: State, W: Matrix) -> tuple[Value, Value]:
    """The width of an axis is needed within the loop and after it."""
    size = mean(h * h)
    h = tanh(W @ x + mean(h))
    return h, size


@cell
def two_widths(
    x: Input, h: State, W: Matrix, V: Annotated[Matrix, "Q"], A: Matrix
) -> tuple[Value, Value]:
    """Products of one operand whose results are of different widths, one of which goes on."""
    y = total(A @ tanh(V @ x))
    h = W @ x + h / 2
    return h, y


@pytest.mark.parametrize("own", [two_means, two_widths], ids=lambda own: own.name)
def test_widths_and_numbers(own: Cell) -> None:
    program = trace(own)
    for widths in ({"H": 1, "Q": 9}, {"H": 33, "Q": 2}, {"H": 17, "Q": 40}):
        given = problem(program, {"I": 16, **widths}, Steps(3, 2))
        check(program, given, torch.float64)


# Layers ------------------------------------------------------------------------------------------

LAYERS = [table.Case(name, 9, 5, 3, 17, more) for name, (_, more) in PROGRAMS.items()]


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.cell)
def test_layers_with_lengths_and_resets(case: table.Case) -> None:
    """Two layers, both directions; a sequence of no step, and resets on first and last steps."""
    torch.manual_seed(0)
    layer = conveyor.Recurrent(
        PROGRAMS[case.cell][0],
        case.input,
        case.hidden,
        2,
        bidirectional=True,
        sizes=case.sizes,
        dtype=torch.float64,
    )
    x, state = table.make_input(case), table.make_state(case, layer)
    anew = draw(case.steps, case.batch, seed=3) > 0.6
    anew[0, 1] = anew[-1, 2] = anew[3, 3] = True
    for options in (
        {},
        {"lengths": [4, 0, 9, 1, 9]},
        {"reset": anew},
        {"lengths": [4, 0, 9, 1, 9], "reset": anew},
        {"lengths": [0] * 5},
    ):
        got = run(layer, x, state, **options)
        with conveyor.use_target("reference"):
            want = run(layer, x, state, **options)
        assert_same(got, want, **CLOSE)


# Float32 against torch.nn ------------------------------------------------------------------------

TORCH: dict[str, Callable[..., tuple[nn.Module, nn.Module]]] = {
    "LSTM": lambda *sizes: (conveyor.LSTM(*sizes), nn.LSTM(*sizes)),
    "LSTM projected": lambda *sizes: (
        conveyor.LSTM(*sizes, proj_size=7),
        nn.LSTM(*sizes, proj_size=7),
    ),
    "GRU": lambda *sizes: (conveyor.GRU(*sizes), nn.GRU(*sizes)),
    "RNN": lambda *sizes: (conveyor.RNN(*sizes), nn.RNN(*sizes)),
    "RNN relu": lambda *sizes: (
        conveyor.RNN(*sizes, nonlinearity="relu"),
        nn.RNN(*sizes, nonlinearity="relu"),
    ),
}


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize(
    "sizes", [(7, 3, 5, 16), (33, 5, 17, 33), (50, 64, 8, 16), (33, 17, 64, 100)], ids=str
)
@pytest.mark.parametrize("make", TORCH.values(), ids=TORCH)
def test_float32_is_as_good_as_torchs(
    make: Callable[..., tuple[nn.Module, nn.Module]], sizes: tuple[int, int, int, int]
) -> None:
    """At most twice torch.nn's error, of each result and gradient: the relative L2 norm of all
    its numbers, at least 16 of them, and half a unit of the last place (2**-24) for luck."""
    steps, batch, reads, hidden = sizes
    torch.manual_seed(0)
    own, torchs = make(reads, hidden)
    own.load_state_dict(torchs.state_dict())
    x = draw(steps, batch, reads).float()
    want = run(copy.deepcopy(torchs).double(), x.double())
    got, other = run(own, x), run(torchs, x)
    worse = []
    for name, each in want.items():
        ours, theirs = distance(got[name], each), distance(other[name], each)
        if ours > 2 * theirs + 2.0**-24:
            worse.append(f"{name}: {ours:.2g}, torch's {theirs:.2g}")
    assert not worse, "; ".join(worse)


# Memory ------------------------------------------------------------------------------------------

FENCED = (
    (Steps(3, 2), {"I": 1, "H": 1}),
    (Steps(4, 3), {"I": 3, "H": 17}),
    (Steps(5, 5, (5, 4, 2, 2, 1)), {"I": 17, "H": 15}),
    (Steps(2, 17, None, True), {"I": 16, "H": 33}),
)


@every_program
def test_nothing_is_written_beside_its_place(name: str) -> None:
    """All that a kernel is given or makes lies between sentinels and holds NaN at first. Numbers
    may begin anywhere: torch's slices do."""
    program, more = PROGRAMS[name]
    for dtype, kernel in kernels(program).items():
        # In the short run half of the sizes for each type.
        first = DTYPES.index(dtype)
        for shift, (steps, widths) in enumerate(FENCED if LONG else FENCED[first::2]):
            fences = Fences(shift)
            given = problem(program, {**widths, **more}, steps)
            got = fenced(kernel, given, dtype, fences)
            fences.check()
            assert len(fences) > len(given.sources()) + 2  # what the kernel made is among them
            for key, each in got.items():
                assert each.isfinite().all(), key
        # Where a tensor lies changes nothing.
        assert_equal(got, fenced(kernel, given, dtype, Fences(0)))


def test_fences_see_a_write() -> None:
    """In front and behind, next to the tensor and a vector away."""
    for place in (-1, -16, 6, 21):
        fences = Fences()
        values = fences.make((2, 3), torch.float32)
        assert values.isnan().all()
        fences.check()
        first = values.untyped_storage()
        at = (values.data_ptr() - first.data_ptr()) // 4 + place
        torch.empty(0, dtype=torch.float32).set_(first)[at] = 1.0
        with pytest.raises(AssertionError, match="were written"):
            fences.check()


READS_SCRIPT = """
import sys, torch
torch.set_num_threads(1)
from conveyor.compiler.plan import plan
from conveyor.kernels.llvm_kernel import LlvmKernel
from tests.kernels.agreement import Pages, fenced, problem
from tests.kernels.programs import PROGRAMS
from tests.kernels.test_llvm import DTYPES, FENCED
if sys.argv[1] == "beyond":
    values = Pages().make((3,), torch.float32)
    print(torch.as_strided(values, (1,), (1,), values.storage_offset()).item(), flush=True)
    import ctypes
    ctypes.string_at(values.data_ptr() + 12, 1)
for name in sys.argv[1:]:
    program, more = PROGRAMS[name]
    for dtype in DTYPES:
        kernel = LlvmKernel(plan(program), dtype)
        for steps, widths in FENCED:
            print(name, dtype, steps, widths, flush=True)
            pages = Pages()
            given = problem(program, {**widths, **more}, steps)
            got = fenced(kernel, given, dtype, pages)
            assert all(each.isfinite().all() for each in got.values())
            assert len(pages) > len(given.sources()) + 2
print("all read", flush=True)
"""

no_pages = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="pages are protected through Linux's libc"
)


def run_script(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@no_pages
def test_nothing_is_read_beyond_its_end() -> None:
    """Every tensor ends where memory begins that nobody may read, and begins where such memory
    ends if it is whole pages: a read beyond ends the process."""
    names = list(PROGRAMS) if LONG else ["lstm_projected", "normalised", "gru"]
    ran = run_script(READS_SCRIPT, *names)
    assert ran.returncode == 0, f"{ran.returncode} after {ran.stdout[-200:]} {ran.stderr[-2000:]}"
    assert ran.stdout.endswith("all read\n")


@no_pages
def test_a_read_beyond_its_end_is_seen() -> None:
    ran = run_script(READS_SCRIPT, "beyond")
    assert ran.returncode < 0  # ended by a signal
    assert ran.stdout == "nan\n"


def test_memory_that_torch_reuses() -> None:
    """A call's own memory is not kept by what it returns."""
    given = small(steps=Steps(40, 5))
    kernel = LlvmKernel(plan(given.program), torch.float64)
    got = everything(kernel, given)
    for _ in range(5):
        junk = [torch.full((size,), float("nan")) for size in (100, 1000, 10000, 100000)]
        assert_equal(everything(kernel, given), got)
        del junk


def test_sizes_that_come_again_are_worked_out_once() -> None:
    """Of a layer as of a kernel: each call makes its parameters' names anew."""
    layer = conveyor.Recurrent("lstm", 3, 5)
    for number in range(20):
        layer(torch.zeros(1 + number % 2, 2, 3))[0].sum().backward()
    (kernel,) = layer.__dict__["_kernels"].values()
    assert len(kernel.recipes._recipes) == 2 * 2  # two sizes, two ways


# Torch's ways ------------------------------------------------------------------------------------


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


@every_program
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
        {"x": x}, Start.of({"h": h[None]}), own, steps=Steps(4, 3), observe=False
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
    with pytest.raises(ShapeError, match="no time steps"):
        layer(torch.zeros(0, 4, 3))


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
from tests.kernels.test_llvm import MISFITS
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
    ran = run_script(MISFIT_SCRIPT)
    assert ran.returncode == 0, ran.stderr[-500:]
    return dict(line.split(": ") for line in ran.stdout.splitlines())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("what", MISFITS)
def test_parameters_that_do_not_fit(what: str, misfits: dict[str, str]) -> None:
    """Refused, or as on the reference. In a process of its own: reading beyond a tensor may end
    it."""
    assert misfits[what] == "0"


# NaN and infinity --------------------------------------------------------------------------------

SPECIAL = (float("nan"), float("inf"), -float("inf"))


@every_program
def test_what_is_no_number_propagates_as_in_the_reference(name: str) -> None:
    """In one sequence of four: the others keep every bit."""
    program, more = PROGRAMS[name]
    given = problem(program, {"I": 3, "H": 17, **more}, Steps(5, 4))
    for dtype, kernel in kernels(program).items():
        judge = ReferenceKernel(kernel.plan)
        clean = everything(kernel, given, dtype)
        for special in SPECIAL:
            x = given.inputs["x"].clone()
            x[2 * 4 + 1, 0] = special  # step 2, sequence 1
            own = replace(given, inputs={"x": x})
            got, want = everything(kernel, own, dtype), everything(judge, own, dtype)
            for key, each in want.items():
                if key.startswith("gradient of parameter"):
                    continue  # sums over all sequences
                where = each.isfinite()
                assert torch.equal(got[key].isfinite(), where), f"{key} at {special}"
                assert torch.equal(got[key].isnan(), each.isnan()), f"{key} at {special}"
                rows = [row for row in range(len(each)) if row % 4 != 1]
                assert torch.equal(got[key][rows], clean[key][rows]), key


@pytest.mark.parametrize("special", SPECIAL, ids=str)
def test_parameters_that_are_no_numbers(special: float) -> None:
    given = small("lstm", 17)
    for key in ("parameter U.f", "parameter W.g", "parameter b.i"):
        values = given.sources()[key].clone()
        values.view(-1)[3] = special
        own = given.at({key: values})
        for dtype, kernel in kernels(given.program).items():
            judge = ReferenceKernel(kernel.plan)
            got, want = everything(kernel, own, dtype), everything(judge, own, dtype)
            for name, each in want.items():
                assert torch.equal(got[name].isnan(), each.isnan()), f"{name}, {key}"


@every_dtype
def test_numbers_of_every_size(dtype: torch.dtype) -> None:
    """States saturate; nothing overflows inside a function."""
    given = small("lstm", 17)
    for size in (1e-30, 1e-3, 1e3, 1e30):
        x = given.inputs["x"] * size
        own = replace(given, inputs={"x": x.float().double()})
        got = everything(LlvmKernel(plan(given.program), dtype), own, dtype)
        want = everything(ReferenceKernel(plan(given.program)), own, dtype)
        for name, each in want.items():
            assert torch.equal(got[name].isfinite(), each.isfinite()), (name, size)
            if name.startswith(("output", "final")):
                # Float32: two units of the last place, five steps.
                bound = 1e-5 if dtype == torch.float32 else 1e-13
                torch.testing.assert_close(got[name], each, rtol=0, atol=bound)


# Other machines ----------------------------------------------------------------------------------


@pytest.mark.parametrize("machine", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("dtype", DTYPES if LONG else DTYPES[:1], ids=str)
def test_code_for_other_machines_is_accepted(machine: Machine, dtype: torch.dtype) -> None:
    """LLVM verifies the text of every way of a cell and makes an object file; in the long run,
    of every built-in cell."""
    magic = b"\x7fELF"
    text = llvm_compile.panel_text(machine, dtype)
    assert llvm_machine.object_code(text, machine).startswith(magic)
    for name in CELLS if LONG else ("lstm_projected",):
        planned = plan(PROGRAMS[name][0])
        compiled = llvm_compile.Compiled(planned, dtype)
        for way in ("inference", "training", "backward"):
            text = llvm_compile.pass_text(compiled.layout(way), machine, dtype)
            assert llvm_machine.object_code(text, machine).startswith(magic)


@every_program
def test_the_text_for_other_machines_is_valid(name: str) -> None:
    """Without making machine code of it, which takes longer."""
    compiled = llvm_compile.Compiled(plan(PROGRAMS[name][0]), torch.float32)
    for machine in OTHERS.values():
        for way in ("inference", "training", "backward") if LONG else ("training", "backward"):
            text = llvm_compile.pass_text(compiled.layout(way), machine, torch.float32)
            with llvm_machine.COMPILING:
                binding.parse_assembly(text).verify()


def narrower() -> dict[str, Machine]:
    """Machines that the one that runs this can stand for: shorter and fewer registers."""
    here = llvm_machine.host()
    found = {
        f"{size}-{registers}": replace(here, vector_bytes=size, registers=registers)
        for size in (16, 32)
        for registers in (16, 32)
        if size < here.vector_bytes
    }
    if here.triple.startswith("x86_64"):
        for name in ("x86-64", "avx2"):
            if OTHERS[name].vector_bytes <= here.vector_bytes:
                found[name] = replace(OTHERS[name], triple=here.triple)
    return found


@pytest.fixture
def as_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Machine], None]]:
    """Makes code for another machine, and runs it."""

    def use(machine: Machine) -> None:
        llvm_compile.library.cache_clear()
        for module in (llvm_compile, llvm_recipe):
            monkeypatch.setattr(module, "host", lambda: machine)

    yield use
    llvm_compile.library.cache_clear()


# In the short run without those that differ from another in one number alone.
NARROWER = {
    name: machine
    for name, machine in narrower().items()
    if LONG or name in ("x86-64", "avx2", "16-32")
}


@pytest.mark.parametrize("dtype", DTYPES if LONG else DTYPES[:1], ids=str)
@pytest.mark.parametrize("machine", NARROWER.values(), ids=NARROWER)
def test_narrower_machines_agree_with_the_reference(
    as_machine: Callable[[Machine], None], machine: Machine, dtype: torch.dtype
) -> None:
    as_machine(machine)
    for name in PROGRAMS if LONG else ("lstm", "every_function"):
        program, more = PROGRAMS[name]
        kernel = LlvmKernel(plan(program), dtype)
        for steps, widths in FENCED[1:]:
            Judged.of(problem(program, {**widths, **more}, steps)).check(kernel, dtype)
        for recipe in kernel.recipes._recipes.values():
            assert recipe.sizes.work.lanes == machine.lanes(dtype)


# Planted bugs ------------------------------------------------------------------------------------

# What a right kernel passes and a wrong one must not.


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """For bugs in passes: wrong code is kept nowhere."""
    monkeypatch.setenv("CONVEYOR_CACHE_DIR", "")
    monkeypatch.setattr(llvm_cache, "_LOADED", {})
    return monkeypatch


@pytest.fixture
def planted_in_panels(planted: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """For bugs in what all cells share."""
    llvm_compile.library.cache_clear()
    yield planted
    llvm_compile.library.cache_clear()


def compared(name: str, dtype: torch.dtype = torch.float64, **sizes: int) -> None:
    """The comparison of every test above, of one cell at one size."""
    program, more = PROGRAMS[name]
    given = problem(program, {"I": 3, "H": 17, **more, **sizes}, Steps(4, 3, (3, 3, 2, 1)))
    check(program, given, dtype)


def test_what_is_right_passes() -> None:
    for dtype in DTYPES:
        compared("lstm", dtype)
        compared("every_function", dtype)


@pytest.mark.parametrize("other", list(itertools.combinations("figo", 2)), ids="".join)
@pytest.mark.parametrize("family", ["W", "U", "b"])
def test_swapped_gates_are_caught(family: str, other: tuple[str, str]) -> None:
    """The kernel of an LSTM whose caller gives two gates' parameters in each other's place."""
    given = small("lstm", 17)
    judged = Judged.of(given)
    one, two = (f"{family}.{gate}" for gate in other)
    swapped = {one: given.parameters[two], two: given.parameters[one]}
    wrong = replace(given, parameters={**given.parameters, **swapped})
    kernel = LlvmKernel(plan(given.program), torch.float64)
    with pytest.raises(AssertionError, match="off by"):
        replace(judged, problem=wrong).check(kernel, torch.float64)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("more", [-1, 1], ids=["short", "long"])
def test_a_wrong_tail_is_caught(planted: pytest.MonkeyPatch, more: int) -> None:
    """A mask that is one lane short, or one too long: the first is a wrong number, the second a
    write beside its place. In a process of its own, for what lies there."""
    right = llvm_builder.Code.mask
    planted.setattr(
        llvm_builder.Code, "mask", lambda code, count: right(code, code.add(count, more))
    )
    child = os.fork()
    if not child:
        signal.alarm(60)
        try:
            fenced_and_compared("normalised")
        except AssertionError as error:
            os._exit(3 if ("off by" if more < 0 else "were written") in str(error) else 4)
        finally:
            os._exit(5)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == 3 or (more > 0 and code in (-signal.SIGABRT, -signal.SIGSEGV)), code


def fenced_and_compared(name: str) -> None:
    """A cell's values and gradients, and its fences."""
    program, more = PROGRAMS[name]
    given = problem(program, {"I": 3, "H": 17, **more}, Steps(4, 3, (3, 3, 2, 1)))
    kernel = LlvmKernel(plan(program), torch.float64)
    fences = Fences()
    fenced(kernel, given, torch.float64, fences)
    fences.check()
    Judged.of(given).check(kernel, torch.float64)


WRONG: dict[str, Callable[..., Any]] = {
    "add": lambda code, a, b: code.build.fsub(a, b),
    "sub": lambda code, a, b: code.build.fadd(a, b),
    "mul": lambda code, a, b: a,
    "div": lambda code, a, b: code.build.fmul(a, b),
    "neg": lambda code, a: a,
    "maximum": llvm_functions.FUNCTIONS["minimum"],
    "minimum": llvm_functions.FUNCTIONS["maximum"],
    "greater": lambda code, a, b, right=llvm_functions.FUNCTIONS["greater"]: right(code, b, a),
    "relu": lambda code, a: a,
    "sigmoid": llvm_functions.FUNCTIONS["tanh"],
    "tanh": llvm_functions.FUNCTIONS["sigmoid"],
    "exp": lambda code, a: a,
    "log": lambda code, a: a,
    "sqrt": lambda code, a: a,
    "spread": lambda code, a: code.build.fneg(a),
}


def test_every_function_can_be_wrong() -> None:
    assert set(WRONG) == set(llvm_functions.FUNCTIONS)
    assert set(WRONG) < set(RULES)


@pytest.mark.parametrize("op", WRONG)
def test_a_wrong_function_is_caught(planted: pytest.MonkeyPatch, op: str) -> None:
    planted.setitem(llvm_functions.FUNCTIONS, op, WRONG[op])
    with pytest.raises(AssertionError, match="off by"):
        compared("lstm" if op in ("sigmoid",) else "every_function")


# Not 1 - z or a / 2: a constant has no gradient.
FLIPS = {
    "every_function": [("mul", 0), ("mul", 1), ("sub", 0), ("sub", 1), ("tanh", 0), ("sqrt", 0)],
    "normalised": [("div", 0), ("div", 1), ("matmul", 0), ("matmul", 1), ("total", 0)],
}


@pytest.mark.parametrize(
    ("name", "op", "place"), [(name, *flip) for name, own in FLIPS.items() for flip in own]
)
def test_a_wrong_sign_in_a_derivative_is_caught(
    planted: pytest.MonkeyPatch, name: str, op: str, place: int
) -> None:
    rule = DERIVATIVES[op]

    def flipped(b: Builder, o: Operation, d: str) -> tuple[str, ...]:
        shares = list(rule(b, o, d))
        if len(b.axes[shares[place]]) == 2:  # a matrix has no sign of its own
            shares[place] = rule(b, o, b.add("neg", d))[place]
        else:
            shares[place] = b.add("neg", shares[place])
        return tuple(shares)

    planted.setitem(DERIVATIVES, op, flipped)
    with pytest.raises(AssertionError, match="gradient of"):
        compared(name)


def test_a_wrong_place_is_caught(planted: pytest.MonkeyPatch) -> None:
    """Two kept values that stand in each other's columns on the way back."""
    right = llvm_layout.backward_layout

    def wrong(planned: Any) -> Any:
        layout = right(planned)
        columns = layout.arrays["in:kept"].columns
        columns[0], columns[1] = columns[1], columns[0]
        return layout

    planted.setattr(llvm_compile, "backward_layout", wrong)
    with pytest.raises(AssertionError, match="off by"):
        compared("lstm")


def test_a_wrong_state_is_caught(planted: pytest.MonkeyPatch) -> None:
    """The ring's other half handed out: the state of one step before."""
    visits = Steps.visits
    planted.setattr(
        Steps, "visits", lambda steps, backwards=False: visits(steps, backwards=backwards) + 1
    )
    with pytest.raises(AssertionError, match="off by"):
        compared("gru")


def test_a_missed_row_is_caught(planted: pytest.MonkeyPatch) -> None:
    """A thread's part that lacks the last row of the batch."""
    bounds = llvm_share._bounds

    def short(steps: Steps, threads: int) -> Any:
        found = bounds(steps, threads)
        found[-1] -= 1
        return found

    planted.setattr(llvm_share, "_bounds", short)
    with pytest.raises(AssertionError, match="off by"):
        compared("lstm")


def test_a_forgotten_stretch_is_caught(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(llvm_share, "STRETCH_ROWS", 3)
    planted.setattr(llvm_share, "STRETCH_BYTES", 1)
    stretches = llvm_share._stretches

    def fewer(*args: Any, **kwargs: Any) -> Any:
        found = stretches(*args, **kwargs)
        return np.ascontiguousarray(found[:-1])

    planted.setattr(llvm_share, "_stretches", fewer)
    with pytest.raises(AssertionError, match="off by"):
        compared("lstm")


def test_a_product_that_lacks_a_number_is_caught(planted_in_panels: pytest.MonkeyPatch) -> None:
    """Panels that read one operand fewer than there are."""
    loop = llvm_builder.Code.loop

    def short(code: Any, start: Any, stop: Any, name: str = "i") -> Any:
        panel = code.function.name.startswith("panel_") and name == "k"
        return loop(code, start, code.sub(stop, 1) if panel else stop, name)

    planted_in_panels.setattr(llvm_builder.Code, "loop", short)
    with pytest.raises(AssertionError, match="off by"):
        compared("rnn")
